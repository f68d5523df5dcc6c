//===- WeightTable.cpp - new weights as recipes over old ones --------------===//
#include "moe/Fuse/WeightTable.h"

using namespace mlir;
using namespace mlir::moe;

static RecipeAttr step(RecipeStep kind, ArrayRef<NamedAttribute> params, ArrayRef<Attribute> inputs,
                       RankedTensorType type) {
  MLIRContext *context = type.getContext();
  return RecipeAttr::get(context, kind, DictionaryAttr::get(context, params), ArrayAttr::get(context, inputs), type);
}
static NamedAttribute ints(MLIRContext *context, StringRef name, ArrayRef<int64_t> values) {
  return NamedAttribute(StringAttr::get(context, name), DenseI64ArrayAttr::get(context, values));
}

Bank moe::sliceBank(OpBuilder &b, Location loc, Bank bank, ArrayRef<int64_t> offsets, ArrayRef<int64_t> sizes,
                    ArrayRef<int64_t> strides) {
  RankedTensorType type = bank.type();
  if (llvm::all_of(offsets, [](int64_t o) { return o == 0; }) && sizes == type.getShape() &&
      llvm::all_of(strides, [](int64_t s) { return s == 1; }))
    return bank;
  auto result = RankedTensorType::get(sizes, type.getElementType());
  if (!bank.recipe) {
    bank.value = tensor::ExtractSliceOp::create(b, loc, bank.value, getAsIndexOpFoldResult(b.getContext(), offsets),
                                                getAsIndexOpFoldResult(b.getContext(), sizes),
                                                getAsIndexOpFoldResult(b.getContext(), strides));
    return bank;
  }
  MLIRContext *c = b.getContext();
  bank.recipe =
      step(RecipeStep::Slice, {ints(c, "offsets", offsets), ints(c, "sizes", sizes), ints(c, "strides", strides)},
           bank.recipe, result);
  return bank;
}

Bank moe::transposeBank(OpBuilder &b, Location loc, Bank bank, ArrayRef<int64_t> permutation) {
  if (isIdentityPermutation(permutation))
    return bank;
  RankedTensorType type = bank.type();
  auto result = RankedTensorType::get(applyPermutation(type.getShape(), permutation), type.getElementType());
  if (!bank.recipe) {
    Value init = tensor::EmptyOp::create(b, loc, result.getShape(), result.getElementType());
    bank.value = linalg::TransposeOp::create(b, loc, bank.value, init, permutation)->getResult(0);
    return bank;
  }
  bank.recipe = step(RecipeStep::Transpose, {ints(b.getContext(), "permutation", permutation)}, bank.recipe, result);
  return bank;
}

Bank moe::reshapeBank(OpBuilder &b, Location loc, Bank bank, ArrayRef<int64_t> shape) {
  RankedTensorType type = bank.type();
  if (shape == type.getShape())
    return bank;
  auto result = RankedTensorType::get(shape, type.getElementType());
  if (!bank.recipe) {
    auto size = RankedTensorType::get({static_cast<int64_t>(shape.size())}, b.getIndexType());
    Value to = arith::ConstantOp::create(b, loc, DenseIntElementsAttr::get(size, shape));
    bank.value = tensor::ReshapeOp::create(b, loc, result, bank.value, to);
    return bank;
  }
  bank.recipe = step(RecipeStep::Reshape, {}, bank.recipe, result);
  return bank;
}

Bank moe::castBank(Bank bank, Type element) {
  if (bank.type().getElementType() == element)
    return bank;
  bank.recipe = step(RecipeStep::Cast, {}, bank.recipe, bank.type().clone(element));
  return bank;
}

Bank moe::packBank(Bank bank, int64_t panel) {
  RankedTensorType type = bank.type();
  SmallVector<int64_t> shape(type.getShape());
  int64_t n = shape[shape.size() - 2], k = shape.back();
  shape.pop_back_n(2);
  shape.append({static_cast<int64_t>(llvm::divideCeil(n, panel)), k, panel});
  MLIRContext *c = type.getContext();
  bank.recipe = step(RecipeStep::Pack,
                     {NamedAttribute(StringAttr::get(c, "panel"), IntegerAttr::get(IntegerType::get(c, 64), panel))},
                     bank.recipe, RankedTensorType::get(shape, type.getElementType()));
  return bank;
}

Bank moe::scalesBank(Bank bank, ArrayRef<int64_t> block, Type codes, Type scales) {
  MLIRContext *c = codes.getContext();
  auto type = RankedTensorType::get(getScaleShape(bank.type().getShape(), block), scales);
  bank.recipe = step(RecipeStep::Scales,
                     {ints(c, "block", block), NamedAttribute(StringAttr::get(c, "codes"), TypeAttr::get(codes))},
                     bank.recipe, type);
  return bank;
}

Bank moe::quantizeBank(Bank bank, Bank scales, Type codes) {
  Attribute block = cast<RecipeAttr>(scales.recipe).getParams().get("block");
  bank.recipe = step(RecipeStep::Quantize, {NamedAttribute(StringAttr::get(codes.getContext(), "block"), block)},
                     {bank.recipe, scales.recipe}, bank.type().clone(codes));
  return bank;
}

/// Rebuilds a recipe on narrow elements; null where a step computes values.
static Attribute narrowRecipe(Attribute recipe) {
  auto attr = dyn_cast<RecipeAttr>(recipe);
  if (!attr)
    return {};
  if (attr.getStep() == RecipeStep::Cast) {
    Attribute input = attr.getInputs()[0];
    Type from = getRecipeType(input).getElementType(), to = attr.getType().getElementType();
    return (from.isBF16() || from.isF16()) && to.isF32() ? input : Attribute();
  }
  if (attr.getStep() == RecipeStep::Dequantize || attr.getStep() == RecipeStep::Scales ||
      attr.getStep() == RecipeStep::Quantize)
    return {};
  SmallVector<Attribute> inputs;
  for (Attribute input : attr.getInputs()) {
    inputs.push_back(narrowRecipe(input));
    if (!inputs.back() || getRecipeType(inputs.back()).getElementType() != getRecipeType(inputs[0]).getElementType())
      return {};
  }
  return RecipeAttr::get(attr.getContext(), attr.getStep(), attr.getParams(), ArrayAttr::get(attr.getContext(), inputs),
                         attr.getType().clone(getRecipeType(inputs[0]).getElementType()));
}

Bank moe::narrowBank(Bank bank) {
  bank.recipe = bank.recipe ? narrowRecipe(bank.recipe) : Attribute();
  return bank;
}

WeightTable::WeightTable(ModuleOp module) : module(module), symbols(module) {
  for (auto weight : module.getOps<WeightOp>())
    byRecipe.try_emplace(weight.getRecipe(), weight.getSymNameAttr());
}

Bank WeightTable::bankOf(Value tensor) {
  if (auto get = tensor.getDefiningOp<GetWeightOp>())
    if (auto weight = symbols.lookup<WeightOp>(get.getName()))
      return {weight.getRecipe(), {}, weight.getSymName()};
  return {{}, tensor, {}};
}

Value WeightTable::materialize(OpBuilder &b, Location loc, Bank bank) {
  if (!bank.recipe)
    return bank.value;
  StringAttr &name = byRecipe[bank.recipe];
  if (!name) {
    auto old = symbols.lookup<WeightOp>(bank.name);
    OpBuilder beside(module.getContext());
    beside.setInsertionPointAfter(old);
    auto weight = WeightOp::create(beside, loc, bank.name, /*sym_visibility=*/StringAttr(), bank.type(), bank.recipe,
                                   old.getSourceAttr());
    name = symbols.insert(weight);
  }
  return GetWeightOp::create(b, loc, bank.type(), FlatSymbolRefAttr::get(name));
}
