//===- Box.cpp - strided copies -------------------------------------------===//
#include "Box.h"

#include "llvm/ADT/STLExtras.h"
#include <cstring>

using namespace mlir;
using namespace mlir::moe;

namespace {
struct Dim {
  int64_t size, in, out;
};
} // namespace

/// Drops dims of size one and merges neighbours that are contiguous on both sides. Outermost first.
static llvm::SmallVector<Dim, 6> coalesce(llvm::ArrayRef<int64_t> sizes, llvm::ArrayRef<int64_t> in,
                                          llvm::ArrayRef<int64_t> out) {
  llvm::SmallVector<Dim, 6> dims;
  for (auto [size, i, o] : llvm::zip(sizes, in, out))
    if (size != 1)
      dims.push_back({size, i, o});
  // The innermost dim of the output comes last.
  llvm::sort(dims, [](const Dim &a, const Dim &b) { return a.out > b.out; });
  llvm::SmallVector<Dim, 6> merged;
  for (const Dim &dim : dims) {
    if (!merged.empty() && merged.back().in == dim.in * dim.size && merged.back().out == dim.out * dim.size)
      merged.back() = {merged.back().size * dim.size, dim.in, dim.out};
    else
      merged.push_back(dim);
  }
  return merged;
}

/// A full block of a transpose, contiguous on both sides: through a small buffer, so that reads and writes are runs.
template <typename T, int kSide>
static void transposeBlock(const T *__restrict in, int64_t inStride, T *__restrict out, int64_t outStride) {
  T block[kSide][kSide];
  for (int c = 0; c < kSide; ++c)
    std::memcpy(block[c], in + c * inStride, sizeof(block[c]));
  for (int r = 0; r < kSide; ++r) {
    T row[kSide];
    for (int c = 0; c < kSide; ++c)
      row[c] = block[c][r];
    std::memcpy(out + r * outStride, row, sizeof(row));
  }
}

/// rows x columns in blocks: `columns` is the output's inner dim, `rows` the input's.
template <typename T> static void copyPlane(const Dim &rows, const Dim &columns, const T *in, T *out) {
  constexpr int kSide = 16;
  if (rows.in == 1 && columns.out == 1 && rows.size >= kSide && columns.size >= kSide) {
    int64_t r1 = rows.size / kSide * kSide, c1 = columns.size / kSide * kSide;
    for (int64_t c = 0; c < c1; c += kSide)
      for (int64_t r = 0; r < r1; r += kSide)
        transposeBlock<T, kSide>(in + r + c * columns.in, columns.in, out + r * rows.out + c, rows.out);
    for (int64_t c = c1; c < columns.size; ++c)
      for (int64_t r = 0; r < r1; ++r)
        out[r * rows.out + c] = in[r + c * columns.in];
    for (int64_t r = r1; r < rows.size; ++r)
      for (int64_t c = 0; c < columns.size; ++c)
        out[r * rows.out + c] = in[r + c * columns.in];
    return;
  }
  constexpr int64_t kBlock = 32;
  for (int64_t r0 = 0; r0 < rows.size; r0 += kBlock)
    for (int64_t c0 = 0; c0 < columns.size; c0 += kBlock) {
      int64_t r1 = std::min(r0 + kBlock, rows.size), c1 = std::min(c0 + kBlock, columns.size);
      for (int64_t r = r0; r < r1; ++r) {
        const T *from = in + r * rows.in;
        T *to = out + r * rows.out;
        for (int64_t c = c0; c < c1; ++c)
          to[c * columns.out] = from[c * columns.in];
      }
    }
}

template <typename T> static void copyDims(llvm::ArrayRef<Dim> dims, const T *in, T *out) {
  if (dims.empty()) {
    *out = *in;
    return;
  }
  if (dims.size() == 1) {
    const Dim &dim = dims[0];
    if (dim.in == 1 && dim.out == 1)
      std::memcpy(out, in, dim.size * sizeof(T));
    else
      for (int64_t i = 0; i < dim.size; ++i)
        out[i * dim.out] = in[i * dim.in];
    return;
  }
  // The dim that is innermost on the input's side, if it is not the output's: the two make a plane to transpose.
  size_t inner = 0;
  for (size_t i = 1; i < dims.size(); ++i)
    if (dims[i].in <= dims[inner].in)
      inner = i;
  if (inner + 1 == dims.size() || dims.size() > 2) {
    size_t outer = inner == 0 && dims.size() > 2 ? 1 : 0;
    llvm::SmallVector<Dim, 6> rest(dims.begin(), dims.end());
    rest.erase(rest.begin() + outer);
    for (int64_t i = 0; i < dims[outer].size; ++i)
      copyDims<T>(rest, in + i * dims[outer].in, out + i * dims[outer].out);
    return;
  }
  copyPlane(dims[0], dims[1], in, out);
}

void moe::copyStrided(unsigned bytes, llvm::ArrayRef<int64_t> sizes, const char *in, llvm::ArrayRef<int64_t> inStrides,
                      char *out, llvm::ArrayRef<int64_t> outStrides) {
  if (llvm::is_contained(sizes, 0))
    return;
  llvm::SmallVector<Dim, 6> dims = coalesce(sizes, inStrides, outStrides);
  switch (bytes) {
  case 1:
    return copyDims<uint8_t>(dims, reinterpret_cast<const uint8_t *>(in), reinterpret_cast<uint8_t *>(out));
  case 2:
    return copyDims<uint16_t>(dims, reinterpret_cast<const uint16_t *>(in), reinterpret_cast<uint16_t *>(out));
  case 4:
    return copyDims<uint32_t>(dims, reinterpret_cast<const uint32_t *>(in), reinterpret_cast<uint32_t *>(out));
  default:
    return copyDims<uint64_t>(dims, reinterpret_cast<const uint64_t *>(in), reinterpret_cast<uint64_t *>(out));
  }
}
