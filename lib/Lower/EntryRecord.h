//===- EntryRecord.h - what the manifest says about an entry point --------===//
#ifndef MOE_LIB_LOWER_ENTRYRECORD_H
#define MOE_LIB_LOWER_ENTRYRECORD_H

#include "HostProgram.h"

namespace mlir::moe {

/// Inputs, outputs, temporaries and steps of a scheduled entry point, as docs/Artefact.md has them. `weights` are indices
/// into the weights of the module.
DictionaryAttr describeEntry(func::FuncOp entry, ProgramTables &tables, ArrayRef<unsigned> weights);

} // namespace mlir::moe

#endif // MOE_LIB_LOWER_ENTRYRECORD_H
