//===- SmallFloats.h - code for conversions of 8- and 4-bit floats --------===//
//
// No target has instructions for all of these formats, and upstream lowers arith.extf and arith.truncf of them to nothing or
// to a library call: their codes are integers, and the conversions from and to f32 are spelled out here, once, for scalars and
// vectors. The same numbers on the host: moe/Weights/Elements.h.
//
//===----------------------------------------------------------------------===//
#ifndef MOE_SUPPORT_SMALLFLOATS_H
#define MOE_SUPPORT_SMALLFLOATS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"

namespace mlir::moe {

/// True for float formats of 8 bits and less: f8E4M3FN, f8E5M2, their FNUZ forms, f8E8M0FNU, f4E2M1FN.
bool isSmallFloat(Type type);

/// The value of a small float (a scalar or a vector) in f32: exact for all codes.
Value decodeSmallFloat(OpBuilder &b, Location loc, Value code);

/// The value of f8E4M3FN codes times 2^-8 in f32, exact for all codes: the form that processors convert. The factor belongs
/// into a scale.
Value decodeE4M3Over256(OpBuilder &b, Location loc, Value code);

/// Rounds f32 (a scalar or a vector) to a small float: to nearest, ties to even (f8E8M0FNU: up). Beyond the largest finite
/// value: that value if `saturate`, else infinity or NaN, whichever the format has.
Value encodeSmallFloat(OpBuilder &b, Location loc, Value value, FloatType to, bool saturate);

} // namespace mlir::moe

#endif // MOE_SUPPORT_SMALLFLOATS_H
