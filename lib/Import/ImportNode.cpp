//===- ImportNode.cpp - nodes of a graph or function as ops ---------------===//
#include "Importer.h"
#include "moe/Support/Dtype.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace mlir::moe;
using llvm::formatv;
using onnxfile::printable;

std::string Importer::describe(const onnxfile::Node &node) {
  StringRef name = !node.name.empty() ? node.name : node.outputs.empty() ? StringRef() : node.outputs.front();
  return ("node '" + printable(name) + "' (" + printable(node.opType) + ")");
}

Location Importer::locationOf(const onnxfile::Node &node) {
  StringRef name = !node.name.empty() ? node.name : node.outputs.empty() ? node.opType : node.outputs.front();
  return NameLoc::get(StringAttr::get(context, name));
}

static StringRef domainOf(StringRef domain) { return domain == "ai.onnx" ? StringRef() : domain; }

const onnxfile::Function *Importer::findFunction(const onnxfile::Node &node) {
  if (functions.empty())
    return nullptr;
  auto it = functions.find((domainOf(node.domain) + "\1" + node.opType + "\1" + node.overload).str());
  return it == functions.end() ? nullptr : it->second;
}

FailureOr<Value> Importer::lookup(StringRef name, Scope &scope) {
  if (auto it = scope.values.find(name); it != scope.values.end())
    return it->second;
  if (scope.initializers)
    if (auto it = scope.initializers->find(name); it != scope.initializers->end()) {
      FailureOr<Value> value = tensorValue(*it->second, name, "tensor '" + printable(name) + "'",
                                           NameLoc::get(StringAttr::get(context, name)));
      if (succeeded(value))
        scope.values[name] = *value;
      return value;
    }
  return scope.outer ? lookup(name, *scope.outer) : FailureOr<Value>(failure());
}

LogicalResult Importer::define(Scope &scope, StringRef name, Value value) {
  if (!scope.values.try_emplace(name, value).second)
    return fail("value '" + printable(name) + "' is defined twice");
  return success();
}

//===----------------------------------------------------------------------===//
// Order
//===----------------------------------------------------------------------===//

/// What the graphs of a node read that they do not make themselves.
static void readByGraphs(const onnxfile::Node &node, std::vector<StringRef> &names) {
  for (const onnxfile::Attribute &attribute : node.attributes) {
    if (!attribute.graph)
      continue;
    llvm::StringSet<> own;
    std::vector<StringRef> reads;
    for (const onnxfile::Tensor &tensor : attribute.graph->initializers)
      own.insert(tensor.name);
    for (const onnxfile::Node &inner : attribute.graph->nodes) {
      own.insert_range(inner.outputs);
      reads.insert(reads.end(), inner.inputs.begin(), inner.inputs.end());
      readByGraphs(inner, reads);
    }
    for (const onnxfile::ValueInfo &output : attribute.graph->outputs)
      reads.push_back(output.name);
    llvm::copy_if(reads, std::back_inserter(names), [&](StringRef name) { return !own.contains(name); });
  }
}

/// Nodes in an order in which each follows those it reads. The file's order, if it is one.
std::optional<std::vector<unsigned>> Importer::order(ArrayRef<onnxfile::Node> nodes, std::string &error) {
  llvm::StringMap<unsigned> producer;
  bool sorted = true;
  for (auto [i, node] : llvm::enumerate(nodes))
    for (StringRef output : node.outputs)
      if (!output.empty() && !producer.try_emplace(output, i).second) {
        error = "value '" + printable(output) + "' is defined twice, the second time by " + describe(node);
        return std::nullopt;
      }
  llvm::DenseMap<unsigned, std::vector<StringRef>> branches; // all that nodes with graphs read
  for (auto [i, node] : llvm::enumerate(nodes))
    if (llvm::any_of(node.attributes,
                     [](const onnxfile::Attribute &attribute) { return attribute.graph != nullptr; })) {
      branches[i] = node.inputs;
      readByGraphs(node, branches[i]);
    }
  auto reads = [&](unsigned i) -> ArrayRef<StringRef> {
    auto it = branches.find(i);
    return it == branches.end() ? nodes[i].inputs : it->second;
  };
  for (unsigned i = 0; i < nodes.size(); ++i)
    for (StringRef input : reads(i))
      if (auto it = producer.find(input); it != producer.end())
        sorted &= it->second < i;
  std::vector<unsigned> result;
  result.reserve(nodes.size());
  if (sorted) {
    for (unsigned i = 0; i < nodes.size(); ++i)
      result.push_back(i);
    return result;
  }
  // Depth first, with an explicit stack: position in the inputs, and whether a node is on the stack.
  enum State : uint8_t { kNew, kOpen, kDone };
  std::vector<State> state(nodes.size(), kNew);
  std::vector<std::pair<unsigned, size_t>> stack;
  for (unsigned start = 0; start < nodes.size(); ++start) {
    if (state[start] != kNew)
      continue;
    state[start] = kOpen;
    stack.emplace_back(start, 0);
    while (!stack.empty()) {
      auto &[i, next] = stack.back();
      if (next == reads(i).size()) {
        state[i] = kDone;
        result.push_back(i);
        stack.pop_back();
        continue;
      }
      auto it = producer.find(reads(i)[next++]);
      if (it == producer.end() || state[it->second] == kDone)
        continue;
      if (state[it->second] == kOpen) {
        error = "expects a graph without cycles, but " + describe(nodes[it->second]) + " depends on itself";
        return std::nullopt;
      }
      state[it->second] = kOpen;
      stack.emplace_back(it->second, 0);
    }
  }
  return result;
}

LogicalResult Importer::importNodes(ArrayRef<onnxfile::Node> nodes, Scope &scope, const Twine &where) {
  std::string error;
  auto sequence = order(nodes, error);
  if (!sequence)
    return fail(where + error);
  for (unsigned i : *sequence) {
    if (failed(importNode(nodes[i], scope)))
      return failure();
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

FailureOr<Operation *> Importer::create(StringRef opType, bool isMicrosoft, Location loc, ArrayRef<Value> inputs,
                                        const NamedAttrList &attributes, ArrayRef<StringRef> outputs) {
  std::string name = ("onnx." + Twine(isMicrosoft ? "ms." : "") + opType).str();
  OperationState state(loc, name);
  auto *schema = state.name.getRegisteredInfo() ? state.name.getInterface<onnx::OnnxOpInterface>() : nullptr;
  auto refuse = [&](const Twine &message) -> LogicalResult {
    return fail("node '" + printable(cast<NameLoc>(loc).getName().getValue()) + "' (" + opType + "): " + message);
  };
  if (!schema)
    return refuse("is an operator without a rule");
  auto count = [&](StringRef kinds, size_t given, const char *what) -> LogicalResult {
    if (!kinds.ends_with("v") && given > kinds.size())
      return refuse(formatv("expects at most {0} {1}, but has {2}", kinds.size(), what, given).str());
    return success();
  };
  while (!inputs.empty() && !inputs.back())
    inputs = inputs.drop_back();
  while (!outputs.empty() && outputs.back().empty())
    outputs = outputs.drop_back();
  StringRef inputKinds = schema->inputKinds(), outputKinds = schema->outputKinds();
  if (failed(count(inputKinds, inputs.size(), "inputs")) || failed(count(outputKinds, outputs.size(), "outputs")))
    return failure();
  auto kindAt = [](StringRef kinds, size_t i) { return i < kinds.size() ? kinds[i] : 'v'; };
  SmallVector<int32_t> inputSizes(inputKinds.size(), 0), outputSizes(outputKinds.size(), 0);
  for (size_t i = 0; i < std::max(inputs.size(), inputKinds.size()); ++i) {
    Value input = i < inputs.size() ? inputs[i] : Value();
    if (!input && kindAt(inputKinds, i) != 'o')
      return refuse(formatv("expects input {0}, but it is missing", i).str());
    if (input) {
      state.addOperands(input);
      ++inputSizes[std::min(i, inputKinds.size() - 1)];
    }
  }
  Type open = RankedTensorType::get({}, builder.getF32Type()); // until the rules say
  for (size_t i = 0; i < std::max(outputs.size(), outputKinds.size()); ++i) {
    bool named = i < outputs.size() && !outputs[i].empty();
    char kind = kindAt(outputKinds, i);
    if (!named && kind == 'o')
      continue;
    state.addTypes(open); // a required output without a name is a value that nobody reads
    ++outputSizes[std::min(i, outputKinds.size() - 1)];
  }
  state.attributes = attributes;
  // Unknown attributes would be dropped silently by most readers; what they ask for would not be done.
  ArrayRef<StringAttr> known = state.name.getAttributeNames();
  for (NamedAttribute attribute : state.attributes)
    if (!llvm::is_contained(known, attribute.getName()) || attribute.getName().getValue().ends_with("SegmentSizes"))
      return refuse("has the attribute '" + printable(attribute.getName()) + "', which the operator does not have");
  if (onnx::hasSegments(inputKinds))
    state.attributes.set("operandSegmentSizes", builder.getDenseI32ArrayAttr(inputSizes));
  if (onnx::hasSegments(outputKinds))
    state.attributes.set("resultSegmentSizes", builder.getDenseI32ArrayAttr(outputSizes));
  // What the op itself refuses: attributes that are missing or of the wrong kind; then what its inputs do not allow.
  std::string problem;
  auto quietly = [&](llvm::function_ref<LogicalResult()> step) {
    ScopedDiagnosticHandler capture(context, [&](Diagnostic &diagnostic) {
      if (problem.empty())
        problem = diagnostic.str();
      return success();
    });
    return step();
  };
  if (failed(quietly(
          [&] { return state.name.verifyInherentAttrs(state.attributes, [&] { return mlir::emitError(loc); }); })))
    return refuse(problem);
  Operation *op = builder.create(state);
  if (failed(
          quietly([&] { return failure(failed(op->getName().verifyInvariants(op)) || failed(facts->infer(op))); }))) {
    op->erase();
    return refuse(problem);
  }
  for (OpResult result : op->getResults()) {
    RankedTensorType type = facts->type(result);
    result.setType(type);
  }
  return op;
}

FailureOr<Value> Importer::createOne(StringRef opType, Location loc, ArrayRef<Value> inputs,
                                     const NamedAttrList &attributes) {
  FailureOr<Operation *> op = create(opType, false, loc, inputs, attributes, {"result"});
  if (failed(op))
    return failure();
  return Value((*op)->getResult(0));
}

FailureOr<Value> Importer::constant(Location loc, DenseElementsAttr value) {
  return Value(onnx::ConstantOp::create(builder, loc, value.getType(), value));
}

FailureOr<Value> Importer::constant(Location loc, ArrayRef<int64_t> values) {
  auto type = RankedTensorType::get({static_cast<int64_t>(values.size())}, builder.getI64Type());
  return constant(loc, DenseElementsAttr::get(type, values));
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

const onnxfile::Attribute *Importer::resolve(const onnxfile::Attribute &attribute, Scope &scope) {
  if (attribute.reference.empty())
    return &attribute;
  if (scope.arguments)
    if (auto it = scope.arguments->find(attribute.reference); it != scope.arguments->end())
      return it->second;
  if (scope.function)
    for (const onnxfile::Attribute &otherwise : scope.function->defaults)
      if (otherwise.name == attribute.reference)
        return &otherwise;
  return nullptr; // not given: as if the attribute were absent
}

static bool holdsType(StringRef name) {
  return llvm::is_contained(
      {"to", "dtype", "stash_type", "softmax_precision", "output_datatype", "output_dtype", "precision"}, name);
}

FailureOr<Attribute> Importer::convert(const onnxfile::Attribute &attribute, const onnxfile::Node &node) {
  using Kind = onnxfile::Attribute;
  std::string what = describe(node) + ": attribute '" + printable(attribute.name) + "'";
  switch (attribute.kind) {
  case Kind::Float:
    return Attribute(builder.getF32FloatAttr(attribute.number));
  case Kind::Int:
    if (holdsType(attribute.name)) {
      if (attribute.integer == 0)
        return Attribute(); // undefined: the default
      Type type = elementTypeFromOnnx(context, attribute.integer);
      if (!type)
        return fail(what + " expects a data type of numbers or bool, but is " + dataTypeName(attribute.integer));
      return Attribute(TypeAttr::get(type));
    }
    return Attribute(builder.getI64IntegerAttr(attribute.integer));
  case Kind::String:
    if (!onnxfile::isCleanText(attribute.string))
      return fail(what + " expects text, but is \"" + printable(attribute.string) + "\"");
    return Attribute(builder.getStringAttr(attribute.string));
  case Kind::Tensor_: {
    if (!attribute.tensor)
      return fail(what + " expects a tensor, but has none");
    FailureOr<DenseElementsAttr> value = tensorAttr(*attribute.tensor, what);
    if (failed(value))
      return failure();
    return Attribute(*value);
  }
  case Kind::Floats:
    return Attribute(builder.getDenseF32ArrayAttr(attribute.floats));
  case Kind::Ints:
    return Attribute(builder.getDenseI64ArrayAttr(attribute.integers));
  case Kind::Strings:
    for (StringRef text : attribute.strings)
      if (!onnxfile::isCleanText(text))
        return fail(what + " expects text, but is \"" + printable(text) + "\"");
    return Attribute(builder.getStrArrayAttr(attribute.strings));
  default:
    return fail(
        what +
        formatv(" expects a number, text, a tensor or a list of them, but is of kind {0}", attribute.kind).str());
  }
}

/// Constant has one attribute of many kinds.
LogicalResult Importer::importConstant(const onnxfile::Node &node, Scope &scope, Location loc) {
  if (node.outputs.size() != 1 || node.outputs[0].empty() || !node.inputs.empty())
    return fail(describe(node) + ": expects no input and one output");
  const onnxfile::Attribute *attribute = nullptr;
  StringRef name;
  for (const onnxfile::Attribute &candidate : node.attributes)
    if (const onnxfile::Attribute *resolved = resolve(candidate, scope)) {
      if (attribute)
        return fail(describe(node) + ": expects one attribute, but has several");
      attribute = resolved, name = candidate.name;
    }
  if (!attribute)
    return fail(describe(node) + ": expects a value, but has none");
  FailureOr<Value> value = failure();
  auto dense = [&](Type element, std::optional<int64_t> size, auto values) {
    auto type = size ? RankedTensorType::get({*size}, element) : RankedTensorType::get({}, element);
    value = constant(loc, DenseElementsAttr::get(type, values));
  };
  using Kind = onnxfile::Attribute;
  if (name == "value" && attribute->kind == Kind::Tensor_ && attribute->tensor)
    value = tensorValue(*attribute->tensor, node.outputs[0], describe(node), loc);
  else if (name == "value_float" && attribute->kind == Kind::Float)
    dense(builder.getF32Type(), std::nullopt, ArrayRef<float>(attribute->number));
  else if (name == "value_int" && attribute->kind == Kind::Int)
    dense(builder.getI64Type(), std::nullopt, ArrayRef<int64_t>(attribute->integer));
  else if (name == "value_floats" && attribute->kind == Kind::Floats)
    dense(builder.getF32Type(), attribute->floats.size(), ArrayRef<float>(attribute->floats));
  else if (name == "value_ints" && attribute->kind == Kind::Ints)
    dense(builder.getI64Type(), attribute->integers.size(), ArrayRef<int64_t>(attribute->integers));
  else
    return fail(describe(node) + ": expects a dense tensor, numbers or a number, but has '" + printable(name) + "'");
  return failed(value) ? failure() : define(scope, node.outputs[0], *value);
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

LogicalResult Importer::importNode(const onnxfile::Node &node, Scope &scope) {
  if (const onnxfile::Function *function = findFunction(node))
    return callFunction(*function, node, scope);
  if (isBranch(node))
    return importIf(node, scope);
  NodeState state(locationOf(node));
  StringRef domain = domainOf(node.domain);
  auto version = scope.opsets->find(domain);
  if (version == scope.opsets->end())
    return fail(describe(node) + ": expects the model to import an opset of its domain '" + printable(domain) +
                "', but it does not");
  state.version = version->second;
  state.opType = node.opType;
  state.isMicrosoft = domain == "com.microsoft" || node.opType == "SimplifiedLayerNormalization";
  if (node.opType == "Constant" && !state.isMicrosoft)
    return importConstant(node, scope, state.loc);
  for (StringRef input : node.inputs) {
    if (input.empty()) {
      state.inputs.push_back(Value());
      continue;
    }
    FailureOr<Value> value = lookup(input, scope);
    if (failed(value))
      return fail(describe(node) + " reads '" + printable(input) + "', which no node, input or initializer defines");
    state.inputs.push_back(*value);
  }
  for (const onnxfile::Attribute &attribute : node.attributes) {
    const onnxfile::Attribute *given = resolve(attribute, scope);
    if (!given)
      continue;
    onnxfile::Attribute named = *given;
    named.name = attribute.name;
    FailureOr<Attribute> converted = convert(named, node);
    if (failed(converted))
      return failure();
    if (*converted && state.attributes.set(attribute.name, *converted))
      return fail(describe(node) + ": has the attribute '" + printable(attribute.name) + "' twice");
  }
  state.outputs.assign(node.outputs.begin(), node.outputs.end());
  if (failed(normalizeNode(*this, state)))
    return failure();
  FailureOr<Operation *> op =
      create(state.opType, state.isMicrosoft, state.loc, state.inputs, state.attributes, state.outputs);
  if (failed(op))
    return failure();
  auto outputs = cast<onnx::OnnxOpInterface>(*op);
  for (auto [i, name] : llvm::enumerate(state.outputs)) {
    if (name.empty())
      continue;
    Value value = outputs.getOutput(i);
    if (i == 0 && state.finish) {
      value = state.finish(value);
      if (!value)
        return failure();
    }
    if (failed(define(scope, name, value)))
      return failure();
  }
  return success();
}

bool moe::isBranch(const onnxfile::Node &node) { return domainOf(node.domain).empty() && node.opType == "If"; }

/// Programs have no branches: the one that the condition takes is copied into the node's place. Exporters write such nodes where
/// they do not know an extent, which shapes decide here.
LogicalResult Importer::importIf(const onnxfile::Node &node, Scope &scope) {
  auto refuse = [&](const Twine &message) { return fail(describe(node) + ": " + message); };
  if (scope.depth >= kMaxCallDepth)
    return refuse("expects functions that do not call themselves, but the call is " + Twine(kMaxCallDepth) + " deep");
  if (node.inputs.size() != 1)
    return refuse("expects one input, but has " + Twine(node.inputs.size()));
  FailureOr<Value> condition = lookup(node.inputs[0], scope);
  if (failed(condition) || !*condition)
    return refuse("reads '" + printable(node.inputs[0]) + "', which no node, input or initializer defines");
  std::optional<int64_t> taken = facts->constant(facts->scalar(*condition));
  if (!taken)
    return refuse("expects a condition that constants and known extents decide, since programs have no branches");
  StringRef name = *taken ? "then_branch" : "else_branch";
  const onnxfile::Graph *graph = nullptr;
  for (const onnxfile::Attribute &attribute : node.attributes)
    if (attribute.name == name)
      if (const onnxfile::Attribute *given = resolve(attribute, scope))
        graph = given->graph.get();
  if (!graph)
    return refuse("expects the attribute '" + name + "' to be a graph");
  if (!graph->inputs.empty() || graph->hasSparse)
    return refuse("expects '" + name + "' to have no inputs and no sparse tensors");
  if (graph->outputs.size() != node.outputs.size())
    return refuse("expects '" + name + "' to have " + Twine(node.outputs.size()) + " outputs, but it has " +
                  Twine(graph->outputs.size()));
  llvm::StringMap<const onnxfile::Tensor *> tensors;
  if (failed(indexInitializers(*graph, tensors)))
    return failure();
  Scope inner;
  inner.function = scope.function, inner.arguments = scope.arguments, inner.opsets = scope.opsets;
  inner.initializers = &tensors, inner.outer = &scope, inner.depth = scope.depth + 1;
  if (failed(importNodes(graph->nodes, inner, describe(node) + ": '" + name + "': ")))
    return failure();
  for (auto [output, given] : llvm::zip(graph->outputs, node.outputs)) {
    FailureOr<Value> value = lookup(output.name, inner);
    if (failed(value) || !*value)
      return refuse("output '" + printable(output.name) + "' of '" + name +
                    "' is not defined by a node, input or initializer");
    if (!given.empty() && failed(define(scope, given, *value)))
      return failure();
  }
  return success();
}

LogicalResult Importer::callFunction(const onnxfile::Function &function, const onnxfile::Node &node, Scope &scope) {
  if (scope.depth >= kMaxCallDepth)
    return fail(describe(node) + ": expects functions that do not call themselves, but the call is " +
                std::to_string(kMaxCallDepth) + " deep");
  if (node.inputs.size() > function.inputs.size() || node.outputs.size() > function.outputs.size())
    return fail(describe(node) + formatv(": expects at most {0} inputs and {1} outputs, but has {2} and {3}",
                                         function.inputs.size(), function.outputs.size(), node.inputs.size(),
                                         node.outputs.size())
                                     .str());
  Scope inner;
  inner.function = &function;
  inner.depth = scope.depth + 1;
  llvm::StringMap<const onnxfile::Attribute *> arguments;
  for (const onnxfile::Attribute &attribute : node.attributes)
    if (const onnxfile::Attribute *given = resolve(attribute, scope))
      arguments[attribute.name] = given;
  inner.arguments = &arguments;
  inner.opsets = functionOpsets[&function - model.functions.data()].get();
  for (auto [i, name] : llvm::enumerate(function.inputs)) {
    // A missing optional input is a null value, which ops take as missing.
    Value value;
    if (i < node.inputs.size() && !node.inputs[i].empty()) {
      FailureOr<Value> found = lookup(node.inputs[i], scope);
      if (failed(found))
        return fail(describe(node) + " reads '" + printable(node.inputs[i]) +
                    "', which no node, input or initializer defines");
      value = *found;
    }
    if (failed(define(inner, name, value)))
      return failure();
  }
  if (failed(importNodes(function.nodes, inner, "function '" + printable(function.name) + "': ")))
    return failure();
  for (auto [i, name] : llvm::enumerate(node.outputs)) {
    if (name.empty())
      continue;
    auto it = inner.values.find(function.outputs[i]);
    if (it == inner.values.end() || !it->second)
      return fail("function '" + printable(function.name) + "': output '" + printable(function.outputs[i]) +
                  "' is not defined");
    if (failed(define(scope, name, it->second)))
      return failure();
  }
  return success();
}
