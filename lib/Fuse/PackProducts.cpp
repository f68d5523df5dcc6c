//===- PackProducts.cpp - products by constant weights on packed weights ----===//
//
//   %w = moe.get_weight @w : tensor<256x512xf32>
//   %y = linalg.matmul ins(%x, %w : tensor<?x256xf32>, ...) outs(%zero)
//     ->
//   moe.weight @w_p = #moe.recipe<pack, {panel = 16}, [transpose of @w]> : tensor<1x32x256x16xf32>
//   %y = moe.grouped_matmul %x weights(%w_p) {packed = 16, columns = 512} { acc0 }
//
// The rows may have several dimensions (batch, sequence): they are collapsed before and expanded after. Grouped products
// whose weights are constant get the same layout, so all products of a module share their kernels.
//
//===----------------------------------------------------------------------===//
#include "moe/Fuse/WeightTable.h"

#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

namespace mlir::moe {
#define GEN_PASS_DEF_PACKPRODUCTS
#include "moe/Fuse/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

/// The recipe of a value that is a weight seen through static data movement; a bank without recipe otherwise.
static Bank traceWeight(OpBuilder &b, WeightTable &weights, Value value) {
  Location loc = value.getLoc();
  Operation *op = value.getDefiningOp();
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!op || !type || !type.hasStaticShape())
    return {};
  if (isa<GetWeightOp>(op))
    return weights.bankOf(value);
  auto through = [&](Value source, function_ref<Bank(Bank)> step) {
    Bank bank = traceWeight(b, weights, source);
    return bank.recipe ? step(bank) : bank;
  };
  if (auto transpose = dyn_cast<linalg::TransposeOp>(op))
    return through(transpose.getInput(),
                   [&](Bank bank) { return transposeBank(b, loc, bank, transpose.getPermutation()); });
  if (isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp>(op))
    return through(op->getOperand(0), [&](Bank bank) { return reshapeBank(b, loc, bank, type.getShape()); });
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op);
      slice && llvm::none_of(slice.getStaticOffsets(), ShapedType::isDynamic) &&
      llvm::none_of(slice.getStaticStrides(), ShapedType::isDynamic))
    return through(slice.getSource(), [&](Bank bank) {
      return reshapeBank(
          b, loc, sliceBank(b, loc, bank, slice.getStaticOffsets(), slice.getStaticSizes(), slice.getStaticStrides()),
          type.getShape());
    });
  return {};
}

/// Whether the body is acc + a * b of floats, each through at most a widening cast.
static bool isFloatMulAdd(linalg::LinalgOp op) {
  Block *block = op.getBlock();
  auto add = block->getTerminator()->getOperand(0).getDefiningOp<arith::AddFOp>();
  if (!add || block->getNumArguments() != 3)
    return false;
  Value acc = block->getArgument(2), product = add.getLhs() == acc   ? add.getRhs()
                                               : add.getRhs() == acc ? add.getLhs()
                                                                     : Value();
  auto mul = product ? product.getDefiningOp<arith::MulFOp>() : arith::MulFOp();
  auto strip = [](Value v) {
    auto ext = v.getDefiningOp<arith::ExtFOp>();
    return ext ? ext.getIn() : v;
  };
  if (!mul || acc.getType().getIntOrFloatBitWidth() > 32)
    return false;
  Value a = strip(mul.getLhs()), b = strip(mul.getRhs()), x = block->getArgument(0), w = block->getArgument(1);
  return (a == x && b == w) || (a == w && b == x);
}

namespace {

/// linalg contraction of rows with a weight -> moe.grouped_matmul of one group.
struct DenseProduct : OpInterfaceRewritePattern<linalg::LinalgOp> {
  DenseProduct(MLIRContext *context, WeightTable &weights, Pass::Statistic &count)
      : OpInterfaceRewritePattern(context), weights(weights), count(count) {}

  LogicalResult matchAndRewrite(linalg::LinalgOp op, PatternRewriter &rewriter) const override {
    if (op.getNumReductionLoops() != 1 || op.getNumDpsInputs() != 2 || op->getNumResults() != 1 ||
        !op.hasPureTensorSemantics())
      return rewriter.notifyMatchFailure(op, "not a product of two tensors over one dimension");
    if (!isFloatMulAdd(op))
      return rewriter.notifyMatchFailure(op, "not a sum of products of floats of up to 32 bits");
    int side = -1;
    Bank bank;
    for (int i : {1, 0})
      if (side < 0 && (bank = traceWeight(rewriter, weights, op.getDpsInputOperand(i)->get())).recipe)
        side = i;
    if (side < 0)
      return rewriter.notifyMatchFailure(op, "no operand is a constant weight");
    AffineMap wMap = op.getMatchingIndexingMap(op.getDpsInputOperand(side)),
              xMap = op.getMatchingIndexingMap(op.getDpsInputOperand(1 - side)),
              outMap = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
    if (!wMap.isProjectedPermutation() || !xMap.isProjectedPermutation() || !outMap.isProjectedPermutation())
      return rewriter.notifyMatchFailure(op, "an operand is not read through a projected permutation");
    SmallVector<int64_t> ranges = op.getStaticLoopRanges();
    SmallVector<unsigned> reductions;
    op.getReductionDims(reductions);
    unsigned k = reductions[0];
    // Loops by who reads them: the rows' come in the order of the result, then its column.
    SmallVector<unsigned> rowLoops;
    int column = -1;
    for (AffineExpr e : outMap.getResults()) {
      unsigned d = cast<AffineDimExpr>(e).getPosition();
      bool inX = xMap.isFunctionOfDim(d), inW = wMap.isFunctionOfDim(d) && ranges[d] != 1;
      if (inX && inW)
        return rewriter.notifyMatchFailure(op, "rows and weight share a batch dimension");
      if (inX && column >= 0)
        return rewriter.notifyMatchFailure(op, "the columns are not the last dimension of the result");
      if (!inX && column >= 0)
        return rewriter.notifyMatchFailure(op, "the result has more than one column dimension");
      if (inX)
        rowLoops.push_back(d);
      else
        column = d;
    }
    auto xType = cast<RankedTensorType>(op.getDpsInputOperand(1 - side)->get().getType());
    auto outType = cast<RankedTensorType>(op->getResult(0).getType());
    SmallVector<unsigned> order(rowLoops);
    order.push_back(k);
    if (column < 0 || xMap.getNumResults() != order.size() ||
        !llvm::equal(
            order, xMap.getResults(),
            [](unsigned d, AffineExpr e) { return cast<AffineDimExpr>(e).getPosition() == d; }))
      return rewriter.notifyMatchFailure(op, "the rows are not [.., K] in the order of the result");
    int64_t columns = ranges[column], depth = ranges[k];
    if (columns < 1 || depth < 1 || xType.getElementTypeBitWidth() > 32)
      return rewriter.notifyMatchFailure(op, "the product is empty or wider than 32 bits");

    // The weight as [1, N, K].
    Location loc = op.getLoc();
    SmallVector<int64_t> permutation;
    int atN = -1, atK = -1;
    for (auto [i, e] : llvm::enumerate(wMap.getResults())) {
      unsigned d = cast<AffineDimExpr>(e).getPosition();
      if (d == k)
        atK = i;
      else if (static_cast<int>(d) == column)
        atN = i;
      else
        permutation.push_back(i);
    }
    if (atK < 0)
      return rewriter.notifyMatchFailure(op, "the weight does not depend on the summed dimension");
    if (atN >= 0)
      permutation.push_back(atN);
    permutation.push_back(atK);
    bank = reshapeBank(rewriter, loc, transposeBank(rewriter, loc, bank, permutation), {1, columns, depth});

    // Rows as [M, K].
    Value x = op.getDpsInputOperand(1 - side)->get();
    SmallVector<OpFoldResult> outSizes;
    for (unsigned i = 0; i < rowLoops.size(); ++i)
      outSizes.push_back(tensor::getMixedSize(rewriter, loc, x, i));
    outSizes.push_back(rewriter.getIndexAttr(columns));
    SmallVector<ReassociationIndices> groups(2);
    for (unsigned i = 0; i < rowLoops.size(); ++i)
      groups[0].push_back(i);
    groups[1].push_back(rowLoops.size());
    if (rowLoops.empty())
      x = tensor::ExpandShapeOp::create(rewriter, loc, RankedTensorType::get({1, depth}, xType.getElementType()), x,
                                        ArrayRef<ReassociationIndices>{{0, 1}});
    else if (rowLoops.size() > 1)
      x = tensor::CollapseShapeOp::create(rewriter, loc, x, groups);
    auto type =
        RankedTensorType::get({cast<RankedTensorType>(x.getType()).getDimSize(0), columns}, outType.getElementType());
    Value w = weights.materialize(rewriter, loc, bank);
    auto matmul = GroupedMatmulOp::create(rewriter, loc, TypeRange{type}, x, w, Value(), Value(), ValueRange{}, Value(),
                                          ValueRange{}, ValueRange{}, 1, 0, 0, ArrayRef<int64_t>{});
    {
      OpBuilder::InsertionGuard guard(rewriter);
      Block *block = rewriter.createBlock(&matmul.getEpilogue());
      Value acc = block->addArgument(rewriter.getF32Type(), loc);
      if (!type.getElementType().isF32())
        acc = arith::TruncFOp::create(rewriter, loc, type.getElementType(), acc);
      YieldOp::create(rewriter, loc, acc);
    }
    Value result = matmul.getResults()[0];
    if (rowLoops.empty())
      result = tensor::CollapseShapeOp::create(rewriter, loc, result, ArrayRef<ReassociationIndices>{{0, 1}});
    else if (rowLoops.size() > 1)
      result = tensor::ExpandShapeOp::create(rewriter, loc, outTypeOf(outType, outSizes), result, groups, outSizes);
    if (result.getType() != outType)
      result = tensor::CastOp::create(rewriter, loc, outType, result);
    result = addInit(rewriter, loc, op.getDpsInitOperand(0)->get(), result);
    rewriter.replaceOp(op, result);
    ++count;
    return success();
  }

private:
  static RankedTensorType outTypeOf(RankedTensorType type, ArrayRef<OpFoldResult> sizes) {
    SmallVector<int64_t> shape;
    for (OpFoldResult size : sizes)
      shape.push_back(getConstantIntValue(size).value_or(ShapedType::kDynamic));
    return RankedTensorType::get(shape, type.getElementType());
  }
  /// init + result, unless init is filled with zeros.
  static Value addInit(PatternRewriter &rewriter, Location loc, Value init, Value result) {
    auto fill = init.getDefiningOp<linalg::FillOp>();
    if ((fill && matchPattern(fill.getInputs()[0], m_AnyZeroFloat())) || matchPattern(init, m_AnyZeroFloat()))
      return result;
    int64_t rank = cast<RankedTensorType>(result.getType()).getRank();
    AffineMap identity = rewriter.getMultiDimIdentityMap(rank);
    return linalg::GenericOp::create(
               rewriter, loc, result.getType(), result, init, ArrayRef<AffineMap>{identity, identity},
               SmallVector<utils::IteratorType>(rank, utils::IteratorType::parallel),
               [&](OpBuilder &b, Location, ValueRange args) {
                 linalg::YieldOp::create(b, loc, Value(arith::AddFOp::create(b, loc, args[0], args[1])));
               })
        .getResult(0);
  }

  WeightTable &weights;
  Pass::Statistic &count;
};

struct PackProducts : moe::impl::PackProductsBase<PackProducts> {
  using Base::Base;

  /// [G, N, K] -> [G, ceil(N/panel), K, panel] and the source's format, if all weights of the product are constant.
  void pack(GroupedMatmulOp op, WeightTable &weights) {
    OpBuilder b(op);
    SmallVector<Bank> banks;
    bool narrowAll = narrow;
    for (Value w : op.getWeights()) {
      Bank bank = traceWeight(b, weights, w);
      if (!bank.recipe)
        return;
      banks.push_back(bank);
      Bank small = narrowBank(bank);
      narrowAll &= small.recipe && small.type().getElementType().isBF16();
    }
    if (panel == 0 && !narrowAll)
      return;
    SmallVector<Value> packed;
    for (Bank bank : banks) {
      if (narrowAll)
        bank = narrowBank(bank);
      packed.push_back(weights.materialize(b, op.getLoc(), panel ? packBank(bank, panel) : bank));
    }
    op.getWeightsMutable().assign(packed);
    if (panel == 0)
      return;
    op.setColumns(banks[0].type().getDimSize(1));
    op.setPacked(panel);
    ++numPacked;
  }

  void runOnOperation() override {
    if (panel < 0) {
      getOperation().emitError() << "expects panel >= 0, but it is " << panel;
      return signalPassFailure();
    }
    WeightTable weights(getOperation());
    RewritePatternSet patterns(&getContext());
    patterns.add<DenseProduct>(&getContext(), weights, numDense);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    SmallVector<GroupedMatmulOp> products;
    getOperation().walk([&](GroupedMatmulOp op) {
      if (op.getPacked() == 0 && op.getOuts().empty())
        products.push_back(op);
    });
    for (GroupedMatmulOp op : products)
      pack(op, weights);
  }
};

} // namespace
