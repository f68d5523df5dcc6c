//===- BufferizationModels.cpp - how moe ops bufferize --------------------===//
//
// One model serves every compute op through MoeComputeOpInterface: results are allocated by inferResultSizes and the op
// is created again with buffers and `outs`. moe.scatter writes into the buffer of `data`, so that a caller who no longer
// needs it pays no copy; moe.quantize_rows into those of `into`.
//
//   %w, %i = moe.route %l {k = 2} : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
//     ->   %w = memref.alloc(%t)   %i = memref.alloc(%t)
//          moe.route %l outs(%w, %i) {k = 2} : (memref<?x8xf32>, memref<?x2xf32>, memref<?x2xi64>) -> ()
//
//===----------------------------------------------------------------------===//
#include "moe/Schedule/Passes.h"

#include "mlir/Dialect/Arith/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/Transforms/FuncBufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Linalg/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Linalg/Transforms/SubsetInsertionOpInterfaceImpl.h"
#include "mlir/Dialect/SCF/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Tensor/IR/TensorInferTypeOpInterfaceImpl.h"
#include "mlir/Dialect/Tensor/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Tensor/Transforms/SubsetInsertionOpInterfaceImpl.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::bufferization;

/// `op` again, on buffers. `ins` replace its operands; `outs` its results.
static Operation *createOnBuffers(RewriterBase &rewriter, Operation *op, ValueRange ins, ValueRange outs) {
  OperationState state(op->getLoc(), op->getName());
  state.addOperands(ins);
  state.addOperands(outs);
  // A variadic `outs` behind optional operands is counted in the segment sizes.
  SmallVector<NamedAttribute> properties;
  if (auto dictionary = dyn_cast_or_null<DictionaryAttr>(op->getPropertiesAsAttribute()))
    for (NamedAttribute entry : dictionary) {
      if (entry.getName() == "operandSegmentSizes") {
        SmallVector<int32_t> sizes(cast<DenseI32ArrayAttr>(entry.getValue()).asArrayRef());
        sizes.back() = outs.size();
        entry.setValue(rewriter.getDenseI32ArrayAttr(sizes));
      }
      properties.push_back(entry);
    }
  if (op->getPropertiesStorageSize())
    state.propertiesAttr = rewriter.getDictionaryAttr(properties);
  state.addAttributes(llvm::to_vector(op->getDiscardableAttrs()));
  for (Region &region : op->getRegions())
    state.addRegion()->takeBody(region);
  return rewriter.create(state);
}

/// Bufferizes an op whose results are written in place of its operands from `first` on.
static LogicalResult writeInPlace(Operation *op, unsigned first, RewriterBase &rewriter,
                                  const BufferizationOptions &options, BufferizationState &state) {
  SmallVector<Value> ins;
  for (Value operand : op->getOperands()) {
    FailureOr<Value> buffer = getBuffer(rewriter, operand, options, state);
    if (failed(buffer))
      return failure();
    ins.push_back(*buffer);
  }
  ArrayRef<Value> outs = ArrayRef<Value>(ins).slice(first, op->getNumResults());
  createOnBuffers(rewriter, op, ins, outs);
  replaceOpWithBufferizedValues(rewriter, op, outs);
  return success();
}

namespace {
template <typename OpTy> struct ComputeModel : BufferizableOpInterface::ExternalModel<ComputeModel<OpTy>, OpTy> {
  bool bufferizesToAllocation(Operation *op, Value value) const { return true; }
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand, const AnalysisState &state) const { return true; }
  bool bufferizesToMemoryWrite(Operation *op, OpOperand &operand, const AnalysisState &state) const { return false; }
  AliasingValueList getAliasingValues(Operation *op, OpOperand &operand, const AnalysisState &state) const {
    return {};
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter, const BufferizationOptions &options,
                          BufferizationState &state) const {
    auto compute = cast<MoeComputeOpInterface>(op);
    SmallVector<SmallVector<OpFoldResult>> sizes;
    if (failed(compute.inferResultSizes(rewriter, sizes)))
      return op->emitOpError("has a result whose size depends on data, which has no buffer yet");
    SmallVector<Value> ins, outs;
    for (Value operand : op->getOperands()) {
      FailureOr<Value> buffer = getBuffer(rewriter, operand, options, state);
      if (failed(buffer))
        return failure();
      ins.push_back(*buffer);
    }
    for (auto [result, size] : llvm::zip(op->getResults(), sizes)) {
      auto type = cast<RankedTensorType>(result.getType());
      SmallVector<Value> dynamic;
      for (auto [i, extent] : llvm::enumerate(size))
        if (type.isDynamicDim(i))
          dynamic.push_back(getValueOrCreateConstantIndexOp(rewriter, op->getLoc(), extent));
      FailureOr<Value> buffer =
          options.createAlloc(rewriter, op->getLoc(), MemRefType::get(type.getShape(), type.getElementType()), dynamic);
      if (failed(buffer))
        return failure();
      outs.push_back(*buffer);
    }
    createOnBuffers(rewriter, op, ins, outs);
    replaceOpWithBufferizedValues(rewriter, op, outs);
    return success();
  }
};

/// moe.scatter writes in place of `data` (operand 0).
struct ScatterModel : BufferizableOpInterface::ExternalModel<ScatterModel, ScatterOp> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand, const AnalysisState &state) const { return true; }
  bool bufferizesToMemoryWrite(Operation *op, OpOperand &operand, const AnalysisState &state) const {
    return operand.getOperandNumber() == 0;
  }
  AliasingValueList getAliasingValues(Operation *op, OpOperand &operand, const AnalysisState &state) const {
    if (operand.getOperandNumber() != 0)
      return {};
    return {{op->getResult(0), BufferRelation::Equivalent}};
  }
  LogicalResult bufferize(Operation *op, RewriterBase &rewriter, const BufferizationOptions &options,
                          BufferizationState &state) const {
    return writeInPlace(op, 0, rewriter, options, state);
  }
};

/// moe.quantize_rows writes in place of `into` (operands 2 and 3) where it has them.
struct QuantizeRowsModel : BufferizableOpInterface::ExternalModel<QuantizeRowsModel, QuantizeRowsOp> {
  static bool inPlace(OpOperand &operand) { return operand.getOperandNumber() >= 2; }
  bool bufferizesToAllocation(Operation *op, Value value) const { return !cast<QuantizeRowsOp>(op).getCodes(); }
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand, const AnalysisState &state) const { return true; }
  bool bufferizesToMemoryWrite(Operation *op, OpOperand &operand, const AnalysisState &state) const {
    return inPlace(operand);
  }
  AliasingValueList getAliasingValues(Operation *op, OpOperand &operand, const AnalysisState &state) const {
    if (!inPlace(operand))
      return {};
    return {{op->getResult(operand.getOperandNumber() - 2), BufferRelation::Equivalent}};
  }
  LogicalResult bufferize(Operation *op, RewriterBase &rewriter, const BufferizationOptions &options,
                          BufferizationState &state) const {
    return cast<QuantizeRowsOp>(op).getCodes() ? writeInPlace(op, 2, rewriter, options, state)
                                               : ComputeModel<QuantizeRowsOp>().bufferize(op, rewriter, options, state);
  }
};

/// A weight is memory that nobody writes.
struct GetWeightModel : BufferizableOpInterface::ExternalModel<GetWeightModel, GetWeightOp> {
  bool isWritable(Operation *op, Value value, const AnalysisState &state) const { return false; }
  LogicalResult bufferize(Operation *op, RewriterBase &rewriter, const BufferizationOptions &options,
                          BufferizationState &state) const {
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    replaceOpWithNewBufferizedOp<GetWeightOp>(rewriter, op, MemRefType::get(type.getShape(), type.getElementType()),
                                              cast<GetWeightOp>(op).getNameAttr());
    return success();
  }
};

template <typename... Ops> void attachComputeModels(MLIRContext *context) {
  (Ops::template attachInterface<ComputeModel<Ops>>(*context), ...);
}
} // namespace

void moe::registerBufferizationModels(DialectRegistry &registry) {
  arith::registerBufferizableOpInterfaceExternalModels(registry);
  bufferization::func_ext::registerBufferizableOpInterfaceExternalModels(registry);
  linalg::registerBufferizableOpInterfaceExternalModels(registry);
  linalg::registerSubsetOpInterfaceExternalModels(registry);
  scf::registerBufferizableOpInterfaceExternalModels(registry);
  tensor::registerBufferizableOpInterfaceExternalModels(registry);
  tensor::registerInferTypeOpInterfaceExternalModels(registry);
  tensor::registerSubsetOpInterfaceExternalModels(registry);
  registry.addExtension(+[](MLIRContext *context, MoeDialect *) {
    attachComputeModels<RouteOp, DispatchOp, GroupedMatmulOp, GroupedOuterProductOp, CombineOp, AttentionOp, RmsNormOp,
                        RopeOp, SwigluOp, TopKOp, SortOp, ScanOp, NonZeroOp, QuantizeBlocksOp, DequantizeBlocksOp,
                        RouteRowsOp, ListRowsOp, CopyRowsOp, ExpertProductsOp, RowProductOp>(context);
    QuantizeRowsOp::attachInterface<QuantizeRowsModel>(*context);
    ScatterOp::attachInterface<ScatterModel>(*context);
    GetWeightOp::attachInterface<GetWeightModel>(*context);
  });
}
