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

LogicalResult TileDialect::verifyOperationAttribute(Operation *op, NamedAttribute attr) {
  if (attr.getName() != "tile.threads")
    return success();
  auto threads = dyn_cast<IntegerAttr>(attr.getValue());
  if (!threads || !threads.getType().isSignlessInteger(32) || threads.getInt() < 32 || threads.getInt() > 1024 ||
      threads.getInt() % 32)
    return op->emitOpError("expects 'tile.threads' to be an i32, a multiple of 32 up to 1024, but found ")
           << attr.getValue();
  return success();
}

//===----------------------------------------------------------------------===//
// Fragments, words, buffers
//===----------------------------------------------------------------------===//

bool tile::isFragment(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  auto fragment = tensor ? dyn_cast_or_null<FragmentAttr>(tensor.getEncoding()) : FragmentAttr();
  if (!fragment || !tensor.hasStaticShape() || !tensor.getElementType().isIntOrFloat())
    return false;
  ArrayRef<int64_t> shape = tensor.getShape();
  if (shape.empty() || shape.back() < 8 || shape.back() > 256)
    return false;
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

bool tile::isWord(Type type) {
  int64_t count = 1;
  if (auto vector = dyn_cast<VectorType>(type)) {
    if (vector.getRank() != 1 || vector.isScalable() || vector.getNumElements() > 16)
      return false;
    count = vector.getNumElements();
    type = vector.getElementType();
  }
  if (!type.isSignlessInteger(8) && !type.isSignlessInteger(16) && !type.isSignlessInteger(32) &&
      !type.isSignlessInteger(64) && !isa<Float16Type, BFloat16Type, Float32Type, Float64Type>(type))
    return false;
  int64_t bytes = count * type.getIntOrFloatBitWidth() / 8;
  return bytes <= 16 && llvm::isPowerOf2_64(static_cast<uint64_t>(bytes));
}

bool tile::isBuffer(Type type) {
  auto memref = dyn_cast<MemRefType>(type);
  if (!memref || !memref.getLayout().isIdentity() || memref.getMemorySpace())
    return false;
  Type element = memref.getElementType();
  return element.isIntOrFloat() && element.getIntOrFloatBitWidth() && element.getIntOrFloatBitWidth() % 8 == 0;
}

//===----------------------------------------------------------------------===//
// Types
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

LogicalResult SharedType::verify(function_ref<InFlightDiagnostic()> emitError, ArrayRef<int64_t> shape, Type element,
                                 bool swizzle) {
  if (!element.isIntOrFloat() || element.getIntOrFloatBitWidth() == 0 || element.getIntOrFloatBitWidth() % 8)
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
    return emitError() << "expects rows of 128 bytes in a swizzled tile, but they have "
                       << shape.back() * (element.getIntOrFloatBitWidth() / 8);
  return success();
}

LogicalResult BarriersType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t count) {
  if (count < 1 || count > kSharedBytes / 8)
    return emitError() << "expects 1 to " << kSharedBytes / 8 << " barriers, but found " << count;
  return success();
}

LogicalResult PendingType::verify(function_ref<InFlightDiagnostic()> emitError, RankedTensorType fragment) {
  if (!isFragment(fragment) || layoutOf(fragment) != Layout::Mma || !fragment.getElementType().isF32())
    return emitError() << "expects an f32 fragment of layout mma, but found " << fragment;
  return success();
}

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

/// What is the kernel's, not a loop's.
static LogicalResult verifyInEntry(Operation *op) {
  auto func = dyn_cast_or_null<func::FuncOp>(op->getParentOp());
  if (!func || op->getBlock() != &func.getBody().front())
    return op->emitOpError("expects to stand in the entry block of a kernel");
  return success();
}

// alloc_c1
LogicalResult AllocOp::verify() { return verifyInEntry(*this); }

LogicalResult BarriersOp::verify() {
  // barriers_c2
  if (static_cast<int32_t>(getArrivals()) < 1)
    return emitOpError("expects at least one arrival, but arrivals is ") << static_cast<int32_t>(getArrivals());
  // barriers_c1
  return verifyInEntry(*this);
}

LogicalResult StartOp::verify() {
  // start_c1
  if (failed(verifyInEntry(*this)))
    return failure();
  for (Operation *op = (*this)->getNextNode(); op; op = op->getNextNode()) {
    if (isa<StartOp>(op))
      return op->emitOpError("expects to stand once in a kernel");
    // start_c2
    if (isa<BarriersOp>(op))
      return emitOpError("expects to stand behind all barriers of its kernel");
  }
  return success();
}

LogicalResult RolesOp::verify() {
  size_t n = getBodies().size();
  ArrayRef<int32_t> first = getFirst();
  // roles_c4
  if (failed(verifyInEntry(*this)))
    return failure();
  auto threads = (*this)->getParentOp()->getAttrOfType<IntegerAttr>("tile.threads");
  if (!threads)
    return emitOpError("expects to stand in a kernel with 'tile.threads'");
  // roles_c1
  if (n == 0 || first.size() != n || getSingle().size() != n)
    return emitOpError("expects a first warp and a 'single' for each of its ") << n << " regions, one at least";
  int64_t warps = threads.getInt() / 32;
  for (size_t i = 0; i < n; ++i) {
    if (first[i] < 0 || (i == 0 && first[i] != 0) || (i > 0 && first[i] <= first[i - 1]) || first[i] >= warps)
      return emitOpError("expects first warps that ascend from 0 below ") << warps;
    int64_t end = i + 1 < n ? first[i + 1] : warps;
    // roles_c2
    if (first[i] / 4 != (end - 1) / 4 && (first[i] % 4 || (end % 4 && end != warps)))
      return emitOpError("expects a role of several warpgroups to have them whole, but role ")
             << i << " has warps " << first[i] << " to " << end - 1;
  }
  ArrayRef<int32_t> registers = getRegisters();
  if (registers.empty())
    return success();
  for (Operation *op = (*this)->getNextNode(); op; op = op->getNextNode())
    if (auto other = dyn_cast<RolesOp>(op); other && !other.getRegisters().empty())
      return other.emitOpError("expects one op of a kernel to set register budgets");
  // roles_c3
  if (threads.getInt() % kWarpgroup || static_cast<int64_t>(getRegisters().size()) != threads.getInt() / kWarpgroup)
    return emitOpError("expects one register budget a warpgroup, but there are ") << getRegisters().size();
  int64_t sum = 0, pool = 65536 / threads.getInt() / 8 * 8 * static_cast<int64_t>(getRegisters().size());
  for (int32_t r : getRegisters()) {
    if (r < 24 || r > 240 || r % 8)
      return emitOpError("expects register budgets that are multiples of 8 from 24 to 240, but found ") << r;
    sum += r;
  }
  for (size_t i = 0; i < n; ++i)
    for (int64_t g = first[i] / 4, end = i + 1 < n ? first[i + 1] : warps; 4 * g < end; ++g)
      if (first[i] % 4 == 0 && registers[static_cast<size_t>(g)] != registers[static_cast<size_t>(first[i] / 4)])
        return emitOpError("expects one register budget for the warpgroups of a role, but role ")
               << i << " has " << registers[static_cast<size_t>(first[i] / 4)] << " and "
               << registers[static_cast<size_t>(g)];
  if (sum > pool)
    return emitOpError("expects budgets of at most ") << pool << " registers together, but they have " << sum;
  return success();
}

/// What all threads of a warp (or more) run together.
static bool isCollective(Operation *op) {
  auto arrive = dyn_cast<ArriveOp>(op);
  return isa<MaxOp, MmaOp, MmaWaitOp, ReadVectorOp, ReduceOp, ShuffleOp, StoreMatrixOp, SyncOp, SyncWarpOp,
             WriteVectorOp>(op) ||
         (arrive && arrive.getWarp());
}
LogicalResult RolesOp::verifyRegions() {
  for (auto [region, single] : llvm::zip(getBodies(), getSingle())) {
    Block &body = region.front();
    // roles_c5
    if (body.getNumArguments() || (!body.empty() && body.back().hasTrait<OpTrait::IsTerminator>()))
      return emitOpError("expects regions without arguments and terminators");
    // roles_c6
    Operation *collective = nullptr;
    if (single)
      body.walk([&](Operation *op) { collective = !collective && isCollective(op) ? op : collective; });
    if (collective)
      return collective->emitOpError("expects all threads of a warp, but stands in the role of a single one");
  }
  return success();
}

LogicalResult SyncOp::verify() {
  // sync_c1
  int64_t threads = static_cast<int32_t>(getThreads());
  if (threads < 32 || threads > 1024 || threads % 32)
    return emitOpError("expects a multiple of 32 threads up to 1024, but found ") << threads;
  return success();
}

LogicalResult CopyGatherOp::verify() {
  // copy_gather_c1
  if (!getTarget().getType().getSwizzle())
    return emitOpError("expects a swizzled target, but it is ") << getTarget().getType();
  return success();
}

LogicalResult CopyBoxOp::verify() {
  // copy_box_c1
  auto argument = dyn_cast<BlockArgument>(getSource());
  auto kernel = argument ? dyn_cast<FunctionOpInterface>(argument.getOwner()->getParentOp()) : FunctionOpInterface();
  auto map =
      kernel ? kernel.getArgAttrOfType<DictionaryAttr>(argument.getArgNumber(), "moe.tensor_map") : DictionaryAttr();
  auto box = map ? map.getAs<DenseI64ArrayAttr>("box") : DenseI64ArrayAttr();
  if (!box || !kernel->hasAttr("moe.launch_config"))
    return emitOpError(
        "expects its source to be an argument with 'moe.tensor_map' and a box, of a kernel with 'moe.launch_config'");
  // copy_box_c2
  auto source = cast<MemRefType>(getSource().getType());
  if (static_cast<int64_t>(getPosition().size()) != source.getRank() || box.size() != source.getRank())
    return emitOpError("expects a position and a box of rank ")
           << source.getRank() << ", but they have " << getPosition().size() << " and " << box.size();
  // copy_box_c3
  SharedType target = getTarget().getType();
  int64_t elements = 1;
  for (int64_t extent : box.asArrayRef())
    elements *= extent;
  Type element = source.getElementType();
  int64_t bytes = element.isIntOrFloat() ? element.getIntOrFloatBitWidth() / 8 : 0;
  if (bytes != target.getElementBytes() || elements * bytes != target.getBytes())
    return emitOpError("expects a box of ") << target.getBytes() << " bytes in elements of " << target.getElementBytes()
                                            << ", but it has " << elements * bytes << " in elements of " << bytes;
  // copy_box_c4
  auto swizzle = map.getAs<IntegerAttr>("swizzle");
  if ((swizzle ? swizzle.getInt() : 0) != (target.getSwizzle() ? 128 : 0))
    return emitOpError("expects a map with a swizzle of ") << (target.getSwizzle() ? 128 : 0) << " for " << target;
  return success();
}

LogicalResult ViewOp::verify() {
  // view_c1
  SharedType from = getSource().getType(), to = getType();
  if (from.getElementType() != to.getElementType() || from.getSwizzle() != to.getSwizzle())
    return emitOpError("expects one element type and swizzle, but they are ") << from << " and " << to;
  ArrayRef<int64_t> a = from.getShape(), b = to.getShape();
  bool drops = a.size() == b.size() + 1 && a.drop_front() == b;
  bool cuts = a.size() == b.size() && a.drop_front() == b.drop_front() && b.front() <= a.front();
  // view_c2
  if (!drops && !cuts)
    return emitOpError("expects a part of ") << from << ", but found " << to;
  int64_t unit = static_cast<int64_t>(getUnit());
  if (unit < 1 || unit > (drops ? 1 : a.front()))
    return emitOpError("expects a unit from 1 to ") << (drops ? 1 : a.front()) << ", but it is " << unit;
  // view_c3
  if (int64_t bytes = from.getBytes() / a.front() * unit; from.getSwizzle() && bytes % 1024)
    return emitOpError("expects parts of a swizzled tile to start at multiples of 1024 bytes, but they are ")
           << bytes << " apart";
  return success();
}

LogicalResult MmaOp::verify() {
  size_t n = getPending().size();
  // mma_c1
  if (getA().size() != n || getB().size() != n || n == 0)
    return emitOpError("expects as many b as a as results, but found ")
           << getB().size() << ", " << getA().size() << " and " << n;
  // mma_c3
  if (!getAccumulators().empty() && !getReuse().empty())
    return emitOpError("expects accumulators or registers to reuse, not both");
  for (OperandRange own : {getAccumulators(), getReuse()})
    if (!own.empty() && own.size() != n)
      return emitOpError("expects one fragment for each of ") << n << " products, but found " << own.size();
  for (size_t i = 0; i < n; ++i) {
    auto a = cast<SharedType>(getA()[i].getType()), b = cast<SharedType>(getB()[i].getType());
    RankedTensorType d = cast<PendingType>(getPending()[i].getType()).getFragment();
    Type e = a.getElementType(), f = b.getElementType();
    // mma_c2
    if (!(isa<Float8E4M3FNType, Float8E5M2Type>(e) && isa<Float8E4M3FNType, Float8E5M2Type>(f)) &&
        !(isa<BFloat16Type, Float16Type>(e) && e == f))
      return emitOpError("expects operands of f8E4M3FN or f8E5M2, both bf16 or both f16, but they are ")
             << a << " and " << b;
    int64_t columns = b.getShape()[0];
    if (getTransposed()) {
      // mma_c4
      ArrayRef<int64_t> left = a.getShape(), right = b.getShape();
      if (a.getElementBytes() != 2)
        return emitOpError("expects transposed operands of 16 bits, but they are ") << a << " and " << b;
      if (!a.getSwizzle() || !b.getSwizzle() || left.size() != 2 || right.size() != 3 || left[1] != 64 ||
          right[2] != 64 || left[0] != right[1] || left[0] < 16 || left[0] % 16 || right[0] > 4)
        return emitOpError("expects transposed operands to be swizzled tiles [K, 64] and [1 to 4, K, 64], K a multiple "
                           "of 16, but they are ")
               << a << " and " << b;
      columns *= 64;
    } else if (!a.getSwizzle() || !b.getSwizzle() || a.getShape().size() != 2 || b.getShape().size() != 2 ||
               a.getShape()[0] != 64)
      return emitOpError("expects swizzled tiles of 64 and N rows, but they are ") << a << " and " << b;
    if (columns % 8 || columns > 256)
      return emitOpError("expects N to be a multiple of 8 up to 256, but it is ") << columns;
    if (RankedTensorType expected = fragmentType({64, columns}, Float32Type::get(getContext()), Layout::Mma);
        d != expected)
      return emitOpError("expects a result of ") << expected << ", but it is " << d;
    for (OperandRange own : {getAccumulators(), getReuse()})
      if (!own.empty() && own[i].getType() != d)
        return emitOpError("expects accumulators of ") << d << ", but found " << own[i].getType();
  }
  return success();
}

LogicalResult MmaWaitOp::verify() {
  // mma_wait_c2
  if (static_cast<int32_t>(getInFlight()) < 0 || getInFlight() > 7)
    return emitOpError("expects 0 to 7 groups in flight, but found ") << static_cast<int32_t>(getInFlight());
  // mma_wait_c1
  if (getPending().empty() || getPending().size() != getFragments().size())
    return emitOpError("expects a result for each operand, and one at least");
  for (auto [p, f] : llvm::zip(getPending(), getFragments()))
    if (cast<PendingType>(p.getType()).getFragment() != f.getType())
      return emitOpError("expects a result of ")
             << cast<PendingType>(p.getType()).getFragment() << ", but it is " << f.getType();
  return success();
}

LogicalResult PromoteOp::verify() {
  // promote_c1 (the types match)
  auto type = cast<RankedTensorType>(getType());
  Type f32 = Float32Type::get(getContext());
  if (layoutOf(type) != Layout::Mma || type.getElementType() != f32)
    return emitOpError("expects f32 fragments of layout mma, but found ") << type;
  ArrayRef<int64_t> shape = type.getShape();
  // promote_c2
  if (getRows().getType() != fragmentType(shape[0], f32, Layout::Rows) ||
      getColumns().getType() != fragmentType(shape[1], f32, Layout::Columns))
    return emitOpError("expects scales for ") << shape[0] << " rows and " << shape[1] << " columns, but they are "
                                              << getRows().getType() << " and " << getColumns().getType();
  return success();
}

LogicalResult SplatOp::verify() {
  Layout layout = layoutOf(getType());
  size_t n = getValues().size();
  // splat_c1
  if (n != 1 && !(n == 2 && (layout == Layout::Rows || layout == Layout::Columns)))
    return emitOpError("expects one value, or two for rows and columns, but found ") << n;
  // splat_c2
  for (Value v : getValues())
    if (v.getType() != getElementTypeOrSelf(getType()))
      return emitOpError("expects values of ") << getElementTypeOrSelf(getType()) << ", but found " << v.getType();
  return success();
}

/// A vector in shared memory, read or written as a fragment.
static LogicalResult verifyVector(Operation *op, RankedTensorType fragment, SharedType tile) {
  Layout layout = layoutOf(fragment);
  // read_vector_c1, write_vector_c1
  if (layout != Layout::Rows && layout != Layout::Columns)
    return op->emitOpError("expects a fragment of layout rows or columns, but found ") << fragment;
  // read_vector_c2, write_vector_c2
  if (!isWord(fragment.getElementType()) || tile.getElementType() != fragment.getElementType())
    return op->emitOpError("expects one element type of 1, 2, 4 or 8 bytes, but found ") << fragment << " and " << tile;
  if (tile.getSwizzle() || tile.getBytes() / tile.getElementBytes() < fragment.getShape()[0])
    return op->emitOpError("expects a tile of at least ")
           << fragment.getShape()[0] << " elements that is not swizzled, but it is " << tile;
  return success();
}
LogicalResult ReadVectorOp::verify() {
  return verifyVector(*this, cast<RankedTensorType>(getType()), getSource().getType());
}
LogicalResult WriteVectorOp::verify() {
  return verifyVector(*this, cast<RankedTensorType>(getFragment().getType()), getTarget().getType());
}

LogicalResult SelectRowsOp::verify() {
  // select_rows_c1
  if (getHalf() > 1)
    return emitOpError("expects half to be 0 or 1, but it is ") << static_cast<int32_t>(getHalf());
  // select_rows_c2
  auto from = cast<RankedTensorType>(getSource().getType());
  if (layoutOf(from) != Layout::Mma)
    return emitOpError("expects a fragment of layout mma, but found ") << from;
  if (RankedTensorType expected = fragmentType({32, from.getShape()[1]}, from.getElementType(), Layout::Half);
      getType() != expected)
    return emitOpError("expects a result of ") << expected << ", but it is " << getType();
  return success();
}

LogicalResult SelectColumnsOp::verify() {
  auto from = cast<RankedTensorType>(getSource().getType()), to = cast<RankedTensorType>(getType());
  // select_columns_c1
  if (from.getRank() != 2 || from.getEncoding() != to.getEncoding() || from.getElementType() != to.getElementType())
    return emitOpError("expects fragments of one layout, mma or half, and element type, but they are ")
           << from << " and " << to;
  // select_columns_c2
  int64_t n = to.getShape()[1] / 8, last = static_cast<int64_t>(getFirst()) + (n - 1) * static_cast<int64_t>(getStep());
  if (static_cast<int32_t>(getFirst()) < 0 || static_cast<int32_t>(getStep()) < 1 || last >= from.getShape()[1] / 8)
    return emitOpError("expects groups of columns within the source's ")
           << from.getShape()[1] / 8 << ", but they go from " << static_cast<int32_t>(getFirst()) << " to " << last
           << " by " << static_cast<int32_t>(getStep());
  return success();
}

LogicalResult MapOp::verifyRegions() {
  Block &block = getBody().front();
  // map_c1
  if (block.getArgumentTypes() !=
      llvm::map_to_vector(getOperandTypes(), [](Type t) { return getElementTypeOrSelf(t); }))
    return emitOpError("expects one region argument an operand, of its element type");
  ValueRange yielded = block.getTerminator()->getOperands();
  if (getNumResults() == 0 ||
      yielded.getTypes() != llvm::map_to_vector(getResultTypes(), [](Type t) { return getElementTypeOrSelf(t); }))
    return emitOpError("expects to yield one value a result, of its element type, and one result at least");
  auto result = cast<RankedTensorType>(getResult(0).getType());
  for (Type type : getResultTypes())
    if (cast<RankedTensorType>(type).getShape() != result.getShape() || layoutOf(type) != layoutOf(result))
      return emitOpError("expects results of one shape and layout, but found ") << type << " and " << result;
  // map_c2
  for (Type operand : getOperandTypes()) {
    auto t = cast<RankedTensorType>(operand);
    Layout own = layoutOf(t), to = layoutOf(result);
    bool fits = own == to
                    ? t.getShape() == result.getShape()
                    : (own == Layout::Rows && to == Layout::Mma) ||
                          (own == Layout::Columns && result.getRank() == 2 && t.getShape()[0] == result.getShape()[1]);
    if (!fits)
      return emitOpError("expects operands of the result's shape, or its rows or columns, but found ")
             << t << " for " << result;
  }
  // map_c3
  for (Operation &op : block.without_terminator())
    if (op.getNumRegions() || op.getNumResults() != 1 || !op.getResult(0).getType().isIntOrIndexOrFloat() ||
        !isMemoryEffectFree(&op) || op.getDialect() == getOperation()->getDialect())
      return op.emitOpError("expects an op in tile.map to have no effects, no regions and one scalar result");
  return success();
}

LogicalResult MaxOp::verify() {
  // max_c1
  if (getFragments().empty())
    return emitOpError("expects at least one fragment");
  auto type = cast<RankedTensorType>(getFragments().front().getType());
  if (type.getRank() != 2 || !type.getElementType().isF32())
    return emitOpError("expects f32 fragments of layout mma or half, but found ") << type;
  for (Value v : getFragments())
    if (v.getType() != type)
      return emitOpError("expects fragments of one type, but found ") << v.getType() << " and " << type;
  // max_c2
  auto result = cast<RankedTensorType>(getType());
  Layout to = layoutOf(result);
  if (!result.getElementType().isF32() || !((to == Layout::Rows && layoutOf(type) == Layout::Mma) ||
                                            (to == Layout::Columns && result.getShape()[0] == type.getShape()[1])))
    return emitOpError("expects f32 for the rows of an mma fragment, or for the columns, but the result is ") << result;
  return success();
}

// codes_c1, pack_c2
static LogicalResult verifyFormat(Operation *op, Type format) {
  if (isa<Float8E4M3FNType, Float8E5M2Type>(format))
    return success();
  return op->emitOpError("expects f8E4M3FN or f8E5M2, but the format is ") << format;
}
LogicalResult CodesOp::verify() { return verifyFormat(*this, getFormat()); }

LogicalResult PackOp::verify() {
  if (failed(verifyFormat(*this, getFormat())))
    return failure();
  // pack_c1 (lo and hi match)
  auto type = cast<RankedTensorType>(getLo().getType());
  if (!type.getElementType().isF32())
    return emitOpError("expects f32 fragments, but found ") << type;
  if (Type expected = type.clone(IntegerType::get(getContext(), 16)); getType() != expected)
    return emitOpError("expects a result of ") << expected << ", but it is " << getType();
  return success();
}

LogicalResult StoreMatrixOp::verify() {
  // store_matrix_c1
  auto type = cast<RankedTensorType>(getFragment().getType());
  if (type.getRank() != 2 || (!type.getElementType().isF32() && !type.getElementType().isSignlessInteger(16)))
    return emitOpError("expects an i16 or f32 fragment of layout mma or half, but found ") << type;
  // store_matrix_c2
  int64_t stride = static_cast<int32_t>(getStride());
  if (stride < 16 || stride % 16)
    return emitOpError("expects a stride of a positive multiple of 16 bytes, but it is ") << stride;
  // store_matrix_c3
  if (getTarget().getType().getSwizzle())
    return emitOpError("expects a target that is not swizzled, but it is ") << getTarget().getType();
  return success();
}

LogicalResult StoreFragmentOp::verify() {
  // store_fragment_c1
  auto type = cast<RankedTensorType>(getFragment().getType());
  if (layoutOf(type) != Layout::Mma || !type.getElementType().isF32())
    return emitOpError("expects an f32 fragment of layout mma, but found ") << type;
  // store_fragment_c2
  auto target = cast<MemRefType>(getTarget().getType());
  if (!isa<Float32Type, BFloat16Type, Float16Type>(target.getElementType()))
    return emitOpError("expects a target of f32, bf16 or f16, but it is ") << target;
  // store_fragment_c3
  int64_t stride = static_cast<int64_t>(getStride());
  if (stride < 2 || stride % 2)
    return emitOpError("expects a stride of a positive multiple of 2 elements, but it is ") << stride;
  return success();
}
