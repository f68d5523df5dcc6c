//===- LaunchRecord.h - how a device kernel is launched -------------------===//
//
// What a kernel's author says on its function, and what the runtime is told (moe_device_kernel_t of module_abi.h).
//
//   moe.launch_config = {grid = "per_sm", size = array<i64: 1>, threads = 384 : i64, shared = 200000 : i64,
//                        cluster = array<i64: 2, 1, 1>, pdl}
//     grid     "threads" (an item is a thread; the default), "blocks" (an item is a block), "per_sm" (size[0] blocks for each
//              multiprocessor, at most one an item), "fixed" (size, up to three dims)
//     threads  of a block in x (default 128); shared: bytes of dynamic shared memory of a block (default 0)
//     cluster  blocks in a cluster (default 1); pdl: programmatic dependent launch
//   tile.threads, tile.shared_bytes, tile.grid = "item" | "multiprocessor", tile.dependent
//                                              the same of a kernel of the tile dialect: threads, shared, "blocks" or "per_sm", pdl
//   moe.hot                                    ptxas may not report spills or serialized products
//   moe.tensor_map = {box = array<i64: 64, 128>, swizzle = 128 : i64, l2_promotion = 256 : i64}
//                                              on an argument: the kernel takes a tensor map of the memref, by value
//
// `moe-lower-kernels` gathers all of it in `moe.launch_record`, which emit reads.
//
//===----------------------------------------------------------------------===//
#ifndef MOE_SUPPORT_LAUNCHRECORD_H
#define MOE_SUPPORT_LAUNCHRECORD_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

#include <array>

namespace mlir::moe {

struct LaunchRecord {
  enum Grid { Threads, Blocks, PerSm, Fixed };
  enum ParamKind { Word, Items, Map };
  struct Param {
    int64_t kind, index; ///< ParamKind; word of the argument block, or number of the tensor map
  };
  /// Dims are in memory order; a number below 0 is a word of the argument block: -1 is word 0.
  struct TensorMap {
    int64_t dtype = 0, address = 0, swizzle = 0, promotion = 0; ///< moe_dtype_t; word; bytes
    SmallVector<int64_t, 5> box, dims, strides;
  };

  Grid grid = Threads;
  std::array<int64_t, 3> size = {1, 1, 1}, cluster = {1, 1, 1};
  int64_t threads = 128, shared = 0;
  bool pdl = false, hot = false;
  SmallVector<Param> params; ///< empty: all words, then the items
  SmallVector<TensorMap> maps;

  /// What `kernel` says of itself, before its arguments are lowered; parameters are not filled in. One diagnostic on
  /// failure.
  static FailureOr<LaunchRecord> get(FunctionOpInterface kernel);
  /// The map of argument `i` of `kernel`, whose words begin at `word`. One diagnostic on failure.
  static FailureOr<TensorMap> getTensorMap(FunctionOpInterface kernel, unsigned i, int64_t word);

  DictionaryAttr toAttr(MLIRContext *context) const;
  static LaunchRecord fromAttr(DictionaryAttr attr);
};

constexpr llvm::StringLiteral kLaunchConfigAttr = "moe.launch_config", kLaunchRecordAttr = "moe.launch_record",
                              kTensorMapAttr = "moe.tensor_map", kHotAttr = "moe.hot";

/// "threads", "blocks", "per_sm", "fixed".
StringRef gridName(LaunchRecord::Grid grid);

} // namespace mlir::moe

#endif // MOE_SUPPORT_LAUNCHRECORD_H
