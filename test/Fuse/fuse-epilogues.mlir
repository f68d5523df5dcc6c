// RUN: moe-opt %s -moe-fuse-epilogues -canonicalize | FileCheck %s

#id = affine_map<(b, s, n) -> (b, s, n)>
#col = affine_map<(b, s, n) -> (n)>

// Gate and up of the same rows, a bias on one of them: one product with two weights.
// CHECK-LABEL: func @gated
// CHECK-SAME: (%[[X:.*]]: tensor<?x8xf32>, %[[G:.*]]: tensor<1x4x8xf32>, %[[U:.*]]: tensor<1x4x8xf32>, %[[BIAS:.*]]: tensor<4xf32>
// CHECK: %[[H:.*]] = moe.grouped_matmul %[[X]] weights(%[[G]], %[[U]]) extras(%[[BIAS]]) {extra_kinds = array<i64: 2>}
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32, %[[B:.*]]: f32, %[[C:.*]]: f32):
// CHECK: math.exp
// CHECK: moe.yield
// CHECK: tensor.expand_shape %[[H]]
// CHECK-NOT: linalg
func.func @gated(%x: tensor<?x8xf32>, %wg: tensor<1x4x8xf32>, %wu: tensor<1x4x8xf32>, %bias: tensor<4xf32>, %b: index, %s: index) -> tensor<?x?x4xf32> {
  %g = moe.grouped_matmul %x weights(%wg) : (tensor<?x8xf32>, tensor<1x4x8xf32>) -> tensor<?x4xf32> {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  %u = moe.grouped_matmul %x weights(%wu) : (tensor<?x8xf32>, tensor<1x4x8xf32>) -> tensor<?x4xf32> {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  %g3 = tensor.expand_shape %g [[0, 1], [2]] output_shape [%b, %s, 4] : tensor<?x4xf32> into tensor<?x?x4xf32>
  %u3 = tensor.expand_shape %u [[0, 1], [2]] output_shape [%b, %s, 4] : tensor<?x4xf32> into tensor<?x?x4xf32>
  %e = tensor.empty(%b, %s) : tensor<?x?x4xf32>
  %gb = linalg.generic {indexing_maps = [#id, #col, #id], iterator_types = ["parallel", "parallel", "parallel"]}
    ins(%g3, %bias : tensor<?x?x4xf32>, tensor<4xf32>) outs(%e : tensor<?x?x4xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.addf %p, %q : f32
    linalg.yield %r : f32
  } -> tensor<?x?x4xf32>
  %h = moe.swiglu %gb, %u3 : (tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  return %h : tensor<?x?x4xf32>
}

// A residual enters as an extra; what a product of other rows gives enters as an extra too.
// CHECK-LABEL: func @residual
// CHECK: %[[Y:.*]] = moe.grouped_matmul %arg0
// CHECK: moe.grouped_matmul %arg1 weights(%arg3) extras(%{{.*}}, %{{.*}}) {extra_kinds = array<i64: 0, 0>}
// CHECK-NOT: linalg
func.func @residual(%x: tensor<?x8xf32>, %z: tensor<?x8xf32>, %w: tensor<1x4x8xf32>, %v: tensor<1x4x8xf32>, %r: tensor<?x4xf32>, %n: index) -> tensor<?x4xf32> {
  %a = moe.grouped_matmul %x weights(%w) : (tensor<?x8xf32>, tensor<1x4x8xf32>) -> tensor<?x4xf32> {
  ^bb0(%c: f32):
    moe.yield %c : f32
  }
  %b = moe.grouped_matmul %z weights(%v) : (tensor<?x8xf32>, tensor<1x4x8xf32>) -> tensor<?x4xf32> {
  ^bb0(%c: f32):
    moe.yield %c : f32
  }
  %e = tensor.empty(%n) : tensor<?x4xf32>
  %s = linalg.add ins(%a, %b : tensor<?x4xf32>, tensor<?x4xf32>) outs(%e : tensor<?x4xf32>) -> tensor<?x4xf32>
  %t = linalg.add ins(%s, %r : tensor<?x4xf32>, tensor<?x4xf32>) outs(%e : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %t : tensor<?x4xf32>
}

// CHECK-LABEL: func @combine
// CHECK: moe.combine %arg0 at %arg1 weights(%arg2) residual(%arg3)
// CHECK-NOT: linalg
func.func @combine(%y: tensor<?x4xf32>, %p: tensor<?xi32>, %w: tensor<?x2xf32>, %r: tensor<?x4xf32>, %e: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %c = moe.combine %y at %p weights(%w) {k = 2 : i64} : (tensor<?x4xf32>, tensor<?xi32>, tensor<?x2xf32>) -> tensor<?x4xf32>
  %t = linalg.add ins(%c, %r : tensor<?x4xf32>, tensor<?x4xf32>) outs(%e : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %t : tensor<?x4xf32>
}

// A product that somebody else reads stays.
// CHECK-LABEL: func @shared
// CHECK: %[[A:.*]] = moe.grouped_matmul
// CHECK: linalg.exp ins(%[[A]]
func.func @shared(%x: tensor<?x8xf32>, %w: tensor<1x4x8xf32>, %e: tensor<?x4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %a = moe.grouped_matmul %x weights(%w) : (tensor<?x8xf32>, tensor<1x4x8xf32>) -> tensor<?x4xf32> {
  ^bb0(%c: f32):
    moe.yield %c : f32
  }
  %t = linalg.exp ins(%a : tensor<?x4xf32>) outs(%e : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %a, %t : tensor<?x4xf32>, tensor<?x4xf32>
}
