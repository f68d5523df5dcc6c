//===- ControlOps.cpp - func, scf and cf ops ------------------------------===//
#include "Frame.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::moe;

static SmallVector<RunValue> values(Runner &runner, ValueRange range) {
  return llvm::map_to_vector(range, [&](Value value) { return runner.get(value); });
}

static LogicalResult setAll(Runner &runner, Operation *op, ArrayRef<RunValue> results) {
  for (auto [result, value] : llvm::zip(op->getResults(), results))
    runner.set(result, value);
  return success();
}

static LogicalResult runCall(Runner &runner, func::CallOp op) {
  FailureOr<SmallVector<RunValue>> results = runner.call(op, op.getCallee(), values(runner, op.getOperands()));
  return failed(results) ? failure() : setAll(runner, op, *results);
}

static LogicalResult runIf(Runner &runner, scf::IfOp op) {
  Region &region = runner.integer(op.getCondition()) ? op.getThenRegion() : op.getElseRegion();
  if (region.empty())
    return success();
  FailureOr<SmallVector<RunValue>> results = runner.runBlock(region.front());
  return failed(results) ? failure() : setAll(runner, op, *results);
}

static LogicalResult runFor(Runner &runner, scf::ForOp op) {
  int64_t low = runner.integer(op.getLowerBound()), high = runner.integer(op.getUpperBound()),
          step = runner.integer(op.getStep());
  if (step <= 0)
    return op.emitOpError("expects a step > 0, found ") << step;
  SmallVector<RunValue> state = values(runner, op.getInitArgs());
  auto below = [&](int64_t a, int64_t b) {
    return op.getUnsignedCmp() ? static_cast<uint64_t>(a) < static_cast<uint64_t>(b) : a < b;
  };
  for (int64_t i = low; below(i, high);) {
    Scalar index{};
    index.i = i;
    runner.set(op.getInductionVar(), index);
    for (auto [argument, value] : llvm::zip(op.getRegionIterArgs(), state))
      runner.set(argument, std::move(value));
    FailureOr<SmallVector<RunValue>> next = runner.runBlock(*op.getBody());
    if (failed(next))
      return failure();
    state = std::move(*next);
    if (__builtin_add_overflow(i, step, &i))
      break;
  }
  return setAll(runner, op, state);
}

static LogicalResult runWhile(Runner &runner, scf::WhileOp op) {
  SmallVector<RunValue> state = values(runner, op.getInits());
  for (;;) {
    FailureOr<SmallVector<RunValue>> before = runner.runBlock(op.getBefore().front(), state);
    if (failed(before))
      return failure();
    bool goOn = before->front().scalar.i;
    before->erase(before->begin());
    if (!goOn)
      return setAll(runner, op, *before);
    FailureOr<SmallVector<RunValue>> after = runner.runBlock(op.getAfter().front(), *before);
    if (failed(after))
      return failure();
    state = std::move(*after);
  }
}

static LogicalResult runIndexSwitch(Runner &runner, scf::IndexSwitchOp op) {
  Region *region = &op.getDefaultRegion();
  for (auto [value, branch] : llvm::zip(op.getCases(), op.getCaseRegions()))
    if (value == runner.integer(op.getArg()))
      region = &branch;
  FailureOr<SmallVector<RunValue>> results = runner.runBlock(region->front());
  return failed(results) ? failure() : setAll(runner, op, *results);
}

/// Threads one after the other; each inserts its slices into the shared outputs, which nobody reads meanwhile.
static LogicalResult runForall(Runner &runner, scf::ForallOp op) {
  SmallVector<int64_t> low = runner.fold(op.getMixedLowerBound()), high = runner.fold(op.getMixedUpperBound()),
                       step = runner.fold(op.getMixedStep());
  SmallVector<RunValue> shared = values(runner, op.getOutputs());
  for (int64_t s : step)
    if (s <= 0)
      return op.emitOpError("expects steps > 0, found ") << s;
  SmallVector<int64_t> index(low);
  bool any = llvm::all_of(llvm::zip(low, high), [](auto pair) { return std::get<0>(pair) < std::get<1>(pair); });
  while (any) {
    for (auto [variable, i] : llvm::zip(op.getInductionVars(), index)) {
      Scalar scalar{};
      scalar.i = i;
      runner.set(variable, scalar);
    }
    for (auto [argument, value] : llvm::zip(op.getRegionIterArgs(), shared))
      runner.set(argument, value);
    for (Operation &inner : op.getBody()->without_terminator())
      if (failed(runner.runOp(&inner)))
        return failure();
    for (Operation &inner : op.getTerminator().getYieldingOps()) {
      auto insert = dyn_cast<tensor::ParallelInsertSliceOp>(&inner);
      if (!insert)
        return inner.emitOpError("is not an op that the interpreter knows");
      if (failed(runner.runOp(insert)))
        return failure();
    }
    // A parallel insert leaves the new value in the block argument.
    for (auto [argument, value] : llvm::zip(op.getRegionIterArgs(), shared))
      value = runner.get(argument);
    int64_t d = static_cast<int64_t>(index.size()) - 1;
    for (; d >= 0; --d) {
      index[d] += step[d];
      if (index[d] < high[d])
        break;
      index[d] = low[d];
    }
    any = d >= 0;
  }
  return setAll(runner, op, shared);
}

std::optional<LogicalResult> moe::runControlOp(Runner &runner, Operation *op) {
  return llvm::TypeSwitch<Operation *, std::optional<LogicalResult>>(op)
      .Case([&](func::CallOp call) { return runCall(runner, call); })
      .Case([&](scf::IfOp branch) { return runIf(runner, branch); })
      .Case([&](scf::ForOp loop) { return runFor(runner, loop); })
      .Case([&](scf::WhileOp loop) { return runWhile(runner, loop); })
      .Case([&](scf::ForallOp loop) { return runForall(runner, loop); })
      .Case([&](scf::IndexSwitchOp branch) { return runIndexSwitch(runner, branch); })
      .Case([&](scf::ExecuteRegionOp region) -> LogicalResult {
        if (!region.getRegion().hasOneBlock())
          return region.emitOpError("expects one block");
        FailureOr<SmallVector<RunValue>> results = runner.runBlock(region.getRegion().front());
        return failed(results) ? failure() : setAll(runner, region, *results);
      })
      .Case([&](cf::AssertOp check) -> LogicalResult {
        if (runner.integer(check.getArg()))
          return success();
        return check.emitOpError("does not hold: ") << check.getMsg();
      })
      .Default([](Operation *) { return std::nullopt; });
}
