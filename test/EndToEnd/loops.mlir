// Plain loops of compiled kernels against the interpreter, on one file: what the artefact writes is the case that is compared.
// DEFINE: %{proto} = %python %S/../Interpret/Inputs/tensor_proto.py
// RUN: rm -rf %t && mkdir %t && moe-compile %s -o %t/model.moe
// Ties, signs, a NaN and an infinity.
// RUN: %{proto} %t/input_0.pb f32 3,5 1,3,3,-2,0,nan,-1,4,4,4,0,-0,inf,-inf,2 --name x
// RUN: %{proto} %t/input_1.pb i64 2,4 3,-1,3,7,0,0,-5,2 --name n
// RUN: %{proto} %t/input_2.pb i64 4,1 2,-3,2,0 --name at
// RUN: %{proto} %t/input_3.pb f32 4,5 1,2,3,4,5,6,7,8,9,10,-1,-2,-3,-4,-5,0.5,0.25,-0.5,2,1 --name u
// RUN: %{proto} %t/input_4.pb f32 2,4 0.5,2,-1,1.5,3,3,0.25,-2 --name logits
// RUN: moe-run infer %t/model.moe --inputs %t --outputs %t
// RUN: moe-opt %s --moe-interpret=case=%t -o /dev/null 2>&1 | FileCheck %s
// RUN: moe-run infer %t/model.moe --inputs %t --outputs %t --threads 1
// RUN: moe-opt %s --moe-interpret=case=%t -o /dev/null 2>&1 | FileCheck %s
// CHECK-COUNT-22: {{^output .* mismatches 0 of [1-9]}}
// CHECK-NOT: error

func.func @main(%x: tensor<?x5xf32> {moe.name = "x", moe.dims = ["a", 5]}, %n: tensor<?x4xi64> {moe.name = "n", moe.dims = ["b", 4]},
                %at: tensor<?x1xi64> {moe.name = "at", moe.dims = ["c", 1]}, %u: tensor<?x5xf32> {moe.name = "u", moe.dims = ["c", 5]},
                %logits: tensor<?x4xf32> {moe.name = "logits", moe.dims = ["d", 4]})
    -> (tensor<?x3xf32> {moe.name = "top"}, tensor<?x3xi64> {moe.name = "top_at"}, tensor<?x2xi64> {moe.name = "low_at"},
        tensor<?x5xf32> {moe.name = "sorted"}, tensor<?x5xi64> {moe.name = "sorted_at"}, tensor<?x4xi64> {moe.name = "rising"},
        tensor<?x4xi64> {moe.name = "running"}, tensor<?x4xi64> {moe.name = "rest"}, tensor<?x4xi64> {moe.name = "most"},
        tensor<?x5xf32> {moe.name = "assigned"}, tensor<?x5xf32> {moe.name = "added"}, tensor<?x5xf32> {moe.name = "least"},
        tensor<2x?xi64> {moe.name = "places"}, tensor<i64> {moe.name = "number"},
        tensor<?x2xf32> {moe.name = "weights"}, tensor<?x2xi64> {moe.name = "experts"},
        tensor<?x2xf32> {moe.name = "grouped_weights"}, tensor<?x2xi64> {moe.name = "grouped_experts"},
        tensor<5xi32> {moe.name = "offsets"}, tensor<?xi32> {moe.name = "order"}, tensor<?xi32> {moe.name = "position"},
        tensor<5xf32> {moe.name = "column_sums"}) attributes {moe.entry} {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %four = arith.constant 4 : index
  %top:2 = moe.top_k %x {k = 3} : (tensor<?x5xf32>) -> (tensor<?x3xf32>, tensor<?x3xi64>)
  %low:2 = moe.top_k %x {k = 2, largest = false} : (tensor<?x5xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %sorted:2 = moe.sort %x : (tensor<?x5xf32>) -> (tensor<?x5xf32>, tensor<?x5xi64>)
  %rising:2 = moe.sort %n {descending = false} : (tensor<?x4xi64>) -> (tensor<?x4xi64>, tensor<?x4xi64>)
  %running = moe.scan %n {axis = 1} : (tensor<?x4xi64>) -> tensor<?x4xi64>
  %rest = moe.scan %n {axis = 1, exclusive, reverse} : (tensor<?x4xi64>) -> tensor<?x4xi64>
  %most = moe.scan %n {axis = 0, combiner = #moe.combiner<max>} : (tensor<?x4xi64>) -> tensor<?x4xi64>
  %assigned = moe.scatter %x, %at, %u : (tensor<?x5xf32>, tensor<?x1xi64>, tensor<?x5xf32>) -> tensor<?x5xf32>
  %added = moe.scatter %x, %at, %u {combiner = #moe.combiner<add>} : (tensor<?x5xf32>, tensor<?x1xi64>, tensor<?x5xf32>) -> tensor<?x5xf32>
  %least = moe.scatter %x, %at, %u {combiner = #moe.combiner<min>} : (tensor<?x5xf32>, tensor<?x1xi64>, tensor<?x5xf32>) -> tensor<?x5xf32>
  %places, %number = moe.nonzero %n : (tensor<?x4xi64>) -> (tensor<2x?xi64>, tensor<i64>)
  %weights, %experts = moe.route %logits {k = 2 : i64, normalize = #moe.normalize<sum_plus_eps>} : (tensor<?x4xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %bias = arith.constant dense<[0.0, -0.5, 0.5, 0.25]> : tensor<4xf32>
  %gw, %ge = moe.route %logits bias(%bias) {k = 2 : i64, score = #moe.score<sigmoid>, num_groups = 2 : i64, top_groups = 1 : i64,
      group_score = #moe.group_score<top2_sum>, normalize = #moe.normalize<sum_max_eps>, norm_eps = 1.0e-12 : f32, scale = 2.5 : f32}
      : (tensor<?x4xf32>, tensor<4xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %offsets, %order, %position = moe.dispatch %experts {num_experts = 4 : i64} : (tensor<?x2xi64>) -> (tensor<5xi32>, tensor<?xi32>, tensor<?xi32>)
  %f0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<5xf32>
  %start = linalg.fill ins(%f0 : f32) outs(%e : tensor<5xf32>) -> tensor<5xf32>
  %sums = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>], iterator_types = ["reduction", "parallel"]}
      ins(%u : tensor<?x5xf32>) outs(%start : tensor<5xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %s = arith.addf %acc, %a : f32
    linalg.yield %s : f32
  } -> tensor<5xf32>
  return %top#0, %top#1, %low#1, %sorted#0, %sorted#1, %rising#1, %running, %rest, %most, %assigned, %added, %least, %places, %number, %weights, %experts,
      %gw, %ge, %offsets, %order, %position, %sums
      : tensor<?x3xf32>, tensor<?x3xi64>, tensor<?x2xi64>, tensor<?x5xf32>, tensor<?x5xi64>, tensor<?x4xi64>, tensor<?x4xi64>, tensor<?x4xi64>,
        tensor<?x4xi64>, tensor<?x5xf32>, tensor<?x5xf32>, tensor<?x5xf32>, tensor<2x?xi64>, tensor<i64>, tensor<?x2xf32>, tensor<?x2xi64>,
        tensor<?x2xf32>, tensor<?x2xi64>, tensor<5xi32>, tensor<?xi32>, tensor<?xi32>, tensor<5xf32>
}
