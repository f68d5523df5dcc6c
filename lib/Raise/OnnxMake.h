//===- OnnxMake.h - making onnx ops ---------------------------------------===//
#ifndef MOE_LIB_RAISE_ONNXMAKE_H
#define MOE_LIB_RAISE_ONNXMAKE_H

#include "dialects/onnx/Onnx.h"

#include "mlir/IR/Builders.h"

namespace mlir::moe {

/// `onnx.Constant` of i64 numbers, rank 1 (or 0 for `onnxInt`).
Value onnxInts(OpBuilder &b, Location loc, ArrayRef<int64_t> numbers);
Value onnxInt(OpBuilder &b, Location loc, int64_t number);
/// `onnx.Constant` of one float, rank 0.
Value onnxFloat(OpBuilder &b, Location loc, Type element, double number);

/// Reshape to `dims`, of which one may be dynamic. No op if the type is that already.
Value onnxReshape(OpBuilder &b, Location loc, Value value, ArrayRef<int64_t> dims);
Value onnxTranspose(OpBuilder &b, Location loc, Value value, ArrayRef<int64_t> perm);
Value onnxCast(OpBuilder &b, Location loc, Value value, Type element);
/// A product with numpy's broadcasting; `type` is that of the result.
Value onnxBinary(OpBuilder &b, Location loc, StringRef name, Value lhs, Value rhs, RankedTensorType type);
Value onnxUnary(OpBuilder &b, Location loc, StringRef name, Value value);

/// Any onnx op by name.
Operation *onnxOp(OpBuilder &b, Location loc, StringRef name, TypeRange types, ValueRange operands,
                  ArrayRef<NamedAttribute> attributes = {});

/// Erases onnx ops of `block` whose results nobody uses, last first.
void eraseDeadOnnxOps(Block &block);

} // namespace mlir::moe

#endif // MOE_LIB_RAISE_ONNXMAKE_H
