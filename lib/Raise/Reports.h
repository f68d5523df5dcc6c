//===- Reports.h - what recognisers saw and had to leave -------------------===//
#ifndef MOE_LIB_RAISE_REPORTS_H
#define MOE_LIB_RAISE_REPORTS_H

#include "mlir/IR/BuiltinOps.h"

namespace mlir::moe {

/// Says that a part of a `what` ("router", "experts", "attention") with its anchor at `anchor` stays plain tensor code:
/// appends `{op = what, node = "...", reason = "..."}` to the module attribute `moe.generic`, once for each node.
/// `node` is the name in the anchor's location.
void reportGeneric(Operation *anchor, StringRef what, const Twine &reason);

} // namespace mlir::moe

#endif // MOE_LIB_RAISE_REPORTS_H
