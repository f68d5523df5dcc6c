// RUN: moe-opt %s --moe-interpret=print -o /dev/null | FileCheck %s
// RUN: moe-opt %s -moe-split-scaled --moe-interpret=print -o /dev/null | FileCheck %s
// Scaled values and their split form give the same.

// The golden values, in a block whose scale is 1: 0.1, 1/3, 1, -1.5, 17, 2^-6, 2^-9, 0.0011, 2^-10, 448.
// CHECK{LITERAL}: result 0: tensor<1x10xf32> [[0.1015625, 0.34375, 1, -1.5, 16, 0.015625, 0.001953125, 0.001953125, 0, 448]]
// One scale for two elements: 3 / 448 and the floor 1e-4 / 448.
// CHECK{LITERAL}: result 1: tensor<1x4xf32> [[3, -1.5, 0, 0.0001]]
// Powers of two, rounded up: amax 3 -> 2^-7, 448 -> 1, 449 -> 2, 1e-4 -> 2^-22 (416 of its units).
// CHECK{LITERAL}: result 2: tensor<4x1xf32> [[3], [448], [448], [9.918213e-05]]
// A block with a NaN is NaN.
// CHECK{LITERAL}: result 3: tensor<1x4xf32> [[nan, nan, 1, 2]]
// f8E5M2: fewer bits, more range.
// CHECK{LITERAL}: result 4: tensor<1x2xf32> [[57344, 96]]
// Transposed, in other blocks, from the values: 1 and 17 share a block, 5 and 100 another.
// CHECK{LITERAL}: result 5: tensor<2x2xf32> [[0.98660713, 17], [4.910714, 100]]
// Two rows times two columns, sums of four in intervals of two: weights 1 2 3 4 and 448 0 0 -448 in blocks of two.
// CHECK{LITERAL}: result 6: tensor<2x2xf32> [[30, -1344], [10, 0]]
// Rows of each group with its weights, one scale a matrix: 3 / (4 / 448) = 336 is a tie and becomes 320.
// CHECK{LITERAL}: result 7: tensor<2x1xf32> [[29.57143], [0]]
func.func @main() -> (tensor<1x10xf32>, tensor<1x4xf32>, tensor<4x1xf32>, tensor<1x4xf32>, tensor<1x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x1xf32>) {
  %golden = arith.constant dense<[[0.1, 0.33333334, 1.0, -1.5, 17.0, 0.015625, 0.001953125, 0.0011, 9.765625e-4, 448.0]]> : tensor<1x10xf32>
  %q0 = moe.quantize %golden : tensor<1x10xf32> -> !moe.scaled<1x10xf8E4M3FN, block = [1, 0], scale = f32>
  %r0 = moe.dequantize %q0 : !moe.scaled<1x10xf8E4M3FN, block = [1, 0], scale = f32> -> tensor<1x10xf32>

  %a = arith.constant dense<[[3.0, -1.5, 0.0, 1.0e-4]]> : tensor<1x4xf32>
  %q1 = moe.quantize %a : tensor<1x4xf32> -> !moe.scaled<1x4xf8E4M3FN, block = [1, 2], scale = f32>
  %r1 = moe.dequantize %q1 : !moe.scaled<1x4xf8E4M3FN, block = [1, 2], scale = f32> -> tensor<1x4xf32>

  %b = arith.constant dense<[[3.0], [448.0], [449.0], [1.0e-4]]> : tensor<4x1xf32>
  %q2 = moe.quantize %b : tensor<4x1xf32> -> !moe.scaled<4x1xf8E4M3FN, block = [1, 1], scale = f8E8M0FNU>
  %r2 = moe.dequantize %q2 : !moe.scaled<4x1xf8E4M3FN, block = [1, 1], scale = f8E8M0FNU> -> tensor<4x1xf32>

  %c = arith.constant dense<[[0x7FC00000, 1.0, 1.0, 2.0]]> : tensor<1x4xf32>
  %q3 = moe.quantize %c : tensor<1x4xf32> -> !moe.scaled<1x4xf8E4M3FN, block = [1, 2], scale = f32>
  %r3 = moe.dequantize %q3 : !moe.scaled<1x4xf8E4M3FN, block = [1, 2], scale = f32> -> tensor<1x4xf32>

  %d = arith.constant dense<[[57344.0, 100.0]]> : tensor<1x2xf32>
  %q4 = moe.quantize %d : tensor<1x2xf32> -> !moe.scaled<1x2xf8E5M2, block = [0, 0], scale = f32>
  %r4 = moe.dequantize %q4 : !moe.scaled<1x2xf8E5M2, block = [0, 0], scale = f32> -> tensor<1x2xf32>

  %e = arith.constant dense<[[1.0, 5.0], [17.0, 100.0]]> : tensor<2x2xf32>
  %q5 = moe.quantize %e : tensor<2x2xf32> -> !moe.scaled<2x2xf8E4M3FN, block = [0, 0], scale = f32>
  %t5 = moe.requantize %q5 from %e : tensor<2x2xf32>, !moe.scaled<2x2xf8E4M3FN, block = [0, 0], scale = f32> -> !moe.scaled<2x2xf8E4M3FN, block = [1, 2], scale = f32, layout = column> {transposed}
  %r5 = moe.dequantize %t5 : !moe.scaled<2x2xf8E4M3FN, block = [1, 2], scale = f32, layout = column> -> tensor<2x2xf32>

  %x = arith.constant dense<[[1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 1.0, 1.0]]> : tensor<2x4xf32>
  %w = arith.constant dense<[[[1.0, 2.0, 3.0, 4.0], [448.0, 0.0, 0.0, -448.0]]]> : tensor<1x2x4xf32>
  %qx = moe.quantize %x : tensor<2x4xf32> -> !moe.scaled<2x4xf8E4M3FN, block = [1, 2], scale = f8E8M0FNU>
  %qw = moe.quantize %w : tensor<1x2x4xf32> -> !moe.scaled<1x2x4xf8E4M3FN, block = [1, 1, 2], scale = f8E8M0FNU>
  %r6 = moe.grouped_matmul %qx weights(%qw) {promotion = 2 : i64} : (!moe.scaled<2x4xf8E4M3FN, block = [1, 2], scale = f8E8M0FNU>, !moe.scaled<1x2x4xf8E4M3FN, block = [1, 1, 2], scale = f8E8M0FNU>) -> tensor<2x2xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }

  %experts = arith.constant dense<[[[1.0, 2.0, 3.0, 4.0]], [[448.0, 0.0, 0.0, -448.0]]]> : tensor<2x1x4xf32>
  %qe = moe.quantize %experts : tensor<2x1x4xf32> -> !moe.scaled<2x1x4xf8E4M3FN, block = [1, 0, 0], scale = f32>
  %offsets = arith.constant dense<[0, 1, 2]> : tensor<3xi32>
  %r7 = moe.grouped_matmul %x weights(%qe) offsets(%offsets) : (tensor<2x4xf32>, !moe.scaled<2x1x4xf8E4M3FN, block = [1, 0, 0], scale = f32>, tensor<3xi32>) -> tensor<2x1xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return %r0, %r1, %r2, %r3, %r4, %r5, %r6, %r7 : tensor<1x10xf32>, tensor<1x4xf32>, tensor<4x1xf32>, tensor<1x4xf32>, tensor<1x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x1xf32>
}
