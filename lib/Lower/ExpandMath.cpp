//===- ExpandMath.cpp - math functions as polynomials ---------------------===//
//
// Compiled code imports nothing, so every function of the math dialect that processors lack is computed here, on scalars
// and vectors alike. Series are Taylor's unless said, so their error is the first term left out.
//
//   %y = math.exp %x : vector<16xf32>
//     ->   n = round(x / ln 2),  r = x - n ln 2,  y = 2^n (1 + r + r^2/2 + ...)
//
//===----------------------------------------------------------------------===//
#include "moe/Lower/Passes.h"
#include "moe/Tile/Code.h"

#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

namespace mlir::moe {
#define GEN_PASS_DEF_EXPANDMATH
#include "moe/Lower/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
/// Functions on values of one float type, scalar or vector.
struct MathCode {
  Code &c;
  Type type; ///< of the values: f32 or f64, or a vector of them

  Type withElement(Type element) {
    if (auto vector = dyn_cast<VectorType>(type))
      return vector.clone(element);
    return element;
  }
  Type integers() { return withElement(c.b.getIntegerType(isDouble() ? 64 : 32)); }
  bool isDouble() { return getElementTypeOrSelf(type).isF64(); }

  V k(double value) { return c.constant(type, value); }
  V i(int64_t value) { return c.constant(integers(), c.b.getIntegerAttr(getElementTypeOrSelf(integers()), value)); }
  V inf() { return c.infinity(type, false); }
  V nan() { return k(std::nan("")); }
  V fma(V a, V b, V d) { return c.wrap(math::FmaOp::create(c.b, c.loc, a, b, d)); }
  V neg(V a) { return c.wrap(arith::NegFOp::create(c.b, c.loc, a)); }
  V abs(V a) { return c.abs(a); }
  V sqrt(V a) { return c.sqrt(a); }
  V round(V a) { return c.wrap(math::RoundEvenOp::create(c.b, c.loc, a)); }
  V trunc(V a) { return c.wrap(math::TruncOp::create(c.b, c.loc, a)); }
  V copySign(V a, V sign) { return c.wrap(math::CopySignOp::create(c.b, c.loc, a, sign)); }
  V select(V condition, V a, V b) { return c.select(condition, a, b); }
  V toInt(V a) { return c.wrap(arith::FPToSIOp::create(c.b, c.loc, integers(), a.v)); }
  V toFloat(V a) { return c.wrap(arith::SIToFPOp::create(c.b, c.loc, type, a.v)); }
  V bits(V a) { return c.wrap(arith::BitcastOp::create(c.b, c.loc, integers(), a.v)); }
  V fromBits(V a) { return c.wrap(arith::BitcastOp::create(c.b, c.loc, type, a.v)); }
  V shl(V a, int64_t n) { return c.wrap(arith::ShLIOp::create(c.b, c.loc, a, i(n))); }
  V shr(V a, int64_t n) { return c.wrap(arith::ShRSIOp::create(c.b, c.loc, a, i(n))); }
  V clamp(V a, double lo, double hi) { return c.max(c.min(a, k(hi)), k(lo)); }

  /// sum of coefficients[n] * x^n
  V polynomial(V x, ArrayRef<double> coefficients) {
    V sum = k(coefficients.back());
    for (double a : llvm::reverse(coefficients.drop_back()))
      sum = fma(sum, x, k(a));
    return sum;
  }

  /// a * 2^n for |n| up to twice the exponent range: in two factors, so that subnormal results are rounded once.
  V scale(V a, V n) {
    int64_t bias = isDouble() ? 1023 : 127, mantissa = isDouble() ? 52 : 23;
    V half = shr(n, 1), rest = n - half;
    V factor = fromBits(shl(half + i(bias), mantissa)), other = fromBits(shl(rest + i(bias), mantissa));
    return c.wrap(arith::MulFOp::create(c.b, c.loc, arith::MulFOp::create(c.b, c.loc, a, factor), other));
  }

  /// (e^r - 1) / r on |r| <= ln 2 / 2.
  V expSeries(V r) {
    SmallVector<double> terms;
    double factorial = 1;
    for (int n = 1; n <= (isDouble() ? 14 : 7); ++n)
      terms.push_back(1 / (factorial *= n));
    return polynomial(r, terms);
  }

  V exp(V x) {
    double most = isDouble() ? 710 : 89, least = isDouble() ? -746 : -104;
    V y = clamp(x, least, most);
    V n = round(y * k(1.4426950408889634));
    // ln 2 in two parts, the first short enough that n times it is exact.
    V r = isDouble() ? fma(n, k(-1.90821492927058770002e-10), fma(n, k(-6.93147180369123816490e-01), y))
                     : fma(n, k(-1.42860677e-06), fma(n, k(-0.693145751953125), y));
    return scale(fma(expSeries(r), r, k(1)), toInt(n));
  }

  /// In f64: e^x - 1.
  V expm1(V x) {
    SmallVector<double> terms;
    double factorial = 1;
    for (int n = 1; n <= 16; ++n)
      terms.push_back(1 / (factorial *= n));
    V y = clamp(x, -0.5, 0.5);
    return select(abs(x) < k(0.5), polynomial(y, terms) * x, exp(x) - k(1));
  }

  /// In f64: 2 atanh(s) for |s| <= 0.1716 (0.18 in log1p).
  V atanhSeries(V s) {
    SmallVector<double> terms;
    for (int n = 0; n <= 11; ++n)
      terms.push_back(2.0 / (2 * n + 1));
    return polynomial(s * s, terms) * s;
  }

  /// In f64: m in [sqrt 1/2, sqrt 2), x = m 2^e; log x = e ln 2 + 2 atanh((m - 1) / (m + 1)).
  V log(V x) {
    V small = x < k(2.2250738585072014e-308);
    V y = select(small, x * k(18014398509481984.0), x); // 2^54
    V raw = bits(y);
    V shifted = raw - i(0x3fe6a09e667f3bcd);
    V e = shr(shifted, 52);
    V m = fromBits(raw - shl(e, 52));
    V exponent = toFloat(select(small, e - i(54), e));
    V s = (m - k(1)) / (m + k(1));
    V result =
        fma(exponent, k(6.93147180369123816490e-01), fma(exponent, k(1.90821492927058770002e-10), atanhSeries(s)));
    result = select(x == inf(), inf(), result);
    result = select(x == k(0), neg(inf()), result);
    return select(x < k(0), nan(), select(c.isNan(x), x, result));
  }

  V log1p(V x) {
    V near = abs(x) < k(0.4);
    V y = select(near, x, k(0));
    return select(near, atanhSeries(y / (y + k(2))), log(x + k(1)));
  }

  /// In f64: n = round(x 2/pi), r = x - n pi/2 with pi/2 in three parts; then the series of the quadrant.
  V sine(V x, int64_t quadrants) {
    V n = round(x * k(0.63661977236758138));
    V r = fma(n, k(-1.5707963267948966), x);
    r = fma(n, k(-6.123233995736766e-17), r);
    r = fma(n, k(1.4973849048591833e-33), r);
    // Beyond the reach of the three parts the phase is lost; the value stays within [-1, 1].
    r = select(abs(x) < inf(), clamp(r, -0.7854, 0.7854), nan());
    SmallVector<double> odd, even;
    double factorial = 1;
    for (int t = 0; t <= 18; ++t) {
      if (t > 0)
        factorial *= t;
      ((t % 2) ? odd : even).push_back((t / 2 % 2 ? -1 : 1) / factorial);
    }
    V square = r * r;
    V sin = polynomial(square, odd) * r, cos = polynomial(square, even);
    V quadrant = toInt(clamp(n, -9e15, 9e15)) + i(quadrants);
    V useCos = (quadrant & i(1)) != i(0), negative = (quadrant & i(2)) != i(0);
    V value = select(useCos, cos, sin);
    return select(negative, neg(value), value);
  }

  /// In f64: two half-angle steps bring |x| below tan(pi/16); then the series.
  V atan(V x) {
    V magnitude = abs(x), large = magnitude > k(1);
    V t = select(large, k(1) / magnitude, magnitude);
    for (int step = 0; step < 2; ++step)
      t = t / (k(1) + sqrt(fma(t, t, k(1))));
    SmallVector<double> terms;
    for (int n = 0; n <= 12; ++n)
      terms.push_back((n % 2 ? -4.0 : 4.0) / (2 * n + 1));
    V angle = polynomial(t * t, terms) * t;
    return copySign(select(large, k(1.5707963267948966) - angle, angle), x);
  }

  V atan2(V y, V x) {
    constexpr double pi = 3.141592653589793;
    V ax = abs(x), ay = abs(y), steep = ay > ax;
    V small = select(steep, ax, ay), big = select(steep, ay, ax);
    V bothInfinite = (ax == inf()) & (ay == inf());
    V ratio = select(bothInfinite, k(1), select(big == k(0), k(0), small / big));
    V angle = atan(ratio);
    angle = select(steep, k(pi / 2) - angle, angle);
    V left = copySign(k(1), x) < k(0);
    angle = copySign(select(left, k(pi) - angle, angle), y);
    return select(c.isNan(x) | c.isNan(y), nan(), angle);
  }

  V asin(V x) {
    V y = sqrt((k(1) - x) * (k(1) + x));
    return atan2(x, y);
  }
  V acos(V x) { return atan2(sqrt((k(1) - x) * (k(1) + x)), x); }

  V tanh(V x) {
    V t = expm1(clamp(abs(x), 0, 25) * k(2));
    return select(c.isNan(x), x, copySign(t / (t + k(2)), x));
  }
  V sinh(V x) {
    V t = expm1(abs(x));
    // Half of (t + t / (t + 1)), which is e^|x| / 2 where that overflows t.
    V value = k(0.5) * (t + select(t == inf(), k(0), t / (t + k(1))));
    return copySign(value, x);
  }
  V cosh(V x) {
    V e = exp(abs(x));
    return k(0.5) * e + k(0.5) / e;
  }
  V asinh(V x) {
    V a = abs(x);
    V value = log1p(a + a * a / (k(1) + sqrt(fma(a, a, k(1)))));
    return copySign(select(a > k(1e150), log(a) + k(0.6931471805599453), value), x);
  }
  V acosh(V x) {
    V t = x - k(1);
    V value = log1p(t + sqrt(t * (t + k(2))));
    return select(x > k(1e150), log(x) + k(0.6931471805599453), value);
  }
  V atanh(V x) { return k(0.5) * (log1p(x) - log1p(neg(x))); }

  /// In f64, x >= 0: t = 2 / (2 + x), erfc(x) = t exp(-x^2 + P(2t - 1)); P fitted at Chebyshev points, relative error 5e-15.
  V erfcPositive(V x) {
    static const double fit[] = {
        -0.6717940840566922,     0.6726432239776804,      0.04734330684188495,     -0.04689561023235744,
        -0.009872689364838823,   0.008824938579234783,    0.0017589335153806115,   -0.0023458127241252668,
        -0.00014624629316635658, 0.0006736801364252187,   -9.373934774259852e-05,  -0.00017430789362606446,
        7.142105564867052e-05,   3.175626688971533e-05,   -3.0248147268139292e-05, 1.2449119822122095e-07,
        8.68358142724901e-06,    -2.946735185105353e-06,  -1.435904123354703e-06,  1.2718688230961557e-06,
        -2.126005711033943e-08,  -2.8501264750957486e-07, 6.883637979626656e-08,   2.902001142501831e-08,
        -1.119915395975113e-08};
    V y = c.min(x, k(30));
    V t = k(2) / (y + k(2));
    return t * exp(polynomial(fma(t, k(2), k(-1)), fit) - y * y);
  }
  V erf(V x) {
    SmallVector<double> terms;
    double factorial = 1;
    for (int n = 0; n <= 14; ++n) {
      if (n > 0)
        factorial *= n;
      terms.push_back((n % 2 ? -1 : 1) * 1.1283791670955126 / (factorial * (2 * n + 1)));
    }
    V near = abs(x) < k(0.6), y = select(near, x, k(0));
    V small = polynomial(y * y, terms) * y;
    V large = copySign(k(1) - erfcPositive(abs(x)), x);
    return select(c.isNan(x), x, select(near, small, large));
  }
  V erfc(V x) {
    V tail = erfcPositive(abs(x));
    V far = select(x < k(0), k(2) - tail, tail);
    return select(c.isNan(x), x, select(abs(x) < k(0.5), k(1) - erf(x), far));
  }

  V pow(V x, V y) {
    V magnitude = exp(y * log(abs(x)));
    V whole = trunc(y) == y, halves = y * k(0.5);
    V odd = whole & (trunc(halves) != halves) & (abs(y) < k(9007199254740992.0));
    V negative = copySign(k(1), x) < k(0);
    V result = select(negative & odd, neg(magnitude), magnitude);
    result = select((x < k(0)) & (trunc(y) != y) & (x != neg(inf())), nan(), result);
    V one = k(1);
    V infiniteOne = (abs(y) == inf()) & (x == neg(one)); // (-1)^inf = 1
    result = select(c.isNan(x) | c.isNan(y), nan(), result);
    return select((x == one) | (y == k(0)) | infiniteOne, one, result);
  }

  V cbrt(V x) {
    V a = abs(x);
    V root = exp(log(a) * k(1.0 / 3));
    // One step of Newton's rule makes it correct to the last place or so.
    V better = root - (root * root * root - a) / (k(3) * root * root);
    V special = (a == k(0)) | (a == inf());
    return copySign(select(special, a, select(c.isNan(x), x, better)), x);
  }

  /// Remainder with the dividend's sign.
  V remainder(V x, V y) {
    V r = x, ay = abs(y);
    // A quotient is exact to 53 bits, and so is what is left then: three rounds for quotients up to 2^159.
    for (int round = 0; round < 3; ++round)
      r = fma(neg(trunc(r / y)), y, r);
    // The last quotient may have been rounded up to the next whole number.
    r = select((r != k(0)) & ((r < k(0)) != (x < k(0))), r + copySign(ay, x), r);
    r = select(abs(r) >= ay, r - copySign(ay, r), r);
    r = select((ay == inf()) & (abs(x) < inf()), x, r);
    return copySign(r, x);
  }
};

using Function1 = V (MathCode::*)(V);

/// Which function computes an op of one operand, if it is one of ours.
Function1 functionOf(Operation *op) {
  return TypeSwitch<Operation *, Function1>(op)
      .Case([](math::ExpOp) { return &MathCode::exp; })
      .Case([](math::ExpM1Op) { return &MathCode::expm1; })
      .Case([](math::LogOp) { return &MathCode::log; })
      .Case([](math::Log1pOp) { return &MathCode::log1p; })
      .Case([](math::AtanOp) { return &MathCode::atan; })
      .Case([](math::AsinOp) { return &MathCode::asin; })
      .Case([](math::AcosOp) { return &MathCode::acos; })
      .Case([](math::TanhOp) { return &MathCode::tanh; })
      .Case([](math::SinhOp) { return &MathCode::sinh; })
      .Case([](math::CoshOp) { return &MathCode::cosh; })
      .Case([](math::AsinhOp) { return &MathCode::asinh; })
      .Case([](math::AcoshOp) { return &MathCode::acosh; })
      .Case([](math::AtanhOp) { return &MathCode::atanh; })
      .Case([](math::ErfOp) { return &MathCode::erf; })
      .Case([](math::ErfcOp) { return &MathCode::erfc; })
      .Case([](math::CbrtOp) { return &MathCode::cbrt; })
      .Default([](Operation *) { return static_cast<Function1>(nullptr); });
}

/// An integer power by squaring; 0 for a negative exponent of |x| > 1, as integer division gives.
V integerPower(Code &c, V x, V n) {
  Type type = x.type();
  V one = c.constant(type, 1), zero = c.constant(type, 0), two = c.constant(type, 2);
  V magnitude = c.wrap(arith::MaxSIOp::create(c.b, c.loc, n, zero));
  Vs end = c.loopWhile(
      {one, x, magnitude}, [&](ArrayRef<V> s) { return s[2] > zero; },
      [&](ArrayRef<V> s) -> Vs {
        V odd = (s[2] & one) != zero;
        return {c.select(odd, s[0] * s[1], s[0]), s[1] * s[1], s[2] / two};
      });
  V minusOne = c.constant(type, -1);
  V alternating = c.select((n & one) != zero, minusOne, one);
  V inverse = c.select(x == one, one, c.select(x == minusOne, alternating, zero));
  return c.select(n < zero, inverse, end[0]);
}

/// The value that replaces `op`, or null if it stays.
Value expand(Operation *op) {
  OpBuilder b(op);
  Code c(b, op->getLoc());
  Type type = op->getResult(0).getType();
  Type element = getElementTypeOrSelf(type);
  if (auto power = dyn_cast<math::IPowIOp>(op)) {
    if (isa<ShapedType>(type))
      return {};
    return integerPower(c, c.wrap(power.getLhs()), c.wrap(power.getRhs()));
  }
  if (!isa<Float32Type, Float64Type>(element))
    return {};
  // The same op in another format.
  MathCode own{c, type};
  Type wideType = own.withElement(b.getF64Type());
  MathCode wide{c, wideType};
  auto in = [&](unsigned i) {
    V v = c.wrap(op->getOperand(i));
    return element.isF64() ? v : c.wrap(arith::ExtFOp::create(b, op->getLoc(), wideType, v.v));
  };
  auto out = [&](V v) -> Value {
    return element.isF64() ? v.v : Value(arith::TruncFOp::create(b, op->getLoc(), type, v.v));
  };
  if (isa<math::ExpOp>(op))
    return own.exp(c.wrap(op->getOperand(0)));
  if (Function1 function = functionOf(op))
    return out((wide.*function)(in(0)));
  return TypeSwitch<Operation *, Value>(op)
      .Case([&](math::Exp2Op) { return out(wide.exp(in(0) * wide.k(0.6931471805599453))); })
      .Case([&](math::Log2Op) { return out(wide.log(in(0)) * wide.k(1.4426950408889634)); })
      .Case([&](math::Log10Op) { return out(wide.log(in(0)) * wide.k(0.4342944819032518)); })
      .Case([&](math::SinOp) { return out(wide.sine(in(0), 0)); })
      .Case([&](math::CosOp) { return out(wide.sine(in(0), 1)); })
      .Case([&](math::TanOp) {
        V x = in(0);
        return out(wide.sine(x, 0) / wide.sine(x, 1));
      })
      .Case([&](math::RsqrtOp) { return Value(own.k(1) / own.sqrt(c.wrap(op->getOperand(0)))); })
      .Case([&](math::RoundOp) {
        // Half away from zero: adding the number just below a half never rounds up what is below a half.
        V x = c.wrap(op->getOperand(0));
        double half = element.isF64() ? 0.49999999999999994 : 0.49999997f;
        return Value(own.trunc(x + own.copySign(own.k(half), x)));
      })
      .Case([&](math::PowFOp) { return out(wide.pow(in(0), in(1))); })
      .Case([&](math::FPowIOp power) {
        V n = wide.toFloat(c.wrap(power.getRhs()));
        return out(wide.pow(in(0), n));
      })
      .Case([&](math::Atan2Op) { return out(wide.atan2(in(0), in(1))); })
      .Case([&](arith::RemFOp) { return out(wide.remainder(in(0), in(1))); })
      .Default([](Operation *) { return Value(); });
}

struct ExpandMath : moe::impl::ExpandMathBase<ExpandMath> {
  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation()->walk([&](Operation *op) {
      if ((isa_and_nonnull<math::MathDialect>(op->getDialect()) || isa<arith::RemFOp>(op)) && op->getNumResults() == 1)
        ops.push_back(op);
    });
    for (Operation *op : ops)
      if (Value value = expand(op)) {
        op->getResult(0).replaceAllUsesWith(value);
        op->erase();
      }
  }
};
} // namespace
