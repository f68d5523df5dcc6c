//===- Products.h - products over a work list, and what is done with their sums ---===//
//
// A kernel of products is a list of `Product`s over one work list (MainLoop.cpp) and an `Epilogue` for each (Activation.cpp, StoreRows.cpp): dense
// products are grouped ones of one group, and two products differ from one by waiting for each other.
//
//===----------------------------------------------------------------------===//
#ifndef MOE_TILE_GPU_PRODUCTS_PRODUCTS_H
#define MOE_TILE_GPU_PRODUCTS_PRODUCTS_H

#include "WorkQueue.h"
#include "moe/Tile/KernelEmitter.h"

#include <memory>

namespace mlir::moe {

constexpr int64_t kMaxRows = 128;   // rows of an item
constexpr int64_t kPitch = 144;     // bytes from one staged row of 128 to the next: no bank conflicts
constexpr int64_t kConsumers = 256; // threads of the two warpgroups that compute

/// What becomes of a tile's sums: called in code of the two warpgroups that hold them.
class Epilogue : protected BlockCode {
public:
  using BlockCode::BlockCode;
  virtual ~Epilogue() = default;

  /// Shared memory of its own, in front of tile.start.
  virtual void allocate() {}
  /// What is known once the roles are: `staging` holds 128 rows of kPitch bytes; `rows` [.., R, ..] are those of the first product.
  void attach(V group, V warp, V lane, V thread, Value staging, Value rows);

  /// Two fragments of 64 weight rows x `count` rows of the item: warpgroup g has weight rows 128 g to 128 g + 127.
  virtual void finishSwapped(const TileInfo &t, ArrayRef<V> sums, int64_t count) = 0;
  /// One fragment of 64 weight rows x `count` rows of the item, of a tile that is cut: warpgroup g has weight rows 64 g to 64 g + 63 of the half.
  virtual void finishHalf(const TileInfo &t, V sum, int64_t count);
  /// Two fragments of 64 rows of the item x 128 weight rows: warpgroup g has rows 64 g to 64 g + 63.
  virtual void finishTall(const TileInfo &t, ArrayRef<V> sums) = 0;
  /// Sums plus the values of a vector along one of the dims, both rounded to `element` and added in it; an f32 fragment.
  V withBias(Value sums, Value vector, Type element);

protected:
  /// The row of a result that the tile's first place stands for.
  V firstRow(const TileInfo &t, Value shift) { return shift ? t.row0 - load(shift, t.expert, i32Type()) : t.row0; }
  /// R as i64.
  V rowsOf() { return fromIndex(dim(rows, 1), b.getI64Type()); }
  /// A warp's own staged rows: 16 of them.
  V warpStage() { return (group * n(4) + warp) * n(16 * kPitch); }
  Value columnsOf(Value scales, V index, int64_t count) {
    return tile::ReadVectorOp::create(b, loc, f32Fragment({count}, Layout::Columns), scales, index);
  }
  Value splat(ArrayRef<V> values, RankedTensorType type) {
    SmallVector<Value> vs(values.begin(), values.end());
    return tile::SplatOp::create(b, loc, type, vs);
  }
  Value map(ValueRange operands, llvm::function_ref<V(ArrayRef<V>)> body, RankedTensorType type);
  /// A fragment of f32 as what tile.store_matrix rounds to `element`, bf16 or f16.
  Value rounded(Value fragment, Type element);
  /// The function of a region of scalars, in place.
  V inlined(Region &region, ArrayRef<V> arguments);

  /// What this tile wrote to global memory is there for whoever waits for its item.
  void signal(const TileInfo &t, Value counters);

  V group, warp, lane, thread; // of the consumers: the warpgroup, the warp in it, the thread of all
  Value staging, rows;
};

/// Blocks of K from which on tiles are cut: shorter ones stream in less time than drawing another one costs (measured: 16 blocks gain, 6 lose).
constexpr int64_t kCutDepth = 12;

/// Sums of rows with the weights of their expert: sum_k rows[p, k] * weights[e, n, k].
struct Product {
  Value rows, rowScales; ///< [depth, R, 128 bytes] as moe.expert_products has x, and [depth, R] f32 (FP8)
  Value weights,
      weightScales;      ///< [E, blocks, depth, 256, 128 bytes], [E, blocks, L] f32 (FP8): `depth` scales of each half
  int64_t blocks, depth; ///< tiles of 256 weight rows; blocks of 128 bytes of K
  bool paired;           ///< gate and up alternate every 8 weight rows, and their scales are the two halves
  int64_t awaits;        ///< the rows are there after so many signals of the item's counter; 0: before the kernel
  std::unique_ptr<Epilogue> epilogue;
  Value bias = {};       ///< [E, blocks, 256] f32, of the weight rows in their order; or none
  Type biasElement = {}; ///< in which it is added
  bool cuts = false;     ///< the last product alone: tiles of few rows may be cut in two; the epilogue has finishHalf
};

/// Activation of gate and up (`region`), requantization in blocks of 1 x 128, and a signal for whoever reads the rows of h.
std::unique_ptr<Epilogue> makeActivation(OpBuilder &b, Location loc, Region &region, Value h, Value hScales,
                                         Value counters);
/// The same in a format of 16 bits: h holds the rounded a.
std::unique_ptr<Epilogue> makeRoundedActivation(OpBuilder &b, Location loc, Region &region, Value h, Value counters);
/// Rows of y [R, columns] of a 16-bit float, columns a multiple of 8. With `shift`, place q of group g is row q - shift[g].
std::unique_ptr<Epilogue> makeStoreRows(OpBuilder &b, Location loc, Value y, int64_t columns, Value shift = {});
/// The same for any number of columns and any float up to 32 bits, each element region(sum, an element of each extra) of extras of `kinds`
/// (moe.row_product).
std::unique_ptr<Epilogue> makeStoreResult(OpBuilder &b, Location loc, Value y, int64_t columns, Value shift,
                                          Region &region, ValueRange extras, ArrayRef<int64_t> kinds);

/// A kernel of persistent blocks whose body is `emit`, which calls emitProducts once.
KernelEmitter productsEmitter(void (*emit)(OpBuilder &b, Operation *op));
/// `recycled`: the counter of tiles is zero again in the end.
void emitProducts(OpBuilder &b, Location loc, MutableArrayRef<Product> products, Value items, Value counters,
                  bool recycled = false);

} // namespace mlir::moe

#endif // MOE_TILE_GPU_PRODUCTS_PRODUCTS_H
