//===- LoopsProducts.cpp - products and attention as loops ----------------===//
#include "Loops.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::moe;

static MemRefType typeOf(Value memref) { return cast<MemRefType>(memref.getType()); }

namespace {
/// One row of the output and some of its columns.
struct ProductRow {
  Code &c;
  GroupedMatmulOp op;
  V row;    // of the output
  V source; // of x
  V group;
  V zero = c.index(0);

  V columns() { return c.dim(op.getOuts().front(), 1); }

  /// Runs the epilogue for column n and stores the element.
  void finish(V n, ArrayRef<V> sums) {
    IRMapping map;
    Block &body = op.getEpilogue().front();
    unsigned count = op.getWeights().size();
    for (auto [arg, sum] : llvm::zip(body.getArguments(), sums))
      map.map(arg, sum);
    for (auto [i, extra] : llvm::enumerate(op.getExtras())) {
      int64_t kind = op.getExtraKinds()[i];
      SmallVector<Value> at;
      if (kind == 0 || kind == 3)
        at.push_back(row);
      else if (kind == 1)
        at.push_back(group);
      else if (kind == 4)
        at.push_back(source);
      if (kind != 3)
        at.push_back(n);
      map.map(body.getArgument(count + i), c.load(extra, at));
    }
    for (Operation &inner : body.without_terminator())
      c.b.clone(inner, map);
    c.store(c.wrap(map.lookupOrDefault(body.getTerminator()->getOperand(0))), op.getOuts().front(), {row, n});
  }

  V x(V k) { return c.toFloat(c.loadWide(op.getX(), {source, k}), c.b.getF32Type()); }

  V blockOf(V i, int64_t block) { return block ? i / c.index(block) : zero; }
  /// The scale of x and of each weight at column n and from k on; they hold until the block along K ends.
  V xScale(V k) {
    ArrayRef<int64_t> block = op.getXBlock();
    return c.loadWide(op.getXScales(), {blockOf(source, block[0]), blockOf(k, block[1])});
  }
  V weightScale(size_t i, V n, V k) {
    ArrayRef<int64_t> block = op.getWeightBlock();
    return c.loadWide(op.getWeightScales()[i], {blockOf(group, block[0]), blockOf(n, block[1]), blockOf(k, block[2])});
  }
  bool scaled() { return !op.getWeightScales().empty(); }
  /// Sums over k of pieces of at most one interval; where there are scales each piece is multiplied by them and added to
  /// the sums in f32. `piece(lo, hi)` gives the sums of one piece, `factor(i, k)` their scale.
  Vs promoted(Vs none, llvm::function_ref<Vs(V, V)> piece, llvm::function_ref<V(size_t, V)> factor) {
    V depth = c.dim(op.getX(), 1);
    if (!scaled())
      return piece(zero, depth);
    V interval = c.index(op.getPromotion());
    return c.loop(zero, c.ceilDiv(depth, interval), none, [&](V p, ArrayRef<V> acc) -> Vs {
      V lo = p * interval;
      Vs part = piece(lo, c.min(depth, lo + interval)), next;
      for (size_t i = 0; i < part.size(); ++i)
        next.push_back(acc[i] + part[i] * factor(i, lo));
      return next;
    });
  }

  /// weights [G, N, K]
  void column(V n) {
    Vs none(op.getWeights().size(), c.f32(0));
    Vs sums = promoted(
        none,
        [&](V lo, V hi) {
          return c.loop(lo, hi, none, [&](V k, ArrayRef<V> acc) -> Vs {
            V a = x(k);
            Vs next;
            for (auto [i, w] : llvm::enumerate(op.getWeights()))
              next.push_back(c.addAnyOrder(acc[i], a * c.toFloat(c.loadWide(w, {group, n, k}), c.b.getF32Type())));
            return next;
          });
        },
        [&](size_t i, V k) {
          V factor = weightScale(i, n, k);
          return op.getXScales() ? factor * xScale(k) : factor;
        });
    finish(n, sums);
  }

  /// weights [G, ceil(N / panel), K, panel]: a panel of columns at once, as vectors.
  void panel(V index, int64_t width) {
    OpBuilder &b = c.b;
    auto f32 = VectorType::get({width}, b.getF32Type());
    auto raw = VectorType::get({width}, typeOf(op.getWeights().front()).getElementType());
    Vs none(op.getWeights().size(), c.wrap(arith::ConstantOp::create(b, c.loc, b.getZeroAttr(f32))));
    V first = index * c.index(width), last = c.min(first + c.index(width), columns());
    auto piece = [&](V lo, V hi) {
      return c.loop(lo, hi, none, [&](V k, ArrayRef<V> acc) -> Vs {
        Value a = vector::BroadcastOp::create(b, c.loc, f32, x(k));
        Vs next;
        for (auto [i, w] : llvm::enumerate(op.getWeights())) {
          Value line = vector::LoadOp::create(b, c.loc, raw, w, ValueRange{group, index, k, zero});
          if (raw.getElementType().getIntOrFloatBitWidth() < 32)
            line = arith::ExtFOp::create(b, c.loc, f32, line);
          else if (!raw.getElementType().isF32())
            line = arith::TruncFOp::create(b, c.loc, f32, line);
          next.push_back(c.wrap(vector::FMAOp::create(b, c.loc, a, line, acc[i])));
        }
        return next;
      });
    };
    // The scales of the panel's columns; those past N have none and repeat the last.
    auto factor = [&](size_t i, V k) {
      Value line = arith::ConstantOp::create(b, c.loc, b.getZeroAttr(f32));
      V end = columns() - c.index(1);
      for (int64_t j = 0; j < width; ++j) {
        V scale = weightScale(i, c.min(first + c.index(j), end), k);
        if (op.getXScales())
          scale = scale * xScale(k);
        line = vector::InsertOp::create(b, c.loc, scale, line, ArrayRef<int64_t>{j});
      }
      return c.wrap(line);
    };
    Vs sums = promoted(none, piece, factor);
    Value lanes = c.scratch({static_cast<int64_t>(sums.size()), width}, b.getF32Type());
    for (auto [i, sum] : llvm::enumerate(sums))
      vector::StoreOp::create(b, c.loc, sum, lanes, ValueRange{c.index(i), zero});
    c.loop(first, last, [&](V n) {
      Vs values;
      for (size_t i = 0; i < sums.size(); ++i)
        values.push_back(c.load(lanes, {c.index(i), n - first}));
      finish(n, values);
    });
  }
};
} // namespace

/// Work is (row, block of columns); each finds its group by bisection.
KernelEmitter moe::groupedMatmulLoops(GroupedMatmulOp op, int64_t grain) {
  int64_t width = op.getPacked() ? static_cast<int64_t>(op.getPacked()) : grain <= 1 ? 1 : 16;
  auto split = [width](Code &c, Operation *o, ValueRange operands) -> std::pair<V, V> {
    auto op = cast<GroupedMatmulOp>(o);
    Value out = operandFor(o, operands, op.getOuts().front());
    V cost = c.dim(operandFor(o, operands, op.getX()), 1) * c.index(width * op.getWeights().size());
    return {c.dim(out, 0) * c.ceilDiv(c.dim(out, 1), c.index(width)), cost};
  };
  return rowEmitter(grain, split, [width](Code &c, Operation *o, V unit) {
    auto op = cast<GroupedMatmulOp>(o);
    V blocks = c.ceilDiv(c.dim(op.getOuts().front(), 1), c.index(width));
    V row = unit / blocks, block = unit % blocks, zero = c.index(0), one = c.index(1);
    V source = row, group = zero;
    if (op.getRows())
      source = c.toIndex(c.load(op.getRows(), {row})) / c.index(op.getRowsDivisor());
    if (op.getOffsets()) {
      // The last group that starts at or before the row and holds it.
      V groups = c.dim(op.getOffsets(), 0) - one;
      group = c.loopWhile(
          {zero, groups}, [&](ArrayRef<V> s) { return s[0] < s[1]; },
          [&](ArrayRef<V> s) -> Vs {
            V middle = (s[0] + s[1]) / c.index(2);
            V below = c.toIndex(c.load(op.getOffsets(), {middle + one})) <= row;
            return {c.select(below, middle + one, s[0]), c.select(below, s[1], middle)};
          })[0];
    }
    ProductRow product{c, op, row, source, group};
    if (op.getPacked()) {
      product.panel(block, width);
      return;
    }
    V first = block * c.index(width);
    c.loop(first, c.min(first + c.index(width), product.columns()), [&](V n) { product.column(n); });
  });
}

/// Work is (group, row of the result, block of columns).
KernelEmitter moe::groupedOuterProductLoops(GroupedOuterProductOp, int64_t grain) {
  int64_t width = grain <= 1 ? 1 : 16;
  auto split = [width](Code &c, Operation *o, ValueRange operands) -> std::pair<V, V> {
    auto op = cast<GroupedOuterProductOp>(o);
    Value out = operandFor(o, operands, op.getOuts().front()), x = operandFor(o, operands, op.getX());
    V rows = c.ceilDiv(c.dim(x, 0), c.max(c.dim(out, 0), c.index(1)));
    return {c.size(out, 0, 2) * c.ceilDiv(c.dim(out, 2), c.index(width)), c.max(rows, c.index(1)) * c.index(width)};
  };
  return rowEmitter(grain, split, [width](Code &c, Operation *o, V unit) {
    auto op = cast<GroupedOuterProductOp>(o);
    Value dy = op.getDy(), x = op.getX(), out = op.getOuts().front();
    Type f32 = c.b.getF32Type();
    V columns = c.dim(out, 2), blocks = c.ceilDiv(columns, c.index(width)), row = unit / blocks;
    V group = row / c.dim(out, 1), n = row % c.dim(out, 1), first = unit % blocks * c.index(width);
    V begin = c.toIndex(c.load(op.getOffsets(), {group})),
      end = c.toIndex(c.load(op.getOffsets(), {group + c.index(1)}));
    c.loop(first, c.min(first + c.index(width), columns), [&](V k) {
      V sum = c.loop(begin, end, {c.f32(0)}, [&](V p, ArrayRef<V> acc) -> Vs {
        return {acc[0] + c.toFloat(c.loadWide(dy, {p, n}), f32) * c.toFloat(c.loadWide(x, {p, k}), f32)};
      })[0];
      c.storeNarrow(sum, out, {group, n, k});
    });
  });
}

/// One query row at a time with a running maximum: no buffer of scores.
KernelEmitter moe::attentionLoops(AttentionOp, int64_t grain) {
  auto split = [](Code &c, Operation *o, ValueRange operands) -> std::pair<V, V> {
    V cost = c.dim(operands[1], 2) * (c.dim(operands[0], 3) + c.dim(operands[2], 3) + c.index(16));
    return {c.size(operands[0], 0, 3), cost};
  };
  return rowEmitter(grain, split, [](Code &c, Operation *o, V r) {
    auto op = cast<AttentionOp>(o);
    Value query = op.getQuery(), key = op.getKey(), value = op.getValue(), out = op.getOuts().front();
    Type f32 = c.b.getF32Type();
    V zero = c.index(0), one = c.index(1), lowest = c.infinity(f32, true);
    V heads = c.dim(query, 1), rows = c.dim(query, 2), depth = c.dim(query, 3), length = c.dim(key, 2),
      width = c.dim(value, 3);
    Vs at = c.delinearize(r, {c.dim(query, 0), heads, rows});
    V batch = at[0], head = at[1], i = at[2];
    V kvHead = head / (heads / c.dim(key, 1));
    V position = i + length - rows;
    // Keys [first, last) are in sight; the others are -inf.
    V first = zero, last = length;
    if (op.getCausal())
      last = c.max(zero, c.min(length, position + one));
    if (op.getWindow() > 0)
      first = c.max(zero, position + one - c.index(op.getWindow()));
    auto broadcast = [&](Value memref, int64_t d, V index) {
      MemRefType type = typeOf(memref);
      if (type.getDimSize(d) == 1)
        return zero;
      return type.isDynamicDim(d) ? c.select(c.dim(memref, d) == one, zero, index) : index;
    };
    Value mask = op.getMask();
    V maskBatch, maskHead, maskRow;
    if (mask) {
      maskBatch = broadcast(mask, 0, batch);
      maskHead = broadcast(mask, 1, head);
      maskRow = broadcast(mask, 2, i);
    }
    int64_t staticWidth = typeOf(value).getDimSize(3);
    bool inScratch = !ShapedType::isDynamic(staticWidth);
    // Sums live in scratch; a width that is not known at compile time sums in the output instead.
    Value sums = inScratch ? c.scratch({staticWidth}, f32).v : Value();
    auto loadSum = [&](V d) {
      return inScratch ? c.load(sums, {d}) : c.toFloat(c.loadWide(out, {batch, head, i, d}), f32);
    };
    auto storeSum = [&](V v, V d) { inScratch ? c.store(v, sums, {d}) : c.storeNarrow(v, out, {batch, head, i, d}); };
    c.loop(zero, width, [&](V d) { storeSum(c.f32(0), d); });

    V top = lowest, total = c.f32(0);
    if (op.getSinks()) {
      // The sink is a first key without a value.
      top = c.toFloat(c.loadWide(op.getSinks(), {head}), f32);
      total = c.select(top == lowest, c.f32(0), c.f32(1));
    }
    V scale = c.f32(op.getScale().convertToDouble());
    double cap = op.getSoftcap().convertToDouble();
    Vs state = c.loop(first, last, {top, total}, [&](V j, ArrayRef<V> s) -> Vs {
      V dot = c.loop(zero, depth, {c.f32(0)}, [&](V d, ArrayRef<V> acc) -> Vs {
        V q = c.toFloat(c.loadWide(query, {batch, head, i, d}), f32);
        return {c.addAnyOrder(acc[0], q * c.toFloat(c.loadWide(key, {batch, kvHead, j, d}), f32))};
      })[0];
      V z = dot * scale;
      if (cap > 0)
        z = c.tanh(z * c.f32(1 / cap)) * c.f32(cap);
      if (mask)
        z = z + c.toFloat(c.loadWide(mask, {maskBatch, maskHead, maskRow, broadcast(mask, 3, j)}), f32);
      V next = c.max(s[0], z);
      // -inf - -inf is not a number: nothing seen yet weighs nothing.
      V still = next == lowest;
      V keep = c.select(still, c.f32(1), c.exp(s[0] - next));
      V weight = c.select(still, c.f32(0), c.exp(z - next));
      c.loop(zero, width, [&](V d) {
        storeSum(loadSum(d) * keep + weight * c.toFloat(c.loadWide(value, {batch, kvHead, j, d}), f32), d);
      });
      return {next, s[1] * keep + weight};
    });
    V empty = state[1] == c.f32(0);
    c.loop(zero, width,
           [&](V d) { c.storeNarrow(c.select(empty, c.f32(0), loadSum(d) / state[1]), out, {batch, head, i, d}); });
  });
}
