// RUN: moe-opt %s -moe-raise-routers -split-input-file | FileCheck %s
// Each router of docs/Spec.md, from the steps that exporters write.

// Softmax over all experts, the chosen ones renormalized.
// CHECK-LABEL: @softmax_renormalized
// CHECK-SAME: (%[[LOGITS:.*]]: tensor<?x8xf32>, %[[ROWS:.*]]: tensor<?x2x16xf32>)
// CHECK: %[[R:.*]]:2 = moe.route %[[LOGITS]] {k = 2 : i64, normalize = #moe.normalize<sum_plus_eps>} : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
// CHECK-NOT: onnx.TopK
// CHECK: onnx.Reshape(%[[R]]#0
// CHECK: return {{.*}}, %[[R]]#1
func.func @softmax_renormalized(%logits: tensor<?x8xf32>, %rows: tensor<?x2x16xf32>) -> (tensor<?x1x16xf32>, tensor<?x2xi64>) {
  %k = onnx.Constant dense<2> : tensor<1xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %p = onnx.Softmax(%logits) {axis = -1 : i64} : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v, %i = onnx.TopK(%p, %k) : (tensor<?x8xf32>, tensor<1xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %s = onnx.ReduceSum(%v, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %w = onnx.Div(%v, %s) : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %u = onnx.Unsqueeze(%w, %one) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1x2xf32>
  %y = onnx.MatMul(%u, %rows) : (tensor<?x1x2xf32>, tensor<?x2x16xf32>) -> tensor<?x1x16xf32>
  return %y, %i : tensor<?x1x16xf32>, tensor<?x2xi64>
}

// -----

// The choice is made on logits, the softmax runs over the chosen: one form more of the same idea.
// CHECK-LABEL: @softmax_over_the_chosen
// CHECK: moe.route %{{.*}} {k = 2 : i64, score = #moe.score<none>, weight_fn = #moe.weight_fn<softmax>}
func.func @softmax_over_the_chosen(%logits: tensor<?x8xf32>, %rows: tensor<?x2x16xf32>) -> tensor<?x1x16xf32> {
  %k = onnx.Constant dense<2> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %v, %i = onnx.TopK(%logits, %k) : (tensor<?x8xf32>, tensor<1xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %w = onnx.Softmax(%v) {axis = 1 : i64} : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %u = onnx.Unsqueeze(%w, %one) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1x2xf32>
  %y = onnx.MatMul(%u, %rows) : (tensor<?x1x2xf32>, tensor<?x2x16xf32>) -> tensor<?x1x16xf32>
  return %y : tensor<?x1x16xf32>
}

// -----

// Sigmoid scores; a bias and groups decide the choice alone; the weights are renormalized and scaled.
// CHECK-LABEL: @grouped_sigmoid_with_bias
// CHECK: moe.route %{{.*}} bias(%{{.*}}) {group_score = #moe.group_score<top2_sum>, k = 2 : i64, norm_eps = 9.99999968E-21 : f32, normalize = #moe.normalize<sum_plus_eps>, num_groups = 4 : i64, scale = 2.500000e+00 : f32, score = #moe.score<sigmoid>, top_groups = 2 : i64}
// CHECK-NOT: onnx.TopK
func.func @grouped_sigmoid_with_bias(%logits: tensor<?x8xf32>, %rows: tensor<?x2x16xf32>) -> tensor<?x1x16xf32> {
  %k = onnx.Constant dense<2> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %zero = onnx.Constant dense<0.0> : tensor<f32>
  %ninf = onnx.Constant dense<0xFF800000> : tensor<f32>
  %eps = onnx.Constant dense<1.0e-20> : tensor<f32>
  %scale = onnx.Constant dense<2.5> : tensor<f32>
  %bias = onnx.Constant dense<[0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]> : tensor<8xf32>
  %groups = onnx.Constant dense<[-1, 4, 2]> : tensor<3xi64>
  %ungroup = onnx.Constant dense<[-1, 8]> : tensor<2xi64>
  %spread = onnx.Constant dense<[1, 4, 2]> : tensor<3xi64>
  %p = onnx.Sigmoid(%logits) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %c = onnx.Add(%p, %bias) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %g = onnx.Reshape(%c, %groups) : (tensor<?x8xf32>, tensor<3xi64>) -> tensor<?x4x2xf32>
  %gv, %gi = onnx.TopK(%g, %k) : (tensor<?x4x2xf32>, tensor<1xi64>) -> (tensor<?x4x2xf32>, tensor<?x4x2xi64>)
  %gs = onnx.ReduceSum(%gv, %last) {keepdims = 0 : i64} : (tensor<?x4x2xf32>, tensor<1xi64>) -> tensor<?x4xf32>
  %tv, %ti = onnx.TopK(%gs, %k) {sorted = 0 : i64} : (tensor<?x4xf32>, tensor<1xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %gshape = onnx.Shape(%gs) : (tensor<?x4xf32>) -> tensor<2xi64>
  %ishape = onnx.Shape(%ti) : (tensor<?x2xi64>) -> tensor<2xi64>
  %zeros = onnx.Expand(%zero, %gshape) : (tensor<f32>, tensor<2xi64>) -> tensor<?x4xf32>
  %ones = onnx.ConstantOfShape(%ishape) {value = dense<1.0> : tensor<1xf32>} : (tensor<2xi64>) -> tensor<?x2xf32>
  %kept = onnx.ScatterElements(%zeros, %ti, %ones) {axis = 1 : i64} : (tensor<?x4xf32>, tensor<?x2xi64>, tensor<?x2xf32>) -> tensor<?x4xf32>
  %k1 = onnx.Unsqueeze(%kept, %last) : (tensor<?x4xf32>, tensor<1xi64>) -> tensor<?x4x1xf32>
  %k2 = onnx.Expand(%k1, %spread) : (tensor<?x4x1xf32>, tensor<3xi64>) -> tensor<?x4x2xf32>
  %k3 = onnx.Reshape(%k2, %ungroup) : (tensor<?x4x2xf32>, tensor<2xi64>) -> tensor<?x8xf32>
  %k4 = onnx.Cast(%k3) {to = i1} : (tensor<?x8xf32>) -> tensor<?x8xi1>
  %k5 = onnx.Not(%k4) : (tensor<?x8xi1>) -> tensor<?x8xi1>
  %m = onnx.Where(%k5, %ninf, %c) : (tensor<?x8xi1>, tensor<f32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v, %i = onnx.TopK(%m, %k) {sorted = 0 : i64} : (tensor<?x8xf32>, tensor<1xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %w0 = onnx.GatherElements(%p, %i) {axis = 1 : i64} : (tensor<?x8xf32>, tensor<?x2xi64>) -> tensor<?x2xf32>
  %s0 = onnx.ReduceSum(%w0, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %s1 = onnx.Add(%s0, %eps) : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xf32>
  %w1 = onnx.Div(%w0, %s1) : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %w = onnx.Mul(%w1, %scale) : (tensor<?x2xf32>, tensor<f32>) -> tensor<?x2xf32>
  %u = onnx.Unsqueeze(%w, %one) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1x2xf32>
  %y = onnx.MatMul(%u, %rows) : (tensor<?x1x2xf32>, tensor<?x2x16xf32>) -> tensor<?x1x16xf32>
  return %y : tensor<?x1x16xf32>
}

// -----

// Softmax plus a bias for the choice; the sum of the weights is kept above a bound. Scores are [batch, seq, experts].
// CHECK-LABEL: @softmax_with_bias_and_bound
// CHECK: %[[FLAT:.*]] = onnx.Reshape(%arg0, %{{.*}}) : (tensor<?x?x8xf32>, tensor<2xi64>) -> tensor<?x8xf32>
// CHECK: moe.route %[[FLAT]] bias(%{{.*}}) {k = 2 : i64, norm_eps = 9.99999996E-13 : f32, normalize = #moe.normalize<sum_max_eps>}
func.func @softmax_with_bias_and_bound(%logits: tensor<?x?x8xf32>, %rows: tensor<?x?x2x16xf32>) -> tensor<?x?x1x16xf32> {
  %k = onnx.Constant dense<2> : tensor<1xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %two = onnx.Constant dense<2> : tensor<1xi64>
  %bound = onnx.Constant dense<1.0e-12> : tensor<f32>
  %bias = onnx.Constant dense<[0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]> : tensor<8xf32>
  %p = onnx.Softmax(%logits) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %c = onnx.Add(%p, %bias) : (tensor<?x?x8xf32>, tensor<8xf32>) -> tensor<?x?x8xf32>
  %v, %i = onnx.TopK(%c, %k) : (tensor<?x?x8xf32>, tensor<1xi64>) -> (tensor<?x?x2xf32>, tensor<?x?x2xi64>)
  %w0 = onnx.GatherElements(%p, %i) {axis = -1 : i64} : (tensor<?x?x8xf32>, tensor<?x?x2xi64>) -> tensor<?x?x2xf32>
  %s = onnx.ReduceSum(%w0, %last) : (tensor<?x?x2xf32>, tensor<1xi64>) -> tensor<?x?x1xf32>
  %b = onnx.Clip(%s, %bound) : (tensor<?x?x1xf32>, tensor<f32>) -> tensor<?x?x1xf32>
  %w = onnx.Div(%w0, %b) : (tensor<?x?x2xf32>, tensor<?x?x1xf32>) -> tensor<?x?x2xf32>
  %u = onnx.Unsqueeze(%w, %two) : (tensor<?x?x2xf32>, tensor<1xi64>) -> tensor<?x?x1x2xf32>
  %y = onnx.MatMul(%u, %rows) : (tensor<?x?x1x2xf32>, tensor<?x?x2x16xf32>) -> tensor<?x?x1x16xf32>
  return %y : tensor<?x?x1x16xf32>
}

// -----

// CHECK-LABEL: @one_norm
// CHECK: moe.route %{{.*}} {k = 2 : i64, normalize = #moe.normalize<p_norm>}
func.func @one_norm(%logits: tensor<?x8xf32>, %rows: tensor<?x2x16xf32>) -> tensor<?x1x16xf32> {
  %k = onnx.Constant dense<2> : tensor<1xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %p = onnx.Softmax(%logits) {axis = 1 : i64} : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v, %i = onnx.TopK(%p, %k) : (tensor<?x8xf32>, tensor<1xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %s = onnx.ReduceL1(%v, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %w = onnx.Div(%v, %s) : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %u = onnx.Unsqueeze(%w, %one) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1x2xf32>
  %y = onnx.MatMul(%u, %rows) : (tensor<?x1x2xf32>, tensor<?x2x16xf32>) -> tensor<?x1x16xf32>
  return %y : tensor<?x1x16xf32>
}

// -----

// One expert a token: ArgMax and ReduceMax of the probabilities.
// CHECK-LABEL: @switch
// CHECK: %[[R:.*]]:2 = moe.route %arg0 {k = 1 : i64} : (tensor<?x8xf32>) -> (tensor<?x1xf32>, tensor<?x1xi64>)
// CHECK: onnx.Mul(%{{.*}}, %[[R]]#0)
func.func @switch(%logits: tensor<?x8xf32>, %x: tensor<?x16xf32>, %w: tensor<16x16xf32>) -> (tensor<?x16xf32>, tensor<?x1xi64>) {
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %p = onnx.Softmax(%logits) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %i = onnx.ArgMax(%p) {axis = 1 : i64} : (tensor<?x8xf32>) -> tensor<?x1xi64>
  %v = onnx.ReduceMax(%p, %last) : (tensor<?x8xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %h = onnx.MatMul(%x, %w) : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %y = onnx.Mul(%h, %v) : (tensor<?x16xf32>, tensor<?x1xf32>) -> tensor<?x16xf32>
  return %y, %i : tensor<?x16xf32>, tensor<?x1xi64>
}

// -----

// The weights live at [token, expert]: multiplied by a 0/1 mask, renormalized and scaled there. A second reader of the
// mask keeps reading it.
// CHECK-LABEL: @routing_matrix
// CHECK: %[[R:.*]]:2 = moe.route %arg0 {k = 2 : i64, normalize = #moe.normalize<sum_plus_eps>, scale = 2.500000e+00 : f32, score = #moe.score<sigmoid>}
// CHECK: %[[M:.*]] = onnx.ScatterElements(%{{.*}}, %[[R]]#1, %[[R]]#0) {axis = 1 : i64}
// CHECK: onnx.Reshape(%[[M]]
// CHECK: onnx.ScatterElements(%{{.*}}, %[[R]]#1, %{{.*}})
func.func @routing_matrix(%logits: tensor<4x8xf32>, %rows: tensor<4x8x16xf32>) -> (tensor<4x1x16xf32>, tensor<4x8xf32>) {
  %k = onnx.Constant dense<2> : tensor<1xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %zeros = onnx.Constant dense<0.0> : tensor<4x8xf32>
  %ones = onnx.Constant dense<1.0> : tensor<4x2xf32>
  %scale = onnx.Constant dense<2.5> : tensor<f32>
  %p = onnx.Sigmoid(%logits) : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %v, %i = onnx.TopK(%p, %k) {sorted = 0 : i64} : (tensor<4x8xf32>, tensor<1xi64>) -> (tensor<4x2xf32>, tensor<4x2xi64>)
  %mask = onnx.ScatterElements(%zeros, %i, %ones) {axis = 1 : i64} : (tensor<4x8xf32>, tensor<4x2xi64>, tensor<4x2xf32>) -> tensor<4x8xf32>
  %w0 = onnx.Mul(%p, %mask) : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %s = onnx.ReduceSum(%w0, %last) : (tensor<4x8xf32>, tensor<1xi64>) -> tensor<4x1xf32>
  %w1 = onnx.Div(%w0, %s) : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
  %w = onnx.Mul(%w1, %scale) : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %u = onnx.Unsqueeze(%w, %one) : (tensor<4x8xf32>, tensor<1xi64>) -> tensor<4x1x8xf32>
  %y = onnx.MatMul(%u, %rows) : (tensor<4x1x8xf32>, tensor<4x8x16xf32>) -> tensor<4x1x16xf32>
  return %y, %mask : tensor<4x1x16xf32>, tensor<4x8xf32>
}

// -----

// A choice among rounded scores is one among other scores: the rounding stays in front, where the weights are rounded too.
// CHECK-LABEL: @rounded
// CHECK: %[[P:.*]] = onnx.Softmax
// CHECK: %[[R:.*]] = onnx.Cast(%[[P]])
// CHECK: moe.route %[[R]] {k = 2 : i64, score = #moe.score<none>} : (tensor<?x8xf16>)
func.func @rounded(%logits: tensor<?x8xf32>, %rows: tensor<?x2x16xf32>) -> tensor<?x1x16xf32> {
  %k = onnx.Constant dense<2> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %p = onnx.Softmax(%logits) {axis = -1 : i64} : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %h = onnx.Cast(%p) {to = f16} : (tensor<?x8xf32>) -> tensor<?x8xf16>
  %v, %i = onnx.TopK(%h, %k) : (tensor<?x8xf16>, tensor<1xi64>) -> (tensor<?x2xf16>, tensor<?x2xi64>)
  %w = onnx.Cast(%v) {to = f32} : (tensor<?x2xf16>) -> tensor<?x2xf32>
  %u = onnx.Unsqueeze(%w, %one) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1x2xf32>
  %y = onnx.MatMul(%u, %rows) : (tensor<?x1x2xf32>, tensor<?x2x16xf32>) -> tensor<?x1x16xf32>
  return %y : tensor<?x1x16xf32>
}

// -----

// There and back again changes nothing.
// CHECK-LABEL: @widened_and_back
// CHECK-SAME: (%[[LOGITS:.*]]: tensor<?x8xf16>
// CHECK: moe.route %[[LOGITS]] {k = 2 : i64, score = #moe.score<none>} : (tensor<?x8xf16>)
func.func @widened_and_back(%logits: tensor<?x8xf16>, %rows: tensor<?x2x16xf16>) -> tensor<?x1x16xf16> {
  %k = onnx.Constant dense<2> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %l = onnx.Cast(%logits) {to = f32} : (tensor<?x8xf16>) -> tensor<?x8xf32>
  %h = onnx.Cast(%l) {to = f16} : (tensor<?x8xf32>) -> tensor<?x8xf16>
  %v, %i = onnx.TopK(%h, %k) : (tensor<?x8xf16>, tensor<1xi64>) -> (tensor<?x2xf16>, tensor<?x2xi64>)
  %u = onnx.Unsqueeze(%v, %one) : (tensor<?x2xf16>, tensor<1xi64>) -> tensor<?x1x2xf16>
  %y = onnx.MatMul(%u, %rows) : (tensor<?x1x2xf16>, tensor<?x2x16xf16>) -> tensor<?x1x16xf16>
  return %y : tensor<?x1x16xf16>
}

// -----

// Scores of a kind of their own: they are computed before, a bias decides the choice alone.
// CHECK-LABEL: @other_scores
// CHECK: %[[S:.*]] = onnx.Sqrt
// CHECK: moe.route %[[S]] bias(%{{.*}}) {k = 2 : i64, normalize = #moe.normalize<sum_plus_eps>, score = #moe.score<none>}
// CHECK-NOT: onnx.TopK
func.func @other_scores(%logits: tensor<?x4xf32>, %rows: tensor<?x2x16xf32>) -> tensor<?x1x16xf32> {
  %k = onnx.Constant dense<2> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %bias = onnx.Constant dense<[0.0, 0.1, 0.2, 0.3]> : tensor<4xf32>
  %p = onnx.Softplus(%logits) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %s = onnx.Sqrt(%p) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %c = onnx.Add(%s, %bias) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %v, %i = onnx.TopK(%c, %k) : (tensor<?x4xf32>, tensor<1xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %g = onnx.GatherElements(%s, %i) {axis = -1 : i64} : (tensor<?x4xf32>, tensor<?x2xi64>) -> tensor<?x2xf32>
  %sum = onnx.ReduceSum(%g, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %w = onnx.Div(%g, %sum) : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %u = onnx.Unsqueeze(%w, %one) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1x2xf32>
  %y = onnx.MatMul(%u, %rows) : (tensor<?x1x2xf32>, tensor<?x2x16xf32>) -> tensor<?x1x16xf32>
  return %y : tensor<?x1x16xf32>
}

// -----

// The choice and the sigmoid weights both see the bias: it belongs to the logits.
// CHECK-LABEL: @bias_of_the_logits
// CHECK: %[[L:.*]] = onnx.Add(%arg0
// CHECK: moe.route %[[L]] {k = 2 : i64, score = #moe.score<none>, weight_fn = #moe.weight_fn<sigmoid>}
func.func @bias_of_the_logits(%logits: tensor<?x4xf32>, %rows: tensor<?x2x16xf32>) -> tensor<?x1x16xf32> {
  %k = onnx.Constant dense<2> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %bias = onnx.Constant dense<[0.0, 0.1, 0.2, 0.3]> : tensor<4xf32>
  %c = onnx.Add(%logits, %bias) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %v, %i = onnx.TopK(%c, %k) : (tensor<?x4xf32>, tensor<1xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %s = onnx.Sigmoid(%c) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %w = onnx.GatherElements(%s, %i) {axis = -1 : i64} : (tensor<?x4xf32>, tensor<?x2xi64>) -> tensor<?x2xf32>
  %u = onnx.Unsqueeze(%w, %one) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1x2xf32>
  %y = onnx.MatMul(%u, %rows) : (tensor<?x1x2xf32>, tensor<?x2x16xf32>) -> tensor<?x1x16xf32>
  return %y : tensor<?x1x16xf32>
}

// -----

// Scores without the bias, over a sum of scores with it: the division is no step of the router.
// CHECK-LABEL: @half_a_bias
// CHECK-NOT: normalize
// CHECK: onnx.Div
func.func @half_a_bias(%logits: tensor<?x4xf32>, %rows: tensor<?x16xf32>) -> tensor<?x2x16xf32> {
  %k = onnx.Constant dense<2> : tensor<1xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %bias = onnx.Constant dense<[0.0, 0.1, 0.2, 0.3]> : tensor<4xf32>
  %m = onnx.Constant dense<0.5> : tensor<4x16x16xf32>
  %c = onnx.Add(%logits, %bias) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %v, %i = onnx.TopK(%c, %k) : (tensor<?x4xf32>, tensor<1xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %p = onnx.GatherElements(%logits, %i) {axis = -1 : i64} : (tensor<?x4xf32>, tensor<?x2xi64>) -> tensor<?x2xf32>
  %sum = onnx.ReduceSum(%v, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %w = onnx.Div(%p, %sum) : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %g = onnx.Gather(%m, %i) {axis = 0 : i64} : (tensor<4x16x16xf32>, tensor<?x2xi64>) -> tensor<?x2x16x16xf32>
  %h = onnx.Einsum(%rows, %g) {equation = "td,tkde->tke"} : (tensor<?x16xf32>, tensor<?x2x16x16xf32>) -> tensor<?x2x16xf32>
  %w1 = onnx.Unsqueeze(%w, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %y = onnx.Mul(%h, %w1) : (tensor<?x2x16xf32>, tensor<?x2x1xf32>) -> tensor<?x2x16xf32>
  return %y : tensor<?x2x16xf32>
}

// -----

// Scores that are compared with the picked ones are compared bit by bit: with those that were picked.
// CHECK-LABEL: @compared
// CHECK: %[[P:.*]] = onnx.Softmax
// CHECK: %[[V:.*]], %{{.*}} = onnx.TopK(%[[P]]
// CHECK: moe.route %arg0
// CHECK: %[[U:.*]] = onnx.Unsqueeze(%[[V]]
// CHECK: onnx.Equal(%{{.*}}, %[[U]])
func.func @compared(%logits: tensor<?x4xf32>, %rows: tensor<?x2x16xf32>) -> (tensor<?x1x16xf32>, tensor<?x2x4xi1>) {
  %k = onnx.Constant dense<2> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %p = onnx.Softmax(%logits) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %v, %i = onnx.TopK(%p, %k) : (tensor<?x4xf32>, tensor<1xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %p1 = onnx.Unsqueeze(%p, %one) : (tensor<?x4xf32>, tensor<1xi64>) -> tensor<?x1x4xf32>
  %v1 = onnx.Unsqueeze(%v, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %same = onnx.Equal(%p1, %v1) : (tensor<?x1x4xf32>, tensor<?x2x1xf32>) -> tensor<?x2x4xi1>
  %u = onnx.Unsqueeze(%v, %one) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1x2xf32>
  %y = onnx.MatMul(%u, %rows) : (tensor<?x1x2xf32>, tensor<?x2x16xf32>) -> tensor<?x1x16xf32>
  return %y, %same : tensor<?x1x16xf32>, tensor<?x2x4xi1>
}
