//===- Lines.h - rows of elements, 16 at a time ---------------------------===//
#ifndef MOE_LIB_TILE_CPU_LINES_H
#define MOE_LIB_TILE_CPU_LINES_H

#include "Microkernels.h"
#include "moe/Tile/Code.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace mlir::moe {

/// Scalar operations that one item of a vector kernel should stand for.
constexpr int64_t kVectorGrain = 131072;

/// Vectors along the last dimension.
struct Lines {
  Code &c;
  OpBuilder &b = c.b;
  VectorType f32 = VectorType::get({kPanel}, c.b.getF32Type());
  VectorType lanes = VectorType::get({kPanel}, c.b.getI1Type());

  /// 16 elements from (at..., h), as f32; lanes outside `mask` (where there is one) are 0.
  V load(Value memref, ArrayRef<Value> at, V h, V mask) {
    auto type = VectorType::get({kPanel}, cast<MemRefType>(memref.getType()).getElementType());
    SmallVector<Value> indices(at);
    indices.push_back(h);
    Value v;
    if (mask.v)
      v = vector::MaskedLoadOp::create(b, c.loc, type, memref, indices, mask,
                                       arith::ConstantOp::create(b, c.loc, b.getZeroAttr(type)));
    else
      v = vector::LoadOp::create(b, c.loc, type, memref, indices);
    return c.wrap(type.getElementType().isF32() ? v : Value(arith::ExtFOp::create(b, c.loc, f32, v)));
  }
  void store(V v, Value memref, ArrayRef<Value> at, V h, V mask) {
    Type element = cast<MemRefType>(memref.getType()).getElementType();
    Value value = v;
    if (!element.isF32())
      value = arith::TruncFOp::create(b, c.loc, VectorType::get({kPanel}, element), value);
    SmallVector<Value> indices(at);
    indices.push_back(h);
    if (mask.v)
      vector::MaskedStoreOp::create(b, c.loc, memref, indices, mask, value);
    else
      vector::StoreOp::create(b, c.loc, value, memref, indices);
  }
  V splat(V scalar) { return c.wrap(vector::BroadcastOp::create(b, c.loc, f32, c.toFloat(scalar, b.getF32Type()))); }
  V constant(double v) { return c.constant(f32, v); }

  /// Calls body(h, mask, carried) for h = lo, lo + 16, ... below hi; the mask is null for whole vectors.
  Vs sweep(V lo, V hi, ArrayRef<V> init, llvm::function_ref<Vs(V, V, ArrayRef<V>)> body) {
    V width = c.index(kPanel), whole = lo + (hi - lo) / width * width;
    SmallVector<Value> values(init.begin(), init.end());
    auto loop = scf::ForOp::create(b, c.loc, lo, whole, width, values);
    {
      OpBuilder::InsertionGuard guard(b);
      Block *block = loop.getBody();
      init.empty() ? b.setInsertionPoint(block->getTerminator()) : b.setInsertionPointToEnd(block);
      Vs carried;
      for (Value v : loop.getRegionIterArgs())
        carried.push_back(c.wrap(v));
      Vs next = body(c.wrap(loop.getInductionVar()), V(), carried);
      if (!init.empty())
        scf::YieldOp::create(b, c.loc, SmallVector<Value>(next.begin(), next.end()));
    }
    Vs results;
    for (Value v : loop.getResults())
      results.push_back(c.wrap(v));
    auto constant = getConstantIntValue(OpFoldResult((hi - whole).v));
    if (constant && *constant == 0)
      return results;
    auto rest = [&]() -> Vs {
      V mask = c.wrap(vector::CreateMaskOp::create(b, c.loc, lanes, ValueRange{hi - whole}));
      return body(whole, mask, results);
    };
    if (init.empty()) {
      c.ifThen(whole < hi, [&] { rest(); });
      return {};
    }
    return c.ifElse(whole < hi, rest, [&]() -> Vs { return results; });
  }
  void sweep(V lo, V hi, llvm::function_ref<void(V, V)> body) {
    sweep(lo, hi, {}, [&](V h, V mask, ArrayRef<V>) -> Vs {
      body(h, mask);
      return {};
    });
  }
};

} // namespace mlir::moe

#endif // MOE_LIB_TILE_CPU_LINES_H
