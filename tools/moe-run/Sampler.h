// Sampler.h - chooses the next token from a row of logits.
#ifndef MOE_RUN_SAMPLER_H
#define MOE_RUN_SAMPLER_H

#include "Random.h"

#include <vector>

namespace moe {

struct SamplerOptions {
  double temperature = 0; // 0: the largest logit, the lowest id of equals
  int64_t topK = 0;       // only the K largest; 0: all
  double topP = 1;        // of those, the fewest whose probabilities sum to at least P
  uint64_t seed = 0;
};

class Sampler {
public:
  explicit Sampler(const SamplerOptions &options) : options(options), random(options.seed) {}
  /// NaN counts as minus infinity. |size| >= 1.
  int64_t choose(const float *logits, int64_t size);

private:
  SamplerOptions options;
  Random random;
  std::vector<int64_t> order;
  std::vector<double> weights;
};

} // namespace moe
#endif // MOE_RUN_SAMPLER_H
