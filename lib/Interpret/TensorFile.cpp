//===- TensorFile.cpp - one TensorProto in a file -------------------------===//
#include "moe/Interpret/Case.h"
#include "moe/Support/Dtype.h"

#include "mlir/IR/Builders.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include <cstring>

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Protocol Buffers wire format: a cursor over the fields of one message.
class Reader {
public:
  explicit Reader(StringRef bytes) : at(bytes.begin()), end(bytes.end()) {}
  bool done() const { return at == end; }
  /// False when the bytes are no valid message.
  bool varint(uint64_t &value) {
    value = 0;
    for (int shift = 0; shift < 64 && at != end; shift += 7) {
      uint8_t byte = *at++;
      value |= uint64_t(byte & 0x7F) << shift;
      if (!(byte & 0x80))
        return true;
    }
    return false;
  }
  bool fixed(int size, uint64_t &value) {
    if (end - at < size)
      return false;
    value = 0;
    std::memcpy(&value, at, size);
    at += size;
    return true;
  }
  bool bytes(StringRef &value) {
    uint64_t size;
    if (!varint(size) || size > static_cast<uint64_t>(end - at))
      return false;
    value = StringRef(at, size);
    at += size;
    return true;
  }
  /// One value of wire type 0, 1 or 5; a string for type 2.
  bool field(unsigned wire, uint64_t &value, StringRef &text) {
    switch (wire) {
    case 0:
      return varint(value);
    case 1:
      return fixed(8, value);
    case 2:
      return bytes(text);
    case 5:
      return fixed(4, value);
    default:
      return false;
    }
  }

private:
  const char *at, *end;
};

struct Proto {
  std::string name;
  SmallVector<int64_t> dims;
  uint64_t type = 0;
  std::optional<StringRef> raw;
  std::vector<uint64_t> numbers; // typed data, one entry a number, as bits
  bool external = false;
};

} // namespace

static bool parse(StringRef bytes, Proto &proto) {
  Reader reader(bytes);
  while (!reader.done()) {
    uint64_t key, value = 0;
    StringRef text;
    if (!reader.varint(key) || !reader.field(key & 7, value, text))
      return false;
    unsigned wire = key & 7;
    auto repeated = [&](auto add, int fixedSize) {
      if (wire != 2) {
        add(value);
        return true;
      }
      Reader packed(text);
      while (!packed.done()) {
        uint64_t number;
        if (fixedSize ? !packed.fixed(fixedSize, number) : !packed.varint(number))
          return false;
        add(number);
      }
      return true;
    };
    auto number = [&](uint64_t v) { proto.numbers.push_back(v); };
    bool valid = true;
    switch (key >> 3) {
    case 1:
      valid = repeated([&](uint64_t v) { proto.dims.push_back(static_cast<int64_t>(v)); }, 0);
      break;
    case 2:
      proto.type = value;
      break;
    case 4: // float_data
      valid = repeated(number, 4);
      break;
    case 5:  // int32_data
    case 7:  // int64_data
    case 11: // uint64_data
      valid = repeated(number, 0);
      break;
    case 8:
      proto.name = text.str();
      break;
    case 9:
      proto.raw = text;
      break;
    case 10: // double_data
      valid = repeated(number, 8);
      break;
    case 14:
      proto.external = value == 1;
      break;
    default:
      break;
    }
    if (!valid)
      return false;
  }
  return true;
}

FailureOr<NamedTensor> moe::readTensorFile(MLIRContext *context, StringRef path,
                                           llvm::function_ref<InFlightDiagnostic()> emitError) {
  auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!file)
    return emitError() << "cannot read '" << path << "': " << file.getError().message();
  Proto proto;
  if (!parse((*file)->getBuffer(), proto))
    return emitError() << "expects '" << path << "' to hold a TensorProto, but its bytes are not valid";
  if (proto.external)
    return emitError() << "expects '" << path << "' to hold its own data, but it names an external file";
  Type type = elementTypeFromOnnx(context, proto.type);
  if (!type)
    return emitError() << "expects '" << path << "' to have a known number type, found data type " << proto.type;
  int64_t count = 1;
  for (int64_t dim : proto.dims)
    if (dim < 0 || __builtin_mul_overflow(count, dim, &count) || count > (int64_t(1) << 34))
      return emitError() << "expects '" << path << "' to have a possible shape, found [" << ArrayRef(proto.dims) << "]";
  Element element = *getElement(type);
  int64_t bytes = packedBytes(element, count);
  std::vector<char> typed;
  if (!proto.raw) { // each number holds as many bytes as an element, or one byte of packed elements
    unsigned width = elementBytes(element);
    int64_t numbers = bytes / width;
    if (static_cast<int64_t>(proto.numbers.size()) != numbers)
      return emitError() << "expects '" << path << "' to have " << numbers << " numbers, found "
                         << proto.numbers.size();
    typed.resize(bytes);
    for (int64_t i = 0; i < numbers; ++i)
      std::memcpy(typed.data() + i * width, &proto.numbers[i], width);
    proto.raw = StringRef(typed.data(), typed.size());
  }
  if (static_cast<int64_t>(proto.raw->size()) != bytes)
    return emitError() << "expects '" << path << "' to have " << bytes << " bytes of data, found " << proto.raw->size();
  NamedTensor result{std::move(proto.name), HostTensor(type, proto.dims)};
  unpackElements(element, proto.raw->data(), 0, result.tensor.mutableData(), count);
  if (element == Element::I1) {
    char *values = result.tensor.mutableData();
    for (int64_t i = 0; i < count; ++i)
      values[i] = values[i] != 0;
  }
  return result;
}
