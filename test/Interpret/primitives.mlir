// RUN: moe-opt %s --moe-interpret=print -o /dev/null | FileCheck %s
// The total order, running sums, scatters with duplicates, indices of what is not zero.

// CHECK{LITERAL}: result 0: tensor<2x3xf32> [[3, 2, 2], [0, -1, nan]]
// CHECK{LITERAL}: result 1: tensor<2x3xi64> [[3, 1, 2], [1, 0, 2]]
// CHECK{LITERAL}: result 2: tensor<2x2xi64> [[0, 1], [3, 0]]
// CHECK: result 3: tensor<4xi64> [1, 2, 0, 3]
// CHECK: result 4: tensor<4xi32> [1, 3, 6, 10]
// CHECK: result 5: tensor<4xi32> [9, 7, 4, 0]
// CHECK{LITERAL}: result 6: tensor<2x2xf32> [[1, 4], [1, 4]]
// CHECK: result 7: tensor<4xf32> [10, 60, 0, 40]
// CHECK: result 8: tensor<4xf32> [10, 30, 0, 40]
// CHECK{LITERAL}: result 9: tensor<2x4xi64> [[0, 1, 0, 0], [1, 1, 0, 0]]
// CHECK: result 10: tensor<i64> 2
func.func @main() -> (tensor<2x3xf32>, tensor<2x3xi64>, tensor<2x2xi64>, tensor<4xi64>, tensor<4xi32>, tensor<4xi32>, tensor<2x2xf32>, tensor<4xf32>,
    tensor<4xf32>, tensor<2x4xi64>, tensor<i64>) {
  %x = arith.constant dense<[[1.0, 2.0, 2.0, 3.0], [-1.0, 0.0, 0x7FC00000, 0xFF800000]]> : tensor<2x4xf32>
  %top:2 = moe.top_k %x {k = 3} : (tensor<2x4xf32>) -> (tensor<2x3xf32>, tensor<2x3xi64>)
  %low:2 = moe.top_k %x {k = 2, largest = false} : (tensor<2x4xf32>) -> (tensor<2x2xf32>, tensor<2x2xi64>)
  %n = arith.constant dense<[3, 1, 1, 7]> : tensor<4xi32>
  %sorted:2 = moe.sort %n {descending = false} : (tensor<4xi32>) -> (tensor<4xi32>, tensor<4xi64>)
  %i = arith.constant dense<[1, 2, 3, 4]> : tensor<4xi32>
  %running = moe.scan %i {axis = 0} : (tensor<4xi32>) -> tensor<4xi32>
  %rest = moe.scan %i {axis = 0, exclusive, reverse} : (tensor<4xi32>) -> tensor<4xi32>
  %m = arith.constant dense<[[1.0, 4.0], [0.0, 2.0]]> : tensor<2x2xf32>
  %max = moe.scan %m {axis = 0, combiner = #moe.combiner<max>} : (tensor<2x2xf32>) -> tensor<2x2xf32>
  %data = arith.constant dense<[10.0, 20.0, 0.0, 40.0]> : tensor<4xf32>
  %at = arith.constant dense<[[1], [-3]]> : tensor<2x1xi64>
  %updates = arith.constant dense<[10.0, 30.0]> : tensor<2xf32>
  %added = moe.scatter %data, %at, %updates {combiner = #moe.combiner<add>} : (tensor<4xf32>, tensor<2x1xi64>, tensor<2xf32>) -> tensor<4xf32>
  %assigned = moe.scatter %data, %at, %updates : (tensor<4xf32>, tensor<2x1xi64>, tensor<2xf32>) -> tensor<4xf32>
  %flags = arith.constant dense<[[false, true], [false, true]]> : tensor<2x2xi1>
  %where:2 = moe.nonzero %flags : (tensor<2x2xi1>) -> (tensor<2x4xi64>, tensor<i64>)
  return %top#0, %top#1, %low#1, %sorted#1, %running, %rest, %max, %added, %assigned, %where#0, %where#1
      : tensor<2x3xf32>, tensor<2x3xi64>, tensor<2x2xi64>, tensor<4xi64>, tensor<4xi32>, tensor<4xi32>, tensor<2x2xf32>, tensor<4xf32>, tensor<4xf32>,
        tensor<2x4xi64>, tensor<i64>
}
