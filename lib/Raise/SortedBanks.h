//===- SortedBanks.h - what is computed run by run, as a bank of its own ---===//
#ifndef MOE_LIB_RAISE_SORTEDBANKS_H
#define MOE_LIB_RAISE_SORTEDBANKS_H

#include "RouteValues.h"

#include "mlir/IR/Builders.h"

namespace mlir::moe {

/// The rows that `join` concatenates as moe.experts of one slot, on the sorted rows and their ids; null with a reason if a
/// run is no function of its rows one by one. `join` is a key of `route.sortedRuns`.
Value raiseSortedRuns(OpBuilder &b, RouteValues &route, Operation *join, std::string &reason);

} // namespace mlir::moe

#endif // MOE_LIB_RAISE_SORTEDBANKS_H
