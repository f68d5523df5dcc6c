//===- ScalarCompile.cpp - scalar ops and linalg bodies to instructions ---===//
#include "Opcodes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace mlir::moe;

std::optional<ScalarType> moe::getScalarType(Type type) {
  std::optional<Element> element = getElement(type);
  if (!element)
    return std::nullopt;
  if (*element == Element::F64)
    return ScalarType{Kind::Double, 64, *element};
  if (isFloat(*element))
    return ScalarType{Kind::Float, 0, *element};
  unsigned width = type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
  return ScalarType{Kind::Int, static_cast<uint8_t>(width), *element};
}

static std::optional<Opcode> opcodeOf(Operation *op) {
  static const llvm::StringMap<Opcode> table = [] {
    llvm::StringMap<Opcode> map;
#define FLOAT_UNARY(code, name) map[name] = Opcode::code;
#define FLOAT_BINARY(code, name) map[name] = Opcode::code;
#define INT_BINARY(code, name) map[name] = Opcode::code;
#define OTHER(code, name) map[name] = Opcode::code;
#include "Opcodes.def"
    return map;
  }();
  auto it = table.find(op->getName().getStringRef());
  return it == table.end() ? std::nullopt : std::optional(it->second);
}

bool moe::compileScalarOp(Operation *op, Instruction &instruction) {
  std::optional<Opcode> opcode = opcodeOf(op);
  if (!opcode || op->getNumResults() == 0)
    return false;
  std::optional<ScalarType> result = getScalarType(getElementTypeOrSelf(op->getResult(0).getType()));
  if (!result)
    return false;
  instruction.opcode = *opcode;
  instruction.op = op;
  instruction.result = instruction.type = *result;
  // The type that decides is the first operand's; a select's is its value's.
  unsigned deciding = *opcode == Opcode::Select ? 1 : 0;
  if (op->getNumOperands() > deciding) {
    std::optional<ScalarType> type = getScalarType(getElementTypeOrSelf(op->getOperand(deciding).getType()));
    if (!type)
      return false;
    instruction.type = *type;
  }
  for (NamedAttribute attr : op->getAttrs())
    if (attr.getName() == "roundingmode" &&
        cast<arith::RoundingModeAttr>(attr.getValue()).getValue() != arith::RoundingMode::to_nearest_even)
      return false;
  if (auto cmp = dyn_cast<arith::CmpIOp>(op))
    instruction.extra = static_cast<int64_t>(cmp.getPredicate());
  else if (auto cmp = dyn_cast<arith::CmpFOp>(op))
    instruction.extra = static_cast<int64_t>(cmp.getPredicate());
  else if (auto index = dyn_cast<linalg::IndexOp>(op))
    instruction.extra = index.getDim();
  else if (auto apply = dyn_cast<affine::AffineApplyOp>(op))
    instruction.map = apply.getAffineMap();
  else if (auto min = dyn_cast<affine::AffineMinOp>(op))
    instruction.map = min.getAffineMap();
  else if (auto max = dyn_cast<affine::AffineMaxOp>(op))
    instruction.map = max.getAffineMap();
  return true;
}

int ScalarProgram::registerOf(Value value) {
  auto [it, inserted] = numbers.insert({value, numRegisters});
  if (inserted) { // from outside of the body
    ++numRegisters;
    captures.push_back({value, it->second});
  }
  return it->second;
}

bool ScalarProgram::compile(Block &body) {
  auto define = [&](Value value) {
    numbers[value] = numRegisters;
    return numRegisters++;
  };
  for (BlockArgument argument : body.getArguments()) {
    if (!getScalarType(argument.getType()))
      return false;
    arguments.push_back(define(argument));
  }
  for (Operation &op : body.without_terminator()) {
    Instruction instruction;
    if (isa<arith::ConstantOp>(op)) { // filled once, like a value from outside
      if (!getScalarType(op.getResult(0).getType()))
        return false;
      captures.push_back({op.getResult(0), define(op.getResult(0))});
      continue;
    }
    if (!compileScalarOp(&op, instruction))
      return false;
    for (Value operand : op.getOperands()) {
      if (isa<RankedTensorType>(operand.getType())) {
        if (instruction.opcode != Opcode::Extract || operand.getParentBlock() == &body)
          return false;
        instruction.extra = captures.size();
        captures.push_back({operand, -1});
        continue;
      }
      if (!getScalarType(operand.getType()))
        return false;
      instruction.in.push_back(registerOf(operand));
    }
    if (instruction.opcode == Opcode::Extract && instruction.in.size() + 1 != op.getNumOperands())
      return false;
    instruction.out = define(op.getResult(0));
    if (op.getNumResults() > 1)
      instruction.second = define(op.getResult(1));
    instructions.push_back(std::move(instruction));
  }
  for (Value value : body.getTerminator()->getOperands()) {
    std::optional<ScalarType> type = getScalarType(value.getType());
    if (!type)
      return false;
    yields.push_back(registerOf(value));
    yieldTypes.push_back(*type);
  }
  return true;
}
