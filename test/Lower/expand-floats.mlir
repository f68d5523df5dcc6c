// RUN: moe-opt %s -moe-expand-floats | FileCheck %s

// CHECK-LABEL: func.func @add
// CHECK:         %[[A:.*]] = arith.bitcast %{{.*}} : bf16 to i16
// CHECK:         arith.addf %{{.*}}, %{{.*}} : f32
// CHECK:         arith.bitcast %{{.*}} : i16 to bf16
func.func @add(%a: bf16, %b: bf16) -> bf16 {
  %s = arith.addf %a, %b : bf16
  return %s : bf16
}

// CHECK-LABEL: func.func @decode
// CHECK:         arith.bitcast %{{.*}} : vector<4xf8E4M3FN> to vector<4xi8>
// CHECK-NOT:     arith.extf
func.func @decode(%c: vector<4xf8E4M3FN>) -> vector<4xf32> {
  %w = arith.extf %c : vector<4xf8E4M3FN> to vector<4xf32>
  return %w : vector<4xf32>
}

// Processors convert between f16 and f32.
// CHECK-LABEL: func.func @half
// CHECK:         %[[F:.*]] = arith.truncf %{{.*}} : f64 to f32
// CHECK:         arith.truncf %[[F]] : f32 to f16
func.func @half(%x: f64) -> f16 {
  %h = arith.truncf %x : f64 to f16
  return %h : f16
}
