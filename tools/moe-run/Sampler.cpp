// Sampler.cpp - see Sampler.h.
#include "Sampler.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace moe {

int64_t Sampler::choose(const float *logits, int64_t size) {
  auto value = [&](int64_t i) { return std::isnan(logits[i]) ? -std::numeric_limits<float>::infinity() : logits[i]; };
  auto larger = [&](int64_t a, int64_t b) { return value(a) != value(b) ? value(a) > value(b) : a < b; };
  if (options.temperature <= 0) {
    int64_t best = 0;
    for (int64_t i = 1; i < size; ++i)
      if (value(i) > value(best))
        best = i;
    return best;
  }
  order.resize(size_t(size));
  std::iota(order.begin(), order.end(), int64_t(0));
  size_t kept = options.topK > 0 ? size_t(std::min(options.topK, size)) : size_t(size);
  std::partial_sort(order.begin(), order.begin() + std::ptrdiff_t(kept), order.end(), larger);
  double most = value(order[0]), sum = 0;
  weights.assign(kept, 0);
  for (size_t i = 0; i < kept; ++i) {
    double distance =
        value(order[i]) == most ? 0 : (value(order[i]) - most) / options.temperature; // also when both are infinite
    sum += weights[i] = std::exp(distance);
  }
  if (options.topP < 1) {
    double reached = 0;
    size_t needed = 0;
    while (needed < kept && (needed == 0 || reached < options.topP * sum))
      reached += weights[needed++];
    kept = needed, sum = reached;
  }
  double at = random.uniform() * sum;
  for (size_t i = 0; i + 1 < kept; ++i) {
    if (at < weights[i])
      return order[i];
    at -= weights[i];
  }
  return order[kept - 1];
}
} // namespace moe
