//===- StackWeights.cpp - one parameter for each expert -> one of all -----===//
#include "StackWeights.h"
#include "OnnxMake.h"
#include "OnnxMatch.h"

#include "dialects/moe/Moe.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;
using namespace mlir::moe;

/// W where value i is Gather(W, i) along axis 0 (or Slice i : i + 1, squeezed) and W has exactly these slices.
static Value commonSource(ArrayRef<Value> values) {
  Value source;
  for (size_t i = 0; i < values.size(); ++i) {
    Value value = values[i];
    while (Operation *op = definedBy(value, {"Squeeze", "Reshape", "Identity"})) {
      if (!definedBy(op->getOperand(0), {"Slice", "Split", "Gather", "Squeeze", "Reshape", "Identity"}))
        break;
      value = op->getOperand(0);
    }
    Operation *op = definedBy(value, {"Gather", "Slice", "Split"});
    if (!op)
      return {};
    int64_t at = -1;
    RankedTensorType data = tensorType(op->getOperand(0));
    if (isOnnx(op, {"Gather"})) {
      std::optional<SmallVector<int64_t>> index = onnx::getConstantInts(op->getOperand(1));
      if (!index || index->size() != 1 || axisOf(op, "axis", 0, data.getRank()) != 0)
        return {};
      at = (*index)[0];
    } else if (isOnnx(op, {"Slice"})) {
      std::optional<SmallVector<int64_t>> starts = onnx::getConstantInts(getInput(op, 1)), axes = cutAxes(op);
      if (!starts || starts->size() != 1 || !axes || (*axes)[0] != 0 || tensorType(value).getDimSize(0) != 1)
        return {};
      at = (*starts)[0];
    } else {
      if (axisOf(op, "axis", 0, data.getRank()) != 0 || op->getNumResults() != values.size())
        return {};
      at = cast<OpResult>(value).getResultNumber();
    }
    if (at < 0)
      at += data.getDimSize(0);
    if (at != static_cast<int64_t>(i) || data.getDimSize(0) != static_cast<int64_t>(values.size()) ||
        (source && source != op->getOperand(0)))
      return {};
    source = op->getOperand(0);
  }
  return source;
}

static RecipeAttr step(RecipeStep kind, ArrayRef<NamedAttribute> params, ArrayRef<Attribute> inputs,
                       RankedTensorType type) {
  MLIRContext *ctx = type.getContext();
  return RecipeAttr::get(ctx, kind, DictionaryAttr::get(ctx, params), ArrayAttr::get(ctx, inputs), type);
}

/// A recipe without steps of no effect, for comparing where slices come from.
static Attribute plain(Attribute recipe) {
  while (auto r = dyn_cast<RecipeAttr>(recipe)) {
    if (r.getStep() != RecipeStep::Reshape)
      break;
    auto inner = dyn_cast<RecipeAttr>(r.getInputs()[0]);
    if (!inner || (inner.getStep() != RecipeStep::Reshape && inner.getStep() != RecipeStep::Slice))
      break;
    recipe = inner;
  }
  return recipe;
}

/// The recipe that all of `recipes` are the slices i of along dim 0; null if they are not.
static Attribute commonRecipe(ArrayRef<Attribute> recipes) {
  Attribute source;
  for (auto [i, recipe] : llvm::enumerate(recipes)) {
    auto slice = dyn_cast<RecipeAttr>(plain(recipe));
    if (!slice || slice.getStep() != RecipeStep::Slice)
      return {};
    RankedTensorType whole = getRecipeType(slice.getInputs()[0]);
    auto offsets = slice.getParams().getAs<DenseI64ArrayAttr>("offsets").asArrayRef();
    auto strides = slice.getParams().getAs<DenseI64ArrayAttr>("strides").asArrayRef();
    if (slice.getType().getShape().drop_front() != whole.getShape().drop_front() ||
        slice.getType().getDimSize(0) != 1 || whole.getDimSize(0) != static_cast<int64_t>(recipes.size()) ||
        offsets[0] != static_cast<int64_t>(i) || llvm::any_of(strides, [](int64_t s) { return s != 1; }) ||
        (source && source != slice.getInputs()[0]))
      return {};
    source = slice.getInputs()[0];
  }
  return source;
}

/// A recipe of [n, ...] that stacks `recipes`. Steps that all of them share are done once on the stack.
static Attribute stackRecipes(ArrayRef<Attribute> recipes) {
  RankedTensorType type = getRecipeType(recipes[0]);
  MLIRContext *ctx = type.getContext();
  SmallVector<int64_t> shape = llvm::to_vector(type.getShape());
  shape.insert(shape.begin(), recipes.size());
  auto stacked = RankedTensorType::get(shape, type.getElementType());
  if (Attribute source = commonRecipe(recipes)) {
    if (getRecipeType(source) == stacked)
      return source;
    return step(RecipeStep::Reshape, {}, {source}, stacked);
  }
  // cast_i(a_i), transpose_i(a_i), reshape_i(a_i) -> one cast, transpose, reshape of the stack of a_i
  auto first = dyn_cast<RecipeAttr>(recipes[0]);
  bool shared = first &&
                (first.getStep() == RecipeStep::Cast || first.getStep() == RecipeStep::Transpose ||
                 first.getStep() == RecipeStep::Reshape) &&
                first.getInputs().size() == 1;
  SmallVector<Attribute> inner;
  for (Attribute recipe : recipes) {
    auto r = dyn_cast<RecipeAttr>(recipe);
    shared &= r && first && r.getStep() == first.getStep() && r.getParams() == first.getParams() &&
              getRecipeType(r.getInputs()[0]) == getRecipeType(first.getInputs()[0]);
    if (!shared)
      break;
    inner.push_back(r.getInputs()[0]);
  }
  if (shared) {
    Attribute below = stackRecipes(inner);
    if (first.getStep() != RecipeStep::Transpose)
      return step(first.getStep(), {}, {below}, stacked);
    SmallVector<int64_t> perm = {0};
    for (int64_t p : first.getParams().getAs<DenseI64ArrayAttr>("permutation").asArrayRef())
      perm.push_back(p + 1);
    return step(RecipeStep::Transpose,
                NamedAttribute(StringAttr::get(ctx, "permutation"), DenseI64ArrayAttr::get(ctx, perm)), {below},
                stacked);
  }
  shape[0] = 1;
  auto one = RankedTensorType::get(shape, type.getElementType());
  SmallVector<Attribute> slices;
  for (Attribute recipe : recipes)
    slices.push_back(step(RecipeStep::Reshape, {}, {recipe}, one));
  return step(RecipeStep::Concat,
              NamedAttribute(StringAttr::get(ctx, "axis"), IntegerAttr::get(IntegerType::get(ctx, 64), 0)), slices,
              stacked);
}

Attribute moe::weightRecipe(Value value) {
  if (auto get = value.getDefiningOp<GetWeightOp>())
    if (auto weight = SymbolTable::lookupNearestSymbolFrom<WeightOp>(get, get.getNameAttr()))
      return weight.getRecipe();
  return onnx::getConstant(value);
}

Value moe::newWeight(OpBuilder &b, Location loc, Attribute recipe, Operation *anchor, StringRef hint) {
  RankedTensorType type = getRecipeType(recipe);
  auto module = anchor->getParentOfType<ModuleOp>();
  OpBuilder top(b.getContext());
  auto weight =
      WeightOp::create(top, loc, b.getStringAttr(hint), StringAttr(), TypeAttr::get(type), recipe, StringAttr());
  SymbolTable(module).insert(weight, module.getBody()->begin());
  return GetWeightOp::create(b, loc, type, FlatSymbolRefAttr::get(weight.getSymNameAttr()));
}

Value moe::stackWeights(OpBuilder &b, Location loc, ArrayRef<Value> values) {
  RankedTensorType type = tensorType(values[0]);
  for (Value value : values)
    if (value.getType() != type || !type.hasStaticShape())
      return {};
  if (Value source = commonSource(values))
    return source;
  SmallVector<int64_t> shape = llvm::to_vector(type.getShape());
  shape.insert(shape.begin(), values.size());
  auto stacked = RankedTensorType::get(shape, type.getElementType());

  SmallVector<Attribute> recipes;
  bool anyWeight = false;
  for (Value value : values) {
    recipes.push_back(weightRecipe(value));
    anyWeight |= static_cast<bool>(value.getDefiningOp<GetWeightOp>());
  }
  if (anyWeight && !llvm::is_contained(recipes, Attribute()))
    return newWeight(b, loc, stackRecipes(recipes), values[0].getDefiningOp(), "stacked");
  // Inline constants: their bytes one after the other.
  std::vector<char> bytes;
  bool inlined = type.getElementTypeBitWidth() >= 8;
  for (size_t i = 0; i < values.size() && inlined; ++i) {
    DenseElementsAttr constant = onnx::getConstant(values[i]);
    inlined = static_cast<bool>(constant);
    if (!inlined)
      break;
    ArrayRef<char> raw = constant.getRawData();
    for (int64_t n = constant.isSplat() ? constant.getNumElements() : 1; n > 0; --n)
      bytes.insert(bytes.end(), raw.begin(), raw.end());
  }
  if (inlined)
    return onnx::ConstantOp::create(b, loc, stacked, DenseElementsAttr::getFromRawBuffer(stacked, bytes));
  // Computed from weights by ops that no recipe holds yet: the stack is one more such op.
  shape[0] = 1;
  SmallVector<Value> slices;
  for (Value value : values)
    slices.push_back(onnxReshape(b, loc, value, shape));
  return onnxOp(b, loc, "Concat", stacked, slices, b.getNamedAttr("axis", b.getI64IntegerAttr(0)))->getResult(0);
}
