//===- Emitters.cpp - which operations have hand-shaped CPU kernels -------===//
#include "Emitters.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::moe;

Value moe::hostOperand(Operation *op, ValueRange operands, Value v) {
  for (auto [own, host] : llvm::zip(op->getOperands(), operands))
    if (own == v)
      return host;
  return v;
}

std::optional<KernelEmitter> moe::getCpuEmitter(Operation *op, const CpuTarget &target) {
  return llvm::TypeSwitch<Operation *, std::optional<KernelEmitter>>(op)
      .Case<AttentionOp>([&](auto attention) { return attentionEmitter(attention, target); })
      .Case<CombineOp>([&](auto combine) { return combineEmitter(combine); })
      .Case<GroupedMatmulOp>([&](auto product) { return groupedMatmulEmitter(product, target); })
      .Case<RmsNormOp>([&](auto norm) { return rmsNormEmitter(norm); })
      .Case<RopeOp>([&](auto rope) { return ropeEmitter(rope); })
      .Case<RouteOp>([&](auto route) { return routeEmitter(route); })
      .Case<SwigluOp>([&](auto swiglu) { return swigluEmitter(swiglu); })
      .Default([](Operation *) { return std::nullopt; });
}
