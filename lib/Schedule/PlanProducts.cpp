//===- PlanProducts.cpp - products by constant weights as kernels for Hopper ---===//
//
//   %q:2 = moe.quantize_blocks %x
//   %y = moe.grouped_matmul %q#0 scales(%q#1) weights(%w) weight_scales(%s) offsets(%o) { epilogue }
//     ->
//   %l:4 = moe.list_rows %x offsets(%o)
//   %c:2 = moe.quantize_rows %x at %l#0
//   %y = moe.row_product %c#0, %c#1 weights(%tiles, %s) items(%l#2, %l#3) at(%l#0, %l#1) { epilogue }
//
// In bf16 and f16 moe.copy_rows stands for moe.quantize_rows. Without offsets all rows are one group: attention projections, dense networks, shared
// experts. A product of several weights becomes one of each; the last takes the others' sums as extras of its epilogue. Products that are too small to pay
// for the launches keep their plain kernel.
//
//===----------------------------------------------------------------------===//
#include "RowPlan.h"
#include "moe/Schedule/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_PLANPRODUCTS
#include "moe/Schedule/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
constexpr int64_t kMaxGroups = 1024;

struct PlanProducts : moe::impl::PlanProductsBase<PlanProducts> {
  void runOnOperation() override {
    WeightTable weights(getOperation());
    SmallVector<GroupedMatmulOp> products;
    getOperation().walk([&](GroupedMatmulOp op) { products.push_back(op); });
    for (GroupedMatmulOp op : products) {
      if (op.getWeightScales().empty() && !isInSixteenBits(op, weights))
        continue; // neither FP8 nor a format of the tensor cores by a constant weight: nothing is promised
      std::string reason;
      if (match(op, weights, reason)) {
        rewrite(op, weights);
        ++numProducts;
      } else if (!op.getWeightScales().empty()) {
        op.emitRemark() << "the product runs as a plain kernel: " << reason;
      }
    }
  }

  static bool match(GroupedMatmulOp op, WeightTable &weights, std::string &reason) {
    auto no = [&](const Twine &why) {
      reason = why.str();
      return false;
    };
    if (!op.getWeightScales().empty() && !isScaledByBlocks(op, weights))
      return no("expected f8E4M3FN in blocks of 1 x 128 and 128 x 128 with f32 scales");
    auto quantize = op.getX().getDefiningOp<QuantizeBlocksOp>();
    if (op.getXScales() && (!quantize || op.getXScales() != quantize.getResult(1)))
      return no("expected rows that a moe.quantize_blocks quantizes");
    RankedTensorType w = rankedType(op.getWeights().front()), out = rankedType(op.getResult(0));
    if (w.getDimSize(1) < kLeastColumns || w.getDimSize(2) < kLeastDepth)
      return no("it pays from " + Twine(kLeastColumns) + " columns and sums of " + Twine(kLeastDepth) + " on, found " +
                Twine(w.getDimSize(1)) + " and " + Twine(w.getDimSize(2)));
    if (op.getXScales() && !fitsScales(w.getDimSize(2), 0))
      return no("expected sums whose scales fit in shared memory, found sums of " + Twine(w.getDimSize(2)));
    if (w.getDimSize(0) > kMaxGroups)
      return no("expected at most " + Twine(kMaxGroups) + " groups, found " + Twine(w.getDimSize(0)));
    auto dispatch = op.getOffsets() ? op.getOffsets().getDefiningOp<DispatchOp>() : DispatchOp();
    if (op.getRows() && (!dispatch || op.getRows() != dispatch.getResult(1) ||
                         static_cast<int64_t>(op.getRowsDivisor()) != choices(dispatch)))
      return no("expected rows that a moe.dispatch sorts");
    if (static_cast<int64_t>(op.getRowsDivisor()) > 32)
      return no("expected k of at most 32, found " + Twine(op.getRowsDivisor()));
    auto scalar = [](Type t) { return t.isF32() || t.isBF16() || t.isF16(); };
    if (!scalar(out.getElementType()) ||
        !llvm::all_of(op.getExtras(), [&](Value v) { return scalar(rankedType(v).getElementType()); }) ||
        llvm::is_contained(op.getExtraKinds(), 4))
      return no("expected results and extras of f32, bf16 or f16, and none that is gathered");
    return true;
  }
  static int64_t choices(DispatchOp op) { return rankedType(op.getIndices()).getDimSize(1); }

  static void rewrite(GroupedMatmulOp op, WeightTable &weights) {
    OpBuilder b(op);
    Location loc = op.getLoc();
    auto tensor = [](ArrayRef<int64_t> shape, Type element) { return RankedTensorType::get(shape, element); };
    bool fp8 = static_cast<bool>(op.getXScales());
    Value x = fp8 ? op.getX().getDefiningOp<QuantizeBlocksOp>().getInput() : op.getX();
    RankedTensorType w = rankedType(op.getWeights().front());
    int64_t groups = w.getDimSize(0), columns = w.getDimSize(1),
            k = op.getRows() ? static_cast<int64_t>(op.getRowsDivisor()) : 1, d = ShapedType::kDynamic;
    int64_t depth = fp8 ? kPlanBlock : kPlanBlock / 2, kb = ceilOf(w.getDimSize(2), depth),
            nb = ceilOf(columns, kPlanTileRows);
    int64_t tokens = rankedType(x).getDimSize(0), padding = paddingOf(groups);
    bool fixed = !ShapedType::isDynamic(tokens);
    int64_t p = fixed ? tokens * k : d, entries = groups + ceilOf(p, kPlanBlock),
            r = fixed ? ceilOf(p, 8) * 8 + padding : d;
    Type f32 = b.getF32Type(), i32 = b.getI32Type(), element = rankedType(op.getX()).getElementType();
    auto list = ListRowsOp::create(
        b, loc,
        TypeRange{tensor({p}, i32), tensor({groups}, i32), tensor({fixed ? 4 + 4 * entries : d}, i32),
                  tensor({fixed ? 16 + entries : d}, i32)},
        x, op.getOffsets(), op.getRows(), ValueRange(), b.getI64IntegerAttr(k), b.getI64IntegerAttr(0));
    auto kAttr = b.getI64IntegerAttr(k), paddingAttr = b.getI64IntegerAttr(padding);
    auto rowsType = tensor({kb, r, depth}, element);
    Operation *rows =
        fp8 ? QuantizeRowsOp::create(b, loc, TypeRange{rowsType, tensor({kb, r}, f32)}, x, list.getResult(0), Value(),
                                     Value(), ValueRange(), kAttr, paddingAttr, b.getI64IntegerAttr(0))
            : CopyRowsOp::create(b, loc, TypeRange(rowsType), x, list.getResult(0), ValueRange(), kAttr, paddingAttr)
                  .getOperation();

    // The sums of all weights but the last are extras of the last.
    SmallVector<Value> extras;
    SmallVector<int64_t> kinds;
    size_t last = op.getWeights().size() - 1;
    for (size_t i = 0; i <= last; ++i) {
      Value scales;
      if (fp8)
        scales = retile(b, loc, weights, RecipeStep::TileScales, op.getWeightScales()[i],
                        {groups, nb, ceilOf(2 * kb, 4) * 4});
      Value tiles =
          retile(b, loc, weights, RecipeStep::TileRows, op.getWeights()[i], {groups, nb, kb, kPlanTileRows, depth});
      if (i == last) {
        llvm::append_range(extras, op.getExtras());
        llvm::append_range(kinds, op.getExtraKinds());
      }
      Type type = i == last ? op.getResult(0).getType() : tensor(rankedType(op.getResult(0)).getShape(), f32);
      auto product = RowProductOp::create(
          b, loc, TypeRange(type), rows->getResult(0), fp8 ? rows->getResult(1) : Value(), tiles, scales,
          list.getResult(2), list.getResult(3), list.getResult(0), list.getResult(1),
          i == last ? ValueRange(extras) : ValueRange(), ValueRange(), b.getI64IntegerAttr(columns),
          b.getDenseI64ArrayAttr(i == last ? ArrayRef<int64_t>(kinds) : ArrayRef<int64_t>()));
      if (i < last) {
        OpBuilder::InsertionGuard guard(b);
        Block *block = b.createBlock(&product.getEpilogue());
        YieldOp::create(b, loc, ValueRange(block->addArgument(f32, loc)));
        extras.push_back(product.getResult(0));
        kinds.push_back(0);
        continue;
      }
      // The region gets the sums of all weights first: its own moves to the front.
      product.getEpilogue().takeBody(op.getEpilogue());
      Block &body = product.getEpilogue().front();
      if (last) {
        unsigned own = static_cast<unsigned>(last);
        body.insertArgument(0u, f32, loc);
        body.getArgument(own + 1).replaceAllUsesWith(body.getArgument(0));
        body.eraseArgument(own + 1);
      }
      op.getResult(0).replaceAllUsesWith(product.getResult(0));
    }
    auto quantize = op.getX().getDefiningOp<QuantizeBlocksOp>();
    op->erase();
    if (quantize && quantize->use_empty())
      quantize->erase();
  }
};
} // namespace
