//===- ConvertOnnxAttention.cpp - Attention and RotaryEmbedding as plain tensor code ----===//
// What remains of these nodes after recognising, and what the oracle computes: scores, bias, softmax, weighted sum.
//===----------------------------------------------------------------------===//
#include "ConvertOnnxAttention.h"

#include <cmath>

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::convert;

using F = arith::CmpFPredicate;
using I = arith::CmpIPredicate;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Value convert::splitHeads(OnnxLowering &l, Value v, int64_t heads) {
  Sizes n = l.sizes(v);
  Value split = l.reshape(v, {n[0], n[1], l.at(heads), l.floorDiv(n[2], l.at(heads))});
  return l.transpose(split, {0, 2, 1, 3});
}

Value convert::joinHeads(OnnxLowering &l, Value v) {
  Value t = l.transpose(v, {0, 2, 1, 3});
  return l.collapse(t, 2, 4);
}

Value convert::headProduct(OnnxLowering &l, Value x, Value y, bool transposed) {
  Sizes nx = l.sizes(x), ny = l.sizes(y);
  Type acc = computeType(ranked(x).getElementType());
  OpFoldResult columns = transposed ? ny[2] : ny[3];
  OpFoldResult group = l.floorDiv(nx[1], ny[1]);
  Value x5 = l.reshape(x, {nx[0], ny[1], group, nx[2], nx[3]});
  Sizes loops = {nx[0], ny[1], group, nx[2], columns, nx[3]};
  auto d = [&](unsigned i) { return l.b.getAffineDimExpr(i); };
  MLIRContext *ctx = l.b.getContext();
  AffineMap outMap = AffineMap::get(6, 0, {d(0), d(1), d(2), d(3), d(4)}, ctx);
  AffineMap xMap = AffineMap::get(6, 0, {d(0), d(1), d(2), d(3), d(5)}, ctx);
  AffineMap yMap = transposed ? AffineMap::get(6, 0, {d(0), d(1), d(4), d(5)}, ctx)
                              : AffineMap::get(6, 0, {d(0), d(1), d(5), d(4)}, ctx);
  Value init = l.fill(acc, ArrayRef(loops).drop_back(), l.scalars().constant(acc, 0));
  Type tx = ranked(x).getElementType(), ty = ranked(y).getElementType();
  Value p = l.contraction(init, loops, outMap, {x5, y}, {xMap, yMap}, [&](Scalars &s, ValueRange v) {
    return s.add(v[2], s.mul(s.cast(v[0], tx, acc), s.cast(v[1], ty, acc)));
  });
  return l.reshape(p, {nx[0], nx[1], nx[2], columns});
}

Value convert::applyBias(OnnxLowering &l, Value scores, const Visibility &see) {
  Type acc = ranked(scores).getElementType();
  Sizes n = l.sizes(scores);
  int64_t maskRank = see.mask ? ranked(see.mask).getRank() : 0;
  SmallVector<Value> maskExtents;
  for (int64_t d = 0; d < maskRank; ++d)
    maskExtents.push_back(l.value(l.size(see.mask, d)));
  Value queries = l.value(n[2]);
  return l.generic(acc, n, {scores}, {l.b.getMultiDimIdentityMap(4)}, [&](Scalars &s, ValueRange x) {
    Value z = x[0], hidden = s.integer(s.b.getI1Type(), 0);
    Value key = s.position(3);
    auto hide = [&](Value c) { hidden = s.make<arith::OrIOp>(hidden, c); };
    if (see.mask) {
      SmallVector<Value> place;
      for (int64_t d = 0; d < maskRank; ++d) {
        Value p = s.position(4 - maskRank + d);
        if (ranked(see.mask).getDimSize(d) == 1 && d != maskRank - 1)
          p = s.index(0);
        else if (d == maskRank - 1)
          p = s.max(s.min(p, s.sub(maskExtents[d], s.index(1))), s.index(0));
        else if (ranked(see.mask).isDynamicDim(d))
          p = s.select(s.cmp(I::eq, maskExtents[d], s.index(1)), s.index(0), p);
        place.push_back(p);
      }
      Value m = s.make<tensor::ExtractOp>(see.mask, place);
      hide(s.cmp(I::sge, key, maskExtents.back()));
      if (see.maskType.isInteger(1)) {
        hide(s.make<arith::XOrIOp>(m, s.integer(s.b.getI1Type(), 1)));
      } else {
        Value bias = s.cast(m, see.maskType, acc);
        hide(s.cmp(F::OEQ, bias, s.constant(acc, -kInfinity)));
        z = s.add(z, bias);
      }
    }
    Value offset = see.offset;
    if (see.lengths) {
      Value length = s.toIndex(s.make<tensor::ExtractOp>(see.lengths, ValueRange{s.position(0)}));
      hide(s.cmp(I::sge, key, length));
      if (!offset)
        offset = s.sub(length, queries);
    }
    if (see.causal || see.left >= 0 || see.right >= 0) {
      Value p = s.position(2);
      if (offset)
        p = s.add(p, offset);
      if (see.causal)
        hide(s.cmp(I::sgt, key, p));
      if (see.left >= 0)
        hide(s.cmp(I::slt, key, s.sub(p, s.index(see.left))));
      if (see.right >= 0)
        hide(s.cmp(I::sgt, key, s.add(p, s.index(see.right))));
    }
    return s.select(hidden, s.constant(acc, -kInfinity), z);
  });
}

Value convert::maskedSoftmax(OnnxLowering &l, Value z, Value sinks) {
  Type acc = ranked(z).getElementType();
  Value top = l.reduceMax(z, {3});
  auto d = [&](unsigned i) { return l.b.getAffineDimExpr(i); };
  AffineMap perHead = AffineMap::get(3, 0, {d(1)}, l.b.getContext()), rows = l.b.getMultiDimIdentityMap(3);
  Type sinkType = sinks ? ranked(sinks).getElementType() : Type();
  if (sinks)
    top = l.generic(acc, l.sizes(top), {top, sinks}, {rows, perHead},
                    [&](Scalars &s, ValueRange x) { return s.max(x[0], s.cast(x[1], sinkType, acc)); });
  auto shifted = [&](Scalars &s, Value x, Value top) {
    Value none = s.cmp(F::OEQ, top, s.constant(acc, -kInfinity));
    return s.exp(s.sub(x, s.select(none, s.constant(acc, 0), top)));
  };
  Value e = l.elementwise(acc, {z, l.insertUnitDims(top, {3})},
                          [&](Scalars &s, ValueRange x) { return shifted(s, x[0], x[1]); });
  Value sum = l.reduceSum(e, {3});
  if (sinks)
    sum = l.generic(acc, l.sizes(sum), {sum, top, sinks}, {rows, rows, perHead}, [&](Scalars &s, ValueRange x) {
      return s.add(x[0], shifted(s, s.cast(x[2], sinkType, acc), x[1]));
    });
  return l.elementwise(acc, {e, l.insertUnitDims(sum, {3})}, [&](Scalars &s, ValueRange x) {
    Value none = s.cmp(F::OEQ, x[1], s.constant(acc, 0));
    return s.make<arith::DivFOp>(x[0], s.select(none, s.constant(acc, 1), x[1]));
  });
}

Value convert::scaleBy(OnnxLowering &l, Value v, Value factor) {
  return l.elementwise(ranked(v).getElementType(), {v}, [&](Scalars &s, ValueRange x) { return s.mul(x[0], factor); });
}

Value convert::softcap(OnnxLowering &l, Value v, double cap) {
  Type acc = ranked(v).getElementType();
  return l.elementwise(acc, {v}, [&](Scalars &s, ValueRange x) {
    return s.mul(s.constant(acc, cap), s.make<math::TanhOp>(s.make<arith::DivFOp>(x[0], s.constant(acc, cap))));
  });
}

Value convert::scaleValue(OnnxLowering &l, Type acc, OpFoldResult headSize, bool zeroMeansDefault) {
  Scalars s = l.scalars();
  double given = l.floatAttr("scale", zeroMeansDefault ? 0.0 : std::nan(""));
  if (!std::isnan(given) && !(zeroMeansDefault && given == 0))
    return s.constant(acc, given);
  if (std::optional<int64_t> d = getConstantIntValue(headSize))
    return s.constant(acc, 1.0 / std::sqrt(static_cast<double>(*d)));
  Value d = s.cast(s.make<arith::IndexCastOp>(l.b.getI64Type(), cast<Value>(headSize)), l.b.getI64Type(), acc);
  return s.make<arith::DivFOp>(s.constant(acc, 1), s.make<math::SqrtOp>(d));
}

static LogicalResult lowerAttention(OnnxLowering &l) {
  Value q = l.input(0), k = l.input(1), v = l.input(2);
  int64_t rank = l.rankOf(0);
  if ((rank != 3 && rank != 4) || l.rankOf(1) != rank || l.rankOf(2) != rank)
    return l.unsupported("expects query, key and value of rank 3 or of rank 4");
  if (rank == 3) {
    int64_t heads = l.intAttr("q_num_heads", 0), kvHeads = l.intAttr("kv_num_heads", 0);
    if (heads <= 0 || kvHeads <= 0 || heads % kvHeads)
      return l.unsupported("expects q_num_heads to be a multiple of kv_num_heads for inputs of rank 3");
    q = splitHeads(l, q, heads);
    k = splitHeads(l, k, kvHeads);
    v = splitHeads(l, v, kvHeads);
  }
  if (l.has(4) != l.has(5))
    return l.unsupported("expects past_key and past_value together");
  Visibility see;
  see.mask = l.input(3);
  if (see.mask)
    see.maskType = l.elementOf(3);
  see.causal = l.intAttr("is_causal", 0);
  see.left = l.intAttr("left_window_size", -1);
  see.right = l.intAttr("right_window_size", -1);
  if (l.has(4)) {
    see.offset = l.value(l.size(l.input(4), 2));
    k = l.concat({l.input(4), k}, 2);
    v = l.concat({l.input(5), v}, 2);
  }
  see.lengths = l.input(6);
  if (see.mask && (ranked(see.mask).getRank() == 0 || ranked(see.mask).getRank() > 4))
    return l.unsupported("expects a mask of rank 1 to 4");
  Type elem = l.elementOf(0), acc = computeType(elem);
  Value scores = scaleBy(l, headProduct(l, q, k, /*transposed=*/true), scaleValue(l, acc, l.size(q, 3), false));
  int64_t mode = l.intAttr("qk_matmul_output_mode", 0);
  auto show = [&](int64_t which, Value value) {
    if (mode == which && l.onnxResult(3))
      l.set(3, l.narrow(value, l.resultElement(3)));
  };
  double cap = l.floatAttr("softcap", 0.0);
  if (cap == 0)
    show(1, scores);
  show(0, scores);
  if (cap > 0) {
    scores = softcap(l, scores, cap);
    show(1, scores);
  }
  if (see.any())
    scores = applyBias(l, scores, see);
  show(2, scores);
  Value probabilities = maskedSoftmax(l, scores);
  show(3, probabilities);
  Value y = l.narrow(headProduct(l, l.narrow(probabilities, elem), v, /*transposed=*/false), elem);
  l.set(0, rank == 3 ? joinHeads(l, y) : y);
  l.set(1, k);
  l.set(2, v);
  return success();
}

//===----------------------------------------------------------------------===//
// Rotation
//===----------------------------------------------------------------------===//

Value convert::rotate(OnnxLowering &l, Value x, const Rotation &r) {
  Type elem = ranked(x).getElementType(), wide = computeType(elem);
  Type table = ranked(r.cos).getElementType();
  Sizes n = l.sizes(x);
  Value width = r.rotated ? l.value(l.at(r.rotated)) : l.value(n[3]);
  Value half = l.value(l.floorDiv(l.fold(width), l.at(2)));
  Value rows = l.value(l.size(r.cos, 0)), columns = l.value(l.size(r.cos, ranked(r.cos).getRank() - 1));
  return l.generic(elem, n, {x}, {l.b.getMultiDimIdentityMap(4)}, [&](Scalars &s, ValueRange v) {
    Value d = s.position(3), batch = s.position(r.batchDim), step = s.position(r.sequenceDim);
    Value inside = s.cmp(I::slt, d, width), pair, first, partner;
    if (r.interleaved) {
      pair = s.make<arith::DivUIOp>(d, s.index(2));
      first = s.cmp(I::eq, s.make<arith::RemUIOp>(d, s.index(2)), s.index(0));
      partner = s.select(first, s.add(d, s.index(1)), s.sub(d, s.index(1)));
    } else {
      first = s.cmp(I::slt, d, half);
      pair = s.select(first, d, s.sub(d, half));
      partner = s.select(first, s.add(d, half), s.sub(d, half));
    }
    // Past the rotated part both reads stay where they are allowed.
    pair = s.max(s.min(pair, s.sub(columns, s.index(1))), s.index(0));
    partner = s.select(inside, partner, d);
    SmallVector<Value> entry;
    if (r.positions || r.offset) {
      Value p = r.positions ? s.toIndex(s.make<tensor::ExtractOp>(r.positions, ValueRange{batch, step}))
                            : s.add(s.toIndex(s.make<tensor::ExtractOp>(r.offset, ValueRange{s.index(0)})), step);
      entry = {l.checkedIndex(s, p, rows), pair};
    } else {
      entry = {batch, step, pair};
    }
    SmallVector<Value> other;
    for (int64_t k = 0; k < 3; ++k)
      other.push_back(s.position(k));
    other.push_back(partner);
    Value c = s.cast(s.make<tensor::ExtractOp>(r.cos, entry), table, wide);
    Value si = s.cast(s.make<tensor::ExtractOp>(r.sin, entry), table, wide);
    Value own = s.cast(v[0], elem, wide), mate = s.cast(s.make<tensor::ExtractOp>(x, other), elem, wide);
    Value turned = s.mul(mate, si);
    turned = s.add(s.mul(own, c), s.select(first, s.negate(turned), turned));
    return s.select(inside, s.cast(turned, wide, elem), v[0]);
  });
}

/// x of rank 4 [B, heads, S, D], or of rank 3 [B, S, heads * D].
static LogicalResult rotateNode(OnnxLowering &l, Rotation r, int64_t heads) {
  Value x = l.input(0);
  int64_t rank = l.rankOf(0);
  if (rank != 3 && rank != 4)
    return l.unsupported("expects an input of rank 3 or 4, but its rank is " + Twine(rank));
  if (rank == 3 && heads <= 0)
    return l.unsupported("expects num_heads for an input of rank 3");
  r.batchDim = 0;
  r.headDim = rank == 4 ? 1 : 2;
  r.sequenceDim = rank == 4 ? 2 : 1;
  Sizes own = l.sizes(x);
  if (rank == 3)
    x = l.reshape(x, {own[0], own[1], l.at(heads), l.floorDiv(own[2], l.at(heads))});
  int64_t head = ranked(x).getDimSize(3);
  if (r.rotated % 2 || (!ShapedType::isDynamic(head) && r.rotated > head))
    return l.unsupported("expects an even rotary_embedding_dim of at most the head size, but it is " +
                         Twine(r.rotated));
  Value y = rotate(l, x, r);
  l.set(rank == 3 ? l.reshape(y, own) : y);
  return success();
}

static LogicalResult lowerRotary(OnnxLowering &l) {
  Rotation r{l.input(1),
             l.input(2),
             l.input(3),
             {},
             0,
             0,
             0,
             l.intAttr("interleaved", 0) != 0,
             l.intAttr("rotary_embedding_dim", 0)};
  if (l.rankOf(1) != (l.has(3) ? 2 : 3))
    return l.unsupported("expects cos_cache and sin_cache of rank 2 with position_ids, of rank 3 without");
  return rotateNode(l, r, l.intAttr("num_heads", 0));
}

/// com.microsoft: input, position_ids ([B, S], or [1]: the first position), cos_cache, sin_cache.
static LogicalResult lowerMsRotary(OnnxLowering &l) {
  if (l.intAttr("is_packed_batching", 0))
    return l.unsupported("expects is_packed_batching 0");
  int64_t width = ranked(l.onnxInput(2)).getDimSize(1), rotated = l.intAttr("rotary_embedding_dim", 0),
          heads = l.intAttr("num_heads", 0);
  if (rotated == 0 && l.rankOf(0) == 3 && heads == 0) {
    int64_t hidden = ranked(l.onnxInput(0)).getDimSize(2);
    if (ShapedType::isDynamic(width) || ShapedType::isDynamic(hidden) || hidden % (2 * width))
      return l.unsupported("expects num_heads, or a cos_cache that tells the head size");
    heads = hidden / (2 * width);
  }
  bool one = l.rankOf(1) == 1;
  Rotation r{l.input(2),
             l.input(3),
             one ? Value() : l.input(1),
             one ? l.input(1) : Value(),
             0,
             0,
             0,
             l.intAttr("interleaved", 0) != 0,
             rotated};
  return rotateNode(l, r, heads);
}

void convert::addAttention(LowerTable &t) {
  t["Attention"] = lowerAttention;
  t["RotaryEmbedding"] = lowerRotary;
  t["ms.RotaryEmbedding"] = lowerMsRotary;
}
