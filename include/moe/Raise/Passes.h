//===- Passes.h - the raise phase: onnx to moe and upstream dialects -------===//
#ifndef MOE_RAISE_PASSES_H
#define MOE_RAISE_PASSES_H

#include "dialects/moe/Moe.h"
#include "dialects/onnx/Onnx.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::moe {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "moe/Raise/Passes.h.inc"

} // namespace mlir::moe

#endif // MOE_RAISE_PASSES_H
