//===- ChosenIds.h - ids that choose experts and are no moe.route's -------===//
//
// A router may stay generic, a table may name the experts of each token, and a layer may change its router's ids (those of
// experts that do nothing become 0, with weight 0). The experts' bank asks for nothing but numbers in range:
//
//   y[t, :] = sum_j w[t, j] * f(x[t, :], params[ids[t, j]])
//===----------------------------------------------------------------------===//
#ifndef MOE_LIB_RAISE_CHOSENIDS_H
#define MOE_LIB_RAISE_CHOSENIDS_H

#include "dialects/moe/Moe.h"

#include "mlir/IR/Builders.h"

namespace mlir::moe {

/// A value of ids [tokens..., k], or [tokens...] with k = 1, each in [0, numExperts).
struct ChosenIds {
  Value ids;
  int64_t numExperts = 0, k = 1;
  bool distinct = false;           // no id twice in one token
  bool picks = false;              // a constant is read by them: they choose experts beyond doubt
  SmallVector<RouteOp, 1> routers; // the routes whose ids these were made of
};

/// Ids in `block` that pick from constants with a matrix for each expert, that OneHot spreads over experts or that are
/// compared with numbers of experts, other than those of a moe.route. What is not provably in range is left out.
SmallVector<ChosenIds> findChosenIds(Block &block);

/// A moe.route in the place of `chosen` for as long as experts are looked for: what read the ids reads its ids. Its own
/// weights mean nothing.
class StandInRoute {
public:
  explicit StandInRoute(const ChosenIds &chosen);
  /// Gives the ids back to whatever reads them by now.
  ~StandInRoute();
  RouteOp route;

private:
  Value flat;
};

} // namespace mlir::moe

#endif // MOE_LIB_RAISE_CHOSENIDS_H
