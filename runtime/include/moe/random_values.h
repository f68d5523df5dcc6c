// random_values.h - the values of random weights: what the compiler evaluates, the runtime fills memory with, and the
// device kernel writes are the same bits, since all three compile this file.
//
// Element |index| of a tensor depends on its seed, its distribution and |index| alone:
//   bits    = splitmix64(seed + (index + 1) * golden ratio)
//   uniform = first + (second - first) * u, u in [0, 1) with 24 bits
//   normal  = first + second * z, z the sum of four 16-bit uniforms, centred and scaled to deviation 1 (|z| < 3.47)
// computed in f32 with one rounding an operation, then rounded to the element type: nearest even, 8-bit types saturate.
// Nothing here calls a library. Compile with contraction off (no fused multiply-add).
#ifndef MOE_RANDOM_VALUES_H
#define MOE_RANDOM_VALUES_H

#include <stdint.h>

#if defined(__clang__)
#pragma clang fp contract(off)
#endif

enum { MOE_RANDOM_UNIFORM = 0, MOE_RANDOM_NORMAL = 1 };

typedef struct moe_random_t {
  uint64_t seed;
  uint32_t distribution; // MOE_RANDOM_...
  float first, second;   // uniform: low and high; normal: mean and deviation
} moe_random_t;

static inline uint64_t moe_random_bits(uint64_t seed, uint64_t index) {
  uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// The element as f32, before it is rounded to its type.
static inline float moe_random_value(const moe_random_t *random, uint64_t index) {
  uint64_t bits = moe_random_bits(random->seed, index);
  if (random->distribution == MOE_RANDOM_UNIFORM) {
    float u = (float)(int32_t)(bits >> 40) * 0x1p-24f;
    float width = random->second - random->first;
    float scaled = width * u;
    return random->first + scaled;
  }
  int32_t sum = (int32_t)(bits & 0xffff) + (int32_t)((bits >> 16) & 0xffff) + (int32_t)((bits >> 32) & 0xffff) +
                (int32_t)(bits >> 48) - 131070;
  float z = (float)sum * 2.64290065e-5f; // 1 / sqrt(4 * (65536^2 - 1) / 12)
  float scaled = random->second * z;
  return random->first + scaled;
}

// Rounds an f32 (its bits) to a narrower format: nearest even; what is beyond |most|, the code of the largest finite
// value or of infinity, becomes |most|. |mantissa| and |bias| are the format's.
static inline uint32_t moe_round_float(uint32_t bits, int mantissa, int bias, uint32_t most, int sign_at) {
  uint32_t sign = bits >> 31, magnitude = bits & 0x7fffffffu, fraction = magnitude & 0x7fffffu;
  int exponent = (int)(magnitude >> 23);
  if (exponent)
    fraction |= 0x800000u;
  else
    exponent = 1;
  exponent += bias - 127;
  int shift = 23 - mantissa;
  if (exponent < 1) { // subnormal in the narrower format
    shift += 1 - exponent;
    exponent = 1;
  }
  uint32_t code = 0;
  if (shift < 26) {
    uint32_t kept = fraction >> shift, rest = fraction & ((1u << shift) - 1), half = 1u << (shift - 1);
    kept += rest > half || (rest == half && (kept & 1));
    code = ((uint32_t)(exponent - 1) << mantissa) + kept;
  }
  if (code > most)
    code = most;
  return sign << sign_at | code;
}

static inline uint32_t moe_float_bits(float value) {
  union {
    float value;
    uint32_t bits;
  } u;
  u.value = value;
  return u.bits;
}

// The bits of the element in |dtype| (moe_dtype_t): float32, float16, bfloat16, float8e4m3fn or float8e5m2.
static inline uint32_t moe_random_element(const moe_random_t *random, uint32_t dtype, uint64_t index) {
  uint32_t bits = moe_float_bits(moe_random_value(random, index));
  switch (dtype) {
  case 2:
    return moe_round_float(bits, 10, 15, 0x7c00, 15);
  case 3:
    return moe_round_float(bits, 7, 127, 0x7f80, 15);
  case 14:
    return moe_round_float(bits, 3, 7, 0x7e, 7);
  case 15:
    return moe_round_float(bits, 2, 15, 0x7b, 7);
  default:
    return bits;
  }
}

// Bytes of an element of |dtype|; 0: no such random values.
static inline uint32_t moe_random_element_size(uint32_t dtype) {
  return dtype == 1 ? 4 : dtype == 2 || dtype == 3 ? 2 : dtype == 14 || dtype == 15 ? 1 : 0;
}

#endif // MOE_RANDOM_VALUES_H
