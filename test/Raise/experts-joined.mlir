// RUN: moe-opt %s -moe-raise-experts -split-input-file | FileCheck %s
// What the experts make is put together first, then weighted and summed.

// All experts of each token, of which the ids pick.
// CHECK-LABEL: @stacked
// CHECK-DAG: %[[W:.*]] = onnx.Constant dense<{{.*}}> : tensor<3x16x16xf32>
// CHECK: %[[Y:.*]] = moe.experts %arg0, %{{.*}}#0, %{{.*}}#1 params(%[[W]]) :
// CHECK-NOT: onnx.Concat
// CHECK: return %[[Y]]
func.func @stacked(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}) -> tensor<?x16xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %a = onnx.Constant dense<0.1> : tensor<16x16xf32>
  %b = onnx.Constant dense<0.2> : tensor<16x16xf32>
  %c = onnx.Constant dense<0.3> : tensor<16x16xf32>
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %wide = onnx.Constant dense<[1, 1, 16]> : tensor<3xi64>
  %ha = onnx.MatMul(%x, %a) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %fa = onnx.Relu(%ha) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %hb = onnx.MatMul(%x, %b) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %fb = onnx.Relu(%hb) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %hc = onnx.MatMul(%x, %c) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %fc = onnx.Relu(%hc) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %ua = onnx.Unsqueeze(%fa, %one) : (tensor<?x16xf32>, tensor<1xi64>) -> tensor<?x1x16xf32>
  %ub = onnx.Unsqueeze(%fb, %one) : (tensor<?x16xf32>, tensor<1xi64>) -> tensor<?x1x16xf32>
  %uc = onnx.Unsqueeze(%fc, %one) : (tensor<?x16xf32>, tensor<1xi64>) -> tensor<?x1x16xf32>
  %all = onnx.Concat(%ua, %ub, %uc) {axis = 1 : i64} : (tensor<?x1x16xf32>, tensor<?x1x16xf32>, tensor<?x1x16xf32>) -> tensor<?x3x16xf32>
  %i1 = onnx.Unsqueeze(%i, %last) : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?x2x1xi64>
  %i2 = onnx.Expand(%i1, %wide) : (tensor<?x2x1xi64>, tensor<3xi64>) -> tensor<?x2x16xi64>
  %g = onnx.GatherElements(%all, %i2) {axis = 1 : i64} : (tensor<?x3x16xf32>, tensor<?x2x16xi64>) -> tensor<?x2x16xf32>
  %w1 = onnx.Unsqueeze(%w, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %p = onnx.Mul(%g, %w1) : (tensor<?x2x16xf32>, tensor<?x2x1xf32>) -> tensor<?x2x16xf32>
  %y = onnx.ReduceSum(%p, %one) {keepdims = 0 : i64} : (tensor<?x2x16xf32>, tensor<1xi64>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// All experts of each token, times the routing matrix.
// CHECK-LABEL: @matrix
// CHECK: %[[Y:.*]] = moe.experts %arg0, %{{.*}}#0, %{{.*}}#1 params(
// CHECK: return %[[Y]]
func.func @matrix(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}) -> tensor<?x16xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %a = onnx.Constant dense<0.1> : tensor<16x16xf32>
  %b = onnx.Constant dense<0.2> : tensor<16x16xf32>
  %c = onnx.Constant dense<0.3> : tensor<16x16xf32>
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %fzero = onnx.Constant dense<0.0> : tensor<f32>
  %shape = onnx.Shape(%l) : (tensor<?x3xf32>) -> tensor<2xi64>
  %zeros = onnx.Expand(%fzero, %shape) : (tensor<f32>, tensor<2xi64>) -> tensor<?x3xf32>
  %m = onnx.ScatterElements(%zeros, %i, %w) {axis = 1 : i64} : (tensor<?x3xf32>, tensor<?x2xi64>, tensor<?x2xf32>) -> tensor<?x3xf32>
  %ha = onnx.MatMul(%x, %a) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %fa = onnx.Relu(%ha) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %hb = onnx.MatMul(%x, %b) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %fb = onnx.Relu(%hb) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %hc = onnx.MatMul(%x, %c) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %fc = onnx.Relu(%hc) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %ua = onnx.Unsqueeze(%fa, %zero) : (tensor<?x16xf32>, tensor<1xi64>) -> tensor<1x?x16xf32>
  %ub = onnx.Unsqueeze(%fb, %zero) : (tensor<?x16xf32>, tensor<1xi64>) -> tensor<1x?x16xf32>
  %uc = onnx.Unsqueeze(%fc, %zero) : (tensor<?x16xf32>, tensor<1xi64>) -> tensor<1x?x16xf32>
  %all = onnx.Concat(%ua, %ub, %uc) {axis = 0 : i64} : (tensor<1x?x16xf32>, tensor<1x?x16xf32>, tensor<1x?x16xf32>) -> tensor<3x?x16xf32>
  %y = onnx.Einsum(%all, %m) {equation = "etd,te->td"} : (tensor<3x?x16xf32>, tensor<?x3xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// Each (token, slot) pair takes what its expert makes, in a chain of choices in any order.
// CHECK-LABEL: @where
// CHECK: %[[Y:.*]] = moe.experts %arg0, %{{.*}}#0, %{{.*}}#1 params(
// CHECK: return %[[Y]]
func.func @where(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}) -> tensor<?x16xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %a = onnx.Constant dense<0.1> : tensor<16x16xf32>
  %b = onnx.Constant dense<0.2> : tensor<16x16xf32>
  %c = onnx.Constant dense<0.3> : tensor<16x16xf32>
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %e0 = onnx.Constant dense<0> : tensor<i64>
  %e1 = onnx.Constant dense<1> : tensor<i64>
  %e2 = onnx.Constant dense<2> : tensor<i64>
  %copies = onnx.Constant dense<[1, 2, 1]> : tensor<3xi64>
  %by = onnx.Constant dense<[-1, 16]> : tensor<2xi64>
  %back = onnx.Constant dense<[-1, 2, 16]> : tensor<3xi64>
  %fzero = onnx.Constant dense<0.0> : tensor<f32>
  %x1 = onnx.Unsqueeze(%x, %one) : (tensor<?x16xf32>, tensor<1xi64>) -> tensor<?x1x16xf32>
  %x2 = onnx.Expand(%x1, %copies) : (tensor<?x1x16xf32>, tensor<3xi64>) -> tensor<?x2x16xf32>
  %r = onnx.Reshape(%x2, %by) : (tensor<?x2x16xf32>, tensor<2xi64>) -> tensor<?x16xf32>
  %ids = onnx.Reshape(%i, %last) : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?xi64>
  %shape = onnx.Shape(%r) : (tensor<?x16xf32>) -> tensor<2xi64>
  %o = onnx.Expand(%fzero, %shape) : (tensor<f32>, tensor<2xi64>) -> tensor<?x16xf32>
  %m0 = onnx.Equal(%ids, %e1) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %c0 = onnx.Unsqueeze(%m0, %one) : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %h0 = onnx.MatMul(%r, %b) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %f0 = onnx.Relu(%h0) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %o0 = onnx.Where(%c0, %f0, %o) : (tensor<?x1xi1>, tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %m1 = onnx.Equal(%ids, %e0) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %c1 = onnx.Unsqueeze(%m1, %one) : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %h1 = onnx.MatMul(%r, %a) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %f1 = onnx.Relu(%h1) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %o1 = onnx.Where(%c1, %f1, %o0) : (tensor<?x1xi1>, tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %m2 = onnx.Equal(%ids, %e2) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %c2 = onnx.Unsqueeze(%m2, %one) : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %h2 = onnx.MatMul(%r, %c) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %f2 = onnx.Relu(%h2) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %o2 = onnx.Where(%c2, %f2, %o1) : (tensor<?x1xi1>, tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %s = onnx.Reshape(%o2, %back) : (tensor<?x16xf32>, tensor<3xi64>) -> tensor<?x2x16xf32>
  %w1 = onnx.Unsqueeze(%w, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %p = onnx.Mul(%s, %w1) : (tensor<?x2x16xf32>, tensor<?x2x1xf32>) -> tensor<?x2x16xf32>
  %y = onnx.ReduceSum(%p, %one) {keepdims = 0 : i64} : (tensor<?x2x16xf32>, tensor<1xi64>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// The pairs of each expert are written to their places.
// CHECK-LABEL: @writes
// CHECK: %[[Y:.*]] = moe.experts %arg0, %{{.*}}#0, %{{.*}}#1 params(
// CHECK: return %[[Y]]
func.func @writes(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}) -> tensor<?x16xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %a = onnx.Constant dense<0.1> : tensor<16x16xf32>
  %b = onnx.Constant dense<0.2> : tensor<16x16xf32>
  %c = onnx.Constant dense<0.3> : tensor<16x16xf32>
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %e0 = onnx.Constant dense<0> : tensor<i64>
  %e1 = onnx.Constant dense<1> : tensor<i64>
  %e2 = onnx.Constant dense<2> : tensor<i64>
  %copies = onnx.Constant dense<[1, 2, 1]> : tensor<3xi64>
  %by = onnx.Constant dense<[-1, 16]> : tensor<2xi64>
  %back = onnx.Constant dense<[-1, 2, 16]> : tensor<3xi64>
  %fzero = onnx.Constant dense<0.0> : tensor<f32>
  %x1 = onnx.Unsqueeze(%x, %one) : (tensor<?x16xf32>, tensor<1xi64>) -> tensor<?x1x16xf32>
  %x2 = onnx.Expand(%x1, %copies) : (tensor<?x1x16xf32>, tensor<3xi64>) -> tensor<?x2x16xf32>
  %r = onnx.Reshape(%x2, %by) : (tensor<?x2x16xf32>, tensor<2xi64>) -> tensor<?x16xf32>
  %ids = onnx.Reshape(%i, %last) : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?xi64>
  %shape = onnx.Shape(%r) : (tensor<?x16xf32>) -> tensor<2xi64>
  %o = onnx.Expand(%fzero, %shape) : (tensor<f32>, tensor<2xi64>) -> tensor<?x16xf32>
  %m0 = onnx.Equal(%ids, %e0) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %n0 = onnx.NonZero(%m0) : (tensor<?xi1>) -> tensor<1x?xi64>
  %t0 = onnx.Transpose(%n0) {perm = array<i64: 1, 0>} : (tensor<1x?xi64>) -> tensor<?x1xi64>
  %g0 = onnx.GatherND(%r, %t0) : (tensor<?x16xf32>, tensor<?x1xi64>) -> tensor<?x16xf32>
  %h0 = onnx.MatMul(%g0, %a) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %f0 = onnx.Relu(%h0) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %o0 = onnx.ScatterND(%o, %t0, %f0) : (tensor<?x16xf32>, tensor<?x1xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %m1 = onnx.Equal(%ids, %e1) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %n1 = onnx.NonZero(%m1) : (tensor<?xi1>) -> tensor<1x?xi64>
  %t1 = onnx.Transpose(%n1) {perm = array<i64: 1, 0>} : (tensor<1x?xi64>) -> tensor<?x1xi64>
  %g1 = onnx.GatherND(%r, %t1) : (tensor<?x16xf32>, tensor<?x1xi64>) -> tensor<?x16xf32>
  %h1 = onnx.MatMul(%g1, %b) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %f1 = onnx.Relu(%h1) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %o1 = onnx.ScatterND(%o0, %t1, %f1) : (tensor<?x16xf32>, tensor<?x1xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %m2 = onnx.Equal(%ids, %e2) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %n2 = onnx.NonZero(%m2) : (tensor<?xi1>) -> tensor<1x?xi64>
  %t2 = onnx.Transpose(%n2) {perm = array<i64: 1, 0>} : (tensor<1x?xi64>) -> tensor<?x1xi64>
  %g2 = onnx.GatherND(%r, %t2) : (tensor<?x16xf32>, tensor<?x1xi64>) -> tensor<?x16xf32>
  %h2 = onnx.MatMul(%g2, %c) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %f2 = onnx.Relu(%h2) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %o2 = onnx.ScatterND(%o1, %t2, %f2) : (tensor<?x16xf32>, tensor<?x1xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %s = onnx.Reshape(%o2, %back) : (tensor<?x16xf32>, tensor<3xi64>) -> tensor<?x2x16xf32>
  %w1 = onnx.Unsqueeze(%w, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %p = onnx.Mul(%s, %w1) : (tensor<?x2x16xf32>, tensor<?x2x1xf32>) -> tensor<?x2x16xf32>
  %y = onnx.ReduceSum(%p, %one) {keepdims = 0 : i64} : (tensor<?x2x16xf32>, tensor<1xi64>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// Expert 0 twice and expert 2 never: zeros are left for its pairs.
// CHECK-LABEL: @twice
// CHECK-NOT: moe.experts
// CHECK: return
func.func @twice(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}) -> tensor<?x16xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %a = onnx.Constant dense<0.1> : tensor<16x16xf32>
  %b = onnx.Constant dense<0.2> : tensor<16x16xf32>
  %c = onnx.Constant dense<0.3> : tensor<16x16xf32>
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %e0 = onnx.Constant dense<0> : tensor<i64>
  %e1 = onnx.Constant dense<1> : tensor<i64>
  %e2 = onnx.Constant dense<2> : tensor<i64>
  %copies = onnx.Constant dense<[1, 2, 1]> : tensor<3xi64>
  %by = onnx.Constant dense<[-1, 16]> : tensor<2xi64>
  %back = onnx.Constant dense<[-1, 2, 16]> : tensor<3xi64>
  %fzero = onnx.Constant dense<0.0> : tensor<f32>
  %x1 = onnx.Unsqueeze(%x, %one) : (tensor<?x16xf32>, tensor<1xi64>) -> tensor<?x1x16xf32>
  %x2 = onnx.Expand(%x1, %copies) : (tensor<?x1x16xf32>, tensor<3xi64>) -> tensor<?x2x16xf32>
  %r = onnx.Reshape(%x2, %by) : (tensor<?x2x16xf32>, tensor<2xi64>) -> tensor<?x16xf32>
  %ids = onnx.Reshape(%i, %last) : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?xi64>
  %shape = onnx.Shape(%r) : (tensor<?x16xf32>) -> tensor<2xi64>
  %o = onnx.Expand(%fzero, %shape) : (tensor<f32>, tensor<2xi64>) -> tensor<?x16xf32>
  %m0 = onnx.Equal(%ids, %e1) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %c0 = onnx.Unsqueeze(%m0, %one) : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %h0 = onnx.MatMul(%r, %b) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %f0 = onnx.Relu(%h0) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %o0 = onnx.Where(%c0, %f0, %o) : (tensor<?x1xi1>, tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %m1 = onnx.Equal(%ids, %e0) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %c1 = onnx.Unsqueeze(%m1, %one) : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %h1 = onnx.MatMul(%r, %a) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %f1 = onnx.Relu(%h1) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %o1 = onnx.Where(%c1, %f1, %o0) : (tensor<?x1xi1>, tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %m2 = onnx.Equal(%ids, %e0) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %c2 = onnx.Unsqueeze(%m2, %one) : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %h2 = onnx.MatMul(%r, %c) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %f2 = onnx.Relu(%h2) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %o2 = onnx.Where(%c2, %f2, %o1) : (tensor<?x1xi1>, tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %s = onnx.Reshape(%o2, %back) : (tensor<?x16xf32>, tensor<3xi64>) -> tensor<?x2x16xf32>
  %w1 = onnx.Unsqueeze(%w, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %p = onnx.Mul(%s, %w1) : (tensor<?x2x16xf32>, tensor<?x2x1xf32>) -> tensor<?x2x16xf32>
  %y = onnx.ReduceSum(%p, %one) {keepdims = 0 : i64} : (tensor<?x2x16xf32>, tensor<1xi64>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// The layer's own formula makes the weights of the route's.
// CHECK-LABEL: @own_weights
// CHECK: %[[R:.*]]:2 = moe.route
// CHECK: %[[V:.*]] = onnx.Where(%{{.*}}, %[[R]]#0, %{{.*}})
// CHECK: moe.experts %arg0, %[[V]], %[[R]]#1 params(%arg2)
func.func @own_weights(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}, %p: tensor<3x16x16xf32>) -> tensor<?x16xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %least = onnx.Constant dense<0.2> : tensor<f32>
  %none = onnx.Constant dense<0.0> : tensor<f32>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %more = onnx.Greater(%w, %least) : (tensor<?x2xf32>, tensor<f32>) -> tensor<?x2xi1>
  %v = onnx.Where(%more, %w, %none) : (tensor<?x2xi1>, tensor<?x2xf32>, tensor<f32>) -> tensor<?x2xf32>
  %g = onnx.Gather(%p, %i) {axis = 0 : i64} : (tensor<3x16x16xf32>, tensor<?x2xi64>) -> tensor<?x2x16x16xf32>
  %h = onnx.Einsum(%x, %g) {equation = "td,tkde->tke"} : (tensor<?x16xf32>, tensor<?x2x16x16xf32>) -> tensor<?x2x16xf32>
  %v1 = onnx.Unsqueeze(%v, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %s = onnx.Mul(%h, %v1) : (tensor<?x2x16xf32>, tensor<?x2x1xf32>) -> tensor<?x2x16xf32>
  %y = onnx.ReduceSum(%s, %one) {keepdims = 0 : i64} : (tensor<?x2x16xf32>, tensor<1xi64>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}
