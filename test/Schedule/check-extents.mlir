// RUN: moe-opt %s -moe-check-extents -resolve-ranked-shaped-type-result-dims -canonicalize -cse -canonicalize -split-input-file | FileCheck %s

// Two inputs bring their extents along separately: compared before the op.
// CHECK-LABEL: func.func @two_inputs
// CHECK-DAG:     %[[A:.*]] = memref.dim %arg0
// CHECK-DAG:     %[[B:.*]] = memref.dim %arg1
// CHECK:         %[[SAME:.*]] = arith.cmpi eq, %[[A]], %[[B]]
// CHECK:         cf.assert %[[SAME]], "node '/model/add': inputs whose extents do not fit together: 'linalg.add' expects operands that agree in dim 0"
// CHECK:         linalg.add
func.func @two_inputs(%a: memref<?xf32>, %b: memref<?xf32>, %c: memref<?xf32>) {
  linalg.add ins(%a, %b : memref<?xf32>, memref<?xf32>) outs(%c : memref<?xf32>) loc("/model/add")
  return
}

// -----

// Extents of one name are compared by the runtime; a buffer's are what it was allocated with.
// CHECK-LABEL: func.func @one_name
// CHECK-NOT:     cf.assert
func.func @one_name(%a: memref<?x4xf32> {moe.dims = ["t", ""]}, %b: memref<?x4xf32> {moe.dims = ["t", ""]}) {
  %zero = arith.constant 0 : index
  %t = memref.dim %a, %zero : memref<?x4xf32>
  %c = memref.alloc(%t) : memref<?x4xf32>
  linalg.add ins(%a, %b : memref<?x4xf32>, memref<?x4xf32>) outs(%c : memref<?x4xf32>)
  return
}

// -----

// A slice ends within its buffer.
// CHECK-LABEL: func.func @slice
// CHECK:         %[[END:.*]] = arith.addi %arg1, %c2
// CHECK:         %[[WHOLE:.*]] = memref.dim %arg0
// CHECK:         %[[FITS:.*]] = arith.cmpi sle, %[[END]], %[[WHOLE]]
// CHECK:         cf.assert %[[FITS]]
func.func @slice(%a: memref<?xf32>, %n: index, %b: memref<?xf32>) {
  %s = memref.subview %a[2] [%n] [1] : memref<?xf32> to memref<?xf32, strided<[1], offset: 2>>
  %t = memref.subview %b[0] [%n] [1] : memref<?xf32> to memref<?xf32, strided<[1]>>
  memref.copy %s, %t : memref<?xf32, strided<[1], offset: 2>> to memref<?xf32, strided<[1]>>
  return
}

// -----

// The k largest of at least k elements.
// CHECK-LABEL: func.func @top_k
// CHECK:         %[[LAST:.*]] = memref.dim %arg0
// CHECK:         %[[ENOUGH:.*]] = arith.cmpi sge, %[[LAST]], %c4
// CHECK:         cf.assert %[[ENOUGH]], "{{.*}}'moe.top_k' expects at least k = 4 elements"
func.func @top_k(%x: memref<2x?xf32>, %v: memref<2x4xf32>, %i: memref<2x4xi64>) {
  moe.top_k %x outs(%v, %i) {k = 4 : i64} : (memref<2x?xf32>, memref<2x4xf32>, memref<2x4xi64>) -> ()
  return
}

// -----

// Constant extents are the verifiers' work; kernels are left alone.
// CHECK-LABEL: func.func @constant
// CHECK-NOT:     cf.assert
func.func @constant(%a: memref<8xf32>, %b: memref<8xf32>, %c: memref<8xf32>) {
  linalg.add ins(%a, %b : memref<8xf32>, memref<8xf32>) outs(%c : memref<8xf32>)
  return
}
// CHECK-LABEL: func.func @kernel
// CHECK-NOT:     cf.assert
func.func @kernel(%a: memref<?xf32>, %b: memref<?xf32>, %c: memref<?xf32>) attributes {moe.kernel} {
  linalg.add ins(%a, %b : memref<?xf32>, memref<?xf32>) outs(%c : memref<?xf32>)
  return
}
