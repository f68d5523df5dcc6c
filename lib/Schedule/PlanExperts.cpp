//===- PlanExperts.cpp - the expert layer as four kernels for Hopper -------===//
//
//   %r:2 = moe.route %logits            %q:2 = moe.quantize_blocks %x
//   %d:3 = moe.dispatch %r#1            %g = moe.grouped_matmul %q#0 ... weights(%gate, %up) rows(%d#1) { activation }
//                                       %h:2 = moe.quantize_blocks %g
//                                       %o = moe.grouped_matmul %h#0 ... weights(%down)
//   %y = moe.combine %o at %d#2 weights(%r#0)
//     ->
//   %p:7 = moe.route_rows %logits rows(%x)
//   %c:2 = moe.quantize_rows %x at %p#1 into(%p#5, %p#6)
//   %e:3 = moe.expert_products %c#0, %c#1 w1(...) w2(...) items(%p#2, %p#3) { activation }
//   %y = moe.combine %e#0 at %p#1 weights(%p#0)
//
// The weights get the layout that the kernel streams, by recipe. Layers in FP8 blocks that are not of this shape keep their plain
// kernels, and a remark says why.
//
//===----------------------------------------------------------------------===//
#include "moe/Fuse/WeightTable.h"
#include "moe/Schedule/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_PLANEXPERTS
#include "moe/Schedule/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
constexpr int64_t kBlock = 128, kTileRows = 256;
/// What blocks of a launch meet at: (arrived, generation). A value that no other constant has, since equal constants share
/// their memory and kernels write to this one.
constexpr int32_t kSync[] = {0, 0x4d4f4543};

int64_t up(int64_t n, int64_t by) { return (n + by - 1) / by; }
RankedTensorType typeOf(Value v) { return cast<RankedTensorType>(v.getType()); }

/// The ops of one layer.
struct Layer {
  CombineOp combine;
  GroupedMatmulOp down, gateUp;
  QuantizeBlocksOp inner, outer;
  DispatchOp dispatch;
  RouteOp route;
};

struct PlanExperts : moe::impl::PlanExpertsBase<PlanExperts> {
  void runOnOperation() override {
    WeightTable weights(getOperation());
    SmallVector<CombineOp> combines;
    getOperation().walk([&](CombineOp op) { combines.push_back(op); });
    for (CombineOp op : combines) {
      Layer layer;
      std::string reason;
      auto down = op.getY().getDefiningOp<GroupedMatmulOp>();
      if (!down || !down.getXScales())
        continue; // not in FP8: nothing is promised
      if (!match(op, layer, reason))
        op.emitRemark() << "the experts run as plain kernels: " << reason;
      else
        rewrite(layer, weights);
    }
  }

  static bool scaledByBlocks(GroupedMatmulOp op) {
    return op.getXScales() && op.getXBlock() == ArrayRef<int64_t>{1, kBlock} && op.getWeightBlock() == ArrayRef<int64_t>{1, kBlock, kBlock} &&
           !op.getPacked() && typeOf(op.getXScales()).getElementType().isF32() && isa<Float8E4M3FNType>(typeOf(op.getX()).getElementType());
  }

  bool match(CombineOp op, Layer &l, std::string &reason) {
    auto no = [&](const Twine &why) {
      reason = why.str();
      return false;
    };
    l.combine = op;
    l.down = op.getY().getDefiningOp<GroupedMatmulOp>();
    l.inner = l.down.getX().getDefiningOp<QuantizeBlocksOp>();
    l.gateUp = l.inner ? l.inner.getInput().getDefiningOp<GroupedMatmulOp>() : GroupedMatmulOp();
    l.outer = l.gateUp ? l.gateUp.getX().getDefiningOp<QuantizeBlocksOp>() : QuantizeBlocksOp();
    l.dispatch = op.getPosition().getDefiningOp<DispatchOp>();
    l.route = l.dispatch ? l.dispatch.getIndices().getDefiningOp<RouteOp>() : RouteOp();
    if (!l.outer || !l.gateUp.getOffsets())
      return no("expected two products with a quantized value between them");
    if (!l.route || op.getWeights() != l.route.getResult(0))
      return no("expected a router whose weights combine the rows");
    if (!scaledByBlocks(l.down) || !scaledByBlocks(l.gateUp))
      return no("expected f8E4M3FN in blocks of 1 x 128 and 128 x 128 with f32 scales");
    if (l.gateUp.getWeights().size() != 2 || l.down.getWeights().size() != 1)
      return no("expected gate, up and down weights, found " + Twine(l.gateUp.getWeights().size()) + " and " + Twine(l.down.getWeights().size()));
    if (!l.gateUp.getExtras().empty() || !l.down.getExtras().empty() || !yieldsItsSum(l.down))
      return no("expected no biases and nothing behind the second product");
    if (l.gateUp.getOffsets() != l.dispatch.getResult(0) || l.down.getOffsets() != l.dispatch.getResult(0) || l.gateUp.getRows() != l.dispatch.getResult(1) ||
        l.down.getRows() || static_cast<int64_t>(l.gateUp.getRowsDivisor()) != static_cast<int64_t>(op.getK()))
      return no("expected rows gathered for the first product and contiguous for the second");
    if (!l.down->hasOneUse() || !llvm::all_of(l.inner->getUsers(), [&](Operation *user) { return user == l.down; }) || !l.gateUp->hasOneUse())
      return no("expected values between the products that nothing else reads");
    int64_t hidden = typeOf(l.gateUp.getX()).getDimSize(1), experts = typeOf(l.gateUp.getWeights()[0]).getDimSize(0), k = op.getK();
    if (hidden % 8 || typeOf(l.down.getWeights()[0]).getDimSize(1) != hidden)
      return no("expected rows of one width, a multiple of 8, found " + Twine(hidden) + " and " + Twine(typeOf(l.down.getWeights()[0]).getDimSize(1)));
    if (experts > 768 || k > 32 || static_cast<int64_t>(l.route.getNumGroups()) > 32 || l.route.getScore() == ScoreFn::SparseMixer)
      return no("expected at most 768 experts, k of at most 32, at most 32 groups and no sparsemixer");
    return true;
  }
  /// The sum as it is, or rounded to bf16, as the kernel rounds it.
  static bool yieldsItsSum(GroupedMatmulOp op) {
    Block &body = op.getEpilogue().front();
    Value yielded = body.getTerminator()->getOperand(0);
    if (auto rounded = yielded.getDefiningOp<arith::TruncFOp>(); rounded && rounded.getType().isBF16())
      yielded = rounded.getIn();
    return yielded == body.getArgument(0);
  }
  /// The kernel's region yields f32: what a narrower one yields is rounded, then widened.
  static void widenYield(Block &body) {
    Operation *yield = body.getTerminator();
    if (yield->getOperand(0).getType().isF32())
      return;
    OpBuilder b(yield);
    yield->setOperand(0, arith::ExtFOp::create(b, yield->getLoc(), b.getF32Type(), yield->getOperand(0)));
  }

  /// A weight of a new recipe over the banks of `values`.
  static Value retile(OpBuilder &b, Location loc, WeightTable &weights, RecipeStep step, ValueRange values, ArrayRef<int64_t> shape) {
    SmallVector<Attribute> inputs;
    StringRef name;
    for (Value v : values) {
      Bank bank = weights.bankOf(v);
      inputs.push_back(bank.recipe);
      name = name.empty() ? bank.name : name;
    }
    auto type = RankedTensorType::get(shape, typeOf(values.front()).getElementType());
    Attribute recipe = RecipeAttr::get(b.getContext(), step, b.getDictionaryAttr({}), b.getArrayAttr(inputs), type);
    return weights.materialize(b, loc, Bank{recipe, {}, name});
  }

  void rewrite(Layer &l, WeightTable &weights) {
    OpBuilder b(l.combine);
    Location loc = l.combine.getLoc();
    int64_t k = l.combine.getK(), d = ShapedType::kDynamic;
    int64_t hidden = typeOf(l.gateUp.getX()).getDimSize(1), inner = typeOf(l.inner.getInput()).getDimSize(1);
    int64_t experts = typeOf(l.gateUp.getWeights()[0]).getDimSize(0), kb = up(hidden, kBlock), ib = up(inner, kBlock), nb = up(hidden, kTileRows);
    Type f32 = b.getF32Type(), i32 = b.getI32Type(), e4m3 = typeOf(l.gateUp.getX()).getElementType();
    auto tensor = [](ArrayRef<int64_t> shape, Type element) { return RankedTensorType::get(shape, element); };

    Value sync = arith::ConstantOp::create(b, loc, DenseElementsAttr::get(tensor({2}, i32), ArrayRef<int32_t>(kSync)));
    int64_t tokens = typeOf(l.route.getLogits()).getDimSize(0);
    bool fixed = !ShapedType::isDynamic(tokens);
    int64_t p = fixed ? tokens * k : d;
    // Each expert's rows begin at a multiple of 8, and the last item may read 128 rows from its first on.
    int64_t padding = up(7 * experts, 8) * 8 + kBlock, r = fixed ? up(p, 8) * 8 + padding : d;
    // So few tokens are routed and quantized in one launch.
    IntegerAttr few = b.getI64IntegerAttr(std::min<int64_t>(24, 128 / k)), pad = b.getI64IntegerAttr(padding);
    Type codesType = tensor({kb, r, kBlock}, e4m3), scalesType = tensor({kb, r}, f32);
    auto rows = RouteRowsOp::create(
        b, l.route.getLoc(), TypeRange{tensor({tokens, k}, f32), tensor({p}, i32), tensor({fixed ? 4 + 4 * (experts + p) : d}, i32),
                                       tensor({fixed ? 16 + experts + p : d}, i32), tensor({256 * experts}, i32), codesType, scalesType},
        l.route.getLogits(), l.route.getSelectionBias(), sync, l.outer.getInput(), ValueRange(), l.route.getKAttr(), few, pad, l.route.getScoreAttr(),
        l.route.getNumGroupsAttr(), l.route.getTopGroupsAttr(), l.route.getGroupScoreAttr(), l.route.getGroupFillAttr(), l.route.getWeightFnAttr(),
        l.route.getNormalizeAttr(), l.route.getNormEpsAttr(), l.route.getNormPAttr(), l.route.getScaleAttr());
    auto codes = QuantizeRowsOp::create(b, l.outer.getLoc(), TypeRange{codesType, scalesType}, l.outer.getInput(), rows.getResult(1), rows.getResult(5),
                                        rows.getResult(6), ValueRange(), b.getI64IntegerAttr(k), pad, few);
    Value w1 = retile(b, loc, weights, RecipeStep::TileRows, l.gateUp.getWeights(), {experts, ib, kb, kTileRows, kBlock});
    Value s1 = retile(b, loc, weights, RecipeStep::TileScales, l.gateUp.getWeightScales(), {experts, ib, up(2 * kb, 4) * 4});
    Value w2 = retile(b, loc, weights, RecipeStep::TileRows, l.down.getWeights(), {experts, nb, ib, kTileRows, kBlock});
    Value s2 = retile(b, loc, weights, RecipeStep::TileScales, l.down.getWeightScales(), {experts, nb, up(2 * ib, 4) * 4});
    auto products = ExpertProductsOp::create(b, b.getFusedLoc({l.gateUp.getLoc(), l.down.getLoc()}),
                                             TypeRange{tensor({r, hidden}, b.getBF16Type()), tensor({ib, r, kBlock}, e4m3), tensor({ib, r}, f32)},
                                             codes.getResult(0), codes.getResult(1), w1, s1, w2, s2, rows.getResult(2), rows.getResult(3), ValueRange(),
                                             b.getI64IntegerAttr(hidden), b.getI64IntegerAttr(inner));
    products.getEpilogue().takeBody(l.gateUp.getEpilogue());
    widenYield(products.getEpilogue().front());
    // For bench: the work of the rows that have tokens, and which weights only the chosen experts read.
    std::string count = fixed ? std::to_string(p) : "($0.1 - " + std::to_string(padding) + ")";
    products->setAttr("moe.cost", b.getDictionaryAttr({b.getNamedAttr("flops", b.getStringAttr(std::to_string(6 * hidden * inner) + " * " + count)),
                                                       b.getNamedAttr("banks", b.getDenseI64ArrayAttr({2, 3, 4, 5})),
                                                       b.getNamedAttr("groups", b.getI64IntegerAttr(experts)), b.getNamedAttr("rows", b.getStringAttr(count))}));
    auto y = CombineOp::create(b, loc, TypeRange{l.combine.getResult(0).getType()}, products.getResult(0), rows.getResult(1), rows.getResult(0),
                               l.combine.getResidual(), ValueRange(), l.combine.getKAttr());
    l.combine.getResult(0).replaceAllUsesWith(y.getResult(0));
    for (Operation *op : {l.combine.getOperation(), l.down.getOperation(), l.inner.getOperation(), l.gateUp.getOperation()})
      op->erase();
    for (Operation *op : {l.outer.getOperation(), l.dispatch.getOperation(), l.route.getOperation()})
      if (op->use_empty())
        op->erase();
  }
};
} // namespace
