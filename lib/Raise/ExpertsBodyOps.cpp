//===- ExpertsBodyOps.cpp - what single ops do to the function of an expert ---===//
//
// ExpertsBody.cpp walks from the weighted sum to the rows of x; the rules here say what an elementwise op, a sum, a product, a
// reduction or a cut makes of the terms it reads.
//
//===----------------------------------------------------------------------===//
#include "ExpertsBody.h"
#include "OnnxMake.h"
#include "OnnxMatch.h"

#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::moe;

std::optional<ExpertsBody::Term> ExpertsBody::evalElementwise(Operation *op) {
  static const llvm::StringSet<> oddAtZero = {
      "Abs",  "Neg",   "Relu",      "Tanh",      "Erf",      "Gelu",     "Swish",        "Elu",
      "Selu", "Celu",  "LeakyRelu", "HardSwish", "Mish",     "Softsign", "Sign",         "Floor",
      "Ceil", "Round", "Sqrt",      "Cast",      "Identity", "ms.Gelu",  "ms.QuickGelu", "ms.FastGelu"};
  StringRef name = op->getName().stripDialect();
  SmallVector<Term> in;
  for (Value operand : op->getOperands()) {
    std::optional<Term> t = eval(operand);
    if (!t)
      return std::nullopt;
    in.push_back(*t);
  }
  if (llvm::any_of(in, [](const Term &t) { return t.summed; })) {
    fail(describeNode(op) + " reads a sum over experts");
    return std::nullopt;
  }
  Term out;
  out.rows = llvm::any_of(in, [](const Term &t) { return t.rows; });
  bool anyWeighted = llvm::any_of(in, [](const Term &t) { return t.weighted; });
  bool allWeighted = llvm::all_of(in, [](const Term &t) { return t.weighted; });
  if (name == "Mul" && in.size() == 2) {
    for (int i : {0, 1})
      if (!in[i].value) { // by a routing weight
        Term other = in[1 - i];
        if (!other.value || other.weighted || (onInput && !other.isX)) {
          fail(onInput ? "routing weights multiply something else than the experts' input"
                       : "two routing weights multiply");
          return std::nullopt;
        }
        if (onInput)
          other.isX = false;
        else
          other.weighted = true;
        other.rows = true;
        return other;
      }
    if (allWeighted) {
      fail("two routing weights multiply");
      return std::nullopt;
    }
  } else if (name == "Cast" && !in[0].value) {
    return in[0];
  }
  if (llvm::any_of(in, [](const Term &t) { return !t.value; })) {
    fail(describeNode(op) + " reads a routing weight");
    return std::nullopt;
  }
  bool linear = name == "Mul" || (name == "Div" && !in.back().weighted) || name == "Neg" || name == "Cast" ||
                name == "Identity" || ((name == "Add" || name == "Sub" || name == "Sum") && allWeighted);
  if (anyWeighted && !linear) {
    fail(describeNode(op) + " is not linear and comes after the routing weight");
    return std::nullopt;
  }
  if (onInput && llvm::any_of(in, [](const Term &t) { return t.isX; })) {
    fail("the experts read their input with and without routing weight");
    return std::nullopt;
  }
  out.weighted = anyWeighted;
  auto zero = [](const Term &t) { return t.zeroAtZero; };
  if (name == "Mul")
    out.zeroAtZero = llvm::any_of(in, zero);
  else if (name == "Add" || name == "Sub" || name == "Sum" || name == "Max" || name == "Min")
    out.zeroAtZero = llvm::all_of(in, zero);
  else if (name == "Div")
    out.zeroAtZero = in[0].zeroAtZero && !in[1].rows;
  else if (name == "Clip") {
    Value low = getInput(op, 1), high = getInput(op, 2);
    out.zeroAtZero =
        in[0].zeroAtZero && (!low || fillOf(low).value_or(1) <= 0) && (!high || fillOf(high).value_or(-1) >= 0);
  } else if (oddAtZero.contains(name))
    out.zeroAtZero = in[0].zeroAtZero;

  // The features of the result, grouped as in the graph, or one by one where an operand has only some of a group.
  out.groups = featureGroups(op->getResult(0));
  SmallVector<Value> operands;
  for (int attempt : {0, 1}) {
    operands.clear();
    for (const Term &t : in) {
      std::optional<Value> value = broadcast(t, out.groups);
      if (!value)
        break;
      operands.push_back(*value);
    }
    if (operands.size() == in.size())
      break;
    if (attempt == 1) {
      fail(describeNode(op) + " combines features that do not fit");
      return std::nullopt;
    }
    Layout single;
    for (int axis : axes.space.leaves(out.groups))
      single.push_back({axis});
    out.groups = single;
  }
  IRMapping mapping;
  Operation *copy = builder->clone(*op, mapping);
  copy->setOperands(operands);
  copy->getResult(0).setType(
      RankedTensorType::get(shapeOf(out.groups, out.rows), tensorType(op->getResult(0)).getElementType()));
  out.value = copy->getResult(0);
  if (llvm::all_of(in, [](const Term &t) { return t.scalar; }))
    out.scalar = true;
  return out;
}

std::optional<ExpertsBody::Term> ExpertsBody::sumOver(Term t, ArrayRef<int> rows) {
  Axes sum(rows), slots = route.slots(), experts = axes.space.leaves(route.experts);
  if (!t.weighted && !onInput) {
    fail("the experts' results are summed without routing weights");
    return std::nullopt;
  }
  if (t.summed || !t.rows || (sum != slots && sum != experts)) {
    fail("the sum runs over other axes than the experts or slots of a token");
    return std::nullopt;
  }
  if (sum == experts && onInput && !t.zeroAtZero) {
    fail("experts that a token did not choose add something to its sum");
    return std::nullopt;
  }
  t.summed = true;
  sumAxes = sum;
  return t;
}

/// Product of a row term with a parameter, summed over `contracted` features.
std::optional<ExpertsBody::Term> ExpertsBody::contract(Term a, Term b, ArrayRef<int> contracted, Type element) {
  if (a.summed || b.summed) {
    fail("a product reads a sum over experts");
    return std::nullopt;
  }
  if (!a.value || !b.value) { // a routing weight times rows
    Term &other = a.value ? a : b;
    if (!other.value || other.weighted || !contracted.empty()) {
      fail("a product reads a routing weight in an unknown way");
      return std::nullopt;
    }
    if (onInput) {
      fail("routing weights multiply something else than the experts' input");
      return std::nullopt;
    }
    other.weighted = other.rows = true;
    return other;
  }
  if (a.rows == b.rows) {
    fail(a.rows ? "a product of two values a token" : "a product of two parameters");
    return std::nullopt;
  }
  if (b.rows)
    std::swap(a, b);
  if (onInput && a.isX) {
    fail("the experts read their input with and without routing weight");
    return std::nullopt;
  }
  Axes rowLeaves = axes.space.leaves(a.groups), parLeaves = axes.space.leaves(b.groups);
  Axes inner, outer;
  for (int axis : parLeaves)
    (llvm::is_contained(contracted, axis) ? inner : outer).push_back(axis);
  Layout rest;
  for (const Axes &group : a.groups) {
    Axes left;
    for (int axis : axes.space.leaves(group))
      if (!llvm::is_contained(contracted, axis))
        left.push_back(axis);
    if (!left.empty())
      rest.push_back(left);
  }
  for (int axis : contracted)
    if (!llvm::is_contained(rowLeaves, axis) || !llvm::is_contained(inner, axis)) {
      fail("a product sums over features that only one side has");
      return std::nullopt;
    }
  for (int axis : axes.space.leaves(rest))
    if (llvm::is_contained(outer, axis)) {
      fail("a product with a parameter for each feature");
      return std::nullopt;
    }
  Layout rowTarget = rest;
  rowTarget.push_back(inner);
  Value lhs = regroup(a, rowTarget);
  Value rhs;
  if (!outer.empty() && llvm::is_contained(ArrayRef<int>(parLeaves).take_front(outer.size()), outer.front()) &&
      ArrayRef<int>(parLeaves).take_front(outer.size()).equals(outer))
    rhs = onnxTranspose(*builder, bodyLoc, regroup(b, {outer, inner}), {1, 0});
  else
    rhs = outer.empty() ? onnxReshape(*builder, bodyLoc, regroup(b, {inner}), {extent(inner), 1})
                        : regroup(b, {inner, outer});
  SmallVector<int64_t> shape = shapeOf(rest, true);
  shape.push_back(outer.empty() ? 1 : extent(outer));
  Term out;
  out.value = onnxBinary(*builder, bodyLoc, "MatMul", lhs, rhs, RankedTensorType::get(shape, element));
  out.groups = rest;
  if (!outer.empty())
    out.groups.push_back(outer);
  else
    out.value = onnxReshape(*builder, bodyLoc, out.value, shapeOf(rest, true));
  out.rows = true;
  out.weighted = a.weighted;
  out.zeroAtZero = a.zeroAtZero;
  return out;
}

std::optional<ExpertsBody::Term> ExpertsBody::evalProduct(Operation *op) {
  if (op->getNumOperands() < 2 || (isOnnx(op, {"Einsum"}) && op->getNumOperands() != 2)) {
    fail(describeNode(op) + " has other than two factors");
    return std::nullopt;
  }
  Value lhs = op->getOperand(0), rhs = op->getOperand(1);
  // Rows first, so that parameters come in the order of use.
  bool rowsOnRight = isConstantDerived(lhs) || (lhs.getDefiningOp() && isGather(lhs.getDefiningOp()));
  std::optional<Term> a, b;
  if (rowsOnRight)
    b = eval(rhs);
  a = eval(lhs);
  if (!rowsOnRight)
    b = eval(rhs);
  if (!a || !b)
    return std::nullopt;
  // What both sides have and the result does not is summed.
  Axes left = axes.leaves(lhs), right = axes.leaves(rhs), out = axes.leaves(op->getResult(0)), summed;
  for (int axis : left)
    if (llvm::is_contained(right, axis) && !llvm::is_contained(out, axis))
      summed.push_back(axis);
  for (const Axes *side : {&left, &right})
    for (int axis : *side)
      if (!llvm::is_contained(out, axis) && !llvm::is_contained(summed, axis)) {
        fail(describeNode(op) + " sums an axis of one factor");
        return std::nullopt;
      }
  Axes features = featuresOf(summed), rows = rowsOf(summed);
  Type element = tensorType(op->getResult(0)).getElementType();
  std::optional<Term> result = contract(*a, *b, features, element);
  if (!result)
    return std::nullopt;
  if (isOnnx(op, {"Gemm"})) {
    double alpha = floatAttr(op, "alpha", 1), beta = floatAttr(op, "beta", 1);
    auto scale = [&](Term &t, double by) {
      if (by == 1)
        return;
      auto type = cast<RankedTensorType>(t.value.getType());
      t.value = onnxBinary(*builder, bodyLoc, "Mul", t.value, onnxFloat(*builder, bodyLoc, element, by), type);
    };
    scale(*result, alpha);
    if (Value bias = getInput(op, 2)) {
      std::optional<Term> c = eval(bias);
      if (!c)
        return std::nullopt;
      if (!c->value || c->rows || result->weighted) {
        fail(describeNode(op) + " adds something else than a bias");
        return std::nullopt;
      }
      if (beta != 0) {
        scale(*c, beta);
        std::optional<Value> shaped = broadcast(*c, result->groups);
        if (!shaped) {
          fail(describeNode(op) + " adds a bias of other features");
          return std::nullopt;
        }
        result->value = onnxBinary(*builder, bodyLoc, "Add", result->value, *shaped,
                                   cast<RankedTensorType>(result->value.getType()));
        result->zeroAtZero = false;
      }
    }
  }
  if (!rows.empty())
    return sumOver(*result, rows);
  return result;
}

std::optional<ExpertsBody::Term> ExpertsBody::evalReduction(Operation *op) {
  std::optional<SmallVector<int64_t>> reduced = reducedAxes(op);
  Value data = op->getOperand(0);
  Axes summed;
  for (int64_t dim : *reduced)
    llvm::append_range(summed, axes.leaves(data, dim));
  Axes rows = rowsOf(summed), features = featuresOf(summed);
  bool isSum = isOnnx(op, {"ReduceSum"});
  Type element = tensorType(op->getResult(0)).getElementType();
  std::optional<Term> t;
  // sum(w * x) over features is a product
  if (Operation *mul = definedBy(data, {"Mul"}); mul && isSum && !features.empty() && visited.contains(data)) {
    std::optional<Term> a = eval(mul->getOperand(0)), b = a ? eval(mul->getOperand(1)) : std::nullopt;
    if (!a || !b)
      return std::nullopt;
    auto has = [&](const Term &x) {
      Axes own = axes.space.leaves(x.groups);
      return llvm::all_of(features, [&](int axis) { return llvm::is_contained(own, axis); });
    };
    if (a->value && b->value && a->rows != b->rows && has(*a) && has(*b)) {
      t = contract(*a, *b, features, element);
      if (!t)
        return std::nullopt;
      features.clear();
    }
  }
  if (!t)
    t = eval(data);
  if (!t)
    return std::nullopt;
  if (!isSum && !rows.empty()) {
    fail(describeNode(op) + " takes the mean over experts");
    return std::nullopt;
  }
  if (!features.empty() && !t->value) {
    fail(describeNode(op) + " sums routing weights");
    return std::nullopt;
  }
  if (!features.empty()) {
    if (onInput && t->isX) {
      fail("the experts read their input with and without routing weight");
      return std::nullopt;
    }
    Layout kept;
    for (const Axes &group : t->groups) {
      Axes left;
      for (int axis : axes.space.leaves(group))
        if (!llvm::is_contained(features, axis))
          left.push_back(axis);
      if (!left.empty())
        kept.push_back(left);
    }
    Layout target = kept;
    target.push_back(features);
    Value value = regroup(*t, target);
    int64_t last = tensorType(value).getRank() - 1;
    auto type = RankedTensorType::get(shapeOf(kept, t->rows), element);
    value = onnxOp(*builder, bodyLoc, op->getName().stripDialect(), type, {value, onnxInts(*builder, bodyLoc, {last})},
                   builder->getNamedAttr("keepdims", builder->getI64IntegerAttr(0)))
                ->getResult(0);
    t->value = value;
    t->groups = kept;
    t->isX = false;
  }
  if (!rows.empty())
    return sumOver(*t, rows);
  return t;
}

bool ExpertsBody::relateNorm(RmsNormOp norm) {
  Layout in = axes.layout(norm.getX()), out = axes.layout(norm->getResult(0));
  for (auto [a, b] : llvm::zip(in, out))
    if (!axes.space.unify(a, b))
      return fail("a norm has other dimensions than what it normalizes");
  return !norm.getWeight() || axes.space.unify(in.back(), axes.layout(norm.getWeight())[0]) ||
         fail("a norm has other dimensions than its weight");
}

/// A norm of all features of one dimension, written out.
std::optional<ExpertsBody::Term> ExpertsBody::evalNorm(RmsNormOp norm) {
  Value x = norm.getX();
  Axes last = axes.leaves(x, tensorType(x).getRank() - 1);
  std::optional<Term> t = eval(x), weight;
  if (t && norm.getWeight())
    weight = eval(norm.getWeight());
  if (!t || (norm.getWeight() && !weight))
    return std::nullopt;
  if (!t->value || !t->rows || t->weighted || t->summed || last.empty() || !rowsOf(last).empty() ||
      (onInput && t->isX) || (weight && (!weight->value || weight->rows))) {
    fail("a norm reads something else than what one expert makes of a token");
    return std::nullopt;
  }
  Term out;
  for (int axis : axes.leaves(x))
    if (!llvm::is_contained(last, axis) && rowsOf({axis}).empty())
      out.groups.push_back({axis});
  out.groups.push_back(last);
  out.rows = true;
  out.zeroAtZero = t->zeroAtZero && norm.getEpsilon().convertToFloat() > 0;
  OpBuilder &b = *builder;
  Value value = onnxCast(b, bodyLoc, regroup(*t, out.groups), b.getF32Type());
  RankedTensorType type = tensorType(value);
  SmallVector<int64_t> shape(type.getShape());
  shape.back() = 1;
  auto mean = RankedTensorType::get(shape, b.getF32Type());
  Value squares = onnxBinary(b, bodyLoc, "Mul", value, value, type);
  Value root = onnxOp(b, bodyLoc, "ReduceMean", mean, {squares, onnxInts(b, bodyLoc, {type.getRank() - 1})},
                      b.getNamedAttr("keepdims", b.getI64IntegerAttr(1)))
                   ->getResult(0);
  root = onnxBinary(b, bodyLoc, "Add", root, onnxFloat(b, bodyLoc, b.getF32Type(), norm.getEpsilon().convertToDouble()),
                    mean);
  value = onnxBinary(b, bodyLoc, "Div", value, onnxUnary(b, bodyLoc, "Sqrt", root), type);
  if (weight) {
    std::optional<Value> shaped = broadcast(*weight, {last});
    if (!shaped) {
      fail("the weight of a norm has other features");
      return std::nullopt;
    }
    value = onnxBinary(b, bodyLoc, "Mul", value, onnxCast(b, bodyLoc, *shaped, b.getF32Type()), type);
  }
  out.value = onnxCast(b, bodyLoc, value, tensorType(norm->getResult(0)).getElementType());
  return out;
}

/// Slice, Split, Gather of one place and Concat along features.
std::optional<ExpertsBody::Term> ExpertsBody::evalCut(Value value) {
  Operation *op = value.getDefiningOp();
  Type element = tensorType(value).getElementType();
  if (isOnnx(op, {"Concat"})) {
    int64_t axis = axisOf(op, "axis", 0, tensorType(value).getRank());
    SmallVector<Value> parts;
    std::optional<Term> out;
    int64_t at = 0;
    for (Value operand : op->getOperands()) {
      std::optional<Term> t = eval(operand);
      if (!t)
        return std::nullopt;
      if (!t->value || t->summed || !rowsOf(axes.leaves(operand, axis)).empty() || (onInput && t->isX) ||
          (out && (t->weighted != out->weighted || t->rows != out->rows))) {
        fail(describeNode(op) + " joins values of different kinds");
        return std::nullopt;
      }
      Layout groups;
      SmallVector<int64_t> shape;
      if (t->rows)
        shape.push_back(ShapedType::kDynamic);
      for (int64_t i = 0; i < tensorType(operand).getRank(); ++i) {
        Axes group = featuresOf(axes.leaves(operand, i));
        if (i == axis)
          at = shape.size();
        if (!group.empty())
          groups.push_back(group);
        if (!group.empty() || i == axis)
          shape.push_back(extent(group));
      }
      parts.push_back(onnxReshape(*builder, bodyLoc, regroup(*t, groups), shape));
      bool zero = t->zeroAtZero && (!out || out->zeroAtZero);
      out = t;
      out->isX = false;
      out->zeroAtZero = zero;
    }
    out->groups = featureGroups(value);
    out->value = onnxOp(*builder, bodyLoc, "Concat", RankedTensorType::get(shapeOf(out->groups, out->rows), element),
                        parts, builder->getNamedAttr("axis", builder->getI64IntegerAttr(at)))
                     ->getResult(0);
    return out;
  }
  Value data = op->getOperand(0);
  std::optional<Term> t = eval(data);
  if (!t)
    return std::nullopt;
  // (dimension, start, end, step) of each cut
  struct Cut {
    int64_t dim, start, end, step;
  };
  SmallVector<Cut> cuts;
  int64_t rank = tensorType(data).getRank();
  if (isOnnx(op, {"Split"})) {
    int64_t axis = axisOf(op, "axis", 0, rank), start = 0;
    for (OpResult other : op->getResults().take_front(cast<OpResult>(value).getResultNumber()))
      start += tensorType(other).getDimSize(axis);
    cuts.push_back({axis, start, start + tensorType(value).getDimSize(axis), 1});
  } else if (isOnnx(op, {"Gather"})) {
    std::optional<SmallVector<int64_t>> index = onnx::getConstantInts(op->getOperand(1));
    int64_t axis = axisOf(op, "axis", 0, rank);
    if (!index || index->size() != 1) {
      fail(describeNode(op) + " picks several features by index");
      return std::nullopt;
    }
    int64_t at = (*index)[0] < 0 ? (*index)[0] + tensorType(data).getDimSize(axis) : (*index)[0];
    cuts.push_back({axis, at, at + 1, 1});
  } else {
    auto numbers = [&](unsigned i) {
      return getInput(op, i) ? axes.shapeFacts().constants(getInput(op, i)) : std::nullopt;
    };
    std::optional<SmallVector<int64_t>> starts = numbers(1), ends = numbers(2), steps = numbers(4), dims = cutAxes(op);
    if (!starts || !ends || !dims || (getInput(op, 4) && !steps)) {
      fail(describeNode(op) + " has bounds that are not constant");
      return std::nullopt;
    }
    for (size_t i = 0; i < dims->size(); ++i)
      cuts.push_back({(*dims)[i], (*starts)[i], (*ends)[i], steps ? (*steps)[i] : 1});
  }
  Layout groups = featureGroups(data);
  SmallVector<int64_t> starts, ends, dims, steps;
  SmallVector<int64_t> shape = shapeOf(groups, t->rows);
  for (const Cut &cut : cuts) {
    Axes in = axes.leaves(data, cut.dim);
    bool whole = !isOnnx(op, {"Gather"}) && in == axes.leaves(value, cut.dim) && cut.step == 1;
    if (whole)
      continue;
    if (in.empty() && isOnnx(op, {"Gather"}))
      continue;
    if (!rowsOf(in).empty() || in.empty() || !t->value || t->summed) {
      fail(describeNode(op) + " cuts tokens, slots or experts");
      return std::nullopt;
    }
    int64_t position = t->rows;
    for (int64_t i = 0; i < cut.dim; ++i)
      position += !featuresOf(axes.leaves(data, i)).empty();
    starts.push_back(cut.start);
    ends.push_back(cut.end);
    dims.push_back(position);
    steps.push_back(cut.step);
    shape[position] = isOnnx(op, {"Gather"}) ? 1 : tensorType(value).getDimSize(cut.dim);
  }
  if (dims.empty())
    return t;
  if (onInput && t->isX) {
    fail("the experts read their input with and without routing weight");
    return std::nullopt;
  }
  Value whole = regroup(*t, groups);
  OpBuilder &b = *builder;
  t->value = onnxOp(b, bodyLoc, "Slice", RankedTensorType::get(shape, element),
                    {whole, onnxInts(b, bodyLoc, starts), onnxInts(b, bodyLoc, ends), onnxInts(b, bodyLoc, dims),
                     onnxInts(b, bodyLoc, steps)},
                    b.getNamedAttr("operandSegmentSizes", b.getDenseI32ArrayAttr({1, 1, 1, 1, 1})))
                 ->getResult(0);
  t->groups = featureGroups(value);
  t->value = onnxReshape(b, bodyLoc, t->value, shapeOf(t->groups, t->rows));
  t->isX = false;
  return t;
}
