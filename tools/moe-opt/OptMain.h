//===- OptMain.h - mlir-opt's driver, with .onnx inputs and exit codes ----===//
#ifndef MOE_OPT_OPTMAIN_H
#define MOE_OPT_OPTMAIN_H

#include "mlir/IR/DialectRegistry.h"

namespace mlir::moe {

/// Reads the input (an .onnx file is imported first), runs the passes that the command line names, prints the result.
/// Returns 0 done, 1 a pass or check failed, 2 wrong use or bad input. Nothing is left at `-o` unless it returns 0.
int optMain(int argc, char **argv, DialectRegistry &registry);

/// Whether the command line asks for help of the short kind.
bool asksForHelp(int argc, char **argv);

/// Prints usage and the passes that are registered so far. Returns the exit code.
int printOwnHelp();

} // namespace mlir::moe

#endif // MOE_OPT_OPTMAIN_H
