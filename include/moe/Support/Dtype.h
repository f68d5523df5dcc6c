//===- Dtype.h - element types by their ONNX codes and names --------------===//
#ifndef MOE_SUPPORT_DTYPE_H
#define MOE_SUPPORT_DTYPE_H

#include "mlir/IR/BuiltinTypes.h"
#include <string>

namespace mlir::moe {

/// The element type of a TensorProto.DataType code: bool is i1, intN signless, uintN unsigned. Null for strings, complex
/// numbers and unknown codes.
Type elementTypeFromOnnx(MLIRContext *context, int64_t code);

/// The name of an element type as `moe.dtype` and the manifest write it: "float32", "bfloat16", "uint8", "bool",
/// "float8e4m3fn". Signless integers are "intN".
std::string dtypeName(Type element);

} // namespace mlir::moe

#endif // MOE_SUPPORT_DTYPE_H
