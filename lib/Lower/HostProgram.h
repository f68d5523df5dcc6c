//===- HostProgram.h - writes plan and run of one entry point -------------===//
#ifndef MOE_LIB_LOWER_HOSTPROGRAM_H
#define MOE_LIB_LOWER_HOSTPROGRAM_H

#include "moe/Lower/Passes.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::moe {

/// A buffer as the host program knows it.
struct HostBuffer {
  Value pointer;              ///< null while planning
  Value offset;               ///< in elements; null is 0
  SmallVector<Value> sizes;   ///< index values; null where only data decide (while planning)
  SmallVector<Value> strides; ///< in elements
};

/// What all entry points of a module share.
struct ProgramTables {
  llvm::MapVector<StringRef, unsigned> weights; ///< symbols of weights and constants, in the order of the manifest
  llvm::StringMap<unsigned> kernels;
  llvm::StringMap<std::string> kernelOps;      ///< the operation a kernel was made from
  llvm::StringMap<DictionaryAttr> kernelCosts; ///< `moe.cost` of kernels that have it (lib/Schedule/KernelCost.h)
  SmallVector<std::string> errors;             ///< errors[i] has code i + 1
  bool device = false;                         ///< buffers are device memory
  unsigned errorCode(StringRef message);
};

/// Writes one of the two functions of an entry point.
class HostWriter {
public:
  enum Mode { Plan, Run };
  HostWriter(func::FuncOp entry, ProgramTables &tables, Mode mode) : entry(entry), tables(tables), mode(mode) {}

  /// Creates the function in `module`. `entryWeights` collects the weights that run uses, in the order of its buffers.
  LogicalResult write(ModuleOp module, SmallVectorImpl<unsigned> &entryWeights);

private:
  func::FuncOp entry;
  ProgramTables &tables;
  Mode mode;
  OpBuilder *builder = nullptr;
  IRMapping values; ///< host scalars
  DenseMap<Value, HostBuffer> buffers;
  Value host, context, extents, bufferTable, outputExtents, temporaryBytes, status, arguments, nothing, fetched;
  DenseMap<Value, unsigned> weightSlots;
  unsigned firstWeight = 0, firstTemporary = 0;

  Value i64(int64_t value);
  Value index(int64_t value);
  Value toI64(Value index);
  Value toIndex(Value i64);
  Value at(Value table, int64_t word);
  Value loadPointer(int64_t word);
  Value add(Value a, Value b);
  Value mul(Value a, Value b);
  Value scalar(Value v) { return values.lookupOrNull(v); }
  Value scalar(OpFoldResult v);

  void bindArguments();
  LogicalResult writeBlock(Block &block);
  LogicalResult writeOp(Operation &op);
  LogicalResult writeView(Operation &op);
  LogicalResult writeAlloc(memref::AllocOp op);
  LogicalResult writeLaunch(LaunchOp op);
  LogicalResult writeReturn(func::ReturnOp op);
  void failUnless(Value condition, StringRef message);
  /// Bytes of a buffer, or the largest number where they do not fit 64 bits or an extent is negative: the runtime refuses that.
  /// Null if a size is unknown.
  Value bytesOf(MemRefType type, ArrayRef<Value> sizes);
  HostBuffer contiguous(MemRefType type, ArrayRef<Value> sizes);
};

} // namespace mlir::moe

#endif // MOE_LIB_LOWER_HOSTPROGRAM_H
