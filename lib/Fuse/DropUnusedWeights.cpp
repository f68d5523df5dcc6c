//===- DropUnusedWeights.cpp - weights that nothing reads ------------------===//
//
// Folding and packing make new weights from old ones; the old ones go when their last moe.get_weight is gone.
//
//===----------------------------------------------------------------------===//
#include "moe/Fuse/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_DROPUNUSEDWEIGHTS
#include "moe/Fuse/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
struct DropUnusedWeights : moe::impl::DropUnusedWeightsBase<DropUnusedWeights> {
  void runOnOperation() override {
    DenseSet<StringAttr> used;
    getOperation().walk([&](GetWeightOp get) {
      if (get->use_empty())
        get.erase();
      else
        used.insert(get.getNameAttr().getAttr());
    });
    for (auto weight : llvm::make_early_inc_range(getOperation().getOps<WeightOp>()))
      if (!used.contains(weight.getSymNameAttr()))
        weight.erase();
  }
};
} // namespace
