// RUN: moe-opt %s -moe-raise-experts -split-input-file | FileCheck %s
// Rows sorted by expert, cut into one run an expert and scattered back; the sort, the counts and the joins are found.

// One expert's weights are pieces of their own: a recipe stacks them.
// CHECK: moe.weight @[[BANK:.*]] : tensor<3x4x4xf32> = #moe.recipe<concat
// CHECK-LABEL: @sorted
// CHECK-SAME: (%[[X:[^:]*]]: tensor<?x4xf32>
// CHECK: %[[R:.*]]:2 = moe.route
// CHECK: %[[Y:.*]] = moe.experts %[[X]], %[[R]]#0, %[[R]]#1 params(
// CHECK: onnx.MatMul
// CHECK: moe.yield
// CHECK-NOT: onnx.TopK
// CHECK: return %[[Y]]
module {
  moe.weight @w0 : tensor<4x4xf32> = #moe.piece<"w.bin", 0, 64, tensor<4x4xf32>>
  moe.weight @w1 : tensor<4x4xf32> = #moe.piece<"w.bin", 64, 64, tensor<4x4xf32>>
  moe.weight @w2 : tensor<4x4xf32> = #moe.piece<"w.bin", 128, 64, tensor<4x4xf32>>
  func.func @sorted(%x: tensor<?x4xf32> {moe.dims = ["t", 4]}, %l: tensor<?x3xf32> {moe.dims = ["t", 3]}) -> tensor<?x4xf32> {
    %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
    %w0 = moe.get_weight @w0 : tensor<4x4xf32>
    %w1 = moe.get_weight @w1 : tensor<4x4xf32>
    %w2 = moe.get_weight @w2 : tensor<4x4xf32>
    %last = onnx.Constant dense<-1> : tensor<1xi64>
    %zeroth = onnx.Constant dense<0> : tensor<1xi64>
    %two = onnx.Constant dense<2> : tensor<i64>
    // How many rows each expert has.
    %shape = onnx.Shape(%l) : (tensor<?x3xf32>) -> tensor<2xi64>
    %none = onnx.ConstantOfShape(%shape) {value = dense<0> : tensor<1xi64>} : (tensor<2xi64>) -> tensor<?x3xi64>
    %chosen = onnx.Shape(%i) : (tensor<?x2xi64>) -> tensor<2xi64>
    %ones = onnx.ConstantOfShape(%chosen) {value = dense<1> : tensor<1xi64>} : (tensor<2xi64>) -> tensor<?x2xi64>
    %hot = onnx.ScatterElements(%none, %i, %ones) {axis = 1 : i64} : (tensor<?x3xi64>, tensor<?x2xi64>, tensor<?x2xi64>) -> tensor<?x3xi64>
    %counts = onnx.ReduceSum(%hot, %zeroth) {keepdims = 0 : i64} : (tensor<?x3xi64>, tensor<1xi64>) -> tensor<3xi64>
    // The sort, and the rows in its order.
    %ids = onnx.Reshape(%i, %last) : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?xi64>
    %all = onnx.Shape(%ids) : (tensor<?xi64>) -> tensor<1xi64>
    %v, %p = onnx.TopK(%ids, %all) {axis = 0 : i64, largest = 0 : i64, sorted = 1 : i64} : (tensor<?xi64>, tensor<1xi64>) -> (tensor<?xi64>, tensor<?xi64>)
    %token = onnx.Div(%p, %two) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi64>
    %rows = onnx.Gather(%x, %token) {axis = 0 : i64} : (tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
    %run:3 = onnx.Split(%rows, %counts) {axis = 0 : i64} : (tensor<?x4xf32>, tensor<3xi64>) -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>)
    %h0 = onnx.MatMul(%run#0, %w0) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %h1 = onnx.MatMul(%run#1, %w1) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %h2 = onnx.MatMul(%run#2, %w2) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %h = onnx.Concat(%h0, %h1, %h2) {axis = 0 : i64} : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
    // Weighted, and back to the tokens.
    %flat = onnx.Reshape(%w, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?xf32>
    %mine = onnx.Gather(%flat, %p) {axis = 0 : i64} : (tensor<?xf32>, tensor<?xi64>) -> tensor<?xf32>
    %column = onnx.Unsqueeze(%mine, %last) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
    %weighted = onnx.Mul(%h, %column) : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
    %outs = onnx.Shape(%x) : (tensor<?x4xf32>) -> tensor<2xi64>
    %zeros = onnx.ConstantOfShape(%outs) {value = dense<0.0> : tensor<1xf32>} : (tensor<2xi64>) -> tensor<?x4xf32>
    %at = onnx.Unsqueeze(%token, %last) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
    %y = onnx.ScatterND(%zeros, %at, %weighted) {reduction = "add"} : (tensor<?x4xf32>, tensor<?x1xi64>, tensor<?x4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// The largest ids first: the runs stand in another order than their weights.
// CHECK: moe.generic = [{node = "", op = "experts", reason = "the experts' results are not summed"}]
// CHECK-LABEL: @largest_first
// CHECK-NOT: moe.experts
// CHECK: onnx.TopK
module {
  moe.weight @w0 : tensor<4x4xf32> = #moe.piece<"w.bin", 0, 64, tensor<4x4xf32>>
  moe.weight @w1 : tensor<4x4xf32> = #moe.piece<"w.bin", 64, 64, tensor<4x4xf32>>
  moe.weight @w2 : tensor<4x4xf32> = #moe.piece<"w.bin", 128, 64, tensor<4x4xf32>>
  func.func @largest_first(%x: tensor<?x4xf32> {moe.dims = ["t", 4]}, %l: tensor<?x3xf32> {moe.dims = ["t", 3]}) -> tensor<?x4xf32> {
    %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
    %w0 = moe.get_weight @w0 : tensor<4x4xf32>
    %w1 = moe.get_weight @w1 : tensor<4x4xf32>
    %w2 = moe.get_weight @w2 : tensor<4x4xf32>
    %last = onnx.Constant dense<-1> : tensor<1xi64>
    %zeroth = onnx.Constant dense<0> : tensor<1xi64>
    %two = onnx.Constant dense<2> : tensor<i64>
    // How many rows each expert has.
    %shape = onnx.Shape(%l) : (tensor<?x3xf32>) -> tensor<2xi64>
    %none = onnx.ConstantOfShape(%shape) {value = dense<0> : tensor<1xi64>} : (tensor<2xi64>) -> tensor<?x3xi64>
    %chosen = onnx.Shape(%i) : (tensor<?x2xi64>) -> tensor<2xi64>
    %ones = onnx.ConstantOfShape(%chosen) {value = dense<1> : tensor<1xi64>} : (tensor<2xi64>) -> tensor<?x2xi64>
    %hot = onnx.ScatterElements(%none, %i, %ones) {axis = 1 : i64} : (tensor<?x3xi64>, tensor<?x2xi64>, tensor<?x2xi64>) -> tensor<?x3xi64>
    %counts = onnx.ReduceSum(%hot, %zeroth) {keepdims = 0 : i64} : (tensor<?x3xi64>, tensor<1xi64>) -> tensor<3xi64>
    // The sort, and the rows in its order.
    %ids = onnx.Reshape(%i, %last) : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?xi64>
    %all = onnx.Shape(%ids) : (tensor<?xi64>) -> tensor<1xi64>
    %v, %p = onnx.TopK(%ids, %all) {axis = 0 : i64, largest = 1 : i64, sorted = 1 : i64} : (tensor<?xi64>, tensor<1xi64>) -> (tensor<?xi64>, tensor<?xi64>)
    %token = onnx.Div(%p, %two) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi64>
    %rows = onnx.Gather(%x, %token) {axis = 0 : i64} : (tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
    %run:3 = onnx.Split(%rows, %counts) {axis = 0 : i64} : (tensor<?x4xf32>, tensor<3xi64>) -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>)
    %h0 = onnx.MatMul(%run#0, %w0) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %h1 = onnx.MatMul(%run#1, %w1) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %h2 = onnx.MatMul(%run#2, %w2) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %h = onnx.Concat(%h0, %h1, %h2) {axis = 0 : i64} : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
    // Weighted, and back to the tokens.
    %flat = onnx.Reshape(%w, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?xf32>
    %mine = onnx.Gather(%flat, %p) {axis = 0 : i64} : (tensor<?xf32>, tensor<?xi64>) -> tensor<?xf32>
    %column = onnx.Unsqueeze(%mine, %last) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
    %weighted = onnx.Mul(%h, %column) : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
    %outs = onnx.Shape(%x) : (tensor<?x4xf32>) -> tensor<2xi64>
    %zeros = onnx.ConstantOfShape(%outs) {value = dense<0.0> : tensor<1xf32>} : (tensor<2xi64>) -> tensor<?x4xf32>
    %at = onnx.Unsqueeze(%token, %last) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
    %y = onnx.ScatterND(%zeros, %at, %weighted) {reduction = "add"} : (tensor<?x4xf32>, tensor<?x1xi64>, tensor<?x4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// Runs of other sizes than the experts' counts are no runs of one expert.
// CHECK: moe.generic = [{node = "", op = "experts", reason = "the experts' results are not summed"}]
// CHECK-LABEL: @other_sizes
// CHECK-NOT: moe.experts
// CHECK: onnx.Split
module {
  moe.weight @w0 : tensor<4x4xf32> = #moe.piece<"w.bin", 0, 64, tensor<4x4xf32>>
  moe.weight @w1 : tensor<4x4xf32> = #moe.piece<"w.bin", 64, 64, tensor<4x4xf32>>
  moe.weight @w2 : tensor<4x4xf32> = #moe.piece<"w.bin", 128, 64, tensor<4x4xf32>>
  func.func @other_sizes(%x: tensor<?x4xf32> {moe.dims = ["t", 4]}, %l: tensor<?x3xf32> {moe.dims = ["t", 3]}) -> tensor<?x4xf32> {
    %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
    %w0 = moe.get_weight @w0 : tensor<4x4xf32>
    %w1 = moe.get_weight @w1 : tensor<4x4xf32>
    %w2 = moe.get_weight @w2 : tensor<4x4xf32>
    %last = onnx.Constant dense<-1> : tensor<1xi64>
    %zeroth = onnx.Constant dense<0> : tensor<1xi64>
    %two = onnx.Constant dense<2> : tensor<i64>
    // How many rows each expert has.
    %shape = onnx.Shape(%l) : (tensor<?x3xf32>) -> tensor<2xi64>
    %none = onnx.ConstantOfShape(%shape) {value = dense<0> : tensor<1xi64>} : (tensor<2xi64>) -> tensor<?x3xi64>
    %chosen = onnx.Shape(%i) : (tensor<?x2xi64>) -> tensor<2xi64>
    %ones = onnx.ConstantOfShape(%chosen) {value = dense<1> : tensor<1xi64>} : (tensor<2xi64>) -> tensor<?x2xi64>
    %hot = onnx.ScatterElements(%none, %i, %ones) {axis = 1 : i64} : (tensor<?x3xi64>, tensor<?x2xi64>, tensor<?x2xi64>) -> tensor<?x3xi64>
    %counts = onnx.ReduceSum(%hot, %zeroth) {keepdims = 0 : i64} : (tensor<?x3xi64>, tensor<1xi64>) -> tensor<3xi64>
    // The sort, and the rows in its order.
    %ids = onnx.Reshape(%i, %last) : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?xi64>
    %all = onnx.Shape(%ids) : (tensor<?xi64>) -> tensor<1xi64>
    %v, %p = onnx.TopK(%ids, %all) {axis = 0 : i64, largest = 0 : i64, sorted = 1 : i64} : (tensor<?xi64>, tensor<1xi64>) -> (tensor<?xi64>, tensor<?xi64>)
    %token = onnx.Div(%p, %two) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi64>
    %rows = onnx.Gather(%x, %token) {axis = 0 : i64} : (tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
    %sizes = onnx.Constant dense<[1, 2, 3]> : tensor<3xi64>
    %run:3 = onnx.Split(%rows, %sizes) {axis = 0 : i64} : (tensor<?x4xf32>, tensor<3xi64>) -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>)
    %h0 = onnx.MatMul(%run#0, %w0) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %h1 = onnx.MatMul(%run#1, %w1) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %h2 = onnx.MatMul(%run#2, %w2) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %h = onnx.Concat(%h0, %h1, %h2) {axis = 0 : i64} : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
    // Weighted, and back to the tokens.
    %flat = onnx.Reshape(%w, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?xf32>
    %mine = onnx.Gather(%flat, %p) {axis = 0 : i64} : (tensor<?xf32>, tensor<?xi64>) -> tensor<?xf32>
    %column = onnx.Unsqueeze(%mine, %last) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
    %weighted = onnx.Mul(%h, %column) : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
    %outs = onnx.Shape(%x) : (tensor<?x4xf32>) -> tensor<2xi64>
    %zeros = onnx.ConstantOfShape(%outs) {value = dense<0.0> : tensor<1xf32>} : (tensor<2xi64>) -> tensor<?x4xf32>
    %at = onnx.Unsqueeze(%token, %last) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
    %y = onnx.ScatterND(%zeros, %at, %weighted) {reduction = "add"} : (tensor<?x4xf32>, tensor<?x1xi64>, tensor<?x4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// No sum over the slots follows (queries of a mixture of attention heads): the runs are a bank on the sorted rows.
// CHECK: moe.weight @[[BANK:.*]] : tensor<3x4x4xf32> = #moe.recipe<concat
// CHECK-LABEL: @per_slot
// CHECK: %[[S:.*]], %[[P:.*]] = onnx.TopK
// CHECK: %[[ROWS:.*]] = onnx.Gather(%{{.*}}, %{{.*}}) : (tensor<?x4xf32>, tensor<?xi64>)
// CHECK: %[[W:.*]] = moe.get_weight @[[BANK]]
// CHECK: %[[IDS:.*]] = onnx.Reshape(%[[S]], %{{.*}}) : (tensor<?xi64>, tensor<2xi64>) -> tensor<?x1xi64>
// CHECK: %[[ONES:.*]] = onnx.ConstantOfShape
// CHECK: %[[Y:.*]] = moe.experts %[[ROWS]], %[[ONES]], %[[IDS]] params(%[[W]])
// CHECK: onnx.MatMul
// CHECK-NOT: onnx.Split
// CHECK: onnx.ScatterND(%{{.*}}, %{{.*}}, %[[Y]])
module {
  moe.weight @w0 : tensor<4x4xf32> = #moe.piece<"w.bin", 0, 64, tensor<4x4xf32>>
  moe.weight @w1 : tensor<4x4xf32> = #moe.piece<"w.bin", 64, 64, tensor<4x4xf32>>
  moe.weight @w2 : tensor<4x4xf32> = #moe.piece<"w.bin", 128, 64, tensor<4x4xf32>>
  func.func @per_slot(%x: tensor<?x4xf32> {moe.dims = ["t", 4]}, %l: tensor<?x3xf32> {moe.dims = ["t", 3]}) -> tensor<?x4xf32> {
    %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
    %w0 = moe.get_weight @w0 : tensor<4x4xf32>
    %w1 = moe.get_weight @w1 : tensor<4x4xf32>
    %w2 = moe.get_weight @w2 : tensor<4x4xf32>
    %last = onnx.Constant dense<-1> : tensor<1xi64>
    %zeroth = onnx.Constant dense<0> : tensor<1xi64>
    %two = onnx.Constant dense<2> : tensor<i64>
    // How many rows each expert has.
    %shape = onnx.Shape(%l) : (tensor<?x3xf32>) -> tensor<2xi64>
    %none = onnx.ConstantOfShape(%shape) {value = dense<0> : tensor<1xi64>} : (tensor<2xi64>) -> tensor<?x3xi64>
    %chosen = onnx.Shape(%i) : (tensor<?x2xi64>) -> tensor<2xi64>
    %ones = onnx.ConstantOfShape(%chosen) {value = dense<1> : tensor<1xi64>} : (tensor<2xi64>) -> tensor<?x2xi64>
    %hot = onnx.ScatterElements(%none, %i, %ones) {axis = 1 : i64} : (tensor<?x3xi64>, tensor<?x2xi64>, tensor<?x2xi64>) -> tensor<?x3xi64>
    %counts = onnx.ReduceSum(%hot, %zeroth) {keepdims = 0 : i64} : (tensor<?x3xi64>, tensor<1xi64>) -> tensor<3xi64>
    // The sort, and the rows in its order.
    %ids = onnx.Reshape(%i, %last) : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?xi64>
    %all = onnx.Shape(%ids) : (tensor<?xi64>) -> tensor<1xi64>
    %v, %p = onnx.TopK(%ids, %all) {axis = 0 : i64, largest = 0 : i64, sorted = 1 : i64} : (tensor<?xi64>, tensor<1xi64>) -> (tensor<?xi64>, tensor<?xi64>)
    %token = onnx.Div(%p, %two) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi64>
    %rows = onnx.Gather(%x, %token) {axis = 0 : i64} : (tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
    %run:3 = onnx.Split(%rows, %counts) {axis = 0 : i64} : (tensor<?x4xf32>, tensor<3xi64>) -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>)
    %h0 = onnx.MatMul(%run#0, %w0) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %h1 = onnx.MatMul(%run#1, %w1) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %h2 = onnx.MatMul(%run#2, %w2) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %h = onnx.Concat(%h0, %h1, %h2) {axis = 0 : i64} : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
    // Back to the order of the pairs: a value for every slot.
    %outs = onnx.Shape(%h) : (tensor<?x4xf32>) -> tensor<2xi64>
    %zeros = onnx.ConstantOfShape(%outs) {value = dense<0.0> : tensor<1xf32>} : (tensor<2xi64>) -> tensor<?x4xf32>
    %at = onnx.Unsqueeze(%p, %last) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
    %y = onnx.ScatterND(%zeros, %at, %h) {reduction = "add"} : (tensor<?x4xf32>, tensor<?x1xi64>, tensor<?x4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// A run whose rows see each other is no function of one row.
// CHECK: moe.generic = [{node = "", op = "experts", reason =
// CHECK-LABEL: @across_rows
// CHECK-NOT: moe.experts
module {
  moe.weight @w0 : tensor<4x4xf32> = #moe.piece<"w.bin", 0, 64, tensor<4x4xf32>>
  moe.weight @w1 : tensor<4x4xf32> = #moe.piece<"w.bin", 64, 64, tensor<4x4xf32>>
  moe.weight @w2 : tensor<4x4xf32> = #moe.piece<"w.bin", 128, 64, tensor<4x4xf32>>
  func.func @across_rows(%x: tensor<?x4xf32> {moe.dims = ["t", 4]}, %l: tensor<?x3xf32> {moe.dims = ["t", 3]}) -> tensor<?x4xf32> {
    %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
    %w0 = moe.get_weight @w0 : tensor<4x4xf32>
    %w1 = moe.get_weight @w1 : tensor<4x4xf32>
    %w2 = moe.get_weight @w2 : tensor<4x4xf32>
    %last = onnx.Constant dense<-1> : tensor<1xi64>
    %zeroth = onnx.Constant dense<0> : tensor<1xi64>
    %two = onnx.Constant dense<2> : tensor<i64>
    // How many rows each expert has.
    %shape = onnx.Shape(%l) : (tensor<?x3xf32>) -> tensor<2xi64>
    %none = onnx.ConstantOfShape(%shape) {value = dense<0> : tensor<1xi64>} : (tensor<2xi64>) -> tensor<?x3xi64>
    %chosen = onnx.Shape(%i) : (tensor<?x2xi64>) -> tensor<2xi64>
    %ones = onnx.ConstantOfShape(%chosen) {value = dense<1> : tensor<1xi64>} : (tensor<2xi64>) -> tensor<?x2xi64>
    %hot = onnx.ScatterElements(%none, %i, %ones) {axis = 1 : i64} : (tensor<?x3xi64>, tensor<?x2xi64>, tensor<?x2xi64>) -> tensor<?x3xi64>
    %counts = onnx.ReduceSum(%hot, %zeroth) {keepdims = 0 : i64} : (tensor<?x3xi64>, tensor<1xi64>) -> tensor<3xi64>
    // The sort, and the rows in its order.
    %ids = onnx.Reshape(%i, %last) : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?xi64>
    %all = onnx.Shape(%ids) : (tensor<?xi64>) -> tensor<1xi64>
    %v, %p = onnx.TopK(%ids, %all) {axis = 0 : i64, largest = 0 : i64, sorted = 1 : i64} : (tensor<?xi64>, tensor<1xi64>) -> (tensor<?xi64>, tensor<?xi64>)
    %token = onnx.Div(%p, %two) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi64>
    %rows = onnx.Gather(%x, %token) {axis = 0 : i64} : (tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
    %run:3 = onnx.Split(%rows, %counts) {axis = 0 : i64} : (tensor<?x4xf32>, tensor<3xi64>) -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>)
    %g0 = onnx.MatMul(%run#0, %w0) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %h0 = onnx.Softmax(%g0) {axis = 0 : i64} : (tensor<?x4xf32>) -> tensor<?x4xf32>
    %g1 = onnx.MatMul(%run#1, %w1) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %h1 = onnx.Softmax(%g1) {axis = 0 : i64} : (tensor<?x4xf32>) -> tensor<?x4xf32>
    %g2 = onnx.MatMul(%run#2, %w2) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %h2 = onnx.Softmax(%g2) {axis = 0 : i64} : (tensor<?x4xf32>) -> tensor<?x4xf32>
    %h = onnx.Concat(%h0, %h1, %h2) {axis = 0 : i64} : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
    // Back to the order of the pairs: a value for every slot.
    %outs = onnx.Shape(%h) : (tensor<?x4xf32>) -> tensor<2xi64>
    %zeros = onnx.ConstantOfShape(%outs) {value = dense<0.0> : tensor<1xf32>} : (tensor<2xi64>) -> tensor<?x4xf32>
    %at = onnx.Unsqueeze(%p, %last) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
    %y = onnx.ScatterND(%zeros, %at, %h) {reduction = "add"} : (tensor<?x4xf32>, tensor<?x1xi64>, tensor<?x4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// The counts cut into single numbers, and joined again.
// CHECK-LABEL: @single_counts
// CHECK: moe.experts
// CHECK-NOT: onnx.TopK
module {
  moe.weight @w0 : tensor<4x4xf32> = #moe.piece<"w.bin", 0, 64, tensor<4x4xf32>>
  moe.weight @w1 : tensor<4x4xf32> = #moe.piece<"w.bin", 64, 64, tensor<4x4xf32>>
  moe.weight @w2 : tensor<4x4xf32> = #moe.piece<"w.bin", 128, 64, tensor<4x4xf32>>
  func.func @single_counts(%x: tensor<?x4xf32> {moe.dims = ["t", 4]}, %l: tensor<?x3xf32> {moe.dims = ["t", 3]}) -> tensor<?x4xf32> {
    %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
    %w0 = moe.get_weight @w0 : tensor<4x4xf32>
    %w1 = moe.get_weight @w1 : tensor<4x4xf32>
    %w2 = moe.get_weight @w2 : tensor<4x4xf32>
    %last = onnx.Constant dense<-1> : tensor<1xi64>
    %zeroth = onnx.Constant dense<0> : tensor<1xi64>
    %two = onnx.Constant dense<2> : tensor<i64>
    // How many rows each expert has.
    %shape = onnx.Shape(%l) : (tensor<?x3xf32>) -> tensor<2xi64>
    %none = onnx.ConstantOfShape(%shape) {value = dense<0> : tensor<1xi64>} : (tensor<2xi64>) -> tensor<?x3xi64>
    %chosen = onnx.Shape(%i) : (tensor<?x2xi64>) -> tensor<2xi64>
    %ones = onnx.ConstantOfShape(%chosen) {value = dense<1> : tensor<1xi64>} : (tensor<2xi64>) -> tensor<?x2xi64>
    %hot = onnx.ScatterElements(%none, %i, %ones) {axis = 1 : i64} : (tensor<?x3xi64>, tensor<?x2xi64>, tensor<?x2xi64>) -> tensor<?x3xi64>
    %counts = onnx.ReduceSum(%hot, %zeroth) {keepdims = 0 : i64} : (tensor<?x3xi64>, tensor<1xi64>) -> tensor<3xi64>
    // The sort, and the rows in its order.
    %ids = onnx.Reshape(%i, %last) : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?xi64>
    %all = onnx.Shape(%ids) : (tensor<?xi64>) -> tensor<1xi64>
    %v, %p = onnx.TopK(%ids, %all) {axis = 0 : i64, largest = 0 : i64, sorted = 1 : i64} : (tensor<?xi64>, tensor<1xi64>) -> (tensor<?xi64>, tensor<?xi64>)
    %token = onnx.Div(%p, %two) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi64>
    %rows = onnx.Gather(%x, %token) {axis = 0 : i64} : (tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
    %ones3 = onnx.Constant dense<1> : tensor<3xi64>
    %c:3 = onnx.Split(%counts, %ones3) {axis = 0 : i64} : (tensor<3xi64>, tensor<3xi64>) -> (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>)
    %c0 = onnx.Squeeze(%c#0, %zeroth) : (tensor<1xi64>, tensor<1xi64>) -> tensor<i64>
    %n0 = onnx.Reshape(%c0, %last) : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
    %sizes = onnx.Concat(%n0, %c#1, %c#2) {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
    %run:3 = onnx.Split(%rows, %sizes) {axis = 0 : i64} : (tensor<?x4xf32>, tensor<3xi64>) -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>)
    %h0 = onnx.MatMul(%run#0, %w0) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %h1 = onnx.MatMul(%run#1, %w1) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %h2 = onnx.MatMul(%run#2, %w2) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %h = onnx.Concat(%h0, %h1, %h2) {axis = 0 : i64} : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
    // Weighted, and back to the tokens.
    %flat = onnx.Reshape(%w, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?xf32>
    %mine = onnx.Gather(%flat, %p) {axis = 0 : i64} : (tensor<?xf32>, tensor<?xi64>) -> tensor<?xf32>
    %column = onnx.Unsqueeze(%mine, %last) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
    %weighted = onnx.Mul(%h, %column) : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
    %outs = onnx.Shape(%x) : (tensor<?x4xf32>) -> tensor<2xi64>
    %zeros = onnx.ConstantOfShape(%outs) {value = dense<0.0> : tensor<1xf32>} : (tensor<2xi64>) -> tensor<?x4xf32>
    %at = onnx.Unsqueeze(%token, %last) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
    %y = onnx.ScatterND(%zeros, %at, %weighted) {reduction = "add"} : (tensor<?x4xf32>, tensor<?x1xi64>, tensor<?x4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// Joined in another order they are not the counts of the runs.
// CHECK: moe.generic = [{node = "", op = "experts", reason = "the experts' results are not summed"}]
// CHECK-LABEL: @swapped_counts
// CHECK-NOT: moe.experts
module {
  moe.weight @w0 : tensor<4x4xf32> = #moe.piece<"w.bin", 0, 64, tensor<4x4xf32>>
  moe.weight @w1 : tensor<4x4xf32> = #moe.piece<"w.bin", 64, 64, tensor<4x4xf32>>
  moe.weight @w2 : tensor<4x4xf32> = #moe.piece<"w.bin", 128, 64, tensor<4x4xf32>>
  func.func @swapped_counts(%x: tensor<?x4xf32> {moe.dims = ["t", 4]}, %l: tensor<?x3xf32> {moe.dims = ["t", 3]}) -> tensor<?x4xf32> {
    %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
    %w0 = moe.get_weight @w0 : tensor<4x4xf32>
    %w1 = moe.get_weight @w1 : tensor<4x4xf32>
    %w2 = moe.get_weight @w2 : tensor<4x4xf32>
    %last = onnx.Constant dense<-1> : tensor<1xi64>
    %zeroth = onnx.Constant dense<0> : tensor<1xi64>
    %two = onnx.Constant dense<2> : tensor<i64>
    // How many rows each expert has.
    %shape = onnx.Shape(%l) : (tensor<?x3xf32>) -> tensor<2xi64>
    %none = onnx.ConstantOfShape(%shape) {value = dense<0> : tensor<1xi64>} : (tensor<2xi64>) -> tensor<?x3xi64>
    %chosen = onnx.Shape(%i) : (tensor<?x2xi64>) -> tensor<2xi64>
    %ones = onnx.ConstantOfShape(%chosen) {value = dense<1> : tensor<1xi64>} : (tensor<2xi64>) -> tensor<?x2xi64>
    %hot = onnx.ScatterElements(%none, %i, %ones) {axis = 1 : i64} : (tensor<?x3xi64>, tensor<?x2xi64>, tensor<?x2xi64>) -> tensor<?x3xi64>
    %counts = onnx.ReduceSum(%hot, %zeroth) {keepdims = 0 : i64} : (tensor<?x3xi64>, tensor<1xi64>) -> tensor<3xi64>
    // The sort, and the rows in its order.
    %ids = onnx.Reshape(%i, %last) : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?xi64>
    %all = onnx.Shape(%ids) : (tensor<?xi64>) -> tensor<1xi64>
    %v, %p = onnx.TopK(%ids, %all) {axis = 0 : i64, largest = 0 : i64, sorted = 1 : i64} : (tensor<?xi64>, tensor<1xi64>) -> (tensor<?xi64>, tensor<?xi64>)
    %token = onnx.Div(%p, %two) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi64>
    %rows = onnx.Gather(%x, %token) {axis = 0 : i64} : (tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
    %ones3 = onnx.Constant dense<1> : tensor<3xi64>
    %c:3 = onnx.Split(%counts, %ones3) {axis = 0 : i64} : (tensor<3xi64>, tensor<3xi64>) -> (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>)
    %c0 = onnx.Squeeze(%c#0, %zeroth) : (tensor<1xi64>, tensor<1xi64>) -> tensor<i64>
    %n0 = onnx.Reshape(%c0, %last) : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
    %sizes = onnx.Concat(%n0, %c#2, %c#1) {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
    %run:3 = onnx.Split(%rows, %sizes) {axis = 0 : i64} : (tensor<?x4xf32>, tensor<3xi64>) -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>)
    %h0 = onnx.MatMul(%run#0, %w0) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %h1 = onnx.MatMul(%run#1, %w1) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %h2 = onnx.MatMul(%run#2, %w2) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %h = onnx.Concat(%h0, %h1, %h2) {axis = 0 : i64} : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
    // Weighted, and back to the tokens.
    %flat = onnx.Reshape(%w, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?xf32>
    %mine = onnx.Gather(%flat, %p) {axis = 0 : i64} : (tensor<?xf32>, tensor<?xi64>) -> tensor<?xf32>
    %column = onnx.Unsqueeze(%mine, %last) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
    %weighted = onnx.Mul(%h, %column) : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
    %outs = onnx.Shape(%x) : (tensor<?x4xf32>) -> tensor<2xi64>
    %zeros = onnx.ConstantOfShape(%outs) {value = dense<0.0> : tensor<1xf32>} : (tensor<2xi64>) -> tensor<?x4xf32>
    %at = onnx.Unsqueeze(%token, %last) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
    %y = onnx.ScatterND(%zeros, %at, %weighted) {reduction = "add"} : (tensor<?x4xf32>, tensor<?x1xi64>, tensor<?x4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}
