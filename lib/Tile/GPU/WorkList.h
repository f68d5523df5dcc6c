//===- WorkList.h - how a block writes a work list ------------------------===//
//
// What moe.route_rows and moe.list_rows share: thread e of a block knows how many rows expert (or group) e has. The format of the list stands
// at moe.expert_products.
//
//===----------------------------------------------------------------------===//
#ifndef MOE_TILE_GPU_WORKLIST_H
#define MOE_TILE_GPU_WORKLIST_H

#include "BlockCode.h"

namespace mlir::moe {

class WorkList : protected BlockCode {
protected:
  static constexpr int64_t kAlign = 8, kItemRows = 128, kGroup = 16;
  WorkList(OpBuilder &b, Location loc, int64_t threads) : BlockCode(b, loc), threads(threads), warps(threads / 32) {}

  /// Shared memory, in front of tile.start; the ids behind it.
  void allocateSums() { warpSums = alloc({2, warps}, i32Type()); }
  void open() {
    thread = id(IdKind::Thread), lane = id(IdKind::Lane), warp = id(IdKind::Warp), block = id(IdKind::Block),
    blocks = id(IdKind::Blocks);
  }

  void syncBlock() { sync(n(0), static_cast<int32_t>(threads)); }
  void strided(V from, V to, V step, llvm::function_ref<void(V)> body) {
    loopWhile(
        {from}, [&](ArrayRef<V> a) { return below(a[0], to); },
        [&](ArrayRef<V> a) -> Vs {
          body(a[0]);
          return {a[0] + step};
        });
  }
  V paddedRows(V count) { return shl(shr(count + n(kAlign - 1), 3), 3); }
  V entriesOf(V count) { return shr(count + n(kItemRows - 1), 7); }

  /// The sum of the threads' values in front of this one, and of all; for the first `used` warps. `which` is 0 or 1.
  std::pair<V, V> scan(V value, int64_t which, int64_t used) {
    V sum = value;
    for (int64_t step = 1; step < 32; step *= 2) {
      V other = shuffle(tile::ShuffleKind::Up, sum, n(step));
      sum = sum + select(below(lane, n(step)), n(0), other);
    }
    ifThen(lane == n(31), [&] { write(sum, warpSums, n(which * warps) + warp); });
    syncBlock();
    V before = n(0), all = n(0);
    for (int64_t w = 0; w < std::min(warps, used); ++w) {
      V part = read(warpSums, n(which * warps + w), i32Type());
      before = before + select(below(n(w), warp), part, n(0));
      all = all + part;
    }
    return {before + sum - value, all};
  }

  /// Entry i of an expert with `count` rows from row `start` on; its first entry is number `first`.
  void writeEntry(Value items, V expert, V i, V count, V start, V first) {
    V offset = i & n(kGroup - 1), group = least(entriesOf(count) - (i - offset), n(kGroup));
    V left = least(count - shl(i, 7), n(kItemRows));
    V word = bitOr(sizeOf(left), bitOr(shl(group, 4), shl(offset, 12)));
    store(vector4({expert, start + shl(i, 7), left, word}), items, shl(first + i, 2) + n(4));
  }

  /// 8 << size rows are read of an item of `valid`.
  V sizeOf(V valid) {
    V size = n(0);
    for (int64_t limit = 8; limit < kItemRows; limit *= 2)
      size = size + number(below(n(limit), valid));
    return size;
  }

  int64_t threads, warps;
  Value warpSums;
  V thread, lane, warp, block, blocks;
};

} // namespace mlir::moe

#endif // MOE_TILE_GPU_WORKLIST_H
