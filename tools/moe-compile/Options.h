//===- Options.h - moe-compile's command line -----------------------------===//
#ifndef MOE_TOOLS_MOE_COMPILE_OPTIONS_H
#define MOE_TOOLS_MOE_COMPILE_OPTIONS_H

#include "moe/Pipeline/Compiler.h"

#include <string>

/// Options of the tool, beyond those of the compiler.
struct ToolOptions : mlir::moe::CompileOptions {
  bool json = false;
  bool help = false;
  bool version = false;
};

/// Reads the command line. False with a message in `error` if it is wrong or asks for what is not there yet.
bool parseOptions(int argc, char **argv, ToolOptions &options, std::string &error);

/// Usage, options with units and defaults, exit codes.
std::string helpText();

#endif // MOE_TOOLS_MOE_COMPILE_OPTIONS_H
