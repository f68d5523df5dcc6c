//===- MoeGradientOps.cpp - what gradients need: verifiers, shapes ---------===//
//
// The constraint numbers of MoeGradientOps.td return as comments above the check that enforces them.
//
//===----------------------------------------------------------------------===//
#include "OpSupport.h"

using namespace mlir;
using namespace mlir::moe;

MOE_COMPUTE_OP(GroupedOuterProductOp)

LogicalResult GroupedOuterProductOp::verify() {
  // grouped_outer_product_c1
  if (failed(expectRank(*this, getDy(), 2, "dy")) || failed(expectFloats(*this, getDy(), "dy")) ||
      failed(expectRank(*this, getX(), 2, "x")))
    return failure();
  ShapedType dy = shaped(getDy()), x = shaped(getX()), offsets = shaped(getOffsets());
  if (dy.getElementType() != x.getElementType())
    return emitOpError() << "expects dy and x to hold floats of one type, but they are " << dy << " and " << x;
  if (!dimsAgree(dy.getDimSize(0), x.getDimSize(0)))
    return emitOpError() << "expects dy and x to agree in their rows, but they are " << dy << " and " << x;
  // grouped_outer_product_c2
  if (failed(expectRank(*this, getOffsets(), 1, "offsets")) || failed(expectI32(*this, getOffsets(), "offsets")))
    return failure();
  int64_t bounds = offsets.getDimSize(0);
  if (!ShapedType::isDynamic(bounds) && bounds < 2)
    return emitOpError() << "expects offsets with two elements at least, but they are " << offsets;
  // grouped_outer_product_c3
  int64_t groups = ShapedType::isDynamic(bounds) ? bounds : bounds - 1;
  return verifyResults(*this, {floats({groups, dy.getDimSize(1), x.getDimSize(1)})});
}

LogicalResult GroupedOuterProductOp::inferResultSizes(OpBuilder &b, Sizes &sizes) {
  OpFoldResult groups = dimOf(b, getLoc(), getOffsets(), 0);
  if (auto constant = getConstantIntValue(groups))
    groups = b.getIndexAttr(*constant - 1);
  else
    groups =
        b.createOrFold<arith::SubIOp>(getLoc(), cast<Value>(groups), arith::ConstantIndexOp::create(b, getLoc(), 1));
  sizes.push_back({groups, dimOf(b, getLoc(), getDy(), 1), dimOf(b, getLoc(), getX(), 1)});
  return success();
}
