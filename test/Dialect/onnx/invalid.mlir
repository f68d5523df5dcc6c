// RUN: moe-opt %s -split-input-file -verify-diagnostics

func.func @required_input_is_none(%x: tensor<4xf32>) {
  // expected-error @below {{'onnx.Add' op has no optional input at this place}}
  %0 = onnx.Add(%x, none) : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @too_many_inputs(%x: tensor<4xf32>) {
  // expected-error @below {{'onnx.Neg' op takes at most 1 inputs}}
  %0 = onnx.Neg(%x, %x) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @required_attribute(%x: tensor<4xf32>) {
  // expected-error @below {{'onnx.Cast' op requires attribute 'to'}}
  %0 = onnx.Cast(%x) : (tensor<4xf32>) -> tensor<4xf16>
  return
}

// -----

func.func @attribute_type(%x: tensor<4xf32>) {
  // expected-error @below {{attribute 'axis' failed to satisfy constraint: 64-bit integer}}
  %0 = onnx.Softmax(%x) {axis = 1 : i32} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @ranked(%x: tensor<*xf32>) {
  // expected-error @below {{must be ranked tensor of any type values}}
  %0 = onnx.Neg(%x) : (tensor<*xf32>) -> tensor<*xf32>
  return
}
