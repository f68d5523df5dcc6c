//===- ConvertOnnxSelect.cpp - TopK, NonZero, OneHot, Trilu, Compress -----===//
#include "ConvertOnnx.h"

#include "dialects/moe/Moe.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::convert;

namespace {

using I = arith::CmpIPredicate;

/// moe.top_k takes the last dim and a known k; another axis is transposed, an unknown k sorts all and slices.
LogicalResult lowerTopK(OnnxLowering &l) {
  Value x = l.input(0);
  int64_t rank = l.rankOf(0);
  std::optional<int64_t> axis = l.axisAttr(-1, rank);
  if (!axis || rank == 0)
    return l.unsupported("expects axis in range");
  Type elem = l.elementOf(0), i64 = l.b.getI64Type();
  bool largest = l.intAttr("largest", 1), flip = isUnsigned(elem);
  // The order is that of signed numbers; flipping the top bit makes it that of unsigned ones.
  auto flipTop = [&](Value v) {
    Type type = ranked(v).getElementType();
    return l.elementwise(type, {v}, [&](Scalars &s, ValueRange e) {
      return s.make<arith::XOrIOp>(e[0], s.integer(type, int64_t(1) << (type.getIntOrFloatBitWidth() - 1)));
    });
  };
  if (flip)
    x = flipTop(x);
  SmallVector<int64_t> perm = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  std::swap(perm[*axis], perm[rank - 1]);
  x = l.transpose(x, perm);
  Sizes sizes = l.sizes(x);
  OpFoldResult k = l.element(l.onnxInput(1), 0);
  std::optional<int64_t> known = getConstantIntValue(k);
  std::optional<int64_t> extent = getConstantIntValue(sizes.back());
  if (known && (*known < 0 || (extent && *known > *extent)))
    return l.unsupported("expects k in [0, " + (extent ? Twine(*extent) : Twine("the extent of the axis")) +
                         "], but it is " + Twine(*known));
  SmallVector<int64_t> shape(ranked(x).getShape());
  Value values, indices;
  auto types = [&] {
    return SmallVector<Type>{RankedTensorType::get(shape, ranked(x).getElementType()),
                             RankedTensorType::get(shape, i64)};
  };
  if (known) {
    shape.back() = *known;
    auto op = TopKOp::create(l.b, l.loc, types(), x, ValueRange{}, *known, largest);
    values = op.getResult(0), indices = op.getResult(1);
    sizes.back() = k;
  } else {
    auto op = SortOp::create(l.b, l.loc, types(), x, ValueRange{}, largest);
    values = op.getResult(0), indices = op.getResult(1);
    Sizes zeros(rank, l.at(0));
    Scalars s = l.scalars();
    Value wanted = l.value(k);
    l.require(s.make<arith::AndIOp>(s.cmp(I::sge, wanted, s.index(0)), s.cmp(I::sle, wanted, l.value(sizes.back()))),
              "k from 0 to the extent of the axis");
    sizes.back() = l.max(l.min(k, sizes.back()), l.at(0));
    l.setShape(values, l.shapeOf(x));
    l.setShape(indices, l.shapeOf(x));
    values = l.slice(values, zeros, sizes);
    indices = l.slice(indices, zeros, sizes);
  }
  l.setShape(values, l.exprsOf(sizes));
  l.setShape(indices, l.exprsOf(sizes));
  values = l.transpose(values, perm);
  l.set(0, flip ? flipTop(values) : values);
  l.set(1, l.transpose(indices, perm));
  return success();
}

/// The indices of what is not zero in a tensor, [rank, count].
Value nonZero(OnnxLowering &l, Value x) {
  int64_t rank = ranked(x).getRank();
  OpFoldResult total = l.at(1);
  for (OpFoldResult s : l.sizes(x))
    total = l.mul(total, s);
  std::optional<int64_t> known = getConstantIntValue(total);
  Type i64 = l.b.getI64Type();
  Type types[] = {RankedTensorType::get({rank, known.value_or(ShapedType::kDynamic)}, i64),
                  RankedTensorType::get({}, i64)};
  auto op = NonZeroOp::create(l.b, l.loc, TypeRange(types), x, ValueRange{});
  l.setShape(op.getResult(0), {l.expr(rank), l.exprOf(total)});
  OpFoldResult count = l.scalars().toIndex(l.scalarOf(op.getResult(1)));
  return l.slice(op.getResult(0), {l.at(0), l.at(0)}, {l.at(rank), count});
}

LogicalResult lowerNonZero(OnnxLowering &l) {
  Value x = l.input(0);
  if (isSmallFloat(l.elementOf(0)))
    x = l.widen(x);
  if (l.rankOf(0) == 0) {
    // A scalar counts as one element of a vector, of which no index is told.
    Value found = nonZero(l, l.insertUnitDims(x, {0}));
    l.set(l.slice(found, {l.at(0), l.at(0)}, {l.at(0), l.size(found, 1)}));
    return success();
  }
  l.set(nonZero(l, x));
  return success();
}

LogicalResult lowerOneHot(OnnxLowering &l) {
  Value indices = l.input(0), values = l.input(2);
  int64_t rank = l.rankOf(0) + 1;
  std::optional<int64_t> axis = l.axisAttr(-1, rank);
  if (!axis)
    return l.unsupported("expects axis in range");
  Type from = l.elementOf(0), i64 = l.b.getI64Type(), depthType = l.elementOf(1);
  OpFoldResult depth;
  if (isa<FloatType>(depthType)) {
    Scalars s = l.scalars();
    depth = l.fold(s.toIndex(s.cast(l.scalarOf(l.input(1)), depthType, i64)));
  } else {
    depth = l.element(l.onnxInput(1), 0);
  }
  Sizes sizes = l.sizes(indices);
  l.require(l.scalars().cmp(I::sge, l.value(depth), l.value(l.at(0))), "a depth of 0 or more");
  sizes.insert(sizes.begin() + *axis, l.max(depth, l.at(0)));
  SmallVector<AffineExpr> exprs;
  for (int64_t d = 0; d < rank; ++d)
    if (d != *axis)
      exprs.push_back(l.b.getAffineDimExpr(d));
  Value extent = l.value(depth);
  AffineMap map = AffineMap::get(rank, 0, exprs, l.b.getContext());
  l.set(l.generic(l.resultType().getElementType(), sizes, {indices}, {map}, [&](Scalars &s, ValueRange x) {
    Value i = s.toIndex(s.cast(x[0], from, i64));
    i = s.select(s.cmp(I::slt, i, s.index(0)), s.add(i, extent), i);
    Value on = s.make<tensor::ExtractOp>(values, ValueRange{s.index(1)}),
          off = s.make<tensor::ExtractOp>(values, ValueRange{s.index(0)});
    return s.select(s.cmp(I::eq, i, s.position(*axis)), on, off);
  }));
  return success();
}

LogicalResult lowerTrilu(OnnxLowering &l) {
  int64_t rank = l.rankOf(0);
  if (rank < 2)
    return l.unsupported("expects rank 2 or more, but it is " + Twine(rank));
  bool upper = l.intAttr("upper", 1);
  OpFoldResult k = l.has(1) ? l.element(l.onnxInput(1), 0) : l.at(0);
  Value diagonal = l.value(k), x = l.input(0);
  Type elem = l.resultType().getElementType();
  Value zero = l.scalars().constant(elem, 0);
  l.set(l.generic(elem, l.sizes(x), {x}, {l.b.getMultiDimIdentityMap(rank)}, [&](Scalars &s, ValueRange v) {
    Value column = s.position(rank - 1), edge = s.add(s.position(rank - 2), diagonal);
    return s.select(s.cmp(upper ? I::sge : I::sle, column, edge), v[0], zero);
  }));
  return success();
}

LogicalResult lowerCompress(OnnxLowering &l) {
  Value x = l.input(0);
  int64_t rank = l.rankOf(0), axis = 0;
  if (l.op->getAttr("axis")) {
    std::optional<int64_t> given = l.axisAttr(0, rank);
    if (!given)
      return l.unsupported("expects axis in range");
    axis = *given;
  } else {
    x = l.collapse(x, 0, rank);
    rank = 1;
  }
  Value found = nonZero(l, l.input(1));
  Sizes sizes = l.sizes(x);
  Value extent = l.value(sizes[axis]);
  l.requireElements(sizes[axis], {l.size(found, 1)});
  sizes[axis] = l.size(found, 1);
  AffineMap map = AffineMap::get(rank, 0, {l.expr(0), l.b.getAffineDimExpr(axis)}, l.b.getContext());
  l.set(l.generic(l.resultType().getElementType(), sizes, {found}, {map}, [&](Scalars &s, ValueRange v) {
    SmallVector<Value> place;
    for (int64_t d = 0; d < rank; ++d)
      place.push_back(d == axis ? l.checkedIndex(s, v[0], extent) : s.position(d));
    return s.make<tensor::ExtractOp>(x, place);
  }));
  return success();
}

LogicalResult lowerReverseSequence(OnnxLowering &l) {
  int64_t rank = l.rankOf(0), time = l.intAttr("time_axis", 0), batch = l.intAttr("batch_axis", 1);
  if (rank < 2 || time == batch || time < 0 || time > 1 || batch < 0 || batch > 1)
    return l.unsupported("expects time_axis and batch_axis to be 0 and 1");
  Value x = l.input(0), lengths = l.input(1), extent = l.value(l.size(x, time));
  l.requireSame(lengths, 0, x, batch, "a length for each batch");
  AffineMap map = AffineMap::get(rank, 0, {l.b.getAffineDimExpr(batch)}, l.b.getContext());
  l.set(l.generic(l.resultType().getElementType(), l.sizes(x), {lengths}, {map}, [&](Scalars &s, ValueRange v) {
    Value n = s.min(s.toIndex(v[0]), extent), t = s.position(time);
    Value back = s.sub(s.sub(n, s.index(1)), t);
    SmallVector<Value> place;
    for (int64_t d = 0; d < rank; ++d)
      place.push_back(d == time ? s.select(s.cmp(I::slt, t, n), back, t) : s.position(d));
    return s.make<tensor::ExtractOp>(x, place);
  }));
  return success();
}

} // namespace

void convert::addSelect(LowerTable &t) {
  t["TopK"] = lowerTopK;
  t["NonZero"] = lowerNonZero;
  t["OneHot"] = lowerOneHot;
  t["Trilu"] = lowerTrilu;
  t["Compress"] = lowerCompress;
  t["ReverseSequence"] = lowerReverseSequence;
}
