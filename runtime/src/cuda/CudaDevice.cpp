// CudaDevice.cpp - runs entries on a CUDA device through the driver: weights uploaded once, temporaries in one arena,
// launches queued on one stream, outputs copied back at the end. Nothing in here waits for a count: only outputs and
// moe_host_t::read do.
#include "base/Device.h"
#include "cuda/Driver.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>

namespace moe {
namespace {
using cuda::DevicePointer;
using cuda::Driver;

constexpr size_t kAlign = 256;   // of every buffer; the driver aligns allocations as much
constexpr int32_t kStopped = -1; // what our functions return to the host program once something failed

size_t roundUp(size_t size) { return (size + kAlign - 1) / kAlign * kAlign; }
void *hostView(DevicePointer memory) { return reinterpret_cast<void *>(memory); }
DevicePointer deviceView(const void *memory) { return reinterpret_cast<DevicePointer>(memory); }

class CudaDevice : public Device {
public:
  explicit CudaDevice(const Driver &driver, int ordinal) : driver(driver), ordinal(ordinal) {}
  ~CudaDevice() override;
  Status create(const Artefact &artefact);
  Status run(const Artefact &artefact, RunRequest &request) override;

private:
  struct Memory {
    DevicePointer data = 0;
    size_t size = 0;
  };
  struct Context { // of one run
    CudaDevice *device;
    const Artefact *artefact;
    RunRequest *request;
    uint32_t step = 0;
    Status problem;
    std::vector<DevicePointer> outputs; // device memory of each output
    std::vector<Memory> extra;          // freed after the run
    std::vector<char> block;            // of the launch's parameters
  };

  Status failure(const std::string &what, cuda::Result error) const {
    return Status(error == cuda::kOutOfMemory ? MOE_OUT_OF_MEMORY : MOE_DEVICE_ERROR,
                  name + ": " + what + ": " + driver.describe(error));
  }
  Status reserve(Memory &memory, size_t size, const std::string &purpose);
  Status loadImage(const Artefact &artefact);
  Status uploadWeights(const Artefact &artefact);
  Status prepare(const Artefact &artefact, RunRequest &request, Context &context, std::vector<void *> &buffers);
  Status finish(const Artefact &artefact, RunRequest &request, Context &context);

  static int32_t launch(void *context, uint32_t kernel, int64_t items, const void *args, uint64_t argsSize);
  static void *allocate(void *context, uint64_t size);
  static void *output(void *context, uint32_t index, const int64_t *extents);
  static int32_t read(void *context, const void *source, uint64_t size, void *destination);
  static constexpr moe_host_t kHost = {sizeof(moe_host_t), launch, allocate, output, read};

  const Driver &driver;
  int ordinal, handle = 0, major = 0, minor = 0;
  std::string name = "device";
  void *primary = nullptr, *stream = nullptr, *module = nullptr;
  std::vector<void *> functions; // by kernel
  std::vector<Memory> weightFiles;
  Memory arena, values; // values: inputs and outputs of known extents
};

CudaDevice::~CudaDevice() {
  if (!primary)
    return;
  driver.contextSetCurrent(primary);
  for (Memory &file : weightFiles)
    driver.memFree(file.data);
  for (Memory *memory : {&arena, &values})
    if (memory->data)
      driver.memFree(memory->data);
  if (module)
    driver.moduleUnload(module);
  if (stream)
    driver.streamDestroy(stream);
  driver.primaryContextRelease(handle);
}

/// Makes |memory| at least |size| bytes large; its contents are lost if it grows.
Status CudaDevice::reserve(Memory &memory, size_t size, const std::string &purpose) {
  if (memory.data && memory.size >= size)
    return Status();
  if (memory.data)
    driver.memFree(memory.data);
  memory = Memory();
  size = std::max<size_t>(size, 1);
  if (cuda::Result error = driver.memAlloc(&memory.data, size)) {
    memory.data = 0;
    size_t free = 0, total = 0;
    driver.memGetInfo(&free, &total);
    return failure(format("%zu bytes for %s, with %zu of %zu bytes free", size, purpose.c_str(), free, total), error);
  }
  memory.size = size;
  return Status();
}

Status CudaDevice::create(const Artefact &artefact) {
  int count = 0;
  if (cuda::Result error = driver.deviceGetCount(&count))
    return failure("cannot count devices", error);
  if (ordinal < 0 || ordinal >= count)
    return Status(MOE_NOT_FOUND, format("device: expected a number below %d, found %d", count, ordinal));
  char text[128] = "";
  if (cuda::Result error = driver.deviceGet(&handle, ordinal))
    return failure("cannot open", error);
  driver.deviceGetName(text, sizeof(text), handle);
  name = format("device %d (%s)", ordinal, text);
  driver.deviceGetAttribute(&major, cuda::kAttributeMajor, handle);
  driver.deviceGetAttribute(&minor, cuda::kAttributeMinor, handle);
  if (cuda::Result error = driver.primaryContextRetain(&primary, handle)) {
    primary = nullptr;
    return failure("cannot start", error);
  }
  if (cuda::Result error = driver.contextSetCurrent(primary))
    return failure("cannot start", error);
  if (cuda::Result error = driver.streamCreate(&stream, cuda::kNonBlockingStream))
    return failure("cannot make a stream", error);
  MOE_RETURN_IF_ERROR(loadImage(artefact));
  return uploadWeights(artefact);
}

/// Takes the first cubin that runs on this chip, else the first PTX; "sm_90a" is for 9.0 alone, other cubins for their
/// major version.
Status CudaDevice::loadImage(const Artefact &artefact) {
  const moe_module_t &code = artefact.module();
  const moe_device_image_t *best = nullptr;
  std::string offered;
  for (uint32_t i = 0; i < code.num_device_images; ++i) {
    const moe_device_image_t &image = code.device_images[i];
    offered += (i ? ", " : "") + std::string(image.chip) + " " + image.format;
    if (strncmp(image.chip, "sm_", 3) != 0)
      continue;
    char *suffix;
    int version = int(strtol(image.chip + 3, &suffix, 10)), wantedMajor = version / 10, wantedMinor = version % 10;
    bool exact = *suffix != 0, cubin = strcmp(image.format, "cubin") == 0;
    bool same = wantedMajor == major && wantedMinor == minor,
         newer = major > wantedMajor || (major == wantedMajor && minor >= wantedMinor);
    if (exact ? same : cubin ? newer && major == wantedMajor : newer)
      if (!best || (cubin && strcmp(best->format, "cubin") != 0))
        best = &image;
  }
  if (!best)
    return Status(MOE_UNSUPPORTED, name + format(": expected code for sm_%d%d, found %s", major, minor,
                                                 offered.empty() ? "none" : offered.c_str()));
  std::string text(static_cast<const char *>(best->data), best->size); // PTX must end in a zero byte
  char log[4096] = "";
  int options[] = {cuda::kJitErrorLog, cuda::kJitErrorLogSize};
  void *optionValues[] = {log, reinterpret_cast<void *>(sizeof(log))};
  if (cuda::Result error = driver.moduleLoad(&module, text.c_str(), 2, options, optionValues)) {
    module = nullptr;
    for (char *c = log; *c; ++c)
      *c = *c == '\n' ? ' ' : *c;
    return failure(std::string("cannot load the ") + best->chip + " " + best->format +
                       (*log ? std::string(" (") + log + ")" : ""),
                   error);
  }
  functions.resize(code.num_kernels);
  for (uint32_t kernel = 0; kernel < code.num_kernels; ++kernel) {
    if (code.kernel_block_size[kernel] < 1 || code.kernel_block_size[kernel] > 1024)
      return Status(MOE_BAD_ARTEFACT,
                    artefact.path() + format(": kernel %s: expected 1 to 1024 threads in a block, found %u",
                                             code.kernel_names[kernel], code.kernel_block_size[kernel]));
    if (cuda::Result error = driver.moduleGetFunction(&functions[kernel], module, code.kernel_names[kernel]))
      return failure(std::string("no kernel ") + code.kernel_names[kernel], error);
  }
  return Status();
}

Status CudaDevice::uploadWeights(const Artefact &artefact) {
  const auto &files = artefact.manifest().weightFiles;
  for (uint32_t file = 0; file < files.size(); ++file) {
    Memory memory;
    MOE_RETURN_IF_ERROR(reserve(memory, files[file].size, "the weights of " + files[file].file));
    weightFiles.push_back(memory);
    if (cuda::Result error =
            driver.copyToDevice(memory.data, artefact.weightFile(file).data(), files[file].size, stream))
      return failure("cannot copy the weights of " + files[file].file, error);
  }
  if (cuda::Result error = driver.streamSynchronize(stream))
    return failure("cannot copy weights", error);
  return Status();
}

int32_t CudaDevice::launch(void *self, uint32_t kernel, int64_t items, const void *args, uint64_t argsSize) {
  Context &context = *static_cast<Context *>(self);
  CudaDevice &device = *context.device;
  const Artefact &artefact = *context.artefact;
  uint32_t step = context.step++;
  if (!context.problem.ok())
    return kStopped;
  if (items <= 0)
    return 0;
  context.block.resize(argsSize + 8);
  memcpy(context.block.data(), args, argsSize);
  memcpy(context.block.data() + argsSize, &items, 8);
  size_t size = context.block.size();
  void *extra[] = {cuda::kParameterBuffer, context.block.data(), cuda::kParameterSize, &size, nullptr};
  int64_t threads = artefact.module().kernel_block_size[kernel], blocks = (items + threads - 1) / threads;
  auto where = [&] { return format("step %u, ", step) + describeStep(artefact, context.request->entry, step, kernel); };
  if (blocks > INT32_MAX) {
    context.problem =
        Status(MOE_UNSUPPORTED, device.name + ": " + where() +
                                    format(": expected at most %d blocks, found %lld", INT32_MAX, (long long)blocks));
    return kStopped;
  }
  uint64_t begin = device.profiler ? nowNs() : 0;
  cuda::Result error = device.driver.launchKernel(device.functions[kernel], unsigned(blocks), 1, 1, unsigned(threads),
                                                  1, 1, 0, device.stream, nullptr, extra);
  if (!error && device.profiler)
    error = device.driver.streamSynchronize(device.stream);
  if (error) {
    context.problem = device.failure(where(), error);
    return kStopped;
  }
  if (device.profiler)
    device.reportStep(*context.artefact, context.request->entry, step, kernel, items, begin);
  return 0;
}

void *CudaDevice::allocate(void *self, uint64_t size) {
  Context &context = *static_cast<Context *>(self);
  Memory memory;
  if (context.problem.ok())
    context.problem = context.device->reserve(memory, size, "a buffer whose size depends on data");
  if (!context.problem.ok())
    return nullptr;
  context.extra.push_back(memory);
  return hostView(memory.data);
}

void *CudaDevice::output(void *self, uint32_t index, const int64_t *extents) {
  Context &context = *static_cast<Context *>(self);
  if (!context.problem.ok() || !context.request->output(context.request->self, index, extents))
    return nullptr;
  const Value &value = context.artefact->manifest().entries[context.request->entry].outputs[index];
  size_t bytes = moe_dtype_size(value.dtype);
  for (size_t i = 0; i < value.dims.size(); ++i) // checked by request->output
    bytes *= size_t(extents[i]);
  void *memory = allocate(self, bytes);
  if (memory)
    context.outputs[index] = deviceView(memory);
  return memory;
}

int32_t CudaDevice::read(void *self, const void *source, uint64_t size, void *destination) {
  Context &context = *static_cast<Context *>(self);
  CudaDevice &device = *context.device;
  if (!context.problem.ok())
    return kStopped;
  cuda::Result error = device.driver.copyToHost(destination, deviceView(source), size, device.stream);
  if (!error)
    error = device.driver.streamSynchronize(device.stream);
  if (error)
    context.problem = device.failure(format("after step %u", context.step), error);
  return error ? kStopped : 0;
}

/// Device memory for everything, inputs copied.
Status CudaDevice::prepare(const Artefact &artefact, RunRequest &request, Context &context,
                           std::vector<void *> &buffers) {
  const Entry &entry = artefact.manifest().entries[request.entry];
  MOE_RETURN_IF_ERROR(reserve(arena, request.plan->arenaSize, "the temporaries of entry " + entry.name));
  auto outputBytes = [&](size_t i) {
    const int64_t *extents = request.plan->outputExtents.data();
    for (size_t before = 0; before < i; ++before)
      extents += entry.outputs[before].dims.size();
    size_t bytes = moe_dtype_size(entry.outputs[i].dtype);
    for (size_t d = 0; d < entry.outputs[i].dims.size(); ++d)
      bytes *= size_t(extents[d]);
    return bytes;
  };
  size_t total = 0;
  for (size_t i = 0; i < entry.inputs.size(); ++i)
    total += roundUp(std::max<size_t>(request.inputs[i].size, 1));
  for (size_t i = 0; i < entry.outputs.size(); ++i)
    total += request.outputData[i] ? roundUp(std::max<size_t>(outputBytes(i), 1)) : 0;
  MOE_RETURN_IF_ERROR(reserve(values, total, "the inputs and outputs of entry " + entry.name));
  DevicePointer next = values.data;
  for (size_t i = 0; i < entry.inputs.size(); ++i) {
    const moe_tensor_t &input = request.inputs[i];
    buffers.push_back(hostView(next));
    if (input.size && input.data)
      if (cuda::Result error = driver.copyToDevice(next, input.data, input.size, stream))
        return failure("cannot copy input " + entry.inputs[i].name, error);
    next += roundUp(std::max<size_t>(input.size, 1));
  }
  for (size_t i = 0; i < entry.outputs.size(); ++i) {
    context.outputs.push_back(request.outputData[i] ? next : 0);
    buffers.push_back(hostView(context.outputs[i]));
    next += request.outputData[i] ? roundUp(std::max<size_t>(outputBytes(i), 1)) : 0;
  }
  for (uint32_t weight : entry.weights) {
    const Weight &info = artefact.manifest().weights[weight];
    buffers.push_back(hostView(weightFiles[info.file].data + info.offset));
  }
  for (uint64_t offset : request.plan->offsets)
    buffers.push_back(hostView(arena.data + offset));
  return Status();
}

/// Copies outputs back and waits.
Status CudaDevice::finish(const Artefact &artefact, RunRequest &request, Context &context) {
  const Entry &entry = artefact.manifest().entries[request.entry];
  for (size_t i = 0; i < entry.outputs.size(); ++i) {
    size_t bytes = request.outputBytes(request.self, uint32_t(i));
    if (bytes && context.outputs[i])
      if (cuda::Result error = driver.copyToHost(request.outputData[i], context.outputs[i], bytes, stream))
        return failure("cannot copy output " + entry.outputs[i].name, error);
  }
  if (cuda::Result error = driver.streamSynchronize(stream))
    return failure(format("entry %s, one of %u steps", entry.name.c_str(), context.step), error);
  return Status();
}

Status CudaDevice::run(const Artefact &artefact, RunRequest &request) {
  if (cuda::Result error = driver.contextSetCurrent(primary)) // the caller's thread may be another one than last time
    return failure("cannot start", error);
  Context context{this, &artefact, &request, 0, Status(), {}, {}, {}};
  std::vector<void *> buffers;
  Status status = prepare(artefact, request, context, buffers);
  if (status.ok()) {
    int32_t error =
        artefact.module().entries[request.entry].run(&kHost, &context, request.plan->extents.data(), buffers.data());
    status = !context.problem.ok() ? context.problem
             : error
                 ? Status(MOE_RUN_FAILED,
                          format("entry %s, after step %u: ", artefact.manifest().entries[request.entry].name.c_str(),
                                 context.step) +
                              describeError(artefact, error))
                 : finish(artefact, request, context);
  }
  if (!status.ok())
    driver.streamSynchronize(stream); // nothing may still use what is freed below
  for (Memory &memory : context.extra)
    driver.memFree(memory.data);
  return status;
}
} // namespace

Status createCudaDevice(const Artefact &artefact, int ordinal, std::unique_ptr<Device> &out) {
  const Driver *driver;
  if (Status status = Driver::get(driver); !status.ok())
    return Status(status.code(), artefact.path() + " is compiled for cuda: " + status.message());
  auto device = std::make_unique<CudaDevice>(*driver, ordinal);
  MOE_RETURN_IF_ERROR(device->create(artefact));
  out = std::move(device);
  return Status();
}
} // namespace moe
