//===- InferMoeNodes.cpp - com.microsoft MoE and QMoE ---------------------===//
//
// The result is as the input; the work here is to refuse experts whose weights, scales or biases do not fit.
//
//===----------------------------------------------------------------------===//
#include "InferOp.h"

using namespace mlir;
using namespace mlir::moe;

/// `input` of the node, named `what`, has this shape as far as both are constant. Null: any extent.
LogicalResult OpInference::moeNode() {
  bool quantized = op->getName().stripDialect() == "ms.QMoE";
  Dims x = dims(0u), logits = dims(1u);
  if (x.size() < 2 || x.size() > 3 || logits.size() != 2)
    return expects() << "an input of rank 2 or 3 and logits of rank 2, but they are " << shapeText(x) << " and "
                     << shapeText(logits);
  set(0, x, element(0));
  AffineExpr experts = logits[1], hidden = x.back(), tokens = number(1);
  for (AffineExpr dim : ArrayRef(x).drop_back())
    tokens = facts.mul(tokens, dim);
  if (failed(expectShape(1, "logits", {tokens, experts})))
    return failure();
  int64_t bits = quantized ? integer("expert_weight_bits", 4) : 8;
  auto quantType = attribute<StringAttr>("quant_type");
  bool codes = quantized && (!quantType || quantType.getValue() == "int");
  int64_t pack = codes && bits > 0 && bits < 8 ? 8 / bits : 1, block = quantized ? integer("block_size", 0) : 0;
  if (codes && bits != 2 && bits != 4 && bits != 8)
    return expects() << "expert_weight_bits of 2, 4 or 8, but found " << bits;
  if (block < 0)
    return expects() << "a block_size that is not negative, but found " << block;
  // Where the weights, scales, biases and zero points of fc1, fc2 and fc3 stand.
  unsigned weight[] = {2, quantized ? 5u : 4u, quantized ? 8u : 6u},
           bias[] = {quantized ? 4u : 3u, quantized ? 7u : 5u, quantized ? 10u : 7u};
  const char *names[] = {"fc1", "fc2", "fc3"};
  for (unsigned w : weight)
    if (in(w) && dims(w).size() != 3)
      return expects() << "weights of rank 3, but they are " << shapeText(dims(w));
  if (!in(weight[0]) || !in(weight[1]))
    return expects() << "weights for fc1 and fc2";
  AffineExpr inner = facts.mul(dims(weight[1])[2], number(pack));
  AffineExpr first = dims(weight[0])[1];
  std::optional<int64_t> i = known(inner), f = known(first);
  if (i && f && *f != *i && *f != 2 * *i)
    return expects() << "fc1 to have as many rows as fc2 has columns, " << *i << ", or twice as many, but it has "
                     << *f;
  AffineExpr rows[] = {first, hidden, inner}, depth[] = {hidden, inner, hidden};
  for (int k = 0; k < 3; ++k) {
    auto divided = [&](AffineExpr e, int64_t by) {
      return e ? facts.floorDiv(facts.add(e, number(by - 1)), number(by)) : e;
    };
    AffineExpr blocks = block ? divided(depth[k], block) : AffineExpr();
    std::string name = names[k];
    if (failed(expectShape(weight[k], name + " weights", {experts, rows[k], divided(depth[k], pack)})) ||
        failed(expectShape(bias[k], name + " bias", {experts, rows[k]})))
      return failure();
    if (!codes)
      continue;
    if (failed(block ? expectShape(3 + 3 * k, name + " scales", {experts, rows[k], blocks})
                     : expectShape(3 + 3 * k, name + " scales", {experts, rows[k]})))
      return failure();
    if (failed(block ? expectShape(11 + k, name + " zero points", {experts, rows[k], divided(blocks, pack)})
                     : expectShape(11 + k, name + " zero points", {experts, divided(rows[k], pack)})))
      return failure();
  }
  return success();
}
