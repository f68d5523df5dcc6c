// Session.cpp - see Session.h.
#include "api/Session.h"

#include "base/Dtype.h"
#include "base/Memory.h"
#include "base/Planner.h"

#include <algorithm>
#include <cstring>
#include <map>

namespace moe {
namespace {
constexpr int64_t kMaxBytes = int64_t(1) << 50;

std::string shapeText(const int64_t *extents, size_t rank) {
  std::string text = "[";
  for (size_t i = 0; i < rank; ++i)
    text += (i ? ", " : "") + std::to_string(extents[i]);
  return text + "]";
}

/// Bytes of a dense tensor; false if an extent is negative or the product is absurd.
bool denseBytes(moe_dtype_t dtype, const int64_t *extents, size_t rank, size_t &out) {
  int64_t bytes = int64_t(moe_dtype_size(dtype));
  bool empty = false;
  for (size_t i = 0; i < rank; ++i) {
    if (extents[i] < 0)
      return false;
    empty |= extents[i] == 0;
    if (extents[i] && (__builtin_mul_overflow(bytes, extents[i], &bytes) || bytes > kMaxBytes))
      return false;
  }
  out = empty ? 0 : size_t(bytes);
  return true;
}

template <typename T> bool outside(const void *data, size_t elements, int64_t most, size_t &where) {
  const T *values = static_cast<const T *>(data);
  for (size_t i = 0; i < elements; ++i)
    if (values[i] < T(0) || uint64_t(values[i]) > uint64_t(most)) {
      where = i;
      return true;
    }
  return false;
}

bool anyOutside(moe_dtype_t dtype, const void *data, size_t elements, int64_t most, size_t &where) {
  switch (dtype) {
  case MOE_DTYPE_INT8:
    return outside<int8_t>(data, elements, most, where);
  case MOE_DTYPE_INT16:
    return outside<int16_t>(data, elements, most, where);
  case MOE_DTYPE_INT32:
    return outside<int32_t>(data, elements, most, where);
  case MOE_DTYPE_INT64:
    return outside<int64_t>(data, elements, most, where);
  case MOE_DTYPE_UINT8:
    return outside<uint8_t>(data, elements, most, where);
  case MOE_DTYPE_UINT16:
    return outside<uint16_t>(data, elements, most, where);
  case MOE_DTYPE_UINT32:
    return outside<uint32_t>(data, elements, most, where);
  case MOE_DTYPE_UINT64:
    return outside<uint64_t>(data, elements, most, where);
  default:
    return false;
  }
}
} // namespace

std::string describeStep(const Artefact &artefact, uint32_t entry, uint32_t step, uint32_t kernel) {
  const Manifest &manifest = artefact.manifest();
  const std::vector<Step> &steps = manifest.entries[entry].steps;
  if (step >= steps.size())
    return manifest.kernels[kernel];
  return steps[step].source.empty() ? steps[step].op : steps[step].op + " (" + steps[step].source + ")";
}

std::string describeError(const Artefact &artefact, int32_t code) {
  auto found = artefact.manifest().errors.find(code);
  return found != artefact.manifest().errors.end() ? found->second
                                                   : format("error code %d, which the manifest does not explain", code);
}

Session::~Session() {
  device_.reset();
  outputs_.clear();
  if (artefact_)
    artefact_->release();
}

Status Session::create(Artefact *artefact, const moe_session_options_t &options, Session *&out) {
  std::unique_ptr<Session> session(new Session());
  session->allocator_ = options.allocator ? *options.allocator : defaultAllocator();
  if (options.num_threads > 4096)
    return Status(MOE_INVALID_ARGUMENT, format("threads: expected at most 4096, found %u", options.num_threads));
  artefact->retain();
  session->artefact_ = artefact;
  MOE_RETURN_IF_ERROR(artefact->manifest().target == "cuda"
                          ? createCudaDevice(*artefact, options.device, session->device_)
                          : createCpuDevice(*artefact, options.num_threads, session->allocator_, session->device_));
  out = session.release();
  return Status();
}

Status Session::findEntry(uint32_t entry, const Entry *&out) const {
  const auto &entries = artefact_->manifest().entries;
  if (entry >= entries.size())
    return Status(MOE_INVALID_ARGUMENT, format("entry: expected a number below %zu, found %u", entries.size(), entry));
  out = &entries[entry];
  return Status();
}

Status Session::plan(uint32_t entryIndex, const int64_t *extents, size_t numExtents, const Plan *&out) {
  const Entry *entry;
  MOE_RETURN_IF_ERROR(findEntry(entryIndex, entry));
  if (numExtents != entry->numInputExtents)
    return Status(MOE_INVALID_ARGUMENT, format("entry %s: expected %u input extents, found %zu", entry->name.c_str(),
                                               entry->numInputExtents, numExtents));
  for (auto &plan : plans_)
    if (plan->entry == entryIndex && std::equal(plan->extents.begin(), plan->extents.end(), extents)) {
      plan->lastUse = ++clock_;
      out = plan.get();
      return Status();
    }
  // One name is one extent.
  std::map<std::string_view, std::pair<int64_t, const Value *>> named;
  const int64_t *next = extents;
  for (const Value &input : entry->inputs)
    for (size_t i = 0; i < input.dims.size(); ++i) {
      int64_t extent = *next++;
      const moe_dim_t &dim = input.dims[i];
      std::string where = format("entry %s, input %s: dim %zu", entry->name.c_str(), input.name.c_str(), i);
      if (extent < 0 || extent > INT32_MAX)
        return Status(MOE_INVALID_ARGUMENT,
                      where + format(": expected an extent from 0 to %d, found %lld", INT32_MAX, (long long)extent));
      if (!dim.name) {
        if (extent != dim.extent)
          return Status(MOE_INVALID_ARGUMENT,
                        where + format(": expected extent %lld, found %lld", (long long)dim.extent, (long long)extent));
        continue;
      }
      auto [place, fresh] = named.insert({dim.name, {extent, &input}});
      if (!fresh && place->second.first != extent)
        return Status(MOE_INVALID_ARGUMENT, where + format(" (\"%s\"): expected extent %lld as in input %s, found %lld",
                                                           dim.name, (long long)place->second.first,
                                                           place->second.second->name.c_str(), (long long)extent));
    }
  auto plan = std::make_unique<Plan>();
  plan->entry = entryIndex;
  plan->extents.assign(extents, extents + numExtents);
  plan->outputExtents.assign(entry->numOutputExtents, -1);
  std::vector<int64_t> bytes(entry->temporaries.size(), 0);
  int32_t error =
      artefact_->module().entries[entryIndex].plan(plan->extents.data(), plan->outputExtents.data(), bytes.data());
  if (error)
    return Status(MOE_INVALID_ARGUMENT,
                  "entry " + entry->name + ": inputs do not fit together: " + describeError(*artefact_, error));
  std::vector<Lifetime> lifetimes;
  int64_t sum = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] < 0 || bytes[i] > kMaxBytes || __builtin_add_overflow(sum, bytes[i], &sum) || sum > kMaxBytes)
      return Status(MOE_OUT_OF_MEMORY, format("entry %s: temporary %zu (%s bytes) is too large for these inputs",
                                              entry->name.c_str(), i, entry->temporaries[i].size.c_str()));
    lifetimes.push_back({uint64_t(bytes[i]), entry->temporaries[i].first, entry->temporaries[i].last});
  }
  plan->offsets = packArena(lifetimes, kAlignment, plan->arenaSize);
  MOE_RETURN_IF_ERROR(checkFits(*entry, *plan));
  plan->lastUse = ++clock_;
  if (plans_.size() >= kMaxPlans)
    plans_.erase(std::min_element(plans_.begin(), plans_.end(),
                                  [](const auto &a, const auto &b) { return a->lastUse < b->lastUse; }));
  plans_.push_back(std::move(plan));
  out = plans_.back().get();
  return Status();
}

/// Host memory is mapped before it is used, one piece at a time: what all pieces take together is asked here. Devices refuse
/// for themselves.
Status Session::checkFits(const Entry &entry, const Plan &plan) const {
  constexpr uint64_t kAskFrom = uint64_t(1) << 28;
  uint64_t needed = plan.arenaSize;
  const int64_t *extents = plan.outputExtents.data();
  for (const Value &output : entry.outputs) {
    size_t bytes;
    if (std::none_of(extents, extents + output.dims.size(), [](int64_t extent) { return extent < 0; }) &&
        denseBytes(output.dtype, extents, output.dims.size(), bytes))
      needed += bytes;
    extents += output.dims.size();
  }
  if (artefact_->manifest().target != "cpu" || needed < kAskFrom || needed <= totalMemory())
    return Status();
  return Status(
      MOE_OUT_OF_MEMORY,
      format("entry %s: expected inputs that need at most the %llu bytes of memory there are, but they need %llu "
             "for temporaries and outputs",
             entry.name.c_str(), (unsigned long long)totalMemory(), (unsigned long long)needed));
}

Status Session::checkInput(const Entry &entry, size_t index, const moe_tensor_t &input) const {
  const Value &value = entry.inputs[index];
  std::string where = "entry " + entry.name + ", input " + value.name;
  if (input.dtype != value.dtype)
    return Status(MOE_INVALID_ARGUMENT,
                  where + ": expected " + moe_dtype_name(value.dtype) + ", found " + moe_dtype_name(input.dtype));
  if (input.rank != value.dims.size())
    return Status(MOE_INVALID_ARGUMENT,
                  where + format(": expected rank %zu, found rank %u", value.dims.size(), input.rank));
  size_t bytes;
  if (!denseBytes(input.dtype, input.extents, input.rank, bytes))
    return Status(MOE_INVALID_ARGUMENT,
                  where + ": shape " + shapeText(input.extents, input.rank) + " is negative or too large");
  if (input.size < bytes || (bytes && !input.data))
    return Status(MOE_INVALID_ARGUMENT, where + format(": expected %zu bytes for shape ", bytes) +
                                            shapeText(input.extents, input.rank) +
                                            format(", found %zu", input.data ? input.size : 0));
  if (reinterpret_cast<uintptr_t>(input.data) % moe_dtype_size(input.dtype))
    return Status(MOE_INVALID_ARGUMENT, where + ": data is not aligned to its element");
  size_t at;
  if (value.maxValue >= 0 &&
      anyOutside(value.dtype, input.data, bytes / moe_dtype_size(value.dtype), value.maxValue, at))
    return Status(MOE_OUT_OF_RANGE,
                  where + format(": element %zu: expected a value from 0 to %lld, found %lld", at,
                                 (long long)value.maxValue, (long long)loadAsInt(value.dtype, input.data, at)));
  return Status();
}

/// Sets |out| to memory for an output of these extents: the caller's if bound, else the session's.
Status Session::prepareOutput(const Value &value, size_t index, const int64_t *extents, moe_tensor_t &bound,
                              void *&out) {
  size_t bytes;
  if (!denseBytes(value.dtype, extents, value.dims.size(), bytes))
    return Status(MOE_OUT_OF_MEMORY, "output " + value.name + ": shape " + shapeText(extents, value.dims.size()) +
                                         " is negative or too large");
  if (bound.data) {
    if (bound.size < bytes)
      return Status(MOE_OUT_OF_RANGE,
                    "output " + value.name + format(": expected a buffer of %zu bytes, found %zu", bytes, bound.size));
    if (reinterpret_cast<uintptr_t>(bound.data) % moe_dtype_size(value.dtype))
      return Status(MOE_INVALID_ARGUMENT, "output " + value.name + ": data is not aligned to its element");
    out = bound.data;
  } else {
    Block &block = outputs_[index].block;
    if (block.size() < bytes || !block.data())
      if (!block.allocate(allocator_, bytes))
        return Status(MOE_OUT_OF_MEMORY, format("output %s needs %zu bytes", value.name.c_str(), bytes));
    out = block.data();
  }
  outputs_[index].extents.assign(extents, extents + value.dims.size());
  return Status();
}

void *Session::outputByData(void *self, uint32_t index, const int64_t *extents) {
  Session &session = *static_cast<Session *>(self);
  const Entry &entry = session.artefact_->manifest().entries[session.args_->entry];
  if (index >= entry.outputs.size()) {
    session.outputProblem_ =
        Status(MOE_RUN_FAILED, format("entry %s: the code has no output %u", entry.name.c_str(), index));
    return nullptr;
  }
  void *data = nullptr;
  session.outputProblem_ =
      session.prepareOutput(entry.outputs[index], index, extents, session.args_->outputs[index], data);
  session.request_->outputData[index] = data;
  return data;
}

size_t Session::outputBytes(void *self, uint32_t index) {
  Session &session = *static_cast<Session *>(self);
  const Value &value = session.artefact_->manifest().entries[session.args_->entry].outputs[index];
  size_t bytes = 0;
  if (session.request_->outputData[index])
    denseBytes(value.dtype, session.outputs_[index].extents.data(), value.dims.size(), bytes);
  return bytes;
}

Status Session::time(const moe_time_args_t &args, TimeRequest &request) {
  const Entry *entry;
  MOE_RETURN_IF_ERROR(findEntry(args.entry, entry));
  std::vector<int64_t> extents;
  size_t numInputs = entry->inputs.size();
  if (numInputs && !args.inputs)
    return Status(MOE_INVALID_ARGUMENT, "entry " + entry->name + ": inputs may not be NULL");
  for (size_t set = 0; set < args.num_sets; ++set) {
    std::vector<int64_t> own;
    for (size_t i = 0; i < numInputs; ++i) {
      const moe_tensor_t &input = args.inputs[set * numInputs + i];
      MOE_RETURN_IF_ERROR(checkInput(*entry, i, input));
      own.insert(own.end(), input.extents, input.extents + input.rank);
    }
    if (set == 0)
      extents = std::move(own);
    else if (own != extents)
      return Status(MOE_INVALID_ARGUMENT,
                    format("entry %s: expected all sets of inputs to have the same extents, found "
                           "others in set %zu",
                           entry->name.c_str(), set));
  }
  const Plan *plan;
  MOE_RETURN_IF_ERROR(this->plan(args.entry, extents.data(), extents.size(), plan));
  request.entry = args.entry, request.plan = plan;
  request.numSets = args.num_sets, request.inputs = args.inputs, request.cold = args.cold != 0;
  request.warmSeconds = args.warm_seconds, request.seconds = args.seconds;
  request.minRuns = args.min_times ? args.min_times : 8;
  request.maxRuns = args.max_times ? std::max(args.max_times, request.minRuns) : SIZE_MAX;
  return device_->time(*artefact_, request);
}

Status Session::run(const moe_run_args_t &args) {
  const Entry *entry;
  MOE_RETURN_IF_ERROR(findEntry(args.entry, entry));
  if (args.num_inputs != entry->inputs.size() || args.num_outputs != entry->outputs.size())
    return Status(MOE_INVALID_ARGUMENT,
                  format("entry %s: expected %zu inputs and %zu outputs, found %zu and %zu", entry->name.c_str(),
                         entry->inputs.size(), entry->outputs.size(), args.num_inputs, args.num_outputs));
  std::vector<int64_t> extents;
  for (size_t i = 0; i < args.num_inputs; ++i) {
    MOE_RETURN_IF_ERROR(checkInput(*entry, i, args.inputs[i]));
    extents.insert(extents.end(), args.inputs[i].extents, args.inputs[i].extents + args.inputs[i].rank);
  }
  const Plan *plan;
  MOE_RETURN_IF_ERROR(this->plan(args.entry, extents.data(), extents.size(), plan));

  if (outputs_.size() < entry->outputs.size())
    outputs_.resize(entry->outputs.size());
  RunRequest request{args.entry, plan, args.inputs, {}, outputByData, outputBytes, this};
  const int64_t *next = plan->outputExtents.data();
  for (size_t i = 0; i < entry->outputs.size(); ++i) {
    const Value &value = entry->outputs[i];
    const int64_t *own = next;
    next += value.dims.size();
    void *data = nullptr;
    if (std::none_of(own, next, [](int64_t extent) { return extent < 0; }))
      MOE_RETURN_IF_ERROR(prepareOutput(value, i, own, args.outputs[i], data));
    request.outputData.push_back(data);
  }
  args_ = &args, request_ = &request, outputProblem_ = Status();
  Status status = device_->run(*artefact_, request);
  args_ = nullptr, request_ = nullptr;
  if (!outputProblem_.ok())
    return outputProblem_;
  MOE_RETURN_IF_ERROR(std::move(status));
  for (size_t i = 0; i < entry->outputs.size(); ++i) {
    const Value &value = entry->outputs[i];
    if (!request.outputData[i])
      return Status(MOE_RUN_FAILED, "entry " + entry->name + ": the code gave no output " + value.name);
    size_t bytes = 0;
    denseBytes(value.dtype, outputs_[i].extents.data(), value.dims.size(), bytes);
    args.outputs[i] = {value.dtype, uint32_t(value.dims.size()), outputs_[i].extents.data(), request.outputData[i],
                       bytes};
  }
  return Status();
}
} // namespace moe
