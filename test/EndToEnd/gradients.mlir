// The plain loops of weight gradients against the interpreter: 18 columns are a block of 16 and 2 more; rows 0 and 6 are in no group, group 1 has no rows.
// DEFINE: %{proto} = %python %S/../Interpret/Inputs/tensor_proto.py
// RUN: rm -rf %t && mkdir %t && moe-compile %s -o %t/model.moe
// RUN: %{proto} %t/input_0.pb f32 7,3 inf,inf,inf,10,-6,1,8,-8,-1,6,-10,-3,4,11,-5,2,9,-7,0,7,-9 --name dy
// RUN: %{proto} %t/input_1.pb f32 7,18 -3,-1.75,-0.5,0.75,2,3.25,4.5,-2,-0.75,0.5,1.75,3,4.25,-2.25,-1,0.25,1.5,2.75,4,-2.5,-1.25,0,1.25,2.5,3.75,-2.75,-1.5,-0.25,1,2.25,3.5,-3,-1.75,-0.5,0.75,2,3.25,4.5,-2,-0.75,0.5,1.75,3,4.25,-2.25,-1,0.25,1.5,2.75,4,-2.5,-1.25,0,1.25,2.5,3.75,-2.75,-1.5,-0.25,1,2.25,3.5,-3,-1.75,-0.5,0.75,2,3.25,4.5,-2,-0.75,0.5,1.75,3,4.25,-2.25,-1,0.25,1.5,2.75,4,-2.5,-1.25,0,1.25,2.5,3.75,-2.75,-1.5,-0.25,1,2.25,3.5,-3,-1.75,-0.5,0.75,2,3.25,4.5,-2,-0.75,0.5,1.75,3,4.25,-2.25,-1,nan,nan,nan,nan,nan,nan,nan,nan,nan,nan,nan,nan,nan,nan,nan,nan,nan,nan --name x
// RUN: moe-run infer %t/model.moe --inputs %t --outputs %t
// RUN: moe-opt %s --moe-interpret=case=%t -o /dev/null 2>&1 | FileCheck %s
// CHECK-COUNT-2: {{^output .* mismatches 0 of [1-9]}}
// CHECK-NOT: error
// As many rows of x as of dy, by the extents of the run.
// RUN: %{proto} %t/input_1.pb f32 6,18 -3,-1.75,-0.5,0.75,2,3.25,4.5,-2,-0.75,0.5,1.75,3,4.25,-2.25,-1,0.25,1.5,2.75,4,-2.5,-1.25,0,1.25,2.5,3.75,-2.75,-1.5,-0.25,1,2.25,3.5,-3,-1.75,-0.5,0.75,2,3.25,4.5,-2,-0.75,0.5,1.75,3,4.25,-2.25,-1,0.25,1.5,2.75,4,-2.5,-1.25,0,1.25,2.5,3.75,-2.75,-1.5,-0.25,1,2.25,3.5,-3,-1.75,-0.5,0.75,2,3.25,4.5,-2,-0.75,0.5,1.75,3,4.25,-2.25,-1,0.25,1.5,2.75,4,-2.5,-1.25,0,1.25,2.5,3.75,-2.75,-1.5,-0.25,1,2.25,3.5,-3,-1.75,-0.5,0.75,2,3.25,4.5,-2,-0.75,0.5,1.75,3,4.25,-2.25,-1 --name x
// RUN: not moe-run infer %t/model.moe --inputs %t --outputs %t 2>&1 | FileCheck %s --check-prefix=ROWS
// ROWS: inputs whose extents do not fit together: 'moe.grouped_outer_product' expects as many rows in dy as in x

func.func @main(%dy: tensor<?x3xf32> {moe.name = "dy", moe.dims = ["p", 3]}, %x: tensor<?x18xf32> {moe.name = "x", moe.dims = ["q", 18]})
    -> (tensor<3x3x18xf32> {moe.name = "dw"}, tensor<3x3x18xbf16> {moe.name = "rounded"}) attributes {moe.entry} {
  %offsets = arith.constant dense<[1, 3, 3, 6]> : tensor<4xi32>
  %dw = moe.grouped_outer_product %dy, %x offsets(%offsets) : (tensor<?x3xf32>, tensor<?x18xf32>, tensor<4xi32>) -> tensor<3x3x18xf32>
  %rounded = moe.grouped_outer_product %dy, %x offsets(%offsets) : (tensor<?x3xf32>, tensor<?x18xf32>, tensor<4xi32>) -> tensor<3x3x18xbf16>
  return %dw, %rounded : tensor<3x3x18xf32>, tensor<3x3x18xbf16>
}
