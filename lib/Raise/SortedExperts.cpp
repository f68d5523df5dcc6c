//===- SortedExperts.cpp - rows sorted by expert, computed run by run ------===//
//
// Some exporters sort the (token, slot) pairs by expert, cut the sorted rows into one run an expert, and join what each
// expert makes of its run:
//
//   %p = TopK(Reshape(%ids), all, smallest first)           sorted place -> pair
//   %rows = Gather(%x, %p / k);   %r0, %r1, ... = Split(%rows, counts of each expert)
//   %h = Concat(Gemm(%r0, %w0), Gemm(%r1, %w1), ...)        is  rows * w[ids of the row]
//   %y = ScatterND(0, %p / k, %h * weights[%p], add)        is  the sum over the slots
//
// In the axes of a layer the sorted rows are an axis of their own. Here the sort, the counts and the joins are found.
//===----------------------------------------------------------------------===//
#include "OnnxMatch.h"
#include "RouteValues.h"

using namespace mlir;
using namespace mlir::moe;

/// A TopK of all flattened ids, smallest first: a sorting permutation of the (token, slot) pairs.
bool RouteValues::isSort(Operation *op) {
  if (!isOnnx(op, {"TopK"}) || intAttr(op, "largest", 1) != 0 || intAttr(op, "sorted", 1) != 1 ||
      tensorType(op->getOperand(0)).getRank() != 1)
    return false;
  if (of(op->getOperand(0)).kind != RouteKind::Indices)
    return false;
  Axes pairs = tokens();
  llvm::append_range(pairs, slots());
  return axes.leaves(op->getOperand(0)) == axes.space.leaves(pairs) &&
         axes.extentOf(op->getOperand(0), 0) == axes.extentOf(op->getResult(1), 0);
}

/// The integer that `value` is the quotient of, by division that drops the remainder (numbers are not negative): in
/// integers, or in floats with a floor.
std::optional<Value> RouteValues::wholeDivision(Value value, int64_t by) {
  auto divides = [&](Operation *div) {
    std::optional<double> divisor = div ? onnx::getConstantScalar(div->getOperand(1)) : std::nullopt;
    return divisor && *divisor == by;
  };
  if (Operation *div = definedBy(value, {"Div"}); div && !isFloat(value))
    return divides(div) ? std::optional<Value>(div->getOperand(0)) : std::nullopt;
  Operation *cast = definedBy(value, {"Cast"});
  if (!cast || isFloat(value) || !isFloat(cast->getOperand(0)))
    return std::nullopt;
  Value inner = cast->getOperand(0);
  Operation *div = nullptr;
  if (Operation *mul = definedBy(inner, {"Mul"})) { // floor(|q|) * sign(q)
    for (int i : {0, 1}) {
      Operation *floor = definedBy(mul->getOperand(i), {"Floor"}), *sign = definedBy(mul->getOperand(1 - i), {"Sign"});
      Operation *abs = floor ? definedBy(floor->getOperand(0), {"Abs"}) : nullptr;
      if (abs && sign && abs->getOperand(0) == sign->getOperand(0))
        div = definedBy(sign->getOperand(0), {"Div"});
    }
  } else {
    Operation *floor = definedBy(inner, {"Floor"});
    div = definedBy(floor ? floor->getOperand(0) : inner, {"Div"});
  }
  Operation *widened = divides(div) ? definedBy(div->getOperand(0), {"Cast"}) : nullptr;
  if (!widened || isFloat(widened->getOperand(0)))
    return std::nullopt;
  return widened->getOperand(0);
}

/// The expert whose number of rows `value` is; -1: the numbers of all experts, in order.
std::optional<int64_t> RouteValues::countOf(Value value, int depth) {
  Operation *op = value.getDefiningOp();
  if (!op || !isOnnx(op) || depth > 16 || op->getNumOperands() == 0)
    return std::nullopt;
  std::string ignored;
  if (isOnnx(op, {"ReduceSum"})) {
    RouteFact fact = of(op->getOperand(0));
    std::optional<SmallVector<int64_t>> reduced = reducedAxes(op);
    if (!reduced || fact.expert || failed(axes.relate(op, ignored)))
      return std::nullopt;
    Axes summed, expected = tokens();
    for (int64_t dim : *reduced)
      llvm::append_range(summed, axes.leaves(op->getOperand(0), dim));
    if (fact.kind == RouteKind::Indicator)
      llvm::append_range(expected, slots());
    else if (fact.kind != RouteKind::MultiHot)
      return std::nullopt;
    llvm::sort(summed);
    llvm::sort(expected);
    return summed == expected && axes.leaves(value) == axes.space.leaves(experts) ? std::optional<int64_t>(-1)
                                                                                  : std::nullopt;
  }
  if (isOnnx(op, {"Concat"})) {
    for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
      std::optional<int64_t> one = countOf(operand, depth + 1);
      if (!one || *one != static_cast<int64_t>(i))
        return std::nullopt;
    }
    return static_cast<int64_t>(op->getNumOperands()) == numExperts() ? std::optional<int64_t>(-1) : std::nullopt;
  }
  std::optional<int64_t> inner = countOf(op->getOperand(0), depth + 1);
  if (!inner)
    return std::nullopt;
  if (isOnnx(op, {"Cast", "Reshape", "Squeeze", "Unsqueeze", "Identity"}))
    return inner;
  auto isOne = [](Value part) { return tensorType(part).hasStaticShape() && tensorType(part).getNumElements() == 1; };
  if (isOnnx(op, {"Split"})) { // into single numbers
    int64_t part = cast<OpResult>(value).getResultNumber();
    if (!llvm::all_of(op->getResults(), isOne) || (*inner >= 0 && part != 0))
      return std::nullopt;
    return *inner >= 0 ? inner : part;
  }
  std::optional<SmallVector<int64_t>> at;
  if (isOnnx(op, {"Gather", "Slice"}) && isOne(value))
    at = onnx::getConstantInts(getInput(op, 1));
  if (!at || at->size() != 1 || (*at)[0] < 0)
    return std::nullopt;
  if (*inner >= 0)
    return (*at)[0] == 0 ? inner : std::nullopt;
  return (*at)[0];
}

/// Whether `b` makes of run `expert` what `a` makes of run 0, with other constants.
bool RouteValues::matchRun(Value rootA, Value rootB, Operation *split, int64_t expert, SortedRuns &runs) {
  DenseMap<Value, Value> pairs;
  SmallVector<std::pair<Value, Value>> work = {{rootA, rootB}};
  bool reached = false;
  while (!work.empty()) {
    auto [a, b] = work.pop_back_val();
    auto [it, isNew] = pairs.try_emplace(a, b);
    if (!isNew) {
      if (it->second != b)
        return false;
      continue;
    }
    if (a != b)
      runs.differs.insert(a);
    if (a == split->getResult(0)) {
      if (b != split->getResult(expert))
        return false;
      reached = true;
      continue;
    }
    if (isConstantDerived(a)) {
      if (!isConstantDerived(b) || a.getType() != b.getType())
        return false;
      DenseElementsAttr known = onnx::getConstant(a);
      bool equal = known && known == onnx::getConstant(b);
      if (!equal && saysWhere(a))
        return false;
      auto &list = runs.leaves[a];
      list.resize(numExperts(), a);
      list[expert] = equal ? a : b;
      continue;
    }
    Operation *opA = a.getDefiningOp(), *opB = b.getDefiningOp();
    if (!opA || !opB || !isOnnx(opA) || opA->getName() != opB->getName() ||
        opA->getNumOperands() != opB->getNumOperands() || opA->getAttrDictionary() != opB->getAttrDictionary() ||
        pairs.size() > 4096 || cast<OpResult>(a).getResultNumber() != cast<OpResult>(b).getResultNumber())
      return false;
    for (auto [x, y] : llvm::zip(opA->getOperands(), opB->getOperands()))
      work.push_back({x, y});
  }
  return reached;
}

void RouteValues::findSortedRuns(ArrayRef<Operation *> ops) {
  for (Operation *op : ops) {
    if (!sort && isSort(op))
      sort = op;
    if (!sortedRuns.empty())
      axes.carryExtents(op);
    if (!sort || !isOnnx(op, {"Concat"}) || static_cast<int64_t>(op->getNumOperands()) != numExperts() ||
        numExperts() < 2 || axisOf(op, "axis", 0, tensorType(op->getResult(0)).getRank()) != 0)
      continue;
    // Back from the first part to the Split that cuts the runs.
    Operation *split = nullptr;
    SmallVector<Value> back = {op->getOperand(0)};
    DenseSet<Value> seen;
    while (!back.empty() && !split && seen.size() < 1024) {
      Value value = back.pop_back_val();
      Operation *def = value.getDefiningOp();
      if (!def || !isOnnx(def) || !seen.insert(value).second || isConstantDerived(value))
        continue;
      if (isOnnx(def, {"Split"}) && static_cast<int64_t>(def->getNumResults()) == numExperts() &&
          value == def->getResult(0) && axisOf(def, "axis", 0, tensorType(def->getOperand(0)).getRank()) == 0)
        split = def;
      else
        llvm::append_range(back, def->getOperands());
    }
    Value sizes = split ? getInput(split, 1) : Value();
    if (!sizes || countOf(sizes) != -1)
      continue;
    SortedRuns runs;
    runs.source = split->getOperand(0);
    runs.firstRun = split->getResult(0);
    runs.first = op->getOperand(0);
    bool same = true;
    for (int64_t e = 1; e < numExperts() && same; ++e)
      same = matchRun(op->getOperand(0), op->getOperand(e), split, e, runs);
    if (!same)
      continue;
    axes.knowExtent(axes.extentOf(op->getResult(0), 0), axes.extentOf(sort->getResult(1), 0));
    sortedRuns.insert({op, std::move(runs)});
  }
}

Axes RouteValues::sortedRows() {
  Axes rows;
  if (!sort)
    return rows;
  rows = axes.leaves(sort->getResult(1), 0);
  for (auto &[op, runs] : sortedRuns)
    llvm::append_range(rows, axes.leaves(runs.firstRun, 0));
  return rows;
}
