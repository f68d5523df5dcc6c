//===- ChosenIds.cpp - ids that choose experts and are no moe.route's -----===//
#include "ChosenIds.h"
#include "OnnxMake.h"
#include "OnnxMatch.h"

#include "llvm/ADT/StringSwitch.h"

#include <cmath>

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Least and greatest of what an integer value can be.
struct IdRange {
  int64_t min, max;
  IdRange with(const IdRange &o) const { return {std::min(min, o.min), std::max(max, o.max)}; }
};

/// An integer function of single ids, as a list of what it makes of 0, 1, ..., n - 1.
class IdFunction {
public:
  /// The function that `value` is of the ids in `root`; nullopt if it is none. Only ops without change of shape are
  /// followed, so that all operands of an op speak of the same id.
  std::optional<SmallVector<int64_t>> of(Value value, int depth = 0);
  Value root;

private:
  std::optional<SmallVector<int64_t>> compute(Value value, int depth);
  std::optional<int64_t> apply(Operation *op, ArrayRef<int64_t> in);
  int64_t count = 0;
  DenseMap<Value, std::optional<SmallVector<int64_t>>> known; // an operand may be read twice at every step
};

/// What integer values can be.
class IdRanges {
public:
  std::optional<IdRange> of(Value value, int depth = 0);

private:
  std::optional<IdRange> compute(Value value, int depth);
  DenseMap<Value, std::optional<IdRange>> known;
};

} // namespace

/// Ids that name the place of the largest of `count` numbers.
static std::optional<int64_t> picksFrom(Value value) {
  if (auto route = value.getDefiningOp<RouteOp>())
    return value == route->getResult(1) ? std::optional(tensorType(route.getLogits()).getDimSize(1)) : std::nullopt;
  Operation *op = definedBy(value, {"TopK", "ArgMax"});
  if (!op || (isOnnx(op, {"TopK"}) && value != op->getResult(1)))
    return std::nullopt;
  RankedTensorType type = tensorType(op->getOperand(0));
  int64_t axis = axisOf(op, "axis", isOnnx(op, {"TopK"}) ? -1 : 0, type.getRank());
  if (axis < 0 || axis >= type.getRank() || type.isDynamicDim(axis) || type.getDimSize(axis) < 1)
    return std::nullopt;
  return type.getDimSize(axis);
}

std::optional<int64_t> IdFunction::apply(Operation *op, ArrayRef<int64_t> in) {
  StringRef name = op->getName().stripDialect();
  if (name == "Identity")
    return in[0];
  if (name == "Cast") {
    auto type = dyn_cast<IntegerType>(tensorType(op->getResult(0)).getElementType());
    if (!type)
      return std::nullopt;
    if (type.getWidth() == 1)
      return in[0] != 0;
    return type.getWidth() >= 32 && in[0] >= 0 && in[0] <= INT32_MAX ? std::optional(in[0]) : std::nullopt;
  }
  if (name == "Not")
    return !in[0];
  if (name == "Where")
    return in[0] ? in[1] : in[2];
  if (in.size() != 2)
    return std::nullopt;
  // Numbers of experts are small; what is not stays out of reach of any wrap-around.
  constexpr int64_t kLarge = 1 << 24;
  if (std::abs(in[0]) > kLarge || std::abs(in[1]) > kLarge)
    return std::nullopt;
  return llvm::StringSwitch<std::function<std::optional<int64_t>()>>(name)
      .Case("Equal", [&] { return in[0] == in[1]; })
      .Case("Less", [&] { return in[0] < in[1]; })
      .Case("LessOrEqual", [&] { return in[0] <= in[1]; })
      .Case("Greater", [&] { return in[0] > in[1]; })
      .Case("GreaterOrEqual", [&] { return in[0] >= in[1]; })
      .Case("And", [&] { return in[0] && in[1]; })
      .Case("Or", [&] { return in[0] || in[1]; })
      .Case("Add", [&] { return in[0] + in[1]; })
      .Case("Sub", [&] { return in[0] - in[1]; })
      .Case("Mul", [&] { return in[0] * in[1]; })
      .Case("Min", [&] { return std::min(in[0], in[1]); })
      .Case("Max", [&] { return std::max(in[0], in[1]); })
      .Case("Mod", [&] { return in[0] >= 0 && in[1] > 0 ? std::optional(in[0] % in[1]) : std::nullopt; })
      .Default([] { return std::nullopt; })();
}

std::optional<SmallVector<int64_t>> IdFunction::of(Value value, int depth) {
  if (auto it = known.find(value); it != known.end())
    return it->second;
  std::optional<SmallVector<int64_t>> result = compute(value, depth);
  return known[value] = result;
}

std::optional<SmallVector<int64_t>> IdFunction::compute(Value value, int depth) {
  if (depth > 16 || !isa<RankedTensorType>(value.getType()))
    return std::nullopt;
  if (std::optional<double> fill = fillOf(value))
    return std::abs(*fill) < 1 << 24 && *fill == std::floor(*fill)
               ? std::optional(SmallVector<int64_t>{static_cast<int64_t>(*fill)})
               : std::nullopt;
  Value picked = value;
  while (Operation *layout = definedBy(picked, {"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"}))
    picked = layout->getOperand(0);
  if (std::optional<int64_t> from = picksFrom(picked)) {
    if ((root && root != value) || *from > 65536)
      return std::nullopt;
    root = value;
    count = *from;
    return llvm::to_vector(llvm::seq<int64_t>(0, count));
  }
  Operation *op = value.getDefiningOp();
  if (!op || !isOnnx(op) || op->getNumResults() != 1 || op->getNumOperands() == 0)
    return std::nullopt;
  SmallVector<SmallVector<int64_t>> in;
  for (Value operand : op->getOperands()) {
    std::optional<SmallVector<int64_t>> entries = of(operand, depth + 1);
    // A number broadcasts; everything else has the shape of the ids.
    if (!entries ||
        (entries->size() == 1 && count != 1 ? tensorType(operand).getRank() > tensorType(value).getRank()
                                            : tensorType(operand).getShape() != tensorType(root).getShape()))
      return std::nullopt;
    in.push_back(std::move(*entries));
  }
  if (!root || tensorType(value).getShape() != tensorType(root).getShape())
    return std::nullopt;
  SmallVector<int64_t> result;
  for (int64_t id = 0; id < count; ++id) {
    SmallVector<int64_t> args;
    for (const SmallVector<int64_t> &entries : in)
      args.push_back(entries.size() == 1 ? entries[0] : entries[id]);
    std::optional<int64_t> entry = apply(op, args);
    if (!entry)
      return std::nullopt;
    result.push_back(*entry);
  }
  return result;
}

std::optional<IdRange> IdRanges::of(Value value, int depth) {
  if (auto it = known.find(value); it != known.end())
    return it->second;
  std::optional<IdRange> result = compute(value, depth);
  return known[value] = result;
}

std::optional<IdRange> IdRanges::compute(Value value, int depth) {
  if (depth > 16 || !isa<RankedTensorType>(value.getType()))
    return std::nullopt;
  if (std::optional<int64_t> from = picksFrom(value))
    return IdRange{0, *from - 1};
  if (std::optional<SmallVector<int64_t>> numbers = constantIntegers(value)) {
    if (numbers->empty())
      return std::nullopt;
    auto [min, max] = std::minmax_element(numbers->begin(), numbers->end());
    return IdRange{*min, *max};
  }
  Operation *op = value.getDefiningOp();
  if (!op || !isOnnx(op) || op->getNumOperands() == 0)
    return std::nullopt;
  if (isOnnx(op, {"Cast"})) {
    auto from = dyn_cast<IntegerType>(tensorType(op->getOperand(0)).getElementType()),
         to = dyn_cast<IntegerType>(tensorType(value).getElementType());
    std::optional<IdRange> range = from && to && to.getWidth() >= 32 ? of(op->getOperand(0), depth + 1) : std::nullopt;
    return range && range->min >= 0 && range->max <= INT32_MAX ? range : std::nullopt;
  }
  if (isOnnx(op, {"Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Expand", "Tile", "Slice",
                  "Split", "Gather", "GatherND", "GatherElements"}))
    return of(op->getOperand(0), depth + 1);
  if (isOnnx(op, {"Concat"})) {
    std::optional<IdRange> all;
    for (Value operand : op->getOperands()) {
      std::optional<IdRange> range = of(operand, depth + 1);
      if (!range)
        return std::nullopt;
      all = all ? all->with(*range) : *range;
    }
    return all;
  }
  IdFunction function;
  if (std::optional<SmallVector<int64_t>> entries = function.of(value); entries && !entries->empty()) {
    auto [min, max] = std::minmax_element(entries->begin(), entries->end());
    return IdRange{*min, *max};
  }
  if (isOnnx(op, {"Where"})) {
    std::optional<IdRange> a = of(op->getOperand(1), depth + 1), b = of(op->getOperand(2), depth + 1);
    return a && b ? std::optional(a->with(*b)) : std::nullopt;
  }
  return std::nullopt;
}

/// Places of the largest numbers that lie next to each other: those of several rows of numbers, or of one each, may agree.
static bool picksApart(Value value) {
  Operation *op = definedBy(value, {"TopK"});
  return value.getDefiningOp<RouteOp>() ||
         (op && axisOf(op, "axis", -1, tensorType(value).getRank()) == tensorType(value).getRank() - 1);
}

/// Whether the ids along the last dimension differ: those of the largest numbers do, and a function that keeps them
/// apart of such.
static bool areDistinct(Value ids) {
  ids = skipCasts(ids);
  if (picksApart(ids))
    return true;
  IdFunction function;
  std::optional<SmallVector<int64_t>> entries = function.of(ids);
  if (!entries || !function.root || !picksApart(skipCasts(function.root)))
    return false;
  llvm::sort(*entries);
  return std::adjacent_find(entries->begin(), entries->end()) == entries->end();
}

/// The routes that ids come from.
static SmallVector<RouteOp, 1> routersOf(Value ids) {
  SmallVector<RouteOp, 1> routers;
  SmallVector<Value> work = {ids};
  DenseSet<Value> seen = {ids};
  for (size_t i = 0; i < work.size() && i < 64; ++i) {
    Operation *op = work[i].getDefiningOp();
    if (auto route = dyn_cast_or_null<RouteOp>(op))
      routers.push_back(route);
    if (op && isOnnx(op))
      for (Value operand : op->getOperands())
        if (!isFloat(operand) && seen.insert(operand).second)
          work.push_back(operand);
  }
  return routers;
}

/// What ids were before they were laid out for an op, or one slot of them was taken.
static Value beforeLayout(Value ids) {
  while (Operation *op = definedBy(
             ids, {"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Cast", "Identity", "Slice", "Split", "Gather"})) {
    bool table = isOnnx(op, {"Gather"}) && !onnx::getConstantInts(op->getOperand(1));
    if (table || isFloat(op->getOperand(0)) || isConstantDerived(op->getOperand(0)))
      break;
    ids = op->getOperand(0);
  }
  return ids;
}

SmallVector<ChosenIds> moe::findChosenIds(Block &block) {
  SmallVector<ChosenIds> found;
  DenseSet<Value> seen;
  IdRanges ranges;
  for (Operation &op : block) {
    Value ids;
    int64_t count = 0;
    if (isOnnx(&op, {"Gather", "GatherND"}) && isConstantDerived(op.getOperand(0))) {
      RankedTensorType type = tensorType(op.getOperand(0)), at = tensorType(op.getOperand(1));
      bool ofRows = isOnnx(&op, {"Gather"})
                        ? axisOf(&op, "axis", 0, type.getRank()) == 0
                        : intAttr(&op, "batch_dims", 0) == 0 && at.getRank() > 0 && at.getShape().back() == 1;
      if (type.hasStaticShape() && type.getRank() >= 3 && ofRows && isFloat(op.getOperand(0))) {
        ids = op.getOperand(1);
        count = type.getDimSize(0);
      }
    } else if (isOnnx(&op, {"OneHot"})) {
      RankedTensorType type = tensorType(op.getResult(0));
      count = type.getDimSize(axisOf(&op, "axis", -1, type.getRank()));
      ids = op.getOperand(0);
    } else if (isOnnx(&op, {"Equal"}) && !isFloat(op.getOperand(0))) {
      for (int i : {0, 1})
        if (onnx::getConstantInts(op.getOperand(1 - i)))
          ids = op.getOperand(i);
      count = 65536;
    }
    if (!ids || count < 2 || isFloat(ids) || isConstantDerived(ids))
      continue;
    ids = beforeLayout(ids);
    if (ids.getDefiningOp<RouteOp>() || !ids.getDefiningOp() || !seen.insert(ids).second)
      continue;
    std::optional<IdRange> range = ranges.of(ids);
    if (!range || range->min < 0 || range->max >= count)
      continue;
    if (isOnnx(&op, {"Equal"}))
      count = std::max<int64_t>(range->max + 1, 2);
    RankedTensorType type = tensorType(ids);
    ChosenIds chosen;
    chosen.ids = ids;
    chosen.numExperts = count;
    if (type.getRank() >= 2 && !ShapedType::isDynamic(type.getShape().back()))
      chosen.k = type.getShape().back();
    if (type.getRank() < 1 || chosen.k < 1 || chosen.k > 64)
      continue;
    chosen.distinct = chosen.k == 1 || areDistinct(ids);
    chosen.routers = routersOf(ids);
    chosen.picks = isOnnx(&op, {"Gather", "GatherND"});
    found.push_back(chosen);
  }
  return found;
}

StandInRoute::StandInRoute(const ChosenIds &chosen) {
  Value ids = chosen.ids;
  OpBuilder b(ids.getContext());
  b.setInsertionPointAfterValue(ids);
  Location loc = ids.getLoc();
  RankedTensorType type = tensorType(ids);
  int64_t tokens = 1;
  ArrayRef<int64_t> lead = type.getShape();
  if (type.getRank() >= 2 && lead.back() == chosen.k)
    lead = lead.drop_back();
  for (int64_t dim : lead)
    tokens = ShapedType::isDynamic(dim) || ShapedType::isDynamic(tokens) ? ShapedType::kDynamic : tokens * dim;
  flat = onnxReshape(b, loc, onnxCast(b, loc, ids, b.getI64Type()), {tokens, chosen.k});
  // Something of the shape of logits.
  auto offOn = DenseElementsAttr::get(RankedTensorType::get({2}, b.getF32Type()), ArrayRef<float>{0, 1});
  Value values =
      onnxOp(b, loc, "Constant", RankedTensorType::get({2}, b.getF32Type()), {}, b.getNamedAttr("value", offOn))
          ->getResult(0);
  Value spread =
      onnxOp(b, loc, "OneHot", RankedTensorType::get({tokens, chosen.k, chosen.numExperts}, b.getF32Type()),
             {flat, onnxInts(b, loc, {chosen.numExperts}), values}, b.getNamedAttr("axis", b.getI64IntegerAttr(-1)))
          ->getResult(0);
  Value logits = onnxOp(b, loc, "ReduceSum", RankedTensorType::get({tokens, chosen.numExperts}, b.getF32Type()),
                        {spread, onnxInts(b, loc, {1})}, b.getNamedAttr("keepdims", b.getI64IntegerAttr(0)))
                     ->getResult(0);
  SmallVector<Type> types = {RankedTensorType::get({tokens, chosen.k}, b.getF32Type()),
                             RankedTensorType::get({tokens, chosen.k}, b.getI64Type())};
  MLIRContext *ctx = b.getContext();
  route = RouteOp::create(b, loc, types, logits, Value(), ValueRange(), b.getI64IntegerAttr(chosen.k),
                          ScoreFnAttr::get(ctx, ScoreFn::None), b.getI64IntegerAttr(1), b.getI64IntegerAttr(1),
                          GroupScoreAttr::get(ctx, GroupScore::Max), GroupFillAttr::get(ctx, GroupFill::NegInf),
                          WeightFnAttr::get(ctx, WeightFn::Identity), NormalizeAttr::get(ctx, Normalize::None),
                          b.getF32FloatAttr(0), b.getF32FloatAttr(1), b.getF32FloatAttr(1), b.getF32FloatAttr(0.01));
  Value back = route->getResult(1);
  if (back.getType() != ids.getType()) {
    back = onnxCast(b, loc, back, type.getElementType());
    if (llvm::count_if(type.getShape(), ShapedType::isDynamic) <= 1) {
      back = onnxReshape(b, loc, back, type.getShape());
    } else {
      Value shape = onnxOp(b, loc, "Shape", RankedTensorType::get({type.getRank()}, b.getI64Type()), ids)->getResult(0);
      back = onnxOp(b, loc, "Reshape", type, {back, shape})->getResult(0);
    }
  }
  Operation *last = back.getDefiningOp();
  ids.replaceUsesWithIf(back, [&](OpOperand &use) { return last->isBeforeInBlock(use.getOwner()); });
}

StandInRoute::~StandInRoute() {
  route->getResult(1).replaceAllUsesWith(flat);
  if (route->use_empty())
    route->erase();
}
