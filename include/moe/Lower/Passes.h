//===- Passes.h - the lower phase: loops and host program to LLVM ---------===//
#ifndef MOE_LOWER_PASSES_H
#define MOE_LOWER_PASSES_H

#include "dialects/moe/Moe.h"
#include "dialects/tile/Tile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::moe {

struct LowerOptions {
  bool gpu = false; ///< kernels become one GPU module; the host program is the same
};

/// loops and a host program -> the llvm dialect.
void buildLowerPipeline(OpPassManager &pm, const LowerOptions &options = {});

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "moe/Lower/Passes.h.inc"

} // namespace mlir::moe

#endif // MOE_LOWER_PASSES_H
