//===- OptMain.cpp - mlir-opt's driver, with .onnx inputs and exit codes --===//
#include "OptMain.h"

#include "moe/Emit/Emit.h"
#include "moe/Import/ImportOnnx.h"
#include "moe/Support/ExitCode.h"

#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/ToolOutputFile.h"

using namespace mlir;

static llvm::cl::opt<std::string> inputName(llvm::cl::Positional,
                                            llvm::cl::desc("<IN.onnx, IN.mlir or IN.mlirbc; - is standard input>"),
                                            llvm::cl::init("-"));
static llvm::cl::opt<std::string> outputName("o", llvm::cl::desc("Output file; - is standard output"),
                                             llvm::cl::value_desc("filename"), llvm::cl::init("-"));

/// The imported module as bytecode: MLIR's driver then treats it like any other input.
static std::unique_ptr<llvm::MemoryBuffer> importModel(StringRef path, DialectRegistry &registry) {
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.getDiagEngine().registerHandler([](Diagnostic &diagnostic) {
    llvm::errs() << "error: " << diagnostic << "\n";
    return success();
  });
  OwningOpRef<ModuleOp> module = moe::importOnnx(path, &context);
  if (!module)
    return nullptr;
  // As moe-compile marks its text; what stands behind is checked by the passes that take it.
  (*module)->setAttr("moe.phase", StringAttr::get(&context, "import"));
  std::string bytes;
  llvm::raw_string_ostream stream(bytes);
  if (failed(writeBytecodeToFile(*module, stream)))
    return nullptr;
  return llvm::MemoryBuffer::getMemBufferCopy(bytes, path);
}

bool moe::asksForHelp(int argc, char **argv) {
  for (int i = 1; i < argc; ++i)
    if (StringRef(argv[i]) == "--help" || StringRef(argv[i]) == "-help" || StringRef(argv[i]) == "-h")
      return true;
  return false;
}

int moe::printOwnHelp() {
  llvm::outs() << "moe-opt: compiler passes for mixture-of-experts models\n\n"
                  "usage: moe-opt IN.{onnx,mlir,mlirbc} [--PASS[=options]]... [-o OUT]\n\n"
                  "An .onnx input is imported first; - is standard input or output. Passes run in the order given.\n"
                  "Exit codes: 0 done; 1 a pass or check failed; 2 wrong use or bad input.\n\n"
                  "Often used with it: --mlir-print-debuginfo (the author's node names), --mlir-print-ir-after-all,\n"
                  "--split-input-file, --verify-diagnostics, --canonicalize, --cse.\n"
                  "--help-hidden lists everything that MLIR brings too; docs/generated describes each pass below.\n\n"
                  "Whole phases: --moe-import --moe-raise (--moe-raise-generic: without recognisers) --moe-fuse "
                  "--moe-schedule --moe-tile\n"
                  "--moe-lower\n\n";
  llvm::outs().flush();
  printRegisteredPasses();
  return kDone;
}

int moe::optMain(int argc, char **argv, DialectRegistry &registry) {
  llvm::InitLLVM init(argc, argv);
  llvm::cl::SetVersionPrinter(
      [](llvm::raw_ostream &os) { os << "moe-opt (" << kCompilerVersion << ", LLVM " LLVM_VERSION_STRING ")\n"; });
  std::string header = registerCLIOptions(
      "moe-opt: compiler passes for mixture-of-experts models\n"
      "An .onnx input is imported first. Exit 0 done, 1 a pass or check failed, 2 wrong use or bad input.\n",
      registry);
  if (!llvm::cl::ParseCommandLineOptions(argc, argv, header, &llvm::errs()))
    return kBadInput;
  MlirOptMainConfig config = MlirOptMainConfig::createFromCLOptions();

  if (config.shouldShowDialects()) {
    llvm::outs() << "Available Dialects: ";
    llvm::interleaveComma(registry.getDialectNames(), llvm::outs());
    llvm::outs() << "\n";
    return kDone;
  }
  if (config.shouldListPasses()) {
    printRegisteredPasses();
    return kDone;
  }
  std::string error;
  std::unique_ptr<llvm::MemoryBuffer> input;
  if (StringRef(inputName).ends_with(".onnx")) {
    input = importModel(inputName, registry);
    if (!input)
      return kBadInput;
  } else {
    input = openInputFile(inputName, &error);
    if (!input) {
      llvm::errs() << "error: " << error << "\n";
      return kBadInput;
    }
  }
  std::unique_ptr<llvm::ToolOutputFile> output = openOutputFile(outputName, &error);
  if (!output) {
    llvm::errs() << "error: " << error << "\n";
    return kBadInput;
  }
  // A module that parses reaches the passes; what fails before is bad input, what fails after is a failed check.
  bool parsed = config.shouldVerifyDiagnostics();
  MlirOptMainConfig passes = config;
  config.setPassPipelineSetupFn([&parsed, passes](PassManager &manager) {
    parsed = true;
    LogicalResult known = passes.setupPassPipeline(manager); // failure: an option that a pass does not have
    if (failed(known))
      sawBadInput() = true;
    return known;
  });
  if (failed(MlirOptMain(output->os(), std::move(input), registry, config)))
    return parsed && !sawBadInput() ? kCheckFailed : kBadInput;
  output->keep();
  return kDone;
}
