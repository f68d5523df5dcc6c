//===- LoopsScaled.cpp - codes and scales as loops ------------------------===//
//
// A unit of work is one block: its largest magnitude, its scale, its codes. On the CPU 16 elements of the last dimension go
// through at a time; the GPU's finest form takes one.
//
//===----------------------------------------------------------------------===//
#include "Loops.h"
#include "moe/Support/SmallFloats.h"
#include "moe/Weights/Elements.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::moe;

static MemRefType typeOf(Value memref) { return cast<MemRefType>(memref.getType()); }

/// The scale of a block as its stored value, and 1 element of the scales' type.
static V storedScale(Code &c, V amax, Type codes, Type scales, Value &stored) {
  V least = c.f32(1e-4), s = c.max(amax, least) / c.f32(largestFinite(*getElement(codes)));
  if (scales.isF32()) {
    stored = s;
    return s;
  }
  stored = encodeSmallFloat(c.b, c.loc, s, cast<FloatType>(scales), /*saturate=*/true);
  return c.wrap(decodeSmallFloat(c.b, c.loc, stored));
}

namespace {
/// The elements of one block, walked row by row.
struct BlockWalk {
  Code &c;
  Vs first, last; // of each dim

  /// Calls body(indices of the row, lo, hi) for each row of the block: all dims but the last.
  Vs rows(ArrayRef<V> init, llvm::function_ref<Vs(ArrayRef<V>, ArrayRef<V>)> body) {
    Vs at;
    return descend(0, at, Vs(init.begin(), init.end()), body);
  }

private:
  Vs descend(size_t d, Vs &at, Vs carried, llvm::function_ref<Vs(ArrayRef<V>, ArrayRef<V>)> body) {
    if (d + 1 == first.size())
      return body(at, carried);
    return c.loop(first[d], last[d], carried, [&](V i, ArrayRef<V> inner) -> Vs {
      at.push_back(i);
      Vs next = descend(d + 1, at, Vs(inner.begin(), inner.end()), body);
      at.pop_back();
      return next;
    });
  }
};
} // namespace

/// Elements [lo, hi) of a row in steps of `width`, then one by one. The body gets the position and how many it is to take.
static Vs sweep(Code &c, V lo, V hi, int64_t width, ArrayRef<V> init,
                llvm::function_ref<Vs(V, int64_t, ArrayRef<V>)> body) {
  Vs carried(init.begin(), init.end());
  V start = lo;
  if (width > 1) {
    V steps = (hi - lo) / c.index(width);
    carried = c.loop(c.index(0), steps, carried,
                     [&](V i, ArrayRef<V> inner) { return body(lo + i * c.index(width), width, inner); });
    start = lo + steps * c.index(width);
  }
  return c.loop(start, hi, carried, [&](V i, ArrayRef<V> inner) { return body(i, 1, inner); });
}

static SmallVector<Value> at(ArrayRef<V> row, V last) {
  SmallVector<Value> all(row.begin(), row.end());
  all.push_back(last);
  return all;
}

/// `width` elements in f32 as a vector, or one as a scalar.
static V loadFloats(Code &c, Value memref, ArrayRef<Value> indices, int64_t width) {
  if (width == 1)
    return c.loadWide(memref, ValueRange(indices));
  Type element = typeOf(memref).getElementType();
  Value v = vector::LoadOp::create(c.b, c.loc, VectorType::get({width}, element), memref, indices);
  if (!element.isF32())
    v = arith::ExtFOp::create(c.b, c.loc, VectorType::get({width}, c.b.getF32Type()), v);
  return c.wrap(v);
}

static bool lastIsContiguous(Value memref) {
  SmallVector<int64_t> strides;
  int64_t offset;
  return succeeded(typeOf(memref).getStridesAndOffset(strides, offset)) && strides.back() == 1;
}

/// scales[b] = blockScale(max |x|), codes[i] = cast(x[i] / scales[b])
KernelEmitter moe::quantizeBlocksLoops(QuantizeBlocksOp op, int64_t grain) {
  int64_t width = grain > 1 && lastIsContiguous(op.getInput()) && lastIsContiguous(op.getOuts()[0]) ? 16 : 1;
  auto split = [](Code &c, Operation *o, ValueRange operands) -> std::pair<V, V> {
    auto op = cast<QuantizeBlocksOp>(o);
    Value input = operands[0], scales = operands[2];
    V cost = c.index(6);
    for (auto [d, block] : llvm::enumerate(op.getBlock()))
      cost = cost * (block ? c.index(block) : c.dim(input, d));
    return {c.size(scales, 0, typeOf(scales).getRank()), cost};
  };
  KernelEmitter emitter = rowEmitter(grain, split, [width](Code &c, Operation *o, V unit) {
    auto op = cast<QuantizeBlocksOp>(o);
    OpBuilder &b = c.b;
    Value input = op.getInput(), codes = op.getOuts()[0], scales = op.getOuts()[1];
    auto codeType = cast<FloatType>(typeOf(codes).getElementType());
    Vs counts;
    for (int64_t d = 0; d < typeOf(scales).getRank(); ++d)
      counts.push_back(c.dim(scales, d));
    Vs place = c.delinearize(unit, counts);
    BlockWalk walk{c, {}, {}};
    for (auto [d, block] : llvm::enumerate(op.getBlock())) {
      V extent = c.dim(input, d);
      walk.first.push_back(block ? place[d] * c.index(block) : c.index(0));
      walk.last.push_back(block ? c.min(extent, walk.first.back() + c.index(block)) : extent);
    }
    V lo = walk.first.back(), hi = walk.last.back();
    auto wide = VectorType::get({width}, b.getF32Type());
    auto largest = [&](V top, V v) { return c.max(top, c.abs(v)); };
    Vs tops = {c.f32(0)};
    if (width > 1)
      tops.push_back(c.constant(wide, 0.0));
    tops = walk.rows(tops, [&](ArrayRef<V> row, ArrayRef<V> carried) -> Vs {
      return sweep(c, lo, hi, width, carried, [&](V k, int64_t n, ArrayRef<V> inner) -> Vs {
        Vs next(inner.begin(), inner.end());
        V &top = next[n > 1 ? 1 : 0];
        top = largest(top, loadFloats(c, input, at(row, k), n));
        return next;
      });
    });
    V amax = tops[0];
    if (width > 1)
      amax = c.max(amax, c.wrap(vector::ReductionOp::create(b, c.loc, vector::CombiningKind::MAXIMUMF, tops[1])));
    Value stored;
    V scale = storedScale(c, amax, codeType, typeOf(scales).getElementType(), stored);
    c.store(c.wrap(stored), scales, SmallVector<Value>(place.begin(), place.end()));
    V scaleLine = width > 1 ? c.wrap(vector::BroadcastOp::create(b, c.loc, wide, scale)) : scale;
    walk.rows({}, [&](ArrayRef<V> row, ArrayRef<V>) -> Vs {
      return sweep(c, lo, hi, width, {}, [&](V k, int64_t n, ArrayRef<V>) -> Vs {
        SmallVector<Value> indices = at(row, k);
        V v = loadFloats(c, input, indices, n) / (n > 1 ? scaleLine : scale);
        Value code = encodeSmallFloat(b, c.loc, v, codeType, /*saturate=*/true);
        if (n > 1)
          vector::StoreOp::create(b, c.loc, code, codes, indices);
        else
          c.store(c.wrap(code), codes, indices);
        return {};
      });
    });
  });
  emitter.vectorized = width > 1;
  return emitter;
}

/// out[i] = codes[i] * scales[i / block], a row at a time
KernelEmitter moe::dequantizeBlocksLoops(DequantizeBlocksOp, int64_t grain) {
  auto split = [](Code &c, Operation *, ValueRange operands) -> std::pair<V, V> {
    int64_t rank = typeOf(operands[0]).getRank();
    return {c.size(operands[0], 0, rank - 1), c.dim(operands[0], rank - 1) * c.index(6)};
  };
  return rowEmitter(grain, split, [](Code &c, Operation *o, V r) {
    auto op = cast<DequantizeBlocksOp>(o);
    Value codes = op.getCodes(), out = op.getOuts().front();
    int64_t rank = typeOf(codes).getRank();
    Vs dims;
    for (int64_t d = 0; d + 1 < rank; ++d)
      dims.push_back(c.dim(codes, d));
    Vs row = c.delinearize(r, dims), place;
    for (auto [d, i] : llvm::enumerate(row))
      place.push_back(op.getBlock()[d] ? i / c.index(op.getBlock()[d]) : c.index(0));
    int64_t block = op.getBlock().back();
    c.loop(c.index(0), c.dim(codes, rank - 1), [&](V k) {
      V scale = c.loadWide(op.getScales(), ValueRange(at(place, block ? k / c.index(block) : c.index(0))));
      c.storeNarrow(c.loadWide(codes, ValueRange(at(row, k))) * scale, out, ValueRange(at(row, k)));
    });
  });
}
