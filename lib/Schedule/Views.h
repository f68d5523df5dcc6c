//===- Views.h - which buffer a memref value is part of -------------------===//
#ifndef MOE_LIB_SCHEDULE_VIEWS_H
#define MOE_LIB_SCHEDULE_VIEWS_H

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

namespace mlir::moe {

/// True for ops that only look at a buffer in another way (views), which the host program does without a launch.
inline bool isViewOp(Operation *op) {
  return isa<memref::SubViewOp, memref::ExpandShapeOp, memref::CollapseShapeOp, memref::CastOp,
             memref::ReinterpretCastOp, memref::TransposeOp>(op);
}

/// The buffer behind any chain of views: a memref.alloc, a memref.get_global, a weight or an argument.
inline Value rootOf(Value memref) {
  while (Operation *op = memref.getDefiningOp()) {
    if (!isViewOp(op))
      break;
    memref = op->getOperand(0);
  }
  return memref;
}

/// The buffer behind a chain of reshapes that keep all elements in order, or null if some view selects or permutes.
inline Value rootOfReshapes(Value memref) {
  while (Operation *op = memref.getDefiningOp()) {
    if (!isa<memref::ExpandShapeOp, memref::CollapseShapeOp, memref::CastOp>(op))
      return isViewOp(op) ? Value() : memref;
    memref = op->getOperand(0);
  }
  return memref;
}

/// True if a step in dim `i` is as long as dim `i + 1`. A slice whose extent only the run knows is not: upstream's
/// CollapseShapeOp::isGuaranteedCollapsible takes it for one.
inline bool areContiguous(MemRefType type, unsigned i) {
  if (type.getLayout().isIdentity())
    return true;
  auto [strides, offset] = type.getStridesAndOffset();
  int64_t size = type.getDimSize(i + 1);
  return !ShapedType::isDynamic(size) && !ShapedType::isDynamic(strides[i]) && !ShapedType::isDynamic(strides[i + 1]) &&
         strides[i] == strides[i + 1] * size;
}

/// True if the type says that elements stand side by side in order.
inline bool isContiguous(MemRefType type) {
  auto [strides, offset] = type.getStridesAndOffset();
  for (int64_t i = 0; i + 1 < type.getRank(); ++i)
    if (!areContiguous(type, static_cast<unsigned>(i)))
      return false;
  return strides.empty() || strides.back() == 1;
}

/// True if `v` (a scalar, or the sizes of a buffer) follows from the extents of the arguments of `entry`'s function by
/// arithmetic alone. `known` remembers answers.
bool isFromExtents(Value v, Block *entry, DenseMap<Value, bool> &known);

} // namespace mlir::moe

#endif // MOE_LIB_SCHEDULE_VIEWS_H
