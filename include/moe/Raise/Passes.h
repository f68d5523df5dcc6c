//===- Passes.h - the raise phase: onnx to moe and upstream dialects -------===//
#ifndef MOE_RAISE_PASSES_H
#define MOE_RAISE_PASSES_H

#include "dialects/moe/Moe.h"
#include "dialects/onnx/Onnx.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

namespace mlir::moe {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "moe/Raise/Passes.h.inc"

struct RaiseOptions {
  /// Look for routers, experts, attention and norms; without it every op is lowered by its ONNX definition.
  bool recognise = true;
};

/// The raise phase on an imported module.
void buildRaisePipeline(OpPassManager &pm, const RaiseOptions &options);
/// Normalisations and recognisers, on the onnx level.
void buildRecognisePipeline(OpPassManager &pm);
/// onnx to linalg, tensor, arith, math and the moe primitives, clean-up and check.
void buildConvertOnnxPipeline(OpPassManager &pm);
/// `moe-raise`, `moe-raise-generic`.
void registerRaisePipelines();

} // namespace mlir::moe

#endif // MOE_RAISE_PASSES_H
