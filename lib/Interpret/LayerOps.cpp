//===- LayerOps.cpp - attention, norms, positions, activations ------------===//
#include "Frame.h"
#include "Strided.h"

#include "dialects/moe/Moe.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;
using namespace mlir::moe;

static LogicalResult setFloats(Runner &runner, Operation *op, ArrayRef<int64_t> shape, ArrayRef<float> values) {
  Type type = getElementTypeOrSelf(op->getResult(0).getType());
  return runner.setResult(op, 0, HostTensor::fromFloats(type, shape, values));
}

static LogicalResult runAttention(Runner &runner, AttentionOp op) {
  HostTensor q = runner.tensor(op.getQuery()), k = runner.tensor(op.getKey()), v = runner.tensor(op.getValue()), mask;
  std::vector<float> query = q.floats(), key = k.floats(), value = v.floats(), masks, sinks;
  int64_t batches = q.dim(0), heads = q.dim(1), queries = q.dim(2), size = q.dim(3), kvHeads = k.dim(1),
          length = k.dim(2), valueSize = v.dim(3);
  if (k.dim(0) != batches || v.dim(0) != batches || v.dim(1) != kvHeads || v.dim(2) != length || k.dim(3) != size ||
      kvHeads == 0 || heads % kvHeads != 0)
    return op.emitOpError("expects query, key and value that fit, found [")
           << q.shape() << "], [" << k.shape() << "] and [" << v.shape() << "]";
  SmallVector<int64_t> maskSteps;
  if (op.getMask()) {
    mask = runner.tensor(op.getMask());
    masks = mask.floats();
    std::array<int64_t, 4> wanted = {batches, heads, queries, length};
    SmallVector<int64_t> strides = rowMajor(mask.shape());
    for (int d = 0; d < 4; ++d) {
      if (mask.dim(d) != wanted[d] && mask.dim(d) != 1)
        return op.emitOpError("expects a mask that broadcasts to [")
               << ArrayRef<int64_t>(wanted) << "], found [" << mask.shape() << "]";
      maskSteps.push_back(mask.dim(d) == 1 ? 0 : strides[d]);
    }
  }
  if (op.getSinks())
    sinks = runner.tensor(op.getSinks()).floats();
  float scale = op.getScale().convertToFloat(), softcap = op.getSoftcap().convertToFloat();
  std::vector<float> out(batches * heads * queries * valueSize), z(length);
  for (int64_t b = 0; b < batches; ++b)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t i = 0; i < queries; ++i) {
        int64_t kv = b * kvHeads + h / (heads / kvHeads), position = i + (length - queries);
        const float *row = &query[((b * heads + h) * queries + i) * size];
        float max = sinks.empty() ? -INFINITY : sinks[h];
        for (int64_t j = 0; j < length; ++j) {
          float dot = 0;
          for (int64_t d = 0; d < size; ++d)
            dot += row[d] * key[(kv * length + j) * size + d];
          z[j] = scale * dot;
          if (softcap > 0)
            z[j] = softcap * std::tanh(z[j] / softcap);
          if (!masks.empty())
            z[j] += masks[b * maskSteps[0] + h * maskSteps[1] + i * maskSteps[2] + j * maskSteps[3]];
          if ((op.getCausal() && j > position) ||
              (op.getWindow() > 0 && j <= position - static_cast<int64_t>(op.getWindow())))
            z[j] = -INFINITY;
          max = std::isnan(z[j]) ? z[j] : std::fmax(max, z[j]);
        }
        float *to = &out[((b * heads + h) * queries + i) * valueSize];
        if (max == -INFINITY)
          continue; // nothing to attend to: zeros
        float sum = 0;
        for (int64_t j = 0; j < length; ++j)
          sum += z[j] = std::exp(z[j] - max);
        if (!sinks.empty())
          sum += std::exp(sinks[h] - max);
        for (int64_t j = 0; j < length; ++j)
          for (int64_t d = 0; d < valueSize; ++d)
            to[d] += z[j] / sum * value[(kv * length + j) * valueSize + d];
      }
  return setFloats(runner, op, {batches, heads, queries, valueSize}, out);
}

static LogicalResult runRmsNorm(Runner &runner, RmsNormOp op) {
  HostTensor x = runner.tensor(op.getX());
  std::vector<float> values = x.floats(), weight;
  int64_t width = x.shape().back(), rows = width ? x.numElements() / width : 0;
  if (op.getWeight())
    weight = runner.tensor(op.getWeight()).floats();
  if (op.getWeight() && static_cast<int64_t>(weight.size()) != width)
    return op.emitOpError("expects ") << width << " weights, found " << weight.size();
  float epsilon = op.getEpsilon().convertToFloat();
  for (int64_t r = 0; r < rows; ++r) {
    float *row = &values[r * width], sum = 0;
    for (int64_t h = 0; h < width; ++h)
      sum += row[h] * row[h];
    float root = std::sqrt(sum / static_cast<float>(width) + epsilon);
    for (int64_t h = 0; h < width; ++h)
      row[h] = row[h] / root * (weight.empty() ? 1.0f : weight[h]);
  }
  return setFloats(runner, op, x.shape(), values);
}

static LogicalResult runRope(Runner &runner, RopeOp op) {
  HostTensor x = runner.tensor(op.getX()), c = runner.tensor(op.getCos()), s = runner.tensor(op.getSin());
  std::vector<float> in = x.floats(), cos = c.floats(), sin = s.floats(), out = in;
  int64_t batches = x.dim(0), heads = x.dim(1), length = x.dim(2), size = x.dim(3), half = c.dim(2);
  if ((c.dim(0) != batches && c.dim(0) != 1) || c.dim(1) != length || c.shape() != s.shape() || 2 * half > size)
    return op.emitOpError("expects tables for [")
           << x.shape() << "], found [" << c.shape() << "] and [" << s.shape() << "]";
  for (int64_t b = 0; b < batches; ++b)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t p = 0; p < length; ++p) {
        int64_t row = ((b * heads + h) * length + p) * size, table = ((c.dim(0) == 1 ? 0 : b) * length + p) * half;
        for (int64_t i = 0; i < half; ++i) {
          int64_t first = row + (op.getInterleaved() ? 2 * i : i),
                  second = row + (op.getInterleaved() ? 2 * i + 1 : i + half);
          out[first] = in[first] * cos[table + i] - in[second] * sin[table + i];
          out[second] = in[second] * cos[table + i] + in[first] * sin[table + i];
        }
      }
  return setFloats(runner, op, x.shape(), out);
}

static LogicalResult runSwiglu(Runner &runner, SwigluOp op) {
  HostTensor gate = runner.tensor(op.getGate()), up = runner.tensor(op.getUp());
  if (gate.shape() != up.shape())
    return op.emitOpError("expects gate and up of one shape, found [")
           << gate.shape() << "] and [" << up.shape() << "]";
  std::vector<float> values = gate.floats(), other = up.floats();
  float alpha = op.getAlpha().convertToFloat(), beta = op.getBeta().convertToFloat(),
        limit = op.getLimit().convertToFloat();
  for (auto [out, u] : llvm::zip(values, other)) {
    float g = out > limit ? limit : out; // NaN stays NaN
    float l = u > limit ? limit : u < -limit ? -limit : u;
    out = g * (1 / (1 + std::exp(-alpha * g))) * (l + beta);
  }
  return setFloats(runner, op, gate.shape(), values);
}

std::optional<LogicalResult> moe::runLayerOp(Runner &runner, Operation *op) {
  return llvm::TypeSwitch<Operation *, std::optional<LogicalResult>>(op)
      .Case([&](AttentionOp attention) { return runAttention(runner, attention); })
      .Case([&](RmsNormOp norm) { return runRmsNorm(runner, norm); })
      .Case([&](RopeOp rope) { return runRope(runner, rope); })
      .Case([&](SwigluOp swiglu) { return runSwiglu(runner, swiglu); })
      .Default([](Operation *) { return std::nullopt; });
}
