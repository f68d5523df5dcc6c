//===- Bufferize.cpp - tensors become buffers -----------------------------===//
//
// Upstream's one-shot bufferization over function boundaries, with the choices of this compiler: contiguous buffers,
// arguments and weights read-only, and tensor.empty replaced by the place its value is inserted into.
//
//   func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32>     ->   func.func @main(%x: memref<?x8xf32>) -> memref<?x8xf32>
//
//===----------------------------------------------------------------------===//
#include "Views.h"
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

/// The elements of `buffer` in a new one without gaps.
static Value copyOf(OpBuilder &b, Location loc, Value buffer, MemRefType type) {
  SmallVector<Value> sizes;
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (type.isDynamicDim(static_cast<unsigned>(i)))
      sizes.push_back(memref::DimOp::create(b, loc, buffer, i));
  Value copy = memref::AllocOp::create(b, loc, type, sizes, b.getI64IntegerAttr(64));
  memref::CopyOp::create(b, loc, buffer, copy);
  return copy;
}

/// At boundaries upstream casts a slice to a buffer without gaps where the types alone allow it: a stride of 4 is one of `?` too. Only the run
/// knows whether it is, so such values are copied.
static void copySlices(ModuleOp module) {
  SmallVector<memref::CastOp> casts;
  module.walk([&](memref::CastOp op) {
    auto from = dyn_cast<MemRefType>(op.getSource().getType()), to = dyn_cast<MemRefType>(op.getType());
    if (from && to && to.getLayout().isIdentity() && !from.getLayout().isIdentity() && !isContiguous(from))
      casts.push_back(op);
  });
  for (memref::CastOp op : casts) {
    OpBuilder b(op);
    Value copy = copyOf(b, op.getLoc(), op.getSource(), cast<MemRefType>(op.getType()));
    op.replaceAllUsesWith(copy);
    op.erase();
  }
}

/// Kernels of rows read whole buffers: their operands that are slices are copied.
static void copyOperandsOfRows(ModuleOp module) {
  module.walk([](Operation *op) {
    if (!isa<RouteRowsOp, ListRowsOp, QuantizeRowsOp, CopyRowsOp, RowProductOp>(op))
      return;
    for (OpOperand &operand : op->getOpOperands())
      if (auto type = dyn_cast<MemRefType>(operand.get().getType()); type && !type.getLayout().isIdentity()) {
        OpBuilder b(op);
        operand.set(copyOf(b, op->getLoc(), operand.get(), MemRefType::get(type.getShape(), type.getElementType())));
      }
  });
}
/// Whose list it is has no meaning for buffers, and would keep equal kernels apart.
static void forgetOwners(ModuleOp module) {
  module.walk([](ListRowsOp op) { op.setOwner(0); });
  module.walk([](RouteRowsOp op) { op.setOwner(0); });
}

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
    copySlices(module);
    copyOperandsOfRows(module);
    forgetOwners(module);
    for (auto func : module.getOps<func::FuncOp>())
      for (unsigned i = 0; i < func.getNumArguments(); ++i)
        func.removeArgAttr(i, "bufferization.writable");
  }
};
} // namespace
