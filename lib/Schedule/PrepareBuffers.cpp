//===- PrepareBuffers.cpp - tensor ops that bufferize badly ---------------===//
//
// Rewrites, before bufferization, what would otherwise become copies, scalar stores or runtime shapes:
//
//   tensor.concat                      -> tensor.empty and one insert_slice per input (written in place later)
//   tensor.reshape %x(from_elements)   -> collapse_shape and expand_shape: views
//   a linalg operand of one known scalar -> the scalar inside the region
//
//===----------------------------------------------------------------------===//
#include "moe/Schedule/Passes.h"

#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/Transforms/Transforms.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace mlir::moe {
#define GEN_PASS_DEF_PREPAREBUFFERS
#include "moe/Schedule/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
/// tensor.reshape %x(tensor.from_elements %a, %b) -> tensor.expand_shape (tensor.collapse_shape %x) [[0, 1]]
struct ReshapeByElements : OpRewritePattern<tensor::ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tensor::ReshapeOp op, PatternRewriter &rewriter) const override {
    auto elements = op.getShape().getDefiningOp<tensor::FromElementsOp>();
    auto from = dyn_cast<RankedTensorType>(op.getSource().getType());
    auto to = dyn_cast<RankedTensorType>(op.getType());
    if (!from || !to || (!elements && !to.hasStaticShape()))
      return rewriter.notifyMatchFailure(op, "the shape is not a list of sizes");
    Location loc = op.getLoc();
    Value flat = op.getSource();
    if (from.getRank() == 0) {
      flat = tensor::ExpandShapeOp::create(rewriter, loc, RankedTensorType::get({1}, from.getElementType()), flat,
                                           ArrayRef<ReassociationIndices>{});
    } else if (from.getRank() > 1) {
      flat = tensor::CollapseShapeOp::create(
          rewriter, loc, flat, ArrayRef<ReassociationIndices>{llvm::to_vector(llvm::seq<int64_t>(0, from.getRank()))});
    }
    if (to.getRank() == 0) {
      auto one = RankedTensorType::get({1}, from.getElementType());
      if (flat.getType() != one)
        flat = tensor::CastOp::create(rewriter, loc, one, flat);
      rewriter.replaceOpWithNewOp<tensor::CollapseShapeOp>(op, to, flat, ArrayRef<ReassociationIndices>{});
      return success();
    }
    int64_t total = to.hasStaticShape() ? to.getNumElements() : ShapedType::kDynamic;
    auto flatType = RankedTensorType::get({total}, from.getElementType());
    if (flat.getType() != flatType)
      flat = tensor::CastOp::create(rewriter, loc, flatType, flat);
    if (to.getRank() == 1) {
      rewriter.replaceOp(op, flat);
      return success();
    }
    SmallVector<OpFoldResult> sizes;
    for (int64_t i = 0; i < to.getRank(); ++i) {
      if (!to.isDynamicDim(i)) {
        sizes.push_back(rewriter.getIndexAttr(to.getDimSize(i)));
        continue;
      }
      Value index = elements.getElements()[i];
      if (!index.getType().isIndex())
        index = rewriter.createOrFold<arith::IndexCastOp>(loc, rewriter.getIndexType(), index);
      sizes.push_back(index);
    }
    rewriter.replaceOpWithNewOp<tensor::ExpandShapeOp>(
        op, to, flat, ArrayRef<ReassociationIndices>{llvm::to_vector(llvm::seq<int64_t>(0, to.getRank()))}, sizes);
    return success();
  }
};

/// A linalg.generic operand that is tensor.from_elements of one scalar, read at a constant place -> the scalar.
struct ScalarOperand : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(linalg::GenericOp op, PatternRewriter &rewriter) const override {
    for (OpOperand *operand : op.getDpsInputOperands()) {
      Value source = operand->get();
      while (auto reshape = source.getDefiningOp())
        if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp>(reshape))
          source = reshape->getOperand(0);
        else
          break;
      auto elements = source.getDefiningOp<tensor::FromElementsOp>();
      if (!elements || elements.getElements().size() != 1)
        continue;
      // The iteration space must still be known from the other operands.
      SmallVector<AffineMap> rest = op.getIndexingMapsArray();
      rest.erase(rest.begin() + operand->getOperandNumber());
      if (!inversePermutation(concatAffineMaps(rest, op.getContext())))
        continue;
      rewriter.modifyOpInPlace(op, [&] {
        unsigned i = operand->getOperandNumber();
        BlockArgument arg = op.getBody()->getArgument(i);
        arg.replaceAllUsesWith(elements.getElements().front());
        SmallVector<Attribute> maps(op.getIndexingMaps().getValue());
        maps.erase(maps.begin() + i);
        op->eraseOperand(i);
        auto segments = op.getProperties().operandSegmentSizes;
        op.getProperties().operandSegmentSizes = {segments[0] - 1, segments[1]};
        op.setIndexingMapsAttr(rewriter.getArrayAttr(maps));
        op.getBody()->eraseArgument(i);
      });
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no operand is one scalar");
  }
};

struct PrepareBuffers : moe::impl::PrepareBuffersBase<PrepareBuffers> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ReshapeByElements, ScalarOperand>(&getContext());
    tensor::populateDecomposeTensorConcatPatterns(patterns);
    linalg::populateInlineConstantOperandsPatterns(patterns);
    tensor::CollapseShapeOp::getCanonicalizationPatterns(patterns, &getContext());
    tensor::ExpandShapeOp::getCanonicalizationPatterns(patterns, &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
