//===- ConvertOnnxReduce.cpp - reductions, arg max, softmax, running sums ----===//
// Narrow floats accumulate in f32. Softmax subtracts the maximum first.
//===----------------------------------------------------------------------===//
#include "ConvertOnnx.h"

#include "dialects/moe/Moe.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::convert;

namespace {

using F = arith::CmpFPredicate;
using I = arith::CmpIPredicate;

enum class Kind { Sum, Mean, Max, Min, Prod, L1, L2, LogSum, LogSumExp, SumSquare };

Value map(Scalars &s, Value x, Kind kind, bool uns) {
  switch (kind) {
  case Kind::L1:
    if (isa<FloatType>(x.getType()))
      return s.make<math::AbsFOp>(x);
    return uns ? x : s.max(x, s.negate(x));
  case Kind::L2:
  case Kind::SumSquare:
    return s.mul(x, x);
  default:
    return x;
  }
}

Value combine(Scalars &s, Value acc, Value x, Kind kind, bool uns) {
  switch (kind) {
  case Kind::Max:
    return s.max(acc, x, uns);
  case Kind::Min:
    return s.min(acc, x, uns);
  case Kind::Prod:
    return s.mul(acc, x);
  default:
    return s.add(acc, x);
  }
}

/// What stands after the reduction: the mean's division, a root, a logarithm. `count` is null unless needed.
Value finish(Scalars &s, Value x, Kind kind, Value count, bool uns) {
  Type elem = x.getType();
  bool isFloat = isa<FloatType>(elem);
  if (kind == Kind::Mean) {
    if (isFloat)
      return s.make<arith::DivFOp>(x, count);
    Value safe = s.select(s.cmp(I::eq, count, s.integer(elem, 0)), s.integer(elem, 1), count);
    return uns ? s.make<arith::DivUIOp>(x, safe) : s.make<arith::DivSIOp>(x, safe);
  }
  if (kind != Kind::L2 && kind != Kind::LogSum)
    return x;
  Type f = isFloat ? elem : Type(s.b.getF64Type());
  Type from = isFloat ? elem
                      : Type(IntegerType::get(s.b.getContext(), elem.getIntOrFloatBitWidth(),
                                              uns ? IntegerType::Unsigned : IntegerType::Signed));
  Value v = s.cast(x, from, f);
  v = kind == Kind::L2 ? s.make<math::SqrtOp>(v) : s.make<math::LogOp>(v);
  return s.cast(v, f, from);
}

/// Number of reduced elements in the type of the sum.
Value countAs(OnnxLowering &l, OpFoldResult count, Type elem) {
  Scalars s = l.scalars();
  if (std::optional<int64_t> c = getConstantIntValue(count))
    return s.constant(elem, *c);
  Value i = s.make<arith::IndexCastOp>(l.b.getI64Type(), cast<Value>(count));
  return s.cast(i, l.b.getI64Type(), elem);
}

/// Reduces the axes whose flag is set at run time: extents of the others stay, those become one. Loops over the result, and
/// inside over the reduced part of the input.
Value reduceFlagged(OnnxLowering &l, Value x, ArrayRef<Value> flags, Value init, Body body) {
  int64_t rank = flags.size();
  Scalars s = l.scalars();
  Sizes own = l.sizes(x), outer, inner;
  for (auto [flag, size] : llvm::zip(flags, own)) {
    outer.push_back(OpFoldResult(s.select(flag, s.index(1), l.value(size))));
    inner.push_back(OpFoldResult(s.select(flag, l.value(size), s.index(1))));
  }
  Value start = l.fill(init.getType(), outer, init), extents = l.empty(l.b.getI1Type(), inner);
  SmallVector<AffineExpr> outExprs, inExprs;
  for (int64_t d = 0; d < rank; ++d) {
    outExprs.push_back(l.b.getAffineDimExpr(d));
    inExprs.push_back(l.b.getAffineDimExpr(rank + d));
  }
  Sizes loops(outer);
  loops.append(inner);
  MLIRContext *ctx = l.b.getContext();
  return l.contraction(start, loops, AffineMap::get(2 * rank, 0, outExprs, ctx), {extents},
                       {AffineMap::get(2 * rank, 0, inExprs, ctx)}, [&](Scalars &s, ValueRange args) {
                         SmallVector<Value> place;
                         for (int64_t d = 0; d < rank; ++d)
                           place.push_back(s.select(flags[d], s.position(rank + d), s.position(d)));
                         return body(s, {args[1], s.make<tensor::ExtractOp>(x, place)});
                       });
}

template <Kind kind> LogicalResult lowerReduce(OnnxLowering &l) {
  int64_t rank = l.rankOf(0);
  Type elem = l.elementOf(0);
  bool uns = isUnsigned(elem), isFloat = isa<FloatType>(elem);
  bool keep = l.intAttr("keepdims", 1), noop = l.intAttr("noop_with_empty_axes", 0);
  Value axesInput = l.onnxInput(1);
  bool runTime = axesInput && !l.constantInts(axesInput);
  if (runTime && ranked(axesInput).isDynamicDim(0))
    return l.unsupported("expects axes of known number");
  if (runTime && ranked(axesInput).getDimSize(0) == 0)
    runTime = false;
  SmallVector<int64_t> axes;
  if (!runTime) {
    bool given;
    FailureOr<SmallVector<int64_t>> found = l.axes(1, rank, given);
    if (failed(found))
      return failure();
    axes = *found;
    if (axes.empty() && !noop)
      axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
    if (axes.empty() &&
        (kind == Kind::Sum || kind == Kind::Max || kind == Kind::Min || kind == Kind::Mean || kind == Kind::Prod)) {
      l.set(l.input(0));
      return success();
    }
  }
  llvm::sort(axes);
  SmallVector<Value> flags;
  if (runTime)
    for (int64_t d = 0; d < rank; ++d)
      flags.push_back(l.isAmong(axesInput, d, rank));
  auto reduce = [&](Value v, Value init, Body body) {
    return runTime ? reduceFlagged(l, v, flags, init, body) : l.reduce(v, axes, init, body);
  };
  auto keepDims = [&](Value v) { return runTime ? v : l.insertUnitDims(v, axes); };

  Value x = l.widen(l.input(0)), result;
  Type acc = ranked(x).getElementType();
  Scalars s = l.scalars();
  Value zero = s.constant(acc, 0);
  if (kind == Kind::LogSumExp) {
    if (!isFloat)
      return l.unsupported("expects a float input");
    // A maximum that is not finite is not subtracted: inf - inf would be NaN.
    Value top = reduce(x, l.lowest(acc), [&](Scalars &s, ValueRange v) { return s.max(v[0], v[1]); });
    Value shift = l.elementwise(acc, {top}, [&](Scalars &s, ValueRange v) {
      Value finite =
          s.cmp(F::OLT, s.make<math::AbsFOp>(v[0]), s.constant(acc, std::numeric_limits<double>::infinity()));
      return s.select(finite, v[0], s.constant(acc, 0));
    });
    Value e =
        l.elementwise(acc, {x, keepDims(shift)}, [](Scalars &s, ValueRange v) { return s.exp(s.sub(v[0], v[1])); });
    Value sum = reduce(e, zero, [](Scalars &s, ValueRange v) { return s.add(v[0], v[1]); });
    result = l.elementwise(elem, {sum, shift}, [&](Scalars &s, ValueRange v) {
      return s.cast(s.add(s.make<math::LogOp>(v[0]), v[1]), acc, elem);
    });
  } else {
    Value init = kind == Kind::Max    ? l.lowest(acc, uns)
                 : kind == Kind::Min  ? l.highest(acc, uns)
                 : kind == Kind::Prod ? s.constant(acc, 1)
                                      : zero;
    result =
        reduce(x, init, [&](Scalars &s, ValueRange v) { return combine(s, v[0], map(s, v[1], kind, uns), kind, uns); });
    Value count;
    if (kind == Kind::Mean) {
      OpFoldResult n = l.at(1);
      for (auto [d, size] : llvm::enumerate(l.sizes(x))) {
        if (runTime)
          n = l.mul(n, OpFoldResult(s.select(flags[d], l.value(size), s.index(1))));
        else if (llvm::is_contained(axes, static_cast<int64_t>(d)))
          n = l.mul(n, size);
      }
      count = countAs(l, n, acc);
    }
    if (kind == Kind::Mean || kind == Kind::L2 || kind == Kind::LogSum || acc != signless(elem))
      result = l.elementwise(signless(elem), {result}, [&](Scalars &s, ValueRange v) {
        Value r = finish(s, v[0], kind, count, uns);
        return acc == signless(elem) ? r : s.cast(r, acc, elem);
      });
  }
  if (!runTime) {
    l.set(keep ? l.insertUnitDims(result, axes) : result);
    return success();
  }
  if (!keep)
    result = l.reshape(result, l.pickedSizes(
                                   result,
                                   [&](int64_t d) {
                                     Scalars s = l.scalars();
                                     return s.make<arith::XOrIOp>(flags[d], s.integer(l.b.getI1Type(), 1));
                                   },
                                   l.resultType().getRank()));
  l.set(result);
  return success();
}

/// Position of the largest (smallest) element; NaN counts as that. First or last of equals.
Value argExtreme(OnnxLowering &l, Value x, int64_t axis, bool largest, bool last, bool uns) {
  Type elem = ranked(x).getElementType(), i64 = l.b.getI64Type();
  Value init = largest ? l.lowest(elem, uns) : l.highest(elem, uns);
  Value best = l.reduce(x, {axis}, init, [&](Scalars &s, ValueRange v) {
    return largest ? s.max(v[0], v[1], uns) : s.min(v[0], v[1], uns);
  });
  int64_t rank = ranked(x).getRank();
  Sizes loops = l.sizes(x), kept(loops);
  kept.erase(kept.begin() + axis);
  SmallVector<AffineExpr> keptExprs;
  for (int64_t d = 0; d < rank; ++d)
    if (d != axis)
      keptExprs.push_back(l.b.getAffineDimExpr(d));
  AffineMap keptMap = AffineMap::get(rank, 0, keptExprs, l.b.getContext());
  Scalars s = l.scalars();
  Value start = l.fill(i64, kept, s.integer(i64, last ? 0 : std::numeric_limits<int64_t>::max()));
  return l.contraction(
      start, loops, keptMap, {x, best}, {l.b.getMultiDimIdentityMap(rank), keptMap}, [&](Scalars &s, ValueRange v) {
        Value hit = isa<FloatType>(elem) ? s.make<arith::OrIOp>(s.cmp(F::OEQ, v[0], v[1]), s.cmp(F::UNO, v[0], v[0]))
                                         : s.cmp(I::eq, v[0], v[1]);
        Value p = s.make<arith::IndexCastOp>(i64, s.position(axis));
        return s.select(hit, last ? s.max(v[2], p) : s.min(v[2], p), v[2]);
      });
}

template <bool largest> LogicalResult lowerArg(OnnxLowering &l) {
  std::optional<int64_t> axis = l.axisAttr(0, l.rankOf(0));
  if (!axis || l.rankOf(0) == 0)
    return l.unsupported("expects axis in range");
  Value index =
      argExtreme(l, l.widen(l.input(0)), *axis, largest, l.intAttr("select_last_index", 0), isUnsigned(l.elementOf(0)));
  l.set(l.intAttr("keepdims", 1) ? l.insertUnitDims(index, {*axis}) : index);
  return success();
}

LogicalResult lowerSoftmax(OnnxLowering &l) {
  std::optional<int64_t> axis = l.axisAttr(-1, l.rankOf(0));
  if (!axis)
    return l.unsupported("expects axis in range");
  if (l.rankOf(0) == 0) {
    l.set(l.reshape(l.narrow(l.softmax(l.widen(l.insertUnitDims(l.input(0), {0})), 0), l.elementOf(0)), {}));
    return success();
  }
  l.set(l.narrow(l.softmax(l.widen(l.input(0)), *axis), l.elementOf(0)));
  return success();
}

LogicalResult lowerLogSoftmax(OnnxLowering &l) {
  std::optional<int64_t> axis = l.axisAttr(-1, l.rankOf(0));
  if (!axis || l.rankOf(0) == 0)
    return l.unsupported("expects axis in range");
  l.set(l.narrow(l.logSoftmax(l.widen(l.input(0)), *axis), l.elementOf(0)));
  return success();
}

LogicalResult lowerHardmax(OnnxLowering &l) {
  std::optional<int64_t> axis = l.axisAttr(-1, l.rankOf(0));
  if (!axis || l.rankOf(0) == 0)
    return l.unsupported("expects axis in range");
  Value x = l.widen(l.input(0));
  Value index = l.insertUnitDims(argExtreme(l, x, *axis, true, false, false), {*axis});
  Type elem = l.elementOf(0), wide = computeType(elem);
  l.set(l.elementwise(elem, {x, index}, [&](Scalars &s, ValueRange v) {
    Value p = s.make<arith::IndexCastOp>(l.b.getI64Type(), s.position(*axis));
    return s.cast(s.select(s.cmp(I::eq, p, v[1]), s.constant(wide, 1), s.constant(wide, 0)), wide, elem);
  }));
  return success();
}

template <Combiner combiner> LogicalResult lowerScan(OnnxLowering &l) {
  Value x = l.widen(l.input(0));
  int64_t rank = l.rankOf(0);
  Type elem = l.elementOf(0);
  auto scan = [&](int64_t axis) {
    Value v = ScanOp::create(l.b, l.loc, TypeRange{x.getType()}, x, ValueRange{}, axis, combiner,
                             l.intAttr("exclusive", 0) != 0, l.intAttr("reverse", 0) != 0)
                  .getResult(0);
    l.setShape(v, l.shapeOf(x));
    return l.narrow(v, signless(elem));
  };
  std::optional<SmallVector<int64_t>> known = l.constantInts(l.onnxInput(1));
  if (rank == 1)
    known = SmallVector<int64_t>{0};
  if (known) {
    int64_t axis = known->front() < 0 ? known->front() + rank : known->front();
    if (axis < 0 || axis >= rank)
      return l.unsupported("expects axis in [-" + Twine(rank) + ", " + Twine(rank) + "), but it is " +
                           Twine(known->front()));
    l.set(scan(axis));
    return success();
  }
  // Which axis it is, run time tells: every one is scanned.
  Value axis = l.value(l.element(l.onnxInput(1), 0)), result = scan(0);
  for (int64_t d = 1; d < rank; ++d) {
    Scalars s = l.scalars();
    Value hit = s.make<arith::OrIOp>(s.cmp(I::eq, axis, s.index(d)), s.cmp(I::eq, axis, s.index(d - rank)));
    result = l.elementwise(signless(elem), {scan(d), result},
                           [&](Scalars &s, ValueRange v) { return s.select(hit, v[0], v[1]); });
  }
  l.set(result);
  return success();
}

} // namespace

Value OnnxLowering::isAmong(Value onnxAxes, int64_t axis, int64_t rank) {
  Scalars s = scalars();
  Value found = s.integer(b.getI1Type(), 0);
  for (int64_t k = 0, n = ranked(onnxAxes).getRank() == 0 ? 1 : ranked(onnxAxes).getDimSize(0); k < n; ++k) {
    Value a = value(element(onnxAxes, k));
    Value hit = s.make<arith::OrIOp>(s.cmp(I::eq, a, s.index(axis)), s.cmp(I::eq, a, s.index(axis - rank)));
    found = s.make<arith::OrIOp>(found, hit);
  }
  return found;
}

Value OnnxLowering::logSoftmax(Value v, int64_t axis) {
  Type elem = ranked(v).getElementType();
  Value top = insertUnitDims(reduceMax(v, {axis}), {axis});
  Value shifted = elementwise(elem, {v, top}, [](Scalars &s, ValueRange x) { return s.sub(x[0], x[1]); });
  Value e = elementwise(elem, {shifted}, [](Scalars &s, ValueRange x) { return s.exp(x[0]); });
  Value sum = insertUnitDims(reduceSum(e, {axis}), {axis});
  return elementwise(elem, {shifted, sum},
                     [](Scalars &s, ValueRange x) { return s.sub(x[0], s.make<math::LogOp>(x[1])); });
}

void convert::addReduce(LowerTable &t) {
  t["ReduceSum"] = lowerReduce<Kind::Sum>;
  t["ReduceMean"] = lowerReduce<Kind::Mean>;
  t["ReduceMax"] = lowerReduce<Kind::Max>;
  t["ReduceMin"] = lowerReduce<Kind::Min>;
  t["ReduceProd"] = lowerReduce<Kind::Prod>;
  t["ReduceL1"] = lowerReduce<Kind::L1>;
  t["ReduceL2"] = lowerReduce<Kind::L2>;
  t["ReduceLogSum"] = lowerReduce<Kind::LogSum>;
  t["ReduceLogSumExp"] = lowerReduce<Kind::LogSumExp>;
  t["ReduceSumSquare"] = lowerReduce<Kind::SumSquare>;
  t["ArgMax"] = lowerArg<true>;
  t["ArgMin"] = lowerArg<false>;
  t["Softmax"] = lowerSoftmax;
  t["LogSoftmax"] = lowerLogSoftmax;
  t["Hardmax"] = lowerHardmax;
  t["CumSum"] = lowerScan<Combiner::Add>;
  t["CumProd"] = lowerScan<Combiner::Mul>;
}
