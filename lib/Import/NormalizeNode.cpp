//===- NormalizeNode.cpp - nodes of older opsets in the newest form -------===//
//
// What: attributes that became inputs, defaults that changed, forms that went away. Why: everything after the import knows one
// opset. Where the newest form cannot say what the old one does, this fails and names the version.
//
//   Squeeze {axes = [1]}  (opset 11)   ->   Squeeze(x, Constant [1])
//   Softmax {axis = 1}    (opset 11)   ->   Reshape(Softmax(Flatten(x, 1), axis = -1), Shape(x))
//
// And com.microsoft's nodes that are two standard ones:
//
//   FusedGemm {activation = "Sigmoid"} ->   Sigmoid(Gemm(a, b, c))
//
//===----------------------------------------------------------------------===//
#include "Importer.h"

#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace mlir::moe;

namespace {
/// The node with shorthands.
struct Normalizer {
  Importer &importer;
  NodeState &node;

  LogicalResult fail(const Twine &message) {
    auto name = cast<NameLoc>(node.loc).getName().getValue();
    return importer.fail("node '" + onnxfile::printable(name) + "' (" + node.opType + ", opset " +
                         std::to_string(node.version) + "): " + message);
  }
  Value in(unsigned i) { return i < node.inputs.size() ? node.inputs[i] : Value(); }
  void setInput(unsigned i, Value value) {
    if (node.inputs.size() <= i)
      node.inputs.resize(i + 1);
    node.inputs[i] = value;
  }
  int64_t rank(unsigned i) { return cast<RankedTensorType>(in(i).getType()).getRank(); }
  Type element(unsigned i) { return cast<RankedTensorType>(in(i).getType()).getElementType(); }
  Builder builder() { return Builder(importer.context); }
  template <typename T> T take(StringRef name) { return dyn_cast_or_null<T>(node.attributes.erase(name)); }
  std::optional<SmallVector<int64_t>> takeIntegers(StringRef name) {
    auto attribute = take<DenseI64ArrayAttr>(name);
    return attribute ? std::optional(SmallVector<int64_t>(attribute.asArrayRef())) : std::nullopt;
  }
  std::optional<int64_t> takeInteger(StringRef name) {
    auto attribute = take<IntegerAttr>(name);
    return attribute ? std::optional(attribute.getInt()) : std::nullopt;
  }
  void set(StringRef name, int64_t value) { node.attributes.set(name, builder().getI64IntegerAttr(value)); }
  void set(StringRef name, StringRef value) { node.attributes.set(name, builder().getStringAttr(value)); }

  /// An input with these integers, or a float scalar of input 0's type.
  LogicalResult constantInput(unsigned i, ArrayRef<int64_t> values) {
    FailureOr<Value> value = importer.constant(node.loc, values);
    setInput(i, value.value_or(Value()));
    return value;
  }
  LogicalResult scalarInput(unsigned i, double number) {
    auto type = RankedTensorType::get({}, element(0));
    Attribute attribute;
    if (isa<FloatType>(element(0)))
      attribute = builder().getFloatAttr(element(0), number);
    else if (number == static_cast<double>(static_cast<int64_t>(number)))
      attribute = builder().getIntegerAttr(element(0), static_cast<int64_t>(number));
    else
      return fail("expects a whole number for integers");
    FailureOr<Value> value = importer.constant(node.loc, DenseElementsAttr::get(type, attribute));
    setInput(i, value.value_or(Value()));
    return value;
  }
  /// An attribute that became input `i`.
  LogicalResult attributeToInput(StringRef name, unsigned i) {
    auto values = takeIntegers(name);
    return values ? constantInput(i, *values) : success();
  }

  LogicalResult run();
  LogicalResult legacyBroadcast();
  LogicalResult clip();
  LogicalResult pad();
  LogicalResult slice();
  LogicalResult split();
  LogicalResult topK();
  LogicalResult batchNorm();
  LogicalResult flattenedSoftmax();
  LogicalResult resize();
  LogicalResult groupNorm();
  LogicalResult fusedGemm();
};
} // namespace

/// Opset 1 and 6: `broadcast = 1` with an `axis` at which the second operand's dimensions begin.
LogicalResult Normalizer::legacyBroadcast() {
  take<IntegerAttr>("broadcast");
  auto axis = takeInteger("axis");
  if (!axis || !in(0) || !in(1))
    return success();
  int64_t from = *axis < 0 ? *axis + rank(0) : *axis, trailing = rank(0) - from - rank(1);
  if (from < 0 || trailing < 0)
    return fail(
        llvm::formatv("expects input 1 of rank {0} at axis {1} to fit in rank {2}", rank(1), *axis, rank(0)).str());
  if (trailing == 0)
    return success();
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(rank(1), rank(1) + trailing));
  FailureOr<Value> list = importer.constant(node.loc, axes);
  if (failed(list))
    return failure();
  FailureOr<Value> wide = importer.createOne("Unsqueeze", node.loc, {in(1), *list});
  if (succeeded(wide))
    setInput(1, *wide);
  return wide;
}

LogicalResult Normalizer::clip() {
  if (!in(0))
    return success();
  auto least = take<FloatAttr>("min"), most = take<FloatAttr>("max");
  if (least && failed(scalarInput(1, least.getValueAsDouble())))
    return failure();
  return most ? scalarInput(2, most.getValueAsDouble()) : success();
}

LogicalResult Normalizer::pad() {
  if (!in(0))
    return success();
  auto pads = takeIntegers("pads");
  if (!pads)
    pads = takeIntegers("paddings");
  auto value = take<FloatAttr>("value");
  if (!pads)
    return fail("expects the attribute 'pads'");
  if (failed(constantInput(1, *pads)))
    return failure();
  return value && value.getValueAsDouble() != 0 ? scalarInput(2, value.getValueAsDouble()) : success();
}

LogicalResult Normalizer::slice() {
  auto starts = takeIntegers("starts"), ends = takeIntegers("ends");
  if (!starts || !ends)
    return fail("expects the attributes 'starts' and 'ends'");
  if (failed(constantInput(1, *starts)) || failed(constantInput(2, *ends)))
    return failure();
  return attributeToInput("axes", 3);
}

LogicalResult Normalizer::split() {
  if (node.version < 13 && failed(attributeToInput("split", 1)))
    return failure();
  if (node.version < 18 && !in(1))
    set("num_outputs", node.outputs.size());
  return success();
}

LogicalResult Normalizer::topK() {
  auto k = takeInteger("k");
  return k ? constantInput(1, {*k}) : fail("expects the attribute 'k'");
}

LogicalResult Normalizer::batchNorm() {
  if (auto spatial = takeInteger("spatial"); spatial && *spatial != 1)
    return fail("expects statistics by channel (spatial = 1)");
  take<IntegerAttr>("is_test");
  for (StringRef output : ArrayRef<StringRef>(node.outputs).drop_front(std::min<size_t>(1, node.outputs.size())))
    if (!output.empty())
      return fail("expects inference, but the node has the outputs of training");
  node.outputs.resize(std::min<size_t>(1, node.outputs.size()));
  return success();
}

/// Before opset 13 everything from `axis` on was one dimension.
LogicalResult Normalizer::flattenedSoftmax() {
  if (!in(0))
    return success();
  int64_t axis = takeInteger("axis").value_or(1), inputRank = rank(0);
  if (axis < -inputRank || axis > inputRank)
    return fail(llvm::formatv("expects an axis in [{0}, {1}], but the axis is {2}", -inputRank, inputRank, axis).str());
  axis = axis < 0 ? axis + inputRank : axis;
  set("axis", -1);
  if (axis == inputRank - 1)
    return success();
  FailureOr<Value> shape = importer.createOne("Shape", node.loc, {in(0)});
  NamedAttrList attributes;
  attributes.set("axis", builder().getI64IntegerAttr(axis));
  FailureOr<Value> flat = failed(shape) ? shape : importer.createOne("Flatten", node.loc, {in(0)}, attributes);
  if (failed(flat))
    return failure();
  setInput(0, *flat);
  node.finish = [&importer = importer, loc = node.loc, shape = *shape](Value result) {
    return importer.createOne("Reshape", loc, {result, shape}).value_or(Value());
  };
  return success();
}

/// Opset 10 had no coordinate modes: pixels were taken at floor(x / scale).
LogicalResult Normalizer::resize() {
  node.inputs = {in(0), Value(), in(1)};
  set("coordinate_transformation_mode", "asymmetric");
  set("nearest_mode", "floor");
  return success();
}

/// Opset 18 has one scale and bias per group, opset 21 per channel: each is repeated for the channels of its group.
LogicalResult Normalizer::groupNorm() {
  auto groups = dyn_cast_or_null<IntegerAttr>(node.attributes.get("num_groups"));
  if (!in(0) || !in(1) || !in(2) || !groups || rank(0) < 2)
    return success(); // refused when the op is made
  int64_t channels = cast<RankedTensorType>(in(0).getType()).getDimSize(1), count = groups.getInt();
  if (ShapedType::isDynamic(channels) || count < 1 || channels % count != 0)
    return fail("expects a static number of channels that the groups divide");
  for (unsigned i : {1u, 2u}) {
    FailureOr<Value> column = importer.constant(node.loc, {count, 1}),
                     wide = importer.constant(node.loc, {count, channels / count}),
                     flat = importer.constant(node.loc, {channels});
    if (failed(column) || failed(wide) || failed(flat))
      return failure();
    FailureOr<Value> value = importer.createOne("Reshape", node.loc, {in(i), *column});
    value = failed(value) ? value : importer.createOne("Expand", node.loc, {*value, *wide});
    value = failed(value) ? value : importer.createOne("Reshape", node.loc, {*value, *flat});
    if (failed(value))
      return failure();
    setInput(i, *value);
  }
  return success();
}

/// A product and what ONNX Runtime found behind it; the activation's own attributes have its name in front.
LogicalResult Normalizer::fusedGemm() {
  auto activation = take<StringAttr>("activation");
  NamedAttrList attributes;
  static constexpr StringLiteral parameters[] = {"alpha", "beta", "gamma"};
  for (StringRef name : parameters)
    if (auto given = take<FloatAttr>(("activation_" + name).str()))
      attributes.set(name, given);
  if (!activation)
    return fail("expects the attribute 'activation'");
  static constexpr struct {
    StringLiteral name;
    unsigned takes; // bits: which of the parameters are its attributes
  } known[] = {{"Elu", 1},     {"HardSigmoid", 3}, {"LeakyRelu", 1}, {"Relu", 0}, {"Selu", 5},
               {"Sigmoid", 0}, {"Softplus", 0},    {"Softsign", 0},  {"Tanh", 0}, {"ThresholdedRelu", 1}};
  auto it = llvm::find_if(known, [&](const auto &entry) { return entry.name == activation.getValue(); });
  if (it == std::end(known))
    return fail("expects 'activation' to be one of Elu, HardSigmoid, LeakyRelu, Relu, Selu, Sigmoid, Softplus, "
                "Softsign, Tanh and "
                "ThresholdedRelu, but it is '" +
                activation.getValue() + "'");
  for (auto [i, name] : llvm::enumerate(parameters))
    if (!(it->takes >> i & 1))
      attributes.erase(name);
  node.opType = "Gemm", node.isMicrosoft = false;
  node.finish = [&importer = importer, loc = node.loc, name = it->name, attributes](Value result) {
    return importer.createOne(name, loc, {result}, attributes).value_or(Value());
  };
  return success();
}

LogicalResult Normalizer::run() {
  StringRef op = node.opType;
  int64_t version = node.version;
  if (node.isMicrosoft)
    return op == "FusedGemm" ? fusedGemm() : success();
  if (version < 6)
    node.attributes.erase("consumed_inputs"); // a hint about memory
  if (version < 7 &&
      llvm::is_contained({"Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Less", "Greater"}, op))
    return legacyBroadcast();
  if (version < 7 && op == "Gemm")
    node.attributes.erase("broadcast");
  if (version < 13 && (op == "Squeeze" || op == "Unsqueeze"))
    return attributeToInput("axes", 1);
  if (op.starts_with("Reduce") && version < (op == "ReduceSum" ? 13 : 18))
    return attributeToInput("axes", 1);
  if (op == "Slice" && version < 10)
    return slice();
  if (op == "Split")
    return split();
  if (op == "Concat" && version < 4 && !node.attributes.get("axis"))
    set("axis", 1);
  if (op == "Reshape" && version < 5)
    return attributeToInput("shape", 1);
  if (op == "Cast" && version < 6)
    return fail("expects opset 6 or newer");
  if (op == "Tile" && version < 6)
    return fail("expects opset 6 or newer");
  if (op == "Clip" && version < 11)
    return clip();
  if (op == "Pad" && version < 11)
    return pad();
  if (op == "TopK" && version < 10)
    return topK();
  if (op == "Dropout" && version < 12) { // always the identity when it is not trained
    node.attributes.erase("ratio");
    node.attributes.erase("is_test");
  }
  if (op == "BatchNormalization" && version < 14)
    return batchNorm();
  if (version < 13 && (op == "Softmax" || op == "LogSoftmax" || op == "Hardmax"))
    return flattenedSoftmax();
  if (op == "Resize" && version == 10)
    return resize();
  if (op == "GroupNormalization" && version < 21)
    return groupNorm();
  if (op == "Scatter")
    node.opType = "ScatterElements";
  if (op == "Selu" && version < 6) {
    if (!node.attributes.get("alpha"))
      node.attributes.set("alpha", builder().getF32FloatAttr(1.6732f));
    if (!node.attributes.get("gamma"))
      node.attributes.set("gamma", builder().getF32FloatAttr(1.0507f));
  }
  return success();
}

LogicalResult moe::normalizeNode(Importer &importer, NodeState &node) { return Normalizer{importer, node}.run(); }

bool moe::isNormalizedAway(StringRef opType, bool isMicrosoft) {
  return opType == (isMicrosoft ? "FusedGemm" : "Scatter");
}
