//===- RouteValues.cpp - what the values made of a route's results are ----===//
#include "RouteValues.h"
#include "OnnxMatch.h"

using namespace mlir;
using namespace mlir::moe;

RouteValues::RouteValues(RouteOp route, AxisAnalysis &axes, Value own, bool distinct)
    : route(route), axes(axes), weights(own ? own : Value(route->getResult(0))), distinct(distinct) {
  Layout weights = axes.layout(route->getResult(0)), ids = axes.layout(route->getResult(1));
  for (auto [a, b] : llvm::zip(weights, ids))
    axes.space.unify(a, b);
  axes.space.unify(axes.layout(route.getLogits())[0], weights[0]);
  if (own)
    axes.space.unify(axes.leaves(own), axes.space.leaves(weights));
}

int64_t RouteValues::numExperts() { return cast<RankedTensorType>(route.getLogits().getType()).getDimSize(1); }

void RouteValues::showExperts(Value value, int64_t dim) {
  Axes found = axes.leaves(value, dim);
  if (experts.empty())
    experts = found;
  else
    axes.space.unify(experts, found);
}

RouteFact RouteValues::of(Value value) {
  auto it = facts.find(value);
  if (it != facts.end())
    return it->second;
  facts[value] = RouteFact(); // values are acyclic; this guards against recursion on odd IR
  RouteFact fact = compute(value);
  // An axis in two dimensions: of what is made of one slot and another no kind speaks.
  if (fact.kind != RouteKind::None) {
    Axes leaves = axes.leaves(value);
    llvm::sort(leaves);
    if (std::adjacent_find(leaves.begin(), leaves.end()) != leaves.end())
      fact = RouteFact();
  }
  // One slot: what is spread over the experts is the matrix already.
  if (slots().empty() && fact.kind == RouteKind::Spread)
    fact.kind = RouteKind::Matrix;
  return facts[value] = fact;
}

static std::optional<int64_t> constantIndex(Value value) {
  std::optional<SmallVector<int64_t>> numbers = onnx::getConstantInts(value);
  return numbers && numbers->size() == 1 ? std::optional<int64_t>((*numbers)[0]) : std::nullopt;
}

/// Start of a Slice of one element along one axis, and that axis.
static std::optional<std::pair<int64_t, int64_t>> unitSlice(Operation *slice) {
  std::optional<SmallVector<int64_t>> axes = cutAxes(slice);
  std::optional<int64_t> start = constantIndex(getInput(slice, 1));
  if (!axes || axes->size() != 1 || !start || tensorType(slice->getResult(0)).getDimSize((*axes)[0]) != 1)
    return std::nullopt;
  int64_t extent = tensorType(slice->getOperand(0)).getDimSize((*axes)[0]);
  if (*start < 0) {
    if (ShapedType::isDynamic(extent))
      return std::nullopt;
    *start += extent;
  }
  return std::make_pair((*axes)[0], *start);
}

/// Whether result i of a Split is element i along its axis.
static bool splitsIntoOnes(Operation *split, int64_t axis) {
  return static_cast<int64_t>(split->getNumResults()) == tensorType(split->getOperand(0)).getDimSize(axis) &&
         llvm::all_of(split->getResults(), [axis](Value part) { return tensorType(part).getDimSize(axis) == 1; });
}

RouteFact RouteValues::compute(Value value) {
  if (value == weights)
    return {RouteKind::Weights, {}};
  if (value == route->getResult(1))
    return {RouteKind::Indices, {}};
  Operation *op = value.getDefiningOp();
  if (!op || !isOnnx(op) || op->getNumOperands() == 0)
    return {};
  std::string reason;
  StringRef name = op->getName().stripDialect();
  auto first = [&] { return of(op->getOperand(0)); };
  auto related = [&] { return succeeded(axes.relate(op, reason)); };
  auto isBinary = [](RouteKind kind) {
    return kind == RouteKind::Indicator || kind == RouteKind::MultiHot || kind == RouteKind::SlotIndicator;
  };
  auto isIds = [](RouteKind kind) { return kind == RouteKind::Indices || kind == RouteKind::SlotIndices; };
  // Whether each slot, or one of them, picks an expert.
  auto indicator = [](RouteFact ids, std::optional<int64_t> expert) {
    return RouteFact{ids.slot ? RouteKind::SlotIndicator : RouteKind::Indicator, expert, ids.slot};
  };
  auto spread = [](RouteFact weights, RouteFact mask) {
    bool all = weights.kind == RouteKind::Weights && mask.kind == RouteKind::Indicator;
    bool one =
        weights.kind == RouteKind::SlotWeights && mask.kind == RouteKind::SlotIndicator && weights.slot == mask.slot;
    return all || one ? RouteFact{all ? RouteKind::Spread : RouteKind::SlotSpread, mask.expert, mask.slot}
                      : RouteFact();
  };

  if (isLayoutOp(op) || name == "Cast") {
    RouteFact fact = first();
    if (fact.kind == RouteKind::None || !related())
      return {};
    if (name == "Cast" && !isBinary(fact.kind) && isFloat(value) != isFloat(op->getOperand(0)))
      return {};
    if (name == "Cast" && isIds(fact.kind)) {
      // Numbers of experts, not whether they are 0 nor their last bits.
      auto type = dyn_cast<IntegerType>(tensorType(value).getElementType());
      int64_t bits = type ? type.getWidth() - !type.isUnsigned() : 0;
      if (bits < 1 || (bits < 63 && numExperts() > int64_t(1) << bits))
        return {};
    }
    return fact;
  }
  if (name == "Clip") { // ids are in range
    RouteFact fact = first();
    if (fact.kind != RouteKind::Indices || !related())
      return {};
    Value low = getInput(op, 1), high = getInput(op, 2);
    std::optional<double> min = low ? onnx::getConstantScalar(low) : std::optional<double>(0),
                          max = high ? onnx::getConstantScalar(high) : std::optional<double>(numExperts());
    return min && max && *min <= 0 && *max >= numExperts() - 1 ? fact : RouteFact();
  }
  if (name == "Equal") {
    for (int i : {0, 1}) {
      Value other = op->getOperand(1 - i);
      RouteFact ids = of(op->getOperand(i));
      if (!isIds(ids.kind))
        continue;
      std::optional<SmallVector<int64_t>> numbers = constantIntegers(other);
      if (!numbers || !related())
        return {};
      if (numbers->size() == 1)
        return indicator(ids, (*numbers)[0]);
      if (static_cast<int64_t>(numbers->size()) != numExperts())
        return {};
      for (auto [at, number] : llvm::enumerate(*numbers))
        if (static_cast<int64_t>(at) != number)
          return {};
      Axes axis = axes.leaves(other);
      for (int64_t d = 0; d < tensorType(value).getRank(); ++d)
        if (axes.leaves(value, d) == axis) {
          showExperts(value, d);
          return indicator(ids, {});
        }
      return {};
    }
    return {};
  }
  if (name == "Greater" || name == "Not") {
    RouteFact fact = first();
    if (name == "Greater" && isBinary(fact.kind) && related() && isFilledWith(op->getOperand(1), 0))
      return fact;
    if (name == "Not") // not (x == 0)
      if (Operation *equal = definedBy(op->getOperand(0), {"Equal"}))
        if (isBinary(of(equal->getOperand(0)).kind) && isFilledWith(equal->getOperand(1), 0) && related() &&
            succeeded(axes.relate(equal, reason)))
          return of(equal->getOperand(0));
    return {};
  }
  if (name == "OneHot") {
    RouteFact ids = first();
    if (!isIds(ids.kind) || !related())
      return {};
    auto values = onnx::getConstant(op->getOperand(2));
    int64_t axis = axisOf(op, "axis", -1, tensorType(value).getRank());
    if (!values || values.getNumElements() != 2 || tensorType(value).getDimSize(axis) != numExperts())
      return {};
    Attribute off = *values.getValues<Attribute>().begin(), on = *(values.getValues<Attribute>().begin() + 1);
    auto is = [](Attribute attr, int number) {
      if (auto f = dyn_cast<FloatAttr>(attr))
        return f.getValueAsDouble() == number;
      auto i = dyn_cast<IntegerAttr>(attr);
      return i && i.getValue().getZExtValue() == static_cast<uint64_t>(number);
    };
    if (!is(off, 0) || !is(on, 1))
      return {};
    showExperts(value, axis);
    return indicator(ids, {});
  }
  if (name == "Mul" || name == "And") {
    for (int i : {0, 1}) {
      RouteFact a = of(op->getOperand(i)), b = of(op->getOperand(1 - i));
      if (RouteFact fact = spread(a, b); fact.kind != RouteKind::None && related())
        return fact;
    }
    return {};
  }
  if (name == "Where") {
    RouteFact mask = first(), chosen = of(op->getOperand(1));
    if ((mask.kind != RouteKind::Indicator && mask.kind != RouteKind::SlotIndicator) ||
        !isFilledWith(op->getOperand(2), 0) || !related())
      return {};
    if (RouteFact fact = spread(chosen, mask); fact.kind != RouteKind::None)
      return fact;
    if (isFilledWith(op->getOperand(1), 1))
      return mask;
    return {};
  }
  if (name == "ReduceSum" || name == "ReduceMax") {
    RouteFact fact = first();
    std::optional<SmallVector<int64_t>> reduced = reducedAxes(op);
    // With one slot its dimension has extent 1, and a sum over it is no sum.
    if (slots().empty() && fact.kind != RouteKind::None && fact.kind != RouteKind::Indices && reduced &&
        reduced->size() == 1 && tensorType(op->getOperand(0)).getDimSize((*reduced)[0]) == 1 && related())
      return fact;
    if ((fact.kind != RouteKind::Spread && fact.kind != RouteKind::Indicator) || !reduced || reduced->size() != 1 ||
        !related() || axes.leaves(op->getOperand(0), (*reduced)[0]) != slots())
      return {};
    if (fact.kind == RouteKind::Spread)
      return name == "ReduceSum" ? RouteFact{RouteKind::Matrix, fact.expert} : RouteFact();
    return name == "ReduceMax" || distinct ? RouteFact{RouteKind::MultiHot, fact.expert} : RouteFact();
  }
  if (name == "ScatterElements") {
    int64_t rank = tensorType(value).getRank(), axis = axisOf(op, "axis", 0, rank);
    if (of(op->getOperand(1)).kind != RouteKind::Indices || !isFilledWith(op->getOperand(0), 0) ||
        tensorType(value).getDimSize(axis) != numExperts() || !related())
      return {};
    Axes slotDim = axes.leaves(op->getOperand(1), axis);
    if (slotDim != slots())
      return {};
    bool weights = of(op->getOperand(2)).kind == RouteKind::Weights;
    if (!weights && !isFilledWith(op->getOperand(2), 1))
      return {};
    // Ids that differ say where each weight goes; others are added up, and mark the same place once.
    StringRef how = reductionOf(op);
    bool marks = !weights && (how == "none" || how == "max"), places = distinct && (how == "none" || how == "add");
    if (!marks && !places && !(weights && how == "add"))
      return {};
    showExperts(value, axis);
    return {weights ? RouteKind::Matrix : RouteKind::MultiHot, {}};
  }
  // One expert's part of a value that has an axis of experts, or one slot's.
  if (name == "Gather" || name == "Slice" || name == "Split") {
    RouteFact fact = first();
    if (fact.kind == RouteKind::None)
      return {};
    Value data = op->getOperand(0);
    int64_t axis = axisOf(op, "axis", 0, tensorType(data).getRank());
    std::optional<int64_t> index;
    if (name == "Slice") {
      if (auto slice = unitSlice(op))
        std::tie(axis, index) = *slice;
    } else if (name == "Gather") {
      index = constantIndex(op->getOperand(1));
      int64_t extent = tensorType(data).getDimSize(axis);
      if (index && *index < 0)
        index = ShapedType::isDynamic(extent) ? std::optional<int64_t>() : *index + extent;
    } else if (splitsIntoOnes(op, axis)) {
      index = cast<OpResult>(value).getResultNumber();
    }
    bool hasSlots = fact.kind == RouteKind::Indices || fact.kind == RouteKind::Weights ||
                    fact.kind == RouteKind::Indicator || fact.kind == RouteKind::Spread;
    bool ofSlot = index && hasSlots && !slots().empty() && axes.leaves(data, axis) == slots();
    bool ofExpert = index && !fact.expert && isExpertDim(data, axis) && fact.kind != RouteKind::Indices &&
                    fact.kind != RouteKind::Weights;
    if ((!ofSlot && !ofExpert) || !related())
      return {};
    if (ofExpert) {
      fact.expert = index;
      return fact;
    }
    RouteKind kind = fact.kind == RouteKind::Indices   ? RouteKind::SlotIndices
                     : fact.kind == RouteKind::Weights ? RouteKind::SlotWeights
                     : fact.kind == RouteKind::Spread  ? RouteKind::SlotSpread
                                                       : RouteKind::SlotIndicator;
    return {kind, fact.expert, index};
  }
  return {};
}

/// i * extent of j's dimension + j: the place of (i, j) in the two dimensions flattened.
std::optional<Coordinates> RouteValues::linearCoordinates(Operation *add) {
  ShapeFacts &facts = axes.shapeFacts();
  for (int place : {0, 1}) {
    Operation *mul = definedBy(add->getOperand(place), {"Mul"});
    std::optional<Coordinates> inner = mul ? coordinates(add->getOperand(1 - place)) : std::nullopt;
    if (!inner || !inner->nonZero || inner->dims.size() != 1)
      continue;
    for (int factor : {0, 1}) {
      std::optional<Coordinates> outer = coordinates(mul->getOperand(factor));
      if (!outer || outer->nonZero != inner->nonZero || outer->dims.size() != 1 || outer->axis >= 0 ||
          inner->axis >= 0 ||
          !facts.equal(facts.scalar(mul->getOperand(1 - factor)),
                       axes.extentOf(inner->nonZero->getOperand(0), inner->dims[0])))
        continue;
      outer->dims.push_back(inner->dims[0]);
      outer->linear = true;
      return outer;
    }
  }
  return std::nullopt;
}

bool RouteValues::mixesAxes() {
  Axes all = tokens();
  llvm::append_range(all, slots());
  llvm::append_range(all, axes.space.leaves(experts));
  llvm::sort(all);
  return std::adjacent_find(all.begin(), all.end()) != all.end();
}

std::optional<Coordinates> RouteValues::coordinates(Value value) {
  auto it = coordinateFacts.find(value);
  if (it != coordinateFacts.end())
    return it->second;
  auto compute = [&]() -> std::optional<Coordinates> {
    Operation *op = value.getDefiningOp();
    if (!op || !isOnnx(op) || op->getNumOperands() == 0)
      return std::nullopt;
    StringRef name = op->getName().stripDialect();
    if (op == sort && value == op->getResult(1)) {
      Coordinates result;
      result.sort = op;
      result.dims = {0};
      return result;
    }
    if (std::optional<Value> pairs =
            sort ? wholeDivision(value, tensorType(route->getResult(0)).getDimSize(1)) : std::nullopt) {
      std::optional<Coordinates> at = coordinates(*pairs);
      if (at && at->sort && at->dims[0] == 0) {
        at->dims = {1};
        return at;
      }
    }
    if (name == "NonZero") {
      Coordinates result;
      result.nonZero = op;
      result.axis = 0;
      for (int64_t i = 0; i < tensorType(op->getOperand(0)).getRank(); ++i)
        result.dims.push_back(i);
      return result;
    }
    if (name == "Concat") {
      Coordinates result;
      result.axis = axisOf(op, "axis", 0, tensorType(value).getRank());
      for (Value operand : op->getOperands()) {
        std::optional<Coordinates> part = coordinates(operand);
        if (!part || part->sort || part->linear || (result.nonZero && part->nonZero != result.nonZero) ||
            (part->axis >= 0 && part->axis != result.axis) ||
            tensorType(operand).getDimSize(result.axis) != static_cast<int64_t>(part->dims.size()))
          return std::nullopt;
        result.nonZero = part->nonZero;
        llvm::append_range(result.dims, part->dims);
      }
      return result;
    }
    if (name == "Add")
      return linearCoordinates(op);
    std::optional<Coordinates> in = coordinates(op->getOperand(0));
    if (!in)
      return std::nullopt;
    if (name == "Cast" || name == "Identity")
      return in;
    if (name == "Transpose") {
      if (in->axis >= 0) {
        SmallVector<int64_t> perm = permutation(op);
        in->axis = llvm::find(perm, in->axis) - perm.begin();
      }
      return in;
    }
    auto choose = [&](int64_t start, int64_t count) -> std::optional<Coordinates> {
      if (start < 0 || start + count > static_cast<int64_t>(in->dims.size()))
        return std::nullopt;
      in->dims = SmallVector<int64_t, 2>(ArrayRef<int64_t>(in->dims).slice(start, count));
      return in;
    };
    if (name == "Slice" && in->axis >= 0) {
      auto slice = unitSlice(op);
      return slice && slice->first == in->axis ? choose(slice->second, 1) : std::nullopt;
    }
    if (name == "Split" && in->axis >= 0) {
      if (axisOf(op, "axis", 0, tensorType(op->getOperand(0)).getRank()) != in->axis || !splitsIntoOnes(op, in->axis))
        return std::nullopt;
      return choose(cast<OpResult>(value).getResultNumber(), 1);
    }
    if (name == "Gather" && in->axis >= 0) {
      std::optional<int64_t> index = constantIndex(op->getOperand(1));
      if (!index || axisOf(op, "axis", 0, tensorType(op->getOperand(0)).getRank()) != in->axis)
        return std::nullopt;
      bool scalar = tensorType(op->getOperand(1)).getRank() == 0;
      std::optional<Coordinates> result = choose(*index < 0 ? *index + in->dims.size() : *index, 1);
      if (result && scalar)
        result->axis = -1;
      return result;
    }
    // With one component chosen its dimension has extent 1 and may go or move.
    if ((name == "Squeeze" || name == "Unsqueeze" || name == "Reshape" || name == "Flatten" || name == "Expand") &&
        (in->dims.size() == 1 || in->linear)) {
      in->axis = -1;
      return in;
    }
    return std::nullopt;
  };
  std::optional<Coordinates> result = compute();
  return coordinateFacts[value] = result;
}
