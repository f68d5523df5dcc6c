//===- ConvertOnnxAttention.h - parts of attention as plain tensor code ----===//
#ifndef MOE_LIB_RAISE_CONVERTONNXATTENTION_H
#define MOE_LIB_RAISE_CONVERTONNXATTENTION_H

#include "ConvertOnnx.h"

namespace mlir::moe::convert {

/// [B, S, heads * D] -> [B, heads, S, D], and back.
Value splitHeads(OnnxLowering &l, Value v, int64_t heads);
Value joinHeads(OnnxLowering &l, Value v);
/// x [B, H, S, K] by y [B, Hkv, ...]: head h of x meets head h / (H / Hkv) of y. `transposed`: y is [.., L, K], else [.., K, L].
Value headProduct(OnnxLowering &l, Value x, Value y, bool transposed);

/// Which keys a query may see. All members may be absent.
struct Visibility {
  Value mask; // any rank up to 4, broadcast from the right; a short last dim hides the keys after it
  Type maskType;
  bool causal = false;
  int64_t left = -1, right = -1;
  Value offset;  // index: keys before the first query
  Value lengths; // [B]: keys that are there; without `offset` that is lengths[b] - S

  bool any() const { return mask || causal || left >= 0 || right >= 0 || lengths; }
};
/// scores + bias, -inf where a key is hidden.
Value applyBias(OnnxLowering &l, Value scores, const Visibility &see);
/// Softmax over the last dim of [B, H, S, L] in which a row that is all -inf gives zeros. `sinks` [H]: one more logit a head,
/// without a value.
Value maskedSoftmax(OnnxLowering &l, Value z, Value sinks = {});
Value scaleBy(OnnxLowering &l, Value v, Value factor);
/// cap * tanh(v / cap).
Value softcap(OnnxLowering &l, Value v, double cap);
/// The attribute `scale`, or 1 / sqrt(head size), as a scalar of type acc.
Value scaleValue(OnnxLowering &l, Type acc, OpFoldResult headSize, bool zeroMeansDefault);

struct Rotation {
  Value cos, sin;                         // [positions, R/2], or [B, S, R/2] without `positions`
  Value positions;                        // [B, S] or null
  Value offset;                           // [1]: position = offset + s, or null
  int64_t batchDim, headDim, sequenceDim; // of a rank-4 x; the last is the head's
  bool interleaved;
  int64_t rotated; // R; 0: all
};
Value rotate(OnnxLowering &l, Value x, const Rotation &r);

} // namespace mlir::moe::convert

#endif // MOE_LIB_RAISE_CONVERTONNXATTENTION_H
