// RUN: moe-opt %s -moe-place-outputs | FileCheck %s

// A result that is a whole buffer, reshaped or not, is computed in the caller's memory.
// CHECK-LABEL: func.func @whole
// CHECK:         memref.alloc(%{{.*}}) {moe.output = 0 : i64}
// CHECK-NOT:     memref.copy
func.func @whole(%n: memref<?xf32>) -> memref<?x8xf32> {
  %c0 = arith.constant 0 : index
  %d = memref.dim %n, %c0 : memref<?xf32>
  %a = memref.alloc(%d) : memref<?x2x4xf32>
  %v = memref.collapse_shape %a [[0], [1, 2]] : memref<?x2x4xf32> into memref<?x8xf32>
  return %v : memref<?x8xf32>
}

// An argument, or a buffer that is an output already, is copied.
// CHECK-LABEL: func.func @copies
// CHECK-SAME:    (%[[ARG:.*]]: memref<4xf32>)
// CHECK:         %[[A:.*]] = memref.alloc() {moe.output = 0 : i64}
// CHECK:         %[[B:.*]] = memref.alloc() {moe.output = 1 : i64}
// CHECK:         memref.copy %[[A]], %[[B]]
// CHECK:         %[[C:.*]] = memref.alloc() {moe.output = 2 : i64}
// CHECK:         memref.copy %[[ARG]], %[[C]]
// CHECK:         return %[[A]], %[[B]], %[[C]]
func.func @copies(%x: memref<4xf32>) -> (memref<4xf32>, memref<4xf32>, memref<4xf32>) {
  %a = memref.alloc() : memref<4xf32>
  return %a, %a, %x : memref<4xf32>, memref<4xf32>, memref<4xf32>
}
