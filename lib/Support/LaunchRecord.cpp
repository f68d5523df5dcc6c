//===- LaunchRecord.cpp - how a device kernel is launched -----------------===//
#include "moe/Support/LaunchRecord.h"
#include "runtime/include/moe/module_abi.h"
#include "runtime/include/moe/runtime.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace mlir::moe;

static_assert(LaunchRecord::Threads == static_cast<int>(MOE_GRID_THREADS) &&
              LaunchRecord::Blocks == static_cast<int>(MOE_GRID_BLOCKS) &&
              LaunchRecord::PerSm == static_cast<int>(MOE_GRID_PER_SM) &&
              LaunchRecord::Fixed == static_cast<int>(MOE_GRID_FIXED) &&
              LaunchRecord::Word == static_cast<int>(MOE_PARAM_WORD) &&
              LaunchRecord::Items == static_cast<int>(MOE_PARAM_ITEMS) &&
              LaunchRecord::Map == static_cast<int>(MOE_PARAM_TENSOR_MAP));

static constexpr llvm::StringLiteral kGrids[] = {"threads", "blocks", "per_sm", "fixed"};

StringRef moe::gridName(LaunchRecord::Grid grid) { return kGrids[grid]; }

FailureOr<LaunchRecord> LaunchRecord::get(FunctionOpInterface kernel) {
  LaunchRecord record;
  record.hot = kernel->hasAttr(kHotAttr);
  if (auto threads = kernel->getAttrOfType<IntegerAttr>("tile.threads")) {
    auto grid = kernel->getAttrOfType<StringAttr>("tile.grid");
    record.grid = grid && grid.getValue() == "multiprocessor" ? PerSm : Blocks;
    record.threads = threads.getInt();
    record.pdl = kernel->hasAttr("tile.dependent");
  }
  if (auto shared = kernel->getAttrOfType<IntegerAttr>("tile.shared_bytes"))
    record.shared = shared.getInt();
  auto config = kernel->getAttrOfType<DictionaryAttr>(kLaunchConfigAttr);
  auto fail = [&](const Twine &expected) {
    return kernel->emitError() << "expects '" << kLaunchConfigAttr << "' to have " << expected << ", found "
                               << Attribute(config);
  };
  if (kernel->hasAttr(kLaunchConfigAttr) && !config)
    return kernel->emitError() << "expects '" << kLaunchConfigAttr << "' to be a dictionary, found "
                               << kernel->getAttr(kLaunchConfigAttr);
  for (NamedAttribute entry : config ? config.getValue() : ArrayRef<NamedAttribute>()) {
    StringRef key = entry.getName();
    auto number = [&](int64_t low, int64_t high, int64_t &out) {
      auto value = dyn_cast<IntegerAttr>(entry.getValue());
      if (!value || value.getInt() < low || value.getInt() > high)
        return false;
      out = value.getInt();
      return true;
    };
    auto triple = [&](std::array<int64_t, 3> &out) {
      auto values = dyn_cast<DenseI64ArrayAttr>(entry.getValue());
      if (!values || values.size() < 1 || values.size() > 3)
        return false;
      for (auto [i, value] : llvm::enumerate(values.asArrayRef())) {
        if (value < 1 || value > INT32_MAX)
          return false;
        out[i] = value;
      }
      return true;
    };
    if (key == "grid") {
      auto name = dyn_cast<StringAttr>(entry.getValue());
      auto known = name ? llvm::find(kGrids, name.getValue()) : std::end(kGrids);
      if (known == std::end(kGrids))
        return fail("a grid of \"threads\", \"blocks\", \"per_sm\" or \"fixed\"");
      record.grid = static_cast<Grid>(known - std::begin(kGrids));
    } else if (key == "size") {
      if (!triple(record.size))
        return fail("a size of one to three numbers above 0");
    } else if (key == "cluster") {
      if (!triple(record.cluster) || record.cluster[0] * record.cluster[1] * record.cluster[2] > 16)
        return fail("clusters of at most 16 blocks");
    } else if (key == "threads") {
      if (!number(1, 1024, record.threads))
        return fail("1 to 1024 threads");
    } else if (key == "shared") {
      if (!number(0, 232448, record.shared))
        return fail("at most 232448 bytes of shared memory");
    } else if (key == "pdl" && isa<UnitAttr>(entry.getValue())) {
      record.pdl = true;
    } else {
      return fail("no '" + key + "'");
    }
  }
  if (record.grid != Fixed && record.cluster[1] * record.cluster[2] != 1)
    return fail("clusters in x, since the grid has one dim");
  for (int i = 0; i < 3; ++i)
    if (record.grid == Fixed && record.size[i] % record.cluster[i])
      return fail("whole clusters in a fixed grid");
  return record;
}

/// moe_dtype_t of what a tensor map of these elements holds.
static int64_t dtypeOf(Type element) {
  unsigned width = element.isIntOrFloat() ? element.getIntOrFloatBitWidth() : 0;
  if (isa<FloatType>(element) && width >= 16)
    return element.isF32()    ? MOE_DTYPE_FLOAT32
           : element.isF64()  ? MOE_DTYPE_FLOAT64
           : element.isF16()  ? MOE_DTYPE_FLOAT16
           : element.isBF16() ? MOE_DTYPE_BFLOAT16
                              : MOE_DTYPE_NONE;
  switch (width) {
  case 8:
    return MOE_DTYPE_UINT8;
  case 16:
    return MOE_DTYPE_UINT16;
  case 32:
    return element.isUnsignedInteger() ? MOE_DTYPE_UINT32 : MOE_DTYPE_INT32;
  case 64:
    return element.isUnsignedInteger() ? MOE_DTYPE_UINT64 : MOE_DTYPE_INT64;
  default:
    return MOE_DTYPE_NONE;
  }
}

FailureOr<LaunchRecord::TensorMap> LaunchRecord::getTensorMap(FunctionOpInterface kernel, unsigned i, int64_t word) {
  auto params = dyn_cast<DictionaryAttr>(kernel.getArgAttr(i, kTensorMapAttr));
  auto type = dyn_cast<MemRefType>(kernel.getArgumentTypes()[i]);
  auto fail = [&](const Twine &expected) {
    return kernel->emitError() << "expects '" << kTensorMapAttr << "' of argument " << i << " to have " << expected
                               << ", found " << kernel.getArgAttr(i, kTensorMapAttr) << " on "
                               << kernel.getArgumentTypes()[i];
  };
  if (!params || !type || type.getRank() < 1 || type.getRank() > MOE_TENSOR_MAP_RANK)
    return fail("a dictionary, on a memref of rank 1 to 5");
  TensorMap map;
  map.dtype = dtypeOf(type.getElementType());
  if (!map.dtype)
    return fail("elements of 8, 16, 32 or 64 bits");
  int64_t bytes = type.getElementTypeBitWidth() / 8;
  auto box = params.getAs<DenseI64ArrayAttr>("box");
  if (!box || box.size() != type.getRank() ||
      llvm::any_of(box.asArrayRef(), [](int64_t b) { return b < 1 || b > 256; }))
    return fail("a box of 1 to 256 elements in each dim");
  map.box.assign(box.asArrayRef().begin(), box.asArrayRef().end());
  auto bytesParam = [&](StringRef key, int64_t first, int64_t &out) {
    auto value = params.getAs<IntegerAttr>(key);
    out = value ? value.getInt() : 0;
    return (!params.get(key) || value) && (out == 0 || out == first || out == 2 * first || out == 4 * first);
  };
  if (!bytesParam("swizzle", 32, map.swizzle))
    return fail("a swizzle of 0, 32, 64 or 128 bytes");
  if (!bytesParam("l2_promotion", 64, map.promotion))
    return fail("an l2_promotion of 0, 64, 128 or 256 bytes");
  int64_t inner = map.box.back() * bytes;
  if (inner % 16 || (map.swizzle && inner > map.swizzle))
    return fail("a box of a multiple of 16 bytes in the last dim, at most the swizzle");
  auto [strides, offset] = type.getStridesAndOffset();
  map.address = word++;
  for (int64_t size : type.getShape())
    map.dims.push_back(ShapedType::isDynamic(size) ? -1 - word++ : size);
  if (type.getLayout().isIdentity() && type.getRank() > 2 &&
      llvm::any_of(type.getShape().drop_front().drop_back(), ShapedType::isDynamic))
    return fail("strides that the type tells or that are passed: only the first and the last dim may be dynamic");
  map.strides.resize(type.getRank());
  for (int64_t d = type.getRank() - 1; d >= 0; --d) {
    if (!ShapedType::isDynamic(strides[d]))
      map.strides[d] = strides[d];
    else if (type.getLayout().isIdentity()) // the sizes of the dims inside are known but for the last one
      map.strides[d] = d == type.getRank() - 2 ? map.dims[d + 1] : 0;
  }
  // Dynamic strides of a layout are passed behind the sizes.
  for (int64_t d = 0; d < type.getRank() && !type.getLayout().isIdentity(); ++d)
    if (ShapedType::isDynamic(strides[d]))
      map.strides[d] = -1 - word++;
  if (llvm::is_contained(map.strides, 0))
    return fail("strides that are a number or a word of the arguments");
  if (map.strides.back() != 1)
    return fail("stride 1 in the last dim");
  for (int64_t d = 0; d + 1 < type.getRank(); ++d)
    if (map.strides[d] > 0 && map.strides[d] * bytes % 16)
      return fail("strides of multiples of 16 bytes");
  return map;
}

DictionaryAttr LaunchRecord::toAttr(MLIRContext *context) const {
  Builder b(context);
  NamedAttrList out;
  out.append("grid", b.getI64IntegerAttr(grid));
  out.append("size", b.getDenseI64ArrayAttr(size));
  out.append("cluster", b.getDenseI64ArrayAttr(cluster));
  out.append("threads", b.getI64IntegerAttr(threads));
  out.append("shared", b.getI64IntegerAttr(shared));
  if (pdl)
    out.append("pdl", b.getUnitAttr());
  if (hot)
    out.append("hot", b.getUnitAttr());
  SmallVector<int64_t> flat;
  for (const Param &param : params)
    flat.append({param.kind, param.index});
  out.append("params", b.getDenseI64ArrayAttr(flat));
  SmallVector<Attribute> list;
  for (const TensorMap &map : maps)
    list.push_back(b.getDictionaryAttr(
        {b.getNamedAttr("numbers", b.getDenseI64ArrayAttr({map.dtype, map.address, map.swizzle, map.promotion})),
         b.getNamedAttr("box", b.getDenseI64ArrayAttr(map.box)),
         b.getNamedAttr("dims", b.getDenseI64ArrayAttr(map.dims)),
         b.getNamedAttr("strides", b.getDenseI64ArrayAttr(map.strides))}));
  out.append("maps", b.getArrayAttr(list));
  return out.getDictionary(context);
}

LaunchRecord LaunchRecord::fromAttr(DictionaryAttr attr) {
  LaunchRecord record;
  auto numbers = [](DictionaryAttr from, StringRef key) { return from.getAs<DenseI64ArrayAttr>(key).asArrayRef(); };
  record.grid = static_cast<Grid>(attr.getAs<IntegerAttr>("grid").getInt());
  llvm::copy(numbers(attr, "size"), record.size.begin());
  llvm::copy(numbers(attr, "cluster"), record.cluster.begin());
  record.threads = attr.getAs<IntegerAttr>("threads").getInt();
  record.shared = attr.getAs<IntegerAttr>("shared").getInt();
  record.pdl = !!attr.get("pdl"), record.hot = !!attr.get("hot");
  ArrayRef<int64_t> flat = numbers(attr, "params");
  for (size_t i = 0; i + 1 < flat.size(); i += 2)
    record.params.push_back({flat[i], flat[i + 1]});
  for (auto entry : attr.getAs<ArrayAttr>("maps").getAsRange<DictionaryAttr>()) {
    ArrayRef<int64_t> fields = numbers(entry, "numbers");
    TensorMap map{fields[0], fields[1], fields[2], fields[3], {}, {}, {}};
    llvm::append_range(map.box, numbers(entry, "box"));
    llvm::append_range(map.dims, numbers(entry, "dims"));
    llvm::append_range(map.strides, numbers(entry, "strides"));
    record.maps.push_back(std::move(map));
  }
  return record;
}
