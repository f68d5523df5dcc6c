// CudaTiming.cpp - how long an entry takes on the device.
//
// All sets of inputs lie on the device. Their launches become one graph, which is replayed between two events: a number is
// the time of a replay by its sets. Weights are cold because they are large, or because each set has its own copy of them;
// where even the copies would stay in the cache, each set is a graph of its own and the cache is overwritten in front of
// it.
#include "cuda/CudaDevice.h"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace moe::cuda {
namespace {
constexpr size_t kCacheTimes = 4;              // weights of this many caches are cold by themselves
constexpr size_t kBatch = 8;                   // replays that are queued together, at most
constexpr size_t kRoofBytes = size_t(4) << 30; // read to measure how fast that goes
constexpr int kRoofRuns = 7;

struct Executable {
  const Driver &driver;
  std::vector<void *> graphs;
  ~Executable() {
    for (void *graph : graphs)
      if (graph)
        driver.graphExecutableDestroy(graph);
  }
};

double secondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}
} // namespace

Status CudaDevice::between(size_t first, size_t second, double &microseconds) {
  float milliseconds = 0;
  void *begin, *end;
  MOE_RETURN_IF_ERROR(event(first, begin));
  MOE_RETURN_IF_ERROR(event(second, end));
  if (Result error = driver.eventElapsed(&milliseconds, begin, end))
    return failure("cannot read the time between two events", error);
  microseconds = 1e3 * double(milliseconds);
  return Status();
}

/// Replays until there are enough numbers. With |flush| each set by itself behind an overwritten cache.
Status CudaDevice::timeSets(const Plan &plan, std::vector<Context> &sets, TimeRequest &request, Memory &flush) {
  Executable executable{driver, {}};
  size_t each = flush.data ? 1 : sets.size();
  for (size_t set = 0; set < sets.size(); set += each) {
    std::vector<Context> part(sets.begin() + ptrdiff_t(set), sets.begin() + ptrdiff_t(set + each));
    for (Context &context : part)
      context.mode = Mode::Capture;
    void *graph = nullptr;
    MOE_RETURN_IF_ERROR(capture(plan, part, graph));
    executable.graphs.push_back(graph);
  }
  size_t turn = 0;
  auto record = [&](size_t number) -> Status {
    void *mark;
    MOE_RETURN_IF_ERROR(event(number, mark));
    Result error = driver.eventRecord(mark, stream);
    return error ? failure("cannot record an event", error) : Status();
  };
  // Launches are queued well ahead of the device, so that what they cost on the host stays out.
  size_t queued = 1;
  auto batch = [&](bool keep) -> Status {
    if (!flush.data)
      MOE_RETURN_IF_ERROR(record(0));
    for (size_t i = 0; i < queued; ++i) {
      if (flush.data) {
        if (Result error = driver.memset(flush.data, uint8_t(turn), flush.size, stream))
          return failure("cannot overwrite the cache", error);
        MOE_RETURN_IF_ERROR(record(2 * i));
      }
      if (Result error = driver.graphLaunch(executable.graphs[turn++ % executable.graphs.size()], stream))
        return failure("cannot replay a graph", error);
      MOE_RETURN_IF_ERROR(record(flush.data ? 2 * i + 1 : i + 1));
    }
    sets[0].mode = Mode::Capture;
    if (Result error = driver.streamSynchronize(stream))
      return lateFailure(sets[0], error);
    for (size_t i = 0; keep && i < queued; ++i) {
      double us;
      MOE_RETURN_IF_ERROR(flush.data ? between(2 * i, 2 * i + 1, us) : between(i, i + 1, us));
      request.us.push_back(us / double(each));
      request.runs += each;
    }
    return Status();
  };
  auto begin = std::chrono::steady_clock::now();
  size_t replays = 0;
  do
    MOE_RETURN_IF_ERROR(batch(false));
  while (++replays && secondsSince(begin) < request.warmSeconds);
  // A batch is a quarter of the time asked for, where that is more than one replay.
  queued = std::clamp(size_t(request.seconds / 4 * double(replays) / secondsSince(begin)), size_t(1), kBatch);
  begin = std::chrono::steady_clock::now();
  while (request.us.size() < request.minRuns ||
         (secondsSince(begin) < request.seconds && request.us.size() < request.maxRuns))
    MOE_RETURN_IF_ERROR(batch(true));
  return Status();
}

/// An entry whose host program reads from the device: one run after the other, waiting included.
Status CudaDevice::timeEagerly(const Plan &plan, std::vector<Context> &sets, TimeRequest &request) {
  void *before, *after;
  MOE_RETURN_IF_ERROR(event(0, before));
  MOE_RETURN_IF_ERROR(event(1, after));
  size_t turn = 0;
  auto once = [&](double &us) -> Status {
    Context context = sets[turn++ % sets.size()];
    *ended = 0;
    Result error = driver.eventRecord(before, stream);
    Status status = error ? failure("cannot record an event", error) : callHost(plan, context);
    if (status.ok() && (error = driver.eventRecord(after, stream)))
      status = failure("cannot record an event", error);
    if ((error = driver.streamSynchronize(stream)) && status.ok())
      status = lateFailure(context, error);
    for (Memory &memory : context.extra)
      release(memory);
    return status.ok() ? between(0, 1, us) : status;
  };
  auto begin = std::chrono::steady_clock::now();
  double us;
  do
    MOE_RETURN_IF_ERROR(once(us));
  while (secondsSince(begin) < request.warmSeconds);
  begin = std::chrono::steady_clock::now();
  while (request.us.size() < request.minRuns ||
         (secondsSince(begin) < request.seconds && request.us.size() < request.maxRuns)) {
    MOE_RETURN_IF_ERROR(once(us));
    request.us.push_back(us);
    ++request.runs;
  }
  return Status();
}

/// How fast the device reads and copies memory, in this session and now.
Status CudaDevice::measureRoofs(TimeRequest &request) {
  MOE_RETURN_IF_ERROR(loadOwnKernels());
  size_t free = 0, total = 0;
  driver.memGetInfo(&free, &total);
  Memory memory;
  size_t bytes = std::min(kRoofBytes, free / 2) / 4096 * 4096;
  MOE_RETURN_IF_ERROR(reserve(memory, std::max<size_t>(bytes, 4096), "measuring the read roof"));
  bytes = memory.size;
  auto measure = [&]() -> Status {
    uint64_t words = bytes / 16;
    DevicePointer out = memory.data;
    void *parameters[] = {&memory.data, &words, &out};
    void *before, *after;
    MOE_RETURN_IF_ERROR(event(0, before));
    MOE_RETURN_IF_ERROR(event(1, after));
    if (Result error = driver.memset(memory.data, 1, bytes, stream))
      return failure("cannot write memory", error);
    for (int run = 0; run < 2 * kRoofRuns; ++run) {
      bool reads = run % 2 == 0;
      if (Result error = driver.eventRecord(before, stream))
        return failure("cannot record an event", error);
      if (reads)
        MOE_RETURN_IF_ERROR(launchOwn(readFunction, parameters, uint32_t(chip.multiprocessors) * 8));
      else if (Result error = driver.copyOnDevice(memory.data, memory.data + bytes / 2, bytes / 2, stream))
        return failure("cannot copy memory", error);
      if (Result error = driver.eventRecord(after, stream))
        return failure("cannot record an event", error);
      if (Result error = driver.streamSynchronize(stream))
        return failure("cannot measure the read roof", error);
      double us;
      MOE_RETURN_IF_ERROR(between(0, 1, us));
      // A copy of half the bytes reads and writes as many as a read of all.
      double &roof = reads ? request.readRoof : request.copyRoof;
      if (us > 0)
        roof = std::max(roof, 1e6 * double(bytes) / us);
    }
    return Status();
  };
  Status status = measure();
  release(memory);
  return status;
}

Status CudaDevice::time(const Artefact &artefact, TimeRequest &request) {
  if (Result error = driver.contextSetCurrent(primary))
    return failure("cannot start", error);
  const Manifest &manifest = artefact.manifest();
  const Entry &entry = manifest.entries[request.entry];
  const Plan &plan = *request.plan;
  MOE_RETURN_IF_ERROR(measureRoofs(request));

  size_t weightBytes = 0, enough = kCacheTimes * size_t(std::max(chip.l2Bytes, 1));
  for (uint32_t weight : entry.weights)
    weightBytes += roundUp(manifest.weights[weight].size);
  size_t copies = 1;
  bool flushes = false;
  if (request.cold && weightBytes >= enough) {
    request.coldBy = "size";
  } else if (request.cold && !entry.weights.empty()) {
    copies = std::min((enough + weightBytes - 1) / weightBytes, request.numSets);
    flushes = copies * weightBytes < enough && entry.notCapturable.empty();
    request.coldBy = flushes ? "flush" : copies * weightBytes < enough ? "" : "copies";
    if (flushes || !*request.coldBy)
      copies = 1;
  }
  struct Held { // given back whatever happens
    CudaDevice &device;
    Memory sets, weights, flush;
    ~Held() {
      device.driver.streamSynchronize(device.stream);
      for (Memory *memory : {&sets, &weights, &flush})
        device.release(*memory);
    }
  } held{*this, {}, {}, {}};
  std::vector<DevicePointer> inputs, outputs;
  MOE_RETURN_IF_ERROR(place(entry, plan, held.sets, request.numSets, inputs, outputs));
  if (copies > 1)
    MOE_RETURN_IF_ERROR(reserve(held.weights, (copies - 1) * weightBytes,
                                format("%zu more copies of the weights of entry %s", copies - 1, entry.name.c_str())));
  if (flushes)
    MOE_RETURN_IF_ERROR(reserve(held.flush, enough, "overwriting the cache"));
  size_t firstWeight = entry.inputs.size() + entry.outputs.size();
  std::vector<Context> sets;
  for (size_t set = 0; set < request.numSets; ++set) {
    Context context{this, &artefact, request.entry, nullptr, Mode::Eager, 0, {}, {}, {}, {}, {}};
    bind(entry, plan, inputs.data() + set * entry.inputs.size(), outputs, context);
    MOE_RETURN_IF_ERROR(
        copyInputs(entry, request.inputs + set * entry.inputs.size(), inputs.data() + set * entry.inputs.size()));
    if (size_t copy = set % copies) {
      DevicePointer next = held.weights.data + (copy - 1) * weightBytes;
      for (size_t i = 0; i < entry.weights.size(); ++i) {
        const Weight &weight = manifest.weights[entry.weights[i]];
        if (set < copies && weight.size)
          if (Result error = driver.copyOnDevice(next, weights[entry.weights[i]], weight.size, stream))
            return failure("cannot copy weights", error);
        context.buffers[firstWeight + i] = hostView(next);
        next += roundUp(weight.size);
      }
    }
    sets.push_back(std::move(context));
  }
  if (!entry.notCapturable.empty())
    return timeEagerly(plan, sets, request);
  // Once with names for whatever fails.
  Context first = sets[0];
  *ended = 0;
  MOE_RETURN_IF_ERROR(callHost(plan, first));
  if (Result error = driver.streamSynchronize(stream))
    return lateFailure(first, error);
  return timeSets(plan, sets, request, held.flush);
}
} // namespace moe::cuda
