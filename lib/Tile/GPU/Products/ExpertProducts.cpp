//===- ExpertProducts.cpp - moe.expert_products as two products over one work list ---===//
#include "../Emitters.h"

#include "Products.h"
#include "dialects/moe/Moe.h"

using namespace mlir;
using namespace mlir::moe;

/// Shorter tiles are not cut: they stream in less time than drawing another one costs (measured: 16 blocks gain, 6 lose).
static constexpr int64_t kCutDepth = 12;

static void emit(OpBuilder &b, ExpertProductsOp op) {
  Location loc = op.getLoc();
  auto up = [](int64_t n, int64_t by) { return (n + by - 1) / by; };
  int64_t hidden = op.getHidden(), kb = up(hidden, 128), ib = up(op.getIntermediate(), 128);
  Value y = op.getOuts()[0], h = op.getOuts()[1], hScales = op.getOuts()[2];
  // Products 1 has a block of 128 columns of I in a tile, product 2 waits for all of an item's.
  Product products[] = {{op.getX(), op.getXScales(), op.getW1(), op.getW1Scales(), ib, kb, /*paired=*/true, /*awaits=*/0,
                         makeActivation(b, loc, op.getEpilogue(), h, hScales, op.getCounters())},
                        {h, hScales, op.getW2(), op.getW2Scales(), up(hidden, 256), ib, /*paired=*/false, /*awaits=*/ib, makeStoreRows(b, loc, y, hidden),
                         /*cuts=*/ib >= kCutDepth}};
  emitProducts(b, loc, products, op.getItems(), op.getCounters());
}

KernelEmitter moe::emitExpertProducts(Operation *) {
  KernelEmitter emitter;
  emitter.items = [](OpBuilder &b, Location loc, Operation *, ValueRange) -> Value { return arith::ConstantIndexOp::create(b, loc, 1 << 20); };
  emitter.body = [](OpBuilder &b, Operation *op, Value, Value) -> LogicalResult {
    emit(b, cast<ExpertProductsOp>(op));
    return success();
  };
  emitter.block = BlockLaunch{kProductThreads, BlockLaunch::PerMultiprocessor, /*dependent=*/true};
  return emitter;
}
