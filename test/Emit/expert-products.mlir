// A kernel of the tile dialect, all the way: its launch record, and hot without asking, so that it may not spill. Where the toolkit is, its
// ptxas looks at it.
// RUN: rm -rf %t.moe && moe-compile %s --target=cuda -o %t.moe
// RUN: FileCheck %s --input-file=%t.moe/manifest.json
// RUN: llvm-strings %t.moe/code.so | FileCheck %s --check-prefix=PTX

// CHECK:      "name": "k0_products",
// CHECK:      "grid": "per_sm",
// CHECK:      "threads": 384,
// CHECK-NEXT: "shared_bytes": {{2[0-9]+}},
// CHECK-NEXT: "pdl": true,
// CHECK:      "hot": true
// PTX:        .visible .entry k0_products(
// PTX:        .reqntid 384
// PTX:        .minnctapersm 1

module attributes {moe.phase = "schedule", moe.target = "cuda"} {
  func.func @main(%items: memref<1000xi32> {moe.dims = [1000], moe.name = "items"}, %x: memref<2x64x128xf8E4M3FN> {moe.dims = [2, 64, 128], moe.name = "x"}, %sx: memref<2x64xf32> {moe.dims = [2, 64], moe.name = "sx"}) -> (memref<64x256xbf16> {moe.name = "y"}) attributes {moe.entry} {
    %w1 = moe.get_weight @w1 : memref<8x1x2x256x128xf8E4M3FN>
    %s1 = moe.get_weight @s1 : memref<8x1x4xf32>
    %w2 = moe.get_weight @w2 : memref<8x1x1x256x128xf8E4M3FN>
    %s2 = moe.get_weight @s2 : memref<8x1x4xf32>
    %y = memref.alloc() {moe.output = 0 : i64} : memref<64x256xbf16>
    %h = memref.alloc() {moe.temporary = array<i64: 0, 0, 0>} : memref<1x64x128xf8E4M3FN>
    %sh = memref.alloc() {moe.temporary = array<i64: 1, 0, 0>} : memref<1x64xf32>
    %c = memref.alloc() {moe.temporary = array<i64: 2, 0, 0>} : memref<1016xi32>
    moe.launch @k0_products(%x, %sx, %w1, %s1, %w2, %s2, %items, %c, %h, %sh, %y) : (memref<2x64x128xf8E4M3FN>, memref<2x64xf32>, memref<8x1x2x256x128xf8E4M3FN>, memref<8x1x4xf32>, memref<8x1x1x256x128xf8E4M3FN>, memref<8x1x4xf32>, memref<1000xi32>, memref<1016xi32>, memref<1x64x128xf8E4M3FN>, memref<1x64xf32>, memref<64x256xbf16>)
    return %y : memref<64x256xbf16>
  }
  moe.weight @w1 : tensor<8x1x2x256x128xf8E4M3FN> = #moe.random<normal, 0.0 : f32, 112.0 : f32, 1, tensor<8x1x2x256x128xf8E4M3FN>>
  moe.weight @w2 : tensor<8x1x1x256x128xf8E4M3FN> = #moe.random<normal, 0.0 : f32, 112.0 : f32, 1, tensor<8x1x1x256x128xf8E4M3FN>>
  moe.weight @s1 : tensor<8x1x4xf32> = #moe.random<uniform, 1.0e-4 : f32, 2.0e-4 : f32, 1, tensor<8x1x4xf32>>
  moe.weight @s2 : tensor<8x1x4xf32> = #moe.random<uniform, 1.0e-4 : f32, 2.0e-4 : f32, 1, tensor<8x1x4xf32>>
  func.func private @k0_products(%x: memref<2x64x128xf8E4M3FN>, %sx: memref<2x64xf32>, %w1: memref<8x1x2x256x128xf8E4M3FN>, %s1: memref<8x1x4xf32>, %w2: memref<8x1x1x256x128xf8E4M3FN>, %s2: memref<8x1x4xf32>, %items: memref<1000xi32>, %c: memref<1016xi32>, %h: memref<1x64x128xf8E4M3FN>, %sh: memref<1x64xf32>, %y: memref<64x256xbf16>) attributes {moe.kernel, moe.op = "moe.expert_products"} {
    moe.expert_products %x, %sx w1(%w1, %s1) w2(%w2, %s2) items(%items, %c) outs(%y, %h, %sh) {hidden = 256 : i64, intermediate = 128 : i64} : (memref<2x64x128xf8E4M3FN>, memref<2x64xf32>, memref<8x1x2x256x128xf8E4M3FN>, memref<8x1x4xf32>, memref<8x1x1x256x128xf8E4M3FN>, memref<8x1x4xf32>, memref<1000xi32>, memref<1016xi32>, memref<64x256xbf16>, memref<1x64x128xf8E4M3FN>, memref<1x64xf32>) -> () {
    ^bb0(%g: f32, %u: f32):
      %a = arith.mulf %g, %u : f32
      moe.yield %a : f32
    }
    return
  }
}
