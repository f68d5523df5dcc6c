//===- NormalizeLayout.cpp - layout ops that change nothing, or follow each other ===//
//
//   Identity(%x), Cast(%x) to its own type, Dropout in inference, Concat of one, Split into one       ->  %x
//   Expand / Reshape / Slice / Unsqueeze+Squeeze whose result has the operand's shape                 ->  %x
//   Transpose(Transpose(%x, p), q)                            ->  Transpose(%x, p after q), or %x
//   Reshape(Reshape(%x, s), t)                                ->  Reshape(%x, t)
//   Unsqueeze(Unsqueeze(%x, a), b)                            ->  Unsqueeze(%x, a and b)
//   Slice(Concat(..., %x, ...)) of exactly one part           ->  %x                (also with a Transpose between them)
//===----------------------------------------------------------------------===//
#include "NormalizeOnnx.h"

#include "OnnxBuild.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

struct FactsPattern {
  explicit FactsPattern(ShapeFacts &facts) : facts(facts) {}
  ShapeFacts &facts;
};

/// Puts `with` in the place of `op`'s only result, which has the same elements; the types may know different extents.
LogicalResult replaceWithSame(Operation *op, Value with, PatternRewriter &rewriter) {
  Value old = op->getResult(0);
  if (OnnxBuild::typeOf(old).getElementType() != OnnxBuild::typeOf(with).getElementType())
    return rewriter.notifyMatchFailure(op, "element types differ");
  if (old.getType() != with.getType() && !isRetypable(old))
    return rewriter.notifyMatchFailure(op, "a user needs the result's own type");
  rewriter.replaceAllUsesWith(old, with);
  rewriter.eraseOp(op);
  return success();
}

struct DropIdentity : OpRewritePattern<onnx::IdentityOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(onnx::IdentityOp op, PatternRewriter &rewriter) const override {
    return replaceWithSame(op, op->getOperand(0), rewriter);
  }
};

struct DropDropout : OpRewritePattern<onnx::DropoutOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(onnx::DropoutOp op, PatternRewriter &rewriter) const override {
    Value training = onnx::getInput(op, 2);
    if (op->getNumResults() > 1 && !op->getResult(1).use_empty())
      return rewriter.notifyMatchFailure(op, "its mask is read");
    if (training && onnx::getConstantScalar(training).value_or(1) != 0)
      return rewriter.notifyMatchFailure(op, "it may be training");
    if (op->getResult(0).getType() != op->getOperand(0).getType() && !isRetypable(op->getResult(0)))
      return rewriter.notifyMatchFailure(op, "a user needs the result's own type");
    rewriter.replaceAllUsesWith(op->getResult(0), op->getOperand(0));
    rewriter.eraseOp(op);
    return success();
  }
};

struct DropCast : OpRewritePattern<onnx::CastOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(onnx::CastOp op, PatternRewriter &rewriter) const override {
    return replaceWithSame(op, op.getInput(), rewriter);
  }
};

struct DropSingleConcat : OpRewritePattern<onnx::ConcatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(onnx::ConcatOp op, PatternRewriter &rewriter) const override {
    if (op.getInputs().size() != 1)
      return rewriter.notifyMatchFailure(op, "joins several values");
    return replaceWithSame(op, op.getInputs()[0], rewriter);
  }
};

struct DropSingleSplit : OpRewritePattern<onnx::SplitOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(onnx::SplitOp op, PatternRewriter &rewriter) const override {
    if (op.getOutputs().size() != 1)
      return rewriter.notifyMatchFailure(op, "makes several values");
    return replaceWithSame(op, op.getInput(), rewriter);
  }
};

/// An op that keeps all elements in order, so equal shapes mean equal values.
template <typename OpTy> struct DropSameShape : OpRewritePattern<OpTy>, FactsPattern {
  DropSameShape(MLIRContext *context, ShapeFacts &facts) : OpRewritePattern<OpTy>(context), FactsPattern(facts) {}
  LogicalResult matchAndRewrite(OpTy op, PatternRewriter &rewriter) const override {
    if (!facts.equalShapes(op->getOperand(0), op->getResult(0)))
      return rewriter.notifyMatchFailure(op, "the shape changes, or may");
    return replaceWithSame(op, op->getOperand(0), rewriter);
  }
};

struct DropWholeSlice : OpRewritePattern<onnx::SliceOp>, FactsPattern {
  DropWholeSlice(MLIRContext *context, ShapeFacts &facts) : OpRewritePattern(context), FactsPattern(facts) {}
  LogicalResult matchAndRewrite(onnx::SliceOp op, PatternRewriter &rewriter) const override {
    if (op.getSteps()) {
      auto steps = onnx::getConstantInts(op.getSteps());
      if (!steps || llvm::any_of(*steps, [](int64_t s) { return s < 1; }))
        return rewriter.notifyMatchFailure(op, "may run backwards");
    }
    if (!facts.equalShapes(op.getData(), op.getOutput()))
      return rewriter.notifyMatchFailure(op, "keeps a part, or may");
    return replaceWithSame(op, op.getData(), rewriter);
  }
};

struct MergeTransposes : OpRewritePattern<onnx::TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(onnx::TransposeOp op, PatternRewriter &rewriter) const override {
    SmallVector<int64_t> outer = permutationOf(op);
    if (isIdentityPermutation(outer))
      return replaceWithSame(op, op.getData(), rewriter);
    auto inner = op.getData().getDefiningOp<onnx::TransposeOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "no transpose before it");
    SmallVector<int64_t> both, first = permutationOf(inner);
    for (int64_t p : outer)
      both.push_back(first[p]);
    if (isIdentityPermutation(both))
      return replaceWithSame(op, inner.getData(), rewriter);
    rewriter.replaceOpWithNewOp<onnx::TransposeOp>(op, op.getType(), inner.getData(),
                                                   rewriter.getDenseI64ArrayAttr(both));
    return success();
  }
  static bool isIdentityPermutation(ArrayRef<int64_t> p) {
    for (auto [i, v] : llvm::enumerate(p))
      if (static_cast<int64_t>(i) != v)
        return false;
    return true;
  }
};

struct MergeReshapes : OpRewritePattern<onnx::ReshapeOp>, FactsPattern {
  MergeReshapes(MLIRContext *context, ShapeFacts &facts) : OpRewritePattern(context), FactsPattern(facts) {}
  LogicalResult matchAndRewrite(onnx::ReshapeOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getData().getDefiningOp<onnx::ReshapeOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "no reshape before it");
    // A 0 in the shape means the extent of the operand, which is another one afterwards.
    const SmallVector<AffineExpr> *shape = facts.elements(op.getShape());
    bool zeros = op.getAllowzero() == 0 && (!shape || llvm::any_of(*shape, [&](AffineExpr e) {
                   auto constant = e ? facts.constant(e) : std::nullopt;
                   return !e || (constant && *constant == 0);
                 }));
    if (zeros)
      return rewriter.notifyMatchFailure(op, "its shape may refer to the operand's");
    rewriter.modifyOpInPlace(op, [&] { op.getDataMutable().assign(inner.getData()); });
    return success();
  }
};

struct MergeUnsqueezes : OpRewritePattern<onnx::UnsqueezeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(onnx::UnsqueezeOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getData().getDefiningOp<onnx::UnsqueezeOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "no unsqueeze before it");
    auto outerAxes = onnx::getConstantInts(op.getAxes()), innerAxes = onnx::getConstantInts(inner.getAxes());
    if (!outerAxes || !innerAxes)
      return rewriter.notifyMatchFailure(op, "axes are not constant");
    int64_t middle = OnnxBuild::typeOf(op.getData()).getRank(), rank = OnnxBuild::typeOf(op.getExpanded()).getRank();
    // Places of the result: which are new here, and where the inner op's new ones went.
    SmallVector<bool> isNew(rank), innerNew(middle);
    for (int64_t a : *outerAxes)
      isNew[a < 0 ? a + rank : a] = true;
    for (int64_t a : *innerAxes)
      innerNew[a < 0 ? a + middle : a] = true;
    SmallVector<int64_t> axes;
    for (int64_t i = 0, m = 0; i < rank; ++i) {
      bool added = isNew[i] || innerNew[m];
      m += !isNew[i];
      if (added)
        axes.push_back(i);
    }
    OnnxBuild build{rewriter, op.getLoc()};
    Value axesValue = build.ints(axes);
    rewriter.replaceOpWithNewOp<onnx::UnsqueezeOp>(op, op.getType(), inner.getData(), axesValue);
    return success();
  }
};

/// The part of a Concat that a Slice cuts out again.
struct SliceOfConcat : OpRewritePattern<onnx::SliceOp>, FactsPattern {
  SliceOfConcat(MLIRContext *context, ShapeFacts &facts) : OpRewritePattern(context), FactsPattern(facts) {}
  LogicalResult matchAndRewrite(onnx::SliceOp op, PatternRewriter &rewriter) const override {
    auto concat = op.getData().getDefiningOp<onnx::ConcatOp>();
    if (!concat)
      return rewriter.notifyMatchFailure(op, "cuts no Concat");
    const auto *starts = facts.elements(op.getStarts());
    const auto *axes = op.getAxes() ? facts.elements(op.getAxes()) : nullptr;
    const auto *steps = op.getSteps() ? facts.elements(op.getSteps()) : nullptr;
    if (!starts || starts->size() != 1 || !(*starts)[0] || (op.getAxes() && (!axes || !(*axes)[0])) ||
        (op.getSteps() && (!steps || !(*steps)[0] || facts.constant((*steps)[0]) != 1)))
      return rewriter.notifyMatchFailure(op, "cuts several axes, by a step, or where is unknown");
    int64_t rank = OnnxBuild::typeOf(op.getData()).getRank();
    int64_t axis = axes ? facts.constant((*axes)[0]).value_or(rank) : 0, along = concat.getAxis();
    axis += axis < 0 ? rank : 0;
    along += along < 0 ? rank : 0;
    if (axis != along)
      return rewriter.notifyMatchFailure(op, "cuts along another axis");
    AffineExpr start = (*starts)[0], place = getAffineConstantExpr(0, op.getContext());
    if (auto constant = facts.constant(start); constant && *constant < 0)
      start = facts.add(facts.shape(op.getData())[axis], start);
    AffineExpr extent = facts.shape(op.getOutput())[axis];
    for (Value part : concat.getInputs()) {
      AffineExpr size = facts.shape(part)[axis];
      if (facts.equal(place, start) && facts.equal(size, extent))
        return replaceWithSame(op, part, rewriter);
      place = facts.add(place, size);
    }
    return rewriter.notifyMatchFailure(op, "does not cut out one whole part");
  }
};

/// Cuts before transposes what was concatenated before them, so that the part is found.
struct SliceOfTransposedConcat : OpRewritePattern<onnx::SliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(onnx::SliceOp op, PatternRewriter &rewriter) const override {
    auto transpose = op.getData().getDefiningOp<onnx::TransposeOp>();
    auto concat = transpose ? transpose.getData().getDefiningOp<onnx::ConcatOp>() : onnx::ConcatOp();
    if (!concat || !op.getAxes())
      return rewriter.notifyMatchFailure(op, "cuts no transposed Concat");
    auto axes = onnx::getConstantInts(op.getAxes());
    int64_t rank = OnnxBuild::typeOf(op.getData()).getRank();
    if (!axes || axes->size() != 1)
      return rewriter.notifyMatchFailure(op, "cuts several axes");
    SmallVector<int64_t> perm = permutationOf(transpose), shape(rank);
    int64_t axis = perm[((*axes)[0] + rank) % rank];
    if (axis != (concat.getAxis() + rank) % rank)
      return rewriter.notifyMatchFailure(op, "cuts along another axis");
    OnnxBuild build{rewriter, op.getLoc()};
    for (auto [to, from] : llvm::enumerate(perm))
      shape[from] = OnnxBuild::typeOf(op.getOutput()).getDimSize(to);
    Value cut = onnx::SliceOp::create(rewriter, op.getLoc(), OnnxBuild::typeOf(op.getOutput()).clone(shape),
                                      concat.getConcatResult(), op.getStarts(), op.getEnds(), build.ints({axis}),
                                      op.getSteps());
    rewriter.replaceOpWithNewOp<onnx::TransposeOp>(op, op.getType(), cut, rewriter.getDenseI64ArrayAttr(perm));
    return success();
  }
};

} // namespace

void moe::populateNormalizeLayout(RewritePatternSet &patterns, ShapeFacts &facts) {
  MLIRContext *context = patterns.getContext();
  patterns.add<DropIdentity, DropDropout, DropCast, DropSingleConcat, DropSingleSplit, MergeTransposes, MergeUnsqueezes,
               SliceOfTransposedConcat>(context);
  patterns.add<DropSameShape<onnx::ExpandOp>, DropSameShape<onnx::ReshapeOp>, DropSameShape<onnx::SqueezeOp>,
               DropSameShape<onnx::UnsqueezeOp>, DropWholeSlice, MergeReshapes, SliceOfConcat>(context, facts);
}
