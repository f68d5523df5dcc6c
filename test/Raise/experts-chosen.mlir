// RUN: moe-opt %s -moe-raise-experts -split-input-file | FileCheck %s
// Ids and weights that are not a route's, or not as it gave them.

// A table says which experts a token has.
// CHECK: moe.generic = [{node = "lookup", op = "router", reason = "the ids of its experts are no places of largest scores"}]
// CHECK-LABEL: @table
// CHECK: %[[IDS:.*]] = onnx.Gather(
// CHECK: %[[W:.*]] = onnx.GatherElements(%{{.*}}, %[[IDS]])
// CHECK: %[[Y:.*]] = moe.experts %{{.*}}, %[[W]], %[[IDS]] params(
// CHECK-NOT: moe.route
// CHECK: return %[[Y]]
func.func @table(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}, %token: tensor<?xi64> {moe.dims = ["tokens"]}) -> tensor<?x16xf32> {
  %around = onnx.Constant dense<[1, 3]> : tensor<2xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %p = onnx.Constant dense<0.1> : tensor<3x16x16xf32>
  %table = onnx.Constant dense<[[0, 1], [2, 1], [1, 0], [2, 2]]> : tensor<4x2xi64>
  %ids = onnx.Gather(%table, %token) {axis = 0 : i64} : (tensor<4x2xi64>, tensor<?xi64>) -> tensor<?x2xi64> loc("lookup")
  %s = onnx.Sigmoid(%l) : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %w = onnx.GatherElements(%s, %ids) {axis = 1 : i64} : (tensor<?x3xf32>, tensor<?x2xi64>) -> tensor<?x2xf32>
  %g = onnx.Gather(%p, %ids) {axis = 0 : i64} : (tensor<3x16x16xf32>, tensor<?x2xi64>) -> tensor<?x2x16x16xf32>
  %xu = onnx.Unsqueeze(%x, %around) : (tensor<?x16xf32>, tensor<2xi64>) -> tensor<?x1x16x1xf32>
  %h = onnx.MatMul(%g, %xu) : (tensor<?x2x16x16xf32>, tensor<?x1x16x1xf32>) -> tensor<?x2x16x1xf32>
  %hs = onnx.Squeeze(%h, %last) : (tensor<?x2x16x1xf32>, tensor<1xi64>) -> tensor<?x2x16xf32>
  %wu = onnx.Unsqueeze(%w, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %weighted = onnx.Mul(%hs, %wu) : (tensor<?x2x16xf32>, tensor<?x2x1xf32>) -> tensor<?x2x16xf32>
  %y = onnx.ReduceSum(%weighted, %one) {keepdims = 0 : i64} : (tensor<?x2x16xf32>, tensor<1xi64>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// An id that no expert has.
// CHECK-LABEL: @out_of_range
// CHECK-NOT: moe.experts
func.func @out_of_range(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}, %token: tensor<?xi64> {moe.dims = ["tokens"]}) -> tensor<?x16xf32> {
  %around = onnx.Constant dense<[1, 3]> : tensor<2xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %p = onnx.Constant dense<0.1> : tensor<3x16x16xf32>
  %table = onnx.Constant dense<[[0, 1], [2, 1], [1, 3], [2, 2]]> : tensor<4x2xi64>
  %ids = onnx.Gather(%table, %token) {axis = 0 : i64} : (tensor<4x2xi64>, tensor<?xi64>) -> tensor<?x2xi64> loc("lookup")
  %s = onnx.Sigmoid(%l) : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %w = onnx.GatherElements(%s, %ids) {axis = 1 : i64} : (tensor<?x3xf32>, tensor<?x2xi64>) -> tensor<?x2xf32>
  %g = onnx.Gather(%p, %ids) {axis = 0 : i64} : (tensor<3x16x16xf32>, tensor<?x2xi64>) -> tensor<?x2x16x16xf32>
  %xu = onnx.Unsqueeze(%x, %around) : (tensor<?x16xf32>, tensor<2xi64>) -> tensor<?x1x16x1xf32>
  %h = onnx.MatMul(%g, %xu) : (tensor<?x2x16x16xf32>, tensor<?x1x16x1xf32>) -> tensor<?x2x16x1xf32>
  %hs = onnx.Squeeze(%h, %last) : (tensor<?x2x16x1xf32>, tensor<1xi64>) -> tensor<?x2x16xf32>
  %wu = onnx.Unsqueeze(%w, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %weighted = onnx.Mul(%hs, %wu) : (tensor<?x2x16xf32>, tensor<?x2x1xf32>) -> tensor<?x2x16xf32>
  %y = onnx.ReduceSum(%weighted, %one) {keepdims = 0 : i64} : (tensor<?x2x16xf32>, tensor<1xi64>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// The last expert of the router is none: its id becomes 0, its weight too.
// CHECK-LABEL: @skipped
// CHECK: %[[R:.*]]:2 = moe.route
// CHECK-DAG: %[[W:.*]] = onnx.Where(%{{.*}}, %{{.*}}, %[[R]]#0)
// CHECK-DAG: %[[IDS:.*]] = onnx.Where(%{{.*}}, %{{.*}}, %[[R]]#1)
// CHECK: moe.experts %{{.*}}, %[[W]], %[[IDS]] params(
func.func @skipped(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x4xf32> {moe.dims = ["tokens", 4]}) -> tensor<?x16xf32> {
  %around = onnx.Constant dense<[1, 3]> : tensor<2xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %p = onnx.Constant dense<0.1> : tensor<3x16x16xf32>
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x4xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %none = onnx.Constant dense<3> : tensor<i64>
  %izero = onnx.Constant dense<0> : tensor<i64>
  %fzero = onnx.Constant dense<0.0> : tensor<f32>
  %is = onnx.Equal(%i, %none) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %wm = onnx.Where(%is, %fzero, %w) : (tensor<?x2xi1>, tensor<f32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %im = onnx.Where(%is, %izero, %i) : (tensor<?x2xi1>, tensor<i64>, tensor<?x2xi64>) -> tensor<?x2xi64>
  %g = onnx.Gather(%p, %im) {axis = 0 : i64} : (tensor<3x16x16xf32>, tensor<?x2xi64>) -> tensor<?x2x16x16xf32>
  %xu = onnx.Unsqueeze(%x, %around) : (tensor<?x16xf32>, tensor<2xi64>) -> tensor<?x1x16x1xf32>
  %h = onnx.MatMul(%g, %xu) : (tensor<?x2x16x16xf32>, tensor<?x1x16x1xf32>) -> tensor<?x2x16x1xf32>
  %hs = onnx.Squeeze(%h, %last) : (tensor<?x2x16x1xf32>, tensor<1xi64>) -> tensor<?x2x16xf32>
  %wu = onnx.Unsqueeze(%wm, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %weighted = onnx.Mul(%hs, %wu) : (tensor<?x2x16xf32>, tensor<?x2x1xf32>) -> tensor<?x2x16xf32>
  %y = onnx.ReduceSum(%weighted, %one) {keepdims = 0 : i64} : (tensor<?x2x16xf32>, tensor<1xi64>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// Another than the last is masked: the last id is out of range.
// CHECK-LABEL: @other_skipped
// CHECK-NOT: moe.experts
func.func @other_skipped(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x4xf32> {moe.dims = ["tokens", 4]}) -> tensor<?x16xf32> {
  %around = onnx.Constant dense<[1, 3]> : tensor<2xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %p = onnx.Constant dense<0.1> : tensor<3x16x16xf32>
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x4xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %none = onnx.Constant dense<2> : tensor<i64>
  %izero = onnx.Constant dense<0> : tensor<i64>
  %fzero = onnx.Constant dense<0.0> : tensor<f32>
  %is = onnx.Equal(%i, %none) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %wm = onnx.Where(%is, %fzero, %w) : (tensor<?x2xi1>, tensor<f32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %im = onnx.Where(%is, %izero, %i) : (tensor<?x2xi1>, tensor<i64>, tensor<?x2xi64>) -> tensor<?x2xi64>
  %g = onnx.Gather(%p, %im) {axis = 0 : i64} : (tensor<3x16x16xf32>, tensor<?x2xi64>) -> tensor<?x2x16x16xf32>
  %xu = onnx.Unsqueeze(%x, %around) : (tensor<?x16xf32>, tensor<2xi64>) -> tensor<?x1x16x1xf32>
  %h = onnx.MatMul(%g, %xu) : (tensor<?x2x16x16xf32>, tensor<?x1x16x1xf32>) -> tensor<?x2x16x1xf32>
  %hs = onnx.Squeeze(%h, %last) : (tensor<?x2x16x1xf32>, tensor<1xi64>) -> tensor<?x2x16xf32>
  %wu = onnx.Unsqueeze(%wm, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %weighted = onnx.Mul(%hs, %wu) : (tensor<?x2x16xf32>, tensor<?x2x1xf32>) -> tensor<?x2x16xf32>
  %y = onnx.ReduceSum(%weighted, %one) {keepdims = 0 : i64} : (tensor<?x2x16xf32>, tensor<1xi64>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// Weights that were normalized beside the score of a shared expert.
// CHECK-LABEL: @beside_shared
// CHECK: %[[R:.*]]:2 = moe.route
// CHECK: %[[W:.*]] = onnx.Slice(
// CHECK: moe.experts %{{.*}}, %[[W]], %[[R]]#1 params(
func.func @beside_shared(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}, %shared: tensor<?x1xf32> {moe.dims = ["tokens", 1]}) -> tensor<?x16xf32> {
  %around = onnx.Constant dense<[1, 3]> : tensor<2xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %p = onnx.Constant dense<0.1> : tensor<3x16x16xf32>
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %two = onnx.Constant dense<2> : tensor<1xi64>
  %all = onnx.Concat(%w, %shared) {axis = 1 : i64} : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x3xf32>
  %soft = onnx.Softmax(%all) {axis = 1 : i64} : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %ws = onnx.Slice(%soft, %zero, %two, %one) : (tensor<?x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x2xf32>
  %g = onnx.Gather(%p, %i) {axis = 0 : i64} : (tensor<3x16x16xf32>, tensor<?x2xi64>) -> tensor<?x2x16x16xf32>
  %xu = onnx.Unsqueeze(%x, %around) : (tensor<?x16xf32>, tensor<2xi64>) -> tensor<?x1x16x1xf32>
  %h = onnx.MatMul(%g, %xu) : (tensor<?x2x16x16xf32>, tensor<?x1x16x1xf32>) -> tensor<?x2x16x1xf32>
  %hs = onnx.Squeeze(%h, %last) : (tensor<?x2x16x1xf32>, tensor<1xi64>) -> tensor<?x2x16xf32>
  %wu = onnx.Unsqueeze(%ws, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %weighted = onnx.Mul(%hs, %wu) : (tensor<?x2x16xf32>, tensor<?x2x1xf32>) -> tensor<?x2x16xf32>
  %y = onnx.ReduceSum(%weighted, %one) {keepdims = 0 : i64} : (tensor<?x2x16xf32>, tensor<1xi64>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// An expert that normalizes what it makes.
// CHECK-LABEL: @normed
// CHECK: moe.experts
// CHECK: ^bb0(%[[ROWS:.*]]: tensor<?x16xf32>, %[[A:.*]]: tensor<16x16xf32>):
// CHECK: %[[H:.*]] = onnx.MatMul(%[[ROWS]]
// CHECK: %[[S:.*]] = onnx.Mul(%[[H]], %[[H]])
// CHECK: %[[M:.*]] = onnx.ReduceMean(%[[S]]
// CHECK: %[[ROOT:.*]] = onnx.Sqrt(
// CHECK: %[[N:.*]] = onnx.Div(%[[H]], %[[ROOT]])
// CHECK: onnx.Mul(%[[N]], %{{.*}})
func.func @normed(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}) -> tensor<?x16xf32> {
  %around = onnx.Constant dense<[1, 3]> : tensor<2xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %p = onnx.Constant dense<0.1> : tensor<3x16x16xf32>
  %scale = onnx.Constant dense<0.5> : tensor<16xf32>
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %g = onnx.Gather(%p, %i) {axis = 0 : i64} : (tensor<3x16x16xf32>, tensor<?x2xi64>) -> tensor<?x2x16x16xf32>
  %xu = onnx.Unsqueeze(%x, %around) : (tensor<?x16xf32>, tensor<2xi64>) -> tensor<?x1x16x1xf32>
  %h = onnx.MatMul(%g, %xu) : (tensor<?x2x16x16xf32>, tensor<?x1x16x1xf32>) -> tensor<?x2x16x1xf32>
  %hs = onnx.Squeeze(%h, %last) : (tensor<?x2x16x1xf32>, tensor<1xi64>) -> tensor<?x2x16xf32>
  %n = moe.rms_norm %hs weight(%scale) {epsilon = 1.0e-06 : f32} : (tensor<?x2x16xf32>, tensor<16xf32>) -> tensor<?x2x16xf32>
  %wu = onnx.Unsqueeze(%w, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %weighted = onnx.Mul(%n, %wu) : (tensor<?x2x16xf32>, tensor<?x2x1xf32>) -> tensor<?x2x16xf32>
  %y = onnx.ReduceSum(%weighted, %one) {keepdims = 0 : i64} : (tensor<?x2x16xf32>, tensor<1xi64>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// Ids that may be the same twice: written to a matrix, only one of their weights is left.
// CHECK-LABEL: @overwritten
// CHECK-NOT: moe.experts
func.func @overwritten(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}, %token: tensor<?xi64> {moe.dims = ["tokens"]}) -> tensor<?x16xf32> {
  %around = onnx.Constant dense<[1, 3]> : tensor<2xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %p = onnx.Constant dense<0.1> : tensor<3x16x16xf32>
  %table = onnx.Constant dense<[[0, 1], [2, 1], [1, 0], [2, 2]]> : tensor<4x2xi64>
  %ids = onnx.Gather(%table, %token) {axis = 0 : i64} : (tensor<4x2xi64>, tensor<?xi64>) -> tensor<?x2xi64> loc("lookup")
  %s = onnx.Sigmoid(%l) : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %w = onnx.GatherElements(%s, %ids) {axis = 1 : i64} : (tensor<?x3xf32>, tensor<?x2xi64>) -> tensor<?x2xf32>
  %fzero = onnx.Constant dense<0.0> : tensor<f32>
  %depth = onnx.Constant dense<3> : tensor<1xi64>
  %offon = onnx.Constant dense<[0.0, 1.0]> : tensor<2xf32>
  %hot = onnx.OneHot(%ids, %depth, %offon) {axis = -1 : i64} : (tensor<?x2xi64>, tensor<1xi64>, tensor<2xf32>) -> tensor<?x2x3xf32>
  %count = onnx.ReduceSum(%hot, %one) {keepdims = 0 : i64} : (tensor<?x2x3xf32>, tensor<1xi64>) -> tensor<?x3xf32>
  %shape = onnx.Shape(%count) : (tensor<?x3xf32>) -> tensor<2xi64>
  %zeros = onnx.Expand(%fzero, %shape) : (tensor<f32>, tensor<2xi64>) -> tensor<?x3xf32>
  %m = onnx.ScatterElements(%zeros, %ids, %w) {axis = 1 : i64} : (tensor<?x3xf32>, tensor<?x2xi64>, tensor<?x2xf32>) -> tensor<?x3xf32>
  %xu = onnx.Unsqueeze(%x, %one) : (tensor<?x16xf32>, tensor<1xi64>) -> tensor<?x1x16xf32>
  %xt = onnx.Transpose(%xu) {perm = array<i64: 1, 0, 2>} : (tensor<?x1x16xf32>) -> tensor<1x?x16xf32>
  %h = onnx.MatMul(%xt, %p) : (tensor<1x?x16xf32>, tensor<3x16x16xf32>) -> tensor<3x?x16xf32>
  %mt = onnx.Transpose(%m) {perm = array<i64: 1, 0>} : (tensor<?x3xf32>) -> tensor<3x?xf32>
  %mu = onnx.Unsqueeze(%mt, %last) : (tensor<3x?xf32>, tensor<1xi64>) -> tensor<3x?x1xf32>
  %weighted = onnx.Mul(%h, %mu) : (tensor<3x?x16xf32>, tensor<3x?x1xf32>) -> tensor<3x?x16xf32>
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %y = onnx.ReduceSum(%weighted, %zero) {keepdims = 0 : i64} : (tensor<3x?x16xf32>, tensor<1xi64>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// Experts 2 and 3 give back their rows: a bank of the others, and x times the weights of these.
// CHECK-LABEL: @identities
// CHECK: %[[R:.*]]:2 = moe.route
// CHECK-DAG: %[[HAS:.*]] = onnx.Constant dense<[1, 1, 0, 0]> : tensor<4xi64>
// CHECK-DAG: %[[PLACE:.*]] = onnx.Constant dense<[0, 1, 0, 0]> : tensor<4xi64>
// CHECK-DAG: %[[KEPT:.*]] = onnx.Gather(%[[HAS]], %[[R]]#1)
// CHECK-DAG: %[[IDS:.*]] = onnx.Gather(%[[PLACE]], %[[R]]#1)
// CHECK: %[[Y:.*]] = moe.experts %[[X:.*]], %{{.*}}, %[[IDS]] params(%{{.*}}) : {{.*}}tensor<2x16x16xf32>
// CHECK: onnx.Constant dense<[0, 0, 1, 1]> : tensor<4xi64>
// CHECK: %[[SUM:.*]] = onnx.ReduceSum(
// CHECK: %[[Z:.*]] = onnx.Mul(%[[X]], %[[SUM]])
// CHECK: onnx.Add(%[[Y]], %[[Z]])
func.func @identities(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x4xf32> {moe.dims = ["tokens", 4]}) -> tensor<?x16xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x4xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %fzero = onnx.Constant dense<0.0> : tensor<f32>
  %shape = onnx.Shape(%l) : (tensor<?x4xf32>) -> tensor<2xi64>
  %zeros = onnx.Expand(%fzero, %shape) : (tensor<f32>, tensor<2xi64>) -> tensor<?x4xf32>
  %m = onnx.ScatterElements(%zeros, %i, %w) {axis = 1 : i64} : (tensor<?x4xf32>, tensor<?x2xi64>, tensor<?x2xf32>) -> tensor<?x4xf32>
  %at0 = onnx.Constant dense<0> : tensor<1xi64>
  %c0 = onnx.Gather(%m, %at0) {axis = 1 : i64} : (tensor<?x4xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %w0 = onnx.Constant dense<0.1> : tensor<16x16xf32>
  %h0 = onnx.MatMul(%x, %w0) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %t0 = onnx.Mul(%h0, %c0) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %at1 = onnx.Constant dense<1> : tensor<1xi64>
  %c1 = onnx.Gather(%m, %at1) {axis = 1 : i64} : (tensor<?x4xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %w1 = onnx.Constant dense<0.2> : tensor<16x16xf32>
  %h1 = onnx.MatMul(%x, %w1) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %t1 = onnx.Mul(%h1, %c1) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %at2 = onnx.Constant dense<2> : tensor<1xi64>
  %c2 = onnx.Gather(%m, %at2) {axis = 1 : i64} : (tensor<?x4xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %t2 = onnx.Mul(%x, %c2) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %at3 = onnx.Constant dense<3> : tensor<1xi64>
  %c3 = onnx.Gather(%m, %at3) {axis = 1 : i64} : (tensor<?x4xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %t3 = onnx.Mul(%x, %c3) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %s1 = onnx.Add(%t0, %t1) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %s2 = onnx.Add(%s1, %t2) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %s3 = onnx.Add(%s2, %t3) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  return %s3 : tensor<?x16xf32>
}

// -----

// No term for expert 1: whoever chooses it gets nothing from it.
// CHECK-LABEL: @some
// CHECK: onnx.Constant dense<[1, 0, 1]> : tensor<3xi64>
// CHECK: onnx.Constant dense<[0, 0, 1]> : tensor<3xi64>
// CHECK: moe.experts {{.*}}tensor<2x16x16xf32>
func.func @some(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}) -> tensor<?x16xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %fzero = onnx.Constant dense<0.0> : tensor<f32>
  %shape = onnx.Shape(%l) : (tensor<?x3xf32>) -> tensor<2xi64>
  %zeros = onnx.Expand(%fzero, %shape) : (tensor<f32>, tensor<2xi64>) -> tensor<?x3xf32>
  %m = onnx.ScatterElements(%zeros, %i, %w) {axis = 1 : i64} : (tensor<?x3xf32>, tensor<?x2xi64>, tensor<?x2xf32>) -> tensor<?x3xf32>
  %at0 = onnx.Constant dense<0> : tensor<1xi64>
  %c0 = onnx.Gather(%m, %at0) {axis = 1 : i64} : (tensor<?x3xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %w0 = onnx.Constant dense<0.1> : tensor<16x16xf32>
  %h0 = onnx.MatMul(%x, %w0) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %t0 = onnx.Mul(%h0, %c0) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %at2 = onnx.Constant dense<2> : tensor<1xi64>
  %c2 = onnx.Gather(%m, %at2) {axis = 1 : i64} : (tensor<?x3xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %w2 = onnx.Constant dense<0.3> : tensor<16x16xf32>
  %h2 = onnx.MatMul(%x, %w2) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %t2 = onnx.Mul(%h2, %c2) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %s1 = onnx.Add(%t0, %t2) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  return %s1 : tensor<?x16xf32>
}

// -----

// Weights that are scattered by their maximum are other weights where they are negative.
// CHECK-LABEL: @largest
// CHECK-NOT: moe.experts
func.func @largest(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x2xf32> {moe.dims = ["tokens", 2]}) -> tensor<?x16xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x2xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %fzero = onnx.Constant dense<0.0> : tensor<f32>
  %shape = onnx.Shape(%l) : (tensor<?x2xf32>) -> tensor<2xi64>
  %zeros = onnx.Expand(%fzero, %shape) : (tensor<f32>, tensor<2xi64>) -> tensor<?x2xf32>
  %m = onnx.ScatterElements(%zeros, %i, %w) {axis = 1 : i64, reduction = "max"} : (tensor<?x2xf32>, tensor<?x2xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %at0 = onnx.Constant dense<0> : tensor<1xi64>
  %c0 = onnx.Gather(%m, %at0) {axis = 1 : i64} : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %w0 = onnx.Constant dense<0.1> : tensor<16x16xf32>
  %h0 = onnx.MatMul(%x, %w0) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %t0 = onnx.Mul(%h0, %c0) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %at1 = onnx.Constant dense<1> : tensor<1xi64>
  %c1 = onnx.Gather(%m, %at1) {axis = 1 : i64} : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %w1 = onnx.Constant dense<0.2> : tensor<16x16xf32>
  %h1 = onnx.MatMul(%x, %w1) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %t1 = onnx.Mul(%h1, %c1) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %s1 = onnx.Add(%t0, %t1) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  return %s1 : tensor<?x16xf32>
}

// -----

// Ids that may be the same twice: each slot adds what all slots together give the expert.
// CHECK-LABEL: @counted_twice
// CHECK-NOT: moe.experts
func.func @counted_twice(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}, %token: tensor<?xi64> {moe.dims = ["tokens"]}) -> tensor<?x16xf32> {
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %fzero = onnx.Constant dense<0.0> : tensor<f32>
  %table = onnx.Constant dense<[[0, 1], [2, 1], [1, 0], [2, 2]]> : tensor<4x2xi64>
  %ids = onnx.Gather(%table, %token) {axis = 0 : i64} : (tensor<4x2xi64>, tensor<?xi64>) -> tensor<?x2xi64>
  %s = onnx.Sigmoid(%l) : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %w = onnx.GatherElements(%s, %ids) {axis = 1 : i64} : (tensor<?x3xf32>, tensor<?x2xi64>) -> tensor<?x2xf32>
  %shape = onnx.Shape(%l) : (tensor<?x3xf32>) -> tensor<2xi64>
  %zeros = onnx.Expand(%fzero, %shape) : (tensor<f32>, tensor<2xi64>) -> tensor<?x3xf32>
  %m = onnx.ScatterElements(%zeros, %ids, %w) {axis = 1 : i64, reduction = "add"} : (tensor<?x3xf32>, tensor<?x2xi64>, tensor<?x2xf32>) -> tensor<?x3xf32>
  %xs = onnx.Shape(%x) : (tensor<?x16xf32>) -> tensor<2xi64>
  %none = onnx.Expand(%fzero, %xs) : (tensor<f32>, tensor<2xi64>) -> tensor<?x16xf32>
  %n0 = onnx.Constant dense<0> : tensor<i64>
  %is0 = onnx.Equal(%ids, %n0) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %nz0 = onnx.NonZero(%is0) : (tensor<?x2xi1>) -> tensor<2x?xi64>
  %at0 = onnx.Constant dense<0> : tensor<i64>
  %t0 = onnx.Gather(%nz0, %at0) {axis = 0 : i64} : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %tu0 = onnx.Unsqueeze(%t0, %last) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %r0 = onnx.Gather(%x, %t0) {axis = 0 : i64} : (tensor<?x16xf32>, tensor<?xi64>) -> tensor<?x16xf32>
  %w0 = onnx.Constant dense<0.1> : tensor<16x16xf32>
  %h0 = onnx.MatMul(%r0, %w0) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %e0 = onnx.Constant dense<0> : tensor<1xi64>
  %c0 = onnx.Gather(%m, %e0) {axis = 1 : i64} : (tensor<?x3xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %g0 = onnx.Gather(%c0, %t0) {axis = 0 : i64} : (tensor<?x1xf32>, tensor<?xi64>) -> tensor<?x1xf32>
  %p0 = onnx.Mul(%h0, %g0) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %y0 = onnx.ScatterND(%none, %tu0, %p0) {reduction = "add"} : (tensor<?x16xf32>, tensor<?x1xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %n1 = onnx.Constant dense<1> : tensor<i64>
  %is1 = onnx.Equal(%ids, %n1) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %nz1 = onnx.NonZero(%is1) : (tensor<?x2xi1>) -> tensor<2x?xi64>
  %at1 = onnx.Constant dense<0> : tensor<i64>
  %t1 = onnx.Gather(%nz1, %at1) {axis = 0 : i64} : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %tu1 = onnx.Unsqueeze(%t1, %last) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %r1 = onnx.Gather(%x, %t1) {axis = 0 : i64} : (tensor<?x16xf32>, tensor<?xi64>) -> tensor<?x16xf32>
  %w1 = onnx.Constant dense<0.2> : tensor<16x16xf32>
  %h1 = onnx.MatMul(%r1, %w1) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %e1 = onnx.Constant dense<1> : tensor<1xi64>
  %c1 = onnx.Gather(%m, %e1) {axis = 1 : i64} : (tensor<?x3xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %g1 = onnx.Gather(%c1, %t1) {axis = 0 : i64} : (tensor<?x1xf32>, tensor<?xi64>) -> tensor<?x1xf32>
  %p1 = onnx.Mul(%h1, %g1) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %y1 = onnx.ScatterND(%y0, %tu1, %p1) {reduction = "add"} : (tensor<?x16xf32>, tensor<?x1xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %n2 = onnx.Constant dense<2> : tensor<i64>
  %is2 = onnx.Equal(%ids, %n2) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %nz2 = onnx.NonZero(%is2) : (tensor<?x2xi1>) -> tensor<2x?xi64>
  %at2 = onnx.Constant dense<0> : tensor<i64>
  %t2 = onnx.Gather(%nz2, %at2) {axis = 0 : i64} : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %tu2 = onnx.Unsqueeze(%t2, %last) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %r2 = onnx.Gather(%x, %t2) {axis = 0 : i64} : (tensor<?x16xf32>, tensor<?xi64>) -> tensor<?x16xf32>
  %w2 = onnx.Constant dense<0.3> : tensor<16x16xf32>
  %h2 = onnx.MatMul(%r2, %w2) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %e2 = onnx.Constant dense<2> : tensor<1xi64>
  %c2 = onnx.Gather(%m, %e2) {axis = 1 : i64} : (tensor<?x3xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %g2 = onnx.Gather(%c2, %t2) {axis = 0 : i64} : (tensor<?x1xf32>, tensor<?xi64>) -> tensor<?x1xf32>
  %p2 = onnx.Mul(%h2, %g2) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %y2 = onnx.ScatterND(%y1, %tu2, %p2) {reduction = "add"} : (tensor<?x16xf32>, tensor<?x1xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  return %y2 : tensor<?x16xf32>
}

// -----

// Places along another dimension than that of the slots: two slots may choose one expert, and one of them is overwritten.
// CHECK-LABEL: @two_routers
// CHECK-NOT: moe.experts
func.func @two_routers(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x4x2xf32> {moe.dims = ["tokens", 4, 2]}, %w: tensor<?x2xf32> {moe.dims = ["tokens", 2]}) -> tensor<?x16xf32> {
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %fzero = onnx.Constant dense<0.0> : tensor<f32>
  %ids = onnx.ArgMax(%l) {axis = 1 : i64, keepdims = 0 : i64} : (tensor<?x4x2xf32>) -> tensor<?x2xi64>
  %xs = onnx.Shape(%x) : (tensor<?x16xf32>) -> tensor<2xi64>
  %none = onnx.Expand(%fzero, %xs) : (tensor<f32>, tensor<2xi64>) -> tensor<?x16xf32>
  %n0 = onnx.Constant dense<0> : tensor<i64>
  %is0 = onnx.Equal(%ids, %n0) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %nz0 = onnx.NonZero(%is0) : (tensor<?x2xi1>) -> tensor<2x?xi64>
  %at0 = onnx.Constant dense<0> : tensor<i64>
  %t0 = onnx.Gather(%nz0, %at0) {axis = 0 : i64} : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %tu0 = onnx.Unsqueeze(%t0, %last) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %r0 = onnx.Gather(%x, %t0) {axis = 0 : i64} : (tensor<?x16xf32>, tensor<?xi64>) -> tensor<?x16xf32>
  %w0 = onnx.Constant dense<0.1> : tensor<16x16xf32>
  %h0 = onnx.MatMul(%r0, %w0) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %nt0 = onnx.Transpose(%nz0) {perm = array<i64: 1, 0>} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %f0 = onnx.GatherND(%w, %nt0) : (tensor<?x2xf32>, tensor<?x2xi64>) -> tensor<?xf32>
  %g0 = onnx.Unsqueeze(%f0, %last) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %p0 = onnx.Mul(%h0, %g0) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %y0 = onnx.ScatterND(%none, %tu0, %p0) : (tensor<?x16xf32>, tensor<?x1xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %n1 = onnx.Constant dense<1> : tensor<i64>
  %is1 = onnx.Equal(%ids, %n1) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %nz1 = onnx.NonZero(%is1) : (tensor<?x2xi1>) -> tensor<2x?xi64>
  %at1 = onnx.Constant dense<0> : tensor<i64>
  %t1 = onnx.Gather(%nz1, %at1) {axis = 0 : i64} : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %tu1 = onnx.Unsqueeze(%t1, %last) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %r1 = onnx.Gather(%x, %t1) {axis = 0 : i64} : (tensor<?x16xf32>, tensor<?xi64>) -> tensor<?x16xf32>
  %w1 = onnx.Constant dense<0.2> : tensor<16x16xf32>
  %h1 = onnx.MatMul(%r1, %w1) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %nt1 = onnx.Transpose(%nz1) {perm = array<i64: 1, 0>} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %f1 = onnx.GatherND(%w, %nt1) : (tensor<?x2xf32>, tensor<?x2xi64>) -> tensor<?xf32>
  %g1 = onnx.Unsqueeze(%f1, %last) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %p1 = onnx.Mul(%h1, %g1) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %y1 = onnx.ScatterND(%none, %tu1, %p1) : (tensor<?x16xf32>, tensor<?x1xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %s1 = onnx.Add(%y0, %y1) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %n2 = onnx.Constant dense<2> : tensor<i64>
  %is2 = onnx.Equal(%ids, %n2) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %nz2 = onnx.NonZero(%is2) : (tensor<?x2xi1>) -> tensor<2x?xi64>
  %at2 = onnx.Constant dense<0> : tensor<i64>
  %t2 = onnx.Gather(%nz2, %at2) {axis = 0 : i64} : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %tu2 = onnx.Unsqueeze(%t2, %last) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %r2 = onnx.Gather(%x, %t2) {axis = 0 : i64} : (tensor<?x16xf32>, tensor<?xi64>) -> tensor<?x16xf32>
  %w2 = onnx.Constant dense<0.3> : tensor<16x16xf32>
  %h2 = onnx.MatMul(%r2, %w2) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %nt2 = onnx.Transpose(%nz2) {perm = array<i64: 1, 0>} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %f2 = onnx.GatherND(%w, %nt2) : (tensor<?x2xf32>, tensor<?x2xi64>) -> tensor<?xf32>
  %g2 = onnx.Unsqueeze(%f2, %last) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %p2 = onnx.Mul(%h2, %g2) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %y2 = onnx.ScatterND(%none, %tu2, %p2) : (tensor<?x16xf32>, tensor<?x1xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %s2 = onnx.Add(%s1, %y2) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %n3 = onnx.Constant dense<3> : tensor<i64>
  %is3 = onnx.Equal(%ids, %n3) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %nz3 = onnx.NonZero(%is3) : (tensor<?x2xi1>) -> tensor<2x?xi64>
  %at3 = onnx.Constant dense<0> : tensor<i64>
  %t3 = onnx.Gather(%nz3, %at3) {axis = 0 : i64} : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %tu3 = onnx.Unsqueeze(%t3, %last) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %r3 = onnx.Gather(%x, %t3) {axis = 0 : i64} : (tensor<?x16xf32>, tensor<?xi64>) -> tensor<?x16xf32>
  %w3 = onnx.Constant dense<0.4> : tensor<16x16xf32>
  %h3 = onnx.MatMul(%r3, %w3) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %nt3 = onnx.Transpose(%nz3) {perm = array<i64: 1, 0>} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %f3 = onnx.GatherND(%w, %nt3) : (tensor<?x2xf32>, tensor<?x2xi64>) -> tensor<?xf32>
  %g3 = onnx.Unsqueeze(%f3, %last) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %p3 = onnx.Mul(%h3, %g3) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %y3 = onnx.ScatterND(%none, %tu3, %p3) : (tensor<?x16xf32>, tensor<?x1xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %s3 = onnx.Add(%s2, %y3) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  return %s3 : tensor<?x16xf32>
}

// -----

// The same, where the slots are the largest of two rows and numbered anew.
// CHECK-LABEL: @two_rows
// CHECK-NOT: moe.experts
func.func @two_rows(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x8xf32> {moe.dims = ["tokens", 8]}, %w: tensor<?x2xf32> {moe.dims = ["tokens", 2]}) -> tensor<?x16xf32> {
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %fzero = onnx.Constant dense<0.0> : tensor<f32>
  %one = onnx.Constant dense<1> : tensor<i64>
  %four = onnx.Constant dense<4> : tensor<i64>
  %as = onnx.Constant dense<[-1, 2]> : tensor<2xi64>
  %halves = onnx.Constant dense<[-1, 4]> : tensor<2xi64>
  %lr = onnx.Reshape(%l, %halves) : (tensor<?x8xf32>, tensor<2xi64>) -> tensor<?x4xf32>
  %best = onnx.ArgMax(%lr) {axis = 1 : i64, keepdims = 0 : i64} : (tensor<?x4xf32>) -> tensor<?xi64>
  %pair = onnx.Reshape(%best, %as) : (tensor<?xi64>, tensor<2xi64>) -> tensor<?x2xi64>
  %next = onnx.Add(%pair, %one) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi64>
  %ids = onnx.Mod(%next, %four) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi64>
  %xs = onnx.Shape(%x) : (tensor<?x16xf32>) -> tensor<2xi64>
  %none = onnx.Expand(%fzero, %xs) : (tensor<f32>, tensor<2xi64>) -> tensor<?x16xf32>
  %n0 = onnx.Constant dense<0> : tensor<i64>
  %is0 = onnx.Equal(%ids, %n0) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %nz0 = onnx.NonZero(%is0) : (tensor<?x2xi1>) -> tensor<2x?xi64>
  %at0 = onnx.Constant dense<0> : tensor<i64>
  %t0 = onnx.Gather(%nz0, %at0) {axis = 0 : i64} : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %tu0 = onnx.Unsqueeze(%t0, %last) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %r0 = onnx.Gather(%x, %t0) {axis = 0 : i64} : (tensor<?x16xf32>, tensor<?xi64>) -> tensor<?x16xf32>
  %w0 = onnx.Constant dense<0.1> : tensor<16x16xf32>
  %h0 = onnx.MatMul(%r0, %w0) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %nt0 = onnx.Transpose(%nz0) {perm = array<i64: 1, 0>} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %f0 = onnx.GatherND(%w, %nt0) : (tensor<?x2xf32>, tensor<?x2xi64>) -> tensor<?xf32>
  %g0 = onnx.Unsqueeze(%f0, %last) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %p0 = onnx.Mul(%h0, %g0) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %y0 = onnx.ScatterND(%none, %tu0, %p0) : (tensor<?x16xf32>, tensor<?x1xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %n1 = onnx.Constant dense<1> : tensor<i64>
  %is1 = onnx.Equal(%ids, %n1) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %nz1 = onnx.NonZero(%is1) : (tensor<?x2xi1>) -> tensor<2x?xi64>
  %at1 = onnx.Constant dense<0> : tensor<i64>
  %t1 = onnx.Gather(%nz1, %at1) {axis = 0 : i64} : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %tu1 = onnx.Unsqueeze(%t1, %last) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %r1 = onnx.Gather(%x, %t1) {axis = 0 : i64} : (tensor<?x16xf32>, tensor<?xi64>) -> tensor<?x16xf32>
  %w1 = onnx.Constant dense<0.2> : tensor<16x16xf32>
  %h1 = onnx.MatMul(%r1, %w1) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %nt1 = onnx.Transpose(%nz1) {perm = array<i64: 1, 0>} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %f1 = onnx.GatherND(%w, %nt1) : (tensor<?x2xf32>, tensor<?x2xi64>) -> tensor<?xf32>
  %g1 = onnx.Unsqueeze(%f1, %last) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %p1 = onnx.Mul(%h1, %g1) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %y1 = onnx.ScatterND(%none, %tu1, %p1) : (tensor<?x16xf32>, tensor<?x1xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %s1 = onnx.Add(%y0, %y1) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %n2 = onnx.Constant dense<2> : tensor<i64>
  %is2 = onnx.Equal(%ids, %n2) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %nz2 = onnx.NonZero(%is2) : (tensor<?x2xi1>) -> tensor<2x?xi64>
  %at2 = onnx.Constant dense<0> : tensor<i64>
  %t2 = onnx.Gather(%nz2, %at2) {axis = 0 : i64} : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %tu2 = onnx.Unsqueeze(%t2, %last) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %r2 = onnx.Gather(%x, %t2) {axis = 0 : i64} : (tensor<?x16xf32>, tensor<?xi64>) -> tensor<?x16xf32>
  %w2 = onnx.Constant dense<0.3> : tensor<16x16xf32>
  %h2 = onnx.MatMul(%r2, %w2) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %nt2 = onnx.Transpose(%nz2) {perm = array<i64: 1, 0>} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %f2 = onnx.GatherND(%w, %nt2) : (tensor<?x2xf32>, tensor<?x2xi64>) -> tensor<?xf32>
  %g2 = onnx.Unsqueeze(%f2, %last) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %p2 = onnx.Mul(%h2, %g2) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %y2 = onnx.ScatterND(%none, %tu2, %p2) : (tensor<?x16xf32>, tensor<?x1xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %s2 = onnx.Add(%s1, %y2) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %n3 = onnx.Constant dense<3> : tensor<i64>
  %is3 = onnx.Equal(%ids, %n3) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %nz3 = onnx.NonZero(%is3) : (tensor<?x2xi1>) -> tensor<2x?xi64>
  %at3 = onnx.Constant dense<0> : tensor<i64>
  %t3 = onnx.Gather(%nz3, %at3) {axis = 0 : i64} : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %tu3 = onnx.Unsqueeze(%t3, %last) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %r3 = onnx.Gather(%x, %t3) {axis = 0 : i64} : (tensor<?x16xf32>, tensor<?xi64>) -> tensor<?x16xf32>
  %w3 = onnx.Constant dense<0.4> : tensor<16x16xf32>
  %h3 = onnx.MatMul(%r3, %w3) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %nt3 = onnx.Transpose(%nz3) {perm = array<i64: 1, 0>} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %f3 = onnx.GatherND(%w, %nt3) : (tensor<?x2xf32>, tensor<?x2xi64>) -> tensor<?xf32>
  %g3 = onnx.Unsqueeze(%f3, %last) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %p3 = onnx.Mul(%h3, %g3) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %y3 = onnx.ScatterND(%none, %tu3, %p3) : (tensor<?x16xf32>, tensor<?x1xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %s3 = onnx.Add(%s2, %y3) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  return %s3 : tensor<?x16xf32>
}

// -----

// Ids that may be the same twice: what an expert makes of rows times a sum of weights is no sum of what it makes.
// CHECK-LABEL: @weighed_inputs
// CHECK-NOT: moe.experts
func.func @weighed_inputs(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}, %token: tensor<?xi64> {moe.dims = ["tokens"]}) -> tensor<?x16xf32> {
  %fzero = onnx.Constant dense<0.0> : tensor<f32>
  %table = onnx.Constant dense<[[0, 1], [2, 1], [1, 0], [2, 2]]> : tensor<4x2xi64>
  %ids = onnx.Gather(%table, %token) {axis = 0 : i64} : (tensor<4x2xi64>, tensor<?xi64>) -> tensor<?x2xi64>
  %s = onnx.Sigmoid(%l) : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %w = onnx.GatherElements(%s, %ids) {axis = 1 : i64} : (tensor<?x3xf32>, tensor<?x2xi64>) -> tensor<?x2xf32>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %n0 = onnx.Constant dense<0> : tensor<i64>
  %is0 = onnx.Equal(%ids, %n0) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %v0 = onnx.Where(%is0, %w, %fzero) : (tensor<?x2xi1>, tensor<?x2xf32>, tensor<f32>) -> tensor<?x2xf32>
  %c0 = onnx.ReduceSum(%v0, %one) {keepdims = 1 : i64} : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %r0 = onnx.Mul(%x, %c0) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %w0 = onnx.Constant dense<0.1> : tensor<16x16xf32>
  %h0 = onnx.MatMul(%r0, %w0) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %y0 = onnx.Mul(%h0, %h0) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %n1 = onnx.Constant dense<1> : tensor<i64>
  %is1 = onnx.Equal(%ids, %n1) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %v1 = onnx.Where(%is1, %w, %fzero) : (tensor<?x2xi1>, tensor<?x2xf32>, tensor<f32>) -> tensor<?x2xf32>
  %c1 = onnx.ReduceSum(%v1, %one) {keepdims = 1 : i64} : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %r1 = onnx.Mul(%x, %c1) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %w1 = onnx.Constant dense<0.2> : tensor<16x16xf32>
  %h1 = onnx.MatMul(%r1, %w1) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %y1 = onnx.Mul(%h1, %h1) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %s1 = onnx.Add(%y0, %y1) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %n2 = onnx.Constant dense<2> : tensor<i64>
  %is2 = onnx.Equal(%ids, %n2) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %v2 = onnx.Where(%is2, %w, %fzero) : (tensor<?x2xi1>, tensor<?x2xf32>, tensor<f32>) -> tensor<?x2xf32>
  %c2 = onnx.ReduceSum(%v2, %one) {keepdims = 1 : i64} : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %r2 = onnx.Mul(%x, %c2) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %w2 = onnx.Constant dense<0.3> : tensor<16x16xf32>
  %h2 = onnx.MatMul(%r2, %w2) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %y2 = onnx.Mul(%h2, %h2) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %s2 = onnx.Add(%s1, %y2) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  return %s2 : tensor<?x16xf32>
}
