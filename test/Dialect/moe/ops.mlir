// Every moe op prints as it parses, on tensors and on buffers.
// RUN: moe-opt %s | moe-opt | FileCheck %s

// A weight is a recipe over pieces of files.
// CHECK: moe.weight @plain : tensor<4xbf16> = #moe.piece<"w.bin", 0, 8, tensor<4xbf16>>
moe.weight @w : tensor<4x4xf32> = #moe.piece<"w.bin", 16, 64, tensor<4x4xf32>>
moe.weight @plain : tensor<4xbf16> = #moe.piece<"w.bin", 0, 8, tensor<4xbf16>>
// CHECK: moe.weight @widened : tensor<4xf32> = #moe.recipe<cast, {}, [#moe.piece<"w.bin", 0, 8, tensor<4xbf16>>], tensor<4xf32>> {source = "norm.weight"}
moe.weight @widened : tensor<4xf32> = #moe.recipe<cast, {}, [#moe.piece<"w.bin", 0, 8, tensor<4xbf16>>], tensor<4xf32>> {source = "norm.weight"}
// CHECK: moe.weight @turned : tensor<3x2xf32> = #moe.recipe<transpose, {permutation = array<i64: 1, 0>}
moe.weight @turned : tensor<3x2xf32> = #moe.recipe<transpose, {permutation = array<i64: 1, 0>}, [#moe.piece<"w.bin", 8, 24, tensor<2x3xf32>>], tensor<3x2xf32>>
// CHECK: moe.weight @stacked : tensor<2x4xbf16> = #moe.recipe<concat, {axis = 0 : i64}
moe.weight @stacked : tensor<2x4xbf16> = #moe.recipe<concat, {axis = 0 : i64}, [
  #moe.recipe<reshape, {}, [#moe.piece<"a.bin", 0, 8, tensor<4xbf16>>], tensor<1x4xbf16>>,
  #moe.recipe<reshape, {}, [#moe.piece<"b.bin", 0, 8, tensor<4xbf16>>], tensor<1x4xbf16>>], tensor<2x4xbf16>>
// CHECK: moe.weight @every_other : tensor<2xf32> = #moe.recipe<slice, {offsets = array<i64: 1>, sizes = array<i64: 2>, strides = array<i64: 2>}
moe.weight @every_other : tensor<2xf32> = #moe.recipe<slice, {offsets = array<i64: 1>, sizes = array<i64: 2>, strides = array<i64: 2>}, [#moe.piece<"w.bin", 0, 16, tensor<4xf32>>], tensor<2xf32>>
// CHECK: moe.weight @codes : tensor<2x32xf32> = #moe.recipe<dequantize, {bits = 4 : i64, block = 0 : i64, zero_point = 8 : i64}
moe.weight @codes : tensor<2x32xf32> = #moe.recipe<dequantize, {bits = 4 : i64, block = 0 : i64, zero_point = 8 : i64}, [#moe.piece<"q.bin", 0, 32, tensor<2x16xui8>>, #moe.piece<"q.bin", 32, 8, tensor<2xf32>>], tensor<2x32xf32>>
// CHECK: moe.weight @packed : tensor<1x2x8x16xf32> = #moe.recipe<pack, {panel = 16 : i64}
moe.weight @packed : tensor<1x2x8x16xf32> = #moe.recipe<pack, {panel = 16 : i64}, [#moe.piece<"p.bin", 0, 640, tensor<1x20x8xf32>>], tensor<1x2x8x16xf32>>

// CHECK-LABEL: func @get_weight
func.func @get_weight() -> tensor<4xf32> {
  // CHECK: moe.get_weight @widened : tensor<4xf32>
  %w = moe.get_weight @widened : tensor<4xf32>
  return %w : tensor<4xf32>
}

// CHECK-LABEL: func @route
func.func @route(%logits: tensor<?x8xf32>, %bias: tensor<8xf32>) -> tensor<?x2xf32> {
  // CHECK: moe.route %{{.*}} {k = 2 : i64} : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %w, %i = moe.route %logits {k = 2 : i64} : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  // CHECK: moe.route %{{.*}} bias(%{{.*}}) {group_fill = #moe.group_fill<zero>, group_score = #moe.group_score<top2_sum>, k = 2 : i64, norm_eps = 9.99999968E-21 : f32, normalize = #moe.normalize<sum_plus_eps>, num_groups = 4 : i64, scale = 2.500000e+00 : f32, score = #moe.score<sigmoid>, top_groups = 2 : i64}
  %v, %j = moe.route %logits bias(%bias) {k = 2 : i64, score = #moe.score<sigmoid>, num_groups = 4 : i64, top_groups = 2 : i64,
    group_score = #moe.group_score<top2_sum>, group_fill = #moe.group_fill<zero>, normalize = #moe.normalize<sum_plus_eps>,
    norm_eps = 1.0e-20 : f32, scale = 2.5 : f32} : (tensor<?x8xf32>, tensor<8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  // CHECK: moe.route %{{.*}} {k = 2 : i64, score = #moe.score<sparsemixer>}
  %s, %l = moe.route %logits {k = 2 : i64, score = #moe.score<sparsemixer>} : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %sum = arith.addf %w, %v : tensor<?x2xf32>
  return %sum : tensor<?x2xf32>
}

// CHECK-LABEL: func @route_on_buffers
func.func @route_on_buffers(%logits: memref<?x8xf32>, %w: memref<?x2xf32>, %i: memref<?x2xi64>) {
  // CHECK: moe.route %{{.*}} outs(%{{.*}}, %{{.*}}) {k = 2 : i64} : (memref<?x8xf32>, memref<?x2xf32>, memref<?x2xi64>) -> ()
  moe.route %logits outs(%w, %i) {k = 2 : i64} : (memref<?x8xf32>, memref<?x2xf32>, memref<?x2xi64>) -> ()
  return
}

// The body is any function of one expert's rows; it may read constants of its surroundings.
// CHECK-LABEL: func @experts
func.func @experts(%x: tensor<?x4xf32>, %weights: tensor<?x2xf32>, %indices: tensor<?x2xi64>, %bias: tensor<3x4xf32>) -> tensor<?x4xf32> {
  // CHECK: moe.experts %{{.*}}, %{{.*}}, %{{.*}} params(%{{.*}}) {weight_on = #moe.weight_on<input>}
  %y = moe.experts %x, %weights, %indices params(%bias) {weight_on = #moe.weight_on<input>}
      : (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xi64>, tensor<3x4xf32>) -> tensor<?x4xf32> {
  ^bb0(%rows: tensor<?x4xf32>, %b: tensor<4xf32>):
    %r = moe.rms_norm %rows weight(%b) {epsilon = 1.0e-5 : f32} : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    // CHECK: moe.yield %{{.*}} : tensor<?x4xf32>
    moe.yield %r : tensor<?x4xf32>
  }
  return %y : tensor<?x4xf32>
}

// CSE makes one op of two that are alike: what is made of weights alone may stand outside.
// CHECK-LABEL: func @experts_shared
func.func @experts_shared(%x: tensor<?x4xf32>, %weights: tensor<?x2xf32>, %indices: tensor<?x2xi64>, %p: tensor<3x4x4xf32>) -> tensor<?x4xf32> {
  %w = moe.get_weight @w : tensor<4x4xf32>
  %none = tensor.empty() : tensor<4x4xf32>
  %t = linalg.transpose ins(%w : tensor<4x4xf32>) outs(%none : tensor<4x4xf32>) permutation = [1, 0]
  // CHECK: moe.experts
  %y = moe.experts %x, %weights, %indices params(%p) : (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xi64>, tensor<3x4x4xf32>) -> tensor<?x4xf32> {
  ^bb0(%rows: tensor<?x4xf32>, %own: tensor<4x4xf32>):
    %zero = arith.constant 0.0 : f32
    %c0 = arith.constant 0 : index
    %n = tensor.dim %rows, %c0 : tensor<?x4xf32>
    %empty = tensor.empty(%n) : tensor<?x4xf32>
    %start = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x4xf32>) -> tensor<?x4xf32>
    %inner = linalg.transpose ins(%own : tensor<4x4xf32>) outs(%none : tensor<4x4xf32>) permutation = [1, 0]
    %a = linalg.matmul ins(%rows, %t : tensor<?x4xf32>, tensor<4x4xf32>) outs(%start : tensor<?x4xf32>) -> tensor<?x4xf32>
    %r = linalg.matmul ins(%a, %inner : tensor<?x4xf32>, tensor<4x4xf32>) outs(%start : tensor<?x4xf32>) -> tensor<?x4xf32>
    moe.yield %r : tensor<?x4xf32>
  }
  return %y : tensor<?x4xf32>
}

// CHECK-LABEL: func @dispatch
func.func @dispatch(%indices: tensor<5x2xi64>) -> tensor<9xi32> {
  // CHECK: moe.dispatch %{{.*}} {num_experts = 8 : i64} : (tensor<5x2xi64>) -> (tensor<9xi32>, tensor<10xi32>, tensor<10xi32>)
  %offsets, %order, %position = moe.dispatch %indices {num_experts = 8 : i64} : (tensor<5x2xi64>) -> (tensor<9xi32>, tensor<10xi32>, tensor<10xi32>)
  return %offsets : tensor<9xi32>
}

// CHECK-LABEL: func @grouped_matmul
func.func @grouped_matmul(%x: tensor<?x8xf32>, %gate: tensor<4x6x8xbf16>, %up: tensor<4x6x8xbf16>, %offsets: tensor<5xi32>,
                          %rows: tensor<?xi32>, %bias: tensor<4x6xf32>) -> tensor<?x6xf32> {
  // CHECK: moe.grouped_matmul %{{.*}} weights(%{{.*}}, %{{.*}}) offsets(%{{.*}}) rows(%{{.*}}) extras(%{{.*}}) {extra_kinds = array<i64: 1>, rows_divisor = 2 : i64}
  %y = moe.grouped_matmul %x weights(%gate, %up) offsets(%offsets) rows(%rows) extras(%bias) {extra_kinds = array<i64: 1>, rows_divisor = 2 : i64}
      : (tensor<?x8xf32>, tensor<4x6x8xbf16>, tensor<4x6x8xbf16>, tensor<5xi32>, tensor<?xi32>, tensor<4x6xf32>) -> tensor<?x6xf32> {
  // CHECK-NEXT: ^bb0(%{{.*}}: f32, %{{.*}}: f32, %{{.*}}: f32):
  ^bb0(%g: f32, %u: f32, %b: f32):
    %p = arith.mulf %g, %u : f32
    %s = arith.addf %p, %b : f32
    moe.yield %s : f32
  }
  return %y : tensor<?x6xf32>
}

// A dense product is one group without offsets; packed weights name their columns.
// CHECK-LABEL: func @dense_matmul_on_buffers
func.func @dense_matmul_on_buffers(%x: memref<?x8xf32>, %w: memref<1x2x8x16xf32>, %residual: memref<?x20xf32>, %out: memref<?x20xf32>) {
  // CHECK: moe.grouped_matmul %{{.*}} weights(%{{.*}}) extras(%{{.*}}) outs(%{{.*}}) {columns = 20 : i64, extra_kinds = array<i64: 0>, packed = 16 : i64}
  moe.grouped_matmul %x weights(%w) extras(%residual) outs(%out) {packed = 16 : i64, columns = 20 : i64, extra_kinds = array<i64: 0>}
      : (memref<?x8xf32>, memref<1x2x8x16xf32>, memref<?x20xf32>, memref<?x20xf32>) -> () {
  ^bb0(%acc: f32, %r: f32):
    %s = arith.addf %acc, %r : f32
    moe.yield %s : f32
  }
  return
}

// CHECK-LABEL: func @combine
func.func @combine(%y: tensor<10x8xf32>, %position: tensor<10xi32>, %weights: tensor<5x2xf32>, %residual: tensor<5x8xf32>) -> tensor<5x8xf32> {
  // CHECK: moe.combine %{{.*}} at %{{.*}} weights(%{{.*}}) residual(%{{.*}}) {k = 2 : i64}
  %a = moe.combine %y at %position weights(%weights) residual(%residual) {k = 2 : i64}
      : (tensor<10x8xf32>, tensor<10xi32>, tensor<5x2xf32>, tensor<5x8xf32>) -> tensor<5x8xf32>
  // CHECK: moe.combine %{{.*}} at %{{.*}} {k = 2 : i64}
  %b = moe.combine %y at %position {k = 2 : i64} : (tensor<10x8xf32>, tensor<10xi32>) -> tensor<5x8xf32>
  %c = arith.addf %a, %b : tensor<5x8xf32>
  return %c : tensor<5x8xf32>
}

// CHECK-LABEL: func @attention
func.func @attention(%q: tensor<?x4x?x16xf32>, %k: tensor<?x2x?x16xf32>, %v: tensor<?x2x?x8xf32>, %mask: tensor<?x1x?x?xf32>, %sinks: tensor<4xf32>) -> tensor<?x4x?x8xf32> {
  // CHECK: moe.attention %{{.*}}, %{{.*}}, %{{.*}} {scale = 2.500000e-01 : f32}
  %a = moe.attention %q, %k, %v {scale = 0.25 : f32} : (tensor<?x4x?x16xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x8xf32>) -> tensor<?x4x?x8xf32>
  // CHECK: moe.attention %{{.*}}, %{{.*}}, %{{.*}} mask(%{{.*}}) sinks(%{{.*}}) {causal, scale = 2.500000e-01 : f32, softcap = 5.000000e+01 : f32, window = 128 : i64}
  %b = moe.attention %q, %k, %v mask(%mask) sinks(%sinks) {causal, window = 128 : i64, softcap = 50.0 : f32, scale = 0.25 : f32}
      : (tensor<?x4x?x16xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x1x?x?xf32>, tensor<4xf32>) -> tensor<?x4x?x8xf32>
  %c = arith.addf %a, %b : tensor<?x4x?x8xf32>
  return %c : tensor<?x4x?x8xf32>
}

// CHECK-LABEL: func @rms_norm
func.func @rms_norm(%x: tensor<?x?x8xf32>, %w: tensor<8xf32>) -> tensor<?x?x8xf32> {
  // CHECK: moe.rms_norm %{{.*}} {epsilon = 9.99999997E-7 : f32}
  %a = moe.rms_norm %x {epsilon = 1.0e-6 : f32} : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  // CHECK: moe.rms_norm %{{.*}} weight(%{{.*}}) {epsilon = 9.99999997E-7 : f32}
  %b = moe.rms_norm %a weight(%w) {epsilon = 1.0e-6 : f32} : (tensor<?x?x8xf32>, tensor<8xf32>) -> tensor<?x?x8xf32>
  return %b : tensor<?x?x8xf32>
}

// CHECK-LABEL: func @rope
func.func @rope(%x: tensor<?x4x?x16xf32>, %cos: tensor<1x?x4xf32>, %sin: tensor<1x?x4xf32>) -> tensor<?x4x?x16xf32> {
  // CHECK: moe.rope %{{.*}}, %{{.*}}, %{{.*}} :
  %a = moe.rope %x, %cos, %sin : (tensor<?x4x?x16xf32>, tensor<1x?x4xf32>, tensor<1x?x4xf32>) -> tensor<?x4x?x16xf32>
  // CHECK: moe.rope %{{.*}}, %{{.*}}, %{{.*}} {interleaved} :
  %b = moe.rope %a, %cos, %sin {interleaved} : (tensor<?x4x?x16xf32>, tensor<1x?x4xf32>, tensor<1x?x4xf32>) -> tensor<?x4x?x16xf32>
  return %b : tensor<?x4x?x16xf32>
}

// CHECK-LABEL: func @swiglu
func.func @swiglu(%g: tensor<?x8xf32>, %u: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK: moe.swiglu %{{.*}}, %{{.*}} :
  %a = moe.swiglu %g, %u : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  // CHECK: moe.swiglu %{{.*}}, %{{.*}} {alpha = 1.702000e+00 : f32, beta = 1.000000e+00 : f32, limit = 7.000000e+00 : f32}
  %b = moe.swiglu %a, %u {alpha = 1.702 : f32, beta = 1.0 : f32, limit = 7.0 : f32} : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %b : tensor<?x8xf32>
}

// CHECK-LABEL: func @top_k
func.func @top_k(%x: tensor<?x8xf32>) -> tensor<?x3xi64> {
  // CHECK: moe.top_k %{{.*}} {k = 3 : i64, largest = false} : (tensor<?x8xf32>) -> (tensor<?x3xf32>, tensor<?x3xi64>)
  %v, %i = moe.top_k %x {k = 3 : i64, largest = false} : (tensor<?x8xf32>) -> (tensor<?x3xf32>, tensor<?x3xi64>)
  return %i : tensor<?x3xi64>
}

// CHECK-LABEL: func @sort
func.func @sort(%x: tensor<?xi32>) -> tensor<?xi64> {
  // CHECK: moe.sort %{{.*}} {descending = false} : (tensor<?xi32>) -> (tensor<?xi32>, tensor<?xi64>)
  %v, %i = moe.sort %x {descending = false} : (tensor<?xi32>) -> (tensor<?xi32>, tensor<?xi64>)
  return %i : tensor<?xi64>
}

// CHECK-LABEL: func @scan
func.func @scan(%x: tensor<?x8xi64>) -> tensor<?x8xi64> {
  // CHECK: moe.scan %{{.*}} {axis = 0 : i64, combiner = #moe.combiner<max>, exclusive, reverse}
  %y = moe.scan %x {axis = 0 : i64, combiner = #moe.combiner<max>, exclusive, reverse} : (tensor<?x8xi64>) -> tensor<?x8xi64>
  return %y : tensor<?x8xi64>
}

// CHECK-LABEL: func @scatter
func.func @scatter(%data: tensor<?x8xf32>, %indices: tensor<3x1xi64>, %updates: tensor<3x8xf32>) -> tensor<?x8xf32> {
  // CHECK: moe.scatter %{{.*}}, %{{.*}}, %{{.*}} {combiner = #moe.combiner<add>}
  %y = moe.scatter %data, %indices, %updates {combiner = #moe.combiner<add>} : (tensor<?x8xf32>, tensor<3x1xi64>, tensor<3x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: func @nonzero
func.func @nonzero(%x: tensor<3x4xi1>) -> tensor<2x12xi64> {
  // CHECK: moe.nonzero %{{.*}} : (tensor<3x4xi1>) -> (tensor<2x12xi64>, tensor<i64>)
  %i, %n = moe.nonzero %x : (tensor<3x4xi1>) -> (tensor<2x12xi64>, tensor<i64>)
  return %i : tensor<2x12xi64>
}

// CHECK-LABEL: func @checked
func.func @checked(%i: index, %ok: i1) -> index {
  // CHECK: moe.checked %{{.*}} if %{{.*}}, "node 'y': expects more" : index
  %y = moe.checked %i if %ok, "node 'y': expects more" : index
  return %y : index
}
