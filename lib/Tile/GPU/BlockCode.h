//===- BlockCode.h - a vocabulary for kernels whose threads work together -===//
//
// `Code` (moe/Tile/Code.h) and the ops of the tile dialect: i32 numbers, shared tiles, barriers, fragments.
//
//===----------------------------------------------------------------------===//
#ifndef MOE_TILE_GPU_BLOCKCODE_H
#define MOE_TILE_GPU_BLOCKCODE_H

#include "dialects/tile/Tile.h"
#include "moe/Tile/Code.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace mlir::moe {

class BlockCode : public Code {
public:
  using Code::Code;
  using IdKind = tile::IdKind;
  using Layout = tile::Layout;

  //===- Numbers --------------------------------------------------------------===//
  Type i32Type() { return b.getI32Type(); }
  V n(int64_t v) { return wrap(arith::ConstantIntOp::create(b, loc, b.getI32Type(), v)); }
  V id(IdKind kind) { return wrap(tile::IdOp::create(b, loc, b.getI32Type(), kind)); }
  V wide(V v) { return wrap(arith::ExtUIOp::create(b, loc, b.getI64Type(), v)); }
  V wide(int64_t v) { return wrap(arith::ConstantIntOp::create(b, loc, b.getI64Type(), v)); }
  /// A bool as 0 or 1.
  V number(V condition) { return wrap(arith::ExtUIOp::create(b, loc, b.getI32Type(), condition)); }
  V shr(V a, int64_t k) { return wrap(arith::ShRUIOp::create(b, loc, a, n(k))); }
  V shl(V a, int64_t k) { return wrap(arith::ShLIOp::create(b, loc, a, n(k))); }
  V shl(V a, V k) { return wrap(arith::ShLIOp::create(b, loc, a, k)); }
  V bitXor(V a, V k) { return wrap(arith::XOrIOp::create(b, loc, a, k)); }
  V bitOr(V a, V k) { return wrap(arith::OrIOp::create(b, loc, a, k)); }
  /// Unsigned comparison.
  V below(V a, V k) { return wrap(arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, a, k)); }
  V least(V a, V k) { return wrap(arith::MinUIOp::create(b, loc, a, k)); }
  V most(V a, V k) { return wrap(arith::MaxUIOp::create(b, loc, a, k)); }
  V larger(V a, V k) { return wrap(arith::MaxNumFOp::create(b, loc, a, k)); }
  V asFloat(V bits) { return wrap(arith::BitcastOp::create(b, loc, b.getF32Type(), bits)); }
  V asBits(V value) { return wrap(arith::BitcastOp::create(b, loc, b.getI32Type(), value)); }

  //===- Memory ---------------------------------------------------------------===//
  Value alloc(ArrayRef<int64_t> shape, Type element, bool swizzle = false) {
    return tile::AllocOp::create(b, loc, tile::SharedType::get(b.getContext(), shape, element, swizzle));
  }
  V load(Value memref, V index, Type type) {
    return wrap(tile::LoadOp::create(b, loc, type, memref, index.type().isInteger(64) ? index : wide(index)));
  }
  void store(V value, Value memref, V index) {
    tile::StoreOp::create(b, loc, value, memref, index.type().isInteger(64) ? index : wide(index));
  }
  /// Eight floats from `at` on, in loads and stores of 16 bytes.
  Vs loadEight(Value memref, V at) {
    Type type = cast<MemRefType>(memref.getType()).getElementType();
    int64_t step = std::min<int64_t>(8, 128 / type.getIntOrFloatBitWidth());
    Vs out;
    for (int64_t i = 0; i < 8; i += step) {
      V part = load(memref, at + wide(i), VectorType::get({step}, type));
      for (int64_t q = 0; q < step; ++q)
        out.push_back(element(part, q));
    }
    return out;
  }
  void storeEight(ArrayRef<V> values, Value memref, V at) {
    size_t step = cast<MemRefType>(memref.getType()).getElementType().isF32() ? 4 : 8;
    for (size_t i = 0; i < 8; i += step)
      store(vectorOf(values.slice(i, step)), memref, at + wide(static_cast<int64_t>(i)));
  }
  V read(Value shared, V index, Type type) { return wrap(tile::ReadOp::create(b, loc, type, shared, index)); }
  void write(V value, Value shared, V index) { tile::WriteOp::create(b, loc, value, shared, index); }
  /// Part `index` of a tile, in units of `unit` leading rows.
  Value view(Value tile, V index, int64_t unit, ArrayRef<int64_t> shape) {
    auto type = cast<tile::SharedType>(tile.getType());
    auto part = tile::SharedType::get(b.getContext(), shape, type.getElementType(), type.getSwizzle());
    return tile::ViewOp::create(b, loc, part, tile, index, b.getI64IntegerAttr(unit));
  }
  V element(V vector, int64_t i) { return wrap(vector::ExtractOp::create(b, loc, vector.v, i)); }
  VectorType words4() { return VectorType::get({4}, b.getI32Type()); }
  V vector4(ArrayRef<V> vs) { return vectorOf(vs); }
  V vectorOf(ArrayRef<V> vs) {
    SmallVector<Value> values(vs.begin(), vs.end());
    return wrap(vector::FromElementsOp::create(
        b, loc, VectorType::get({static_cast<int64_t>(vs.size())}, vs.front().type()), values));
  }

  //===- Threads --------------------------------------------------------------===//
  Value barriers(int64_t count, int32_t arrivals) {
    return tile::BarriersOp::create(b, loc, tile::BarriersType::get(b.getContext(), count),
                                    b.getI32IntegerAttr(arrivals));
  }
  void start(bool dependent) { tile::StartOp::create(b, loc, dependent); }
  void wait(Value barriers, V index, V parity) { tile::WaitOp::create(b, loc, barriers, index, parity); }
  void arrive(Value barriers, V index, bool warp) { tile::ArriveOp::create(b, loc, barriers, index, warp); }
  void sync(V barrier, int32_t threads) { tile::SyncOp::create(b, loc, barrier, b.getI32IntegerAttr(threads)); }
  /// The code of role `i`.
  void role(tile::RolesOp roles, unsigned i, llvm::function_ref<void()> body) {
    OpBuilder::InsertionGuard guard(b);
    b.createBlock(&roles.getBodies()[i]);
    body();
  }
  void syncWarp() { tile::SyncWarpOp::create(b, loc); }
  /// A value of another lane of the warp; all its lanes take part.
  V shuffle(tile::ShuffleKind kind, V value, V lane) {
    return wrap(tile::ShuffleOp::create(b, loc, value.type(), kind, value, lane));
  }
  /// Combines over the warp (unsigned i32), the same result in all lanes.
  V reduce(tile::ReduceKind kind, V value) { return wrap(tile::ReduceOp::create(b, loc, b.getI32Type(), kind, value)); }
  /// Combines f32 over lanes that differ in the bits of `steps` below 32, from `from` on.
  V butterfly(V value, int64_t from, int64_t to, llvm::function_ref<V(V, V)> combine) {
    for (int64_t step = from; step < to; step *= 2)
      value = combine(value, shuffle(tile::ShuffleKind::Xor, value, n(step)));
    return value;
  }

  RankedTensorType f32Fragment(ArrayRef<int64_t> shape, Layout layout) {
    return tile::fragmentType(shape, b.getF32Type(), layout);
  }
};

} // namespace mlir::moe

#endif // MOE_TILE_GPU_BLOCKCODE_H
