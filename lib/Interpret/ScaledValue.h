//===- ScaledValue.h - codes and scales in memory -------------------------===//
#ifndef MOE_LIB_INTERPRET_SCALEDVALUE_H
#define MOE_LIB_INTERPRET_SCALEDVALUE_H

#include "moe/Interpret/HostTensor.h"

namespace mlir::moe {

/// A value of type !moe.scaled: codes [d...] and scales [ceil(d / block)...].
struct ScaledValue {
  HostTensor codes, scales;
};

/// The formula of `moe.quantize`; `block` has an entry for each dim, 0 for a whole extent.
ScaledValue quantizeTensor(const HostTensor &input, ArrayRef<int64_t> block, Type codes, Type scales);

} // namespace mlir::moe

#endif // MOE_LIB_INTERPRET_SCALEDVALUE_H
