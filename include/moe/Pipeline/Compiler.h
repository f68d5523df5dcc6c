//===- Compiler.h - a model in, an artefact out ---------------------------===//
//
// The one place that orders the phases. moe-compile is a thin main over it.
//
//===----------------------------------------------------------------------===//
#ifndef MOE_PIPELINE_COMPILER_H
#define MOE_PIPELINE_COMPILER_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/OwningOpRef.h"
#include "moe/Emit/Emit.h"
#include "moe/Pipeline/Phases.h"

#include <string>
#include <vector>

namespace mlir::moe {

struct CompileOptions {
  std::string input;          ///< .onnx, .mlir or .mlirbc
  std::string output;         ///< an artefact's folder, or a text file if `last` is not Emit
  std::string target = "cpu"; ///< "cpu" or "cuda"
  std::string chip;           ///< "sm_90a" with cuda
  Phase last = Phase::Emit;   ///< stop after this phase and write text
  bool plan = false;          ///< stop after schedule and describe the plan
  bool recognise = true;      ///< look for routers, experts, attention, norms
  bool randomWeights = false; ///< draw weights instead of reading them
  bool verifyRaise = false;   ///< interpret recognised parts against what they replace
  std::string fp8 = "off";    ///< "off", "plain" or "blocks"
  std::string activations;    ///< into FP8-weight products: "f32", "bf16" or "f8"; empty: f8 on the GPU, f32 on the CPU
  std::vector<std::string> fp8Keep; ///< globs of node or weight names whose products stay high
  bool fp8Table = false;            ///< print the table of products on stderr
  std::string dumpFolder;           ///< write NN-phase.mlir here after each phase
};

/// What a compilation found; the keys of moe-compile --json.
struct CompileReport {
  int64_t weightBytes = 0;           ///< of the artefact's weights
  std::optional<int64_t> parameters; ///< elements of the model's weights; nullopt: the input was text that does not say
  Recognised recognised;             ///< what raise found
  struct Generic {
    std::string op, node, reason;
    int64_t ops = 0; ///< operations kept, 0 if not counted
  };
  std::vector<Generic> generic;
  std::string plan;         ///< JSON, if asked for
  bool checkFailed = false; ///< compileModel failed because --verify-raise found a difference
};

/// The dialects and interfaces that the phases need, and nothing more: starting up is cheap.
void registerCompilerDialects(DialectRegistry &registry);

/// Reads an .onnx, .mlir or .mlirbc file. Null after a diagnostic. `dataMayBeMissing`: files of weights need not be there.
OwningOpRef<ModuleOp> readModel(StringRef path, MLIRContext *context, bool dataMayBeMissing = false);

/// Runs the phases. On failure diagnostics have been emitted and nothing is left behind at `output`.
LogicalResult compileModel(const CompileOptions &options, MLIRContext *context, CompileReport &report);

/// The plan of a scheduled module as JSON: kernels, launches, temporaries with size and lifetime, weights.
std::string describePlan(ModuleOp module);

} // namespace mlir::moe

#endif // MOE_PIPELINE_COMPILER_H
