// CudaDevice.cpp - place kept: the device target follows.
#include "base/Device.h"
namespace moe {
Status createCudaDevice(const Artefact &artefact, int, const moe_allocator_t &, std::unique_ptr<Device> &) {
  return Status(MOE_UNSUPPORTED, artefact.path() + ": expected an artefact for the CPU, found one for cuda");
}
} // namespace moe
