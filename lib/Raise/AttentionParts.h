//===- AttentionParts.h - from a found attention to moe.attention ----------===//
//
// A recogniser describes an attention over dims batch, head, query position, key position and features. Its operands are
// elements of graph values: this turns them into the operands and attributes of moe.attention.
//===----------------------------------------------------------------------===//
#ifndef MOE_LIB_RAISE_ATTENTIONPARTS_H
#define MOE_LIB_RAISE_ATTENTIONPARTS_H

#include "Elements.h"
#include "OnnxBuild.h"

namespace mlir::moe {

/// The index space. The last two dims are added once their extents are known.
enum AttentionDim : unsigned { kBatch, kHead, kQuery, kKey, kFeature, kValueFeature };

/// A value of the graph and the place of its element in the index space.
struct Placed {
  Value value;
  Index index;
};

/// A mask: an addend times `factor`, or a condition for keeping (`fill` is what the others get).
struct FoundMask {
  Placed at;
  double factor = 1;
  std::optional<double> fill;
  bool dropsWhereTrue = false;
};

struct FoundAttention {
  Operation *product = nullptr; ///< probabilities times values
  Operation *softmax = nullptr;
  Value result;      ///< what moe.attention (or a view of it) replaces
  unsigned rank = 4; ///< of the product's result
  int64_t heads = 1, groupSize = 1;
  Placed query, key, value; ///< key at (.., feature, key position) or the reverse: the index says
  double scale = 1, softcap = 0;
  SmallVector<FoundMask, 2> masks;
  std::optional<Placed> sinks;
  /// A further mask [batch | 1, heads | 1, queries | 1, keys] whose extents the facts do not know to be these.
  Value keyMask;
  bool keyMaskIsCondition = false;
};

/// Creates moe.attention and replaces `found.result`. Fails with a reason where an operand cannot be had in the op's form; what was
/// created by then is dead. `extents` are those of batch, head, query, key, feature and value feature.
LogicalResult buildAttention(FoundAttention &found, ElementFacts &elements, ArrayRef<AffineExpr> extents,
                             RewriterBase &rewriter, std::string &reason);

/// Turns an onnx.Attention node into moe.attention, with masks for what attributes do not say.
LogicalResult convertAttentionNode(onnx::AttentionOp op, ShapeFacts &facts, RewriterBase &rewriter,
                                   std::string &reason);

} // namespace mlir::moe

#endif // MOE_LIB_RAISE_ATTENTIONPARTS_H
