// RUN: moe-opt %s | moe-opt | FileCheck %s
// RUN: moe-opt %s --mlir-print-op-generic | moe-opt | FileCheck %s

// CHECK-LABEL: func.func @weights(
// CHECK:         moe.grouped_outer_product %{{.*}}, %{{.*}} offsets(%{{.*}}) : (tensor<?x24xbf16>, tensor<?x16xbf16>, tensor<4xi32>) -> tensor<3x24x16xf32>
func.func @weights(%dy: tensor<?x24xbf16>, %x: tensor<?x16xbf16>, %offsets: tensor<4xi32>) -> tensor<3x24x16xf32> {
  %dw = moe.grouped_outer_product %dy, %x offsets(%offsets) : (tensor<?x24xbf16>, tensor<?x16xbf16>, tensor<4xi32>) -> tensor<3x24x16xf32>
  return %dw : tensor<3x24x16xf32>
}

// Any number of groups, and a result in the rows' own type.
// CHECK-LABEL: func.func @groups(
// CHECK:         moe.grouped_outer_product %{{.*}}, %{{.*}} offsets(%{{.*}}) : (tensor<?x?xf16>, tensor<?x16xf16>, tensor<?xi32>) -> tensor<?x?x16xf16>
func.func @groups(%dy: tensor<?x?xf16>, %x: tensor<?x16xf16>, %offsets: tensor<?xi32>) -> tensor<?x?x16xf16> {
  %dw = moe.grouped_outer_product %dy, %x offsets(%offsets) : (tensor<?x?xf16>, tensor<?x16xf16>, tensor<?xi32>) -> tensor<?x?x16xf16>
  return %dw : tensor<?x?x16xf16>
}

// CHECK-LABEL: func.func @buffers(
// CHECK:         moe.grouped_outer_product %{{.*}}, %{{.*}} offsets(%{{.*}}) outs(%{{.*}}) :
func.func @buffers(%dy: memref<?x24xf32>, %x: memref<?x16xf32>, %offsets: memref<4xi32>, %dw: memref<3x24x16xf32>) {
  moe.grouped_outer_product %dy, %x offsets(%offsets) outs(%dw) : (memref<?x24xf32>, memref<?x16xf32>, memref<4xi32>, memref<3x24x16xf32>) -> ()
  return
}
