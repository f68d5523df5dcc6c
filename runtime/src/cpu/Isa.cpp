// Isa.cpp - CPUID says what the processor has, XCR0 what the system saves; a variant needs both.
#include "cpu/Isa.h"

#include <cpuid.h>
#include <cstdint>
#include <sys/syscall.h>
#include <unistd.h>

namespace moe {
namespace {
struct Registers {
  unsigned a = 0, b = 0, c = 0, d = 0;
};
Registers cpuid(unsigned leaf, unsigned subleaf = 0) {
  Registers r;
  __get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d);
  return r;
}
bool has(unsigned word, std::initializer_list<int> bits) {
  for (int bit : bits)
    if (!(word >> bit & 1))
      return false;
  return true;
}

struct Processor {
  Registers basic, features, features1, extended;
  uint64_t saved = 0; // XCR0
  bool v2, v3, v4;

  Processor() : basic(cpuid(1)), features(cpuid(7)), features1(cpuid(7, 1)), extended(cpuid(0x80000001)) {
    if (has(basic.c, {27})) { // OSXSAVE
      unsigned low, high;
      __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
      saved = uint64_t(high) << 32 | low;
    }
    bool ymm = (saved & 0x6) == 0x6, zmm = (saved & 0xe6) == 0xe6;
    v2 = has(basic.c, {0, 9, 13, 19, 20, 23}) && has(extended.c, {0}); // sse3 ssse3 cx16 sse4.1 sse4.2 popcnt lahf
    v3 = v2 && ymm && has(basic.c, {12, 22, 28, 29}) && has(features.b, {3, 5, 8}) &&
         has(extended.c, {5});                               // fma movbe avx f16c bmi1 avx2 bmi2 lzcnt
    v4 = v3 && zmm && has(features.b, {16, 17, 28, 30, 31}); // avx512 f dq cd bw vl
  }

  bool feature(std::string_view name) const {
    if (name == "avx512bf16")
      return v4 && has(features1.a, {5});
    if (name == "avx512vbmi")
      return v4 && has(features.c, {1});
    if (name == "avx512fp16")
      return v4 && has(features.d, {23});
    if (name == "gfni")
      return has(features.c, {8});
    if (name == "amx-bf16") // tiles also need a permission that the system gives to the process
      return has(features.d, {22, 24}) && (saved & 0x60000) == 0x60000 && syscall(SYS_arch_prctl, 0x1023, 18) == 0;
    return false;
  }
};
} // namespace

bool processorMeets(std::string_view isa) {
  static const Processor processor;
  std::string_view level = isa.substr(0, isa.find('+'));
  bool met = level == "x86-64-v2"   ? processor.v2
             : level == "x86-64-v3" ? processor.v3
             : level == "x86-64-v4" ? processor.v4
                                    : false;
  for (isa.remove_prefix(level.size()); met && !isa.empty();) {
    isa.remove_prefix(1);
    std::string_view name = isa.substr(0, isa.find('+'));
    met = processor.feature(name);
    isa.remove_prefix(name.size());
  }
  return met;
}
} // namespace moe
