// What cannot be typed is one diagnostic at the node.
// RUN: moe-opt %s -onnx-infer-types -split-input-file -verify-diagnostics

func.func @broadcast(%a: tensor<3xf32>, %b: tensor<4xf32>) -> tensor<0xf32> {
  // expected-error@+1 {{'onnx.Add' op expects shapes that broadcast, but they are [3] and [4]}}
  %0 = onnx.Add(%a, %b) : (tensor<3xf32>, tensor<4xf32>) -> tensor<0xf32>
  return %0 : tensor<0xf32>
}

// -----

func.func @element_types(%a: tensor<3xf32>, %b: tensor<3xi64>) -> tensor<0xf32> {
  // expected-error@+1 {{'onnx.Add' op expects inputs of one element type, but they are 'f32' and 'i64'}}
  %0 = onnx.Add(%a, %b) : (tensor<3xf32>, tensor<3xi64>) -> tensor<0xf32>
  return %0 : tensor<0xf32>
}

// -----

func.func @summed_extent(%a: tensor<?x8xf32>, %b: tensor<7x3xf32>) -> tensor<0xf32> {
  // expected-error@+1 {{'onnx.MatMul' op expects factors that agree in the summed extent, but they are [d0, 8] and [7, 3]}}
  %0 = onnx.MatMul(%a, %b) : (tensor<?x8xf32>, tensor<7x3xf32>) -> tensor<0xf32>
  return %0 : tensor<0xf32>
}

// -----

func.func @too_many_elements(%a: tensor<6xf32>) -> tensor<0xf32> {
  %shape = onnx.Constant dense<[4, 2]> : tensor<2xi64>
  // expected-error@+1 {{'onnx.Reshape' op expects as many elements as its input, 6, but the shape [4, 2] has 8}}
  %0 = onnx.Reshape(%a, %shape) : (tensor<6xf32>, tensor<2xi64>) -> tensor<0xf32>
  return %0 : tensor<0xf32>
}

// -----

func.func @axis(%a: tensor<6xf32>) -> (tensor<0xf32>, tensor<0xi64>) {
  %k = onnx.Constant dense<9> : tensor<1xi64>
  // expected-error@+1 {{'onnx.TopK' op expects 0 <= K <= 6, but K is 9}}
  %0, %1 = onnx.TopK(%a, %k) : (tensor<6xf32>, tensor<1xi64>) -> (tensor<0xf32>, tensor<0xi64>)
  return %0, %1 : tensor<0xf32>, tensor<0xi64>
}

// -----

func.func @unknown_axes(%a: tensor<6xf32>, %axes: tensor<?xi64>) -> tensor<0xf32> {
  // expected-error@+1 {{'onnx.Unsqueeze' op expects a known number of axes, since ranks are static}}
  %0 = onnx.Unsqueeze(%a, %axes) : (tensor<6xf32>, tensor<?xi64>) -> tensor<0xf32>
  return %0 : tensor<0xf32>
}

// -----

func.func @too_large(%a: tensor<1x1xf32>) -> tensor<0xf32> {
  %shape = onnx.Constant dense<1099511627776> : tensor<2xi64>
  // expected-error@+1 {{'onnx.Expand' op expects a result of at most 2^40 elements, but dim 1 of it would be 1099511627776}}
  %0 = onnx.Expand(%a, %shape) : (tensor<1x1xf32>, tensor<2xi64>) -> tensor<0xf32>
  return %0 : tensor<0xf32>
}

// -----

func.func @many_dims(%a: tensor<1xf32>) -> tensor<0xf32> {
  %axes = onnx.Constant dense<[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]> : tensor<16xi64>
  // expected-error@+1 {{'onnx.Unsqueeze' op expects a result of at most 16 dims, but it would have 17}}
  %0 = onnx.Unsqueeze(%a, %axes) : (tensor<1xf32>, tensor<16xi64>) -> tensor<0xf32>
  return %0 : tensor<0xf32>
}

// -----

func.func @large_pads(%a: tensor<4xf32>) -> tensor<0xf32> {
  %pads = onnx.Constant dense<4611686018427387904> : tensor<2xi64>
  // expected-error@+1 {{'onnx.Pad' op expects pads of at most 2^40 elements, but found 4611686018427387904}}
  %0 = onnx.Pad(%a, %pads, none, none) : (tensor<4xf32>, tensor<2xi64>) -> tensor<0xf32>
  return %0 : tensor<0xf32>
}

// -----

func.func @large_window(%a: tensor<1x1x8xf32>) -> tensor<0xf32> {
  // expected-error@+1 {{'onnx.AveragePool' op expects kernels, strides, dilations and pads of at most 1048576, but found 4611686018427387904}}
  %0 = onnx.AveragePool(%a) {kernel_shape = array<i64: 4611686018427387904>} : (tensor<1x1x8xf32>) -> tensor<0xf32>
  return %0 : tensor<0xf32>
}

// -----

func.func @past_value(%q: tensor<1x2x3x8xf32>, %past: tensor<1x2x5x8xf32>, %other: tensor<1x2x5xf32>) -> tensor<0xf32> {
  // expected-error@+1 {{'onnx.Attention' op expects past_value of shape [1, 2, 5, 8], but it is [1, 2, 5]}}
  %0 = onnx.Attention(%q, %q, %q, none, %past, %other) {resultSegmentSizes = array<i32: 1, 0, 0, 0>} : (tensor<1x2x3x8xf32>, tensor<1x2x3x8xf32>, tensor<1x2x3x8xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5xf32>) -> tensor<0xf32>
  return %0 : tensor<0xf32>
}

// -----

func.func @absurd_rank(%shape: tensor<1099511627776xi64>) -> tensor<0xf32> {
  // expected-error@+1 {{'onnx.ConstantOfShape' op expects a shape operand of known length, since ranks are static}}
  %0 = onnx.ConstantOfShape(%shape) : (tensor<1099511627776xi64>) -> tensor<0xf32>
  return %0 : tensor<0xf32>
}

// -----

func.func @moe_experts(%x: tensor<3x7xf32>, %logits: tensor<3x4xf32>, %w1: tensor<2x5x7xf32>, %w2: tensor<4x7x5xf32>) -> tensor<0xf32> {
  // expected-error@+1 {{'onnx.ms.MoE' op expects fc1 weights of shape [4, 5, 7], but it is [2, 5, 7]}}
  %0 = onnx.ms.MoE(%x, %logits, %w1, none, %w2) {k = 2 : i64} : (tensor<3x7xf32>, tensor<3x4xf32>, tensor<2x5x7xf32>, tensor<4x7x5xf32>) -> tensor<0xf32>
  return %0 : tensor<0xf32>
}

// -----

func.func @moe_rows(%x: tensor<3x7xf32>, %logits: tensor<3x4xf32>, %w1: tensor<4x5x7xf32>, %w2: tensor<4x7x9xf32>) -> tensor<0xf32> {
  // expected-error@+1 {{'onnx.ms.MoE' op expects fc1 to have as many rows as fc2 has columns, 9, or twice as many, but it has 5}}
  %0 = onnx.ms.MoE(%x, %logits, %w1, none, %w2) {k = 2 : i64} : (tensor<3x7xf32>, tensor<3x4xf32>, tensor<4x5x7xf32>, tensor<4x7x9xf32>) -> tensor<0xf32>
  return %0 : tensor<0xf32>
}
