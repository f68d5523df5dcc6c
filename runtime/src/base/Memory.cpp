// Memory.cpp - see Memory.h.
#include "base/Memory.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

namespace moe {
namespace {
constexpr size_t kHugePage = size_t(2) << 20;

/// The number behind |key| in a file of the system, or UINT64_MAX: "MemAvailable:   123 kB", or a number alone with key "".
uint64_t readNumber(const char *path, const char *key) {
  FILE *file = fopen(path, "re");
  if (!file)
    return UINT64_MAX;
  char line[256];
  uint64_t found = UINT64_MAX;
  while (found == UINT64_MAX && fgets(line, sizeof line, file)) {
    unsigned long long value;
    if (!strncmp(line, key, strlen(key)) && sscanf(line + strlen(key), "%llu", &value) == 1)
      found = value;
  }
  fclose(file);
  return found;
}
uint64_t ofMachine(const char *key) {
  uint64_t kilobytes = readNumber("/proc/meminfo", key);
  return kilobytes > UINT64_MAX / 1024 ? UINT64_MAX : kilobytes * 1024;
}

size_t roundUp(size_t size, size_t step) { return (size + step - 1) / step * step; }

void *allocateDefault(void *, size_t size, size_t alignment) {
  if (size < kHugePage || alignment > kHugePage)
    return aligned_alloc(alignment, roundUp(std::max<size_t>(size, 1), alignment));
  // Below that a refusal saves nothing, and asking costs more than the allocation.
  constexpr size_t kAskFrom = size_t(1) << 28;
  if (size > SIZE_MAX / 4 || (size >= kAskFrom && size > availableMemory()))
    return nullptr;
  // A mapping that begins at a huge page: map one page more and give the ends back.
  size_t wanted = roundUp(size, kHugePage), mapped = wanted + kHugePage;
  void *memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    return nullptr;
  char *begin = static_cast<char *>(memory),
       *aligned = reinterpret_cast<char *>(roundUp(reinterpret_cast<size_t>(begin), kHugePage));
  if (aligned > begin)
    munmap(begin, size_t(aligned - begin));
  if (size_t tail = size_t(begin + mapped - (aligned + wanted)))
    munmap(aligned + wanted, tail);
  madvise(aligned, wanted, MADV_HUGEPAGE);
  return aligned;
}

void releaseDefault(void *, void *memory, size_t size) {
  if (size < kHugePage)
    free(memory);
  else
    munmap(memory, roundUp(size, kHugePage));
}
} // namespace

uint64_t totalMemory() { return std::min(ofMachine("MemTotal:"), readNumber("/sys/fs/cgroup/memory.max", "")); }

uint64_t availableMemory() {
  uint64_t group = readNumber("/sys/fs/cgroup/memory.max", ""), used = readNumber("/sys/fs/cgroup/memory.current", "");
  // Pages of files count as used there, and are given back under pressure.
  if (uint64_t cached = readNumber("/sys/fs/cgroup/memory.stat", "file "); cached < used && used != UINT64_MAX)
    used -= cached;
  if (group != UINT64_MAX && used != UINT64_MAX)
    group = group > used ? group - used : 0;
  return std::min(ofMachine("MemAvailable:"), group);
}

const moe_allocator_t &defaultAllocator() {
  static const moe_allocator_t allocator = {sizeof(moe_allocator_t), nullptr, allocateDefault, releaseDefault};
  return allocator;
}

bool Block::allocate(const moe_allocator_t &allocator, size_t size) {
  reset();
  size = std::max<size_t>(size, 1);
  data_ = allocator.allocate(allocator.self, size, kAlignment);
  if (!data_)
    return false;
  allocator_ = &allocator, size_ = size;
  return true;
}

void Block::reset() {
  if (data_)
    allocator_->release(allocator_->self, data_, size_);
  data_ = nullptr, size_ = 0;
}
} // namespace moe
