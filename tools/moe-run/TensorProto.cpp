// TensorProto.cpp - ONNX's TensorProto on the wire (Protocol Buffers), read and written by hand: the message is small
// and frozen.
#include "Tensor.h"
#include "base/Dtype.h"

#include <cstring>

namespace moe {
namespace {

// TensorProto.DataType, in the order of ONNX.
constexpr moe_dtype_t kDtypes[] = {MOE_DTYPE_NONE,     MOE_DTYPE_FLOAT32,      MOE_DTYPE_UINT8,   MOE_DTYPE_INT8,
                                   MOE_DTYPE_UINT16,   MOE_DTYPE_INT16,        MOE_DTYPE_INT32,   MOE_DTYPE_INT64,
                                   MOE_DTYPE_NONE,     MOE_DTYPE_BOOL,         MOE_DTYPE_FLOAT16, MOE_DTYPE_FLOAT64,
                                   MOE_DTYPE_UINT32,   MOE_DTYPE_UINT64,       MOE_DTYPE_NONE,    MOE_DTYPE_NONE,
                                   MOE_DTYPE_BFLOAT16, MOE_DTYPE_FLOAT8E4M3FN, MOE_DTYPE_NONE,    MOE_DTYPE_FLOAT8E5M2};
enum Field {
  kDims = 1,
  kDataType = 2,
  kFloatData = 4,
  kInt32Data = 5,
  kStringData = 6,
  kInt64Data = 7,
  kName = 8,
  kRawData = 9,
  kDoubleData = 10,
  kUint64Data = 11,
  kExternalData = 13,
  kDataLocation = 14
};

class WireReader {
public:
  explicit WireReader(std::string_view bytes) : bytes(bytes) {}
  bool done() const { return bytes.empty(); }
  bool varint(uint64_t &value) {
    value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (bytes.empty())
        return false;
      unsigned char byte = (unsigned char)bytes[0];
      bytes.remove_prefix(1);
      value |= uint64_t(byte & 127) << shift;
      if (byte < 128)
        return true;
    }
    return false;
  }
  bool fixed(size_t size, std::string_view &out) {
    if (bytes.size() < size)
      return false;
    out = bytes.substr(0, size);
    bytes.remove_prefix(size);
    return true;
  }
  /// The payload of any wire type; a varint is in |number|.
  bool field(uint32_t &tag, uint32_t &type, uint64_t &number, std::string_view &payload) {
    uint64_t key;
    if (!varint(key))
      return false;
    tag = uint32_t(key >> 3), type = uint32_t(key & 7), number = 0, payload = {};
    switch (type) {
    case 0:
      return varint(number);
    case 1:
      return fixed(8, payload);
    case 2:
      return varint(number) && number <= bytes.size() && fixed(size_t(number), payload);
    case 5:
      return fixed(4, payload);
    default:
      return false;
    }
  }

private:
  std::string_view bytes;
};

/// A repeated number field, packed or not: appends its elements as they lie in memory (varints as int64).
bool appendNumbers(uint32_t type, uint64_t number, std::string_view payload, std::vector<int64_t> &out) {
  if (type == 0) {
    out.push_back(int64_t(number));
    return true;
  }
  if (type != 2)
    return false;
  WireReader reader(payload);
  while (!reader.done()) {
    if (!reader.varint(number))
      return false;
    out.push_back(int64_t(number));
  }
  return true;
}
} // namespace

Status readTensorProto(const std::string &path, std::string_view bytes, Tensor &out) {
  auto bad = [&](const std::string &what) { return Status(MOE_INVALID_ARGUMENT, path + ": " + what); };
  Status malformed = bad("expected a TensorProto, found bytes that are not one");
  out = Tensor();
  std::vector<int64_t> dims, integers;
  std::string raw, floats;
  bool hasRaw = false;
  int64_t dataType = 0;
  WireReader reader(bytes);
  while (!reader.done()) {
    uint32_t tag, type;
    uint64_t number;
    std::string_view payload;
    if (!reader.field(tag, type, number, payload))
      return malformed;
    bool good = true;
    switch (tag) {
    case kDims:
      good = appendNumbers(type, number, payload, dims);
      break;
    case kDataType:
      good = type == 0, dataType = int64_t(number);
      break;
    case kFloatData:
      good = type == 2 || type == 5, floats.append(payload);
      break;
    case kDoubleData:
      good = type == 2 || type == 1, floats.append(payload);
      break;
    case kInt32Data:
    case kInt64Data:
    case kUint64Data:
      good = appendNumbers(type, number, payload, integers);
      break;
    case kStringData:
      return bad("expected numbers, found strings");
    case kName:
      good = type == 2, out.name = std::string(payload);
      break;
    case kRawData:
      good = type == 2, raw = std::string(payload), hasRaw = true;
      break;
    case kExternalData:
      return bad("expected data inside the file, found external data");
    case kDataLocation:
      if (number == 1)
        return bad("expected data inside the file, found external data");
      break;
    default:
      break;
    }
    if (!good)
      return malformed;
  }
  if (dataType < 0 || size_t(dataType) >= std::size(kDtypes) || kDtypes[dataType] == MOE_DTYPE_NONE)
    return bad(format("expected an element type of numbers, found data_type %lld", (long long)dataType));
  out.dtype = kDtypes[dataType];
  size_t elements = 1;
  for (int64_t dim : dims)
    if (dim < 0 || __builtin_mul_overflow(elements, size_t(dim), &elements) || elements > size_t(1) << 40)
      return bad("shape is negative or too large: " + describe(out.dtype, dims));
  size_t size = moe_dtype_size(out.dtype), found = elements;
  bool inFloats = out.dtype == MOE_DTYPE_FLOAT32 || out.dtype == MOE_DTYPE_FLOAT64;
  if (hasRaw)
    found = raw.size() % size ? size_t(-1) : raw.size() / size;
  else
    found = inFloats ? floats.size() / size : integers.size();
  if (found != elements)
    return bad(format("expected %zu elements for %s, found %s", elements, describe(out.dtype, dims).c_str(),
                      hasRaw ? format("%zu bytes", raw.size()).c_str() : std::to_string(found).c_str()));
  out.shape = dims;
  out.allocate();
  if (hasRaw)
    memcpy(out.data(), raw.data(), raw.size());
  else if (inFloats)
    memcpy(out.data(), floats.data(), elements * size);
  else
    for (size_t i = 0; i < elements; ++i) // halves and narrow floats stand as their bits in int32_data
      memcpy(static_cast<char *>(out.data()) + i * size, &integers[i], size);
  return Status();
}

std::string writeTensorProto(const Tensor &tensor) {
  std::string out;
  auto varint = [&](uint64_t value) {
    for (; value >= 128; value >>= 7)
      out += char(value | 128);
    out += char(value);
  };
  auto key = [&](uint32_t tag, uint32_t type) { varint(tag << 3 | type); };
  for (int64_t dim : tensor.shape)
    key(kDims, 0), varint(uint64_t(dim));
  for (size_t i = 1; i < std::size(kDtypes); ++i)
    if (kDtypes[i] == tensor.dtype)
      key(kDataType, 0), varint(i);
  if (!tensor.name.empty())
    key(kName, 2), varint(tensor.name.size()), out += tensor.name;
  key(kRawData, 2), varint(tensor.bytes());
  out.append(static_cast<const char *>(tensor.data()), tensor.bytes());
  return out;
}
} // namespace moe
