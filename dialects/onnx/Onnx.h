//===- Onnx.h - the onnx dialect ------------------------------------------===//
#ifndef ONNX_DIALECT_H
#define ONNX_DIALECT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/onnx/OnnxDialect.h.inc"

namespace mlir::onnx {
class OnnxOpInterface;
namespace detail {
/// Every required input and output is there.
LogicalResult verifyOp(OnnxOpInterface op);
} // namespace detail
/// With these parameters (see OnnxOpInterface) an op stores segment sizes: more than one of them can be missing.
bool hasSegments(StringRef kinds);
} // namespace mlir::onnx

#include "dialects/onnx/OnnxInterfaces.h.inc"

#define GET_OP_CLASSES
#include "dialects/onnx/Onnx.h.inc"

namespace mlir::onnx {

/// Input or output `position` of an onnx op, counted as in the ONNX node; null where it is missing or `op` is not one.
Value getInput(Operation *op, unsigned position);
Value getOutput(Operation *op, unsigned position);

/// The value of an `onnx.Constant` (or of any constant-like op) that produces `value`; null if it is not constant.
DenseElementsAttr getConstant(Value value);

/// Elements of an integer or bool constant as signed numbers (unsigned types zero-extend); nullopt if `value` is not one.
std::optional<SmallVector<int64_t>> getConstantInts(Value value);

/// The one number of a float or integer constant with one element or a splat; nullopt if `value` is not one.
std::optional<double> getConstantScalar(Value value);

/// Name of the ONNX node an op came from: the name in its location; empty if it has none.
StringRef getNodeName(Operation *op);

} // namespace mlir::onnx

#endif // ONNX_DIALECT_H
