//===- NormalizeArithmetic.cpp - one spelling for a few formulas -----------===//
//
//   Pow(%x, 2)          ->  Mul(%x, %x)          the same number: a square rounds once either way
//   Div(1, %x)          ->  Reciprocal(%x)
//   FusedMatMul(%a, %b) ->  Mul(MatMul(Transpose(%a), Transpose(%b)), alpha)        com.microsoft's; what is neutral is left out
//   TopK(%x, n)[:k]     ->  TopK(%x, k)          sorted, and read by such slices alone: a sort that only its head is read of
//===----------------------------------------------------------------------===//
#include "NormalizeOnnx.h"

#include "OnnxBuild.h"
#include "OnnxMatch.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

struct SimplifyPow : OpRewritePattern<onnx::PowOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(onnx::PowOp op, PatternRewriter &rewriter) const override {
    Value x = op->getOperand(0), y = op->getOperand(1);
    std::optional<double> power = onnx::getConstantScalar(y);
    if (!power || OnnxBuild::typeOf(y).getNumElements() != 1 ||
        OnnxBuild::typeOf(y).getRank() > OnnxBuild::typeOf(x).getRank())
      return rewriter.notifyMatchFailure(op, "the power is not one number");
    if (*power == 2) {
      rewriter.replaceOpWithNewOp<onnx::MulOp>(op, op->getResult(0).getType(), x, x);
      return success();
    }
    return rewriter.notifyMatchFailure(op, "the power is not 2");
  }
};

struct DivToReciprocal : OpRewritePattern<onnx::DivOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(onnx::DivOp op, PatternRewriter &rewriter) const override {
    Value one = op->getOperand(0), x = op->getOperand(1);
    if (!isa<FloatType>(OnnxBuild::typeOf(x).getElementType()) || onnx::getConstantScalar(one) != 1.0 ||
        OnnxBuild::typeOf(one).getRank() > OnnxBuild::typeOf(x).getRank() ||
        OnnxBuild::typeOf(one).getNumElements() != 1)
      return rewriter.notifyMatchFailure(op, "does not divide 1 by a float");
    rewriter.replaceOpWithNewOp<onnx::ReciprocalOp>(op, op->getResult(0).getType(), x);
    return success();
  }
};

/// Narrow floats stay: the scaled sum would be rounded twice.
struct SplitFusedMatMul : OpRewritePattern<onnx::MsFusedMatMulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(onnx::MsFusedMatMulOp op, PatternRewriter &rewriter) const override {
    Type element = OnnxBuild::typeOf(op->getResult(0)).getElementType();
    double alpha = op.getAlpha();
    if (op.getTransBatchA() || op.getTransBatchB())
      return rewriter.notifyMatchFailure(op, "transposes batches");
    if (alpha != 1 && element.getIntOrFloatBitWidth() < 32)
      return rewriter.notifyMatchFailure(op, "scales before it rounds");
    OnnxBuild make{rewriter, op.getLoc()};
    auto factor = [&](unsigned i, bool transposed) {
      Value v = op->getOperand(i);
      auto perm = llvm::to_vector(llvm::seq<int64_t>(0, OnnxBuild::typeOf(v).getRank()));
      if (!transposed || perm.size() < 2)
        return v;
      std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
      return make.transpose(v, perm);
    };
    Value a = factor(0, op.getTransA()), b = factor(1, op.getTransB());
    Value product = onnx::MatMulOp::create(rewriter, op.getLoc(), op->getResult(0).getType(), a, b);
    if (alpha != 1)
      product = make.binary<onnx::MulOp>(product, make.scalar(element, alpha));
    rewriter.replaceOp(op, product);
    return success();
  }
};

/// The head of a sort is a TopK.
struct HeadOfSort : OpRewritePattern<onnx::TopKOp> {
  HeadOfSort(MLIRContext *context, ShapeFacts &facts) : OpRewritePattern(context), facts(facts) {}

  LogicalResult matchAndRewrite(onnx::TopKOp op, PatternRewriter &rewriter) const override {
    int64_t rank = OnnxBuild::typeOf(op->getOperand(0)).getRank(), axis = axisOf(op, "axis", -1, rank);
    if (intAttr(op, "sorted", 1) != 1 || op->use_empty())
      return rewriter.notifyMatchFailure(op, "is not sorted, or not read");
    std::optional<int64_t> k;
    for (Operation *user : op->getUsers()) {
      std::optional<int64_t> head = headLength(user, axis);
      if (!head || (k && *k != *head))
        return rewriter.notifyMatchFailure(op, "is read by other than slices of one length from the front");
      k = head;
    }
    if (onnx::getConstantInts(op->getOperand(1)) == SmallVector<int64_t>{*k})
      return rewriter.notifyMatchFailure(op, "is the head already");
    OnnxBuild build{rewriter, op.getLoc()};
    Operation *head = rewriter.clone(*op);
    head->setOperand(1, build.ints({*k}));
    head->moveAfter(head->getOperand(1).getDefiningOp());
    for (Value result : head->getResults()) {
      SmallVector<int64_t> shape(OnnxBuild::typeOf(result).getShape());
      shape[axis] = *k;
      result.setType(OnnxBuild::typeOf(result).clone(shape));
    }
    for (auto [old, made] : llvm::zip(op->getResults(), head->getResults()))
      for (Operation *slice : llvm::to_vector(old.getUsers()))
        rewriter.replaceOp(slice, made);
    rewriter.eraseOp(op);
    return success();
  }

private:
  /// k of value[..., 0:k, ...] along `axis` where the value has that many entries.
  std::optional<int64_t> headLength(Operation *user, int64_t axis) const {
    if (!isOnnx(user, {"Slice"}))
      return std::nullopt;
    std::optional<SmallVector<int64_t>> along = cutAxes(user), starts = onnx::getConstantInts(getInput(user, 1)),
                                        ends = onnx::getConstantInts(getInput(user, 2)),
                                        steps = SmallVector<int64_t>{1};
    if (Value by = getInput(user, 4))
      steps = onnx::getConstantInts(by);
    if (!along || *along != SmallVector<int64_t>{axis} || !starts || *starts != SmallVector<int64_t>{0} || !ends ||
        ends->size() != 1 || !steps || *steps != SmallVector<int64_t>{1} || (*ends)[0] < 1)
      return std::nullopt;
    std::optional<int64_t> extent = facts.constant(facts.shape(user->getResult(0))[axis]);
    if (extent != (*ends)[0])
      return std::nullopt;
    SmallVector<int64_t> shape(OnnxBuild::typeOf(user->getOperand(0)).getShape());
    shape[axis] = *extent;
    bool fits =
        ArrayRef<int64_t>(shape) == OnnxBuild::typeOf(user->getResult(0)).getShape() || isRetypable(user->getResult(0));
    return fits ? extent : std::nullopt;
  }
  ShapeFacts &facts;
};

} // namespace

void moe::populateNormalizeArithmetic(RewritePatternSet &patterns, ShapeFacts &facts) {
  patterns.add<SimplifyPow, DivToReciprocal, SplitFusedMatMul>(patterns.getContext());
  patterns.add<HeadOfSort>(patterns.getContext(), facts);
}
