// One case for every numbered constraint of !moe.scaled and the ops on it; `@op_cN` is constraint N of `moe.op`.
// RUN: moe-opt %s -split-input-file -verify-diagnostics

// expected-error @below {{expects a scaled value of f8E4M3FN or f8E5M2, but its elements are 'f32'}}
func.func @scaled_c1(%a: !moe.scaled<4x8xf32, block = [1, 4], scale = f32>) { return }

// -----

// expected-error @below {{expects a scaled value of rank 2 or more, but its rank is 1}}
func.func @scaled_c2(%a: !moe.scaled<8xf8E4M3FN, block = [4], scale = f32>) { return }

// -----

// expected-error @below {{expects a block with an entry >= 0 for each of 2 dims, but it is [4]}}
func.func @scaled_c3(%a: !moe.scaled<4x8xf8E4M3FN, block = [4], scale = f32>) { return }

// -----

// expected-error @below {{expects scales of f32 or f8E8M0FNU, but they are 'f16'}}
func.func @scaled_c4(%a: !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f16>) { return }

// -----

// expected-error @below {{expects the layout 'row' or 'column', found 'diagonal'}}
func.func @scaled_layout(%a: !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32, layout = diagonal>) { return }

// -----

// Upstream ops take no scaled values.
func.func @upstream(%a: !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32>) -> !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32> {
  // expected-error @below {{'arith.addf' op operand #0 must be floating-point-like}}
  %s = arith.addf %a, %a : !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32>
  return %s : !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32>
}

// -----

func.func @upstream_cast(%a: !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32>) -> !moe.scaled<4x8xf8E4M3FN, block = [4, 4], scale = f32> {
  // expected-error @below {{'tensor.cast' op operand #0 must be tensor}}
  %s = "tensor.cast"(%a) : (!moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32>) -> !moe.scaled<4x8xf8E4M3FN, block = [4, 4], scale = f32>
  return %s : !moe.scaled<4x8xf8E4M3FN, block = [4, 4], scale = f32>
}

// -----

func.func @quantize_c1(%x: tensor<4x8xf8E4M3FN>) {
  // expected-error @below {{'moe.quantize' op expects its input to hold f16, bf16 or f32, but it is 'tensor<4x8xf8E4M3FN>'}}
  %q = moe.quantize %x : tensor<4x8xf8E4M3FN> -> !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32>
  return
}

// -----

func.func @quantize_c2(%x: tensor<4x8xf32>) {
  // expected-error @below {{'moe.quantize' op expects a result of its input's shape, but input is 'tensor<4x8xf32>' and result '!moe.scaled<8x4xf8E4M3FN, block = [1, 4], scale = f32>'}}
  %q = moe.quantize %x : tensor<4x8xf32> -> !moe.scaled<8x4xf8E4M3FN, block = [1, 4], scale = f32>
  return
}

// -----

func.func @quantize_c3(%x: tensor<4x8xf32>) {
  %q = moe.quantize %x : tensor<4x8xf32> -> !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32>
  %d = moe.dequantize %q : !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32> -> tensor<4x8xf32>
  // expected-error @below {{'moe.quantize' op expects its input not to come from 'moe.dequantize', which would quantize twice; 'moe.requantize' names the values a copy comes from}}
  %r = moe.quantize %d : tensor<4x8xf32> -> !moe.scaled<4x8xf8E4M3FN, block = [4, 1], scale = f32>
  return
}

// -----

func.func @dequantize_c1(%q: !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32>) {
  // expected-error @below {{'moe.dequantize' op expects a result of f16, bf16 or f32, but it is 'tensor<4x8xf8E4M3FN>'}}
  %d = moe.dequantize %q : !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32> -> tensor<4x8xf8E4M3FN>
  return
}

// -----

func.func @dequantize_c2(%q: !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32>) {
  // expected-error @below {{'moe.dequantize' op expects a result of its input's shape}}
  %d = moe.dequantize %q : !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32> -> tensor<4x9xf32>
  return
}

// -----

// A copy of other values is no copy.
func.func @requantize_c1(%x: tensor<4x8xf32>, %y: tensor<4x8xf32>) {
  %q = moe.quantize %x : tensor<4x8xf32> -> !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32>
  // expected-error @below {{'moe.requantize' op expects a source of f16, bf16 or f32 that its input was quantized from, but it is 'tensor<4x8xf32>'}}
  %r = moe.requantize %q from %y : tensor<4x8xf32>, !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32> -> !moe.scaled<4x8xf8E4M3FN, block = [4, 1], scale = f32>
  return
}

// -----

// From codes to codes: only powers of two.
func.func @requantize_c2(%q: !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32>) {
  // expected-error @below {{'moe.requantize' op expects a source, or scales that are powers of two on both sides}}
  %r = moe.requantize %q : !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32> -> !moe.scaled<4x8xf8E4M3FN, block = [4, 1], scale = f32>
  return
}

// -----

// A scale that is rounded after codes were made with another one.
func.func @requantize_c2_scale(%q: !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32>) {
  // expected-error @below {{'moe.requantize' op expects a source, or scales that are powers of two on both sides}}
  %r = moe.requantize %q : !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f32> -> !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f8E8M0FNU>
  return
}

// -----

func.func @requantize_c3(%q: !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f8E8M0FNU>) {
  // expected-error @below {{'moe.requantize' op expects a result of its input's shape, transposed}}
  %r = moe.requantize %q : !moe.scaled<4x8xf8E4M3FN, block = [1, 4], scale = f8E8M0FNU> -> !moe.scaled<4x8xf8E4M3FN, block = [4, 1], scale = f8E8M0FNU> {transposed}
  return
}

// -----

func.func @grouped_matmul_c9(%x: tensor<?x8xf32>, %w: !moe.scaled<1x4x8xf8E4M3FN, block = [1, 4, 4], scale = f32, layout = column>) {
  // expected-error @below {{'moe.grouped_matmul' op expects scaled operands in the layout 'row'}}
  %y = moe.grouped_matmul %x weights(%w) {promotion = 4} : (tensor<?x8xf32>, !moe.scaled<1x4x8xf8E4M3FN, block = [1, 4, 4], scale = f32, layout = column>) -> tensor<?x4xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return
}

// -----

// Blocks along K that differ.
func.func @grouped_matmul_c10_block(%x: !moe.scaled<?x8xf8E4M3FN, block = [1, 8], scale = f32>, %w: !moe.scaled<1x4x8xf8E4M3FN, block = [1, 4, 4], scale = f32>) {
  // expected-error @below {{expects x and weights to agree in the block along K, in the type of codes and in the type of scales, but x is '!moe.scaled<?x8xf8E4M3FN, block = [1, 8], scale = f32>' with block [1, 8]}}
  %y = moe.grouped_matmul %x weights(%w) {promotion = 4} : (!moe.scaled<?x8xf8E4M3FN, block = [1, 8], scale = f32>, !moe.scaled<1x4x8xf8E4M3FN, block = [1, 4, 4], scale = f32>) -> tensor<?x4xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return
}

// -----

// Types of scales that differ.
func.func @grouped_matmul_c10_scale(%x: !moe.scaled<?x8xf8E4M3FN, block = [1, 4], scale = f8E8M0FNU>, %w: !moe.scaled<1x4x8xf8E4M3FN, block = [1, 4, 4], scale = f32>) {
  // expected-error @below {{expects x and weights to agree in the block along K, in the type of codes and in the type of scales}}
  %y = moe.grouped_matmul %x weights(%w) {promotion = 4} : (!moe.scaled<?x8xf8E4M3FN, block = [1, 4], scale = f8E8M0FNU>, !moe.scaled<1x4x8xf8E4M3FN, block = [1, 4, 4], scale = f32>) -> tensor<?x4xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return
}

// -----

// Scaled rows times weights in high precision.
func.func @grouped_matmul_c10_weights(%x: !moe.scaled<?x8xf8E4M3FN, block = [1, 4], scale = f32>, %w: tensor<1x4x8xf32>) {
  // expected-error @below {{expects x and weights to agree in the block along K}}
  %y = moe.grouped_matmul %x weights(%w) {promotion = 4} : (!moe.scaled<?x8xf8E4M3FN, block = [1, 4], scale = f32>, tensor<1x4x8xf32>) -> tensor<?x4xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return
}

// -----

// Weights with blocks of different shapes.
func.func @grouped_matmul_c2(%x: tensor<?x8xf32>, %w: !moe.scaled<1x4x8xf8E4M3FN, block = [1, 4, 4], scale = f32>, %v: !moe.scaled<1x4x8xf8E4M3FN, block = [1, 2, 4], scale = f32>) {
  // expected-error @below {{'moe.grouped_matmul' op expects weights of one type, but there are 2}}
  %y = moe.grouped_matmul %x weights(%w, %v) {promotion = 4} : (tensor<?x8xf32>, !moe.scaled<1x4x8xf8E4M3FN, block = [1, 4, 4], scale = f32>, !moe.scaled<1x4x8xf8E4M3FN, block = [1, 2, 4], scale = f32>) -> tensor<?x4xf32> {
  ^bb0(%acc: f32, %b: f32):
    moe.yield %acc : f32
  }
  return
}

// -----

func.func @grouped_matmul_c11(%x: tensor<?x256xf32>, %w: !moe.scaled<1x4x256xf8E4M3FN, block = [1, 128, 64], scale = f32>) {
  // expected-error @below {{expects a promotion interval that divides the block along K, but promotion is 128 and the block 64}}
  %y = moe.grouped_matmul %x weights(%w) : (tensor<?x256xf32>, !moe.scaled<1x4x256xf8E4M3FN, block = [1, 128, 64], scale = f32>) -> tensor<?x4xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return
}

// -----

// Codes without their scales.
func.func @grouped_matmul_c12(%x: tensor<?x256xf32>, %w: tensor<1x4x256xf8E4M3FN>) {
  // expected-error @below {{expects scales for operands of 8-bit floats and for no others}}
  %y = moe.grouped_matmul %x weights(%w) : (tensor<?x256xf32>, tensor<1x4x256xf8E4M3FN>) -> tensor<?x4xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return
}

// -----

func.func @grouped_matmul_c12_shape(%x: tensor<?x256xf32>, %w: tensor<1x4x256xf8E4M3FN>, %s: tensor<1x1x3xf32>) {
  // expected-error @below {{expects the scales of a weight to have shape [1, 1, 2], but it is 'tensor<1x1x3xf32>'}}
  %y = moe.grouped_matmul %x weights(%w) weight_scales(%s) {weight_block = array<i64: 1, 128, 128>} : (tensor<?x256xf32>, tensor<1x4x256xf8E4M3FN>, tensor<1x1x3xf32>) -> tensor<?x4xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return
}

// -----

// Scales of other codes.
func.func @grouped_matmul_c13(%x: tensor<4x256xf32>, %z: tensor<4x256xf32>, %w: tensor<1x4x256xf8E4M3FN>, %s: tensor<1x1x2xf32>) {
  %a:2 = moe.quantize_blocks %x {block = array<i64: 1, 128>} : (tensor<4x256xf32>) -> (tensor<4x256xf8E4M3FN>, tensor<4x2xf32>)
  %b:2 = moe.quantize_blocks %z {block = array<i64: 1, 128>} : (tensor<4x256xf32>) -> (tensor<4x256xf8E4M3FN>, tensor<4x2xf32>)
  // expected-error @below {{expects codes and scales that come from one 'moe.quantize_blocks'}}
  %y = moe.grouped_matmul %a#0 scales(%b#1) weights(%w) weight_scales(%s) {x_block = array<i64: 1, 128>, weight_block = array<i64: 1, 128, 128>} : (tensor<4x256xf8E4M3FN>, tensor<1x4x256xf8E4M3FN>, tensor<4x2xf32>, tensor<1x1x2xf32>) -> tensor<4x4xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return
}

// -----

moe.weight @codes : tensor<1x4x8xf8E4M3FN> = #moe.recipe<quantize, {block = array<i64: 1, 4, 4>}, [#moe.piece<"w.bin", 0, 128, tensor<1x4x8xf32>>, #moe.recipe<scales, {block = array<i64: 1, 4, 4>, codes = f8E4M3FN}, [#moe.piece<"w.bin", 0, 128, tensor<1x4x8xf32>>], tensor<1x1x2xf32>>], tensor<1x4x8xf8E4M3FN>>
moe.weight @other : tensor<1x1x2xf32> = #moe.recipe<scales, {block = array<i64: 1, 4, 4>, codes = f8E4M3FN}, [#moe.piece<"w.bin", 128, 128, tensor<1x4x8xf32>>], tensor<1x1x2xf32>>
func.func @grouped_matmul_c13_weight(%x: tensor<?x8xf32>) {
  %w = moe.get_weight @codes : tensor<1x4x8xf8E4M3FN>
  %s = moe.get_weight @other : tensor<1x1x2xf32>
  // expected-error @below {{expects the scales that '@codes' was quantized with, but found '@other'}}
  %y = moe.grouped_matmul %x weights(%w) weight_scales(%s) {weight_block = array<i64: 1, 4, 4>, promotion = 4} : (tensor<?x8xf32>, tensor<1x4x8xf8E4M3FN>, tensor<1x1x2xf32>) -> tensor<?x4xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return
}

// -----

// A recipe whose scale is rounded after the codes were made with it.
// expected-error @below {{expects the recipe step 'quantize' to have values and the scales of these values with the same block and type of codes}}
moe.weight @rounded : tensor<4x8xf8E4M3FN> = #moe.recipe<quantize, {block = array<i64: 1, 4>}, [#moe.piece<"w.bin", 0, 128, tensor<4x8xf32>>, #moe.recipe<cast, {}, [#moe.recipe<scales, {block = array<i64: 1, 4>, codes = f8E4M3FN}, [#moe.piece<"w.bin", 0, 128, tensor<4x8xf32>>], tensor<4x2xf32>>], tensor<4x2xf8E8M0FNU>>], tensor<4x8xf8E4M3FN>>

// -----

// expected-error @below {{expects the recipe step 'scales' to have floats, a 'block' for each dim, the type of the 'codes', and scales of f32 or f8E8M0FNU for each block}}
moe.weight @scales_shape : tensor<4x3xf32> = #moe.recipe<scales, {block = array<i64: 1, 4>, codes = f8E4M3FN}, [#moe.piece<"w.bin", 0, 128, tensor<4x8xf32>>], tensor<4x3xf32>>

// -----

func.func @quantize_blocks_c1(%x: tensor<4x8xf64>) {
  // expected-error @below {{'moe.quantize_blocks' op expects its input to hold f16, bf16 or f32, but it is 'tensor<4x8xf64>'}}
  %q:2 = moe.quantize_blocks %x {block = array<i64: 1, 4>} : (tensor<4x8xf64>) -> (tensor<4x8xf8E4M3FN>, tensor<4x2xf32>)
  return
}

// -----

func.func @quantize_blocks_c2(%x: tensor<4x8xf32>) {
  // expected-error @below {{'moe.quantize_blocks' op expects a block with an entry >= 0 for each dim of 'tensor<4x8xf32>', but it is [4]}}
  %q:2 = moe.quantize_blocks %x {block = array<i64: 4>} : (tensor<4x8xf32>) -> (tensor<4x8xf8E4M3FN>, tensor<4x2xf32>)
  return
}

// -----

func.func @quantize_blocks_c3(%x: tensor<4x8xf32>) {
  // expected-error @below {{'moe.quantize_blocks' op expects result 1 to have shape [4, 2], but it is 'tensor<4x3xf32>'}}
  %q:2 = moe.quantize_blocks %x {block = array<i64: 1, 4>} : (tensor<4x8xf32>) -> (tensor<4x8xf8E4M3FN>, tensor<4x3xf32>)
  return
}

// -----

func.func @dequantize_blocks_c1(%q: tensor<4x8xf32>, %s: tensor<4x2xf32>) {
  // expected-error @below {{'moe.dequantize_blocks' op expects codes of f8E4M3FN or f8E5M2, but they are 'tensor<4x8xf32>'}}
  %d = moe.dequantize_blocks %q scales(%s) {block = array<i64: 1, 4>} : (tensor<4x8xf32>, tensor<4x2xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @dequantize_blocks_c2(%q: tensor<4x8xf8E4M3FN>, %s: tensor<4x1xf32>) {
  // expected-error @below {{'moe.dequantize_blocks' op expects scales to have shape [4, 2], but it is 'tensor<4x1xf32>'}}
  %d = moe.dequantize_blocks %q scales(%s) {block = array<i64: 1, 4>} : (tensor<4x8xf8E4M3FN>, tensor<4x1xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @dequantize_blocks_c3(%q: tensor<4x8xf8E4M3FN>, %s: tensor<4x2xf32>) {
  // expected-error @below {{'moe.dequantize_blocks' op expects a result of f16, bf16 or f32, but it is 'f64'}}
  %d = moe.dequantize_blocks %q scales(%s) {block = array<i64: 1, 4>} : (tensor<4x8xf8E4M3FN>, tensor<4x2xf32>) -> tensor<4x8xf64>
  return
}
