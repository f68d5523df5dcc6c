// RUN: moe-opt %s --pass-pipeline="builtin.module(canonicalize,cse,moe-lower-tile,canonicalize,cse,moe-expand-floats,moe-expand-math,moe-lower-kernels,expand-strided-metadata,convert-scf-to-cf,convert-to-llvm,reconcile-unrealized-casts,canonicalize,cse)" -o %t.mlir
// RUN: mlir-translate --mlir-to-llvmir %t.mlir | sed 's/^define void @product(\(.*\)) {/define ptx_kernel void @product(\1) "nvvm.reqntid"="256" "nvvm.minctasm"="1" {/' > %t.ll
// RUN: opt -O3 -mtriple=nvptx64-nvidia-cuda -mcpu=sm_90a %t.ll -o %t.bc
// RUN: llc -O3 -mtriple=nvptx64-nvidia-cuda -mcpu=sm_90a -mattr=+ptx86 %t.bc -o %t.ptx
// RUN: FileCheck %s --input-file=%t.ptx
// RUN: %if ptxas %{ ptxas -arch=sm_90a -O3 -v %t.ptx -o %t.cubin 2>&1 | FileCheck %s --check-prefix=PTXAS --implicit-check-not=C75 %}

// (Emit says how many threads a block has; here the second line does.)
// A product of 64 x 1024 by 1024 x 128 in FP8 as a whole kernel: a thread fills a ring of two stages, a warpgroup multiplies and promotes, and
// the result goes through shared memory to its rows.

// CHECK:       .target sm_90a
// CHECK:       .extern .shared .align 1024 .b8 tile_shared[];
// CHECK:       .entry product(
// CHECK:       .reqntid 256
// CHECK:       mbarrier.init.shared::cta.b64
// CHECK:       fence.mbarrier_init.release.cluster;
// CHECK:       bar{{(rier)?}}.sync
// The order of the two roles is the compiler's.
// CHECK-DAG:   setmaxnreg.dec.sync.aligned.u32 40;
// CHECK-DAG:   setmaxnreg.dec.sync.aligned.u32 232;
// CHECK-DAG:   mbarrier.try_wait.parity.shared::cta.b64
// CHECK-DAG:   mbarrier.arrive.expect_tx.shared::cta.b64
// CHECK-DAG:   cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes
// CHECK-DAG:   wgmma.fence.sync.aligned;
// CHECK-DAG:   wgmma.mma_async.sync.aligned.m64n128k32.f32.e4m3.e4m3
// CHECK-DAG:   wgmma.commit_group.sync.aligned;
// CHECK-DAG:   wgmma.wait_group.sync.aligned 0;
// CHECK-DAG:   mbarrier.arrive.shared::cta.b64
// CHECK-DAG:   fma.rn{{(.ftz)?}}.f32
// CHECK-DAG:   cvt.rn.bf16x2.f32
// CHECK-DAG:   stmatrix.sync.aligned.m8n8.x4.shared.b16
// CHECK-DAG:   st.global.{{(v4.b32|v2.b64|b128)}}

// The assembler serializes no wgmma (notes C7510 and so on) and spills nothing.
// PTXAS: 0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads

#mma = #tile.fragment<mma>

module @gpu attributes {moe.device} {
func.func @product(%a: memref<8x64x128xf8E4M3FN>, %b: memref<8x128x128xf8E4M3FN>, %scales: memref<64xf32>, %y: memref<64x128xbf16>,
    %begin: index, %end: index) attributes {moe.kernel, tile.threads = 256 : i32} {
  %ring_a = tile.alloc : !tile.shared<2x64x128xf8E4M3FN, swizzle>
  %ring_b = tile.alloc : !tile.shared<2x128x128xf8E4M3FN, swizzle>
  %staging = tile.alloc : !tile.shared<64x136xbf16>
  %full = tile.barriers 1 : !tile.barriers<2>
  %empty = tile.barriers 4 : !tile.barriers<2>
  tile.start {dependent}
  %i0 = arith.constant 0 : i32
  %i1 = arith.constant 1 : i32
  %i2 = arith.constant 2 : i32
  %i4 = arith.constant 4 : i32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %c16 = arith.constant 16 : index
  tile.roles warps [0, 4] single [true, false] registers [40, 232] {
    %bytes_a = arith.constant 8192 : i32
    %bytes_b = arith.constant 16384 : i32
    %bytes = arith.constant 24576 : i32
    scf.for %k = %c0 to %c8 step %c1 {
      %n = arith.index_cast %k : index to i32
      %stage = arith.andi %n, %i1 : i32
      %round = arith.shrui %n, %i1 : i32
      %use = arith.andi %round, %i1 : i32
      %parity = arith.xori %use, %i1 : i32
      tile.wait %empty[%stage], %parity : !tile.barriers<2>
      tile.expect %full[%stage], %bytes : !tile.barriers<2>
      %wide = arith.extui %n : i32 to i64
      %step_a = arith.constant 8192 : i64
      %step_b = arith.constant 16384 : i64
      %from_a = arith.muli %wide, %step_a : i64
      %from_b = arith.muli %wide, %step_b : i64
      %to_a = tile.view %ring_a[%stage x 1] : !tile.shared<2x64x128xf8E4M3FN, swizzle> to !tile.shared<64x128xf8E4M3FN, swizzle>
      %to_b = tile.view %ring_b[%stage x 1] : !tile.shared<2x128x128xf8E4M3FN, swizzle> to !tile.shared<128x128xf8E4M3FN, swizzle>
      tile.copy_bulk %a[%from_a] to %to_a, %full[%stage] bytes %bytes_a : memref<8x64x128xf8E4M3FN> to !tile.shared<64x128xf8E4M3FN, swizzle>, !tile.barriers<2>
      tile.copy_bulk %b[%from_b] to %to_b, %full[%stage] bytes %bytes_b : memref<8x128x128xf8E4M3FN> to !tile.shared<128x128xf8E4M3FN, swizzle>, !tile.barriers<2>
    }
  }, {
    %zero = arith.constant 0.0 : f32
    %one = arith.constant 1.0 : f32
    %at = arith.constant 0 : i64
    %scale = tile.load %scales[%at] {constant} : memref<64xf32> -> f32
    %rows = tile.splat %scale : f32 -> tensor<64xf32, #tile.fragment<rows>>
    %columns = tile.splat %one : f32 -> tensor<128xf32, #tile.fragment<columns>>
    %zeros = tile.splat %zero : f32 -> tensor<64x128xf32, #mma>
    %sum = scf.for %k = %c0 to %c8 step %c1 iter_args(%s = %zeros) -> (tensor<64x128xf32, #mma>) {
      %n = arith.index_cast %k : index to i32
      %stage = arith.andi %n, %i1 : i32
      %round = arith.shrui %n, %i1 : i32
      %parity = arith.andi %round, %i1 : i32
      tile.wait %full[%stage], %parity : !tile.barriers<2>
      %ta = tile.view %ring_a[%stage x 1] : !tile.shared<2x64x128xf8E4M3FN, swizzle> to !tile.shared<64x128xf8E4M3FN, swizzle>
      %tb = tile.view %ring_b[%stage x 1] : !tile.shared<2x128x128xf8E4M3FN, swizzle> to !tile.shared<128x128xf8E4M3FN, swizzle>
      %p = tile.mma %ta by %tb : (!tile.shared<64x128xf8E4M3FN, swizzle>, !tile.shared<128x128xf8E4M3FN, swizzle>) -> !tile.pending<tensor<64x128xf32, #mma>>
      %f = tile.mma_wait %p : (!tile.pending<tensor<64x128xf32, #mma>>) -> tensor<64x128xf32, #mma>
      tile.arrive %empty[%stage] {warp} : !tile.barriers<2>
      %t = tile.promote %f, %s rows %rows columns %columns : tensor<64x128xf32, #mma>, tensor<64xf32, #tile.fragment<rows>>, tensor<128xf32, #tile.fragment<columns>>
      scf.yield %t : tensor<64x128xf32, #mma>
    }
    // 16 rows of 272 bytes a warp: stored as matrices, read back in pieces of 16 bytes.
    %warp = tile.id warp
    %own = arith.subi %warp, %i4 : i32
    %row_elements = arith.constant 2176 : i32
    %place = arith.muli %own, %row_elements : i32
    tile.store_matrix %sum, %staging[%place] stride 272 : tensor<64x128xf32, #mma>, !tile.shared<64x136xbf16>
    tile.sync_warp
    %lane = tile.id lane
    %sixteen = arith.constant 16 : i32
    %eight = arith.constant 8 : i32
    %pitch = arith.constant 136 : i32
    %width = arith.constant 128 : i32
    scf.for %r = %c0 to %c16 step %c1 {
      %row = arith.index_cast %r : index to i32
      %few = arith.cmpi ult, %lane, %sixteen : i32
      scf.if %few {
        %column = arith.muli %lane, %eight : i32
        %row_at = arith.muli %row, %pitch : i32
        %s0 = arith.addi %place, %row_at : i32
        %s1 = arith.addi %s0, %column : i32
        %v = tile.read %staging[%s1] : !tile.shared<64x136xbf16> -> vector<4xi32>
        %first = arith.muli %own, %sixteen : i32
        %global = arith.addi %first, %row : i32
        %y0 = arith.muli %global, %width : i32
        %y1 = arith.addi %y0, %column : i32
        %to = arith.extui %y1 : i32 to i64
        tile.store %v, %y[%to] : vector<4xi32>, memref<64x128xbf16>
      }
    }
  }
  return
}
}
