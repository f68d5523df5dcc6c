//===- VerifyLower.cpp - what the lower phase hands on --------------------===//
//
// Out: the llvm dialect, modules, and the weights' declarations.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "moe/Lower/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_VERIFYLOWER
#include "moe/Lower/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
struct VerifyLower : moe::impl::VerifyLowerBase<VerifyLower> {
  void runOnOperation() override {
    bool failedAny = false;
    getOperation().walk([&](Operation *op) {
      // Constants of the program are written with the weights, so their declarations stay.
      if (isa<ModuleOp, WeightOp, memref::GlobalOp>(op) ||
          isa_and_nonnull<LLVM::LLVMDialect, NVVM::NVVMDialect>(op->getDialect()))
        return;
      op->emitOpError("has no lowering to code for this target");
      failedAny = true;
    });
    if (failedAny)
      signalPassFailure();
  }
};
} // namespace
