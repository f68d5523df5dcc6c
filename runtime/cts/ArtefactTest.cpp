// ArtefactTest.cpp - loading: what is right loads, what is wrong is one diagnostic that names file, field, expected and
// found.
#include "FakeArtefact.h"
#include "Test.h"
#include "base/File.h"
#include "moe/runtime.h"

#include <cstring>
#include <random>

using namespace moe;
using namespace moe::cts;

static moe_status_t tryLoad(const std::string &path) {
  moe_artefact_t *artefact = nullptr;
  moe_status_t status = moe_artefact_load(path.c_str(), nullptr, &artefact);
  moe_artefact_release(artefact);
  return status;
}
static void expectRefused(const std::function<void(std::string &)> &edit, const std::string &message,
                          moe_status_code_t code = MOE_BAD_ARTEFACT) {
  moe_status_t status = tryLoad(writeFakeArtefact(edit));
  EXPECT_EQ(status.code, code);
  EXPECT_HAS(status.message, message);
}
static void expectFieldRefused(const std::string &from, const std::string &to, const std::string &message,
                               moe_status_code_t code = MOE_BAD_ARTEFACT) {
  expectRefused([&](std::string &body) { replace(body, from, to); }, "manifest.json: " + message, code);
}

TEST(a_correct_artefact_loads_and_describes_itself) {
  moe_artefact_t *artefact = nullptr;
  moe_status_t status = moe_artefact_load(writeFakeArtefact().c_str(), nullptr, &artefact);
  EXPECT_EQ(std::string(status.message), "");
  if (!artefact)
    return;
  moe_artefact_info_t info{};
  info.struct_size = sizeof(info);
  moe_artefact_get_info(artefact, &info);
  EXPECT_EQ(info.num_entries, 2u);
  EXPECT_EQ(std::string(info.compiler), "by hand");
  EXPECT_EQ(info.weight_bytes, 384u);
  moe_value_info_t value{};
  value.struct_size = sizeof(value);
  moe_artefact_get_input(artefact, 0, 0, &value);
  EXPECT_EQ(std::string(value.name), "input_ids");
  EXPECT_EQ(std::string(value.dims[1].name), "seq");
  EXPECT_EQ(value.max_value, 7);
  moe_artefact_get_output(artefact, 1, 0, &value);
  EXPECT(value.dims[0].name == nullptr && value.dims[0].extent == -1);
  uint32_t entry = 9;
  EXPECT_EQ(moe_artefact_find_entry(artefact, "select", &entry).code, MOE_OK);
  EXPECT_EQ(entry, 1u);
  moe_status_t missing = moe_artefact_find_entry(artefact, "decode", &entry);
  EXPECT_EQ(missing.code, MOE_NOT_FOUND);
  EXPECT_HAS(missing.message, "expected an entry of main, select, found decode");
  EXPECT_EQ(moe_artefact_get_input(artefact, 0, 5, &value).code, MOE_INVALID_ARGUMENT);
  int64_t extents[4] = {2, 3, 2, 3};
  double flops, bytes;
  EXPECT_EQ(moe_artefact_get_cost(artefact, 0, extents, 4, &flops, &bytes).code, MOE_OK);
  EXPECT_EQ(flops, 48.0);
  EXPECT_EQ(bytes, 768.0);
  moe_variant_info_t variant{};
  variant.struct_size = sizeof(variant);
  moe_artefact_get_variant(artefact, 0, &variant);
  EXPECT_EQ(variant.usable, 0);
  EXPECT_EQ(moe_artefact_verify(artefact).code, MOE_OK);
  moe_artefact_release(artefact);
}

TEST(an_older_caller_with_a_shorter_struct_is_served) {
  moe_artefact_t *artefact = nullptr;
  moe_artefact_load(writeFakeArtefact().c_str(), nullptr, &artefact);
  moe_artefact_info_t info;
  memset(&info, 0x55, sizeof(info));
  info.struct_size = 2 * sizeof(void *);
  EXPECT_EQ(moe_artefact_get_info(artefact, &info).code, MOE_OK);
  EXPECT_EQ(std::string(info.compiler), "by hand");
  EXPECT_EQ(info.num_entries, 0x55555555u);
  info.struct_size = 0;
  EXPECT_EQ(moe_artefact_get_info(artefact, &info).code, MOE_INVALID_ARGUMENT);
  moe_artefact_release(artefact);
}

TEST(missing_parts_are_named) {
  EXPECT_EQ(tryLoad("/nowhere/model.moe").code, MOE_NOT_FOUND);
  for (const char *part : {"manifest.json", "code.so", "weights-0.safetensors"}) {
    std::string path = writeFakeArtefact();
    remove((path + "/" + part).c_str());
    moe_status_t status = tryLoad(path);
    EXPECT_EQ(status.code, MOE_NOT_FOUND);
    EXPECT_HAS(status.message, part);
  }
}

TEST(wrong_fields_are_named) {
  expectFieldRefused("\"moe-artefact\"", "\"zip\"", "format: expected \"moe-artefact\", found \"zip\"");
  expectFieldRefused("\"version\": 1", "\"version\": 2", "version: expected version 1 of the format, found 2",
                     MOE_UNSUPPORTED);
  expectFieldRefused("\"cpu\"", "\"tpu\"", "target: expected \"cpu\" or \"cuda\"");
  expectFieldRefused("\"code.so\"", "\"../code.so\"",
                     "code.file: expected the name of a file in the artefact's folder");
  expectFieldRefused("\"offset\": 128", "\"offset\": 130", "weights[0].offset: expected a multiple of 64, found 130");
  expectFieldRefused("\"offset\": 128", "\"offset\": 320",
                     "weights[0].size: expected an integer from 0 to 64, found 256");
  expectFieldRefused("\"size\": 256", "\"size\": -1", "weights[0].size: expected an integer from 0 to 256");
  expectFieldRefused("\"size\": 256", "\"size\": 1e3", "weights[0].size: expected an integer");
  expectFieldRefused("\"chunk_size\": 192", "\"chunk_size\": 0",
                     "weight_files[0].chunk_size: expected an integer from 1");
  expectFieldRefused("\"chunk_size\": 192", "\"chunk_size\": 64",
                     "weight_files[0].chunk_xxh3: expected 4 checksums, found an array of 2");
  expectFieldRefused("\"int64\"", "\"int65\"",
                     "entries[0].inputs[0].dtype: expected the name of an element type, found \"int65\"");
  expectFieldRefused("[\"batch\", \"seq\"]", "[\"batch\", null]",
                     "entries[0].inputs[0].shape[1]: expected an extent or a name, found null");
  expectFieldRefused("\"seq\", 8]", "\"seq\", -8]",
                     "entries[0].outputs[0].shape[2]: expected an extent, a name or null, found -8");
  expectFieldRefused("\"weights\": [0]", "\"weights\": [1]",
                     "entries[0].weights[0]: expected an integer from 0 to 0, found 1");
  expectFieldRefused("{\"kernel\": 0", "{\"kernel\": 3", "entries[0].steps[0].kernel: expected an integer from 0 to 2");
  expectFieldRefused("\"first\": 1, \"last\": 1", "\"first\": 1, \"last\": 0",
                     "entries[0].temporaries[1].last: expected an integer from 1");
  expectFieldRefused("\"role\": \"logits\"", "\"role\": \"loggits\"", "entries[0].outputs[0].role: expected");
  expectFieldRefused("\"name\": \"select\"", "\"name\": \"main\"",
                     "entries[1].name: expected a name that no other entry has");
  expectFieldRefused("\"state\": []", "\"state\": {}", "state: expected an array, found an object of 0 members");
  expectFieldRefused("\"variants\"", "\"varlants\"", "variants: expected an array, found nothing");
  expectFieldRefused("\"version\": 1", "\"version\": 1, \"version\": 1", "line 2");
}

TEST(what_the_module_says_otherwise_is_named) {
  expectRefused(
      [](std::string &b) {
        replace(b, "{\"name\": \"k0_lookup\"}, ", ""), replace(b, "\"kernel\": 2", "\"kernel\": 1");
      },
      "code.so: number of kernels: expected 2 as in manifest.json, found 3");
  expectRefused([](std::string &b) { replace(b, "k1_copy", "k1_move"); },
                "name of kernel 1: expected k1_move, found k1_copy");
  expectRefused([](std::string &b) { replace(b, "\"shape\": [\"n\"]", "\"shape\": [\"n\", 2]"); },
                "number of input extents of entry select");
  expectRefused([](std::string &b) { replace(b, "\"weights\": [0]", "\"weights\": []"); },
                "number of weights of entry main");
}

TEST(changed_bytes_are_found) {
  std::string path = writeFakeArtefact(), bytes;
  struct Change {
    const char *file;
    size_t at;
    const char *message;
  };
  for (Change change : {Change{"code.so", 4000, "code.so: checksum: expected"},
                        {"weights-0.safetensors", 20, "checksum of the header"}}) {
    std::string file = path + "/" + change.file;
    EXPECT_OK(readFile(file, bytes));
    std::string changed = bytes;
    changed[change.at] ^= 1;
    EXPECT_OK(writeFile(file, changed));
    moe_status_t status = tryLoad(path);
    EXPECT_EQ(status.code, MOE_BAD_ARTEFACT);
    EXPECT_HAS(status.message, change.message);
    EXPECT_OK(writeFile(file, bytes.substr(0, bytes.size() - 1)));
    EXPECT_HAS(tryLoad(path).message, "size: expected");
    EXPECT_OK(writeFile(file, bytes));
  }
  EXPECT_EQ(tryLoad(path).code, MOE_OK);
  // A lifetime that would let two buffers overlap is valid JSON and in range: only the manifest's own checksum sees it.
  EXPECT_OK(readFile(path + "/manifest.json", bytes));
  replace(bytes, "\"first\": 0, \"last\": 1", "\"first\": 0, \"last\": 0");
  EXPECT_OK(writeFile(path + "/manifest.json", bytes));
  EXPECT_HAS(tryLoad(path).message, "manifest_xxh3: expected checksum");
}

TEST(verify_reads_the_weights) {
  std::string path = writeFakeArtefact(), file = path + "/weights-0.safetensors", bytes;
  EXPECT_OK(readFile(file, bytes));
  bytes[350] ^= 1;
  EXPECT_OK(writeFile(file, bytes));
  moe_artefact_t *artefact = nullptr;
  EXPECT_EQ(moe_artefact_load(path.c_str(), nullptr, &artefact).code, MOE_OK);
  moe_status_t status = moe_artefact_verify(artefact);
  EXPECT_EQ(status.code, MOE_BAD_ARTEFACT);
  EXPECT_HAS(status.message, "checksum of chunk 1 (bytes 320 to 384)");
  moe_artefact_release(artefact);
  moe_artefact_load(
      writeFakeArtefact([](std::string &b) { replace(b, "{\"name\": \"table\"", "{\"name\": \"tables\""); }).c_str(),
      nullptr, &artefact);
  EXPECT_HAS(moe_artefact_verify(artefact).message, "header: expected a tensor tables, found none");
  moe_artefact_release(artefact);
}

TEST(mutated_parts_never_crash) {
  std::mt19937 random(7);
  std::string path = writeFakeArtefact();
  for (const char *part : {"manifest.json", "weights-0.safetensors"}) {
    std::string file = path + "/" + part, bytes;
    EXPECT_OK(readFile(file, bytes));
    for (int k = 0; k < 300; ++k) {
      std::string changed = bytes;
      if (k % 3 == 0)
        changed.resize(random() % changed.size());
      for (unsigned n = k % 3 ? 1 + random() % 4 : 0; n > 0; --n)
        changed[random() % changed.size()] = char(random());
      EXPECT_OK(writeFile(file, changed));
      moe_status_t status = tryLoad(path);
      if (part[0] == 'm' && changed != bytes)
        EXPECT(status.code == MOE_BAD_ARTEFACT || status.code == MOE_UNSUPPORTED);
    }
    EXPECT_OK(writeFile(file, bytes));
  }
}
