// The onnx ops print as they parse: missing inputs are `none`, attributes at their default are not printed.
// RUN: moe-opt %s | moe-opt | FileCheck %s

// CHECK-LABEL: func @missing_inputs
func.func @missing_inputs(%x: tensor<?x4xf32>, %m: tensor<f32>) -> tensor<?x4xf32> {
  // CHECK: onnx.Clip(%{{.*}}, none, %{{.*}}) : (tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xf32>
  %0 = onnx.Clip(%x, none, %m) : (tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xf32>
  // CHECK: onnx.Clip(%{{.*}}, %{{.*}}) : (tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xf32>
  %1 = onnx.Clip(%0, %m) : (tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xf32>
  // CHECK: onnx.Clip(%{{.*}}) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %2 = onnx.Clip(%1) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %2 : tensor<?x4xf32>
}

// CHECK-LABEL: func @attributes
func.func @attributes(%x: tensor<2x4xf32>) -> tensor<2x4xf16> {
  // CHECK: onnx.Softmax(%{{.*}}) {axis = 0 : i64} : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %0 = onnx.Softmax(%x) {axis = 0 : i64} : (tensor<2x4xf32>) -> tensor<2x4xf32>
  // CHECK: onnx.Softmax(%{{.*}}) : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %1 = onnx.Softmax(%0) {axis = -1 : i64} : (tensor<2x4xf32>) -> tensor<2x4xf32>
  // CHECK: onnx.Cast(%{{.*}}) {to = f16} : (tensor<2x4xf32>) -> tensor<2x4xf16>
  %2 = onnx.Cast(%1) {to = f16} : (tensor<2x4xf32>) -> tensor<2x4xf16>
  // CHECK: onnx.Transpose(%{{.*}}) {perm = array<i64: 0, 1>} :
  %3 = onnx.Transpose(%2) {perm = array<i64: 0, 1>} : (tensor<2x4xf16>) -> tensor<2x4xf16>
  return %3 : tensor<2x4xf16>
}

// CHECK-LABEL: func @variadic
func.func @variadic(%x: tensor<2x4xf32>) -> (tensor<2x2xf32>, tensor<2x2xf32>) {
  // CHECK: onnx.Concat(%{{.*}}, %{{.*}}, %{{.*}}) {axis = 0 : i64} :
  %0 = onnx.Concat(%x, %x, %x) {axis = 0 : i64} : (tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<6x4xf32>
  // CHECK: onnx.Constant dense<2> : tensor<2xi64>
  %s = onnx.Constant dense<2> : tensor<2xi64>
  // CHECK: %{{.*}}:2 = onnx.Split(%{{.*}}, %{{.*}}) {axis = 1 : i64} :
  %1:2 = onnx.Split(%x, %s) {axis = 1 : i64} : (tensor<2x4xf32>, tensor<2xi64>) -> (tensor<2x2xf32>, tensor<2x2xf32>)
  return %1#0, %1#1 : tensor<2x2xf32>, tensor<2x2xf32>
}

// A result that is missing between others keeps its place.
// CHECK-LABEL: func @missing_results
func.func @missing_results(%q: tensor<1x2x3x8xf32>) -> (tensor<1x2x3x8xf32>, tensor<1x2x3x3xf32>) {
  // CHECK: onnx.Attention(%{{.*}}, %{{.*}}, %{{.*}}) {is_causal = 1 : i64, resultSegmentSizes = array<i32: 1, 0, 0, 1>} :
  %0:2 = onnx.Attention(%q, %q, %q) {is_causal = 1 : i64, resultSegmentSizes = array<i32: 1, 0, 0, 1>}
      : (tensor<1x2x3x8xf32>, tensor<1x2x3x8xf32>, tensor<1x2x3x8xf32>) -> (tensor<1x2x3x8xf32>, tensor<1x2x3x3xf32>)
  // CHECK: onnx.Attention(%{{.*}}, %{{.*}}, %{{.*}}) : (
  %1 = onnx.Attention(%q, %q, %q) : (tensor<1x2x3x8xf32>, tensor<1x2x3x8xf32>, tensor<1x2x3x8xf32>) -> tensor<1x2x3x8xf32>
  return %1, %0#1 : tensor<1x2x3x8xf32>, tensor<1x2x3x3xf32>
}

// CHECK-LABEL: func @com_microsoft
func.func @com_microsoft(%x: tensor<?x8xf32>, %r: tensor<?x4xf32>, %w: tensor<4x16x8xf32>, %v: tensor<4x8x16xf32>) -> tensor<?x8xf32> {
  // CHECK: onnx.ms.MoE(%{{.*}}, %{{.*}}, %{{.*}}, none, %{{.*}}) {activation_type = "silu", k = 2 : i64} :
  %0 = onnx.ms.MoE(%x, %r, %w, none, %v) {activation_type = "silu", k = 2 : i64}
      : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<4x16x8xf32>, tensor<4x8x16xf32>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}
