//===- ConvertOnnxCast.cpp - Cast, CastLike, BitCast, QuantizeLinear and back ----===//
#include "ConvertOnnx.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::convert;

using F = arith::CmpFPredicate;
using I = arith::CmpIPredicate;

/// f64 -> f32 such that rounding the result once more to a format of 21 or fewer bits equals rounding directly: truncate and
/// set the last bit if anything was lost (round to odd).
static Value roundToOdd(Scalars &s, Value x) {
  Type i32 = s.b.getI32Type();
  Value near = s.make<arith::TruncFOp>(s.b.getF32Type(), x);
  Value back = s.make<arith::ExtFOp>(x.getType(), near);
  Value inexact = s.cmp(F::ONE, back, x);
  Value away = s.cmp(F::OGT, s.make<math::AbsFOp>(back), s.make<math::AbsFOp>(x));
  Value bits = s.make<arith::BitcastOp>(i32, near);
  Value towardsZero = s.sub(bits, s.make<arith::ExtUIOp>(i32, away));
  Value sticky = s.make<arith::OrIOp>(towardsZero, s.integer(i32, 1));
  return s.make<arith::BitcastOp>(s.b.getF32Type(), s.select(inexact, sticky, bits));
}

static Value castFloat(Scalars &s, Value x, FloatType from, FloatType to, bool saturate) {
  auto f32 = s.b.getF32Type();
  if (isSmallFloat(from)) {
    x = decodeSmallFloat(s.b, s.loc, x);
    from = f32;
  }
  if (from == to)
    return x;
  if (to.getWidth() > from.getWidth())
    return s.make<arith::ExtFOp>(to, x);
  if (to == f32)
    return s.make<arith::TruncFOp>(to, x);
  if (from.getWidth() > 32)
    x = roundToOdd(s, x);
  else if (from != f32)
    x = s.make<arith::ExtFOp>(f32, x);
  return isSmallFloat(to) ? encodeSmallFloat(s.b, s.loc, x, to, saturate) : s.make<arith::TruncFOp>(to, x);
}

Value Scalars::cast(Value x, Type from, Type to, bool saturate) {
  if (from == to || (signless(from) == signless(to) && !from.isInteger(1)))
    return x;
  auto fromFloat = dyn_cast<FloatType>(from), toFloat = dyn_cast<FloatType>(to);
  Type target = signless(to);
  if (fromFloat && isSmallFloat(from) && !toFloat) {
    x = castFloat(*this, x, fromFloat, b.getF32Type(), saturate);
    fromFloat = b.getF32Type();
  }
  if (to.isInteger(1))
    return fromFloat ? cmp(F::UNE, x, constant(fromFloat, 0)) : cmp(I::ne, x, integer(x.getType(), 0));
  if (fromFloat && toFloat)
    return castFloat(*this, x, fromFloat, toFloat, saturate);
  if (fromFloat) {
    // Narrow integers go through a wider one, where out of range numbers wrap instead of being undefined.
    unsigned width = to.getIntOrFloatBitWidth();
    if (fromFloat.getWidth() < 32)
      x = make<arith::ExtFOp>(b.getF32Type(), x);
    if (to.isUnsignedInteger() && width == 64)
      return make<arith::FPToUIOp>(target, x);
    unsigned through = width < 32 ? 32 : to.isUnsignedInteger() ? 64 : width;
    Value wide = make<arith::FPToSIOp>(b.getIntegerType(through), x);
    return through == width ? wide : make<arith::TruncIOp>(target, wide);
  }
  bool uns = isUnsigned(from);
  if (toFloat) {
    FloatType exact = toFloat.getWidth() >= 32            ? toFloat
                      : from.getIntOrFloatBitWidth() > 16 ? FloatType(b.getF64Type())
                                                          : FloatType(b.getF32Type());
    Value f = uns ? make<arith::UIToFPOp>(exact, x) : make<arith::SIToFPOp>(exact, x);
    return castFloat(*this, f, exact, toFloat, saturate);
  }
  unsigned have = from.getIntOrFloatBitWidth(), want = to.getIntOrFloatBitWidth();
  if (want < have)
    return make<arith::TruncIOp>(target, x);
  return uns ? make<arith::ExtUIOp>(target, x) : make<arith::ExtSIOp>(target, x);
}

namespace {

LogicalResult lowerCast(OnnxLowering &l) {
  if (isa<Float8E8M0FNUType>(l.resultElement()) && l.stringAttr("round_mode", "up") != "up")
    return l.unsupported("expects round_mode \"up\", but found \"" + l.stringAttr("round_mode", "up") + "\"");
  l.set(l.castElements(l.input(0), l.elementOf(0), l.resultElement(), l.intAttr("saturate", 1)));
  return success();
}

LogicalResult lowerBitCast(OnnxLowering &l) {
  Type to = signless(l.resultElement()), from = signless(l.elementOf(0));
  if (from.getIntOrFloatBitWidth() != to.getIntOrFloatBitWidth())
    return l.unsupported("expects types of one width");
  if (from == to)
    l.set(l.input(0));
  else
    l.set(
        l.elementwise(to, {l.input(0)}, [&](Scalars &s, ValueRange x) { return s.make<arith::BitcastOp>(to, x[0]); }));
  return success();
}

/// Reads a scale or zero point where element `position` of a tensor of `rank` dims needs it: one for all, one per index of
/// `axis`, or one per block of `block` indices of it.
struct Parameter {
  Value tensor;
  int64_t axis, block, rank;

  Value operator()(Scalars &s) const {
    int64_t own = cast<RankedTensorType>(tensor.getType()).getRank();
    SmallVector<Value> place;
    auto at = [&](int64_t d, int64_t parameterDim) {
      if (cast<RankedTensorType>(tensor.getType()).getDimSize(parameterDim) == 1)
        return s.index(0);
      Value p = s.position(d);
      return d == axis && block > 0 ? s.make<arith::DivUIOp>(p, s.index(block)) : p;
    };
    if (own == 1)
      place.push_back(at(axis, 0));
    else
      for (int64_t d = 0; d < own; ++d)
        place.push_back(at(d, d));
    return s.make<tensor::ExtractOp>(tensor, place);
  }
};

LogicalResult parameters(OnnxLowering &l, Parameter &scale, std::optional<Parameter> &zero) {
  int64_t rank = l.rankOf(0), block = l.intAttr("block_size", 0);
  std::optional<int64_t> axis = l.axisAttr(1, std::max<int64_t>(rank, 2));
  int64_t own = l.rankOf(1);
  if (own > 1 && own != rank)
    return l.unsupported("expects a scale of rank 0, 1 or " + Twine(rank) + ", but its rank is " + Twine(own));
  bool single = own == 0 || (own == 1 && ranked(l.onnxInput(1)).getDimSize(0) == 1);
  if (!single && (!axis || *axis >= rank))
    return l.unsupported("expects axis in range of rank " + Twine(rank));
  scale = Parameter{l.input(1), axis.value_or(0), block, rank};
  if (l.has(2))
    zero = Parameter{l.input(2), axis.value_or(0), block, rank};
  return success();
}

/// saturate(round(x / scale) + zero_point); float8: cast(x / scale).
LogicalResult lowerQuantize(OnnxLowering &l) {
  Parameter scale;
  std::optional<Parameter> zero;
  if (failed(parameters(l, scale, zero)))
    return failure();
  Type from = l.elementOf(0), scaleType = l.elementOf(1), to = l.resultElement();
  FloatType f32 = l.b.getF32Type();
  bool saturate = l.intAttr("saturate", 1);
  Value x = l.input(0);
  auto map = l.b.getMultiDimIdentityMap(l.rankOf(0));
  l.set(l.generic(signless(to), l.sizes(x), {x}, {map}, [&](Scalars &s, ValueRange v) {
    Value q = s.make<arith::DivFOp>(s.cast(v[0], from, f32), s.cast(scale(s), scaleType, f32));
    if (isa<FloatType>(to))
      return s.cast(q, f32, to, saturate);
    q = s.make<math::RoundEvenOp>(q);
    if (zero)
      q = s.add(q, s.cast((*zero)(s), to, f32));
    unsigned width = to.getIntOrFloatBitWidth();
    double low = isUnsigned(to) ? 0 : -std::ldexp(1.0, width - 1),
           high = std::ldexp(1.0, isUnsigned(to) ? width : width - 1) - 1;
    q = s.max(s.min(q, s.constant(f32, high)), s.constant(f32, low));
    return s.cast(q, f32, to);
  }));
  return success();
}

/// (x - zero_point) * scale.
LogicalResult lowerDequantize(OnnxLowering &l) {
  Parameter scale;
  std::optional<Parameter> zero;
  if (failed(parameters(l, scale, zero)))
    return failure();
  Type from = l.elementOf(0), scaleType = l.elementOf(1), to = l.resultElement();
  FloatType f32 = l.b.getF32Type();
  Value x = l.input(0);
  auto map = l.b.getMultiDimIdentityMap(l.rankOf(0));
  l.set(l.generic(signless(to), l.sizes(x), {x}, {map}, [&](Scalars &s, ValueRange v) {
    Value code = s.cast(v[0], from, f32);
    if (zero) {
      Type zeroType = l.elementOf(2);
      if (from.getIntOrFloatBitWidth() > 16 && isa<IntegerType>(from))
        code = s.cast(s.sub(v[0], (*zero)(s)), from, f32);
      else
        code = s.sub(code, s.cast((*zero)(s), zeroType, f32));
    }
    return s.cast(s.mul(code, s.cast(scale(s), scaleType, f32)), f32, to);
  }));
  return success();
}

/// uint8 codes of the whole tensor's range, which is made to hold 0.
LogicalResult lowerDynamicQuantize(OnnxLowering &l) {
  Value x = l.input(0);
  FloatType f32 = l.b.getF32Type();
  SmallVector<int64_t> all = llvm::to_vector(llvm::seq<int64_t>(0, l.rankOf(0)));
  Value zero = l.scalars().constant(f32, 0);
  Value high = l.reduce(x, all, zero, [](Scalars &s, ValueRange v) { return s.max(v[0], v[1]); });
  Value low = l.reduce(x, all, zero, [](Scalars &s, ValueRange v) { return s.min(v[0], v[1]); });
  Value scale = l.elementwise(f32, {low, high}, [&](Scalars &s, ValueRange v) {
    return s.make<arith::DivFOp>(s.sub(v[1], v[0]), s.constant(f32, 255));
  });
  auto clampToByte = [&](Scalars &s, Value v) { return s.max(s.min(v, s.constant(f32, 255)), s.constant(f32, 0)); };
  Type ui8 = l.b.getIntegerType(8, false);
  Value zeroPoint = l.elementwise(f32, {low, scale}, [&](Scalars &s, ValueRange v) {
    Value z = clampToByte(s, s.make<math::RoundEvenOp>(s.negate(s.make<arith::DivFOp>(v[0], v[1]))));
    return s.select(s.cmp(F::OEQ, v[1], s.constant(f32, 0)), s.constant(f32, 0), z);
  });
  Value y = l.elementwise(signless(ui8), {x, scale, zeroPoint}, [&](Scalars &s, ValueRange v) {
    Value q = s.make<math::RoundEvenOp>(s.make<arith::DivFOp>(v[0], v[1]));
    q = s.select(s.cmp(F::OEQ, v[1], s.constant(f32, 0)), s.constant(f32, 0), q);
    return s.cast(clampToByte(s, s.add(q, v[2])), f32, ui8);
  });
  l.set(0, y);
  l.set(1, scale);
  l.set(2, l.castElements(zeroPoint, f32, ui8));
  return success();
}

} // namespace

void convert::addCast(LowerTable &t) {
  t["Cast"] = lowerCast;
  t["CastLike"] = lowerCast;
  t["BitCast"] = lowerBitCast;
  t["QuantizeLinear"] = lowerQuantize;
  t["DequantizeLinear"] = lowerDequantize;
  t["DynamicQuantizeLinear"] = lowerDynamicQuantize;
}
