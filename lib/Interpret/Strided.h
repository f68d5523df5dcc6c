//===- Strided.h - indices and strided copies -----------------------------===//
#ifndef MOE_LIB_INTERPRET_STRIDED_H
#define MOE_LIB_INTERPRET_STRIDED_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdint>
#include <cstring>

namespace mlir::moe {

inline llvm::SmallVector<int64_t> rowMajor(llvm::ArrayRef<int64_t> shape) {
  llvm::SmallVector<int64_t> strides(shape.size(), 1);
  for (int64_t i = static_cast<int64_t>(shape.size()) - 2; i >= 0; --i)
    strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
}

/// The next index in row-major order; false after the last.
inline bool advance(llvm::MutableArrayRef<int64_t> index, llvm::ArrayRef<int64_t> shape) {
  for (int64_t d = static_cast<int64_t>(shape.size()) - 1; d >= 0; --d) {
    if (++index[d] < shape[d])
      return true;
    index[d] = 0;
  }
  return false;
}

/// Copies `sizes` elements of `bytes` bytes between strided memories; strides in elements, any sign.
inline void copyElements(unsigned bytes, llvm::ArrayRef<int64_t> sizes, const char *in,
                         llvm::ArrayRef<int64_t> inStrides, char *out, llvm::ArrayRef<int64_t> outStrides) {
  if (sizes.empty()) {
    std::memcpy(out, in, bytes);
    return;
  }
  int64_t inStep = inStrides[0] * bytes, outStep = outStrides[0] * bytes;
  if (sizes.size() == 1) {
    if (inStrides[0] == 1 && outStrides[0] == 1 && sizes[0] > 0) {
      std::memcpy(out, in, sizes[0] * bytes);
      return;
    }
    for (int64_t i = 0; i < sizes[0]; ++i)
      std::memcpy(out + i * outStep, in + i * inStep, bytes);
    return;
  }
  for (int64_t i = 0; i < sizes[0]; ++i)
    copyElements(bytes, sizes.drop_front(), in + i * inStep, inStrides.drop_front(), out + i * outStep,
                 outStrides.drop_front());
}

} // namespace mlir::moe

#endif // MOE_LIB_INTERPRET_STRIDED_H
