//===- Emitters.cpp - which operations have a kernel written for Hopper ---===//
#include "Emitters.h"

#include "dialects/moe/Moe.h"

using namespace mlir;
using namespace mlir::moe;

std::optional<KernelEmitter> moe::getGpuEmitter(Operation *op) {
  if (isa<RouteRowsOp>(op))
    return emitRouteRows(op);
  if (isa<QuantizeRowsOp>(op))
    return emitQuantizeRows(op);
  if (isa<CopyRowsOp>(op))
    return emitCopyRows(op);
  if (isa<ListRowsOp>(op))
    return emitListRows(op);
  if (isa<ExpertProductsOp>(op))
    return emitExpertProducts(op);
  if (isa<RowProductOp>(op))
    return emitRowProduct(op);
  if (isa<GroupedOuterProductOp>(op))
    return emitGroupedOuterProduct(op);
  if (isa<CombineOp>(op))
    return emitCombine(op);
  return std::nullopt;
}
