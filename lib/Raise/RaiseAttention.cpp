//===- RaiseAttention.cpp - softmax between two products becomes moe.attention ===//
//
//   %z = onnx.Add(onnx.Mul(onnx.MatMul(%q, onnx.Transpose(%k)), 0.125), %mask)
//   %y = onnx.MatMul(onnx.Softmax(%z), %v)
//     ->  %y = moe.attention %q, %k, %v mask(%mask) {scale = 0.125}
//
// From each product the search goes backwards to a softmax and on to the product of queries and keys, carrying along
// which element of each value belongs to (batch, head, query, key): reshapes, transposes and repeated heads are then
// only index arithmetic. On the way it takes up
//   scale      constant factors, on scores, queries or keys
//   softcap    c * tanh(z / c)
//   masks      addends and Where; those that are exactly causal (and windowed) become attributes
//   sinks      one more learned column before the softmax, cut off after it
//   guards     subtraction of the row's maximum; Where(IsNaN(p), 0, p)
//===----------------------------------------------------------------------===//
#include "AttentionParts.h"
#include "Reports.h"
#include "moe/Raise/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/Support/Debug.h"

#define DEBUG_TYPE "moe-raise-attention"

namespace mlir::moe {
#define GEN_PASS_DEF_RAISEATTENTION
#include "moe/Raise/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

static RankedTensorType typeOf(Value v) { return OnnxBuild::typeOf(v); }
static bool isFloat(Value v) { return isa<FloatType>(typeOf(v).getElementType()); }

/// Computed from weights and constants alone by layout ops and casts: no key or value of an attention.
static bool isStored(Value v) {
  for (unsigned steps = 0; steps < 16; ++steps) {
    Operation *op = v.getDefiningOp();
    if (!op)
      return false;
    if (isa<GetWeightOp, onnx::ConstantOp>(op))
      return true;
    if (!isa<onnx::CastOp, onnx::TransposeOp, onnx::ReshapeOp, onnx::SqueezeOp, onnx::UnsqueezeOp, onnx::ExpandOp,
             onnx::IdentityOp, onnx::SliceOp, onnx::SplitOp>(op))
      return false;
    v = op->getOperand(0);
  }
  return false;
}

static bool isLastAxis(int64_t axis, Value v) { return axis == -1 || axis == typeOf(v).getRank() - 1; }

/// Where(IsNaN(p), 0, p) -> p.
static Value skipNaNGuard(onnx::WhereOp where, ElementFacts &elements) {
  auto isNaN = where.getCondition().getDefiningOp<onnx::IsNaNOp>();
  if (!isNaN || isNaN->getOperand(0) != where.getY() || elements.scalar(where.getX()) != 0.0)
    return {};
  return where.getY();
}

namespace {

class Search {
public:
  Search(ShapeFacts &facts, Operation *product) : facts(facts), product(product) {}

  /// Whether a softmax stands before the product, on its left side.
  bool findSoftmax();
  /// Fills `found`; false with a reason otherwise.
  bool match();
  /// The softmax stands between two products of computed values: an attention, even if it does not match.
  bool isAttention() const;
  std::string reason;
  FoundAttention found;
  std::unique_ptr<ElementFacts> elements;
  SmallVector<AffineExpr> extents;

private:
  bool no(const Twine &why) {
    if (reason.empty())
      reason = why.str();
    return false;
  }
  bool enterProduct(Index &index);
  bool walkToSoftmax(Placed &at);
  bool walkScores(Placed at, double factor);
  bool takeScores(Placed at, Operation *scores, double factor);
  bool takeMask(Operation *op, unsigned scoreOperand, const Placed &at, double factor, FoundMask mask);
  bool leadsToProduct(Value v, unsigned depth = 0);
  /// `expr` runs over the whole of a dim, which is one place if its extent is 1.
  bool isDim(AffineExpr expr, AttentionDim dim) { return elements->equal(expr, elements->dim(dim)); }

  ShapeFacts &facts;
  Operation *product;
  bool cutColumn = false;
};

} // namespace

bool Search::findSoftmax() {
  Value v = product->getOperand(0);
  // One that transposes or scales is no plain product of weights and values.
  if (auto fused = dyn_cast<onnx::MsFusedMatMulOp>(product))
    if (fused.getAlpha() != 1 || fused.getTransA() || fused.getTransB() || fused.getTransBatchA() ||
        fused.getTransBatchB())
      return false;
  for (unsigned steps = 0; steps < 12; ++steps) {
    Operation *op = v.getDefiningOp();
    if (!op || !isFloat(v))
      return false;
    if (isa<onnx::SoftmaxOp>(op)) {
      found.softmax = op;
      return true;
    }
    if (auto where = dyn_cast<onnx::WhereOp>(op))
      v = where.getY();
    else if (isa<onnx::CastOp, onnx::TransposeOp, onnx::ReshapeOp, onnx::SqueezeOp, onnx::UnsqueezeOp, onnx::IdentityOp,
                 onnx::SliceOp, onnx::SplitOp, onnx::DropoutOp>(op))
      v = op->getOperand(0);
    else
      return false;
  }
  return false;
}

bool Search::isAttention() const {
  if (isStored(product->getOperand(1)))
    return false;
  SmallVector<Value> open{found.softmax->getOperand(0)};
  DenseSet<Operation *> seen;
  while (!open.empty() && seen.size() < 64) {
    Operation *op = open.pop_back_val().getDefiningOp();
    if (!op || !seen.insert(op).second)
      continue;
    if (isa<onnx::MatMulOp, onnx::MsFusedMatMulOp, onnx::EinsumOp>(op) && op->getNumOperands() == 2) {
      if (!isStored(op->getOperand(0)) && !isStored(op->getOperand(1)))
        return true;
      continue;
    }
    if (isa<onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::DivOp, onnx::NegOp, onnx::WhereOp, onnx::CastOp,
            onnx::ReshapeOp, onnx::TransposeOp, onnx::SqueezeOp, onnx::UnsqueezeOp, onnx::ExpandOp, onnx::IdentityOp,
            onnx::TanhOp, onnx::ConcatOp, onnx::SliceOp, onnx::SplitOp, onnx::ClipOp, onnx::MaxOp, onnx::MinOp,
            onnx::PadOp>(op))
      for (Value operand : op->getOperands())
        if (isFloat(operand))
          open.push_back(operand);
  }
  return false;
}

/// The index space, from the shape of the product: [S, Dv], [B, S, Dv], [B*H, S, Dv] that is reshaped to [B, H, S, Dv],
/// [B, H, S, Dv] or [B, Hkv, H/Hkv, S, Dv].
bool Search::enterProduct(Index &index) {
  Value out = product->getResult(0), p = product->getOperand(0), v = product->getOperand(1);
  ArrayRef<AffineExpr> shape = facts.shape(out);
  unsigned rank = shape.size();
  if (rank < 2 || rank > 5 || typeOf(p).getRank() != static_cast<int64_t>(rank) ||
      typeOf(v).getRank() != static_cast<int64_t>(rank))
    return no("the product of probabilities and values has operands of different rank");
  MLIRContext *context = product->getContext();
  auto c = [&](int64_t n) { return getAffineConstantExpr(n, context); };
  AffineExpr b = getAffineDimExpr(kBatch, context), h = getAffineDimExpr(kHead, context);
  AffineExpr batch = rank > 2 ? shape[0] : c(1), heads = c(1);
  found.rank = rank;
  found.product = product;
  found.result = out;
  if (rank == 3) {
    index = {b};
    // Heads and batch in one dim show as two in what follows.
    if (out.hasOneUse())
      if (auto reshape = dyn_cast<onnx::ReshapeOp>(*out.getUsers().begin())) {
        ArrayRef<AffineExpr> split = facts.shape(reshape.getReshaped());
        if (split.size() == 4 && facts.constant(split[1]) && facts.equal(facts.mul(split[0], split[1]), shape[0]) &&
            facts.equal(split[2], shape[1]) && facts.equal(split[3], shape[2])) {
          batch = split[0];
          heads = split[1];
          index = {b * *facts.constant(heads) + h};
          found.result = reshape.getReshaped();
          found.rank = 4;
        }
      }
  } else if (rank == 4) {
    heads = shape[1];
    index = {b, h};
  } else if (rank == 5) {
    auto groups = facts.constant(shape[1]), size = facts.constant(shape[2]);
    if (!groups || !size || *size < 1)
      return no("the number of heads is not static");
    heads = c(*groups * *size);
    found.groupSize = *size;
    index = {b, h.floorDiv(*size), h % *size};
  }
  std::optional<int64_t> numHeads = facts.constant(heads);
  if (!numHeads || *numHeads < 1)
    return no("the number of heads is not static");
  found.heads = *numHeads;
  extents = {batch, heads, shape[rank - 2], facts.shape(p).back()};
  elements = std::make_unique<ElementFacts>(facts, context, extents);
  for (AffineExpr &e : index)
    e = elements->simplify(e);
  return true;
}

bool Search::walkToSoftmax(Placed &at) {
  for (unsigned steps = 0; steps < 16; ++steps) {
    while (elements->step(at.value, at.index)) {
    }
    Operation *op = at.value.getDefiningOp();
    if (!op)
      return false;
    if (auto softmax = dyn_cast<onnx::SoftmaxOp>(op)) {
      if (!isLastAxis(softmax.getAxis(), at.value) || at.index.empty() || !isDim(at.index.back(), kKey))
        return no("the softmax does not run over the keys");
      found.softmax = op;
      at.value = softmax.getInput();
      return true;
    }
    if (isa<onnx::CastOp>(op)) {
      at.value = op->getOperand(0);
    } else if (auto where = dyn_cast<onnx::WhereOp>(op)) {
      Value inner = skipNaNGuard(where, *elements);
      if (!inner || !facts.equalShapes(inner, at.value))
        return no("the probabilities are changed by a Where");
      at.value = inner;
    } else if (isa<onnx::SliceOp, onnx::SplitOp>(op)) {
      // All columns but the last one, which the softmax had in addition.
      Value whole = op->getOperand(0);
      ArrayRef<AffineExpr> in = facts.shape(whole), out = facts.shape(at.value);
      bool others = true;
      for (size_t i = 0; i + 1 < in.size(); ++i)
        others &= facts.equal(in[i], out[i]);
      if (cutColumn || !others || !facts.equal(in.back(), facts.add(out.back(), elements->constant(1))))
        return no("the probabilities are cut");
      Index anywhere;
      for (size_t i = 0; i < in.size(); ++i)
        anywhere.push_back(elements->addDim(out[i]));
      // Column j of the part must be column j of the whole.
      if (!elements->equal(elements->at(at.value, anywhere), elements->at(whole, anywhere)))
        return no("the probabilities are cut at the front");
      cutColumn = true;
      at.value = whole;
    } else {
      return false;
    }
  }
  return false;
}

/// A float that comes from a product by ops that scores go through.
bool Search::leadsToProduct(Value v, unsigned depth) {
  Operation *op = v.getDefiningOp();
  if (!op || depth > 12 || !isFloat(v))
    return false;
  if (isa<onnx::MatMulOp, onnx::MsFusedMatMulOp>(op))
    return true;
  if (isa<onnx::AddOp, onnx::MulOp, onnx::DivOp, onnx::SubOp>(op))
    return leadsToProduct(op->getOperand(0), depth + 1) ||
           (!isa<onnx::SubOp>(op) && leadsToProduct(op->getOperand(1), depth + 1));
  if (auto where = dyn_cast<onnx::WhereOp>(op))
    return leadsToProduct(where.getX(), depth + 1) || leadsToProduct(where.getY(), depth + 1);
  if (isa<onnx::CastOp, onnx::ReshapeOp, onnx::TransposeOp, onnx::UnsqueezeOp, onnx::SqueezeOp, onnx::ExpandOp,
          onnx::IdentityOp, onnx::TanhOp, onnx::ConcatOp>(op))
    return leadsToProduct(op->getOperand(0), depth + 1);
  return false;
}

bool Search::takeMask(Operation *op, unsigned scoreOperand, const Placed &at, double factor, FoundMask mask) {
  std::optional<Index> inner = elements->broadcast(op->getOperand(scoreOperand), at.value, at.index);
  std::optional<Index> place = elements->broadcast(mask.at.value, at.value, at.index);
  if (!inner || !place || !facts.equalShapes(op->getOperand(scoreOperand), at.value))
    return no("a mask is larger than the scores, or may be");
  if (cutColumn && !found.sinks)
    return no("a mask covers the column of sinks");
  if (found.softcap != 0)
    return no("a mask inside the softcap");
  mask.at.index = *place;
  mask.factor = factor;
  found.masks.push_back(mask);
  if (walkScores({op->getOperand(scoreOperand), *inner}, factor))
    return true;
  found.masks.pop_back();
  return false;
}

/// `at` is the place of a score; all inside is multiplied by `factor` later on.
bool Search::walkScores(Placed at, double factor) {
  for (unsigned steps = 0; steps < 64; ++steps) {
    while (elements->step(at.value, at.index)) {
    }
    Operation *op = at.value.getDefiningOp();
    if (!op)
      return no("the scores are an input");
    if (isa<onnx::MatMulOp, onnx::MsFusedMatMulOp>(op))
      return takeScores(at, op, factor);
    if (isa<onnx::CastOp>(op)) {
      if (!isFloat(op->getOperand(0)))
        return no("the scores are integers");
      at.value = op->getOperand(0);
      continue;
    }
    if (isa<onnx::MulOp, onnx::DivOp>(op)) {
      std::optional<double> left = isa<onnx::MulOp>(op) ? elements->scalar(op->getOperand(0)) : std::nullopt,
                            right = elements->scalar(op->getOperand(1));
      if (!left && !right)
        return no("the scores are multiplied by something that is no constant");
      unsigned score = right ? 0 : 1;
      std::optional<Index> inner = elements->broadcast(op->getOperand(score), at.value, at.index);
      if (!inner || !facts.equalShapes(op->getOperand(score), at.value))
        return no("the scores are broadcast");
      factor = isa<onnx::DivOp>(op) ? factor / *right : factor * (right ? *right : *left);
      at = {op->getOperand(score), *inner};
      continue;
    }
    if (isa<onnx::TanhOp>(op)) {
      if (found.softcap != 0 || !(factor > 0))
        return no("a tanh that is no softcap");
      if (cutColumn && !found.sinks)
        return no("a softcap covers the column of sinks");
      found.softcap = factor;
      at.value = op->getOperand(0);
      continue;
    }
    if (auto sub = dyn_cast<onnx::SubOp>(op)) {
      // A softmax does not change when each row loses its maximum.
      auto max = sub->getOperand(1).getDefiningOp<onnx::ReduceMaxOp>();
      auto axes = max && max.getAxes() ? onnx::getConstantInts(max.getAxes()) : std::nullopt;
      if (!max || max.getData() != sub->getOperand(0) || !max.getKeepdims() || !axes || axes->size() != 1 ||
          !isLastAxis((*axes)[0], max.getData()) || !found.masks.empty() || found.softcap != 0)
        return no("something is subtracted from the scores");
      at.value = sub->getOperand(0);
      continue;
    }
    if (auto concat = dyn_cast<onnx::ConcatOp>(op)) {
      if (!cutColumn || found.sinks || concat.getInputs().size() != 2 || factor != 1 ||
          !isLastAxis(concat.getAxis(), at.value) ||
          !facts.equal(facts.shape(concat.getInputs()[1]).back(), elements->constant(1)))
        return no("the scores are joined with something that is no column of sinks");
      Index place(at.index);
      place.back() = elements->constant(0);
      found.sinks = Placed{concat.getInputs()[1], place};
      at.value = concat.getInputs()[0];
      continue;
    }
    if (isa<onnx::AddOp>(op)) {
      // Both sides may come from products (a relative position bias): the first that makes an attention is the score.
      for (unsigned score : {0u, 1u}) {
        if (!leadsToProduct(op->getOperand(score)))
          continue;
        FoundAttention before = found;
        if (takeMask(op, score, at, factor, FoundMask{{op->getOperand(1 - score), {}}, 1, std::nullopt, false}))
          return true;
        found = before;
      }
      return no("neither addend is the scores");
    }
    if (auto where = dyn_cast<onnx::WhereOp>(op)) {
      for (unsigned score : {1u, 2u}) {
        std::optional<double> fill = elements->scalar(op->getOperand(3 - score));
        if (!fill)
          continue;
        if (*fill * factor > -1e9)
          return no("masked scores get a number that leaves them weight");
        FoundMask mask{{where.getCondition(), {}}, 1, *fill, /*dropsWhereTrue=*/score == 2};
        return takeMask(op, score, at, factor, mask);
      }
      return no("the scores are chosen from two values");
    }
    return no("'" + op->getName().getStringRef() + "' between the products");
  }
  return no("too many ops between the products");
}

bool Search::takeScores(Placed at, Operation *scores, double factor) {
  Value q = scores->getOperand(0), k = scores->getOperand(1);
  unsigned rank = at.index.size();
  if (rank < 2 || typeOf(q).getRank() != static_cast<int64_t>(rank) ||
      typeOf(k).getRank() != static_cast<int64_t>(rank))
    return no("the product of queries and keys has operands of different rank");
  if (isStored(k) || isStored(product->getOperand(1)))
    return no("keys or values are stored");
  if (cutColumn && !found.sinks)
    return no("the softmax has a column that is no sink");
  if (!isDim(at.index[rank - 2], kQuery) || !isDim(at.index[rank - 1], kKey))
    return no("the scores are not [queries, keys]");
  bool transQ = false, transK = false;
  if (auto fused = dyn_cast<onnx::MsFusedMatMulOp>(scores)) {
    transQ = fused.getTransA();
    transK = fused.getTransB();
    factor *= fused.getAlpha();
    if (fused->getAttrOfType<IntegerAttr>("transBatchA") && fused.getTransBatchA())
      return no("a product with transposed batches");
    if (fused->getAttrOfType<IntegerAttr>("transBatchB") && fused.getTransBatchB())
      return no("a product with transposed batches");
  }
  // With a softcap: cap * tanh(f * dot) = cap * tanh(scale * dot / cap) where scale = cap * f, which is `factor` too.
  found.scale = factor;
  AffineExpr features = facts.shape(q)[transQ ? rank - 2 : rank - 1];
  extents.resize(4);
  extents.push_back(features);
  extents.push_back(facts.shape(product->getResult(0)).back());
  // The dims after the four are those of this product.
  elements = std::make_unique<ElementFacts>(facts, product->getContext(), extents);

  ArrayRef<AffineExpr> result = facts.shape(at.value);
  auto batched = [&](Value v, AffineExpr row, AffineExpr column) -> std::optional<Placed> {
    ArrayRef<AffineExpr> shape = facts.shape(v);
    Placed placed{v, {}};
    for (unsigned i = 0; i + 2 < rank; ++i) {
      if (shape[i] == elements->constant(1))
        placed.index.push_back(elements->constant(0));
      else if (facts.equal(shape[i], result[i]))
        placed.index.push_back(at.index[i]);
      else
        return std::nullopt;
    }
    placed.index.push_back(row);
    placed.index.push_back(column);
    return placed;
  };
  AffineExpr i = elements->dim(kQuery), j = elements->dim(kKey), d = elements->dim(kFeature);
  auto query = transQ ? batched(q, d, i) : batched(q, i, d), key = transK ? batched(k, j, d) : batched(k, d, j);
  if (!query || !key)
    return no("queries and keys may broadcast over batches");
  found.query = *query;
  found.key = *key;
  return true;
}

bool Search::match() {
  Index batch;
  if (!enterProduct(batch))
    return false;
  Placed at{product->getOperand(0), batch};
  at.index.push_back(elements->dim(kQuery));
  at.index.push_back(elements->dim(kKey));
  Placed v{product->getOperand(1), batch};
  v.index.push_back(elements->dim(kKey));
  v.index.push_back(elements->dim(kValueFeature));
  for (Placed *p : {&at, &v}) {
    ArrayRef<AffineExpr> shape = facts.shape(p->value), out = facts.shape(product->getResult(0));
    for (size_t k = 0; k < batch.size(); ++k) {
      if (shape[k] == elements->constant(1))
        p->index[k] = elements->constant(0);
      else if (!facts.equal(shape[k], out[k]))
        return no("probabilities and values may broadcast over batches");
    }
  }
  found.value = v;
  return walkToSoftmax(at) && walkScores(at, 1);
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct RaiseAttention : moe::impl::RaiseAttentionBase<RaiseAttention> {
  using RaiseAttentionBase::RaiseAttentionBase;

  void runOnFunction(func::FuncOp func) {
    ShapeFacts facts(func);
    IRRewriter rewriter(&getContext());
    rewriter.setListener(&facts);
    SmallVector<Operation *> products, nodes;
    func.walk([&](Operation *op) {
      if (isa<onnx::MatMulOp, onnx::MsFusedMatMulOp>(op))
        products.push_back(op);
      if (isa<onnx::AttentionOp>(op))
        nodes.push_back(op);
    });
    for (Operation *product : products) {
      Search search(facts, product);
      if (product->getNumOperands() != 2 || !search.findSoftmax())
        continue;
      Operation *anchor = search.found.softmax;
      bool found = search.match();
      if (found) {
        found = succeeded(buildAttention(search.found, *search.elements, search.extents, rewriter, search.reason));
        numAttentions += found;
      }
      if (!found && search.isAttention())
        reportGeneric(anchor, "attention", search.reason);
    }
    for (Operation *node : nodes) {
      std::string reason;
      if (succeeded(convertAttentionNode(cast<onnx::AttentionOp>(node), facts, rewriter, reason)))
        ++numAttentions;
      else
        reportGeneric(node, "attention", reason);
    }
    // What computed scores and masks alone is dead now.
    SmallVector<Operation *> ops;
    func.walk([&](Operation *op) { ops.push_back(op); });
    for (Operation *op : llvm::reverse(ops))
      if (isOpTriviallyDead(op))
        rewriter.eraseOp(op);
  }

  void runOnOperation() override {
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (!func.isDeclaration())
        runOnFunction(func);
  }
};
} // namespace
