//===- ExpertProducts.cpp - moe.expert_products as two products over one work list ---===//
#include "../Emitters.h"

#include "Products.h"
#include "dialects/moe/Moe.h"

using namespace mlir;
using namespace mlir::moe;

static void emit(OpBuilder &b, ExpertProductsOp op) {
  Location loc = op.getLoc();
  auto up = [](int64_t n, int64_t by) { return (n + by - 1) / by; };
  bool scaled = static_cast<bool>(op.getXScales());
  int64_t hidden = op.getHidden(), inner = op.getIntermediate(), depth = scaled ? 128 : 64, jb = up(inner, 128);
  Value y = op.getOuts()[0], h = op.getOuts()[1], hScales = scaled ? op.getOuts()[2] : Value();
  auto activation = scaled ? makeActivation(b, loc, op.getEpilogue(), h, hScales, op.getCounters())
                           : makeRoundedActivation(b, loc, op.getEpilogue(), h, op.getCounters());
  // Product 1 has a block of 128 columns of I in a tile, product 2 waits for all of an item's.
  Type biasElement = op.getBiasElement().value_or(Type());
  Product products[] = {{op.getX(), op.getXScales(), op.getW1(), op.getW1Scales(), jb, up(hidden, depth),
                         /*paired=*/true, /*awaits=*/0, std::move(activation), op.getW1Bias(), biasElement},
                        {h, hScales, op.getW2(), op.getW2Scales(), up(hidden, 256), up(inner, depth), /*paired=*/false,
                         /*awaits=*/jb, makeStoreRows(b, loc, y, hidden), op.getW2Bias(), biasElement,
                         /*cuts=*/scaled && up(inner, depth) >= kCutDepth}};
  emitProducts(b, loc, products, op.getItems(), op.getCounters());
}

KernelEmitter moe::emitExpertProducts(Operation *) {
  return productsEmitter([](OpBuilder &b, Operation *op) { emit(b, cast<ExpertProductsOp>(op)); });
}
