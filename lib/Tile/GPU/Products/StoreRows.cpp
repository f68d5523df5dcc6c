//===- StoreRows.cpp - sums as rows of a result ---------------------------===//
#include "Products.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::tile;

namespace {
class StoreRows : public Epilogue {
public:
  StoreRows(OpBuilder &b, Location loc, Value y, int64_t columns) : Epilogue(b, loc), y(y), hidden(columns) {}

  void finishSwapped(const TileInfo &t, ArrayRef<V> sums, int64_t count) override {
    for (auto [i, sum] : llvm::enumerate(sums))
      storeSwapped(t, sum, count, t.block * n(256) + group * n(128) + n(64 * static_cast<int64_t>(i)));
  }
  void finishHalf(const TileInfo &t, V sum, int64_t count) override {
    storeSwapped(t, sum, count, t.block * n(256) + (t.part - n(1)) * n(128) + group * n(64));
  }

  void finishTall(const TileInfo &t, ArrayRef<V> sums) override {
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

private:
  /// 64 columns from `first` on, of `count` rows.
  void storeSwapped(const TileInfo &t, Value sum, int64_t count, V first) {
    V place = group * n(64 * kPitch), within = thread & n(127), barrier = group + n(2);
    sync(barrier, 128);
    StoreMatrixOp::create(b, loc, sum, staging, place + warp * n(32), kPitch, /*transposed=*/true);
    sync(barrier, 128);
    for (int64_t pass = 0; pass < count; pass += 16) {
      V token = shr(within, 3) + n(pass), piece = within & n(7);
      V column = first + shl(piece, 3);
      auto store = [&] { storeRow(t, token, column, place + token * n(kPitch) + shl(piece, 4)); };
      if (count - pass < 16)
        ifThen(below(token, n(count)), store);
      else
        store();
    }
  }
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

  Value y;
  int64_t hidden;
};
} // namespace

std::unique_ptr<Epilogue> moe::makeStoreRows(OpBuilder &b, Location loc, Value y, int64_t columns) {
  return std::make_unique<StoreRows>(b, loc, y, columns);
}
