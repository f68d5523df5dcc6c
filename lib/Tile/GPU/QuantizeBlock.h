//===- QuantizeBlock.h - 128 columns of a token to the rows of its experts -===//
#ifndef MOE_TILE_GPU_QUANTIZEBLOCK_H
#define MOE_TILE_GPU_QUANTIZEBLOCK_H

#include "BlockCode.h"

namespace mlir::moe {

/// What a warp does with 128 columns of a token of x [T, H]: one scale, and the same 128 codes to each of k rows of codes [KB, R, 128]
/// and scales [KB, R], in the layout of moe.expert_products. Each lane has 4 columns.
class QuantizeBlock : public BlockCode {
public:
  QuantizeBlock(OpBuilder &b, Location loc, Value x, Value codes, Value scales, int64_t k)
      : BlockCode(b, loc), x(x), codes(codes), scales(scales), hidden(cast<MemRefType>(x.getType()).getDimSize(1)), k(k) {}

  static int64_t blocks(int64_t hidden) { return (hidden + 127) / 128; }

  /// A scale and a lane's four codes.
  struct Codes {
    V scale, word;
  };

  /// Those of block `kb` of a token; where `inside` does not hold, of zeros.
  Codes quantize(V token, V kb, V lane, V inside) {
    V column = kb * n(128) + shl(lane, 2);
    Type element = cast<MemRefType>(x.getType()).getElementType();
    if (hidden % 128)
      inside = inside & below(column, n(hidden));
    Vs v = ifElse(inside, [&]() -> Vs {
      V four = load(x, wide(token) * wide(hidden) + wide(column), VectorType::get({4}, element));
      Vs out;
      for (int64_t i = 0; i < 4; ++i)
        out.push_back(widen(this->element(four, i)));
      return out;
    }, [&]() -> Vs { return {f32(0), f32(0), f32(0), f32(0)}; });
    V largest = f32(1e-4);
    for (V value : v)
      largest = larger(largest, abs(value));
    largest = butterfly(largest, 1, 32, [&](V a, V c) { return larger(a, c); });
    V scale = largest / f32(448);
    V word = wrap(tile::CodesOp::create(b, loc, i32Type(), v[0] / scale, v[1] / scale, v[2] / scale, v[3] / scale,
                                        TypeAttr::get(Float8E4M3FNType::get(b.getContext()))));
    return {scale, word};
  }

  /// Writes them to the token's rows; lane j < k has row j in `own`.
  void scatter(Codes block, V kb, V lane, V own) {
    V rows = fromIndex(dim(codes, 1), b.getI64Type()), plane = wide(kb) * rows;
    ifThen(below(lane, n(k)), [&] { store(block.scale, scales, plane + wide(own)); });
    for (int64_t j = 0; j < k; ++j) {
      V row = shuffle(tile::ShuffleKind::Index, own, n(j));
      V within = bitOr(shl(bitXor(shr(lane, 2), row & n(7)), 4), shl(lane & n(3), 2));
      store(block.word, codes, (plane + wide(row)) * wide(128) + wide(within));
    }
  }

private:
  Value x, codes, scales;
  int64_t hidden, k;
};

} // namespace mlir::moe

#endif // MOE_TILE_GPU_QUANTIZEBLOCK_H
