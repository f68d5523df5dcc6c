//===- OnnxDialect.cpp - registration, assembly format and small helpers --===//
#include "dialects/onnx/Onnx.h"
#include "dialects/onnx/OnnxFormat.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::onnx;

#include "dialects/onnx/OnnxDialect.cpp.inc"
#include "dialects/onnx/OnnxInterfaces.cpp.inc"

void OnnxDialect::initialize() { registerOnnxDialectOperations(this); }

Operation *OnnxDialect::materializeConstant(OpBuilder &builder, Attribute value, Type type, Location loc) {
  auto elements = dyn_cast<ElementsAttr>(value);
  if (!elements || elements.getType() != type)
    return nullptr;
  return ConstantOp::create(builder, loc, type, elements);
}

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

//===----------------------------------------------------------------------===//
// Assembly: onnx.NAME(%a, none, %b) {attributes} : (operand types) -> result types
//===----------------------------------------------------------------------===//

static constexpr StringRef kOperandSegments = "operandSegmentSizes", kResultSegments = "resultSegmentSizes";

bool onnx::hasSegments(StringRef kinds) { return kinds.size() - kinds.count('s') > 1; }

LogicalResult onnx::detail::verifyOp(OnnxOpInterface op) {
  for (auto [kinds, what, get] : {std::tuple(op.inputKinds(), "input", &OnnxOpInterface::getInput),
                                  std::tuple(op.outputKinds(), "output", &OnnxOpInterface::getOutput)})
    for (auto [i, kind] : llvm::enumerate(kinds))
      if (kind != 'o' && !(op.*get)(i))
        return op->emitOpError() << "expects " << what << " " << i << ", but it is missing";
  return success();
}

ParseResult onnx::detail::parseOp(OpAsmParser &parser, OperationState &result, StringRef inputKinds,
                                  StringRef outputKinds) {
  unsigned numInputs = inputKinds.size(), numOutputs = outputKinds.size();
  bool variadicInput = inputKinds.ends_with("v"), inputSegments = hasSegments(inputKinds),
       outputSegments = hasSegments(outputKinds);
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<OpAsmParser::UnresolvedOperand> operands;
  SmallVector<int32_t> segments(numInputs, 0);
  unsigned position = 0;
  auto parseOne = [&]() -> ParseResult {
    SMLoc here = parser.getCurrentLocation();
    bool inVariadic = variadicInput && position + 1 >= numInputs;
    if (position >= numInputs && !inVariadic)
      return parser.emitError(here) << "'" << result.name << "' op takes at most " << numInputs << " inputs";
    if (succeeded(parser.parseOptionalKeyword("none"))) {
      if (inVariadic || !inputSegments || inputKinds[position] != 'o')
        return parser.emitError(here) << "'" << result.name << "' op has no optional input at this place";
      ++position;
      return success();
    }
    if (parser.parseOperand(operands.emplace_back()))
      return failure();
    ++segments[inVariadic ? numInputs - 1 : position];
    ++position;
    return success();
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren, parseOne) ||
      parser.parseOptionalAttrDict(result.attributes))
    return failure();
  FunctionType type;
  if (parser.parseColonType(type) || parser.resolveOperands(operands, type.getInputs(), loc, result.operands))
    return failure();
  result.addTypes(type.getResults());
  Builder &builder = parser.getBuilder();
  if (inputSegments)
    result.attributes.set(kOperandSegments, builder.getDenseI32ArrayAttr(segments));
  if (outputSegments && !result.attributes.get(kResultSegments)) {
    SmallVector<int32_t> sizes(numOutputs, 0);
    if (type.getNumResults() > numOutputs)
      return parser.emitError(loc) << "'" << result.name << "' op has at most " << numOutputs << " results";
    std::fill_n(sizes.begin(), type.getNumResults(), 1);
    result.attributes.set(kResultSegments, builder.getDenseI32ArrayAttr(sizes));
  }
  return success();
}

void onnx::detail::printOp(OnnxOpInterface op, OpAsmPrinter &printer, DictionaryAttr defaults) {
  // Inputs up to the last one that is there; `none` stands for those missing before it.
  SmallVector<Value> inputs;
  unsigned declared = op.inputKinds().size();
  if (!hasSegments(op.inputKinds())) {
    llvm::append_range(inputs, op->getOperands());
  } else {
    for (unsigned i = 0, e = declared + op->getNumOperands(); i < e; ++i)
      inputs.push_back(op.getInput(i));
    while (!inputs.empty() && !inputs.back())
      inputs.pop_back();
  }
  printer << '(';
  llvm::interleaveComma(inputs, printer.getStream(), [&](Value input) {
    if (input)
      printer << input;
    else
      printer << "none";
  });
  printer << ')';
  // Result segments are implied when only the last results are missing.
  SmallVector<StringRef> elided = {kOperandSegments};
  bool gap = false;
  for (unsigned i = 0, e = op->getNumResults(); i < e; ++i)
    gap |= hasSegments(op.outputKinds()) && !op.getOutput(i);
  if (!gap)
    elided.push_back(kResultSegments);
  // Attributes at their default are not printed.
  SmallVector<NamedAttribute> attributes;
  for (NamedAttribute attribute : op->getAttrs())
    if (!defaults || defaults.get(attribute.getName()) != attribute.getValue())
      attributes.push_back(attribute);
  llvm::sort(attributes);
  printer.printOptionalAttrDict(attributes, elided);
  printer << " : ";
  printer.printFunctionalType(op);
}

//===----------------------------------------------------------------------===//
// Helpers
//===----------------------------------------------------------------------===//

Value onnx::getInput(Operation *op, unsigned position) {
  auto node = dyn_cast_or_null<OnnxOpInterface>(op);
  return node ? node.getInput(position) : Value();
}

Value onnx::getOutput(Operation *op, unsigned position) {
  auto node = dyn_cast_or_null<OnnxOpInterface>(op);
  return node ? node.getOutput(position) : Value();
}

DenseElementsAttr onnx::getConstant(Value value) {
  DenseElementsAttr attribute;
  if (value && matchPattern(value, m_Constant(&attribute)))
    return attribute;
  return {};
}

std::optional<SmallVector<int64_t>> onnx::getConstantInts(Value value) {
  DenseElementsAttr attribute = getConstant(value);
  if (!attribute)
    return std::nullopt;
  auto type = dyn_cast<IntegerType>(attribute.getElementType());
  if (!type)
    return std::nullopt;
  bool isUnsigned = type.isUnsigned() || type.getWidth() == 1;
  SmallVector<int64_t> numbers;
  numbers.reserve(attribute.getNumElements());
  for (const APInt &number : attribute.getValues<APInt>())
    numbers.push_back(isUnsigned ? static_cast<int64_t>(number.getZExtValue()) : number.getSExtValue());
  return numbers;
}

std::optional<double> onnx::getConstantScalar(Value value) {
  DenseElementsAttr attribute = getConstant(value);
  if (!attribute || attribute.getNumElements() == 0 || (attribute.getNumElements() != 1 && !attribute.isSplat()))
    return std::nullopt;
  if (isa<FloatType>(attribute.getElementType())) {
    APFloat number = *attribute.getValues<APFloat>().begin();
    bool losesInfo;
    number.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &losesInfo);
    return number.convertToDouble();
  }
  if (auto type = dyn_cast<IntegerType>(attribute.getElementType())) {
    APInt number = *attribute.getValues<APInt>().begin();
    return type.isUnsigned() || type.getWidth() == 1 ? static_cast<double>(number.getZExtValue())
                                                     : static_cast<double>(number.getSExtValue());
  }
  return std::nullopt;
}

StringRef onnx::getNodeName(Operation *op) {
  if (auto name = op->getLoc()->findInstanceOf<NameLoc>())
    return name.getName().getValue();
  return {};
}
