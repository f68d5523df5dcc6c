// RUN: moe-opt %s --moe-interpret=print -o /dev/null | FileCheck %s
// arith and math on scalars and elementwise on tensors, in every format.

// CHECK: result 0: tensor<4xf32> [1.5, -2, 0.5, 3]
// CHECK: result 1: tensor<4xf32> [2.25, -4, nan, 9]
// CHECK: result 2: tensor<3xi8> [-128, 127, 1]
// CHECK: result 3: tensor<3xi32> [-3, 2, -1]
// CHECK: result 4: tensor<3xi32> [-4, 2, -2]
// CHECK: result 5: tensor<4xi1> [1, 0, 0, 1]
// CHECK: result 6: tensor<2xbf16> [1, 1.015625]
// CHECK: result 7: tensor<3xf8E4M3FN> [0.1015625, nan, -1.5]
// CHECK: result 8: tensor<2xi64> [4294967295, 1]
// CHECK: result 9: tensor<i32> 7
// CHECK: result 10: tensor<2xf16> [inf, 0.33325195]
// CHECK: result 11: tensor<3xi32> [2147483647, -2147483648, 0]
// CHECK: result 12: tensor<2xi32> [1065353216, -2147483648]
// CHECK: result 13: tensor<3xf32> [3, 0, -0]
// CHECK: result 14: tensor<4xf32> [-2, 2, 4, 2]
// CHECK: result 15: tensor<2xf32> [0.8427008, -0.8427008]
func.func @main() -> (tensor<4xf32>, tensor<4xf32>, tensor<3xi8>, tensor<3xi32>, tensor<3xi32>, tensor<4xi1>, tensor<2xbf16>,
    tensor<3xf8E4M3FN>, tensor<2xi64>, i32, tensor<2xf16>, tensor<3xi32>, tensor<2xi32>, tensor<3xf32>, tensor<4xf32>, tensor<2xf32>) {
  %a = arith.constant dense<[1.5, -2.0, 0.5, 3.0]> : tensor<4xf32>
  %b = arith.constant dense<[1.5, 2.0, 0x7FC00000, 3.0]> : tensor<4xf32>
  %product = arith.mulf %a, %b : tensor<4xf32>
  // Integers wrap in their width.
  %i8 = arith.constant dense<[127, -128, 0]> : tensor<3xi8>
  %one = arith.constant dense<[1, -1, 1]> : tensor<3xi8>
  %sum = arith.addi %i8, %one : tensor<3xi8>
  // Division truncates or floors.
  %n = arith.constant dense<[-7, 5, -3]> : tensor<3xi32>
  %d = arith.constant dense<[2, 2, 2]> : tensor<3xi32>
  %quotient = arith.divsi %n, %d : tensor<3xi32>
  %floor = arith.floordivsi %n, %d : tensor<3xi32>
  %equal = arith.cmpf oeq, %a, %b : tensor<4xf32>
  // Ties round to even.
  %wide = arith.constant dense<[1.00390625, 1.01171875]> : tensor<2xf32>
  %bf16 = arith.truncf %wide : tensor<2xf32> to tensor<2xbf16>
  // Beyond 464 there is no f8E4M3FN but NaN.
  %three = arith.constant dense<[0.1, 500.0, -1.5]> : tensor<3xf32>
  %f8 = arith.truncf %three : tensor<3xf32> to tensor<3xf8E4M3FN>
  %u = arith.constant dense<[-1, 1]> : tensor<2xi32>
  %zext = arith.extui %u : tensor<2xi32> to tensor<2xi64>
  %x = arith.constant 3 : i32
  %y = arith.constant 4 : i32
  %seven = arith.addi %x, %y : i32
  %h = arith.constant dense<[6.0e4, 0.33325195]> : tensor<2xf16>
  %huge = arith.constant dense<[6.0e4, 0.0]> : tensor<2xf16>
  %over = arith.addf %h, %huge : tensor<2xf16>
  // Out of range is clamped, NaN is 0.
  %far = arith.constant dense<[1.0e20, -1.0e20, 0x7FC00000]> : tensor<3xf32>
  %clamped = arith.fptosi %far : tensor<3xf32> to tensor<3xi32>
  %bits = arith.constant dense<[1.0, -0.0]> : tensor<2xf32>
  %cast = arith.bitcast %bits : tensor<2xf32> to tensor<2xi32>
  // maximumf knows the sign of zero; round half to even.
  %p = arith.constant dense<[3.0, -0.0, -0.0]> : tensor<3xf32>
  %q = arith.constant dense<[2.0, 0.0, -0.0]> : tensor<3xf32>
  %max = arith.maximumf %p, %q : tensor<3xf32>
  %halves = arith.constant dense<[-2.5, 1.5, 3.5, 2.5]> : tensor<4xf32>
  %even = math.roundeven %halves : tensor<4xf32>
  %ones = arith.constant dense<[1.0, -1.0]> : tensor<2xf32>
  %erf = math.erf %ones : tensor<2xf32>
  return %a, %product, %sum, %quotient, %floor, %equal, %bf16, %f8, %zext, %seven, %over, %clamped, %cast, %max, %even, %erf
      : tensor<4xf32>, tensor<4xf32>, tensor<3xi8>, tensor<3xi32>, tensor<3xi32>, tensor<4xi1>, tensor<2xbf16>,
        tensor<3xf8E4M3FN>, tensor<2xi64>, i32, tensor<2xf16>, tensor<3xi32>, tensor<2xi32>, tensor<3xf32>, tensor<4xf32>, tensor<2xf32>
}
