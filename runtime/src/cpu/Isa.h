// Isa.h - does this processor, and the system's saved state, meet a variant's needs?
#ifndef MOE_CPU_ISA_H
#define MOE_CPU_ISA_H

#include <string_view>

namespace moe {

/// |isa| is "x86-64-v2", "x86-64-v3" or "x86-64-v4" (the levels of the x86-64 psABI), optionally followed by "+feature"
/// parts of: avx512bf16, avx512vbmi, avx512fp16, gfni, amx-bf16. False for anything else.
bool processorMeets(std::string_view isa);

} // namespace moe
#endif // MOE_CPU_ISA_H
