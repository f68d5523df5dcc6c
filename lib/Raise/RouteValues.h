//===- RouteValues.h - what the values made of a route's results are ------===//
//
// From ids [t, k] and weights [t, k] exporters make masks, routing matrices, columns of them and coordinates of the
// tokens of one expert. Each of these is recognised from what it is computed from, whatever its layout.
//===----------------------------------------------------------------------===//
#ifndef MOE_LIB_RAISE_ROUTEVALUES_H
#define MOE_LIB_RAISE_ROUTEVALUES_H

#include "Axes.h"

#include "dialects/moe/Moe.h"

namespace mlir::moe {

enum class RouteKind {
  None,
  Indices,   // ids[t, j]
  Weights,   // w[t, j]
  Indicator, // 1 where ids[t, j] == e
  Spread,    // w[t, j] where ids[t, j] == e, else 0
  MultiHot,  // 1 where any slot of t picks e
  Matrix,    // sum over j of Spread: the weight of expert e for token t, or 0
  // Of one slot j of each token:
  SlotIndices,
  SlotWeights,
  SlotIndicator,
  SlotSpread,
};

struct RouteFact {
  RouteKind kind = RouteKind::None;
  std::optional<int64_t> expert = {}; // only this expert's part
  std::optional<int64_t> slot = {};   // of the kinds that have one slot: which
};

/// Coordinates of the nonzero elements of a mask: `dims[i]` is the dimension of the mask that component i runs over. Or
/// places in the order sorted by expert: then `sort` is the sorting op, and the one component counts (token, slot) pairs
/// (dims = {0}) or tokens (dims = {1}). `linear`: the components are folded into one, row-major over `dims`.
struct Coordinates {
  Operation *nonZero = nullptr;
  Operation *sort = nullptr;
  bool linear = false;
  Operation *source() const { return nonZero ? nonZero : sort; }
  SmallVector<int64_t, 2> dims;
  int64_t axis = -1; // the dimension of the value that lists the components; -1: one component, no such dimension
};

class RouteValues {
public:
  /// `weights` [tokens, slots]: the experts' weights, where a layer makes its own; null: they are the route's.
  /// `distinct`: no expert is chosen twice by one token.
  RouteValues(RouteOp route, AxisAnalysis &axes, Value weights = {}, bool distinct = true);
  RouteOp route;
  AxisAnalysis &axes;
  Value weights;
  bool distinct;
  Axes experts; // the axis of experts, once a value has shown it

  RouteFact of(Value value);
  /// Says that dimension `dim` of `value` is that of the experts.
  void showExperts(Value value, int64_t dim);
  bool isExpertDim(Value value, int64_t dim) {
    return !experts.empty() && axes.leaves(value, dim) == axes.space.leaves(experts);
  }
  Axes tokens() { return axes.leaves(route->getResult(0), 0); }
  Axes slots() { return axes.leaves(route->getResult(0), 1); }
  int64_t numExperts();
  /// Whether one axis has come to stand for two of tokens, slots and experts: extents that are equal by chance say so.
  bool mixesAxes();
  std::optional<Coordinates> coordinates(Value value);
  /// The mask of `coordinates`: the indicator of one expert. The row axis is that of the NonZero's columns.
  RouteFact maskOf(const Coordinates &at) { return of(at.nonZero->getOperand(0)); }
  /// The axis of the rows that coordinates list.
  Axes rowsOf(const Coordinates &at) {
    return at.nonZero ? axes.leaves(at.nonZero->getResult(0), 1) : axes.leaves(at.sort->getResult(1), 0);
  }

  /// Concats over experts of functions of the runs of sorted rows: the op, what was cut into runs, and the run of expert 0.
  struct SortedRuns {
    Value source, firstRun, first;
    DenseMap<Value, SmallVector<Value>> leaves; // constants of the first run's function, with those of all experts
    DenseSet<Value> differs;                    // values of the first run that are others in other runs
  };
  llvm::MapVector<Operation *, SortedRuns> sortedRuns;
  Operation *sort = nullptr;
  /// Finds the rows sorted by expert among `ops`, and what is computed run by run.
  void findSortedRuns(ArrayRef<Operation *> ops);
  /// Rows in sorted order, and of the first run.
  Axes sortedRows();

  /// A value that holds what every expert makes, one function with other constants each: all side by side along a
  /// dimension of experts, or of each (token, slot) pair that of its own expert.
  struct Bank {
    Value first;                                // of one of them
    DenseMap<Value, SmallVector<Value>> leaves; // constants of `first`, with those of all experts
    DenseSet<Value> differs;                    // values of `first` that are others for other experts
    int64_t axis = -1;                          // the dimension of the experts, where they are side by side
    Operation *nonZero = nullptr;               // lists the pairs that `first` has rows for; null: it has all
    SmallVector<Operation *> chain;             // picks the expert of each pair, op by op
  };
  /// The bank that `op` completes; null if it is none.
  const Bank *bankOf(Operation *op);

private:
  std::unique_ptr<Bank> findBank(Operation *op);
  int64_t chainLength(Operation *op);
  DenseMap<Operation *, int64_t> chainLengths;
  bool isIndicatorOfPairs(Value mask);
  llvm::MapVector<Operation *, std::unique_ptr<Bank>> banks;
  RouteFact compute(Value value);
  bool isSort(Operation *op);
  std::optional<Value> wholeDivision(Value value, int64_t by);
  std::optional<Coordinates> linearCoordinates(Operation *add);
  std::optional<int64_t> countOf(Value value, int depth = 0);
  bool matchRun(Value a, Value b, Operation *split, int64_t expert, SortedRuns &runs);
  DenseMap<Value, RouteFact> facts;
  DenseMap<Value, std::optional<Coordinates>> coordinateFacts;
};

} // namespace mlir::moe

#endif // MOE_LIB_RAISE_ROUTEVALUES_H
