func.func @experts(%x: tensor<?x8xf32>, %w: tensor<?x2xf32>, %i: tensor<?x2xi64>, %p: tensor<4x8xf32>) -> tensor<?x8xf32> {
  %y = moe.experts %x, %w, %i params(%p) : (tensor<?x8xf32>, tensor<?x2xf32>, tensor<?x2xi64>, tensor<4x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%rows: tensor<?x8xf32>, %slice: tensor<8xf32>):
    moe.yield %rows : tensor<?x8xf32>
  }
  return %y : tensor<?x8xf32>
}
