//===- ConvertOnnxFloat8.cpp - float8 and float4 conversions as integer code ----===//
// No target has instructions for these formats, and arith.truncf to them has no lowering: their codes are integers, and the
// conversions from and to f32 are spelled out here, once. Formats: docs/Spec.md.
//===----------------------------------------------------------------------===//
#include "ConvertOnnx.h"

#include <cmath>

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::convert;

namespace {

using I = arith::CmpIPredicate;

/// A sign, exponent and mantissa format. Codes are without the sign.
struct Format {
  unsigned width, mantissa;
  int bias;
  unsigned largest;    // largest finite code
  unsigned nan;        // code of NaN, with the sign bit for the formats whose negative zero it is
  bool hasInfinity;    // the code after `largest`
  bool negativeZeroIsNan;
};

std::optional<Format> formatOf(FloatType type) {
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

struct Bits : Scalars {
  Value i32(int64_t v) { return integer(b.getI32Type(), v); }
  Value f32(double v) { return constant(b.getF32Type(), v); }
  Value asFloat(Value v) { return make<arith::BitcastOp>(b.getF32Type(), v); }
  Value asBits(Value v) { return make<arith::BitcastOp>(b.getI32Type(), v); }
  Value land(Value x, Value y) { return make<arith::AndIOp>(x, y); }
  Value lor(Value x, Value y) { return make<arith::OrIOp>(x, y); }
  Value shl(Value x, int64_t n) { return make<arith::ShLIOp>(x, i32(n)); }
  Value shr(Value x, int64_t n) { return make<arith::ShRUIOp>(x, i32(n)); }
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
  Value up = s.make<arith::ExtUIOp>(s.b.getI32Type(), s.cmp(I::ne, s.land(bits, s.i32(0x7FFFFF)), s.i32(0)));
  Value code = s.min(s.add(s.shr(bits, 23), up), s.i32(254));
  return s.select(s.cmp(arith::CmpFPredicate::UNO, x, x), s.i32(255), code);
}

} // namespace

Value convert::decodeSmallFloat(Scalars &scalars, Value value, FloatType from) {
  Bits s{scalars};
  Value code = s.make<arith::BitcastOp>(s.b.getIntegerType(from.getWidth()), value);
  code = s.make<arith::ExtUIOp>(s.b.getI32Type(), code);
  std::optional<Format> f = formatOf(from);
  if (!f)
    return decodeScale(s, code);
  unsigned signBit = 1u << (f->width - 1);
  Value magnitude = s.land(code, s.i32(signBit - 1));
  Value normal = s.asFloat(s.add(s.shl(magnitude, 23 - f->mantissa), s.i32(static_cast<int64_t>(127 - f->bias) << 23)));
  Value tiny = s.mul(s.make<arith::UIToFPOp>(s.b.getF32Type(), magnitude), s.f32(std::ldexp(1.0, 1 - f->bias - f->mantissa)));
  Value positive = s.select(s.cmp(I::ult, magnitude, s.i32(1u << f->mantissa)), tiny, normal);
  Value sign = s.shl(s.land(code, s.i32(signBit)), 32 - f->width);
  Value result = s.asFloat(s.lor(s.asBits(positive), sign));
  if (f->hasInfinity) {
    Value infinity = s.asFloat(s.lor(s.i32(0x7F800000), sign));
    result = s.select(s.cmp(I::eq, magnitude, s.i32(f->largest + 1)), infinity, result);
    return s.select(s.cmp(I::ugt, magnitude, s.i32(f->largest + 1)), s.f32(std::nan("")), result);
  }
  if (f->negativeZeroIsNan)
    return s.select(s.cmp(I::eq, code, s.i32(f->nan)), s.f32(std::nan("")), result);
  if (f->nan)
    return s.select(s.cmp(I::eq, magnitude, s.i32(f->nan)), s.f32(std::nan("")), result);
  return result;
}

Value convert::encodeSmallFloat(Scalars &scalars, Value x, FloatType to, bool saturate) {
  Bits s{scalars};
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
    // Below the smallest normal number the code is a multiple of the smallest one.
    Value small = s.cmp(I::ult, magnitude, s.i32(static_cast<int64_t>(128 - f->bias) << 23));
    Value a = s.asFloat(s.select(small, magnitude, s.i32(0)));
    Value multiple = s.make<math::RoundEvenOp>(s.mul(a, s.f32(std::ldexp(1.0, f->bias - 1 + f->mantissa))));
    Value tiny = s.make<arith::FPToSIOp>(s.b.getI32Type(), multiple);
    code = s.select(small, tiny, normal);
    unsigned over = saturate || f->width < 8 ? f->largest : f->hasInfinity ? f->largest + 1 : f->nan;
    Value tooLarge = s.cmp(I::sgt, code, s.i32(f->largest));
    code = s.select(tooLarge, s.i32(over), code);
    Value sign = s.shr(s.land(bits, s.i32(int64_t(0x80000000))), 32 - f->width);
    if (f->negativeZeroIsNan)
      sign = s.select(s.cmp(I::eq, code, s.i32(0)), s.i32(0), sign);
    code = s.lor(code, sign);
    if (f->nan) {
      Value isNan = s.cmp(arith::CmpFPredicate::UNO, x, x);
      code = s.select(isNan, f->negativeZeroIsNan ? s.i32(f->nan) : s.lor(s.i32(f->nan), sign), code);
    }
  }
  Value narrow = s.make<arith::TruncIOp>(s.b.getIntegerType(to.getWidth()), code);
  return s.make<arith::BitcastOp>(to, narrow);
}
