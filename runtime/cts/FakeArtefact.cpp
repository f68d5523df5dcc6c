// FakeArtefact.cpp - see FakeArtefact.h.
#include "FakeArtefact.h"

#include "Test.h"
#include "base/File.h"

#include <cstring>
#include <unistd.h>

namespace moe::cts {

float fakeLogit(int id, int k) { return float((id * 8 + k) % 5 + (k == (id + 1) % 8 ? 10 : 0)); }

static std::string weightFile() {
  std::string header = R"({"table": {"dtype": "F32", "shape": [8, 8], "data_offsets": [0, 256]}})";
  header.append(128 - 8 - header.size(), ' '); // the data begin at a multiple of 64
  uint64_t length = header.size();
  std::string bytes(reinterpret_cast<const char *>(&length), 8);
  bytes += header;
  for (int id = 0; id < 8; ++id)
    for (int k = 0; k < 8; ++k) {
      float value = fakeLogit(id, k);
      bytes.append(reinterpret_cast<const char *>(&value), 4);
    }
  return bytes;
}

std::string seal(const std::string &body) {
  return body + "\"manifest_xxh3\": \"" + hex64(xxh3(body.data(), body.size())) + "\"\n}\n";
}

std::string fakeManifestBody(const std::string &folder) {
  std::string code, weights;
  Status read = readFile(folder + "/code.so", code);
  read = readFile(folder + "/weights-0.safetensors", weights);
  std::string body = R"({
  "format": "moe-artefact", "version": 1, "compiler": "by hand", "target": "cpu", "chip": "",
  "code": {"file": "code.so", "size": CODE_SIZE, "xxh3": "CODE_SUM"},
  "weight_files": [{"file": "weights-0.safetensors", "size": 384, "header_size": 128, "header_xxh3": "HEADER_SUM",
                    "chunk_size": 192, "chunk_xxh3": ["CHUNK_0", "CHUNK_1"]}],
  "weights": [{"name": "table", "file": 0, "offset": 128, "size": 256}],
  "entries": [
    {"name": "main",
     "inputs": [{"name": "input_ids", "dtype": "int64", "shape": ["batch", "seq"], "role": "token_ids", "max_value": 7},
                {"name": "attention_mask", "dtype": "int64", "shape": ["batch", "seq"], "role": "attention_mask"}],
     "outputs": [{"name": "logits", "dtype": "float32", "shape": ["batch", "seq", 8], "role": "logits"}],
     "weights": [0],
     "temporaries": [{"size": "batch * seq * 32", "first": 0, "last": 1}, {"size": "100", "first": 1, "last": 1}],
     "steps": [{"kernel": 0, "op": "moe.gather", "source": "/model/embed"}, {"kernel": 1, "op": "linalg.copy", "source": ""}],
     "flops": "batch * seq * 8", "bytes": "256 + batch * (seq + 1) * 64"},
    {"name": "select",
     "inputs": [{"name": "x", "dtype": "float32", "shape": ["n"]}],
     "outputs": [{"name": "positive", "dtype": "float32", "shape": [null]}],
     "weights": [], "temporaries": [], "steps": [{"kernel": 2, "op": "moe.inspect", "source": "/inspect"}]}],
  "state": [], "variants": [{"isa": "x86-64-v9"}, {"isa": "x86-64-v2"}],
  "kernels": [{"name": "k0_lookup"}, {"name": "k1_copy"}, {"name": "k2_inspect"}],
  "errors": [{"code": 7, "message": "thirteen is not allowed"}, {"code": 8, "message": "at most 1000 elements"}],
  "recipe": {"fp8": "off", "precision": "f32", "activations": "f32"},
  )";
  replace(body, "CODE_SIZE", std::to_string(code.size()));
  replace(body, "CODE_SUM", hex64(xxh3(code.data(), code.size())));
  replace(body, "HEADER_SUM", hex64(xxh3(weights.data(), 128)));
  replace(body, "CHUNK_0", hex64(xxh3(weights.data() + 128, 192)));
  replace(body, "CHUNK_1", hex64(xxh3(weights.data() + 320, 64)));
  return body;
}

std::string programFolder() {
  char path[4096];
  ssize_t size = readlink("/proc/self/exe", path, sizeof(path));
  std::string program(path, size > 0 ? size_t(size) : 0);
  return program.substr(0, program.rfind('/') + 1);
}
/// The modules lie in lib beside the tests' own bin.
static std::string modulePath(const char *name) { return programFolder() + "../lib/" + name; }

static std::string writeArtefact(const char *module, const std::function<void(std::string &)> &edit,
                                 std::string folder) {
  std::string code;
  if (folder.empty())
    folder = scratchFolder() + "/model.moe";
  Status status = makeFolder(folder);
  status = readFile(modulePath(module), code);
  status = writeFile(folder + "/code.so", code);
  status = writeFile(folder + "/weights-0.safetensors", weightFile());
  std::string body = fakeManifestBody(folder);
  if (edit)
    edit(body);
  status = writeFile(folder + "/manifest.json", seal(body));
  if (!status.ok())
    fail(__FILE__, __LINE__, status.message());
  return folder;
}

std::string writeFakeArtefact(const std::function<void(std::string &)> &edit, std::string folder) {
  return writeArtefact("fake-module.so", edit, folder);
}

std::string writeFakeCudaArtefact(const std::function<void(std::string &)> &edit, std::string folder) {
  return writeArtefact(
      "fake-cuda-module.so",
      [&](std::string &body) {
        replace(body, "\"target\": \"cpu\", \"chip\": \"\"", "\"target\": \"cuda\", \"chip\": \"sm_75\"");
        replace(body, ", {\"size\": \"100\", \"first\": 1, \"last\": 1}", "");
        replace(body, "\"name\": \"select\"", "\"name\": \"prefix\"");
        replace(body, "{\"kernel\": 2, \"op\": \"moe.inspect\", \"source\": \"/inspect\"}",
                "{\"kernel\": 1, \"op\": \"moe.copy\", \"source\": \"/prefix\"}");
        replace(
            body, "\"steps\": [{\"kernel\": 1, \"op\": \"moe.copy\", \"source\": \"/prefix\"}]}",
            "\"steps\": [{\"kernel\": 1, \"op\": \"moe.copy\", \"source\": \"/prefix\"}], "
            "\"not_capturable\": \"/prefix reads a count\"},\n"
            "{\"name\": \"tiles\", \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [\"n\", \"k\"]}], "
            "\"outputs\": [{\"name\": \"items\", \"dtype\": \"int64\", \"shape\": [64]}], \"weights\": [], "
            "\"temporaries\": [], \"steps\": [{\"kernel\": 2, \"op\": \"moe.tiles\", \"source\": \"/tiles\"}]}");
        replace(body, "k2_inspect", "k2_tiles");
        if (edit)
          edit(body);
      },
      folder);
}

void replace(std::string &text, const std::string &from, const std::string &to) {
  size_t at = text.find(from);
  if (at == std::string::npos)
    return fail(__FILE__, __LINE__, "no \"" + from + "\" to replace");
  text.replace(at, from.size(), to);
}
} // namespace moe::cts
