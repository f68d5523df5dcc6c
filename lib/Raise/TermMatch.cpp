//===- TermMatch.cpp - the same function with other constants -------------===//
#include "TermMatch.h"
#include "OnnxMatch.h"

using namespace mlir;
using namespace mlir::moe;

void TermMatch::restart() {
  pairs.clear();
  leafPairs.clear();
  idsA.clear();
  idsB.clear();
  slotsA.clear();
  slotsB.clear();
}

/// Experts and slots that the router's values behind `a` and `b` are of.
void TermMatch::noteNumbers(Value a, Value b) {
  auto factOf = [&](Value value) {
    std::optional<Coordinates> at = route.coordinates(value);
    return at && at->nonZero ? route.maskOf(*at) : route.of(value);
  };
  RouteFact fa = factOf(a), fb = factOf(b);
  if (fa.expert && fb.expert) {
    idsA.push_back(*fa.expert);
    idsB.push_back(*fb.expert);
  }
  if (fa.slot && fb.slot) {
    slotsA.push_back(*fa.slot);
    slotsB.push_back(*fb.slot);
  }
}

/// Both run in step, so the cost is the size of the term. What is `b` in one place is `b` in all: also a value that both
/// terms have may not be another's in a second place.
bool TermMatch::compare(Value rootA, Value rootB) {
  SmallVector<std::pair<Value, Value>> work = {{rootA, rootB}};
  while (!work.empty()) {
    auto [a, b] = work.pop_back_val();
    auto [it, isNew] = pairs.try_emplace(a, b);
    if (!isNew) {
      if (it->second != b)
        return false;
      continue;
    }
    noteNumbers(a, b);
    if (a == b) {
      if (isConstantDerived(a))
        leafPairs.push_back({a, a});
      continue;
    }
    if (a.getType() != b.getType())
      return false;
    differs.insert(a);
    RouteFact fa = route.of(a), fb = route.of(b);
    if (fa.kind != fb.kind)
      return false;
    if (fa.kind != RouteKind::None) {
      if (fa.expert.has_value() != fb.expert.has_value() || fa.slot.has_value() != fb.slot.has_value() ||
          axes.leaves(a) != axes.leaves(b))
        return false;
      continue;
    }
    if (isConstantDerived(a)) {
      if (!isConstantDerived(b))
        return false;
      DenseElementsAttr known = onnx::getConstant(a);
      bool equal = known && known == onnx::getConstant(b);
      if (!equal && saysWhere(a))
        return false;
      leafPairs.push_back({a, equal ? a : b});
      continue;
    }
    Operation *opA = a.getDefiningOp(), *opB = b.getDefiningOp();
    if (!opA || !opB || opA->getName() != opB->getName() || opA->getNumOperands() != opB->getNumOperands() ||
        cast<OpResult>(a).getResultNumber() != cast<OpResult>(b).getResultNumber() ||
        opA->getAttrDictionary() != opB->getAttrDictionary() || (!isOnnx(opA) && !isa<RmsNormOp>(opA)))
      return false;
    for (auto [x, y] : llvm::zip(opA->getOperands(), opB->getOperands()))
      work.push_back({x, y});
  }
  return true;
}

bool TermMatch::comparePlaces(Operation *a, Operation *b) {
  std::optional<Coordinates> first = route.coordinates(a->getOperand(1)), second = route.coordinates(b->getOperand(1));
  return first->dims == second->dims && first->linear == second->linear &&
         compare(first->nonZero->getResult(0), second->nonZero->getResult(0));
}
