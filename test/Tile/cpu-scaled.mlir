// RUN: moe-opt %s -moe-tile-kernels=isas=x86-64-v4 | FileCheck %s
// RUN: moe-opt %s -moe-tile-kernels=gpu | FileCheck %s --check-prefix=GPU

// Codes of weights are widened in registers and multiplied by their scale there, once for all rows of a block; rows are when they are packed.
// CHECK-LABEL: module @cpu_x86_64_v4
// CHECK: func.func private @moe_pack_f8E4M3FN_f32_0x128
// CHECK: vector.load %{{.*}} : {{.*}}, vector<16xf8E4M3FN>
// CHECK: arith.mulf %{{.*}}, %{{.*}} : vector<16xf32>
// CHECK: func.func private @moe_product_f8E4M3FN_f32_128x128
// CHECK: call @moe_block_f8E4M3FN_f32_128x128_1x4
// CHECK: func.func private @moe_block_f8E4M3FN_f32_128x128_28x1
// CHECK: vector.broadcast %{{.*}} : f32 to vector<16xf32>
// CHECK: %[[CODES:.*]] = vector.load %{{.*}} : {{.*}}, vector<16xf8E4M3FN>
// CHECK: arith.bitcast %[[CODES]] : vector<16xf8E4M3FN> to vector<16xi8>
// CHECK: arith.extf %{{.*}} : vector<16xf16> to vector<16xf32>
// CHECK: arith.mulf
// CHECK-COUNT-28: vector.fma
// CHECK-LABEL: func.func @product
// CHECK: call @moe_pack_f8E4M3FN_f32_0x128
// CHECK: call @moe_product_f8E4M3FN_f32_128x128

// The plain form adds each interval's sum, times both scales, to the total.
// GPU-LABEL: func.func @product
// GPU: scf.for
// GPU: scf.for
// GPU: vector.fma
// GPU: memref.load %{{.*}} : memref<4x3x2xf32>
// GPU: memref.load %{{.*}} : memref<?x2xf32>
// GPU: arith.addf %{{.*}} : vector<16xf32>
func.func private @product(%x: memref<?x256xf8E4M3FN>, %s: memref<?x2xf32>, %w: memref<4x18x256x16xf8E4M3FN>, %t: memref<4x3x2xf32>, %offsets: memref<5xi32>, %out: memref<?x280xf32>) attributes {moe.kernel} {
  moe.grouped_matmul %x scales(%s) weights(%w) weight_scales(%t) offsets(%offsets) outs(%out) {columns = 280 : i64, packed = 16 : i64, x_block = array<i64: 1, 128>, weight_block = array<i64: 1, 128, 128>}
      : (memref<?x256xf8E4M3FN>, memref<4x18x256x16xf8E4M3FN>, memref<5xi32>, memref<?x2xf32>, memref<4x3x2xf32>, memref<?x280xf32>) -> () {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// Blocks of scales that no whole vector lies in: plain loops.
// CHECK-LABEL: func.func @rows
// CHECK-NOT: call
// CHECK: vector.insert
func.func private @rows(%x: memref<?x256xf32>, %w: memref<1x2x256x16xf8E4M3FN>, %t: memref<1x20x1xf32>, %out: memref<?x20xf32>) attributes {moe.kernel} {
  moe.grouped_matmul %x weights(%w) weight_scales(%t) outs(%out) {columns = 20 : i64, packed = 16 : i64, weight_block = array<i64: 1, 1, 0>}
      : (memref<?x256xf32>, memref<1x2x256x16xf8E4M3FN>, memref<1x20x1xf32>, memref<?x20xf32>) -> () {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// A block at a time: its largest magnitude, its scale, its codes.
// CHECK-LABEL: func.func @quantize
// CHECK: math.absf %{{.*}} : vector<16xf32>
// CHECK: vector.reduction <maximumf>
// CHECK: arith.divf %{{.*}} : f32
// CHECK: arith.divf %{{.*}} : vector<16xf32>
// CHECK: vector.store %{{.*}} : memref<?x300xf8E4M3FN>, vector<16xf8E4M3FN>
// GPU-LABEL: func.func @quantize
// GPU-NOT: vector<
func.func private @quantize(%x: memref<?x300xf32>, %codes: memref<?x300xf8E4M3FN>, %scales: memref<?x3xf32>) attributes {moe.kernel} {
  moe.quantize_blocks %x outs(%codes, %scales) {block = array<i64: 1, 128>} : (memref<?x300xf32>, memref<?x300xf8E4M3FN>, memref<?x3xf32>) -> ()
  return
}

// CHECK-LABEL: func.func @dequantize
// CHECK: arith.extf %{{.*}} : f8E4M3FN to f32
// CHECK: arith.truncf %{{.*}} : f32 to bf16
func.func private @dequantize(%codes: memref<?x300xf8E4M3FN>, %scales: memref<?x3xf32>, %y: memref<?x300xbf16>) attributes {moe.kernel} {
  moe.dequantize_blocks %codes scales(%scales) outs(%y) {block = array<i64: 1, 128>} : (memref<?x300xf8E4M3FN>, memref<?x3xf32>, memref<?x300xbf16>) -> ()
  return
}
