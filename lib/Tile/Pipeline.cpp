//===- Pipeline.cpp - the order of the tile passes ------------------------===//
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "moe/Tile/Passes.h"

using namespace mlir;
using namespace mlir::moe;

void moe::buildTilePipeline(OpPassManager &pm, const TilePhaseOptions &options) {
  TileKernelsOptions tile;
  tile.gpu = options.gpu;
  if (!options.gpu)
    tile.isas = {"x86-64-v4", "x86-64-v3"};
  pm.addPass(createTileKernels(tile));
  pm.addPass(createVerifyTile());
  // Item counts and index arithmetic repeat a lot. Kernels are cleaned per variant, in parallel.
  pm.addNestedPass<func::FuncOp>(createCSEPass());
}
