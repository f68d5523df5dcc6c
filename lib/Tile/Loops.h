//===- Loops.h - the plain loop form of each operation --------------------===//
//
// One function per operation: what the op computes, as loops over rows. They run everything on the GPU (grain 1: the
// finest items, one per thread) and whatever has no hand-shaped form on the CPU.
//
//===----------------------------------------------------------------------===//
#ifndef MOE_LIB_TILE_LOOPS_H
#define MOE_LIB_TILE_LOOPS_H

#include "dialects/moe/Moe.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "moe/Tile/Code.h"
#include "moe/Tile/KernelEmitter.h"

#include <memory>

namespace mlir::moe {

// Each returns the emitter of one kind of operation; `grain` is the number of scalar operations an item should have.
KernelEmitter linalgLoops(linalg::LinalgOp op, int64_t grain);
KernelEmitter storeLoops(memref::StoreOp op);
KernelEmitter topKLoops(TopKOp op, int64_t grain);
KernelEmitter sortLoops(SortOp op, int64_t grain);
KernelEmitter scanLoops(ScanOp op, int64_t grain);
KernelEmitter scatterLoops(ScatterOp op, int64_t grain);
KernelEmitter nonZeroLoops(NonZeroOp op);
KernelEmitter dispatchLoops(DispatchOp op);
KernelEmitter combineLoops(CombineOp op, int64_t grain);
KernelEmitter groupedMatmulLoops(GroupedMatmulOp op, int64_t grain);
KernelEmitter groupedOuterProductLoops(GroupedOuterProductOp op, int64_t grain);
KernelEmitter attentionLoops(AttentionOp op, int64_t grain);
KernelEmitter rmsNormLoops(RmsNormOp op, int64_t grain);
KernelEmitter ropeLoops(RopeOp op, int64_t grain);
KernelEmitter quantizeBlocksLoops(QuantizeBlocksOp op, int64_t grain);
KernelEmitter dequantizeBlocksLoops(DequantizeBlocksOp op, int64_t grain);
KernelEmitter swigluLoops(SwigluOp op, int64_t grain);

/// The router's steps over all experts of a token: plain loops here, vectors on the CPU (lib/Tile/CPU/Route.cpp). `values` and `to` are f32
/// buffers of rank 1; n is the number of elements.
struct ScoreSteps {
  virtual ~ScoreSteps() = default;
  /// to[i] = matrix[row, i], a float of any width.
  virtual void load(Code &c, Value matrix, V row, V n, Value to) const;
  /// to[i] = values[i] + bias[i], a float of any width.
  virtual void sum(Code &c, Value values, Value bias, V n, Value to) const;
  /// In place; the largest value is subtracted first.
  virtual void softmax(Code &c, Value values, V n) const;
  virtual void sigmoid(Code &c, Value values, V n) const;
  /// Calls body(slot, index) for the `count` largest in order: value descending, then index ascending; NaN as -inf.
  virtual void forLargest(Code &c, Value values, V n, int64_t count,
                          llvm::function_ref<void(V slot, V index)> body) const;
};
KernelEmitter routeLoops(RouteOp op, int64_t grain,
                         std::shared_ptr<const ScoreSteps> steps = std::make_shared<ScoreSteps>());

/// The value that stands for `v` among `operands`, which replace op's operands one by one.
Value operandFor(Operation *op, ValueRange operands, Value v);

/// How many rows an operation has and what one costs in scalar operations.
using SplitFn = std::function<std::pair<V, V>(Code &, Operation *op, ValueRange operands)>;
/// Computes one row, in the kernel.
using RowFn = std::function<void(Code &, Operation *op, V row)>;

/// An emitter over rows. In `split`, `operands` are the host program's values when items are counted and op's own when
/// code is made; attributes and types come from `op`.
KernelEmitter rowEmitter(int64_t grain, SplitFn split, RowFn row);

/// An emitter of one item that does everything in order.
KernelEmitter serialEmitter(std::function<void(Code &, Operation *op)> body);

} // namespace mlir::moe

#endif // MOE_LIB_TILE_LOOPS_H
