//===- Box.h - rectangular parts of tensors and strided copies ------------===//
#ifndef MOE_LIB_WEIGHTS_BOX_H
#define MOE_LIB_WEIGHTS_BOX_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdint>

namespace mlir::moe {

using Dims = llvm::SmallVector<int64_t, 6>;

/// The elements [offsets[i], offsets[i] + sizes[i]) of every dim.
struct Box {
  Dims offsets, sizes;
  int64_t volume() const {
    int64_t n = 1;
    for (int64_t size : sizes)
      n *= size;
    return n;
  }
};

/// Row-major strides in elements.
inline Dims rowMajorStrides(llvm::ArrayRef<int64_t> shape) {
  Dims strides(shape.size(), 1);
  for (int64_t i = static_cast<int64_t>(shape.size()) - 2; i >= 0; --i)
    strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
}

/// Copies `sizes` elements of `bytes` (1, 2, 4 or 8) from strided memory to strided memory; strides in elements.
/// Blocked so that transposes stay in cache.
void copyStrided(unsigned bytes, llvm::ArrayRef<int64_t> sizes, const char *in, llvm::ArrayRef<int64_t> inStrides,
                 char *out, llvm::ArrayRef<int64_t> outStrides);

} // namespace mlir::moe

#endif // MOE_LIB_WEIGHTS_BOX_H
