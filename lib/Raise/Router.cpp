//===- Router.cpp - a router: its choice read backwards, its weights forwards ---===//
#include "Router.h"
#include "OnnxMatch.h"
#include "RouterChoice.h"

#include <cmath>
#include <queue>

using namespace mlir;
using namespace mlir::moe;

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
  bool sameWeights(const State &o) const { return fn == o.fn && normalize == o.normalize && scale == o.scale; }
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
  bool isSlotAxis(Value value, int64_t dim) {
    return slot.empty() || axes.leaves(value, dim) == axes.space.leaves(slot);
  }
  bool isExpertAxis(Value value, int64_t dim) {
    return axes.leaves(value, dim) == axes.leaves(choice.logits, tensorType(choice.logits).getRank() - 1);
  }
  /// Whether both hold the same numbers. Where the choice is made on rounded scores, those that are not rounded are others.
  bool same(Value a, Value b) {
    bool rounds = isRounded(peelTokens(choice.scores, /*exactly=*/true));
    return a == b || peelTokens(a, rounds) == peelTokens(b, rounds);
  }
  bool sameScores(Value value) { return same(value, choice.scores); }
  Value peelTokens(Value value, bool exactly = false);
  bool multiplies(Value value);
  bool choosesExperts(Value ids);

  AxisAnalysis &axes;
  Choice &choice;
  Router &router;
  Axes slot;
  bool readScores = false; ///< weights were read from choice.scores, which may not change any more
  llvm::MapVector<Value, State> states;
};

} // namespace

/// Without casts and reshapes of the token dimensions.
Value WeightReader::peelTokens(Value value, bool exactly) {
  while (true) {
    Value next = exactly ? value : skipCasts(value);
    while (exactly && isExactCast(next.getDefiningOp()))
      next = next.getDefiningOp()->getOperand(0);
    Operation *op = definedBy(next, {"Reshape", "Squeeze", "Unsqueeze", "Flatten"});
    if (op && tensorType(op->getOperand(0)).getRank() > 0 &&
        tensorType(op->getOperand(0)).getShape().back() == router.numExperts &&
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
  if (sameScores(data)) {
    readScores = true;
    return result;
  }
  // The choice was made on logits and the weight is their sigmoid. A softmax over all experts cannot be exchanged like this,
  // nor a choice on a score with the logits as weights: where scores saturate they tie, and ties pick other experts.
  Value from = peelTokens(data);
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
  // A bias that is in the weights too is part of the logits.
  bool biased = !readScores && choice.biased && choice.score == ScoreFn::None && same(logits, choice.biased);
  Choice before = choice;
  if (biased) {
    choice.logits = choice.scores = choice.biased;
    choice.biased = choice.bias = Value();
  }
  bool plain = !choice.bias && choice.numGroups == 1;
  if (same(logits, choice.logits)) {
    if (fn == choice.score)
      return result;
    if (plain && fn == ScoreFn::Sigmoid && choice.score == ScoreFn::None) {
      result.fn = WeightFn::Sigmoid;
      return result;
    }
  }
  choice = before;
  return std::nullopt;
}

std::optional<State> WeightReader::scatter(Operation *op) {
  const State *at = stateOf(op->getOperand(1)), *updates = stateOf(op->getOperand(2));
  int64_t rank = tensorType(op->getResult(0)).getRank();
  StringRef reduction = reductionOf(op);
  if (!at || at->kind != Kind::Indices || axisOf(op, "axis", 0, rank) != rank - 1 ||
      tensorType(op->getResult(0)).getShape().back() != router.numExperts)
    return std::nullopt;
  bool assigns = reduction == "none";
  std::optional<double> fill = fillOf(op->getOperand(0));
  if (updates && updates->kind == Kind::Weights && fill) {
    State result = *updates;
    if (*fill == 0 && (assigns || reduction == "add"))
      result.kind = Kind::Dense;
    else if (*fill < -1e30 && assigns && updates->fn == WeightFn::Identity && updates->normalize == Normalize::None &&
             updates->scale == 1)
      result.kind = Kind::DenseInf;
    else
      return std::nullopt;
    ++result.depth;
    return result;
  }
  if (fill && *fill == 0 && isFilledWith(op->getOperand(2), 1) && (assigns || reduction == "max"))
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
  if ((weights && (name == "ReduceL1" || name == "ReduceL2")) ||
      (in->kind == Kind::Magnitude && overSlots && name == "ReduceSum")) {
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
        if (const State *sum = stateOf(reciprocal->getOperand(0));
            sum && sum->kind == Kind::Sum && sum->sameWeights(*sa) && result.scale > 0) {
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
    if (first->kind != Kind::Indices || !values || values.getNumElements() != 2 ||
        tensorType(op->getResult(0)).getDimSize(axis) != router.numExperts)
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
    if ((first->kind != Kind::Weights && first->kind != Kind::DenseInf) || first->fn != WeightFn::Identity ||
        first->normalize != Normalize::None || first->scale != 1)
      return std::nullopt;
    if (!sigmoid) {
      int64_t rank = tensorType(op->getOperand(0)).getRank(), axis = axisOf(op, "axis", -1, rank);
      if (first->kind == Kind::Weights
              ? !isSlotAxis(op->getOperand(0), axis) || tensorType(op->getOperand(0)).getDimSize(axis) != router.k
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
  if (name == "LpNormalization" && first->kind == Kind::Weights && first->normalize == Normalize::None &&
      first->scale > 0) {
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
    std::optional<double> min = low ? fillOf(low) : std::nullopt,
                          max = high ? fillOf(high) : std::optional<double>(INFINITY);
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
        // Depth first: what stands for all experts at once has as many operands.
        for (size_t steps = 0; !back.empty() && steps < 256; ++steps) {
          Operation *op = back.pop_back_val().getDefiningOp();
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
          isOnnx(user, {"Slice", "Split", "Cast", "Identity", "Clip", "Mul", "Where", "ReduceSum", "Concat",
                        "ScatterElements", "ScatterND", "Equal", "OneHot", "NonZero"}))
        for (Value result : user->getResults())
          if (seen.insert(result).second)
            work.push_back(result);
    }
  return false;
}

/// Whether ids are those of experts by what reads them: they pick matrices, are compared with numbers one by one, or
/// say where weights go. (Those of keys that attention keeps, say, make a mask.)
bool WeightReader::choosesExperts(Value ids) {
  SmallVector<Value> work = {ids};
  DenseSet<Value> seen = {ids};
  for (size_t i = 0; i < work.size() && i < 256; ++i)
    for (Operation *user : work[i].getUsers()) {
      bool picks = isOnnx(user, {"Gather", "GatherND"}) && user->getOperand(1) == work[i] &&
                   isConstantDerived(user->getOperand(0)) && tensorType(user->getOperand(0)).getRank() > 2 &&
                   tensorType(user->getOperand(0)).getDimSize(0) == router.numExperts;
      bool compares =
          isOnnx(user, {"Equal"}) && (constantIntegers(user->getOperand(0)) || constantIntegers(user->getOperand(1)));
      bool places = isOnnx(user, {"ScatterElements"}) && user->getOperand(1) == work[i] && !fillOf(user->getOperand(2));
      if (picks || compares || places || isOnnx(user, {"OneHot"}))
        return true;
      if (isLayoutOp(user) || isOnnx(user, {"Slice", "Split", "Gather", "Cast", "Identity", "Clip"}))
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
    } else if (choice.score == ScoreFn::None && !values.use_empty()) {
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
  // Where ids choose experts, this is a router all the same: its weights are made of the picked scores by a formula of
  // their own. (In groups filled with 0 the picked scores may be others.)
  State picked{Kind::Weights};
  if (!best) {
    bool isRouter = multiplies(indices);
    if (!isRouter || !choosesExperts(indices) || (choice.numGroups != 1 && choice.groupFill == GroupFill::Zero))
      return reason = isRouter ? "the weights are no known function of the picked scores" : "", failure();
    best = &picked;
  }
  if (choice.groupFill == GroupFill::Zero && !choice.bias && choice.score != ScoreFn::None)
    choice.groupFill = GroupFill::NegInf;
  router.weightFn = best->fn;
  router.normalize = best->normalize;
  router.normEps = best->eps;
  router.normP = best->p;
  router.scale = best->scale;
  auto same = [&](const State &s) {
    return s.fn == best->fn && s.normalize == best->normalize && s.eps == best->eps && s.p == best->p &&
           s.scale == best->scale;
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
  std::string reason;
  std::optional<Choice> choice = readChoice(anchor->getOperand(0), axes, router.numExperts, reason);
  if (!choice) {
    result.reason = reason;
    return result;
  }
  WeightReader weights(axes, *choice, router);
  if (failed(weights.run(values, indices, reason))) {
    result.reason =
        isRounded(choice->scores) ? "its scores are rounded before the choice, and its weights are not" : reason;
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
