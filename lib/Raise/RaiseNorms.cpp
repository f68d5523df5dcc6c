//===- RaiseNorms.cpp - RMS normalizations become moe.rms_norm -------------===//
//
// A root-mean-square norm is x / sqrt(mean(x * x) + epsilon) over the last axis, perhaps times a vector of weights:
//
//   %s = onnx.Mul(%x, %x);  %m = onnx.ReduceMean(%s, -1);  %v = onnx.Add(%m, 1e-6)
//   %r = onnx.Reciprocal(onnx.Sqrt(%v));  %n = onnx.Mul(%x, %r);  %y = onnx.Mul(%w, %n)
//     ->  %y = moe.rms_norm %x weight(%w) {epsilon = 1e-6}
//
// The operands of products and sums may stand in any order; the root may divide; epsilon and weights may be missing. A
// cast between the norm and its weights ends the norm: the weights then multiply what was rounded. A LayerNorm, whose x
// is a difference to its own mean, is left alone. Fused nodes over the last axis convert directly.
//===----------------------------------------------------------------------===//
#include "OnnxBuild.h"
#include "moe/Raise/Passes.h"

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#define DEBUG_TYPE "moe-raise-norms"

namespace mlir::moe {
#define GEN_PASS_DEF_RAISENORMS
#include "moe/Raise/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

static RankedTensorType typeOf(Value v) { return OnnxBuild::typeOf(v); }

/// The op that reads `v`, if it is the only use and an `OpTy`.
template <typename OpTy> static OpTy onlyUser(Value v) {
  return v.hasOneUse() ? dyn_cast<OpTy>(*v.getUsers().begin()) : OpTy();
}

static Value otherOperand(Operation *op, Value one) {
  return op->getOperand(0) == one ? op->getOperand(1) : op->getOperand(0);
}

/// Whether a ReduceMean keeps its dims and reduces the last axis alone.
static bool isMeanOfLast(onnx::ReduceMeanOp mean) {
  int64_t rank = typeOf(mean.getData()).getRank();
  if (!mean.getAxes() || !mean.getKeepdims())
    return false;
  auto axes = onnx::getConstantInts(mean.getAxes());
  return axes && axes->size() == 1 && ((*axes)[0] == -1 || (*axes)[0] == rank - 1);
}

/// `x` is a difference to its own mean: the norm is a LayerNorm.
static bool isCentered(Value x) {
  auto sub = x.getDefiningOp<onnx::SubOp>();
  auto mean = sub ? sub->getOperand(1).getDefiningOp<onnx::ReduceMeanOp>() : onnx::ReduceMeanOp();
  return mean && mean.getData() == sub->getOperand(0);
}

/// A vector of the norm's width, from a weight that broadcasts over leading axes of extent 1; null if it is none.
static Value asVector(OnnxBuild &build, Value weight, RankedTensorType x) {
  auto type = typeOf(weight);
  int64_t width = x.getShape().back();
  if (type.getRank() < 1 || type.getRank() > x.getRank() || ShapedType::isDynamic(width) ||
      type.getShape().back() != width || type.getNumElements() != width)
    return {};
  SmallVector<int64_t> leading = llvm::to_vector(llvm::seq<int64_t>(0, type.getRank() - 1));
  return build.squeeze(weight, leading);
}
static bool isVector(Value weight, RankedTensorType x) {
  auto type = typeOf(weight);
  int64_t width = x.getShape().back();
  return type.getRank() >= 1 && type.getRank() <= x.getRank() && type.hasStaticShape() &&
         !ShapedType::isDynamic(width) && type.getShape().back() == width && type.getNumElements() == width &&
         isa<FloatType>(type.getElementType());
}

namespace {

struct DissolvedNorm : OpRewritePattern<onnx::ReduceMeanOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::ReduceMeanOp mean, PatternRewriter &rewriter) const override {
    auto square = mean.getData().getDefiningOp<onnx::MulOp>();
    if (!square || square->getOperand(0) != square->getOperand(1) || !isMeanOfLast(mean))
      return rewriter.notifyMatchFailure(mean, "is not the mean of squares of the last axis");
    Value x = square->getOperand(0);
    if (isCentered(x))
      return rewriter.notifyMatchFailure(mean, "the values were centred: a LayerNorm");

    // sqrt(mean + epsilon)
    double epsilon = 0;
    Value variance = mean.getReduced();
    if (auto add = onlyUser<onnx::AddOp>(variance)) {
      std::optional<double> constant = onnx::getConstantScalar(otherOperand(add, variance));
      if (!constant || typeOf(add->getResult(0)).getRank() != typeOf(variance).getRank() || !(*constant >= 0))
        return rewriter.notifyMatchFailure(add, "epsilon is no constant >= 0");
      epsilon = *constant;
      variance = add->getResult(0);
    }
    // The factor or divisor of x.
    Value factor;
    bool divides = false;
    if (auto root = onlyUser<onnx::SqrtOp>(variance)) {
      factor = root->getResult(0);
      divides = true;
      if (auto reciprocal = onlyUser<onnx::ReciprocalOp>(factor)) {
        factor = reciprocal->getResult(0);
        divides = false;
      }
    } else if (auto power = onlyUser<onnx::PowOp>(variance)) {
      if (power->getOperand(0) != variance || onnx::getConstantScalar(power->getOperand(1)) != -0.5)
        return rewriter.notifyMatchFailure(power, "the power is not -1/2");
      factor = power->getResult(0);
    } else {
      return rewriter.notifyMatchFailure(mean, "no root follows");
    }

    Value normed;
    for (Operation *user : factor.getUsers()) {
      bool mul = isa<onnx::MulOp>(user) && !divides && otherOperand(user, factor) == x;
      bool div = isa<onnx::DivOp>(user) && divides && user->getOperand(0) == x && user->getOperand(1) == factor;
      if (mul || div)
        normed = user->getResult(0);
    }
    if (!normed || typeOf(normed).getShape() != typeOf(x).getShape())
      return rewriter.notifyMatchFailure(mean, "what follows does not scale the values that were squared");

    Operation *last = normed.getDefiningOp();
    Value weight;
    if (auto mul = onlyUser<onnx::MulOp>(normed)) {
      Value other = otherOperand(mul, normed);
      if (isVector(other, typeOf(x)) && typeOf(mul->getResult(0)).getShape() == typeOf(x).getShape()) {
        weight = other;
        last = mul;
      }
    }
    rewriter.setInsertionPoint(last);
    OnnxBuild build{rewriter, last->getLoc()};
    SmallVector<Value, 2> operands{x};
    if (weight)
      operands.push_back(asVector(build, weight, typeOf(x)));
    auto norm = RmsNormOp::create(rewriter, last->getLoc(), TypeRange(x.getType()), x, weight ? operands[1] : Value(),
                                  ValueRange(), rewriter.getF32FloatAttr(epsilon));
    if (last->getResult(0).getType() != norm->getResult(0).getType() && !isRetypable(last->getResult(0)))
      norm->getResult(0).setType(cast<RankedTensorType>(last->getResult(0).getType()));
    rewriter.replaceOp(last, norm);
    return success();
  }
};

/// Fused nodes over the last axis with a weight for each element; others keep their generic form.
struct FusedNorm : RewritePattern {
  FusedNorm(MLIRContext *context) : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}

  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    if (!isa<onnx::RMSNormalizationOp, onnx::MsSimplifiedLayerNormalizationOp,
             onnx::MsSkipSimplifiedLayerNormalizationOp>(op))
      return failure();
    bool skips = isa<onnx::MsSkipSimplifiedLayerNormalizationOp>(op);
    Value x = onnx::getInput(op, 0), weight = onnx::getInput(op, skips ? 2 : 1);
    auto type = typeOf(x);
    int64_t axis = skips ? -1 : op->getAttrOfType<IntegerAttr>("axis").getInt();
    if (axis != -1 && axis != type.getRank() - 1)
      return rewriter.notifyMatchFailure(op, "normalizes several axes");
    if (!isVector(weight, type) || typeOf(weight).getElementType() != typeOf(op->getResult(0)).getElementType())
      return rewriter.notifyMatchFailure(op, "its scale is not a vector of the width and type of the result");
    Type element = typeOf(op->getResult(0)).getElementType();
    if (type.getElementType() != element && type.getElementTypeBitWidth() >= element.getIntOrFloatBitWidth())
      return rewriter.notifyMatchFailure(op, "its result is narrower than its input");
    for (unsigned i = 1; i < (skips ? 3 : 2); ++i)
      if (Value statistic = onnx::getOutput(op, i); statistic && !statistic.use_empty())
        return rewriter.notifyMatchFailure(op, "its statistics are read");
    OnnxBuild build{rewriter, op->getLoc()};
    Value sum;
    if (skips) {
      x = build.binary<onnx::AddOp>(x, onnx::getInput(op, 1));
      if (Value bias = onnx::getInput(op, 3))
        x = build.binary<onnx::AddOp>(x, bias);
      sum = x;
    }
    weight = asVector(build, weight, type);
    Value out = onnx::getOutput(op, 0);
    auto epsilon = op->getAttrOfType<FloatAttr>("epsilon");
    auto resultType = typeOf(x).clone(typeOf(out).getElementType());
    if (typeOf(x).getElementType() != resultType.getElementType())
      x = build.castTo(x, resultType.getElementType());
    auto norm = RmsNormOp::create(rewriter, op->getLoc(), TypeRange(resultType), x, weight, ValueRange(), epsilon);
    if (out.getType() != resultType && !isRetypable(out))
      norm->getResult(0).setType(typeOf(out));
    rewriter.replaceAllUsesWith(out, norm->getResult(0));
    if (Value all = skips ? onnx::getOutput(op, 3) : Value())
      rewriter.replaceAllUsesWith(all, sum);
    rewriter.eraseOp(op);
    return success();
  }
};

struct RaiseNorms : moe::impl::RaiseNormsBase<RaiseNorms> {
  using RaiseNormsBase::RaiseNormsBase;

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<DissolvedNorm, FusedNorm>(&getContext());
    GreedyRewriteConfig config;
    config.enableFolding(false).setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
    (void)applyPatternsGreedily(getOperation(), std::move(patterns), config);
    getOperation().walk([&](RmsNormOp) { ++numNorms; });
  }
};

} // namespace
