//===- ConvertOnnxProduct.cpp - MatMul, Gemm, Einsum and quantized products ----===//
// Sums of f16 and bf16 products are kept in f32 and rounded once.
//===----------------------------------------------------------------------===//
#include "ConvertOnnx.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::convert;

namespace {

/// numpy's matmul on ranks from 1 on; the result has `computeType` elements.
Value numpyMatmul(OnnxLowering &l, Value x, Value y) {
  bool row = ranked(x).getRank() == 1, column = ranked(y).getRank() == 1;
  if (row)
    x = l.insertUnitDims(x, {0});
  if (column)
    y = l.insertUnitDims(y, {1});
  Value p = l.matmul(x, y);
  int64_t rank = ranked(p).getRank();
  SmallVector<int64_t> ones;
  if (row)
    ones.push_back(rank - 2);
  if (column)
    ones.push_back(rank - 1);
  return ones.empty() ? p : l.dropUnitDims(p, ones);
}

LogicalResult lowerMatMul(OnnxLowering &l) {
  if (l.rankOf(0) == 0 || l.rankOf(1) == 0)
    return l.unsupported("expects inputs of rank 1 or more");
  l.set(l.narrow(numpyMatmul(l, l.input(0), l.input(1)), l.resultType().getElementType()));
  return success();
}

SmallVector<int64_t> swapLast(int64_t rank) {
  auto perm = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (rank >= 2)
    std::swap(perm[rank - 1], perm[rank - 2]);
  return perm;
}

/// alpha * A' * B' + beta * C.
LogicalResult lowerGemm(OnnxLowering &l) {
  Value a = l.input(0), b = l.input(1), c = l.input(2);
  Type elem = l.resultType().getElementType(), wide = computeType(elem);
  double alpha = l.floatAttr("alpha", 1.0), beta = l.floatAttr("beta", 1.0);
  if (l.rankOf(0) != 2 || l.rankOf(1) != 2)
    return l.unsupported("expects matrices");
  if (l.intAttr("transA", 0))
    a = l.transpose(a, {1, 0});
  Value p = l.matmul(a, b, l.intAttr("transB", 0) != 0);
  bool bias = c && beta != 0;
  if (!bias && alpha == 1) {
    l.set(l.narrow(p, elem));
    return success();
  }
  SmallVector<Value> ins = {p};
  if (bias)
    ins.push_back(c);
  Sizes sizes = l.sizes(p);
  l.set(l.broadcast(elem, sizes, ins, [&](Scalars &s, ValueRange x) {
    Value v = alpha == 1 ? x[0] : s.mul(s.constant(wide, alpha), x[0]);
    if (bias) {
      Value w = s.cast(x[1], elem, wide);
      v = s.add(v, beta == 1 ? w : s.mul(s.constant(wide, beta), w));
    }
    return s.cast(v, wide, elem);
  }));
  return success();
}

/// com.microsoft: alpha * A' * B' with optional transposes of the last two dims.
LogicalResult lowerFusedMatMul(OnnxLowering &l) {
  if (l.intAttr("transBatchA", 0) || l.intAttr("transBatchB", 0))
    return l.unsupported("expects transBatchA and transBatchB to be 0");
  Value a = l.input(0), b = l.input(1);
  if (l.intAttr("transA", 0))
    a = l.transpose(a, swapLast(l.rankOf(0)));
  if (l.intAttr("transB", 0))
    b = l.transpose(b, swapLast(l.rankOf(1)));
  Value p = numpyMatmul(l, a, b);
  Type elem = l.resultType().getElementType(), wide = ranked(p).getElementType();
  double alpha = l.floatAttr("alpha", 1.0);
  if (alpha != 1)
    p = l.elementwise(wide, {p}, [&](Scalars &s, ValueRange x) { return s.mul(x[0], s.constant(wide, alpha)); });
  l.set(l.narrow(p, elem));
  return success();
}

/// x - zero point, as i32; a zero point of rank 1 goes along `axis` from the back.
Value centered(OnnxLowering &l, unsigned input, unsigned zero, int64_t axisFromBack) {
  Type elem = l.elementOf(input), i32 = l.b.getI32Type();
  Value x = l.input(input), z = l.input(zero);
  if (!z)
    return l.castElements(x, elem, i32);
  if (ranked(z).getRank() == 1 && axisFromBack == 2 && ranked(z).getDimSize(0) != 1)
    z = l.insertUnitDims(z, {1});
  if (ranked(z).getRank() == 1 && l.rankOf(input) < 1)
    z = l.reshape(z, {});
  return l.elementwise(
      i32, {x, z}, [&](Scalars &s, ValueRange v) { return s.sub(s.cast(v[0], elem, i32), s.cast(v[1], elem, i32)); });
}

LogicalResult lowerMatMulInteger(OnnxLowering &l) {
  l.set(numpyMatmul(l, centered(l, 0, 2, 2), centered(l, 1, 3, 1)));
  return success();
}

/// a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero.
LogicalResult lowerQLinearMatMul(OnnxLowering &l) {
  for (unsigned i : {1u, 2u, 4u, 5u, 6u, 7u})
    if (l.rankOf(i) != 0 && ranked(l.onnxInput(i)).getDimSize(0) != 1)
      return l.unsupported("expects one scale and zero point a tensor");
  Value p = numpyMatmul(l, centered(l, 0, 2, 2), centered(l, 3, 5, 1));
  FloatType f32 = l.b.getF32Type();
  Type to = l.resultElement(), scale = l.elementOf(1);
  auto scalar = [&](unsigned i) { return l.rankOf(i) == 0 ? l.input(i) : l.reshape(l.input(i), {}); };
  unsigned width = to.getIntOrFloatBitWidth();
  double low = isUnsigned(to) ? 0 : -double(1ull << (width - 1)),
         high = isUnsigned(to) ? double((1ull << width) - 1) : -low - 1;
  l.set(l.elementwise(signless(to), {p, scalar(1), scalar(4), scalar(6), scalar(7)}, [&](Scalars &s, ValueRange v) {
    Value factor =
        s.make<arith::DivFOp>(s.mul(s.cast(v[1], scale, f32), s.cast(v[2], scale, f32)), s.cast(v[3], scale, f32));
    Value q = s.make<math::RoundEvenOp>(s.mul(s.cast(v[0], l.b.getI32Type(), f32), factor));
    q = s.add(q, s.cast(v[4], to, f32));
    return s.cast(s.max(s.min(q, s.constant(f32, high)), s.constant(f32, low)), f32, to);
  }));
  return success();
}

/// com.microsoft: x [..., K] times the transpose of a matrix [N, K] of packed codes with a scale per block of K.
LogicalResult lowerMatMulNBits(OnnxLowering &l) {
  int64_t k = l.intAttr("K", 0), n = l.intAttr("N", 0), bits = l.intAttr("bits", 4), block = l.intAttr("block_size", 0);
  if ((bits != 2 && bits != 4 && bits != 8) || block <= 0 || k <= 0 || n <= 0)
    return l.unsupported("expects bits 2, 4 or 8 and positive K, N and block_size");
  if (l.has(4))
    return l.unsupported("expects no g_idx");
  Type elem = l.elementOf(0), f32 = l.b.getF32Type();
  int64_t blocks = llvm::divideCeil(k, block), perByte = 8 / bits, zeroBytes = llvm::divideCeil(blocks * bits, 8);
  Value codes = l.reshape(l.input(1), {l.at(n), l.at(blocks), l.at(block * bits / 8)});
  Value scales = l.reshape(l.input(2), {l.at(n), l.at(blocks)});
  bool packedZero = l.has(3) && isa<IntegerType>(l.elementOf(3));
  Value zeros = l.has(3) ? l.reshape(l.input(3), {l.at(n), l.at(packedZero ? zeroBytes : blocks)}) : Value();
  Type scaleType = l.elementOf(2);
  auto unpack = [&](Scalars &s, Value byte, Value position) {
    Value wide = s.make<arith::ExtUIOp>(l.b.getI32Type(), byte);
    Value shift = s.mul(s.make<arith::RemUIOp>(position, s.index(perByte)), s.index(bits));
    Value v = s.make<arith::ShRUIOp>(wide, s.make<arith::IndexCastOp>(l.b.getI32Type(), shift));
    return s.make<arith::UIToFPOp>(f32, s.make<arith::AndIOp>(v, s.integer(l.b.getI32Type(), (1 << bits) - 1)));
  };
  Value weight = l.generate(f32, {l.at(n), l.at(k)}, [&](Scalars &s, ValueRange) {
    Value row = s.position(0), column = s.position(1);
    Value group = s.make<arith::DivUIOp>(column, s.index(block)),
          inGroup = s.make<arith::RemUIOp>(column, s.index(block));
    Value byte =
        s.make<tensor::ExtractOp>(codes, ValueRange{row, group, s.make<arith::DivUIOp>(inGroup, s.index(perByte))});
    Value zero = s.constant(f32, 1 << (bits - 1));
    if (packedZero)
      zero = unpack(
          s, s.make<tensor::ExtractOp>(zeros, ValueRange{row, s.make<arith::DivUIOp>(group, s.index(perByte))}), group);
    else if (zeros)
      zero = s.cast(s.make<tensor::ExtractOp>(zeros, ValueRange{row, group}), l.elementOf(3), f32);
    Value scale = s.cast(s.make<tensor::ExtractOp>(scales, ValueRange{row, group}), scaleType, f32);
    return s.mul(s.sub(unpack(s, byte, inGroup), zero), scale);
  });
  Value x = l.widen(l.input(0));
  Value p = l.matmul(l.rankOf(0) == 1 ? l.insertUnitDims(x, {0}) : x, weight, /*transposeY=*/true);
  if (l.rankOf(0) == 1)
    p = l.dropUnitDims(p, {0});
  if (l.has(5))
    p = l.elementwise(f32, {p, l.input(5)},
                      [&](Scalars &s, ValueRange v) { return s.add(v[0], s.cast(v[1], elem, f32)); });
  l.set(l.narrow(p, elem));
  return success();
}

//===----------------------------------------------------------------------===//
// Einsum
//===----------------------------------------------------------------------===//

/// Letters of a term; an ellipsis becomes capital-free private labels '0', '1', ... counted from the back.
FailureOr<SmallVector<char>> labelsOf(OnnxLowering &l, StringRef term, int64_t rank, int64_t ellipsis) {
  SmallVector<char> labels;
  for (size_t i = 0; i < term.size(); ++i) {
    if (term[i] == ' ')
      continue;
    if (term.substr(i).starts_with("...")) {
      int64_t letters = llvm::count_if(term, [](char c) { return llvm::isAlpha(c); });
      int64_t count = rank < 0 ? ellipsis : rank - letters;
      for (int64_t k = count - 1; k >= 0; --k)
        labels.push_back(static_cast<char>('0' + k));
      i += 2;
    } else if (llvm::isAlpha(term[i])) {
      labels.push_back(term[i]);
    } else {
      return l.unsupported("expects letters, commas and ellipses in the equation, but found '" + Twine(term[i]) + "'");
    }
  }
  if (rank >= 0 && static_cast<int64_t>(labels.size()) != rank)
    return l.unsupported("expects " + Twine(labels.size()) + " dims in a term, but the operand's rank is " +
                         Twine(rank));
  return labels;
}

LogicalResult lowerEinsum(OnnxLowering &l) {
  std::string equation = l.stringAttr("equation", "");
  auto [left, right] = StringRef(equation).split("->");
  SmallVector<StringRef> terms;
  left.split(terms, ',');
  SmallVector<Value> ins = l.onnxInputsFrom(0);
  if (terms.size() != ins.size())
    return l.unsupported("expects " + Twine(terms.size()) + " inputs, but found " + Twine(ins.size()));
  SmallVector<SmallVector<char>> labels;
  int64_t ellipsis = 0;
  for (auto [term, in] : llvm::zip(terms, ins)) {
    FailureOr<SmallVector<char>> found = labelsOf(l, term, ranked(in).getRank(), 0);
    if (failed(found))
      return failure();
    ellipsis = std::max<int64_t>(ellipsis, llvm::count_if(*found, [](char c) { return llvm::isDigit(c); }));
    labels.push_back(*found);
  }
  SmallVector<char> out;
  if (StringRef(equation).contains("->")) {
    FailureOr<SmallVector<char>> found = labelsOf(l, right, -1, ellipsis);
    if (failed(found))
      return failure();
    out = *found;
  } else {
    // Implicit: the ellipsis, then the letters that occur once, in alphabetical order.
    for (int64_t k = ellipsis - 1; k >= 0; --k)
      out.push_back(static_cast<char>('0' + k));
    SmallVector<char> all;
    for (auto &list : labels)
      llvm::append_range(all, list);
    SmallVector<char> once;
    for (char c : all)
      if (llvm::isAlpha(c) && llvm::count(all, c) == 1)
        once.push_back(c);
    llvm::sort(once);
    llvm::append_range(out, once);
  }
  // One loop a label; its extent is that of an operand where it is not one.
  SmallVector<char> loops(out);
  for (auto &list : labels)
    for (char c : list)
      if (!llvm::is_contained(loops, c))
        loops.push_back(c);
  SmallVector<Value> operands = llvm::map_to_vector(ins, [&](Value v) { return l.lookup(v); });
  Sizes extents(loops.size(), l.at(1));
  for (auto [i, c] : llvm::enumerate(loops))
    for (auto [list, v] : llvm::zip(labels, operands))
      for (auto [d, label] : llvm::enumerate(list))
        if (label == c && ranked(v).getDimSize(d) != 1)
          extents[i] = l.size(v, d);
  for (char c : out)
    if (llvm::none_of(labels, [&](auto &list) { return llvm::is_contained(list, c); }))
      return l.unsupported("expects every label of the result in an input");
  MLIRContext *ctx = l.b.getContext();
  auto dimOf = [&](char c) { return l.b.getAffineDimExpr(llvm::find(loops, c) - loops.begin()); };
  SmallVector<AffineMap> maps;
  for (auto [list, v] : llvm::zip(labels, operands)) {
    SmallVector<AffineExpr> exprs;
    for (auto [d, c] : llvm::enumerate(list)) {
      bool broadcast =
          ranked(v).getDimSize(d) == 1 && getConstantIntValue(extents[llvm::find(loops, c) - loops.begin()]) != 1;
      exprs.push_back(broadcast ? l.expr(0) : dimOf(c));
    }
    maps.push_back(AffineMap::get(loops.size(), 0, exprs, ctx));
  }
  SmallVector<AffineExpr> outExprs;
  Sizes outSizes;
  for (auto [i, c] : llvm::enumerate(out)) {
    outExprs.push_back(dimOf(c));
    outSizes.push_back(extents[i]);
  }
  Type elem = signless(l.elementOf(0)), wide = computeType(elem);
  Value init = l.fill(wide, outSizes, l.scalars().constant(wide, 0));
  Value r = l.contraction(init, extents, AffineMap::get(loops.size(), 0, outExprs, ctx), operands, maps,
                          [&](Scalars &s, ValueRange x) {
                            Value product = s.cast(x[0], elem, wide);
                            for (Value v : x.drop_front().drop_back())
                              product = s.mul(product, s.cast(v, elem, wide));
                            return s.add(x.back(), product);
                          });
  l.set(l.narrow(r, elem));
  return success();
}

} // namespace

void convert::addProduct(LowerTable &t) {
  t["MatMul"] = lowerMatMul;
  t["Gemm"] = lowerGemm;
  t["ms.FusedMatMul"] = lowerFusedMatMul;
  t["MatMulInteger"] = lowerMatMulInteger;
  t["QLinearMatMul"] = lowerQLinearMatMul;
  t["ms.MatMulNBits"] = lowerMatMulNBits;
  t["Einsum"] = lowerEinsum;
}
