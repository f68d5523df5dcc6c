//===- RowKernels.cpp - norms, rotation, activation and combine on vectors ----===//
//
// One row at a time, 16 elements a vector; a mask covers the end of a row whose size is no multiple of 16.
//
//===----------------------------------------------------------------------===//
#include "../Loops.h"
#include "Emitters.h"
#include "Lines.h"
#include "Vectorize.h"

using namespace mlir;
using namespace mlir::moe;

static SmallVector<Value> rowIndices(Code &c, Value memref, V r) {
  Vs dims;
  for (int64_t i = 0; i + 1 < cast<MemRefType>(memref.getType()).getRank(); ++i)
    dims.push_back(c.dim(memref, i));
  Vs at = c.delinearize(r, dims);
  return SmallVector<Value>(at.begin(), at.end());
}

/// Rows are all but the last dim of operand 0; each of its elements costs `cost`.
static SplitFn rowsOfFirst(int64_t cost) {
  return [cost](Code &c, Operation *, ValueRange operands) -> std::pair<V, V> {
    int64_t rank = cast<MemRefType>(operands[0].getType()).getRank();
    return {c.size(operands[0], 0, rank - 1), c.dim(operands[0], rank - 1) * c.index(cost)};
  };
}

/// Whether all float operands are of at most 32 bits and have contiguous rows of static size where that is asked.
static bool suits(Operation *op) {
  return llvm::all_of(op->getOperands(), [](Value v) {
    auto type = dyn_cast<MemRefType>(v.getType());
    if (!type || !isa<FloatType>(type.getElementType()))
      return true;
    return isVectorFloat(v) && isRowContiguous(v);
  });
}

static KernelEmitter vectorRows(SplitFn split, RowFn row) {
  KernelEmitter emitter = rowEmitter(kVectorGrain, std::move(split), std::move(row));
  emitter.vectorized = true;
  return emitter;
}

/// out[r, h] = x[r, h] / sqrt(mean_h(x^2) + epsilon) * weight[h]
std::optional<KernelEmitter> moe::rmsNormEmitter(RmsNormOp op) {
  if (!suits(op))
    return std::nullopt;
  return vectorRows(rowsOfFirst(4), [](Code &c, Operation *o, V r) {
    auto op = cast<RmsNormOp>(o);
    Lines l{c};
    Value x = op.getX(), out = op.getOuts().front();
    V zero = c.index(0), width = c.dim(x, cast<MemRefType>(x.getType()).getRank() - 1);
    SmallVector<Value> at = rowIndices(c, x, r);
    V squares = l.sweep(zero, width, {l.constant(0)}, [&](V h, V mask, ArrayRef<V> s) -> Vs {
      V v = l.load(x, at, h, mask);
      return {c.wrap(vector::FMAOp::create(c.b, c.loc, v, v, s[0]))};
    })[0];
    V sum = c.wrap(
        vector::ReductionOp::create(c.b, c.loc, vector::CombiningKind::ADD, squares, arith::FastMathFlags::reassoc));
    V count = c.wrap(arith::SIToFPOp::create(c.b, c.loc, c.b.getF32Type(), c.fromIndex(width, c.b.getI64Type())));
    V factor = l.splat(c.f32(1) / c.sqrt(sum / count + c.f32(op.getEpsilon().convertToDouble())));
    l.sweep(zero, width, [&](V h, V mask) {
      V v = l.load(x, at, h, mask) * factor;
      if (op.getWeight())
        v = v * l.load(op.getWeight(), {}, h, mask);
      l.store(v, out, at, h, mask);
    });
  });
}

/// out = min(g, limit) * sigmoid(alpha * g) * (clamp(u, -limit, limit) + beta)
std::optional<KernelEmitter> moe::swigluEmitter(SwigluOp op) {
  if (!suits(op) || cast<MemRefType>(op.getGate().getType()).getRank() == 0)
    return std::nullopt;
  return vectorRows(rowsOfFirst(12), [](Code &c, Operation *o, V r) {
    auto op = cast<SwigluOp>(o);
    Lines l{c};
    Value gate = op.getGate();
    SmallVector<Value> at = rowIndices(c, gate, r);
    l.sweep(c.index(0), c.dim(gate, cast<MemRefType>(gate.getType()).getRank() - 1), [&](V h, V mask) {
      V g = l.load(gate, at, h, mask), u = l.load(op.getUp(), at, h, mask), one = l.constant(1);
      if (!op.getLimit().isInfinity()) {
        V limit = l.constant(op.getLimit().convertToFloat()), least = l.constant(-op.getLimit().convertToFloat());
        g = c.select(g > limit, limit, g);
        u = c.select(u > limit, limit, c.select(u < least, least, u));
      }
      V e = c.wrap(fastExp(c.b, c.loc, g * l.constant(-op.getAlpha().convertToFloat())));
      l.store(g / (one + e) * (u + l.constant(op.getBeta().convertToFloat())), op.getOuts().front(), at, h, mask);
    });
  });
}

/// a' = a cos - b sin, b' = b cos + a sin for the pairs (a, b) of a row; the rest is copied.
std::optional<KernelEmitter> moe::ropeEmitter(RopeOp op) {
  int64_t half = cast<MemRefType>(op.getCos().getType()).getDimSize(2);
  if (!suits(op) || ShapedType::isDynamic(half) || (op.getInterleaved() && half % kPanel))
    return std::nullopt;
  return vectorRows(rowsOfFirst(4), [half](Code &c, Operation *o, V r) {
    auto op = cast<RopeOp>(o);
    Lines l{c};
    Value x = op.getX(), out = op.getOuts().front();
    SmallVector<Value> at = rowIndices(c, x, r);
    auto tables = cast<MemRefType>(op.getCos().getType());
    V zero = c.index(0), batch = c.wrap(at[0]);
    if (tables.getDimSize(0) == 1)
      batch = zero;
    else if (tables.isDynamicDim(0))
      batch = c.select(c.dim(op.getCos(), 0) == c.index(1), zero, batch);
    SmallVector<Value> table = {batch, at[2]};
    l.sweep(zero, c.index(half), [&](V i, V mask) {
      V cosine = l.load(op.getCos(), table, i, mask), sine = l.load(op.getSin(), table, i, mask);
      auto rotate = [&](V a, V e) { return std::pair<V, V>{a * cosine - e * sine, e * cosine + a * sine}; };
      if (!op.getInterleaved()) {
        V second = i + c.index(half);
        auto [a, e] = rotate(l.load(x, at, i, mask), l.load(x, at, second, mask));
        l.store(a, out, at, i, mask);
        l.store(e, out, at, second, mask);
        return;
      }
      SmallVector<int64_t> even, odd, low, high;
      for (int64_t n = 0; n < kPanel; ++n) {
        even.push_back(2 * n), odd.push_back(2 * n + 1);
        (n < kPanel / 2 ? low : high).append({n, kPanel + n});
      }
      auto shuffle = [&](V p, V q, ArrayRef<int64_t> order) {
        return c.wrap(vector::ShuffleOp::create(c.b, c.loc, p, q, order));
      };
      V first = i * c.index(2), second = first + c.index(kPanel);
      V p = l.load(x, at, first, V()), q = l.load(x, at, second, V());
      auto [a, e] = rotate(shuffle(p, q, even), shuffle(p, q, odd));
      l.store(shuffle(a, e, low), out, at, first, V());
      l.store(shuffle(a, e, high), out, at, second, V());
    });
    l.sweep(c.index(2 * half), c.dim(x, 3), [&](V i, V mask) { l.store(l.load(x, at, i, mask), out, at, i, mask); });
  });
}

/// out[t, h] = residual[t, h] + sum_j weights[t, j] * y[position[t * k + j], h], j ascending
std::optional<KernelEmitter> moe::combineEmitter(CombineOp op) {
  if (!suits(op) || op.getK() > 64)
    return std::nullopt;
  int64_t k = op.getK();
  auto split = [k](Code &c, Operation *, ValueRange operands) -> std::pair<V, V> {
    return {c.dim(operands.back(), 0), c.dim(operands.back(), 1) * c.index(2 * k + 2)};
  };
  return vectorRows(split, [k](Code &c, Operation *o, V token) {
    auto op = cast<CombineOp>(o);
    Lines l{c};
    Value out = op.getOuts().front();
    SmallVector<Value> at = {token};
    Vs weights, rows;
    for (int64_t j = 0; j < k; ++j) {
      rows.push_back(c.toIndex(c.load(op.getPosition(), {token * c.index(k) + c.index(j)})));
      if (op.getWeights())
        weights.push_back(l.splat(c.loadWide(op.getWeights(), {token, c.index(j)})));
    }
    l.sweep(c.index(0), c.dim(out, 1), [&](V h, V mask) {
      V sum = op.getResidual() ? l.load(op.getResidual(), at, h, mask) : l.constant(0);
      for (int64_t j = 0; j < k; ++j) {
        V v = l.load(op.getY(), {rows[j].v}, h, mask);
        sum = op.getWeights() ? c.wrap(vector::FMAOp::create(c.b, c.loc, weights[j], v, sum)) : sum + v;
      }
      l.store(sum, out, at, h, mask);
    });
  });
}
