//===- Pipeline.cpp - the order of the import passes ----------------------===//
#include "moe/Import/Passes.h"

#include "mlir/Pass/PassManager.h"

using namespace mlir;

void moe::buildImportPipeline(OpPassManager &pm) {
  // Types first: what follows relies on ranks and static extents.
  pm.addNestedPass<func::FuncOp>(createOnnxInferTypes());
  pm.addPass(createVerifyImport());
}
