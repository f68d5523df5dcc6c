//===- OnnxFile.cpp - Protocol Buffers' wire format, and ONNX's fields ----===//
#include "OnnxFile.h"

#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir::moe::onnxfile;
using llvm::formatv;
using llvm::SmallVectorImpl;

namespace {

enum Wire : unsigned { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

/// One field of a message. `value` holds numbers, `bytes` the content of strings, messages and packed arrays.
struct Field {
  unsigned number, wire;
  uint64_t value;
  StringRef bytes;
  int64_t integer() const { return static_cast<int64_t>(value); }
};

bool readVarint(StringRef bytes, size_t &at, uint64_t &value) {
  value = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    if (at >= bytes.size())
      return false;
    uint8_t byte = bytes[at++];
    if (shift < 64)
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (!(byte & 0x80))
      return true;
  }
  return false;
}

class Reader {
public:
  Reader(StringRef file, std::string &error) : file(file), error(error) {}

  bool fail(StringRef where, const llvm::Twine &message) {
    if (error.empty())
      error = formatv("byte {0}: {1}", where.data() - file.data(), message.str());
    return false;
  }

  /// Calls `take` for each field of a message; `what` names the message in errors.
  template <typename Take> bool fields(StringRef message, StringRef what, Take take) {
    size_t at = 0;
    while (at < message.size()) {
      StringRef here = message.drop_front(at);
      uint64_t key;
      if (!readVarint(message, at, key) || (key >> 3) == 0 || (key >> 3) > 536870911)
        return fail(here, "expects a field of " + what + ", but found no valid field number");
      Field field{static_cast<unsigned>(key >> 3), static_cast<unsigned>(key & 7), 0, {}};
      bool whole = true;
      switch (field.wire) {
      case kVarint:
        whole = readVarint(message, at, field.value);
        break;
      case kFixed64:
        if ((whole = message.size() - at >= 8))
          field.value = llvm::support::endian::read64le(message.data() + at);
        at += 8;
        break;
      case kFixed32:
        if ((whole = message.size() - at >= 4))
          field.value = llvm::support::endian::read32le(message.data() + at);
        at += 4;
        break;
      case kBytes: {
        uint64_t size;
        whole = readVarint(message, at, size) && size <= message.size() - at;
        if (!whole)
          break;
        field.bytes = message.substr(at, size);
        at += size;
        break;
      }
      default:
        return fail(here, formatv("expects a field of {0}, but found wire type {1}", what, field.wire).str());
      }
      if (!whole)
        return fail(here,
                    formatv("field {0} of {1} reaches past the end of its message ({2} bytes); the file may be cut off",
                            field.number, what, message.size())
                        .str());
      if (!take(field))
        return error.empty() ? fail(here, formatv("field {0} of {1} has wire type {2}, which it cannot have",
                                                  field.number, what, field.wire)
                                              .str())
                             : false;
    }
    return true;
  }

  bool text(const Field &field, StringRef &out) {
    out = field.bytes;
    if (field.wire != kBytes)
      return false;
    if (!isCleanText(out))
      return fail(field.bytes, "expects text in UTF-8 without NUL bytes, but found \"" + printable(out) + "\"");
    return true;
  }

  template <typename T> bool integers(const Field &field, T &out) {
    if (field.wire == kVarint) {
      out.push_back(field.integer());
      return true;
    }
    if (field.wire != kBytes)
      return false;
    size_t at = 0;
    while (at < field.bytes.size()) {
      uint64_t value;
      if (!readVarint(field.bytes, at, value))
        return fail(field.bytes, "expects packed integers, but they are cut off");
      out.push_back(static_cast<int64_t>(value));
    }
    return true;
  }

  bool tensor(StringRef bytes, Tensor &out);
  bool valueInfo(StringRef bytes, ValueInfo &out);
  bool type(StringRef bytes, ValueInfo &out);
  bool attribute(StringRef bytes, Attribute &out);
  bool node(StringRef bytes, Node &out);
  bool opset(StringRef bytes, OpsetImport &out);
  bool graph(StringRef bytes, Graph &out);
  bool function(StringRef bytes, Function &out);
  bool model(StringRef bytes, Model &out);

  /// A message field: its bytes, read by `read` into a new element of `list`.
  template <typename T> bool append(const Field &field, std::vector<T> &list, bool (Reader::*read)(StringRef, T &)) {
    return field.wire == kBytes && (this->*read)(field.bytes, list.emplace_back());
  }
  bool appendText(const Field &field, std::vector<StringRef> &list) { return text(field, list.emplace_back()); }
  bool number(const Field &field, int64_t &out) {
    out = field.integer();
    return field.wire == kVarint;
  }

private:
  static constexpr int kDeepest = 16;
  StringRef file;
  std::string &error;
  int depth = 0; // graphs that the current one lies in
};

bool Reader::tensor(StringRef bytes, Tensor &out) {
  return fields(bytes, "a tensor", [&](const Field &field) {
    switch (field.number) {
    case 1:
      return integers(field, out.dims);
    case 2:
      return number(field, out.dataType);
    case 3:
      return out.isSegment = true;
    case 4:
    case 5:
    case 7:
    case 10:
    case 11: {
      unsigned single = field.number == 4 ? kFixed32 : field.number == 10 ? kFixed64 : kVarint;
      if (field.wire != single && field.wire != kBytes)
        return false;
      out.typed.push_back({field.number, field.wire, field.value, field.bytes});
      return true;
    }
    case 6:
      return out.hasStrings = true;
    case 8:
      return text(field, out.name);
    case 9:
      out.hasRaw = true;
      out.raw = field.bytes;
      return field.wire == kBytes;
    case 13: {
      auto &entry = out.external.emplace_back();
      return field.wire == kBytes && fields(field.bytes, "an external data entry", [&](const Field &inner) {
               return inner.number == 1   ? text(inner, entry.first)
                      : inner.number == 2 ? text(inner, entry.second)
                                          : true;
             });
    }
    case 14:
      out.isExternal = field.value == 1;
      return field.wire == kVarint;
    default:
      return true;
    }
  });
}

bool Reader::type(StringRef bytes, ValueInfo &out) {
  return fields(bytes, "a type", [&](const Field &field) {
    if (field.number == 4 || field.number == 5 || field.number == 7 || field.number == 8 || field.number == 9) {
      out.otherKind = field.number == 4   ? "sequence"
                      : field.number == 5 ? "map"
                      : field.number == 8 ? "sparse tensor"
                      : field.number == 9 ? "optional"
                                          : "opaque value";
      return true;
    }
    if (field.number != 1)
      return true;
    out.isTensor = true;
    return field.wire == kBytes && fields(field.bytes, "a tensor type", [&](const Field &part) {
             if (part.number == 1)
               return number(part, out.elementType);
             if (part.number != 2)
               return true;
             out.hasShape = true;
             return part.wire == kBytes && fields(part.bytes, "a shape", [&](const Field &dim) {
                      if (dim.number != 1)
                        return true;
                      auto &entry = out.dims.emplace_back();
                      return dim.wire == kBytes && fields(dim.bytes, "a dimension", [&](const Field &inner) {
                               if (inner.number == 1) {
                                 entry.hasValue = true;
                                 return number(inner, entry.value);
                               }
                               return inner.number == 2 ? text(inner, entry.param) : true;
                             });
                    });
           });
  });
}

bool Reader::valueInfo(StringRef bytes, ValueInfo &out) {
  return fields(bytes, "a value", [&](const Field &field) {
    if (field.number == 1)
      return text(field, out.name);
    return field.number == 2 ? field.wire == kBytes && type(field.bytes, out) : true;
  });
}

bool Reader::attribute(StringRef bytes, Attribute &out) {
  unsigned seen = 0; // the kind that the fields show, for files without `type`
  bool read = fields(bytes, "an attribute", [&](const Field &field) {
    auto note = [&](unsigned kind) { seen = kind; };
    switch (field.number) {
    case 1:
      return text(field, out.name);
    case 2: {
      note(Attribute::Float);
      uint32_t bits = static_cast<uint32_t>(field.value);
      memcpy(&out.number, &bits, sizeof bits);
      return field.wire == kFixed32;
    }
    case 3:
      note(Attribute::Int);
      return number(field, out.integer);
    case 4:
      note(Attribute::String);
      out.string = field.bytes;
      return field.wire == kBytes;
    case 5:
      note(Attribute::Tensor_);
      out.tensor = std::make_shared<Tensor>();
      return field.wire == kBytes && tensor(field.bytes, *out.tensor);
    case 6: {
      note(Attribute::Graph_);
      if (depth == kDeepest)
        return fail(field.bytes, formatv("expects graphs in at most {0} others", kDeepest).str());
      out.graph = std::make_shared<Graph>();
      ++depth;
      bool good = field.wire == kBytes && graph(field.bytes, *out.graph);
      --depth;
      return good;
    }
    case 7: {
      note(Attribute::Floats);
      StringRef packed = field.bytes;
      if (field.wire == kFixed32) {
        uint32_t bits = static_cast<uint32_t>(field.value);
        memcpy(&out.floats.emplace_back(), &bits, sizeof bits);
        return true;
      }
      if (field.wire != kBytes || packed.size() % 4 != 0)
        return false;
      for (; !packed.empty(); packed = packed.drop_front(4)) {
        uint32_t bits = llvm::support::endian::read32le(packed.data());
        memcpy(&out.floats.emplace_back(), &bits, sizeof bits);
      }
      return true;
    }
    case 8:
      note(Attribute::Ints);
      return integers(field, out.integers);
    case 9:
      note(Attribute::Strings);
      out.strings.push_back(field.bytes);
      return field.wire == kBytes;
    case 20:
      return number(field, out.kind);
    case 21:
      return text(field, out.reference);
    default:
      return true;
    }
  });
  if (out.kind == Attribute::Undefined)
    out.kind = seen;
  return read;
}

bool Reader::node(StringRef bytes, Node &out) {
  return fields(bytes, "a node", [&](const Field &field) {
    switch (field.number) {
    case 1:
      return appendText(field, out.inputs);
    case 2:
      return appendText(field, out.outputs);
    case 3:
      return text(field, out.name);
    case 4:
      return text(field, out.opType);
    case 5:
      return append(field, out.attributes, &Reader::attribute);
    case 7:
      return text(field, out.domain);
    case 8:
      return text(field, out.overload);
    default:
      return true;
    }
  });
}

bool Reader::opset(StringRef bytes, OpsetImport &out) {
  return fields(bytes, "an opset import", [&](const Field &field) {
    return field.number == 1 ? text(field, out.domain) : field.number == 2 ? number(field, out.version) : true;
  });
}

bool Reader::graph(StringRef bytes, Graph &out) {
  return fields(bytes, "a graph", [&](const Field &field) {
    switch (field.number) {
    case 1:
      return append(field, out.nodes, &Reader::node);
    case 2:
      return text(field, out.name);
    case 5:
      return append(field, out.initializers, &Reader::tensor);
    case 11:
      return append(field, out.inputs, &Reader::valueInfo);
    case 12:
      return append(field, out.outputs, &Reader::valueInfo);
    case 15:
      return out.hasSparse = true;
    default:
      return true;
    }
  });
}

bool Reader::function(StringRef bytes, Function &out) {
  return fields(bytes, "a function", [&](const Field &field) {
    switch (field.number) {
    case 1:
      return text(field, out.name);
    case 4:
      return appendText(field, out.inputs);
    case 5:
      return appendText(field, out.outputs);
    case 6:
      return appendText(field, out.attributes);
    case 7:
      return append(field, out.nodes, &Reader::node);
    case 9:
      return append(field, out.opsets, &Reader::opset);
    case 10:
      return text(field, out.domain);
    case 11:
      return append(field, out.defaults, &Reader::attribute);
    case 13:
      return text(field, out.overload);
    default:
      return true;
    }
  });
}

bool Reader::model(StringRef bytes, Model &out) {
  return fields(bytes, "a model", [&](const Field &field) {
    switch (field.number) {
    case 1:
      return number(field, out.irVersion);
    case 7:
      if (out.hasGraph)
        return fail(field.bytes, "expects one graph, but found a second one");
      out.hasGraph = true;
      return field.wire == kBytes && graph(field.bytes, out.graph);
    case 8:
      return append(field, out.opsets, &Reader::opset);
    case 25:
      return append(field, out.functions, &Reader::function);
    default:
      return true;
    }
  });
}

} // namespace

bool mlir::moe::onnxfile::readModel(StringRef bytes, Model &model, std::string &error) {
  return Reader(bytes, error).model(bytes, model);
}

bool mlir::moe::onnxfile::decodeVarints(const Tensor &tensor, unsigned field, SmallVectorImpl<uint64_t> &values) {
  for (const Tensor::Typed &part : tensor.typed) {
    if (part.field != field)
      continue;
    if (part.wire != kBytes) {
      values.push_back(part.value);
      continue;
    }
    size_t at = 0;
    while (at < part.packed.size())
      if (!readVarint(part.packed, at, values.emplace_back()))
        return false;
  }
  return true;
}

bool mlir::moe::onnxfile::decodeFixed(const Tensor &tensor, unsigned field, unsigned width, std::string &bytes) {
  for (const Tensor::Typed &part : tensor.typed) {
    if (part.field != field)
      continue;
    if (part.wire == kBytes) {
      if (part.packed.size() % width != 0)
        return false;
      bytes += part.packed;
      continue;
    }
    char encoded[8];
    llvm::support::endian::write64le(encoded, part.value);
    bytes.append(encoded, width);
  }
  return true;
}

bool mlir::moe::onnxfile::isCleanText(StringRef text) {
  if (text.contains('\0'))
    return false;
  auto *begin = reinterpret_cast<const llvm::UTF8 *>(text.data());
  return llvm::isLegalUTF8String(&begin, begin + text.size());
}

std::string mlir::moe::onnxfile::printable(StringRef text) {
  std::string out;
  bool clean = isCleanText(text);
  constexpr size_t kMost = 120;
  for (unsigned char c : text.take_front(kMost)) {
    if (c < 0x20 || c == 0x7f || (c >= 0x80 && (!clean || text.size() > kMost)) || c == '\\')
      out += formatv("\\{0:X-2}", c);
    else
      out += c;
  }
  return text.size() > kMost ? out + "..." : out;
}
