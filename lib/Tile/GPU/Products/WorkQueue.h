//===- WorkQueue.h - who works on which tile ------------------------------===//
//
// The tiles of all products stand in one order in which whatever a tile waits for comes before it: first those of product 0 (for each item its
// blocks of 256 weight rows), then those of product 1. Every block draws the next one from a counter in global memory until all are
// taken, and publishes it to its other warps through a few slots in shared memory. A work list is described at moe.expert_products.
//
//===----------------------------------------------------------------------===//
#ifndef MOE_TILE_GPU_PRODUCTS_WORKQUEUE_H
#define MOE_TILE_GPU_PRODUCTS_WORKQUEUE_H

#include "../BlockCode.h"

namespace mlir::moe {

constexpr int64_t kSlots = 4;        // tiles published ahead
constexpr int64_t kSlotWords = 8;    // tile, expert, row0, valid, size, block, item
constexpr int64_t kCounters = 16;    // counters[0]: next tile; counters[16 + item]: finished blocks of a product that another waits for
constexpr int64_t kItems = 4;        // items[4]: the first entry

/// What a role knows about the tile it works on.
struct TileInfo {
  V tile, expert, row0, valid, size, block, item, slot;
};
/// Position in the ring of stages: which, and the parity of its current use.
struct Stage {
  V index, parity;
};

class WorkQueue : protected BlockCode {
protected:
  /// `blocks`: tiles of an item, for each product.
  WorkQueue(OpBuilder &b, Location loc, Value items, Value counters, ArrayRef<int64_t> blocks)
      : BlockCode(b, loc), itemList(items), counters(counters), blocks(blocks) {}

  /// Shared memory and barriers. `readers`: arrivals that give a slot back.
  void allocate(int32_t readers);
  /// Reads the number of items; behind tile.start.
  void open();

  /// The next tile of all that are left, decoded and published as number `number`. One thread.
  TileInfo draw(V number);
  V isTile(V tile) { return below(tile, ends.back()); }
  /// Runs `body` for every published tile until one is past the end.
  void forEachTile(bool warp, Stage stage, llvm::function_ref<Stage(const TileInfo &, V number, Stage)> body);
  /// Code for each product, one of which runs.
  Vs chooseProduct(V tile, llvm::function_ref<Vs(size_t)> body, size_t from = 0);

  Value itemList, counters;
  Value published, released;

private:
  TileInfo decode(V tile);
  Vs entryOf(V tile, int64_t blocksPerItem);
  void publish(V number, const TileInfo &t);
  V clamp(V tile);

  SmallVector<int64_t> blocks;
  Value queue;
  Vs ends; // of the products, in tiles
};

} // namespace mlir::moe

#endif // MOE_TILE_GPU_PRODUCTS_WORKQUEUE_H
