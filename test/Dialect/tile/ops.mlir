// RUN: moe-opt %s | moe-opt | FileCheck %s
// RUN: moe-opt %s --mlir-print-op-generic | moe-opt | FileCheck %s

// Every op, type and attribute of the tile dialect survives printing and parsing.

// CHECK-LABEL: func.func @frame
// CHECK-SAME:    tile.threads = 384 : i32
func.func @frame() attributes {tile.threads = 384 : i32} {
  // CHECK: tile.alloc : <4x256x128xf8E4M3FN, swizzle>
  %ring = tile.alloc : !tile.shared<4x256x128xf8E4M3FN, swizzle>
  // CHECK: tile.alloc : <64xf32>
  %scales = tile.alloc : !tile.shared<64xf32>
  // CHECK: tile.barriers 8 : <4>
  %full = tile.barriers 8 : !tile.barriers<4>
  // CHECK: tile.start {dependent}
  tile.start {dependent}
  // CHECK: tile.id thread
  %t = tile.id thread
  // CHECK: tile.id lane
  %l = tile.id lane
  // CHECK: tile.id warp
  %w = tile.id warp
  // CHECK: tile.id warpgroup
  %g = tile.id warpgroup
  // CHECK: tile.id block
  %b = tile.id block
  // CHECK: tile.id blocks
  %n = tile.id blocks
  // CHECK:      tile.roles warps [0, 1, 4] single [false, true, false] registers [40, 232, 232] {
  // CHECK:        tile.sync %{{.*}}, 32
  // CHECK-NEXT: }, {
  // CHECK:      }, {
  // CHECK-NEXT:   tile.fence_async
  // CHECK-NEXT: }
  tile.roles warps [0, 1, 4] single [false, true, false] registers [40, 232, 232] {
    %c1 = arith.constant 1 : i32
    tile.sync %c1, 32
  }, {
  }, {
    tile.fence_async
  }
  return
}

// CHECK-LABEL: func.func @no_budgets
// CHECK:         tile.roles warps [0] single [true] registers [] {
func.func @no_budgets() attributes {tile.threads = 32 : i32} {
  tile.roles warps [0] single [true] registers [] {
    tile.fence_async
  }
  return
}

// CHECK-LABEL: func.func @synchronization
// CHECK-SAME:    %[[C:[a-z0-9]+]]: memref<?xi32>, %[[I:[a-z0-9]+]]: i32
func.func @synchronization(%counters: memref<?xi32>, %i: i32) attributes {tile.threads = 128 : i32} {
  // CHECK: %[[B:.*]] = tile.barriers 1 : <2>
  %b = tile.barriers 1 : !tile.barriers<2>
  tile.start
  // CHECK: tile.wait %[[B]][%[[I]]], %[[I]] : <2>
  tile.wait %b[%i], %i : !tile.barriers<2>
  // CHECK: tile.arrive %[[B]][%[[I]]] : <2>
  tile.arrive %b[%i] : !tile.barriers<2>
  // CHECK: tile.arrive %[[B]][%[[I]]] {warp} : <2>
  tile.arrive %b[%i] {warp} : !tile.barriers<2>
  // CHECK: tile.expect %[[B]][%[[I]]], %[[I]] : <2>
  tile.expect %b[%i], %i : !tile.barriers<2>
  // CHECK: tile.sync %[[I]], 128
  tile.sync %i, 128
  // CHECK: tile.sync_warp
  tile.sync_warp
  // CHECK: tile.fence_async
  tile.fence_async
  // CHECK: tile.signal %[[C]][%[[I]]] : memref<?xi32>
  tile.signal %counters[%i] : memref<?xi32>
  // CHECK: tile.await %[[C]][%[[I]]], %[[I]] : memref<?xi32>
  tile.await %counters[%i], %i : memref<?xi32>
  // CHECK: tile.atomic_add %[[C]][%[[I]]], %[[I]] : memref<?xi32>
  %old = tile.atomic_add %counters[%i], %i : memref<?xi32>
  // CHECK: tile.atomic_add %[[C]][%[[I]]], %[[I]] {ordered} : memref<?xi32>
  %last = tile.atomic_add %counters[%i], %i {ordered} : memref<?xi32>
  // CHECK: tile.publish %[[I]], %[[C]][%[[I]]] : memref<?xi32>
  tile.publish %i, %counters[%i] : memref<?xi32>
  // CHECK: tile.await_change %[[C]][%[[I]]], %[[I]] : memref<?xi32>
  tile.await_change %counters[%i], %i : memref<?xi32>
  return
}

// CHECK-LABEL: func.func @lanes
func.func @lanes(%i: i32, %f: f32) attributes {tile.threads = 32 : i32} {
  // CHECK: tile.shuffle index %{{.*}}, %{{.*}} : i32
  %a = tile.shuffle index %i, %i : i32
  // CHECK: tile.shuffle xor %{{.*}}, %{{.*}} : f32
  %b = tile.shuffle xor %f, %i : f32
  // CHECK: tile.shuffle up %{{.*}}, %{{.*}} : i32
  %c = tile.shuffle up %i, %i : i32
  // CHECK: tile.reduce add %{{.*}}
  %d = tile.reduce add %i
  // CHECK: tile.reduce min %{{.*}}
  %e = tile.reduce min %i
  // CHECK: tile.reduce max %{{.*}}
  %g = tile.reduce max %i
  // CHECK: tile.codes %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} as f8E5M2
  %h = tile.codes %f, %f, %f, %f as f8E5M2
  return
}

// CHECK-LABEL: func.func @box
func.func @box(%x: memref<?x64xbf16> {moe.tensor_map = {box = array<i64: 64, 64>, swizzle = 128 : i64}}, %t: !tile.shared<64x64xbf16, swizzle>,
    %b: !tile.barriers<1>, %i: i32) attributes {moe.launch_config = {}} {
  // CHECK: tile.copy_box %{{.*}}[%{{.*}}, %{{.*}}] to %{{.*}}, %{{.*}}[%{{.*}}] : memref<?x64xbf16> to <64x64xbf16, swizzle>, <1>
  tile.copy_box %x[%i, %i] to %t, %b[%i] : memref<?x64xbf16> to !tile.shared<64x64xbf16, swizzle>, !tile.barriers<1>
  return
}

// CHECK-LABEL: func.func @memory
func.func @memory(%x: memref<?x128xf8E4M3FN>, %f: memref<?xf32>, %i: i32, %at: i64) attributes {tile.threads = 128 : i32} {
  %ring = tile.alloc : !tile.shared<4x256x128xf8E4M3FN, swizzle>
  %words = tile.alloc : !tile.shared<64xf32>
  %b = tile.barriers 1 : !tile.barriers<1>
  tile.start
  // A stage of the ring, then 64 of its rows.
  // CHECK: %[[STAGE:.*]] = tile.view %{{.*}}[%{{.*}} x 1] : <4x256x128xf8E4M3FN, swizzle> to <256x128xf8E4M3FN, swizzle>
  %stage = tile.view %ring[%i x 1] : !tile.shared<4x256x128xf8E4M3FN, swizzle> to !tile.shared<256x128xf8E4M3FN, swizzle>
  // CHECK: tile.view %[[STAGE]][%{{.*}} x 8] : <256x128xf8E4M3FN, swizzle> to <64x128xf8E4M3FN, swizzle>
  %rows = tile.view %stage[%i x 8] : !tile.shared<256x128xf8E4M3FN, swizzle> to !tile.shared<64x128xf8E4M3FN, swizzle>
  // CHECK: tile.copy_bulk %{{.*}}[%{{.*}}] to %[[STAGE]], %{{.*}}[%{{.*}}] bytes %{{.*}} : memref<?x128xf8E4M3FN> to <256x128xf8E4M3FN, swizzle>, <1>
  tile.copy_bulk %x[%at] to %stage, %b[%i] bytes %i : memref<?x128xf8E4M3FN> to !tile.shared<256x128xf8E4M3FN, swizzle>, !tile.barriers<1>
  // CHECK: tile.copy_gather %{{.*}}[%{{.*}}] to %{{.*}}[%{{.*}}, %{{.*}}] : memref<?x128xf8E4M3FN> to <64x128xf8E4M3FN, swizzle>
  tile.copy_gather %x[%at] to %rows[%i, %i] : memref<?x128xf8E4M3FN> to !tile.shared<64x128xf8E4M3FN, swizzle>
  // CHECK: tile.arrive_copies %{{.*}}[%{{.*}}] : <1>
  tile.arrive_copies %b[%i] : !tile.barriers<1>
  // CHECK: %[[V:.*]] = tile.read %{{.*}}[%{{.*}}] : <64xf32> -> vector<4xf32>
  %v = tile.read %words[%i] : !tile.shared<64xf32> -> vector<4xf32>
  // CHECK: tile.write %[[V]], %{{.*}}[%{{.*}}] : vector<4xf32>, <64xf32>
  tile.write %v, %words[%i] : vector<4xf32>, !tile.shared<64xf32>
  // CHECK: %[[S:.*]] = tile.load %{{.*}}[%{{.*}}] {constant} : memref<?xf32> -> f32
  %s = tile.load %f[%at] {constant} : memref<?xf32> -> f32
  // CHECK: tile.store %[[S]], %{{.*}}[%{{.*}}] : f32, memref<?xf32>
  tile.store %s, %f[%at] : f32, memref<?xf32>
  return
}

#mma = #tile.fragment<mma>
#half = #tile.fragment<half>
#rows = #tile.fragment<rows>
#columns = #tile.fragment<columns>

// CHECK-LABEL: func.func @products
func.func @products(%i: i32) attributes {tile.threads = 128 : i32} {
  %a = tile.alloc : !tile.shared<64x128xf8E4M3FN, swizzle>
  %b = tile.alloc : !tile.shared<16x128xf8E5M2, swizzle>
  // CHECK: %[[P:.*]] = tile.mma %[[A:.*]] by %[[B:.*]] : (!tile.shared<64x128xf8E4M3FN, swizzle>, !tile.shared<16x128xf8E5M2, swizzle>) -> !tile.pending<tensor<64x16xf32, #tile.fragment<mma>>>
  %p = tile.mma %a by %b : (!tile.shared<64x128xf8E4M3FN, swizzle>, !tile.shared<16x128xf8E5M2, swizzle>) -> !tile.pending<tensor<64x16xf32, #mma>>
  // CHECK: %[[F:.*]] = tile.mma_wait %[[P]] : (!tile.pending<tensor<64x16xf32, #tile.fragment<mma>>>) -> tensor<64x16xf32, #tile.fragment<mma>>
  %f = tile.mma_wait %p : (!tile.pending<tensor<64x16xf32, #mma>>) -> tensor<64x16xf32, #mma>
  // CHECK: tile.mma %[[A]], %[[A]] by %[[B]], %[[B]] accumulators(%[[F]], %[[F]]) :
  %q:2 = tile.mma %a, %a by %b, %b accumulators(%f, %f) : (!tile.shared<64x128xf8E4M3FN, swizzle>, !tile.shared<64x128xf8E4M3FN, swizzle>, !tile.shared<16x128xf8E5M2, swizzle>, !tile.shared<16x128xf8E5M2, swizzle>, tensor<64x16xf32, #mma>, tensor<64x16xf32, #mma>) -> (!tile.pending<tensor<64x16xf32, #mma>>, !tile.pending<tensor<64x16xf32, #mma>>)
  // CHECK: tile.mma_wait {{.*}} {in_flight = 1 : i32} :
  %g:2 = tile.mma_wait %q#0, %q#1 {in_flight = 1 : i32} : (!tile.pending<tensor<64x16xf32, #mma>>, !tile.pending<tensor<64x16xf32, #mma>>) -> (tensor<64x16xf32, #mma>, tensor<64x16xf32, #mma>)
  // CHECK: tile.mma %[[A]] by %[[B]] reuse(%{{.*}}) :
  %r = tile.mma %a by %b reuse(%g#0) : (!tile.shared<64x128xf8E4M3FN, swizzle>, !tile.shared<16x128xf8E5M2, swizzle>, tensor<64x16xf32, #mma>) -> !tile.pending<tensor<64x16xf32, #mma>>
  return
}

// CHECK-LABEL: func.func @fragments
func.func @fragments(%v: f32, %i: i32) attributes {tile.threads = 128 : i32} {
  %vector = tile.alloc : !tile.shared<256xf32>
  %staging = tile.alloc : !tile.shared<9216xi8>
  // CHECK: %[[M:.*]] = tile.splat %[[V:.*]] : f32 -> tensor<64x32xf32, #tile.fragment<mma>>
  %m = tile.splat %v : f32 -> tensor<64x32xf32, #mma>
  // CHECK: %[[R:.*]] = tile.splat %[[V]], %[[V]] : f32, f32 -> tensor<64xf32, #tile.fragment<rows>>
  %r = tile.splat %v, %v : f32, f32 -> tensor<64xf32, #rows>
  // CHECK: %[[C:.*]] = tile.read_vector %{{.*}}[%{{.*}}] : <256xf32> -> tensor<32xf32, #tile.fragment<columns>>
  %c = tile.read_vector %vector[%i] : !tile.shared<256xf32> -> tensor<32xf32, #columns>
  // CHECK: tile.write_vector %[[C]], %{{.*}}[%{{.*}}] : tensor<32xf32, #tile.fragment<columns>>, <256xf32>
  tile.write_vector %c, %vector[%i] : tensor<32xf32, #columns>, !tile.shared<256xf32>
  // CHECK: tile.promote %[[M]], %[[M]] rows %[[R]] columns %[[C]] : tensor<64x32xf32, #tile.fragment<mma>>, tensor<64xf32, #tile.fragment<rows>>, tensor<32xf32, #tile.fragment<columns>>
  %sum = tile.promote %m, %m rows %r columns %c : tensor<64x32xf32, #mma>, tensor<64xf32, #rows>, tensor<32xf32, #columns>
  // CHECK: tile.promote {{.*}} {pin} :
  %pinned = tile.promote %m, %sum rows %r columns %c {pin} : tensor<64x32xf32, #mma>, tensor<64xf32, #rows>, tensor<32xf32, #columns>
  // CHECK: %[[H:.*]] = tile.select_rows %{{.*}} half 1 : tensor<64x32xf32, #tile.fragment<mma>> -> tensor<32x32xf32, #tile.fragment<half>>
  %h = tile.select_rows %pinned half 1 : tensor<64x32xf32, #mma> -> tensor<32x32xf32, #half>
  // CHECK: tile.select_columns %{{.*}} first 1 step 2 : tensor<64x32xf32, #tile.fragment<mma>> -> tensor<64x16xf32, #tile.fragment<mma>>
  %odd = tile.select_columns %pinned first 1 step 2 : tensor<64x32xf32, #mma> -> tensor<64x16xf32, #mma>
  // CHECK:      tile.map %[[H]], %[[C]] : (tensor<32x32xf32, #tile.fragment<half>>, tensor<32xf32, #tile.fragment<columns>>) -> (tensor<32x32xf32, #tile.fragment<half>>, tensor<32x32xf32, #tile.fragment<half>>) {
  // CHECK-NEXT: ^bb0(%[[X:.*]]: f32, %[[Y:.*]]: f32):
  // CHECK-NEXT:   %[[XY:.*]] = arith.mulf %[[X]], %[[Y]] : f32
  // CHECK-NEXT:   tile.yield %[[XY]], %[[X]] : f32, f32
  %x:2 = tile.map %h, %c : (tensor<32x32xf32, #half>, tensor<32xf32, #columns>) -> (tensor<32x32xf32, #half>, tensor<32x32xf32, #half>) {
  ^bb0(%a: f32, %b: f32):
    %ab = arith.mulf %a, %b : f32
    tile.yield %ab, %a : f32, f32
  }
  // CHECK: tile.max %{{.*}}, %{{.*}} init 1.000000e-10 : (tensor<32x32xf32, #tile.fragment<half>>, tensor<32x32xf32, #tile.fragment<half>>) -> tensor<32xf32, #tile.fragment<columns>>
  %largest = tile.max %x#0, %x#1 init 1.0e-10 : (tensor<32x32xf32, #half>, tensor<32x32xf32, #half>) -> tensor<32xf32, #columns>
  // CHECK: %[[PAIRS:.*]] = tile.pack %{{.*}}, %{{.*}} as f8E4M3FN : tensor<32x32xf32, #tile.fragment<half>> -> tensor<32x32xi16, #tile.fragment<half>>
  %pairs = tile.pack %x#0, %x#1 as f8E4M3FN : tensor<32x32xf32, #half> -> tensor<32x32xi16, #half>
  // CHECK: tile.store_matrix %[[PAIRS]], %{{.*}}[%{{.*}}] stride 144 {transposed} : tensor<32x32xi16, #tile.fragment<half>>, <9216xi8>
  tile.store_matrix %pairs, %staging[%i] stride 144 {transposed} : tensor<32x32xi16, #half>, !tile.shared<9216xi8>
  // CHECK: tile.store_matrix %{{.*}}, %{{.*}}[%{{.*}}] stride 144 : tensor<64x32xf32, #tile.fragment<mma>>, <9216xi8>
  tile.store_matrix %pinned, %staging[%i] stride 144 : tensor<64x32xf32, #mma>, !tile.shared<9216xi8>
  return
}

// Operands whose K leads, and sums that go to memory.
// CHECK-LABEL: func.func @transposed
func.func @transposed(%out: memref<200x264xbf16>, %at: i64, %i: i32) attributes {tile.threads = 128 : i32} {
  %a = tile.alloc : !tile.shared<32x64xf16, swizzle>
  %b = tile.alloc : !tile.shared<2x32x64xf16, swizzle>
  // CHECK: tile.mma %{{.*}} by %{{.*}} {transposed} : (!tile.shared<32x64xf16, swizzle>, !tile.shared<2x32x64xf16, swizzle>) -> !tile.pending<tensor<64x128xf32, #tile.fragment<mma>>>
  %p = tile.mma %a by %b {transposed} : (!tile.shared<32x64xf16, swizzle>, !tile.shared<2x32x64xf16, swizzle>) -> !tile.pending<tensor<64x128xf32, #mma>>
  // CHECK: %[[F:.*]] = tile.mma_wait
  %f = tile.mma_wait %p : (!tile.pending<tensor<64x128xf32, #mma>>) -> tensor<64x128xf32, #mma>
  // CHECK: tile.store_fragment %[[F]], %{{.*}}[%{{.*}}] rows %{{.*}} columns %{{.*}} stride 264 : tensor<64x128xf32, #tile.fragment<mma>>, memref<200x264xbf16>
  tile.store_fragment %f, %out[%at] rows %i columns %i stride 264 : tensor<64x128xf32, #mma>, memref<200x264xbf16>
  return
}
