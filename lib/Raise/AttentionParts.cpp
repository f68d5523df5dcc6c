//===- AttentionParts.cpp - from a found attention to moe.attention --------===//
#include "AttentionParts.h"

#include "dialects/moe/Moe.h"

#include "llvm/Support/Debug.h"

#include <cmath>

#define DEBUG_TYPE "moe-raise-attention"

using namespace mlir;
using namespace mlir::moe;

static RankedTensorType typeOf(Value v) { return OnnxBuild::typeOf(v); }

//===----------------------------------------------------------------------===//
// Operands: a value of the graph seen as [batch, heads, rows, columns]
//===----------------------------------------------------------------------===//

namespace {

/// How to get the operand from a value: drop dims, permute, add dims.
struct View {
  Value value;
  double scale = 1;
  int64_t heads = 1;
  SmallVector<int64_t> squeezes, permutation, unsqueezes;
  int cost = 0;             ///< ops made, less ops that are no longer needed
  bool mergesHeads = false; ///< the permutation has groups and heads of a group as two dims

  Value make(OnnxBuild &build) const {
    if (mergesHeads) {
      Value v = build.transpose(value, permutation);
      ArrayRef<int64_t> shape = typeOf(v).getShape();
      return build.reshape(v, {0, heads, -1, shape[4]}, {shape[0], heads, shape[3], shape[4]});
    }
    return build.unsqueeze(build.transpose(build.squeeze(value, squeezes), permutation), unsqueezes);
  }
};

/// The four dims an operand has, in its order.
using Roles = std::array<unsigned, 4>;

class Views {
public:
  Views(ElementFacts &elements, ArrayRef<AffineExpr> extents, int64_t heads)
      : elements(elements), extents(extents), heads(heads) {}

  /// All forms of `at`, from the value itself back through layout ops and constant factors (if `throughScales`).
  /// `broadcasts` are roles that may be missing.
  SmallVector<View> all(Placed at, Roles roles, ArrayRef<unsigned> broadcasts, bool throughScales) {
    SmallVector<View> views;
    double scale = 1;
    int saved = 0;
    for (unsigned steps = 0; steps < 24; ++steps) {
      std::optional<View> view = one(at, roles, broadcasts);
      if (!view)
        view = grouped(at, roles);
      if (view) {
        view->scale = scale;
        view->cost -= saved;
        views.push_back(*view);
      }
      Operation *op = at.value.getDefiningOp();
      if (op && throughScales && isa<onnx::MulOp, onnx::DivOp>(op)) {
        unsigned other = 0;
        std::optional<double> factor = elements.scalar(op->getOperand(1));
        if (!factor && isa<onnx::MulOp>(op)) {
          factor = elements.scalar(op->getOperand(0));
          other = 1;
        }
        if (!factor || *factor == 0 || !elements.facts.equalShapes(op->getOperand(other), at.value))
          break;
        scale *= isa<onnx::DivOp>(op) ? 1 / *factor : *factor;
        at.value = op->getOperand(other);
      } else if (!elements.step(at.value, at.index)) {
        break;
      }
      ++saved;
    }
    return views;
  }

private:
  /// [batch, groups, heads of a group, rows, columns] in any order.
  std::optional<View> grouped(const Placed &at, Roles roles) {
    ArrayRef<AffineExpr> shape = elements.facts.shape(at.value);
    if (at.index.size() != 5)
      return std::nullopt;
    View view;
    view.value = at.value;
    view.heads = heads;
    view.mergesHeads = true;
    for (int64_t n = 2; n < heads; ++n) {
      if (heads % n)
        continue;
      AffineExpr h = elements.dim(kHead);
      AffineExpr wanted[5] = {elements.dim(roles[0]), elements.simplify(h.floorDiv(n)), elements.simplify(h % n),
                              elements.dim(roles[2]), elements.dim(roles[3])};
      AffineExpr sizes[5] = {extents[roles[0]], elements.constant(heads / n), elements.constant(n), extents[roles[2]],
                             extents[roles[3]]};
      view.permutation.clear();
      for (unsigned r = 0; r < 5; ++r)
        for (unsigned k = 0; k < 5; ++k)
          if (!llvm::is_contained(view.permutation, k) && elements.equal(at.index[k], wanted[r]) &&
              elements.equal(shape[k], sizes[r])) {
            view.permutation.push_back(k);
            break;
          }
      if (view.permutation.size() == 5 && !ShapedType::isDynamic(typeOf(at.value).getDimSize(view.permutation[4]))) {
        view.cost = 1 + !llvm::is_sorted(view.permutation);
        return view;
      }
    }
    return std::nullopt;
  }

  std::optional<View> one(const Placed &at, Roles roles, ArrayRef<unsigned> broadcasts) {
    View view;
    view.value = at.value;
    SmallVector<int64_t> place(4, -1), units;
    for (auto [k, expr] : llvm::enumerate(at.index)) {
      int role = -1;
      for (unsigned r = 0; r < 4; ++r)
        if (expr == elements.dim(roles[r]))
          role = r;
      if (role < 0 && expr == elements.constant(0) && elements.facts.shape(at.value)[k] == elements.constant(1)) {
        units.push_back(k);
        continue;
      }
      if (role < 0)
        if (auto quotient = dyn_cast<AffineBinaryOpExpr>(expr);
            quotient && quotient.getKind() == AffineExprKind::FloorDiv && quotient.getLHS() == elements.dim(kHead) &&
            roles[1] == kHead)
          if (isa<AffineConstantExpr>(quotient.getRHS()))
            role = 1;
      if (role < 0 || place[role] >= 0)
        return std::nullopt;
      AffineExpr extent = elements.facts.shape(at.value)[k];
      if (role == 1) {
        std::optional<int64_t> count = elements.facts.constant(extent);
        auto quotient = dyn_cast<AffineBinaryOpExpr>(expr);
        int64_t group = quotient ? cast<AffineConstantExpr>(quotient.getRHS()).getValue() : 1;
        if (!count || *count * group != heads)
          return std::nullopt;
        view.heads = *count;
      } else if (!elements.equal(extent, extents[roles[role]])) {
        return std::nullopt;
      }
      place[role] = k;
    }
    // Missing roles take dims of extent 1, in order; the rest of those goes, the rest of the roles is added.
    SmallVector<int64_t> added;
    auto unit = units.begin();
    for (unsigned r = 0; r < 4; ++r) {
      if (place[r] >= 0)
        continue;
      bool isOne = elements.equal(extents[roles[r]], elements.constant(1));
      if (!isOne && !llvm::is_contained(broadcasts, roles[r]))
        return std::nullopt;
      if (unit != units.end())
        place[r] = *unit++;
      else
        added.push_back(r);
    }
    view.squeezes.assign(unit, units.end());
    for (unsigned r = 0; r < 4; ++r)
      if (place[r] >= 0)
        view.permutation.push_back(place[r] - llvm::count_if(view.squeezes, [&](int64_t s) { return s < place[r]; }));
    view.unsqueezes = added;
    view.cost = !view.squeezes.empty() + !llvm::is_sorted(view.permutation) + !added.empty();
    return view;
  }

  ElementFacts &elements;
  ArrayRef<AffineExpr> extents;
  int64_t heads;
};

const View *cheapest(ArrayRef<View> views, function_ref<bool(const View &)> allowed) {
  const View *best = nullptr;
  for (const View &view : views)
    if (allowed(view) && (!best || view.cost < best->cost))
      best = &view;
  return best;
}

//===----------------------------------------------------------------------===//
// Masks
//===----------------------------------------------------------------------===//

/// What a mask keeps, and what it adds elsewhere; nullopt if it is not of that kind.
struct Kept {
  Elem condition;
  double fill = 0;
};

std::optional<Kept> keptBy(const Elem &e, double factor, ElementFacts &elements) {
  auto number = [](const Elem &x) -> std::optional<double> {
    return x.kind == Elem::Float ? std::optional<double>(x.number) : std::nullopt;
  };
  if (auto n = number(e)) {
    if (*n * factor == 0)
      return Kept{{Elem::True, {}, 0, {}, {}, {}}, -INFINITY};
    return std::nullopt;
  }
  if (e.kind != Elem::Select)
    return std::nullopt;
  // A number that wipes out any score.
  auto wipes = [&](const Elem &x) { return number(x) && *number(x) * factor <= -1e30; };
  for (bool keepsThen : {true, false}) {
    const Elem &kept = e.args[keepsThen ? 1 : 2], &dropped = e.args[keepsThen ? 2 : 1];
    if (!wipes(dropped))
      continue;
    std::optional<Kept> inner = keptBy(kept, factor, elements);
    if (!inner)
      continue;
    Elem condition = keepsThen ? e.args[0] : makeNot(e.args[0], elements);
    return Kept{makeAnd(condition, inner->condition, elements), std::max(inner->fill, *number(dropped) * factor)};
  }
  return std::nullopt;
}

/// Exactly: all keys, or keys up to the query's position, or the last `window` of those.
struct Positions {
  bool causal = false;
  int64_t window = 0;
};

/// Parses a conjunction over query position i and key position j, where the query stands at p = i + (L - S).
bool parsePositions(const Elem &condition, ElementFacts &elements, AffineExpr offset, Positions &positions) {
  if (condition.kind == Elem::True)
    return true;
  if (condition.kind == Elem::And)
    return parsePositions(condition.args[0], elements, offset, positions) &&
           parsePositions(condition.args[1], elements, offset, positions);
  if (condition.kind != Elem::NonNegative)
    return false;
  AffineExpr i = elements.dim(kQuery), j = elements.dim(kKey);
  // i + c - j >= 0 with c = L - S.
  if (elements.equal(condition.expr, i + offset - j)) {
    positions.causal = true;
    return true;
  }
  // j > p - window: j - i - (L - S) + window - 1 >= 0.
  AffineExpr rest = elements.simplify(condition.expr - j + i + offset);
  if (auto constant = dyn_cast<AffineConstantExpr>(rest); constant && constant.getValue() >= 0) {
    int64_t window = constant.getValue() + 1;
    positions.window = positions.window ? std::min(positions.window, window) : window;
    return true;
  }
  return false;
}

} // namespace

LogicalResult moe::buildAttention(FoundAttention &found, ElementFacts &elements, ArrayRef<AffineExpr> extents,
                                  RewriterBase &rewriter, std::string &reason) {
  auto no = [&](const Twine &why) {
    reason = why.str();
    return failure();
  };
  ShapeFacts &facts = elements.facts;
  Views views(elements, extents, found.heads);

  //===--- queries, keys, values --------------------------------------------===//
  SmallVector<View> q = views.all(found.query, {kBatch, kHead, kQuery, kFeature}, {}, /*throughScales=*/true);
  SmallVector<View> k = views.all(found.key, {kBatch, kHead, kKey, kFeature}, {kHead}, /*throughScales=*/true);
  SmallVector<View> v = views.all(found.value, {kBatch, kHead, kKey, kValueFeature}, {kHead}, /*throughScales=*/false);
  const View *query = cheapest(q, [&](const View &x) { return x.heads == found.heads; });
  if (!query)
    return no("the queries are not [batch, heads, positions, features] in any form");
  // The fewest heads that both keys and values have.
  int64_t shared = 0;
  for (const View &x : k)
    for (const View &y : v)
      if (x.heads == y.heads && found.heads % x.heads == 0 && (!shared || x.heads < shared))
        shared = x.heads;
  const View *key = cheapest(k, [&](const View &x) { return x.heads == shared; });
  const View *value = cheapest(v, [&](const View &x) { return x.heads == shared; });
  if (!shared || !key || !value)
    return no("keys and values are not [batch, heads, positions, features] in any form");

  //===--- masks ---------------------------------------------------------------===//
  AffineExpr offset = elements.simplify(extents[kKey] - extents[kQuery]);
  Positions positions;
  SmallVector<const FoundMask *> remaining;
  bool allExact = !found.keyMask;
  struct Exact {
    const FoundMask *mask;
    Positions positions;
    double fill;
  };
  SmallVector<Exact> exact;
  for (const FoundMask &mask : found.masks) {
    Elem e = elements.at(mask.at.value, mask.at.index);
    LLVM_DEBUG(e.print(llvm::dbgs() << "mask: "); llvm::dbgs() << '\n');
    std::optional<Kept> kept;
    if (!mask.fill)
      kept = keptBy(e, mask.factor, elements);
    else if (*mask.fill * mask.factor <= -1e30)
      kept = Kept{mask.dropsWhereTrue ? makeNot(e, elements) : e, *mask.fill * mask.factor};
    Positions here;
    bool parsed = kept && parsePositions(kept->condition, elements, offset, here);
    // One query at the end sees every key: causal without saying so.
    if (parsed && here.window && elements.nonNegative(elements.dim(kQuery) + offset - elements.dim(kKey)))
      here.causal = true;
    if (parsed && (here.causal || !here.window)) {
      exact.push_back({&mask, here, kept->fill});
      continue;
    }
    allExact = false;
    remaining.push_back(&mask);
  }
  for (const Exact &e : exact) {
    // With a finite fill a row that loses every key would be uniform, not zero: each row must keep its own position, and no
    // other mask may take that away.
    bool rowsKept = e.positions.causal ? allExact && elements.nonNegative(offset) : true;
    if (e.fill == -INFINITY || rowsKept) {
      positions.causal |= e.positions.causal;
      if (e.positions.window)
        positions.window = positions.window ? std::min(positions.window, e.positions.window) : e.positions.window;
    } else {
      remaining.push_back(e.mask);
    }
  }
  SmallVector<std::pair<const FoundMask *, View>> maskViews;
  for (const FoundMask *mask : remaining) {
    SmallVector<View> forms = views.all(mask->at, {kBatch, kHead, kQuery, kKey}, {kBatch, kHead, kQuery}, false);
    const View *view = cheapest(forms, [&](const View &x) { return x.heads == found.heads || x.heads == 1; });
    if (!view)
      return no("a mask is not [batch, heads, queries, keys] in any form");
    maskViews.emplace_back(mask, *view);
  }

  //===--- sinks ---------------------------------------------------------------===//
  Value sinkSource;
  SmallVector<int64_t> sinkSqueezes;
  if (found.sinks) {
    Placed at = *found.sinks;
    for (unsigned steps = 0; steps < 16 && !sinkSource; ++steps) {
      bool fits = true;
      unsigned headDims = 0;
      sinkSqueezes.clear();
      for (auto [n, expr] : llvm::enumerate(at.index)) {
        AffineExpr extent = facts.shape(at.value)[n];
        if (expr == elements.dim(kHead) && facts.constant(extent) == found.heads)
          ++headDims;
        else if (expr == elements.constant(0) && extent == elements.constant(1))
          sinkSqueezes.push_back(n);
        else
          fits = false;
      }
      if (fits && headDims == 1)
        sinkSource = at.value;
      else if (!elements.step(at.value, at.index))
        break;
    }
    if (!sinkSource)
      return no("the column of sinks is not one number for each head");
  }

  auto staticSize = [&](AffineExpr e) { return facts.constant(e).value_or(ShapedType::kDynamic); };
  if (found.rank == 5 && ShapedType::isDynamic(staticSize(extents[kValueFeature])))
    return no("the width of the values is not static");

  //===--- the op --------------------------------------------------------------===//
  Operation *at = found.product;
  rewriter.setInsertionPoint(at);
  OnnxBuild build{rewriter, at->getLoc()};
  Value queryValue = query->make(build), keyValue = key->make(build), valueValue = value->make(build);
  if (ShapedType::isDynamic(typeOf(queryValue).getDimSize(1)) ||
      ShapedType::isDynamic(typeOf(keyValue).getDimSize(1)) || ShapedType::isDynamic(typeOf(valueValue).getDimSize(1)))
    return no("the number of heads is not static in the types");
  // One element type: the widest of the three.
  Type element = typeOf(queryValue).getElementType();
  for (Value x : {keyValue, valueValue})
    if (typeOf(x).getElementType() != element)
      element = rewriter.getF32Type();
  queryValue = build.castTo(queryValue, element);
  keyValue = build.castTo(keyValue, element);
  valueValue = build.castTo(valueValue, element);

  Value maskValue;
  if (found.keyMask) {
    maskValue = found.keyMask;
    if (found.keyMaskIsCondition)
      maskValue = build.where(maskValue, build.scalar(rewriter.getF32Type(), 0),
                              build.scalar(rewriter.getF32Type(), -INFINITY));
  }
  for (auto &[mask, view] : maskViews) {
    Value m = view.make(build);
    if (mask->fill) {
      Value zero = build.scalar(rewriter.getF32Type(), 0),
            fill = build.scalar(rewriter.getF32Type(), *mask->fill * mask->factor);
      m = mask->dropsWhereTrue ? build.where(m, fill, zero) : build.where(m, zero, fill);
    } else if (mask->factor != 1) {
      m = build.binary<onnx::MulOp>(m, build.scalar(typeOf(m).getElementType(), mask->factor));
    }
    if (maskValue && typeOf(maskValue).getElementType() != typeOf(m).getElementType()) {
      maskValue = build.castTo(maskValue, rewriter.getF32Type());
      m = build.castTo(m, rewriter.getF32Type());
    }
    maskValue = maskValue ? build.binary<onnx::AddOp>(maskValue, m) : m;
  }
  Value sinks = sinkSource ? build.squeeze(sinkSource, sinkSqueezes) : Value();

  auto type = RankedTensorType::get(
      {staticSize(extents[kBatch]), found.heads, staticSize(extents[kQuery]), staticSize(extents[kValueFeature])},
      element);
  auto attention =
      AttentionOp::create(rewriter, at->getLoc(), TypeRange(type), queryValue, keyValue, valueValue, maskValue, sinks,
                          ValueRange(), rewriter.getF32FloatAttr(found.scale * query->scale * key->scale),
                          positions.causal ? rewriter.getUnitAttr() : UnitAttr(),
                          rewriter.getI64IntegerAttr(positions.window), rewriter.getF32FloatAttr(found.softcap));
  Value result = build.castTo(attention->getResult(0), typeOf(found.result).getElementType());
  if (found.rank == 2)
    result = build.squeeze(result, {0, 1});
  else if (found.rank == 3)
    result = build.squeeze(result, {1});
  else if (found.rank == 5)
    result = build.reshape(
        result, {0, found.heads / found.groupSize, found.groupSize, -1, type.getDimSize(3)},
        {type.getDimSize(0), found.heads / found.groupSize, found.groupSize, type.getDimSize(2), type.getDimSize(3)});
  if (result.getType() != found.result.getType() && !isRetypable(found.result))
    result.setType(found.result.getType());
  rewriter.replaceAllUsesWith(found.result, result);
  return success();
}
