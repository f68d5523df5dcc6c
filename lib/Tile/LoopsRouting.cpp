//===- LoopsRouting.cpp - route, dispatch and combine as loops ------------===//
#include "Loops.h"
#include "moe/Support/NodeName.h"

using namespace mlir;
using namespace mlir::moe;

void ScoreSteps::load(Code &c, Value matrix, V row, V n, Value to) const {
  c.loop(c.index(0), n, [&](V i) { c.store(c.toFloat(c.loadWide(matrix, {row, i}), c.b.getF32Type()), to, {i}); });
}

void ScoreSteps::sum(Code &c, Value values, Value bias, V n, Value to) const {
  c.loop(c.index(0), n,
         [&](V i) { c.store(c.load(values, {i}) + c.toFloat(c.loadWide(bias, {i}), c.b.getF32Type()), to, {i}); });
}

void ScoreSteps::softmax(Code &c, Value values, V n) const {
  V zero = c.index(0);
  V top = c.loop(zero, n, {c.infinity(c.b.getF32Type(), true)},
                 [&](V i, ArrayRef<V> acc) -> Vs { return {c.max(acc[0], c.load(values, {i}))}; })[0];
  V sum = c.loop(zero, n, {c.f32(0)}, [&](V i, ArrayRef<V> acc) -> Vs {
    V e = c.exp(c.load(values, {i}) - top);
    c.store(e, values, {i});
    return {acc[0] + e};
  })[0];
  c.loop(zero, n, [&](V i) { c.store(c.load(values, {i}) / sum, values, {i}); });
}

void ScoreSteps::sigmoid(Code &c, Value values, V n) const {
  c.loop(c.index(0), n, [&](V i) { c.store(c.sigmoid(c.load(values, {i})), values, {i}); });
}

void ScoreSteps::forLargest(Code &c, Value values, V n, int64_t count,
                            llvm::function_ref<void(V slot, V index)> body) const {
  V lowest = c.infinity(c.b.getF32Type(), true), highest = c.infinity(c.b.getF32Type(), false);
  c.loop(c.index(0), c.index(count), {highest, c.index(-1)}, [&](V slot, ArrayRef<V> last) -> Vs {
    Vs best = c.loop(c.index(0), n, {c.boolean(false), lowest, c.index(0)}, [&](V i, ArrayRef<V> best) -> Vs {
      V key = c.load(values, {i});
      key = c.select(c.isNan(key), lowest, key);
      V after = (key < last[0]) | ((key == last[0]) & (i > last[1]));
      V none = c.wrap(arith::XOrIOp::create(c.b, c.loc, best[0], c.boolean(true)));
      V take = after & (none | (key > best[1]));
      return {best[0] | take, c.select(take, key, best[1]), c.select(take, i, best[2])};
    });
    body(slot, best[2]);
    return {best[1], best[2]};
  });
}

namespace {
/// The steps of one token's route; see the op's description.
struct RouteRow {
  Code &c;
  RouteOp op;
  const ScoreSteps &steps;
  V token;
  V experts;
  Value scores, chosen; // f32 [E]
  Value weights;        // f32 [k]
  V zero = c.index(0), one = c.index(1);
  Type f32 = c.b.getF32Type();
  Value choice = scores; // what is selected by: `scores`, or `chosen` where bias or groups make another
  ScoreSteps plain = {}; // for a few values

  void loadScores() {
    steps.load(c, op.getLogits(), token, experts, scores);
    if (op.getScore() == ScoreFn::Softmax)
      steps.softmax(c, scores, experts);
    else if (op.getScore() == ScoreFn::Sigmoid)
      steps.sigmoid(c, scores, experts);
    if (op.getSelectionBias())
      steps.sum(c, scores, op.getSelectionBias(), experts, choice = chosen);
  }

  void maskGroups() {
    int64_t groups = op.getNumGroups();
    V perGroup = experts / c.index(groups);
    Value groupScore = c.scratch({groups}, f32), keep = c.scratch({groups}, c.b.getI8Type());
    V lowest = c.infinity(f32, true);
    c.loop(zero, c.index(groups), [&](V g) {
      Vs top = c.loop(zero, perGroup, {lowest, lowest}, [&](V i, ArrayRef<V> acc) -> Vs {
        V v = c.load(choice, {g * perGroup + i});
        v = c.select(c.isNan(v), lowest, v);
        V isFirst = v > acc[0];
        return {c.select(isFirst, v, acc[0]), c.select(isFirst, acc[0], c.select(v > acc[1], v, acc[1]))};
      });
      c.store(op.getGroupScore() == GroupScore::Max ? top[0] : top[0] + top[1], groupScore, {g});
      c.store(c.constant(c.b.getI8Type(), 0), keep, {g});
    });
    plain.forLargest(c, groupScore, c.index(groups), op.getTopGroups(),
                     [&](V, V g) { c.store(c.constant(c.b.getI8Type(), 1), keep, {g}); });
    Value all = choice;
    choice = chosen;
    V fill = op.getGroupFill() == GroupFill::Zero ? c.f32(0) : lowest;
    c.loop(zero, experts, [&](V e) {
      V kept = c.load(keep, {e / perGroup}) != c.constant(c.b.getI8Type(), 0);
      c.store(c.select(kept, c.load(all, {e}), fill), choice, {e});
    });
  }

  /// Two picks of the largest logit, each weighted by the softmax over the logits near it.
  void sparseMixer() {
    V limit = c.f32(2 * op.getSparsemixerEps().convertToDouble());
    steps.forLargest(c, scores, experts, 2, [&](V slot, V pick) {
      V top = c.load(scores, {pick});
      // The first pick is out of the second's softmax.
      V first = c.select(slot == zero, c.index(-1), c.toIndex(c.load(op.getOuts()[1], {token, zero})));
      V sum = c.loop(zero, experts, {c.f32(0)}, [&](V e, ArrayRef<V> acc) -> Vs {
        V l = c.load(scores, {e});
        V dropped = (top - l) / c.max(c.abs(l), top) > limit;
        V out = dropped | (e == first);
        return {acc[0] + c.select(out, c.f32(0), c.exp(l - top))};
      })[0];
      c.store(c.f32(1) / sum, weights, {slot});
      c.store(c.fromIndex(pick, c.b.getI64Type()), op.getOuts()[1], {token, slot});
    });
  }

  void normalize() {
    int64_t k = op.getK();
    V n = c.index(k);
    if (op.getNormalize() == Normalize::None)
      return;
    double p = op.getNormP().convertToDouble();
    bool powers = op.getNormalize() == Normalize::PNorm && p != 1;
    V sum = c.loop(zero, n, {c.f32(0)}, [&](V j, ArrayRef<V> acc) -> Vs {
      V w = c.load(weights, {j});
      if (op.getNormalize() == Normalize::PNorm)
        w = c.abs(w);
      if (powers)
        w = p == 2 ? w * w : c.pow(w, c.f32(p));
      return {acc[0] + w};
    })[0];
    V eps = c.f32(op.getNormEps().convertToDouble());
    if (powers)
      sum = p == 2 ? c.sqrt(sum) : c.pow(sum, c.f32(1 / p));
    else if (op.getNormalize() == Normalize::SumPlusEps)
      sum = sum + eps;
    else if (op.getNormalize() == Normalize::SumMaxEps)
      sum = c.max(sum, eps);
    c.loop(zero, n, [&](V j) { c.store(c.load(weights, {j}) / sum, weights, {j}); });
  }

  void run() {
    V k = c.index(op.getK());
    if (op.getScore() == ScoreFn::SparseMixer) {
      steps.load(c, op.getLogits(), token, experts, scores);
      sparseMixer();
    } else {
      loadScores();
      if (op.getNumGroups() > 1)
        maskGroups();
      steps.forLargest(c, choice, experts, op.getK(), [&](V slot, V e) {
        c.store(c.load(scores, {e}), weights, {slot});
        c.store(c.fromIndex(e, c.b.getI64Type()), op.getOuts()[1], {token, slot});
      });
      if (op.getWeightFn() == WeightFn::Softmax)
        plain.softmax(c, weights, k);
      else if (op.getWeightFn() == WeightFn::Sigmoid)
        plain.sigmoid(c, weights, k);
      normalize();
    }
    V scale = c.f32(op.getScale().convertToDouble());
    c.loop(zero, k, [&](V j) { c.storeNarrow(c.load(weights, {j}) * scale, op.getOuts()[0], {token, j}); });
  }
};
} // namespace

KernelEmitter moe::routeLoops(RouteOp op, int64_t grain, std::shared_ptr<const ScoreSteps> steps) {
  int64_t experts = cast<MemRefType>(op.getLogits().getType()).getDimSize(1), k = op.getK();
  auto split = [experts, k](Code &c, Operation *, ValueRange operands) -> std::pair<V, V> {
    return {c.dim(operands[0], 0), c.index(experts * (20 + 4 * k))};
  };
  return rowEmitter(grain, split, [experts, k, steps](Code &c, Operation *o, V token) {
    Type f32 = c.b.getF32Type();
    RouteRow row{c,
                 cast<RouteOp>(o),
                 *steps,
                 token,
                 c.index(experts),
                 c.scratch({experts}, f32),
                 c.scratch({experts}, f32),
                 c.scratch({k}, f32)};
    row.run();
  });
}

/// A counting sort in three sweeps; one item, since each place depends on the ones before.
KernelEmitter moe::dispatchLoops(DispatchOp) {
  return serialEmitter([](Code &c, Operation *o) {
    auto op = cast<DispatchOp>(o);
    Value offsets = op.getOuts()[0], order = op.getOuts()[1], position = op.getOuts()[2], indices = op.getIndices();
    Type i32 = c.b.getI32Type();
    V zero = c.index(0), one = c.index(1), experts = c.index(op.getNumExperts());
    V slots = c.dim(indices, 1), total = c.dim(indices, 0) * slots;
    V none = c.constant(i32, 0), unit = c.constant(i32, 1);
    // An id out of range is an error, and counts for the nearest expert: memory stays safe whatever the data.
    std::string message = nodePrefix(op.getLoc()) + "expects expert numbers in [0, " +
                          std::to_string(op.getNumExperts()) + "), but one is outside";
    auto expert = [&](V a) {
      V e = c.toIndex(c.load(indices, {a / slots, a % slots}));
      return c.max(zero, c.min(e, experts - one));
    };
    c.loop(zero, experts + one, [&](V e) { c.store(none, offsets, {e}); });
    c.loop(zero, total, [&](V a) {
      V given = c.toIndex(c.load(indices, {a / slots, a % slots}));
      c.check((given >= zero) & (given < experts), message);
      V e = expert(a) + one;
      c.store(c.load(offsets, {e}) + unit, offsets, {e});
    });
    c.loop(zero, experts, {none}, [&](V e, ArrayRef<V> acc) -> Vs {
      V sum = acc[0] + c.load(offsets, {e + one});
      c.store(sum, offsets, {e + one});
      return {sum};
    });
    // offsets[e] moves up while expert e fills, and is then the start of e + 1: shifted back at the end.
    c.loop(zero, total, [&](V a) {
      V e = expert(a);
      V p = c.load(offsets, {e});
      c.store(c.fromIndex(a, i32), order, {c.toIndex(p)});
      c.store(p, position, {a});
      c.store(p + unit, offsets, {e});
    });
    c.loop(zero, experts, [&](V i) {
      V e = experts - i;
      c.store(c.load(offsets, {e - one}), offsets, {e});
    });
    c.store(none, offsets, {zero});
  });
}

/// out[t, h] = residual[t, h] + sum_j weights[t, j] * y[position[t * k + j], h], j ascending
KernelEmitter moe::combineLoops(CombineOp op, int64_t grain) {
  int64_t k = op.getK();
  // The finest item is one element of the output (a thread of the GPU); on the CPU a row of it.
  bool elements = grain <= 1;
  auto split = [k, elements](Code &c, Operation *o, ValueRange operands) -> std::pair<V, V> {
    Value out = operands.back();
    V cost = c.index(2 * k + 2);
    return elements ? std::pair<V, V>{c.size(out, 0, 2), cost} : std::pair<V, V>{c.dim(out, 0), cost * c.dim(out, 1)};
  };
  return rowEmitter(grain, split, [k, elements](Code &c, Operation *o, V r) {
    auto op = cast<CombineOp>(o);
    Value out = op.getOuts().front(), y = op.getY();
    V width = c.dim(out, 1), token = elements ? r / width : r;
    Type wide = c.widen(c.constant(cast<MemRefType>(y.getType()).getElementType(), 0)).type();
    Vs weights, rows;
    for (int64_t j = 0; j < k; ++j) {
      rows.push_back(c.toIndex(c.load(op.getPosition(), {token * c.index(k) + c.index(j)})));
      if (op.getWeights())
        weights.push_back(c.toFloat(c.loadWide(op.getWeights(), {token, c.index(j)}), wide));
    }
    auto element = [&](V h) {
      V acc = op.getResidual() ? c.toFloat(c.loadWide(op.getResidual(), {token, h}), wide) : c.constant(wide, 0);
      for (int64_t j = 0; j < k; ++j) {
        V v = c.loadWide(y, {rows[j], h});
        acc = acc + (op.getWeights() ? weights[j] * v : v);
      }
      c.storeNarrow(acc, out, {token, h});
    };
    if (elements)
      element(r % width);
    else
      c.loop(c.index(0), width, element);
  });
}
