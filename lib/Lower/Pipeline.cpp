//===- Pipeline.cpp - the order of the lower passes -----------------------===//
#include "mlir/Conversion/Passes.h"
#include "mlir/Conversion/VectorToSCF/VectorToSCF.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "moe/Lower/Passes.h"

using namespace mlir;
using namespace mlir::moe;

/// The kernels of one variant, or the host program.
static void buildModulePipeline(OpPassManager &pm, bool gpu) {
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  if (gpu) {
    pm.addPass(createLowerTile());
    pm.addPass(createCanonicalizerPass());
    pm.addPass(createCSEPass());
  }
  // Narrow floats first: math on them is then math on f32.
  ExpandFloatsOptions floats;
  floats.nativeBf16 = gpu;
  pm.addPass(createExpandFloats(floats));
  pm.addPass(createExpandMath());
  pm.addPass(createLowerKernels());
  // Vector transfers become loads, stores and loops before loops become branches.
  pm.addPass(createConvertVectorToSCFPass());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(arith::createArithExpandOpsPass());
  pm.addPass(createSCFToControlFlowPass());
  // convert-to-llvm leaves some vector ops standing without an error; this one goes first.
  pm.addPass(createConvertVectorToLLVMPass());
  pm.addPass(createConvertToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
}

void moe::buildLowerPipeline(OpPassManager &pm, const LowerOptions &options) {
  pm.addPass(createLowerHost());
  // The host program and each variant are modules of their own, lowered in parallel.
  buildModulePipeline(pm.nest<ModuleOp>(), options.gpu);
  pm.addPass(createVerifyLower());
}
