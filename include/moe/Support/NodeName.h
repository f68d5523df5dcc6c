//===- NodeName.h - the author's node in a message ------------------------===//
#ifndef MOE_SUPPORT_NODENAME_H
#define MOE_SUPPORT_NODENAME_H

#include "mlir/IR/Location.h"

namespace mlir::moe {

/// "node 'NAME': " with the first name in a location, or nothing where there is none. `kind` follows the name: "node 'y' (Gather): ".
inline std::string nodePrefix(Location loc, StringRef kind = {}) {
  auto name = loc->findInstanceOf<NameLoc>();
  if (!name)
    return kind.empty() ? "" : kind.str() + ": ";
  return "node '" + name.getName().str() + "'" + (kind.empty() ? "" : " (" + kind.str() + ")") + ": ";
}

} // namespace mlir::moe

#endif // MOE_SUPPORT_NODENAME_H
