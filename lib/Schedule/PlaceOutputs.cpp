//===- PlaceOutputs.cpp - outputs are computed where the caller wants them ===//
//
// A result that is a whole buffer of this function is computed in the caller's memory: its memref.alloc is marked. Any
// other result is copied into a buffer that is.
//
//   %a = memref.alloc(%n) : memref<?x8xf32>   return %a      ->   %a = memref.alloc(%n) {moe.output = 0 : i64}
//   return %arg0                                             ->   %c = memref.alloc(%n) {moe.output = 0 : i64}
//                                                                 memref.copy %arg0, %c      return %c
//
//===----------------------------------------------------------------------===//
#include "Views.h"
#include "moe/Schedule/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_PLACEOUTPUTS
#include "moe/Schedule/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
struct PlaceOutputs : moe::impl::PlaceOutputsBase<PlaceOutputs> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal() || func->hasAttr("moe.kernel"))
      return;
    if (!llvm::hasSingleElement(func.getBody())) {
      func.emitOpError("expects one block in a host program, but has ") << func.getBody().getBlocks().size();
      return signalPassFailure();
    }
    auto ret = cast<func::ReturnOp>(func.getBody().front().getTerminator());
    for (OpOperand &operand : ret->getOpOperands()) {
      auto type = dyn_cast<MemRefType>(operand.get().getType());
      if (!type) {
        ret.emitOpError("expects buffers, but result ")
            << operand.getOperandNumber() << " is " << operand.get().getType();
        return signalPassFailure();
      }
      OpBuilder b(ret);
      Value root = rootOfReshapes(operand.get());
      auto alloc = root ? root.getDefiningOp<memref::AllocOp>() : nullptr;
      // A reshaped result whose extents only data decide is copied: the caller is asked for memory of its own shape.
      DenseMap<Value, bool> known;
      if (alloc && alloc.getResult() != operand.get() &&
          !isFromExtents(alloc.getResult(), &func.getBody().front(), known))
        alloc = nullptr;
      if (!alloc || alloc->getBlock() != ret->getBlock() || alloc->hasAttr("moe.output") ||
          !alloc.getType().getLayout().isIdentity()) {
        SmallVector<Value> sizes;
        for (int64_t i = 0; i < type.getRank(); ++i)
          if (type.isDynamicDim(i))
            sizes.push_back(memref::DimOp::create(b, ret.getLoc(), operand.get(), i));
        alloc =
            memref::AllocOp::create(b, ret.getLoc(), MemRefType::get(type.getShape(), type.getElementType()), sizes);
        memref::CopyOp::create(b, ret.getLoc(), operand.get(), alloc);
        operand.set(alloc);
        ++numCopies;
      }
      alloc->setAttr("moe.output", b.getI64IntegerAttr(operand.getOperandNumber()));
    }
    // A copy may have made a result contiguous that was not.
    func.setFunctionType(FunctionType::get(&getContext(), func.getArgumentTypes(), ret.getOperandTypes()));
  }
};
} // namespace
