//===- ConvertOnnxTensors.cpp - tensor builders of the generic lowering ---===//
// Broadcasting, reductions, reshapes, slices, products: each builder takes extents as they are known (constants make static
// types) and remembers the symbolic shape of what it makes, so that the next one can prove extents equal.
//===----------------------------------------------------------------------===//
#include "ConvertOnnx.h"

#include "dialects/moe/Moe.h"
#include "moe/Support/NodeName.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Utils/ReshapeOpsUtils.h"
#include "mlir/Dialect/Utils/StructuredOpsUtils.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::convert;

static SmallVector<int64_t> staticShape(ArrayRef<OpFoldResult> sizes) {
  return llvm::map_to_vector(sizes,
                             [](OpFoldResult s) { return getConstantIntValue(s).value_or(ShapedType::kDynamic); });
}

Value OnnxLowering::empty(Type elem, ArrayRef<OpFoldResult> sizes) {
  // Values that are constants would give a dynamic dim; make them attributes.
  Sizes folded = llvm::map_to_vector(sizes, [&](OpFoldResult s) {
    std::optional<int64_t> c = getConstantIntValue(s);
    return c ? at(*c) : s;
  });
  Value v = tensor::EmptyOp::create(b, loc, folded, signless(elem));
  setShape(v, exprsOf(folded));
  return v;
}

Value OnnxLowering::fill(Type elem, ArrayRef<OpFoldResult> sizes, Value scalar) {
  Value init = empty(elem, sizes);
  Value v = linalg::FillOp::create(b, loc, ValueRange{scalar}, ValueRange{init}).getResult(0);
  setShape(v, exprsOf(sizes));
  return v;
}

Value OnnxLowering::wrap(Value scalar) {
  return tensor::FromElementsOp::create(b, loc, RankedTensorType::get({}, scalar.getType()), ValueRange{scalar});
}

Value OnnxLowering::generic(Type elem, ArrayRef<OpFoldResult> sizes, ValueRange ins, ArrayRef<AffineMap> maps,
                            Body body) {
  Value init = empty(elem, sizes);
  SmallVector<AffineMap> all(maps);
  all.push_back(b.getMultiDimIdentityMap(sizes.size()));
  SmallVector<utils::IteratorType> iterators(sizes.size(), utils::IteratorType::parallel);
  auto op = linalg::GenericOp::create(b, loc, init.getType(), ins, ValueRange{init}, all, iterators,
                                      [&](OpBuilder &nested, Location nestedLoc, ValueRange args) {
                                        Scalars s{nested, nestedLoc};
                                        Value v = body(s, args.drop_back());
                                        linalg::YieldOp::create(nested, nestedLoc, v);
                                      });
  setShape(op.getResult(0), exprsOf(sizes));
  return op.getResult(0);
}

Value OnnxLowering::contraction(Value init, ArrayRef<OpFoldResult> loops, AffineMap outMap, ValueRange ins,
                                ArrayRef<AffineMap> maps, Body body) {
  SmallVector<AffineMap> all(maps);
  all.push_back(outMap);
  SmallVector<utils::IteratorType> iterators(loops.size(), utils::IteratorType::reduction);
  for (AffineExpr e : outMap.getResults())
    if (auto d = dyn_cast<AffineDimExpr>(e))
      iterators[d.getPosition()] = utils::IteratorType::parallel;
  auto op = linalg::GenericOp::create(b, loc, init.getType(), ins, ValueRange{init}, all, iterators,
                                      [&](OpBuilder &nested, Location nestedLoc, ValueRange args) {
                                        Scalars s{nested, nestedLoc};
                                        Value v = body(s, args);
                                        linalg::YieldOp::create(nested, nestedLoc, v);
                                      });
  setShape(op.getResult(0), shapeOf(init));
  return op.getResult(0);
}

//===----------------------------------------------------------------------===//
// Broadcasting
//===----------------------------------------------------------------------===//

/// Two extents of which neither is one, and that are known to differ.
static bool mismatch(AffineExpr own, AffineExpr wanted) {
  auto a = dyn_cast<AffineConstantExpr>(own), b = dyn_cast<AffineConstantExpr>(wanted);
  return a && b && a.getValue() != 1 && a != b;
}

OnnxLowering::Read OnnxLowering::read(Value v, ArrayRef<AffineExpr> shape, ArrayRef<OpFoldResult> sizes) {
  auto type = ranked(v);
  int64_t rank = type.getRank(), lead = static_cast<int64_t>(shape.size()) - rank;
  Exprs own = shapeOf(v);
  Read result;
  result.isOne.resize(rank);
  bool dynamic = false;
  SmallVector<AffineExpr> exprs;
  for (int64_t d = 0; d < rank; ++d) {
    if (lead + d < 0 || mismatch(own[d], shape[lead + d])) {
      refuse("expects shapes that broadcast, but dim " + Twine(d) + " of an operand does not");
      exprs.push_back(expr(0));
      continue;
    }
    AffineExpr place = b.getAffineDimExpr(lead + d);
    bool one = own[d] == expr(1);
    if (equal(own[d], shape[lead + d]) || (!one && !type.isDynamicDim(d))) {
      exprs.push_back(place); // as large as the result
    } else if (one && type.getDimSize(d) == 1) {
      exprs.push_back(expr(0));
    } else {
      dynamic = true;
      exprs.push_back(place);
      Scalars s = scalars();
      Value have = value(size(v, d));
      result.isOne[d] = s.cmp(arith::CmpIPredicate::eq, have, s.index(1));
      require(s.make<arith::OrIOp>(result.isOne[d], s.cmp(arith::CmpIPredicate::eq, have, value(sizes[lead + d]))),
              "shapes that broadcast, but dim " + Twine(lead + d) + " differs");
    }
  }
  result.from = v;
  if (dynamic)
    return result;
  // Unit dims that were only put in for the alignment need no view.
  if (auto it = unitDims.find(v); it != unitDims.end()) {
    result.from = it->second.first;
    SmallVector<AffineExpr> kept;
    for (int64_t d = 0; d < rank; ++d)
      if (!llvm::is_contained(it->second.second, d))
        kept.push_back(exprs[d]);
    exprs = kept;
  }
  result.map = AffineMap::get(shape.size(), 0, exprs, b.getContext());
  return result;
}

Value OnnxLowering::broadcast(Type elem, ArrayRef<OpFoldResult> sizes, ValueRange ins, Body body) {
  Exprs shape = exprsOf(sizes);
  SmallVector<Read> reads;
  SmallVector<Value> mapped;
  SmallVector<AffineMap> maps;
  for (Value v : ins) {
    Read r = read(v, shape, sizes);
    if (r.map) {
      mapped.push_back(r.from);
      maps.push_back(*r.map);
    }
    reads.push_back(std::move(r));
  }
  return generic(elem, sizes, mapped, maps, [&](Scalars &s, ValueRange args) {
    SmallVector<Value> elements;
    unsigned next = 0;
    for (auto [v, r] : llvm::zip(ins, reads)) {
      if (r.map) {
        elements.push_back(args[next++]);
        continue;
      }
      SmallVector<Value> place;
      int64_t rank = ranked(v).getRank(), lead = static_cast<int64_t>(shape.size()) - rank;
      for (int64_t d = 0; d < rank; ++d) {
        if (ranked(v).getDimSize(d) == 1) {
          place.push_back(s.index(0));
          continue;
        }
        Value p = s.position(lead + d);
        place.push_back(r.isOne[d] ? s.select(r.isOne[d], s.index(0), p) : p);
      }
      elements.push_back(s.make<tensor::ExtractOp>(v, place));
    }
    return body(s, elements);
  });
}

Sizes OnnxLowering::broadcastSizes(ValueRange ins) {
  int64_t rank = 0;
  for (Value v : ins)
    rank = std::max(rank, ranked(v).getRank());
  Sizes result;
  for (int64_t d = 0; d < rank; ++d) {
    OpFoldResult chosen;
    bool settled = false; // provably not one, or the only candidate
    SmallVector<std::pair<Value, int64_t>> candidates;
    for (Value v : ins) {
      int64_t dim = d - (rank - ranked(v).getRank());
      if (dim < 0)
        continue;
      std::optional<int64_t> constant;
      if (auto c = dyn_cast<AffineConstantExpr>(shapeOf(v)[dim]))
        constant = c.getValue();
      if (constant && *constant != 1) {
        chosen = at(*constant);
        settled = true;
        break;
      }
      if (!constant &&
          llvm::none_of(candidates, [&](auto &c) { return equal(shapeOf(c.first)[c.second], shapeOf(v)[dim]); }))
        candidates.push_back({v, dim});
    }
    if (!settled) {
      if (candidates.empty())
        chosen = at(1);
      else if (candidates.size() == 1)
        chosen = size(candidates[0].first, candidates[0].second);
      else if (onnxResult() && ranked(onnxResult()).getRank() == rank && resultSize(d)) {
        chosen = *resultSize(d);
      } else {
        chosen = size(candidates[0].first, candidates[0].second);
        for (auto [v, dim] : llvm::drop_begin(candidates)) {
          Value so = value(chosen), other = value(size(v, dim));
          Value one = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, so, value(at(1)));
          chosen = fold(arith::SelectOp::create(b, loc, one, other, so));
        }
      }
    }
    result.push_back(chosen);
  }
  return result;
}

Value OnnxLowering::elementwise(Type elem, ValueRange ins, Body body) {
  return broadcast(elem, broadcastSizes(ins), ins, body);
}

Value OnnxLowering::broadcastTo(Value v, ArrayRef<OpFoldResult> sizes) {
  Exprs want = exprsOf(sizes), have = shapeOf(v);
  if (have.size() == want.size() &&
      llvm::all_of(llvm::zip(have, want), [&](auto p) { return equal(std::get<0>(p), std::get<1>(p)); }))
    return v;
  return broadcast(ranked(v).getElementType(), sizes, {v}, [](Scalars &, ValueRange x) { return x[0]; });
}

Value OnnxLowering::castElements(Value v, Type from, Type to, bool saturate) {
  if (from == to)
    return v;
  if (signless(from) == signless(to) && isa<IntegerType>(from) && !from.isInteger(1))
    return v;
  return elementwise(to, {v}, [&](Scalars &s, ValueRange x) { return s.cast(x[0], from, to, saturate); });
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

Value OnnxLowering::reduce(Value v, ArrayRef<int64_t> reduced, Value init, Body body) {
  int64_t rank = ranked(v).getRank();
  Sizes loops = sizes(v), kept;
  SmallVector<AffineExpr> out;
  for (int64_t d = 0; d < rank; ++d)
    if (!llvm::is_contained(reduced, d)) {
      kept.push_back(loops[d]);
      out.push_back(b.getAffineDimExpr(d));
    }
  Value start = fill(init.getType(), kept, init);
  return contraction(start, loops, AffineMap::get(rank, 0, out, b.getContext()), {v}, {b.getMultiDimIdentityMap(rank)},
                     [&](Scalars &s, ValueRange x) { return body(s, {x[1], x[0]}); });
}

Value OnnxLowering::reduceSum(Value v, ArrayRef<int64_t> reduced) {
  return reduce(v, reduced, scalars().constant(ranked(v).getElementType(), 0),
                [](Scalars &s, ValueRange x) { return s.add(x[0], x[1]); });
}

Value OnnxLowering::lowest(Type elem, bool isUnsigned) {
  Scalars s = scalars();
  if (auto f = dyn_cast<FloatType>(elem))
    return s.make<arith::ConstantOp>(FloatAttr::get(f, llvm::APFloat::getInf(f.getFloatSemantics(), true)));
  unsigned width = elem.getIntOrFloatBitWidth();
  return s.make<arith::ConstantOp>(
      b.getIntegerAttr(elem, isUnsigned ? llvm::APInt::getZero(width) : llvm::APInt::getSignedMinValue(width)));
}

Value OnnxLowering::highest(Type elem, bool isUnsigned) {
  Scalars s = scalars();
  if (auto f = dyn_cast<FloatType>(elem))
    return s.make<arith::ConstantOp>(FloatAttr::get(f, llvm::APFloat::getInf(f.getFloatSemantics(), false)));
  unsigned width = elem.getIntOrFloatBitWidth();
  return s.make<arith::ConstantOp>(
      b.getIntegerAttr(elem, isUnsigned ? llvm::APInt::getMaxValue(width) : llvm::APInt::getSignedMaxValue(width)));
}

Value OnnxLowering::reduceMax(Value v, ArrayRef<int64_t> reduced, bool isUnsigned) {
  return reduce(v, reduced, lowest(ranked(v).getElementType(), isUnsigned),
                [&](Scalars &s, ValueRange x) { return s.max(x[0], x[1], isUnsigned); });
}

Value OnnxLowering::softmax(Value v, int64_t axis) {
  Type elem = ranked(v).getElementType();
  Value top = insertUnitDims(reduceMax(v, {axis}), {axis});
  Value e = elementwise(elem, {v, top}, [](Scalars &s, ValueRange x) { return s.exp(s.sub(x[0], x[1])); });
  Value sum = insertUnitDims(reduceSum(e, {axis}), {axis});
  return elementwise(elem, {e, sum}, [](Scalars &s, ValueRange x) { return s.make<arith::DivFOp>(x[0], x[1]); });
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

Value OnnxLowering::castTo(Value v, RankedTensorType type) {
  if (v.getType() == type)
    return v;
  if (!tensor::CastOp::areCastCompatible(v.getType(), type)) {
    std::string text;
    llvm::raw_string_ostream(text) << "expects a value of type " << type << ", but it is " << v.getType();
    refuse(text);
    return UnrealizedConversionCastOp::create(b, loc, type, v).getResult(0);
  }
  Value c = tensor::CastOp::create(b, loc, type, v);
  setShape(c, shapeOf(v));
  return c;
}

Value OnnxLowering::tighten(Value v) {
  return castTo(v, RankedTensorType::get(staticShape(sizes(v)), ranked(v).getElementType()));
}

Value OnnxLowering::reshape(Value v, ArrayRef<OpFoldResult> wanted) {
  Sizes target = llvm::map_to_vector(wanted, [&](OpFoldResult s) {
    std::optional<int64_t> c = getConstantIntValue(s);
    return c ? at(*c) : s;
  });
  Exprs in = shapeOf(v), out = exprsOf(target);
  auto type = RankedTensorType::get(staticShape(target), ranked(v).getElementType());
  if (in.size() == out.size() &&
      llvm::all_of(llvm::zip(in, out), [&](auto p) { return equal(std::get<0>(p), std::get<1>(p)); })) {
    Value c = castTo(v, type);
    setShape(c, out);
    return c;
  }
  // Groups of dims with equal products, as small as possible, from the front.
  int64_t n = in.size(), m = out.size(), i = 0, j = 0;
  SmallVector<ReassociationIndices> from, to;
  bool grouped = true;
  auto product = [&](ArrayRef<AffineExpr> dims, int64_t first, int64_t count) {
    AffineExpr p = expr(1);
    for (int64_t k = first; k < first + count; ++k)
      p = p * dims[k];
    return p;
  };
  auto close = [&](int64_t p, int64_t q) {
    from.push_back(llvm::to_vector(llvm::seq<int64_t>(i, i + p)));
    to.push_back(llvm::to_vector(llvm::seq<int64_t>(j, j + q)));
    i += p;
    j += q;
  };
  while (grouped && i < n && j < m) {
    bool found = false;
    for (int64_t total = 2; total <= n - i + m - j && !found; ++total)
      for (int64_t p = 1; p < total && !found; ++p) {
        int64_t q = total - p;
        if (p <= n - i && q <= m - j && equal(product(in, i, p), product(out, j, q))) {
          close(p, q);
          found = true;
        }
      }
    grouped = found;
  }
  // What is left on one side must be ones.
  for (; grouped && i < n; ++i) {
    grouped = in[i] == expr(1) && (m == 0 || !from.empty());
    if (grouped && m != 0)
      from.back().push_back(i);
  }
  for (; grouped && j < m; ++j) {
    grouped = out[j] == expr(1) && (n == 0 || !to.empty());
    if (grouped && n != 0)
      to.back().push_back(j);
  }
  if (!grouped) {
    SmallVector<Value> extents = llvm::map_to_vector(target, [&](OpFoldResult s) { return value(s); });
    Value shape = tensor::FromElementsOp::create(b, loc, RankedTensorType::get({m}, b.getIndexType()), extents);
    Value r = tensor::ReshapeOp::create(b, loc, type, v, shape);
    setShape(r, out);
    return r;
  }
  // A static type wherever the extent is known, so that collapsing and expanding agree on what is static.
  SmallVector<int64_t> inShape = llvm::map_to_vector(in, [](AffineExpr e) {
    auto c = dyn_cast<AffineConstantExpr>(e);
    return c ? c.getValue() : ShapedType::kDynamic;
  });
  Value current = castTo(v, RankedTensorType::get(inShape, type.getElementType()));
  if (m == 0)
    from.clear();
  if (llvm::any_of(from, [](const ReassociationIndices &g) { return g.size() > 1; }) || (m == 0 && n > 0))
    current = tensor::CollapseShapeOp::create(b, loc, current, from);
  // The collapsed type that the expansion needs.
  if (n == 0)
    to.clear();
  SmallVector<int64_t> middle;
  for (const ReassociationIndices &g : to) {
    int64_t extent = 1;
    for (int64_t d : g)
      extent =
          ShapedType::isDynamic(extent) || type.isDynamicDim(d) ? ShapedType::kDynamic : extent * type.getDimSize(d);
    middle.push_back(extent);
  }
  if (m != 0)
    current = castTo(current, RankedTensorType::get(middle, type.getElementType()));
  if (llvm::any_of(to, [](const ReassociationIndices &g) { return g.size() > 1; }) || (n == 0 && m > 0))
    current = tensor::ExpandShapeOp::create(b, loc, type, current, to, target);
  setShape(current, out);
  return current;
}

Value OnnxLowering::insertUnitDims(Value v, ArrayRef<int64_t> positions) {
  Sizes result, own = sizes(v);
  unsigned next = 0;
  for (int64_t d = 0, rank = own.size() + positions.size(); d < rank; ++d)
    result.push_back(llvm::is_contained(positions, d) ? at(1) : own[next++]);
  Value r = reshape(v, result);
  unitDims[r] = {v, llvm::to_vector(positions)};
  return r;
}

Value OnnxLowering::dropUnitDims(Value v, ArrayRef<int64_t> positions) {
  auto type = ranked(v);
  SmallVector<int64_t> shape(type.getShape());
  Exprs exprs = shapeOf(v);
  for (int64_t d : positions) {
    shape[d] = 1;
    exprs[d] = expr(1);
  }
  v = castTo(v, RankedTensorType::get(shape, type.getElementType()));
  setShape(v, exprs);
  Sizes result, own = sizes(v);
  for (auto [d, s] : llvm::enumerate(own))
    if (!llvm::is_contained(positions, static_cast<int64_t>(d)))
      result.push_back(s);
  return reshape(v, result);
}

Value OnnxLowering::collapse(Value v, int64_t first, int64_t last) {
  Sizes own = sizes(v), result(own.begin(), own.begin() + first);
  Exprs shape = shapeOf(v);
  AffineExpr product = expr(1);
  OpFoldResult extent = at(1);
  for (int64_t d = first; d < last; ++d) {
    product = product * shape[d];
    extent = mul(extent, own[d]);
  }
  if (auto x = dyn_cast<Value>(extent))
    valueExprs[x] = product;
  result.push_back(extent);
  result.append(own.begin() + last, own.end());
  return reshape(v, result);
}

Value OnnxLowering::transpose(Value v, ArrayRef<int64_t> perm) {
  if (llvm::equal(perm, llvm::seq<int64_t>(0, perm.size())))
    return v;
  Sizes own = sizes(v), result = llvm::map_to_vector(perm, [&](int64_t d) { return own[d]; });
  Exprs shape = shapeOf(v);
  Value init = empty(ranked(v).getElementType(), result);
  Value t = linalg::TransposeOp::create(b, loc, tighten(v), init, perm).getResult()[0];
  setShape(t, llvm::map_to_vector(perm, [&](int64_t d) { return shape[d]; }));
  return t;
}

Value OnnxLowering::slice(Value v, ArrayRef<OpFoldResult> offsets, ArrayRef<OpFoldResult> lengths,
                          ArrayRef<OpFoldResult> strides) {
  // Nothing can be taken from an empty tensor, and an empty slice has no offset in bounds.
  if (llvm::is_contained(ranked(v).getShape(), 0) ||
      llvm::any_of(lengths, [](OpFoldResult s) { return getConstantIntValue(s) == 0; }))
    return empty(ranked(v).getElementType(), lengths);
  Sizes steps(strides);
  steps.resize(offsets.size(), at(1));
  auto attributes = [&](ArrayRef<OpFoldResult> list) {
    return llvm::map_to_vector(list, [&](OpFoldResult s) {
      std::optional<int64_t> c = getConstantIntValue(s);
      return c ? at(*c) : s;
    });
  };
  Value r = tensor::ExtractSliceOp::create(b, loc, v, attributes(offsets), attributes(lengths), attributes(steps));
  setShape(r, exprsOf(lengths));
  return r;
}

Value OnnxLowering::sliceAxis(Value v, int64_t axis, OpFoldResult offset, OpFoldResult length) {
  Sizes lengths = sizes(v), offsets(lengths.size(), at(0));
  offsets[axis] = offset;
  lengths[axis] = length;
  return slice(v, offsets, lengths);
}

Value OnnxLowering::concat(ValueRange parts, int64_t axis) {
  SmallVector<Value> used;
  for (Value v : parts)
    if (ranked(v).getDimSize(axis) != 0)
      used.push_back(v);
  if (used.empty())
    return parts.front();
  if (used.size() == 1)
    return used.front();
  Sizes total = sizes(used.front());
  for (Value v : llvm::drop_begin(used)) {
    AffineExpr sum = exprOf(total[axis]) + shapeOf(v)[axis];
    total[axis] = add(total[axis], size(v, axis));
    if (auto x = dyn_cast<Value>(total[axis]); x && !valueExprs.contains(x))
      valueExprs[x] = sum;
  }
  Value result = empty(ranked(used.front()).getElementType(), total);
  Exprs shape = exprsOf(total);
  Sizes offsets(total.size(), at(0)), ones(total.size(), at(1));
  for (Value v : used) {
    result = tensor::InsertSliceOp::create(b, loc, tighten(v), result, offsets, sizes(v), ones);
    offsets[axis] = add(offsets[axis], size(v, axis));
  }
  setShape(result, shape);
  return result;
}

//===----------------------------------------------------------------------===//
// Products and indices
//===----------------------------------------------------------------------===//

Value OnnxLowering::matmul(Value x, Value y, bool transposeY) {
  Type acc = computeType(ranked(x).getElementType());
  Value zero = scalars().constant(acc, 0);
  int64_t rankX = ranked(x).getRank(), rankY = ranked(y).getRank();
  // Rows times one matrix: the leading dims are rows.
  if (rankY == 2) {
    Sizes result = sizes(x);
    OpFoldResult columns = size(y, transposeY ? 0 : 1);
    result.back() = columns;
    Value rows = rankX == 2 ? x : collapse(x, 0, rankX - 1);
    Value init = fill(acc, {size(rows, 0), columns}, zero);
    SmallVector<Value> ins = {rows, y};
    Value product = transposeY
                        ? linalg::MatmulTransposeBOp::create(b, loc, init.getType(), ins, ValueRange{init}).getResult(0)
                        : linalg::MatmulOp::create(b, loc, init.getType(), ins, ValueRange{init}).getResult(0);
    setShape(product, shapeOf(init));
    return rankX == 2 ? product : reshape(product, result);
  }
  // Batches: broadcast what is before the matrices through the maps.
  int64_t batch = std::max(rankX, rankY) - 2;
  Sizes loops;
  for (int64_t d = 0; d < batch; ++d) {
    int64_t dx = d - (batch - (rankX - 2)), dy = d - (batch - (rankY - 2));
    if (dx < 0 || shapeOf(x)[dx] == expr(1))
      loops.push_back(dy < 0 ? at(1) : size(y, dy));
    else if (dy < 0 || shapeOf(y)[dy] == expr(1) || equal(shapeOf(x)[dx], shapeOf(y)[dy]) ||
             !ranked(x).isDynamicDim(dx))
      loops.push_back(size(x, dx));
    else if (!ranked(y).isDynamicDim(dy))
      loops.push_back(size(y, dy));
    else {
      Value so = value(size(x, dx)), other = value(size(y, dy));
      Value one = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, so, value(at(1)));
      loops.push_back(fold(arith::SelectOp::create(b, loc, one, other, so)));
    }
  }
  Exprs batchExprs = exprsOf(loops);
  // An operand whose batch extents are only known to fit at run time is broadcast first.
  auto fit = [&](Value v) {
    Exprs own = shapeOf(v);
    int64_t lead = batch - (static_cast<int64_t>(own.size()) - 2);
    for (int64_t d = 0, e = own.size() - 2; d < e; ++d)
      if (!equal(own[d], batchExprs[lead + d]) && ranked(v).isDynamicDim(d)) {
        Sizes full(loops);
        full.push_back(size(v, own.size() - 2));
        full.push_back(size(v, own.size() - 1));
        return broadcastTo(v, full);
      }
    return v;
  };
  x = fit(x);
  y = fit(y);
  rankX = ranked(x).getRank();
  rankY = ranked(y).getRank();
  OpFoldResult rows = size(x, rankX - 2), columns = size(y, rankY - 1);
  Sizes out(loops);
  out.push_back(rows);
  out.push_back(columns);
  Value init = fill(acc, out, zero);
  loops = out;
  loops.push_back(size(x, rankX - 1));
  auto map = [&](Value v, int64_t d0, int64_t d1) {
    Exprs own = shapeOf(v);
    int64_t lead = batch - (static_cast<int64_t>(own.size()) - 2);
    SmallVector<AffineExpr> exprs;
    for (int64_t d = 0, e = own.size() - 2; d < e; ++d)
      exprs.push_back(equal(own[d], batchExprs[lead + d]) || ranked(v).getDimSize(d) != 1 ? b.getAffineDimExpr(lead + d)
                                                                                          : expr(0));
    exprs.push_back(b.getAffineDimExpr(d0));
    exprs.push_back(b.getAffineDimExpr(d1));
    return AffineMap::get(batch + 3, 0, exprs, b.getContext());
  };
  SmallVector<AffineExpr> outExprs;
  for (int64_t d = 0; d < batch + 2; ++d)
    outExprs.push_back(b.getAffineDimExpr(d));
  Type from = ranked(x).getElementType();
  return contraction(init, loops, AffineMap::get(batch + 3, 0, outExprs, b.getContext()), {x, y},
                     {map(x, batch, batch + 2), map(y, batch + 2, batch + 1)}, [&](Scalars &s, ValueRange v) {
                       return s.add(v[2], s.mul(s.cast(v[0], from, acc), s.cast(v[1], from, acc)));
                     });
}

static Value fromFront(Scalars &s, Value index, Value size) {
  Value i = s.toIndex(index), zero = s.index(0);
  return s.select(s.cmp(arith::CmpIPredicate::slt, i, zero), s.add(i, size), i);
}

Value OnnxLowering::checked(Scalars &s, Value v, Value ok, const Twine &what) {
  return CheckedOp::create(s.b, s.loc, v, ok, nodePrefix(loc, op->getName().stripDialect()) + "expects " + what.str());
}

Value OnnxLowering::checkedIndex(Scalars &s, Value index, Value size) {
  Value i = fromFront(s, index, size);
  Value inside = s.cmp(arith::CmpIPredicate::ult, i, size);
  return checked(s, s.select(inside, i, s.index(0)), inside,
                 "indices in [-n, n) of an axis of n elements, but one is outside");
}

void OnnxLowering::require(Value ok, const Twine &what) {
  if (matchPattern(ok, m_One()))
    return;
  cf::AssertOp::create(b, loc, ok, nodePrefix(loc, op->getName().stripDialect()) + "expects " + what.str());
}

void OnnxLowering::requireSame(Value v, int64_t dim, Value other, int64_t otherDim, const Twine &what) {
  if (!equal(shapeOf(v)[dim], shapeOf(other)[otherDim]))
    require(scalars().cmp(arith::CmpIPredicate::eq, value(size(v, dim)), value(size(other, otherDim))), what);
}

void OnnxLowering::requireElements(OpFoldResult extent, ArrayRef<OpFoldResult> indexSizes) {
  std::optional<int64_t> known = getConstantIntValue(extent);
  if (known && *known > 0)
    return;
  OpFoldResult count = at(1);
  for (OpFoldResult size : indexSizes)
    count = mul(count, size);
  Scalars s = scalars();
  Value some = s.cmp(arith::CmpIPredicate::sgt, value(extent), s.index(0));
  Value none = s.cmp(arith::CmpIPredicate::eq, value(count), s.index(0));
  require(s.make<arith::OrIOp>(some, none), "an axis with elements to index, but its extent is 0");
}

Value OnnxLowering::safeIndex(Scalars &s, Value index, Value size) {
  Value last = s.sub(size, s.index(1));
  return s.max(s.min(fromFront(s, index, size), last), s.index(0));
}
