//===- OnnxMatch.cpp - small readers of onnx ops shared by recognisers ----===//
#include "OnnxMatch.h"

#include "dialects/moe/Moe.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace mlir::moe;

bool moe::isOnnx(Operation *op, std::initializer_list<StringRef> names) {
  if (!op || op->getName().getDialectNamespace() != "onnx")
    return false;
  return names.size() == 0 || llvm::is_contained(names, op->getName().stripDialect());
}

Operation *moe::definedBy(Value value, std::initializer_list<StringRef> names) {
  Operation *op = value ? value.getDefiningOp() : nullptr;
  return op && isOnnx(op, names) ? op : nullptr;
}

int64_t moe::intAttr(Operation *op, StringRef name, int64_t absent) {
  auto attr = op->getAttrOfType<IntegerAttr>(name);
  return attr ? attr.getInt() : absent;
}

double moe::floatAttr(Operation *op, StringRef name, double absent) {
  auto attr = op->getAttrOfType<FloatAttr>(name);
  return attr ? attr.getValueAsDouble() : absent;
}

int64_t moe::axisOf(Operation *op, StringRef name, int64_t absent, int64_t rank) {
  int64_t axis = intAttr(op, name, absent);
  return axis < 0 ? axis + rank : axis;
}

RankedTensorType moe::tensorType(Value value) { return cast<RankedTensorType>(value.getType()); }

bool moe::isFloat(Value value) { return isa<FloatType>(getElementTypeOrSelf(value.getType())); }

bool moe::saysWhere(Value constant) {
  Type element = tensorType(constant).getElementType();
  return element.isInteger(64) || element.isInteger(32) || element.isInteger(1);
}

StringRef moe::reductionOf(Operation *scatter) {
  auto reduction = scatter->getAttrOfType<StringAttr>("reduction");
  return reduction ? reduction.getValue() : "none";
}

SmallVector<int64_t> moe::permutation(Operation *op) {
  if (auto perm = op->getAttrOfType<DenseI64ArrayAttr>("perm"))
    return SmallVector<int64_t>(perm.asArrayRef());
  int64_t rank = tensorType(op->getOperand(0)).getRank();
  return llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(0, rank)));
}

static SmallVector<int64_t> normalised(ArrayRef<int64_t> axes, int64_t rank) {
  SmallVector<int64_t> result;
  for (int64_t axis : axes)
    result.push_back(axis < 0 ? axis + rank : axis);
  return result;
}

std::optional<SmallVector<int64_t>> moe::reducedAxes(Operation *op) {
  int64_t rank = tensorType(op->getOperand(0)).getRank();
  Value axes = getInput(op, 1);
  std::optional<SmallVector<int64_t>> given;
  if (axes) {
    given = onnx::getConstantInts(axes);
    if (!given)
      return std::nullopt;
  }
  if (!given || given->empty()) {
    if (intAttr(op, "noop_with_empty_axes", 0))
      return SmallVector<int64_t>();
    return llvm::to_vector(llvm::seq<int64_t>(0, rank));
  }
  return normalised(*given, rank);
}

std::optional<SmallVector<int64_t>> moe::cutAxes(Operation *op) {
  int64_t rank = tensorType(op->getOperand(0)).getRank();
  if (isOnnx(op, {"Split", "Concat"}))
    return SmallVector<int64_t>{axisOf(op, "axis", 0, rank)};
  Value axes = getInput(op, 3);
  if (axes) {
    std::optional<SmallVector<int64_t>> given = onnx::getConstantInts(axes);
    if (!given)
      return std::nullopt;
    return normalised(*given, rank);
  }
  int64_t count = tensorType(getInput(op, 1)).getDimSize(0);
  if (ShapedType::isDynamic(count))
    return std::nullopt;
  return llvm::to_vector(llvm::seq<int64_t>(0, count));
}

//===----------------------------------------------------------------------===//
// Known values
//===----------------------------------------------------------------------===//

std::unique_ptr<llvm::MemoryBuffer> moe::readPiece(Value value, int64_t limit, RankedTensorType &type) {
  auto get = value.getDefiningOp<GetWeightOp>();
  if (!get)
    return nullptr;
  auto module = get->getParentOfType<ModuleOp>();
  auto weight = SymbolTable::lookupNearestSymbolFrom<WeightOp>(get, get.getNameAttr());
  auto folder = module ? module->getAttrOfType<StringAttr>("moe.weights_dir") : StringAttr();
  auto piece = weight ? dyn_cast<PieceAttr>(weight.getRecipe()) : PieceAttr();
  if (!piece || !folder || piece.getSize() > limit)
    return nullptr;
  SmallString<256> path(folder.getValue());
  llvm::sys::path::append(path, piece.getFile());
  auto buffer = llvm::MemoryBuffer::getFileSlice(path, piece.getSize(), piece.getOffset());
  if (!buffer || static_cast<int64_t>((*buffer)->getBufferSize()) != piece.getSize())
    return nullptr;
  type = piece.getType();
  return std::move(*buffer);
}

std::optional<SmallVector<int64_t>> moe::constantIntegers(Value value) {
  if (std::optional<SmallVector<int64_t>> ints = onnx::getConstantInts(value))
    return ints;
  RankedTensorType type;
  std::unique_ptr<llvm::MemoryBuffer> buffer = readPiece(value, 8 << 20, type);
  if (!buffer || !type.getElementType().isInteger(64))
    return std::nullopt;
  SmallVector<int64_t> result(type.getNumElements());
  memcpy(result.data(), buffer->getBufferStart(), buffer->getBufferSize());
  return result;
}

std::optional<double> moe::fillOf(Value value) {
  if (std::optional<double> scalar = onnx::getConstantScalar(value))
    return scalar;
  Operation *op = value.getDefiningOp();
  if (!op)
    return std::nullopt;
  if (isOnnx(op, {"Expand", "Reshape", "Unsqueeze", "Squeeze", "Identity", "Tile", "Transpose", "Flatten"}))
    return fillOf(op->getOperand(0));
  if (isOnnx(op, {"Cast"})) {
    std::optional<double> from = fillOf(op->getOperand(0));
    return from && (*from == 0 || *from == 1) ? from : std::nullopt;
  }
  if (isOnnx(op, {"ConstantOfShape"})) {
    auto fill = op->getAttrOfType<DenseElementsAttr>("value");
    if (!fill)
      return 0.0;
    if (isa<FloatType>(fill.getElementType()))
      return fill.getSplatValue<APFloat>().convertToDouble();
    return static_cast<double>(fill.getSplatValue<APInt>().getSExtValue());
  }
  // Zeros that an exporter wrote out are a weight in a file.
  RankedTensorType type;
  if (std::unique_ptr<llvm::MemoryBuffer> buffer = readPiece(value, 64 << 20, type)) {
    StringRef bytes = buffer->getBuffer();
    if (bytes.find_first_not_of('\0') == StringRef::npos)
      return 0.0;
    if (type.getElementType().isF32() && bytes.size() >= 4) {
      float first;
      memcpy(&first, bytes.data(), 4);
      for (size_t i = 4; i + 4 <= bytes.size(); i += 4)
        if (memcmp(bytes.data(), bytes.data() + i, 4) != 0)
          return std::nullopt;
      return first;
    }
  }
  return std::nullopt;
}

bool moe::isFilledWith(Value value, double number) {
  std::optional<double> fill = fillOf(value);
  return fill && *fill == number;
}

bool moe::isConstantDerived(Value value) {
  SmallVector<Value> stack = {value};
  for (int steps = 0; !stack.empty(); ++steps) {
    Operation *op = stack.pop_back_val().getDefiningOp();
    if (!op || steps > 64)
      return false;
    if (isa<GetWeightOp>(op) || op->hasTrait<OpTrait::ConstantLike>())
      continue;
    if (!isOnnx(op) || isOnnx(op, {"Shape", "Size"}))
      return false;
    llvm::append_range(stack, op->getOperands());
  }
  return true;
}

/// Whether every number of `from` is one of `to`.
static bool holdsAll(FloatType to, FloatType from) {
  const llvm::fltSemantics &a = to.getFloatSemantics(), &b = from.getFloatSemantics();
  return APFloat::semanticsPrecision(a) >= APFloat::semanticsPrecision(b) &&
         APFloat::semanticsMaxExponent(a) >= APFloat::semanticsMaxExponent(b) &&
         APFloat::semanticsMinExponent(a) <= APFloat::semanticsMinExponent(b);
}

bool moe::isExactCast(Operation *op) {
  if (!op || !isOnnx(op, {"Cast", "Identity"}))
    return false;
  Type from = getElementTypeOrSelf(op->getOperand(0).getType()), to = getElementTypeOrSelf(op->getResult(0).getType());
  auto narrow = dyn_cast<FloatType>(to), wide = dyn_cast<FloatType>(from);
  if (!narrow || !wide)
    return skipCasts(op->getResult(0)) != op->getResult(0);
  if (holdsAll(narrow, wide))
    return true;
  Value inner = op->getOperand(0);
  while (isExactCast(inner.getDefiningOp()) && getElementTypeOrSelf(inner.getType()) != to)
    inner = inner.getDefiningOp()->getOperand(0);
  return getElementTypeOrSelf(inner.getType()) == to;
}

bool moe::isRounded(Value value) {
  Operation *cast = definedBy(value, {"Cast"});
  return cast && isFloat(value) && isFloat(cast->getOperand(0)) && !isExactCast(cast);
}

Value moe::skipCasts(Value value) {
  while (Operation *op = definedBy(value, {"Cast", "Identity"})) {
    Type from = getElementTypeOrSelf(op->getOperand(0).getType()), to = getElementTypeOrSelf(value.getType());
    bool floats = isa<FloatType>(from) && isa<FloatType>(to), ints = from.isIntOrIndex() && to.isIntOrIndex();
    if (!floats && !(ints && !from.isInteger(1) && !to.isInteger(1)))
      break;
    value = op->getOperand(0);
  }
  return value;
}
