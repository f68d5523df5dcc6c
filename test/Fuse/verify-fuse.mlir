// What leaves the fuse phase is checked; weights that nothing names are dropped.
// RUN: moe-opt %s -moe-verify-fuse -split-input-file -verify-diagnostics
// RUN: moe-opt %s -moe-drop-unused-weights -split-input-file | FileCheck %s

// CHECK-NOT: @unused
// CHECK: moe.weight @used
// CHECK-NOT: @unused
moe.weight @unused : tensor<4xf32> = #moe.piece<"w.bin", 0, 16, tensor<4xf32>>
moe.weight @used : tensor<4xf32> = #moe.piece<"w.bin", 16, 16, tensor<4xf32>>
func.func @passes() -> tensor<4xf32> {
  %w = moe.get_weight @used : tensor<4xf32>
  return %w : tensor<4xf32>
}

// -----

func.func @onnx_left(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{'onnx.Relu' op is not expected after the fuse phase}}
  %0 = onnx.Relu(%x) : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

func.func @buffers(%x: memref<?x8xf32>, %y: memref<?x8xf32>) {
  // expected-error@+1 {{'moe.rms_norm' op expects tensors in the fuse phase, but it writes buffers}}
  moe.rms_norm %x outs(%y) {epsilon = 1.0e-6 : f32} : (memref<?x8xf32>, memref<?x8xf32>) -> ()
  return
}
