//===- Dtype.cpp - element types by their ONNX codes and names ------------===//
#include "moe/Support/Dtype.h"

#include "mlir/IR/Builders.h"

using namespace mlir;

Type moe::elementTypeFromOnnx(MLIRContext *context, int64_t code) {
  Builder b(context);
  auto unsignedType = [&](unsigned width) { return IntegerType::get(context, width, IntegerType::Unsigned); };
  switch (code) {
  case 1:
    return b.getF32Type();
  case 2:
    return unsignedType(8);
  case 3:
    return b.getI8Type();
  case 4:
    return unsignedType(16);
  case 5:
    return b.getI16Type();
  case 6:
    return b.getI32Type();
  case 7:
    return b.getI64Type();
  case 9:
    return b.getI1Type();
  case 10:
    return b.getF16Type();
  case 11:
    return b.getF64Type();
  case 12:
    return unsignedType(32);
  case 13:
    return unsignedType(64);
  case 16:
    return b.getBF16Type();
  case 17:
    return Float8E4M3FNType::get(context);
  case 18:
    return Float8E4M3FNUZType::get(context);
  case 19:
    return Float8E5M2Type::get(context);
  case 20:
    return Float8E5M2FNUZType::get(context);
  case 21:
    return unsignedType(4);
  case 22:
    return b.getIntegerType(4);
  case 23:
    return Float4E2M1FNType::get(context);
  case 24:
    return Float8E8M0FNUType::get(context);
  case 25:
    return unsignedType(2);
  case 26:
    return b.getIntegerType(2);
  default:
    return {};
  }
}

std::string moe::dtypeName(Type element) {
  if (element.isInteger(1))
    return "bool";
  if (isa<IntegerType>(element))
    return (element.isUnsignedInteger() ? "uint" : "int") + std::to_string(element.getIntOrFloatBitWidth());
  if (element.isBF16())
    return "bfloat16";
  if (element.isF16() || element.isF32() || element.isF64())
    return "float" + std::to_string(element.getIntOrFloatBitWidth());
  if (isa<Float8E8M0FNUType>(element))
    return "float8e8m0";
  if (isa<Float4E2M1FNType>(element))
    return "float4e2m1";
  std::string name;
  llvm::raw_string_ostream(name) << element; // f8E4M3FN
  return "float" + StringRef(name).drop_front(1).lower();
}
