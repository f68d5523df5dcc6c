// RUN: moe-opt %s --moe-interpret=print -o /dev/null | FileCheck %s

// Vectors in the order of a tile's rows: of codes row 128 w + 64 s + 16 v + 8 g + r is entry 64 w + 16 v + 2 r + s of vector g; of 16-bit elements row
// 16 v + 8 g + r is entry 8 v + r; one vector stays as it is. Zeros follow.
// Rows 0 to 9 and 64 to 65: gate 0, 2, ... 14; up 0, 2 (plus 100); gate 1, 3.
// CHECK{LITERAL}: result 0: tensor<1x1x10xf32> [[[0, 2, 4, 6, 8, 10, 12, 14, 100, 102]]]
// CHECK{LITERAL}: result 1: tensor<1x1x2xf32> [[[1, 3]]]
// CHECK{LITERAL}: result 2: tensor<1x1x10xf32> [[[0, 1, 2, 3, 4, 5, 6, 7, 100, 101]]]
// CHECK{LITERAL}: result 3: tensor<1x1x22xf32> [[[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 0, 0]]]
#gate = dense<[[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 19.0]]> : tensor<1x20xf32>
#up = dense<[[100.0, 101.0, 102.0, 103.0, 104.0, 105.0, 106.0, 107.0, 108.0, 109.0, 110.0, 111.0, 112.0, 113.0, 114.0, 115.0, 116.0, 117.0, 118.0, 119.0]]> : tensor<1x20xf32>
moe.weight @codes : tensor<1x1x256xf32> = #moe.recipe<tile_vectors, {bits = 8 : i64}, [#gate, #up], tensor<1x1x256xf32>>
moe.weight @halves : tensor<1x1x256xf32> = #moe.recipe<tile_vectors, {bits = 16 : i64}, [#gate, #up], tensor<1x1x256xf32>>
moe.weight @one : tensor<1x1x256xf32> = #moe.recipe<tile_vectors, {bits = 8 : i64}, [#gate], tensor<1x1x256xf32>>
func.func @main() -> (tensor<1x1x10xf32>, tensor<1x1x2xf32>, tensor<1x1x10xf32>, tensor<1x1x22xf32>) {
  %c = moe.get_weight @codes : tensor<1x1x256xf32>
  %h = moe.get_weight @halves : tensor<1x1x256xf32>
  %o = moe.get_weight @one : tensor<1x1x256xf32>
  %0 = tensor.extract_slice %c[0, 0, 0] [1, 1, 10] [1, 1, 1] : tensor<1x1x256xf32> to tensor<1x1x10xf32>
  %1 = tensor.extract_slice %c[0, 0, 64] [1, 1, 2] [1, 1, 1] : tensor<1x1x256xf32> to tensor<1x1x2xf32>
  %2 = tensor.extract_slice %h[0, 0, 0] [1, 1, 10] [1, 1, 1] : tensor<1x1x256xf32> to tensor<1x1x10xf32>
  %3 = tensor.extract_slice %o[0, 0, 0] [1, 1, 22] [1, 1, 1] : tensor<1x1x256xf32> to tensor<1x1x22xf32>
  return %0, %1, %2, %3 : tensor<1x1x10xf32>, tensor<1x1x2xf32>, tensor<1x1x10xf32>, tensor<1x1x22xf32>
}
