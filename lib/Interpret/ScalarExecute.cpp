//===- ScalarExecute.cpp - scalar instructions on lanes -------------------===//
#include "Opcodes.h"

#include "dialects/moe/Moe.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace mlir::moe;

//===----------------------------------------------------------------------===//
// Registers
//===----------------------------------------------------------------------===//

template <typename T> static T loadAs(const char *at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

template <typename From, typename To> static void gather(const char *at, int64_t stride, int count, To *out) {
  if (stride == 1)
    for (int i = 0; i < count; ++i)
      out[i] = static_cast<To>(loadAs<From>(at + i * sizeof(From)));
  else if (stride == 0)
    std::fill_n(out, count, static_cast<To>(loadAs<From>(at)));
  else
    for (int i = 0; i < count; ++i)
      out[i] = static_cast<To>(loadAs<From>(at + i * stride * static_cast<int64_t>(sizeof(From))));
}

void Registers::load(int reg, Element element, const char *at, int64_t stride, int count) {
  switch (element) {
  case Element::F32:
    return gather<float>(at, stride, count, floats(reg));
  case Element::F64:
    return gather<double>(at, stride, count, doubles(reg));
  case Element::I64:
  case Element::U64:
    return gather<int64_t>(at, stride, count, ints(reg));
  case Element::I32:
    return gather<int32_t>(at, stride, count, ints(reg));
  case Element::I8:
    return gather<int8_t>(at, stride, count, ints(reg));
  case Element::I1:
    return gather<uint8_t>(at, stride, count, ints(reg));
  default:
    break;
  }
  int64_t step = stride * elementBytes(element);
  if (isFloat(element)) {
    float *out = floats(reg);
    bool wide = packedBits(element) == 16;
    for (int i = 0; i < count; ++i)
      out[i] = decodeFloat(element, wide ? loadAs<uint16_t>(at + i * step) : loadAs<uint8_t>(at + i * step));
    return;
  }
  int64_t *out = ints(reg);
  for (int i = 0; i < count; ++i)
    out[i] = loadInteger(element, at + i * step);
}

void Registers::store(int reg, Element element, char *at, int64_t stride, int count) {
  int64_t step = stride * elementBytes(element);
  if (element == Element::F32) {
    const float *in = floats(reg);
    for (int i = 0; i < count; ++i)
      std::memcpy(at + i * step, in + i, 4);
  } else if (element == Element::F64) {
    const double *in = doubles(reg);
    for (int i = 0; i < count; ++i)
      std::memcpy(at + i * step, in + i, 8);
  } else if (element == Element::I64 || element == Element::U64) {
    const int64_t *in = ints(reg);
    for (int i = 0; i < count; ++i)
      std::memcpy(at + i * step, in + i, 8);
  } else if (isFloat(element)) {
    const float *in = floats(reg);
    for (int i = 0; i < count; ++i)
      storeDouble(element, at + i * step, in[i], Overflow::ToNaN);
  } else {
    const int64_t *in = ints(reg);
    for (int i = 0; i < count; ++i)
      storeInteger(element, at + i * step, in[i]);
  }
}

void Registers::fill(int reg, Kind kind, Scalar value) {
  if (kind == Kind::Float)
    std::fill_n(floats(reg), kLanes, value.f);
  else if (kind == Kind::Double)
    std::fill_n(doubles(reg), kLanes, value.d);
  else
    std::fill_n(ints(reg), kLanes, value.i);
}

Scalar Registers::get(int reg, Kind kind, int lane) {
  Scalar value{};
  if (kind == Kind::Float)
    value.f = floats(reg)[lane];
  else if (kind == Kind::Double)
    value.d = doubles(reg)[lane];
  else
    value.i = ints(reg)[lane];
  return value;
}

void Registers::setLane(int reg, Kind kind, int lane, Scalar value) {
  if (kind == Kind::Float)
    floats(reg)[lane] = value.f;
  else if (kind == Kind::Double)
    doubles(reg)[lane] = value.d;
  else
    ints(reg)[lane] = value.i;
}

//===----------------------------------------------------------------------===//
// Integers of a width
//===----------------------------------------------------------------------===//

/// The canonical form of the low `width` bits.
static int64_t canonical(int64_t value, unsigned width) {
  if (width == 1)
    return value & 1;
  return width == 64 ? value : llvm::SignExtend64(static_cast<uint64_t>(value), width);
}
static int64_t asSigned(int64_t value, unsigned width) { return width == 1 ? -value : value; }
static uint64_t asUnsigned(int64_t value, unsigned width) {
  return width == 64 ? static_cast<uint64_t>(value) : static_cast<uint64_t>(value) & ((uint64_t(1) << width) - 1);
}

static int64_t floorDiv(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

/// a^b with wrapping; a negative power of anything but 1 and -1 is 0.
static int64_t integerPower(int64_t a, int64_t b) {
  if (b < 0)
    return a == 1 ? 1 : a == -1 ? (b & 1 ? -1 : 1) : 0;
  uint64_t result = 1, base = static_cast<uint64_t>(a);
  for (; b; b >>= 1, base *= base)
    if (b & 1)
      result *= base;
  return static_cast<int64_t>(result);
}

namespace {
/// One instruction on its lanes.
class Executor {
public:
  Executor(const Instruction &instruction, Registers &registers, int count)
      : in(instruction), regs(registers), n(count), width(instruction.type.width) {}
  LogicalResult run();

private:
  template <typename F> void floatUnary(F f) {
    if (in.type.kind == Kind::Double)
      map(regs.doubles(in.out), f, regs.doubles(in.in[0]));
    else
      map(regs.floats(in.out), f, regs.floats(in.in[0]));
    round();
  }
  template <typename F> void floatBinary(F f) {
    if (in.type.kind == Kind::Double)
      map(regs.doubles(in.out), f, regs.doubles(in.in[0]), regs.doubles(in.in[1]));
    else
      map(regs.floats(in.out), f, regs.floats(in.in[0]), regs.floats(in.in[1]));
    round();
  }
  template <typename F> void floatTernary(F f) {
    if (in.type.kind == Kind::Double)
      map(regs.doubles(in.out), f, regs.doubles(in.in[0]), regs.doubles(in.in[1]), regs.doubles(in.in[2]));
    else
      map(regs.floats(in.out), f, regs.floats(in.in[0]), regs.floats(in.in[1]), regs.floats(in.in[2]));
    round();
  }
  template <typename F> void floatTest(F f) {
    if (in.type.kind == Kind::Double)
      map(regs.ints(in.out), f, regs.doubles(in.in[0]));
    else
      map(regs.ints(in.out), f, regs.floats(in.in[0]));
  }
  template <typename F> void floatCompare(F f) {
    if (in.type.kind == Kind::Double)
      map(regs.ints(in.out), f, regs.doubles(in.in[0]), regs.doubles(in.in[1]));
    else
      map(regs.ints(in.out), f, regs.floats(in.in[0]), regs.floats(in.in[1]));
  }
  template <typename F> void intUnary(F f) {
    map(regs.ints(in.out), [&](int64_t a) { return canonical(f(a), in.result.width); }, regs.ints(in.in[0]));
  }
  /// f on the canonical forms.
  template <typename F> void intBinary(F f) {
    if (width == 64)
      map(regs.ints(in.out), f, regs.ints(in.in[0]), regs.ints(in.in[1]));
    else
      map(
          regs.ints(in.out), [&](int64_t a, int64_t b) { return canonical(f(a, b), width); }, regs.ints(in.in[0]),
          regs.ints(in.in[1]));
  }
  template <typename F> void signedBinary(F f) {
    intBinary([&](int64_t a, int64_t b) { return f(asSigned(a, width), asSigned(b, width)); });
  }
  template <typename F> void unsignedBinary(F f) {
    intBinary(
        [&](int64_t a, int64_t b) { return static_cast<int64_t>(f(asUnsigned(a, width), asUnsigned(b, width))); });
  }
  /// Division: the divisor is not zero, and INT_MIN / -1 wraps.
  template <typename F> LogicalResult signedDivision(F f, int64_t byMinusOne) {
    if (failed(checkDivisor()))
      return failure();
    signedBinary([&](int64_t a, int64_t b) {
      return b == -1 ? (byMinusOne ? static_cast<int64_t>(0 - static_cast<uint64_t>(a)) : 0) : f(a, b);
    });
    return success();
  }
  template <typename F> LogicalResult unsignedDivision(F f) {
    if (failed(checkDivisor()))
      return failure();
    unsignedBinary(f);
    return success();
  }
  LogicalResult checkDivisor() {
    const int64_t *b = regs.ints(in.in[1]);
    for (int i = 0; i < n; ++i)
      if (b[i] == 0)
        return in.op->emitOpError("divides by zero");
    return success();
  }

  template <typename Out, typename F, typename... In> void map(Out *out, F f, const In *...args) {
    for (int i = 0; i < n; ++i)
      out[i] = static_cast<Out>(f(args[i]...));
  }

  /// Rounds the result of an op on a small float format to that format.
  void round() {
    Element element = in.result.element;
    if (element >= Element::F32)
      return;
    float *out = regs.floats(in.out);
    if (element == Element::BF16) { // convertElements has fast loops for it
      uint16_t bits[kLanes];
      convertElements(Element::F32, reinterpret_cast<char *>(out), element, reinterpret_cast<char *>(bits), n);
      convertElements(element, reinterpret_cast<char *>(bits), Element::F32, reinterpret_cast<char *>(out), n);
      return;
    }
    for (int i = 0; i < n; ++i)
      out[i] = decodeFloat(element, encodeFloat(element, out[i], Overflow::ToNaN));
  }

  void select();
  LogicalResult checked();
  void compareInts();
  void compareFloats();
  void toFloat(bool isSigned);
  void toInt(bool isSigned);
  void bitcast();
  LogicalResult affine();
  void extended();

  const Instruction &in;
  Registers &regs;
  int n;
  unsigned width;
};
} // namespace

void Executor::select() {
  const int64_t *condition = regs.ints(in.in[0]);
  auto pick = [&](auto *out, const auto *a, const auto *b) {
    for (int i = 0; i < n; ++i)
      out[i] = condition[i] ? a[i] : b[i];
  };
  if (in.type.kind == Kind::Float)
    pick(regs.floats(in.out), regs.floats(in.in[1]), regs.floats(in.in[2]));
  else
    pick(regs.ints(in.out), regs.ints(in.in[1]), regs.ints(in.in[2]));
}

LogicalResult Executor::checked() {
  const int64_t *ok = regs.ints(in.in[1]);
  for (int i = 0; i < n; ++i)
    if (!ok[i])
      return in.op->emitError() << cast<CheckedOp>(in.op).getMessage();
  if (in.type.kind == Kind::Float)
    std::copy_n(regs.floats(in.in[0]), n, regs.floats(in.out));
  else
    std::copy_n(regs.ints(in.in[0]), n, regs.ints(in.out));
  return success();
}

void Executor::compareInts() {
  auto test = [&](auto f) { map(regs.ints(in.out), f, regs.ints(in.in[0]), regs.ints(in.in[1])); };
  auto signedTest = [&](auto f) {
    test([&, f](int64_t a, int64_t b) { return f(asSigned(a, width), asSigned(b, width)); });
  };
  auto unsignedTest = [&](auto f) {
    test([&, f](int64_t a, int64_t b) { return f(asUnsigned(a, width), asUnsigned(b, width)); });
  };
  switch (static_cast<arith::CmpIPredicate>(in.extra)) {
  case arith::CmpIPredicate::eq:
    return test([](int64_t a, int64_t b) { return a == b; });
  case arith::CmpIPredicate::ne:
    return test([](int64_t a, int64_t b) { return a != b; });
  case arith::CmpIPredicate::slt:
    return signedTest([](int64_t a, int64_t b) { return a < b; });
  case arith::CmpIPredicate::sle:
    return signedTest([](int64_t a, int64_t b) { return a <= b; });
  case arith::CmpIPredicate::sgt:
    return signedTest([](int64_t a, int64_t b) { return a > b; });
  case arith::CmpIPredicate::sge:
    return signedTest([](int64_t a, int64_t b) { return a >= b; });
  case arith::CmpIPredicate::ult:
    return unsignedTest([](uint64_t a, uint64_t b) { return a < b; });
  case arith::CmpIPredicate::ule:
    return unsignedTest([](uint64_t a, uint64_t b) { return a <= b; });
  case arith::CmpIPredicate::ugt:
    return unsignedTest([](uint64_t a, uint64_t b) { return a > b; });
  case arith::CmpIPredicate::uge:
    return unsignedTest([](uint64_t a, uint64_t b) { return a >= b; });
  }
}

void Executor::compareFloats() {
  auto unordered = [](auto a, auto b) { return std::isnan(a) || std::isnan(b); };
  switch (static_cast<arith::CmpFPredicate>(in.extra)) {
  case arith::CmpFPredicate::AlwaysFalse:
    return floatCompare([](auto, auto) { return false; });
  case arith::CmpFPredicate::OEQ:
    return floatCompare([](auto a, auto b) { return a == b; });
  case arith::CmpFPredicate::OGT:
    return floatCompare([](auto a, auto b) { return a > b; });
  case arith::CmpFPredicate::OGE:
    return floatCompare([](auto a, auto b) { return a >= b; });
  case arith::CmpFPredicate::OLT:
    return floatCompare([](auto a, auto b) { return a < b; });
  case arith::CmpFPredicate::OLE:
    return floatCompare([](auto a, auto b) { return a <= b; });
  case arith::CmpFPredicate::ONE:
    return floatCompare([](auto a, auto b) { return a < b || a > b; });
  case arith::CmpFPredicate::ORD:
    return floatCompare([=](auto a, auto b) { return !unordered(a, b); });
  case arith::CmpFPredicate::UEQ:
    return floatCompare([=](auto a, auto b) { return unordered(a, b) || a == b; });
  case arith::CmpFPredicate::UGT:
    return floatCompare([](auto a, auto b) { return !(a <= b); });
  case arith::CmpFPredicate::UGE:
    return floatCompare([](auto a, auto b) { return !(a < b); });
  case arith::CmpFPredicate::ULT:
    return floatCompare([](auto a, auto b) { return !(a >= b); });
  case arith::CmpFPredicate::ULE:
    return floatCompare([](auto a, auto b) { return !(a > b); });
  case arith::CmpFPredicate::UNE:
    return floatCompare([](auto a, auto b) { return a != b; });
  case arith::CmpFPredicate::UNO:
    return floatCompare(unordered);
  case arith::CmpFPredicate::AlwaysTrue:
    return floatCompare([](auto, auto) { return true; });
  }
}

void Executor::toFloat(bool isSigned) {
  auto convert = [&](auto *out) {
    using T = std::remove_pointer_t<decltype(out)>;
    for (int i = 0; i < n; ++i) {
      int64_t value = regs.ints(in.in[0])[i];
      out[i] = isSigned ? static_cast<T>(asSigned(value, width)) : static_cast<T>(asUnsigned(value, width));
    }
  };
  if (in.result.kind == Kind::Double)
    return convert(regs.doubles(in.out));
  convert(regs.floats(in.out));
  round();
}

/// Towards zero; what the integer cannot hold is clamped, NaN is 0.
void Executor::toInt(bool isSigned) {
  unsigned bits = in.result.width;
  double low = isSigned ? -std::ldexp(1.0, bits - 1) : 0, high = std::ldexp(1.0, isSigned ? bits - 1 : bits);
  int64_t lowest = isSigned ? static_cast<int64_t>(uint64_t(1) << (bits - 1)) : 0;
  uint64_t highest = isSigned ? (uint64_t(1) << (bits - 1)) - 1 : bits == 64 ? ~uint64_t(0) : (uint64_t(1) << bits) - 1;
  if (isSigned && bits < 64)
    lowest = -(int64_t(1) << (bits - 1));
  for (int i = 0; i < n; ++i) {
    double value = in.type.kind == Kind::Double ? regs.doubles(in.in[0])[i] : regs.floats(in.in[0])[i];
    value = std::trunc(value);
    int64_t result;
    if (std::isnan(value))
      result = 0;
    else if (value >= high)
      result = static_cast<int64_t>(highest);
    else if (value <= low)
      result = lowest;
    else
      result = isSigned ? static_cast<int64_t>(value) : static_cast<int64_t>(static_cast<uint64_t>(value));
    regs.ints(in.out)[i] = canonical(result, bits);
  }
}

void Executor::bitcast() {
  for (int i = 0; i < n; ++i) {
    char bytes[8] = {};
    Scalar value = regs.get(in.in[0], in.type.kind, i), result{};
    if (in.type.kind == Kind::Int)
      storeInteger(in.type.element, bytes, value.i);
    else
      storeDouble(in.type.element, bytes, in.type.kind == Kind::Double ? value.d : value.f, Overflow::ToNaN);
    if (in.result.kind == Kind::Int)
      result.i = loadInteger(in.result.element, bytes);
    else if (in.result.kind == Kind::Double)
      result.d = loadDouble(in.result.element, bytes);
    else if (in.result.element == Element::F32)
      std::memcpy(&result.f, bytes, 4);
    else
      result.f = static_cast<float>(loadDouble(in.result.element, bytes));
    regs.setLane(in.out, in.result.kind, i, result);
  }
}

static int64_t evaluate(AffineExpr expr, ArrayRef<int64_t> operands, unsigned numDims, bool &valid) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return constant.getValue();
  if (auto dim = dyn_cast<AffineDimExpr>(expr))
    return operands[dim.getPosition()];
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return operands[numDims + symbol.getPosition()];
  auto binary = cast<AffineBinaryOpExpr>(expr);
  int64_t a = evaluate(binary.getLHS(), operands, numDims, valid),
          b = evaluate(binary.getRHS(), operands, numDims, valid);
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  case AffineExprKind::Mul:
    return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  default:
    break;
  }
  if (b <= 0) {
    valid = false;
    return 0;
  }
  if (expr.getKind() == AffineExprKind::FloorDiv)
    return floorDiv(a, b);
  if (expr.getKind() == AffineExprKind::CeilDiv)
    return floorDiv(a, b) + (a % b != 0);
  return a - floorDiv(a, b) * b;
}

LogicalResult Executor::affine() {
  SmallVector<int64_t> operands(in.in.size());
  for (int i = 0; i < n; ++i) {
    for (auto [k, reg] : llvm::enumerate(in.in))
      operands[k] = regs.ints(reg)[i];
    bool valid = true;
    std::optional<int64_t> best;
    for (AffineExpr expr : in.map.getResults()) {
      int64_t value = evaluate(expr, operands, in.map.getNumDims(), valid);
      if (!best || (in.opcode == Opcode::AffineMin ? value < *best : value > *best))
        best = value;
    }
    if (!valid || !best)
      return in.op->emitOpError("divides by a number that is not positive");
    regs.ints(in.out)[i] = *best;
  }
  return success();
}

void Executor::extended() {
  for (int i = 0; i < n; ++i) {
    int64_t a = regs.ints(in.in[0])[i], b = regs.ints(in.in[1])[i];
    __int128 wide;
    if (in.opcode == Opcode::MulSIExtended)
      wide = static_cast<__int128>(asSigned(a, width)) * asSigned(b, width);
    else if (in.opcode == Opcode::MulUIExtended)
      wide = static_cast<__int128>(static_cast<unsigned __int128>(asUnsigned(a, width)) * asUnsigned(b, width));
    else
      wide = static_cast<__int128>(asUnsigned(a, width)) + asUnsigned(b, width);
    regs.ints(in.out)[i] = canonical(static_cast<int64_t>(wide), width);
    regs.ints(in.second)[i] = in.opcode == Opcode::AddUIExtended
                                  ? static_cast<int64_t>(wide >> width & 1)
                                  : canonical(static_cast<int64_t>(wide >> width), width);
  }
}

LogicalResult Executor::run() {
  switch (in.opcode) {
#define UNARY(code, expression)                                                                                        \
  case Opcode::code:                                                                                                   \
    floatUnary([](auto a) -> decltype(a) { return expression; });                                                      \
    return success();
#define BINARY(code, expression)                                                                                       \
  case Opcode::code:                                                                                                   \
    floatBinary([](auto a, auto b) -> decltype(a) { return expression; });                                             \
    return success();
#define INTEGER(code, family, type, expression)                                                                        \
  case Opcode::code:                                                                                                   \
    family([&](type a, type b) -> type { return expression; });                                                        \
    return success();
    UNARY(NegF, -a)
    UNARY(AbsF, std::fabs(a))
    UNARY(Acos, std::acos(a))
    UNARY(Acosh, std::acosh(a))
    UNARY(Asin, std::asin(a))
    UNARY(Asinh, std::asinh(a))
    UNARY(Atan, std::atan(a))
    UNARY(Atanh, std::atanh(a))
    UNARY(Cbrt, std::cbrt(a))
    UNARY(Ceil, std::ceil(a))
    UNARY(Cos, std::cos(a))
    UNARY(Cosh, std::cosh(a))
    UNARY(Erf, std::erf(a))
    UNARY(Erfc, std::erfc(a))
    UNARY(Exp, std::exp(a))
    UNARY(Exp2, std::exp2(a))
    UNARY(ExpM1, std::expm1(a))
    UNARY(Floor, std::floor(a))
    UNARY(Log, std::log(a))
    UNARY(Log10, std::log10(a))
    UNARY(Log1P, std::log1p(a))
    UNARY(Log2, std::log2(a))
    UNARY(Round, std::round(a))
    UNARY(RoundEven, std::nearbyint(a))
    UNARY(Rsqrt, 1 / std::sqrt(a))
    UNARY(Sin, std::sin(a))
    UNARY(Sinh, std::sinh(a))
    UNARY(Sqrt, std::sqrt(a))
    UNARY(Tan, std::tan(a))
    UNARY(Tanh, std::tanh(a))
    UNARY(Trunc, std::trunc(a))
    BINARY(AddF, a + b)
    BINARY(SubF, a - b)
    BINARY(MulF, a * b)
    BINARY(DivF, a / b)
    BINARY(RemF, std::fmod(a, b))
    BINARY(MaximumF, a != a ? a : b != b ? b : a == b ? (std::signbit(a) ? b : a) : a > b ? a : b)
    BINARY(MinimumF, a != a ? a : b != b ? b : a == b ? (std::signbit(a) ? a : b) : a < b ? a : b)
    BINARY(MaxNumF, std::fmax(a, b))
    BINARY(MinNumF, std::fmin(a, b))
    BINARY(Atan2, std::atan2(a, b))
    BINARY(CopySign, std::copysign(a, b))
    BINARY(PowF, std::pow(a, b))
    INTEGER(AddI, unsignedBinary, uint64_t, a + b)
    INTEGER(SubI, unsignedBinary, uint64_t, a - b)
    INTEGER(MulI, unsignedBinary, uint64_t, a *b)
    INTEGER(AndI, intBinary, int64_t, a &b)
    INTEGER(OrI, intBinary, int64_t, a | b)
    INTEGER(XOrI, intBinary, int64_t, a ^ b)
    INTEGER(ShlI, unsignedBinary, uint64_t, b < width ? a << b : 0)
    INTEGER(ShrUI, unsignedBinary, uint64_t, b < width ? a >> b : 0)
    INTEGER(MaxSI, signedBinary, int64_t, std::max(a, b))
    INTEGER(MinSI, signedBinary, int64_t, std::min(a, b))
    INTEGER(MaxUI, unsignedBinary, uint64_t, std::max(a, b))
    INTEGER(MinUI, unsignedBinary, uint64_t, std::min(a, b))
    INTEGER(IPowI, signedBinary, int64_t, integerPower(a, b))
#undef UNARY
#undef BINARY
#undef INTEGER
  case Opcode::ShrSI:
    intBinary([&](int64_t a, int64_t b) {
      uint64_t by = asUnsigned(b, width);
      return asSigned(a, width) >> std::min<uint64_t>(by, 63);
    });
    return success();
  case Opcode::DivSI:
    return signedDivision([](int64_t a, int64_t b) { return a / b; }, 1);
  case Opcode::FloorDivSI:
    return signedDivision([](int64_t a, int64_t b) { return floorDiv(a, b); }, 1);
  case Opcode::CeilDivSI:
    return signedDivision([](int64_t a, int64_t b) { return floorDiv(a, b) + (a % b != 0); }, 1);
  case Opcode::RemSI:
    return signedDivision([](int64_t a, int64_t b) { return a % b; }, 0);
  case Opcode::DivUI:
    return unsignedDivision([](uint64_t a, uint64_t b) { return a / b; });
  case Opcode::CeilDivUI:
    return unsignedDivision([](uint64_t a, uint64_t b) { return a / b + (a % b != 0); });
  case Opcode::RemUI:
    return unsignedDivision([](uint64_t a, uint64_t b) { return a % b; });
  case Opcode::AbsI:
    intUnary([&](int64_t a) { return a < 0 ? static_cast<int64_t>(0 - static_cast<uint64_t>(a)) : a; });
    return success();
  case Opcode::CtLz:
    intUnary([&](int64_t a) { return llvm::countl_zero(asUnsigned(a, width)) - (64 - static_cast<int64_t>(width)); });
    return success();
  case Opcode::CtTz:
    intUnary([&](int64_t a) { return std::min<int64_t>(llvm::countr_zero(asUnsigned(a, width)), width); });
    return success();
  case Opcode::CtPop:
    intUnary([&](int64_t a) { return llvm::popcount(asUnsigned(a, width)); });
    return success();
  case Opcode::Fma:
    floatTernary([](auto a, auto b, auto c) { return std::fma(a, b, c); });
    return success();
  case Opcode::ClampF:
    floatTernary([](auto a, auto low, auto high) { return std::fmin(std::fmax(a, low), high); });
    return success();
  case Opcode::FPowI:
    for (int i = 0; i < n; ++i) {
      double power = static_cast<double>(regs.ints(in.in[1])[i]);
      if (in.type.kind == Kind::Double)
        regs.doubles(in.out)[i] = std::pow(regs.doubles(in.in[0])[i], power);
      else
        regs.floats(in.out)[i] = static_cast<float>(std::pow(static_cast<double>(regs.floats(in.in[0])[i]), power));
    }
    round();
    return success();
  case Opcode::SinCos: {
    auto both = [&](auto *sines, auto *cosines, const auto *a) {
      for (int i = 0; i < n; ++i) {
        sines[i] = std::sin(a[i]);
        cosines[i] = std::cos(a[i]);
      }
    };
    if (in.type.kind == Kind::Double)
      both(regs.doubles(in.out), regs.doubles(in.second), regs.doubles(in.in[0]));
    else
      both(regs.floats(in.out), regs.floats(in.second), regs.floats(in.in[0]));
    return success();
  }
  case Opcode::IsNaN:
    floatTest([](auto a) { return std::isnan(a); });
    return success();
  case Opcode::IsInf:
    floatTest([](auto a) { return std::isinf(a); });
    return success();
  case Opcode::IsFinite:
    floatTest([](auto a) { return std::isfinite(a); });
    return success();
  case Opcode::IsNormal:
    floatTest([](auto a) { return std::isnormal(a); });
    return success();
  case Opcode::CmpF:
    compareFloats();
    return success();
  case Opcode::CmpI:
    compareInts();
    return success();
  case Opcode::Select:
    select();
    return success();
  case Opcode::Checked:
    return checked();
  case Opcode::ExtF:
  case Opcode::TruncF:
    if (in.type.kind == Kind::Double && in.result.kind == Kind::Float) {
      if (in.result.element == Element::F32)
        map(regs.floats(in.out), [](double a) { return a; }, regs.doubles(in.in[0]));
      else // one rounding
        map(
            regs.floats(in.out),
            [&](double a) {
              return decodeFloat(in.result.element, encodeFloat(in.result.element, a, Overflow::ToNaN));
            },
            regs.doubles(in.in[0]));
    } else if (in.result.kind == Kind::Double) {
      if (in.type.kind == Kind::Double)
        map(regs.doubles(in.out), [](double a) { return a; }, regs.doubles(in.in[0]));
      else
        map(regs.doubles(in.out), [](float a) { return a; }, regs.floats(in.in[0]));
    } else {
      map(regs.floats(in.out), [](float a) { return a; }, regs.floats(in.in[0]));
      round();
    }
    return success();
  case Opcode::SIToFP:
    toFloat(true);
    return success();
  case Opcode::UIToFP:
    toFloat(false);
    return success();
  case Opcode::FPToSI:
    toInt(true);
    return success();
  case Opcode::FPToUI:
    toInt(false);
    return success();
  case Opcode::ExtSI:
  case Opcode::IndexCast:
  case Opcode::TruncI:
    intUnary([&](int64_t a) { return asSigned(a, width); });
    return success();
  case Opcode::ExtUI:
  case Opcode::IndexCastUI:
    intUnary([&](int64_t a) { return static_cast<int64_t>(asUnsigned(a, width)); });
    return success();
  case Opcode::Bitcast:
    bitcast();
    return success();
  case Opcode::AffineApply:
  case Opcode::AffineMin:
  case Opcode::AffineMax:
    return affine();
  case Opcode::AddUIExtended:
  case Opcode::MulSIExtended:
  case Opcode::MulUIExtended:
    extended();
    return success();
  case Opcode::Constant:
  case Opcode::Extract:
  case Opcode::LinalgIndex:
    break;
  }
  return in.op->emitOpError("is not an instruction on lanes");
}

LogicalResult moe::execute(const Instruction &instruction, Registers &registers, int count) {
  return Executor(instruction, registers, count).run();
}
