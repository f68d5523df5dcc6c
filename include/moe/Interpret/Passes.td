#ifndef MOE_INTERPRET_PASSES_TD
#define MOE_INTERPRET_PASSES_TD
include "mlir/Pass/PassBase.td"

def MoeInterpret : Pass<"moe-interpret", "ModuleOp"> {
  let summary = "Run a function on the reference interpreter and compare, or print, its results";
  let description = [{
    `case=DIR`: runs the entry on the inputs of a case (input_N.pb, output_N.pb), reports each output on stderr and fails
    when one differs by more than the tolerance. `print`: prints the results to stdout; without a case the entry takes no
    inputs. Works on tensor-level IR; a module with `onnx` ops is first lowered, in a copy, by `moe-raise-generic`,
    without recognising anything. The module itself is not changed.
  }];
  let constructor = "mlir::moe::createMoeInterpret()";
  let options = [
    Option<"caseFolder", "case", "std::string", "\"\"", "folder of the case">,
    Option<"entry", "entry", "std::string", "\"main\"", "function to run">,
    Option<"printResults", "print", "bool", "false", "print the results">,
    Option<"rtol", "rtol", "double", "-1", "relative tolerance of floats; negative: the default of each number format">,
    Option<"atol", "atol", "double", "-1", "absolute tolerance of floats; negative: the default of each number format">,
  ];
}

def MoeVerifyRaise : Pass<"moe-verify-raise", "ModuleOp"> {
  let summary = "Compare a module with another one on random inputs";
  let description = [{
    Interprets the entry of the module and that of the module in `against` on the same random inputs, several times with
    different extents, and fails with the first difference. See `verifyRaise` in moe/Interpret/VerifyRaise.h.
  }];
  let constructor = "mlir::moe::createMoeVerifyRaise()";
  let options = [
    Option<"against", "against", "std::string", "\"\"", "file with the module to compare with (.mlir or .mlirbc)">,
    Option<"entry", "entry", "std::string", "\"main\"", "function to run">,
  ];
}

#endif // MOE_INTERPRET_PASSES_TD
