// RUN: moe-opt %s | moe-opt | FileCheck %s
// RUN: moe-opt %s --mlir-print-op-generic | moe-opt | FileCheck %s

// CHECK-LABEL: func.func @types
// CHECK-SAME: !moe.scaled<?x256xf8E4M3FN, block = [1, 128], scale = f32>
// CHECK-SAME: !moe.scaled<8x300x257xf8E5M2, block = [1, 0, 0], scale = f8E8M0FNU>
// CHECK-SAME: !moe.scaled<4x8xf8E4M3FN, block = [0, 0], scale = f32, layout = column>
func.func @types(%a: !moe.scaled<?x256xf8E4M3FN, block = [1, 128], scale = f32>,
                 %b: !moe.scaled<8x300x257xf8E5M2, block = [1, 0, 0], scale = f8E8M0FNU>,
                 %c: !moe.scaled<4x8xf8E4M3FN, block = [0, 0], scale = f32, layout = column>) {
  return
}

// CHECK-LABEL: func.func @quantize
func.func @quantize(%x: tensor<?x256xf32>) -> tensor<?x256xbf16> {
  // CHECK: moe.quantize %{{.*}} : tensor<?x256xf32> -> !moe.scaled<?x256xf8E4M3FN, block = [1, 128], scale = f32>
  %q = moe.quantize %x : tensor<?x256xf32> -> !moe.scaled<?x256xf8E4M3FN, block = [1, 128], scale = f32>
  // CHECK: moe.dequantize %{{.*}} : !moe.scaled<?x256xf8E4M3FN, block = [1, 128], scale = f32> -> tensor<?x256xbf16>
  %d = moe.dequantize %q : !moe.scaled<?x256xf8E4M3FN, block = [1, 128], scale = f32> -> tensor<?x256xbf16>
  return %d : tensor<?x256xbf16>
}

// The transposed copy comes from the values, not from the codes.
// CHECK-LABEL: func.func @requantize
func.func @requantize(%x: tensor<512x256xf32>) -> !moe.scaled<256x512xf8E4M3FN, block = [1, 128], scale = f32> {
  %q = moe.quantize %x : tensor<512x256xf32> -> !moe.scaled<512x256xf8E4M3FN, block = [1, 128], scale = f32>
  // CHECK: moe.requantize %{{.*}} from %{{.*}} : tensor<512x256xf32>, !moe.scaled<512x256xf8E4M3FN, block = [1, 128], scale = f32> -> !moe.scaled<256x512xf8E4M3FN, block = [1, 128], scale = f32> {transposed}
  %t = moe.requantize %q from %x : tensor<512x256xf32>, !moe.scaled<512x256xf8E4M3FN, block = [1, 128], scale = f32> -> !moe.scaled<256x512xf8E4M3FN, block = [1, 128], scale = f32> {transposed}
  return %t : !moe.scaled<256x512xf8E4M3FN, block = [1, 128], scale = f32>
}

// Powers of two may be retiled without the values.
// CHECK-LABEL: func.func @retile
func.func @retile(%x: tensor<512x256xf32>) -> !moe.scaled<512x256xf8E4M3FN, block = [128, 1], scale = f8E8M0FNU> {
  %q = moe.quantize %x : tensor<512x256xf32> -> !moe.scaled<512x256xf8E4M3FN, block = [1, 128], scale = f8E8M0FNU>
  // CHECK: moe.requantize %{{.*}} : !moe.scaled<512x256xf8E4M3FN, block = [1, 128], scale = f8E8M0FNU> -> !moe.scaled<512x256xf8E4M3FN, block = [128, 1], scale = f8E8M0FNU>
  %t = moe.requantize %q : !moe.scaled<512x256xf8E4M3FN, block = [1, 128], scale = f8E8M0FNU> -> !moe.scaled<512x256xf8E4M3FN, block = [128, 1], scale = f8E8M0FNU>
  return %t : !moe.scaled<512x256xf8E4M3FN, block = [128, 1], scale = f8E8M0FNU>
}

// CHECK-LABEL: func.func @dense
func.func @dense(%x: tensor<?x256xf32>, %w: tensor<1x512x256xf32>) -> tensor<?x512xf32> {
  %q = moe.quantize %x : tensor<?x256xf32> -> !moe.scaled<?x256xf8E4M3FN, block = [1, 128], scale = f32>
  %p = moe.quantize %w : tensor<1x512x256xf32> -> !moe.scaled<1x512x256xf8E4M3FN, block = [1, 128, 128], scale = f32>
  // CHECK: moe.grouped_matmul %{{.*}} weights(%{{.*}}) {promotion = 64 : i64} : (!moe.scaled<?x256xf8E4M3FN, block = [1, 128], scale = f32>, !moe.scaled<1x512x256xf8E4M3FN, block = [1, 128, 128], scale = f32>) -> tensor<?x512xf32>
  %y = moe.grouped_matmul %q weights(%p) {promotion = 64 : i64} : (!moe.scaled<?x256xf8E4M3FN, block = [1, 128], scale = f32>, !moe.scaled<1x512x256xf8E4M3FN, block = [1, 128, 128], scale = f32>) -> tensor<?x512xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return %y : tensor<?x512xf32>
}

// The split form: codes and scales are operands of their own.
// CHECK-LABEL: func.func @split
func.func @split(%x: tensor<?x256xf32>, %offsets: tensor<5xi32>, %w: tensor<4x512x256xf8E4M3FN>, %s: tensor<4x4x2xf32>) -> tensor<?x512xf32> {
  // CHECK: %[[Q:.*]]:2 = moe.quantize_blocks %{{.*}} {block = array<i64: 1, 128>} : (tensor<?x256xf32>) -> (tensor<?x256xf8E4M3FN>, tensor<?x2xf32>)
  %q:2 = moe.quantize_blocks %x {block = array<i64: 1, 128>} : (tensor<?x256xf32>) -> (tensor<?x256xf8E4M3FN>, tensor<?x2xf32>)
  // CHECK: moe.grouped_matmul %[[Q]]#0 scales(%[[Q]]#1) weights(%{{.*}}) weight_scales(%{{.*}}) offsets(%{{.*}}) {weight_block = array<i64: 1, 128, 128>, x_block = array<i64: 1, 128>}
  %y = moe.grouped_matmul %q#0 scales(%q#1) weights(%w) weight_scales(%s) offsets(%offsets) {x_block = array<i64: 1, 128>, weight_block = array<i64: 1, 128, 128>}
      : (tensor<?x256xf8E4M3FN>, tensor<4x512x256xf8E4M3FN>, tensor<5xi32>, tensor<?x2xf32>, tensor<4x4x2xf32>) -> tensor<?x512xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  // CHECK: moe.dequantize_blocks %[[Q]]#0 scales(%[[Q]]#1) {block = array<i64: 1, 128>} : (tensor<?x256xf8E4M3FN>, tensor<?x2xf32>) -> tensor<?x256xf32>
  %d = moe.dequantize_blocks %q#0 scales(%q#1) {block = array<i64: 1, 128>} : (tensor<?x256xf8E4M3FN>, tensor<?x2xf32>) -> tensor<?x256xf32>
  return %y : tensor<?x512xf32>
}

// On buffers they write their outs.
// CHECK-LABEL: func.func @buffers
func.func @buffers(%x: memref<?x256xf32>, %codes: memref<?x256xf8E4M3FN>, %scales: memref<?x2xf8E8M0FNU>) {
  // CHECK: moe.quantize_blocks %{{.*}} outs(%{{.*}}, %{{.*}}) {block = array<i64: 1, 128>}
  moe.quantize_blocks %x outs(%codes, %scales) {block = array<i64: 1, 128>} : (memref<?x256xf32>, memref<?x256xf8E4M3FN>, memref<?x2xf8E8M0FNU>) -> ()
  // CHECK: moe.dequantize_blocks %{{.*}} scales(%{{.*}}) outs(%{{.*}}) {block = array<i64: 1, 128>}
  moe.dequantize_blocks %codes scales(%scales) outs(%x) {block = array<i64: 1, 128>} : (memref<?x256xf8E4M3FN>, memref<?x2xf8E8M0FNU>, memref<?x256xf32>) -> ()
  return
}

// CHECK: moe.weight @codes : tensor<2x300xf8E4M3FN> = #moe.recipe<quantize
moe.weight @codes : tensor<2x300xf8E4M3FN> = #moe.recipe<quantize, {block = array<i64: 1, 128>}, [#moe.piece<"w.bin", 0, 2400, tensor<2x300xf32>>, #moe.recipe<scales, {block = array<i64: 1, 128>, codes = f8E4M3FN}, [#moe.piece<"w.bin", 0, 2400, tensor<2x300xf32>>], tensor<2x3xf32>>], tensor<2x300xf8E4M3FN>>
