//===- OptMain.cpp - mlir-opt's driver, with .onnx inputs and exit codes --===//
#include "OptMain.h"

#include "moe/Import/ImportOnnx.h"
#include "moe/Support/ExitCode.h"

#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/ToolOutputFile.h"

using namespace mlir;

static llvm::cl::opt<std::string> inputName(llvm::cl::Positional, llvm::cl::desc("<IN.onnx, IN.mlir or IN.mlirbc; - is standard input>"),
                                            llvm::cl::init("-"));
static llvm::cl::opt<std::string> outputName("o", llvm::cl::desc("Output file; - is standard output"), llvm::cl::value_desc("filename"),
                                             llvm::cl::init("-"));

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
  std::string bytes;
  llvm::raw_string_ostream stream(bytes);
  if (failed(writeBytecodeToFile(*module, stream)))
    return nullptr;
  return llvm::MemoryBuffer::getMemBufferCopy(bytes, path);
}

int moe::optMain(int argc, char **argv, DialectRegistry &registry) {
  
  llvm::InitLLVM init(argc, argv);
  std::string header = registerCLIOptions("moe-opt: compiler passes for mixture-of-experts models\n"
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
    return passes.setupPassPipeline(manager);
  });
  if (failed(MlirOptMain(output->os(), std::move(input), registry, config)))
    return parsed && !sawBadInput() ? kCheckFailed : kBadInput;
  output->keep();
  return kDone;
}
