// RUN: moe-opt %s -moe-raise-experts -split-input-file | FileCheck %s
// Every expert on every token, weighted by a routing matrix that is zero for experts not chosen.

// Tokens repeated for each expert, batched products, the matrix transposed.
// CHECK-LABEL: @repeated
// CHECK: moe.experts %arg0, %{{.*}}#0, %{{.*}}#1 params(%arg2, %arg3)
// CHECK: ^bb0(%{{.*}}: tensor<?x16xf32>, %{{.*}}: tensor<16x12xf32>, %{{.*}}: tensor<12x16xf32>):
// CHECK-NOT: weight_on
func.func @repeated(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x4xf32> {moe.dims = ["tokens", 4]}, %w1: tensor<4x16x12xf32>, %w2: tensor<4x12x16xf32>) -> tensor<?x16xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x4xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %fzero = onnx.Constant dense<0.0> : tensor<f32>
  %copies = onnx.Constant dense<[4, 1]> : tensor<2xi64>
  %by = onnx.Constant dense<[4, -1, 16]> : tensor<3xi64>
  %byOne = onnx.Constant dense<[4, -1, 1]> : tensor<3xi64>
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %shape = onnx.Shape(%l) : (tensor<?x4xf32>) -> tensor<2xi64>
  %zeros = onnx.Expand(%fzero, %shape) : (tensor<f32>, tensor<2xi64>) -> tensor<?x4xf32>
  %m = onnx.ScatterElements(%zeros, %i, %w) {axis = 1 : i64} : (tensor<?x4xf32>, tensor<?x2xi64>, tensor<?x2xf32>) -> tensor<?x4xf32>
  %x1 = onnx.Tile(%x, %copies) : (tensor<?x16xf32>, tensor<2xi64>) -> tensor<?x16xf32>
  %x2 = onnx.Reshape(%x1, %by) : (tensor<?x16xf32>, tensor<3xi64>) -> tensor<4x?x16xf32>
  %h = onnx.MatMul(%x2, %w1) : (tensor<4x?x16xf32>, tensor<4x16x12xf32>) -> tensor<4x?x12xf32>
  %r = onnx.Relu(%h) : (tensor<4x?x12xf32>) -> tensor<4x?x12xf32>
  %o = onnx.MatMul(%r, %w2) : (tensor<4x?x12xf32>, tensor<4x12x16xf32>) -> tensor<4x?x16xf32>
  %mt = onnx.Transpose(%m) {perm = array<i64: 1, 0>} : (tensor<?x4xf32>) -> tensor<4x?xf32>
  %m1 = onnx.Reshape(%mt, %byOne) : (tensor<4x?xf32>, tensor<3xi64>) -> tensor<4x?x1xf32>
  %o1 = onnx.Mul(%o, %m1) : (tensor<4x?x16xf32>, tensor<4x?x1xf32>) -> tensor<4x?x16xf32>
  %y = onnx.ReduceSum(%o1, %zero) {keepdims = 0 : i64} : (tensor<4x?x16xf32>, tensor<1xi64>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// All experts in one wide product; the weight multiplies before the last product, which also sums over the experts. The
// parameters get their leading dimension of experts back.
// CHECK-LABEL: @wide
// CHECK: %[[A:.*]] = onnx.Reshape(%arg2, %{{.*}}) : (tensor<48x16xf32>, tensor<3xi64>) -> tensor<4x12x16xf32>
// CHECK: %[[B:.*]] = onnx.Transpose(%{{.*}}) {perm = array<i64: 1, 0, 2>} : (tensor<16x4x12xf32>) -> tensor<4x16x12xf32>
// CHECK: moe.experts %arg0, %{{.*}}#0, %{{.*}}#1 params(%[[A]], %[[B]])
func.func @wide(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x4xf32> {moe.dims = ["tokens", 4]}, %w1: tensor<48x16xf32>, %w2: tensor<16x48xf32>) -> tensor<?x16xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x4xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %fzero = onnx.Constant dense<0.0> : tensor<f32>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %by = onnx.Constant dense<[-1, 4, 12]> : tensor<3xi64>
  %flat = onnx.Constant dense<[-1, 48]> : tensor<2xi64>
  %shape = onnx.Shape(%l) : (tensor<?x4xf32>) -> tensor<2xi64>
  %zeros = onnx.Expand(%fzero, %shape) : (tensor<f32>, tensor<2xi64>) -> tensor<?x4xf32>
  %m = onnx.ScatterElements(%zeros, %i, %w) {axis = 1 : i64} : (tensor<?x4xf32>, tensor<?x2xi64>, tensor<?x2xf32>) -> tensor<?x4xf32>
  %h = onnx.Gemm(%x, %w1) {transB = 1 : i64} : (tensor<?x16xf32>, tensor<48x16xf32>) -> tensor<?x48xf32>
  %h1 = onnx.Reshape(%h, %by) : (tensor<?x48xf32>, tensor<3xi64>) -> tensor<?x4x12xf32>
  %r = onnx.Relu(%h1) : (tensor<?x4x12xf32>) -> tensor<?x4x12xf32>
  %m1 = onnx.Unsqueeze(%m, %last) : (tensor<?x4xf32>, tensor<1xi64>) -> tensor<?x4x1xf32>
  %r1 = onnx.Mul(%r, %m1) : (tensor<?x4x12xf32>, tensor<?x4x1xf32>) -> tensor<?x4x12xf32>
  %r2 = onnx.Reshape(%r1, %flat) : (tensor<?x4x12xf32>, tensor<2xi64>) -> tensor<?x48xf32>
  %y = onnx.Gemm(%r2, %w2) {transB = 1 : i64} : (tensor<?x48xf32>, tensor<16x48xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// The weight multiplies the input. f(0) = 0, so experts not chosen add nothing.
// CHECK-LABEL: @on_input
// CHECK: moe.experts %arg0, %{{.*}}#0, %{{.*}}#1 params(%arg2) {weight_on = #moe.weight_on<input>}
func.func @on_input(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x4xf32> {moe.dims = ["tokens", 4]}, %w1: tensor<4x16x16xf32>) -> tensor<?x16xf32> {
  %w, %i = moe.route %l {k = 1 : i64} : (tensor<?x4xf32>) -> (tensor<?x1xf32>, tensor<?x1xi64>)
  %fzero = onnx.Constant dense<0.0> : tensor<f32>
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %shape = onnx.Shape(%l) : (tensor<?x4xf32>) -> tensor<2xi64>
  %zeros = onnx.Expand(%fzero, %shape) : (tensor<f32>, tensor<2xi64>) -> tensor<?x4xf32>
  %m = onnx.ScatterElements(%zeros, %i, %w) {axis = 1 : i64} : (tensor<?x4xf32>, tensor<?x1xi64>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %mt = onnx.Transpose(%m) : (tensor<?x4xf32>) -> tensor<4x?xf32>
  %m1 = onnx.Unsqueeze(%mt, %last) : (tensor<4x?xf32>, tensor<1xi64>) -> tensor<4x?x1xf32>
  %x1 = onnx.Mul(%x, %m1) : (tensor<?x16xf32>, tensor<4x?x1xf32>) -> tensor<4x?x16xf32>
  %h = onnx.MatMul(%x1, %w1) : (tensor<4x?x16xf32>, tensor<4x16x16xf32>) -> tensor<4x?x16xf32>
  %r = onnx.Tanh(%h) : (tensor<4x?x16xf32>) -> tensor<4x?x16xf32>
  %y = onnx.ReduceSum(%r, %zero) {keepdims = 0 : i64} : (tensor<4x?x16xf32>, tensor<1xi64>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// With f(0) != 0 experts not chosen would add to the sum: left, and said.
// CHECK: moe.generic = [{node = "sum", op = "experts", reason = "{{.+}}"}]
// CHECK-LABEL: @on_input_not_zero
// CHECK-NOT: moe.experts
func.func @on_input_not_zero(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x4xf32> {moe.dims = ["tokens", 4]}, %w1: tensor<4x16x16xf32>) -> tensor<?x16xf32> {
  %w, %i = moe.route %l {k = 1 : i64} : (tensor<?x4xf32>) -> (tensor<?x1xf32>, tensor<?x1xi64>)
  %fzero = onnx.Constant dense<0.0> : tensor<f32>
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %shape = onnx.Shape(%l) : (tensor<?x4xf32>) -> tensor<2xi64>
  %zeros = onnx.Expand(%fzero, %shape) : (tensor<f32>, tensor<2xi64>) -> tensor<?x4xf32>
  %m = onnx.ScatterElements(%zeros, %i, %w) {axis = 1 : i64} : (tensor<?x4xf32>, tensor<?x1xi64>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %mt = onnx.Transpose(%m) : (tensor<?x4xf32>) -> tensor<4x?xf32>
  %m1 = onnx.Unsqueeze(%mt, %last) : (tensor<4x?xf32>, tensor<1xi64>) -> tensor<4x?x1xf32>
  %x1 = onnx.Mul(%x, %m1) : (tensor<?x16xf32>, tensor<4x?x1xf32>) -> tensor<4x?x16xf32>
  %h = onnx.MatMul(%x1, %w1) : (tensor<4x?x16xf32>, tensor<4x16x16xf32>) -> tensor<4x?x16xf32>
  %r = onnx.Sigmoid(%h) : (tensor<4x?x16xf32>) -> tensor<4x?x16xf32>
  %y = onnx.ReduceSum(%r, %zero) {keepdims = 0 : i64} : (tensor<4x?x16xf32>, tensor<1xi64>) -> tensor<?x16xf32> loc("sum")
  return %y : tensor<?x16xf32>
}

// -----

// A weight before something that is not linear: no weighted sum of experts.
// CHECK: moe.generic = [{node = "sum", op = "experts", reason = "'Relu' of node 'act' is not linear and comes after the routing weight"}]
// CHECK-LABEL: @not_linear
// CHECK-NOT: moe.experts
func.func @not_linear(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x4xf32> {moe.dims = ["tokens", 4]}, %w1: tensor<4x16x12xf32>) -> tensor<?x12xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x4xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %a = onnx.Gather(%w1, %i) {axis = 0 : i64} : (tensor<4x16x12xf32>, tensor<?x2xi64>) -> tensor<?x2x16x12xf32>
  %h = onnx.Einsum(%x, %a) {equation = "td,tkdf->tkf"} : (tensor<?x16xf32>, tensor<?x2x16x12xf32>) -> tensor<?x2x12xf32>
  %u = onnx.Unsqueeze(%w, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %m = onnx.Mul(%h, %u) : (tensor<?x2x12xf32>, tensor<?x2x1xf32>) -> tensor<?x2x12xf32>
  %r = onnx.Relu(%m) : (tensor<?x2x12xf32>) -> tensor<?x2x12xf32> loc("act")
  %y = onnx.ReduceSum(%r, %one) {keepdims = 0 : i64} : (tensor<?x2x12xf32>, tensor<1xi64>) -> tensor<?x12xf32> loc("sum")
  return %y : tensor<?x12xf32>
}
