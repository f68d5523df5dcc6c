// Memory.h - host memory through the caller's allocator or our own.
#ifndef MOE_BASE_MEMORY_H
#define MOE_BASE_MEMORY_H

#include "moe/runtime.h"

#include <cstdint>
#include <utility>

namespace moe {

constexpr size_t kAlignment = 64;

/// Bytes that this process may still take: of the machine, and of its control group. UINT64_MAX if the system does not say.
uint64_t availableMemory();
/// The same with all that is in use: what no process could have.
uint64_t totalMemory();

/// Ordinary memory below 2 MiB; above, whole mappings that ask the system for huge pages. Refuses what is not
/// there: mappings alone promise memory that the machine does not have, and a program is killed when it is used.
const moe_allocator_t &defaultAllocator();

/// One piece of memory that goes back where it came from.
class Block {
public:
  Block() = default;
  Block(Block &&other) noexcept { *this = std::move(other); }
  Block &operator=(Block &&other) noexcept {
    std::swap(allocator_, other.allocator_), std::swap(data_, other.data_), std::swap(size_, other.size_);
    return *this;
  }
  ~Block() { reset(); }
  /// False when there is no memory left; the block is empty then. Never NULL data after true, also for size 0.
  bool allocate(const moe_allocator_t &allocator, size_t size);
  void reset();
  void *data() const { return data_; }
  size_t size() const { return size_; }

private:
  const moe_allocator_t *allocator_ = nullptr;
  void *data_ = nullptr;
  size_t size_ = 0;
};

} // namespace moe
#endif // MOE_BASE_MEMORY_H
