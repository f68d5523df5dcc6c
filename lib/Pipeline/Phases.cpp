//===- Phases.cpp - names of the phases -----------------------------------===//
#include "moe/Pipeline/Phases.h"

using namespace mlir::moe;

static constexpr llvm::StringLiteral kNames[] = {"import", "raise",    "entries", "differentiate", "quantize",
                                                 "fuse",   "schedule", "tile",    "lower",         "emit"};

llvm::StringRef mlir::moe::phaseName(Phase phase) { return kNames[static_cast<int>(phase) - 1]; }

std::optional<Phase> mlir::moe::parsePhase(llvm::StringRef name) {
  for (int i = 0; i < 10; ++i)
    if (kNames[i] == name)
      return static_cast<Phase>(i + 1);
  return std::nullopt;
}
