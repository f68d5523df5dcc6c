//===- OnnxMake.cpp - making onnx ops ------------------------------------===//
#include "OnnxMake.h"
#include "OnnxMatch.h"

#include "dialects/moe/Moe.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace mlir::moe;

Operation *moe::onnxOp(OpBuilder &b, Location loc, StringRef name, TypeRange types, ValueRange operands,
                       ArrayRef<NamedAttribute> attributes) {
  OperationState state(loc, ("onnx." + name).str(), operands, types, attributes);
  return b.create(state);
}

static Value constant(OpBuilder &b, Location loc, DenseElementsAttr value) {
  return onnx::ConstantOp::create(b, loc, value.getType(), value);
}

Value moe::onnxInts(OpBuilder &b, Location loc, ArrayRef<int64_t> numbers) {
  return constant(
      b, loc,
      DenseElementsAttr::get(RankedTensorType::get({static_cast<int64_t>(numbers.size())}, b.getI64Type()), numbers));
}

Value moe::onnxInt(OpBuilder &b, Location loc, int64_t number) {
  return constant(b, loc, DenseElementsAttr::get(RankedTensorType::get({}, b.getI64Type()), number));
}

Value moe::onnxFloat(OpBuilder &b, Location loc, Type element, double number) {
  return constant(
      b, loc, DenseElementsAttr::get(RankedTensorType::get({}, element), Attribute(b.getFloatAttr(element, number))));
}

Value moe::onnxReshape(OpBuilder &b, Location loc, Value value, ArrayRef<int64_t> dims) {
  RankedTensorType type = tensorType(value);
  if (type.getShape() == dims)
    return value;
  SmallVector<int64_t> shape(dims);
  for (int64_t &dim : shape)
    if (ShapedType::isDynamic(dim))
      dim = -1;
  return onnxOp(b, loc, "Reshape", RankedTensorType::get(dims, type.getElementType()), {value, onnxInts(b, loc, shape)})
      ->getResult(0);
}

Value moe::onnxTranspose(OpBuilder &b, Location loc, Value value, ArrayRef<int64_t> perm) {
  if (isIdentityPermutation(perm))
    return value;
  RankedTensorType type = tensorType(value);
  return onnxOp(b, loc, "Transpose",
                RankedTensorType::get(applyPermutation(type.getShape(), perm), type.getElementType()), value,
                b.getNamedAttr("perm", b.getDenseI64ArrayAttr(perm)))
      ->getResult(0);
}

Value moe::onnxCast(OpBuilder &b, Location loc, Value value, Type element) {
  RankedTensorType type = tensorType(value);
  if (type.getElementType() == element)
    return value;
  return onnxOp(b, loc, "Cast", type.clone(element), value, b.getNamedAttr("to", TypeAttr::get(element)))->getResult(0);
}

Value moe::onnxBinary(OpBuilder &b, Location loc, StringRef name, Value lhs, Value rhs, RankedTensorType type) {
  return onnxOp(b, loc, name, type, {lhs, rhs})->getResult(0);
}

Value moe::onnxUnary(OpBuilder &b, Location loc, StringRef name, Value value) {
  return onnxOp(b, loc, name, value.getType(), value)->getResult(0);
}

void moe::eraseDeadOnnxOps(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if ((isOnnx(&op) || isa<GetWeightOp>(op)) && isOpTriviallyDead(&op))
      op.erase();
}
