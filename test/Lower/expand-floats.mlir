// RUN: moe-opt %s -moe-expand-floats | FileCheck %s

// CHECK-LABEL: func.func @add
// CHECK:         %[[A:.*]] = arith.bitcast %{{.*}} : bf16 to i16
// CHECK:         arith.addf %{{.*}}, %{{.*}} : f32
// CHECK:         arith.bitcast %{{.*}} : i16 to bf16
func.func @add(%a: bf16, %b: bf16) -> bf16 {
  %s = arith.addf %a, %b : bf16
  return %s : bf16
}

// The places of an f16 hold the code; processors widen that.
// CHECK-LABEL: func.func @decode
// CHECK:         arith.bitcast %{{.*}} : vector<4xf8E4M3FN> to vector<4xi8>
// CHECK:         arith.bitcast %{{.*}} : vector<4xi16> to vector<4xf16>
// CHECK-NOT:     arith.extf {{.*}}f8
func.func @decode(%c: vector<4xf8E4M3FN>) -> vector<4xf32> {
  %w = arith.extf %c : vector<4xf8E4M3FN> to vector<4xf32>
  return %w : vector<4xf32>
}

// Powers of two are an exponent.
// CHECK-LABEL: func.func @scale
// CHECK:         arith.bitcast %{{.*}} : f8E8M0FNU to i8
// CHECK-NOT:     arith.extf
func.func @scale(%c: f8E8M0FNU) -> f32 {
  %w = arith.extf %c : f8E8M0FNU to f32
  return %w : f32
}

// Between narrow formats the way is through f32.
// CHECK-LABEL: func.func @both
// CHECK-NOT:     arith.extf {{.*}}f8
// CHECK:         arith.bitcast %{{.*}} : i16 to bf16
// CHECK-NOT:     arith.truncf
// CHECK:         arith.bitcast %{{.*}} : i8 to f8E5M2
func.func @both(%c: f8E4M3FN, %b: bf16) -> (bf16, f8E5M2) {
  %w = arith.extf %c : f8E4M3FN to bf16
  %n = arith.truncf %b : bf16 to f8E5M2
  return %w, %n : bf16, f8E5M2
}

// Processors convert between f16 and f32.
// CHECK-LABEL: func.func @half
// CHECK:         %[[F:.*]] = arith.truncf %{{.*}} : f64 to f32
// CHECK:         arith.truncf %[[F]] : f32 to f16
func.func @half(%x: f64) -> f16 {
  %h = arith.truncf %x : f64 to f16
  return %h : f16
}

// -----

// Where the processor converts bf16, conversions with f32 stay; arithmetic on it is in f32 all the same.
// RUN: moe-opt %s -split-input-file -moe-expand-floats=native-bf16=true | FileCheck %s --check-prefix=NATIVE
// NATIVE-LABEL: func.func @native_bf16
// NATIVE:         %[[A:.*]] = arith.extf %arg0 : bf16 to f32
// NATIVE:         %[[S:.*]] = arith.addf %[[A]], %{{.*}} : f32
// NATIVE:         arith.truncf %[[S]] : f32 to bf16
func.func @native_bf16(%a: bf16, %b: bf16) -> bf16 {
  %s = arith.addf %a, %b : bf16
  return %s : bf16
}
