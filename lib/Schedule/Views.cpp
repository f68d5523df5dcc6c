//===- Views.cpp - what is known of a buffer before the program runs ------===//
#include "Views.h"
#include "dialects/moe/Moe.h"

using namespace mlir;
using namespace mlir::moe;

/// True if `v` follows from the extents of the function's arguments by arithmetic alone.
bool moe::isFromExtents(Value v, Block *entry, DenseMap<Value, bool> &known) {
  auto it = known.find(v);
  if (it != known.end())
    return it->second;
  Operation *op = v.getDefiningOp();
  bool result = false;
  if (op && op->getBlock() == entry) {
    if (isa<MemRefType>(v.getType())) {
      // The sizes of a buffer: those of its operands (sources and size operands alike).
      result = isa<GetWeightOp, memref::GetGlobalOp>(op) ||
               ((isa<memref::AllocOp>(op) || isViewOp(op)) &&
                llvm::all_of(op->getOperands(), [&](Value o) { return isFromExtents(o, entry, known); }));
    } else if (op->getNumRegions() == 0 && (isPure(op) || isa<memref::DimOp>(op))) {
      result = llvm::all_of(op->getOperands(), [&](Value o) { return isFromExtents(o, entry, known); });
    }
  } else if (auto arg = dyn_cast<BlockArgument>(v)) {
    result = arg.getOwner() == entry && isa<MemRefType>(v.getType());
  }
  known[v] = result;
  return result;
}
