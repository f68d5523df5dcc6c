//===- UnrolledExperts.h - a sum with one term for each expert ------------===//
#ifndef MOE_LIB_RAISE_UNROLLEDEXPERTS_H
#define MOE_LIB_RAISE_UNROLLEDEXPERTS_H

#include "ExpertsBody.h"

namespace mlir::moe {

/// A sum of terms that are the same function of the tokens with other parameters. The terms are compared op by op with
/// weights as leaves, in time linear in their size.
class UnrolledExperts {
public:
  UnrolledExperts(RouteValues &route, const DenseSet<Value> &fromRoute) : route(route), axes(route.axes), fromRoute(fromRoute) {}

  /// Whether `op` ends a sum with as many terms as there are experts.
  bool isSum(Operation *op);
  /// Makes moe.experts for the sum; null with a reason if its terms are no experts of this route.
  Value raise(OpBuilder &b, Operation *op);
  std::string reason;

private:
  struct Summand {
    Value value;
    Operation *scatter = nullptr; // adds the rows to their tokens; null: the value has a row for every token
  };
  void flatten(Value value, bool outermost);
  bool compare(Value a, Value b);
  bool comparePlaces(Operation *a, Operation *b);
  bool checkScatter(const Summand &summand);
  Value addedRows(Operation *scatter);
  bool isAccumulation(Operation *op);

  RouteValues &route;
  AxisAnalysis &axes;
  const DenseSet<Value> &fromRoute;
  SmallVector<Summand> summands;
  SmallVector<Value> others;
  // Of the comparison of the first term with another:
  DenseMap<Value, Value> pairs;
  SmallVector<std::pair<Value, Value>> leafPairs;
  SmallVector<int64_t> idsA, idsB;
  DenseSet<Value> differs;
};

} // namespace mlir::moe

#endif // MOE_LIB_RAISE_UNROLLEDEXPERTS_H
