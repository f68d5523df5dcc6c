//===- TermMatch.h - the same function with other constants ---------------===//
#ifndef MOE_LIB_RAISE_TERMMATCH_H
#define MOE_LIB_RAISE_TERMMATCH_H

#include "RouteValues.h"

namespace mlir::moe {

/// Compares what two experts make of the tokens, op by op with weights as leaves, in time linear in its size.
class TermMatch {
public:
  explicit TermMatch(RouteValues &route) : route(route), axes(route.axes) {}

  /// Forgets the pair of terms, but not which values differed.
  void restart();
  /// Forgets all of a first term.
  void clear() {
    restart();
    differs.clear();
  }
  /// Whether `b` in another term is what `a` is in the first.
  bool compare(Value a, Value b);
  /// Whether two scatters write to the same part of what their experts' coordinates are.
  bool comparePlaces(Operation *a, Operation *b);

  SmallVector<std::pair<Value, Value>> leafPairs; // constants, the same one twice where both terms have it
  SmallVector<int64_t> idsA, idsB;                // experts that the terms read the router's values of
  SmallVector<int64_t> slotsA, slotsB;            // and slots
  DenseSet<Value> differs;                        // values of first terms that are others elsewhere

private:
  void noteNumbers(Value a, Value b);

  RouteValues &route;
  AxisAnalysis &axes;
  DenseMap<Value, Value> pairs;
};

} // namespace mlir::moe

#endif // MOE_LIB_RAISE_TERMMATCH_H
