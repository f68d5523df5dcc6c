//===- ConvertOnnxGather.cpp - reading and writing at computed indices ----===//
// Gathers are generics that extract at a checked index, so no index reads outside; scatters are moe.scatter.
//===----------------------------------------------------------------------===//
#include "ConvertOnnx.h"

#include "dialects/moe/Moe.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::convert;

namespace {

using I = arith::CmpIPredicate;

/// out[a.., i.., c..] = data[a.., indices[i..], c..].
LogicalResult lowerGather(OnnxLowering &l) {
  Value data = l.input(0), indices = l.input(1);
  int64_t rank = l.rankOf(0), count = l.rankOf(1);
  std::optional<int64_t> axis = l.axisAttr(0, rank);
  if (!axis || rank == 0)
    return l.unsupported("expects axis in range");
  // Known positions are a view.
  if (std::optional<SmallVector<int64_t>> known = l.constantInts(l.onnxInput(1)); known && !known->empty()) {
    int64_t extent = ranked(data).getDimSize(*axis);
    bool negative = known->front() < 0;
    bool contiguous = count <= 1;
    for (auto [k, v] : llvm::enumerate(*known))
      contiguous &= v == known->front() + static_cast<int64_t>(k) && (v < 0) == negative;
    int64_t last = known->back(), first = known->front();
    if (contiguous && !ShapedType::isDynamic(extent) && first >= -extent && last < extent) {
      Value part = l.sliceAxis(data, *axis, l.at(negative ? first + extent : first), l.at(known->size()));
      l.set(count == 0 ? l.dropUnitDims(part, {*axis}) : part);
      return success();
    }
  }
  Sizes own = l.sizes(data), sizes(own.begin(), own.begin() + *axis);
  llvm::append_range(sizes, l.sizes(indices));
  sizes.append(own.begin() + *axis + 1, own.end());
  SmallVector<AffineExpr> indexExprs;
  for (int64_t d = 0; d < count; ++d)
    indexExprs.push_back(l.b.getAffineDimExpr(*axis + d));
  Value extent = l.value(own[*axis]);
  l.requireElements(own[*axis], l.sizes(indices));
  AffineMap map = AffineMap::get(sizes.size(), 0, indexExprs, l.b.getContext());
  l.set(l.generic(l.resultType().getElementType(), sizes, {indices}, {map}, [&](Scalars &s, ValueRange x) {
    SmallVector<Value> place;
    for (int64_t d = 0; d < rank; ++d)
      place.push_back(d < *axis    ? s.position(d)
                      : d == *axis ? l.checkedIndex(s, x[0], extent)
                                   : s.position(d + count - 1));
    return s.make<tensor::ExtractOp>(data, place);
  }));
  return success();
}

/// out[p] = data[p with its axis replaced by indices[p]].
LogicalResult lowerGatherElements(OnnxLowering &l) {
  Value data = l.input(0), indices = l.input(1);
  int64_t rank = l.rankOf(0);
  std::optional<int64_t> axis = l.axisAttr(0, rank);
  if (!axis || rank == 0)
    return l.unsupported("expects axis in range");
  Value extent = l.value(l.size(data, *axis));
  Sizes own = l.sizes(data), indexSizes = l.sizes(indices);
  l.requireElements(own[*axis], indexSizes);
  for (int64_t d = 0; d < rank; ++d)
    if (d != *axis && !l.equal(l.shapeOf(indices)[d], l.shapeOf(data)[d]))
      l.require(l.scalars().cmp(I::sle, l.value(indexSizes[d]), l.value(own[d])),
                "indices that reach no further than data in dim " + Twine(d));
  l.set(l.generic(l.resultType().getElementType(), l.sizes(indices), {indices}, {l.b.getMultiDimIdentityMap(rank)},
                  [&](Scalars &s, ValueRange x) {
                    SmallVector<Value> place;
                    for (int64_t d = 0; d < rank; ++d)
                      place.push_back(d == *axis ? l.checkedIndex(s, x[0], extent) : s.position(d));
                    return s.make<tensor::ExtractOp>(data, place);
                  }));
  return success();
}

/// out[n.., c..] = data[batch.., indices[n.., :], c..].
LogicalResult lowerGatherND(OnnxLowering &l) {
  Value data = l.input(0), indices = l.input(1);
  int64_t rank = l.rankOf(0), indexRank = l.rankOf(1), batch = l.intAttr("batch_dims", 0);
  int64_t tuple = indexRank ? ranked(indices).getDimSize(indexRank - 1) : ShapedType::kDynamic;
  if (ShapedType::isDynamic(tuple))
    if (auto c = indexRank ? dyn_cast<AffineConstantExpr>(l.shapeOf(indices)[indexRank - 1]) : AffineConstantExpr())
      tuple = c.getValue();
  if (ShapedType::isDynamic(tuple) || batch + tuple > rank || batch >= indexRank)
    return l.unsupported("expects indices whose last dim is known and fits the rank of data");
  Sizes own = l.sizes(data), indexSizes = l.sizes(indices);
  Sizes sizes(indexSizes.begin(), indexSizes.end() - 1);
  sizes.append(own.begin() + batch + tuple, own.end());
  SmallVector<Value> extents;
  for (int64_t k = 0; k < tuple; ++k) {
    extents.push_back(l.value(own[batch + k]));
    l.requireElements(own[batch + k], ArrayRef(indexSizes).drop_back());
  }
  for (int64_t d = 0; d < batch; ++d)
    l.requireSame(indices, d, data, d, "indices and data that agree in dim " + Twine(d));
  l.set(l.generate(l.resultType().getElementType(), sizes, [&](Scalars &s, ValueRange) {
    SmallVector<Value> place, entry;
    for (int64_t d = 0; d < batch; ++d)
      place.push_back(s.position(d));
    for (int64_t d = 0; d < indexRank - 1; ++d)
      entry.push_back(s.position(d));
    entry.push_back(Value());
    for (int64_t k = 0; k < tuple; ++k) {
      entry.back() = s.index(k);
      place.push_back(l.checkedIndex(s, s.make<tensor::ExtractOp>(indices, entry), extents[k]));
    }
    for (int64_t d = batch + tuple; d < rank; ++d)
      place.push_back(s.position(indexRank - 1 + d - batch - tuple));
    return s.make<tensor::ExtractOp>(data, place);
  }));
  return success();
}

FailureOr<Combiner> combinerOf(OnnxLowering &l) {
  std::string name = l.stringAttr("reduction", "none");
  if (name == "none")
    return Combiner::Assign;
  if (std::optional<Combiner> c = symbolizeCombiner(name); c && *c != Combiner::Assign)
    return *c;
  return l.unsupported("expects reduction none, add, mul, max or min, but found " + name);
}

LogicalResult scatter(OnnxLowering &l, Value indices, Value updates) {
  FailureOr<Combiner> combiner = combinerOf(l);
  if (failed(combiner))
    return failure();
  if (isUnsigned(l.elementOf(0)) && !l.elementOf(0).isInteger(1) &&
      (*combiner == Combiner::Max || *combiner == Combiner::Min))
    return l.unsupported("expects signed elements for reductions max and min");
  Value data = l.input(0);
  indices = l.tighten(indices);
  int64_t lead = ranked(indices).getRank() - 1, depth = ranked(indices).getDimSize(lead);
  if (ShapedType::isDynamic(depth) || depth > l.rankOf(0) || ranked(updates).getRank() != lead + l.rankOf(0) - depth)
    return l.unsupported("expects indices whose last dim is known and updates of the rank that they and data give");
  for (int64_t d = 0, rank = ranked(updates).getRank(); d < rank; ++d)
    l.requireSame(updates, d, d < lead ? indices : data, d < lead ? d : d - lead + depth,
                  "updates of the shape that indices and data give, but dim " + Twine(d) + " differs");
  Value r = ScatterOp::create(l.b, l.loc, TypeRange{data.getType()}, data, indices, updates, ValueRange{}, *combiner)
                .getResult(0);
  l.setShape(r, l.shapeOf(data));
  l.set(r);
  return success();
}

LogicalResult lowerScatterND(OnnxLowering &l) {
  int64_t rank = l.rankOf(1);
  if (rank == 0)
    return l.unsupported("expects indices of rank 1 or more");
  return scatter(l, l.castElements(l.input(1), l.elementOf(1), l.b.getI64Type()), l.input(2));
}

/// Each update's full index tuple: its own position, with the given index on the axis.
LogicalResult lowerScatterElements(OnnxLowering &l) {
  Value indices = l.input(1);
  int64_t rank = l.rankOf(0);
  std::optional<int64_t> axis = l.axisAttr(0, rank);
  if (!axis || rank == 0)
    return l.unsupported("expects axis in range");
  Type i64 = l.b.getI64Type(), from = l.elementOf(1);
  Sizes sizes = l.sizes(indices);
  sizes.push_back(l.at(rank));
  AffineMap map = AffineMap::getMultiDimIdentityMap(rank + 1, l.b.getContext()).getMajorSubMap(rank);
  Value tuples = l.generic(i64, sizes, {indices}, {map}, [&](Scalars &s, ValueRange x) {
    Value which = s.position(rank), r = s.cast(x[0], from, i64);
    for (int64_t d = 0; d < rank; ++d)
      if (d != *axis)
        r = s.select(s.cmp(I::eq, which, s.index(d)), s.make<arith::IndexCastOp>(i64, s.position(d)), r);
    return r;
  });
  return scatter(l, tuples, l.input(2));
}

/// A cache with `update` written from write_indices[batch] on along the axis.
LogicalResult lowerTensorScatter(OnnxLowering &l) {
  Value past = l.input(0), update = l.input(1), write = l.input(2);
  int64_t rank = l.rankOf(0);
  std::optional<int64_t> axis = l.axisAttr(-2, rank);
  if (!axis || *axis == 0)
    return l.unsupported("expects axis in range and not the batch");
  bool circular = l.stringAttr("mode", "linear") == "circular";
  Value length = l.value(l.size(update, *axis)), capacity = l.value(l.size(past, *axis));
  Value last = l.value(l.max(l.sub(l.size(update, *axis), l.at(1)), l.at(0)));
  Value room = l.value(l.sub(l.size(past, *axis), l.size(update, *axis)));
  l.require(l.scalars().cmp(I::sge, room, l.value(l.at(0))), "an update no longer than the cache");
  for (int64_t d = 0; d < rank; ++d)
    if (d != *axis)
      l.requireSame(update, d, past, d, "an update and a cache that agree in dim " + Twine(d));
  if (write)
    l.requireSame(write, 0, past, 0, "a write index for each batch");
  AffineMap identity = l.b.getMultiDimIdentityMap(rank);
  l.set(l.generic(l.resultType().getElementType(), l.sizes(past), {past}, {identity}, [&](Scalars &s, ValueRange x) {
    Value from = s.index(0);
    if (write)
      from = s.toIndex(s.make<tensor::ExtractOp>(write, ValueRange{s.position(0)}));
    if (write && !circular)
      from = l.checked(s, from, s.make<arith::AndIOp>(s.cmp(I::sge, from, s.index(0)), s.cmp(I::sle, from, room)),
                       "write indices from 0 to the capacity less the length of the update, but one is outside");
    Value at = s.sub(s.position(*axis), from);
    if (circular) {
      Value m = s.make<arith::RemSIOp>(at, capacity);
      at = s.select(s.cmp(I::slt, m, s.index(0)), s.add(m, capacity), m);
    }
    Value inside = s.make<arith::AndIOp>(s.cmp(I::sge, at, s.index(0)), s.cmp(I::slt, at, length));
    SmallVector<Value> place;
    for (int64_t d = 0; d < rank; ++d)
      place.push_back(d == *axis ? s.max(s.min(at, last), s.index(0)) : s.position(d));
    auto branch = scf::IfOp::create(
        s.b, s.loc, inside,
        [&](OpBuilder &b, Location loc) {
          scf::YieldOp::create(b, loc, tensor::ExtractOp::create(b, loc, update, place).getResult());
        },
        [&](OpBuilder &b, Location loc) { scf::YieldOp::create(b, loc, x[0]); });
    return branch.getResult(0);
  }));
  return success();
}

} // namespace

void convert::addGather(LowerTable &t) {
  t["Gather"] = lowerGather;
  t["GatherElements"] = lowerGatherElements;
  t["GatherND"] = lowerGatherND;
  t["ScatterND"] = lowerScatterND;
  t["ScatterElements"] = lowerScatterElements;
  t["TensorScatter"] = lowerTensorScatter;
}
