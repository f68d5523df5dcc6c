//===- OnnxInferTypes.cpp - the result types that inputs imply ------------===//
//
//   before:  %s = onnx.Shape(%x) : (tensor<?x8xf32>) -> tensor<?xi64>
//   after:   %s = onnx.Shape(%x) : (tensor<?x8xf32>) -> tensor<2xi64>
//
//===----------------------------------------------------------------------===//
#include "moe/Import/Passes.h"
#include "moe/Import/ShapeFacts.h"

namespace mlir::moe {
#define GEN_PASS_DEF_ONNXINFERTYPES
#include "moe/Import/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;

#define DEBUG_TYPE "onnx-infer-types"

namespace {
struct OnnxInferTypes : moe::impl::OnnxInferTypesBase<OnnxInferTypes> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal())
      return;
    moe::ShapeFacts facts(func);
    WalkResult typed = func.getBody().walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (!isa_and_nonnull<onnx::OnnxDialect>(op->getDialect()))
        return WalkResult::advance();
      if (failed(facts.infer(op)))
        return WalkResult::interrupt();
      for (OpResult result : op->getResults())
        result.setType(facts.type(result));
      return WalkResult::advance();
    });
    if (typed.wasInterrupted())
      return signalPassFailure();
    Operation *ret = func.getBody().back().getTerminator();
    func.setType(
        FunctionType::get(func.getContext(), func.getArgumentTypes(), SmallVector<Type>(ret->getOperandTypes())));
  }
};
} // namespace
