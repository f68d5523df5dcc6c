//===- Quantize.cpp - 8-bit float codes and their scales ------------------===//
//
//   scales [ceil(d / block)...]   blockScale(largest magnitude of the block), from the values in f32
//   codes  [d...]                 cast(value / scale[i / block]), to nearest even, saturating
//
// The scales of a weight are computed on first use, in one pass over its values in windows, and kept: there is one for a
// block of many elements. Codes then need nothing but the values of their window.
//
//===----------------------------------------------------------------------===//
#include "Source.h"

#include <cmath>
#include <cstring>

using namespace mlir;
using namespace mlir::moe;

static Dims blockOf(RecipeAttr recipe) {
  return Dims(recipe.getParams().getAs<DenseI64ArrayAttr>("block").asArrayRef());
}

/// Calls fn(first, count, scale index) for runs along the last dim of the box's rows that belong to one block; `first` counts
/// elements of the box in row-major order.
static void forEachRun(const Box &box, ArrayRef<int64_t> block, ArrayRef<int64_t> scaleShape,
                       llvm::function_ref<void(int64_t, int64_t, int64_t)> fn) {
  if (box.volume() == 0)
    return;
  size_t rank = block.size();
  Dims strides = rowMajorStrides(scaleShape), index(box.offsets);
  auto blockAt = [&](size_t d, int64_t i) { return block[d] ? i / block[d] : 0; };
  int64_t last = box.sizes[rank - 1], begin = box.offsets[rank - 1], end = begin + last;
  for (int64_t row = 0, rows = box.volume() / last; row < rows; ++row) {
    int64_t base = 0;
    for (size_t d = 0; d + 1 < rank; ++d)
      base += blockAt(d, index[d]) * strides[d];
    for (int64_t k = begin; k < end;) {
      int64_t b = blockAt(rank - 1, k), next = block[rank - 1] ? std::min(end, (b + 1) * block[rank - 1]) : end;
      fn(row * last + k - begin, next - k, base + b);
      k = next;
    }
    for (size_t d = rank - 1; d-- > 0;) {
      if (++index[d] < box.offsets[d] + box.sizes[d])
        break;
      index[d] = box.offsets[d];
    }
  }
}

/// The values of a box of `source` in f32.
static LogicalResult readFloats(Source &source, const Box &box, std::vector<char> &raw, std::vector<float> &values) {
  int64_t count = box.volume();
  raw.resize(count * source.bytes());
  if (failed(source.read(box, raw.data())))
    return failure();
  values.resize(count);
  convertElements(source.element, raw.data(), Element::F32, reinterpret_cast<char *>(values.data()), count);
  return success();
}

namespace {

class ScalesSource final : public Source {
public:
  ScalesSource(RecipeAttr recipe, SourcePtr input)
      : Source(recipe.getType()), input(std::move(input)), block(blockOf(recipe)),
        codes(*getElement(recipe.getParams().getAs<TypeAttr>("codes").getValue())) {}

  LogicalResult read(const Box &box, char *out) override {
    if (all.empty() && failed(compute()))
      return failure();
    Dims strides = rowMajorStrides(shape);
    int64_t start = 0;
    for (auto [o, s] : llvm::zip(box.offsets, strides))
      start += o * s;
    copyStrided(bytes(), box.sizes, all.data() + start * bytes(), strides, out, rowMajorStrides(box.sizes));
    return success();
  }

private:
  static constexpr int64_t kWindow = 1 << 20; // elements read at once

  LogicalResult compute() {
    int64_t count = 1;
    for (int64_t d : shape)
      count *= d;
    std::vector<float> largest(count, 0.0f);
    if (failed(sweep(Box{Dims(input->shape.size(), 0), input->shape}, largest)))
      return failure();
    all.resize(count * bytes());
    for (int64_t i = 0; i < count; ++i)
      storeDouble(element, all.data() + i * bytes(), blockScale(codes, element, largest[i]), Overflow::Saturate);
    return success();
  }

  /// Cuts the box along its outermost dim until a part is small enough.
  LogicalResult sweep(const Box &box, std::vector<float> &largest) {
    if (box.volume() > kWindow)
      for (size_t d = 0; d < box.sizes.size(); ++d) {
        if (box.sizes[d] == 1)
          continue;
        int64_t step = std::max<int64_t>(1, kWindow / (box.volume() / box.sizes[d]));
        for (int64_t i = 0; i < box.sizes[d]; i += step) {
          Box part = box;
          part.offsets[d] += i;
          part.sizes[d] = std::min(step, box.sizes[d] - i);
          if (failed(sweep(part, largest)))
            return failure();
        }
        return success();
      }
    if (failed(readFloats(*input, box, raw, values)))
      return failure();
    forEachRun(box, block, shape, [&](int64_t first, int64_t count, int64_t scale) {
      float top = largest[scale];
      for (int64_t i = first; i < first + count; ++i) {
        float magnitude = std::fabs(values[i]);
        if (!(magnitude <= top)) // a NaN stays
          top = std::isnan(top) ? top : magnitude;
      }
      largest[scale] = top;
    });
    return success();
  }

  SourcePtr input;
  Dims block;
  Element codes;
  std::vector<char> all, raw;
  std::vector<float> values;
};

class QuantizeSource final : public Source {
public:
  QuantizeSource(RecipeAttr recipe, std::vector<SourcePtr> inputs)
      : Source(recipe.getType()), input(std::move(inputs[0])), scales(std::move(inputs[1])), block(blockOf(recipe)) {}

  LogicalResult read(const Box &box, char *out) override {
    if (box.volume() == 0)
      return success();
    // The scales of the blocks that the box touches.
    Box touched;
    for (size_t d = 0; d < block.size(); ++d) {
      int64_t first = block[d] ? box.offsets[d] / block[d] : 0,
              last = block[d] ? (box.offsets[d] + box.sizes[d] - 1) / block[d] : 0;
      touched.offsets.push_back(first);
      touched.sizes.push_back(last - first + 1);
    }
    if (failed(readFloats(*scales, touched, raw, scaleValues)) || failed(readFloats(*input, box, raw, values)))
      return failure();
    Box shifted = box;
    for (size_t d = 0; d < block.size(); ++d)
      shifted.offsets[d] -= touched.offsets[d] * block[d];
    forEachRun(shifted, block, touched.sizes, [&](int64_t first, int64_t count, int64_t scale) {
      for (int64_t i = first; i < first + count; ++i)
        out[i] = static_cast<char>(encodeFloat(element, values[i] / scaleValues[scale], Overflow::Saturate));
    });
    return success();
  }

private:
  SourcePtr input, scales;
  Dims block;
  std::vector<char> raw;
  std::vector<float> scaleValues, values;
};

} // namespace

SourcePtr moe::makeScales(RecipeAttr recipe, SourcePtr input) {
  return std::make_unique<ScalesSource>(recipe, std::move(input));
}
SourcePtr moe::makeQuantize(RecipeAttr recipe, std::vector<SourcePtr> inputs) {
  return std::make_unique<QuantizeSource>(recipe, std::move(inputs));
}
