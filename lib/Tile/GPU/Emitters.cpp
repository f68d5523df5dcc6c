//===- Emitters.cpp - which operations have a kernel written for Hopper ---===//
#include "Emitters.h"

#include "dialects/moe/Moe.h"

using namespace mlir;
using namespace mlir::moe;

std::optional<KernelEmitter> moe::getGpuEmitter(Operation *op) {
  if (isa<ExpertProductsOp>(op))
    return emitExpertProducts(op);
  return std::nullopt;
}
