//===- ConvertOnnxNorm.cpp - normalizations -------------------------------===//
// Statistics in the stash type (f32); the normalized value is cast to the input's type before it meets the scale.
//===----------------------------------------------------------------------===//
#include "ConvertOnnx.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::convert;

namespace {

/// v / n for every element; n is a number of elements.
Value divideByCount(OnnxLowering &l, Value v, OpFoldResult n) {
  Type elem = ranked(v).getElementType();
  Value count;
  Scalars s = l.scalars();
  if (std::optional<int64_t> c = getConstantIntValue(n))
    count = s.constant(elem, *c);
  else
    count = s.cast(s.make<arith::IndexCastOp>(l.b.getI64Type(), cast<Value>(n)), l.b.getI64Type(), elem);
  return l.elementwise(elem, {v}, [&](Scalars &s, ValueRange x) { return s.make<arith::DivFOp>(x[0], count); });
}

OpFoldResult countOf(OnnxLowering &l, Value v, ArrayRef<int64_t> axes) {
  OpFoldResult n = l.at(1);
  for (int64_t d : axes)
    n = l.mul(n, l.size(v, d));
  return n;
}

Value meanOver(OnnxLowering &l, Value v, ArrayRef<int64_t> axes) {
  return l.insertUnitDims(divideByCount(l, l.reduceSum(v, axes), countOf(l, v, axes)), axes);
}

Value inverseRoot(OnnxLowering &l, Value variance, double epsilon) {
  Type elem = ranked(variance).getElementType();
  return l.elementwise(elem, {variance}, [&](Scalars &s, ValueRange x) {
    Value root = s.make<math::SqrtOp>(s.add(x[0], s.constant(elem, epsilon)));
    return s.make<arith::DivFOp>(s.constant(elem, 1), root);
  });
}

struct Normalized {
  Value value, mean, inverse;
};

/// (v - mean) / sqrt(variance + epsilon) over `axes`; without `center` the mean stays in.
Normalized normalize(OnnxLowering &l, Value v, ArrayRef<int64_t> axes, double epsilon, bool center) {
  Type elem = ranked(v).getElementType();
  Normalized n;
  if (center) {
    n.mean = meanOver(l, v, axes);
    v = l.elementwise(elem, {v, n.mean}, [](Scalars &s, ValueRange x) { return s.sub(x[0], x[1]); });
  }
  Value squares = l.reduce(v, axes, l.scalars().constant(elem, 0),
                           [](Scalars &s, ValueRange x) { return s.add(x[0], s.mul(x[1], x[1])); });
  n.inverse = inverseRoot(l, l.insertUnitDims(divideByCount(l, squares, countOf(l, v, axes)), axes), epsilon);
  n.value = l.elementwise(elem, {v, n.inverse}, [](Scalars &s, ValueRange x) { return s.mul(x[0], x[1]); });
  return n;
}

/// normalized (in the result's type) * scale + bias, computed wide.
Value scaleAndShift(OnnxLowering &l, Value normalized, Value scale, Value bias, Type elem) {
  Value v = l.narrow(normalized, elem);
  Type wide = computeType(elem);
  SmallVector<Value> ins = {v};
  if (scale)
    ins.push_back(scale);
  if (bias)
    ins.push_back(bias);
  if (ins.size() == 1)
    return v;
  return l.elementwise(elem, ins, [&](Scalars &s, ValueRange x) {
    Value r = s.cast(x[0], elem, wide);
    unsigned next = 1;
    if (scale)
      r = s.mul(r, s.cast(x[next++], ranked(scale).getElementType(), wide));
    if (bias)
      r = s.add(r, s.cast(x[next++], ranked(bias).getElementType(), wide));
    return s.cast(r, wide, elem);
  });
}

FailureOr<SmallVector<int64_t>> lastAxes(OnnxLowering &l) {
  int64_t rank = l.rankOf(0);
  std::optional<int64_t> axis = l.axisAttr(-1, rank);
  if (!axis || rank == 0)
    return l.unsupported("expects axis in range of rank " + Twine(rank));
  return llvm::to_vector(llvm::seq<int64_t>(*axis, rank));
}

/// The type statistics are kept in; f64 input stays f64.
Type stashType(OnnxLowering &l) {
  Type stash = computeType(l.typeAttr("stash_type", l.b.getF32Type()));
  return l.elementOf(0).isF64() ? l.elementOf(0) : stash;
}

LogicalResult lowerLayerNorm(OnnxLowering &l) {
  FailureOr<SmallVector<int64_t>> axes = lastAxes(l);
  if (failed(axes))
    return failure();
  Value x = l.castElements(l.input(0), l.elementOf(0), stashType(l));
  Normalized n = normalize(l, x, *axes, l.floatAttr("epsilon", 1e-5f), /*center=*/true);
  l.set(0, scaleAndShift(l, n.value, l.input(1), l.input(2), l.resultElement()));
  if (l.onnxResult(1))
    l.set(1, l.narrow(n.mean, l.resultElement(1)));
  if (l.onnxResult(2))
    l.set(2, l.narrow(n.inverse, l.resultElement(2)));
  return success();
}

/// RMSNormalization, and com.microsoft's SimplifiedLayerNormalization with its second result.
LogicalResult lowerRmsNorm(OnnxLowering &l) {
  FailureOr<SmallVector<int64_t>> axes = lastAxes(l);
  if (failed(axes))
    return failure();
  Value x = l.castElements(l.input(0), l.elementOf(0), stashType(l));
  Normalized n = normalize(l, x, *axes, l.floatAttr("epsilon", 1e-5f), /*center=*/false);
  l.set(0, scaleAndShift(l, n.value, l.input(1), {}, l.resultElement()));
  if (l.onnxResult(1))
    l.set(1, l.narrow(n.inverse, l.resultElement(1)));
  return success();
}

/// com.microsoft: normalize(input + skip + bias), which is also the fourth result.
template <bool rms> LogicalResult lowerSkipNorm(OnnxLowering &l) {
  // Layer: input, skip, gamma, beta, bias. Simplified: input, skip, gamma, bias.
  Value beta = rms ? Value() : l.input(3), bias = rms ? l.input(3) : l.input(4);
  SmallVector<Value> terms = {l.input(0), l.input(1)};
  if (bias)
    terms.push_back(bias);
  Type elem = l.elementOf(0), wide = computeType(elem);
  Value sum = l.elementwise(wide, terms, [&](Scalars &s, ValueRange x) {
    Value acc = s.cast(x[0], elem, wide);
    for (Value v : x.drop_front())
      acc = s.add(acc, s.cast(v, elem, wide));
    return acc;
  });
  int64_t last = l.rankOf(0) - 1;
  Normalized n = normalize(l, sum, {last}, l.floatAttr("epsilon", 1e-12f), /*center=*/!rms);
  l.set(0, scaleAndShift(l, n.value, l.input(2), beta, elem));
  if (!rms && l.onnxResult(1))
    l.set(1, l.narrow(n.mean, l.resultElement(1)));
  if (l.onnxResult(2))
    l.set(2, l.narrow(n.inverse, l.resultElement(2)));
  if (l.onnxResult(3))
    l.set(3, l.narrow(sum, l.resultElement(3)));
  return success();
}

/// [C] read along dim 1 of rank `rank`.
Value perChannel(OnnxLowering &l, Value v, int64_t rank) {
  SmallVector<int64_t> after = llvm::to_vector(llvm::seq<int64_t>(1, rank - 1));
  return l.insertUnitDims(v, after);
}

LogicalResult lowerInstanceNorm(OnnxLowering &l) {
  int64_t rank = l.rankOf(0);
  if (rank < 3)
    return l.unsupported("expects rank 3 or more, but it is " + Twine(rank));
  Normalized n = normalize(l, l.widen(l.input(0)), llvm::to_vector(llvm::seq<int64_t>(2, rank)),
                           l.floatAttr("epsilon", 1e-5f), true);
  l.set(scaleAndShift(l, n.value, perChannel(l, l.input(1), rank), perChannel(l, l.input(2), rank), l.resultElement()));
  return success();
}

LogicalResult lowerGroupNorm(OnnxLowering &l) {
  int64_t rank = l.rankOf(0), groups = l.intAttr("num_groups", 1);
  if (rank < 2)
    return l.unsupported("expects rank 2 or more, but it is " + Twine(rank));
  Value x = l.castElements(l.input(0), l.elementOf(0), stashType(l));
  Sizes own = l.sizes(x), grouped = {own[0], l.at(groups), l.floorDiv(own[1], l.at(groups))};
  grouped.append(own.begin() + 2, own.end());
  Normalized n = normalize(l, l.reshape(x, grouped), llvm::to_vector(llvm::seq<int64_t>(2, rank + 1)),
                           l.floatAttr("epsilon", 1e-5f), true);
  Value v = l.reshape(n.value, own);
  l.set(scaleAndShift(l, v, perChannel(l, l.input(1), rank), perChannel(l, l.input(2), rank), l.resultElement()));
  return success();
}

LogicalResult lowerBatchNorm(OnnxLowering &l) {
  if (l.intAttr("training_mode", 0))
    return l.unsupported("expects training_mode 0, but it is 1");
  int64_t rank = l.rankOf(0);
  Type elem = l.elementOf(0), wide = computeType(elem);
  SmallVector<Value> ins = {l.input(0)};
  for (unsigned i = 1; i < 5; ++i)
    ins.push_back(perChannel(l, l.widen(l.input(i)), std::max<int64_t>(rank, 2)));
  double epsilon = l.floatAttr("epsilon", 1e-5f);
  l.set(l.elementwise(elem, ins, [&](Scalars &s, ValueRange x) {
    SmallVector<Value> v;
    for (auto [value, in] : llvm::zip(x, ins))
      v.push_back(s.cast(value, ranked(in).getElementType(), wide));
    Value root = s.make<math::SqrtOp>(s.add(v[4], s.constant(wide, epsilon)));
    Value n = s.make<arith::DivFOp>(s.sub(v[0], v[3]), root);
    return s.cast(s.add(s.mul(n, v[1]), v[2]), wide, elem);
  }));
  return success();
}

LogicalResult lowerLpNorm(OnnxLowering &l) {
  std::optional<int64_t> axis = l.axisAttr(-1, l.rankOf(0));
  int64_t p = l.intAttr("p", 2);
  if (!axis || l.rankOf(0) == 0 || (p != 1 && p != 2))
    return l.unsupported("expects axis in range and p 1 or 2, but p is " + Twine(p));
  Value x = l.widen(l.input(0));
  Type wide = ranked(x).getElementType(), elem = l.elementOf(0);
  Value norm = l.reduce(x, {*axis}, l.scalars().constant(wide, 0), [&](Scalars &s, ValueRange v) {
    return s.add(v[0], p == 1 ? s.make<math::AbsFOp>(v[1]) : s.mul(v[1], v[1]));
  });
  l.set(l.elementwise(elem, {x, l.insertUnitDims(norm, {*axis})}, [&](Scalars &s, ValueRange v) {
    Value n = p == 1 ? v[1] : s.make<math::SqrtOp>(v[1]);
    Value zero = s.constant(wide, 0);
    Value q = s.select(s.cmp(arith::CmpFPredicate::OEQ, n, zero), zero, s.make<arith::DivFOp>(v[0], n));
    return s.cast(q, wide, elem);
  }));
  return success();
}

LogicalResult lowerMeanVariance(OnnxLowering &l) {
  SmallVector<int64_t> axes = l.intsAttr("axes").value_or(SmallVector<int64_t>{0, 2, 3});
  int64_t rank = l.rankOf(0);
  for (int64_t &a : axes) {
    a = a < 0 ? a + rank : a;
    if (a < 0 || a >= rank)
      return l.unsupported("expects axes in range");
  }
  llvm::sort(axes);
  Normalized n = normalize(l, l.widen(l.input(0)), axes, 1e-9, true);
  l.set(l.narrow(n.value, l.resultElement()));
  return success();
}

} // namespace

void convert::addNorm(LowerTable &t) {
  t["LayerNormalization"] = lowerLayerNorm;
  t["RMSNormalization"] = lowerRmsNorm;
  t["ms.SimplifiedLayerNormalization"] = lowerRmsNorm;
  t["ms.SkipLayerNormalization"] = lowerSkipNorm<false>;
  t["ms.SkipSimplifiedLayerNormalization"] = lowerSkipNorm<true>;
  t["InstanceNormalization"] = lowerInstanceNorm;
  t["GroupNormalization"] = lowerGroupNorm;
  t["BatchNormalization"] = lowerBatchNorm;
  t["LpNormalization"] = lowerLpNorm;
  t["MeanVarianceNormalization"] = lowerMeanVariance;
}
