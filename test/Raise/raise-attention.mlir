// A softmax between two products becomes moe.attention; masks that are exactly positions become attributes.
// RUN: moe-opt %s -moe-raise-attention -split-input-file | FileCheck %s

// Scaled scores, a mask operand, keys transposed.
// CHECK-LABEL: func @plain
// CHECK-SAME: %[[Q:[a-z0-9]+]]: tensor<2x4x3x8xf32>, %[[K:[a-z0-9]+]]: tensor<2x4x5x8xf32>, %[[V:[a-z0-9]+]]: tensor<2x4x5x6xf32>, %[[M:[a-z0-9]+]]: tensor<2x1x3x5xf32>
func.func @plain(%q: tensor<2x4x3x8xf32>, %k: tensor<2x4x5x8xf32>, %v: tensor<2x4x5x6xf32>, %mask: tensor<2x1x3x5xf32>) -> tensor<2x4x3x6xf32> {
  // CHECK-NEXT: %[[A:.*]] = moe.attention %[[Q]], %[[K]], %[[V]] mask(%[[M]]) {scale = 2.500000e-01 : f32}
  // CHECK-NEXT: return %[[A]]
  %scale = onnx.Constant dense<0.25> : tensor<f32>
  %t = onnx.Transpose(%k) {perm = array<i64: 0, 1, 3, 2>} : (tensor<2x4x5x8xf32>) -> tensor<2x4x8x5xf32>
  %s = onnx.MatMul(%q, %t) : (tensor<2x4x3x8xf32>, tensor<2x4x8x5xf32>) -> tensor<2x4x3x5xf32>
  %z = onnx.Mul(%scale, %s) : (tensor<f32>, tensor<2x4x3x5xf32>) -> tensor<2x4x3x5xf32>
  %m = onnx.Add(%mask, %z) : (tensor<2x1x3x5xf32>, tensor<2x4x3x5xf32>) -> tensor<2x4x3x5xf32>
  %p = onnx.Softmax(%m) : (tensor<2x4x3x5xf32>) -> tensor<2x4x3x5xf32>
  %y = onnx.MatMul(%p, %v) : (tensor<2x4x3x5xf32>, tensor<2x4x5x6xf32>) -> tensor<2x4x3x6xf32>
  return %y : tensor<2x4x3x6xf32>
}

// -----

// The root of the scale on queries and keys, repeated heads, a softcap, a causal Where: keys and values are read once a group.
// CHECK-LABEL: func @grouped
// CHECK-SAME: %[[Q:[a-z0-9]+]]: tensor<2x4x3x8xf32>, %[[K:[a-z0-9]+]]: tensor<2x2x3x8xf32>, %[[V:[a-z0-9]+]]: tensor<2x2x3x8xf32>
func.func @grouped(%q: tensor<2x4x3x8xf32>, %k: tensor<2x2x3x8xf32>, %v: tensor<2x2x3x8xf32>) -> tensor<2x4x3x8xf32> {
  // CHECK: moe.attention %[[Q]], %[[K]], %[[V]] {causal, scale = 2.500000e-01 : f32, softcap = 5.000000e+00 : f32}
  // CHECK-NOT: onnx.MatMul
  %half = onnx.Constant dense<0.5> : tensor<f32>
  %cap = onnx.Constant dense<5.0> : tensor<f32>
  %two = onnx.Constant dense<2> : tensor<1xi64>
  %five = onnx.Constant dense<[2, 2, 2, 3, 8]> : tensor<5xi64>
  %four = onnx.Constant dense<[2, 4, 3, 8]> : tensor<4xi64>
  %qs = onnx.Mul(%q, %half) : (tensor<2x4x3x8xf32>, tensor<f32>) -> tensor<2x4x3x8xf32>
  %k5 = onnx.Unsqueeze(%k, %two) : (tensor<2x2x3x8xf32>, tensor<1xi64>) -> tensor<2x2x1x3x8xf32>
  %ke = onnx.Expand(%k5, %five) : (tensor<2x2x1x3x8xf32>, tensor<5xi64>) -> tensor<2x2x2x3x8xf32>
  %kr = onnx.Reshape(%ke, %four) : (tensor<2x2x2x3x8xf32>, tensor<4xi64>) -> tensor<2x4x3x8xf32>
  %kt = onnx.Transpose(%kr) {perm = array<i64: 0, 1, 3, 2>} : (tensor<2x4x3x8xf32>) -> tensor<2x4x8x3xf32>
  %ks = onnx.Mul(%kt, %half) : (tensor<2x4x8x3xf32>, tensor<f32>) -> tensor<2x4x8x3xf32>
  %v5 = onnx.Unsqueeze(%v, %two) : (tensor<2x2x3x8xf32>, tensor<1xi64>) -> tensor<2x2x1x3x8xf32>
  %ve = onnx.Expand(%v5, %five) : (tensor<2x2x1x3x8xf32>, tensor<5xi64>) -> tensor<2x2x2x3x8xf32>
  %vr = onnx.Reshape(%ve, %four) : (tensor<2x2x2x3x8xf32>, tensor<4xi64>) -> tensor<2x4x3x8xf32>
  %s = onnx.MatMul(%qs, %ks) : (tensor<2x4x3x8xf32>, tensor<2x4x8x3xf32>) -> tensor<2x4x3x3xf32>
  %d = onnx.Div(%s, %cap) : (tensor<2x4x3x3xf32>, tensor<f32>) -> tensor<2x4x3x3xf32>
  %t = onnx.Tanh(%d) : (tensor<2x4x3x3xf32>) -> tensor<2x4x3x3xf32>
  %c = onnx.Mul(%t, %cap) : (tensor<2x4x3x3xf32>, tensor<f32>) -> tensor<2x4x3x3xf32>
  %zero = onnx.Constant dense<0> : tensor<i64>
  %one = onnx.Constant dense<1> : tensor<i64>
  %length = onnx.Constant dense<3> : tensor<i64>
  %axis0 = onnx.Constant dense<0> : tensor<1xi64>
  %axis1 = onnx.Constant dense<1> : tensor<1xi64>
  %range = onnx.Range(%zero, %length, %one) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<3xi64>
  %i = onnx.Unsqueeze(%range, %axis1) : (tensor<3xi64>, tensor<1xi64>) -> tensor<3x1xi64>
  %j = onnx.Unsqueeze(%range, %axis0) : (tensor<3xi64>, tensor<1xi64>) -> tensor<1x3xi64>
  %later = onnx.Greater(%j, %i) : (tensor<1x3xi64>, tensor<3x1xi64>) -> tensor<3x3xi1>
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32>
  %m = onnx.Where(%later, %inf, %c) : (tensor<3x3xi1>, tensor<f32>, tensor<2x4x3x3xf32>) -> tensor<2x4x3x3xf32>
  %p = onnx.Softmax(%m) : (tensor<2x4x3x3xf32>) -> tensor<2x4x3x3xf32>
  %y = onnx.MatMul(%p, %vr) : (tensor<2x4x3x3xf32>, tensor<2x4x3x8xf32>) -> tensor<2x4x3x8xf32>
  return %y : tensor<2x4x3x8xf32>
}

// -----

// With past keys the query stands at i + past: still causal, and a window of 4 positions.
// CHECK-LABEL: func @window_over_past
func.func @window_over_past(%q: tensor<?x4x?x8xf32> {moe.dims = ["b", 4, "seq", 8]}, %past: tensor<?x4x?x8xf32> {moe.dims = ["b", 4, "past", 8]},
                            %new: tensor<?x4x?x8xf32> {moe.dims = ["b", 4, "seq", 8]}) -> tensor<?x4x?x8xf32> {
  // CHECK: %[[ALL:.*]] = onnx.Concat
  // CHECK-NEXT: moe.attention %{{.*}}, %[[ALL]], %[[ALL]] {causal, scale = 1.000000e+00 : f32, window = 4 : i64}
  %all = onnx.Concat(%past, %new) {axis = 2 : i64} : (tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32>
  %zero = onnx.Constant dense<0> : tensor<i64>
  %one = onnx.Constant dense<1> : tensor<i64>
  %four = onnx.Constant dense<4> : tensor<i64>
  %axis0 = onnx.Constant dense<0> : tensor<1xi64>
  %axis1 = onnx.Constant dense<1> : tensor<1xi64>
  %ps = onnx.Shape(%past) {start = 2 : i64, end = 3 : i64} : (tensor<?x4x?x8xf32>) -> tensor<1xi64>
  %p0 = onnx.Squeeze(%ps, %axis0) : (tensor<1xi64>, tensor<1xi64>) -> tensor<i64>
  %ls = onnx.Shape(%all) {start = 2 : i64, end = 3 : i64} : (tensor<?x4x?x8xf32>) -> tensor<1xi64>
  %l0 = onnx.Squeeze(%ls, %axis0) : (tensor<1xi64>, tensor<1xi64>) -> tensor<i64>
  %rows = onnx.Range(%p0, %l0, %one) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %columns = onnx.Range(%zero, %l0, %one) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %i = onnx.Unsqueeze(%rows, %axis1) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %j = onnx.Unsqueeze(%columns, %axis0) : (tensor<?xi64>, tensor<1xi64>) -> tensor<1x?xi64>
  %le = onnx.LessOrEqual(%j, %i) : (tensor<1x?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  %first = onnx.Sub(%i, %four) : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi64>
  %gt = onnx.Greater(%j, %first) : (tensor<1x?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  %keep = onnx.And(%le, %gt) : (tensor<?x?xi1>, tensor<?x?xi1>) -> tensor<?x?xi1>
  %kept = onnx.Constant dense<0.0> : tensor<f32>
  %dropped = onnx.Constant dense<-3.40282347E+38> : tensor<f32>
  %mask = onnx.Where(%keep, %kept, %dropped) : (tensor<?x?xi1>, tensor<f32>, tensor<f32>) -> tensor<?x?xf32>
  %t = onnx.Transpose(%all) {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x4x?x8xf32>) -> tensor<?x4x8x?xf32>
  %s = onnx.MatMul(%q, %t) : (tensor<?x4x?x8xf32>, tensor<?x4x8x?xf32>) -> tensor<?x4x?x?xf32>
  %m = onnx.Add(%s, %mask) : (tensor<?x4x?x?xf32>, tensor<?x?xf32>) -> tensor<?x4x?x?xf32>
  %p = onnx.Softmax(%m) : (tensor<?x4x?x?xf32>) -> tensor<?x4x?x?xf32>
  %y = onnx.MatMul(%p, %all) : (tensor<?x4x?x?xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32>
  return %y : tensor<?x4x?x8xf32>
}

// -----

// A causal mask combined with padding by a finite fill stays a mask: a row of padding alone is uniform, not causal.
// CHECK-LABEL: func @padding
func.func @padding(%q: tensor<?x4x?x8xf32> {moe.dims = ["b", 4, "seq", 8]}, %pad: tensor<?x?xi1> {moe.dims = ["b", "seq"]}) -> tensor<?x4x?x8xf32> {
  // CHECK: moe.attention %{{.*}}, %{{.*}}, %{{.*}} mask(%{{.*}}) {scale = 1.000000e+00 : f32}
  %zero = onnx.Constant dense<0> : tensor<i64>
  %one = onnx.Constant dense<1> : tensor<i64>
  %axis0 = onnx.Constant dense<0> : tensor<1xi64>
  %axis1 = onnx.Constant dense<1> : tensor<1xi64>
  %axes = onnx.Constant dense<[1, 2]> : tensor<2xi64>
  %ls = onnx.Shape(%q) {start = 2 : i64, end = 3 : i64} : (tensor<?x4x?x8xf32>) -> tensor<1xi64>
  %l0 = onnx.Squeeze(%ls, %axis0) : (tensor<1xi64>, tensor<1xi64>) -> tensor<i64>
  %range = onnx.Range(%zero, %l0, %one) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %i = onnx.Unsqueeze(%range, %axis1) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %le = onnx.LessOrEqual(%range, %i) : (tensor<?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  %valid = onnx.Unsqueeze(%pad, %axes) : (tensor<?x?xi1>, tensor<2xi64>) -> tensor<?x1x1x?xi1>
  %keep = onnx.And(%le, %valid) : (tensor<?x?xi1>, tensor<?x1x1x?xi1>) -> tensor<?x1x?x?xi1>
  %kept = onnx.Constant dense<0.0> : tensor<f32>
  %dropped = onnx.Constant dense<-3.40282347E+38> : tensor<f32>
  %mask = onnx.Where(%keep, %kept, %dropped) : (tensor<?x1x?x?xi1>, tensor<f32>, tensor<f32>) -> tensor<?x1x?x?xf32>
  %t = onnx.Transpose(%q) {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x4x?x8xf32>) -> tensor<?x4x8x?xf32>
  %s = onnx.MatMul(%q, %t) : (tensor<?x4x?x8xf32>, tensor<?x4x8x?xf32>) -> tensor<?x4x?x?xf32>
  %m = onnx.Add(%s, %mask) : (tensor<?x4x?x?xf32>, tensor<?x1x?x?xf32>) -> tensor<?x4x?x?xf32>
  %p = onnx.Softmax(%m) : (tensor<?x4x?x?xf32>) -> tensor<?x4x?x?xf32>
  %y = onnx.MatMul(%p, %q) : (tensor<?x4x?x?xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32>
  return %y : tensor<?x4x?x8xf32>
}

// -----

// A learned column takes part in the softmax and is cut off: sinks. The subtracted maximum changes nothing.
// CHECK-LABEL: func @sinks
// CHECK-SAME: %[[Q:[a-z0-9]+]]: tensor<2x4x3x8xf32>, %[[S:[a-z0-9]+]]: tensor<1x4x1x1xf32>
func.func @sinks(%q: tensor<2x4x3x8xf32>, %sink: tensor<1x4x1x1xf32>) -> tensor<2x4x3x8xf32> {
  // CHECK: %[[ROW:.*]] = onnx.Squeeze(%[[S]]
  // CHECK: moe.attention %[[Q]], %[[Q]], %[[Q]] sinks(%[[ROW]]) {scale = 1.000000e+00 : f32}
  %shape = onnx.Constant dense<[2, 4, 3, 1]> : tensor<4xi64>
  %minus = onnx.Constant dense<-1> : tensor<1xi64>
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %t = onnx.Transpose(%q) {perm = array<i64: 0, 1, 3, 2>} : (tensor<2x4x3x8xf32>) -> tensor<2x4x8x3xf32>
  %s = onnx.MatMul(%q, %t) : (tensor<2x4x3x8xf32>, tensor<2x4x8x3xf32>) -> tensor<2x4x3x3xf32>
  %e = onnx.Expand(%sink, %shape) : (tensor<1x4x1x1xf32>, tensor<4xi64>) -> tensor<2x4x3x1xf32>
  %c = onnx.Concat(%s, %e) {axis = -1 : i64} : (tensor<2x4x3x3xf32>, tensor<2x4x3x1xf32>) -> tensor<2x4x3x4xf32>
  %m = onnx.ReduceMax(%c, %minus) : (tensor<2x4x3x4xf32>, tensor<1xi64>) -> tensor<2x4x3x1xf32>
  %d = onnx.Sub(%c, %m) : (tensor<2x4x3x4xf32>, tensor<2x4x3x1xf32>) -> tensor<2x4x3x4xf32>
  %p = onnx.Softmax(%d) : (tensor<2x4x3x4xf32>) -> tensor<2x4x3x4xf32>
  %w = onnx.Slice(%p, %zero, %minus, %minus, %one) : (tensor<2x4x3x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<2x4x3x3xf32>
  %y = onnx.MatMul(%w, %q) : (tensor<2x4x3x3xf32>, tensor<2x4x3x8xf32>) -> tensor<2x4x3x8xf32>
  return %y : tensor<2x4x3x8xf32>
}

// -----

// Batch and heads in one dim, split again by what follows.
// CHECK-LABEL: func @merged_heads
// CHECK-SAME: %[[Q:[a-z0-9]+]]: tensor<?x4x?x8xf32>
func.func @merged_heads(%q: tensor<?x4x?x8xf32> {moe.dims = ["b", 4, "seq", 8]}) -> tensor<?x4x?x8xf32> {
  // CHECK: %[[A:.*]] = moe.attention %[[Q]], %[[Q]], %[[Q]] {scale = 1.000000e+00 : f32}
  // CHECK: return %[[A]]
  %all = onnx.Shape(%q) : (tensor<?x4x?x8xf32>) -> tensor<4xi64>
  %seq = onnx.Shape(%q) {start = 2 : i64, end = 3 : i64} : (tensor<?x4x?x8xf32>) -> tensor<1xi64>
  %minus = onnx.Constant dense<-1> : tensor<1xi64>
  %eight = onnx.Constant dense<8> : tensor<1xi64>
  %three = onnx.Concat(%minus, %seq, %eight) {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  %m = onnx.Reshape(%q, %three) : (tensor<?x4x?x8xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %t = onnx.Transpose(%m) {perm = array<i64: 0, 2, 1>} : (tensor<?x?x8xf32>) -> tensor<?x8x?xf32>
  %s = onnx.MatMul(%m, %t) : (tensor<?x?x8xf32>, tensor<?x8x?xf32>) -> tensor<?x?x?xf32>
  %p = onnx.Softmax(%s) : (tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %y = onnx.MatMul(%p, %m) : (tensor<?x?x?xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %r = onnx.Reshape(%y, %all) : (tensor<?x?x8xf32>, tensor<4xi64>) -> tensor<?x4x?x8xf32>
  return %r : tensor<?x4x?x8xf32>
}

// -----

// Groups of heads as a dim of their own: queries are reshaped, keys and values keep one head a group.
// CHECK-LABEL: func @group_dim
// CHECK-SAME: %[[Q:[a-z0-9]+]]: tensor<2x2x2x3x8xf32>, %[[K:[a-z0-9]+]]: tensor<2x2x3x8xf32>
func.func @group_dim(%q: tensor<2x2x2x3x8xf32>, %k: tensor<2x2x3x8xf32>) -> tensor<2x2x2x3x8xf32> {
  // CHECK: %[[FLAT:.*]] = onnx.Reshape(%[[Q]], %{{.*}}) : (tensor<2x2x2x3x8xf32>, tensor<4xi64>) -> tensor<2x4x3x8xf32>
  // CHECK: %[[A:.*]] = moe.attention %[[FLAT]], %[[K]], %[[K]] {scale = 1.000000e+00 : f32}
  // CHECK: %[[Y:.*]] = onnx.Reshape(%[[A]]
  // CHECK: return %[[Y]]
  %two = onnx.Constant dense<2> : tensor<1xi64>
  %k5 = onnx.Unsqueeze(%k, %two) : (tensor<2x2x3x8xf32>, tensor<1xi64>) -> tensor<2x2x1x3x8xf32>
  %t = onnx.Transpose(%k5) {perm = array<i64: 0, 1, 2, 4, 3>} : (tensor<2x2x1x3x8xf32>) -> tensor<2x2x1x8x3xf32>
  %s = onnx.MatMul(%q, %t) : (tensor<2x2x2x3x8xf32>, tensor<2x2x1x8x3xf32>) -> tensor<2x2x2x3x3xf32>
  %p = onnx.Softmax(%s) : (tensor<2x2x2x3x3xf32>) -> tensor<2x2x2x3x3xf32>
  %y = onnx.MatMul(%p, %k5) : (tensor<2x2x2x3x3xf32>, tensor<2x2x1x3x8xf32>) -> tensor<2x2x2x3x8xf32>
  return %y : tensor<2x2x2x3x8xf32>
}

// -----

// A softmax over scores of a stored matrix is no attention, and needs no report.
// CHECK-NOT: moe.generic
// CHECK-LABEL: func @router
moe.weight @w : tensor<8x4xf32> = #moe.piece<"w.bin", 0, 128, tensor<8x4xf32>>
func.func @router(%x: tensor<3x8xf32>, %experts: tensor<4x8xf32>) -> tensor<3x8xf32> {
  // CHECK-NOT: moe.attention
  %w = moe.get_weight @w : tensor<8x4xf32>
  %s = onnx.MatMul(%x, %w) : (tensor<3x8xf32>, tensor<8x4xf32>) -> tensor<3x4xf32>
  %p = onnx.Softmax(%s) : (tensor<3x4xf32>) -> tensor<3x4xf32>
  %y = onnx.MatMul(%p, %experts) : (tensor<3x4xf32>, tensor<4x8xf32>) -> tensor<3x8xf32>
  return %y : tensor<3x8xf32>
}

// -----

// What cannot be said by the op stays, and is reported with its reason.
// CHECK: module attributes {moe.generic = [{node = "scores", op = "attention", reason = "masked scores get a number that leaves them weight"}]}
// CHECK-LABEL: func @weak_mask
func.func @weak_mask(%q: tensor<2x4x3x8xf32>, %keep: tensor<3x3xi1>) -> tensor<2x4x3x8xf32> {
  // CHECK-NOT: moe.attention
  %fill = onnx.Constant dense<-10.0> : tensor<f32>
  %t = onnx.Transpose(%q) {perm = array<i64: 0, 1, 3, 2>} : (tensor<2x4x3x8xf32>) -> tensor<2x4x8x3xf32>
  %s = onnx.MatMul(%q, %t) : (tensor<2x4x3x8xf32>, tensor<2x4x8x3xf32>) -> tensor<2x4x3x3xf32>
  %m = onnx.Where(%keep, %s, %fill) : (tensor<3x3xi1>, tensor<2x4x3x3xf32>, tensor<f32>) -> tensor<2x4x3x3xf32>
  %p = onnx.Softmax(%m) : (tensor<2x4x3x3xf32>) -> tensor<2x4x3x3xf32> loc("scores")
  %y = onnx.MatMul(%p, %q) : (tensor<2x4x3x3xf32>, tensor<2x4x3x8xf32>) -> tensor<2x4x3x8xf32>
  return %y : tensor<2x4x3x8xf32>
}

// -----

// The values are scaled behind their weights: no attention as it stands (it is one after -moe-normalize-onnx).
// CHECK-LABEL: func @scaled_values
// CHECK: onnx.Softmax
// CHECK: onnx.ms.FusedMatMul
func.func @scaled_values(%q: tensor<2x4x3x8xf32>, %k: tensor<2x4x5x8xf32>, %v: tensor<2x4x5x6xf32>) -> tensor<2x4x3x6xf32> {
  %s = onnx.ms.FusedMatMul(%q, %k) {alpha = 0.25 : f32, transB = 1 : i64} : (tensor<2x4x3x8xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x3x5xf32>
  %p = onnx.Softmax(%s) : (tensor<2x4x3x5xf32>) -> tensor<2x4x3x5xf32>
  %y = onnx.ms.FusedMatMul(%p, %v) {alpha = 0.5 : f32} : (tensor<2x4x3x5xf32>, tensor<2x4x5x6xf32>) -> tensor<2x4x3x6xf32>
  return %y : tensor<2x4x3x6xf32>
}

// Fused nodes: rank 3 with heads to split; causal by position from the start of the keys, so a mask unless lengths agree.
// CHECK-LABEL: func @node_3d
func.func @node_3d(%q: tensor<?x?x32xf32> {moe.dims = ["b", "s", 32]}, %k: tensor<?x?x16xf32> {moe.dims = ["b", "s", 16]}) -> tensor<?x?x32xf32> {
  // CHECK: moe.attention %{{.*}}, %{{.*}}, %{{.*}} {causal, scale = 0.353553385 : f32} : (tensor<?x4x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x4x?x8xf32>
  %y = onnx.Attention(%q, %k, %k) {is_causal = 1 : i64, q_num_heads = 4 : i64, kv_num_heads = 2 : i64} : (tensor<?x?x32xf32>, tensor<?x?x16xf32>, tensor<?x?x16xf32>) -> tensor<?x?x32xf32>
  return %y : tensor<?x?x32xf32>
}

// CHECK-LABEL: func @node_other_length
func.func @node_other_length(%q: tensor<?x4x?x8xf32> {moe.dims = ["b", 4, "s", 8]}, %k: tensor<?x4x?x8xf32> {moe.dims = ["b", 4, "t", 8]}) -> tensor<?x4x?x8xf32> {
  // CHECK: %[[REACHED:.*]] = onnx.LessOrEqual
  // CHECK: onnx.Where
  // CHECK: moe.attention %{{.*}}, %{{.*}}, %{{.*}} mask(%{{.*}}) {scale = 0.353553385 : f32}
  %y = onnx.Attention(%q, %k, %k) {is_causal = 1 : i64} : (tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32>
  return %y : tensor<?x4x?x8xf32>
}

// CHECK-LABEL: func @node_past
func.func @node_past(%q: tensor<1x4x1x8xf32>, %pk: tensor<1x4x6x8xf32>, %pv: tensor<1x4x6x8xf32>) -> (tensor<1x4x1x8xf32>, tensor<1x4x7x8xf32>) {
  // CHECK: %[[K:.*]] = onnx.Concat(%{{.*}}, %{{.*}}) {axis = 2 : i64}
  // CHECK: %[[V:.*]] = onnx.Concat
  // CHECK: %[[A:.*]] = moe.attention %{{.*}}, %[[K]], %[[V]] {causal, scale = 0.353553385 : f32, softcap = 2.000000e+01 : f32, window = 3 : i64}
  // CHECK: return %[[A]], %[[K]]
  %y, %nk, %nv = onnx.Attention(%q, %q, %q, none, %pk, %pv) {is_causal = 1 : i64, left_window_size = 2 : i64, softcap = 20.0 : f32}
      : (tensor<1x4x1x8xf32>, tensor<1x4x1x8xf32>, tensor<1x4x1x8xf32>, tensor<1x4x6x8xf32>, tensor<1x4x6x8xf32>) -> (tensor<1x4x1x8xf32>, tensor<1x4x7x8xf32>, tensor<1x4x7x8xf32>)
  return %y, %nk : tensor<1x4x1x8xf32>, tensor<1x4x7x8xf32>
}
