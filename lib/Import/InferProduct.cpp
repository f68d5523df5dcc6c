//===- InferProduct.cpp - products, convolutions and attention ------------===//
#include "InferOp.h"

using namespace mlir;
using namespace mlir::moe;

LogicalResult OpInference::matmul() {
  StringRef name = op->getName().stripDialect();
  unsigned second = name == "QLinearMatMul" ? 3 : 1;
  Dims a = dims(0u), b = dims(second);
  if (a.empty() || b.empty())
    return expects() << "factors of rank 1 or more, but they are " << shapeText(a) << " and " << shapeText(b);
  bool fused = name == "ms.FusedMatMul";
  if (fused && integer("transA", 0) && a.size() > 1)
    std::swap(a[a.size() - 1], a[a.size() - 2]);
  if (fused && integer("transB", 0) && b.size() > 1)
    std::swap(b[b.size() - 1], b[b.size() - 2]);
  bool row = a.size() == 1, column = b.size() == 1;
  if (row)
    a.insert(a.begin(), number(1));
  if (column)
    b.push_back(number(1));
  std::optional<int64_t> ka = known(a.back()), kb = known(b[b.size() - 2]);
  if (ka && kb && *ka != *kb)
    return expects() << "factors that agree in the summed extent, but they are " << shapeText(a) << " and "
                     << shapeText(b);
  FailureOr<Dims> shape = broadcast({Dims(a.begin(), a.end() - 2), Dims(b.begin(), b.end() - 2)});
  if (failed(shape))
    return failure();
  if (!row)
    shape->push_back(a[a.size() - 2]);
  if (!column)
    shape->push_back(b.back());
  Type type = element(0);
  if (name == "MatMulInteger")
    type = builder().getI32Type();
  else if (name == "QLinearMatMul")
    type = element(7);
  else if (element(1) != element(0))
    return expects() << "factors of one element type, but they are " << element(0) << " and " << element(1);
  set(0, *shape, type);
  return success();
}

LogicalResult OpInference::matmulNBits() {
  Dims shape = dims(0u);
  if (shape.empty())
    return expects() << "an input of rank 1 or more";
  shape.back() = number(integer("N", 0));
  set(0, shape, element(0));
  return success();
}

LogicalResult OpInference::gemm() {
  Dims a = dims(0u), b = dims(1u);
  if (a.size() != 2 || b.size() != 2)
    return expects() << "factors of rank 2, but they are " << shapeText(a) << " and " << shapeText(b);
  if (integer("transA", 0))
    std::swap(a[0], a[1]);
  if (integer("transB", 0))
    std::swap(b[0], b[1]);
  std::optional<int64_t> ka = known(a[1]), kb = known(b[0]);
  if (ka && kb && *ka != *kb)
    return expects() << "factors that agree in the summed extent, but they are " << shapeText(a) << " and "
                     << shapeText(b);
  if (element(1) != element(0))
    return expects() << "factors of one element type, but they are " << element(0) << " and " << element(1);
  set(0, {a[0], b[1]}, element(0));
  return success();
}

LogicalResult OpInference::einsum() {
  std::string equation;
  for (char c : cast<StringAttr>(op->getAttr("equation")).getValue())
    if (c != ' ')
      equation += c;
  StringRef left = equation, right;
  bool explicitOutput = equation.find("->") != std::string::npos;
  if (explicitOutput)
    std::tie(left, right) = StringRef(equation).split("->");
  SmallVector<StringRef> terms;
  left.split(terms, ',');
  if (terms.size() != op->getNumOperands())
    return expects() << "a term for each of " << op->getNumOperands() << " inputs, but the equation is '" << equation
                     << "'";
  llvm::DenseMap<char, AffineExpr> sizes;
  std::map<char, unsigned> uses;
  SmallVector<Dims> batches;
  for (auto [i, term] : llvm::enumerate(terms)) {
    Dims shape = dims(i);
    size_t dots = term.find("...");
    bool ellipsis = dots != StringRef::npos;
    std::string letters = ellipsis ? (term.take_front(dots) + term.drop_front(dots + 3)).str() : term.str();
    if (ellipsis ? letters.size() > shape.size() : letters.size() != shape.size())
      return expects() << "term '" << term << "' to name the dims of " << shapeText(shape);
    size_t extra = shape.size() - letters.size();
    if (ellipsis)
      batches.push_back(Dims(shape.begin() + dots, shape.begin() + dots + extra));
    for (size_t l = 0; l < letters.size(); ++l) {
      AffineExpr dim = shape[ellipsis && l >= dots ? l + extra : l];
      if (!llvm::isAlpha(letters[l]))
        return expects() << "letters in the equation, but it is '" << equation << "'";
      AffineExpr &mine = sizes[letters[l]];
      std::optional<int64_t> a = known(mine), b = known(dim);
      if (a && b && *a != *b && *a != 1 && *b != 1)
        return expects() << "one extent for '" << std::string(1, letters[l]) << "', but found " << *a << " and " << *b;
      if (!mine || a == 1 || (!a && b && *b != 1))
        mine = dim;
      ++uses[letters[l]];
    }
  }
  FailureOr<Dims> batch = broadcast(batches);
  if (failed(batch))
    return failure();
  std::string output = right.str();
  if (!explicitOutput) {
    output = batches.empty() ? "" : "...";
    for (auto [letter, count] : uses)
      if (count == 1)
        output += letter;
  }
  Dims shape;
  for (size_t i = 0; i < output.size(); ++i) {
    if (output[i] == '.') {
      shape.append(*batch);
      i += 2;
    } else if (!sizes.count(output[i])) {
      return expects() << "output letters that inputs name, but the equation is '" << equation << "'";
    } else {
      shape.push_back(sizes[output[i]]);
    }
  }
  set(0, shape, element(0));
  return success();
}

/// Windows are far smaller than what they slide over may be: their arithmetic stays within 64 bits.
static LogicalResult checkWindow(OpInference &self, std::initializer_list<ArrayRef<int64_t>> parts) {
  constexpr int64_t kMost = int64_t(1) << 20;
  for (ArrayRef<int64_t> part : parts)
    for (int64_t n : part)
      if (n > kMost || n < -kMost)
        return self.expects() << "kernels, strides, dilations and pads of at most " << kMost << ", but found " << n;
  return success();
}

/// Extent of a window that slides over `size`: (size + pads - dilation * (kernel - 1) - 1) / stride + 1.
static AffineExpr slide(OpInference &self, AffineExpr size, int64_t kernel, int64_t stride, int64_t dilation,
                        int64_t pads, bool ceil) {
  AffineExpr span = self.facts.add(size, self.number(pads - dilation * (kernel - 1) - 1));
  std::optional<int64_t> s = self.known(span);
  if (s)
    return self.number(*s < 0 ? 0 : (ceil ? (*s + stride - 1) / stride : *s / stride) + 1);
  return stride == 1 ? self.facts.add(span, self.number(1)) : AffineExpr();
}

LogicalResult OpInference::conv() {
  Dims x = dims(0u), w = dims(1u);
  if (x.size() < 3 || w.size() != x.size())
    return expects() << "an input [N, C, ...] and weights of the same rank, but they are " << shapeText(x) << " and "
                     << shapeText(w);
  size_t spatial = x.size() - 2;
  SmallVector<int64_t> strides = integers("strides").value_or(SmallVector<int64_t>(spatial, 1)),
                       dilations = integers("dilations").value_or(SmallVector<int64_t>(spatial, 1)),
                       pads = integers("pads").value_or(SmallVector<int64_t>(2 * spatial, 0));
  auto autoPad = attribute<StringAttr>("auto_pad");
  bool same = autoPad && autoPad.getValue().starts_with("SAME");
  if (strides.size() != spatial || dilations.size() != spatial || pads.size() != 2 * spatial ||
      llvm::any_of(strides, [](int64_t s) { return s < 1; }) ||
      llvm::any_of(dilations, [](int64_t d) { return d < 1; }))
    return expects() << "positive strides and dilations for " << spatial << " spatial dims";
  if (failed(checkWindow(*this, {strides, dilations, pads})))
    return failure();
  Dims shape = {x[0], w[0]};
  for (size_t i = 0; i < spatial; ++i) {
    std::optional<int64_t> kernel = known(w[i + 2]), size = known(x[i + 2]);
    if (same)
      shape.push_back(size ? number((*size + strides[i] - 1) / strides[i]) : strides[i] == 1 ? x[i + 2] : AffineExpr());
    else
      shape.push_back(
          kernel ? slide(*this, x[i + 2], *kernel, strides[i], dilations[i], pads[i] + pads[i + spatial], false)
                 : AffineExpr());
  }
  set(0, shape, op->getName().stripDialect() == "ConvInteger" ? builder().getI32Type() : element(0));
  return success();
}

LogicalResult OpInference::convTranspose() {
  Dims x = dims(0u), w = dims(1u);
  if (x.size() < 3 || w.size() != x.size())
    return expects() << "an input [N, C, ...] and weights of the same rank, but they are " << shapeText(x) << " and "
                     << shapeText(w);
  size_t spatial = x.size() - 2;
  SmallVector<int64_t> strides = integers("strides").value_or(SmallVector<int64_t>(spatial, 1)),
                       dilations = integers("dilations").value_or(SmallVector<int64_t>(spatial, 1)),
                       extra = integers("output_padding").value_or(SmallVector<int64_t>(spatial, 0)),
                       pads = integers("pads").value_or(SmallVector<int64_t>(2 * spatial, 0));
  if (strides.size() != spatial || dilations.size() != spatial || extra.size() != spatial || pads.size() != 2 * spatial)
    return expects() << "strides, dilations and pads for " << spatial << " spatial dims";
  if (failed(checkWindow(*this, {strides, dilations, pads, extra})))
    return failure();
  std::optional<SmallVector<int64_t>> given = integers("output_shape");
  auto autoPad = attribute<StringAttr>("auto_pad");
  bool same = autoPad && autoPad.getValue().starts_with("SAME");
  Dims shape = {x[0], facts.mul(w[1], number(integer("group", 1)))};
  for (size_t i = 0; i < spatial; ++i) {
    std::optional<int64_t> kernel = known(w[i + 2]);
    if (given && given->size() == spatial)
      shape.push_back(number((*given)[i]));
    else if (same)
      shape.push_back(facts.mul(x[i + 2], number(strides[i])));
    else
      shape.push_back(kernel
                          ? facts.add(facts.mul(facts.sub(x[i + 2], number(1)), number(strides[i])),
                                      number(extra[i] + (*kernel - 1) * dilations[i] + 1 - pads[i] - pads[i + spatial]))
                          : AffineExpr());
  }
  set(0, shape, element(0));
  return success();
}

LogicalResult OpInference::pool() {
  Dims x = dims(0u);
  std::optional<SmallVector<int64_t>> kernel = integers("kernel_shape");
  size_t spatial = kernel ? kernel->size() : 0;
  if (x.size() < 3 || spatial != x.size() - 2)
    return expects() << "a kernel for each spatial dim of " << shapeText(x);
  SmallVector<int64_t> strides = integers("strides").value_or(SmallVector<int64_t>(spatial, 1)),
                       dilations = integers("dilations").value_or(SmallVector<int64_t>(spatial, 1)),
                       pads = integers("pads").value_or(SmallVector<int64_t>(2 * spatial, 0));
  if (strides.size() != spatial || dilations.size() != spatial || pads.size() != 2 * spatial ||
      llvm::any_of(strides, [](int64_t s) { return s < 1; }))
    return expects() << "positive strides, dilations and pads for " << spatial << " spatial dims";
  if (failed(checkWindow(*this, {*kernel, strides, dilations, pads})))
    return failure();
  auto autoPad = attribute<StringAttr>("auto_pad");
  bool same = autoPad && autoPad.getValue().starts_with("SAME"), ceil = integer("ceil_mode", 0) != 0;
  Dims shape = {x[0], x[1]};
  for (size_t i = 0; i < spatial; ++i) {
    std::optional<int64_t> size = known(x[i + 2]);
    if (same) {
      shape.push_back(size ? number((*size + strides[i] - 1) / strides[i]) : AffineExpr());
      continue;
    }
    AffineExpr out = slide(*this, x[i + 2], (*kernel)[i], strides[i], dilations[i], pads[i] + pads[i + spatial], ceil);
    // A last window that would start in the padding on the right is dropped.
    if (std::optional<int64_t> n = known(out); ceil && n && size && (*n - 1) * strides[i] >= *size + pads[i])
      out = number(*n - 1);
    shape.push_back(out);
  }
  set(0, shape, element(0));
  set(1, shape, builder().getI64Type());
  return success();
}

LogicalResult OpInference::globalPool() {
  Dims shape = dims(0u);
  if (shape.size() < 2)
    return expects() << "an input [N, C, ...], but it is " << shapeText(shape);
  for (size_t i = 2; i < shape.size(); ++i)
    shape[i] = number(1);
  set(0, shape, element(0));
  return success();
}

LogicalResult OpInference::attention() {
  Dims q = dims(0u), k = dims(1u), v = dims(2u);
  if ((q.size() != 3 && q.size() != 4) || k.size() != q.size() || v.size() != q.size())
    return expects() << "Q, K and V of rank 3 or 4, but they are " << shapeText(q) << ", " << shapeText(k) << " and "
                     << shapeText(v);
  bool flat = q.size() == 3;
  int64_t qHeads = integer("q_num_heads", 0), kvHeads = integer("kv_num_heads", 0);
  if (flat && (qHeads < 1 || kvHeads < 1))
    return expects() << "q_num_heads and kv_num_heads for inputs of rank 3";
  AffineExpr heads = flat ? number(qHeads) : q[1], keyHeads = flat ? number(kvHeads) : k[1];
  if (failed(expectShape(1, "K", flat ? Dims{q[0], k[1], AffineExpr()} : Dims{q[0], k[1], k[2], q[3]})) ||
      failed(expectShape(2, "V", flat ? Dims{q[0], k[1], AffineExpr()} : Dims{q[0], k[1], k[2], AffineExpr()})))
    return failure();
  if (std::optional<int64_t> n = known(heads), m = known(keyHeads); m && (*m < 1 || (n && *n % *m)))
    return expects() << "heads of Q that are a multiple of those of K, but they are " << facts.str(heads) << " and "
                     << *m;
  AffineExpr queries = flat ? q[1] : q[2], keys = flat ? k[1] : k[2];
  AffineExpr keyWidth = flat ? facts.floorDiv(k[2], keyHeads) : k[3],
             valueWidth = flat ? facts.floorDiv(v[2], keyHeads) : v[3];
  AffineExpr total = keys;
  if (in(4)) {
    Dims past = dims(4u);
    if (past.size() != 4)
      return expects() << "past_key of rank 4, but it is " << shapeText(past);
    total = facts.add(past[2], keys);
    Dims cached[] = {{q[0], keyHeads, past[2], keyWidth}, {q[0], keyHeads, past[2], valueWidth}};
    for (unsigned i = 0; i < 2 && in(4 + i); ++i) {
      Dims given = dims(4 + i);
      bool fits = given.size() == 4;
      for (unsigned d = 0; d < 4 && fits; ++d)
        fits = !known(given[d]) || !known(cached[i][d]) || known(given[d]) == known(cached[i][d]);
      if (!fits)
        return expects() << (i ? "past_value" : "past_key") << " of shape " << shapeText(cached[i]) << ", but it is "
                         << shapeText(given);
    }
  }
  if (flat)
    set(0, {q[0], queries, facts.mul(heads, valueWidth)}, element(0));
  else
    set(0, {q[0], heads, queries, valueWidth}, element(0));
  set(1, {q[0], keyHeads, total, keyWidth}, element(1));
  set(2, {q[0], keyHeads, total, valueWidth}, element(2));
  set(3, {q[0], heads, queries, total}, element(0));
  return success();
}

LogicalResult OpInference::fusedAttention() {
  Dims q = dims(0u);
  if (q.size() != 3)
    return expects() << "a query of rank 3, but it is " << shapeText(q);
  int64_t heads = integer("num_heads", 0), kvHeads = integer("kv_num_heads", heads);
  if (heads < 1 || kvHeads < 1)
    return expects() << "positive numbers of heads, but found " << heads << " and " << kvHeads;
  if (heads % kvHeads)
    return expects() << "a multiple of kv_num_heads " << kvHeads << " as num_heads, but it is " << heads;
  bool packed = !in(1);
  AffineExpr width = facts.floorDiv(q[2], number(packed ? heads + 2 * kvHeads : heads));
  AffineExpr valueWidth = width;
  if (in(2) && dims(2u).size() == 3)
    valueWidth = facts.floorDiv(dims(2u)[2], number(kvHeads));
  set(0, {q[0], q[1], facts.mul(number(heads), valueWidth)}, element(0));
  Dims cache = {q[0], number(kvHeads), AffineExpr(), width};
  bool grouped = op->getName().stripDialect() == "ms.GroupQueryAttention";
  unsigned past = grouped ? 3 : 6;
  if (!in(past) && in(1))
    cache[2] = dims(1u).size() == 3 ? dims(1u)[1] : AffineExpr();
  set(1, cache, element(0));
  cache[3] = valueWidth;
  set(2, cache, element(0));
  set(3, {q[0], number(heads), q[1], AffineExpr()}, element(0));
  return success();
}
