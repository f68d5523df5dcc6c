// RUN: moe-opt %s --moe-tile-kernels=gpu=true --canonicalize --cse | FileCheck %s
// RUN: sed 's/ items(%items/ w1_bias(%b1) w2_bias(%b2) items(%items/; s/{hidden = /{bias_element = bf16, hidden = /; s/memref<5x1x28xf32>, memref<?xi32>/memref<5x1x28xf32>, memref<5x13x256xf32>, memref<5x1x256xf32>, memref<?xi32>/; s/%items: memref/%b1: memref<5x13x256xf32>, %b2: memref<5x1x256xf32>, %items: memref/' %s | moe-opt --moe-tile-kernels=gpu=true --canonicalize --cse | FileCheck %s --check-prefix=BIAS

// Where a tile of product 2 is long (here 13 blocks of K) and items have at most 16 rows, the last tiles are cut in two, one for each block
// of the grid: whole tiles in front of them, then two numbers a tile.
// CHECK:       %[[ROWS:[a-z0-9]+]] = tile.load %{{[a-z0-9]+}}[%c1_i64] : memref<?xi32> -> i32
// CHECK:       %[[FEW:[a-z0-9]+]] = arith.cmpi ult, %[[ROWS]], %c17_i32
// CHECK:       %[[BLOCKS:[a-z0-9]+]] = tile.id blocks
// CHECK:       %[[LEAST:[a-z0-9]+]] = arith.minui %{{[a-z0-9]+}}, %[[BLOCKS]]
// CHECK:       arith.select %[[FEW]], %[[LEAST]], %c0_i32

// The producer of weights: 16 KB of two blocks of K a stage, the last stage has one.
// CHECK:       tile.roles
// CHECK:       tile.copy_bulk {{.*}} to <256x128xf8E4M3FN, swizzle>
// CHECK:       tile.copy_bulk {{.*}} to <256x128xf8E4M3FN, swizzle>
// CHECK:       scf.for
// CHECK:         tile.expect
// CHECK:         tile.copy_bulk {{.*}} to <128x128xf8E4M3FN, swizzle>
// CHECK:         scf.if
// CHECK:           tile.copy_bulk {{.*}} to <128x128xf8E4M3FN, swizzle>
// The producer of rows.
// CHECK:         tile.copy_bulk {{.*}} to <64x128xf8E4M3FN, swizzle>
// CHECK:         tile.copy_bulk {{.*}} to <64xf32>

// Two more versions of product 2, each with one fragment of 64 weight rows.
// CHECK:       tile.mma {{.*}} reuse(
// CHECK:       tile.mma {{.*}} reuse(
// CHECK:       tile.mma {{.*}} -> !tile.pending<tensor<64x8xf32
// CHECK:       scf.if {{.*}} -> (tensor<64x8xf32
// CHECK:         tile.mma {{.*}} -> !tile.pending<tensor<64x8xf32
// CHECK:       tile.mma {{.*}} -> !tile.pending<tensor<64x16xf32
// CHECK:       scf.if {{.*}} -> (tensor<64x16xf32
// Biases come with the tile's scales, 256 words, and are added to its sums: rows of a fragment where weights are its rows, columns at 128 rows.
// BIAS:        tile.alloc : <4x256xf32>
// BIAS:        tile.copy_bulk {{.*}} : memref<5x13x256xf32> to <256xf32>
// BIAS:        tile.read_vector {{.*}} : <4x256xf32> -> tensor<64xf32, #tile.fragment<rows>>
// BIAS:        tile.map
// BIAS-NEXT:   ^bb0(%[[S:.*]]: f32, %[[B:.*]]: f32):
// BIAS-DAG:    %[[S16:.*]] = arith.truncf %[[S]] : f32 to bf16
// BIAS-DAG:    %[[B16:.*]] = arith.truncf %[[B]] : f32 to bf16
// BIAS:        arith.addf %[[S16]], %[[B16]] {{.*}}: bf16
// BIAS:        tile.read_vector {{.*}} : <4x256xf32> -> tensor<128xf32, #tile.fragment<columns>>
module {
  func.func private @k0(%x: memref<2x?x128xf8E4M3FN>, %sx: memref<2x?xf32>, %w1: memref<5x13x2x256x128xf8E4M3FN>, %s1: memref<5x13x4xf32>, %w2: memref<5x1x13x256x128xf8E4M3FN>, %s2: memref<5x1x28xf32>, %items: memref<?xi32>, %counters: memref<?xi32>, %y: memref<?x200xbf16>, %h: memref<13x?x128xf8E4M3FN>, %sh: memref<13x?xf32>) attributes {moe.kernel} {
    moe.expert_products %x, %sx w1(%w1, %s1) w2(%w2, %s2) items(%items, %counters) outs(%y, %h, %sh) {hidden = 200 : i64, intermediate = 1600 : i64} : (memref<2x?x128xf8E4M3FN>, memref<2x?xf32>, memref<5x13x2x256x128xf8E4M3FN>, memref<5x13x4xf32>, memref<5x1x13x256x128xf8E4M3FN>, memref<5x1x28xf32>, memref<?xi32>, memref<?xi32>, memref<?x200xbf16>, memref<13x?x128xf8E4M3FN>, memref<13x?xf32>) -> () {
    ^bb0(%g: f32, %u: f32):
      %r = arith.mulf %g, %u : f32
      moe.yield %r : f32
    }
    return
  }
}
