//===- Emit.h - the emit phase: llvm dialect to an artefact ---------------===//
#ifndef MOE_EMIT_EMIT_H
#define MOE_EMIT_EMIT_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Support/LLVM.h"

#include <cstdint>
#include <string>
#include <vector>

namespace mlir::moe {

/// What the compiler knows of the model beyond the program; goes into the manifest.
struct EmitOptions {
  std::string target = "cpu"; ///< "cpu" or "cuda"
  std::string chip;           ///< "sm_90a" for cuda
  std::string fp8 = "off", precision = "f32", activations = "f32";
  struct {
    int64_t router = 0, experts = 0, attention = 0, rmsNorm = 0, mtpHead = 0;
  } recognised;
};

/// What emitting found.
struct EmitResult {
  int64_t weightBytes = 0; ///< bytes of all weights in the artefact
};

/// Dialects' translations to LLVM IR; call before the context loads them.
void registerEmitTranslations(DialectRegistry &registry);

/// Writes the lowered module as an artefact (docs/Artefact.md). `output` is written beside its place and renamed when
/// complete; an artefact that stands there is replaced, anything else refused. On failure a diagnostic has been emitted
/// and nothing is left behind.
LogicalResult emitArtefact(ModuleOp module, StringRef output, const EmitOptions &options, EmitResult &result);

} // namespace mlir::moe

#endif // MOE_EMIT_EMIT_H
