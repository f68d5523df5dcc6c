//===- Opcodes.h - the scalar instructions --------------------------------===//
#ifndef MOE_LIB_INTERPRET_OPCODES_H
#define MOE_LIB_INTERPRET_OPCODES_H

#include "ScalarProgram.h"

namespace mlir::moe {
enum class Opcode : uint8_t {
#define FLOAT_UNARY(code, name) code,
#define FLOAT_BINARY(code, name) code,
#define INT_BINARY(code, name) code,
#define OTHER(code, name) code,
#include "Opcodes.def"
};
} // namespace mlir::moe

#endif // MOE_LIB_INTERPRET_OPCODES_H
