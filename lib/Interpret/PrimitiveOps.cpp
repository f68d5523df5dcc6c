//===- PrimitiveOps.cpp - top_k, sort, scan, scatter, nonzero -------------===//
#include "Frame.h"
#include "Strided.h"

#include "dialects/moe/Moe.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;
using namespace mlir::moe;

namespace {
/// Compares and combines elements of one type exactly: integers as integers, floats as doubles.
struct Numbers {
  explicit Numbers(Element element) : element(element), floats(isFloat(element)), bytes(elementBytes(element)) {}
  /// a before b, largest first or smallest first; NaN after everything else, as the worst value.
  bool before(const char *a, const char *b, bool largest) const {
    if (floats) {
      double x = loadDouble(element, a), y = loadDouble(element, b), worst = largest ? -INFINITY : INFINITY;
      x = std::isnan(x) ? worst : x;
      y = std::isnan(y) ? worst : y;
      return largest ? x > y : x < y;
    }
    int64_t x = loadInteger(element, a), y = loadInteger(element, b);
    if (element == Element::U64)
      return largest ? static_cast<uint64_t>(x) > static_cast<uint64_t>(y)
                     : static_cast<uint64_t>(x) < static_cast<uint64_t>(y);
    return largest ? x > y : x < y;
  }
  /// into = combine(into, with)
  void combine(Combiner combiner, char *into, const char *with) const {
    if (combiner == Combiner::Assign) {
      std::memcpy(into, with, bytes);
      return;
    }
    if (!floats) {
      int64_t a = loadInteger(element, into), b = loadInteger(element, with);
      bool less = element == Element::U64 ? static_cast<uint64_t>(a) < static_cast<uint64_t>(b) : a < b;
      uint64_t x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
      uint64_t result = combiner == Combiner::Add   ? x + y
                        : combiner == Combiner::Mul ? x * y
                        : combiner == Combiner::Max ? (less ? y : x)
                                                    : (less ? x : y);
      if (element == Element::I1) // or, and
        result = combiner == Combiner::Add ? (x | y) : combiner == Combiner::Mul ? (x & y) : result;
      storeInteger(element, into, static_cast<int64_t>(result));
      return;
    }
    double a = loadDouble(element, into), b = loadDouble(element, with), result;
    switch (combiner) {
    case Combiner::Add:
      result = element == Element::F64 ? a + b : static_cast<float>(a) + static_cast<float>(b);
      break;
    case Combiner::Mul:
      result = element == Element::F64 ? a * b : static_cast<float>(a) * static_cast<float>(b);
      break;
    default: // NaN wins
      result = std::isnan(a) ? a : std::isnan(b) ? b : combiner == Combiner::Max ? std::fmax(a, b) : std::fmin(a, b);
      break;
    }
    storeDouble(element, into, result, Overflow::ToNaN);
  }
  /// The element that combines with anything to that.
  void neutral(Combiner combiner, char *at) const {
    if (combiner == Combiner::Add)
      return storeInteger(element, at, 0);
    if (combiner == Combiner::Mul)
      return floats ? storeDouble(element, at, 1, Overflow::ToNaN) : storeInteger(element, at, 1);
    bool low = combiner == Combiner::Max;
    if (floats)
      return storeDouble(element, at, low ? -INFINITY : INFINITY, Overflow::Saturate);
    unsigned bits = element == Element::I1 ? 1 : packedBits(element);
    if (isUnsigned(element) || element == Element::I1)
      return storeInteger(element, at, low ? 0 : -1);
    int64_t lowest = static_cast<int64_t>(~uint64_t(0) << (bits - 1));
    storeInteger(element, at, low ? lowest : ~lowest);
  }
  Element element;
  bool floats;
  unsigned bytes;
};
} // namespace

/// The first k of each row of the last dim in the total order.
static LogicalResult runOrder(Runner &runner, Operation *op, const HostTensor &x, int64_t k, bool largest) {
  int64_t n = x.shape().back();
  if (k > n)
    return op->emitOpError("expects k to be at most ") << n << ", found " << k;
  SmallVector<int64_t> shape(x.shape());
  shape.back() = k;
  FailureOr<HostTensor> values = runner.make(op, x.elementType(), shape),
                        indices = runner.make(op, getElementTypeOrSelf(op->getResult(1).getType()), shape);
  if (failed(values) || failed(indices))
    return failure();
  Numbers numbers(x.element());
  int64_t rows = n ? x.numElements() / n : 0;
  char *value = values->mutableData(), *index = indices->mutableData();
  for (int64_t r = 0; r < rows; ++r) {
    const char *row = x.data() + r * n * numbers.bytes;
    SmallVector<int64_t> order = llvm::to_vector(llvm::seq<int64_t>(0, n));
    llvm::sort(order, [&](int64_t a, int64_t b) {
      const char *x = row + a * numbers.bytes, *y = row + b * numbers.bytes;
      return numbers.before(x, y, largest) || (!numbers.before(y, x, largest) && a < b);
    });
    for (int64_t j = 0; j < k; ++j) {
      std::memcpy(value + (r * k + j) * numbers.bytes, row + order[j] * numbers.bytes, numbers.bytes);
      storeInteger(indices->element(), index + (r * k + j) * indices->bytesPerElement(), order[j]);
    }
  }
  if (failed(runner.setResult(op, 0, std::move(*values))))
    return failure();
  return runner.setResult(op, 1, std::move(*indices));
}

static LogicalResult runScan(Runner &runner, ScanOp op) {
  HostTensor x = runner.tensor(op.getX()), out(x.elementType(), x.shape());
  int64_t axis = op.getAxis(), n = x.dim(axis), inner = rowMajor(x.shape())[axis],
          outer = x.numElements() ? x.numElements() / (n * inner) : 0;
  Numbers numbers(x.element());
  char *to = out.mutableData();
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < inner; ++i) {
      char running[8];
      numbers.neutral(op.getCombiner(), running);
      for (int64_t step = 0; step < n; ++step) {
        int64_t k = op.getReverse() ? n - 1 - step : step, at = ((o * n + k) * inner + i) * numbers.bytes;
        if (op.getExclusive())
          std::memcpy(to + at, running, numbers.bytes);
        if (step == 0)
          std::memcpy(running, x.data() + at, numbers.bytes);
        else
          numbers.combine(op.getCombiner(), running, x.data() + at);
        if (!op.getExclusive())
          std::memcpy(to + at, running, numbers.bytes);
      }
    }
  return runner.setResult(op, 0, std::move(out));
}

static LogicalResult runScatter(Runner &runner, ScatterOp op) {
  HostTensor indices = runner.tensor(op.getIndices()), updates = runner.tensor(op.getUpdates()),
             out = runner.tensor(op.getData());
  int64_t width = indices.shape().back();
  SmallVector<int64_t> expected(indices.shape().drop_back());
  expected.append(out.shape().begin() + width, out.shape().end());
  if (ArrayRef<int64_t>(expected) != updates.shape())
    return op.emitOpError("expects updates of shape [") << ArrayRef(expected) << "], found [" << updates.shape() << "]";
  int64_t slice = 1, rows = 1;
  for (int64_t d : out.shape().drop_front(width))
    slice *= d;
  for (int64_t d : indices.shape().drop_back())
    rows *= d;
  SmallVector<int64_t> strides = rowMajor(out.shape());
  Numbers numbers(out.element());
  char *to = out.mutableData();
  for (int64_t r = 0; r < rows; ++r) {
    int64_t start = 0;
    for (int64_t i = 0; i < width; ++i) {
      int64_t given = indices.integer(r * width + i), index = given + (given < 0 ? out.dim(i) : 0);
      if (index < 0 || index >= out.dim(i))
        return op.emitOpError("expects an index in [") << -out.dim(i) << ", " << out.dim(i) << "), found " << given;
      start += index * strides[i];
    }
    for (int64_t i = 0; i < slice; ++i)
      numbers.combine(op.getCombiner(), to + (start + i) * numbers.bytes,
                      updates.data() + (r * slice + i) * numbers.bytes);
  }
  return runner.setResult(op, 0, std::move(out));
}

static LogicalResult runNonZero(Runner &runner, NonZeroOp op) {
  HostTensor x = runner.tensor(op.getX());
  int64_t size = x.numElements(), count = 0;
  FailureOr<HostTensor> indices = runner.make(op, getElementTypeOrSelf(op.getResult(0).getType()), {x.rank(), size}),
                        number = runner.make(op, getElementTypeOrSelf(op.getResult(1).getType()), {});
  if (failed(indices) || failed(number))
    return failure();
  char *to = indices->mutableData();
  SmallVector<int64_t> index(x.rank(), 0);
  for (int64_t i = 0; i < size; ++i, advance(index, x.shape())) {
    bool zero = isFloat(x.element()) ? x.number(i) == 0 : x.integer(i) == 0;
    if (zero)
      continue;
    for (int64_t d = 0; d < x.rank(); ++d)
      storeInteger(indices->element(), to + (d * size + count) * indices->bytesPerElement(), index[d]);
    ++count;
  }
  storeInteger(number->element(), number->mutableData(), count);
  if (failed(runner.setResult(op, 0, std::move(*indices))))
    return failure();
  return runner.setResult(op, 1, std::move(*number));
}

std::optional<LogicalResult> moe::runPrimitiveOp(Runner &runner, Operation *op) {
  return llvm::TypeSwitch<Operation *, std::optional<LogicalResult>>(op)
      .Case([&](TopKOp topK) {
        return runOrder(runner, op, HostTensor(runner.tensor(topK.getX())), topK.getK(), topK.getLargest());
      })
      .Case([&](SortOp sort) {
        HostTensor x = runner.tensor(sort.getX());
        return runOrder(runner, op, x, x.shape().back(), sort.getDescending());
      })
      .Case([&](ScanOp scan) { return runScan(runner, scan); })
      .Case([&](ScatterOp scatter) { return runScatter(runner, scatter); })
      .Case([&](NonZeroOp nonzero) { return runNonZero(runner, nonzero); })
      .Default([](Operation *) { return std::nullopt; });
}
