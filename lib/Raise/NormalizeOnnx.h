//===- NormalizeOnnx.h - the groups of patterns of moe-normalize-onnx ------===//
#ifndef MOE_LIB_RAISE_NORMALIZEONNX_H
#define MOE_LIB_RAISE_NORMALIZEONNX_H

#include "moe/Import/ShapeFacts.h"

#include "mlir/IR/PatternMatch.h"

namespace mlir::moe {

/// Layout ops that change nothing, or that follow each other.
void populateNormalizeLayout(RewritePatternSet &patterns, ShapeFacts &facts);
/// One NonZero lists the places of a mask, so that their number has one name. Before facts are computed.
void mergeNonZeros(func::FuncOp func);
/// Writes of whole slices become Concat and Slice, writes under masks of rows those of rows.
void populateNormalizeScatter(RewritePatternSet &patterns, ShapeFacts &facts);
/// One form for arithmetic that exporters write in several.
void populateNormalizeArithmetic(RewritePatternSet &patterns, ShapeFacts &facts);

} // namespace mlir::moe

#endif // MOE_LIB_RAISE_NORMALIZEONNX_H
