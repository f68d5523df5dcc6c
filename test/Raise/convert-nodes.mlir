// RUN: moe-opt %s -split-input-file -moe-convert-onnx -canonicalize -cse | FileCheck %s

// Attention: scores, bias with -inf where a key is hidden, softmax in which an empty row is zero, weighted sum.
// CHECK-LABEL: func @attention
// CHECK: linalg.generic {{.*}}"reduction"
// CHECK: arith.mulf
// CHECK: arith.cmpi sgt
// CHECK: arith.maximumf
// CHECK: math.exp
// CHECK: arith.divf
// CHECK: linalg.generic {{.*}}"reduction"
func.func @attention(%q: tensor<?x4x?x16xf32> {moe.dims = ["b", 4, "s", 16]}, %k: tensor<?x2x?x16xf32> {moe.dims = ["b", 2, "s", 16]},
                     %v: tensor<?x2x?x8xf32> {moe.dims = ["b", 2, "s", 8]}) -> tensor<?x4x?x8xf32> {
  %0 = onnx.Attention(%q, %k, %v) {is_causal = 1 : i64} : (tensor<?x4x?x16xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x8xf32>) -> tensor<?x4x?x8xf32>
  return %0 : tensor<?x4x?x8xf32>
}

// -----

// CHECK-LABEL: func @rotary
// CHECK: linalg.generic
// CHECK: tensor.extract %{{.*}} : tensor<32x8xf32>
// CHECK: arith.negf
func.func @rotary(%x: tensor<?x4x?x16xf32> {moe.dims = ["b", 4, "s", 16]}, %c: tensor<32x8xf32>, %s: tensor<32x8xf32>, %p: tensor<?x?xi64> {moe.dims = ["b", "s"]}) -> tensor<?x4x?x16xf32> {
  %0 = onnx.RotaryEmbedding(%x, %c, %s, %p) : (tensor<?x4x?x16xf32>, tensor<32x8xf32>, tensor<32x8xf32>, tensor<?x?xi64>) -> tensor<?x4x?x16xf32>
  return %0 : tensor<?x4x?x16xf32>
}

// -----

// MoE: a softmax over all experts, the k largest, and only their weights are read.
// CHECK-LABEL: func @moe
// CHECK: math.exp
// CHECK: moe.top_k %{{.*}} {k = 2 : i64}
// CHECK: tensor.extract %{{.*}} : tensor<4x64x32xf32>
// CHECK: tensor.extract %{{.*}} : tensor<4x32x64xf32>
func.func @moe(%x: tensor<?x32xf32> {moe.dims = ["n", 32]}, %r: tensor<?x4xf32> {moe.dims = ["n", 4]}, %a: tensor<4x64x32xf32>, %b: tensor<4x32x64xf32>) -> tensor<?x32xf32> {
  %0 = onnx.ms.MoE(%x, %r, %a, none, %b) {k = 2 : i64, activation_type = "silu", normalize_routing_weights = 1 : i64} : (tensor<?x32xf32>, tensor<?x4xf32>, tensor<4x64x32xf32>, tensor<4x32x64xf32>) -> tensor<?x32xf32>
  return %0 : tensor<?x32xf32>
}

// -----

// An ignored label weighs nothing.
// CHECK-LABEL: func @loss
// CHECK: math.log
// CHECK: arith.cmpi eq
// CHECK: arith.divf
func.func @loss(%x: tensor<?x10xf32> {moe.dims = ["n", 10]}, %t: tensor<?xi64> {moe.dims = ["n"]}) -> tensor<f32> {
  %0 = onnx.SoftmaxCrossEntropyLoss(%x, %t) {ignore_index = -1 : i64} : (tensor<?x10xf32>, tensor<?xi64>) -> tensor<f32>
  return %0 : tensor<f32>
}

// -----

// The body of an experts op is converted too.
// CHECK-LABEL: func @nested
// CHECK: moe.experts
// CHECK-NOT: onnx.
// CHECK: linalg.matmul
// CHECK: moe.yield
func.func @nested(%x: tensor<?x8xf32>, %w: tensor<?x2xf32>, %i: tensor<?x2xi64>, %p: tensor<4x8x8xf32>) -> tensor<?x8xf32> {
  %0 = moe.experts %x, %w, %i params(%p) : (tensor<?x8xf32>, tensor<?x2xf32>, tensor<?x2xi64>, tensor<4x8x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%row: tensor<?x8xf32>, %m: tensor<8x8xf32>):
    %y = onnx.MatMul(%row, %m) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
    %z = onnx.Sigmoid(%y) : (tensor<?x8xf32>) -> tensor<?x8xf32>
    moe.yield %z : tensor<?x8xf32>
  }
  return %0 : tensor<?x8xf32>
}

// -----

// The cache's new keys follow what was there; a key is seen up to the query's own place.
// CHECK-LABEL: func @group_query
// CHECK: scf.if
// CHECK: tensor.extract %{{.*}} : tensor<?x2x?x16xf32>
// CHECK: arith.cmpi sge
// CHECK: arith.cmpi sgt
// CHECK: math.exp
func.func @group_query(%q: tensor<?x?x64xf32>, %k: tensor<?x?x32xf32>, %v: tensor<?x?x32xf32>, %pk: tensor<?x2x?x16xf32>, %pv: tensor<?x2x?x16xf32>,
                       %n: tensor<?xi32>, %t: tensor<i32>) -> (tensor<?x?x64xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>) {
  %0:3 = onnx.ms.GroupQueryAttention(%q, %k, %v, %pk, %pv, %n, %t) {num_heads = 4 : i64, kv_num_heads = 2 : i64}
    : (tensor<?x?x64xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>, tensor<?xi32>, tensor<i32>)
    -> (tensor<?x?x64xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
  return %0#0, %0#1, %0#2 : tensor<?x?x64xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>
}

// -----

// CHECK-LABEL: func @multi_head
// CHECK: linalg.generic {{.*}}"reduction"
// CHECK: arith.maximumf
func.func @multi_head(%q: tensor<?x?x64xf32>, %k: tensor<?x?x64xf32>, %v: tensor<?x?x64xf32>) -> tensor<?x?x64xf32> {
  %0 = onnx.ms.MultiHeadAttention(%q, %k, %v) {num_heads = 4 : i64} : (tensor<?x?x64xf32>, tensor<?x?x64xf32>, tensor<?x?x64xf32>) -> tensor<?x?x64xf32>
  return %0 : tensor<?x?x64xf32>
}
