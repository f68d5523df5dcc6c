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
// In bf16 and f16 nothing is quantized: moe.copy_rows stands for moe.quantize_rows, and no scales go along. The weights get the layout that the kernel
// streams, by recipe. Layers that are not of this shape keep their plain kernels, and a remark says why.
//
//===----------------------------------------------------------------------===//
#include "RowPlan.h"
#include "moe/Schedule/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_PLANEXPERTS
#include "moe/Schedule/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
/// What blocks of a launch meet at: (arrived, generation). A value that no other constant has, since equal constants share
/// their memory and kernels write to this one.
constexpr int32_t kSync[] = {0, 0x4d4f4543};

/// The ops of one layer.
struct Layer {
  CombineOp combine;
  GroupedMatmulOp down, gateUp;
  QuantizeBlocksOp inner, outer; // in FP8
  DispatchOp dispatch;
  RouteOp route;
  Value x;          // of the tokens, before it is quantized
  Type biasElement; // in which the biases of gate, up and down are added; null: there are none
  bool fp8() { return static_cast<bool>(outer); }
};

struct PlanExperts : moe::impl::PlanExpertsBase<PlanExperts> {
  void runOnOperation() override {
    WeightTable weights(getOperation());
    int64_t number = 0;
    SmallVector<CombineOp> combines;
    getOperation().walk([&](CombineOp op) { combines.push_back(op); });
    for (CombineOp op : combines) {
      Layer layer;
      std::string reason;
      auto down = op.getY().getDefiningOp<GroupedMatmulOp>();
      if (!down)
        continue; // no experts
      if (!match(op, layer, weights, reason))
        op.emitRemark() << "the experts do not run as one plan: " << reason;
      else
        rewrite(layer, weights, ++number);
    }
  }

  bool match(CombineOp op, Layer &l, WeightTable &weights, std::string &reason) {
    auto no = [&](const Twine &why) {
      reason = why.str();
      return false;
    };
    l.combine = op;
    l.down = op.getY().getDefiningOp<GroupedMatmulOp>();
    l.inner = l.down.getX().getDefiningOp<QuantizeBlocksOp>();
    l.gateUp = (l.inner ? l.inner.getInput() : l.down.getX()).getDefiningOp<GroupedMatmulOp>();
    l.outer = l.gateUp ? l.gateUp.getX().getDefiningOp<QuantizeBlocksOp>() : QuantizeBlocksOp();
    if (l.gateUp)
      l.x = l.fp8() ? l.outer.getInput() : l.gateUp.getX();
    l.dispatch = op.getPosition().getDefiningOp<DispatchOp>();
    l.route = l.dispatch ? l.dispatch.getIndices().getDefiningOp<RouteOp>() : RouteOp();
    if (!l.gateUp || !l.gateUp.getOffsets() || l.inner.operator bool() != l.fp8())
      return no("expected two products, in FP8 with a quantized value between them");
    if (!l.route || op.getWeights() != l.route.getResult(0))
      return no("expected a router whose weights combine the rows");
    if (l.fp8() ? !isScaledByBlocks(l.down, weights) || !isScaledByBlocks(l.gateUp, weights)
                : !isInSixteenBits(l.down, weights) || !isInSixteenBits(l.gateUp, weights) ||
                      rankedType(l.gateUp.getResult(0)) != rankedType(l.down.getX()))
      return no("expected f8E4M3FN in blocks of 1 x 128 and 128 x 128 with f32 scales, or bf16 or f16 throughout");
    if (l.gateUp.getWeights().size() != 2 || l.down.getWeights().size() != 1)
      return no("expected gate, up and down weights, found " + Twine(l.gateUp.getWeights().size()) + " and " +
                Twine(l.down.getWeights().size()));
    if (!matchBiases(l, weights))
      return no("expected constant biases of gate, up and down that are added first and in one type, or none, and "
                "nothing else behind the second product");
    if (l.gateUp.getOffsets() != l.dispatch.getResult(0) || l.down.getOffsets() != l.dispatch.getResult(0) ||
        l.gateUp.getRows() != l.dispatch.getResult(1) || l.down.getRows() ||
        static_cast<int64_t>(l.gateUp.getRowsDivisor()) != static_cast<int64_t>(op.getK()))
      return no("expected rows gathered for the first product and contiguous for the second");
    if (!l.down->hasOneUse() || !l.gateUp->hasOneUse() ||
        (l.fp8() && !llvm::all_of(l.inner->getUsers(), [&](Operation *user) { return user == l.down; })))
      return no("expected values between the products that nothing else reads");
    int64_t hidden = rankedType(l.gateUp.getX()).getDimSize(1),
            experts = rankedType(l.gateUp.getWeights()[0]).getDimSize(0), k = op.getK();
    if (hidden % 8 || rankedType(l.down.getWeights()[0]).getDimSize(1) != hidden)
      return no("expected rows of one width, a multiple of 8, found " + Twine(hidden) + " and " +
                Twine(rankedType(l.down.getWeights()[0]).getDimSize(1)));
    int64_t deepest = std::max(hidden, rankedType(l.gateUp.getResult(0)).getDimSize(1));
    if (l.fp8() && !fitsScales(deepest, kActivationBytes + (l.biasElement ? kBiasBytes : 0)))
      return no("expected sums whose scales fit in shared memory, found sums of " + Twine(deepest));
    if (experts > 768 || k > 32 || static_cast<int64_t>(l.route.getNumGroups()) > 32 ||
        l.route.getScore() == ScoreFn::SparseMixer)
      return no("expected at most 768 experts, k of at most 32, at most 32 groups and no sparsemixer");
    return true;
  }
  /// No biases, or those of all three weights.
  static bool matchBiases(Layer &l, WeightTable &weights) {
    if (l.gateUp.getExtras().empty() && l.down.getExtras().empty())
      return yieldsRounded(l.down, l.down.getEpilogue().front().getArgument(0));
    for (auto [op, count] : {std::pair(l.gateUp, 2u), std::pair(l.down, 1u)})
      if (op.getExtras().size() != count || !llvm::all_of(op.getExtraKinds(), [](int64_t kind) { return kind == 1; }) ||
          !llvm::all_of(op.getExtras(), [&](Value v) { return weights.bankOf(v).recipe; }))
        return false;
    Block &body = l.gateUp.getEpilogue().front(), &last = l.down.getEpilogue().front();
    auto gate = BiasStep::at(body, 0, 2), up = BiasStep::at(body, 1, 3), down = BiasStep::at(last, 0, 1);
    if (!gate || !up || !down || gate->element() != up->element() || gate->element() != down->element())
      return false;
    l.biasElement = gate->element();
    return yieldsRounded(l.down, down->add);
  }
  /// Layer `number` has a list of its own: the kernel leaves its counters changed.
  void rewrite(Layer &l, WeightTable &weights, int64_t number) {
    OpBuilder b(l.combine);
    Location loc = l.combine.getLoc();
    int64_t k = l.combine.getK(), d = ShapedType::kDynamic;
    int64_t hidden = rankedType(l.gateUp.getX()).getDimSize(1),
            experts = rankedType(l.gateUp.getWeights()[0]).getDimSize(0);
    int64_t depth = l.fp8() ? kPlanBlock : kPlanBlock / 2, kb = ceilOf(hidden, depth);
    Type f32 = b.getF32Type(), i32 = b.getI32Type(), element = rankedType(l.gateUp.getX()).getElementType();
    auto tensor = [](ArrayRef<int64_t> shape, Type element) { return RankedTensorType::get(shape, element); };

    Value sync = arith::ConstantOp::create(b, loc, DenseElementsAttr::get(tensor({2}, i32), ArrayRef<int32_t>(kSync)));
    int64_t tokens = rankedType(l.route.getLogits()).getDimSize(0);
    bool fixed = !ShapedType::isDynamic(tokens);
    int64_t p = fixed ? tokens * k : d;
    int64_t padding = paddingOf(experts), r = fixed ? ceilOf(p, 8) * 8 + padding : d;
    IntegerAttr kAttr = b.getI64IntegerAttr(k), none = b.getI64IntegerAttr(0), few = none,
                pad = b.getI64IntegerAttr(padding);
    Type rowsType = tensor({kb, r, depth}, element), scalesType = tensor({kb, r}, f32);
    SmallVector<Type> listed = {tensor({tokens, k}, f32), tensor({p}, i32),
                                tensor({fixed ? 4 + 4 * (experts + p) : d}, i32),
                                tensor({fixed ? 16 + experts + p : d}, i32), tensor({256 * experts}, i32)};
    if (l.fp8()) { // so few tokens are routed and quantized in one launch
      few = b.getI64IntegerAttr(std::min<int64_t>(24, 128 / k));
      listed.append({rowsType, scalesType});
    }
    auto rows = RouteRowsOp::create(b, l.route.getLoc(), listed, l.route.getLogits(), l.route.getSelectionBias(), sync,
                                    l.fp8() ? l.x : Value(), ValueRange(), l.route.getKAttr(), few,
                                    l.fp8() ? pad : none, b.getI64IntegerAttr(number), l.route.getScoreAttr(),
                                    l.route.getNumGroupsAttr(), l.route.getTopGroupsAttr(), l.route.getGroupScoreAttr(),
                                    l.route.getGroupFillAttr(), l.route.getWeightFnAttr(), l.route.getNormalizeAttr(),
                                    l.route.getNormEpsAttr(), l.route.getNormPAttr(), l.route.getScaleAttr());
    Value x, xScales;
    if (l.fp8()) {
      auto codes = QuantizeRowsOp::create(b, l.outer.getLoc(), TypeRange{rowsType, scalesType}, l.x, rows.getResult(1),
                                          rows.getResult(5), rows.getResult(6), ValueRange(), kAttr, pad, few);
      x = codes.getResult(0), xScales = codes.getResult(1);
    } else {
      x = CopyRowsOp::create(b, l.gateUp.getLoc(), TypeRange(rowsType), l.x, rows.getResult(1), ValueRange(), kAttr,
                             pad)
              .getResult(0);
    }
    auto products = createExpertProducts(b, weights, l.gateUp, l.down, x, xScales, rows.getResult(2), rows.getResult(3),
                                         l.biasElement);
    setCost(products, fixed ? std::to_string(p) : "($0.1 - " + std::to_string(padding) + ")");
    auto y =
        CombineOp::create(b, loc, TypeRange{l.combine.getResult(0).getType()}, products.getResult(0), rows.getResult(1),
                          rows.getResult(0), l.combine.getResidual(), ValueRange(), l.combine.getKAttr());
    l.combine.getResult(0).replaceAllUsesWith(y.getResult(0));
    for (Operation *op :
         {l.combine.getOperation(), l.down.getOperation(), l.inner.getOperation(), l.gateUp.getOperation()})
      if (op)
        op->erase();
    for (Operation *op : {l.outer.getOperation(), l.dispatch.getOperation(), l.route.getOperation()})
      if (op && op->use_empty())
        op->erase();
  }
};
} // namespace
