// Manifest.cpp - reads and validates manifest.json. The first thing that is wrong ends the reading with one message:
// file, field, what was expected, what was found.
#include "artefact/Manifest.h"

#include "base/Dtype.h"
#include "base/File.h"
#include "base/Json.h"

#include <set>

namespace moe {
namespace {

constexpr int64_t kMaxBytes = int64_t(1) << 52, kMaxExtent = int64_t(1) << 40;
constexpr size_t kMaxRank = 16;

/// One JSON value, and where it stands in the manifest.
struct Field {
  const Json *json;
  std::string where;
};

class Reader {
public:
  Reader(const std::string &path, Manifest &out) : path(path), out(out) {}

  Status read(const Json &root) {
    readTop({&root, ""});
    return error;
  }

private:
  bool good() const { return error.ok(); }

  void wrong(const Field &field, const std::string &expected) {
    if (good())
      error = Status(MOE_BAD_ARTEFACT, path + ": " + (field.where.empty() ? "" : field.where + ": ") + "expected " +
                                           expected + ", found " + (field.json ? field.json->describe() : "nothing"));
  }

  static Field sub(const Field &parent, const char *key) {
    return {parent.json ? parent.json->find(key) : nullptr, parent.where.empty() ? key : parent.where + "." + key};
  }

  std::string text(const Field &field, bool required = true) {
    if (!required && !field.json)
      return "";
    if (!field.json || !field.json->isString() || field.json->string().find('\0') != std::string::npos) {
      wrong(field, "a string");
      return "";
    }
    return field.json->string();
  }

  int64_t number(const Field &field, int64_t low, int64_t high) {
    if (!field.json || !field.json->isInteger() || field.json->integer() < low || field.json->integer() > high) {
      wrong(field, format("an integer from %lld to %lld", (long long)low, (long long)high));
      return low;
    }
    return field.json->integer();
  }

  uint64_t checksum(const Field &field, const char *what = "a checksum") {
    std::string digits = text(field);
    uint64_t value = 0;
    bool valid = digits.size() == 16;
    for (char c : digits) {
      int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
      valid &= digit >= 0;
      value = value * 16 + uint64_t(digit & 15);
    }
    if (!valid)
      wrong(field, std::string(what) + " of 16 lower-case hexadecimal digits");
    return value;
  }

  /// A name of a file in the artefact's own folder.
  std::string fileName(const Field &field) {
    std::string name = text(field);
    if (name.empty() || name.size() > 255 || name[0] == '.' || name.find('/') != std::string::npos)
      wrong(field, "the name of a file in the artefact's folder");
    return name;
  }

  template <typename Function> void each(const Field &list, bool required, Function function) {
    if (!required && !list.json)
      return;
    if (!list.json || !list.json->isArray())
      return wrong(list, "an array");
    const auto &items = list.json->array();
    for (size_t i = 0; i < items.size() && good(); ++i)
      function(Field{&items[i], list.where + format("[%zu]", i)});
  }

  Field object(Field field) {
    if (!field.json || !field.json->isObject())
      wrong(field, "an object");
    return field;
  }

  void readTop(const Field &top) {
    object(top);
    if (Field field = sub(top, "format"); text(field) != "moe-artefact")
      wrong(field, "\"moe-artefact\"");
    if (Field field = sub(top, "version"); good() && number(field, 1, 1000000) != 1) {
      wrong(field, "version 1 of the format");
      error = Status(MOE_UNSUPPORTED, error.message());
    }
    out.compiler = text(sub(top, "compiler"));
    out.target = text(sub(top, "target"));
    if (out.target != "cpu" && out.target != "cuda")
      wrong(sub(top, "target"), "\"cpu\" or \"cuda\"");
    out.chip = text(sub(top, "chip"), false);
    Field code = object(sub(top, "code"));
    out.codeFile = fileName(sub(code, "file"));
    out.codeSize = uint64_t(number(sub(code, "size"), 1, kMaxBytes));
    out.codeChecksum = checksum(sub(code, "xxh3"));
    each(sub(top, "weight_files"), true, [&](const Field &field) { readWeightFile(object(field)); });
    each(sub(top, "weights"), true, [&](const Field &field) { readWeight(object(field)); });
    each(sub(top, "kernels"), true,
         [&](const Field &field) { out.kernels.push_back(text(sub(object(field), "name"))); });
    each(sub(top, "entries"), true, [&](const Field &field) { readEntry(object(field)); });
    if (out.entries.empty())
      wrong(sub(top, "entries"), "at least one entry");
    std::set<std::string> states;
    each(sub(top, "state"), false, [&](const Field &field) { readValue(field, out.states, states, false); });
    each(sub(top, "variants"), true,
         [&](const Field &field) { out.variants.push_back(text(sub(object(field), "isa"))); });
    each(sub(top, "errors"), false, [&](const Field &field) {
      int64_t code = number(sub(object(field), "code"), 1, INT32_MAX);
      out.errors[code] = text(sub(field, "message"));
    });
    if (Field recipe = sub(top, "recipe"); recipe.json) {
      object(recipe);
      out.fp8 = text(sub(recipe, "fp8"));
      out.precision = text(sub(recipe, "precision"));
      out.activations = text(sub(recipe, "activations"));
    }
  }

  void readWeightFile(const Field &field) {
    WeightFile file;
    file.file = fileName(sub(field, "file"));
    file.size = uint64_t(number(sub(field, "size"), 8, kMaxBytes));
    file.headerSize = uint64_t(number(sub(field, "header_size"), 8, int64_t(file.size)));
    file.headerChecksum = checksum(sub(field, "header_xxh3"));
    file.chunkSize = uint64_t(number(sub(field, "chunk_size"), 1, kMaxBytes));
    Field chunks = sub(field, "chunk_xxh3");
    each(chunks, true, [&](const Field &chunk) { file.chunkChecksums.push_back(checksum(chunk)); });
    uint64_t wanted = (file.size - file.headerSize + file.chunkSize - 1) / file.chunkSize;
    if (file.chunkChecksums.size() != wanted)
      wrong(chunks, format("%llu checksums", (unsigned long long)wanted));
    out.weightFiles.push_back(std::move(file));
  }

  void readWeight(const Field &field) {
    Weight weight;
    weight.name = text(sub(field, "name"));
    if (Field random = sub(field, "random"); random.json)
      return readRandom(field, object(random), std::move(weight));
    if (out.weightFiles.empty())
      return wrong(field, "no weights, since there are no weight_files");
    weight.file = uint32_t(number(sub(field, "file"), 0, int64_t(out.weightFiles.size()) - 1));
    const WeightFile &file = out.weightFiles[weight.file];
    Field offset = sub(field, "offset");
    weight.offset = uint64_t(number(offset, int64_t(file.headerSize), int64_t(file.size)));
    if (weight.offset % 64)
      wrong(offset, "a multiple of 64");
    weight.size = uint64_t(number(sub(field, "size"), 0, int64_t(file.size - weight.offset)));
    out.weights.push_back(std::move(weight));
  }

  double real(const Field &field) {
    if (!field.json || (field.json->kind() != Json::Number && !field.json->isInteger())) {
      wrong(field, "a number");
      return 0;
    }
    return field.json->number();
  }

  void readRandom(const Field &field, const Field &random, Weight weight) {
    weight.isRandom = true;
    weight.size = uint64_t(number(sub(field, "size"), 0, kMaxBytes));
    Field dtype = sub(random, "dtype"), distribution = sub(random, "distribution");
    weight.dtype = dtypeByName(text(dtype));
    uint32_t bytes = moe_random_element_size(weight.dtype);
    if (!bytes)
      wrong(dtype, "float32, float16, bfloat16, float8e4m3fn or float8e5m2");
    else if (weight.size % bytes)
      wrong(sub(field, "size"), format("a multiple of %u bytes", bytes));
    std::string kind = text(distribution);
    if (kind != "normal" && kind != "uniform")
      wrong(distribution, "\"normal\" or \"uniform\"");
    weight.random.distribution = kind == "normal" ? MOE_RANDOM_NORMAL : MOE_RANDOM_UNIFORM;
    weight.random.first = float(real(sub(random, kind == "normal" ? "mean" : "low")));
    weight.random.second = float(real(sub(random, kind == "normal" ? "deviation" : "high")));
    weight.random.seed = checksum(sub(random, "seed"), "a seed");
    // Places begin at what devices align allocations to and end at whole words of 16 bytes.
    constexpr uint64_t kAlign = 256;
    weight.offset = out.randomBytes;
    out.randomBytes += (weight.size + kAlign - 1) / kAlign * kAlign;
    if (out.randomBytes > uint64_t(kMaxBytes))
      wrong(field, "weights of at most 2^52 bytes together");
    out.weights.push_back(std::move(weight));
  }

  /// |names| holds those of |list| so far.
  void readValue(const Field &field, std::vector<Value> &list, std::set<std::string> &names, bool isOutput) {
    object(field);
    Value value;
    value.name = text(sub(field, "name"));
    Field dtype = sub(field, "dtype");
    value.dtype = dtypeByName(text(dtype));
    if (value.dtype == MOE_DTYPE_NONE)
      wrong(dtype, "the name of an element type");
    Field shape = sub(field, "shape");
    std::vector<int64_t> extents;
    each(shape, true, [&](const Field &dim) {
      if (dim.json->isString() && !dim.json->string().empty())
        value.dimNames.push_back(text(dim)), extents.push_back(-1);
      else if (isOutput && dim.json->isNull())
        value.dimNames.push_back(""), extents.push_back(-1);
      else if (dim.json->isInteger() && dim.json->integer() >= 0 && dim.json->integer() <= kMaxExtent)
        value.dimNames.push_back(""), extents.push_back(dim.json->integer());
      else
        wrong(dim, isOutput ? "an extent, a name or null" : "an extent or a name");
    });
    if (extents.size() > kMaxRank)
      wrong(shape, format("at most %zu dims", kMaxRank));
    value.role = text(sub(field, "role"), false);
    if (!value.role.empty() && value.role != "token_ids" && value.role != "attention_mask" &&
        value.role != "position_ids" && value.role != "logits")
      wrong(sub(field, "role"), "\"token_ids\", \"attention_mask\", \"position_ids\" or \"logits\"");
    if (Field most = sub(field, "max_value"); most.json)
      value.maxValue = number(most, 0, INT64_MAX);
    if (!names.insert(value.name).second)
      wrong(sub(field, "name"), "a name that no other " + std::string(isOutput ? "output" : "input") + " has");
    list.push_back(std::move(value));
    list.back().dims.reserve(extents.size());
    for (size_t i = 0; i < extents.size(); ++i)
      list.back().dims.push_back({nullptr, extents[i]});
  }

  void readEntry(const Field &field) {
    Entry entry;
    Field name = sub(field, "name");
    entry.name = text(name);
    if (!entryNames.insert(entry.name).second)
      wrong(name, "a name that no other entry has");
    std::set<std::string> inputs, outputs;
    each(sub(field, "inputs"), true, [&](const Field &input) { readValue(input, entry.inputs, inputs, false); });
    each(sub(field, "outputs"), true, [&](const Field &output) { readValue(output, entry.outputs, outputs, true); });
    each(sub(field, "weights"), true, [&](const Field &weight) {
      if (out.weights.empty())
        return wrong(weight, "no index, since there are no weights");
      entry.weights.push_back(uint32_t(number(weight, 0, int64_t(out.weights.size()) - 1)));
    });
    each(sub(field, "steps"), true, [&](const Field &step) {
      object(step);
      if (out.kernels.empty())
        return wrong(step, "no step, since there are no kernels");
      entry.steps.push_back({uint32_t(number(sub(step, "kernel"), 0, int64_t(out.kernels.size()) - 1)),
                             text(sub(step, "op")), text(sub(step, "source"), false)});
    });
    each(sub(field, "temporaries"), true, [&](const Field &temporary) {
      object(temporary);
      Temporary buffer;
      buffer.size = text(sub(temporary, "size"));
      buffer.first = number(sub(temporary, "first"), 0, INT32_MAX);
      buffer.last = number(sub(temporary, "last"), buffer.first, INT32_MAX);
      entry.temporaries.push_back(std::move(buffer));
    });
    entry.flops = text(sub(field, "flops"), false);
    entry.bytes = text(sub(field, "bytes"), false);
    entry.notCapturable = text(sub(field, "not_capturable"), false);
    for (const Value &input : entry.inputs)
      entry.numInputExtents += uint32_t(input.dims.size());
    for (const Value &output : entry.outputs)
      entry.numOutputExtents += uint32_t(output.dims.size());
    out.entries.push_back(std::move(entry));
  }

  const std::string &path;
  Manifest &out;
  std::set<std::string> entryNames;
  Status error;
};

/// The last member is the checksum of all bytes before it, so nothing else in the file can be changed unseen.
Status checkOwnChecksum(const std::string &path, std::string_view text) {
  static constexpr std::string_view kKey = "\"manifest_xxh3\"";
  size_t at = text.rfind(kKey);
  if (at == std::string_view::npos)
    return Status(MOE_BAD_ARTEFACT, path + ": manifest_xxh3: expected a checksum as the last member, found nothing");
  std::string wanted = hex64(xxh3(text.data(), at));
  std::string_view rest = text.substr(at + kKey.size());
  auto skip = [&] {
    while (!rest.empty() && (rest[0] == ' ' || rest[0] == '\n' || rest[0] == '\r' || rest[0] == '\t'))
      rest.remove_prefix(1);
  };
  auto take = [&](std::string_view word) {
    skip();
    if (rest.substr(0, word.size()) != word)
      return false;
    rest.remove_prefix(word.size());
    return true;
  };
  if (!take(":") || !take("\"") || rest.size() < 17)
    return Status(MOE_BAD_ARTEFACT, path + ": manifest_xxh3: expected a checksum as the last member, found other text");
  std::string found(rest.substr(0, 16));
  rest.remove_prefix(16);
  bool closed = take("\"") && take("}");
  skip();
  if (!closed || !rest.empty())
    return Status(MOE_BAD_ARTEFACT,
                  path + ": manifest_xxh3: expected it to be the last member, found other text behind it");
  if (found != wanted)
    return Status(MOE_BAD_ARTEFACT, path + ": manifest_xxh3: expected checksum " + wanted + ", found " + found +
                                        "; the manifest was changed");
  return Status();
}
} // namespace

Status Manifest::parse(const std::string &path, std::string_view text, Manifest &out) {
  Json root;
  if (Status status = Json::parse(text, root); !status.ok())
    return Status(MOE_BAD_ARTEFACT, path + ": " + status.message());
  Manifest manifest;
  MOE_RETURN_IF_ERROR(Reader(path, manifest).read(root));
  MOE_RETURN_IF_ERROR(checkOwnChecksum(path, text));
  out = std::move(manifest);
  auto nameDims = [](std::vector<Value> &values) { // strings stay where they are from here on
    for (Value &value : values)
      for (size_t i = 0; i < value.dims.size(); ++i)
        value.dims[i].name = value.dimNames[i].empty() ? nullptr : value.dimNames[i].c_str();
  };
  for (Entry &entry : out.entries)
    nameDims(entry.inputs), nameDims(entry.outputs);
  nameDims(out.states);
  return Status();
}
} // namespace moe
