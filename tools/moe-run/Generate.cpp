#include "Commands.h"
namespace moe {
Command generateCommand() {
  return {{"generate", "MODEL.moe", "", {}, 1, 1}, [](const Options &, int &) { return Status(MOE_UNSUPPORTED, "generate: not in this build"); }};
}
} // namespace moe
