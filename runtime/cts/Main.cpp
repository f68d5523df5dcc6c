// Main.cpp - runs all tests, or those whose name holds the first argument.
#include "Test.h"

#include <cstdlib>
#include <cstring>
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

int main(int argc, char **argv) {
  using namespace moe::cts;
  int passed = 0, wrong = 0;
  for (const Case &one : cases()) {
    if (argc > 1 && !strstr(one.name, argv[1]))
      continue;
    failed = false;
    one.run();
    if (failed)
      fprintf(stderr, "FAILED %s\n", one.name);
    ++(failed ? wrong : passed);
  }
  if (!root.empty() && system(("rm -rf " + root).c_str()) != 0)
    fprintf(stderr, "cannot remove %s\n", root.c_str());
  printf("%d passed, %d failed\n", passed, wrong);
  return wrong || !passed ? 1 : 0;
}
