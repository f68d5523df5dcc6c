//===- Routing.cpp - experts and weights of a token -----------------------===//
#include "Routing.h"

#include <cmath>

using namespace mlir;
using namespace mlir::moe;

/// Positions of the k largest values: value descending, then index ascending; NaN counts as -inf.
static SmallVector<int64_t> largest(ArrayRef<float> values, int64_t k) {
  auto key = [&](int64_t i) { return std::isnan(values[i]) ? -INFINITY : values[i]; };
  SmallVector<int64_t> order = llvm::to_vector(llvm::seq<int64_t>(0, values.size()));
  llvm::sort(order, [&](int64_t a, int64_t b) { return key(a) != key(b) ? key(a) > key(b) : a < b; });
  order.truncate(k);
  return order;
}

static void softmax(MutableArrayRef<float> values) {
  float max = -INFINITY, sum = 0;
  for (float v : values)
    max = std::fmax(max, v);
  for (float &v : values)
    sum += v = std::exp(v - max);
  for (float &v : values)
    v /= sum;
}

static float sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

/// Two picks; each weight is the softmax, at the pick, over the logits close enough to the largest one left.
static Route sparseMixer(const Router &router, ArrayRef<float> logits) {
  float threshold = 2 * router.sparsemixerEps;
  SmallVector<float> left(logits);
  Route route;
  for (int pick = 0; pick < 2; ++pick) {
    int64_t best = largest(left, 1)[0];
    float max = left[best], sum = 0;
    for (size_t e = 0; e < left.size(); ++e) {
      float l = logits[e];
      if (std::isinf(left[e]) || (max - l) / std::fmax(std::fabs(l), max) > threshold)
        continue;
      sum += std::exp(l - max);
    }
    route.experts.push_back(best);
    route.weights.push_back(1 / sum * router.scale); // exp(max - max) over the sum
    left[best] = -INFINITY;
  }
  return route;
}

static SmallVector<float> scores(const Router &router, ArrayRef<float> logits) {
  SmallVector<float> s(logits);
  if (router.score == ScoreFn::Softmax)
    softmax(s);
  if (router.score == ScoreFn::Sigmoid)
    for (float &v : s)
      v = sigmoid(v);
  return s;
}

/// Fills the choice scores of experts outside the best groups.
static void limitGroups(const Router &router, MutableArrayRef<float> choice) {
  int64_t groups = router.numGroups, size = choice.size() / groups;
  SmallVector<float> groupScores;
  for (int64_t g = 0; g < groups; ++g) {
    ArrayRef<float> members = choice.slice(g * size, size);
    SmallVector<int64_t> best = largest(members, router.groupScore == GroupScore::Max ? 1 : 2);
    float score = 0;
    for (int64_t i : best)
      score += members[i];
    groupScores.push_back(score);
  }
  SmallVector<int64_t> kept = largest(groupScores, router.topGroups);
  for (int64_t e = 0; e < static_cast<int64_t>(choice.size()); ++e)
    if (!llvm::is_contained(kept, e / size))
      choice[e] = router.groupFill == GroupFill::Zero ? 0 : -INFINITY;
}

Route moe::routeToken(const Router &router, ArrayRef<float> logits, ArrayRef<float> bias) {
  if (router.score == ScoreFn::SparseMixer)
    return sparseMixer(router, logits);
  SmallVector<float> score = scores(router, logits), choice(score);
  for (auto [c, b] : llvm::zip(choice, bias))
    c += b;
  if (router.numGroups > 1)
    limitGroups(router, choice);
  Route route;
  route.experts = largest(choice, router.k);
  for (int64_t e : route.experts)
    route.weights.push_back(score[e]);
  SmallVector<float> &w = route.weights;
  if (router.weightFn == WeightFn::Softmax)
    softmax(w);
  if (router.weightFn == WeightFn::Sigmoid)
    for (float &v : w)
      v = sigmoid(v);
  float eps = router.normEps, p = router.normP, divisor = 0;
  for (float v : w)
    divisor += router.normalize == Normalize::PNorm ? std::pow(std::fabs(v), p) : v;
  switch (router.normalize) {
  case Normalize::None:
    divisor = 1;
    break;
  case Normalize::SumPlusEps:
    divisor += eps;
    break;
  case Normalize::SumMaxEps:
    divisor = std::fmax(divisor, eps);
    break;
  case Normalize::PNorm:
    divisor = std::pow(divisor, 1 / p);
    break;
  }
  for (float &v : w)
    v = v / divisor * router.scale;
  return route;
}
