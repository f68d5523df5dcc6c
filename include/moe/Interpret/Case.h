//===- Case.h - stored inputs and expected outputs ------------------------===//
//
// A case is a folder in the layout of ONNX's backend tests: input_0.pb, input_1.pb, ..., output_0.pb, ..., each one
// TensorProto.
//
//===----------------------------------------------------------------------===//
#ifndef MOE_INTERPRET_CASE_H
#define MOE_INTERPRET_CASE_H

#include "moe/Interpret/HostTensor.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <string>

namespace mlir::moe {

/// A TensorProto: its name (may be empty) and its value. Unsigned integers have unsigned types.
struct NamedTensor {
  std::string name;
  HostTensor tensor;
};

/// Reads a file that holds one TensorProto with raw or typed data. One diagnostic through `emitError` on failure.
FailureOr<NamedTensor> readTensorFile(MLIRContext *context, StringRef path,
                                      llvm::function_ref<InFlightDiagnostic()> emitError);

/// Inputs in the order of `function`'s arguments and expected outputs in the order of its results, with their element
/// types. Files are matched by the name in the file where all names fit (`moe.name`), else by their number.
struct Case {
  SmallVector<HostTensor> inputs, outputs;
};
/// A file of shape [1] fits a scalar. One diagnostic at `function` for a missing or malformed file, a wrong type or
/// shape.
FailureOr<Case> readCase(func::FuncOp function, StringRef folder);

/// Tolerances: |found - expected| <= atol + rtol * |expected|. Negative: the default of the output's element type: f32,
/// f64 1e-3 and 1e-4; f16 1e-2 and 1e-2 of the RMS of the expected output; bf16 and narrower 3e-2 and 3e-2 of it.
/// Integers and bool are always exact. NaN equals NaN; infinities equal themselves.
struct Tolerance {
  double rtol = -1, atol = -1;
};

struct Comparison {
  double maxAbs = 0, maxRel = 0; // over elements that are finite on both sides
  int64_t mismatches = 0, elements = 0;
  SmallVector<int64_t> firstBad; // its coordinate, if there is one
  double expected = 0, found = 0;
};

/// Compares element by element; both tensors have one shape and type.
Comparison compare(const HostTensor &found, const HostTensor &expected, Tolerance tolerance);
/// `max_abs 0.1 max_rel 0.01 mismatches 3 of 12, first at [0, 2]: expected 1, found 1.1`
void print(llvm::raw_ostream &os, const Comparison &comparison);

} // namespace mlir::moe

#endif // MOE_INTERPRET_CASE_H
