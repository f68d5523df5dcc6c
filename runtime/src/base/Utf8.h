// Utf8.h - encoding and decoding single code points.
#ifndef MOE_BASE_UTF8_H
#define MOE_BASE_UTF8_H

#include <cstdint>
#include <string>
#include <string_view>

namespace moe {

inline void appendUtf8(std::string &out, uint32_t code) {
  if (code < 0x80) {
    out += char(code);
  } else if (code < 0x800) {
    out += char(0xc0 | code >> 6), out += char(0x80 | (code & 63));
  } else if (code < 0x10000) {
    out += char(0xe0 | code >> 12), out += char(0x80 | (code >> 6 & 63)), out += char(0x80 | (code & 63));
  } else {
    out += char(0xf0 | code >> 18), out += char(0x80 | (code >> 12 & 63));
    out += char(0x80 | (code >> 6 & 63)), out += char(0x80 | (code & 63));
  }
}

/// Bytes of the well-formed sequence at |at|; 0 if it is malformed, -1 if it is only cut off by the text's end.
inline int utf8Length(std::string_view text, size_t at) {
  unsigned char first = (unsigned char)text[at];
  int length = first < 0x80                    ? 1
               : first >= 0xc2 && first < 0xe0 ? 2
               : first >= 0xe0 && first < 0xf0 ? 3
               : first >= 0xf0 && first < 0xf5 ? 4
                                               : 0;
  for (int i = 1; i < length; ++i) {
    if (at + i >= text.size())
      return -1;
    unsigned char byte = (unsigned char)text[at + i];
    unsigned char low = 0x80, high = 0xbf;
    if (i == 1) { // no overlong forms, no surrogates, nothing above U+10FFFF
      low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : low;
      high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : high;
    }
    if (byte < low || byte > high)
      return 0;
  }
  return length;
}

/// Bytes at |at| that one replacement character stands for: the longest part that begins a well-formed sequence, at
/// least one.
inline size_t utf8MalformedLength(std::string_view text, size_t at) {
  for (size_t length = 3; length > 1; --length)
    if (at + length <= text.size() && utf8Length(text.substr(0, at + length), at) == -1)
      return length;
  return 1;
}

/// The code point of the well-formed sequence of |length| bytes at |at|.
inline uint32_t utf8Decode(std::string_view text, size_t at, int length) {
  auto byte = [&](int i) { return uint32_t((unsigned char)text[at + i]); };
  switch (length) {
  case 1:
    return byte(0);
  case 2:
    return (byte(0) & 31) << 6 | (byte(1) & 63);
  case 3:
    return (byte(0) & 15) << 12 | (byte(1) & 63) << 6 | (byte(2) & 63);
  default:
    return (byte(0) & 7) << 18 | (byte(1) & 63) << 12 | (byte(2) & 63) << 6 | (byte(3) & 63);
  }
}

} // namespace moe
#endif // MOE_BASE_UTF8_H
