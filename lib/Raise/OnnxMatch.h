//===- OnnxMatch.h - small readers of onnx ops shared by recognisers ------===//
#ifndef MOE_LIB_RAISE_ONNXMATCH_H
#define MOE_LIB_RAISE_ONNXMATCH_H

#include "dialects/onnx/Onnx.h"

#include "llvm/Support/MemoryBuffer.h"

namespace mlir::moe {

using onnx::getInput;

/// `op` is an onnx op, with one of `names` if any are given.
bool isOnnx(Operation *op, std::initializer_list<StringRef> names = {});
/// The op that produces `value` if it is an onnx op with one of `names`; else null.
Operation *definedBy(Value value, std::initializer_list<StringRef> names);

int64_t intAttr(Operation *op, StringRef name, int64_t absent);
double floatAttr(Operation *op, StringRef name, double absent);
/// An axis attribute, counted from the front.
int64_t axisOf(Operation *op, StringRef name, int64_t absent, int64_t rank);
SmallVector<int64_t> permutation(Operation *transpose);
/// What a scatter does where it writes: "none" (the new value stands), "add", "mul", "max" or "min".
StringRef reductionOf(Operation *scatter);
/// Axes of a reduction; all of them where none are given. Nullopt if they are not constant.
std::optional<SmallVector<int64_t>> reducedAxes(Operation *op);
/// Axes along which a Slice, Split or Concat cuts; nullopt if they are not constant.
std::optional<SmallVector<int64_t>> cutAxes(Operation *op);

/// The bytes of a weight that is one piece of a file, and its type there; null if it is none, or has more than `limit` bytes.
std::unique_ptr<llvm::MemoryBuffer> readPiece(Value value, int64_t limit, RankedTensorType &type);
/// Integers of a constant or of a weight that lives in a file; nullopt for others, and above 1 Mi elements.
std::optional<SmallVector<int64_t>> constantIntegers(Value value);
/// Every element of `value` is `number`: constants, weights in files, Expand and ConstantOfShape of such a number.
bool isFilledWith(Value value, double number);
/// The one number that fills `value` whatever its shape, if it is known.
std::optional<double> fillOf(Value value);

/// `value` is computed from constants and weights alone, within a few ops.
bool isConstantDerived(Value value);
/// Whether a constant is of a type that shapes, axes and places have: it says where, not how much.
bool saysWhere(Value constant);
/// `value` without the Identity ops and float-to-float (or integer-to-integer) casts in front of it.
Value skipCasts(Value value);
/// Whether `op` is an Identity, or a cast that keeps the order of what it casts: it widens floats, converts integers, or rounds
/// floats that were widened from the same format just before.
bool isExactCast(Operation *op);
/// Whether `value` is rounded to a narrower float format.
bool isRounded(Value value);

RankedTensorType tensorType(Value value);
bool isFloat(Value value);

} // namespace mlir::moe

#endif // MOE_LIB_RAISE_ONNXMATCH_H
