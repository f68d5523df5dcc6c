//===- Attention.cpp - attention by tiles of queries and keys ----------------===//
//
// A work item is a block of queries of one head. Keys come in tiles at fixed positions (multiples of the tile, whatever
// the number of queries); each tile is packed once an item and used by all its rows, so there is no S x L matrix:
//
//   for key tiles in sight:  pack K as panels [d][16 keys], V as panels [key][16]
//     for blocks of <= 28 (6) queries:  Z = Q K^T;  z = scale, cap, mask, causal;  m' = max(m, z);  P = exp(Z - m')
//                                       where m grows: sum = sum * exp(m - m'), O = O * exp(m - m');  sum = sum + P;  O
//                                       = O + P V
//   out = O / sum
//
// Both products are the functions that packed products use.
//
//===----------------------------------------------------------------------===//
#include "Emitters.h"
#include "Microkernels.h"
#include "Vectorize.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Static sizes, equal for all targets: what is packed stays within about 200 KiB.
struct AttentionPlan {
  int64_t depth, width, heads, keyHeads, tile, block;

  explicit AttentionPlan(AttentionOp op) {
    auto shape = [](Value v) { return cast<MemRefType>(v.getType()).getShape(); };
    depth = shape(op.getQuery())[3], width = shape(op.getValue())[3];
    heads = shape(op.getQuery())[1], keyHeads = shape(op.getKey())[1];
    tile = depth + width <= 256 ? 64 : depth + width <= 768 ? 32 : 16;
    block = depth + width <= 256 ? 112 : 28;
  }
  /// Queries of an item, at most `block`: half as many where items would be few. `heads` are those of all batches.
  V perItem(Code &c, V heads, V queries) const {
    V few = heads * c.ceilDiv(queries, c.index(block)) < c.index(16);
    return c.select(few, c.index(std::max<int64_t>(28, block / 2)), c.index(block));
  }
  bool fits() const { return depth > 0 && width > 0 && depth + width <= 1280; }
  int64_t panels() const { return llvm::divideCeil(width, kPanel); }
};

class AttentionKernel {
public:
  AttentionKernel(Code &c, AttentionOp op, const CpuTarget &target)
      : c(c), b(c.b), op(op), target(target), plan(op), zero(c.index(0)), one(c.index(1)), f32(b.getF32Type()),
        line(VectorType::get({kPanel}, b.getF32Type())) {}

  void emit(V begin, V end);

private:
  void item(V batch, V head, V firstQuery, V queries);
  void packTile(V firstKey, V keys);
  void rows(V block, V row0, V count, V firstKey, V keys);
  void scoreRow(V block, V r, V query, V panels, V firstKey, V keys, bool seesAll);
  V flatRow(Value memref, V batch, V head, V row) {
    return batch * strideOf(c, memref, 0) + head * strideOf(c, memref, 1) + row * strideOf(c, memref, 2);
  }
  V splat(V scalar) { return c.wrap(vector::BroadcastOp::create(b, c.loc, line, scalar)); }
  V lineOf(V memref, V at) { return c.wrap(vector::LoadOp::create(b, c.loc, line, memref, ValueRange{at})); }
  void putLine(V value, V memref, V at) { vector::StoreOp::create(b, c.loc, value, memref, ValueRange{at}); }
  V scratch(int64_t n, Type type) { return flatView(c, c.scratch({n}, type)); }
  /// The mask's line of 16 keys from `key`, of which `keys` exist.
  V maskLine(V query, V key);

  Code &c;
  OpBuilder &b;
  AttentionOp op;
  CpuTarget target;
  AttentionPlan plan;
  V zero, one;
  Type f32;
  VectorType line;
  V query, key, value, length, queries, position; // position of query 0
  V batch, head, kvHead, firstQuery;
  V queryRows, keyRows, packedQ, packedK, packedV, packedP, scores, sums, tops, totals, lineStarts;
  func::FuncOp product, packQ, packK, packP;
};

} // namespace

void AttentionKernel::emit(V begin, V end) {
  auto element = [](Value v) { return cast<MemRefType>(v.getType()).getElementType(); };
  product = productFunction(op, target, {f32});
  packQ = packFunction(op, {element(op.getQuery())});
  packK = packFunction(op, {element(op.getKey())});
  packP = packFunction(op, {f32});
  query = flatView(c, op.getQuery()), key = flatView(c, op.getKey()), value = flatView(c, op.getValue());
  int64_t most = maxRows(target), blocks = llvm::divideCeil(plan.block, most), room = blocks * most;
  queryRows = scratch(plan.block, b.getIndexType());
  keyRows = scratch(plan.tile, b.getIndexType());
  packedQ = scratch(room * plan.depth + 64, f32);
  packedK = scratch(plan.tile * plan.depth, f32);
  packedV = scratch(plan.tile * plan.panels() * kPanel, f32);
  packedP = scratch((most + 2) * plan.tile + 64, f32);
  scores = scratch(plan.tile * most, f32);
  sums = scratch(room * plan.panels() * kPanel, f32);
  tops = scratch(room, f32);
  totals = scratch(room * kPanel, f32);
  lineStarts = scratch(most, b.getIndexType());
  c.loop(zero, c.index(most), [&](V r) { c.store(r * c.index(kPanel), lineStarts, {r}); });
  length = c.dim(op.getKey(), 2), queries = c.dim(op.getQuery(), 2);
  position = length - queries;
  // The last queries see the most keys: their items come first.
  V heads = c.index(plan.heads), all = c.dim(op.getQuery(), 0) * heads,
    blocksPerHead = c.ceilDiv(queries, plan.perItem(c, all, queries));
  c.loop(begin, end, [&](V i) {
    V nth = blocksPerHead - one - i / all, rest = i % all;
    V q0 = queries * nth / blocksPerHead, q1 = queries * (nth + one) / blocksPerHead;
    item(rest / heads, rest % heads, q0, q1 - q0);
  });
}

void AttentionKernel::item(V itsBatch, V itsHead, V first, V count) {
  batch = itsBatch, head = itsHead, firstQuery = first;
  kvHead = head / c.index(plan.heads / plan.keyHeads);
  V most = c.index(maxRows(target)), blocks = c.ceilDiv(count, most);
  V lowest = c.infinity(f32, true);
  // Queries packed, sums empty; a sink is a first key without a value.
  c.loop(zero, count, [&](V r) { c.store(flatRow(op.getQuery(), batch, head, first + r), queryRows, {r}); });
  V top = lowest, total = c.f32(0);
  if (op.getSinks()) {
    top = c.toFloat(c.loadWide(op.getSinks(), {head}), f32);
    total = c.select(top == lowest, c.f32(0), c.f32(1));
  }
  V alone = c.wrap(vector::InsertOp::create(b, c.loc, total, c.constant(line, 0.0), ArrayRef<int64_t>{0}));
  c.loop(zero, c.index(llvm::divideCeil(plan.block, maxRows(target)) * maxRows(target)), [&](V r) {
    c.store(top, tops, {r});
    putLine(alone, totals, r * c.index(kPanel));
    c.loop(zero, c.index(plan.panels()),
           [&](V p) { putLine(c.constant(line, 0.0), sums, (r * c.index(plan.panels()) + p) * c.index(kPanel)); });
  });
  auto blockOf = [&](V s) {
    return std::pair<V, V>{count * s / blocks, count * (s + one) / blocks - count * s / blocks};
  };
  c.loop(zero, blocks, [&](V s) {
    auto [r0, n] = blockOf(s);
    V r = blockRows(c, target, n);
    func::CallOp::create(b, c.loc, packQ,
                         ValueRange{query, queryRows, r0, n, r, packedQ, s * most * c.index(plan.depth),
                                    blockPitch(c, r), zero, c.index(plan.depth)});
  });
  // Keys in sight of any of the queries.
  V lo = zero, hi = length;
  if (op.getCausal())
    hi = c.max(zero, c.min(length, position + first + count));
  if (op.getWindow() > 0)
    lo = c.max(zero, position + first + one - c.index(op.getWindow()));
  V tile = c.index(plan.tile);
  c.loop(lo / tile, c.ceilDiv(hi, tile), [&](V t) {
    V j0 = t * tile, keys = c.min(tile, hi - j0);
    packTile(j0, keys);
    c.loop(zero, blocks, [&](V s) {
      std::pair<V, V> block = blockOf(s);
      V r0 = block.first, n = block.second, mine = keys;
      if (op.getCausal())
        mine = c.min(keys, position + first + r0 + n - j0);
      c.ifThen(zero < mine, [&] { rows(s, r0, n, j0, mine); });
    });
  });
  // out = O / sum, rows without any key are 0.
  Value out = op.getOuts().front();
  V outFlat = flatView(c, out);
  Type element = cast<MemRefType>(out.getType()).getElementType();
  auto stored = VectorType::get({kPanel}, element);
  c.loop(zero, blocks, [&](V s) {
    std::pair<V, V> block = blockOf(s);
    V r0 = block.first, n = block.second;
    c.loop(zero, n, [&](V r) {
      V sum = c.wrap(vector::ReductionOp::create(b, c.loc, vector::CombiningKind::ADD,
                                                 lineOf(totals, (s * most + r) * c.index(kPanel)),
                                                 arith::FastMathFlags::reassoc));
      V inverse = c.select(sum == c.f32(0), c.f32(0), c.f32(1) / sum);
      V to = flatRow(out, batch, head, first + r0 + r), base = s * most * c.index(plan.panels() * kPanel);
      for (int64_t p = 0; p < plan.panels(); ++p) {
        Value v = lineOf(sums, base + (c.index(p) * most + r) * c.index(kPanel)) * splat(inverse);
        if (!element.isF32())
          v = arith::TruncFOp::create(b, c.loc, stored, v);
        int64_t left = plan.width - p * kPanel;
        V at = to + c.index(p * kPanel);
        if (left >= kPanel)
          vector::StoreOp::create(b, c.loc, v, outFlat, ValueRange{at});
        else
          vector::MaskedStoreOp::create(b, c.loc, outFlat, ValueRange{at},
                                        vector::CreateMaskOp::create(b, c.loc, VectorType::get({kPanel}, b.getI1Type()),
                                                                     ValueRange{c.index(left)}),
                                        v);
      }
    });
  });
}

/// K as panels [d][16 keys] (keys past the last repeat it; their scores are masked), V as panels [key][16].
void AttentionKernel::packTile(V firstKey, V keys) {
  V width = c.index(kPanel);
  c.loop(zero, keys, [&](V j) { c.store(flatRow(op.getKey(), batch, kvHead, firstKey + j), keyRows, {j}); });
  c.loop(zero, c.ceilDiv(keys, width), [&](V p) {
    func::CallOp::create(b, c.loc, packK,
                         ValueRange{key, keyRows, p * width, c.min(width, keys - p * width), width, packedK,
                                    p * c.index(plan.depth * kPanel), width, zero, c.index(plan.depth)});
  });
  Type element = cast<MemRefType>(op.getValue().getType()).getElementType();
  auto stored = VectorType::get({kPanel}, element);
  c.loop(zero, keys, [&](V j) {
    V from = flatRow(op.getValue(), batch, kvHead, firstKey + j);
    for (int64_t p = 0; p < plan.panels(); ++p) {
      int64_t left = plan.width - p * kPanel;
      V at = from + c.index(p * kPanel);
      Value v;
      if (left >= kPanel) {
        v = vector::LoadOp::create(b, c.loc, stored, value, ValueRange{at});
      } else {
        Value none = arith::ConstantOp::create(b, c.loc, b.getZeroAttr(stored));
        Value mask =
            vector::CreateMaskOp::create(b, c.loc, VectorType::get({kPanel}, b.getI1Type()), ValueRange{c.index(left)});
        v = vector::MaskedLoadOp::create(b, c.loc, stored, value, ValueRange{at}, mask, none);
      }
      if (!element.isF32())
        v = arith::ExtFOp::create(b, c.loc, line, v);
      putLine(c.wrap(v), packedV, (c.index(p * plan.tile) + j) * width);
    }
  });
}

/// One tile of keys for `count` queries from `row0` of the item; `keys` of the tile are in sight.
void AttentionKernel::rows(V block, V row0, V count, V firstKey, V keys) {
  V most = c.index(maxRows(target)), width = c.index(kPanel), tileSize = most * width;
  V r = blockRows(c, target, count), pitch = blockPitch(c, r), panels = c.ceilDiv(keys, width);
  V sumsAt = block * most * c.index(plan.panels() * kPanel);
  func::CallOp::create(b, c.loc, product,
                       ValueRange{r, packedQ, block * most * c.index(plan.depth), packedK, zero, panels,
                                  c.index(plan.depth * kPanel), scores, zero, tileSize, c.index(plan.depth),
                                  c.boolean(true)});
  // Most tiles are whole and in sight of every row.
  V seesAll = keys == c.index(plan.tile);
  if (op.getCausal())
    seesAll = seesAll & (firstKey + keys <= position + firstQuery + row0 + one);
  if (op.getWindow() > 0)
    seesAll = seesAll & (position + firstQuery + row0 + count - c.index(op.getWindow()) <= firstKey);
  auto scoreRows = [&](bool all) -> Vs {
    c.loop(zero, count, [&](V i) { scoreRow(block, i, firstQuery + row0 + i, panels, firstKey, keys, all); });
    return {};
  };
  c.ifElse(seesAll, [&] { return scoreRows(true); }, [&] { return scoreRows(false); });
  // Weights as [key][row]: each panel of scores is [row][16 keys].
  c.loop(zero, panels, [&](V p) {
    func::CallOp::create(
        b, c.loc, packP,
        ValueRange{scores, lineStarts, zero, count, r, packedP, p * width * pitch, pitch, p * tileSize, width});
  });
  func::CallOp::create(b, c.loc, product,
                       ValueRange{r, packedP, zero, packedV, zero, c.index(plan.panels()), c.index(plan.tile * kPanel),
                                  sums, sumsAt, tileSize, keys, c.boolean(false)});
}

V AttentionKernel::maskLine(V query, V key) {
  Value mask = op.getMask();
  auto type = cast<MemRefType>(mask.getType());
  auto at = [&](int64_t d, V index) {
    if (type.getDimSize(d) == 1)
      return zero;
    return type.isDynamicDim(d) ? c.select(c.dim(mask, d) == one, zero, index) : index;
  };
  SmallVector<Value> indices = {at(0, batch), at(1, head), at(2, query), at(3, key)};
  auto stored = VectorType::get({kPanel}, type.getElementType());
  Value none = arith::ConstantOp::create(b, c.loc, b.getZeroAttr(stored));
  auto lanes = VectorType::get({kPanel}, b.getI1Type());
  Value live = vector::CreateMaskOp::create(b, c.loc, lanes, ValueRange{c.min(c.index(kPanel), length - key)});
  auto wide = [&](Value v) {
    return type.getElementType().isF32() ? v : Value(arith::ExtFOp::create(b, c.loc, line, v));
  };
  auto whole = [&]() -> Vs {
    return {c.wrap(wide(vector::MaskedLoadOp::create(b, c.loc, stored, mask, indices, live, none)))};
  };
  auto same = [&]() -> Vs { return {splat(c.toFloat(c.loadWide(mask, indices), f32))}; };
  if (type.getDimSize(3) == 1)
    return same()[0];
  return type.isDynamicDim(3) ? c.ifElse(c.dim(mask, 3) == one, same, whole)[0] : whole()[0];
}

/// Scores of row `r` of the block become weights against the row's maximum so far; where that grows, the older sums are
/// scaled.
void AttentionKernel::scoreRow(V block, V r, V query, V panels, V firstKey, V keys, bool seesAll) {
  V width = c.index(kPanel), tileSize = c.index(maxRows(target)) * width, state = block * c.index(maxRows(target)) + r;
  auto lanes = VectorType::get({kPanel}, b.getI1Type());
  V lowest = c.infinity(f32, true), lowestLine = c.infinity(line, true),
    scale = c.constant(line, op.getScale().convertToDouble());
  double cap = op.getSoftcap().convertToDouble();
  V here = position + query, upper = firstKey + keys;
  if (op.getCausal())
    upper = c.min(upper, here + one);
  auto below = [&](V limit, V base) { // lanes whose key is below the limit
    return c.wrap(vector::CreateMaskOp::create(b, c.loc, lanes, ValueRange{c.max(zero, c.min(width, limit - base))}));
  };
  V best = c.loop(zero, panels, {lowestLine}, [&](V p, ArrayRef<V> s) -> Vs {
    V at = p * tileSize + r * width, base = firstKey + p * width;
    V z = lineOf(scores, at) * scale;
    if (cap > 0) {
      // tanh(y) = 1 - 2 / (exp(2 y) + 1)
      V e = c.wrap(fastExp(b, c.loc, z * c.constant(line, 2 / cap)));
      z = (c.constant(line, 1) - c.constant(line, 2) / (e + c.constant(line, 1))) * c.constant(line, cap);
    }
    if (op.getMask())
      z = z + maskLine(query, base);
    if (!seesAll)
      z = c.select(below(upper, base), z, lowestLine);
    if (!seesAll && op.getWindow() > 0)
      z = c.select(below(here + one - c.index(op.getWindow()), base), lowestLine, z);
    putLine(z, scores, at);
    return {c.select(s[0] > z, s[0], z)};
  })[0];
  V old = c.load(tops, {state});
  V most = c.wrap(vector::ReductionOp::create(b, c.loc, vector::CombiningKind::MAXNUMF, best));
  V top = c.select(most > old, most, old);
  // Nothing in sight yet: exp(-inf - 0) is 0.
  V from = c.select(top == lowest, c.f32(0), top);
  V against = splat(from);
  // Where the maximum stays, the factor is 1.
  c.ifThen(top != old, [&] {
    V keep = c.wrap(fastExp(b, c.loc, splat(old - from)));
    putLine(lineOf(totals, state * width) * keep, totals, state * width);
    V sumsAt = block * c.index(plan.panels()) * tileSize + r * width;
    for (int64_t p = 0; p < plan.panels(); ++p) {
      V at = sumsAt + c.index(p) * tileSize;
      putLine(lineOf(sums, at) * keep, sums, at);
    }
    c.store(top, tops, {state});
  });
  V total = c.loop(zero, panels, {lineOf(totals, state * width)}, [&](V p, ArrayRef<V> s) -> Vs {
    V at = p * tileSize + r * width;
    V w = c.wrap(fastExp(b, c.loc, lineOf(scores, at) - against));
    putLine(w, scores, at);
    return {s[0] + w};
  })[0];
  putLine(total, totals, state * width);
}

std::optional<KernelEmitter> moe::attentionEmitter(AttentionOp op, const CpuTarget &target) {
  AttentionPlan plan(op);
  SmallVector<Value> arrays = {op.getQuery(), op.getKey(), op.getValue(), op.getOuts().front()};
  if (op.getMask())
    arrays.push_back(op.getMask());
  if (!plan.fits() || !llvm::all_of(arrays, isVectorFloat) || !llvm::all_of(arrays, isRowContiguous))
    return std::nullopt;
  KernelEmitter emitter;
  emitter.items = [](OpBuilder &b, Location loc, Operation *o, ValueRange operands) -> Value {
    auto op = cast<AttentionOp>(o);
    Code c(b, loc);
    Value query = hostOperand(o, operands, op.getQuery());
    AttentionPlan plan(op);
    V heads = c.dim(query, 0) * c.index(plan.heads), queries = c.dim(query, 2);
    return heads * c.ceilDiv(queries, plan.perItem(c, heads, queries));
  };
  std::string isa = target.isa.str();
  emitter.body = [isa, bits = target.vectorBits](OpBuilder &b, Operation *o, Value begin, Value end) {
    Code c(b, o->getLoc());
    AttentionKernel(c, cast<AttentionOp>(o), CpuTarget{isa, bits}).emit(c.wrap(begin), c.wrap(end));
    return success();
  };
  return emitter;
}
