//===- TileRows.cpp - weights in the order in which a GPU kernel streams them ---===//
//
//   tile_rows     one matrix or two [E, N, K]           ->  [E, ceil(N * inputs / 256), ceil(K / D), 256, D], D elements in 128 bytes
//   tile_vectors  vectors [E, N] of their rows                    ->  [E, tiles, 256], in the same order
//   tile_scales   their scales [E, ceil(N / 128), ceil(K / 128)]  ->  [E, tiles, L], L a multiple of 4
//
// A tile is 256 rows of 128 bytes, one copy of a kernel. Of one matrix it holds its rows 256 t to 256 t + 255. Of two (gate and
// up) it holds their rows 128 t to 128 t + 127: row 128 w + 64 s + 16 v + 8 g + r is row 64 w + 16 v + 2 r + s of matrix g, so that a kernel's thread has two
// codes that stand together; of 16-bit elements row 16 v + 8 g + r is row 8 v + r. In all, 16-byte piece p of row r stands at p xor (r mod 8). What lies
// past the matrix is zero.
//
//===----------------------------------------------------------------------===//
#include "Source.h"

#include <cstring>

using namespace mlir;
using namespace mlir::moe;

namespace {
constexpr int64_t kRows = 256, kRowBytes = 128, kPiece = 16;

/// Which matrix (gate or up) and which of its rows in a tile stands at row `r` of the tile; `two`: of gate and up; `codes`: of one byte an element.
std::pair<int64_t, int64_t> rowOfTile(int64_t r, bool two, bool codes) {
  if (!two)
    return {0, r};
  return {r / 8 % 2, codes ? r / 128 * 64 + r / 16 % 4 * 16 + r % 8 * 2 + r / 64 % 2 : r / 16 * 8 + r % 8};
}

/// The part of `box` inside `shape`, read into a dense array of the box's size; the rest is zero.
LogicalResult readPadded(Source &source, Box box, std::vector<char> &out) {
  Dims full = box.sizes;
  out.assign(static_cast<size_t>(box.volume()) * source.bytes(), 0);
  for (size_t d = 0; d < full.size(); ++d) {
    box.sizes[d] = std::min(full[d], source.shape[d] - box.offsets[d]);
    if (box.sizes[d] <= 0)
      return success();
  }
  std::vector<char> part(static_cast<size_t>(box.volume()) * source.bytes());
  if (failed(source.read(box, part.data())))
    return failure();
  copyStrided(source.bytes(), box.sizes, part.data(), rowMajorStrides(box.sizes), out.data(), rowMajorStrides(full));
  return success();
}

class TileRowsSource final : public Source {
public:
  TileRowsSource(RecipeAttr recipe, std::vector<SourcePtr> inputs)
      : Source(recipe.getType()), inputs(std::move(inputs)) {}

  LogicalResult read(const Box &box, char *out) override {
    // Tile by tile: what is asked for is nearly always whole tiles.
    Dims at(box.offsets.begin(), box.offsets.begin() + 3);
    Dims rest(box.sizes.begin() + 3, box.sizes.end());
    int64_t element = static_cast<int64_t>(bytes()), part = rest[0] * rest[1] * element;
    std::vector<char> tile(kRows * kRowBytes);
    for (at[0] = box.offsets[0]; at[0] < box.offsets[0] + box.sizes[0]; ++at[0])
      for (at[1] = box.offsets[1]; at[1] < box.offsets[1] + box.sizes[1]; ++at[1])
        for (at[2] = box.offsets[2]; at[2] < box.offsets[2] + box.sizes[2]; ++at[2]) {
          if (failed(readTile(at, tile)))
            return failure();
          const char *first = tile.data() + box.offsets[3] * kRowBytes + box.offsets[4] * element;
          copyStrided(bytes(), rest, first, {kRowBytes / element, 1}, out, {rest[1], 1});
          out += part;
        }
    return success();
  }

private:
  LogicalResult readTile(ArrayRef<int64_t> at, std::vector<char> &tile) {
    bool two = inputs.size() == 2, codes = bytes() == 1;
    int64_t rows = two ? kRows / 2 : kRows, depth = kRowBytes / static_cast<int64_t>(bytes());
    for (size_t g = 0; g < inputs.size(); ++g)
      if (failed(readPadded(*inputs[g], Box{{at[0], at[1] * rows, at[2] * depth}, {1, rows, depth}}, matrix[g])))
        return failure();
    for (int64_t r = 0; r < kRows; ++r) {
      auto [g, row] = rowOfTile(r, two, codes);
      for (int64_t p = 0; p < kRowBytes / kPiece; ++p)
        std::memcpy(&tile[static_cast<size_t>(r * kRowBytes + (p ^ (r % 8)) * kPiece)],
                    &matrix[g][static_cast<size_t>(row * kRowBytes + p * kPiece)], kPiece);
    }
    return success();
  }

  std::vector<SourcePtr> inputs;
  std::vector<char> matrix[2];
};

class TileVectorsSource final : public Source {
public:
  TileVectorsSource(RecipeAttr recipe, std::vector<SourcePtr> inputs)
      : Source(recipe.getType()), inputs(std::move(inputs)),
        codes(recipe.getParams().getAs<IntegerAttr>("bits").getInt() == 8) {}

  LogicalResult read(const Box &box, char *out) override {
    bool two = inputs.size() == 2;
    int64_t rows = two ? kRows / 2 : kRows;
    std::vector<char> part[2];
    for (int64_t e = box.offsets[0]; e < box.offsets[0] + box.sizes[0]; ++e)
      for (int64_t t = box.offsets[1]; t < box.offsets[1] + box.sizes[1]; ++t) {
        for (size_t g = 0; g < inputs.size(); ++g)
          if (failed(readPadded(*inputs[g], Box{{e, t * rows}, {1, rows}}, part[g])))
            return failure();
        for (int64_t r = box.offsets[2]; r < box.offsets[2] + box.sizes[2]; ++r, out += bytes()) {
          auto [g, row] = rowOfTile(r, two, codes);
          std::memcpy(out, &part[g][static_cast<size_t>(row) * bytes()], bytes());
        }
      }
    return success();
  }

private:
  std::vector<SourcePtr> inputs;
  bool codes;
};

class TileScalesSource final : public Source {
public:
  TileScalesSource(RecipeAttr recipe, std::vector<SourcePtr> inputs)
      : Source(recipe.getType()), inputs(std::move(inputs)) {}

  LogicalResult read(const Box &box, char *out) override {
    int64_t depth = inputs[0]->shape[2];
    std::vector<char> line(static_cast<size_t>(shape[2]) * bytes()), half;
    for (int64_t e = box.offsets[0]; e < box.offsets[0] + box.sizes[0]; ++e)
      for (int64_t t = box.offsets[1]; t < box.offsets[1] + box.sizes[1]; ++t) {
        std::fill(line.begin(), line.end(), 0);
        for (int64_t g = 0; g < 2; ++g) {
          bool two = inputs.size() == 2;
          if (failed(readPadded(*inputs[two ? static_cast<size_t>(g) : 0],
                                Box{{e, two ? t : 2 * t + g, 0}, {1, 1, depth}}, half)))
            return failure();
          std::memcpy(line.data() + g * depth * bytes(), half.data(), half.size());
        }
        std::memcpy(out, line.data() + box.offsets[2] * bytes(), static_cast<size_t>(box.sizes[2]) * bytes());
        out += box.sizes[2] * bytes();
      }
    return success();
  }

private:
  std::vector<SourcePtr> inputs;
};
} // namespace

SourcePtr moe::makeTileRows(RecipeAttr recipe, std::vector<SourcePtr> inputs) {
  return std::make_unique<TileRowsSource>(recipe, std::move(inputs));
}
SourcePtr moe::makeTileVectors(RecipeAttr recipe, std::vector<SourcePtr> inputs) {
  return std::make_unique<TileVectorsSource>(recipe, std::move(inputs));
}
SourcePtr moe::makeTileScales(RecipeAttr recipe, std::vector<SourcePtr> inputs) {
  return std::make_unique<TileScalesSource>(recipe, std::move(inputs));
}
