//===- ConvertOnnxElementwise.cpp - element by element ops ----------------===//
// One linalg.generic each, broadcast by maps. Floats narrower than f32 are computed in f32 and rounded once at the end.
//===----------------------------------------------------------------------===//
#include "ConvertOnnx.h"

#include <cmath>

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::convert;

namespace {

using F = arith::CmpFPredicate;
using I = arith::CmpIPredicate;

/// out = body(inputs), broadcast; all inputs and the result have one element type.
LogicalResult compute(OnnxLowering &l, ArrayRef<Value> onnxInputs, Body body) {
  Type elem = signless(ranked(onnxInputs[0]).getElementType()), wide = computeType(elem);
  SmallVector<Value> ins = llvm::map_to_vector(onnxInputs, [&](Value v) { return l.lookup(v); });
  l.set(l.elementwise(elem, ins, [&](Scalars &s, ValueRange x) {
    SmallVector<Value> widened = llvm::map_to_vector(x, [&](Value v) { return s.cast(v, elem, wide); });
    return s.cast(body(s, widened), wide, elem);
  }));
  return success();
}

//===----------------------------------------------------------------------===//
// One input
//===----------------------------------------------------------------------===//

template <typename Op> LogicalResult unaryMath(OnnxLowering &l) {
  return compute(l, {l.onnxInput(0)}, [](Scalars &s, ValueRange x) { return s.make<Op>(x[0]); });
}

/// A float function written out; `attributes` are read once.
using Unary = Value (*)(OnnxLowering &, Scalars &, Value);
template <Unary function> LogicalResult unary(OnnxLowering &l) {
  return compute(l, {l.onnxInput(0)}, [&](Scalars &s, ValueRange x) { return function(l, s, x[0]); });
}

Value c(Scalars &s, Value like, double v) { return s.constant(like.getType(), v); }
Value gt(Scalars &s, Value x, Value y) {
  return isa<FloatType>(x.getType()) ? s.cmp(F::OGT, x, y) : s.cmp(I::sgt, x, y);
}
Value div(Scalars &s, Value x, Value y) { return s.make<arith::DivFOp>(x, y); }

Value reciprocal(OnnxLowering &, Scalars &s, Value x) { return div(s, c(s, x, 1), x); }
Value sigmoid(OnnxLowering &, Scalars &s, Value x) { return s.sigmoid(x); }
Value silu(OnnxLowering &l, Scalars &s, Value x) {
  return s.mul(x, s.sigmoid(s.mul(c(s, x, l.floatAttr("alpha", 1.0)), x)));
}
Value quickGelu(OnnxLowering &l, Scalars &s, Value x) {
  return s.mul(x, s.sigmoid(s.mul(c(s, x, l.floatAttr("alpha", 1.702)), x)));
}
/// log(1 + exp(x)) without overflow.
Value softplusOf(Scalars &s, Value x) {
  Value tail = s.make<math::Log1pOp>(s.exp(s.neg(s.make<math::AbsFOp>(x))));
  return s.add(s.max(x, c(s, x, 0)), tail);
}
Value softplus(OnnxLowering &, Scalars &s, Value x) { return softplusOf(s, x); }
Value softsign(OnnxLowering &, Scalars &s, Value x) { return div(s, x, s.add(c(s, x, 1), s.make<math::AbsFOp>(x))); }
Value mish(OnnxLowering &, Scalars &s, Value x) { return s.mul(x, s.make<math::TanhOp>(softplusOf(s, x))); }
Value leakyRelu(OnnxLowering &l, Scalars &s, Value x) {
  return s.select(s.cmp(F::OLT, x, c(s, x, 0)), s.mul(c(s, x, l.floatAttr("alpha", 0.01)), x), x);
}
Value elu(OnnxLowering &l, Scalars &s, Value x) {
  Value below = s.mul(c(s, x, l.floatAttr("alpha", 1.0)), s.make<math::ExpM1Op>(x));
  return s.select(s.cmp(F::OLT, x, c(s, x, 0)), below, x);
}
Value celu(OnnxLowering &l, Scalars &s, Value x) {
  double alpha = l.floatAttr("alpha", 1.0);
  Value below = s.mul(c(s, x, alpha), s.make<math::ExpM1Op>(div(s, x, c(s, x, alpha))));
  return s.add(s.max(x, c(s, x, 0)), s.min(c(s, x, 0), below));
}
Value selu(OnnxLowering &l, Scalars &s, Value x) {
  double alpha = l.floatAttr("alpha", 1.67326319217681884765625),
         gamma = l.floatAttr("gamma", 1.05070102214813232421875);
  Value below = s.mul(c(s, x, gamma * alpha), s.make<math::ExpM1Op>(x));
  return s.select(s.cmp(F::OLE, x, c(s, x, 0)), below, s.mul(c(s, x, gamma), x));
}
Value hardSigmoidOf(Scalars &s, Value x, double alpha, double beta) {
  Value line = s.add(s.mul(c(s, x, alpha), x), c(s, x, beta));
  return s.max(c(s, x, 0), s.min(c(s, x, 1), line));
}
Value hardSigmoid(OnnxLowering &l, Scalars &s, Value x) {
  return hardSigmoidOf(s, x, l.floatAttr("alpha", 0.2), l.floatAttr("beta", 0.5));
}
Value hardSwish(OnnxLowering &, Scalars &s, Value x) { return s.mul(x, hardSigmoidOf(s, x, 1.0 / 6, 0.5)); }
Value thresholdedRelu(OnnxLowering &l, Scalars &s, Value x) {
  return s.select(s.cmp(F::OGT, x, c(s, x, l.floatAttr("alpha", 1.0))), x, c(s, x, 0));
}
Value shrink(OnnxLowering &l, Scalars &s, Value x) {
  double bias = l.floatAttr("bias", 0.0), lambd = l.floatAttr("lambd", 0.5);
  bool isInt = isa<IntegerType>(x.getType());
  Value low = isInt ? s.cmp(I::slt, x, c(s, x, -lambd)) : s.cmp(F::OLT, x, c(s, x, -lambd));
  Value inner = s.select(gt(s, x, c(s, x, lambd)), s.sub(x, c(s, x, bias)), c(s, x, 0));
  return s.select(low, s.add(x, c(s, x, bias)), inner);
}
Value geluExact(Scalars &s, Value x) {
  Value erf = s.make<math::ErfOp>(s.mul(x, c(s, x, M_SQRT1_2)));
  return s.mul(s.mul(c(s, x, 0.5), x), s.add(c(s, x, 1), erf));
}
Value geluTanh(Scalars &s, Value x) {
  Value cube = s.mul(x, s.mul(x, x));
  Value inner = s.mul(c(s, x, std::sqrt(2.0 / M_PI)), s.add(x, s.mul(c(s, x, 0.044715), cube)));
  return s.mul(s.mul(c(s, x, 0.5), x), s.add(c(s, x, 1), s.make<math::TanhOp>(inner)));
}
Value gelu(OnnxLowering &l, Scalars &s, Value x) {
  return l.stringAttr("approximate", "none") == "tanh" ? geluTanh(s, x) : geluExact(s, x);
}

LogicalResult lowerAbs(OnnxLowering &l) {
  if (isa<FloatType>(l.elementOf(0)))
    return unaryMath<math::AbsFOp>(l);
  if (isUnsigned(l.elementOf(0))) {
    l.set(l.input(0));
    return success();
  }
  return compute(l, {l.onnxInput(0)}, [](Scalars &s, ValueRange x) { return s.max(x[0], s.negate(x[0])); });
}

LogicalResult lowerNeg(OnnxLowering &l) {
  return compute(l, {l.onnxInput(0)}, [](Scalars &s, ValueRange x) { return s.negate(x[0]); });
}

LogicalResult lowerRelu(OnnxLowering &l) {
  bool uns = isUnsigned(l.elementOf(0));
  return compute(l, {l.onnxInput(0)}, [&](Scalars &s, ValueRange x) { return s.max(x[0], c(s, x[0], 0), uns); });
}

LogicalResult lowerSign(OnnxLowering &l) {
  bool uns = isUnsigned(l.elementOf(0)), isFloat = isa<FloatType>(l.elementOf(0));
  return compute(l, {l.onnxInput(0)}, [&](Scalars &s, ValueRange x) {
    Value zero = c(s, x[0], 0), one = c(s, x[0], 1);
    if (uns)
      return s.select(s.cmp(I::eq, x[0], zero), zero, one);
    Value up = gt(s, x[0], zero), down = gt(s, zero, x[0]);
    Value other = isFloat ? x[0] : zero; // zeros and NaN stay what they are
    return s.select(up, one, s.select(down, c(s, x[0], -1), other));
  });
}

LogicalResult lowerGelu(OnnxLowering &l) { return unary<gelu>(l); }

/// FastGelu and BiasGelu of com.microsoft: Gelu(x + bias).
template <bool fast> LogicalResult biasGelu(OnnxLowering &l) {
  SmallVector<Value> ins = {l.onnxInput(0)};
  if (l.has(1))
    ins.push_back(l.onnxInput(1));
  return compute(l, ins, [](Scalars &s, ValueRange x) {
    Value v = x.size() > 1 ? s.add(x[0], x[1]) : x[0];
    return fast ? geluTanh(s, v) : geluExact(s, v);
  });
}

LogicalResult lowerNot(OnnxLowering &l) {
  return compute(l, {l.onnxInput(0)},
                 [](Scalars &s, ValueRange x) { return s.make<arith::XOrIOp>(x[0], s.integer(x[0].getType(), -1)); });
}

/// Float in, bool out.
LogicalResult predicate(OnnxLowering &l, llvm::function_ref<Value(Scalars &, Value)> body) {
  Type elem = l.elementOf(0), wide = computeType(elem);
  l.set(l.elementwise(l.b.getI1Type(), {l.input(0)},
                      [&](Scalars &s, ValueRange x) { return body(s, s.cast(x[0], elem, wide)); }));
  return success();
}
LogicalResult lowerIsNaN(OnnxLowering &l) {
  return predicate(l, [](Scalars &s, Value x) { return s.cmp(F::UNO, x, x); });
}
LogicalResult lowerIsInf(OnnxLowering &l) {
  bool up = l.intAttr("detect_positive", 1), down = l.intAttr("detect_negative", 1);
  return predicate(l, [&](Scalars &s, Value x) {
    double inf = std::numeric_limits<double>::infinity();
    Value found = s.integer(s.b.getI1Type(), 0);
    if (up)
      found = s.make<arith::OrIOp>(found, s.cmp(F::OEQ, x, c(s, x, inf)));
    if (down)
      found = s.make<arith::OrIOp>(found, s.cmp(F::OEQ, x, c(s, x, -inf)));
    return found;
  });
}

//===----------------------------------------------------------------------===//
// Two inputs and more
//===----------------------------------------------------------------------===//

LogicalResult lowerAdd(OnnxLowering &l) {
  return compute(l, {l.onnxInput(0), l.onnxInput(1)}, [](Scalars &s, ValueRange x) { return s.add(x[0], x[1]); });
}
LogicalResult lowerSub(OnnxLowering &l) {
  return compute(l, {l.onnxInput(0), l.onnxInput(1)}, [](Scalars &s, ValueRange x) { return s.sub(x[0], x[1]); });
}
LogicalResult lowerMul(OnnxLowering &l) {
  return compute(l, {l.onnxInput(0), l.onnxInput(1)}, [](Scalars &s, ValueRange x) { return s.mul(x[0], x[1]); });
}

/// Truncating division that no divisor traps: 0 ends the run, and the smallest number divided by -1 wraps.
Value safeDivide(OnnxLowering &l, Scalars &s, Value x, Value y, bool uns, bool remainder) {
  Value zero = s.integer(x.getType(), 0), one = s.integer(x.getType(), 1);
  y = l.checked(s, y, s.cmp(I::ne, y, zero), "integer divisors that are not 0");
  Value isZero = s.cmp(I::eq, y, zero);
  if (uns) {
    Value safe = s.select(isZero, one, y);
    Value q = remainder ? s.make<arith::RemUIOp>(x, safe) : s.make<arith::DivUIOp>(x, safe);
    return s.select(isZero, zero, q);
  }
  Value isMinus = s.cmp(I::eq, y, s.integer(x.getType(), -1));
  Value safe = s.select(s.make<arith::OrIOp>(isZero, isMinus), one, y);
  Value q = remainder ? s.make<arith::RemSIOp>(x, safe) : s.make<arith::DivSIOp>(x, safe);
  Value special = s.select(isMinus, remainder ? zero : s.negate(x), zero);
  return s.select(s.make<arith::OrIOp>(isZero, isMinus), special, q);
}

/// True if every element of a constant divisor is an ordinary number (neither 0 nor -1).
bool plainDivisor(Value onnxValue) {
  std::optional<SmallVector<int64_t>> ints = onnx::getConstantInts(onnxValue);
  return ints && llvm::none_of(*ints, [](int64_t v) { return v == 0 || v == -1; });
}

LogicalResult lowerDiv(OnnxLowering &l) {
  bool uns = isUnsigned(l.elementOf(0)), plain = plainDivisor(l.onnxInput(1));
  return compute(l, {l.onnxInput(0), l.onnxInput(1)}, [&](Scalars &s, ValueRange x) -> Value {
    if (isa<FloatType>(x[0].getType()))
      return div(s, x[0], x[1]);
    if (plain)
      return uns ? s.make<arith::DivUIOp>(x[0], x[1]) : s.make<arith::DivSIOp>(x[0], x[1]);
    return safeDivide(l, s, x[0], x[1], uns, /*remainder=*/false);
  });
}

/// fmod = 1: C's remainder (sign of the dividend); fmod = 0: the sign of the divisor.
LogicalResult lowerMod(OnnxLowering &l) {
  bool uns = isUnsigned(l.elementOf(0)), isFmod = l.intAttr("fmod", 0);
  return compute(l, {l.onnxInput(0), l.onnxInput(1)}, [&](Scalars &s, ValueRange x) -> Value {
    Value zero = c(s, x[0], 0);
    if (isa<FloatType>(x[0].getType())) {
      Value r = s.make<arith::RemFOp>(x[0], x[1]);
      if (isFmod)
        return r;
      Value differ = s.make<arith::XOrIOp>(s.cmp(F::OLT, r, zero), s.cmp(F::OLT, x[1], zero));
      Value moved = s.select(differ, s.add(r, x[1]), r);
      return s.select(s.cmp(F::OEQ, r, zero), s.make<math::CopySignOp>(zero, x[1]), moved);
    }
    Value r = safeDivide(l, s, x[0], x[1], uns, /*remainder=*/true);
    if (isFmod || uns)
      return r;
    Value differ = s.make<arith::XOrIOp>(s.cmp(I::slt, r, zero), s.cmp(I::slt, x[1], zero));
    Value move = s.make<arith::AndIOp>(differ, s.cmp(I::ne, r, zero));
    return s.select(move, s.add(r, x[1]), r);
  });
}

/// x^y in x's type. Small constant exponents are products and roots; integers go through f64.
LogicalResult lowerPow(OnnxLowering &l) {
  Type base = l.elementOf(0), exponent = l.elementOf(1);
  Type wide = isa<FloatType>(base) ? computeType(base) : Type(l.b.getF64Type());
  std::optional<double> constant = onnx::getConstantScalar(l.onnxInput(1));
  bool scalarExponent = constant && ranked(l.onnxInput(1)).getNumElements() == 1 && l.rankOf(1) <= l.rankOf(0);
  if (scalarExponent &&
      (*constant == 1 || *constant == 2 || *constant == 3 || (*constant == 0.5 && isa<FloatType>(base)))) {
    if (isa<IntegerType>(base))
      wide = signless(base);
    l.set(l.elementwise(signless(base), {l.input(0)}, [&](Scalars &s, ValueRange v) {
      Value x = wide == signless(base) ? v[0] : s.cast(v[0], base, wide);
      Value r = *constant == 1   ? x
                : *constant == 2 ? s.mul(x, x)
                : *constant == 3 ? s.mul(x, s.mul(x, x))
                                 : s.make<math::SqrtOp>(x);
      return wide == signless(base) ? r : s.cast(r, wide, base);
    }));
    return success();
  }
  l.set(l.elementwise(signless(base), {l.input(0), l.input(1)}, [&](Scalars &s, ValueRange x) {
    Value r = s.make<math::PowFOp>(s.cast(x[0], base, wide), s.cast(x[1], exponent, wide));
    return s.cast(r, wide, base);
  }));
  return success();
}

enum class Fold { Sum, Mean, Max, Min };
template <Fold kind> LogicalResult variadic(OnnxLowering &l) {
  SmallVector<Value> ins = l.onnxInputsFrom(0);
  bool uns = isUnsigned(l.elementOf(0));
  return compute(l, ins, [&](Scalars &s, ValueRange x) {
    Value acc = x[0];
    for (Value v : x.drop_front())
      acc = kind == Fold::Max ? s.max(acc, v, uns) : kind == Fold::Min ? s.min(acc, v, uns) : s.add(acc, v);
    return kind == Fold::Mean ? div(s, acc, c(s, acc, ins.size())) : acc;
  });
}

template <typename Op> LogicalResult bitwise(OnnxLowering &l) {
  return compute(l, {l.onnxInput(0), l.onnxInput(1)}, [](Scalars &s, ValueRange x) { return s.make<Op>(x[0], x[1]); });
}

template <F floats, I ints, I unsignedInts> LogicalResult compare(OnnxLowering &l) {
  Type elem = l.elementOf(0), wide = computeType(elem);
  bool uns = isUnsigned(elem);
  l.set(l.elementwise(l.b.getI1Type(), {l.input(0), l.input(1)}, [&](Scalars &s, ValueRange x) {
    if (isa<FloatType>(elem))
      return s.cmp(floats, s.cast(x[0], elem, wide), s.cast(x[1], elem, wide));
    return s.cmp(uns ? unsignedInts : ints, x[0], x[1]);
  }));
  return success();
}

LogicalResult lowerBitShift(OnnxLowering &l) {
  bool left = l.stringAttr("direction", "") == "LEFT";
  bool uns = isUnsigned(l.elementOf(0));
  return compute(l, {l.onnxInput(0), l.onnxInput(1)}, [&](Scalars &s, ValueRange x) -> Value {
    Value width = c(s, x[0], x[0].getType().getIntOrFloatBitWidth()), zero = c(s, x[0], 0);
    Value inside = s.cmp(I::ult, x[1], width);
    Value by = s.select(inside, x[1], zero);
    if (left)
      return s.select(inside, s.make<arith::ShLIOp>(x[0], by), zero);
    if (uns)
      return s.select(inside, s.make<arith::ShRUIOp>(x[0], by), zero);
    Value sign = s.make<arith::ShRSIOp>(x[0], c(s, x[0], x[0].getType().getIntOrFloatBitWidth() - 1));
    return s.select(inside, s.make<arith::ShRSIOp>(x[0], by), sign);
  });
}

LogicalResult lowerPRelu(OnnxLowering &l) {
  bool uns = isUnsigned(l.elementOf(0));
  return compute(l, {l.onnxInput(0), l.onnxInput(1)}, [&](Scalars &s, ValueRange x) {
    if (uns)
      return x[0];
    return s.select(gt(s, c(s, x[0], 0), x[0]), s.mul(x[0], x[1]), x[0]);
  });
}

LogicalResult lowerWhere(OnnxLowering &l) {
  l.set(l.elementwise(signless(l.elementOf(1)), {l.input(0), l.input(1), l.input(2)},
                      [](Scalars &s, ValueRange x) { return s.select(x[0], x[1], x[2]); }));
  return success();
}

/// min(max(x, low), high): the upper limit wins, NaN stays NaN.
LogicalResult lowerClip(OnnxLowering &l) {
  bool uns = isUnsigned(l.elementOf(0)), low = l.has(1), high = l.has(2);
  SmallVector<Value> ins = {l.onnxInput(0)};
  for (unsigned i : {1u, 2u})
    if (l.has(i))
      ins.push_back(l.onnxInput(i));
  return compute(l, ins, [&](Scalars &s, ValueRange x) {
    Value v = x[0];
    auto less = [&](Value p, Value q) {
      return isa<FloatType>(p.getType()) ? s.cmp(F::OLT, p, q) : s.cmp(uns ? I::ult : I::slt, p, q);
    };
    if (low)
      v = s.select(less(v, x[1]), x[1], v);
    if (high)
      v = s.select(less(x.back(), v), x.back(), v);
    return v;
  });
}

/// Swish_alpha(a) * b.
LogicalResult lowerSwiGLU(OnnxLowering &l) {
  return compute(l, {l.onnxInput(0), l.onnxInput(1)},
                 [&](Scalars &s, ValueRange x) { return s.mul(silu(l, s, x[0]), x[1]); });
}

/// Without training it is the identity; the mask is all true.
LogicalResult lowerDropout(OnnxLowering &l) {
  std::optional<SmallVector<int64_t>> training = l.has(2) ? l.constantInts(l.onnxInput(2)) : SmallVector<int64_t>{0};
  if (!training || training->empty() || (*training)[0] != 0)
    return l.unsupported("expects training_mode to be false: random numbers have no lowering");
  l.set(0, l.input(0));
  if (l.onnxResult(1))
    l.set(1, l.fill(l.b.getI1Type(), l.sizes(l.input(0)), l.scalars().integer(l.b.getI1Type(), 1)));
  return success();
}

LogicalResult lowerIdentity(OnnxLowering &l) {
  l.set(l.input(0));
  return success();
}

} // namespace

void convert::addElementwise(LowerTable &t) {
  t["Abs"] = lowerAbs;
  t["Neg"] = lowerNeg;
  t["Exp"] = unaryMath<math::ExpOp>;
  t["Log"] = unaryMath<math::LogOp>;
  t["Sqrt"] = unaryMath<math::SqrtOp>;
  t["Sin"] = unaryMath<math::SinOp>;
  t["Cos"] = unaryMath<math::CosOp>;
  t["Tan"] = unaryMath<math::TanOp>;
  t["Asin"] = unaryMath<math::AsinOp>;
  t["Acos"] = unaryMath<math::AcosOp>;
  t["Atan"] = unaryMath<math::AtanOp>;
  t["Sinh"] = unaryMath<math::SinhOp>;
  t["Cosh"] = unaryMath<math::CoshOp>;
  t["Tanh"] = unaryMath<math::TanhOp>;
  t["Asinh"] = unaryMath<math::AsinhOp>;
  t["Acosh"] = unaryMath<math::AcoshOp>;
  t["Atanh"] = unaryMath<math::AtanhOp>;
  t["Erf"] = unaryMath<math::ErfOp>;
  t["Floor"] = unaryMath<math::FloorOp>;
  t["Ceil"] = unaryMath<math::CeilOp>;
  t["Round"] = unaryMath<math::RoundEvenOp>;
  t["Reciprocal"] = unary<reciprocal>;
  t["Sigmoid"] = unary<sigmoid>;
  t["Swish"] = unary<silu>;
  t["ms.QuickGelu"] = unary<quickGelu>;
  t["Softplus"] = unary<softplus>;
  t["Softsign"] = unary<softsign>;
  t["Mish"] = unary<mish>;
  t["Relu"] = lowerRelu;
  t["LeakyRelu"] = unary<leakyRelu>;
  t["Elu"] = unary<elu>;
  t["Celu"] = unary<celu>;
  t["Selu"] = unary<selu>;
  t["HardSigmoid"] = unary<hardSigmoid>;
  t["HardSwish"] = unary<hardSwish>;
  t["ThresholdedRelu"] = unary<thresholdedRelu>;
  t["Shrink"] = unary<shrink>;
  t["Gelu"] = lowerGelu;
  t["ms.Gelu"] = biasGelu<false>;
  t["ms.BiasGelu"] = biasGelu<false>;
  t["ms.FastGelu"] = biasGelu<true>;
  t["Sign"] = lowerSign;
  t["Not"] = lowerNot;
  t["BitwiseNot"] = lowerNot;
  t["IsNaN"] = lowerIsNaN;
  t["IsInf"] = lowerIsInf;
  t["Identity"] = lowerIdentity;
  t["Dropout"] = lowerDropout;
  t["Add"] = lowerAdd;
  t["Sub"] = lowerSub;
  t["Mul"] = lowerMul;
  t["Div"] = lowerDiv;
  t["Mod"] = lowerMod;
  t["Pow"] = lowerPow;
  t["PRelu"] = lowerPRelu;
  t["Sum"] = variadic<Fold::Sum>;
  t["Mean"] = variadic<Fold::Mean>;
  t["Max"] = variadic<Fold::Max>;
  t["Min"] = variadic<Fold::Min>;
  t["And"] = t["BitwiseAnd"] = bitwise<arith::AndIOp>;
  t["Or"] = t["BitwiseOr"] = bitwise<arith::OrIOp>;
  t["Xor"] = t["BitwiseXor"] = bitwise<arith::XOrIOp>;
  t["BitShift"] = lowerBitShift;
  t["Equal"] = compare<F::OEQ, I::eq, I::eq>;
  t["Greater"] = compare<F::OGT, I::sgt, I::ugt>;
  t["GreaterOrEqual"] = compare<F::OGE, I::sge, I::uge>;
  t["Less"] = compare<F::OLT, I::slt, I::ult>;
  t["LessOrEqual"] = compare<F::OLE, I::sle, I::ule>;
  t["Where"] = lowerWhere;
  t["Clip"] = lowerClip;
  t["SwiGLU"] = lowerSwiGLU;
}
