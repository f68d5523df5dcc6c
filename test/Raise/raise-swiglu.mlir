// Gated activations outside experts become moe.swiglu.
// RUN: moe-opt %s -moe-raise-swiglu | FileCheck %s

// CHECK-LABEL: func @silu
// CHECK-SAME: %[[G:.*]]: tensor<?x8xf32> {{.*}}, %[[U:.*]]: tensor<?x8xf32>
func.func @silu(%g: tensor<?x8xf32> {moe.dims = ["t", 8]}, %u: tensor<?x8xf32> {moe.dims = ["t", 8]}) -> tensor<?x8xf32> {
  // CHECK: moe.swiglu %[[G]], %[[U]] :
  %s = onnx.Sigmoid(%g) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %a = onnx.Mul(%s, %g) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = onnx.Mul(%u, %a) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: func @clamped
// CHECK-SAME: %[[G:.*]]: tensor<3x8xf32>, %[[U:.*]]: tensor<3x8xf32>
func.func @clamped(%a: tensor<3x8xf32>, %b: tensor<3x8xf32>) -> tensor<3x8xf32> {
  // CHECK: moe.swiglu %[[G]], %[[U]] {alpha = 1.702000e+00 : f32, beta = 1.000000e+00 : f32, limit = 7.000000e+00 : f32}
  %low = onnx.Constant dense<-7.0> : tensor<f32>
  %high = onnx.Constant dense<7.0> : tensor<f32>
  %alpha = onnx.Constant dense<1.702> : tensor<f32>
  %one = onnx.Constant dense<1.0> : tensor<f32>
  %g = onnx.Clip(%a, none, %high) : (tensor<3x8xf32>, tensor<f32>) -> tensor<3x8xf32>
  %u = onnx.Clip(%b, %low, %high) : (tensor<3x8xf32>, tensor<f32>, tensor<f32>) -> tensor<3x8xf32>
  %m = onnx.Mul(%g, %alpha) : (tensor<3x8xf32>, tensor<f32>) -> tensor<3x8xf32>
  %s = onnx.Sigmoid(%m) : (tensor<3x8xf32>) -> tensor<3x8xf32>
  %w = onnx.Mul(%g, %s) : (tensor<3x8xf32>, tensor<3x8xf32>) -> tensor<3x8xf32>
  %p = onnx.Add(%u, %one) : (tensor<3x8xf32>, tensor<f32>) -> tensor<3x8xf32>
  %y = onnx.Mul(%p, %w) : (tensor<3x8xf32>, tensor<3x8xf32>) -> tensor<3x8xf32>
  return %y : tensor<3x8xf32>
}

// A clip with other bounds is not part of the activation.
// CHECK-LABEL: func @clipped_otherwise
func.func @clipped_otherwise(%a: tensor<3x8xf32>, %b: tensor<3x8xf32>) -> tensor<3x8xf32> {
  // CHECK: %[[U:.*]] = onnx.Clip
  // CHECK: moe.swiglu %{{.*}}, %[[U]] :
  %low = onnx.Constant dense<-7.0> : tensor<f32>
  %high = onnx.Constant dense<6.0> : tensor<f32>
  %u = onnx.Clip(%b, %low, %high) : (tensor<3x8xf32>, tensor<f32>, tensor<f32>) -> tensor<3x8xf32>
  %w = onnx.Swish(%a) : (tensor<3x8xf32>) -> tensor<3x8xf32>
  %y = onnx.Mul(%u, %w) : (tensor<3x8xf32>, tensor<3x8xf32>) -> tensor<3x8xf32>
  return %y : tensor<3x8xf32>
}

// A scalar gate for each row broadcasts: not this op.
// CHECK-LABEL: func @broadcast
func.func @broadcast(%g: tensor<3x1xf32>, %u: tensor<3x8xf32>) -> tensor<3x8xf32> {
  // CHECK-NOT: moe.swiglu
  %s = onnx.Sigmoid(%g) : (tensor<3x1xf32>) -> tensor<3x1xf32>
  %a = onnx.Mul(%g, %s) : (tensor<3x1xf32>, tensor<3x1xf32>) -> tensor<3x1xf32>
  %y = onnx.Mul(%a, %u) : (tensor<3x1xf32>, tensor<3x8xf32>) -> tensor<3x8xf32>
  return %y : tensor<3x8xf32>
}
