//===- ExpandFloats.cpp - 16- and 8-bit floats on processors without them -===//
//
// Upstream leaves arith.extf and arith.truncf of these formats standing, silently, or calls a library. Here arithmetic is
// widened to f32 and conversions become integer operations, on scalars and vectors alike.
//
//   %s = arith.addf %a, %b : bf16   ->   arith.extf both to f32, arith.addf, arith.truncf
//   %w = arith.extf %c : f8E4M3FN to f32   ->   shift sign, exponent and fraction into place; multiply by 2^120
//
//===----------------------------------------------------------------------===//
#include "moe/Lower/Passes.h"
#include "moe/Tile/Code.h"

#include <cmath>

namespace mlir::moe {
#define GEN_PASS_DEF_EXPANDFLOATS
#include "moe/Lower/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

static bool isNarrow(Type type) {
  auto f = dyn_cast<FloatType>(getElementTypeOrSelf(type));
  return f && f.getWidth() <= 16;
}
static Type withElement(Type type, Type element) {
  if (auto vector = dyn_cast<VectorType>(type))
    return vector.clone(element);
  return element;
}

/// Arithmetic on narrow floats, in f32. Conversions, constants and moves of bits stay.
static void widen(Operation *op) {
  OpBuilder b(op);
  Type f32 = b.getF32Type();
  SmallVector<Value> operands;
  for (Value v : op->getOperands())
    operands.push_back(isNarrow(v.getType()) ? arith::ExtFOp::create(b, op->getLoc(), withElement(v.getType(), f32), v) : v);
  Operation *wide = b.clone(*op);
  wide->setOperands(operands);
  for (auto [result, own] : llvm::zip(wide->getResults(), op->getResults())) {
    if (!isNarrow(own.getType()))
      continue;
    result.setType(withElement(own.getType(), f32));
  }
  for (auto [result, own] : llvm::zip(wide->getResults(), op->getResults()))
    own.replaceAllUsesWith(isNarrow(own.getType())
                               ? Value(arith::TruncFOp::create(b, op->getLoc(), own.getType(), result))
                               : Value(result));
  op->erase();
}

namespace {
/// The layout of an 8-bit format.
struct Narrow8 {
  int exponentBits, fractionBits, bias;
  bool hasInfinity; ///< otherwise the largest exponent holds numbers, and all ones is NaN (f8E4M3FN)
};

struct Converter {
  Code &c;
  Type shape; ///< a type whose shape the values have
  Type ints() { return withElement(shape, c.b.getI32Type()); }
  Type floats() { return withElement(shape, c.b.getF32Type()); }
  V i(int64_t value) { return c.constant(ints(), c.b.getIntegerAttr(c.b.getI32Type(), value)); }
  V f(double value) { return c.constant(floats(), value); }
  V shl(V a, int64_t n) { return c.wrap(arith::ShLIOp::create(c.b, c.loc, a, i(n))); }
  V shr(V a, int64_t n) { return c.wrap(arith::ShRUIOp::create(c.b, c.loc, a, i(n))); }
  V floatOf(V bits) { return c.wrap(arith::BitcastOp::create(c.b, c.loc, floats(), bits.v)); }
  V bitsOf(V value) { return c.wrap(arith::BitcastOp::create(c.b, c.loc, ints(), value.v)); }
  V codeOf(Value narrow, unsigned width) {
    Value code = arith::BitcastOp::create(c.b, c.loc, withElement(shape, c.b.getIntegerType(width)), narrow);
    return c.wrap(arith::ExtUIOp::create(c.b, c.loc, ints(), code));
  }
  Value narrowOf(V code, Type type, unsigned width) {
    Value small = arith::TruncIOp::create(c.b, c.loc, withElement(shape, c.b.getIntegerType(width)), code.v);
    return arith::BitcastOp::create(c.b, c.loc, type, small);
  }

  V fromBF16(Value v) { return floatOf(shl(codeOf(v, 16), 16)); }

  /// Round to nearest even at bit 16; NaN stays one.
  Value toBF16(V value, Type type) {
    V bits = bitsOf(value);
    V odd = shr(bits, 16) & i(1);
    V rounded = shr(bits + i(0x7fff) + odd, 16);
    V quiet = shr(bits, 16) | i(0x40);
    return narrowOf(c.select(c.isNan(value), quiet, rounded), type, 16);
  }

  V from8(Value v, Narrow8 n) {
    V code = codeOf(v, 8);
    V magnitude = code & i(0x7f), sign = shl(code & i(0x80), 24);
    // Exponent and fraction in f32's places: 2^(bias - 127) too small, which a product undoes, subnormals included.
    V value = floatOf(shl(magnitude, 23 - n.fractionBits)) * f(std::ldexp(1.0, 127 - n.bias));
    int64_t top = ((1 << n.exponentBits) - 1) << n.fractionBits;
    V nan = c.constant(floats(), std::nan(""));
    if (n.hasInfinity) {
      value = c.select(magnitude == i(top), c.infinity(floats(), false), value);
      value = c.select(magnitude > i(top), nan, value);
    } else {
      value = c.select(magnitude == i(0x7f), nan, value);
    }
    return floatOf(bitsOf(value) | sign);
  }

  /// Round to nearest even; values beyond the largest finite one become NaN (no infinity) or infinity.
  Value to8(V value, Type type, Narrow8 n) {
    V bits = bitsOf(value), sign = shr(bits, 24) & i(0x80), magnitude = bits & i(0x7fffffff);
    int shift = 23 - n.fractionBits;
    // Normal: rebias, round at the last kept bit.
    V rebased = magnitude - i(static_cast<int64_t>(127 - n.bias) << 23);
    V normal = shr(rebased + i((1 << (shift - 1)) - 1) + (shr(rebased, shift) & i(1)), shift);
    // Subnormal: adding 2^(1 - bias + shift) leaves the rounded code in the low bits of the sum.
    V magic = f(std::ldexp(1.0, 1 - n.bias + shift));
    V sum = c.wrap(arith::AddFOp::create(c.b, c.loc, floatOf(magnitude), magic));
    V subnormal = bitsOf(sum) - bitsOf(magic);
    V code = c.select(magnitude < i(static_cast<int64_t>(128 - n.bias) << 23), subnormal, normal);
    int64_t top = n.hasInfinity ? ((1 << n.exponentBits) - 1) << n.fractionBits : 0x7f;
    code = c.select(code > i(top), i(top), code);
    code = c.select(magnitude >= i(static_cast<int64_t>(127 + (1 << n.exponentBits)) << 23), i(top), code);
    code = c.select(c.isNan(value), i(0x7f), code);
    return narrowOf(code | sign, type, 8);
  }
};
} // namespace

static std::optional<Narrow8> layoutOf(Type type) {
  Type element = getElementTypeOrSelf(type);
  if (isa<Float8E4M3FNType>(element))
    return Narrow8{4, 3, 7, false};
  if (isa<Float8E5M2Type>(element))
    return Narrow8{5, 2, 15, true};
  return std::nullopt;
}

/// extf from, or truncf to, bf16 and 8-bit floats. Other formats stay.
static void convert(Operation *op) {
  OpBuilder b(op);
  Code c(b, op->getLoc());
  Value in = op->getOperand(0);
  Type from = in.getType(), to = op->getResult(0).getType();
  Type narrow = isa<arith::ExtFOp>(op) ? from : to;
  auto layout = layoutOf(narrow);
  bool bf16 = getElementTypeOrSelf(narrow).isBF16();
  if (!layout && !bf16)
    return;
  Converter convert{c, narrow};
  Value result;
  if (isa<arith::ExtFOp>(op)) {
    V wide = bf16 ? convert.fromBF16(in) : convert.from8(in, *layout);
    result = wide;
    if (to != convert.floats())
      result = getElementTypeOrSelf(to).isF16() ? Value(arith::TruncFOp::create(b, op->getLoc(), to, result))
                                                : Value(arith::ExtFOp::create(b, op->getLoc(), to, result));
  } else {
    if (from != convert.floats())
      in = getElementTypeOrSelf(from).isF64() ? Value(arith::TruncFOp::create(b, op->getLoc(), convert.floats(), in))
                                              : Value(arith::ExtFOp::create(b, op->getLoc(), convert.floats(), in));
    result = bf16 ? convert.toBF16(c.wrap(in), to) : convert.to8(c.wrap(in), to, *layout);
  }
  op->getResult(0).replaceAllUsesWith(result);
  op->erase();
}

namespace {
struct ExpandFloats : moe::impl::ExpandFloatsBase<ExpandFloats> {
  void runOnOperation() override {
    SmallVector<Operation *> arithmetic, conversions;
    getOperation()->walk([&](Operation *op) {
      bool computes = isa_and_nonnull<math::MathDialect>(op->getDialect()) ||
                      (isa_and_nonnull<arith::ArithDialect>(op->getDialect()) &&
                       !isa<arith::ConstantOp, arith::BitcastOp, arith::SelectOp, arith::ExtFOp, arith::TruncFOp>(op));
      if (computes && (llvm::any_of(op->getOperandTypes(), isNarrow) || llvm::any_of(op->getResultTypes(), isNarrow)))
        arithmetic.push_back(op);
    });
    for (Operation *op : arithmetic)
      widen(op);
    // f64 <-> f16 goes through f32: processors convert between f16 and f32 alone.
    getOperation()->walk([&](Operation *op) {
      if (isa<arith::ExtFOp, arith::TruncFOp>(op))
        conversions.push_back(op);
    });
    for (Operation *op : conversions) {
      Type from = getElementTypeOrSelf(op->getOperand(0).getType()), to = getElementTypeOrSelf(op->getResult(0).getType());
      if ((from.isF16() && to.isF64()) || (from.isF64() && to.isF16())) {
        OpBuilder b(op);
        Type middle = withElement(op->getResult(0).getType(), b.getF32Type());
        Value value = from.isF16() ? Value(arith::ExtFOp::create(b, op->getLoc(), middle, op->getOperand(0)))
                                   : Value(arith::TruncFOp::create(b, op->getLoc(), middle, op->getOperand(0)));
        op->setOperand(0, value);
        continue;
      }
      convert(op);
    }
  }
};
} // namespace
