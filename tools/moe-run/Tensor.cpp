// Tensor.cpp - shapes and memory of a tensor.
#include "Tensor.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace moe {

size_t Tensor::elements() const {
  size_t count = 1;
  for (int64_t extent : shape)
    count *= size_t(extent);
  return count;
}

void Tensor::allocate() {
  size_t size = (std::max<size_t>(bytes(), 1) + 63) / 64 * 64;
  data_.reset(aligned_alloc(64, size));
  if (!data_) {
    fprintf(stderr, "moe-run: out of memory: %zu bytes for tensor %s\n", size, name.c_str());
    _Exit(2);
  }
  memset(data_.get(), 0, size);
}

std::string describe(moe_dtype_t dtype, const std::vector<int64_t> &shape) {
  std::string text = std::string(moe_dtype_name(dtype)) + "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}
} // namespace moe
