//===- NormalizeOnnx.cpp - one form for what exporters write in several ----===//
//
// Recognisers should meet the computation, not the exporter. This pass removes layout ops that change nothing (shape
// facts prove it), merges those that follow each other, turns writes of slices into Concat, and gives a few arithmetic
// forms one spelling. It never changes a value: what rounds stays as it is.
//
//   %s = onnx.Expand(%x, %shape)                 (equal shapes)          ->  %x
//   %u = onnx.Transpose(onnx.Transpose(%x))                              ->  %x or one Transpose
//   %p = onnx.Pow(%x, 2.0)                                               ->  onnx.Mul(%x, %x)
//   %r = onnx.ScatterND(%data, 3, 4, ..., n-1, %updates)                 ->  onnx.Concat(onnx.Slice(%data), %updates, ...)
//
// At the end result types get the extents that are known.
//===----------------------------------------------------------------------===//
#include "NormalizeOnnx.h"

#include "OnnxBuild.h"
#include "moe/Raise/Passes.h"

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#define DEBUG_TYPE "moe-normalize-onnx"

namespace mlir::moe {
#define GEN_PASS_DEF_NORMALIZEONNX
#include "moe/Raise/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

/// Puts known extents into the types of onnx results; values that other dialects read keep theirs.
static unsigned refineTypes(func::FuncOp func, ShapeFacts &facts) {
  unsigned refined = 0;
  func.walk([&](Operation *op) {
    if (!isa<onnx::OnnxDialect>(op->getDialect()) || isa<onnx::ConstantOp>(op))
      return;
    for (Value result : op->getResults()) {
      auto type = dyn_cast<RankedTensorType>(result.getType());
      if (!type || type.hasStaticShape() || !isRetypable(result))
        continue;
      SmallVector<int64_t> shape(type.getShape());
      for (auto [extent, expr] : llvm::zip(shape, facts.shape(result)))
        if (auto known = facts.constant(expr); known && ShapedType::isDynamic(extent) && *known >= 0)
          extent = *known;
      if (ArrayRef<int64_t>(shape) == type.getShape())
        continue;
      result.setType(type.clone(shape));
      ++refined;
    }
  });
  return refined;
}

namespace {
struct NormalizeOnnx : moe::impl::NormalizeOnnxBase<NormalizeOnnx> {
  using NormalizeOnnxBase::NormalizeOnnxBase;

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isDeclaration())
      return;
    mergeNonZeros(func);
    ShapeFacts facts(func);
    RewritePatternSet patterns(&getContext());
    populateNormalizeLayout(patterns, facts);
    populateNormalizeScatter(patterns, facts);
    populateNormalizeArithmetic(patterns, facts);
    GreedyRewriteConfig config;
    config.setListener(&facts).enableFolding(false).setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
    // Patterns only remove ops or move them towards Concat, so this ends; it not having ended is no error.
    (void)applyPatternsGreedily(func, std::move(patterns), config);
    numRefined += refineTypes(func, facts);
  }
};
} // namespace
