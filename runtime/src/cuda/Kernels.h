// Kernels.h - the kernels of an artefact on one device: the image that fits the chip, and launches as their records say.
#ifndef MOE_CUDA_KERNELS_H
#define MOE_CUDA_KERNELS_H

#include "artefact/Artefact.h"
#include "cuda/Driver.h"

#include <vector>

namespace moe::cuda {

/// What a launch depends on.
struct Chip {
  std::string name; // "device 0 (NVIDIA H200)"
  int major = 0, minor = 0, multiprocessors = 0, sharedBytes = 0, l2Bytes = 0;
};

class Kernels {
public:
  Kernels(const Driver &driver, const Chip &chip) : driver(driver), chip(chip) {}
  /// Call while the context is there.
  void unload();
  /// Takes the first cubin that runs on this chip, else the first PTX; "sm_90a" is for 9.0 alone, other cubins for their
  /// major version. Checks the launch records and finds the functions.
  Status load(const Artefact &artefact);
  /// Queues kernel number |kernel| on |stream|. The message of a failure does not say which step it was.
  Status launch(uint32_t kernel, int64_t items, const void *arguments, uint64_t argumentBytes, void *stream) const;

private:
  Status failure(const std::string &what, Result error) const;
  Status checkRecord(const std::string &path, uint32_t kernel) const;
  Status encode(const moe_tensor_map_t &record, const int64_t *words, uint64_t numWords, TensorMap &map) const;
  Status gridOf(const moe_device_kernel_t &record, int64_t items, uint32_t (&grid)[3]) const;

  const Driver &driver;
  const Chip &chip;
  const moe_module_t *code = nullptr;
  void *module = nullptr;
  std::vector<void *> functions; // by kernel
};

} // namespace moe::cuda
#endif // MOE_CUDA_KERNELS_H
