//===- MoeTypes.cpp - the type of values with scales ----------------------===//
//
// The constraint numbers of MoeTypes.td return as comments above the check that enforces them.
//
//===----------------------------------------------------------------------===//
#include "dialects/moe/Moe.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::moe;

#define GET_TYPEDEF_CLASSES
#include "dialects/moe/MoeTypes.cpp.inc"

void MoeDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/moe/MoeTypes.cpp.inc"
      >();
}

LogicalResult ScaledType::verify(function_ref<InFlightDiagnostic()> emitError, ArrayRef<int64_t> shape,
                                 Type elementType, ArrayRef<int64_t> block, Type scale, ScaledLayout) {
  // scaled_c1
  if (!isa<Float8E4M3FNType, Float8E5M2Type>(elementType))
    return emitError() << "expects a scaled value of f8E4M3FN or f8E5M2, but its elements are " << elementType;
  // scaled_c2
  if (shape.size() < 2)
    return emitError() << "expects a scaled value of rank 2 or more, but its rank is " << shape.size();
  // scaled_c3
  if (block.size() != shape.size() || llvm::any_of(block, [](int64_t b) { return b < 0; }))
    return emitError() << "expects a block with an entry >= 0 for each of " << shape.size() << " dims, but it is ["
                       << block << "]";
  // scaled_c4
  if (!scale.isF32() && !isa<Float8E8M0FNUType>(scale))
    return emitError() << "expects scales of f32 or f8E8M0FNU, but they are " << scale;
  return success();
}

ShapedType ScaledType::cloneWith(std::optional<ArrayRef<int64_t>> shape, Type elementType) const {
  return ScaledType::get(getContext(), shape.value_or(getShape()), elementType, getBlock(), getScale(), getLayout());
}

static RankedTensorType inMemory(ScaledType type, SmallVector<int64_t> shape, Type element) {
  if (type.getLayout() == ScaledLayout::Column)
    std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
  return RankedTensorType::get(shape, element);
}

RankedTensorType ScaledType::getCodesType() const {
  return inMemory(*this, SmallVector<int64_t>(getShape()), getElementType());
}

RankedTensorType ScaledType::getScalesType() const {
  return inMemory(*this, getScaleShape(getShape(), getBlock()), getScale());
}

SmallVector<int64_t> ScaledType::getMemoryBlock() const {
  SmallVector<int64_t> block(getBlock());
  if (getLayout() == ScaledLayout::Column)
    std::swap(block[block.size() - 1], block[block.size() - 2]);
  return block;
}

SmallVector<int64_t> moe::getScaleShape(ArrayRef<int64_t> shape, ArrayRef<int64_t> block) {
  SmallVector<int64_t> sizes;
  for (auto [d, b] : llvm::zip(shape, block))
    sizes.push_back(b == 0                     ? 1
                    : ShapedType::isDynamic(d) ? ShapedType::kDynamic
                                               : static_cast<int64_t>(llvm::divideCeil(d, b)));
  return sizes;
}

/// `<` dims element `,` `block` `=` `[` ... `]` `,` `scale` `=` type (`,` `layout` `=` layout)? `>`
Type ScaledType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape, block;
  Type element, scale;
  ScaledLayout layout = ScaledLayout::Row;
  auto entry = [&]() -> ParseResult { return parser.parseInteger(block.emplace_back()); };
  if (parser.parseLess() || parser.parseDimensionList(shape) || parser.parseType(element) || parser.parseComma() ||
      parser.parseKeyword("block") || parser.parseEqual() ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, entry) || parser.parseComma() ||
      parser.parseKeyword("scale") || parser.parseEqual() || parser.parseType(scale))
    return {};
  if (succeeded(parser.parseOptionalComma())) {
    StringRef name;
    auto at = parser.getCurrentLocation();
    if (parser.parseKeyword("layout") || parser.parseEqual() || parser.parseKeyword(&name))
      return {};
    auto known = symbolizeScaledLayout(name);
    if (!known) {
      parser.emitError(at) << "expects the layout 'row' or 'column', found '" << name << "'";
      return {};
    }
    layout = *known;
  }
  if (parser.parseGreater())
    return {};
  return parser.getChecked<ScaledType>(parser.getContext(), shape, element, block, scale, layout);
}

void ScaledType::print(AsmPrinter &printer) const {
  printer << "<";
  for (int64_t d : getShape())
    (ShapedType::isDynamic(d) ? printer << "?" : printer << d) << "x";
  printer << getElementType() << ", block = [" << getBlock() << "], scale = " << getScale();
  if (getLayout() != ScaledLayout::Row)
    printer << ", layout = " << stringifyScaledLayout(getLayout());
  printer << ">";
}
