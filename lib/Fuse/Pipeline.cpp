//===- Pipeline.cpp - the order of the fuse passes ------------------------===//
#include "moe/Fuse/Passes.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace mlir::moe;

void moe::buildFusePipeline(OpPassManager &pm, const FuseOptions &options) {
  // Experts first: what they compute between products is known best while it stands in their region.
  pm.addPass(createSplitExperts());
  // Dense products become the same operation, all on one weight layout.
  pm.addPass(createPackProducts(PackProductsOptions{options.panel, options.narrow}));
  if (options.narrow)
    pm.addPass(createNarrowTables());
  // Dead shape arithmetic and duplicates would count as users of a product: clean before fusing epilogues.
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addNestedPass<func::FuncOp>(createFuseEpilogues());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  // Everything that reads types is done: from here on codes and scales are tensors of their own.
  pm.addPass(createSplitScaled(SplitScaledOptions{options.panel}));
  pm.addPass(createCSEPass());
  pm.addPass(createDropUnusedWeights());
  pm.addPass(createVerifyFuse());
}

namespace {
struct FusePipelineOptions : PassPipelineOptions<FusePipelineOptions> {
  Option<int64_t> panel{*this, "panel", llvm::cl::desc("columns in a panel of packed weights; 0: not packed"),
                        llvm::cl::init(16)};
  Option<bool> narrow{*this, "narrow", llvm::cl::desc("keep bf16 weights in bf16"), llvm::cl::init(true)};
};
} // namespace

void moe::registerFusePipeline() {
  PassPipelineRegistration<FusePipelineOptions>(
      "moe-fuse", "The fuse phase",
      [](OpPassManager &pm, const FusePipelineOptions &o) { buildFusePipeline(pm, FuseOptions{o.panel, o.narrow}); });
}
