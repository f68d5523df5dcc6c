// RUN: moe-opt %s | moe-opt | FileCheck %s
// RUN: moe-opt %s --mlir-print-op-generic | moe-opt | FileCheck %s

// The ops of the expert layer's plan on the GPU survive printing and parsing.

// CHECK-LABEL: func.func @expert_products(
// CHECK:         moe.expert_products %{{.*}}, %{{.*}} w1(%{{.*}}, %{{.*}}) w2(%{{.*}}, %{{.*}}) items(%{{.*}}, %{{.*}}) outs(%{{.*}}, %{{.*}}, %{{.*}}) {hidden = 200 : i64, intermediate = 72 : i64} : (memref<2x?x128xf8E4M3FN>,
// CHECK-NEXT:    ^bb0(%[[GATE:.*]]: f32, %[[UP:.*]]: f32):
// CHECK-NEXT:      %[[A:.*]] = arith.mulf %[[GATE]], %[[UP]] : f32
// CHECK-NEXT:      moe.yield %[[A]] : f32
func.func @expert_products(%x: memref<2x?x128xf8E4M3FN>, %sx: memref<2x?xf32>, %w1: memref<5x1x2x256x128xf8E4M3FN>, %s1: memref<5x1x4xf32>, %w2: memref<5x1x1x256x128xf8E4M3FN>, %s2: memref<5x1x4xf32>, %items: memref<?xi32>, %counters: memref<?xi32>, %y: memref<?x200xbf16>, %h: memref<1x?x128xf8E4M3FN>, %sh: memref<1x?xf32>) {
  moe.expert_products %x, %sx w1(%w1, %s1) w2(%w2, %s2) items(%items, %counters) outs(%y, %h, %sh) {hidden = 200 : i64, intermediate = 72 : i64} :
      (memref<2x?x128xf8E4M3FN>, memref<2x?xf32>, memref<5x1x2x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<5x1x1x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<?xi32>, memref<?xi32>, memref<?x200xbf16>, memref<1x?x128xf8E4M3FN>, memref<1x?xf32>) -> () {
  ^bb0(%g: f32, %u: f32):
    %a = arith.mulf %g, %u : f32
    moe.yield %a : f32
  }
  return
}

// Before bufferization the outputs are results.
// CHECK-LABEL: func.func @expert_products_tensors(
// CHECK:         %{{.*}}:3 = moe.expert_products {{.*}} items(%{{.*}}, %{{.*}}) {hidden = 200 : i64, intermediate = 72 : i64} :
// CHECK-SAME:      -> (tensor<?x200xbf16>, tensor<1x?x128xf8E4M3FN>, tensor<1x?xf32>)
func.func @expert_products_tensors(%x: tensor<2x?x128xf8E4M3FN>, %sx: tensor<2x?xf32>, %w1: tensor<5x1x2x256x128xf8E4M3FN>, %s1: tensor<5x1x4xf32>, %w2: tensor<5x1x1x256x128xf8E4M3FN>, %s2: tensor<5x1x4xf32>, %items: tensor<?xi32>, %counters: tensor<?xi32>) -> (tensor<?x200xbf16>, tensor<1x?x128xf8E4M3FN>, tensor<1x?xf32>) {
  %r:3 = moe.expert_products %x, %sx w1(%w1, %s1) w2(%w2, %s2) items(%items, %counters) {hidden = 200 : i64, intermediate = 72 : i64} :
      (tensor<2x?x128xf8E4M3FN>, tensor<2x?xf32>, tensor<5x1x2x256x128xf8E4M3FN>, tensor<5x1x4xf32>, tensor<5x1x1x256x128xf8E4M3FN>, tensor<5x1x4xf32>, tensor<?xi32>, tensor<?xi32>) -> (tensor<?x200xbf16>, tensor<1x?x128xf8E4M3FN>, tensor<1x?xf32>) {
  ^bb0(%g: f32, %u: f32):
    %a = arith.mulf %g, %u : f32
    moe.yield %a : f32
  }
  return %r#0, %r#1, %r#2 : tensor<?x200xbf16>, tensor<1x?x128xf8E4M3FN>, tensor<1x?xf32>
}
