//===- Activation.cpp - gate and up become the next product's rows --------===//
//
//   FP8       a = region(gate, up);  scale = max |a| over 128 columns / 448;  codes = e4m3(a / scale), in the layout of a product's rows
//   16 bits   a = region(gate, up), rounded
//
//===----------------------------------------------------------------------===//
#include "Products.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::tile;

namespace {
class Activation : public Epilogue {
public:
  Activation(OpBuilder &b, Location loc, Region &region, Value h, Value hScales, Value counters)
      : Epilogue(b, loc), region(region), h(h), hScales(hScales), counters(counters) {}

  void allocate() override {
    maxima = alloc({8 * 64}, b.getF32Type());
    inverse = alloc({kMaxRows}, b.getF32Type());
  }

  void finishSwapped(const TileInfo &t, ArrayRef<V> sums, int64_t count) override {
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
    sync(n(1), kConsumers);
    ifThen(below(thread, n(count)), [&] {
      V m = read(maxima, thread, b.getF32Type());
      for (int64_t w = 1; w < 8; ++w)
        m = larger(m, read(maxima, thread + n(64 * w), b.getF32Type()));
      write(f32(448) / m, inverse, thread);
      ifThen(below(thread, t.valid), [&] { store(m * f32(1.0 / 448), hScales, scaleIndex(t, thread)); });
    });
    sync(n(1), kConsumers);
    Value inverses = columnsOf(inverse, n(0), count);
    Value pairs = packPair(times(active[0], inverses), times(active[1], inverses));
    // A warp has 16 codes of each row, in natural order: column 64 g + 16 w + 2 r + s.
    StoreMatrixOp::create(b, loc, pairs, staging, group * n(64) + warp * n(16), kPitch, /*transposed=*/true);
    sync(n(1), kConsumers);
    for (int64_t pass = 0; pass < count; pass += 32) {
      V token = shr(thread, 3) + n(pass), piece = thread & n(7);
      storeCodes(t, token, piece, token * n(kPitch) + shl(piece, 4));
    }
    signal(t, counters);
  }

  void finishTall(const TileInfo &t, ArrayRef<V> sums) override {
    // Chunks of 8 columns alternate between gate and up; chunks 0 to 7 are column parity s = 0, 8 to 15 s = 1.
    auto part = f32Fragment({64, 32}, Layout::Mma);
    SmallVector<Value> active; // [half of the tile][s]
    for (V sum : sums)
      for (int32_t s = 0; s < 2; ++s) {
        Value gate = SelectColumnsOp::create(b, loc, part, sum, 8 * s, 2),
              up = SelectColumnsOp::create(b, loc, part, sum, 8 * s + 1, 2);
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
      Value pairs = packPair(times(active[static_cast<size_t>(2 * half)], inverses),
                             times(active[static_cast<size_t>(2 * half + 1)], inverses));
      StoreMatrixOp::create(b, loc, pairs, staging, warpStage() + n(64 * half), kPitch, /*transposed=*/false);
    }
    syncWarp();
    for (int64_t pass = 0; pass < 16; pass += 4) {
      V row = shr(lane, 3) + n(pass), piece = lane & n(7);
      storeCodes(t, group * n(64) + warp * n(16) + row, piece, warpStage() + row * n(kPitch) + shl(piece, 4));
    }
    signal(t, counters);
  }

private:
  Value activate(Value gate, Value up) {
    return map({gate, up}, [&](ArrayRef<V> a) { return inlined(region, a); }, cast<RankedTensorType>(gate.getType()));
  }
  Value times(Value fragment, Value vector) {
    return map(
        {fragment, vector}, [](ArrayRef<V> a) { return a[0] * a[1]; }, cast<RankedTensorType>(fragment.getType()));
  }
  Value packPair(Value even, Value odd) {
    auto type = cast<RankedTensorType>(even.getType());
    return PackOp::create(b, loc, type.clone(b.getI16Type()), even, odd,
                          TypeAttr::get(Float8E4M3FNType::get(b.getContext())));
  }
  /// Copies a staged row piece of 16 bytes to h.
  void storeCodes(const TileInfo &t, V token, V piece, V staged) {
    ifThen(below(token, t.valid), [&] {
      V row = t.row0 + token;
      V place = (wide(t.block) * rowsOf() + wide(row)) * wide(128) + wide(shl(bitXor(piece, token & n(7)), 4));
      store(read(staging, staged, words4()), h, place);
    });
  }
  V scaleIndex(const TileInfo &t, V token) { return wide(t.block) * rowsOf() + wide(t.row0 + token); }

  Region &region;
  Value h, hScales, counters;
  Value maxima, inverse;
};

/// In a format of 16 bits a tile's 128 columns of I are two planes of h, one a warpgroup or half of the tile. Gate and up alternate every 8 weight
/// rows, so what a thread holds of both is a column's.
class RoundedActivation : public Epilogue {
public:
  RoundedActivation(OpBuilder &b, Location loc, Region &region, Value h, Value counters)
      : Epilogue(b, loc), region(region), h(h), counters(counters) {}

  void finishSwapped(const TileInfo &t, ArrayRef<V> sums, int64_t count) override {
    auto half = f32Fragment({32, count}, Layout::Half);
    V place = group * n(64 * kPitch), within = thread & n(127), barrier = group + n(2);
    sync(barrier, 128);
    for (auto [s, sum] : llvm::enumerate(sums)) {
      Value gate = SelectRowsOp::create(b, loc, half, sum, 0), up = SelectRowsOp::create(b, loc, half, sum, 1);
      stage(gate, up, place + warp * n(16) + n(64 * static_cast<int64_t>(s)), /*transposed=*/true);
    }
    sync(barrier, 128);
    for (int64_t pass = 0; pass < count; pass += 16) {
      V token = shr(within, 3) + n(pass), piece = within & n(7);
      storePiece(t, group, token, piece, place + token * n(kPitch) + shl(piece, 4));
    }
    signal(t, counters);
  }

  void finishTall(const TileInfo &t, ArrayRef<V> sums) override {
    auto part = f32Fragment({64, 32}, Layout::Mma);
    sync(group + n(2), 128); // a tile before with fewer rows is staged across the warps
    for (auto [i, sum] : llvm::enumerate(sums)) {
      syncWarp();
      for (int32_t s = 0; s < 2; ++s) {
        Value gate = SelectColumnsOp::create(b, loc, part, sum, 8 * s, 2),
              up = SelectColumnsOp::create(b, loc, part, sum, 8 * s + 1, 2);
        stage(gate, up, warpStage() + n(64 * s), /*transposed=*/false);
      }
      syncWarp();
      for (int64_t pass = 0; pass < 16; pass += 4) {
        V row = shr(lane, 3) + n(pass), piece = lane & n(7);
        storePiece(t, n(static_cast<int64_t>(i)), group * n(64) + warp * n(16) + row, piece,
                   warpStage() + row * n(kPitch) + shl(piece, 4));
      }
    }
    signal(t, counters);
  }

private:
  void stage(Value gate, Value up, V place, bool transposed) {
    Value active =
        map({gate, up}, [&](ArrayRef<V> a) { return inlined(region, a); }, cast<RankedTensorType>(gate.getType()));
    StoreMatrixOp::create(b, loc, rounded(active, cast<MemRefType>(h.getType()).getElementType()), staging, place,
                          kPitch, transposed);
  }
  /// Copies a staged row piece of 16 bytes to h.
  void storePiece(const TileInfo &t, V half, V token, V piece, V staged) {
    V plane = t.block * n(2) + half, inside = below(token, t.valid); // less than the rows that are staged
    int64_t planes = cast<MemRefType>(h.getType()).getDimSize(0);
    if (planes % 2)
      inside = inside & below(plane, n(planes));
    ifThen(inside, [&] {
      V place = (wide(plane) * rowsOf() + wide(t.row0 + token)) * wide(64) + wide(shl(bitXor(piece, token & n(7)), 3));
      store(read(staging, staged, words4()), h, place);
    });
  }

  Region &region;
  Value h, counters;
};
} // namespace

std::unique_ptr<Epilogue> moe::makeActivation(OpBuilder &b, Location loc, Region &region, Value h, Value hScales,
                                              Value counters) {
  return std::make_unique<Activation>(b, loc, region, h, hScales, counters);
}
std::unique_ptr<Epilogue> moe::makeRoundedActivation(OpBuilder &b, Location loc, Region &region, Value h,
                                                     Value counters) {
  return std::make_unique<RoundedActivation>(b, loc, region, h, counters);
}
