// Result types follow from the inputs: extents are proven through the shape arithmetic that exporters write.
// The types written here for results are placeholders: the pass does not read them.
// RUN: moe-opt %s -onnx-infer-types -split-input-file | FileCheck %s

// A chain of Shape, Concat and Reshape leaves static extents; -1 is the quotient.
// CHECK-LABEL: func @reshape_by_shape_chain
// CHECK-SAME: -> tensor<?x?x4x16xf32>
func.func @reshape_by_shape_chain(%x: tensor<?x?x64xf32> {moe.dims = ["batch", "seq", 64 : i64]}) -> tensor<0xf32> {
  %heads = onnx.Constant dense<[-1, 16]> : tensor<2xi64>
  %lead = onnx.Shape(%x) {end = 2 : i64} : (tensor<?x?x64xf32>) -> tensor<0xi64>
  %shape = onnx.Concat(%lead, %heads) {axis = 0 : i64} : (tensor<0xi64>, tensor<2xi64>) -> tensor<0xi64>
  %y = onnx.Reshape(%x, %shape) : (tensor<?x?x64xf32>, tensor<0xi64>) -> tensor<0xf32>
  return %y : tensor<0xf32>
}

// -----

// Flattening and splitting a product of extents comes back: (batch * seq) * 64 over 64 is one dim, unknown but one.
// CHECK-LABEL: func @products_of_extents
// CHECK-SAME: -> (tensor<?x64xf32>, tensor<?x2x32xf32>)
func.func @products_of_extents(%x: tensor<?x?x64xf32> {moe.dims = ["batch", "seq", 64 : i64]}) -> (tensor<0xf32>, tensor<0xf32>) {
  %flat = onnx.Constant dense<[-1, 64]> : tensor<2xi64>
  %three = onnx.Constant dense<[-1, 2, 32]> : tensor<3xi64>
  %rows = onnx.Reshape(%x, %flat) : (tensor<?x?x64xf32>, tensor<2xi64>) -> tensor<0xf32>
  %halves = onnx.Reshape(%rows, %three) : (tensor<0xf32>, tensor<3xi64>) -> tensor<0xf32>
  return %rows, %halves : tensor<0xf32>, tensor<0xf32>
}

// -----

// Slices: an end past every extent is the extent, negative bounds count from it, steps divide.
// CHECK-LABEL: func @slices
// CHECK-SAME: -> (tensor<?x8xf32>, tensor<?x3xf32>, tensor<?x8xf32>)
func.func @slices(%x: tensor<?x16xf32>) -> (tensor<0xf32>, tensor<0xf32>, tensor<0xf32>) {
  %c0 = onnx.Constant dense<0> : tensor<1xi64>
  %c1 = onnx.Constant dense<1> : tensor<1xi64>
  %c2 = onnx.Constant dense<2> : tensor<1xi64>
  %c8 = onnx.Constant dense<8> : tensor<1xi64>
  %m3 = onnx.Constant dense<-3> : tensor<1xi64>
  %max = onnx.Constant dense<9223372036854775807> : tensor<1xi64>
  %upper = onnx.Slice(%x, %c8, %max, %c1, %c1) : (tensor<?x16xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<0xf32>
  %last = onnx.Slice(%x, %m3, %max, %c1, %c1) : (tensor<?x16xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<0xf32>
  %even = onnx.Slice(%x, %c0, %max, %c1, %c2) : (tensor<?x16xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<0xf32>
  return %upper, %last, %even : tensor<0xf32>, tensor<0xf32>, tensor<0xf32>
}

// -----

// Equal names are one extent: their sum does not broadcast, and the constant extent wins over an unknown one.
// CHECK-LABEL: func @broadcast
// CHECK-SAME: -> tensor<?x8xf32>
func.func @broadcast(%a: tensor<?x1xf32> {moe.dims = ["n", 1 : i64]}, %b: tensor<?x?xf32> {moe.dims = ["n", "m"]}, %c: tensor<8xf32>) -> tensor<0xf32> {
  %s = onnx.Add(%a, %b) : (tensor<?x1xf32>, tensor<?x?xf32>) -> tensor<0xf32>
  %t = onnx.Mul(%s, %c) : (tensor<0xf32>, tensor<8xf32>) -> tensor<0xf32>
  return %t : tensor<0xf32>
}

// -----

// Selections and indices.
// CHECK-LABEL: func @selections
// CHECK: onnx.TopK{{.*}} -> (tensor<?x4xf32>, tensor<?x4xi64>)
// CHECK: onnx.GatherElements{{.*}} -> tensor<?x4xf32>
// CHECK: onnx.GatherND{{.*}} -> tensor<?x4x32x8xf32>
// CHECK: onnx.NonZero{{.*}} -> tensor<2x?xi64>
func.func @selections(%scores: tensor<?x16xf32>, %bank: tensor<16x32x8xf32>) -> tensor<0xi64> {
  %k = onnx.Constant dense<4> : tensor<1xi64>
  %axis = onnx.Constant dense<-1> : tensor<1xi64>
  %v, %i = onnx.TopK(%scores, %k) : (tensor<?x16xf32>, tensor<1xi64>) -> (tensor<0xf32>, tensor<0xi64>)
  %w = onnx.GatherElements(%scores, %i) {axis = 1 : i64} : (tensor<?x16xf32>, tensor<0xi64>) -> tensor<0xf32>
  %at = onnx.Unsqueeze(%i, %axis) : (tensor<0xi64>, tensor<1xi64>) -> tensor<0xi64>
  %e = onnx.GatherND(%bank, %at) : (tensor<16x32x8xf32>, tensor<0xi64>) -> tensor<0xf32>
  %n = onnx.NonZero(%w) : (tensor<0xf32>) -> tensor<0xi64>
  return %n : tensor<0xi64>
}

// -----

// Ranges count as far as they can be counted.
// CHECK-LABEL: func @ranges
// CHECK: onnx.Range{{.*}} -> tensor<?xi64>
// CHECK: onnx.Range{{.*}} -> tensor<3xi64>
func.func @ranges(%x: tensor<?x6xf32>) -> (tensor<0xi64>, tensor<0xi64>) {
  %zero = onnx.Constant dense<0> : tensor<i64>
  %one = onnx.Constant dense<1> : tensor<i64>
  %two = onnx.Constant dense<2> : tensor<i64>
  %shape = onnx.Shape(%x) : (tensor<?x6xf32>) -> tensor<0xi64>
  %rows = onnx.Gather(%shape, %zero) : (tensor<0xi64>, tensor<i64>) -> tensor<0xi64>
  %columns = onnx.Gather(%shape, %one) : (tensor<0xi64>, tensor<i64>) -> tensor<0xi64>
  %r = onnx.Range(%zero, %rows, %one) : (tensor<i64>, tensor<0xi64>, tensor<i64>) -> tensor<0xi64>
  %s = onnx.Range(%zero, %columns, %two) : (tensor<i64>, tensor<0xi64>, tensor<i64>) -> tensor<0xi64>
  return %r, %s : tensor<0xi64>, tensor<0xi64>
}

// -----

// Products, attention with a cache, and a fused node.
// CHECK-LABEL: func @products
// CHECK: onnx.MatMul{{.*}} -> tensor<?x4x?x7xf32>
// CHECK: onnx.Attention{{.*}} -> (tensor<?x4x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x16xf32>)
func.func @products(%q: tensor<?x4x?x8xf32> {moe.dims = ["b", 4 : i64, "s", 8 : i64]}, %w: tensor<8x7xf32>,
                    %k: tensor<?x2x?x8xf32> {moe.dims = ["b", 2 : i64, "t", 8 : i64]}, %v: tensor<?x2x?x16xf32> {moe.dims = ["b", 2 : i64, "t", 16 : i64]},
                    %pk: tensor<?x2x?x8xf32> {moe.dims = ["b", 2 : i64, "p", 8 : i64]}, %pv: tensor<?x2x?x16xf32> {moe.dims = ["b", 2 : i64, "p", 16 : i64]}) -> (tensor<0xf32>, tensor<0xf32>) {
  %m = onnx.MatMul(%q, %w) : (tensor<?x4x?x8xf32>, tensor<8x7xf32>) -> tensor<0xf32>
  %y, %nk, %nv = onnx.Attention(%q, %k, %v, none, %pk, %pv) : (tensor<?x4x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x16xf32>) -> (tensor<0xf32>, tensor<0xf32>, tensor<0xf32>)
  return %m, %y : tensor<0xf32>, tensor<0xf32>
}

// -----

// Axes that only run time knows: how many there are gives the rank.
// CHECK-LABEL: func @run_time_axes
// CHECK: onnx.Unsqueeze{{.*}} -> tensor<?x?x?x?xf32>
// CHECK: onnx.Squeeze{{.*}} -> tensor<?xf32>
// CHECK: onnx.ReduceSum{{.*}} -> tensor<?x?xf32>
// CHECK: onnx.ReduceSum{{.*}} -> tensor<?xf32>
func.func @run_time_axes(%x: tensor<3x4xf32>, %one: tensor<1xi64>, %two: tensor<2xi64>) {
  %0 = onnx.Unsqueeze(%x, %two) : (tensor<3x4xf32>, tensor<2xi64>) -> tensor<0xf32>
  %1 = onnx.Squeeze(%x, %one) : (tensor<3x4xf32>, tensor<1xi64>) -> tensor<0xf32>
  %2 = onnx.ReduceSum(%x, %one) : (tensor<3x4xf32>, tensor<1xi64>) -> tensor<0xf32>
  %3 = onnx.ReduceSum(%x, %one) {keepdims = 0 : i64} : (tensor<3x4xf32>, tensor<1xi64>) -> tensor<0xf32>
  return
}

// -----

// Repeats of one dim, put together by OneHot out of an extent (repeat_interleave of the TorchScript exporter).
// CHECK-LABEL: @one_hot_repeats
// CHECK: onnx.Tile{{.*}} -> tensor<?x2x16xf32>
func.func @one_hot_repeats(%x: tensor<?x1x16xf32> {moe.dims = ["tokens", 1, 16]}, %ids: tensor<?x2xi64> {moe.dims = ["tokens", 2]}) {
  %at = onnx.Constant dense<1> : tensor<1xi64>
  %depth = onnx.Constant dense<3> : tensor<i64>
  %off = onnx.Constant dense<1> : tensor<1xi64>
  %on = onnx.Shape(%ids) {start = 1 : i64} : (tensor<?x2xi64>) -> tensor<0xi64>
  %values = onnx.Concat(%off, %on) {axis = 0 : i64} : (tensor<1xi64>, tensor<0xi64>) -> tensor<0xi64>
  %hot = onnx.OneHot(%at, %depth, %values) : (tensor<1xi64>, tensor<i64>, tensor<0xi64>) -> tensor<0xi64>
  %flat = onnx.Constant dense<-1> : tensor<1xi64>
  %repeats = onnx.Reshape(%hot, %flat) : (tensor<0xi64>, tensor<1xi64>) -> tensor<0xi64>
  %y = onnx.Tile(%x, %repeats) : (tensor<?x1x16xf32>, tensor<0xi64>) -> tensor<0xf32>
  return
}
