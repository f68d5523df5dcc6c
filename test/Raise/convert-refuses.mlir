// RUN: moe-opt %s -split-input-file -verify-diagnostics -moe-convert-onnx

// Every variant without a lowering is told, at its node.
func.func @unsupported(%x: tensor<1x3x8x8xf32>, %s: tensor<4xf32>, %a: tensor<?xi64>) -> (tensor<?x?x?x?xf32>, tensor<?x3x8x8xf32>) {
  // expected-error @+1 {{'onnx.Resize' op has no lowering}}
  %0 = onnx.Resize(%x, none, %s) : (tensor<1x3x8x8xf32>, tensor<4xf32>) -> tensor<?x?x?x?xf32>
  // expected-error @+1 {{'onnx.ReduceSum' op expects axes of known number}}
  %1 = onnx.ReduceSum(%x, %a) : (tensor<1x3x8x8xf32>, tensor<?xi64>) -> tensor<?x3x8x8xf32>
  return %0, %1 : tensor<?x?x?x?xf32>, tensor<?x3x8x8xf32>
}

// -----

func.func @axis(%x: tensor<3x4xf32>) -> tensor<3x4xf32> {
  // expected-error @+1 {{'onnx.Softmax' op expects axis in range}}
  %0 = onnx.Softmax(%x) {axis = 5 : i64} : (tensor<3x4xf32>) -> tensor<3x4xf32>
  return %0 : tensor<3x4xf32>
}

// -----

func.func @k(%x: tensor<3x4xf32>) -> (tensor<3x9xf32>, tensor<3x9xi64>) {
  %k = onnx.Constant dense<9> : tensor<1xi64>
  // expected-error @+1 {{'onnx.TopK' op expects k in [0, 4], but it is 9}}
  %0:2 = onnx.TopK(%x, %k) : (tensor<3x4xf32>, tensor<1xi64>) -> (tensor<3x9xf32>, tensor<3x9xi64>)
  return %0#0, %0#1 : tensor<3x9xf32>, tensor<3x9xi64>
}
