//===- Passes.h - the schedule phase: tensors to kernels and a host program ===//
#ifndef MOE_SCHEDULE_PASSES_H
#define MOE_SCHEDULE_PASSES_H

#include "dialects/moe/Moe.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::moe {

struct ScheduleOptions {
  /// For Hopper: expert layers in FP8 blocks become the kernels of their plan first.
  bool gpu = false;
};

/// fused tensors -> a host program on buffers that launches deduplicated kernels.
void buildSchedulePipeline(OpPassManager &pm, const ScheduleOptions &options = {});

/// What moe-bufferize needs of each dialect; call before the context loads them.
void registerBufferizationModels(DialectRegistry &registry);

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "moe/Schedule/Passes.h.inc"

} // namespace mlir::moe

#endif // MOE_SCHEDULE_PASSES_H
