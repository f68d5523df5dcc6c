//===- WeightReader.cpp - evaluates weight recipes from files -------------===//
#include "moe/Weights/WeightReader.h"

#include "Source.h"

using namespace mlir;
using namespace mlir::moe;

static constexpr int64_t kWindow = 2 << 20;           // bytes of the result computed at once
static constexpr int64_t kTransposeWindow = 16 << 20; // wider runs where a transpose reads columns
static constexpr int kMaxDepth = 256;                 // nested steps

static FailureOr<SourcePtr> build(Attribute attr, SourceContext &context, int depth) {
  if (depth > kMaxDepth)
    return context.emitError() << "expects at most " << kMaxDepth << " nested steps in a weight recipe";
  RankedTensorType type = getRecipeType(attr);
  if (!type)
    return context.emitError() << "expects a weight to be a #moe.piece, #moe.recipe or #moe.random, found " << attr;
  if (!getElement(type.getElementType()))
    return context.emitError() << "expects a weight of a number type of 1, 2, 4, 8, 16, 32 or 64 bits, found " << type;
  if (auto piece = dyn_cast<PieceAttr>(attr)) {
    if (failed(context.files.open(piece.getFile(), piece.getOffset(), piece.getSize(), context.emitError)))
      return failure();
    return makePiece(piece, context);
  }
  if (auto random = dyn_cast<RandomAttr>(attr))
    return makeRandom(random);
  if (auto constant = dyn_cast<DenseElementsAttr>(attr)) {
    if (type.getElementTypeBitWidth() < 8)
      return context.emitError() << "expects an inline constant in a recipe to have elements of whole bytes, found "
                                 << type;
    return makeConstant(constant);
  }
  auto recipe = cast<RecipeAttr>(attr);
  std::vector<SourcePtr> inputs;
  for (Attribute input : recipe.getInputs()) {
    FailureOr<SourcePtr> source = build(input, context, depth + 1);
    if (failed(source))
      return failure();
    inputs.push_back(std::move(*source));
  }
  switch (recipe.getStep()) {
  case RecipeStep::Cast:
    return makeCast(recipe, std::move(inputs[0]));
  case RecipeStep::Transpose:
    context.transposes = true;
    return makeTranspose(recipe, std::move(inputs[0]));
  case RecipeStep::Reshape:
    return makeReshape(recipe, std::move(inputs[0]));
  case RecipeStep::Slice:
    return makeSlice(recipe, std::move(inputs[0]));
  case RecipeStep::Concat:
    return makeConcat(recipe, std::move(inputs));
  case RecipeStep::Dequantize:
    return makeDequantize(recipe, std::move(inputs), context);
  case RecipeStep::TileRows:
    return makeTileRows(recipe, std::move(inputs));
  case RecipeStep::TileScales:
    return makeTileScales(recipe, std::move(inputs));
  case RecipeStep::TileVectors:
    return makeTileVectors(recipe, std::move(inputs));
  case RecipeStep::Pack:
    return makePack(recipe, std::move(inputs[0]));
  case RecipeStep::Scales:
    return makeScales(recipe, std::move(inputs[0]));
  case RecipeStep::Quantize:
    return makeQuantize(recipe, std::move(inputs));
  }
  return context.emitError() << "expects a known recipe step, found " << attr;
}

FailureOr<SourcePtr> moe::buildSource(Attribute recipe, SourceContext &context) { return build(recipe, context, 0); }

WeightReader::WeightReader(StringRef folder) : files(std::make_unique<FileSet>(folder)) {}
WeightReader::~WeightReader() = default;

int64_t WeightReader::byteSize(RankedTensorType type) {
  std::optional<Element> element = getElement(type.getElementType());
  return element ? packedBytes(*element, type.getNumElements()) : 0;
}

LogicalResult WeightReader::check(Attribute recipe, EmitError emitError) {
  SourceContext context{*files, emitError};
  return success(succeeded(buildSource(recipe, context)));
}

LogicalResult WeightReader::read(Attribute recipe, MutableArrayRef<char> out, EmitError emitError) {
  size_t at = 0;
  return stream(
      recipe,
      [&](ArrayRef<char> bytes) -> LogicalResult {
        if (bytes.size() > out.size() - at)
          return emitError() << "expects a buffer for all bytes of the weight, found " << out.size();
        std::memcpy(out.data() + at, bytes.data(), bytes.size());
        at += bytes.size();
        return success();
      },
      emitError);
}

namespace {
/// Cuts a tensor into boxes that are consecutive in row-major order and hold at most about `limit` elements.
class Windows {
public:
  Windows(const Dims &shape, int64_t limit) : shape(shape) {
    split = static_cast<int64_t>(shape.size()) - 1;
    int64_t inner = 1;
    while (split > 0 && inner * shape[split] <= limit)
      inner *= shape[split--];
    step = split >= 0 ? std::clamp<int64_t>(limit / std::max<int64_t>(inner, 1), 1, std::max<int64_t>(shape[split], 1))
                      : 1;
    box.offsets.assign(shape.size(), 0);
    box.sizes.assign(shape.size(), 1);
    for (int64_t d = split + 1; d < static_cast<int64_t>(shape.size()); ++d)
      box.sizes[d] = shape[d];
    done = llvm::is_contained(shape, 0);
    limitSize();
  }
  bool finished() const { return done; }
  const Box &current() const { return box; }
  void next() {
    if (split < 0) {
      done = true;
      return;
    }
    box.offsets[split] += box.sizes[split];
    for (int64_t d = split; box.offsets[d] >= shape[d]; --d) {
      if (d == 0) {
        done = true;
        return;
      }
      box.offsets[d] = 0;
      ++box.offsets[d - 1];
    }
    limitSize();
  }

private:
  void limitSize() {
    if (split >= 0 && !done)
      box.sizes[split] = std::min(step, shape[split] - box.offsets[split]);
  }
  Dims shape;
  int64_t split, step;
  Box box;
  bool done = false;
};
} // namespace

LogicalResult WeightReader::stream(Attribute recipe, Sink sink, EmitError emitError) {
  SourceContext context{*files, emitError};
  FailureOr<SourcePtr> built = buildSource(recipe, context);
  if (failed(built))
    return failure();
  Source &source = **built;
  unsigned bytes = source.bytes();
  unsigned perByte = std::max(1u, 8 / packedBits(source.element));
  std::vector<char> window, pending; // pending: elements that do not fill a byte yet
  for (Windows boxes(source.shape, (context.transposes ? kTransposeWindow : kWindow) / bytes); !boxes.finished();
       boxes.next()) {
    int64_t count = boxes.current().volume();
    window.resize(count * bytes);
    if (failed(source.read(boxes.current(), window.data())))
      return failure();
    if (perByte == 1) {
      if (failed(sink(ArrayRef<char>(window.data(), window.size()))))
        return failure();
      continue;
    }
    pending.insert(pending.end(), window.begin(), window.end());
    int64_t whole = pending.size() / perByte * perByte;
    window.resize(whole / perByte);
    packElements(source.element, pending.data(), window.data(), whole);
    pending.erase(pending.begin(), pending.begin() + whole);
    if (failed(sink(ArrayRef<char>(window.data(), window.size()))))
      return failure();
  }
  if (pending.empty())
    return success();
  char last;
  packElements(source.element, pending.data(), &last, pending.size());
  return sink(ArrayRef<char>(&last, 1));
}
