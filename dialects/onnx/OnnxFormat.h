//===- OnnxFormat.h - the assembly format that all onnx ops share ---------===//
#ifndef ONNX_FORMAT_H
#define ONNX_FORMAT_H

#include "dialects/onnx/Onnx.h"

namespace mlir::onnx::detail {

/// `(%a, none, %b) {attributes} : (types) -> types`; the kinds are those of OnnxOpInterface.
ParseResult parseOp(OpAsmParser &parser, OperationState &result, StringRef inputKinds, StringRef outputKinds);
/// `defaults` holds the attributes an op of this kind has when none are given.
void printOp(OnnxOpInterface op, OpAsmPrinter &printer, DictionaryAttr defaults);

template <typename OpTy> DictionaryAttr getDefaults(OpTy op) {
  if constexpr (OpTy::hasProperties()) {
    typename OpTy::Properties defaults;
    OpTy::populateDefaultProperties(op->getName(), defaults);
    return dyn_cast_or_null<DictionaryAttr>(OpTy::getPropertiesAsAttr(op->getContext(), defaults));
  }
  return {};
}

} // namespace mlir::onnx::detail

#endif // ONNX_FORMAT_H
