//===- FoldWeights.cpp - moe-fold-weights: data movement of weights into recipes ----===//
// A Cast, Transpose, Reshape, Squeeze, Unsqueeze, Slice, Split, Concat, Identity or contiguous Gather of a weight is another
// weight, computed while the artefact is written. Values do not change. Integers of less than a byte that
// something else reads become bytes, which kernels can read.
//
//   %w = moe.get_weight @w : tensor<4x8xbf16>
//   %c = onnx.Cast(%w) {to = f32}                     moe.weight @w.cast : tensor<4x8xf32> = #moe.recipe<cast, {}, [...], ...>
//   %t = onnx.Transpose(%c) {perm = [1, 0]}      ->   moe.weight @w.transpose : tensor<8x4xf32> = #moe.recipe<transpose, ...>
//   onnx.MatMul(%x, %t)                               %t = moe.get_weight @w.transpose
//
// Equal recipes are one weight. Ops that copy a weight many times (Expand, Tile) stay.
//===----------------------------------------------------------------------===//
#include "OnnxBuild.h"

#include "moe/Import/ShapeFacts.h"
#include "moe/Raise/Passes.h"

#include "mlir/IR/SymbolTable.h"

namespace mlir::moe {
#define GEN_PASS_DEF_FOLDWEIGHTS
#include "moe/Raise/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Element types whose conversion a recipe can say: floats among each other.
bool castable(Type from, Type to) { return isa<FloatType>(from) && isa<FloatType>(to); }

class Folder {
public:
  Folder(ModuleOp module) : module(module), symbols(module), b(module.getContext()) {
    for (auto weight : module.getOps<WeightOp>())
      byRecipe.try_emplace(weight.getRecipe(), weight);
  }

  /// Lets the op read bytes where it reads weights of less than a byte. Dequantization and casts take bytes as they are.
  void readBytes(Operation *op) {
    Value zero = isa<onnx::DequantizeLinearOp>(op) ? onnx::getInput(op, 2) : Value();
    bool takesBytes = isa<onnx::CastOp>(op) || (isa<onnx::DequantizeLinearOp>(op) && (!zero || weightOf(zero)));
    for (OpOperand &operand : op->getOpOperands()) {
      WeightOp weight = weightOf(operand.get());
      auto type = weight ? cast<RankedTensorType>(weight.getType()) : RankedTensorType();
      auto element = type ? dyn_cast<IntegerType>(type.getElementType()) : IntegerType();
      if (!element || element.getWidth() >= 8 || element.getWidth() == 1)
        continue;
      auto bytes = type.clone(IntegerType::get(b.getContext(), 8, element.getSignedness()));
      WeightOp wide = weightFor(step(RecipeStep::Cast, {}, {weight.getRecipe()}, bytes), weight, "bytes");
      b.setInsertionPoint(op);
      Value value = GetWeightOp::create(b, op->getLoc(), bytes, FlatSymbolRefAttr::get(wide.getSymNameAttr()));
      if (!takesBytes)
        value = OnnxBuild{b, op->getLoc()}.castTo(value, element);
      operand.set(value);
    }
  }

  /// Replaces the op by weights if it only moves weights.
  bool fold(Operation *op, ShapeFacts &facts) {
    Value data = onnx::getInput(op, 0);
    WeightOp weight = weightOf(data);
    if (!weight)
      return false;
    auto type = cast<RankedTensorType>(weight.getType());
    if (op->getNumResults() > 1 && !isa<onnx::SplitOp>(op))
      return false;
    for (Value r : op->getResults())
      if (!cast<RankedTensorType>(r.getType()).hasStaticShape())
        return false;
    auto result = cast<RankedTensorType>(op->getResult(0).getType());
    Attribute recipe = weight.getRecipe();

    if (isa<onnx::IdentityOp>(op))
      return replace(op, 0, weight, recipe, "");
    if (isa<onnx::CastOp, onnx::CastLikeOp>(op)) {
      if (!castable(type.getElementType(), result.getElementType()) ||
          result.getElementType().getIntOrFloatBitWidth() <= 8)
        return false;
      return replace(op, 0, weight, step(RecipeStep::Cast, {}, {recipe}, result), "cast");
    }
    if (auto transpose = dyn_cast<onnx::TransposeOp>(op)) {
      SmallVector<int64_t> perm = llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(0, type.getRank())));
      if (std::optional<ArrayRef<int64_t>> given = transpose.getPerm())
        perm = SmallVector<int64_t>(*given);
      return replace(op, 0, weight, step(RecipeStep::Transpose, {param("permutation", perm)}, {recipe}, result),
                     "transpose");
    }
    if (isa<onnx::ReshapeOp, onnx::SqueezeOp, onnx::UnsqueezeOp, onnx::FlattenOp>(op)) {
      if (result.getNumElements() != type.getNumElements())
        return false;
      return replace(op, 0, weight, step(RecipeStep::Reshape, {}, {recipe}, result), "reshape");
    }
    if (isa<onnx::SliceOp>(op))
      return foldSlice(op, facts, weight, type, result);
    if (auto split = dyn_cast<onnx::SplitOp>(op)) {
      int64_t axis = split.getAxis() < 0 ? split.getAxis() + type.getRank() : split.getAxis(), offset = 0;
      if (axis < 0 || axis >= type.getRank())
        return false;
      SmallVector<int64_t> offsets(type.getRank(), 0);
      for (unsigned i = 0; i < op->getNumResults(); ++i) {
        auto part = cast<RankedTensorType>(op->getResult(i).getType());
        offsets[axis] = offset;
        offset += part.getDimSize(axis);
        replace(op, i, weight, slice(recipe, offsets, {}, part), "slice", /*erase=*/false);
      }
      op->erase();
      return true;
    }
    if (auto concat = dyn_cast<onnx::ConcatOp>(op)) {
      SmallVector<Attribute> parts;
      for (Value v : op->getOperands()) {
        WeightOp part = weightOf(v);
        if (!part)
          return false;
        parts.push_back(part.getRecipe());
      }
      int64_t axis = concat.getAxis() < 0 ? concat.getAxis() + type.getRank() : concat.getAxis();
      NamedAttribute where = {b.getStringAttr("axis"), b.getI64IntegerAttr(axis)};
      return replace(op, 0, weight, step(RecipeStep::Concat, {where}, parts, result), "concat");
    }
    if (auto gather = dyn_cast<onnx::GatherOp>(op))
      return foldGather(gather, facts, weight, type, result);
    return false;
  }

  /// Weights that nothing reads any more.
  int64_t eraseUnused() {
    llvm::DenseSet<StringAttr> used;
    module.walk([&](GetWeightOp get) { used.insert(get.getNameAttr().getAttr()); });
    int64_t erased = 0;
    for (auto weight : llvm::make_early_inc_range(module.getOps<WeightOp>()))
      if (!used.contains(weight.getSymNameAttr())) {
        weight.erase();
        ++erased;
      }
    return erased;
  }

private:
  WeightOp weightOf(Value v) {
    auto get = v ? v.getDefiningOp<GetWeightOp>() : GetWeightOp();
    return get ? symbols.lookup<WeightOp>(get.getName()) : WeightOp();
  }

  NamedAttribute param(StringRef name, ArrayRef<int64_t> values) {
    return {b.getStringAttr(name), b.getDenseI64ArrayAttr(values)};
  }

  RecipeAttr step(RecipeStep kind, ArrayRef<NamedAttribute> params, ArrayRef<Attribute> inputs, RankedTensorType type) {
    return RecipeAttr::get(b.getContext(), kind, b.getDictionaryAttr(params), b.getArrayAttr(inputs), type);
  }

  RecipeAttr slice(Attribute recipe, ArrayRef<int64_t> offsets, ArrayRef<int64_t> strides, RankedTensorType type) {
    SmallVector<int64_t> steps(strides);
    steps.resize(type.getRank(), 1);
    return step(RecipeStep::Slice,
                {param("offsets", offsets), param("sizes", type.getShape()), param("strides", steps)}, {recipe}, type);
  }

  bool foldSlice(Operation *op, ShapeFacts &facts, WeightOp weight, RankedTensorType type, RankedTensorType result) {
    auto starts = facts.constants(onnx::getInput(op, 1));
    Value axesInput = onnx::getInput(op, 3), stepsInput = onnx::getInput(op, 4);
    if (!starts)
      return false;
    auto axes = axesInput ? facts.constants(axesInput) : llvm::to_vector(llvm::seq<int64_t>(0, starts->size()));
    auto steps = stepsInput ? facts.constants(stepsInput) : SmallVector<int64_t>(starts->size(), 1);
    if (!axes || !steps || axes->size() != starts->size() || steps->size() != starts->size())
      return false;
    SmallVector<int64_t> offsets(type.getRank(), 0), strides(type.getRank(), 1);
    for (auto [axis, start, stride] : llvm::zip(*axes, *starts, *steps)) {
      int64_t d = axis < 0 ? axis + type.getRank() : axis;
      if (d < 0 || d >= type.getRank() || stride < 1)
        return false;
      int64_t extent = type.getDimSize(d);
      offsets[d] = std::clamp<int64_t>(start < 0 ? start + extent : start, 0, extent);
      strides[d] = stride;
    }
    for (int64_t d = 0; d < type.getRank(); ++d)
      if (result.getDimSize(d) == 0)
        return false;
    return replace(op, 0, weight, slice(weight.getRecipe(), offsets, strides, result), "slice");
  }

  /// Indices that count up by one are a slice; a scalar index also drops the dim.
  bool foldGather(onnx::GatherOp op, ShapeFacts &facts, WeightOp weight, RankedTensorType type,
                  RankedTensorType result) {
    auto indices = facts.constants(onnx::getInput(op, 1));
    int64_t axis = op.getAxis() < 0 ? op.getAxis() + type.getRank() : op.getAxis();
    int64_t rank = cast<RankedTensorType>(onnx::getInput(op, 1).getType()).getRank();
    if (!indices || indices->empty() || rank > 1 || axis < 0 || axis >= type.getRank())
      return false;
    int64_t extent = type.getDimSize(axis), first = indices->front() < 0 ? indices->front() + extent : indices->front();
    for (auto [k, v] : llvm::enumerate(*indices))
      if ((v < 0 ? v + extent : v) != first + static_cast<int64_t>(k))
        return false;
    if (first < 0 || first + static_cast<int64_t>(indices->size()) > extent)
      return false;
    SmallVector<int64_t> offsets(type.getRank(), 0), shape(type.getShape());
    offsets[axis] = first;
    shape[axis] = indices->size();
    auto part = RankedTensorType::get(shape, type.getElementType());
    Attribute recipe = slice(weight.getRecipe(), offsets, {}, part);
    if (rank == 0)
      recipe = step(RecipeStep::Reshape, {}, {recipe}, result);
    return replace(op, 0, weight, recipe, "slice");
  }

  WeightOp weightFor(Attribute recipe, WeightOp from, StringRef what) {
    WeightOp &weight = byRecipe[recipe];
    if (!weight) {
      b.setInsertionPointAfter(from);
      std::string name = (from.getSymName() + "." + what).str();
      weight =
          WeightOp::create(b, from.getLoc(), name, StringAttr(), getRecipeType(recipe), recipe, from.getSourceAttr());
      symbols.insert(weight);
    }
    return weight;
  }

  bool replace(Operation *op, unsigned i, WeightOp from, Attribute recipe, StringRef what, bool erase = true) {
    WeightOp weight = weightFor(recipe, from, what);
    b.setInsertionPoint(op);
    op->getResult(i).replaceAllUsesWith(GetWeightOp::create(b, op->getLoc(), op->getResult(i).getType(),
                                                            FlatSymbolRefAttr::get(weight.getSymNameAttr()))
                                            .getResult());
    if (erase)
      op->erase();
    return true;
  }

  ModuleOp module;
  SymbolTable symbols;
  OpBuilder b;
  DenseMap<Attribute, WeightOp> byRecipe;
};

struct FoldWeights : mlir::moe::impl::FoldWeightsBase<FoldWeights> {
  using FoldWeightsBase::FoldWeightsBase;

  void runOnOperation() override {
    Folder folder(getOperation());
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      if (func.isDeclaration())
        continue;
      // In program order, so a chain of moves folds from its weight on.
      SmallVector<Operation *> ops;
      func.walk<WalkOrder::PreOrder>([&](Operation *op) {
        if (isa<onnx::OnnxDialect>(op->getDialect()) || isa<func::ReturnOp>(op))
          ops.push_back(op);
      });
      ShapeFacts facts(func);
      DenseSet<Operation *> folded; // erased, most of them
      for (Operation *op : ops) {
        if (op->getNumOperands() == 0 || !op->getOperand(0).getDefiningOp<GetWeightOp>() || isa<func::ReturnOp>(op))
          continue;
        facts.forget(op);
        if (folder.fold(op, facts)) {
          ++numFolded;
          folded.insert(op);
        }
      }
      for (Operation *op : ops)
        if (!folded.contains(op))
          folder.readBytes(op);
      // Weights that only fed the folded ops.
      func.walk([&](GetWeightOp get) {
        if (get.use_empty())
          get.erase();
      });
    }
    numErased += folder.eraseUnused();
  }
};

} // namespace
