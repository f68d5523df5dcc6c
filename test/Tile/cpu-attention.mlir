// RUN: moe-opt %s -moe-tile-kernels=isas=x86-64-v4 | FileCheck %s

// Tiles of keys: K and V are packed, both products are the module's product function, the maximum runs along.
// CHECK-LABEL: func.func @causal
// CHECK-NOT: memref.alloca() {{.*}}memref<?
// CHECK: call @moe_pack_f32
// CHECK: call @moe_product_f32
// A tile in sight of all rows needs no mask; where a row's maximum grows, its sums are scaled.
// CHECK: scf.if
// CHECK-NOT: vector.create_mask
// CHECK: vector.reduction <maxnumf>
// CHECK: arith.cmpf une
// CHECK: scf.if
// CHECK: } else {
// CHECK: vector.create_mask
// CHECK: vector.reduction <maxnumf>
// CHECK: call @moe_product_f32
// CHECK-NOT: math.exp
func.func private @causal(%q: memref<?x4x?x96xf32>, %k: memref<?x2x?x96xf32>, %v: memref<?x2x?x64xf32>, %out: memref<?x4x?x64xf32>) attributes {moe.kernel} {
  moe.attention %q, %k, %v outs(%out) {scale = 0.1 : f32, causal} : (memref<?x4x?x96xf32>, memref<?x2x?x96xf32>, memref<?x2x?x64xf32>, memref<?x4x?x64xf32>) -> ()
  return
}

// A depth that is only known at run time is left to plain loops.
// CHECK-LABEL: func.func @dynamic_depth
// CHECK-NOT: call @moe_product
// CHECK: math.exp
func.func private @dynamic_depth(%q: memref<?x4x?x?xf32>, %k: memref<?x4x?x?xf32>, %v: memref<?x4x?x64xf32>, %out: memref<?x4x?x64xf32>) attributes {moe.kernel} {
  moe.attention %q, %k, %v outs(%out) {scale = 0.1 : f32} : (memref<?x4x?x?xf32>, memref<?x4x?x?xf32>, memref<?x4x?x64xf32>, memref<?x4x?x64xf32>) -> ()
  return
}
