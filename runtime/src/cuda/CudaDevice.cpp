// CudaDevice.cpp - see CudaDevice.h.
#include "cuda/CudaDevice.h"

#include <cstring>

namespace moe::cuda {
namespace {
constexpr int32_t kStopped = -1; // what our functions return to the host program once something failed
constexpr char kOwnKernels[] =
#include "cuda/DeviceKernels.ptx.inc"
    ;
constexpr uint32_t kOwnBlockSize = 256;

size_t extentBytes(const Value &value, const int64_t *extents) {
  size_t bytes = moe_dtype_size(value.dtype);
  for (size_t d = 0; d < value.dims.size(); ++d)
    bytes *= size_t(extents[d]);
  return bytes;
}
} // namespace

CudaDevice::~CudaDevice() {
  if (!primary)
    return;
  driver.contextSetCurrent(primary);
  if (stream)
    driver.streamSynchronize(stream);
  for (Graph &graph : graphs)
    if (graph.executable)
      driver.graphExecutableDestroy(graph.executable);
  for (void *event : events)
    driver.eventDestroy(event);
  for (Memory &file : weightFiles)
    release(file);
  for (Memory *memory : {&randomWeights, &arena, &values})
    release(*memory);
  if (ended)
    driver.memFreeHost(const_cast<uint32_t *>(ended));
  if (ownModule)
    driver.moduleUnload(ownModule);
  kernels.unload();
  if (stream)
    driver.streamDestroy(stream);
  driver.primaryContextRelease(handle);
}

Status CudaDevice::failure(const std::string &what, Result error) const {
  return Status(error == kOutOfMemory ? MOE_OUT_OF_MEMORY : MOE_DEVICE_ERROR,
                chip.name + ": " + what + ": " + driver.describe(error));
}

void CudaDevice::release(Memory &memory) {
  if (memory.data)
    driver.memFree(memory.data);
  memory = Memory();
}

/// Makes |memory| at least |size| bytes large; its contents are lost if it grows.
Status CudaDevice::reserve(Memory &memory, size_t size, const std::string &purpose) {
  if (memory.data && memory.size >= size)
    return Status();
  release(memory);
  size = std::max<size_t>(size, 1);
  if (Result error = driver.memAlloc(&memory.data, size)) {
    memory.data = 0;
    size_t free = 0, total = 0, weights = randomWeights.size;
    driver.memGetInfo(&free, &total);
    for (const Memory &file : weightFiles)
      weights += file.size;
    return failure(format("%zu bytes for %s, with %zu of %zu bytes free; this session has %zu for weights, %zu for "
                          "temporaries, %zu for inputs and outputs",
                          size, purpose.c_str(), free, total, weights, arena.size, values.size),
                   error);
  }
  memory.size = size;
  return Status();
}

Status CudaDevice::create(const Artefact &artefact) {
  int count = 0;
  chip.name = "device";
  if (Result error = driver.deviceGetCount(&count))
    return failure("cannot count devices", error);
  if (ordinal < 0 || ordinal >= count)
    return Status(MOE_NOT_FOUND, format("device: expected a number below %d, found %d", count, ordinal));
  char text[128] = "";
  if (Result error = driver.deviceGet(&handle, ordinal))
    return failure("cannot open", error);
  driver.deviceGetName(text, sizeof(text), handle);
  chip.name = format("device %d (%s)", ordinal, text);
  struct {
    int *out, attribute;
  } wanted[] = {{&chip.major, kDeviceMajor},
                {&chip.minor, kDeviceMinor},
                {&chip.multiprocessors, kDeviceMultiprocessors},
                {&chip.sharedBytes, kDeviceSharedBytes},
                {&chip.l2Bytes, kDeviceL2Bytes}};
  for (auto &one : wanted)
    if (Result error = driver.deviceGetAttribute(one.out, one.attribute, handle))
      return failure(format("cannot read attribute %d", one.attribute), error);
  if (Result error = driver.primaryContextRetain(&primary, handle)) {
    primary = nullptr;
    return failure("cannot start", error);
  }
  if (Result error = driver.contextSetCurrent(primary))
    return failure("cannot start", error);
  if (Result error = driver.streamCreate(&stream, kNonBlockingStream))
    return failure("cannot make a stream", error);
  void *memory = nullptr;
  if (Result error = driver.memHostAlloc(&memory, sizeof(uint32_t), kHostMemoryOfDevice))
    return failure("cannot make host memory for the device", error);
  ended = static_cast<uint32_t *>(memory);
  if (Result error = driver.memHostGetDevicePointer(&endedOnDevice, memory, 0))
    return failure("cannot make host memory for the device", error);
  MOE_RETURN_IF_ERROR(kernels.load(artefact));
  return uploadWeights(artefact);
}

Status CudaDevice::loadOwnKernels() {
  if (ownModule)
    return Status();
  if (Result error = driver.moduleLoad(&ownModule, kOwnKernels, 0, nullptr, nullptr)) {
    ownModule = nullptr;
    return failure("cannot load the runtime's kernels", error);
  }
  if (Result error = driver.moduleGetFunction(&fillFunction, ownModule, "moe_fill"))
    return failure("no kernel moe_fill", error);
  if (Result error = driver.moduleGetFunction(&readFunction, ownModule, "moe_read"))
    return failure("no kernel moe_read", error);
  return Status();
}

Status CudaDevice::launchOwn(void *function, void **parameters, uint32_t blocks) {
  LaunchConfig config = {{blocks, 1, 1}, {kOwnBlockSize, 1, 1}, 0, stream, nullptr, 0};
  if (Result error = driver.launchKernel(&config, function, parameters, nullptr))
    return failure("the runtime's kernels", error);
  return Status();
}

/// Fills the memory of a random weight, which ends at a whole 16 bytes.
Status CudaDevice::fill(DevicePointer memory, const Weight &weight) {
  uint64_t words = (weight.size + 15) / 16, seed = weight.random.seed;
  uint32_t distribution = weight.random.distribution, dtype = weight.dtype;
  float first = weight.random.first, second = weight.random.second;
  if (!words)
    return Status();
  MOE_RETURN_IF_ERROR(loadOwnKernels());
  void *parameters[] = {&memory, &words, &seed, &distribution, &first, &second, &dtype};
  uint64_t blocks = std::min<uint64_t>((words - 1) / kOwnBlockSize + 1, uint64_t(chip.multiprocessors) * 16);
  return launchOwn(fillFunction, parameters, uint32_t(blocks));
}

Status CudaDevice::uploadWeights(const Artefact &artefact) {
  const Manifest &manifest = artefact.manifest();
  for (uint32_t file = 0; file < manifest.weightFiles.size(); ++file) {
    const WeightFile &info = manifest.weightFiles[file];
    Memory memory;
    MOE_RETURN_IF_ERROR(reserve(memory, info.size, "the weights of " + info.file));
    weightFiles.push_back(memory);
    if (Result error = driver.copyToDevice(memory.data, artefact.weightFile(file).data(), info.size, stream))
      return failure("cannot copy the weights of " + info.file, error);
  }
  if (manifest.randomBytes)
    MOE_RETURN_IF_ERROR(reserve(randomWeights, manifest.randomBytes, "random weights"));
  for (const Weight &weight : manifest.weights) {
    weights.push_back((weight.isRandom ? randomWeights.data : weightFiles[weight.file].data) + weight.offset);
    if (weight.isRandom)
      MOE_RETURN_IF_ERROR(fill(weights.back(), weight));
  }
  if (Result error = driver.streamSynchronize(stream))
    return failure("cannot load weights", error);
  return Status();
}

//===--- the host program's functions ---===//

int32_t CudaDevice::launch(void *self, uint32_t kernel, int64_t items, const void *args, uint64_t argsSize) {
  Context &context = *static_cast<Context *>(self);
  CudaDevice &device = *context.device;
  uint32_t step = context.step++;
  if (!context.problem.ok())
    return kStopped;
  if (items <= 0)
    return 0;
  size_t number = context.launched.size();
  context.launched.push_back({step, kernel, items});
  Result error = 0;
  void *before = nullptr, *after = nullptr;
  auto check = [&](Status status) {
    if (status.ok())
      return true;
    context.problem = Status(status.code(), device.chip.name + ": " + format("step %u, ", step) +
                                                describeStep(*context.artefact, context.entry, step, kernel) + ": " +
                                                status.message());
    return false;
  };
  auto driverSays = [&](Result result) {
    return check(result ? Status(MOE_DEVICE_ERROR, device.driver.describe(result)) : Status());
  };
  if (context.mode == Mode::Profile)
    if (!check(device.event(2 * number, before)) || !check(device.event(2 * number + 1, after)) ||
        !driverSays(error = device.driver.eventRecord(before, device.stream)))
      return kStopped;
  if (!check(device.kernels.launch(kernel, items, args, argsSize, device.stream)))
    return kStopped;
  if (context.mode == Mode::Profile && !driverSays(device.driver.eventRecord(after, device.stream)))
    return kStopped;
  if (context.mode != Mode::Capture &&
      !driverSays(device.driver.streamWriteValue(device.stream, device.endedOnDevice, uint32_t(number + 1), 0)))
    return kStopped;
  return 0;
}

void *CudaDevice::allocate(void *self, uint64_t size) {
  Context &context = *static_cast<Context *>(self);
  Memory memory;
  if (context.problem.ok() && context.mode == Mode::Capture)
    context.problem =
        Status(MOE_BAD_ARTEFACT, context.device->chip.name +
                                     ": the manifest says that the entry can be captured, but it asks for "
                                     "memory whose size depends on data");
  if (context.problem.ok())
    context.problem = context.device->reserve(memory, size, "a buffer whose size depends on data");
  if (!context.problem.ok())
    return nullptr;
  context.extra.push_back(memory);
  return hostView(memory.data);
}

void *CudaDevice::output(void *self, uint32_t index, const int64_t *extents) {
  Context &context = *static_cast<Context *>(self);
  if (!context.problem.ok() || index >= context.outputs.size() ||
      (context.request && !context.request->output(context.request->self, index, extents)))
    return nullptr;
  const Value &value = context.artefact->manifest().entries[context.entry].outputs[index];
  // Extents are checked by request->output.
  void *memory = allocate(self, extentBytes(value, extents));
  if (memory)
    context.outputs[index] = deviceView(memory);
  return memory;
}

int32_t CudaDevice::read(void *self, const void *source, uint64_t size, void *destination) {
  Context &context = *static_cast<Context *>(self);
  CudaDevice &device = *context.device;
  if (context.problem.ok() && context.mode == Mode::Capture)
    context.problem =
        Status(MOE_BAD_ARTEFACT,
               device.chip.name + ": the manifest says that the entry can be captured, but it reads device memory");
  if (!context.problem.ok())
    return kStopped;
  Result error = device.driver.copyToHost(destination, deviceView(source), size, device.stream);
  if (!error)
    error = device.driver.streamSynchronize(device.stream);
  if (error)
    context.problem = device.lateFailure(context, error);
  return error ? kStopped : 0;
}

//===--- one run ---===//

Status CudaDevice::lateFailure(const Context &context, Result error) const {
  const Entry &entry = context.artefact->manifest().entries[context.entry];
  uint32_t done = *ended;
  if (context.mode != Mode::Capture && done < context.launched.size()) {
    const Launched &launch = context.launched[done];
    return failure(format("step %u, ", launch.step) +
                       describeStep(*context.artefact, context.entry, launch.step, launch.kernel),
                   error);
  }
  return failure(format("entry %s, one of %zu steps", entry.name.c_str(), entry.steps.size()), error);
}

Status CudaDevice::place(const Entry &entry, const Plan &plan, Memory &memory, size_t numSets,
                         std::vector<DevicePointer> &inputs, std::vector<DevicePointer> &outputs) {
  DevicePointer oldArena = arena.data, oldMemory = memory.data;
  MOE_RETURN_IF_ERROR(reserve(arena, plan.arenaSize, "the temporaries of entry " + entry.name));
  std::vector<size_t> inputOffsets, outputOffsets;
  size_t total = 0;
  for (size_t set = 0; set < numSets; ++set) {
    const int64_t *next = plan.extents.data();
    for (const Value &input : entry.inputs) {
      inputOffsets.push_back(total);
      total += roundUp(extentBytes(input, next));
      next += input.dims.size();
    }
  }
  const int64_t *next = plan.outputExtents.data();
  for (const Value &output : entry.outputs) {
    bool known = std::none_of(next, next + output.dims.size(), [](int64_t extent) { return extent < 0; });
    outputOffsets.push_back(known ? total : SIZE_MAX);
    total += known ? roundUp(extentBytes(output, next)) : 0;
    next += output.dims.size();
  }
  MOE_RETURN_IF_ERROR(reserve(memory, total, "the inputs and outputs of entry " + entry.name));
  if (arena.data != oldArena || memory.data != oldMemory)
    ++generation;
  for (size_t offset : inputOffsets)
    inputs.push_back(memory.data + offset);
  for (size_t offset : outputOffsets)
    outputs.push_back(offset == SIZE_MAX ? 0 : memory.data + offset);
  return Status();
}

void CudaDevice::bind(const Entry &entry, const Plan &plan, const DevicePointer *inputs,
                      const std::vector<DevicePointer> &outputs, Context &context) const {
  for (size_t i = 0; i < entry.inputs.size(); ++i)
    context.buffers.push_back(hostView(inputs[i]));
  for (DevicePointer output : outputs)
    context.buffers.push_back(hostView(output));
  context.outputs = outputs;
  for (uint32_t weight : entry.weights)
    context.buffers.push_back(hostView(weights[weight]));
  for (uint64_t offset : plan.offsets)
    context.buffers.push_back(hostView(arena.data + offset));
}

Status CudaDevice::copyInputs(const Entry &entry, const moe_tensor_t *tensors, const DevicePointer *inputs) {
  for (size_t i = 0; i < entry.inputs.size(); ++i) {
    size_t bytes = extentBytes(entry.inputs[i], tensors[i].extents); // the caller's buffer may be longer
    if (bytes)
      if (Result error = driver.copyToDevice(inputs[i], tensors[i].data, bytes, stream))
        return failure("cannot copy input " + entry.inputs[i].name, error);
  }
  return Status();
}

Status CudaDevice::callHost(const Plan &plan, Context &context) {
  int32_t error = context.artefact->module().entries[context.entry].run(&kHost, &context, plan.extents.data(),
                                                                        context.buffers.data());
  if (!context.problem.ok())
    return context.problem;
  if (!error)
    return Status();
  return Status(MOE_RUN_FAILED, format("entry %s, after step %u: ",
                                       context.artefact->manifest().entries[context.entry].name.c_str(), context.step) +
                                    describeError(*context.artefact, error));
}

/// The launches of all |contexts|, one after the other, as one graph.
Status CudaDevice::capture(const Plan &plan, std::vector<Context> &contexts, void *&executable) {
  const Entry &entry = contexts[0].artefact->manifest().entries[contexts[0].entry];
  std::string where = "cannot capture the launches of entry " + entry.name;
  if (Result error = driver.streamBeginCapture(stream, kCaptureThread))
    return failure(where, error);
  Status status;
  for (Context &context : contexts)
    if (status.ok())
      status = callHost(plan, context);
  void *graph = nullptr;
  Result error = driver.streamEndCapture(stream, &graph);
  if (status.ok() && error)
    status = failure(where, error);
  if (status.ok())
    if (Result problem = driver.graphInstantiate(&executable, graph, 0)) {
      executable = nullptr;
      status = failure(where, problem);
    }
  if (graph)
    driver.graphDestroy(graph);
  return status;
}

/// Replays the graph of these extents; the first time only remembers them (|ran| is false), the second time captures.
Status CudaDevice::runGraph(const Plan &plan, Context &context, bool &ran) {
  auto found = std::find_if(graphs.begin(), graphs.end(), [&](const Graph &graph) {
    return graph.entry == context.entry && graph.extents == plan.extents;
  });
  ran = found != graphs.end();
  if (!ran) {
    if (graphs.size() >= kMaxGraphs) {
      auto oldest = std::min_element(graphs.begin(), graphs.end(),
                                     [](const Graph &a, const Graph &b) { return a.lastUse < b.lastUse; });
      if (oldest->executable)
        driver.graphExecutableDestroy(oldest->executable);
      graphs.erase(oldest);
    }
    Graph fresh;
    fresh.entry = context.entry, fresh.extents = plan.extents, fresh.lastUse = ++clock;
    graphs.push_back(std::move(fresh));
    return Status();
  }
  Graph &graph = *found;
  graph.lastUse = ++clock;
  if (graph.executable && graph.generation != generation) {
    driver.graphExecutableDestroy(graph.executable);
    graph.executable = nullptr;
  }
  context.mode = Mode::Capture;
  if (!graph.executable) {
    std::vector<Context> one;
    one.push_back(context);
    MOE_RETURN_IF_ERROR(capture(plan, one, graph.executable));
    graph.generation = generation;
  }
  if (Result error = driver.graphLaunch(graph.executable, stream))
    return lateFailure(context, error);
  return Status();
}

/// Copies outputs back and waits.
Status CudaDevice::finish(RunRequest &request, Context &context) {
  const Entry &entry = context.artefact->manifest().entries[context.entry];
  for (size_t i = 0; i < entry.outputs.size(); ++i) {
    size_t bytes = request.outputBytes(request.self, uint32_t(i));
    if (bytes && context.outputs[i])
      if (Result error = driver.copyToHost(request.outputData[i], context.outputs[i], bytes, stream))
        return lateFailure(context, error);
  }
  if (Result error = driver.streamSynchronize(stream))
    return lateFailure(context, error);
  return context.mode == Mode::Profile ? reportEvents(context) : Status();
}

/// Event number |number| of the device's own.
Status CudaDevice::event(size_t number, void *&out) {
  while (events.size() <= number) {
    void *fresh = nullptr;
    if (Result error = driver.eventCreate(&fresh, 0))
      return failure("cannot make an event", error);
    events.push_back(fresh);
  }
  out = events[number];
  return Status();
}

/// Tells the profiler of all launches, with the device's times; they end now.
Status CudaDevice::reportEvents(const Context &context) {
  std::vector<std::pair<double, double>> times;
  for (size_t i = 0; i < context.launched.size(); ++i) {
    float begin = 0, end = 0;
    Result error = driver.eventElapsed(&begin, events[0], events[2 * i]);
    if (!error)
      error = driver.eventElapsed(&end, events[0], events[2 * i + 1]);
    if (error)
      return failure("cannot read the times of launches", error);
    times.push_back({begin * 1e6, end * 1e6});
  }
  uint64_t origin = times.empty() ? 0 : nowNs() - uint64_t(times.back().second);
  for (size_t i = 0; i < times.size(); ++i) {
    const Launched &launch = context.launched[i];
    reportStep(*context.artefact, context.entry, launch.step, launch.kernel, launch.items,
               origin + uint64_t(times[i].first), origin + uint64_t(times[i].second));
  }
  return Status();
}

Status CudaDevice::run(const Artefact &artefact, RunRequest &request) {
  if (Result error = driver.contextSetCurrent(primary)) // the caller's thread may be another one than last time
    return failure("cannot start", error);
  const Entry &entry = artefact.manifest().entries[request.entry];
  const Plan &plan = *request.plan;
  Context context{this, &artefact, request.entry, &request, profiler ? Mode::Profile : Mode::Eager, 0, {}, {}, {},
                  {},   {}};
  std::vector<DevicePointer> inputs, outputs;
  MOE_RETURN_IF_ERROR(place(entry, plan, values, 1, inputs, outputs));
  bind(entry, plan, inputs.data(), outputs, context);
  *ended = 0; // nothing is running
  Status status = copyInputs(entry, request.inputs, inputs.data());
  bool ran = false;
  if (status.ok() && !profiler && entry.notCapturable.empty())
    status = runGraph(plan, context, ran);
  if (status.ok() && !ran)
    status = callHost(plan, context);
  if (status.ok())
    status = finish(request, context);
  if (!status.ok())
    driver.streamSynchronize(stream); // nothing may still use what is freed below
  for (Memory &memory : context.extra)
    release(memory);
  return status;
}
} // namespace moe::cuda

namespace moe {
Status createCudaDevice(const Artefact &artefact, int ordinal, std::unique_ptr<Device> &out) {
  const cuda::Driver *driver;
  if (Status status = cuda::Driver::get(driver); !status.ok())
    return Status(status.code(), artefact.path() + " is compiled for cuda: " + status.message());
  auto device = std::make_unique<cuda::CudaDevice>(*driver, ordinal);
  MOE_RETURN_IF_ERROR(device->create(artefact));
  out = std::move(device);
  return Status();
}
} // namespace moe
