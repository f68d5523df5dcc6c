//===- Emit.h - the emit phase: llvm dialect to an artefact ---------------===//
#ifndef MOE_EMIT_EMIT_H
#define MOE_EMIT_EMIT_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Support/LLVM.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mlir::moe {

/// How many of each kind raise recognised; nullopt: unknown, since the input was text of a later phase that does not say.
struct Recognised {
  std::optional<int64_t> router, experts, attention, rmsNorm, mtpHead;
};

/// What the compiler knows of the model beyond the program; goes into the manifest.
struct EmitOptions {
  std::string target = "cpu"; ///< "cpu" or "cuda"
  std::string chip;           ///< "sm_90a" for cuda
  std::string fp8 = "off", precision = "f32", activations = "f32";
  Recognised recognised;
};

/// "moec 0.1.0": the compiler as it names itself in the manifest and in --version.
inline constexpr char kCompilerVersion[] = "moec 0.1.0";

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
