//===- Routing.h - experts and weights of a token -------------------------===//
#ifndef MOE_LIB_INTERPRET_ROUTING_H
#define MOE_LIB_INTERPRET_ROUTING_H

#include "dialects/moe/Moe.h"

namespace mlir::moe {

/// What `moe.route` says about a router, and what `moe.route_rows` says in the same words.
struct Router {
  int64_t k, numGroups, topGroups;
  ScoreFn score;
  GroupScore groupScore;
  GroupFill groupFill;
  WeightFn weightFn;
  Normalize normalize;
  float normEps, normP, scale;
  float sparsemixerEps = 0;

  template <typename Op> static Router of(Op op) {
    return {static_cast<int64_t>(op.getK()),
            static_cast<int64_t>(op.getNumGroups()),
            static_cast<int64_t>(op.getTopGroups()),
            op.getScore(),
            op.getGroupScore(),
            op.getGroupFill(),
            op.getWeightFn(),
            op.getNormalize(),
            op.getNormEps().convertToFloat(),
            op.getNormP().convertToFloat(),
            op.getScale().convertToFloat()};
  }
};

/// Experts and weights of one token.
struct Route {
  SmallVector<int64_t> experts;
  SmallVector<float> weights;
};

/// Routes a token by its logits [E] and the selection bias [E], which may be empty, in f32 and in the order of `moe.route`.
Route routeToken(const Router &router, ArrayRef<float> logits, ArrayRef<float> bias);

} // namespace mlir::moe

#endif // MOE_LIB_INTERPRET_ROUTING_H
