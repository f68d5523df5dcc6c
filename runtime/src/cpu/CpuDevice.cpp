// CpuDevice.cpp - runs entries with the kernels of the best variant that this processor meets.
//
// A launch is cut into chunks of whole items. A kernel's time for one item is remembered, so that launches that take
// less than it costs to wake a thread run in the caller alone. Items do not depend on each other: how they are cut
// never changes a result.
#include "base/Device.h"
#include "cpu/Isa.h"
#include "cpu/ThreadPool.h"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace moe {
namespace {

constexpr double kAloneNs = 3000; // a launch that is expected to take less runs in the caller
constexpr double kChunkNs = 1500; // chunks are not cut finer than this
constexpr int64_t kChunksPerThread = 8;

class CpuDevice : public Device {
public:
  CpuDevice(const Artefact &artefact, const moe_cpu_variant_t &variant, unsigned threads,
            const moe_allocator_t &allocator)
      : kernels(variant.kernels), allocator(allocator), pool(threads), itemNs(artefact.module().num_kernels, -1.0) {}

  unsigned threads() const override { return pool.threads(); }

  Status run(const Artefact &artefact, RunRequest &request) override;

private:
  struct Context { // of one run
    CpuDevice *device;
    const Artefact *artefact;
    RunRequest *request;
    uint32_t step = 0;
    int32_t error = 0;
    uint32_t failedStep = 0, failedKernel = 0;
    uint64_t refused = 0; // bytes of an allocation that failed
    std::vector<Block> blocks;
  };
  struct Region { // of one launch
    moe_cpu_kernel_t kernel;
    const void *args;
    int64_t items, chunks;
    std::atomic<int32_t> error;
  };

  static int32_t launch(void *context, uint32_t kernel, int64_t items, const void *args, uint64_t argsSize);
  static void *allocate(void *context, uint64_t size);
  static void *output(void *context, uint32_t index, const int64_t *extents);
  static int32_t read(void *context, const void *source, uint64_t size, void *destination);
  static void runChunk(void *region, int64_t chunk);
  int32_t runItems(uint32_t kernel, int64_t items, const void *args);

  static constexpr moe_host_t kHost = {sizeof(moe_host_t), launch, allocate, output, read};
  const moe_cpu_kernel_t *kernels;
  moe_allocator_t allocator;
  ThreadPool pool;
  std::vector<double> itemNs; // by kernel: nanoseconds of one thread for one item, -1 unknown
  Block arena;
};

void CpuDevice::runChunk(void *self, int64_t chunk) {
  Region &region = *static_cast<Region *>(self);
  // Chunks differ by at most one item; items * chunks stays far below 2^63 since chunks is small.
  int64_t size = region.items / region.chunks, more = region.items % region.chunks;
  int64_t begin = chunk * size + std::min(chunk, more), end = begin + size + (chunk < more);
  if (int32_t error = region.kernel(region.args, begin, end)) {
    int32_t none = 0;
    region.error.compare_exchange_strong(none, error);
  }
}

int32_t CpuDevice::runItems(uint32_t kernel, int64_t items, const void *args) {
  double &cost = itemNs[kernel];
  int64_t threads = pool.threads();
  double expected = cost < 0 ? 1e9 : cost * double(items);
  uint64_t begin = nowNs();
  int32_t error;
  int64_t parallel = 1;
  if (threads == 1 || items == 1 || expected < kAloneNs) {
    error = kernels[kernel](args, 0, items);
  } else {
    int64_t chunks = std::min(items, threads * kChunksPerThread);
    if (cost >= 0)
      chunks = std::min(chunks, std::max<int64_t>(int64_t(expected / kChunkNs), threads));
    Region region{kernels[kernel], args, items, std::min(chunks, items), {0}};
    pool.run(region.chunks, runChunk, &region);
    error = region.error;
    parallel = std::min(threads, region.chunks);
  }
  double measured = double(nowNs() - begin) * double(parallel) / double(items);
  cost = cost < 0 ? measured : 0.5 * (cost + std::min(measured, 8 * cost)); // a disturbance counts at most eightfold
  return error;
}

int32_t CpuDevice::launch(void *self, uint32_t kernel, int64_t items, const void *args, uint64_t) {
  Context &context = *static_cast<Context *>(self);
  CpuDevice &device = *context.device;
  uint32_t step = context.step++;
  if (items <= 0)
    return 0;
  uint64_t begin = device.profiler ? nowNs() : 0;
  int32_t error = device.runItems(kernel, items, args);
  if (device.profiler)
    device.reportStep(*context.artefact, context.request->entry, step, kernel, items, begin, nowNs());
  if (error && !context.error)
    context.error = error, context.failedStep = step, context.failedKernel = kernel;
  return error;
}

void *CpuDevice::allocate(void *self, uint64_t size) {
  Context &context = *static_cast<Context *>(self);
  Block block;
  if (size > SIZE_MAX / 2 || !block.allocate(context.device->allocator, size)) {
    context.refused = size;
    return nullptr;
  }
  context.blocks.push_back(std::move(block));
  return context.blocks.back().data();
}

void *CpuDevice::output(void *self, uint32_t index, const int64_t *extents) {
  Context &context = *static_cast<Context *>(self);
  return context.request->output(context.request->self, index, extents);
}

int32_t CpuDevice::read(void *, const void *source, uint64_t size, void *destination) {
  memcpy(destination, source, size);
  return 0;
}

Status CpuDevice::run(const Artefact &artefact, RunRequest &request) {
  const Entry &entry = artefact.manifest().entries[request.entry];
  const moe_entry_t &code = artefact.module().entries[request.entry];
  const Plan &plan = *request.plan;
  if (arena.size() < plan.arenaSize) {
    arena.reset();
    if (!arena.allocate(allocator, plan.arenaSize))
      return Status(MOE_OUT_OF_MEMORY, format("entry %s needs %llu bytes for temporaries", entry.name.c_str(),
                                              (unsigned long long)plan.arenaSize));
  }
  alignas(64) static char nothing[64]; // where empty tensors point
  std::vector<void *> buffers;
  buffers.reserve(entry.inputs.size() + entry.outputs.size() + entry.weights.size() + entry.temporaries.size());
  for (size_t i = 0; i < entry.inputs.size(); ++i)
    buffers.push_back(request.inputs[i].data ? request.inputs[i].data : nothing);
  for (void *data : request.outputData)
    buffers.push_back(data);
  for (uint32_t weight : entry.weights)
    buffers.push_back(const_cast<uint8_t *>(artefact.weightData(weight)));
  for (uint64_t offset : plan.offsets)
    buffers.push_back(arena.data() ? static_cast<char *>(arena.data()) + offset : nothing);
  Context context{this, &artefact, &request, 0, 0, 0, 0, 0, {}};
  int32_t error = code.run(&kHost, &context, plan.extents.data(), buffers.data());
  if (error == 0 && context.error == 0 && context.refused == 0)
    return Status();
  if (context.error)
    return Status(MOE_RUN_FAILED,
                  format("entry %s, step %u, %s: ", entry.name.c_str(), context.failedStep,
                         describeStep(artefact, request.entry, context.failedStep, context.failedKernel).c_str()) +
                      describeError(artefact, context.error));
  if (context.refused)
    return Status(MOE_OUT_OF_MEMORY,
                  format("entry %s, before step %u: %llu bytes for a buffer whose size depends on data",
                         entry.name.c_str(), context.step, (unsigned long long)context.refused));
  return Status(MOE_RUN_FAILED,
                format("entry %s, after step %u: ", entry.name.c_str(), context.step) + describeError(artefact, error));
}
} // namespace

Status createCpuDevice(Artefact &artefact, unsigned threads, const moe_allocator_t &allocator,
                       std::unique_ptr<Device> &out) {
  const moe_module_t &module = artefact.module();
  std::string wanted;
  for (uint32_t i = 0; i < module.num_cpu_variants; ++i) {
    if (processorMeets(module.cpu_variants[i].isa)) {
      threads = threads ? threads : usableProcessors();
      MOE_RETURN_IF_ERROR(artefact.fillRandomWeights(threads));
      out = std::make_unique<CpuDevice>(artefact, module.cpu_variants[i], threads, allocator);
      return Status();
    }
    wanted += (i ? " or " : "") + std::string(module.cpu_variants[i].isa);
  }
  return Status(MOE_UNSUPPORTED, artefact.path() + ": expected a processor with " +
                                     (wanted.empty() ? "no variant at all" : wanted) + ", found one without");
}
} // namespace moe
