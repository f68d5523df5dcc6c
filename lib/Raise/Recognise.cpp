//===- Recognise.cpp - the order of normalisations and recognisers --------===//
#include "moe/Raise/Passes.h"

#include "mlir/Pass/PassManager.h"

using namespace mlir;
using namespace mlir::moe;

void mlir::moe::buildRecognisePipeline(OpPassManager &pm) {
  // Normalisations give every layer one form; the recognisers stand on it.
  pm.addNestedPass<func::FuncOp>(createNormalizeOnnx());
  pm.addNestedPass<func::FuncOp>(createRaiseNorms());
  pm.addNestedPass<func::FuncOp>(createRaiseRope());
  pm.addPass(createRaiseAttention());
  // Fused nodes, then routers, then the experts that read them. Experts' weights are stacked by layout ops, which fold.
  pm.addPass(createRaiseMoeNodes());
  pm.addPass(createRaiseRouters());
  pm.addPass(createRaiseExperts());
  pm.addPass(createFoldWeights());
  pm.addNestedPass<func::FuncOp>(createRaiseSwiglu());
}
