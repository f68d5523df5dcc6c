// RUN: moe-opt %s --moe-interpret=print -o /dev/null | FileCheck %s
// linalg ops through their maps and bodies: named, generic, reductions, indices, reads of other tensors.

// CHECK{LITERAL}: result 0: tensor<2x2xf32> [[58, 64], [139, 154]]
// CHECK{LITERAL}: result 1: tensor<3x2xf32> [[1, 4], [2, 5], [3, 6]]
// CHECK: result 2: tensor<2xf32> [6, 15]
// CHECK{LITERAL}: result 3: tensor<2x3xi64> [[0, 1, 2], [10, 11, 12]]
// CHECK{LITERAL}: result 4: tensor<2x3xf32> [[4, 5, 6], [1, 2, 3]]
// CHECK: result 5: tensor<3xf32> [0.09003057, 0.24472848, 0.66524094]
// CHECK: result 6: tensor<f32> 21
// CHECK{LITERAL}: result 7: tensor<2x3xf32> [[7, 7, 7], [8, 8, 8]]
// CHECK: result 8: tensor<3xf32> [3, 5, 7]
// CHECK: result 9: tensor<2x0xf32> []
// CHECK: result 10: tensor<0x2xf32> []
// CHECK{LITERAL}: result 11: tensor<2x3xf32> [[2, 2, 3], [4, 5, 6]]
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
func.func @main() -> (tensor<2x2xf32>, tensor<3x2xf32>, tensor<2xf32>, tensor<2x3xi64>, tensor<2x3xf32>, tensor<3xf32>, tensor<f32>,
    tensor<2x3xf32>, tensor<3xf32>, tensor<2x0xf32>, tensor<?x2xf32>, tensor<2x3xf32>) {
  %zero = arith.constant 0.0 : f32
  %a = arith.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>
  %b = arith.constant dense<[[7.0, 8.0], [9.0, 10.0], [11.0, 12.0]]> : tensor<3x2xf32>
  %e0 = tensor.empty() : tensor<2x2xf32>
  %c0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<2x2xf32>) -> tensor<2x2xf32>
  %product = linalg.matmul ins(%a, %b : tensor<2x3xf32>, tensor<3x2xf32>) outs(%c0 : tensor<2x2xf32>) -> tensor<2x2xf32>
  %e1 = tensor.empty() : tensor<3x2xf32>
  %transposed = linalg.transpose ins(%a : tensor<2x3xf32>) outs(%e1 : tensor<3x2xf32>) permutation = [1, 0]
  %zeros = arith.constant dense<0.0> : tensor<2xf32>
  %sums = linalg.reduce {arith.addf} ins(%a : tensor<2x3xf32>) outs(%zeros : tensor<2xf32>) dimensions = [1]
  %e2 = tensor.empty() : tensor<2x3xi64>
  %indices = linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"]} outs(%e2 : tensor<2x3xi64>) {
  ^bb0(%out: i64):
    %i = linalg.index 0 : index
    %j = linalg.index 1 : index
    %ten = arith.constant 10 : index
    %scaled = arith.muli %i, %ten : index
    %s = arith.addi %scaled, %j : index
    %v = arith.index_cast %s : index to i64
    linalg.yield %v : i64
  } -> tensor<2x3xi64>
  // A gather: rows of a tensor from outside.
  %rows = arith.constant dense<[1, 0]> : tensor<2xi64>
  %e3 = tensor.empty() : tensor<2x3xf32>
  %gathered = linalg.generic {indexing_maps = [#row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%rows : tensor<2xi64>) outs(%e3 : tensor<2x3xf32>) {
  ^bb0(%r: i64, %out: f32):
    %j = linalg.index 1 : index
    %i = arith.index_cast %r : i64 to index
    %v = tensor.extract %a[%i, %j] : tensor<2x3xf32>
    linalg.yield %v : f32
  } -> tensor<2x3xf32>
  %logits = arith.constant dense<[1.0, 2.0, 3.0]> : tensor<3xf32>
  %e4 = tensor.empty() : tensor<3xf32>
  %softmax = linalg.softmax dimension(0) ins(%logits : tensor<3xf32>) outs(%e4 : tensor<3xf32>) -> tensor<3xf32>
  %c1 = arith.constant dense<0.0> : tensor<f32>
  %total = linalg.reduce {arith.addf} ins(%a : tensor<2x3xf32>) outs(%c1 : tensor<f32>) dimensions = [0, 1]
  %seven = arith.constant dense<[7.0, 8.0]> : tensor<2xf32>
  %e5 = tensor.empty() : tensor<2x3xf32>
  %wide = linalg.broadcast ins(%seven : tensor<2xf32>) outs(%e5 : tensor<2x3xf32>) dimensions = [1]
  // A window: out[i] = in[i] + in[i + 1].
  %signal = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %window = tensor.empty() : tensor<2xf32>
  %c2 = arith.constant dense<0.0> : tensor<3xf32>
  %slid = linalg.generic {indexing_maps = [affine_map<(i, k) -> (i + k)>, affine_map<(i, k) -> (k)>, affine_map<(i, k) -> (i)>],
      iterator_types = ["parallel", "reduction"]} ins(%signal, %window : tensor<4xf32>, tensor<2xf32>) outs(%c2 : tensor<3xf32>) {
  ^bb0(%x: f32, %w: f32, %out: f32):
    %s = arith.addf %out, %x : f32
    linalg.yield %s : f32
  } -> tensor<3xf32>
  // No element: nothing is read.
  %e6 = tensor.empty() : tensor<2x0xf32>
  %none = linalg.fill ins(%zero : f32) outs(%e6 : tensor<2x0xf32>) -> tensor<2x0xf32>
  %n = arith.constant 0 : index
  %e7 = tensor.empty(%n) : tensor<?x2xf32>
  %dynamic = linalg.fill ins(%zero : f32) outs(%e7 : tensor<?x2xf32>) -> tensor<?x2xf32>
  // A body with a region of its own runs op by op.
  %clipped = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<2x3xf32>) outs(%e5 : tensor<2x3xf32>) {
  ^bb0(%x: f32, %out: f32):
    %two = arith.constant 2.0 : f32
    %low = arith.cmpf olt, %x, %two : f32
    %y = scf.if %low -> f32 {
      scf.yield %two : f32
    } else {
      scf.yield %x : f32
    }
    linalg.yield %y : f32
  } -> tensor<2x3xf32>
  return %product, %transposed, %sums, %indices, %gathered, %softmax, %total, %wide, %slid, %none, %dynamic, %clipped
      : tensor<2x2xf32>, tensor<3x2xf32>, tensor<2xf32>, tensor<2x3xi64>, tensor<2x3xf32>, tensor<3xf32>, tensor<f32>, tensor<2x3xf32>,
        tensor<3xf32>, tensor<2x0xf32>, tensor<?x2xf32>, tensor<2x3xf32>
}
