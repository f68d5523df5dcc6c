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
  pm.addNestedPass<func::FuncOp>(createRaiseSwiglu());
}
