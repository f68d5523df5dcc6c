//===- RowProduct.cpp - moe.row_product as one product over a work list ---===//
#include "../Emitters.h"

#include "Products.h"
#include "dialects/moe/Moe.h"

using namespace mlir;
using namespace mlir::moe;

/// Whether the region only rounds its sum.
static bool roundsItsSum(Region &region) {
  Value yielded = region.front().getTerminator()->getOperand(0);
  auto rounded = yielded.getDefiningOp<arith::TruncFOp>();
  return rounded && rounded.getIn() == region.front().getArgument(0);
}

static void emit(OpBuilder &b, RowProductOp op) {
  Location loc = op.getLoc();
  auto weights = cast<MemRefType>(op.getWeights().getType());
  int64_t columns = op.getColumns();
  Value y = op.getOuts().front(),
        shift = weights.getDimSize(0) > 1 ? op.getShift() : Value(); // one group stands at place 0
  auto epilogue =
      roundsItsSum(op.getEpilogue()) && columns % 8 == 0
          ? makeStoreRows(b, loc, y, columns, shift)
          : makeStoreResult(b, loc, y, columns, shift, op.getEpilogue(), op.getExtras(), op.getExtraKinds());
  Product products[] = {{op.getX(), op.getXScales(), op.getWeights(), op.getWeightScales(), weights.getDimSize(1),
                         weights.getDimSize(2),
                         /*paired=*/false, /*awaits=*/0, std::move(epilogue), /*bias=*/{}, /*biasElement=*/{},
                         /*cuts=*/op.getXScales() && weights.getDimSize(2) >= kCutDepth}};
  emitProducts(b, loc, products, op.getItems(), op.getCounters(), /*recycled=*/true);
}

KernelEmitter moe::emitRowProduct(Operation *) {
  return productsEmitter([](OpBuilder &b, Operation *op) { emit(b, cast<RowProductOp>(op)); });
}
