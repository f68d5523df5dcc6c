//===- moe-opt.cpp - MLIR's opt tool with the moe dialects and passes -----===//
#include "OptMain.h"
#include "dialects/moe/Moe.h"
#include "dialects/onnx/Onnx.h"
#include "dialects/tile/Tile.h"
#include "moe/Fuse/Passes.h"
#include "moe/Import/Passes.h"
#include "moe/Interpret/Passes.h"
#include "moe/Lower/Passes.h"
#include "moe/Quantize/Passes.h"
#include "moe/Raise/Passes.h"
#include "moe/Schedule/Passes.h"
#include "moe/Tile/Passes.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"

namespace {
struct GpuOption : mlir::PassPipelineOptions<GpuOption> {
  Option<bool> gpu{*this, "gpu", llvm::cl::desc("for a GPU (Hopper) instead of the CPU"), llvm::cl::init(false)};
};
} // namespace

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
  PassPipelineRegistration<GpuOption>("moe-schedule", "The schedule phase", [](OpPassManager &pm, const GpuOption &o) {
    moe::ScheduleOptions options;
    options.gpu = o.gpu;
    moe::buildSchedulePipeline(pm, options);
  });
  moe::registerMoeTilePasses();
  PassPipelineRegistration<GpuOption>("moe-tile", "The tile phase", [](OpPassManager &pm, const GpuOption &o) {
    moe::TilePhaseOptions options;
    options.gpu = o.gpu;
    moe::buildTilePipeline(pm, options);
  });
  moe::registerMoeLowerPasses();
  PassPipelineRegistration<GpuOption>("moe-lower", "The lower phase", [](OpPassManager &pm, const GpuOption &o) {
    moe::LowerOptions options;
    options.gpu = o.gpu;
    moe::buildLowerPipeline(pm, options);
  });
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
