#ifndef MOE_QUANTIZE_PASSES_TD
#define MOE_QUANTIZE_PASSES_TD
include "mlir/Pass/PassBase.td"

def QuantizeProducts : Pass<"moe-quantize-products", "::mlir::ModuleOp"> {
  let summary = "Choose the products that are FP8 and put moe.quantize in front of their operands";
  let description = [{
    Works on `moe.grouped_matmul` (dense and grouped). FP8 are products by a constant weight: experts, shared experts, dense FFN,
    attention projections. High stay: routers (what reaches `moe.route` or a top-k), the output head (what leaves a function
    that takes token ids, by itself), products with fewer than 16 columns or a sum of fewer than 16, and what `keep` names. Embeddings,
    norms and attention scores are no products by a weight.

        %y = moe.grouped_matmul %x weights(%w)
          ->
        %q = moe.quantize %x : ... -> !moe.scaled<?x256xf8E4M3FN, block = [1, 128], scale = f32>         activations = f8
        %p = moe.quantize %w : ... -> !moe.scaled<1x512x256xf8E4M3FN, block = [1, 128, 128], scale = f32>
        %y = moe.grouped_matmul %q weights(%p)

    | recipe | weights | f8 activations |
    |---|---|---|
    | plain | one f32 scale for each matrix (each expert's own) | one dynamic scale a call: not batch-invariant |
    | blocks | one f32 scale for 128 x 128 | one for 1 x 128 |

    Every quantized value comes from high precision; the same x in the same blocks is quantized once. The module's attribute
    `moe.fp8` says what was done.
  }];
  let options = [
    Option<"recipe", "recipe", "std::string", "\"blocks\"", "plain or blocks">,
    Option<"activations", "activations", "std::string", "\"f32\"", "format in which activations enter these products: f32 (as they are), bf16 or f8">,
    ListOption<"keep", "keep", "std::string", "globs of node or weight names whose products stay high; each must match one">,
    Option<"table", "table", "bool", "false", "print each product with its recipe, bytes before and after, and the reason where it stays high">];
  let dependentDialects = ["::mlir::moe::MoeDialect", "::mlir::linalg::LinalgDialect", "::mlir::arith::ArithDialect", "::mlir::tensor::TensorDialect"];
  let statistics = [Statistic<"numQuantized", "quantized", "products that became FP8">,
                    Statistic<"numKept", "kept", "products that stay high">];
}

def VerifyQuantize : Pass<"moe-verify-quantize", "::mlir::ModuleOp"> {
  let summary = "Check what leaves the quantize phase: scaled values only between moe ops, routers in high precision";
  let description = [{
    Fails where a scaled value is an argument, is returned or is used by an op of another dialect; where the logits of a
    `moe.route` come from a product of scaled values; and on ops of the onnx dialect.
  }];
}
#endif // MOE_QUANTIZE_PASSES_TD
