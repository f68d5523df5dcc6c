// RUN: moe-opt %s --moe-interpret=print -o /dev/null | FileCheck %s
// RUN: sed 's/\[1, 3, 3, 4\]/[1, 3, 2, 4]/' %s | not moe-opt - --moe-interpret=print -o /dev/null 2>&1 | FileCheck %s --check-prefix=DESCENDS
// RUN: sed 's/\[1, 3, 3, 4\]/[1, 3, 3, 6]/' %s | not moe-opt - --moe-interpret=print -o /dev/null 2>&1 | FileCheck %s --check-prefix=PAST

// Rows 1 and 2, none, and row 3; the first and the last row are in no group, and not even what is no number there is in a sum.
// CHECK{LITERAL}: result 0: tensor<3x2x3xf32> [[[9, 12, 15], [12, 16, 20]], [[0, 0, 0], [0, 0, 0]], [[0, 3, 0], [0, -3, 0]]]
// Rounded once, from f32: 256 + 1 has no bf16, 256 + 1 + 1 has.
// CHECK{LITERAL}: result 1: tensor<1x1x1xbf16> [[[258]]]
// DESCENDS: 'moe.grouped_outer_product' op expects offsets that ascend from 0 to at most 5, found 2 behind 3
// PAST: 'moe.grouped_outer_product' op expects offsets that ascend from 0 to at most 5, found 6 behind 3
func.func @main() -> (tensor<3x2x3xf32>, tensor<1x1x1xbf16>) {
  %dy = arith.constant dense<[[0x7F800000, 1.0], [1.0, 2.0], [2.0, 2.0], [1.0, -1.0], [7.0, 7.0]]> : tensor<5x2xf32>
  %x = arith.constant dense<[[1.0, 1.0, 1.0], [3.0, 4.0, 5.0], [3.0, 4.0, 5.0], [0.0, 3.0, 0.0], [0x7FC00000, 1.0, 1.0]]> : tensor<5x3xf32>
  %offsets = arith.constant dense<[1, 3, 3, 4]> : tensor<4xi32>
  %dw = moe.grouped_outer_product %dy, %x offsets(%offsets) : (tensor<5x2xf32>, tensor<5x3xf32>, tensor<4xi32>) -> tensor<3x2x3xf32>
  %a = arith.constant dense<[[256.0], [1.0], [1.0]]> : tensor<3x1xbf16>
  %b = arith.constant dense<1.0> : tensor<3x1xbf16>
  %all = arith.constant dense<[0, 3]> : tensor<2xi32>
  %s = moe.grouped_outer_product %a, %b offsets(%all) : (tensor<3x1xbf16>, tensor<3x1xbf16>, tensor<2xi32>) -> tensor<1x1x1xbf16>
  return %dw, %s : tensor<3x2x3xf32>, tensor<1x1x1xbf16>
}
