//===- Emitters.h - kernels written for Hopper ----------------------------===//
#ifndef MOE_TILE_GPU_EMITTERS_H
#define MOE_TILE_GPU_EMITTERS_H

#include "moe/Tile/KernelEmitter.h"

namespace mlir::moe {
KernelEmitter emitRouteRows(Operation *op);
KernelEmitter emitQuantizeRows(Operation *op);
KernelEmitter emitCopyRows(Operation *op);
KernelEmitter emitListRows(Operation *op);
KernelEmitter emitExpertProducts(Operation *op);
KernelEmitter emitRowProduct(Operation *op);
/// Rows of bf16 or f16 in multiples of 8 columns that are known, for groups whose number is; others are plain loops.
std::optional<KernelEmitter> emitGroupedOuterProduct(Operation *op);
/// Rows of 16-bit floats in multiples of 8 columns; others are plain loops.
std::optional<KernelEmitter> emitCombine(Operation *op);
} // namespace mlir::moe

#endif // MOE_TILE_GPU_EMITTERS_H
