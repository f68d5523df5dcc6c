//===- RaiseSwiglu.cpp - gated activations become moe.swiglu ---------------===//
//
//   %s = onnx.Mul(%g, onnx.Sigmoid(%g));  %y = onnx.Mul(%s, %u)                ->  moe.swiglu %g, %u
//
//   %g = onnx.Clip(%a, none, 7);  %l = onnx.Clip(%b, -7, 7)
//   %s = onnx.Mul(%g, onnx.Sigmoid(onnx.Mul(%g, 1.702)))
//   %y = onnx.Mul(%s, onnx.Add(%l, 1))                     ->  moe.swiglu %a, %b {alpha = 1.702, beta = 1, limit = 7}
//
// Operands stand in any order; onnx.Swish is the first product. The two clips belong together: one alone stays outside.
//===----------------------------------------------------------------------===//
#include "OnnxBuild.h"
#include "moe/Import/ShapeFacts.h"
#include "moe/Raise/Passes.h"

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#define DEBUG_TYPE "moe-raise-swiglu"

namespace mlir::moe {
#define GEN_PASS_DEF_RAISESWIGLU
#include "moe/Raise/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

static RankedTensorType typeOf(Value v) { return OnnxBuild::typeOf(v); }

/// Matches `OpTy(v, constant number)` in either order.
template <typename OpTy> static std::optional<std::pair<Value, double>> withConstant(Value v) {
  auto op = v.getDefiningOp<OpTy>();
  if (!op)
    return std::nullopt;
  for (unsigned i : {0u, 1u})
    if (auto c = onnx::getConstantScalar(op->getOperand(i)); c && typeOf(op->getOperand(i)).getNumElements() == 1)
      return std::make_pair(Value(op->getOperand(1 - i)), *c);
  return std::nullopt;
}

/// g * sigmoid(alpha * g)
static std::optional<std::pair<Value, double>> matchSwish(Value v) {
  if (auto swish = v.getDefiningOp<onnx::SwishOp>())
    return std::make_pair(Value(swish->getOperand(0)), static_cast<double>(swish.getAlpha()));
  auto mul = v.getDefiningOp<onnx::MulOp>();
  if (!mul)
    return std::nullopt;
  for (unsigned i : {0u, 1u}) {
    Value g = mul->getOperand(i);
    auto sigmoid = mul->getOperand(1 - i).getDefiningOp<onnx::SigmoidOp>();
    if (!sigmoid)
      continue;
    if (sigmoid->getOperand(0) == g)
      return std::make_pair(g, 1.0);
    if (auto scaled = withConstant<onnx::MulOp>(sigmoid->getOperand(0)); scaled && scaled->first == g)
      return std::make_pair(g, scaled->second);
  }
  return std::nullopt;
}

namespace {
struct Swiglu : OpRewritePattern<onnx::MulOp> {
  Swiglu(MLIRContext *context, ShapeFacts &facts) : OpRewritePattern(context), facts(facts) {}

  LogicalResult matchAndRewrite(onnx::MulOp op, PatternRewriter &rewriter) const override {
    if (op->getParentOfType<ExpertsOp>())
      return rewriter.notifyMatchFailure(op, "belongs to an expert");
    for (unsigned i : {0u, 1u}) {
      auto swish = matchSwish(op->getOperand(i));
      Value up = op->getOperand(1 - i);
      // The product g * sigmoid(g) itself is no gate of anything.
      if (!swish || up.getDefiningOp<onnx::SigmoidOp>())
        continue;
      auto [gate, alpha] = *swish;
      double beta = 0, limit = std::numeric_limits<double>::infinity();
      if (auto shifted = withConstant<onnx::AddOp>(up))
        std::tie(up, beta) = *shifted;
      auto gateClip = gate.getDefiningOp<onnx::ClipOp>(), upClip = up.getDefiningOp<onnx::ClipOp>();
      if (gateClip && upClip && !gateClip.getMin() && gateClip.getMax() && upClip.getMin() && upClip.getMax()) {
        auto max = onnx::getConstantScalar(gateClip.getMax()), low = onnx::getConstantScalar(upClip.getMin()),
             high = onnx::getConstantScalar(upClip.getMax());
        if (max && low && high && *max == *high && *low == -*high && *high > 0) {
          limit = *max;
          gate = gateClip.getInput();
          up = upClip.getInput();
        }
      }
      if (typeOf(gate).getElementType() != typeOf(up).getElementType() || !facts.equalShapes(gate, up))
        continue;
      auto result = SwigluOp::create(rewriter, op.getLoc(), TypeRange(op->getResult(0).getType()), gate, up,
                                     ValueRange(), rewriter.getF32FloatAttr(alpha), rewriter.getF32FloatAttr(beta),
                                     rewriter.getF32FloatAttr(limit));
      rewriter.replaceOp(op, result);
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no gated activation");
  }
  ShapeFacts &facts;
};

struct RaiseSwiglu : moe::impl::RaiseSwigluBase<RaiseSwiglu> {
  using RaiseSwigluBase::RaiseSwigluBase;

  void runOnOperation() override {
    if (getOperation().isDeclaration())
      return;
    ShapeFacts facts(getOperation());
    RewritePatternSet patterns(&getContext());
    patterns.add<Swiglu>(&getContext(), facts);
    GreedyRewriteConfig config;
    config.setListener(&facts).enableFolding(false).setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
    (void)applyPatternsGreedily(getOperation(), std::move(patterns), config);
    getOperation().walk([&](SwigluOp) { ++numActivations; });
  }
};
} // namespace
