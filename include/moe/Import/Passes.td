#ifndef MOE_IMPORT_PASSES_TD
#define MOE_IMPORT_PASSES_TD

include "mlir/Pass/PassBase.td"

def OnnxInferTypes : Pass<"onnx-infer-types", "func::FuncOp"> {
  let summary = "Give every onnx op the result types that its inputs imply";
  let description = [{
    Runs ShapeFacts over the function in order and sets each result's type to what was proven: ranks always, extents where
    they are constant. Types that stood there before are not trusted. The function's results follow its returned values.
    An op that cannot be typed is one diagnostic at its location.
  }];
}

def VerifyImport : Pass<"moe-verify-import", "::mlir::ModuleOp"> {
  let summary = "Check what the import phase promises: onnx ops and weights on ranked tensors, one entry function";
  let description = [{
    Fails on ops of other dialects and on values that are not ranked tensors, at their location.
  }];
}

#endif // MOE_IMPORT_PASSES_TD
