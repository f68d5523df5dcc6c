//===- ExpertsBody.cpp - the function of one expert, read from a layer ----===//
#include "ExpertsBody.h"
#include "OnnxMake.h"
#include "OnnxMatch.h"
#include "StackWeights.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::moe;

bool ExpertsBody::fail(const Twine &why) {
  if (reason.empty())
    reason = why.str();
  return false;
}

static std::string describe(Operation *op) {
  return ("'" + op->getName().stripDialect() + "' of node '" + onnx::getNodeName(op) + "'").str();
}

//===----------------------------------------------------------------------===//
// Axes of everything between the sum and the rows of x
//===----------------------------------------------------------------------===//

bool ExpertsBody::hasRowAxis(Value value, bool tokensToo) {
  if (!isa<RankedTensorType>(value.getType()))
    return false;
  Axes row = route.slots();
  llvm::append_range(row, axes.space.leaves(route.experts));
  if (term && term->nonZero)
    llvm::append_range(row, axes.leaves(term->nonZero->getResult(0), 1));
  llvm::append_range(row, route.sortedRows());
  if (tokensToo)
    llvm::append_range(row, route.tokens());
  return llvm::any_of(axes.leaves(value), [&](int axis) { return llvm::is_contained(row, axis); });
}

/// An entry for each expert that no token has a say in.
bool ExpertsBody::isParameter(Value value) {
  if (term || fromRoute.contains(value) || !tensorType(value).hasStaticShape())
    return false;
  Axes leaves = axes.leaves(value), experts = axes.space.leaves(route.experts);
  return llvm::any_of(leaves, [&](int axis) { return llvm::is_contained(experts, axis); }) && rowsOf(leaves).size() == experts.size();
}

bool ExpertsBody::needsReading(Value value) {
  if (term)
    return term->differs.contains(value);
  return fromRoute.contains(value) || hasRowAxis(value);
}

/// What joins the runs has the rows of what was cut into runs.
bool ExpertsBody::relateRuns(Operation *op) {
  auto &runs = route.sortedRuns.find(op)->second;
  Layout joined = axes.layout(op->getResult(0)), source = axes.layout(runs.source), first = axes.layout(runs.first),
         run = axes.layout(runs.firstRun);
  bool fits = axes.space.unify(joined[0], source[0]) && source.size() == run.size() && first.size() == joined.size();
  for (size_t i = 1; i < source.size() && fits; ++i)
    fits = axes.space.unify(source[i], run[i]);
  for (size_t i = 1; i < joined.size() && fits; ++i)
    fits = axes.space.unify(joined[i], first[i]);
  return fits;
}

/// Operands that carry elements, as opposed to shapes and places.
SmallVector<Value> ExpertsBody::operandsOf(Operation *op) {
  if (auto it = route.sortedRuns.find(op); it != route.sortedRuns.end())
    return {it->second.source, it->second.first};
  if (isElementwise(op) || isOnnx(op, {"MatMul", "Gemm", "Einsum", "Concat"}))
    return SmallVector<Value>(op->getOperands());
  if (isOnnx(op, {"ScatterND"}))
    return {op->getOperand(2)};
  return {op->getOperand(0)};
}

static bool isGather(Operation *op) { return isOnnx(op, {"Gather", "GatherND", "GatherElements"}); }

/// A gather by the coordinates of an expert's tokens: its rows are the columns of the NonZero.
bool ExpertsBody::relateCoordinates(Operation *gather) {
  std::optional<Coordinates> at = route.coordinates(gather->getOperand(1));
  if (failed(axes.relate(gather, reason)))
    return fail("");
  Axes rows = route.rowsOf(*at);
  if (at->sort) {
    // The places count over the picked dimension.
    Value data = gather->getOperand(0);
    int64_t dim = isOnnx(gather, {"GatherND"}) ? 0 : axisOf(gather, "axis", 0, tensorType(data).getRank());
    Axes counted = route.tokens();
    if (at->dims[0] == 0)
      llvm::append_range(counted, route.slots());
    if (!axes.space.unify(axes.layout(data)[dim], counted))
      return fail("the places of " + describe(gather) + " count other rows");
  }
  Layout index = axes.layout(gather->getOperand(1));
  if (isOnnx(gather, {"GatherND"}))
    index.pop_back();
  if (isOnnx(gather, {"GatherElements"}))
    index.resize(1);
  for (Axes &dim : index)
    if (!dim.empty() && !axes.space.unify(dim, rows))
      return fail("the coordinates of " + describe(gather) + " have other rows");
  return true;
}

bool ExpertsBody::relateAll(Value sum) {
  SmallVector<Operation *> ops;
  auto take = [&](Value value) {
    if (!visited.insert(value).second)
      return true;
    if (llvm::any_of(route.sortedRuns, [&](auto &entry) { return entry.second.firstRun == value; }))
      return true; // stands for the rows that were cut
    if (visited.size() > 4096)
      return fail("more than 4096 values belong to one expert");
    Operation *op = value.getDefiningOp();
    if (!op || route.of(value).kind != RouteKind::None || isConstantDerived(value) || isParameter(value))
      return true;
    if (!isOnnx(op))
      return fail("'" + op->getName().getStringRef() + "' is no ONNX node");
    if (isGather(op)) {
      if (route.of(op->getOperand(1)).kind == RouteKind::Indices)
        return succeeded(axes.relate(op, reason));
      if (route.coordinates(op->getOperand(1)))
        return relateCoordinates(op);
    }
    std::string why;
    if (route.sortedRuns.count(op) ? !relateRuns(op) : failed(axes.relate(op, why)))
      return fail(describe(op) + (why.empty() ? "" : ": " + why));
    ops.push_back(op);
    if (isOnnx(op, {"ScatterND"}))
      if (std::optional<Coordinates> at = route.coordinates(op->getOperand(1)); at && at->sort && at->dims[0] == 1)
        axes.space.unify(axes.layout(op->getOperand(0))[0], route.tokens());
    if (auto it = route.sortedRuns.find(op); it != route.sortedRuns.end())
      runLeaves.insert(&it->second.leaves);
    return true;
  };
  if (!take(sum))
    return false;
  // Reading one op can show axes of values met before, so go over the operands until nothing is new.
  for (size_t before = 0; before != visited.size();) {
    before = visited.size();
    for (size_t i = 0; i < ops.size(); ++i)
      for (Value operand : operandsOf(ops[i]))
        if (!visited.contains(operand) && needsReading(operand) && !take(operand))
          return false;
  }
  numOps = ops.size();
  return true;
}

//===----------------------------------------------------------------------===//
// Features: axes that are neither rows nor experts
//===----------------------------------------------------------------------===//

Axes ExpertsBody::rowsOf(ArrayRef<int> leaves) {
  Axes row = route.slots();
  llvm::append_range(row, route.tokens());
  llvm::append_range(row, axes.space.leaves(route.experts));
  if (term && term->nonZero)
    llvm::append_range(row, axes.leaves(term->nonZero->getResult(0), 1));
  llvm::append_range(row, route.sortedRows());
  Axes result;
  for (int axis : leaves)
    if (llvm::is_contained(row, axis))
      result.push_back(axis);
  return result;
}

Axes ExpertsBody::featuresOf(ArrayRef<int> leaves) {
  Axes row = rowsOf(leaves), result;
  for (int axis : leaves)
    if (!llvm::is_contained(row, axis))
      result.push_back(axis);
  return result;
}

Layout ExpertsBody::featureGroups(Value value, ArrayRef<int> without) {
  Layout groups;
  for (int64_t i = 0; i < tensorType(value).getRank(); ++i) {
    Axes group;
    for (int axis : featuresOf(axes.leaves(value, i)))
      if (!llvm::is_contained(without, axis))
        group.push_back(axis);
    if (!group.empty())
      groups.push_back(group);
  }
  return groups;
}

SmallVector<int64_t> ExpertsBody::shapeOf(const Layout &groups, bool rows) {
  SmallVector<int64_t> shape;
  if (rows)
    shape.push_back(ShapedType::kDynamic);
  for (const Axes &group : groups)
    shape.push_back(extent(group));
  return shape;
}

/// The term's value with its features in the dimensions `target`, which holds the same features.
Value ExpertsBody::regroup(const Term &term, const Layout &target) {
  Layout from;
  for (const Axes &group : term.groups)
    from.push_back(axes.space.leaves(group));
  Layout to;
  for (const Axes &group : target)
    to.push_back(axes.space.leaves(group));
  OpBuilder &b = *builder;
  if (axes.space.leaves(from) != axes.space.leaves(to)) {
    // One dimension for each axis, then in the new order.
    Layout single, ordered;
    for (int axis : axes.space.leaves(from))
      single.push_back({axis});
    SmallVector<int64_t> perm;
    if (term.rows)
      perm.push_back(0);
    Axes all = axes.space.leaves(from);
    for (int axis : axes.space.leaves(to)) {
      perm.push_back((llvm::find(all, axis) - all.begin()) + term.rows);
      ordered.push_back({axis});
    }
    Value value = onnxReshape(b, bodyLoc, term.value, shapeOf(single, term.rows));
    value = onnxTranspose(b, bodyLoc, value, perm);
    return onnxReshape(b, bodyLoc, value, shapeOf(to, term.rows));
  }
  return onnxReshape(b, bodyLoc, term.value, shapeOf(to, term.rows));
}

/// The term's value so that it broadcasts to rows and `target`; nullopt if a dimension of `target` holds only some of
/// the axes that the term has.
std::optional<Value> ExpertsBody::broadcast(const Term &term, const Layout &target) {
  if (term.scalar)
    return term.value;
  Axes own = axes.space.leaves(term.groups);
  Layout present;
  SmallVector<int64_t> shape;
  if (term.rows)
    shape.push_back(ShapedType::kDynamic);
  bool missing = false;
  for (const Axes &group : target) {
    size_t count = llvm::count_if(group, [&](int axis) { return llvm::is_contained(own, axis); });
    if (count != 0 && count != group.size())
      return std::nullopt;
    if (count) {
      present.push_back(group);
      shape.push_back(extent(group));
    } else {
      missing = true;
      if (term.rows || !present.empty())
        shape.push_back(1);
    }
  }
  if (axes.space.leaves(present).size() != own.size())
    return std::nullopt;
  Value value = regroup(term, present);
  return missing ? onnxReshape(*builder, bodyLoc, value, shape) : value;
}

//===----------------------------------------------------------------------===//
// Leaves
//===----------------------------------------------------------------------===//

ExpertsBody::Term ExpertsBody::param(ArrayRef<Value> values, Value like, ArrayRef<int> without) {
  auto [it, isNew] = params.try_emplace(like);
  Param &entry = it->second;
  if (isNew) {
    entry.values.assign(values.begin(), values.end());
    entry.groups = featureGroups(like, without);
    entry.argument = body->addArgument(RankedTensorType::get(shapeOf(entry.groups, false), tensorType(like).getElementType()), bodyLoc);
  }
  Term result;
  result.value = entry.argument;
  result.groups = entry.groups;
  return result;
}

std::optional<ExpertsBody::Term> ExpertsBody::evalConstant(Value value) {
  if (term) {
    auto it = term->leaves.find(value);
    if (it != term->leaves.end() && llvm::any_of(it->second, [&](Value v) { return v != it->second.front(); }))
      return param(it->second, value, {});
  } else if (llvm::any_of(axes.leaves(value), [&](int axis) { return llvm::is_contained(axes.space.leaves(route.experts), axis); })) {
    return param({value}, value, {});
  }
  Term result;
  if (!rowsOf(axes.leaves(value)).empty()) {
    fail("a constant with a value a token");
    return std::nullopt;
  }
  for (auto *leaves : runLeaves)
    if (auto it = leaves->find(value); it != leaves->end() && llvm::any_of(it->second, [&](Value v) { return v != it->second.front(); }))
      return param(it->second, value, {});
  bool single = tensorType(value).hasStaticShape() && tensorType(value).getNumElements() == 1;
  if (std::optional<double> number = single && isFloat(value) ? fillOf(value) : std::nullopt) {
    result.value = onnxFloat(*builder, bodyLoc, tensorType(value).getElementType(), *number);
    result.scalar = true;
    result.zeroAtZero = *number == 0;
    return result;
  }
  result.groups = featureGroups(value);
  // Constants and weights may be seen from outside; what is computed from them is computed inside.
  IRMapping mapping;
  std::function<Value(Value)> inside = [&](Value v) -> Value {
    Operation *op = v.getDefiningOp();
    if (isa<GetWeightOp>(op) || op->hasTrait<OpTrait::ConstantLike>())
      return v;
    if (Value known = mapping.lookupOrNull(v))
      return known;
    for (Value operand : op->getOperands())
      if (Value copy = inside(operand); copy != operand)
        mapping.map(operand, copy);
    builder->clone(*op, mapping);
    return mapping.lookup(v);
  };
  result.value = onnxReshape(*builder, bodyLoc, inside(value), shapeOf(result.groups, false));
  return result;
}

/// Rows of x: a value by token that is the same for all experts.
std::optional<ExpertsBody::Term> ExpertsBody::evalX(Value value) {
  Value base = value;
  while (Operation *op = definedBy(base, {"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"})) {
    if (failed(axes.relate(op, reason)))
      return std::nullopt;
    base = op->getOperand(0);
  }
  if (xBase && xBase != base) {
    fail("the experts read two inputs, " + (xBase.getDefiningOp() ? describe(xBase.getDefiningOp()) : "an argument") + " and " +
         (base.getDefiningOp() ? describe(base.getDefiningOp()) : "an argument"));
    return std::nullopt;
  }
  Axes leaves = axes.leaves(base), tokens = route.tokens(), features;
  if (leaves.size() < tokens.size() || !ArrayRef<int>(leaves).take_front(tokens.size()).equals(tokens)) {
    fail("the input of the experts is not by token");
    return std::nullopt;
  }
  features.append(leaves.begin() + tokens.size(), leaves.end());
  if (!axes.space.extent(features).isStatic()) {
    fail("the width of the input of the experts is not constant");
    return std::nullopt;
  }
  if (!xBase) {
    xBase = base;
    body->insertArgument(0u, RankedTensorType::get({ShapedType::kDynamic, extent(features)}, tensorType(base).getElementType()), bodyLoc);
  }
  Term result;
  result.value = body->getArgument(0);
  result.rows = result.isX = result.zeroAtZero = true;
  if (!features.empty())
    result.groups = {features};
  return result;
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

std::optional<ExpertsBody::Term> ExpertsBody::eval(Value value) {
  auto it = terms.find(value);
  if (it != terms.end())
    return it->second;
  std::optional<Term> result = evalNew(value);
  return terms[value] = result;
}

std::optional<ExpertsBody::Term> ExpertsBody::evalNew(Value value) {
  RouteFact fact = route.of(value);
  Operation *op = value.getDefiningOp();
  auto weight = [&]() -> std::optional<Term> {
    Term unit;
    unit.weighted = unit.rows = true;
    if (!featuresOf(axes.leaves(value)).empty()) {
      fail("a routing weight with a value a feature");
      return std::nullopt;
    }
    return unit;
  };
  bool isWeight = term ? fact.kind == RouteKind::Matrix && fact.expert : fact.kind == RouteKind::Weights || (fact.kind == RouteKind::Matrix && !fact.expert);
  if (isWeight)
    return weight();
  if (fact.kind != RouteKind::None) {
    fail("experts multiply by another value of the router than its weights");
    return std::nullopt;
  }
  if (isConstantDerived(value))
    return evalConstant(value);
  if (isParameter(value))
    return param({value}, value, {});
  if (op && isGather(op)) {
    Value data = op->getOperand(0);
    if (route.of(op->getOperand(1)).kind == RouteKind::Indices && !term) {
      int64_t axis = isOnnx(op, {"GatherND"}) ? 0 : axisOf(op, "axis", 0, tensorType(data).getRank());
      if (tensorType(data).getDimSize(axis) != route.numExperts() || fromRoute.contains(data) || hasRowAxis(data, true)) {
        fail(describe(op) + " picks other than one entry an expert");
        return std::nullopt;
      }
      return param({data}, data, axes.leaves(data, axis));
    }
    if (std::optional<Coordinates> at = route.coordinates(op->getOperand(1))) {
      if (at->sort) {
        // A row by its place in the sorted order: of pairs, or of tokens.
        int64_t dim = isOnnx(op, {"GatherND"}) ? 0 : axisOf(op, "axis", 0, tensorType(data).getRank());
        Axes picked = axes.leaves(data, dim), pairs = route.tokens();
        llvm::append_range(pairs, route.slots());
        if (at->dims[0] == 0 && picked == pairs && route.of(data).kind == RouteKind::Weights && axes.leaves(data) == pairs)
          return weight();
        if (at->dims[0] == 1 && dim == 0 && picked == route.tokens() && !fromRoute.contains(data))
          return evalX(data);
        fail(describe(op) + " reads sorted rows of something else than tokens and weights");
        return std::nullopt;
      }
      // Dimensions of the data that the coordinates run over.
      int64_t first = isOnnx(op, {"GatherND"}) ? 0 : axisOf(op, "axis", 0, tensorType(data).getRank());
      Axes picked, masked;
      Value mask = at->nonZero->getOperand(0);
      for (auto [i, dim] : llvm::enumerate(at->dims)) {
        llvm::append_range(picked, axes.leaves(data, first + i));
        llvm::append_range(masked, axes.leaves(mask, dim));
      }
      if (picked != masked && !axes.space.unify(picked, masked)) {
        fail(describe(op) + " reads with coordinates of other dimensions");
        return std::nullopt;
      }
      RouteFact dataFact = route.of(data);
      Axes all = axes.leaves(data);
      if (dataFact.kind == RouteKind::Weights || (dataFact.kind == RouteKind::Matrix && dataFact.expert)) {
        if (axes.space.leaves(picked).size() != all.size()) {
          fail(describe(op) + " reads a routing weight by part of its coordinates");
          return std::nullopt;
        }
        return weight();
      }
      if (fromRoute.contains(data) || axes.space.leaves(picked) != route.tokens()) {
        fail(describe(op) + " reads other than rows of tokens");
        return std::nullopt;
      }
      return evalX(data);
    }
  }
  for (auto &[join, runs] : route.sortedRuns)
    if (value == runs.firstRun)
      return eval(runs.source);
  if (!visited.contains(value) || !op)
    return evalX(value);
  if (auto it = route.sortedRuns.find(op); it != route.sortedRuns.end())
    return eval(it->second.first);
  if (isLayoutOp(op))
    return eval(op->getOperand(0));
  if (isGather(op) && axes.positions(op->getOperand(1)))
    return eval(op->getOperand(0)); // rows repeated
  if (isElementwise(op))
    return evalElementwise(op);
  if (isOnnx(op, {"MatMul", "Gemm", "Einsum"}))
    return evalProduct(op);
  if (isOnnx(op, {"Slice", "Split", "Gather", "Concat"}))
    return evalCut(value);
  if (isOnnx(op, {"ReduceSum", "ReduceMean"}))
    return evalReduction(op);
  if (isOnnx(op, {"ScatterND"})) {
    // Rows added to their tokens: the sum over the slots.
    auto reduction = op->getAttrOfType<StringAttr>("reduction");
    std::optional<Axes> at = axes.positions(op->getOperand(1));
    if (!at)
      if (std::optional<Coordinates> sorted = route.coordinates(op->getOperand(1)); sorted && sorted->sort && sorted->dims[0] == 1 &&
                                                                                     axes.space.unify(axes.layout(op->getOperand(0))[0], route.tokens()))
        at = route.tokens();
    if (at && reduction && reduction.getValue() == "add" && isFilledWith(op->getOperand(0), 0) && axes.space.leaves(*at) == route.tokens())
      if (std::optional<Term> rows = eval(op->getOperand(2)))
        return sumOver(*rows, route.slots());
  }
  fail(describe(op) + " is not understood inside an expert");
  return std::nullopt;
}

std::optional<ExpertsBody::Term> ExpertsBody::evalElementwise(Operation *op) {
  static const llvm::StringSet<> oddAtZero = {"Abs", "Neg", "Relu", "Tanh", "Erf", "Gelu", "Swish", "Elu", "Selu", "Celu", "LeakyRelu",
                                              "HardSwish", "Mish", "Softsign", "Sign", "Floor", "Ceil", "Round", "Sqrt", "Cast",
                                              "Identity", "ms.Gelu", "ms.QuickGelu", "ms.FastGelu"};
  StringRef name = op->getName().stripDialect();
  SmallVector<Term> in;
  for (Value operand : op->getOperands()) {
    std::optional<Term> t = eval(operand);
    if (!t)
      return std::nullopt;
    in.push_back(*t);
  }
  if (llvm::any_of(in, [](const Term &t) { return t.summed; })) {
    fail(describe(op) + " reads a sum over experts");
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
          fail(onInput ? "routing weights multiply something else than the experts' input" : "two routing weights multiply");
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
    fail(describe(op) + " reads a routing weight");
    return std::nullopt;
  }
  bool linear = name == "Mul" || (name == "Div" && !in.back().weighted) || name == "Neg" || name == "Cast" || name == "Identity" ||
                ((name == "Add" || name == "Sub" || name == "Sum") && allWeighted);
  if (anyWeighted && !linear) {
    fail(describe(op) + " is not linear and comes after the routing weight");
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
    out.zeroAtZero = in[0].zeroAtZero && (!low || fillOf(low).value_or(1) <= 0) && (!high || fillOf(high).value_or(-1) >= 0);
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
      fail(describe(op) + " combines features that do not fit");
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
  copy->getResult(0).setType(RankedTensorType::get(shapeOf(out.groups, out.rows), tensorType(op->getResult(0)).getElementType()));
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
    rhs = outer.empty() ? onnxReshape(*builder, bodyLoc, regroup(b, {inner}), {extent(inner), 1}) : regroup(b, {inner, outer});
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
    fail(describe(op) + " has other than two factors");
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
        fail(describe(op) + " sums an axis of one factor");
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
        fail(describe(op) + " adds something else than a bias");
        return std::nullopt;
      }
      if (beta != 0) {
        scale(*c, beta);
        std::optional<Value> shaped = broadcast(*c, result->groups);
        if (!shaped) {
          fail(describe(op) + " adds a bias of other features");
          return std::nullopt;
        }
        result->value = onnxBinary(*builder, bodyLoc, "Add", result->value, *shaped, cast<RankedTensorType>(result->value.getType()));
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
    fail(describe(op) + " takes the mean over experts");
    return std::nullopt;
  }
  if (!features.empty() && !t->value) {
    fail(describe(op) + " sums routing weights");
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
        fail(describe(op) + " joins values of different kinds");
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
    out->value = onnxOp(*builder, bodyLoc, "Concat", RankedTensorType::get(shapeOf(out->groups, out->rows), element), parts,
                        builder->getNamedAttr("axis", builder->getI64IntegerAttr(at)))
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
      fail(describe(op) + " picks several features by index");
      return std::nullopt;
    }
    int64_t at = (*index)[0] < 0 ? (*index)[0] + tensorType(data).getDimSize(axis) : (*index)[0];
    cuts.push_back({axis, at, at + 1, 1});
  } else {
    auto numbers = [&](unsigned i) { return getInput(op, i) ? onnx::getConstantInts(getInput(op, i)) : std::nullopt; };
    std::optional<SmallVector<int64_t>> starts = numbers(1), ends = numbers(2), steps = numbers(4), dims = cutAxes(op);
    if (!starts || !ends || !dims || (getInput(op, 4) && !steps)) {
      fail(describe(op) + " has bounds that are not constant");
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
      fail(describe(op) + " cuts tokens, slots or experts");
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
                    {whole, onnxInts(b, bodyLoc, starts), onnxInts(b, bodyLoc, ends), onnxInts(b, bodyLoc, dims), onnxInts(b, bodyLoc, steps)},
                    b.getNamedAttr("operandSegmentSizes", b.getDenseI32ArrayAttr({1, 1, 1, 1, 1})))
                 ->getResult(0);
  t->groups = featureGroups(value);
  t->value = onnxReshape(b, bodyLoc, t->value, shapeOf(t->groups, t->rows));
  t->isX = false;
  return t;
}

//===----------------------------------------------------------------------===//
// The whole
//===----------------------------------------------------------------------===//

bool ExpertsBody::read(Value sum, bool weightOnInput) {
  onInput = weightOnInput;
  MLIRContext *ctx = route.route.getContext();
  if (!relateAll(sum))
    return false;
  // What is left of the rows of a sum are the tokens.
  if (!term && rowsOf(axes.leaves(sum)) != route.tokens())
    return fail("the experts' results are not summed");
  bodyLoc = sum.getLoc();
  region = std::make_unique<Region>();
  body = new Block;
  region->push_back(body);
  builder.emplace(ctx);
  builder->setInsertionPointToEnd(body);
  std::optional<Term> t = eval(sum);
  if (!t)
    return fail("the sum over experts is not understood");
  result = *t;
  if (!result.value || !result.rows || !xBase)
    return fail("no function of the tokens");
  if (params.empty())
    return fail("no parameters of experts");
  if (result.weighted == onInput)
    return fail(onInput ? "routing weights multiply both ends of the experts" : "the experts' results are not weighted");
  if (!term && !result.summed && !route.slots().empty())
    return fail("the experts' results are not summed");
  if (term && result.summed)
    return fail("a sum within a sum over experts");
  Axes features = featuresOf(axes.leaves(sum));
  if (!axes.space.extent(features).isStatic())
    return fail("the width of the experts' result is not constant");
  Value rows = regroup(result, {features});
  Type element = tensorType(body->getArgument(0)).getElementType();
  rows = onnxCast(*builder, bodyLoc, rows, element);
  YieldOp::create(*builder, bodyLoc, rows);
  // Dead copies (a term read twice) only confuse readers.
  eraseDeadOnnxOps(*body);
  return true;
}

Value ExpertsBody::paramOperand(OpBuilder &b, Location loc, const Param &param) {
  SmallVector<int64_t> shape = shapeOf(param.groups, false);
  int64_t experts = route.numExperts();
  if (param.values.size() > 1) {
    Value stacked = stackWeights(b, loc, param.values);
    if (!stacked) {
      fail("the experts' parameters cannot be stacked");
      return {};
    }
    shape.insert(shape.begin(), experts);
    return onnxReshape(b, loc, stacked, shape);
  }
  Value value = param.values.front();
  Axes all = axes.leaves(value), features = axes.space.leaves(param.groups);
  Axes rest;
  SmallVector<int64_t> expertFirst, single;
  for (auto [i, axis] : llvm::enumerate(all)) {
    single.push_back(axes.space.extent(axis).factor);
    if (!llvm::is_contained(features, axis))
      expertFirst.push_back(i);
  }
  for (auto [i, axis] : llvm::enumerate(all))
    if (llvm::is_contained(features, axis)) {
      expertFirst.push_back(i);
      rest.push_back(axis);
    }
  if (rest != features) {
    fail("a parameter's features are in another order");
    return {};
  }
  SmallVector<int64_t> target = shape;
  target.insert(target.begin(), experts);
  if (isIdentityPermutation(expertFirst))
    return onnxReshape(b, loc, value, target);
  value = onnxReshape(b, loc, value, single);
  value = onnxTranspose(b, loc, value, expertFirst);
  return onnxReshape(b, loc, value, target);
}

Value ExpertsBody::write(OpBuilder &b, Location loc, Value like) {
  SmallVector<Value> operands;
  for (auto &[key, param] : params) {
    Value operand = paramOperand(b, loc, param);
    if (!operand)
      return {};
    operands.push_back(operand);
  }
  auto xType = cast<RankedTensorType>(body->getArgument(0).getType());
  int64_t tokens = tensorType(route.route->getResult(0)).getDimSize(0);
  Value x = onnxReshape(b, loc, xBase, {tokens, xType.getDimSize(1)});
  auto yielded = cast<RankedTensorType>(body->getTerminator()->getOperand(0).getType());
  auto type = RankedTensorType::get({tokens, yielded.getDimSize(1)}, xType.getElementType());
  auto experts = ExpertsOp::create(b, loc, TypeRange{type}, x, route.route->getResult(0), route.route->getResult(1), operands, ValueRange(),
                                   WeightOnAttr::get(b.getContext(), onInput ? WeightOn::Input : WeightOn::Output));
  experts.getBody().takeBody(*region);
  Value y = onnxCast(b, loc, experts->getResult(0), tensorType(like).getElementType());
  RankedTensorType likeType = tensorType(like);
  if (llvm::count_if(likeType.getShape(), ShapedType::isDynamic) <= 1)
    return onnxReshape(b, loc, y, likeType.getShape());
  RankedTensorType base = tensorType(xBase);
  int64_t lead = base.getRank() - 1;
  if (likeType.getRank() >= lead && llvm::none_of(likeType.getShape().drop_front(lead), ShapedType::isDynamic)) {
    Value extents = onnxOp(b, loc, "Shape", RankedTensorType::get({lead}, b.getI64Type()), xBase,
                           {b.getNamedAttr("start", b.getI64IntegerAttr(0)), b.getNamedAttr("end", b.getI64IntegerAttr(lead))})
                        ->getResult(0);
    Value rest = onnxInts(b, loc, likeType.getShape().drop_front(lead));
    Value shape = onnxOp(b, loc, "Concat", RankedTensorType::get({likeType.getRank()}, b.getI64Type()), {extents, rest},
                         b.getNamedAttr("axis", b.getI64IntegerAttr(0)))
                      ->getResult(0);
    return onnxOp(b, loc, "Reshape", likeType, {y, shape})->getResult(0);
  }
  experts->erase();
  fail("the sum over experts has a shape that cannot be restored");
  return {};
}
