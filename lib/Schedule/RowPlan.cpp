//===- RowPlan.cpp - what the plans of Hopper's products share ------------===//
#include "RowPlan.h"

using namespace mlir;
using namespace mlir::moe;

Value moe::retile(OpBuilder &b, Location loc, WeightTable &weights, RecipeStep step, ValueRange values,
                  ArrayRef<int64_t> shape) {
  SmallVector<Attribute> inputs;
  StringRef name;
  for (Value v : values) {
    Bank bank = weights.bankOf(v);
    inputs.push_back(bank.recipe);
    name = name.empty() ? bank.name : name;
  }
  auto type = RankedTensorType::get(shape, rankedType(values.front()).getElementType());
  Attribute recipe = RecipeAttr::get(b.getContext(), step, b.getDictionaryAttr({}), b.getArrayAttr(inputs), type);
  return weights.materialize(b, loc, Bank{recipe, {}, name});
}

std::optional<BiasStep> BiasStep::at(Block &body, unsigned i, unsigned bias) {
  BiasStep step;
  auto follow = [&](Value v, bool narrow) -> Operation * {
    if (!v.hasOneUse())
      return nullptr;
    Operation *user = *v.user_begin();
    if (!(narrow ? isa<arith::TruncFOp>(user) : isa<arith::ExtFOp>(user)))
      return user;
    step.casts.push_back(user);
    return user->getResult(0).hasOneUse() ? *user->getResult(0).user_begin() : nullptr;
  };
  Operation *sum = follow(body.getArgument(i), /*narrow=*/true),
            *vector = follow(body.getArgument(bias), /*narrow=*/false);
  step.add = dyn_cast_or_null<arith::AddFOp>(sum);
  if (!step.add || sum != vector)
    return std::nullopt;
  return step;
}

void BiasStep::erase(BlockArgument sum) {
  OpBuilder b(add);
  Value v = sum;
  if (!element().isF32())
    v = arith::TruncFOp::create(b, add.getLoc(), element(), v);
  add.replaceAllUsesWith(v);
  add.erase();
  for (Operation *op : casts)
    op->erase();
}

bool moe::yieldsRounded(GroupedMatmulOp op, Value value) {
  Value yielded = op.getEpilogue().front().getTerminator()->getOperand(0);
  Type kernels = op.getXScales() ? BFloat16Type::get(op.getContext()) : rankedType(op.getX()).getElementType();
  if (auto rounded = yielded.getDefiningOp<arith::TruncFOp>();
      rounded && rounded.getType() == kernels && rounded.getIn() == value)
    return true;
  return yielded == value && (op.getXScales() || value.getType() == kernels);
}

/// The kernel's region yields f32: what a narrower one yields is rounded, then widened.
static void widenYield(Block &body) {
  Operation *yield = body.getTerminator();
  if (yield->getOperand(0).getType().isF32())
    return;
  OpBuilder b(yield);
  yield->setOperand(0, arith::ExtFOp::create(b, yield->getLoc(), b.getF32Type(), yield->getOperand(0)));
}

/// Biases of one matrix or of gate and up, in the order of the tiles' rows.
static Value tileBiases(OpBuilder &b, Location loc, WeightTable &weights, ValueRange vectors, int64_t tiles,
                        Type element) {
  SmallVector<Attribute> inputs;
  for (Value v : vectors)
    inputs.push_back(castBank(weights.bankOf(v), b.getF32Type()).recipe);
  auto type = RankedTensorType::get({rankedType(vectors.front()).getDimSize(0), tiles, kPlanTileRows}, b.getF32Type());
  auto bits = b.getNamedAttr("bits", b.getI64IntegerAttr(element.getIntOrFloatBitWidth()));
  Attribute recipe =
      RecipeAttr::get(b.getContext(), RecipeStep::TileVectors, b.getDictionaryAttr(bits), b.getArrayAttr(inputs), type);
  return weights.materialize(b, loc, Bank{recipe, {}, weights.bankOf(vectors.front()).name});
}

ExpertProductsOp moe::createExpertProducts(OpBuilder &b, WeightTable &weights, GroupedMatmulOp gateUp,
                                           GroupedMatmulOp down, Value x, Value xScales, Value items, Value counters,
                                           Type biasElement) {
  Location loc = b.getFusedLoc({gateUp.getLoc(), down.getLoc()});
  Type element = rankedType(x).getElementType(), f32 = b.getF32Type();
  int64_t hidden = rankedType(gateUp.getX()).getDimSize(1), inner = rankedType(gateUp.getResult(0)).getDimSize(1),
          experts = rankedType(gateUp.getWeights()[0]).getDimSize(0), rows = rankedType(x).getDimSize(1),
          depth = xScales ? kPlanBlock : kPlanBlock / 2;
  int64_t kb = ceilOf(hidden, depth), ib = ceilOf(inner, depth), jb = ceilOf(inner, kPlanBlock),
          nb = ceilOf(hidden, kPlanTileRows);
  SmallVector<Type> results = {RankedTensorType::get({rows, hidden}, xScales ? b.getBF16Type() : element),
                               RankedTensorType::get({ib, rows, depth}, element)};
  Value w1Scales, w2Scales, w1Bias, w2Bias;
  if (xScales) {
    w1Scales =
        retile(b, loc, weights, RecipeStep::TileScales, gateUp.getWeightScales(), {experts, jb, ceilOf(2 * kb, 4) * 4});
    w2Scales =
        retile(b, loc, weights, RecipeStep::TileScales, down.getWeightScales(), {experts, nb, ceilOf(2 * ib, 4) * 4});
    results.push_back(RankedTensorType::get({ib, rows}, f32));
  }
  Value w1 =
      retile(b, loc, weights, RecipeStep::TileRows, gateUp.getWeights(), {experts, jb, kb, kPlanTileRows, depth});
  Value w2 = retile(b, loc, weights, RecipeStep::TileRows, down.getWeights(), {experts, nb, ib, kPlanTileRows, depth});
  if (biasElement) {
    w1Bias = tileBiases(b, loc, weights, gateUp.getExtras(), jb, element);
    w2Bias = tileBiases(b, loc, weights, down.getExtras(), nb, element);
  }
  auto products = ExpertProductsOp::create(
      b, loc, results, x, xScales, w1, w1Scales, w2, w2Scales, w1Bias, w2Bias, items, counters, ValueRange(),
      b.getI64IntegerAttr(hidden), b.getI64IntegerAttr(inner), biasElement ? TypeAttr::get(biasElement) : TypeAttr());
  products.getEpilogue().takeBody(gateUp.getEpilogue());
  Block &body = products.getEpilogue().front();
  if (biasElement) {
    auto gate = BiasStep::at(body, 0, 2), up = BiasStep::at(body, 1, 3);
    gate->erase(body.getArgument(0));
    up->erase(body.getArgument(1));
    body.eraseArguments(2, 2);
  }
  widenYield(body);
  return products;
}

void moe::setCost(ExpertProductsOp op, const std::string &rows) {
  Builder b(op.getContext());
  int64_t flops = 6 * static_cast<int64_t>(op.getHidden()) * static_cast<int64_t>(op.getIntermediate());
  op->setAttr("moe.cost",
              b.getDictionaryAttr(
                  {b.getNamedAttr("flops", b.getStringAttr(std::to_string(flops) + " * " + rows)),
                   b.getNamedAttr("banks", b.getDenseI64ArrayAttr(op.getXScales() ? ArrayRef<int64_t>{2, 3, 4, 5}
                                                                                  : ArrayRef<int64_t>{1, 2})),
                   b.getNamedAttr("groups", b.getI64IntegerAttr(rankedType(op.getW1()).getDimSize(0))),
                   b.getNamedAttr("rows", b.getStringAttr(rows))}));
}
