// Layout ops that change nothing go, writes of slices become Concat, a few formulas get one spelling.
// RUN: moe-opt %s -moe-normalize-onnx | FileCheck %s

// CHECK-LABEL: func @same_shape
// CHECK-SAME: %[[X:.*]]: tensor<?x?x8xf32>
func.func @same_shape(%x: tensor<?x?x8xf32> {moe.dims = ["batch", "seq", 8]}) -> tensor<?x?x8xf32> {
  // CHECK-NEXT: return %[[X]]
  %shape = onnx.Shape(%x) : (tensor<?x?x8xf32>) -> tensor<3xi64>
  %e = onnx.Expand(%x, %shape) : (tensor<?x?x8xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %r = onnx.Reshape(%e, %shape) : (tensor<?x?x8xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %i = onnx.Identity(%r) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %c = onnx.Cast(%i) {to = f32} : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %end = onnx.Constant dense<9223372036854775807> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %s = onnx.Slice(%c, %zero, %end, %one, %one) : (tensor<?x?x8xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?x8xf32>
  return %s : tensor<?x?x8xf32>
}

// Extents that may differ keep the op; so does a slice that runs backwards.
// CHECK-LABEL: func @other_shape
func.func @other_shape(%x: tensor<1x8xf32>, %n: tensor<1xi64>) -> (tensor<?x8xf32>, tensor<1x8xf32>) {
  %eight = onnx.Constant dense<8> : tensor<1xi64>
  %shape = onnx.Concat(%n, %eight) {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  // CHECK: onnx.Expand
  %e = onnx.Expand(%x, %shape) : (tensor<1x8xf32>, tensor<2xi64>) -> tensor<?x8xf32>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %before = onnx.Constant dense<-9> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  // CHECK: onnx.Slice
  %s = onnx.Slice(%x, %last, %before, %one, %last) : (tensor<1x8xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x8xf32>
  return %e, %s : tensor<?x8xf32>, tensor<1x8xf32>
}

// CHECK-LABEL: func @transposes
// CHECK-SAME: %[[X:.*]]: tensor<2x3x4xf32>
func.func @transposes(%x: tensor<2x3x4xf32>) -> (tensor<2x3x4xf32>, tensor<4x3x2xf32>) {
  // CHECK: %[[T:.*]] = onnx.Transpose(%[[X]]) {perm = array<i64: 2, 1, 0>}
  // CHECK: return %[[X]], %[[T]]
  %a = onnx.Transpose(%x) {perm = array<i64: 1, 2, 0>} : (tensor<2x3x4xf32>) -> tensor<3x4x2xf32>
  %b = onnx.Transpose(%a) {perm = array<i64: 2, 0, 1>} : (tensor<3x4x2xf32>) -> tensor<2x3x4xf32>
  %c = onnx.Transpose(%a) {perm = array<i64: 1, 0, 2>} : (tensor<3x4x2xf32>) -> tensor<4x3x2xf32>
  return %b, %c : tensor<2x3x4xf32>, tensor<4x3x2xf32>
}

// CHECK-LABEL: func @unsqueezes
func.func @unsqueezes(%x: tensor<3x4xf32>) -> tensor<1x3x1x4x1xf32> {
  // CHECK: %[[AXES:.*]] = onnx.Constant dense<[0, 2, 4]>
  // CHECK: onnx.Unsqueeze(%{{.*}}, %[[AXES]]) : (tensor<3x4xf32>, tensor<3xi64>) -> tensor<1x3x1x4x1xf32>
  %one = onnx.Constant dense<[0, 2]> : tensor<2xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %a = onnx.Unsqueeze(%x, %one) : (tensor<3x4xf32>, tensor<2xi64>) -> tensor<1x3x1x4xf32>
  %b = onnx.Unsqueeze(%a, %last) : (tensor<1x3x1x4xf32>, tensor<1xi64>) -> tensor<1x3x1x4x1xf32>
  return %b : tensor<1x3x1x4x1xf32>
}

// A tensor filled slice by slice through ScatterND of counted rows is one Concat.
// CHECK-LABEL: func @filled_by_slices
// CHECK-SAME: %[[A:.*]]: tensor<?x4x64xf32> {{.*}}, %[[B:.*]]: tensor<?x4x32xf32>
func.func @filled_by_slices(%a: tensor<?x4x64xf32> {moe.dims = ["seq", 4, 64]}, %b: tensor<?x4x32xf32> {moe.dims = ["seq", 4, 32]}) -> tensor<?x4x96xf32> {
  // CHECK: %[[ALL:.*]] = onnx.Concat(%[[A]], %[[B]]) {axis = 2 : i64}
  // CHECK-NEXT: return %[[ALL]]
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %minus = onnx.Constant dense<-1> : tensor<1xi64>
  %cut = onnx.Constant dense<64> : tensor<1xi64>
  %end = onnx.Constant dense<9223372036854775807> : tensor<1xi64>
  %start = onnx.Constant dense<0> : tensor<i64>
  %step = onnx.Constant dense<1> : tensor<i64>
  %width = onnx.Constant dense<96> : tensor<i64>
  %seq = onnx.Shape(%a) {end = 1 : i64} : (tensor<?x4x64xf32>) -> tensor<1xi64>
  %tail = onnx.Constant dense<[4, 96]> : tensor<2xi64>
  %shape = onnx.Concat(%seq, %tail) {axis = 0 : i64} : (tensor<1xi64>, tensor<2xi64>) -> tensor<3xi64>
  %empty = onnx.ConstantOfShape(%shape) : (tensor<3xi64>) -> tensor<?x4x96xf32>
  %rows = onnx.Range(%start, %width, %step) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<96xi64>
  %first = onnx.Slice(%rows, %zero, %cut, %zero, %one) : (tensor<96xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<64xi64>
  %second = onnx.Slice(%rows, %cut, %end, %zero, %one) : (tensor<96xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<32xi64>
  %i = onnx.Unsqueeze(%first, %minus) : (tensor<64xi64>, tensor<1xi64>) -> tensor<64x1xi64>
  %j = onnx.Unsqueeze(%second, %minus) : (tensor<32xi64>, tensor<1xi64>) -> tensor<32x1xi64>
  %ta = onnx.Transpose(%a) {perm = array<i64: 2, 1, 0>} : (tensor<?x4x64xf32>) -> tensor<64x4x?xf32>
  %te = onnx.Transpose(%empty) {perm = array<i64: 2, 1, 0>} : (tensor<?x4x96xf32>) -> tensor<96x4x?xf32>
  %s0 = onnx.ScatterND(%te, %i, %ta) : (tensor<96x4x?xf32>, tensor<64x1xi64>, tensor<64x4x?xf32>) -> tensor<96x4x?xf32>
  %t0 = onnx.Transpose(%s0) {perm = array<i64: 2, 1, 0>} : (tensor<96x4x?xf32>) -> tensor<?x4x96xf32>
  %tb = onnx.Transpose(%b) {perm = array<i64: 2, 1, 0>} : (tensor<?x4x32xf32>) -> tensor<32x4x?xf32>
  %tt = onnx.Transpose(%t0) {perm = array<i64: 2, 1, 0>} : (tensor<?x4x96xf32>) -> tensor<96x4x?xf32>
  %s1 = onnx.ScatterND(%tt, %j, %tb) : (tensor<96x4x?xf32>, tensor<32x1xi64>, tensor<32x4x?xf32>) -> tensor<96x4x?xf32>
  %t1 = onnx.Transpose(%s1) {perm = array<i64: 2, 1, 0>} : (tensor<96x4x?xf32>) -> tensor<?x4x96xf32>
  return %t1 : tensor<?x4x96xf32>
}

// Rows that are not known to count up stay a scatter.
// CHECK-LABEL: func @scattered_rows
func.func @scattered_rows(%x: tensor<8x4xf32>, %rows: tensor<3x1xi64>, %u: tensor<3x4xf32>) -> tensor<8x4xf32> {
  // CHECK: onnx.ScatterND
  %s = onnx.ScatterND(%x, %rows, %u) : (tensor<8x4xf32>, tensor<3x1xi64>, tensor<3x4xf32>) -> tensor<8x4xf32>
  return %s : tensor<8x4xf32>
}

// CHECK-LABEL: func @arithmetic
func.func @arithmetic(%x: tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>) {
  %two = onnx.Constant dense<2.0> : tensor<f32>
  %three = onnx.Constant dense<3.0> : tensor<f32>
  %one = onnx.Constant dense<1.0> : tensor<f32>
  // CHECK: %[[S:.*]] = onnx.Mul(%[[X:.*]], %[[X]])
  %s = onnx.Pow(%x, %two) : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  // CHECK: %[[C:.*]] = onnx.Pow
  %c = onnx.Pow(%x, %three) : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  // CHECK: %[[R:.*]] = onnx.Reciprocal
  %r = onnx.Div(%one, %x) : (tensor<f32>, tensor<?xf32>) -> tensor<?xf32>
  return %s, %c, %r : tensor<?xf32>, tensor<?xf32>, tensor<?xf32>
}

// The head of a sort is a TopK; what is read past the head keeps the sort.
// CHECK-LABEL: func @head_of_sort
// CHECK: %[[K:.*]] = onnx.Constant dense<2>
// CHECK: %[[V:.*]], %[[I:.*]] = onnx.TopK(%{{.*}}, %[[K]]) {{.*}} -> (tensor<?x2xf32>, tensor<?x2xi64>)
// CHECK: %[[ALL:.*]], %{{.*}} = onnx.TopK
// CHECK: onnx.Slice(%[[ALL]]
// CHECK: return %[[V]], %[[I]]
func.func @head_of_sort(%x: tensor<?x6xf32> {moe.dims = ["t", 6]}) -> (tensor<?x2xf32>, tensor<?x2xi64>, tensor<?x2xf32>, tensor<?x6xi64>) {
  %six = onnx.Constant dense<6> : tensor<1xi64>
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %two = onnx.Constant dense<2> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %v, %i = onnx.TopK(%x, %six) {axis = -1 : i64} : (tensor<?x6xf32>, tensor<1xi64>) -> (tensor<?x6xf32>, tensor<?x6xi64>)
  %w = onnx.Slice(%v, %zero, %two, %one, %one) : (tensor<?x6xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x2xf32>
  %j = onnx.Slice(%i, %zero, %two, %one, %one) : (tensor<?x6xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x2xi64>
  %u, %l = onnx.TopK(%x, %six) {axis = -1 : i64} : (tensor<?x6xf32>, tensor<1xi64>) -> (tensor<?x6xf32>, tensor<?x6xi64>)
  %h = onnx.Slice(%u, %zero, %two, %one, %one) : (tensor<?x6xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x2xf32>
  return %w, %j, %h, %l : tensor<?x2xf32>, tensor<?x2xi64>, tensor<?x2xf32>, tensor<?x6xi64>
}

// A write of the elements under a mask of rows is one of rows, if there is an update for each place.
// CHECK-LABEL: @masked_rows
// CHECK: %[[N:.*]] = onnx.NonZero(%arg1)
// CHECK: %[[R:.*]] = onnx.GatherND(%arg0
// CHECK: %[[T:.*]] = onnx.Transpose(%[[N]]) {perm = array<i64: 1, 0>}
// CHECK: onnx.ScatterND(%arg0, %[[T]], %[[R]])
func.func @masked_rows(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %mask: tensor<?xi1> {moe.dims = ["tokens"]}) -> tensor<?x16xf32> {
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %n0 = onnx.NonZero(%mask) : (tensor<?xi1>) -> tensor<1x?xi64>
  %t0 = onnx.Transpose(%n0) {perm = array<i64: 1, 0>} : (tensor<1x?xi64>) -> tensor<?x1xi64>
  %rows = onnx.GatherND(%x, %t0) : (tensor<?x16xf32>, tensor<?x1xi64>) -> tensor<?x16xf32>
  %shape = onnx.Shape(%x) : (tensor<?x16xf32>) -> tensor<2xi64>
  %m1 = onnx.Unsqueeze(%mask, %one) : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %m2 = onnx.Expand(%m1, %shape) : (tensor<?x1xi1>, tensor<2xi64>) -> tensor<?x16xi1>
  %n = onnx.NonZero(%m2) : (tensor<?x16xi1>) -> tensor<2x?xi64>
  %t = onnx.Transpose(%n) {perm = array<i64: 1, 0>} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %u = onnx.Reshape(%rows, %last) : (tensor<?x16xf32>, tensor<1xi64>) -> tensor<?xf32>
  %y = onnx.ScatterND(%x, %t, %u) : (tensor<?x16xf32>, tensor<?x2xi64>, tensor<?xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// Rows of another mask: their number is not known to be that of the places.
// CHECK-LABEL: @other_rows
// CHECK: onnx.Expand
// CHECK: onnx.ScatterND(%{{.*}}, %{{.*}}, %{{.*}}) : (tensor<?x16xf32>, tensor<?x2xi64>, tensor<?xf32>)
func.func @other_rows(%x: tensor<?x16xf32> {moe.dims = ["tokens", 16]}, %mask: tensor<?xi1> {moe.dims = ["tokens"]}, %other: tensor<?xi1> {moe.dims = ["tokens"]}) -> tensor<?x16xf32> {
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %n0 = onnx.NonZero(%other) : (tensor<?xi1>) -> tensor<1x?xi64>
  %t0 = onnx.Transpose(%n0) {perm = array<i64: 1, 0>} : (tensor<1x?xi64>) -> tensor<?x1xi64>
  %rows = onnx.GatherND(%x, %t0) : (tensor<?x16xf32>, tensor<?x1xi64>) -> tensor<?x16xf32>
  %shape = onnx.Shape(%x) : (tensor<?x16xf32>) -> tensor<2xi64>
  %m1 = onnx.Unsqueeze(%mask, %one) : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %m2 = onnx.Expand(%m1, %shape) : (tensor<?x1xi1>, tensor<2xi64>) -> tensor<?x16xi1>
  %n = onnx.NonZero(%m2) : (tensor<?x16xi1>) -> tensor<2x?xi64>
  %t = onnx.Transpose(%n) {perm = array<i64: 1, 0>} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %u = onnx.Reshape(%rows, %last) : (tensor<?x16xf32>, tensor<1xi64>) -> tensor<?xf32>
  %y = onnx.ScatterND(%x, %t, %u) : (tensor<?x16xf32>, tensor<?x2xi64>, tensor<?xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// What com.microsoft fused: stored transposes are there, a factor of 1 is not.
// CHECK-LABEL: @fused_product
// CHECK: %[[T:.*]] = onnx.Transpose(%arg1) {perm = array<i64: 0, 2, 1>} : (tensor<2x5x4xf32>) -> tensor<2x4x5xf32>
// CHECK: %[[P:.*]] = onnx.MatMul(%arg0, %[[T]])
// CHECK: onnx.Mul(%[[P]], %{{.*}}) : (tensor<2x3x5xf32>, tensor<f32>) -> tensor<2x3x5xf32>
// CHECK: onnx.MatMul(%arg1, %arg2)
func.func @fused_product(%a: tensor<2x3x4xf32>, %b: tensor<2x5x4xf32>, %v: tensor<4xf32>) -> (tensor<2x3x5xf32>, tensor<2x5xf32>) {
  %y = onnx.ms.FusedMatMul(%a, %b) {alpha = 0.25 : f32, transB = 1 : i64} : (tensor<2x3x4xf32>, tensor<2x5x4xf32>) -> tensor<2x3x5xf32>
  %z = onnx.ms.FusedMatMul(%b, %v) {transB = 1 : i64} : (tensor<2x5x4xf32>, tensor<4xf32>) -> tensor<2x5xf32>
  return %y, %z : tensor<2x3x5xf32>, tensor<2x5xf32>
}

// Of 16 bits the sum is scaled before it is rounded.
// CHECK-LABEL: @fused_narrow
// CHECK: onnx.ms.FusedMatMul
func.func @fused_narrow(%a: tensor<3x4xf16>, %b: tensor<4x5xf16>) -> tensor<3x5xf16> {
  %y = onnx.ms.FusedMatMul(%a, %b) {alpha = 0.25 : f32} : (tensor<3x4xf16>, tensor<4x5xf16>) -> tensor<3x5xf16>
  return %y : tensor<3x5xf16>
}

// Nothing is written anywhere.
// CHECK-LABEL: @write_nothing
// CHECK: onnx.ScatterND
func.func @write_nothing(%x: tensor<2x3xf32>, %u: tensor<0x3xf32>) -> tensor<2x3xf32> {
  %i = onnx.Constant dense<> : tensor<0x1xi64>
  %y = onnx.ScatterND(%x, %i, %u) : (tensor<2x3xf32>, tensor<0x1xi64>, tensor<0x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}
