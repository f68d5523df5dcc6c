//===- RaiseRouters.cpp - routers become moe.route ------------------------===//
//
// A router is what `Router.h` says. Its ids and weights are taken from one op; whatever else read the steps between
// (a balance loss reads scores, say) still does, and what nobody reads any more goes away.
//
//   %s = onnx.Softmax(%logits)                          %w, %i = moe.route %logits {k = 2, score = softmax,
//   %v, %i = onnx.TopK(%s, 2)                    ->                    normalize = sum_plus_eps}
//   %w = onnx.Div(%v, onnx.ReduceSum(%v))
//===----------------------------------------------------------------------===//
#include "OnnxMake.h"
#include "OnnxMatch.h"
#include "Reports.h"
#include "Router.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "moe/Raise/Passes.h"

#define DEBUG_TYPE "moe-raise-routers"

namespace mlir::moe {
#define GEN_PASS_DEF_RAISEROUTERS
#include "moe/Raise/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Puts moe.route in the place of a router.
class RouterWriter {
public:
  RouterWriter(const Router &router, AxisAnalysis &axes)
      : router(router), axes(axes), b(router.anchor), loc(router.anchor->getLoc()) {}
  LogicalResult write(std::string &reason);

private:
  Value regroup(Value slots, Value like);
  Value denseMatrix(Value like);

  const Router &router;
  AxisAnalysis &axes;
  OpBuilder b;
  Location loc;
  Value weights, indices;
};

} // namespace

/// `slots` [tokens, k] in the grouping of `like`; null if that is none.
Value RouterWriter::regroup(Value slots, Value like) {
  RankedTensorType type = tensorType(like);
  Axes tokens, order = axes.leaves(like);
  RankedTensorType logits = tensorType(router.logits);
  for (int64_t i = 0; i + 1 < logits.getRank(); ++i)
    llvm::append_range(tokens, axes.leaves(router.logits, i));
  Axes tokenMajor = tokens, slotMajor;
  for (int axis : order)
    if (!llvm::is_contained(tokens, axis)) {
      tokenMajor.push_back(axis);
      slotMajor.push_back(axis);
    }
  llvm::append_range(slotMajor, tokens);
  if (order != tokenMajor && order != slotMajor)
    return {};
  slots = onnxCast(b, loc, slots, type.getElementType());
  if (order != tokenMajor)
    slots = onnxTranspose(b, loc, slots, {1, 0});
  if (llvm::count_if(type.getShape(), ShapedType::isDynamic) <= 1)
    return onnxReshape(b, loc, slots, type.getShape());
  // [batch, seq, ...]: the extents of the tokens are those of the logits.
  int64_t lead = logits.getRank() - 1;
  if (type.getRank() < lead || llvm::any_of(type.getShape().drop_front(lead), ShapedType::isDynamic))
    return {};
  for (int64_t i = 0; i < lead; ++i)
    if (axes.leaves(like, i) != axes.leaves(router.logits, i))
      return {};
  Value extents =
      onnxOp(b, loc, "Shape", RankedTensorType::get({lead}, b.getI64Type()), router.logits,
             {b.getNamedAttr("start", b.getI64IntegerAttr(0)), b.getNamedAttr("end", b.getI64IntegerAttr(lead))})
          ->getResult(0);
  Value rest = onnxInts(b, loc, type.getShape().drop_front(lead));
  Value shape = onnxOp(b, loc, "Concat", RankedTensorType::get({type.getRank()}, b.getI64Type()), {extents, rest},
                       b.getNamedAttr("axis", b.getI64IntegerAttr(0)))
                    ->getResult(0);
  return onnxOp(b, loc, "Reshape", type, {slots, shape})->getResult(0);
}

/// The weights scattered over the experts, as `like` has them.
Value RouterWriter::denseMatrix(Value like) {
  RankedTensorType type = tensorType(like);
  int64_t tokens = tensorType(weights).getDimSize(0);
  Value logits = onnxReshape(b, loc, router.logits, {tokens, router.numExperts});
  Value shape = onnxOp(b, loc, "Shape", RankedTensorType::get({2}, b.getI64Type()), logits)->getResult(0);
  auto element = type.getElementType();
  auto zero = DenseElementsAttr::get(RankedTensorType::get({1}, element), Attribute(b.getFloatAttr(element, 0.0)));
  auto flat = RankedTensorType::get({tokens, router.numExperts}, element);
  Value zeros = onnxOp(b, loc, "ConstantOfShape", flat, shape, b.getNamedAttr("value", zero))->getResult(0);
  Value matrix = onnxOp(b, loc, "ScatterElements", flat, {zeros, indices, onnxCast(b, loc, weights, element)},
                        b.getNamedAttr("axis", b.getI64IntegerAttr(1)))
                     ->getResult(0);
  return regroup(matrix, like);
}

/// Whether `user` compares for equality what it reads, behind reshapes: with the values that were picked from, bit by bit.
static bool findsEqual(Operation *user, int depth = 0) {
  if (isOnnx(user, {"Equal"}))
    return true;
  return depth < 8 &&
         isOnnx(user, {"Reshape", "Squeeze", "Unsqueeze", "Expand", "Transpose", "Identity", "Slice", "Gather"}) &&
         llvm::any_of(user->getUsers(), [&](Operation *next) { return findsEqual(next, depth + 1); });
}

LogicalResult RouterWriter::write(std::string &reason) {
  // The op stands after its operands and before what reads it; everything it replaces comes after the anchor.
  b.setInsertionPointAfter(router.anchor);
  RankedTensorType logits = tensorType(router.logits);
  int64_t tokens = 1;
  for (int64_t dim : logits.getShape().drop_back())
    tokens = ShapedType::isDynamic(dim) || ShapedType::isDynamic(tokens) ? ShapedType::kDynamic : tokens * dim;
  Value flat = onnxReshape(b, loc, router.logits, {tokens, router.numExperts});
  Value bias = router.bias ? onnxReshape(b, loc, router.bias, {router.numExperts}) : Value();
  Type weightType = b.getF32Type();
  SmallVector<Type> types = {RankedTensorType::get({tokens, router.k}, weightType),
                             RankedTensorType::get({tokens, router.k}, b.getI64Type())};
  MLIRContext *ctx = b.getContext();
  auto route = RouteOp::create(b, loc, types, flat, bias, ValueRange(), b.getI64IntegerAttr(router.k),
                               ScoreFnAttr::get(ctx, router.score), b.getI64IntegerAttr(router.numGroups),
                               b.getI64IntegerAttr(router.topGroups), GroupScoreAttr::get(ctx, router.groupScore),
                               GroupFillAttr::get(ctx, router.groupFill), WeightFnAttr::get(ctx, router.weightFn),
                               NormalizeAttr::get(ctx, router.normalize), b.getF32FloatAttr(router.normEps),
                               b.getF32FloatAttr(router.normP), b.getF32FloatAttr(router.scale),
                               b.getF32FloatAttr(router.sparsemixerEps));
  weights = route->getResult(0);
  indices = route->getResult(1);

  SmallVector<std::pair<Value, Value>> replacements;
  auto prepare = [&](ArrayRef<Value> values, bool isMatrix, Value slots) {
    for (Value old : values) {
      if (old.use_empty())
        continue;
      Value fresh = isMatrix ? denseMatrix(old) : regroup(slots, old);
      if (!fresh)
        return false;
      replacements.push_back({old, fresh});
    }
    return true;
  };
  if (!prepare(router.indices, false, indices) || !prepare(router.weights, false, weights) ||
      !prepare(router.matrix, true, {})) {
    reason = "the tokens and slots of its results are in another order";
    for (Operation *op = route->getNextNode(); op;) { // undo
      Operation *next = op->getNextNode();
      if (isOnnx(op) && op->use_empty() && op->getLoc() == loc)
        op->erase();
      op = next;
    }
    route->erase();
    return failure();
  }
  // The moved ops sit right after the anchor, so they dominate what follows; uses before them (the anchor's own scores)
  // are not of the replaced values.
  for (auto [old, fresh] : replacements) {
    Value oldValue = old;
    Operation *made = fresh.getDefiningOp();
    oldValue.replaceUsesWithIf(fresh, [&](OpOperand &use) {
      bool bits = isFloat(oldValue) && findsEqual(use.getOwner());
      return use.getOwner() != made && made->isBeforeInBlock(use.getOwner()) && !bits;
    });
  }
  return success();
}

namespace {
struct RaiseRouters : moe::impl::RaiseRoutersBase<RaiseRouters> {
  using Base::Base;
  void runOnOperation() override;
  void runOnBlock(Block &block, ShapeFacts &facts);
};
} // namespace

void RaiseRouters::runOnOperation() {
  for (func::FuncOp func : getOperation().getOps<func::FuncOp>()) {
    if (func.isExternal())
      continue;
    ShapeFacts facts(func);
    runOnBlock(func.getBody().front(), facts);
  }
}

void RaiseRouters::runOnBlock(Block &block, ShapeFacts &facts) {
  SmallVector<Operation *> anchors;
  for (Operation &op : block)
    if (isOnnx(&op, {"TopK", "ArgMax"}))
      anchors.push_back(&op);
  DenseSet<Operation *> taken;
  for (Operation *anchor : anchors) {
    if (taken.contains(anchor))
      continue;
    AxisAnalysis axes(facts);
    RouterResult result;
    if (isOnnx(anchor, {"ArgMax"})) {
      AxisAnalysis mixerAxes(facts);
      if (std::optional<Router> mixer = matchSparseMixer(anchor, mixerAxes)) {
        std::string reason;
        if (succeeded(RouterWriter(*mixer, mixerAxes).write(reason))) {
          ++numRouters;
          continue;
        }
      }
    }
    result = matchRouter(anchor, axes);
    if (result.router) {
      std::string reason;
      if (succeeded(RouterWriter(*result.router, axes).write(reason))) {
        ++numRouters;
        continue;
      }
      result.reason = reason;
    }
    if (!result.reason.empty())
      reportGeneric(anchor, "router", result.reason);
  }
  eraseDeadOnnxOps(block);
}
