//===- KernelEmitter.h - how one operation on buffers becomes kernel code -===//
//
// After `schedule` every kernel function holds exactly one compute operation on memrefs (a moe op, a linalg op, a
// memref.copy). `tile` replaces it by code for a range of work items. An emitter says how: how many items there are
// (arithmetic that the host program runs) and what the items [begin, end) do.
//
//   func.func private @k3_rms_norm(%x: memref<?x256xf32>, %w: memref<256xf32>, %out: memref<?x256xf32>) attributes {moe.kernel} {
//     moe.rms_norm %x weight(%w) outs(%out) {epsilon = 1.0e-6 : f32} : (...) -> ()
//     return
//   }
//     ->   func.func private @k3_rms_norm(%x, %w, %out, %begin: index, %end: index) { scf.for %row = %begin to %end ... }
//
//===----------------------------------------------------------------------===//
#ifndef MOE_TILE_KERNELEMITTER_H
#define MOE_TILE_KERNELEMITTER_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/Operation.h"
#include "mlir/IR/Value.h"
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/StringRef.h"

#include <functional>
#include <optional>

namespace mlir::moe {

/// One instruction set that CPU kernels are compiled for.
struct CpuTarget {
  llvm::StringRef isa; ///< "x86-64-v4" or "x86-64-v3"
  int vectorBits;      ///< 512 or 256
};

/// An operand, an argument of the kernel, that code reads in boxes alone (tile.copy_box): its argument becomes a tensor map.
struct BoxedOperand {
  unsigned operand;            ///< of the operation
  SmallVector<int64_t, 2> box; ///< elements in each dim
  int64_t swizzle;             ///< bytes, 0 or 128
};

/// How the blocks of a GPU kernel are launched whose threads work together (a kernel of the tile dialect).
struct BlockLaunch {
  int threads; ///< in a block
  enum Grid {
    PerItem,          ///< one block an item
    PerMultiprocessor ///< one block a multiprocessor, not more than items: persistent kernels
  } grid;
  bool dependent =
      false; ///< may start before the launch in front of it ended; the kernel waits itself (tile.start dependent)
  SmallVector<BoxedOperand, 2> boxes = {};
};

/// How to compute one operation as independent work items. Items run in any order, on any thread, each once; the result
/// must not depend on how the runtime cuts [0, items) into ranges.
struct KernelEmitter {
  /// Number of items: index arithmetic on extents (memref.dim) and scalars of `operands`, the host program's values in
  /// place of op->getOperands(); it never loads from buffers. It must not depend on the CpuTarget: one host program
  /// serves all variants. An item should be 10 to 20 microseconds of work; 0 items are fine (nothing to do).
  std::function<Value(OpBuilder &, Location, Operation *op, ValueRange operands)> items;

  /// Emits the code of items [begin, end) (index values) at the builder's insertion point, inside the kernel function
  /// where op's operands are in scope; op itself is erased afterwards. Legal: arith, math, vector, scf, memref (load,
  /// store, alloca up to 256 KiB in all, placed in the function's entry block; dim, subview, prefetch), func.call of helper functions added
  /// once by name to the op's symbol table, llvm.call_intrinsic, and linalg or moe ops never.
  /// On failure a diagnostic has been emitted.
  std::function<LogicalResult(OpBuilder &, Operation *op, Value begin, Value end)> body;

  /// The body is vector code already: LLVM's loop passes are skipped for this kernel (compile time).
  bool vectorized = true;

  /// GPU: the body is code of a whole block in the tile dialect. It asks for its number itself (tile.id); begin and end are unused.
  std::optional<BlockLaunch> block;
};

/// The hand-shaped CPU emitter of an operation, or nullopt where plain loops serve (lib/Tile/CPU).
std::optional<KernelEmitter> getCpuEmitter(Operation *op, const CpuTarget &target);

/// The emitter of an operation for Hopper, or nullopt where plain loops serve (lib/Tile/GPU).
std::optional<KernelEmitter> getGpuEmitter(Operation *op);

/// Plain loops, one item = one row or one element or a block of them, for every operation that can be in a kernel. The
/// GPU runs this form too (one item = one thread). nullopt for an operation that no kernel may hold.
/// `grain` is about how many scalar operations one item should have; 1 gives the finest items (GPU).
std::optional<KernelEmitter> getLoopEmitter(Operation *op, int64_t grain);

} // namespace mlir::moe

#endif // MOE_TILE_KERNELEMITTER_H
