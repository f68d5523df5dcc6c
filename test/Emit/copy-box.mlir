// A product y = x W^T in bf16 whose operands lie in memory row by row: boxes of them come through tensor maps, and what lies past
// their ends, here rows of x and 56 columns of K = 200, arrives as zeros. A kernel as a compiler engineer may write it: the whole artefact.
// RUN: moe-compile %s --target=cuda --compile-to=lower -o - | FileCheck %s --check-prefix=LOWER
// RUN: rm -rf %t.moe && env -u CUDA_HOME -u CUDA_ROOT PATH=%moe_bin moe-compile %s --target=cuda -o %t.moe
// RUN: llvm-strings %t.moe/code.so | FileCheck %s --check-prefix=PTX
// RUN: FileCheck %s --check-prefix=MANIFEST --input-file=%t.moe/manifest.json

// LOWER:      llvm.func @k0_product
// LOWER-SAME: maps = [{box = array<i64: 64, 64>, dims = array<i64: -2, 200>
// LOWER-SAME:         {box = array<i64: 128, 64>, dims = array<i64: 128, 200>
// LOWER:      cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [$0], [$1, {$3, $4}], [$2];

// The map is read where the parameter lies: no copy of it in local memory.
// PTX:      .visible .entry k0_product(
// PTX:      .param .align 64 .b8 k0_product_param_0[128]
// PTX-NOT:  .local
// PTX-DAG:  cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes
// PTX-DAG:  wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16

// MANIFEST: "grid": "blocks"
// MANIFEST: "tensor_maps": 2

#mma = #tile.fragment<mma>

module attributes {moe.phase = "tile", moe.target = "cuda"} {
  func.func @main(%x: memref<?x200xbf16> {moe.dims = ["n", 200], moe.dtype = "bfloat16", moe.name = "x"}, %w: memref<128x200xbf16> {moe.dims = [128, 200], moe.dtype = "bfloat16", moe.name = "w"})
      -> (memref<?x128xbf16> {moe.dims = ["n", 128], moe.dtype = "bfloat16", moe.name = "y"}) attributes {moe.entry} {
    %c0 = arith.constant 0 : index
    %c64 = arith.constant 64 : index
    %n = memref.dim %x, %c0 : memref<?x200xbf16>
    %blocks = arith.ceildivsi %n, %c64 : index
    %y = memref.alloc(%n) {moe.output = 0 : i64} : memref<?x128xbf16>
    moe.launch @k0_product(%x, %w, %y) items(%blocks) : (memref<?x200xbf16>, memref<128x200xbf16>, memref<?x128xbf16>)
    return %y : memref<?x128xbf16>
  }
  func.func private @k0_product(memref<?x200xbf16>, memref<128x200xbf16>, memref<?x128xbf16>) attributes {moe.kernel, moe.op = "moe.product"}
  module @gpu attributes {moe.device} {
    func.func @k0_product(%x: memref<?x200xbf16> {moe.tensor_map = {box = array<i64: 64, 64>, swizzle = 128 : i64}},
                          %w: memref<128x200xbf16> {moe.tensor_map = {box = array<i64: 128, 64>, swizzle = 128 : i64, l2_promotion = 256 : i64}},
                          %y: memref<?x128xbf16>, %items: index {moe.items})
        attributes {moe.kernel, moe.hot, tile.threads = 256 : i32, moe.launch_config = {grid = "blocks"}} {
      %rows = tile.alloc : !tile.shared<4x64x64xbf16, swizzle>
      %weights = tile.alloc : !tile.shared<4x128x64xbf16, swizzle>
      %staging = tile.alloc : !tile.shared<64x136xbf16>
      %full = tile.barriers 1 : !tile.barriers<4>
      tile.start
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %c4 = arith.constant 4 : index
      %c16 = arith.constant 16 : index
      %i0 = arith.constant 0 : i32
      %i4 = arith.constant 4 : i32
      %i6 = arith.constant 6 : i32
      %block = tile.id block
      %row0 = arith.shli %block, %i6 : i32
      tile.roles warps [0, 4] single [true, false] registers [] {
        %bytes = arith.constant 24576 : i32
        scf.for %k = %c0 to %c4 step %c1 {
          %stage = arith.index_cast %k : index to i32
          %column = arith.shli %stage, %i6 : i32
          tile.expect %full[%stage], %bytes : !tile.barriers<4>
          %to_x = tile.view %rows[%stage x 1] : !tile.shared<4x64x64xbf16, swizzle> to !tile.shared<64x64xbf16, swizzle>
          %to_w = tile.view %weights[%stage x 1] : !tile.shared<4x128x64xbf16, swizzle> to !tile.shared<128x64xbf16, swizzle>
          tile.copy_box %x[%row0, %column] to %to_x, %full[%stage] : memref<?x200xbf16> to !tile.shared<64x64xbf16, swizzle>, !tile.barriers<4>
          tile.copy_box %w[%i0, %column] to %to_w, %full[%stage] : memref<128x200xbf16> to !tile.shared<128x64xbf16, swizzle>, !tile.barriers<4>
        }
      }, {
        %zero = arith.constant 0.0 : f32
        %zeros = tile.splat %zero : f32 -> tensor<64x128xf32, #mma>
        %sum = scf.for %k = %c0 to %c4 step %c1 iter_args(%s = %zeros) -> (tensor<64x128xf32, #mma>) {
          %stage = arith.index_cast %k : index to i32
          tile.wait %full[%stage], %i0 : !tile.barriers<4>
          %ta = tile.view %rows[%stage x 1] : !tile.shared<4x64x64xbf16, swizzle> to !tile.shared<64x64xbf16, swizzle>
          %tb = tile.view %weights[%stage x 1] : !tile.shared<4x128x64xbf16, swizzle> to !tile.shared<128x64xbf16, swizzle>
          %p = tile.mma %ta by %tb accumulators(%s) : (!tile.shared<64x64xbf16, swizzle>, !tile.shared<128x64xbf16, swizzle>, tensor<64x128xf32, #mma>) -> !tile.pending<tensor<64x128xf32, #mma>>
          %f = tile.mma_wait %p : (!tile.pending<tensor<64x128xf32, #mma>>) -> tensor<64x128xf32, #mma>
          scf.yield %f : tensor<64x128xf32, #mma>
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
        %n = memref.dim %y, %c0 : memref<?x128xbf16>
        %tokens = arith.index_cast %n : index to i32
        scf.for %r = %c0 to %c16 step %c1 {
          %row = arith.index_cast %r : index to i32
          %first = arith.muli %own, %sixteen : i32
          %within = arith.addi %first, %row : i32
          %token = arith.addi %row0, %within : i32
          %inside = arith.cmpi ult, %token, %tokens : i32
          %few = arith.cmpi ult, %lane, %sixteen : i32
          %both = arith.andi %inside, %few : i1
          scf.if %both {
            %column = arith.muli %lane, %eight : i32
            %row_at = arith.muli %row, %pitch : i32
            %s0 = arith.addi %place, %row_at : i32
            %s1 = arith.addi %s0, %column : i32
            %v = tile.read %staging[%s1] : !tile.shared<64x136xbf16> -> vector<4xi32>
            %width = arith.constant 128 : i64
            %wide = arith.extui %token : i32 to i64
            %y0 = arith.muli %wide, %width : i64
            %y1 = arith.extui %column : i32 to i64
            %to = arith.addi %y0, %y1 : i64
            tile.store %v, %y[%to] : vector<4xi32>, memref<?x128xbf16>
          }
        }
      }
      return
    }
  }
}
