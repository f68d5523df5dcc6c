// FuzzArtefact.cpp - manifests and safetensors headers, checksums made right: whoever changes a file can do that too.
// Byte 0 says which: 'm' and a manifest's body (without its checksum), or 'h' and the bytes of a weight file's header.
#include "FakeArtefact.h"
#include "Test.h"
#include "artefact/Artefact.h"
#include "base/Expression.h"
#include "base/File.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

// What the tests' artefact asks of their harness.
namespace moe::cts {
std::string scratchFolder() {
  static const std::string folder = [] {
    char pattern[] = "/dev/shm/moe-fuzz-XXXXXX";
    if (!mkdtemp(pattern))
      abort();
    static std::string made = pattern;
    atexit([] {
      for (const char *file : {"manifest.json", "code.so", "weights-0.safetensors", ""})
        remove((made + "/model.moe/" + file).c_str());
      rmdir(made.c_str());
    });
    return made;
  }();
  return folder;
}
bool failed = false;
} // namespace moe::cts

using namespace moe;

static void check(const Status &status) {
  if (!status.ok() && (status.message().empty() || status.message().size() > 20000))
    abort();
}

static void must(const Status &status) {
  if (!status.ok()) {
    fprintf(stderr, "%s\n", status.message().c_str());
    abort();
  }
}

/// Loads what lies in the folder, as moe-run check --verify does before it runs.
static void load(const std::string &folder) {
  Artefact *artefact = nullptr;
  Status status = Artefact::load(folder, artefact);
  check(status);
  if (!status.ok())
    return;
  check(artefact->verify());
  artefact->release();
}

static void evaluateSizes(const Manifest &manifest) {
  auto lookup = [](std::string_view name, double &value) {
    value = double(name.size());
    return name != "unknown";
  };
  for (const Entry &entry : manifest.entries) {
    double value;
    for (const Temporary &temporary : entry.temporaries)
      check(evaluateExpression(temporary.size, lookup, value));
    check(evaluateExpression(entry.flops, lookup, value));
    check(evaluateExpression(entry.bytes, lookup, value));
  }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  constexpr size_t kHeader = 1024, kData = 256;
  static const std::string folder = cts::writeFakeArtefact();
  static const std::string good = cts::fakeManifestBody(folder);
  static const std::string weights = [] {
    std::string bytes;
    must(readFile(folder + "/weights-0.safetensors", bytes));
    return bytes;
  }();
  if (size < 1)
    return 0;
  std::string text(reinterpret_cast<const char *>(data) + 1, size - 1);
  if (data[0] == 'm') {
    // Sums of code and weights may be written as the words of FakeArtefact.cpp.
    auto fill = [&](const char *word, const std::string &value) {
      for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + value.size()))
        text.replace(at, strlen(word), value);
    };
    static const std::string code = [] {
      std::string bytes;
      must(readFile(folder + "/code.so", bytes));
      return bytes;
    }();
    static const std::string codeSum = hex64(xxh3(code.data(), code.size()));
    fill("CODE_SIZE", std::to_string(code.size()));
    fill("CODE_SUM", codeSum);
    fill("HEADER_SUM", hex64(xxh3(weights.data(), 128)));
    fill("CHUNK_0", hex64(xxh3(weights.data() + 128, 192)));
    fill("CHUNK_1", hex64(xxh3(weights.data() + 320, 64)));
    Manifest manifest;
    std::string sealed = cts::seal(text);
    Status status = Manifest::parse("manifest.json", sealed, manifest);
    check(status);
    if (!status.ok())
      return 0;
    evaluateSizes(manifest);
    must(writeFile(folder + "/manifest.json", sealed));
    load(folder);
    return 0;
  }
  text.resize(std::min(text.size(), kHeader));
  text.append(kHeader - text.size(), ' ');
  std::string file = text + weights.substr(128);
  must(writeFile(folder + "/weights-0.safetensors", file));
  std::string body = good;
  cts::replace(body, "\"size\": 384, \"header_size\": 128",
               "\"size\": " + std::to_string(kHeader + kData) + ", \"header_size\": " + std::to_string(kHeader));
  cts::replace(body, "\"offset\": 128", "\"offset\": " + std::to_string(kHeader));
  cts::replace(body, hex64(xxh3(weights.data(), 128)), hex64(xxh3(file.data(), kHeader)));
  must(writeFile(folder + "/manifest.json", cts::seal(body)));
  load(folder);
  must(writeFile(folder + "/weights-0.safetensors", weights));
  return 0;
}
