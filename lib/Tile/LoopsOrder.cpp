//===- LoopsOrder.cpp - top-k, sort, scan, scatter and nonzero as loops ---===//
#include "Loops.h"
#include "moe/Support/NodeName.h"

using namespace mlir;
using namespace mlir::moe;

static Type elementOf(Value memref) { return cast<MemRefType>(memref.getType()).getElementType(); }
static int64_t rankOf(Value memref) { return cast<MemRefType>(memref.getType()).getRank(); }

static Vs dimsOf(Code &c, Value memref, int64_t from, int64_t to) {
  Vs dims;
  for (int64_t i = from; i < to; ++i)
    dims.push_back(c.dim(memref, i));
  return dims;
}
static SmallVector<Value> indicesOf(ArrayRef<V> a, ArrayRef<V> b) {
  SmallVector<Value> all(a.begin(), a.end());
  all.append(b.begin(), b.end());
  return all;
}

/// The value that comes last in the order (largest first, or smallest first), and the one that comes first.
static V extreme(Code &c, Type type, bool lowest) {
  if (isa<FloatType>(type))
    return c.infinity(type, lowest);
  if (type.isInteger(1))
    return c.boolean(!lowest);
  unsigned width = type.getIntOrFloatBitWidth();
  APInt value = lowest ? APInt::getSignedMinValue(width) : APInt::getSignedMaxValue(width);
  return c.wrap(arith::ConstantOp::create(c.b, c.loc, c.b.getIntegerAttr(type, value)));
}

/// A value as the order sees it: NaN comes last.
static V keyOf(Code &c, V value, bool descending) {
  return value.isFloat() ? c.select(c.isNan(value), extreme(c, value.type(), descending), value) : value;
}
static V before(Code &c, V keyA, V keyB, bool descending) { return descending ? keyA > keyB : keyA < keyB; }

/// k passes over the row; each finds the first element after the last one found.
KernelEmitter moe::topKLoops(TopKOp op, int64_t grain) {
  int64_t k = op.getK();
  auto split = [k](Code &c, Operation *, ValueRange operands) -> std::pair<V, V> {
    int64_t rank = rankOf(operands[0]);
    return {c.size(operands[0], 0, rank - 1), c.dim(operands[0], rank - 1) * c.index(4 * std::max<int64_t>(k, 1))};
  };
  return rowEmitter(grain, split, [k](Code &c, Operation *o, V r) {
    auto op = cast<TopKOp>(o);
    Value x = op.getX(), values = op.getOuts()[0], indices = op.getOuts()[1];
    bool largest = op.getLargest();
    int64_t rank = rankOf(x);
    V width = c.dim(x, rank - 1);
    Vs at = c.delinearize(r, dimsOf(c, x, 0, rank - 1));
    Type type = elementOf(x);
    V zero = c.constant(type, 0);
    c.loop(c.index(0), c.index(k), {extreme(c, type, !largest), c.index(-1)}, [&](V slot, ArrayRef<V> last) -> Vs {
      Vs best = c.loop(c.index(0), width, {c.boolean(false), extreme(c, type, largest), c.index(0), zero},
                       [&](V i, ArrayRef<V> best) -> Vs {
                         V raw = c.load(x, indicesOf(at, {i}));
                         V key = keyOf(c, raw, largest);
                         V after = before(c, last[0], key, largest) | ((key == last[0]) & (i > last[1]));
                         V none = c.wrap(arith::XOrIOp::create(c.b, c.loc, best[0], c.boolean(true)));
                         V take = after & (none | before(c, key, best[1], largest));
                         return {best[0] | take, c.select(take, key, best[1]), c.select(take, i, best[2]),
                                 c.select(take, raw, best[3])};
                       });
      c.store(best[3], values, indicesOf(at, {slot}));
      c.store(c.fromIndex(best[2], c.b.getI64Type()), indices, indicesOf(at, {slot}));
      return {best[1], best[2]};
    });
  });
}

/// Heap sort of (value, index) pairs in the output; the order is total, so the result is the stable sort.
KernelEmitter moe::sortLoops(SortOp, int64_t grain) {
  auto split = [](Code &c, Operation *, ValueRange operands) -> std::pair<V, V> {
    int64_t rank = rankOf(operands[0]);
    return {c.size(operands[0], 0, rank - 1), c.dim(operands[0], rank - 1) * c.index(64)};
  };
  return rowEmitter(grain, split, [](Code &c, Operation *o, V r) {
    auto op = cast<SortOp>(o);
    Value x = op.getX(), values = op.getOuts()[0], indices = op.getOuts()[1];
    bool descending = op.getDescending();
    int64_t rank = rankOf(x);
    V width = c.dim(x, rank - 1), zero = c.index(0), one = c.index(1), two = c.index(2);
    Vs at = c.delinearize(r, dimsOf(c, x, 0, rank - 1));
    Type i64 = c.b.getI64Type();
    c.loop(zero, width, [&](V i) {
      c.store(c.load(x, indicesOf(at, {i})), values, indicesOf(at, {i}));
      c.store(c.fromIndex(i, i64), indices, indicesOf(at, {i}));
    });
    // Does the pair (key, index) come after (otherKey, otherIndex)?
    auto isAfter = [&](V key, V index, V otherKey, V otherIndex) {
      return before(c, otherKey, key, descending) | ((key == otherKey) & (index > otherIndex));
    };
    auto value = [&](V i) { return c.load(values, indicesOf(at, {i})); };
    auto index = [&](V i) { return c.load(indices, indicesOf(at, {i})); };
    // Moves the pair (v, p) down from `root` in the heap [0, size), whose top comes last in the order.
    auto siftDown = [&](V root, V size, V v, V p) {
      V key = keyOf(c, v, descending);
      Vs place = c.loopWhile(
          {root, c.boolean(true)}, [&](ArrayRef<V> s) { return s[1] & (s[0] * two + one < size); },
          [&](ArrayRef<V> s) -> Vs {
            V left = s[0] * two + one, right = left + one;
            // The right child only where there is one.
            V safe = c.select(right < size, right, left);
            V useRight =
                isAfter(keyOf(c, value(safe), descending), index(safe), keyOf(c, value(left), descending), index(left));
            V child = c.select(useRight, safe, left);
            V childValue = value(child), childIndex = index(child);
            V move = isAfter(keyOf(c, childValue, descending), childIndex, key, p);
            c.ifThen(move, [&] {
              c.store(childValue, values, indicesOf(at, {s[0]}));
              c.store(childIndex, indices, indicesOf(at, {s[0]}));
            });
            return {c.select(move, child, s[0]), move};
          });
      c.store(v, values, indicesOf(at, {place[0]}));
      c.store(p, indices, indicesOf(at, {place[0]}));
    };
    V half = width / two;
    c.loop(zero, half, [&](V i) {
      V root = half - one - i;
      siftDown(root, width, value(root), index(root));
    });
    c.loop(one, width, [&](V i) {
      V end = width - i;
      V v = value(end), p = index(end);
      c.store(value(zero), values, indicesOf(at, {end}));
      c.store(index(zero), indices, indicesOf(at, {end}));
      siftDown(zero, end, v, p);
    });
  });
}

static V combine(Code &c, Combiner combiner, V a, V b) {
  bool isFloat = a.isFloat();
  switch (combiner) {
  case Combiner::Assign:
    return b;
  case Combiner::Add:
    if (a.type().isInteger(1))
      return a | b;
    return isFloat ? c.wrap(arith::AddFOp::create(c.b, c.loc, a, b)) : a + b;
  case Combiner::Mul:
    if (a.type().isInteger(1))
      return a & b;
    return isFloat ? c.wrap(arith::MulFOp::create(c.b, c.loc, a, b)) : a * b;
  case Combiner::Max:
    return a.type().isInteger(1) ? a | b : c.max(a, b);
  case Combiner::Min:
    return a.type().isInteger(1) ? a & b : c.min(a, b);
  }
  return b;
}

static V neutral(Code &c, Combiner combiner, Type type) {
  switch (combiner) {
  case Combiner::Mul:
    return c.constant(type, 1);
  case Combiner::Max:
    return extreme(c, type, true);
  case Combiner::Min:
    return extreme(c, type, false);
  default:
    return c.constant(type, 0);
  }
}

/// A row is one line along the axis.
KernelEmitter moe::scanLoops(ScanOp op, int64_t grain) {
  int64_t axis = op.getAxis();
  auto split = [axis](Code &c, Operation *, ValueRange operands) -> std::pair<V, V> {
    int64_t rank = rankOf(operands[0]);
    return {c.size(operands[0], 0, axis) * c.size(operands[0], axis + 1, rank), c.dim(operands[0], axis) * c.index(2)};
  };
  return rowEmitter(grain, split, [axis](Code &c, Operation *o, V r) {
    auto op = cast<ScanOp>(o);
    Value x = op.getX(), out = op.getOuts().front();
    int64_t rank = rankOf(x);
    Vs dims = dimsOf(c, x, 0, axis);
    llvm::append_range(dims, dimsOf(c, x, axis + 1, rank));
    Vs at = c.delinearize(r, dims);
    V width = c.dim(x, axis);
    c.loop(c.index(0), width, {neutral(c, op.getCombiner(), elementOf(x))}, [&](V step, ArrayRef<V> acc) -> Vs {
      V i = op.getReverse() ? width - c.index(1) - step : step;
      SmallVector<Value> indices(at.begin(), at.end());
      indices.insert(indices.begin() + axis, i);
      V next = combine(c, op.getCombiner(), acc[0], c.load(x, indices));
      c.store(op.getExclusive() ? acc[0] : next, out, indices);
      return {next};
    });
  });
}

/// Rows are slices of `data` (its dims after the indexed ones), each of which takes its updates in order; where the
/// indices cover all dims there is one row. Without `data` in place, it is copied first.
KernelEmitter moe::scatterLoops(ScatterOp op, int64_t grain) {
  int64_t depth = cast<MemRefType>(op.getIndices().getType()).getShape().back();
  bool inPlace = op.getData() == op.getOuts().front();
  auto split = [depth, inPlace](Code &c, Operation *, ValueRange operands) -> std::pair<V, V> {
    int64_t rank = rankOf(operands[0]), indexRank = rankOf(operands[1]);
    V cost = c.size(operands[1], 0, indexRank - 1) * c.index(4 * (depth + 1));
    if (!inPlace)
      cost = cost + c.size(operands[0], 0, depth);
    return {c.size(operands[0], depth, rank), cost};
  };
  return rowEmitter(grain, split, [depth, inPlace](Code &c, Operation *o, V r) {
    auto op = cast<ScatterOp>(o);
    Value data = op.getData(), indices = op.getIndices(), updates = op.getUpdates(), out = op.getOuts().front();
    int64_t rank = rankOf(data), indexRank = rankOf(indices);
    Vs at = c.delinearize(r, dimsOf(c, data, depth, rank));
    if (rank == depth)
      at.clear();
    Vs lead = dimsOf(c, data, 0, depth);
    if (!inPlace)
      c.loop(c.index(0), c.size(data, 0, depth), [&](V n) {
        SmallVector<Value> place = indicesOf(depth ? c.delinearize(n, lead) : Vs(), at);
        c.store(c.load(data, place), out, place);
      });
    c.loop(c.index(0), c.size(indices, 0, indexRank - 1), [&](V n) {
      Vs tuple = indexRank > 1 ? c.delinearize(n, dimsOf(c, indices, 0, indexRank - 1)) : Vs();
      Vs place;
      V inside = c.boolean(true);
      for (int64_t d = 0; d < depth; ++d) {
        V i = c.toIndex(c.load(indices, indicesOf(tuple, {c.index(d)})));
        i = c.select(i < c.index(0), i + lead[d], i);
        inside = inside & (i >= c.index(0)) & (i < lead[d]);
        place.push_back(i);
      }
      c.check(inside,
              nodePrefix(op.getLoc()) + "expects indices in [-n, n) of a dim of n elements, but one is outside");
      c.ifThen(inside, [&] {
        SmallVector<Value> target = indicesOf(place, at);
        V update = c.load(updates, indicesOf(tuple, at));
        if (op.getCombiner() != Combiner::Assign)
          update = combine(c, op.getCombiner(), c.load(out, target), update);
        c.store(update, out, target);
      });
    });
  });
}

/// One item: the count decides where each index goes.
KernelEmitter moe::nonZeroLoops(NonZeroOp) {
  return serialEmitter([](Code &c, Operation *o) {
    auto op = cast<NonZeroOp>(o);
    Value x = op.getX(), indices = op.getOuts()[0], count = op.getOuts()[1];
    int64_t rank = rankOf(x);
    Type i64 = c.b.getI64Type();
    Vs dims = dimsOf(c, x, 0, rank);
    V total = c.size(x, 0, rank);
    V found = c.loop(c.index(0), total, {c.index(0)}, [&](V n, ArrayRef<V> at) -> Vs {
      Vs place = rank ? c.delinearize(n, dims) : Vs();
      V value = c.load(x, indicesOf(place, {}));
      V hit = value != c.constant(value.type(), 0);
      c.ifThen(hit, [&] {
        for (auto [d, p] : llvm::enumerate(place))
          c.store(c.fromIndex(p, i64), indices, {c.index(d), at[0]});
      });
      return {c.select(hit, at[0] + c.index(1), at[0])};
    })[0];
    for (int64_t d = 0; d < rank; ++d)
      c.loop(found, total, [&](V n) { c.store(c.constant(i64, 0), indices, {c.index(d), n}); });
    c.store(c.fromIndex(found, i64), count, ValueRange());
  });
}
