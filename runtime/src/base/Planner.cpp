// Planner.cpp - see Planner.h.
#include "base/Planner.h"

#include <algorithm>
#include <numeric>

namespace moe {

std::vector<uint64_t> packArena(const std::vector<Lifetime> &buffers, uint64_t alignment, uint64_t &outSize) {
  std::vector<uint32_t> order(buffers.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return buffers[a].size != buffers[b].size ? buffers[a].size > buffers[b].size : a < b;
  });
  struct Placed {
    uint64_t begin, end;
    int64_t first, last;
  };
  std::vector<Placed> placed; // sorted by begin
  std::vector<uint64_t> offsets(buffers.size(), 0);
  outSize = 0;
  for (uint32_t index : order) {
    const Lifetime &buffer = buffers[index];
    if (buffer.size == 0)
      continue;
    uint64_t size = (buffer.size + alignment - 1) / alignment * alignment;
    uint64_t best = UINT64_MAX, bestGap = UINT64_MAX, end = 0;
    for (const Placed &other : placed) {
      if (other.last < buffer.first || other.first > buffer.last)
        continue;
      if (other.begin > end && other.begin - end >= size && other.begin - end < bestGap)
        best = end, bestGap = other.begin - end;
      end = std::max(end, other.end);
    }
    if (best == UINT64_MAX)
      best = end;
    offsets[index] = best;
    outSize = std::max(outSize, best + size);
    Placed place{best, best + size, buffer.first, buffer.last};
    placed.insert(std::upper_bound(placed.begin(), placed.end(), place,
                                   [](const Placed &a, const Placed &b) { return a.begin < b.begin; }),
                  place);
  }
  return offsets;
}
} // namespace moe
