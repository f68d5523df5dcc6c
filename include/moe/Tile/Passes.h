//===- Passes.h - the tile phase: kernels become loops --------------------===//
#ifndef MOE_TILE_PASSES_H
#define MOE_TILE_PASSES_H

#include "dialects/moe/Moe.h"
#include "dialects/tile/Tile.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::moe {

struct TilePhaseOptions {
  bool gpu = false; ///< one GPU module instead of one per CPU instruction set
};

/// kernels of one op -> one module of loops per variant.
void buildTilePipeline(OpPassManager &pm, const TilePhaseOptions &options = {});

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "moe/Tile/Passes.h.inc"

} // namespace mlir::moe

#endif // MOE_TILE_PASSES_H
