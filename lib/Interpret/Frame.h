//===- Frame.h - the state of a run, shared by the op families ------------===//
#ifndef MOE_LIB_INTERPRET_FRAME_H
#define MOE_LIB_INTERPRET_FRAME_H

#include "ScalarProgram.h"
#include "moe/Interpret/HostTensor.h"
#include "moe/Weights/WeightReader.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/DenseMap.h"
#include <optional>

namespace mlir::moe {

/// The value of an SSA value: a tensor, codes with their scales, or one number in the form of its kind (ScalarProgram.h).
struct RunValue {
  HostTensor tensor;
  HostTensor scales; ///< of a !moe.scaled, whose codes are `tensor`
  Scalar scalar{};
  RunValue() = default;
  RunValue(HostTensor tensor) : tensor(std::move(tensor)) {}
  RunValue(HostTensor codes, HostTensor scales) : tensor(std::move(codes)), scales(std::move(scales)) {}
  RunValue(Scalar scalar) : scalar(scalar) {}
};

/// Runs ops. Each op family is a function `std::optional<LogicalResult> run…Op(Runner &, Operation *)`; nullopt: not
/// mine.
class Runner {
public:
  explicit Runner(ModuleOp module);

  /// Calls a function with its arguments' values.
  FailureOr<SmallVector<RunValue>> call(Operation *at, StringRef function, ArrayRef<RunValue> arguments);
  /// Runs the ops of `block` up to its terminator; the values of the terminator's operands are the result. The block's
  /// arguments are set by the caller, or here where `arguments` is not empty.
  FailureOr<SmallVector<RunValue>> runBlock(Block &block, ArrayRef<RunValue> arguments = {});
  LogicalResult runOp(Operation *op);

  const RunValue &get(Value value) const { return frame->find(value)->second; }
  const HostTensor &tensor(Value value) const { return get(value).tensor; }
  int64_t integer(Value value) const { return get(value).scalar.i; }
  bool has(Value value) const { return frame->count(value); }
  void set(Value value, RunValue v) { (*frame)[value] = std::move(v); }
  /// The operand's tensor for writing: taken out of the frame when this is its only use and it runs once for each time
  /// the value is set, so that a chain of inserts does not copy.
  HostTensor take(OpOperand &operand);

  /// Value of a mix of static and dynamic index values.
  int64_t fold(OpFoldResult value) const;
  SmallVector<int64_t> fold(ArrayRef<OpFoldResult> values) const;
  /// The shape of `type` with its dynamic extents from `dynamic`, in order.
  FailureOr<SmallVector<int64_t>> shape(Operation *op, ShapedType type, ValueRange dynamic);
  /// A zero tensor; one diagnostic where an extent is negative, the size is absurd or the element type is unknown.
  FailureOr<HostTensor> make(Operation *op, Type elementType, ArrayRef<int64_t> shape);
  /// One diagnostic where `tensor` cannot have `type`.
  LogicalResult checkType(Operation *op, const HostTensor &tensor, Type type, StringRef what);
  /// Sets a tensor result after checking its shape against the op's result type.
  LogicalResult setResult(Operation *op, unsigned index, HostTensor tensor);

  FailureOr<HostTensor> weight(Operation *op, StringRef name);
  FailureOr<HostTensor> constant(Operation *op, ElementsAttr attr);

  /// Indices of the enclosing linalg ops whose bodies run op by op, innermost last.
  SmallVector<ArrayRef<int64_t>> linalgIndices;
  /// Compiled bodies of linalg ops.
  llvm::DenseMap<Operation *, std::unique_ptr<ScalarProgram>> programs;

private:
  ModuleOp module;
  SymbolTableCollection symbols;
  std::optional<WeightReader> reader;
  llvm::StringMap<HostTensor> weights;
  llvm::DenseMap<Attribute, HostTensor> constants;
  using Map = llvm::DenseMap<Value, RunValue>;
  Map *frame = nullptr;
  int depth = 0;
};

std::optional<LogicalResult> runScalarOp(Runner &runner, Operation *op);
std::optional<LogicalResult> runControlOp(Runner &runner, Operation *op);
std::optional<LogicalResult> runTensorOp(Runner &runner, Operation *op);
std::optional<LogicalResult> runLinalgOp(Runner &runner, Operation *op);
std::optional<LogicalResult> runExpertOp(Runner &runner, Operation *op);
std::optional<LogicalResult> runPlanOp(Runner &runner, Operation *op);
std::optional<LogicalResult> runLayerOp(Runner &runner, Operation *op);
std::optional<LogicalResult> runScaledOp(Runner &runner, Operation *op);
std::optional<LogicalResult> runPrimitiveOp(Runner &runner, Operation *op);

} // namespace mlir::moe

#endif // MOE_LIB_INTERPRET_FRAME_H
