//===- ScalarProgram.h - scalar ops on lanes of registers -----------------===//
//
// A scalar op (arith, math, affine, linalg.index, tensor.extract) becomes one instruction on registers of kLanes lanes.
// The body of a linalg op becomes a list of instructions that runs once for up to kLanes elements.
//
//===----------------------------------------------------------------------===//
#ifndef MOE_LIB_INTERPRET_SCALARPROGRAM_H
#define MOE_LIB_INTERPRET_SCALARPROGRAM_H

#include "moe/Interpret/HostTensor.h"

#include "mlir/IR/AffineMap.h"
#include "mlir/IR/Block.h"
#include "mlir/IR/Operation.h"
#include "llvm/ADT/DenseMap.h"

namespace mlir::moe {

/// How a scalar is held. Integers of all widths: sign-extended in 64 bits, i1 as 0 or 1. Floats of up to 32 bits: as
/// float, always a value of their own format. f64: as double.
enum class Kind : uint8_t { Int, Float, Double };

union Scalar {
  int64_t i;
  double d;
  float f;
};

struct ScalarType {
  Kind kind;
  uint8_t width; // bits of an integer
  Element element;
};
/// nullopt for a type that is not a number of a known format.
std::optional<ScalarType> getScalarType(Type type);

constexpr int kLanes = 256;

enum class Opcode : uint8_t;

struct Instruction {
  Opcode opcode;
  ScalarType type; // of the first operand
  ScalarType result;
  int out = -1, second = -1; // registers written; `second` for ops with two results
  SmallVector<int, 3> in;
  int64_t extra = 0; // predicate, dim of linalg.index, number of the captured tensor of tensor.extract
  AffineMap map;
  Operation *op = nullptr;
};

/// Registers of kLanes lanes each.
class Registers {
public:
  void resize(int count) { lanes.resize(static_cast<size_t>(count) * kLanes); }
  Scalar *operator[](int reg) { return lanes.data() + static_cast<size_t>(reg) * kLanes; }
  // A register of floats is packed densely in its lanes' memory, so that loops over it vectorize.
  float *floats(int reg) { return reinterpret_cast<float *>((*this)[reg]); }
  double *doubles(int reg) { return reinterpret_cast<double *>((*this)[reg]); }
  int64_t *ints(int reg) { return reinterpret_cast<int64_t *>((*this)[reg]); }

  /// Lanes from `count` elements `stride` elements apart, and back.
  void load(int reg, Element element, const char *at, int64_t stride, int count);
  void store(int reg, Element element, char *at, int64_t stride, int count);
  void fill(int reg, Kind kind, Scalar value);
  Scalar get(int reg, Kind kind, int lane = 0);
  void setLane(int reg, Kind kind, int lane, Scalar value);

private:
  std::vector<Scalar> lanes;
};

/// Fills in everything of `instruction` but its registers. False when `op` is not a scalar op on numbers. Elementwise
/// ops on tensors count by their element types.
bool compileScalarOp(Operation *op, Instruction &instruction);

/// Runs one instruction that needs neither tensors nor indices, on `count` lanes. One diagnostic on failure.
LogicalResult execute(const Instruction &instruction, Registers &registers, int count);

/// The body of a linalg op.
class ScalarProgram {
public:
  /// False when the body holds an op that cannot be an instruction.
  bool compile(Block &body);

  struct Capture {
    Value value;
    int reg; // -1: a tensor
  };
  SmallVector<Instruction> instructions;
  SmallVector<Capture> captures;      // values from outside; tensors are numbered by their place here
  SmallVector<int> arguments, yields; // registers of the block's arguments and of the yielded values
  SmallVector<ScalarType> yieldTypes;
  int numRegisters = 0;

private:
  int registerOf(Value value);
  llvm::DenseMap<Value, int> numbers;
};

} // namespace mlir::moe

#endif // MOE_LIB_INTERPRET_SCALARPROGRAM_H
