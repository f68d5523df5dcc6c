//===- CollapseLoops.cpp - fewer, longer loops ----------------------------===//
//
// Merges adjacent dims of linalg ops on buffers that every operand walks through together, so that elementwise work is one
// long loop whatever the rank, and kernels of different ranks become equal. Copies become linalg ops first.
//
//   linalg.generic (d0, d1, d2) on memref<?x?x64xf32>   ->   linalg.generic (d0) on memref<?xf32> (collapse_shape views)
//
//===----------------------------------------------------------------------===//
#include "Views.h"
#include "moe/Schedule/Passes.h"

#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/IR/PatternMatch.h"

namespace mlir::moe {
#define GEN_PASS_DEF_COLLAPSELOOPS
#include "moe/Schedule/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

/// True if dims `dim` and `dim + 1` are one dim for every operand: absent from it, or side by side in contiguous memory.
static bool canMerge(linalg::GenericOp op, unsigned dim) {
  for (OpOperand &operand : op->getOpOperands()) {
    if (!op.isDpsInit(&operand) && !llvm::is_contained(op.getDpsInputOperands(), &operand))
      continue;
    AffineMap map = op.getMatchingIndexingMap(&operand);
    bool first = map.isFunctionOfDim(dim), second = map.isFunctionOfDim(dim + 1);
    if (first != second)
      return false;
    if (!first)
      continue;
    auto type = dyn_cast<MemRefType>(operand.get().getType());
    MLIRContext *context = op.getContext();
    auto position = map.getResultPosition(getAffineDimExpr(dim, context));
    auto next = map.getResultPosition(getAffineDimExpr(dim + 1, context));
    if (!type || !position || !next || *next != *position + 1)
      return false;
    if (!areContiguous(type, *position))
      return false;
  }
  return true;
}

namespace {
struct CollapseLoops : moe::impl::CollapseLoopsBase<CollapseLoops> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    SmallVector<Operation *> copies, ops;
    getOperation().walk([&](memref::CopyOp op) { copies.push_back(op); });
    for (Operation *op : copies) {
      auto copy = cast<memref::CopyOp>(op);
      rewriter.setInsertionPoint(copy);
      int64_t rank = cast<MemRefType>(copy.getSource().getType()).getRank();
      AffineMap map = rewriter.getMultiDimIdentityMap(rank);
      rewriter.replaceOpWithNewOp<linalg::GenericOp>(
          copy, copy.getSource(), copy.getTarget(), ArrayRef<AffineMap>{map, map},
          SmallVector<utils::IteratorType>(rank, utils::IteratorType::parallel),
          [](OpBuilder &b, Location loc, ValueRange args) { linalg::YieldOp::create(b, loc, args[0]); });
    }
    getOperation().walk([&](linalg::LinalgOp op) { ops.push_back(op); });
    for (Operation *op : ops) {
      rewriter.setInsertionPoint(op);
      auto linalgOp = cast<linalg::LinalgOp>(op);
      auto generic = dyn_cast<linalg::GenericOp>(op);
      if (!generic) {
        // Products keep their name: hand-shaped kernels know them by it.
        if (linalg::isaContractionOpInterface(linalgOp))
          continue;
        FailureOr<linalg::GenericOp> general = linalg::generalizeNamedOp(rewriter, linalgOp);
        if (failed(general))
          continue;
        generic = *general;
      }
      // Upstream's collapsing takes maps of dims alone, not the constant places of a broadcast.
      if (generic.hasIndexSemantics() ||
          !llvm::all_of(generic.getIndexingMapsArray(), [](AffineMap map) { return map.isProjectedPermutation(); }))
        continue;
      SmallVector<utils::IteratorType> kinds = generic.getIteratorTypesArray();
      SmallVector<ReassociationIndices> groups;
      for (unsigned i = 0; i < kinds.size(); ++i) {
        if (i > 0 && kinds[i] == kinds[i - 1] && canMerge(generic, i - 1))
          groups.back().push_back(i);
        else
          groups.push_back({i});
      }
      if (groups.size() == kinds.size())
        continue;
      rewriter.setInsertionPoint(generic);
      FailureOr<linalg::CollapseResult> collapsed = linalg::collapseOpIterationDims(generic, groups, rewriter);
      if (failed(collapsed))
        continue;
      rewriter.eraseOp(generic);
      ++numCollapsed;
    }
  }
};
} // namespace
