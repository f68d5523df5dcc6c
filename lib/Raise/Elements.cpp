//===- Elements.cpp - what one element of a tensor is ----------------------===//
#include "Elements.h"

#include "OnnxMatch.h"
#include "dialects/moe/Moe.h"
#include "dialects/onnx/Onnx.h"

#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;
using namespace mlir::moe;

static RankedTensorType typeOf(Value v) { return cast<RankedTensorType>(v.getType()); }
static bool isBool(Value v) { return typeOf(v).getElementType().isInteger(1); }

//===----------------------------------------------------------------------===//
// Making elements
//===----------------------------------------------------------------------===//

static Elem make(Elem::Kind kind, std::vector<Elem> args = {}) {
  Elem e;
  e.kind = kind;
  e.args = std::move(args);
  return e;
}
static Elem makeInt(AffineExpr expr) {
  Elem e = make(Elem::Int);
  e.expr = expr;
  return e;
}
static Elem makeFloat(double number) {
  Elem e = make(Elem::Float);
  e.number = number;
  return e;
}
static Elem makeElement(Value source, ArrayRef<AffineExpr> index) {
  Elem e = make(Elem::Element);
  e.source = source;
  e.index.assign(index.begin(), index.end());
  return e;
}
static Elem truth(bool value) { return make(value ? Elem::True : Elem::False); }

static Elem makeCompare(Elem::Kind kind, AffineExpr expr, ElementFacts &facts) {
  expr = facts.simplify(expr);
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return truth(kind == Elem::Zero ? constant.getValue() == 0 : constant.getValue() >= 0);
  if (kind == Elem::NonNegative && facts.nonNegative(expr))
    return truth(true);
  if (facts.nonNegative(facts.simplify(-1 - expr)) ||
      (kind == Elem::Zero && facts.nonNegative(facts.simplify(expr - 1))))
    return truth(false);
  Elem e = make(kind);
  e.expr = expr;
  return e;
}

Elem moe::makeNot(Elem c, ElementFacts &facts) {
  switch (c.kind) {
  case Elem::True:
    return truth(false);
  case Elem::False:
    return truth(true);
  case Elem::Not:
    return c.args[0];
  case Elem::NonNegative:
    return makeCompare(Elem::NonNegative, -1 - c.expr, facts);
  case Elem::And:
    return makeOr(makeNot(c.args[0], facts), makeNot(c.args[1], facts), facts);
  case Elem::Or:
    return makeAnd(makeNot(c.args[0], facts), makeNot(c.args[1], facts), facts);
  default:
    return make(Elem::Not, {std::move(c)});
  }
}

Elem moe::makeAnd(Elem a, Elem b, ElementFacts &facts) {
  if (a.kind == Elem::True || b.kind == Elem::False || facts.equal(a, b))
    return b;
  if (b.kind == Elem::True || a.kind == Elem::False)
    return a;
  return make(Elem::And, {std::move(a), std::move(b)});
}

Elem moe::makeOr(Elem a, Elem b, ElementFacts &facts) {
  if (a.kind == Elem::False || b.kind == Elem::True || facts.equal(a, b))
    return b;
  if (b.kind == Elem::False || a.kind == Elem::True)
    return a;
  return make(Elem::Or, {std::move(a), std::move(b)});
}

static Elem makeSelect(Elem c, Elem a, Elem b, ElementFacts &facts) {
  if (c.kind == Elem::True || facts.equal(a, b))
    return a;
  if (c.kind == Elem::False)
    return b;
  if (a.isCondition() && b.isCondition())
    return makeOr(makeAnd(c, a, facts), makeAnd(makeNot(c, facts), b, facts), facts);
  return make(Elem::Select, {std::move(c), std::move(a), std::move(b)});
}

void Elem::print(raw_ostream &os) const {
  static const char *names[] = {"element", "int",   "float", "true", "false", ">=0",
                                "==0",     "equal", "and",   "or",   "not",   "select"};
  os << '(' << names[kind];
  if (expr)
    os << ' ' << expr;
  if (kind == Float)
    os << ' ' << number;
  if (source)
    os << ' ' << (source.getDefiningOp() ? source.getDefiningOp()->getName().getStringRef() : StringRef("argument"));
  for (AffineExpr i : index)
    os << " [" << i << ']';
  for (const Elem &arg : args)
    arg.print(os << ' ');
  os << ')';
}

bool ElementFacts::equal(const Elem &a, const Elem &b) {
  if (a.kind != b.kind || a.args.size() != b.args.size() || a.index.size() != b.index.size() || a.source != b.source)
    return false;
  if (a.expr && !equal(a.expr, b.expr))
    return false;
  if (a.kind == Elem::Float && a.number != b.number)
    return false;
  for (auto [x, y] : llvm::zip(a.index, b.index))
    if (!equal(x, y))
      return false;
  for (auto [x, y] : llvm::zip(a.args, b.args))
    if (!equal(x, y))
      return false;
  return true;
}

//===----------------------------------------------------------------------===//
// Extents
//===----------------------------------------------------------------------===//

bool ElementFacts::atLeast(AffineExpr extent, AffineExpr bound) {
  return nonNegative(extent - bound) || (bound == constant(1) && exprs.isExtent(extent));
}

/// The extent of a value whose facts end in a symbol of its own, from its operands' extents.
AffineExpr ElementFacts::refine(Value value, int64_t axis, AffineExpr extent) {
  Operation *op = value.getDefiningOp();
  int64_t rank = typeOf(value).getRank();
  if (auto slice = dyn_cast<onnx::SliceOp>(op)) {
    const auto *starts = facts.elements(slice.getStarts()), *ends = facts.elements(slice.getEnds());
    auto axes = slice.getAxes() ? onnx::getConstantInts(slice.getAxes()) : std::nullopt;
    auto steps = slice.getSteps() ? onnx::getConstantInts(slice.getSteps()) : SmallVector<int64_t>(1, 1);
    if (!starts || !ends || !axes || axes->size() != 1 || !steps || (*steps)[0] != 1 || !(*starts)[0] || !(*ends)[0])
      return extent;
    AffineExpr whole = shape(slice.getData())[axis], start = (*starts)[0], end = (*ends)[0];
    if (((*axes)[0] + rank) % rank != axis)
      return whole;
    if (!nonNegative(start) || !nonNegative(end) || !atLeast(whole, start))
      return extent;
    if (atLeast(whole, end))
      return simplify(end - start);
    return nonNegative(end - whole) ? simplify(whole - start) : extent;
  }
  if (auto concat = dyn_cast<onnx::ConcatOp>(op)) {
    if ((concat.getAxis() + rank) % rank != axis)
      return shape(concat.getInputs()[0])[axis];
    AffineExpr sum = constant(0);
    for (Value part : concat.getInputs())
      sum = sum + shape(part)[axis];
    return simplify(sum);
  }
  if (isa<onnx::CastOp, onnx::NotOp, onnx::CumSumOp, onnx::NegOp>(op))
    return shape(op->getOperand(0))[axis];
  if (isa<onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::EqualOp, onnx::LessOp, onnx::LessOrEqualOp, onnx::GreaterOp,
          onnx::GreaterOrEqualOp, onnx::AndOp, onnx::OrOp, onnx::WhereOp, onnx::MaxOp, onnx::MinOp>(op)) {
    AffineExpr all = constant(1);
    for (Value operand : op->getOperands()) {
      int64_t at = axis - (rank - typeOf(operand).getRank());
      AffineExpr here = at < 0 ? constant(1) : shape(operand)[at];
      if (here == constant(1) || equal(here, all))
        continue;
      if (all != constant(1))
        return extent;
      all = here;
    }
    return all;
  }
  return extent;
}

ArrayRef<AffineExpr> ElementFacts::shape(Value value) {
  if (auto it = shapes.find(value); it != shapes.end())
    return *it->second;
  ArrayRef<AffineExpr> known = facts.shape(value);
  auto refined = std::make_unique<Index>(known.begin(), known.end());
  if (value.getDefiningOp())
    for (auto [axis, extent] : llvm::enumerate(*refined))
      if (!isa<AffineConstantExpr>(extent) && !exprs.isExtent(extent))
        extent = refine(value, axis, extent);
  return *(shapes[value] = std::move(refined));
}

//===----------------------------------------------------------------------===//
// Ops that only move elements
//===----------------------------------------------------------------------===//

/// Reshape in groups: the smallest runs of dims whose products agree. Within a group the index is flattened and split.
bool ElementFacts::reshape(Value from, Value to, Index &index) {
  ArrayRef<AffineExpr> in = shape(from), out = shape(to);
  if (in.size() != static_cast<size_t>(typeOf(from).getRank()) || out.size() != index.size())
    return false;
  AffineExpr one = constant(1);
  Index result(in.size(), constant(0));
  size_t i = 0, o = 0;
  while (i < in.size() || o < out.size()) {
    size_t inStart = i, outStart = o;
    AffineExpr inSize = one, outSize = one;
    if (i < in.size())
      inSize = in[i++];
    if (o < out.size())
      outSize = out[o++];
    while (!equal(inSize, outSize)) {
      // Grow the side that is certainly smaller: the one that divides the other; else the one with fewer dims left.
      auto inConst = dyn_cast<AffineConstantExpr>(simplify(inSize)),
           outConst = dyn_cast<AffineConstantExpr>(simplify(outSize));
      bool growIn;
      if (inConst && outConst)
        growIn = inConst.getValue() < outConst.getValue();
      else if (i < in.size() && equal(simplify(inSize * in[i]), outSize))
        growIn = true;
      else if (o < out.size() && equal(simplify(outSize * out[o]), inSize))
        growIn = false;
      else if (inConst)
        growIn = true;
      else if (outConst)
        growIn = false;
      else
        growIn = in.size() - i > out.size() - o;
      if (growIn ? i == in.size() : o == out.size())
        growIn = !growIn;
      if (growIn ? i == in.size() : o == out.size())
        return false;
      if (growIn)
        inSize = simplify(inSize * in[i++]);
      else
        outSize = simplify(outSize * out[o++]);
    }
    AffineExpr flat = constant(0);
    for (size_t k = outStart; k < o; ++k)
      flat = simplify(flat * out[k] + index[k]);
    AffineExpr stride = one;
    for (size_t k = i; k-- > inStart;) {
      AffineExpr at = stride == one ? flat : simplify(getAffineBinaryOpExpr(AffineExprKind::FloorDiv, flat, stride));
      if (k > inStart)
        at = simplify(getAffineBinaryOpExpr(AffineExprKind::Mod, at, in[k]));
      result[k] = at;
      stride = simplify(stride * in[k]);
    }
  }
  index = result;
  return true;
}

bool ElementFacts::step(Value &value, Index &index) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return false;
  if (auto identity = dyn_cast<onnx::IdentityOp>(op)) {
    value = identity->getOperand(0);
    return true;
  }
  if (auto transpose = dyn_cast<onnx::TransposeOp>(op)) {
    Index moved(index.size());
    auto perm = transpose.getPerm();
    for (size_t i = 0; i < index.size(); ++i)
      moved[perm ? (*perm)[i] : index.size() - 1 - i] = index[i];
    value = transpose.getData();
    index = moved;
    return true;
  }
  if (auto expand = dyn_cast<onnx::ExpandOp>(op)) {
    std::optional<Index> moved = broadcast(expand.getInput(), value, index);
    if (!moved)
      return false;
    value = expand.getInput();
    index = *moved;
    return true;
  }
  if (isa<onnx::ReshapeOp, onnx::UnsqueezeOp, onnx::SqueezeOp>(op)) {
    if (!reshape(op->getOperand(0), value, index))
      return false;
    value = op->getOperand(0);
    return true;
  }
  return false;
}

//===----------------------------------------------------------------------===//
// Numbers and conditions
//===----------------------------------------------------------------------===//

static bool isNumber(const Elem &e) {
  return e.kind == Elem::Float || (e.kind == Elem::Int && isa<AffineConstantExpr>(e.expr));
}
static double numberOf(const Elem &e) {
  return e.kind == Elem::Float ? e.number : static_cast<double>(cast<AffineConstantExpr>(e.expr).getValue());
}

/// Applies a function of numbers to each choice of a Select; nullopt where something else is chosen.
static std::optional<Elem> mapNumbers(const Elem &e, ElementFacts &facts, function_ref<double(double)> fn,
                                      unsigned depth = 0) {
  if (isNumber(e))
    return makeFloat(fn(numberOf(e)));
  if (e.kind != Elem::Select || depth > 4)
    return std::nullopt;
  auto a = mapNumbers(e.args[1], facts, fn, depth + 1), b = mapNumbers(e.args[2], facts, fn, depth + 1);
  if (!a || !b)
    return std::nullopt;
  return makeSelect(e.args[0], *a, *b, facts);
}
static std::optional<Elem> mapNumbers(const Elem &x, const Elem &y, ElementFacts &facts,
                                      function_ref<double(double, double)> fn, unsigned depth = 0) {
  if (isNumber(y))
    return mapNumbers(x, facts, [&](double a) { return fn(a, numberOf(y)); });
  if (isNumber(x))
    return mapNumbers(y, facts, [&](double b) { return fn(numberOf(x), b); });
  if (x.kind != Elem::Select || depth > 4)
    return std::nullopt;
  auto a = mapNumbers(x.args[1], y, facts, fn, depth + 1), b = mapNumbers(x.args[2], y, facts, fn, depth + 1);
  if (!a || !b)
    return std::nullopt;
  return makeSelect(x.args[0], *a, *b, facts);
}

/// An integer's element as a condition: not zero.
static std::optional<Elem> asCondition(const Elem &e, ElementFacts &facts) {
  if (e.isCondition())
    return e;
  if (e.kind == Elem::Int)
    return makeNot(makeCompare(Elem::Zero, e.expr, facts), facts);
  if (e.kind == Elem::Float)
    return truth(e.number != 0);
  if (e.kind == Elem::Select)
    if (auto a = asCondition(e.args[1], facts), b = asCondition(e.args[2], facts); a && b)
      return makeSelect(e.args[0], *a, *b, facts);
  return std::nullopt;
}

std::optional<Index> ElementFacts::broadcast(Value operand, Value result, ArrayRef<AffineExpr> index) {
  ArrayRef<AffineExpr> in = shape(operand), out = shape(result);
  if (in.size() > index.size() || out.size() != index.size())
    return std::nullopt;
  Index at;
  for (auto [k, extent] : llvm::enumerate(in)) {
    size_t o = index.size() - in.size() + k;
    if (extent == constant(1))
      at.push_back(constant(0));
    else if (equal(extent, out[o]))
      at.push_back(index[o]);
    else
      return std::nullopt;
  }
  return at;
}

std::optional<Elem> ElementFacts::operand(Value operand, Value result, ArrayRef<AffineExpr> index) {
  std::optional<Index> place = broadcast(operand, result, index);
  if (!place)
    return std::nullopt;
  return at(operand, *place);
}

Elem ElementFacts::atConstant(Value value, ArrayRef<AffineExpr> index) {
  DenseElementsAttr data = onnx::getConstant(value);
  auto number = [&](auto element) -> Elem {
    if constexpr (std::is_same_v<decltype(element), APFloat>) {
      bool lost;
      element.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &lost);
      return makeFloat(element.convertToDouble());
    } else {
      if (isBool(value))
        return truth(!element.isZero());
      if (element.getActiveBits() > 64)
        return makeElement(value, index);
      return makeInt(constant(typeOf(value).getElementType().isUnsignedInteger() ? int64_t(element.getZExtValue())
                                                                                 : element.getSExtValue()));
    }
  };
  bool isIntegral = isa<IntegerType>(data.getElementType());
  if (data.getNumElements() == 0 || (!isIntegral && !isa<FloatType>(data.getElementType())))
    return makeElement(value, index);
  if (data.isSplat())
    return isIntegral ? number(data.getSplatValue<APInt>()) : number(data.getSplatValue<APFloat>());
  ArrayRef<int64_t> shape = data.getType().getShape();
  int64_t flat = 0;
  bool known = true;
  for (auto [i, extent] : llvm::zip(index, shape)) {
    auto c = dyn_cast<AffineConstantExpr>(i);
    known &= c && c.getValue() >= 0 && c.getValue() < extent;
    flat = known ? flat * extent + c.getValue() : 0;
  }
  if (known)
    return isIntegral ? number(data.getValues<APInt>()[flat]) : number(data.getValues<APFloat>()[flat]);
  if (isBool(value) || isFloat(value)) {
    SmallVector<double> all;
    for (int64_t n = 0, e = data.getNumElements(); n < e && e <= 4096; ++n)
      all.push_back(isBool(value) ? data.getValues<bool>()[n] : number(data.getValues<APFloat>()[n]).number);
    if (!all.empty())
      if (auto found = band(value, index, [&](int64_t n) { return all[n]; }))
        return *found;
  }
  // Integers that count up along one dim (stored positions).
  if (isIntegral && !isBool(value) && data.getNumElements() <= 65536) {
    std::optional<SmallVector<int64_t>> all = onnx::getConstantInts(value);
    if (!all)
      return makeElement(value, index);
    SmallVector<int64_t> steps(shape.size());
    int64_t stride = 1;
    for (size_t k = shape.size(); k-- > 0; stride *= shape[k])
      steps[k] = shape[k] > 1 ? (*all)[stride] - (*all)[0] : 0;
    bool affine = true;
    for (int64_t n = 0, e = all->size(); n < e && affine; ++n) {
      int64_t rest = n, expected = (*all)[0];
      for (size_t k = shape.size(); k-- > 0; rest /= shape[k])
        expected += (rest % shape[k]) * steps[k];
      affine = expected == (*all)[n];
    }
    if (affine) {
      AffineExpr expr = constant((*all)[0]);
      for (auto [i, s] : llvm::zip(index, steps))
        expr = expr + i * s;
      return makeInt(simplify(expr));
    }
  }
  return makeElement(value, index);
}

/// One number everywhere; or two, of which one stands at j <= i + c and (perhaps) j >= i + w of the last two dims.
std::optional<Elem> ElementFacts::band(Value value, ArrayRef<AffineExpr> index, function_ref<double(int64_t)> element) {
  ArrayRef<int64_t> shape = typeOf(value).getShape();
  int64_t count = typeOf(value).getNumElements();
  if (count == 0)
    return std::nullopt;
  double first = element(0);
  std::optional<double> other;
  for (int64_t n = 1; n < count; ++n)
    if (double x = element(n); x != first) {
      if (other && *other != x)
        return std::nullopt;
      other = x;
    }
  bool isCondition = isBool(value);
  auto number = [&](double x) {
    return isCondition ? truth(x != 0) : isFloat(value) ? makeFloat(x) : makeInt(constant(x));
  };
  if (!other)
    return number(first);
  if (shape.size() < 2)
    return std::nullopt;
  int64_t rows = shape[shape.size() - 2], columns = shape.back();
  if (rows * columns != count)
    return std::nullopt;
  for (double inside : {first, *other}) {
    // Inside, row i holds columns low..high with high = i + c, low = high - w + 1, cut off at the borders.
    std::optional<int64_t> c, w;
    bool fits = true;
    for (int64_t i = 0; i < rows && fits; ++i) {
      int64_t low = columns, high = -1, inRow = 0;
      for (int64_t j = 0; j < columns; ++j)
        if (element(i * columns + j) == inside) {
          low = std::min(low, j);
          high = j;
          ++inRow;
        }
      if (inRow == 0 || inRow != high - low + 1) {
        fits = false;
        break;
      }
      if (high < columns - 1)
        fits &= !c || *c == high - i, c = high - i;
      if (low > 0)
        fits &= !w || *w == low - i, w = low - i;
    }
    // A full last column alone does not say where the diagonal is.
    for (int64_t i = 0; c && i < rows && fits; ++i) {
      int64_t high = std::min(columns - 1, i + *c), low = w ? std::max<int64_t>(0, i + *w) : 0;
      for (int64_t j = 0; j < columns && fits; ++j)
        fits = (element(i * columns + j) == inside) == (j >= low && j <= high);
    }
    if (!fits || !c)
      continue;
    AffineExpr i = index[index.size() - 2], j = index[index.size() - 1];
    Elem condition = makeCompare(Elem::NonNegative, i + *c - j, *this);
    if (w)
      condition = makeAnd(condition, makeCompare(Elem::NonNegative, j - i - *w, *this), *this);
    return makeSelect(condition, number(inside), number(inside == first ? *other : first), *this);
  }
  return std::nullopt;
}

Elem ElementFacts::atStored(Value value, ArrayRef<AffineExpr> index) {
  RankedTensorType type;
  std::unique_ptr<llvm::MemoryBuffer> buffer = readPiece(value, 8 << 20, type);
  Type element = type ? type.getElementType() : Type();
  if (!buffer || !(element.isInteger(1) || element.isF32()) || type.getShape() != typeOf(value).getShape() ||
      element != typeOf(value).getElementType())
    return makeElement(value, index);
  const char *bytes = buffer->getBufferStart();
  auto read = [&](int64_t n) -> double {
    if (element.isInteger(1))
      return bytes[n] != 0;
    float number;
    memcpy(&number, bytes + 4 * n, 4);
    return number;
  };
  return band(value, index, read).value_or(makeElement(value, index));
}

Elem ElementFacts::atConcat(Operation *op, Value value, ArrayRef<AffineExpr> index) {
  auto concat = cast<onnx::ConcatOp>(op);
  int64_t axis = concat.getAxis() < 0 ? concat.getAxis() + static_cast<int64_t>(index.size()) : concat.getAxis();
  AffineExpr start = constant(0), at = index[axis];
  // Inside one part for certain?
  SmallVector<AffineExpr> starts;
  for (Value part : concat.getInputs()) {
    AffineExpr extent = shape(part)[axis], end = simplify(start + extent);
    if (exprs.nonNegative(at - start) && exprs.nonNegative(end - 1 - at)) {
      Index moved(index.begin(), index.end());
      moved[axis] = simplify(at - start);
      return this->at(part, moved);
    }
    starts.push_back(start);
    start = end;
  }
  // One formula in every part? A part of extent 1 only has to agree at its one place.
  AffineExpr along = exprs.addDim(start);
  std::optional<Elem> formula;
  for (bool single : {false, true})
    for (auto [part, begin] : llvm::zip(concat.getInputs(), starts)) {
      if ((shape(part)[axis] == constant(1)) != single)
        continue;
      Index moved(index.begin(), index.end());
      moved[axis] = single ? constant(0) : simplify(along - begin);
      Elem here = this->at(part, moved);
      if (here.kind != Elem::Int)
        return makeElement(value, index);
      if (!formula)
        formula = single ? makeInt(here.expr + (along - begin)) : here;
      AffineExpr expected = formula->expr;
      if (single)
        expected = expected.replace(along, begin);
      if (!equal(expected, here.expr))
        return makeElement(value, index);
    }
  if (!formula)
    return makeElement(value, index);
  return makeInt(simplify(formula->expr.replace(along, at)));
}

Elem ElementFacts::at(Value value, ArrayRef<AffineExpr> index) {
  Index here(index.begin(), index.end());
  if (budget == 0 || !isa<RankedTensorType>(value.getType()))
    return makeElement(value, here);
  --budget;
  while (step(value, here)) {
  }
  if (typeOf(value).getRank() <= 1 && isa<IntegerType>(typeOf(value).getElementType()))
    if (const SmallVector<AffineExpr> *known = facts.elements(value)) {
      std::optional<int64_t> which;
      if (here.empty())
        which = 0;
      else if (auto c = dyn_cast<AffineConstantExpr>(here[0]))
        which = c.getValue();
      if (which && *which >= 0 && *which < static_cast<int64_t>(known->size()) && (*known)[*which]) {
        AffineExpr expr = (*known)[*which];
        if (!isBool(value))
          return makeInt(expr);
        if (auto c = dyn_cast<AffineConstantExpr>(expr))
          return truth(c.getValue() != 0);
      }
    }
  Operation *op = value.getDefiningOp();
  if (!op)
    return makeElement(value, here);
  if (onnx::getConstant(value))
    return atConstant(value, here);
  if (isa<GetWeightOp>(op))
    return atStored(value, here);
  Elem result = atOp(op, value, here);
  // Wherever only moves and unknowns meet, the element keeps its place in this value.
  return result;
}

Elem ElementFacts::atOp(Operation *op, Value value, ArrayRef<AffineExpr> index) {
  Elem unknown = makeElement(value, index);
  auto in = [&](unsigned i) { return operand(op->getOperand(i), value, index); };
  auto asInts = [&](const std::optional<Elem> &a, const std::optional<Elem> &b) {
    return a && b && a->kind == Elem::Int && b->kind == Elem::Int;
  };

  if (auto cast = dyn_cast<onnx::CastOp>(op)) {
    Elem e = at(cast.getInput(), index);
    if (isBool(value))
      return asCondition(e, *this).value_or(unknown);
    if (e.isCondition()) {
      bool toFloat = isFloat(value);
      return makeSelect(e, toFloat ? makeFloat(1) : makeInt(constant(1)), toFloat ? makeFloat(0) : makeInt(constant(0)),
                        *this);
    }
    if (e.kind == Elem::Float && isFloat(value)) {
      APFloat rounded(e.number);
      bool lost;
      rounded.convert(::cast<FloatType>(typeOf(value).getElementType()).getFloatSemantics(),
                      APFloat::rmNearestTiesToEven, &lost);
      rounded.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &lost);
      return makeFloat(rounded.convertToDouble());
    }
    if (e.kind == Elem::Int && !isFloat(value) && typeOf(value).getElementType().getIntOrFloatBitWidth() >= 32)
      return e;
    if (e.kind == Elem::Int && isFloat(value) && isNumber(e))
      return makeFloat(numberOf(e));
    if (e.kind == Elem::Select)
      return mapNumbers(e, *this, [](double x) { return x; }).value_or(unknown);
    return unknown;
  }
  if (isa<onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::DivOp, onnx::PowOp, onnx::MaxOp, onnx::MinOp>(op)) {
    if (op->getNumOperands() != 2)
      return unknown;
    auto a = in(0), b = in(1);
    if (!a || !b)
      return unknown;
    if (!isFloat(value)) {
      if (!asInts(a, b))
        return unknown;
      if (isa<onnx::AddOp>(op))
        return makeInt(simplify(a->expr + b->expr));
      if (isa<onnx::SubOp>(op))
        return makeInt(simplify(a->expr - b->expr));
      if (isa<onnx::MulOp>(op))
        return makeInt(simplify(a->expr * b->expr));
      if (isa<onnx::DivOp>(op) && nonNegative(a->expr) && isNumber(*b) && numberOf(*b) > 0)
        return makeInt(simplify(getAffineBinaryOpExpr(AffineExprKind::FloorDiv, a->expr, b->expr)));
      if (isa<onnx::MaxOp, onnx::MinOp>(op)) {
        bool max = isa<onnx::MaxOp>(op);
        if (nonNegative(a->expr - b->expr))
          return max ? *a : *b;
        if (nonNegative(b->expr - a->expr))
          return max ? *b : *a;
      }
      return unknown;
    }
    // x * 0 is 0 for the masks this is asked about; a NaN or infinite unknown is left alone because unknowns fail below.
    auto fn = [&](double x, double y) {
      return isa<onnx::AddOp>(op)   ? x + y
             : isa<onnx::SubOp>(op) ? x - y
             : isa<onnx::MulOp>(op) ? x * y
             : isa<onnx::DivOp>(op) ? x / y
             : isa<onnx::PowOp>(op) ? std::pow(x, y)
             : isa<onnx::MaxOp>(op) ? std::max(x, y)
                                    : std::min(x, y);
    };
    return mapNumbers(*a, *b, *this, fn).value_or(unknown);
  }
  if (isa<onnx::NegOp, onnx::SqrtOp, onnx::ReciprocalOp>(op)) {
    Elem e = at(op->getOperand(0), index);
    if (isa<onnx::NegOp>(op) && e.kind == Elem::Int)
      return makeInt(simplify(-e.expr));
    if (!isFloat(value))
      return unknown;
    return mapNumbers(e, *this,
                      [&](double x) {
                        return isa<onnx::NegOp>(op) ? -x : isa<onnx::SqrtOp>(op) ? std::sqrt(x) : 1 / x;
                      })
        .value_or(unknown);
  }
  if (isa<onnx::LessOp, onnx::LessOrEqualOp, onnx::GreaterOp, onnx::GreaterOrEqualOp>(op)) {
    auto a = in(0), b = in(1);
    if (!asInts(a, b))
      return unknown;
    AffineExpr e = isa<onnx::LessOp>(op)          ? b->expr - a->expr - 1
                   : isa<onnx::LessOrEqualOp>(op) ? b->expr - a->expr
                   : isa<onnx::GreaterOp>(op)     ? a->expr - b->expr - 1
                                                  : a->expr - b->expr;
    return makeCompare(Elem::NonNegative, e, *this);
  }
  if (isa<onnx::EqualOp>(op)) {
    auto a = in(0), b = in(1);
    if (!a || !b)
      return unknown;
    if (asInts(a, b))
      return makeCompare(Elem::Zero, a->expr - b->expr, *this);
    if (equal(*a, *b) && !isFloat(op->getOperand(0)))
      return truth(true);
    return make(Elem::Equal, {*a, *b});
  }
  if (isa<onnx::AndOp, onnx::OrOp>(op)) {
    auto a = in(0), b = in(1);
    if (!a || !b)
      return unknown;
    return isa<onnx::AndOp>(op) ? makeAnd(*a, *b, *this) : makeOr(*a, *b, *this);
  }
  if (isa<onnx::NotOp>(op))
    return makeNot(at(op->getOperand(0), index), *this);
  if (isa<onnx::WhereOp>(op)) {
    auto c = in(0), a = in(1), b = in(2);
    if (!c || !a || !b)
      return unknown;
    return makeSelect(*c, *a, *b, *this);
  }
  if (auto concat = dyn_cast<onnx::ConcatOp>(op))
    return atConcat(op, value, index);
  if (auto slice = dyn_cast<onnx::SliceOp>(op)) {
    const auto *starts = facts.elements(slice.getStarts());
    const auto *axes = slice.getAxes() ? facts.elements(slice.getAxes()) : nullptr;
    const auto *steps = slice.getSteps() ? facts.elements(slice.getSteps()) : nullptr;
    if (!starts || (slice.getAxes() && !axes) || (slice.getSteps() && !steps))
      return unknown;
    Index moved(index.begin(), index.end());
    for (size_t n = 0; n < starts->size(); ++n) {
      AffineExpr start = (*starts)[n];
      AffineExpr stepExpr = steps ? (*steps)[n] : constant(1), axisExpr = axes ? (*axes)[n] : constant(n);
      auto stepConst = stepExpr ? dyn_cast<AffineConstantExpr>(stepExpr) : AffineConstantExpr();
      auto axisConst = axisExpr ? dyn_cast<AffineConstantExpr>(axisExpr) : AffineConstantExpr();
      if (!start || !stepConst || !axisConst || stepConst.getValue() < 1)
        return unknown;
      int64_t axis = axisConst.getValue() + (axisConst.getValue() < 0 ? index.size() : 0);
      if (axis < 0 || axis >= static_cast<int64_t>(index.size()))
        return unknown;
      AffineExpr extent = shape(slice.getData())[axis];
      if (auto c = dyn_cast<AffineConstantExpr>(start); c && c.getValue() < 0) {
        start = simplify(extent + start);
        // A start before the beginning would be moved to it. An element exists, so -1 always is inside.
        if (c.getValue() != -1 && !nonNegative(start))
          return unknown;
      } else if (!nonNegative(start)) {
        return unknown;
      }
      moved[axis] = simplify(start + moved[axis] * stepConst.getValue());
    }
    return at(slice.getData(), moved);
  }
  if (auto split = dyn_cast<onnx::SplitOp>(op)) {
    int64_t axis = split.getAxis() < 0 ? split.getAxis() + static_cast<int64_t>(index.size()) : split.getAxis();
    Index moved(index.begin(), index.end());
    for (Value part : split.getOutputs()) {
      if (part == value)
        break;
      moved[axis] = simplify(moved[axis] + shape(part)[axis]);
    }
    return at(split.getInput(), moved);
  }
  if (auto gather = dyn_cast<onnx::GatherOp>(op)) {
    int64_t rank = typeOf(gather.getData()).getRank(),
            axis = gather.getAxis() < 0 ? gather.getAxis() + rank : gather.getAxis();
    int64_t indexRank = typeOf(gather.getIndices()).getRank();
    Elem chosen = at(gather.getIndices(), index.slice(axis, indexRank));
    if (chosen.kind != Elem::Int || !nonNegative(chosen.expr))
      return unknown;
    Index moved(index.take_front(axis));
    moved.push_back(chosen.expr);
    llvm::append_range(moved, index.drop_front(axis + indexRank));
    return at(gather.getData(), moved);
  }
  if (auto gather = dyn_cast<onnx::GatherNDOp>(op)) {
    ArrayRef<AffineExpr> indices = shape(gather.getIndices());
    auto count = indices.empty() ? AffineConstantExpr() : dyn_cast<AffineConstantExpr>(indices.back());
    if (gather.getBatchDims() != 0 || !count || count.getValue() < 1 || count.getValue() > 8)
      return unknown;
    size_t lead = indices.size() - 1;
    Index moved;
    for (int64_t n = 0; n < count.getValue(); ++n) {
      Index one(index.take_front(lead));
      one.push_back(constant(n));
      Elem chosen = at(gather.getIndices(), one);
      if (chosen.kind != Elem::Int || !nonNegative(chosen.expr))
        return unknown;
      moved.push_back(chosen.expr);
    }
    llvm::append_range(moved, index.drop_front(lead));
    return at(gather.getData(), moved);
  }
  if (auto range = dyn_cast<onnx::RangeOp>(op)) {
    if (isFloat(value))
      return unknown;
    Elem start = at(range.getStart(), {}), delta = at(range.getDelta(), {});
    if (start.kind != Elem::Int || delta.kind != Elem::Int)
      return unknown;
    return makeInt(simplify(start.expr + index[0] * delta.expr));
  }
  if (auto sum = dyn_cast<onnx::CumSumOp>(op)) {
    AffineExpr axisExpr = facts.scalar(sum.getAxis());
    auto axis = axisExpr ? dyn_cast<AffineConstantExpr>(axisExpr) : AffineConstantExpr();
    Elem each = at(sum.getX(), index);
    if (!axis || each.kind != Elem::Int || !isNumber(each) || sum.getReverse())
      return unknown;
    int64_t a = axis.getValue() < 0 ? axis.getValue() + static_cast<int64_t>(index.size()) : axis.getValue();
    if (a < 0 || a >= static_cast<int64_t>(index.size()))
      return unknown;
    return makeInt(simplify((index[a] + (sum.getExclusive() ? 0 : 1)) * each.expr));
  }
  if (auto fill = dyn_cast<onnx::ConstantOfShapeOp>(op)) {
    auto data = fill.getValue() ? dyn_cast<DenseElementsAttr>(*fill.getValue()) : DenseElementsAttr();
    if (!fill.getValue())
      return isFloat(value) ? makeFloat(0) : isBool(value) ? truth(false) : makeInt(constant(0));
    if (!data || !data.isSplat())
      return unknown;
    if (isFloat(value)) {
      APFloat f = data.getSplatValue<APFloat>();
      bool lost;
      f.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &lost);
      return makeFloat(f.convertToDouble());
    }
    APInt i = data.getSplatValue<APInt>();
    return isBool(value) ? truth(!i.isZero()) : makeInt(constant(i.getSExtValue()));
  }
  if (auto trilu = dyn_cast<onnx::TriluOp>(op)) {
    AffineExpr k = constant(0);
    if (trilu.getK())
      k = facts.scalar(trilu.getK());
    if (!k || index.size() < 2)
      return unknown;
    AffineExpr i = index[index.size() - 2], j = index[index.size() - 1];
    Elem kept = makeCompare(Elem::NonNegative, trilu.getUpper() ? j - i - k : i + k - j, *this);
    Elem zero = isFloat(value) ? makeFloat(0) : isBool(value) ? truth(false) : makeInt(constant(0));
    return makeSelect(kept, at(trilu.getInput(), index), zero, *this);
  }
  return unknown;
}

std::optional<double> ElementFacts::scalar(Value value) {
  // Fresh dims stand for any place.
  Index anywhere;
  for (AffineExpr extent : shape(value))
    anywhere.push_back(extent == constant(1) ? constant(0) : exprs.addDim(extent));
  Elem e = at(value, anywhere);
  if (isNumber(e))
    return numberOf(e);
  return std::nullopt;
}
