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

// In 16 bits there are no scales.
// CHECK-LABEL: func.func @expert_products_bf16(
// CHECK:         moe.expert_products %{{[a-z0-9]+}} w1(%{{[a-z0-9]+}}) w2(%{{[a-z0-9]+}}) items(%{{.*}}, %{{.*}}) outs(%{{[a-z0-9]+}}, %{{[a-z0-9]+}}) {hidden = 200 : i64, intermediate = 72 : i64}
func.func @expert_products_bf16(%x: memref<4x?x64xbf16>, %w1: memref<5x1x4x256x64xbf16>, %w2: memref<5x1x2x256x64xbf16>, %items: memref<?xi32>, %counters: memref<?xi32>, %y: memref<?x200xbf16>, %h: memref<2x?x64xbf16>) {
  moe.expert_products %x w1(%w1) w2(%w2) items(%items, %counters) outs(%y, %h) {hidden = 200 : i64, intermediate = 72 : i64} :
      (memref<4x?x64xbf16>, memref<5x1x4x256x64xbf16>, memref<5x1x2x256x64xbf16>, memref<?xi32>, memref<?xi32>, memref<?x200xbf16>, memref<2x?x64xbf16>) -> () {
  ^bb0(%g: f32, %u: f32):
    %a = arith.mulf %g, %u : f32
    moe.yield %a : f32
  }
  return
}

// CHECK-LABEL: func.func @rows(
// CHECK:         %[[L:.*]]:4 = moe.list_rows %[[X:.*]] offsets(%{{.*}}) rows(%{{.*}}) {k = 2 : i64} : (tensor<?x200xbf16>, tensor<6xi32>, tensor<?xi32>) -> (tensor<?xi32>, tensor<5xi32>, tensor<?xi32>, tensor<?xi32>)
// CHECK:         moe.copy_rows %[[X]] at %[[L]]#0 {k = 2 : i64, padding = 168 : i64} : (tensor<?x200xbf16>, tensor<?xi32>) -> tensor<4x?x64xbf16>
// CHECK:         moe.list_rows %[[X]] : (tensor<?x200xbf16>) -> (tensor<?xi32>, tensor<1xi32>, tensor<?xi32>, tensor<?xi32>)
func.func @rows(%x: tensor<?x200xbf16>, %offsets: tensor<6xi32>, %rows: tensor<?xi32>) -> (tensor<4x?x64xbf16>, tensor<?xi32>) {
  %l:4 = moe.list_rows %x offsets(%offsets) rows(%rows) {k = 2 : i64} : (tensor<?x200xbf16>, tensor<6xi32>, tensor<?xi32>) -> (tensor<?xi32>, tensor<5xi32>, tensor<?xi32>, tensor<?xi32>)
  %c = moe.copy_rows %x at %l#0 {k = 2 : i64, padding = 168 : i64} : (tensor<?x200xbf16>, tensor<?xi32>) -> tensor<4x?x64xbf16>
  %d:4 = moe.list_rows %x : (tensor<?x200xbf16>) -> (tensor<?xi32>, tensor<1xi32>, tensor<?xi32>, tensor<?xi32>)
  return %c, %d#0 : tensor<4x?x64xbf16>, tensor<?xi32>
}

// CHECK-LABEL: func.func @row_product(
// CHECK:         moe.row_product %{{.*}}, %{{.*}} weights(%{{.*}}, %{{.*}}) items(%{{.*}}, %{{.*}}) at(%{{.*}}, %{{.*}}) extras(%{{.*}}, %{{.*}}) {columns = 201 : i64, extra_kinds = array<i64: 1, 3>} :
// CHECK-NEXT:    ^bb0(%{{.*}}: f32, %{{.*}}: bf16, %{{.*}}: f32):
// CHECK:         moe.row_product %{{[a-z0-9]+}} weights(%{{[a-z0-9]+}}) items(%{{.*}}, %{{.*}}) at(%{{.*}}, %{{.*}}) {columns = 201 : i64} :
func.func @row_product(%x: tensor<2x?x128xf8E4M3FN>, %sx: tensor<2x?xf32>, %w: tensor<5x1x2x256x128xf8E4M3FN>, %s: tensor<5x1x4xf32>, %items: tensor<?xi32>, %counters: tensor<?xi32>, %position: tensor<?xi32>, %shift: tensor<5xi32>, %bias: tensor<5x201xbf16>, %factor: tensor<?xf32>,
    %x16: tensor<2x?x64xf16>, %w16: tensor<5x1x2x256x64xf16>) -> (tensor<?x201xf32>, tensor<?x201xf16>) {
  %y = moe.row_product %x, %sx weights(%w, %s) items(%items, %counters) at(%position, %shift) extras(%bias, %factor) {columns = 201 : i64, extra_kinds = array<i64: 1, 3>} :
      (tensor<2x?x128xf8E4M3FN>, tensor<2x?xf32>, tensor<5x1x2x256x128xf8E4M3FN>, tensor<5x1x4xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<5xi32>, tensor<5x201xbf16>, tensor<?xf32>) -> tensor<?x201xf32> {
  ^bb0(%a: f32, %b: bf16, %f: f32):
    %wide = arith.extf %b : bf16 to f32
    %c = arith.addf %a, %wide : f32
    %d = arith.mulf %c, %f : f32
    moe.yield %d : f32
  }
  %z = moe.row_product %x16 weights(%w16) items(%items, %counters) at(%position, %shift) {columns = 201 : i64} :
      (tensor<2x?x64xf16>, tensor<5x1x2x256x64xf16>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<5xi32>) -> tensor<?x201xf16> {
  ^bb0(%a: f32):
    %b = arith.truncf %a : f32 to f16
    moe.yield %b : f16
  }
  return %y, %z : tensor<?x201xf32>, tensor<?x201xf16>
}
