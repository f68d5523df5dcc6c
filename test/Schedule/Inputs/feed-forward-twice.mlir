// Two networks on one x, as fuse leaves them.
module attributes {moe.phase = "fuse", moe.target = "cuda"} {
  moe.weight @gate0 : tensor<1x96x64xbf16> = #moe.random<normal, 0.0 : f32, 0.06 : f32, 0, tensor<1x96x64xbf16>>
  moe.weight @up0 : tensor<1x96x64xbf16> = #moe.random<normal, 0.0 : f32, 0.06 : f32, 1, tensor<1x96x64xbf16>>
  moe.weight @down0 : tensor<1x64x96xbf16> = #moe.random<normal, 0.0 : f32, 0.06 : f32, 2, tensor<1x64x96xbf16>>
  moe.weight @gate1 : tensor<1x96x64xbf16> = #moe.random<normal, 0.0 : f32, 0.06 : f32, 3, tensor<1x96x64xbf16>>
  moe.weight @up1 : tensor<1x96x64xbf16> = #moe.random<normal, 0.0 : f32, 0.06 : f32, 4, tensor<1x96x64xbf16>>
  moe.weight @down1 : tensor<1x64x96xbf16> = #moe.random<normal, 0.0 : f32, 0.06 : f32, 5, tensor<1x64x96xbf16>>
  func.func @main(%x: tensor<?x64xbf16> {moe.dims = ["m", 64], moe.dtype = "bfloat16", moe.name = "x"})
      -> (tensor<?x64xbf16> {moe.dims = ["m", 64], moe.dtype = "bfloat16", moe.name = "y"}, tensor<?x64xbf16> {moe.dims = ["m", 64], moe.dtype = "bfloat16", moe.name = "z"})
      attributes {moe.entry} {
    %g0 = moe.get_weight @gate0 : tensor<1x96x64xbf16>
    %u0 = moe.get_weight @up0 : tensor<1x96x64xbf16>
    %d0 = moe.get_weight @down0 : tensor<1x64x96xbf16>
    %h0 = moe.grouped_matmul %x weights(%g0, %u0) : (tensor<?x64xbf16>, tensor<1x96x64xbf16>, tensor<1x96x64xbf16>) -> tensor<?x96xbf16> {
    ^bb0(%a: f32, %b: f32):
      %p = arith.mulf %a, %b : f32
      %q = arith.truncf %p : f32 to bf16
      moe.yield %q : bf16
    }
    %y0 = moe.grouped_matmul %h0 weights(%d0) : (tensor<?x96xbf16>, tensor<1x64x96xbf16>) -> tensor<?x64xbf16> {
    ^bb0(%a: f32):
      %q = arith.truncf %a : f32 to bf16
      moe.yield %q : bf16
    }
    %g1 = moe.get_weight @gate1 : tensor<1x96x64xbf16>
    %u1 = moe.get_weight @up1 : tensor<1x96x64xbf16>
    %d1 = moe.get_weight @down1 : tensor<1x64x96xbf16>
    %h1 = moe.grouped_matmul %x weights(%g1, %u1) : (tensor<?x64xbf16>, tensor<1x96x64xbf16>, tensor<1x96x64xbf16>) -> tensor<?x96xbf16> {
    ^bb0(%a: f32, %b: f32):
      %p = arith.mulf %a, %b : f32
      %q = arith.truncf %p : f32 to bf16
      moe.yield %q : bf16
    }
    %y1 = moe.grouped_matmul %h1 weights(%d1) : (tensor<?x96xbf16>, tensor<1x64x96xbf16>) -> tensor<?x64xbf16> {
    ^bb0(%a: f32):
      %q = arith.truncf %a : f32 to bf16
      moe.yield %q : bf16
    }
    return %y0, %y1 : tensor<?x64xbf16>, tensor<?x64xbf16>
  }
}
