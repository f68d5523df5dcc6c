// RUN: moe-opt %s -moe-collapse-loops -split-input-file | FileCheck %s

// Elementwise work is one loop, whatever the rank.
// CHECK-LABEL: func.func @elementwise
// CHECK:         memref.collapse_shape %{{.*}} {{\[}}[0, 1, 2]] : memref<?x3x64xf32> into memref<?xf32>
// CHECK:         linalg.generic {{.*}} iterator_types = ["parallel"]
func.func @elementwise(%x: memref<?x3x64xf32>, %y: memref<?x3x64xf32>) {
  memref.copy %x, %y : memref<?x3x64xf32> to memref<?x3x64xf32>
  return
}

// -----

// A broadcast operand keeps its dim apart; a transposed one keeps both.
// CHECK-LABEL: func.func @broadcast
// CHECK:         linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]
// CHECK-SAME:    ins(%{{.*}}, %{{.*}} : memref<?x64xf32>, memref<64xf32>)
func.func @broadcast(%x: memref<?x3x64xf32>, %w: memref<64xf32>, %y: memref<?x3x64xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, j, k)>, affine_map<(i, j, k) -> (k)>, affine_map<(i, j, k) -> (i, j, k)>],
                  iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x, %w : memref<?x3x64xf32>, memref<64xf32>) outs(%y : memref<?x3x64xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %p = arith.mulf %a, %b : f32
    linalg.yield %p : f32
  }
  return
}

// -----

// CHECK-LABEL: func.func @transposed
// CHECK-NOT:     memref.collapse_shape
func.func @transposed(%x: memref<4x8xf32>, %y: memref<8x4xf32>) {
  linalg.transpose ins(%x : memref<4x8xf32>) outs(%y : memref<8x4xf32>) permutation = [1, 0]
  return
}

// -----

// Slices of rows: known to be whole rows, or not. Extents that only the run knows may leave gaps.
// CHECK-LABEL: func.func @slices
// CHECK:         memref.collapse_shape %{{.*}} {{\[}}[0, 1]] : memref<3x4xf32, strided<[4, 1], offset: 8>>
// CHECK:         memref.collapse_shape
// CHECK-NOT:     memref.collapse_shape
// CHECK:         linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]
// CHECK-SAME:    memref<3x?xf32, strided<[4, 1]>>
// CHECK:         linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]
// CHECK-SAME:    memref<3x2xf32, strided<[4, 1]>>
func.func @slices(%a: memref<3x4xf32, strided<[4, 1], offset: 8>>, %whole: memref<3x4xf32>, %b: memref<3x?xf32, strided<[4, 1]>>, %some: memref<3x?xf32>,
    %c: memref<3x2xf32, strided<[4, 1]>>, %two: memref<3x2xf32>) {
  memref.copy %a, %whole : memref<3x4xf32, strided<[4, 1], offset: 8>> to memref<3x4xf32>
  memref.copy %b, %some : memref<3x?xf32, strided<[4, 1]>> to memref<3x?xf32>
  memref.copy %c, %two : memref<3x2xf32, strided<[4, 1]>> to memref<3x2xf32>
  return
}
