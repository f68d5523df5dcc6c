// Driver.cpp - see Driver.h.
#include "cuda/Driver.h"

#include <dlfcn.h>

namespace moe::cuda {
namespace {
struct Loaded {
  Driver driver{};
  Status status;

  Loaded() {
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
      status = Status(MOE_UNSUPPORTED, "expected the CUDA driver (libcuda.so.1), found none on this machine");
      return;
    }
    auto look = [&](auto &function, const char *name) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    };
    auto find = [&](auto &function, const char *name) {
      look(function, name);
      if (!function && status.ok())
        status = Status(MOE_UNSUPPORTED, std::string("libcuda.so.1: expected the function ") + name +
                                             ", found none; the driver is too old");
    };
    find(driver.init, "cuInit");
    find(driver.deviceGetCount, "cuDeviceGetCount");
    find(driver.deviceGet, "cuDeviceGet");
    find(driver.deviceGetName, "cuDeviceGetName");
    find(driver.deviceGetAttribute, "cuDeviceGetAttribute");
    find(driver.primaryContextRetain, "cuDevicePrimaryCtxRetain");
    find(driver.primaryContextRelease, "cuDevicePrimaryCtxRelease_v2");
    find(driver.contextSetCurrent, "cuCtxSetCurrent");
    find(driver.memAlloc, "cuMemAlloc_v2");
    find(driver.memFree, "cuMemFree_v2");
    find(driver.memGetInfo, "cuMemGetInfo_v2");
    find(driver.memHostAlloc, "cuMemHostAlloc");
    find(driver.memFreeHost, "cuMemFreeHost");
    find(driver.memHostGetDevicePointer, "cuMemHostGetDevicePointer_v2");
    find(driver.copyToDevice, "cuMemcpyHtoDAsync_v2");
    find(driver.copyToHost, "cuMemcpyDtoHAsync_v2");
    find(driver.copyOnDevice, "cuMemcpyDtoDAsync_v2");
    find(driver.memset, "cuMemsetD8Async");
    find(driver.streamCreate, "cuStreamCreate");
    find(driver.streamSynchronize, "cuStreamSynchronize");
    find(driver.streamDestroy, "cuStreamDestroy_v2");
    find(driver.streamWriteValue, "cuStreamWriteValue32_v2");
    find(driver.streamBeginCapture, "cuStreamBeginCapture_v2");
    find(driver.streamEndCapture, "cuStreamEndCapture");
    find(driver.graphInstantiate, "cuGraphInstantiateWithFlags");
    find(driver.graphLaunch, "cuGraphLaunch");
    find(driver.graphDestroy, "cuGraphDestroy");
    find(driver.graphExecutableDestroy, "cuGraphExecDestroy");
    find(driver.eventCreate, "cuEventCreate");
    find(driver.eventRecord, "cuEventRecord");
    find(driver.eventSynchronize, "cuEventSynchronize");
    find(driver.eventElapsed, "cuEventElapsedTime");
    find(driver.eventDestroy, "cuEventDestroy_v2");
    find(driver.moduleLoad, "cuModuleLoadDataEx");
    find(driver.moduleUnload, "cuModuleUnload");
    find(driver.moduleGetFunction, "cuModuleGetFunction");
    find(driver.functionSetAttribute, "cuFuncSetAttribute");
    find(driver.launchKernel, "cuLaunchKernelEx");
    find(driver.getErrorName, "cuGetErrorName");
    find(driver.getErrorString, "cuGetErrorString");
    look(driver.tensorMapEncodeTiled, "cuTensorMapEncodeTiled");
    if (!status.ok())
      return;
    if (Result error = driver.init(0))
      status = Status(MOE_UNSUPPORTED, "the CUDA driver does not start: " + driver.describe(error));
  }
};
} // namespace

Status Driver::get(const Driver *&out) {
  static const Loaded loaded;
  out = &loaded.driver;
  return loaded.status;
}

std::string Driver::describe(Result error) const {
  const char *name = nullptr, *text = nullptr;
  getErrorName(error, &name);
  getErrorString(error, &text);
  return name ? std::string(name) + ": " + (text ? text : "") : format("error %d", error);
}
} // namespace moe::cuda
