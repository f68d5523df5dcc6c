// RUN: moe-opt %s -split-input-file -moe-split-scaled -verify-diagnostics | FileCheck %s
// RUN: moe-opt %s -split-input-file -moe-split-scaled=panel=0 -verify-diagnostics | FileCheck %s --check-prefix=ROWS

// Weights are quantized by recipe: codes name the scales they were made with, and both the same values.
// CHECK: moe.weight @w : tensor<2x20x256xf32> = #moe.recipe<cast, {}, [#moe.piece<"w.bin", 0, 20480, tensor<2x20x256xbf16>>], tensor<2x20x256xf32>>
// CHECK-DAG: moe.weight @[[S:.*]] : tensor<2x1x2xf32> = #moe.recipe<scales, {block = array<i64: 1, 128, 128>, codes = f8E4M3FN}, [#moe.recipe<cast
// CHECK-DAG: moe.weight @[[C:.*]] : tensor<2x2x256x16xf8E4M3FN> = #moe.recipe<pack, {panel = 16 : i64}, [#moe.recipe<quantize, {block = array<i64: 1, 128, 128>}, [#moe.recipe<cast{{.*}}, #moe.recipe<scales
// CHECK-LABEL: func.func @product
// CHECK: %[[Q:.*]]:2 = moe.quantize_blocks %arg0 {block = array<i64: 1, 128>} : (tensor<?x256xf32>) -> (tensor<?x256xf8E4M3FN>, tensor<?x2xf32>)
// CHECK-DAG: %[[SCALES:.*]] = moe.get_weight @[[S]]
// CHECK-DAG: %[[CODES:.*]] = moe.get_weight @[[C]]
// CHECK: moe.grouped_matmul %[[Q]]#0 scales(%[[Q]]#1) weights(%[[CODES]]) weight_scales(%[[SCALES]]) offsets(%arg1)
// CHECK-SAME: {columns = 20 : i64, packed = 16 : i64, promotion = 64 : i64, weight_block = array<i64: 1, 128, 128>, x_block = array<i64: 1, 128>}
// CHECK-NOT: !moe.scaled
// ROWS: moe.grouped_matmul %{{.*}} weights(%{{.*}}) {{.*}}{promotion = 64 : i64, weight_block = array<i64: 1, 128, 128>, x_block = array<i64: 1, 128>}
// ROWS-SAME: tensor<2x20x256xf8E4M3FN>
moe.weight @w : tensor<2x20x256xf32> = #moe.recipe<cast, {}, [#moe.piece<"w.bin", 0, 20480, tensor<2x20x256xbf16>>], tensor<2x20x256xf32>>
func.func @product(%x: tensor<?x256xf32>, %offsets: tensor<3xi32>) -> tensor<?x20xf32> {
  %w = moe.get_weight @w : tensor<2x20x256xf32>
  %q = moe.quantize %x : tensor<?x256xf32> -> !moe.scaled<?x256xf8E4M3FN, block = [1, 128], scale = f32>
  %p = moe.quantize %w : tensor<2x20x256xf32> -> !moe.scaled<2x20x256xf8E4M3FN, block = [1, 128, 128], scale = f32>
  %y = moe.grouped_matmul %q weights(%p) offsets(%offsets) {promotion = 64 : i64} : (!moe.scaled<?x256xf8E4M3FN, block = [1, 128], scale = f32>, !moe.scaled<2x20x256xf8E4M3FN, block = [1, 128, 128], scale = f32>, tensor<3xi32>) -> tensor<?x20xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return %y : tensor<?x20xf32>
}

// -----

// A transposed copy comes from the values; a column layout is a transposed array.
// CHECK-LABEL: func.func @copies
// CHECK: moe.quantize_blocks %arg0 {block = array<i64: 1, 0>} : (tensor<4x8xf32>) -> (tensor<4x8xf8E4M3FN>, tensor<4x1xf32>)
// CHECK: %[[T:.*]] = linalg.transpose ins(%arg0 : tensor<4x8xf32>)
// CHECK: %[[B:.*]] = linalg.transpose ins(%[[T]]
// CHECK: %[[Q:.*]]:2 = moe.quantize_blocks %[[B]] {block = array<i64: 4, 1>} : (tensor<4x8xf32>) -> (tensor<4x8xf8E4M3FN>, tensor<1x8xf32>)
// CHECK: %[[D:.*]] = moe.dequantize_blocks %[[Q]]#0 scales(%[[Q]]#1) {block = array<i64: 4, 1>} : (tensor<4x8xf8E4M3FN>, tensor<1x8xf32>) -> tensor<4x8xf32>
// CHECK: linalg.transpose ins(%[[D]]
func.func @copies(%x: tensor<4x8xf32>) -> tensor<8x4xf32> {
  %q = moe.quantize %x : tensor<4x8xf32> -> !moe.scaled<4x8xf8E4M3FN, block = [1, 0], scale = f32>
  %t = moe.requantize %q from %x : tensor<4x8xf32>, !moe.scaled<4x8xf8E4M3FN, block = [1, 0], scale = f32> -> !moe.scaled<8x4xf8E4M3FN, block = [1, 4], scale = f32, layout = column> {transposed}
  %d = moe.dequantize %t : !moe.scaled<8x4xf8E4M3FN, block = [1, 4], scale = f32, layout = column> -> tensor<8x4xf32>
  return %d : tensor<8x4xf32>
}

// -----

// Powers of two are retiled through their values.
// CHECK-LABEL: func.func @retile
// CHECK: %[[Q:.*]]:2 = moe.quantize_blocks %arg0 {block = array<i64: 1, 4>}
// CHECK: %[[D:.*]] = moe.dequantize_blocks %[[Q]]#0 scales(%[[Q]]#1)
// CHECK: moe.quantize_blocks %[[D]] {block = array<i64: 4, 1>} : (tensor<4x8xf32>) -> (tensor<4x8xf8E4M3FN>, tensor<1x8xf8E8M0FNU>)
func.func @retile(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %q = moe.quantize %x : tensor<4x8xf32> -> !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f8E8M0FNU>
  %t = moe.requantize %q : !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f8E8M0FNU> -> !moe.scaled<4x8xf8E4M3FN, block = [4, 1], scale = f8E8M0FNU>
  %d = moe.dequantize %t : !moe.scaled<4x8xf8E4M3FN, block = [4, 1], scale = f8E8M0FNU> -> tensor<4x8xf32>
  return %d : tensor<4x8xf32>
}

// -----

// Nothing scaled: left alone.
// CHECK-LABEL: func.func @plain
// CHECK: moe.grouped_matmul %arg0 weights(%arg1) : (tensor<?x8xf32>, tensor<1x4x8xf32>) -> tensor<?x4xf32>
func.func @plain(%x: tensor<?x8xf32>, %w: tensor<1x4x8xf32>) -> tensor<?x4xf32> {
  %y = moe.grouped_matmul %x weights(%w) : (tensor<?x8xf32>, tensor<1x4x8xf32>) -> tensor<?x4xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return %y : tensor<?x4xf32>
}

// -----

// expected-error @below {{'func.func' op expects no scaled values as arguments}}
func.func @argument(%x: !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32>) { return }

// -----

func.func @foreign(%x: tensor<4x8xf32>) -> !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32> {
  %q = moe.quantize %x : tensor<4x8xf32> -> !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32>
  // expected-error @below {{'func.return' op expects no scaled value, which has no form here}}
  return %q : !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32>
}
