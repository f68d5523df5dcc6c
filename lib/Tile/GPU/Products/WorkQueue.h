//===- WorkQueue.h - who works on which tile ------------------------------===//
//
// The tiles of all products stand in one order in which whatever a tile waits for comes before it: first those of product 0 (for each item its
// blocks of 256 weight rows), then those of product 1. With few rows the last tiles of the last product are cut in two, so that all blocks end at
// about the same time. Every block draws the next one from a counter in global memory until all are
// taken, and publishes it to its other warps through a few slots in shared memory. A work list is described at moe.expert_products.
//
//===----------------------------------------------------------------------===//
#ifndef MOE_TILE_GPU_PRODUCTS_WORKQUEUE_H
#define MOE_TILE_GPU_PRODUCTS_WORKQUEUE_H

#include "../BlockCode.h"

namespace mlir::moe {

constexpr int64_t kSlots = 4;     // tiles published ahead
constexpr int64_t kSlotWords = 8; // tile, expert, row0, valid, size, block, item, part
constexpr int64_t kCounters =
    16; // counters[0]: next tile; counters[16 + item]: finished blocks of a product that another waits for
constexpr int64_t kItems = 4;    // items[0]: entries; items[1]: no item has more rows; items[4]: the first entry
constexpr int64_t kCutRows = 16; // rows of an item of which a tile may be cut
constexpr int64_t kCutTiles = 1; // tiles of each block that are cut, the last ones

/// What a role knows about the tile it works on.
struct TileInfo {
  V tile, expert, row0, valid, size, block, item;
  V part; ///< 0: all 256 weight rows; 1: the first 128; 2: the others
  V slot;
};
/// Position in the ring of stages: which, and the parity of its current use.
struct Stage {
  V index, parity;
};

class WorkQueue : protected BlockCode {
protected:
  /// `blocks`: tiles of an item, for each product; `cuts`: those of the last one may be cut; `recycled`: the last draw
  /// of all sets the counter back to zero.
  WorkQueue(OpBuilder &b, Location loc, Value items, Value counters, ArrayRef<int64_t> blocks, bool cuts, bool recycled)
      : BlockCode(b, loc), itemList(items), counters(counters), blocks(blocks), cuts(cuts), recycled(recycled) {}

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
  bool cuts, recycled;
  Value queue;
  Vs ends; // of the products, in tiles
  V whole; // tiles of the last product in front of those that are cut
};

} // namespace mlir::moe

#endif // MOE_TILE_GPU_PRODUCTS_WORKQUEUE_H
