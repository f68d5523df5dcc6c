//===- UnrolledExperts.h - a sum with one term for each expert ------------===//
#ifndef MOE_LIB_RAISE_UNROLLEDEXPERTS_H
#define MOE_LIB_RAISE_UNROLLEDEXPERTS_H

#include "ExpertsBody.h"
#include "TermMatch.h"

namespace mlir::moe {

/// A sum of terms that are the same function of the tokens with other parameters: one for each expert, one for each
/// slot of a token, or one for each expert and slot. Where experts are of several kinds (those that give back their
/// rows beside those with matrices, say), or some have no term, each kind is a bank of its own.
class UnrolledExperts {
public:
  UnrolledExperts(RouteValues &route, const DenseSet<Value> &fromRoute)
      : route(route), axes(route.axes), fromRoute(fromRoute) {}

  /// Whether `op` ends a sum with as many terms as there are experts, or slots, or pairs of both.
  bool isSum(Operation *op);
  /// Whether the terms are so many that they can only be those of experts.
  bool isOfExperts() { return isPartial || static_cast<int64_t>(summands.size()) >= route.numExperts(); }
  /// Makes moe.experts for the sum; null with a reason if its terms are no experts of this route.
  Value raise(OpBuilder &b, Operation *op);
  std::string reason;

private:
  struct Summand {
    Value value;
    Operation *scatter = nullptr; // adds the rows to their tokens; null: the value has a row for every token
  };
  void flatten(Value value, bool outermost);
  bool matches(const Summand &a, const Summand &b, TermMatch &match);
  std::optional<int64_t> expertOf(const Summand &summand, DenseSet<Value> &values);
  Value raiseKind(OpBuilder &b, Operation *op, ArrayRef<Summand> terms, bool partial);
  std::optional<int64_t> chainLength(Operation *op);
  bool checkScatter(const Summand &summand, bool ofSlot);
  Value addedRows(Operation *scatter);
  Value addedToRead(Operation *scatter);
  bool isAccumulation(Operation *op);

  RouteValues &route;
  AxisAnalysis &axes;
  const DenseSet<Value> &fromRoute;
  SmallVector<Summand> summands;
  SmallVector<Value> others;
  SmallVector<Value> inputs; // of the kinds of experts that have parameters
  SmallVector<Value> given;  // and of those that give back their rows
  bool isPartial = false;    // fewer terms than experts, each of another one
  DenseMap<Operation *, std::optional<int64_t>> chains;
};

} // namespace mlir::moe

#endif // MOE_LIB_RAISE_UNROLLEDEXPERTS_H
