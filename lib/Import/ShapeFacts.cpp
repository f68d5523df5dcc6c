//===- ShapeFacts.cpp - what is provable about extents and small integers ---===//
#include "moe/Import/ShapeFacts.h"

#include "DimAlgebra.h"
#include "ShapeFactsImpl.h"
#include "dialects/onnx/Onnx.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::moe;

//===----------------------------------------------------------------------===//
// The record
//===----------------------------------------------------------------------===//

ShapeFacts::Impl::Impl(ShapeFacts &facts, func::FuncOp func) : facts(facts), context(func.getContext()) {
  readArguments(func);
}

void ShapeFacts::Impl::readArguments(func::FuncOp func) {
  if (func.isExternal())
    return;
  llvm::StringMap<AffineExpr> named;
  for (BlockArgument arg : func.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(arg.getType());
    if (!type)
      continue;
    auto names = func.getArgAttrOfType<ArrayAttr>(arg.getArgNumber(), "moe.dims");
    auto record = std::make_unique<TensorFacts>();
    record->element = type.getElementType();
    for (auto [i, size] : llvm::enumerate(type.getShape())) {
      auto name = names && i < names.size() ? dyn_cast<StringAttr>(names[i]) : StringAttr();
      if (!ShapedType::isDynamic(size))
        record->shape.push_back(number(size));
      else if (!name || name.empty())
        record->shape.push_back(newSymbol(arg, i));
      else {
        AffineExpr &symbol = named[name.getValue()];
        if (!symbol)
          symbol = newSymbol(arg, i, name.getValue());
        record->shape.push_back(symbol);
      }
    }
    known[arg] = std::move(record);
  }
}

void ShapeFacts::Impl::readType(Value value) {
  auto record = std::make_unique<TensorFacts>();
  if (auto type = dyn_cast<RankedTensorType>(value.getType())) {
    record->element = type.getElementType();
    for (auto [i, size] : llvm::enumerate(type.getShape()))
      record->shape.push_back(ShapedType::isDynamic(size) ? newSymbol(value, i) : number(size));
  }
  known[value] = std::move(record);
}

AffineExpr ShapeFacts::Impl::newSymbol(Value value, int64_t dim, StringRef name) {
  symbols.push_back({value, dim, name.str()});
  return getAffineSymbolExpr(symbols.size() - 1, context);
}

AffineExpr ShapeFacts::Impl::canonical(AffineExpr e) { return DimPolynomial(e).expr(context).value_or(AffineExpr()); }

LogicalResult ShapeFacts::Impl::infer(Operation *op) {
  SmallVector<TensorFacts> results(op->getNumResults());
  bool inferred = false;
  if (failed(inferOp(facts, *this, op, results, inferred)))
    return failure();
  for (auto [result, record] : llvm::zip(op->getResults(), results)) {
    if (!inferred || !record.element) {
      readType(result);
      continue;
    }
    if (record.shape.size() > ShapeFacts::kMaxRank)
      return op->emitOpError() << "expects a result of at most " << ShapeFacts::kMaxRank << " dims, but it would have "
                               << record.shape.size();
    int64_t count = 1, known = 1;
    for (auto [i, dim] : llvm::enumerate(record.shape)) {
      if (dim)
        dim = canonical(dim);
      std::optional<int64_t> size = dim ? facts.constant(dim) : std::nullopt;
      if (size && *size < 0)
        return op->emitOpError() << "expects extents that are not negative, but dim " << i << " of its result would be "
                                 << *size;
      if (!dim)
        dim = newSymbol(result, i);
      // What is known of the size bounds all arithmetic on extents and bytes behind here; names stand for less than 2^31.
      if (size && *size > 0 && (__builtin_mul_overflow(known, *size, &known) || known > ShapeFacts::kMaxElements))
        return op->emitOpError() << "expects a result of at most 2^40 elements, but dim " << i << " of it would be "
                                 << *size;
      if (isa_and_nonnull<AffineBinaryOpExpr>(dim))
        if (int64_t factor = DimPolynomial(dim).largestCoefficient();
            factor > ShapeFacts::kMaxElements || factor < -ShapeFacts::kMaxElements)
          return op->emitOpError() << "expects a result of at most 2^40 elements, but dim " << i << " of it would be "
                                   << facts.str(dim);
      if (count >= 0 && (!size || __builtin_mul_overflow(count, *size, &count)))
        count = -1;
    }
    record.tracked &= count == static_cast<int64_t>(record.values.size()) && record.values.size() <= kMaxTracked;
    for (AffineExpr &value : record.values)
      if (value)
        value = canonical(value);
    this->known[result] = std::make_unique<TensorFacts>(std::move(record));
  }
  return success();
}

TensorFacts &ShapeFacts::Impl::of(Value value) {
  auto found = known.find(value);
  if (found != known.end())
    return *found->second;
  // Walk up first, so that long chains do not recurse.
  SmallVector<Operation *> pending;
  if (Operation *op = value.getDefiningOp())
    pending.push_back(op);
  while (!pending.empty()) {
    Operation *op = pending.back();
    bool ready = true;
    for (Value operand : op->getOperands())
      if (Operation *def = operand.getDefiningOp(); def && !known.count(operand)) {
        pending.push_back(def);
        ready = false;
      }
    if (!ready)
      continue;
    pending.pop_back();
    if (op->getNumResults() == 0 || known.count(op->getResult(0)))
      continue;
    // On demand nothing is diagnosed: an op that cannot be inferred keeps what its type says.
    ScopedDiagnosticHandler quiet(context, [](Diagnostic &) { return success(); });
    if (failed(infer(op)))
      for (Value result : op->getResults())
        readType(result);
  }
  if (!known.count(value))
    readType(value);
  return *known[value];
}

//===----------------------------------------------------------------------===//
// The interface
//===----------------------------------------------------------------------===//

ShapeFacts::ShapeFacts(func::FuncOp func) : impl(std::make_unique<Impl>(*this, func)) {}
ShapeFacts::~ShapeFacts() = default;

LogicalResult ShapeFacts::infer(Operation *op) { return impl->infer(op); }

RankedTensorType ShapeFacts::type(Value value) {
  TensorFacts &record = impl->of(value);
  SmallVector<int64_t> shape;
  for (AffineExpr dim : record.shape)
    shape.push_back(constant(dim).value_or(ShapedType::kDynamic));
  return RankedTensorType::get(shape, record.element);
}

ArrayRef<AffineExpr> ShapeFacts::shape(Value value) { return impl->of(value).shape; }

const SmallVector<AffineExpr> *ShapeFacts::elements(Value value) {
  TensorFacts &record = impl->of(value);
  return record.tracked ? &record.values : nullptr;
}

std::optional<SmallVector<int64_t>> ShapeFacts::constants(Value value) {
  const SmallVector<AffineExpr> *values = elements(value);
  if (!values)
    return onnx::getConstantInts(value);
  SmallVector<int64_t> numbers;
  for (AffineExpr expr : *values) {
    std::optional<int64_t> number = constant(expr);
    if (!number)
      return std::nullopt;
    numbers.push_back(*number);
  }
  return numbers;
}

AffineExpr ShapeFacts::scalar(Value value) {
  const SmallVector<AffineExpr> *values = elements(value);
  return values && values->size() == 1 ? values->front() : AffineExpr();
}

bool ShapeFacts::equal(AffineExpr a, AffineExpr b) {
  return a && b && (a == b || (impl->canonical(a) && impl->canonical(a) == impl->canonical(b)));
}

bool ShapeFacts::equalShapes(Value a, Value b) {
  ArrayRef<AffineExpr> sa = shape(a);
  SmallVector<AffineExpr> left(sa.begin(), sa.end());
  ArrayRef<AffineExpr> right = shape(b);
  return left.size() == right.size() &&
         llvm::all_of(llvm::zip(left, right), [&](auto p) { return equal(std::get<0>(p), std::get<1>(p)); });
}

bool ShapeFacts::isNonNegative(AffineExpr expr) { return expr && DimPolynomial(expr).allCoefficientsNonNegative(); }

std::optional<int64_t> ShapeFacts::constant(AffineExpr expr) {
  if (auto c = dyn_cast_or_null<AffineConstantExpr>(expr))
    return c.getValue();
  return std::nullopt;
}

AffineExpr ShapeFacts::numElements(Value value) {
  AffineExpr count = impl->number(1);
  for (AffineExpr dim : shape(value))
    count = mul(count, dim);
  return count;
}

AffineExpr ShapeFacts::add(AffineExpr a, AffineExpr b) { return a && b ? impl->canonical(a + b) : AffineExpr(); }
AffineExpr ShapeFacts::sub(AffineExpr a, AffineExpr b) { return a && b ? impl->canonical(a - b) : AffineExpr(); }
AffineExpr ShapeFacts::mul(AffineExpr a, AffineExpr b) { return a && b ? impl->canonical(a * b) : AffineExpr(); }

AffineExpr ShapeFacts::floorDiv(AffineExpr a, AffineExpr b) {
  if (!a || !b || constant(b) == 0)
    return {};
  return impl->canonical(a.floorDiv(b));
}

AffineExpr ShapeFacts::max(AffineExpr a, AffineExpr b) {
  if (!a || !b)
    return {};
  return isNonNegative(sub(a, b)) ? a : isNonNegative(sub(b, a)) ? b : AffineExpr();
}

AffineExpr ShapeFacts::min(AffineExpr a, AffineExpr b) {
  if (!a || !b)
    return {};
  return isNonNegative(sub(a, b)) ? b : isNonNegative(sub(b, a)) ? a : AffineExpr();
}

Value ShapeFacts::materialize(OpBuilder &builder, Location loc, AffineExpr expr) {
  if (auto c = constant(expr))
    return arith::ConstantIndexOp::create(builder, loc, *c);
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr)) {
    Impl::Symbol &from = impl->symbols[symbol.getPosition()];
    return builder.createOrFold<tensor::DimOp>(loc, from.value, from.dim);
  }
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Value lhs = materialize(builder, loc, binary.getLHS()), rhs = materialize(builder, loc, binary.getRHS());
  switch (binary.getKind()) {
  case AffineExprKind::Add:
    return builder.createOrFold<arith::AddIOp>(loc, lhs, rhs);
  case AffineExprKind::Mul:
    return builder.createOrFold<arith::MulIOp>(loc, lhs, rhs);
  case AffineExprKind::FloorDiv:
    return builder.createOrFold<arith::FloorDivSIOp>(loc, lhs, rhs);
  case AffineExprKind::CeilDiv:
    return builder.createOrFold<arith::CeilDivSIOp>(loc, lhs, rhs);
  default:
    return builder.createOrFold<arith::RemSIOp>(loc, lhs, rhs);
  }
}

static std::string text(AffineExpr expr, function_ref<std::string(unsigned)> name, bool inner) {
  if (auto c = dyn_cast<AffineConstantExpr>(expr))
    return std::to_string(c.getValue());
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return name(symbol.getPosition());
  auto binary = cast<AffineBinaryOpExpr>(expr);
  auto c = dyn_cast<AffineConstantExpr>(binary.getRHS());
  bool sum = binary.getKind() == AffineExprKind::Add;
  std::string result;
  if (sum && c && c.getValue() < 0)
    result = text(binary.getLHS(), name, false) + " - " + std::to_string(-c.getValue());
  else
    result = text(binary.getLHS(), name, !sum) +
             (sum                                            ? " + "
              : binary.getKind() == AffineExprKind::Mul      ? " * "
              : binary.getKind() == AffineExprKind::FloorDiv ? " / "
              : binary.getKind() == AffineExprKind::CeilDiv  ? " ceildiv "
                                                             : " % ") +
             text(binary.getRHS(), name, !sum);
  return inner && sum ? "(" + result + ")" : result;
}

std::string ShapeFacts::str(AffineExpr expr) {
  if (!expr)
    return "?";
  return text(
      expr, [&](unsigned i) { return impl->symbols[i].name.empty() ? "d" + std::to_string(i) : impl->symbols[i].name; },
      false);
}

void ShapeFacts::forget(Operation *op) {
  op->walk([&](Operation *inner) {
    for (Value result : inner->getResults())
      impl->known.erase(result);
    for (Region &region : inner->getRegions())
      for (Block &block : region)
        for (BlockArgument arg : block.getArguments())
          impl->known.erase(arg);
  });
}

void ShapeFacts::notifyOperationReplaced(Operation *op, ValueRange replacement) {
  for (Impl::Symbol &symbol : impl->symbols)
    for (auto [result, with] : llvm::zip(op->getResults(), replacement))
      if (symbol.value == result)
        symbol.value = with;
}
