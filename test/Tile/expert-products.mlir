// RUN: moe-opt %s --moe-tile-kernels=gpu=true --canonicalize --cse -o %t.mlir
// RUN: FileCheck %s --input-file=%t.mlir --check-prefix=KERNEL
// RUN: FileCheck %s --input-file=%t.mlir --check-prefix=SIZES
// RUN: FileCheck %s --input-file=%t.mlir --check-prefix=LAST
// RUN: moe-opt %t.mlir --pass-pipeline="builtin.module(builtin.module(moe-lower-tile))" | FileCheck %s --check-prefix=LOWERED

// Both products of the experts become one kernel of 384 threads, one block a multiprocessor. H = 200 makes two blocks of K for product 1, the second one
// not full; I = 72 one block.

// KERNEL:       module @gpu attributes {moe.device}
// KERNEL:       func.func @k0(%[[X:[a-z0-9]+]]: memref<2x?x128xf8E4M3FN>, %[[SX:[a-z0-9]+]]: memref<2x?xf32>, %[[W1:[a-z0-9]+]]: memref<5x1x2x256x128xf8E4M3FN>, %[[S1:[a-z0-9]+]]: memref<5x1x4xf32>, %[[W2:[a-z0-9]+]]: memref<5x1x1x256x128xf8E4M3FN>, %[[S2:[a-z0-9]+]]: memref<5x1x4xf32>, %[[ITEMS:[a-z0-9]+]]: memref<?xi32>, %[[COUNTERS:[a-z0-9]+]]: memref<?xi32>, %[[Y:[a-z0-9]+]]: memref<?x200xbf16>, %[[H:[a-z0-9]+]]: memref<1x?x128xf8E4M3FN>, %[[SH:[a-z0-9]+]]: memref<1x?xf32>, {{.*}}tile.dependent, tile.grid = "multiprocessor", tile.threads = 384 : i32}

// Rings of four stages: weights, rows, their scales; barriers and how many arrive at them.
// KERNEL:       %[[WEIGHTS:.*]] = tile.alloc : <4x256x128xf8E4M3FN, swizzle>
// KERNEL:       %[[ROWS:.*]] = tile.alloc : <4x128x128xf8E4M3FN, swizzle>
// KERNEL:       %[[SCALES:.*]] = tile.alloc : <4x128xf32>
// KERNEL:       %[[STAGING:.*]] = tile.alloc : <18432xi8>
// KERNEL:       %[[FULL:.*]] = tile.barriers 2 : <4>
// KERNEL:       %[[EMPTY:.*]] = tile.barriers 8 : <4>
// KERNEL:       %[[PUBLISHED:.*]] = tile.barriers 1 : <4>
// KERNEL:       %[[RELEASED:.*]] = tile.barriers 9 : <4>
// KERNEL:       %[[SCALES_FULL:.*]] = tile.barriers 1 : <4>
// KERNEL:       tile.start {dependent}

// Who draws tiles and copies weights: one thread.
// KERNEL:       tile.roles warps [0, 1, 2, 4] single [true, true, false, false] registers [40, 232, 232] {
// KERNEL:         tile.wait %[[RELEASED]]
// KERNEL:         tile.arrive %[[PUBLISHED]]
// KERNEL:         scf.while
// KERNEL:           scf.for
// KERNEL:             tile.wait %[[EMPTY]]
// KERNEL:             tile.expect %[[FULL]][%{{.*}}], %c32768_i32
// KERNEL:             tile.copy_bulk %[[W1]][%{{.*}}] to %{{.*}}, %[[FULL]][%{{.*}}] bytes %c32768_i32
// KERNEL:           tile.copy_bulk %[[W2]]
// KERNEL:           tile.atomic_add %[[COUNTERS]][%c0_i32], %c1_i32
// KERNEL:           tile.wait %[[RELEASED]]
// KERNEL:           tile.arrive %[[PUBLISHED]]
// Who copies rows: another. Rows of h come when all blocks of product 1 of the item are finished.
// KERNEL:       }, {
// KERNEL:         tile.wait %[[PUBLISHED]]
// KERNEL:         scf.while
// KERNEL:           tile.expect %[[SCALES_FULL]]
// KERNEL:           tile.copy_bulk %[[S1]]
// KERNEL:           scf.for
// KERNEL:             tile.wait %[[EMPTY]]
// KERNEL:             tile.expect %[[FULL]]
// KERNEL:             tile.copy_bulk %[[X]]
// KERNEL:             tile.copy_bulk %[[SX]]
// KERNEL:           tile.copy_bulk %[[S2]]
// KERNEL:           tile.await %[[COUNTERS]][%{{.*}}], %c1_i32
// KERNEL:           tile.copy_bulk %[[H]]
// KERNEL:           tile.copy_bulk %[[SH]]
// KERNEL:           tile.arrive %[[RELEASED]][%{{.*}}] : <4>
// KERNEL:       }, {
// KERNEL-NEXT:  }, {
// Two warpgroups: products of product 1 with up to 8 rows; the stage is free when the products are read, and the sums are promoted.
// KERNEL:         tile.wait %[[PUBLISHED]]
// KERNEL:         scf.while
// KERNEL:           tile.wait %[[SCALES_FULL]]
// KERNEL:           scf.for
// KERNEL:             tile.wait %[[FULL]]
// KERNEL:             %[[P:.*]]:2 = tile.mma
// KERNEL-SAME:          !tile.pending<tensor<64x8xf32, #tile.fragment<mma>>>
// KERNEL:             %[[PARTIAL:.*]]:2 = tile.mma_wait %[[P]]#0, %[[P]]#1
// KERNEL:             tile.arrive %[[EMPTY]][%{{.*}}] {warp}
// KERNEL:             tile.promote %[[PARTIAL]]#0
// KERNEL:             tile.promote %[[PARTIAL]]#1
// The activation of gate and up, the largest value of 128 columns, the codes and their scale, and the signal to product 2.
// KERNEL:           %[[GATE:.*]] = tile.select_rows %{{.*}} half 0
// KERNEL:           %[[UP:.*]] = tile.select_rows %{{.*}} half 1
// KERNEL:           tile.map %[[GATE]], %[[UP]]
// KERNEL:             math.exp
// KERNEL:             tile.yield
// KERNEL:           %[[LARGEST:.*]] = tile.max
// KERNEL:           tile.write_vector %[[LARGEST]]
// KERNEL:           tile.sync %c1_i32, 256
// KERNEL:           tile.store %{{.*}}, %[[SH]]
// KERNEL:           tile.sync %c1_i32, 256
// KERNEL:           %[[PAIRS:.*]] = tile.pack %{{.*}}, %{{.*}} as f8E4M3FN
// KERNEL:           tile.store_matrix %[[PAIRS]], %[[STAGING]][%{{.*}}] stride 144 {transposed}
// KERNEL:           tile.sync %c1_i32, 256
// KERNEL:           tile.store %{{.*}}, %[[H]]
// KERNEL:           tile.fence_async
// KERNEL-NEXT:      tile.sync %c1_i32, 256
// KERNEL:           tile.signal %[[COUNTERS]]

// One version of the products a size and product: 8 to 64 rows as columns of the product; at 128 rows they are its 64 rows, for each
// half of the weights.
// SIZES:       tile.mma {{.*}}!tile.pending<tensor<64x8xf32
// SIZES:       tile.mma {{.*}}!tile.pending<tensor<64x16xf32
// SIZES:       tile.mma {{.*}}!tile.pending<tensor<64x32xf32
// SIZES:       tile.mma {{.*}}!tile.pending<tensor<64x64xf32
// SIZES:       tile.mma {{.*}}!tile.pending<tensor<64x128xf32
// SIZES:       tile.promote {{.*}} {pin}
// SIZES:       tile.mma {{.*}} reuse({{.*}}!tile.pending<tensor<64x128xf32
// SIZES:       tile.mma {{.*}}!tile.pending<tensor<64x8xf32
// SIZES:       tile.mma {{.*}}!tile.pending<tensor<64x16xf32
// SIZES:       tile.mma {{.*}}!tile.pending<tensor<64x32xf32
// SIZES:       tile.mma {{.*}}!tile.pending<tensor<64x64xf32
// SIZES:       tile.mma {{.*}}!tile.pending<tensor<64x128xf32
// SIZES:       tile.mma {{.*}} reuse({{.*}}!tile.pending<tensor<64x128xf32
// SIZES-NOT:   tile.mma %

// Product 2 writes rows of y in bf16, within H; a warp's place in the staging area is its own only after the warps of its group met.
// LAST:        tile.mma {{.*}}!tile.pending<tensor<64x128xf32
// LAST:        tile.mma {{.*}}!tile.pending<tensor<64x128xf32
// LAST:        tile.signal
// LAST:        tile.mma {{.*}} reuse({{.*}}!tile.pending<tensor<64x128xf32
// LAST:        tile.sync %{{.*}}, 128
// LAST:        tile.store_matrix {{.*}} stride 144 : tensor<64x64xf32
// LAST:        arith.cmpi ult, %{{.*}}, %c200_i32
// LAST:        tile.store %{{.*}}, %{{.*}} : vector<4xi32>, memref<?x200xbf16>
// LAST:        tile.arrive %{{.*}} {warp}

// All of it fits: rings, staging, scales, barriers.
// LOWERED:     tile.shared_bytes = {{2[0-2][0-9][0-9][0-9][0-9]}} : i64
// LOWERED-NOT: {{(= |^ +)tile[.]}}
module {
  func.func private @k0(%x: memref<2x?x128xf8E4M3FN>, %sx: memref<2x?xf32>, %w1: memref<5x1x2x256x128xf8E4M3FN>, %s1: memref<5x1x4xf32>, %w2: memref<5x1x1x256x128xf8E4M3FN>, %s2: memref<5x1x4xf32>, %items: memref<?xi32>, %counters: memref<?xi32>, %y: memref<?x200xbf16>, %h: memref<1x?x128xf8E4M3FN>, %sh: memref<1x?xf32>) attributes {moe.kernel} {
    moe.expert_products %x, %sx w1(%w1, %s1) w2(%w2, %s2) items(%items, %counters) outs(%y, %h, %sh) {hidden = 200 : i64, intermediate = 72 : i64} : (memref<2x?x128xf8E4M3FN>, memref<2x?xf32>, memref<5x1x2x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<5x1x1x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<?xi32>, memref<?xi32>, memref<?x200xbf16>, memref<1x?x128xf8E4M3FN>, memref<1x?xf32>) -> () {
    ^bb0(%g: f32, %u: f32):
      %n = arith.negf %g : f32
      %e = math.exp %n : f32
      %one = arith.constant 1.0 : f32
      %d = arith.addf %e, %one : f32
      %q = arith.divf %g, %d : f32
      %r = arith.mulf %q, %u : f32
      moe.yield %r : f32
    }
    return
  }
}
