//===- Runner.cpp - values, calls and blocks of a run ---------------------===//
#include "Frame.h"

#include "dialects/moe/Moe.h"
#include "moe/Interpret/Interpreter.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/ScopeExit.h"
#include <cstring>

using namespace mlir;
using namespace mlir::moe;

static constexpr int kMaxDepth = 200;                  // nested calls
static constexpr int64_t kMaxBytes = int64_t(1) << 36; // of one tensor

Runner::Runner(ModuleOp module) : module(module) {
  if (auto folder = module->getAttrOfType<StringAttr>("moe.weights_dir"))
    reader.emplace(folder.getValue());
}

HostTensor Runner::take(OpOperand &operand) {
  Value value = operand.get();
  RunValue &held = frame->find(value)->second;
  // A value of an enclosing block is set once but this op may run many times.
  if (value.hasOneUse() && value.getParentBlock() == operand.getOwner()->getBlock())
    return std::move(held.tensor);
  return held.tensor;
}

int64_t Runner::fold(OpFoldResult value) const {
  if (auto attr = dyn_cast<Attribute>(value))
    return cast<IntegerAttr>(attr).getInt();
  return integer(cast<Value>(value));
}

SmallVector<int64_t> Runner::fold(ArrayRef<OpFoldResult> values) const {
  return llvm::map_to_vector(values, [&](OpFoldResult value) { return fold(value); });
}

FailureOr<SmallVector<int64_t>> Runner::shape(Operation *op, ShapedType type, ValueRange dynamic) {
  SmallVector<int64_t> dims(type.getShape());
  auto next = dynamic.begin();
  for (int64_t &dim : dims)
    if (ShapedType::isDynamic(dim)) {
      if (next == dynamic.end())
        return op->emitOpError("expects a size for every dynamic extent of ") << type;
      dim = integer(*next++);
    }
  return dims;
}

FailureOr<HostTensor> Runner::make(Operation *op, Type elementType, ArrayRef<int64_t> shape) {
  std::optional<Element> element = getElement(elementType);
  if (!element)
    return op->emitOpError("has elements that the interpreter does not know: ") << elementType;
  int64_t bytes = elementBytes(*element);
  for (int64_t dim : shape)
    if (dim < 0 || __builtin_mul_overflow(bytes, std::max<int64_t>(dim, 1), &bytes) || bytes > kMaxBytes)
      return op->emitOpError("makes a tensor of an impossible shape [") << llvm::ArrayRef(shape) << "]";
  return HostTensor(elementType, shape);
}

LogicalResult Runner::checkType(Operation *op, const HostTensor &tensor, Type type, StringRef what) {
  auto ranked = dyn_cast<RankedTensorType>(type);
  if (!ranked) { // a scalar
    if (tensor.rank() == 0 && tensor.elementType() == type)
      return success();
  } else if (ranked.getElementType() == tensor.elementType() && ranked.getRank() == tensor.rank() &&
             llvm::all_of(llvm::zip(ranked.getShape(), tensor.shape()), [](auto pair) {
               return ShapedType::isDynamic(std::get<0>(pair)) || std::get<0>(pair) == std::get<1>(pair);
             }))
    return success();
  InFlightDiagnostic diag = op->emitOpError("expects ") << what << " to be " << type << ", found ";
  return diag << RankedTensorType::get(tensor.shape(), tensor.elementType());
}

LogicalResult Runner::setResult(Operation *op, unsigned index, HostTensor tensor) {
  if (failed(checkType(op, tensor, op->getResult(index).getType(), "its result")))
    return failure();
  set(op->getResult(index), std::move(tensor));
  return success();
}

//===----------------------------------------------------------------------===//
// Weights and constants
//===----------------------------------------------------------------------===//

FailureOr<HostTensor> Runner::weight(Operation *op, StringRef name) {
  auto it = weights.find(name);
  if (it != weights.end())
    return it->second;
  auto weightOp = symbols.lookupNearestSymbolFrom<WeightOp>(op, StringAttr::get(op->getContext(), name));
  if (!weightOp)
    return op->emitOpError("expects a moe.weight named '") << name << "'";
  auto type = cast<RankedTensorType>(weightOp.getType());
  if (!reader)
    reader.emplace(".");
  FailureOr<HostTensor> value = make(op, type.getElementType(), type.getShape());
  if (failed(value))
    return failure();
  std::vector<char> packed(WeightReader::byteSize(type));
  if (failed(reader->read(weightOp.getRecipe(), packed, [&] { return weightOp.emitOpError(); })))
    return failure();
  unpackElements(value->element(), packed.data(), 0, value->mutableData(), value->numElements());
  weights[name] = *value;
  return value;
}

FailureOr<HostTensor> Runner::constant(Operation *op, ElementsAttr attr) {
  auto it = constants.find(attr);
  if (it != constants.end())
    return it->second;
  FailureOr<HostTensor> value = make(op, attr.getElementType(), attr.getShapedType().getShape());
  if (failed(value))
    return failure();
  char *out = value->mutableData();
  Element element = value->element();
  unsigned bytes = value->bytesPerElement();
  int64_t count = value->numElements();
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(attr)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob || static_cast<int64_t>(blob->getData().size()) != packedBytes(element, count))
      return op->emitOpError("expects the resource of its value to hold ") << packedBytes(element, count) << " bytes";
    unpackElements(element, blob->getData().data(), 0, out, count);
  } else if (isFloat(element)) {
    auto values = attr.tryGetValues<APFloat>();
    if (!values)
      return op->emitOpError("has a constant that the interpreter cannot read: ") << attr;
    for (auto [i, number] : llvm::enumerate(*values)) {
      uint64_t bits = number.bitcastToAPInt().getZExtValue();
      std::memcpy(out + i * bytes, &bits, bytes);
    }
  } else {
    auto values = attr.tryGetValues<APInt>();
    if (!values)
      return op->emitOpError("has a constant that the interpreter cannot read: ") << attr;
    for (auto [i, number] : llvm::enumerate(*values))
      storeInteger(element, out + i * bytes,
                   isUnsigned(element) ? static_cast<int64_t>(number.getZExtValue()) : number.getSExtValue());
  }
  constants[attr] = *value;
  return value;
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

LogicalResult Runner::runOp(Operation *op) {
  if (auto get = dyn_cast<GetWeightOp>(op)) {
    FailureOr<HostTensor> value = weight(op, get.getName());
    return failed(value) ? failure() : setResult(op, 0, std::move(*value));
  }
  for (auto family : {runScalarOp, runControlOp, runTensorOp, runLinalgOp, runExpertOp, runPlanOp, runLayerOp,
                      runScaledOp, runPrimitiveOp})
    if (std::optional<LogicalResult> result = family(*this, op))
      return *result;
  return op->emitOpError("is not an op that the interpreter knows");
}

FailureOr<SmallVector<RunValue>> Runner::runBlock(Block &block, ArrayRef<RunValue> arguments) {
  for (auto [argument, value] : llvm::zip(block.getArguments(), arguments))
    set(argument, value);
  for (Operation &op : block.without_terminator())
    if (failed(runOp(&op)))
      return failure();
  SmallVector<RunValue> results;
  for (Value value : block.getTerminator()->getOperands())
    results.push_back(get(value));
  return results;
}

FailureOr<SmallVector<RunValue>> Runner::call(Operation *at, StringRef name, ArrayRef<RunValue> arguments) {
  auto function = symbols.lookupNearestSymbolFrom<func::FuncOp>(at, StringAttr::get(at->getContext(), name));
  if (!function || function.isExternal())
    return at->emitError() << "expects a function '" << name << "' with a body";
  if (function.getNumArguments() != arguments.size())
    return function.emitOpError("expects ") << function.getNumArguments() << " inputs, found " << arguments.size();
  if (!function.getBody().hasOneBlock())
    return function.emitOpError("expects one block, found ") << function.getBody().getBlocks().size();
  if (depth >= kMaxDepth)
    return at->emitOpError("calls more than ") << kMaxDepth << " functions deep";
  ++depth;
  Map values;
  Map *caller = std::exchange(frame, &values);
  llvm::scope_exit restore([&] {
    frame = caller;
    --depth;
  });
  for (auto [argument, value] : llvm::zip(function.getArguments(), arguments))
    if (value.tensor && isa<RankedTensorType>(argument.getType()) &&
        failed(checkType(function, value.tensor, argument.getType(),
                         ("argument " + Twine(argument.getArgNumber())).str())))
      return failure();
  return runBlock(function.getBody().front(), arguments);
}

FailureOr<SmallVector<HostTensor>> moe::interpret(ModuleOp module, StringRef entry, ArrayRef<HostTensor> inputs) {
  auto function = module.lookupSymbol<func::FuncOp>(entry);
  if (!function)
    return module.emitError() << "expects a function '" << entry << "' to interpret";
  Runner runner(module);
  SmallVector<RunValue> arguments;
  for (auto [i, input] : llvm::enumerate(inputs)) {
    if (i >= function.getNumArguments())
      break;
    Type type = function.getArgumentTypes()[i];
    if (failed(runner.checkType(function, input, type, ("argument " + Twine(i)).str())))
      return failure();
    if (isa<RankedTensorType>(type)) {
      arguments.push_back(input);
      continue;
    }
    Registers registers;
    registers.resize(1);
    Kind kind = getScalarType(type)->kind;
    registers.load(0, input.element(), input.data(), 1, 1);
    arguments.push_back(registers.get(0, kind));
  }
  if (inputs.size() != function.getNumArguments())
    return function.emitOpError("expects ") << function.getNumArguments() << " inputs, found " << inputs.size();
  // Weights and constants are looked up from the function, calls from the module's table.
  FailureOr<SmallVector<RunValue>> results = runner.call(function, entry, arguments);
  if (failed(results))
    return failure();
  SmallVector<HostTensor> outputs;
  for (auto [type, value] : llvm::zip(function.getResultTypes(), *results)) {
    if (value.tensor) {
      outputs.push_back(value.tensor);
      continue;
    }
    std::optional<ScalarType> scalar = getScalarType(type);
    if (!scalar)
      return function.emitOpError("has a result of a type that cannot be returned: ") << type;
    HostTensor tensor(type, {});
    Registers registers;
    registers.resize(1);
    registers.setLane(0, scalar->kind, 0, value.scalar);
    registers.store(0, tensor.element(), tensor.mutableData(), 1, 1);
    outputs.push_back(tensor);
  }
  return outputs;
}
