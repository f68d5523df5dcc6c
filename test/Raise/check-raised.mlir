// RUN: moe-opt %s -split-input-file -verify-diagnostics -moe-check-raised

func.func @clean(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = moe.rms_norm %x {epsilon = 1.0e-6 : f32} : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

func.func @left(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{'onnx.Relu' op expects no op of this kind after raise}}
  %0 = onnx.Relu(%x) : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
