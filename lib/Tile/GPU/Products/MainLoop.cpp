//===- MainLoop.cpp - products over a work list in one persistent kernel --===//
//
// One block a multiprocessor draws tiles (WorkQueue.h) until all are taken: 256 weight rows for the rows of one item. There is no barrier between
// products: a tile of a product that waits for the one in front waits for a counter of its item.
//
//   warp 0, one thread    weights: draws and publishes tiles; 32 KB bulk copies, one a block of 128 bytes of K, into a ring of stages
//   warp 1, one thread    rows and their scales, into the same stages; the weights' scales of a tile
//   warps 4 to 11         two warpgroups: products, promotion, epilogue
//
// Up to 64 rows the weights are the tensor cores' 64-row operand and the rows their columns (8, 16, 32 or 64 of them); at
// 128 rows it is the other way round. The layout of paired weights (see moe.expert_products) puts gate and up of a column in one thread both ways.
//
//===----------------------------------------------------------------------===//
#include "Products.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::tile;

namespace {
constexpr int64_t kStages = 4; // of 32 KB of weights and 16 KB of rows
constexpr int32_t kProducerRegisters = 40, kConsumerRegisters = 232;

class ProductsKernel : WorkQueue {
public:
  ProductsKernel(OpBuilder &b, Location loc, MutableArrayRef<Product> products, Value items, Value counters,
                 bool recycled)
      : WorkQueue(b, loc, items, counters, llvm::map_to_vector(products, [](Product &p) { return p.blocks; }),
                  products.back().cuts, recycled),
        products(products) {
    for (Product &p : products)
      maxScales = std::max(maxScales, scaleWords(p));
  }

  void emit() {
    Type f32 = b.getF32Type(), i8 = b.getI8Type(),
         element = cast<MemRefType>(products.front().weights.getType()).getElementType();
    width = 8 * 128 / element.getIntOrFloatBitWidth();
    weightRing = alloc({kStages, 256, width}, element, true);
    rowRing = alloc({kStages, kMaxRows, width}, element, true);
    if (scaled())
      scaleRing = alloc({kStages, kMaxRows}, f32);
    staging = alloc({2 * 64 * kPitch}, i8);
    if (scaled())
      weightScales = alloc({kSlots, maxScales}, f32);
    if (biased())
      biases = alloc({kSlots, 256}, f32);
    for (Product &p : products)
      p.epilogue->allocate();
    full = barriers(kStages, 2);  // weights and rows
    empty = barriers(kStages, 8); // consumer warps
    allocate(/*readers=*/9);      // the rows' thread and 8 consumer warps
    if (scaled() || biased())
      vectorsFull = barriers(kSlots, 1);
    start(/*dependent=*/true);
    open();

    auto roles = RolesOp::create(b, loc, ArrayRef<int32_t>{0, 1, 2, 4}, ArrayRef<bool>{true, true, false, false},
                                 ArrayRef<int32_t>{kProducerRegisters, kConsumerRegisters, kConsumerRegisters}, 4);
    role(roles, 0, [&] { produceWeights(); });
    role(roles, 1, [&] { produceRows(); });
    role(roles, 2, [] {});
    role(roles, 3, [&] { consume(); });
  }

private:
  Stage next(Stage s) {
    V up = s.index + n(1);
    V wraps = up == n(kStages);
    return {select(wraps, n(0), up), bitXor(s.parity, number(wraps))};
  }
  /// A producer's loop over stages: waits until each is empty.
  Vs overStages(int64_t count, Stage stage, llvm::function_ref<void(V i, Stage)> body) {
    return loop(index(0), index(count), {stage.index, stage.parity}, [&](V i, ArrayRef<V> at) -> Vs {
      Stage s{at[0], at[1]};
      wait(empty, s.index, bitXor(s.parity, n(1)));
      body(i, s);
      Stage up = next(s);
      return {up.index, up.parity};
    });
  }
  /// A producer's loop over the stages of a tile that is cut: each holds two blocks of K, the last perhaps one.
  Vs overPairs(int64_t depth, Stage stage, llvm::function_ref<void(Stage, V blocks)> expect,
               llvm::function_ref<void(V k, int64_t place, Stage)> copy) {
    return overStages((depth + 1) / 2, stage, [&](V i, Stage s) {
      V k = shl(fromIndex(i, i32Type()), 1), two = below(k + n(1), n(depth));
      expect(s, depth % 2 ? select(two, n(2), n(1)) : n(2));
      copy(k, 0, s);
      auto second = [&] { copy(k + n(1), 1, s); };
      depth % 2 ? ifThen(two, second) : second();
    });
  }
  /// FP8 has scales and is promoted; sums of 16-bit formats stay in the tensor cores' f32.
  bool scaled() { return static_cast<bool>(products.front().rowScales); }
  bool biased() {
    return llvm::any_of(products, [](Product &p) { return static_cast<bool>(p.bias); });
  }
  /// Scales of a tile of weights: `depth` of each half, in whole 16 bytes.
  static int64_t scaleWords(Product &p) { return (2 * p.depth + 3) / 4 * 4; }

  //===- Weights, and the schedule --------------------------------------------===//

  void produceWeights() {
    // Every tile is drawn, the first too: what a tile waits for was drawn before it, by a block that runs. The next one is drawn when all
    // copies of this one are issued: earlier unbalances.
    TileInfo t = draw(n(0));
    loopWhile(
        {t.tile, t.expert, t.block, t.part, n(1), n(0), n(0)}, [&](ArrayRef<V> a) { return isTile(a[0]); },
        [&](ArrayRef<V> a) -> Vs {
          Vs s = chooseProduct(a[0], [&](size_t i) -> Vs {
            Product &p = products[i];
            V base = (wide(a[1]) * wide(p.blocks) + wide(a[2])) * wide(p.depth * 32768);
            auto whole = [&]() -> Vs {
              return overStages(p.depth, {a[5], a[6]}, [&](V k, Stage s) {
                ExpectOp::create(b, loc, full, s.index, n(32768));
                V offset = base + fromIndex(k, b.getI64Type()) * wide(32768);
                CopyBulkOp::create(b, loc, p.weights, offset, view(weightRing, s.index, 1, {256, width}), full, s.index,
                                   n(32768));
              });
            };
            auto half = [&]() -> Vs {
              V own = base + wide(a[3] - n(1)) * wide(16384);
              return overPairs(
                  p.depth, {a[5], a[6]},
                  [&](Stage s, V blocks) { ExpectOp::create(b, loc, full, s.index, shl(blocks, 14)); },
                  [&](V k, int64_t place, Stage s) {
                    Value to = view(view(weightRing, s.index, 1, {256, 128}), n(place), 128, {128, 128});
                    CopyBulkOp::create(b, loc, p.weights, own + wide(k) * wide(32768), to, full, s.index, n(16384));
                  });
            };
            return p.cuts ? ifElse(a[3] == n(0), whole, half) : whole();
          });
          TileInfo following = draw(a[4]);
          return {following.tile, following.expert, following.block, following.part, a[4] + n(1), s[0], s[1]};
        });
  }

  //===- Rows -----------------------------------------------------------------===//

  void produceRows() {
    forEachTile(false, {n(0), n(0)}, [&](const TileInfo &t, V, Stage stage) -> Stage {
      V count = shl(n(8), t.size), rows = rowsOf();
      Vs s = chooseProduct(t.tile, [&](size_t i) -> Vs {
        Product &p = products[i];
        // Scales and biases of the tile's weights: its slot was released, so nobody reads the places any more.
        if (scaled() || biased())
          ExpectOp::create(b, loc, vectorsFull, t.slot, n((scaled() ? 4 * scaleWords(p) : 0) + (p.bias ? 1024 : 0)));
        auto copyVector = [&](Value from, Value to, int64_t words, int64_t room) {
          V offset = (wide(t.expert) * wide(p.blocks) + wide(t.block)) * wide(4 * words);
          CopyBulkOp::create(b, loc, from, offset, view(to, t.slot, 1, {room}), vectorsFull, t.slot, n(4 * words));
        };
        if (scaled())
          copyVector(p.weightScales, weightScales, scaleWords(p), maxScales);
        if (p.bias)
          copyVector(p.bias, biases, 256, 256);
        if (p.awaits)
          AwaitOp::create(b, loc, counters, t.item + n(kCounters), n(p.awaits));
        V bytes = shl(count, 7), scaleBytes = shl(count, 2), all = scaled() ? bytes + scaleBytes : bytes;
        /// Block k of the rows and their scales, into part `place` of `of` of a stage.
        auto copy = [&](V k, Stage s, int64_t place, int64_t of) {
          V first = wide(k) * rows + wide(t.row0);
          Value to = view(rowRing, s.index, 1, {kMaxRows, width});
          if (of > 1)
            to = view(to, n(place), kMaxRows / of, {kMaxRows / of, width});
          CopyBulkOp::create(b, loc, p.rows, first * wide(128), to, full, s.index, bytes);
          if (!scaled())
            return;
          Value scales = view(scaleRing, s.index, 1, {kMaxRows});
          if (of > 1)
            scales = view(scales, n(place), kMaxRows / of, {kMaxRows / of});
          CopyBulkOp::create(b, loc, p.rowScales, first * wide(4), scales, full, s.index, scaleBytes);
        };
        auto whole = [&]() -> Vs {
          return overStages(p.depth, stage, [&](V k, Stage s) {
            ExpectOp::create(b, loc, full, s.index, all);
            copy(fromIndex(k, i32Type()), s, 0, 1);
          });
        };
        auto half = [&]() -> Vs {
          return overPairs(
              p.depth, stage, [&](Stage s, V blocks) { ExpectOp::create(b, loc, full, s.index, all * blocks); },
              [&](V k, int64_t place, Stage s) { copy(k, s, place, 2); });
        };
        return p.cuts ? ifElse(t.part == n(0), whole, half) : whole();
      });
      return {s[0], s[1]};
    });
  }
  /// R as i64.
  V rowsOf() { return fromIndex(dim(products.front().rows, 1), b.getI64Type()); }

  //===- Products -------------------------------------------------------------===//

  void consume() {
    group = id(IdKind::Warpgroup) - n(1);
    warp = id(IdKind::Warp) & n(3);
    lane = id(IdKind::Lane);
    thread = id(IdKind::Thread) - n(128);
    for (Product &p : products)
      p.epilogue->attach(group, warp, lane, thread, staging, products.front().rows);
    forEachTile(true, {n(0), n(0)}, [&](const TileInfo &t, V number, Stage stage) -> Stage {
      if (scaled() || biased())
        wait(vectorsFull, t.slot, shr(number, 2) & n(1));
      Vs s = chooseProduct(t.tile, [&](size_t i) {
        Product &p = products[i];
        auto whole = [&] { return chooseSize(t, stage, 0, p); };
        auto half = [&] {
          return ifElse(
              t.size == n(0), [&] { return runHalf(t, stage, 8, p); }, [&] { return runHalf(t, stage, kCutRows, p); });
        };
        return p.cuts ? ifElse(t.part == n(0), whole, half) : whole();
      });
      return {s[0], s[1]};
    });
  }
  /// One version of the code for each size of an item.
  Vs chooseSize(const TileInfo &t, Stage stage, int64_t size, Product &p) {
    if (size == 4)
      return scaled() ? runTall(t, stage, p) : runTallExact(t, stage, p);
    return ifElse(
        t.size == n(size),
        [&] { return scaled() ? runSwapped(t, stage, 8 << size, p) : runSwappedExact(t, stage, 8 << size, p); },
        [&] { return chooseSize(t, stage, size + 1, p); });
  }

  Value columnsOf(Value scales, V index, int64_t count) {
    return ReadVectorOp::create(b, loc, f32Fragment({count}, Layout::Columns), scales, index);
  }
  Value splat(ArrayRef<V> values, RankedTensorType type) {
    SmallVector<Value> vs(values.begin(), values.end());
    return SplatOp::create(b, loc, type, vs);
  }
  V weightScale(V slot, V index) { return read(weightScales, slot * n(maxScales) + index, b.getF32Type()); }
  /// Hands finished sums to the epilogue, with their biases.
  void finishSwapped(const TileInfo &t, ArrayRef<V> sums, int64_t count, Product &p) {
    Vs all(sums.begin(), sums.end());
    for (auto [i, sum] : llvm::enumerate(all))
      if (p.bias)
        sum = p.epilogue->withBias(sum, biasRows(t, group * n(128) + n(64 * static_cast<int64_t>(i))), p.biasElement);
    p.epilogue->finishSwapped(t, all, count);
  }
  void finishTall(const TileInfo &t, ArrayRef<V> sums, Product &p) {
    Vs all(sums.begin(), sums.end());
    for (auto [i, sum] : llvm::enumerate(all))
      if (p.bias)
        sum = p.epilogue->withBias(sum, columnsOf(biases, t.slot * n(256) + n(128 * static_cast<int64_t>(i)), 128),
                                   p.biasElement);
    p.epilogue->finishTall(t, all);
  }
  Value biasRows(const TileInfo &t, V first) {
    return ReadVectorOp::create(b, loc, f32Fragment({64}, Layout::Rows), biases, t.slot * n(256) + first);
  }
  SmallVector<Value> waitFor(MmaOp products, int32_t inFlight = 0) {
    SmallVector<Type> types;
    for (Value v : products.getPending())
      types.push_back(cast<PendingType>(v.getType()).getFragment());
    auto wait = MmaWaitOp::create(b, loc, types, products.getPending(), b.getI32IntegerAttr(inFlight));
    return SmallVector<Value>(wait.getFragments());
  }
  MmaOp multiply(ArrayRef<Value> a, ArrayRef<Value> bs, ArrayRef<Value> reuse, ArrayRef<Value> sums = {}) {
    SmallVector<Type> types;
    for (Value v : bs)
      types.push_back(PendingType::get(b.getContext(),
                                       f32Fragment({64, cast<SharedType>(v.getType()).getShape()[0]}, Layout::Mma)));
    return MmaOp::create(b, loc, types, a, bs, sums, reuse);
  }
  Value zeros(RankedTensorType type) { return splat({f32(0)}, type); }
  /// Loops over the blocks of K with sums of fragments carried.
  Vs overBlocks(int64_t depth, Stage stage, ArrayRef<Value> sums,
                llvm::function_ref<SmallVector<Value>(V k, Stage, ArrayRef<Value>)> body) {
    return loop(index(0), index(depth), carry(stage, sums), [&](V k, ArrayRef<V> a) -> Vs {
      Stage s{a[0], a[1]};
      wait(full, s.index, s.parity);
      SmallVector<Value> carried(a.drop_front(2).begin(), a.end());
      SmallVector<Value> out = body(fromIndex(k, b.getI32Type()), s, carried);
      return carry(next(s), out);
    });
  }
  /// A stage and fragments as what a loop carries.
  Vs carry(Stage s, ArrayRef<Value> fragments) {
    Vs r = {s.index, s.parity};
    for (Value v : fragments)
      r.push_back(wrap(v));
    return r;
  }

  /// Weights as the 64-row operand: warpgroup g has weight rows 128 g to 128 g + 127, in two products; columns are the item's rows.
  Vs runSwapped(const TileInfo &t, Stage stage, int64_t count, Product &p) {
    auto type = f32Fragment({64, count}, Layout::Mma);
    auto rowScales = f32Fragment({64}, Layout::Rows);
    Vs r = overBlocks(p.depth, stage, {zeros(type), zeros(type)}, [&](V k, Stage s, ArrayRef<Value> sums) {
      SmallVector<V> own;
      if (p.paired) // gate and up alternate every 8 rows
        own = {weightScale(t.slot, k), weightScale(t.slot, k + n(p.depth))};
      else
        own = {weightScale(t.slot, k + group * n(p.depth))};
      Value scales = splat(own, rowScales), columns = columnsOf(scaleRing, s.index * n(kMaxRows), count);
      Value weights = view(weightRing, s.index, 1, {256, 128});
      Value rows = view(view(rowRing, s.index, 1, {kMaxRows, 128}), n(0), 8, {count, 128});
      SmallVector<Value> a;
      for (int64_t i = 0; i < 2; ++i)
        a.push_back(view(weights, group * n(2) + n(i), 64, {64, 128}));
      SmallVector<Value> partial = waitFor(multiply(a, {rows, rows}, {}));
      arrive(empty, s.index, true);
      SmallVector<Value> out;
      for (int64_t i = 0; i < 2; ++i)
        out.push_back(PromoteOp::create(b, loc, type, partial[static_cast<size_t>(i)], sums[static_cast<size_t>(i)],
                                        scales, columns, /*pin=*/false));
      return out;
    });
    finishSwapped(t, {r[2], r[3]}, count, p);
    return {r[0], r[1]};
  }

  /// Half of a tile, as runSwapped: warpgroup g has weight rows 64 g to 64 g + 63 of the half; a stage holds two blocks of K. Sums are added in the
  /// same order, so that a row's result does not depend on which tiles are cut.
  Vs runHalf(const TileInfo &t, Stage stage, int64_t count, Product &p) {
    auto type = f32Fragment({64, count}, Layout::Mma);
    auto operands = [&](int64_t place, Stage s) -> std::pair<Value, Value> {
      Value weights = view(view(weightRing, s.index, 1, {256, 128}), n(2 * place) + group, 64, {64, 128});
      return {weights, view(view(rowRing, s.index, 1, {kMaxRows, 128}), n(place), kMaxRows / 2, {count, 128})};
    };
    auto promote = [&](V k, int64_t place, Stage s, Value partial, Value sum) -> Value {
      Value scales = splat(weightScale(t.slot, k + (t.part - n(1)) * n(p.depth)), f32Fragment({64}, Layout::Rows));
      Value columns = columnsOf(scaleRing, s.index * n(kMaxRows) + n(place * kMaxRows / 2), count);
      return PromoteOp::create(b, loc, type, partial, sum, scales, columns, /*pin=*/false);
    };
    Vs r = overBlocks(
        (p.depth + 1) / 2, stage, {zeros(type)}, [&](V i, Stage s, ArrayRef<Value> sums) -> SmallVector<Value> {
          V k = shl(i, 1);
          auto first = operands(0, s), second = operands(1, s);
          if (p.depth % 2 == 0) {
            SmallVector<Value> partial =
                waitFor(multiply({first.first, second.first}, {first.second, second.second}, {}));
            Value sum = promote(k, 0, s, partial[0], sums[0]);
            sum = promote(k + n(1), 1, s, partial[1], sum);
            arrive(empty, s.index, true);
            return {sum};
          }
          Value sum = promote(k, 0, s, waitFor(multiply({first.first}, {first.second}, {}))[0], sums[0]);
          sum = ifElse(
              below(k + n(1), n(p.depth)),
              [&]() -> Vs {
                return {wrap(promote(k + n(1), 1, s, waitFor(multiply({second.first}, {second.second}, {}))[0], sum))};
              },
              [&]() -> Vs { return {wrap(sum)}; })[0];
          arrive(empty, s.index, true);
          return {sum};
        });
    V sum = r[2];
    if (p.bias)
      sum = p.epilogue->withBias(sum, biasRows(t, (t.part - n(1)) * n(128) + group * n(64)), p.biasElement);
    p.epilogue->finishHalf(t, sum, count);
    return {r[0], r[1]};
  }

  /// The item's rows as the 64-row operand: warpgroup g has rows 64 g to 64 g + 63, in two products of 128 weight rows, one after the other.
  Vs runTall(const TileInfo &t, Stage stage, Product &p) {
    auto type = f32Fragment({64, 128}, Layout::Mma);
    auto columnScales = f32Fragment({128}, Layout::Columns);
    Vs r = overBlocks(p.depth, stage, {zeros(type), zeros(type)}, [&](V k, Stage s, ArrayRef<Value> sums) {
      V w0 = weightScale(t.slot, k), w1 = weightScale(t.slot, k + n(p.depth));
      Value scales = ReadVectorOp::create(b, loc, f32Fragment({64}, Layout::Rows), scaleRing,
                                          s.index * n(kMaxRows) + group * n(64));
      Value rows = view(view(rowRing, s.index, 1, {kMaxRows, 128}), group, 64, {64, 128});
      Value weights = view(weightRing, s.index, 1, {256, 128});
      SmallVector<Value> out, partial;
      for (int64_t i = 0; i < 2; ++i) {
        SmallVector<V> own = p.paired ? SmallVector<V>{w0, w1} : SmallVector<V>{i ? w1 : w0};
        partial = waitFor(multiply({rows}, {view(weights, n(i), 128, {128, 128})}, partial));
        if (i)
          arrive(empty, s.index, true);
        out.push_back(PromoteOp::create(b, loc, type, partial[0], sums[static_cast<size_t>(i)], scales,
                                        splat(own, columnScales), /*pin=*/i == 0));
      }
      return out;
    });
    finishTall(t, {r[2], r[3]}, p);
    return {r[0], r[1]};
  }

  //===- Products without scales ----------------------------------------------===//

  /// Adds up the products of all blocks of K that `issue` starts on fragments of `types`. One group is in flight while the next one is issued: the
  /// stage of the one in front of it is free then.
  Vs accumulate(int64_t depth, Stage stage, ArrayRef<RankedTensorType> types,
                llvm::function_ref<MmaOp(Stage, ArrayRef<Value>)> issue) {
    Vs init = {stage.index, stage.parity, stage.index};
    for (RankedTensorType type : types)
      init.push_back(wrap(zeros(type)));
    auto values = [](ArrayRef<V> vs) { return SmallVector<Value>(vs.begin(), vs.end()); };
    Vs r = loop(index(0), index(depth - 1), init, [&](V k, ArrayRef<V> a) -> Vs {
      Stage s{a[0], a[1]};
      wait(full, s.index, s.parity);
      SmallVector<Value> sums = waitFor(issue(s, values(a.drop_front(3))), /*inFlight=*/1);
      ifThen(k != index(0), [&] { arrive(empty, a[2], true); });
      Stage up = next(s);
      Vs out = {up.index, up.parity, s.index};
      for (Value v : sums)
        out.push_back(wrap(v));
      return out;
    });
    Stage last{r[0], r[1]};
    wait(full, last.index, last.parity);
    SmallVector<Value> sums = waitFor(issue(last, values(ArrayRef<V>(r).drop_front(3))));
    if (depth > 1)
      arrive(empty, r[2], true);
    arrive(empty, last.index, true);
    return carry(next(last), sums);
  }
  Vs runSwappedExact(const TileInfo &t, Stage stage, int64_t count, Product &p) {
    auto type = f32Fragment({64, count}, Layout::Mma);
    Vs r = accumulate(p.depth, stage, {type, type}, [&](Stage s, ArrayRef<Value> sums) {
      Value weights = view(weightRing, s.index, 1, {256, width});
      Value rows = view(view(rowRing, s.index, 1, {kMaxRows, width}), n(0), 8, {count, width});
      SmallVector<Value> a;
      for (int64_t i = 0; i < 2; ++i)
        a.push_back(view(weights, group * n(2) + n(i), 64, {64, width}));
      return multiply(a, {rows, rows}, {}, sums);
    });
    finishSwapped(t, {r[2], r[3]}, count, p);
    return {r[0], r[1]};
  }
  Vs runTallExact(const TileInfo &t, Stage stage, Product &p) {
    Vs r = accumulate(p.depth, stage, {f32Fragment({64, 256}, Layout::Mma)}, [&](Stage s, ArrayRef<Value> sums) {
      Value rows = view(view(rowRing, s.index, 1, {kMaxRows, width}), group, 64, {64, width});
      return multiply({rows}, {view(weightRing, s.index, 1, {256, width})}, {}, sums);
    });
    Vs halves;
    for (int32_t i = 0; i < 2; ++i)
      halves.push_back(wrap(SelectColumnsOp::create(b, loc, f32Fragment({64, 128}, Layout::Mma), r[2], 16 * i, 1)));
    finishTall(t, halves, p);
    return {r[0], r[1]};
  }

  MutableArrayRef<Product> products;
  int64_t maxScales = 0, width = 0; // words; elements of 128 bytes
  Value weightRing, rowRing, scaleRing, staging, weightScales;
  Value biases, full, empty, vectorsFull;
  V group, warp, lane, thread; // of the consumers
};
} // namespace

void moe::emitProducts(OpBuilder &b, Location loc, MutableArrayRef<Product> products, Value items, Value counters,
                       bool recycled) {
  ProductsKernel(b, loc, products, items, counters, recycled).emit();
}

KernelEmitter moe::productsEmitter(void (*emit)(OpBuilder &b, Operation *op)) {
  KernelEmitter emitter;
  emitter.items = [](OpBuilder &b, Location loc, Operation *, ValueRange) -> Value {
    return arith::ConstantIndexOp::create(b, loc, 1 << 20);
  };
  emitter.body = [emit](OpBuilder &b, Operation *op, Value, Value) -> LogicalResult {
    emit(b, op);
    return success();
  };
  emitter.block = BlockLaunch{384, BlockLaunch::PerMultiprocessor, /*dependent=*/true};
  return emitter;
}
