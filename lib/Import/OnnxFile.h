//===- OnnxFile.h - the messages of an .onnx file, read in place ----------===//
//
// A reader of ONNX's Protocol Buffers messages that copies nothing: strings and tensor bytes point into the mapped file, so a
// weight's pages are never touched. Only what the importer uses is read; other fields are skipped.
//
//===----------------------------------------------------------------------===//
#ifndef MOE_LIB_IMPORT_ONNXFILE_H
#define MOE_LIB_IMPORT_ONNXFILE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/MemoryBuffer.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mlir::moe::onnxfile {

using llvm::StringRef;

/// TensorProto. `raw` lies in the file. Typed data is kept encoded: pieces of packed or single values with their wire type.
struct Tensor {
  StringRef name;
  int64_t dataType = 0;
  llvm::SmallVector<int64_t, 4> dims;
  bool hasRaw = false;
  StringRef raw;
  struct Typed {
    unsigned field; // float_data 4, int32_data 5, int64_data 7, double_data 10, uint64_data 11
    unsigned wire;  // 2: packed; 0, 1, 5: one value
    uint64_t value;
    StringRef packed;
  };
  std::vector<Typed> typed;
  bool hasStrings = false, isSegment = false, isExternal = false;
  std::vector<std::pair<StringRef, StringRef>> external;
};

/// Type of a value: a tensor with an optional shape, or something else ("sequence", ...).
struct ValueInfo {
  StringRef name;
  bool isTensor = false;
  StringRef otherKind;
  int64_t elementType = 0;
  bool hasShape = false;
  struct Dim {
    bool hasValue = false;
    int64_t value = 0;
    StringRef param;
  };
  std::vector<Dim> dims;
};

struct Graph;

struct Attribute {
  enum Kind {
    Undefined = 0,
    Float = 1,
    Int = 2,
    String = 3,
    Tensor_ = 4,
    Graph_ = 5,
    Floats = 6,
    Ints = 7,
    Strings = 8,
    Tensors = 9,
    Graphs = 10
  };
  StringRef name, reference, string;
  int64_t kind = 0;
  float number = 0;
  int64_t integer = 0;
  std::shared_ptr<Tensor> tensor;
  std::vector<float> floats;
  std::vector<int64_t> integers;
  std::vector<StringRef> strings;
  std::shared_ptr<Graph> graph;
};

struct Node {
  StringRef name, opType, domain, overload;
  std::vector<StringRef> inputs, outputs;
  std::vector<Attribute> attributes;
};

struct OpsetImport {
  StringRef domain;
  int64_t version = 0;
};

struct Graph {
  StringRef name;
  std::vector<Node> nodes;
  std::vector<Tensor> initializers;
  std::vector<ValueInfo> inputs, outputs;
  bool hasSparse = false;
};

struct Function {
  StringRef name, domain, overload;
  std::vector<StringRef> inputs, outputs, attributes;
  std::vector<Attribute> defaults;
  std::vector<Node> nodes;
  std::vector<OpsetImport> opsets;
};

struct Model {
  int64_t irVersion = 0;
  std::vector<OpsetImport> opsets;
  bool hasGraph = false;
  Graph graph;
  std::vector<Function> functions;
};

/// Reads a model. On failure returns false, and `error` says what is wrong at which byte.
bool readModel(StringRef bytes, Model &model, std::string &error);

/// The values of one typed field, decoded; false if the encoding is malformed.
bool decodeVarints(const Tensor &tensor, unsigned field, llvm::SmallVectorImpl<uint64_t> &values);
/// float_data (width 4) or double_data (width 8) as little-endian bytes.
bool decodeFixed(const Tensor &tensor, unsigned field, unsigned width, std::string &bytes);

/// Text for a diagnostic: printable ASCII and valid UTF-8 as it is, the rest escaped, long texts cut.
std::string printable(StringRef text);
/// True if the text is valid UTF-8 without NUL bytes.
bool isCleanText(StringRef text);

} // namespace mlir::moe::onnxfile

#endif // MOE_LIB_IMPORT_ONNXFILE_H
