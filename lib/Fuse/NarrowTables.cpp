//===- NarrowTables.cpp - tables of bf16 stay bf16 --------------------------===//
//
//   %t = moe.get_weight @table : tensor<2048x256xf32>          (@table casts a piece of bf16)
//   %v = tensor.extract %t[%i, %j] : tensor<2048x256xf32>
//     ->
//   %t = moe.get_weight @table_0 : tensor<2048x256xbf16>
//   %n = tensor.extract %t[%i, %j]   %v = arith.extf %n : bf16 to f32
//
// An embedding is a large weight of which a few rows are read. Widening is exact, so the values are the same.
//
//===----------------------------------------------------------------------===//
#include "moe/Fuse/WeightTable.h"

namespace mlir::moe {
#define GEN_PASS_DEF_NARROWTABLES
#include "moe/Fuse/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
struct NarrowTables : moe::impl::NarrowTablesBase<NarrowTables> {
  void runOnOperation() override {
    WeightTable weights(getOperation());
    SmallVector<GetWeightOp> gets;
    getOperation().walk([&](GetWeightOp get) { gets.push_back(get); });
    for (GetWeightOp get : gets) {
      auto type = dyn_cast<RankedTensorType>(get.getResult().getType());
      if (!type || !type.getElementType().isF32() || get->use_empty() ||
          !llvm::all_of(get->getUsers(), llvm::IsaPred<tensor::ExtractOp>))
        continue;
      Bank small = narrowBank(weights.bankOf(get.getResult()));
      if (!small.recipe)
        continue;
      OpBuilder b(get);
      Value table = weights.materialize(b, get.getLoc(), small);
      for (Operation *user : llvm::make_early_inc_range(get->getUsers())) {
        auto extract = cast<tensor::ExtractOp>(user);
        b.setInsertionPoint(extract);
        Value narrow = tensor::ExtractOp::create(b, extract.getLoc(), table, extract.getIndices());
        Value wide = arith::ExtFOp::create(b, extract.getLoc(), type.getElementType(), narrow);
        extract.replaceAllUsesWith(wide);
        extract.erase();
      }
      get.erase();
      ++numNarrowed;
    }
  }
};
} // namespace
