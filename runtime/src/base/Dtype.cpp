// Dtype.cpp - see Dtype.h.
#include "base/Dtype.h"

#include <cmath>
#include <iterator>

namespace moe {
namespace {
struct Row {
  const char *name;
  uint8_t size;
  bool isFloat, isInteger;
};
// In the order of moe_dtype_t.
constexpr Row kRows[] = {
    {"none", 0, false, false},      {"float32", 4, true, false}, {"float16", 2, true, false},
    {"bfloat16", 2, true, false},   {"float64", 8, true, false}, {"int8", 1, false, true},
    {"int16", 2, false, true},      {"int32", 4, false, true},   {"int64", 8, false, true},
    {"uint8", 1, false, true},      {"uint16", 2, false, true},  {"uint32", 4, false, true},
    {"uint64", 8, false, true},     {"bool", 1, false, false},   {"float8e4m3fn", 1, true, false},
    {"float8e5m2", 1, true, false},
};
const Row &row(moe_dtype_t dtype) {
  size_t index = size_t(dtype);
  return kRows[index < std::size(kRows) ? index : 0];
}
template <typename T> T load(const void *data, size_t index) {
  T value;
  memcpy(&value, static_cast<const char *>(data) + index * sizeof(T), sizeof(T));
  return value;
}
template <typename T> void store(void *data, size_t index, T value) {
  memcpy(static_cast<char *>(data) + index * sizeof(T), &value, sizeof(T));
}
} // namespace

moe_dtype_t dtypeByName(std::string_view name) {
  for (size_t i = 1; i < std::size(kRows); ++i)
    if (name == kRows[i].name)
      return moe_dtype_t(i);
  return MOE_DTYPE_NONE;
}
bool isFloat(moe_dtype_t dtype) { return row(dtype).isFloat; }
bool isInteger(moe_dtype_t dtype) { return row(dtype).isInteger; }

float halfToFloat(uint16_t bits) {
  uint32_t sign = uint32_t(bits & 0x8000) << 16, exponent = (bits >> 10) & 31, fraction = bits & 0x3ff;
  float value;
  if (exponent == 0) {
    value = std::ldexp(float(fraction), -24);
    return sign ? -value : value;
  }
  uint32_t wide = sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | fraction << 13;
  memcpy(&value, &wide, 4);
  return value;
}

uint16_t floatToHalf(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  uint16_t sign = uint16_t(bits >> 16 & 0x8000);
  uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000)
    return sign | 0x7e00;
  if (magnitude >= 0x477ff000) // 65520 and more round to infinity
    return sign | 0x7c00;
  if (magnitude < 0x38800000) { // subnormal: the spacing is 2^-24
    float positive;
    memcpy(&positive, &magnitude, 4);
    return sign | uint16_t(std::nearbyint(std::ldexp(positive, 24)));
  }
  magnitude += 0xfff + (magnitude >> 13 & 1);
  return sign | uint16_t((magnitude - 0x38000000) >> 13);
}

uint16_t floatToBfloat(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  if ((bits & 0x7fffffff) > 0x7f800000)
    return uint16_t(bits >> 16 | 0x40);
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float float8ToFloat(uint8_t bits, bool e5m2) {
  if (e5m2)
    return halfToFloat(uint16_t(bits << 8));
  int exponent = bits >> 3 & 15, fraction = bits & 7;
  float value = (bits & 0x7f) == 0x7f ? NAN
                : exponent            ? std::ldexp(float(8 + fraction), exponent - 10)
                                      : std::ldexp(float(fraction), -9);
  return bits & 0x80 ? -value : value;
}

double loadAsDouble(moe_dtype_t dtype, const void *data, size_t index) {
  switch (dtype) {
  case MOE_DTYPE_FLOAT32:
    return load<float>(data, index);
  case MOE_DTYPE_FLOAT16:
    return halfToFloat(load<uint16_t>(data, index));
  case MOE_DTYPE_BFLOAT16:
    return bfloatToFloat(load<uint16_t>(data, index));
  case MOE_DTYPE_FLOAT64:
    return load<double>(data, index);
  case MOE_DTYPE_FLOAT8E4M3FN:
    return float8ToFloat(load<uint8_t>(data, index), false);
  case MOE_DTYPE_FLOAT8E5M2:
    return float8ToFloat(load<uint8_t>(data, index), true);
  case MOE_DTYPE_UINT64:
    return double(load<uint64_t>(data, index));
  default:
    return double(loadAsInt(dtype, data, index));
  }
}

int64_t loadAsInt(moe_dtype_t dtype, const void *data, size_t index) {
  switch (dtype) {
  case MOE_DTYPE_INT8:
    return load<int8_t>(data, index);
  case MOE_DTYPE_INT16:
    return load<int16_t>(data, index);
  case MOE_DTYPE_INT32:
    return load<int32_t>(data, index);
  case MOE_DTYPE_INT64:
    return load<int64_t>(data, index);
  case MOE_DTYPE_BOOL:
  case MOE_DTYPE_UINT8:
    return load<uint8_t>(data, index);
  case MOE_DTYPE_UINT16:
    return load<uint16_t>(data, index);
  case MOE_DTYPE_UINT32:
    return load<uint32_t>(data, index);
  case MOE_DTYPE_UINT64: {
    uint64_t value = load<uint64_t>(data, index);
    return value > INT64_MAX ? INT64_MAX : int64_t(value);
  }
  default:
    return 0;
  }
}

void storeFromDouble(moe_dtype_t dtype, void *data, size_t index, double value) {
  switch (dtype) {
  case MOE_DTYPE_FLOAT32:
    return store<float>(data, index, float(value));
  case MOE_DTYPE_FLOAT16:
    return store<uint16_t>(data, index, floatToHalf(float(value)));
  case MOE_DTYPE_BFLOAT16:
    return store<uint16_t>(data, index, floatToBfloat(float(value)));
  case MOE_DTYPE_FLOAT64:
    return store<double>(data, index, value);
  case MOE_DTYPE_INT8:
    return store<int8_t>(data, index, int8_t(value));
  case MOE_DTYPE_INT16:
    return store<int16_t>(data, index, int16_t(value));
  case MOE_DTYPE_INT32:
    return store<int32_t>(data, index, int32_t(value));
  case MOE_DTYPE_INT64:
    return store<int64_t>(data, index, int64_t(value));
  case MOE_DTYPE_UINT8:
    return store<uint8_t>(data, index, uint8_t(value));
  case MOE_DTYPE_UINT16:
    return store<uint16_t>(data, index, uint16_t(value));
  case MOE_DTYPE_UINT32:
    return store<uint32_t>(data, index, uint32_t(value));
  case MOE_DTYPE_UINT64:
    return store<uint64_t>(data, index, uint64_t(value));
  case MOE_DTYPE_BOOL:
    return store<uint8_t>(data, index, value != 0);
  case MOE_DTYPE_FLOAT8E4M3FN:
  case MOE_DTYPE_FLOAT8E5M2: { // nearest of the 256 codes; ties to the even code
    bool e5m2 = dtype == MOE_DTYPE_FLOAT8E5M2;
    if (std::isnan(value))
      return store<uint8_t>(data, index, 0x7f);
    unsigned best = 0, last = e5m2 ? 0x7b : 0x7e;
    double nearest = INFINITY;
    for (unsigned code = 0; code <= last; ++code) {
      double distance = std::fabs(std::fabs(value) - float8ToFloat(uint8_t(code), e5m2));
      if (distance < nearest || (distance == nearest && code % 2 == 0))
        nearest = distance, best = code;
    }
    return store<uint8_t>(data, index, uint8_t(best | (std::signbit(value) ? 0x80 : 0)));
  }
  default:
    return;
  }
}
} // namespace moe

const char *moe_dtype_name(moe_dtype_t dtype) { return moe::row(dtype).name; }
size_t moe_dtype_size(moe_dtype_t dtype) { return moe::row(dtype).size; }
