// RUN: moe-opt %s -split-input-file -moe-convert-onnx | FileCheck %s

// Anything to bool is a comparison with zero, float to integer truncates.
// CHECK-LABEL: func @casts
// CHECK: arith.cmpf une
// CHECK: arith.fptosi %{{.*}} : f32 to i64
// CHECK: arith.uitofp %{{.*}} : i1 to f32
func.func @casts(%x: tensor<4xf32>, %b: tensor<4xi1>) -> (tensor<4xi1>, tensor<4xi64>, tensor<4xf32>) {
  %0 = onnx.Cast(%x) {to = i1} : (tensor<4xf32>) -> tensor<4xi1>
  %1 = onnx.Cast(%x) {to = i64} : (tensor<4xf32>) -> tensor<4xi64>
  %2 = onnx.Cast(%b) {to = f32} : (tensor<4xi1>) -> tensor<4xf32>
  return %0, %1, %2 : tensor<4xi1>, tensor<4xi64>, tensor<4xf32>
}

// -----

// float8 is integer code: no arith.truncf or extf to or from it.
// CHECK-LABEL: func @float8
// CHECK-NOT: arith.truncf
// CHECK: arith.bitcast %{{.*}} : i8 to f8E4M3FN
// CHECK-NOT: arith.extf
// CHECK: arith.bitcast %{{.*}} : f8E4M3FN to i8
func.func @float8(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = onnx.Cast(%x) {to = f8E4M3FN} : (tensor<4xf32>) -> tensor<4xf8E4M3FN>
  %1 = onnx.Cast(%0) {to = f32} : (tensor<4xf8E4M3FN>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// -----

// f64 goes to f16 by way of f32, rounded to odd so that no number rounds twice.
// CHECK-LABEL: func @double_to_half
// CHECK: arith.truncf %{{.*}} : f64 to f32
// CHECK: arith.ori
// CHECK: arith.truncf %{{.*}} : f32 to f16
func.func @double_to_half(%x: tensor<4xf64>) -> tensor<4xf16> {
  %0 = onnx.Cast(%x) {to = f16} : (tensor<4xf64>) -> tensor<4xf16>
  return %0 : tensor<4xf16>
}

// -----

// One scale a channel, codes saturate.
// CHECK-LABEL: func @quantize
// CHECK: tensor.extract %{{.*}} : tensor<8xf32>
// CHECK: math.roundeven
// CHECK: arith.minimumf
// CHECK: arith.sitofp
// CHECK: arith.mulf
func.func @quantize(%x: tensor<?x8xf32>, %s: tensor<8xf32>, %z: tensor<8xi8>) -> tensor<?x8xf32> {
  %0 = onnx.QuantizeLinear(%x, %s, %z) {axis = 1 : i64} : (tensor<?x8xf32>, tensor<8xf32>, tensor<8xi8>) -> tensor<?x8xi8>
  %1 = onnx.DequantizeLinear(%0, %s, %z) {axis = 1 : i64} : (tensor<?x8xi8>, tensor<8xf32>, tensor<8xi8>) -> tensor<?x8xf32>
  return %1 : tensor<?x8xf32>
}
