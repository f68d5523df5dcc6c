//===- Onnx.td - a mirror of the ONNX operators that the compiler takes ---===//
#ifndef ONNX_TD
#define ONNX_TD

include "mlir/IR/OpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Onnx_Dialect : Dialect {
  let name = "onnx";
  let cppNamespace = "::mlir::onnx";
  let summary = "ONNX operators, each as the standard defines its newest version";
  let description = [{
    One op per ONNX node. The mnemonic is ONNX's operator name (`onnx.MatMul`); com.microsoft operators are `onnx.ms.NAME`,
    class MsNAMEOp. The meaning of an op is that of ONNX's newest opset (28); importing rewrites older forms into it.

    - Values are ranked tensors: bool is i1, intN is iN, uintN is uiN, floats have MLIR's names.
    - Operands, results and attributes have ONNX's names; attributes that are not given have ONNX's defaults. INT is i64,
      FLOAT is f32, INTS and FLOATS are dense arrays, TENSOR is an elements attribute. Attributes that hold an ONNX data
      type (`to`, `dtype`, `stash_type`, `softmax_precision`, `output_dtype`, `precision`) hold a type; absent: ONNX's default.
    - A missing optional input is written `none`: `onnx.Clip(%x, none, %max)`. An op with several optional results prints
      `resultSegmentSizes` unless the missing ones are the last.
    - All ops are pure: random and control-flow operators have no place here.
    The ops are in OnnxOps.td.inc, written by tools/dev/gen-onnx-ods.py from ONNX's own schemas.
  }];
  let hasConstantMaterializer = 1;
}

def Onnx_OpInterface : OpInterface<"OnnxOpInterface"> {
  let description = "Inputs and outputs by their position in the ONNX node, whatever is missing before them.";
  let cppNamespace = "::mlir::onnx";
  let methods = [
    StaticInterfaceMethod<"one letter per input parameter of the schema: s single, o optional, v variadic (the last, one or more)", "::llvm::StringRef", "inputKinds">,
    StaticInterfaceMethod<"the same of the results", "::llvm::StringRef", "outputKinds">,
    InterfaceMethod<"input `position` of the ONNX node; null where it is missing", "::mlir::Value", "getInput", (ins "unsigned":$position), [{
      if (ConcreteOp::inputKinds().empty())
        return ::mlir::Value();
      unsigned last = ConcreteOp::inputKinds().size() - 1;
      auto [start, length] = $_op.getODSOperandIndexAndLength(position < last ? position : last);
      unsigned offset = position < last ? 0 : position - last;
      return offset < length ? $_op->getOperand(start + offset) : ::mlir::Value();
    }]>,
    InterfaceMethod<"output `position` of the ONNX node; null where it is missing", "::mlir::Value", "getOutput", (ins "unsigned":$position), [{
      unsigned last = ConcreteOp::outputKinds().size() - 1;
      auto [start, length] = $_op.getODSResultIndexAndLength(position < last ? position : last);
      unsigned offset = position < last ? 0 : position - last;
      return offset < length ? ::mlir::Value($_op->getResult(start + offset)) : ::mlir::Value();
    }]>,
  ];
  let verify = "return ::mlir::onnx::detail::verifyOp(::mlir::cast<::mlir::onnx::OnnxOpInterface>($_op));";
}

// ONNX's INT is a signed 64-bit number, FLOAT a float.
def Onnx_Int : TypedSignlessIntegerAttrBase<I64, "int64_t", "64-bit integer"> {
  let convertFromStorage = "$_self.getInt()";
  let constBuilderCall = "$_builder.getI64IntegerAttr($0)";
}
def Onnx_Float : FloatAttrBase<F32, "32-bit float"> {
  let returnType = "float";
  let convertFromStorage = "$_self.getValue().convertToFloat()";
  let constBuilderCall = "$_builder.getF32FloatAttr($0)";
}

// `inputs` and `outputs` are the schema's parameters (see the interface).
class Onnx_Op<string mnemonic, list<Trait> traits, string inputs, string outputs>
    : Op<Onnx_Dialect, mnemonic, !listconcat(traits, [DeclareOpInterfaceMethods<Onnx_OpInterface>])> {
  let hasCustomAssemblyFormat = 1;
  let extraClassDefinition = [{
    ::llvm::StringRef $cppClass::inputKinds() { return "}] # inputs # [{"; }
    ::llvm::StringRef $cppClass::outputKinds() { return "}] # outputs # [{"; }
    ::mlir::ParseResult $cppClass::parse(::mlir::OpAsmParser &parser, ::mlir::OperationState &result) {
      return ::mlir::onnx::detail::parseOp(parser, result, inputKinds(), outputKinds());
    }
    void $cppClass::print(::mlir::OpAsmPrinter &printer) { ::mlir::onnx::detail::printOp(*this, printer, ::mlir::onnx::detail::getDefaults(*this)); }
  }];
}

def Onnx_ConstantOp : Op<Onnx_Dialect, "Constant", [Pure, ConstantLike, AllTypesMatch<["value", "output"]>]> {
  let summary = "a tensor of known values (since 1, 9, 11, 12, 13, 19, 21, 23, 24, 25)";
  let description = [{
    ONNX's other forms (value_int, value_floats, ...) become this one on import. Example: `onnx.Constant dense<[1, 2]> : tensor<2xi64>`
  }];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = "attr-dict $value";
  let hasFolder = 1;
}

include "dialects/onnx/OnnxOps.td.inc"

#endif // ONNX_TD
