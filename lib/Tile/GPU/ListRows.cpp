//===- ListRows.cpp - the work of a product over given groups of rows -----===//
//
// Every block sums up all groups (1024 at most), so that blocks need not meet; then they share the rows and the entries.
//
//===----------------------------------------------------------------------===//
#include "Emitters.h"
#include "WorkList.h"
#include "dialects/moe/Moe.h"

using namespace mlir;
using namespace mlir::moe;

namespace {
class ListRows : WorkList {
public:
  static constexpr int64_t kThreads = 1024;
  ListRows(OpBuilder &b, ListRowsOp op) : WorkList(b, op.getLoc(), kThreads), op(op) {
    position = op.getOuts()[0], shift = op.getOuts()[1], items = op.getOuts()[2], counters = op.getOuts()[3];
    groups = cast<MemRefType>(shift.getType()).getDimSize(0);
  }

  void emit() {
    Type i = i32Type();
    starts = alloc({groups}, i);
    shifts = alloc({groups}, i);
    allocateSums();
    start(/*dependent=*/true);
    open();
    V rows = fromIndex(dim(position, 0), i), all = blocks * n(kThreads), first = block * n(kThreads) + thread;
    strided(first, n(16 + groups) + entriesOf(rows), all, [&](V at) { store(n(0), counters, at); });
    // Thread g has group g.
    V mine = below(thread, n(groups));
    Vs bounds =
        op.getOffsets()
            ? ifElse(
                  mine,
                  [&]() -> Vs { return {load(op.getOffsets(), thread, i), load(op.getOffsets(), thread + n(1), i)}; },
                  [&]() -> Vs { return {n(0), n(0)}; })
            : Vs{n(0), select(mine, rows, n(0))};
    V count = bounds[1] - bounds[0], entries = entriesOf(count);
    int64_t used = (groups + 31) / 32;
    V rowStart = scan(paddedRows(count), 0, used).first;
    std::pair<V, V> item = scan(entries, 1, used); // the group's first, and all
    ifThen(mine, [&] {
      write(bounds[0], starts, thread);
      write(rowStart - bounds[0], shifts, thread);
      ifThen(block == n(0), [&] { store(rowStart - bounds[0], shift, thread); });
      strided(block, entries, blocks, [&](V at) { writeEntry(items, thread, at, count, rowStart, item.first); });
    });
    ifThen((block == n(0)) & (thread == n(0)), [&] {
      store(item.second, items, n(0));
      store(rows, items, n(1));
    });
    syncBlock();
    strided(first, rows, all, [&](V p) {
      V from = op.getRows() ? load(op.getRows(), p, i) : p;
      store(p + read(shifts, groupOf(p), i), position, from);
    });
  }

private:
  /// The last group that begins at row p or before: empty ones in front of it begin there too.
  V groupOf(V p) {
    V g = n(0);
    int64_t step = 1;
    while (2 * step < groups)
      step *= 2;
    for (; groups > 1 && step; step /= 2) {
      V next = g + n(step), inside = least(next, n(groups - 1));
      g = select(below(next, n(groups)) & (read(starts, inside, i32Type()) <= p), next, g);
    }
    return g;
  }

  ListRowsOp op;
  int64_t groups;
  Value position, shift, items, counters;
  Value starts, shifts;
};
} // namespace

KernelEmitter moe::emitListRows(Operation *) {
  KernelEmitter emitter;
  // A block for every 1024 rows, up to one a multiprocessor, and one where there are none.
  emitter.items = [](OpBuilder &b, Location loc, Operation *op, ValueRange operands) -> Value {
    Code c(b, loc);
    V rows = c.dim(operands[0], 0) * c.index(cast<ListRowsOp>(op).getK());
    return rows / c.index(ListRows::kThreads) + c.index(1);
  };
  emitter.body = [](OpBuilder &b, Operation *op, Value, Value) -> LogicalResult {
    ListRows(b, cast<ListRowsOp>(op)).emit();
    return success();
  };
  emitter.block = BlockLaunch{ListRows::kThreads, BlockLaunch::PerMultiprocessor, /*dependent=*/true};
  return emitter;
}
