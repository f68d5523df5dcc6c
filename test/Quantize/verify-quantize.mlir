// RUN: moe-opt %s -split-input-file -moe-verify-quantize -verify-diagnostics

// expected-error @below {{'func.func' op expects no scaled values as arguments}}
func.func @argument(%x: !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32>) { return }

// -----

func.func @returned(%x: tensor<4x8xf32>) -> !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32> {
  %q = moe.quantize %x : tensor<4x8xf32> -> !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32>
  // expected-error @below {{'func.return' op expects no scaled values: they are made and read by moe ops of one function}}
  return %q : !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32>
}

// -----

func.func @router(%x: tensor<?x8xf32>, %w: tensor<1x16x8xf32>) {
  %q = moe.quantize %w : tensor<1x16x8xf32> -> !moe.scaled<1x16x8xf8E4M3FN, block = [1, 0, 0], scale = f32>
  %l = moe.grouped_matmul %x weights(%q) : (tensor<?x8xf32>, !moe.scaled<1x16x8xf8E4M3FN, block = [1, 0, 0], scale = f32>) -> tensor<?x16xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  // expected-error @below {{'moe.route' op expects logits in high precision, but they are a product of scaled values}}
  %r:2 = moe.route %l {k = 2 : i64} : (tensor<?x16xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  return
}

// -----

func.func @left(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @below {{'onnx.Relu' op is not expected after the quantize phase}}
  %y = onnx.Relu(%x) : (tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}
