//===- ConvertOnnxMsAttention.cpp - com.microsoft GroupQueryAttention, MultiHeadAttention ----===//
#include "ConvertOnnxAttention.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::convert;

using I = arith::CmpIPredicate;

/// The cache after this call, [B, N, L, D]: what was before a row's `past[b]`, then its new keys, then zeros.
static Value present(OnnxLowering &l, Value old, Value fresh, Value past, OpFoldResult length) {
  Sizes n = l.sizes(fresh), sizes = {n[0], n[1], length, n[3]};
  Type elem = ranked(fresh).getElementType();
  Value added = l.value(n[2]), capacity = old ? l.value(l.size(old, 2)) : Value();
  return l.generate(elem, sizes, [&](Scalars &s, ValueRange) {
    Value batch = s.position(0), head = s.position(1), column = s.position(3);
    Value at = s.position(2), before = s.toIndex(s.make<tensor::ExtractOp>(past, ValueRange{batch}));
    Value place = s.sub(at, before);
    auto read = [&](OpBuilder &b, Location loc, Value from, Value row) -> Value {
      return tensor::ExtractOp::create(b, loc, from, ValueRange{batch, head, row, column});
    };
    auto orOld = [&](OpBuilder &b, Location loc) {
      Scalars t{b, loc};
      Value zero = t.cast(t.constant(computeType(elem), 0), computeType(elem), elem);
      if (!old)
        return zero;
      auto kept = scf::IfOp::create(
          b, loc, t.cmp(I::slt, at, t.min(before, capacity)),
          [&](OpBuilder &b, Location loc) { scf::YieldOp::create(b, loc, read(b, loc, old, at)); },
          [&](OpBuilder &b, Location loc) { scf::YieldOp::create(b, loc, zero); });
      return kept.getResult(0);
    };
    Value isNew = s.make<arith::AndIOp>(s.cmp(I::sge, place, s.index(0)), s.cmp(I::slt, place, added));
    auto chosen = scf::IfOp::create(
        s.b, s.loc, isNew,
        [&](OpBuilder &b, Location loc) { scf::YieldOp::create(b, loc, read(b, loc, fresh, place)); },
        [&](OpBuilder &b, Location loc) { scf::YieldOp::create(b, loc, orOld(b, loc)); });
    return chosen.getResult(0);
  });
}

/// seqlens_k[b] + 1 keys are there after this call; in a prompt (as many as queries) nothing was before.
static LogicalResult lowerGroupQuery(OnnxLowering &l) {
  int64_t heads = l.intAttr("num_heads", 0), kvHeads = l.intAttr("kv_num_heads", 0);
  if (heads <= 0 || kvHeads <= 0 || heads % kvHeads || l.rankOf(0) != 3)
    return l.unsupported("expects a query of rank 3 and num_heads to be a multiple of kv_num_heads");
  if (l.stringAttr("k_quant_type", "NONE") != "NONE" || l.stringAttr("v_quant_type", "NONE") != "NONE" ||
      l.intAttr("sliding_window_cache", 0))
    return l.unsupported("expects a cache that is neither quantized nor sliding");
  if (l.has(14) || l.has(15))
    return l.unsupported("expects no q_norm_weight and k_norm_weight");
  if (l.has(1) != l.has(2) || l.has(3) != l.has(4))
    return l.unsupported("expects key and value together, past_key and past_value together");
  if (l.wanted(3))
    return l.unsupported("expects no use of the result output_qk");
  Value q = l.input(0), k = l.input(1), v = l.input(2);
  if (!k) {
    OpFoldResult head = l.floorDiv(l.size(q, 2), l.at(heads + 2 * kvHeads));
    OpFoldResult width = l.mul(head, l.at(heads)), kvWidth = l.mul(head, l.at(kvHeads));
    k = l.sliceAxis(q, 2, width, kvWidth);
    v = l.sliceAxis(q, 2, l.add(width, kvWidth), kvWidth);
    q = l.sliceAxis(q, 2, l.at(0), width);
  }
  q = splitHeads(l, q, heads);
  k = splitHeads(l, k, kvHeads);
  v = splitHeads(l, v, kvHeads);
  Value lengths = l.rankOf(5) == 1 ? l.input(5) : l.collapse(l.input(5), 0, l.rankOf(5));
  OpFoldResult queries = l.size(q, 2), total = l.element(l.onnxInput(6), 0);
  Value sequence = l.value(queries);
  Value prompt = l.scalars().cmp(I::eq, l.value(total), sequence);
  Type i64 = l.b.getI64Type();
  Value past =
      l.generic(i64, {l.size(q, 0)}, {lengths}, {l.b.getMultiDimIdentityMap(1)}, [&](Scalars &s, ValueRange x) {
        Value before = s.max(s.sub(s.add(s.toIndex(x[0]), s.index(1)), sequence), s.index(0));
        return s.make<arith::IndexCastOp>(i64, s.select(prompt, s.index(0), before));
      });
  if (l.intAttr("do_rotary", 0)) {
    if (!l.has(7) || !l.has(8))
      return l.unsupported("expects cos_cache and sin_cache with do_rotary");
    Value positions = l.input(9);
    if (!positions)
      positions = l.generic(
          i64, {l.size(q, 0), queries}, {past}, {AffineMap::get(2, 0, {l.b.getAffineDimExpr(0)}, l.b.getContext())},
          [&](Scalars &s, ValueRange x) { return s.add(x[0], s.make<arith::IndexCastOp>(i64, s.position(1))); });
    int64_t half = ranked(l.onnxInput(7)).getDimSize(1), head = ranked(q).getDimSize(3);
    if (ShapedType::isDynamic(half) || (!ShapedType::isDynamic(head) && 2 * half > head))
      return l.unsupported("expects a cos_cache of known width of at most half the head");
    Rotation r{l.input(7), l.input(8), positions, {}, 0, 1, 2, l.intAttr("rotary_interleaved", 0) != 0, 2 * half};
    q = rotate(l, q, r);
    k = rotate(l, k, r);
  }
  OpFoldResult length = l.has(3) ? l.max(l.size(l.input(3), 2), total) : l.max(total, queries);
  k = present(l, l.input(3), k, past, length);
  v = present(l, l.input(4), v, past, length);

  Visibility see;
  see.mask = l.input(10);
  if (see.mask)
    see.maskType = l.elementOf(10);
  see.causal = l.intAttr("causal", 1);
  if (int64_t window = l.intAttr("local_window_size", -1); window > 0)
    see.left = window - 1;
  see.lengths = l.generic(i64, {l.size(q, 0)}, {past}, {l.b.getMultiDimIdentityMap(1)}, [&](Scalars &s, ValueRange x) {
    return s.add(x[0], s.make<arith::IndexCastOp>(i64, sequence));
  });
  Type elem = l.elementOf(0), acc = computeType(elem);
  Value sinks = l.input(11);
  if (!sinks && l.intAttr("smooth_softmax", 0) > 0)
    sinks = l.fill(acc, {l.at(heads)}, l.scalars().constant(acc, 0));
  Value scores = scaleBy(l, headProduct(l, q, k, /*transposed=*/true), scaleValue(l, acc, l.size(q, 3), true));
  if (double cap = l.floatAttr("softcap", 0.0); cap > 0)
    scores = softcap(l, scores, cap);
  Value p = maskedSoftmax(l, applyBias(l, scores, see), sinks);
  l.set(0, joinHeads(l, l.narrow(headProduct(l, l.narrow(p, elem), v, /*transposed=*/false), elem)));
  l.set(1, k);
  l.set(2, v);
  return success();
}

/// query [B, S, N * D]; key and value of rank 3 like it, or of rank 4 [B, N, L, D].
static LogicalResult lowerMultiHead(OnnxLowering &l) {
  int64_t heads = l.intAttr("num_heads", 0);
  if (heads <= 0 || l.rankOf(0) != 3 || !l.has(1) || !l.has(2))
    return l.unsupported("expects num_heads, a query of rank 3, a key and a value");
  if (l.has(8) || l.has(9) || l.has(6) != l.has(7))
    return l.unsupported("expects past_key and past_value that grow by this call's keys");
  if (l.wanted(3))
    return l.unsupported("expects no use of the result qk");
  Type elem = l.elementOf(0), acc = computeType(elem);
  Value bias = l.input(3);
  OpFoldResult taken = l.at(0);
  auto project = [&](unsigned input) {
    Value v = l.input(input);
    if (l.rankOf(input) == 4)
      return v;
    OpFoldResult width = l.size(v, 2);
    if (bias) {
      Value part = l.slice(bias, {taken}, {width});
      taken = l.add(taken, width);
      v = l.elementwise(elem, {v, part}, [&](Scalars &s, ValueRange x) {
        return s.cast(s.add(s.cast(x[0], elem, acc), s.cast(x[1], elem, acc)), acc, elem);
      });
    }
    return splitHeads(l, v, heads);
  };
  Value q = project(0), k = project(1), v = project(2);
  Visibility see;
  see.causal = l.intAttr("unidirectional", 0);
  if (l.has(6)) {
    see.offset = l.value(l.size(l.input(6), 2));
    k = l.concat({l.input(6), k}, 2);
    v = l.concat({l.input(7), v}, 2);
  }
  Value scores = scaleBy(l, headProduct(l, q, k, /*transposed=*/true), scaleValue(l, acc, l.size(q, 3), true));
  if (Value padding = l.input(4)) {
    // [B]: lengths; [B, L]: zero where a key is padding. Such keys get a large negative number, not -inf.
    int64_t rank = l.rankOf(4);
    if (rank != 2 && !(rank == 1 && l.equal(l.shapeOf(padding)[0], l.shapeOf(q)[0])))
      return l.unsupported("expects key_padding_mask of shape [batch] or [batch, keys]");
    double filter = l.floatAttr("mask_filter_value", -10000.0);
    Sizes n = l.sizes(scores);
    auto d = [&](unsigned i) { return l.b.getAffineDimExpr(i); };
    AffineMap map = rank == 1 ? AffineMap::get(4, 0, {d(0)}, l.b.getContext())
                              : AffineMap::get(4, 0, {d(0), d(3)}, l.b.getContext());
    scores = l.generic(acc, n, {scores, padding}, {l.b.getMultiDimIdentityMap(4), map}, [&](Scalars &s, ValueRange x) {
      Value hidden =
          rank == 1 ? s.cmp(I::sge, s.position(3), s.toIndex(x[1])) : s.cmp(I::eq, x[1], s.integer(x[1].getType(), 0));
      return s.add(x[0], s.select(hidden, s.constant(acc, filter), s.constant(acc, 0)));
    });
  }
  see.mask = l.input(5);
  if (see.mask)
    see.maskType = l.elementOf(5);
  if (see.any())
    scores = applyBias(l, scores, see);
  Value p = maskedSoftmax(l, scores);
  l.set(0, joinHeads(l, l.narrow(headProduct(l, l.narrow(p, elem), v, /*transposed=*/false), elem)));
  l.set(1, k);
  l.set(2, v);
  return success();
}

void convert::addMsAttention(LowerTable &t) {
  t["ms.GroupQueryAttention"] = lowerGroupQuery;
  t["ms.MultiHeadAttention"] = lowerMultiHead;
}
