//===- FuzzOnnx.cpp - any bytes as a model ----------------------------------===//
//
// Two programs. moe-fuzz-onnx does what moe-compile does with a file until raise is done; moe-fuzz-compile (MOE_FUZZ_COMPILE)
// goes on to the text that LLVM compiles, for either target, with and without FP8. Files of external data need not be there,
// so that small inputs can have large weights.
//
//===----------------------------------------------------------------------===//
#ifdef MOE_FUZZ_COMPILE
#include "moe/Pipeline/Compiler.h"
#else
#include "moe/Import/ImportOnnx.h"
#include "moe/Import/Passes.h"
#include "moe/Raise/Passes.h"
#endif

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/raw_ostream.h"

#include <fcntl.h>
#include <unistd.h>

using namespace mlir;
using namespace mlir::moe;

/// LLVM's allocators poison what they have not given out, and lift that when they do. Half of that code is inlined here and half is
/// in the libraries, which were built without it. Passes' statistics are counters here and nothing there, so nobody sets them to 0.
extern "C" const char *__asan_default_options() { return "allow_user_poisoning=0:malloc_fill_byte=0"; }

/// One file in memory, written anew for each input.
static const std::string &modelPath() {
  static const std::string path = [] {
    char folder[] = "/dev/shm/moe-fuzz-XXXXXX";
    if (!mkdtemp(folder))
      abort();
    static std::string made = folder;
    atexit([] {
      unlink((made + "/model.onnx").c_str());
      rmdir(made.c_str());
    });
    return made + "/model.onnx";
  }();
  return path;
}

#ifdef MOE_FUZZ_COMPILE
static void registerDialects(DialectRegistry &registry) { registerCompilerDialects(registry); }

/// The bytes' number chooses target and precision: the same input always compiles the same way.
static bool compile(MLIRContext &context, StringRef path, size_t size) {
  CompileOptions options;
  options.input = path.str(), options.output = "/dev/null", options.last = Phase::Lower, options.randomWeights = true;
  if (size % 4 == 1)
    options.target = "cuda", options.chip = "sm_90a";
  if (size % 3 == 1)
    options.fp8 = "blocks";
  CompileReport report;
  return succeeded(compileModel(options, &context, report));
}
#else
static void registerDialects(DialectRegistry &) {}

static bool compile(MLIRContext &context, StringRef path, size_t) {
  ImportOptions import;
  import.dataMayBeMissing = true;
  OwningOpRef<ModuleOp> module = importOnnx(path, &context, import);
  if (!module)
    return false;
  PassManager pm(&context, ModuleOp::getOperationName(), PassManager::Nesting::Implicit);
  pm.enableVerifier(false);
  buildImportPipeline(pm);
  buildRaisePipeline(pm, RaiseOptions());
  return succeeded(pm.run(*module)) && succeeded(verify(*module));
}
#endif

static void compileOnce(MLIRContext &context, StringRef path, size_t size) {
  int errors = 0;
  std::string first;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
      return success();
    if (errors++ == 0)
      first = diagnostic.str();
    if (getenv("MOE_FUZZ_SHOW"))
      llvm::errs() << "error: " << diagnostic << "\n";
    return success();
  });
  bool good = compile(context, path, size);
  if (good ? errors != 0 : errors != 1) {
    llvm::errs() << (good ? "compiled" : "refused") << ", but with " << errors << " errors; the first: " << first
                 << "\n";
    abort();
  }
  if (first.size() > 20000) {
    llvm::errs() << "a diagnostic of " << first.size() << " characters\n";
    abort();
  }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  // Types and attributes live as long as their context: a new one now and then bounds memory.
  static std::unique_ptr<MLIRContext> context;
  static int runs = 0;
  if (runs++ % 500 == 0) {
    context.reset();
    DialectRegistry registry;
    registerDialects(registry);
    context = std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
    context->printOpOnDiagnostic(false);
  }
  int fd = open(modelPath().c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd < 0 || write(fd, data, size) != static_cast<ssize_t>(size))
    abort();
  close(fd);
  compileOnce(*context, modelPath(), size);
  return 0;
}
