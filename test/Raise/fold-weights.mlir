// RUN: moe-opt %s -split-input-file -moe-fold-weights | FileCheck %s

// Moves fold one after the other; the weights in between are dropped, equal recipes are one weight.
// CHECK-NOT: moe.weight @w :
// CHECK: moe.weight @w.cast.transpose : tensor<8x4xf32> = #moe.recipe<transpose, {permutation = array<i64: 1, 0>}, [#moe.recipe<cast, {}, [#moe.piece<"w.bin", 0, 64, tensor<4x8xbf16>>], tensor<4x8xf32>>], tensor<8x4xf32>>
// CHECK-NOT: moe.weight
// CHECK-LABEL: func @moves
// CHECK: %[[A:.*]] = moe.get_weight @w.cast.transpose
// CHECK: %[[B:.*]] = moe.get_weight @w.cast.transpose
// CHECK: onnx.MatMul(%{{.*}}, %[[A]])
// CHECK: onnx.MatMul(%{{.*}}, %[[B]])
moe.weight @w : tensor<4x8xbf16> = #moe.piece<"w.bin", 0, 64, tensor<4x8xbf16>>
func.func @moves(%x: tensor<?x8xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %w = moe.get_weight @w : tensor<4x8xbf16>
  %c = onnx.Cast(%w) {to = f32} : (tensor<4x8xbf16>) -> tensor<4x8xf32>
  %t = onnx.Transpose(%c) {perm = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  %u = onnx.Transpose(%c) {perm = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  %0 = onnx.MatMul(%x, %t) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.MatMul(%x, %u) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  return %0, %1 : tensor<?x4xf32>, tensor<?x4xf32>
}

// -----

// CHECK-DAG: moe.weight @w.slice : tensor<2x8xf32> = #moe.recipe<slice, {offsets = array<i64: 2, 0>, sizes = array<i64: 2, 8>, strides = array<i64: 1, 1>}
// CHECK-DAG: moe.weight @w.slice_{{[0-9]+}} : tensor<8xf32> = #moe.recipe<reshape, {}, [#moe.recipe<slice, {offsets = array<i64: 1, 0>
// CHECK-DAG: moe.weight @w.concat : tensor<8x8xf32> = #moe.recipe<concat, {axis = 0 : i64}
// CHECK-LABEL: func @parts
// CHECK-NOT: onnx.Slice
// CHECK-NOT: onnx.Gather
// CHECK-NOT: onnx.Concat
moe.weight @w : tensor<4x8xf32> = #moe.piece<"w.bin", 0, 128, tensor<4x8xf32>>
func.func @parts() -> (tensor<2x8xf32>, tensor<8xf32>, tensor<8x8xf32>) {
  %w = moe.get_weight @w : tensor<4x8xf32>
  %two = onnx.Constant dense<2> : tensor<1xi64>
  %four = onnx.Constant dense<4> : tensor<1xi64>
  %0 = onnx.Slice(%w, %two, %four) : (tensor<4x8xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<2x8xf32>
  %one = onnx.Constant dense<1> : tensor<i64>
  %1 = onnx.Gather(%w, %one) : (tensor<4x8xf32>, tensor<i64>) -> tensor<8xf32>
  %2 = onnx.Concat(%w, %w) {axis = 0 : i64} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<8x8xf32>
  return %0, %1, %2 : tensor<2x8xf32>, tensor<8xf32>, tensor<8x8xf32>
}

// -----

// An Expand would write the weight many times, a Gather at run time's indices is no move, a weight and a value do not
// concatenate at compile time.
// CHECK-LABEL: func @stays
// CHECK: onnx.Expand
// CHECK: onnx.Gather
// CHECK: onnx.Concat
moe.weight @w : tensor<4x8xf32> = #moe.piece<"w.bin", 0, 128, tensor<4x8xf32>>
func.func @stays(%i: tensor<?xi64>, %x: tensor<?x8xf32>) -> (tensor<9x4x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>) {
  %w = moe.get_weight @w : tensor<4x8xf32>
  %s = onnx.Constant dense<[9, 4, 8]> : tensor<3xi64>
  %0 = onnx.Expand(%w, %s) : (tensor<4x8xf32>, tensor<3xi64>) -> tensor<9x4x8xf32>
  %1 = onnx.Gather(%w, %i) : (tensor<4x8xf32>, tensor<?xi64>) -> tensor<?x8xf32>
  %2 = onnx.Concat(%w, %x) {axis = 0 : i64} : (tensor<4x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %0, %1, %2 : tensor<9x4x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>
}

// -----

// Codes and zero points of 4 bits are read in bytes. Scales stay as they are.
// CHECK: moe.weight @q.bytes : tensor<32x64xi8> = #moe.recipe<cast, {}, [#moe.piece<"w.bin", 0, 1024, tensor<32x64xi4>>], tensor<32x64xi8>>
// CHECK: moe.weight @z.bytes : tensor<2x64xi8> = #moe.recipe<cast
// CHECK-LABEL: func @codes
// CHECK: %[[Q:.*]] = moe.get_weight @q.bytes : tensor<32x64xi8>
// CHECK: %[[Z:.*]] = moe.get_weight @z.bytes : tensor<2x64xi8>
// CHECK: onnx.DequantizeLinear(%[[Q]], %{{.*}}, %[[Z]]) {axis = 0 : i64, block_size = 16 : i64}
moe.weight @q : tensor<32x64xi4> = #moe.piece<"w.bin", 0, 1024, tensor<32x64xi4>>
moe.weight @z : tensor<2x64xi4> = #moe.piece<"w.bin", 1024, 64, tensor<2x64xi4>>
moe.weight @s : tensor<2x64xf32> = #moe.piece<"w.bin", 1088, 512, tensor<2x64xf32>>
func.func @codes() -> tensor<32x64xf32> {
  %q = moe.get_weight @q : tensor<32x64xi4>
  %z = moe.get_weight @z : tensor<2x64xi4>
  %s = moe.get_weight @s : tensor<2x64xf32>
  %0 = onnx.DequantizeLinear(%q, %s, %z) {axis = 0 : i64, block_size = 16 : i64} : (tensor<32x64xi4>, tensor<2x64xf32>, tensor<2x64xi4>) -> tensor<32x64xf32>
  return %0 : tensor<32x64xf32>
}

// -----

// What reads such codes otherwise casts them back; zero points that are no weight keep their type.
// CHECK: %[[Q:.*]] = moe.get_weight @q.bytes : tensor<32x64xi8>
// CHECK: %[[C:.*]] = onnx.Cast(%[[Q]]) {to = i4} : (tensor<32x64xi8>) -> tensor<32x64xi4>
// CHECK: onnx.Gather(%[[C]], %arg0)
// CHECK: onnx.DequantizeLinear(%{{.*}}, %{{.*}}, %{{.*}}) : (tensor<32x64xi4>, tensor<f32>, tensor<i4>)
moe.weight @q : tensor<32x64xi4> = #moe.piece<"w.bin", 0, 1024, tensor<32x64xi4>>
func.func @codes_read_otherwise(%ids: tensor<?xi64>) -> (tensor<?x64xi4>, tensor<32x64xf32>) {
  %q = moe.get_weight @q : tensor<32x64xi4>
  %s = onnx.Constant dense<0.5> : tensor<f32>
  %z = onnx.Constant dense<1> : tensor<i4>
  %0 = onnx.Gather(%q, %ids) : (tensor<32x64xi4>, tensor<?xi64>) -> tensor<?x64xi4>
  %1 = onnx.DequantizeLinear(%q, %s, %z) : (tensor<32x64xi4>, tensor<f32>, tensor<i4>) -> tensor<32x64xf32>
  return %0, %1 : tensor<?x64xi4>, tensor<32x64xf32>
}
