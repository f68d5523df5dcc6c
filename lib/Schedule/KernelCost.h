//===- KernelCost.h - the work of a kernel, for bench ---------------------===//
#ifndef MOE_LIB_SCHEDULE_KERNELCOST_H
#define MOE_LIB_SCHEDULE_KERNELCOST_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Operation.h"

namespace mlir::moe {

/// What the op of a kernel costs, over the extents of the kernel's arguments: `$2.0` is dim 0 of argument 2.
///
///   {flops = "2 * $3.0 * $0.1 * 96", banks = array<i64: 1>, groups = 8 : i64, rows = "$3.0"}
///     flops    multiply-adds of products count as two; element-wise work is not counted
///     banks    arguments of which only the part of the groups that have rows is read
///
/// An op whose own attribute `moe.cost` says this is believed. Null where it is not known.
DictionaryAttr getKernelCost(Operation *op, ArrayRef<Value> args);

} // namespace mlir::moe

#endif // MOE_LIB_SCHEDULE_KERNELCOST_H
