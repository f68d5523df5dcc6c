//===- Pipeline.cpp - the raise phase: onnx to moe and upstream dialects ----===//
#include "moe/Raise/Passes.h"

#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace mlir::moe;

/// What the generic lowering alone needs: the oracle's way from an imported graph, without recognisers.
void mlir::moe::buildConvertOnnxPipeline(OpPassManager &pm) {
  pm.addPass(createConvertOnnx());
  // Shape chains are dead by now: their readers asked the facts.
  pm.addPass(createCanonicalizerPass());
  // Extents of intermediate values become extents of arguments, so that no op stays for its size alone.
  pm.addNestedPass<func::FuncOp>(memref::createResolveRankedShapeTypeResultDimsPass());
  pm.addNestedPass<func::FuncOp>(createLowerAffinePass());
  pm.addPass(createCSEPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createCheckRaised());
}

void mlir::moe::buildRaisePipeline(OpPassManager &pm, const RaiseOptions &options) {
  // Weights first: what a recogniser sees is then a weight, not a Cast of a Transpose of one.
  pm.addPass(createFoldWeights());
  if (options.recognise)
    buildRecognisePipeline(pm);
  buildConvertOnnxPipeline(pm);
}

void mlir::moe::registerRaisePipelines() {
  PassPipelineRegistration<>("moe-raise", "The raise phase",
                             [](OpPassManager &pm) { buildRaisePipeline(pm, RaiseOptions()); });
  PassPipelineRegistration<>("moe-raise-generic",
                             "The raise phase without recognisers: ONNX's definitions, nothing else",
                             [](OpPassManager &pm) {
                               RaiseOptions options;
                               options.recognise = false;
                               buildRaisePipeline(pm, options);
                             });
}
