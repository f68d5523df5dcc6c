//===- SparseMixer.cpp - the router that picks twice ----------------------===//
//
// For pick 1 and 2, with l the logits, r the logits with earlier picks at -inf and m = max(r):
//   keep = (m - l) / max(|l|, m) <= 2 eps;  weight = softmax(r where keep, else -inf)[argmax(r)]
//===----------------------------------------------------------------------===//
#include "OnnxMatch.h"
#include "Router.h"

using namespace mlir;
using namespace mlir::moe;

/// The threshold of `Greater((m - l) / max(|l|, m), threshold)`; nullopt if `mask` is something else.
static std::optional<double> threshold(Value mask, Value logits, Value max) {
  Operation *greater = definedBy(mask, {"Greater"});
  Operation *div = greater ? definedBy(greater->getOperand(0), {"Div"}) : nullptr;
  Operation *sub = div ? definedBy(div->getOperand(0), {"Sub"}) : nullptr;
  if (!sub || sub->getOperand(0) != max || sub->getOperand(1) != logits)
    return std::nullopt;
  Value factor = div->getOperand(1);
  Operation *clamp = definedBy(factor, {"Max", "Clip"});
  if (!clamp || clamp->getNumOperands() != 2 || (isOnnx(clamp, {"Clip"}) && !getInput(clamp, 1)))
    return std::nullopt;
  auto isAbs = [&](Value v) {
    Operation *abs = definedBy(v, {"Abs"});
    return abs && abs->getOperand(0) == logits;
  };
  bool fits = (isAbs(clamp->getOperand(0)) && clamp->getOperand(1) == max) ||
              (isOnnx(clamp, {"Max"}) && isAbs(clamp->getOperand(1)) && clamp->getOperand(0) == max);
  return fits ? fillOf(greater->getOperand(1)) : std::nullopt;
}

static bool lastAxisKept(Operation *reduce) {
  int64_t rank = tensorType(reduce->getOperand(0)).getRank();
  if (intAttr(reduce, "keepdims", 1) != 1)
    return false;
  if (isOnnx(reduce, {"ArgMax"}))
    return axisOf(reduce, "axis", 0, rank) == rank - 1 && !intAttr(reduce, "select_last_index", 0);
  std::optional<SmallVector<int64_t>> reduced = reducedAxes(reduce);
  return reduced && reduced->size() == 1 && (*reduced)[0] == rank - 1;
}

/// The weight of a pick: GatherElements(Softmax(Where(mask, -inf, remaining)), argmax(remaining)), and its threshold.
static Value pickWeight(Operation *argMax, Value logits, double &eps) {
  Value remaining = argMax->getOperand(0);
  for (Operation *user : argMax->getResult(0).getUsers()) {
    if (!isOnnx(user, {"GatherElements"}) || user->getOperand(1) != argMax->getResult(0))
      continue;
    int64_t rank = tensorType(user->getOperand(0)).getRank();
    Operation *softmax = definedBy(user->getOperand(0), {"Softmax"});
    Operation *where = softmax ? definedBy(softmax->getOperand(0), {"Where"}) : nullptr;
    if (!where || axisOf(user, "axis", 0, rank) != rank - 1 || axisOf(softmax, "axis", -1, rank) != rank - 1 ||
        fillOf(where->getOperand(1)).value_or(0) > -1e30 || where->getOperand(2) != remaining)
      continue;
    for (Operation *max : remaining.getUsers()) {
      if (!isOnnx(max, {"ReduceMax"}) || !lastAxisKept(max))
        continue;
      if (std::optional<double> bound = threshold(where->getOperand(0), logits, max->getResult(0))) {
        eps = *bound / 2;
        return user->getResult(0);
      }
    }
  }
  return {};
}

std::optional<Router> moe::matchSparseMixer(Operation *first, AxisAnalysis &axes) {
  Value logits = first->getOperand(0);
  RankedTensorType type = tensorType(logits);
  if (type.getRank() < 2 || !lastAxisKept(first) || ShapedType::isDynamic(type.getShape().back()) ||
      type.getShape().back() < 2)
    return std::nullopt;
  double eps1 = 0, eps2 = 0;
  Value weight1 = pickWeight(first, logits, eps1);
  if (!weight1)
    return std::nullopt;
  // The second pick looks at the logits with the first at -inf.
  Operation *second = nullptr;
  for (Operation *scatter : first->getResult(0).getUsers()) {
    int64_t rank = type.getRank();
    if (!isOnnx(scatter, {"ScatterElements"}) || scatter->getOperand(0) != logits ||
        scatter->getOperand(1) != first->getResult(0) || axisOf(scatter, "axis", 0, rank) != rank - 1 ||
        reductionOf(scatter) != "none" || fillOf(scatter->getOperand(2)).value_or(0) > -1e30)
      continue;
    for (Operation *user : scatter->getResult(0).getUsers())
      if (isOnnx(user, {"ArgMax"}) && lastAxisKept(user))
        second = user;
  }
  Value weight2 = second ? pickWeight(second, logits, eps2) : Value();
  if (!weight2 || eps1 != eps2)
    return std::nullopt;
  auto joined = [&](Value a, Value b) -> Value {
    for (Operation *user : a.getUsers()) {
      int64_t rank = tensorType(a).getRank();
      if (isOnnx(user, {"Concat"}) && user->getNumOperands() == 2 && user->getOperand(0) == a &&
          user->getOperand(1) == b && axisOf(user, "axis", 0, rank) == rank - 1)
        return user->getResult(0);
    }
    return {};
  };
  Value weights = joined(weight1, weight2), indices = joined(first->getResult(0), second->getResult(0));
  if (!weights || !indices)
    return std::nullopt;
  Router router;
  router.anchor = first;
  router.logits = logits;
  router.numExperts = type.getShape().back();
  router.k = 2;
  router.score = ScoreFn::SparseMixer;
  router.sparsemixerEps = eps1;
  router.indices = {indices};
  router.weights = {weights};
  // Concat keeps the token axes.
  for (Value value : {weights, indices}) {
    Layout in = axes.layout(logits), out = axes.layout(value);
    for (size_t i = 0; i + 1 < in.size(); ++i)
      if (!axes.space.unify(in[i], out[i]))
        return std::nullopt;
  }
  return router;
}
