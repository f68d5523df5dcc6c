//===- FuseEpilogues.cpp - element-wise consumers into products -------------===//
//
//   %g = moe.grouped_matmul %x weights(%wg) { acc0 }     %u = moe.grouped_matmul %x weights(%wu) { acc0 }
//   %h = linalg.generic ins(%g, %u, %residual) { (a, b, r) -> silu(a) * b + r }
//     ->
//   %h = moe.grouped_matmul %x weights(%wg, %wu) extras(%residual) { (acc0, acc1, r) -> silu(acc0) * acc1 + r }
//
// The consumer may see the product through an expansion of its rows ([M, N] as [batch, sequence, N]). Every result of a
// product that is absorbed has this consumer as its only user, so nothing is computed twice.
//
//===----------------------------------------------------------------------===//
#include "RowExpr.h"

#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/MemRef/Transforms/Transforms.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace mlir::moe {
#define GEN_PASS_DEF_FUSEEPILOGUES
#include "moe/Fuse/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

/// An element-wise operation with one result: out[d] = body(input_i[map_i(d)], ...).
struct Pointwise {
  Operation *op;
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  /// Emits the body on scalars.
  std::function<Value(OpBuilder &, Location, ValueRange)> body;
};

/// A product seen through at most one expansion of its rows.
struct SeenProduct {
  GroupedMatmulOp op;
  tensor::ExpandShapeOp expand; // may be null
};

} // namespace

static std::optional<Pointwise> matchPointwise(Operation *op) {
  if (op->getNumResults() != 1 || !isa<RankedTensorType>(op->getResult(0).getType()))
    return std::nullopt;
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  if (!linalgOp || !linalgOp.hasPureTensorSemantics() || linalgOp.getNumLoops() != linalgOp.getNumParallelLoops() ||
      !linalgOp.getMatchingIndexingMap(linalgOp.getDpsInitOperand(0)).isIdentity())
    return std::nullopt;
  Block *block = linalgOp.getBlock();
  // The body must be scalar arithmetic: no positions, no reads of other tensors, no init.
  for (Operation &inner : block->without_terminator())
    if (inner.getNumRegions() || !isPure(&inner) || isa<linalg::IndexOp>(inner) ||
        llvm::any_of(inner.getOperandTypes(), llvm::IsaPred<ShapedType>))
      return std::nullopt;
  for (Operation &inner : *block)
    for (Value v : inner.getOperands())
      if (v.getParentBlock() != block && !matchPattern(v, m_Constant()))
        return std::nullopt;
  if (!block->getArguments().back().use_empty())
    return std::nullopt;
  Pointwise p{op, {}, {}, {}};
  for (OpOperand *input : linalgOp.getDpsInputOperands()) {
    p.inputs.push_back(input->get());
    p.maps.push_back(linalgOp.getMatchingIndexingMap(input));
  }
  p.body = [block](OpBuilder &b, Location loc, ValueRange v) {
    IRMapping map;
    map.map(block->getArguments().drop_back(), v);
    for (Operation &inner : *block)
      for (Value operand : inner.getOperands())
        if (operand.getParentBlock() != block && !map.contains(operand))
          map.map(operand, b.clone(*operand.getDefiningOp())->getResult(0));
    for (Operation &inner : block->without_terminator())
      b.clone(inner, map);
    return map.lookup(block->getTerminator()->getOperand(0));
  };
  return p;
}

/// Whether `user` alone reads `v`; what the driver has replaced but not yet erased does not count.
static bool onlyUser(Value v, Operation *user) {
  return llvm::all_of(v.getUsers(), [&](Operation *u) { return u == user || isOpTriviallyDead(u); });
}

/// The product behind a value whose only user is `user`; null otherwise.
static SeenProduct matchProduct(Value value, Operation *user) {
  if (!onlyUser(value, user))
    return {};
  auto expand = value.getDefiningOp<tensor::ExpandShapeOp>();
  if (expand) {
    // Only rows are expanded: the last group is the columns alone.
    if (expand.getSrcType().getRank() != 2 || expand.getReassociationIndices().back().size() != 1 ||
        !onlyUser(expand.getSrc(), expand))
      return {};
    value = expand.getSrc();
  }
  auto product = value.getDefiningOp<GroupedMatmulOp>();
  // Scales are still in the types here: `moe-split-scaled` comes later.
  if (!product || product->getBlock() != user->getBlock() || product.getXScales() || !product.getWeightScales().empty())
    return {};
  return {product, expand};
}

static bool sameRows(GroupedMatmulOp a, GroupedMatmulOp b) {
  return a.getX() == b.getX() && a.getOffsets() == b.getOffsets() && a.getRows() == b.getRows() &&
         a.getRowsDivisor() == b.getRowsDivisor() && a.getPacked() == b.getPacked() &&
         a.getColumns() == b.getColumns() && a.getPromotion() == b.getPromotion() &&
         a.getWeights()[0].getType() == b.getWeights()[0].getType();
}

/// Groups that collapse `rank` dims to [leading dims, last dim], or all of them to one.
static Value collapseTo(OpBuilder &b, Location loc, Value v, unsigned rank) {
  int64_t have = cast<RankedTensorType>(v.getType()).getRank();
  if (have == rank)
    return v;
  SmallVector<ReassociationIndices> groups(rank);
  for (int64_t i = 0; i < have; ++i)
    groups[rank == 1 || i + 1 < have ? 0 : 1].push_back(i);
  return tensor::CollapseShapeOp::create(b, loc, v, groups);
}

/// How a consumer's other operand enters a product: its kind and the rank it is collapsed to; nullopt if it cannot.
static std::optional<std::pair<int64_t, unsigned>> extraKind(Value input, AffineMap map, ArrayRef<int64_t> shape) {
  auto type = dyn_cast<RankedTensorType>(input.getType());
  if (!type)
    return std::nullopt;
  unsigned rank = shape.size();
  if (map.isIdentity())
    return std::make_pair(0, 2u);
  auto isDim = [&](AffineExpr e, unsigned d) { return e == getAffineDimExpr(d, map.getContext()); };
  auto isUnit = [&](unsigned i) { return type.getDimSize(i) == 1 && isa<AffineConstantExpr>(map.getResult(i)); };
  // [1, .., N]: the same for every row.
  if (map.getNumResults() >= 1 && isDim(map.getResults().back(), rank - 1) &&
      llvm::all_of(llvm::seq<unsigned>(0, map.getNumResults() - 1), isUnit))
    return std::make_pair(2, 1u);
  // [rows.., 1] or [rows..]: one value a row.
  bool trailing = map.getNumResults() == rank && isUnit(rank - 1);
  if ((trailing || map.getNumResults() == rank - 1) &&
      llvm::all_of(llvm::seq<unsigned>(0, rank - 1), [&](unsigned i) { return isDim(map.getResult(i), i); }))
    return std::make_pair(3, 1u);
  return std::nullopt;
}

/// The value as the consumer saw the rows: expanded again if they were.
static Value expandAs(OpBuilder &b, Location loc, Value rows, tensor::ExpandShapeOp like, Type type) {
  if (like) {
    auto expanded = like.getResultType().clone(cast<RankedTensorType>(rows.getType()).getElementType());
    rows = tensor::ExpandShapeOp::create(b, loc, expanded, rows, like.getReassociationIndices(),
                                         like.getMixedOutputShape());
  }
  return rows.getType() == type ? rows : tensor::CastOp::create(b, loc, type, rows);
}

namespace {

/// moe.swiglu of what a product or an element-wise operation gives -> linalg.generic, which fuses like any other.
struct SwigluToGeneric : OpRewritePattern<SwigluOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SwigluOp op, PatternRewriter &rewriter) const override {
    auto near = [&](Value v) {
      if (auto expand = v.getDefiningOp<tensor::ExpandShapeOp>())
        v = expand.getSrc();
      Operation *producer = v.getDefiningOp();
      return producer && (isa<GroupedMatmulOp>(producer) || matchPointwise(producer));
    };
    if (!op.getOuts().empty() || (!near(op.getGate()) && !near(op.getUp())))
      return rewriter.notifyMatchFailure(op, "neither operand comes from a product or an element-wise operation");
    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(op.getResults()[0].getType());
    float alpha = op.getAlpha().convertToFloat(), beta = op.getBeta().convertToFloat(),
          limit = op.getLimit().convertToFloat();
    AffineMap identity = rewriter.getMultiDimIdentityMap(type.getRank());
    Value init = tensor::EmptyOp::create(rewriter, loc, tensor::getMixedSizes(rewriter, loc, op.getGate()),
                                         type.getElementType());
    auto generic = linalg::GenericOp::create(
        rewriter, loc, init.getType(), ValueRange{op.getGate(), op.getUp()}, init,
        ArrayRef<AffineMap>{identity, identity, identity},
        SmallVector<utils::IteratorType>(type.getRank(), utils::IteratorType::parallel),
        [&](OpBuilder &b, Location, ValueRange v) {
          linalg::YieldOp::create(b, loc, buildSwiglu(b, loc, v[0], v[1], alpha, beta, limit));
        });
    Value result = generic.getResult(0);
    if (result.getType() != type)
      result = tensor::CastOp::create(rewriter, loc, type, result);
    rewriter.replaceOp(op, result);
    return success();
  }
};

struct FuseIntoProduct : RewritePattern {
  FuseIntoProduct(MLIRContext *context) : RewritePattern(MatchAnyOpTypeTag(), 2, context) {}

  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    std::optional<Pointwise> p = matchPointwise(op);
    if (!p)
      return rewriter.notifyMatchFailure(op, "not element-wise");
    auto outType = cast<RankedTensorType>(op->getResult(0).getType());
    if (outType.getRank() < 2 || !isa<FloatType>(outType.getElementType()))
      return rewriter.notifyMatchFailure(op, "its result is no matrix of floats");
    // What feeds this operation alone is merged into it first, so that two products meet in one consumer.
    for (Value input : p->inputs)
      if (Operation *producer = input.getDefiningOp();
          producer && producer->getBlock() == op->getBlock() && matchPointwise(producer) && onlyUser(input, op))
        return rewriter.notifyMatchFailure(op, "an element-wise producer comes first");
    // The last product among the operands, and those over the same rows.
    SmallVector<SeenProduct> seen(p->inputs.size());
    int main = -1;
    for (auto [i, input] : llvm::enumerate(p->inputs))
      if (p->maps[i].isIdentity() && (seen[i] = matchProduct(input, op)).op &&
          (main < 0 || seen[main].op->isBeforeInBlock(seen[i].op)))
        main = i;
    if (main < 0)
      return rewriter.notifyMatchFailure(op, "no operand is a product that only this operation reads");
    GroupedMatmulOp first = seen[main].op;
    for (auto [i, s] : llvm::enumerate(seen))
      if (s.op && (!sameRows(s.op, first) ||
                   (s.expand ? s.expand.getResultType().getShape() : ArrayRef<int64_t>()) !=
                       (seen[main].expand ? seen[main].expand.getResultType().getShape() : ArrayRef<int64_t>())))
        s = {};
    // Products in the order of operands, each once; the others as extras.
    SmallVector<GroupedMatmulOp> products;
    SmallVector<Value> weights, extras;
    SmallVector<int64_t> kinds;
    SmallVector<std::pair<unsigned, unsigned>> newExtras; // input, rank
    for (SeenProduct &s : seen)
      if (s.op && !llvm::is_contained(products, s.op))
        products.push_back(s.op);
    for (GroupedMatmulOp product : products) {
      llvm::append_range(weights, product.getWeights());
      llvm::append_range(extras, product.getExtras());
      llvm::append_range(kinds, product.getExtraKinds());
    }
    size_t oldExtras = extras.size();
    for (auto [i, input] : llvm::enumerate(p->inputs)) {
      if (seen[i].op)
        continue;
      auto kind = extraKind(input, p->maps[i], outType.getShape());
      if (!kind)
        return rewriter.notifyMatchFailure(op, "an operand is no row, no column and no full matrix");
      newExtras.push_back({i, kind->second});
      kinds.push_back(kind->first);
    }
    // Nothing can fail from here on.
    Location loc = op->getLoc();
    for (auto [i, rank] : newExtras)
      extras.push_back(collapseTo(rewriter, loc, p->inputs[i], rank));
    auto rowsType = cast<RankedTensorType>(first.getResults()[0].getType()).clone(outType.getElementType());
    auto fused =
        GroupedMatmulOp::create(rewriter, loc, TypeRange{rowsType}, first.getX(), weights, first.getOffsets(),
                                first.getRows(), extras, Value(), ValueRange{}, ValueRange{}, first.getRowsDivisor(),
                                first.getPacked(), first.getColumns(), kinds, first.getPromotion());
    {
      OpBuilder::InsertionGuard guard(rewriter);
      Block *block = rewriter.createBlock(&fused.getEpilogue());
      for (size_t i = 0; i < weights.size(); ++i)
        block->addArgument(rewriter.getF32Type(), loc);
      for (Value extra : extras)
        block->addArgument(cast<ShapedType>(extra.getType()).getElementType(), loc);
      // Each product's epilogue on its own accumulators and extras, then the consumer.
      DenseMap<Operation *, Value> results;
      size_t nextWeight = 0, nextExtra = weights.size();
      for (GroupedMatmulOp product : products) {
        IRMapping map;
        Block &body = product.getEpilogue().front();
        for (auto [i, arg] : llvm::enumerate(body.getArguments()))
          map.map(arg, block->getArgument(i < product.getWeights().size() ? nextWeight++ : nextExtra++));
        for (Operation &inner : body.without_terminator())
          rewriter.clone(inner, map);
        results[product] = map.lookupOrDefault(body.getTerminator()->getOperand(0));
      }
      SmallVector<Value> inputs;
      size_t next = weights.size() + oldExtras;
      for (size_t i = 0; i < p->inputs.size(); ++i)
        inputs.push_back(seen[i].op ? results[seen[i].op] : Value(block->getArgument(next++)));
      YieldOp::create(rewriter, loc, p->body(rewriter, loc, inputs));
    }
    rewriter.replaceOp(op, expandAs(rewriter, loc, fused.getResults()[0], seen[main].expand, outType));
    return success();
  }
};

/// add(combine, r) -> combine with residual r.
struct FuseIntoCombine : RewritePattern {
  FuseIntoCombine(MLIRContext *context) : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}

  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
    std::optional<Pointwise> p = linalgOp ? matchPointwise(op) : std::nullopt;
    if (!p || p->inputs.size() != 2 || !p->maps[0].isIdentity() || !p->maps[1].isIdentity())
      return rewriter.notifyMatchFailure(op, "not an element-wise operation of two matrices");
    Block *block = linalgOp.getBlock();
    auto add = block->getTerminator()->getOperand(0).getDefiningOp<arith::AddFOp>();
    if (!add || !add.getType().isF32() || !llvm::hasNItems(*block, 2) || p->inputs[0] == p->inputs[1])
      return rewriter.notifyMatchFailure(op, "not an addition in f32");
    for (unsigned i : {0u, 1u}) {
      Value value = p->inputs[i];
      auto expand = value.getDefiningOp<tensor::ExpandShapeOp>();
      if (!onlyUser(value, op) ||
          (expand && (expand.getSrcType().getRank() != 2 || !onlyUser(expand.getSrc(), expand) ||
                      expand.getReassociationIndices().back().size() != 1)))
        continue;
      auto combine = (expand ? expand.getSrc() : value).getDefiningOp<CombineOp>();
      if (!combine || combine.getResidual() || combine->getBlock() != op->getBlock())
        continue;
      Location loc = op->getLoc();
      Value residual = collapseTo(rewriter, loc, p->inputs[1 - i], 2);
      auto fused = CombineOp::create(rewriter, loc, combine.getResultTypes(), combine.getY(), combine.getPosition(),
                                     combine.getWeights(), residual, ValueRange{}, combine.getK());
      rewriter.replaceOp(op, expandAs(rewriter, loc, fused.getResults()[0], expand, op->getResult(0).getType()));
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no operand is a moe.combine that only this operation reads");
  }
};

struct FuseEpilogues : moe::impl::FuseEpiloguesBase<FuseEpilogues> {
  void runOnOperation() override {
    // Sizes come from where rows come from; else asking a product for its size would count as reading it.
    RewritePatternSet before(&getContext());
    before.add<SwigluToGeneric>(&getContext());
    memref::populateResolveRankedShapedTypeResultDimsPatterns(before);
    tensor::DimOp::getCanonicalizationPatterns(before, &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(before))))
      return signalPassFailure();
    RewritePatternSet patterns(&getContext());
    patterns.add<FuseIntoProduct, FuseIntoCombine>(&getContext());
    // A producer moves into its only consumer if it is read once per element, or does no arithmetic.
    linalg::populateElementwiseOpsFusionPatterns(patterns, [](OpOperand *operand) {
      // Each step copies the body so far: a long chain would take quadratic time, and gain nothing beyond this.
      constexpr size_t kMaxBody = 256;
      auto sizeOf = [](Operation *op) {
        auto generic = dyn_cast_if_present<linalg::LinalgOp>(op);
        return generic ? generic.getBlock()->getOperations().size() : 0;
      };
      if (sizeOf(operand->getOwner()) + sizeOf(operand->get().getDefiningOp()) > kMaxBody)
        return false;
      Operation *producer = operand->get().getDefiningOp(), *consumer = operand->getOwner();
      if (!producer || producer->getBlock() != consumer->getBlock())
        return false;
      if (!onlyUser(operand->get(), consumer))
        return false;
      auto linalgOp = cast<linalg::LinalgOp>(consumer);
      bool cheap =
          isa<linalg::GenericOp>(producer) && cast<linalg::GenericOp>(producer).getBody()->getOperations().size() <= 2;
      return cheap || linalgOp.getMatchingIndexingMap(operand).isPermutation();
    });
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
