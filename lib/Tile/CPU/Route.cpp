//===- Route.cpp - the router's steps over all experts, on vectors ---------===//
#include "../Loops.h"
#include "Emitters.h"
#include "Lines.h"
#include "Vectorize.h"

using namespace mlir;
using namespace mlir::moe;

namespace {
struct VectorScores : ScoreSteps {
  void load(Code &c, Value matrix, V row, V n, Value to) const override {
    Lines l{c};
    l.sweep(c.index(0), n, [&](V h, V mask) { l.store(l.load(matrix, {row}, h, mask), to, {}, h, mask); });
  }

  void sum(Code &c, Value values, Value bias, V n, Value to) const override {
    Lines l{c};
    l.sweep(c.index(0), n,
            [&](V h, V mask) { l.store(l.load(values, {}, h, mask) + l.load(bias, {}, h, mask), to, {}, h, mask); });
  }

  void softmax(Code &c, Value values, V n) const override {
    Lines l{c};
    V zero = c.index(0), lowest = c.infinity(l.f32, true);
    auto within = [&](V mask, V v, V otherwise) { return mask.v ? c.select(mask, v, otherwise) : v; };
    V most = l.sweep(zero, n, {lowest}, [&](V h, V mask, ArrayRef<V> s) -> Vs {
      return {c.max(s[0], within(mask, l.load(values, {}, h, mask), lowest))};
    })[0];
    V top = l.splat(c.wrap(vector::ReductionOp::create(c.b, c.loc, vector::CombiningKind::MAXIMUMF, most)));
    V sums = l.sweep(zero, n, {l.constant(0)}, [&](V h, V mask, ArrayRef<V> s) -> Vs {
      // The least scores are compared too: what differs stays different.
      V e = within(mask, c.wrap(fastExp(c.b, c.loc, l.load(values, {}, h, mask) - top, kLeastExp)), l.constant(0));
      l.store(e, values, {}, h, mask);
      return {s[0] + e};
    })[0];
    V total = l.splat(c.wrap(vector::ReductionOp::create(c.b, c.loc, vector::CombiningKind::ADD, sums)));
    l.sweep(zero, n, [&](V h, V mask) { l.store(l.load(values, {}, h, mask) / total, values, {}, h, mask); });
  }

  void sigmoid(Code &c, Value values, V n) const override {
    Lines l{c};
    l.sweep(c.index(0), n, [&](V h, V mask) {
      V e = c.wrap(fastExp(c.b, c.loc, l.constant(0) - l.load(values, {}, h, mask)));
      l.store(l.constant(1) / (l.constant(1) + e), values, {}, h, mask);
    });
  }

  /// Each lane keeps its best of the elements behind the last one that was taken; then the best of the lanes.
  void forLargest(Code &c, Value values, V n, int64_t count, llvm::function_ref<void(V, V)> body) const override {
    Lines l{c};
    Type i32 = c.b.getI32Type();
    auto numbers = VectorType::get({kPanel}, i32);
    SmallVector<int32_t> ascending(llvm::to_vector(llvm::seq<int32_t>(0, kPanel)));
    V lane =
        c.wrap(arith::ConstantOp::create(c.b, c.loc, DenseElementsAttr::get(numbers, ArrayRef<int32_t>(ascending))));
    V lowest = c.infinity(l.f32, true), none = c.constant(numbers, -1), first = c.constant(numbers, 0);
    auto everywhere = [&](V number) { return c.wrap(vector::BroadcastOp::create(c.b, c.loc, numbers, number)); };
    c.loop(c.index(0), c.index(count), {c.infinity(c.b.getF32Type(), false), c.constant(i32, -1)},
           [&](V slot, ArrayRef<V> last) -> Vs {
             V lastKey = l.splat(last[0]), lastNumber = everywhere(last[1]);
             Vs best = l.sweep(c.index(0), n, {lowest, none}, [&](V h, V mask, ArrayRef<V> s) -> Vs {
               V key = l.load(values, {}, h, mask), number = lane + everywhere(c.fromIndex(h, i32));
               key = c.select(c.isNan(key), lowest, key);
               V take =
                   ((key < lastKey) | ((key == lastKey) & (number > lastNumber))) & ((s[1] < first) | (key > s[0]));
               if (mask.v)
                 take = take & mask;
               return {c.select(take, key, s[0]), c.select(take, number, s[1])};
             });
             V key = c.wrap(vector::ReductionOp::create(c.b, c.loc, vector::CombiningKind::MAXNUMF, best[0]));
             // No number is -1, the largest unsigned one.
             V equal = c.select(best[0] == l.splat(key), best[1], none);
             V number = c.wrap(vector::ReductionOp::create(c.b, c.loc, vector::CombiningKind::MINUI, equal));
             body(slot, c.toIndex(number));
             return {key, number};
           });
  }
};
} // namespace

std::optional<KernelEmitter> moe::routeEmitter(RouteOp op) {
  SmallVector<Value> rows = {op.getLogits()};
  if (op.getSelectionBias())
    rows.push_back(op.getSelectionBias());
  if (!llvm::all_of(rows, isVectorFloat) || !llvm::all_of(rows, isRowContiguous))
    return std::nullopt;
  KernelEmitter emitter = routeLoops(op, kVectorGrain, std::make_shared<VectorScores>());
  emitter.vectorized = true;
  return emitter;
}
