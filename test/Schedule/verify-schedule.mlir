// What leaves the schedule phase is checked.
// RUN: moe-opt %s -moe-verify-schedule -split-input-file -verify-diagnostics

func.func @compute_on_the_host(%x: memref<?x8xf32>, %y: memref<?x8xf32>) {
  // expected-error@+1 {{'moe.rms_norm' op is not expected in a host program after 'schedule'}}
  moe.rms_norm %x outs(%y) {epsilon = 1.0e-6 : f32} : (memref<?x8xf32>, memref<?x8xf32>) -> ()
  return
}

// -----

func.func @tensors(%x: memref<4xf32>) {
  // expected-error@+1 {{'arith.constant' op is not expected in a host program after 'schedule'}}
  %0 = arith.constant dense<0.0> : tensor<4xf32>
  return
}

// -----

// expected-error@+1 {{'func.func' op is expected to compute something after 'schedule'}}
func.func private @k0_generic(%x: memref<4xf32>) attributes {moe.kernel} {
  return
}

// -----

// expected-error@+1 {{'func.func' op expects result 0 to be an allocation with 'moe.output = 0' after 'schedule'}}
func.func @lost_output(%n: index) -> memref<?xf32> {
  %a = memref.alloc(%n) : memref<?xf32>
  return %a : memref<?xf32>
}
