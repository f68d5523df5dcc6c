//===- ExpandFloats.cpp - 16- and 8-bit floats on processors without them -===//
//
// Upstream leaves arith.extf and arith.truncf of these formats standing, silently, or calls a library. Here arithmetic is
// widened to f32 and conversions become integer operations, on scalars and vectors alike.
//
//   %s = arith.addf %a, %b : bf16   ->   arith.extf both to f32, arith.addf, arith.truncf
//   %w = arith.extf %c : f8E4M3FN to f32   ->   shift into the places of an f16, widen that, multiply by 2^8 (SmallFloats.h)
//
//===----------------------------------------------------------------------===//
#include "moe/Lower/Passes.h"
#include "moe/Support/SmallFloats.h"
#include "moe/Tile/Code.h"

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
    operands.push_back(isNarrow(v.getType()) ? arith::ExtFOp::create(b, op->getLoc(), withElement(v.getType(), f32), v)
                                             : v);
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
struct Converter {
  Code &c;
  Type shape; ///< a type whose shape the values have
  Type ints() { return withElement(shape, c.b.getI32Type()); }
  Type floats() { return withElement(shape, c.b.getF32Type()); }
  V i(int64_t value) { return c.constant(ints(), c.b.getIntegerAttr(c.b.getI32Type(), value)); }
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
};
} // namespace

/// extf from, or truncf to, bf16 and small floats (beyond the largest value: infinity or NaN). Other formats stay.
static void convert(Operation *op) {
  OpBuilder b(op);
  Code c(b, op->getLoc());
  Value in = op->getOperand(0);
  Type from = in.getType(), to = op->getResult(0).getType();
  Type narrow = isa<arith::ExtFOp>(op) ? from : to;
  auto small =
      isSmallFloat(getElementTypeOrSelf(narrow)) ? dyn_cast<FloatType>(getElementTypeOrSelf(narrow)) : FloatType();
  bool bf16 = getElementTypeOrSelf(narrow).isBF16();
  if (!small && !bf16)
    return;
  Converter converter{c, narrow};
  Value result;
  // Between two narrow formats the way is through f32, and its other half is a conversion again.
  if (isa<arith::ExtFOp>(op)) {
    result = bf16 ? converter.fromBF16(in).v : decodeSmallFloat(b, op->getLoc(), in);
    if (to != converter.floats()) {
      bool wider = getElementTypeOrSelf(to).isF64();
      result = wider ? Value(arith::ExtFOp::create(b, op->getLoc(), to, result))
                     : Value(arith::TruncFOp::create(b, op->getLoc(), to, result));
    }
  } else {
    if (from != converter.floats())
      in = getElementTypeOrSelf(from).isF64() ? Value(arith::TruncFOp::create(b, op->getLoc(), converter.floats(), in))
                                              : Value(arith::ExtFOp::create(b, op->getLoc(), converter.floats(), in));
    result = bf16 ? converter.toBF16(c.wrap(in), to) : encodeSmallFloat(b, op->getLoc(), in, small, /*saturate=*/false);
  }
  Operation *other = isa<arith::ExtFOp>(op) ? result.getDefiningOp() : in.getDefiningOp();
  op->getResult(0).replaceAllUsesWith(result);
  bool madeHere = isa<arith::ExtFOp>(op) ? to != converter.floats() : from != converter.floats();
  op->erase();
  if (madeHere)
    convert(other);
}

namespace {
struct ExpandFloats : moe::impl::ExpandFloatsBase<ExpandFloats> {
  using ExpandFloatsBase::ExpandFloatsBase;

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
      Type from = getElementTypeOrSelf(op->getOperand(0).getType()),
           to = getElementTypeOrSelf(op->getResult(0).getType());
      if ((from.isF16() && to.isF64()) || (from.isF64() && to.isF16())) {
        OpBuilder b(op);
        Type middle = withElement(op->getResult(0).getType(), b.getF32Type());
        Value value = from.isF16() ? Value(arith::ExtFOp::create(b, op->getLoc(), middle, op->getOperand(0)))
                                   : Value(arith::TruncFOp::create(b, op->getLoc(), middle, op->getOperand(0)));
        op->setOperand(0, value);
        continue;
      }
      if (!(nativeBf16 && (from.isBF16() || to.isBF16()) && (from.isF32() || to.isF32())))
        convert(op);
    }
  }
};
} // namespace
