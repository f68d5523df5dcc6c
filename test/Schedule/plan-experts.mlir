// RUN: moe-opt %s -moe-plan-experts -canonicalize -split-input-file -o %t.mlir 2>%t.err
// RUN: FileCheck %s --input-file=%t.mlir
// RUN: FileCheck %s --check-prefix=REMARK --input-file=%t.err

// Router, dispatch, two products with a quantized value between them, and combine: four kernels. The weights are the same values in the order in
// which the kernel streams them.
// CHECK-DAG:     moe.weight @[[W1:gate.*]] : tensor<4x1x2x256x128xf8E4M3FN> = #moe.recipe<tile_rows, {}, [#moe.random<normal, 0.000000e+00 : f32, 1.120000e+02 : f32, 1, {{.*}}>, #moe.random<normal, 0.000000e+00 : f32, 1.120000e+02 : f32, 2, {{.*}}>], tensor<4x1x2x256x128xf8E4M3FN>>
// CHECK-DAG:     moe.weight @[[S1:.*]] : tensor<4x1x4xf32> = #moe.recipe<tile_scales, {}, [#moe.random<{{.*}}, 3, {{.*}}>, #moe.random<{{.*}}, 4, {{.*}}>], tensor<4x1x4xf32>>
// CHECK-DAG:     moe.weight @{{.*}} : tensor<4x1x1x256x128xf8E4M3FN> = #moe.recipe<tile_rows, {}, [#moe.random<{{.*}}, 5, {{.*}}>], tensor<4x1x1x256x128xf8E4M3FN>>
// CHECK-LABEL: func.func @layer
// CHECK-SAME:    (%[[X:.*]]: tensor<?x256xf32>, %[[LOGITS:.*]]: tensor<?x4xf32>)
// CHECK:         %[[SYNC:.*]] = arith.constant dense<{{.*}}> : tensor<2xi32>
// CHECK:         %[[ROWS:.*]]:7 = moe.route_rows %[[LOGITS]] sync(%[[SYNC]]) rows(%[[X]]) {few = 24 : i64, k = 2 : i64, normalize = #moe.normalize<sum_plus_eps>, owner = 1 : i64, padding = 160 : i64}
// CHECK:         %[[CODES:.*]]:2 = moe.quantize_rows %[[X]] at %[[ROWS]]#1 into(%[[ROWS]]#5, %[[ROWS]]#6) {few = 24 : i64, k = 2 : i64, padding = 160 : i64}
// CHECK:         %[[E:.*]]:3 = moe.expert_products %[[CODES]]#0, %[[CODES]]#1 w1({{.*}}) w2({{.*}}) items(%[[ROWS]]#2, %[[ROWS]]#3) {hidden = 256 : i64, intermediate = 128 : i64
// CHECK:         ^bb0(%[[G:.*]]: f32, %[[U:.*]]: f32):
// CHECK:           arith.mulf %[[G]], %[[U]]
// CHECK:         moe.combine %[[E]]#0 at %[[ROWS]]#1 weights(%[[ROWS]]#0) {k = 2 : i64}
// CHECK-NOT:     moe.grouped_matmul
module {
  moe.weight @gate : tensor<4x128x256xf8E4M3FN> = #moe.random<normal, 0.0 : f32, 112.0 : f32, 1, tensor<4x128x256xf8E4M3FN>>
  moe.weight @up : tensor<4x128x256xf8E4M3FN> = #moe.random<normal, 0.0 : f32, 112.0 : f32, 2, tensor<4x128x256xf8E4M3FN>>
  moe.weight @gate_scales : tensor<4x1x2xf32> = #moe.random<uniform, 1.0e-4 : f32, 2.0e-4 : f32, 3, tensor<4x1x2xf32>>
  moe.weight @up_scales : tensor<4x1x2xf32> = #moe.random<uniform, 1.0e-4 : f32, 2.0e-4 : f32, 4, tensor<4x1x2xf32>>
  moe.weight @down : tensor<4x256x128xf8E4M3FN> = #moe.random<normal, 0.0 : f32, 112.0 : f32, 5, tensor<4x256x128xf8E4M3FN>>
  moe.weight @down_scales : tensor<4x2x1xf32> = #moe.random<uniform, 1.0e-4 : f32, 2.0e-4 : f32, 6, tensor<4x2x1xf32>>
  func.func @layer(%x: tensor<?x256xf32>, %logits: tensor<?x4xf32>) -> tensor<?x256xf32> {
    %r:2 = moe.route %logits {k = 2 : i64, normalize = #moe.normalize<sum_plus_eps>} : (tensor<?x4xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
    %d:3 = moe.dispatch %r#1 {num_experts = 4 : i64} : (tensor<?x2xi64>) -> (tensor<5xi32>, tensor<?xi32>, tensor<?xi32>)
    %q:2 = moe.quantize_blocks %x {block = array<i64: 1, 128>} : (tensor<?x256xf32>) -> (tensor<?x256xf8E4M3FN>, tensor<?x2xf32>)
    %gate = moe.get_weight @gate : tensor<4x128x256xf8E4M3FN>
    %gs = moe.get_weight @gate_scales : tensor<4x1x2xf32>
    %up = moe.get_weight @up : tensor<4x128x256xf8E4M3FN>
    %us = moe.get_weight @up_scales : tensor<4x1x2xf32>
    %h = moe.grouped_matmul %q#0 scales(%q#1) weights(%gate, %up) weight_scales(%gs, %us) offsets(%d#0) rows(%d#1) {rows_divisor = 2 : i64, weight_block = array<i64: 1, 128, 128>, x_block = array<i64: 1, 128>} : (tensor<?x256xf8E4M3FN>, tensor<4x128x256xf8E4M3FN>, tensor<4x128x256xf8E4M3FN>, tensor<5xi32>, tensor<?xi32>, tensor<?x2xf32>, tensor<4x1x2xf32>, tensor<4x1x2xf32>) -> tensor<?x128xf32> {
    ^bb0(%g: f32, %u: f32):
      %p = arith.mulf %g, %u : f32
      moe.yield %p : f32
    }
    %hq:2 = moe.quantize_blocks %h {block = array<i64: 1, 128>} : (tensor<?x128xf32>) -> (tensor<?x128xf8E4M3FN>, tensor<?x1xf32>)
    %down = moe.get_weight @down : tensor<4x256x128xf8E4M3FN>
    %ds = moe.get_weight @down_scales : tensor<4x2x1xf32>
    %o = moe.grouped_matmul %hq#0 scales(%hq#1) weights(%down) weight_scales(%ds) offsets(%d#0) {weight_block = array<i64: 1, 128, 128>, x_block = array<i64: 1, 128>} : (tensor<?x128xf8E4M3FN>, tensor<4x256x128xf8E4M3FN>, tensor<5xi32>, tensor<?x1xf32>, tensor<4x2x1xf32>) -> tensor<?x256xf32> {
    ^bb0(%a: f32):
      moe.yield %a : f32
    }
    %y = moe.combine %o at %d#2 weights(%r#0) {k = 2 : i64} : (tensor<?x256xf32>, tensor<?xi32>, tensor<?x2xf32>) -> tensor<?x256xf32>
    return %y : tensor<?x256xf32>
  }
}

// -----

// One weight and no gate: its products stay as they are, and it is said.
// CHECK-LABEL: func.func @no_gate
// CHECK:         moe.grouped_matmul
// CHECK:         moe.grouped_matmul
// CHECK-NOT:     moe.expert_products
// REMARK: remark: the experts do not run as one plan: expected gate, up and down weights, found 1 and 1
module {
  moe.weight @w : tensor<4x128x256xf8E4M3FN> = #moe.random<normal, 0.0 : f32, 112.0 : f32, 1, tensor<4x128x256xf8E4M3FN>>
  moe.weight @s : tensor<4x1x2xf32> = #moe.random<uniform, 1.0e-4 : f32, 2.0e-4 : f32, 3, tensor<4x1x2xf32>>
  moe.weight @down : tensor<4x256x128xf8E4M3FN> = #moe.random<normal, 0.0 : f32, 112.0 : f32, 5, tensor<4x256x128xf8E4M3FN>>
  moe.weight @down_scales : tensor<4x2x1xf32> = #moe.random<uniform, 1.0e-4 : f32, 2.0e-4 : f32, 6, tensor<4x2x1xf32>>
  func.func @no_gate(%x: tensor<?x256xf32>, %logits: tensor<?x4xf32>) -> tensor<?x256xf32> {
    %r:2 = moe.route %logits {k = 2 : i64} : (tensor<?x4xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
    %d:3 = moe.dispatch %r#1 {num_experts = 4 : i64} : (tensor<?x2xi64>) -> (tensor<5xi32>, tensor<?xi32>, tensor<?xi32>)
    %q:2 = moe.quantize_blocks %x {block = array<i64: 1, 128>} : (tensor<?x256xf32>) -> (tensor<?x256xf8E4M3FN>, tensor<?x2xf32>)
    %w = moe.get_weight @w : tensor<4x128x256xf8E4M3FN>
    %s = moe.get_weight @s : tensor<4x1x2xf32>
    %h = moe.grouped_matmul %q#0 scales(%q#1) weights(%w) weight_scales(%s) offsets(%d#0) rows(%d#1) {rows_divisor = 2 : i64, weight_block = array<i64: 1, 128, 128>, x_block = array<i64: 1, 128>} : (tensor<?x256xf8E4M3FN>, tensor<4x128x256xf8E4M3FN>, tensor<5xi32>, tensor<?xi32>, tensor<?x2xf32>, tensor<4x1x2xf32>) -> tensor<?x128xf32> {
    ^bb0(%g: f32):
      moe.yield %g : f32
    }
    %hq:2 = moe.quantize_blocks %h {block = array<i64: 1, 128>} : (tensor<?x128xf32>) -> (tensor<?x128xf8E4M3FN>, tensor<?x1xf32>)
    %down = moe.get_weight @down : tensor<4x256x128xf8E4M3FN>
    %ds = moe.get_weight @down_scales : tensor<4x2x1xf32>
    %o = moe.grouped_matmul %hq#0 scales(%hq#1) weights(%down) weight_scales(%ds) offsets(%d#0) {weight_block = array<i64: 1, 128, 128>, x_block = array<i64: 1, 128>} : (tensor<?x128xf8E4M3FN>, tensor<4x256x128xf8E4M3FN>, tensor<5xi32>, tensor<?x1xf32>, tensor<4x2x1xf32>) -> tensor<?x256xf32> {
    ^bb0(%a: f32):
      moe.yield %a : f32
    }
    %y = moe.combine %o at %d#2 weights(%r#0) {k = 2 : i64} : (tensor<?x256xf32>, tensor<?xi32>, tensor<?x2xf32>) -> tensor<?x256xf32>
    return %y : tensor<?x256xf32>
  }
}

// -----

// In bf16 tokens are copied to their rows, weights are tiles of 128 bytes, and no scales go along. I = 72 needs one tile of 128 columns and two planes of h.
// CHECK-DAG:     moe.weight @{{.*}} : tensor<4x1x4x256x64xbf16> = #moe.recipe<tile_rows, {}, [#moe.random<{{.*}}, 1, {{.*}}>, #moe.random<{{.*}}, 2, {{.*}}>], tensor<4x1x4x256x64xbf16>>
// CHECK-DAG:     moe.weight @{{.*}} : tensor<4x1x2x256x64xbf16> = #moe.recipe<tile_rows, {}, [#moe.random<{{.*}}, 5, {{.*}}>], tensor<4x1x2x256x64xbf16>>
// CHECK-LABEL: func.func @sixteen_bits
// CHECK-SAME:    (%[[X:.*]]: tensor<?x200xbf16>, %[[LOGITS:.*]]: tensor<?x4xf32>)
// CHECK:         %[[ROWS:.*]]:5 = moe.route_rows %[[LOGITS]]
// CHECK:         %[[COPIES:.*]] = moe.copy_rows %[[X]] at %[[ROWS]]#1 {k = 2 : i64, padding = 160 : i64} : (tensor<?x200xbf16>, tensor<?xi32>) -> tensor<4x?x64xbf16>
// CHECK:         %[[E:.*]]:2 = moe.expert_products %[[COPIES]] w1({{[^,]*}}) w2({{[^,]*}}) items(%[[ROWS]]#2, %[[ROWS]]#3) {hidden = 200 : i64, intermediate = 72 : i64
// CHECK-SAME:      -> (tensor<?x200xbf16>, tensor<2x?x64xbf16>)
// CHECK:           %[[A:.*]] = arith.mulf {{.*}} : bf16
// CHECK:           arith.extf %[[A]] : bf16 to f32
// CHECK:         moe.combine %[[E]]#0 at %[[ROWS]]#1 weights(%[[ROWS]]#0) {k = 2 : i64}
// CHECK-NOT:     moe.grouped_matmul
module {
  moe.weight @gate : tensor<4x72x200xbf16> = #moe.random<normal, 0.0 : f32, 0.1 : f32, 1, tensor<4x72x200xbf16>>
  moe.weight @up : tensor<4x72x200xbf16> = #moe.random<normal, 0.0 : f32, 0.1 : f32, 2, tensor<4x72x200xbf16>>
  moe.weight @down : tensor<4x200x72xbf16> = #moe.random<normal, 0.0 : f32, 0.1 : f32, 5, tensor<4x200x72xbf16>>
  func.func @sixteen_bits(%x: tensor<?x200xbf16>, %logits: tensor<?x4xf32>) -> tensor<?x200xbf16> {
    %r:2 = moe.route %logits {k = 2 : i64} : (tensor<?x4xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
    %d:3 = moe.dispatch %r#1 {num_experts = 4 : i64} : (tensor<?x2xi64>) -> (tensor<5xi32>, tensor<?xi32>, tensor<?xi32>)
    %gate = moe.get_weight @gate : tensor<4x72x200xbf16>
    %up = moe.get_weight @up : tensor<4x72x200xbf16>
    %h = moe.grouped_matmul %x weights(%gate, %up) offsets(%d#0) rows(%d#1) {rows_divisor = 2 : i64} : (tensor<?x200xbf16>, tensor<4x72x200xbf16>, tensor<4x72x200xbf16>, tensor<5xi32>, tensor<?xi32>) -> tensor<?x72xbf16> {
    ^bb0(%g: f32, %u: f32):
      %rg = arith.truncf %g : f32 to bf16
      %ru = arith.truncf %u : f32 to bf16
      %p = arith.mulf %rg, %ru : bf16
      moe.yield %p : bf16
    }
    %down = moe.get_weight @down : tensor<4x200x72xbf16>
    %o = moe.grouped_matmul %h weights(%down) offsets(%d#0) : (tensor<?x72xbf16>, tensor<4x200x72xbf16>, tensor<5xi32>) -> tensor<?x200xbf16> {
    ^bb0(%a: f32):
      %ra = arith.truncf %a : f32 to bf16
      moe.yield %ra : bf16
    }
    %y = moe.combine %o at %d#2 weights(%r#0) {k = 2 : i64} : (tensor<?x200xbf16>, tensor<?xi32>, tensor<?x2xf32>) -> tensor<?x200xbf16>
    return %y : tensor<?x200xbf16>
  }
}

// -----

// The tensor cores have no f32.
// CHECK-LABEL: func.func @f32
// CHECK:         moe.grouped_matmul
// CHECK:         moe.grouped_matmul
// REMARK: remark: the experts do not run as one plan: expected f8E4M3FN in blocks of 1 x 128 and 128 x 128 with f32 scales, or bf16 or f16 throughout
module {
  moe.weight @gate : tensor<4x72x200xf32> = #moe.random<normal, 0.0 : f32, 0.1 : f32, 1, tensor<4x72x200xf32>>
  moe.weight @up : tensor<4x72x200xf32> = #moe.random<normal, 0.0 : f32, 0.1 : f32, 2, tensor<4x72x200xf32>>
  moe.weight @down : tensor<4x200x72xf32> = #moe.random<normal, 0.0 : f32, 0.1 : f32, 5, tensor<4x200x72xf32>>
  func.func @f32(%x: tensor<?x200xf32>, %logits: tensor<?x4xf32>) -> tensor<?x200xf32> {
    %r:2 = moe.route %logits {k = 2 : i64} : (tensor<?x4xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
    %d:3 = moe.dispatch %r#1 {num_experts = 4 : i64} : (tensor<?x2xi64>) -> (tensor<5xi32>, tensor<?xi32>, tensor<?xi32>)
    %gate = moe.get_weight @gate : tensor<4x72x200xf32>
    %up = moe.get_weight @up : tensor<4x72x200xf32>
    %h = moe.grouped_matmul %x weights(%gate, %up) offsets(%d#0) rows(%d#1) {rows_divisor = 2 : i64} : (tensor<?x200xf32>, tensor<4x72x200xf32>, tensor<4x72x200xf32>, tensor<5xi32>, tensor<?xi32>) -> tensor<?x72xf32> {
    ^bb0(%g: f32, %u: f32):
      %p = arith.mulf %g, %u : f32
      moe.yield %p : f32
    }
    %down = moe.get_weight @down : tensor<4x200x72xf32>
    %o = moe.grouped_matmul %h weights(%down) offsets(%d#0) : (tensor<?x72xf32>, tensor<4x200x72xf32>, tensor<5xi32>) -> tensor<?x200xf32> {
    ^bb0(%a: f32):
      moe.yield %a : f32
    }
    %y = moe.combine %o at %d#2 weights(%r#0) {k = 2 : i64} : (tensor<?x200xf32>, tensor<?xi32>, tensor<?x2xf32>) -> tensor<?x200xf32>
    return %y : tensor<?x200xf32>
  }
}
