// RUN: moe-opt %s --moe-interpret=print -o /dev/null | FileCheck %s
// Experts whole and in parts give the same; the permutation is a stable counting sort.

// dispatch of [[1,2,3],[0,1,3],[0,2,3],[0,1,2]]
// CHECK: result 0: tensor<5xi32> [0, 3, 6, 9, 12]
// CHECK: result 1: tensor<12xi32> [3, 6, 9, 0, 4, 10, 1, 7, 11, 2, 5, 8]
// CHECK: result 2: tensor<12xi32> [3, 6, 9, 0, 4, 10, 1, 7, 11, 2, 5, 8]
// Expert e multiplies by scale[e]: y[0] = 0.5 * 10 * x[0] + 0.25 * 1 * x[0], y[1] = 2 * 100 * x[1] + 1 * 10 * x[1].
// CHECK{LITERAL}: result 3: tensor<2x2xf32> [[5.25, 10.5], [630, 840]]
// CHECK{LITERAL}: result 4: tensor<2x2xf32> [[5.25, 10.5], [630, 840]]
// No token.
// CHECK: result 5: tensor<0x2xf32> []
// Weights on the input of a body that squares: the square of (weight * x) * scale.
// CHECK{LITERAL}: result 6: tensor<2x2xf32> [[25.0625, 100.25], [360900, 641600]]
// Packed weights [1, 2, 2, 2] of three columns, a bias per column and a residual at the source row.
// CHECK{LITERAL}: result 7: tensor<2x3xf32> [[13, 26, 39], [24, 49, 74]]
func.func @main() -> (tensor<5xi32>, tensor<12xi32>, tensor<12xi32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<?x2xf32>, tensor<2x2xf32>, tensor<2x3xf32>) {
  %ids = arith.constant dense<[[1, 2, 3], [0, 1, 3], [0, 2, 3], [0, 1, 2]]> : tensor<4x3xi64>
  %d:3 = moe.dispatch %ids {num_experts = 4} : (tensor<4x3xi64>) -> (tensor<5xi32>, tensor<12xi32>, tensor<12xi32>)
  %x = arith.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %w = arith.constant dense<[[0.5, 0.25], [2.0, 1.0]]> : tensor<2x2xf32>
  %i = arith.constant dense<[[1, 0], [2, 1]]> : tensor<2x2xi64>
  %scale = arith.constant dense<[1.0, 10.0, 100.0]> : tensor<3xf32>
  %y = moe.experts %x, %w, %i params(%scale) : (tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xi64>, tensor<3xf32>) -> tensor<2x2xf32> {
  ^bb0(%rows: tensor<?x2xf32>, %s: tensor<f32>):
    %r = linalg.generic {indexing_maps = [affine_map<(t, h) -> ()>, affine_map<(t, h) -> (t, h)>], iterator_types = ["parallel", "parallel"]}
        ins(%s : tensor<f32>) outs(%rows : tensor<?x2xf32>) {
    ^bb1(%a: f32, %b: f32):
      %p = arith.mulf %a, %b : f32
      linalg.yield %p : f32
    } -> tensor<?x2xf32>
    moe.yield %r : tensor<?x2xf32>
  }
  // The same as dispatch, a grouped product with diagonal matrices, combine.
  %p:3 = moe.dispatch %i {num_experts = 3} : (tensor<2x2xi64>) -> (tensor<4xi32>, tensor<4xi32>, tensor<4xi32>)
  %diagonal = arith.constant dense<[[[1.0, 0.0], [0.0, 1.0]], [[10.0, 0.0], [0.0, 10.0]], [[100.0, 0.0], [0.0, 100.0]]]> : tensor<3x2x2xf32>
  %o = moe.grouped_matmul %x weights(%diagonal) offsets(%p#0) rows(%p#1) {rows_divisor = 2}
      : (tensor<2x2xf32>, tensor<3x2x2xf32>, tensor<4xi32>, tensor<4xi32>) -> tensor<4x2xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  %z = moe.combine %o at %p#2 weights(%w) {k = 2} : (tensor<4x2xf32>, tensor<4xi32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  %n = arith.constant 0 : index
  %e0 = tensor.empty(%n) : tensor<?x2xf32>
  %e1 = tensor.empty(%n) : tensor<?x2xi64>
  %none = moe.experts %e0, %e0, %e1 params(%scale) : (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xi64>, tensor<3xf32>) -> tensor<?x2xf32> {
  ^bb0(%rows: tensor<?x2xf32>, %s: tensor<f32>):
    moe.yield %rows : tensor<?x2xf32>
  }
  %squares = moe.experts %x, %w, %i params(%scale) {weight_on = #moe.weight_on<input>} : (tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xi64>, tensor<3xf32>) -> tensor<2x2xf32> {
  ^bb0(%rows: tensor<?x2xf32>, %s: tensor<f32>):
    %r = linalg.generic {indexing_maps = [affine_map<(t, h) -> ()>, affine_map<(t, h) -> (t, h)>], iterator_types = ["parallel", "parallel"]}
        ins(%s : tensor<f32>) outs(%rows : tensor<?x2xf32>) {
    ^bb1(%a: f32, %b: f32):
      %q = arith.mulf %a, %b : f32
      %p2 = arith.mulf %q, %q : f32
      linalg.yield %p2 : f32
    } -> tensor<?x2xf32>
    moe.yield %r : tensor<?x2xf32>
  }
  %packed = arith.constant dense<[[[[1.0, 2.0], [1.0, 2.0]], [[3.0, 0.0], [3.0, 0.0]]]]> : tensor<1x2x2x2xf32>
  %bias = arith.constant dense<[10.0, 20.0, 30.0]> : tensor<3xf32>
  %residual = arith.constant dense<[[0.0, 0.0, 0.0], [7.0, 15.0, 23.0]]> : tensor<2x3xf32>
  %dense = moe.grouped_matmul %x weights(%packed) extras(%bias, %residual) {packed = 2, columns = 3, extra_kinds = array<i64: 2, 4>}
      : (tensor<2x2xf32>, tensor<1x2x2x2xf32>, tensor<3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32> {
  ^bb0(%acc: f32, %c: f32, %r: f32):
    %s0 = arith.addf %acc, %c : f32
    %s1 = arith.addf %s0, %r : f32
    moe.yield %s1 : f32
  }
  return %d#0, %d#1, %d#2, %y, %z, %none, %squares, %dense
      : tensor<5xi32>, tensor<12xi32>, tensor<12xi32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<?x2xf32>, tensor<2x2xf32>, tensor<2x3xf32>
}
