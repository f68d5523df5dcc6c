//===- PlanBuffers.cpp - numbers and lifetimes of temporaries -------------===//
//
// A buffer whose size follows from the extents of the inputs is planned: the runtime packs all of them into one arena by
// their sizes and lifetimes, counted in launches. Buffers whose size depends on data are allocated while the program runs.
//
//   %a = memref.alloc(%n) : memref<?x8xf32>        ->   %a = memref.alloc(%n) {moe.temporary = array<i64: 0, 0, 1>} : ...
//   moe.launch @k0(%x, %a)   moe.launch @k1(%a, %y)
//
//===----------------------------------------------------------------------===//
#include "Views.h"
#include "moe/Schedule/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

namespace mlir::moe {
#define GEN_PASS_DEF_PLANBUFFERS
#include "moe/Schedule/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
struct PlanBuffers : moe::impl::PlanBuffersBase<PlanBuffers> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal() || func->hasAttr("moe.kernel"))
      return;
    Block *entry = &func.getBody().front();
    // An allocation that canonicalization made anew (its extents turned out to be constants) has lost the mark of an output.
    for (OpOperand &operand : entry->getTerminator()->getOpOperands()) {
      Value root = rootOfReshapes(operand.get());
      if (auto alloc = root ? root.getDefiningOp<memref::AllocOp>() : nullptr)
        alloc->setAttr("moe.output", IntegerAttr::get(IntegerType::get(&getContext(), 64), operand.getOperandNumber()));
    }
    // Launches in program order, and for each op of the entry block the range of launches it or its regions make.
    DenseMap<Operation *, std::pair<int64_t, int64_t>> steps;
    int64_t step = 0;
    for (Operation &op : *entry) {
      int64_t first = step;
      op.walk([&](LaunchOp) { ++step; });
      steps[&op] = {first, step > first ? step - 1 : std::max<int64_t>(first - 1, 0)};
    }
    DenseMap<Value, std::pair<int64_t, int64_t>> live;
    func.walk([&](Operation *op) {
      if (isViewOp(op))
        return;
      for (Value operand : op->getOperands()) {
        if (!isa<MemRefType>(operand.getType()) || isa<memref::DimOp>(op))
          continue;
        auto [first, last] = steps[entry->findAncestorOpInBlock(*op)];
        auto [it, isNew] = live.try_emplace(rootOf(operand), first, last);
        it->second = {std::min(it->second.first, first), std::max(it->second.second, last)};
      }
    });
    Builder b(&getContext());
    DenseMap<Value, bool> known;
    int64_t number = 0;
    for (auto alloc : llvm::make_early_inc_range(entry->getOps<memref::AllocOp>())) {
      if (alloc->hasAttr("moe.output")) {
        // The caller has memory for outputs whose extents it can know; the others ask for it while they run.
        if (!isFromExtents(alloc.getResult(), entry, known))
          alloc->setAttr("moe.late", b.getUnitAttr());
        continue;
      }
      auto it = live.find(alloc.getResult());
      if (it == live.end())
        continue;
      if (!isFromExtents(alloc.getResult(), entry, known)) {
        ++numDynamic;
        continue;
      }
      alloc->setAttr("moe.temporary", b.getDenseI64ArrayAttr({number++, it->second.first, it->second.second}));
      ++numTemporaries;
    }
  }
};
} // namespace
