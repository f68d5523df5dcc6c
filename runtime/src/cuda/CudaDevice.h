// CudaDevice.h - runs entries on a CUDA device through the driver.
//
// Weights are uploaded (random ones: filled) once. Temporaries lie in one arena, inputs and outputs of known extents in
// another block, so that a run with the same extents finds everything where it was: its launches are captured into a
// graph the second time and replayed from then on. Nothing waits for a count: only outputs and moe_host_t::read do, and
// an entry that reads says so in the manifest and is not captured.
#ifndef MOE_CUDA_CUDADEVICE_H
#define MOE_CUDA_CUDADEVICE_H

#include "base/Device.h"
#include "cuda/Kernels.h"

#include <algorithm>

namespace moe::cuda {

constexpr size_t kAlign = 256; // of every buffer; the driver aligns allocations as much
inline size_t roundUp(size_t size) { return (std::max<size_t>(size, 1) + kAlign - 1) / kAlign * kAlign; }
inline void *hostView(DevicePointer memory) { return reinterpret_cast<void *>(memory); }
inline DevicePointer deviceView(const void *memory) { return reinterpret_cast<DevicePointer>(memory); }

class CudaDevice : public Device {
public:
  CudaDevice(const Driver &driver, int ordinal) : driver(driver), ordinal(ordinal), kernels(driver, chip) {}
  ~CudaDevice() override;
  Status create(const Artefact &artefact);
  Status run(const Artefact &artefact, RunRequest &request) override;
  Status time(const Artefact &artefact, TimeRequest &request) override;

private:
  struct Memory {
    DevicePointer data = 0;
    size_t size = 0;
  };
  enum class Mode {
    Eager,   // launches are counted, so that a failure has a name
    Profile, // and timed
    Capture, // they go into a graph
  };
  struct Launched {
    uint32_t step, kernel;
    int64_t items;
  };
  struct Context { // of one run
    CudaDevice *device;
    const Artefact *artefact;
    uint32_t entry;
    RunRequest *request; // NULL: outputs stay on the device
    Mode mode;
    uint32_t step = 0;
    Status problem;
    std::vector<void *> buffers;        // as the host program takes them
    std::vector<DevicePointer> outputs; // device memory of each output
    std::vector<Memory> extra;          // freed after the run
    std::vector<Launched> launched;
  };
  struct Graph { // of an entry with certain extents
    uint32_t entry = 0;
    std::vector<int64_t> extents;
    uint64_t generation = 0, lastUse = 0; // of the memory it was captured with
    void *executable = nullptr;
  };
  static constexpr size_t kMaxGraphs = 64;

  Status failure(const std::string &what, Result error) const;
  Status reserve(Memory &memory, size_t size, const std::string &purpose);
  void release(Memory &memory);
  Status uploadWeights(const Artefact &artefact);
  Status loadOwnKernels();
  Status fill(DevicePointer memory, const Weight &weight);
  Status launchOwn(void *function, void **parameters, uint32_t blocks);

  /// Device memory for everything of one run, no contents yet.
  Status place(const Entry &entry, const Plan &plan, Memory &values, size_t numSets, std::vector<DevicePointer> &inputs,
               std::vector<DevicePointer> &outputs);
  void bind(const Entry &entry, const Plan &plan, const DevicePointer *inputs,
            const std::vector<DevicePointer> &outputs, Context &context) const;
  Status copyInputs(const Entry &entry, const moe_tensor_t *tensors, const DevicePointer *inputs);
  /// Calls the host program: queues or captures its launches.
  Status callHost(const Plan &plan, Context &context);
  Status capture(const Plan &plan, std::vector<Context> &contexts, void *&executable);
  Status runGraph(const Plan &plan, Context &context, bool &ran);
  Status finish(RunRequest &request, Context &context);
  /// A failure that showed when the device was waited for, with the step that it came from.
  Status lateFailure(const Context &context, Result error) const;
  Status reportEvents(const Context &context);
  Status event(size_t number, void *&out);

  // CudaTiming.cpp
  Status timeSets(const Plan &plan, std::vector<Context> &sets, TimeRequest &request, Memory &flush);
  Status timeEagerly(const Plan &plan, std::vector<Context> &sets, TimeRequest &request);
  Status measureRoofs(TimeRequest &request);
  Status between(size_t first, size_t second, double &microseconds);

  static int32_t launch(void *context, uint32_t kernel, int64_t items, const void *args, uint64_t argsSize);
  static void *allocate(void *context, uint64_t size);
  static void *output(void *context, uint32_t index, const int64_t *extents);
  static int32_t read(void *context, const void *source, uint64_t size, void *destination);
  static constexpr moe_host_t kHost = {sizeof(moe_host_t), launch, allocate, output, read};

  const Driver &driver;
  int ordinal, handle = 0;
  Chip chip;
  Kernels kernels;
  void *primary = nullptr, *stream = nullptr;
  void *ownModule = nullptr, *fillFunction = nullptr, *readFunction = nullptr;
  std::vector<Memory> weightFiles;
  Memory randomWeights;
  std::vector<DevicePointer> weights; // by number in the manifest
  Memory arena, values;               // values: inputs and outputs of known extents
  uint64_t generation = 0;            // counts what became of arena and values
  std::vector<Graph> graphs;
  uint64_t clock = 0;
  std::vector<void *> events;
  // Launches of the current run that have ended; host memory that the device writes.
  volatile uint32_t *ended = nullptr;
  DevicePointer endedOnDevice = 0;
};

} // namespace moe::cuda
#endif // MOE_CUDA_CUDADEVICE_H
