// RUN: moe-opt %s -moe-raise-experts -split-input-file | FileCheck %s
// Layers that look like a bank of experts and are none, each with one thing that is not an expert's own.

// All experts scale by the first one's numbers before they scale by their own: one constant is not that of one expert in
// both places.
// CHECK-LABEL: @one_constant_twice
// CHECK-NOT: moe.experts
// CHECK: return
func.func @one_constant_twice(%x: tensor<?x8xf32> {moe.dims = ["tokens", 8]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}) -> tensor<?x8xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %s0 = onnx.Constant dense<0.1> : tensor<8xf32>
  %s1 = onnx.Constant dense<0.2> : tensor<8xf32>
  %s2 = onnx.Constant dense<0.3> : tensor<8xf32>
  %a0 = onnx.Constant dense<0.4> : tensor<8x8xf32>
  %a1 = onnx.Constant dense<0.5> : tensor<8x8xf32>
  %a2 = onnx.Constant dense<0.6> : tensor<8x8xf32>
  %v7 = onnx.Shape(%l) : (tensor<?x3xf32>) -> tensor<2xi64>
  %c8 = onnx.Constant dense<0.0> : tensor<f32>
  %v9 = onnx.Expand(%c8, %v7) : (tensor<f32>, tensor<2xi64>) -> tensor<?x3xf32>
  %v10 = onnx.ScatterElements(%v9, %i, %w) {axis = 1 : i64} : (tensor<?x3xf32>, tensor<?x2xi64>, tensor<?x2xf32>) -> tensor<?x3xf32>
  %c11 = onnx.Constant dense<0> : tensor<1xi64>
  %c12 = onnx.Constant dense<1> : tensor<1xi64>
  %v13 = onnx.Slice(%v10, %c11, %c12, %c12) : (tensor<?x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
  %v14 = onnx.Mul(%x, %s0) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v15 = onnx.Relu(%v14) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v16 = onnx.Mul(%v15, %s0) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v17 = onnx.MatMul(%v16, %a0) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v18 = onnx.Mul(%v17, %v13) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %c19 = onnx.Constant dense<2> : tensor<1xi64>
  %v20 = onnx.Slice(%v10, %c12, %c19, %c12) : (tensor<?x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
  %v21 = onnx.Mul(%x, %s0) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v22 = onnx.Relu(%v21) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v23 = onnx.Mul(%v22, %s1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v24 = onnx.MatMul(%v23, %a1) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v25 = onnx.Mul(%v24, %v20) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v26 = onnx.Add(%v18, %v25) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %c27 = onnx.Constant dense<3> : tensor<1xi64>
  %v28 = onnx.Slice(%v10, %c19, %c27, %c12) : (tensor<?x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
  %v29 = onnx.Mul(%x, %s0) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v30 = onnx.Relu(%v29) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v31 = onnx.Mul(%v30, %s2) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v32 = onnx.MatMul(%v31, %a2) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v33 = onnx.Mul(%v32, %v28) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v34 = onnx.Add(%v26, %v33) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %v34 : tensor<?x8xf32>
}

// -----

// What the first expert makes goes into all of them.
// CHECK-LABEL: @first_expert_in_all
// CHECK-NOT: moe.experts
// CHECK: return
func.func @first_expert_in_all(%x: tensor<?x8xf32> {moe.dims = ["tokens", 8]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}) -> tensor<?x8xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %s0 = onnx.Constant dense<0.1> : tensor<8xf32>
  %s1 = onnx.Constant dense<0.2> : tensor<8xf32>
  %s2 = onnx.Constant dense<0.3> : tensor<8xf32>
  %a0 = onnx.Constant dense<0.4> : tensor<8x8xf32>
  %a1 = onnx.Constant dense<0.5> : tensor<8x8xf32>
  %a2 = onnx.Constant dense<0.6> : tensor<8x8xf32>
  %v7 = onnx.Mul(%x, %s0) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v8 = onnx.Mul(%x, %s1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v9 = onnx.Mul(%x, %s2) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v10 = onnx.Relu(%v7) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v11 = onnx.Shape(%l) : (tensor<?x3xf32>) -> tensor<2xi64>
  %c12 = onnx.Constant dense<0.0> : tensor<f32>
  %v13 = onnx.Expand(%c12, %v11) : (tensor<f32>, tensor<2xi64>) -> tensor<?x3xf32>
  %v14 = onnx.ScatterElements(%v13, %i, %w) {axis = 1 : i64} : (tensor<?x3xf32>, tensor<?x2xi64>, tensor<?x2xf32>) -> tensor<?x3xf32>
  %c15 = onnx.Constant dense<0> : tensor<1xi64>
  %c16 = onnx.Constant dense<1> : tensor<1xi64>
  %v17 = onnx.Slice(%v14, %c15, %c16, %c16) : (tensor<?x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
  %v18 = onnx.Mul(%v7, %v7) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v19 = onnx.MatMul(%v18, %a0) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v20 = onnx.Mul(%v19, %v17) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %c21 = onnx.Constant dense<2> : tensor<1xi64>
  %v22 = onnx.Slice(%v14, %c16, %c21, %c16) : (tensor<?x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
  %v23 = onnx.Mul(%v7, %v8) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v24 = onnx.MatMul(%v23, %a1) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v25 = onnx.Mul(%v24, %v22) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v26 = onnx.Add(%v20, %v25) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %c27 = onnx.Constant dense<3> : tensor<1xi64>
  %v28 = onnx.Slice(%v14, %c21, %c27, %c16) : (tensor<?x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
  %v29 = onnx.Mul(%v7, %v9) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v30 = onnx.MatMul(%v29, %a2) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v31 = onnx.Mul(%v30, %v28) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v32 = onnx.Add(%v26, %v31) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %v32 : tensor<?x8xf32>
}

// -----

// What one expert makes of all pairs is added to what each pair's own expert makes.
// CHECK-LABEL: @added_after_bank
// CHECK-NOT: moe.experts
// CHECK: return
func.func @added_after_bank(%x: tensor<?x8xf32> {moe.dims = ["tokens", 8]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}) -> tensor<?x8xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %s0 = onnx.Constant dense<0.1> : tensor<8xf32>
  %s1 = onnx.Constant dense<0.2> : tensor<8xf32>
  %s2 = onnx.Constant dense<0.3> : tensor<8xf32>
  %a0 = onnx.Constant dense<0.4> : tensor<8x8xf32>
  %a1 = onnx.Constant dense<0.5> : tensor<8x8xf32>
  %a2 = onnx.Constant dense<0.6> : tensor<8x8xf32>
  %c7 = onnx.Constant dense<1> : tensor<1xi64>
  %v8 = onnx.Unsqueeze(%x, %c7) : (tensor<?x8xf32>, tensor<1xi64>) -> tensor<?x1x8xf32>
  %c9 = onnx.Constant dense<[1, 2, 1]> : tensor<3xi64>
  %v10 = onnx.Expand(%v8, %c9) : (tensor<?x1x8xf32>, tensor<3xi64>) -> tensor<?x2x8xf32>
  %c11 = onnx.Constant dense<[-1, 8]> : tensor<2xi64>
  %v12 = onnx.Reshape(%v10, %c11) : (tensor<?x2x8xf32>, tensor<2xi64>) -> tensor<?x8xf32>
  %c13 = onnx.Constant dense<-1> : tensor<1xi64>
  %v14 = onnx.Reshape(%i, %c13) : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?xi64>
  %v15 = onnx.Shape(%v12) : (tensor<?x8xf32>) -> tensor<2xi64>
  %c16 = onnx.Constant dense<0.0> : tensor<f32>
  %v17 = onnx.Expand(%c16, %v15) : (tensor<f32>, tensor<2xi64>) -> tensor<?x8xf32>
  %c18 = onnx.Constant dense<0> : tensor<i64>
  %v19 = onnx.Equal(%v14, %c18) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %v20 = onnx.Unsqueeze(%v19, %c7) : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %v21 = onnx.Mul(%v12, %s0) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v22 = onnx.Relu(%v21) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v23 = onnx.MatMul(%v22, %a0) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v24 = onnx.Where(%v20, %v23, %v17) : (tensor<?x1xi1>, tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %c25 = onnx.Constant dense<1> : tensor<i64>
  %v26 = onnx.Equal(%v14, %c25) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %v27 = onnx.Unsqueeze(%v26, %c7) : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %v28 = onnx.Mul(%v12, %s1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v29 = onnx.Relu(%v28) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v30 = onnx.MatMul(%v29, %a1) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v31 = onnx.Where(%v27, %v30, %v24) : (tensor<?x1xi1>, tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %c32 = onnx.Constant dense<2> : tensor<i64>
  %v33 = onnx.Equal(%v14, %c32) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %v34 = onnx.Unsqueeze(%v33, %c7) : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %v35 = onnx.Mul(%v12, %s2) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v36 = onnx.Relu(%v35) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v37 = onnx.MatMul(%v36, %a2) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v38 = onnx.Where(%v34, %v37, %v31) : (tensor<?x1xi1>, tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v39 = onnx.Add(%v38, %v37) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %c40 = onnx.Constant dense<[-1, 2, 8]> : tensor<3xi64>
  %v41 = onnx.Reshape(%v39, %c40) : (tensor<?x8xf32>, tensor<3xi64>) -> tensor<?x2x8xf32>
  %v42 = onnx.Unsqueeze(%w, %c13) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %v43 = onnx.Mul(%v41, %v42) : (tensor<?x2x8xf32>, tensor<?x2x1xf32>) -> tensor<?x2x8xf32>
  %v44 = onnx.ReduceSum(%v43, %c7) {keepdims = 0 : i64} : (tensor<?x2x8xf32>, tensor<1xi64>) -> tensor<?x8xf32>
  return %v44 : tensor<?x8xf32>
}

// -----

// One expert's numbers scale what all of them make.
// CHECK-LABEL: @constant_after_bank
// CHECK-NOT: moe.experts
// CHECK: return
func.func @constant_after_bank(%x: tensor<?x8xf32> {moe.dims = ["tokens", 8]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}) -> tensor<?x8xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %s0 = onnx.Constant dense<0.1> : tensor<8xf32>
  %s1 = onnx.Constant dense<0.2> : tensor<8xf32>
  %s2 = onnx.Constant dense<0.3> : tensor<8xf32>
  %a0 = onnx.Constant dense<0.4> : tensor<8x8xf32>
  %a1 = onnx.Constant dense<0.5> : tensor<8x8xf32>
  %a2 = onnx.Constant dense<0.6> : tensor<8x8xf32>
  %c7 = onnx.Constant dense<1> : tensor<1xi64>
  %v8 = onnx.Unsqueeze(%x, %c7) : (tensor<?x8xf32>, tensor<1xi64>) -> tensor<?x1x8xf32>
  %c9 = onnx.Constant dense<[1, 2, 1]> : tensor<3xi64>
  %v10 = onnx.Expand(%v8, %c9) : (tensor<?x1x8xf32>, tensor<3xi64>) -> tensor<?x2x8xf32>
  %c11 = onnx.Constant dense<[-1, 8]> : tensor<2xi64>
  %v12 = onnx.Reshape(%v10, %c11) : (tensor<?x2x8xf32>, tensor<2xi64>) -> tensor<?x8xf32>
  %c13 = onnx.Constant dense<-1> : tensor<1xi64>
  %v14 = onnx.Reshape(%i, %c13) : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?xi64>
  %v15 = onnx.Shape(%v12) : (tensor<?x8xf32>) -> tensor<2xi64>
  %c16 = onnx.Constant dense<0.0> : tensor<f32>
  %v17 = onnx.Expand(%c16, %v15) : (tensor<f32>, tensor<2xi64>) -> tensor<?x8xf32>
  %c18 = onnx.Constant dense<0> : tensor<i64>
  %v19 = onnx.Equal(%v14, %c18) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %v20 = onnx.Unsqueeze(%v19, %c7) : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %v21 = onnx.Mul(%v12, %s0) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v22 = onnx.Relu(%v21) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v23 = onnx.Where(%v20, %v22, %v17) : (tensor<?x1xi1>, tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %c24 = onnx.Constant dense<1> : tensor<i64>
  %v25 = onnx.Equal(%v14, %c24) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %v26 = onnx.Unsqueeze(%v25, %c7) : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %v27 = onnx.Mul(%v12, %s1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v28 = onnx.Relu(%v27) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v29 = onnx.Where(%v26, %v28, %v23) : (tensor<?x1xi1>, tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %c30 = onnx.Constant dense<2> : tensor<i64>
  %v31 = onnx.Equal(%v14, %c30) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %v32 = onnx.Unsqueeze(%v31, %c7) : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %v33 = onnx.Mul(%v12, %s2) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v34 = onnx.Relu(%v33) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v35 = onnx.Where(%v32, %v34, %v29) : (tensor<?x1xi1>, tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v36 = onnx.Mul(%v35, %s2) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %c37 = onnx.Constant dense<[-1, 2, 8]> : tensor<3xi64>
  %v38 = onnx.Reshape(%v36, %c37) : (tensor<?x8xf32>, tensor<3xi64>) -> tensor<?x2x8xf32>
  %v39 = onnx.Unsqueeze(%w, %c13) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %v40 = onnx.Mul(%v38, %v39) : (tensor<?x2x8xf32>, tensor<?x2x1xf32>) -> tensor<?x2x8xf32>
  %v41 = onnx.ReduceSum(%v40, %c7) {keepdims = 0 : i64} : (tensor<?x2x8xf32>, tensor<1xi64>) -> tensor<?x8xf32>
  return %v41 : tensor<?x8xf32>
}

// -----

// In the second bank every expert scales by one expert's numbers.
// CHECK-LABEL: @constant_of_one_in_two_banks
// CHECK-NOT: moe.experts
// CHECK: return
func.func @constant_of_one_in_two_banks(%x: tensor<?x8xf32> {moe.dims = ["tokens", 8]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}) -> tensor<?x8xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %s0 = onnx.Constant dense<0.1> : tensor<8xf32>
  %s1 = onnx.Constant dense<0.2> : tensor<8xf32>
  %s2 = onnx.Constant dense<0.3> : tensor<8xf32>
  %a0 = onnx.Constant dense<0.4> : tensor<8x8xf32>
  %a1 = onnx.Constant dense<0.5> : tensor<8x8xf32>
  %a2 = onnx.Constant dense<0.6> : tensor<8x8xf32>
  %c7 = onnx.Constant dense<1> : tensor<1xi64>
  %v8 = onnx.Unsqueeze(%x, %c7) : (tensor<?x8xf32>, tensor<1xi64>) -> tensor<?x1x8xf32>
  %c9 = onnx.Constant dense<[1, 2, 1]> : tensor<3xi64>
  %v10 = onnx.Expand(%v8, %c9) : (tensor<?x1x8xf32>, tensor<3xi64>) -> tensor<?x2x8xf32>
  %c11 = onnx.Constant dense<[-1, 8]> : tensor<2xi64>
  %v12 = onnx.Reshape(%v10, %c11) : (tensor<?x2x8xf32>, tensor<2xi64>) -> tensor<?x8xf32>
  %c13 = onnx.Constant dense<-1> : tensor<1xi64>
  %v14 = onnx.Reshape(%i, %c13) : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?xi64>
  %v15 = onnx.Shape(%v12) : (tensor<?x8xf32>) -> tensor<2xi64>
  %c16 = onnx.Constant dense<0.0> : tensor<f32>
  %v17 = onnx.Expand(%c16, %v15) : (tensor<f32>, tensor<2xi64>) -> tensor<?x8xf32>
  %c18 = onnx.Constant dense<0> : tensor<i64>
  %v19 = onnx.Equal(%v14, %c18) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %v20 = onnx.Unsqueeze(%v19, %c7) : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %v21 = onnx.Mul(%v12, %s0) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v22 = onnx.Relu(%v21) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v23 = onnx.MatMul(%v22, %a0) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v24 = onnx.Where(%v20, %v23, %v17) : (tensor<?x1xi1>, tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %c25 = onnx.Constant dense<1> : tensor<i64>
  %v26 = onnx.Equal(%v14, %c25) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %v27 = onnx.Unsqueeze(%v26, %c7) : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %v28 = onnx.Mul(%v12, %s1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v29 = onnx.Relu(%v28) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v30 = onnx.MatMul(%v29, %a1) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v31 = onnx.Where(%v27, %v30, %v24) : (tensor<?x1xi1>, tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %c32 = onnx.Constant dense<2> : tensor<i64>
  %v33 = onnx.Equal(%v14, %c32) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %v34 = onnx.Unsqueeze(%v33, %c7) : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %v35 = onnx.Mul(%v12, %s2) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v36 = onnx.Relu(%v35) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v37 = onnx.MatMul(%v36, %a2) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v38 = onnx.Where(%v34, %v37, %v31) : (tensor<?x1xi1>, tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v39 = onnx.Equal(%v14, %c18) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %v40 = onnx.Unsqueeze(%v39, %c7) : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %v41 = onnx.Mul(%v12, %s2) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v42 = onnx.MatMul(%v41, %a0) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v43 = onnx.Where(%v40, %v42, %v17) : (tensor<?x1xi1>, tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v44 = onnx.Equal(%v14, %c25) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %v45 = onnx.Unsqueeze(%v44, %c7) : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %v46 = onnx.Mul(%v12, %s2) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v47 = onnx.MatMul(%v46, %a1) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v48 = onnx.Where(%v45, %v47, %v43) : (tensor<?x1xi1>, tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v49 = onnx.Equal(%v14, %c32) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %v50 = onnx.Unsqueeze(%v49, %c7) : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %v51 = onnx.Mul(%v12, %s2) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v52 = onnx.MatMul(%v51, %a2) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v53 = onnx.Where(%v50, %v52, %v48) : (tensor<?x1xi1>, tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v54 = onnx.Add(%v38, %v53) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %c55 = onnx.Constant dense<[-1, 2, 8]> : tensor<3xi64>
  %v56 = onnx.Reshape(%v54, %c55) : (tensor<?x8xf32>, tensor<3xi64>) -> tensor<?x2x8xf32>
  %v57 = onnx.Unsqueeze(%w, %c13) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %v58 = onnx.Mul(%v56, %v57) : (tensor<?x2x8xf32>, tensor<?x2x1xf32>) -> tensor<?x2x8xf32>
  %v59 = onnx.ReduceSum(%v58, %c7) {keepdims = 0 : i64} : (tensor<?x2x8xf32>, tensor<1xi64>) -> tensor<?x8xf32>
  return %v59 : tensor<?x8xf32>
}

// -----

// Two banks that share what each expert makes are one function.
// CHECK-LABEL: @two_banks
// CHECK: moe.experts
// CHECK: return
func.func @two_banks(%x: tensor<?x8xf32> {moe.dims = ["tokens", 8]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}) -> tensor<?x8xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %s0 = onnx.Constant dense<0.1> : tensor<8xf32>
  %s1 = onnx.Constant dense<0.2> : tensor<8xf32>
  %s2 = onnx.Constant dense<0.3> : tensor<8xf32>
  %a0 = onnx.Constant dense<0.4> : tensor<8x8xf32>
  %a1 = onnx.Constant dense<0.5> : tensor<8x8xf32>
  %a2 = onnx.Constant dense<0.6> : tensor<8x8xf32>
  %c7 = onnx.Constant dense<1> : tensor<1xi64>
  %v8 = onnx.Unsqueeze(%x, %c7) : (tensor<?x8xf32>, tensor<1xi64>) -> tensor<?x1x8xf32>
  %c9 = onnx.Constant dense<[1, 2, 1]> : tensor<3xi64>
  %v10 = onnx.Expand(%v8, %c9) : (tensor<?x1x8xf32>, tensor<3xi64>) -> tensor<?x2x8xf32>
  %c11 = onnx.Constant dense<[-1, 8]> : tensor<2xi64>
  %v12 = onnx.Reshape(%v10, %c11) : (tensor<?x2x8xf32>, tensor<2xi64>) -> tensor<?x8xf32>
  %c13 = onnx.Constant dense<-1> : tensor<1xi64>
  %v14 = onnx.Reshape(%i, %c13) : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?xi64>
  %v15 = onnx.Shape(%v12) : (tensor<?x8xf32>) -> tensor<2xi64>
  %c16 = onnx.Constant dense<0.0> : tensor<f32>
  %v17 = onnx.Expand(%c16, %v15) : (tensor<f32>, tensor<2xi64>) -> tensor<?x8xf32>
  %c18 = onnx.Constant dense<0> : tensor<i64>
  %v19 = onnx.Equal(%v14, %c18) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %v20 = onnx.Unsqueeze(%v19, %c7) : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %v21 = onnx.Mul(%v12, %s0) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v22 = onnx.Where(%v20, %v21, %v17) : (tensor<?x1xi1>, tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %c23 = onnx.Constant dense<1> : tensor<i64>
  %v24 = onnx.Equal(%v14, %c23) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %v25 = onnx.Unsqueeze(%v24, %c7) : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %v26 = onnx.Mul(%v12, %s1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v27 = onnx.Where(%v25, %v26, %v22) : (tensor<?x1xi1>, tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %c28 = onnx.Constant dense<2> : tensor<i64>
  %v29 = onnx.Equal(%v14, %c28) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %v30 = onnx.Unsqueeze(%v29, %c7) : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %v31 = onnx.Mul(%v12, %s2) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v32 = onnx.Where(%v30, %v31, %v27) : (tensor<?x1xi1>, tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v33 = onnx.Equal(%v14, %c18) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %v34 = onnx.Unsqueeze(%v33, %c7) : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %v35 = onnx.Relu(%v21) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v36 = onnx.Where(%v34, %v35, %v17) : (tensor<?x1xi1>, tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v37 = onnx.Equal(%v14, %c23) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %v38 = onnx.Unsqueeze(%v37, %c7) : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %v39 = onnx.Relu(%v26) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v40 = onnx.Where(%v38, %v39, %v36) : (tensor<?x1xi1>, tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v41 = onnx.Equal(%v14, %c28) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %v42 = onnx.Unsqueeze(%v41, %c7) : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %v43 = onnx.Relu(%v31) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v44 = onnx.Where(%v42, %v43, %v40) : (tensor<?x1xi1>, tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v45 = onnx.Mul(%v32, %v44) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %c46 = onnx.Constant dense<[-1, 2, 8]> : tensor<3xi64>
  %v47 = onnx.Reshape(%v45, %c46) : (tensor<?x8xf32>, tensor<3xi64>) -> tensor<?x2x8xf32>
  %v48 = onnx.Unsqueeze(%w, %c13) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %v49 = onnx.Mul(%v47, %v48) : (tensor<?x2x8xf32>, tensor<?x2x1xf32>) -> tensor<?x2x8xf32>
  %v50 = onnx.ReduceSum(%v49, %c7) {keepdims = 0 : i64} : (tensor<?x2x8xf32>, tensor<1xi64>) -> tensor<?x8xf32>
  return %v50 : tensor<?x8xf32>
}

// -----

// Both slots add the bias of the first slot's expert.
// CHECK-LABEL: @first_slot_in_all
// CHECK-NOT: moe.experts
// CHECK: return
func.func @first_slot_in_all(%x: tensor<?x8xf32> {moe.dims = ["tokens", 8]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}) -> tensor<?x8xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %p = onnx.Constant dense<0.5> : tensor<3x8xf32>
  %q = onnx.Constant dense<0.7> : tensor<3x8xf32>
  %c3 = onnx.Constant dense<0> : tensor<i64>
  %v4 = onnx.Gather(%i, %c3) {axis = 1 : i64} : (tensor<?x2xi64>, tensor<i64>) -> tensor<?xi64>
  %v5 = onnx.Gather(%q, %v4) {axis = 0 : i64} : (tensor<3x8xf32>, tensor<?xi64>) -> tensor<?x8xf32>
  %v6 = onnx.Gather(%i, %c3) {axis = 1 : i64} : (tensor<?x2xi64>, tensor<i64>) -> tensor<?xi64>
  %v7 = onnx.Gather(%w, %c3) {axis = 1 : i64} : (tensor<?x2xf32>, tensor<i64>) -> tensor<?xf32>
  %c8 = onnx.Constant dense<1> : tensor<1xi64>
  %v9 = onnx.Unsqueeze(%v7, %c8) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %v10 = onnx.Gather(%p, %v6) {axis = 0 : i64} : (tensor<3x8xf32>, tensor<?xi64>) -> tensor<?x8xf32>
  %v11 = onnx.Mul(%x, %v10) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v12 = onnx.Add(%v11, %v5) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v13 = onnx.Mul(%v12, %v9) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %c14 = onnx.Constant dense<1> : tensor<i64>
  %v15 = onnx.Gather(%i, %c14) {axis = 1 : i64} : (tensor<?x2xi64>, tensor<i64>) -> tensor<?xi64>
  %v16 = onnx.Gather(%w, %c14) {axis = 1 : i64} : (tensor<?x2xf32>, tensor<i64>) -> tensor<?xf32>
  %v17 = onnx.Unsqueeze(%v16, %c8) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %v18 = onnx.Gather(%p, %v15) {axis = 0 : i64} : (tensor<3x8xf32>, tensor<?xi64>) -> tensor<?x8xf32>
  %v19 = onnx.Mul(%x, %v18) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v20 = onnx.Add(%v19, %v5) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v21 = onnx.Mul(%v20, %v17) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v22 = onnx.Add(%v13, %v21) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %v22 : tensor<?x8xf32>
}

// -----

// Both slots run the first slot's expert.
// CHECK-LABEL: @first_slot_for_all
// CHECK-NOT: moe.experts
// CHECK: return
func.func @first_slot_for_all(%x: tensor<?x8xf32> {moe.dims = ["tokens", 8]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}) -> tensor<?x8xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %p = onnx.Constant dense<0.5> : tensor<3x8xf32>
  %c2 = onnx.Constant dense<0> : tensor<i64>
  %v3 = onnx.Gather(%i, %c2) {axis = 1 : i64} : (tensor<?x2xi64>, tensor<i64>) -> tensor<?xi64>
  %v4 = onnx.Gather(%p, %v3) {axis = 0 : i64} : (tensor<3x8xf32>, tensor<?xi64>) -> tensor<?x8xf32>
  %v5 = onnx.Mul(%x, %v4) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v6 = onnx.Gather(%i, %c2) {axis = 1 : i64} : (tensor<?x2xi64>, tensor<i64>) -> tensor<?xi64>
  %v7 = onnx.Gather(%w, %c2) {axis = 1 : i64} : (tensor<?x2xf32>, tensor<i64>) -> tensor<?xf32>
  %c8 = onnx.Constant dense<1> : tensor<1xi64>
  %v9 = onnx.Unsqueeze(%v7, %c8) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %v10 = onnx.Mul(%v5, %v9) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %c11 = onnx.Constant dense<1> : tensor<i64>
  %v12 = onnx.Gather(%i, %c11) {axis = 1 : i64} : (tensor<?x2xi64>, tensor<i64>) -> tensor<?xi64>
  %v13 = onnx.Gather(%w, %c11) {axis = 1 : i64} : (tensor<?x2xf32>, tensor<i64>) -> tensor<?xf32>
  %v14 = onnx.Unsqueeze(%v13, %c8) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %v15 = onnx.Mul(%v5, %v14) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v16 = onnx.Add(%v10, %v15) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %v16 : tensor<?x8xf32>
}

// -----

// The sum has its features before its tokens.
// CHECK-LABEL: @features_before_tokens
// CHECK-NOT: moe.experts
// CHECK: return
func.func @features_before_tokens(%x: tensor<?x8xf32> {moe.dims = ["tokens", 8]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}) -> tensor<8x?xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %s0 = onnx.Constant dense<0.1> : tensor<8xf32>
  %s1 = onnx.Constant dense<0.2> : tensor<8xf32>
  %s2 = onnx.Constant dense<0.3> : tensor<8xf32>
  %a0 = onnx.Constant dense<0.4> : tensor<8x8xf32>
  %a1 = onnx.Constant dense<0.5> : tensor<8x8xf32>
  %a2 = onnx.Constant dense<0.6> : tensor<8x8xf32>
  %v7 = onnx.Mul(%x, %s0) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v8 = onnx.Relu(%v7) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v9 = onnx.MatMul(%v8, %a0) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %c10 = onnx.Constant dense<0> : tensor<1xi64>
  %v11 = onnx.Unsqueeze(%v9, %c10) : (tensor<?x8xf32>, tensor<1xi64>) -> tensor<1x?x8xf32>
  %v12 = onnx.Mul(%x, %s1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v13 = onnx.Relu(%v12) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v14 = onnx.MatMul(%v13, %a1) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v15 = onnx.Unsqueeze(%v14, %c10) : (tensor<?x8xf32>, tensor<1xi64>) -> tensor<1x?x8xf32>
  %v16 = onnx.Mul(%x, %s2) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v17 = onnx.Relu(%v16) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v18 = onnx.MatMul(%v17, %a2) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v19 = onnx.Unsqueeze(%v18, %c10) : (tensor<?x8xf32>, tensor<1xi64>) -> tensor<1x?x8xf32>
  %v20 = onnx.Concat(%v11, %v15, %v19) {axis = 0 : i64} : (tensor<1x?x8xf32>, tensor<1x?x8xf32>, tensor<1x?x8xf32>) -> tensor<3x?x8xf32>
  %v21 = onnx.Shape(%l) : (tensor<?x3xf32>) -> tensor<2xi64>
  %c22 = onnx.Constant dense<0.0> : tensor<f32>
  %v23 = onnx.Expand(%c22, %v21) : (tensor<f32>, tensor<2xi64>) -> tensor<?x3xf32>
  %v24 = onnx.ScatterElements(%v23, %i, %w) {axis = 1 : i64} : (tensor<?x3xf32>, tensor<?x2xi64>, tensor<?x2xf32>) -> tensor<?x3xf32>
  %v25 = onnx.Einsum(%v20, %v24) {equation = "etd,te->dt"} : (tensor<3x?x8xf32>, tensor<?x3xf32>) -> tensor<8x?xf32>
  return %v25 : tensor<8x?xf32>
}

// -----

// The rows of all experts are weighted as those of the second.
// CHECK-LABEL: @weights_of_one_expert
// CHECK-NOT: moe.experts
// CHECK: return
func.func @weights_of_one_expert(%x: tensor<?x8xf32> {moe.dims = ["tokens", 8]}, %l: tensor<?x2xf32> {moe.dims = ["tokens", 2]}) -> tensor<?x8xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x2xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %s0 = onnx.Constant dense<0.1> : tensor<8xf32>
  %s1 = onnx.Constant dense<0.2> : tensor<8xf32>
  %a0 = onnx.Constant dense<0.4> : tensor<8x8xf32>
  %a1 = onnx.Constant dense<0.5> : tensor<8x8xf32>
  %c5 = onnx.Constant dense<0.0> : tensor<f32>
  %v6 = onnx.Shape(%x) : (tensor<?x8xf32>) -> tensor<2xi64>
  %v7 = onnx.Expand(%c5, %v6) : (tensor<f32>, tensor<2xi64>) -> tensor<?x8xf32>
  %c8 = onnx.Constant dense<0> : tensor<i64>
  %v9 = onnx.Equal(%i, %c8) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %v10 = onnx.NonZero(%v9) : (tensor<?x2xi1>) -> tensor<2x?xi64>
  %c11 = onnx.Constant dense<1> : tensor<i64>
  %v12 = onnx.Equal(%i, %c11) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %v13 = onnx.NonZero(%v12) : (tensor<?x2xi1>) -> tensor<2x?xi64>
  %c14 = onnx.Constant dense<0> : tensor<1xi64>
  %c15 = onnx.Constant dense<1> : tensor<1xi64>
  %v16 = onnx.Slice(%v10, %c14, %c15, %c14) : (tensor<2x?xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x?xi64>
  %v17 = onnx.Squeeze(%v16, %c14) : (tensor<1x?xi64>, tensor<1xi64>) -> tensor<?xi64>
  %v18 = onnx.Gather(%x, %v17) {axis = 0 : i64} : (tensor<?x8xf32>, tensor<?xi64>) -> tensor<?x8xf32>
  %v19 = onnx.Transpose(%v13) {perm = array<i64: 1, 0>} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %v20 = onnx.GatherND(%w, %v19) : (tensor<?x2xf32>, tensor<?x2xi64>) -> tensor<?xf32>
  %v21 = onnx.Unsqueeze(%v20, %c15) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %v22 = onnx.Mul(%v18, %s0) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v23 = onnx.Relu(%v22) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v24 = onnx.MatMul(%v23, %a0) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v25 = onnx.Unsqueeze(%v17, %c15) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %v26 = onnx.Mul(%v24, %v21) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v27 = onnx.ScatterND(%v7, %v25, %v26) {reduction = "add"} : (tensor<?x8xf32>, tensor<?x1xi64>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v28 = onnx.Slice(%v13, %c14, %c15, %c14) : (tensor<2x?xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x?xi64>
  %v29 = onnx.Squeeze(%v28, %c14) : (tensor<1x?xi64>, tensor<1xi64>) -> tensor<?xi64>
  %v30 = onnx.Gather(%x, %v29) {axis = 0 : i64} : (tensor<?x8xf32>, tensor<?xi64>) -> tensor<?x8xf32>
  %v31 = onnx.Transpose(%v13) {perm = array<i64: 1, 0>} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %v32 = onnx.GatherND(%w, %v31) : (tensor<?x2xf32>, tensor<?x2xi64>) -> tensor<?xf32>
  %v33 = onnx.Unsqueeze(%v32, %c15) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %v34 = onnx.Mul(%v30, %s1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v35 = onnx.Relu(%v34) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v36 = onnx.MatMul(%v35, %a1) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v37 = onnx.Unsqueeze(%v29, %c15) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %v38 = onnx.Mul(%v36, %v33) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v39 = onnx.ScatterND(%v27, %v37, %v38) {reduction = "add"} : (tensor<?x8xf32>, tensor<?x1xi64>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %v39 : tensor<?x8xf32>
}

// -----

// Experts of one feature, which is added to all that are read.
// CHECK-LABEL: @one_number_a_row
// CHECK-NOT: moe.experts
// CHECK: return
func.func @one_number_a_row(%x: tensor<?x8xf32> {moe.dims = ["tokens", 8]}, %l: tensor<?x2xf32> {moe.dims = ["tokens", 2]}) -> tensor<?x8xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x2xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %q0 = onnx.Constant dense<0.1> : tensor<8x1xf32>
  %q1 = onnx.Constant dense<0.2> : tensor<8x1xf32>
  %c3 = onnx.Constant dense<0.0> : tensor<f32>
  %v4 = onnx.Shape(%x) : (tensor<?x8xf32>) -> tensor<2xi64>
  %v5 = onnx.Expand(%c3, %v4) : (tensor<f32>, tensor<2xi64>) -> tensor<?x8xf32>
  %c6 = onnx.Constant dense<0> : tensor<i64>
  %v7 = onnx.Equal(%i, %c6) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %v8 = onnx.NonZero(%v7) : (tensor<?x2xi1>) -> tensor<2x?xi64>
  %c9 = onnx.Constant dense<1> : tensor<i64>
  %v10 = onnx.Equal(%i, %c9) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %v11 = onnx.NonZero(%v10) : (tensor<?x2xi1>) -> tensor<2x?xi64>
  %c12 = onnx.Constant dense<0> : tensor<1xi64>
  %c13 = onnx.Constant dense<1> : tensor<1xi64>
  %v14 = onnx.Slice(%v8, %c12, %c13, %c12) : (tensor<2x?xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x?xi64>
  %v15 = onnx.Squeeze(%v14, %c12) : (tensor<1x?xi64>, tensor<1xi64>) -> tensor<?xi64>
  %v16 = onnx.Gather(%x, %v15) {axis = 0 : i64} : (tensor<?x8xf32>, tensor<?xi64>) -> tensor<?x8xf32>
  %v17 = onnx.Transpose(%v8) {perm = array<i64: 1, 0>} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %v18 = onnx.GatherND(%w, %v17) : (tensor<?x2xf32>, tensor<?x2xi64>) -> tensor<?xf32>
  %v19 = onnx.Unsqueeze(%v18, %c13) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %v20 = onnx.MatMul(%v16, %q0) : (tensor<?x8xf32>, tensor<8x1xf32>) -> tensor<?x1xf32>
  %v21 = onnx.Unsqueeze(%v15, %c13) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %v22 = onnx.Gather(%v5, %v15) {axis = 0 : i64} : (tensor<?x8xf32>, tensor<?xi64>) -> tensor<?x8xf32>
  %v23 = onnx.Mul(%v20, %v19) : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %v24 = onnx.Add(%v22, %v23) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v25 = onnx.ScatterND(%v5, %v21, %v24) : (tensor<?x8xf32>, tensor<?x1xi64>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v26 = onnx.Slice(%v11, %c12, %c13, %c12) : (tensor<2x?xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x?xi64>
  %v27 = onnx.Squeeze(%v26, %c12) : (tensor<1x?xi64>, tensor<1xi64>) -> tensor<?xi64>
  %v28 = onnx.Gather(%x, %v27) {axis = 0 : i64} : (tensor<?x8xf32>, tensor<?xi64>) -> tensor<?x8xf32>
  %v29 = onnx.Transpose(%v11) {perm = array<i64: 1, 0>} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %v30 = onnx.GatherND(%w, %v29) : (tensor<?x2xf32>, tensor<?x2xi64>) -> tensor<?xf32>
  %v31 = onnx.Unsqueeze(%v30, %c13) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %v32 = onnx.MatMul(%v28, %q1) : (tensor<?x8xf32>, tensor<8x1xf32>) -> tensor<?x1xf32>
  %v33 = onnx.Unsqueeze(%v27, %c13) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %v34 = onnx.Gather(%v25, %v27) {axis = 0 : i64} : (tensor<?x8xf32>, tensor<?xi64>) -> tensor<?x8xf32>
  %v35 = onnx.Mul(%v32, %v31) : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %v36 = onnx.Add(%v34, %v35) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v37 = onnx.ScatterND(%v25, %v33, %v36) : (tensor<?x8xf32>, tensor<?x1xi64>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %v37 : tensor<?x8xf32>
}

// -----

// Weights that are compared with the zeros they are written over are others, where they are negative.
// CHECK-LABEL: @matrix_by_max
// CHECK-NOT: moe.experts
// CHECK: return
func.func @matrix_by_max(%x: tensor<?x8xf32> {moe.dims = ["tokens", 8]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}) -> tensor<?x8xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %s0 = onnx.Constant dense<0.1> : tensor<8xf32>
  %s1 = onnx.Constant dense<0.2> : tensor<8xf32>
  %s2 = onnx.Constant dense<0.3> : tensor<8xf32>
  %a0 = onnx.Constant dense<0.4> : tensor<8x8xf32>
  %a1 = onnx.Constant dense<0.5> : tensor<8x8xf32>
  %a2 = onnx.Constant dense<0.6> : tensor<8x8xf32>
  %v7 = onnx.Shape(%l) : (tensor<?x3xf32>) -> tensor<2xi64>
  %c8 = onnx.Constant dense<0.0> : tensor<f32>
  %v9 = onnx.Expand(%c8, %v7) : (tensor<f32>, tensor<2xi64>) -> tensor<?x3xf32>
  %v10 = onnx.ScatterElements(%v9, %i, %w) {axis = 1 : i64, reduction = "max"} : (tensor<?x3xf32>, tensor<?x2xi64>, tensor<?x2xf32>) -> tensor<?x3xf32>
  %v11 = onnx.Mul(%x, %s0) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v12 = onnx.Relu(%v11) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v13 = onnx.MatMul(%v12, %a0) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %c14 = onnx.Constant dense<0> : tensor<1xi64>
  %c15 = onnx.Constant dense<1> : tensor<1xi64>
  %v16 = onnx.Slice(%v10, %c14, %c15, %c15) : (tensor<?x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
  %v17 = onnx.Mul(%v13, %v16) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v18 = onnx.Mul(%x, %s1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v19 = onnx.Relu(%v18) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v20 = onnx.MatMul(%v19, %a1) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %c21 = onnx.Constant dense<2> : tensor<1xi64>
  %v22 = onnx.Slice(%v10, %c15, %c21, %c15) : (tensor<?x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
  %v23 = onnx.Mul(%v20, %v22) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v24 = onnx.Add(%v17, %v23) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v25 = onnx.Mul(%x, %s2) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v26 = onnx.Relu(%v25) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v27 = onnx.MatMul(%v26, %a2) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %c28 = onnx.Constant dense<3> : tensor<1xi64>
  %v29 = onnx.Slice(%v10, %c21, %c28, %c15) : (tensor<?x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
  %v30 = onnx.Mul(%v27, %v29) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v31 = onnx.Add(%v24, %v30) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %v31 : tensor<?x8xf32>
}

// -----

// Part 1 of this Split is the column of expert 0.
// CHECK-LABEL: @uneven_split
// CHECK-NOT: moe.experts
// CHECK: return
func.func @uneven_split(%x: tensor<?x8xf32> {moe.dims = ["tokens", 8]}, %l: tensor<?x4xf32> {moe.dims = ["tokens", 4]}) -> tensor<?x8xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x4xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %s0 = onnx.Constant dense<0.1> : tensor<8xf32>
  %s1 = onnx.Constant dense<0.2> : tensor<8xf32>
  %s2 = onnx.Constant dense<0.3> : tensor<8xf32>
  %s3 = onnx.Constant dense<0.4> : tensor<8xf32>
  %a0 = onnx.Constant dense<0.4> : tensor<8x8xf32>
  %a1 = onnx.Constant dense<0.5> : tensor<8x8xf32>
  %a2 = onnx.Constant dense<0.6> : tensor<8x8xf32>
  %a3 = onnx.Constant dense<0.7> : tensor<8x8xf32>
  %v9 = onnx.Shape(%l) : (tensor<?x4xf32>) -> tensor<2xi64>
  %c10 = onnx.Constant dense<0.0> : tensor<f32>
  %v11 = onnx.Expand(%c10, %v9) : (tensor<f32>, tensor<2xi64>) -> tensor<?x4xf32>
  %v12 = onnx.ScatterElements(%v11, %i, %w) {axis = 1 : i64} : (tensor<?x4xf32>, tensor<?x2xi64>, tensor<?x2xf32>) -> tensor<?x4xf32>
  %c13 = onnx.Constant dense<[0, 1, 2, 1]> : tensor<4xi64>
  %v14_0, %v14_1, %v14_2, %v14_3 = onnx.Split(%v12, %c13) {axis = 1 : i64} : (tensor<?x4xf32>, tensor<4xi64>) -> (tensor<?x0xf32>, tensor<?x1xf32>, tensor<?x2xf32>, tensor<?x1xf32>)
  %c15 = onnx.Constant dense<0> : tensor<1xi64>
  %c16 = onnx.Constant dense<1> : tensor<1xi64>
  %v17 = onnx.Slice(%v12, %c15, %c16, %c16) : (tensor<?x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
  %v18 = onnx.Mul(%x, %s0) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v19 = onnx.Relu(%v18) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v20 = onnx.MatMul(%v19, %a0) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v21 = onnx.Mul(%v20, %v17) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v22 = onnx.Mul(%x, %s1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v23 = onnx.Relu(%v22) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v24 = onnx.MatMul(%v23, %a1) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v25 = onnx.Mul(%v24, %v14_1) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v26 = onnx.Add(%v21, %v25) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %c27 = onnx.Constant dense<2> : tensor<1xi64>
  %c28 = onnx.Constant dense<3> : tensor<1xi64>
  %v29 = onnx.Slice(%v12, %c27, %c28, %c16) : (tensor<?x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
  %v30 = onnx.Mul(%x, %s2) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v31 = onnx.Relu(%v30) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v32 = onnx.MatMul(%v31, %a2) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v33 = onnx.Mul(%v32, %v29) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v34 = onnx.Add(%v26, %v33) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v35 = onnx.Mul(%x, %s3) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v36 = onnx.Relu(%v35) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v37 = onnx.MatMul(%v36, %a3) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v38 = onnx.Mul(%v37, %v14_3) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v39 = onnx.Add(%v34, %v38) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %v39 : tensor<?x8xf32>
}

// -----

// Each slot adds the rows of all tokens that pick the expert in any slot.
// CHECK-LABEL: @rows_of_any_slot
// CHECK-NOT: moe.experts
// CHECK: return
func.func @rows_of_any_slot(%x: tensor<?x8xf32> {moe.dims = ["tokens", 8]}, %l: tensor<?x2xf32> {moe.dims = ["tokens", 2]}) -> tensor<?x8xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x2xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %s0 = onnx.Constant dense<0.1> : tensor<8xf32>
  %s1 = onnx.Constant dense<0.2> : tensor<8xf32>
  %a0 = onnx.Constant dense<0.4> : tensor<8x8xf32>
  %a1 = onnx.Constant dense<0.5> : tensor<8x8xf32>
  %c5 = onnx.Constant dense<0.0> : tensor<f32>
  %v6 = onnx.Shape(%x) : (tensor<?x8xf32>) -> tensor<2xi64>
  %v7 = onnx.Expand(%c5, %v6) : (tensor<f32>, tensor<2xi64>) -> tensor<?x8xf32>
  %c8 = onnx.Constant dense<0> : tensor<1xi64>
  %c9 = onnx.Constant dense<1> : tensor<1xi64>
  %v10 = onnx.Slice(%w, %c8, %c9, %c9) : (tensor<?x2xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
  %c11 = onnx.Constant dense<0> : tensor<i64>
  %v12 = onnx.Equal(%i, %c11) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %v13 = onnx.Cast(%v12) {to = f32} : (tensor<?x2xi1>) -> tensor<?x2xf32>
  %v14 = onnx.ReduceMax(%v13, %c9) {keepdims = 0 : i64} : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?xf32>
  %v15 = onnx.Cast(%v14) {to = i1} : (tensor<?xf32>) -> tensor<?xi1>
  %v16 = onnx.NonZero(%v15) : (tensor<?xi1>) -> tensor<1x?xi64>
  %v17 = onnx.Transpose(%v16) {perm = array<i64: 1, 0>} : (tensor<1x?xi64>) -> tensor<?x1xi64>
  %v18 = onnx.GatherND(%x, %v17) : (tensor<?x8xf32>, tensor<?x1xi64>) -> tensor<?x8xf32>
  %v19 = onnx.Mul(%v18, %s0) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v20 = onnx.Relu(%v19) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v21 = onnx.MatMul(%v20, %a0) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v22 = onnx.GatherND(%v10, %v17) : (tensor<?x1xf32>, tensor<?x1xi64>) -> tensor<?x1xf32>
  %v23 = onnx.Mul(%v21, %v22) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v24 = onnx.ScatterND(%v7, %v17, %v23) {reduction = "add"} : (tensor<?x8xf32>, tensor<?x1xi64>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %c25 = onnx.Constant dense<1> : tensor<i64>
  %v26 = onnx.Equal(%i, %c25) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %v27 = onnx.Cast(%v26) {to = f32} : (tensor<?x2xi1>) -> tensor<?x2xf32>
  %v28 = onnx.ReduceMax(%v27, %c9) {keepdims = 0 : i64} : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?xf32>
  %v29 = onnx.Cast(%v28) {to = i1} : (tensor<?xf32>) -> tensor<?xi1>
  %v30 = onnx.NonZero(%v29) : (tensor<?xi1>) -> tensor<1x?xi64>
  %v31 = onnx.Transpose(%v30) {perm = array<i64: 1, 0>} : (tensor<1x?xi64>) -> tensor<?x1xi64>
  %v32 = onnx.GatherND(%x, %v31) : (tensor<?x8xf32>, tensor<?x1xi64>) -> tensor<?x8xf32>
  %v33 = onnx.Mul(%v32, %s1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v34 = onnx.Relu(%v33) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v35 = onnx.MatMul(%v34, %a1) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v36 = onnx.GatherND(%v10, %v31) : (tensor<?x1xf32>, tensor<?x1xi64>) -> tensor<?x1xf32>
  %v37 = onnx.Mul(%v35, %v36) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v38 = onnx.ScatterND(%v24, %v31, %v37) {reduction = "add"} : (tensor<?x8xf32>, tensor<?x1xi64>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %c39 = onnx.Constant dense<2> : tensor<1xi64>
  %v40 = onnx.Slice(%w, %c9, %c39, %c9) : (tensor<?x2xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
  %v41 = onnx.Equal(%i, %c11) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %v42 = onnx.Cast(%v41) {to = f32} : (tensor<?x2xi1>) -> tensor<?x2xf32>
  %v43 = onnx.ReduceMax(%v42, %c9) {keepdims = 0 : i64} : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?xf32>
  %v44 = onnx.Cast(%v43) {to = i1} : (tensor<?xf32>) -> tensor<?xi1>
  %v45 = onnx.NonZero(%v44) : (tensor<?xi1>) -> tensor<1x?xi64>
  %v46 = onnx.Transpose(%v45) {perm = array<i64: 1, 0>} : (tensor<1x?xi64>) -> tensor<?x1xi64>
  %v47 = onnx.GatherND(%x, %v46) : (tensor<?x8xf32>, tensor<?x1xi64>) -> tensor<?x8xf32>
  %v48 = onnx.Mul(%v47, %s0) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v49 = onnx.Relu(%v48) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v50 = onnx.MatMul(%v49, %a0) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v51 = onnx.GatherND(%v40, %v46) : (tensor<?x1xf32>, tensor<?x1xi64>) -> tensor<?x1xf32>
  %v52 = onnx.Mul(%v50, %v51) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v53 = onnx.ScatterND(%v38, %v46, %v52) {reduction = "add"} : (tensor<?x8xf32>, tensor<?x1xi64>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v54 = onnx.Equal(%i, %c25) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %v55 = onnx.Cast(%v54) {to = f32} : (tensor<?x2xi1>) -> tensor<?x2xf32>
  %v56 = onnx.ReduceMax(%v55, %c9) {keepdims = 0 : i64} : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?xf32>
  %v57 = onnx.Cast(%v56) {to = i1} : (tensor<?xf32>) -> tensor<?xi1>
  %v58 = onnx.NonZero(%v57) : (tensor<?xi1>) -> tensor<1x?xi64>
  %v59 = onnx.Transpose(%v58) {perm = array<i64: 1, 0>} : (tensor<1x?xi64>) -> tensor<?x1xi64>
  %v60 = onnx.GatherND(%x, %v59) : (tensor<?x8xf32>, tensor<?x1xi64>) -> tensor<?x8xf32>
  %v61 = onnx.Mul(%v60, %s1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v62 = onnx.Relu(%v61) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v63 = onnx.MatMul(%v62, %a1) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v64 = onnx.GatherND(%v40, %v59) : (tensor<?x1xf32>, tensor<?x1xi64>) -> tensor<?x1xf32>
  %v65 = onnx.Mul(%v63, %v64) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v66 = onnx.ScatterND(%v53, %v59, %v65) {reduction = "add"} : (tensor<?x8xf32>, tensor<?x1xi64>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %v66 : tensor<?x8xf32>
}

// -----

// The input is weighted: experts that a token did not choose make something of 0 as well.
// CHECK-LABEL: @bias_behind_weighted_input
// CHECK-NOT: moe.experts
// CHECK: return
func.func @bias_behind_weighted_input(%x: tensor<?x8xf32> {moe.dims = ["tokens", 8]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}) -> tensor<?x8xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %s0 = onnx.Constant dense<0.1> : tensor<8xf32>
  %s1 = onnx.Constant dense<0.2> : tensor<8xf32>
  %s2 = onnx.Constant dense<0.3> : tensor<8xf32>
  %a0 = onnx.Constant dense<0.4> : tensor<8x8xf32>
  %a1 = onnx.Constant dense<0.5> : tensor<8x8xf32>
  %a2 = onnx.Constant dense<0.6> : tensor<8x8xf32>
  %v7 = onnx.Shape(%l) : (tensor<?x3xf32>) -> tensor<2xi64>
  %c8 = onnx.Constant dense<0.0> : tensor<f32>
  %v9 = onnx.Expand(%c8, %v7) : (tensor<f32>, tensor<2xi64>) -> tensor<?x3xf32>
  %v10 = onnx.ScatterElements(%v9, %i, %w) {axis = 1 : i64} : (tensor<?x3xf32>, tensor<?x2xi64>, tensor<?x2xf32>) -> tensor<?x3xf32>
  %c11 = onnx.Constant dense<0> : tensor<1xi64>
  %c12 = onnx.Constant dense<1> : tensor<1xi64>
  %v13 = onnx.Slice(%v10, %c11, %c12, %c12) : (tensor<?x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
  %v14 = onnx.Mul(%x, %v13) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v15 = onnx.MatMul(%v14, %a0) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v16 = onnx.Add(%v15, %s0) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v17 = onnx.Relu(%v16) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %c18 = onnx.Constant dense<2> : tensor<1xi64>
  %v19 = onnx.Slice(%v10, %c12, %c18, %c12) : (tensor<?x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
  %v20 = onnx.Mul(%x, %v19) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v21 = onnx.MatMul(%v20, %a1) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v22 = onnx.Add(%v21, %s1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v23 = onnx.Relu(%v22) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v24 = onnx.Add(%v17, %v23) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %c25 = onnx.Constant dense<3> : tensor<1xi64>
  %v26 = onnx.Slice(%v10, %c18, %c25, %c12) : (tensor<?x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
  %v27 = onnx.Mul(%x, %v26) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v28 = onnx.MatMul(%v27, %a2) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v29 = onnx.Add(%v28, %s2) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v30 = onnx.Relu(%v29) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v31 = onnx.Add(%v24, %v30) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %v31 : tensor<?x8xf32>
}

// -----

// As many tokens as slots: the weights are those of other tokens and slots.
// CHECK-LABEL: @tokens_as_many_as_slots
// CHECK-NOT: moe.experts
// CHECK: return
func.func @tokens_as_many_as_slots(%x: tensor<2x8xf32>, %l: tensor<2x3xf32>) -> tensor<2x8xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<2x3xf32>) -> (tensor<2x2xf32>, tensor<2x2xi64>)
  %s0 = onnx.Constant dense<0.1> : tensor<8xf32>
  %s1 = onnx.Constant dense<0.2> : tensor<8xf32>
  %s2 = onnx.Constant dense<0.3> : tensor<8xf32>
  %a0 = onnx.Constant dense<0.4> : tensor<8x8xf32>
  %a1 = onnx.Constant dense<0.5> : tensor<8x8xf32>
  %a2 = onnx.Constant dense<0.6> : tensor<8x8xf32>
  %v7 = onnx.Transpose(%w) {perm = array<i64: 1, 0>} : (tensor<2x2xf32>) -> tensor<2x2xf32>
  %c8 = onnx.Constant dense<0> : tensor<i64>
  %v9 = onnx.Equal(%i, %c8) : (tensor<2x2xi64>, tensor<i64>) -> tensor<2x2xi1>
  %v10 = onnx.Cast(%v9) {to = f32} : (tensor<2x2xi1>) -> tensor<2x2xf32>
  %v11 = onnx.Mul(%v7, %v10) : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  %c12 = onnx.Constant dense<1> : tensor<1xi64>
  %v13 = onnx.ReduceSum(%v11, %c12) {keepdims = 1 : i64} : (tensor<2x2xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  %v14 = onnx.Mul(%x, %s0) : (tensor<2x8xf32>, tensor<8xf32>) -> tensor<2x8xf32>
  %v15 = onnx.Relu(%v14) : (tensor<2x8xf32>) -> tensor<2x8xf32>
  %v16 = onnx.MatMul(%v15, %a0) : (tensor<2x8xf32>, tensor<8x8xf32>) -> tensor<2x8xf32>
  %v17 = onnx.Mul(%v16, %v13) : (tensor<2x8xf32>, tensor<2x1xf32>) -> tensor<2x8xf32>
  %c18 = onnx.Constant dense<1> : tensor<i64>
  %v19 = onnx.Equal(%i, %c18) : (tensor<2x2xi64>, tensor<i64>) -> tensor<2x2xi1>
  %v20 = onnx.Cast(%v19) {to = f32} : (tensor<2x2xi1>) -> tensor<2x2xf32>
  %v21 = onnx.Mul(%v7, %v20) : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  %v22 = onnx.ReduceSum(%v21, %c12) {keepdims = 1 : i64} : (tensor<2x2xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  %v23 = onnx.Mul(%x, %s1) : (tensor<2x8xf32>, tensor<8xf32>) -> tensor<2x8xf32>
  %v24 = onnx.Relu(%v23) : (tensor<2x8xf32>) -> tensor<2x8xf32>
  %v25 = onnx.MatMul(%v24, %a1) : (tensor<2x8xf32>, tensor<8x8xf32>) -> tensor<2x8xf32>
  %v26 = onnx.Mul(%v25, %v22) : (tensor<2x8xf32>, tensor<2x1xf32>) -> tensor<2x8xf32>
  %v27 = onnx.Add(%v17, %v26) : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
  %c28 = onnx.Constant dense<2> : tensor<i64>
  %v29 = onnx.Equal(%i, %c28) : (tensor<2x2xi64>, tensor<i64>) -> tensor<2x2xi1>
  %v30 = onnx.Cast(%v29) {to = f32} : (tensor<2x2xi1>) -> tensor<2x2xf32>
  %v31 = onnx.Mul(%v7, %v30) : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  %v32 = onnx.ReduceSum(%v31, %c12) {keepdims = 1 : i64} : (tensor<2x2xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  %v33 = onnx.Mul(%x, %s2) : (tensor<2x8xf32>, tensor<8xf32>) -> tensor<2x8xf32>
  %v34 = onnx.Relu(%v33) : (tensor<2x8xf32>) -> tensor<2x8xf32>
  %v35 = onnx.MatMul(%v34, %a2) : (tensor<2x8xf32>, tensor<8x8xf32>) -> tensor<2x8xf32>
  %v36 = onnx.Mul(%v35, %v32) : (tensor<2x8xf32>, tensor<2x1xf32>) -> tensor<2x8xf32>
  %v37 = onnx.Add(%v27, %v36) : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
  return %v37 : tensor<2x8xf32>
}

// -----

// The places run along the rows that are added, not from row to row.
// CHECK-LABEL: @elements_along_rows
// CHECK-NOT: moe.experts
// CHECK: return
func.func @elements_along_rows(%x: tensor<8x8xf32>, %l: tensor<8x2xf32>) -> tensor<8x8xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<8x2xf32>) -> (tensor<8x2xf32>, tensor<8x2xi64>)
  %s0 = onnx.Constant dense<0.1> : tensor<8xf32>
  %s1 = onnx.Constant dense<0.2> : tensor<8xf32>
  %a0 = onnx.Constant dense<0.4> : tensor<8x8xf32>
  %a1 = onnx.Constant dense<0.5> : tensor<8x8xf32>
  %c5 = onnx.Constant dense<0.0> : tensor<f32>
  %v6 = onnx.Shape(%x) : (tensor<8x8xf32>) -> tensor<2xi64>
  %v7 = onnx.Expand(%c5, %v6) : (tensor<f32>, tensor<2xi64>) -> tensor<8x8xf32>
  %c8 = onnx.Constant dense<0> : tensor<i64>
  %v9 = onnx.Equal(%i, %c8) : (tensor<8x2xi64>, tensor<i64>) -> tensor<8x2xi1>
  %v10 = onnx.NonZero(%v9) : (tensor<8x2xi1>) -> tensor<2x?xi64>
  %c11 = onnx.Constant dense<1> : tensor<i64>
  %v12 = onnx.Equal(%i, %c11) : (tensor<8x2xi64>, tensor<i64>) -> tensor<8x2xi1>
  %v13 = onnx.NonZero(%v12) : (tensor<8x2xi1>) -> tensor<2x?xi64>
  %c14 = onnx.Constant dense<0> : tensor<1xi64>
  %c15 = onnx.Constant dense<1> : tensor<1xi64>
  %v16 = onnx.Slice(%v10, %c14, %c15, %c14) : (tensor<2x?xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x?xi64>
  %v17 = onnx.Squeeze(%v16, %c14) : (tensor<1x?xi64>, tensor<1xi64>) -> tensor<?xi64>
  %v18 = onnx.Gather(%x, %v17) {axis = 0 : i64} : (tensor<8x8xf32>, tensor<?xi64>) -> tensor<?x8xf32>
  %v19 = onnx.Transpose(%v10) {perm = array<i64: 1, 0>} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %v20 = onnx.GatherND(%w, %v19) : (tensor<8x2xf32>, tensor<?x2xi64>) -> tensor<?xf32>
  %v21 = onnx.Unsqueeze(%v20, %c15) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %v22 = onnx.Mul(%v18, %s0) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v23 = onnx.Relu(%v22) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v24 = onnx.MatMul(%v23, %a0) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v25 = onnx.Unsqueeze(%v17, %c15) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %v26 = onnx.Unsqueeze(%v17, %c14) : (tensor<?xi64>, tensor<1xi64>) -> tensor<1x?xi64>
  %v27 = onnx.Shape(%v24) : (tensor<?x8xf32>) -> tensor<2xi64>
  %v28 = onnx.Expand(%v26, %v27) : (tensor<1x?xi64>, tensor<2xi64>) -> tensor<?x8xi64>
  %v29 = onnx.Mul(%v24, %v21) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v30 = onnx.ScatterElements(%v7, %v28, %v29) {axis = 0 : i64, reduction = "add"} : (tensor<8x8xf32>, tensor<?x8xi64>, tensor<?x8xf32>) -> tensor<8x8xf32>
  %v31 = onnx.Slice(%v13, %c14, %c15, %c14) : (tensor<2x?xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x?xi64>
  %v32 = onnx.Squeeze(%v31, %c14) : (tensor<1x?xi64>, tensor<1xi64>) -> tensor<?xi64>
  %v33 = onnx.Gather(%x, %v32) {axis = 0 : i64} : (tensor<8x8xf32>, tensor<?xi64>) -> tensor<?x8xf32>
  %v34 = onnx.Transpose(%v13) {perm = array<i64: 1, 0>} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %v35 = onnx.GatherND(%w, %v34) : (tensor<8x2xf32>, tensor<?x2xi64>) -> tensor<?xf32>
  %v36 = onnx.Unsqueeze(%v35, %c15) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %v37 = onnx.Mul(%v33, %s1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v38 = onnx.Relu(%v37) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v39 = onnx.MatMul(%v38, %a1) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v40 = onnx.Unsqueeze(%v32, %c15) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %v41 = onnx.Unsqueeze(%v32, %c14) : (tensor<?xi64>, tensor<1xi64>) -> tensor<1x?xi64>
  %v42 = onnx.Shape(%v39) : (tensor<?x8xf32>) -> tensor<2xi64>
  %v43 = onnx.Expand(%v41, %v42) : (tensor<1x?xi64>, tensor<2xi64>) -> tensor<?x8xi64>
  %v44 = onnx.Mul(%v39, %v36) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v45 = onnx.ScatterElements(%v30, %v43, %v44) {axis = 0 : i64, reduction = "add"} : (tensor<8x8xf32>, tensor<?x8xi64>, tensor<?x8xf32>) -> tensor<8x8xf32>
  return %v45 : tensor<8x8xf32>
}

// -----

// Rows are written back to what was read along another axis.
// CHECK-LABEL: @read_from_columns
// CHECK-NOT: moe.experts
// CHECK: return
func.func @read_from_columns(%x: tensor<8x8xf32>, %l: tensor<8x2xf32>) -> tensor<8x8xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<8x2xf32>) -> (tensor<8x2xf32>, tensor<8x2xi64>)
  %s0 = onnx.Constant dense<0.1> : tensor<8xf32>
  %s1 = onnx.Constant dense<0.2> : tensor<8xf32>
  %a0 = onnx.Constant dense<0.4> : tensor<8x8xf32>
  %a1 = onnx.Constant dense<0.5> : tensor<8x8xf32>
  %c5 = onnx.Constant dense<0.0> : tensor<f32>
  %v6 = onnx.Shape(%x) : (tensor<8x8xf32>) -> tensor<2xi64>
  %v7 = onnx.Expand(%c5, %v6) : (tensor<f32>, tensor<2xi64>) -> tensor<8x8xf32>
  %c8 = onnx.Constant dense<0> : tensor<i64>
  %v9 = onnx.Equal(%i, %c8) : (tensor<8x2xi64>, tensor<i64>) -> tensor<8x2xi1>
  %v10 = onnx.NonZero(%v9) : (tensor<8x2xi1>) -> tensor<2x?xi64>
  %c11 = onnx.Constant dense<1> : tensor<i64>
  %v12 = onnx.Equal(%i, %c11) : (tensor<8x2xi64>, tensor<i64>) -> tensor<8x2xi1>
  %v13 = onnx.NonZero(%v12) : (tensor<8x2xi1>) -> tensor<2x?xi64>
  %c14 = onnx.Constant dense<0> : tensor<1xi64>
  %c15 = onnx.Constant dense<1> : tensor<1xi64>
  %v16 = onnx.Slice(%v10, %c14, %c15, %c14) : (tensor<2x?xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x?xi64>
  %v17 = onnx.Squeeze(%v16, %c14) : (tensor<1x?xi64>, tensor<1xi64>) -> tensor<?xi64>
  %v18 = onnx.Gather(%x, %v17) {axis = 0 : i64} : (tensor<8x8xf32>, tensor<?xi64>) -> tensor<?x8xf32>
  %v19 = onnx.Transpose(%v10) {perm = array<i64: 1, 0>} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %v20 = onnx.GatherND(%w, %v19) : (tensor<8x2xf32>, tensor<?x2xi64>) -> tensor<?xf32>
  %v21 = onnx.Unsqueeze(%v20, %c15) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %v22 = onnx.Mul(%v18, %s0) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v23 = onnx.Relu(%v22) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v24 = onnx.MatMul(%v23, %a0) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v25 = onnx.Unsqueeze(%v17, %c15) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %v26 = onnx.Shape(%v24) : (tensor<?x8xf32>) -> tensor<2xi64>
  %v27 = onnx.Expand(%v25, %v26) : (tensor<?x1xi64>, tensor<2xi64>) -> tensor<?x8xi64>
  %v28 = onnx.GatherElements(%v7, %v27) {axis = 1 : i64} : (tensor<8x8xf32>, tensor<?x8xi64>) -> tensor<?x8xf32>
  %v29 = onnx.Mul(%v24, %v21) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v30 = onnx.Add(%v28, %v29) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v31 = onnx.ScatterElements(%v7, %v27, %v30) {axis = 0 : i64} : (tensor<8x8xf32>, tensor<?x8xi64>, tensor<?x8xf32>) -> tensor<8x8xf32>
  %v32 = onnx.Slice(%v13, %c14, %c15, %c14) : (tensor<2x?xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x?xi64>
  %v33 = onnx.Squeeze(%v32, %c14) : (tensor<1x?xi64>, tensor<1xi64>) -> tensor<?xi64>
  %v34 = onnx.Gather(%x, %v33) {axis = 0 : i64} : (tensor<8x8xf32>, tensor<?xi64>) -> tensor<?x8xf32>
  %v35 = onnx.Transpose(%v13) {perm = array<i64: 1, 0>} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %v36 = onnx.GatherND(%w, %v35) : (tensor<8x2xf32>, tensor<?x2xi64>) -> tensor<?xf32>
  %v37 = onnx.Unsqueeze(%v36, %c15) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %v38 = onnx.Mul(%v34, %s1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v39 = onnx.Relu(%v38) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v40 = onnx.MatMul(%v39, %a1) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v41 = onnx.Unsqueeze(%v33, %c15) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %v42 = onnx.Shape(%v40) : (tensor<?x8xf32>) -> tensor<2xi64>
  %v43 = onnx.Expand(%v41, %v42) : (tensor<?x1xi64>, tensor<2xi64>) -> tensor<?x8xi64>
  %v44 = onnx.GatherElements(%v31, %v43) {axis = 1 : i64} : (tensor<8x8xf32>, tensor<?x8xi64>) -> tensor<?x8xf32>
  %v45 = onnx.Mul(%v40, %v37) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v46 = onnx.Add(%v44, %v45) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v47 = onnx.ScatterElements(%v31, %v43, %v46) {axis = 0 : i64} : (tensor<8x8xf32>, tensor<?x8xi64>, tensor<?x8xf32>) -> tensor<8x8xf32>
  return %v47 : tensor<8x8xf32>
}

// -----

// Ids that only say whether they are 0.
// CHECK-LABEL: @ids_as_bool
// CHECK-NOT: moe.experts
// CHECK: return
func.func @ids_as_bool(%x: tensor<?x8xf32> {moe.dims = ["tokens", 8]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}) -> tensor<?x8xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %s0 = onnx.Constant dense<0.1> : tensor<8xf32>
  %s1 = onnx.Constant dense<0.2> : tensor<8xf32>
  %s2 = onnx.Constant dense<0.3> : tensor<8xf32>
  %a0 = onnx.Constant dense<0.4> : tensor<8x8xf32>
  %a1 = onnx.Constant dense<0.5> : tensor<8x8xf32>
  %a2 = onnx.Constant dense<0.6> : tensor<8x8xf32>
  %v7 = onnx.Cast(%i) {to = i1} : (tensor<?x2xi64>) -> tensor<?x2xi1>
  %v8 = onnx.Cast(%v7) {to = i64} : (tensor<?x2xi1>) -> tensor<?x2xi64>
  %c9 = onnx.Constant dense<0> : tensor<i64>
  %v10 = onnx.Equal(%v8, %c9) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %v11 = onnx.Cast(%v10) {to = f32} : (tensor<?x2xi1>) -> tensor<?x2xf32>
  %v12 = onnx.Mul(%w, %v11) : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %c13 = onnx.Constant dense<1> : tensor<1xi64>
  %v14 = onnx.ReduceSum(%v12, %c13) {keepdims = 1 : i64} : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %v15 = onnx.Mul(%x, %s0) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v16 = onnx.Relu(%v15) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v17 = onnx.MatMul(%v16, %a0) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v18 = onnx.Mul(%v17, %v14) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %c19 = onnx.Constant dense<1> : tensor<i64>
  %v20 = onnx.Equal(%v8, %c19) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %v21 = onnx.Cast(%v20) {to = f32} : (tensor<?x2xi1>) -> tensor<?x2xf32>
  %v22 = onnx.Mul(%w, %v21) : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %v23 = onnx.ReduceSum(%v22, %c13) {keepdims = 1 : i64} : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %v24 = onnx.Mul(%x, %s1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v25 = onnx.Relu(%v24) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v26 = onnx.MatMul(%v25, %a1) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v27 = onnx.Mul(%v26, %v23) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v28 = onnx.Add(%v18, %v27) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %c29 = onnx.Constant dense<2> : tensor<i64>
  %v30 = onnx.Equal(%v8, %c29) : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %v31 = onnx.Cast(%v30) {to = f32} : (tensor<?x2xi1>) -> tensor<?x2xf32>
  %v32 = onnx.Mul(%w, %v31) : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %v33 = onnx.ReduceSum(%v32, %c13) {keepdims = 1 : i64} : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %v34 = onnx.Mul(%x, %s2) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v35 = onnx.Relu(%v34) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v36 = onnx.MatMul(%v35, %a2) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v37 = onnx.Mul(%v36, %v33) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v38 = onnx.Add(%v28, %v37) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %v38 : tensor<?x8xf32>
}

// -----

// Rows of all experts are scaled by the first one's numbers before they are cut into runs: that stays outside.
// CHECK-LABEL: @constant_before_runs
// CHECK: %[[M:.*]] = onnx.Mul(%{{.*}}, %{{.*}})
// CHECK: %[[R:.*]] = onnx.Relu(%[[M]])
// CHECK: moe.experts %[[R]]
// CHECK: return
func.func @constant_before_runs(%x: tensor<?x8xf32> {moe.dims = ["tokens", 8]}, %l: tensor<?x3xf32> {moe.dims = ["tokens", 3]}) -> tensor<?x8xf32> {
  %w, %i = moe.route %l {k = 2 : i64} : (tensor<?x3xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %s0 = onnx.Constant dense<0.1> : tensor<8xf32>
  %s1 = onnx.Constant dense<0.2> : tensor<8xf32>
  %s2 = onnx.Constant dense<0.3> : tensor<8xf32>
  %a0 = onnx.Constant dense<0.4> : tensor<8x8xf32>
  %a1 = onnx.Constant dense<0.5> : tensor<8x8xf32>
  %a2 = onnx.Constant dense<0.6> : tensor<8x8xf32>
  %c7 = onnx.Constant dense<-1> : tensor<1xi64>
  %v8 = onnx.Reshape(%i, %c7) : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?xi64>
  %v9 = onnx.Shape(%v8) : (tensor<?xi64>) -> tensor<1xi64>
  %v10_0, %v10_1 = onnx.TopK(%v8, %v9) {axis = 0 : i64, largest = 0 : i64} : (tensor<?xi64>, tensor<1xi64>) -> (tensor<?xi64>, tensor<?xi64>)
  %v11 = onnx.Shape(%l) : (tensor<?x3xf32>) -> tensor<2xi64>
  %c12 = onnx.Constant dense<0> : tensor<i64>
  %v13 = onnx.Expand(%c12, %v11) : (tensor<i64>, tensor<2xi64>) -> tensor<?x3xi64>
  %c14 = onnx.Constant dense<1> : tensor<i64>
  %v15 = onnx.Shape(%i) : (tensor<?x2xi64>) -> tensor<2xi64>
  %v16 = onnx.Expand(%c14, %v15) : (tensor<i64>, tensor<2xi64>) -> tensor<?x2xi64>
  %v17 = onnx.ScatterElements(%v13, %i, %v16) {axis = 1 : i64} : (tensor<?x3xi64>, tensor<?x2xi64>, tensor<?x2xi64>) -> tensor<?x3xi64>
  %c18 = onnx.Constant dense<0> : tensor<1xi64>
  %v19 = onnx.ReduceSum(%v17, %c18) {keepdims = 0 : i64} : (tensor<?x3xi64>, tensor<1xi64>) -> tensor<3xi64>
  %c20 = onnx.Constant dense<2> : tensor<i64>
  %v21 = onnx.Div(%v10_1, %c20) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi64>
  %v22 = onnx.Gather(%x, %v21) {axis = 0 : i64} : (tensor<?x8xf32>, tensor<?xi64>) -> tensor<?x8xf32>
  %v23 = onnx.Mul(%v22, %s0) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v24 = onnx.Relu(%v23) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v25_0, %v25_1, %v25_2 = onnx.Split(%v24, %v19) {axis = 0 : i64} : (tensor<?x8xf32>, tensor<3xi64>) -> (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>)
  %v26 = onnx.Mul(%v25_0, %s0) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v27 = onnx.MatMul(%v26, %a0) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v28 = onnx.Mul(%v25_1, %s1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v29 = onnx.MatMul(%v28, %a1) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v30 = onnx.Mul(%v25_2, %s2) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %v31 = onnx.MatMul(%v30, %a2) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v32 = onnx.Concat(%v27, %v29, %v31) {axis = 0 : i64} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %v33 = onnx.Reshape(%w, %c7) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?xf32>
  %v34 = onnx.Gather(%v33, %v10_1) {axis = 0 : i64} : (tensor<?xf32>, tensor<?xi64>) -> tensor<?xf32>
  %c35 = onnx.Constant dense<1> : tensor<1xi64>
  %v36 = onnx.Unsqueeze(%v34, %c35) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %c37 = onnx.Constant dense<0.0> : tensor<f32>
  %v38 = onnx.Shape(%x) : (tensor<?x8xf32>) -> tensor<2xi64>
  %v39 = onnx.Expand(%c37, %v38) : (tensor<f32>, tensor<2xi64>) -> tensor<?x8xf32>
  %v40 = onnx.Unsqueeze(%v21, %c35) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %v41 = onnx.Mul(%v32, %v36) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %v42 = onnx.ScatterND(%v39, %v40, %v41) {reduction = "add"} : (tensor<?x8xf32>, tensor<?x1xi64>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %v42 : tensor<?x8xf32>
}
