//===- ImportOnnx.cpp - an .onnx file as a module of onnx ops -------------===//
#include "moe/Import/ImportOnnx.h"

#include "Importer.h"
#include "moe/Support/Dtype.h"

#include "mlir/IR/Verifier.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace mlir::moe;
using llvm::formatv;
using onnxfile::printable;

/// The newest ai.onnx opset whose operators the dialect mirrors.
static constexpr int64_t kNewestOpset = 28;

Importer::Importer(StringRef path, MLIRContext *context, const ImportOptions &options)
    : path(path), context(context), options(options), builder(context) {
  context->loadDialect<func::FuncDialect, MoeDialect, onnx::OnnxDialect>();
}

LogicalResult Importer::fail(const Twine &message) {
  if (!hasFailed)
    mlir::emitError(UnknownLoc::get(context)) << printable(path) << ": " << message;
  hasFailed = true;
  return failure();
}

LogicalResult Importer::readFile() {
  llvm::sys::fs::file_status status;
  if (std::error_code error = llvm::sys::fs::status(path, status))
    return fail("cannot open the model: " + error.message());
  if (status.type() != llvm::sys::fs::file_type::regular_file)
    return fail("cannot open the model: it is no regular file");
  auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!file)
    return fail("cannot open the model: " + file.getError().message());
  buffer = std::move(*file);
  SmallString<256> absolute(path);
  (void)llvm::sys::fs::make_absolute(absolute);
  folder = llvm::sys::path::parent_path(absolute).str();
  fileName = llvm::sys::path::filename(absolute).str();
  if (!onnxfile::isCleanText(folder) || !onnxfile::isCleanText(fileName))
    return fail("expects a path in UTF-8");
  std::string error;
  if (!onnxfile::readModel(buffer->getBuffer(), model, error))
    return fail("is no valid ONNX model: " + error);
  return success();
}

static LogicalResult readOpsets(Importer &importer, ArrayRef<onnxfile::OpsetImport> imports,
                                llvm::StringMap<int64_t> &opsets) {
  for (const onnxfile::OpsetImport &import : imports) {
    StringRef domain = import.domain == "ai.onnx" ? StringRef() : import.domain;
    if (import.version < 1 || (domain.empty() && import.version > kNewestOpset))
      return importer.fail(formatv("expects opset 1 to {0} of domain '{1}', but the model imports {2}", kNewestOpset,
                                   printable(domain), import.version)
                               .str());
    if (!opsets.try_emplace(domain, import.version).second)
      return importer.fail("imports domain '" + printable(domain) + "' twice");
  }
  return success();
}

LogicalResult Importer::checkModel() {
  if (!model.hasGraph)
    return fail("is no valid ONNX model: it has no graph");
  if (model.graph.hasSparse)
    return fail("expects dense initializers, but found a sparse one");
  // ONNX before opset imports were required: opset 1.
  if (model.opsets.empty())
    opsets[""] = 1;
  if (failed(readOpsets(*this, model.opsets, opsets)))
    return failure();
  for (const onnxfile::Function &function : model.functions) {
    StringRef domain = function.domain == "ai.onnx" ? StringRef() : function.domain;
    std::string key = (domain + "\1" + function.name + "\1" + function.overload).str();
    if (!functions.try_emplace(key, &function).second)
      return fail("function '" + printable(function.name) + "' is defined twice");
    auto &imports = functionOpsets.emplace_back(std::make_unique<llvm::StringMap<int64_t>>());
    if (failed(readOpsets(*this, function.opsets, *imports)))
      return failure();
  }
  return indexInitializers(model.graph, initializers);
}

LogicalResult Importer::indexInitializers(const onnxfile::Graph &graph,
                                          llvm::StringMap<const onnxfile::Tensor *> &index) {
  for (const onnxfile::Tensor &tensor : graph.initializers)
    if (!index.try_emplace(tensor.name, &tensor).second)
      return fail("tensor '" + printable(tensor.name) + "' is defined twice");
  return success();
}

/// Functions are copied into their callers, so a few that call each other may ask for any number of nodes.
LogicalResult Importer::checkSize() {
  llvm::DenseMap<const onnxfile::Function *, int64_t> sizes;
  // A function's size once those of its callees are known; a cycle counts as nothing here and is refused later.
  std::function<int64_t(ArrayRef<onnxfile::Node>, int)> count = [&](ArrayRef<onnxfile::Node> nodes, int depth) {
    int64_t total = nodes.size();
    for (const onnxfile::Node &node : nodes) {
      for (const onnxfile::Attribute &attribute : node.attributes)
        if (attribute.graph)
          total = std::min(kMaxNodes + 1, total + count(attribute.graph->nodes, depth));
      const onnxfile::Function *function = depth < kMaxCallDepth ? findFunction(node) : nullptr;
      if (!function)
        continue;
      auto [it, isNew] = sizes.try_emplace(function, 0);
      int64_t size = it->second;
      if (isNew)
        size = sizes[function] = count(function->nodes, depth + 1);
      total = std::min(kMaxNodes + 1, total + size);
    }
    return total;
  };
  if (count(model.graph.nodes, 0) > kMaxNodes)
    return fail(
        formatv("expects at most {0} nodes, functions copied into their callers, but found more", kMaxNodes).str());
  return success();
}

/// One error that lists all operators the dialect does not have.
LogicalResult Importer::checkOperators() {
  struct Missing {
    int64_t count = 0;
    std::string first;
  };
  std::map<std::string, Missing> missing;
  int64_t total = 0;
  llvm::StringMap<bool> known;
  std::function<void(ArrayRef<onnxfile::Node>)> check = [&](ArrayRef<onnxfile::Node> nodes) {
    for (const onnxfile::Node &node : nodes) {
      if (findFunction(node))
        continue;
      if (isBranch(node)) {
        for (const onnxfile::Attribute &attribute : node.attributes)
          if (attribute.graph)
            check(attribute.graph->nodes);
        continue;
      }
      StringRef domain = node.domain == "ai.onnx" ? StringRef() : node.domain;
      std::string key = (domain + "\1" + node.opType).str();
      auto [it, isNew] = known.try_emplace(key, false);
      if (isNew) {
        bool plain = llvm::all_of(node.opType, [](char c) { return llvm::isAlnum(c); });
        bool microsoft = domain == "com.microsoft" || node.opType == "SimplifiedLayerNormalization";
        std::string name = ("onnx." + Twine(microsoft ? "ms." : "") + node.opType).str();
        it->second = plain && (microsoft || domain.empty()) &&
                     (RegisteredOperationName::lookup(name, context) || isNormalizedAway(node.opType, microsoft));
      }
      if (it->second)
        continue;
      Missing &entry = missing[((domain.empty() ? "ai.onnx" : domain) + "." + node.opType).str()];
      if (entry.count++ == 0)
        entry.first = describe(node);
      ++total;
    }
  };
  check(model.graph.nodes);
  for (const onnxfile::Function &function : model.functions)
    check(function.nodes);
  if (missing.empty())
    return success();
  std::string list;
  for (const auto &[name, entry] : missing)
    list += formatv("\n  {0}: {1} node{2}, first {3}", printable(name), entry.count, entry.count == 1 ? "" : "s",
                    entry.first);
  return fail(formatv("has {0} node{1} of {2} operator{3} that are not supported:{4}", total, total == 1 ? "" : "s",
                      missing.size(), missing.size() == 1 ? "" : "s", list)
                  .str());
}

/// Creates the module and the entry function with its arguments.
LogicalResult Importer::declareInputs() {
  module = ModuleOp::create(UnknownLoc::get(context));
  (*module)->setAttr("moe.weights_dir", builder.getStringAttr(folder));
  SmallVector<Type> types;
  SmallVector<DictionaryAttr> attributes;
  std::vector<const onnxfile::ValueInfo *> arguments;
  // Names of extents, so that invented ones do not meet them.
  llvm::StringSet<> taken;
  for (const onnxfile::ValueInfo &input : model.graph.inputs)
    for (const auto &dim : input.dims)
      taken.insert(dim.param);
  for (const onnxfile::ValueInfo &input : model.graph.inputs) {
    std::string what = "input '" + printable(input.name) + "'";
    if (initializers.count(input.name))
      continue; // an initializer that may be overridden: we take its value
    if (!input.isTensor)
      return fail(what + ": expects a tensor, but found a " +
                  (input.otherKind.empty() ? "value without type" : input.otherKind));
    Type element = elementTypeFromOnnx(context, input.elementType);
    if (!element)
      return fail(what + ": expects a data type of numbers or bool, but found " + dataTypeName(input.elementType));
    if (!input.hasShape)
      return fail(what + ": expects a rank, but the file declares no shape");
    if (input.dims.size() > ShapeFacts::kMaxRank)
      return fail(what +
                  formatv(": expects at most {0} dims, but found {1}", ShapeFacts::kMaxRank, input.dims.size()).str());
    SmallVector<int64_t> shape;
    SmallVector<Attribute> dims;
    int64_t count = 1;
    for (auto [i, dim] : llvm::enumerate(input.dims)) {
      if (dim.hasValue) {
        if (dim.value < 0 || llvm::MulOverflow(count, std::max<int64_t>(1, dim.value), count) ||
            count > ShapeFacts::kMaxElements)
          return fail(
              what +
              formatv(": expects extents that are not negative and at most 2^40 elements, but dimension {0} is {1}", i,
                      dim.value)
                  .str());
        shape.push_back(dim.value);
        dims.push_back(builder.getI64IntegerAttr(dim.value));
        continue;
      }
      shape.push_back(ShapedType::kDynamic);
      std::string name = dim.param.str();
      if (name.empty()) {
        name = (input.name + "_dim_" + Twine(i)).str();
        while (!taken.insert(name).second)
          name += "_";
      }
      dims.push_back(builder.getStringAttr(name));
    }
    types.push_back(RankedTensorType::get(shape, element));
    attributes.push_back(
        builder.getDictionaryAttr({builder.getNamedAttr("moe.name", builder.getStringAttr(input.name)),
                                   builder.getNamedAttr("moe.dtype", builder.getStringAttr(dtypeName(element))),
                                   builder.getNamedAttr("moe.dims", builder.getArrayAttr(dims))}));
    arguments.push_back(&input);
  }
  builder.setInsertionPointToEnd(module->getBody());
  func = func::FuncOp::create(builder, UnknownLoc::get(context), options.entry, builder.getFunctionType(types, {}));
  func->setAttr("moe.entry", builder.getUnitAttr());
  symbols.insert(options.entry);
  Block *body = func.addEntryBlock();
  for (auto [i, input] : llvm::enumerate(arguments)) {
    func.setArgAttrs(i, attributes[i]);
    body->getArgument(i).setLoc(NameLoc::get(StringAttr::get(context, input->name)));
    if (failed(define(mainScope, input->name, body->getArgument(i))))
      return failure();
  }
  builder.setInsertionPointToEnd(body);
  facts = std::make_unique<ShapeFacts>(func);
  return success();
}

/// True for "past + seq" and "seq + past".
static bool isSameSum(StringRef a, StringRef b) {
  auto terms = [](StringRef text) {
    SmallVector<StringRef> parts;
    text.split(parts, '+');
    for (StringRef &part : parts)
      part = part.trim();
    llvm::sort(parts);
    return parts;
  };
  return terms(a) == terms(b);
}

LogicalResult Importer::declareOutputs() {
  if (model.graph.outputs.empty())
    return fail("expects a graph with outputs, but it has none");
  SmallVector<Value> values;
  llvm::StringSet<> names;
  // Extents made of the arguments' extents can be named; others follow from data.
  DenseSet<AffineExpr> fromArguments;
  llvm::StringSet<> taken;
  for (BlockArgument argument : func.getArguments())
    for (AffineExpr dim : facts->shape(argument)) {
      fromArguments.insert(dim);
      taken.insert(facts->str(dim));
    }
  SmallVector<DictionaryAttr> attributes;
  for (const onnxfile::ValueInfo &output : model.graph.outputs) {
    std::string what = "output '" + printable(output.name) + "'";
    FailureOr<Value> value = lookup(output.name, mainScope);
    if (failed(value))
      return fail(what + " is not defined by a node, input or initializer");
    if (!names.insert(output.name).second)
      return fail(what + " is declared twice");
    auto type = cast<RankedTensorType>(value->getType());
    if (output.isTensor && output.elementType != 0 &&
        elementTypeFromOnnx(context, output.elementType) != type.getElementType()) {
      std::string text;
      llvm::raw_string_ostream(text) << what << ": expects its declared data type " << dataTypeName(output.elementType)
                                     << ", but its value has element type " << type.getElementType();
      return fail(text);
    }
    SmallVector<Attribute> dims;
    for (auto [i, dim] : llvm::enumerate(facts->shape(*value))) {
      if (auto size = facts->constant(dim)) {
        dims.push_back(builder.getI64IntegerAttr(*size));
        continue;
      }
      bool named = true;
      dim.walk([&](AffineExpr part) { named &= !isa<AffineSymbolExpr>(part) || fromArguments.contains(part); });
      StringRef declared = i < output.dims.size() ? output.dims[i].param : StringRef();
      std::string name = named ? facts->str(dim) : declared.str();
      if (named && isSameSum(declared, name))
        name = declared.str();
      if (name.empty() || (!named && taken.contains(name)))
        name = (output.name + "_dim_" + Twine(i)).str();
      dims.push_back(builder.getStringAttr(name));
    }
    values.push_back(*value);
    attributes.push_back(builder.getDictionaryAttr(
        {builder.getNamedAttr("moe.name", builder.getStringAttr(output.name)),
         builder.getNamedAttr("moe.dtype", builder.getStringAttr(dtypeName(type.getElementType()))),
         builder.getNamedAttr("moe.dims", builder.getArrayAttr(dims))}));
  }
  func::ReturnOp::create(builder, UnknownLoc::get(context), values);
  SmallVector<Type> types = llvm::map_to_vector(values, [](Value value) { return value.getType(); });
  func.setFunctionType(builder.getFunctionType(func.getArgumentTypes(), types));
  for (auto [i, dictionary] : llvm::enumerate(attributes))
    func.setResultAttrs(i, dictionary);
  return success();
}

OwningOpRef<ModuleOp> Importer::run() {
  if (failed(readFile()) || failed(checkModel()) || failed(checkSize()) || failed(checkOperators()) ||
      failed(declareInputs()))
    return {};
  mainScope.opsets = &opsets, mainScope.initializers = &initializers;
  if (failed(importNodes(model.graph.nodes, mainScope, "")) || failed(declareOutputs()))
    return {};
  std::string problem;
  LogicalResult verified = success();
  {
    ScopedDiagnosticHandler capture(context, [&](Diagnostic &diagnostic) {
      if (problem.empty()) {
        auto location = diagnostic.getLocation()->findInstanceOf<NameLoc>();
        problem = (location ? "node '" + printable(location.getName().getValue()) + "': " : "") + diagnostic.str();
      }
      return success();
    });
    verified = verify(*module);
  }
  if (failed(verified)) {
    (void)fail(problem);
    return {};
  }
  return std::move(module);
}

OwningOpRef<ModuleOp> moe::importOnnx(StringRef path, MLIRContext *context, const ImportOptions &options) {
  return Importer(path, context, options).run();
}
