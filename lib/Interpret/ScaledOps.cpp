//===- ScaledOps.cpp - values with scales ---------------------------------===//
//
// The value of an SSA value of type !moe.scaled is two tensors, codes and scales, in the order of its shape.
//
//===----------------------------------------------------------------------===//
#include "Frame.h"
#include "ScaledValue.h"

#include "dialects/moe/Moe.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace mlir::moe;

/// The linear index of each element's scale.
static std::vector<int64_t> scaleIndices(ArrayRef<int64_t> shape, ArrayRef<int64_t> block) {
  SmallVector<int64_t> sizes = getScaleShape(shape, block), index(shape.size(), 0);
  int64_t count = 1;
  for (int64_t d : shape)
    count *= d;
  std::vector<int64_t> indices(count);
  for (int64_t i = 0; i < count; ++i) {
    int64_t at = 0;
    for (size_t d = 0; d < shape.size(); ++d)
      at = at * sizes[d] + (block[d] ? index[d] / block[d] : 0);
    indices[i] = at;
    for (int64_t d = static_cast<int64_t>(shape.size()) - 1; d >= 0 && ++index[d] == shape[d]; --d)
      index[d] = 0;
  }
  return indices;
}

ScaledValue moe::quantizeTensor(const HostTensor &input, ArrayRef<int64_t> block, Type codes, Type scales) {
  std::vector<float> values = input.floats();
  std::vector<int64_t> at = scaleIndices(input.shape(), block);
  ScaledValue out{HostTensor(codes, input.shape()), HostTensor(scales, getScaleShape(input.shape(), block))};
  std::vector<float> amax(out.scales.numElements(), 0.0f);
  for (size_t i = 0; i < values.size(); ++i) {
    float magnitude = std::fabs(values[i]), &top = amax[at[i]];
    if (!(magnitude <= top) && !std::isnan(top)) // a NaN stays
      top = magnitude;
  }
  for (size_t b = 0; b < amax.size(); ++b) {
    amax[b] = blockScale(out.codes.element(), out.scales.element(), amax[b]);
    storeDouble(out.scales.element(), out.scales.mutableData() + b * out.scales.bytesPerElement(), amax[b],
                Overflow::Saturate);
  }
  char *bytes = out.codes.mutableData();
  for (size_t i = 0; i < values.size(); ++i)
    bytes[i] = static_cast<char>(encodeFloat(out.codes.element(), values[i] / amax[at[i]], Overflow::Saturate));
  return out;
}

static std::vector<float> dequantized(const HostTensor &codes, const HostTensor &scales, ArrayRef<int64_t> block) {
  std::vector<float> values = codes.floats(), factors = scales.floats();
  std::vector<int64_t> at = scaleIndices(codes.shape(), block);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] *= factors[at[i]];
  return values;
}

static HostTensor transposed(const HostTensor &tensor) {
  SmallVector<int64_t> shape(tensor.shape());
  int64_t rank = tensor.rank(), rows = shape[rank - 2], columns = shape[rank - 1], size = tensor.bytesPerElement();
  std::swap(shape[rank - 2], shape[rank - 1]);
  HostTensor out(tensor.elementType(), shape);
  char *to = out.mutableData();
  for (int64_t i = 0, n = tensor.numElements(); i < n; ++i) {
    int64_t matrix = i / (rows * columns), r = i / columns % rows, c = i % columns;
    std::memcpy(to + (matrix * rows * columns + c * rows + r) * size, tensor.data() + i * size, size);
  }
  return out;
}

static LogicalResult setScaled(Runner &runner, Operation *op, const HostTensor &input) {
  auto type = cast<ScaledType>(op->getResult(0).getType());
  ScaledValue value = quantizeTensor(input, type.getBlock(), type.getElementType(), type.getScale());
  if (failed(runner.checkType(op, value.codes, RankedTensorType::get(type.getShape(), type.getElementType()),
                              "its codes")))
    return failure();
  runner.set(op->getResult(0), RunValue(std::move(value.codes), std::move(value.scales)));
  return success();
}

static LogicalResult runRequantize(Runner &runner, RequantizeOp op) {
  HostTensor source;
  if (op.getSource()) {
    source = runner.tensor(op.getSource());
  } else {
    const RunValue &value = runner.get(op.getInput());
    source = HostTensor::fromFloats(
        Float32Type::get(op.getContext()), value.tensor.shape(),
        dequantized(value.tensor, value.scales, cast<ScaledType>(op.getInput().getType()).getBlock()));
  }
  return setScaled(runner, op, op.getTransposed() ? transposed(source) : source);
}

static LogicalResult runDequantize(Runner &runner, Operation *op, const HostTensor &codes, const HostTensor &scales,
                                   ArrayRef<int64_t> block) {
  Type element = getElementTypeOrSelf(op->getResult(0).getType());
  return runner.setResult(op, 0, HostTensor::fromFloats(element, codes.shape(), dequantized(codes, scales, block)));
}

static LogicalResult runQuantizeBlocks(Runner &runner, QuantizeBlocksOp op) {
  ScaledValue value =
      quantizeTensor(runner.tensor(op.getInput()), op.getBlock(), getElementTypeOrSelf(op.getResult(0).getType()),
                     getElementTypeOrSelf(op.getResult(1).getType()));
  if (failed(runner.setResult(op, 0, std::move(value.codes))))
    return failure();
  return runner.setResult(op, 1, std::move(value.scales));
}

std::optional<LogicalResult> moe::runScaledOp(Runner &runner, Operation *op) {
  return llvm::TypeSwitch<Operation *, std::optional<LogicalResult>>(op)
      .Case([&](QuantizeOp quantize) { return setScaled(runner, quantize, runner.tensor(quantize.getInput())); })
      .Case([&](RequantizeOp requantize) { return runRequantize(runner, requantize); })
      .Case([&](DequantizeOp dequantize) {
        const RunValue &value = runner.get(dequantize.getInput());
        return runDequantize(runner, op, value.tensor, value.scales,
                             cast<ScaledType>(dequantize.getInput().getType()).getBlock());
      })
      .Case([&](QuantizeBlocksOp quantize) { return runQuantizeBlocks(runner, quantize); })
      .Case([&](DequantizeBlocksOp dequantize) {
        return runDequantize(runner, op, runner.tensor(dequantize.getCodes()), runner.tensor(dequantize.getScales()),
                             dequantize.getBlock());
      })
      .Default([](Operation *) { return std::nullopt; });
}
