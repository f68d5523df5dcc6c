//===- RouteRows.cpp - routing, counting sort and work list in one launch -===//
//
// Warps take consecutive tokens. Each chooses its tokens' experts with the lanes' experts in registers, and counts them in a
// histogram of its own: an assignment's rank among its expert's is then known without sorting. After one barrier between
// the blocks every block knows where each expert's rows begin and how many are in front of its own.
//
// Few tokens need no barrier: every block routes all of them, compares each assignment with all others, and quantizes its share
// of their columns.
//
//===----------------------------------------------------------------------===//
#include "Emitters.h"
#include "QuantizeBlock.h"
#include "WorkList.h"
#include "dialects/moe/Moe.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::tile;

namespace {
constexpr int64_t kExpertBits = 12; ///< of a packed (expert, rank)
constexpr int64_t kNone = 0;        ///< the key of what cannot be chosen, below that of -inf
constexpr int64_t kFewRows = 128;   ///< assignments of few tokens, at most

int64_t expertsOf(RouteRowsOp op) { return cast<MemRefType>(op.getLogits().getType()).getDimSize(1); }
/// Threads of a block: an expert each at least; many experts need more registers than 64.
int64_t threadsFor(int64_t experts) { return experts > 512 ? 768 : 1024; }

class RouteRows : WorkList {
public:
  RouteRows(OpBuilder &b, RouteRowsOp op) : WorkList(b, op.getLoc(), threadsFor(expertsOf(op))), op(op) {
    experts = expertsOf(op);
    perLane = (experts + 31) / 32;
    k = op.getK();
    weights = op.getOuts()[0], position = op.getOuts()[1], items = op.getOuts()[2], counters = op.getOuts()[3],
    histogram = op.getOuts()[4];
  }

  void emit() {
    Type f = b.getF32Type(), i = i32Type();
    scores = alloc({warps, experts}, f);
    ranks = alloc({warps, experts}, i);
    base = alloc({experts}, i);
    parts = alloc({2, threads}, i);
    allocateSums();
    if (op.getX()) {
      picks = alloc({kFewRows}, i);
      extents = alloc({kFewRows}, i);
      placed = alloc({kFewRows}, i);
    }
    start(/*dependent=*/true);
    open();
    tokens = wrap(arith::IndexCastOp::create(b, loc, i, dim(op.getLogits(), 0)));
    if (op.getX())
      ifElse(below(n(op.getFew()), tokens), [&]() -> Vs { return many(), Vs{}; }, [&]() -> Vs { return few(), Vs{}; });
    else
      many();
  }

private:
  //===- Many tokens ------------------------------------------------------------===//

  void many() {
    V all = blocks * n(warps), perWarp = (tokens + all - n(1)) / all, number = block * n(warps) + warp;
    V first = least(number * perWarp, tokens), last = least(first + perWarp, tokens);

    strided(thread, n(warps * experts), n(threads), [&](V at) { write(n(0), ranks, at); });
    V used = n(16 + experts) + tokens * n(k) / n(kItemRows);
    strided(block * n(threads) + thread, used, blocks * n(threads), [&](V at) { store(n(0), counters, at); });
    syncBlock();
    loop(toIndex(first), toIndex(last), [&](V t) {
      V token = fromIndex(t, i32Type());
      Pick pick = route(token);
      V e = pick.expert;
      ifThen(below(lane, n(k)), [&] {
        V at = token * n(k) + lane, rank = read(ranks, warp * n(experts) + e, i32Type());
        store(pick.weight, weights, at);
        write(rank + n(1), ranks, warp * n(experts) + e);
        store(bitOr(e, shl(rank, kExpertBits)), position, at);
      });
      syncWarp();
    });
    syncBlock();
    // Counts of the warps in front, and of the whole block.
    strided(thread, n(experts), n(threads), [&](V e) {
      V sum = n(0);
      for (int64_t w = 0; w < warps; ++w) {
        V at = n(w * experts) + e, count = read(ranks, at, i32Type());
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
        V at = fromIndex(t, i32Type()) * n(k) + lane, packed = load(position, at, i32Type());
        V e = packed & n((1 << kExpertBits) - 1), rank = shr(packed, kExpertBits);
        store(read(base, e, i32Type()) + read(ranks, warp * n(experts) + e, i32Type()) + rank, position, at);
      });
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
      s.push_back(ifElse(
          valid(i),
          [&]() -> Vs {
            return {widen(load(op.getLogits(), row + wide(expertOf(i)),
                               cast<MemRefType>(op.getLogits().getType()).getElementType()))};
          },
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
    // Some lanes score a group together; each begins elsewhere, so that they read different banks.
    int64_t parts = 1;
    while (2 * parts * groups <= 32)
      parts *= 2;
    int64_t steps = (size + parts - 1) / parts;
    V g = least(lane / n(parts), n(groups - 1)), part = lane & n(parts - 1);
    Vs top = loop(index(0), index(steps), {lowest(), lowest()}, [&](V i, ArrayRef<V> a) -> Vs {
      V inside = (fromIndex(i, i32Type()) + g) % n(steps) * n(parts) + part, real = below(inside, n(size));
      V v = read(scores, row + g * n(size) + least(inside, n(size - 1)), b.getF32Type());
      v = size % parts ? select(real, v, lowest()) : v;
      V beats = v > a[0];
      return {select(beats, v, a[0]), select(beats, a[0], larger(a[1], v))};
    });
    for (int64_t step = 1; step < parts; step *= 2) {
      V first = shuffle(ShuffleKind::Xor, top[0], n(step)), second = shuffle(ShuffleKind::Xor, top[1], n(step)),
        beats = first > top[0];
      top[1] = larger(select(beats, top[0], first), larger(top[1], second));
      top[0] = select(beats, first, top[0]);
    }
    syncWarp();
    V scored = below(lane, n(groups * parts)) & (part == n(0));
    V key = select(scored, keyOf(op.getGroupScore() == GroupScore::Top2Sum ? top[0] + top[1] : top[0]), n(kNone));
    V kept = n(0);
    for (int64_t i = 0; i < static_cast<int64_t>(op.getTopGroups()); ++i)
      kept = bitOr(kept, shl(n(1), takeLane(key) / n(parts)));
    V fill = op.getGroupFill() == GroupFill::Zero ? f32(0) : lowest();
    for (int64_t i = 0; i < perLane; ++i) {
      V bit = wrap(arith::ShRUIOp::create(b, loc, kept, least(expertOf(i) / n(size), n(31)))) & n(1);
      c[static_cast<size_t>(i)] = select(bit == n(1), c[static_cast<size_t>(i)], fill);
    }
  }

  struct Pick {
    V expert, weight;
  };
  /// Lane j < k of a warp gets the j-th expert of token t and its weight.
  Pick route(V t) {
    Vs s = scoresOf(t), c = s;
    V row = warp * n(experts);
    if (op.getSelectionBias())
      for (int64_t i = 0; i < perLane; ++i)
        c[static_cast<size_t>(i)] = ifElse(
            valid(i),
            [&]() -> Vs {
              return {c[static_cast<size_t>(i)] +
                      widen(load(op.getSelectionBias(), expertOf(i),
                                 cast<MemRefType>(op.getSelectionBias().getType()).getElementType()))};
            },
            [&]() -> Vs { return {lowest()}; })[0];
    if (op.getNumGroups() > 1)
      keepGroups(c, row);
    for (int64_t i = 0; i < perLane; ++i)
      ifThen(valid(i), [&] { write(s[static_cast<size_t>(i)], scores, row + expertOf(i)); });
    Vs carried = {n(0)};
    for (int64_t i = 0; i < perLane; ++i)
      carried.push_back(select(valid(i), keyOf(c[static_cast<size_t>(i)]), n(kNone)));
    // k picks: the largest key of the warp, then the lowest expert that has it.
    Vs picked = loop(index(0), index(k), carried, [&](V j, ArrayRef<V> a) -> Vs {
      // As a tree where registers allow: the first of equals wins.
      SmallVector<std::pair<V, V>> left;
      for (int64_t i = 0; i < perLane; ++i)
        left.push_back({a[static_cast<size_t>(i + 1)], n(32 * i)});
      while (left.size() > 1) {
        SmallVector<std::pair<V, V>> next;
        size_t step = perLane > 8 ? left.size() : 2;
        for (size_t i = 0; i < left.size(); i += step) {
          next.push_back(left[i]);
          for (size_t q = i + 1; q < std::min(i + step, left.size()); ++q) {
            V better = below(next.back().first, left[q].first);
            next.back() = {select(better, left[q].first, next.back().first),
                           select(better, left[q].second, next.back().second)};
          }
        }
        left = next;
      }
      V best = left[0].first, which = left[0].second;
      which = lane + which;
      V top = reduce(ReduceKind::Max, best), e = reduce(ReduceKind::Min, select(best == top, which, n(-1)));
      Vs next = {select(lane == fromIndex(j, i32Type()), e, a[0])};
      for (int64_t i = 0; i < perLane; ++i)
        next.push_back(select(e - lane == n(32 * i), n(kNone), a[static_cast<size_t>(i + 1)]));
      return next;
    });
    syncWarp();
    V e = picked[0], chosen = below(lane, n(k));
    V w = weightOf(select(chosen, read(scores, row + e, b.getF32Type()), f32(0)), chosen);
    return {e, w};
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
      ifElse(
          arrived == blocks - n(1),
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
    int64_t padded = perLane * 32, numParts = threads / padded;
    V part = wrap(arith::DivUIOp::create(b, loc, thread, n(padded))), e = thread - part * n(padded);
    ifThen(below(e, n(experts)) & below(part, n(numParts)), [&] {
      Vs sums = loopWhile(
          {part, n(0), n(0)}, [&](ArrayRef<V> a) { return below(a[0], blocks); },
          [&](ArrayRef<V> a) -> Vs {
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
      write(sums[2], parts, n(threads) + thread);
    });
    syncBlock();
    // Thread e has expert e.
    V mine = below(thread, n(experts));
    Vs counts = ifElse(
        mine,
        [&]() -> Vs {
          V before = n(0), all = n(0);
          for (int64_t q = 0; q < numParts; ++q) {
            before = before + read(parts, n(q * padded) + thread, i32Type());
            all = all + read(parts, n(threads + q * padded) + thread, i32Type());
          }
          return {before, all};
        },
        [&]() -> Vs { return {n(0), n(0)}; });
    V count = counts[1];
    V entries = entriesOf(count), rowStart = scan(paddedRows(count), 0, perLane).first;
    std::pair<V, V> item = scan(entries, 1, perLane); // the expert's first, and all
    ifThen(mine, [&] { write(rowStart + counts[0], base, thread); });
    ifThen((block == n(0)) & (thread == n(0)), [&] { storeItemCounts(item.second); });
    // Experts are shared among the blocks.
    ifThen(mine & (thread % blocks == block), [&] {
      loop(index(0), toIndex(entries),
           [&](V at) { writeEntry(items, thread, fromIndex(at, i32Type()), count, rowStart, item.first); });
    });
  }
  void storeItemCounts(V total) {
    store(total, items, n(0));
    store(tokens, items, n(1)); // an expert has each token at most once
  }

  //===- Few tokens -------------------------------------------------------------===//

  void few() {
    Type i = i32Type();
    QuantizeBlock rows(b, loc, op.getX(), op.getOuts()[5], op.getOuts()[6], k);
    int64_t kbs = QuantizeBlock::blocks(cast<MemRefType>(op.getX().getType()).getDimSize(1));
    V first = block == n(0), total = tokens * n(k), tasks = tokens * n(kbs);
    // This warp's columns are on their way while tokens are routed; later ones follow where blocks are few. (Measured: leaving columns
    // to warps without a token of their own is 0.2 to 0.4 us slower at one token.)
    V task = warp * blocks + block;
    QuantizeBlock::Codes own = rows.quantize(task / n(kbs), task % n(kbs), lane, below(task, tasks));
    strided(thread, n(16) + total, n(threads), [&](V at) { ifThen(first, [&] { store(n(0), counters, at); }); });
    ifThen(below(warp, tokens), [&] {
      Pick pick = route(warp);
      ifThen(below(lane, n(k)), [&] {
        V at = warp * n(k) + lane;
        write(pick.expert, picks, at);
        ifThen(first, [&] { store(pick.weight, weights, at); });
      });
    });
    syncBlock();
    // Four lanes have an assignment: its rank among its expert's, and their number.
    V self = shr(thread, 2), mine = below(self, total), writes = mine & ((thread & n(3)) == n(0)),
      place = least(self, n(kFewRows - 1));
    V expert = read(picks, place, i);
    Vs ranked = sumOverFew(total, mine, 2, [&](V at, V inside) -> Vs {
      V same = inside & (read(picks, at, i) == expert);
      return {number(same & below(at, self)), number(same)};
    });
    V rank = ranked[0], count = ranked[1], leads = writes & (rank == n(0));
    ifThen(writes, [&] { write(select(leads, paddedRows(count), n(0)), extents, self); });
    syncBlock();
    // Rows and items of the experts in front; an expert has one item.
    Vs before = sumOverFew(total, mine, 3, [&](V at, V inside) -> Vs {
      V extent = select(inside, read(extents, at, i), n(0)), front = below(read(picks, at, i), expert);
      return {select(front, extent, n(0)), number((extent != n(0)) & front), number(extent != n(0))};
    });
    V row = before[0] + rank;
    ifThen(writes, [&] { write(row, placed, self); });
    ifThen(first & (total == n(0)) & (thread == n(0)), [&] { storeItemCounts(n(0)); });
    ifThen(writes & first, [&] {
      store(row, position, self);
      ifThen(self == n(0), [&] { storeItemCounts(before[2]); });
      ifThen(leads, [&] {
        store(vector4({expert, before[0], count, bitOr(sizeOf(count), n(1 << 4))}), items, shl(before[1], 2) + n(4));
      });
    });
    syncBlock();
    auto scatter = [&](V task, QuantizeBlock::Codes codes) {
      V places = ifElse(
          below(lane, n(k)), [&]() -> Vs { return {read(placed, task / n(kbs) * n(k) + lane, i)}; },
          [&]() -> Vs { return {n(0)}; })[0];
      rows.scatter(codes, task % n(kbs), lane, places);
    };
    ifThen(below(task, tasks), [&] { scatter(task, own); });
    strided(task + blocks * n(warps), tasks, blocks * n(warps),
            [&](V next) { scatter(next, rows.quantize(next / n(kbs), next % n(kbs), lane, boolean(true))); });
  }

  /// Sums of `terms` over the assignments, where `mine` holds, for each four lanes together.
  Vs sumOverFew(V total, V mine, size_t count, llvm::function_ref<Vs(V, V)> terms) {
    Vs init(count + 1, n(0));
    init[0] = select(mine, thread & n(3), total);
    Vs sums = loopWhile(
        init, [&](ArrayRef<V> a) { return below(a[0], total); },
        [&](ArrayRef<V> a) -> Vs {
          Vs next(a.begin(), a.end());
          for (int64_t u = 0; u < 4; ++u) {
            V at = a[0] + n(4 * u);
            Vs some = terms(least(at, n(kFewRows - 1)), below(at, total));
            for (size_t q = 0; q < count; ++q)
              next[q + 1] = next[q + 1] + some[q];
          }
          next[0] = a[0] + n(16);
          return next;
        });
    for (V &sum : sums)
      sum = butterfly(sum, 1, 4, [](V a, V c) { return a + c; });
    return Vs(sums.begin() + 1, sums.end());
  }

  RouteRowsOp op;
  int64_t experts, perLane, k;
  Value weights, position, items, counters, histogram;
  Value scores, ranks, base, parts;
  Value picks, extents, placed; ///< of assignments of few tokens
  V tokens;
};
} // namespace

KernelEmitter moe::emitRouteRows(Operation *op) {
  KernelEmitter emitter;
  int64_t threads = threadsFor(expertsOf(cast<RouteRowsOp>(op)));
  // A block for as many tokens as it has warps, or of few tokens one for every 8 blocks of columns; up to one a multiprocessor.
  emitter.items = [threads](OpBuilder &b, Location loc, Operation *op, ValueRange operands) -> Value {
    Code c(b, loc);
    auto rows = cast<RouteRowsOp>(op);
    // Of no token one block, which lists no work.
    auto atLeastOne = [&](V blocks) -> Value { return arith::MaxSIOp::create(b, loc, blocks, c.index(1)); };
    V tokens = c.dim(operands[0], 0), many = c.ceilDiv(tokens, c.index(threads / 32));
    if (!rows.getX())
      return atLeastOne(many);
    int64_t kbs = QuantizeBlock::blocks(cast<MemRefType>(rows.getX().getType()).getDimSize(1));
    return atLeastOne(c.select(tokens > c.index(rows.getFew()), many, c.ceilDiv(tokens * c.index(kbs), c.index(8))));
  };
  emitter.body = [](OpBuilder &b, Operation *op, Value, Value) -> LogicalResult {
    RouteRows(b, cast<RouteRowsOp>(op)).emit();
    return success();
  };
  emitter.block = BlockLaunch{static_cast<int>(threads), BlockLaunch::PerMultiprocessor, /*dependent=*/true};
  return emitter;
}
