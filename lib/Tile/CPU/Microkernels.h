//===- Microkernels.h - functions that all product kernels of a module share ----===//
//
// A block of up to `maxRows(target)` rows times panels of 16 columns. The rows are packed [k][row]; each weight panel is
// [k][16]. Every accumulator is one chain of fused multiply-adds with k ascending, whatever the number of rows, the
// instruction set or the cut of k: the same row gives the same bits in every batch.
//
//===----------------------------------------------------------------------===//
#ifndef MOE_LIB_TILE_CPU_MICROKERNELS_H
#define MOE_LIB_TILE_CPU_MICROKERNELS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "moe/Tile/Code.h"
#include "moe/Tile/KernelEmitter.h"

namespace mlir::moe {

/// Columns of a panel.
constexpr int64_t kPanel = 16;

/// Rows of the largest block: 28 of 32 vector registers, or 6 rows of two registers each of 16.
inline int64_t maxRows(const CpuTarget &target) { return target.vectorBits == 512 ? 28 : 6; }

/// The number of rows that are computed for `rows` real ones (there are fewer block sizes than row counts), and the pitch
/// of a packed block of that many rows.
V blockRows(Code &c, const CpuTarget &target, V rows);
V blockPitch(Code &c, V blockRows);

/// How an operand of a product is stored. Codes have scales, one for `blockK` along K and, for weights, `blockN` columns
/// (multiples of 16; 0: all of them).
struct OperandFormat {
  Type element;
  Type scale = {}; ///< null: no scales
  int64_t blockN = 0, blockK = 0;
  bool streamed = false; ///< weights too large for a core's caches
  std::string name() const;
};

/// func @moe_product_T(rows, A, a, W, w, panels, panelStride, C, c, blockStride, k, first[, S, s, scaleStride, panel]):
///   C[c + p * blockStride + r * 16 + j] (+)= sum_k A[a + k * pitch + r] * W[w + p * panelStride + k * 16 + j] * factor
///   factor = S[s + (panel + p) * 16 / blockN * scaleStride + k / blockK]          (1 without scales)
/// for the panels p and r < rows; rows is a block size. `first` (i1): starts at zero, else continues what C holds. A weight is
/// multiplied by its scale when it is widened, once for all rows, so that each accumulator stays one chain.
func::FuncOp productFunction(Operation *at, const CpuTarget &target, OperandFormat weight);

/// func @moe_pack_T(X, offsets, firstRow, rows, blockRows, A, a, pitch, k0, k[, S, scaleOffsets]):
///   A[a + i * pitch + r] = X[offsets[R] + k0 + i] * S[scaleOffsets[R] + (k0 + i) / blockK]
/// for i < k, r < blockRows, with R = firstRow + min(r, rows - 1). k0 is a multiple of 16.
func::FuncOp packFunction(Operation *at, OperandFormat x);

/// A flat view of a buffer whose last dim is contiguous, for element offsets.
V flatView(Code &c, Value memref);
/// Whether the memref's elements are f32, f16 or bf16, which vector code reads as f32.
bool isVectorFloat(Value memref);
/// Whether the last dimension of the memref has stride 1.
bool isRowContiguous(Value memref);
/// Stride of dimension `i` in elements.
V strideOf(Code &c, Value memref, int64_t i);

} // namespace mlir::moe

#endif // MOE_LIB_TILE_CPU_MICROKERNELS_H
