//===- ImportTensor.cpp - tensors of a file as constants or weights -------===//
//
// Values up to 1 KiB are read into the IR, since shapes depend on them. All others stay where they are: raw_data is a piece of
// the .onnx file, external data a piece of its file. External files are opened beneath the model's folder, without following
// links, so a model from a stranger cannot name other files of this machine.
//
//===----------------------------------------------------------------------===//
#include "Importer.h"
#include "moe/Support/Dtype.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace mlir;
using namespace mlir::moe;
using llvm::formatv;
using onnxfile::printable;

std::string Importer::dataTypeName(int64_t dataType) {
  static const char *const names[] = {
      "undefined", "float32",    "uint8",      "int8",         "uint16",         "int16",      "int32",
      "int64",     "string",     "bool",       "float16",      "float64",        "uint32",     "uint64",
      "complex64", "complex128", "bfloat16",   "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz",
      "uint4",     "int4",       "float4e2m1", "float8e8m0",   "uint2",          "int2"};
  if (dataType >= 0 && dataType < static_cast<int64_t>(std::size(names)))
    return names[dataType];
  return "data type " + std::to_string(dataType);
}

/// Bytes that elements take in a file, if there are not too many; bool is a byte each, narrower types share bytes.
static std::optional<int64_t> byteSize(RankedTensorType type) {
  int64_t count = 1, bits;
  for (int64_t size : type.getShape())
    if (llvm::MulOverflow(count, size, count) || count > ShapeFacts::kMaxElements)
      return std::nullopt;
  int64_t width = type.getElementType().isInteger(1) ? 8 : type.getElementTypeBitWidth();
  if (llvm::MulOverflow(count, width, bits))
    return std::nullopt;
  return (bits + 7) / 8;
}

FailureOr<RankedTensorType> Importer::tensorType(const onnxfile::Tensor &tensor, const Twine &what) {
  Type element = elementTypeFromOnnx(context, tensor.dataType);
  if (!element)
    return fail(what + ": expects a data type of numbers or bool, but found " + dataTypeName(tensor.dataType));
  for (int64_t dim : tensor.dims)
    if (dim < 0)
      return fail(what + formatv(": expects extents that are not negative, but found {0}", dim).str());
  auto type = RankedTensorType::get(tensor.dims, element);
  if (!byteSize(type))
    return fail(what + ": expects at most 2^40 elements, but found more");
  if (tensor.dims.size() > ShapeFacts::kMaxRank)
    return fail(what +
                formatv(": expects at most {0} dims, but found {1}", ShapeFacts::kMaxRank, tensor.dims.size()).str());
  if (tensor.isSegment)
    return fail(what + ": expects a whole tensor, but found a segment of one");
  return type;
}

//===----------------------------------------------------------------------===//
// External data
//===----------------------------------------------------------------------===//

namespace {
struct Descriptor {
  int fd = -1;
  explicit Descriptor(int fd) : fd(fd) {}
  Descriptor(Descriptor &&other) : fd(std::exchange(other.fd, -1)) {}
  Descriptor &operator=(Descriptor &&other) {
    std::swap(fd, other.fd);
    return *this;
  }
  ~Descriptor() {
    if (fd >= 0)
      close(fd);
  }
};
} // namespace

/// Opens a file beneath a folder, component by component, following no link. `problem` says why not.
static Descriptor openBeneath(StringRef folder, StringRef location, std::string &problem) {
  SmallVector<StringRef> parts;
  location.split(parts, '/');
  Descriptor at(open(folder.str().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (auto [i, part] : llvm::enumerate(parts)) {
    if (at.fd < 0)
      break;
    bool last = i + 1 == parts.size();
    int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (last ? 0 : O_DIRECTORY);
    at = Descriptor(openat(at.fd, part.str().c_str(), flags));
    if (at.fd < 0)
      problem = errno == ELOOP || (errno == ENOTDIR && !last) ? ("'" + part + "' is a link or no folder").str()
                                                              : std::string(strerror(errno));
  }
  struct stat status;
  if (at.fd >= 0 && (fstat(at.fd, &status) != 0 || !S_ISREG(status.st_mode))) {
    problem = "it is no regular file";
    return Descriptor(-1);
  }
  return at;
}

/// Size of a file that need not be there.
static constexpr int64_t kMissing = -1;

FailureOr<int64_t> Importer::externalSize(StringRef location, const Twine &what) {
  if (auto it = externalSizes.find(location); it != externalSizes.end())
    return it->second;
  std::string shown = printable(location);
  SmallVector<StringRef> parts;
  location.split(parts, '/');
  if (location.empty() || location.starts_with("/") || location.contains('\\') ||
      llvm::is_contained(parts, StringRef("..")) || llvm::is_contained(parts, StringRef()))
    return fail(what + ": expects the location of external data to be a file beneath the model's folder, but found '" +
                shown + "'");
  std::string problem;
  Descriptor file = openBeneath(folder, location, problem);
  struct stat status;
  llvm::SmallString<128> path(folder);
  llvm::sys::path::append(path, location);
  if (file.fd < 0 && options.dataMayBeMissing && !llvm::sys::fs::exists(path))
    return externalSizes[location] = kMissing;
  if (file.fd < 0 || fstat(file.fd, &status) != 0)
    return fail(what + ": cannot open external data '" + shown + "': " + problem);
  return externalSizes[location] = status.st_size;
}

FailureOr<Importer::Data> Importer::locateExternal(const onnxfile::Tensor &tensor, int64_t size, const Twine &what) {
  StringRef location;
  uint64_t offset = 0, length = 0;
  bool hasLength = false, hasLocation = false;
  for (auto [key, value] : tensor.external) {
    if (key == "location") {
      location = value, hasLocation = true;
    } else if (key == "offset" || key == "length") {
      uint64_t &number = key == "offset" ? offset : length;
      if (value.getAsInteger(10, number) || number > INT64_MAX)
        return fail(what + ": expects a number of bytes as " + key + " of external data, but found '" +
                    printable(value) + "'");
      hasLength |= key == "length";
    }
  }
  if (!hasLocation)
    return fail(what + ": expects external data to have a location, but found none");
  FailureOr<int64_t> fileSize = externalSize(location, what);
  if (failed(fileSize))
    return failure();
  if (hasLength && static_cast<int64_t>(length) != size)
    return fail(
        what + formatv(": expects {0} bytes of external data for its type, but its length is {1}", size, length).str());
  bool missing = *fileSize == kMissing;
  if (!missing && (static_cast<int64_t>(offset) > *fileSize || size > *fileSize - static_cast<int64_t>(offset)))
    return fail(what + formatv(": expects bytes {0} to {1} of external data '{2}', but the file has {3} bytes", offset,
                               offset + size, printable(location), *fileSize)
                           .str());
  Data data;
  data.file = location.str();
  data.offset = offset;
  data.size = size;
  if (size > kMaxInlineBytes || missing)
    return data;
  std::string problem;
  Descriptor file = openBeneath(folder, location, problem);
  data.bytes.emplace(size, '\0');
  for (int64_t done = 0; done < size;) {
    ssize_t got = file.fd < 0 ? -1 : pread(file.fd, data.bytes->data() + done, size - done, offset + done);
    if (got <= 0)
      return fail(what + ": cannot read external data '" + printable(location) + "'");
    done += got;
  }
  return data;
}

//===----------------------------------------------------------------------===//
// Data in the model's own file
//===----------------------------------------------------------------------===//

FailureOr<Importer::Data> Importer::locate(const onnxfile::Tensor &tensor, RankedTensorType type, const Twine &what) {
  int64_t size = *byteSize(type);
  if (tensor.isExternal)
    return locateExternal(tensor, size, what);
  Data data;
  data.size = size;
  data.file = fileName;
  if (tensor.hasRaw || tensor.typed.empty()) {
    if (static_cast<int64_t>(tensor.raw.size()) != size)
      return fail(what +
                  formatv(": expects {0} bytes for its type, but its raw data has {1}", size, tensor.raw.size()).str());
    data.offset = size ? tensor.raw.data() - buffer->getBufferStart() : 0;
    if (size <= kMaxInlineBytes)
      data.bytes = tensor.raw.str();
    return data;
  }
  // Typed data: which field holds which types is part of the format.
  Type element = type.getElementType();
  unsigned width = element.isInteger(1) ? 8 : element.getIntOrFloatBitWidth();
  unsigned field = element.isF32()                                                  ? 4
                   : element.isF64()                                                ? 10
                   : element.isInteger(64) && !element.isUnsignedInteger()          ? 7
                   : element.isUnsignedInteger(64) || element.isUnsignedInteger(32) ? 11
                                                                                    : 5;
  for (const auto &part : tensor.typed)
    if (part.field != field)
      return fail(
          what +
          formatv(": expects its data in field {0} of the tensor, but found field {1}", field, part.field).str());
  if (field == 4 || field == 10) {
    // One packed run of floats lies in the file as raw data would.
    if (tensor.typed.size() == 1 && tensor.typed[0].wire == 2 && size > kMaxInlineBytes &&
        static_cast<int64_t>(tensor.typed[0].packed.size()) == size) {
      data.offset = tensor.typed[0].packed.data() - buffer->getBufferStart();
      return data;
    }
    data.bytes.emplace();
    if (!onnxfile::decodeFixed(tensor, field, width / 8, *data.bytes))
      return fail(what + ": its typed data is cut off");
  } else {
    SmallVector<uint64_t> values;
    if (!onnxfile::decodeVarints(tensor, field, values))
      return fail(what + ": its typed data is cut off");
    // Sub-byte types are packed already, one byte a value.
    data.bytes.emplace();
    unsigned bytes = std::max(1u, width / 8);
    data.bytes->reserve(values.size() * bytes);
    for (uint64_t value : values)
      for (unsigned i = 0; i < bytes; ++i)
        data.bytes->push_back(static_cast<char>(value >> (8 * i)));
  }
  if (static_cast<int64_t>(data.bytes->size()) != size)
    return fail(
        what + formatv(": expects {0} bytes for its type, but its typed data has {1}", size, data.bytes->size()).str());
  return data;
}

static DenseElementsAttr makeDense(RankedTensorType type, StringRef bytes) {
  Type element = type.getElementType();
  int64_t count = type.getNumElements();
  if (element.isInteger(1)) {
    SmallVector<bool> values;
    for (char byte : bytes)
      values.push_back(byte != 0);
    return DenseElementsAttr::get(type, ArrayRef<bool>(values));
  }
  unsigned width = element.getIntOrFloatBitWidth();
  if (width < 8) {
    SmallVector<APInt> values;
    unsigned perByte = 8 / width;
    for (int64_t i = 0; i < count; ++i)
      values.emplace_back(width,
                          (static_cast<uint8_t>(bytes[i / perByte]) >> (width * (i % perByte))) & ((1u << width) - 1));
    if (auto floating = dyn_cast<FloatType>(element)) {
      SmallVector<APFloat> floats;
      for (const APInt &value : values)
        floats.emplace_back(floating.getFloatSemantics(), value);
      return DenseElementsAttr::get(type, floats);
    }
    return DenseElementsAttr::get(type, values);
  }
  // Equal elements are stored once.
  size_t step = width / 8;
  bool splat = count > 1 && bytes.drop_front(step) == bytes.drop_back(step);
  StringRef stored = splat ? bytes.take_front(step) : bytes;
  return DenseElementsAttr::getFromRawBuffer(type, ArrayRef<char>(stored.data(), stored.size()));
}

FailureOr<DenseElementsAttr> Importer::tensorAttr(const onnxfile::Tensor &tensor, const Twine &what) {
  FailureOr<RankedTensorType> type = tensorType(tensor, what);
  if (failed(type))
    return failure();
  FailureOr<Data> data = locate(tensor, *type, what);
  if (failed(data))
    return failure();
  if (!data->bytes)
    return fail(what + formatv(": expects at most {0} bytes, but found {1}", kMaxInlineBytes, data->size).str());
  return makeDense(*type, *data->bytes);
}

FailureOr<Value> Importer::tensorValue(const onnxfile::Tensor &tensor, StringRef name, const Twine &what,
                                       Location loc) {
  FailureOr<RankedTensorType> type = tensorType(tensor, what);
  if (failed(type))
    return failure();
  FailureOr<Data> data = locate(tensor, *type, what);
  if (failed(data))
    return failure();
  if (data->bytes)
    return constant(loc, makeDense(*type, *data->bytes));
  // A weight, named as its author did; a name that is taken gets a number.
  std::string symbol = name.str();
  for (int i = 0; !symbols.insert(symbol).second; ++i)
    symbol = (name + "_" + Twine(i)).str();
  auto piece = PieceAttr::get(context, data->file, data->offset, data->size, *type);
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(func);
    WeightOp::create(builder, loc, builder.getStringAttr(symbol), StringAttr(), TypeAttr::get(*type), piece,
                     builder.getStringAttr(name));
  }
  return Value(GetWeightOp::create(builder, loc, *type, FlatSymbolRefAttr::get(context, symbol)));
}
