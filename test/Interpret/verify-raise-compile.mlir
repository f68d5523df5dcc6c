// RUN: moe-compile %s --compile-to=raise --verify-raise -o %t.mlir && FileCheck %s < %t.mlir
// moe-compile compares the raised module with the imported one, which it lowers in a copy without recognising.

// CHECK-NOT: onnx.
// CHECK: linalg.generic
func.func @main(%x: tensor<?x4xf32> {moe.name = "x", moe.dims = ["tokens", 4]}) -> (tensor<?x4xf32> {moe.name = "y"}) {
  %y = onnx.Mul(%x, %x) : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
