// RUN: moe-opt %s -split-input-file -moe-convert-onnx -canonicalize -cse | FileCheck %s

// An index never reads out of bounds: negative ones wrap, and one that is outside ends the run.
// CHECK-LABEL: func @gather
// CHECK: linalg.generic {{.*}} ins(%{{.*}} : tensor<?x?xi64>)
// CHECK: arith.index_cast
// CHECK: %[[FRONT:.*]] = arith.select
// CHECK: %[[INSIDE:.*]] = arith.cmpi ult, %[[FRONT]], %c100
// CHECK: %[[SAFE:.*]] = arith.select %[[INSIDE]], %[[FRONT]], %c0
// CHECK: %[[AT:.*]] = moe.checked %[[SAFE]] if %[[INSIDE]], "node 'lookup' (Gather): expects indices in [-n, n) of an axis of n elements, but one is outside" : index
// CHECK: tensor.extract %{{.*}}[%[[AT]],
func.func @gather(%table: tensor<100x8xf32>, %ids: tensor<?x?xi64>) -> tensor<?x?x8xf32> {
  %0 = onnx.Gather(%table, %ids) : (tensor<100x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32> loc("lookup")
  return %0 : tensor<?x?x8xf32>
}

// -----

// A known position is a view.
// CHECK-LABEL: func @gather_one
// CHECK: tensor.extract_slice %{{.*}}[1, 0] [1, 8] [1, 1]
// CHECK: tensor.collapse_shape {{.*}} into tensor<8xf32>
func.func @gather_one(%x: tensor<4x8xf32>) -> tensor<8xf32> {
  %i = onnx.Constant dense<1> : tensor<i64>
  %0 = onnx.Gather(%x, %i) : (tensor<4x8xf32>, tensor<i64>) -> tensor<8xf32>
  return %0 : tensor<8xf32>
}

// -----

// CHECK-LABEL: func @gather_nd
// CHECK: tensor.extract %{{.*}}[%{{.*}}, %{{.*}}] : tensor<?x1xi64>
// CHECK: tensor.extract %{{.*}}[%{{.*}}, %{{.*}}] : tensor<?x8xf32>
func.func @gather_nd(%x: tensor<?x8xf32>, %i: tensor<?x1xi64>) -> tensor<?x8xf32> {
  %0 = onnx.GatherND(%x, %i) : (tensor<?x8xf32>, tensor<?x1xi64>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// -----

// CHECK-LABEL: func @scatters
// CHECK: cf.assert {{.*}}expects updates of the shape that indices and data give, but dim 0 differs
// CHECK: moe.scatter %{{.*}}, %{{.*}}, %{{.*}} {combiner = #moe.combiner<add>}
// CHECK: %[[TUPLES:.*]] = linalg.generic
// CHECK: moe.scatter %{{.*}}, %[[TUPLES]], %{{.*}}
func.func @scatters(%x: tensor<?x8xf32>, %i: tensor<?x1xi64>, %u: tensor<?x8xf32>, %e: tensor<?x2xi64>, %v: tensor<?x2xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %0 = onnx.ScatterND(%x, %i, %u) {reduction = "add"} : (tensor<?x8xf32>, tensor<?x1xi64>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %1 = onnx.ScatterElements(%x, %e, %v) {axis = 1 : i64} : (tensor<?x8xf32>, tensor<?x2xi64>, tensor<?x2xf32>) -> tensor<?x8xf32>
  return %0, %1 : tensor<?x8xf32>, tensor<?x8xf32>
}

// -----

// A known k is moe.top_k; one that run time tells sorts and slices.
// CHECK-LABEL: func @top_k
// CHECK: moe.top_k %{{.*}} {k = 2 : i64}
// CHECK: moe.sort
// CHECK: tensor.extract_slice
func.func @top_k(%x: tensor<?x8xf32>, %k: tensor<1xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>, tensor<?x?xf32>, tensor<?x?xi64>) {
  %two = onnx.Constant dense<2> : tensor<1xi64>
  %0:2 = onnx.TopK(%x, %two) : (tensor<?x8xf32>, tensor<1xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %1:2 = onnx.TopK(%x, %k) : (tensor<?x8xf32>, tensor<1xi64>) -> (tensor<?x?xf32>, tensor<?x?xi64>)
  return %0#0, %0#1, %1#0, %1#1 : tensor<?x2xf32>, tensor<?x2xi64>, tensor<?x?xf32>, tensor<?x?xi64>
}

// -----

// The count of what is not zero is the extent of the slice.
// CHECK-LABEL: func @non_zero
// CHECK: %[[I:.*]]:2 = moe.nonzero
// CHECK: %[[N:.*]] = tensor.extract %[[I]]#1
// CHECK: tensor.extract_slice %[[I]]#0[0, 0] [2, %{{.*}}]
func.func @non_zero(%x: tensor<?x8xi1>) -> tensor<2x?xi64> {
  %0 = onnx.NonZero(%x) : (tensor<?x8xi1>) -> tensor<2x?xi64>
  return %0 : tensor<2x?xi64>
}

// -----

// CHECK-LABEL: func @one_hot_and_trilu
// CHECK: arith.cmpi eq
// CHECK: arith.cmpi sge
func.func @one_hot_and_trilu(%i: tensor<?xi64>, %v: tensor<2xf32>, %m: tensor<?x?xf32>) -> (tensor<?x4xf32>, tensor<?x?xf32>) {
  %four = onnx.Constant dense<4> : tensor<i64>
  %0 = onnx.OneHot(%i, %four, %v) : (tensor<?xi64>, tensor<i64>, tensor<2xf32>) -> tensor<?x4xf32>
  %1 = onnx.Trilu(%m) : (tensor<?x?xf32>) -> tensor<?x?xf32>
  return %0, %1 : tensor<?x4xf32>, tensor<?x?xf32>
}

// -----

// Of an axis that may be empty nothing is read, and elements are gathered only where data have them.
// CHECK-LABEL: func @gather_elements
// CHECK: %[[SOME:.*]] = arith.cmpi sgt, %{{.*}}, %c0
// CHECK: %[[NONE:.*]] = arith.cmpi eq, %{{.*}}, %c0
// CHECK: %[[FINE:.*]] = arith.ori %[[SOME]], %[[NONE]]
// CHECK: cf.assert %[[FINE]], "GatherElements: expects an axis with elements to index, but its extent is 0"
// CHECK: cf.assert %{{.*}}, "GatherElements: expects indices that reach no further than data in dim 1"
// CHECK: linalg.generic
func.func @gather_elements(%x: tensor<?x?xf32>, %i: tensor<?x?xi64>) -> tensor<?x?xf32> {
  %0 = onnx.GatherElements(%x, %i) {axis = 0 : i64} : (tensor<?x?xf32>, tensor<?x?xi64>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}
