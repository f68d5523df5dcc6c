//===- ExpertOps.cpp - routing, experts and their parts -------------------===//
//
// Each op as its description in MoeOps.td says, in f32 and in the order that it gives.
//
//===----------------------------------------------------------------------===//
#include "Frame.h"
#include "Routing.h"

#include "dialects/moe/Moe.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>
#include <cstring>
#include <map>

using namespace mlir;
using namespace mlir::moe;

static LogicalResult runRoute(Runner &runner, RouteOp op) {
  HostTensor logits = runner.tensor(op.getLogits());
  int64_t tokens = logits.dim(0), experts = logits.dim(1), k = op.getK();
  std::vector<float> values = logits.floats(), bias;
  if (op.getSelectionBias())
    bias = runner.tensor(op.getSelectionBias()).floats();
  Router router = Router::of(op);
  router.sparsemixerEps = op.getSparsemixerEps().convertToFloat();
  std::vector<float> weights;
  auto weightType = cast<RankedTensorType>(op.getResult(0).getType()),
       indexType = cast<RankedTensorType>(op.getResult(1).getType());
  HostTensor indices(indexType.getElementType(), {tokens, k});
  char *out = indices.mutableData();
  for (int64_t t = 0; t < tokens; ++t) {
    Route route = routeToken(router, ArrayRef(values).slice(t * experts, experts), bias);
    for (int64_t j = 0; j < k; ++j) {
      weights.push_back(route.weights[j]);
      storeInteger(indices.element(), out + (t * k + j) * indices.bytesPerElement(), route.experts[j]);
    }
  }
  if (failed(runner.setResult(op, 0, HostTensor::fromFloats(weightType.getElementType(), {tokens, k}, weights))))
    return failure();
  return runner.setResult(op, 1, std::move(indices));
}

//===----------------------------------------------------------------------===//
// experts
//===----------------------------------------------------------------------===//

/// One diagnostic for an expert number out of range.
static LogicalResult checkExperts(Operation *op, const HostTensor &indices, int64_t experts) {
  for (int64_t a = 0, n = indices.numElements(); a < n; ++a)
    if (int64_t e = indices.integer(a); e < 0 || e >= experts)
      return op->emitOpError("expects expert numbers in [0, ")
             << experts << "), found " << e << " for assignment " << a;
  return success();
}

/// Element `i` of the leading dim.
static HostTensor part(const HostTensor &tensor, int64_t i) {
  HostTensor out(tensor.elementType(), tensor.shape().drop_front());
  std::memcpy(out.mutableData(), tensor.data() + i * out.size(), out.size());
  return out;
}

static LogicalResult runExperts(Runner &runner, ExpertsOp op) {
  HostTensor x = runner.tensor(op.getX()), indices = runner.tensor(op.getIndices());
  std::vector<float> weights = runner.tensor(op.getWeights()).floats(), rows = x.floats();
  int64_t tokens = x.dim(0), width = x.dim(1), k = indices.dim(1);
  auto type = cast<RankedTensorType>(op.getResult(0).getType());
  bool onInput = op.getWeightOn() == WeightOn::Input;
  int64_t experts = op.getParams().empty() ? INT64_MAX : runner.tensor(op.getParams().front()).dim(0);
  if (failed(checkExperts(op, indices, experts)))
    return failure();

  // Each expert runs once, on all of its rows.
  std::map<int64_t, SmallVector<int64_t>> assignments;
  for (int64_t a = 0; a < tokens * k; ++a)
    assignments[indices.integer(a)].push_back(a);
  int64_t outWidth = ShapedType::isDynamic(type.getDimSize(1)) ? -1 : type.getDimSize(1);
  std::vector<std::vector<float>> results(tokens * k);
  for (auto &[expert, list] : assignments) {
    std::vector<float> input;
    for (int64_t a : list)
      for (int64_t h = 0; h < width; ++h)
        input.push_back(onInput ? weights[a] * rows[a / k * width + h] : rows[a / k * width + h]);
    SmallVector<RunValue> arguments = {HostTensor::fromFloats(x.elementType(), {int64_t(list.size()), width}, input)};
    for (Value param : op.getParams())
      arguments.push_back(part(runner.tensor(param), expert));
    FailureOr<SmallVector<RunValue>> yielded = runner.runBlock(op.getBody().front(), arguments);
    if (failed(yielded))
      return failure();
    const HostTensor &y = yielded->front().tensor;
    if (y.rank() != 2 || y.dim(0) != static_cast<int64_t>(list.size()))
      return op.emitOpError("expects its region to yield ") << list.size() << " rows, found [" << y.shape() << "]";
    outWidth = y.dim(1);
    std::vector<float> values = y.floats();
    for (auto [r, a] : llvm::enumerate(list))
      results[a].assign(values.begin() + r * outWidth, values.begin() + (r + 1) * outWidth);
  }
  if (outWidth < 0) // no token: the width is not known from a result
    outWidth = width;
  std::vector<float> out(tokens * outWidth, 0.0f);
  for (int64_t a = 0; a < tokens * k; ++a)
    for (int64_t h = 0; h < outWidth; ++h)
      out[a / k * outWidth + h] += onInput ? results[a][h] : weights[a] * results[a][h];
  return runner.setResult(op, 0, HostTensor::fromFloats(type.getElementType(), {tokens, outWidth}, out));
}

//===----------------------------------------------------------------------===//
// dispatch, grouped_matmul, combine
//===----------------------------------------------------------------------===//

static LogicalResult runDispatch(Runner &runner, DispatchOp op) {
  HostTensor indices = runner.tensor(op.getIndices());
  int64_t experts = op.getNumExperts(), count = indices.numElements();
  if (failed(checkExperts(op, indices, experts)))
    return failure();
  SmallVector<HostTensor> out;
  for (auto [value, size] : llvm::zip(op.getResults(), std::array<int64_t, 3>{experts + 1, count, count})) {
    FailureOr<HostTensor> tensor = runner.make(op, getElementTypeOrSelf(value.getType()), {size});
    if (failed(tensor))
      return failure();
    out.push_back(std::move(*tensor));
  }
  auto put = [](HostTensor &tensor, int64_t i, int64_t value) {
    storeInteger(tensor.element(), tensor.mutableData() + i * tensor.bytesPerElement(), value);
  };
  int64_t p = 0;
  for (int64_t e = 0; e < experts; ++e) {
    put(out[0], e, p);
    for (int64_t a = 0; a < count; ++a)
      if (indices.integer(a) == e) {
        put(out[1], p, a);
        put(out[2], a, p++);
      }
  }
  put(out[0], experts, p);
  for (int i = 0; i < 3; ++i)
    if (failed(runner.setResult(op, i, std::move(out[i]))))
      return failure();
  return success();
}

namespace {
/// One extra operand of a grouped product: where the value for row p, group g, source row r, column n is.
struct Extra {
  HostTensor tensor;
  int64_t kind;
  int64_t at(int64_t p, int64_t g, int64_t r, int64_t n, int64_t columns) const {
    switch (kind) {
    case 0:
      return p * columns + n;
    case 1:
      return g * columns + n;
    case 2:
      return n;
    case 3:
      return p;
    default:
      return r * columns + n;
    }
  }
};
} // namespace

/// sums[n] = row . column n, each in one chain with k ascending; several columns at once, since their chains are
/// independent.
static void addProducts(const float *row, int64_t depth, const float *w, int64_t stepK, int64_t stepN, int64_t columns,
                        float *sums) {
  std::fill_n(sums, columns, 0.0f);
  if (columns == 8) {
    float s[8] = {};
    for (int64_t k = 0; k < depth; ++k)
      for (int n = 0; n < 8; ++n)
        s[n] += row[k] * w[k * stepK + n * stepN];
    std::copy_n(s, 8, sums);
    return;
  }
  for (int64_t k = 0; k < depth; ++k)
    for (int64_t n = 0; n < columns; ++n)
      sums[n] += row[k] * w[k * stepK + n * stepN];
}

namespace {
/// The scales of one operand of a product; none: everything is scaled by one.
struct Factors {
  std::vector<float> values;
  SmallVector<int64_t> sizes, block;
  /// The factor of element (i0, i1, ...).
  float at(ArrayRef<int64_t> element) const {
    if (values.empty())
      return 1;
    int64_t index = 0;
    for (auto [i, size, b] : llvm::zip(element, sizes, block))
      index = index * size + (b ? i / b : 0);
    return values[index];
  }
};
} // namespace

static Factors factorsOf(Runner &runner, Value operand, Value scales, ArrayRef<int64_t> block) {
  HostTensor tensor;
  if (auto type = dyn_cast<ScaledType>(operand.getType())) {
    tensor = runner.get(operand).scales;
    block = type.getBlock();
  } else if (scales) {
    tensor = runner.tensor(scales);
  } else {
    return {};
  }
  return {tensor.floats(), SmallVector<int64_t>(tensor.shape()), SmallVector<int64_t>(block)};
}

static LogicalResult runGroupedMatmul(Runner &runner, GroupedMatmulOp op) {
  HostTensor x = runner.tensor(op.getX());
  std::vector<float> values = x.floats();
  int64_t sourceRows = x.dim(0), depth = x.dim(1), panel = op.getPacked(), divisor = op.getRowsDivisor();
  std::vector<std::vector<float>> weights;
  int64_t groups = 1, columns = 0;
  for (Value value : op.getWeights()) {
    const HostTensor &weight = runner.tensor(value);
    groups = weight.dim(0);
    columns = panel ? op.getColumns() : weight.dim(1);
    if (weight.dim(2) != depth)
      return op.emitOpError("expects weights with K = ") << depth << ", found [" << weight.shape() << "]";
    weights.push_back(weight.floats());
  }
  Factors xFactors = factorsOf(runner, op.getX(), op.getXScales(), op.getXBlock());
  SmallVector<Factors> weightFactors;
  for (auto [i, value] : llvm::enumerate(op.getWeights()))
    weightFactors.push_back(factorsOf(runner, value, op.getWeightScales().empty() ? Value() : op.getWeightScales()[i],
                                      op.getWeightBlock()));
  bool scaled = !weightFactors.front().values.empty();
  int64_t interval = scaled ? static_cast<int64_t>(op.getPromotion()) : std::max<int64_t>(depth, 1);
  std::vector<float> partial(kLanes);
  HostTensor rows = op.getRows() ? runner.tensor(op.getRows()) : HostTensor();
  HostTensor offsets = op.getOffsets() ? runner.tensor(op.getOffsets()) : HostTensor();
  int64_t count = rows ? rows.numElements() : sourceRows;
  SmallVector<Extra> extras;
  for (auto [value, kind] : llvm::zip(op.getExtras(), op.getExtraKinds()))
    extras.push_back({runner.tensor(value), kind});

  // The epilogue, one column in a lane. Its first arguments are the sums.
  ScalarProgram program;
  Block &body = op.getEpilogue().front();
  if (!program.compile(body))
    return op.emitOpError("has an epilogue that is not made of scalar ops");
  Registers registers;
  registers.resize(program.numRegisters);
  for (ScalarProgram::Capture capture : program.captures) {
    if (capture.reg < 0)
      return op.emitOpError("has an epilogue that reads a tensor");
    Operation *definition = capture.value.getDefiningOp();
    if (definition && definition->getBlock() == &body && failed(runner.runOp(definition)))
      return failure();
    registers.fill(capture.reg, getScalarType(capture.value.getType())->kind, runner.get(capture.value).scalar);
  }

  FailureOr<HostTensor> out = runner.make(op, getElementTypeOrSelf(op.getResult(0).getType()), {count, columns});
  if (failed(out))
    return failure();
  char *at = out->mutableData();
  for (int64_t p = 0, g = 0; p < count; ++p) {
    while (offsets && g < groups && p >= offsets.integer(g + 1))
      ++g;
    if (g >= groups)
      return op.emitOpError("expects offsets that end at ") << count << ", found " << offsets.integer(groups);
    int64_t r = rows ? rows.integer(p) / divisor : p;
    if (r < 0 || r >= sourceRows)
      return op.emitOpError("expects source rows in [0, ") << sourceRows << "), found " << r << " for row " << p;
    for (const Extra &extra : extras)
      if (extra.at(p, g, r, columns - 1, columns) >= extra.tensor.numElements())
        return op.emitOpError("expects an extra with a value for row ")
               << p << ", found [" << extra.tensor.shape() << "]";
    const float *row = values.data() + r * depth;
    for (int64_t first = 0; first < columns; first += kLanes) {
      int lanes = static_cast<int>(std::min<int64_t>(kLanes, columns - first));
      for (auto [i, weight] : llvm::enumerate(weights)) {
        float *sums = registers.floats(program.arguments[i]);
        for (int n = 0; n < lanes;) {
          int64_t column = first + n,
                  width = panel ? std::min<int64_t>(panel - column % panel, lanes - n) : std::min(8, lanes - n);
          int64_t panels = panel ? (columns + panel - 1) / panel : 0;
          const float *w = panel ? weight.data() + (g * panels + column / panel) * depth * panel + column % panel
                                 : weight.data() + (g * columns + column) * depth;
          int64_t stepK = panel ? panel : 1, stepN = panel ? 1 : depth;
          std::fill_n(sums + n, width, 0.0f);
          for (int64_t k = 0; k < depth; k += interval) {
            addProducts(row + k, std::min(interval, depth - k), w + k * stepK, stepK, stepN, width, partial.data());
            for (int64_t j = 0; j < width; ++j)
              sums[n + j] +=
                  scaled ? partial[j] * (xFactors.at({r, k}) * weightFactors[i].at({g, column + j, k})) : partial[j];
          }
          n += width;
        }
      }
      for (auto [i, extra] : llvm::enumerate(extras)) {
        unsigned bytes = extra.tensor.bytesPerElement();
        registers.load(program.arguments[weights.size() + i], extra.tensor.element(),
                       extra.tensor.data() + extra.at(p, g, r, first, columns) * bytes, extra.kind == 3 ? 0 : 1, lanes);
      }
      for (const Instruction &instruction : program.instructions)
        if (failed(execute(instruction, registers, lanes)))
          return failure();
      registers.store(program.yields[0], out->element(), at + (p * columns + first) * out->bytesPerElement(), 1, lanes);
    }
  }
  return runner.setResult(op, 0, std::move(*out));
}

static LogicalResult runCombine(Runner &runner, CombineOp op) {
  HostTensor y = runner.tensor(op.getY()), position = runner.tensor(op.getPosition());
  std::vector<float> values = y.floats(), weights, out;
  int64_t width = y.dim(1), k = op.getK(), tokens = position.numElements() / k;
  if (op.getWeights())
    weights = runner.tensor(op.getWeights()).floats();
  if (op.getResidual())
    out = runner.tensor(op.getResidual()).floats();
  else
    out.assign(tokens * width, 0.0f);
  if (static_cast<int64_t>(out.size()) != tokens * width ||
      (op.getWeights() && static_cast<int64_t>(weights.size()) != tokens * k))
    return op.emitOpError("expects weights [")
           << tokens << ", " << k << "] and a residual [" << tokens << ", " << width << "]";
  for (int64_t a = 0; a < tokens * k; ++a) {
    int64_t p = position.integer(a);
    if (p < 0 || p >= y.dim(0))
      return op.emitOpError("expects positions in [0, ") << y.dim(0) << "), found " << p << " for assignment " << a;
    for (int64_t h = 0; h < width; ++h)
      out[a / k * width + h] += (weights.empty() ? 1.0f : weights[a]) * values[p * width + h];
  }
  Type type = getElementTypeOrSelf(op.getResult(0).getType());
  return runner.setResult(op, 0, HostTensor::fromFloats(type, {tokens, width}, out));
}

static LogicalResult runGroupedOuterProduct(Runner &runner, GroupedOuterProductOp op) {
  HostTensor dy = runner.tensor(op.getDy()), x = runner.tensor(op.getX()), offsets = runner.tensor(op.getOffsets());
  int64_t rows = dy.dim(0), n = dy.dim(1), k = x.dim(1), groups = offsets.numElements() - 1;
  if (x.dim(0) != rows)
    return op.emitOpError("expects as many rows in x as in dy, ") << rows << ", found " << x.dim(0);
  if (groups < 1)
    return op.emitOpError("expects offsets with two elements at least, found ") << groups + 1;
  int64_t last = 0;
  for (int64_t g = 0; g <= groups; ++g) {
    int64_t at = offsets.integer(g);
    if (at < last || at > rows)
      return op.emitOpError("expects offsets that ascend from 0 to at most ")
             << rows << ", found " << at << " behind " << last;
    last = at;
  }
  std::vector<float> left = dy.floats(), right = x.floats(), out(groups * n * k, 0.0f);
  for (int64_t g = 0; g < groups; ++g)
    for (int64_t p = offsets.integer(g); p < offsets.integer(g + 1); ++p)
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < k; ++j)
          out[(g * n + i) * k + j] += left[p * n + i] * right[p * k + j];
  Type type = getElementTypeOrSelf(op.getResult(0).getType());
  return runner.setResult(op, 0, HostTensor::fromFloats(type, {groups, n, k}, out));
}

std::optional<LogicalResult> moe::runExpertOp(Runner &runner, Operation *op) {
  return llvm::TypeSwitch<Operation *, std::optional<LogicalResult>>(op)
      .Case([&](RouteOp route) { return runRoute(runner, route); })
      .Case([&](ExpertsOp experts) { return runExperts(runner, experts); })
      .Case([&](DispatchOp dispatch) { return runDispatch(runner, dispatch); })
      .Case([&](GroupedMatmulOp product) { return runGroupedMatmul(runner, product); })
      .Case([&](CombineOp combine) { return runCombine(runner, combine); })
      .Case([&](GroupedOuterProductOp product) { return runGroupedOuterProduct(runner, product); })
      .Default([](Operation *) { return std::nullopt; });
}
