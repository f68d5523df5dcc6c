//===- Moe.h - the moe dialect: ops, attributes, interfaces ---------------===//
#ifndef MOE_DIALECT_H
#define MOE_DIALECT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include <limits>

#include "dialects/moe/MoeDialect.h.inc"
#include "dialects/moe/MoeEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/moe/MoeAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/moe/MoeInterfaces.h.inc"
#include "dialects/moe/MoeTypes.h.inc"
#define GET_OP_CLASSES
#include "dialects/moe/MoeOps.h.inc"

namespace mlir::moe {
/// Type of the tensor that a `#moe.piece` or `#moe.recipe` describes; null for any other attribute.
RankedTensorType getRecipeType(Attribute pieceOrRecipe);

/// The recipe of the scales that the codes of `recipe` were made with: the second input of its `quantize` step, below steps
/// that move elements; null where there is none.
Attribute getScalesRecipe(Attribute recipe);

/// Extents of the scales of a value: ceil(shape / block), and 1 where a block is the whole extent (0).
SmallVector<int64_t> getScaleShape(ArrayRef<int64_t> shape, ArrayRef<int64_t> block);

/// The type of a kernel's argument for a buffer of `type`: offset 0 (the pointer includes it) and, where the strides say
/// no more than that, the identity layout.
MemRefType getKernelArgumentType(MemRefType type);
} // namespace mlir::moe

#endif // MOE_DIALECT_H
