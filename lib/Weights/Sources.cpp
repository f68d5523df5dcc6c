//===- Sources.cpp - pieces of files, casts, transposes, slices, concats --===//
#include "Source.h"
#include "moe/Weights/Random.h"
#include "runtime/include/moe/runtime.h"

#include <cstring>

using namespace mlir;
using namespace mlir::moe;

namespace {

//===----------------------------------------------------------------------===//
// Piece: runs of consecutive elements of a file
//===----------------------------------------------------------------------===//

class PieceSource final : public Source {
public:
  PieceSource(PieceAttr piece, SourceContext &context)
      : Source(piece.getType()), file(piece.getFile()), offset(piece.getOffset()), context(context),
        bits(packedBits(element)) {}

  LogicalResult read(const Box &box, char *out) override {
    if (box.volume() == 0)
      return success();
    Dims strides = rowMajorStrides(shape);
    // Dims that the box covers whole belong to one run of elements.
    int64_t first = static_cast<int64_t>(shape.size()), run = 1;
    while (first > 0) {
      --first;
      run *= box.sizes[first];
      if (box.sizes[first] != shape[first])
        break;
    }
    int64_t start = 0;
    for (auto [o, s] : llvm::zip(box.offsets, strides))
      start += o * s;
    // Rows: the innermost dim outside the run, read together where the gaps between its runs are small.
    int64_t rowDim = first - 1;
    while (rowDim >= 0 && box.sizes[rowDim] == 1)
      --rowDim;
    int64_t rows = rowDim < 0 ? 1 : box.sizes[rowDim], stride = rowDim < 0 ? run : strides[rowDim];
    int64_t outer = 1;
    for (int64_t d = 0; d < rowDim; ++d)
      outer *= box.sizes[d];
    Dims index(std::max<int64_t>(rowDim, 0), 0);
    for (int64_t i = 0; i < outer; ++i) {
      int64_t at = start;
      for (int64_t d = 0; d < rowDim; ++d)
        at += index[d] * strides[d];
      if (failed(readRows(at, rows, stride, run, out)))
        return failure();
      out += rows * run * bytes();
      for (int64_t d = rowDim - 1; d >= 0 && ++index[d] == box.sizes[d]; --d)
        index[d] = 0;
    }
    return success();
  }

private:
  static constexpr int64_t kCover = 1 << 20; // bytes read at once to cover gaps
  static constexpr int64_t kRun = 1 << 14;   // runs from this many bytes on are read by themselves

  /// `rows` runs of `run` elements, `stride` elements apart.
  LogicalResult readRows(int64_t at, int64_t rows, int64_t stride, int64_t run, char *out) {
    int64_t runBytes = run * bytes(), strideBytes = stride * bytes();
    if (rows == 1 || runBytes >= kRun || strideBytes > 4 * runBytes || strideBytes > kCover) {
      for (int64_t r = 0; r < rows; ++r)
        if (failed(readRun(at + r * stride, run, out + r * runBytes)))
          return failure();
      return success();
    }
    int64_t together = std::max<int64_t>(1, kCover / strideBytes);
    cover.resize(together * strideBytes);
    for (int64_t r = 0; r < rows; r += together) {
      int64_t n = std::min(together, rows - r);
      if (failed(readRun(at + r * stride, (n - 1) * stride + run, cover.data())))
        return failure();
      copyStrided(bytes(), {n, run}, cover.data(), {stride, 1}, out + r * runBytes, {run, 1});
    }
    return success();
  }

  LogicalResult readRun(int64_t at, int64_t count, char *out) {
    if (bits >= 8)
      return context.files.read(file, offset + at * (bits / 8), count * (bits / 8), out, context.emitError);
    int64_t perByte = 8 / bits, from = at / perByte, to = (at + count + perByte - 1) / perByte;
    packed.resize(to - from);
    if (failed(context.files.read(file, offset + from, to - from, packed.data(), context.emitError)))
      return failure();
    unpackElements(element, packed.data(), at % perByte, out, count);
    return success();
  }

  StringRef file;
  int64_t offset;
  SourceContext &context;
  unsigned bits;
  std::vector<char> cover, packed;
};

//===----------------------------------------------------------------------===//
// Steps with one input
//===----------------------------------------------------------------------===//

class CastSource final : public Source {
public:
  CastSource(RecipeAttr recipe, SourcePtr input) : Source(recipe.getType()), input(std::move(input)) {}
  LogicalResult read(const Box &box, char *out) override {
    if (input->element == element)
      return input->read(box, out);
    int64_t count = box.volume();
    buffer.resize(count * input->bytes());
    if (failed(input->read(box, buffer.data())))
      return failure();
    convertElements(input->element, buffer.data(), element, out, count);
    return success();
  }

private:
  SourcePtr input;
  std::vector<char> buffer;
};

class TransposeSource final : public Source {
public:
  TransposeSource(RecipeAttr recipe, SourcePtr input)
      : Source(recipe.getType()), input(std::move(input)),
        permutation(recipe.getParams().getAs<DenseI64ArrayAttr>("permutation").asArrayRef()) {}
  LogicalResult read(const Box &box, char *out) override {
    Box from{Dims(shape.size()), Dims(shape.size())};
    for (auto [i, p] : llvm::enumerate(permutation)) {
      from.offsets[p] = box.offsets[i];
      from.sizes[p] = box.sizes[i];
    }
    buffer.resize(box.volume() * bytes());
    if (failed(input->read(from, buffer.data())))
      return failure();
    Dims strides = rowMajorStrides(from.sizes), permuted(shape.size());
    for (auto [i, p] : llvm::enumerate(permutation))
      permuted[i] = strides[p];
    copyStrided(bytes(), box.sizes, buffer.data(), permuted, out, rowMajorStrides(box.sizes));
    return success();
  }

private:
  SourcePtr input;
  Dims permutation;
  std::vector<char> buffer;
};

class SliceSource final : public Source {
public:
  SliceSource(RecipeAttr recipe, SourcePtr input)
      : Source(recipe.getType()), input(std::move(input)),
        offsets(recipe.getParams().getAs<DenseI64ArrayAttr>("offsets").asArrayRef()),
        strides(recipe.getParams().getAs<DenseI64ArrayAttr>("strides").asArrayRef()) {}
  LogicalResult read(const Box &box, char *out) override {
    Box cover{Dims(shape.size()), Dims(shape.size())};
    bool dense = true;
    for (size_t i = 0; i < shape.size(); ++i) {
      cover.offsets[i] = offsets[i] + box.offsets[i] * strides[i];
      cover.sizes[i] = box.sizes[i] ? (box.sizes[i] - 1) * strides[i] + 1 : 0;
      dense &= cover.sizes[i] == box.sizes[i];
    }
    if (dense)
      return input->read(cover, out);
    // Read what covers the slice and pick; one index of a dim at a time where that would be much more than is used.
    int64_t volume = box.volume();
    if (cover.volume() > 4 * volume && volume > 1)
      for (size_t i = 0; i < shape.size(); ++i)
        if (box.sizes[i] > 1 && strides[i] > 1)
          return readOneByOne(box, i, out);
    buffer.resize(cover.volume() * bytes());
    if (failed(input->read(cover, buffer.data())))
      return failure();
    Dims step = rowMajorStrides(cover.sizes);
    for (size_t i = 0; i < shape.size(); ++i)
      step[i] *= strides[i];
    copyStrided(bytes(), box.sizes, buffer.data(), step, out, rowMajorStrides(box.sizes));
    return success();
  }

private:
  LogicalResult readOneByOne(const Box &box, size_t dim, char *out) {
    Box part = box;
    part.sizes[dim] = 1;
    std::vector<char> one(part.volume() * bytes());
    Dims outStrides = rowMajorStrides(box.sizes), partStrides = rowMajorStrides(part.sizes);
    for (int64_t i = 0; i < box.sizes[dim]; ++i) {
      part.offsets[dim] = box.offsets[dim] + i;
      if (failed(read(part, one.data())))
        return failure();
      copyStrided(bytes(), part.sizes, one.data(), partStrides, out + i * outStrides[dim] * bytes(), outStrides);
    }
    return success();
  }

  SourcePtr input;
  Dims offsets, strides;
  std::vector<char> buffer;
};

//===----------------------------------------------------------------------===//
// Concat
//===----------------------------------------------------------------------===//

class ConcatSource final : public Source {
public:
  ConcatSource(RecipeAttr recipe, std::vector<SourcePtr> parts)
      : Source(recipe.getType()), inputs(std::move(parts)),
        axis(recipe.getParams().getAs<IntegerAttr>("axis").getInt()) {
    for (const SourcePtr &input : inputs)
      ends.push_back((ends.empty() ? 0 : ends.back()) + input->shape[axis]);
  }
  LogicalResult read(const Box &box, char *out) override {
    int64_t begin = box.offsets[axis], end = begin + box.sizes[axis];
    bool outermost = llvm::all_of(llvm::ArrayRef(box.sizes).take_front(axis), [](int64_t n) { return n == 1; });
    Dims outStrides = rowMajorStrides(box.sizes);
    size_t i = std::upper_bound(ends.begin(), ends.end(), begin) - ends.begin();
    for (; begin < end; ++i) {
      int64_t start = ends[i] - inputs[i]->shape[axis];
      Box part = box;
      part.offsets[axis] = begin - start;
      part.sizes[axis] = std::min(end, ends[i]) - begin;
      if (part.sizes[axis] == 0)
        continue;
      char *at = out + (begin - box.offsets[axis]) * outStrides[axis] * bytes();
      if (outermost) {
        if (failed(inputs[i]->read(part, at)))
          return failure();
      } else {
        buffer.resize(part.volume() * bytes());
        if (failed(inputs[i]->read(part, buffer.data())))
          return failure();
        copyStrided(bytes(), part.sizes, buffer.data(), rowMajorStrides(part.sizes), at, outStrides);
      }
      begin += part.sizes[axis];
    }
    return success();
  }

private:
  std::vector<SourcePtr> inputs;
  std::vector<int64_t> ends;
  int64_t axis;
  std::vector<char> buffer;
};

//===----------------------------------------------------------------------===//
// Pack: [..., N, K] -> [..., ceil(N/panel), K, panel]
//===----------------------------------------------------------------------===//

class PackSource final : public Source {
public:
  PackSource(RecipeAttr recipe, SourcePtr input) : Source(recipe.getType()), input(std::move(input)) {}
  LogicalResult read(const Box &box, char *out) override {
    size_t rank = shape.size(), p = rank - 3, k = rank - 2, q = rank - 1;
    int64_t panel = shape[q], rows = input->shape[p];
    bool whole = box.sizes[q] == panel;
    Dims outStrides = rowMajorStrides(box.sizes);
    // Whole panels come from one range of rows; parts of panels from a range each.
    int64_t step = whole ? box.sizes[p] : 1;
    for (int64_t i = 0; i < box.sizes[p]; i += step) {
      int64_t first = (box.offsets[p] + i) * panel + box.offsets[q];
      int64_t wanted = whole ? step * panel : box.sizes[q];
      int64_t there = std::clamp<int64_t>(rows - first, 0, wanted);
      char *at = out + i * outStrides[p] * bytes();
      if (there < wanted)
        clear(box, step, at, outStrides);
      Box from;
      from.offsets.assign(box.offsets.begin(), box.offsets.begin() + p);
      from.sizes.assign(box.sizes.begin(), box.sizes.begin() + p);
      from.offsets.append({first, box.offsets[k]});
      from.sizes.append({there, box.sizes[k]});
      if (from.volume() == 0)
        continue;
      buffer.resize(from.volume() * bytes());
      if (failed(input->read(from, buffer.data())))
        return failure();
      Dims inStrides = rowMajorStrides(from.sizes);
      int64_t full = whole ? there / panel : 0, rest = there - full * panel;
      if (full)
        copyPanels(box, full, panel, buffer.data(), inStrides, at, outStrides);
      if (rest)
        copyPanels(box, 1, rest, buffer.data() + full * panel * inStrides[p] * bytes(), inStrides,
                   at + full * outStrides[p] * bytes(), outStrides);
    }
    return success();
  }

private:
  /// `panels` panels of `columns` rows each, for all leading indices of the box.
  void copyPanels(const Box &box, int64_t panels, int64_t columns, const char *in, ArrayRef<int64_t> inStrides,
                  char *out, ArrayRef<int64_t> outStrides) {
    size_t p = shape.size() - 3;
    Dims sizes(box.sizes.begin(), box.sizes.begin() + p), from(inStrides.begin(), inStrides.begin() + p),
        to(outStrides.begin(), outStrides.begin() + p);
    sizes.append({panels, columns, box.sizes[p + 1]});
    from.append({inStrides[p] * shape[p + 2], inStrides[p], 1});
    to.append({outStrides[p], outStrides[p + 2], outStrides[p + 1]});
    copyStrided(bytes(), sizes, in, from, out, to);
  }
  void clear(const Box &box, int64_t panels, char *out, ArrayRef<int64_t> outStrides) {
    size_t p = shape.size() - 3;
    int64_t outer = 1;
    for (size_t d = 0; d < p; ++d)
      outer *= box.sizes[d];
    int64_t outerStride = p ? outStrides[p - 1] : 0; // leading dims are dense
    for (int64_t i = 0; i < outer; ++i)
      std::memset(out + i * outerStride * bytes(), 0, panels * outStrides[p] * bytes());
  }

  SourcePtr input;
  std::vector<char> buffer;
};

//===----------------------------------------------------------------------===//
// Random values
//===----------------------------------------------------------------------===//

class RandomSource final : public Source {
public:
  explicit RandomSource(RandomAttr attr)
      : Source(attr.getType()), random(getRandom(attr)), dtype(getRandomDtype(attr)) {}
  LogicalResult read(const Box &box, char *out) override {
    int64_t rank = shape.size(), run = rank ? box.sizes[rank - 1] : 1, count = box.volume();
    Dims strides = rowMajorStrides(shape), index(rank, 0);
    for (int64_t done = 0; done < count; done += run) {
      int64_t at = 0;
      for (int64_t d = 0; d < rank; ++d)
        at += (box.offsets[d] + index[d]) * strides[d];
      for (int64_t i = 0; i < run; ++i) {
        uint32_t value = moe_random_element(&random, dtype, at + i);
        std::memcpy(out, &value, bytes());
        out += bytes();
      }
      for (int64_t d = rank - 2; d >= 0 && ++index[d] == box.sizes[d]; --d)
        index[d] = 0;
    }
    return success();
  }

private:
  moe_random_t random;
  uint32_t dtype;
};

//===----------------------------------------------------------------------===//
// Constant: the few elements of a tensor that stayed inline
//===----------------------------------------------------------------------===//

class ConstantSource final : public Source {
public:
  explicit ConstantSource(DenseElementsAttr elements) : Source(cast<RankedTensorType>(elements.getType())) {
    ArrayRef<char> raw = elements.getRawData();
    for (int64_t i = 0, n = elements.isSplat() ? elements.getNumElements() : 1; i < n; ++i)
      data.insert(data.end(), raw.begin(), raw.end());
  }
  LogicalResult read(const Box &box, char *out) override {
    Dims strides = rowMajorStrides(shape);
    int64_t start = 0;
    for (auto [o, s] : llvm::zip(box.offsets, strides))
      start += o * s;
    copyStrided(bytes(), box.sizes, data.data() + start * bytes(), strides, out, rowMajorStrides(box.sizes));
    return success();
  }

private:
  std::vector<char> data;
};

} // namespace

moe_random_t moe::getRandom(RandomAttr attr) {
  return {static_cast<uint64_t>(attr.getSeed()),
          attr.getDistribution() == Distribution::Normal ? uint32_t(MOE_RANDOM_NORMAL) : uint32_t(MOE_RANDOM_UNIFORM),
          attr.getFirst().getValue().convertToFloat(), attr.getSecond().getValue().convertToFloat()};
}

uint32_t moe::getRandomDtype(RandomAttr attr) {
  Type element = attr.getType().getElementType();
  return element.isF32()                  ? MOE_DTYPE_FLOAT32
         : element.isF16()                ? MOE_DTYPE_FLOAT16
         : element.isBF16()               ? MOE_DTYPE_BFLOAT16
         : isa<Float8E4M3FNType>(element) ? MOE_DTYPE_FLOAT8E4M3FN
                                          : MOE_DTYPE_FLOAT8E5M2;
}

SourcePtr moe::makeRandom(RandomAttr random) { return std::make_unique<RandomSource>(random); }
SourcePtr moe::makeConstant(DenseElementsAttr elements) { return std::make_unique<ConstantSource>(elements); }
SourcePtr moe::makePiece(PieceAttr piece, SourceContext &context) {
  return std::make_unique<PieceSource>(piece, context);
}
SourcePtr moe::makeCast(RecipeAttr recipe, SourcePtr input) {
  return std::make_unique<CastSource>(recipe, std::move(input));
}
SourcePtr moe::makeTranspose(RecipeAttr recipe, SourcePtr input) {
  return std::make_unique<TransposeSource>(recipe, std::move(input));
}
SourcePtr moe::makeSlice(RecipeAttr recipe, SourcePtr input) {
  return std::make_unique<SliceSource>(recipe, std::move(input));
}
SourcePtr moe::makeConcat(RecipeAttr recipe, std::vector<SourcePtr> inputs) {
  return std::make_unique<ConcatSource>(recipe, std::move(inputs));
}
SourcePtr moe::makePack(RecipeAttr recipe, SourcePtr input) {
  return std::make_unique<PackSource>(recipe, std::move(input));
}
