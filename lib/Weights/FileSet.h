//===- FileSet.h - files beneath one folder -------------------------------===//
#ifndef MOE_LIB_WEIGHTS_FILESET_H
#define MOE_LIB_WEIGHTS_FILESET_H

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringMap.h"
#include <string>

namespace mlir::moe {

/// Opens files beneath a folder component by component, without following links, and reads ranges of them.
class FileSet {
public:
  using EmitError = llvm::function_ref<InFlightDiagnostic()>;
  struct File {
    int descriptor = -1;
    int64_t size = 0;
  };

  explicit FileSet(StringRef folder) : folder(folder.str()) {}
  ~FileSet();

  /// Opens `name` (or finds it open) and checks that it holds `[offset, offset + size)`.
  FailureOr<File> open(StringRef name, int64_t offset, int64_t size, EmitError emitError);
  /// Reads exactly `size` bytes at `offset`.
  LogicalResult read(StringRef name, int64_t offset, int64_t size, char *out, EmitError emitError);

private:
  FailureOr<File> openBeneath(StringRef name, EmitError emitError);
  void closeAll();

  std::string folder;
  llvm::StringMap<File> opened;
};

} // namespace mlir::moe

#endif // MOE_LIB_WEIGHTS_FILESET_H
