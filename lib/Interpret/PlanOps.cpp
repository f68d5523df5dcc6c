//===- PlanOps.cpp - the kernels of planned expert layers and products ----------------===//
//
// Each op as its description in MoePlanOps.td says, in f32. What a description leaves open (scratch memory, rows of no item) is zero.
//
//===----------------------------------------------------------------------===//
#include "Frame.h"
#include "Routing.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace mlir::moe;

namespace {
constexpr int64_t kBlock = 128, kTileRows = 256, kItemRows = 128, kGroup = 16, kFirstItem = 4, kFirstCounter = 16;

/// Element `i` of row `row` in block `block` of [blocks, rows, width] whose pieces of 16 bytes are permuted by the row.
int64_t permuted(int64_t block, int64_t rows, int64_t row, int64_t width, int64_t i) {
  int64_t piece = width / 8; // elements of 16 of 128 bytes
  return (block * rows + row) * width + ((i / piece) ^ (row % 8)) * piece + i % piece;
}
void put(HostTensor &tensor, int64_t i, int64_t value) {
  storeInteger(tensor.element(), tensor.mutableData() + i * tensor.bytesPerElement(), value);
}
Type elementOf(Operation *op, unsigned result) { return getElementTypeOrSelf(op->getResult(result).getType()); }

/// An entry of a work list.
struct Item {
  int64_t expert, row0, valid;
};
} // namespace

/// The entries for `counts` rows of each group, and where each group's rows begin.
static SmallVector<int64_t> writeItems(HostTensor &items, ArrayRef<int64_t> counts) {
  SmallVector<int64_t> starts;
  int64_t number = 0, row = 0, longest = 0;
  for (auto [group, count] : llvm::enumerate(counts)) {
    starts.push_back(row);
    int64_t entries = llvm::divideCeil(count, kItemRows);
    for (int64_t i = 0; i < entries; ++i, ++number) {
      int64_t valid = std::min(count - i * kItemRows, kItemRows), size = 0,
              together = std::min(entries - i / kGroup * kGroup, kGroup);
      while ((8 << size) < valid)
        ++size;
      longest = std::max(longest, valid);
      int64_t at = kFirstItem + 4 * number;
      put(items, at, static_cast<int64_t>(group));
      put(items, at + 1, row + i * kItemRows);
      put(items, at + 2, valid);
      put(items, at + 3, size | together << 4 | i % kGroup << 12);
    }
    row += llvm::divideCeil(count, 8) * 8;
  }
  put(items, 0, number);
  put(items, 1, longest);
  return starts;
}

static FailureOr<SmallVector<Item>> readItems(Operation *op, const HostTensor &items, int64_t experts, int64_t rows) {
  SmallVector<Item> out;
  for (int64_t j = 0, n = items.integer(0); j < n; ++j) {
    int64_t at = kFirstItem + 4 * j;
    if (at + 4 > items.numElements())
      return op->emitOpError("expects a work list of ") << n << " items, found [" << items.shape() << "]";
    Item item{items.integer(at), items.integer(at + 1), items.integer(at + 2)};
    if (item.expert < 0 || item.expert >= experts || item.row0 < 0 || item.valid < 0 || item.row0 + item.valid > rows)
      return op->emitOpError("expects items of ")
             << experts << " experts and " << rows << " rows, found expert " << item.expert << ", rows " << item.row0
             << " to " << item.row0 + item.valid;
    out.push_back(item);
  }
  return out;
}

static LogicalResult setResults(Runner &runner, Operation *op, MutableArrayRef<HostTensor> values) {
  for (auto [i, value] : llvm::enumerate(values))
    if (failed(runner.setResult(op, static_cast<unsigned>(i), std::move(value))))
      return failure();
  return success();
}

/// max |values| / 448, not below a floor, and the codes of values / scale.
static float quantizeBlock(ArrayRef<float> values, Element code, llvm::function_ref<void(size_t, uint8_t)> store) {
  float top = 1e-4f;
  for (float v : values)
    top = std::fmax(top, std::fabs(v));
  float scale = top / 448;
  for (auto [i, v] : llvm::enumerate(values))
    store(i, static_cast<uint8_t>(encodeFloat(code, v / scale, Overflow::Saturate)));
  return scale;
}

/// Codes and scales of the rows of x at their places.
static LogicalResult quantizeRows(Operation *op, const HostTensor &x, const HostTensor &position, int64_t k,
                                  HostTensor &codes, HostTensor &scales) {
  std::vector<float> values = x.floats();
  int64_t tokens = x.dim(0), width = x.dim(1), rows = codes.dim(1);
  char *bytes = codes.mutableData(), *factors = scales.mutableData();
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t block = 0; block < codes.dim(0); ++block) {
      int64_t first = block * kBlock, count = std::min(kBlock, width - first);
      std::vector<uint8_t> row(kBlock, 0);
      float scale = quantizeBlock(ArrayRef(values).slice(t * width + first, count), codes.element(),
                                  [&](size_t i, uint8_t c) { row[i] = c; });
      for (int64_t j = 0; j < k; ++j) {
        int64_t p = position.integer(t * k + j);
        if (p < 0 || p >= rows)
          return op->emitOpError("expects positions in [0, ") << rows << "), found " << p;
        for (int64_t i = 0; i < kBlock; ++i)
          bytes[permuted(block, rows, p, kBlock, i)] = static_cast<char>(row[static_cast<size_t>(i)]);
        std::memcpy(factors + (block * rows + p) * 4, &scale, 4);
      }
    }
  return success();
}

/// A token's elements of 16 bits at its rows' places.
static LogicalResult copyRows(Operation *op, const HostTensor &x, const HostTensor &position, int64_t k,
                              HostTensor &out) {
  int64_t tokens = x.dim(0), width = x.dim(1), rows = out.dim(1), perBlock = out.dim(2);
  char *bytes = out.mutableData();
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t j = 0; j < k; ++j) {
      int64_t p = position.integer(t * k + j);
      if (p < 0 || p >= rows)
        return op->emitOpError("expects positions in [0, ") << rows << "), found " << p;
      for (int64_t i = 0; i < width; ++i)
        std::memcpy(bytes + 2 * permuted(i / perBlock, rows, p, perBlock, i % perBlock), x.data() + 2 * (t * width + i),
                    2);
    }
  return success();
}

static int64_t paddedRows(int64_t assignments, int64_t padding) {
  return llvm::divideCeil(assignments, 8) * 8 + padding;
}

/// Codes and scales of the rows of x, results `first` and `first` + 1: zeros.
static FailureOr<std::pair<HostTensor, HostTensor>> makeRows(Runner &runner, Operation *op, const HostTensor &x,
                                                             int64_t k, int64_t padding, unsigned first) {
  int64_t rows = paddedRows(x.dim(0) * k, padding), blocks = llvm::divideCeil(x.dim(1), kBlock);
  FailureOr<HostTensor> codes = runner.make(op, elementOf(op, first), {blocks, rows, kBlock}),
                        scales = runner.make(op, elementOf(op, first + 1), {blocks, rows});
  if (failed(codes) || failed(scales))
    return failure();
  return std::pair(std::move(*codes), std::move(*scales));
}

static LogicalResult runRouteRows(Runner &runner, RouteRowsOp op) {
  HostTensor logits = runner.tensor(op.getLogits());
  std::vector<float> values = logits.floats(), bias;
  if (op.getSelectionBias())
    bias = runner.tensor(op.getSelectionBias()).floats();
  int64_t tokens = logits.dim(0), experts = logits.dim(1), k = op.getK(), assignments = tokens * k,
          most = experts + assignments;
  Router router = Router::of(op);
  std::vector<float> weights;
  SmallVector<int64_t> chosen, counts(experts, 0), seen(experts, 0);
  for (int64_t t = 0; t < tokens; ++t) {
    Route route = routeToken(router, ArrayRef(values).slice(t * experts, experts), bias);
    weights.insert(weights.end(), route.weights.begin(), route.weights.end());
    llvm::append_range(chosen, route.experts);
  }
  for (int64_t e : chosen)
    ++counts[e];
  SmallVector<HostTensor> out = {HostTensor::fromFloats(elementOf(op, 0), {tokens, k}, weights)};
  for (auto [i, size] : llvm::enumerate(
           std::array<int64_t, 4>{assignments, kFirstItem + 4 * most, kFirstCounter + most, 256 * experts})) {
    FailureOr<HostTensor> tensor = runner.make(op, elementOf(op, static_cast<unsigned>(i + 1)), {size});
    if (failed(tensor))
      return failure();
    out.push_back(std::move(*tensor));
  }
  SmallVector<int64_t> starts = writeItems(out[2], counts);
  put(out[2], 1, tokens); // an expert has each token at most once
  for (auto [a, e] : llvm::enumerate(chosen))
    put(out[1], static_cast<int64_t>(a), starts[e] + seen[e]++);
  if (op.getX()) {
    HostTensor x = runner.tensor(op.getX());
    FailureOr<std::pair<HostTensor, HostTensor>> rows = makeRows(runner, op, x, k, op.getPadding(), 5);
    if (failed(rows) || (tokens <= static_cast<int64_t>(op.getFew()) &&
                         failed(quantizeRows(op, x, out[1], k, rows->first, rows->second))))
      return failure();
    out.append({std::move(rows->first), std::move(rows->second)});
  }
  return setResults(runner, op, out);
}

static LogicalResult runListRows(Runner &runner, ListRowsOp op) {
  HostTensor offsets = op.getOffsets() ? runner.tensor(op.getOffsets()) : HostTensor(),
             from = op.getRows() ? runner.tensor(op.getRows()) : HostTensor();
  int64_t rows = runner.tensor(op.getX()).dim(0) * static_cast<int64_t>(op.getK()),
          groups = offsets ? offsets.dim(0) - 1 : 1;
  SmallVector<int64_t> counts = {rows};
  if (offsets) {
    counts.clear();
    for (int64_t g = 0; g < groups; ++g)
      counts.push_back(offsets.integer(g + 1) - offsets.integer(g));
    if (offsets.integer(0) != 0 || offsets.integer(groups) != rows ||
        llvm::any_of(counts, [](int64_t c) { return c < 0; }))
      return op.emitOpError("expects offsets that ascend from 0 to ") << rows;
  }
  int64_t most = groups + llvm::divideCeil(rows, kItemRows);
  SmallVector<HostTensor> out;
  for (auto [i, size] :
       llvm::enumerate(std::array<int64_t, 4>{rows, groups, kFirstItem + 4 * most, kFirstCounter + most})) {
    FailureOr<HostTensor> tensor = runner.make(op, elementOf(op, static_cast<unsigned>(i)), {size});
    if (failed(tensor))
      return failure();
    out.push_back(std::move(*tensor));
  }
  SmallVector<int64_t> starts = writeItems(out[2], counts);
  put(out[2], 1, rows);
  for (int64_t g = 0, p = 0; g < groups; ++g) {
    int64_t shift = starts[g] - p;
    put(out[1], g, shift);
    for (int64_t end = p + counts[g]; p < end; ++p) {
      int64_t r = from ? from.integer(p) : p;
      if (r < 0 || r >= rows)
        return op.emitOpError("expects rows in [0, ") << rows << "), found " << r;
      put(out[0], r, p + shift);
    }
  }
  return setResults(runner, op, out);
}

static LogicalResult runCopyRows(Runner &runner, CopyRowsOp op) {
  HostTensor x = runner.tensor(op.getX()), position = runner.tensor(op.getPosition());
  int64_t k = op.getK(), width = cast<ShapedType>(op.getResult(0).getType()).getDimSize(2);
  FailureOr<HostTensor> out = runner.make(
      op, elementOf(op, 0),
      {static_cast<int64_t>(llvm::divideCeil(x.dim(1), width)), paddedRows(x.dim(0) * k, op.getPadding()), width});
  if (failed(out) || failed(copyRows(op, x, position, k, *out)))
    return failure();
  return runner.setResult(op, 0, std::move(*out));
}

static LogicalResult runQuantizeRows(Runner &runner, QuantizeRowsOp op) {
  HostTensor x = runner.tensor(op.getX()), position = runner.tensor(op.getPosition());
  FailureOr<std::pair<HostTensor, HostTensor>> rows = makeRows(runner, op, x, op.getK(), op.getPadding(), 0);
  if (failed(rows) || failed(quantizeRows(op, x, position, op.getK(), rows->first, rows->second)))
    return failure();
  HostTensor out[] = {std::move(rows->first), std::move(rows->second)};
  return setResults(runner, op, out);
}

namespace {
/// Rows and weights of one product in the layouts of moe.expert_products, as numbers.
struct Operands {
  std::vector<float> rows, rowScales, weights, weightScales;
  int64_t numRows, width, depth, blocks,
      scaleWords; ///< R, elements of 128 bytes, blocks of K, tiles, words of a tile's scales

  /// Products of row `p` with weight row `r` of tile `tile` of `expert`; `own`: which of the tile's two sets of scales.
  float product(int64_t p, int64_t expert, int64_t tile, int64_t r, int64_t own) const {
    float sum = 0;
    int64_t at = expert * blocks + tile;
    for (int64_t kb = 0; kb < depth; ++kb) {
      float partial = 0;
      for (int64_t i = 0; i < width; ++i)
        partial +=
            rows[permuted(kb, numRows, p, width, i)] * weights[permuted(at * depth + kb, kTileRows, r, width, i)];
      sum += rowScales.empty()
                 ? partial
                 : partial * (rowScales[kb * numRows + p] * weightScales[at * scaleWords + own * depth + kb]);
    }
    return sum;
  }
};
} // namespace

static Operands operandsOf(const HostTensor &rows, const HostTensor &rowScales, const HostTensor &weights,
                           const HostTensor &weightScales) {
  Operands o{rows.floats(), {}, weights.floats(), {}, rows.dim(1), rows.dim(2), rows.dim(0), weights.dim(1), 0};
  if (rowScales) {
    o.rowScales = rowScales.floats();
    o.weightScales = weightScales.floats();
    o.scaleWords = weightScales.dim(2);
  }
  return o;
}

/// Row of a tile of W1 that holds gate (g = 0) or up (1) of column `c` of its 128.
static int64_t pairedRow(int64_t c, int64_t g, bool codes) {
  return codes ? c / 64 * 128 + c % 2 * 64 + c / 16 % 4 * 16 + g * 8 + c / 2 % 8 : c / 8 * 16 + g * 8 + c % 8;
}
static HostTensor optionalTensor(Runner &runner, Value value) { return value ? runner.tensor(value) : HostTensor(); }

/// A sum plus entry `i` of the biases, in the type that they are added in.
static float withBias(float sum, ArrayRef<float> biases, int64_t i, std::optional<Type> element) {
  if (!element)
    return sum;
  auto rounded = [&](float v) { return HostTensor::fromFloats(*element, {1}, {v}).floats()[0]; };
  return rounded(rounded(sum) + rounded(biases[static_cast<size_t>(i)]));
}

static LogicalResult runExpertProducts(Runner &runner, ExpertProductsOp op) {
  HostTensor x = runner.tensor(op.getX()), items = runner.tensor(op.getItems());
  Operands first = operandsOf(x, optionalTensor(runner, op.getXScales()), runner.tensor(op.getW1()),
                              optionalTensor(runner, op.getW1Scales()));
  bool scaled = static_cast<bool>(op.getXScales());
  int64_t rows = x.dim(1), width = x.dim(2), hidden = op.getHidden(), inner = op.getIntermediate(),
          jb = llvm::divideCeil(inner, kBlock);
  FailureOr<HostTensor> h = runner.make(op, elementOf(op, 1),
                                        {static_cast<int64_t>(llvm::divideCeil(inner, width)), rows, width}),
                        hScales = HostTensor();
  if (scaled)
    hScales = runner.make(op, elementOf(op, 2), {jb, rows});
  if (failed(h) || failed(hScales))
    return failure();
  FailureOr<SmallVector<Item>> list = readItems(op, items, runner.tensor(op.getW1()).dim(0), rows);
  if (failed(list))
    return failure();
  std::vector<float> w1Bias, w2Bias;
  if (op.getBiasElement()) {
    w1Bias = runner.tensor(op.getW1Bias()).floats();
    w2Bias = runner.tensor(op.getW2Bias()).floats();
  }
  Block &body = op.getEpilogue().front();
  char *codes = h->mutableData(), *factors = scaled ? hScales->mutableData() : nullptr;
  for (Item item : *list)
    for (int64_t p = item.row0; p < item.row0 + item.valid; ++p)
      for (int64_t block = 0; block < jb; ++block) {
        std::vector<float> active(kBlock, 0.0f);
        for (int64_t c = 0; c < std::min(kBlock, inner - block * kBlock); ++c) {
          SmallVector<RunValue> arguments;
          for (int64_t g = 0; g < 2; ++g) {
            Scalar value{};
            value.f = first.product(p, item.expert, block, pairedRow(c, g, scaled), g);
            value.f = withBias(value.f, w1Bias, (item.expert * jb + block) * kTileRows + pairedRow(c, g, scaled),
                               op.getBiasElement());
            arguments.push_back(value);
          }
          FailureOr<SmallVector<RunValue>> yielded = runner.runBlock(body, arguments);
          if (failed(yielded))
            return failure();
          active[static_cast<size_t>(c)] = yielded->front().scalar.f;
        }
        if (!scaled) {
          for (int64_t c = 0; c < std::min(kBlock, inner - block * kBlock); ++c) {
            int64_t i = block * kBlock + c;
            HostTensor rounded = HostTensor::fromFloats(elementOf(op, 1), {1}, {active[static_cast<size_t>(c)]});
            std::memcpy(codes + 2 * permuted(i / width, rows, p, width, i % width), rounded.data(), 2);
          }
          continue;
        }
        float scale = quantizeBlock(active, h->element(), [&](size_t i, uint8_t c) {
          codes[permuted(block, rows, p, kBlock, static_cast<int64_t>(i))] = static_cast<char>(c);
        });
        std::memcpy(factors + (block * rows + p) * 4, &scale, 4);
      }
  Operands second = operandsOf(*h, *hScales, runner.tensor(op.getW2()), optionalTensor(runner, op.getW2Scales()));
  std::vector<float> sums(rows * hidden, 0.0f);
  for (Item item : *list)
    for (int64_t p = item.row0; p < item.row0 + item.valid; ++p)
      for (int64_t n = 0; n < hidden; ++n)
        sums[p * hidden + n] =
            withBias(second.product(p, item.expert, n / kTileRows, n % kTileRows, n % kTileRows / kBlock), w2Bias,
                     item.expert * second.blocks * kTileRows + n, op.getBiasElement());
  SmallVector<HostTensor> out = {HostTensor::fromFloats(elementOf(op, 0), {rows, hidden}, sums), std::move(*h)};
  if (scaled)
    out.push_back(std::move(*hScales));
  return setResults(runner, op, out);
}

static LogicalResult runRowProduct(Runner &runner, RowProductOp op) {
  HostTensor x = runner.tensor(op.getX()), weights = runner.tensor(op.getWeights()),
             shift = runner.tensor(op.getShift());
  Operands operands =
      operandsOf(x, optionalTensor(runner, op.getXScales()), weights, optionalTensor(runner, op.getWeightScales()));
  int64_t rows = runner.tensor(op.getPosition()).numElements(), columns = op.getColumns();
  FailureOr<SmallVector<Item>> list = readItems(op, runner.tensor(op.getItems()), weights.dim(0), x.dim(1));
  if (failed(list))
    return failure();
  SmallVector<std::vector<float>> extras;
  for (Value extra : op.getExtras())
    extras.push_back(runner.tensor(extra).floats());
  std::vector<float> out(rows * columns, 0.0f);
  for (Item item : *list)
    for (int64_t q = item.row0; q < item.row0 + item.valid; ++q) {
      int64_t p = q - shift.integer(item.expert);
      if (p < 0 || p >= rows)
        return op.emitOpError("expects places of ") << rows << " rows, found row " << p;
      for (int64_t n = 0; n < columns; ++n) {
        SmallVector<RunValue> arguments;
        auto pass = [&](float v) {
          Scalar value{};
          value.f = v;
          arguments.push_back(value);
        };
        pass(operands.product(q, item.expert, n / kTileRows, n % kTileRows, n % kTileRows / kBlock));
        for (auto [extra, kind] : llvm::zip(extras, op.getExtraKinds()))
          pass(extra[kind == 0 ? p * columns + n : kind == 1 ? item.expert * columns + n : kind == 2 ? n : p]);
        FailureOr<SmallVector<RunValue>> yielded = runner.runBlock(op.getEpilogue().front(), arguments);
        if (failed(yielded))
          return failure();
        out[p * columns + n] = yielded->front().scalar.f;
      }
    }
  return runner.setResult(op, 0, HostTensor::fromFloats(elementOf(op, 0), {rows, columns}, out));
}

std::optional<LogicalResult> moe::runPlanOp(Runner &runner, Operation *op) {
  return llvm::TypeSwitch<Operation *, std::optional<LogicalResult>>(op)
      .Case([&](RouteRowsOp route) { return runRouteRows(runner, route); })
      .Case([&](ListRowsOp list) { return runListRows(runner, list); })
      .Case([&](CopyRowsOp copy) { return runCopyRows(runner, copy); })
      .Case([&](RowProductOp product) { return runRowProduct(runner, product); })
      .Case([&](QuantizeRowsOp quantize) { return runQuantizeRows(runner, quantize); })
      .Case([&](ExpertProductsOp products) { return runExpertProducts(runner, products); })
      .Default([](Operation *) { return std::nullopt; });
}
