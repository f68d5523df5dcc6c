//===- MoeOps.cpp - verifiers, shapes and effects of the moe ops ----------===//
//
// The constraint numbers of MoeOps.td return as comments above the check that enforces them.
//
//===----------------------------------------------------------------------===//
#include "OpSupport.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace mlir::moe;

#include "dialects/moe/MoeInterfaces.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/moe/MoeOps.cpp.inc"

//===----------------------------------------------------------------------===//
// Methods shared by every compute op
//===----------------------------------------------------------------------===//

MOE_COMPUTE_OP(RouteOp)
MOE_COMPUTE_OP(ExpertsOp)
MOE_COMPUTE_OP(DispatchOp)
MOE_COMPUTE_OP(GroupedMatmulOp)
MOE_COMPUTE_OP(QuantizeBlocksOp)
MOE_COMPUTE_OP(DequantizeBlocksOp)
MOE_COMPUTE_OP(CombineOp)
MOE_COMPUTE_OP(AttentionOp)
MOE_COMPUTE_OP(RmsNormOp)
MOE_COMPUTE_OP(RopeOp)
MOE_COMPUTE_OP(SwigluOp)
MOE_COMPUTE_OP(TopKOp)
MOE_COMPUTE_OP(SortOp)
MOE_COMPUTE_OP(ScanOp)
MOE_COMPUTE_OP(ScatterOp)
MOE_COMPUTE_OP(NonZeroOp)

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

LogicalResult WeightOp::verify() {
  RankedTensorType type = getRecipeType(getRecipe());
  // weight_c1
  if (!type || isa<DenseElementsAttr>(getRecipe()))
    return emitOpError() << "expects a #moe.piece or a #moe.recipe, but found " << getRecipe();
  // weight_c2, weight_c3
  if (type != getType())
    return emitOpError() << "expects its recipe to make " << getType() << ", but it makes " << type;
  return success();
}

LogicalResult GetWeightOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto weight = symbols.lookupNearestSymbolFrom<WeightOp>(*this, getNameAttr());
  // get_weight_c1
  if (!weight)
    return emitOpError() << "expects '@" << getName() << "' to be a moe.weight";
  // get_weight_c2
  auto type = cast<ShapedType>(weight.getType());
  if (type.getShape() != shaped(getResult()).getShape() ||
      type.getElementType() != shaped(getResult()).getElementType())
    return emitOpError() << "expects the type of '@" << getName() << "', " << type << ", but found "
                         << getResult().getType();
  return success();
}

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

LogicalResult RouteOp::verify() {
  // route_c1
  if (failed(expectRank(*this, getLogits(), 2, "logits")))
    return failure();
  ShapedType type = shaped(getLogits());
  int64_t experts = type.getDimSize(1), k = getK(), groups = getNumGroups(), kept = getTopGroups();
  if (ShapedType::isDynamic(experts) || !isFloat(type))
    return emitOpError() << "expects logits to be floats with a static number of experts, but they are " << type;
  // route_c2
  if (k < 1 || k > experts)
    return emitOpError() << "expects 1 <= k <= " << experts << " experts, but k is " << k;
  // route_c3
  if (Value bias = getSelectionBias())
    if (failed(expectShape(*this, bias, {experts}, "selection_bias")) ||
        failed(expectFloats(*this, bias, "selection_bias")))
      return failure();
  // route_c4
  if (groups < 1 || experts % groups || kept < 1 || kept > groups || kept * (experts / groups) < k)
    return emitOpError() << "expects num_groups to divide " << experts
                         << " experts and the kept groups to hold k experts, but num_groups is " << groups
                         << ", top_groups " << kept << " and k " << k;
  // route_c5
  if (groups > 1 && getGroupScore() == GroupScore::Top2Sum && experts / groups < 2)
    return emitOpError() << "expects top2_sum to have two experts in a group, but there is " << experts / groups;
  // route_c7
  if (getScore() == ScoreFn::SparseMixer && (k != 2 || groups != 1 || getSelectionBias() ||
                                             getWeightFn() != WeightFn::Identity || getNormalize() != Normalize::None))
    return emitOpError() << "expects sparsemixer to have k = 2, no groups, no bias, identity weights and no "
                            "normalization, but k is "
                         << k << " and num_groups " << groups;
  // route_c8
  if (!(getNormP().convertToFloat() >= 1.0f))
    return emitOpError() << "expects norm_p >= 1, but it is " << getNormP().convertToFloat();
  // route_c6
  SmallVector<int64_t> shape = {type.getDimSize(0), k};
  return verifyResults(*this, {floats(shape), {shape, Expected::I64, {}}});
}

LogicalResult RouteOp::inferResultSizes(OpBuilder &b, Sizes &sizes) {
  SmallVector<OpFoldResult> size = {dimOf(b, getLoc(), getLogits(), 0), b.getIndexAttr(getK())};
  sizes.assign({size, size});
  return success();
}

//===----------------------------------------------------------------------===//
// Experts and their parts
//===----------------------------------------------------------------------===//

LogicalResult ExpertsOp::verify() {
  // experts_c1
  for (auto [v, name] :
       {std::pair<Value, StringRef>(getX(), "x"), {getWeights(), "weights"}, {getIndices(), "indices"}})
    if (failed(expectRank(*this, v, 2, name)))
      return failure();
  if (!dimsAgree(shaped(getX()).getDimSize(0), shaped(getWeights()).getDimSize(0)) ||
      !shapesAgree(shaped(getWeights()).getShape(), shaped(getIndices()).getShape()) || !isFloat(shaped(getX())) ||
      !isFloat(shaped(getWeights())) || !isa<IntegerType>(shaped(getIndices()).getElementType()))
    return emitOpError() << "expects float x [T, H], float weights [T, k] and integer indices [T, k], but they are "
                         << getX().getType() << ", " << getWeights().getType() << " and " << getIndices().getType();
  // experts_c2
  int64_t experts = -1;
  for (Value param : getParams()) {
    ShapedType type = shaped(param);
    if (type.getRank() < 1 || type.isDynamicDim(0) || (experts >= 0 && type.getDimSize(0) != experts))
      return emitOpError() << "expects every param to have the same static number of experts first, but one is "
                           << type;
    experts = type.getDimSize(0);
  }
  if (experts < 1)
    return emitOpError() << "expects at least one param with at least one expert";
  // experts_c4
  YieldOp yield = yieldOf(getBody());
  if (!yield || yield.getNumOperands() != 1)
    return emitOpError() << "expects its region to yield one value, but it yields "
                         << (yield ? yield.getNumOperands() : 0);
  auto result = dyn_cast<RankedTensorType>(yield.getOperand(0).getType());
  if (!result || result.getRank() != 2 || result.getElementType() != shaped(getX()).getElementType())
    return emitOpError() << "expects its region to yield a rank-2 tensor of x's element type, but it yields "
                         << yield.getOperand(0).getType();
  return verifyResults(
      *this, {{{shaped(getX()).getDimSize(0), result.getDimSize(1)}, Expected::Same, shaped(getX()).getElementType()}});
}

LogicalResult ExpertsOp::verifyRegions() {
  Block &body = getBody().front();
  // experts_c3
  if (body.getNumArguments() != 1 + getParams().size())
    return emitOpError() << "expects its region to have " << 1 + getParams().size() << " arguments, but it has "
                         << body.getNumArguments();
  auto rows = dyn_cast<RankedTensorType>(body.getArgument(0).getType());
  if (!rows || rows.getRank() != 2 || !rows.isDynamicDim(0) ||
      !dimsAgree(rows.getDimSize(1), shaped(getX()).getDimSize(1)) ||
      rows.getElementType() != shaped(getX()).getElementType())
    return emitOpError() << "expects the region's first argument to be rows of x, tensor<?xH>, but it is "
                         << body.getArgument(0).getType();
  for (auto [arg, param] : llvm::zip(body.getArguments().drop_front(), getParams())) {
    auto type = dyn_cast<RankedTensorType>(arg.getType());
    if (!type || type.getShape() != shaped(param).getShape().drop_front() ||
        type.getElementType() != shaped(param).getElementType())
      return emitOpError() << "expects the region's argument for " << param.getType()
                           << " to be one expert's slice of it, but it is " << arg.getType();
  }
  // experts_c5: ops that are alike inside and outside may have become one, as long as they are the same for all tokens.
  DenseSet<Operation *> known;
  auto isSameForAll = [&](Value value) {
    SmallVector<Value> work = {value};
    while (!work.empty()) {
      Operation *made = work.pop_back_val().getDefiningOp();
      if (!made || !isPure(made))
        return false;
      if (!known.insert(made).second)
        continue;
      llvm::append_range(work, made->getOperands());
      SetVector<Value> captured;
      getUsedValuesDefinedAbove(made->getRegions(), captured);
      llvm::append_range(work, captured);
    }
    return true;
  };
  WalkResult outside = getBody().walk([&](Operation *op) {
    for (Value v : op->getOperands())
      if (!getBody().isAncestor(v.getParentRegion()) && !isSameForAll(v)) {
        op->emitOpError() << "uses a value from outside the region of 'moe.experts'; only what is made of constants "
                             "and weights may be";
        return WalkResult::interrupt();
      }
    return WalkResult::advance();
  });
  return failure(outside.wasInterrupted());
}

LogicalResult ExpertsOp::inferResultSizes(OpBuilder &b, Sizes &sizes) {
  auto yield = cast<YieldOp>(getBody().front().getTerminator());
  int64_t width = cast<ShapedType>(yield.getOperand(0).getType()).getDimSize(1);
  if (ShapedType::isDynamic(width))
    return failure();
  sizes.push_back({dimOf(b, getLoc(), getX(), 0), b.getIndexAttr(width)});
  return success();
}

LogicalResult DispatchOp::verify() {
  // dispatch_c1
  if (failed(expectRank(*this, getIndices(), 2, "indices")))
    return failure();
  if (!isa<IntegerType>(shaped(getIndices()).getElementType()))
    return emitOpError() << "expects indices to hold integers, but they are " << getIndices().getType();
  // dispatch_c2
  if (static_cast<int64_t>(getNumExperts()) < 1)
    return emitOpError() << "expects num_experts >= 1, but it is " << getNumExperts();
  // dispatch_c3
  ArrayRef<int64_t> shape = shaped(getIndices()).getShape();
  int64_t rows =
      ShapedType::isDynamic(shape[0]) || ShapedType::isDynamic(shape[1]) ? ShapedType::kDynamic : shape[0] * shape[1];
  return verifyResults(*this, {{{static_cast<int64_t>(getNumExperts()) + 1}, Expected::I32, {}},
                               {{rows}, Expected::I32, {}},
                               {{rows}, Expected::I32, {}}});
}

LogicalResult DispatchOp::inferResultSizes(OpBuilder &b, Sizes &sizes) {
  OpFoldResult rows = product(b, getLoc(), dimsOf(b, getLoc(), getIndices()));
  sizes.assign({{b.getIndexAttr(getNumExperts() + 1)}, {rows}, {rows}});
  return success();
}

static int64_t columnsOf(GroupedMatmulOp op) {
  return op.getPacked() ? op.getColumns() : shaped(op.getWeights().front()).getDimSize(1);
}

static bool isCodes(Type element) { return isa<Float8E4M3FNType, Float8E5M2Type>(element); }
static bool isScale(Type element) { return element.isF32() || isa<Float8E8M0FNUType>(element); }
static std::string blockText(ArrayRef<int64_t> block) { return shapeText(block); }

/// The scales of a product before and after the split.
static LogicalResult verifyScales(GroupedMatmulOp op) {
  auto x = dyn_cast<ScaledType>(op.getX().getType()), w = dyn_cast<ScaledType>(op.getWeights().front().getType());
  ShapedType xType = shaped(op.getX()), wType = shaped(op.getWeights().front());
  bool split =
      op.getXScales() || !op.getWeightScales().empty() || !op.getXBlock().empty() || !op.getWeightBlock().empty();
  SmallVector<int64_t> xBlock(op.getXBlock()), wBlock(op.getWeightBlock());
  Type xScale, wScale;
  if (x || w) {
    // grouped_matmul_c9
    if ((x && x.getLayout() != ScaledLayout::Row) || (w && w.getLayout() != ScaledLayout::Row))
      return op.emitOpError() << "expects scaled operands in the layout 'row', but they are " << xType << " and "
                              << wType;
    if (split)
      return op.emitOpError() << "expects scales in the type or as operands, but has both";
    if (x)
      xBlock.assign(x.getBlock().begin(), x.getBlock().end()), xScale = x.getScale();
    if (w)
      wBlock.assign(w.getBlock().begin(), w.getBlock().end()), wScale = w.getScale();
  } else {
    bool codes = isCodes(xType.getElementType()) || isCodes(wType.getElementType());
    if (!split && !codes)
      return success();
    // grouped_matmul_c12
    if (isCodes(xType.getElementType()) != !!op.getXScales() ||
        isCodes(wType.getElementType()) != !op.getWeightScales().empty() ||
        op.getWeightScales().size() > op.getWeights().size() ||
        (!op.getWeightScales().empty() && op.getWeightScales().size() != op.getWeights().size()))
      return op.emitOpError() << "expects scales for operands of 8-bit floats and for no others, but x is " << xType
                              << " with " << (op.getXScales() ? 1 : 0) << " scales, and there are "
                              << op.getWeights().size() << " weights " << wType << " with "
                              << op.getWeightScales().size();
    if ((op.getXScales() ? xBlock.size() != 2 : !xBlock.empty()) ||
        (op.getWeightScales().empty() ? !wBlock.empty() : wBlock.size() != 3) ||
        llvm::any_of(llvm::concat<int64_t>(xBlock, wBlock), [](int64_t b) { return b < 0; }))
      return op.emitOpError()
             << "expects x_block [bm, bk] and weight_block [bg, bn, bk] of entries >= 0 where there are scales, "
                "but they are "
             << blockText(xBlock) << " and " << blockText(wBlock);
    if (op.getXScales()) {
      xScale = shaped(op.getXScales()).getElementType();
      if (failed(expectShape(op, op.getXScales(), getScaleShape(xType.getShape(), xBlock), "the scales of x")))
        return failure();
    }
    for (Value scales : op.getWeightScales()) {
      wScale = shaped(scales).getElementType();
      SmallVector<int64_t> shape = {wType.getDimSize(0), columnsOf(op), wType.getDimSize(2)};
      if (failed(expectShape(op, scales, getScaleShape(shape, wBlock), "the scales of a weight")))
        return failure();
    }
    for (Type scale : {xScale, wScale})
      if (scale && !isScale(scale))
        return op.emitOpError() << "expects scales of f32 or f8E8M0FNU, but they are " << scale;
    if (!op.getWeightScales().empty() && !llvm::all_equal(op.getWeightScales().getTypes()))
      return op.emitOpError() << "expects scales of one type for all weights";
  }
  // grouped_matmul_c10
  if (!xBlock.empty() && (wBlock.empty() || xBlock[1] != wBlock[2] || xScale != wScale ||
                          xType.getElementType() != wType.getElementType()))
    return op.emitOpError()
           << "expects x and weights to agree in the block along K, in the type of codes and in the type of "
              "scales, but x is "
           << xType << " with block " << blockText(xBlock) << " and weights are " << wType << " with block "
           << blockText(wBlock);
  // grouped_matmul_c11
  int64_t promotion = op.getPromotion(), along = wBlock.empty() ? 0 : wBlock[2];
  if (promotion < 1 || (along && along % promotion))
    return op.emitOpError() << "expects a promotion interval that divides the block along K, but promotion is "
                            << promotion << " and the block " << along;
  // grouped_matmul_c13
  auto together = [&](Value codes, Value scales) {
    auto a = codes.getDefiningOp<QuantizeBlocksOp>(), b = scales ? scales.getDefiningOp<QuantizeBlocksOp>() : nullptr;
    return a == b;
  };
  bool fits = !op.getXScales() || together(op.getX(), op.getXScales());
  for (auto [codes, scales] : llvm::zip(op.getWeights(), op.getWeightScales()))
    fits &= together(codes, scales);
  if (!fits)
    return op.emitOpError() << "expects codes and scales that come from one 'moe.quantize_blocks'";
  return success();
}

LogicalResult GroupedMatmulOp::verify() {
  // grouped_matmul_c1
  if (failed(expectRank(*this, getX(), 2, "x")) || failed(expectFloats(*this, getX(), "x")))
    return failure();
  // grouped_matmul_c2
  if (getWeights().empty() || !llvm::all_equal(getWeights().getTypes()))
    return emitOpError() << "expects weights of one type, but there are " << getWeights().size();
  ShapedType w = shaped(getWeights().front());
  if (failed(expectFloats(*this, getWeights().front(), "weights")))
    return failure();
  // grouped_matmul_c8
  if (getPacked() ? w.getRank() != 4 || w.getDimSize(3) != static_cast<int64_t>(getPacked()) ||
                        static_cast<int64_t>(getColumns()) < 1
                  : w.getRank() != 3)
    return emitOpError() << "expects weights [G, N, K], or [G, N/panel, K, panel] with packed = panel and columns = N, "
                            "but they are "
                         << w << " with packed = " << getPacked() << " and columns = " << getColumns();
  if (getPacked() && !w.isDynamicDim(1) &&
      w.getDimSize(1) != static_cast<int64_t>(llvm::divideCeil(getColumns(), getPacked())))
    return emitOpError() << "expects packed weights for " << getColumns() << " columns, but they are " << w;
  // grouped_matmul_c3
  if (!dimsAgree(shaped(getX()).getDimSize(1), w.getDimSize(2)))
    return emitOpError() << "expects x and weights to agree in K, but they are " << getX().getType() << " and " << w;
  // grouped_matmul_c4
  if (getOffsets() ? failed(expectRank(*this, getOffsets(), 1, "offsets")) : w.getDimSize(0) != 1)
    return getOffsets() ? failure()
                        : emitOpError() << "expects offsets unless there is one group, but weights are " << w;
  if (getOffsets() && !ShapedType::isDynamic(w.getDimSize(0)) &&
      failed(expectShape(*this, getOffsets(), {w.getDimSize(0) + 1}, "offsets")))
    return failure();
  if (getOffsets() && failed(expectI32(*this, getOffsets(), "offsets")))
    return failure();
  if (getRows() && (failed(expectRank(*this, getRows(), 1, "rows")) || failed(expectI32(*this, getRows(), "rows"))))
    return failure();
  if (static_cast<int64_t>(getRowsDivisor()) < 1)
    return emitOpError() << "expects rows_divisor >= 1, but it is " << getRowsDivisor();
  int64_t rows = getRows() ? shaped(getRows()).getDimSize(0) : shaped(getX()).getDimSize(0), columns = columnsOf(*this);
  // grouped_matmul_c6
  if (getExtraKinds().size() != getExtras().size())
    return emitOpError() << "expects a kind for each of " << getExtras().size() << " extras, but has "
                         << getExtraKinds().size();
  for (auto [extra, kind] : llvm::zip(getExtras(), getExtraKinds())) {
    SmallVector<int64_t> shape;
    switch (kind) {
    case 0:
      shape = {rows, columns};
      break;
    case 1:
      shape = {w.getDimSize(0), columns};
      break;
    case 2:
      shape = {columns};
      break;
    case 3:
      shape = {rows};
      break;
    case 4:
      shape = {ShapedType::kDynamic, columns};
      break;
    default:
      return emitOpError() << "expects kinds 0 to 4, but one is " << kind;
    }
    if (failed(expectShape(*this, extra, shape, "an extra")))
      return failure();
  }
  if (failed(verifyScales(*this)))
    return failure();
  // grouped_matmul_c7
  return verifyResults(*this, {floats({rows, columns})});
}

LogicalResult GroupedMatmulOp::verifySymbolUses(SymbolTableCollection &symbols) {
  // grouped_matmul_c13
  for (auto [codes, scales] : llvm::zip(getWeights(), getWeightScales())) {
    auto codesOf = codes.getDefiningOp<GetWeightOp>(), scalesOf = scales.getDefiningOp<GetWeightOp>();
    auto codesWeight = codesOf ? symbols.lookupNearestSymbolFrom<WeightOp>(*this, codesOf.getNameAttr()) : WeightOp();
    auto scalesWeight =
        scalesOf ? symbols.lookupNearestSymbolFrom<WeightOp>(*this, scalesOf.getNameAttr()) : WeightOp();
    if (!codesWeight || !scalesWeight)
      continue;
    Attribute wanted = getScalesRecipe(codesWeight.getRecipe());
    if (wanted && wanted != scalesWeight.getRecipe())
      return emitOpError() << "expects the scales that '@" << codesOf.getName() << "' was quantized with, but found '@"
                           << scalesOf.getName() << "'";
  }
  return success();
}

LogicalResult GroupedMatmulOp::verifyRegions() {
  Block &body = getEpilogue().front();
  // grouped_matmul_c5
  if (body.getNumArguments() != getWeights().size() + getExtras().size())
    return emitOpError() << "expects its region to have " << getWeights().size() + getExtras().size()
                         << " arguments, but it has " << body.getNumArguments();
  for (auto [i, arg] : llvm::enumerate(body.getArguments())) {
    bool ok = i < getWeights().size() ? arg.getType().isF32()
                                      : arg.getType() == shaped(getExtras()[i - getWeights().size()]).getElementType();
    if (!ok)
      return emitOpError() << "expects f32 per weight and an element per extra, but argument " << i << " is "
                           << arg.getType();
  }
  YieldOp yield = yieldOf(getEpilogue());
  Type element = shaped(getOuts().empty() ? Value(getResults().front()) : getOuts().front()).getElementType();
  if (!yield || yield.getNumOperands() != 1 || yield.getOperand(0).getType() != element)
    return emitOpError() << "expects its region to yield one " << element;
  return success();
}

LogicalResult GroupedMatmulOp::inferResultSizes(OpBuilder &b, Sizes &sizes) {
  OpFoldResult rows = getRows() ? dimOf(b, getLoc(), getRows(), 0) : dimOf(b, getLoc(), getX(), 0);
  if (!rows)
    return failure();
  sizes.push_back({rows, b.getIndexAttr(columnsOf(*this))});
  return success();
}

LogicalResult QuantizeBlocksOp::verify() {
  ShapedType input = shaped(getInput());
  // quantize_blocks_c1
  if (!input.getElementType().isF32() && !input.getElementType().isBF16() && !input.getElementType().isF16())
    return emitOpError() << "expects its input to hold f16, bf16 or f32, but it is " << input;
  // quantize_blocks_c2
  if (static_cast<int64_t>(getBlock().size()) != input.getRank() ||
      llvm::any_of(getBlock(), [](int64_t b) { return b < 0; }))
    return emitOpError() << "expects a block with an entry >= 0 for each dim of " << input << ", but it is "
                         << blockText(getBlock());
  // quantize_blocks_c3
  SmallVector<int64_t> shape(input.getShape());
  if (failed(verifyResults(*this, {floats(shape), floats(getScaleShape(shape, getBlock()))})))
    return failure();
  ValueRange produced = getOuts().empty() ? ValueRange(getResults()) : ValueRange(getOuts());
  if (!isCodes(shaped(produced[0]).getElementType()) || !isScale(shaped(produced[1]).getElementType()))
    return emitOpError() << "expects codes of f8E4M3FN or f8E5M2 and scales of f32 or f8E8M0FNU, but they are "
                         << produced[0].getType() << " and " << produced[1].getType();
  return success();
}

LogicalResult QuantizeBlocksOp::inferResultSizes(OpBuilder &b, Sizes &sizes) {
  SmallVector<OpFoldResult> codes = dimsOf(b, getLoc(), getInput()), scales;
  for (auto [size, block] : llvm::zip(codes, getBlock())) {
    if (block == 0)
      scales.push_back(b.getIndexAttr(1));
    else if (auto constant = getConstantIntValue(size))
      scales.push_back(b.getIndexAttr(llvm::divideCeil(*constant, block)));
    else if (block == 1)
      scales.push_back(size);
    else
      scales.push_back(b.createOrFold<arith::CeilDivSIOp>(getLoc(), cast<Value>(size),
                                                          arith::ConstantIndexOp::create(b, getLoc(), block)));
  }
  sizes.assign({codes, scales});
  return success();
}

LogicalResult DequantizeBlocksOp::verify() {
  ShapedType codes = shaped(getCodes()), scales = shaped(getScales());
  // dequantize_blocks_c1
  if (!isCodes(codes.getElementType()))
    return emitOpError() << "expects codes of f8E4M3FN or f8E5M2, but they are " << codes;
  // dequantize_blocks_c2
  if (static_cast<int64_t>(getBlock().size()) != codes.getRank() ||
      llvm::any_of(getBlock(), [](int64_t b) { return b < 0; }))
    return emitOpError() << "expects a block with an entry >= 0 for each dim of " << codes << ", but it is "
                         << blockText(getBlock());
  if (!isScale(scales.getElementType()))
    return emitOpError() << "expects scales of f32 or f8E8M0FNU, but they are " << scales;
  if (failed(expectShape(*this, getScales(), getScaleShape(codes.getShape(), getBlock()), "scales")))
    return failure();
  // dequantize_blocks_c3
  if (failed(verifyResults(*this, {floats(SmallVector<int64_t>(codes.getShape()))})))
    return failure();
  Type element = shaped(getOuts().empty() ? Value(getResults().front()) : getOuts().front()).getElementType();
  if (!element.isF32() && !element.isBF16() && !element.isF16())
    return emitOpError() << "expects a result of f16, bf16 or f32, but it is " << element;
  return success();
}

LogicalResult DequantizeBlocksOp::inferResultSizes(OpBuilder &b, Sizes &sizes) {
  sizes.push_back(dimsOf(b, getLoc(), getCodes()));
  return success();
}

LogicalResult CombineOp::verify() {
  // combine_c1
  if (failed(expectRank(*this, getY(), 2, "y")) || failed(expectFloats(*this, getY(), "y")) ||
      failed(expectRank(*this, getPosition(), 1, "position")) || failed(expectI32(*this, getPosition(), "position")))
    return failure();
  int64_t k = getK(), rows = shaped(getPosition()).getDimSize(0);
  if (k < 1 || (!ShapedType::isDynamic(rows) && rows % k))
    return emitOpError() << "expects position to hold k entries a token, but k is " << k << " and position "
                         << getPosition().getType();
  int64_t tokens = ShapedType::isDynamic(rows) ? ShapedType::kDynamic : rows / k;
  if (getWeights() && (failed(expectShape(*this, getWeights(), {tokens, k}, "weights")) ||
                       failed(expectFloats(*this, getWeights(), "weights"))))
    return failure();
  SmallVector<int64_t> shape = {tokens, shaped(getY()).getDimSize(1)};
  // combine_c2
  if (getResidual() && failed(expectShape(*this, getResidual(), shape, "residual")))
    return failure();
  // combine_c3
  return verifyResults(*this, {floats(shape)});
}

LogicalResult CombineOp::inferResultSizes(OpBuilder &b, Sizes &sizes) {
  OpFoldResult tokens;
  if (getWeights())
    tokens = dimOf(b, getLoc(), getWeights(), 0);
  else if (getResidual())
    tokens = dimOf(b, getLoc(), getResidual(), 0);
  else {
    OpFoldResult rows = dimOf(b, getLoc(), getPosition(), 0);
    if (auto c = getConstantIntValue(rows))
      tokens = b.getIndexAttr(*c / static_cast<int64_t>(getK()));
    else
      tokens = b.createOrFold<arith::DivUIOp>(getLoc(), cast<Value>(rows),
                                              arith::ConstantIndexOp::create(b, getLoc(), getK()));
  }
  sizes.push_back({tokens, dimOf(b, getLoc(), getY(), 1)});
  return success();
}

//===----------------------------------------------------------------------===//
// Attention, norms, positions, activations
//===----------------------------------------------------------------------===//

LogicalResult AttentionOp::verify() {
  // attention_c1
  for (auto [v, name] : {std::pair<Value, StringRef>(getQuery(), "query"), {getKey(), "key"}, {getValue(), "value"}})
    if (failed(expectRank(*this, v, 4, name)) || failed(expectFloats(*this, v, name)))
      return failure();
  ArrayRef<int64_t> q = shaped(getQuery()).getShape(), k = shaped(getKey()).getShape(),
                    v = shaped(getValue()).getShape();
  if (!dimsAgree(q[0], k[0]) || !dimsAgree(k[0], v[0]) || !dimsAgree(k[1], v[1]) || !dimsAgree(k[2], v[2]) ||
      !dimsAgree(q[3], k[3]))
    return emitOpError() << "expects query [B, Hq, S, D], key [B, Hkv, L, D] and value [B, Hkv, L, Dv], but they are "
                         << getQuery().getType() << ", " << getKey().getType() << " and " << getValue().getType();
  // attention_c2
  if (ShapedType::isDynamic(q[1]) || ShapedType::isDynamic(k[1]) || k[1] < 1 || q[1] % k[1])
    return emitOpError() << "expects the key heads to divide the query heads, but they are " << k[1] << " and " << q[1];
  // attention_c3
  if (Value mask = getMask()) {
    if (failed(expectRank(*this, mask, 4, "mask")))
      return failure();
    SmallVector<int64_t> full = {q[0], q[1], q[2], k[2]};
    for (auto [have, want] : llvm::zip(shaped(mask).getShape(), full))
      if (have != 1 && !dimsAgree(have, want))
        return emitOpError() << "expects mask to broadcast to " << shapeText(full) << ", but it is " << mask.getType();
    if (!isFloat(shaped(mask)))
      return emitOpError() << "expects mask to hold floats that are added, but it is " << mask.getType();
  }
  // attention_c4
  if (Value sinks = getSinks())
    if (failed(expectShape(*this, sinks, {q[1]}, "sinks")) || failed(expectFloats(*this, sinks, "sinks")))
      return failure();
  // attention_c6
  if (static_cast<int64_t>(getWindow()) < 0 || (getWindow() > 0 && !getCausal()) ||
      !(getSoftcap().convertToFloat() >= 0))
    return emitOpError() << "expects window >= 0 (with causal) and softcap >= 0, but they are " << getWindow()
                         << " and " << getSoftcap().convertToFloat();
  // attention_c5
  return verifyResults(*this, {floats({q[0], q[1], q[2], v[3]})});
}

LogicalResult AttentionOp::inferResultSizes(OpBuilder &b, Sizes &sizes) {
  sizes.push_back(dimsOf(b, getLoc(), getQuery()));
  sizes.back()[3] = dimOf(b, getLoc(), getValue(), 3);
  return success();
}

LogicalResult RmsNormOp::verify() {
  ShapedType type = shaped(getX());
  // rms_norm_c1
  if (type.getRank() < 1 || !isFloat(type))
    return emitOpError() << "expects x to hold floats in at least one dimension, but it is " << type;
  // rms_norm_c2
  if (Value weight = getWeight())
    if (failed(expectShape(*this, weight, {type.getShape().back()}, "weight")) ||
        failed(expectFloats(*this, weight, "weight")))
      return failure();
  // rms_norm_c4
  if (!(getEpsilon().convertToFloat() >= 0))
    return emitOpError() << "expects epsilon >= 0, but it is " << getEpsilon().convertToFloat();
  // rms_norm_c3
  return verifyResults(*this, {like(getX())});
}

LogicalResult RmsNormOp::inferResultSizes(OpBuilder &b, Sizes &sizes) {
  sizes.push_back(dimsOf(b, getLoc(), getX()));
  return success();
}

LogicalResult RopeOp::verify() {
  // rope_c1
  if (failed(expectRank(*this, getX(), 4, "x")) || failed(expectFloats(*this, getX(), "x")) ||
      failed(expectRank(*this, getCos(), 3, "cos")) || failed(expectFloats(*this, getCos(), "cos")) ||
      failed(expectRank(*this, getSin(), 3, "sin")))
    return failure();
  ArrayRef<int64_t> x = shaped(getX()).getShape(), c = shaped(getCos()).getShape();
  if (!shapesAgree(c, shaped(getSin()).getShape()) ||
      shaped(getCos()).getElementType() != shaped(getSin()).getElementType() || (c[0] != 1 && !dimsAgree(c[0], x[0])) ||
      !dimsAgree(c[1], x[2]))
    return emitOpError() << "expects cos and sin of one type [B or 1, S, R/2] for x [B, H, S, D], but they are "
                         << getCos().getType() << ", " << getSin().getType() << " and " << getX().getType();
  // rope_c2
  if (!ShapedType::isDynamic(c[2]) && !ShapedType::isDynamic(x[3]) && 2 * c[2] > x[3])
    return emitOpError() << "expects at most D = " << x[3] << " rotated elements, but there are " << 2 * c[2];
  // rope_c3
  return verifyResults(*this, {like(getX())});
}

LogicalResult RopeOp::inferResultSizes(OpBuilder &b, Sizes &sizes) {
  sizes.push_back(dimsOf(b, getLoc(), getX()));
  return success();
}

LogicalResult SwigluOp::verify() {
  // swiglu_c1
  if (failed(expectShape(*this, getUp(), shaped(getGate()).getShape(), "up")) ||
      failed(expectFloats(*this, getGate(), "gate")) || failed(expectFloats(*this, getUp(), "up")))
    return failure();
  // swiglu_c2
  if (!(getLimit().convertToFloat() > 0))
    return emitOpError() << "expects limit > 0, but it is " << getLimit().convertToFloat();
  return verifyResults(*this, {like(getGate())});
}

LogicalResult SwigluOp::inferResultSizes(OpBuilder &b, Sizes &sizes) {
  sizes.push_back(dimsOf(b, getLoc(), getGate()));
  return success();
}

//===----------------------------------------------------------------------===//
// Primitives
//===----------------------------------------------------------------------===//

LogicalResult TopKOp::verify() {
  ShapedType type = shaped(getX());
  // top_k_c1
  if (type.getRank() < 1)
    return emitOpError() << "expects x to have at least one dimension, but it is " << type;
  if (failed(expectNumbers(*this, getX(), "x")))
    return failure();
  // top_k_c2
  int64_t k = getK();
  if (k < 0 || (!ShapedType::isDynamic(type.getShape().back()) && k > type.getShape().back()))
    return emitOpError() << "expects 0 <= k <= N, but k is " << k << " and x " << type;
  // top_k_c3
  SmallVector<int64_t> shape(type.getShape());
  shape.back() = k;
  return verifyResults(*this, {{shape, Expected::Same, type.getElementType()}, {shape, Expected::I64, {}}});
}

LogicalResult TopKOp::inferResultSizes(OpBuilder &b, Sizes &sizes) {
  SmallVector<OpFoldResult> size = dimsOf(b, getLoc(), getX());
  size.back() = b.getIndexAttr(getK());
  sizes.assign({size, size});
  return success();
}

LogicalResult SortOp::verify() {
  ShapedType type = shaped(getX());
  // sort_c1
  if (type.getRank() < 1)
    return emitOpError() << "expects x to have at least one dimension, but it is " << type;
  if (failed(expectNumbers(*this, getX(), "x")))
    return failure();
  // sort_c2
  return verifyResults(*this, {like(getX()), {SmallVector<int64_t>(type.getShape()), Expected::I64, {}}});
}

LogicalResult SortOp::inferResultSizes(OpBuilder &b, Sizes &sizes) {
  SmallVector<OpFoldResult> size = dimsOf(b, getLoc(), getX());
  sizes.assign({size, size});
  return success();
}

LogicalResult ScanOp::verify() {
  int64_t axis = getAxis(), rank = shaped(getX()).getRank();
  // scan_c1
  if (axis < 0 || axis >= rank)
    return emitOpError() << "expects 0 <= axis < " << rank << ", but axis is " << axis;
  // scan_c2
  if (getCombiner() == Combiner::Assign)
    return emitOpError() << "expects a combiner that combines, but it is assign";
  if (failed(expectNumbers(*this, getX(), "x")))
    return failure();
  // scan_c3
  return verifyResults(*this, {like(getX())});
}

LogicalResult ScanOp::inferResultSizes(OpBuilder &b, Sizes &sizes) {
  sizes.push_back(dimsOf(b, getLoc(), getX()));
  return success();
}

LogicalResult ScatterOp::verify() {
  ShapedType data = shaped(getData()), indices = shaped(getIndices()), updates = shaped(getUpdates());
  if (failed(expectNumbers(*this, getData(), "data")))
    return failure();
  // scatter_c1
  if (indices.getRank() < 1 || indices.isDynamicDim(indices.getRank() - 1) ||
      indices.getShape().back() > data.getRank() || !indices.getElementType().isInteger(64))
    return emitOpError() << "expects i64 indices whose static last dim is at most the rank of data, but they are "
                         << indices << " for " << data;
  // scatter_c2
  SmallVector<int64_t> shape(indices.getShape().drop_back());
  llvm::append_range(shape, data.getShape().drop_front(indices.getShape().back()));
  if (failed(expectShape(*this, getUpdates(), shape, "updates")))
    return failure();
  if (updates.getElementType() != data.getElementType())
    return emitOpError() << "expects updates of data's element type, but they are " << updates;
  // scatter_c3
  return verifyResults(*this, {like(getData())});
}

LogicalResult ScatterOp::inferResultSizes(OpBuilder &b, Sizes &sizes) {
  sizes.push_back(dimsOf(b, getLoc(), getData()));
  return success();
}

LogicalResult NonZeroOp::verify() {
  ShapedType type = shaped(getX());
  int64_t size = type.hasStaticShape() ? type.getNumElements() : ShapedType::kDynamic;
  if (failed(expectNumbers(*this, getX(), "x")))
    return failure();
  // nonzero_c1
  return verifyResults(*this, {{{type.getRank(), size}, Expected::I64, {}}, {{}, Expected::I64, {}}});
}

LogicalResult NonZeroOp::inferResultSizes(OpBuilder &b, Sizes &sizes) {
  sizes.assign({{b.getIndexAttr(shaped(getX()).getRank()), product(b, getLoc(), dimsOf(b, getLoc(), getX()))}, {}});
  return success();
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

/// The type a kernel sees for a buffer that the host passes: the pointer already includes the offset.
static Type withoutOffset(Type type) {
  auto memref = dyn_cast<MemRefType>(type);
  return memref ? moe::getKernelArgumentType(memref) : type;
}

MemRefType moe::getKernelArgumentType(MemRefType type) {
  auto layout = dyn_cast<StridedLayoutAttr>(type.getLayout());
  if (!layout)
    return type;
  // Strides that say what the identity layout says are dropped, so that equal kernels look equal.
  int64_t expected = 1;
  bool identity = true;
  for (int64_t i = type.getRank() - 1; i >= 0 && identity; --i) {
    identity = expected >= 0 && layout.getStrides()[i] == expected;
    expected = type.isDynamicDim(i) ? -1 : expected * type.getDimSize(i);
    if (i == 0)
      break;
  }
  MemRefLayoutAttrInterface plain;
  if (!identity)
    plain = StridedLayoutAttr::get(type.getContext(), 0, layout.getStrides());
  return MemRefType::get(type.getShape(), type.getElementType(), plain, type.getMemorySpace());
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto kernel = symbols.lookupNearestSymbolFrom<FunctionOpInterface>(*this, getKernelAttr());
  // launch_c1
  if (!kernel || !kernel->hasAttr("moe.kernel"))
    return emitOpError() << "expects '@" << getKernel() << "' to be a function marked moe.kernel";
  // launch_c2
  ArrayRef<Type> types = kernel.getArgumentTypes();
  if (types.size() != getArgs().size())
    return emitOpError() << "expects " << types.size() << " arguments for '@" << getKernel() << "', but has "
                         << getArgs().size();
  for (auto [i, have, want] : llvm::enumerate(getArgs().getTypes(), types))
    if (withoutOffset(have) != withoutOffset(want))
      return emitOpError() << "expects argument " << i << " to be " << want << ", but it is " << have;
  return success();
}
