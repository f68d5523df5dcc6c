// What leaves the tile phase is checked.
// RUN: moe-opt %s -moe-verify-tile -split-input-file -verify-diagnostics

func.func private @k0(memref<4xf32>) attributes {moe.kernel}
func.func @launch_without_items(%x: memref<4xf32>) {
  // expected-error@+1 {{'moe.launch' op is expected to say its number of items after 'tile'}}
  moe.launch @k0(%x) : (memref<4xf32>)
  return
}

// -----

module {
  module @cpu_x86_64_v4 {
    func.func @k0(%x: memref<4xf32>, %begin: index, %end: index) attributes {moe.kernel} {
      %zero = arith.constant 0.0 : f32
      // expected-error@+1 {{'linalg.fill' op is not expected in a kernel after 'tile'}}
      linalg.fill ins(%zero : f32) outs(%x : memref<4xf32>)
      return
    }
  }
}
