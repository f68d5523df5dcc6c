//===- Router.h - what a router is, and the one found at an anchor --------===//
//
// A router turns logits over experts into k expert ids and k weights a token. Anchored at the TopK (or ArgMax) that
// picks the experts, `matchRouter` reads backwards how the choice scores come from the logits, and forwards how the
// weights come from the picked scores, whatever casts, reshapes and orders of steps the exporter chose.
//===----------------------------------------------------------------------===//
#ifndef MOE_LIB_RAISE_ROUTER_H
#define MOE_LIB_RAISE_ROUTER_H

#include "Axes.h"

#include "dialects/moe/Moe.h"

namespace mlir::moe {

/// Everything `moe.route` says, with the values of the graph it stands for.
struct Router {
  Operation *anchor = nullptr; // the op that picks the experts
  Value logits;                // [tokens..., E]
  Value bias;                  // [E] or null
  int64_t numExperts = 0, k = 1;
  ScoreFn score = ScoreFn::None;
  int64_t numGroups = 1, topGroups = 1;
  GroupScore groupScore = GroupScore::Max;
  GroupFill groupFill = GroupFill::NegInf;
  WeightFn weightFn = WeightFn::Identity;
  Normalize normalize = Normalize::None;
  double normEps = 0, normP = 1, scale = 1, sparsemixerEps = 0.01;

  SmallVector<Value> indices; // values that hold the ids, [tokens..., k] or [tokens...]
  SmallVector<Value> weights; // values that hold the final weights of the slots, in any grouping of (tokens, slots)
  SmallVector<Value> matrix;  // values that hold them scattered to [tokens..., E], zero elsewhere
};

/// What came of looking at an anchor.
struct RouterResult {
  std::optional<Router> router;
  std::string reason; // why it was left, if it feeds experts but is no router known here
};

RouterResult matchRouter(Operation *anchor, AxisAnalysis &axes);
/// The two-pick router of sparsemixer, anchored at its first ArgMax.
std::optional<Router> matchSparseMixer(Operation *argMax, AxisAnalysis &axes);

} // namespace mlir::moe

#endif // MOE_LIB_RAISE_ROUTER_H
