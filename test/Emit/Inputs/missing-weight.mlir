module attributes {moe.weights_dir = "."} {
  moe.weight @w : tensor<8xf32> = #moe.piece<"nowhere.bin", 0, 32, tensor<8xf32>>
  func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> attributes {moe.entry} {
    %w = moe.get_weight @w : tensor<8xf32>
    %y = moe.rms_norm %x weight(%w) {epsilon = 1.0e-5 : f32} : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
    return %y : tensor<4x8xf32>
  }
}
