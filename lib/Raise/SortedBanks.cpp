//===- SortedBanks.cpp - what is computed run by run, as a bank of its own -===//
//
// Experts may stand on both sides of something else than a function of one row (a mixture of attention heads projects
// queries, attends, and projects back). Then no sum over the slots ends at the rows that were sorted, but each side is a bank:
//
//   %sorted, %p = TopK(Reshape(%ids), all, smallest first)
//   %y = Concat(f(%r0, %w0), f(%r1, %w1), ...)     of     %r0, %r1, ... = Split(%rows, counts of each expert)
//   ->
//   %y = moe.experts %rows, ones, Reshape(%sorted) params(%w) { f }
//===----------------------------------------------------------------------===//
#include "SortedBanks.h"

#include "ExpertsBody.h"
#include "OnnxMake.h"
#include "OnnxMatch.h"
#include "StackWeights.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::moe;

/// Every value from a run to its result has the rows in its first dimension and nowhere else, and row r is made of row r.
static bool isRowwise(RouteValues &route, ArrayRef<Operation *> ops, const DenseSet<Value> &ofRun,
                      std::string &reason) {
  Axes rows;
  for (Operation *op : ops) {
    if (!isElementwise(op) && !isOnnx(op, {"MatMul", "Gemm", "Slice", "Split"})) {
      reason = describeNode(op) + " is not understood between sorted rows";
      return false;
    }
    if (failed(route.axes.relate(op, reason)))
      return false;
  }
  auto leads = [&](Value value) {
    if (!isa<RankedTensorType>(value.getType()) || tensorType(value).getRank() != 2)
      return false;
    Axes first = route.axes.leaves(value, 0);
    if (rows.empty())
      rows = first;
    return first == rows && !rows.empty() &&
           llvm::none_of(route.axes.leaves(value, 1), [&](int axis) { return llvm::is_contained(rows, axis); });
  };
  for (Operation *op : ops) {
    std::optional<SmallVector<int64_t>> cut = isOnnx(op, {"Slice", "Split"}) ? cutAxes(op) : SmallVector<int64_t>();
    bool rowsWhole = cut && !llvm::is_contained(*cut, 0);
    bool fits =
        rowsWhole && llvm::all_of(op->getResults(), leads) &&
        llvm::all_of(op->getOperands(), [&](Value operand) { return !ofRun.contains(operand) || leads(operand); });
    // A product's weights lie on the right.
    if (fits && isOnnx(op, {"MatMul", "Gemm"}))
      fits = ofRun.contains(op->getOperand(0)) && !ofRun.contains(op->getOperand(1));
    if (!fits) {
      reason = describeNode(op) + " does not keep sorted rows apart";
      return false;
    }
  }
  return true;
}

Value moe::raiseSortedRuns(OpBuilder &b, RouteValues &route, Operation *join, std::string &reason) {
  RouteValues::SortedRuns &runs = route.sortedRuns.find(join)->second;
  Location loc = join->getLoc();
  auto fail = [&](const Twine &why) {
    if (reason.empty())
      reason = why.str();
    return Value();
  };
  RankedTensorType sourceType = tensorType(runs.source), resultType = tensorType(join->getResult(0));
  if (sourceType.getRank() != 2 || resultType.getRank() != 2 || sourceType.isDynamicDim(1) ||
      resultType.isDynamicDim(1) || resultType.getElementType() != sourceType.getElementType() || !isFloat(runs.source))
    return fail("sorted rows are not rows of one width");
  if (route.sort->getBlock() != join->getBlock() || !route.sort->isBeforeInBlock(join))
    return fail("the rows are sorted after the experts");

  // From the first run's result back to the run; operands before users.
  SmallVector<Operation *> ops;
  DenseSet<Value> ofRun = {runs.firstRun};
  std::function<bool(Value)> visit = [&](Value value) {
    if (ofRun.contains(value))
      return true;
    if (runs.leaves.contains(value))
      return false;
    Operation *op = value.getDefiningOp();
    bool any = false;
    for (Value operand : op->getOperands())
      any |= visit(operand);
    if (any && !llvm::is_contained(ops, op))
      ops.push_back(op);
    if (any)
      ofRun.insert(op->result_begin(), op->result_end());
    return any;
  };
  if (!visit(runs.first) || ops.empty())
    return fail("no function of the sorted rows");
  if (!isRowwise(route, ops, ofRun, reason))
    return {};

  auto region = std::make_unique<Region>();
  auto *body = new Block;
  region->push_back(body);
  IRMapping mapping;
  mapping.map(runs.firstRun, body->addArgument(RankedTensorType::get({ShapedType::kDynamic, sourceType.getDimSize(1)},
                                                                     sourceType.getElementType()),
                                               loc));
  SmallVector<Value> params;
  b.setInsertionPoint(join);
  for (Operation *op : ops)
    for (Value operand : op->getOperands()) {
      auto leaf = runs.leaves.find(operand);
      if (mapping.contains(operand) || leaf == runs.leaves.end())
        continue;
      if (llvm::all_equal(leaf->second) || !isa<RankedTensorType>(operand.getType())) {
        Operation *made = operand.getDefiningOp();
        if (!isa_and_nonnull<GetWeightOp>(made) && !(made && made->hasTrait<OpTrait::ConstantLike>()))
          return fail("a constant of all experts is computed");
        continue;
      }
      Value stacked = stackWeights(b, loc, leaf->second);
      if (!stacked)
        return fail("the experts' parameters cannot be stacked");
      params.push_back(stacked);
      mapping.map(operand, body->addArgument(operand.getType(), loc));
    }
  if (params.empty())
    return fail("no parameters of experts");
  OpBuilder inside(b.getContext());
  inside.setInsertionPointToEnd(body);
  for (Operation *op : ops)
    inside.clone(*op, mapping);
  YieldOp::create(inside, loc, mapping.lookup(runs.first));

  Value ids = onnxReshape(b, loc, route.sort->getResult(0), {ShapedType::kDynamic, 1});
  Value shape = onnxOp(b, loc, "Shape", RankedTensorType::get({2}, b.getI64Type()), ids)->getResult(0);
  Type element = sourceType.getElementType();
  auto onesType = RankedTensorType::get({ShapedType::kDynamic, 1}, element);
  auto one = DenseElementsAttr::get(RankedTensorType::get({1}, element), Attribute(b.getFloatAttr(element, 1.0)));
  Value ones = onnxOp(b, loc, "ConstantOfShape", onesType, shape, b.getNamedAttr("value", one))->getResult(0);
  Value rows = onnxReshape(b, loc, runs.source, {ShapedType::kDynamic, sourceType.getDimSize(1)});
  auto experts = ExpertsOp::create(
      b, loc, TypeRange{RankedTensorType::get({ShapedType::kDynamic, resultType.getDimSize(1)}, element)}, rows, ones,
      ids, params, ValueRange(), WeightOnAttr::get(b.getContext(), WeightOn::Output));
  experts.getBody().takeBody(*region);
  return onnxReshape(b, loc, experts->getResult(0), resultType.getShape());
}
