// What may stand in a module after the import phase.
// RUN: moe-opt %s -split-input-file -verify-diagnostics -moe-verify-import

module {
  moe.weight @w : tensor<4xf32> = #moe.piece<"w.bin", 0, 16, tensor<4xf32>>
  func.func @main(%x: tensor<?x4xf32>) -> tensor<?x4xf32> attributes {moe.entry} {
    %w = moe.get_weight @w : tensor<4xf32>
    %0 = onnx.Add(%x, %w) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    return %0 : tensor<?x4xf32>
  }
}

// -----

module {
  func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> attributes {moe.entry} {
    // expected-error@+1 {{'arith.negf' op is not legal after the import phase}}
    %0 = arith.negf %x : tensor<4xf32>
    return %0 : tensor<4xf32>
  }
}

// -----

// expected-error@+1 {{expects one function with moe.entry after the import phase}}
module {
  func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
    return %x : tensor<4xf32>
  }
}
