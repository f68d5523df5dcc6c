//===- RouteRows.cpp - routing, counting sort and work list in one launch -===//
//
// Warps take consecutive tokens. Each chooses its tokens' experts with the lanes' experts in registers, and counts them in a
// histogram of its own: an assignment's rank among its expert's is then known without sorting. After one barrier between
// the blocks every block knows where each expert's rows begin and how many are in front of its own.
//
//===----------------------------------------------------------------------===//
#include "BlockCode.h"
#include "Emitters.h"
#include "dialects/moe/Moe.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::tile;

namespace {
constexpr int64_t kThreads = 1024, kWarps = kThreads / 32;
constexpr int64_t kAlign = 8, kItemRows = 128, kGroup = 16;
constexpr int64_t kExpertBits = 12; ///< of a packed (expert, rank)
constexpr int64_t kNone = 0;        ///< the key of what cannot be chosen, below that of -inf

class RouteRows : BlockCode {
public:
  RouteRows(OpBuilder &b, RouteRowsOp op) : BlockCode(b, op.getLoc()), op(op) {
    experts = cast<MemRefType>(op.getLogits().getType()).getDimSize(1);
    perLane = (experts + 31) / 32;
    k = op.getK();
    weights = op.getOuts()[0], position = op.getOuts()[1], items = op.getOuts()[2], counters = op.getOuts()[3], histogram = op.getOuts()[4];
  }

  void emit() {
    Type f = b.getF32Type(), i = i32Type();
    scores = alloc({kWarps, experts}, f);
    ranks = alloc({kWarps, experts}, i);
    base = alloc({experts}, i);
    parts = alloc({2, kThreads}, i);
    warpSums = alloc({2, kWarps}, i);
    start(/*dependent=*/true);
    thread = id(IdKind::Thread), lane = id(IdKind::Lane), warp = id(IdKind::Warp), block = id(IdKind::Block), blocks = id(IdKind::Blocks);
    tokens = wrap(arith::IndexCastOp::create(b, loc, i, dim(op.getLogits(), 0)));
    V warps = blocks * n(kWarps), perWarp = (tokens + warps - n(1)) / warps, number = block * n(kWarps) + warp;
    V first = least(number * perWarp, tokens), last = least(first + perWarp, tokens);

    strided(thread, n(kWarps * experts), n(kThreads), [&](V at) { write(n(0), ranks, at); });
    V used = n(16 + experts) + tokens * n(k) / n(kItemRows);
    strided(block * n(kThreads) + thread, used, blocks * n(kThreads), [&](V at) { store(n(0), counters, at); });
    syncBlock();
    loop(toIndex(first), toIndex(last), [&](V t) { route(fromIndex(t, i)); });
    syncBlock();
    // Counts of the warps in front, and of the whole block.
    strided(thread, n(experts), n(kThreads), [&](V e) {
      V sum = n(0);
      for (int64_t w = 0; w < kWarps; ++w) {
        V at = n(w * experts) + e, count = read(ranks, at, i);
        write(sum, ranks, at);
        sum = sum + count;
      }
      store(sum, histogram, block * n(experts) + e);
    });
    meetAll();
    place();
    syncBlock();
    loop(toIndex(first), toIndex(last), [&](V t) {
      ifThen(below(lane, n(k)), [&] {
        V at = fromIndex(t, i) * n(k) + lane, packed = load(position, at, i);
        V e = packed & n((1 << kExpertBits) - 1), rank = shr(packed, kExpertBits);
        store(read(base, e, i) + read(ranks, warp * n(experts) + e, i) + rank, position, at);
      });
    });
  }

private:
  void syncBlock() { sync(n(0), kThreads); }
  void strided(V from, V to, V step, llvm::function_ref<void(V)> body) {
    loopWhile({from}, [&](ArrayRef<V> a) { return below(a[0], to); }, [&](ArrayRef<V> a) -> Vs {
      body(a[0]);
      return {a[0] + step};
    });
  }
  /// Unsigned keys in the order of floats; NaN as -inf, -0 as 0.
  V keyOf(V value) {
    V bits = asBits(value + f32(0));
    V negative = wrap(arith::ShRSIOp::create(b, loc, bits, n(31)));
    V key = bitXor(bits, bitOr(negative, n(0x80000000ll - (1ll << 32))));
    return select(isNan(value), n(0x007fffff), key);
  }
  V warpMax(V v) {
    return butterfly(v, 1, 32, [&](V a, V c) { return larger(a, c); });
  }
  V warpSum(V v) {
    return butterfly(v, 1, 32, [](V a, V c) { return a + c; });
  }
  V lowest() { return infinity(b.getF32Type(), /*negative=*/true); }

  /// This lane's expert number i, and whether there is one.
  V expertOf(int64_t i) { return lane + n(32 * i); }
  V valid(int64_t i) { return 32 * (i + 1) <= experts ? boolean(true) : below(expertOf(i), n(experts)); }

  //===- One token --------------------------------------------------------------===//

  Vs scoresOf(V t) {
    Vs s;
    V row = wide(t) * wide(experts);
    for (int64_t i = 0; i < perLane; ++i)
      s.push_back(ifElse(valid(i), [&]() -> Vs { return {widen(load(op.getLogits(), row + wide(expertOf(i)), cast<MemRefType>(op.getLogits().getType()).getElementType()))}; },
                         [&]() -> Vs { return {lowest()}; })[0]);
    if (op.getScore() == ScoreFn::Sigmoid)
      for (V &v : s)
        v = f32(1) / (f32(1) + exp(f32(0) - v));
    if (op.getScore() == ScoreFn::Softmax) {
      V top = s[0];
      for (V v : ArrayRef<V>(s).drop_front())
        top = larger(top, v);
      top = warpMax(top);
      V sum = f32(0);
      for (V &v : s) {
        v = exp(v - top);
        sum = sum + v;
      }
      sum = warpSum(sum);
      for (V &v : s)
        v = v / sum;
    }
    return s;
  }

  /// Takes the lane with the largest key (the lowest number among equals) and marks it.
  V takeLane(V &key) {
    V top = reduce(ReduceKind::Max, key), winner = reduce(ReduceKind::Min, select(key == top, lane, n(-1)));
    key = select(lane == winner, n(kNone), key);
    return winner;
  }

  /// Replaces choice scores of experts outside the best groups. `row`: this warp's scores in shared memory.
  void keepGroups(Vs &c, V row) {
    int64_t groups = op.getNumGroups(), size = experts / groups;
    for (int64_t i = 0; i < perLane; ++i)
      ifThen(valid(i), [&] { write(c[static_cast<size_t>(i)], scores, row + expertOf(i)); });
    syncWarp();
    // Lane g scores group g; it begins at its own number, so that lanes read different banks.
    V g = least(lane, n(groups - 1));
    Vs top = loop(index(0), index(size), {lowest(), lowest()}, [&](V i, ArrayRef<V> a) -> Vs {
      V at = fromIndex(i, i32Type()) + g, inside = at % n(size);
      V v = read(scores, row + g * n(size) + inside, b.getF32Type());
      V beats = v > a[0];
      return {select(beats, v, a[0]), select(beats, a[0], larger(a[1], v))};
    });
    syncWarp();
    V key = select(below(lane, n(groups)), keyOf(op.getGroupScore() == GroupScore::Top2Sum ? top[0] + top[1] : top[0]), n(kNone));
    V kept = n(0);
    for (int64_t i = 0; i < static_cast<int64_t>(op.getTopGroups()); ++i)
      kept = bitOr(kept, shl(n(1), takeLane(key)));
    V fill = op.getGroupFill() == GroupFill::Zero ? f32(0) : lowest();
    for (int64_t i = 0; i < perLane; ++i) {
      V bit = wrap(arith::ShRUIOp::create(b, loc, kept, least(expertOf(i) / n(size), n(31)))) & n(1);
      c[static_cast<size_t>(i)] = select(bit == n(1), c[static_cast<size_t>(i)], fill);
    }
  }

  void route(V t) {
    Vs s = scoresOf(t), c = s;
    V row = warp * n(experts);
    if (op.getSelectionBias())
      for (int64_t i = 0; i < perLane; ++i)
        c[static_cast<size_t>(i)] = ifElse(valid(i), [&]() -> Vs {
          return {c[static_cast<size_t>(i)] + widen(load(op.getSelectionBias(), expertOf(i), cast<MemRefType>(op.getSelectionBias().getType()).getElementType()))};
        }, [&]() -> Vs { return {lowest()}; })[0];
    if (op.getNumGroups() > 1)
      keepGroups(c, row);
    for (int64_t i = 0; i < perLane; ++i)
      ifThen(valid(i), [&] { write(s[static_cast<size_t>(i)], scores, row + expertOf(i)); });
    Vs carried = {n(0)};
    for (int64_t i = 0; i < perLane; ++i)
      carried.push_back(select(valid(i), keyOf(c[static_cast<size_t>(i)]), n(kNone)));
    // k picks: the largest key of the warp, then the lowest expert that has it.
    Vs picked = loop(index(0), index(k), carried, [&](V j, ArrayRef<V> a) -> Vs {
      V best = a[1], which = expertOf(0);
      for (int64_t i = 1; i < perLane; ++i) {
        V key = a[static_cast<size_t>(i + 1)], better = below(best, key);
        best = select(better, key, best);
        which = select(better, expertOf(i), which);
      }
      V top = reduce(ReduceKind::Max, best), e = reduce(ReduceKind::Min, select(best == top, which, n(-1)));
      Vs next = {select(lane == fromIndex(j, i32Type()), e, a[0])};
      for (int64_t i = 0; i < perLane; ++i)
        next.push_back(select(expertOf(i) == e, n(kNone), a[static_cast<size_t>(i + 1)]));
      return next;
    });
    syncWarp();
    V e = picked[0], chosen = below(lane, n(k));
    V w = weightOf(select(chosen, read(scores, row + e, b.getF32Type()), f32(0)), chosen);
    ifThen(chosen, [&] {
      V at = t * n(k) + lane;
      store(w, weights, at);
      V rank = read(ranks, row + e, i32Type());
      write(rank + n(1), ranks, row + e);
      store(bitOr(e, shl(rank, kExpertBits)), position, at);
    });
    syncWarp();
  }

  /// The routing weight of lane j's pick from its score; lanes past k hold 0.
  V weightOf(V v, V chosen) {
    if (op.getWeightFn() == WeightFn::Sigmoid)
      v = select(chosen, f32(1) / (f32(1) + exp(f32(0) - v)), f32(0));
    if (op.getWeightFn() == WeightFn::Softmax) {
      V top = warpMax(select(chosen, v, lowest()));
      v = select(chosen, exp(v - top), f32(0));
      v = v / warpSum(v);
    }
    float eps = op.getNormEps().convertToFloat(), p = op.getNormP().convertToFloat();
    switch (op.getNormalize()) {
    case Normalize::None:
      break;
    case Normalize::SumPlusEps:
      v = v / (warpSum(v) + f32(eps));
      break;
    case Normalize::SumMaxEps:
      v = v / larger(warpSum(v), f32(eps));
      break;
    case Normalize::PNorm: {
      V power = p == 1 ? abs(v) : p == 2 ? v * v : pow(abs(v), f32(p));
      V sum = warpSum(power);
      v = v / (p == 1 ? sum : p == 2 ? sqrt(sum) : pow(sum, f32(1 / p)));
      break;
    }
    }
    float scale = op.getScale().convertToFloat();
    return scale == 1 ? v : v * f32(scale);
  }

  //===- All blocks -------------------------------------------------------------===//

  /// Blocks wait for each other: the last to arrive moves the generation on.
  void meetAll() {
    syncBlock();
    ifThen((blocks != n(1)) & (thread == n(0)), [&] {
      V generation = add(1, n(0), true), arrived = add(0, n(1), true);
      ifElse(arrived == blocks - n(1),
             [&]() -> Vs {
               store(n(0), op.getSync(), n(0));
               PublishOp::create(b, loc, generation + n(1), op.getSync(), n(1));
               return {};
             },
             [&]() -> Vs {
               AwaitChangeOp::create(b, loc, op.getSync(), n(1), generation);
               return {};
             });
    });
    syncBlock();
  }
  V add(int64_t word, V amount, bool ordered) {
    return wrap(AtomicAddOp::create(b, loc, i32Type(), op.getSync(), n(word), amount, ordered));
  }

  /// Where rows begin, and the work list.
  void place() {
    // Threads (part, e): each part sums some of the blocks' histograms, in front of this block and of all.
    int64_t padded = 32;
    while (padded < experts)
      padded *= 2;
    int64_t numParts = kThreads / padded;
    V part = thread / n(padded), e = thread & n(padded - 1);
    ifThen(below(e, n(experts)), [&] {
      Vs sums = loopWhile({part, n(0), n(0)}, [&](ArrayRef<V> a) { return below(a[0], blocks); }, [&](ArrayRef<V> a) -> Vs {
        V before = a[1], all = a[2];
        for (int64_t u = 0; u < 4; ++u) {
          V from = a[0] + n(u * numParts), inside = below(from, blocks);
          V count = load(histogram, least(from, blocks - n(1)) * n(experts) + e, i32Type());
          count = select(inside, count, n(0));
          all = all + count;
          before = before + select(below(from, block), count, n(0));
        }
        return {a[0] + n(4 * numParts), before, all};
      });
      write(sums[1], parts, thread);
      write(sums[2], parts, n(kThreads) + thread);
    });
    syncBlock();
    // Thread e has expert e.
    V mine = below(thread, n(experts));
    Vs counts = ifElse(mine, [&]() -> Vs {
      V before = n(0), all = n(0);
      for (int64_t q = 0; q < numParts; ++q) {
        before = before + read(parts, n(q * padded) + thread, i32Type());
        all = all + read(parts, n(kThreads + q * padded) + thread, i32Type());
      }
      return {before, all};
    }, [&]() -> Vs { return {n(0), n(0)}; });
    V count = counts[1];
    V rows = shl(shr(count + n(kAlign - 1), 3), 3), entries = shr(count + n(kItemRows - 1), 7);
    auto [rowStart, rowTotal] = scan(rows, 0);
    auto [firstItem, itemTotal] = scan(entries, 1);
    ifThen(mine, [&] { write(rowStart + counts[0], base, thread); });
    ifThen((block == n(0)) & (thread == n(0)), [&] {
      store(itemTotal, items, n(0));
      store(tokens, items, n(1)); // an expert has each token at most once
    });
    // Experts are shared among the blocks.
    ifThen(mine & (thread % blocks == block), [&] {
      loop(index(0), toIndex(entries), [&](V at) {
        V i = fromIndex(at, i32Type()), offset = i & n(kGroup - 1), group = least(entries - (i - offset), n(kGroup));
        V left = least(count - shl(i, 7), n(kItemRows)), size = n(0);
        for (int64_t limit = 8; limit < kItemRows; limit *= 2)
          size = size + number(below(n(limit), left));
        V word = bitOr(size, bitOr(shl(group, 4), shl(offset, 12)));
        store(vector4({thread, rowStart + shl(i, 7), left, word}), items, shl(firstItem + i, 2) + n(4));
      });
    });
  }
  /// The sum of the threads' values in front of this one, and of all; for the first `experts` threads.
  std::pair<V, V> scan(V value, int64_t which) {
    V sum = value;
    for (int64_t step = 1; step < 32; step *= 2) {
      V other = shuffle(ShuffleKind::Up, sum, n(step));
      sum = sum + select(below(lane, n(step)), n(0), other);
    }
    ifThen(lane == n(31), [&] { write(sum, warpSums, n(which * kWarps) + warp); });
    syncBlock();
    V before = n(0), all = n(0);
    for (int64_t w = 0; w < std::min(kWarps, perLane); ++w) {
      V part = read(warpSums, n(which * kWarps + w), i32Type());
      before = before + select(below(n(w), warp), part, n(0));
      all = all + part;
    }
    return {before + sum - value, all};
  }

  RouteRowsOp op;
  int64_t experts, perLane, k;
  Value weights, position, items, counters, histogram;
  Value scores, ranks, base, parts, warpSums;
  V thread, lane, warp, block, blocks, tokens;
};
} // namespace

KernelEmitter moe::emitRouteRows(Operation *) {
  KernelEmitter emitter;
  // A block for every 32 tokens, up to one a multiprocessor.
  emitter.items = [](OpBuilder &b, Location loc, Operation *op, ValueRange operands) -> Value {
    Code c(b, loc);
    return c.ceilDiv(c.dim(operands[0], 0), c.index(kWarps));
  };
  emitter.body = [](OpBuilder &b, Operation *op, Value, Value) -> LogicalResult {
    RouteRows(b, cast<RouteRowsOp>(op)).emit();
    return success();
  };
  emitter.block = BlockLaunch{kThreads, BlockLaunch::PerMultiprocessor, /*dependent=*/true};
  return emitter;
}
