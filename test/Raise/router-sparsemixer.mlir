// RUN: moe-opt %s -moe-raise-routers | FileCheck %s
// The larger of -inf and a logit leaves the first expert among those that the second is picked from.
// RUN: sed 's/{axis = -1 : i64} : (tensor<?x6xf32>, tensor<?x1xi64>, tensor<?x1xf32>)/{axis = -1 : i64, reduction = "max"} : (tensor<?x6xf32>, tensor<?x1xi64>, tensor<?x1xf32>)/' %s > %t.mlir
// RUN: moe-opt %t.mlir -moe-raise-routers | FileCheck %s --check-prefix=MAX
// MAX: reduction = "max"
// MAX-NOT: sparsemixer
// Two picks, each with a softmax over the experts near its own maximum.

// CHECK-LABEL: @two_picks
// CHECK: %[[R:.*]]:2 = moe.route %arg0 {k = 2 : i64, score = #moe.score<sparsemixer>} : (tensor<?x6xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
// CHECK-NOT: onnx.ArgMax
// What reads the weights may stand before the indices.
// CHECK: onnx.Relu(%[[R]]#0)
// CHECK: return %{{.*}}, %[[R]]#1
func.func @two_picks(%l: tensor<?x6xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>) {
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %bound = onnx.Constant dense<0.02> : tensor<f32>
  %ninf = onnx.Constant dense<0xFF800000> : tensor<f32>
  %m = onnx.ReduceMax(%l, %last) : (tensor<?x6xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %i = onnx.ArgMax(%l) {axis = -1 : i64} : (tensor<?x6xf32>) -> tensor<?x1xi64>
  %abs = onnx.Abs(%l) : (tensor<?x6xf32>) -> tensor<?x6xf32>
  %f = onnx.Max(%abs, %m) : (tensor<?x6xf32>, tensor<?x1xf32>) -> tensor<?x6xf32>
  %d = onnx.Sub(%m, %l) : (tensor<?x1xf32>, tensor<?x6xf32>) -> tensor<?x6xf32>
  %q = onnx.Div(%d, %f) : (tensor<?x6xf32>, tensor<?x6xf32>) -> tensor<?x6xf32>
  %g = onnx.Greater(%q, %bound) : (tensor<?x6xf32>, tensor<f32>) -> tensor<?x6xi1>
  %w = onnx.Where(%g, %ninf, %l) : (tensor<?x6xi1>, tensor<f32>, tensor<?x6xf32>) -> tensor<?x6xf32>
  %p = onnx.Softmax(%w) : (tensor<?x6xf32>) -> tensor<?x6xf32>
  %w1 = onnx.GatherElements(%p, %i) {axis = -1 : i64} : (tensor<?x6xf32>, tensor<?x1xi64>) -> tensor<?x1xf32>
  %shape = onnx.Shape(%i) : (tensor<?x1xi64>) -> tensor<2xi64>
  %fill = onnx.ConstantOfShape(%shape) {value = dense<0xFF800000> : tensor<1xf32>} : (tensor<2xi64>) -> tensor<?x1xf32>
  %l2 = onnx.ScatterElements(%l, %i, %fill) {axis = -1 : i64} : (tensor<?x6xf32>, tensor<?x1xi64>, tensor<?x1xf32>) -> tensor<?x6xf32>
  %m2 = onnx.ReduceMax(%l2, %last) : (tensor<?x6xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %i2 = onnx.ArgMax(%l2) {axis = -1 : i64} : (tensor<?x6xf32>) -> tensor<?x1xi64>
  %f2 = onnx.Max(%abs, %m2) : (tensor<?x6xf32>, tensor<?x1xf32>) -> tensor<?x6xf32>
  %d2 = onnx.Sub(%m2, %l) : (tensor<?x1xf32>, tensor<?x6xf32>) -> tensor<?x6xf32>
  %q2 = onnx.Div(%d2, %f2) : (tensor<?x6xf32>, tensor<?x6xf32>) -> tensor<?x6xf32>
  %g2 = onnx.Greater(%q2, %bound) : (tensor<?x6xf32>, tensor<f32>) -> tensor<?x6xi1>
  %v2 = onnx.Where(%g2, %ninf, %l2) : (tensor<?x6xi1>, tensor<f32>, tensor<?x6xf32>) -> tensor<?x6xf32>
  %p2 = onnx.Softmax(%v2) : (tensor<?x6xf32>) -> tensor<?x6xf32>
  %w2 = onnx.GatherElements(%p2, %i2) {axis = -1 : i64} : (tensor<?x6xf32>, tensor<?x1xi64>) -> tensor<?x1xf32>
  %weights = onnx.Concat(%w1, %w2) {axis = -1 : i64} : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %used = onnx.Relu(%weights) : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %ids = onnx.Concat(%i, %i2) {axis = -1 : i64} : (tensor<?x1xi64>, tensor<?x1xi64>) -> tensor<?x2xi64>
  return %used, %ids : tensor<?x2xf32>, tensor<?x2xi64>
}
