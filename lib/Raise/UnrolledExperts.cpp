//===- UnrolledExperts.cpp - a sum with one term for each expert ----------===//
#include "UnrolledExperts.h"
#include "OnnxMake.h"
#include "OnnxMatch.h"
#include "StackWeights.h"

#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;
using namespace mlir::moe;

/// A user that asks for nothing but the extents of a value, or of its first entry.
static bool readsExtents(Operation *user) {
  return isOnnx(user, {"Shape"}) ||
         (isOnnx(user, {"Slice"}) && llvm::all_of(user->getUsers(), [](Operation *u) { return isOnnx(u, {"Shape"}); }));
}
static bool hasOneReader(Value value) {
  return llvm::count_if(value.getUses(), [](OpOperand &use) { return !readsExtents(use.getOwner()); }) == 1;
}

/// y of out[rows] = out[rows] + y; null for other writes.
Value UnrolledExperts::addedToRead(Operation *scatter) {
  Operation *add = reductionOf(scatter) == "none" ? definedBy(scatter->getOperand(2), {"Add"}) : nullptr;
  for (int i : {0, 1}) {
    Operation *gather = add ? definedBy(add->getOperand(i), {"Gather", "GatherND", "GatherElements"}) : nullptr;
    if (!gather || gather->getOperand(0) != scatter->getOperand(0))
      continue;
    // Both count along dimension 0, or both in the same manner.
    bool elements = isOnnx(gather, {"GatherElements"});
    if (elements != isOnnx(scatter, {"ScatterElements"}) ||
        (elements && axisOf(gather, "axis", 0, 2) != axisOf(scatter, "axis", 0, 2)) ||
        (isOnnx(gather, {"GatherND"}) && intAttr(gather, "batch_dims", 0) != 0))
      continue;
    Value from = gather->getOperand(1), to = scatter->getOperand(1);
    bool same = from == to;
    // Rows by their number, whether [n] or [n, 1].
    bool ofRows = isOnnx(gather, {"GatherND"}) ||
                  (isOnnx(gather, {"Gather"}) && axisOf(gather, "axis", 0, 1) == 0 && tensorType(from).getRank() == 1);
    if (!same && ofRows && isOnnx(scatter, {"ScatterND"})) {
      std::optional<Coordinates> read = route.coordinates(from), written = route.coordinates(to);
      auto inOneDim = [&](Value at) {
        return tensorType(at).getRank() == 1 || (tensorType(at).getRank() == 2 && tensorType(at).getDimSize(1) == 1);
      };
      same = read && written && read->nonZero && read->nonZero == written->nonZero && !read->linear &&
             !written->linear && read->dims == written->dims &&
             (read->dims.size() > 1 || (inOneDim(from) && inOneDim(to)));
    }
    // What is added may not be one number for several features.
    RankedTensorType type = tensorType(add->getResult(0)), rows = tensorType(add->getOperand(1 - i));
    if (same && rows.getRank() == type.getRank() && rows.getShape().drop_front() == type.getShape().drop_front())
      return add->getOperand(1 - i);
  }
  return {};
}

/// The accumulator is read by the scatter alone (and by its own gather).
static bool isReadBy(Value data, Operation *scatter) {
  return llvm::all_of(data.getUsers(), [scatter](Operation *user) {
    return user == scatter || isOnnx(user, {"Gather", "GatherND", "GatherElements", "Shape"});
  });
}

bool UnrolledExperts::isAccumulation(Operation *op) {
  if (isOnnx(op, {"Add", "Sum"}))
    return true;
  if (!isOnnx(op, {"ScatterND", "ScatterElements"}) || !route.coordinates(op->getOperand(1)) ||
      !route.coordinates(op->getOperand(1))->nonZero)
    return false;
  // The rows of one expert are different tokens: they are added where they are written to zeros, or to what was read
  // there.
  return reductionOf(op) == "add" ||
         (route.distinct && (addedToRead(op) || (reductionOf(op) == "none" && isFilledWith(op->getOperand(0), 0))));
}

/// Slice of the first entry along dimension 0 (of none if there is none).
static bool isFirstRow(Operation *slice) {
  std::optional<SmallVector<int64_t>> along = cutAxes(slice), starts = onnx::getConstantInts(getInput(slice, 1)),
                                      ends = onnx::getConstantInts(getInput(slice, 2));
  Value steps = getInput(slice, 4);
  std::optional<SmallVector<int64_t>> by =
      steps ? onnx::getConstantInts(steps) : SmallVector<int64_t>(along ? along->size() : 0, 1);
  if (!along || !starts || !ends || !by)
    return false;
  size_t place = llvm::find(*along, 0) - along->begin();
  return place < along->size() && (*starts)[place] == 0 && (*ends)[place] == 1 && (*by)[place] == 1;
}

/// The rows that `scatter` adds, without an Expand to the extents of data[0:1]: these are 1 and the width, or there are no
/// rows to add to.
Value UnrolledExperts::addedRows(Operation *scatter) {
  Value rows = addedToRead(scatter) ? addedToRead(scatter) : scatter->getOperand(2);
  Operation *expand = definedBy(rows, {"Expand"});
  Operation *shape = expand ? definedBy(expand->getOperand(1), {"Shape"}) : nullptr;
  Operation *slice = shape ? definedBy(shape->getOperand(0), {"Slice"}) : nullptr;
  if (!slice || !isFirstRow(slice) || intAttr(shape, "start", 0) != 0)
    return rows;
  RankedTensorType type = tensorType(rows), before = tensorType(expand->getOperand(0));
  bool sameWidth = type.getRank() == before.getRank() &&
                   before.getShape().drop_front() == type.getShape().drop_front() &&
                   llvm::none_of(type.getShape().drop_front(), ShapedType::isDynamic);
  if (!sameWidth ||
      !axes.shapeFacts().equal(axes.extentOf(slice->getOperand(0), 0), axes.extentOf(scatter->getOperand(0), 0)))
    return rows;
  return expand->getOperand(0);
}

void UnrolledExperts::flatten(Value root, bool) {
  SmallVector<std::pair<Value, bool>> stack = {{root, true}};
  while (!stack.empty()) {
    Value value = stack.back().first;
    bool outermost = stack.pop_back_val().second;
    Operation *op = value.getDefiningOp();
    if (isFilledWith(value, 0) && value.getType() == root.getType())
      continue;
    if (!fromRoute.contains(value)) {
      others.push_back(value);
      continue;
    }
    if (!op || !isAccumulation(op) || (!outermost && !hasOneReader(value))) {
      summands.push_back({value, nullptr});
      continue;
    }
    if (isOnnx(op, {"Add", "Sum"})) {
      // What is added last may be broadcast, what is accumulated may not.
      bool broadcasts = llvm::any_of(op->getOperands(), [&](Value operand) {
        return operand.getType() != value.getType() && (!outermost || fromRoute.contains(operand));
      });
      if (broadcasts) {
        summands.push_back({value, nullptr});
        continue;
      }
      for (Value operand : llvm::reverse(op->getOperands()))
        stack.push_back({operand, false});
      continue;
    }
    summands.push_back({addedRows(op), op});
    Value data = op->getOperand(0);
    if (isReadBy(data, op) && data.getDefiningOp() && isAccumulation(data.getDefiningOp()) &&
        fromRoute.contains(data) && !data.hasOneUse()) {
      // walk on although the gather uses it as well
      Operation *inner = data.getDefiningOp();
      if (isOnnx(inner, {"ScatterND", "ScatterElements"})) {
        stack.push_back({data, true});
        continue;
      }
    }
    stack.push_back({data, false});
  }
}

/// The scatters of a chain that `op` ends and that nothing else is added to; nullopt for other sums. Asked in program
/// order, each costs one step: a chain is not walked once for each of its ops.
std::optional<int64_t> UnrolledExperts::chainLength(Operation *op) {
  auto [known, isNew] = chains.try_emplace(op);
  if (!isNew || !isOnnx(op, {"ScatterND", "ScatterElements"}))
    return known->second;
  Value data = op->getOperand(0);
  Operation *inner = data.getDefiningOp();
  std::optional<int64_t> length;
  if (!fromRoute.contains(data) || isFilledWith(data, 0))
    length = 1;
  else if (inner && isAccumulation(inner) && (hasOneReader(data) || isReadBy(data, op)))
    if (std::optional<int64_t> before = chainLength(inner))
      length = *before + 1;
  return chains[op] = length;
}

bool UnrolledExperts::isSum(Operation *op) {
  reason.clear();
  isPartial = false;
  if (!isFloat(op->getResult(0)) || !isAccumulation(op))
    return false;
  int64_t experts = route.numExperts(), slots = tensorType(route.route->getResult(0)).getDimSize(1);
  auto isWhole = [&](int64_t count) {
    return count > 1 && (count == experts || count == slots || count == experts * slots);
  };
  if (std::optional<int64_t> length = chainLength(op); length && !isWhole(*length)) {
    // Some experts may have no term. Only the last op of a chain is asked for these.
    bool goesOn = llvm::any_of(op->getResult(0).getUsers(), [&](Operation *user) {
      return isAccumulation(user) && isReadBy(op->getResult(0), user);
    });
    if (*length < 2 || *length > experts || goesOn)
      return false;
  }
  // Only the last op of a chain.
  Value result = op->getResult(0);
  for (Operation *user : result.getUsers())
    if (isAccumulation(user) && hasOneReader(result) && user->getBlock() == op->getBlock() &&
        user->getResult(0).getType() == result.getType())
      return false;
  summands.clear();
  others.clear();
  flatten(result, true);
  int64_t count = summands.size();
  if (count > 1 && (count == experts || count == experts * slots))
    return true;
  if (count < 2 || (count > experts && count != slots))
    return false;
  DenseSet<int64_t> seen;
  isPartial = llvm::all_of(summands, [&](const Summand &summand) {
    DenseSet<Value> values;
    std::optional<int64_t> expert = expertOf(summand, values);
    return expert && seen.insert(*expert).second;
  });
  return isPartial || count == slots;
}

/// The one expert whose routing values a term reads, and the `values` of the term that depend on these; nullopt if
/// there are several, or slots too.
std::optional<int64_t> UnrolledExperts::expertOf(const Summand &summand, DenseSet<Value> &values) {
  std::optional<int64_t> expert;
  bool single = true;
  DenseMap<Value, bool> known;
  std::function<bool(Value)> depends = [&](Value value) {
    auto [it, isNew] = known.try_emplace(value, false);
    if (!isNew)
      return it->second;
    if (known.size() > 512 || !fromRoute.contains(value))
      return false;
    bool result = false;
    RouteFact fact = route.of(value);
    if (fact.kind != RouteKind::None) {
      single &= !fact.slot && (!fact.expert || !expert || expert == fact.expert);
      if (fact.expert)
        expert = fact.expert;
      result = fact.expert.has_value();
    } else if (Operation *op = value.getDefiningOp()) {
      for (Value operand : op->getOperands())
        result |= depends(operand);
    }
    if (result)
      values.insert(value);
    return known[value] = result;
  };
  bool found = depends(summand.value);
  if (summand.scatter)
    found &= depends(route.coordinates(summand.scatter->getOperand(1))->nonZero->getResult(0));
  return found && single && *expert >= 0 && *expert < route.numExperts() ? expert : std::nullopt;
}

/// Whether both terms are one function of the tokens.
bool UnrolledExperts::matches(const Summand &a, const Summand &b, TermMatch &match) {
  match.restart();
  return static_cast<bool>(a.scatter) == static_cast<bool>(b.scatter) && match.compare(a.value, b.value) &&
         (!a.scatter || match.comparePlaces(a.scatter, b.scatter));
}

/// Whether an index of elements [n, width] has one place along each row: it is a column, or one that was expanded.
static bool isColumn(Value index) {
  index = skipCasts(index);
  if (Operation *expand = definedBy(index, {"Expand"}))
    index = expand->getOperand(0);
  RankedTensorType type = tensorType(index);
  return type.getRank() == 2 && type.getDimSize(1) == 1;
}

/// The scatter adds row n to the token of coordinate n of its expert's mask.
bool UnrolledExperts::checkScatter(const Summand &summand, bool ofSlot) {
  if (!summand.scatter)
    return true;
  Operation *op = summand.scatter;
  std::optional<Coordinates> at = route.coordinates(op->getOperand(1));
  if (at->linear) {
    reason = "the rows of a term are added at places that are no tokens";
    return false;
  }
  Value mask = at->nonZero->getOperand(0);
  RouteFact fact = route.of(mask);
  Axes all = axes.leaves(mask), tokens = route.tokens(), slots = route.slots();
  bool ofPairs = fact.kind == RouteKind::Indicator && all.size() == tokens.size() + slots.size();
  bool ofTokens =
      (fact.kind == RouteKind::MultiHot || fact.kind == RouteKind::SlotIndicator) && all.size() == tokens.size();
  // A term of one slot adds the rows of which this slot picks the expert.
  if ((!ofPairs && !ofTokens) || !fact.expert || (fact.kind == RouteKind::SlotIndicator) != ofSlot) {
    reason = "the rows of a term are not the tokens of one expert";
    return false;
  }
  if (isOnnx(op, {"ScatterElements"}) && axisOf(op, "axis", 0, 2) != 0) {
    reason = "the rows of a term are added along another axis than the tokens";
    return false;
  }
  Axes picked, target;
  for (auto [i, dim] : llvm::enumerate(at->dims)) {
    llvm::append_range(picked, axes.leaves(mask, dim));
    llvm::append_range(target, axes.layout(op->getOperand(0))[i]);
  }
  if ((isOnnx(op, {"ScatterElements"}) && !isColumn(op->getOperand(1))) || picked != tokens ||
      !axes.space.unify(target, tokens)) {
    reason = "the rows of a term are not added to their tokens";
    return false;
  }
  return true;
}

/// Whether two constants hold the same numbers. Exporters fold the same weight once for each place that reads it.
static bool sameConstant(Value a, Value b) {
  Attribute recipeA = weightRecipe(a), recipeB = weightRecipe(b);
  if (a == b || (recipeA && recipeA == recipeB))
    return true;
  RankedTensorType typeA, typeB;
  std::unique_ptr<llvm::MemoryBuffer> bytesA = readPiece(a, 64 << 20, typeA),
                                      bytesB = bytesA ? readPiece(b, 64 << 20, typeB) : nullptr;
  return bytesA && bytesB && typeA == typeB && bytesA->getBuffer() == bytesB->getBuffer();
}

Value UnrolledExperts::raise(OpBuilder &b, Operation *op) {
  SmallVector<SmallVector<Summand>> kinds;
  for (const Summand &summand : summands) {
    auto kind = llvm::find_if(kinds, [&](ArrayRef<Summand> terms) {
      TermMatch match(route);
      return matches(terms.front(), summand, match);
    });
    if (kind == kinds.end()) {
      if (kinds.size() == 4) {
        reason = "terms of the sum over experts are different functions";
        return {};
      }
      kind = kinds.insert(kind, SmallVector<Summand>());
    }
    kind->push_back(summand);
  }
  SmallVector<Value> sums;
  Operation *before = op->getPrevNode();
  inputs.clear();
  given.clear();
  for (ArrayRef<Summand> terms : kinds) {
    Value y = raiseKind(b, op, terms, isPartial || kinds.size() > 1);
    if (!y)
      break;
    sums.push_back(y);
  }
  // Rows that are given back are those that other experts read; another value is no expert's.
  bool isBank = !inputs.empty() && llvm::all_of(given, [&](Value x) { return llvm::is_contained(inputs, x); });
  if (sums.size() != kinds.size() || !isBank) {
    if (sums.size() == kinds.size() || kinds.size() > 1)
      reason = "terms of the sum over experts are different functions";
    while (before && op->getPrevNode() != before)
      op->getPrevNode()->erase();
    return {};
  }
  llvm::append_range(sums, others);
  for (Value other : ArrayRef<Value>(sums).drop_front())
    sums[0] = onnxBinary(b, op->getLoc(), "Add", sums[0], other, tensorType(sums[0]));
  return sums[0];
}

/// The sum of `terms`, which are one function.
Value UnrolledExperts::raiseKind(OpBuilder &b, Operation *op, ArrayRef<Summand> summands, bool partial) {
  TermMatch match(route);
  int64_t count = summands.size(), numSlots = tensorType(route.route->getResult(0)).getDimSize(1);
  struct Key {
    int64_t expert = -1, slot = -1;
  };
  SmallVector<Key> keys(count);
  DenseMap<Value, SmallVector<Value>> byTerm; // leaf of the first term -> that of each term
  // The only number of a list, -1 of an empty one.
  auto only = [](ArrayRef<int64_t> found, int64_t &number) {
    number = found.empty() ? -1 : found.front();
    return found.empty() || llvm::all_equal(found);
  };
  for (int64_t i = 1; i < count; ++i) {
    if (!matches(summands[0], summands[i], match)) {
      reason = "terms of the sum over experts are different functions";
      return {};
    }
    Key first;
    bool single = only(match.idsA, first.expert) && only(match.slotsA, first.slot) &&
                  only(match.idsB, keys[i].expert) && only(match.slotsB, keys[i].slot);
    if (!single || (i > 1 && (keys[0].expert != first.expert || keys[0].slot != first.slot))) {
      reason = "a term of the sum over experts is not chosen by the ids of one expert";
      return {};
    }
    keys[0] = first;
    for (auto [leaf, other] : match.leafPairs) {
      auto &list = byTerm[leaf];
      if (list.empty())
        list.assign(count, leaf);
      list[i] = other;
    }
  }
  ExpertTerm term;
  if (count == 1)
    keys[0].expert = expertOf(summands[0], term.differs).value_or(-1);
  term.ofExpert = keys[0].expert >= 0;
  term.ofSlot = keys[0].slot >= 0;
  if (partial && term.ofExpert && !term.ofSlot && count < route.numExperts()) {
    for (const Key &key : keys)
      if (key.expert >= 0 && key.expert < route.numExperts())
        term.experts.push_back(key.expert);
    llvm::sort(term.experts);
    for (Key &key : keys)
      key.expert = llvm::find(term.experts, key.expert) - term.experts.begin();
  }
  int64_t experts = !term.ofExpert         ? 1
                    : term.experts.empty() ? route.numExperts()
                                           : term.experts.size(),
          slots = term.ofSlot ? numSlots : 1;
  if (!term.ofExpert && !term.ofSlot) {
    reason = "a term of the sum over experts is not chosen by the ids of one expert";
    return {};
  }
  SmallVector<int64_t> place(experts * slots, -1); // (expert, slot) -> term
  bool complete = count == experts * slots;
  for (auto [i, key] : llvm::enumerate(keys)) {
    int64_t expert = term.ofExpert ? key.expert : 0, slot = term.ofSlot ? key.slot : 0;
    complete =
        complete && expert >= 0 && expert < experts && slot >= 0 && slot < slots && place[expert * slots + slot] < 0;
    if (!complete)
      break;
    place[expert * slots + slot] = i;
  }
  if (!complete) {
    reason = "the terms of the sum are not one for each expert";
    return {};
  }
  for (const Summand &summand : summands)
    if (!checkScatter(summand, term.ofSlot))
      return {};
  if (count > 1)
    term.differs = match.differs;
  for (auto &[leaf, list] : byTerm) {
    SmallVector<Value> ordered;
    for (int64_t id = 0; id < experts; ++id) {
      ordered.push_back(list[place[id * slots]]);
      for (int64_t slot = 1; slot < slots; ++slot)
        if (!sameConstant(ordered.back(), list[place[id * slots + slot]])) {
          reason = "the slots of a token have experts of their own";
          return {};
        }
    }
    if (term.ofExpert)
      term.leaves[leaf] = std::move(ordered);
  }
  if (summands[0].scatter)
    term.nonZero = route.coordinates(summands[0].scatter->getOperand(1))->nonZero;
  for (bool onInput : {false, true}) {
    ExpertsBody body(route, fromRoute, &term);
    if (!body.read(summands[0].value, onInput)) {
      if (!onInput || reason.empty())
        reason = body.reason;
      continue;
    }
    (body.isIdentity() ? given : inputs).push_back(body.input());
    b.setInsertionPoint(op);
    Value y = body.write(b, op->getLoc(), op->getResult(0));
    if (!y) {
      reason = body.reason;
      return {};
    }
    return y;
  }
  return {};
}
