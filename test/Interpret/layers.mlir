// RUN: moe-opt %s --moe-interpret=print -o /dev/null | FileCheck %s
// Activations, norms, rotation and attention on small numbers.

// Both forms of the gated activation.
// CHECK: result 0: tensor<3xf32> [2.53738{{[0-9]*}}, -41.99971{{[0-9]*}}, -0.02710{{[0-9]*}}]
// CHECK: result 1: tensor<3xf32> [1.46211{{[0-9]*}}, -89.9959{{[0-9]*}}, -0.0711{{[0-9]*}}]
// Rows of mean square 4 and 1, times a weight.
// CHECK{LITERAL}: result 2: tensor<2x2xf32> [[1, 2], [-1, 2]]
// A quarter turn of the first pair, half-split and interleaved; what is beyond the tables stays.
// CHECK{LITERAL}: result 3: tensor<1x1x1x6xf32> [[[[-3, 2, 1, 4, 5, 6]]]]
// CHECK{LITERAL}: result 4: tensor<1x1x1x6xf32> [[[[-2, 1, 3, 4, 5, 6]]]]
// Equal keys: means over what each query may see: causal; a window of one; all.
// CHECK{LITERAL}: result 5: tensor<1x2x3x1xf32> [[[[1], [2], [3]], [[1], [2], [3]]]]
// CHECK{LITERAL}: result 6: tensor<1x2x3x1xf32> [[[[1], [3], [5]], [[1], [3], [5]]]]
// CHECK{LITERAL}: result 7: tensor<1x2x3x1xf32> [[[[3], [3], [3]], [[3], [3], [3]]]]
// A sink with the weight of one key; a mask of -inf over a whole row gives 0.
// CHECK{LITERAL}: result 8: tensor<1x2x3x1xf32> [[[[2.25], [2.25], [2.25]], [[2.25], [2.25], [2.25]]]]
// CHECK{LITERAL}: result 9: tensor<1x2x3x1xf32> [[[[0], [1], [3]], [[0], [1], [3]]]]
func.func @main() -> (tensor<3xf32>, tensor<3xf32>, tensor<2x2xf32>, tensor<1x1x1x6xf32>, tensor<1x1x1x6xf32>, tensor<1x2x3x1xf32>,
    tensor<1x2x3x1xf32>, tensor<1x2x3x1xf32>, tensor<1x2x3x1xf32>, tensor<1x2x3x1xf32>) {
  %g = arith.constant dense<[1.0, 10.0, -3.0]> : tensor<3xf32>
  %u = arith.constant dense<[2.0, -9.0, 0.5]> : tensor<3xf32>
  %limited = moe.swiglu %g, %u {alpha = 1.702 : f32, beta = 1.0 : f32, limit = 7.0 : f32} : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
  %plain = moe.swiglu %g, %u : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
  %x = arith.constant dense<[[2.0, 2.0], [-1.0, 1.0]]> : tensor<2x2xf32>
  %w = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %norm = moe.rms_norm %x weight(%w) {epsilon = 0.0 : f32} : (tensor<2x2xf32>, tensor<2xf32>) -> tensor<2x2xf32>
  %r = arith.constant dense<[[[[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]]]> : tensor<1x1x1x6xf32>
  %cos = arith.constant dense<[[[0.0, 1.0]]]> : tensor<1x1x2xf32>
  %sin = arith.constant dense<[[[1.0, 0.0]]]> : tensor<1x1x2xf32>
  %half = moe.rope %r, %cos, %sin : (tensor<1x1x1x6xf32>, tensor<1x1x2xf32>, tensor<1x1x2xf32>) -> tensor<1x1x1x6xf32>
  %pairs = moe.rope %r, %cos, %sin {interleaved} : (tensor<1x1x1x6xf32>, tensor<1x1x2xf32>, tensor<1x1x2xf32>) -> tensor<1x1x1x6xf32>
  %q = arith.constant dense<0.0> : tensor<1x2x3x4xf32>
  %k = arith.constant dense<1.0> : tensor<1x1x3x4xf32>
  %v = arith.constant dense<[[[[1.0], [3.0], [5.0]]]]> : tensor<1x1x3x1xf32>
  %causal = moe.attention %q, %k, %v {scale = 1.0 : f32, causal} : (tensor<1x2x3x4xf32>, tensor<1x1x3x4xf32>, tensor<1x1x3x1xf32>) -> tensor<1x2x3x1xf32>
  %window = moe.attention %q, %k, %v {scale = 1.0 : f32, causal, window = 1} : (tensor<1x2x3x4xf32>, tensor<1x1x3x4xf32>, tensor<1x1x3x1xf32>) -> tensor<1x2x3x1xf32>
  %full = moe.attention %q, %k, %v {scale = 1.0 : f32} : (tensor<1x2x3x4xf32>, tensor<1x1x3x4xf32>, tensor<1x1x3x1xf32>) -> tensor<1x2x3x1xf32>
  %sinks = arith.constant dense<0.0> : tensor<2xf32>
  %sunk = moe.attention %q, %k, %v sinks(%sinks) {scale = 1.0 : f32} : (tensor<1x2x3x4xf32>, tensor<1x1x3x4xf32>, tensor<1x1x3x1xf32>, tensor<2xf32>) -> tensor<1x2x3x1xf32>
  %mask = arith.constant dense<[[[[0xFF800000, 0xFF800000, 0xFF800000], [0.0, 0xFF800000, 0xFF800000], [0.0, 0.0, 0.0]]]]> : tensor<1x1x3x3xf32>
  %masked = moe.attention %q, %k, %v mask(%mask) {scale = 1.0 : f32} : (tensor<1x2x3x4xf32>, tensor<1x1x3x4xf32>, tensor<1x1x3x1xf32>, tensor<1x1x3x3xf32>) -> tensor<1x2x3x1xf32>
  return %limited, %plain, %norm, %half, %pairs, %causal, %window, %full, %sunk, %masked
      : tensor<3xf32>, tensor<3xf32>, tensor<2x2xf32>, tensor<1x1x1x6xf32>, tensor<1x1x1x6xf32>, tensor<1x2x3x1xf32>, tensor<1x2x3x1xf32>,
        tensor<1x2x3x1xf32>, tensor<1x2x3x1xf32>, tensor<1x2x3x1xf32>
}
