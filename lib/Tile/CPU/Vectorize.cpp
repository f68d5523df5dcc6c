//===- Vectorize.cpp - scalar regions on vectors ----------------------------===//
#include "Vectorize.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::moe;

static bool isScalar(Type type) { return isa<FloatType, IntegerType>(type); }

bool moe::isVectorizable(Block &block) {
  for (Operation &op : block.without_terminator()) {
    if (op.hasTrait<OpTrait::ConstantLike>())
      continue;
    if (!OpTrait::hasElementwiseMappableTraits(&op) || op.getNumResults() != 1 ||
        !llvm::all_of(op.getOperandTypes(), isScalar) || !isScalar(op.getResult(0).getType()))
      return false;
  }
  return true;
}

Value moe::cloneVectorized(OpBuilder &b, Location loc, Block &block, ValueRange arguments, int64_t width,
                           unsigned result) {
  IRMapping map;
  map.map(block.getArguments(), arguments);
  auto vectorOf = [&](Value v) -> Value {
    if (Value known = map.lookupOrNull(v))
      return known;
    // A constant, inside or outside the region.
    TypedAttr constant;
    auto type = VectorType::get({width}, v.getType());
    Value splat = matchPattern(v, m_Constant(&constant))
                      ? Value(arith::ConstantOp::create(b, loc, DenseElementsAttr::get(type, Attribute(constant))))
                      : Value(vector::BroadcastOp::create(b, loc, type, v));
    map.map(v, splat);
    return splat;
  };
  for (Operation &op : block.without_terminator()) {
    if (op.hasTrait<OpTrait::ConstantLike>())
      continue;
    SmallVector<Value> operands;
    for (Value v : op.getOperands())
      operands.push_back(vectorOf(v));
    auto type = VectorType::get({width}, op.getResult(0).getType());
    if (isa<math::ExpOp>(op) && type.getElementType().isF32()) {
      map.map(op.getResult(0), fastExp(b, loc, operands[0]));
      continue;
    }
    OperationState state(loc, op.getName(), operands, type, op.getAttrs());
    map.map(op.getResult(0), b.create(state)->getResult(0));
  }
  return vectorOf(block.getTerminator()->getOperand(result));
}

Value moe::fastExp(OpBuilder &b, Location loc, Value x, float lowest) {
  auto type = cast<VectorType>(x.getType());
  auto ints = type.clone(b.getI32Type());
  auto constant = [&](float v) -> Value { return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(type, v)); };
  auto integer = [&](int32_t v) -> Value { return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(ints, v)); };
  auto fma = [&](Value a, Value c, Value d) -> Value { return vector::FMAOp::create(b, loc, a, c, d); };
  // x = n ln 2 + r with |r| <= ln 2 / 2; e^r by a polynomial of degree 6; 2^n in two halves, so that results up to the
  // largest float come out right and what is larger overflows to infinity. The comparisons keep a NaN.
  auto select = [&](arith::CmpFPredicate p, Value limit) -> Value {
    return arith::SelectOp::create(b, loc, arith::CmpFOp::create(b, loc, p, limit, x), limit, x);
  };
  Value low = constant(lowest), unclamped = x;
  x = select(arith::CmpFPredicate::OGT, low);
  Value clamped = select(arith::CmpFPredicate::OLT, constant(89.0f));
  Value magic = constant(12582912.0f); // 1.5 * 2^23: adding it rounds to an integer
  Value shifted = fma(clamped, constant(1.44269504f), magic);
  Value n = arith::SubFOp::create(b, loc, shifted, magic);
  Value r = fma(n, constant(-0.693145752f), clamped);
  r = fma(n, constant(-1.42860677e-6f), r);
  Value p = constant(1.38888889e-3f);
  for (float c : {8.33333377e-3f, 4.16666679e-2f, 1.66666672e-1f, 0.5f, 1.0f, 1.0f})
    p = fma(p, r, constant(c));
  Value exponent = arith::SubIOp::create(b, loc, arith::BitcastOp::create(b, loc, ints, shifted), integer(0x4b400000));
  Value half = arith::ShRSIOp::create(b, loc, exponent, integer(1));
  Value rest = arith::SubIOp::create(b, loc, exponent, half);
  auto power = [&](Value e) -> Value {
    Value biased = arith::ShLIOp::create(b, loc, arith::AddIOp::create(b, loc, e, integer(127)), integer(23));
    return arith::BitcastOp::create(b, loc, type, biased);
  };
  Value y = arith::MulFOp::create(b, loc, arith::MulFOp::create(b, loc, p, power(half)), power(rest));
  // Below the range the result is 0.
  return arith::SelectOp::create(b, loc, arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, unclamped, low),
                                 constant(0.0f), y);
}
