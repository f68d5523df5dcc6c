//===- Router.cpp - reading a router backwards and forwards ---------------===//
#include "Router.h"
#include "OnnxMatch.h"

#include <cmath>
#include <queue>

using namespace mlir;
using namespace mlir::moe;

//===----------------------------------------------------------------------===//
// Backwards: logits -> scores -> choice
//===----------------------------------------------------------------------===//

namespace {

/// How the tensor that the anchor picks from comes from the logits.
struct Choice {
  Value logits, scores; // `scores` before any bias
  Value biased;         // scores + bias, or null
  Value bias;
  ScoreFn score = ScoreFn::None;
  int64_t numGroups = 1, topGroups = 1;
  GroupScore groupScore = GroupScore::Max;
  GroupFill groupFill = GroupFill::NegInf;
};

struct KeepMask {
  Operation *topGroups = nullptr;
  bool kept = true; // true where the group is kept
};

class ChoiceReader {
public:
  ChoiceReader(AxisAnalysis &axes, int64_t numExperts) : axes(axes), numExperts(numExperts) {}
  std::optional<Choice> read(Value picked, std::string &reason);

private:
  /// Without casts and reshapes that keep the experts last.
  Value peel(Value value);
  std::optional<KeepMask> keepMask(Value mask);
  bool readGroups(const KeepMask &mask, Value choice, Choice &result, std::string &reason);
  bool readScores(Value value, Choice &result);
  Value biasOf(Value value) const;

  AxisAnalysis &axes;
  int64_t numExperts;
};

} // namespace

Value ChoiceReader::peel(Value value) {
  while (true) {
    Value next = skipCasts(value);
    Operation *op = next.getDefiningOp();
    if (op && isOnnx(op, {"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Expand"}) && tensorType(next).getRank() > 0 &&
        tensorType(next).getShape().back() == numExperts && tensorType(op->getOperand(0)).getRank() > 0 &&
        tensorType(op->getOperand(0)).getShape().back() == numExperts) {
      std::string ignored;
      if (succeeded(axes.relate(op, ignored)))
        next = op->getOperand(0);
    }
    if (next == value)
      return value;
    value = next;
  }
}

Value ChoiceReader::biasOf(Value value) const {
  RankedTensorType type = tensorType(value);
  return type.hasStaticShape() && type.getNumElements() == numExperts && isConstantDerived(value) ? value : Value();
}

/// A fill that no score falls below.
static bool isLow(double fill, Type element) { return fill < -1e30 || (element.isF16() && fill < -6e4); }

/// The mask over experts that comes from ids of kept groups: zeros with ones scattered in, repeated over each group.
std::optional<KeepMask> ChoiceReader::keepMask(Value mask) {
  KeepMask result;
  std::string ignored;
  for (int steps = 0; steps < 16; ++steps) {
    Operation *op = mask.getDefiningOp();
    if (!op || !isOnnx(op))
      return std::nullopt;
    if (failed(axes.relate(op, ignored)))
      return std::nullopt;
    if (isOnnx(op, {"Cast", "Identity", "Reshape", "Unsqueeze", "Squeeze", "Expand", "Tile", "Flatten"})) {
      mask = op->getOperand(0);
    } else if (isOnnx(op, {"Not"})) {
      result.kept = !result.kept;
      mask = op->getOperand(0);
    } else if (isOnnx(op, {"Equal"}) && isFilledWith(op->getOperand(1), 0)) {
      result.kept = !result.kept;
      mask = op->getOperand(0);
    } else if (isOnnx(op, {"Equal"}) && isFilledWith(op->getOperand(1), 1)) {
      mask = op->getOperand(0);
    } else if (isOnnx(op, {"Greater"}) && fillOf(op->getOperand(1)).value_or(-1) >= 0 && fillOf(op->getOperand(1)).value_or(1) < 1) {
      mask = op->getOperand(0);
    } else if (isOnnx(op, {"ScatterElements"})) {
      int64_t rank = tensorType(mask).getRank();
      if (axisOf(op, "axis", 0, rank) != rank - 1)
        return std::nullopt;
      bool ones = isFilledWith(op->getOperand(0), 0) && isFilledWith(op->getOperand(2), 1);
      bool zeros = isFilledWith(op->getOperand(0), 1) && isFilledWith(op->getOperand(2), 0);
      result.topGroups = definedBy(skipCasts(op->getOperand(1)), {"TopK"});
      if (!(ones || zeros) || !result.topGroups || skipCasts(op->getOperand(1)) != result.topGroups->getResult(1))
        return std::nullopt;
      if (zeros)
        result.kept = !result.kept;
      return result;
    } else if (isOnnx(op, {"ReduceSum", "ReduceMax"})) {
      // one_hot(ids) summed over the ids
      Operation *oneHot = definedBy(skipCasts(op->getOperand(0)), {"OneHot"});
      auto values = oneHot ? onnx::getConstant(oneHot->getOperand(2)) : DenseElementsAttr();
      std::optional<SmallVector<int64_t>> reduced = reducedAxes(op);
      if (!oneHot || !values || values.getNumElements() != 2 || !reduced || reduced->size() != 1 || failed(axes.relate(oneHot, ignored)))
        return std::nullopt;
      result.topGroups = definedBy(skipCasts(oneHot->getOperand(0)), {"TopK"});
      if (!result.topGroups || axes.leaves(oneHot->getResult(0), (*reduced)[0]) != axes.leaves(result.topGroups->getResult(1), tensorType(result.topGroups->getResult(1)).getRank() - 1))
        return std::nullopt;
      return result;
    } else {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

static std::optional<int64_t> pickCount(Operation *topK) {
  std::optional<SmallVector<int64_t>> k = onnx::getConstantInts(topK->getOperand(1));
  int64_t rank = tensorType(topK->getOperand(0)).getRank();
  if (!k || k->size() != 1 || rank == 0 || axisOf(topK, "axis", -1, rank) != rank - 1 || intAttr(topK, "largest", 1) != 1)
    return std::nullopt;
  return (*k)[0];
}

bool ChoiceReader::readGroups(const KeepMask &mask, Value choice, Choice &result, std::string &reason) {
  std::string ignored;
  Operation *top = mask.topGroups;
  std::optional<int64_t> keep = pickCount(top);
  Value groupScores = skipCasts(top->getOperand(0));
  int64_t groups = tensorType(groupScores).getShape().back();
  if (!keep || ShapedType::isDynamic(groups) || numExperts % groups != 0) {
    reason = "the number of groups is not constant";
    return false;
  }
  // The score of a group: its largest choice score, or the sum of its two largest.
  Operation *reduce = definedBy(groupScores, {"ReduceMax", "ReduceSum"});
  if (!reduce) {
    reason = "a group's score is neither the largest nor the sum of the two largest";
    return false;
  }
  std::optional<SmallVector<int64_t>> reduced = reducedAxes(reduce);
  Value members = skipCasts(reduce->getOperand(0));
  int64_t rank = tensorType(members).getRank();
  if (!reduced || reduced->size() != 1 || (*reduced)[0] != rank - 1 || failed(axes.relate(reduce, ignored))) {
    reason = "a group's score is not reduced over the group";
    return false;
  }
  if (isOnnx(reduce, {"ReduceSum"})) {
    Operation *topTwo = definedBy(members, {"TopK"});
    std::optional<int64_t> two = topTwo ? pickCount(topTwo) : std::nullopt;
    if (!two || *two != 2 || members != topTwo->getResult(0)) {
      reason = "a group's score sums other than its two largest";
      return false;
    }
    // TopK keeps all axes but the last.
    Layout in = axes.layout(topTwo->getOperand(0)), out = axes.layout(members);
    for (size_t i = 0; i + 1 < in.size(); ++i)
      if (!axes.space.unify(in[i], out[i]))
        return false;
    members = skipCasts(topTwo->getOperand(0));
    result.groupScore = GroupScore::Top2Sum;
  } else {
    Operation *topOne = definedBy(members, {"TopK"}); // max as the first of a TopK
    if (topOne && members == topOne->getResult(0)) {
      Layout in = axes.layout(topOne->getOperand(0)), out = axes.layout(members);
      for (size_t i = 0; i + 1 < in.size(); ++i)
        if (!axes.space.unify(in[i], out[i]))
          return false;
      members = skipCasts(topOne->getOperand(0));
    }
    result.groupScore = GroupScore::Max;
  }
  Operation *reshape = definedBy(members, {"Reshape"});
  if (!reshape || failed(axes.relate(reshape, ignored)) || peel(reshape->getOperand(0)) != peel(choice)) {
    reason = "the groups' scores come from other scores than the choice";
    return false;
  }
  // Groups are contiguous, and the mask is laid over them in the same order.
  Layout topIn = axes.layout(top->getOperand(0)), topIds = axes.layout(top->getResult(1));
  for (size_t i = 0; i + 1 < topIn.size(); ++i)
    if (!axes.space.unify(topIn[i], topIds[i]))
      return false;
  Axes grouped = axes.leaves(members, rank - 2), inGroup = axes.leaves(members, rank - 1);
  Axes experts = axes.leaves(choice, tensorType(choice).getRank() - 1), expected = grouped;
  llvm::append_range(expected, inGroup);
  if (axes.space.leaves(expected) != experts ||
      (!grouped.empty() && axes.leaves(groupScores, tensorType(groupScores).getRank() - 1) != axes.space.leaves(grouped))) {
    reason = "the groups are not runs of neighbouring experts";
    return false;
  }
  result.numGroups = groups;
  result.topGroups = *keep;
  return true;
}

/// Softmax written out: exp(x - max) / sum(exp(x - max)).
static Value spelledSoftmax(Value value) {
  Operation *div = definedBy(value, {"Div"});
  if (!div)
    return {};
  Operation *exp = definedBy(div->getOperand(0), {"Exp"}), *sum = definedBy(div->getOperand(1), {"ReduceSum"});
  if (!exp || !sum || sum->getOperand(0) != div->getOperand(0))
    return {};
  int64_t rank = tensorType(value).getRank();
  auto lastAxis = [&](Operation *reduce) {
    auto reduced = reducedAxes(reduce);
    return reduced && reduced->size() == 1 && (*reduced)[0] == rank - 1 && intAttr(reduce, "keepdims", 1) == 1;
  };
  if (!lastAxis(sum))
    return {};
  Value inner = exp->getOperand(0);
  if (Operation *sub = definedBy(inner, {"Sub"}))
    if (Operation *max = definedBy(sub->getOperand(1), {"ReduceMax"}))
      if (max->getOperand(0) == sub->getOperand(0) && lastAxis(max))
        return sub->getOperand(0);
  return inner;
}

bool ChoiceReader::readScores(Value value, Choice &result) {
  result.scores = value;
  value = peel(value);
  if (Operation *softmax = definedBy(value, {"Softmax"})) {
    int64_t rank = tensorType(value).getRank();
    if (axisOf(softmax, "axis", -1, rank) != rank - 1)
      return false;
    result.score = ScoreFn::Softmax;
    result.logits = softmax->getOperand(0);
  } else if (Operation *sigmoid = definedBy(value, {"Sigmoid"})) {
    result.score = ScoreFn::Sigmoid;
    result.logits = sigmoid->getOperand(0);
  } else if (Value inner = spelledSoftmax(value)) {
    result.score = ScoreFn::Softmax;
    result.logits = inner;
  } else {
    result.score = ScoreFn::None;
    result.logits = value;
    return true;
  }
  std::string ignored;
  return succeeded(axes.relate(value.getDefiningOp(), ignored));
}

std::optional<Choice> ChoiceReader::read(Value picked, std::string &reason) {
  Choice result;
  Value choice = peel(picked);
  std::optional<KeepMask> mask;
  Value unmasked;
  std::string ignored;
  if (Operation *where = definedBy(choice, {"Where"})) {
    for (int fillAt : {1, 2}) {
      std::optional<double> fill = fillOf(where->getOperand(fillAt));
      if (!fill || !(*fill == 0 || isLow(*fill, tensorType(choice).getElementType())))
        continue;
      if (failed(axes.relate(where, ignored)))
        continue;
      mask = keepMask(where->getOperand(0));
      if (!mask)
        continue;
      unmasked = where->getOperand(3 - fillAt);
      result.groupFill = *fill == 0 ? GroupFill::Zero : GroupFill::NegInf;
      if (mask->kept != (fillAt == 2)) {
        reason = "the kept groups are filled, not the others";
        return std::nullopt;
      }
      break;
    }
  } else if (Operation *mul = definedBy(choice, {"Mul"})) {
    for (int maskAt : {0, 1}) {
      if (failed(axes.relate(mul, ignored)))
        break;
      mask = keepMask(mul->getOperand(maskAt));
      if (mask && mask->kept) {
        unmasked = mul->getOperand(1 - maskAt);
        result.groupFill = GroupFill::Zero;
        break;
      }
      mask.reset();
    }
  }
  if (mask) {
    if (!readGroups(*mask, unmasked, result, reason))
      return std::nullopt;
    choice = peel(unmasked);
  }
  if (Operation *add = definedBy(choice, {"Add"}))
    for (int biasAt : {0, 1}) {
      Value bias = biasOf(add->getOperand(biasAt));
      if (!bias || failed(axes.relate(add, ignored)))
        continue;
      Choice inner = result;
      if (!readScores(add->getOperand(1 - biasAt), inner))
        continue;
      inner.bias = bias;
      inner.biased = choice;
      return inner;
    }
  if (!readScores(choice, result)) {
    reason = "the scores are taken along another axis than the experts";
    return std::nullopt;
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Forwards: picked scores -> weights
//===----------------------------------------------------------------------===//

namespace {

enum class Kind {
  Indices,   // ids of the slots
  Weights,   // a function of the picked scores, a value a slot
  Magnitude, // |weights|
  Dense,     // the weights at [token, expert], zero elsewhere
  DenseInf,  // the picked scores at [token, expert], -inf elsewhere
  Indicator, // 1 where slot j of the token picks the expert
  MultiHot,  // 1 where the token picks the expert
  Spread,    // Weights * Indicator
  Sum,       // sum of the weights, with an epsilon
  Norm,      // a p-norm of the weights
};

struct State {
  Kind kind;
  WeightFn fn = WeightFn::Identity;
  Normalize normalize = Normalize::None;
  double eps = 0, p = 1, scale = 1;
  bool maxEps = false; // of a Sum
  int depth = 0;
  // What the weights of a Sum were, so that only they are divided by it.
  bool sameWeights(const State &o) const {
    return fn == o.fn && normalize == o.normalize && scale == o.scale;
  }
};

/// Follows the values that come from the picked scores.
class WeightReader {
public:
  WeightReader(AxisAnalysis &axes, Choice &choice, Router &router) : axes(axes), choice(choice), router(router) {}
  LogicalResult run(Value values, Value indices, std::string &reason);

private:
  std::optional<State> step(Operation *op);
  std::optional<State> product(Operation *op);
  std::optional<State> quotient(Operation *op);
  std::optional<State> scatter(Operation *op);
  std::optional<State> gather(Operation *op);
  std::optional<State> reduction(Operation *op);
  const State *stateOf(Value value) const {
    auto it = states.find(value);
    return it == states.end() ? nullptr : &it->second;
  }
  bool isSlotAxis(Value value, int64_t dim) { return slot.empty() || axes.leaves(value, dim) == axes.space.leaves(slot); }
  bool isExpertAxis(Value value, int64_t dim) {
    return axes.leaves(value, dim) == axes.leaves(choice.logits, tensorType(choice.logits).getRank() - 1);
  }
  bool sameScores(Value value) { return value == choice.scores || peelTokens(value) == peelTokens(choice.scores); }
  Value peelTokens(Value value);
  bool multiplies(Value value);

  AxisAnalysis &axes;
  Choice &choice;
  Router &router;
  Axes slot;
  llvm::MapVector<Value, State> states;
};

} // namespace

/// Without casts and reshapes of the token dimensions.
Value WeightReader::peelTokens(Value value) {
  while (true) {
    Value next = skipCasts(value);
    Operation *op = definedBy(next, {"Reshape", "Squeeze", "Unsqueeze", "Flatten"});
    if (op && tensorType(op->getOperand(0)).getRank() > 0 && tensorType(op->getOperand(0)).getShape().back() == router.numExperts &&
        tensorType(next).getShape().back() == router.numExperts)
      next = op->getOperand(0);
    if (next == value)
      return value;
    value = next;
  }
}

std::optional<State> WeightReader::gather(Operation *op) {
  const State *at = stateOf(op->getOperand(1));
  int64_t rank = tensorType(op->getOperand(0)).getRank();
  if (!at || at->kind != Kind::Indices || axisOf(op, "axis", 0, rank) != rank - 1)
    return std::nullopt;
  Value data = op->getOperand(0);
  State result{Kind::Weights};
  result.depth = 1;
  if (sameScores(data))
    return result;
  // The choice was made on logits and the weight is another score of the same logits (or the reverse): the order is the
  // same, so the score function is that of the weight.
  Value from = peelTokens(data);
  bool plain = !choice.bias && choice.numGroups == 1;
  ScoreFn fn = ScoreFn::None;
  Value logits = from;
  if (Operation *softmax = definedBy(from, {"Softmax"})) {
    int64_t rank = tensorType(from).getRank();
    if (axisOf(softmax, "axis", -1, rank) != rank - 1)
      return std::nullopt;
    fn = ScoreFn::Softmax;
    logits = softmax->getOperand(0);
  } else if (Operation *sigmoid = definedBy(from, {"Sigmoid"})) {
    fn = ScoreFn::Sigmoid;
    logits = sigmoid->getOperand(0);
  }
  if (peelTokens(logits) == peelTokens(choice.logits)) {
    if (fn == choice.score)
      return result;
    if (plain) {
      choice.score = fn;
      choice.scores = data;
      return result;
    }
  }
  if (choice.biased && peelTokens(data) == peelTokens(choice.biased) && choice.score == ScoreFn::None) {
    // A bias that is in the weights too is part of the logits.
    choice.logits = choice.scores = choice.biased;
    choice.biased = choice.bias = Value();
    return result;
  }
  return std::nullopt;
}

std::optional<State> WeightReader::scatter(Operation *op) {
  const State *at = stateOf(op->getOperand(1)), *updates = stateOf(op->getOperand(2));
  int64_t rank = tensorType(op->getResult(0)).getRank();
  auto reduction = op->getAttrOfType<StringAttr>("reduction");
  if (!at || at->kind != Kind::Indices || axisOf(op, "axis", 0, rank) != rank - 1 ||
      tensorType(op->getResult(0)).getShape().back() != router.numExperts)
    return std::nullopt;
  bool assigns = !reduction || reduction.getValue() == "none";
  std::optional<double> fill = fillOf(op->getOperand(0));
  if (updates && updates->kind == Kind::Weights && fill) {
    State result = *updates;
    if (*fill == 0 && (assigns || reduction.getValue() == "add"))
      result.kind = Kind::Dense;
    else if (*fill < -1e30 && assigns && updates->fn == WeightFn::Identity && updates->normalize == Normalize::None && updates->scale == 1)
      result.kind = Kind::DenseInf;
    else
      return std::nullopt;
    ++result.depth;
    return result;
  }
  if (fill && *fill == 0 && isFilledWith(op->getOperand(2), 1))
    return State{Kind::MultiHot};
  return std::nullopt;
}

std::optional<State> WeightReader::reduction(Operation *op) {
  const State *in = stateOf(op->getOperand(0));
  std::optional<SmallVector<int64_t>> reduced = reducedAxes(op);
  if (!reduced || reduced->size() != 1)
    return std::nullopt;
  Value data = op->getOperand(0);
  bool overSlots = isSlotAxis(data, (*reduced)[0]) && in->kind != Kind::Dense && in->kind != Kind::MultiHot;
  bool overExperts = isExpertAxis(data, (*reduced)[0]);
  State result = *in;
  ++result.depth;
  StringRef name = op->getName().stripDialect();
  if (in->kind == Kind::Indicator && overSlots && (name == "ReduceSum" || name == "ReduceMax")) {
    result.kind = Kind::MultiHot;
    return result;
  }
  if (in->kind == Kind::Spread && name == "ReduceSum" && (overSlots || overExperts)) {
    result.kind = overSlots ? Kind::Dense : Kind::Weights;
    return result;
  }
  bool weights = (in->kind == Kind::Weights && overSlots) || (in->kind == Kind::Dense && overExperts);
  if (weights && name == "ReduceSum") {
    result.kind = Kind::Sum;
    return result;
  }
  if ((weights && (name == "ReduceL1" || name == "ReduceL2")) || (in->kind == Kind::Magnitude && overSlots && name == "ReduceSum")) {
    result.kind = Kind::Norm;
    result.p = name == "ReduceL2" ? 2 : 1;
    return result;
  }
  return std::nullopt;
}

std::optional<State> WeightReader::product(Operation *op) {
  for (int i : {0, 1}) {
    Value a = op->getOperand(i), b = op->getOperand(1 - i);
    const State *sa = stateOf(a), *sb = stateOf(b);
    if (!sa)
      continue;
    State result = *sa;
    ++result.depth;
    if (sa->kind == Kind::Weights || sa->kind == Kind::Dense) {
      if (std::optional<double> number = fillOf(b); number && isConstantDerived(b)) {
        result.scale *= *number;
        return result;
      }
      if (sa->kind == Kind::Weights && sb && sb->kind == Kind::Indicator) {
        result.kind = Kind::Spread;
        return result;
      }
      if (Operation *reciprocal = definedBy(b, {"Reciprocal"}))
        if (const State *sum = stateOf(reciprocal->getOperand(0)); sum && sum->kind == Kind::Sum && sum->sameWeights(*sa) && result.scale > 0) {
          result.normalize = sum->maxEps ? Normalize::SumMaxEps : Normalize::SumPlusEps;
          result.eps = sum->eps / result.scale;
          result.scale = 1;
          return result;
        }
    }
    if (sa->kind == Kind::MultiHot && sameScores(b)) {
      result = State{Kind::Dense};
      result.depth = 1;
      return result;
    }
  }
  return std::nullopt;
}

std::optional<State> WeightReader::quotient(Operation *op) {
  const State *a = stateOf(op->getOperand(0)), *b = stateOf(op->getOperand(1));
  if (!a || (a->kind != Kind::Weights && a->kind != Kind::Dense))
    return std::nullopt;
  State result = *a;
  ++result.depth;
  if (!b) {
    std::optional<double> number = fillOf(op->getOperand(1));
    if (!number || *number == 0 || !isConstantDerived(op->getOperand(1)))
      return std::nullopt;
    result.scale /= *number;
    return result;
  }
  if (!b->sameWeights(*a) || a->normalize != Normalize::None || a->scale <= 0)
    return std::nullopt;
  if (b->kind == Kind::Sum) {
    result.normalize = b->maxEps ? Normalize::SumMaxEps : Normalize::SumPlusEps;
    result.eps = b->eps / a->scale; // s w / (sum(s w) + eps) = w / (sum(w) + eps / s)
    result.scale = 1;
    return result;
  }
  if (b->kind == Kind::Norm && b->eps == 0) {
    result.normalize = Normalize::PNorm;
    result.p = b->p;
    result.scale = 1;
    return result;
  }
  return std::nullopt;
}

std::optional<State> WeightReader::step(Operation *op) {
  if (!isOnnx(op) || op->getNumResults() != 1)
    return std::nullopt;
  StringRef name = op->getName().stripDialect();
  const State *first = op->getNumOperands() ? stateOf(op->getOperand(0)) : nullptr;
  std::string ignored;
  auto deeper = [&](State state) {
    ++state.depth;
    return state;
  };
  if (name == "GatherElements") {
    if (std::optional<State> result = gather(op)) {
      Layout at = axes.layout(op->getOperand(1)), out = axes.layout(op->getResult(0));
      for (auto [a, b] : llvm::zip(at, out))
        if (!axes.space.unify(a, b))
          return std::nullopt;
      return result;
    }
    return std::nullopt;
  }
  if (name == "Where" && op->getNumOperands() == 3) {
    const State *mask = stateOf(op->getOperand(0));
    if (!mask || failed(axes.relate(op, ignored)))
      return std::nullopt;
    std::optional<double> other = fillOf(op->getOperand(2));
    if (!other)
      return std::nullopt;
    if (mask->kind == Kind::MultiHot && sameScores(op->getOperand(1))) {
      if (*other == 0)
        return State{Kind::Dense, WeightFn::Identity, Normalize::None, 0, 1, 1, false, 1};
      if (*other < -1e30)
        return State{Kind::DenseInf, WeightFn::Identity, Normalize::None, 0, 1, 1, false, 1};
    }
    const State *chosen = stateOf(op->getOperand(1));
    if (mask->kind == Kind::Indicator && chosen && chosen->kind == Kind::Weights && *other == 0) {
      State result = deeper(*chosen);
      result.kind = Kind::Spread;
      return result;
    }
    if (*other == 0 && isFilledWith(op->getOperand(1), 1))
      return *mask;
    return std::nullopt;
  }
  if (failed(axes.relate(op, ignored)))
    return std::nullopt;
  if (name == "Mul")
    return product(op);
  if (name == "Div")
    return quotient(op);
  if (name == "ScatterElements")
    return scatter(op);
  if (name == "Equal") {
    // ids compared with 0, 1, ..., E-1 along an axis of their own
    for (int i : {0, 1}) {
      const State *ids = stateOf(op->getOperand(i));
      std::optional<SmallVector<int64_t>> numbers = ids ? constantIntegers(op->getOperand(1 - i)) : std::nullopt;
      if (!ids || ids->kind != Kind::Indices || !numbers || static_cast<int64_t>(numbers->size()) != router.numExperts)
        continue;
      for (auto [at, number] : llvm::enumerate(*numbers))
        if (static_cast<int64_t>(at) != number)
          return std::nullopt;
      Layout out = axes.layout(op->getResult(0));
      for (size_t d = 0; d < out.size(); ++d)
        if (axes.leaves(op->getResult(0), d) == axes.leaves(op->getOperand(1 - i)))
          axes.space.unify(out[d], axes.layout(choice.logits).back());
      return State{Kind::Indicator};
    }
    return std::nullopt;
  }
  if (!first)
    if (name != "Add" && name != "Max")
      return std::nullopt;
  if (name == "OneHot") {
    auto values = onnx::getConstant(op->getOperand(2));
    int64_t rank = tensorType(op->getResult(0)).getRank(), axis = axisOf(op, "axis", -1, rank);
    if (first->kind != Kind::Indices || !values || values.getNumElements() != 2 || tensorType(op->getResult(0)).getDimSize(axis) != router.numExperts)
      return std::nullopt;
    SmallVector<double> offOn;
    if (isa<FloatType>(values.getElementType()))
      for (const APFloat &v : values.getValues<APFloat>())
        offOn.push_back(v.convertToDouble());
    else
      for (const APInt &v : values.getValues<APInt>())
        offOn.push_back(v.getZExtValue());
    if (offOn[0] != 0 || offOn[1] != 1)
      return std::nullopt;
    axes.space.unify(axes.layout(op->getResult(0))[axis], axes.layout(choice.logits).back());
    return State{Kind::Indicator};
  }
  if (name == "Cast" || name == "Identity" || isLayoutOp(op)) {
    bool toFloat = isFloat(op->getResult(0)), fromFloat = isFloat(op->getOperand(0));
    bool binary = first->kind == Kind::Indicator || first->kind == Kind::MultiHot;
    if (name == "Cast" && !binary && toFloat != fromFloat)
      return std::nullopt;
    if (name == "Expand" || name == "Tile")
      return std::nullopt;
    return deeper(*first);
  }
  if (name == "Sigmoid" || name == "Softmax") {
    bool sigmoid = name == "Sigmoid";
    if ((first->kind != Kind::Weights && first->kind != Kind::DenseInf) || first->fn != WeightFn::Identity || first->normalize != Normalize::None ||
        first->scale != 1)
      return std::nullopt;
    if (!sigmoid) {
      int64_t rank = tensorType(op->getOperand(0)).getRank(), axis = axisOf(op, "axis", -1, rank);
      if (first->kind == Kind::Weights ? !isSlotAxis(op->getOperand(0), axis) || tensorType(op->getOperand(0)).getDimSize(axis) != router.k
                                       : !isExpertAxis(op->getOperand(0), axis))
        return std::nullopt;
    }
    State result = deeper(*first);
    result.fn = sigmoid ? WeightFn::Sigmoid : WeightFn::Softmax;
    result.kind = first->kind == Kind::Weights ? Kind::Weights : Kind::Dense;
    return result;
  }
  if (name == "Abs" && first->kind == Kind::Weights) {
    State result = deeper(*first);
    result.kind = Kind::Magnitude;
    return result;
  }
  if (name.starts_with("Reduce"))
    return reduction(op);
  if (name == "LpNormalization" && first->kind == Kind::Weights && first->normalize == Normalize::None && first->scale > 0) {
    int64_t rank = tensorType(op->getOperand(0)).getRank();
    if (!isSlotAxis(op->getOperand(0), axisOf(op, "axis", -1, rank)))
      return std::nullopt;
    State result = deeper(*first);
    result.normalize = Normalize::PNorm;
    result.p = intAttr(op, "p", 2);
    result.scale = 1;
    return result;
  }
  if (name == "Add" || name == "Max") {
    for (int i : {0, 1}) {
      const State *sum = op->getNumOperands() == 2 ? stateOf(op->getOperand(i)) : nullptr;
      std::optional<double> number = sum ? fillOf(op->getOperand(1 - i)) : std::nullopt;
      if (!sum || sum->kind != Kind::Sum || !number || sum->eps != 0)
        continue;
      State result = deeper(*sum);
      result.eps = *number;
      result.maxEps = name == "Max";
      return result;
    }
    return std::nullopt;
  }
  if (name == "Clip" && first->kind == Kind::Sum && first->eps == 0) {
    Value low = getInput(op, 1), high = getInput(op, 2);
    std::optional<double> min = low ? fillOf(low) : std::nullopt, max = high ? fillOf(high) : std::optional<double>(INFINITY);
    if (!min || !max || *max < 1e30)
      return std::nullopt;
    State result = deeper(*first);
    result.eps = *min;
    result.maxEps = true;
    return result;
  }
  return std::nullopt;
}

/// Whether what comes from `value` multiplies something that came out of a product: routing weights do, the scores of a
/// sampler or of a search do not.
bool WeightReader::multiplies(Value value) {
  SmallVector<Value> work = {value};
  DenseSet<Value> seen = {value};
  for (size_t i = 0; i < work.size() && i < 4096; ++i)
    for (Operation *user : work[i].getUsers()) {
      if (isOnnx(user, {"MatMul", "Gemm", "Einsum"}))
        return true;
      if (isOnnx(user, {"Mul"})) {
        Value other = user->getOperand(0) == work[i] ? user->getOperand(1) : user->getOperand(0);
        SmallVector<Value> back = {other};
        DenseSet<Value> behind;
        for (size_t b = 0; b < back.size() && b < 256; ++b) {
          Operation *op = back[b].getDefiningOp();
          if (!op || !isOnnx(op))
            continue;
          if (isOnnx(op, {"MatMul", "Gemm", "Einsum", "LayerNormalization", "RMSNormalization"}))
            return true;
          for (Value operand : op->getOperands())
            if (behind.insert(operand).second)
              back.push_back(operand);
        }
      }
      // Ids that pick rows of a table (an embedding) are tokens; experts have at least a matrix each.
      bool gathers = isOnnx(user, {"GatherND", "Gather", "GatherElements"});
      if (gathers && user->getOperand(1) == work[i] && isConstantDerived(user->getOperand(0)) &&
          tensorType(user->getOperand(0)).getRank() < 3)
        continue;
      if (gathers || isLayoutOp(user) ||
          isOnnx(user, {"Slice", "Split", "Cast", "Identity", "Clip", "Mul", "Where", "ReduceSum", "Concat", "ScatterElements", "ScatterND",
                        "Equal", "OneHot", "NonZero"}))
        for (Value result : user->getResults())
          if (seen.insert(result).second)
            work.push_back(result);
    }
  return false;
}

LogicalResult WeightReader::run(Value values, Value indices, std::string &reason) {
  // Tokens of the ids and of the logits are the same axes.
  Layout in = axes.layout(router.anchor->getOperand(0)), ids = axes.layout(indices);
  bool keepsDim = ids.size() == in.size();
  for (size_t i = 0; i + 1 < in.size(); ++i)
    if (!axes.space.unify(in[i], ids[i]))
      return reason = "the tokens of the choice do not fit", failure();
  if (keepsDim)
    slot = ids.back();
  states[indices] = State{Kind::Indices};
  if (values) {
    Layout picked = axes.layout(values);
    for (auto [a, b] : llvm::zip(ids, picked))
      if (!axes.space.unify(a, b))
        return reason = "the tokens of the choice do not fit", failure();
    // Picked choice scores are weights where no bias is in them. Filled with 0 a masked expert can be picked with
    // weight 0 in place of one whose score is 0: the sum over experts is the same as with -inf.
    if (!choice.bias) {
      // (With plain logits a fill of 0 would be a weight like any other.)
      if (choice.numGroups == 1 || choice.groupFill == GroupFill::NegInf || choice.score != ScoreFn::None)
        states[values] = State{Kind::Weights};
    } else if (choice.score == ScoreFn::None) {
      choice.logits = choice.scores = choice.biased;
      choice.bias = choice.biased = Value();
      states[values] = State{Kind::Weights};
    }
  }
  // Ops in program order, so that each sees the states of all its operands.
  auto later = [](Operation *a, Operation *b) { return b->isBeforeInBlock(a); };
  std::priority_queue<Operation *, std::vector<Operation *>, decltype(later)> queue(later);
  DenseSet<Operation *> queued;
  auto push = [&](Value value) {
    for (Operation *user : value.getUsers())
      if (user->getBlock() == router.anchor->getBlock() && queued.insert(user).second)
        queue.push(user);
  };
  // The choice's ids may have been compared or picked from before: start at every known value.
  for (auto &entry : SmallVector<Value>(llvm::make_first_range(states)))
    push(entry);
  while (!queue.empty()) {
    Operation *op = queue.top();
    queue.pop();
    std::optional<State> state = step(op);
    if (!state)
      continue;
    states.insert({op->getResult(0), *state});
    push(op->getResult(0));
  }

  // The weights are the furthest values that something else than this algebra uses, and that multiply.
  const State *best = nullptr;
  for (auto &[value, state] : states) {
    if (state.kind != Kind::Weights && state.kind != Kind::Dense)
      continue;
    bool used = llvm::any_of(value.getUsers(), [&](Operation *user) {
      return llvm::none_of(user->getResults(), [&](Value result) { return states.contains(result); });
    });
    if (!used || !multiplies(value))
      continue;
    if (!best || state.depth >= best->depth)
      best = &state;
  }
  if (!best)
    return reason = multiplies(indices) ? "the weights are no known function of the picked scores" : "", failure();
  if (choice.groupFill == GroupFill::Zero && !choice.bias && choice.score != ScoreFn::None)
    choice.groupFill = GroupFill::NegInf;
  router.weightFn = best->fn;
  router.normalize = best->normalize;
  router.normEps = best->eps;
  router.normP = best->p;
  router.scale = best->scale;
  auto same = [&](const State &s) {
    return s.fn == best->fn && s.normalize == best->normalize && s.eps == best->eps && s.p == best->p && s.scale == best->scale;
  };
  for (auto &[value, state] : states)
    if (state.kind == Kind::Weights && same(state))
      router.weights.push_back(value);
    else if (state.kind == Kind::Dense && same(state))
      router.matrix.push_back(value);
  router.indices.push_back(indices);
  return success();
}

//===----------------------------------------------------------------------===//
// The whole
//===----------------------------------------------------------------------===//

RouterResult moe::matchRouter(Operation *anchor, AxisAnalysis &axes) {
  RouterResult result;
  Router router;
  router.anchor = anchor;
  RankedTensorType type = tensorType(anchor->getOperand(0));
  int64_t rank = type.getRank();
  if (rank < 2 || ShapedType::isDynamic(type.getShape().back()) || !isFloat(anchor->getOperand(0)))
    return result;
  router.numExperts = type.getShape().back();
  Value values, indices;
  if (isOnnx(anchor, {"TopK"})) {
    std::optional<int64_t> k = pickCount(anchor);
    if (!k || *k < 1 || *k > router.numExperts)
      return result;
    router.k = *k;
    values = anchor->getResult(0);
    indices = anchor->getResult(1);
  } else {
    if (axisOf(anchor, "axis", 0, rank) != rank - 1 || intAttr(anchor, "select_last_index", 0))
      return result;
    indices = anchor->getResult(0);
    for (Operation *user : anchor->getOperand(0).getUsers()) {
      if (!isOnnx(user, {"ReduceMax"}))
        continue;
      std::optional<SmallVector<int64_t>> reduced = reducedAxes(user);
      if (reduced && reduced->size() == 1 && (*reduced)[0] == rank - 1 &&
          intAttr(user, "keepdims", 1) == intAttr(anchor, "keepdims", 1) && user->getBlock() == anchor->getBlock())
        values = user->getResult(0);
    }
  }
  ChoiceReader reader(axes, router.numExperts);
  std::string reason;
  std::optional<Choice> choice = reader.read(anchor->getOperand(0), reason);
  if (!choice) {
    result.reason = reason;
    return result;
  }
  WeightReader weights(axes, *choice, router);
  if (failed(weights.run(values, indices, reason))) {
    result.reason = reason;
    return result;
  }
  router.logits = choice->logits;
  router.bias = choice->bias;
  router.score = choice->score;
  router.numGroups = choice->numGroups;
  router.topGroups = choice->topGroups;
  router.groupScore = choice->groupScore;
  router.groupFill = choice->groupFill;
  if (router.numGroups == 1) {
    router.topGroups = 1;
    router.groupScore = GroupScore::Max;
    router.groupFill = GroupFill::NegInf;
  }
  if (router.topGroups * (router.numExperts / router.numGroups) < router.k) {
    result.reason = "the kept groups hold fewer experts than are picked";
    return result;
  }
  result.router = router;
  return result;
}
