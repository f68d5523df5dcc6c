//===- GroupedMatmul.cpp - packed products on vector registers --------------===//
//
// A work item is a block of rows of one group times a chunk of panels. It gathers and packs its rows once ([k][row], in
// blocks of up to 28 or 6 rows), then for four panels at a time runs the product function of the module and the epilogue
// on the hot tile, 16 columns a vector:
//
//   pack rows [r0, r1)
//   for 4 panels:  for blocks of rows:  C = A x W_0, A x W_1, ...;  for rows:  out[p, n .. n+16] = epilogue(C_0, C_1, extras)
//
// Deep products run k in pieces that keep the packed rows in cache; the partial sums stay in C, so each accumulator is
// still one chain with k ascending. Nothing about an element's sum depends on the number of rows or on the cut into items.
//
// Codes of 8-bit floats are widened in registers and multiplied by their scale there: rows when they are packed, weights when
// they are loaded, once for all rows. The sums are f32 throughout, so they need no promotion.
//
//===----------------------------------------------------------------------===//
#include "Emitters.h"
#include "Microkernels.h"
#include "Vectorize.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Most of K whose packed rows stay in cache.
constexpr int64_t kDeepest = 1024;
/// Bytes of weights that a core's own cache may hold beside the rows.
constexpr int64_t kCached = 4 << 20;

/// The sizes that are known when the kernel is compiled; equal for all targets.
struct ProductPlan {
  int64_t groups, columns, panels, k, weights;
  int64_t piece;     ///< k of one piece
  int64_t pieces;    ///< 1: the whole of k at once
  int64_t blockRows; ///< most rows of an item
  int64_t maxChunk;  ///< most panels of an item
  bool streamed;     ///< weights too large for a core's caches

  explicit ProductPlan(GroupedMatmulOp op) {
    auto type = cast<MemRefType>(op.getWeights()[0].getType());
    groups = type.getDimSize(0), panels = type.getDimSize(1), k = type.getDimSize(2);
    columns = op.getColumns(), weights = op.getWeights().size();
    // Pieces begin where blocks of scales do. One scale for all of K serves any piece.
    int64_t block = 16;
    for (ArrayRef<int64_t> blocks : {op.getXBlock(), op.getWeightBlock()})
      if (!blocks.empty() && blocks.back() < k)
        block = std::max(block, blocks.back());
    pieces = llvm::divideCeil(k, kDeepest);
    piece = pieces == 1 ? k : llvm::alignTo(llvm::divideCeil(k, pieces), block);
    pieces = llvm::divideCeil(k, piece);
    // Weights from memory are read once for all rows of an item, whose packed form takes at most 256 KiB; those in the
    // cache are read again for every 28 rows, and the item packs as few rows for as many columns as it can.
    streamed = type.getNumElements() * type.getElementTypeBitWidth() / 8 * weights > kCached;
    blockRows = streamed ? std::min<int64_t>(112, 28 * std::max<int64_t>(1, 65536 / (piece * 28))) : 28;
    // Partial sums of pieces: at most 64 KiB.
    maxChunk = pieces == 1 ? panels : std::max<int64_t>(4, 16384 / (weights * (blockRows + 8) * kPanel) / 4 * 4);
  }
};

/// The cut of a launch into items; the host program and the kernel compute the same.
struct ProductSplit {
  V rows, blocks, chunk, chunks;

  ProductSplit(Code &c, const ProductPlan &plan, V rows) : rows(rows) {
    V one = c.index(1), most = c.index(plan.blockRows);
    V average = rows;
    if (plan.groups == 1) {
      // An even number of blocks where there are several: two threads end together, and 512 rows are 20 times 26 instead of 19 times 28.
      blocks = c.ceilDiv(rows, most);
      V even = c.index(2) * c.ceilDiv(blocks, c.index(2));
      blocks = c.select(blocks <= one, blocks, even);
      average = rows / c.max(one, blocks);
    } else {
      // At most: a block for each group that has rows, and one for each full block.
      V groups = c.index(plan.groups);
      blocks = c.min(rows, groups + rows / most);
      average = c.min(c.ceilDiv(rows, groups), most);
    }
    // Panels of an item: work of at least 10 microseconds, which pays for packing the rows; up to 40 where there are
    // many items.
    V few = average <= c.index(4);
    V cost = c.max(one, average * c.index(plan.k * plan.weights));
    V least = c.select(few, average * c.index(4096), c.index(24576));
    V shared = c.min(blocks * c.index(plan.panels) / c.index(16), c.index(98304) / cost);
    V wanted = c.max(c.max(c.ceilDiv(least, cost), shared), one);
    V four = c.index(4);
    chunk = c.min(c.ceilDiv(wanted, four) * four, c.index(plan.maxChunk));
    chunks = c.ceilDiv(c.index(plan.panels), chunk);
  }
  V count() { return blocks * chunks; }
};

/// Emits the kernel of one product.
class ProductKernel {
public:
  ProductKernel(Code &c, GroupedMatmulOp op, const CpuTarget &target)
      : c(c), b(c.b), op(op), target(target), plan(op), out(op.getOuts().front()), zero(c.index(0)), one(c.index(1)) {}

  void emit(V begin, V end);

private:
  void item(V group, V first, V rows, V firstPanel, V panels);
  void epilogue(V group, V row, V rows, V panel, V panels, V tile, V weightStride);
  V sourceRow(V p) {
    if (!op.getRows())
      return p;
    return c.toIndex(c.load(op.getRows(), {p})) / c.index(op.getRowsDivisor());
  }
  Value readLine(Value memref, ArrayRef<V> at, V mask);
  int64_t maxBlocks() { return llvm::divideCeil(plan.blockRows, maxRows(target)); }

  Code &c;
  OpBuilder &b;
  GroupedMatmulOp op;
  CpuTarget target;
  ProductPlan plan;
  Value out;
  V zero, one;
  V x, packed, sums, offsets;
  V xScales, scaleOffsets; // with scales only
  SmallVector<V> weights, weightScales;
  func::FuncOp product, pack;
};

} // namespace

/// Blocks that whole vectors of 16 lie in, and that cut K no coarser than its pieces; scales that are side by side.
static bool suitableScales(ArrayRef<int64_t> block, int64_t k, ValueRange scales) {
  if (block.back() > kDeepest && block.back() < k)
    return false;
  return llvm::all_of(block, [](int64_t b) { return b % kPanel == 0; }) && llvm::all_of(scales, [](Value v) {
           auto type = cast<MemRefType>(v.getType());
           return type.getLayout().isIdentity() && llvm::none_of(type.getShape().drop_front(), ShapedType::isDynamic);
         });
}

static OperandFormat weightFormat(GroupedMatmulOp op) {
  OperandFormat format = {cast<MemRefType>(op.getWeights()[0].getType()).getElementType()};
  format.streamed = ProductPlan(op).streamed;
  if (!op.getWeightScales().empty()) {
    format.scale = cast<MemRefType>(op.getWeightScales()[0].getType()).getElementType();
    format.blockN = op.getWeightBlock()[1], format.blockK = op.getWeightBlock()[2];
  }
  return format;
}
static OperandFormat xFormat(GroupedMatmulOp op) {
  Type element = cast<MemRefType>(op.getX().getType()).getElementType();
  if (!op.getXScales())
    return {element};
  return {element, cast<MemRefType>(op.getXScales().getType()).getElementType(), 0, op.getXBlock()[1]};
}

void ProductKernel::emit(V begin, V end) {
  product = productFunction(op, target, weightFormat(op));
  pack = packFunction(op, xFormat(op));
  x = flatView(c, op.getX());
  for (Value w : op.getWeights())
    weights.push_back(flatView(c, w));
  int64_t tiles =
      plan.pieces == 1 ? std::min<int64_t>(4, plan.panels) : maxBlocks() * std::min(plan.maxChunk, plan.panels);
  packed = flatView(c, c.scratch({maxBlocks() * maxRows(target) * plan.piece + 64}, b.getF32Type()));
  sums = flatView(c, c.scratch({plan.weights * tiles * maxRows(target) * kPanel}, b.getF32Type()));
  offsets = flatView(c, c.scratch({plan.blockRows}, b.getIndexType()));
  if (op.getXScales()) {
    xScales = flatView(c, op.getXScales());
    scaleOffsets = flatView(c, c.scratch({plan.blockRows}, b.getIndexType()));
  }
  for (Value scales : op.getWeightScales())
    weightScales.push_back(flatView(c, scales));
  ProductSplit split(c, plan, c.dim(out, 0));
  c.loop(begin, end, [&](V i) {
    V group = zero, start = zero, count = split.rows, local = i;
    if (op.getOffsets()) {
      // Items of a group: its blocks times the chunks. The last ones may have no group.
      V groups = c.index(plan.groups);
      Vs found = c.loopWhile(
          {zero, i, zero, zero}, [&](ArrayRef<V> s) { return s[0] < groups; },
          [&](ArrayRef<V> s) -> Vs {
            V from = c.toIndex(c.load(op.getOffsets(), {s[0]})), to = c.toIndex(c.load(op.getOffsets(), {s[0] + one}));
            V n = to - from, items = c.ceilDiv(n, c.index(plan.blockRows)) * split.chunks;
            V here = s[1] < items;
            // Found: jump behind the end, remembering the group.
            return {c.select(here, s[0] + groups + one, s[0] + one), c.select(here, s[1], s[1] - items),
                    c.select(here, from, s[2]), c.select(here, n, zero)};
          });
      group = c.max(found[0] - groups - one, zero), local = found[1], start = found[2], count = found[3];
    }
    c.ifThen(zero < count, [&] {
      V blocks = plan.groups == 1 ? split.blocks : c.ceilDiv(count, c.index(plan.blockRows));
      V chunk = local / blocks, block = local % blocks;
      V r0 = count * block / blocks, r1 = count * (block + one) / blocks;
      V p0 = chunk * split.chunk, p1 = c.min(c.index(plan.panels), p0 + split.chunk);
      item(group, start + r0, r1 - r0, p0, p1 - p0);
    });
  });
}

void ProductKernel::item(V group, V first, V rows, V firstPanel, V panels) {
  V most = c.index(maxRows(target)), width = c.index(kPanel);
  // Where each row starts in x.
  V stride = strideOf(c, op.getX(), 0);
  c.loop(zero, rows, [&](V r) {
    V source = sourceRow(first + r);
    c.store(source * stride, offsets, {r});
    if (op.getXScales()) {
      int64_t block = op.getXBlock()[0];
      c.store(block ? source / c.index(block) * c.dim(op.getXScales(), 1) : zero, scaleOffsets, {r});
    }
  });
  V blocks = c.ceilDiv(rows, most);
  V tileSize = most * width; // of one panel of one block
  V groupBase = group * c.index(plan.panels * plan.k * kPanel);
  V panelStride = c.index(plan.k * kPanel);
  bool whole = plan.pieces == 1;
  c.loop(zero, c.index(plan.pieces), [&](V piece) {
    V k0 = piece * c.index(plan.piece), depth = c.min(c.index(plan.piece), c.index(plan.k) - k0);
    V start = piece == zero, last = piece == c.index(plan.pieces - 1);
    c.loop(zero, blocks, [&](V s) {
      V r0 = rows * s / blocks, n = rows * (s + one) / blocks - r0, r = blockRows(c, target, n);
      SmallVector<Value> operands = {x,  offsets, r0, n, r, packed, s * most * c.index(plan.piece), blockPitch(c, r),
                                     k0, depth};
      if (op.getXScales())
        operands.append({xScales, scaleOffsets});
      func::CallOp::create(b, c.loc, pack, operands);
    });
    V four = c.index(4);
    c.loop(zero, c.ceilDiv(panels, four), [&](V quad) {
      V p = quad * four, count = c.min(four, panels - p);
      c.loop(zero, blocks, [&](V s) {
        V r0 = rows * s / blocks, n = rows * (s + one) / blocks - r0, r = blockRows(c, target, n);
        // Sums: [weight][panel][row][16] of these four panels, or of all panels and blocks where k runs in pieces.
        V tile = whole ? zero : (s * panels + p) * tileSize;
        V weightStride = whole ? c.index(std::min<int64_t>(4, plan.panels)) * tileSize : blocks * panels * tileSize;
        for (auto [i, w] : llvm::enumerate(weights)) {
          V at = groupBase + (firstPanel + p) * panelStride + k0 * width;
          SmallVector<Value> operands = {
              r,           packed, s * most * c.index(plan.piece),   w,        at,    count,
              panelStride, sums,   tile + c.index(i) * weightStride, tileSize, depth, whole ? c.boolean(true) : start};
          if (!weightScales.empty()) {
            auto scales = cast<MemRefType>(op.getWeightScales()[i].getType());
            ArrayRef<int64_t> block = op.getWeightBlock();
            V from = block[0] ? group / c.index(block[0]) * c.index(scales.getDimSize(1) * scales.getDimSize(2)) : zero;
            if (block[2])
              from = from + k0 / c.index(block[2]);
            operands.append({weightScales[i], from, c.index(scales.getDimSize(2)), firstPanel + p});
          }
          func::CallOp::create(b, c.loc, product, operands);
        }
        auto finish = [&] { epilogue(group, first + r0, n, firstPanel + p, count, tile, weightStride); };
        if (whole)
          finish();
        else
          c.ifThen(last, finish);
      });
    });
  });
}

/// 16 elements of the last dimension; `mask` (if any) says which of them exist.
Value ProductKernel::readLine(Value memref, ArrayRef<V> at, V mask) {
  auto type = VectorType::get({kPanel}, cast<MemRefType>(memref.getType()).getElementType());
  SmallVector<Value> indices(at.begin(), at.end());
  if (!mask.v)
    return vector::LoadOp::create(b, c.loc, type, memref, indices);
  Value none = arith::ConstantOp::create(b, c.loc, b.getZeroAttr(type));
  return vector::MaskedLoadOp::create(b, c.loc, type, memref, indices, mask, none);
}

/// Rows [row, row + rows) of the output, `panels` panels from `panel`. A row's columns are written one after the other:
/// rows may lie whole pages apart.
void ProductKernel::epilogue(V group, V row, V rows, V panel, V panels, V tile, V weightStride) {
  Block &body = op.getEpilogue().front();
  auto f32 = VectorType::get({kPanel}, b.getF32Type());
  V width = c.index(kPanel), tileSize = c.index(maxRows(target) * kPanel);
  c.loop(zero, rows, [&](V r) {
    V p = row + r;
    // What is the same for a whole row is read once.
    SmallVector<Value> fixed(op.getExtras().size());
    V source;
    for (auto [i, extra] : llvm::enumerate(op.getExtras())) {
      int64_t kind = op.getExtraKinds()[i];
      if (kind == 3)
        fixed[i] = vector::BroadcastOp::create(
            b, c.loc, VectorType::get({kPanel}, cast<MemRefType>(extra.getType()).getElementType()),
            c.load(extra, {p}));
      else if (kind == 4 && !source.v)
        source = sourceRow(p);
    }
    c.loop(zero, panels, [&](V q) {
      V n = (panel + q) * width, sum = tile + q * tileSize + r * width;
      V mask;
      if (plan.columns % kPanel)
        mask = c.wrap(vector::CreateMaskOp::create(b, c.loc, VectorType::get({kPanel}, b.getI1Type()),
                                                   ValueRange{c.min(width, c.index(plan.columns) - n)}));
      SmallVector<Value> arguments;
      for (int64_t i = 0; i < plan.weights; ++i)
        arguments.push_back(vector::LoadOp::create(b, c.loc, f32, sums, ValueRange{sum + c.index(i) * weightStride}));
      for (auto [i, extra] : llvm::enumerate(op.getExtras())) {
        switch (op.getExtraKinds()[i]) {
        case 0:
          arguments.push_back(readLine(extra, {p, n}, mask));
          break;
        case 1:
          arguments.push_back(readLine(extra, {group, n}, mask));
          break;
        case 2:
          arguments.push_back(readLine(extra, {n}, mask));
          break;
        case 3:
          arguments.push_back(fixed[i]);
          break;
        default:
          arguments.push_back(readLine(extra, {source, n}, mask));
        }
      }
      Value result = cloneVectorized(b, c.loc, body, arguments, kPanel);
      if (mask.v)
        vector::MaskedStoreOp::create(b, c.loc, out, ValueRange{p, n}, mask, result);
      else
        vector::StoreOp::create(b, c.loc, result, out, ValueRange{p, n});
    });
  });
}

std::optional<KernelEmitter> moe::groupedMatmulEmitter(GroupedMatmulOp op, const CpuTarget &target) {
  auto weight = cast<MemRefType>(op.getWeights()[0].getType());
  if (op.getPacked() != kPanel || !weight.hasStaticShape() || weight.getNumElements() == 0 ||
      !weight.getLayout().isIdentity() || op.getWeights().size() > 4 ||
      !(op.getXScales() ? suitableScales(op.getXBlock().drop_front(), weight.getDimSize(2), op.getXScales())
                        : isVectorFloat(op.getX())) ||
      !(op.getWeightScales().empty()
            ? isVectorFloat(op.getWeights()[0])
            : suitableScales(op.getWeightBlock().drop_front(), weight.getDimSize(2), op.getWeightScales())) ||
      !isRowContiguous(op.getX()) || !isRowContiguous(op.getOuts().front()) ||
      !isVectorizable(op.getEpilogue().front()))
    return std::nullopt;
  for (auto [extra, kind] : llvm::zip(op.getExtras(), op.getExtraKinds()))
    if (kind != 3 && !isRowContiguous(extra))
      return std::nullopt;
  KernelEmitter emitter;
  emitter.items = [](OpBuilder &b, Location loc, Operation *o, ValueRange operands) -> Value {
    auto op = cast<GroupedMatmulOp>(o);
    Code c(b, loc);
    return ProductSplit(c, ProductPlan(op), c.dim(hostOperand(o, operands, op.getOuts().front()), 0)).count();
  };
  std::string isa = target.isa.str();
  emitter.body = [isa, bits = target.vectorBits](OpBuilder &b, Operation *o, Value begin, Value end) {
    Code c(b, o->getLoc());
    ProductKernel(c, cast<GroupedMatmulOp>(o), CpuTarget{isa, bits}).emit(c.wrap(begin), c.wrap(end));
    return success();
  };
  return emitter;
}
