// ThreadPool.cpp - see ThreadPool.h.
#include "cpu/ThreadPool.h"

#include <algorithm>
#include <climits>
#include <cstdio>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace moe {
namespace {
/// Ticks, 40 to 60 microseconds: longer than what one thread alone does between two regions of a model, and than waking a sleeper takes
/// on a virtual machine. Where there are more threads than processors, who spins may keep a processor from who works.
constexpr uint64_t kSpinTicks = 120'000, kSharedSpinTicks = 10'000;
void futexWait(std::atomic<uint32_t> *word, uint32_t expected) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, nullptr, nullptr, 0);
}
void futexWake(std::atomic<uint32_t> *word, int threads) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, threads, nullptr, nullptr, 0);
}

/// The ticket's high half: workers sleep until the region's number changes.
std::atomic<uint32_t> *regionWord(std::atomic<uint64_t> &ticket) {
  return reinterpret_cast<std::atomic<uint32_t> *>(&ticket) + 1;
}
uint32_t regionOf(uint64_t ticket) { return uint32_t(ticket >> 32); }
uint32_t leftOf(uint64_t ticket) { return uint32_t(ticket); }
} // namespace

unsigned usableProcessors() {
  unsigned processors = 1;
  std::vector<unsigned long> mask(1024 / (8 * sizeof(unsigned long)) * 16);
  long bytes = syscall(SYS_sched_getaffinity, 0, mask.size() * sizeof(unsigned long), mask.data());
  if (bytes > 0) {
    unsigned count = 0;
    for (unsigned long word : mask)
      count += unsigned(__builtin_popcountl(word));
    processors = std::max(count, 1u);
  }
  if (FILE *file = fopen("/sys/fs/cgroup/cpu.max", "r")) {
    long long quota, period;
    if (fscanf(file, "%lld %lld", &quota, &period) == 2 && quota > 0 && period > 0)
      processors = unsigned(std::clamp<long long>((quota + period - 1) / period, 1, processors));
    fclose(file);
  }
  return processors;
}

/// Pauses until ready() or the time is over; whether it became ready.
template <typename Ready> bool ThreadPool::spinUntil(Ready ready) const {
  for (uint64_t start = __builtin_ia32_rdtsc(); !ready(); __builtin_ia32_pause())
    if (__builtin_ia32_rdtsc() - start > spinTicks)
      return false;
  return true;
}

ThreadPool::ThreadPool(unsigned threads) : spinTicks(threads > usableProcessors() ? kSharedSpinTicks : kSpinTicks) {
  workers.reserve(threads > 1 ? threads - 1 : 0);
  for (unsigned i = 1; i < threads; ++i)
    workers.emplace_back([this] { work(); });
}

ThreadPool::~ThreadPool() {
  stopping.store(true);
  ticket.fetch_add(uint64_t(1) << 32);
  futexWake(regionWord(ticket), INT_MAX);
  for (std::thread &worker : workers)
    worker.join();
}

/// Takes one chunk of the region that |current| names and runs it. False when none is left.
bool ThreadPool::takeChunk(uint64_t &current) {
  while (leftOf(current) != 0) {
    // Read before the exchange: if it succeeds, the region was this one all along, so these are its values.
    Function run = function.load(std::memory_order_relaxed);
    void *of = self.load(std::memory_order_relaxed);
    uint32_t chunks = count.load(std::memory_order_relaxed);
    uint32_t left = leftOf(current);
    if (!ticket.compare_exchange_weak(current, current - 1, std::memory_order_acq_rel, std::memory_order_acquire))
      continue;
    run(of, int64_t(chunks) - left);
    if (done.fetch_add(1) + 1 == chunks && callerSleeps.load())
      futexWake(&done, 1);
    current = ticket.load(std::memory_order_acquire);
    return true;
  }
  return false;
}

void ThreadPool::work() {
  uint64_t current = ticket.load(std::memory_order_acquire);
  while (!stopping.load(std::memory_order_relaxed)) {
    if (takeChunk(current))
      continue;
    uint32_t region = regionOf(current);
    if (spinUntil([&] { return regionOf(current = ticket.load(std::memory_order_acquire)) != region; }))
      continue;
    sleepers.fetch_add(1);
    current = ticket.load();
    if (regionOf(current) == region && !stopping.load())
      futexWait(regionWord(ticket), region);
    sleepers.fetch_sub(1);
    current = ticket.load(std::memory_order_acquire);
  }
}

void ThreadPool::run(int64_t chunks, Function run, void *of) {
  if (chunks <= 0)
    return;
  if (workers.empty() || chunks == 1) {
    for (int64_t chunk = 0; chunk < chunks; ++chunk)
      run(of, chunk);
    return;
  }
  // No chunk is left of the last region and all have returned, so nobody uses these.
  function.store(run, std::memory_order_relaxed);
  self.store(of, std::memory_order_relaxed);
  count.store(uint32_t(chunks), std::memory_order_relaxed);
  done.store(0, std::memory_order_relaxed);
  uint64_t current = (uint64_t(regionOf(ticket.load(std::memory_order_relaxed)) + 1) << 32) | uint64_t(chunks);
  ticket.store(current); // sequentially consistent with the sleepers' count
  if (uint32_t asleep = sleepers.load())
    futexWake(regionWord(ticket), int(std::min<int64_t>(asleep, chunks - 1)));
  while (takeChunk(current)) {
  }
  if (spinUntil([&] { return done.load(std::memory_order_acquire) == uint32_t(chunks); }))
    return;
  callerSleeps.store(1);
  for (uint32_t finished; (finished = done.load()) != uint32_t(chunks);)
    futexWait(&done, finished);
  callerSleeps.store(0);
}
} // namespace moe
