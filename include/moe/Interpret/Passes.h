//===- Passes.h - the reference interpreter as passes ---------------------===//
#ifndef MOE_INTERPRET_PASSES_H
#define MOE_INTERPRET_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include <memory>

namespace mlir::moe {

std::unique_ptr<Pass> createMoeInterpret();
std::unique_ptr<Pass> createMoeVerifyRaise();

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "moe/Interpret/Passes.h.inc"

} // namespace mlir::moe

#endif // MOE_INTERPRET_PASSES_H
