// RUN: rm -rf %t && split-file %s %t
// RUN: moe-opt %t/same.mlir --moe-verify-raise=against=%t/before.mlir -o /dev/null
// RUN: not moe-opt %t/other.mlir --moe-verify-raise=against=%t/before.mlir -o /dev/null 2>&1 | FileCheck %s --check-prefix=OTHER
// RUN: not moe-opt %t/tokens.mlir --moe-verify-raise=against=%t/before.mlir -o /dev/null 2>&1 | FileCheck %s --check-prefix=TOKENS
// RUN: not moe-opt %t/same.mlir --moe-verify-raise=against=%t/absent.mlir -o /dev/null 2>&1 | FileCheck %s --check-prefix=ABSENT
// A module and what it became, on random inputs: equal, different, and different only for more than one token.

// OTHER: error: differs from before in result 0 'y' on one token (tokens = 1, seed 0): max_abs
// TOKENS: error: differs from before in result 0 'y' on odd extents (tokens = 3, seed 1000): max_abs
// ABSENT: error: expects 'against' to name a module

//--- before.mlir
func.func @main(%x: tensor<?x4xf32> {moe.name = "x", moe.dims = ["tokens", 4]}) -> (tensor<?x4xf32> {moe.name = "y"}) {
  %y = arith.addf %x, %x : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
//--- same.mlir
func.func @main(%x: tensor<?x4xf32> {moe.name = "x", moe.dims = ["tokens", 4]}) -> (tensor<?x4xf32> {moe.name = "y"}) {
  %y = linalg.add ins(%x, %x : tensor<?x4xf32>, tensor<?x4xf32>) outs(%x : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
//--- other.mlir
func.func @main(%x: tensor<?x4xf32> {moe.name = "x", moe.dims = ["tokens", 4]}) -> (tensor<?x4xf32> {moe.name = "y"}) {
  %y = arith.mulf %x, %x : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
//--- tokens.mlir
func.func @main(%x: tensor<?x4xf32> {moe.name = "x", moe.dims = ["tokens", 4]}) -> (tensor<?x4xf32> {moe.name = "y"}) {
  %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]} outs(%x : tensor<?x4xf32>) {
  ^bb0(%a: f32):
    %i = linalg.index 0 : index
    %c0 = arith.constant 0 : index
    %first = arith.cmpi eq, %i, %c0 : index
    %double = arith.addf %a, %a : f32
    %r = arith.select %first, %double, %a : f32
    linalg.yield %r : f32
  } -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
