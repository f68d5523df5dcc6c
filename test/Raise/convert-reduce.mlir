// RUN: moe-opt %s -split-input-file -moe-convert-onnx -canonicalize -cse | FileCheck %s

// Softmax: maximum, exponentials, sum, quotient; what is reduced is read by a map, not through a view.
// CHECK-DAG: #[[ROW:.*]] = affine_map<(d0, d1) -> (d0)>
// CHECK-LABEL: func @softmax
// CHECK-NOT: expand_shape
// CHECK: arith.maximumf
// CHECK: linalg.generic {{.*}}#[[ROW]]
// CHECK: math.exp
// CHECK: arith.addf
// CHECK: arith.divf
func.func @softmax(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %0 = onnx.Softmax(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// -----

// f16 sums stay in f32 until the end; the mean divides by the number of elements.
// CHECK-LABEL: func @mean
// CHECK: arith.extf
// CHECK: %[[SUM:.*]] = linalg.generic {{.*}}"reduction"
// CHECK: arith.addf %{{.*}} : f32
// CHECK: arith.divf %{{.*}} : f32
// CHECK: arith.truncf
func.func @mean(%x: tensor<?x8xf16>) -> tensor<?x1xf16> {
  %axes = onnx.Constant dense<[-1]> : tensor<1xi64>
  %0 = onnx.ReduceMean(%x, %axes) : (tensor<?x8xf16>, tensor<1xi64>) -> tensor<?x1xf16>
  return %0 : tensor<?x1xf16>
}

// -----

// Axes that only run time knows: loops over both, the flag chooses.
// CHECK-LABEL: func @axes_at_run_time
// CHECK: linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "reduction", "reduction"]
// CHECK: arith.select
// CHECK: tensor.extract
func.func @axes_at_run_time(%x: tensor<3x4xf32>, %axes: tensor<1xi64>) -> tensor<?x?xf32> {
  %0 = onnx.ReduceSum(%x, %axes) : (tensor<3x4xf32>, tensor<1xi64>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}

// -----

// CHECK-LABEL: func @arg_max
// CHECK: arith.maximumf
// CHECK: arith.minsi
func.func @arg_max(%x: tensor<?x8xf32>) -> tensor<?xi64> {
  %0 = onnx.ArgMax(%x) {axis = 1 : i64, keepdims = 0 : i64} : (tensor<?x8xf32>) -> tensor<?xi64>
  return %0 : tensor<?xi64>
}

// -----

// CHECK-LABEL: func @cumulative
// CHECK: moe.scan %{{.*}} {axis = 1 : i64, exclusive}
func.func @cumulative(%x: tensor<?x8xi64>) -> tensor<?x8xi64> {
  %axis = onnx.Constant dense<1> : tensor<i64>
  %0 = onnx.CumSum(%x, %axis) {exclusive = 1 : i64} : (tensor<?x8xi64>, tensor<i64>) -> tensor<?x8xi64>
  return %0 : tensor<?x8xi64>
}

// -----

// The normalized value meets the scale in its own type: bf16 before, bf16 after.
// CHECK-LABEL: func @rms_norm
// CHECK: arith.extf
// CHECK: arith.mulf %{{.*}} : f32
// CHECK: math.sqrt
// CHECK: arith.truncf %{{.*}} : f32 to bf16
// CHECK: arith.truncf %{{.*}} : f32 to bf16
func.func @rms_norm(%x: tensor<?x8xbf16>, %w: tensor<8xbf16>) -> tensor<?x8xbf16> {
  %0 = onnx.RMSNormalization(%x, %w) {epsilon = 1.0e-6 : f32} : (tensor<?x8xbf16>, tensor<8xbf16>) -> tensor<?x8xbf16>
  return %0 : tensor<?x8xbf16>
}
