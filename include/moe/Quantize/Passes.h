//===- Passes.h - the quantize phase: which products are FP8, and how ------===//
#ifndef MOE_QUANTIZE_PASSES_H
#define MOE_QUANTIZE_PASSES_H

#include "dialects/moe/Moe.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/Pass.h"

#include <string>
#include <vector>

namespace mlir {
class OpPassManager;
}

namespace mlir::moe {

#define GEN_PASS_DECL
#include "moe/Quantize/Passes.h.inc"

struct QuantizeOptions {
  /// "plain" or "blocks"; see moe-quantize-products.
  std::string recipe = "blocks";
  /// Format in which activations enter FP8-weight products: "f32", "bf16" or "f8".
  std::string activations = "f32";
  /// Globs of node or weight names whose products stay high.
  std::vector<std::string> keep;
  /// Print the table of products on stderr.
  bool table = false;
};

/// Products by constant weights -> products of scaled values. Tensors in and out, still interpretable.
void buildQuantizePipeline(OpPassManager &pm, const QuantizeOptions &options);

#define GEN_PASS_REGISTRATION
#include "moe/Quantize/Passes.h.inc"

/// Registers `moe-quantize` (the whole phase) beside its passes.
void registerQuantizePipeline();

} // namespace mlir::moe

#endif // MOE_QUANTIZE_PASSES_H
