//===- ConvertOnnxConv.cpp - convolutions and pools of any rank -----------===//
// Loops over result and window; what lies in the padding is not read.
//===----------------------------------------------------------------------===//
#include "ConvertOnnx.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::convert;

namespace {

using I = arith::CmpIPredicate;

/// The window of a node over the spatial dims (from dim 2 on).
struct Window {
  int64_t spatial;
  SmallVector<int64_t> kernel, strides, dilations;
  Sizes padBegin, padEnd, in, out;
};

FailureOr<Window> windowOf(OnnxLowering &l, Value x, ArrayRef<int64_t> kernel) {
  Window w;
  w.spatial = ranked(x).getRank() - 2;
  w.kernel = SmallVector<int64_t>(kernel);
  w.strides = l.intsAttr("strides").value_or(SmallVector<int64_t>(w.spatial, 1));
  w.dilations = l.intsAttr("dilations").value_or(SmallVector<int64_t>(w.spatial, 1));
  SmallVector<int64_t> pads = l.intsAttr("pads").value_or(SmallVector<int64_t>(2 * w.spatial, 0));
  std::string automatic = l.stringAttr("auto_pad", "NOTSET");
  bool ceil = l.intAttr("ceil_mode", 0);
  if (w.spatial < 1 || static_cast<int64_t>(kernel.size()) != w.spatial ||
      static_cast<int64_t>(w.strides.size()) != w.spatial || static_cast<int64_t>(w.dilations.size()) != w.spatial ||
      static_cast<int64_t>(pads.size()) != 2 * w.spatial || llvm::any_of(kernel, ShapedType::isDynamic) ||
      llvm::any_of(w.strides, [](int64_t s) { return s < 1; }))
    return l.unsupported("expects one known kernel extent, stride, dilation and pad pair a spatial dim");
  for (int64_t d = 0; d < w.spatial; ++d) {
    OpFoldResult in = l.size(x, 2 + d), stride = l.at(w.strides[d]);
    int64_t reach = (w.kernel[d] - 1) * w.dilations[d] + 1;
    OpFoldResult begin = l.at(pads[d]), end = l.at(pads[d + w.spatial]), out;
    if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
      out = l.ceilDiv(in, stride);
      OpFoldResult total = l.max(l.sub(l.add(l.mul(l.sub(out, l.at(1)), stride), l.at(reach)), in), l.at(0));
      OpFoldResult less = l.floorDiv(total, l.at(2)), more = l.sub(total, less);
      begin = automatic == "SAME_UPPER" ? less : more;
      end = automatic == "SAME_UPPER" ? more : less;
    } else {
      if (automatic == "VALID")
        begin = end = l.at(0);
      OpFoldResult room = l.sub(l.add(l.add(in, begin), end), l.at(reach));
      out = l.add(ceil ? l.ceilDiv(room, stride) : l.floorDiv(room, stride), l.at(1));
      if (ceil) {
        // A window that would start in the padding behind does not count.
        OpFoldResult last = l.mul(l.sub(out, l.at(1)), stride), edge = l.add(in, begin);
        Scalars s = l.scalars();
        if (getConstantIntValue(last) && getConstantIntValue(edge))
          out = *getConstantIntValue(last) >= *getConstantIntValue(edge) ? l.sub(out, l.at(1)) : out;
        else
          out = OpFoldResult(
              s.select(s.cmp(I::sge, l.value(last), l.value(edge)), l.value(l.sub(out, l.at(1))), l.value(out)));
      }
      out = l.max(out, l.at(0));
    }
    w.padBegin.push_back(begin);
    w.padEnd.push_back(end);
    w.in.push_back(in);
    w.out.push_back(l.resultSize(2 + d).value_or(out));
  }
  return w;
}

/// Place in the input of window position `kernelDims` at result position `outDims`, and whether it is inside.
Value placeOf(Scalars &s, const Window &w, ArrayRef<Value> begins, ArrayRef<Value> extents, int64_t outDim,
              int64_t kernelDim, SmallVectorImpl<Value> &place) {
  Value inside = s.integer(s.b.getI1Type(), 1), zero = s.index(0);
  for (int64_t d = 0; d < w.spatial; ++d) {
    Value p = s.add(s.mul(s.position(outDim + d), s.index(w.strides[d])),
                    s.mul(s.position(kernelDim + d), s.index(w.dilations[d])));
    p = s.sub(p, begins[d]);
    inside = s.make<arith::AndIOp>(inside, s.make<arith::AndIOp>(s.cmp(I::sge, p, zero), s.cmp(I::slt, p, extents[d])));
    place.push_back(s.max(s.min(p, s.sub(extents[d], s.index(1))), zero));
  }
  return inside;
}

SmallVector<Value> valuesOf(OnnxLowering &l, ArrayRef<OpFoldResult> list) {
  return llvm::map_to_vector(list, [&](OpFoldResult v) { return l.value(v); });
}

LogicalResult lowerConv(OnnxLowering &l) {
  Value x = l.input(0), weight = l.input(1), bias = l.input(2);
  int64_t rank = l.rankOf(0), groups = l.intAttr("group", 1);
  if (rank < 3 || l.rankOf(1) != rank || groups < 1)
    return l.unsupported("expects input and weight of one rank of 3 or more");
  FailureOr<Window> w = windowOf(l, x, ranked(weight).getShape().drop_front(2));
  if (failed(w))
    return failure();
  Type elem = l.elementOf(0), acc = computeType(elem);
  int64_t n = w->spatial;
  // Loops: batch, group, channel in group, result dims, input channel in group, kernel dims.
  OpFoldResult channels = l.floorDiv(l.size(weight, 0), l.at(groups)), inputs = l.size(weight, 1);
  Sizes grouped = {l.at(groups), channels};
  for (int64_t d = 1; d < rank; ++d)
    grouped.push_back(l.size(weight, d));
  Value kernel = l.reshape(weight, grouped);
  Sizes loops = {l.size(x, 0), l.at(groups), channels};
  llvm::append_range(loops, w->out);
  Sizes outSizes(loops);
  loops.push_back(inputs);
  for (int64_t k : w->kernel)
    loops.push_back(l.at(k));
  int64_t total = loops.size(), inputDim = 3 + n, kernelDim = 4 + n;
  MLIRContext *ctx = l.b.getContext();
  SmallVector<AffineExpr> outExprs,
      kernelExprs = {l.b.getAffineDimExpr(1), l.b.getAffineDimExpr(2), l.b.getAffineDimExpr(inputDim)};
  for (int64_t d = 0; d < 3 + n; ++d)
    outExprs.push_back(l.b.getAffineDimExpr(d));
  for (int64_t d = 0; d < n; ++d)
    kernelExprs.push_back(l.b.getAffineDimExpr(kernelDim + d));
  SmallVector<Value> begins = valuesOf(l, w->padBegin), extents = valuesOf(l, w->in);
  Value perGroup = l.value(inputs);
  Value init = l.fill(acc, outSizes, l.scalars().constant(acc, 0));
  Value y = l.contraction(init, loops, AffineMap::get(total, 0, outExprs, ctx), {kernel},
                          {AffineMap::get(total, 0, kernelExprs, ctx)}, [&](Scalars &s, ValueRange v) {
                            SmallVector<Value> place = {s.position(0),
                                                        s.add(s.mul(s.position(1), perGroup), s.position(inputDim))};
                            Value inside = placeOf(s, *w, begins, extents, 3, kernelDim, place);
                            Value a = s.cast(s.make<tensor::ExtractOp>(x, place), elem, acc);
                            Value term = s.mul(a, s.cast(v[0], elem, acc));
                            return s.select(inside, s.add(v[1], term), v[1]);
                          });
  Sizes flat = {outSizes[0], l.size(weight, 0)};
  flat.append(outSizes.begin() + 3, outSizes.end());
  y = l.reshape(y, flat);
  if (bias)
    y = l.elementwise(acc, {y, l.insertUnitDims(bias, llvm::to_vector(llvm::seq<int64_t>(1, rank - 1)))},
                      [&](Scalars &s, ValueRange v) { return s.add(v[0], s.cast(v[1], elem, acc)); });
  l.set(l.narrow(y, elem));
  return success();
}

enum class Pool { Max, Average, Lp };

template <Pool kind> LogicalResult lowerPool(OnnxLowering &l) {
  Value x = l.input(0);
  if (kind == Pool::Max && l.onnxResult(1) && !l.onnxResult(1).use_empty())
    return l.unsupported("expects no use of the result Indices");
  FailureOr<Window> w = windowOf(l, x, l.intsAttr("kernel_shape").value_or(SmallVector<int64_t>()));
  if (failed(w))
    return failure();
  Type elem = l.elementOf(0), acc = computeType(elem);
  bool uns = isUnsigned(elem), includePad = l.intAttr("count_include_pad", 0);
  int64_t n = w->spatial, p = l.intAttr("p", 2);
  if (kind == Pool::Lp && p != 1 && p != 2)
    return l.unsupported("expects p 1 or 2, but it is " + Twine(p));
  Sizes outSizes = {l.size(x, 0), l.size(x, 1)};
  llvm::append_range(outSizes, w->out);
  Sizes loops(outSizes), kernelSizes;
  for (int64_t k : w->kernel)
    kernelSizes.push_back(l.at(k));
  llvm::append_range(loops, kernelSizes);
  MLIRContext *ctx = l.b.getContext();
  AffineMap all = l.b.getMultiDimIdentityMap(loops.size());
  AffineMap outMap = all.getMajorSubMap(2 + n), kernelMap = all.getMinorSubMap(n);
  SmallVector<Value> begins = valuesOf(l, w->padBegin), extents = valuesOf(l, w->in), ends = valuesOf(l, w->padEnd);
  Value window = l.empty(l.b.getI1Type(), kernelSizes);
  Value start = kind == Pool::Max ? l.lowest(signless(acc), uns) : l.scalars().constant(acc, 0);
  Value init = l.fill(signless(acc), outSizes, start);
  Value y = l.contraction(init, loops, outMap, {window}, {kernelMap}, [&](Scalars &s, ValueRange v) {
    SmallVector<Value> place = {s.position(0), s.position(1)};
    Value inside = placeOf(s, *w, begins, extents, 2, 2 + n, place);
    Value a = s.make<tensor::ExtractOp>(x, place);
    a = isa<FloatType>(elem) ? s.cast(a, elem, acc) : a;
    if (kind == Pool::Lp)
      a = p == 1 ? s.make<math::AbsFOp>(a) : s.mul(a, a);
    return s.select(inside, kind == Pool::Max ? s.max(v[1], a, uns) : s.add(v[1], a), v[1]);
  });
  if (kind == Pool::Lp && p == 2)
    y = l.elementwise(acc, {y}, [](Scalars &s, ValueRange v) { return s.make<math::SqrtOp>(v[0]); });
  if (kind == Pool::Average) {
    // How many places each window has; with count_include_pad those in the padding too.
    Sizes countLoops(w->out);
    llvm::append_range(countLoops, kernelSizes);
    AffineMap countAll = l.b.getMultiDimIdentityMap(2 * n);
    Value zero = l.fill(acc, w->out, l.scalars().constant(acc, 0));
    Value count = l.contraction(zero, countLoops, countAll.getMajorSubMap(n), {window}, {countAll.getMinorSubMap(n)},
                                [&](Scalars &s, ValueRange v) {
                                  SmallVector<Value> place;
                                  Value inside = s.integer(s.b.getI1Type(), 1);
                                  if (includePad) {
                                    for (int64_t d = 0; d < n; ++d) {
                                      Value at = s.add(s.mul(s.position(d), s.index(w->strides[d])),
                                                       s.mul(s.position(n + d), s.index(w->dilations[d])));
                                      Value limit = s.add(s.add(extents[d], begins[d]), ends[d]);
                                      inside = s.make<arith::AndIOp>(inside, s.cmp(I::slt, at, limit));
                                    }
                                  } else {
                                    inside = placeOf(s, *w, begins, extents, 0, n, place);
                                  }
                                  return s.select(inside, s.add(v[1], s.constant(acc, 1)), v[1]);
                                });
    y = l.elementwise(acc, {y, count}, [](Scalars &s, ValueRange v) { return s.make<arith::DivFOp>(v[0], v[1]); });
  }
  (void)ctx;
  l.set(0, isa<FloatType>(elem) ? l.narrow(y, elem) : y);
  return success();
}

template <bool maximum> LogicalResult lowerGlobalPool(OnnxLowering &l) {
  int64_t rank = l.rankOf(0);
  if (rank < 3)
    return l.unsupported("expects rank 3 or more, but it is " + Twine(rank));
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(2, rank));
  Value x = l.widen(l.input(0));
  Type acc = ranked(x).getElementType();
  Value y = maximum ? l.reduceMax(x, axes) : l.reduceSum(x, axes);
  if (!maximum) {
    OpFoldResult n = l.at(1);
    for (int64_t d : axes)
      n = l.mul(n, l.size(x, d));
    Scalars s = l.scalars();
    Value count = s.cast(s.make<arith::IndexCastOp>(l.b.getI64Type(), l.value(n)), l.b.getI64Type(), acc);
    y = l.elementwise(acc, {y}, [&](Scalars &s, ValueRange v) { return s.make<arith::DivFOp>(v[0], count); });
  }
  l.set(l.insertUnitDims(l.narrow(y, l.elementOf(0)), axes));
  return success();
}

} // namespace

void convert::addConv(LowerTable &t) {
  t["Conv"] = lowerConv;
  t["MaxPool"] = lowerPool<Pool::Max>;
  t["AveragePool"] = lowerPool<Pool::Average>;
  t["LpPool"] = lowerPool<Pool::Lp>;
  t["GlobalAveragePool"] = lowerGlobalPool<false>;
  t["GlobalMaxPool"] = lowerGlobalPool<true>;
}
