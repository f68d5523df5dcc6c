//===- Arguments.h - the argument block of a kernel -----------------------===//
//
// What the host writes and the kernel reads for each argument, 8 bytes each:
//   memref: a pointer to its first element, its dynamic sizes, then its dynamic strides (in elements)
//   scalar: its bits, zero-extended (index and integers sign-extended)
//
//===----------------------------------------------------------------------===//
#ifndef MOE_LIB_LOWER_ARGUMENTS_H
#define MOE_LIB_LOWER_ARGUMENTS_H

#include "mlir/IR/BuiltinTypes.h"

namespace mlir::moe {

/// Dims whose size is passed.
inline SmallVector<int64_t> dynamicSizes(MemRefType type) {
  SmallVector<int64_t> dims;
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (type.isDynamicDim(i))
      dims.push_back(i);
  return dims;
}

/// Dims whose stride is passed: those that neither the type nor the sizes tell.
inline SmallVector<int64_t> dynamicStrides(MemRefType type) {
  SmallVector<int64_t> dims;
  if (type.getLayout().isIdentity())
    return dims;
  auto [strides, offset] = type.getStridesAndOffset();
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (ShapedType::isDynamic(strides[i]))
      dims.push_back(i);
  return dims;
}

/// 8-byte words that an argument of this type takes.
inline int64_t argumentWords(Type type) {
  auto memref = dyn_cast<MemRefType>(type);
  return memref ? 1 + dynamicSizes(memref).size() + dynamicStrides(memref).size() : 1;
}

} // namespace mlir::moe

#endif // MOE_LIB_LOWER_ARGUMENTS_H
