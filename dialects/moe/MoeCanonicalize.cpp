//===- MoeCanonicalize.cpp - operands and settings that change nothing ----===//
//
// Recognisers and fusions build ops from what the graph has; what turns out to be neutral is dropped here, once:
//   moe.rms_norm %x weight(ones)            ->  moe.rms_norm %x
//   moe.attention ... mask(zeros)           ->  moe.attention ...
//   moe.route %l bias(zeros)                ->  moe.route %l
//   moe.route {num_groups = 8, top_groups = 8}  ->  moe.route
//   moe.combine ... weights(ones) residual(zeros)  ->  moe.combine ...
//   region arguments that nobody reads, or that hold one value twice, go with their operands.
// Only on tensors: on buffers the operands are already planned.
//
//===----------------------------------------------------------------------===//
#include "dialects/moe/Moe.h"

#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace mlir::moe;

/// Whether `v` is a constant that holds `number` everywhere (either zero counts as zero: only sums ask for it).
static bool isAll(Value v, double number) {
  DenseElementsAttr constant;
  if (!v || !matchPattern(v, m_Constant(&constant)) || !constant.isSplat())
    return false;
  auto type = dyn_cast<FloatType>(constant.getElementType());
  return type && constant.getSplatValue<APFloat>().compare([&] {
    APFloat wanted(number);
    bool lost;
    wanted.convert(type.getFloatSemantics(), APFloat::rmNearestTiesToEven, &lost);
    return wanted;
  }()) == APFloat::cmpEqual;
}

namespace {

/// Drops an optional operand that is everywhere neutral.
template <typename OpTy> struct DropNeutral : OpRewritePattern<OpTy> {
  using Getter = Value (*)(OpTy);
  using Clear = void (*)(OpTy);
  DropNeutral(MLIRContext *context, Getter get, double neutral, Clear clear)
      : OpRewritePattern<OpTy>(context), get(get), neutral(neutral), clear(clear) {}
  LogicalResult matchAndRewrite(OpTy op, PatternRewriter &rewriter) const override {
    if (!op.getOuts().empty() || !isAll(get(op), neutral))
      return rewriter.notifyMatchFailure(op, "the operand is absent, not neutral, or a buffer");
    rewriter.modifyOpInPlace(op, [&] { clear(op); });
    return success();
  }
  Getter get;
  double neutral;
  Clear clear;
};

/// All groups are kept: groups change nothing.
struct DropKeptGroups : OpRewritePattern<RouteOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(RouteOp op, PatternRewriter &rewriter) const override {
    if (op.getNumGroups() == 1 || op.getNumGroups() != op.getTopGroups())
      return rewriter.notifyMatchFailure(op, "some groups are dropped, or there are none");
    rewriter.modifyOpInPlace(op, [&] {
      op.setNumGroups(1);
      op.setTopGroups(1);
    });
    return success();
  }
};

/// Merges equal operands of an op whose region has an argument for each, and drops those that nobody reads.
/// `first` is the region argument of the first operand; `keepOne`: the op cannot be without any.
template <typename OpTy>
static LogicalResult shrinkRegionOperands(OpTy op, Region &region, MutableOperandRange operands, unsigned first,
                                          bool keepOne, ArrayRef<int64_t> kinds, PatternRewriter &rewriter,
                                          function_ref<void(unsigned)> erased) {
  if (!op.getOuts().empty())
    return rewriter.notifyMatchFailure(op, "works on buffers");
  Block &body = region.front();
  for (unsigned i = 0; i < operands.size(); ++i) {
    BlockArgument arg = body.getArgument(first + i);
    unsigned same = 0;
    while (same < i && (operands[same].get() != operands[i].get() || (!kinds.empty() && kinds[same] != kinds[i])))
      ++same;
    bool unused = arg.use_empty() && !(keepOne && operands.size() == 1);
    if (!unused && same == i)
      continue;
    rewriter.modifyOpInPlace(op, [&] {
      if (same < i)
        rewriter.replaceAllUsesWith(arg, body.getArgument(first + same));
      body.eraseArgument(first + i);
      operands.erase(i);
      erased(i);
    });
    return success();
  }
  return rewriter.notifyMatchFailure(op, "every operand of the region is read and there is one of each");
}

struct ShrinkExperts : OpRewritePattern<ExpertsOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ExpertsOp op, PatternRewriter &rewriter) const override {
    return shrinkRegionOperands(op, op.getBody(), op.getParamsMutable(), 1, /*keepOne=*/true, {}, rewriter,
                                [](unsigned) {});
  }
};

struct ShrinkGroupedMatmul : OpRewritePattern<GroupedMatmulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(GroupedMatmulOp op, PatternRewriter &rewriter) const override {
    SmallVector<int64_t> kinds(op.getExtraKinds());
    return shrinkRegionOperands(op, op.getEpilogue(), op.getExtrasMutable(), op.getWeights().size(),
                                /*keepOne=*/false, op.getExtraKinds(), rewriter, [&](unsigned i) {
                                  kinds.erase(kinds.begin() + i);
                                  op.setExtraKinds(kinds);
                                });
  }
};

} // namespace

void RmsNormOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<DropNeutral<RmsNormOp>>(
      context, [](RmsNormOp op) -> Value { return op.getWeight(); }, 1.0,
      [](RmsNormOp op) { op.getWeightMutable().clear(); });
}

void AttentionOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<DropNeutral<AttentionOp>>(
      context, [](AttentionOp op) -> Value { return op.getMask(); }, 0.0,
      [](AttentionOp op) { op.getMaskMutable().clear(); });
}

void RouteOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<DropKeptGroups>(context);
  patterns.add<DropNeutral<RouteOp>>(
      context, [](RouteOp op) -> Value { return op.getSelectionBias(); }, 0.0,
      [](RouteOp op) { op.getSelectionBiasMutable().clear(); });
}

void CombineOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  // The number of tokens comes from weights, residual or position / k: any of them may go.
  patterns.add<DropNeutral<CombineOp>>(
      context, [](CombineOp op) -> Value { return op.getResidual(); }, 0.0,
      [](CombineOp op) { op.getResidualMutable().clear(); });
  patterns.add<DropNeutral<CombineOp>>(
      context, [](CombineOp op) -> Value { return op.getWeights(); }, 1.0,
      [](CombineOp op) { op.getWeightsMutable().clear(); });
}

void ExpertsOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<ShrinkExperts>(context);
}

void GroupedMatmulOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<ShrinkGroupedMatmul>(context);
}

/// A condition that certainly holds.
OpFoldResult CheckedOp::fold(FoldAdaptor adaptor) {
  auto ok = dyn_cast_or_null<BoolAttr>(adaptor.getOk());
  return ok && ok.getValue() ? getValue() : Value();
}
