//===- Dequantize.cpp - integer codes with scales and zero points ---------===//
//
// result[..., k] = (code[..., k] - zero_point) * scale, in f32, rounded once to the result's type.
//
//   codes   [..., K] of the bits' own integer type, or [..., ceil(K / (8 / bits))] bytes with the low bits first
//   scales  [...] or [..., 1] with block = 0; else [..., ceil(K / block)]
//   zeros   absent: `zero_point`, or 2^(bits - 1) when that is absent too; else shaped as scales, or with the last dim
//           packed as in the codes; where both shapes are one (a single block a row), packed if the codes are
//
//===----------------------------------------------------------------------===//
#include "Source.h"

#include "llvm/Support/MathExtras.h"
#include <cstring>

using namespace mlir;
using namespace mlir::moe;

namespace {

class DequantizeSource final : public Source {
public:
  DequantizeSource(RecipeAttr recipe, std::vector<SourcePtr> parts) : Source(recipe.getType()) {
    codes = std::move(parts[0]);
    scales = std::move(parts[1]);
    if (parts.size() == 3)
      zeros = std::move(parts[2]);
    DictionaryAttr params = recipe.getParams();
    bits = params.getAs<IntegerAttr>("bits").getInt();
    block = params.getAs<IntegerAttr>("block").getInt();
    auto zero = params.getAs<IntegerAttr>("zero_point");
    zeroPoint = zero ? zero.getInt() : int64_t(1) << (bits - 1);
    codesPerByte = codes->shape.back() == shape.back() ? 1 : 8 / bits;
    if (zeros) {
      // A byte that holds one zero point of fewer bits may hold anything above it.
      bool one = scales->shape.back() == 1 && codesPerByte > 1 && packedBits(zeros->element) == 8 &&
                 isUnsigned(zeros->element);
      zerosPerByte = zeros->shape.back() == scales->shape.back() && !one ? 1 : 8 / bits;
    }
  }

  LogicalResult read(const Box &box, char *out) override {
    size_t last = shape.size() - 1;
    int64_t count = box.sizes[last], begin = box.offsets[last], volume = box.volume();
    if (volume == 0)
      return success();
    int64_t rows = volume / count;
    if (failed(readAlong(*codes, box, begin, count, codesPerByte, codeValues)))
      return failure();

    // The scales of a row: its blocks; or, without blocks, one for each row.
    bool perRow = block == 0;
    int64_t firstBlock = perRow ? 0 : begin / block, blocks = perRow ? 1 : (begin + count - 1) / block - firstBlock + 1;
    bool rowsLast = perRow && scales->shape.size() < shape.size(); // [..., N]: the rows are the scales' last dim
    if (failed(readScales(*scales, box, rowsLast, firstBlock, blocks, 1, scaleBytes)))
      return failure();
    scaleValues.resize(rows * blocks);
    convertElements(scales->element, scaleBytes.data(), Element::F32, reinterpret_cast<char *>(scaleValues.data()),
                    rows * blocks);
    if (zeros && failed(readScales(*zeros, box, rowsLast, firstBlock, blocks, zerosPerByte, zeroValues)))
      return failure();

    values.resize(count);
    for (int64_t row = 0; row < rows; ++row) {
      const int8_t *code = reinterpret_cast<const int8_t *>(codeValues.data()) + row * count;
      bool signedCodes = codesPerByte == 1 && !isUnsigned(codes->element);
      for (int64_t i = 0; i < count; ++i) {
        int64_t b = perRow ? 0 : (begin + i) / block - firstBlock;
        int64_t zero = zeroPoint;
        if (zeros)
          zero = signedZeros() ? int64_t(static_cast<int8_t>(zeroValues[row * blocks + b]))
                               : int64_t(static_cast<uint8_t>(zeroValues[row * blocks + b]));
        int64_t value = signedCodes ? int64_t(code[i]) : int64_t(static_cast<uint8_t>(code[i]));
        values[i] = static_cast<float>(value - zero) * scaleValues[row * blocks + b];
      }
      convertElements(Element::F32, reinterpret_cast<const char *>(values.data()), element, out + row * count * bytes(),
                      count);
    }
    return success();
  }

private:
  bool signedZeros() const { return zerosPerByte == 1 && !isUnsigned(zeros->element); }

  /// Elements [begin, begin + count) of the last dim of `source`, `perByte` to a byte, for the box's leading dims.
  LogicalResult readAlong(Source &source, const Box &box, int64_t begin, int64_t count, int64_t perByte,
                          std::vector<char> &out) {
    Box from = box;
    int64_t first = begin / perByte, size = llvm::divideCeil(begin + count, perByte) - first;
    from.offsets.back() = first;
    from.sizes.back() = size;
    int64_t rows = box.volume() / box.sizes.back();
    out.resize(rows * count);
    if (perByte == 1)
      return source.read(from, out.data());
    packed.resize(rows * size);
    if (failed(source.read(from, packed.data())))
      return failure();
    Element code = bits == 2 ? Element::U2 : Element::U4;
    for (int64_t row = 0; row < rows; ++row)
      unpackElements(code, packed.data() + row * size, begin - first * perByte, out.data() + row * count, count);
    return success();
  }

  /// What belongs to the box's rows out of a tensor shaped as the scales.
  LogicalResult readScales(Source &source, const Box &box, bool rowsLast, int64_t firstBlock, int64_t blocks,
                           int64_t perByte, std::vector<char> &out) {
    Box from = box;
    if (rowsLast) {
      from.offsets.pop_back();
      from.sizes.pop_back();
      if (from.sizes.empty()) { // one row, one scale
        out.resize(source.bytes());
        return source.read(from, out.data());
      }
      if (perByte == 1) {
        out.resize(from.volume() * source.bytes());
        return source.read(from, out.data());
      }
      return readAlong(source, from, from.offsets.back(), from.sizes.back(), perByte, out);
    }
    if (perByte == 1) {
      from.offsets.back() = firstBlock;
      from.sizes.back() = blocks;
      out.resize(from.volume() * source.bytes());
      return source.read(from, out.data());
    }
    from.sizes.back() = blocks;
    return readAlong(source, from, firstBlock, blocks, perByte, out);
  }

  SourcePtr codes, scales, zeros;
  int64_t bits, block, zeroPoint, codesPerByte, zerosPerByte = 1;
  std::vector<char> codeValues, scaleBytes, zeroValues, packed;
  std::vector<float> scaleValues, values;
};

} // namespace

FailureOr<SourcePtr> moe::makeDequantize(RecipeAttr recipe, std::vector<SourcePtr> inputs, SourceContext &context) {
  RankedTensorType type = recipe.getType();
  auto fail = [&](const Twine &expected) {
    return context.emitError() << "expects the recipe step 'dequantize' to have " << expected.str() << ", found "
                               << recipe.getInputs().size() << " inputs to " << type << " with " << recipe.getParams();
  };
  int64_t bits = recipe.getParams().getAs<IntegerAttr>("bits").getInt();
  int64_t block = recipe.getParams().getAs<IntegerAttr>("block").getInt();
  if (bits != 2 && bits != 4 && bits != 8)
    return fail("bits of 2, 4 or 8");
  if (block < 0 || type.getRank() < 1 || !isa<FloatType>(type.getElementType()))
    return fail("a block >= 0 and a float result of rank >= 1");
  int64_t rank = type.getRank(), columns = type.getShape().back();
  ArrayRef<int64_t> lead = type.getShape().drop_back();
  auto isCode = [](const Source &source) { return !isFloat(source.element) && elementBytes(source.element) == 1; };

  const Source &codes = *inputs[0], &scales = *inputs[1];
  int64_t packedColumns = llvm::divideCeil(columns, 8 / bits);
  if (!isCode(codes) || static_cast<int64_t>(codes.shape.size()) != rank || ArrayRef(codes.shape).drop_back() != lead ||
      (codes.shape.back() != columns && (codes.shape.back() != packedColumns || packedBits(codes.element) != 8)))
    return fail("codes of at most 8 bits in the result's shape, or packed along its last dim");

  Dims expected(lead);
  if (block > 0)
    expected.push_back(llvm::divideCeil(columns, block));
  Dims withOne = expected;
  if (block == 0)
    withOne.push_back(1);
  if (!isFloat(scales.element) || (scales.shape != expected && scales.shape != withOne))
    return fail("a float scale for each row, or for each block of a row");
  if (inputs.size() == 3) {
    Dims packed(scales.shape);
    if (!packed.empty())
      packed.back() = llvm::divideCeil(packed.back(), 8 / bits);
    if (!isCode(*inputs[2]) ||
        (inputs[2]->shape != scales.shape && (inputs[2]->shape != packed || packedBits(inputs[2]->element) != 8)))
      return fail("zero points shaped as the scales, or packed along their last dim");
  }
  return SourcePtr(std::make_unique<DequantizeSource>(recipe, std::move(inputs)));
}
