//===- WireMutator.cpp - mutates Protocol Buffers messages field by field --===//
//
// Bytes changed at random mostly break a length and end in the reader. This mutator changes fields and writes the lengths
// around them anew: it deletes, doubles, swaps and replaces fields, and changes numbers and texts.
//
//===----------------------------------------------------------------------===//
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t mostSize);

namespace {

struct Field {
  uint32_t number = 0, wire = 0;
  uint64_t value = 0; // varints
  std::string bytes;  // others, if not a message
  bool isMessage = false;
  std::vector<Field> children;
};

bool readVarint(std::string_view &bytes, uint64_t &value) {
  value = 0;
  for (int shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    uint8_t byte = uint8_t(bytes[0]);
    bytes.remove_prefix(1);
    value |= uint64_t(byte & 127) << shift;
    if (byte < 128)
      return true;
  }
  return false;
}

/// True if all bytes are fields of numbers that ONNX has; text rarely looks so.
bool parse(std::string_view bytes, std::vector<Field> &out, int depth) {
  while (!bytes.empty()) {
    uint64_t key;
    Field field;
    if (!readVarint(bytes, key) || key >> 3 == 0 || key >> 3 > 30)
      return false;
    field.number = uint32_t(key >> 3), field.wire = uint32_t(key & 7);
    size_t size = 0;
    if (field.wire == 0) {
      if (!readVarint(bytes, field.value))
        return false;
    } else if (field.wire == 1 || field.wire == 5) {
      size = field.wire == 1 ? 8 : 4;
    } else if (field.wire == 2) {
      uint64_t length;
      if (!readVarint(bytes, length) || length > bytes.size())
        return false;
      size = size_t(length);
    } else {
      return false;
    }
    if (size > bytes.size())
      return false;
    field.bytes = std::string(bytes.substr(0, size));
    bytes.remove_prefix(size);
    if (field.wire == 2 && size > 1 && depth < 12 && parse(field.bytes, field.children, depth + 1))
      field.isMessage = true, field.bytes.clear();
    else
      field.children.clear();
    out.push_back(std::move(field));
  }
  return true;
}

void writeVarint(std::string &out, uint64_t value) {
  for (; value >= 128; value >>= 7)
    out += char(value | 128);
  out += char(value);
}

std::string write(const std::vector<Field> &fields) {
  std::string out;
  for (const Field &field : fields) {
    writeVarint(out, uint64_t(field.number) << 3 | field.wire);
    if (field.wire == 0) {
      writeVarint(out, field.value);
      continue;
    }
    std::string bytes = field.isMessage ? write(field.children) : field.bytes;
    if (field.wire == 2)
      writeVarint(out, bytes.size());
    out += bytes;
  }
  return out;
}

struct Place {
  std::vector<Field> *list;
  size_t index;
  int depth;
  Field &field() const { return (*list)[index]; }
};
void collect(std::vector<Field> &list, int depth, std::vector<Place> &out) {
  for (size_t i = 0; i < list.size(); ++i) {
    out.push_back({&list, i, depth});
    collect(list[i].children, depth + 1, out);
  }
}

void mutate(std::vector<Field> &model, std::mt19937 &rng) {
  std::vector<Place> places;
  collect(model, 0, places);
  if (places.empty())
    return;
  auto pick = [&](size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(rng); };
  Place place = places[pick(places.size())];
  Field &field = place.field();
  // Others of the same number and depth are of the same kind: names, attributes, nodes.
  auto sibling = [&]() -> Field & {
    std::vector<Place> same;
    for (const Place &other : places)
      if (other.depth == place.depth && other.field().number == field.number && other.field().wire == field.wire)
        same.push_back(other);
    return same[pick(same.size())].field();
  };
  switch (pick(10)) {
  case 0:
    place.list->erase(place.list->begin() + std::ptrdiff_t(place.index));
    return;
  case 1: {
    Field copy = field;
    place.list->insert(place.list->begin() + std::ptrdiff_t(pick(place.list->size() + 1)), copy);
    return;
  }
  case 2: {
    size_t other = pick(place.list->size());
    std::swap((*place.list)[place.index], (*place.list)[other]);
    return;
  }
  case 3:
  case 4:
  case 5: {
    Field copy = sibling();
    place.field() = std::move(copy);
    return;
  }
  case 6: { // a text of anywhere: values are named in nodes, initializers, inputs and the bodies of other nodes
    std::vector<Place> texts;
    for (const Place &other : places)
      if (other.field().wire == 2 && !other.field().isMessage && !other.field().bytes.empty() &&
          other.field().bytes.size() < 32)
        texts.push_back(other);
    if (field.wire == 2 && !field.isMessage && !texts.empty()) {
      std::string text = texts[pick(texts.size())].field().bytes;
      field.bytes = std::move(text);
      return;
    }
    break;
  }
  default:
    break;
  }
  auto number = [&](uint64_t value) {
    static constexpr uint64_t kValues[] = {0,
                                           1,
                                           2,
                                           3,
                                           4,
                                           7,
                                           8,
                                           16,
                                           64,
                                           127,
                                           1024,
                                           65536,
                                           uint64_t(1) << 31,
                                           uint64_t(1) << 32,
                                           uint64_t(1) << 40,
                                           uint64_t(1) << 62,
                                           INT64_MAX,
                                           uint64_t(INT64_MIN),
                                           uint64_t(-1),
                                           uint64_t(-2),
                                           uint64_t(-3)};
    size_t choice = pick(4);
    return choice == 0   ? kValues[pick(std::size(kValues))]
           : choice == 1 ? value + 1
           : choice == 2 ? value - 1
                         : uint64_t(pick(28));
  };
  if (field.wire == 0) {
    field.value = number(field.value);
    return;
  }
  if (field.isMessage) { // deeper: all of its own
    for (int i = 0; i < 2; ++i)
      mutate(field.children, rng);
    return;
  }
  if (field.wire == 2 && !field.bytes.empty() && field.bytes.size() % 8 == 0 &&
      pick(2)) { // extents, axes and indices as raw data
    uint64_t value;
    char *word = field.bytes.data() + pick(field.bytes.size() / 8) * 8;
    memcpy(&value, word, 8);
    value = number(value);
    memcpy(word, &value, 8);
    return;
  }
  size_t before = field.bytes.size(), most = field.wire == 2 ? before + 16 : before;
  field.bytes.resize(most);
  size_t after = most ? LLVMFuzzerMutate(reinterpret_cast<uint8_t *>(field.bytes.data()), before, most) : 0;
  field.bytes.resize(field.wire == 2 ? after : before);
}
} // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t mostSize, unsigned seed) {
  std::mt19937 rng(seed);
  std::vector<Field> model;
  if (rng() % 16 == 0 || !parse({reinterpret_cast<const char *>(data), size}, model, 0) || model.empty())
    return LLVMFuzzerMutate(data, size, mostSize);
  unsigned times = 1 + rng() % 4;
  for (unsigned i = 0; i < times; ++i)
    mutate(model, rng);
  std::string out = write(model);
  if (out.empty() || out.size() > mostSize)
    return LLVMFuzzerMutate(data, size, mostSize);
  memcpy(data, out.data(), out.size());
  return out.size();
}
