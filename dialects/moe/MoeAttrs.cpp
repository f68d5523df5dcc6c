//===- MoeAttrs.cpp - weight recipes and their verifiers ------------------===//
#include "dialects/moe/Moe.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::moe;

#include "dialects/moe/MoeEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/moe/MoeAttrs.cpp.inc"

void MoeDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/moe/MoeAttrs.cpp.inc"
      >();
}

RankedTensorType moe::getRecipeType(Attribute attr) {
  if (auto piece = dyn_cast<PieceAttr>(attr))
    return piece.getType();
  if (auto recipe = dyn_cast<RecipeAttr>(attr))
    return recipe.getType();
  if (auto random = dyn_cast<RandomAttr>(attr))
    return random.getType();
  if (auto constant = dyn_cast<DenseElementsAttr>(attr))
    return dyn_cast<RankedTensorType>(constant.getType());
  return {};
}

/// Bytes of a packed tensor (sub-byte elements share bytes); nullopt on overflow.
static std::optional<int64_t> packedBytes(RankedTensorType type) {
  int64_t elements = 1;
  for (int64_t d : type.getShape())
    if (d < 0 || __builtin_mul_overflow(elements, d, &elements))
      return std::nullopt;
  int64_t bits;
  unsigned width = type.getElementType().isInteger(1) ? 8 : type.getElementTypeBitWidth();
  if (__builtin_mul_overflow(elements, static_cast<int64_t>(width), &bits))
    return std::nullopt;
  return (bits + 7) / 8;
}

LogicalResult RandomAttr::verify(function_ref<InFlightDiagnostic()> emitError, Distribution distribution,
                                 FloatAttr first, FloatAttr second, int64_t seed, RankedTensorType type) {
  Type element = type.getElementType();
  if (!type.hasStaticShape() ||
      !(element.isF32() || element.isF16() || element.isBF16() || isa<Float8E4M3FNType, Float8E5M2Type>(element)))
    return emitError() << "expects random values to have a static type of f32, f16, bf16, f8E4M3FN or f8E5M2, found "
                       << type;
  if (!first.getType().isF32() || !second.getType().isF32() || !first.getValue().isFinite() ||
      !second.getValue().isFinite() || (distribution == Distribution::Normal && second.getValue().isNegative()))
    return emitError() << "expects " << stringifyDistribution(distribution) << " random values to have two finite f32"
                       << (distribution == Distribution::Normal ? ", the second not negative" : "") << ", found "
                       << first << " and " << second;
  return success();
}

LogicalResult PieceAttr::verify(function_ref<InFlightDiagnostic()> emitError, StringRef file, int64_t offset,
                                int64_t size, RankedTensorType type) {
  if (!type.hasStaticShape() || !type.getElementType().isIntOrFloat())
    return emitError() << "expects a piece to have a static tensor type of integers or floats, found " << type;
  std::optional<int64_t> bytes = packedBytes(type);
  if (offset < 0 || !bytes || *bytes != size)
    return emitError() << "expects the piece of '" << file << "' to have "
                       << (bytes ? std::to_string(*bytes) : "a representable number of") << " bytes for " << type
                       << " at an offset >= 0, found " << size << " bytes at " << offset;
  return success();
}

static std::optional<SmallVector<int64_t>> arrayParam(DictionaryAttr params, StringRef name) {
  auto array = params.getAs<DenseI64ArrayAttr>(name);
  if (!array)
    return std::nullopt;
  return SmallVector<int64_t>(array.asArrayRef());
}

LogicalResult RecipeAttr::verify(function_ref<InFlightDiagnostic()> emitError, RecipeStep step, DictionaryAttr params,
                                 ArrayAttr inputs, RankedTensorType type) {
  if (inputs.empty() || !type.hasStaticShape())
    return emitError() << "expects a recipe to have inputs and a static type, found " << inputs.size() << " inputs and "
                       << type;
  SmallVector<RankedTensorType> types;
  for (Attribute input : inputs) {
    types.push_back(getRecipeType(input));
    if (!types.back())
      return emitError() << "expects the inputs of a recipe to be pieces or recipes, found " << input;
  }
  auto fail = [&](const Twine &expected) {
    return emitError() << "expects the recipe step '" << stringifyRecipeStep(step) << "' to have " << expected.str()
                       << ", found " << type << " from " << types.front() << " with " << params;
  };
  auto first = types.front();
  bool sameElement = first.getElementType() == type.getElementType();
  switch (step) {
  case RecipeStep::Cast:
    return types.size() == 1 && first.getShape() == type.getShape() ? success() : fail("one input of the same shape");
  case RecipeStep::Transpose: {
    auto perm = arrayParam(params, "permutation");
    if (types.size() != 1 || !sameElement || !perm || !isPermutationVector(*perm) ||
        static_cast<int64_t>(perm->size()) != first.getRank() ||
        applyPermutation(first.getShape(), *perm) != SmallVector<int64_t>(type.getShape()))
      return fail("a permutation of its one input");
    return success();
  }
  case RecipeStep::Reshape:
    return types.size() == 1 && sameElement && first.getNumElements() == type.getNumElements()
               ? success()
               : fail("one input with as many elements");
  case RecipeStep::Slice: {
    auto offsets = arrayParam(params, "offsets"), sizes = arrayParam(params, "sizes"),
         strides = arrayParam(params, "strides");
    if (types.size() != 1 || !sameElement || !offsets || !sizes || !strides ||
        ArrayRef<int64_t>(*sizes) != type.getShape() || offsets->size() != sizes->size() ||
        strides->size() != sizes->size() || static_cast<int64_t>(sizes->size()) != first.getRank())
      return fail("offsets, sizes and strides for each dim of its one input");
    for (auto [o, n, s, d] : llvm::zip(*offsets, *sizes, *strides, first.getShape()))
      // The last element is (n - 1) * s after the first; divide instead, since a product may overflow.
      if (o < 0 || s < 1 || (n > 0 && (o >= d || (n - 1) > (d - 1 - o) / s)))
        return fail("a slice within its input");
    return success();
  }
  case RecipeStep::Concat: {
    auto axis = params.getAs<IntegerAttr>("axis");
    if (!axis || axis.getInt() < 0 || axis.getInt() >= type.getRank())
      return fail("an axis below the rank");
    int64_t total = 0, at = axis.getInt();
    for (RankedTensorType input : types) {
      if (input.getRank() != type.getRank() || input.getElementType() != type.getElementType())
        return fail("inputs of one rank and element type");
      for (int64_t i = 0; i < type.getRank(); ++i)
        if (i != at && input.getDimSize(i) != type.getDimSize(i))
          return fail("inputs that agree outside the axis");
      total += input.getDimSize(at);
    }
    return total == type.getDimSize(at) ? success() : fail("inputs that add up along the axis");
  }
  case RecipeStep::Dequantize:
    return types.size() >= 2 && types.size() <= 3 && params.getAs<IntegerAttr>("bits") &&
                   params.getAs<IntegerAttr>("block")
               ? success()
               : fail("codes, scales and perhaps zero points, with 'bits' and 'block'");
  case RecipeStep::Pack: {
    auto panel = params.getAs<IntegerAttr>("panel");
    int64_t r = first.getRank();
    if (types.size() != 1 || !panel || panel.getInt() < 1 || r < 2 || type.getRank() != r + 1 || !sameElement ||
        type.getDimSize(r) != panel.getInt() || type.getDimSize(r - 1) != first.getDimSize(r - 1) ||
        type.getDimSize(r - 2) != static_cast<int64_t>(llvm::divideCeil(first.getDimSize(r - 2), panel.getInt())) ||
        type.getShape().drop_back(3) != first.getShape().drop_back(2))
      return fail("[..., N, K] packed to [..., ceil(N/panel), K, panel]");
    return success();
  }
  case RecipeStep::Scales: {
    auto block = arrayParam(params, "block");
    auto codes = params.getAs<TypeAttr>("codes");
    if (types.size() != 1 || !isa<FloatType>(first.getElementType()) || !block || !codes ||
        !isa<Float8E4M3FNType, Float8E5M2Type>(codes.getValue()) ||
        static_cast<int64_t>(block->size()) != first.getRank() ||
        llvm::any_of(*block, [](int64_t b) { return b < 0; }) ||
        ArrayRef<int64_t>(getScaleShape(first.getShape(), *block)) != type.getShape() ||
        (!type.getElementType().isF32() && !isa<Float8E8M0FNUType>(type.getElementType())))
      return fail(
          "floats, a 'block' for each dim, the type of the 'codes', and scales of f32 or f8E8M0FNU for each block");
    return success();
  }
  case RecipeStep::Quantize: {
    auto block = arrayParam(params, "block");
    auto scales = types.size() == 2 ? dyn_cast<RecipeAttr>(inputs[1]) : RecipeAttr();
    // Codes are made with the scales that are stored beside them: rounding them in between does not verify.
    if (!scales || scales.getStep() != RecipeStep::Scales || scales.getInputs()[0] != inputs[0] || !block ||
        scales.getParams().get("block") != params.get("block") ||
        scales.getParams().getAs<TypeAttr>("codes").getValue() != type.getElementType() ||
        first.getShape() != type.getShape())
      return fail("values and the scales of these values with the same block and type of codes");
    return success();
  }
  case RecipeStep::TileVectors: {
    int64_t n = static_cast<int64_t>(types.size());
    auto bits = params.getAs<IntegerAttr>("bits");
    if (!bits || (bits.getInt() != 8 && bits.getInt() != 16))
      return fail("bits of 8 or 16");
    if (n < 1 || n > 2 || first.getRank() != 2 || types[n - 1] != first || !first.getElementType().isF32() ||
        !type.getElementType().isF32() ||
        type.getShape() != ArrayRef<int64_t>{first.getDimSize(0), (first.getDimSize(1) * n + 255) / 256, 256})
      return fail("one vector [E, N] of f32 or two, and tiles of 256 of them");
    return success();
  }
  case RecipeStep::TileRows:
  case RecipeStep::TileScales: {
    bool rows = step == RecipeStep::TileRows;
    int64_t n = static_cast<int64_t>(types.size());
    auto up = [](int64_t a, int64_t by) { return (a + by - 1) / by; };
    if (n < 1 || n > 2 || first.getRank() != 3 || types[n - 1] != first ||
        type.getElementType() != first.getElementType())
      return fail("one matrix [E, N, K] or two of one type, and a result of its elements");
    ArrayRef<int64_t> in = first.getShape();
    int64_t bits = first.getElementTypeBitWidth(), depth = bits == 16 ? 64 : 128; // 128 bytes
    SmallVector<int64_t> wanted = rows ? SmallVector<int64_t>{in[0], up(in[1] * n, 256), up(in[2], depth), 256, depth}
                                       : SmallVector<int64_t>{in[0], up(in[1] * n, 2), up(2 * in[2], 4) * 4};
    if (rows ? bits != 8 && bits != 16 : !first.getElementType().isF32())
      return fail(rows ? "elements of 8 or 16 bits" : "scales of f32");
    if (ArrayRef<int64_t>(wanted) != type.getShape())
      return fail("tiles of 256 rows of 128 bytes, or the scales of each tile's halves");
    return success();
  }
  }
  return success();
}

Attribute moe::getScalesRecipe(Attribute attr) {
  while (auto recipe = dyn_cast_or_null<RecipeAttr>(attr)) {
    if (recipe.getStep() == RecipeStep::Quantize)
      return recipe.getInputs()[1];
    if (recipe.getStep() != RecipeStep::Pack && recipe.getStep() != RecipeStep::Reshape)
      return {};
    attr = recipe.getInputs()[0];
  }
  return {};
}
