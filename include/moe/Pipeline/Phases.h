//===- Phases.h - the phases of the compiler, in order --------------------===//
#ifndef MOE_PIPELINE_PHASES_H
#define MOE_PIPELINE_PHASES_H

#include "llvm/ADT/StringRef.h"
#include <optional>

namespace mlir::moe {

/// The phases in the order the data passes them. The numbers name the dump files: `02-raise.mlir`.
enum class Phase {
  Import = 1,
  Raise = 2,
  Entries = 3,
  Differentiate = 4,
  Quantize = 5,
  Fuse = 6,
  Schedule = 7,
  Tile = 8,
  Lower = 9,
  Emit = 10,
};

/// Lower-case name, as `--compile-to` takes it.
llvm::StringRef phaseName(Phase phase);
/// The phase of that name, or nullopt.
std::optional<Phase> parsePhase(llvm::StringRef name);

} // namespace mlir::moe

#endif // MOE_PIPELINE_PHASES_H
