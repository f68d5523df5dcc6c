//===- Emitters.cpp - which operations have hand-shaped CPU kernels -------===//
#include "moe/Tile/KernelEmitter.h"

using namespace mlir;
using namespace mlir::moe;

std::optional<KernelEmitter> moe::getCpuEmitter(Operation *op, const CpuTarget &target) { return std::nullopt; }
