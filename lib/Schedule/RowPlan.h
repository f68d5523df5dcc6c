//===- RowPlan.h - what the plans of Hopper's products share --------------===//
//
// Which products the tile kernels take, and weights in the layout that they stream (moe.expert_products).
//
//===----------------------------------------------------------------------===//
#ifndef MOE_LIB_SCHEDULE_ROWPLAN_H
#define MOE_LIB_SCHEDULE_ROWPLAN_H

#include "moe/Fuse/WeightTable.h"

namespace mlir::moe {

constexpr int64_t kPlanBlock = 128, kPlanTileRows = 256;

inline int64_t ceilOf(int64_t n, int64_t by) { return (n + by - 1) / by; }
inline RankedTensorType rankedType(Value v) { return cast<RankedTensorType>(v.getType()); }

/// Places beside those of the rows: each group's begin at a multiple of 8, and the last item may read 128 rows from its first on.
inline int64_t paddingOf(int64_t groups) { return ceilOf(7 * groups, 8) * 8 + kPlanBlock; }

/// Codes of f8E4M3FN by constant weights, in blocks of 1 x 128 and 128 x 128 with f32 scales.
inline bool isScaledByBlocks(GroupedMatmulOp op, WeightTable &weights) {
  return op.getXScales() && op.getXBlock() == ArrayRef<int64_t>{1, kPlanBlock} && op.getWeightBlock() == ArrayRef<int64_t>{1, kPlanBlock, kPlanBlock} &&
         !op.getPacked() && rankedType(op.getXScales()).getElementType().isF32() && isa<Float8E4M3FNType>(rankedType(op.getX()).getElementType()) &&
         llvm::all_of(op.getWeights(), [&](Value w) { return weights.bankOf(w).recipe; }) &&
         llvm::all_of(op.getWeightScales(), [&](Value w) { return weights.bankOf(w).recipe; });
}
/// Rows and constant weights of one 16-bit format, as they are.
inline bool isInSixteenBits(GroupedMatmulOp op, WeightTable &weights) {
  Type element = rankedType(op.getX()).getElementType();
  return (element.isBF16() || element.isF16()) && !op.getPacked() &&
         llvm::all_of(op.getWeights(), [&](Value w) { return getElementTypeOrSelf(w.getType()) == element && weights.bankOf(w).recipe; });
}

/// A weight of a new recipe over the banks of `values`.
inline Value retile(OpBuilder &b, Location loc, WeightTable &weights, RecipeStep step, ValueRange values, ArrayRef<int64_t> shape) {
  SmallVector<Attribute> inputs;
  StringRef name;
  for (Value v : values) {
    Bank bank = weights.bankOf(v);
    inputs.push_back(bank.recipe);
    name = name.empty() ? bank.name : name;
  }
  auto type = RankedTensorType::get(shape, rankedType(values.front()).getElementType());
  Attribute recipe = RecipeAttr::get(b.getContext(), step, b.getDictionaryAttr({}), b.getArrayAttr(inputs), type);
  return weights.materialize(b, loc, Bank{recipe, {}, name});
}

} // namespace mlir::moe

#endif // MOE_LIB_SCHEDULE_ROWPLAN_H
