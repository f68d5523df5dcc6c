// RMS norms become moe.rms_norm in whatever order their operands stand; what is no RMS norm stays.
// RUN: moe-opt %s -moe-raise-norms | FileCheck %s

// CHECK-LABEL: func @weight_first
// CHECK-SAME: %[[X:.*]]: tensor<?x?x8xf32>, %[[W:.*]]: tensor<8xf32>
func.func @weight_first(%x: tensor<?x?x8xf32>, %w: tensor<8xf32>) -> tensor<?x?x8xf32> {
  // CHECK-NEXT: %[[Y:.*]] = moe.rms_norm %[[X]] weight(%[[W]]) {epsilon = 9.99999997E-7 : f32}
  // CHECK-NEXT: return %[[Y]]
  %axis = onnx.Constant dense<-1> : tensor<1xi64>
  %eps = onnx.Constant dense<1.0e-6> : tensor<f32>
  %s = onnx.Mul(%x, %x) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %m = onnx.ReduceMean(%s, %axis) : (tensor<?x?x8xf32>, tensor<1xi64>) -> tensor<?x?x1xf32>
  %v = onnx.Add(%m, %eps) : (tensor<?x?x1xf32>, tensor<f32>) -> tensor<?x?x1xf32>
  %q = onnx.Sqrt(%v) : (tensor<?x?x1xf32>) -> tensor<?x?x1xf32>
  %r = onnx.Reciprocal(%q) : (tensor<?x?x1xf32>) -> tensor<?x?x1xf32>
  %n = onnx.Mul(%x, %r) : (tensor<?x?x8xf32>, tensor<?x?x1xf32>) -> tensor<?x?x8xf32>
  %y = onnx.Mul(%w, %n) : (tensor<8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// The root divides, epsilon stands first, the weight is [1, 1, 8]; x is read elsewhere too.
// CHECK-LABEL: func @divided_residual
func.func @divided_residual(%a: tensor<?x?x8xf32>, %b: tensor<?x?x8xf32>, %w: tensor<1x1x8xf32>) -> (tensor<?x?x8xf32>, tensor<?x?x8xf32>) {
  // CHECK: %[[X:.*]] = onnx.Add
  // CHECK: %[[V:.*]] = onnx.Squeeze
  // CHECK: %[[Y:.*]] = moe.rms_norm %[[X]] weight(%[[V]])
  // CHECK-NEXT: return %[[Y]], %[[X]]
  %axis = onnx.Constant dense<2> : tensor<1xi64>
  %eps = onnx.Constant dense<1.0e-6> : tensor<f32>
  %x = onnx.Add(%a, %b) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %s = onnx.Mul(%x, %x) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %m = onnx.ReduceMean(%s, %axis) : (tensor<?x?x8xf32>, tensor<1xi64>) -> tensor<?x?x1xf32>
  %v = onnx.Add(%eps, %m) : (tensor<f32>, tensor<?x?x1xf32>) -> tensor<?x?x1xf32>
  %q = onnx.Sqrt(%v) : (tensor<?x?x1xf32>) -> tensor<?x?x1xf32>
  %n = onnx.Div(%x, %q) : (tensor<?x?x8xf32>, tensor<?x?x1xf32>) -> tensor<?x?x8xf32>
  %y = onnx.Mul(%n, %w) : (tensor<?x?x8xf32>, tensor<1x1x8xf32>) -> tensor<?x?x8xf32>
  return %y, %x : tensor<?x?x8xf32>, tensor<?x?x8xf32>
}

// In narrow formats the statistics are wide, and the weights multiply what was rounded.
// CHECK-LABEL: func @widened
func.func @widened(%x: tensor<?x8xf16>, %w: tensor<8xf16>) -> tensor<?x8xf16> {
  // CHECK: %[[WIDE:.*]] = onnx.Cast
  // CHECK: %[[N:.*]] = moe.rms_norm %[[WIDE]] {epsilon
  // CHECK: %[[R:.*]] = onnx.Cast(%[[N]])
  // CHECK: onnx.Mul(%{{.*}}, %[[R]])
  %axis = onnx.Constant dense<-1> : tensor<1xi64>
  %power = onnx.Constant dense<-0.5> : tensor<f32>
  %eps = onnx.Constant dense<1.0e-6> : tensor<f32>
  %f = onnx.Cast(%x) {to = f32} : (tensor<?x8xf16>) -> tensor<?x8xf32>
  %s = onnx.Mul(%f, %f) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %m = onnx.ReduceMean(%s, %axis) : (tensor<?x8xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %v = onnx.Add(%m, %eps) : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xf32>
  %r = onnx.Pow(%v, %power) : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xf32>
  %n = onnx.Mul(%f, %r) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %h = onnx.Cast(%n) {to = f16} : (tensor<?x8xf32>) -> tensor<?x8xf16>
  %y = onnx.Mul(%w, %h) : (tensor<8xf16>, tensor<?x8xf16>) -> tensor<?x8xf16>
  return %y : tensor<?x8xf16>
}

// Heads are normed each on their own, without weights and epsilon.
// CHECK-LABEL: func @heads
func.func @heads(%x: tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32> {
  // CHECK: moe.rms_norm %{{.*}} {epsilon = 0.000000e+00 : f32} : (tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32>
  %axis = onnx.Constant dense<3> : tensor<1xi64>
  %s = onnx.Mul(%x, %x) : (tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32>
  %m = onnx.ReduceMean(%s, %axis) : (tensor<?x4x?x8xf32>, tensor<1xi64>) -> tensor<?x4x?x1xf32>
  %q = onnx.Sqrt(%m) : (tensor<?x4x?x1xf32>) -> tensor<?x4x?x1xf32>
  %n = onnx.Div(%x, %q) : (tensor<?x4x?x8xf32>, tensor<?x4x?x1xf32>) -> tensor<?x4x?x8xf32>
  return %n : tensor<?x4x?x8xf32>
}

// A gate of the same shape as x is no weight.
// CHECK-LABEL: func @gated
func.func @gated(%x: tensor<?x8xf32>, %g: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK: moe.rms_norm %{{.*}} {epsilon
  // CHECK: onnx.Mul
  %axis = onnx.Constant dense<-1> : tensor<1xi64>
  %s = onnx.Mul(%x, %x) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %m = onnx.ReduceMean(%s, %axis) : (tensor<?x8xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %q = onnx.Sqrt(%m) : (tensor<?x1xf32>) -> tensor<?x1xf32>
  %n = onnx.Div(%x, %q) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %y = onnx.Mul(%n, %g) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: func @layer_norm_stays
func.func @layer_norm_stays(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK-NOT: moe.rms_norm
  %axis = onnx.Constant dense<-1> : tensor<1xi64>
  %a = onnx.ReduceMean(%x, %axis) : (tensor<?x8xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %c = onnx.Sub(%x, %a) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %s = onnx.Mul(%c, %c) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %m = onnx.ReduceMean(%s, %axis) : (tensor<?x8xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %q = onnx.Sqrt(%m) : (tensor<?x1xf32>) -> tensor<?x1xf32>
  %n = onnx.Div(%c, %q) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  return %n : tensor<?x8xf32>
}

// CHECK-LABEL: func @another_value_is_scaled
func.func @another_value_is_scaled(%x: tensor<?x8xf32>, %z: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK-NOT: moe.rms_norm
  %axis = onnx.Constant dense<-1> : tensor<1xi64>
  %s = onnx.Mul(%x, %x) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %m = onnx.ReduceMean(%s, %axis) : (tensor<?x8xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %q = onnx.Sqrt(%m) : (tensor<?x1xf32>) -> tensor<?x1xf32>
  %n = onnx.Div(%z, %q) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  return %n : tensor<?x8xf32>
}

// CHECK-LABEL: func @other_axis
func.func @other_axis(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // CHECK-NOT: moe.rms_norm
  %axis = onnx.Constant dense<0> : tensor<1xi64>
  %s = onnx.Mul(%x, %x) : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %m = onnx.ReduceMean(%s, %axis) : (tensor<4x8xf32>, tensor<1xi64>) -> tensor<1x8xf32>
  %q = onnx.Sqrt(%m) : (tensor<1x8xf32>) -> tensor<1x8xf32>
  %n = onnx.Div(%x, %q) : (tensor<4x8xf32>, tensor<1x8xf32>) -> tensor<4x8xf32>
  return %n : tensor<4x8xf32>
}

// CHECK-LABEL: func @nodes
func.func @nodes(%x: tensor<?x?x8xf32>, %skip: tensor<?x?x8xf32>, %w: tensor<8xf32>) -> (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>) {
  // CHECK: moe.rms_norm %{{.*}} weight(%{{.*}}) {epsilon = 9.99999974E-6 : f32}
  %a = onnx.RMSNormalization(%x, %w) {epsilon = 9.99999974E-6 : f32} : (tensor<?x?x8xf32>, tensor<8xf32>) -> tensor<?x?x8xf32>
  // CHECK: moe.rms_norm
  %b = onnx.ms.SimplifiedLayerNormalization(%a, %w) : (tensor<?x?x8xf32>, tensor<8xf32>) -> tensor<?x?x8xf32>
  // CHECK: %[[SUM:.*]] = onnx.Add
  // CHECK: %[[N:.*]] = moe.rms_norm %[[SUM]]
  // CHECK: return %{{.*}}, %[[N]], %[[SUM]]
  %c, %sum = onnx.ms.SkipSimplifiedLayerNormalization(%b, %skip, %w) {resultSegmentSizes = array<i32: 1, 0, 0, 1>} : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<8xf32>) -> (tensor<?x?x8xf32>, tensor<?x?x8xf32>)
  return %b, %c, %sum : tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>
}

// CHECK-LABEL: func @node_over_two_axes
func.func @node_over_two_axes(%x: tensor<?x4x8xf32>, %w: tensor<4x8xf32>) -> tensor<?x4x8xf32> {
  // CHECK: onnx.RMSNormalization
  %a = onnx.RMSNormalization(%x, %w) {axis = 1 : i64} : (tensor<?x4x8xf32>, tensor<4x8xf32>) -> tensor<?x4x8xf32>
  return %a : tensor<?x4x8xf32>
}
