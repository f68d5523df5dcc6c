// What a run computes and must move, over the extents of its inputs; of a bank of experts the part that has rows.
// RUN: moe-compile %s --compile-to=schedule -o - | FileCheck %s --check-prefix=SCHEDULE
// RUN: moe-compile %s --compile-to=lower -o - | FileCheck %s --check-prefix=LOWER
// RUN: rm -rf %t.moe && moe-compile %s -o %t.moe && moe-run bench %t.moe --shape x=2x64 --json 2>/dev/null | FileCheck %s --check-prefix=BENCH

// SCHEDULE-DAG: moe.cost = {banks = array<i64: 1, 2>, flops = "4 * $5.0 * 32 * 64", groups = 8 : i64, rows = "$5.0"}
// SCHEDULE-DAG: moe.cost = {flops = "2 * $2.0 * 96 * 64"}

// The matrix is read whole: 64 x 96 f32; the banks are 2 x 32 x 64 and 64 x 32 f32 a group, 24,576 bytes together.
// LOWER: bytes = "24576 + 24576 * active(8, (n * 2)) + 4 * n * 64 + 4 * n * 8 + 4 * n * 96"
// LOWER-SAME: flops = "4 * (n * 2) * 32 * 64 + 2 * (n * 2) * 64 * 32 + 2 * n * 96 * 64"

// BENCH: "bytes": 107280, "flops": 73728,

moe.weight @gate_up : tensor<8x64x64xf32> = #moe.random<normal, 0.0 : f32, 0.1 : f32, 1, tensor<8x64x64xf32>>
moe.weight @down : tensor<8x64x32xf32> = #moe.random<normal, 0.0 : f32, 0.1 : f32, 2, tensor<8x64x32xf32>>
moe.weight @w : tensor<64x96xf32> = #moe.random<normal, 0.0 : f32, 0.1 : f32, 3, tensor<64x96xf32>>

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
func.func @main(%x: tensor<?x64xf32> {moe.name = "x", moe.dims = ["n", 64]}, %logits: tensor<?x8xf32> {moe.name = "logits", moe.dims = ["n", 8]})
    -> (tensor<?x96xf32> {moe.name = "y"}) attributes {moe.entry} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %t = tensor.dim %x, %c0 : tensor<?x64xf32>
  %gu = moe.get_weight @gate_up : tensor<8x64x64xf32>
  %dn = moe.get_weight @down : tensor<8x64x32xf32>
  %w = moe.get_weight @w : tensor<64x96xf32>
  %r:2 = moe.route %logits {k = 2 : i64} : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %y = moe.experts %x, %r#0, %r#1 params(%gu, %dn) : (tensor<?x64xf32>, tensor<?x2xf32>, tensor<?x2xi64>, tensor<8x64x64xf32>, tensor<8x64x32xf32>) -> tensor<?x64xf32> {
  ^bb0(%rows: tensor<?x64xf32>, %g: tensor<64x64xf32>, %d: tensor<64x32xf32>):
    %n = tensor.dim %rows, %c0 : tensor<?x64xf32>
    %e = tensor.empty(%n) : tensor<?x64xf32>
    %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x64xf32>) -> tensor<?x64xf32>
    %p = linalg.generic {indexing_maps = [#mk, #nk, #mn], iterator_types = ["parallel", "parallel", "reduction"]} ins(%rows, %g : tensor<?x64xf32>, tensor<64x64xf32>) outs(%f : tensor<?x64xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %m = arith.mulf %a, %b : f32
      %s = arith.addf %c, %m : f32
      linalg.yield %s : f32
    } -> tensor<?x64xf32>
    %gate = tensor.extract_slice %p[0, 0] [%n, 32] [1, 1] : tensor<?x64xf32> to tensor<?x32xf32>
    %up = tensor.extract_slice %p[0, 32] [%n, 32] [1, 1] : tensor<?x64xf32> to tensor<?x32xf32>
    %h = moe.swiglu %gate, %up : (tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x32xf32>
    %o = linalg.generic {indexing_maps = [#mk, #nk, #mn], iterator_types = ["parallel", "parallel", "reduction"]} ins(%h, %d : tensor<?x32xf32>, tensor<64x32xf32>) outs(%f : tensor<?x64xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %m = arith.mulf %a, %b : f32
      %s = arith.addf %c, %m : f32
      linalg.yield %s : f32
    } -> tensor<?x64xf32>
    moe.yield %o : tensor<?x64xf32>
  }
  %e = tensor.empty(%t) : tensor<?x96xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x96xf32>) -> tensor<?x96xf32>
  %z = linalg.matmul ins(%y, %w : tensor<?x64xf32>, tensor<64x96xf32>) outs(%f : tensor<?x96xf32>) -> tensor<?x96xf32>
  return %z : tensor<?x96xf32>
}
