//===- Passes.h - passes of the import phase ------------------------------===//
#ifndef MOE_IMPORT_PASSES_H
#define MOE_IMPORT_PASSES_H

#include "dialects/onnx/Onnx.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::moe {

/// The import phase after the file is read (see ImportOnnx.h): types inferred, promises checked. It changes nothing in a module
/// that was just imported, and brings one that was written by hand into the same state.
void buildImportPipeline(OpPassManager &pm);

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "moe/Import/Passes.h.inc"

} // namespace mlir::moe

#endif // MOE_IMPORT_PASSES_H
