// RUN: moe-opt %s -moe-tile-kernels=isas=x86-64-v4 | FileCheck %s

// Rows whose size is a multiple of 16 need no mask; the sum of squares runs in 16 lanes.
// CHECK-LABEL: func.func @norm
// CHECK: vector.fma
// CHECK: vector.reduction <add>
// CHECK: math.sqrt
// CHECK-NOT: vector.create_mask
// CHECK: return
func.func private @norm(%x: memref<?x?x64xf32>, %w: memref<64xf32>, %out: memref<?x?x64xf32>) attributes {moe.kernel} {
  moe.rms_norm %x weight(%w) outs(%out) {epsilon = 1.0e-6 : f32} : (memref<?x?x64xf32>, memref<64xf32>, memref<?x?x64xf32>) -> ()
  return
}

// The end of a row is masked.
// CHECK-LABEL: func.func @activation
// CHECK: vector.load
// CHECK: vector.create_mask
// CHECK: vector.maskedload
// CHECK: vector.maskedstore
func.func private @activation(%g: memref<?x40xf32>, %u: memref<?x40xf32>, %out: memref<?x40xf32>) attributes {moe.kernel} {
  moe.swiglu %g, %u outs(%out) : (memref<?x40xf32>, memref<?x40xf32>, memref<?x40xf32>) -> ()
  return
}

// Interleaved pairs are taken apart and put together by shuffles.
// CHECK-LABEL: func.func @rotate
// CHECK-COUNT-4: vector.shuffle
// CHECK: return
func.func private @rotate(%x: memref<?x3x?x32xf32>, %c: memref<1x?x16xf32>, %s: memref<1x?x16xf32>, %out: memref<?x3x?x32xf32>) attributes {moe.kernel} {
  moe.rope %x, %c, %s outs(%out) {interleaved} : (memref<?x3x?x32xf32>, memref<1x?x16xf32>, memref<1x?x16xf32>, memref<?x3x?x32xf32>) -> ()
  return
}

// CHECK-LABEL: func.func @combine
// CHECK-COUNT-2: vector.fma
// CHECK: vector.store
func.func private @combine(%y: memref<?x64xf32>, %p: memref<?xi32>, %w: memref<?x2xf32>, %out: memref<?x64xf32>) attributes {moe.kernel} {
  moe.combine %y at %p weights(%w) outs(%out) {k = 2 : i64} : (memref<?x64xf32>, memref<?xi32>, memref<?x2xf32>, memref<?x64xf32>) -> ()
  return
}

// f64 is left to plain loops.
// CHECK-LABEL: func.func @wide
// CHECK-NOT: vector
// CHECK: return
func.func private @wide(%x: memref<?x64xf64>, %out: memref<?x64xf64>) attributes {moe.kernel} {
  moe.rms_norm %x outs(%out) {epsilon = 1.0e-6 : f32} : (memref<?x64xf64>, memref<?x64xf64>) -> ()
  return
}
