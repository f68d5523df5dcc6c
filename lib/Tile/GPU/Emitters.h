//===- Emitters.h - kernels written for Hopper ----------------------------===//
#ifndef MOE_TILE_GPU_EMITTERS_H
#define MOE_TILE_GPU_EMITTERS_H

#include "moe/Tile/KernelEmitter.h"

namespace mlir::moe {
KernelEmitter emitExpertProducts(Operation *op);
} // namespace mlir::moe

#endif // MOE_TILE_GPU_EMITTERS_H
