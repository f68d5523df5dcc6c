// RUN: rm -rf %t && mkdir -p %t && cp %s %t/file && ln -s file %t/link
// RUN: cd %t && moe-opt %s -split-input-file --moe-interpret=print -o /dev/null > out 2>err; FileCheck %s < out && FileCheck %s --check-prefix=ERROR < err
// Weights are read from beneath the module's folder; this file begins with two slashes, a space and an R.

// CHECK: result 0: tensor<2x2xi8> {{\[\[}}47, 47], [32, 82]]
// CHECK: result 1: tensor<2x2xf32> {{\[\[}}47, 32], [47, 82]]
module attributes {moe.weights_dir = "."} {
  moe.weight @w : tensor<2x2xi8> = #moe.piece<"file", 0, 4, tensor<2x2xi8>>
  moe.weight @t : tensor<2x2xf32> = #moe.recipe<transpose, {permutation = array<i64: 1, 0>},
    [#moe.recipe<cast, {}, [#moe.piece<"file", 0, 4, tensor<2x2xi8>>], tensor<2x2xf32>>], tensor<2x2xf32>>
  func.func @main() -> (tensor<2x2xi8>, tensor<2x2xf32>) {
    %w = moe.get_weight @w : tensor<2x2xi8>
    %t = moe.get_weight @t : tensor<2x2xf32>
    return %w, %t : tensor<2x2xi8>, tensor<2x2xf32>
  }
}

// -----

// ERROR: error: 'moe.weight' op expects no symbolic link in the path of weight file 'link', but 'link' is one
module attributes {moe.weights_dir = "."} {
  moe.weight @w : tensor<4xi8> = #moe.piece<"link", 0, 4, tensor<4xi8>>
  func.func @main() -> tensor<4xi8> {
    %w = moe.get_weight @w : tensor<4xi8>
    return %w : tensor<4xi8>
  }
}

// -----

// ERROR: error: 'moe.weight' op expects weight file 'file' to have at least 1000000 + 4 bytes, but it has
module attributes {moe.weights_dir = "."} {
  moe.weight @w : tensor<4xi8> = #moe.piece<"file", 1000000, 4, tensor<4xi8>>
  func.func @main() -> tensor<4xi8> {
    %w = moe.get_weight @w : tensor<4xi8>
    return %w : tensor<4xi8>
  }
}
