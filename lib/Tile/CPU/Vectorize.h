//===- Vectorize.h - scalar regions on vectors -----------------------------===//
#ifndef MOE_LIB_TILE_CPU_VECTORIZE_H
#define MOE_LIB_TILE_CPU_VECTORIZE_H

#include "dialects/moe/Moe.h"

namespace mlir::moe {

/// Whether every operation of the block is element-wise and so has a vector form.
bool isVectorizable(Block &block);

/// Clones the block's scalar code on vectors of `width` elements; `arguments` are vectors of that width. Returns the
/// vector of the terminator's operand `result`.
Value cloneVectorized(OpBuilder &b, Location loc, Block &block, ValueRange arguments, int64_t width,
                      unsigned result = 0);

/// Below this exp(x) is a subnormal number, and below the second not even that.
constexpr float kLeastNormalExp = -87.33654f, kLeastExp = -104;

/// exp(x) of f32 vectors by a polynomial: relative error below 2e-7, 0 below `lowest`, infinity above 88.7; NaN stays.
/// Subnormal results are right but slow to use.
Value fastExp(OpBuilder &b, Location loc, Value x, float lowest = kLeastNormalExp);

} // namespace mlir::moe

#endif // MOE_LIB_TILE_CPU_VECTORIZE_H
