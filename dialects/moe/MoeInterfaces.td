#ifndef MOE_INTERFACES_TD
#define MOE_INTERFACES_TD

include "mlir/IR/OpBase.td"

def MoeComputeOpInterface : OpInterface<"MoeComputeOpInterface"> {
  let cppNamespace = "::mlir::moe";
  let description = [{
    An op that is one unit of computation. On tensors it produces results; on buffers it has no results and writes
    `outs`, one per result, in the order of the results. Interpreter, bufferization, scheduling and the tile phase
    treat every `moe` computation through this interface.
  }];
  let methods = [
    InterfaceMethod<"The operands that are read.", "::mlir::ValueRange", "getIns">,
    InterfaceMethod<"The buffers that are written; empty on tensors.", "::mlir::OperandRange", "getOutBuffers">,
    InterfaceMethod<[{
      Sizes of each result as index values or attributes, created at `b`'s insertion point from the operands
      (tensors or memrefs). Fails for results whose size depends on data.
    }], "::mlir::LogicalResult", "inferResultSizes",
      (ins "::mlir::OpBuilder &":$b, "::mlir::SmallVectorImpl<::mlir::SmallVector<::mlir::OpFoldResult>> &":$sizes)>,
  ];
}

#endif // MOE_INTERFACES_TD
