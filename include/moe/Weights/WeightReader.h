//===- WeightReader.h - evaluates weight recipes from files ---------------===//
//
// A weight is a `#moe.piece` or a `#moe.recipe` (dialects/moe/MoeAttrs.td). This library computes its value, either
// whole into a buffer or as a stream of bytes in windows of a few megabytes, whatever the size of the weight.
//
//===----------------------------------------------------------------------===//
#ifndef MOE_WEIGHTS_WEIGHTREADER_H
#define MOE_WEIGHTS_WEIGHTREADER_H

#include "mlir/IR/Attributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include <memory>
#include <string>

namespace mlir::moe {

class FileSet;

/// Reads weights whose files lie beneath one folder. A file is named by a relative path without `..` in which no
/// component is a symbolic link; anything else is refused. Files are read with pread, so nothing stays mapped.
/// Keeps up to 64 files open until it is destroyed. One reader serves one thread.
class WeightReader {
public:
  using EmitError = llvm::function_ref<InFlightDiagnostic()>;
  using Sink = llvm::function_ref<LogicalResult(ArrayRef<char>)>;

  /// `folder` is what the module attribute `moe.weights_dir` names; it may itself be a symbolic link.
  explicit WeightReader(StringRef folder);
  ~WeightReader();
  WeightReader(const WeightReader &) = delete;

  /// The value of `recipe` in row-major order, little-endian; sub-byte elements packed, low bits first. `out` has
  /// exactly `byteSize(type of recipe)` bytes. On failure one diagnostic names the file, what was expected and found.
  LogicalResult read(Attribute recipe, MutableArrayRef<char> out, EmitError emitError);

  /// The same bytes, handed to `sink` in order and in windows; they are valid during the call. Stops with failure,
  /// without a diagnostic of its own, when `sink` fails. Holds a small multiple of 2 MiB (16 MiB when a step
  /// transposes).
  LogicalResult stream(Attribute recipe, Sink sink, EmitError emitError);

  /// Checks without reading contents that every file of `recipe` is there and long enough and every step is computable.
  LogicalResult check(Attribute recipe, EmitError emitError);

  /// Bytes of a static tensor in a file: elements packed, i1 in a byte each.
  static int64_t byteSize(RankedTensorType type);

private:
  std::unique_ptr<FileSet> files;
};

} // namespace mlir::moe

#endif // MOE_WEIGHTS_WEIGHTREADER_H
