// RUN: moe-opt %s -moe-outline-kernels | FileCheck %s

// Two equal ops share one kernel; constants move into it, scalars become arguments.
// CHECK-LABEL: func.func @twice
// CHECK:         moe.launch @[[SWIGLU:k0_swiglu]](%{{.*}}, %{{.*}}, %{{.*}}) : (memref<?x8xf32>, memref<?x8xf32>, memref<?x8xf32>)
// CHECK:         moe.launch @[[SWIGLU]](
// CHECK:         moe.launch @[[GENERIC:k1_generic]](%{{.*}}, %{{.*}}, %{{.*}}) : (memref<?x8xf32>, memref<?x8xf32>, f32)
func.func @twice(%g: memref<?x8xf32>, %u: memref<?x8xf32>, %a: memref<?x8xf32>, %b: memref<?x8xf32>, %s: f32) {
  moe.swiglu %g, %u outs(%a) : (memref<?x8xf32>, memref<?x8xf32>, memref<?x8xf32>) -> ()
  moe.swiglu %a, %u outs(%b) : (memref<?x8xf32>, memref<?x8xf32>, memref<?x8xf32>) -> ()
  %two = arith.constant 2.0 : f32
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>],
                  iterator_types = ["parallel", "parallel"]} ins(%a : memref<?x8xf32>) outs(%b : memref<?x8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %p = arith.mulf %in, %two : f32
    %q = arith.addf %p, %s : f32
    linalg.yield %q : f32
  }
  return
}

// A view's offset is the host's business: kernels of different slices are one. Two views of one buffer may overlap.
// CHECK-LABEL: func.func @slices
// CHECK:         moe.launch @[[NORM:k2_rms_norm]](
// CHECK:         moe.launch @[[NORM]](
func.func @slices(%x: memref<6x8xf32>, %y: memref<2x8xf32>) {
  %a = memref.subview %x[0, 0] [2, 8] [1, 1] : memref<6x8xf32> to memref<2x8xf32, strided<[8, 1]>>
  %b = memref.subview %x[4, 0] [2, 8] [1, 1] : memref<6x8xf32> to memref<2x8xf32, strided<[8, 1], offset: 32>>
  moe.rms_norm %a outs(%y) {epsilon = 0.0 : f32} : (memref<2x8xf32, strided<[8, 1]>>, memref<2x8xf32>) -> ()
  moe.rms_norm %b outs(%y) {epsilon = 0.0 : f32} : (memref<2x8xf32, strided<[8, 1], offset: 32>>, memref<2x8xf32>) -> ()
  return
}

// CHECK-LABEL: func.func @overlap
// CHECK:         moe.launch @[[OVERLAP:k3_rms_norm]](
func.func @overlap(%x: memref<6x8xf32>) {
  %a = memref.subview %x[0, 0] [2, 8] [1, 1] : memref<6x8xf32> to memref<2x8xf32, strided<[8, 1]>>
  %b = memref.subview %x[4, 0] [2, 8] [1, 1] : memref<6x8xf32> to memref<2x8xf32, strided<[8, 1], offset: 32>>
  moe.rms_norm %a outs(%b) {epsilon = 0.0 : f32} : (memref<2x8xf32, strided<[8, 1]>>, memref<2x8xf32, strided<[8, 1], offset: 32>>) -> ()
  return
}

// CHECK:       func.func private @[[SWIGLU]](%{{.*}}) attributes {moe.cost = {flops = "0"}, moe.kernel, moe.op = "moe.swiglu"}
// CHECK:       func.func private @[[GENERIC]](%{{.*}}: memref<?x8xf32>, %{{.*}}: memref<?x8xf32>, %{{.*}}: f32)
// CHECK-NEXT:    arith.constant 2.0
// CHECK:       func.func private @[[NORM]](%{{.*}}: memref<2x8xf32>, %{{.*}}: memref<2x8xf32>)
// CHECK:       func.func private @[[OVERLAP]](%{{.*}}: memref<2x8xf32> {moe.may_alias}, %{{.*}}: memref<2x8xf32> {moe.may_alias})
