//===- NormalizeArithmetic.cpp - one spelling for a few formulas -----------===//
//
//   Pow(%x, 2)          ->  Mul(%x, %x)          the same number: a square rounds once either way
//   Div(1, %x)          ->  Reciprocal(%x)
//===----------------------------------------------------------------------===//
#include "NormalizeOnnx.h"

#include "OnnxBuild.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

struct SimplifyPow : OpRewritePattern<onnx::PowOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(onnx::PowOp op, PatternRewriter &rewriter) const override {
    Value x = op->getOperand(0), y = op->getOperand(1);
    std::optional<double> power = onnx::getConstantScalar(y);
    if (!power || OnnxBuild::typeOf(y).getNumElements() != 1 || OnnxBuild::typeOf(y).getRank() > OnnxBuild::typeOf(x).getRank())
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
        OnnxBuild::typeOf(one).getRank() > OnnxBuild::typeOf(x).getRank() || OnnxBuild::typeOf(one).getNumElements() != 1)
      return rewriter.notifyMatchFailure(op, "does not divide 1 by a float");
    rewriter.replaceOpWithNewOp<onnx::ReciprocalOp>(op, op->getResult(0).getType(), x);
    return success();
  }
};

} // namespace

void moe::populateNormalizeArithmetic(RewritePatternSet &patterns, ShapeFacts &) {
  patterns.add<SimplifyPow, DivToReciprocal>(patterns.getContext());
}
