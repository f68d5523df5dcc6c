// RUN: moe-opt %s -split-input-file -moe-convert-onnx -canonicalize -cse | FileCheck %s

// The shape arithmetic dies: facts know that [-1, 8] of [n, s, 8] collapses the first two dims.
// CHECK-LABEL: func @reshape_by_facts
// CHECK-NOT: tensor.reshape
// CHECK: tensor.collapse_shape %{{.*}} {{\[\[}}0, 1], [2]]
// CHECK: tensor.expand_shape %{{.*}} {{\[\[}}0, 1], [2, 3]] output_shape
// CHECK-NOT: from_elements
func.func @reshape_by_facts(%x: tensor<?x?x8xf32> {moe.dims = ["n", "s", 8]}) -> (tensor<?x8xf32>, tensor<?x?x2x4xf32>) {
  %flat = onnx.Constant dense<[-1, 8]> : tensor<2xi64>
  %0 = onnx.Reshape(%x, %flat) : (tensor<?x?x8xf32>, tensor<2xi64>) -> tensor<?x8xf32>
  %s = onnx.Shape(%x) {end = 2 : i64} : (tensor<?x?x8xf32>) -> tensor<2xi64>
  %heads = onnx.Constant dense<[2, 4]> : tensor<2xi64>
  %t = onnx.Concat(%s, %heads) {axis = 0 : i64} : (tensor<2xi64>, tensor<2xi64>) -> tensor<4xi64>
  %1 = onnx.Reshape(%0, %t) : (tensor<?x8xf32>, tensor<4xi64>) -> tensor<?x?x2x4xf32>
  return %0, %1 : tensor<?x8xf32>, tensor<?x?x2x4xf32>
}

// -----

// A shape that only run time knows: ONNX's 0 and -1 are worked out there.
// CHECK-LABEL: func @reshape_at_run_time
// CHECK: arith.divui
// CHECK: tensor.reshape
func.func @reshape_at_run_time(%x: tensor<?x?xf32>, %s: tensor<3xi64>) -> tensor<?x?x?xf32> {
  %0 = onnx.Reshape(%x, %s) : (tensor<?x?xf32>, tensor<3xi64>) -> tensor<?x?x?xf32>
  return %0 : tensor<?x?x?xf32>
}

// -----

// CHECK-LABEL: func @transpose_and_units
// CHECK: linalg.transpose {{.*}} permutation = [1, 0]
// CHECK: tensor.expand_shape
func.func @transpose_and_units(%x: tensor<?x4xf32>) -> tensor<4x1x?xf32> {
  %0 = onnx.Transpose(%x) {perm = array<i64: 1, 0>} : (tensor<?x4xf32>) -> tensor<4x?xf32>
  %axes = onnx.Constant dense<[1]> : tensor<1xi64>
  %1 = onnx.Unsqueeze(%0, %axes) : (tensor<4x?xf32>, tensor<1xi64>) -> tensor<4x1x?xf32>
  return %1 : tensor<4x1x?xf32>
}

// -----

// Concat writes slices into one tensor.
// CHECK-LABEL: func @concat
// CHECK: tensor.empty
// CHECK: tensor.insert_slice
// CHECK: tensor.insert_slice
func.func @concat(%x: tensor<?x4xf32>, %y: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %0 = onnx.Concat(%x, %y) {axis = 0 : i64} : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// -----

// A slice with positive steps is a view; the end is clamped to the extent.
// CHECK-LABEL: func @slice
// CHECK: arith.minsi
// CHECK: tensor.extract_slice
// A negative step reads element by element.
// CHECK: linalg.generic
// CHECK: tensor.extract
func.func @slice(%x: tensor<?xf32>, %y: tensor<6xf32>) -> (tensor<?xf32>, tensor<6xf32>) {
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %five = onnx.Constant dense<5> : tensor<1xi64>
  %0 = onnx.Slice(%x, %zero, %five) : (tensor<?xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?xf32>
  %start = onnx.Constant dense<-1> : tensor<1xi64>
  %end = onnx.Constant dense<-9223372036854775808> : tensor<1xi64>
  %axes = onnx.Constant dense<0> : tensor<1xi64>
  %step = onnx.Constant dense<-1> : tensor<1xi64>
  %1 = onnx.Slice(%y, %start, %end, %axes, %step) : (tensor<6xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<6xf32>
  return %0, %1 : tensor<?xf32>, tensor<6xf32>
}

// -----

// Split, Expand, Tile, Range.
// CHECK-LABEL: func @others
// CHECK: tensor.extract_slice %{{.*}}[0, 0] [%{{.*}}, 3]
// CHECK: tensor.extract_slice %{{.*}}[0, 3] [%{{.*}}, 5]
// CHECK: linalg.generic
// CHECK: arith.remui
// CHECK: linalg.generic
// CHECK: linalg.index 0
func.func @others(%x: tensor<?x8xf32>, %n: tensor<i64>) -> (tensor<?x3xf32>, tensor<?x5xf32>, tensor<?x16xf32>, tensor<?xi64>) {
  %sizes = onnx.Constant dense<[3, 5]> : tensor<2xi64>
  %0:2 = onnx.Split(%x, %sizes) {axis = 1 : i64} : (tensor<?x8xf32>, tensor<2xi64>) -> (tensor<?x3xf32>, tensor<?x5xf32>)
  %reps = onnx.Constant dense<[1, 2]> : tensor<2xi64>
  %1 = onnx.Tile(%x, %reps) : (tensor<?x8xf32>, tensor<2xi64>) -> tensor<?x16xf32>
  %zero = onnx.Constant dense<0> : tensor<i64>
  %one = onnx.Constant dense<1> : tensor<i64>
  %2 = onnx.Range(%zero, %n, %one) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  return %0#0, %0#1, %1, %2 : tensor<?x3xf32>, tensor<?x5xf32>, tensor<?x16xf32>, tensor<?xi64>
}

// -----

// An extent that facts know and the type does not is put into the type where an op compares types.
// CHECK-LABEL: func @known_extent
// CHECK: linalg.transpose {{.*}} outs({{.*}}tensor<8x4xf32>)
func.func @known_extent(%x: tensor<32xf32>) -> tensor<?x?xf32> {
  %s = onnx.Constant dense<[4, 8]> : tensor<2xi64>
  %0 = onnx.Reshape(%x, %s) : (tensor<32xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  %1 = onnx.Transpose(%0) {perm = array<i64: 1, 0>} : (tensor<?x?xf32>) -> tensor<?x?xf32>
  return %1 : tensor<?x?xf32>
}

// -----

// What only run time knows is checked there.
// CHECK-LABEL: func @checks
// CHECK: %[[ONE:.*]] = arith.cmpi eq, %{{.*}}, %c1
// CHECK: cf.assert %[[ONE]], "node 's' (Squeeze): expects extent 1 in dim 0"
// CHECK: cf.assert %{{.*}}, "node 'e' (Expand): expects a shape that the input broadcasts to, but dim 0 does not fit"
// CHECK: cf.assert %{{.*}}, "node 'c' (Slice): expects steps that are not 0"
// CHECK: cf.assert %{{.*}}, "node 'p' (Split): expects split sizes of 0 or more"
// CHECK: cf.assert %{{.*}}, "node 'p' (Split): expects split sizes that sum to the extent of the axis"
// CHECK: cf.assert %{{.*}}, "node 'r' (Range): expects a delta that is not 0"
func.func @checks(%x: tensor<?x8xf32>, %n: tensor<1xi64>, %v: tensor<?xf32>, %two: tensor<2xi64>, %d: tensor<i64>)
    -> (tensor<8xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xi64>) {
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %0 = onnx.Squeeze(%x, %zero) : (tensor<?x8xf32>, tensor<1xi64>) -> tensor<8xf32> loc("s")
  %1 = onnx.Expand(%v, %n) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?xf32> loc("e")
  %2 = onnx.Slice(%v, %zero, %n, %zero, %n) {operandSegmentSizes = array<i32: 1, 1, 1, 1, 1>} : (tensor<?xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?xf32> loc("c")
  %3:2 = onnx.Split(%v, %two) : (tensor<?xf32>, tensor<2xi64>) -> (tensor<?xf32>, tensor<?xf32>) loc("p")
  %4 = onnx.Range(%d, %d, %d) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64> loc("r")
  return %0, %1, %2, %3#0, %3#1, %4 : tensor<8xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xi64>
}

// -----

// A shape that leaves nothing open is compared with what comes.
// CHECK-LABEL: func @fixed_reshape
// CHECK: %[[SIX:.*]] = arith.cmpi eq, %{{.*}}, %c6
// CHECK: cf.assert %[[SIX]], "node 'f' (Reshape): expects a shape of as many elements as the input has"
func.func @fixed_reshape(%x: tensor<?x3xf32>) -> tensor<6xf32> {
  %s = onnx.Constant dense<[6]> : tensor<1xi64>
  %0 = onnx.Reshape(%x, %s) : (tensor<?x3xf32>, tensor<1xi64>) -> tensor<6xf32> loc("f")
  return %0 : tensor<6xf32>
}
