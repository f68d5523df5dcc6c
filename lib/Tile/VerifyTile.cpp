//===- VerifyTile.cpp - what the tile phase hands on ----------------------===//
//
// Out: launches that say how many items they have; kernels of arith, math, vector, scf, memref, func and llvm ops.
//
//===----------------------------------------------------------------------===//
#include "moe/Tile/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_VERIFYTILE
#include "moe/Tile/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
struct VerifyTile : moe::impl::VerifyTileBase<VerifyTile> {
  void runOnOperation() override {
    bool failedAny = false;
    getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) {
      auto launch = dyn_cast<LaunchOp>(op);
      bool inVariant = op->getParentOfType<ModuleOp>() && op->getParentOfType<ModuleOp>() != getOperation();
      StringRef dialect = op->getDialect() ? op->getDialect()->getNamespace() : "";
      if (launch && !launch.getItems()) {
        op->emitOpError("is expected to say its number of items after 'tile'");
        failedAny = true;
      } else if (inVariant && (dialect == "moe" || dialect == "linalg" || dialect == "tensor")) {
        op->emitOpError("is not expected in a kernel after 'tile'");
        failedAny = true;
        return WalkResult::skip();
      }
      return WalkResult::advance();
    });
    if (failedAny)
      signalPassFailure();
  }
};
} // namespace
