//===- VerifyImport.cpp - what the import phase promises ------------------===//
#include "dialects/moe/Moe.h"
#include "moe/Import/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_VERIFYIMPORT
#include "moe/Import/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
struct VerifyImport : moe::impl::VerifyImportBase<VerifyImport> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    bool good = true;
    auto refuse = [&](Operation *op, const Twine &message) {
      op->emitOpError(message);
      good = false;
    };
    auto functions = module.getOps<func::FuncOp>();
    if (llvm::count_if(functions, [](func::FuncOp func) { return func->hasAttr("moe.entry"); }) != 1)
      refuse(module, "expects one function with moe.entry after the import phase");
    module.walk([&](Operation *op) {
      if (isa<ModuleOp, func::FuncOp, func::ReturnOp, WeightOp, GetWeightOp>(op))
        return;
      if (!isa_and_nonnull<onnx::OnnxDialect>(op->getDialect()))
        return refuse(op, "is not legal after the import phase");
      for (Type type : op->getResultTypes())
        if (!isa<RankedTensorType>(type))
          refuse(op, "expects ranked tensors after the import phase");
    });
    if (!good)
      signalPassFailure();
  }
};
} // namespace
