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
  Result (*copyToDevice)(DevicePointer to, const void *from, size_t size, void *stream);
  Result (*copyToHost)(void *to, DevicePointer from, size_t size, void *stream);
  Result (*streamCreate)(void **stream, unsigned flags);
  Result (*streamSynchronize)(void *stream);
  Result (*streamDestroy)(void *stream);
  Result (*moduleLoad)(void **module, const void *image, unsigned count, int *options, void **values);
  Result (*moduleUnload)(void *module);
  Result (*moduleGetFunction)(void **function, void *module, const char *name);
  Result (*launchKernel)(void *function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX,
                         unsigned blockY, unsigned blockZ, unsigned sharedBytes, void *stream, void **parameters,
                         void **extra);
  Result (*getErrorName)(Result error, const char **name);
  Result (*getErrorString)(Result error, const char **text);

  /// Loads libcuda.so.1 once and initialises it. MOE_UNSUPPORTED without a driver.
  static Status get(const Driver *&out);
  /// "CUDA_ERROR_INVALID_VALUE: invalid argument"
  std::string describe(Result error) const;
};

// Constants of the driver's interface.
constexpr int kAttributeMajor = 75, kAttributeMinor = 76; // compute capability
constexpr unsigned kNonBlockingStream = 1;
constexpr int kJitErrorLog = 5, kJitErrorLogSize = 6;
inline void *const kParameterBuffer = reinterpret_cast<void *>(1), *const kParameterSize = reinterpret_cast<void *>(2);

} // namespace moe::cuda
#endif // MOE_CUDA_DRIVER_H
