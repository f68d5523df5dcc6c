//===- InferElementwise.cpp - elementwise ops, casts and quantization -----===//
#include "InferOp.h"

using namespace mlir;
using namespace mlir::moe;

LogicalResult OpInference::sameAsFirst() {
  set(0, dims(0u), element(0));
  std::optional<Dims> values = expressions(0);
  if (!values)
    return success();
  StringRef name = op->getName().stripDialect();
  if (name == "Neg")
    for (AffineExpr &v : *values)
      v = facts.sub(number(0), v);
  else if (name == "Not")
    for (AffineExpr &v : *values)
      v = known(v) ? number(*known(v) == 0) : AffineExpr();
  else if (name != "Identity")
    return success();
  setValues(0, *values);
  return success();
}

/// Truncating division, as ONNX defines it for integers; exact where the dividend is not negative.
static AffineExpr divide(OpInference &self, AffineExpr a, AffineExpr b) {
  std::optional<int64_t> ca = self.known(a), cb = self.known(b);
  if (cb == 0 || (ca == std::numeric_limits<int64_t>::min() && cb == -1))
    return {};
  if (ca && cb)
    return self.number(*ca / *cb);
  return self.facts.isNonNegative(a) && cb && *cb > 0 ? self.facts.floorDiv(a, b) : AffineExpr();
}

/// b[i % size]: tracked tensors broadcast only from one element or equal sizes.
static AffineExpr at(ArrayRef<AffineExpr> values, size_t i) { return values[values.size() == 1 ? 0 : i]; }

LogicalResult OpInference::elementwise() {
  SmallVector<Dims> shapes;
  unsigned inputs = op->getNumOperands();
  for (unsigned i = 0; i < inputs; ++i) {
    shapes.push_back(dims(i));
    if (element(i) != element(0) && !isa<onnx::PowOp>(op) && !isa<onnx::BitShiftOp>(op))
      return expects() << "inputs of one element type, but they are " << element(0) << " and " << element(i);
  }
  FailureOr<Dims> shape = broadcast(shapes);
  if (failed(shape))
    return failure();
  set(0, *shape, element(0));

  std::optional<Dims> a = expressions(0), b = inputs == 2 ? expressions(1) : std::nullopt;
  if (!a || !b || a->empty() || b->empty() || (a->size() != b->size() && a->size() != 1 && b->size() != 1))
    return success();
  StringRef name = op->getName().stripDialect();
  Dims values;
  for (size_t i = 0; i < std::max(a->size(), b->size()); ++i) {
    AffineExpr x = at(*a, i), y = at(*b, i);
    bool one = element(0).isInteger(1);
    if (!x || !y)
      values.push_back({});
    else if (one && known(x) && known(y))
      values.push_back(number(name == "And"  ? *known(x) & *known(y)
                              : name == "Or" ? *known(x) | *known(y)
                                             : *known(x) ^ *known(y)));
    else if (one)
      values.push_back({});
    else
      values.push_back(name == "Add"   ? facts.add(x, y)
                       : name == "Sub" ? facts.sub(x, y)
                       : name == "Mul" ? facts.mul(x, y)
                       : name == "Div" ? divide(*this, x, y)
                       : name == "Max" ? facts.max(x, y)
                       : name == "Min" ? facts.min(x, y)
                                       : AffineExpr());
  }
  setValues(0, values);
  return success();
}

LogicalResult OpInference::comparison() {
  if (element(0) != element(1))
    return expects() << "inputs of one element type, but they are " << element(0) << " and " << element(1);
  FailureOr<Dims> shape = broadcast({dims(0u), dims(1u)});
  if (failed(shape))
    return failure();
  set(0, *shape, builder().getI1Type());
  std::optional<Dims> a = expressions(0), b = expressions(1);
  if (!a || !b || a->empty() || b->empty() || (a->size() != b->size() && a->size() != 1 && b->size() != 1))
    return success();
  StringRef name = op->getName().stripDialect();
  Dims values;
  for (size_t i = 0; i < std::max(a->size(), b->size()); ++i) {
    std::optional<int64_t> d = known(facts.sub(at(*a, i), at(*b, i)));
    AffineExpr value;
    if (d)
      value = number(name == "Equal"            ? *d == 0
                     : name == "Greater"        ? *d > 0
                     : name == "GreaterOrEqual" ? *d >= 0
                     : name == "Less"           ? *d < 0
                                                : *d <= 0);
    else if (name == "Equal" && isa<IntegerType>(element(0)) && at(*a, i) && at(*b, i) &&
             (facts.isNonNegative(facts.add(facts.sub(at(*a, i), at(*b, i)), number(-1))) ||
              facts.isNonNegative(facts.add(facts.sub(at(*b, i), at(*a, i)), number(-1)))))
      value = number(0); // one is provably larger: an extent is not -1
    values.push_back(value);
  }
  setValues(0, values);
  return success();
}

LogicalResult OpInference::predicate() {
  set(0, dims(0u), builder().getI1Type());
  return success();
}

LogicalResult OpInference::where() {
  if (element(1) != element(2))
    return expects() << "values of one element type, but they are " << element(1) << " and " << element(2);
  FailureOr<Dims> shape = broadcast({dims(0u), dims(1u), dims(2u)});
  if (failed(shape))
    return failure();
  set(0, *shape, element(1));
  std::optional<Dims> c = expressions(0), a = expressions(1), b = expressions(2);
  if (!c || !a || !b || c->empty() || a->empty() || b->empty())
    return success();
  size_t count = std::max({c->size(), a->size(), b->size()});
  for (size_t size : {c->size(), a->size(), b->size()})
    if (size != 1 && size != count)
      return success();
  Dims values;
  for (size_t i = 0; i < count; ++i) {
    std::optional<int64_t> choice = known(at(*c, i));
    AffineExpr x = at(*a, i), y = at(*b, i);
    values.push_back(choice ? (*choice ? x : y) : facts.equal(x, y) ? x : AffineExpr());
  }
  setValues(0, values);
  return success();
}

LogicalResult OpInference::cast_() {
  Type to;
  if (auto attr = attribute<TypeAttr>("to"))
    to = attr.getValue();
  else
    to = element(1);
  auto isNumber = [](Type t) { return isa<IntegerType, FloatType>(t); };
  if (!isNumber(to) || !isNumber(element(0)))
    return expects() << "numbers, but casts " << element(0) << " to " << to;
  if (isa<onnx::BitCastOp>(op) && to.getIntOrFloatBitWidth() != element(0).getIntOrFloatBitWidth())
    return expects() << "types of one width, but casts " << element(0) << " to " << to;
  set(0, dims(0u), to);
  std::optional<Dims> values = expressions(0);
  auto from = dyn_cast<IntegerType>(element(0)), target = dyn_cast<IntegerType>(to);
  if (!values || !from || !target || isa<onnx::BitCastOp>(op))
    return success();
  for (AffineExpr &value : *values) {
    std::optional<int64_t> c = known(value);
    if (target.getWidth() == 1)
      value = c ? number(*c != 0) : AffineExpr();
    else if (target.getWidth() < 64 && (!c || (target.getWidth() < 32 && (*c < 0 || *c > 127)) ||
                                        (target.getWidth() == 32 && *c != static_cast<int32_t>(*c))))
      value = c || target.getWidth() < 32 ? AffineExpr() : value; // an extent fits 32 bits wherever it fits memory
  }
  setValues(0, *values);
  return success();
}

LogicalResult OpInference::quantize() {
  Type type = builder().getIntegerType(8, false);
  if (in(2))
    type = element(2);
  else if (auto attr = attribute<TypeAttr>("output_dtype"))
    type = attr.getValue();
  set(0, dims(0u), type);
  return success();
}

LogicalResult OpInference::dequantize() {
  auto attr = attribute<TypeAttr>("output_dtype");
  set(0, dims(0u), attr ? attr.getValue() : element(1));
  return success();
}

LogicalResult OpInference::dynamicQuantize() {
  set(0, dims(0u), builder().getIntegerType(8, false));
  set(1, {}, element(0));
  set(2, {}, builder().getIntegerType(8, false));
  return success();
}

LogicalResult OpInference::dropout() {
  set(0, dims(0u), element(0));
  set(1, dims(0u), builder().getI1Type());
  return success();
}

LogicalResult OpInference::biasGelu() {
  Dims shape = dims(0u);
  if (failed(expectBroadcastTo(1, "a bias", shape)))
    return failure();
  set(0, shape, element(0));
  return success();
}
