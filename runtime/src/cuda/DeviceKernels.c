// DeviceKernels.c - the runtime's own device kernels. tools/dev/gen-device-kernels compiles them to DeviceKernels.ptx.inc,
// which is what the runtime holds; building the runtime needs no compiler for devices.
#include "moe/random_values.h"

#define KERNEL __attribute__((nvptx_kernel)) void

static uint64_t thread(void) {
  return (uint64_t)__nvvm_read_ptx_sreg_ctaid_x() * __nvvm_read_ptx_sreg_ntid_x() + __nvvm_read_ptx_sreg_tid_x();
}
static uint64_t threads(void) { return (uint64_t)__nvvm_read_ptx_sreg_nctaid_x() * __nvvm_read_ptx_sreg_ntid_x(); }

typedef uint32_t words_t __attribute__((ext_vector_type(4)));
#define GLOBAL __attribute__((address_space(1)))

// Fills |count| words of 16 bytes with random elements; the memory ends at a whole word.
KERNEL moe_fill(words_t GLOBAL *out, uint64_t count, uint64_t seed, uint32_t distribution, float first, float second,
                uint32_t dtype) {
  moe_random_t random = {seed, distribution, first, second};
  uint32_t size = moe_random_element_size(dtype), each = 4 / size;
  for (uint64_t i = thread(); i < count; i += threads()) {
    words_t word;
#pragma unroll
    for (uint32_t w = 0; w < 4; ++w) {
      uint32_t value = 0;
      for (uint32_t e = 0; e < each; ++e)
        value |= moe_random_element(&random, dtype, (i * 4 + w) * each + e) << (8 * size * e);
      word[w] = value;
    }
    out[i] = word;
  }
}

// Reads |count| words of 16 bytes, to measure how fast that goes. |out| is written for one sum in 2^32, so that the reads
// are not left out.
KERNEL moe_read(const words_t GLOBAL *in, uint64_t count, uint32_t GLOBAL *out) {
  uint64_t step = threads(), i = thread();
  words_t sum = 0;
  for (; i + 7 * step < count; i += 8 * step) {
    words_t a[8];
    for (int k = 0; k < 8; ++k)
      a[k] = in[i + k * step];
    for (int k = 0; k < 8; ++k)
      sum ^= a[k];
  }
  for (; i < count; i += step)
    sum ^= in[i];
  if ((sum.x ^ sum.y ^ sum.z ^ sum.w) == 0x9e3779b9u)
    *out = sum.x;
}
