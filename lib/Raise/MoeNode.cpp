//===- MoeNode.cpp - what a com.microsoft MoE or QMoE node says ------------===//
#include "MoeNode.h"
#include "OnnxMatch.h"

#include "llvm/ADT/STLExtras.h"
#include <cmath>

using namespace mlir;
using namespace mlir::moe;

static std::string stringAttr(Operation *op, StringRef name, StringRef absent) {
  auto attr = op->getAttrOfType<StringAttr>(name);
  return (attr ? attr.getValue() : absent).str();
}

std::optional<MoeNode> MoeNode::read(Operation *node, int64_t numExperts, std::string &reason) {
  auto fail = [&](const Twine &why) {
    reason = why.str();
    return std::nullopt;
  };
  MoeNode m;
  m.quantized = isOnnx(node, {"ms.QMoE"});
  m.k = intAttr(node, "k", 1);
  m.sparseMixer = intAttr(node, "use_sparse_mixer", 0);
  m.activation = stringAttr(node, "activation_type", "relu");
  m.alpha = floatAttr(node, "activation_alpha", 1);
  m.beta = floatAttr(node, "activation_beta", 0);
  m.limit = floatAttr(node, "swiglu_limit", INFINITY);
  int64_t fusion = intAttr(node, "swiglu_fusion", 0);
  if (!llvm::is_contained({"relu", "gelu", "silu", "swiglu", "identity"}, m.activation))
    return fail("expects activation_type relu, gelu, silu, swiglu or identity, but found '" + m.activation + "'");
  if (ShapedType::isDynamic(numExperts) || m.k < 1 || m.k > numExperts)
    return fail("expects 1 <= k <= the number of experts, but k is " + Twine(m.k));
  if (m.sparseMixer && m.k != 2)
    return fail("expects k = 2 with use_sparse_mixer, but k is " + Twine(m.k));
  if (fusion < 0 || fusion > 2)
    return fail("expects swiglu_fusion 0, 1 or 2, but found " + Twine(fusion));
  if (!m.quantized) {
    m.fc1 = {2, 0, 3, 0, 0};
    m.fc2 = {4, 0, 5, 0, 0};
    m.fc3 = {6, 0, 7, 0, 0};
    m.normalize = intAttr(node, "normalize_routing_weights", 0);
  } else {
    if (std::string type = stringAttr(node, "quant_type", "int"); type != "int")
      return fail("expects quant_type 'int', but found '" + type + "'");
    if (intAttr(node, "weights_prepacked", -1) == 1)
      return fail("expects weights that are not prepacked, but weights_prepacked is 1");
    for (unsigned i = 15; i < 21; ++i)
      if (getInput(node, i))
        return fail("expects no global or activation scales");
    int64_t bits = intAttr(node, "expert_weight_bits", 4);
    m.block = intAttr(node, "block_size", 0);
    m.fc1 = {2, 3, 4, 11, intAttr(node, "fc1_expert_weight_bits", bits)};
    m.fc2 = {5, 6, 7, 12, intAttr(node, "fc2_expert_weight_bits", bits)};
    m.fc3 = {8, 9, 10, 13, intAttr(node, "fc3_expert_weight_bits", bits)};
    if (getInput(node, 14))
      m.routerWeights = 14;
    m.normalize = !m.routerWeights || intAttr(node, "normalize_routing_weights", 0);
    for (const Projection &p : {m.fc1, m.fc2, m.fc3}) {
      if (!getInput(node, p.weights))
        continue;
      if (p.bits != 2 && p.bits != 4 && p.bits != 8)
        return fail("expects weights of 2, 4 or 8 bits, but found " + Twine(p.bits));
      if (!getInput(node, p.scales))
        return fail("expects scales for quantized weights");
    }
  }
  m.hasFc3 = static_cast<bool>(getInput(node, m.fc3.weights));
  // Without a fusion there are two projections; older QMoE files mean "interleaved".
  if (m.activation == "swiglu" && fusion == 0 && !m.hasFc3 && !m.quantized)
    return fail("expects swiglu with swiglu_fusion 1 or 2, or with fc3, but found neither");
  m.interleaved = m.activation == "swiglu" && !m.hasFc3 && fusion != 2;
  return m;
}
