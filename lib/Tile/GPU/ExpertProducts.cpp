//===- ExpertProducts.cpp - both expert products in one persistent kernel -===//
//
// One block a multiprocessor draws tiles from a counter until all are taken: first the tiles of product 1 (one block of 128 columns of
// I for the rows of one work item), then those of product 2 (256 columns of H), in an order in which whatever a tile waits
// for was drawn before it. There is no barrier between the products: a tile of product 2 waits for a counter of its item.
//
//   warp 0, one thread    weights: draws and publishes tiles; 32 KB bulk copies, one a block of 128 of K, into a ring of stages
//   warp 1, one thread    rows of x or h and their scales, into the same stages; the weights' scales of a tile
//   warps 4 to 11         two warpgroups: products, promotion, epilogue
//
// Up to 64 rows the weights are the tensor cores' 64-row operand and the rows their columns (8, 16, 32 or 64 of them); at
// 128 rows it is the other way round. The layout of W1 (see moe.expert_products) puts gate and up of a column in one thread both ways.
//
//===----------------------------------------------------------------------===//
#include "Emitters.h"

#include "BlockCode.h"
#include "dialects/moe/Moe.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::tile;

namespace {
constexpr int64_t kStages = 4;       // of 32 KB of weights and 16 KB of rows
constexpr int64_t kSlots = 4;        // tiles published ahead
constexpr int64_t kSlotWords = 8;    // tile, expert, row0, valid, size, block, item
constexpr int64_t kMaxRows = 128;    // rows of an item
constexpr int64_t kPitch = 144;      // bytes from one staged row of 128 to the next: no bank conflicts
constexpr int64_t kCounters = 16;    // counters[0]: next tile; counters[16 + item]: finished blocks of product 1
constexpr int64_t kItems = 4;        // items[4]: the first entry
constexpr int32_t kProducerRegisters = 40, kConsumerRegisters = 232;

/// What a role knows about the tile it works on.
struct TileInfo {
  V tile, expert, row0, valid, size, block, item, slot;
};
/// Position in the ring of stages: which, and the parity of its current use.
struct Stage {
  V index, parity;
};

class ProductsKernel : BlockCode {
public:
  ProductsKernel(OpBuilder &b, ExpertProductsOp op) : BlockCode(b, op.getLoc()), op(op) {
    hidden = op.getHidden();
    inner = op.getIntermediate();
    auto up = [](int64_t n, int64_t by) { return (n + by - 1) / by; };
    kb1 = up(hidden, 128);
    ib = up(inner, 128);
    nb2 = up(hidden, 256);
    scales1 = up(2 * kb1, 4) * 4;
    scales2 = up(2 * ib, 4) * 4;
    y = op.getOuts()[0];
    h = op.getOuts()[1];
    hScales = op.getOuts()[2];
  }

  void emit() {
    Type f8 = Float8E4M3FNType::get(b.getContext()), f32 = b.getF32Type(), i32 = b.getI32Type(), i8 = b.getI8Type();
    weightRing = alloc({kStages, 256, 128}, f8, true);
    rowRing = alloc({kStages, kMaxRows, 128}, f8, true);
    scaleRing = alloc({kStages, kMaxRows}, f32);
    staging = alloc({2 * 64 * kPitch}, i8);
    weightScales = alloc({kSlots, std::max(scales1, scales2)}, f32);
    maxima = alloc({8 * 64}, f32);
    inverse = alloc({kMaxRows}, f32);
    queue = alloc({kSlots, kSlotWords}, i32);
    full = barriers(kStages, 2);       // weights and rows
    empty = barriers(kStages, 8);      // consumer warps
    published = barriers(kSlots, 1);
    released = barriers(kSlots, 9);    // the rows' thread and 8 consumer warps
    scalesFull = barriers(kSlots, 1);
    start(/*dependent=*/true);
    items = load(op.getItems(), n(0), i32);
    firstTiles = items * n(ib);
    totalTiles = items * n(ib + nb2);

    auto roles = RolesOp::create(b, loc, ArrayRef<int32_t>{0, 1, 2, 4}, ArrayRef<bool>{true, true, false, false},
                                 ArrayRef<int32_t>{kProducerRegisters, kConsumerRegisters, kConsumerRegisters}, 4);
    auto role = [&](unsigned i, llvm::function_ref<void()> body) {
      OpBuilder::InsertionGuard guard(b);
      b.createBlock(&roles.getBodies()[i]);
      body();
    };
    role(0, [&] { produceWeights(); });
    role(1, [&] { produceRows(); });
    role(2, [] {});
    role(3, [&] { consume(); });
  }

private:
  Stage next(Stage s) {
    V up = s.index + n(1);
    V wraps = up == n(kStages);
    return {select(wraps, n(0), up), bitXor(s.parity, number(wraps))};
  }
  //===- The order of tiles ---------------------------------------------------===//

  /// Decodes a tile number. Items of one expert stand in groups; inside one the item runs fastest, so that blocks that run side by
  /// side read a weight tile from memory once.
  TileInfo decode(V tile) {
    Vs r = ifElse(
        below(tile, firstTiles), [&] { return entryOf(tile, ib); }, [&] { return entryOf(tile - firstTiles, nb2); });
    return {tile, r[0], r[1], r[2], r[3], r[4], r[5], V()};
  }
  Vs entryOf(V tile, int64_t blocksPerItem) {
    auto entry = [&](V item) -> Vs {
      V v = load(op.getItems(), item * n(4) + n(kItems), words4());
      return {element(v, 0), element(v, 1), element(v, 2), element(v, 3)};
    };
    V at = tile / n(blocksPerItem);
    Vs own = entry(at);
    V group = most(shr(own[3], 4) & n(255), n(1)); // an empty list's unused entry may hold anything
    Vs r = ifElse(
        group == n(1), [&]() -> Vs { return {own[0], own[1], own[2], own[3], tile % n(blocksPerItem), at}; },
        [&]() -> Vs {
          V first = at - shr(own[3], 12), rest = tile - first * n(blocksPerItem);
          V item = first + rest % group;
          Vs e = entry(item);
          return {e[0], e[1], e[2], e[3], rest / group, item};
        });
    r[3] = r[3] & n(15);
    return r;
  }
  V isFirst(const TileInfo &t) { return below(t.tile, firstTiles); }

  //===- Weights, and the schedule --------------------------------------------===//

  void publish(V number, const TileInfo &t) {
    V slot = number & n(kSlots - 1), round = shr(number, 2) & n(1);
    wait(released, slot, bitXor(round, n(1)));
    V base = slot * n(kSlotWords);
    write(vector4({t.tile, t.expert, t.row0, t.valid}), queue, base);
    write(vector4({t.size, t.block, t.item, slot}), queue, base + n(4));
    arrive(published, slot, false);
  }
  V clamp(V tile) {
    // Decoding reads the work list: past the end, of its last tile (an empty list has one unused entry).
    V last = select(totalTiles == n(0), n(0), totalTiles - n(1));
    return select(below(tile, last), tile, last);
  }
  /// The next tile of all that are left, decoded and published as number `number`.
  TileInfo draw(V number) {
    V tile = wrap(AtomicAddOp::create(b, loc, b.getI32Type(), op.getCounters(), n(0), n(1)));
    TileInfo t = decode(clamp(tile));
    t.tile = tile;
    publish(number, t);
    return t;
  }
  void produceWeights() {
    // Every tile is drawn, the first too: what a tile waits for was drawn before it, by a block that runs. The next one is drawn when all
    // copies of this one are issued: earlier unbalances.
    TileInfo t = draw(n(0));
    loopWhile({t.tile, t.expert, t.block, n(1), n(0), n(0)}, [&](ArrayRef<V> a) { return below(a[0], totalTiles); },
                [&](ArrayRef<V> a) -> Vs {
                  V tile = a[0];
                  auto copy = [&](Value weights, int64_t blocks, int64_t depth) {
                    return [&, weights, blocks, depth]() -> Vs {
                      V base = (wide(a[1]) * wide(blocks) + wide(a[2])) * wide(depth * 32768);
                      Vs s = loop(index(0), index(depth), {a[4], a[5]}, [&](V k, ArrayRef<V> at) -> Vs {
                        Stage stage{at[0], at[1]};
                        wait(empty, stage.index, bitXor(stage.parity, n(1)));
                        ExpectOp::create(b, loc, full, stage.index, n(32768));
                        V offset = base + fromIndex(k, b.getI64Type()) * wide(32768);
                        CopyBulkOp::create(b, loc, weights, offset, view(weightRing, stage.index, 1, {256, 128}), full, stage.index, n(32768));
                        Stage up = next(stage);
                        return {up.index, up.parity};
                      });
                      return s;
                    };
                  };
                  Vs s = ifElse(below(tile, firstTiles), copy(op.getW1(), ib, kb1), copy(op.getW2(), nb2, ib));
                  TileInfo following = draw(a[3]);
                  return {following.tile, following.expert, following.block, a[3] + n(1), s[0], s[1]};
                });
  }

  /// Runs `body` for every published tile until one is past the end.
  void forEachTile(bool warp, Stage stage, llvm::function_ref<Stage(const TileInfo &, V number, Stage)> body) {
    auto take = [&](V number) -> Vs {
      V slot = number & n(kSlots - 1);
      wait(published, slot, shr(number, 2) & n(1));
      V base = slot * n(kSlotWords);
      V lo = read(queue, base, words4()), hi = read(queue, base + n(4), words4());
      return {element(lo, 0), element(lo, 1), element(lo, 2), element(lo, 3), element(hi, 0), element(hi, 1), element(hi, 2), element(hi, 3)};
    };
    Vs init = take(n(0));
    init.append({n(0), stage.index, stage.parity});
    loopWhile(init, [&](ArrayRef<V> a) { return below(a[0], totalTiles); },
                [&](ArrayRef<V> a) -> Vs {
                  TileInfo t{a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]};
                  Stage after = body(t, a[8], {a[9], a[10]});
                  arrive(released, t.slot, warp);
                  V number = a[8] + n(1);
                  Vs r = take(number);
                  r.append({number, after.index, after.parity});
                  return r;
                });
  }

  //===- Rows -----------------------------------------------------------------===//

  void produceRows() {
    forEachTile(false, {n(0), n(0)}, [&](const TileInfo &t, V, Stage stage) -> Stage {
      V count = shl(n(8), t.size), rows = rowsOf();
      auto copy = [&](Value codes, Value scales, int64_t depth, Value ownScales, int64_t scaleWords, int64_t blocksPerExpert, bool second) {
        return [&, codes, scales, depth, ownScales, scaleWords, blocksPerExpert, second]() -> Vs {
          // The weights' scales of the tile: its slot was released, so nobody reads the place any more.
          ExpectOp::create(b, loc, scalesFull, t.slot, n(4 * scaleWords));
          V scaleOffset = (wide(t.expert) * wide(blocksPerExpert) + wide(t.block)) * wide(4 * scaleWords);
          CopyBulkOp::create(b, loc, ownScales, scaleOffset, view(weightScales, t.slot, 1, {std::max(scales1, scales2)}), scalesFull, t.slot, n(4 * scaleWords));
          if (second)
            AwaitOp::create(b, loc, op.getCounters(), t.item + n(kCounters), n(ib));
          V bytes = shl(count, 7), scaleBytes = shl(count, 2);
          return loop(index(0), index(depth), {stage.index, stage.parity}, [&](V k, ArrayRef<V> at) -> Vs {
            Stage s{at[0], at[1]};
            wait(empty, s.index, bitXor(s.parity, n(1)));
            ExpectOp::create(b, loc, full, s.index, bytes + scaleBytes);
            V first = fromIndex(k, b.getI64Type()) * rows + wide(t.row0);
            CopyBulkOp::create(b, loc, codes, first * wide(128), view(rowRing, s.index, 1, {kMaxRows, 128}), full, s.index, bytes);
            CopyBulkOp::create(b, loc, scales, first * wide(4), view(scaleRing, s.index, 1, {kMaxRows}), full, s.index, scaleBytes);
            Stage up = next(s);
            return {up.index, up.parity};
          });
        };
      };
      Vs s = ifElse(isFirst(t), copy(op.getX(), op.getXScales(), kb1, op.getW1Scales(), scales1, ib, false),
                      copy(h, hScales, ib, op.getW2Scales(), scales2, nb2, true));
      return {s[0], s[1]};
    });
  }
  /// R as i64.
  V rowsOf() { return fromIndex(dim(op.getX(), 1), b.getI64Type()); }

  //===- Products -------------------------------------------------------------===//

  void consume() {
    group = id(IdKind::Warpgroup) - n(1);
    warp = id(IdKind::Warp) & n(3);
    lane = id(IdKind::Lane);
    thread = id(IdKind::Thread) - n(128);
    forEachTile(true, {n(0), n(0)}, [&](const TileInfo &t, V number, Stage stage) -> Stage {
      wait(scalesFull, t.slot, shr(number, 2) & n(1));
      auto sizes = [&](bool first) {
        return [&, first]() -> Vs { return chooseSize(t, stage, 0, first); };
      };
      Vs s = ifElse(isFirst(t), sizes(true), sizes(false));
      return {s[0], s[1]};
    });
  }
  /// One version of the code for each size of an item.
  Vs chooseSize(const TileInfo &t, Stage stage, int64_t size, bool first) {
    if (size == 4)
      return runTall(t, stage, first);
    return ifElse(
        t.size == n(size), [&] { return runSwapped(t, stage, 8 << size, first); }, [&] { return chooseSize(t, stage, size + 1, first); });
  }

  Value columnsOf(Value scales, V index, int64_t count) {
    return ReadVectorOp::create(b, loc, f32Fragment({count}, Layout::Columns), scales, index);
  }
  Value splat(ArrayRef<V> values, RankedTensorType type) {
    SmallVector<Value> vs(values.begin(), values.end());
    return SplatOp::create(b, loc, type, vs);
  }
  V weightScale(V slot, V index) { return read(weightScales, slot * n(std::max(scales1, scales2)) + index, b.getF32Type()); }
  SmallVector<Value> waitFor(MmaOp products) {
    SmallVector<Type> types;
    for (Value v : products.getPending())
      types.push_back(cast<PendingType>(v.getType()).getFragment());
    auto wait = MmaWaitOp::create(b, loc, types, products.getPending(), b.getI32IntegerAttr(0));
    return SmallVector<Value>(wait.getFragments());
  }
  MmaOp multiply(ArrayRef<Value> a, ArrayRef<Value> bs, ArrayRef<Value> reuse) {
    SmallVector<Type> types;
    for (Value v : bs)
      types.push_back(PendingType::get(b.getContext(), f32Fragment({64, cast<SharedType>(v.getType()).getShape()[0]}, Layout::Mma)));
    return MmaOp::create(b, loc, types, a, bs, ValueRange(), reuse);
  }
  Value zeros(RankedTensorType type) { return splat({f32(0)}, type); }
  /// Loops over the blocks of K with sums of fragments carried.
  Vs overBlocks(int64_t depth, Stage stage, ArrayRef<Value> sums, llvm::function_ref<SmallVector<Value>(V k, Stage, ArrayRef<Value>)> body) {
    Vs init = {stage.index, stage.parity};
    for (Value v : sums)
      init.push_back(wrap(v));
    return loop(index(0), index(depth), init, [&](V k, ArrayRef<V> a) -> Vs {
      Stage s{a[0], a[1]};
      wait(full, s.index, s.parity);
      SmallVector<Value> carried(a.drop_front(2).begin(), a.end());
      SmallVector<Value> out = body(fromIndex(k, b.getI32Type()), s, carried);
      Stage up = next(s);
      Vs r = {up.index, up.parity};
      for (Value v : out)
        r.push_back(wrap(v));
      return r;
    });
  }

  /// Weights as the 64-row operand: warpgroup g has weight rows 128 g to 128 g + 127, in two products; columns are the item's rows.
  Vs runSwapped(const TileInfo &t, Stage stage, int64_t count, bool first) {
    int64_t depth = first ? kb1 : ib;
    auto type = f32Fragment({64, count}, Layout::Mma);
    auto rowScales = f32Fragment({64}, Layout::Rows);
    Vs r = overBlocks(depth, stage, {zeros(type), zeros(type)}, [&](V k, Stage s, ArrayRef<Value> sums) {
      SmallVector<V> own;
      if (first) // gate and up alternate every 8 rows
        own = {weightScale(t.slot, k), weightScale(t.slot, k + n(kb1))};
      else
        own = {weightScale(t.slot, k + group * n(ib))};
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
        out.push_back(PromoteOp::create(b, loc, type, partial[static_cast<size_t>(i)], sums[static_cast<size_t>(i)], scales, columns, /*pin=*/false));
      return out;
    });
    if (first)
      finishSwapped(t, {r[2], r[3]}, count);
    else
      storeSwapped(t, {r[2], r[3]}, count);
    return {r[0], r[1]};
  }

  /// The item's rows as the 64-row operand: warpgroup g has rows 64 g to 64 g + 63, in two products of 128 weight rows, one after the other.
  Vs runTall(const TileInfo &t, Stage stage, bool first) {
    int64_t depth = first ? kb1 : ib;
    auto type = f32Fragment({64, 128}, Layout::Mma);
    auto columnScales = f32Fragment({128}, Layout::Columns);
    Vs r = overBlocks(depth, stage, {zeros(type), zeros(type)}, [&](V k, Stage s, ArrayRef<Value> sums) {
      V w0 = weightScale(t.slot, k), w1 = weightScale(t.slot, k + n(depth));
      Value scales = ReadVectorOp::create(b, loc, f32Fragment({64}, Layout::Rows), scaleRing, s.index * n(kMaxRows) + group * n(64));
      Value rows = view(view(rowRing, s.index, 1, {kMaxRows, 128}), group, 64, {64, 128});
      Value weights = view(weightRing, s.index, 1, {256, 128});
      SmallVector<Value> out, partial;
      for (int64_t i = 0; i < 2; ++i) {
        SmallVector<V> own = first ? SmallVector<V>{w0, w1} : SmallVector<V>{i ? w1 : w0};
        partial = waitFor(multiply({rows}, {view(weights, n(i), 128, {128, 128})}, partial));
        if (i)
          arrive(empty, s.index, true);
        out.push_back(PromoteOp::create(b, loc, type, partial[0], sums[static_cast<size_t>(i)], scales, splat(own, columnScales), /*pin=*/i == 0));
      }
      return out;
    });
    if (first)
      finishTall(t, {r[2], r[3]});
    else
      storeTall(t, {r[2], r[3]});
    return {r[0], r[1]};
  }

  //===- Epilogue of product 1: activation, requantization --------------------===//

  Value map(ValueRange operands, llvm::function_ref<V(ArrayRef<V>)> body, RankedTensorType type) {
    auto map = MapOp::create(b, loc, TypeRange(type), operands);
    OpBuilder::InsertionGuard guard(b);
    Block *block = b.createBlock(&map.getBody());
    Vs args;
    for (Value v : operands)
      args.push_back(wrap(block->addArgument(getElementTypeOrSelf(v.getType()), loc)));
    Value result = body(args);
    tile::YieldOp::create(b, loc, ValueRange(result));
    return map.getResult(0);
  }
  Value activate(Value gate, Value up) {
    return map({gate, up},
               [&](ArrayRef<V> a) {
                 IRMapping mapping;
                 Block &body = op.getEpilogue().front();
                 mapping.map(body.getArgument(0), a[0].v);
                 mapping.map(body.getArgument(1), a[1].v);
                 for (Operation &inner : body.without_terminator())
                   b.clone(inner, mapping);
                 return wrap(mapping.lookupOrDefault(body.getTerminator()->getOperand(0)));
               },
               cast<RankedTensorType>(gate.getType()));
  }
  Value times(Value fragment, Value vector) {
    return map({fragment, vector}, [](ArrayRef<V> a) { return a[0] * a[1]; }, cast<RankedTensorType>(fragment.getType()));
  }
  Value packPair(Value even, Value odd) {
    auto type = cast<RankedTensorType>(even.getType());
    return PackOp::create(b, loc, type.clone(b.getI16Type()), even, odd, TypeAttr::get(Float8E4M3FNType::get(b.getContext())));
  }
  /// Copies a staged row piece of 16 bytes to h.
  void storeCodes(const TileInfo &t, V token, V piece, V staged) {
    ifThen(below(token, t.valid), [&] {
      V row = t.row0 + token;
      V place = (wide(t.block) * rowsOf() + wide(row)) * wide(128) + wide(shl(bitXor(piece, token & n(7)), 4));
      store(read(staging, staged, words4()), h, place);
    });
  }
  void signal(const TileInfo &t) {
    FenceAsyncOp::create(b, loc);
    sync(n(1), 256);
    ifThen(thread == n(0), [&] { SignalOp::create(b, loc, op.getCounters(), t.item + n(kCounters)); });
  }
  V scaleIndex(const TileInfo &t, V token) { return wide(t.block) * rowsOf() + wide(t.row0 + token); }

  void finishSwapped(const TileInfo &t, ArrayRef<V> sums, int64_t count) {
    auto half = f32Fragment({32, count}, Layout::Half);
    SmallVector<Value> active;
    for (V sum : sums) {
      Value gate = SelectRowsOp::create(b, loc, half, sum, 0), up = SelectRowsOp::create(b, loc, half, sum, 1);
      active.push_back(activate(gate, up));
    }
    // The largest of 128 columns of I: over this warp's, then over the 8 warps of both warpgroups.
    auto perRow = f32Fragment({count}, Layout::Columns);
    Value largest = MaxOp::create(b, loc, perRow, active, b.getF32FloatAttr(1e-4f));
    WriteVectorOp::create(b, loc, largest, maxima, (group * n(4) + warp) * n(64));
    sync(n(1), 256);
    ifThen(below(thread, n(count)), [&] {
      V m = read(maxima, thread, b.getF32Type());
      for (int64_t w = 1; w < 8; ++w)
        m = larger(m, read(maxima, thread + n(64 * w), b.getF32Type()));
      write(f32(448) / m, inverse, thread);
      ifThen(below(thread, t.valid), [&] { store(m * f32(1.0 / 448), hScales, scaleIndex(t, thread)); });
    });
    sync(n(1), 256);
    Value inverses = columnsOf(inverse, n(0), count);
    Value pairs = packPair(times(active[0], inverses), times(active[1], inverses));
    // A warp has 16 codes of each row, in natural order: column 64 g + 16 w + 2 r + s.
    StoreMatrixOp::create(b, loc, pairs, staging, group * n(64) + warp * n(16), kPitch, /*transposed=*/true);
    sync(n(1), 256);
    for (int64_t pass = 0; pass < count; pass += 32) {
      V token = shr(thread, 3) + n(pass), piece = thread & n(7);
      storeCodes(t, token, piece, token * n(kPitch) + shl(piece, 4));
    }
    signal(t);
  }

  /// A warp's own staged rows: 16 of them.
  V warpStage() { return (group * n(4) + warp) * n(16 * kPitch); }

  void finishTall(const TileInfo &t, ArrayRef<V> sums) {
    // Chunks of 8 columns alternate between gate and up; chunks 0 to 7 are column parity s = 0, 8 to 15 s = 1.
    auto part = f32Fragment({64, 32}, Layout::Mma);
    SmallVector<Value> active; // [half of the tile][s]
    for (V sum : sums)
      for (int32_t s = 0; s < 2; ++s) {
        Value gate = SelectColumnsOp::create(b, loc, part, sum, 8 * s, 2), up = SelectColumnsOp::create(b, loc, part, sum, 8 * s + 1, 2);
        active.push_back(activate(gate, up));
      }
    auto perRow = f32Fragment({64}, Layout::Rows);
    Value largest = MaxOp::create(b, loc, perRow, active, b.getF32FloatAttr(1e-4f));
    // Divided as in the other form, so that a row's codes do not depend on the size of its item.
    Value inverses = arith::DivFOp::create(b, loc, splat({f32(448)}, perRow), largest);
    // Scales through the warp's place in shared memory: rows 16 w to 16 w + 15 of the warpgroup. All warps first: a tile before with fewer rows
    // is staged across them.
    sync(group + n(2), 128);
    WriteVectorOp::create(b, loc, largest, maxima, group * n(64));
    syncWarp();
    V own = group * n(64) + warp * n(16) + lane;
    ifThen(below(lane, n(16)), [&] {
      ifThen(below(own, t.valid),
               [&] { store(read(maxima, own, b.getF32Type()) * f32(1.0 / 448), hScales, scaleIndex(t, own)); });
    });
    for (int64_t half = 0; half < 2; ++half) {
      Value pairs = packPair(times(active[static_cast<size_t>(2 * half)], inverses), times(active[static_cast<size_t>(2 * half + 1)], inverses));
      StoreMatrixOp::create(b, loc, pairs, staging, warpStage() + n(64 * half), kPitch, /*transposed=*/false);
    }
    syncWarp();
    for (int64_t pass = 0; pass < 16; pass += 4) {
      V row = shr(lane, 3) + n(pass), piece = lane & n(7);
      storeCodes(t, group * n(64) + warp * n(16) + row, piece, warpStage() + row * n(kPitch) + shl(piece, 4));
    }
    signal(t);
  }

  //===- Epilogue of product 2: rows of y -------------------------------------===//

  /// 8 columns of one row, from staged bytes.
  void storeRow(const TileInfo &t, V token, V column, V staged) {
    V inside = below(token, t.valid);
    if (hidden % 256)
      inside = inside & below(column, n(hidden));
    ifThen(inside, [&] {
      V place = wide(t.row0 + token) * wide(hidden) + wide(column);
      store(read(staging, staged, words4()), y, place);
    });
  }
  void storeSwapped(const TileInfo &t, ArrayRef<V> sums, int64_t count) {
    V place = group * n(64 * kPitch), within = thread & n(127), barrier = group + n(2);
    for (auto [i, sum] : llvm::enumerate(sums)) {
      sync(barrier, 128);
      StoreMatrixOp::create(b, loc, sum, staging, place + warp * n(32), kPitch, /*transposed=*/true);
      sync(barrier, 128);
      for (int64_t pass = 0; pass < count; pass += 16) {
        V token = shr(within, 3) + n(pass), piece = within & n(7);
        V column = t.block * n(256) + group * n(128) + n(64 * static_cast<int64_t>(i)) + shl(piece, 3);
        auto store = [&] { storeRow(t, token, column, place + token * n(kPitch) + shl(piece, 4)); };
        if (count - pass < 16)
          ifThen(below(token, n(count)), store);
        else
          store();
      }
    }
  }
  void storeTall(const TileInfo &t, ArrayRef<V> sums) {
    auto part = f32Fragment({64, 64}, Layout::Mma);
    sync(group + n(2), 128); // a tile before with fewer rows is staged across the warps
    for (auto [i, sum] : llvm::enumerate(sums))
      for (int32_t side = 0; side < 2; ++side) {
        Value columns = SelectColumnsOp::create(b, loc, part, sum, 8 * side, 1);
        syncWarp();
        StoreMatrixOp::create(b, loc, columns, staging, warpStage(), kPitch, /*transposed=*/false);
        syncWarp();
        for (int64_t pass = 0; pass < 16; pass += 4) {
          V row = shr(lane, 3) + n(pass), piece = lane & n(7);
          V column = t.block * n(256) + n(128 * static_cast<int64_t>(i) + 64 * side) + shl(piece, 3);
          storeRow(t, group * n(64) + warp * n(16) + row, column, warpStage() + row * n(kPitch) + shl(piece, 4));
        }
      }
  }

  ExpertProductsOp op;
  int64_t hidden, inner, kb1, ib, nb2, scales1, scales2;
  Value y, h, hScales;
  Value weightRing, rowRing, scaleRing, staging, weightScales, maxima, inverse, queue;
  Value full, empty, published, released, scalesFull;
  V items, firstTiles, totalTiles;
  V group, warp, lane, thread; // of the consumers
};
} // namespace

KernelEmitter moe::emitExpertProducts(Operation *) {
  KernelEmitter emitter;
  emitter.items = [](OpBuilder &b, Location loc, Operation *, ValueRange) -> Value { return arith::ConstantIndexOp::create(b, loc, 1 << 20); };
  emitter.body = [](OpBuilder &b, Operation *op, Value, Value) -> LogicalResult {
    ProductsKernel(b, cast<ExpertProductsOp>(op)).emit();
    return success();
  };
  emitter.block = BlockLaunch{384, BlockLaunch::PerMultiprocessor, /*dependent=*/true};
  return emitter;
}
