// RUN: not moe-opt %s -split-input-file --moe-interpret=print -o /dev/null 2>&1 | FileCheck %s
// Whatever goes wrong while running is one diagnostic at the op.

// CHECK: :[[@LINE+5]]:8: error: 'tensor.extract' op expects index 0 to be in [0, 2), found 5
func.func @main() -> f32 {
  %a = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %i = arith.constant dense<5> : tensor<index>
  %j = tensor.extract %i[] : tensor<index>
  %v = tensor.extract %a[%j] : tensor<2xf32>
  return %v : f32
}

// -----

// CHECK: error: 'tensor.extract' op expects index 0 to be in [0, 2), found 2
func.func @main() -> tensor<3xf32> {
  %a = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %e = tensor.empty() : tensor<3xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>], iterator_types = ["parallel"]} outs(%e : tensor<3xf32>) {
  ^bb0(%o: f32):
    %i = linalg.index 0 : index
    %v = tensor.extract %a[%i] : tensor<2xf32>
    linalg.yield %v : f32
  } -> tensor<3xf32>
  return %r : tensor<3xf32>
}

// -----

// CHECK: error: 'arith.divsi' op divides by zero
func.func @main() -> i32 {
  %a = arith.constant dense<0> : tensor<i32>
  %zero = tensor.extract %a[] : tensor<i32>
  %r = arith.divsi %zero, %zero : i32
  return %r : i32
}

// -----

// CHECK: error: 'vector.broadcast' op is not an op that the interpreter knows
func.func @main() -> f32 {
  %f = arith.constant 1.0 : f32
  %v = vector.broadcast %f : f32 to vector<4xf32>
  %s = vector.extract %v[0] : f32 from vector<4xf32>
  return %s : f32
}

// -----

// CHECK: error: 'linalg.add' op expects dimension 0 of operand 1 to have extent 2, found 3
func.func @main() -> tensor<?xf32> {
  %two = arith.constant 2 : index
  %three = arith.constant 3 : index
  %a = tensor.empty(%two) : tensor<?xf32>
  %b = tensor.empty(%three) : tensor<?xf32>
  %r = linalg.add ins(%a, %b : tensor<?xf32>, tensor<?xf32>) outs(%a : tensor<?xf32>) -> tensor<?xf32>
  return %r : tensor<?xf32>
}

// -----

// CHECK: error: 'moe.dispatch' op expects expert numbers in [0, 2), found 2 for assignment 1
func.func @main() -> tensor<2xi32> {
  %i = arith.constant dense<[[0, 2]]> : tensor<1x2xi64>
  %d:3 = moe.dispatch %i {num_experts = 2} : (tensor<1x2xi64>) -> (tensor<3xi32>, tensor<2xi32>, tensor<2xi32>)
  return %d#1 : tensor<2xi32>
}

// -----

// CHECK: error: 'tensor.empty' op makes a tensor of an impossible shape [-1]
func.func @main() -> tensor<?xf32> {
  %n = arith.constant -1 : index
  %e = tensor.empty(%n) : tensor<?xf32>
  return %e : tensor<?xf32>
}

// -----

// CHECK: error: 'func.call' op calls more than 200 functions deep
func.func @main() -> f32 {
  %r = call @main() : () -> f32
  return %r : f32
}

// -----

// CHECK: error: expects a function 'main' to interpret
func.func @other() {
  return
}

// -----

// CHECK: error: node 'y': expects an even number
func.func @main() -> index {
  %i = arith.constant 5 : index
  %ok = arith.constant false
  %y = moe.checked %i if %ok, "node 'y': expects an even number" : index
  return %y : index
}

// -----

// CHECK: error: 'moe.scatter' op expects an index in [-2, 2), found 9
func.func @main() -> tensor<2xf32> {
  %data = arith.constant dense<0.0> : tensor<2xf32>
  %at = arith.constant dense<[[1], [9]]> : tensor<2x1xi64>
  %updates = arith.constant dense<1.0> : tensor<2xf32>
  %r = moe.scatter %data, %at, %updates : (tensor<2xf32>, tensor<2x1xi64>, tensor<2xf32>) -> tensor<2xf32>
  return %r : tensor<2xf32>
}
