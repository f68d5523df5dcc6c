//===- Random.cpp - weights whose values nobody ships ---------------------===//
#include "moe/Weights/Random.h"

#include "llvm/Support/xxhash.h"

#include <cmath>

using namespace mlir;
using namespace mlir::moe;

/// Deviation of codes of 8 bits: blocks of normal values that are scaled to fill the range have about this one.
static constexpr double kCodeDeviation = 112;

static RandomAttr makeRandom(Distribution distribution, double first, double second, StringRef name, int64_t number,
                             RankedTensorType type) {
  Builder b(type.getContext());
  uint64_t seed = llvm::xxh3_64bits((name + "#" + Twine(number)).str());
  return RandomAttr::get(b.getContext(), distribution, b.getF32FloatAttr(first), b.getF32FloatAttr(second),
                         static_cast<int64_t>(seed), type);
}

static bool canBeRandom(Type element) {
  return element.isF32() || element.isF16() || element.isBF16() || isa<Float8E4M3FNType, Float8E5M2Type>(element);
}

/// Of a matrix in its last two dims; vectors are small against what they are added to.
static double deviationOf(RankedTensorType type) {
  int64_t rank = type.getRank();
  return rank < 2 ? 0.02 : std::sqrt(2.0 / std::max<int64_t>(1, type.getDimSize(rank - 1) + type.getDimSize(rank - 2)));
}

static Attribute randomize(Attribute recipe, StringRef name, bool isGain, int64_t &number) {
  RankedTensorType type = getRecipeType(recipe);
  auto step = dyn_cast<RecipeAttr>(recipe);
  if (isa<PieceAttr>(recipe) || (step && step.getStep() == RecipeStep::Dequantize)) {
    if (!canBeRandom(type.getElementType()))
      return recipe;
    return isGain ? makeRandom(Distribution::Uniform, 0.75, 1.25, name, number++, type)
                  : makeRandom(Distribution::Normal, 0, deviationOf(type), name, number++, type);
  }
  if (!step)
    return recipe;
  SmallVector<Attribute> inputs;
  for (Attribute input : step.getInputs())
    inputs.push_back(randomize(input, name, isGain, number));
  return RecipeAttr::get(recipe.getContext(), step.getStep(), step.getParams(),
                         ArrayAttr::get(recipe.getContext(), inputs), type);
}

Attribute moe::randomizePieces(Attribute recipe, StringRef name, bool isGain) {
  int64_t number = 0;
  return randomize(recipe, name, isGain, number);
}

namespace {
/// What a recipe is made of.
struct Parts {
  RandomAttr random; ///< the first random values
  bool scales = false, others = false;
};
} // namespace

static void collect(Attribute recipe, Parts &parts) {
  if (auto random = dyn_cast<RandomAttr>(recipe)) {
    if (!parts.random)
      parts.random = random;
    return;
  }
  auto step = dyn_cast<RecipeAttr>(recipe);
  if (!step) {
    parts.others = true;
    return;
  }
  // The scales of codes stand beneath the codes too; the outermost steps say what this is.
  parts.scales |= stringifyRecipeStep(step.getStep()) == "scales";
  for (Attribute input : step.getInputs()) {
    collect(input, parts);
    if (stringifyRecipeStep(step.getStep()) == "quantize")
      return;
  }
}

std::optional<RandomAttr> moe::drawInstead(Attribute recipe, StringRef name) {
  if (auto random = dyn_cast<RandomAttr>(recipe))
    return random;
  RankedTensorType type = getRecipeType(recipe);
  Parts parts;
  collect(recipe, parts);
  if (!parts.random || parts.others || !canBeRandom(type.getElementType()))
    return std::nullopt;
  double first = parts.random.getFirst().getValueAsDouble(), second = parts.random.getSecond().getValueAsDouble();
  bool normal = parts.random.getDistribution() == Distribution::Normal;
  if (isa<FloatType>(type.getElementType()) && type.getElementTypeBitWidth() == 8 &&
      parts.random.getType().getElementTypeBitWidth() > 8)
    return makeRandom(Distribution::Normal, 0, kCodeDeviation, name, 0, type);
  if (parts.scales) {
    double scale = (normal ? second : std::max(std::abs(first), std::abs(second)) / 2) / kCodeDeviation;
    return makeRandom(Distribution::Uniform, 0.75 * scale, 1.25 * scale, name, 0, type);
  }
  return makeRandom(parts.random.getDistribution(), first, second, name, 0, type);
}
