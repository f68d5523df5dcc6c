// Device.cpp - what every device tells of its steps.
#include "base/Device.h"

#include <time.h>

namespace moe {

uint64_t nowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return uint64_t(now.tv_sec) * 1000000000u + uint64_t(now.tv_nsec);
}

Status Device::time(const Artefact &artefact, TimeRequest &) {
  return Status(MOE_UNSUPPORTED,
                artefact.path() + ": expected an artefact for a device, found one for " + artefact.manifest().target);
}

void Device::reportStep(const Artefact &artefact, uint32_t entry, uint32_t step, uint32_t kernel, int64_t items,
                        uint64_t begin, uint64_t end) {
  const std::vector<Step> &steps = artefact.manifest().entries[entry].steps;
  bool listed = step < steps.size();
  moe_step_event_t event = {sizeof(event),
                            entry,
                            step,
                            artefact.manifest().kernels[kernel].c_str(),
                            listed ? steps[step].op.c_str() : "",
                            listed ? steps[step].source.c_str() : "",
                            items,
                            begin,
                            end};
  profiler(profilerSelf, &event);
}

} // namespace moe
