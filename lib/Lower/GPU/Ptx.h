//===- Ptx.h - a small vocabulary for Hopper instructions -----------------===//
//
// Instructions that the nvvm dialect has no faithful op for are inline assembly; addresses of shared memory are 32-bit.
//
//===----------------------------------------------------------------------===//
#ifndef MOE_LOWER_GPU_PTX_H
#define MOE_LOWER_GPU_PTX_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/Builders.h"

namespace mlir::moe {

struct Ptx {
  OpBuilder &b;
  Location loc;

  Type i16() { return b.getI16Type(); }
  Type i32() { return b.getI32Type(); }
  Type i64() { return b.getI64Type(); }
  Type f32() { return b.getF32Type(); }
  Type shared() { return LLVM::LLVMPointerType::get(b.getContext(), 3); }
  Type global() { return LLVM::LLVMPointerType::get(b.getContext(), 1); }

  Value i32(int64_t v) { return arith::ConstantIntOp::create(b, loc, i32(), v); }
  Value i64(int64_t v) { return arith::ConstantIntOp::create(b, loc, i64(), v); }
  Value f32(double v) { return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(static_cast<float>(v))); }

  Value add(Value x, Value y) { return b.createOrFold<arith::AddIOp>(loc, x, y); }
  Value add(Value x, int64_t y) { return y ? add(x, constant(x, y)) : x; }
  Value mul(Value x, int64_t y) { return y == 1 ? x : b.createOrFold<arith::MulIOp>(loc, x, constant(x, y)); }
  Value shl(Value x, int64_t n) { return b.createOrFold<arith::ShLIOp>(loc, x, constant(x, n)); }
  Value shr(Value x, int64_t n) { return b.createOrFold<arith::ShRUIOp>(loc, x, constant(x, n)); }
  Value bitAnd(Value x, int64_t m) { return b.createOrFold<arith::AndIOp>(loc, x, constant(x, m)); }
  Value bitOr(Value x, Value y) { return b.createOrFold<arith::OrIOp>(loc, x, y); }
  Value bitXor(Value x, Value y) { return b.createOrFold<arith::XOrIOp>(loc, x, y); }
  Value wide(Value x) { return arith::ExtUIOp::create(b, loc, i64(), x); }
  Value constant(Value like, int64_t v) { return arith::ConstantIntOp::create(b, loc, like.getType(), v); }
  Value equal(Value x, Value y) { return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, x, y); }
  Value less(Value x, Value y) { return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, x, y); }

  /// pointer + bytes
  Value at(Value pointer, Value bytes) {
    return LLVM::GEPOp::create(b, loc, pointer.getType(), b.getI8Type(), pointer, ArrayRef<LLVM::GEPArg>{bytes});
  }
  Value at(Value pointer, int64_t bytes) {
    return bytes ? LLVM::GEPOp::create(b, loc, pointer.getType(), b.getI8Type(), pointer,
                                       ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(bytes)})
                 : pointer;
  }
  /// The 32-bit address of a pointer to shared memory.
  Value address(Value pointer) { return LLVM::PtrToIntOp::create(b, loc, i32(), pointer); }

  /// Inline assembly. `result` may be null. Constraints of the operands follow from their types; `memory`: reads or writes memory.
  Value assembly(StringRef text, ValueRange operands, Type result = {}, bool memory = true) {
    std::string constraints;
    auto letter = [](Type t) {
      return t.isF32() ? "f" : isa<LLVM::LLVMPointerType>(t) || t.isInteger(64) ? "l" : t.isInteger(16) ? "h" : "r";
    };
    auto append = [&](const Twine &c) { constraints += (constraints.empty() ? "" : ",") + c.str(); };
    if (result)
      append(Twine("=") + letter(result));
    for (Value v : operands)
      append(letter(v.getType()));
    if (memory)
      append("~{memory}");
    auto op =
        LLVM::InlineAsmOp::create(b, loc, result ? TypeRange(result) : TypeRange(), operands, text, constraints, memory,
                                  false, LLVM::tailcallkind::TailCallKind::None,
                                  LLVM::AsmDialectAttr::get(b.getContext(), LLVM::AsmDialect::AD_ATT), ArrayAttr());
    return result ? op->getResult(0) : Value();
  }
  /// Assembly that redefines f32 values in place: whatever uses them comes after it.
  SmallVector<Value> tied(StringRef text, ValueRange values) {
    std::string constraints;
    for (size_t i = 0; i < values.size(); ++i)
      constraints += "=f,";
    for (size_t i = 0; i < values.size(); ++i)
      constraints += std::to_string(i) + (i + 1 < values.size() ? "," : "");
    Type type = structOf(values.size());
    auto op = LLVM::InlineAsmOp::create(
        b, loc, TypeRange(type), values, text, constraints, true, false, LLVM::tailcallkind::TailCallKind::None,
        LLVM::AsmDialectAttr::get(b.getContext(), LLVM::AsmDialect::AD_ATT), ArrayAttr());
    return unpack(op->getResult(0), values.size());
  }

  Type structOf(size_t n) { return LLVM::LLVMStructType::getLiteral(b.getContext(), SmallVector<Type>(n, f32())); }
  SmallVector<Value> unpack(Value aggregate, size_t n) {
    SmallVector<Value> out;
    for (size_t i = 0; i < n; ++i)
      out.push_back(LLVM::ExtractValueOp::create(b, loc, f32(), aggregate, ArrayRef<int64_t>{static_cast<int64_t>(i)}));
    return out;
  }
  Value pack(ValueRange values) {
    Value aggregate = LLVM::PoisonOp::create(b, loc, structOf(values.size()));
    for (auto [i, v] : llvm::enumerate(values))
      aggregate = LLVM::InsertValueOp::create(b, loc, aggregate, v, ArrayRef<int64_t>{static_cast<int64_t>(i)});
    return aggregate;
  }

  Value thread() { return NVVM::ThreadIdXOp::create(b, loc, i32()); }
  Value lane() { return bitAnd(thread(), 31); }
  /// Equal in all threads of a warp, and known to be so.
  Value uniform(Value v) { return shuffle(v, i32(0), NVVM::ShflKind::idx); }
  Value shuffle(Value v, Value lane, NVVM::ShflKind kind) {
    return NVVM::ShflOp::create(b, loc, v.getType(), i32(-1), v, lane, i32(31), kind, UnitAttr());
  }
  Value warp() { return uniform(shr(thread(), 5)); }

  /// This thread's warp in its warpgroup, without a shuffle: also where not all threads of the warp are.
  Value warpInGroup() { return bitAnd(shr(thread(), 5), 3); }

  void fenceAsync() { assembly("fence.proxy.async;", {}); }
  // Barriers are nvvm ops: the compiler knows that they are convergent and must not be duplicated into branches.
  void syncWarp() { NVVM::SyncWarpOp::create(b, loc, i32(-1)); }
  void syncThreads(Value id, int64_t threads) {
    NVVM::BarrierOp::create(b, loc, TypeRange(), id, i32(threads), NVVM::BarrierReductionAttr(), Value());
  }
  void syncBlock(int64_t id, int64_t threads) { syncThreads(i32(id), threads); }
  /// Two f32 as two 16-bit floats of one register, `lo` in the low half.
  Value packBf16(Value lo, Value hi) { return assembly("cvt.rn.bf16x2.f32 $0, $2, $1;", {lo, hi}, i32(), false); }
  Value packF16(Value lo, Value hi) { return assembly("cvt.rn.f16x2.f32 $0, $2, $1;", {lo, hi}, i32(), false); }
};

} // namespace mlir::moe

#endif // MOE_LOWER_GPU_PTX_H
