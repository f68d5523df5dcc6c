// RUN: moe-opt %s --moe-tile-kernels=gpu=true --canonicalize --cse -o %t.mlir
// RUN: FileCheck %s --input-file=%t.mlir
// RUN: moe-opt %t.mlir --pass-pipeline="builtin.module(builtin.module(moe-lower-tile))" | FileCheck %s --check-prefix=LOWERED

// One product in bf16: the loops of moe.expert_products without a second product. There are no scales, and sums stay in the tensor cores: one
// group of products is in flight while the next is issued, and its stage is free when the next is.

// CHECK:       func.func @rounded(%[[X:[a-z0-9]+]]: memref<4x?x64xbf16>, %[[W:[a-z0-9]+]]: memref<5x2x4x256x64xbf16>,
// CHECK-SAME:    tile.dependent, tile.grid = "multiprocessor", tile.threads = 384 : i32}
// CHECK:       %[[WEIGHTS:.*]] = tile.alloc : <4x256x64xbf16, swizzle>
// CHECK:       %[[ROWS:.*]] = tile.alloc : <4x128x64xbf16, swizzle>
// CHECK-NEXT:  %[[STAGING:.*]] = tile.alloc : <18432xi8>
// CHECK:       tile.roles
// CHECK:         tile.copy_bulk %[[W]]
// The last block that draws a tile past the end leaves the counter at zero for the next product of the same list.
// CHECK:         %[[DRAWN:.*]] = tile.atomic_add
// CHECK:         scf.if
// CHECK-NEXT:      tile.store %c0_i32
// CHECK:         tile.copy_bulk %[[X]]
// CHECK-NOT:     tile.await
// CHECK:         tile.mma {{.*}} accumulators({{.*}}!tile.pending<tensor<64x8xf32
// CHECK:         tile.mma_wait {{.*}} {in_flight = 1 : i32}
// CHECK:         tile.arrive
// CHECK:         tile.mma {{.*}} accumulators({{.*}}!tile.pending<tensor<64x8xf32
// CHECK:         tile.mma_wait %{{[^{]*}} :
// CHECK-NOT:     tile.promote
// At 128 rows all 256 weight rows are columns of one product.
// CHECK:         tile.mma {{.*}} accumulators({{.*}}!tile.pending<tensor<64x256xf32
// CHECK:         tile.select_columns %{{.*}} first 16 step 1 : tensor<64x256xf32
// A result's rows stand without gaps: the place of the item's first row, less the shift of its group.
// CHECK:         tile.load %{{.*}} : memref<5xi32> -> i32
// CHECK:         tile.store %{{.*}} : vector<4xi32>, memref<?x304xbf16>

// An epilogue with extras runs on f32: sums are staged in halves of 16 bits. 301 columns are stored one by one.
// CHECK-LABEL: func.func @extras(
// CHECK:         tile.promote
// CHECK:         %[[UPPER:.*]] = tile.map
// CHECK:           arith.shrui %{{.*}}, %c16_i32
// CHECK:         tile.store_matrix %[[UPPER]]
// CHECK:         %[[LOWER:.*]] = tile.map
// CHECK:         tile.store_matrix %[[LOWER]]
// CHECK:         tile.load %{{.*}} : memref<5x301xf32> -> f32
// CHECK:         tile.load %{{.*}} : memref<?x301xbf16> -> bf16
// CHECK:         tile.load %{{.*}} : memref<?xf32> -> f32
// CHECK:         tile.store %{{.*}} : f32, memref<?x301xf32>

// LOWERED-COUNT-2: tile.shared_bytes = {{2[0-2][0-9][0-9][0-9][0-9]}} : i64
// LOWERED-NOT: {{(= |^ +)tile[.]}}
module {
  func.func private @rounded(%x: memref<4x?x64xbf16>, %w: memref<5x2x4x256x64xbf16>, %items: memref<?xi32>, %counters: memref<?xi32>, %position: memref<?xi32>, %shift: memref<5xi32>, %y: memref<?x304xbf16>) attributes {moe.kernel} {
    moe.row_product %x weights(%w) items(%items, %counters) at(%position, %shift) outs(%y) {columns = 304 : i64} : (memref<4x?x64xbf16>, memref<5x2x4x256x64xbf16>, memref<?xi32>, memref<?xi32>, memref<?xi32>, memref<5xi32>, memref<?x304xbf16>) -> () {
    ^bb0(%a: f32):
      %r = arith.truncf %a : f32 to bf16
      moe.yield %r : bf16
    }
    return
  }
  func.func private @extras(%x: memref<2x?x128xf8E4M3FN>, %sx: memref<2x?xf32>, %w: memref<5x2x2x256x128xf8E4M3FN>, %s: memref<5x2x4xf32>, %items: memref<?xi32>, %counters: memref<?xi32>, %position: memref<?xi32>, %shift: memref<5xi32>, %bias: memref<5x301xf32>, %residual: memref<?x301xbf16>, %factor: memref<?xf32>, %y: memref<?x301xf32>) attributes {moe.kernel} {
    moe.row_product %x, %sx weights(%w, %s) items(%items, %counters) at(%position, %shift) extras(%bias, %residual, %factor) outs(%y) {columns = 301 : i64, extra_kinds = array<i64: 1, 0, 3>} : (memref<2x?x128xf8E4M3FN>, memref<2x?xf32>, memref<5x2x2x256x128xf8E4M3FN>, memref<5x2x4xf32>, memref<?xi32>, memref<?xi32>, memref<?xi32>, memref<5xi32>, memref<5x301xf32>, memref<?x301xbf16>, memref<?xf32>, memref<?x301xf32>) -> () {
    ^bb0(%a: f32, %b: f32, %r: bf16, %f: f32):
      %wide = arith.extf %r : bf16 to f32
      %c = arith.addf %a, %b : f32
      %d = arith.mulf %c, %f : f32
      %e = arith.addf %d, %wide : f32
      moe.yield %e : f32
    }
    return
  }
}
