// Device.h - what a session needs from the place where kernels run.
#ifndef MOE_BASE_DEVICE_H
#define MOE_BASE_DEVICE_H

#include "artefact/Artefact.h"
#include "base/Memory.h"

#include <memory>
#include <vector>

namespace moe {

/// What plan() said for one set of extents, and where the temporaries lie in the arena.
struct Plan {
  uint32_t entry = 0;
  std::vector<int64_t> extents;       // of the inputs
  std::vector<int64_t> outputExtents; // -1 where data decide
  std::vector<uint64_t> offsets;      // of the temporaries
  uint64_t arenaSize = 0;
  uint64_t lastUse = 0;
};

/// One run: everything is checked already.
struct RunRequest {
  uint32_t entry;
  const Plan *plan;
  const moe_tensor_t *inputs; // host memory
  // Host memory of the outputs; NULL where data decide the extents: the device calls |output| for those.
  std::vector<void *> outputData;
  /// Makes room for an output whose extents are known only now. NULL when there is no memory, the caller's buffer is
  /// too small, or the extents do not fit; the session has the reason then.
  void *(*output)(void *self, uint32_t index, const int64_t *extents);
  /// Bytes of an output that has its memory.
  size_t (*outputBytes)(void *self, uint32_t index);
  void *self;
};

/// What Device::time is asked for, and what it found.
struct TimeRequest {
  uint32_t entry;
  const Plan *plan;
  size_t numSets;             // of inputs; they take turns
  const moe_tensor_t *inputs; // [numSets][inputs of the entry]; checked
  bool cold;                  // weights are not in the cache when a run begins
  double warmSeconds, seconds;
  size_t minRuns, maxRuns;
  // Results.
  std::vector<double> us; // of a run; one number for each replay
  size_t runs = 0;
  const char *coldBy = "";           // "size", "copies", "flush", or "" if the weights are warm
  double readRoof = 0, copyRoof = 0; // bytes a second
};

using StepCallback = void (*)(void *self, const moe_step_event_t *event);

class Device {
public:
  virtual ~Device() = default;
  virtual unsigned threads() const { return 1; }
  virtual Status run(const Artefact &artefact, RunRequest &request) = 0;
  /// Times an entry on the device, without copies. Only devices do; on the CPU a caller's clock serves.
  virtual Status time(const Artefact &artefact, TimeRequest &request);

  StepCallback profiler = nullptr;
  void *profilerSelf = nullptr;

protected:
  /// Tells the profiler of a step that ran from |begin| to |end| (nowNs).
  void reportStep(const Artefact &artefact, uint32_t entry, uint32_t step, uint32_t kernel, int64_t items,
                  uint64_t begin, uint64_t end);
};

/// A clock that only goes forward, in nanoseconds.
uint64_t nowNs();

/// What a step is called in messages: "moe.route (/model/layers.3/mlp/gate)", or the kernel's name when the manifest
/// lists fewer steps.
std::string describeStep(const Artefact &artefact, uint32_t entry, uint32_t step, uint32_t kernel);
/// The message of a kernel's or a plan's error code.
std::string describeError(const Artefact &artefact, int32_t code);

Status createCpuDevice(Artefact &artefact, unsigned threads, const moe_allocator_t &allocator,
                       std::unique_ptr<Device> &out);
Status createCudaDevice(const Artefact &artefact, int ordinal, std::unique_ptr<Device> &out);

} // namespace moe
#endif // MOE_BASE_DEVICE_H
