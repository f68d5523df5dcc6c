// RUN: moe-opt %s -moe-plan-buffers | FileCheck %s

func.func private @k(memref<?xf32>, memref<?xf32>) attributes {moe.kernel}
func.func private @count(memref<?xf32>, memref<i64>) attributes {moe.kernel}

// A temporary lives from the first launch that touches it to the last; views count for their buffer.
// CHECK-LABEL: func.func @lifetimes
// CHECK:         memref.alloc(%{{.*}}) {moe.temporary = array<i64: 0, 0, 2>} : memref<?x2xf32>
// CHECK:         memref.alloc(%{{.*}}) {moe.temporary = array<i64: 1, 1, 1>} : memref<?xf32>
func.func @lifetimes(%x: memref<?xf32>) {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %d = memref.dim %x, %c0 : memref<?xf32>
  %n = arith.muli %d, %c2 : index
  %a = memref.alloc(%d) : memref<?x2xf32>
  %flat = memref.collapse_shape %a [[0, 1]] : memref<?x2xf32> into memref<?xf32>
  moe.launch @k(%x, %flat) : (memref<?xf32>, memref<?xf32>)
  %b = memref.alloc(%n) : memref<?xf32>
  moe.launch @k(%x, %b) : (memref<?xf32>, memref<?xf32>)
  moe.launch @k(%flat, %flat) : (memref<?xf32>, memref<?xf32>)
  return
}

// A size that was read from a buffer is known only while the program runs.
// CHECK-LABEL: func.func @data
// CHECK:         memref.alloc() {moe.temporary = array<i64: 0, 0, 0>} : memref<i64>
// CHECK:         memref.alloc(%{{.*}}) : memref<?xf32>
// CHECK:         memref.alloc(%{{.*}}) {moe.late, moe.output = 0 : i64} : memref<?xf32>
func.func @data(%x: memref<?xf32>) -> memref<?xf32> {
  %n = memref.alloc() : memref<i64>
  moe.launch @count(%x, %n) : (memref<?xf32>, memref<i64>)
  %v = memref.load %n[] : memref<i64>
  %i = arith.index_cast %v : i64 to index
  %a = memref.alloc(%i) : memref<?xf32>
  moe.launch @k(%x, %a) : (memref<?xf32>, memref<?xf32>)
  %out = memref.alloc(%i) {moe.output = 0 : i64} : memref<?xf32>
  moe.launch @k(%a, %out) : (memref<?xf32>, memref<?xf32>)
  return %out : memref<?xf32>
}

// Canonicalization makes an allocation anew when its extent turns out to be a constant; it is still the output.
// CHECK-LABEL: func.func @constant_extent
// CHECK:         memref.alloc() {moe.output = 0 : i64} : memref<24xf32>
func.func @constant_extent(%x: memref<?xf32>) -> memref<?xf32> {
  %a = memref.alloc() : memref<24xf32>
  %cast = memref.cast %a : memref<24xf32> to memref<?xf32>
  moe.launch @k(%x, %cast) : (memref<?xf32>, memref<?xf32>)
  return %cast : memref<?xf32>
}
