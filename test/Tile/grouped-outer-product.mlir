// RUN: moe-opt %s -moe-tile-kernels="gpu=true" --canonicalize --cse -o %t.mlir
// RUN: FileCheck %s --input-file=%t.mlir
// RUN: FileCheck %s --input-file=%t.mlir --check-prefix=PLAIN
// RUN: moe-opt %s -moe-tile-kernels="isas=x86-64-v4" | FileCheck %s --check-prefix=CPU

// The contraction over the rows of each group: on Hopper one block a multiprocessor, whose boxes of dy and x come through tensor maps. 200 x 264 are two
// tiles of 128 x 256 in each dim.
// CHECK-LABEL: func.func @main
// CHECK:         moe.launch @k0(%{{.*}}) items(%c20)
// CHECK:       module @gpu attributes {moe.device}
// CHECK:         func.func @k0(%[[DY:.*]]: memref<?x200xbf16> {moe.tensor_map = {box = array<i64: 64, 64>, l2_promotion = 256 : i64, swizzle = 128 : i64}}, %[[X:.*]]: memref<?x264xbf16> {moe.tensor_map = {box = array<i64: 64, 64>, l2_promotion = 256 : i64, swizzle = 128 : i64}}, %[[OFFSETS:.*]]: memref<6xi32>, %[[OUT:.*]]: memref<5x200x264xf32>, %{{.*}}: index {moe.items}) attributes {moe.hot, moe.kernel, moe.launch_config = {}, {{.*}}tile.dependent, tile.grid = "multiprocessor", tile.threads = 384 : i32}
// CHECK:           %[[A:.*]] = tile.alloc : <8x64x64xbf16, swizzle>
// CHECK:           %[[B:.*]] = tile.alloc : <16x64x64xbf16, swizzle>
// CHECK:           %[[FULL:.*]] = tile.barriers 1 : <4>
// CHECK:           %[[EMPTY:.*]] = tile.barriers 8 : <4>
// CHECK:           tile.start {dependent}
// One thread copies: two boxes of dy, four of x.
// CHECK:           tile.roles warps [0, 4] single [true, false] registers [40, 232, 232] {
// CHECK:             scf.while
// CHECK:               tile.load %[[OFFSETS]]
// CHECK:               tile.load %[[OFFSETS]]
// CHECK:               scf.for
// CHECK:                 tile.wait %[[EMPTY]]
// CHECK:                 tile.expect %[[FULL]][%{{.*}}], %c49152_i32
// CHECK-COUNT-2:         tile.copy_box %[[DY]]
// CHECK-COUNT-4:         tile.copy_box %[[X]]
// Two warpgroups multiply; rows of the next group are zero before.
// CHECK:           }, {
// CHECK:             scf.while
// CHECK:               %[[SUM:.*]]:3 = scf.for
// CHECK:                 tile.wait %[[FULL]]
// CHECK:                 scf.if
// CHECK-COUNT-12:          tile.write %{{.*}} : vector<4xi32>
// CHECK:                   tile.fence_async
// CHECK:                   tile.sync %{{.*}}, 256
// CHECK:                 tile.mma %{{.*}} by %{{.*}} accumulators(%{{.*}}) {transposed} : (!tile.shared<64x64xbf16, swizzle>, !tile.shared<4x64x64xbf16, swizzle>, tensor<64x256xf32, #tile.fragment<mma>>)
// CHECK:                 tile.mma_wait
// CHECK:                 tile.arrive %[[EMPTY]][%{{.*}}] {warp}
// CHECK:               tile.store_fragment %[[SUM]]#2, %[[OUT]][%{{.*}}] rows %{{.*}} columns %{{.*}} stride 264 : tensor<64x256xf32, #tile.fragment<mma>>, memref<5x200x264xf32>

// Rows that no box can be cut from stay plain loops: a thread has an element.
// PLAIN:         func.func @k1(%[[DY:.*]]: memref<?x12xbf16>, %[[X:.*]]: memref<?x7xbf16>, %[[OFFSETS:.*]]: memref<6xi32>, %[[OUT:.*]]: memref<5x12x7xf32>, %[[BEGIN:.*]]: index, %[[END:.*]]: index) attributes {moe.kernel}
// PLAIN:           scf.for
// PLAIN:             %[[LO:.*]] = memref.load %[[OFFSETS]]
// PLAIN:             %[[HI:.*]] = memref.load %[[OFFSETS]]
// PLAIN:             scf.for %[[P:.*]] = %{{.*}} to %{{.*}} step %{{.*}} iter_args
// PLAIN:               memref.load %[[DY]][%[[P]],
// PLAIN:               memref.load %[[X]][%[[P]],
// PLAIN:               arith.addf
// PLAIN:             memref.store %{{.*}}, %[[OUT]]

// CPU:         func.func @k0(
// CPU-NOT:     tile.
// CPU:           memref.store %{{.*}} : memref<5x200x264xf32>
func.func @main(%dy: memref<?x200xbf16>, %x: memref<?x264xbf16>, %o: memref<6xi32>, %dw: memref<5x200x264xf32>, %dz: memref<?x12xbf16>, %z: memref<?x7xbf16>, %dv: memref<5x12x7xf32>) attributes {moe.entry} {
  moe.launch @k0(%dy, %x, %o, %dw) : (memref<?x200xbf16>, memref<?x264xbf16>, memref<6xi32>, memref<5x200x264xf32>)
  moe.launch @k1(%dz, %z, %o, %dv) : (memref<?x12xbf16>, memref<?x7xbf16>, memref<6xi32>, memref<5x12x7xf32>)
  return
}
func.func private @k0(%dy: memref<?x200xbf16>, %x: memref<?x264xbf16>, %o: memref<6xi32>, %dw: memref<5x200x264xf32>) attributes {moe.kernel} {
  moe.grouped_outer_product %dy, %x offsets(%o) outs(%dw) : (memref<?x200xbf16>, memref<?x264xbf16>, memref<6xi32>, memref<5x200x264xf32>) -> ()
  return
}
func.func private @k1(%dy: memref<?x12xbf16>, %x: memref<?x7xbf16>, %o: memref<6xi32>, %dw: memref<5x12x7xf32>) attributes {moe.kernel} {
  moe.grouped_outer_product %dy, %x offsets(%o) outs(%dw) : (memref<?x12xbf16>, memref<?x7xbf16>, memref<6xi32>, memref<5x12x7xf32>) -> ()
  return
}
