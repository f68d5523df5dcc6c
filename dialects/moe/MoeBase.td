#ifndef MOE_BASE_TD
#define MOE_BASE_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def Moe_Dialect : Dialect {
  let name = "moe";
  let cppNamespace = "::mlir::moe";
  let summary = "mixture-of-experts layers: routing, grouped products, attention, norms and the weights they read";
  let description = [{
    The domain dialect. Ops have value semantics on ranked tensors with dynamic token counts. After bufferization the
    same ops read memrefs and write the memrefs in `outs` (see `Moe_ComputeOp`).

    Notation: T tokens, H hidden size, E experts, k experts per token, P = T*k assignments (assignment a = t*k + slot),
    N output columns, K contraction length.
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let extraClassDeclaration = [{
    void registerAttributes();
    void registerTypes();
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::tensor::TensorDialect"];
}

#endif // MOE_BASE_TD
