// Random.h - a small seeded generator (xoshiro256**), the same on every machine.
#ifndef MOE_RUN_RANDOM_H
#define MOE_RUN_RANDOM_H

#include <cmath>
#include <cstdint>

namespace moe {

class Random {
public:
  explicit Random(uint64_t seed) {
    for (uint64_t &word : state) { // splitmix64
      seed += 0x9e3779b97f4a7c15;
      uint64_t z = seed;
      z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
      z = (z ^ z >> 27) * 0x94d049bb133111eb;
      word = z ^ z >> 31;
    }
  }
  uint64_t bits() {
    uint64_t result = rotate(state[1] * 5, 7) * 9, shifted = state[1] << 17;
    state[2] ^= state[0], state[3] ^= state[1], state[1] ^= state[2], state[0] ^= state[3];
    state[2] ^= shifted, state[3] = rotate(state[3], 45);
    return result;
  }
  /// In [0, 1).
  double uniform() { return double(bits() >> 11) * 0x1p-53; }
  /// In [0, count).
  uint64_t below(uint64_t count) { return uint64_t((unsigned __int128)bits() * count >> 64); }
  /// N(0, 1).
  double normal() { return std::sqrt(-2 * std::log(1 - uniform())) * std::cos(6.283185307179586 * uniform()); }

private:
  static uint64_t rotate(uint64_t word, int by) { return word << by | word >> (64 - by); }
  uint64_t state[4];
};

} // namespace moe
#endif // MOE_RUN_RANDOM_H
