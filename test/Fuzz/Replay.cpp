// Replay.cpp - runs each file, and each file of each folder, through a fuzzer once. Prints how many there were; an input that
// takes more than a minute, or breaks the contract, ends the program with a signal.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern "C" size_t LLVMFuzzerMutate(uint8_t *, size_t size, size_t) { return size; } // mutators are never called here

static bool runFile(const std::string &path) {
  FILE *file = fopen(path.c_str(), "rb");
  if (!file)
    return false;
  std::vector<uint8_t> bytes;
  uint8_t part[4096];
  while (size_t got = fread(part, 1, sizeof part, file))
    bytes.insert(bytes.end(), part, part + got);
  fclose(file);
  // A crash names the input; a copy that ends with its memory shows reads behind it.
  fprintf(stderr, "%s\n", path.c_str());
  bytes.shrink_to_fit();
  alarm(60);
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  alarm(0);
  return true;
}

int main(int argc, char **argv) {
  int count = 0;
  for (int i = 1; i < argc; ++i) {
    struct stat info;
    if (stat(argv[i], &info) != 0) {
      fprintf(stderr, "cannot open %s\n", argv[i]);
      return 2;
    }
    std::vector<std::string> files;
    if (DIR *folder = S_ISDIR(info.st_mode) ? opendir(argv[i]) : nullptr) {
      while (dirent *entry = readdir(folder))
        if (entry->d_name[0] != '.')
          files.push_back(std::string(argv[i]) + "/" + entry->d_name);
      closedir(folder);
      std::sort(files.begin(), files.end());
    } else {
      files.push_back(argv[i]);
    }
    for (const std::string &path : files)
      if (!runFile(path))
        return 2;
    count += int(files.size());
  }
  printf("%d inputs\n", count);
  return 0;
}
