//===- InterpretPass.cpp - moe-interpret ----------------------------------===//
#include "moe/Interpret/Case.h"
#include "moe/Interpret/Interpreter.h"
#include "moe/Interpret/Passes.h"
#include "moe/Interpret/VerifyRaise.h"
#include "moe/Raise/Passes.h"
#include "moe/Support/ExitCode.h"

#include "dialects/moe/Moe.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/raw_ostream.h"

namespace mlir::moe {
#define GEN_PASS_DEF_MOEINTERPRET
#include "moe/Interpret/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

void moe::addGenericLowering(OpPassManager &pm) {
  RaiseOptions options;
  options.recognise = false;
  buildRaisePipeline(pm, options);
}

static bool hasOnnx(ModuleOp module) {
  return module
      .walk([](Operation *op) {
        return op->getName().getDialectNamespace() == "onnx" ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}

FailureOr<ModuleOp> moe::interpretable(ModuleOp module, OwningOpRef<ModuleOp> &copy) {
  if (!hasOnnx(module))
    return module;
  copy = module.clone();
  PassManager pm(module.getContext());
  addGenericLowering(pm);
  if (failed(pm.run(*copy)))
    return failure();
  return *copy;
}

namespace {

struct InterpretPass : public moe::impl::MoeInterpretBase<InterpretPass> {
  using MoeInterpretBase::MoeInterpretBase;

  // The lowering runs inside of this pass, so its dialects are loaded before.
  void getDependentDialects(DialectRegistry &registry) const override {
    OpPassManager pm(ModuleOp::getOperationName());
    addGenericLowering(pm);
    pm.getDependentDialects(registry);
  }

  void runOnOperation() override {
    markAllAnalysesPreserved();
    OwningOpRef<ModuleOp> copy;
    FailureOr<ModuleOp> module = interpretable(getOperation(), copy);
    if (failed(module))
      return signalPassFailure();
    auto function = module->lookupSymbol<func::FuncOp>(entry);
    if (!function)
      return badInput(emitError(getOperation().getLoc()) << "expects a function '" << entry << "' to interpret");
    if (caseFolder.empty() && !printResults)
      return badInput(emitError(getOperation().getLoc()) << "expects 'case=DIR' or 'print' for moe-interpret");
    Case data;
    if (!caseFolder.empty()) {
      FailureOr<Case> read = readCase(function, caseFolder);
      if (failed(read))
        return badInput();
      data = std::move(*read);
    }
    FailureOr<SmallVector<HostTensor>> results = interpret(*module, entry, data.inputs);
    if (failed(results))
      return signalPassFailure();
    for (auto [i, result] : llvm::enumerate(*results)) {
      std::string name = "result " + std::to_string(i);
      if (auto attr = function.getResultAttrOfType<StringAttr>(i, "moe.name"))
        name = "'" + attr.str() + "'";
      if (printResults) {
        llvm::outs() << name << ": ";
        print(llvm::outs(), result);
        llvm::outs() << "\n";
      }
      if (!caseFolder.empty())
        check(name, result, data.outputs[i]);
    }
  }

private:
  void badInput() {
    sawBadInput() = true;
    signalPassFailure();
  }
  void badInput(InFlightDiagnostic &&diagnostic) {
    diagnostic.report();
    badInput();
  }

  void check(StringRef name, const HostTensor &found, const HostTensor &expected) {
    if (found.shape() != expected.shape()) {
      emitError(getOperation().getLoc()) << "output " << name << " of case '" << caseFolder
                                         << "' differs: expected shape [" << expected.shape() << "], found ["
                                         << found.shape() << "]";
      return signalPassFailure();
    }
    Comparison comparison = compare(found, expected, {rtol, atol});
    std::string text;
    llvm::raw_string_ostream os(text);
    print(os, comparison);
    if (comparison.mismatches == 0) {
      llvm::errs() << "output " << name << ": " << text << "\n";
      return;
    }
    emitError(getOperation().getLoc()) << "output " << name << " of case '" << caseFolder << "' differs: " << text;
    signalPassFailure();
  }
};

} // namespace

std::unique_ptr<Pass> moe::createMoeInterpret() { return std::make_unique<InterpretPass>(); }
