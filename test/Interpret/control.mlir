// RUN: moe-opt %s --moe-interpret=print -o /dev/null | FileCheck %s
// scf and func: loops carry tensors, calls, branches.

// CHECK: result 0: tensor<4xi32> [0, 1, 4, 9]
// CHECK: result 1: tensor<i64> 55
// CHECK: result 2: tensor<i32> 128
// CHECK: result 3: tensor<f32> 2.5
// CHECK{LITERAL}: result 4: tensor<4x2xi32> [[0, 1], [1, 2], [2, 3], [3, 4]]
// CHECK: result 5: tensor<index> 3
func.func private @fibonacci(%n: i64) -> i64 {
  %c1 = arith.constant 1 : i64
  %c2 = arith.constant 2 : i64
  %small = arith.cmpi slt, %n, %c2 : i64
  %r = scf.if %small -> i64 {
    scf.yield %n : i64
  } else {
    %a = arith.subi %n, %c1 : i64
    %b = arith.subi %n, %c2 : i64
    %x = func.call @fibonacci(%a) : (i64) -> i64
    %y = func.call @fibonacci(%b) : (i64) -> i64
    %s = arith.addi %x, %y : i64
    scf.yield %s : i64
  }
  return %r : i64
}
func.func @main() -> (tensor<4xi32>, i64, i32, f32, tensor<4x2xi32>, index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c4 = arith.constant 4 : index
  %init = arith.constant dense<0> : tensor<4xi32>
  %squares = scf.for %i = %c0 to %c4 step %c1 iter_args(%t = %init) -> tensor<4xi32> {
    %ii = arith.muli %i, %i : index
    %v = arith.index_cast %ii : index to i32
    %next = tensor.insert %v into %t[%i] : tensor<4xi32>
    scf.yield %next : tensor<4xi32>
  }
  %n = arith.constant 10 : i64
  %fib = call @fibonacci(%n) : (i64) -> i64
  %one = arith.constant 1 : i32
  %limit = arith.constant 100 : i32
  %power = scf.while (%x = %one) : (i32) -> i32 {
    %go = arith.cmpi slt, %x, %limit : i32
    scf.condition(%go) %x : i32
  } do {
  ^bb0(%x: i32):
    %y = arith.addi %x, %x : i32
    scf.yield %y : i32
  }
  %false = arith.constant false
  %f1 = arith.constant 1.5 : f32
  %f2 = arith.constant 2.5 : f32
  %chosen = arith.select %false, %f1, %f2 : f32
  %shared = arith.constant dense<0> : tensor<4x2xi32>
  %rows = scf.forall (%i) in (%c4) shared_outs(%o = %shared) -> tensor<4x2xi32> {
    %a = arith.index_cast %i : index to i32
    %b = arith.addi %a, %one : i32
    %row = tensor.from_elements %a, %b : tensor<2xi32>
    scf.forall.in_parallel {
      tensor.parallel_insert_slice %row into %o[%i, 0] [1, 2] [1, 1] : tensor<2xi32> into tensor<4x2xi32>
    }
  }
  %min = affine.min affine_map<(i)[s] -> (i ceildiv 2 + s, i * 7 mod 5)> (%c4)[%c2]
  return %squares, %fib, %power, %chosen, %rows, %min : tensor<4xi32>, i64, i32, f32, tensor<4x2xi32>, index
}
