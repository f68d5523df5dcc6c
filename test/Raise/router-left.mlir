// RUN: moe-opt %s -moe-raise-routers -split-input-file | FileCheck %s
// What is no router is left alone and not spoken of; what is one, but of no known form, is reported.

// The best tokens of a sampler: nothing is multiplied by their scores.
// CHECK-NOT: moe.generic
// CHECK-LABEL: @sampler
// CHECK: onnx.TopK
// CHECK-NOT: moe.route
func.func @sampler(%logits: tensor<?x128xf32>) -> (tensor<?x5xf32>, tensor<?x5xi64>) {
  %k = onnx.Constant dense<5> : tensor<1xi64>
  %p = onnx.Softmax(%logits) : (tensor<?x128xf32>) -> tensor<?x128xf32>
  %v, %i = onnx.TopK(%p, %k) : (tensor<?x128xf32>, tensor<1xi64>) -> (tensor<?x5xf32>, tensor<?x5xi64>)
  return %v, %i : tensor<?x5xf32>, tensor<?x5xi64>
}

// -----

// The smallest scores win: no router of ours.
// CHECK-LABEL: @smallest
// CHECK: onnx.TopK
// CHECK-NOT: moe.route
func.func @smallest(%logits: tensor<?x8xf32>, %rows: tensor<?x2x16xf32>) -> tensor<?x1x16xf32> {
  %k = onnx.Constant dense<2> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %v, %i = onnx.TopK(%logits, %k) {largest = 0 : i64} : (tensor<?x8xf32>, tensor<1xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %u = onnx.Unsqueeze(%v, %one) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1x2xf32>
  %y = onnx.MatMul(%u, %rows) : (tensor<?x1x2xf32>, tensor<?x2x16xf32>) -> tensor<?x1x16xf32>
  return %y : tensor<?x1x16xf32>
}

// -----

// Ids that keep keys of attention choose no experts: they make a mask.
// CHECK: module attributes {moe.generic = [{node = "pick", op = "router", reason = "the weights are no known function of the picked scores"}]}
// CHECK-LABEL: @keys
// CHECK: onnx.TopK
// CHECK-NOT: moe.route
func.func @keys(%scores: tensor<?x8xf32>, %s: tensor<?x8xf32>, %v: tensor<8x16xf32>) -> tensor<?x16xf32> {
  %k = onnx.Constant dense<2> : tensor<1xi64>
  %low = onnx.Constant dense<-3.4e38> : tensor<f32>
  %none = onnx.Constant dense<0.0> : tensor<f32>
  %v2, %i = onnx.TopK(%scores, %k) : (tensor<?x8xf32>, tensor<1xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>) loc("pick")
  %shape = onnx.Shape(%s) : (tensor<?x8xf32>) -> tensor<2xi64>
  %ishape = onnx.Shape(%i) : (tensor<?x2xi64>) -> tensor<2xi64>
  %m = onnx.Expand(%low, %shape) : (tensor<f32>, tensor<2xi64>) -> tensor<?x8xf32>
  %z = onnx.Expand(%none, %ishape) : (tensor<f32>, tensor<2xi64>) -> tensor<?x2xf32>
  %mask = onnx.ScatterElements(%m, %i, %z) {axis = 1 : i64} : (tensor<?x8xf32>, tensor<?x2xi64>, tensor<?x2xf32>) -> tensor<?x8xf32>
  %y = onnx.MatMul(%mask, %v) : (tensor<?x8xf32>, tensor<8x16xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// The routing weights come from another tensor: the route gives the ids.
// CHECK-LABEL: @foreign_weights
// CHECK: %[[R:.*]]:2 = moe.route %arg0 {k = 2 : i64, score = #moe.score<none>}
// CHECK: onnx.GatherElements(%arg1, %[[R]]#1)
func.func @foreign_weights(%logits: tensor<?x8xf32>, %other: tensor<?x8xf32>, %x: tensor<?x16xf32>) -> tensor<?x2x16xf32> {
  %k = onnx.Constant dense<2> : tensor<1xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %w = onnx.Constant dense<0.5> : tensor<8x16x16xf32>
  %v, %i = onnx.TopK(%logits, %k) : (tensor<?x8xf32>, tensor<1xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>) loc("pick")
  %p = onnx.GatherElements(%other, %i) {axis = 1 : i64} : (tensor<?x8xf32>, tensor<?x2xi64>) -> tensor<?x2xf32>
  %g = onnx.Gather(%w, %i) {axis = 0 : i64} : (tensor<8x16x16xf32>, tensor<?x2xi64>) -> tensor<?x2x16x16xf32>
  %h = onnx.Einsum(%x, %g) {equation = "td,tkde->tke"} : (tensor<?x16xf32>, tensor<?x2x16x16xf32>) -> tensor<?x2x16xf32>
  %p1 = onnx.Unsqueeze(%p, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %s = onnx.Mul(%h, %p1) : (tensor<?x2x16xf32>, tensor<?x2x1xf32>) -> tensor<?x2x16xf32>
  return %s : tensor<?x2x16xf32>
}

// -----

// Chosen by rounded scores and weighed by those that are not: neither alone is what moe.route takes.
// CHECK: moe.generic = [{node = "top", op = "router", reason = "its scores are rounded before the choice, and its weights are not"}]
// CHECK-LABEL: @rounded_choice
// CHECK: onnx.TopK
// CHECK-NOT: moe.route
func.func @rounded_choice(%logits: tensor<?x8xf32>, %rows: tensor<?x2x16xf32>) -> tensor<?x1x16xf32> {
  %k = onnx.Constant dense<2> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %p = onnx.Softmax(%logits) {axis = -1 : i64} : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %h = onnx.Cast(%p) {to = bf16} : (tensor<?x8xf32>) -> tensor<?x8xbf16>
  %v, %i = onnx.TopK(%h, %k) : (tensor<?x8xbf16>, tensor<1xi64>) -> (tensor<?x2xbf16>, tensor<?x2xi64>) loc("top")
  %w = onnx.GatherElements(%p, %i) {axis = 1 : i64} : (tensor<?x8xf32>, tensor<?x2xi64>) -> tensor<?x2xf32>
  %u = onnx.Unsqueeze(%w, %one) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1x2xf32>
  %y = onnx.MatMul(%u, %rows) : (tensor<?x1x2xf32>, tensor<?x2x16xf32>) -> tensor<?x1x16xf32>
  return %y : tensor<?x1x16xf32>
}
