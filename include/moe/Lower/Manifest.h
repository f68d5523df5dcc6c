//===- Manifest.h - what the manifest says about entry points -------------===//
#ifndef MOE_LOWER_MANIFEST_H
#define MOE_LOWER_MANIFEST_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"

namespace mlir::moe {

/// Inputs, outputs, temporaries and steps of each entry point of a scheduled module, as docs/Artefact.md has them.
SmallVector<DictionaryAttr> describeEntries(ModuleOp module);

} // namespace mlir::moe

#endif // MOE_LOWER_MANIFEST_H
