//===- Bufferize.cpp - tensors become buffers -----------------------------===//
//
// Upstream's one-shot bufferization over function boundaries, with the choices of this compiler: contiguous buffers,
// arguments and weights read-only, and tensor.empty replaced by the place its value is inserted into.
//
//   func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32>     ->   func.func @main(%x: memref<?x8xf32>) -> memref<?x8xf32>
//
//===----------------------------------------------------------------------===//
#include "moe/Schedule/Passes.h"

#include "mlir/Dialect/Bufferization/Transforms/OneShotAnalysis.h"
#include "mlir/Dialect/Bufferization/Transforms/OneShotModuleBufferize.h"
#include "mlir/Dialect/Bufferization/Transforms/Transforms.h"
#include "mlir/IR/PatternMatch.h"

namespace mlir::moe {
#define GEN_PASS_DEF_BUFFERIZE
#include "moe/Schedule/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
struct Bufferize : moe::impl::BufferizeBase<Bufferize> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    bufferization::OneShotBufferizationOptions options;
    options.bufferizeFunctionBoundaries = true;
    options.allowReturnAllocsFromLoops = true;
    options.setFunctionBoundaryTypeConversion(bufferization::LayoutMapOption::IdentityLayoutMap);
    options.unknownTypeConverterFn = [](TensorType type, Attribute space, const bufferization::BufferizationOptions &) {
      return bufferization::getMemRefTypeWithStaticIdentityLayout(type, space);
    };
    for (auto func : module.getOps<func::FuncOp>())
      for (unsigned i = 0; i < func.getNumArguments(); ++i)
        func.setArgAttr(i, "bufferization.writable", BoolAttr::get(&getContext(), false));

    // moe.experts is split by `fuse`; an op without a buffer form is an error here rather than a cast left behind.
    WalkResult unsplit = module.walk([](ExpertsOp op) {
      op.emitOpError("expects to be split into dispatch, products and combine before buffers are made");
      return WalkResult::interrupt();
    });
    if (unsplit.wasInterrupted())
      return signalPassFailure();

    IRRewriter rewriter(&getContext());
    {
      bufferization::OneShotAnalysisState state(module, options);
      for (auto func : module.getOps<func::FuncOp>())
        if (!func.isExternal() && failed(bufferization::eliminateEmptyTensors(rewriter, func)))
          return signalPassFailure();
    }
    bufferization::BufferizationState state;
    if (failed(bufferization::runOneShotModuleBufferize(module, options, state)))
      return signalPassFailure();
    for (auto func : module.getOps<func::FuncOp>())
      for (unsigned i = 0; i < func.getNumArguments(); ++i)
        func.removeArgAttr(i, "bufferization.writable");
  }
};
} // namespace
