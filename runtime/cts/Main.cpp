// Main.cpp - runs all tests, or those whose name holds the first argument. Tests whose name begins with fake_driver run in a
// process of their own, in which FakeDriver.c is libcuda.so.1. For tests of moe-run itself:
// runtime-tests --fake-driver [NAME]        runs the tests with the fake driver alone
// runtime-tests --write-artefact DIR        writes FakeModule.c's artefact
// runtime-tests --write-cuda-artefact DIR   writes FakeCudaModule.c's artefact
// runtime-tests --write-case DIR            writes a case of its entry main: tokens 1 2 3 and their logits
#include "FakeArtefact.h"
#include "Tensor.h"
#include "Test.h"
#include "base/File.h"

#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <unistd.h>

namespace moe::cts {
bool failed = false;
std::vector<Case> &cases() {
  static std::vector<Case> list;
  return list;
}
static std::string root;
static int folders = 0;
std::string scratchFolder() {
  if (root.empty()) {
    char pattern[] = "/tmp/moe-cts-XXXXXX";
    root = mkdtemp(pattern) ? pattern : ".";
  }
  std::string folder = root + "/" + std::to_string(folders++);
  return system(("mkdir -p " + folder).c_str()) == 0 ? folder : root;
}
} // namespace moe::cts

static int writeCase(const std::string &folder) {
  using namespace moe;
  Tensor ids, mask, logits;
  ids.name = "input_ids", mask.name = "attention_mask", logits.name = "logits";
  ids.dtype = mask.dtype = MOE_DTYPE_INT64, logits.dtype = MOE_DTYPE_FLOAT32;
  ids.shape = mask.shape = {1, 3}, logits.shape = {1, 3, 8};
  for (Tensor *tensor : {&ids, &mask, &logits})
    tensor->allocate();
  for (int i = 0; i < 3; ++i) {
    static_cast<int64_t *>(ids.data())[i] = i + 1, static_cast<int64_t *>(mask.data())[i] = 1;
    for (int k = 0; k < 8; ++k)
      static_cast<float *>(logits.data())[i * 8 + k] = cts::fakeLogit(i + 1, k);
  }
  bool good = makeFolder(folder).ok() && writeFile(folder + "/input_0.pb", writeTensorProto(ids)).ok() &&
              writeFile(folder + "/input_1.pb", writeTensorProto(mask)).ok() &&
              writeFile(folder + "/output_0.pb", writeTensorProto(logits)).ok();
  return good ? 0 : 1;
}

int main(int argc, char **argv) {
  using namespace moe::cts;
  if (argc == 3 && !strcmp(argv[1], "--write-artefact"))
    return writeFakeArtefact(nullptr, argv[2]).empty() || failed;
  if (argc == 3 && !strcmp(argv[1], "--write-cuda-artefact"))
    return writeFakeCudaArtefact(nullptr, argv[2]).empty() || failed;
  if (argc == 3 && !strcmp(argv[1], "--write-case"))
    return writeCase(argv[2]);
  bool fake = argc > 1 && !strcmp(argv[1], "--fake-driver");
  const char *filter = argc > 1 + fake ? argv[1 + fake] : "";
  // The library's name makes later searches for libcuda.so.1 end here.
  if (fake && !dlopen((programFolder() + "../lib/fake-driver/libcuda.so.1").c_str(), RTLD_NOW | RTLD_GLOBAL)) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  int passed = 0, wrong = 0, others = 0;
  for (const Case &one : cases()) {
    if (!strstr(one.name, filter))
      continue;
    if ((strncmp(one.name, "fake_driver", 11) == 0) != fake) {
      ++others;
      continue;
    }
    failed = false;
    one.run();
    if (failed)
      fprintf(stderr, "FAILED %s\n", one.name);
    ++(failed ? wrong : passed);
  }
  if (!root.empty() && system(("rm -rf " + root).c_str()) != 0)
    fprintf(stderr, "cannot remove %s\n", root.c_str());
  if (!fake && others) {
    FILE *child = popen(("'" + programFolder() + "runtime-tests' --fake-driver '" + filter + "'").c_str(), "r");
    int more = 0, worse = 0;
    if (!child || fscanf(child, "%d passed, %d failed", &more, &worse) != 2)
      worse = others;
    if (child)
      pclose(child);
    passed += more, wrong += worse;
  }
  printf("%d passed, %d failed\n", passed, wrong);
  return wrong || !passed ? 1 : 0;
}
