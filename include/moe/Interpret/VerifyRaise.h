//===- VerifyRaise.h - two modules on the same random inputs --------------===//
#ifndef MOE_INTERPRET_VERIFYRAISE_H
#define MOE_INTERPRET_VERIFYRAISE_H

#include "mlir/IR/BuiltinOps.h"

namespace mlir::moe {

/// The passes that bring a module with `onnx` ops to what the interpreter runs, without recognising.
void addGenericLowering(OpPassManager &pm);
/// `module` itself if the interpreter can run it, else a lowered copy, which `copy` owns. Failure with a diagnostic.
FailureOr<ModuleOp> interpretable(ModuleOp module, OwningOpRef<ModuleOp> &copy);

/// Runs function `entry` of both modules on the same random inputs: one token, odd extents, no token where both run
/// with that, repeated values (ties), masks of ones and with padding on the left, integers below the extents of the
/// tables they index. Modules with `onnx` ops are lowered in a copy first. Fails with one diagnostic at the entry of
/// `after` that names the output, the extents, the seed, the first coordinate that differs and both values. A check,
/// never the argument for a rewrite: what it does not try it does not show.
LogicalResult verifyRaise(ModuleOp before, ModuleOp after, StringRef entry = "main");

} // namespace mlir::moe

#endif // MOE_INTERPRET_VERIFYRAISE_H
