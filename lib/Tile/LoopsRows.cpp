//===- LoopsRows.cpp - norms, rotation and activation as loops over rows --===//
#include "Loops.h"

using namespace mlir;
using namespace mlir::moe;

/// The indices of row `r` of `memref`: all dims but the last `inner` ones.
static SmallVector<Value> rowIndices(Code &c, Value memref, V r, int64_t inner = 1) {
  int64_t rank = cast<MemRefType>(memref.getType()).getRank();
  Vs dims;
  for (int64_t i = 0; i < rank - inner; ++i)
    dims.push_back(c.dim(memref, i));
  Vs at = c.delinearize(r, dims);
  return SmallVector<Value>(at.begin(), at.end());
}
static SmallVector<Value> with(ArrayRef<Value> indices, Value last) {
  SmallVector<Value> all(indices);
  all.push_back(last);
  return all;
}

/// Rows are all but the last dim of operand 0; each element of a row costs `cost`.
static SplitFn rowsOfFirst(int64_t cost) {
  return [cost](Code &c, Operation *, ValueRange operands) -> std::pair<V, V> {
    int64_t rank = cast<MemRefType>(operands[0].getType()).getRank();
    return {c.size(operands[0], 0, rank - 1), c.dim(operands[0], rank - 1) * c.index(cost)};
  };
}

/// out[r, h] = x[r, h] / sqrt(mean_h(x^2) + epsilon) * weight[h]
KernelEmitter moe::rmsNormLoops(RmsNormOp, int64_t grain) {
  return rowEmitter(grain, rowsOfFirst(3), [](Code &c, Operation *o, V r) {
    auto op = cast<RmsNormOp>(o);
    Value x = op.getX(), out = op.getOuts().front();
    V width = c.dim(x, cast<MemRefType>(x.getType()).getRank() - 1);
    SmallVector<Value> at = rowIndices(c, x, r);
    V probe = c.widen(c.constant(cast<MemRefType>(x.getType()).getElementType(), 0));
    V sum = c.loop(c.index(0), width, {probe}, [&](V h, ArrayRef<V> acc) -> Vs {
      V v = c.loadWide(x, with(at, h));
      return {c.addAnyOrder(acc[0], v * v)};
    })[0];
    Type wide = sum.type();
    V count = c.wrap(arith::SIToFPOp::create(c.b, c.loc, wide, c.fromIndex(width, c.b.getI64Type())));
    V factor = c.constant(wide, 1) / c.sqrt(sum / count + c.constant(wide, op.getEpsilon().convertToFloat()));
    c.loop(c.index(0), width, [&](V h) {
      V v = c.loadWide(x, with(at, h)) * factor;
      if (op.getWeight())
        v = v * c.toFloat(c.loadWide(op.getWeight(), {h}), wide);
      c.storeNarrow(v, out, with(at, h));
    });
  });
}

/// out = min(g, limit) * sigmoid(alpha * g) * (clamp(u, -limit, limit) + beta)
KernelEmitter moe::swigluLoops(SwigluOp op, int64_t grain) {
  if (cast<MemRefType>(op.getGate().getType()).getRank() == 0)
    return serialEmitter([](Code &, Operation *) {});
  return rowEmitter(grain, rowsOfFirst(16), [](Code &c, Operation *o, V r) {
    auto op = cast<SwigluOp>(o);
    Value gate = op.getGate();
    V width = c.dim(gate, cast<MemRefType>(gate.getType()).getRank() - 1);
    SmallVector<Value> at = rowIndices(c, gate, r);
    c.loop(c.index(0), width, [&](V h) {
      V g = c.loadWide(gate, with(at, h)), u = c.toFloat(c.loadWide(op.getUp(), with(at, h)), g.type());
      if (!op.getLimit().isInfinity()) {
        double limit = op.getLimit().convertToFloat();
        g = c.min(g, c.constant(g.type(), limit));
        u = c.max(c.min(u, c.constant(g.type(), limit)), c.constant(g.type(), -limit));
      }
      V y = g * c.sigmoid(g * c.constant(g.type(), op.getAlpha().convertToFloat())) *
            (u + c.constant(g.type(), op.getBeta().convertToFloat()));
      c.storeNarrow(y, op.getOuts().front(), with(at, h));
    });
  });
}

/// a' = a cos - b sin, b' = b cos + a sin for the pairs (a, b) of a row; the rest is copied.
KernelEmitter moe::ropeLoops(RopeOp, int64_t grain) {
  return rowEmitter(grain, rowsOfFirst(4), [](Code &c, Operation *o, V r) {
    auto op = cast<RopeOp>(o);
    Value x = op.getX(), out = op.getOuts().front(), cosTable = op.getCos(), sinTable = op.getSin();
    SmallVector<Value> at = rowIndices(c, x, r);
    auto tables = cast<MemRefType>(cosTable.getType());
    // The tables' batch is 1 or x's; only where neither is static does it show at run time.
    V batch =
        tables.getDimSize(0) == 1 ? c.index(0) : c.select(c.dim(cosTable, 0) == c.index(1), c.index(0), c.wrap(at[0]));
    V half = c.dim(cosTable, 2), width = c.dim(x, 3);
    c.loop(c.index(0), half, [&](V i) {
      V first = op.getInterleaved() ? i * c.index(2) : i;
      V second = op.getInterleaved() ? first + c.index(1) : i + half;
      V a = c.loadWide(x, with(at, first)), b = c.loadWide(x, with(at, second));
      V cosine = c.toFloat(c.loadWide(cosTable, {batch, c.wrap(at[2]), i}), a.type());
      V sine = c.toFloat(c.loadWide(sinTable, {batch, c.wrap(at[2]), i}), a.type());
      c.storeNarrow(a * cosine - b * sine, out, with(at, first));
      c.storeNarrow(b * cosine + a * sine, out, with(at, second));
    });
    c.loop(half * c.index(2), width, [&](V i) { c.store(c.load(x, with(at, i)), out, with(at, i)); });
  });
}
