// Memory.cpp - see Memory.h.
#include "base/Memory.h"

#include <algorithm>
#include <cstdlib>
#include <sys/mman.h>

namespace moe {
namespace {
constexpr size_t kHugePage = size_t(2) << 20;

size_t roundUp(size_t size, size_t step) { return (size + step - 1) / step * step; }

void *allocateDefault(void *, size_t size, size_t alignment) {
  if (size < kHugePage || alignment > kHugePage)
    return aligned_alloc(alignment, roundUp(std::max<size_t>(size, 1), alignment));
  if (size > SIZE_MAX / 4)
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
