// RUN: moe-opt %s -moe-raise-experts -split-input-file | FileCheck %s
// Experts whose weights are gathered by the ids of (token, slot) pairs.

// One product by GatherND, its output in halves, a bias and a second product; rows repeated by Expand.
// CHECK-LABEL: @gather_nd
// CHECK-SAME: (%[[X:[^:]*]]: tensor<?x16xf32> {{[^:]*}}, %[[L:[^:]*]]: tensor<?x4xf32> {{[^:]*}}, %[[W1:[^:]*]]: tensor<4x24x16xf32>, %[[B1:[^:]*]]: tensor<4x24xf32>, %[[W2:[^:]*]]: tensor<4x16x12xf32>)
// CHECK: %[[R:.*]]:2 = moe.route
// CHECK: %[[Y:.*]] = moe.experts %[[X]], %[[R]]#0, %[[R]]#1 params(%[[W1]], %[[B1]], %[[W2]]) : {{.*}} -> tensor<?x16xf32>
// CHECK: ^bb0(%[[ROWS:.*]]: tensor<?x16xf32>, %[[A:.*]]: tensor<24x16xf32>, %[[B:.*]]: tensor<24xf32>, %[[C:.*]]: tensor<16x12xf32>):
// CHECK: %[[AT:.*]] = onnx.Transpose(%[[A]])
// CHECK: %[[H:.*]] = onnx.MatMul(%[[ROWS]], %[[AT]])
// CHECK: %[[HB:.*]] = onnx.Add(%[[H]], %[[B]])
// CHECK: %[[G:.*]] = onnx.Slice(%[[HB]]
// CHECK: %[[S:.*]] = onnx.Sigmoid(%[[G]])
// CHECK: %[[GS:.*]] = onnx.Mul(%[[G]], %[[S]])
// CHECK: %[[U:.*]] = onnx.Slice(%[[HB]]
// CHECK: %[[GU:.*]] = onnx.Mul(%[[GS]], %[[U]])
// CHECK: %[[CT:.*]] = onnx.Transpose(%[[C]])
// CHECK: %[[O:.*]] = onnx.MatMul(%[[GU]], %[[CT]])
// CHECK: moe.yield %[[O]]
// CHECK: return %[[Y]]
func.func @gather_nd(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x4xf32> {moe.dims = ["tokens", 4]}, %w1: tensor<4x24x16xf32>, %b1: tensor<4x24xf32>, %w2: tensor<4x16x12xf32>) -> tensor<?x16xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x4xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %zero = onnx.Constant dense<0> : tensor<i64>
  %three = onnx.Constant dense<3> : tensor<i64>
  %twice = onnx.Constant dense<[1, 2, 1]> : tensor<3xi64>
  %flat = onnx.Constant dense<[-1, 16]> : tensor<2xi64>
  %slots = onnx.Constant dense<[-1, 2, 16]> : tensor<3xi64>
  %x1 = onnx.Unsqueeze(%x, %one) : (tensor<?x16xf32>, tensor<1xi64>) -> tensor<?x1x16xf32>
  %x2 = onnx.Expand(%x1, %twice) : (tensor<?x1x16xf32>, tensor<3xi64>) -> tensor<?x2x16xf32>
  %x3 = onnx.Reshape(%x2, %flat) : (tensor<?x2x16xf32>, tensor<2xi64>) -> tensor<?x16xf32>
  %x4 = onnx.Unsqueeze(%x3, %last) : (tensor<?x16xf32>, tensor<1xi64>) -> tensor<?x16x1xf32>
  %i1 = onnx.Reshape(%i, %last) : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?xi64>
  %i2 = onnx.Clip(%i1, %zero, %three) : (tensor<?xi64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %i3 = onnx.Unsqueeze(%i2, %last) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a = onnx.GatherND(%w1, %i3) : (tensor<4x24x16xf32>, tensor<?x1xi64>) -> tensor<?x24x16xf32>
  %b = onnx.GatherND(%b1, %i3) : (tensor<4x24xf32>, tensor<?x1xi64>) -> tensor<?x24xf32>
  %h = onnx.MatMul(%a, %x4) : (tensor<?x24x16xf32>, tensor<?x16x1xf32>) -> tensor<?x24x1xf32>
  %h1 = onnx.Squeeze(%h, %last) : (tensor<?x24x1xf32>, tensor<1xi64>) -> tensor<?x24xf32>
  %h2 = onnx.Add(%h1, %b) : (tensor<?x24xf32>, tensor<?x24xf32>) -> tensor<?x24xf32>
  %g, %u = onnx.Split(%h2) {axis = 1 : i64, num_outputs = 2 : i64} : (tensor<?x24xf32>) -> (tensor<?x12xf32>, tensor<?x12xf32>)
  %s = onnx.Sigmoid(%g) : (tensor<?x12xf32>) -> tensor<?x12xf32>
  %gs = onnx.Mul(%g, %s) : (tensor<?x12xf32>, tensor<?x12xf32>) -> tensor<?x12xf32>
  %gu = onnx.Mul(%gs, %u) : (tensor<?x12xf32>, tensor<?x12xf32>) -> tensor<?x12xf32>
  %c = onnx.GatherND(%w2, %i3) : (tensor<4x16x12xf32>, tensor<?x1xi64>) -> tensor<?x16x12xf32>
  %gu1 = onnx.Unsqueeze(%gu, %last) : (tensor<?x12xf32>, tensor<1xi64>) -> tensor<?x12x1xf32>
  %o = onnx.MatMul(%c, %gu1) : (tensor<?x16x12xf32>, tensor<?x12x1xf32>) -> tensor<?x16x1xf32>
  %o1 = onnx.Squeeze(%o, %last) : (tensor<?x16x1xf32>, tensor<1xi64>) -> tensor<?x16xf32>
  %ww = onnx.Reshape(%w, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?xf32>
  %ww1 = onnx.Unsqueeze(%ww, %last) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %o2 = onnx.Mul(%o1, %ww1) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %o3 = onnx.Reshape(%o2, %slots) : (tensor<?x16xf32>, tensor<3xi64>) -> tensor<?x2x16xf32>
  %y = onnx.ReduceSum(%o3, %one) {keepdims = 0 : i64} : (tensor<?x2x16xf32>, tensor<1xi64>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// Gather along [token, slot], the input on the left, products by Einsum, the weighted sum as a product with the weights.
// CHECK-LABEL: @einsum
// CHECK: moe.experts %arg0, %{{.*}}#0, %{{.*}}#1 params(%arg2, %arg3)
// CHECK: ^bb0(%[[ROWS:.*]]: tensor<?x16xf32>, %[[A:.*]]: tensor<16x12xf32>, %[[C:.*]]: tensor<12x8xf32>):
// CHECK: onnx.MatMul(%[[ROWS]], %[[A]])
// CHECK: onnx.Relu
// CHECK: onnx.MatMul(%{{.*}}, %[[C]])
// CHECK-NOT: onnx.Einsum
func.func @einsum(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x4xf32> {moe.dims = ["tokens", 4]}, %w1: tensor<4x16x12xf32>, %w2: tensor<4x12x8xf32>) -> tensor<?x8xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x4xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %a = onnx.Gather(%w1, %i) {axis = 0 : i64} : (tensor<4x16x12xf32>, tensor<?x2xi64>) -> tensor<?x2x16x12xf32>
  %c = onnx.Gather(%w2, %i) {axis = 0 : i64} : (tensor<4x12x8xf32>, tensor<?x2xi64>) -> tensor<?x2x12x8xf32>
  %h = onnx.Einsum(%x, %a) {equation = "td,tkdf->tkf"} : (tensor<?x16xf32>, tensor<?x2x16x12xf32>) -> tensor<?x2x12xf32>
  %r = onnx.Relu(%h) : (tensor<?x2x12xf32>) -> tensor<?x2x12xf32>
  %o = onnx.Einsum(%r, %c) {equation = "tkf,tkfd->tkd"} : (tensor<?x2x12xf32>, tensor<?x2x12x8xf32>) -> tensor<?x2x8xf32>
  %u = onnx.Unsqueeze(%w, %one) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1x2xf32>
  %y = onnx.MatMul(%u, %o) : (tensor<?x1x2xf32>, tensor<?x2x8xf32>) -> tensor<?x1x8xf32>
  %z = onnx.Squeeze(%y, %one) : (tensor<?x1x8xf32>, tensor<1xi64>) -> tensor<?x8xf32>
  return %z : tensor<?x8xf32>
}

// -----

// Rows gathered by token number, the sum scattered back with addition.
// CHECK-LABEL: @index_add
// CHECK: %[[Y:.*]] = moe.experts %arg0,
// CHECK: return %[[Y]]
func.func @index_add(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x4xf32> {moe.dims = ["tokens", 4]}, %w1: tensor<4x16x16xf32>) -> tensor<?x16xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x4xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %two = onnx.Constant dense<[1, 2]> : tensor<2xi64>
  %first = onnx.Constant dense<0> : tensor<i64>
  %step = onnx.Constant dense<1> : tensor<i64>
  %fzero = onnx.Constant dense<0.0> : tensor<f32>
  %n1 = onnx.Shape(%x) {start = 0 : i64, end = 1 : i64} : (tensor<?x16xf32>) -> tensor<1xi64>
  %n = onnx.Squeeze(%n1) : (tensor<1xi64>) -> tensor<i64>
  %t = onnx.Range(%first, %n, %step) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %t1 = onnx.Unsqueeze(%t, %one) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %t2 = onnx.Expand(%t1, %two) : (tensor<?x1xi64>, tensor<2xi64>) -> tensor<?x2xi64>
  %t3 = onnx.Reshape(%t2, %last) : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?xi64>
  %r = onnx.Gather(%x, %t3) {axis = 0 : i64} : (tensor<?x16xf32>, tensor<?xi64>) -> tensor<?x16xf32>
  %r1 = onnx.Unsqueeze(%r, %one) : (tensor<?x16xf32>, tensor<1xi64>) -> tensor<?x1x16xf32>
  %i1 = onnx.Reshape(%i, %last) : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?xi64>
  %a = onnx.Gather(%w1, %i1) {axis = 0 : i64} : (tensor<4x16x16xf32>, tensor<?xi64>) -> tensor<?x16x16xf32>
  %h = onnx.MatMul(%r1, %a) : (tensor<?x1x16xf32>, tensor<?x16x16xf32>) -> tensor<?x1x16xf32>
  %h1 = onnx.Squeeze(%h, %one) : (tensor<?x1x16xf32>, tensor<1xi64>) -> tensor<?x16xf32>
  %v = onnx.Reshape(%w, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?xf32>
  %v1 = onnx.Unsqueeze(%v, %one) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %o = onnx.Mul(%h1, %v1) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %shape = onnx.Shape(%x) : (tensor<?x16xf32>) -> tensor<2xi64>
  %zeros = onnx.Expand(%fzero, %shape) : (tensor<f32>, tensor<2xi64>) -> tensor<?x16xf32>
  %at = onnx.Unsqueeze(%t3, %one) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %y = onnx.ScatterND(%zeros, %at, %o) {reduction = "add"} : (tensor<?x16xf32>, tensor<?x1xi64>, tensor<?x16xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// One expert a token: nothing is summed; the bank ends before the residual.
// CHECK-LABEL: @one_slot
// CHECK: %[[Y:.*]] = moe.experts %arg0, %{{.*}}#0, %{{.*}}#1 params(%arg2)
// CHECK: onnx.Add(%[[Y]], %arg3)
func.func @one_slot(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %l: tensor<?x4xf32> {moe.dims = ["tokens", 4]}, %w1: tensor<4x16x16xf32>, %res: tensor<?x16xf32> {moe.dims = ["tokens", 16]}) -> tensor<?x16xf32> {
  %w, %i = moe.route %l {k = 1 : i64} : (tensor<?x4xf32>) -> (tensor<?x1xf32>, tensor<?x1xi64>)
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %i1 = onnx.Squeeze(%i, %one) : (tensor<?x1xi64>, tensor<1xi64>) -> tensor<?xi64>
  %a = onnx.Gather(%w1, %i1) {axis = 0 : i64} : (tensor<4x16x16xf32>, tensor<?xi64>) -> tensor<?x16x16xf32>
  %x1 = onnx.Unsqueeze(%x, %one) : (tensor<?x16xf32>, tensor<1xi64>) -> tensor<?x1x16xf32>
  %h = onnx.MatMul(%x1, %a) : (tensor<?x1x16xf32>, tensor<?x16x16xf32>) -> tensor<?x1x16xf32>
  %h1 = onnx.Squeeze(%h, %one) : (tensor<?x1x16xf32>, tensor<1xi64>) -> tensor<?x16xf32>
  %t = onnx.Tanh(%h1) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %o = onnx.Mul(%t, %w) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  %y = onnx.Add(%o, %res) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}
