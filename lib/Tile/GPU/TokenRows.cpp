//===- TokenRows.cpp - tokens to their experts' rows and back -------------===//
//
//   moe.quantize_rows    a warp takes 128 columns of a token: scale, codes, and the same 128 bytes to each of its k rows
//   moe.copy_rows        a warp takes 64 columns of 16 bits, to the same places
//   moe.combine          a thread takes 8 columns of a token: k rows of 16 bits, weighted, in slot order
//
//===----------------------------------------------------------------------===//
#include "Emitters.h"
#include "QuantizeBlock.h"
#include "dialects/moe/Moe.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::tile;

namespace {
constexpr int64_t kThreads = 256, kWarps = kThreads / 32;

int64_t upTo(int64_t a, int64_t c) { return (a + c - 1) / c; }
MemRefType buffer(Value v) { return cast<MemRefType>(v.getType()); }

/// Tokens in blocks of 128 bytes to the rows of their assignments: a warp takes one.
template <typename Block, typename Op> class ToRows : public Block {
  using Block::dim, Block::fromIndex, Block::id, Block::ifElse, Block::ifThen, Block::load, Block::n, Block::wrap,
      Block::b, Block::loc, Block::k;

public:
  template <typename... Outs>
  ToRows(OpBuilder &b, Op op, Outs... outs) : Block(b, op.getLoc(), op.getX(), outs..., op.getK()), op(op) {}
  static int64_t chunks(int64_t hidden) { return upTo(Block::blocks(hidden), kWarps); }

  void emit(llvm::function_ref<void(Block &, V token, V kb, V lane, V own)> move) {
    this->start(/*dependent=*/true);
    // All tokens' first columns, then their next: what is written at one time stays within a few of the planes.
    V block = id(BlockCode::IdKind::Block), lane = id(BlockCode::IdKind::Lane), warp = id(BlockCode::IdKind::Warp);
    V tokens = wrap(arith::IndexCastOp::create(b, loc, b.getI32Type(), dim(op.getX(), 0)));
    V chunk = wrap(arith::DivUIOp::create(b, loc, block, tokens)), token = block - chunk * tokens,
      kb = chunk * n(kWarps) + warp;
    ifThen(this->below(kb, n(Block::blocks(this->hidden))), [&] {
      V own = ifElse(
          this->below(lane, n(k)),
          [&]() -> Vs { return {load(op.getPosition(), token * n(k) + lane, b.getI32Type())}; },
          [&]() -> Vs { return {n(0)}; })[0];
      move(*this, token, kb, lane, own);
    });
  }

private:
  Op op;
};
struct QuantizeRows : ToRows<QuantizeBlock, QuantizeRowsOp> {
  QuantizeRows(OpBuilder &b, QuantizeRowsOp op) : ToRows(b, op, op.getOuts()[0], op.getOuts()[1]) {}
  void emit() {
    ToRows::emit([](QuantizeBlock &c, V token, V kb, V lane, V own) {
      c.scatter(c.quantize(token, kb, lane, c.boolean(true)), kb, lane, own);
    });
  }
};
struct CopyRows : ToRows<CopyBlock, CopyRowsOp> {
  CopyRows(OpBuilder &b, CopyRowsOp op) : ToRows(b, op, op.getOuts()[0]) {}
  void emit() {
    ToRows::emit([](CopyBlock &c, V token, V kb, V lane, V own) {
      c.scatter(c.copy(token, kb, lane, c.boolean(true)), kb, lane, own);
    });
  }
};

class Combine : BlockCode {
public:
  Combine(OpBuilder &b, CombineOp op)
      : BlockCode(b, op.getLoc()), op(op), hidden(buffer(op.getY()).getDimSize(1)), k(op.getK()) {}
  static int64_t chunks(int64_t hidden) { return upTo(hidden, 8 * kThreads); }

  void emit() {
    start(/*dependent=*/true);
    V block = id(IdKind::Block), thread = id(IdKind::Thread);
    V token = block / n(chunks(hidden)), column = shl(block % n(chunks(hidden)) * n(kThreads) + thread, 3);
    ifThen(below(column, n(hidden)), [&] {
      V at = wide(token) * wide(hidden) + wide(column);
      Vs sum(8, f32(0));
      if (op.getResidual())
        for (auto [v, r] : llvm::zip(sum, loadEight(op.getResidual(), at)))
          v = widen(r);
      for (int64_t j = 0; j < k; ++j) {
        V slot = token * n(k) + n(j), row = load(op.getPosition(), slot, i32Type());
        V w = op.getWeights() ? widen(load(op.getWeights(), slot, buffer(op.getWeights()).getElementType())) : f32(1);
        Vs y = loadEight(op.getY(), wide(row) * wide(hidden) + wide(column));
        for (size_t i = 0; i < 8; ++i)
          sum[i] = sum[i] + w * widen(y[i]);
      }
      for (V &v : sum)
        v = toFloat(v, buffer(op.getOuts()[0]).getElementType());
      storeEight(sum, op.getOuts()[0], at);
    });
  }

private:
  CombineOp op;
  int64_t hidden, k;
};
} // namespace

template <typename Kernel, typename Op> static KernelEmitter perToken(int64_t chunks) {
  KernelEmitter emitter;
  emitter.items = [chunks](OpBuilder &b, Location loc, Operation *op, ValueRange operands) -> Value {
    Code c(b, loc);
    // Tokens: rows of x, or of the result.
    V tokens = c.dim(isa<CombineOp>(op) ? operands.back() : operands.front(), 0), items = tokens * c.index(chunks);
    auto quantize = dyn_cast<QuantizeRowsOp>(op);
    // Few tokens are quantized where they are routed.
    return quantize && quantize.getFew() ? c.select(tokens > c.index(quantize.getFew()), items, c.index(0)) : items;
  };
  emitter.body = [](OpBuilder &b, Operation *op, Value, Value) -> LogicalResult {
    Kernel(b, cast<Op>(op)).emit();
    return success();
  };
  emitter.block = BlockLaunch{kThreads, BlockLaunch::PerItem, /*dependent=*/true};
  return emitter;
}

KernelEmitter moe::emitQuantizeRows(Operation *op) {
  return perToken<QuantizeRows, QuantizeRowsOp>(
      QuantizeRows::chunks(buffer(cast<QuantizeRowsOp>(op).getX()).getDimSize(1)));
}

KernelEmitter moe::emitCopyRows(Operation *op) {
  return perToken<CopyRows, CopyRowsOp>(CopyRows::chunks(buffer(cast<CopyRowsOp>(op).getX()).getDimSize(1)));
}

std::optional<KernelEmitter> moe::emitCombine(Operation *op) {
  auto combine = cast<CombineOp>(op);
  int64_t hidden = buffer(combine.getY()).getDimSize(1);
  auto wideRows = [](Value v) {
    return !v || (buffer(v).getElementType().getIntOrFloatBitWidth() <= 32 && buffer(v).getLayout().isIdentity());
  };
  if (ShapedType::isDynamic(hidden) || hidden % 8 || static_cast<int64_t>(combine.getK()) > 64 ||
      buffer(combine.getY()).getElementTypeBitWidth() != 16 || !wideRows(combine.getY()) ||
      !wideRows(combine.getResidual()) || !wideRows(combine.getOuts()[0]))
    return std::nullopt;
  return perToken<Combine, CombineOp>(Combine::chunks(hidden));
}
