//===- PlanFeedForward.cpp - dense gated networks as expert layers of one group ---===//
//
//   %g = moe.grouped_matmul %q#0 ... weights(%gate, %up) { activation }       (no offsets: all rows are one group)
//   %h:2 = moe.quantize_blocks %g
//   %y = moe.grouped_matmul %h#0 ... weights(%down) extras(%residual)
//     ->
//   %l:4 = moe.list_rows %x
//   %c:2 = moe.quantize_rows %x at %l#0
//   %e:3 = moe.expert_products %c#0, %c#1 w1(...) w2(...) items(%l#2, %l#3) { activation }
//   %y = moe.combine %e#0 at %l#0 residual(%residual)
//
// In bf16 and f16 moe.copy_rows stands for moe.quantize_rows. The kernel rounds y to 16 bits before the residual is added, so networks whose result is
// not of 16 bits stay what they are: product by product. The list is this op's own, since the kernel leaves its counters changed.
//
//===----------------------------------------------------------------------===//
#include "RowPlan.h"
#include "moe/Schedule/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_PLANFEEDFORWARD
#include "moe/Schedule/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
struct Network {
  GroupedMatmulOp gateUp, down;
  QuantizeBlocksOp inner, outer; // in FP8
  Value residual;                // or none
};

struct PlanFeedForward : moe::impl::PlanFeedForwardBase<PlanFeedForward> {
  void runOnOperation() override {
    WeightTable weights(getOperation());
    SmallVector<GroupedMatmulOp> products;
    getOperation().walk([&](GroupedMatmulOp op) { products.push_back(op); });
    int64_t number = 0;
    for (GroupedMatmulOp op : products) // a down product comes behind what it erases
      if (std::optional<Network> network = match(op, weights)) {
        rewrite(*network, weights, ++number);
        ++numNetworks;
      }
  }

  static bool isDense(GroupedMatmulOp op) {
    return !op.getOffsets() && !op.getRows() && rankedType(op.getWeights().front()).getDimSize(0) == 1;
  }

  static std::optional<Network> match(GroupedMatmulOp down, WeightTable &weights) {
    Network n;
    n.down = down;
    if (!isDense(down) || down.getWeights().size() != 1)
      return std::nullopt;
    n.inner = down.getX().getDefiningOp<QuantizeBlocksOp>();
    n.gateUp = (n.inner ? n.inner.getInput() : down.getX()).getDefiningOp<GroupedMatmulOp>();
    if (!n.gateUp || !isDense(n.gateUp) || n.gateUp.getWeights().size() != 2 || !n.gateUp.getExtras().empty() ||
        !n.gateUp->hasOneUse())
      return std::nullopt;
    n.outer = n.gateUp.getX().getDefiningOp<QuantizeBlocksOp>();
    bool fp8 = static_cast<bool>(down.getXScales());
    Type element = rankedType(down.getResult(0)).getElementType();
    if (fp8 ? !n.inner || !n.outer || n.gateUp.getXScales() != n.outer.getResult(1) ||
                  down.getXScales() != n.inner.getResult(1) || !element.isBF16() || !isScaledByBlocks(down, weights) ||
                  !isScaledByBlocks(n.gateUp, weights) ||
                  !llvm::all_of(n.inner->getUsers(), [&](Operation *user) { return user == down; })
            : n.inner || !isInSixteenBits(down, weights) || !isInSixteenBits(n.gateUp, weights) ||
                  element != rankedType(down.getX()).getElementType() ||
                  element != rankedType(n.gateUp.getX()).getElementType())
      return std::nullopt;
    int64_t hidden = rankedType(n.gateUp.getX()).getDimSize(1), inner = rankedType(n.gateUp.getResult(0)).getDimSize(1);
    if (hidden % 8 || hidden < kLeastColumns || inner < kLeastColumns ||
        rankedType(down.getResult(0)).getDimSize(1) != hidden ||
        (fp8 && !fitsScales(std::max(hidden, inner), kActivationBytes)))
      return std::nullopt;
    // The sum rounded, or that plus a residual in its type.
    Block &body = down.getEpilogue().front();
    if (down.getExtras().empty())
      return yieldsRounded(down, body.getArgument(0)) ? std::optional(n) : std::nullopt;
    auto add = body.getTerminator()->getOperand(0).getDefiningOp<arith::AddFOp>();
    if (down.getExtras().size() != 1 || down.getExtraKinds()[0] != 0 ||
        rankedType(down.getExtras()[0]).getElementType() != element || !add)
      return std::nullopt;
    for (unsigned i = 0; i < 2; ++i) {
      auto rounded = add->getOperand(i).getDefiningOp<arith::TruncFOp>();
      if (rounded && rounded.getIn() == body.getArgument(0) && rounded.getType() == element &&
          add->getOperand(1 - i) == body.getArgument(1)) {
        n.residual = down.getExtras()[0];
        return n;
      }
    }
    return std::nullopt;
  }

  static void rewrite(Network &n, WeightTable &weights, int64_t number) {
    OpBuilder b(n.down);
    Location loc = n.down.getLoc();
    auto tensor = [](ArrayRef<int64_t> shape, Type element) { return RankedTensorType::get(shape, element); };
    Value x = n.outer ? n.outer.getInput() : n.gateUp.getX();
    int64_t tokens = rankedType(x).getDimSize(0), d = ShapedType::kDynamic, padding = paddingOf(1);
    bool fixed = !ShapedType::isDynamic(tokens);
    int64_t entries = 1 + ceilOf(tokens, kPlanBlock), r = fixed ? ceilOf(tokens, 8) * 8 + padding : d,
            depth = n.outer ? kPlanBlock : kPlanBlock / 2;
    Type i32 = b.getI32Type(), f32 = b.getF32Type();
    auto one = b.getI64IntegerAttr(1), pad = b.getI64IntegerAttr(padding);
    auto list = ListRowsOp::create(b, loc,
                                   TypeRange{tensor({tokens}, i32), tensor({1}, i32),
                                             tensor({fixed ? 4 + 4 * entries : d}, i32),
                                             tensor({fixed ? 16 + entries : d}, i32)},
                                   x, Value(), Value(), ValueRange(), one, b.getI64IntegerAttr(number));
    Type rowsType =
        tensor({ceilOf(rankedType(x).getDimSize(1), depth), r, depth}, rankedType(n.gateUp.getX()).getElementType());
    Operation *rows =
        n.outer ? QuantizeRowsOp::create(
                      b, loc, TypeRange{rowsType, tensor({ceilOf(rankedType(x).getDimSize(1), depth), r}, f32)}, x,
                      list.getResult(0), Value(), Value(), ValueRange(), one, pad, b.getI64IntegerAttr(0))
                : CopyRowsOp::create(b, loc, TypeRange(rowsType), x, list.getResult(0), ValueRange(), one, pad)
                      .getOperation();
    auto products =
        createExpertProducts(b, weights, n.gateUp, n.down, rows->getResult(0), n.outer ? rows->getResult(1) : Value(),
                             list.getResult(2), list.getResult(3), Type());
    setCost(products, fixed ? std::to_string(tokens) : "($0.1 - " + std::to_string(padding) + ")");
    auto y = CombineOp::create(b, loc, TypeRange(n.down.getResult(0).getType()), products.getResult(0),
                               list.getResult(0), Value(), n.residual, ValueRange(), one);
    n.down.getResult(0).replaceAllUsesWith(y.getResult(0));
    for (Operation *op : {n.down.getOperation(), n.inner ? n.inner.getOperation() : nullptr, n.gateUp.getOperation()})
      if (op)
        op->erase();
    if (n.outer && n.outer->use_empty())
      n.outer->erase();
  }
};
} // namespace
