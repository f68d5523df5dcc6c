// Bench.cpp - moe-run bench: the time of entries on random inputs, and a trace of their steps.
#include "Commands.h"
#include "Model.h"
#include "base/Dtype.h"
#include "base/File.h"
#include "base/Json.h"
#include "moe/random_values.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>

namespace moe {
namespace {

constexpr int64_t kSets = 8; // random inputs that take turns
constexpr size_t kMaxTimes = 20000;
constexpr size_t kMaxSetBytes = size_t(1) << 28;

using Shapes = std::map<std::string, std::vector<int64_t>>;

Status parseShapes(const Options &options, Shapes &out) {
  for (const std::string &text : options.all("shape")) {
    size_t equals = text.rfind('=');
    Status wrong(MOE_INVALID_ARGUMENT, "--shape: expected INPUT=D0xD1..., found \"" + text + "\"");
    if (equals == std::string::npos || equals == 0)
      return wrong;
    std::vector<int64_t> extents;
    std::string rest = text.substr(equals + 1);
    for (size_t begin = 0; begin <= rest.size();) {
      size_t end = std::min(rest.find('x', begin), rest.size());
      int64_t extent;
      if (!parseInteger(rest.substr(begin, end - begin), extent) || extent < 0 || extent > INT32_MAX)
        return wrong;
      extents.push_back(extent);
      begin = end + 1;
    }
    out[text.substr(0, equals)] = extents;
  }
  return Status();
}

/// The shapes of all inputs: given ones, extents of the same name, and 1 for the others.
Status resolveShapes(const std::vector<ValueInfo> &inputs, const Shapes &given,
                     std::vector<std::vector<int64_t>> &out) {
  std::map<std::string, int64_t> named;
  for (const ValueInfo &input : inputs) {
    auto found = given.find(input.name);
    if (found == given.end())
      continue;
    if (found->second.size() != input.dims.size())
      return Status(MOE_INVALID_ARGUMENT,
                    "--shape " + input.name +
                        format(": expected %zu extents, found %zu", input.dims.size(), found->second.size()));
    for (size_t d = 0; d < input.dims.size(); ++d) {
      int64_t extent = found->second[d];
      if (!input.dims[d].name) {
        if (extent != input.dims[d].extent)
          return Status(MOE_INVALID_ARGUMENT, "--shape " + input.name +
                                                  format(": dim %zu: expected %lld, found %lld", d,
                                                         (long long)input.dims[d].extent, (long long)extent));
      } else if (auto [place, fresh] = named.insert({input.dims[d].name, extent}); !fresh && place->second != extent) {
        return Status(MOE_INVALID_ARGUMENT,
                      "--shape " + input.name +
                          format(": dim %zu (\"%s\"): expected %lld as given before, found %lld", d, input.dims[d].name,
                                 (long long)place->second, (long long)extent));
      }
    }
  }
  for (const ValueInfo &input : inputs) {
    auto &shape = out.emplace_back();
    for (const moe_dim_t &dim : input.dims)
      shape.push_back(!dim.name ? dim.extent : named.count(dim.name) ? named[dim.name] : 1);
  }
  return Status();
}

/// Floats N(0, 1): |seed| draws another tensor.
void fillRandom(const ValueInfo &info, uint64_t seed, Tensor &tensor) {
  if (info.role == "position_ids")
    return fillPositions(tensor);
  if (info.role == "attention_mask" || tensor.dtype == MOE_DTYPE_BOOL)
    return fillConstant(tensor, 1);
  moe_random_t random = {seed, MOE_RANDOM_NORMAL, 0, 1};
  uint32_t size = moe_random_element_size(tensor.dtype);
  for (size_t i = 0, count = tensor.elements(); i < count; ++i)
    if (size) {
      uint32_t value = moe_random_element(&random, tensor.dtype, i);
      memcpy(static_cast<char *>(tensor.data()) + i * size, &value, size);
    } else {
      storeFromDouble(tensor.dtype, tensor.data(), i,
                      isFloat(tensor.dtype) ? double(moe_random_value(&random, i))
                      : info.maxValue > 0   ? double(moe_random_bits(seed, i) % (uint64_t(info.maxValue) + 1))
                                            : 0);
    }
}

/// The events of one run, for the trace.
struct Trace {
  std::vector<moe_step_event_t> events;
  static void add(void *self, const moe_step_event_t *event) { static_cast<Trace *>(self)->events.push_back(*event); }
};

/// Appends a run to a trace that Perfetto and Chrome open. Times are microseconds.
void writeTrace(JsonWriter &json, const std::string &entry, uint32_t entryIndex, const Trace &trace) {
  if (trace.events.empty())
    return;
  json.beginObject()
      .key("ph")
      .value("M")
      .key("name")
      .value("process_name")
      .key("pid")
      .value(int64_t(entryIndex))
      .key("args");
  json.beginObject().key("name").value("entry " + entry).endObject().endObject();
  uint64_t origin = trace.events[0].begin_ns;
  for (const moe_step_event_t &event : trace.events) {
    json.beginObject()
        .key("ph")
        .value("X")
        .key("name")
        .value(*event.op ? event.op : event.kernel)
        .key("cat")
        .value("step");
    json.key("pid").value(int64_t(entryIndex)).key("tid").value(int64_t(0));
    json.key("ts")
        .value(double(event.begin_ns - origin) / 1e3)
        .key("dur")
        .value(double(event.end_ns - event.begin_ns) / 1e3);
    json.key("args")
        .beginObject()
        .key("step")
        .value(int64_t(event.step))
        .key("kernel")
        .value(event.kernel)
        .key("source")
        .value(event.source);
    json.key("items").value(event.items).endObject().endObject();
  }
}

std::string shapeName(const std::vector<ValueInfo> &inputs, const std::vector<std::vector<int64_t>> &shapes) {
  std::string text;
  for (size_t i = 0; i < inputs.size(); ++i) {
    text += (i ? " " : "") + inputs[i].name + "=";
    for (size_t d = 0; d < shapes[i].size(); ++d)
      text += (d ? "x" : "") + std::to_string(shapes[i][d]);
  }
  return text;
}

/// How long to run before and while times are taken.
struct Duration {
  double warm, measured; // seconds
  size_t minTimes;
  static Duration onHost() { return {0.15, 0.6, 8}; }
  /// Short enough that a card does not yet lower its clocks for its power limit: as peers are timed (Triton's do_bench).
  static Duration onDevice() { return {0.025, 0.1, 3}; }
};

/// Microseconds of a run.
struct Times {
  size_t runs = 0;
  double min = 0, median = 0, max = 0;
  // On a device.
  double readRoof = 0, copyRoof = 0;
  std::string coldBy, notCaptured;
};

/// One run after the other, by the clock.
Status timeOnHost(Model &model, uint32_t entry, const std::vector<std::vector<Tensor>> &sets, Duration duration,
                  Times &out) {
  using Clock = std::chrono::steady_clock;
  auto since = [](Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  std::vector<moe_tensor_t> outputs;
  size_t turn = 0;
  auto warm = Clock::now();
  do
    MOE_RETURN_IF_ERROR(model.run(entry, sets[turn++ % sets.size()], outputs));
  while (since(warm) < duration.warm || turn < 3);
  std::vector<double> times;
  auto begin = Clock::now();
  while (times.size() < duration.minTimes || (since(begin) < duration.measured && times.size() < kMaxTimes)) {
    auto start = Clock::now();
    MOE_RETURN_IF_ERROR(model.run(entry, sets[turn++ % sets.size()], outputs));
    times.push_back(1e6 * since(start));
  }
  std::sort(times.begin(), times.end());
  out.runs = times.size();
  out.min = times.front(), out.median = times[times.size() / 2], out.max = times.back();
  return Status();
}

/// The launches of all sets as one graph, by the device's events.
Status timeOnDevice(Model &model, uint32_t entry, const std::vector<std::vector<Tensor>> &sets, bool cold,
                    Duration duration, Times &out) {
  std::vector<moe_tensor_t> views;
  for (const std::vector<Tensor> &set : sets)
    for (const Tensor &tensor : set)
      views.push_back(tensor.view());
  moe_time_args_t args = {sizeof(args), entry,         sets.size(),       views.data(),
                          cold,         duration.warm, duration.measured, duration.minTimes,
                          kMaxTimes};
  moe_time_result_t result{};
  result.struct_size = sizeof(result);
  MOE_RETURN_IF_ERROR(toStatus(moe_session_time(model.session(), &args, &result)));
  out = {result.runs,      result.us_min,    result.us_median, result.us_max,
         result.read_roof, result.copy_roof, result.cold_by,   result.not_captured};
  return Status();
}

Status benchEntry(Model &model, uint32_t entry, const Shapes &given, const Options &options, JsonWriter &json,
                  JsonWriter *trace) {
  std::vector<ValueInfo> inputs = model.inputs(entry);
  std::vector<std::vector<int64_t>> shapes;
  MOE_RETURN_IF_ERROR(resolveShapes(inputs, given, shapes));
  std::string name = model.entry(entry).name;
  std::vector<std::vector<Tensor>> sets;
  size_t bytes = 0, tokens = 0;
  std::vector<int64_t> extents;
  for (size_t i = 0; i < inputs.size(); ++i) {
    extents.insert(extents.end(), shapes[i].begin(), shapes[i].end());
    size_t elements = 1;
    bool fits = true;
    for (int64_t extent : shapes[i])
      fits = fits && !__builtin_mul_overflow(elements, size_t(extent), &elements) && elements <= 8 * kMaxSetBytes;
    bytes += fits ? elements * moe_dtype_size(inputs[i].dtype) : 0;
    if (!fits || bytes > 8 * kMaxSetBytes)
      return Status(MOE_INVALID_ARGUMENT,
                    "--shape " + inputs[i].name +
                        format(": expected inputs of at most %zu bytes, found more", 8 * kMaxSetBytes));
    if (inputs[i].role == "token_ids")
      tokens = elements;
  }
  // Before time goes into filling the inputs.
  size_t outputExtents = 0;
  for (const ValueInfo &output : model.outputs(entry))
    outputExtents += output.dims.size();
  std::vector<int64_t> unused(outputExtents);
  MOE_RETURN_IF_ERROR(toStatus(
      moe_session_plan(model.session(), entry, extents.data(), extents.size(), unused.data(), unused.size(), nullptr)));
  int64_t wanted = kSets;
  MOE_RETURN_IF_ERROR(options.integer("sets", kSets, 1024, wanted));
  for (size_t s = 0; s < size_t(wanted) && (s == 0 || (s + 1) * bytes <= 8 * kMaxSetBytes); ++s) {
    auto &set = sets.emplace_back(inputs.size());
    for (size_t i = 0; i < inputs.size(); ++i) {
      set[i].name = inputs[i].name, set[i].dtype = inputs[i].dtype, set[i].shape = shapes[i];
      set[i].allocate();
      fillRandom(inputs[i], s * inputs.size() + i + 1, set[i]);
    }
  }
  Times times;
  bool device = std::string(model.info().target) != "cpu";
  Duration duration = device ? Duration::onDevice() : Duration::onHost();
  double usual = duration.measured;
  MOE_RETURN_IF_ERROR(options.number("seconds", 0.001, 3600, duration.measured));
  duration.warm *= duration.measured / usual;
  MOE_RETURN_IF_ERROR(device ? timeOnDevice(model, entry, sets, !options.has("warm"), duration, times)
                             : timeOnHost(model, entry, sets, duration, times));
  if (trace) {
    Trace events;
    moe_session_set_profiler(model.session(), Trace::add, &events);
    std::vector<moe_tensor_t> outputs;
    Status status = model.run(entry, sets[0], outputs);
    moe_session_set_profiler(model.session(), nullptr, nullptr);
    MOE_RETURN_IF_ERROR(std::move(status));
    writeTrace(*trace, name, entry, events);
  }
  double flops = -1, traffic = -1;
  MOE_RETURN_IF_ERROR(
      toStatus(moe_artefact_get_cost(model.artefact(), entry, extents.data(), extents.size(), &flops, &traffic)));
  double teraflops = flops >= 0 ? 1e-6 * flops / times.median : -1,
         roofShare = device && traffic >= 0 && times.readRoof > 0 ? 1e6 * traffic / times.median / times.readRoof : -1;
  auto optional = [&](const char *key, double value) {
    json.key(key);
    value >= 0 ? json.value(value) : json.null();
  };
  std::string shape = shapeName(inputs, shapes);
  json.beginObject()
      .key("entry")
      .value(name)
      .key("shape")
      .value(shape)
      .key("runs")
      .value(times.runs)
      .key("us_min")
      .value(times.min);
  json.key("us_median").value(times.median).key("us_max").value(times.max);
  optional("tokens_per_second", tokens ? 1e6 * double(tokens) / times.median : -1);
  optional("bytes", traffic);
  optional("flops", flops);
  optional("roof_share", roofShare);
  if (device) {
    optional("teraflops_per_second", teraflops);
    optional("read_roof", times.readRoof);
    optional("copy_roof", times.copyRoof);
    json.key("sets").value(sets.size()).key("weights_cold_by").value(times.coldBy);
    json.key("not_captured").value(times.notCaptured);
  }
  json.endObject();
  std::string more;
  if (tokens)
    more += format(", %.1f tokens/s", 1e6 * double(tokens) / times.median);
  if (device && teraflops >= 0)
    more += format(", %.1f TFLOP/s", teraflops);
  if (roofShare >= 0)
    more += format(", %.2f TB/s, %.0f %% of the read roof (%.2f TB/s)", 1e-6 * traffic / times.median, 100 * roofShare,
                   1e-12 * times.readRoof);
  if (device)
    more += times.coldBy.empty() ? ", weights may be in the cache" : ", weights cold (" + times.coldBy + ")";
  if (!times.notCaptured.empty())
    more += ", no graph: " + times.notCaptured;
  fprintf(options.json() ? stderr : stdout, "%s %s: median %.1f us (%.1f to %.1f) of %zu runs%s\n", name.c_str(),
          shape.c_str(), times.median, times.min, times.max, times.runs, more.c_str());
  return Status();
}

Status runBench(const Options &options, int &) {
  Shapes shapes;
  MOE_RETURN_IF_ERROR(parseShapes(options, shapes));
  if (options.has("tune"))
    return Status(MOE_UNSUPPORTED, "bench: --tune: this version has nothing to tune");
  Model model;
  MOE_RETURN_IF_ERROR(model.loadArtefact(options.arguments()[0]));
  std::vector<uint32_t> entries;
  if (options.has("entry")) {
    uint32_t entry;
    MOE_RETURN_IF_ERROR(toStatus(moe_artefact_find_entry(model.artefact(), options.get("entry").c_str(), &entry)));
    entries.push_back(entry);
  }
  std::string missing;
  for (uint32_t entry = 0; entry < model.numEntries(); ++entry) {
    std::vector<ValueInfo> inputs = model.inputs(entry);
    std::string lacks;
    for (const auto &shape : shapes)
      if (std::none_of(inputs.begin(), inputs.end(), [&](const ValueInfo &input) { return input.name == shape.first; }))
        lacks = shape.first;
    if (options.has("entry") ? entry == entries[0] : lacks.empty()) {
      if (!lacks.empty())
        return Status(MOE_INVALID_ARGUMENT,
                      "--shape: entry " + options.get("entry") + ": expected one of its inputs, found " + lacks);
      if (!options.has("entry"))
        entries.push_back(entry);
    } else if (!lacks.empty()) {
      missing = lacks;
    }
  }
  if (entries.empty())
    return Status(MOE_INVALID_ARGUMENT,
                  "--shape: expected inputs of an entry, found " + missing + ", which no entry has with the others");
  MOE_RETURN_IF_ERROR(model.createSession(options));
  JsonWriter json, trace;
  json.beginObject()
      .key("threads")
      .value(int64_t(moe_session_num_threads(model.session())))
      .key("entries")
      .beginArray();
  trace.beginObject().key("traceEvents").beginArray();
  for (uint32_t entry : entries)
    MOE_RETURN_IF_ERROR(benchEntry(model, entry, shapes, options, json, options.has("profile") ? &trace : nullptr));
  json.endArray().endObject();
  trace.endArray().key("displayTimeUnit").value("ns").endObject();
  if (options.has("profile"))
    MOE_RETURN_IF_ERROR(writeFile(options.get("profile"), trace.text()));
  if (options.json())
    printf("%s\n", json.text().c_str());
  return Status();
}
} // namespace

Command benchCommand() {
  return {
      {"bench",
       "MODEL.moe",
       "Times entries on random inputs: floats N(0, 1), token ids within the vocabulary, masks ones, other integers 0. "
       "Eight inputs take turns, so that\n"
       "routing varies as in use. Warm-up, then 0.6 s and at least 8 runs; on a device 0.1 s and at least 3 replays, "
       "before the card lowers\n"
       "its clocks for its power limit (--seconds 1 for the state behind that). Times are microseconds of one run.\n"
       "On a device the inputs lie there already and the launches of all of them are one graph, timed by events; "
       "weights "
       "are not in its cache when\n"
       "a run begins: they are large (4 caches), or each input reads its own copy, or the cache is overwritten before "
       "each run. roof_share is the\n"
       "share of the rate at which the device reads memory, measured before.",
       {{"entry", "NAME", "entry to run (default: every entry that has all inputs named by --shape)"},
        {"shape", "INPUT=D0xD1...", "extents of an input, in elements; may be repeated; extents not given are 1"},
        {"sets", "N", "random inputs that take turns, at least 8 (default: 8)"},
        {"seconds", "S", "how long to measure, after a quarter of it as warm-up (default: 0.6; 0.1 on a device)"},
        {"warm", "", "on a device: weights may be in the cache"},
        {"tune", "", "choose kernel variants by measuring (none to choose from in this version)"},
        {"profile", "FILE", "write one run's steps as a trace for Perfetto or Chrome (JSON, microseconds)"}},
       1,
       1},
      runBench};
}
} // namespace moe
