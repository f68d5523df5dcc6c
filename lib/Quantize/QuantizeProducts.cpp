//===- QuantizeProducts.cpp - which products are FP8 -----------------------===//
//
//   %y = moe.grouped_matmul %x weights(%w)
//     ->
//   %q = moe.quantize %x : ... -> !moe.scaled<?x256xf8E4M3FN, block = [1, 128], scale = f32>
//   %p = moe.quantize %w : ... -> !moe.scaled<1x512x256xf8E4M3FN, block = [1, 128, 128], scale = f32>
//   %y = moe.grouped_matmul %q weights(%p)
//
// What a product is follows from what reads it. A reason goes with every product that stays high; the table lists them all.
//
//===----------------------------------------------------------------------===//
#include "moe/Quantize/Passes.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/GlobPattern.h"

namespace mlir::moe {
#define GEN_PASS_DEF_QUANTIZEPRODUCTS
#include "moe/Quantize/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

/// Block of weights and activations along N and K.
static constexpr int64_t kBlock = 128;
/// Products with fewer columns, or sums of fewer, are tables and positions rather than layers.
static constexpr int64_t kSmall = 16;

/// Names of the author's nodes in a location.
static void nodeNames(Location loc, SmallVectorImpl<StringRef> &names) {
  loc->walk([&](Location part) {
    if (auto named = dyn_cast<NameLoc>(part))
      names.push_back(named.getName());
    return WalkResult::advance();
  });
}

/// Element type of the file behind a recipe.
static Type sourceElement(Attribute recipe) {
  while (auto step = dyn_cast<RecipeAttr>(recipe))
    recipe = step.getInputs()[0];
  return getRecipeType(recipe).getElementType();
}

/// Whether an op passes its first operand's values on, element by element or moved; `alone`: without other tensors that are
/// computed.
static bool passesOn(Operation *op, bool &alone) {
  if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::ReshapeOp, tensor::CastOp, tensor::ExtractSliceOp,
          linalg::TransposeOp, tensor::PadOp>(op))
    return true;
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  if (!linalgOp || linalgOp.getNumReductionLoops() != 0)
    return false;
  unsigned computed = 0;
  for (OpOperand *input : linalgOp.getDpsInputOperands()) {
    Operation *source = input->get().getDefiningOp();
    computed += isa<RankedTensorType>(input->get().getType()) &&
                !(source && (source->hasTrait<OpTrait::ConstantLike>() || isa<GetWeightOp>(source)));
  }
  alone &= computed <= 1;
  return true;
}

namespace {
struct QuantizeProducts : moe::impl::QuantizeProductsBase<QuantizeProducts> {
  using Base::Base;

  /// One line of the table.
  struct Row {
    std::string node, kind, shape, recipe;
    int64_t before = 0, after = 0;
  };

  bool plain() const { return recipe == "plain"; }

  LogicalResult checkOptions(SmallVectorImpl<llvm::GlobPattern> &globs) {
    if (recipe != "plain" && recipe != "blocks")
      return getOperation().emitError() << "expects the recipe 'plain' or 'blocks', but it is '" << recipe << "'";
    if (activations != "f32" && activations != "bf16" && activations != "f8")
      return getOperation().emitError() << "expects activations 'f32', 'bf16' or 'f8', but they are '" << activations
                                        << "'";
    for (const std::string &text : keep) {
      llvm::Expected<llvm::GlobPattern> glob = llvm::GlobPattern::create(text);
      if (!glob) {
        std::string why = llvm::toString(glob.takeError());
        return getOperation().emitError() << "expects a glob to keep, but '" << text << "' is none: " << why;
      }
      globs.push_back(std::move(*glob));
    }
    return success();
  }

  /// Why a product stays high; empty: it is FP8. `kind` says what it is.
  std::string reasonToKeep(GroupedMatmulOp op, StringRef &kind, ArrayRef<llvm::GlobPattern> globs,
                           MutableArrayRef<bool> used, SymbolTable &symbols) {
    kind = op.getOffsets() ? "experts" : "layer";
    SmallVector<StringRef> names;
    nodeNames(op.getLoc(), names);
    SmallVector<WeightOp> weights;
    for (Value value : op.getWeights()) {
      auto get = value.getDefiningOp<GetWeightOp>();
      auto weight = get ? symbols.lookup<WeightOp>(get.getName()) : WeightOp();
      if (!weight)
        return "its weight is computed";
      weights.push_back(weight);
      names.push_back(weight.getSymName());
      if (weight.getSource())
        names.push_back(*weight.getSource());
    }
    if (!op.getOffsets())
      if (const char *role = roleOf(op)) {
        kind = role;
        return kind == "router" ? "routers stay high" : "the output head stays high";
      }
    ShapedType w = cast<ShapedType>(op.getWeights().front().getType()), x = cast<ShapedType>(op.getX().getType());
    for (ShapedType type : {w, x})
      if (!type.getElementType().isF32() && !type.getElementType().isBF16() && !type.getElementType().isF16())
        return "its operands are no floats of 16 or 32 bits";
    bool asked = false;
    for (size_t i = 0; i < globs.size(); ++i)
      if (llvm::any_of(names, [&](StringRef name) { return globs[i].match(name); }))
        asked = used[i] = true;
    if (asked)
      return "asked to stay high";
    if (w.getDimSize(1) < kSmall || w.getDimSize(2) < kSmall)
      return "too small";
    return "";
  }

  /// "router" or "head" where that is what reads the product; null otherwise.
  const char *roleOf(GroupedMatmulOp op) {
    auto func = op->getParentOfType<func::FuncOp>();
    bool takesIds = func && llvm::any_of(func.getArgumentTypes(), [](Type type) {
                      auto tensor = dyn_cast<RankedTensorType>(type);
                      return tensor && tensor.getElementType().isInteger() && !tensor.getElementType().isInteger(1);
                    });
    SmallVector<std::pair<Value, bool>> work = {{op.getResults()[0], true}};
    DenseSet<std::pair<Value, int>> seen;
    bool head = false;
    while (!work.empty()) {
      auto [value, alone] = work.pop_back_val();
      if (!seen.insert({value, alone}).second)
        continue;
      for (Operation *user : value.getUsers()) {
        if (auto route = dyn_cast<RouteOp>(user); (route && route.getLogits() == value) || isa<TopKOp, SortOp>(user))
          return "router";
        if (isa<func::ReturnOp>(user))
          head |= alone && takesIds;
        bool still = alone;
        if (user->getNumResults() == 1 && passesOn(user, still))
          work.push_back({user->getResult(0), still});
      }
    }
    return head ? "head" : nullptr;
  }

  /// x as it enters the products: quantized, rounded to bf16, or as it is.
  Value activation(OpBuilder &b, Location loc, Value x) {
    auto type = cast<RankedTensorType>(x.getType());
    if (activations == "f8") {
      SmallVector<int64_t> block = plain() ? SmallVector<int64_t>{0, 0} : SmallVector<int64_t>{1, kBlock};
      return QuantizeOp::create(b, loc, scaled(type, block), x);
    }
    if (activations == "f32" || type.getElementType().isBF16())
      return x;
    Type bf16 = b.getBF16Type();
    Value init = tensor::EmptyOp::create(b, loc, tensor::getMixedSizes(b, loc, x), bf16);
    AffineMap identity = b.getMultiDimIdentityMap(2);
    return linalg::GenericOp::create(b, loc, init.getType(), x, init, ArrayRef<AffineMap>{identity, identity},
                                     SmallVector<utils::IteratorType>(2, utils::IteratorType::parallel),
                                     [&](OpBuilder &inner, Location, ValueRange v) {
                                       linalg::YieldOp::create(inner, loc,
                                                               Value(arith::TruncFOp::create(inner, loc, bf16, v[0])));
                                     })
        .getResult(0);
  }

  static ScaledType scaled(ShapedType type, ArrayRef<int64_t> block) {
    MLIRContext *c = type.getContext();
    return ScaledType::get(c, type.getShape(), Float8E4M3FNType::get(c), block, Float32Type::get(c), ScaledLayout::Row);
  }

  void quantize(GroupedMatmulOp op) {
    OpBuilder b(op);
    op.getXMutable().assign(activation(b, op.getLoc(), op.getX()));
    SmallVector<Value> weights;
    for (Value weight : op.getWeights()) {
      SmallVector<int64_t> block = plain() ? SmallVector<int64_t>{1, 0, 0} : SmallVector<int64_t>{1, kBlock, kBlock};
      weights.push_back(QuantizeOp::create(b, op.getLoc(), scaled(cast<ShapedType>(weight.getType()), block), weight));
    }
    op.getWeightsMutable().assign(weights);
  }

  void printTable(ArrayRef<Row> rows) {
    llvm::raw_ostream &out = llvm::errs();
    out << llvm::formatv("{0,-40} {1,-8} {2,-18} {3,-12} {4,12} {5,12}\n", "product", "kind", "G x N x K", "recipe",
                         "bytes before", "after");
    int64_t before = 0, after = 0;
    for (const Row &row : rows) {
      out << llvm::formatv("{0,-40} {1,-8} {2,-18} {3,-12} {4,12} {5,12}\n", row.node, row.kind, row.shape, row.recipe,
                           row.before, row.after);
      before += row.before, after += row.after;
    }
    out << llvm::formatv("{0,-40} {1,-8} {2,-18} {3,-12} {4,12} {5,12}\n", "all products", "", "", "", before, after);
  }

  void runOnOperation() override {
    SmallVector<llvm::GlobPattern> globs;
    if (failed(checkOptions(globs)))
      return signalPassFailure();
    SmallVector<bool> used(globs.size(), false);
    SymbolTable symbols(getOperation());
    SmallVector<GroupedMatmulOp> chosen;
    SmallVector<Row> rows;
    getOperation().walk([&](GroupedMatmulOp op) {
      // Products that are scaled already, or are on buffers, are none of ours.
      if (isa<ScaledType>(op.getWeights().front().getType()) || !op.getWeightScales().empty() ||
          !op.getOuts().empty() || op.getPacked())
        return;
      StringRef kind;
      std::string reason = reasonToKeep(op, kind, globs, used, symbols);
      reason.empty() ? ++numQuantized : ++numKept;
      if (reason.empty())
        chosen.push_back(op);
      if (!table)
        return;
      auto w = cast<ShapedType>(op.getWeights().front().getType());
      SmallVector<StringRef> names;
      nodeNames(op.getLoc(), names);
      Row row{names.empty() ? "?" : names.front().str(), kind.str(),
              llvm::formatv("{0} x {1} x {2}", w.getDimSize(0), w.getDimSize(1), w.getDimSize(2)).str(),
              recipe.getValue()};
      auto get = op.getWeights().front().getDefiningOp<GetWeightOp>();
      auto weight = get ? symbols.lookup<WeightOp>(get.getName()) : WeightOp();
      Type element = weight ? sourceElement(weight.getRecipe()) : w.getElementType();
      row.before = row.after =
          w.getNumElements() * op.getWeights().size() * std::max(8u, element.getIntOrFloatBitWidth()) / 8;
      if (reason.empty()) {
        SmallVector<int64_t> block = plain() ? SmallVector<int64_t>{1, 0, 0} : SmallVector<int64_t>{1, kBlock, kBlock};
        row.after =
            (w.getNumElements() + 4 * scaled(w, block).getScalesType().getNumElements()) * op.getWeights().size();
      } else {
        row.recipe = "high: " + reason;
      }
      rows.push_back(row);
    });
    for (auto [text, found] : llvm::zip(keep, used))
      if (!found) {
        getOperation().emitError() << "expects '" << text
                                   << "' to name a node or weight of a product, but none matches";
        return signalPassFailure();
      }
    if (plain() && activations == "f8" && !chosen.empty())
      getOperation().emitWarning()
          << "one scale for all activations of a call: a row's result depends on the other rows of its call";
    if (table)
      printTable(rows);
    for (GroupedMatmulOp op : chosen)
      quantize(op);
    Builder b(&getContext());
    getOperation()->setAttr("moe.fp8",
                            b.getDictionaryAttr({b.getNamedAttr("activations", b.getStringAttr(activations.getValue())),
                                                 b.getNamedAttr("recipe", b.getStringAttr(recipe.getValue()))}));
  }
};
} // namespace
