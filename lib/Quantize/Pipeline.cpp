//===- Pipeline.cpp - the order of the quantize passes --------------------===//
#include "moe/Fuse/Passes.h"
#include "moe/Quantize/Passes.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace mlir::moe;

void moe::buildQuantizePipeline(OpPassManager &pm, const QuantizeOptions &options) {
  // All products in one form, dense and routed, with their weights as [G, N, K]: gate and up are matrices of their own.
  pm.addPass(createSplitExperts());
  pm.addPass(createPackProducts(PackProductsOptions{/*panel=*/0, /*narrow=*/false}));
  // What reads a product decides what it is: dead readers would mislead, equal activations are quantized once.
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  QuantizeProductsOptions products;
  products.recipe = options.recipe;
  products.activations = options.activations;
  products.keep.assign(options.keep.begin(), options.keep.end());
  products.table = options.table;
  pm.addPass(createQuantizeProducts(products));
  pm.addPass(createCSEPass());
  pm.addPass(createVerifyQuantize());
}

namespace {
struct QuantizePipelineOptions : PassPipelineOptions<QuantizePipelineOptions> {
  Option<std::string> recipe{*this, "recipe", llvm::cl::desc("plain or blocks"), llvm::cl::init("blocks")};
  Option<std::string> activations{*this, "activations", llvm::cl::desc("f32, bf16 or f8"), llvm::cl::init("f32")};
  ListOption<std::string> keep{*this, "keep", llvm::cl::desc("globs of node or weight names that stay high")};
  Option<bool> table{*this, "table", llvm::cl::desc("print the table of products"), llvm::cl::init(false)};
};
} // namespace

void moe::registerQuantizePipeline() {
  PassPipelineRegistration<QuantizePipelineOptions>(
      "moe-quantize", "The quantize phase", [](OpPassManager &pm, const QuantizePipelineOptions &o) {
        buildQuantizePipeline(pm, QuantizeOptions{o.recipe, o.activations,
                                                  std::vector<std::string>(o.keep.begin(), o.keep.end()), o.table});
      });
}
