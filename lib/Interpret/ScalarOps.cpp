//===- ScalarOps.cpp - arith, math and affine ops outside of bodies -------===//
#include "Frame.h"
#include "Opcodes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::moe;

static LogicalResult runConstant(Runner &runner, arith::ConstantOp op) {
  Attribute value = op.getValue();
  if (auto elements = dyn_cast<ElementsAttr>(value)) {
    FailureOr<HostTensor> tensor = runner.constant(op, elements);
    return failed(tensor) ? failure() : runner.setResult(op, 0, std::move(*tensor));
  }
  std::optional<ScalarType> type = getScalarType(op.getType());
  if (!type)
    return op.emitOpError("has a type that the interpreter does not know: ") << op.getType();
  Scalar scalar{};
  if (auto number = dyn_cast<FloatAttr>(value)) {
    if (type->kind == Kind::Double)
      scalar.d = number.getValueAsDouble();
    else
      scalar.f = static_cast<float>(number.getValueAsDouble());
  } else if (auto number = dyn_cast<IntegerAttr>(value)) {
    scalar.i = type->width == 1 ? number.getValue().getZExtValue() : number.getValue().getSExtValue();
  } else {
    return op.emitOpError("has a value that the interpreter does not know");
  }
  runner.set(op, scalar);
  return success();
}

/// tensor.extract of one element.
static LogicalResult runExtract(Runner &runner, tensor::ExtractOp op) {
  const HostTensor &tensor = runner.tensor(op.getTensor());
  int64_t at = 0;
  for (auto [d, index] : llvm::enumerate(op.getIndices())) {
    int64_t i = runner.integer(index);
    if (i < 0 || i >= tensor.dim(d))
      return op.emitOpError("expects index ") << d << " to be in [0, " << tensor.dim(d) << "), found " << i;
    at = at * tensor.dim(d) + i;
  }
  std::optional<ScalarType> type = getScalarType(op.getType());
  Registers registers;
  registers.resize(1);
  registers.load(0, tensor.element(), tensor.data() + at * tensor.bytesPerElement(), 0, 1);
  runner.set(op, registers.get(0, type->kind));
  return success();
}

std::optional<LogicalResult> moe::runScalarOp(Runner &runner, Operation *op) {
  if (auto constant = dyn_cast<arith::ConstantOp>(op))
    return runConstant(runner, constant);
  if (auto extract = dyn_cast<tensor::ExtractOp>(op))
    return runExtract(runner, extract);
  if (auto index = dyn_cast<linalg::IndexOp>(op)) {
    if (runner.linalgIndices.empty())
      return op->emitOpError("stands outside of a linalg op");
    Scalar value{};
    value.i = runner.linalgIndices.back()[index.getDim()];
    runner.set(index, value);
    return success();
  }
  Instruction instruction;
  if (!compileScalarOp(op, instruction))
    return std::nullopt;
  int operands = op->getNumOperands(), results = op->getNumResults();
  for (int i = 0; i < operands; ++i)
    instruction.in.push_back(i);
  instruction.out = operands;
  if (results > 1)
    instruction.second = operands + 1;
  SmallVector<ScalarType> types;
  for (Value value : op->getOperands()) {
    std::optional<ScalarType> type = getScalarType(getElementTypeOrSelf(value.getType()));
    if (!type)
      return std::nullopt;
    types.push_back(*type);
  }
  Registers registers;
  registers.resize(operands + results);

  auto resultType = dyn_cast<RankedTensorType>(op->getResult(0).getType());
  if (!resultType) {
    for (int i = 0; i < operands; ++i)
      registers.setLane(i, types[i].kind, 0, runner.get(op->getOperand(i)).scalar);
    if (failed(execute(instruction, registers, 1)))
      return failure();
    for (int i = 0; i < results; ++i)
      runner.set(op->getResult(i), registers.get(operands + i, getScalarType(op->getResult(i).getType())->kind));
    return success();
  }

  // Elementwise on tensors of one shape; scalars go with every element.
  SmallVector<int64_t> shape;
  bool first = true;
  for (Value value : op->getOperands()) {
    if (!isa<RankedTensorType>(value.getType()))
      continue;
    ArrayRef<int64_t> found = runner.tensor(value).shape();
    if (first)
      shape.assign(found.begin(), found.end());
    else if (ArrayRef<int64_t>(shape) != found)
      return op->emitOpError("expects operands of one shape, found [") << ArrayRef(shape) << "] and [" << found << "]";
    first = false;
  }
  SmallVector<HostTensor> out;
  for (Value result : op->getResults()) {
    FailureOr<HostTensor> tensor = runner.make(op, getElementTypeOrSelf(result.getType()), shape);
    if (failed(tensor))
      return failure();
    out.push_back(std::move(*tensor));
  }
  for (int i = 0; i < operands; ++i)
    if (!isa<RankedTensorType>(op->getOperand(i).getType()))
      registers.fill(i, types[i].kind, runner.get(op->getOperand(i)).scalar);
  int64_t count = out[0].numElements();
  for (int64_t at = 0; at < count; at += kLanes) {
    int n = static_cast<int>(std::min<int64_t>(kLanes, count - at));
    for (int i = 0; i < operands; ++i)
      if (isa<RankedTensorType>(op->getOperand(i).getType())) {
        const HostTensor &tensor = runner.tensor(op->getOperand(i));
        registers.load(i, tensor.element(), tensor.data() + at * tensor.bytesPerElement(), 1, n);
      }
    if (failed(execute(instruction, registers, n)))
      return failure();
    for (int i = 0; i < results; ++i)
      registers.store(operands + i, out[i].element(), out[i].mutableData() + at * out[i].bytesPerElement(), 1, n);
  }
  for (int i = 0; i < results; ++i)
    if (failed(runner.setResult(op, i, std::move(out[i]))))
      return failure();
  return success();
}
