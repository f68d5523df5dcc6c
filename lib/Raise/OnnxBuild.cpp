//===- OnnxBuild.cpp - onnx ops with inferred result types -----------------===//
#include "OnnxBuild.h"

using namespace mlir;
using namespace mlir::moe;

static constexpr int64_t kDynamic = ShapedType::kDynamic;

Value OnnxBuild::ints(ArrayRef<int64_t> values) {
  auto type = RankedTensorType::get({static_cast<int64_t>(values.size())}, b.getI64Type());
  return onnx::ConstantOp::create(b, loc, type, DenseElementsAttr::get(type, values));
}

Value OnnxBuild::scalarInt(int64_t value) {
  auto type = RankedTensorType::get({}, b.getI64Type());
  return onnx::ConstantOp::create(b, loc, type, DenseElementsAttr::get(type, value));
}

Value OnnxBuild::scalar(Type element, double value) {
  auto type = RankedTensorType::get({}, element);
  return onnx::ConstantOp::create(b, loc, type, DenseElementsAttr::get(type, b.getFloatAttr(element, value)));
}

Value OnnxBuild::transpose(Value v, ArrayRef<int64_t> permutation) {
  SmallVector<int64_t> shape;
  bool same = true;
  for (auto [i, p] : llvm::enumerate(permutation)) {
    shape.push_back(typeOf(v).getDimSize(p));
    same &= static_cast<int64_t>(i) == p;
  }
  if (same)
    return v;
  return onnx::TransposeOp::create(b, loc, typeOf(v).clone(shape), v, b.getDenseI64ArrayAttr(permutation));
}

Value OnnxBuild::unsqueeze(Value v, ArrayRef<int64_t> axes) {
  if (axes.empty())
    return v;
  SmallVector<int64_t> shape;
  size_t from = 0;
  for (int64_t i = 0, rank = typeOf(v).getRank() + axes.size(); i < rank; ++i)
    shape.push_back(llvm::is_contained(axes, i) ? 1 : typeOf(v).getDimSize(from++));
  return onnx::UnsqueezeOp::create(b, loc, typeOf(v).clone(shape), v, ints(axes));
}

Value OnnxBuild::squeeze(Value v, ArrayRef<int64_t> axes) {
  if (axes.empty())
    return v;
  SmallVector<int64_t> shape;
  for (auto [i, extent] : llvm::enumerate(typeOf(v).getShape()))
    if (!llvm::is_contained(axes, static_cast<int64_t>(i)))
      shape.push_back(extent);
  return onnx::SqueezeOp::create(b, loc, typeOf(v).clone(shape), v, ints(axes));
}

Value OnnxBuild::reshape(Value v, ArrayRef<int64_t> shape, ArrayRef<int64_t> resultShape) {
  return onnx::ReshapeOp::create(b, loc, typeOf(v).clone(resultShape), v, ints(shape));
}

Value OnnxBuild::concat(ArrayRef<Value> parts, int64_t axis) {
  if (parts.size() == 1)
    return parts[0];
  SmallVector<int64_t> shape(typeOf(parts[0]).getShape());
  for (Value part : parts.drop_front())
    for (auto [i, extent] : llvm::enumerate(typeOf(part).getShape())) {
      if (static_cast<int64_t>(i) == axis)
        shape[i] = shape[i] == kDynamic || extent == kDynamic ? kDynamic : shape[i] + extent;
      else if (shape[i] == kDynamic)
        shape[i] = extent;
    }
  return onnx::ConcatOp::create(b, loc, typeOf(parts[0]).clone(shape), parts, axis);
}

Value OnnxBuild::slice(Value v, int64_t axis, int64_t start, int64_t end, int64_t step, int64_t extent) {
  SmallVector<int64_t> shape(typeOf(v).getShape());
  int64_t whole = shape[axis];
  shape[axis] = extent;
  if (extent == kDynamic && whole != kDynamic && start >= 0 && end >= 0)
    shape[axis] = std::max<int64_t>(0, (std::min(end, whole) - std::min(start, whole) + step - 1) / step);
  return onnx::SliceOp::create(b, loc, typeOf(v).clone(shape), v, ints({start}), ints({end}), ints({axis}),
                               ints({step}));
}

Value OnnxBuild::castTo(Value v, Type element) {
  if (typeOf(v).getElementType() == element)
    return v;
  return onnx::CastOp::create(b, loc, RankedTensorType::get(typeOf(v).getShape(), element), v, "up", 1, element);
}

Value OnnxBuild::where(Value condition, Value x, Value y) {
  auto both = broadcast(x, y, typeOf(x).getElementType());
  // Only shapes matter here: take the condition's with the chosen values'.
  SmallVector<int64_t> shape(typeOf(condition).getShape());
  auto rank = std::max<int64_t>(shape.size(), both.getRank());
  SmallVector<int64_t> result(rank, 1);
  for (ArrayRef<int64_t> from : {ArrayRef<int64_t>(shape), both.getShape()})
    for (size_t i = 0; i < from.size(); ++i) {
      int64_t &to = result[rank - from.size() + i];
      if (to == 1 || (to == kDynamic && from[i] != 1))
        to = from[i];
    }
  return onnx::WhereOp::create(b, loc, both.clone(result), condition, x, y);
}

Value OnnxBuild::extent(Value v, int64_t axis) {
  auto type = RankedTensorType::get({1}, b.getI64Type());
  Value one = onnx::ShapeOp::create(b, loc, type, v, b.getI64IntegerAttr(axis + 1), b.getI64IntegerAttr(axis));
  return squeeze(one, {0});
}

Value OnnxBuild::range(Value limit) {
  return onnx::RangeOp::create(b, loc, RankedTensorType::get({kDynamic}, b.getI64Type()), scalarInt(0), limit,
                               scalarInt(1), TypeAttr());
}

RankedTensorType OnnxBuild::broadcast(Value x, Value y, Type element) {
  ArrayRef<int64_t> a = typeOf(x).getShape(), c = typeOf(y).getShape();
  size_t rank = std::max(a.size(), c.size());
  SmallVector<int64_t> shape(rank, 1);
  for (ArrayRef<int64_t> from : {a, c})
    for (size_t i = 0; i < from.size(); ++i) {
      int64_t &to = shape[rank - from.size() + i];
      if (to == 1 || (to == kDynamic && from[i] != 1))
        to = from[i];
    }
  return RankedTensorType::get(shape, element);
}

SmallVector<int64_t> moe::permutationOf(onnx::TransposeOp op) {
  if (auto perm = op.getPerm())
    return SmallVector<int64_t>(*perm);
  int64_t rank = OnnxBuild::typeOf(op.getData()).getRank();
  SmallVector<int64_t> reversed;
  for (int64_t i = rank; i-- > 0;)
    reversed.push_back(i);
  return reversed;
}

bool moe::isRetypable(Value v) {
  return llvm::all_of(v.getUsers(), [](Operation *user) {
    StringRef dialect = user->getName().getDialectNamespace();
    return dialect == "onnx" || dialect == "moe";
  });
}
