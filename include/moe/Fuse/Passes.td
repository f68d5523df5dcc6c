#ifndef MOE_FUSE_PASSES_TD
#define MOE_FUSE_PASSES_TD
include "mlir/Pass/PassBase.td"

def SplitExperts : Pass<"moe-split-experts", "::mlir::ModuleOp"> {
  let summary = "Split moe.experts into dispatch, grouped products with epilogues, and combine";
  let description = [{
    Every contraction of the region becomes a `moe.grouped_matmul` over the rows sorted by expert; what is computed
    between two contractions becomes the epilogue of the first. Slices of a product's columns (gate and up halves,
    interleaved columns) become slices of the weights, by recipe. A region that does something else than
    element-wise functions and products of its rows is run for every expert on all rows, with a remark.
  }];
  let dependentDialects = ["::mlir::moe::MoeDialect", "::mlir::linalg::LinalgDialect", "::mlir::scf::SCFDialect",
                           "::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::tensor::TensorDialect"];
  let statistics = [Statistic<"numSplit", "split", "moe.experts that became grouped products">,
                    Statistic<"numLooped", "looped", "moe.experts that became a loop over experts">];
}

def PackProducts : Pass<"moe-pack-products", "::mlir::ModuleOp"> {
  let summary = "Make products by constant weights moe.grouped_matmul on packed weights";
  let description = [{
    A contraction of rows with a `moe.get_weight` (through transposes, slices and reshapes) becomes a
    `moe.grouped_matmul` of one group. Weights of grouped products get a `pack` step in their recipe:
    [G, N, K] -> [G, ceil(N/panel), K, panel]. One layout serves every row count.
  }];
  let options = [Option<"panel", "panel", "int64_t", "16", "columns in a panel">,
                 Option<"narrow", "narrow", "bool", "true", "keep bf16 weights behind a widening cast in bf16; products widen them in registers">];
  let dependentDialects = ["::mlir::moe::MoeDialect", "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
  let statistics = [Statistic<"numDense", "dense", "contractions that became moe.grouped_matmul">,
                    Statistic<"numPacked", "packed", "products whose weights were packed">];
}

def NarrowTables : Pass<"moe-narrow-tables", "::mlir::ModuleOp"> {
  let summary = "Keep tables of bf16 and f16 in their format and widen what is looked up";
  let description = [{
    A weight behind a widening cast of which single elements are read (an embedding) is read in its source's format; each
    element is widened after it. The artefact holds half the bytes, the values are the same.
  }];
  let dependentDialects = ["::mlir::moe::MoeDialect", "::mlir::arith::ArithDialect", "::mlir::tensor::TensorDialect"];
  let statistics = [Statistic<"numNarrowed", "narrowed", "tables that keep their format">];
}

def FuseEpilogues : Pass<"moe-fuse-epilogues"> {
  let summary = "Fold element-wise consumers into products and combines, and fuse the other element-wise operations";
  let description = [{
    Bias, activation, residual and gating of two products of the same rows go into the epilogue region of
    `moe.grouped_matmul`; an addition after `moe.combine` becomes its residual; chains of element-wise `linalg`
    operations become one. A value with several users is never computed twice.
  }];
  let dependentDialects = ["::mlir::moe::MoeDialect", "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect", "::mlir::tensor::TensorDialect"];
}

def SplitScaled : Pass<"moe-split-scaled", "::mlir::ModuleOp"> {
  let summary = "Split scaled values into codes and scales";
  let description = [{
    A value of type `!moe.scaled` becomes two tensors. A weight is quantized by recipe: steps `scales` and `quantize` on the same
    values in high precision, evaluated while the artefact is written; codes of products are packed as other weights are.
    An activation becomes `moe.quantize_blocks`. `moe.grouped_matmul` gets its scales as operands (see there). A copy made by
    `moe.requantize` is quantized from the values it names. No scaled value is left.
  }];
  let options = [Option<"panel", "panel", "int64_t", "16", "columns in a panel of packed codes; 0 leaves them as [G, N, K]">];
  let dependentDialects = ["::mlir::moe::MoeDialect", "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
  let statistics = [Statistic<"numSplit", "split", "operations on scaled values">];
}

def DropUnusedWeights : Pass<"moe-drop-unused-weights", "::mlir::ModuleOp"> {
  let summary = "Erase moe.weight that no moe.get_weight names";
  let description = [{
    Packing makes new weights of old ones; the old ones would otherwise be written into the artefact.
  }];
}

def VerifyFuse : Pass<"moe-verify-fuse", "::mlir::ModuleOp"> {
  let summary = "Check what leaves the fuse phase: no onnx, no moe.experts, tensors only";
  let description = [{
    Fails on ops of the onnx dialect, on moe.experts, on scaled values, and on moe ops that write buffers, at their location.
  }];
}
#endif // MOE_FUSE_PASSES_TD
