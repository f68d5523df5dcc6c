// RUN: moe-opt %s -moe-raise-moe-nodes -split-input-file | FileCheck %s
// com.microsoft MoE and QMoE: the router is in the node, as softmax over all experts.

// CHECK-LABEL: @interleaved_swiglu
// CHECK: %[[R:.*]]:2 = moe.route %arg1 {k = 2 : i64, normalize = #moe.normalize<sum_plus_eps>}
// CHECK: moe.experts %arg0, %[[R]]#0, %[[R]]#1 params(%arg2, %arg3, %arg4)
// CHECK: ^bb0(%[[X:.*]]: tensor<?x16xf32>, %[[A:.*]]: tensor<8x16xf32>, %[[B:.*]]: tensor<8xf32>, %[[C:.*]]: tensor<16x4xf32>):
// CHECK: onnx.MatMul(%[[X]], %{{.*}})
// CHECK: onnx.Add(%{{.*}}, %[[B]])
// CHECK: onnx.Slice
// CHECK: onnx.Slice
// CHECK: onnx.Clip(%{{.*}}, none, %[[L:[0-9a-z_]*]])
// CHECK: onnx.Clip(%{{.*}}, %{{.*}}, %[[L]])
// CHECK: onnx.Sigmoid
// CHECK: onnx.MatMul
func.func @interleaved_swiglu(%x: tensor<?x16xf32>, %l: tensor<?x4xf32>, %w1: tensor<4x8x16xf32>, %b1: tensor<4x8xf32>, %w2: tensor<4x16x4xf32>) -> tensor<?x16xf32> {
  %y = onnx.ms.MoE(%x, %l, %w1, %b1, %w2) {activation_alpha = 1.702 : f32, activation_beta = 1.0 : f32, activation_type = "swiglu", k = 2 : i64, normalize_routing_weights = 1 : i64, swiglu_fusion = 1 : i64, swiglu_limit = 7.0 : f32} : (tensor<?x16xf32>, tensor<?x4xf32>, tensor<4x8x16xf32>, tensor<4x8xf32>, tensor<4x16x4xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// Three dimensions in, three out; without renormalizing; the sparse mixer.
// CHECK-LABEL: @rank3
// CHECK: moe.route %arg1 {k = 2 : i64, score = #moe.score<sparsemixer>}
// CHECK: onnx.Relu
// CHECK: onnx.Reshape({{.*}}) : (tensor<?x16xf32>, tensor<3xi64>) -> tensor<?x?x16xf32>
func.func @rank3(%x: tensor<?x?x16xf32>, %l: tensor<?x4xf32>, %w1: tensor<4x8x16xf32>, %w2: tensor<4x16x8xf32>) -> tensor<?x?x16xf32> {
  %y = onnx.ms.MoE(%x, %l, %w1, none, %w2) {k = 2 : i64, use_sparse_mixer = 1 : i64} : (tensor<?x?x16xf32>, tensor<?x4xf32>, tensor<4x8x16xf32>, tensor<4x16x8xf32>) -> tensor<?x?x16xf32>
  return %y : tensor<?x?x16xf32>
}

// -----

// Codes and scales become a recipe; a scale that stayed inline is part of it. QMoE renormalizes always.
// CHECK-DAG: moe.weight @{{.*}} : tensor<2x8x16xf32> = #moe.recipe<dequantize, {bits = 4 : i64, block = 0 : i64, zero_point = 8 : i64}, [#moe.piece<"q.bin", 0, 128, tensor<2x8x8xui8>>, dense<{{.*}}> : tensor<2x8xf32>], tensor<2x8x16xf32>>
// CHECK-DAG: moe.weight @{{.*}} : tensor<2x16x8xf32> = #moe.recipe<dequantize, {bits = 4 : i64, block = 0 : i64, zero_point = 8 : i64}, [#moe.piece<"q.bin", 128, 128, tensor<2x16x4xui8>>, #moe.piece<"q.bin", 256, 128, tensor<2x16xf32>>], tensor<2x16x8xf32>>
// CHECK-LABEL: @int4
// CHECK: moe.route %arg1 {k = 1 : i64, normalize = #moe.normalize<sum_plus_eps>}
// CHECK: moe.experts
module {
  moe.weight @q1 : tensor<2x8x8xui8> = #moe.piece<"q.bin", 0, 128, tensor<2x8x8xui8>>
  moe.weight @q2 : tensor<2x16x4xui8> = #moe.piece<"q.bin", 128, 128, tensor<2x16x4xui8>>
  moe.weight @s2 : tensor<2x16xf32> = #moe.piece<"q.bin", 256, 128, tensor<2x16xf32>>
  func.func @int4(%x: tensor<?x16xf32>, %l: tensor<?x2xf32>) -> tensor<?x16xf32> {
    %q1 = moe.get_weight @q1 : tensor<2x8x8xui8>
    %q2 = moe.get_weight @q2 : tensor<2x16x4xui8>
    %s1 = onnx.Constant dense<0.5> : tensor<2x8xf32>
    %s2 = moe.get_weight @s2 : tensor<2x16xf32>
    %y = onnx.ms.QMoE(%x, %l, %q1, %s1, none, %q2, %s2) {activation_type = "silu", k = 1 : i64} : (tensor<?x16xf32>, tensor<?x2xf32>, tensor<2x8x8xui8>, tensor<2x8xf32>, tensor<2x16x4xui8>, tensor<2x16xf32>) -> tensor<?x16xf32>
    return %y : tensor<?x16xf32>
  }
}

// -----

// CHECK: moe.generic = [{node = "quantized", op = "experts", reason = "expects quant_type 'int', but found 'fp4'"}]
// CHECK-LABEL: @fp4
// CHECK: onnx.ms.QMoE
func.func @fp4(%x: tensor<?x16xf32>, %l: tensor<?x2xf32>, %q1: tensor<2x8x8xui8>, %q2: tensor<2x16x4xui8>) -> tensor<?x16xf32> {
  %y = onnx.ms.QMoE(%x, %l, %q1, none, none, %q2) {activation_type = "silu", k = 1 : i64, quant_type = "fp4"} : (tensor<?x16xf32>, tensor<?x2xf32>, tensor<2x8x8xui8>, tensor<2x16x4xui8>) -> tensor<?x16xf32> loc("quantized")
  return %y : tensor<?x16xf32>
}

// -----

// SwiGLU without a fusion takes two projections.
// CHECK: moe.generic = [{node = "unfused", op = "experts", reason = "expects swiglu with swiglu_fusion 1 or 2, or with fc3, but found neither"}]
// CHECK-LABEL: @unfused
// CHECK: onnx.ms.MoE
func.func @unfused(%x: tensor<?x16xf32>, %l: tensor<?x2xf32>, %w1: tensor<2x16x16xf32>, %w2: tensor<2x16x8xf32>) -> tensor<?x16xf32> {
  %y = onnx.ms.MoE(%x, %l, %w1, none, %w2) {activation_type = "swiglu", k = 1 : i64} : (tensor<?x16xf32>, tensor<?x2xf32>, tensor<2x16x16xf32>, tensor<2x16x8xf32>) -> tensor<?x16xf32> loc("unfused")
  return %y : tensor<?x16xf32>
}

// -----

// CHECK: moe.generic = [{node = "prepacked", op = "experts", reason = "expects weights that are not prepacked, but weights_prepacked is 1"}]
// CHECK-LABEL: @prepacked
// CHECK: onnx.ms.QMoE
func.func @prepacked(%x: tensor<?x16xf32>, %l: tensor<?x2xf32>, %q1: tensor<2x8x8xui8>, %s1: tensor<2x8xf32>, %q2: tensor<2x16x4xui8>, %s2: tensor<2x16xf32>) -> tensor<?x16xf32> {
  %y = onnx.ms.QMoE(%x, %l, %q1, %s1, none, %q2, %s2) {activation_type = "silu", k = 1 : i64, weights_prepacked = 1 : i64} : (tensor<?x16xf32>, tensor<?x2xf32>, tensor<2x8x8xui8>, tensor<2x8xf32>, tensor<2x16x4xui8>, tensor<2x16xf32>) -> tensor<?x16xf32> loc("prepacked")
  return %y : tensor<?x16xf32>
}
