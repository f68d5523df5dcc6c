// RUN: rm -rf %t && mkdir -p %t && cp %s %t/file && cd %t && moe-opt %s --moe-interpret=print -o /dev/null | FileCheck %s
// Weights that are quantized by recipe, read in parts and in windows, are what moe.quantize_blocks makes of their values. The values are the
// bytes of this file.

// How many codes differ in a whole, in a part and with square blocks of powers of two, and how many scales.
// CHECK: result 0: tensor<i32> 0
// CHECK: result 1: tensor<i32> 0
// CHECK: result 2: tensor<i32> 0
// CHECK: result 3: tensor<i32> 0
#two = affine_map<(i, j) -> (i, j)>
#none = affine_map<(i, j) -> ()>
#values = #moe.recipe<cast, {}, [#moe.piece<"file", 0, 2100, tensor<7x300xi8>>], tensor<7x300xf32>>
#rows = #moe.recipe<scales, {block = array<i64: 1, 128>, codes = f8E4M3FN}, [#values], tensor<7x3xf32>>
#codes = #moe.recipe<quantize, {block = array<i64: 1, 128>}, [#values, #rows], tensor<7x300xf8E4M3FN>>
#squares = #moe.recipe<scales, {block = array<i64: 4, 100>, codes = f8E5M2}, [#values], tensor<2x3xf8E8M0FNU>>
#coarse = #moe.recipe<quantize, {block = array<i64: 4, 100>}, [#values, #squares], tensor<7x300xf8E5M2>>
module attributes {moe.weights_dir = "."} {
  moe.weight @values : tensor<7x300xf32> = #values
  moe.weight @rows : tensor<7x3xf32> = #rows
  moe.weight @codes : tensor<7x300xf8E4M3FN> = #codes
  moe.weight @part : tensor<5x150xf8E4M3FN> = #moe.recipe<slice, {offsets = array<i64: 1, 100>, sizes = array<i64: 5, 150>, strides = array<i64: 1, 1>}, [#codes], tensor<5x150xf8E4M3FN>>
  moe.weight @coarse : tensor<7x300xf8E5M2> = #coarse

  func.func private @differ(%a: tensor<?x?xi8>, %b: tensor<?x?xi8>) -> tensor<i32> {
    %zero = arith.constant dense<0> : tensor<i32>
    %n = linalg.generic {indexing_maps = [#two, #two, #none], iterator_types = ["reduction", "reduction"]} ins(%a, %b : tensor<?x?xi8>, tensor<?x?xi8>) outs(%zero : tensor<i32>) {
    ^bb0(%x: i8, %y: i8, %acc: i32):
      %is = arith.cmpi ne, %x, %y : i8
      %one = arith.extui %is : i1 to i32
      %s = arith.addi %acc, %one : i32
      linalg.yield %s : i32
    } -> tensor<i32>
    return %n : tensor<i32>
  }

  func.func @main() -> (tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) {
    %v = moe.get_weight @values : tensor<7x300xf32>
    %q:2 = moe.quantize_blocks %v {block = array<i64: 1, 128>} : (tensor<7x300xf32>) -> (tensor<7x300xf8E4M3FN>, tensor<7x3xf32>)
    %p:2 = moe.quantize_blocks %v {block = array<i64: 4, 100>} : (tensor<7x300xf32>) -> (tensor<7x300xf8E5M2>, tensor<2x3xf8E8M0FNU>)

    %codes = moe.get_weight @codes : tensor<7x300xf8E4M3FN>
    %a0 = tensor.bitcast %codes : tensor<7x300xf8E4M3FN> to tensor<7x300xi8>
    %b0 = tensor.bitcast %q#0 : tensor<7x300xf8E4M3FN> to tensor<7x300xi8>
    %a0d = tensor.cast %a0 : tensor<7x300xi8> to tensor<?x?xi8>
    %b0d = tensor.cast %b0 : tensor<7x300xi8> to tensor<?x?xi8>
    %r0 = call @differ(%a0d, %b0d) : (tensor<?x?xi8>, tensor<?x?xi8>) -> tensor<i32>

    %part = moe.get_weight @part : tensor<5x150xf8E4M3FN>
    %a1 = tensor.bitcast %part : tensor<5x150xf8E4M3FN> to tensor<5x150xi8>
    %b1 = tensor.extract_slice %b0[1, 100] [5, 150] [1, 1] : tensor<7x300xi8> to tensor<5x150xi8>
    %a1d = tensor.cast %a1 : tensor<5x150xi8> to tensor<?x?xi8>
    %b1d = tensor.cast %b1 : tensor<5x150xi8> to tensor<?x?xi8>
    %r1 = call @differ(%a1d, %b1d) : (tensor<?x?xi8>, tensor<?x?xi8>) -> tensor<i32>

    %coarse = moe.get_weight @coarse : tensor<7x300xf8E5M2>
    %a2 = tensor.bitcast %coarse : tensor<7x300xf8E5M2> to tensor<7x300xi8>
    %b2 = tensor.bitcast %p#0 : tensor<7x300xf8E5M2> to tensor<7x300xi8>
    %a2d = tensor.cast %a2 : tensor<7x300xi8> to tensor<?x?xi8>
    %b2d = tensor.cast %b2 : tensor<7x300xi8> to tensor<?x?xi8>
    %r2 = call @differ(%a2d, %b2d) : (tensor<?x?xi8>, tensor<?x?xi8>) -> tensor<i32>

    %rows = moe.get_weight @rows : tensor<7x3xf32>
    %zero = arith.constant dense<0> : tensor<i32>
    %r3 = linalg.generic {indexing_maps = [#two, #two, #none], iterator_types = ["reduction", "reduction"]} ins(%rows, %q#1 : tensor<7x3xf32>, tensor<7x3xf32>) outs(%zero : tensor<i32>) {
    ^bb0(%x: f32, %y: f32, %acc: i32):
      %is = arith.cmpf une, %x, %y : f32
      %one = arith.extui %is : i1 to i32
      %s = arith.addi %acc, %one : i32
      linalg.yield %s : i32
    } -> tensor<i32>
    return %r0, %r1, %r2, %r3 : tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>
  }
}
