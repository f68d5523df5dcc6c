// Unicode.cpp - see Unicode.h.
#include "Unicode.h"
#include "base/Utf8.h"

#include <algorithm>
#include <iterator>
#include <unordered_map>
#include <vector>

namespace moe {
namespace {
struct Decomposition {
  uint32_t code, first, second;
  bool composes;
};
#include "UnicodeTables.inc"

template <size_t Size> uint32_t lookUp(const uint32_t (&table)[Size], uint32_t code, uint32_t before) {
  const uint32_t *after = std::upper_bound(std::begin(table), std::end(table), code << 8 | 255);
  return after == std::begin(table) ? before : after[-1] & 255;
}
uint32_t combiningClass(uint32_t code) { return code < 0x300 ? 0 : lookUp(kCombiningRanges, code, 0); }

// Hangul syllables are composed by arithmetic.
constexpr uint32_t kSyllable = 0xac00, kLead = 0x1100, kVowel = 0x1161, kTail = 0x11a7, kVowels = 21, kTails = 28,
                   kSyllables = 11172;

void decompose(uint32_t code, std::u32string &out) {
  if (code - kSyllable < kSyllables) {
    uint32_t index = code - kSyllable;
    out += char32_t(kLead + index / (kVowels * kTails));
    out += char32_t(kVowel + index / kTails % kVowels);
    if (index % kTails)
      out += char32_t(kTail + index % kTails);
    return;
  }
  auto found = std::lower_bound(std::begin(kDecompositions), std::end(kDecompositions), code,
                                [](const Decomposition &d, uint32_t c) { return d.code < c; });
  if (found == std::end(kDecompositions) || found->code != code) {
    out += char32_t(code);
    return;
  }
  decompose(found->first, out);
  if (found->second)
    decompose(found->second, out);
}

uint32_t compose(uint32_t first, uint32_t second) {
  static const std::unordered_map<uint64_t, uint32_t> pairs = [] {
    std::unordered_map<uint64_t, uint32_t> map;
    for (const Decomposition &d : kDecompositions)
      if (d.composes)
        map[uint64_t(d.first) << 32 | d.second] = d.code;
    return map;
  }();
  if (first - kLead < 19 && second - kVowel < kVowels)
    return kSyllable + ((first - kLead) * kVowels + (second - kVowel)) * kTails;
  if (first - kSyllable < kSyllables && (first - kSyllable) % kTails == 0 && second - kTail - 1 < kTails - 1)
    return first + (second - kTail);
  auto found = pairs.find(uint64_t(first) << 32 | second);
  return found == pairs.end() ? 0 : found->second;
}
} // namespace

int categoryOf(uint32_t code) { return int(lookUp(kCategoryRanges, code, 0)); }

uint32_t categoryMask(std::string_view name) {
  static constexpr std::string_view kNames = "LuLlLtLmLoMnMcMeNdNlNoPcPdPsPePiPfPoSmScSkSoZsZlZpCcCfCsCoCn";
  uint32_t mask = 0;
  for (size_t i = 0; i < kNames.size(); i += 2)
    if ((name.size() == 1 && kNames[i] == name[0]) || name == kNames.substr(i, 2))
      mask |= 1u << i / 2;
  return mask;
}

bool isSpace(uint32_t code) {
  return (code >= 9 && code <= 13) || code == 32 || code == 0x85 || code == 0xa0 || code == 0x1680 ||
         (code >= 0x2000 && code <= 0x200a) || code == 0x2028 || code == 0x2029 || code == 0x202f || code == 0x205f ||
         code == 0x3000;
}

std::u32string composeCanonically(const std::u32string &text) {
  if (std::all_of(text.begin(), text.end(), [](char32_t code) { return code < 0x300; }))
    return text;
  std::u32string parts;
  for (char32_t code : text)
    decompose(code, parts);
  for (size_t begin = 0; begin < parts.size();) { // marks of one base in the order of their classes
    size_t end = begin + 1;
    if (combiningClass(parts[begin])) {
      while (end < parts.size() && combiningClass(parts[end]))
        ++end;
      std::vector<std::pair<uint32_t, size_t>> order; // equal classes keep their order
      for (size_t i = begin; i < end; ++i)
        order.push_back({combiningClass(parts[i]), i});
      std::sort(order.begin(), order.end());
      std::u32string sorted;
      for (const auto &mark : order)
        sorted += parts[mark.second];
      parts.replace(begin, end - begin, sorted);
    }
    begin = end;
  }
  std::u32string out;
  size_t base = SIZE_MAX;
  uint32_t last = 0; // the class of the last mark kept since the base
  for (char32_t code : parts) {
    uint32_t mark = combiningClass(code);
    bool adjacent = base != SIZE_MAX && base + 1 == out.size();
    if (base != SIZE_MAX && (adjacent || (last < mark && last != 0)))
      if (uint32_t composed = compose(out[base], code)) {
        out[base] = char32_t(composed);
        continue;
      }
    if (mark == 0)
      base = out.size(), last = 0;
    else
      last = mark;
    out += code;
  }
  return out;
}

std::u32string fromUtf8(std::string_view text) {
  std::u32string out;
  for (size_t at = 0; at < text.size();) {
    int length = utf8Length(text, at);
    if (length > 0) {
      out += char32_t(utf8Decode(text, at, length));
      at += size_t(length);
    } else {
      out += U'\uFFFD';
      at += utf8MalformedLength(text, at);
    }
  }
  return out;
}

std::string toUtf8(std::u32string_view text) {
  std::string out;
  for (char32_t code : text)
    appendUtf8(out, code);
  return out;
}
} // namespace moe
