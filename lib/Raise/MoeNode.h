//===- MoeNode.h - what a com.microsoft MoE or QMoE node says --------------===//
#ifndef MOE_LIB_RAISE_MOENODE_H
#define MOE_LIB_RAISE_MOENODE_H

#include "mlir/IR/Operation.h"

#include <optional>
#include <string>

namespace mlir::moe {

/// The settings of one node, read and checked once for the recogniser and for the plain lowering.
struct MoeNode {
  /// Where one projection's operands stand, and its bits if it is quantized.
  struct Projection {
    unsigned weights, scales, bias, zeroPoints;
    int64_t bits;
  };
  bool quantized = false;
  int64_t k = 1;
  bool sparseMixer = false;
  /// The chosen weights are divided by their sum. QMoE without router weights of its own does so always.
  bool normalize = false;
  std::string activation; ///< relu, gelu, silu, swiglu or identity
  /// SwiGLU's two parts are even and odd rows of fc1 (else halves of it, or fc1 and fc3).
  bool interleaved = false;
  double alpha = 1, beta = 0, limit = 0; ///< of SwiGLU; the limit is infinite if the node has none
  int64_t block = 0;                     ///< elements that share a scale along K; 0: one scale a row
  Projection fc1, fc2, fc3;
  bool hasFc3 = false;
  std::optional<unsigned> routerWeights; ///< the operand that gives the weights of the chosen

  /// Nullopt with a reason for settings that have no meaning here.
  static std::optional<MoeNode> read(Operation *node, int64_t numExperts, std::string &reason);
};

} // namespace mlir::moe

#endif // MOE_LIB_RAISE_MOENODE_H
