//===- OuterProduct.cpp - moe.grouped_outer_product: contractions over the rows of each group ---===//
//
// One block a multiprocessor goes through the tiles of all groups: 128 rows of the result (columns of dy) by 256 columns (of x). The contraction runs
// over the rows of dy and x as they lie in memory, so both operands of the tensor cores have their K leading (tile.mma transposed), and boxes of
// 64 rows x 64 columns come through tensor maps.
//
//   warp 0, one thread    boxes: 2 of dy and 4 of x, 48 KB a stage
//   warps 4 to 11         two warpgroups of 64 x 256 sums: products, and the sums to memory
//
// The last box of a group also holds rows of the next one. They are set to zero in both operands (an infinity times zero would not be zero).
// Nobody draws tiles: tile t belongs to block t mod blocks, so that the tiles of one group, which cost the same, are spread over all blocks. A tile's
// sums are added in the order of its rows, whoever has it.
//
//===----------------------------------------------------------------------===//
#include "../BlockCode.h"
#include "../Emitters.h"

#include "dialects/moe/Moe.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::tile;

namespace {
constexpr int64_t kStages = 4, kSide = 64; // rows and columns of a box
constexpr int64_t kTileRows = 128, kTileColumns = 256, kRowBoxes = kTileRows / kSide,
                  kColumnBoxes = kTileColumns / kSide;
constexpr int64_t kBoxElements = kSide * kSide, kStageBytes = (kRowBoxes + kColumnBoxes) * kBoxElements * 2;
constexpr int64_t kConsumers = 256;
constexpr int kThreads = 384;
constexpr int32_t kProducerRegisters = 40, kConsumerRegisters = 232;

int64_t upTo(int64_t a, int64_t c) { return (a + c - 1) / c; }
MemRefType buffer(Value v) { return cast<MemRefType>(v.getType()); }

class OuterProduct : BlockCode {
public:
  OuterProduct(OpBuilder &b, GroupedOuterProductOp op)
      : BlockCode(b, op.getLoc()), op(op), out(op.getOuts().front()), groups(buffer(out).getDimSize(0)),
        rows(buffer(out).getDimSize(1)), columns(buffer(out).getDimSize(2)) {}
  static int64_t tilesOfGroup(MemRefType out) {
    return upTo(out.getDimSize(1), kTileRows) * upTo(out.getDimSize(2), kTileColumns);
  }

  void emit() {
    Type element = buffer(op.getX()).getElementType();
    dyRing = alloc({kStages * kRowBoxes, kSide, kSide}, element, true);
    xRing = alloc({kStages * kColumnBoxes, kSide, kSide}, element, true);
    full = barriers(kStages, 1);
    empty = barriers(kStages, kConsumers / 32);
    start(/*dependent=*/true);
    auto roles = RolesOp::create(b, loc, ArrayRef<int32_t>{0, 4}, ArrayRef<bool>{true, false},
                                 ArrayRef<int32_t>{kProducerRegisters, kConsumerRegisters, kConsumerRegisters}, 2);
    role(roles, 0, [&] { produce(); });
    role(roles, 1, [&] { consume(); });
  }

private:
  /// A tile: where its group's rows begin and end, and where its own part of the result begins.
  struct Tile {
    V group, begin, end, row, column;
    V boxes; ///< of rows
  };
  /// A stage of the rings and the parity of its current use.
  struct Stage {
    V index, parity;
  };

  void forEachTile(llvm::function_ref<Stage(const Tile &, Stage)> body) {
    int64_t across = upTo(columns, kTileColumns), own = tilesOfGroup(buffer(out));
    loopWhile(
        {id(IdKind::Block), n(0), n(0)}, [&](ArrayRef<V> a) { return below(a[0], n(groups * own)); },
        [&](ArrayRef<V> a) -> Vs {
          V group = a[0] / n(own), part = a[0] % n(own);
          V begin = load(op.getOffsets(), group, i32Type()), end = load(op.getOffsets(), group + n(1), i32Type());
          Tile t{group,
                 begin,
                 end,
                 part / n(across) * n(kTileRows),
                 part % n(across) * n(kTileColumns),
                 shr(end - begin + n(kSide - 1), 6)};
          Stage after = body(t, {a[1], a[2]});
          return {a[0] + id(IdKind::Blocks), after.index, after.parity};
        });
  }
  /// Runs `body` for each box of rows, in the next stage; `carried` goes through.
  Vs overBoxes(const Tile &t, Stage stage, ArrayRef<V> carried,
               llvm::function_ref<Vs(V row, Stage, ArrayRef<V>)> body) {
    Vs init = {stage.index, stage.parity};
    llvm::append_range(init, carried);
    return loop(index(0), toIndex(t.boxes), init, [&](V i, ArrayRef<V> a) -> Vs {
      V up = a[0] + n(1), wraps = up == n(kStages);
      Vs r = {select(wraps, n(0), up), bitXor(a[1], number(wraps))};
      llvm::append_range(r, body(t.begin + shl(fromIndex(i, i32Type()), 6), {a[0], a[1]}, a.drop_front(2)));
      return r;
    });
  }
  Value box(Value ring, V stage, int64_t boxes, V i) { return view(ring, stage * n(boxes) + i, 1, {kSide, kSide}); }

  //===- Boxes ----------------------------------------------------------------===//

  void produce() {
    forEachTile([&](const Tile &t, Stage stage) -> Stage {
      Vs s = overBoxes(t, stage, {}, [&](V row, Stage s, ArrayRef<V>) -> Vs {
        wait(empty, s.index, bitXor(s.parity, n(1)));
        ExpectOp::create(b, loc, full, s.index, n(kStageBytes));
        auto copy = [&](Value source, V column, Value ring, int64_t boxes) {
          for (int64_t i = 0; i < boxes; ++i)
            CopyBoxOp::create(b, loc, source, ValueRange{row, column + n(i * kSide)}, box(ring, s.index, boxes, n(i)),
                              full, s.index);
        };
        copy(op.getDy(), t.row, dyRing, kRowBoxes);
        copy(op.getX(), t.column, xRing, kColumnBoxes);
        return {};
      });
      return {s[0], s[1]};
    });
  }

  //===- Products -------------------------------------------------------------===//

  void consume() {
    V group = id(IdKind::Warpgroup) - n(1), thread = id(IdKind::Thread) - n(kThreads - kConsumers);
    auto type = f32Fragment({kSide, kTileColumns}, Layout::Mma);
    forEachTile([&](const Tile &t, Stage stage) -> Stage {
      V zeros = wrap(SplatOp::create(b, loc, type, ValueRange{f32(0)}));
      Vs r = overBoxes(t, stage, {zeros}, [&](V row, Stage s, ArrayRef<V> sums) -> Vs {
        wait(full, s.index, s.parity);
        V own = t.end - row;
        ifThen(below(own, n(kSide)), [&] { clear(s, own, thread); });
        Value x = view(xRing, s.index, kColumnBoxes, {kColumnBoxes, kSide, kSide});
        auto product =
            MmaOp::create(b, loc, TypeRange(PendingType::get(b.getContext(), type)),
                          box(dyRing, s.index, kRowBoxes, group), x, sums[0].v, ValueRange(), /*transposed=*/true);
        auto done = MmaWaitOp::create(b, loc, TypeRange(type), product.getPending(), b.getI32IntegerAttr(0));
        arrive(empty, s.index, true);
        return {wrap(done.getFragments()[0])};
      });
      V first = t.row + group * n(kSide);
      V offset = (wide(t.group) * wide(rows) + wide(first)) * wide(columns) + wide(t.column);
      StoreFragmentOp::create(b, loc, r[2], out, offset, n(rows) - first, n(columns) - t.column,
                              b.getI64IntegerAttr(columns));
      return {r[0], r[1]};
    });
  }
  /// Rows from `own` on are another group's: zero in all boxes of the stage, before the tensor cores read them. All threads of both warpgroups.
  void clear(Stage s, V own, V thread) {
    V zero = vector4({n(0), n(0), n(0), n(0)}), piece = shl(thread & n(7), 3);
    constexpr int64_t step = kConsumers / 8; // 8 pieces of 16 bytes a row
    for (int64_t pass = 0; pass < kSide; pass += step) {
      V row = shr(thread, 3) + n(pass), place = row * n(kSide) + piece;
      ifThen(below(row, own) == boolean(false), [&] {
        for (auto [ring, boxes] : {std::pair{dyRing, kRowBoxes}, std::pair{xRing, kColumnBoxes}})
          for (int64_t i = 0; i < boxes; ++i)
            write(zero, ring, (s.index * n(boxes) + n(i)) * n(kBoxElements) + place);
      });
    }
    FenceAsyncOp::create(b, loc);
    sync(n(1), kConsumers);
  }

  GroupedOuterProductOp op;
  Value out;
  int64_t groups, rows, columns;
  Value dyRing, xRing, full, empty;
};
} // namespace

std::optional<KernelEmitter> moe::emitGroupedOuterProduct(Operation *o) {
  auto op = cast<GroupedOuterProductOp>(o);
  MemRefType dy = buffer(op.getDy()), x = buffer(op.getX()), out = buffer(op.getOuts().front());
  Type element = x.getElementType(), result = out.getElementType();
  // Boxes are cut from rows of whole 16 bytes; tiles are counted in 32 bits.
  bool plain =
      llvm::all_of(op->getOperandTypes(), [](Type type) { return cast<MemRefType>(type).getLayout().isIdentity(); });
  if (!plain || !(element.isBF16() || element.isF16()) || !(result.isF32() || result.isBF16() || result.isF16()) ||
      !out.hasStaticShape() || out.getDimSize(1) % 8 || out.getDimSize(2) % 8 || dy.isDynamicDim(1) ||
      x.isDynamicDim(1) || !isa<BlockArgument>(op.getDy()) || !isa<BlockArgument>(op.getX()))
    return std::nullopt;
  int64_t tiles = OuterProduct::tilesOfGroup(out);
  if (out.getDimSize(0) > (int64_t(1) << 30) / std::max<int64_t>(tiles, 1))
    return std::nullopt;
  KernelEmitter emitter;
  emitter.items = [tiles](OpBuilder &b, Location loc, Operation *, ValueRange operands) -> Value {
    Code c(b, loc);
    return c.dim(operands.back(), 0) * c.index(tiles);
  };
  emitter.body = [](OpBuilder &b, Operation *op, Value, Value) -> LogicalResult {
    OuterProduct(b, cast<GroupedOuterProductOp>(op)).emit();
    return success();
  };
  emitter.block = BlockLaunch{kThreads,
                              BlockLaunch::PerMultiprocessor,
                              /*dependent=*/true,
                              {{0, {kSide, kSide}, 128}, {1, {kSide, kSide}, 128}}};
  return emitter;
}
