//===- Passes.h - passes of the import phase ------------------------------===//
#ifndef MOE_IMPORT_PASSES_H
#define MOE_IMPORT_PASSES_H

#include "dialects/onnx/Onnx.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::moe {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "moe/Import/Passes.h.inc"

} // namespace mlir::moe

#endif // MOE_IMPORT_PASSES_H
