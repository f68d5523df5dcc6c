//===- Code.h - a small vocabulary for writing loops over buffers ---------===//
//
// The plain loop forms of lib/Tile/Loops*.cpp read like the formulas they implement: `V` is an SSA value that knows its
// builder, so that `a * b + c` makes arith ops, and `Code` makes loops, conditions, loads and stores.
//
//===----------------------------------------------------------------------===//
#ifndef MOE_TILE_CODE_H
#define MOE_TILE_CODE_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace mlir::moe {

class Code;

/// A value and the place where code that uses it goes. Floats are computed with contraction allowed (fused multiply-add),
/// integers wrap and compare signed.
struct V {
  Value v;
  Code *code = nullptr;
  operator Value() const { return v; }
  Type type() const { return v.getType(); }
  bool isFloat() const { return isa<FloatType>(getElementTypeOrSelf(type())); }
};
using Vs = SmallVector<V>;

class Code {
public:
  OpBuilder &b;
  Location loc;
  Code(OpBuilder &b, Location loc) : b(b), loc(loc) {}

  V wrap(Value v) { return {v, this}; }
  V index(int64_t i) { return wrap(arith::ConstantIndexOp::create(b, loc, i)); }
  /// A number of any scalar type, or a vector of equal ones.
  V constant(Type type, double value) {
    Type element = getElementTypeOrSelf(type);
    if (isa<FloatType>(element))
      return constant(type, b.getFloatAttr(element, value));
    return constant(type, b.getIntegerAttr(element, static_cast<int64_t>(value)));
  }
  V constant(Type type, TypedAttr element) {
    if (auto vector = dyn_cast<VectorType>(type))
      element = DenseElementsAttr::get(vector, Attribute(element));
    return wrap(arith::ConstantOp::create(b, loc, element));
  }
  V f32(double value) { return constant(b.getF32Type(), value); }
  V infinity(Type type, bool negative) {
    auto f = cast<FloatType>(getElementTypeOrSelf(type));
    return constant(type, b.getFloatAttr(f, llvm::APFloat::getInf(f.getFloatSemantics(), negative)));
  }
  V boolean(bool value) { return wrap(arith::ConstantOp::create(b, loc, b.getBoolAttr(value))); }

  //===- Buffers ------------------------------------------------------------===//
  V dim(Value memref, int64_t i) {
    auto type = cast<MemRefType>(memref.getType());
    return type.isDynamicDim(i) ? wrap(memref::DimOp::create(b, loc, memref, i)) : index(type.getDimSize(i));
  }
  /// Product of the sizes of dims [from, to).
  V size(Value memref, int64_t from, int64_t to);
  V load(Value memref, ValueRange indices) { return wrap(memref::LoadOp::create(b, loc, memref, indices)); }
  V load(Value memref, std::initializer_list<V> indices) { return load(memref, values(indices)); }
  void store(V value, Value memref, ValueRange indices) { memref::StoreOp::create(b, loc, value, memref, indices); }
  void store(V value, Value memref, std::initializer_list<V> indices) { store(value, memref, values(indices)); }
  /// Loads a float of any width as f32 (f64 stays f64).
  V loadWide(Value memref, ValueRange indices) { return widen(load(memref, indices)); }
  V loadWide(Value memref, std::initializer_list<V> indices) { return widen(load(memref, indices)); }
  /// Stores a float in the buffer's element type.
  void storeNarrow(V value, Value memref, ValueRange indices) {
    store(toFloat(value, cast<MemRefType>(memref.getType()).getElementType()), memref, indices);
  }
  void storeNarrow(V value, Value memref, std::initializer_list<V> indices) {
    storeNarrow(value, memref, values(indices));
  }
  /// A scratch buffer of static size in the entry block of the function.
  V scratch(ArrayRef<int64_t> shape, Type element);
  /// The indices of element `linear` of an array of the sizes `dims` in row-major order.
  Vs delinearize(V linear, ArrayRef<V> dims);

  //===- Numbers ------------------------------------------------------------===//
  V widen(V value) {
    auto f = dyn_cast<FloatType>(value.type());
    return f && f.getWidth() < 32 ? wrap(arith::ExtFOp::create(b, loc, b.getF32Type(), value.v)) : value;
  }
  V toFloat(V value, Type type);
  V toIndex(V value) {
    return value.type().isIndex() ? value : wrap(arith::IndexCastOp::create(b, loc, b.getIndexType(), value));
  }
  V fromIndex(V value, Type type) {
    return value.type() == type ? value : wrap(arith::IndexCastOp::create(b, loc, type, value));
  }
  V select(V condition, V a, V c) { return wrap(arith::SelectOp::create(b, loc, condition, a, c)); }
  V min(V a, V c);
  V max(V a, V c);
  V ceilDiv(V a, V c) { return wrap(b.createOrFold<arith::CeilDivSIOp>(loc, a, c)); }
  V exp(V a) { return wrap(math::ExpOp::create(b, loc, a)); }
  V sqrt(V a) { return wrap(math::SqrtOp::create(b, loc, a)); }
  V tanh(V a) { return wrap(math::TanhOp::create(b, loc, a)); }
  V abs(V a) { return wrap(math::AbsFOp::create(b, loc, a)); }
  V pow(V a, V c) { return wrap(math::PowFOp::create(b, loc, a, c)); }
  V sigmoid(V a);
  V isNan(V a) { return wrap(arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, a, a)); }
  /// a + c where the order of a sum is free: reductions that LLVM may vectorise.
  V addAnyOrder(V a, V c) {
    return wrap(arith::AddFOp::create(
        b, loc, a, c, arith::FastMathFlags::contract | arith::FastMathFlags::reassoc | arith::FastMathFlags::nsz));
  }

  //===- Control ------------------------------------------------------------===//
  void loop(V lo, V hi, llvm::function_ref<void(V)> body) {
    loop(lo, hi, {}, [&](V i, ArrayRef<V>) -> Vs {
      body(i);
      return {};
    });
  }
  /// Loops i over [lo, hi) in steps of one; `body` gets the carried values and returns the next ones.
  Vs loop(V lo, V hi, ArrayRef<V> init, llvm::function_ref<Vs(V, ArrayRef<V>)> body);
  /// Where `ok` does not hold the kernel goes on and returns the code of `message` in the end.
  void check(V ok, StringRef message);
  void ifThen(V condition, llvm::function_ref<void()> body);
  Vs ifElse(V condition, llvm::function_ref<Vs()> then, llvm::function_ref<Vs()> otherwise);
  /// Loops while `condition` holds for the carried values.
  Vs loopWhile(ArrayRef<V> init, llvm::function_ref<V(ArrayRef<V>)> condition,
               llvm::function_ref<Vs(ArrayRef<V>)> body);

private:
  static SmallVector<Value> values(ArrayRef<V> vs) { return SmallVector<Value>(vs.begin(), vs.end()); }
};

constexpr arith::FastMathFlags kContract = arith::FastMathFlags::contract;

inline V operator+(V a, V c) {
  Code &k = *a.code;
  return k.wrap(a.isFloat() ? Value(arith::AddFOp::create(k.b, k.loc, a, c, kContract))
                            : k.b.createOrFold<arith::AddIOp>(k.loc, a, c));
}
inline V operator-(V a, V c) {
  Code &k = *a.code;
  return k.wrap(a.isFloat() ? Value(arith::SubFOp::create(k.b, k.loc, a, c, kContract))
                            : k.b.createOrFold<arith::SubIOp>(k.loc, a, c));
}
inline V operator*(V a, V c) {
  Code &k = *a.code;
  return k.wrap(a.isFloat() ? Value(arith::MulFOp::create(k.b, k.loc, a, c, kContract))
                            : k.b.createOrFold<arith::MulIOp>(k.loc, a, c));
}
/// Integers divide as non-negative numbers.
inline V operator/(V a, V c) {
  Code &k = *a.code;
  return k.wrap(a.isFloat() ? Value(arith::DivFOp::create(k.b, k.loc, a, c))
                            : k.b.createOrFold<arith::DivUIOp>(k.loc, a, c));
}
inline V operator%(V a, V c) { return a.code->wrap(a.code->b.createOrFold<arith::RemUIOp>(a.code->loc, a, c)); }
inline V compare(V a, V c, arith::CmpFPredicate f, arith::CmpIPredicate i) {
  Code &k = *a.code;
  if (a.type().isInteger(1)) // false is less than true
    i = i == arith::CmpIPredicate::slt   ? arith::CmpIPredicate::ult
        : i == arith::CmpIPredicate::sgt ? arith::CmpIPredicate::ugt
        : i == arith::CmpIPredicate::sle ? arith::CmpIPredicate::ule
        : i == arith::CmpIPredicate::sge ? arith::CmpIPredicate::uge
                                         : i;
  return k.wrap(a.isFloat() ? Value(arith::CmpFOp::create(k.b, k.loc, f, a, c))
                            : Value(arith::CmpIOp::create(k.b, k.loc, i, a, c)));
}
inline V operator<(V a, V c) { return compare(a, c, arith::CmpFPredicate::OLT, arith::CmpIPredicate::slt); }
inline V operator>(V a, V c) { return compare(a, c, arith::CmpFPredicate::OGT, arith::CmpIPredicate::sgt); }
inline V operator<=(V a, V c) { return compare(a, c, arith::CmpFPredicate::OLE, arith::CmpIPredicate::sle); }
inline V operator>=(V a, V c) { return compare(a, c, arith::CmpFPredicate::OGE, arith::CmpIPredicate::sge); }
inline V operator==(V a, V c) { return compare(a, c, arith::CmpFPredicate::OEQ, arith::CmpIPredicate::eq); }
inline V operator!=(V a, V c) { return compare(a, c, arith::CmpFPredicate::UNE, arith::CmpIPredicate::ne); }
inline V operator&(V a, V c) { return a.code->wrap(arith::AndIOp::create(a.code->b, a.code->loc, a, c)); }
inline V operator|(V a, V c) { return a.code->wrap(arith::OrIOp::create(a.code->b, a.code->loc, a, c)); }

/// Rows that cost about `cost` scalar operations each, cut into items of about `grain` operations. The host program
/// (`count`) and the kernel (`first`, `last`) compute the same split.
struct RowSplit {
  V rows, perItem;
  RowSplit(Code &c, V rows, V cost, int64_t grain);
  V count() const { return rows.code->ceilDiv(rows, perItem); }
  V first(V begin) const { return begin * perItem; }
  V last(V end) const { return rows.code->min(rows, end * perItem); }
};

} // namespace mlir::moe

#endif // MOE_TILE_CODE_H
