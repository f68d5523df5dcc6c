// ThreadPool.h - runs the chunks of one region on several threads; a region costs about a microsecond.
//
// One 64-bit ticket holds the region's number (high half) and the chunks not yet taken (low half). A thread takes a
// chunk by compare-and-swap; the number makes a late thread's exchange fail once the region has changed. The caller
// takes chunks too, and waits until the chunks are done, not until every thread has woken: a worker that the system
// does not schedule delays nothing. Waiting spins for some 50 microseconds, or few where threads share processors, then sleeps on a futex.
#ifndef MOE_CPU_THREADPOOL_H
#define MOE_CPU_THREADPOOL_H

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace moe {

/// Processors that this process may use: its affinity, and its control group's quota.
unsigned usableProcessors();

class ThreadPool {
public:
  /// |threads| >= 1 counts the caller.
  explicit ThreadPool(unsigned threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;

  unsigned threads() const { return unsigned(workers.size()) + 1; }

  using Function = void (*)(void *self, int64_t chunk);
  /// Calls function(self, c) once for each c in [0, chunks), on any threads, and returns when all have returned.
  /// One region at a time: not to be called from two threads at once, nor from within |function|.
  void run(int64_t chunks, Function function, void *self);

private:
  void work();
  template <typename Ready> bool spinUntil(Ready ready) const;
  bool takeChunk(uint64_t &ticket);

  std::vector<std::thread> workers;
  const uint64_t spinTicks; // of the time stamp counter
  alignas(64) std::atomic<uint64_t> ticket{0};
  alignas(64) std::atomic<uint32_t> done{0}; // chunks of this region that have returned
  std::atomic<uint32_t> callerSleeps{0};
  alignas(64) std::atomic<uint32_t> sleepers{0};
  std::atomic<bool> stopping{false};
  // The region. Written only while no chunk is left to take.
  std::atomic<uint32_t> count{0};
  std::atomic<Function> function{nullptr};
  std::atomic<void *> self{nullptr};
};

} // namespace moe
#endif // MOE_CPU_THREADPOOL_H
