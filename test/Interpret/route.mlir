// RUN: moe-opt %s --moe-interpret=print -o /dev/null | FileCheck %s
// Routers against values computed elsewhere, by hand or from other implementations.

// Softmax over all, ties to the lower index, without and with renormalization; and softmax over the chosen logits.
// CHECK: result 0: tensor<1x2xf32> {{\[\[}}0.56005{{[0-9]*}}, 0.20603{{[0-9]*}}]]
// CHECK{LITERAL}: result 1: tensor<1x2xi64> [[0, 1]]
// CHECK: result 2: tensor<1x2xf32> {{\[\[}}0.73105{{[0-9]*}}, 0.26894{{[0-9]*}}]]
// CHECK{LITERAL}: result 3: tensor<1x2xi64> [[0, 1]]
// CHECK: result 4: tensor<1x2xf32> {{\[\[}}0.73105{{[0-9]*}}, 0.26894{{[0-9]*}}]]
// CHECK{LITERAL}: result 5: tensor<1x2xi64> [[0, 1]]
// Sigmoid scores with a selection bias, 2 of 4 groups by the sum of their two best: groups 1 and 3.
// CHECK: result 6: tensor<1x2xf32> {{\[\[}}1.27433{{[0-9]*}}, 1.22566{{[0-9]*}}]]
// CHECK{LITERAL}: result 7: tensor<1x2xi64> [[2, 3]]
// Without groups the bias alone moves expert 4 out.
// CHECK{LITERAL}: result 8: tensor<1x2xi64> [[0, 2]]
// Negative choice scores: zero in place of -inf lets a masked expert win.
// CHECK{LITERAL}: result 9: tensor<1x2xi64> [[2, 0]]
// CHECK{LITERAL}: result 10: tensor<1x2xi64> [[2, 3]]
// The sigmoid of the largest logit, and NaN as the smallest.
// CHECK: result 11: tensor<2x1xf32> {{\[\[}}0.8807{{[0-9]*}}], [0.731058{{[0-9]*}}]]
// CHECK{LITERAL}: result 12: tensor<2x1xi64> [[0], [3]]
// Normalized by the Euclidean norm; by the sum but at least eps.
// CHECK{LITERAL}: result 13: tensor<1x2xf32> [[0.8, 0.6]]
// CHECK{LITERAL}: result 14: tensor<1x2xf32> [[0.5, 0.25]]
// Two picks, each over the logits near its own maximum.
// CHECK: result 15: tensor<1x2xf32> {{\[\[}}0.502{{[0-9]*}}, 1]]
// CHECK{LITERAL}: result 16: tensor<1x2xi64> [[1, 0]]
func.func @main() -> (tensor<1x2xf32>, tensor<1x2xi64>, tensor<1x2xf32>, tensor<1x2xi64>, tensor<1x2xf32>, tensor<1x2xi64>,
    tensor<1x2xf32>, tensor<1x2xi64>, tensor<1x2xi64>, tensor<1x2xi64>, tensor<1x2xi64>, tensor<2x1xf32>, tensor<2x1xi64>,
    tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xi64>) {
  %l = arith.constant dense<[[2.0, 1.0, 1.0, -1.0]]> : tensor<1x4xf32>
  %plain:2 = moe.route %l {k = 2} : (tensor<1x4xf32>) -> (tensor<1x2xf32>, tensor<1x2xi64>)
  %renormalized:2 = moe.route %l {k = 2, normalize = #moe.normalize<sum_plus_eps>} : (tensor<1x4xf32>) -> (tensor<1x2xf32>, tensor<1x2xi64>)
  %chosen:2 = moe.route %l {k = 2, score = #moe.score<none>, weight_fn = #moe.weight_fn<softmax>} : (tensor<1x4xf32>) -> (tensor<1x2xf32>, tensor<1x2xi64>)
  %d = arith.constant dense<[[1.0, -1.0, 0.5, 0.4, 2.0, -3.0, 0.0, 0.1]]> : tensor<1x8xf32>
  %b = arith.constant dense<[0.0, 0.0, 0.1, 0.1, -0.5, 0.0, 0.0, 0.0]> : tensor<8xf32>
  %grouped:2 = moe.route %d bias(%b) {k = 2, score = #moe.score<sigmoid>, num_groups = 4, top_groups = 2, group_score = #moe.group_score<top2_sum>,
      normalize = #moe.normalize<sum_plus_eps>, norm_eps = 1.0e-20 : f32, scale = 2.5 : f32} : (tensor<1x8xf32>, tensor<8xf32>) -> (tensor<1x2xf32>, tensor<1x2xi64>)
  %ungrouped:2 = moe.route %d bias(%b) {k = 2, score = #moe.score<sigmoid>, normalize = #moe.normalize<sum_plus_eps>} : (tensor<1x8xf32>, tensor<8xf32>) -> (tensor<1x2xf32>, tensor<1x2xi64>)
  %m = arith.constant dense<[[0.1, 0.2, 3.0, -4.0]]> : tensor<1x4xf32>
  %zero:2 = moe.route %m {k = 2, score = #moe.score<none>, num_groups = 2, top_groups = 1, group_fill = #moe.group_fill<zero>} : (tensor<1x4xf32>) -> (tensor<1x2xf32>, tensor<1x2xi64>)
  %minus:2 = moe.route %m {k = 2, score = #moe.score<none>, num_groups = 2, top_groups = 1} : (tensor<1x4xf32>) -> (tensor<1x2xf32>, tensor<1x2xi64>)
  %n = arith.constant dense<[[2.0, 1.0, 1.0, -1.0], [-9.0, 0x7FC00000, 0.0, 1.0]]> : tensor<2x4xf32>
  %top1:2 = moe.route %n {k = 1, score = #moe.score<none>, weight_fn = #moe.weight_fn<sigmoid>} : (tensor<2x4xf32>) -> (tensor<2x1xf32>, tensor<2x1xi64>)
  %e = arith.constant dense<[[0.5, 0.25, 0.125, 0.0]]> : tensor<1x4xf32>
  %three = arith.constant dense<[[4.0, 3.0, 0.0, 0.0]]> : tensor<1x4xf32>
  %euclid:2 = moe.route %three {k = 2, score = #moe.score<none>, normalize = #moe.normalize<p_norm>, norm_p = 2.0 : f32} : (tensor<1x4xf32>) -> (tensor<1x2xf32>, tensor<1x2xi64>)
  %atleast:2 = moe.route %e {k = 2, score = #moe.score<none>, normalize = #moe.normalize<sum_max_eps>, norm_eps = 1.0 : f32} : (tensor<1x4xf32>) -> (tensor<1x2xf32>, tensor<1x2xi64>)
  %s = arith.constant dense<[[0.99, 1.0, -3.0, 0.5]]> : tensor<1x4xf32>
  %mixer:2 = moe.route %s {k = 2, score = #moe.score<sparsemixer>} : (tensor<1x4xf32>) -> (tensor<1x2xf32>, tensor<1x2xi64>)
  return %plain#0, %plain#1, %renormalized#0, %renormalized#1, %chosen#0, %chosen#1, %grouped#0, %grouped#1, %ungrouped#1, %zero#1, %minus#1,
      %top1#0, %top1#1, %euclid#0, %atleast#0, %mixer#0, %mixer#1
      : tensor<1x2xf32>, tensor<1x2xi64>, tensor<1x2xf32>, tensor<1x2xi64>, tensor<1x2xf32>, tensor<1x2xi64>, tensor<1x2xf32>, tensor<1x2xi64>,
        tensor<1x2xi64>, tensor<1x2xi64>, tensor<1x2xi64>, tensor<2x1xf32>, tensor<2x1xi64>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xi64>
}
