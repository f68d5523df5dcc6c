// RUN: moe-opt %s -moe-split-experts -split-input-file -verify-diagnostics | FileCheck %s

// Gate and up are halves of one product, the expert's weights are read transposed: two weights of one grouped product,
// made by recipe, and the activation in its epilogue.
moe.weight @gate_up : tensor<4x16x32xf32> = #moe.piece<"w.bin", 0, 8192, tensor<4x16x32xf32>>
moe.weight @down : tensor<4x8x16xf32> = #moe.piece<"w.bin", 8192, 2048, tensor<4x8x16xf32>>
// CHECK: moe.weight @[[UP:gate_up_[0-9]+]] : tensor<4x8x32xf32> = #moe.recipe<slice, {offsets = array<i64: 0, 8, 0>
// CHECK: moe.weight @[[GATE:gate_up_[0-9]+]] : tensor<4x8x32xf32> = #moe.recipe<slice, {offsets = array<i64: 0, 0, 0>
// CHECK: moe.weight @[[DOWN:down_[0-9]+]] : tensor<4x16x8xf32> = #moe.recipe<transpose, {permutation = array<i64: 0, 2, 1>}
// CHECK-LABEL: func @halves
func.func @halves(%x: tensor<?x32xf32>, %w: tensor<?x2xf32>, %i: tensor<?x2xi64>) -> tensor<?x16xf32> {
  // CHECK: %[[D:.*]]:3 = moe.dispatch %arg2 {num_experts = 4 : i64}
  // CHECK-DAG: %[[WG:.*]] = moe.get_weight @[[GATE]]
  // CHECK-DAG: %[[WU:.*]] = moe.get_weight @[[UP]]
  // CHECK: %[[H:.*]] = moe.grouped_matmul %arg0 weights(%[[WG]], %[[WU]]) offsets(%[[D]]#0) rows(%[[D]]#1) {rows_divisor = 2 : i64}
  // CHECK: ^bb0(%[[G:.*]]: f32, %[[U:.*]]: f32):
  // CHECK: arith.negf
  // CHECK: math.exp
  // CHECK: %[[Y:.*]] = moe.grouped_matmul %[[H]] weights(%{{.*}}) offsets(%[[D]]#0) :
  // CHECK: moe.combine %[[Y]] at %[[D]]#2 weights(%arg1) {k = 2 : i64}
  %gu = moe.get_weight @gate_up : tensor<4x16x32xf32>
  %dn = moe.get_weight @down : tensor<4x8x16xf32>
  %y = moe.experts %x, %w, %i params(%gu, %dn) : (tensor<?x32xf32>, tensor<?x2xf32>, tensor<?x2xi64>, tensor<4x16x32xf32>, tensor<4x8x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%r: tensor<?x32xf32>, %g: tensor<16x32xf32>, %d: tensor<8x16xf32>):
    %c0 = arith.constant 0 : index
    %zero = arith.constant 0.0 : f32
    %n = tensor.dim %r, %c0 : tensor<?x32xf32>
    %e = tensor.empty(%n) : tensor<?x16xf32>
    %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x16xf32>) -> tensor<?x16xf32>
    %p = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%r, %g : tensor<?x32xf32>, tensor<16x32xf32>) outs(%f : tensor<?x16xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %m = arith.mulf %a, %b : f32
      %s = arith.addf %c, %m : f32
      linalg.yield %s : f32
    } -> tensor<?x16xf32>
    %gate = tensor.extract_slice %p[0, 0] [%n, 8] [1, 1] : tensor<?x16xf32> to tensor<?x8xf32>
    %up = tensor.extract_slice %p[0, 8] [%n, 8] [1, 1] : tensor<?x16xf32> to tensor<?x8xf32>
    %h = moe.swiglu %gate, %up : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
    %o = linalg.matmul ins(%h, %d : tensor<?x8xf32>, tensor<8x16xf32>) outs(%f : tensor<?x16xf32>) -> tensor<?x16xf32>
    moe.yield %o : tensor<?x16xf32>
  }
  return %y : tensor<?x16xf32>
}

// -----

// Interleaved columns through a reshape, a bias per expert, an activation with constants; the weights are arguments.
// CHECK-LABEL: func @interleaved
// CHECK: %[[UP:.*]] = tensor.extract_slice %arg3[0, 1, 0] [2, 4, 8] [1, 2, 1]
// CHECK: %[[BIAS:.*]] = tensor.extract_slice %arg4[0, 1] [2, 4] [1, 2]
// CHECK: moe.grouped_matmul %arg0 weights(%[[UP]]) offsets(%{{.*}}) rows(%{{.*}}) extras(%[[BIAS]]) {extra_kinds = array<i64: 1>}
// CHECK-NEXT: ^bb0(%[[ACC:.*]]: f32, %[[B:.*]]: f32):
// CHECK-NEXT: %[[S:.*]] = arith.addf %[[ACC]], %[[B]]
// CHECK-NEXT: math.tanh %[[S]]
func.func @interleaved(%x: tensor<?x8xf32>, %w: tensor<?x1xf32>, %i: tensor<?x1xi32>, %p: tensor<2x8x8xf32>, %q: tensor<2x8xf32>) -> tensor<?x4xf32> {
  %y = moe.experts %x, %w, %i params(%p, %q) : (tensor<?x8xf32>, tensor<?x1xf32>, tensor<?x1xi32>, tensor<2x8x8xf32>, tensor<2x8xf32>) -> tensor<?x4xf32> {
  ^bb0(%r: tensor<?x8xf32>, %a: tensor<8x8xf32>, %b: tensor<8xf32>):
    %c0 = arith.constant 0 : index
    %zero = arith.constant 0.0 : f32
    %n = tensor.dim %r, %c0 : tensor<?x8xf32>
    %e = tensor.empty(%n) : tensor<?x8xf32>
    %e4 = tensor.empty(%n) : tensor<?x4xf32>
    %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x8xf32>) -> tensor<?x8xf32>
    %t = tensor.empty() : tensor<8x8xf32>
    %at = linalg.transpose ins(%a : tensor<8x8xf32>) outs(%t : tensor<8x8xf32>) permutation = [1, 0]
    %m = linalg.matmul ins(%r, %at : tensor<?x8xf32>, tensor<8x8xf32>) outs(%f : tensor<?x8xf32>) -> tensor<?x8xf32>
    %s = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%m, %b : tensor<?x8xf32>, tensor<8xf32>) outs(%e : tensor<?x8xf32>) {
    ^bb0(%u: f32, %v: f32, %o: f32):
      %z = arith.addf %u, %v : f32
      linalg.yield %z : f32
    } -> tensor<?x8xf32>
    %x3 = tensor.expand_shape %s [[0], [1, 2]] output_shape [%n, 4, 2] : tensor<?x8xf32> into tensor<?x4x2xf32>
    %odd = tensor.extract_slice %x3[0, 0, 1] [%n, 4, 1] [1, 1, 1] : tensor<?x4x2xf32> to tensor<?x4xf32>
    %h = linalg.tanh ins(%odd : tensor<?x4xf32>) outs(%e4 : tensor<?x4xf32>) -> tensor<?x4xf32>
    moe.yield %h : tensor<?x4xf32>
  }
  return %y : tensor<?x4xf32>
}

// -----

// A weight on the input scales the sorted rows before the product; the combine has no weights.
// CHECK-LABEL: func @weight_on_input
// CHECK: %[[X:.*]] = linalg.generic
// CHECK: tensor.extract %arg0
// CHECK: tensor.extract %arg1
// CHECK: arith.mulf
// CHECK: %[[Y:.*]] = moe.grouped_matmul %[[X]] weights(%arg3) offsets(%{{[^)]*}}) :
// CHECK: moe.combine %[[Y]] at %{{[^ ]*}} {k = 1 : i64}
func.func @weight_on_input(%x: tensor<?x8xf32>, %w: tensor<?x1xf32>, %i: tensor<?x1xi32>, %p: tensor<2x8x8xf32>) -> tensor<?x8xf32> {
  %y = moe.experts %x, %w, %i params(%p) {weight_on = #moe.weight_on<input>} : (tensor<?x8xf32>, tensor<?x1xf32>, tensor<?x1xi32>, tensor<2x8x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%r: tensor<?x8xf32>, %a: tensor<8x8xf32>):
    %c0 = arith.constant 0 : index
    %zero = arith.constant 0.0 : f32
    %n = tensor.dim %r, %c0 : tensor<?x8xf32>
    %e = tensor.empty(%n) : tensor<?x8xf32>
    %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x8xf32>) -> tensor<?x8xf32>
    %m = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%r, %a : tensor<?x8xf32>, tensor<8x8xf32>) outs(%f : tensor<?x8xf32>) -> tensor<?x8xf32>
    moe.yield %m : tensor<?x8xf32>
  }
  return %y : tensor<?x8xf32>
}

// -----

// What is no element-wise function of products runs for every expert on all rows, and says so.
// CHECK-LABEL: func @reduction
// CHECK-NOT: moe.experts
// CHECK: scf.for
// CHECK: tensor.extract_slice %arg3
// CHECK: moe.rms_norm
// CHECK: arith.select
// CHECK: moe.combine
func.func @reduction(%x: tensor<?x8xf32>, %w: tensor<?x1xf32>, %i: tensor<?x1xi32>, %p: tensor<2x8xf32>) -> tensor<?x8xf32> {
  // expected-remark @below {{every expert runs on all rows: its region holds 'moe.rms_norm'}}
  %y = moe.experts %x, %w, %i params(%p) : (tensor<?x8xf32>, tensor<?x1xf32>, tensor<?x1xi32>, tensor<2x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%r: tensor<?x8xf32>, %a: tensor<8xf32>):
    %m = moe.rms_norm %r weight(%a) {epsilon = 1.0e-6 : f32} : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
    moe.yield %m : tensor<?x8xf32>
  }
  return %y : tensor<?x8xf32>
}
