// RUN: moe-opt %s -moe-tile-kernels="isas=x86-64-v3" | FileCheck %s

// A sum along contiguous memory runs in a register and may be reordered.
// CHECK:       module @cpu_x86_64_v3
// CHECK-LABEL:   func.func @sum
// CHECK:           scf.for %[[ROW:.*]] =
// CHECK:             %[[START:.*]] = memref.load %{{.*}}[%[[ROW]]]
// CHECK:             %[[SUM:.*]] = scf.for %[[J:.*]] = {{.*}} iter_args(%[[ACC:.*]] = %[[START]]) -> (f32)
// CHECK:               %[[V:.*]] = memref.load %{{.*}}[%[[ROW]], %[[J]]]
// CHECK:               arith.addf %[[ACC]], %[[V]] fastmath<reassoc,nsz,contract>
// CHECK:             memref.store %[[SUM]], %{{.*}}[%[[ROW]]]
func.func private @sum(%x: memref<?x64xf32>, %y: memref<?xf32>) attributes {moe.kernel} {
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<?x64xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %s = arith.addf %acc, %a : f32
    linalg.yield %s : f32
  }
  return
}

// A product whose right side is contiguous along the columns runs over columns innermost.
// CHECK-LABEL:   func.func @product
// CHECK:           scf.for %[[M:.*]] =
// CHECK:             scf.for %[[K:.*]] =
// CHECK:               scf.for %[[N:.*]] =
// CHECK:                 memref.load %{{.*}}[%[[M]], %[[K]]] : memref<?x32xf32>
// CHECK:                 memref.load %{{.*}}[%[[K]], %[[N]]] : memref<32x16xf32>
// CHECK:                 memref.store %{{.*}}, %{{.*}}[%[[M]], %[[N]]] : memref<?x16xf32>
func.func private @product(%a: memref<?x32xf32>, %b: memref<32x16xf32>, %c: memref<?x16xf32>) attributes {moe.kernel} {
  linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>],
                  iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<?x32xf32>, memref<32x16xf32>) outs(%c : memref<?x16xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %p = arith.mulf %x, %y : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  }
  return
}
