//===- ConvertOnnxMoe.cpp - com.microsoft MoE and QMoE as plain tensor code ----===//
// Slot by slot: only the chosen experts' weights are read, through the index. router_probs holds logits.
//===----------------------------------------------------------------------===//
#include "ConvertOnnx.h"
#include "MoeNode.h"

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
      return s.make<arith::AndIOp>(s.make<arith::ShRUIOp>(wide, s.make<arith::IndexCastOp>(i32, shift)),
                                   s.integer(i32, (1 << bits) - 1));
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
  AffineMap xMap = ranked(x).getRank() == 2 ? AffineMap::get(4, 0, {d(0), d(3)}, ctx)
                                            : AffineMap::get(4, 0, {d(0), d(1), d(3)}, ctx);
  Sizes outSizes(loops.begin(), loops.begin() + 3);
  Value init;
  if (bank.bias)
    init =
        l.generic(f32, outSizes, {experts}, {AffineMap::get(3, 0, {d(0), d(1)}, ctx)}, [&](Scalars &s, ValueRange v) {
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

/// Gate and linear part: two tensors, or in the columns of one, interleaved or one after the other.
Value swiglu(OnnxLowering &l, Value h, Value linear, const MoeNode &node) {
  FloatType f32 = l.b.getF32Type();
  double alpha = node.alpha, beta = node.beta, limit = node.limit;
  Sizes n = l.sizes(h);
  if (!linear)
    n[2] = l.floorDiv(n[2], l.at(2));
  Value width = l.value(n[2]);
  return l.generate(f32, n, [&](Scalars &s, ValueRange) {
    Value i = s.position(2);
    auto at = [&](Value from, Value column) {
      return s.make<tensor::ExtractOp>(from, ValueRange{s.position(0), s.position(1), column});
    };
    Value g, u;
    if (linear) {
      g = at(h, i);
      u = at(linear, i);
    } else if (node.interleaved) {
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
Choice choose(OnnxLowering &l, Value logits, Value values, const MoeNode &node) {
  int64_t k = node.k;
  FloatType f32 = l.b.getF32Type();
  logits = l.castElements(logits, ranked(logits).getElementType(), f32);
  Sizes n = l.sizes(logits);
  int64_t tokens = ranked(logits).getDimSize(0);
  SmallVector<Type> types = {RankedTensorType::get({tokens, k}, f32),
                             RankedTensorType::get({tokens, k}, l.b.getI64Type())};
  Exprs shape = l.exprsOf({n[0], l.at(k)});
  Choice c;
  if (node.sparseMixer) {
    auto op = RouteOp::create(l.b, l.loc, TypeRange(types), logits, Value(), ValueRange{}, uint64_t(2),
                              ScoreFn::SparseMixer, uint64_t(1), uint64_t(1), GroupScore::Max, GroupFill::NegInf,
                              WeightFn::Identity, Normalize::None, llvm::APFloat(0.0f), llvm::APFloat(1.0f),
                              llvm::APFloat(1.0f), llvm::APFloat(0.01f));
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
    c.weights =
        l.generic(f32, {n[0], l.at(k)}, {c.experts}, {l.b.getMultiDimIdentityMap(2)}, [&](Scalars &s, ValueRange v) {
          return s.cast(s.make<tensor::ExtractOp>(values, ValueRange{s.position(0), l.safeIndex(s, v[0], extent)}),
                        from, f32);
        });
  }
  if (node.normalize) {
    Value sum = l.insertUnitDims(l.reduceSum(c.weights, {1}), {1});
    c.weights = l.elementwise(f32, {c.weights, sum},
                              [](Scalars &s, ValueRange v) { return s.make<arith::DivFOp>(v[0], v[1]); });
  }
  return c;
}

LogicalResult lowerExperts(OnnxLowering &l, const MoeNode &node, const Bank &fc1, const Bank &fc2,
                           const std::optional<Bank> &fc3, const Choice &choice) {
  FloatType f32 = l.b.getF32Type();
  Value x = l.input(0);
  Sizes own = l.sizes(x);
  if (l.rankOf(0) == 3)
    x = l.collapse(x, 0, 2);
  Value h = product(l, x, choice.experts, fc1), linear = fc3 ? product(l, x, choice.experts, *fc3) : Value();
  if (node.activation == "swiglu")
    h = swiglu(l, h, linear, node);
  else if (linear)
    h = l.elementwise(f32, {h, linear},
                      [&](Scalars &s, ValueRange v) { return s.mul(activate(s, v[0], node.activation), v[1]); });
  else
    h = l.elementwise(f32, {h}, [&](Scalars &s, ValueRange v) { return activate(s, v[0], node.activation); });
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
  std::string reason;
  std::optional<MoeNode> node = MoeNode::read(l.op, ranked(l.input(1)).getDimSize(1), reason);
  if (!node)
    return l.unsupported(reason);
  bool fine = true;
  auto bank = [&](const MoeNode::Projection &p) {
    Bank b;
    b.weights = l.input(p.weights);
    b.weightType = l.elementOf(p.weights);
    b.bias = l.input(p.bias);
    b.biasType = b.bias ? l.elementOf(p.bias) : Type();
    if (node->quantized) {
      b.bits = p.bits;
      b.block = node->block;
      b.scales = l.input(p.scales);
      b.scaleType = l.elementOf(p.scales);
      b.zeroPoints = l.input(p.zeroPoints);
      fine &= l.rankOf(p.scales) == 2 || (l.rankOf(p.scales) == 3 && b.block > 0);
    }
    return b;
  };
  Bank fc1 = bank(node->fc1), fc2 = bank(node->fc2);
  std::optional<Bank> fc3 = node->hasFc3 ? std::optional(bank(node->fc3)) : std::nullopt;
  if (!fine)
    return l.unsupported("expects scales [E, N], or [E, N, K / block_size] with block_size");
  Value values = node->routerWeights ? l.input(*node->routerWeights) : Value();
  return lowerExperts(l, *node, fc1, fc2, fc3, choose(l, l.input(1), values, *node));
}

} // namespace

void convert::addMoe(LowerTable &t) {
  t["ms.MoE"] = lowerMoe;
  t["ms.QMoE"] = lowerMoe;
}
