// RUN: moe-opt %s --moe-interpret=print -o /dev/null | FileCheck %s
// tensor ops: slices, reshapes, concatenation, padding, gathers; values stay values.

// CHECK{LITERAL}: result 0: tensor<2x2xi32> [[2, 4], [7, 9]]
// CHECK{LITERAL}: result 1: tensor<2x5xi32> [[1, 2, 3, 4, 5], [6, 0, 0, 9, 10]]
// CHECK: result 2: tensor<10xi32> [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
// CHECK{LITERAL}: result 3: tensor<5x2x1xi32> [[[1], [2]], [[3], [4]], [[5], [6]], [[7], [8]], [[9], [10]]]
// CHECK{LITERAL}: result 4: tensor<2x7xi32> [[1, 2, 3, 4, 5, 2, 4], [6, 7, 8, 9, 10, 7, 9]]
// CHECK{LITERAL}: result 5: tensor<3x4xi32> [[7, 2, 4, 7], [7, 7, 9, 7], [7, 7, 7, 7]]
// CHECK{LITERAL}: result 6: tensor<2x2xindex> [[0, 1], [10, 11]]
// CHECK{LITERAL}: result 7: tensor<2x5xi32> [[6, 7, 8, 9, 10], [1, 2, 3, 4, 5]]
// CHECK{LITERAL}: result 8: tensor<2x2xi32> [[2, 4], [7, 99]]
// CHECK{LITERAL}: result 9: tensor<2x2xi32> [[2, 4], [7, 9]]
// CHECK: result 10: tensor<2xindex> [2, 5]
// CHECK: result 11: tensor<3xf16> [1.5, 1.5, 1.5]
// CHECK{LITERAL}: result 12: tensor<1x2xi32> [[4, 9]]
func.func @main() -> (tensor<2x2xi32>, tensor<2x5xi32>, tensor<10xi32>, tensor<5x2x1xi32>, tensor<2x7xi32>, tensor<3x4xi32>,
    tensor<2x2xindex>, tensor<2x5xi32>, tensor<2x2xi32>, tensor<2x2xi32>, tensor<2xindex>, tensor<3xf16>, tensor<1x2xi32>) {
  %a = arith.constant dense<[[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]]> : tensor<2x5xi32>
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %ten = arith.constant 10 : index
  %odd = tensor.extract_slice %a[0, 1] [2, 2] [1, 2] : tensor<2x5xi32> to tensor<2x2xi32>
  %zero = arith.constant dense<0> : tensor<2xi32>
  %inserted = tensor.insert_slice %zero into %a[1, 1] [1, 2] [1, 1] : tensor<2xi32> into tensor<2x5xi32>
  %flat = tensor.collapse_shape %a [[0, 1]] : tensor<2x5xi32> into tensor<10xi32>
  %split = tensor.expand_shape %flat [[0, 1, 2]] output_shape [5, 2, 1] : tensor<10xi32> into tensor<5x2x1xi32>
  %both = tensor.concat dim(1) %a, %odd : (tensor<2x5xi32>, tensor<2x2xi32>) -> tensor<2x7xi32>
  %seven = arith.constant 7 : i32
  %padded = tensor.pad %odd low[0, 1] high[1, 1] {
  ^bb0(%i: index, %j: index):
    tensor.yield %seven : i32
  } : tensor<2x2xi32> to tensor<3x4xi32>
  %generated = tensor.generate {
  ^bb0(%i: index, %j: index):
    %r = arith.muli %i, %ten : index
    %v = arith.addi %r, %j : index
    tensor.yield %v : index
  } : tensor<2x2xindex>
  %rows = arith.constant dense<[[1], [0]]> : tensor<2x1xindex>
  %gathered = tensor.gather %a[%rows] gather_dims([0]) : (tensor<2x5xi32>, tensor<2x1xindex>) -> tensor<2x5xi32>
  // The insert writes a copy: %odd stays.
  %new = arith.constant 99 : i32
  %changed = tensor.insert %new into %odd[%c1, %c1] : tensor<2x2xi32>
  %d0 = tensor.dim %a, %c0 : tensor<2x5xi32>
  %d1 = tensor.dim %a, %c1 : tensor<2x5xi32>
  %dims = tensor.from_elements %d0, %d1 : tensor<2xindex>
  %half = arith.constant 1.5 : f16
  %splat = tensor.splat %half : tensor<3xf16>
  %column = tensor.extract_slice %a[0, 3] [2, 1] [1, 1] : tensor<2x5xi32> to tensor<2xi32>
  %last = tensor.extract_slice %odd[0, 1] [2, 1] [1, 1] : tensor<2x2xi32> to tensor<2xi32>
  %one = arith.constant dense<[1, 2]> : tensor<2xi64>
  %reshaped = tensor.reshape %last(%one) : (tensor<2xi32>, tensor<2xi64>) -> tensor<1x2xi32>
  return %odd, %inserted, %flat, %split, %both, %padded, %generated, %gathered, %changed, %odd, %dims, %splat, %reshaped
      : tensor<2x2xi32>, tensor<2x5xi32>, tensor<10xi32>, tensor<5x2x1xi32>, tensor<2x7xi32>, tensor<3x4xi32>, tensor<2x2xindex>,
        tensor<2x5xi32>, tensor<2x2xi32>, tensor<2x2xi32>, tensor<2xindex>, tensor<3xf16>, tensor<1x2xi32>
}
