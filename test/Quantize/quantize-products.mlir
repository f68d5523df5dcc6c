// RUN: moe-opt %s -split-input-file -moe-quantize-products=activations=f8 | FileCheck %s
// RUN: moe-opt %s -split-input-file -moe-quantize-products="recipe=plain activations=f8" | FileCheck %s --check-prefix=PLAIN
// RUN: moe-opt %s -split-input-file -moe-quantize-products=activations=bf16 | FileCheck %s --check-prefix=BF16
// RUN: moe-opt %s -split-input-file -moe-quantize-products | FileCheck %s --check-prefix=F32
// RUN: moe-opt %s -split-input-file -moe-quantize-products=table -o /dev/null 2>&1 | FileCheck %s --check-prefix=TABLE

// Experts and layers are FP8; the router, the head and small products stay high.
// CHECK: module attributes {moe.fp8 = {activations = "f8", recipe = "blocks"}}
// CHECK-LABEL: func.func @main
// PLAIN-LABEL: func.func @main
// BF16-LABEL: func.func @main
// F32-LABEL: func.func @main
// TABLE: product kind G x N x K recipe bytes before after
// TABLE: router router 1 x 16 x 256 high: routers stay high 16384 16384
// TABLE: gate experts 16 x 128 x 256 blocks 2097152 524416
// TABLE: up layer 1 x 256 x 128 blocks 131072 32776
// TABLE: small layer 1 x 8 x 256 high: too small 8192 8192
// TABLE: head head 1 x 512 x 256 high: the output head stays high 524288 524288
// TABLE: all products 2777088 1106056
module {
  moe.weight @r : tensor<1x16x256xf32> = #moe.piece<"w.bin", 0, 16384, tensor<1x16x256xf32>>
  moe.weight @g : tensor<16x128x256xf32> = #moe.piece<"w.bin", 16384, 2097152, tensor<16x128x256xf32>>
  moe.weight @u : tensor<1x256x128xf32> = #moe.piece<"w.bin", 0, 131072, tensor<1x256x128xf32>>
  moe.weight @s : tensor<1x8x256xf32> = #moe.piece<"w.bin", 0, 8192, tensor<1x8x256xf32>>
  moe.weight @h : tensor<1x512x256xf32> = #moe.piece<"w.bin", 0, 524288, tensor<1x512x256xf32>> {source = "lm_head.weight"}
  func.func @main(%ids: tensor<?xi64>, %x: tensor<?x256xf32>) -> (tensor<1x?x512xf32>, tensor<?x8xf32>) {
    %r = moe.get_weight @r : tensor<1x16x256xf32>
    %g = moe.get_weight @g : tensor<16x128x256xf32>
    %u = moe.get_weight @u : tensor<1x256x128xf32>
    %s = moe.get_weight @s : tensor<1x8x256xf32>
    %h = moe.get_weight @h : tensor<1x512x256xf32>
    // The router reads what is not rounded, through an activation and a slice.
    // CHECK: moe.grouped_matmul %{{.*}} weights(%{{.*}}) : (tensor<?x256xf32>, tensor<1x16x256xf32>) -> tensor<?x16xf32>
    %logits = moe.grouped_matmul %x weights(%r) : (tensor<?x256xf32>, tensor<1x16x256xf32>) -> tensor<?x16xf32> {
    ^bb0(%acc: f32):
      moe.yield %acc : f32
    } loc("router")
    %e = tensor.expand_shape %logits [[0, 1], [2]] output_shape [1, 4, 16] : tensor<?x16xf32> into tensor<1x?x16xf32>
    %c = tensor.collapse_shape %e [[0, 1], [2]] : tensor<1x?x16xf32> into tensor<?x16xf32>
    %w:2 = moe.route %c {k = 2 : i64} : (tensor<?x16xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
    %d:3 = moe.dispatch %w#1 {num_experts = 16 : i64} : (tensor<?x2xi64>) -> (tensor<17xi32>, tensor<?xi32>, tensor<?xi32>)
    // CHECK: %[[X:.*]] = moe.quantize %{{.*}} : tensor<?x256xf32> -> !moe.scaled<?x256xf8E4M3FN, block = [1, 128], scale = f32>
    // CHECK: %[[G:.*]] = moe.quantize %{{.*}} : tensor<16x128x256xf32> -> !moe.scaled<16x128x256xf8E4M3FN, block = [1, 128, 128], scale = f32>
    // CHECK: moe.grouped_matmul %[[X]] weights(%[[G]])
    // PLAIN: moe.quantize %{{.*}} : tensor<?x256xf32> -> !moe.scaled<?x256xf8E4M3FN, block = [0, 0], scale = f32>
    // PLAIN: moe.quantize %{{.*}} : tensor<16x128x256xf32> -> !moe.scaled<16x128x256xf8E4M3FN, block = [1, 0, 0], scale = f32>
    // BF16: %[[B:.*]] = linalg.generic
    // BF16: arith.truncf %{{.*}} : f32 to bf16
    // BF16: moe.grouped_matmul %[[B]]
    // F32-NOT: moe.quantize %arg1
    // F32: moe.grouped_matmul %arg1 weights(%{{.*}}) offsets
    %y = moe.grouped_matmul %x weights(%g) offsets(%d#0) rows(%d#1) {rows_divisor = 2 : i64} : (tensor<?x256xf32>, tensor<16x128x256xf32>, tensor<17xi32>, tensor<?xi32>) -> tensor<?x128xf32> {
    ^bb0(%acc: f32):
      moe.yield %acc : f32
    } loc("gate")
    // CHECK: moe.quantize %{{.*}} : tensor<?x128xf32> -> !moe.scaled<?x128xf8E4M3FN, block = [1, 128], scale = f32>
    %z = moe.grouped_matmul %y weights(%u) : (tensor<?x128xf32>, tensor<1x256x128xf32>) -> tensor<?x256xf32> {
    ^bb0(%acc: f32):
      moe.yield %acc : f32
    } loc("up")
    // CHECK: moe.grouped_matmul %{{.*}} weights(%{{.*}}) : (tensor<?x256xf32>, tensor<1x8x256xf32>) -> tensor<?x8xf32>
    %t = moe.grouped_matmul %z weights(%s) : (tensor<?x256xf32>, tensor<1x8x256xf32>) -> tensor<?x8xf32> {
    ^bb0(%acc: f32):
      %n = arith.negf %acc : f32
      moe.yield %n : f32
    } loc("small")
    %q = moe.rms_norm %t {epsilon = 1.0e-6 : f32} : (tensor<?x8xf32>) -> tensor<?x8xf32>
    // CHECK: moe.grouped_matmul %{{.*}} weights(%{{.*}}) : (tensor<?x256xf32>, tensor<1x512x256xf32>) -> tensor<?x512xf32>
    %o = moe.grouped_matmul %z weights(%h) : (tensor<?x256xf32>, tensor<1x512x256xf32>) -> tensor<?x512xf32> {
    ^bb0(%acc: f32):
      moe.yield %acc : f32
    } loc("head")
    %f = tensor.expand_shape %o [[0, 1], [2]] output_shape [1, 4, 512] : tensor<?x512xf32> into tensor<1x?x512xf32>
    return %f, %q : tensor<1x?x512xf32>, tensor<?x8xf32>
  }
}

// -----

// A layer without token ids has no head: what it returns is its own product.
// CHECK-LABEL: func.func @layer
// CHECK: moe.grouped_matmul %{{.*}} weights(%{{.*}}) : (!moe.scaled<?x64xf8E4M3FN
module {
  moe.weight @w : tensor<1x48x64xbf16> = #moe.piece<"w.bin", 0, 6144, tensor<1x48x64xbf16>>
  func.func @layer(%x: tensor<?x64xf32>) -> tensor<?x48xf32> {
    %w = moe.get_weight @w : tensor<1x48x64xbf16>
    %y = moe.grouped_matmul %x weights(%w) : (tensor<?x64xf32>, tensor<1x48x64xbf16>) -> tensor<?x48xf32> {
    ^bb0(%acc: f32):
      moe.yield %acc : f32
    }
    return %y : tensor<?x48xf32>
  }
}

// -----

// Weights that are computed stay as they are.
// CHECK-LABEL: func.func @computed
// CHECK-NOT: moe.quantize
func.func @computed(%x: tensor<?x64xf32>, %w: tensor<1x48x64xf32>) -> tensor<?x48xf32> {
  %y = moe.grouped_matmul %x weights(%w) : (tensor<?x64xf32>, tensor<1x48x64xf32>) -> tensor<?x48xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return %y : tensor<?x48xf32>
}
