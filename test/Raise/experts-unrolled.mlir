// RUN: moe-opt %s -moe-raise-experts -split-input-file | FileCheck %s
// Rows that do not add but take the largest are no sum, whether they go to zeros or are read and written back.
// RUN: sed -E '/@index_add/,/^}/ s/(ScatterElements\(%z.*axis = 0 : i64)/\1, reduction = "max"/; /@in_place/,/^}/ s/(ScatterND\(.*%new.\)) :/\1 {reduction = "max"} :/' %s > %t.mlir
// RUN: moe-opt %t.mlir -moe-raise-experts -split-input-file | FileCheck %s --check-prefix=MAX
// MAX-LABEL: @index_add
// MAX: reduction = "max"
// MAX-NOT: moe.experts
// MAX-LABEL: @other_place
// MAX-LABEL: @in_place
// MAX: reduction = "max"
// MAX-NOT: moe.experts
// MAX-LABEL: @other_columns
// One term an expert, rolled into one function with the weights stacked.

// All tokens through each expert, times its column of the routing matrix. The weights are four separate tensors.
// CHECK: moe.weight @[[S2:stacked.*]] : tensor<2x8x16xf32> = #moe.recipe<concat, {axis = 0 : i64}, [#moe.recipe<reshape, {}, [#moe.piece<"w.bin", 1024, 512, tensor<8x16xf32>>], tensor<1x8x16xf32>>, #moe.recipe<reshape, {}, [#moe.piece<"w.bin", 1536, 512, tensor<8x16xf32>>], tensor<1x8x16xf32>>], tensor<2x8x16xf32>>
// CHECK: moe.weight @[[S1:stacked.*]] : tensor<2x16x8xf32>
// CHECK-LABEL: @columns
// CHECK-DAG: %[[W1:.*]] = moe.get_weight @[[S1]]
// CHECK-DAG: %[[W2:.*]] = moe.get_weight @[[S2]]
// CHECK: %[[Y:.*]] = moe.experts %arg0, %{{.*}}#0, %{{.*}}#1 params(%[[W1]], %[[W2]])
// CHECK: onnx.Add(%[[Y]], %arg2)
module {
  moe.weight @a0 : tensor<16x8xf32> = #moe.piece<"w.bin", 0, 512, tensor<16x8xf32>>
  moe.weight @a1 : tensor<16x8xf32> = #moe.piece<"w.bin", 512, 512, tensor<16x8xf32>>
  moe.weight @b0 : tensor<8x16xf32> = #moe.piece<"w.bin", 1024, 512, tensor<8x16xf32>>
  moe.weight @b1 : tensor<8x16xf32> = #moe.piece<"w.bin", 1536, 512, tensor<8x16xf32>>
  func.func @columns(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x2xf32> {moe.dims = ["tokens", 2]}, %shared: tensor<?x16xf32> {moe.dims = ["tokens", 16]}) -> tensor<?x16xf32> {
    %a0 = moe.get_weight @a0 : tensor<16x8xf32>
    %a1 = moe.get_weight @a1 : tensor<16x8xf32>
    %b0 = moe.get_weight @b0 : tensor<8x16xf32>
    %b1 = moe.get_weight @b1 : tensor<8x16xf32>
    %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x2xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
    %fzero = onnx.Constant dense<0.0> : tensor<f32>
    %zero = onnx.Constant dense<0> : tensor<1xi64>
    %one = onnx.Constant dense<1> : tensor<1xi64>
    %two = onnx.Constant dense<2> : tensor<1xi64>
    %shape = onnx.Shape(%l) : (tensor<?x2xf32>) -> tensor<2xi64>
    %zeros = onnx.Expand(%fzero, %shape) : (tensor<f32>, tensor<2xi64>) -> tensor<?x2xf32>
    %m = onnx.ScatterElements(%zeros, %i, %w) {axis = 1 : i64} : (tensor<?x2xf32>, tensor<?x2xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
    %h1 = onnx.MatMul(%x, %a1) : (tensor<?x16xf32>, tensor<16x8xf32>) -> tensor<?x8xf32>
    %r1 = onnx.Relu(%h1) : (tensor<?x8xf32>) -> tensor<?x8xf32>
    %o1 = onnx.MatMul(%r1, %b1) : (tensor<?x8xf32>, tensor<8x16xf32>) -> tensor<?x16xf32>
    %c1 = onnx.Slice(%m, %one, %two, %one) : (tensor<?x2xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
    %t1 = onnx.Mul(%o1, %c1) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
    %s1 = onnx.Add(%shared, %t1) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
    %h0 = onnx.MatMul(%x, %a0) : (tensor<?x16xf32>, tensor<16x8xf32>) -> tensor<?x8xf32>
    %r0 = onnx.Relu(%h0) : (tensor<?x8xf32>) -> tensor<?x8xf32>
    %o0 = onnx.MatMul(%r0, %b0) : (tensor<?x8xf32>, tensor<8x16xf32>) -> tensor<?x16xf32>
    %c0 = onnx.Slice(%m, %zero, %one, %one) : (tensor<?x2xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
    %t0 = onnx.Mul(%o0, %c0) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
    %y = onnx.Add(%s1, %t0) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
    return %y : tensor<?x16xf32>
  }
}

// -----

// The tokens of each expert by NonZero, gathered, and added back. Slices of one tensor are that tensor.
// CHECK-LABEL: @nonzero
// CHECK: %[[W:.*]] = moe.get_weight @w1
// CHECK: %[[Y:.*]] = moe.experts %arg0, %{{.*}}#0, %{{.*}}#1 params(%[[W]]) :
// CHECK-NOT: onnx.NonZero
// CHECK: return %[[Y]]
moe.weight @w1 : tensor<2x16x16xf32> = #moe.piece<"w.bin", 0, 2048, tensor<2x16x16xf32>>
func.func @nonzero(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x2xf32> {moe.dims = ["tokens", 2]}) -> tensor<?x16xf32> {
  %w1 = moe.get_weight @w1 : tensor<2x16x16xf32>
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x2xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %fzero = onnx.Constant dense<0.0> : tensor<f32>
  %i0 = onnx.Constant dense<0> : tensor<i64>
  %i1 = onnx.Constant dense<1> : tensor<i64>
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %two = onnx.Constant dense<2> : tensor<1xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %ids = onnx.Constant dense<[0, 1]> : tensor<2xi64>
  %shape = onnx.Shape(%x) : (tensor<?x16xf32>) -> tensor<2xi64>
  %acc = onnx.Expand(%fzero, %shape) : (tensor<f32>, tensor<2xi64>) -> tensor<?x16xf32>
  %u = onnx.Unsqueeze(%i, %last) : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?x2x1xi64>
  %e = onnx.Equal(%u, %ids) : (tensor<?x2x1xi64>, tensor<2xi64>) -> tensor<?x2x2xi1>
  %ei = onnx.Cast(%e) {to = i64} : (tensor<?x2x2xi1>) -> tensor<?x2x2xi64>
  %p = onnx.Transpose(%ei) {perm = array<i64: 2, 1, 0>} : (tensor<?x2x2xi64>) -> tensor<2x2x?xi64>
  %wu = onnx.Unsqueeze(%w, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>

  %m0 = onnx.Gather(%p, %i0) {axis = 0 : i64} : (tensor<2x2x?xi64>, tensor<i64>) -> tensor<2x?xi64>
  %n0 = onnx.NonZero(%m0) : (tensor<2x?xi64>) -> tensor<2x?xi64>
  %n0t = onnx.Transpose(%n0) {perm = array<i64: 1, 0>} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %k0 = onnx.Slice(%n0t, %zero, %one, %one) : (tensor<?x2xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %t0 = onnx.Slice(%n0t, %one, %two, %one) : (tensor<?x2xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %x0 = onnx.GatherND(%x, %t0) : (tensor<?x16xf32>, tensor<?x1xi64>) -> tensor<?x16xf32>
  %a0 = onnx.Gather(%w1, %i0) {axis = 0 : i64} : (tensor<2x16x16xf32>, tensor<i64>) -> tensor<16x16xf32>
  %h0 = onnx.Gemm(%x0, %a0) {transB = 1 : i64} : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %at0 = onnx.Concat(%t0, %k0) {axis = -1 : i64} : (tensor<?x1xi64>, tensor<?x1xi64>) -> tensor<?x2xi64>
  %v0 = onnx.GatherND(%wu, %at0) : (tensor<?x2x1xf32>, tensor<?x2xi64>) -> tensor<?x1xf32>
  %o0 = onnx.Mul(%h0, %v0) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %y0 = onnx.ScatterND(%acc, %t0, %o0) {reduction = "add"} : (tensor<?x16xf32>, tensor<?x1xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>

  %m1 = onnx.Gather(%p, %i1) {axis = 0 : i64} : (tensor<2x2x?xi64>, tensor<i64>) -> tensor<2x?xi64>
  %n1 = onnx.NonZero(%m1) : (tensor<2x?xi64>) -> tensor<2x?xi64>
  %n1t = onnx.Transpose(%n1) {perm = array<i64: 1, 0>} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %k1 = onnx.Slice(%n1t, %zero, %one, %one) : (tensor<?x2xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %t1 = onnx.Slice(%n1t, %one, %two, %one) : (tensor<?x2xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %x1 = onnx.GatherND(%x, %t1) : (tensor<?x16xf32>, tensor<?x1xi64>) -> tensor<?x16xf32>
  %a1 = onnx.Gather(%w1, %i1) {axis = 0 : i64} : (tensor<2x16x16xf32>, tensor<i64>) -> tensor<16x16xf32>
  %h1 = onnx.Gemm(%x1, %a1) {transB = 1 : i64} : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %at1 = onnx.Concat(%t1, %k1) {axis = -1 : i64} : (tensor<?x1xi64>, tensor<?x1xi64>) -> tensor<?x2xi64>
  %v1 = onnx.GatherND(%wu, %at1) : (tensor<?x2x1xf32>, tensor<?x2xi64>) -> tensor<?x1xf32>
  %o1 = onnx.Mul(%h1, %v1) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %y1 = onnx.ScatterND(%y0, %t1, %o1) {reduction = "add"} : (tensor<?x16xf32>, tensor<?x1xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  return %y1 : tensor<?x16xf32>
}

// -----

// Terms that are different functions are no bank of experts.
// CHECK: moe.generic = [{node = "sum", op = "experts", reason = "terms of the sum over experts are different functions"}]
// CHECK-LABEL: @different
// CHECK-NOT: moe.experts
moe.weight @wa : tensor<16x16xf32> = #moe.piece<"w.bin", 0, 1024, tensor<16x16xf32>>
moe.weight @wb : tensor<16x16xf32> = #moe.piece<"w.bin", 1024, 1024, tensor<16x16xf32>>
func.func @different(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x2xf32> {moe.dims = ["tokens", 2]}) -> tensor<?x16xf32> {
  %wa = moe.get_weight @wa : tensor<16x16xf32>
  %wb = moe.get_weight @wb : tensor<16x16xf32>
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x2xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %two = onnx.Constant dense<2> : tensor<1xi64>
  %fzero = onnx.Constant dense<0.0> : tensor<f32>
  %shape = onnx.Shape(%l) : (tensor<?x2xf32>) -> tensor<2xi64>
  %zeros = onnx.Expand(%fzero, %shape) : (tensor<f32>, tensor<2xi64>) -> tensor<?x2xf32>
  %m = onnx.ScatterElements(%zeros, %i, %w) {axis = 1 : i64} : (tensor<?x2xf32>, tensor<?x2xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %c0 = onnx.Slice(%m, %zero, %one, %one) : (tensor<?x2xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
  %c1 = onnx.Slice(%m, %one, %two, %one) : (tensor<?x2xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
  %h0 = onnx.MatMul(%x, %wa) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %h1 = onnx.MatMul(%x, %wb) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %r0 = onnx.Relu(%h0) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %r1 = onnx.Tanh(%h1) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %o0 = onnx.Mul(%r0, %c0) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %o1 = onnx.Mul(%r1, %c1) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %y = onnx.Add(%o0, %o1) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32> loc("sum")
  return %y : tensor<?x16xf32>
}

// -----

// index_add as rows written to zeros, then added; the weight is found by token * k + slot.
// CHECK-LABEL: @index_add
// CHECK: %[[W:.*]] = moe.get_weight @w1
// CHECK: %[[Y:.*]] = moe.experts %arg0, %{{.*}}#0, %{{.*}}#1 params(%[[W]]) :
// CHECK-NOT: onnx.NonZero
// CHECK: return %[[Y]]
moe.weight @w1 : tensor<2x16x16xf32> = #moe.piece<"w.bin", 0, 2048, tensor<2x16x16xf32>>
func.func @index_add(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x2xf32> {moe.dims = ["tokens", 2]}) -> tensor<?x16xf32> {
  %w1 = moe.get_weight @w1 : tensor<2x16x16xf32>
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x2xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %i0 = onnx.Constant dense<0> : tensor<i64>
  %i1 = onnx.Constant dense<1> : tensor<i64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %two = onnx.Constant dense<2> : tensor<1xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %ones = onnx.Constant dense<1> : tensor<2xi64>
  %from = onnx.Constant dense<0> : tensor<2xi64>
  %to = onnx.Constant dense<[1, 9223372036854775807]> : tensor<2xi64>
  %both = onnx.Constant dense<[0, 1]> : tensor<2xi64>
  %column = onnx.Constant dense<[-1, 1]> : tensor<2xi64>
  %shape = onnx.Shape(%x) : (tensor<?x16xf32>) -> tensor<2xi64>
  %acc = onnx.ConstantOfShape(%shape) {value = dense<0.0> : tensor<1xf32>} : (tensor<2xi64>) -> tensor<?x16xf32>
  %u = onnx.Unsqueeze(%i, %last) : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?x2x1xi64>
  %e = onnx.Equal(%u, %both) : (tensor<?x2x1xi64>, tensor<2xi64>) -> tensor<?x2x2xi1>
  %ei = onnx.Cast(%e) {to = i64} : (tensor<?x2x2xi1>) -> tensor<?x2x2xi64>
  %p = onnx.Transpose(%ei) {perm = array<i64: 2, 1, 0>} : (tensor<?x2x2xi64>) -> tensor<2x2x?xi64>
  %flat = onnx.Reshape(%w, %column) : (tensor<?x2xf32>, tensor<2xi64>) -> tensor<?x1xf32>

  %m0 = onnx.Gather(%p, %i0) {axis = 0 : i64} : (tensor<2x2x?xi64>, tensor<i64>) -> tensor<2x?xi64>
  %n0 = onnx.NonZero(%m0) : (tensor<2x?xi64>) -> tensor<2x?xi64>
  %n0t = onnx.Transpose(%n0) {perm = array<i64: 1, 0>} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %c0:2 = onnx.Split(%n0t, %ones) {axis = 1 : i64} : (tensor<?x2xi64>, tensor<2xi64>) -> (tensor<?x1xi64>, tensor<?x1xi64>)
  %k0 = onnx.Squeeze(%c0#0, %one) : (tensor<?x1xi64>, tensor<1xi64>) -> tensor<?xi64>
  %t0 = onnx.Squeeze(%c0#1, %one) : (tensor<?x1xi64>, tensor<1xi64>) -> tensor<?xi64>
  %x0 = onnx.Gather(%x, %t0) {axis = 0 : i64} : (tensor<?x16xf32>, tensor<?xi64>) -> tensor<?x16xf32>
  %a0 = onnx.Gather(%w1, %i0) {axis = 0 : i64} : (tensor<2x16x16xf32>, tensor<i64>) -> tensor<16x16xf32>
  %h0 = onnx.MatMul(%x0, %a0) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %j0 = onnx.Mul(%t0, %two) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?xi64>
  %at0 = onnx.Add(%k0, %j0) : (tensor<?xi64>, tensor<?xi64>) -> tensor<?xi64>
  %v0 = onnx.Gather(%flat, %at0) {axis = 0 : i64} : (tensor<?x1xf32>, tensor<?xi64>) -> tensor<?x1xf32>
  %o0 = onnx.Mul(%h0, %v0) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %first0 = onnx.Slice(%acc, %from, %to, %both) : (tensor<?x16xf32>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>) -> tensor<?x16xf32>
  %width0 = onnx.Shape(%first0) : (tensor<?x16xf32>) -> tensor<2xi64>
  %rows0 = onnx.Expand(%o0, %width0) : (tensor<?x16xf32>, tensor<2xi64>) -> tensor<?x16xf32>
  %tu0 = onnx.Unsqueeze(%t0, %one) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %rs0 = onnx.Shape(%rows0) : (tensor<?x16xf32>) -> tensor<2xi64>
  %te0 = onnx.Expand(%tu0, %rs0) : (tensor<?x1xi64>, tensor<2xi64>) -> tensor<?x16xi64>
  %ys0 = onnx.Shape(%acc) : (tensor<?x16xf32>) -> tensor<2xi64>
  %z0 = onnx.ConstantOfShape(%ys0) {value = dense<0.0> : tensor<1xf32>} : (tensor<2xi64>) -> tensor<?x16xf32>
  %s0 = onnx.ScatterElements(%z0, %te0, %rows0) {axis = 0 : i64} : (tensor<?x16xf32>, tensor<?x16xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %y0 = onnx.Add(%acc, %s0) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>

  %m1 = onnx.Gather(%p, %i1) {axis = 0 : i64} : (tensor<2x2x?xi64>, tensor<i64>) -> tensor<2x?xi64>
  %n1 = onnx.NonZero(%m1) : (tensor<2x?xi64>) -> tensor<2x?xi64>
  %n1t = onnx.Transpose(%n1) {perm = array<i64: 1, 0>} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %c1:2 = onnx.Split(%n1t, %ones) {axis = 1 : i64} : (tensor<?x2xi64>, tensor<2xi64>) -> (tensor<?x1xi64>, tensor<?x1xi64>)
  %k1 = onnx.Squeeze(%c1#0, %one) : (tensor<?x1xi64>, tensor<1xi64>) -> tensor<?xi64>
  %t1 = onnx.Squeeze(%c1#1, %one) : (tensor<?x1xi64>, tensor<1xi64>) -> tensor<?xi64>
  %x1 = onnx.Gather(%x, %t1) {axis = 0 : i64} : (tensor<?x16xf32>, tensor<?xi64>) -> tensor<?x16xf32>
  %a1 = onnx.Gather(%w1, %i1) {axis = 0 : i64} : (tensor<2x16x16xf32>, tensor<i64>) -> tensor<16x16xf32>
  %h1 = onnx.MatMul(%x1, %a1) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %j1 = onnx.Mul(%t1, %two) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?xi64>
  %at1 = onnx.Add(%k1, %j1) : (tensor<?xi64>, tensor<?xi64>) -> tensor<?xi64>
  %v1 = onnx.Gather(%flat, %at1) {axis = 0 : i64} : (tensor<?x1xf32>, tensor<?xi64>) -> tensor<?x1xf32>
  %o1 = onnx.Mul(%h1, %v1) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %first1 = onnx.Slice(%y0, %from, %to, %both) : (tensor<?x16xf32>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>) -> tensor<?x16xf32>
  %width1 = onnx.Shape(%first1) : (tensor<?x16xf32>) -> tensor<2xi64>
  %rows1 = onnx.Expand(%o1, %width1) : (tensor<?x16xf32>, tensor<2xi64>) -> tensor<?x16xf32>
  %tu1 = onnx.Unsqueeze(%t1, %one) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %rs1 = onnx.Shape(%rows1) : (tensor<?x16xf32>) -> tensor<2xi64>
  %te1 = onnx.Expand(%tu1, %rs1) : (tensor<?x1xi64>, tensor<2xi64>) -> tensor<?x16xi64>
  %ys1 = onnx.Shape(%y0) : (tensor<?x16xf32>) -> tensor<2xi64>
  %z1 = onnx.ConstantOfShape(%ys1) {value = dense<0.0> : tensor<1xf32>} : (tensor<2xi64>) -> tensor<?x16xf32>
  %s1 = onnx.ScatterElements(%z1, %te1, %rows1) {axis = 0 : i64} : (tensor<?x16xf32>, tensor<?x16xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %y1 = onnx.Add(%y0, %s1) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  return %y1 : tensor<?x16xf32>
}

// -----

// A place that is not the (token, slot) pair's weight.
// CHECK: moe.generic = [{node = "", op = "experts", reason =
// CHECK-LABEL: @other_place
// CHECK-NOT: moe.experts
moe.weight @w1 : tensor<2x16x16xf32> = #moe.piece<"w.bin", 0, 2048, tensor<2x16x16xf32>>
func.func @other_place(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x2xf32> {moe.dims = ["tokens", 2]}) -> tensor<?x16xf32> {
  %w1 = moe.get_weight @w1 : tensor<2x16x16xf32>
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x2xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %i0 = onnx.Constant dense<0> : tensor<i64>
  %i1 = onnx.Constant dense<1> : tensor<i64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %two = onnx.Constant dense<2> : tensor<1xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %ones = onnx.Constant dense<1> : tensor<2xi64>
  %from = onnx.Constant dense<0> : tensor<2xi64>
  %to = onnx.Constant dense<[1, 9223372036854775807]> : tensor<2xi64>
  %both = onnx.Constant dense<[0, 1]> : tensor<2xi64>
  %column = onnx.Constant dense<[-1, 1]> : tensor<2xi64>
  %shape = onnx.Shape(%x) : (tensor<?x16xf32>) -> tensor<2xi64>
  %acc = onnx.ConstantOfShape(%shape) {value = dense<0.0> : tensor<1xf32>} : (tensor<2xi64>) -> tensor<?x16xf32>
  %u = onnx.Unsqueeze(%i, %last) : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?x2x1xi64>
  %e = onnx.Equal(%u, %both) : (tensor<?x2x1xi64>, tensor<2xi64>) -> tensor<?x2x2xi1>
  %ei = onnx.Cast(%e) {to = i64} : (tensor<?x2x2xi1>) -> tensor<?x2x2xi64>
  %p = onnx.Transpose(%ei) {perm = array<i64: 2, 1, 0>} : (tensor<?x2x2xi64>) -> tensor<2x2x?xi64>
  %flat = onnx.Reshape(%w, %column) : (tensor<?x2xf32>, tensor<2xi64>) -> tensor<?x1xf32>

  %m0 = onnx.Gather(%p, %i0) {axis = 0 : i64} : (tensor<2x2x?xi64>, tensor<i64>) -> tensor<2x?xi64>
  %n0 = onnx.NonZero(%m0) : (tensor<2x?xi64>) -> tensor<2x?xi64>
  %n0t = onnx.Transpose(%n0) {perm = array<i64: 1, 0>} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %c0:2 = onnx.Split(%n0t, %ones) {axis = 1 : i64} : (tensor<?x2xi64>, tensor<2xi64>) -> (tensor<?x1xi64>, tensor<?x1xi64>)
  %k0 = onnx.Squeeze(%c0#0, %one) : (tensor<?x1xi64>, tensor<1xi64>) -> tensor<?xi64>
  %t0 = onnx.Squeeze(%c0#1, %one) : (tensor<?x1xi64>, tensor<1xi64>) -> tensor<?xi64>
  %x0 = onnx.Gather(%x, %t0) {axis = 0 : i64} : (tensor<?x16xf32>, tensor<?xi64>) -> tensor<?x16xf32>
  %a0 = onnx.Gather(%w1, %i0) {axis = 0 : i64} : (tensor<2x16x16xf32>, tensor<i64>) -> tensor<16x16xf32>
  %h0 = onnx.MatMul(%x0, %a0) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %j0 = onnx.Mul(%t0, %one) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?xi64>
  %at0 = onnx.Add(%k0, %j0) : (tensor<?xi64>, tensor<?xi64>) -> tensor<?xi64>
  %v0 = onnx.Gather(%flat, %at0) {axis = 0 : i64} : (tensor<?x1xf32>, tensor<?xi64>) -> tensor<?x1xf32>
  %o0 = onnx.Mul(%h0, %v0) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %first0 = onnx.Slice(%acc, %from, %to, %both) : (tensor<?x16xf32>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>) -> tensor<?x16xf32>
  %width0 = onnx.Shape(%first0) : (tensor<?x16xf32>) -> tensor<2xi64>
  %rows0 = onnx.Expand(%o0, %width0) : (tensor<?x16xf32>, tensor<2xi64>) -> tensor<?x16xf32>
  %tu0 = onnx.Unsqueeze(%t0, %one) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %rs0 = onnx.Shape(%rows0) : (tensor<?x16xf32>) -> tensor<2xi64>
  %te0 = onnx.Expand(%tu0, %rs0) : (tensor<?x1xi64>, tensor<2xi64>) -> tensor<?x16xi64>
  %ys0 = onnx.Shape(%acc) : (tensor<?x16xf32>) -> tensor<2xi64>
  %z0 = onnx.ConstantOfShape(%ys0) {value = dense<0.0> : tensor<1xf32>} : (tensor<2xi64>) -> tensor<?x16xf32>
  %s0 = onnx.ScatterElements(%z0, %te0, %rows0) {axis = 0 : i64} : (tensor<?x16xf32>, tensor<?x16xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %y0 = onnx.Add(%acc, %s0) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>

  %m1 = onnx.Gather(%p, %i1) {axis = 0 : i64} : (tensor<2x2x?xi64>, tensor<i64>) -> tensor<2x?xi64>
  %n1 = onnx.NonZero(%m1) : (tensor<2x?xi64>) -> tensor<2x?xi64>
  %n1t = onnx.Transpose(%n1) {perm = array<i64: 1, 0>} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %c1:2 = onnx.Split(%n1t, %ones) {axis = 1 : i64} : (tensor<?x2xi64>, tensor<2xi64>) -> (tensor<?x1xi64>, tensor<?x1xi64>)
  %k1 = onnx.Squeeze(%c1#0, %one) : (tensor<?x1xi64>, tensor<1xi64>) -> tensor<?xi64>
  %t1 = onnx.Squeeze(%c1#1, %one) : (tensor<?x1xi64>, tensor<1xi64>) -> tensor<?xi64>
  %x1 = onnx.Gather(%x, %t1) {axis = 0 : i64} : (tensor<?x16xf32>, tensor<?xi64>) -> tensor<?x16xf32>
  %a1 = onnx.Gather(%w1, %i1) {axis = 0 : i64} : (tensor<2x16x16xf32>, tensor<i64>) -> tensor<16x16xf32>
  %h1 = onnx.MatMul(%x1, %a1) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %j1 = onnx.Mul(%t1, %one) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?xi64>
  %at1 = onnx.Add(%k1, %j1) : (tensor<?xi64>, tensor<?xi64>) -> tensor<?xi64>
  %v1 = onnx.Gather(%flat, %at1) {axis = 0 : i64} : (tensor<?x1xf32>, tensor<?xi64>) -> tensor<?x1xf32>
  %o1 = onnx.Mul(%h1, %v1) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %first1 = onnx.Slice(%y0, %from, %to, %both) : (tensor<?x16xf32>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>) -> tensor<?x16xf32>
  %width1 = onnx.Shape(%first1) : (tensor<?x16xf32>) -> tensor<2xi64>
  %rows1 = onnx.Expand(%o1, %width1) : (tensor<?x16xf32>, tensor<2xi64>) -> tensor<?x16xf32>
  %tu1 = onnx.Unsqueeze(%t1, %one) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %rs1 = onnx.Shape(%rows1) : (tensor<?x16xf32>) -> tensor<2xi64>
  %te1 = onnx.Expand(%tu1, %rs1) : (tensor<?x1xi64>, tensor<2xi64>) -> tensor<?x16xi64>
  %ys1 = onnx.Shape(%y0) : (tensor<?x16xf32>) -> tensor<2xi64>
  %z1 = onnx.ConstantOfShape(%ys1) {value = dense<0.0> : tensor<1xf32>} : (tensor<2xi64>) -> tensor<?x16xf32>
  %s1 = onnx.ScatterElements(%z1, %te1, %rows1) {axis = 0 : i64} : (tensor<?x16xf32>, tensor<?x16xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %y1 = onnx.Add(%y0, %s1) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  return %y1 : tensor<?x16xf32>
}

// -----

// One slot: masks and weights are reduced over a dimension of extent 1. Rows are read, added to and written back.
// CHECK-LABEL: @in_place
// CHECK: %[[W:.*]] = moe.get_weight @w1
// CHECK: %[[Y:.*]] = moe.experts %arg0, %{{.*}}#0, %{{.*}}#1 params(%[[W]]) :
// CHECK-NOT: onnx.NonZero
// CHECK: return %[[Y]]
moe.weight @w1 : tensor<2x16x16xf32> = #moe.piece<"w.bin", 0, 2048, tensor<2x16x16xf32>>
func.func @in_place(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x2xf32> {moe.dims = ["tokens", 2]}) -> tensor<?x16xf32> {
  %w1 = moe.get_weight @w1 : tensor<2x16x16xf32>
  %w, %i = moe.route %l {k = 1 : i64} : (tensor<?x2xf32>) -> (tensor<?x1xf32>, tensor<?x1xi64>)
  %i0 = onnx.Constant dense<0> : tensor<i64>
  %i1 = onnx.Constant dense<1> : tensor<i64>
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %shape = onnx.Shape(%x) : (tensor<?x16xf32>) -> tensor<2xi64>
  %acc = onnx.ConstantOfShape(%shape) {value = dense<0.0> : tensor<1xf32>} : (tensor<2xi64>) -> tensor<?x16xf32>

  %e0 = onnx.Equal(%i, %i0) : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %ei0 = onnx.Cast(%e0) {to = i64} : (tensor<?x1xi1>) -> tensor<?x1xi64>
  %any0 = onnx.ReduceMax(%ei0, %last) {keepdims = 0 : i64} : (tensor<?x1xi64>, tensor<1xi64>) -> tensor<?xi64>
  %n0 = onnx.NonZero(%any0) : (tensor<?xi64>) -> tensor<1x?xi64>
  %t0 = onnx.Squeeze(%n0, %zero) : (tensor<1x?xi64>, tensor<1xi64>) -> tensor<?xi64>
  %ef0 = onnx.Cast(%e0) {to = f32} : (tensor<?x1xi1>) -> tensor<?x1xf32>
  %p0 = onnx.Mul(%w, %ef0) : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %c0 = onnx.ReduceSum(%p0, %last) {keepdims = 0 : i64} : (tensor<?x1xf32>, tensor<1xi64>) -> tensor<?xf32>
  %x0 = onnx.Gather(%x, %t0) {axis = 0 : i64} : (tensor<?x16xf32>, tensor<?xi64>) -> tensor<?x16xf32>
  %a0 = onnx.Gather(%w1, %i0) {axis = 0 : i64} : (tensor<2x16x16xf32>, tensor<i64>) -> tensor<16x16xf32>
  %h0 = onnx.MatMul(%x0, %a0) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %v0 = onnx.Gather(%c0, %t0) {axis = 0 : i64} : (tensor<?xf32>, tensor<?xi64>) -> tensor<?xf32>
  %vu0 = onnx.Unsqueeze(%v0, %last) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %o0 = onnx.Mul(%h0, %vu0) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %old0 = onnx.Gather(%acc, %t0) {axis = 0 : i64} : (tensor<?x16xf32>, tensor<?xi64>) -> tensor<?x16xf32>
  %new0 = onnx.Add(%old0, %o0) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %tu0 = onnx.Unsqueeze(%t0, %last) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %y0 = onnx.ScatterND(%acc, %tu0, %new0) : (tensor<?x16xf32>, tensor<?x1xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>

  %e1 = onnx.Equal(%i, %i1) : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %ei1 = onnx.Cast(%e1) {to = i64} : (tensor<?x1xi1>) -> tensor<?x1xi64>
  %any1 = onnx.ReduceMax(%ei1, %last) {keepdims = 0 : i64} : (tensor<?x1xi64>, tensor<1xi64>) -> tensor<?xi64>
  %n1 = onnx.NonZero(%any1) : (tensor<?xi64>) -> tensor<1x?xi64>
  %t1 = onnx.Squeeze(%n1, %zero) : (tensor<1x?xi64>, tensor<1xi64>) -> tensor<?xi64>
  %ef1 = onnx.Cast(%e1) {to = f32} : (tensor<?x1xi1>) -> tensor<?x1xf32>
  %p1 = onnx.Mul(%w, %ef1) : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %c1 = onnx.ReduceSum(%p1, %last) {keepdims = 0 : i64} : (tensor<?x1xf32>, tensor<1xi64>) -> tensor<?xf32>
  %x1 = onnx.Gather(%x, %t1) {axis = 0 : i64} : (tensor<?x16xf32>, tensor<?xi64>) -> tensor<?x16xf32>
  %a1 = onnx.Gather(%w1, %i1) {axis = 0 : i64} : (tensor<2x16x16xf32>, tensor<i64>) -> tensor<16x16xf32>
  %h1 = onnx.MatMul(%x1, %a1) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %v1 = onnx.Gather(%c1, %t1) {axis = 0 : i64} : (tensor<?xf32>, tensor<?xi64>) -> tensor<?xf32>
  %vu1 = onnx.Unsqueeze(%v1, %last) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %o1 = onnx.Mul(%h1, %vu1) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %old1 = onnx.Gather(%y0, %t1) {axis = 0 : i64} : (tensor<?x16xf32>, tensor<?xi64>) -> tensor<?x16xf32>
  %new1 = onnx.Add(%old1, %o1) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %tu1 = onnx.Unsqueeze(%t1, %last) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %y1 = onnx.ScatterND(%y0, %tu1, %new1) : (tensor<?x16xf32>, tensor<?x1xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  return %y1 : tensor<?x16xf32>
}

// -----

// Terms that read other columns are other functions, whatever their weights.
// CHECK: moe.generic = [{node = "sum", op = "experts", reason = "terms of the sum over experts are different functions"}]
// CHECK-LABEL: @other_columns
// CHECK-NOT: moe.experts
moe.weight @wa : tensor<8x16xf32> = #moe.piece<"w.bin", 0, 512, tensor<8x16xf32>>
moe.weight @wb : tensor<8x16xf32> = #moe.piece<"w.bin", 512, 512, tensor<8x16xf32>>
func.func @other_columns(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x2xf32> {moe.dims = ["tokens", 2]}) -> tensor<?x16xf32> {
  %wa = moe.get_weight @wa : tensor<8x16xf32>
  %wb = moe.get_weight @wb : tensor<8x16xf32>
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x2xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %two = onnx.Constant dense<2> : tensor<1xi64>
  %eight = onnx.Constant dense<8> : tensor<1xi64>
  %end = onnx.Constant dense<16> : tensor<1xi64>
  %fzero = onnx.Constant dense<0.0> : tensor<f32>
  %shape = onnx.Shape(%l) : (tensor<?x2xf32>) -> tensor<2xi64>
  %zeros = onnx.Expand(%fzero, %shape) : (tensor<f32>, tensor<2xi64>) -> tensor<?x2xf32>
  %m = onnx.ScatterElements(%zeros, %i, %w) {axis = 1 : i64} : (tensor<?x2xf32>, tensor<?x2xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %c0 = onnx.Slice(%m, %zero, %one, %one) : (tensor<?x2xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
  %c1 = onnx.Slice(%m, %one, %two, %one) : (tensor<?x2xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
  %x0 = onnx.Slice(%x, %zero, %eight, %one) : (tensor<?x16xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x8xf32>
  %x1 = onnx.Slice(%x, %eight, %end, %one) : (tensor<?x16xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x8xf32>
  %h0 = onnx.MatMul(%x0, %wa) : (tensor<?x8xf32>, tensor<8x16xf32>) -> tensor<?x16xf32>
  %h1 = onnx.MatMul(%x1, %wb) : (tensor<?x8xf32>, tensor<8x16xf32>) -> tensor<?x16xf32>
  %o0 = onnx.Mul(%h0, %c0) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %o1 = onnx.Mul(%h1, %c1) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %y = onnx.Add(%o0, %o1) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32> loc("sum")
  return %y : tensor<?x16xf32>
}

// -----

// One term a slot.
// CHECK-LABEL: @slots
// CHECK: %[[Y:.*]] = moe.experts %arg0, %{{.*}}#0, %{{.*}}#1 params(%arg2) :
// CHECK: return %[[Y]]
func.func @slots(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}, %p: tensor<3x16x16xf32>, %q: tensor<3x16x16xf32>) -> tensor<?x16xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %e0 = onnx.Constant dense<0> : tensor<i64>
  %e1 = onnx.Constant dense<1> : tensor<i64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %i0 = onnx.Gather(%i, %e0) {axis = 1 : i64} : (tensor<?x2xi64>, tensor<i64>) -> tensor<?xi64>
  %g0 = onnx.Gather(%p, %i0) {axis = 0 : i64} : (tensor<3x16x16xf32>, tensor<?xi64>) -> tensor<?x16x16xf32>
  %h0 = onnx.Einsum(%x, %g0) {equation = "td,tde->te"} : (tensor<?x16xf32>, tensor<?x16x16xf32>) -> tensor<?x16xf32>
  %w0 = onnx.Gather(%w, %e0) {axis = 1 : i64} : (tensor<?x2xf32>, tensor<i64>) -> tensor<?xf32>
  %u0 = onnx.Unsqueeze(%w0, %one) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %s0 = onnx.Mul(%h0, %u0) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %i1 = onnx.Gather(%i, %e1) {axis = 1 : i64} : (tensor<?x2xi64>, tensor<i64>) -> tensor<?xi64>
  %g1 = onnx.Gather(%p, %i1) {axis = 0 : i64} : (tensor<3x16x16xf32>, tensor<?xi64>) -> tensor<?x16x16xf32>
  %h1 = onnx.Einsum(%x, %g1) {equation = "td,tde->te"} : (tensor<?x16xf32>, tensor<?x16x16xf32>) -> tensor<?x16xf32>
  %w1 = onnx.Gather(%w, %e1) {axis = 1 : i64} : (tensor<?x2xf32>, tensor<i64>) -> tensor<?xf32>
  %u1 = onnx.Unsqueeze(%w1, %one) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %s1 = onnx.Mul(%h1, %u1) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %y = onnx.Add(%s0, %s1) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// Each slot has experts of its own.
// CHECK-LABEL: @own_slots
// CHECK-NOT: moe.experts
func.func @own_slots(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}, %p: tensor<3x16x16xf32>, %q: tensor<3x16x16xf32>) -> tensor<?x16xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %e0 = onnx.Constant dense<0> : tensor<i64>
  %e1 = onnx.Constant dense<1> : tensor<i64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %i0 = onnx.Gather(%i, %e0) {axis = 1 : i64} : (tensor<?x2xi64>, tensor<i64>) -> tensor<?xi64>
  %g0 = onnx.Gather(%p, %i0) {axis = 0 : i64} : (tensor<3x16x16xf32>, tensor<?xi64>) -> tensor<?x16x16xf32>
  %h0 = onnx.Einsum(%x, %g0) {equation = "td,tde->te"} : (tensor<?x16xf32>, tensor<?x16x16xf32>) -> tensor<?x16xf32>
  %w0 = onnx.Gather(%w, %e0) {axis = 1 : i64} : (tensor<?x2xf32>, tensor<i64>) -> tensor<?xf32>
  %u0 = onnx.Unsqueeze(%w0, %one) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %s0 = onnx.Mul(%h0, %u0) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %i1 = onnx.Gather(%i, %e1) {axis = 1 : i64} : (tensor<?x2xi64>, tensor<i64>) -> tensor<?xi64>
  %g1 = onnx.Gather(%q, %i1) {axis = 0 : i64} : (tensor<3x16x16xf32>, tensor<?xi64>) -> tensor<?x16x16xf32>
  %h1 = onnx.Einsum(%x, %g1) {equation = "td,tde->te"} : (tensor<?x16xf32>, tensor<?x16x16xf32>) -> tensor<?x16xf32>
  %w1 = onnx.Gather(%w, %e1) {axis = 1 : i64} : (tensor<?x2xf32>, tensor<i64>) -> tensor<?xf32>
  %u1 = onnx.Unsqueeze(%w1, %one) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %s1 = onnx.Mul(%h1, %u1) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %y = onnx.Add(%s0, %s1) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// Both slots weigh by the first.
// CHECK-LABEL: @one_weight
// CHECK-NOT: moe.experts
func.func @one_weight(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}, %p: tensor<3x16x16xf32>, %q: tensor<3x16x16xf32>) -> tensor<?x16xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %e0 = onnx.Constant dense<0> : tensor<i64>
  %e1 = onnx.Constant dense<1> : tensor<i64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %i0 = onnx.Gather(%i, %e0) {axis = 1 : i64} : (tensor<?x2xi64>, tensor<i64>) -> tensor<?xi64>
  %g0 = onnx.Gather(%p, %i0) {axis = 0 : i64} : (tensor<3x16x16xf32>, tensor<?xi64>) -> tensor<?x16x16xf32>
  %h0 = onnx.Einsum(%x, %g0) {equation = "td,tde->te"} : (tensor<?x16xf32>, tensor<?x16x16xf32>) -> tensor<?x16xf32>
  %w0 = onnx.Gather(%w, %e0) {axis = 1 : i64} : (tensor<?x2xf32>, tensor<i64>) -> tensor<?xf32>
  %u0 = onnx.Unsqueeze(%w0, %one) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %s0 = onnx.Mul(%h0, %u0) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %i1 = onnx.Gather(%i, %e1) {axis = 1 : i64} : (tensor<?x2xi64>, tensor<i64>) -> tensor<?xi64>
  %g1 = onnx.Gather(%p, %i1) {axis = 0 : i64} : (tensor<3x16x16xf32>, tensor<?xi64>) -> tensor<?x16x16xf32>
  %h1 = onnx.Einsum(%x, %g1) {equation = "td,tde->te"} : (tensor<?x16xf32>, tensor<?x16x16xf32>) -> tensor<?x16xf32>
  %w1 = onnx.Gather(%w, %e0) {axis = 1 : i64} : (tensor<?x2xf32>, tensor<i64>) -> tensor<?xf32>
  %u1 = onnx.Unsqueeze(%w1, %one) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %s1 = onnx.Mul(%h1, %u1) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %y = onnx.Add(%s0, %s1) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// One term an expert and slot: rows are added in place.
// CHECK-LABEL: @slots_and_experts
// CHECK: %[[Y:.*]] = moe.experts %arg0, %{{.*}}#0, %{{.*}}#1 params(
// CHECK-NOT: onnx.NonZero
// CHECK: return %[[Y]]
func.func @slots_and_experts(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}) -> tensor<?x16xf32> {
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
  %fzero = onnx.Constant dense<0.0> : tensor<f32>
  %two = onnx.Constant dense<2> : tensor<1xi64>
  %shape = onnx.Shape(%x) : (tensor<?x16xf32>) -> tensor<2xi64>
  %o = onnx.Expand(%fzero, %shape) : (tensor<f32>, tensor<2xi64>) -> tensor<?x16xf32>
  %k0 = onnx.Gather(%i, %e0) {axis = 1 : i64} : (tensor<?x2xi64>, tensor<i64>) -> tensor<?xi64>
  %w0 = onnx.Slice(%w, %zero, %one, %one) : (tensor<?x2xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
  %m00 = onnx.Equal(%k0, %e0) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %n00 = onnx.NonZero(%m00) : (tensor<?xi1>) -> tensor<1x?xi64>
  %t00 = onnx.Transpose(%n00) {perm = array<i64: 1, 0>} : (tensor<1x?xi64>) -> tensor<?x1xi64>
  %g00 = onnx.GatherND(%x, %t00) : (tensor<?x16xf32>, tensor<?x1xi64>) -> tensor<?x16xf32>
  %h00 = onnx.MatMul(%g00, %a) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %f00 = onnx.Relu(%h00) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %v00 = onnx.GatherND(%w0, %t00) : (tensor<?x1xf32>, tensor<?x1xi64>) -> tensor<?x1xf32>
  %s00 = onnx.Mul(%v00, %f00) : (tensor<?x1xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %r00 = onnx.GatherND(%o, %t00) : (tensor<?x16xf32>, tensor<?x1xi64>) -> tensor<?x16xf32>
  %p00 = onnx.Add(%r00, %s00) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %o00 = onnx.ScatterND(%o, %t00, %p00) : (tensor<?x16xf32>, tensor<?x1xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %m01 = onnx.Equal(%k0, %e1) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %n01 = onnx.NonZero(%m01) : (tensor<?xi1>) -> tensor<1x?xi64>
  %t01 = onnx.Transpose(%n01) {perm = array<i64: 1, 0>} : (tensor<1x?xi64>) -> tensor<?x1xi64>
  %g01 = onnx.GatherND(%x, %t01) : (tensor<?x16xf32>, tensor<?x1xi64>) -> tensor<?x16xf32>
  %h01 = onnx.MatMul(%g01, %b) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %f01 = onnx.Relu(%h01) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %v01 = onnx.GatherND(%w0, %t01) : (tensor<?x1xf32>, tensor<?x1xi64>) -> tensor<?x1xf32>
  %s01 = onnx.Mul(%v01, %f01) : (tensor<?x1xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %r01 = onnx.GatherND(%o00, %t01) : (tensor<?x16xf32>, tensor<?x1xi64>) -> tensor<?x16xf32>
  %p01 = onnx.Add(%r01, %s01) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %o01 = onnx.ScatterND(%o00, %t01, %p01) : (tensor<?x16xf32>, tensor<?x1xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %m02 = onnx.Equal(%k0, %e2) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %n02 = onnx.NonZero(%m02) : (tensor<?xi1>) -> tensor<1x?xi64>
  %t02 = onnx.Transpose(%n02) {perm = array<i64: 1, 0>} : (tensor<1x?xi64>) -> tensor<?x1xi64>
  %g02 = onnx.GatherND(%x, %t02) : (tensor<?x16xf32>, tensor<?x1xi64>) -> tensor<?x16xf32>
  %h02 = onnx.MatMul(%g02, %c) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %f02 = onnx.Relu(%h02) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %v02 = onnx.GatherND(%w0, %t02) : (tensor<?x1xf32>, tensor<?x1xi64>) -> tensor<?x1xf32>
  %s02 = onnx.Mul(%v02, %f02) : (tensor<?x1xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %r02 = onnx.GatherND(%o01, %t02) : (tensor<?x16xf32>, tensor<?x1xi64>) -> tensor<?x16xf32>
  %p02 = onnx.Add(%r02, %s02) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %o02 = onnx.ScatterND(%o01, %t02, %p02) : (tensor<?x16xf32>, tensor<?x1xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %k1 = onnx.Gather(%i, %e1) {axis = 1 : i64} : (tensor<?x2xi64>, tensor<i64>) -> tensor<?xi64>
  %w1 = onnx.Slice(%w, %one, %two, %one) : (tensor<?x2xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
  %m10 = onnx.Equal(%k1, %e0) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %n10 = onnx.NonZero(%m10) : (tensor<?xi1>) -> tensor<1x?xi64>
  %t10 = onnx.Transpose(%n10) {perm = array<i64: 1, 0>} : (tensor<1x?xi64>) -> tensor<?x1xi64>
  %g10 = onnx.GatherND(%x, %t10) : (tensor<?x16xf32>, tensor<?x1xi64>) -> tensor<?x16xf32>
  %h10 = onnx.MatMul(%g10, %a) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %f10 = onnx.Relu(%h10) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %v10 = onnx.GatherND(%w1, %t10) : (tensor<?x1xf32>, tensor<?x1xi64>) -> tensor<?x1xf32>
  %s10 = onnx.Mul(%v10, %f10) : (tensor<?x1xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %r10 = onnx.GatherND(%o02, %t10) : (tensor<?x16xf32>, tensor<?x1xi64>) -> tensor<?x16xf32>
  %p10 = onnx.Add(%r10, %s10) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %o10 = onnx.ScatterND(%o02, %t10, %p10) : (tensor<?x16xf32>, tensor<?x1xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %m11 = onnx.Equal(%k1, %e1) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %n11 = onnx.NonZero(%m11) : (tensor<?xi1>) -> tensor<1x?xi64>
  %t11 = onnx.Transpose(%n11) {perm = array<i64: 1, 0>} : (tensor<1x?xi64>) -> tensor<?x1xi64>
  %g11 = onnx.GatherND(%x, %t11) : (tensor<?x16xf32>, tensor<?x1xi64>) -> tensor<?x16xf32>
  %h11 = onnx.MatMul(%g11, %b) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %f11 = onnx.Relu(%h11) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %v11 = onnx.GatherND(%w1, %t11) : (tensor<?x1xf32>, tensor<?x1xi64>) -> tensor<?x1xf32>
  %s11 = onnx.Mul(%v11, %f11) : (tensor<?x1xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %r11 = onnx.GatherND(%o10, %t11) : (tensor<?x16xf32>, tensor<?x1xi64>) -> tensor<?x16xf32>
  %p11 = onnx.Add(%r11, %s11) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %o11 = onnx.ScatterND(%o10, %t11, %p11) : (tensor<?x16xf32>, tensor<?x1xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %m12 = onnx.Equal(%k1, %e2) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %n12 = onnx.NonZero(%m12) : (tensor<?xi1>) -> tensor<1x?xi64>
  %t12 = onnx.Transpose(%n12) {perm = array<i64: 1, 0>} : (tensor<1x?xi64>) -> tensor<?x1xi64>
  %g12 = onnx.GatherND(%x, %t12) : (tensor<?x16xf32>, tensor<?x1xi64>) -> tensor<?x16xf32>
  %h12 = onnx.MatMul(%g12, %c) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %f12 = onnx.Relu(%h12) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %v12 = onnx.GatherND(%w1, %t12) : (tensor<?x1xf32>, tensor<?x1xi64>) -> tensor<?x1xf32>
  %s12 = onnx.Mul(%v12, %f12) : (tensor<?x1xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %r12 = onnx.GatherND(%o11, %t12) : (tensor<?x16xf32>, tensor<?x1xi64>) -> tensor<?x16xf32>
  %p12 = onnx.Add(%r12, %s12) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  %o12 = onnx.ScatterND(%o11, %t12, %p12) : (tensor<?x16xf32>, tensor<?x1xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  return %o12 : tensor<?x16xf32>
}
