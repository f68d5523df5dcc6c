//===- moe-opt.cpp - MLIR's opt tool with the moe dialects and passes -----===//
#include "OptMain.h"
#include "dialects/moe/Moe.h"
#include "dialects/onnx/Onnx.h"
#include "dialects/tile/Tile.h"
#include "moe/Import/Passes.h"
#include "moe/Lower/Passes.h"
#include "moe/Raise/Passes.h"
#include "moe/Fuse/Passes.h"
#include "moe/Interpret/Passes.h"
#include "moe/Schedule/Passes.h"
#include "moe/Tile/Passes.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  mlir::registerAllPasses();
  registry.insert<mlir::moe::MoeDialect>();
  registry.insert<mlir::onnx::OnnxDialect>();
  registry.insert<mlir::moe::tile::TileDialect>();
  mlir::moe::registerBufferizationModels(registry);
  mlir::moe::registerMoeImportPasses();
  mlir::PassPipelineRegistration<>("moe-import", "The import phase, after the file is read",
                                   [](mlir::OpPassManager &pm) { mlir::moe::buildImportPipeline(pm); });
  mlir::moe::registerMoeRaisePasses();
  mlir::moe::registerMoeFusePasses();
  mlir::moe::registerFusePipeline();
  mlir::moe::registerRaisePipelines();
  mlir::moe::registerMoeInterpretPasses();
  mlir::moe::registerMoeSchedulePasses();
  mlir::PassPipelineRegistration<>("moe-schedule", "The schedule phase",
                                   [](mlir::OpPassManager &pm) { mlir::moe::buildSchedulePipeline(pm); });
  mlir::moe::registerMoeTilePasses();
  mlir::PassPipelineRegistration<>("moe-tile-phase", "The tile phase for the CPU",
                                   [](mlir::OpPassManager &pm) { mlir::moe::buildTilePipeline(pm); });
  mlir::moe::registerMoeLowerPasses();
  mlir::PassPipelineRegistration<>("moe-lower-phase", "The lower phase for the CPU",
                                   [](mlir::OpPassManager &pm) { mlir::moe::buildLowerPipeline(pm); });
  return mlir::moe::optMain(argc, argv, registry);
}
