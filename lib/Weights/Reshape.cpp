//===- Reshape.cpp - boxes through a change of shape ----------------------===//
//
// A box of the result is in general not a box of the input. Both shapes are cut into groups of dims with equal products
// ([E, 2*I, H] and [E*2, I, H] have the groups (E, 2*I | E*2, I) and (H | H)). Within a group the box is a list of runs
// in row-major order; each run becomes a few boxes of the input's dims. The product of the groups' boxes is read.
//
//===----------------------------------------------------------------------===//
#include "Source.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

/// A box of a group's input dims, whose elements in row-major order are consecutive in the group's box of the result.
struct Part {
  Dims offsets, sizes;
  int64_t at, count;
};

struct Group {
  Dims in, out;
};

class ReshapeSource final : public Source {
public:
  ReshapeSource(RecipeAttr recipe, SourcePtr source) : Source(recipe.getType()), input(std::move(source)) {
    cutIntoGroups();
  }

  LogicalResult read(const Box &box, char *out) override {
    if (box.volume() == 0)
      return success();
    SmallVector<SmallVector<Part>> parts;
    Dims counts; // elements of the result's box in each group
    bool single = true;
    size_t dim = 0;
    for (const Group &group : groups) {
      size_t rank = group.out.size();
      ArrayRef<int64_t> offsets = ArrayRef(box.offsets).slice(dim, rank), sizes = ArrayRef(box.sizes).slice(dim, rank);
      dim += rank;
      parts.emplace_back();
      counts.push_back(1);
      for (int64_t size : sizes)
        counts.back() *= size;
      splitGroup(group, offsets, sizes, parts.back());
      single &= parts.back().size() == 1;
    }
    Dims outStrides = rowMajorStrides(counts);
    SmallVector<size_t> choice(groups.size(), 0);
    for (;;) {
      Box from;
      Dims sizes;
      int64_t at = 0;
      for (auto [g, c] : llvm::enumerate(choice)) {
        const Part &part = parts[g][c];
        from.offsets.append(part.offsets);
        from.sizes.append(part.sizes);
        sizes.push_back(part.count);
        at += part.at * outStrides[g];
      }
      if (single)
        return input->read(from, out);
      buffer.resize(from.volume() * bytes());
      if (failed(input->read(from, buffer.data())))
        return failure();
      copyStrided(bytes(), sizes, buffer.data(), rowMajorStrides(sizes), out + at * bytes(), outStrides);
      size_t g = groups.size();
      while (g > 0 && ++choice[g - 1] == parts[g - 1].size())
        choice[--g] = 0;
      if (g == 0)
        return success();
    }
  }

private:
  void cutIntoGroups() {
    ArrayRef<int64_t> in = input->shape, out = shape;
    if (llvm::is_contained(out, 0) || in.empty() || out.empty()) {
      groups.push_back({Dims(in), Dims(out)});
      return;
    }
    size_t i = 0, o = 0;
    while (i < in.size() || o < out.size()) {
      Group group;
      int64_t left = 1, right = 1;
      do {
        if (i < in.size() && (left <= right || o == out.size())) {
          left *= in[i];
          group.in.push_back(in[i++]);
        } else {
          right *= out[o];
          group.out.push_back(out[o++]);
        }
      } while (left != right);
      // Trailing dims of size one belong to the last group.
      while (i < in.size() && in[i] == 1 && o == out.size())
        group.in.push_back(in[i++]);
      while (o < out.size() && out[o] == 1 && i == in.size())
        group.out.push_back(out[o++]);
      groups.push_back(std::move(group));
    }
  }

  /// Input boxes of the box (offsets, sizes) of a group's result dims.
  static void splitGroup(const Group &group, ArrayRef<int64_t> offsets, ArrayRef<int64_t> sizes,
                         SmallVectorImpl<Part> &parts) {
    Dims outStrides = rowMajorStrides(group.out);
    // Runs: trailing dims the box covers whole.
    int64_t first = static_cast<int64_t>(sizes.size()), run = 1;
    while (first > 0) {
      --first;
      run *= sizes[first];
      if (sizes[first] != group.out[first])
        break;
    }
    int64_t start = 0, outer = 1;
    for (auto [o, s] : llvm::zip(offsets, outStrides))
      start += o * s;
    for (int64_t d = 0; d < first; ++d)
      outer *= sizes[d];
    Dims index(first, 0);
    for (int64_t i = 0; i < outer; ++i) {
      int64_t at = start;
      for (int64_t d = 0; d < first; ++d)
        at += index[d] * outStrides[d];
      splitRun(group.in, at, run, i * run, parts);
      for (int64_t d = first - 1; d >= 0 && ++index[d] == sizes[d]; --d)
        index[d] = 0;
    }
  }

  /// A run of `count` elements from `begin` on, as boxes of `dims`: ragged ends and a body of whole rows, by recursion.
  static void splitRun(ArrayRef<int64_t> dims, int64_t begin, int64_t count, int64_t at, SmallVectorImpl<Part> &parts) {
    Dims strides = rowMajorStrides(dims);
    while (count > 0) {
      // The outermost dim whose row starts at `begin` and fits whole.
      size_t d = 0;
      while (d < dims.size() && (begin % strides[d] != 0 || strides[d] > count))
        ++d;
      Part part{Dims(dims.size(), 0), Dims(dims.size(), 1), at, 1};
      int64_t rest = begin;
      for (size_t i = 0; i < dims.size(); ++i) {
        part.offsets[i] = rest / strides[i];
        rest %= strides[i];
        if (i > d)
          part.sizes[i] = dims[i];
      }
      if (d < dims.size()) {
        part.sizes[d] = std::min(dims[d] - part.offsets[d], count / strides[d]);
        part.count = part.sizes[d] * strides[d];
      }
      begin += part.count;
      at += part.count;
      count -= part.count;
      parts.push_back(std::move(part));
    }
  }

  SourcePtr input;
  SmallVector<Group> groups;
  std::vector<char> buffer;
};

} // namespace

SourcePtr moe::makeReshape(RecipeAttr recipe, SourcePtr input) {
  return std::make_unique<ReshapeSource>(recipe, std::move(input));
}
