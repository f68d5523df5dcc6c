// Operands and settings that change nothing are dropped; what does change something stays.
// RUN: moe-opt %s -canonicalize | FileCheck %s

// CHECK-LABEL: func @weight_of_ones
func.func @weight_of_ones(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // CHECK: moe.rms_norm %{{.*}} {epsilon
  %one = arith.constant dense<1.0> : tensor<4xf32>
  %y = moe.rms_norm %x weight(%one) {epsilon = 0.0 : f32} : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// CHECK-LABEL: func @weight_of_twos
func.func @weight_of_twos(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // CHECK: moe.rms_norm %{{.*}} weight
  %two = arith.constant dense<2.0> : tensor<4xf32>
  %y = moe.rms_norm %x weight(%two) {epsilon = 0.0 : f32} : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// CHECK-LABEL: func @mask_of_zeros
func.func @mask_of_zeros(%q: tensor<2x4x3x8xf32>) -> tensor<2x4x3x8xf32> {
  // CHECK-NOT: mask(
  %zero = arith.constant dense<0.0> : tensor<1x1x3x3xf32>
  %y = moe.attention %q, %q, %q mask(%zero) {scale = 1.0 : f32} : (tensor<2x4x3x8xf32>, tensor<2x4x3x8xf32>, tensor<2x4x3x8xf32>, tensor<1x1x3x3xf32>) -> tensor<2x4x3x8xf32>
  return %y : tensor<2x4x3x8xf32>
}

// CHECK-LABEL: func @all_groups_kept
func.func @all_groups_kept(%l: tensor<?x8xf32>) -> tensor<?x2xf32> {
  // CHECK: moe.route %{{.*}} {k = 2 : i64} :
  %zero = arith.constant dense<0.0> : tensor<8xf32>
  %w, %i = moe.route %l bias(%zero) {k = 2 : i64, num_groups = 4 : i64, top_groups = 4 : i64} : (tensor<?x8xf32>, tensor<8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  return %w : tensor<?x2xf32>
}

// CHECK-LABEL: func @some_groups_kept
func.func @some_groups_kept(%l: tensor<?x8xf32>) -> tensor<?x2xf32> {
  // CHECK: num_groups = 4 : i64, top_groups = 2 : i64
  %w, %i = moe.route %l {k = 2 : i64, num_groups = 4 : i64, top_groups = 2 : i64} : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  return %w : tensor<?x2xf32>
}

// CHECK-LABEL: func @combine_neutral
func.func @combine_neutral(%y: tensor<10x8xf32>, %p: tensor<10xi32>) -> tensor<5x8xf32> {
  // CHECK: moe.combine %{{.*}} at %{{.*}} {k = 2 : i64}
  %one = arith.constant dense<1.0> : tensor<5x2xf32>
  %zero = arith.constant dense<0.0> : tensor<5x8xf32>
  %r = moe.combine %y at %p weights(%one) residual(%zero) {k = 2 : i64} : (tensor<10x8xf32>, tensor<10xi32>, tensor<5x2xf32>, tensor<5x8xf32>) -> tensor<5x8xf32>
  return %r : tensor<5x8xf32>
}

// CHECK-LABEL: func @experts_params
// CHECK-SAME: %[[X:.*]]: tensor<?x4xf32>, %[[W:.*]]: tensor<?x2xf32>, %[[I:.*]]: tensor<?x2xi64>, %[[A:.*]]: tensor<3x4xf32>, %[[B:.*]]: tensor<3x4xf32>
func.func @experts_params(%x: tensor<?x4xf32>, %w: tensor<?x2xf32>, %i: tensor<?x2xi64>, %a: tensor<3x4xf32>, %b: tensor<3x4xf32>) -> tensor<?x4xf32> {
  // CHECK: params(%[[B]])
  // CHECK-NEXT: ^bb0(%[[ROWS:.*]]: tensor<?x4xf32>, %[[ONE:.*]]: tensor<4xf32>):
  %y = moe.experts %x, %w, %i params(%a, %b, %b) : (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xi64>, tensor<3x4xf32>, tensor<3x4xf32>, tensor<3x4xf32>) -> tensor<?x4xf32> {
  ^bb0(%rows: tensor<?x4xf32>, %unused: tensor<4xf32>, %p: tensor<4xf32>, %q: tensor<4xf32>):
    // CHECK: moe.rms_norm %[[ROWS]] weight(%[[ONE]])
    %r = moe.rms_norm %rows weight(%p) {epsilon = 0.0 : f32} : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    // CHECK: moe.rms_norm %{{.*}} weight(%[[ONE]])
    %s = moe.rms_norm %r weight(%q) {epsilon = 0.0 : f32} : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    moe.yield %s : tensor<?x4xf32>
  }
  return %y : tensor<?x4xf32>
}

// One value read in two ways (an element each, and one a column) is two extras.
// CHECK-LABEL: func @matmul_extras
// CHECK-SAME: %[[X:.*]]: tensor<6x8xf32>, %[[W:.*]]: tensor<1x6x8xf32>, %[[E:.*]]: tensor<6xf32>, %[[U:.*]]: tensor<6xf32>
func.func @matmul_extras(%x: tensor<6x8xf32>, %w: tensor<1x6x8xf32>, %e: tensor<6xf32>, %u: tensor<6xf32>) -> tensor<6x6xf32> {
  // CHECK: extras(%[[E]], %[[E]]) {extra_kinds = array<i64: 2, 3>}
  // CHECK-NEXT: ^bb0(%{{.*}}: f32, %{{.*}}: f32, %{{.*}}: f32):
  %y = moe.grouped_matmul %x weights(%w) extras(%e, %u, %e, %e) {extra_kinds = array<i64: 2, 2, 3, 2>}
      : (tensor<6x8xf32>, tensor<1x6x8xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>) -> tensor<6x6xf32> {
  ^bb0(%acc: f32, %a: f32, %b: f32, %c: f32, %d: f32):
    %s = arith.addf %acc, %a : f32
    %t = arith.mulf %s, %c : f32
    %r = arith.addf %t, %d : f32
    moe.yield %r : f32
  }
  return %y : tensor<6x6xf32>
}

// A condition that holds needs no check.
// CHECK-LABEL: func @checked
// CHECK-SAME: %[[I:.*]]: index
// CHECK-NEXT: return %[[I]]
func.func @checked(%i: index) -> index {
  %true = arith.constant true
  %y = moe.checked %i if %true, "never" : index
  return %y : index
}
