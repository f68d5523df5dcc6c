//===- LoopsLinalg.cpp - linalg operations as loops -----------------------===//
//
// Work is cut along the parallel dims. Inside an item one dim runs innermost, so that LLVM vectorises it: the parallel
// dim that is contiguous in the output, or the reduction dim where the inputs are contiguous along that.
//
//   linalg.generic ins(%a: memref<?x64xf32>) outs(%o: memref<?x64xf32>) ["parallel", "parallel"]
//     ->   scf.for %row { scf.for %j = 0 to 64 { load, the region's ops, store } }
//
// A check (moe.checked) becomes an assertion where its value is computed; one that all elements of a row share stands
// before the row's loop.
//
//===----------------------------------------------------------------------===//
#include "Loops.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::moe;

namespace {
/// The order in which the dims of an operation are looped over.
struct LoopOrder {
  SmallVector<unsigned> outer;      ///< parallel dims that make the rows
  int inner = -1;                   ///< the parallel dim that runs inside a row, or none
  SmallVector<unsigned> reductions; ///< reduction dims; the fastest comes last
  bool innermostReduction = false;  ///< reductions run inside (values carried in registers) or around `inner`
};
} // namespace

/// The dim that moves fastest in memory through `map` of an operand, or -1 if it is not contiguous.
static int contiguousDim(Value operand, AffineMap map) {
  auto type = dyn_cast<MemRefType>(operand.getType());
  if (!type || type.getRank() == 0)
    return -1;
  auto [strides, offset] = type.getStridesAndOffset();
  auto dim = dyn_cast<AffineDimExpr>(map.getResults().back());
  return dim && strides.back() == 1 ? static_cast<int>(dim.getPosition()) : -1;
}

static LoopOrder chooseOrder(linalg::LinalgOp op, bool finest) {
  LoopOrder order;
  SmallVector<unsigned> parallel;
  op.getParallelDims(parallel);
  for (unsigned i = 0; i < op.getNumLoops(); ++i)
    if (!llvm::is_contained(parallel, i))
      order.reductions.push_back(i);
  SmallVector<int64_t> votes(op.getNumLoops(), 0);
  for (OpOperand &operand : op->getOpOperands())
    if (llvm::is_contained(op.getDpsInputOperands(), &operand) || op.isDpsInit(&operand)) {
      int dim = contiguousDim(operand.get(), op.getMatchingIndexingMap(&operand));
      // A dim of size 1 (also: a broadcast operand) says nothing.
      if (dim >= 0)
        votes[dim] += op.isDpsInit(&operand) ? 2 : 1;
    }
  // The last dim that the output is contiguous along.
  int out = contiguousDim(op.getDpsInits().front(), op.getMatchingIndexingMap(op.getDpsInitOperand(0)));
  if (out >= 0 && !llvm::is_contained(parallel, static_cast<unsigned>(out)))
    out = -1;
  if (!order.reductions.empty()) {
    unsigned best = 0;
    for (unsigned i = 0; i < order.reductions.size(); ++i)
      if (votes[order.reductions[i]] >= votes[order.reductions[best]])
        best = i;
    unsigned fastest = order.reductions[best];
    order.reductions.erase(order.reductions.begin() + best);
    order.reductions.push_back(fastest);
    // Inputs that are contiguous along the parallel dim decide (the output's own two votes do not count).
    order.innermostReduction = finest || out < 0 || votes[fastest] > votes[out] - 2;
  } else {
    order.innermostReduction = true;
  }
  if (!finest && out >= 0 && (order.reductions.empty() || !order.innermostReduction))
    order.inner = out;
  for (unsigned d : parallel)
    if (static_cast<int>(d) != order.inner)
      order.outer.push_back(d);
  return order;
}

/// Sizes of all loops, from the operands' values.
static Vs loopSizes(Code &c, linalg::LinalgOp op, ValueRange operands) {
  AffineMap toShapes = op.getShapesToLoopsMap();
  Vs sizes;
  for (AffineExpr e : toShapes.getResults()) {
    unsigned position = cast<AffineDimExpr>(e).getPosition(), at = 0;
    for (auto [operand, value] : llvm::zip(op->getOperands(), operands)) {
      auto type = dyn_cast<MemRefType>(operand.getType());
      unsigned rank = type ? type.getRank() : 0;
      if (position < at + rank) {
        sizes.push_back(c.dim(value, position - at));
        break;
      }
      at += rank;
    }
  }
  return sizes;
}

static int64_t bodyCost(linalg::LinalgOp op) {
  int64_t cost = 0;
  op.getBlock()->walk([&](Operation *inner) {
    cost += isa<math::MathDialect>(inner->getDialect()) ? 12 : isa<arith::DivFOp, memref::LoadOp>(inner) ? 4 : 1;
  });
  return std::max<int64_t>(cost, 1);
}

/// Rows and the cost of one.
static std::pair<V, V> rowsOf(Code &c, linalg::LinalgOp op, const LoopOrder &order, const Vs &sizes) {
  V rows = c.index(1), cost = c.index(bodyCost(op));
  for (unsigned d : order.outer)
    rows = rows * sizes[d];
  if (order.inner >= 0)
    cost = cost * sizes[order.inner];
  for (unsigned d : order.reductions)
    cost = cost * sizes[d];
  return {rows, cost};
}

/// True where the op has no rows but one long loop: that loop itself is cut.
static bool cutsInner(const LoopOrder &order) { return order.outer.empty() && order.inner >= 0; }

static RowSplit splitOf(Code &c, linalg::LinalgOp op, const LoopOrder &order, const Vs &sizes, int64_t grain) {
  if (!cutsInner(order)) {
    auto [rows, cost] = rowsOf(c, op, order, sizes);
    return RowSplit(c, rows, cost, grain);
  }
  V cost = c.index(bodyCost(op));
  for (unsigned d : order.reductions)
    cost = cost * sizes[d];
  return RowSplit(c, sizes[order.inner], cost, grain);
}

namespace {
/// Makes the loops of one linalg operation.
struct LinalgCode {
  Code &c;
  linalg::LinalgOp op;
  LoopOrder order;
  Vs sizes;
  Vs ivs;

  SmallVector<Value> indices(OpOperand *operand) {
    SmallVector<Value> all, out;
    for (V v : ivs)
      all.push_back(v);
    for (AffineExpr e : op.getMatchingIndexingMap(operand).getResults()) {
      if (auto d = dyn_cast<AffineDimExpr>(e))
        out.push_back(all[d.getPosition()]);
      else
        out.push_back(affine::expandAffineExpr(c.b, c.loc, e, all, {}));
    }
    return out;
  }

  /// The argument that stands for an operand's element, loaded when it is first asked for.
  void loadInput(OpOperand *operand, IRMapping &map) {
    BlockArgument arg = op.getMatchingBlockArgument(operand);
    if (map.contains(arg) || arg.use_empty())
      return;
    if (isa<MemRefType>(operand->get().getType()))
      map.map(arg, c.load(operand->get(), indices(operand)));
    else
      map.map(arg, operand->get());
  }

  /// `inner` for the current ivs.
  void clone(Operation &inner, IRMapping &map) {
    if (auto index = dyn_cast<linalg::IndexOp>(inner)) {
      map.map(index.getResult(), ivs[index.getDim()]);
      return;
    }
    if (auto check = dyn_cast<CheckedOp>(inner)) {
      assertOk(check, map.lookupOrDefault(check.getOk()));
      map.map(check.getResult(), map.lookupOrDefault(check.getValue()));
      return;
    }
    Operation *copy = c.b.clone(inner, map);
    SmallVector<Operation *> nested;
    copy->walk([&](Operation *op) {
      if (isa<linalg::IndexOp, CheckedOp>(op))
        nested.push_back(op);
    });
    for (Operation *op : nested) {
      if (auto check = dyn_cast<CheckedOp>(op)) {
        OpBuilder::InsertionGuard guard(c.b);
        c.b.setInsertionPoint(check);
        assertOk(check, check.getOk());
        check.replaceAllUsesWith(check.getValue());
      } else {
        op->replaceAllUsesWith(ValueRange{ivs[cast<linalg::IndexOp>(op).getDim()].v});
      }
      op->erase();
    }
  }
  void assertOk(CheckedOp check, Value ok) { cf::AssertOp::create(c.b, check.getLoc(), ok, check.getMessage()); }

  /// Computes what the checks need that do not depend on the dims that run inside a row.
  IRMapping rowChecks() {
    IRMapping map;
    auto runsInside = [&](unsigned d) {
      return static_cast<int>(d) == order.inner || llvm::is_contained(order.reductions, d);
    };
    llvm::SetVector<Value> shared; // arguments and results that a row's elements share
    for (OpOperand *operand : op.getDpsInputOperands())
      if (llvm::none_of(llvm::seq(op.getNumLoops()), [&](unsigned d) {
            return runsInside(d) && op.getMatchingIndexingMap(operand).isFunctionOfDim(d);
          }))
        shared.insert(op.getMatchingBlockArgument(operand));
    Block *block = op.getBlock();
    auto isShared = [&](Value v) { return v.getParentBlock() != block || shared.contains(v); };
    for (Operation &inner : block->without_terminator()) {
      auto index = dyn_cast<linalg::IndexOp>(inner);
      bool plain =
          index ? !runsInside(index.getDim()) : isa<CheckedOp>(inner) || (inner.getNumRegions() == 0 && isPure(&inner));
      if (plain && llvm::all_of(inner.getOperands(), isShared))
        shared.insert(inner.result_begin(), inner.result_end());
    }
    llvm::SmallPtrSet<Operation *, 8> needed;
    SmallVector<Value> list;
    for (Value v : shared)
      if (v.getDefiningOp<CheckedOp>())
        list.push_back(v);
    while (!list.empty()) {
      Value v = list.pop_back_val();
      if (v.getParentBlock() != block)
        continue;
      if (auto arg = dyn_cast<BlockArgument>(v))
        loadInput(op.getMatchingOpOperand(arg), map);
      else if (needed.insert(v.getDefiningOp()).second)
        llvm::append_range(list, v.getDefiningOp()->getOperands());
    }
    for (Operation &inner : block->without_terminator())
      if (needed.contains(&inner))
        clone(inner, map);
    return map;
  }

  /// The region's values for the current ivs, given the values of the outputs so far. `map` has what a row shares.
  Vs element(ArrayRef<V> outputs, IRMapping map = {}) {
    for (OpOperand *operand : op.getDpsInputOperands())
      loadInput(operand, map);
    for (auto [arg, value] : llvm::zip(op.getRegionOutputArgs(), outputs))
      map.map(arg, value);
    Block *block = op.getBlock();
    for (Operation &inner : block->without_terminator())
      if (inner.getNumResults() == 0 || !map.contains(inner.getResult(0)))
        clone(inner, map);
    Vs out;
    for (Value v : block->getTerminator()->getOperands())
      out.push_back(c.wrap(map.lookupOrDefault(v)));
    return out;
  }

  Vs loadOutputs() {
    Vs out;
    for (OpOperand &init : op.getDpsInitsMutable()) {
      BlockArgument arg = op.getMatchingBlockArgument(&init);
      out.push_back(arg.use_empty() ? c.wrap({}) : c.load(init.get(), indices(&init)));
    }
    return out;
  }
  void storeOutputs(ArrayRef<V> values) {
    for (auto [init, value] : llvm::zip(op.getDpsInitsMutable(), values))
      c.store(value, init.get(), indices(&init));
  }

  /// Reductions in registers: load the outputs, loop, store them.
  void reduceInRegisters() {
    Vs start;
    for (OpOperand &init : op.getDpsInitsMutable())
      start.push_back(c.load(init.get(), indices(&init)));
    std::function<Vs(size_t, ArrayRef<V>)> nest = [&](size_t depth, ArrayRef<V> carried) -> Vs {
      if (depth == order.reductions.size())
        return element(carried);
      unsigned d = order.reductions[depth];
      return c.loop(c.index(0), sizes[d], carried, [&](V iv, ArrayRef<V> values) {
        ivs[d] = iv;
        return nest(depth + 1, values);
      });
    };
    storeOutputs(nest(0, start));
  }

  /// One row: the loops inside the outer parallel dims. `from` and `to` bound the inner parallel dim.
  void row(V from, V to) {
    if (order.inner < 0) {
      if (order.reductions.empty())
        storeOutputs(element(loadOutputs()));
      else
        reduceInRegisters();
      return;
    }
    IRMapping shared = rowChecks();
    std::function<void(size_t)> nest = [&](size_t depth) {
      if (depth == order.reductions.size()) {
        c.loop(from, to, [&](V iv) {
          ivs[order.inner] = iv;
          storeOutputs(element(loadOutputs(), shared));
        });
        return;
      }
      unsigned d = order.reductions[depth];
      c.loop(c.index(0), sizes[d], [&](V iv) {
        ivs[d] = iv;
        nest(depth + 1);
      });
    };
    nest(0);
  }

  void items(V begin, V end, int64_t grain) {
    ivs.assign(op.getNumLoops(), c.wrap({}));
    RowSplit cut = splitOf(c, op, order, sizes, grain);
    V zero = c.index(0), first = cut.first(begin), last = cut.last(end);
    if (cutsInner(order))
      return row(first, last);
    V inner = order.inner >= 0 ? sizes[order.inner] : zero;
    if (order.outer.empty()) {
      c.loop(first, last, [&](V) { row(zero, inner); });
      return;
    }
    // The outer ivs are divided out once per range and then counted on.
    Vs dims;
    for (unsigned d : order.outer)
      dims.push_back(sizes[d]);
    if (dims.size() == 1) {
      c.loop(first, last, [&](V r) {
        ivs[order.outer[0]] = r;
        row(zero, inner);
      });
      return;
    }
    c.ifThen(first < last, [&] {
      c.loop(first, last, c.delinearize(first, dims), [&](V, ArrayRef<V> at) -> Vs {
        for (auto [d, iv] : llvm::zip(order.outer, at))
          ivs[d] = iv;
        row(zero, inner);
        Vs next(at.begin(), at.end());
        V carry = c.index(1);
        for (size_t i = dims.size(); i-- > 0;) {
          V moved = next[i] + carry;
          if (i == 0) {
            next[i] = moved;
            break;
          }
          V over = moved == dims[i];
          next[i] = c.select(over, c.index(0), moved);
          carry = c.select(over, c.index(1), c.index(0));
        }
        return next;
      });
    });
  }
};
} // namespace

/// Lets LLVM reorder the sums of a reduction, and fuse multiplies into adds everywhere.
static void relaxMath(linalg::LinalgOp op) {
  Block *block = op.getBlock();
  block->walk([](Operation *inner) {
    if (isa<arith::AddFOp, arith::SubFOp, arith::MulFOp>(inner))
      inner->setAttr("fastmath", arith::FastMathFlagsAttr::get(inner->getContext(), kContract));
  });
  if (op.getNumReductionLoops() == 0)
    return;
  for (auto [arg, value] : llvm::zip(op.getRegionOutputArgs(), block->getTerminator()->getOperands())) {
    Operation *combiner = value.getDefiningOp();
    if (combiner && isa<arith::AddFOp, arith::MulFOp>(combiner) && arg.hasOneUse() &&
        llvm::is_contained(combiner->getOperands(), arg))
      combiner->setAttr(
          "fastmath", arith::FastMathFlagsAttr::get(combiner->getContext(), kContract | arith::FastMathFlags::reassoc |
                                                                                arith::FastMathFlags::nsz));
  }
}

KernelEmitter moe::linalgLoops(linalg::LinalgOp, int64_t grain) {
  KernelEmitter emitter;
  emitter.vectorized = false;
  emitter.items = [grain](OpBuilder &b, Location loc, Operation *op, ValueRange operands) -> Value {
    Code c(b, loc);
    auto linalgOp = cast<linalg::LinalgOp>(op);
    LoopOrder order = chooseOrder(linalgOp, grain <= 1);
    Vs sizes = loopSizes(c, linalgOp, operands);
    return splitOf(c, linalgOp, order, sizes, grain).count();
  };
  emitter.body = [grain](OpBuilder &b, Operation *op, Value begin, Value end) {
    Code c(b, op->getLoc());
    auto linalgOp = cast<linalg::LinalgOp>(op);
    relaxMath(linalgOp);
    LinalgCode code{c, linalgOp, chooseOrder(linalgOp, grain <= 1), loopSizes(c, linalgOp, op->getOperands()), {}};
    code.items(c.wrap(begin), c.wrap(end), grain);
    return success();
  };
  return emitter;
}

KernelEmitter moe::storeLoops(memref::StoreOp) {
  return serialEmitter([](Code &c, Operation *op) { c.b.clone(*op); });
}
