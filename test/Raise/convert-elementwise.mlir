// RUN: moe-opt %s -split-input-file -moe-convert-onnx -canonicalize | FileCheck %s

// Broadcasting is in the maps: extents with one name are equal, a static 1 reads index 0.
// CHECK-DAG: #[[ID:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-DAG: #[[ROW:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK-DAG: #[[COLUMN:.*]] = affine_map<(d0, d1) -> (d0, 0)>
// CHECK-LABEL: func @broadcast
// CHECK: linalg.generic {indexing_maps = [#[[ID]], #[[ROW]], #[[ID]]]
// CHECK: arith.addf
// CHECK: linalg.generic {indexing_maps = [#[[ID]], #[[COLUMN]], #[[ID]]]
// CHECK: arith.mulf
func.func @broadcast(%a: tensor<?x4xf32> {moe.dims = ["n", 4]}, %b: tensor<4xf32>, %c: tensor<?x1xf32> {moe.dims = ["n", 1]}) -> tensor<?x4xf32> {
  %0 = onnx.Add(%a, %b) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %1 = onnx.Mul(%0, %c) : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  return %1 : tensor<?x4xf32>
}

// -----

// Two extents that nothing proves equal: whichever is one at run time is read at 0.
// CHECK-LABEL: func @run_time_one
// CHECK: %[[ONE:.*]] = arith.cmpi eq, %{{.*}}, %c1
// CHECK: linalg.generic
// CHECK: arith.select %{{.*}}, %c0, %{{.*}} : index
// CHECK: tensor.extract
func.func @run_time_one(%a: tensor<?xf32>, %b: tensor<?xf32>) -> tensor<?xf32> {
  %0 = onnx.Add(%a, %b) : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}

// -----

// bf16 is computed in f32 and rounded once.
// CHECK-LABEL: func @narrow
// CHECK: arith.extf %{{.*}} : bf16 to f32
// CHECK: arith.divf %{{.*}} : f32
// CHECK: arith.truncf %{{.*}} : f32 to bf16
func.func @narrow(%a: tensor<4xbf16>) -> tensor<4xbf16> {
  %0 = onnx.Sigmoid(%a) : (tensor<4xbf16>) -> tensor<4xbf16>
  return %0 : tensor<4xbf16>
}

// -----

// Unsigned integers lose their sign in the type, not in the op; the function's arguments and results too.
// CHECK-LABEL: func @unsigned
// CHECK-SAME: (%{{.*}}: tensor<4xi8>, %{{.*}}: tensor<4xi8>) -> (tensor<4xi1>, tensor<4xi8>)
// CHECK: arith.cmpi ult
// CHECK: arith.divui
func.func @unsigned(%a: tensor<4xui8>, %b: tensor<4xui8>) -> (tensor<4xi1>, tensor<4xui8>) {
  %0 = onnx.Less(%a, %b) : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xi1>
  %1 = onnx.Div(%a, %b) : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
  return %0, %1 : tensor<4xi1>, tensor<4xui8>
}

// -----

// A divisor that may be zero is guarded; a constant one is not.
// CHECK-LABEL: func @divisors
// CHECK: arith.select
// CHECK: arith.divsi
// CHECK: linalg.generic
// CHECK-NOT: arith.select
// CHECK: arith.divsi
func.func @divisors(%a: tensor<4xi64>, %b: tensor<4xi64>) -> (tensor<4xi64>, tensor<4xi64>) {
  %0 = onnx.Div(%a, %b) : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
  %c = onnx.Constant dense<3> : tensor<i64>
  %1 = onnx.Div(%a, %c) : (tensor<4xi64>, tensor<i64>) -> tensor<4xi64>
  return %0, %1 : tensor<4xi64>, tensor<4xi64>
}

// -----

// CHECK-LABEL: func @pow
// CHECK: arith.mulf
// CHECK: math.powf
func.func @pow(%a: tensor<4xf32>, %b: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %two = onnx.Constant dense<2.0> : tensor<f32>
  %0 = onnx.Pow(%a, %two) : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %1 = onnx.Pow(%a, %b) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %0, %1 : tensor<4xf32>, tensor<4xf32>
}

// -----

// Scalars are loops of rank 0.
// CHECK-LABEL: func @scalar
// CHECK: linalg.generic {{.*}}iterator_types = []
func.func @scalar(%a: tensor<f32>, %low: tensor<f32>) -> tensor<f32> {
  %0 = onnx.Clip(%a, %low) : (tensor<f32>, tensor<f32>) -> tensor<f32>
  return %0 : tensor<f32>
}
