//===- RouterChoice.h - what a router picks from, read backwards to the logits ---===//
#ifndef MOE_LIB_RAISE_ROUTERCHOICE_H
#define MOE_LIB_RAISE_ROUTERCHOICE_H

#include "Router.h"

namespace mlir::moe {

/// How the tensor that the anchor picks from comes from the logits.
struct Choice {
  Value logits, scores; // `scores` before any bias
  Value biased;         // scores + bias, or null
  Value bias;
  ScoreFn score = ScoreFn::None;
  int64_t numGroups = 1, topGroups = 1;
  GroupScore groupScore = GroupScore::Max;
  GroupFill groupFill = GroupFill::NegInf;
};

/// Reads `picked`, the tensor that a TopK or ArgMax over `numExperts` experts picks from. nullopt with a reason if it is not
/// made of logits by the steps above.
std::optional<Choice> readChoice(Value picked, AxisAnalysis &axes, int64_t numExperts, std::string &reason);

/// The constant K of a TopK; nullopt if it is not constant or takes the smallest.
std::optional<int64_t> pickCount(Operation *topK);

} // namespace mlir::moe

#endif // MOE_LIB_RAISE_ROUTERCHOICE_H
