// RUN: moe-opt %s -split-input-file -verify-diagnostics

// One function for each constraint of the op descriptions; the number is in the function's name.

// expected-error @below {{expects 'tile.threads' to be an i32, a multiple of 32 up to 1024, but found 100 : i32}}
func.func @threads() attributes {tile.threads = 100 : i32} {
  return
}

// -----

// expected-error @below {{expects 'tile.threads' to be an i32, a multiple of 32 up to 1024, but found 128 : ui32}}
func.func @threads_type() attributes {tile.threads = 128 : ui32} {
  return
}

// -----

// expected-error @below {{expects elements of whole bytes, but they are 'i4'}}
func.func private @shared_element(!tile.shared<4xi4>)

// -----

// expected-error @below {{expects elements of whole bytes, but they are 'i0'}}
func.func private @shared_empty_element(!tile.shared<4xi0>)

// -----

// expected-error @below {{expects elements of whole bytes, but they are 'index'}}
func.func private @shared_index(!tile.shared<4xindex>)

// -----

// expected-error @below {{expects at least one dimension}}
func.func private @shared_rank(!tile.shared<f32>)

// -----

// expected-error @below {{expects dims from 1 to 232448, but one is 0}}
func.func private @shared_dims(!tile.shared<4x0xf32>)

// -----

// expected-error @below {{expects at most 232448 bytes}}
func.func private @shared_bytes(!tile.shared<232448x232448xf32>)

// -----

// expected-error @below {{expects rows of 128 bytes in a swizzled tile, but they have 256}}
func.func private @shared_swizzle(!tile.shared<64x64xf32, swizzle>)

// -----

// expected-error @below {{expects 1 to 29056 barriers, but found 0}}
func.func private @barriers_count(!tile.barriers<0>)

// -----

// expected-error @below {{expects 1 to 29056 barriers, but found 1000000000000}}
func.func private @barriers_many(!tile.barriers<1000000000000>)

// -----

// expected-error @below {{expects an f32 fragment of layout mma, but found 'tensor<64x8xf32>'}}
func.func private @pending_layout(!tile.pending<tensor<64x8xf32>>)

// -----

// expected-error @below {{expects an f32 fragment of layout mma, but found 'tensor<64x8xf16, #tile.fragment<mma>>'}}
func.func private @pending_element(!tile.pending<tensor<64x8xf16, #tile.fragment<mma>>>)

// -----

func.func @fragment_shape(%v: f32) {
  // expected-error @below {{result #0 must be tensor with a #tile.fragment encoding, but got 'tensor<128x8xf32, #tile.fragment<mma>>'}}
  %f = tile.splat %v : f32 -> tensor<128x8xf32, #tile.fragment<mma>>
  return
}

// -----

func.func @fragment_columns(%v: f32) {
  // expected-error @below {{result #0 must be tensor with a #tile.fragment encoding, but got 'tensor<64x264xf32, #tile.fragment<mma>>'}}
  %f = tile.splat %v : f32 -> tensor<64x264xf32, #tile.fragment<mma>>
  return
}

// -----

func.func @fragment_empty(%v: f32) {
  // expected-error @below {{result #0 must be tensor with a #tile.fragment encoding, but got 'tensor<0xf32, #tile.fragment<columns>>'}}
  %f = tile.splat %v : f32 -> tensor<0xf32, #tile.fragment<columns>>
  return
}

// -----

func.func @fragment_element(%v: index) {
  // expected-error @below {{result #0 must be tensor with a #tile.fragment encoding, but got 'tensor<64xindex, #tile.fragment<rows>>'}}
  %f = tile.splat %v : index -> tensor<64xindex, #tile.fragment<rows>>
  return
}

// -----

func.func @alloc_c1(%c: i1) {
  scf.if %c {
    // expected-error @below {{expects to stand in the entry block of a kernel}}
    %a = tile.alloc : !tile.shared<64xf32>
  }
  return
}

// -----

// expected-error @below {{expects to stand in the entry block of a kernel}}
%a = tile.alloc : !tile.shared<64xf32>

// -----

func.func @barriers_c1(%c: i1) {
  scf.if %c {
    // expected-error @below {{expects to stand in the entry block of a kernel}}
    %a = tile.barriers 1 : !tile.barriers<1>
  }
  return
}

// -----

func.func @barriers_c2() {
  // expected-error @below {{expects at least one arrival, but arrivals is 0}}
  %a = tile.barriers 0 : !tile.barriers<1>
  return
}

// -----

func.func @start_c1(%c: i1) {
  scf.if %c {
    // expected-error @below {{expects to stand in the entry block of a kernel}}
    tile.start
  }
  return
}

// -----

func.func @start_c1_once() {
  tile.start
  // expected-error @below {{expects to stand once in a kernel}}
  tile.start
  return
}

// -----

func.func @start_c2() {
  // expected-error @below {{expects to stand behind all barriers of its kernel}}
  tile.start
  %a = tile.barriers 1 : !tile.barriers<1>
  return
}

// -----

func.func @roles_no_kernel() {
  // expected-error @below {{expects to stand in a kernel with 'tile.threads'}}
  tile.roles warps [0] single [false] registers [] {
    tile.sync_warp
  }
  return
}

// -----

func.func @roles_c1_ascend() attributes {tile.threads = 128 : i32} {
  // expected-error @below {{expects first warps that ascend from 0 below 4}}
  tile.roles warps [0, 4] single [false, false] registers [] {
    tile.sync_warp
  }, {
    tile.sync_warp
  }
  return
}

// -----

func.func @roles_c1_count() attributes {tile.threads = 128 : i32} {
  // expected-error @below {{expects a first warp and a 'single' for each of its 1 regions, one at least}}
  tile.roles warps [0, 1] single [false] registers [] {
    tile.sync_warp
  }
  return
}

// -----

func.func @roles_c1_none() attributes {tile.threads = 128 : i32} {
  // expected-error @below {{expects a first warp and a 'single' for each of its 0 regions, one at least}}
  "tile.roles"() <{first = array<i32>, single = array<i1>, registers = array<i32>}> : () -> ()
  return
}

// -----

func.func @roles_c2_start() attributes {tile.threads = 256 : i32} {
  // expected-error @below {{expects a role of several warpgroups to have them whole, but role 1 has warps 1 to 7}}
  tile.roles warps [0, 1] single [false, false] registers [] {
    tile.sync_warp
  }, {
    tile.sync_warp
  }
  return
}

// -----

// The second warpgroup would be half in each role.
func.func @roles_c2_end() attributes {tile.threads = 256 : i32} {
  // expected-error @below {{expects a role of several warpgroups to have them whole, but role 0 has warps 0 to 5}}
  tile.roles warps [0, 6] single [false, false] registers [] {
    tile.sync_warp
  }, {
    tile.sync_warp
  }
  return
}

// -----

func.func @roles_c3_count() attributes {tile.threads = 256 : i32} {
  // expected-error @below {{expects one register budget a warpgroup, but there are 1}}
  tile.roles warps [0] single [false] registers [40] {
    tile.sync_warp
  }
  return
}

// -----

func.func @roles_c3_steps() attributes {tile.threads = 256 : i32} {
  // expected-error @below {{expects register budgets that are multiples of 8 from 24 to 240, but found 250}}
  tile.roles warps [0, 4] single [false, false] registers [24, 250] {
    tile.sync_warp
  }, {
    tile.sync_warp
  }
  return
}

// -----

func.func @roles_c3_one_role() attributes {tile.threads = 384 : i32} {
  // expected-error @below {{expects one register budget for the warpgroups of a role, but role 1 has 232 and 224}}
  tile.roles warps [0, 4] single [false, false] registers [40, 232, 224] {
    tile.sync_warp
  }, {
    tile.sync_warp
  }
  return
}

// -----

func.func @roles_c3_pool() attributes {tile.threads = 384 : i32} {
  // expected-error @below {{expects budgets of at most 504 registers together, but they have 520}}
  tile.roles warps [0, 4] single [false, false] registers [40, 240, 240] {
    tile.sync_warp
  }, {
    tile.sync_warp
  }
  return
}

// -----

func.func @roles_c4(%c: i1) attributes {tile.threads = 128 : i32} {
  scf.if %c {
    // expected-error @below {{expects to stand in the entry block of a kernel}}
    tile.roles warps [0] single [false] registers [] {
      tile.sync_warp
    }
  }
  return
}

// -----

func.func @roles_c4_budgets() attributes {tile.threads = 128 : i32} {
  tile.roles warps [0] single [false] registers [40] {
    tile.sync_warp
  }
  // expected-error @below {{expects one op of a kernel to set register budgets}}
  tile.roles warps [0] single [false] registers [48] {
    tile.sync_warp
  }
  return
}

// -----

func.func @roles_c5_arguments() attributes {tile.threads = 128 : i32} {
  // expected-error @below {{expects regions without arguments and terminators}}
  tile.roles warps [0] single [false] registers [] {
  ^bb0(%i: i32):
    tile.sync_warp
  }
  return
}

// -----

func.func @roles_c5_terminator() attributes {tile.threads = 128 : i32} {
  // expected-error @below {{expects regions without arguments and terminators}}
  tile.roles warps [0] single [false] registers [] {
    llvm.unreachable
  }
  return
}

// -----

func.func @roles_c6(%c: i1) attributes {tile.threads = 128 : i32} {
  tile.roles warps [0] single [true] registers [] {
    scf.if %c {
      // expected-error @below {{expects all threads of a warp, but stands in the role of a single one}}
      tile.sync_warp
    }
  }
  return
}

// -----

func.func @sync_c1(%i: i32) {
  // expected-error @below {{expects a multiple of 32 threads up to 1024, but found 100}}
  tile.sync %i, 100
  return
}

// -----

func.func @counter(%c: memref<4xi64>, %i: i32) {
  // expected-error @below {{operand #0 must be memref of i32 in global memory, row-major, but got 'memref<4xi64>'}}
  tile.signal %c[%i] : memref<4xi64>
  return
}

// -----

func.func @buffer_layout(%x: memref<4xf32, strided<[2], offset: ?>>, %i: i64) {
  // expected-error @below {{operand #0 must be memref of whole bytes in global memory, row-major, but got 'memref<4xf32, strided<[2], offset: ?>>'}}
  %v = tile.load %x[%i] : memref<4xf32, strided<[2], offset: ?>> -> f32
  return
}

// -----

func.func @buffer_element(%x: memref<4xindex>, %i: i64) {
  // expected-error @below {{operand #0 must be memref of whole bytes in global memory, row-major, but got 'memref<4xindex>'}}
  %v = tile.load %x[%i] : memref<4xindex> -> i64
  return
}

// -----

func.func @buffer_space(%x: memref<4xf32, 3>, %v: f32, %i: i64) {
  // expected-error @below {{operand #1 must be memref of whole bytes in global memory, row-major, but got 'memref<4xf32, 3>'}}
  tile.store %v, %x[%i] : f32, memref<4xf32, 3>
  return
}

// -----

func.func @read_word(%x: !tile.shared<4xf32>, %i: i32) {
  // expected-error @below {{result #0 must be integer, float or vector of them of 1, 2, 4, 8 or 16 bytes, but got 'index'}}
  %v = tile.read %x[%i] : !tile.shared<4xf32> -> index
  return
}

// -----

func.func @write_word(%x: !tile.shared<4xf32>, %v: vector<3xf32>, %i: i32) {
  // expected-error @below {{operand #0 must be integer, float or vector of them of 1, 2, 4, 8 or 16 bytes, but got 'vector<3xf32>'}}
  tile.write %v, %x[%i] : vector<3xf32>, !tile.shared<4xf32>
  return
}

// -----

func.func @load_word(%x: memref<4xf32>, %i: i64) {
  // expected-error @below {{result #0 must be integer, float or vector of them of 1, 2, 4, 8 or 16 bytes, but got 'vector<8xf32>'}}
  %v = tile.load %x[%i] : memref<4xf32> -> vector<8xf32>
  return
}

// -----

func.func @store_word(%x: memref<4xf32>, %v: f8E4M3FN, %i: i64) {
  // expected-error @below {{operand #0 must be integer, float or vector of them of 1, 2, 4, 8 or 16 bytes, but got 'f8E4M3FN'}}
  tile.store %v, %x[%i] : f8E4M3FN, memref<4xf32>
  return
}

// -----

func.func @view_c1(%x: !tile.shared<4x64x128xf8E4M3FN, swizzle>, %i: i32) {
  // expected-error @below {{expects one element type and swizzle, but they are '!tile.shared<4x64x128xf8E4M3FN, swizzle>' and '!tile.shared<64x128xf8E4M3FN>'}}
  %v = tile.view %x[%i x 1] : !tile.shared<4x64x128xf8E4M3FN, swizzle> to !tile.shared<64x128xf8E4M3FN>
  return
}

// -----

func.func @view_c2(%x: !tile.shared<4x64xf32>, %i: i32) {
  // expected-error @below {{expects a part of '!tile.shared<4x64xf32>', but found '!tile.shared<32xf32>'}}
  %v = tile.view %x[%i x 1] : !tile.shared<4x64xf32> to !tile.shared<32xf32>
  return
}

// -----

func.func @view_c2_unit(%x: !tile.shared<4x64xf32>, %i: i32) {
  // expected-error @below {{expects a unit from 1 to 1, but it is 2}}
  %v = tile.view %x[%i x 2] : !tile.shared<4x64xf32> to !tile.shared<64xf32>
  return
}

// -----

func.func @view_c3(%x: !tile.shared<64x128xf8E4M3FN, swizzle>, %i: i32) {
  // expected-error @below {{expects parts of a swizzled tile to start at multiples of 1024 bytes, but they are 512 apart}}
  %v = tile.view %x[%i x 4] : !tile.shared<64x128xf8E4M3FN, swizzle> to !tile.shared<8x128xf8E4M3FN, swizzle>
  return
}

// -----

func.func @view_c3_stage(%x: !tile.shared<4x4x128xf8E4M3FN, swizzle>, %i: i32) {
  // expected-error @below {{expects parts of a swizzled tile to start at multiples of 1024 bytes, but they are 512 apart}}
  %v = tile.view %x[%i x 1] : !tile.shared<4x4x128xf8E4M3FN, swizzle> to !tile.shared<4x128xf8E4M3FN, swizzle>
  return
}

// -----

func.func @copy_box_c1(%x: memref<?x64xbf16> {moe.tensor_map = {box = array<i64: 64, 64>}}, %t: !tile.shared<64x64xbf16>, %b: !tile.barriers<1>, %i: i32) {
  // expected-error @below {{expects its source to be an argument with 'moe.tensor_map' and a box, of a kernel with 'moe.launch_config'}}
  tile.copy_box %x[%i, %i] to %t, %b[%i] : memref<?x64xbf16> to !tile.shared<64x64xbf16>, !tile.barriers<1>
  return
}

// -----

func.func @copy_box_c2(%x: memref<?x64xbf16> {moe.tensor_map = {box = array<i64: 64, 64>}}, %t: !tile.shared<64x64xbf16>, %b: !tile.barriers<1>, %i: i32)
    attributes {moe.launch_config = {}} {
  // expected-error @below {{expects a position and a box of rank 2, but they have 1 and 2}}
  tile.copy_box %x[%i] to %t, %b[%i] : memref<?x64xbf16> to !tile.shared<64x64xbf16>, !tile.barriers<1>
  return
}

// -----

func.func @copy_box_c3(%x: memref<?x64xbf16> {moe.tensor_map = {box = array<i64: 64, 64>}}, %t: !tile.shared<128x64xbf16>, %b: !tile.barriers<1>, %i: i32)
    attributes {moe.launch_config = {}} {
  // expected-error @below {{expects a box of 16384 bytes in elements of 2, but it has 8192 in elements of 2}}
  tile.copy_box %x[%i, %i] to %t, %b[%i] : memref<?x64xbf16> to !tile.shared<128x64xbf16>, !tile.barriers<1>
  return
}

// -----

func.func @copy_box_c4(%x: memref<?x64xbf16> {moe.tensor_map = {box = array<i64: 64, 64>}}, %t: !tile.shared<64x64xbf16, swizzle>, %b: !tile.barriers<1>, %i: i32)
    attributes {moe.launch_config = {}} {
  // expected-error @below {{expects a map with a swizzle of 128 for '!tile.shared<64x64xbf16, swizzle>'}}
  tile.copy_box %x[%i, %i] to %t, %b[%i] : memref<?x64xbf16> to !tile.shared<64x64xbf16, swizzle>, !tile.barriers<1>
  return
}

// -----

func.func @copy_gather_c1(%x: memref<?xi8>, %t: !tile.shared<64x128xi8>, %i: i32, %at: i64) {
  // expected-error @below {{expects a swizzled target, but it is '!tile.shared<64x128xi8>'}}
  tile.copy_gather %x[%at] to %t[%i, %i] : memref<?xi8> to !tile.shared<64x128xi8>
  return
}

// -----

func.func @mma_c1(%a: !tile.shared<64x64xbf16, swizzle>, %b: !tile.shared<8x64xbf16, swizzle>) {
  // expected-error @below {{expects as many b as a as results, but found 1, 2 and 1}}
  %p = tile.mma %a, %a by %b : (!tile.shared<64x64xbf16, swizzle>, !tile.shared<64x64xbf16, swizzle>, !tile.shared<8x64xbf16, swizzle>) -> !tile.pending<tensor<64x8xf32, #tile.fragment<mma>>>
  return
}

// -----

func.func @mma_c2_elements(%a: !tile.shared<64x64xbf16, swizzle>, %b: !tile.shared<8x64xf16, swizzle>) {
  // expected-error @below {{expects operands of f8E4M3FN or f8E5M2, both bf16 or both f16, but they are '!tile.shared<64x64xbf16, swizzle>' and '!tile.shared<8x64xf16, swizzle>'}}
  %p = tile.mma %a by %b : (!tile.shared<64x64xbf16, swizzle>, !tile.shared<8x64xf16, swizzle>) -> !tile.pending<tensor<64x8xf32, #tile.fragment<mma>>>
  return
}

// -----

func.func @mma_c2_integers(%a: !tile.shared<64x128xf8E4M3FN, swizzle>, %b: !tile.shared<8x128xi8, swizzle>) {
  // expected-error @below {{expects operands of f8E4M3FN or f8E5M2, both bf16 or both f16, but they are '!tile.shared<64x128xf8E4M3FN, swizzle>' and '!tile.shared<8x128xi8, swizzle>'}}
  %p = tile.mma %a by %b : (!tile.shared<64x128xf8E4M3FN, swizzle>, !tile.shared<8x128xi8, swizzle>) -> !tile.pending<tensor<64x8xf32, #tile.fragment<mma>>>
  return
}

// -----

func.func @mma_c2_rows(%a: !tile.shared<128x64xbf16, swizzle>, %b: !tile.shared<8x64xbf16, swizzle>) {
  // expected-error @below {{expects swizzled tiles of 64 and N rows, but they are '!tile.shared<128x64xbf16, swizzle>' and '!tile.shared<8x64xbf16, swizzle>'}}
  %p = tile.mma %a by %b : (!tile.shared<128x64xbf16, swizzle>, !tile.shared<8x64xbf16, swizzle>) -> !tile.pending<tensor<64x8xf32, #tile.fragment<mma>>>
  return
}

// -----

func.func @mma_c2_swizzle(%a: !tile.shared<64x64xbf16>, %b: !tile.shared<8x64xbf16, swizzle>) {
  // expected-error @below {{expects swizzled tiles of 64 and N rows, but they are '!tile.shared<64x64xbf16>' and '!tile.shared<8x64xbf16, swizzle>'}}
  %p = tile.mma %a by %b : (!tile.shared<64x64xbf16>, !tile.shared<8x64xbf16, swizzle>) -> !tile.pending<tensor<64x8xf32, #tile.fragment<mma>>>
  return
}

// -----

func.func @mma_c2_columns(%a: !tile.shared<64x64xbf16, swizzle>, %b: !tile.shared<12x64xbf16, swizzle>) {
  // expected-error @below {{expects N to be a multiple of 8 up to 256, but it is 12}}
  %p = tile.mma %a by %b : (!tile.shared<64x64xbf16, swizzle>, !tile.shared<12x64xbf16, swizzle>) -> !tile.pending<tensor<64x8xf32, #tile.fragment<mma>>>
  return
}

// -----

func.func @mma_c2_result(%a: !tile.shared<64x64xbf16, swizzle>, %b: !tile.shared<16x64xbf16, swizzle>) {
  // expected-error @below {{expects a result of 'tensor<64x16xf32, #tile.fragment<mma>>', but it is 'tensor<64x8xf32, #tile.fragment<mma>>'}}
  %p = tile.mma %a by %b : (!tile.shared<64x64xbf16, swizzle>, !tile.shared<16x64xbf16, swizzle>) -> !tile.pending<tensor<64x8xf32, #tile.fragment<mma>>>
  return
}

// -----

func.func @mma_c3_both(%a: !tile.shared<64x64xbf16, swizzle>, %b: !tile.shared<8x64xbf16, swizzle>, %f: tensor<64x8xf32, #tile.fragment<mma>>) {
  // expected-error @below {{expects accumulators or registers to reuse, not both}}
  %p = tile.mma %a by %b accumulators(%f) reuse(%f) : (!tile.shared<64x64xbf16, swizzle>, !tile.shared<8x64xbf16, swizzle>, tensor<64x8xf32, #tile.fragment<mma>>, tensor<64x8xf32, #tile.fragment<mma>>) -> !tile.pending<tensor<64x8xf32, #tile.fragment<mma>>>
  return
}

// -----

func.func @mma_c3_count(%a: !tile.shared<64x64xbf16, swizzle>, %b: !tile.shared<8x64xbf16, swizzle>, %f: tensor<64x8xf32, #tile.fragment<mma>>) {
  // expected-error @below {{expects one fragment for each of 1 products, but found 2}}
  %p = tile.mma %a by %b reuse(%f, %f) : (!tile.shared<64x64xbf16, swizzle>, !tile.shared<8x64xbf16, swizzle>, tensor<64x8xf32, #tile.fragment<mma>>, tensor<64x8xf32, #tile.fragment<mma>>) -> !tile.pending<tensor<64x8xf32, #tile.fragment<mma>>>
  return
}

// -----

func.func @mma_c3_type(%a: !tile.shared<64x64xbf16, swizzle>, %b: !tile.shared<8x64xbf16, swizzle>, %f: tensor<64x16xf32, #tile.fragment<mma>>) {
  // expected-error @below {{expects accumulators of 'tensor<64x8xf32, #tile.fragment<mma>>', but found 'tensor<64x16xf32, #tile.fragment<mma>>'}}
  %p = tile.mma %a by %b accumulators(%f) : (!tile.shared<64x64xbf16, swizzle>, !tile.shared<8x64xbf16, swizzle>, tensor<64x16xf32, #tile.fragment<mma>>) -> !tile.pending<tensor<64x8xf32, #tile.fragment<mma>>>
  return
}

// -----

func.func @mma_wait_c1(%p: !tile.pending<tensor<64x8xf32, #tile.fragment<mma>>>) {
  // expected-error @below {{expects a result of 'tensor<64x8xf32, #tile.fragment<mma>>', but it is 'tensor<64x16xf32, #tile.fragment<mma>>'}}
  %f = tile.mma_wait %p : (!tile.pending<tensor<64x8xf32, #tile.fragment<mma>>>) -> tensor<64x16xf32, #tile.fragment<mma>>
  return
}

// -----

func.func @mma_wait_c1_none() {
  // expected-error @below {{expects a result for each operand, and one at least}}
  "tile.mma_wait"() : () -> ()
  return
}

// -----

func.func @mma_wait_c2(%p: !tile.pending<tensor<64x8xf32, #tile.fragment<mma>>>) {
  // expected-error @below {{expects 0 to 7 groups in flight, but found -1}}
  %f = tile.mma_wait %p {in_flight = -1 : i32} : (!tile.pending<tensor<64x8xf32, #tile.fragment<mma>>>) -> tensor<64x8xf32, #tile.fragment<mma>>
  return
}

// -----

func.func @promote_c1(%m: tensor<32x8xf32, #tile.fragment<half>>, %r: tensor<64xf32, #tile.fragment<rows>>, %c: tensor<8xf32, #tile.fragment<columns>>) {
  // expected-error @below {{expects f32 fragments of layout mma, but found 'tensor<32x8xf32, #tile.fragment<half>>'}}
  %s = tile.promote %m, %m rows %r columns %c : tensor<32x8xf32, #tile.fragment<half>>, tensor<64xf32, #tile.fragment<rows>>, tensor<8xf32, #tile.fragment<columns>>
  return
}

// -----

func.func @promote_c2(%m: tensor<64x8xf32, #tile.fragment<mma>>, %r: tensor<64xf32, #tile.fragment<rows>>, %c: tensor<16xf32, #tile.fragment<columns>>) {
  // expected-error @below {{expects scales for 64 rows and 8 columns, but they are 'tensor<64xf32, #tile.fragment<rows>>' and 'tensor<16xf32, #tile.fragment<columns>>'}}
  %s = tile.promote %m, %m rows %r columns %c : tensor<64x8xf32, #tile.fragment<mma>>, tensor<64xf32, #tile.fragment<rows>>, tensor<16xf32, #tile.fragment<columns>>
  return
}

// -----

func.func @splat_c1(%v: f32) {
  // expected-error @below {{expects one value, or two for rows and columns, but found 2}}
  %s = tile.splat %v, %v : f32, f32 -> tensor<64x8xf32, #tile.fragment<mma>>
  return
}

// -----

func.func @splat_c2(%v: f16) {
  // expected-error @below {{expects values of 'f32', but found 'f16'}}
  %s = tile.splat %v : f16 -> tensor<64x8xf32, #tile.fragment<mma>>
  return
}

// -----

func.func @read_vector_c1(%x: !tile.shared<64xf32>, %i: i32) {
  // expected-error @below {{expects a fragment of layout rows or columns, but found 'tensor<64x8xf32, #tile.fragment<mma>>'}}
  %f = tile.read_vector %x[%i] : !tile.shared<64xf32> -> tensor<64x8xf32, #tile.fragment<mma>>
  return
}

// -----

func.func @read_vector_c2_type(%x: !tile.shared<64xf16>, %i: i32) {
  // expected-error @below {{expects one element type of 1, 2, 4 or 8 bytes, but found 'tensor<64xf32, #tile.fragment<rows>>' and '!tile.shared<64xf16>'}}
  %f = tile.read_vector %x[%i] : !tile.shared<64xf16> -> tensor<64xf32, #tile.fragment<rows>>
  return
}

// -----

func.func @read_vector_c2_size(%x: !tile.shared<32xf32>, %i: i32) {
  // expected-error @below {{expects a tile of at least 64 elements that is not swizzled, but it is '!tile.shared<32xf32>'}}
  %f = tile.read_vector %x[%i] : !tile.shared<32xf32> -> tensor<64xf32, #tile.fragment<rows>>
  return
}

// -----

func.func @write_vector_c1(%x: !tile.shared<64xf32>, %f: tensor<32x8xf32, #tile.fragment<half>>, %i: i32) {
  // expected-error @below {{expects a fragment of layout rows or columns, but found 'tensor<32x8xf32, #tile.fragment<half>>'}}
  tile.write_vector %f, %x[%i] : tensor<32x8xf32, #tile.fragment<half>>, !tile.shared<64xf32>
  return
}

// -----

func.func @write_vector_c2(%x: !tile.shared<64x32xf32, swizzle>, %f: tensor<8xf32, #tile.fragment<columns>>, %i: i32) {
  // expected-error @below {{expects a tile of at least 8 elements that is not swizzled, but it is '!tile.shared<64x32xf32, swizzle>'}}
  tile.write_vector %f, %x[%i] : tensor<8xf32, #tile.fragment<columns>>, !tile.shared<64x32xf32, swizzle>
  return
}

// -----

func.func @select_rows_c1(%f: tensor<64x8xf32, #tile.fragment<mma>>) {
  // expected-error @below {{expects half to be 0 or 1, but it is 2}}
  %h = tile.select_rows %f half 2 : tensor<64x8xf32, #tile.fragment<mma>> -> tensor<32x8xf32, #tile.fragment<half>>
  return
}

// -----

func.func @select_rows_c2_source(%f: tensor<32x8xf32, #tile.fragment<half>>) {
  // expected-error @below {{expects a fragment of layout mma, but found 'tensor<32x8xf32, #tile.fragment<half>>'}}
  %h = tile.select_rows %f half 1 : tensor<32x8xf32, #tile.fragment<half>> -> tensor<32x8xf32, #tile.fragment<half>>
  return
}

// -----

func.func @select_rows_c2_result(%f: tensor<64x8xf32, #tile.fragment<mma>>) {
  // expected-error @below {{expects a result of 'tensor<32x8xf32, #tile.fragment<half>>', but it is 'tensor<32x16xf32, #tile.fragment<half>>'}}
  %h = tile.select_rows %f half 1 : tensor<64x8xf32, #tile.fragment<mma>> -> tensor<32x16xf32, #tile.fragment<half>>
  return
}

// -----

func.func @select_columns_c1(%f: tensor<64x16xf32, #tile.fragment<mma>>) {
  // expected-error @below {{expects fragments of one layout, mma or half, and element type, but they are 'tensor<64x16xf32, #tile.fragment<mma>>' and 'tensor<64x8xf16, #tile.fragment<mma>>'}}
  %h = tile.select_columns %f first 0 step 1 : tensor<64x16xf32, #tile.fragment<mma>> -> tensor<64x8xf16, #tile.fragment<mma>>
  return
}

// -----

func.func @select_columns_c2(%f: tensor<64x32xf32, #tile.fragment<mma>>) {
  // expected-error @below {{expects groups of columns within the source's 4, but they go from 1 to 4 by 3}}
  %h = tile.select_columns %f first 1 step 3 : tensor<64x32xf32, #tile.fragment<mma>> -> tensor<64x16xf32, #tile.fragment<mma>>
  return
}

// -----

func.func @select_columns_c2_step(%f: tensor<64x32xf32, #tile.fragment<mma>>) {
  // expected-error @below {{expects groups of columns within the source's 4, but they go from 0 to 4294967295 by -1}}
  %h = tile.select_columns %f first 0 step -1 : tensor<64x32xf32, #tile.fragment<mma>> -> tensor<64x16xf32, #tile.fragment<mma>>
  return
}

// -----

func.func @map_c1_argument(%f: tensor<64x8xf32, #tile.fragment<mma>>) {
  // expected-error @below {{expects one region argument an operand, of its element type}}
  %g = tile.map %f : (tensor<64x8xf32, #tile.fragment<mma>>) -> tensor<64x8xf16, #tile.fragment<mma>> {
  ^bb0(%x: f16):
    tile.yield %x : f16
  }
  return
}

// -----

func.func @map_c1_yield(%f: tensor<64x8xf32, #tile.fragment<mma>>) {
  // expected-error @below {{expects to yield one value a result, of its element type, and one result at least}}
  %g = tile.map %f : (tensor<64x8xf32, #tile.fragment<mma>>) -> tensor<64x8xf16, #tile.fragment<mma>> {
  ^bb0(%x: f32):
    tile.yield %x : f32
  }
  return
}

// -----

func.func @map_c1_terminator(%f: tensor<64x8xf32, #tile.fragment<mma>>) {
  // expected-error @below {{expects regions to end with 'tile.yield', found 'llvm.unreachable'}}
  // expected-note @below {{in custom textual format, the absence of terminator implies 'tile.yield'}}
  %g = tile.map %f : (tensor<64x8xf32, #tile.fragment<mma>>) -> tensor<64x8xf32, #tile.fragment<mma>> {
  ^bb0(%x: f32):
    llvm.unreachable
  }
  return
}

// -----

func.func @map_c1_results(%f: tensor<64x8xf32, #tile.fragment<mma>>) {
  // expected-error @below {{expects results of one shape and layout, but found 'tensor<64x16xf32, #tile.fragment<mma>>' and 'tensor<64x8xf32, #tile.fragment<mma>>'}}
  %g:2 = tile.map %f : (tensor<64x8xf32, #tile.fragment<mma>>) -> (tensor<64x8xf32, #tile.fragment<mma>>, tensor<64x16xf32, #tile.fragment<mma>>) {
  ^bb0(%x: f32):
    tile.yield %x, %x : f32, f32
  }
  return
}

// -----

func.func @map_c2(%f: tensor<32x8xf32, #tile.fragment<half>>, %r: tensor<64xf32, #tile.fragment<rows>>) {
  // expected-error @below {{expects operands of the result's shape, or its rows or columns, but found 'tensor<64xf32, #tile.fragment<rows>>' for 'tensor<32x8xf32, #tile.fragment<half>>'}}
  %g = tile.map %f, %r : (tensor<32x8xf32, #tile.fragment<half>>, tensor<64xf32, #tile.fragment<rows>>) -> tensor<32x8xf32, #tile.fragment<half>> {
  ^bb0(%x: f32, %y: f32):
    tile.yield %x : f32
  }
  return
}

// -----

func.func @map_c3_effect(%f: tensor<64x8xf32, #tile.fragment<mma>>, %b: memref<4xf32>, %i: i64) {
  %g = tile.map %f : (tensor<64x8xf32, #tile.fragment<mma>>) -> tensor<64x8xf32, #tile.fragment<mma>> {
  ^bb0(%x: f32):
    // expected-error @below {{expects an op in tile.map to have no effects, no regions and one scalar result}}
    tile.store %x, %b[%i] : f32, memref<4xf32>
    tile.yield %x : f32
  }
  return
}

// -----

func.func @map_c3_results(%f: tensor<64x8xi32, #tile.fragment<mma>>) {
  %g = tile.map %f : (tensor<64x8xi32, #tile.fragment<mma>>) -> tensor<64x8xi32, #tile.fragment<mma>> {
  ^bb0(%x: i32):
    // expected-error @below {{expects an op in tile.map to have no effects, no regions and one scalar result}}
    %low, %high = arith.mulsi_extended %x, %x : i32
    tile.yield %high : i32
  }
  return
}

// -----

func.func @map_c3_regions(%f: tensor<64x8xf32, #tile.fragment<mma>>, %c: i1) {
  %g = tile.map %f : (tensor<64x8xf32, #tile.fragment<mma>>) -> tensor<64x8xf32, #tile.fragment<mma>> {
  ^bb0(%x: f32):
    // expected-error @below {{expects an op in tile.map to have no effects, no regions and one scalar result}}
    %y = scf.if %c -> f32 {
      scf.yield %x : f32
    } else {
      scf.yield %x : f32
    }
    tile.yield %y : f32
  }
  return
}

// -----

func.func @max_c1(%f: tensor<64xf32, #tile.fragment<rows>>) {
  // expected-error @below {{expects f32 fragments of layout mma or half, but found 'tensor<64xf32, #tile.fragment<rows>>'}}
  %m = tile.max %f init 0.0 : (tensor<64xf32, #tile.fragment<rows>>) -> tensor<64xf32, #tile.fragment<rows>>
  return
}

// -----

func.func @max_c1_types(%f: tensor<64x8xf32, #tile.fragment<mma>>, %g: tensor<64x16xf32, #tile.fragment<mma>>) {
  // expected-error @below {{expects fragments of one type, but found 'tensor<64x16xf32, #tile.fragment<mma>>' and 'tensor<64x8xf32, #tile.fragment<mma>>'}}
  %m = tile.max %f, %g init 0.0 : (tensor<64x8xf32, #tile.fragment<mma>>, tensor<64x16xf32, #tile.fragment<mma>>) -> tensor<64xf32, #tile.fragment<rows>>
  return
}

// -----

func.func @max_c1_none() {
  // expected-error @below {{expects at least one fragment}}
  %m = "tile.max"() <{init = 0.0 : f32}> : () -> tensor<64xf32, #tile.fragment<rows>>
  return
}

// -----

func.func @max_c2(%f: tensor<64x8xf32, #tile.fragment<mma>>) {
  // expected-error @below {{expects f32 for the rows of an mma fragment, or for the columns, but the result is 'tensor<16xf32, #tile.fragment<columns>>'}}
  %m = tile.max %f init 0.0 : (tensor<64x8xf32, #tile.fragment<mma>>) -> tensor<16xf32, #tile.fragment<columns>>
  return
}

// -----

func.func @max_c2_element(%f: tensor<64x8xf32, #tile.fragment<mma>>) {
  // expected-error @below {{expects f32 for the rows of an mma fragment, or for the columns, but the result is 'tensor<64xf16, #tile.fragment<rows>>'}}
  %m = tile.max %f init 0.0 : (tensor<64x8xf32, #tile.fragment<mma>>) -> tensor<64xf16, #tile.fragment<rows>>
  return
}

// -----

func.func @pack_c1(%f: tensor<64x8xf32, #tile.fragment<mma>>) {
  // expected-error @below {{expects a result of 'tensor<64x8xi16, #tile.fragment<mma>>', but it is 'tensor<64x16xi16, #tile.fragment<mma>>'}}
  %p = tile.pack %f, %f as f8E4M3FN : tensor<64x8xf32, #tile.fragment<mma>> -> tensor<64x16xi16, #tile.fragment<mma>>
  return
}

// -----

func.func @pack_c1_element(%f: tensor<64x8xf16, #tile.fragment<mma>>) {
  // expected-error @below {{expects f32 fragments, but found 'tensor<64x8xf16, #tile.fragment<mma>>'}}
  %p = tile.pack %f, %f as f8E4M3FN : tensor<64x8xf16, #tile.fragment<mma>> -> tensor<64x8xi16, #tile.fragment<mma>>
  return
}

// -----

func.func @pack_c2(%f: tensor<64x8xf32, #tile.fragment<mma>>) {
  // expected-error @below {{expects f8E4M3FN or f8E5M2, but the format is 'bf16'}}
  %p = tile.pack %f, %f as bf16 : tensor<64x8xf32, #tile.fragment<mma>> -> tensor<64x8xi16, #tile.fragment<mma>>
  return
}

// -----

func.func @store_matrix_c1(%f: tensor<64x8xf16, #tile.fragment<mma>>, %t: !tile.shared<1024xi8>, %i: i32) {
  // expected-error @below {{expects an i16 or f32 fragment of layout mma or half, but found 'tensor<64x8xf16, #tile.fragment<mma>>'}}
  tile.store_matrix %f, %t[%i] stride 16 : tensor<64x8xf16, #tile.fragment<mma>>, !tile.shared<1024xi8>
  return
}

// -----

func.func @store_matrix_c1_layout(%f: tensor<64xf32, #tile.fragment<rows>>, %t: !tile.shared<1024xi8>, %i: i32) {
  // expected-error @below {{expects an i16 or f32 fragment of layout mma or half, but found 'tensor<64xf32, #tile.fragment<rows>>'}}
  tile.store_matrix %f, %t[%i] stride 16 : tensor<64xf32, #tile.fragment<rows>>, !tile.shared<1024xi8>
  return
}

// -----

func.func @store_matrix_c2(%f: tensor<64x8xf32, #tile.fragment<mma>>, %t: !tile.shared<1024xi8>, %i: i32) {
  // expected-error @below {{expects a stride of a positive multiple of 16 bytes, but it is 24}}
  tile.store_matrix %f, %t[%i] stride 24 : tensor<64x8xf32, #tile.fragment<mma>>, !tile.shared<1024xi8>
  return
}

// -----

func.func @store_matrix_c3(%f: tensor<64x8xf32, #tile.fragment<mma>>, %t: !tile.shared<64x64xbf16, swizzle>, %i: i32) {
  // expected-error @below {{expects a target that is not swizzled, but it is '!tile.shared<64x64xbf16, swizzle>'}}
  tile.store_matrix %f, %t[%i] stride 128 : tensor<64x8xf32, #tile.fragment<mma>>, !tile.shared<64x64xbf16, swizzle>
  return
}

// -----

func.func @codes_c1(%f: f32) {
  // expected-error @below {{expects f8E4M3FN or f8E5M2, but the format is 'f8E4M3'}}
  %c = tile.codes %f, %f, %f, %f as f8E4M3
  return
}

// -----

func.func @shuffle_type(%v: i64, %l: i32) {
  // expected-error @below {{operand #0 must be 32-bit signless integer or 32-bit float, but got 'i64'}}
  %c = tile.shuffle xor %v, %l : i64
  return
}

// -----

func.func @roles_c6_lanes(%i: i32) attributes {tile.threads = 128 : i32} {
  tile.roles warps [0] single [true] registers [] {
    // expected-error @below {{expects all threads of a warp, but stands in the role of a single one}}
    %s = tile.reduce add %i
  }
  return
}

// -----

func.func @mma_c4_elements(%a: !tile.shared<64x128xf8E4M3FN, swizzle>, %b: !tile.shared<8x128xf8E4M3FN, swizzle>) {
  // expected-error @below {{expects transposed operands of 16 bits, but they are '!tile.shared<64x128xf8E4M3FN, swizzle>' and '!tile.shared<8x128xf8E4M3FN, swizzle>'}}
  %p = tile.mma %a by %b {transposed} : (!tile.shared<64x128xf8E4M3FN, swizzle>, !tile.shared<8x128xf8E4M3FN, swizzle>) -> !tile.pending<tensor<64x8xf32, #tile.fragment<mma>>>
  return
}

// -----

func.func @mma_c4_rank(%a: !tile.shared<64x64xbf16, swizzle>, %b: !tile.shared<64x64xbf16, swizzle>) {
  // expected-error @below {{expects transposed operands to be swizzled tiles [K, 64] and [1 to 4, K, 64], K a multiple of 16, but they are '!tile.shared<64x64xbf16, swizzle>' and '!tile.shared<64x64xbf16, swizzle>'}}
  %p = tile.mma %a by %b {transposed} : (!tile.shared<64x64xbf16, swizzle>, !tile.shared<64x64xbf16, swizzle>) -> !tile.pending<tensor<64x64xf32, #tile.fragment<mma>>>
  return
}

// -----

func.func @mma_c4_depth(%a: !tile.shared<8x64xbf16, swizzle>, %b: !tile.shared<1x8x64xbf16, swizzle>) {
  // expected-error @below {{expects transposed operands to be swizzled tiles [K, 64] and [1 to 4, K, 64], K a multiple of 16, but they are '!tile.shared<8x64xbf16, swizzle>' and '!tile.shared<1x8x64xbf16, swizzle>'}}
  %p = tile.mma %a by %b {transposed} : (!tile.shared<8x64xbf16, swizzle>, !tile.shared<1x8x64xbf16, swizzle>) -> !tile.pending<tensor<64x64xf32, #tile.fragment<mma>>>
  return
}

// -----

func.func @mma_c4_agree(%a: !tile.shared<32x64xbf16, swizzle>, %b: !tile.shared<1x64x64xbf16, swizzle>) {
  // expected-error @below {{expects transposed operands to be swizzled tiles [K, 64] and [1 to 4, K, 64], K a multiple of 16, but they are '!tile.shared<32x64xbf16, swizzle>' and '!tile.shared<1x64x64xbf16, swizzle>'}}
  %p = tile.mma %a by %b {transposed} : (!tile.shared<32x64xbf16, swizzle>, !tile.shared<1x64x64xbf16, swizzle>) -> !tile.pending<tensor<64x64xf32, #tile.fragment<mma>>>
  return
}

// -----

func.func @mma_c4_swizzle(%a: !tile.shared<32x64xbf16>, %b: !tile.shared<1x32x64xbf16>) {
  // expected-error @below {{expects transposed operands to be swizzled tiles [K, 64] and [1 to 4, K, 64], K a multiple of 16, but they are '!tile.shared<32x64xbf16>' and '!tile.shared<1x32x64xbf16>'}}
  %p = tile.mma %a by %b {transposed} : (!tile.shared<32x64xbf16>, !tile.shared<1x32x64xbf16>) -> !tile.pending<tensor<64x64xf32, #tile.fragment<mma>>>
  return
}

// -----

func.func @mma_c4_columns(%a: !tile.shared<32x64xbf16, swizzle>, %b: !tile.shared<5x32x64xbf16, swizzle>) {
  // expected-error @below {{expects transposed operands to be swizzled tiles [K, 64] and [1 to 4, K, 64], K a multiple of 16, but they are '!tile.shared<32x64xbf16, swizzle>' and '!tile.shared<5x32x64xbf16, swizzle>'}}
  %p = tile.mma %a by %b {transposed} : (!tile.shared<32x64xbf16, swizzle>, !tile.shared<5x32x64xbf16, swizzle>) -> !tile.pending<tensor<64x64xf32, #tile.fragment<mma>>>
  return
}

// -----

func.func @store_fragment_c1_layout(%f: tensor<32x8xf32, #tile.fragment<half>>, %t: memref<8x8xf32>, %o: i64, %i: i32) {
  // expected-error @below {{expects an f32 fragment of layout mma, but found 'tensor<32x8xf32, #tile.fragment<half>>'}}
  tile.store_fragment %f, %t[%o] rows %i columns %i stride 8 : tensor<32x8xf32, #tile.fragment<half>>, memref<8x8xf32>
  return
}

// -----

func.func @store_fragment_c1_type(%f: tensor<64x8xi16, #tile.fragment<mma>>, %t: memref<8x8xf32>, %o: i64, %i: i32) {
  // expected-error @below {{expects an f32 fragment of layout mma, but found 'tensor<64x8xi16, #tile.fragment<mma>>'}}
  tile.store_fragment %f, %t[%o] rows %i columns %i stride 8 : tensor<64x8xi16, #tile.fragment<mma>>, memref<8x8xf32>
  return
}

// -----

func.func @store_fragment_c2(%f: tensor<64x8xf32, #tile.fragment<mma>>, %t: memref<8x8xi32>, %o: i64, %i: i32) {
  // expected-error @below {{expects a target of f32, bf16 or f16, but it is 'memref<8x8xi32>'}}
  tile.store_fragment %f, %t[%o] rows %i columns %i stride 8 : tensor<64x8xf32, #tile.fragment<mma>>, memref<8x8xi32>
  return
}

// -----

func.func @store_fragment_c3(%f: tensor<64x8xf32, #tile.fragment<mma>>, %t: memref<8x7xf32>, %o: i64, %i: i32) {
  // expected-error @below {{expects a stride of a positive multiple of 2 elements, but it is 7}}
  tile.store_fragment %f, %t[%o] rows %i columns %i stride 7 : tensor<64x8xf32, #tile.fragment<mma>>, memref<8x7xf32>
  return
}
