//===- Compiler.cpp - a model in, an artefact out -------------------------===//
#include "moe/Pipeline/Compiler.h"

#include "dialects/moe/Moe.h"
#include "dialects/onnx/Onnx.h"
#include "dialects/tile/Tile.h"
#include "moe/Emit/Emit.h"
#include "moe/Fuse/Passes.h"
#include "moe/Import/ImportOnnx.h"
#include "moe/Import/Passes.h"
#include "moe/Interpret/VerifyRaise.h"
#include "moe/Lower/Passes.h"
#include "moe/Quantize/Passes.h"
#include "moe/Raise/Passes.h"
#include "moe/Schedule/Passes.h"
#include "moe/Tile/Passes.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/NVVMToLLVM/NVVMToLLVM.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/ValueBoundsOpInterfaceImpl.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/Extensions/AllExtensions.h"
#include "mlir/Dialect/Index/IR/IndexDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRefMemorySlot.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::moe;

void moe::registerCompilerDialects(DialectRegistry &registry) {
  registry.insert<MoeDialect, mlir::onnx::OnnxDialect, affine::AffineDialect, arith::ArithDialect,
                  bufferization::BufferizationDialect, cf::ControlFlowDialect, func::FuncDialect, index::IndexDialect,
                  linalg::LinalgDialect, LLVM::LLVMDialect, math::MathDialect, memref::MemRefDialect, NVVM::NVVMDialect,
                  scf::SCFDialect, tile::TileDialect, tensor::TensorDialect, ub::UBDialect, vector::VectorDialect>();
  registerBufferizationModels(registry);
  registerEmitTranslations(registry);
  // convert-to-llvm asks each dialect for its patterns.
  arith::registerConvertArithToLLVMInterface(registry);
  cf::registerConvertControlFlowToLLVMInterface(registry);
  func::registerAllExtensions(registry);
  registerConvertFuncToLLVMInterface(registry);
  index::registerConvertIndexToLLVMInterface(registry);
  registerConvertMathToLLVMInterface(registry);
  registerConvertMemRefToLLVMInterface(registry);
  registerConvertNVVMToLLVMInterface(registry);
  ub::registerConvertUBToLLVMInterface(registry);
  vector::registerConvertVectorToLLVMInterface(registry);
}

OwningOpRef<ModuleOp> moe::readModel(StringRef path, MLIRContext *context, bool dataMayBeMissing) {
  auto fail = [&](const Twine &message) {
    emitError(UnknownLoc::get(context)) << message;
    return OwningOpRef<ModuleOp>();
  };
  llvm::sys::fs::file_status status;
  if (std::error_code code = llvm::sys::fs::status(path, status))
    return fail("cannot read '" + path + "': " + code.message());
  if (!llvm::sys::fs::is_regular_file(status))
    return fail("expects '" + path + "' to be a file");
  StringRef ending = llvm::sys::path::extension(path);
  if (ending == ".mlir" || ending == ".mlirbc")
    return parseSourceFile<ModuleOp>(path, ParserConfig(context));
  if (ending != ".onnx")
    return fail("expects '" + path + "' to end in .onnx, .mlir or .mlirbc");
  ImportOptions import;
  import.dataMayBeMissing = dataMayBeMissing;
  return importOnnx(path, context, import);
}

/// One phase's passes, in the compiler's order.
static void buildPhase(Phase phase, OpPassManager &pm, const CompileOptions &options) {
  bool gpu = options.target == "cuda";
  switch (phase) {
  case Phase::Import:
    return buildImportPipeline(pm); // behind reading the file
  case Phase::Raise: {
    RaiseOptions raise;
    raise.recognise = options.recognise;
    return buildRaisePipeline(pm, raise);
  }
  case Phase::Entries:
    return; // `main` alone; prefill, decode and verify come with the cache
  case Phase::Differentiate:
    return; // comes with training
  case Phase::Quantize: {
    if (options.fp8 == "off")
      return;
    std::string activations = !options.activations.empty() ? options.activations : gpu ? "f8" : "f32";
    return buildQuantizePipeline(pm, QuantizeOptions{options.fp8, activations, options.fp8Keep, options.fp8Table});
  }
  case Phase::Fuse: {
    FuseOptions fuse;
    // Panels are a layout of the CPU's registers.
    if (gpu)
      fuse.panel = 0;
    return buildFusePipeline(pm, fuse);
  }
  case Phase::Schedule: {
    ScheduleOptions schedule;
    schedule.gpu = gpu;
    return buildSchedulePipeline(pm, schedule);
  }
  case Phase::Tile: {
    TilePhaseOptions tile;
    tile.gpu = gpu;
    return buildTilePipeline(pm, tile);
  }
  case Phase::Lower: {
    LowerOptions lower;
    lower.gpu = gpu;
    return buildLowerPipeline(pm, lower);
  }
  case Phase::Emit:
    return; // not a pass: it writes files
  }
}

/// Writes text beside its place and renames it.
static LogicalResult writeText(StringRef path, MLIRContext *context,
                               llvm::function_ref<void(llvm::raw_ostream &)> write) {
  auto fail = [&](const Twine &message) { return emitError(UnknownLoc::get(context)) << message; };
  if (path.empty() || path == "-") {
    write(llvm::outs());
    return success();
  }
  if (llvm::sys::fs::is_directory(path))
    return fail("expects '" + path + "' to be a file, but it is a folder");
  // Devices and pipes are written in place.
  if (llvm::sys::fs::exists(path) && !llvm::sys::fs::is_regular_file(path)) {
    std::error_code code;
    llvm::raw_fd_ostream stream(path, code);
    if (code)
      return fail("cannot write '" + path + "': " + code.message());
    write(stream);
    return success();
  }
  llvm::SmallString<128> temporary;
  int fd;
  if (std::error_code code =
          llvm::sys::fs::createUniqueFile(path + ".tmp-%%%%%%", fd, temporary, llvm::sys::fs::OF_None, 0644))
    return fail("cannot write '" + path + "': " + code.message());
  llvm::raw_fd_ostream stream(fd, /*shouldClose=*/true);
  write(stream);
  stream.close();
  std::error_code code = stream.error();
  stream.clear_error();
  if (!code)
    code = llvm::sys::fs::rename(temporary, path);
  if (code) {
    llvm::sys::fs::remove(temporary);
    return fail("cannot write '" + path + "': " + code.message());
  }
  return success();
}

static LogicalResult writeModule(ModuleOp module, StringRef path) {
  return writeText(path, module.getContext(), [&](llvm::raw_ostream &stream) {
    module->print(stream, OpPrintingFlags().enableDebugInfo(true, false));
    stream << "\n";
  });
}

/// Counts what was recognised, on the module as raise left it, into the attribute `moe.recognised`: later phases take apart
/// what was counted.
static void recordRecognised(ModuleOp module) {
  llvm::StringSet<> seen;
  SymbolTable symbols(module);
  int64_t router = 0, experts = 0, attention = 0, rmsNorm = 0, parameters = 0;
  module.walk([&](Operation *op) {
    router += isa<RouteOp>(op);
    experts += isa<ExpertsOp>(op);
    attention += isa<AttentionOp>(op);
    rmsNorm += isa<RmsNormOp>(op);
    if (auto get = dyn_cast<GetWeightOp>(op))
      if (seen.insert(get.getName()).second)
        if (auto weight = symbols.lookup<WeightOp>(get.getName()))
          parameters += cast<ShapedType>(weight.getType()).getNumElements();
  });
  Builder b(module.getContext());
  auto count = [&](StringRef name, int64_t n) { return b.getNamedAttr(name, b.getI64IntegerAttr(n)); };
  module->setAttr("moe.recognised", b.getDictionaryAttr({count("router", router), count("experts", experts),
                                                         count("attention", attention), count("rms_norm", rmsNorm),
                                                         count("mtp_head", 0), count("parameters", parameters)}));
}

/// What was recognised and what was left, as the module's attributes say; what they do not say stays unknown.
static void fillReport(ModuleOp module, CompileReport &report) {
  if (auto counts = module->getAttrOfType<DictionaryAttr>("moe.recognised")) {
    auto count = [&](StringRef name) -> std::optional<int64_t> {
      auto n = counts.getAs<IntegerAttr>(name);
      return n ? std::optional(n.getInt()) : std::nullopt;
    };
    report.recognised = {count("router"), count("experts"), count("attention"), count("rms_norm"), count("mtp_head")};
    report.parameters = count("parameters");
  }
  if (auto list = module->getAttrOfType<ArrayAttr>("moe.generic"))
    for (auto entry : list.getAsRange<DictionaryAttr>()) {
      auto text = [&](StringRef key) {
        auto value = entry.getAs<StringAttr>(key);
        return value ? value.str() : std::string();
      };
      auto ops = entry.getAs<IntegerAttr>("ops");
      report.generic.push_back({text("op"), text("node"), text("reason"), ops ? ops.getInt() : 0});
    }
}

LogicalResult moe::compileModel(const CompileOptions &options, MLIRContext *context, CompileReport &report) {
  OwningOpRef<ModuleOp> module = readModel(options.input, context, options.randomWeights);
  if (!module)
    return failure();
  Phase last = options.plan ? Phase::Schedule : options.last;
  // A dump carries the phase it was made by; compiling goes on behind it.
  std::optional<Phase> done;
  if (auto name = (*module)->getAttrOfType<StringAttr>("moe.phase"))
    done = parsePhase(name);
  // Text that says nothing of itself is an import, or what later phases understand as it stands.
  if (!done && !StringRef(options.input).ends_with(".onnx"))
    done = Phase::Import;
  if (done && *done > last)
    return emitError(UnknownLoc::get(context)) << "expects '" << options.input << "' to be text before the phase '"
                                               << phaseName(last) << "' ends, but it left '" << phaseName(*done) << "'";
  // From fuse on the text depends on the target.
  auto target = (*module)->getAttrOfType<StringAttr>("moe.target");
  if (target && target.getValue() != options.target)
    return emitError(UnknownLoc::get(context))
           << "expects '" << options.input << "' to be text for the target '" << options.target
           << "', but it was made for '" << target.getValue() << "'";
  if (!options.dumpFolder.empty())
    if (std::error_code code = llvm::sys::fs::create_directories(options.dumpFolder))
      return emitError(UnknownLoc::get(context))
             << "cannot make the folder '" << options.dumpFolder << "': " << code.message();
  for (int i = static_cast<int>(Phase::Import); i <= static_cast<int>(std::min(last, Phase::Lower)); ++i) {
    Phase phase = static_cast<Phase>(i);
    if (phase > done) {
      PassManager pm(context, ModuleOp::getOperationName(), PassManager::Nesting::Implicit);
      // Each phase ends in its own check; ops are verified once, below.
      pm.enableVerifier(false);
      buildPhase(phase, pm, options);
      OwningOpRef<ModuleOp> before;
      if (phase == Phase::Raise && options.verifyRaise)
        before = (*module).clone();
      if (failed(pm.run(*module)) || failed(verify(*module)))
        return failure();
      if (before && failed(verifyRaise(*before, *module))) {
        report.checkFailed = true;
        return failure();
      }
    }
    // Behind the check, which compares values; later dumps may come without the files too.
    if (options.randomWeights && !(*module)->hasAttr("moe.random_weights") && phase >= Phase::Raise && phase >= done) {
      PassManager pm(context);
      pm.addPass(createRandomWeights());
      if (failed(pm.run(*module)))
        return failure();
    }
    if (phase >= Phase::Fuse && phase >= done)
      (*module)->setAttr("moe.target", StringAttr::get(context, options.target));
    if (phase >= done)
      (*module)->setAttr("moe.phase", StringAttr::get(context, phaseName(phase)));
    // Text that was raised elsewhere may say nothing; up to fuse it can still be counted.
    if (phase == Phase::Raise && (phase > done || (done < Phase::Fuse && !(*module)->hasAttr("moe.recognised"))))
      recordRecognised(*module);
    if (phase == Phase::Raise)
      fillReport(*module, report);
    if (!options.dumpFolder.empty() && phase >= done) {
      llvm::SmallString<128> path(options.dumpFolder);
      llvm::sys::path::append(path, llvm::formatv("{0:d2}-{1}.mlir", i, phaseName(phase)).str());
      if (failed(writeModule(*module, path)))
        return failure();
    }
  }
  if (options.plan) {
    report.plan = describePlan(*module);
    return success();
  }
  if (last != Phase::Emit)
    return writeModule(*module, options.output);
  EmitOptions emit;
  emit.target = options.target;
  emit.chip = options.chip;
  emit.recognised = report.recognised;
  if (auto fp8 = (*module)->getAttrOfType<DictionaryAttr>("moe.fp8")) {
    auto text = [&](StringRef key, std::string &out) {
      if (auto value = fp8.getAs<StringAttr>(key))
        out = value.str();
    };
    text("recipe", emit.fp8);
    text("activations", emit.activations);
  }
  EmitResult result;
  if (failed(emitArtefact(*module, options.output, emit, result)))
    return failure();
  report.weightBytes = result.weightBytes;
  return success();
}
