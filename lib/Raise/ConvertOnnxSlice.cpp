//===- ConvertOnnxSlice.cpp - Slice, Split, Concat, Pad -------------------===//
// Views where steps are positive and known; else the elements are read one by one at start + i * step.
//===----------------------------------------------------------------------===//
#include "ConvertOnnx.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::convert;

namespace {

using I = arith::CmpIPredicate;

/// Where a slice of one dim begins, how far it steps and how much it takes.
struct Range {
  OpFoldResult start, size, step;
  bool forward; // the step is known and positive
};

/// ONNX's clamping, for a known step.
Range knownStep(OnnxLowering &l, OpFoldResult start, OpFoldResult end, int64_t step, OpFoldResult extent) {
  auto fromFront = [&](OpFoldResult x) -> OpFoldResult {
    if (std::optional<int64_t> c = getConstantIntValue(x))
      return *c < 0 ? (*c == std::numeric_limits<int64_t>::min() ? l.at(-1) : l.add(extent, x)) : x;
    Scalars s = l.scalars();
    Value v = l.value(x);
    return l.fold(s.select(s.cmp(I::slt, v, s.index(0)), l.value(l.add(extent, x)), v));
  };
  // A start or end that cannot reach the extent needs no comparison with it.
  start = fromFront(start);
  end = fromFront(end);
  if (step > 0) {
    start = l.min(l.max(start, l.at(0)), extent);
    end = l.min(l.max(end, l.at(0)), extent);
    return {start, l.max(l.ceilDiv(l.sub(end, start), l.at(step)), l.at(0)), l.at(step), true};
  }
  OpFoldResult last = l.sub(extent, l.at(1));
  start = l.min(l.max(start, l.at(0)), last);
  end = l.min(l.max(end, l.at(-1)), last);
  return {start, l.max(l.ceilDiv(l.sub(start, end), l.at(-step)), l.at(0)), l.at(step), false};
}

/// The same where only run time knows the step.
Range unknownStep(OnnxLowering &l, Value start, Value end, Value step, Value extent) {
  Scalars s = l.scalars();
  Value zero = s.index(0), one = s.index(1), last = s.sub(extent, one);
  auto fromFront = [&](Value v) { return s.select(s.cmp(I::slt, v, zero), s.add(v, extent), v); };
  l.require(s.cmp(I::ne, step, zero), "steps that are not 0");
  Value up = s.cmp(I::sgt, step, zero);
  Value stride = s.select(up, step, s.sub(zero, step));
  stride = s.max(stride, one);
  start = s.min(s.max(fromFront(start), zero), s.select(up, extent, last));
  end = s.min(s.max(fromFront(end), s.select(up, zero, s.index(-1))), s.select(up, extent, last));
  Value distance = s.select(up, s.sub(end, start), s.sub(start, end));
  Value size = s.max(s.make<arith::CeilDivSIOp>(distance, stride), zero);
  return {start, size, s.select(up, stride, s.sub(zero, stride)), false};
}

LogicalResult lowerSlice(OnnxLowering &l) {
  Value x = l.input(0), starts = l.onnxInput(1), ends = l.onnxInput(2), axesInput = l.onnxInput(3),
        steps = l.onnxInput(4);
  int64_t rank = l.rankOf(0);
  if (ranked(starts).isDynamicDim(0))
    return l.unsupported("expects starts of known length");
  int64_t count = ranked(starts).getDimSize(0);
  Sizes extents = l.sizes(x);
  SmallVector<Range> ranges;
  for (OpFoldResult e : extents)
    ranges.push_back({l.at(0), e, l.at(1), true});
  std::optional<SmallVector<int64_t>> axes = llvm::to_vector(llvm::seq<int64_t>(0, count));
  if (axesInput)
    axes = l.constantInts(axesInput);
  Scalars s = l.scalars();
  if (axes) {
    for (auto [k, given] : llvm::enumerate(*axes)) {
      int64_t axis = given < 0 ? given + rank : given;
      if (axis < 0 || axis >= rank)
        return l.unsupported("expects axes in [-" + Twine(rank) + ", " + Twine(rank) + "), but one is " + Twine(given));
      OpFoldResult start = l.element(starts, k), end = l.element(ends, k), step = steps ? l.element(steps, k) : l.at(1);
      std::optional<int64_t> c = getConstantIntValue(step);
      if (c == 0)
        return l.unsupported("expects steps that are not zero");
      ranges[axis] = c ? knownStep(l, start, end, *c, extents[axis])
                       : unknownStep(l, l.value(start), l.value(end), l.value(step), l.value(extents[axis]));
    }
  } else {
    for (int64_t d = 0; d < rank; ++d) {
      Value extent = l.value(extents[d]), start = s.index(0), end = extent, step = s.index(1);
      for (int64_t k = 0; k < count; ++k) {
        Value axis = l.value(l.element(axesInput, k));
        Value hit = s.make<arith::OrIOp>(s.cmp(I::eq, axis, s.index(d)), s.cmp(I::eq, axis, s.index(d - rank)));
        start = s.select(hit, l.value(l.element(starts, k)), start);
        end = s.select(hit, l.value(l.element(ends, k)), end);
        step = steps ? s.select(hit, l.value(l.element(steps, k)), step) : step;
      }
      ranges[d] = unknownStep(l, start, end, step, extent);
    }
  }
  Sizes sizes, offsets, strides;
  bool forward = true;
  for (auto [d, r] : llvm::enumerate(ranges)) {
    sizes.push_back(l.resultSize(d).value_or(r.size));
    offsets.push_back(r.start);
    strides.push_back(r.step);
    forward &= r.forward;
  }
  if (forward) {
    l.set(l.slice(x, offsets, sizes, strides));
    return success();
  }
  SmallVector<Value> at = llvm::map_to_vector(offsets, [&](OpFoldResult o) { return l.value(o); });
  l.set(l.generate(l.resultType().getElementType(), sizes, [&](Scalars &s, ValueRange) {
    SmallVector<Value> place;
    for (auto [d, start] : llvm::enumerate(at)) {
      Value p = s.position(d);
      std::optional<int64_t> step = getConstantIntValue(strides[d]);
      if (step != 1)
        p = s.mul(p, step ? s.index(*step) : cast<Value>(strides[d]));
      place.push_back(s.add(start, p));
    }
    return s.make<tensor::ExtractOp>(x, place);
  }));
  return success();
}

LogicalResult lowerSplit(OnnxLowering &l) {
  Value x = l.input(0), split = l.onnxInput(1);
  std::optional<int64_t> axis = l.axisAttr(0, l.rankOf(0));
  if (!axis)
    return l.unsupported("expects axis in range");
  int64_t parts = l.op->getNumResults();
  OpFoldResult extent = l.size(x, *axis), offset = l.at(0);
  if (split) {
    Scalars s = l.scalars();
    OpFoldResult sum = l.at(0);
    for (int64_t i = 0; i < parts; ++i) {
      OpFoldResult size = l.element(split, i);
      l.require(s.cmp(I::sge, l.value(size), s.index(0)), "split sizes of 0 or more");
      sum = l.add(sum, size);
    }
    l.require(s.cmp(I::eq, l.value(sum), l.value(extent)), "split sizes that sum to the extent of the axis");
  }
  OpFoldResult chunk = l.ceilDiv(extent, l.at(parts));
  for (int64_t i = 0; i < parts; ++i) {
    OpFoldResult size = split ? l.element(split, i) : l.max(l.min(chunk, l.sub(extent, offset)), l.at(0));
    if (std::optional<OpFoldResult> known = l.resultSize(*axis, i))
      size = *known;
    l.set(i, l.sliceAxis(x, *axis, offset, size));
    offset = l.add(offset, size);
  }
  return success();
}

LogicalResult lowerConcat(OnnxLowering &l) {
  SmallVector<Value> parts = llvm::map_to_vector(l.onnxInputsFrom(0), [&](Value v) { return l.lookup(v); });
  std::optional<int64_t> axis = l.axisAttr(0, l.rankOf(0));
  if (!axis)
    return l.unsupported("expects axis in range");
  l.set(l.concat(parts, *axis));
  return success();
}

/// Pads of every dim, begin and end, as extents; negative ones cut.
LogicalResult lowerPad(OnnxLowering &l) {
  Value x = l.input(0), pads = l.onnxInput(1), axesInput = l.onnxInput(3);
  std::string mode = l.stringAttr("mode", "constant");
  int64_t rank = l.rankOf(0);
  if (!llvm::is_contained({"constant", "edge", "reflect", "wrap"}, mode))
    return l.unsupported("expects mode constant, edge, reflect or wrap, but found " + mode);
  Sizes own = l.sizes(x), before(rank, l.at(0)), after(rank, l.at(0));
  std::optional<SmallVector<int64_t>> axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (axesInput)
    axes = l.constantInts(axesInput);
  Scalars s = l.scalars();
  if (axes) {
    for (auto [k, given] : llvm::enumerate(*axes)) {
      int64_t axis = given < 0 ? given + rank : given;
      if (axis < 0 || axis >= rank)
        return l.unsupported("expects axes in range");
      before[axis] = l.element(pads, k);
      after[axis] = l.element(pads, k + axes->size());
    }
  } else {
    int64_t count = ranked(axesInput).getDimSize(0);
    for (int64_t d = 0; d < rank; ++d)
      for (int64_t k = 0; k < count; ++k) {
        Value axis = l.value(l.element(axesInput, k));
        Value hit = s.make<arith::OrIOp>(s.cmp(I::eq, axis, s.index(d)), s.cmp(I::eq, axis, s.index(d - rank)));
        before[d] = OpFoldResult(s.select(hit, l.value(l.element(pads, k)), l.value(before[d])));
        after[d] = OpFoldResult(s.select(hit, l.value(l.element(pads, k + count)), l.value(after[d])));
      }
  }
  Type elem = l.resultType().getElementType();
  Value fill = l.has(2) ? l.scalarOf(l.input(2)) : s.constant(elem, 0);
  Sizes sizes = l.resultSizes(0, [&](int64_t d) { return l.max(l.add(l.add(before[d], own[d]), after[d]), l.at(0)); });
  SmallVector<Value> extents = llvm::map_to_vector(own, [&](OpFoldResult v) { return l.value(v); });
  SmallVector<Value> leads = llvm::map_to_vector(before, [&](OpFoldResult v) { return l.value(v); });
  auto untouched = [&](int64_t d) { return getConstantIntValue(before[d]) == 0 && getConstantIntValue(after[d]) == 0; };
  if (mode != "constant")
    for (int64_t d = 0; d < rank; ++d)
      if (!untouched(d))
        l.requireElements(own[d], sizes);
  l.set(l.generate(elem, sizes, [&](Scalars &s, ValueRange) {
    SmallVector<Value> place;
    Value zero = s.index(0), one = s.index(1), inside = s.integer(l.b.getI1Type(), 1);
    for (int64_t d = 0; d < rank; ++d) {
      Value n = extents[d], last = s.sub(n, one), p = s.position(d);
      if (untouched(d)) {
        place.push_back(p);
        continue;
      }
      p = s.sub(p, leads[d]);
      if (mode == "constant") {
        inside = s.make<arith::AndIOp>(inside, s.make<arith::AndIOp>(s.cmp(I::sge, p, zero), s.cmp(I::slt, p, n)));
      } else if (mode == "wrap") {
        Value m = s.make<arith::RemSIOp>(p, s.max(n, one));
        p = s.select(s.cmp(I::slt, m, zero), s.add(m, n), m);
      } else if (mode == "reflect") {
        // Period 2(n - 1): up and down again.
        Value period = s.max(s.mul(last, s.index(2)), one);
        Value m = s.make<arith::RemSIOp>(p, period);
        m = s.select(s.cmp(I::slt, m, zero), s.add(m, period), m);
        p = s.select(s.cmp(I::sgt, m, last), s.sub(s.mul(last, s.index(2)), m), m);
      }
      place.push_back(s.max(s.min(p, last), zero));
    }
    if (mode != "constant")
      return s.make<tensor::ExtractOp>(x, place);
    // A read stays in bounds also where the fill value is taken, unless there is nothing to read at all.
    Value any = s.integer(l.b.getI1Type(), 1);
    for (Value n : extents)
      any = s.make<arith::AndIOp>(any, s.cmp(I::sgt, n, zero));
    auto branch = scf::IfOp::create(
        s.b, s.loc, s.make<arith::AndIOp>(any, inside),
        [&](OpBuilder &b, Location loc) {
          scf::YieldOp::create(b, loc, tensor::ExtractOp::create(b, loc, x, place).getResult());
        },
        [&](OpBuilder &b, Location loc) { scf::YieldOp::create(b, loc, fill); });
    return branch.getResult(0);
  }));
  return success();
}

} // namespace

void convert::addSlice(LowerTable &t) {
  t["Slice"] = lowerSlice;
  t["Split"] = lowerSplit;
  t["Concat"] = lowerConcat;
  t["Pad"] = lowerPad;
}
