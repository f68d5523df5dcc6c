//===- VerifyFuse.cpp - what leaves the fuse phase -------------------------===//
//
// No onnx operation, no moe.experts, no scaled value; every result of a moe operation is a tensor (buffers come with schedule).
//
//===----------------------------------------------------------------------===//
#include "moe/Fuse/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_VERIFYFUSE
#include "moe/Fuse/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
struct VerifyFuse : moe::impl::VerifyFuseBase<VerifyFuse> {
  void runOnOperation() override {
    getOperation().walk([&](Operation *op) {
      StringRef dialect = op->getName().getDialectNamespace();
      if (dialect == "onnx" || isa<ExpertsOp>(op)) {
        op->emitOpError() << "is not expected after the fuse phase";
        signalPassFailure();
      } else if (llvm::any_of(op->getResultTypes(), llvm::IsaPred<ScaledType>)) {
        op->emitOpError() << "expects codes and scales after the fuse phase, but it makes a scaled value";
        signalPassFailure();
      } else if (auto compute = dyn_cast<MoeComputeOpInterface>(op); compute && !compute.getOutBuffers().empty()) {
        op->emitOpError() << "expects tensors in the fuse phase, but it writes buffers";
        signalPassFailure();
      }
    });
  }
};
} // namespace
