//===- ExitCode.h - what a tool's exit code says --------------------------===//
#ifndef MOE_SUPPORT_EXITCODE_H
#define MOE_SUPPORT_EXITCODE_H

#include <atomic>

namespace mlir::moe {

/// Exit codes of all tools: 0 done, 1 a check or a pass failed, 2 wrong use or bad input.
enum ExitCode { kDone = 0, kCheckFailed = 1, kBadInput = 2 };

/// Set by a pass that fails because of what the user gave it, since a failing pass by itself means 1. Thread-safe.
inline std::atomic<bool> &sawBadInput() {
  static std::atomic<bool> flag{false};
  return flag;
}

} // namespace mlir::moe

#endif // MOE_SUPPORT_EXITCODE_H
