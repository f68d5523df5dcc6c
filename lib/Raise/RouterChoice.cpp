//===- RouterChoice.cpp - what a router picks from, read backwards to the logits ---===//
//
//   logits -> scores (none, softmax, sigmoid) -> + bias -> groups kept -> what TopK or ArgMax reads
//
//===----------------------------------------------------------------------===//
#include "RouterChoice.h"
#include "OnnxMatch.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

struct KeepMask {
  Operation *topGroups = nullptr;
  bool kept = true; // true where the group is kept
};

class ChoiceReader {
public:
  ChoiceReader(AxisAnalysis &axes, int64_t numExperts) : axes(axes), numExperts(numExperts) {}
  std::optional<Choice> read(Value picked, std::string &reason);

private:
  /// Without casts that keep the order.
  Value peelCasts(Value value);
  /// The same, and without reshapes that keep the experts last.
  Value peel(Value value);
  std::optional<KeepMask> keepMask(Value mask);
  bool readGroups(const KeepMask &mask, Value choice, Choice &result, std::string &reason);
  bool readScores(Value value, Choice &result);
  Value biasOf(Value value) const;

  AxisAnalysis &axes;
  int64_t numExperts;
};

} // namespace

Value ChoiceReader::peelCasts(Value value) {
  std::string ignored;
  while (isExactCast(value.getDefiningOp()) && succeeded(axes.relate(value.getDefiningOp(), ignored)))
    value = value.getDefiningOp()->getOperand(0);
  return value;
}

Value ChoiceReader::peel(Value value) {
  while (true) {
    Value next = peelCasts(value);
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
    } else if (isOnnx(op, {"Greater"}) && fillOf(op->getOperand(1)).value_or(-1) >= 0 &&
               fillOf(op->getOperand(1)).value_or(1) < 1) {
      mask = op->getOperand(0);
    } else if (isOnnx(op, {"ScatterElements"})) {
      int64_t rank = tensorType(mask).getRank();
      if (axisOf(op, "axis", 0, rank) != rank - 1)
        return std::nullopt;
      bool ones = isFilledWith(op->getOperand(0), 0) && isFilledWith(op->getOperand(2), 1);
      bool zeros = isFilledWith(op->getOperand(0), 1) && isFilledWith(op->getOperand(2), 0);
      result.topGroups = definedBy(skipCasts(op->getOperand(1)), {"TopK"});
      auto reduction = op->getAttrOfType<StringAttr>("reduction");
      StringRef how = reduction ? reduction.getValue() : "none";
      ones &= how == "none" || how == "add" || how == "max"; // ids of groups differ, so a sum is one
      zeros &= how == "none" || how == "mul" || how == "min";
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
      if (!oneHot || !values || values.getNumElements() != 2 || !reduced || reduced->size() != 1 ||
          failed(axes.relate(oneHot, ignored)))
        return std::nullopt;
      result.topGroups = definedBy(skipCasts(oneHot->getOperand(0)), {"TopK"});
      if (!result.topGroups ||
          axes.leaves(oneHot->getResult(0), (*reduced)[0]) !=
              axes.leaves(result.topGroups->getResult(1), tensorType(result.topGroups->getResult(1)).getRank() - 1))
        return std::nullopt;
      return result;
    } else {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

std::optional<int64_t> moe::pickCount(Operation *topK) {
  std::optional<SmallVector<int64_t>> k = onnx::getConstantInts(topK->getOperand(1));
  int64_t rank = tensorType(topK->getOperand(0)).getRank();
  if (!k || k->size() != 1 || rank == 0 || axisOf(topK, "axis", -1, rank) != rank - 1 ||
      intAttr(topK, "largest", 1) != 1)
    return std::nullopt;
  return (*k)[0];
}

bool ChoiceReader::readGroups(const KeepMask &mask, Value choice, Choice &result, std::string &reason) {
  std::string ignored;
  Operation *top = mask.topGroups;
  std::optional<int64_t> keep = pickCount(top);
  Value groupScores = peelCasts(top->getOperand(0));
  int64_t groups = tensorType(groupScores).getShape().back();
  if (!keep || ShapedType::isDynamic(groups) || groups < 1 || numExperts % groups != 0) {
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
  Value members = peelCasts(reduce->getOperand(0));
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
    members = peelCasts(topTwo->getOperand(0));
    result.groupScore = GroupScore::Top2Sum;
  } else {
    Operation *topOne = definedBy(members, {"TopK"}); // max as the first of a TopK
    if (topOne && members == topOne->getResult(0)) {
      Layout in = axes.layout(topOne->getOperand(0)), out = axes.layout(members);
      for (size_t i = 0; i + 1 < in.size(); ++i)
        if (!axes.space.unify(in[i], out[i]))
          return false;
      members = peelCasts(topOne->getOperand(0));
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
      (!grouped.empty() &&
       axes.leaves(groupScores, tensorType(groupScores).getRank() - 1) != axes.space.leaves(grouped))) {
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

std::optional<Choice> moe::readChoice(Value picked, AxisAnalysis &axes, int64_t numExperts, std::string &reason) {
  return ChoiceReader(axes, numExperts).read(picked, reason);
}
