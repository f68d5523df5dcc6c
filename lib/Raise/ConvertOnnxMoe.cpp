//===- ConvertOnnxMoe.cpp - com.microsoft MoE and QMoE as plain tensor code ----===//
// Slot by slot: only the chosen experts' weights are read, through the index. router_probs holds logits.
//===----------------------------------------------------------------------===//
#include "ConvertOnnx.h"

#include "dialects/moe/Moe.h"

#include <cmath>

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::convert;

namespace {

using I = arith::CmpIPredicate;

/// The weights [E, N, K] of one product, plain or as codes with scales.
struct Bank {
  Value weights, bias, scales, zeroPoints;
  Type weightType, biasType, scaleType;
  int64_t bits = 0, block = 0; // bits 0: plain

  /// weights[e, n, k] in f32.
  Value read(Scalars &s, Value e, Value n, Value k) const {
    Type f32 = s.b.getF32Type(), i32 = s.b.getI32Type();
    if (!bits)
      return s.cast(s.make<tensor::ExtractOp>(weights, ValueRange{e, n, k}), weightType, f32);
    int64_t pack = 8 / bits;
    auto unpack = [&](Value byte, Value position) {
      Value wide = s.make<arith::ExtUIOp>(i32, byte);
      if (pack == 1)
        return wide;
      Value shift = s.mul(s.make<arith::RemUIOp>(position, s.index(pack)), s.index(bits));
      return s.make<arith::AndIOp>(s.make<arith::ShRUIOp>(wide, s.make<arith::IndexCastOp>(i32, shift)), s.integer(i32, (1 << bits) - 1));
    };
    auto packed = [&](Value p) { return pack == 1 ? p : s.make<arith::DivUIOp>(p, s.index(pack)); };
    Value code = unpack(s.make<tensor::ExtractOp>(weights, ValueRange{e, n, packed(k)}), k);
    bool blocks = cast<RankedTensorType>(scales.getType()).getRank() == 3;
    Value group = blocks ? s.make<arith::DivUIOp>(k, s.index(block)) : Value();
    Value zero = s.integer(i32, 1 << (bits - 1));
    if (zeroPoints) {
      SmallVector<Value> place = blocks ? SmallVector<Value>{e, n, packed(group)} : SmallVector<Value>{e, packed(n)};
      zero = unpack(s.make<tensor::ExtractOp>(zeroPoints, place), blocks ? group : n);
    }
    SmallVector<Value> place = {e, n};
    if (blocks)
      place.push_back(group);
    Value scale = s.cast(s.make<tensor::ExtractOp>(scales, place), scaleType, f32);
    return s.mul(s.make<arith::SIToFPOp>(f32, s.sub(code, zero)), scale);
  }
};

/// out[t, j, n] = bias[e, n] + sum_k x[t, (j,) k] * weights[e, n, k] with e = experts[t, j], in f32.
Value product(OnnxLowering &l, Value x, Value experts, const Bank &bank) {
  FloatType f32 = l.b.getF32Type();
  Type elem = ranked(x).getElementType();
  Sizes n = l.sizes(experts), loops = {n[0], n[1], l.size(bank.weights, 1), l.size(x, ranked(x).getRank() - 1)};
  Value count = l.value(l.size(bank.weights, 0));
  auto d = [&](unsigned i) { return l.b.getAffineDimExpr(i); };
  MLIRContext *ctx = l.b.getContext();
  AffineMap expertMap = AffineMap::get(4, 0, {d(0), d(1)}, ctx), outMap = AffineMap::get(4, 0, {d(0), d(1), d(2)}, ctx);
  AffineMap xMap = ranked(x).getRank() == 2 ? AffineMap::get(4, 0, {d(0), d(3)}, ctx) : AffineMap::get(4, 0, {d(0), d(1), d(3)}, ctx);
  Sizes outSizes(loops.begin(), loops.begin() + 3);
  Value init;
  if (bank.bias)
    init = l.generic(f32, outSizes, {experts}, {AffineMap::get(3, 0, {d(0), d(1)}, ctx)}, [&](Scalars &s, ValueRange v) {
      Value e = l.safeIndex(s, v[0], count);
      return s.cast(s.make<tensor::ExtractOp>(bank.bias, ValueRange{e, s.position(2)}), bank.biasType, f32);
    });
  else
    init = l.fill(f32, outSizes, l.scalars().constant(f32, 0));
  return l.contraction(init, loops, outMap, {x, experts}, {xMap, expertMap}, [&](Scalars &s, ValueRange v) {
    Value w = bank.read(s, l.safeIndex(s, v[1], count), s.position(2), s.position(3));
    return s.add(v[2], s.mul(s.cast(v[0], elem, f32), w));
  });
}

Value activate(Scalars &s, Value x, StringRef name) {
  Type f = x.getType();
  if (name == "relu")
    return s.max(x, s.constant(f, 0));
  if (name == "silu")
    return s.mul(x, s.sigmoid(x));
  if (name == "gelu") {
    Value inner = s.add(x, s.mul(s.constant(f, 0.044715), s.mul(x, s.mul(x, x))));
    Value t = s.make<math::TanhOp>(s.mul(s.constant(f, std::sqrt(2.0 / M_PI)), inner));
    return s.mul(s.mul(s.constant(f, 0.5), x), s.add(s.constant(f, 1), t));
  }
  return x;
}

/// fusion 1: gate and linear part interleaved in the columns; 2: one after the other; 0: two tensors.
Value swiglu(OnnxLowering &l, Value h, Value linear, int64_t fusion) {
  FloatType f32 = l.b.getF32Type();
  double alpha = l.floatAttr("activation_alpha", 1.0), beta = l.floatAttr("activation_beta", 0.0);
  double limit = l.floatAttr("swiglu_limit", std::numeric_limits<double>::infinity());
  Sizes n = l.sizes(h);
  if (!linear)
    n[2] = l.floorDiv(n[2], l.at(2));
  Value width = l.value(n[2]);
  return l.generate(f32, n, [&](Scalars &s, ValueRange) {
    Value i = s.position(2);
    auto at = [&](Value from, Value column) { return s.make<tensor::ExtractOp>(from, ValueRange{s.position(0), s.position(1), column}); };
    Value g, u;
    if (linear) {
      g = at(h, i);
      u = at(linear, i);
    } else if (fusion == 1) {
      g = at(h, s.mul(i, s.index(2)));
      u = at(h, s.add(s.mul(i, s.index(2)), s.index(1)));
    } else {
      g = at(h, i);
      u = at(h, s.add(i, width));
    }
    if (std::isfinite(limit)) {
      g = s.min(g, s.constant(f32, limit));
      u = s.max(s.min(u, s.constant(f32, limit)), s.constant(f32, -limit));
    }
    Value gate = s.mul(g, s.sigmoid(s.mul(s.constant(f32, alpha), g)));
    return s.mul(gate, s.add(u, s.constant(f32, beta)));
  });
}

struct Choice {
  Value weights, experts; // [T, k] f32 and i64
};

/// softmax over all experts, the k largest, normalized if asked; `values` replaces what is gathered as weights.
FailureOr<Choice> choose(OnnxLowering &l, Value logits, Value values, bool normalize) {
  int64_t k = l.intAttr("k", 1), count = ranked(logits).getDimSize(1);
  FloatType f32 = l.b.getF32Type();
  logits = l.castElements(logits, ranked(logits).getElementType(), f32);
  Sizes n = l.sizes(logits);
  int64_t tokens = ranked(logits).getDimSize(0);
  if (k < 1 || ShapedType::isDynamic(count) || k > count)
    return l.unsupported("expects k in [1, number of experts], but it is " + Twine(k));
  SmallVector<Type> types = {RankedTensorType::get({tokens, k}, f32), RankedTensorType::get({tokens, k}, l.b.getI64Type())};
  Exprs shape = l.exprsOf({n[0], l.at(k)});
  Choice c;
  if (l.intAttr("use_sparse_mixer", 0)) {
    if (k != 2)
      return l.unsupported("expects k 2 with use_sparse_mixer, but it is " + Twine(k));
    auto op = RouteOp::create(l.b, l.loc, TypeRange(types), logits, Value(), ValueRange{}, uint64_t(2), ScoreFn::SparseMixer, uint64_t(1),
                              uint64_t(1), GroupScore::Max, GroupFill::NegInf, WeightFn::Identity, Normalize::None, llvm::APFloat(0.0f),
                              llvm::APFloat(1.0f), llvm::APFloat(1.0f), llvm::APFloat(0.01f));
    c = {op.getResult(0), op.getResult(1)};
    l.setShape(c.weights, shape);
    l.setShape(c.experts, shape);
    return c;
  }
  Value p = values ? logits : l.softmax(logits, 1);
  auto op = TopKOp::create(l.b, l.loc, types, p, ValueRange{}, k);
  c = {op.getResult(0), op.getResult(1)};
  l.setShape(c.weights, shape);
  l.setShape(c.experts, shape);
  if (values) {
    Type from = ranked(values).getElementType();
    Value extent = l.value(n[1]);
    c.weights = l.generic(f32, {n[0], l.at(k)}, {c.experts}, {l.b.getMultiDimIdentityMap(2)}, [&](Scalars &s, ValueRange v) {
      return s.cast(s.make<tensor::ExtractOp>(values, ValueRange{s.position(0), l.safeIndex(s, v[0], extent)}), from, f32);
    });
  }
  if (normalize) {
    Value sum = l.insertUnitDims(l.reduceSum(c.weights, {1}), {1});
    c.weights = l.elementwise(f32, {c.weights, sum}, [](Scalars &s, ValueRange v) { return s.make<arith::DivFOp>(v[0], v[1]); });
  }
  return c;
}

LogicalResult lowerExperts(OnnxLowering &l, const Bank &fc1, const Bank &fc2, const std::optional<Bank> &fc3, const Choice &choice) {
  std::string activation = l.stringAttr("activation_type", "relu");
  int64_t fusion = l.intAttr("swiglu_fusion", 0);
  if (!llvm::is_contained({"relu", "gelu", "silu", "swiglu", "identity"}, activation))
    return l.unsupported("expects activation_type relu, gelu, silu, swiglu or identity, but found " + activation);
  FloatType f32 = l.b.getF32Type();
  Value x = l.input(0);
  Sizes own = l.sizes(x);
  if (l.rankOf(0) == 3)
    x = l.collapse(x, 0, 2);
  Value h = product(l, x, choice.experts, fc1), linear = fc3 ? product(l, x, choice.experts, *fc3) : Value();
  if (activation == "swiglu")
    h = swiglu(l, h, linear, fusion == 0 && !linear ? 1 : fusion);
  else if (linear)
    h = l.elementwise(f32, {h, linear}, [&](Scalars &s, ValueRange v) { return s.mul(activate(s, v[0], activation), v[1]); });
  else
    h = l.elementwise(f32, {h}, [&](Scalars &s, ValueRange v) { return activate(s, v[0], activation); });
  Value y = product(l, h, choice.experts, fc2);
  Sizes loops = l.sizes(y);
  auto d = [&](unsigned i) { return l.b.getAffineDimExpr(i); };
  MLIRContext *ctx = l.b.getContext();
  Value init = l.fill(f32, {loops[0], loops[2]}, l.scalars().constant(f32, 0));
  Value sum = l.contraction(init, loops, AffineMap::get(3, 0, {d(0), d(2)}, ctx), {y, choice.weights},
                            {l.b.getMultiDimIdentityMap(3), AffineMap::get(3, 0, {d(0), d(1)}, ctx)},
                            [](Scalars &s, ValueRange v) { return s.add(v[2], s.mul(v[0], v[1])); });
  Value result = l.narrow(sum, l.resultElement());
  l.set(l.rankOf(0) == 3 ? l.reshape(result, own) : result);
  return success();
}

LogicalResult lowerMoe(OnnxLowering &l) {
  auto bank = [&](unsigned weights) {
    Bank b;
    b.weights = l.input(weights);
    b.weightType = l.elementOf(weights);
    b.bias = l.input(weights + 1);
    b.biasType = b.bias ? l.elementOf(weights + 1) : Type();
    return b;
  };
  FailureOr<Choice> choice = choose(l, l.input(1), {}, l.intAttr("normalize_routing_weights", 0));
  if (failed(choice))
    return failure();
  return lowerExperts(l, bank(2), bank(4), l.has(6) ? std::optional(bank(6)) : std::nullopt, *choice);
}

LogicalResult lowerQMoe(OnnxLowering &l) {
  if (std::string type = l.stringAttr("quant_type", "int"); type != "int")
    return l.unsupported("expects quant_type \"int\", but found \"" + type + "\"");
  for (unsigned i = 15; i < 21; ++i)
    if (l.has(i))
      return l.unsupported("expects no global or activation scales");
  int64_t common = l.intAttr("expert_weight_bits", 4), block = l.intAttr("block_size", 0);
  bool fine = true;
  auto bank = [&](unsigned weights, unsigned zero, StringRef bitsName) {
    Bank b;
    b.weights = l.input(weights);
    b.weightType = l.elementOf(weights);
    b.scales = l.input(weights + 1);
    b.bias = l.input(weights + 2);
    b.biasType = b.bias ? l.elementOf(weights + 2) : Type();
    b.zeroPoints = l.input(zero);
    b.bits = l.intAttr(bitsName, common);
    b.block = block;
    fine &= b.scales && (b.bits == 2 || b.bits == 4 || b.bits == 8);
    if (b.scales) {
      b.scaleType = l.elementOf(weights + 1);
      fine &= l.rankOf(weights + 1) == 2 || (l.rankOf(weights + 1) == 3 && block > 0);
    }
    return b;
  };
  Bank fc1 = bank(2, 11, "fc1_expert_weight_bits"), fc2 = bank(5, 12, "fc2_expert_weight_bits");
  std::optional<Bank> fc3;
  if (l.has(8))
    fc3 = bank(8, 13, "fc3_expert_weight_bits");
  if (!fine)
    return l.unsupported("expects 2, 4 or 8 bits and scales [E, N], or [E, N, K / block_size] with block_size");
  // Without router weights the chosen ones are always normalized: that is a softmax over the k.
  Value values = l.input(14);
  FailureOr<Choice> choice = choose(l, l.input(1), values, !values || l.intAttr("normalize_routing_weights", 0));
  if (failed(choice))
    return failure();
  return lowerExperts(l, fc1, fc2, fc3, *choice);
}

} // namespace

void convert::addMoe(LowerTable &t) {
  t["ms.MoE"] = lowerMoe;
  t["ms.QMoE"] = lowerQMoe;
}
