// RUN: moe-opt %s -moe-expand-math | FileCheck %s

// f32 exp stays in f32, on vectors too; other functions are computed in f64 and rounded once.
// CHECK-LABEL: func.func @exp
// CHECK-NOT:     math.exp
// CHECK:         math.roundeven %{{.*}} : vector<8xf32>
// CHECK:         arith.shli
func.func @exp(%x: vector<8xf32>) -> vector<8xf32> {
  %y = math.exp %x : vector<8xf32>
  return %y : vector<8xf32>
}

// CHECK-LABEL: func.func @sin
// CHECK:         arith.extf %{{.*}} : f32 to f64
// CHECK-NOT:     math.sin
// CHECK:         arith.truncf %{{.*}} : f64 to f32
func.func @sin(%x: f32) -> f32 {
  %y = math.sin %x : f32
  return %y : f32
}

// What processors have stays.
// CHECK-LABEL: func.func @sqrt
// CHECK:         math.sqrt
// CHECK:         math.floor
func.func @sqrt(%x: f32) -> f32 {
  %y = math.sqrt %x : f32
  %z = math.floor %y : f32
  return %z : f32
}

// CHECK-LABEL: func.func @power
// CHECK:         scf.while
// CHECK-NOT:     math.ipowi
func.func @power(%x: i64, %n: i64) -> i64 {
  %y = math.ipowi %x, %n : i64
  return %y : i64
}
