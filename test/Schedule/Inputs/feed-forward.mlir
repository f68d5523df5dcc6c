// A shared expert in bf16: down(silu(gate(x)) * up(x)) + r, rows in two dims.
#id = affine_map<(b, s, c) -> (b, s, c)>
#rows = affine_map<(b, s, n, k) -> (b, s, k)>
#weight = affine_map<(b, s, n, k) -> (n, k)>
#out = affine_map<(b, s, n, k) -> (b, s, n)>
module attributes {moe.phase = "raise"} {
  moe.weight @gate : tensor<300x264xbf16> = #moe.random<normal, 0.0 : f32, 0.06 : f32, 1, tensor<300x264xbf16>>
  moe.weight @up : tensor<300x264xbf16> = #moe.random<normal, 0.0 : f32, 0.06 : f32, 2, tensor<300x264xbf16>>
  moe.weight @down : tensor<264x300xbf16> = #moe.random<normal, 0.0 : f32, 0.06 : f32, 3, tensor<264x300xbf16>>
  func.func @main(%x: tensor<2x?x264xbf16> {moe.dims = [2, "s", 264], moe.dtype = "bfloat16", moe.name = "x"},
                  %r: tensor<2x?x264xbf16> {moe.dims = [2, "s", 264], moe.dtype = "bfloat16", moe.name = "r"})
      -> (tensor<2x?x264xbf16> {moe.dims = [2, "s", 264], moe.dtype = "bfloat16", moe.name = "y"}) attributes {moe.entry} {
    %zero = arith.constant 0.0 : bf16
    %one = arith.constant 1.0 : bf16
    %c1 = arith.constant 1 : index
    %g = moe.get_weight @gate : tensor<300x264xbf16>
    %u = moe.get_weight @up : tensor<300x264xbf16>
    %d = moe.get_weight @down : tensor<264x300xbf16>
    %s = tensor.dim %x, %c1 : tensor<2x?x264xbf16>
    %narrow = tensor.empty(%s) : tensor<2x?x300xbf16>
    %wide = tensor.empty(%s) : tensor<2x?x264xbf16>
    %narrow_0 = linalg.fill ins(%zero : bf16) outs(%narrow : tensor<2x?x300xbf16>) -> tensor<2x?x300xbf16>
    %wide_0 = linalg.fill ins(%zero : bf16) outs(%wide : tensor<2x?x264xbf16>) -> tensor<2x?x264xbf16>
    %gate = linalg.generic {indexing_maps = [#rows, #weight, #out], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
        ins(%x, %g : tensor<2x?x264xbf16>, tensor<300x264xbf16>) outs(%narrow_0 : tensor<2x?x300xbf16>) {
    ^bb0(%a: bf16, %b: bf16, %o: bf16):
      %p = arith.mulf %a, %b : bf16
      %q = arith.addf %o, %p : bf16
      linalg.yield %q : bf16
    } -> tensor<2x?x300xbf16>
    %up = linalg.generic {indexing_maps = [#rows, #weight, #out], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
        ins(%x, %u : tensor<2x?x264xbf16>, tensor<300x264xbf16>) outs(%narrow_0 : tensor<2x?x300xbf16>) {
    ^bb0(%a: bf16, %b: bf16, %o: bf16):
      %p = arith.mulf %a, %b : bf16
      %q = arith.addf %o, %p : bf16
      linalg.yield %q : bf16
    } -> tensor<2x?x300xbf16>
    %h = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel", "parallel"]}
        ins(%gate, %up : tensor<2x?x300xbf16>, tensor<2x?x300xbf16>) outs(%narrow : tensor<2x?x300xbf16>) {
    ^bb0(%a: bf16, %b: bf16, %o: bf16):
      %n = arith.negf %a : bf16
      %e = math.exp %n : bf16
      %f = arith.addf %e, %one : bf16
      %i = arith.divf %a, %f : bf16
      %p = arith.mulf %i, %b : bf16
      linalg.yield %p : bf16
    } -> tensor<2x?x300xbf16>
    %low = linalg.generic {indexing_maps = [#rows, #weight, #out], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
        ins(%h, %d : tensor<2x?x300xbf16>, tensor<264x300xbf16>) outs(%wide_0 : tensor<2x?x264xbf16>) {
    ^bb0(%a: bf16, %b: bf16, %o: bf16):
      %p = arith.mulf %a, %b : bf16
      %q = arith.addf %o, %p : bf16
      linalg.yield %q : bf16
    } -> tensor<2x?x264xbf16>
    %y = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel", "parallel"]}
        ins(%low, %r : tensor<2x?x264xbf16>, tensor<2x?x264xbf16>) outs(%wide : tensor<2x?x264xbf16>) {
    ^bb0(%a: bf16, %b: bf16, %o: bf16):
      %p = arith.addf %a, %b : bf16
      linalg.yield %p : bf16
    } -> tensor<2x?x264xbf16>
    return %y : tensor<2x?x264xbf16>
  }
}
