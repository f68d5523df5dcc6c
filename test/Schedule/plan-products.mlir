// RUN: moe-opt %s -moe-plan-products -canonicalize -split-input-file -o %t.mlir 2>%t.err
// RUN: FileCheck %s --input-file=%t.mlir
// RUN: FileCheck %s --check-prefix=REMARK --input-file=%t.err

// A dense product in FP8 blocks: all rows are one group, quantized once into the layout of the kernel.
// CHECK-DAG:     moe.weight @[[W:w.*]] : tensor<1x2x2x256x128xf8E4M3FN> = #moe.recipe<tile_rows, {}, [#moe.random<{{.*}}, 1, {{.*}}>], tensor<1x2x2x256x128xf8E4M3FN>>
// CHECK-DAG:     moe.weight @[[S:s.*]] : tensor<1x2x4xf32> = #moe.recipe<tile_scales, {}, [#moe.random<{{.*}}, 3, {{.*}}>], tensor<1x2x4xf32>>
// CHECK-LABEL: func.func @dense
// CHECK-SAME:    (%[[X:.*]]: tensor<?x200xf32>, %[[R:.*]]: tensor<?x300xf32>)
// CHECK:         %[[L:.*]]:4 = moe.list_rows %[[X]] : (tensor<?x200xf32>) -> (tensor<?xi32>, tensor<1xi32>, tensor<?xi32>, tensor<?xi32>)
// CHECK:         %[[C:.*]]:2 = moe.quantize_rows %[[X]] at %[[L]]#0 {k = 1 : i64, padding = 136 : i64}
// CHECK-DAG:     %[[TILES:.*]] = moe.get_weight @[[W]]
// CHECK-DAG:     %[[SCALES:.*]] = moe.get_weight @[[S]]
// CHECK:         %[[Y:.*]] = moe.row_product %[[C]]#0, %[[C]]#1 weights(%[[TILES]], %[[SCALES]]) items(%[[L]]#2, %[[L]]#3) at(%[[L]]#0, %[[L]]#1) extras(%[[R]]) {columns = 300 : i64, extra_kinds = array<i64: 0>}
// CHECK:         ^bb0(%[[A:.*]]: f32, %[[E:.*]]: f32):
// CHECK:           arith.addf %[[A]], %[[E]]
// CHECK-NOT:     moe.quantize_blocks
// CHECK:         return %[[Y]]
module {
  moe.weight @w : tensor<1x300x200xf8E4M3FN> = #moe.random<normal, 0.0 : f32, 112.0 : f32, 1, tensor<1x300x200xf8E4M3FN>>
  moe.weight @s : tensor<1x3x2xf32> = #moe.random<uniform, 1.0e-4 : f32, 2.0e-4 : f32, 3, tensor<1x3x2xf32>>
  func.func @dense(%x: tensor<?x200xf32>, %r: tensor<?x300xf32>) -> tensor<?x300xf32> {
    %q:2 = moe.quantize_blocks %x {block = array<i64: 1, 128>} : (tensor<?x200xf32>) -> (tensor<?x200xf8E4M3FN>, tensor<?x2xf32>)
    %w = moe.get_weight @w : tensor<1x300x200xf8E4M3FN>
    %s = moe.get_weight @s : tensor<1x3x2xf32>
    %y = moe.grouped_matmul %q#0 scales(%q#1) weights(%w) weight_scales(%s) extras(%r) {extra_kinds = array<i64: 0>, weight_block = array<i64: 1, 128, 128>, x_block = array<i64: 1, 128>} : (tensor<?x200xf8E4M3FN>, tensor<1x300x200xf8E4M3FN>, tensor<?x300xf32>, tensor<?x2xf32>, tensor<1x3x2xf32>) -> tensor<?x300xf32> {
    ^bb0(%a: f32, %e: f32):
      %b = arith.addf %a, %e : f32
      moe.yield %b : f32
    }
    return %y : tensor<?x300xf32>
  }
}

// -----

// Groups, rows gathered through a dispatch, two weights: one product of each, and the last has the epilogue. The first's sum is an f32 extra.
// CHECK-LABEL: func.func @grouped
// CHECK:         %[[D:.*]]:3 = moe.dispatch
// CHECK:         %[[L:.*]]:4 = moe.list_rows %{{.*}} offsets(%[[D]]#0) rows(%[[D]]#1) {k = 2 : i64} : (tensor<6x64xbf16>, tensor<5xi32>, tensor<12xi32>) -> (tensor<12xi32>, tensor<4xi32>, tensor<24xi32>, tensor<21xi32>)
// CHECK:         %[[C:.*]] = moe.copy_rows %{{.*}} at %[[L]]#0 {k = 2 : i64, padding = 160 : i64} : (tensor<6x64xbf16>, tensor<12xi32>) -> tensor<1x176x64xbf16>
// CHECK:         %[[GATE:.*]] = moe.row_product %[[C]] weights({{.*}}) items(%[[L]]#2, %[[L]]#3) at(%[[L]]#0, %[[L]]#1) {columns = 96 : i64}
// CHECK-SAME:      -> tensor<12x96xf32>
// CHECK:         moe.row_product %[[C]] weights({{.*}}) items(%[[L]]#2, %[[L]]#3) at(%[[L]]#0, %[[L]]#1) extras(%[[GATE]]) {columns = 96 : i64, extra_kinds = array<i64: 0>}
// CHECK:         ^bb0(%[[U:.*]]: f32, %[[G:.*]]: f32):
// CHECK:           arith.subf %[[G]], %[[U]]
module {
  moe.weight @gate : tensor<4x96x64xbf16> = #moe.random<normal, 0.0 : f32, 0.1 : f32, 1, tensor<4x96x64xbf16>>
  moe.weight @up : tensor<4x96x64xbf16> = #moe.random<normal, 0.0 : f32, 0.1 : f32, 2, tensor<4x96x64xbf16>>
  func.func @grouped(%x: tensor<6x64xbf16>, %ids: tensor<6x2xi64>) -> tensor<12x96xbf16> {
    %d:3 = moe.dispatch %ids {num_experts = 4 : i64} : (tensor<6x2xi64>) -> (tensor<5xi32>, tensor<12xi32>, tensor<12xi32>)
    %gate = moe.get_weight @gate : tensor<4x96x64xbf16>
    %up = moe.get_weight @up : tensor<4x96x64xbf16>
    %h = moe.grouped_matmul %x weights(%gate, %up) offsets(%d#0) rows(%d#1) {rows_divisor = 2 : i64} : (tensor<6x64xbf16>, tensor<4x96x64xbf16>, tensor<4x96x64xbf16>, tensor<5xi32>, tensor<12xi32>) -> tensor<12x96xbf16> {
    ^bb0(%g: f32, %u: f32):
      %p = arith.subf %g, %u : f32
      %r = arith.truncf %p : f32 to bf16
      moe.yield %r : bf16
    }
    return %h : tensor<12x96xbf16>
  }
}

// -----

// f32 has no tensor cores here; 32 columns do not pay, and in FP8 that is said. So are scales of another form.
// CHECK-LABEL: func.func @kept
// CHECK-COUNT-4: moe.grouped_matmul
// CHECK-NOT:     moe.row_product
// REMARK: remark: the product runs as a plain kernel: it pays from 64 columns and sums of 64 on, found 32 and 128
// REMARK: remark: the product runs as a plain kernel: expected f8E4M3FN in blocks of 1 x 128 and 128 x 128 with f32 scales
// REMARK-NOT: remark
module {
  moe.weight @a : tensor<1x128x128xf32> = #moe.random<normal, 0.0 : f32, 0.1 : f32, 1, tensor<1x128x128xf32>>
  moe.weight @b : tensor<1x32x128xf8E4M3FN> = #moe.random<normal, 0.0 : f32, 112.0 : f32, 2, tensor<1x32x128xf8E4M3FN>>
  moe.weight @bs : tensor<1x1x1xf32> = #moe.random<uniform, 1.0e-4 : f32, 2.0e-4 : f32, 3, tensor<1x1x1xf32>>
  moe.weight @c : tensor<1x32x128xbf16> = #moe.random<normal, 0.0 : f32, 0.1 : f32, 4, tensor<1x32x128xbf16>>
  moe.weight @d : tensor<1x128x128xf8E4M3FN> = #moe.random<normal, 0.0 : f32, 112.0 : f32, 5, tensor<1x128x128xf8E4M3FN>>
  func.func @kept(%x: tensor<?x128xf32>, %z: tensor<?x128xbf16>) -> (tensor<?x128xf32>, tensor<?x32xf32>, tensor<?x32xbf16>, tensor<?x128xf32>) {
    %a = moe.get_weight @a : tensor<1x128x128xf32>
    %ya = moe.grouped_matmul %x weights(%a) : (tensor<?x128xf32>, tensor<1x128x128xf32>) -> tensor<?x128xf32> {
    ^bb0(%s: f32):
      moe.yield %s : f32
    }
    %q:2 = moe.quantize_blocks %x {block = array<i64: 1, 128>} : (tensor<?x128xf32>) -> (tensor<?x128xf8E4M3FN>, tensor<?x1xf32>)
    %b = moe.get_weight @b : tensor<1x32x128xf8E4M3FN>
    %bs = moe.get_weight @bs : tensor<1x1x1xf32>
    %yb = moe.grouped_matmul %q#0 scales(%q#1) weights(%b) weight_scales(%bs) {weight_block = array<i64: 1, 128, 128>, x_block = array<i64: 1, 128>} : (tensor<?x128xf8E4M3FN>, tensor<1x32x128xf8E4M3FN>, tensor<?x1xf32>, tensor<1x1x1xf32>) -> tensor<?x32xf32> {
    ^bb0(%s: f32):
      moe.yield %s : f32
    }
    %c = moe.get_weight @c : tensor<1x32x128xbf16>
    %yc = moe.grouped_matmul %z weights(%c) : (tensor<?x128xbf16>, tensor<1x32x128xbf16>) -> tensor<?x32xbf16> {
    ^bb0(%s: f32):
      %r = arith.truncf %s : f32 to bf16
      moe.yield %r : bf16
    }
    %d = moe.get_weight @d : tensor<1x128x128xf8E4M3FN>
    %yd = moe.grouped_matmul %x weights(%d) weight_scales(%bs) {weight_block = array<i64: 1, 0, 0>} : (tensor<?x128xf32>, tensor<1x128x128xf8E4M3FN>, tensor<1x1x1xf32>) -> tensor<?x128xf32> {
    ^bb0(%s: f32):
      moe.yield %s : f32
    }
    return %ya, %yb, %yc, %yd : tensor<?x128xf32>, tensor<?x32xf32>, tensor<?x32xbf16>, tensor<?x128xf32>
  }
}
