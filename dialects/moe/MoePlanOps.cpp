//===- MoePlanOps.cpp - the expert layer's plan on the GPU: verifiers, shapes ---===//
//
// The constraint numbers of MoePlanOps.td return as comments above the check that enforces them.
//
//===----------------------------------------------------------------------===//
#include "OpSupport.h"

using namespace mlir;
using namespace mlir::moe;

MOE_COMPUTE_OP(RouteRowsOp)
MOE_COMPUTE_OP(QuantizeRowsOp)
MOE_COMPUTE_OP(ExpertProductsOp)

/// R of `tokens` * k rows in codes and scales.
static int64_t numRows(int64_t tokens, int64_t k, int64_t padding) {
  return ShapedType::isDynamic(tokens) ? ShapedType::kDynamic : (tokens * k + 7) / 8 * 8 + padding;
}
/// Shapes of the codes and scales of x.
static void addRowSizes(OpBuilder &b, Location loc, Value x, int64_t k, int64_t padding, SmallVectorImpl<SmallVector<OpFoldResult>> &sizes) {
  OpFoldResult rows = product(b, loc, {dimOf(b, loc, x, 0), b.getIndexAttr(k)});
  if (auto constant = getConstantIntValue(rows)) {
    rows = b.getIndexAttr(numRows(*constant, 1, padding));
  } else {
    auto number = [&](int64_t v) -> Value { return arith::ConstantIndexOp::create(b, loc, v); };
    Value eights = b.createOrFold<arith::DivUIOp>(loc, b.createOrFold<arith::AddIOp>(loc, cast<Value>(rows), number(7)), number(8));
    rows = b.createOrFold<arith::AddIOp>(loc, b.createOrFold<arith::MulIOp>(loc, eights, number(8)), number(padding));
  }
  auto blocks = b.getIndexAttr((shaped(x).getDimSize(1) + 127) / 128);
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
  if (groups < 1 || groups > 32 || experts % groups || getTopGroups() < 1 || static_cast<int64_t>(getTopGroups()) > groups ||
      static_cast<int64_t>(getTopGroups()) * (experts / groups) < k)
    return emitOpError() << "expects 1 to 32 equal groups that keep at least k experts, but there are " << groups << " of which " << getTopGroups() << " are kept";
  if (getScore() == ScoreFn::SparseMixer)
    return emitOpError() << "expects no sparsemixer";
  if (failed(expectShape(*this, getSync(), {2}, "sync")) || failed(expectI32(*this, getSync(), "sync")))
    return failure();
  // route_rows_c3
  int64_t d = ShapedType::kDynamic, tokens = shaped(getLogits()).getDimSize(0), rows = ShapedType::isDynamic(tokens) ? d : tokens * k;
  bool known = !ShapedType::isDynamic(rows);
  SmallVector<Expected> expected = {floats({tokens, k}), {{rows}, Expected::I32, {}}, {{known ? 4 + 4 * (experts + rows) : d}, Expected::I32, {}},
                                    {{known ? 16 + experts + rows : d}, Expected::I32, {}}, {{256 * experts}, Expected::I32, {}}};
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
    return emitOpError() << "expects few to be 1 to 24 tokens of at most 128 assignments, but it is " << few << " and k is " << k;
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
  auto count = [&](int64_t scale, int64_t add) {
    OpFoldResult scaled = product(b, getLoc(), {tokens, b.getIndexAttr(scale)});
    if (auto constant = getConstantIntValue(scaled))
      return OpFoldResult(b.getIndexAttr(*constant + add));
    return OpFoldResult(b.createOrFold<arith::AddIOp>(getLoc(), cast<Value>(scaled), arith::ConstantIndexOp::create(b, getLoc(), add)));
  };
  sizes.push_back({tokens, b.getIndexAttr(k)});
  sizes.push_back({product(b, getLoc(), {tokens, b.getIndexAttr(k)})});
  sizes.push_back({count(4 * k, 4 + 4 * experts)});
  sizes.push_back({count(k, 16 + experts)});
  sizes.push_back({b.getIndexAttr(256 * experts)});
  if (getX())
    addRowSizes(b, getLoc(), getX(), k, getPadding(), sizes);
  return success();
}

LogicalResult QuantizeRowsOp::verify() {
  // quantize_rows_c1
  if (failed(expectRank(*this, getX(), 2, "x")) || failed(expectFloats(*this, getX(), "x")) || failed(expectRank(*this, getPosition(), 1, "position")) ||
      failed(expectI32(*this, getPosition(), "position")))
    return failure();
  int64_t hidden = shaped(getX()).getDimSize(1), tokens = shaped(getX()).getDimSize(0), k = getK(), padding = getPadding();
  if (ShapedType::isDynamic(hidden) || hidden < 4 || hidden % 4)
    return emitOpError() << "expects rows of a static multiple of 4 elements, but x is " << getX().getType();
  // quantize_rows_c2
  if (k < 1 || k > 32)
    return emitOpError() << "expects 1 <= k <= 32, but k is " << k;
  // quantize_rows_c3
  if (padding < 0 || padding % 8)
    return emitOpError() << "expects padding to be a multiple of 8, but it is " << padding;
  int64_t blocks = (hidden + 127) / 128, rows = numRows(tokens, k, padding);
  // quantize_rows_c4
  if (static_cast<int64_t>(getFew()) < 0 || (getFew() && !getCodes()))
    return emitOpError() << "expects few above 0 with values to write into and no others, but it is " << static_cast<int64_t>(getFew());
  SmallVector<Type> into, results(getResultTypes().begin(), getResultTypes().end());
  if (getCodes())
    into = {getCodes().getType(), getScales().getType()};
  if (!into.empty() && !results.empty() && into != results)
    return emitOpError() << "expects to write into values of the results' types, but they are " << into[0] << " and " << into[1];
  return verifyResults(*this, {{{blocks, rows, 128}, Expected::Same, Float8E4M3FNType::get(getContext())}, floats({blocks, rows})});
}

LogicalResult QuantizeRowsOp::inferResultSizes(OpBuilder &b, Sizes &sizes) {
  addRowSizes(b, getLoc(), getX(), getK(), getPadding(), sizes);
  return success();
}

LogicalResult ExpertProductsOp::verify() {
  int64_t hidden = getHidden(), inner = getIntermediate();
  // expert_products_c1
  if (hidden < 8 || hidden % 8 || inner < 1)
    return emitOpError() << "expects hidden to be a multiple of 8 and intermediate at least 1, but they are " << hidden << " and " << inner;
  for (Value v : {getX(), getW1(), getW2()})
    if (!isa<Float8E4M3FNType>(shaped(v).getElementType()))
      return emitOpError() << "expects codes of f8E4M3FN, but found " << v.getType();
  for (Value v : {getXScales(), getW1Scales(), getW2Scales()})
    if (!shaped(v).getElementType().isF32())
      return emitOpError() << "expects scales of f32, but found " << v.getType();
  if (failed(expectRank(*this, getX(), 3, "x")) || failed(expectRank(*this, getW1(), 5, "w1")) || failed(expectRank(*this, getItems(), 1, "items")) ||
      failed(expectI32(*this, getItems(), "items")) || failed(expectRank(*this, getCounters(), 1, "counters")) ||
      failed(expectI32(*this, getCounters(), "counters")))
    return failure();
  auto up = [](int64_t n, int64_t by) { return (n + by - 1) / by; };
  int64_t kb = up(hidden, 128), ib = up(inner, 128), nb = up(hidden, 256), rows = shaped(getX()).getDimSize(1), experts = shaped(getW1()).getDimSize(0);
  if (failed(expectShape(*this, getX(), {kb, rows, 128}, "x")) || failed(expectShape(*this, getXScales(), {kb, rows}, "x_scales")) ||
      failed(expectShape(*this, getW1(), {experts, ib, kb, 256, 128}, "w1")) ||
      failed(expectShape(*this, getW1Scales(), {experts, ib, up(2 * kb, 4) * 4}, "w1_scales")) ||
      failed(expectShape(*this, getW2(), {experts, nb, ib, 256, 128}, "w2")) ||
      failed(expectShape(*this, getW2Scales(), {experts, nb, up(2 * ib, 4) * 4}, "w2_scales")))
    return failure();
  Type e4m3 = shaped(getX()).getElementType();
  return verifyResults(*this, {floats({rows, hidden}), {{ib, rows, 128}, Expected::Same, e4m3}, floats({ib, rows})});
}

LogicalResult ExpertProductsOp::verifyRegions() {
  Block &body = getEpilogue().front();
  YieldOp yield = yieldOf(getEpilogue());
  // expert_products_c3
  if (body.getNumArguments() != 2 || !body.getArgument(0).getType().isF32() || !body.getArgument(1).getType().isF32() || !yield ||
      yield.getNumOperands() != 1 || !yield.getOperand(0).getType().isF32())
    return emitOpError() << "expects a region of two f32 that yields one";
  return success();
}

LogicalResult ExpertProductsOp::inferResultSizes(OpBuilder &b, Sizes &sizes) {
  OpFoldResult rows = dimOf(b, getLoc(), getX(), 1);
  auto blocks = b.getIndexAttr((static_cast<int64_t>(getIntermediate()) + 127) / 128);
  sizes.push_back({rows, b.getIndexAttr(getHidden())});
  sizes.push_back({blocks, rows, b.getIndexAttr(128)});
  sizes.push_back({blocks, rows});
  return success();
}
