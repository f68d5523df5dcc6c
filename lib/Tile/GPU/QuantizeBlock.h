//===- QuantizeBlock.h - 128 bytes of a token to the rows of its experts ---===//
#ifndef MOE_TILE_GPU_QUANTIZEBLOCK_H
#define MOE_TILE_GPU_QUANTIZEBLOCK_H

#include "BlockCode.h"

namespace mlir::moe {

/// What a warp does with 128 bytes of a token's row in `out` [KB, R, 128 bytes], in the layout of moe.expert_products: each lane has 4, and they go to
/// each of its k rows.
class TokenBlock : public BlockCode {
public:
  TokenBlock(OpBuilder &b, Location loc, Value x, Value out, int64_t k)
      : BlockCode(b, loc), x(x), out(out), hidden(cast<MemRefType>(x.getType()).getDimSize(1)), k(k),
        outBytes(cast<MemRefType>(out.getType()).getElementTypeBitWidth() / 8), each(4 / outBytes) {}

  static int64_t blocksOf(int64_t hidden, int64_t perBlock) { return (hidden + perBlock - 1) / perBlock; }

protected:
  /// This lane's elements of block `kb` of a token, as `type` (their own or an integer of its size); zero past the end and where `inside` does not hold.
  Vs elements(V token, V kb, V lane, V inside, Type type) {
    V column = kb * n(32 * each) + lane * n(each), at = wide(token) * wide(hidden) + wide(column);
    Vs zeros(static_cast<size_t>(each), constant(type, 0));
    if (hidden % each) { // a row may begin anywhere
      Vs v;
      for (int64_t i = 0; i < each; ++i)
        v.push_back(ifElse(
            inside & below(column + n(i), n(hidden)), [&]() -> Vs { return {load(x, at + wide(i), type)}; },
            [&]() -> Vs { return {zeros[0]}; })[0]);
      return v;
    }
    if (hidden % (32 * each))
      inside = inside & below(column, n(hidden));
    return ifElse(
        inside,
        [&]() -> Vs {
          V together = load(x, at, VectorType::get({each}, type));
          Vs v;
          for (int64_t i = 0; i < each; ++i)
            v.push_back(element(together, i));
          return v;
        },
        [&] { return zeros; });
  }
  /// Writes a lane's 4 bytes to the token's rows, of which lane j < k has row j in `own`.
  void scatterWord(V word, V plane, V lane, V own) {
    for (int64_t j = 0; j < k; ++j) {
      V row = shuffle(tile::ShuffleKind::Index, own, n(j));
      V within = bitOr(shl(bitXor(shr(lane, 2), row & n(7)), 4), shl(lane & n(3), 2));
      V bytes = (plane + wide(row)) * wide(128) + wide(within);
      store(word, out, outBytes == 1 ? bytes : wrap(arith::ShRUIOp::create(b, loc, bytes, wide(1))));
    }
  }
  V planeOf(V kb) { return wide(kb) * fromIndex(dim(out, 1), b.getI64Type()); }

  Value x, out;
  int64_t hidden, k, outBytes, each;
};

/// In FP8: 128 columns with one scale, which goes to scales [KB, R].
class QuantizeBlock : public TokenBlock {
public:
  QuantizeBlock(OpBuilder &b, Location loc, Value x, Value codes, Value scales, int64_t k)
      : TokenBlock(b, loc, x, codes, k), scales(scales) {}

  static int64_t blocks(int64_t hidden) { return blocksOf(hidden, 128); }

  /// A scale and a lane's four codes.
  struct Codes {
    V scale, word;
  };

  /// Those of block `kb` of a token; where `inside` does not hold, of zeros.
  Codes quantize(V token, V kb, V lane, V inside) {
    Vs v = elements(token, kb, lane, inside, cast<MemRefType>(x.getType()).getElementType());
    V largest = f32(1e-4);
    for (V &value : v) {
      value = widen(value);
      largest = larger(largest, abs(value));
    }
    largest = butterfly(largest, 1, 32, [&](V a, V c) { return larger(a, c); });
    V scale = largest / f32(448);
    V word = wrap(tile::CodesOp::create(b, loc, i32Type(), v[0] / scale, v[1] / scale, v[2] / scale, v[3] / scale,
                                        TypeAttr::get(Float8E4M3FNType::get(b.getContext()))));
    return {scale, word};
  }

  /// Writes them to the token's rows; lane j < k has row j in `own`.
  void scatter(Codes block, V kb, V lane, V own) {
    V plane = planeOf(kb);
    ifThen(below(lane, n(k)), [&] { store(block.scale, scales, plane + wide(own)); });
    scatterWord(block.word, plane, lane, own);
  }

private:
  Value scales;
};

/// In 16 bits: 64 columns as they are.
class CopyBlock : public TokenBlock {
public:
  using TokenBlock::TokenBlock;
  static int64_t blocks(int64_t hidden) { return blocksOf(hidden, 64); }

  V copy(V token, V kb, V lane, V inside) {
    Vs v = elements(token, kb, lane, inside, b.getI16Type());
    auto wider = [&](V half) { return wrap(arith::ExtUIOp::create(b, loc, i32Type(), half)); };
    return bitOr(wider(v[0]), shl(wider(v[1]), 16));
  }
  void scatter(V word, V kb, V lane, V own) { scatterWord(word, planeOf(kb), lane, own); }
};

} // namespace mlir::moe

#endif // MOE_TILE_GPU_QUANTIZEBLOCK_H
