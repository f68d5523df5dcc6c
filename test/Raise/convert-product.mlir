// RUN: moe-opt %s -split-input-file -moe-convert-onnx -canonicalize -cse | FileCheck %s

// Rows times one matrix: the leading dims are rows of one linalg.matmul.
// CHECK-LABEL: func @rows
// CHECK: tensor.collapse_shape %{{.*}} {{\[\[}}0, 1], [2]]
// CHECK: linalg.matmul ins(%{{.*}}, %{{.*}} : tensor<?x8xf32>, tensor<8x4xf32>)
// CHECK: tensor.expand_shape
func.func @rows(%x: tensor<?x?x8xf32>, %w: tensor<8x4xf32>) -> tensor<?x?x4xf32> {
  %0 = onnx.MatMul(%x, %w) : (tensor<?x?x8xf32>, tensor<8x4xf32>) -> tensor<?x?x4xf32>
  return %0 : tensor<?x?x4xf32>
}

// -----

// Batches broadcast by the maps; f16 products add up in f32.
// CHECK-DAG: #[[X:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2, d4)>
// CHECK-DAG: #[[Y:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, 0, d4, d3)>
// CHECK-LABEL: func @batches
// CHECK: linalg.generic {indexing_maps = [#[[X]], #[[Y]]
// CHECK: arith.mulf %{{.*}} : f32
// CHECK: arith.truncf
func.func @batches(%x: tensor<?x4x?x8xf16> {moe.dims = ["b", 4, "s", 8]}, %y: tensor<?x1x8x?xf16> {moe.dims = ["b", 1, 8, "t"]}) -> tensor<?x4x?x?xf16> {
  %0 = onnx.MatMul(%x, %y) : (tensor<?x4x?x8xf16>, tensor<?x1x8x?xf16>) -> tensor<?x4x?x?xf16>
  return %0 : tensor<?x4x?x?xf16>
}

// -----

// Gemm keeps a transposed weight as it is stored; alpha, beta and C are one pass after the product.
// CHECK-DAG: #[[T:.*]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK-LABEL: func @gemm
// CHECK-NOT: linalg.transpose
// CHECK: linalg.matmul indexing_maps = [{{.*}}, #[[T]], {{.*}}]
// CHECK: linalg.generic
// CHECK: arith.mulf %{{.*}}, %cst
// CHECK: arith.addf
func.func @gemm(%a: tensor<?x8xf32>, %b: tensor<4x8xf32>, %c: tensor<4xf32>) -> tensor<?x4xf32> {
  %0 = onnx.Gemm(%a, %b, %c) {alpha = 0.5 : f32, transB = 1 : i64} : (tensor<?x8xf32>, tensor<4x8xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// -----

// CHECK-LABEL: func @einsum
// CHECK: linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "parallel", "reduction"]
func.func @einsum(%a: tensor<?x3x8xf32>, %b: tensor<?x5x8xf32>) -> tensor<?x3x5xf32> {
  %0 = onnx.Einsum(%a, %b) {equation = "bik,bjk->bij"} : (tensor<?x3x8xf32>, tensor<?x5x8xf32>) -> tensor<?x3x5xf32>
  return %0 : tensor<?x3x5xf32>
}
