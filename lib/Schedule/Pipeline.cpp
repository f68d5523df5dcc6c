//===- Pipeline.cpp - the order of the schedule passes --------------------===//
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "moe/Fuse/Passes.h"
#include "moe/Schedule/Passes.h"

using namespace mlir;
using namespace mlir::moe;

void moe::buildSchedulePipeline(OpPassManager &pm, const ScheduleOptions &options) {
  // Which kernels a layer becomes is the chip's matter: texts up to `fuse` say what is computed.
  if (options.gpu) {
    pm.addPass(createPlanExperts());
    pm.addPass(createPlanFeedForward());
    // Then what is left: products of which no two make a layer.
    pm.addPass(createPlanProducts());
    pm.addPass(createCanonicalizerPass());
    pm.addPass(createCSEPass());
    pm.addPass(createDropUnusedWeights());
  }
  // Views and scalars instead of copies and stores, while values are still tensors.
  pm.addNestedPass<func::FuncOp>(createPrepareBuffers());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createBufferize());
  // Folds dims of allocations and views into the sizes they were made with, so that plans are arithmetic on extents.
  pm.addNestedPass<func::FuncOp>(memref::createResolveShapedTypeResultDimsPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  // While ops still say what they assume; comparisons of equal expressions fold away.
  pm.addNestedPass<func::FuncOp>(createCheckExtents());
  pm.addNestedPass<func::FuncOp>(memref::createResolveShapedTypeResultDimsPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createCanonicalizerPass());
  // Before outlining: the copies it makes are kernels too.
  pm.addNestedPass<func::FuncOp>(createPlaceOutputs());
  // Views are the host's business, so loops are merged while ops still stand there.
  pm.addNestedPass<func::FuncOp>(createCollapseLoops());
  pm.addPass(createOutlineKernels());
  // Views and sizes that only the outlined ops used are gone before lifetimes are counted.
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addNestedPass<func::FuncOp>(createPlanBuffers());
  pm.addPass(createVerifySchedule());
}
