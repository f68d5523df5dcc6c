// Dtype.h - element types: names, sizes, kinds, and conversion of single elements.
#ifndef MOE_BASE_DTYPE_H
#define MOE_BASE_DTYPE_H

#include "moe/runtime.h"

#include <cstring>
#include <string_view>

namespace moe {

/// The dtype of this manifest name, or MOE_DTYPE_NONE.
moe_dtype_t dtypeByName(std::string_view name);

bool isFloat(moe_dtype_t dtype);
bool isInteger(moe_dtype_t dtype); // bool is not

/// Element |index| of |data| as a double. 64-bit integers beyond 2^53 are rounded.
double loadAsDouble(moe_dtype_t dtype, const void *data, size_t index);
/// Element |index| of an integer or bool array; uint64 beyond INT64_MAX saturates.
int64_t loadAsInt(moe_dtype_t dtype, const void *data, size_t index);
/// Stores |value| as element |index|: floats round to nearest even, integers truncate.
void storeFromDouble(moe_dtype_t dtype, void *data, size_t index, double value);

float halfToFloat(uint16_t bits);
uint16_t floatToHalf(float value);
inline float bfloatToFloat(uint16_t bits) {
  uint32_t wide = uint32_t(bits) << 16;
  float value;
  memcpy(&value, &wide, 4);
  return value;
}
uint16_t floatToBfloat(float value);
float float8ToFloat(uint8_t bits, bool e5m2);

} // namespace moe
#endif // MOE_BASE_DTYPE_H
