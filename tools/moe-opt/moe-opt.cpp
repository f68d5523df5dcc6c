//===- moe-opt.cpp - MLIR's opt tool with the moe dialects and passes -----===//
#include "OptMain.h"
#include "dialects/moe/Moe.h"
#include "dialects/onnx/Onnx.h"
#include "dialects/tile/Tile.h"
#include "moe/Import/Passes.h"
#include "moe/Lower/Passes.h"
#include "moe/Quantize/Passes.h"
#include "moe/Raise/Passes.h"
#include "moe/Fuse/Passes.h"
#include "moe/Interpret/Passes.h"
#include "moe/Schedule/Passes.h"
#include "moe/Tile/Passes.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"

/// The project's own passes, and one pipeline a phase.
static void registerPasses() {
  using namespace mlir;
  moe::registerMoeImportPasses();
  PassPipelineRegistration<>("moe-import", "The import phase, after the file is read",
                             [](OpPassManager &pm) { moe::buildImportPipeline(pm); });
  moe::registerMoeRaisePasses();
  moe::registerRaisePipelines();
  moe::registerMoeQuantizePasses();
  moe::registerQuantizePipeline();
  moe::registerMoeFusePasses();
  moe::registerFusePipeline();
  moe::registerMoeInterpretPasses();
  moe::registerMoeSchedulePasses();
  PassPipelineRegistration<>("moe-schedule", "The schedule phase", [](OpPassManager &pm) { moe::buildSchedulePipeline(pm); });
  moe::registerMoeTilePasses();
  PassPipelineRegistration<>("moe-tile", "The tile phase for the CPU", [](OpPassManager &pm) { moe::buildTilePipeline(pm); });
  moe::registerMoeLowerPasses();
  PassPipelineRegistration<>("moe-lower", "The lower phase for the CPU", [](OpPassManager &pm) { moe::buildLowerPipeline(pm); });
}

int main(int argc, char **argv) {
  registerPasses();
  // Before MLIR's hundreds of passes are there too.
  if (mlir::moe::asksForHelp(argc, argv))
    return mlir::moe::printOwnHelp();
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  mlir::registerAllPasses();
  registry.insert<mlir::moe::MoeDialect>();
  registry.insert<mlir::onnx::OnnxDialect>();
  registry.insert<mlir::moe::tile::TileDialect>();
  mlir::moe::registerBufferizationModels(registry);
  return mlir::moe::optMain(argc, argv, registry);
}
