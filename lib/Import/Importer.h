//===- Importer.h - the state of one import -------------------------------===//
#ifndef MOE_LIB_IMPORT_IMPORTER_H
#define MOE_LIB_IMPORT_IMPORTER_H

#include "OnnxFile.h"
#include "dialects/moe/Moe.h"
#include "dialects/onnx/Onnx.h"
#include "moe/Import/ImportOnnx.h"
#include "moe/Import/ShapeFacts.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

namespace mlir::moe {

/// Tensors up to this many bytes become constants in the IR; larger ones stay in their file.
constexpr int64_t kMaxInlineBytes = 1024;

/// Nodes of a graph, functions copied into their callers: a model of 61 layers with 256 experts each, unrolled, has 313 thousand.
constexpr int64_t kMaxNodes = 4'000'000;
/// Of calls of functions.
constexpr int kMaxCallDepth = 64;

/// One node on its way to an op. Normalization rewrites it to the newest opset.
struct NodeState {
  StringRef opType; // ONNX name
  bool isMicrosoft = false;
  int64_t version = 0; // of its domain's opset
  Location loc;
  SmallVector<Value> inputs; // null where missing
  SmallVector<StringRef> outputs;
  NamedAttrList attributes;
  /// Applied to the first result, where the old form has another shape.
  std::function<Value(Value)> finish;

  explicit NodeState(Location loc) : loc(loc) {}
};

class Importer {
public:
  Importer(StringRef path, MLIRContext *context, const ImportOptions &options);

  OwningOpRef<ModuleOp> run();

  /// The one error; later ones are dropped.
  LogicalResult fail(const Twine &message);

  // ImportTensor.cpp
  /// Its name for a diagnostic: "int64", "string", "data type 99".
  static std::string dataTypeName(int64_t dataType);
  FailureOr<RankedTensorType> tensorType(const onnxfile::Tensor &tensor, const Twine &what);
  /// A constant or a weight with the tensor's values.
  FailureOr<Value> tensorValue(const onnxfile::Tensor &tensor, StringRef name, const Twine &what, Location loc);
  /// The values of a small tensor.
  FailureOr<DenseElementsAttr> tensorAttr(const onnxfile::Tensor &tensor, const Twine &what);

  // ImportNode.cpp
  struct Scope {
    llvm::StringMap<Value> values;
    const onnxfile::Function *function = nullptr;
    const llvm::StringMap<const onnxfile::Attribute *> *arguments = nullptr; // attributes of the call
    const llvm::StringMap<int64_t> *opsets = nullptr;
    const llvm::StringMap<const onnxfile::Tensor *> *initializers = nullptr;
    Scope *outer = nullptr; // of a branch: what it reads beyond its own
    int depth = 0;
  };
  LogicalResult importNodes(ArrayRef<onnxfile::Node> nodes, Scope &scope, const Twine &where);
  FailureOr<Value> lookup(StringRef name, Scope &scope);

  /// Creates an op of the dialect with inferred result types. `outputs` names results; an empty name is a missing one.
  FailureOr<Operation *> create(StringRef opType, bool isMicrosoft, Location loc, ArrayRef<Value> inputs,
                                const NamedAttrList &attributes, ArrayRef<StringRef> outputs);
  FailureOr<Value> createOne(StringRef opType, Location loc, ArrayRef<Value> inputs,
                             const NamedAttrList &attributes = {});
  FailureOr<Value> constant(Location loc, DenseElementsAttr value);
  FailureOr<Value> constant(Location loc, ArrayRef<int64_t> values);

  StringRef path;
  MLIRContext *context;
  const ImportOptions &options;
  OpBuilder builder;
  std::unique_ptr<ShapeFacts> facts;

private:
  LogicalResult readFile();
  LogicalResult checkModel();
  LogicalResult checkSize();
  LogicalResult checkOperators();
  LogicalResult declareInputs();
  LogicalResult declareOutputs();
  std::optional<std::vector<unsigned>> order(ArrayRef<onnxfile::Node> nodes, std::string &error);

  LogicalResult importNode(const onnxfile::Node &node, Scope &scope);
  LogicalResult callFunction(const onnxfile::Function &function, const onnxfile::Node &node, Scope &scope);
  LogicalResult importConstant(const onnxfile::Node &node, Scope &scope, Location loc);
  LogicalResult importIf(const onnxfile::Node &node, Scope &scope);
  LogicalResult indexInitializers(const onnxfile::Graph &graph, llvm::StringMap<const onnxfile::Tensor *> &index);
  FailureOr<Attribute> convert(const onnxfile::Attribute &attribute, const onnxfile::Node &node);
  const onnxfile::Attribute *resolve(const onnxfile::Attribute &attribute, Scope &scope);
  LogicalResult define(Scope &scope, StringRef name, Value value);
  const onnxfile::Function *findFunction(const onnxfile::Node &node);
  Location locationOf(const onnxfile::Node &node);
  std::string describe(const onnxfile::Node &node);

  /// Data of a tensor: a range of a file, or bytes in memory.
  struct Data {
    std::string file; // relative to the model's folder
    int64_t offset = 0, size = 0;
    std::optional<std::string> bytes; // typed data, decoded
  };
  FailureOr<Data> locate(const onnxfile::Tensor &tensor, RankedTensorType type, const Twine &what);
  FailureOr<Data> locateExternal(const onnxfile::Tensor &tensor, int64_t size, const Twine &what);
  /// Size of a file beneath the model's folder.
  FailureOr<int64_t> externalSize(StringRef location, const Twine &what);

  std::unique_ptr<llvm::MemoryBuffer> buffer;
  onnxfile::Model model;
  std::string folder, fileName;
  OwningOpRef<ModuleOp> module;
  func::FuncOp func;
  llvm::StringMap<int64_t> opsets;
  llvm::StringMap<const onnxfile::Tensor *> initializers;
  llvm::StringMap<const onnxfile::Function *> functions;
  std::vector<std::unique_ptr<llvm::StringMap<int64_t>>> functionOpsets;
  llvm::StringMap<int64_t> externalSizes;
  llvm::StringSet<> symbols;
  Scope mainScope;
  bool hasFailed = false;
};

/// Rewrites a node of an older opset to the newest form, and one of com.microsoft that is two standard ones.
LogicalResult normalizeNode(Importer &importer, NodeState &node);

/// Whether the node is ONNX's If, which is replaced by one of its graphs.
bool isBranch(const onnxfile::Node &node);

/// Operators that normalization knows beyond those of the dialect.
bool isNormalizedAway(StringRef opType, bool isMicrosoft);

} // namespace mlir::moe

#endif // MOE_LIB_IMPORT_IMPORTER_H
