// RUN: moe-opt %s --moe-tile-kernels=gpu=true -o %t.mlir
// RUN: FileCheck %s --check-prefix=HOST --input-file=%t.mlir
// RUN: FileCheck %s --check-prefix=FEW --input-file=%t.mlir
// RUN: FileCheck %s --check-prefix=ROWS --input-file=%t.mlir
// RUN: moe-opt %t.mlir --pass-pipeline='builtin.module(builtin.module(canonicalize,cse,moe-lower-tile))' | FileCheck %s --check-prefix=LOWERED

// Up to 24 tokens are routed and quantized by one launch, of a block for every 8 blocks of columns; the launch of moe.quantize_rows has no items then.
// More tokens: a block for every 32 of them, and 1 block of 8 warps a token and 8 blocks of columns.
// HOST-LABEL: func.func @host
// HOST:         %[[T:.*]] = memref.dim %{{.*}}, %c0
// HOST:         %[[MANY:.*]] = arith.ceildivsi %[[T]], %c32
// HOST:         %[[ARE:.*]] = arith.cmpi sgt, %[[T]], %c24
// HOST:         %[[COLUMNS:.*]] = arith.muli %[[T]], %c2
// HOST:         %[[SOME:.*]] = arith.ceildivsi %[[COLUMNS]], %c8
// HOST:         %[[ITEMS:.*]] = arith.select %[[ARE]], %[[MANY]], %[[SOME]]
// HOST:         %[[BLOCKS:.*]] = arith.maxsi %[[ITEMS]], %c1
// HOST:         moe.launch @k0_route_rows({{.*}}) items(%[[BLOCKS]])
// HOST:         %[[ARE2:.*]] = arith.cmpi sgt, %{{.*}}, %c24
// HOST:         %[[ITEMS2:.*]] = arith.select %[[ARE2]], %{{.*}}, %c0
// HOST:         moe.launch @k1_quantize_rows({{.*}}) items(%[[ITEMS2]])

// Many tokens meet at a barrier in memory; few are quantized while they are routed, and written once all of them are placed.
// FEW-LABEL:   func.func @k0_route_rows
// FEW:           tile.start {dependent}
// FEW:           scf.if
// FEW:             tile.atomic_add
// FEW:             tile.await_change
// FEW:             tile.codes
// FEW-NOT:         tile.atomic_add
// FEW:             tile.reduce {{ *}}max
// FEW-COUNT-3:     tile.sync %
// FEW:             tile.store %{{.*}}, %arg9
// FEW:             tile.store %{{.*}}, %arg8
// FEW:             tile.codes
// FEW:           return

// ROWS-LABEL:  func.func @k1_quantize_rows
// ROWS:          arith.divui
// ROWS:          tile.codes
// ROWS-COUNT-3:  tile.store
// ROWS-NOT:      tile.store
// ROWS:          return

// LOWERED-NOT: {{(= |^ +)tile[.]}}
module {
  func.func @host(%l: memref<?x8xf32>, %s: memref<2xi32>, %x: memref<?x200xbf16>, %w: memref<?x2xf32>, %p: memref<?xi32>, %i: memref<?xi32>, %n: memref<?xi32>, %h: memref<2048xi32>, %c: memref<2x?x128xf8E4M3FN>, %cs: memref<2x?xf32>) {
    moe.launch @k0_route_rows(%l, %s, %x, %w, %p, %i, %n, %h, %c, %cs) : (memref<?x8xf32>, memref<2xi32>, memref<?x200xbf16>, memref<?x2xf32>, memref<?xi32>, memref<?xi32>, memref<?xi32>, memref<2048xi32>, memref<2x?x128xf8E4M3FN>, memref<2x?xf32>)
    moe.launch @k1_quantize_rows(%x, %p, %c, %cs) : (memref<?x200xbf16>, memref<?xi32>, memref<2x?x128xf8E4M3FN>, memref<2x?xf32>)
    return
  }
  func.func private @k0_route_rows(%l: memref<?x8xf32>, %s: memref<2xi32>, %x: memref<?x200xbf16>, %w: memref<?x2xf32>, %p: memref<?xi32>, %i: memref<?xi32>, %n: memref<?xi32>, %h: memref<2048xi32>, %c: memref<2x?x128xf8E4M3FN>, %cs: memref<2x?xf32>) attributes {moe.kernel} {
    moe.route_rows %l sync(%s) rows(%x) outs(%w, %p, %i, %n, %h, %c, %cs) {few = 24 : i64, k = 2 : i64, padding = 184 : i64} : (memref<?x8xf32>, memref<2xi32>, memref<?x200xbf16>, memref<?x2xf32>, memref<?xi32>, memref<?xi32>, memref<?xi32>, memref<2048xi32>, memref<2x?x128xf8E4M3FN>, memref<2x?xf32>) -> ()
    return
  }
  func.func private @k1_quantize_rows(%x: memref<?x200xbf16>, %p: memref<?xi32>, %c: memref<2x?x128xf8E4M3FN>, %cs: memref<2x?xf32>) attributes {moe.kernel} {
    moe.quantize_rows %x at %p into(%c, %cs) outs(%c, %cs) {few = 24 : i64, k = 2 : i64, padding = 184 : i64} : (memref<?x200xbf16>, memref<?xi32>, memref<2x?x128xf8E4M3FN>, memref<2x?xf32>, memref<2x?x128xf8E4M3FN>, memref<2x?xf32>) -> ()
    return
  }
}
