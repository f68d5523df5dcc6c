//===- ConvertOnnxShape.cpp - constants, shapes, reshapes, broadcasts -----===//
#include "ConvertOnnx.h"

#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::convert;

namespace {

using I = arith::CmpIPredicate;

LogicalResult lowerConstant(OnnxLowering &l) {
  auto value = l.op->getAttrOfType<ElementsAttr>("value");
  auto type = l.resultType();
  if (type != value.getType()) {
    // The same bits, called signless.
    if (auto dense = dyn_cast<DenseElementsAttr>(value))
      value = DenseElementsAttr::getFromRawBuffer(type, dense.getRawData());
    else if (auto resource = dyn_cast<DenseResourceElementsAttr>(value))
      value = DenseResourceElementsAttr::get(type, resource.getRawHandle());
    else
      return l.unsupported("expects a dense value");
  }
  l.set(arith::ConstantOp::create(l.b, l.loc, cast<TypedAttr>(value)));
  return success();
}

/// A tensor of i64 from index values.
Value shapeTensor(OnnxLowering &l, ArrayRef<OpFoldResult> sizes, ArrayRef<int64_t> shape) {
  Type i64 = l.b.getI64Type();
  SmallVector<Value> elements;
  for (OpFoldResult s : sizes) {
    if (std::optional<int64_t> c = getConstantIntValue(s))
      elements.push_back(l.scalars().integer(i64, *c));
    else
      elements.push_back(arith::IndexCastOp::create(l.b, l.loc, i64, cast<Value>(s)));
  }
  auto type = RankedTensorType::get(shape, i64);
  if (elements.empty())
    return tensor::EmptyOp::create(l.b, l.loc, shape, i64);
  return tensor::FromElementsOp::create(l.b, l.loc, type, elements);
}

LogicalResult lowerShape(OnnxLowering &l) {
  Value x = l.input(0);
  int64_t rank = l.rankOf(0), start = l.intAttr("start", 0), end = l.intAttr("end", rank);
  auto clamp = [&](int64_t v) { return std::clamp<int64_t>(v < 0 ? v + rank : v, 0, rank); };
  start = clamp(start);
  end = std::max(clamp(end), start);
  Sizes sizes;
  for (int64_t d = start; d < end; ++d)
    sizes.push_back(l.size(x, d));
  l.set(shapeTensor(l, sizes, {end - start}));
  return success();
}

LogicalResult lowerSize(OnnxLowering &l) {
  OpFoldResult total = l.at(1);
  for (OpFoldResult s : l.sizes(l.input(0)))
    total = l.mul(total, s);
  l.set(shapeTensor(l, {total}, {}));
  return success();
}

LogicalResult lowerConstantOfShape(OnnxLowering &l) {
  Sizes sizes = l.resultSizes(0, [&](int64_t d) { return l.max(l.element(l.onnxInput(0), d), l.at(0)); });
  auto type = l.resultType();
  Value scalar;
  if (auto value = l.op->getAttrOfType<DenseElementsAttr>("value")) {
    auto signlessValue =
        DenseElementsAttr::getFromRawBuffer(cast<ShapedType>(signless(value.getType())), value.getRawData());
    scalar = l.scalars().make<arith::ConstantOp>(cast<TypedAttr>(*signlessValue.getValues<Attribute>().begin()));
  } else {
    scalar = l.scalars().constant(type.getElementType(), 0);
  }
  l.set(l.fill(type.getElementType(), sizes, scalar));
  return success();
}

LogicalResult lowerReshape(OnnxLowering &l) {
  Value x = l.input(0);
  int64_t rank = l.resultType().getRank();
  bool allowZero = l.intAttr("allowzero", 0);
  Sizes sizes(rank);
  bool known = true;
  for (int64_t d = 0; d < rank; ++d) {
    std::optional<OpFoldResult> s = l.resultSize(d);
    known &= s.has_value();
    if (s)
      sizes[d] = *s;
  }
  if (!known) {
    // ONNX's rules at run time: 0 copies the extent of the input, -1 is what is left.
    OpFoldResult total = l.at(1), rest = l.at(1);
    for (OpFoldResult s : l.sizes(x))
      total = l.mul(total, s);
    Scalars s = l.scalars();
    SmallVector<Value> isRest(rank);
    for (int64_t d = 0; d < rank; ++d) {
      Value raw = l.value(l.element(l.onnxInput(1), d));
      isRest[d] = s.cmp(I::eq, raw, s.index(-1));
      Value extent = raw;
      if (!allowZero && d < l.rankOf(0))
        extent = s.select(s.cmp(I::eq, raw, s.index(0)), l.value(l.size(x, d)), raw);
      sizes[d] = extent;
      rest = l.mul(rest, OpFoldResult(s.select(isRest[d], s.index(1), extent)));
    }
    Value inferred = s.make<arith::DivUIOp>(l.value(total), l.value(l.max(rest, l.at(1))));
    for (int64_t d = 0; d < rank; ++d) {
      if (std::optional<OpFoldResult> f = l.resultSize(d))
        sizes[d] = *f;
      else
        sizes[d] = l.fold(s.select(isRest[d], inferred, cast<Value>(sizes[d])));
    }
  }
  auto product = [&](const Exprs &dims) {
    AffineExpr p = l.expr(1);
    for (AffineExpr e : dims)
      p = p * e;
    return p;
  };
  if (!l.equal(product(l.shapeOf(x)), product(l.exprsOf(sizes)))) {
    OpFoldResult have = l.at(1), wanted = l.at(1);
    for (OpFoldResult s : l.sizes(x))
      have = l.mul(have, s);
    for (OpFoldResult s : sizes)
      wanted = l.mul(wanted, s);
    l.require(l.scalars().cmp(I::eq, l.value(have), l.value(wanted)), "a shape of as many elements as the input has");
  }
  l.set(l.reshape(x, sizes));
  return success();
}

LogicalResult lowerFlatten(OnnxLowering &l) {
  int64_t rank = l.rankOf(0), axis = l.intAttr("axis", 1);
  if (axis < 0)
    axis += rank;
  if (axis < 0 || axis > rank)
    return l.unsupported("expects axis in [-" + Twine(rank) + ", " + Twine(rank) + "]");
  Value x = l.input(0);
  OpFoldResult rows = l.at(1), columns = l.at(1);
  for (auto [d, s] : llvm::enumerate(l.sizes(x)))
    (static_cast<int64_t>(d) < axis ? rows : columns) = l.mul(static_cast<int64_t>(d) < axis ? rows : columns, s);
  l.set(l.reshape(x, {l.resultSize(0).value_or(rows), l.resultSize(1).value_or(columns)}));
  return success();
}

/// Axes that only run time knows: then the sizes are picked one by one.
bool unknownAxes(OnnxLowering &l, unsigned input) {
  return l.has(input) && !l.constantInts(l.onnxInput(input)) && ranked(l.onnxInput(input)).hasStaticShape();
}

LogicalResult lowerSqueeze(OnnxLowering &l) {
  Value x = l.input(0);
  int64_t rank = l.rankOf(0);
  if (unknownAxes(l, 1)) {
    l.set(l.reshape(x, l.pickedSizes(
                           x,
                           [&](int64_t d) {
                             Scalars s = l.scalars();
                             return s.make<arith::XOrIOp>(l.isAmong(l.onnxInput(1), d, rank),
                                                          s.integer(l.b.getI1Type(), 1));
                           },
                           l.resultType().getRank())));
    return success();
  }
  bool given;
  FailureOr<SmallVector<int64_t>> axes = l.axes(1, rank, given);
  if (failed(axes))
    return failure();
  if (!given) {
    Exprs shape = l.shapeOf(x);
    for (int64_t d = 0; d < rank; ++d)
      if (shape[d] == l.expr(1))
        axes->push_back(d);
    if (rank - static_cast<int64_t>(axes->size()) != l.resultType().getRank())
      return l.unsupported("expects axes, or extents that are known");
  }
  for (int64_t d : *axes)
    if (l.shapeOf(x)[d] != l.expr(1))
      l.require(l.scalars().cmp(I::eq, l.value(l.size(x, d)), l.value(l.at(1))), "extent 1 in dim " + Twine(d));
  l.set(l.dropUnitDims(x, *axes));
  return success();
}

LogicalResult lowerUnsqueeze(OnnxLowering &l) {
  int64_t rank = l.resultType().getRank();
  if (unknownAxes(l, 1)) {
    // The k-th dim of the result is one, or the input dim after as many as were taken before it.
    Scalars s = l.scalars();
    Value x = l.input(0), taken = s.index(0);
    Sizes own = l.sizes(x), sizes;
    for (int64_t d = 0; d < rank; ++d) {
      Value one = l.isAmong(l.onnxInput(1), d, rank);
      Value extent = s.index(1);
      for (auto [k, size] : llvm::enumerate(own))
        extent = s.select(s.cmp(I::eq, taken, s.index(k)), l.value(size), extent);
      sizes.push_back(OpFoldResult(s.select(one, s.index(1), extent)));
      taken = s.add(taken, s.select(one, s.index(0), s.index(1)));
    }
    l.set(l.reshape(x, sizes));
    return success();
  }
  bool given;
  FailureOr<SmallVector<int64_t>> axes = l.axes(1, rank, given);
  if (failed(axes))
    return failure();
  if (rank - static_cast<int64_t>(axes->size()) != l.rankOf(0))
    return l.unsupported("expects distinct axes");
  l.set(l.insertUnitDims(l.input(0), *axes));
  return success();
}

LogicalResult lowerTranspose(OnnxLowering &l) {
  int64_t rank = l.rankOf(0);
  SmallVector<int64_t> perm = l.intsAttr("perm").value_or(llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(0, rank))));
  SmallVector<int64_t> sorted(perm);
  llvm::sort(sorted);
  if (!llvm::equal(sorted, llvm::seq<int64_t>(0, rank)))
    return l.unsupported("expects perm to be a permutation of " + Twine(rank) + " dims");
  l.set(l.transpose(l.input(0), perm));
  return success();
}

LogicalResult lowerExpand(OnnxLowering &l) {
  Value x = l.input(0), shape = l.onnxInput(1);
  auto shapeType = ranked(shape);
  if (shapeType.isDynamicDim(0))
    return l.unsupported("expects a shape of known length");
  int64_t rank = l.resultType().getRank(), own = l.rankOf(0), given = shapeType.getDimSize(0);
  // What is asked for is the extent that is there, or one of the two is 1.
  for (int64_t d = std::max<int64_t>(0, rank - given); d < rank; ++d) {
    OpFoldResult asked = l.element(shape, d - (rank - given));
    if (std::optional<int64_t> c = getConstantIntValue(asked); c == 1)
      continue;
    Scalars s = l.scalars();
    Value want = l.value(asked), fits = s.cmp(I::sge, want, s.index(0));
    if (int64_t i = d - (rank - own); i >= 0 && l.shapeOf(x)[i] != l.expr(1)) {
      Value have = l.value(l.size(x, i));
      Value same = s.make<arith::OrIOp>(s.cmp(I::eq, want, have), s.cmp(I::eq, want, s.index(1)));
      fits = s.make<arith::OrIOp>(same, s.make<arith::AndIOp>(fits, s.cmp(I::eq, have, s.index(1))));
    }
    l.require(fits, "a shape that the input broadcasts to, but dim " + Twine(d) + " does not fit");
  }
  Sizes sizes = l.resultSizes(0, [&](int64_t d) -> OpFoldResult {
    int64_t fromInput = d - (rank - own), fromShape = d - (rank - given);
    if (fromShape < 0)
      return l.size(x, fromInput);
    OpFoldResult asked = l.element(shape, fromShape);
    if (fromInput < 0 || l.shapeOf(x)[fromInput] == l.expr(1))
      return asked;
    Value have = l.value(l.size(x, fromInput));
    Scalars s = l.scalars();
    return l.fold(s.select(s.cmp(I::eq, have, s.index(1)), l.value(asked), have));
  });
  l.set(l.broadcastTo(x, sizes));
  return success();
}

LogicalResult lowerTile(OnnxLowering &l) {
  Value x = l.input(0);
  Sizes own = l.sizes(x);
  SmallVector<bool> repeated;
  for (int64_t d = 0, rank = own.size(); d < rank; ++d)
    repeated.push_back(getConstantIntValue(l.element(l.onnxInput(1), d)) != 1);
  Sizes sizes = l.resultSizes(0, [&](int64_t d) { return l.mul(own[d], l.element(l.onnxInput(1), d)); });
  SmallVector<Value> extents = llvm::map_to_vector(own, [&](OpFoldResult s) { return l.value(s); });
  if (llvm::none_of(repeated, [](bool r) { return r; })) {
    l.set(x);
    return success();
  }
  l.set(l.generate(l.resultType().getElementType(), sizes, [&](Scalars &s, ValueRange) {
    SmallVector<Value> place;
    for (auto [d, extent] : llvm::enumerate(extents)) {
      Value p = s.position(d);
      place.push_back(repeated[d] ? s.make<arith::RemUIOp>(p, extent) : p);
    }
    return s.make<tensor::ExtractOp>(x, place);
  }));
  return success();
}

/// start, start + delta, ... below limit.
LogicalResult lowerRange(OnnxLowering &l) {
  Type elem = l.elementOf(0), wide = computeType(elem);
  SmallVector<Value> ins;
  for (unsigned i = 0; i < 3; ++i)
    ins.push_back(l.rankOf(i) == 0 ? l.input(i) : l.reshape(l.input(i), {}));
  Scalars s = l.scalars();
  OpFoldResult size;
  if (std::optional<OpFoldResult> known = l.resultSize(0)) {
    size = *known;
  } else if (isa<FloatType>(elem)) {
    SmallVector<Value> v = llvm::map_to_vector(ins, [&](Value t) { return s.cast(l.scalarOf(t), elem, wide); });
    Value count = s.make<math::CeilOp>(s.make<arith::DivFOp>(s.sub(v[1], v[0]), v[2]));
    l.require(s.cmp(arith::CmpFPredicate::OLT, count, s.constant(wide, 2147483648.0)),
              "a delta that is not 0 and fewer than 2^31 elements");
    count = s.max(count, s.constant(wide, 0));
    size = l.fold(s.toIndex(s.make<arith::FPToSIOp>(l.b.getI64Type(), count)));
  } else {
    SmallVector<Value> v;
    for (unsigned i = 0; i < 3; ++i)
      v.push_back(l.value(l.element(l.onnxInput(i), 0)));
    l.require(s.cmp(I::ne, v[2], s.index(0)), "a delta that is not 0");
    Value delta = s.select(s.cmp(I::eq, v[2], s.index(0)), s.index(1), v[2]);
    size = l.max(l.ceilDiv(l.sub(v[1], v[0]), delta), l.at(0));
  }
  auto scalarMap = AffineMap::get(1, 0, {}, l.b.getContext());
  l.set(l.generic(signless(elem), {size}, {ins[0], ins[2]}, {scalarMap, scalarMap}, [&](Scalars &s, ValueRange x) {
    Value p = s.position(0);
    if (isa<FloatType>(elem)) {
      Value n = s.make<arith::SIToFPOp>(wide, s.make<arith::IndexCastOp>(l.b.getI64Type(), p));
      return s.cast(s.add(s.cast(x[0], elem, wide), s.mul(n, s.cast(x[1], elem, wide))), wide, elem);
    }
    return s.add(x[0], s.mul(s.make<arith::IndexCastOp>(x[0].getType(), p), x[1]));
  }));
  return success();
}

LogicalResult lowerEyeLike(OnnxLowering &l) {
  int64_t k = l.intAttr("k", 0);
  Type elem = l.resultType().getElementType();
  l.set(l.generate(elem, l.sizes(l.input(0)), [&](Scalars &s, ValueRange) {
    Value on = s.cmp(I::eq, s.add(s.position(0), s.index(k)), s.position(1));
    Type wide = computeType(elem);
    Value bit = s.select(on, s.constant(wide, 1), s.constant(wide, 0));
    return s.cast(bit, wide, elem);
  }));
  return success();
}

/// [N, C, H, W] with blocks of the depth moved into the plane, or back.
LogicalResult lowerDepthToSpace(OnnxLowering &l) {
  Value x = l.input(0);
  int64_t block = l.intAttr("blocksize", 1);
  bool dcr = l.stringAttr("mode", "DCR") == "DCR";
  Sizes n = l.sizes(x);
  OpFoldResult depth = l.floorDiv(n[1], l.at(block * block)), side = l.at(block);
  Value split =
      dcr ? l.reshape(x, {n[0], side, side, depth, n[2], n[3]}) : l.reshape(x, {n[0], depth, side, side, n[2], n[3]});
  Value moved = l.transpose(split, dcr ? ArrayRef<int64_t>{0, 3, 4, 1, 5, 2} : ArrayRef<int64_t>{0, 1, 4, 2, 5, 3});
  l.set(l.reshape(moved, {n[0], depth, l.mul(n[2], side), l.mul(n[3], side)}));
  return success();
}

LogicalResult lowerSpaceToDepth(OnnxLowering &l) {
  Value x = l.input(0);
  int64_t block = l.intAttr("blocksize", 1);
  Sizes n = l.sizes(x);
  OpFoldResult side = l.at(block), h = l.floorDiv(n[2], side), w = l.floorDiv(n[3], side);
  bool dcr = l.stringAttr("mode", "DCR") == "DCR";
  Value split = l.reshape(x, {n[0], n[1], h, side, w, side});
  Value moved = l.transpose(split, dcr ? ArrayRef<int64_t>{0, 3, 5, 1, 2, 4} : ArrayRef<int64_t>{0, 1, 3, 5, 2, 4});
  l.set(l.reshape(moved, {n[0], l.mul(n[1], l.at(block * block)), h, w}));
  return success();
}

} // namespace

Sizes OnnxLowering::pickedSizes(Value v, llvm::function_ref<Value(int64_t)> isKept, int64_t count) {
  Scalars s = scalars();
  SmallVector<Value> picked(count, Value());
  for (Value &p : picked)
    p = s.index(1);
  Value place = s.index(0);
  for (auto [d, size] : llvm::enumerate(sizes(v))) {
    Value kept = isKept(d);
    for (auto [k, p] : llvm::enumerate(picked))
      p = s.select(s.make<arith::AndIOp>(kept, s.cmp(I::eq, place, s.index(k))), value(size), p);
    place = s.add(place, s.select(kept, s.index(1), s.index(0)));
  }
  return llvm::map_to_vector(picked, [](Value v) { return OpFoldResult(v); });
}

void convert::addShape(LowerTable &t) {
  t["Constant"] = lowerConstant;
  t["Shape"] = lowerShape;
  t["Size"] = lowerSize;
  t["ConstantOfShape"] = lowerConstantOfShape;
  t["Reshape"] = lowerReshape;
  t["Flatten"] = lowerFlatten;
  t["Squeeze"] = lowerSqueeze;
  t["Unsqueeze"] = lowerUnsqueeze;
  t["Transpose"] = lowerTranspose;
  t["Expand"] = lowerExpand;
  t["Tile"] = lowerTile;
  t["Range"] = lowerRange;
  t["EyeLike"] = lowerEyeLike;
  t["DepthToSpace"] = lowerDepthToSpace;
  t["SpaceToDepth"] = lowerSpaceToDepth;
}
