// RUN: moe-opt %s -moe-tile-kernels=isas=x86-64-v4 | FileCheck %s

// Whole vectors of scores: softmax, then the best of the lanes and the least number that has it, k times.
// CHECK-LABEL: func.func @whole
// CHECK-NOT: vector.create_mask
// CHECK: vector.reduction <maximumf>
// CHECK: vector.reduction <add>
// CHECK: vector.reduction <maxnumf>
// CHECK: vector.reduction <minui>
// CHECK-NOT: math.exp
func.func private @whole(%logits: memref<?x32xf32>, %w: memref<?x4xf32>, %i: memref<?x4xi64>) attributes {moe.kernel} {
  moe.route %logits outs(%w, %i) {k = 4 : i64} : (memref<?x32xf32>, memref<?x4xf32>, memref<?x4xi64>) -> ()
  return
}

// The last lanes of 40 are masked; the bias is widened.
// CHECK-LABEL: func.func @rest
// CHECK: vector.create_mask
// CHECK: vector.maskedload {{.*}} : memref<40xbf16>
// CHECK: vector.reduction <minui>
func.func private @rest(%logits: memref<?x40xf32>, %bias: memref<40xbf16>, %w: memref<?x2xf32>, %i: memref<?x2xi64>) attributes {moe.kernel} {
  moe.route %logits bias(%bias) outs(%w, %i) {k = 2 : i64, score = #moe.score<sigmoid>} : (memref<?x40xf32>, memref<40xbf16>, memref<?x2xf32>, memref<?x2xi64>) -> ()
  return
}

// Logits of 64 bits are left to plain loops.
// CHECK-LABEL: func.func @double
// CHECK-NOT: vector.reduction
// CHECK: math.exp
func.func private @double(%logits: memref<?x32xf64>, %w: memref<?x4xf64>, %i: memref<?x4xi64>) attributes {moe.kernel} {
  moe.route %logits outs(%w, %i) {k = 4 : i64} : (memref<?x32xf64>, memref<?x4xf64>, memref<?x4xi64>) -> ()
  return
}
