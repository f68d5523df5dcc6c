// Unicode.h - what tokenizers need of Unicode: general categories, white space, canonical composition (NFC).
#ifndef MOE_RUN_UNICODE_H
#define MOE_RUN_UNICODE_H

#include <cstdint>
#include <string>
#include <string_view>

namespace moe {

/// The number of a code point's general category, in the order "Lu Ll Lt Lm Lo Mn ..." of UnicodeTables.inc.
int categoryOf(uint32_t code);
/// Bits of the categories that |name| ("L", "Lu", "P", ...) stands for; 0 if there is no such category.
uint32_t categoryMask(std::string_view name);
bool isSpace(uint32_t code);

/// Normalization form C.
std::u32string composeCanonically(const std::u32string &text);

/// Decodes UTF-8; each maximal malformed part becomes U+FFFD.
std::u32string fromUtf8(std::string_view text);
std::string toUtf8(std::u32string_view text);

} // namespace moe
#endif // MOE_RUN_UNICODE_H
