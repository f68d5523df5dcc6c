// Driver.h - the parts of the CUDA driver that we call, declared by ourselves and found with dlopen: no CUDA headers,
// no link.
#ifndef MOE_CUDA_DRIVER_H
#define MOE_CUDA_DRIVER_H

#include "base/Status.h"

#include <cstddef>
#include <cstdint>

namespace moe::cuda {

using DevicePointer = uint64_t;
using Result = int; // CUresult; 0 is success
constexpr Result kOutOfMemory = 2;

/// CUlaunchAttribute: 8 bytes of name and 64 of value.
struct LaunchAttribute {
  uint32_t id, padding;
  union {
    uint32_t numbers[16];
    uint64_t alignment;
  };
};
constexpr uint32_t kAttributeCluster = 4, kAttributeProgrammaticStream = 6;

/// CUlaunchConfig.
struct LaunchConfig {
  uint32_t grid[3], block[3], sharedBytes;
  void *stream;
  LaunchAttribute *attributes;
  uint32_t numAttributes;
};

/// CUtensorMap.
struct alignas(64) TensorMap {
  uint64_t opaque[16];
};

struct Driver {
  Result (*init)(unsigned flags);
  Result (*deviceGetCount)(int *count);
  Result (*deviceGet)(int *device, int ordinal);
  Result (*deviceGetName)(char *name, int size, int device);
  Result (*deviceGetAttribute)(int *value, int attribute, int device);
  Result (*primaryContextRetain)(void **context, int device);
  Result (*primaryContextRelease)(int device);
  Result (*contextSetCurrent)(void *context);
  Result (*memAlloc)(DevicePointer *memory, size_t size);
  Result (*memFree)(DevicePointer memory);
  Result (*memGetInfo)(size_t *free, size_t *total);
  Result (*memHostAlloc)(void **memory, size_t size, unsigned flags);
  Result (*memFreeHost)(void *memory);
  Result (*memHostGetDevicePointer)(DevicePointer *device, void *memory, unsigned flags);
  Result (*copyToDevice)(DevicePointer to, const void *from, size_t size, void *stream);
  Result (*copyToHost)(void *to, DevicePointer from, size_t size, void *stream);
  Result (*copyOnDevice)(DevicePointer to, DevicePointer from, size_t size, void *stream);
  Result (*memset)(DevicePointer memory, uint8_t value, size_t size, void *stream);
  Result (*streamCreate)(void **stream, unsigned flags);
  Result (*streamSynchronize)(void *stream);
  Result (*streamDestroy)(void *stream);
  Result (*streamWriteValue)(void *stream, DevicePointer memory, uint32_t value, unsigned flags);
  Result (*streamBeginCapture)(void *stream, int mode);
  Result (*streamEndCapture)(void *stream, void **graph);
  Result (*graphInstantiate)(void **executable, void *graph, unsigned long long flags);
  Result (*graphLaunch)(void *executable, void *stream);
  Result (*graphDestroy)(void *graph);
  Result (*graphExecutableDestroy)(void *executable);
  Result (*eventCreate)(void **event, unsigned flags);
  Result (*eventRecord)(void *event, void *stream);
  Result (*eventSynchronize)(void *event);
  Result (*eventElapsed)(float *milliseconds, void *begin, void *end);
  Result (*eventDestroy)(void *event);
  Result (*moduleLoad)(void **module, const void *image, unsigned count, int *options, void **values);
  Result (*moduleUnload)(void *module);
  Result (*moduleGetFunction)(void **function, void *module, const char *name);
  Result (*functionSetAttribute)(void *function, int attribute, int value);
  Result (*launchKernel)(const LaunchConfig *config, void *function, void **parameters, void **extra);
  Result (*getErrorName)(Result error, const char **name);
  Result (*getErrorString)(Result error, const char **text);
  /// NULL in drivers before 12.0.
  Result (*tensorMapEncodeTiled)(TensorMap *map, int dtype, uint32_t rank, void *address, const uint64_t *dims,
                                 const uint64_t *strides, const uint32_t *box, const uint32_t *elementStrides,
                                 int interleave, int swizzle, int l2Promotion, int fill);

  /// Loads libcuda.so.1 once and initialises it. MOE_UNSUPPORTED without a driver.
  static Status get(const Driver *&out);
  /// "CUDA_ERROR_INVALID_VALUE: invalid argument"
  std::string describe(Result error) const;
};

// Constants of the driver's interface.
constexpr int kDeviceMultiprocessors = 16, kDeviceL2Bytes = 38, kDeviceMajor = 75, kDeviceMinor = 76,
              kDeviceSharedBytes = 97; // the last one: a block's, when asked for
constexpr unsigned kNonBlockingStream = 1, kHostMemoryOfDevice = 2;
constexpr int kCaptureThread = 1;
constexpr int kJitErrorLog = 5, kJitErrorLogSize = 6;
constexpr int kFunctionSharedBytes = 8, kFunctionAnyCluster = 14;

} // namespace moe::cuda
#endif // MOE_CUDA_DRIVER_H
