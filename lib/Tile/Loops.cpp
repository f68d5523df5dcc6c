//===- Loops.cpp - the plain loop form of every operation -----------------===//
#include "Loops.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::moe;

Value moe::operandFor(Operation *op, ValueRange operands, Value v) {
  for (auto [own, other] : llvm::zip(op->getOperands(), operands))
    if (own == v)
      return other;
  return {};
}

KernelEmitter moe::rowEmitter(int64_t grain, SplitFn split, RowFn row) {
  KernelEmitter emitter;
  emitter.vectorized = false;
  emitter.items = [=](OpBuilder &b, Location loc, Operation *op, ValueRange operands) -> Value {
    Code c(b, loc);
    auto [rows, cost] = split(c, op, operands);
    return RowSplit(c, rows, cost, grain).count();
  };
  emitter.body = [=](OpBuilder &b, Operation *op, Value begin, Value end) {
    Code c(b, op->getLoc());
    auto [rows, cost] = split(c, op, op->getOperands());
    RowSplit cut(c, rows, cost, grain);
    c.loop(cut.first(c.wrap(begin)), cut.last(c.wrap(end)), [&](V r) { row(c, op, r); });
    return success();
  };
  return emitter;
}

KernelEmitter moe::serialEmitter(std::function<void(Code &, Operation *)> body) {
  KernelEmitter emitter;
  emitter.vectorized = false;
  emitter.items = [](OpBuilder &b, Location loc, Operation *, ValueRange) -> Value {
    return arith::ConstantIndexOp::create(b, loc, 1);
  };
  emitter.body = [=](OpBuilder &b, Operation *op, Value begin, Value end) {
    Code c(b, op->getLoc());
    c.loop(c.wrap(begin), c.wrap(end), [&](V) { body(c, op); });
    return success();
  };
  return emitter;
}

std::optional<KernelEmitter> moe::getLoopEmitter(Operation *op, int64_t grain) {
  using Result = std::optional<KernelEmitter>;
  return TypeSwitch<Operation *, Result>(op)
      .Case([&](linalg::LinalgOp o) -> Result { return linalgLoops(o, grain); })
      .Case([&](memref::StoreOp o) -> Result { return storeLoops(o); })
      .Case([&](TopKOp o) -> Result { return topKLoops(o, grain); })
      .Case([&](SortOp o) -> Result { return sortLoops(o, grain); })
      .Case([&](ScanOp o) -> Result { return scanLoops(o, grain); })
      .Case([&](ScatterOp o) -> Result { return scatterLoops(o, grain); })
      .Case([&](NonZeroOp o) -> Result { return nonZeroLoops(o); })
      .Case([&](RouteOp o) -> Result { return routeLoops(o, grain); })
      .Case([&](DispatchOp o) -> Result { return dispatchLoops(o); })
      .Case([&](CombineOp o) -> Result { return combineLoops(o, grain); })
      .Case([&](GroupedMatmulOp o) -> Result { return groupedMatmulLoops(o, grain); })
      .Case([&](GroupedOuterProductOp o) -> Result { return groupedOuterProductLoops(o, grain); })
      .Case([&](AttentionOp o) -> Result { return attentionLoops(o, grain); })
      .Case([&](RmsNormOp o) -> Result { return rmsNormLoops(o, grain); })
      .Case([&](RopeOp o) -> Result { return ropeLoops(o, grain); })
      .Case([&](SwigluOp o) -> Result { return swigluLoops(o, grain); })
      .Case([&](QuantizeBlocksOp o) -> Result { return quantizeBlocksLoops(o, grain); })
      .Case([&](DequantizeBlocksOp o) -> Result { return dequantizeBlocksLoops(o, grain); })
      .Default([](Operation *) -> Result { return std::nullopt; });
}
