//===- ExpertBanks.cpp - values made of one function for each expert -------===//
//
// Not every layer adds its experts up one by one. Some first put together what they make, and weigh and sum that:
//
//   %all = Concat(f(%x, %w0), f(%x, %w1), ...)                          [tokens, experts, features]
//   %y = Where(%ids == 1, f(%r, %w1), Where(%ids == 0, f(%r, %w0), ...))    of rows %r of (token, slot) pairs
//   %y = ScatterND(ScatterND(..., places where %ids == 0, f(%r[those], %w0)), places where %ids == 1, f(%r[those], %w1))
//
// Every pair has one expert, so a chain that has all experts leaves nothing of what it began with.
//===----------------------------------------------------------------------===//
#include "OnnxMatch.h"
#include "TermMatch.h"

using namespace mlir;
using namespace mlir::moe;

/// 1 where the one expert of a (token, slot) pair is a certain one, for all pairs.
bool RouteValues::isIndicatorOfPairs(Value mask) {
  RouteFact fact = of(mask);
  Axes found = axes.leaves(mask), pairs = tokens();
  llvm::append_range(pairs, slots());
  llvm::sort(found);
  llvm::sort(pairs);
  return fact.kind == RouteKind::Indicator && fact.expert && *fact.expert >= 0 && *fact.expert < numExperts() &&
         found == pairs;
}

std::unique_ptr<RouteValues::Bank> RouteValues::findBank(Operation *op) {
  struct Part {
    int64_t expert;
    Value value;
    Operation *write;
  };
  int64_t count = numExperts();
  SmallVector<Part> parts;
  auto bank = std::make_unique<Bank>();
  if (isOnnx(op, {"Concat"})) {
    bank->axis = axisOf(op, "axis", 0, tensorType(op->getResult(0)).getRank());
    if (static_cast<int64_t>(op->getNumOperands()) != count)
      return nullptr;
    for (auto [i, part] : llvm::enumerate(op->getOperands())) {
      if (tensorType(part).getDimSize(bank->axis) != 1)
        return nullptr;
      parts.push_back({static_cast<int64_t>(i), part, nullptr});
    }
  } else if (isOnnx(op, {"Where"})) {
    for (Operation *where = op; where && static_cast<int64_t>(parts.size()) < count;
         where = definedBy(where->getOperand(2), {"Where"})) {
      if (!isIndicatorOfPairs(where->getOperand(0)))
        break;
      parts.push_back({*of(where->getOperand(0)).expert, where->getOperand(1), nullptr});
      bank->chain.push_back(where);
    }
  } else if (isOnnx(op, {"ScatterND"})) {
    for (Operation *write = op; write && static_cast<int64_t>(parts.size()) < count;
         write = definedBy(write->getOperand(0), {"ScatterND"})) {
      std::optional<Coordinates> at = coordinates(write->getOperand(1));
      if (reductionOf(write) != "none" || !at || !at->nonZero || !isIndicatorOfPairs(at->nonZero->getOperand(0)))
        break;
      // All components of the places, in order.
      int64_t rank = tensorType(at->nonZero->getOperand(0)).getRank();
      if (at->dims != llvm::to_vector<2>(llvm::seq<int64_t>(0, rank)))
        break;
      if (parts.empty())
        bank->nonZero = at->nonZero;
      parts.push_back({*of(at->nonZero->getOperand(0)).expert, write->getOperand(2), write});
      bank->chain.push_back(write);
    }
  }
  if (count < 2 || static_cast<int64_t>(parts.size()) != count || isConstantDerived(parts[0].value))
    return nullptr;

  SmallVector<bool> seen(count, false);
  for (const Part &part : parts) {
    if (seen[part.expert])
      return nullptr;
    seen[part.expert] = true;
  }
  bank->first = parts[0].value;
  TermMatch match(*this);
  for (const Part &part : ArrayRef<Part>(parts).drop_front()) {
    match.restart();
    if (!match.compare(parts[0].value, part.value) || (part.write && !match.comparePlaces(parts[0].write, part.write)))
      return nullptr;
    if (!match.slotsA.empty())
      return nullptr;
    for (auto [ids, expert] : {std::pair(&match.idsA, parts[0].expert), std::pair(&match.idsB, part.expert)})
      if (llvm::any_of(*ids, [expert = expert](int64_t id) { return id != expert; }))
        return nullptr;
    for (auto [leaf, other] : match.leafPairs) {
      auto &list = bank->leaves[leaf];
      list.resize(count, leaf);
      list[part.expert] = other;
    }
  }
  if (bank->leaves.empty())
    return nullptr;
  bank->differs = std::move(match.differs);
  return bank;
}

/// How many ops of the kind of `op` stand in a row up to it, each made of the one before.
int64_t RouteValues::chainLength(Operation *op) {
  unsigned place = isOnnx(op, {"Where"}) ? 2 : 0;
  SmallVector<Operation *> chain;
  int64_t length = 0;
  for (; op; op = op->getOperand(place).getDefiningOp()) {
    if (!chain.empty() && op->getName() != chain.back()->getName())
      break;
    if (auto known = chainLengths.find(op); known != chainLengths.end()) {
      length = known->second;
      break;
    }
    chain.push_back(op);
  }
  for (Operation *link : llvm::reverse(chain))
    chainLengths[link] = ++length;
  return length;
}

const RouteValues::Bank *RouteValues::bankOf(Operation *op) {
  if (!isOnnx(op, {"Concat", "Where", "ScatterND"}))
    return nullptr;
  if (!isOnnx(op, {"Concat"}) && chainLength(op) < numExperts())
    return nullptr;
  auto it = banks.find(op);
  if (it == banks.end())
    it = banks.insert({op, findBank(op)}).first;
  return it->second.get();
}
