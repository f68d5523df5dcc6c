//===- Tile.h - the tile dialect: one GPU kernel --------------------------===//
#ifndef TILE_DIALECT_H
#define TILE_DIALECT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/tile/TileDialect.h.inc"
#include "dialects/tile/TileEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/tile/TileAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/tile/TileTypes.h.inc"

namespace mlir::moe::tile {
/// A ranked tensor of integers or floats with a `#tile.fragment` encoding, of a shape its layout takes.
bool isFragment(Type type);
/// An integer or float that a thread loads or stores at once, or a vector of them: 1, 2, 4, 8 or 16 bytes.
bool isWord(Type type);
/// A memref in global memory: row-major, elements of whole bytes.
bool isBuffer(Type type);
/// The layout of a fragment.
Layout layoutOf(Type fragment);
/// How many elements of a fragment each thread holds.
int64_t elementsPerThread(Type fragment);
/// A fragment type.
RankedTensorType fragmentType(ArrayRef<int64_t> shape, Type element, Layout layout);

/// Threads of a warpgroup, warps of a warpgroup; bytes of shared memory a block may have on sm_90.
constexpr int64_t kWarpgroup = 128;
constexpr int64_t kSharedBytes = 232448;
} // namespace mlir::moe::tile

#define GET_OP_CLASSES
#include "dialects/tile/TileOps.h.inc"

#endif // TILE_DIALECT_H
