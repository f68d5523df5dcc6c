//===- VerifyQuantize.cpp - what leaves the quantize phase -----------------===//
//
// Scaled values live between moe operations of one block of code; a router's logits are no product of scaled values; no
// onnx operation.
//
//===----------------------------------------------------------------------===//
#include "moe/Quantize/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_VERIFYQUANTIZE
#include "moe/Quantize/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

/// The product that a value is, seen through reshapes and casts.
static GroupedMatmulOp productOf(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (auto product = dyn_cast<GroupedMatmulOp>(op))
      return product;
    if (!isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp, tensor::ReshapeOp>(op))
      return {};
    value = op->getOperand(0);
  }
  return {};
}

namespace {
struct VerifyQuantize : moe::impl::VerifyQuantizeBase<VerifyQuantize> {
  void runOnOperation() override {
    auto fail = [&](Operation *op, const Twine &why) {
      op->emitOpError() << why;
      signalPassFailure();
    };
    getOperation().walk([&](Operation *op) {
      if (op->getName().getDialectNamespace() == "onnx")
        return fail(op, "is not expected after the quantize phase");
      if (!isa_and_nonnull<MoeDialect>(op->getDialect()) &&
          llvm::any_of(llvm::concat<const Type>(SmallVector<Type>(op->getOperandTypes()),
                                                SmallVector<Type>(op->getResultTypes())),
                       llvm::IsaPred<ScaledType>))
        return fail(op, "expects no scaled values: they are made and read by moe ops of one function");
      for (Region &region : op->getRegions())
        for (Block &block : region)
          if (llvm::any_of(block.getArgumentTypes(), llvm::IsaPred<ScaledType>))
            return fail(op, "expects no scaled values as arguments: they are made and read by moe ops of one function");
      if (auto route = dyn_cast<RouteOp>(op))
        if (GroupedMatmulOp product = productOf(route.getLogits()))
          if (isa<ScaledType>(product.getWeights().front().getType()))
            fail(op, "expects logits in high precision, but they are a product of scaled values");
    });
  }
};
} // namespace
