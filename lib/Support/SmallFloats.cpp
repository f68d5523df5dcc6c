//===- SmallFloats.cpp - code for conversions of 8- and 4-bit floats ------===//
//
//   decode   f8E4M3FN: shift into the places of f16, times 2^8     f8E5M2: the upper byte of an f16     others: by their exponent
//   encode   normal: round the kept bits, move the exponent        subnormal: add a number whose last place is the smallest code
//
// Formats: docs/Spec.md.
//
//===----------------------------------------------------------------------===//
#include "moe/Support/SmallFloats.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <cmath>
#include <optional>

using namespace mlir;
using namespace mlir::moe;

namespace {

using I = arith::CmpIPredicate;

/// A sign, exponent and mantissa format. Codes are without the sign.
struct Format {
  unsigned width, mantissa;
  int bias;
  unsigned largest; ///< largest finite code
  unsigned nan;     ///< code of NaN, with the sign bit for the formats whose negative zero it is; 0: there is none
  bool hasInfinity; ///< the code after `largest`
  bool negativeZeroIsNan;
};

std::optional<Format> formatOf(Type type) {
  if (isa<Float8E4M3FNType>(type))
    return Format{8, 3, 7, 0x7E, 0x7F, false, false};
  if (isa<Float8E5M2Type>(type))
    return Format{8, 2, 15, 0x7B, 0x7F, true, false};
  if (isa<Float8E4M3FNUZType>(type))
    return Format{8, 3, 8, 0x7F, 0x80, false, true};
  if (isa<Float8E5M2FNUZType>(type))
    return Format{8, 2, 16, 0x7F, 0x80, false, true};
  if (isa<Float4E2M1FNType>(type))
    return Format{4, 1, 1, 0x7, 0x8, false, false}; // has no NaN: one is stored as -0
  return std::nullopt;
}

/// Integer and f32 code in the shape of a scalar or vector type.
struct Bits {
  OpBuilder &b;
  Location loc;
  Type shape;

  template <typename Op, typename... Args> Value make(Args &&...args) {
    return Op::create(b, loc, std::forward<Args>(args)...);
  }
  Type of(Type element) {
    auto vector = dyn_cast<VectorType>(shape);
    return vector ? Type(vector.clone(element)) : element;
  }
  Value constant(TypedAttr element) {
    if (auto vector = dyn_cast<VectorType>(of(element.getType())))
      return make<arith::ConstantOp>(DenseElementsAttr::get(vector, Attribute(element)));
    return make<arith::ConstantOp>(element);
  }
  Value integer(unsigned width, int64_t v) { return constant(b.getIntegerAttr(b.getIntegerType(width), v)); }
  Value i32(int64_t v) { return integer(32, v); }
  Value f32(double v) { return constant(b.getF32FloatAttr(static_cast<float>(v))); }
  Value asFloat(Value v) { return make<arith::BitcastOp>(of(b.getF32Type()), v); }
  Value asBits(Value v) { return make<arith::BitcastOp>(of(b.getI32Type()), v); }
  Value land(Value x, Value y) { return make<arith::AndIOp>(x, y); }
  Value lor(Value x, Value y) { return make<arith::OrIOp>(x, y); }
  Value add(Value x, Value y) { return make<arith::AddIOp>(x, y); }
  Value sub(Value x, Value y) { return make<arith::SubIOp>(x, y); }
  Value mul(Value x, Value y) { return make<arith::MulFOp>(x, y); }
  Value shl(Value x, int64_t n) { return make<arith::ShLIOp>(x, i32(n)); }
  Value shr(Value x, int64_t n) { return make<arith::ShRUIOp>(x, i32(n)); }
  Value cmp(I p, Value x, Value y) { return make<arith::CmpIOp>(p, x, y); }
  Value isNan(Value x) { return make<arith::CmpFOp>(arith::CmpFPredicate::UNO, x, x); }
  Value select(Value c, Value x, Value y) { return make<arith::SelectOp>(c, x, y); }
  /// The code as an integer of its own width, and of another.
  Value raw(Value code) {
    return make<arith::BitcastOp>(of(b.getIntegerType(getElementTypeOrSelf(code.getType()).getIntOrFloatBitWidth())),
                                  code);
  }
  Value half(Value i16) {
    return make<arith::ExtFOp>(of(b.getF32Type()), make<arith::BitcastOp>(of(b.getF16Type()), i16));
  }
};

/// f8E8M0FNU is a biased exponent: 2^(code - 127), 255 is NaN.
Value decodeScale(Bits &s, Value code) {
  Value normal = s.asFloat(s.shl(code, 23));
  Value value = s.select(s.cmp(I::eq, code, s.i32(0)), s.asFloat(s.i32(0x00400000)), normal);
  return s.select(s.cmp(I::eq, code, s.i32(255)), s.f32(std::nan("")), value);
}

/// Rounds up to a power of two, as ONNX does unless told otherwise.
Value encodeScale(Bits &s, Value x) {
  Value bits = s.land(s.asBits(x), s.i32(0x7FFFFFFF));
  // Below 2^-127 there is one code; between it and 2^-126 the f32 is subnormal, and anything above it rounds up to 2^-126.
  Value rest = s.cmp(I::ne, s.land(bits, s.i32(0x7FFFFF)), s.i32(0));
  Value up = s.make<arith::ExtUIOp>(s.of(s.b.getI32Type()), rest);
  Value tiny = s.cmp(I::ule, bits, s.i32(0x00400000));
  Value code = s.make<arith::MinUIOp>(s.add(s.shr(bits, 23), up), s.i32(254));
  code = s.select(tiny, s.i32(0), code);
  return s.select(s.isNan(x), s.i32(255), code);
}

} // namespace

bool moe::isSmallFloat(Type type) {
  auto f = dyn_cast<FloatType>(type);
  return f && f.getWidth() <= 8;
}

Value moe::decodeE4M3Over256(OpBuilder &b, Location loc, Value value) {
  Bits s{b, loc, value.getType()};
  // seeeemmm -> s eeee mmm in the places of seeeeemm mmmmmmmm; the exponent is 8 too small.
  Value wide = s.make<arith::ExtSIOp>(s.of(b.getI16Type()), s.raw(value));
  Value placed = s.land(s.make<arith::ShLIOp>(wide, s.integer(16, 7)), s.integer(16, static_cast<int16_t>(0xBF80)));
  // All ones is NaN in both.
  Value magnitude = s.land(placed, s.integer(16, 0x7FFF));
  Value nan = s.make<arith::CmpIOp>(I::eq, magnitude, s.integer(16, 0x3F80));
  return s.half(s.select(nan, s.integer(16, 0x7E00), placed));
}

Value moe::decodeSmallFloat(OpBuilder &b, Location loc, Value value) {
  Bits s{b, loc, value.getType()};
  Type from = getElementTypeOrSelf(value.getType());
  if (isa<Float8E5M2Type>(from)) {
    Value wide = s.make<arith::ExtUIOp>(s.of(b.getI16Type()), s.raw(value));
    return s.half(s.make<arith::ShLIOp>(wide, s.integer(16, 8)));
  }
  if (isa<Float8E4M3FNType>(from))
    return s.mul(decodeE4M3Over256(b, loc, value), s.f32(256));
  Value code = s.make<arith::ExtUIOp>(s.of(b.getI32Type()), s.raw(value));
  std::optional<Format> f = formatOf(from);
  if (!f)
    return decodeScale(s, code);
  unsigned signBit = 1u << (f->width - 1);
  Value magnitude = s.land(code, s.i32(signBit - 1));
  Value normal = s.asFloat(s.add(s.shl(magnitude, 23 - f->mantissa), s.i32(static_cast<int64_t>(127 - f->bias) << 23)));
  Value tiny = s.mul(s.make<arith::UIToFPOp>(s.of(b.getF32Type()), magnitude),
                     s.f32(std::ldexp(1.0, 1 - f->bias - f->mantissa)));
  Value positive = s.select(s.cmp(I::ult, magnitude, s.i32(1u << f->mantissa)), tiny, normal);
  Value sign = s.shl(s.land(code, s.i32(signBit)), 32 - f->width);
  Value result = s.asFloat(s.lor(s.asBits(positive), sign));
  if (f->negativeZeroIsNan)
    return s.select(s.cmp(I::eq, code, s.i32(f->nan)), s.f32(std::nan("")), result);
  return result; // f4E2M1FN
}

Value moe::encodeSmallFloat(OpBuilder &b, Location loc, Value x, FloatType to, bool saturate) {
  Bits s{b, loc, x.getType()};
  Value code;
  std::optional<Format> f = formatOf(to);
  if (!f) {
    code = encodeScale(s, x);
  } else {
    unsigned drop = 23 - f->mantissa;
    Value bits = s.asBits(x), magnitude = s.land(bits, s.i32(0x7FFFFFFF));
    // Normal numbers: round the kept bits to nearest even, then move the exponent.
    Value odd = s.land(s.shr(magnitude, drop), s.i32(1));
    Value rounded = s.shr(s.add(magnitude, s.add(s.i32((1u << (drop - 1)) - 1), odd)), drop);
    Value normal = s.sub(rounded, s.i32(static_cast<int64_t>(127 - f->bias) << f->mantissa));
    // Below the smallest normal number: added to a number whose last place is the smallest code, the sum rounds as the code does.
    Value last = s.f32(std::ldexp(1.0, 1 - f->bias + static_cast<int>(drop)));
    Value sum = s.make<arith::AddFOp>(s.asFloat(magnitude), last);
    Value tiny = s.sub(s.asBits(sum), s.asBits(last));
    Value small = s.cmp(I::ult, magnitude, s.i32(static_cast<int64_t>(128 - f->bias) << 23));
    code = s.select(small, tiny, normal);
    unsigned over = saturate || f->width < 8 ? f->largest : f->hasInfinity ? f->largest + 1 : f->nan;
    code = s.select(s.cmp(I::sgt, code, s.i32(f->largest)), s.i32(over), code);
    Value sign = s.shr(s.land(bits, s.i32(int32_t(0x80000000))), 32 - f->width);
    if (f->negativeZeroIsNan)
      sign = s.select(s.cmp(I::eq, code, s.i32(0)), s.i32(0), sign);
    // What overflowed into the code of NaN keeps it whatever the sign.
    Value whole = s.lor(code, sign);
    if (f->negativeZeroIsNan)
      whole = s.select(s.cmp(I::eq, code, s.i32(f->nan)), s.i32(f->nan), whole);
    code = s.select(s.isNan(x), f->negativeZeroIsNan ? s.i32(f->nan) : s.lor(s.i32(f->nan), sign), whole);
  }
  Value narrow = s.make<arith::TruncIOp>(s.of(b.getIntegerType(to.getWidth())), code);
  return s.make<arith::BitcastOp>(s.of(to), narrow);
}
