//===- Interpreter.h - the reference interpreter --------------------------===//
//
// Runs functions of func, moe, linalg, tensor, arith, math, scf and affine ops on tensors with plain loops. It shares
// no code with the compiler's phases: it is what they are compared with.
//
//===----------------------------------------------------------------------===//
#ifndef MOE_INTERPRET_INTERPRETER_H
#define MOE_INTERPRET_INTERPRETER_H

#include "moe/Interpret/HostTensor.h"

#include "mlir/IR/BuiltinOps.h"

namespace mlir::moe {

/// Runs function `entry` of `module` on `inputs`, one tensor for each argument (rank 0 for a scalar), of the argument's
/// element type and a shape that fits its type. Weights are read from the folder of the module attribute
/// `moe.weights_dir`. Returns one tensor a result. Whatever goes wrong (an op that is not known, an index out of
/// bounds, sizes that do not fit) is one diagnostic at the op, and failure. The module is not changed.
FailureOr<SmallVector<HostTensor>> interpret(ModuleOp module, StringRef entry, ArrayRef<HostTensor> inputs);

} // namespace mlir::moe

#endif // MOE_INTERPRET_INTERPRETER_H
