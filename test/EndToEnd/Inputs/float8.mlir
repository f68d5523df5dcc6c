// codes [256] u8 as i8; x [n] f32. Results are bits, so that every comparison is exact; NaN is 0x7fc00000.
#one = affine_map<(i) -> (i)>
module attributes {moe.weights_dir = "."} {
  // Codes of 2 panels of 16 columns: all 256, and the same with 0 in place of NaN.
  moe.weight @w : tensor<1x2x16x16xf8E4M3FN> = #moe.piece<"codes.bin", 0, 512, tensor<1x2x16x16xf8E4M3FN>>
  moe.weight @v : tensor<1x2x16x16xf8E5M2> = #moe.piece<"codes.bin", 512, 512, tensor<1x2x16x16xf8E5M2>>
  moe.weight @s : tensor<1x1x1xf32> = #moe.piece<"codes.bin", 1024, 4, tensor<1x1x1xf32>>

  func.func private @bits(%x: tensor<?xf32>) -> tensor<?xi32> {
    %c0 = arith.constant 0 : index
    %n = tensor.dim %x, %c0 : tensor<?xf32>
    %e = tensor.empty(%n) : tensor<?xi32>
    %y = linalg.generic {indexing_maps = [#one, #one], iterator_types = ["parallel"]} ins(%x : tensor<?xf32>) outs(%e : tensor<?xi32>) {
    ^bb0(%a: f32, %o: i32):
      %nan = arith.constant 0x7fc00000 : i32
      %b = arith.bitcast %a : f32 to i32
      %is = arith.cmpf uno, %a, %a : f32
      %r = arith.select %is, %nan, %b : i32
      linalg.yield %r : i32
    } -> tensor<?xi32>
    return %y : tensor<?xi32>
  }

  func.func @main(%codes: tensor<?xi8> {moe.name = "codes", moe.dims = ["c"]}, %x: tensor<?xf32> {moe.name = "x", moe.dims = ["n"]},
                  %eye: tensor<?x16xf32> {moe.name = "eye", moe.dims = ["r", 16]})
      -> (tensor<?xi32> {moe.name = "e4m3"}, tensor<?xi32> {moe.name = "e5m2"}, tensor<?xi8> {moe.name = "to_e4m3"},
          tensor<?xi8> {moe.name = "to_e5m2"}, tensor<?xi8> {moe.name = "saturated"}, tensor<?x32xi32> {moe.name = "product"},
          tensor<?x32xi32> {moe.name = "product5"}) attributes {moe.entry} {
    %c0 = arith.constant 0 : index
    %nc = tensor.dim %codes, %c0 : tensor<?xi8>
    %n = tensor.dim %x, %c0 : tensor<?xf32>
    %rows = tensor.dim %eye, %c0 : tensor<?x16xf32>
    %ef = tensor.empty(%nc) : tensor<?xf32>
    %ei = tensor.empty(%n) : tensor<?xi8>
    %a = linalg.generic {indexing_maps = [#one, #one], iterator_types = ["parallel"]} ins(%codes : tensor<?xi8>) outs(%ef : tensor<?xf32>) {
    ^bb0(%c: i8, %o: f32):
      %f = arith.bitcast %c : i8 to f8E4M3FN
      %w = arith.extf %f : f8E4M3FN to f32
      linalg.yield %w : f32
    } -> tensor<?xf32>
    %b = linalg.generic {indexing_maps = [#one, #one], iterator_types = ["parallel"]} ins(%codes : tensor<?xi8>) outs(%ef : tensor<?xf32>) {
    ^bb0(%c: i8, %o: f32):
      %f = arith.bitcast %c : i8 to f8E5M2
      %w = arith.extf %f : f8E5M2 to f32
      linalg.yield %w : f32
    } -> tensor<?xf32>
    %c = linalg.generic {indexing_maps = [#one, #one], iterator_types = ["parallel"]} ins(%x : tensor<?xf32>) outs(%ei : tensor<?xi8>) {
    ^bb0(%v: f32, %o: i8):
      %f = arith.truncf %v : f32 to f8E4M3FN
      %i = arith.bitcast %f : f8E4M3FN to i8
      linalg.yield %i : i8
    } -> tensor<?xi8>
    %d = linalg.generic {indexing_maps = [#one, #one], iterator_types = ["parallel"]} ins(%x : tensor<?xf32>) outs(%ei : tensor<?xi8>) {
    ^bb0(%v: f32, %o: i8):
      %f = arith.truncf %v : f32 to f8E5M2
      %i = arith.bitcast %f : f8E5M2 to i8
      linalg.yield %i : i8
    } -> tensor<?xi8>
    %ab = call @bits(%a) : (tensor<?xf32>) -> tensor<?xi32>
    %bb = call @bits(%b) : (tensor<?xf32>) -> tensor<?xi32>

    // A block for each finite value: with 448 beside it its scale is 1 and its code its own; above 448 the scale follows.
    %ep = tensor.empty(%n) : tensor<?x2xf32>
    %pairs = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
        ins(%x : tensor<?xf32>) outs(%ep : tensor<?x2xf32>) {
    ^bb0(%v: f32, %o: f32):
      %j = linalg.index 1 : index
      %top = arith.constant 448.0 : f32
      %first = arith.cmpi eq, %j, %c0 : index
      %r = arith.select %first, %v, %top : f32
      linalg.yield %r : f32
    } -> tensor<?x2xf32>
    %q:2 = moe.quantize_blocks %pairs {block = array<i64: 1, 2>} : (tensor<?x2xf32>) -> (tensor<?x2xf8E4M3FN>, tensor<?x1xf32>)
    %sat = linalg.generic {indexing_maps = [affine_map<(i) -> (i, 0)>, #one], iterator_types = ["parallel"]} ins(%q#0 : tensor<?x2xf8E4M3FN>) outs(%ei : tensor<?xi8>) {
    ^bb0(%f: f8E4M3FN, %o: i8):
      %i = arith.bitcast %f : f8E4M3FN to i8
      // The sign of a NaN that a division makes is the processor's.
      %nan = arith.constant 127 : i8
      %magnitude = arith.andi %i, %nan : i8
      %is = arith.cmpi eq, %magnitude, %nan : i8
      %k = arith.select %is, %nan, %i : i8
      linalg.yield %k : i8
    } -> tensor<?xi8>

    %w = moe.get_weight @w : tensor<1x2x16x16xf8E4M3FN>
    %u = moe.get_weight @v : tensor<1x2x16x16xf8E5M2>
    %s = moe.get_weight @s : tensor<1x1x1xf32>
    %p = moe.grouped_matmul %eye weights(%w) weight_scales(%s) {packed = 16, columns = 32, weight_block = array<i64: 1, 128, 128>}
        : (tensor<?x16xf32>, tensor<1x2x16x16xf8E4M3FN>, tensor<1x1x1xf32>) -> tensor<?x32xf32> {
    ^bb0(%acc: f32):
      moe.yield %acc : f32
    }
    %p5 = moe.grouped_matmul %eye weights(%u) weight_scales(%s) {packed = 16, columns = 32, weight_block = array<i64: 1, 0, 0>}
        : (tensor<?x16xf32>, tensor<1x2x16x16xf8E5M2>, tensor<1x1x1xf32>) -> tensor<?x32xf32> {
    ^bb0(%acc: f32):
      moe.yield %acc : f32
    }
    %flat = tensor.collapse_shape %p [[0, 1]] : tensor<?x32xf32> into tensor<?xf32>
    %flat5 = tensor.collapse_shape %p5 [[0, 1]] : tensor<?x32xf32> into tensor<?xf32>
    %pb = call @bits(%flat) : (tensor<?xf32>) -> tensor<?xi32>
    %p5b = call @bits(%flat5) : (tensor<?xf32>) -> tensor<?xi32>
    %out = tensor.expand_shape %pb [[0, 1]] output_shape [%rows, 32] : tensor<?xi32> into tensor<?x32xi32>
    %out5 = tensor.expand_shape %p5b [[0, 1]] output_shape [%rows, 32] : tensor<?xi32> into tensor<?x32xi32>
    return %ab, %bb, %c, %d, %sat, %out, %out5 : tensor<?xi32>, tensor<?xi32>, tensor<?xi8>, tensor<?xi8>, tensor<?xi8>, tensor<?x32xi32>, tensor<?x32xi32>
  }
}
