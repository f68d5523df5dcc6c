// RUN: moe-opt %s -moe-tile-kernels=isas=x86-64-v4 | FileCheck %s

// Weights of more than 4 MiB come from memory: they have blocks of their own, which prefetch them for any number of rows. Blocks of few
// rows always do.
// CHECK-LABEL: func.func private @moe_block_f32_streamed_28x1
// CHECK: memref.prefetch
// CHECK: return
// CHECK-LABEL: func.func private @moe_block_f32_28x1
// CHECK-NOT: memref.prefetch
// CHECK: return
// CHECK-LABEL: func.func private @moe_block_f32_7x1
// CHECK: memref.prefetch
// CHECK: return

// CHECK-LABEL: func.func @cached
// CHECK: call @moe_product_f32
func.func private @cached(%x: memref<?x64xf32>, %w: memref<1x3x64x16xf32>, %out: memref<?x48xf32>) attributes {moe.kernel} {
  moe.grouped_matmul %x weights(%w) outs(%out) {columns = 48 : i64, packed = 16 : i64} : (memref<?x64xf32>, memref<1x3x64x16xf32>, memref<?x48xf32>) -> () {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// CHECK-LABEL: func.func @streamed
// CHECK: call @moe_product_f32_streamed
func.func private @streamed(%x: memref<?x1024xf32>, %w: memref<1x65x1024x16xf32>, %out: memref<?x1040xf32>) attributes {moe.kernel} {
  moe.grouped_matmul %x weights(%w) outs(%out) {columns = 1040 : i64, packed = 16 : i64} : (memref<?x1024xf32>, memref<1x65x1024x16xf32>, memref<?x1040xf32>) -> () {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// No depth: nothing to multiply, plain loops.
// CHECK-LABEL: func.func @no_depth
// CHECK-NOT: call
// CHECK: return
func.func private @no_depth(%x: memref<?x0xf32>, %w: memref<1x3x0x16xf32>, %out: memref<?x48xf32>) attributes {moe.kernel} {
  moe.grouped_matmul %x weights(%w) outs(%out) {columns = 48 : i64, packed = 16 : i64} : (memref<?x0xf32>, memref<1x3x0x16xf32>, memref<?x48xf32>) -> () {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}
