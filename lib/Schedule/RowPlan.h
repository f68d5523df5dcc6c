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
/// Below so many columns or so large a sum a tile of 256 x 128 bytes is mostly padding: a plain kernel serves.
constexpr int64_t kLeastColumns = 64, kLeastDepth = 64;

inline int64_t ceilOf(int64_t n, int64_t by) { return (n + by - 1) / by; }
inline RankedTensorType rankedType(Value v) { return cast<RankedTensorType>(v.getType()); }

/// Whether a kernel of tiles has room for the scales of sums of `depth` elements in FP8: four tiles' scales beside the rings. `more`: bytes of
/// its epilogues.
inline bool fitsScales(int64_t depth, int64_t more) {
  constexpr int64_t kRoom = 14000; // of 232,448 bytes behind rings, staging, queue and barriers
  return 4 * 4 * 2 * ceilOf(depth, kPlanBlock) + more <= kRoom;
}
constexpr int64_t kActivationBytes = 2560, kBiasBytes = 4096;

/// Places beside those of the rows: each group's begin at a multiple of 8, and the last item may read 128 rows from its first on.
inline int64_t paddingOf(int64_t groups) { return ceilOf(7 * groups, 8) * 8 + kPlanBlock; }

/// Codes of f8E4M3FN by constant weights, in blocks of 1 x 128 and 128 x 128 with f32 scales.
inline bool isScaledByBlocks(GroupedMatmulOp op, WeightTable &weights) {
  return op.getXScales() && op.getXBlock() == ArrayRef<int64_t>{1, kPlanBlock} &&
         op.getWeightBlock() == ArrayRef<int64_t>{1, kPlanBlock, kPlanBlock} && !op.getPacked() &&
         rankedType(op.getXScales()).getElementType().isF32() &&
         isa<Float8E4M3FNType>(rankedType(op.getX()).getElementType()) &&
         llvm::all_of(op.getWeights(), [&](Value w) { return weights.bankOf(w).recipe; }) &&
         llvm::all_of(op.getWeightScales(), [&](Value w) { return weights.bankOf(w).recipe; });
}
/// Rows and constant weights of one 16-bit format, as they are.
inline bool isInSixteenBits(GroupedMatmulOp op, WeightTable &weights) {
  Type element = rankedType(op.getX()).getElementType();
  return (element.isBF16() || element.isF16()) && !op.getPacked() && llvm::all_of(op.getWeights(), [&](Value w) {
           return getElementTypeOrSelf(w.getType()) == element && weights.bankOf(w).recipe;
         });
}

/// A weight of a new recipe over the banks of `values`.
Value retile(OpBuilder &b, Location loc, WeightTable &weights, RecipeStep step, ValueRange values,
             ArrayRef<int64_t> shape);

/// What adds a bias to a product's sum in a region: addf(sum, bias), perhaps in a narrower type.
struct BiasStep {
  arith::AddFOp add;
  SmallVector<Operation *> casts;

  /// Of sum `i` and bias `bias`, arguments of `body` that nothing else reads; nullopt if it is not of that form.
  static std::optional<BiasStep> at(Block &body, unsigned i, unsigned bias);
  Type element() const { return arith::AddFOp(add).getType(); }
  /// The sum that comes with its bias takes the place of the addition.
  void erase(BlockArgument sum);
};

/// Whether the second product of a layer yields `value` as the kernel rounds it, to its rows' 16 bits. In FP8 the kernel rounds to bf16 what the graph
/// leaves in f32 too.
bool yieldsRounded(GroupedMatmulOp op, Value value);

/// moe.expert_products for the rows `x` in their places, with the activation of `gateUp`, whose region it takes. The weights get the kernel's layout.
/// `biasElement`: BiasStep is there in both regions. The source ops stay.
ExpertProductsOp createExpertProducts(OpBuilder &b, WeightTable &weights, GroupedMatmulOp gateUp, GroupedMatmulOp down,
                                      Value x, Value xScales, Value items, Value counters, Type biasElement);
/// For bench: the work of `rows` rows (an expression over extents of the op's operands), and which weights only the chosen experts read.
void setCost(ExpertProductsOp op, const std::string &rows);

} // namespace mlir::moe

#endif // MOE_LIB_SCHEDULE_ROWPLAN_H
