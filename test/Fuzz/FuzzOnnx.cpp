//===- FuzzOnnx.cpp - any bytes as a model: import and raise ---------------===//
//
// What moe-compile does with a file until raise is done. Files of external data need not be there, so that small inputs can
// have large weights.
//
//===----------------------------------------------------------------------===//
#include "moe/Import/ImportOnnx.h"
#include "moe/Import/Passes.h"
#include "moe/Raise/Passes.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/raw_ostream.h"

#include <fcntl.h>
#include <unistd.h>

using namespace mlir;
using namespace mlir::moe;

/// LLVM's allocators poison what they have not given out, and lift that when they do. Half of that code is inlined here and half is
/// in the libraries, which were built without it.
extern "C" const char *__asan_default_options() { return "allow_user_poisoning=0"; }

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

static void compile(MLIRContext &context, StringRef path) {
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
  ImportOptions import;
  import.dataMayBeMissing = true;
  OwningOpRef<ModuleOp> module = importOnnx(path, &context, import);
  bool good = bool(module);
  if (good) {
    PassManager pm(&context, ModuleOp::getOperationName(), PassManager::Nesting::Implicit);
    pm.enableVerifier(false);
    buildImportPipeline(pm);
    buildRaisePipeline(pm, RaiseOptions());
    good = succeeded(pm.run(*module)) && succeeded(verify(*module));
  }
  if (good ? errors != 0 : errors != 1) {
    llvm::errs() << (good ? "compiled" : "refused") << ", but with " << errors << " errors; the first: " << first << "\n";
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
    context = std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
    context->printOpOnDiagnostic(false);
  }
  int fd = open(modelPath().c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd < 0 || write(fd, data, size) != static_cast<ssize_t>(size))
    abort();
  close(fd);
  compile(*context, modelPath());
  return 0;
}
