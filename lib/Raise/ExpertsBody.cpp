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

std::string moe::describeNode(Operation *op) {
  return ("'" + op->getName().stripDialect() + "' of node '" + onnx::getNodeName(op) + "'").str();
}

//===----------------------------------------------------------------------===//
// Axes of everything between the sum and the rows of x
//===----------------------------------------------------------------------===//

/// Axes of rows that are those of some experts only, or of all in another order.
SmallVector<int> ExpertsBody::partialRows() {
  SmallVector<int> rows;
  if (term && term->nonZero)
    llvm::append_range(rows, axes.leaves(term->nonZero->getResult(0), 1));
  for (const RouteValues::Bank *bank : banks)
    if (bank->nonZero)
      llvm::append_range(rows, axes.leaves(bank->nonZero->getResult(0), 1));
  llvm::append_range(rows, route.sortedRows());
  return rows;
}

/// Ids of all slots, or of the one whose term is read.
bool ExpertsBody::isIds(Value value) {
  RouteKind kind = route.of(value).kind;
  return term && term->ofSlot ? kind == RouteKind::SlotIndices : kind == RouteKind::Indices;
}

/// Whether all the weight that a token gives an expert may stand for its slots' weights: not where slots choose one expert
/// twice and each of them adds it, nor where what it makes of a sum is no sum.
bool ExpertsBody::mayAddWeights() {
  if (route.distinct)
    return true;
  bool ofPairs =
      term ? term->nonZero && route.of(term->nonZero->getOperand(0)).kind == RouteKind::Indicator : !banks.empty();
  return !ofPairs && !onInput;
}

/// A number that the result of a pair is multiplied by.
bool ExpertsBody::isWeight(Value value) {
  RouteFact fact = route.of(value);
  if (term && term->ofSlot) {
    // Of one expert as well: its own rows have the slot's weight, all rows have it where the slot picks the expert.
    bool ofPicked = !term->ofExpert || term->nonZero;
    return (fact.kind == RouteKind::SlotWeights && ofPicked) ||
           (fact.kind == RouteKind::SlotSpread && fact.expert && term->ofExpert);
  }
  if (term)
    return fact.kind == RouteKind::Matrix && fact.expert && mayAddWeights();
  return fact.kind == RouteKind::Weights ||
         (fact.kind == RouteKind::Matrix && mayAddWeights() && (!fact.expert || isPartOfBank(value)));
}

bool ExpertsBody::isPartOfBank(Value value) {
  return llvm::any_of(banks, [value](const RouteValues::Bank *bank) { return bank->differs.contains(value); });
}

bool ExpertsBody::hasRowAxis(Value value, bool tokensToo) {
  if (!isa<RankedTensorType>(value.getType()))
    return false;
  Axes row = route.slots();
  llvm::append_range(row, axes.space.leaves(route.experts));
  llvm::append_range(row, partialRows());
  if (tokensToo)
    llvm::append_range(row, route.tokens());
  return llvm::any_of(axes.leaves(value), [&](int axis) { return llvm::is_contained(row, axis); });
}

/// An entry for each expert that no token has a say in.
bool ExpertsBody::isParameter(Value value) {
  if (ofExpert() || fromRoute.contains(value) || !tensorType(value).hasStaticShape())
    return false;
  Axes leaves = axes.leaves(value), experts = axes.space.leaves(route.experts);
  return llvm::any_of(leaves, [&](int axis) { return llvm::is_contained(experts, axis); }) &&
         rowsOf(leaves).size() == experts.size();
}

bool ExpertsBody::needsReading(Value value) {
  if (term && (ofExpert() || term->differs.contains(value)))
    return term->differs.contains(value);
  return fromRoute.contains(value) || hasRowAxis(value) || isPartOfBank(value);
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

/// What holds all experts has the features of what one of them makes.
bool ExpertsBody::relateBank(Operation *op, const RouteValues::Bank &bank) {
  std::string why;
  Value result = op->getResult(0);
  if (isOnnx(op, {"Where"})) {
    for (Operation *where : bank.chain)
      if (failed(axes.relate(where, why)))
        return false;
    return true;
  }
  Layout whole = axes.layout(result), first = axes.layout(bank.first);
  if (bank.axis >= 0) {
    for (size_t i = 0; i < whole.size(); ++i)
      if (static_cast<int64_t>(i) != bank.axis && !axes.space.unify(whole[i], first[i]))
        return false;
    route.showExperts(result, bank.axis);
    return true;
  }
  // Row n of the updates is written to the pair that column n of the places names.
  std::optional<Coordinates> at = route.coordinates(op->getOperand(1));
  Layout pairs = axes.layout(bank.nonZero->getOperand(0));
  size_t counted = at->linear ? 1 : pairs.size();
  if (at->linear)
    pairs = {axes.leaves(bank.nonZero->getOperand(0))};
  if (whole.size() < counted || first.size() != whole.size() - counted + 1 ||
      !axes.space.unify(first[0], axes.layout(bank.nonZero->getResult(0))[1]))
    return false;
  for (size_t i = 0; i < whole.size(); ++i)
    if (!axes.space.unify(whole[i], i < counted ? pairs[i] : first[i - counted + 1]))
      return false;
  return true;
}

/// Operands that carry elements, as opposed to shapes and places.
SmallVector<Value> ExpertsBody::operandsOf(Operation *op) {
  if (const RouteValues::Bank *bank = bankOf(op))
    return {bank->first};
  if (auto it = route.sortedRuns.find(op); it != route.sortedRuns.end())
    return {it->second.source, it->second.first};
  if (isElementwise(op) || isa<RmsNormOp>(op) || isOnnx(op, {"MatMul", "Gemm", "Einsum", "Concat"}))
    return SmallVector<Value>(op->getOperands());
  if (isOnnx(op, {"ScatterND"}))
    return {op->getOperand(2)};
  return {op->getOperand(0)};
}

bool moe::isGather(Operation *op) { return isOnnx(op, {"Gather", "GatherND", "GatherElements"}); }

/// A gather by the coordinates of an expert's tokens: its rows are the columns of the NonZero.
bool ExpertsBody::relateCoordinates(Operation *gather) {
  std::optional<Coordinates> at = route.coordinates(gather->getOperand(1));
  auto listsRows = [&](const RouteValues::Bank *bank) { return bank->nonZero == at->nonZero; };
  if (!term && at->nonZero && llvm::none_of(banks, listsRows))
    return fail(describeNode(gather) + " reads rows that are not those of one expert");
  if (failed(axes.relate(gather, reason)))
    return fail("");
  Axes rows = route.rowsOf(*at);
  Value data = gather->getOperand(0);
  int64_t rank = tensorType(data).getRank(), first = isOnnx(gather, {"GatherND"}) ? 0 : axisOf(gather, "axis", 0, rank);
  if (!at->linear && first + static_cast<int64_t>(at->dims.size()) > rank)
    return fail(describeNode(gather) + " reads with coordinates of other dimensions");
  if (at->sort) {
    // The places count over the picked dimension.
    Axes counted = route.tokens();
    if (at->dims[0] == 0)
      llvm::append_range(counted, route.slots());
    if (!axes.space.unify(axes.layout(data)[first], counted))
      return fail("the places of " + describeNode(gather) + " count other rows");
  }
  if (!term && at->nonZero) {
    // Those of a mask count over its dimensions.
    Value mask = at->nonZero->getOperand(0);
    Axes counted, whole = axes.layout(data)[first];
    for (auto [i, dim] : llvm::enumerate(at->dims)) {
      Axes of = axes.leaves(mask, dim);
      if (!at->linear && !axes.space.unify(axes.layout(data)[first + i], of))
        return fail("the places of " + describeNode(gather) + " count other rows");
      llvm::append_range(counted, of);
    }
    if (at->linear && !axes.space.unify(whole, counted))
      return fail("the places of " + describeNode(gather) + " count other rows");
  }
  Layout index = axes.layout(gather->getOperand(1));
  if (isOnnx(gather, {"GatherND"}))
    index.pop_back();
  if (isOnnx(gather, {"GatherElements"}))
    index.resize(1);
  for (Axes &dim : index)
    if (!dim.empty() && !axes.space.unify(dim, rows))
      return fail("the coordinates of " + describeNode(gather) + " have other rows");
  return true;
}

bool ExpertsBody::relateAll(Value sum) {
  SmallVector<Operation *> ops;
  SmallVector<Value> read; // no leaves
  auto take = [&](Value value) {
    if (!visited.insert(value).second)
      return true;
    if (llvm::any_of(route.sortedRuns, [&](auto &entry) { return entry.second.firstRun == value; }))
      return true; // stands for the rows that were cut
    numOps = ops.size();
    if (visited.size() > 4096)
      return fail("more than 4096 values belong to one expert");
    Operation *op = value.getDefiningOp();
    if (!op || route.of(value).kind != RouteKind::None || isConstantDerived(value) || isParameter(value))
      return true;
    if (auto norm = dyn_cast<RmsNormOp>(op)) {
      read.push_back(value);
      ops.push_back(op);
      return relateNorm(norm);
    }
    if (!isOnnx(op))
      return fail("'" + op->getName().getStringRef() + "' is no ONNX node");
    read.push_back(value);
    std::string why;
    if (const RouteValues::Bank *bank = bankOf(op)) {
      if (!llvm::is_contained(banks, bank)) {
        banks.push_back(bank);
        leafLists.insert(&bank->leaves);
      }
      ops.push_back(op);
      return relateBank(op, *bank) || fail(describeNode(op) + ": the experts' results do not fit together");
    }
    if (isGather(op)) {
      if (isIds(op->getOperand(1))) {
        Value data = op->getOperand(0);
        if (failed(axes.relate(op, reason)))
          return false;
        int64_t axis = axisOf(op, "axis", 0, tensorType(data).getRank());
        if (!term && isOnnx(op, {"GatherElements"}) && !isConstantDerived(data) && !isParameter(data) &&
            tensorType(data).getDimSize(axis) == route.numExperts()) {
          route.showExperts(data, axis); // what all experts make
          ops.push_back(op);
        }
        return true;
      }
      if (route.coordinates(op->getOperand(1))) {
        if (!term)
          ops.push_back(op);
        return relateCoordinates(op);
      }
    }
    // Rows that are written one set after the other end here: walking on would read the chain once for each of its ops.
    if (isOnnx(op, {"ScatterND"}) && (reductionOf(op) != "add" || !isFilledWith(op->getOperand(0), 0)))
      return fail(describeNode(op) + " is not understood inside an expert");
    if (route.sortedRuns.count(op) ? !relateRuns(op) : failed(axes.relate(op, why)))
      return fail(describeNode(op) + (why.empty() ? "" : ": " + why));
    ops.push_back(op);
    if (isOnnx(op, {"ScatterND"}))
      if (std::optional<Coordinates> at = route.coordinates(op->getOperand(1)); at && at->sort && at->dims[0] == 1)
        axes.space.unify(axes.layout(op->getOperand(0))[0], route.tokens());
    if (auto it = route.sortedRuns.find(op); it != route.sortedRuns.end())
      leafLists.insert(&it->second.leaves);
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
  return keepsTermsApart(read);
}

/// Whether `result`, which is the same for all terms, reads an operand of one of them: what a certain expert makes, or
/// the router's values of one expert or slot.
bool ExpertsBody::readsOneTerm(Value result, Value operand) {
  using Leaves = DenseMap<Value, SmallVector<Value>>;
  bool isOne = false, inTerm = false, together = false;
  auto look = [&](const DenseSet<Value> &differs, const Leaves &leaves) {
    auto leaf = leaves.find(operand);
    bool one = differs.contains(operand) && (leaf == leaves.end() || !llvm::all_equal(leaf->second));
    bool here = differs.contains(result);
    isOne |= one;
    inTerm |= here;
    together |= one && here;
  };
  if (term)
    look(term->differs, term->leaves);
  for (const RouteValues::Bank *bank : banks)
    look(bank->differs, bank->leaves);
  for (auto &[join, runs] : route.sortedRuns)
    if (visited.contains(join->getResult(0)))
      look(runs.differs, runs.leaves);
  std::optional<Coordinates> at = route.coordinates(operand);
  RouteFact fact = at && at->nonZero ? route.maskOf(*at) : route.of(operand);
  return (isOne && !together) || ((fact.expert || fact.slot) && !inTerm);
}

/// One function stands for all terms, so what lies outside of them may not read the values of one.
bool ExpertsBody::keepsTermsApart(ArrayRef<Value> read) {
  if (!term && banks.empty() && route.sortedRuns.empty())
    return true;
  for (Value value : read) {
    Operation *op = value.getDefiningOp();
    if (bankOf(op) || route.sortedRuns.count(op))
      continue;
    SmallVector<Value> operands = operandsOf(op);
    if (isGather(op) || isOnnx(op, {"ScatterND"}))
      operands.push_back(op->getOperand(1));
    for (Value operand : operands)
      if (readsOneTerm(value, operand))
        return fail(describeNode(op) + " is part of all experts and reads what belongs to one");
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Features: axes that are neither rows nor experts
//===----------------------------------------------------------------------===//

Axes ExpertsBody::rowsOf(ArrayRef<int> leaves) {
  Axes row = route.slots();
  llvm::append_range(row, route.tokens());
  llvm::append_range(row, axes.space.leaves(route.experts));
  llvm::append_range(row, partialRows());
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
    entry.argument = body->addArgument(
        RankedTensorType::get(shapeOf(entry.groups, false), tensorType(like).getElementType()), bodyLoc);
  }
  Term result;
  result.value = entry.argument;
  result.groups = entry.groups;
  return result;
}

std::optional<ExpertsBody::Term> ExpertsBody::evalConstant(Value value) {
  bool perToken = !rowsOf(axes.leaves(value)).empty();
  if (ofExpert() && !perToken) {
    auto it = term->leaves.find(value);
    if (it != term->leaves.end() && llvm::any_of(it->second, [&](Value v) { return v != it->second.front(); }))
      return param(it->second, value, {});
  } else if (!ofExpert() && llvm::any_of(axes.leaves(value), [&](int axis) {
               return llvm::is_contained(axes.space.leaves(route.experts), axis);
             })) {
    return param({value}, value, {});
  }
  if (perToken) {
    fail("a constant with a value a token");
    return std::nullopt;
  }
  Term result;
  const SmallVector<Value> *ofExperts = nullptr;
  for (auto *leaves : leafLists)
    if (auto it = leaves->find(value); it != leaves->end()) {
      if (ofExperts && *ofExperts != it->second) {
        fail("a parameter of one expert stands for two others");
        return std::nullopt;
      }
      ofExperts = &it->second;
    }
  if (ofExperts && !llvm::all_equal(*ofExperts))
    return param(*ofExperts, value, {});
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
    fail("the experts read two inputs, " +
         (xBase.getDefiningOp() ? describeNode(xBase.getDefiningOp()) : "an argument") + " and " +
         (base.getDefiningOp() ? describeNode(base.getDefiningOp()) : "an argument"));
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
    body->insertArgument(
        0u, RankedTensorType::get({ShapedType::kDynamic, extent(features)}, tensorType(base).getElementType()),
        bodyLoc);
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
  if (isWeight(value))
    return weight();
  if (fact.kind != RouteKind::None) {
    fail("experts multiply by another value of the router than its weights");
    return std::nullopt;
  }
  if (isConstantDerived(value))
    return evalConstant(value);
  if (isParameter(value))
    return param({value}, value, {});
  if (op && isGather(op) && visited.contains(value)) {
    Value data = op->getOperand(0);
    if (isIds(op->getOperand(1)) && !ofExpert()) {
      int64_t axis = isOnnx(op, {"GatherND"}) ? 0 : axisOf(op, "axis", 0, tensorType(data).getRank());
      if (isOnnx(op, {"GatherElements"}) && visited.contains(data) && route.isExpertDim(data, axis)) {
        // Of all experts' results those of the pairs' experts.
        std::optional<Term> all = eval(data);
        if (all && all->weighted && !route.distinct) {
          fail(describeNode(op) + " weighs an expert by all slots that chose it, for each of them");
          return std::nullopt;
        }
        return all;
      }
      if (tensorType(data).getDimSize(axis) != route.numExperts() || fromRoute.contains(data) ||
          hasRowAxis(data, true)) {
        fail(describeNode(op) + " picks other than one entry an expert");
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
        if (at->dims[0] == 0 && picked == pairs && route.of(data).kind == RouteKind::Weights &&
            axes.leaves(data) == pairs)
          return weight();
        if (at->dims[0] == 1 && dim == 0 && picked == route.tokens() && !fromRoute.contains(data))
          return evalX(data);
        fail(describeNode(op) + " reads sorted rows of something else than tokens and weights");
        return std::nullopt;
      }
      // Dimensions of the data that the coordinates run over.
      int64_t first = isOnnx(op, {"GatherND"}) ? 0 : axisOf(op, "axis", 0, tensorType(data).getRank());
      Axes picked, masked;
      Value mask = at->nonZero->getOperand(0);
      for (auto [i, dim] : llvm::enumerate(at->dims)) {
        if (i == 0 || !at->linear)
          llvm::append_range(picked, axes.leaves(data, first + i));
        llvm::append_range(masked, axes.leaves(mask, dim));
      }
      RouteFact dataFact = route.of(data);
      if (picked != masked && !axes.space.unify(picked, masked)) {
        fail(describeNode(op) + " reads with coordinates of other dimensions");
        return std::nullopt;
      }
      Axes all = axes.leaves(data);
      if (term && term->ofSlot ? isWeight(data)
                               : dataFact.kind == RouteKind::Weights ||
                                     (dataFact.kind == RouteKind::Matrix && dataFact.expert && mayAddWeights())) {
        if (axes.space.leaves(picked).size() != all.size()) {
          fail(describeNode(op) + " reads a routing weight by part of its coordinates");
          return std::nullopt;
        }
        return weight();
      }
      Axes pairs = route.tokens();
      llvm::append_range(pairs, route.slots());
      if (!term && visited.contains(data) && axes.space.leaves(picked) == pairs)
        return eval(data); // tokens, repeated for each slot
      if (fromRoute.contains(data) || axes.space.leaves(picked) != route.tokens()) {
        fail(describeNode(op) + " reads other than rows of tokens");
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
  if (const RouteValues::Bank *bank = bankOf(op)) {
    std::optional<Term> one = eval(bank->first);
    if (one && (one->summed || featuresOf(axes.leaves(bank->first)) != featuresOf(axes.leaves(value)))) {
      fail(describeNode(op) + " repeats what the experts make");
      return std::nullopt;
    }
    return one;
  }
  if (auto it = route.sortedRuns.find(op); it != route.sortedRuns.end())
    return eval(it->second.first);
  if (auto norm = dyn_cast<RmsNormOp>(op))
    return evalNorm(norm);
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
    std::optional<Axes> at = axes.positions(op->getOperand(1));
    if (!at)
      if (std::optional<Coordinates> sorted = route.coordinates(op->getOperand(1));
          sorted && sorted->sort && sorted->dims[0] == 1 &&
          axes.space.unify(axes.layout(op->getOperand(0))[0], route.tokens()))
        at = route.tokens();
    if (at && reductionOf(op) == "add" && isFilledWith(op->getOperand(0), 0) &&
        axes.space.leaves(*at) == route.tokens())
      if (std::optional<Term> rows = eval(op->getOperand(2)))
        return sumOver(*rows, route.slots());
  }
  fail(describeNode(op) + " is not understood inside an expert");
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// The whole
//===----------------------------------------------------------------------===//

bool ExpertsBody::read(Value sum, bool weightOnInput) {
  onInput = weightOnInput;
  MLIRContext *ctx = route.route.getContext();
  if (!relateAll(sum))
    return false;
  // What is left of the rows of a sum are the tokens, and a token's features lie side by side.
  Axes all = axes.leaves(sum), rows = rowsOf(all);
  if (!term && rows != route.tokens())
    return fail("the experts' results are not summed");
  if (term && !term->nonZero && rows != route.tokens())
    return fail("the terms of the sum are not by token");
  if (!ArrayRef<int>(all).take_front(rows.size()).equals(rows))
    return fail("the tokens of the experts' results are not in the leading dimensions");
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
  if (route.mixesAxes())
    return fail("tokens, slots and experts are not told apart");
  if (!result.value || !result.rows || !xBase)
    return fail("no function of the tokens");
  if (params.empty() && !ofExpert())
    return fail("no parameters of experts");
  if (result.weighted == onInput)
    return fail(onInput ? "routing weights multiply both ends of the experts"
                        : "the experts' results are not weighted");
  if (!term && !result.summed && !route.slots().empty())
    return fail("the experts' results are not summed");
  // A term that runs over all tokens runs over those of other experts too, with a weight of 0.
  if (ofExpert() && !term->nonZero && onInput && !result.zeroAtZero)
    return fail("experts that a token did not choose add something to its sum");
  if (term && result.summed)
    return fail("a sum within a sum over experts");
  Axes features = featuresOf(axes.leaves(sum));
  if (!axes.space.extent(features).isStatic())
    return fail("the width of the experts' result is not constant");
  Value summed = regroup(result, {features});
  Type element = tensorType(body->getArgument(0)).getElementType();
  summed = onnxCast(*builder, bodyLoc, summed, element);
  YieldOp::create(*builder, bodyLoc, summed);
  // Dead copies (a term read twice) only confuse readers.
  eraseDeadOnnxOps(*body);
  return true;
}

Value ExpertsBody::paramOperand(OpBuilder &b, Location loc, const Param &param) {
  SmallVector<int64_t> shape = shapeOf(param.groups, false);
  int64_t experts = param.values.size() > 1 ? param.values.size() : route.numExperts();
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

bool ExpertsBody::isIdentity() {
  return params.empty() && result.isX && body->getTerminator()->getOperand(0) == body->getArgument(0);
}

/// `y` [tokens, features] in the shape of the sum `like`; null (with a reason) if that is none of the tokens.
Value ExpertsBody::likeSum(OpBuilder &b, Location loc, Value y, Value like) {
  y = onnxCast(b, loc, y, tensorType(like).getElementType());
  RankedTensorType likeType = tensorType(like);
  if (llvm::count_if(likeType.getShape(), ShapedType::isDynamic) <= 1)
    return onnxReshape(b, loc, y, likeType.getShape());
  RankedTensorType base = tensorType(xBase);
  int64_t lead = base.getRank() - 1;
  if (likeType.getRank() < lead || llvm::any_of(likeType.getShape().drop_front(lead), ShapedType::isDynamic)) {
    fail("the sum over experts has a shape that cannot be restored");
    return {};
  }
  Value extents =
      onnxOp(b, loc, "Shape", RankedTensorType::get({lead}, b.getI64Type()), xBase,
             {b.getNamedAttr("start", b.getI64IntegerAttr(0)), b.getNamedAttr("end", b.getI64IntegerAttr(lead))})
          ->getResult(0);
  Value rest = onnxInts(b, loc, likeType.getShape().drop_front(lead));
  Value shape = onnxOp(b, loc, "Concat", RankedTensorType::get({likeType.getRank()}, b.getI64Type()), {extents, rest},
                       b.getNamedAttr("axis", b.getI64IntegerAttr(0)))
                    ->getResult(0);
  return onnxOp(b, loc, "Reshape", likeType, {y, shape})->getResult(0);
}

Value ExpertsBody::write(OpBuilder &b, Location loc, Value like) {
  if (params.empty() && !isIdentity()) {
    fail("no parameters of experts");
    return {};
  }
  SmallVector<Value> operands;
  for (auto &[key, param] : params) {
    Value operand = paramOperand(b, loc, param);
    if (!operand)
      return {};
    operands.push_back(operand);
  }
  auto xType = cast<RankedTensorType>(body->getArgument(0).getType());
  RankedTensorType pairs = tensorType(route.route->getResult(0));
  int64_t tokens = pairs.getDimSize(0);
  Value x = onnxReshape(b, loc, xBase, {tokens, xType.getDimSize(1)});
  Value weights = route.weights, ids = route.route->getResult(1);
  if (weights != route.route->getResult(0))
    weights = onnxCast(b, loc, onnxReshape(b, loc, weights, pairs.getShape()), b.getF32Type());
  if (term && !term->experts.empty()) {
    // Experts by their place among those that have a term. A slot of another one has weight 0.
    SmallVector<int64_t> place(route.numExperts(), 0), has(route.numExperts(), 0);
    for (auto [i, expert] : llvm::enumerate(term->experts)) {
      place[expert] = i;
      has[expert] = 1;
    }
    auto lookUp = [&](ArrayRef<int64_t> table) {
      return onnxOp(b, loc, "Gather", tensorType(ids), {onnxInts(b, loc, table), ids},
                    b.getNamedAttr("axis", b.getI64IntegerAttr(0)))
          ->getResult(0);
    };
    Value kept = onnxCast(b, loc, lookUp(has), b.getI1Type());
    weights = onnxOp(b, loc, "Where", pairs, {kept, weights, onnxFloat(b, loc, b.getF32Type(), 0)})->getResult(0);
    if (!params.empty())
      ids = lookUp(place);
  }
  if (params.empty()) {
    auto column = RankedTensorType::get({tokens, 1}, b.getF32Type());
    Value sum = onnxOp(b, loc, "ReduceSum", column, {weights, onnxInts(b, loc, {1})},
                       b.getNamedAttr("keepdims", b.getI64IntegerAttr(1)))
                    ->getResult(0);
    x = onnxCast(b, loc, x, b.getF32Type());
    return likeSum(b, loc, onnxBinary(b, loc, "Mul", x, sum, tensorType(x)), like);
  }
  auto yielded = cast<RankedTensorType>(body->getTerminator()->getOperand(0).getType());
  auto type = RankedTensorType::get({tokens, yielded.getDimSize(1)}, xType.getElementType());
  auto experts = ExpertsOp::create(b, loc, TypeRange{type}, x, weights, ids, operands, ValueRange(),
                                   WeightOnAttr::get(b.getContext(), onInput ? WeightOn::Input : WeightOn::Output));
  experts.getBody().takeBody(*region);
  Value y = likeSum(b, loc, experts->getResult(0), like);
  if (!y)
    experts->erase();
  return y;
}
