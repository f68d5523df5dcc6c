//===- ImportOnnx.h - read an .onnx file ----------------------------------===//
#ifndef MOE_IMPORT_IMPORTONNX_H
#define MOE_IMPORT_IMPORTONNX_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace mlir::moe {

struct ImportOptions {
  /// Name of the function that holds the graph.
  StringRef entry = "main";
  /// Files of external data need not be there: nobody is going to read them.
  bool dataMayBeMissing = false;
};

/// Reads the model at `path` into a module of onnx ops: one op per node, normalized to the newest opset, types inferred.
///
///   module attributes {moe.weights_dir = "/models/tiny"} {
///     moe.weight @w : tensor<256x64xf32> = #moe.piece<"model.onnx", 4096, 65536, tensor<256x64xf32>>
///     func.func @main(%arg0: tensor<?xi64> {moe.name = "ids", moe.dtype = "int64", moe.dims = ["n"]}) -> (...) attributes {moe.entry}
///
/// Tensor data above 1 KiB stays in its file and is never read. External data is looked for beneath the model's folder only.
/// Null after exactly one error diagnostic, which names the file and the node or tensor, what was expected and what was
/// found. Loads the dialects it needs into `context`. Thread-compatible.
OwningOpRef<ModuleOp> importOnnx(StringRef path, MLIRContext *context, const ImportOptions &options = {});

} // namespace mlir::moe

#endif // MOE_IMPORT_IMPORTONNX_H
