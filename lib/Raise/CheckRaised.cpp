//===- CheckRaised.cpp - moe-check-raised: what may leave the phase -------===//
// Only moe, linalg, tensor, arith, math, scf, func and builtin ops and cf.assert, and no unsigned integers.
//===----------------------------------------------------------------------===//
#include "moe/Raise/Passes.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"

namespace mlir::moe {
#define GEN_PASS_DEF_CHECKRAISED
#include "moe/Raise/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

bool isUnsigned(Type type) {
  Type elem = isa<ShapedType>(type) ? cast<ShapedType>(type).getElementType() : type;
  return elem.isUnsignedInteger();
}

struct CheckRaised : mlir::moe::impl::CheckRaisedBase<CheckRaised> {
  void runOnOperation() override {
    bool clean = true;
    getOperation().walk([&](Operation *op) {
      StringRef dialect = op->getName().getDialectNamespace();
      if ((!llvm::is_contained({"moe", "linalg", "tensor", "arith", "math", "scf", "func", "builtin"}, dialect) &&
           !isa<cf::AssertOp>(op)) ||
          isa<UnrealizedConversionCastOp>(op)) {
        op->emitOpError("expects no op of this kind after raise");
        clean = false;
      } else if (llvm::any_of(op->getResultTypes(), isUnsigned)) {
        op->emitOpError("expects signless integers after raise");
        clean = false;
      }
    });
    if (!clean)
      signalPassFailure();
  }
};

} // namespace
