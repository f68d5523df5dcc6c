//===- TileDialect.cpp - types, attributes and verifiers of the tile dialect ===//
#include "dialects/tile/Tile.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::tile;

#include "dialects/tile/TileDialect.cpp.inc"
#include "dialects/tile/TileEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/tile/TileAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/tile/TileTypes.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/tile/TileOps.cpp.inc"

void TileDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/tile/TileAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/tile/TileTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/tile/TileOps.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// Fragments
//===----------------------------------------------------------------------===//

bool tile::isFragment(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  auto fragment = tensor ? dyn_cast_or_null<FragmentAttr>(tensor.getEncoding()) : FragmentAttr();
  if (!fragment || !tensor.hasStaticShape())
    return false;
  ArrayRef<int64_t> shape = tensor.getShape();
  switch (fragment.getLayout()) {
  case Layout::Mma:
    return shape.size() == 2 && shape[0] == 64 && shape[1] % 8 == 0;
  case Layout::Half:
    return shape.size() == 2 && shape[0] == 32 && shape[1] % 8 == 0;
  case Layout::Rows:
    return shape.size() == 1 && shape[0] == 64;
  case Layout::Columns:
    return shape.size() == 1 && shape[0] % 8 == 0;
  }
  return false;
}

Layout tile::layoutOf(Type fragment) {
  return cast<FragmentAttr>(cast<RankedTensorType>(fragment).getEncoding()).getLayout();
}

int64_t tile::elementsPerThread(Type fragment) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(fragment).getShape();
  switch (layoutOf(fragment)) {
  case Layout::Mma:
    return shape[1] / 2;
  case Layout::Half:
    return shape[1] / 4;
  case Layout::Rows:
    return 2;
  case Layout::Columns:
    return shape[0] / 4;
  }
  return 0;
}

RankedTensorType tile::fragmentType(ArrayRef<int64_t> shape, Type element, Layout layout) {
  return RankedTensorType::get(shape, element, FragmentAttr::get(element.getContext(), layout));
}

//===----------------------------------------------------------------------===//
// !tile.shared
//===----------------------------------------------------------------------===//

int64_t SharedType::getBytes() {
  int64_t n = getElementBytes();
  for (int64_t d : getShape())
    n *= d;
  return n;
}

Type SharedType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape;
  Type element;
  bool swizzle = false;
  SMLoc at = parser.getCurrentLocation();
  if (parser.parseLess() || parser.parseDimensionList(shape, /*allowDynamic=*/false) || parser.parseType(element))
    return {};
  if (succeeded(parser.parseOptionalComma())) {
    if (parser.parseKeyword("swizzle"))
      return {};
    swizzle = true;
  }
  if (parser.parseGreater())
    return {};
  return getChecked([&] { return parser.emitError(at); }, parser.getContext(), shape, element, swizzle);
}

void SharedType::print(AsmPrinter &printer) const {
  printer << "<";
  for (int64_t d : getShape())
    printer << d << "x";
  printer << getElementType() << (getSwizzle() ? ", swizzle>" : ">");
}

LogicalResult SharedType::verify(function_ref<InFlightDiagnostic()> emitError, ArrayRef<int64_t> shape, Type element, bool swizzle) {
  if (!element.isIntOrFloat() || element.getIntOrFloatBitWidth() % 8)
    return emitError() << "expects elements of whole bytes, but they are " << element;
  if (shape.empty())
    return emitError() << "expects at least one dimension";
  int64_t bytes = element.getIntOrFloatBitWidth() / 8;
  for (int64_t d : shape) {
    if (d < 1 || d > kSharedBytes)
      return emitError() << "expects dims from 1 to " << kSharedBytes << ", but one is " << d;
    bytes *= d;
    if (bytes > kSharedBytes)
      return emitError() << "expects at most " << kSharedBytes << " bytes";
  }
  if (swizzle && shape.back() * (element.getIntOrFloatBitWidth() / 8) != 128)
    return emitError() << "expects rows of 128 bytes in a swizzled tile, but they have " << shape.back() * (element.getIntOrFloatBitWidth() / 8);
  return success();
}

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

/// (C1) of allocations: they are the kernel's, not a loop's.
static LogicalResult verifyInEntry(Operation *op) {
  auto func = dyn_cast<func::FuncOp>(op->getParentOp());
  if (!func || op->getBlock() != &func.getBody().front())
    return op->emitOpError("expects to stand in the entry block of a kernel");
  return success();
}

LogicalResult AllocOp::verify() { return verifyInEntry(*this); }

LogicalResult BarriersOp::verify() {
  if (static_cast<int32_t>(getArrivals()) < 1)
    return emitOpError("expects at least one arrival, but arrivals is ") << static_cast<int32_t>(getArrivals());
  if (getType().getCount() < 1)
    return emitOpError("expects at least one barrier");
  return verifyInEntry(*this);
}

LogicalResult RolesOp::verify() {
  size_t n = getBodies().size();
  ArrayRef<int32_t> first = getFirst();
  if (first.size() != n || getSingle().size() != n)
    return emitOpError("expects a first warp and a 'single' for each of its ") << n << " regions";
  auto func = (*this)->getParentOfType<func::FuncOp>();
  auto threads = func ? func->getAttrOfType<IntegerAttr>("tile.threads") : IntegerAttr();
  if (!threads || threads.getInt() < 32 || threads.getInt() > 1024 || threads.getInt() % 32)
    return emitOpError("expects to stand in a kernel with 'tile.threads', a multiple of 32 up to 1024");
  int64_t warps = threads.getInt() / 32;
  for (size_t i = 0; i < n; ++i) {
    if (first[i] < 0 || (i == 0 && first[i] != 0) || (i > 0 && first[i] <= first[i - 1]) || first[i] >= warps)
      return emitOpError("expects first warps that ascend from 0 below ") << warps;
    int64_t end = i + 1 < n ? first[i + 1] : warps;
    if (first[i] / 4 != (end - 1) / 4 && first[i] % 4)
      return emitOpError("expects a role of several warpgroups to start at a warpgroup, but role ") << i << " starts at warp " << first[i];
  }
  if (getRegisters().empty())
    return success();
  if (threads.getInt() % kWarpgroup || static_cast<int64_t>(getRegisters().size()) != threads.getInt() / kWarpgroup)
    return emitOpError("expects one register budget a warpgroup, but there are ") << getRegisters().size();
  int64_t sum = 0, pool = 65536 / threads.getInt() / 8 * 8 * static_cast<int64_t>(getRegisters().size());
  for (int32_t r : getRegisters()) {
    if (r < 24 || r > 240 || r % 8)
      return emitOpError("expects register budgets that are multiples of 8 from 24 to 240, but found ") << r;
    sum += r;
  }
  if (sum > pool)
    return emitOpError("expects budgets of at most ") << pool << " registers together, but they have " << sum;
  return success();
}

LogicalResult ViewOp::verify() {
  SharedType from = getSource().getType(), to = getType();
  if (from.getElementType() != to.getElementType() || from.getSwizzle() != to.getSwizzle())
    return emitOpError("expects one element type and swizzle, but they are ") << from << " and " << to;
  ArrayRef<int64_t> a = from.getShape(), b = to.getShape();
  bool drops = a.size() == b.size() + 1 && a.drop_front() == b;
  bool cuts = a.size() == b.size() && a.drop_front() == b.drop_front() && b.front() <= a.front();
  if (!drops && !cuts)
    return emitOpError("expects a part of ") << from << ", but found " << to;
  int64_t unit = getUnit();
  if (unit < 1)
    return emitOpError("expects a unit of at least one row");
  if (cuts && from.getSwizzle() && a.size() == 2 && unit % 8)
    return emitOpError("expects a part of a swizzled tile to start at a multiple of 8 rows, but its unit is ") << unit;
  return success();
}

LogicalResult MmaOp::verify() {
  size_t n = getPending().size();
  if (getA().size() != n || getB().size() != n || n == 0)
    return emitOpError("expects as many b as a as results, but found ") << getB().size() << ", " << getA().size() << " and " << n;
  if (!getAccumulators().empty() && !getReuse().empty())
    return emitOpError("expects accumulators or registers to reuse, not both");
  for (OperandRange own : {getAccumulators(), getReuse()})
    if (!own.empty() && own.size() != n)
      return emitOpError("expects one fragment for each of ") << n << " products, but found " << own.size();
  for (size_t i = 0; i < n; ++i) {
    auto a = cast<SharedType>(getA()[i].getType()), b = cast<SharedType>(getB()[i].getType());
    RankedTensorType d = cast<PendingType>(getPending()[i].getType()).getFragment();
    Type e = a.getElementType();
    if (!isa<Float8E4M3FNType, Float8E5M2Type, BFloat16Type, Float16Type>(e) ||
        b.getElementType().getIntOrFloatBitWidth() != e.getIntOrFloatBitWidth())
      return emitOpError("expects f8E4M3FN, f8E5M2, bf16 or f16 operands of one width, but they are ") << a << " and " << b;
    if (!a.getSwizzle() || !b.getSwizzle() || a.getShape().size() != 2 || b.getShape().size() != 2 || a.getShape()[0] != 64)
      return emitOpError("expects swizzled tiles of 64 and N rows, but they are ") << a << " and " << b;
    int64_t columns = b.getShape()[0];
    if (columns % 8 || columns > 256)
      return emitOpError("expects N to be a multiple of 8 up to 256, but it is ") << columns;
    if (d != fragmentType({64, columns}, d.getElementType(), Layout::Mma) || !d.getElementType().isF32())
      return emitOpError("expects a result of ") << fragmentType({64, columns}, Float32Type::get(getContext()), Layout::Mma) << ", but it is " << d;
    for (OperandRange own : {getAccumulators(), getReuse()})
      if (!own.empty() && own[i].getType() != d)
        return emitOpError("expects accumulators of ") << d << ", but found " << own[i].getType();
  }
  return success();
}

LogicalResult MmaWaitOp::verify() {
  if (getPending().size() != getFragments().size())
    return emitOpError("expects a result for each operand");
  for (auto [p, f] : llvm::zip(getPending(), getFragments()))
    if (cast<PendingType>(p.getType()).getFragment() != f.getType())
      return emitOpError("expects a result of ") << cast<PendingType>(p.getType()).getFragment() << ", but it is " << f.getType();
  return success();
}

LogicalResult PromoteOp::verify() {
  Type type = getType();
  if (layoutOf(type) != Layout::Mma || getPartial().getType() != type || getSum().getType() != type)
    return emitOpError("expects partial, sum and result of one mma fragment type");
  auto shape = cast<RankedTensorType>(type).getShape();
  Type f32 = Float32Type::get(getContext());
  if (getRows().getType() != fragmentType(shape[0], f32, Layout::Rows) ||
      getColumns().getType() != fragmentType(shape[1], f32, Layout::Columns))
    return emitOpError("expects scales for ") << shape[0] << " rows and " << shape[1] << " columns, but they are " << getRows().getType() << " and "
                                              << getColumns().getType();
  return success();
}

LogicalResult SplatOp::verify() {
  Layout layout = layoutOf(getType());
  size_t n = getValues().size();
  if (n != 1 && !(n == 2 && (layout == Layout::Rows || layout == Layout::Columns)))
    return emitOpError("expects one value, or two for rows and columns, but found ") << n;
  for (Value v : getValues())
    if (v.getType() != getElementTypeOrSelf(getType()))
      return emitOpError("expects values of the fragment's element type");
  return success();
}

LogicalResult SelectColumnsOp::verify() {
  auto from = cast<RankedTensorType>(getSource().getType()), to = cast<RankedTensorType>(getType());
  if (from.getRank() != 2 || to.getRank() != 2 || from.getEncoding() != to.getEncoding())
    return emitOpError("expects fragments of one layout, mma or half");
  int64_t n = to.getShape()[1] / 8, last = static_cast<int64_t>(getFirst()) + (n - 1) * static_cast<int64_t>(getStep());
  if (static_cast<int32_t>(getFirst()) < 0 || static_cast<int32_t>(getStep()) < 1 || last >= from.getShape()[1] / 8)
    return emitOpError("expects groups of columns within the source's ") << from.getShape()[1] / 8 << ", but the last is " << last;
  return success();
}

LogicalResult MapOp::verify() {
  Block &block = getBody().front();
  if (block.getNumArguments() != getNumOperands())
    return emitOpError("expects a region of ") << getNumOperands() << " arguments, but it has " << block.getNumArguments();
  for (auto [operand, arg] : llvm::zip(getOperands(), block.getArguments()))
    if (getElementTypeOrSelf(operand.getType()) != arg.getType())
      return emitOpError("expects a region argument of ") << getElementTypeOrSelf(operand.getType()) << ", but it is " << arg.getType();
  auto yield = cast<YieldOp>(block.getTerminator());
  if (yield.getNumOperands() != getNumResults() || getNumResults() == 0)
    return emitOpError("expects to yield ") << getNumResults() << " values";
  auto result = cast<RankedTensorType>(getResult(0).getType());
  for (auto [value, type] : llvm::zip(yield.getOperands(), getResultTypes())) {
    auto t = cast<RankedTensorType>(type);
    if (t.getShape() != result.getShape() || t.getEncoding() != result.getEncoding() || value.getType() != t.getElementType())
      return emitOpError("expects results of one shape and layout and of the yielded types");
  }
  for (Value operand : getOperands()) {
    auto t = cast<RankedTensorType>(operand.getType());
    Layout layout = layoutOf(t);
    bool fits = t.getEncoding() == result.getEncoding()
                    ? t.getShape() == result.getShape()
                    : result.getRank() == 2 && ((layout == Layout::Rows && layoutOf(result) == Layout::Mma) ||
                                                (layout == Layout::Columns && t.getShape()[0] == result.getShape()[1]));
    if (!fits)
      return emitOpError("expects operands of the result's shape, or its rows or columns, but found ") << t << " for " << result;
  }
  return success();
}

LogicalResult MaxOp::verify() {
  if (getFragments().empty())
    return emitOpError("expects at least one fragment");
  auto type = cast<RankedTensorType>(getFragments().front().getType());
  for (Value v : getFragments())
    if (v.getType() != type)
      return emitOpError("expects fragments of one type");
  if (type.getRank() != 2 || !type.getElementType().isF32())
    return emitOpError("expects f32 fragments of layout mma or half");
  Layout to = layoutOf(getType());
  auto result = cast<RankedTensorType>(getType());
  if (!(to == Layout::Rows && layoutOf(type) == Layout::Mma) && !(to == Layout::Columns && result.getShape()[0] == type.getShape()[1]))
    return emitOpError("expects a result for the rows of an mma fragment or for its columns, but it is ") << result;
  return success();
}
