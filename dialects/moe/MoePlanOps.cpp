//===- MoePlanOps.cpp - the expert layer's plan on the GPU: verifiers, shapes ---===//
//
// The constraint numbers of MoePlanOps.td return as comments above the check that enforces them.
//
//===----------------------------------------------------------------------===//
#include "OpSupport.h"

using namespace mlir;
using namespace mlir::moe;

MOE_COMPUTE_OP(RouteRowsOp)
MOE_COMPUTE_OP(ListRowsOp)
MOE_COMPUTE_OP(QuantizeRowsOp)
MOE_COMPUTE_OP(CopyRowsOp)
MOE_COMPUTE_OP(ExpertProductsOp)
MOE_COMPUTE_OP(RowProductOp)

static int64_t up(int64_t n, int64_t by) { return (n + by - 1) / by; }
/// `from` * scale + add.
static OpFoldResult linear(OpBuilder &b, Location loc, OpFoldResult from, int64_t scale, int64_t add) {
  OpFoldResult scaled = product(b, loc, {from, b.getIndexAttr(scale)});
  if (auto constant = getConstantIntValue(scaled))
    return b.getIndexAttr(*constant + add);
  return b.createOrFold<arith::AddIOp>(loc, cast<Value>(scaled), arith::ConstantIndexOp::create(b, loc, add));
}
/// ceil(from / by).
static OpFoldResult blocksOf(OpBuilder &b, Location loc, OpFoldResult from, int64_t by) {
  if (auto constant = getConstantIntValue(from))
    return b.getIndexAttr(up(*constant, by));
  Value raised = cast<Value>(linear(b, loc, from, 1, by - 1));
  return b.createOrFold<arith::DivUIOp>(loc, raised, arith::ConstantIndexOp::create(b, loc, by));
}

/// R of `tokens` * k rows.
static int64_t numRows(int64_t tokens, int64_t k, int64_t padding) {
  return ShapedType::isDynamic(tokens) ? ShapedType::kDynamic : up(tokens * k, 8) * 8 + padding;
}
static OpFoldResult numRows(OpBuilder &b, Location loc, Value x, int64_t k, int64_t padding) {
  OpFoldResult rows = product(b, loc, {dimOf(b, loc, x, 0), b.getIndexAttr(k)});
  return linear(b, loc, blocksOf(b, loc, rows, 8), 8, padding);
}
/// Shapes of the codes and scales of x.
static void addRowSizes(OpBuilder &b, Location loc, Value x, int64_t k, int64_t padding, Sizes &sizes) {
  OpFoldResult rows = numRows(b, loc, x, k, padding);
  auto blocks = b.getIndexAttr(up(shaped(x).getDimSize(1), 128));
  sizes.push_back({blocks, rows, b.getIndexAttr(128)});
  sizes.push_back({blocks, rows});
}

LogicalResult RouteRowsOp::verify() {
  // route_rows_c1
  if (failed(expectRank(*this, getLogits(), 2, "logits")) || failed(expectFloats(*this, getLogits(), "logits")))
    return failure();
  int64_t experts = shaped(getLogits()).getDimSize(1), k = getK(), groups = getNumGroups();
  if (ShapedType::isDynamic(experts) || experts < 1 || experts > 768)
    return emitOpError() << "expects 1 to 768 experts, but logits are " << getLogits().getType();
  if (getSelectionBias() && failed(expectShape(*this, getSelectionBias(), {experts}, "selection_bias")))
    return failure();
  // route_rows_c2
  if (k < 1 || k > 32 || k > experts)
    return emitOpError() << "expects 1 <= k <= 32 of " << experts << " experts, but k is " << k;
  if (groups < 1 || groups > 32 || experts % groups || getTopGroups() < 1 ||
      static_cast<int64_t>(getTopGroups()) > groups || static_cast<int64_t>(getTopGroups()) * (experts / groups) < k)
    return emitOpError() << "expects 1 to 32 equal groups that keep at least k experts, but there are " << groups
                         << " of which " << getTopGroups() << " are kept";
  if (getScore() == ScoreFn::SparseMixer)
    return emitOpError() << "expects no sparsemixer";
  if (failed(expectShape(*this, getSync(), {2}, "sync")) || failed(expectI32(*this, getSync(), "sync")))
    return failure();
  // route_rows_c3
  int64_t d = ShapedType::kDynamic, tokens = shaped(getLogits()).getDimSize(0),
          rows = ShapedType::isDynamic(tokens) ? d : tokens * k;
  bool known = !ShapedType::isDynamic(rows);
  SmallVector<Expected> expected = {floats({tokens, k}),
                                    {{rows}, Expected::I32, {}},
                                    {{known ? 4 + 4 * (experts + rows) : d}, Expected::I32, {}},
                                    {{known ? 16 + experts + rows : d}, Expected::I32, {}},
                                    {{256 * experts}, Expected::I32, {}}};
  // route_rows_c4
  int64_t few = getFew(), padding = getPadding();
  if (!getX() && (few || padding))
    return emitOpError() << "expects few and padding to be 0 without x, but they are " << few << " and " << padding;
  if (!getX())
    return verifyResults(*this, expected);
  if (failed(expectRank(*this, getX(), 2, "x")) || failed(expectFloats(*this, getX(), "x")))
    return failure();
  int64_t hidden = shaped(getX()).getDimSize(1), columns = (hidden + 127) / 128;
  if (ShapedType::isDynamic(hidden) || hidden < 4 || hidden % 4)
    return emitOpError() << "expects rows of a static multiple of 4 elements, but x is " << getX().getType();
  if (few < 1 || few > 24 || few * k > 128)
    return emitOpError() << "expects few to be 1 to 24 tokens of at most 128 assignments, but it is " << few
                         << " and k is " << k;
  if (padding < 0 || padding % 8)
    return emitOpError() << "expects padding to be a multiple of 8, but it is " << padding;
  int64_t r = numRows(shaped(getX()).getDimSize(0), k, padding);
  expected.push_back({{columns, r, 128}, Expected::Same, Float8E4M3FNType::get(getContext())});
  expected.push_back(floats({columns, r}));
  return verifyResults(*this, expected);
}

LogicalResult RouteRowsOp::inferResultSizes(OpBuilder &b, Sizes &sizes) {
  OpFoldResult tokens = dimOf(b, getLoc(), getLogits(), 0);
  int64_t experts = shaped(getLogits()).getDimSize(1), k = getK();
  auto count = [&](int64_t scale, int64_t add) { return linear(b, getLoc(), tokens, scale, add); };
  sizes.push_back({tokens, b.getIndexAttr(k)});
  sizes.push_back({product(b, getLoc(), {tokens, b.getIndexAttr(k)})});
  sizes.push_back({count(4 * k, 4 + 4 * experts)});
  sizes.push_back({count(k, 16 + experts)});
  sizes.push_back({b.getIndexAttr(256 * experts)});
  if (getX())
    addRowSizes(b, getLoc(), getX(), k, getPadding(), sizes);
  return success();
}

LogicalResult ListRowsOp::verify() {
  // list_rows_c1
  int64_t k = getK();
  if (failed(expectRank(*this, getX(), 2, "x")))
    return failure();
  if (k < 1 || (k > 1 && !getRows()))
    return emitOpError() << "expects k >= 1, and 1 without rows, but it is " << k;
  int64_t tokens = shaped(getX()).getDimSize(0), d = ShapedType::kDynamic,
          rows = ShapedType::isDynamic(tokens) ? d : tokens * k;
  if (getRows() &&
      (failed(expectShape(*this, getRows(), {rows}, "rows")) || failed(expectI32(*this, getRows(), "rows"))))
    return failure();
  // list_rows_c2
  int64_t groups = 1;
  if (getOffsets()) {
    if (failed(expectRank(*this, getOffsets(), 1, "offsets")) || failed(expectI32(*this, getOffsets(), "offsets")))
      return failure();
    groups = shaped(getOffsets()).getDimSize(0) - 1;
    if (shaped(getOffsets()).isDynamicDim(0) || groups < 1 || groups > 1024)
      return emitOpError() << "expects 1 to 1024 groups, but offsets are " << getOffsets().getType();
  }
  // list_rows_c4
  int64_t entries = ShapedType::isDynamic(rows) ? d : groups + up(rows, 128);
  bool known = !ShapedType::isDynamic(rows);
  return verifyResults(*this, {{{rows}, Expected::I32, {}},
                               {{groups}, Expected::I32, {}},
                               {{known ? 4 + 4 * entries : d}, Expected::I32, {}},
                               {{known ? 16 + entries : d}, Expected::I32, {}}});
}

LogicalResult ListRowsOp::inferResultSizes(OpBuilder &b, Sizes &sizes) {
  int64_t groups = getOffsets() ? shaped(getOffsets()).getDimSize(0) - 1 : 1;
  OpFoldResult rows = product(b, getLoc(), {dimOf(b, getLoc(), getX(), 0), b.getIndexAttr(getK())}),
               full = blocksOf(b, getLoc(), rows, 128);
  sizes.push_back({rows});
  sizes.push_back({b.getIndexAttr(groups)});
  sizes.push_back({linear(b, getLoc(), full, 4, 4 + 4 * groups)});
  sizes.push_back({linear(b, getLoc(), full, 1, 16 + groups)});
  return success();
}

//===----------------------------------------------------------------------===//
// Tokens to rows
//===----------------------------------------------------------------------===//

/// What quantize_rows and copy_rows expect of their operands.
template <typename Op> static LogicalResult verifyToRows(Op op) {
  // quantize_rows_c1, copy_rows_c1
  if (failed(expectRank(op, op.getX(), 2, "x")) || failed(expectFloats(op, op.getX(), "x")) ||
      failed(expectRank(op, op.getPosition(), 1, "position")) || failed(expectI32(op, op.getPosition(), "position")))
    return failure();
  if (ShapedType::isDynamic(shaped(op.getX()).getDimSize(1)) || shaped(op.getX()).getDimSize(1) < 1)
    return op.emitOpError() << "expects rows of a static number of elements, but x is " << op.getX().getType();
  // quantize_rows_c2, copy_rows_c2
  int64_t k = op.getK(), padding = op.getPadding();
  if (k < 1 || k > 32)
    return op.emitOpError() << "expects 1 <= k <= 32, but k is " << k;
  // quantize_rows_c3, copy_rows_c3
  if (padding < 0 || padding % 8)
    return op.emitOpError() << "expects padding to be a multiple of 8, but it is " << padding;
  return success();
}
LogicalResult QuantizeRowsOp::verify() {
  if (failed(verifyToRows(*this)))
    return failure();
  int64_t blocks = up(shaped(getX()).getDimSize(1), 128),
          rows = numRows(shaped(getX()).getDimSize(0), getK(), getPadding());
  // quantize_rows_c4
  if (static_cast<int64_t>(getFew()) < 0 || (getFew() && !getCodes()))
    return emitOpError() << "expects few above 0 with values to write into and no others, but it is "
                         << static_cast<int64_t>(getFew());
  SmallVector<Type> into, results(getResultTypes().begin(), getResultTypes().end());
  if (getCodes())
    into = {getCodes().getType(), getScales().getType()};
  if (!into.empty() && !results.empty() && into != results)
    return emitOpError() << "expects to write into values of the results' types, but they are " << into[0] << " and "
                         << into[1];
  return verifyResults(
      *this, {{{blocks, rows, 128}, Expected::Same, Float8E4M3FNType::get(getContext())}, floats({blocks, rows})});
}

LogicalResult QuantizeRowsOp::inferResultSizes(OpBuilder &b, Sizes &sizes) {
  addRowSizes(b, getLoc(), getX(), getK(), getPadding(), sizes);
  return success();
}

LogicalResult CopyRowsOp::verify() {
  if (failed(verifyToRows(*this)))
    return failure();
  // copy_rows_c1
  Type element = shaped(getX()).getElementType();
  if (!element.isBF16() && !element.isF16())
    return emitOpError() << "expects x to hold bf16 or f16, but it is " << getX().getType();
  return verifyResults(
      *this, {{{up(shaped(getX()).getDimSize(1), 64), numRows(shaped(getX()).getDimSize(0), getK(), getPadding()), 64},
               Expected::Same,
               element}});
}

LogicalResult CopyRowsOp::inferResultSizes(OpBuilder &b, Sizes &sizes) {
  sizes.push_back({b.getIndexAttr(up(shaped(getX()).getDimSize(1), 64)),
                   numRows(b, getLoc(), getX(), getK(), getPadding()), b.getIndexAttr(64)});
  return success();
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// One format for all factors, FP8 with f32 scales or 16 bits without; their work list. `depth`: elements of 128 bytes.
static LogicalResult verifyFactors(Operation *op, ArrayRef<Value> factors, ArrayRef<Value> scales, Value items,
                                   Value counters, int64_t &depth) {
  Type element = shaped(factors.front()).getElementType();
  bool fp8 = isa<Float8E4M3FNType>(element);
  if (!fp8 && !element.isBF16() && !element.isF16())
    return op->emitOpError() << "expects factors of f8E4M3FN, bf16 or f16, but found " << factors.front().getType();
  for (Value v : factors)
    if (shaped(v).getElementType() != element)
      return op->emitOpError() << "expects factors of " << element << ", but found " << v.getType();
  for (Value v : scales) {
    if (bool(v) != fp8)
      return op->emitOpError() << (fp8 ? "expects scales of all factors of f8E4M3FN"
                                       : "expects no scales of factors of 16 bits");
    if (v && !shaped(v).getElementType().isF32())
      return op->emitOpError() << "expects scales of f32, but found " << v.getType();
  }
  depth = fp8 ? 128 : 64;
  return success(succeeded(expectRank(op, factors.front(), 3, "x")) && succeeded(expectRank(op, items, 1, "items")) &&
                 succeeded(expectI32(op, items, "items")) && succeeded(expectRank(op, counters, 1, "counters")) &&
                 succeeded(expectI32(op, counters, "counters")));
}
static LogicalResult expectScales(Operation *op, Value scales, ArrayRef<int64_t> shape, StringRef name) {
  return scales ? expectShape(op, scales, shape, name) : success();
}

LogicalResult ExpertProductsOp::verify() {
  int64_t hidden = getHidden(), inner = getIntermediate(), depth;
  // expert_products_c1
  if (hidden < 8 || hidden % 8 || inner < 1)
    return emitOpError() << "expects hidden to be a multiple of 8 and intermediate at least 1, but they are " << hidden
                         << " and " << inner;
  if (failed(verifyFactors(*this, {getX(), getW1(), getW2()}, {getXScales(), getW1Scales(), getW2Scales()}, getItems(),
                           getCounters(), depth)) ||
      failed(expectRank(*this, getW1(), 5, "w1")))
    return failure();
  int64_t kb = up(hidden, depth), ib = up(inner, depth), jb = up(inner, 128), nb = up(hidden, 256),
          rows = shaped(getX()).getDimSize(1), experts = shaped(getW1()).getDimSize(0);
  if (failed(expectShape(*this, getX(), {kb, rows, depth}, "x")) ||
      failed(expectScales(*this, getXScales(), {kb, rows}, "x_scales")) ||
      failed(expectShape(*this, getW1(), {experts, jb, kb, 256, depth}, "w1")) ||
      failed(expectScales(*this, getW1Scales(), {experts, jb, up(2 * kb, 4) * 4}, "w1_scales")) ||
      failed(expectShape(*this, getW2(), {experts, nb, ib, 256, depth}, "w2")) ||
      failed(expectScales(*this, getW2Scales(), {experts, nb, up(2 * ib, 4) * 4}, "w2_scales")))
    return failure();
  // expert_products_c4
  Type added = getBiasElement().value_or(Type());
  if (static_cast<bool>(getW1Bias()) != static_cast<bool>(added) ||
      static_cast<bool>(getW2Bias()) != static_cast<bool>(added) ||
      (added && !added.isF32() && !added.isBF16() && !added.isF16()))
    return emitOpError() << "expects both biases and a bias_element of f32, bf16 or f16, or none of them";
  if (failed(expectScales(*this, getW1Bias(), {experts, jb, 256}, "w1_bias")) ||
      failed(expectScales(*this, getW2Bias(), {experts, nb, 256}, "w2_bias")))
    return failure();
  Type element = shaped(getX()).getElementType();
  if (!getXScales())
    return verifyResults(*this,
                         {{{rows, hidden}, Expected::Same, element}, {{ib, rows, depth}, Expected::Same, element}});
  return verifyResults(*this,
                       {floats({rows, hidden}), {{ib, rows, depth}, Expected::Same, element}, floats({ib, rows})});
}

LogicalResult ExpertProductsOp::verifyRegions() {
  Block &body = getEpilogue().front();
  YieldOp yield = yieldOf(getEpilogue());
  // expert_products_c3
  if (body.getNumArguments() != 2 || !body.getArgument(0).getType().isF32() || !body.getArgument(1).getType().isF32() ||
      !yield || yield.getNumOperands() != 1 || !yield.getOperand(0).getType().isF32())
    return emitOpError() << "expects a region of two f32 that yields one";
  return success();
}

LogicalResult ExpertProductsOp::inferResultSizes(OpBuilder &b, Sizes &sizes) {
  OpFoldResult rows = dimOf(b, getLoc(), getX(), 1);
  int64_t depth = getXScales() ? 128 : 64;
  auto blocks = b.getIndexAttr(up(getIntermediate(), depth));
  sizes.push_back({rows, b.getIndexAttr(getHidden())});
  sizes.push_back({blocks, rows, b.getIndexAttr(depth)});
  if (getXScales())
    sizes.push_back({blocks, rows});
  return success();
}

LogicalResult RowProductOp::verify() {
  int64_t columns = getColumns(), depth;
  // row_product_c1
  if (columns < 1)
    return emitOpError() << "expects at least one column, but columns is " << columns;
  if (failed(verifyFactors(*this, {getX(), getWeights()}, {getXScales(), getWeightScales()}, getItems(), getCounters(),
                           depth)) ||
      failed(expectRank(*this, getWeights(), 5, "weights")) ||
      failed(expectRank(*this, getPosition(), 1, "position")) || failed(expectI32(*this, getPosition(), "position")) ||
      failed(expectI32(*this, getShift(), "shift")))
    return failure();
  int64_t kb = shaped(getX()).getDimSize(0), nb = up(columns, 256), places = shaped(getX()).getDimSize(1),
          groups = shaped(getWeights()).getDimSize(0), rows = shaped(getPosition()).getDimSize(0);
  if (failed(expectShape(*this, getX(), {kb, places, depth}, "x")) ||
      failed(expectScales(*this, getXScales(), {kb, places}, "x_scales")) ||
      failed(expectShape(*this, getWeights(), {groups, nb, kb, 256, depth}, "weights")) ||
      failed(expectScales(*this, getWeightScales(), {groups, nb, up(2 * kb, 4) * 4}, "weight_scales")) ||
      failed(expectShape(*this, getShift(), {groups}, "shift")))
    return failure();
  if (ShapedType::isDynamic(kb) || ShapedType::isDynamic(groups))
    return emitOpError() << "expects a static number of groups and blocks of K, but x and weights are "
                         << getX().getType() << " and " << getWeights().getType();
  // row_product_c4
  if (getExtraKinds().size() != getExtras().size())
    return emitOpError() << "expects a kind for each of " << getExtras().size() << " extras, but has "
                         << getExtraKinds().size();
  for (auto [extra, kind] : llvm::zip(getExtras(), getExtraKinds())) {
    if (kind < 0 || kind > 3)
      return emitOpError() << "expects kinds 0 to 3, but one is " << kind;
    SmallVector<int64_t> shapes[] = {{rows, columns}, {groups, columns}, {columns}, {rows}};
    if (failed(expectShape(*this, extra, shapes[kind], "an extra")))
      return failure();
  }
  if (failed(verifyResults(*this, {floats({rows, columns})})))
    return failure();
  Type element = shaped(getOuts().empty() ? Value(getResults().front()) : getOuts().front()).getElementType();
  if (!element.isF32() && !element.isBF16() && !element.isF16())
    return emitOpError() << "expects a result of f32, bf16 or f16, but it is " << element;
  return success();
}

LogicalResult RowProductOp::verifyRegions() {
  // row_product_c3
  Block &body = getEpilogue().front();
  YieldOp yield = yieldOf(getEpilogue());
  Type element = shaped(getOuts().empty() ? Value(getResults().front()) : getOuts().front()).getElementType();
  bool ok = body.getNumArguments() == 1 + getExtras().size() && body.getArgument(0).getType().isF32() && yield &&
            yield.getNumOperands() == 1 && yield.getOperand(0).getType() == element;
  for (size_t i = 0; ok && i < getExtras().size(); ++i)
    ok = body.getArgument(static_cast<unsigned>(i + 1)).getType() == shaped(getExtras()[i]).getElementType();
  if (!ok)
    return emitOpError() << "expects a region of f32 and an element of each extra that yields one " << element;
  return success();
}

LogicalResult RowProductOp::inferResultSizes(OpBuilder &b, Sizes &sizes) {
  sizes.push_back({dimOf(b, getLoc(), getPosition(), 0), b.getIndexAttr(getColumns())});
  return success();
}
