//===- Emitters.h - the hand-shaped CPU kernels, one function an operation ----===//
#ifndef MOE_LIB_TILE_CPU_EMITTERS_H
#define MOE_LIB_TILE_CPU_EMITTERS_H

#include "dialects/moe/Moe.h"
#include "moe/Tile/KernelEmitter.h"

namespace mlir::moe {

// nullopt where the operation's types or layouts have no such form; plain loops serve then. Whether there is one does not
// depend on the target, and item counts do not either.
std::optional<KernelEmitter> attentionEmitter(AttentionOp op, const CpuTarget &target);
std::optional<KernelEmitter> combineEmitter(CombineOp op);
std::optional<KernelEmitter> groupedMatmulEmitter(GroupedMatmulOp op, const CpuTarget &target);
std::optional<KernelEmitter> rmsNormEmitter(RmsNormOp op);
std::optional<KernelEmitter> ropeEmitter(RopeOp op);
std::optional<KernelEmitter> routeEmitter(RouteOp op);
std::optional<KernelEmitter> swigluEmitter(SwigluOp op);

/// The value among `operands` that stands in the place of op's operand `v` (the host's value for the kernel's).
Value hostOperand(Operation *op, ValueRange operands, Value v);

} // namespace mlir::moe

#endif // MOE_LIB_TILE_CPU_EMITTERS_H
