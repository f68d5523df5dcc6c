//===- VerifySchedule.cpp - what the schedule phase hands on --------------===//
//
// Out: a host program of launches, views, allocations, scalar arithmetic, scalar reads and structured control flow; and
// kernels that hold exactly one compute op each. No tensors.
//
//===----------------------------------------------------------------------===//
#include "Views.h"
#include "moe/Schedule/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Math/IR/Math.h"

namespace mlir::moe {
#define GEN_PASS_DEF_VERIFYSCHEDULE
#include "moe/Schedule/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

static bool isHostOp(Operation *op) {
  if (isViewOp(op) || isa<LaunchOp, GetWeightOp, memref::AllocOp, memref::LoadOp, memref::DimOp, memref::GetGlobalOp,
                          func::ReturnOp, cf::AssertOp, CheckedOp, affine::AffineApplyOp>(op))
    return true;
  return isa_and_nonnull<arith::ArithDialect, math::MathDialect, scf::SCFDialect>(op->getDialect());
}

namespace {
struct VerifySchedule : moe::impl::VerifyScheduleBase<VerifySchedule> {
  void runOnOperation() override {
    bool failedAny = false;
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      if (func.isExternal())
        continue;
      if (func->hasAttr("moe.kernel")) {
        if (llvm::hasSingleElement(func.getBody().front())) {
          func.emitOpError("is expected to compute something after 'schedule'");
          failedAny = true;
        }
        continue;
      }
      for (OpOperand &operand : func.getBody().front().getTerminator()->getOpOperands()) {
        Value root = rootOfReshapes(operand.get());
        auto output = root && root.getDefiningOp() ? root.getDefiningOp()->getAttrOfType<IntegerAttr>("moe.output")
                                                   : IntegerAttr();
        if (output && output.getInt() == operand.getOperandNumber())
          continue;
        func.emitOpError("expects result ")
            << operand.getOperandNumber() << " to be an allocation with 'moe.output = " << operand.getOperandNumber()
            << "' after 'schedule'";
        failedAny = true;
      }
      func.walk([&](Operation *op) {
        bool tensors = llvm::any_of(op->getResultTypes(), llvm::IsaPred<TensorType>);
        if (op == func || (isHostOp(op) && !tensors))
          return;
        op->emitOpError("is not expected in a host program after 'schedule'");
        failedAny = true;
      });
    }
    if (failedAny)
      signalPassFailure();
  }
};
} // namespace
