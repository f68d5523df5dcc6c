//===- Manifest.cpp - manifest.json ---------------------------------------===//
#include "Parts.h"

#include "moe/Support/Dtype.h"
#include "moe/Weights/Random.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::moe;

/// Dictionaries, arrays, strings and integers as JSON; unit is null. `first` keys come first, in their order.
static void writeJson(llvm::json::OStream &out, Attribute attr) {
  if (auto dictionary = dyn_cast<DictionaryAttr>(attr)) {
    out.object([&] {
      static const StringRef order[] = {"name", "kernel", "op", "source", "dtype", "shape", "size", "first", "last"};
      auto write = [&](StringRef key, Attribute value) {
        out.attributeBegin(key);
        writeJson(out, value);
        out.attributeEnd();
      };
      for (StringRef key : order)
        if (Attribute value = dictionary.get(key))
          write(key, value);
      for (NamedAttribute entry : dictionary)
        if (!llvm::is_contained(order, entry.getName().strref()))
          write(entry.getName(), entry.getValue());
    });
  } else if (auto array = dyn_cast<ArrayAttr>(attr)) {
    out.array([&] {
      for (Attribute value : array)
        writeJson(out, value);
    });
  } else if (auto text = dyn_cast<StringAttr>(attr)) {
    out.value(llvm::json::fixUTF8(text.strref()));
  } else if (auto number = dyn_cast<IntegerAttr>(attr)) {
    out.value(number.getInt());
  } else {
    out.value(nullptr);
  }
}

/// How a device kernel is launched and, where ptxas told, what it takes.
static void writeKernel(llvm::json::OStream &out, StringRef name, const DeviceCode &device) {
  LaunchRecord record = device.records.lookup(name);
  auto numbers = [&](StringRef key, ArrayRef<int64_t> list) {
    out.attributeArray(key, [&] {
      for (int64_t n : list)
        out.value(n);
    });
  };
  out.attributeObject("launch", [&] {
    out.attribute("grid", gridName(record.grid));
    if (record.grid == LaunchRecord::PerSm)
      numbers("size", ArrayRef<int64_t>(record.size).take_front(1));
    if (record.grid == LaunchRecord::Fixed)
      numbers("size", record.size);
    out.attribute("threads", record.threads);
    out.attribute("shared_bytes", record.shared);
    if (record.cluster[0] * record.cluster[1] * record.cluster[2] > 1)
      numbers("cluster", record.cluster);
    out.attribute("pdl", record.pdl);
    out.attribute("tensor_maps", static_cast<int64_t>(record.maps.size()));
  });
  out.attribute("hot", record.hot);
  if (!device.assembled)
    return;
  Resources resources = device.resources.lookup(name);
  out.attribute("registers", resources.registers);
  out.attribute("static_shared_bytes", resources.shared);
  out.attribute("stack_bytes", resources.stack);
  out.attribute("spill_store_bytes", resources.spillStores);
  out.attribute("spill_load_bytes", resources.spillLoads);
}

/// What the runtime draws the values of a weight from.
static void writeRandom(llvm::json::OStream &out, RandomAttr attr) {
  bool normal = attr.getDistribution() == Distribution::Normal;
  moe_random_t random = getRandom(attr);
  out.attributeObject("random", [&] {
    out.attribute("dtype", dtypeName(attr.getType().getElementType()));
    out.attribute("distribution", stringifyDistribution(attr.getDistribution()));
    out.attribute(normal ? "mean" : "low", static_cast<double>(random.first));
    out.attribute(normal ? "deviation" : "high", static_cast<double>(random.second));
    out.attribute("seed", llvm::formatv("{0:x-16}", random.seed).str());
  });
}

std::string moe::manifestText(DictionaryAttr manifest, const EmitOptions &options, const WeightTable &weights,
                              int64_t codeSize, StringRef codeHash, ArrayRef<std::string> variants,
                              const DeviceCode *device) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  llvm::json::OStream out(stream, 1);
  out.object([&] {
    out.attribute("format", "moe-artefact");
    out.attribute("version", 1);
    out.attribute("compiler", kCompilerVersion);
    out.attribute("target", options.target);
    out.attribute("chip", options.chip);
    out.attributeObject("code", [&] {
      out.attribute("file", "code.so");
      out.attribute("size", codeSize);
      out.attribute("xxh3", codeHash);
    });
    out.attributeArray("weight_files", [&] {
      for (const WeightFile &file : weights.files)
        out.object([&] {
          out.attribute("file", file.name);
          out.attribute("size", file.size);
          out.attribute("header_size", file.headerSize);
          out.attribute("header_xxh3", file.headerHash);
          out.attribute("chunk_size", kChunkSize);
          out.attributeArray("chunk_xxh3", [&] {
            for (const std::string &hash : file.chunkHashes)
              out.value(hash);
          });
        });
    });
    out.attributeArray("weights", [&] {
      for (const WeightPlace &place : weights.weights)
        out.object([&] {
          out.attribute("name", llvm::json::fixUTF8(place.name));
          if (place.random) {
            out.attribute("size", place.size);
            writeRandom(out, place.random);
            return;
          }
          out.attribute("file", place.file);
          out.attribute("offset", place.offset);
          out.attribute("size", place.size);
        });
    });
    out.attributeBegin("entries");
    writeJson(out, manifest.get("entries"));
    out.attributeEnd();
    out.attributeArray("state", [] {});
    out.attributeArray("variants", [&] {
      for (const std::string &isa : variants)
        out.object([&] { out.attribute("isa", isa); });
    });
    out.attributeArray("kernels", [&] {
      for (StringRef name : manifest.getAs<ArrayAttr>("kernels").getAsValueRange<StringAttr>())
        out.object([&] {
          out.attribute("name", name);
          if (device)
            writeKernel(out, name, *device);
        });
    });
    out.attributeArray("errors", [&] {
      int64_t code = 1;
      for (StringRef message : manifest.getAs<ArrayAttr>("errors").getAsValueRange<StringAttr>())
        out.object([&] {
          out.attribute("code", code++);
          out.attribute("message", llvm::json::fixUTF8(message));
        });
    });
    out.attributeObject("recognised", [&] {
      auto count = [](std::optional<int64_t> n) { return n ? llvm::json::Value(*n) : llvm::json::Value(nullptr); };
      out.attribute("router", count(options.recognised.router));
      out.attribute("experts", count(options.recognised.experts));
      out.attribute("attention", count(options.recognised.attention));
      out.attribute("rms_norm", count(options.recognised.rmsNorm));
      out.attribute("mtp_head", count(options.recognised.mtpHead));
    });
    out.attributeObject("recipe", [&] {
      out.attribute("fp8", options.fp8);
      out.attribute("precision", options.precision);
      out.attribute("activations", options.activations);
    });
  });
  // The checksum covers every byte before the quotation mark of its own key.
  text.erase(text.find_last_not_of(" \n}", text.size()) + 1);
  text += "},\n ";
  std::string hash = hashText(text);
  text += "\"manifest_xxh3\": \"" + hash + "\"\n}\n";
  return text;
}
