//===- RaiseExperts.cpp - banks of experts become moe.experts -------------===//
//
// Whatever form the exporter gave it, y = sum over the chosen experts of weight * f(x; the expert's parameters):
//
//   %g = onnx.GatherND(%w1, %ids) ... ReduceSum over the slots           gathered
//   %h = onnx.MatMul(%x, %w1) : [E, T, I] ... ReduceSum over experts     dense, times a routing matrix
//   %y = Add(... Add(f0(%x) * %r0, f1(%x) * %r1) ...)                    unrolled, over experts, slots or both
//   %h = Concat(f0(%x), f1(%x), ...) ... ReduceSum, or
//   %h = Where(%ids == 1, f1(%r), Where(%ids == 0, f0(%r), ...))         joined first, weighted and summed afterwards
//   %y = Concat(f0(%r0), f1(%r1), ...) of rows sorted by expert          sorted, where no sum follows
//   ->
//   %y = moe.experts %x, %weights, %ids params(%w1, %w2) { ^bb0(%rows: tensor<?xH>, %a: ..., %b: ...): ... moe.yield }
//
// The function of one expert is kept as onnx ops in the region. A bank that cannot be converted is left and reported.
//===----------------------------------------------------------------------===//
#include "ChosenIds.h"
#include "OnnxMake.h"
#include "OnnxMatch.h"
#include "Reports.h"
#include "SortedBanks.h"
#include "UnrolledExperts.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "moe/Raise/Passes.h"

#define DEBUG_TYPE "moe-raise-experts"

namespace mlir::moe {
#define GEN_PASS_DEF_RAISEEXPERTS
#include "moe/Raise/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
/// Experts of a route that were not raised: where, and why.
struct Left {
  RouteOp route;
  Operation *anchor = nullptr;
  std::string reason;
};

struct RaiseExperts : moe::impl::RaiseExpertsBase<RaiseExperts> {
  using Base::Base;
  void runOnOperation() override;
  void runOnBlock(Block &block, ShapeFacts &facts);
  bool raise(RouteOp route, ShapeFacts &facts, Left &left);
  bool raise(RouteOp route, ShapeFacts &facts, Value weights, bool distinct, Left &left);
};
} // namespace

/// Ops after `route` that depend on it, up to the next router that depends on it.
static void collect(RouteOp route, SmallVector<Operation *> &ops, DenseSet<Value> &values) {
  for (Value result : route->getResults())
    values.insert(result);
  for (Operation *op = route->getNextNode(); op; op = op->getNextNode()) {
    if (llvm::none_of(op->getOperands(), [&](Value v) { return values.contains(v); }))
      continue;
    if (isa<RouteOp>(op))
      return;
    if (!isOnnx(op) && !isa<RmsNormOp>(op))
      continue;
    ops.push_back(op);
    for (Value result : op->getResults())
      values.insert(result);
  }
}

static bool mayEndSum(Operation *op, bool oneSlot) {
  if (!isFloat(op->getResult(0)) || !isa<RankedTensorType>(op->getResult(0).getType()) ||
      tensorType(op->getResult(0)).getRank() < 2)
    return false;
  return oneSlot || isOnnx(op, {"ReduceSum", "MatMul", "Gemm", "Einsum", "ScatterND"});
}

/// Values that may be the experts' weights where the layer makes its own: a number for each slot of each token, that
/// something which depends on the route reads. The last come first.
static SmallVector<Value> ownWeights(RouteOp route, ShapeFacts &facts) {
  DenseSet<Value> fromRoute;
  SmallVector<Operation *> ops;
  collect(route, ops, fromRoute);
  AxisAnalysis axes(facts);
  RouteValues values(route, axes);
  Extent pairs = axes.space.extent(axes.leaves(route->getResult(0)));
  int64_t numSlots = tensorType(route->getResult(0)).getDimSize(1);
  auto isNumberOfPairs = [&](Value value) {
    if (!isFloat(value) || !isa<RankedTensorType>(value.getType()) || isConstantDerived(value))
      return false;
    Axes leaves = axes.leaves(value);
    // Slots lie next to each other.
    bool slots = numSlots == 1 || (!leaves.empty() && axes.space.extent(leaves.back()) == Extent{numSlots, {}});
    // (Masks, and weights under a mask, are known as what they are.)
    return slots && axes.space.extent(leaves) == pairs && values.of(value).kind == RouteKind::None;
  };
  llvm::SmallSetVector<Value, 8> found;
  for (Operation *op : ops)
    for (Value operand : op->getOperands()) {
      Value value = operand;
      while (Operation *layout = definedBy(
                 value, {"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Cast", "Identity", "Expand", "Transpose"}))
        value = layout->getOperand(0);
      if (found.size() < 8 && value != route->getResult(0) && isNumberOfPairs(value))
        found.insert(value);
    }
  SmallVector<Value> result(found.begin(), found.end());
  std::reverse(result.begin(), result.end());
  return result;
}

bool RaiseExperts::raise(RouteOp route, ShapeFacts &facts, Left &left) {
  left.route = route;
  if (raise(route, facts, {}, /*distinct=*/true, left))
    return true;
  for (Value weights : ownWeights(route, facts)) {
    Left ignored;
    if (raise(route, facts, weights, /*distinct=*/true, ignored))
      return true;
  }
  return false;
}

/// Whether all experts of the route were raised; if not, with the place and the reason.
bool RaiseExperts::raise(RouteOp route, ShapeFacts &facts, Value weights, bool distinct, Left &left) {
  Operation *&anchor = left.anchor;
  std::string &reason = left.reason;
  AxisAnalysis axes(facts);
  RouteValues values(route, axes, weights, distinct);
  DenseSet<Value> fromRoute;
  SmallVector<Operation *> ops;
  collect(route, ops, fromRoute);
  values.findSortedRuns(ops);
  OpBuilder b(route);
  bool oneSlot = values.slots().empty();
  // With one slot there is no sum to anchor at: the bank ends where its last value is still a function of the tokens.
  Operation *last = nullptr;
  bool lastOnInput = false;
  unsigned failures = 0, farthest = 0;
  UnrolledExperts unrolled(values, fromRoute);
  for (Operation *op : ops) {
    if (unrolled.isSum(op)) {
      if (Value y = unrolled.raise(b, op)) {
        op->getResult(0).replaceAllUsesWith(y);
        ++numExperts;
        return true;
      }
      if (unrolled.isOfExperts()) {
        reason = unrolled.reason;
        anchor = op;
        farthest = ~0u;
        continue;
      }
    }
    if (!mayEndSum(op, oneSlot) || values.of(op->getResult(0)).kind != RouteKind::None || (last && failures > 16))
      continue;
    bool found = false;
    for (bool onInput : {false, true}) {
      ExpertsBody body(values, fromRoute);
      if (!body.read(op->getResult(0), onInput)) {
        if (body.numOps > farthest && !onInput) {
          farthest = body.numOps;
          reason = body.reason;
          anchor = op;
        }
        continue;
      }
      found = true;
      if (oneSlot) {
        last = op;
        lastOnInput = onInput;
        failures = 0;
        break;
      }
      b.setInsertionPoint(op);
      Value y = body.write(b, op->getLoc(), op->getResult(0));
      if (!y) {
        reason = body.reason;
        anchor = op;
        farthest = ~0u;
        found = false;
        continue;
      }
      op->getResult(0).replaceAllUsesWith(y);
      ++numExperts;
      return true;
    }
    failures += !found;
  }
  if (last) {
    ExpertsBody body(values, fromRoute);
    if (body.read(last->getResult(0), lastOnInput)) {
      b.setInsertionPoint(last);
      if (Value y = body.write(b, last->getLoc(), last->getResult(0))) {
        last->getResult(0).replaceAllUsesWith(y);
        ++numExperts;
        return true;
      }
    }
    reason = body.reason;
    anchor = last;
  }
  // No sum over the slots: what is computed run by run of sorted rows is a bank all the same.
  unsigned banks = 0;
  for (auto &[join, runs] : values.sortedRuns) {
    std::string bankReason;
    if (Value y = values.mixesAxes() ? Value() : raiseSortedRuns(b, values, join, bankReason)) {
      join->getResult(0).replaceAllUsesWith(y);
      ++banks;
    } else if (!bankReason.empty()) {
      reason = bankReason;
      anchor = join;
    }
  }
  numExperts += banks;
  return banks && banks == values.sortedRuns.size();
}

void RaiseExperts::runOnOperation() {
  for (func::FuncOp func : getOperation().getOps<func::FuncOp>()) {
    if (func.isExternal())
      continue;
    ShapeFacts facts(func);
    runOnBlock(func.getBody().front(), facts);
  }
}

void RaiseExperts::runOnBlock(Block &block, ShapeFacts &facts) {
  SmallVector<Left> lefts;
  for (RouteOp route : llvm::to_vector(block.getOps<RouteOp>())) {
    if (llvm::any_of(route->getUsers(), [](Operation *user) { return isa<ExpertsOp>(user); }))
      continue;
    Left left;
    if (!raise(route, facts, left))
      lefts.push_back(std::move(left));
  }
  eraseDeadOnnxOps(block);
  DenseSet<Operation *> alive;
  for (Operation &op : block)
    alive.insert(&op);
  for (Left &left : lefts)
    if (!alive.contains(left.anchor))
      left.anchor = nullptr;
  // Ids that are no route's, or no longer.
  for (const ChosenIds &chosen : findChosenIds(block)) {
    auto isSource = [&](const Left &left) { return llvm::is_contained(chosen.routers, left.route); };
    if (!chosen.routers.empty() && llvm::none_of(lefts, isSource))
      continue;
    bool raised = false;
    Left left;
    {
      StandInRoute standIn(chosen);
      for (Value weights : ownWeights(standIn.route, facts))
        if ((raised = raise(standIn.route, facts, weights, chosen.distinct, left)))
          break;
    }
    if (raised)
      llvm::erase_if(lefts, isSource);
    bool byScores = !chosen.routers.empty() || definedBy(skipCasts(chosen.ids), {"TopK", "ArgMax"});
    if (!byScores && (raised || chosen.picks))
      reportGeneric(chosen.ids.getDefiningOp(), "router", "the ids of its experts are no places of largest scores");
    if (!raised && chosen.routers.empty() && chosen.picks && left.anchor)
      reportGeneric(left.anchor, "experts", left.reason);
  }
  for (Left &left : lefts)
    reportGeneric(left.anchor ? left.anchor : left.route.getOperation(), "experts",
                  left.reason.empty() ? "no weighted sum over the chosen experts was found" : left.reason);
  eraseDeadOnnxOps(block);
}
