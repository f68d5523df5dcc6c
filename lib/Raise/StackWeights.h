//===- StackWeights.h - one parameter for each expert -> one of all -------===//
#ifndef MOE_LIB_RAISE_STACKWEIGHTS_H
#define MOE_LIB_RAISE_STACKWEIGHTS_H

#include "mlir/IR/Builders.h"

namespace mlir::moe {

/// A value [n, ...] of `values`, constants of one type: the tensor that they are consecutive slices of, a new weight whose
/// recipe stacks theirs, a constant, or a Concat that computes it. Null if they are of different types.
Value stackWeights(OpBuilder &b, Location loc, ArrayRef<Value> values);

/// The recipe of a weight, or the elements of an inline constant; null if `value` is neither.
Attribute weightRecipe(Value value);
/// A new `moe.weight` near `anchor` with a name made from `hint`, and its value.
Value newWeight(OpBuilder &b, Location loc, Attribute recipe, Operation *anchor, StringRef hint);

} // namespace mlir::moe

#endif // MOE_LIB_RAISE_STACKWEIGHTS_H
