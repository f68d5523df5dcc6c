//===- WorkQueue.cpp - who works on which tile ----------------------------===//
#include "WorkQueue.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::tile;

void WorkQueue::allocate(int32_t readers) {
  queue = alloc({kSlots, kSlotWords}, i32Type());
  published = barriers(kSlots, 1);
  released = barriers(kSlots, readers);
}

void WorkQueue::open() {
  V items = load(itemList, n(0), i32Type());
  int64_t sum = 0;
  for (int64_t own : blocks)
    ends.push_back(items * n(sum += own));
  if (!cuts)
    return;
  V all = items * n(blocks.back()), few = below(load(itemList, n(1), i32Type()), n(kCutRows + 1));
  V cut = select(few, least(all, id(IdKind::Blocks) * n(kCutTiles)), n(0));
  whole = all - cut;
  ends.back() = ends.back() + cut;
}

Vs WorkQueue::chooseProduct(V tile, llvm::function_ref<Vs(size_t)> body, size_t from) {
  if (from + 1 == blocks.size())
    return body(from);
  return ifElse(
      below(tile, ends[from]), [&] { return body(from); }, [&] { return chooseProduct(tile, body, from + 1); });
}

/// Decodes a tile number. Items of one expert stand in groups; inside one the item runs fastest, so that blocks that run side by
/// side read a weight tile from memory once.
TileInfo WorkQueue::decode(V tile) {
  Vs r = chooseProduct(tile, [&](size_t i) {
    V at = i ? tile - ends[i - 1] : tile, part = n(0);
    if (cuts && i + 1 == blocks.size()) {
      V isPart = below(whole, at + n(1)), half = at - whole;
      part = select(isPart, (half & n(1)) + n(1), n(0));
      at = select(isPart, whole + shr(half, 1), at);
    }
    Vs entry = entryOf(at, blocks[i]);
    entry.push_back(part);
    return entry;
  });
  return {tile, r[0], r[1], r[2], r[3], r[4], r[5], r[6], V()};
}
Vs WorkQueue::entryOf(V tile, int64_t blocksPerItem) {
  auto entry = [&](V item) -> Vs {
    V v = load(itemList, item * n(4) + n(kItems), words4());
    return {element(v, 0), element(v, 1), element(v, 2), element(v, 3)};
  };
  V at = tile / n(blocksPerItem);
  Vs own = entry(at);
  V group =
      select(ends.back() == n(0), n(1), shr(own[3], 4) & n(255)); // an empty list's unused entry may hold anything
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

void WorkQueue::publish(V number, const TileInfo &t) {
  V slot = number & n(kSlots - 1), round = shr(number, 2) & n(1);
  wait(released, slot, bitXor(round, n(1)));
  V base = slot * n(kSlotWords);
  write(vector4({t.tile, t.expert, t.row0, t.valid}), queue, base);
  write(vector4({t.size, t.block, t.item, t.part}), queue, base + n(4));
  arrive(published, slot, false);
}
V WorkQueue::clamp(V tile) {
  // Decoding reads the work list: past the end, of its last tile (an empty list has one unused entry).
  V last = select(ends.back() == n(0), n(0), ends.back() - n(1));
  return select(below(tile, last), tile, last);
}
TileInfo WorkQueue::draw(V number) {
  V tile = wrap(AtomicAddOp::create(b, loc, b.getI32Type(), counters, n(0), n(1)));
  if (recycled) // every block draws one past the end
    ifThen(tile == ends.back() + id(IdKind::Blocks) - n(1), [&] { store(n(0), counters, n(0)); });
  TileInfo t = decode(clamp(tile));
  t.tile = tile;
  publish(number, t);
  return t;
}

void WorkQueue::forEachTile(bool warp, Stage stage, llvm::function_ref<Stage(const TileInfo &, V number, Stage)> body) {
  auto take = [&](V number) -> Vs {
    V slot = number & n(kSlots - 1);
    wait(published, slot, shr(number, 2) & n(1));
    V base = slot * n(kSlotWords);
    V lo = read(queue, base, words4()), hi = read(queue, base + n(4), words4());
    return {element(lo, 0), element(lo, 1), element(lo, 2),
            element(lo, 3), element(hi, 0), element(hi, 1),
            element(hi, 2), element(hi, 3), slot};
  };
  Vs init = take(n(0));
  init.append({n(0), stage.index, stage.parity});
  loopWhile(
      init, [&](ArrayRef<V> a) { return isTile(a[0]); },
      [&](ArrayRef<V> a) -> Vs {
        TileInfo t{a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8]};
        Stage after = body(t, a[9], {a[10], a[11]});
        arrive(released, t.slot, warp);
        V number = a[9] + n(1);
        Vs r = take(number);
        r.append({number, after.index, after.parity});
        return r;
      });
}
