// RUN: moe-opt %s -moe-tile-kernels=isas=x86-64-v4 | FileCheck %s
// RUN: moe-opt %s -moe-tile-kernels=isas=x86-64-v3 | FileCheck %s --check-prefix=AVX2

// Both products share the microkernels of the module: blocks of rows times panels, one chain of multiply-adds each.
// CHECK-LABEL: module @cpu_x86_64_v4
// CHECK: func.func private @moe_product_f32
// CHECK: scf.index_switch
// CHECK: call @moe_block_f32_1x4
// CHECK: call @moe_block_f32_28x1
// CHECK-COUNT-56: vector.fma
// CHECK-NOT: func.func private @moe_product_f32
// AVX2: call @moe_block_f32_6x1
// AVX2-NOT: @moe_block_f32_28x1

// The epilogue runs on 16 columns at a time; a mask covers the columns that do not fill a panel.
// CHECK-LABEL: func.func @gated
// CHECK: call @moe_pack_f32
// CHECK: call @moe_product_f32
// CHECK: call @moe_product_f32
// CHECK: vector.create_mask
// CHECK: vector.maskedload %{{.*}} : memref<?x40xf32>, vector<16xi1>, vector<16xf32> into vector<16xf32>
// CHECK: arith.mulf {{.*}} : vector<16xf32>
// CHECK: vector.maskedstore
func.func private @gated(%x: memref<?x64xf32>, %g: memref<1x3x64x16xf32>, %u: memref<1x3x64x16xf32>, %r: memref<?x40xf32>, %out: memref<?x40xf32>) attributes {moe.kernel} {
  moe.grouped_matmul %x weights(%g, %u) extras(%r) outs(%out) {columns = 40 : i64, packed = 16 : i64, extra_kinds = array<i64: 0>} : (memref<?x64xf32>, memref<1x3x64x16xf32>, memref<1x3x64x16xf32>, memref<?x40xf32>, memref<?x40xf32>) -> () {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %m, %c : f32
    moe.yield %s : f32
  }
  return
}

// Rows of a group are found by its offsets and gathered while they are packed.
// CHECK-LABEL: func.func @grouped
// CHECK: scf.while
// CHECK: memref.load %arg2
// CHECK: memref.load %arg3
// CHECK-NOT: vector.create_mask
// CHECK: vector.store
func.func private @grouped(%x: memref<?x64xf32>, %w: memref<4x2x64x16xf32>, %o: memref<5xi32>, %rows: memref<?xi32>, %out: memref<?x32xf32>) attributes {moe.kernel} {
  moe.grouped_matmul %x weights(%w) offsets(%o) rows(%rows) outs(%out) {columns = 32 : i64, packed = 16 : i64, rows_divisor = 2 : i64} : (memref<?x64xf32>, memref<4x2x64x16xf32>, memref<5xi32>, memref<?xi32>, memref<?x32xf32>) -> () {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}
