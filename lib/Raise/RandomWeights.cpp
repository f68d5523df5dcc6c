//===- RandomWeights.cpp - weights whose values nobody ships --------------===//
//
//   moe.weight @w : tensor<8x16xf32> = #moe.recipe<cast, {}, [#moe.piece<"w.bin", 0, 256, tensor<8x16xbf16>>], tensor<8x16xf32>>
//     ->   moe.weight @w : tensor<8x16xf32> = #moe.recipe<cast, {}, [#moe.random<normal, 0.0 : f32, 0.29 : f32, 7, tensor<8x16xbf16>>], ...>
//
// Times and memory are those of the real weights; files need not be there.
//
//===----------------------------------------------------------------------===//
#include "moe/Raise/Passes.h"
#include "moe/Weights/Random.h"

namespace mlir::moe {
#define GEN_PASS_DEF_RANDOMWEIGHTS
#include "moe/Raise/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
struct RandomWeights : moe::impl::RandomWeightsBase<RandomWeights> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    llvm::StringSet<> gains;
    module.walk([&](GetWeightOp get) {
      if (llvm::any_of(get->getUsers(), [](Operation *user) { return isa<RmsNormOp>(user); }))
        gains.insert(get.getName());
    });
    for (auto weight : module.getOps<WeightOp>())
      weight.setRecipeAttr(
          randomizePieces(weight.getRecipe(), weight.getSymName(), gains.contains(weight.getSymName())));
    module->setAttr("moe.random_weights", UnitAttr::get(&getContext()));
  }
};
} // namespace
