// Api.cpp - the C functions of moe/runtime.h over Artefact and Session. Nothing here decides anything.
#include "api/Session.h"
#include "base/Expression.h"
#include "cpu/Isa.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

using moe::Artefact;
using moe::Entry;
using moe::format;
using moe::Session;
using moe::Status;
using moe::Value;

namespace {
Artefact *unwrap(moe_artefact_t *artefact) { return reinterpret_cast<Artefact *>(artefact); }
const Artefact *unwrap(const moe_artefact_t *artefact) { return reinterpret_cast<const Artefact *>(artefact); }
Session *unwrap(moe_session_t *session) { return reinterpret_cast<Session *>(session); }

moe_status_t report(Status status) {
  static thread_local std::string message;
  if (status.ok())
    return {MOE_OK, ""};
  message = status.message();
  return {status.code(), message.c_str()};
}
moe_status_t invalid(const char *function, const char *what) {
  return report(Status(MOE_INVALID_ARGUMENT, std::string(function) + ": " + what));
}

/// Copies a caller's argument struct; members that it does not have are zero.
template <typename T> T readStruct(const T *given) {
  T full{};
  if (given)
    memcpy(static_cast<void *>(&full), given, std::min(given->struct_size, sizeof(T)));
  return full;
}
/// Fills a caller's result struct as far as it reaches.
template <typename T> moe_status_t writeStruct(const char *function, T full, T *out) {
  if (!out || out->struct_size < sizeof(size_t))
    return invalid(function, "expected a result with its struct_size set");
  full.struct_size = out->struct_size;
  memcpy(static_cast<void *>(out), &full, std::min(out->struct_size, sizeof(T)));
  return report(Status());
}
moe_status_t noSuch(const char *function, const char *what, size_t count, uint32_t index) {
  return report(Status(MOE_INVALID_ARGUMENT,
                       format("%s: %s: expected a number below %zu, found %u", function, what, count, index)));
}
moe_value_info_t valueInfo(const Value &value) {
  return {0,
          value.name.c_str(),
          value.dtype,
          uint32_t(value.dims.size()),
          value.dims.data(),
          value.role.c_str(),
          value.maxValue};
}
moe_status_t getValue(const char *function, const char *what, const std::vector<Value> &values, uint32_t index,
                      moe_value_info_t *out) {
  return index < values.size() ? writeStruct(function, valueInfo(values[index]), out)
                               : noSuch(function, what, values.size(), index);
}
} // namespace

const char *moe_version(void) { return "0.1.0"; }

moe_status_t moe_artefact_load(const char *path, const moe_artefact_options_t *, moe_artefact_t **out_artefact) {
  if (!path || !out_artefact)
    return invalid("moe_artefact_load", "path and out_artefact may not be NULL");
  Artefact *artefact = nullptr;
  Status status = Artefact::load(path, artefact);
  if (status.ok())
    *out_artefact = reinterpret_cast<moe_artefact_t *>(artefact);
  return report(std::move(status));
}
void moe_artefact_retain(moe_artefact_t *artefact) {
  if (artefact)
    unwrap(artefact)->retain();
}
void moe_artefact_release(moe_artefact_t *artefact) {
  if (artefact)
    unwrap(artefact)->release();
}
moe_status_t moe_artefact_verify(const moe_artefact_t *artefact) {
  return artefact ? report(unwrap(artefact)->verify()) : invalid("moe_artefact_verify", "artefact may not be NULL");
}

moe_status_t moe_artefact_get_info(const moe_artefact_t *artefact, moe_artefact_info_t *out_info) {
  if (!artefact)
    return invalid("moe_artefact_get_info", "artefact may not be NULL");
  const moe::Manifest &m = unwrap(artefact)->manifest();
  uint64_t bytes = m.randomBytes;
  for (const auto &file : m.weightFiles)
    bytes += file.size;
  moe_artefact_info_t info = {0,
                              m.compiler.c_str(),
                              m.target.c_str(),
                              m.chip.c_str(),
                              m.fp8.c_str(),
                              m.precision.c_str(),
                              m.activations.c_str(),
                              uint32_t(m.entries.size()),
                              uint32_t(m.states.size()),
                              uint32_t(m.variants.size()),
                              bytes};
  return writeStruct("moe_artefact_get_info", info, out_info);
}

moe_status_t moe_artefact_get_variant(const moe_artefact_t *artefact, uint32_t variant, moe_variant_info_t *out_info) {
  if (!artefact)
    return invalid("moe_artefact_get_variant", "artefact may not be NULL");
  const auto &variants = unwrap(artefact)->manifest().variants;
  if (variant >= variants.size())
    return noSuch("moe_artefact_get_variant", "variant", variants.size(), variant);
  moe_variant_info_t info = {0, variants[variant].c_str(), moe::processorMeets(variants[variant])};
  return writeStruct("moe_artefact_get_variant", info, out_info);
}

moe_status_t moe_artefact_get_entry(const moe_artefact_t *artefact, uint32_t entry, moe_entry_info_t *out_info) {
  if (!artefact)
    return invalid("moe_artefact_get_entry", "artefact may not be NULL");
  const moe::Manifest &m = unwrap(artefact)->manifest();
  if (entry >= m.entries.size())
    return noSuch("moe_artefact_get_entry", "entry", m.entries.size(), entry);
  const Entry &e = m.entries[entry];
  uint64_t bytes = 0;
  for (uint32_t weight : e.weights)
    bytes += m.weights[weight].size;
  moe_entry_info_t info = {
      0, e.name.c_str(), uint32_t(e.inputs.size()), uint32_t(e.outputs.size()), uint32_t(e.steps.size()), bytes};
  return writeStruct("moe_artefact_get_entry", info, out_info);
}

moe_status_t moe_artefact_find_entry(const moe_artefact_t *artefact, const char *name, uint32_t *out_entry) {
  if (!artefact || !name || !out_entry)
    return invalid("moe_artefact_find_entry", "artefact, name and out_entry may not be NULL");
  const auto &entries = unwrap(artefact)->manifest().entries;
  std::string known;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].name == name) {
      *out_entry = uint32_t(i);
      return report(Status());
    }
    known += (i ? ", " : "") + entries[i].name;
  }
  return report(
      Status(MOE_NOT_FOUND, unwrap(artefact)->path() + ": expected an entry of " + known + ", found " + name));
}

moe_status_t moe_artefact_get_input(const moe_artefact_t *artefact, uint32_t entry, uint32_t input,
                                    moe_value_info_t *out_info) {
  if (!artefact)
    return invalid("moe_artefact_get_input", "artefact may not be NULL");
  const auto &entries = unwrap(artefact)->manifest().entries;
  return entry < entries.size() ? getValue("moe_artefact_get_input", "input", entries[entry].inputs, input, out_info)
                                : noSuch("moe_artefact_get_input", "entry", entries.size(), entry);
}
moe_status_t moe_artefact_get_output(const moe_artefact_t *artefact, uint32_t entry, uint32_t output,
                                     moe_value_info_t *out_info) {
  if (!artefact)
    return invalid("moe_artefact_get_output", "artefact may not be NULL");
  const auto &entries = unwrap(artefact)->manifest().entries;
  return entry < entries.size()
             ? getValue("moe_artefact_get_output", "output", entries[entry].outputs, output, out_info)
             : noSuch("moe_artefact_get_output", "entry", entries.size(), entry);
}
moe_status_t moe_artefact_get_state(const moe_artefact_t *artefact, uint32_t state, moe_value_info_t *out_info) {
  if (!artefact)
    return invalid("moe_artefact_get_state", "artefact may not be NULL");
  return getValue("moe_artefact_get_state", "state", unwrap(artefact)->manifest().states, state, out_info);
}

moe_status_t moe_artefact_get_cost(const moe_artefact_t *artefact, uint32_t entry, const int64_t *extents,
                                   size_t num_extents, double *out_flops, double *out_bytes) {
  if (!artefact || !out_flops || !out_bytes || (num_extents && !extents))
    return invalid("moe_artefact_get_cost", "no argument may be NULL");
  const auto &entries = unwrap(artefact)->manifest().entries;
  if (entry >= entries.size())
    return noSuch("moe_artefact_get_cost", "entry", entries.size(), entry);
  const Entry &e = entries[entry];
  if (num_extents != e.numInputExtents)
    return report(Status(MOE_INVALID_ARGUMENT, format("moe_artefact_get_cost: expected %u extents, found %zu",
                                                      e.numInputExtents, num_extents)));
  auto lookup = [&](std::string_view name, double &out) {
    const int64_t *next = extents;
    for (const Value &input : e.inputs)
      for (const moe_dim_t &dim : input.dims) {
        if (dim.name && name == dim.name) {
          out = double(*next);
          return true;
        }
        ++next;
      }
    return false;
  };
  double flops = -1, bytes = -1;
  Status status;
  if (!e.flops.empty())
    status = moe::evaluateExpression(e.flops, lookup, flops);
  if (status.ok() && !e.bytes.empty())
    status = moe::evaluateExpression(e.bytes, lookup, bytes);
  if (status.ok())
    *out_flops = flops, *out_bytes = bytes;
  return report(std::move(status));
}

moe_status_t moe_session_create(moe_artefact_t *artefact, const moe_session_options_t *options,
                                moe_session_t **out_session) {
  if (!artefact || !out_session)
    return invalid("moe_session_create", "artefact and out_session may not be NULL");
  Session *session = nullptr;
  Status status = Session::create(unwrap(artefact), readStruct(options), session);
  if (status.ok())
    *out_session = reinterpret_cast<moe_session_t *>(session);
  return report(std::move(status));
}
void moe_session_retain(moe_session_t *session) {
  if (session)
    unwrap(session)->retain();
}
void moe_session_release(moe_session_t *session) {
  if (session)
    unwrap(session)->release();
}
uint32_t moe_session_num_threads(const moe_session_t *session) {
  return session ? reinterpret_cast<const Session *>(session)->device().threads() : 0;
}

moe_status_t moe_session_plan(moe_session_t *session, uint32_t entry, const int64_t *extents, size_t num_extents,
                              int64_t *out_extents, size_t num_out_extents, uint64_t *out_arena_bytes) {
  if (!session || (num_extents && !extents) || (num_out_extents && !out_extents))
    return invalid("moe_session_plan", "session, extents and out_extents may not be NULL");
  const moe::Plan *plan;
  if (Status status = unwrap(session)->plan(entry, extents, num_extents, plan); !status.ok())
    return report(std::move(status));
  if (num_out_extents != plan->outputExtents.size())
    return report(
        Status(MOE_INVALID_ARGUMENT, format("moe_session_plan: expected room for %zu output extents, found %zu",
                                            plan->outputExtents.size(), num_out_extents)));
  std::copy(plan->outputExtents.begin(), plan->outputExtents.end(), out_extents);
  if (out_arena_bytes)
    *out_arena_bytes = plan->arenaSize;
  return report(Status());
}

moe_status_t moe_session_run(moe_session_t *session, const moe_run_args_t *args) {
  if (!session || !args)
    return invalid("moe_session_run", "session and args may not be NULL");
  moe_run_args_t full = readStruct(args);
  if ((full.num_inputs && !full.inputs) || (full.num_outputs && !full.outputs))
    return invalid("moe_session_run", "inputs and outputs may not be NULL");
  for (size_t i = 0; i < full.num_inputs; ++i)
    if (full.inputs[i].rank && !full.inputs[i].extents)
      return invalid("moe_session_run", "extents of an input may not be NULL");
  return report(unwrap(session)->run(full));
}

moe_status_t moe_session_time(moe_session_t *session, const moe_time_args_t *args, moe_time_result_t *out_result) {
  if (!session || !args)
    return invalid("moe_session_time", "session and args may not be NULL");
  moe_time_args_t full = readStruct(args);
  if (!full.num_sets)
    return invalid("moe_session_time", "expected at least one set of inputs");
  moe::TimeRequest request{};
  if (Status status = unwrap(session)->time(full, request); !status.ok())
    return report(std::move(status));
  std::vector<double> &us = request.us;
  std::sort(us.begin(), us.end());
  const Entry &entry = unwrap(session)->artefact().manifest().entries[full.entry];
  moe_time_result_t result = {0,
                              request.runs,
                              us.front(),
                              us[us.size() / 2],
                              us.back(),
                              request.coldBy,
                              entry.notCapturable.c_str(),
                              request.readRoof,
                              request.copyRoof};
  return writeStruct("moe_session_time", result, out_result);
}

moe_status_t moe_session_set_profiler(moe_session_t *session,
                                      void (*callback)(void *self, const moe_step_event_t *event), void *self) {
  if (!session)
    return invalid("moe_session_set_profiler", "session may not be NULL");
  unwrap(session)->device().profiler = callback;
  unwrap(session)->device().profilerSelf = self;
  return report(Status());
}
