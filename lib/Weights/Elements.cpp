//===- Elements.cpp - number formats of tensor elements in memory ---------===//
#include "moe/Weights/Elements.h"

#include "llvm/ADT/StringExtras.h"
#include <array>
#include <cmath>
#include <cstring>
#include <memory>

using namespace mlir;
using namespace mlir::moe;

std::optional<Element> moe::getElement(Type type) {
  if (type.isIndex())
    return Element::I64;
  if (auto integer = dyn_cast<IntegerType>(type)) {
    bool isUnsigned = integer.isUnsigned();
    switch (integer.getWidth()) {
    case 1:
      return Element::I1;
    case 2:
      return isUnsigned ? Element::U2 : Element::I2;
    case 4:
      return isUnsigned ? Element::U4 : Element::I4;
    case 8:
      return isUnsigned ? Element::U8 : Element::I8;
    case 16:
      return isUnsigned ? Element::U16 : Element::I16;
    case 32:
      return isUnsigned ? Element::U32 : Element::I32;
    case 64:
      return isUnsigned ? Element::U64 : Element::I64;
    default:
      return std::nullopt;
    }
  }
  if (isa<Float4E2M1FNType>(type))
    return Element::F4E2M1FN;
  if (isa<Float8E4M3FNType>(type))
    return Element::F8E4M3FN;
  if (isa<Float8E5M2Type>(type))
    return Element::F8E5M2;
  if (isa<Float8E4M3FNUZType>(type))
    return Element::F8E4M3FNUZ;
  if (isa<Float8E5M2FNUZType>(type))
    return Element::F8E5M2FNUZ;
  if (isa<Float8E8M0FNUType>(type))
    return Element::F8E8M0FNU;
  if (type.isF16())
    return Element::F16;
  if (type.isBF16())
    return Element::BF16;
  if (type.isF32())
    return Element::F32;
  if (type.isF64())
    return Element::F64;
  return std::nullopt;
}

bool moe::isFloat(Element element) { return element >= Element::F4E2M1FN; }
bool moe::isUnsigned(Element element) { return element >= Element::U2 && element <= Element::U64; }

unsigned moe::packedBits(Element element) {
  switch (element) {
  case Element::I2:
  case Element::U2:
    return 2;
  case Element::I4:
  case Element::U4:
  case Element::F4E2M1FN:
    return 4;
  case Element::I16:
  case Element::U16:
  case Element::F16:
  case Element::BF16:
    return 16;
  case Element::I32:
  case Element::U32:
  case Element::F32:
    return 32;
  case Element::I64:
  case Element::U64:
  case Element::F64:
    return 64;
  default:
    return 8;
  }
}

unsigned moe::elementBytes(Element element) { return std::max(1u, packedBits(element) / 8); }
int64_t moe::packedBytes(Element element, int64_t count) { return (count * packedBits(element) + 7) / 8; }

//===----------------------------------------------------------------------===//
// Small float formats
//===----------------------------------------------------------------------===//

namespace {
/// value = (-1)^s * 2^(max(e, 1) - bias) * (e != 0) . m
struct Format {
  int mantissa, bias;
  uint16_t sign;      // the sign bit
  uint16_t maxFinite; // bits of the largest finite value
  uint16_t nan;       // bits of a NaN; 0 when there is none
  uint16_t infinity;  // bits of infinity; 0 when there is none
  bool negativeZero;
};
} // namespace

static Format format(Element element) {
  switch (element) {
  case Element::F4E2M1FN:
    return {1, 1, 0x8, 0x7, 0, 0, true};
  case Element::F8E4M3FN:
    return {3, 7, 0x80, 0x7E, 0x7F, 0, true};
  case Element::F8E5M2:
    return {2, 15, 0x80, 0x7B, 0x7F, 0x7C, true};
  case Element::F8E4M3FNUZ:
    return {3, 8, 0x80, 0x7F, 0x80, 0, false};
  case Element::F8E5M2FNUZ:
    return {2, 16, 0x80, 0x7F, 0x80, 0, false};
  case Element::F16:
    return {10, 15, 0x8000, 0x7BFF, 0x7E00, 0x7C00, true};
  default: // BF16
    return {7, 127, 0x8000, 0x7F7F, 0x7FC0, 0x7F80, true};
  }
}

/// 2^ceil(log2 |value|), clamped to the codes 0..254; NaN is 255. The format has no zero and no sign.
static uint16_t encodeE8M0(double value) {
  if (std::isnan(value))
    return 0xFF;
  value = std::fabs(value);
  if (std::isinf(value))
    return 0xFE;
  if (value <= std::ldexp(1.0, -127))
    return 0;
  int exponent;
  double fraction = std::frexp(value, &exponent); // value = fraction * 2^exponent, fraction in [0.5, 1)
  if (fraction == 0.5)
    --exponent;
  return static_cast<uint16_t>(std::min(exponent + 127, 254));
}

uint16_t moe::encodeFloat(Element element, double value, Overflow overflow) {
  if (element == Element::F8E8M0FNU)
    return encodeE8M0(value);
  const Format f = format(element);
  uint64_t bits;
  std::memcpy(&bits, &value, 8);
  uint16_t sign = bits >> 63 ? f.sign : 0;
  if (std::isnan(value))
    return f.negativeZero ? f.nan | sign : f.nan;
  bool wide = element == Element::F16 || element == Element::BF16;
  auto beyond = [&]() -> uint16_t {
    if (overflow == Overflow::Saturate && !wide)
      return f.maxFinite | sign;
    if (f.infinity)
      return f.infinity | sign;
    return f.nan ? (f.negativeZero ? f.nan | sign : f.nan) : f.maxFinite | sign;
  };
  int exponent = static_cast<int>(bits >> 52 & 0x7FF) - 1023;
  if (exponent == 1024)
    return beyond();
  uint64_t mantissa = bits & ((uint64_t(1) << 52) - 1);
  if (exponent == -1023) // zero, or far below every format's smallest value
    return f.negativeZero ? sign : 0;
  mantissa |= uint64_t(1) << 52;
  // `code` counts units of the smallest step at this exponent.
  int base = std::max(exponent, 1 - f.bias);
  int shift = base - f.mantissa - exponent + 52;
  uint64_t code = 0;
  if (shift <= 54) {
    code = mantissa >> shift;
    uint64_t rest = mantissa & ((uint64_t(1) << shift) - 1), half = uint64_t(1) << (shift - 1);
    if (rest > half || (rest == half && (code & 1)))
      ++code;
  }
  code += static_cast<uint64_t>(base - (1 - f.bias)) << f.mantissa;
  if (code > f.maxFinite)
    return beyond();
  if (code == 0 && !f.negativeZero)
    return 0;
  return static_cast<uint16_t>(code) | sign;
}

/// Values of all codes of a format of at most 16 bits.
static const float *decodeTable(Element element) {
  static std::array<std::unique_ptr<float[]>, 32> tables = [] {
    std::array<std::unique_ptr<float[]>, 32> all;
    for (Element e : {Element::F4E2M1FN, Element::F8E4M3FN, Element::F8E5M2, Element::F8E4M3FNUZ, Element::F8E5M2FNUZ,
                      Element::F8E8M0FNU, Element::F16}) {
      int codes = e == Element::F16 ? 65536 : 256;
      auto values = std::make_unique<float[]>(codes);
      for (int code = 0; code < codes; ++code) {
        if (e == Element::F8E8M0FNU) {
          values[code] = code == 255 ? NAN : static_cast<float>(std::ldexp(1.0, code - 127));
          continue;
        }
        const Format f = format(e);
        int magnitude = code & (f.sign - 1);
        bool negative = code & f.sign;
        double value = magnitude >> f.mantissa ? std::ldexp((1 << f.mantissa) + (magnitude & ((1 << f.mantissa) - 1)),
                                                            (magnitude >> f.mantissa) - f.bias - f.mantissa)
                                               : std::ldexp(magnitude, 1 - f.bias - f.mantissa);
        if (!f.negativeZero && code == f.nan)
          value = NAN;
        else if (magnitude > f.maxFinite)
          value = f.infinity && magnitude == f.infinity ? INFINITY : NAN;
        values[code] = static_cast<float>(negative ? -value : value);
      }
      all[static_cast<int>(e)] = std::move(values);
    }
    return all;
  }();
  return tables[static_cast<int>(element)].get();
}

float moe::decodeFloat(Element element, uint16_t bits) {
  if (element == Element::BF16) {
    uint32_t wide = static_cast<uint32_t>(bits) << 16;
    float value;
    std::memcpy(&value, &wide, 4);
    return value;
  }
  return decodeTable(element)[bits];
}

float moe::largestFinite(Element element) { return decodeFloat(element, format(element).maxFinite); }

float moe::blockScale(Element codes, Element scales, float amax) {
  float scale = std::isnan(amax) ? amax : std::max(amax, 1e-4f) / largestFinite(codes);
  return scales == Element::F8E8M0FNU ? decodeFloat(scales, encodeE8M0(scale)) : scale;
}

//===----------------------------------------------------------------------===//
// Single elements
//===----------------------------------------------------------------------===//

template <typename T> static T load(const char *at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}
template <typename T> static void store(char *at, T value) { std::memcpy(at, &value, sizeof(T)); }

int64_t moe::loadInteger(Element element, const char *at) {
  switch (element) {
  case Element::I16:
    return load<int16_t>(at);
  case Element::I32:
    return load<int32_t>(at);
  case Element::I64:
  case Element::U64:
    return load<int64_t>(at);
  case Element::I1:
  case Element::U2:
  case Element::U4:
  case Element::U8:
    return load<uint8_t>(at);
  case Element::U16:
    return load<uint16_t>(at);
  case Element::U32:
    return load<uint32_t>(at);
  default: // I2, I4, I8 are sign-extended in their byte
    return load<int8_t>(at);
  }
}

double moe::loadDouble(Element element, const char *at) {
  if (element == Element::F32)
    return load<float>(at);
  if (element == Element::F64)
    return load<double>(at);
  if (isFloat(element))
    return decodeFloat(element, packedBits(element) == 16 ? load<uint16_t>(at) : load<uint8_t>(at));
  if (element == Element::U64)
    return static_cast<double>(load<uint64_t>(at));
  return static_cast<double>(loadInteger(element, at));
}

void moe::storeInteger(Element element, char *at, int64_t value) {
  switch (elementBytes(element)) {
  case 8:
    return store<int64_t>(at, value);
  case 4:
    return store<int32_t>(at, static_cast<int32_t>(value));
  case 2:
    return store<int16_t>(at, static_cast<int16_t>(value));
  default:
    break;
  }
  switch (element) {
  case Element::I1:
    value &= 1;
    break;
  case Element::U2:
    value &= 3;
    break;
  case Element::U4:
    value &= 15;
    break;
  case Element::I2:
    value = static_cast<int64_t>(static_cast<uint64_t>(value) << 62) >> 62;
    break;
  case Element::I4:
    value = static_cast<int64_t>(static_cast<uint64_t>(value) << 60) >> 60;
    break;
  default:
    break;
  }
  store<int8_t>(at, static_cast<int8_t>(value));
}

/// Towards zero, clamped to what the integer format holds.
static int64_t clampToInteger(Element element, double value) {
  if (std::isnan(value))
    return 0;
  unsigned bits = element == Element::I1 ? 1 : packedBits(element);
  value = std::trunc(value);
  if (isUnsigned(element)) {
    if (value <= 0)
      return 0;
    if (value >= std::ldexp(1.0, bits))
      return bits == 64 ? -1 : (int64_t(1) << bits) - 1;
    return static_cast<int64_t>(static_cast<uint64_t>(value));
  }
  double limit = std::ldexp(1.0, bits - 1);
  if (value >= limit)
    return static_cast<int64_t>((uint64_t(1) << (bits - 1)) - 1);
  if (value <= -limit)
    return -static_cast<int64_t>((uint64_t(1) << (bits - 1)) - 1) - 1;
  return static_cast<int64_t>(value);
}

void moe::storeDouble(Element element, char *at, double value, Overflow overflow) {
  if (element == Element::F32)
    return store<float>(at, static_cast<float>(value));
  if (element == Element::F64)
    return store<double>(at, value);
  if (element == Element::I1)
    return store<uint8_t>(at, value != 0);
  if (!isFloat(element))
    return storeInteger(element, at, clampToInteger(element, value));
  uint16_t bits = encodeFloat(element, value, overflow);
  if (packedBits(element) == 16)
    return store<uint16_t>(at, bits);
  store<uint8_t>(at, static_cast<uint8_t>(bits));
}

//===----------------------------------------------------------------------===//
// Many elements
//===----------------------------------------------------------------------===//

static void widenToFloat(Element from, const char *in, char *out, int64_t count) {
  if (from == Element::BF16) {
    for (int64_t i = 0; i < count; ++i)
      store<uint32_t>(out + 4 * i, static_cast<uint32_t>(load<uint16_t>(in + 2 * i)) << 16);
    return;
  }
  const float *table = decodeTable(from);
  if (from == Element::F16) {
    for (int64_t i = 0; i < count; ++i)
      store<float>(out + 4 * i, table[load<uint16_t>(in + 2 * i)]);
    return;
  }
  for (int64_t i = 0; i < count; ++i)
    store<float>(out + 4 * i, table[load<uint8_t>(in + i)]);
}

static void narrowToBF16(const char *in, char *out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    uint32_t bits = load<uint32_t>(in + 4 * i);
    uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
    bool nan = (bits & 0x7FFFFFFF) > 0x7F800000;
    store<uint16_t>(out + 2 * i, static_cast<uint16_t>(nan ? (bits >> 16 | 0x40) : rounded));
  }
}

void moe::convertElements(Element from, const char *in, Element to, char *out, int64_t count) {
  unsigned fromBytes = elementBytes(from), toBytes = elementBytes(to);
  if (from == to) {
    std::memcpy(out, in, count * fromBytes);
    return;
  }
  if (isFloat(from) && to == Element::F32 && from < Element::F32)
    return widenToFloat(from, in, out, count);
  if (from == Element::F32 && to == Element::BF16)
    return narrowToBF16(in, out, count);
  bool integers = !isFloat(from) && !isFloat(to);
  if (integers) {
    for (int64_t i = 0; i < count; ++i) {
      int64_t value = loadInteger(from, in + i * fromBytes);
      storeInteger(to, out + i * toBytes, to == Element::I1 ? value != 0 : value);
    }
    return;
  }
  bool longToFloat = to == Element::F32 && (from == Element::I64 || from == Element::U64);
  for (int64_t i = 0; i < count; ++i) {
    if (longToFloat) { // one rounding, not two
      int64_t value = loadInteger(from, in + i * fromBytes);
      store<float>(out + 4 * i,
                   from == Element::U64 ? static_cast<float>(static_cast<uint64_t>(value)) : static_cast<float>(value));
      continue;
    }
    storeDouble(to, out + i * toBytes, loadDouble(from, in + i * fromBytes), Overflow::Saturate);
  }
}

void moe::unpackElements(Element element, const char *in, int64_t skip, char *out, int64_t count) {
  unsigned bits = packedBits(element);
  if (bits >= 8) {
    std::memcpy(out, in + skip * (bits / 8), count * (bits / 8));
    return;
  }
  bool isSigned = element == Element::I2 || element == Element::I4;
  unsigned perByte = 8 / bits, mask = (1u << bits) - 1;
  for (int64_t i = 0; i < count; ++i) {
    int64_t at = skip + i;
    unsigned code = static_cast<uint8_t>(in[at / perByte]) >> (at % perByte * bits) & mask;
    if (isSigned && code >> (bits - 1))
      code |= ~mask;
    out[i] = static_cast<char>(code);
  }
}

void moe::packElements(Element element, const char *in, char *out, int64_t count) {
  unsigned bits = packedBits(element);
  if (bits >= 8) {
    std::memcpy(out, in, count * (bits / 8));
    return;
  }
  unsigned perByte = 8 / bits, mask = (1u << bits) - 1;
  std::memset(out, 0, (count + perByte - 1) / perByte);
  for (int64_t i = 0; i < count; ++i)
    out[i / perByte] |= static_cast<char>((static_cast<uint8_t>(in[i]) & mask) << (i % perByte * bits));
}
