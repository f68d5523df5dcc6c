//===- WeightFiles.cpp - weights streamed into safetensors ----------------===//
//
// Each weight is evaluated in windows and written once; chunk checksums are taken on the way. Every tensor starts at a
// multiple of 64 bytes of the file; the bytes between tensors belong to tensors named `_pad.N`, since the format allows no
// gaps. Random weights are in no file.
//
//===----------------------------------------------------------------------===//
#include "Parts.h"
#include "dialects/moe/Moe.h"
#include "moe/Weights/Random.h"
#include "moe/Weights/WeightReader.h"

#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
using namespace mlir::moe;

std::string moe::hashText(StringRef bytes) { return llvm::formatv("{0:x-16}", llvm::xxh3_64bits(bytes)).str(); }

static StringRef formatOf(Type element) {
  if (element.isInteger(1))
    return "BOOL";
  if (auto f = dyn_cast<FloatType>(element)) {
    if (f.isF64())
      return "F64";
    if (f.isF32())
      return "F32";
    if (f.isF16())
      return "F16";
    if (f.isBF16())
      return "BF16";
    if (isa<Float8E4M3FNType>(f))
      return "F8_E4M3";
    if (isa<Float8E5M2Type>(f))
      return "F8_E5M2";
    return "U8";
  }
  bool isUnsigned = element.isUnsignedInteger();
  switch (element.getIntOrFloatBitWidth()) {
  case 16:
    return isUnsigned ? "U16" : "I16";
  case 32:
    return isUnsigned ? "U32" : "I32";
  case 64:
    return isUnsigned ? "U64" : "I64";
  default:
    return isUnsigned || element.getIntOrFloatBitWidth() < 8 ? "U8" : "I8";
  }
}

namespace {
/// One value to write.
struct Item {
  std::string name;
  Attribute recipe; ///< a #moe.piece or #moe.recipe, or the elements of a constant
  RankedTensorType type;
  int64_t size;
  Location loc;
};

/// A file whose chunks are hashed as they are written.
class ChunkWriter {
public:
  ChunkWriter(StringRef path, std::error_code &code) : stream(path, code) { chunk.reserve(kChunkSize); }
  void header(StringRef bytes) { stream << bytes; }
  void data(ArrayRef<char> bytes) {
    while (!bytes.empty()) {
      size_t take = std::min<size_t>(bytes.size(), kChunkSize - chunk.size());
      chunk.append(bytes.begin(), bytes.begin() + take);
      bytes = bytes.drop_front(take);
      if (static_cast<int64_t>(chunk.size()) == kChunkSize)
        flush();
    }
  }
  bool finish(std::vector<std::string> &hashes) {
    flush();
    stream.close();
    bool good = !stream.has_error();
    stream.clear_error();
    hashes = std::move(chunkHashes);
    return good;
  }

private:
  void flush() {
    if (chunk.empty())
      return;
    chunkHashes.push_back(hashText(StringRef(chunk.data(), chunk.size())));
    stream.write(chunk.data(), chunk.size());
    chunk.clear();
  }
  llvm::raw_fd_ostream stream;
  SmallVector<char, 0> chunk;
  std::vector<std::string> chunkHashes;
};
} // namespace

/// The bytes of a constant as kernels read them: elements side by side, a bool in a byte.
static SmallVector<char> constantBytes(DenseElementsAttr elements) {
  SmallVector<char> bytes;
  RankedTensorType type = cast<RankedTensorType>(elements.getType());
  if (type.getElementType().isInteger(1)) {
    for (bool v : elements.getValues<bool>())
      bytes.push_back(v);
    return bytes;
  }
  ArrayRef<char> raw = elements.getRawData();
  int64_t count = elements.isSplat() ? type.getNumElements() : 1;
  for (int64_t i = 0; i < count; ++i)
    bytes.append(raw.begin(), raw.end());
  return bytes;
}

static LogicalResult writeFile(ArrayRef<Item> items, ArrayRef<int64_t> offsets, WeightReader &reader, StringRef folder,
                               WeightFile &file) {
  // The header: tensors and the padding between them, contiguous.
  std::string json;
  {
    llvm::raw_string_ostream text(json);
    llvm::json::OStream writer(text);
    writer.object([&] {
      writer.attributeObject("__metadata__", [&] { writer.attribute("format", "moe-artefact"); });
      int64_t at = 0, pads = 0;
      auto tensor = [&](StringRef name, StringRef format, ArrayRef<int64_t> shape, int64_t from, int64_t to) {
        writer.attributeObject(name, [&] {
          writer.attribute("dtype", format);
          writer.attributeArray("shape", [&] {
            for (int64_t d : shape)
              writer.value(d);
          });
          writer.attributeArray("data_offsets", [&] {
            writer.value(from);
            writer.value(to);
          });
        });
      };
      for (auto [item, offset] : llvm::zip(items, offsets)) {
        if (offset > at)
          tensor("_pad." + std::to_string(pads++), "U8", {offset - at}, at, offset);
        tensor(item.name, formatOf(item.type.getElementType()), item.type.getShape(), offset, offset + item.size);
        at = offset + item.size;
      }
    });
  }
  json.append((64 - (8 + json.size()) % 64) % 64, ' ');
  char length[8];
  llvm::support::endian::write64le(length, json.size());
  std::string header = std::string(length, 8) + json;
  file.headerSize = header.size();
  file.headerHash = hashText(header);

  llvm::SmallString<128> path(folder);
  llvm::sys::path::append(path, file.name);
  std::error_code code;
  ChunkWriter writer(path, code);
  Location where = items.front().loc;
  if (code)
    return emitError(where) << "cannot write '" << path << "': " << code.message();
  writer.header(header);
  int64_t at = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    const Item &item = items[i];
    int64_t offset = offsets[i];
    static const char zeros[64] = {};
    writer.data(ArrayRef<char>(zeros, offset - at));
    int64_t written = 0;
    auto sink = [&](ArrayRef<char> bytes) {
      written += bytes.size();
      writer.data(bytes);
      return success();
    };
    if (auto elements = dyn_cast<DenseElementsAttr>(item.recipe)) {
      if (failed(sink(constantBytes(elements))))
        return failure();
    } else if (failed(reader.stream(item.recipe, sink, [&] { return emitError(item.loc); }))) {
      return failure();
    }
    if (written != item.size)
      return emitError(item.loc) << "expects weight '" << item.name << "' to have " << item.size
                                 << " bytes, but it has " << written;
    at = offset + item.size;
  }
  file.size = file.headerSize + at;
  if (!writer.finish(file.chunkHashes))
    return emitError(where) << "cannot write '" << path << "'";
  return success();
}

LogicalResult moe::writeWeights(ModuleOp module, DictionaryAttr manifest, StringRef folder, WeightTable &table) {
  auto weightsDir = module->getAttrOfType<StringAttr>("moe.weights_dir");
  WeightReader reader(weightsDir ? weightsDir.strref() : StringRef("."));
  auto constants = module->getAttrOfType<DictionaryAttr>("moe.constants");
  SymbolTable symbols(module);
  bool allRandom = module->hasAttr("moe.random_weights");
  SmallVector<Item> items;
  SmallVector<size_t> numbers; // of the items among all weights
  for (StringRef name : manifest.getAs<ArrayAttr>("weights").getAsValueRange<StringAttr>()) {
    if (auto weight = symbols.lookup<WeightOp>(name)) {
      auto type = cast<RankedTensorType>(weight.getType());
      std::optional<RandomAttr> random =
          allRandom || isa<RandomAttr>(weight.getRecipe()) ? drawInstead(weight.getRecipe(), name) : std::nullopt;
      if (random) {
        table.weights.push_back({name.str(), 0, 0, WeightReader::byteSize(type), *random});
        continue;
      }
      items.push_back({name.str(), weight.getRecipe(), type, WeightReader::byteSize(type), weight.getLoc()});
    } else if (auto elements = constants ? constants.getAs<DenseElementsAttr>(name) : nullptr) {
      auto type = cast<RankedTensorType>(elements.getType());
      items.push_back(
          {name.str(), elements, type, static_cast<int64_t>(constantBytes(elements).size()), module.getLoc()});
    } else {
      return module.emitError() << "expects '" << name << "' to be a weight or a constant";
    }
    numbers.push_back(table.weights.size());
    table.weights.push_back({name.str(), 0, 0, items.back().size, {}});
  }
  // Files of a few gigabytes each.
  constexpr int64_t kFileSize = int64_t(4) << 30;
  for (size_t first = 0; first < items.size();) {
    SmallVector<int64_t> offsets;
    int64_t at = 0;
    size_t last = first;
    for (; last < items.size() && (last == first || at + items[last].size <= kFileSize); ++last) {
      at = (at + 63) / 64 * 64;
      offsets.push_back(at);
      at += items[last].size;
    }
    ArrayRef<Item> part = ArrayRef<Item>(items).slice(first, last - first);
    WeightFile file;
    file.name = "weights-" + std::to_string(table.files.size()) + ".safetensors";
    if (failed(writeFile(part, offsets, reader, folder, file)))
      return failure();
    for (auto [i, offset] : llvm::enumerate(offsets)) {
      WeightPlace &place = table.weights[numbers[first + i]];
      place.file = table.files.size();
      place.offset = file.headerSize + offset;
    }
    table.files.push_back(std::move(file));
    first = last;
  }
  return success();
}
