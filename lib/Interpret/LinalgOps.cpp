//===- LinalgOps.cpp - linalg ops through their maps and bodies -----------===//
//
// The loops run in the order of the op's iterators, except that one parallel loop becomes the lanes of the body's
// program and runs innermost. An output element is then combined in the same order as in the plain nest.
//
//===----------------------------------------------------------------------===//
#include "Frame.h"
#include "Opcodes.h"
#include "Strided.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include <cmath>

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Where an operand's element lies: base + sum of coefficient * loop index. Only maps without div and mod have one.
struct Access {
  int64_t base = 0;
  SmallVector<int64_t> coefficients;
};

/// a + sum c_d * d; false for other expressions.
bool linearForm(AffineExpr expr, int64_t factor, int64_t &constant, MutableArrayRef<int64_t> coefficients) {
  if (auto value = dyn_cast<AffineConstantExpr>(expr)) {
    constant += factor * value.getValue();
    return true;
  }
  if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
    coefficients[dim.getPosition()] += factor;
    return true;
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return false;
  if (expr.getKind() == AffineExprKind::Add)
    return linearForm(binary.getLHS(), factor, constant, coefficients) &&
           linearForm(binary.getRHS(), factor, constant, coefficients);
  auto by = dyn_cast<AffineConstantExpr>(binary.getRHS());
  return expr.getKind() == AffineExprKind::Mul && by &&
         linearForm(binary.getLHS(), factor * by.getValue(), constant, coefficients);
}

class Nest {
public:
  Nest(Runner &runner, linalg::LinalgOp op) : runner(runner), op(op) {}
  LogicalResult run();

private:
  LogicalResult findRanges();
  LogicalResult findAccesses();
  void chooseLanes();
  LogicalResult runProgram(ScalarProgram &program);
  LogicalResult runLanes(ScalarProgram &program, int64_t first, int count);
  LogicalResult extract(const Instruction &instruction, int count);
  LogicalResult runOpByOp();
  int64_t offset(const Access &access, ArrayRef<int64_t> at) const {
    int64_t sum = access.base;
    for (auto [c, i] : llvm::zip(access.coefficients, at))
      sum += c * i;
    return sum;
  }

  Runner &runner;
  linalg::LinalgOp op;
  SmallVector<HostTensor> operands; // tensors; null for scalars
  SmallVector<RunValue> scalars;
  SmallVector<AffineMap> maps;
  SmallVector<Access> accesses;
  SmallVector<char *> outputs;
  SmallVector<int64_t> ranges, index;
  SmallVector<HostTensor> captured;
  Registers registers;
  int64_t lanes = -1; // the loop that runs in lanes
};

} // namespace

/// Loop ranges from the operands' shapes, and that all operands agree on them.
LogicalResult Nest::findRanges() {
  ranges.assign(op.getNumLoops(), -1);
  for (auto [operand, map, k] : llvm::zip(operands, maps, llvm::seq<int64_t>(0, maps.size())))
    for (auto [r, expr] : llvm::enumerate(map.getResults()))
      if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
        int64_t &range = ranges[dim.getPosition()], extent = operand.dim(r);
        if (range < 0)
          range = extent;
        else if (range != extent)
          return op->emitOpError("expects dimension ")
                 << r << " of operand " << k << " to have extent " << range << ", found " << extent;
      }
  for (auto [d, range] : llvm::enumerate(ranges))
    if (range < 0)
      return op->emitOpError("has a loop ") << d << " that no operand gives a range";
  return success();
}

LogicalResult Nest::findAccesses() {
  for (auto [operand, map, k] : llvm::zip(operands, maps, llvm::seq<int64_t>(0, maps.size()))) {
    Access access;
    access.coefficients.assign(ranges.size(), 0);
    SmallVector<int64_t> strides = operand ? rowMajor(operand.shape()) : SmallVector<int64_t>();
    for (auto [r, expr] : llvm::enumerate(map.getResults())) {
      SmallVector<int64_t> coefficients(ranges.size(), 0);
      int64_t low = 0, high;
      if (!linearForm(expr, 1, low, coefficients))
        return op->emitOpError("has an indexing map that the interpreter does not know: ") << AffineMapAttr::get(map);
      access.base += low * strides[r];
      high = low;
      for (auto [d, c] : llvm::enumerate(coefficients)) {
        access.coefficients[d] += c * strides[r];
        (c < 0 ? low : high) += c * (ranges[d] - 1);
      }
      if (low < 0 || high >= operand.dim(r))
        return op->emitOpError("reads [") << low << ", " << high << "] of dimension " << r << " of operand " << k
                                          << ", whose extent is " << operand.dim(r);
    }
    accesses.push_back(std::move(access));
  }
  return success();
}

/// The parallel loop that every output depends on; the one that is contiguous in the first output if it is long enough.
void Nest::chooseLanes() {
  SmallVector<utils::IteratorType> iterators = op.getIteratorTypesArray();
  unsigned inputs = op.getNumDpsInputs();
  for (auto [d, iterator] : llvm::enumerate(iterators)) {
    if (iterator != utils::IteratorType::parallel)
      continue;
    bool all = true;
    for (size_t k = inputs; k < accesses.size(); ++k)
      all &= accesses[k].coefficients[d] != 0;
    if (!all)
      continue;
    bool contiguous = accesses[inputs].coefficients[d] == 1 && ranges[d] >= 16;
    if (lanes < 0 || contiguous || (ranges[d] > ranges[lanes] && accesses[inputs].coefficients[lanes] != 1))
      lanes = d;
  }
}

/// tensor.extract of a tensor from outside, at an index of its own in each lane.
LogicalResult Nest::extract(const Instruction &instruction, int count) {
  const HostTensor &tensor = captured[instruction.extra];
  int64_t offsets[kLanes] = {};
  for (auto [d, reg] : llvm::enumerate(instruction.in)) {
    int64_t extent = tensor.dim(d);
    const int64_t *indices = registers.ints(reg);
    for (int i = 0; i < count; ++i) {
      if (indices[i] < 0 || indices[i] >= extent)
        return instruction.op->emitOpError("expects index ")
               << d << " to be in [0, " << extent << "), found " << indices[i];
      offsets[i] = offsets[i] * extent + indices[i];
    }
  }
  unsigned bytes = tensor.bytesPerElement();
  if (tensor.element() == Element::F32) {
    float *out = registers.floats(instruction.out);
    for (int i = 0; i < count; ++i)
      std::memcpy(out + i, tensor.data() + offsets[i] * 4, 4);
    return success();
  }
  std::vector<char> values(count * bytes);
  for (int i = 0; i < count; ++i)
    std::memcpy(values.data() + i * bytes, tensor.data() + offsets[i] * bytes, bytes);
  registers.load(instruction.out, tensor.element(), values.data(), 1, count);
  return success();
}

LogicalResult Nest::runLanes(ScalarProgram &program, int64_t first, int count) {
  if (lanes >= 0)
    index[lanes] = first;
  for (auto [k, access] : llvm::enumerate(accesses)) {
    if (!operands[k]) // a scalar: filled once
      continue;
    const HostTensor &operand = operands[k];
    int64_t stride = lanes >= 0 ? access.coefficients[lanes] : 0;
    registers.load(program.arguments[k], operand.element(),
                   operand.data() + offset(access, index) * operand.bytesPerElement(), stride, count);
  }
  for (const Instruction &instruction : program.instructions) {
    if (instruction.opcode == Opcode::LinalgIndex) {
      int64_t *out = registers.ints(instruction.out);
      bool inLanes = instruction.extra == lanes;
      for (int i = 0; i < count; ++i)
        out[i] = index[instruction.extra] + (inLanes ? i : 0);
    } else if (instruction.opcode == Opcode::Extract) {
      if (failed(extract(instruction, count)))
        return failure();
    } else if (failed(execute(instruction, registers, count))) {
      return failure();
    }
  }
  unsigned inputs = op.getNumDpsInputs();
  for (auto [o, reg] : llvm::enumerate(program.yields)) {
    const Access &access = accesses[inputs + o];
    const HostTensor &operand = operands[inputs + o];
    registers.store(reg, operand.element(), outputs[o] + offset(access, index) * operand.bytesPerElement(),
                    lanes >= 0 ? access.coefficients[lanes] : 0, count);
  }
  return success();
}

LogicalResult Nest::runProgram(ScalarProgram &program) {
  registers.resize(program.numRegisters);
  for (ScalarProgram::Capture capture : program.captures) {
    captured.emplace_back();
    if (capture.reg < 0) {
      captured.back() = runner.tensor(capture.value);
      continue;
    }
    Operation *definition = capture.value.getDefiningOp();
    if (definition && definition->getParentRegion() == &op->getRegion(0) && failed(runner.runOp(definition)))
      return failure(); // a constant of the body
    registers.fill(capture.reg, getScalarType(capture.value.getType())->kind, runner.get(capture.value).scalar);
  }
  for (auto [k, operand] : llvm::enumerate(operands))
    if (!operand)
      registers.fill(program.arguments[k], getScalarType(op->getOperand(k).getType())->kind, scalars[k].scalar);
  chooseLanes();
  index.assign(ranges.size(), 0);
  int64_t extent = lanes >= 0 ? ranges[lanes] : 1;
  SmallVector<int64_t> outer(ranges);
  if (lanes >= 0)
    outer[lanes] = 1;
  do {
    SmallVector<int64_t> position(index);
    for (int64_t first = 0; first < extent; first += kLanes)
      if (failed(runLanes(program, first, static_cast<int>(std::min<int64_t>(kLanes, extent - first)))))
        return failure();
    index = position;
    if (lanes >= 0)
      index[lanes] = 0;
  } while (advance(index, outer));
  return success();
}

/// The plain nest, with the body run op by op: for bodies with regions or tensors of their own.
LogicalResult Nest::runOpByOp() {
  index.assign(ranges.size(), 0);
  Block &body = op->getRegion(0).front();
  unsigned inputs = op.getNumDpsInputs();
  Registers one;
  one.resize(1);
  do {
    SmallVector<RunValue> arguments;
    for (auto [k, access] : llvm::enumerate(accesses)) {
      if (!operands[k]) {
        arguments.push_back(scalars[k]);
        continue;
      }
      std::optional<ScalarType> type = getScalarType(operands[k].elementType());
      one.load(0, operands[k].element(), operands[k].data() + offset(access, index) * operands[k].bytesPerElement(), 0,
               1);
      arguments.push_back(one.get(0, type->kind));
    }
    runner.linalgIndices.push_back(index);
    FailureOr<SmallVector<RunValue>> values = runner.runBlock(body, arguments);
    runner.linalgIndices.pop_back();
    if (failed(values))
      return failure();
    for (auto [o, value] : llvm::enumerate(*values)) {
      const HostTensor &operand = operands[inputs + o];
      one.setLane(0, getScalarType(operand.elementType())->kind, 0, value.scalar);
      one.store(0, operand.element(), outputs[o] + offset(accesses[inputs + o], index) * operand.bytesPerElement(), 0,
                1);
    }
  } while (advance(index, ranges));
  return success();
}

LogicalResult Nest::run() {
  unsigned inputs = op.getNumDpsInputs();
  for (OpOperand &operand : op->getOpOperands()) {
    bool output = operand.getOperandNumber() >= inputs;
    bool isTensor = isa<RankedTensorType>(operand.get().getType());
    if (!isTensor && (output || !getScalarType(operand.get().getType())))
      return op->emitOpError("expects tensors, found ") << operand.get().getType();
    operands.push_back(!isTensor ? HostTensor() : runner.tensor(operand.get()));
    scalars.push_back(isTensor ? RunValue() : runner.get(operand.get()));
  }
  for (OpOperand &operand : op->getOpOperands())
    maps.push_back(op.getMatchingIndexingMap(&operand));
  if (failed(findRanges()))
    return failure();
  bool empty = llvm::is_contained(ranges, 0);
  // The outputs' initial values may be shared, with inputs too.
  for (size_t k = inputs; k < operands.size(); ++k) {
    operands[k] = HostTensor();
    operands[k] = runner.take(op->getOpOperand(k));
    outputs.push_back(operands[k].mutableData());
  }
  if (!empty) {
    if (failed(findAccesses()))
      return failure();
    auto [it, inserted] = runner.programs.try_emplace(op);
    if (inserted) {
      auto program = std::make_unique<ScalarProgram>();
      if (program->compile(op->getRegion(0).front()))
        it->second = std::move(program);
    }
    if (failed(it->second ? runProgram(*it->second) : runOpByOp()))
      return failure();
  }
  for (int64_t i = 0, n = op->getNumResults(); i < n; ++i)
    if (failed(runner.setResult(op, i, std::move(operands[inputs + i]))))
      return failure();
  return success();
}

/// exp(x - max) / sum along one dimension, in f32 (f64 for f64).
static LogicalResult runSoftmax(Runner &runner, linalg::SoftmaxOp op) {
  HostTensor input = runner.tensor(op.getInput());
  FailureOr<HostTensor> out = runner.make(op, input.elementType(), input.shape());
  if (failed(out))
    return failure();
  int64_t axis = op.getDimension(), n = input.dim(axis), inner = rowMajor(input.shape())[axis];
  unsigned bytes = input.bytesPerElement();
  char *at = out->mutableData();
  for (int64_t o = 0, outer = n ? input.numElements() / (n * inner) : 0; o < outer; ++o)
    for (int64_t i = 0; i < inner; ++i) {
      auto position = [&](int64_t k) { return (o * n + k) * inner + i; };
      double max = -INFINITY, sum = 0;
      for (int64_t k = 0; k < n; ++k)
        max = std::fmax(max, input.number(position(k)));
      for (int64_t k = 0; k < n; ++k)
        sum += std::exp(input.number(position(k)) - max);
      for (int64_t k = 0; k < n; ++k)
        storeDouble(input.element(), at + position(k) * bytes, std::exp(input.number(position(k)) - max) / sum,
                    Overflow::ToNaN);
    }
  return runner.setResult(op, 0, std::move(*out));
}

std::optional<LogicalResult> moe::runLinalgOp(Runner &runner, Operation *op) {
  if (auto softmax = dyn_cast<linalg::SoftmaxOp>(op))
    return runSoftmax(runner, softmax);
  if (auto structured = dyn_cast<linalg::LinalgOp>(op))
    return Nest(runner, structured).run();
  return std::nullopt;
}
