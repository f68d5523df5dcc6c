//===- Passes.h - the fuse phase: tensors in, fewer and larger operations out ===//
#ifndef MOE_FUSE_PASSES_H
#define MOE_FUSE_PASSES_H

#include "dialects/moe/Moe.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/Pass.h"

namespace mlir {
class OpPassManager;
}

namespace mlir::moe {

#define GEN_PASS_DECL
#include "moe/Fuse/Passes.h.inc"

struct FuseOptions {
  /// Columns in a panel of packed weights; 0 leaves weights as [G, N, K].
  int64_t panel = 16;
  /// Keep bf16 weights in bf16 and widen them in registers.
  bool narrow = true;
};

/// moe.experts -> grouped products; dense products -> moe.grouped_matmul; epilogues; element-wise fusion. Tensors in
/// and out, still interpretable.
void buildFusePipeline(OpPassManager &pm, const FuseOptions &options = {});

#define GEN_PASS_REGISTRATION
#include "moe/Fuse/Passes.h.inc"

/// Registers `moe-fuse` (the whole phase) beside its passes.
void registerFusePipeline();

} // namespace mlir::moe

#endif // MOE_FUSE_PASSES_H
