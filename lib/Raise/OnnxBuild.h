//===- OnnxBuild.h - onnx ops with inferred result types -------------------===//
#ifndef MOE_LIB_RAISE_ONNXBUILD_H
#define MOE_LIB_RAISE_ONNXBUILD_H

#include "dialects/onnx/Onnx.h"

#include "mlir/IR/Builders.h"

namespace mlir::moe {

/// Creates onnx ops at one place of the program. Result shapes follow from operand types; unknown extents are dynamic.
struct OnnxBuild {
  OpBuilder &b;
  Location loc;

  Value ints(ArrayRef<int64_t> values);
  Value scalar(Type element, double value);
  Value scalarInt(int64_t value);

  Value transpose(Value v, ArrayRef<int64_t> permutation);
  Value unsqueeze(Value v, ArrayRef<int64_t> axes);
  Value squeeze(Value v, ArrayRef<int64_t> axes);
  /// `shape` as onnx.Reshape takes it: 0 keeps the extent at that place, -1 is what is left. `type` has the result's extents.
  Value reshape(Value v, ArrayRef<int64_t> shape, ArrayRef<int64_t> resultShape);
  Value concat(ArrayRef<Value> parts, int64_t axis);
  /// [start, end) by `step` along `axis`; `end` INT64_MAX is the end. `extent` is the result's, if known.
  Value slice(Value v, int64_t axis, int64_t start, int64_t end, int64_t step = 1,
              int64_t extent = ShapedType::kDynamic);
  Value castTo(Value v, Type element);
  Value where(Value condition, Value a, Value b);
  template <typename OpTy> Value binary(Value x, Value y) {
    return OpTy::create(b, loc, broadcast(x, y, typeOf(x).getElementType()), x, y);
  }
  template <typename OpTy> Value compare(Value x, Value y) {
    return OpTy::create(b, loc, broadcast(x, y, b.getI1Type()), x, y);
  }
  /// The extent of one dim, tensor<i64>.
  Value extent(Value v, int64_t axis);
  /// 0, 1, ... below `limit` (tensor<i64>).
  Value range(Value limit);

  static RankedTensorType typeOf(Value v) { return cast<RankedTensorType>(v.getType()); }
  static RankedTensorType broadcast(Value x, Value y, Type element);
};

/// The permutation of a Transpose, reversed dims where none is given.
SmallVector<int64_t> permutationOf(onnx::TransposeOp op);

/// Whether the users of `v` let its type become another static form of the same tensor: all are onnx or moe ops.
bool isRetypable(Value v);

} // namespace mlir::moe

#endif // MOE_LIB_RAISE_ONNXBUILD_H
