// RUN: moe-opt %s --split-input-file --moe-lower-tile --cse | FileCheck %s

#mma = #tile.fragment<mma>
#half = #tile.fragment<half>
#rows = #tile.fragment<rows>
#columns = #tile.fragment<columns>

// Shared memory: swizzled tiles first, at multiples of 1024; then the others at multiples of 128; barriers last.
// 0: 8192 bytes; 8192: 40 bytes; 8320: 4 bytes; 8328: two barriers.
// CHECK:       llvm.mlir.global external @tile_shared() {addr_space = 3 : i32, alignment = 1024 : i64} : !llvm.array<0 x i8>
// CHECK-LABEL: func.func @plan
// CHECK-SAME:    tile.shared_bytes = 8344 : i64
// CHECK-NOT:     tile.barrier_plan
// CHECK:         %[[BASE:.*]] = llvm.mlir.addressof @tile_shared : !llvm.ptr<3>
// CHECK-DAG:     %[[WORDS:.*]] = llvm.getelementptr %[[BASE]][8192]
// CHECK-DAG:     %[[ONE:.*]] = llvm.getelementptr %[[BASE]][8320]
// CHECK:         scf.if
// CHECK:           %[[B0:.*]] = llvm.getelementptr %[[BASE]][8328]
// CHECK:           %[[A0:.*]] = llvm.ptrtoint %[[B0]] : !llvm.ptr<3> to i32
// CHECK:           llvm.inline_asm has_side_effects {{.*}} "mbarrier.init.shared::cta.b64 [$0], $1;", "r,r,~{memory}" %[[A0]], %c3_i32
// CHECK:           llvm.getelementptr %[[BASE]][8336]
// CHECK:           "mbarrier.init.shared::cta.b64 [$0], $1;"
// CHECK:           "fence.mbarrier_init.release.cluster;"
// CHECK:         nvvm.barrier id = %c0_i32 number_of_threads = %c128_i32
// CHECK:         "griddepcontrol.wait;"
// CHECK:         "griddepcontrol.launch_dependents;"
// CHECK:         llvm.getelementptr %[[WORDS]][%c0_i32]
// CHECK:         llvm.getelementptr %[[ONE]][%c0_i32]
func.func @plan(%x: memref<?xf32>, %at: i64) attributes {tile.threads = 128 : i32} {
  %words = tile.alloc : !tile.shared<10xf32>
  %one = tile.alloc : !tile.shared<4xi8>
  %ring = tile.alloc : !tile.shared<64x128xf8E4M3FN, swizzle>
  %b = tile.barriers 3 : !tile.barriers<2>
  tile.start {dependent}
  %c0 = arith.constant 0 : i32
  %v = tile.read %words[%c0] : !tile.shared<10xf32> -> f32
  %w = tile.read %one[%c0] : !tile.shared<4xi8> -> f32
  %s = arith.addf %v, %w : f32
  tile.store %s, %x[%at] : f32, memref<?xf32>
  return
}

// A kernel without shared memory needs no array.
// CHECK-LABEL: func.func @nothing_shared
// CHECK-SAME:    tile.shared_bytes = 0 : i64
// CHECK:         nvvm.barrier
// CHECK-NOT:     griddepcontrol
func.func @nothing_shared() attributes {tile.threads = 64 : i32} {
  tile.start
  return
}

// Only kernels are lowered.
// CHECK-LABEL: func.func @left_alone
// CHECK-NOT:     tile.shared_bytes
// CHECK:         tile.sync_warp
func.func @left_alone() {
  tile.sync_warp
  return
}

// Whole warps make a number uniform, so that happens at the start, also for code that one lane runs.
// CHECK-LABEL: func.func @ids
// CHECK-SAME:    (%[[X:[a-z0-9]+]]: memref<?xi32>, %[[C:[a-z0-9]+]]: i1)
// CHECK:         nvvm.shfl.sync idx
// CHECK:         nvvm.shfl.sync idx
// CHECK:         scf.if %[[C]]
// CHECK-NEXT:      arith.andi %{{.*}}, %c31_i32
// CHECK-NEXT:      nvvm.read.ptx.sreg.ctaid.x
// CHECK-NEXT:      nvvm.read.ptx.sreg.nctaid.x
// CHECK-NEXT:      arith.addi
func.func @ids(%x: memref<?xi32>, %c: i1) attributes {tile.threads = 256 : i32} {
  scf.if %c {
    %t = tile.id thread
    %l = tile.id lane
    %w = tile.id warp
    %g = tile.id warpgroup
    %b = tile.id block
    %n = tile.id blocks
    %s0 = arith.addi %t, %l : i32
    %s1 = arith.addi %s0, %w : i32
    %s2 = arith.addi %s1, %g : i32
    %s3 = arith.addi %s2, %b : i32
    %s4 = arith.addi %s3, %n : i32
    %zero = arith.constant 0 : i64
    tile.store %s4, %x[%zero] : i32, memref<?xi32>
  }
  return
}

// -----

// Roles: a condition on the warpgroup, the budget, then one on the warp or lane. The budget of launch is 168 registers here.
// CHECK-LABEL: func.func @roles
// CHECK:         %[[LANE:.*]] = arith.andi %{{.*}}, %c31_i32
// CHECK:         %[[FIRST:.*]] = arith.cmpi ult, %{{.*}}, %c1_i32
// CHECK:         scf.if %[[FIRST]] {
// CHECK-NEXT:      nvvm.setmaxregister decrease 40
// CHECK-NEXT:      %[[W0:.*]] = arith.cmpi eq, %[[WARP:.*]], %c0_i32
// CHECK-NEXT:      scf.if %[[W0]] {
// CHECK-NEXT:        %[[L0:.*]] = arith.cmpi eq, %[[LANE]], %c0_i32
// CHECK-NEXT:        scf.if %[[L0]] {
// CHECK-NEXT:          llvm.inline_asm {{.*}}"fence.proxy.async;"
// CHECK:           %[[FROM:.*]] = arith.cmpi uge, %[[WARP]], %c1_i32
// CHECK:           %[[TO:.*]] = arith.cmpi ult, %[[WARP]], %c4_i32
// CHECK-NEXT:      %[[IN:.*]] = arith.andi %[[FROM]], %[[TO]]
// CHECK-NEXT:      scf.if %[[IN]] {
// CHECK-NEXT:        nvvm.bar.warp.sync
// CHECK:         } else {
// CHECK-NEXT:      nvvm.setmaxregister increase 232
// CHECK:           nvvm.barrier id = %{{.*}} number_of_threads = %c256_i32
// CHECK-NEXT:    }
// CHECK-NEXT:    return
func.func @roles() attributes {tile.threads = 384 : i32} {
  %c1 = arith.constant 1 : i32
  tile.roles warps [0, 1, 4] single [true, false, false] registers [40, 232, 232] {
    tile.fence_async
  }, {
    tile.sync_warp
  }, {
    tile.sync %c1, 256
  }
  return
}

// -----

// CHECK-LABEL: func.func @synchronization
// CHECK-SAME:    (%[[C:[a-z0-9]+]]: memref<?xi32>, %[[I:[a-z0-9]+]]: i32, %[[N:[a-z0-9]+]]: i32)
// CHECK:         %[[SCALED:.*]] = arith.muli %[[I]], %c8_i32
// CHECK:         %[[P:.*]] = llvm.getelementptr %{{.*}}[%[[SCALED]]]
// CHECK:         %[[B:.*]] = llvm.ptrtoint %[[P]] : !llvm.ptr<3> to i32
// CHECK:         "{ .reg .pred p; L: mbarrier.try_wait.parity.shared::cta.b64 p, [$0], $1; @p bra D; bra L; D: }", "r,r,~{memory}" %[[B]], %[[N]]
// CHECK:         "mbarrier.arrive.shared::cta.b64 _, [$0];", "r,~{memory}" %[[B]]
// CHECK:         nvvm.bar.warp.sync
// CHECK:         "{ .reg .pred p; setp.eq.u32 p, $1, 0; @p mbarrier.arrive.shared::cta.b64 _, [$0]; }"
// CHECK:         "mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], $1;", "r,r,~{memory}" %[[B]], %[[N]]
// CHECK:         nvvm.barrier id = %[[N]] number_of_threads = %c64_i32
// CHECK:         "fence.proxy.async;"
// CHECK:         "fence.acq_rel.gpu; red.release.gpu.global.add.u32 [$0], 1;", "l,~{memory}"
// CHECK:         "{ .reg .pred p; .reg .u32 v; L: ld.acquire.gpu.global.u32 v, [$0]; setp.ge.u32 p, v, $1; @p bra D; bra L; D: }", "l,r,~{memory}"
// CHECK-NEXT:    {{.*}}"fence.proxy.async;"
// CHECK:         "atom.add.relaxed.gpu.global.u32 $0, [$1], $2;", "=r,l,r,~{memory}"
// CHECK:         "atom.add.acq_rel.gpu.global.u32 $0, [$1], $2;", "=r,l,r,~{memory}"
// CHECK:         "st.release.gpu.global.u32 [$0], $1;", "l,r,~{memory}"
// CHECK:         "{ .reg .pred p; .reg .u32 v; L: ld.acquire.gpu.global.u32 v, [$0]; setp.ne.u32 p, v, $1; @p bra D; bra L; D: }", "l,r,~{memory}"
func.func @synchronization(%c: memref<?xi32>, %i: i32, %n: i32) attributes {tile.threads = 128 : i32} {
  %b = tile.barriers 1 : !tile.barriers<2>
  tile.start
  tile.wait %b[%i], %n : !tile.barriers<2>
  tile.arrive %b[%i] : !tile.barriers<2>
  tile.arrive %b[%i] {warp} : !tile.barriers<2>
  tile.expect %b[%i], %n : !tile.barriers<2>
  tile.sync %n, 64
  tile.fence_async
  tile.signal %c[%i] : memref<?xi32>
  tile.await %c[%i], %n : memref<?xi32>
  %old = tile.atomic_add %c[%i], %n : memref<?xi32>
  %last = tile.atomic_add %c[%i], %old {ordered} : memref<?xi32>
  tile.publish %last, %c[%i] : memref<?xi32>
  tile.await_change %c[%i], %last : memref<?xi32>
  return
}

// -----

// What the lanes of a warp do together. `up` keeps the own value of the lowest lanes: the clamp is 0.
// CHECK-LABEL: func.func @lanes
// CHECK-SAME:    (%[[X:[a-z0-9]+]]: memref<?xi32>, %[[I:[a-z0-9]+]]: i32, %[[F:[a-z0-9]+]]: f32)
// CHECK:         nvvm.shfl.sync idx %c-1_i32, %[[I]], %[[I]], %c31_i32 : i32 -> i32
// CHECK:         nvvm.shfl.sync bfly %c-1_i32, %[[F]], %[[I]], %c31_i32 : f32 -> f32
// CHECK:         nvvm.shfl.sync up %c-1_i32, %[[I]], %[[I]], %c0_i32 : i32 -> i32
// CHECK:         nvvm.redux.sync add %[[I]], %c-1_i32
// CHECK:         nvvm.redux.sync umin %[[I]], %c-1_i32
// CHECK:         nvvm.redux.sync umax %[[I]], %c-1_i32
// CHECK:         "cvt.rn.satfinite.e4m3x2.f32 $0, $2, $1;", "=h,f,f" %[[F]], %{{.*}}
// CHECK:         "cvt.rn.satfinite.e4m3x2.f32 $0, $2, $1;", "=h,f,f"
func.func @lanes(%x: memref<?xi32>, %i: i32, %f: f32) attributes {tile.threads = 32 : i32} {
  %a = tile.shuffle index %i, %i : i32
  %b = tile.shuffle xor %f, %i : f32
  %c = tile.shuffle up %i, %i : i32
  %d = tile.reduce add %i
  %e = tile.reduce min %i
  %g = tile.reduce max %i
  %h = tile.codes %f, %b, %b, %f as f8E4M3FN
  %s0 = arith.addi %a, %c : i32
  %s1 = arith.addi %s0, %d : i32
  %s2 = arith.addi %s1, %e : i32
  %s3 = arith.addi %s2, %g : i32
  %s4 = arith.addi %s3, %h : i32
  %zero = arith.constant 0 : i64
  tile.store %s4, %x[%zero] : i32, memref<?xi32>
  return
}

// -----

// CHECK-LABEL: func.func @memory
// CHECK-SAME:    (%[[X:[a-z0-9]+]]: memref<?x128xf8E4M3FN>, %[[F:[a-z0-9]+]]: memref<?xf32>, %[[I:[a-z0-9]+]]: i32, %[[AT:[a-z0-9]+]]: i64)
// CHECK:         %[[STAGE_BYTES:.*]] = arith.muli %[[I]], %c32768_i32
// CHECK:         %[[STAGE:.*]] = llvm.getelementptr %{{.*}}[%[[STAGE_BYTES]]]
// CHECK:         %[[ROW_BYTES:.*]] = arith.muli %[[I]], %c8192_i32
// CHECK:         llvm.getelementptr %[[STAGE]][%[[ROW_BYTES]]]
// CHECK:         %[[FROM:.*]] = llvm.getelementptr %{{.*}}[%[[AT]]] : (!llvm.ptr<1>, i64)
// CHECK:         "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [$0], [$1], $2, [$3];", "r,l,r,r,~{memory}" %{{.*}}, %[[FROM]], %[[I]], %{{.*}}
// Piece p of row r lies at p xor (r mod 8), 16 bytes each; rows have 128.
// CHECK:         %[[MOD:.*]] = arith.andi %[[I]], %c7_i32
// CHECK:         %[[PIECE:.*]] = arith.xori %[[I]], %[[MOD]]
// CHECK:         %[[ROW:.*]] = arith.shli %[[I]], %c7_i32
// CHECK:         %[[IN_ROW:.*]] = arith.shli %[[PIECE]], %c4_i32
// CHECK:         %[[TO:.*]] = arith.addi %[[ROW]], %[[IN_ROW]]
// CHECK:         llvm.getelementptr %{{.*}}[%[[TO]]]
// CHECK:         "cp.async.cg.shared.global [$0], [$1], 16;", "r,l,~{memory}"
// CHECK:         "cp.async.mbarrier.arrive.noinc.shared::cta.b64 [$0];"
// CHECK:         llvm.load %{{.*}} {alignment = 16 : i64} : !llvm.ptr<3> -> vector<4xf32>
// CHECK:         llvm.store %{{.*}}, %{{.*}} {alignment = 16 : i64} : vector<4xf32>, !llvm.ptr<3>
// CHECK:         llvm.load %{{.*}} invariant {alignment = 4 : i64} : !llvm.ptr<1> -> f32
// CHECK:         llvm.store %{{.*}}, %{{.*}} {alignment = 4 : i64} : f32, !llvm.ptr<1>
func.func @memory(%x: memref<?x128xf8E4M3FN>, %f: memref<?xf32>, %i: i32, %at: i64) attributes {tile.threads = 128 : i32} {
  %ring = tile.alloc : !tile.shared<4x256x128xf8E4M3FN, swizzle>
  %words = tile.alloc : !tile.shared<64xf32>
  %b = tile.barriers 1 : !tile.barriers<1>
  tile.start
  %stage = tile.view %ring[%i x 1] : !tile.shared<4x256x128xf8E4M3FN, swizzle> to !tile.shared<256x128xf8E4M3FN, swizzle>
  %part = tile.view %stage[%i x 64] : !tile.shared<256x128xf8E4M3FN, swizzle> to !tile.shared<64x128xf8E4M3FN, swizzle>
  tile.copy_bulk %x[%at] to %stage, %b[%i] bytes %i : memref<?x128xf8E4M3FN> to !tile.shared<256x128xf8E4M3FN, swizzle>, !tile.barriers<1>
  tile.copy_gather %x[%at] to %part[%i, %i] : memref<?x128xf8E4M3FN> to !tile.shared<64x128xf8E4M3FN, swizzle>
  tile.arrive_copies %b[%i] : !tile.barriers<1>
  %v = tile.read %words[%i] : !tile.shared<64xf32> -> vector<4xf32>
  tile.write %v, %words[%i] : vector<4xf32>, !tile.shared<64xf32>
  %s = tile.load %f[%at] {constant} : memref<?xf32> -> f32
  tile.store %s, %f[%at] : f32, memref<?xf32>
  return
}

// -----

#mma = #tile.fragment<mma>

// Four steps of 32 bytes; without accumulators the first one overwrites. The sums are loop-carried: one value for each of a thread's
// 8 elements. Operands' descriptors: address / 16, 1024 bytes between groups of 8 rows, 128-byte swizzle.
// CHECK-LABEL: func.func @products
// CHECK-SAME:    %[[Z:[a-z0-9]+]]: f32
// CHECK:         %{{.*}}:4 = scf.for %{{.*}} iter_args(%{{.*}} = %[[Z]], %{{.*}} = %[[Z]], %{{.*}} = %[[Z]], %{{.*}} = %[[Z]]) -> (f32, f32, f32, f32)
// CHECK:           nvvm.wgmma.fence.aligned
// CHECK:           %[[LOW:.*]] = arith.extui %{{.*}} : i32 to i64
// CHECK:           %[[DA:.*]] = arith.ori %[[LOW]], %c4611686293305360384_i64
// CHECK:           %[[DA1:.*]] = arith.addi %[[DA]], %c2_i64
// CHECK:           %[[UNDEF:.*]] = llvm.mlir.undef : !llvm.struct<(f32, f32, f32, f32)>
// CHECK:           %[[S0:.*]] = nvvm.wgmma.mma_async %[[DA]], %{{.*}}, %[[UNDEF]], <m = 64, n = 8, k = 32>, D[<f32>, <zero>], A[<e4m3>, <one>, <row>], B[<e5m2>, <one>, <col>]
// CHECK:           %[[S1:.*]] = nvvm.wgmma.mma_async %[[DA1]], %{{.*}}, %[[S0]], <m = 64, n = 8, k = 32>, D[<f32>, <one>]
// CHECK:           %[[S2:.*]] = nvvm.wgmma.mma_async %{{.*}}, %{{.*}}, %[[S1]],
// CHECK:           %[[S3:.*]] = nvvm.wgmma.mma_async %{{.*}}, %{{.*}}, %[[S2]],
// CHECK:           nvvm.wgmma.commit.group.sync.aligned
// CHECK:           llvm.extractvalue %[[S3]][0]
// CHECK:           %[[WAITED:.*]] = llvm.inline_asm has_side_effects {{.*}}"wgmma.wait_group.sync.aligned 0;", "=f,=f,=f,=f,0,1,2,3"
// CHECK:           %[[P0:.*]] = llvm.extractvalue %[[WAITED]][0]
// CHECK:           %[[SCALE:.*]] = arith.mulf
// CHECK:           llvm.intr.fma(%[[P0]], %[[SCALE]], %{{.*}})
// CHECK:           %[[PINNED:.*]] = llvm.inline_asm has_side_effects {{.*}}"// sums", "=f,=f,=f,=f,0,1,2,3"
// CHECK:           scf.yield %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : f32, f32, f32, f32
func.func @products(%n: index, %z: f32, %i: i32) attributes {tile.threads = 128 : i32} {
  %a = tile.alloc : !tile.shared<64x128xf8E4M3FN, swizzle>
  %b = tile.alloc : !tile.shared<8x128xf8E5M2, swizzle>
  %scales = tile.alloc : !tile.shared<64xf32>
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = tile.splat %z : f32 -> tensor<64x8xf32, #mma>
  %rows = tile.splat %z, %z : f32, f32 -> tensor<64xf32, #tile.fragment<rows>>
  %columns = tile.read_vector %scales[%i] : !tile.shared<64xf32> -> tensor<8xf32, #tile.fragment<columns>>
  %sum = scf.for %k = %c0 to %n step %c1 iter_args(%s = %zero) -> (tensor<64x8xf32, #mma>) {
    %p = tile.mma %a by %b : (!tile.shared<64x128xf8E4M3FN, swizzle>, !tile.shared<8x128xf8E5M2, swizzle>) -> !tile.pending<tensor<64x8xf32, #mma>>
    %f = tile.mma_wait %p : (!tile.pending<tensor<64x8xf32, #mma>>) -> tensor<64x8xf32, #mma>
    %t = tile.promote %f, %s rows %rows columns %columns {pin} : tensor<64x8xf32, #mma>, tensor<64xf32, #tile.fragment<rows>>, tensor<8xf32, #tile.fragment<columns>>
    scf.yield %t : tensor<64x8xf32, #mma>
  }
  tile.store_matrix %sum, %scales[%i] stride 16 : tensor<64x8xf32, #mma>, !tile.shared<64xf32>
  return
}

// -----

#mma = #tile.fragment<mma>

// With accumulators no step overwrites, and fence, steps and commit are one piece of assembly; 16-bit operands have 16 elements a step. Values go through
// conditions and loops of unknown length too.
// CHECK-LABEL: func.func @accumulate
// CHECK:         scf.if %{{.*}} -> (f32, f32, f32, f32)
// CHECK:         llvm.inline_asm has_side_effects asm_dialect = att "{ .reg .pred p; setp.ne.b32 p, 1, 0; wgmma.fence.sync.aligned;
// CHECK-SAME:      wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {$0, $1, $2, $3}, $4, $5, p, 1, 1, 0, 0;
// CHECK-SAME:      {$0, $1, $2, $3}, $6, $7, p, 1, 1, 0, 0;
// CHECK-SAME:      {$0, $1, $2, $3}, $8, $9, p, 1, 1, 0, 0;
// CHECK-SAME:      {$0, $1, $2, $3}, $10, $11, p, 1, 1, 0, 0; wgmma.commit_group.sync.aligned; }", "=f,=f,=f,=f,l,l,l,l,l,l,l,l,0,1,2,3"
// CHECK:         "wgmma.wait_group.sync.aligned 1;"
// CHECK:         scf.while (%{{.*}} = %{{.*}}, %{{.*}} = %{{.*}}, %{{.*}} = %{{.*}}, %{{.*}} = %{{.*}}) : (f32, f32, f32, f32) -> (f32, f32, f32, f32)
// CHECK-COUNT-4:   arith.addf %{{.*}} : f32
// CHECK:         nvvm.stmatrix
func.func @accumulate(%c: i1, %z: f32, %i: i32) attributes {tile.threads = 128 : i32} {
  %a = tile.alloc : !tile.shared<64x64xbf16, swizzle>
  %b = tile.alloc : !tile.shared<8x64xbf16, swizzle>
  %out = tile.alloc : !tile.shared<1024xi8>
  %zero = tile.splat %z : f32 -> tensor<64x8xf32, #mma>
  %one = arith.constant dense<1.0> : tensor<64x8xf32, #mma>
  %f = scf.if %c -> tensor<64x8xf32, #mma> {
    scf.yield %zero : tensor<64x8xf32, #mma>
  } else {
    scf.yield %one : tensor<64x8xf32, #mma>
  }
  %p = tile.mma %a by %b accumulators(%f) : (!tile.shared<64x64xbf16, swizzle>, !tile.shared<8x64xbf16, swizzle>, tensor<64x8xf32, #mma>) -> !tile.pending<tensor<64x8xf32, #mma>>
  %g = tile.mma_wait %p {in_flight = 1 : i32} : (!tile.pending<tensor<64x8xf32, #mma>>) -> tensor<64x8xf32, #mma>
  %h = scf.while (%x = %g) : (tensor<64x8xf32, #mma>) -> tensor<64x8xf32, #mma> {
    scf.condition(%c) %x : tensor<64x8xf32, #mma>
  } do {
  ^bb0(%x: tensor<64x8xf32, #mma>):
    %y = arith.addf %x, %one : tensor<64x8xf32, #mma>
    scf.yield %y : tensor<64x8xf32, #mma>
  }
  tile.store_matrix %h, %out[%i] stride 16 : tensor<64x8xf32, #mma>, !tile.shared<1024xi8>
  return
}

// -----

#mma = #tile.fragment<mma>

// `reuse` hands registers on: the first step still overwrites.
// CHECK-LABEL: func.func @reuse
// CHECK-NOT:     llvm.mlir.undef
// CHECK:         %[[OLD:.*]] = llvm.insertvalue %{{.*}}, %{{.*}}[3]
// CHECK:         nvvm.wgmma.mma_async %{{.*}}, %{{.*}}, %[[OLD]], <m = 64, n = 8, k = 32>, D[<f32>, <zero>]
func.func @reuse(%z: f32) attributes {tile.threads = 128 : i32} {
  %a = tile.alloc : !tile.shared<64x128xf8E4M3FN, swizzle>
  %b = tile.alloc : !tile.shared<8x128xf8E4M3FN, swizzle>
  %old = tile.splat %z : f32 -> tensor<64x8xf32, #mma>
  %p = tile.mma %a by %b reuse(%old) : (!tile.shared<64x128xf8E4M3FN, swizzle>, !tile.shared<8x128xf8E4M3FN, swizzle>, tensor<64x8xf32, #mma>) -> !tile.pending<tensor<64x8xf32, #mma>>
  %f = tile.mma_wait %p : (!tile.pending<tensor<64x8xf32, #mma>>) -> tensor<64x8xf32, #mma>
  return
}

// -----

#half = #tile.fragment<half>
#rows = #tile.fragment<rows>
#columns = #tile.fragment<columns>

// Vectors: rows are read one by one, at row 16 w + r and 8 behind; columns in pairs. One of the threads that hold the same element writes.
// CHECK-LABEL: func.func @vectors
// CHECK:         %[[R0:.*]] = llvm.load %{{.*}} {alignment = 4 : i64} : !llvm.ptr<3> -> f32
// CHECK:         llvm.getelementptr %{{.*}}[32] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i8
// CHECK:         %[[R1:.*]] = llvm.load %{{.*}} {alignment = 4 : i64} : !llvm.ptr<3> -> f32
// CHECK:         %[[PAIR:.*]] = llvm.load %{{.*}} {alignment = 8 : i64} : !llvm.ptr<3> -> vector<2xf32>
// CHECK:         llvm.extractelement %[[PAIR]]
// CHECK-NOT:     nvvm.shfl
// CHECK:         scf.if
// CHECK:           llvm.store %[[R0]], %{{.*}} {alignment = 4 : i64}
// CHECK:           llvm.store %[[R1]], %{{.*}} {alignment = 4 : i64}
// CHECK:         scf.if
// CHECK:           llvm.store %{{.*}}, %{{.*}} {alignment = 8 : i64} : vector<2xf32>
func.func @vectors(%i: i32) attributes {tile.threads = 128 : i32} {
  %v = tile.alloc : !tile.shared<64xf32>
  %r = tile.read_vector %v[%i] : !tile.shared<64xf32> -> tensor<64xf32, #rows>
  %c = tile.read_vector %v[%i] : !tile.shared<64xf32> -> tensor<8xf32, #columns>
  tile.write_vector %r, %v[%i] : tensor<64xf32, #rows>, !tile.shared<64xf32>
  tile.write_vector %c, %v[%i] : tensor<8xf32, #columns>, !tile.shared<64xf32>
  return
}

// An epilogue: 32 rows of the 64 remain (the second elements of each pair of row halves), columns broadcast, exp and division are
// approximate, the largest of a column joins the lanes of one q.
// CHECK-LABEL: func.func @epilogue
// CHECK:         %[[C:.*]] = llvm.load %{{.*}} -> vector<2xf32>
// CHECK:         %[[C0:.*]] = llvm.extractelement %[[C]][%c0_i32
// CHECK:         arith.mulf %{{.*}}, %[[C0]]
// CHECK:         "ex2.approx.ftz.f32 $0, $1;", "=f,f"
// CHECK:         "rcp.approx.ftz.f32 $0, $1;", "=f,f"
// CHECK:         math.absf
// CHECK:         llvm.intr.maxnum
// CHECK:         nvvm.shfl.sync bfly %{{.*}}, %{{.*}}, %c4_i32
// CHECK:         nvvm.shfl.sync bfly %{{.*}}, %{{.*}}, %c8_i32
// CHECK:         nvvm.shfl.sync bfly %{{.*}}, %{{.*}}, %c16_i32
// CHECK:         "cvt.rn.satfinite.e4m3x2.f32 $0, $2, $1;", "=h,f,f"
// CHECK:         nvvm.stmatrix %{{.*}}, %{{.*}} {eltType = #nvvm.ld_st_matrix_elt_type<b16>, layout = #nvvm.mma_layout<col>
func.func @epilogue(%z: f32, %i: i32) attributes {tile.threads = 128 : i32} {
  %v = tile.alloc : !tile.shared<64xf32>
  %staging = tile.alloc : !tile.shared<9216xi8>
  %m = tile.splat %z : f32 -> tensor<64x8xf32, #tile.fragment<mma>>
  %h = tile.select_rows %m half 1 : tensor<64x8xf32, #tile.fragment<mma>> -> tensor<32x8xf32, #half>
  %c = tile.read_vector %v[%i] : !tile.shared<64xf32> -> tensor<8xf32, #columns>
  %x = tile.map %h, %c : (tensor<32x8xf32, #half>, tensor<8xf32, #columns>) -> tensor<32x8xf32, #half> {
  ^bb0(%a: f32, %b: f32):
    %s = arith.mulf %a, %b : f32
    %e = math.exp %s : f32
    %d = arith.divf %a, %e : f32
    tile.yield %d : f32
  }
  %largest = tile.max %x init 1.0e-10 : (tensor<32x8xf32, #half>) -> tensor<8xf32, #columns>
  tile.write_vector %largest, %v[%i] : tensor<8xf32, #columns>, !tile.shared<64xf32>
  %pairs = tile.pack %x, %x as f8E4M3FN : tensor<32x8xf32, #half> -> tensor<32x8xi16, #half>
  tile.store_matrix %pairs, %staging[%i] stride 144 {transposed} : tensor<32x8xi16, #half>, !tile.shared<9216xi8>
  return
}

// -----

#mma = #tile.fragment<mma>

// f32 is rounded to pairs of bf16; a warp's 16 rows by 16 columns are four matrices of one instruction.
// CHECK-LABEL: func.func @store
// CHECK:         %[[TWO:.*]] = arith.constant 2.000000e+00 : f32
// CHECK:         %[[BF16:.*]] = llvm.inline_asm asm_dialect = att "cvt.rn.bf16x2.f32 $0, $2, $1;", "=r,f,f" %[[TWO]], %[[TWO]]
// CHECK:         nvvm.stmatrix %{{.*}}, %[[BF16]], %[[BF16]], %[[BF16]], %[[BF16]] {eltType = #nvvm.ld_st_matrix_elt_type<b16>, layout = #nvvm.mma_layout<row>
// CHECK:         "cvt.rn.satfinite.e5m2x2.f32 $0, $2, $1;"
// CHECK:         nvvm.shfl.sync bfly %{{.*}}, %{{.*}}, %c1_i32
// CHECK:         nvvm.shfl.sync bfly %{{.*}}, %{{.*}}, %c2_i32
func.func @store(%i: i32) attributes {tile.threads = 128 : i32} {
  %staging = tile.alloc : !tile.shared<9216xi8>
  %v = tile.alloc : !tile.shared<64xf32>
  %m = arith.constant dense<2.0> : tensor<64x32xf32, #mma>
  %odd = tile.select_columns %m first 1 step 2 : tensor<64x32xf32, #mma> -> tensor<64x16xf32, #mma>
  tile.store_matrix %odd, %staging[%i] stride 144 : tensor<64x16xf32, #mma>, !tile.shared<9216xi8>
  %pairs = tile.pack %odd, %odd as f8E5M2 : tensor<64x16xf32, #mma> -> tensor<64x16xi16, #mma>
  tile.store_matrix %pairs, %staging[%i] stride 144 : tensor<64x16xi16, #mma>, !tile.shared<9216xi8>
  %largest = tile.max %odd init 0.0 : (tensor<64x16xf32, #mma>) -> tensor<64xf32, #tile.fragment<rows>>
  tile.write_vector %largest, %v[%i] : tensor<64xf32, #tile.fragment<rows>>, !tile.shared<64xf32>
  return
}

// -----

#mma = #tile.fragment<mma>

// Operands whose K leads: 64 columns of 32 rows are 4096 bytes (256 in the descriptors' leading offset), a step is 16 rows, and both are transposed.
// CHECK-LABEL: func.func @transposed
// CHECK:         arith.constant 4611686293322072064 : i64
// CHECK:         %[[STEP:.*]] = arith.constant 128 : i64
// CHECK:         %[[A1:.*]] = arith.addi %{{.*}}, %[[STEP]] : i64
// CHECK:         %[[B1:.*]] = arith.addi %{{.*}}, %[[STEP]] : i64
// CHECK:         nvvm.wgmma.mma_async {{.*}}, <m = 64, n = 128, k = 16>, D[<f32>, <zero>], A[<bf16>, <one>, <col>], B[<bf16>, <one>, <row>]
// CHECK:         nvvm.wgmma.mma_async %[[A1]], %[[B1]], {{.*}}, <m = 64, n = 128, k = 16>, D[<f32>, <one>], A[<bf16>, <one>, <col>], B[<bf16>, <one>, <row>]
// CHECK-NOT:     nvvm.wgmma.mma_async
// CHECK:         nvvm.wgmma.commit.group.sync.aligned
// A pair of columns of a row in each of 16 chunks, then of the row 8 below; rounded to bf16.
// CHECK:         arith.cmpi slt
// CHECK:         arith.select
// CHECK:         "cvt.rn.bf16x2.f32 $0, $2, $1;"
// CHECK:         "{ .reg .pred p; setp.gt.s32 p, $1, 0; @p st.global.b32 [$0+0], $2; }"
// CHECK:         "{ .reg .pred p; setp.gt.s32 p, $1, 120; @p st.global.b32 [$0+240], $2; }"
// CHECK:         arith.cmpi slt
// CHECK:         "{ .reg .pred p; setp.gt.s32 p, $1, 0; @p st.global.b32 [$0+0], $2; }"
func.func @transposed(%out: memref<200x264xbf16>, %at: i64, %i: i32) attributes {tile.threads = 128 : i32} {
  %a = tile.alloc : !tile.shared<32x64xbf16, swizzle>
  %b = tile.alloc : !tile.shared<2x32x64xbf16, swizzle>
  %p = tile.mma %a by %b {transposed} : (!tile.shared<32x64xbf16, swizzle>, !tile.shared<2x32x64xbf16, swizzle>) -> !tile.pending<tensor<64x128xf32, #mma>>
  %f = tile.mma_wait %p : (!tile.pending<tensor<64x128xf32, #mma>>) -> tensor<64x128xf32, #mma>
  tile.store_fragment %f, %out[%at] rows %i columns %i stride 264 : tensor<64x128xf32, #mma>, memref<200x264xbf16>
  return
}
