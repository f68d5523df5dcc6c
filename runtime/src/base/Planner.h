// Planner.h - packs temporaries into one arena: buffers whose lifetimes overlap get places that do not.
#ifndef MOE_BASE_PLANNER_H
#define MOE_BASE_PLANNER_H

#include <cstdint>
#include <vector>

namespace moe {

struct Lifetime {
  uint64_t size;       // bytes
  int64_t first, last; // steps, inclusive
};

/// The offset of every buffer, a multiple of |alignment|; |outSize| is the arena's size. Buffers of size 0 get offset
/// 0. Largest first, each at the smallest gap that holds it. Sizes must sum to less than 2^63.
std::vector<uint64_t> packArena(const std::vector<Lifetime> &buffers, uint64_t alignment, uint64_t &outSize);

} // namespace moe
#endif // MOE_BASE_PLANNER_H
