//===- StoreRows.cpp - sums as rows of a result ---------------------------===//
#include "Products.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::tile;

namespace {
/// Which columns of the result a fragment of weight rows holds.
class StoreFragments : public Epilogue {
public:
  using Epilogue::Epilogue;

  void finishSwapped(const TileInfo &t, ArrayRef<V> sums, int64_t count) override {
    for (auto [i, sum] : llvm::enumerate(sums))
      storeSwapped(t, sum, count, t.block * n(256) + group * n(128) + n(64 * static_cast<int64_t>(i)));
  }
  void finishHalf(const TileInfo &t, V sum, int64_t count) override {
    storeSwapped(t, sum, count, t.block * n(256) + (t.part - n(1)) * n(128) + group * n(64));
  }

protected:
  /// 64 columns from `first` on, of `count` rows.
  virtual void storeSwapped(const TileInfo &t, V sum, int64_t count, V first) = 0;
};

class StoreRows : public StoreFragments {
public:
  StoreRows(OpBuilder &b, Location loc, Value y, int64_t columns, Value shift)
      : StoreFragments(b, loc), y(y), shift(shift), hidden(columns) {}

  void finishTall(const TileInfo &t, ArrayRef<V> sums) override {
    auto part = f32Fragment({64, 64}, Layout::Mma);
    sync(group + n(2), 128); // a tile before with fewer rows is staged across the warps
    for (auto [i, sum] : llvm::enumerate(sums))
      for (int32_t side = 0; side < 2; ++side) {
        Value columns = SelectColumnsOp::create(b, loc, part, sum, 8 * side, 1);
        syncWarp();
        StoreMatrixOp::create(b, loc, rounded(columns, element()), staging, warpStage(), kPitch, /*transposed=*/false);
        syncWarp();
        for (int64_t pass = 0; pass < 16; pass += 4) {
          V row = shr(lane, 3) + n(pass), piece = lane & n(7);
          V column = t.block * n(256) + n(128 * static_cast<int64_t>(i) + 64 * side) + shl(piece, 3);
          storeRow(t, group * n(64) + warp * n(16) + row, column, warpStage() + row * n(kPitch) + shl(piece, 4));
        }
      }
  }

private:
  void storeSwapped(const TileInfo &t, V sum, int64_t count, V first) override {
    V place = group * n(64 * kPitch), within = thread & n(127), barrier = group + n(2);
    sync(barrier, 128);
    StoreMatrixOp::create(b, loc, rounded(sum, element()), staging, place + warp * n(32), kPitch, /*transposed=*/true);
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
  Type element() { return cast<MemRefType>(y.getType()).getElementType(); }
  /// 8 columns of one row, from staged bytes.
  void storeRow(const TileInfo &t, V token, V column, V staged) {
    V inside = below(token, t.valid);
    if (hidden % 256)
      inside = inside & below(column, n(hidden));
    ifThen(inside, [&] {
      V place = wide(firstRow(t, shift) + token) * wide(hidden) + wide(column);
      store(read(staging, staged, words4()), y, place);
    });
  }

  Value y, shift;
  int64_t hidden;
};

/// Sums reach the threads that store them in two halves of 16 bits, so that they keep all their bits: 8 columns of a row to a thread.
class StoreResult : public StoreFragments {
public:
  StoreResult(OpBuilder &b, Location loc, Value y, int64_t columns, Value shift, Region &region, ValueRange extras,
              ArrayRef<int64_t> kinds)
      : StoreFragments(b, loc), y(y), shift(shift), width(columns), region(region), extras(extras), kinds(kinds) {}

  void finishTall(const TileInfo &t, ArrayRef<V> sums) override {
    auto part = f32Fragment({64, 32}, Layout::Mma);
    V row = firstRow(t, shift);
    sync(group + n(2), 128); // a tile before with fewer rows is staged across the warps
    for (auto [i, sum] : llvm::enumerate(sums))
      for (int32_t quarter = 0; quarter < 4; ++quarter) {
        Value columns = SelectColumnsOp::create(b, loc, part, sum, 4 * quarter, 1);
        syncWarp();
        stageHalves(columns, warpStage(), 64, /*transposed=*/false);
        syncWarp();
        V piece = lane & n(3),
          column = t.block * n(256) + n(128 * static_cast<int64_t>(i) + 32 * quarter) + shl(piece, 3);
        loop(index(0), index(2), [&](V pass) {
          V staged = shr(lane, 2) + shl(fromIndex(pass, i32Type()), 3), own = group * n(64) + warp * n(16) + staged;
          storeEightColumns(t, below(own, t.valid), row + own, column, warpStage() + staged * n(kPitch) + shl(piece, 4),
                            64);
        });
      }
  }

private:
  void storeSwapped(const TileInfo &t, V sum, int64_t count, V firstColumn) override {
    V place = group * n(64 * kPitch), within = thread & n(127), barrier = group + n(2), row = firstRow(t, shift);
    int64_t chunk = std::min<int64_t>(count, 32);
    for (int64_t first = 0; first < count; first += chunk) {
      Value part = chunk == count ? sum.v
                                  : SelectColumnsOp::create(b, loc, f32Fragment({64, chunk}, Layout::Mma), sum,
                                                            static_cast<int32_t>(first / 8), 1);
      sync(barrier, 128);
      stageHalves(part, place + warp * n(32), 32 * kPitch, /*transposed=*/true);
      sync(barrier, 128);
      V column = firstColumn + shl(within & n(7), 3);
      loop(index(0), index((chunk + 15) / 16), [&](V pass) {
        V token = shr(within, 3) + shl(fromIndex(pass, i32Type()), 4), own = token + n(first),
          inside = below(own, t.valid);
        if (chunk < 16)
          inside = inside & below(token, n(chunk));
        storeEightColumns(t, inside, row + own, column, place + token * n(kPitch) + shl(within & n(7), 4), 32 * kPitch);
      });
    }
  }
  /// The upper halves of the bits at `place`, the lower ones `apart` bytes behind them.
  void stageHalves(Value fragment, V place, int64_t apart, bool transposed) {
    auto type = cast<RankedTensorType>(fragment.getType()).clone(b.getI16Type());
    for (int64_t lower = 0; lower < 2; ++lower) {
      Value half = map(
          fragment,
          [&](ArrayRef<V> a) {
            return wrap(arith::TruncIOp::create(b, loc, b.getI16Type(), lower ? asBits(a[0]) : shr(asBits(a[0]), 16)));
          },
          type);
      StoreMatrixOp::create(b, loc, half, staging, lower ? place + n(apart) : place, kPitch, transposed);
    }
  }
  void storeEightColumns(const TileInfo &t, V inside, V row, V column, V staged, int64_t apart) {
    if (width % 256)
      inside = inside & below(column, n(width));
    ifThen(inside, [&] {
      V upper = read(staging, staged, words4()), lower = read(staging, staged + n(apart), words4());
      Vs sums;
      for (int64_t w = 0; w < 4; ++w) {
        V hi = element(upper, w), lo = element(lower, w);
        sums.push_back(asFloat(bitOr(shl(hi, 16), lo & n(0xffff))));
        sums.push_back(asFloat(bitOr(hi & n(-0x10000), shr(lo, 16))));
      }
      V at = wide(row) * wide(width) + wide(column);
      if (width % 8 == 0) {
        SmallVector<Vs> values = {sums};
        for (auto [extra, kind] : llvm::zip(extras, kinds))
          values.push_back(kind == 3 ? Vs(8, load(extra, row, typeOf(extra)))
                                     : loadEight(extra, extraAt(t, kind, at, row, column)));
        Vs out;
        for (size_t i = 0; i < 8; ++i)
          out.push_back(inlined(region, llvm::map_to_vector(values, [&](Vs &v) { return v[i]; })));
        storeEight(out, y, at);
        return;
      }
      for (int64_t i = 0; i < 8; ++i)
        ifThen(below(column + n(i), n(width)), [&] {
          Vs values = {sums[static_cast<size_t>(i)]};
          for (auto [extra, kind] : llvm::zip(extras, kinds))
            values.push_back(
                load(extra, kind == 3 ? wide(row) : extraAt(t, kind, at, row, column) + wide(i), typeOf(extra)));
          store(inlined(region, values), y, at + wide(i));
        });
    });
  }
  static Type typeOf(Value memref) { return cast<MemRefType>(memref.getType()).getElementType(); }
  /// Where the extra of columns from `column` on begins.
  V extraAt(const TileInfo &t, int64_t kind, V at, V row, V column) {
    return kind == 0 ? at : kind == 1 ? wide(t.expert) * wide(width) + wide(column) : wide(column);
  }
  Value y, shift;
  int64_t width;
  Region &region;
  SmallVector<Value> extras;
  SmallVector<int64_t> kinds;
};
} // namespace

std::unique_ptr<Epilogue> moe::makeStoreRows(OpBuilder &b, Location loc, Value y, int64_t columns, Value shift) {
  return std::make_unique<StoreRows>(b, loc, y, columns, shift);
}
std::unique_ptr<Epilogue> moe::makeStoreResult(OpBuilder &b, Location loc, Value y, int64_t columns, Value shift,
                                               Region &region, ValueRange extras, ArrayRef<int64_t> kinds) {
  return std::make_unique<StoreResult>(b, loc, y, columns, shift, region, extras, kinds);
}
