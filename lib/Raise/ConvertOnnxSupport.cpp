//===- ConvertOnnxSupport.cpp - operands, extents, scalars ----------------===//
// What every lowering function stands on: ONNX's positional operands and attributes, sizes of dynamic extents from facts,
// index arithmetic that folds, scalar code. The tensor builders are in ConvertOnnxTensors.cpp.
//===----------------------------------------------------------------------===//
#include "ConvertOnnx.h"

#include "mlir/Dialect/Arith/Utils/Utils.h"

#include <cmath>

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::convert;

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

Type convert::signless(Type type) {
  if (auto shaped = dyn_cast<ShapedType>(type))
    return shaped.clone(signless(shaped.getElementType()));
  if (auto integer = dyn_cast<IntegerType>(type))
    return IntegerType::get(type.getContext(), integer.getWidth());
  return type;
}

Type convert::computeType(Type elem) {
  auto f = dyn_cast<FloatType>(elem);
  return f && f.getWidth() < 32 ? Float32Type::get(elem.getContext()) : elem;
}

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

Value Scalars::constant(Type type, double v) {
  if (auto f = dyn_cast<FloatType>(type)) {
    llvm::APFloat value(v);
    bool lost;
    value.convert(f.getFloatSemantics(), llvm::APFloat::rmNearestTiesToEven, &lost);
    return make<arith::ConstantOp>(FloatAttr::get(f, value));
  }
  return integer(type, static_cast<int64_t>(v));
}

Value Scalars::integer(Type type, int64_t v) {
  unsigned width = type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
  return make<arith::ConstantOp>(
      mlir::cast<TypedAttr>(b.getIntegerAttr(type, llvm::APInt(64, v, true).sextOrTrunc(width))));
}

static bool isFloat(Value v) { return isa<FloatType>(v.getType()); }

Value Scalars::add(Value x, Value y) { return isFloat(x) ? make<arith::AddFOp>(x, y) : make<arith::AddIOp>(x, y); }
Value Scalars::sub(Value x, Value y) { return isFloat(x) ? make<arith::SubFOp>(x, y) : make<arith::SubIOp>(x, y); }
Value Scalars::mul(Value x, Value y) { return isFloat(x) ? make<arith::MulFOp>(x, y) : make<arith::MulIOp>(x, y); }

Value Scalars::max(Value x, Value y, bool isUnsigned) {
  if (isFloat(x))
    return make<arith::MaximumFOp>(x, y);
  return isUnsigned ? make<arith::MaxUIOp>(x, y) : make<arith::MaxSIOp>(x, y);
}

Value Scalars::min(Value x, Value y, bool isUnsigned) {
  if (isFloat(x))
    return make<arith::MinimumFOp>(x, y);
  return isUnsigned ? make<arith::MinUIOp>(x, y) : make<arith::MinSIOp>(x, y);
}

Value Scalars::negate(Value x) { return isFloat(x) ? make<arith::NegFOp>(x) : sub(integer(x.getType(), 0), x); }

Value Scalars::sigmoid(Value x) {
  Value one = constant(x.getType(), 1.0);
  return make<arith::DivFOp>(one, add(one, exp(negate(x))));
}

//===----------------------------------------------------------------------===//
// The op being lowered
//===----------------------------------------------------------------------===//

OnnxLowering::OnnxLowering(func::FuncOp func, ShapeFacts &facts)
    : b(func.getContext()), loc(func.getLoc()), func(func), facts(facts) {
  func.walk([&](Operation *o) { originals.insert(o); });
}

void OnnxLowering::start(Operation *next) {
  op = next;
  refused.clear();
  loc = op->getLoc();
  b.setInsertionPoint(op);
}

Value OnnxLowering::onnxInput(unsigned i) { return onnx::getInput(op, i); }

SmallVector<Value> OnnxLowering::onnxInputsFrom(unsigned i) {
  SmallVector<Value> inputs;
  while (Value v = onnx::getInput(op, i++))
    inputs.push_back(v);
  return inputs;
}

Value OnnxLowering::onnxResult(unsigned i) {
  if (isa<onnx::ConstantOp>(op))
    return i == 0 ? op->getResult(0) : Value();
  return onnx::getOutput(op, i);
}

Value OnnxLowering::lookup(Value onnxValue) {
  if (!onnxValue)
    return {};
  auto it = values.find(onnxValue);
  return it == values.end() ? onnxValue : it->second;
}

void OnnxLowering::set(unsigned i, Value v) {
  Value result = onnxResult(i);
  if (!result)
    return;
  Value converted = castTo(v, resultType(i));
  values[result] = converted;
  // Facts know an extent under the name that later values use; what they do not know keeps its own.
  Exprs shape = shapeOf(v);
  ArrayRef<AffineExpr> known = facts.shape(result);
  if (known.size() == shape.size())
    for (auto [own, fact] : llvm::zip(shape, known))
      if (fact)
        own = fact;
  shapes[converted] = std::move(shape);
}

int64_t OnnxLowering::intAttr(StringRef name, int64_t otherwise) {
  if (auto attr = op->getAttrOfType<IntegerAttr>(name))
    return attr.getInt();
  return otherwise;
}

double OnnxLowering::floatAttr(StringRef name, double otherwise) {
  if (auto attr = op->getAttrOfType<FloatAttr>(name))
    return attr.getValueAsDouble();
  return otherwise;
}

Type OnnxLowering::typeAttr(StringRef name, Type otherwise) {
  if (auto attr = op->getAttrOfType<TypeAttr>(name))
    return attr.getValue();
  return otherwise;
}

std::string OnnxLowering::stringAttr(StringRef name, StringRef otherwise) {
  if (auto attr = op->getAttrOfType<StringAttr>(name))
    return attr.str();
  return otherwise.str();
}

std::optional<SmallVector<int64_t>> OnnxLowering::intsAttr(StringRef name) {
  if (auto attr = op->getAttrOfType<DenseI64ArrayAttr>(name))
    return llvm::to_vector(attr.asArrayRef());
  return std::nullopt;
}

std::optional<int64_t> OnnxLowering::axisAttr(int64_t otherwise, int64_t rank, StringRef name) {
  int64_t axis = intAttr(name, otherwise);
  if (axis < 0)
    axis += rank;
  if (axis < 0 || axis > std::max<int64_t>(rank - 1, 0))
    return std::nullopt;
  return axis;
}

std::optional<SmallVector<int64_t>> OnnxLowering::constantInts(Value onnxValue) {
  return onnxValue ? facts.constants(onnxValue) : std::nullopt;
}

FailureOr<SmallVector<int64_t>> OnnxLowering::axes(std::optional<unsigned> inputIndex, int64_t rank, bool &given) {
  std::optional<SmallVector<int64_t>> list = intsAttr("axes");
  if (!list && inputIndex && has(*inputIndex)) {
    list = constantInts(onnxInput(*inputIndex));
    auto type = ranked(onnxInput(*inputIndex));
    if (!list && type.hasStaticShape() && type.getNumElements() == 0)
      list = SmallVector<int64_t>();
    if (!list)
      return unsupported("expects axes that are known at compile time");
  }
  given = list.has_value();
  SmallVector<int64_t> result;
  for (int64_t axis : list.value_or(SmallVector<int64_t>())) {
    int64_t front = axis < 0 ? axis + rank : axis;
    if (front < 0 || front >= rank)
      return unsupported("expects axes in [-" + Twine(rank) + ", " + Twine(rank) + "), but one is " + Twine(axis));
    if (!llvm::is_contained(result, front))
      result.push_back(front);
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Extents
//===----------------------------------------------------------------------===//

Exprs OnnxLowering::shapeOf(Value v) {
  if (auto it = shapes.find(v); it != shapes.end())
    return it->second;
  auto type = ranked(v);
  Exprs shape(type.getRank());
  bool original = !v.getDefiningOp() || originals.contains(v.getDefiningOp());
  if (original && facts.shape(v).size() == shape.size())
    shape = llvm::to_vector(facts.shape(v));
  for (auto [d, extent] : llvm::enumerate(type.getShape())) {
    if (!ShapedType::isDynamic(extent))
      shape[d] = expr(extent);
    else if (!shape[d])
      shape[d] = exprOf(tensor::DimOp::create(b, loc, lookup(v), d).getResult());
  }
  return shapes[v] = shape;
}

bool OnnxLowering::equal(AffineExpr x, AffineExpr y) {
  if (!x || !y)
    return false;
  if (x == y)
    return true;
  bool own = false;
  auto look = [&](AffineExpr e) { own |= ownSymbols.contains(e); };
  x.walk(look);
  y.walk(look);
  return !own && facts.equal(x, y);
}

std::optional<OpFoldResult> OnnxLowering::known(AffineExpr e) {
  if (!e)
    return std::nullopt;
  if (auto c = dyn_cast<AffineConstantExpr>(e))
    return OpFoldResult(at(c.getValue()));
  if (auto it = ownSymbols.find(e); it != ownSymbols.end())
    return it->second ? std::optional<OpFoldResult>(it->second) : std::nullopt;
  bool own = false;
  e.walk([&](AffineExpr part) { own |= ownSymbols.contains(part); });
  if (own)
    return std::nullopt;
  // Facts may express an extent by the result being lowered itself; such code cannot stand before it.
  Operation *before =
      b.getInsertionPoint() == b.getInsertionBlock()->begin() ? nullptr : &*std::prev(b.getInsertionPoint());
  Value v = facts.materialize(b, loc, e);
  SmallVector<Operation *> created;
  bool circular = !v;
  for (auto it = b.getInsertionPoint(); it != b.getInsertionBlock()->begin();) {
    Operation *o = &*--it;
    if (o == before)
      break;
    created.push_back(o);
    circular |= llvm::any_of(o->getOperands(), [&](Value x) { return x.getDefiningOp() == op; });
  }
  if (circular) {
    for (Operation *o : created)
      o->erase();
    return std::nullopt;
  }
  OpFoldResult folded = getAsOpFoldResult(v);
  if (auto value = dyn_cast<Value>(folded))
    valueExprs[value] = e;
  return folded;
}

AffineExpr OnnxLowering::exprOf(OpFoldResult x) {
  if (std::optional<int64_t> c = getConstantIntValue(x))
    return expr(*c);
  Value v = cast<Value>(x);
  AffineExpr &e = valueExprs[v];
  if (!e) {
    e = getAffineSymbolExpr((1u << 24) + ownSymbols.size(), b.getContext());
    ownSymbols[e] = v;
  }
  return e;
}

Exprs OnnxLowering::exprsOf(ArrayRef<OpFoldResult> sizes) {
  return llvm::map_to_vector(sizes, [&](OpFoldResult s) { return exprOf(s); });
}

OpFoldResult OnnxLowering::size(Value v, int64_t dim) {
  int64_t extent = ranked(v).getDimSize(dim);
  if (!ShapedType::isDynamic(extent))
    return at(extent);
  AffineExpr e = shapeOf(v)[dim];
  if (std::optional<OpFoldResult> k = known(e))
    return *k;
  Value d = tensor::DimOp::create(b, loc, lookup(v), dim);
  valueExprs[d] = e;
  return d;
}

Sizes OnnxLowering::sizes(Value v) {
  Sizes result;
  for (int64_t d = 0, rank = ranked(v).getRank(); d < rank; ++d)
    result.push_back(size(v, d));
  return result;
}

std::optional<OpFoldResult> OnnxLowering::resultSize(int64_t dim, unsigned i) {
  Value result = onnxResult(i);
  int64_t extent = ranked(result).getDimSize(dim);
  if (!ShapedType::isDynamic(extent))
    return OpFoldResult(at(extent));
  if (static_cast<int64_t>(facts.shape(result).size()) <= dim)
    return std::nullopt;
  return known(facts.shape(result)[dim]);
}

Sizes OnnxLowering::resultSizes(unsigned i, llvm::function_ref<OpFoldResult(int64_t)> otherwise) {
  Sizes result;
  for (int64_t d = 0, rank = resultType(i).getRank(); d < rank; ++d) {
    std::optional<OpFoldResult> s = resultSize(d, i);
    result.push_back(s ? *s : otherwise(d));
  }
  return result;
}

OpFoldResult OnnxLowering::element(Value onnxValue, int64_t k) {
  if (const SmallVector<AffineExpr> *elements = facts.elements(onnxValue))
    if (k < static_cast<int64_t>(elements->size()) && (*elements)[k])
      if (std::optional<OpFoldResult> v = known((*elements)[k]))
        return *v;
  Value tensor = lookup(onnxValue);
  SmallVector<Value> at;
  for (int64_t d = 0, rank = ranked(tensor).getRank(); d < rank; ++d)
    at.push_back(arith::ConstantIndexOp::create(b, loc, k));
  Value scalar = tensor::ExtractOp::create(b, loc, tensor, at);
  return fold(scalars().toIndex(scalar));
}

Value OnnxLowering::scalarOf(Value v) {
  SmallVector<Value> zeros(ranked(v).getRank());
  for (Value &z : zeros)
    z = arith::ConstantIndexOp::create(b, loc, 0);
  return tensor::ExtractOp::create(b, loc, v, zeros);
}

Value OnnxLowering::value(OpFoldResult x) {
  if (auto v = dyn_cast<Value>(x))
    return v;
  return arith::ConstantIndexOp::create(b, loc, *getConstantIntValue(x));
}

OpFoldResult OnnxLowering::fold(Value v) { return getAsOpFoldResult(v); }

/// Folds two constants or makes the op.
template <typename Op>
static OpFoldResult binary(OnnxLowering &l, OpFoldResult x, OpFoldResult y,
                           llvm::function_ref<int64_t(int64_t, int64_t)> constant) {
  std::optional<int64_t> cx = getConstantIntValue(x), cy = getConstantIntValue(y);
  if (cx && cy)
    return l.at(constant(*cx, *cy));
  return l.fold(l.b.createOrFold<Op>(l.loc, l.value(x), l.value(y)));
}

OpFoldResult OnnxLowering::add(OpFoldResult x, OpFoldResult y) {
  return binary<arith::AddIOp>(*this, x, y, [](int64_t p, int64_t q) { return p + q; });
}
OpFoldResult OnnxLowering::sub(OpFoldResult x, OpFoldResult y) {
  return binary<arith::SubIOp>(*this, x, y, [](int64_t p, int64_t q) { return p - q; });
}
OpFoldResult OnnxLowering::mul(OpFoldResult x, OpFoldResult y) {
  return binary<arith::MulIOp>(*this, x, y, [](int64_t p, int64_t q) { return p * q; });
}
OpFoldResult OnnxLowering::min(OpFoldResult x, OpFoldResult y) {
  return binary<arith::MinSIOp>(*this, x, y, [](int64_t p, int64_t q) { return std::min(p, q); });
}
OpFoldResult OnnxLowering::max(OpFoldResult x, OpFoldResult y) {
  return binary<arith::MaxSIOp>(*this, x, y, [](int64_t p, int64_t q) { return std::max(p, q); });
}
/// True, and noted, if the divisor is an extent known to be 0.
static bool dividesByZero(OnnxLowering &l, OpFoldResult divisor) {
  bool zero = getConstantIntValue(divisor) == 0;
  if (zero)
    l.refuse("expects extents to divide by that are not 0");
  return zero;
}
OpFoldResult OnnxLowering::ceilDiv(OpFoldResult x, OpFoldResult y) {
  if (getConstantIntValue(y) == 1 || dividesByZero(*this, y))
    return x;
  return binary<arith::CeilDivSIOp>(*this, x, y, [](int64_t p, int64_t q) { return llvm::divideCeilSigned(p, q); });
}
OpFoldResult OnnxLowering::floorDiv(OpFoldResult x, OpFoldResult y) {
  if (getConstantIntValue(y) == 1 || dividesByZero(*this, y))
    return x;
  return binary<arith::FloorDivSIOp>(*this, x, y, [](int64_t p, int64_t q) { return llvm::divideFloorSigned(p, q); });
}
