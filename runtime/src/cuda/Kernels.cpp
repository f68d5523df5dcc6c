// Kernels.cpp - see Kernels.h.
#include "cuda/Kernels.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace moe::cuda {
namespace {
constexpr uint32_t kOrdinarySharedBytes = 48 << 10; // what a block gets without asking
constexpr uint32_t kPortableCluster = 8;
constexpr uint32_t kMaxParams = 256;

/// CUtensorMapDataType by moe_dtype_t; -1: none.
int tensorMapType(uint32_t dtype) {
  switch (dtype) {
  case MOE_DTYPE_FLOAT32:
    return 7;
  case MOE_DTYPE_FLOAT16:
    return 6;
  case MOE_DTYPE_BFLOAT16:
    return 9;
  case MOE_DTYPE_FLOAT64:
    return 8;
  case MOE_DTYPE_INT16:
  case MOE_DTYPE_UINT16:
    return 1;
  case MOE_DTYPE_INT32:
    return 3;
  case MOE_DTYPE_UINT32:
    return 2;
  case MOE_DTYPE_INT64:
    return 5;
  case MOE_DTYPE_UINT64:
    return 4;
  case MOE_DTYPE_INT8:
  case MOE_DTYPE_UINT8:
  case MOE_DTYPE_BOOL:
  case MOE_DTYPE_FLOAT8E4M3FN:
  case MOE_DTYPE_FLOAT8E5M2:
    return 0;
  }
  return -1;
}
/// Number of |value| among 0 and the powers of two from |first| on; -1 if it is none of |count|.
int rung(uint32_t value, uint32_t first, int count) {
  if (value == 0)
    return 0;
  for (int i = 1; i < count; ++i)
    if (value == first << (i - 1))
      return i;
  return -1;
}
} // namespace

void Kernels::unload() {
  if (module)
    driver.moduleUnload(module);
  module = nullptr;
}

Status Kernels::failure(const std::string &what, Result error) const {
  return Status(MOE_DEVICE_ERROR, chip.name + ": " + what + ": " + driver.describe(error));
}

Status Kernels::checkRecord(const std::string &path, uint32_t kernel) const {
  const moe_device_kernel_t &record = code->device_kernels[kernel];
  auto wrong = [&](const std::string &what) {
    return Status(MOE_BAD_ARTEFACT, path + format(": kernel %s: expected ", code->kernel_names[kernel]) + what);
  };
  if (record.block_size < 1 || record.block_size > 1024)
    return wrong(format("1 to 1024 threads in a block, found %u", record.block_size));
  if (record.grid_kind > MOE_GRID_FIXED)
    return wrong(format("a known kind of grid, found %u", record.grid_kind));
  bool sized = record.grid_kind == MOE_GRID_FIXED || record.grid_kind == MOE_GRID_PER_SM;
  for (int i = 0; i < (record.grid_kind == MOE_GRID_FIXED ? 3 : sized ? 1 : 0); ++i)
    if (record.grid[i] < 1 || record.grid[i] > (i ? 65535u : uint32_t(INT32_MAX)))
      return wrong(
          format("a grid of 1 to %u blocks in dim %d, found %u", i ? 65535u : uint32_t(INT32_MAX), i, record.grid[i]));
  uint64_t blocks = uint64_t(record.cluster[0]) * record.cluster[1] * record.cluster[2];
  if (blocks < 1 || blocks > 16 || (record.grid_kind != MOE_GRID_FIXED && blocks != record.cluster[0]))
    return wrong(format("a cluster of 1 to 16 blocks%s, found %ux%ux%u",
                        record.grid_kind == MOE_GRID_FIXED ? "" : " in x", record.cluster[0], record.cluster[1],
                        record.cluster[2]));
  if (record.grid_kind == MOE_GRID_FIXED)
    for (int i = 0; i < 3; ++i)
      if (record.grid[i] % record.cluster[i])
        return wrong(format("a grid of whole clusters in dim %d, found %u blocks in clusters of %u", i, record.grid[i],
                            record.cluster[i]));
  if (record.shared_bytes > uint32_t(std::max(chip.sharedBytes, 0)))
    return Status(MOE_UNSUPPORTED,
                  chip.name + format(": kernel %s: expected at most %d bytes of shared memory in a block, found %u",
                                     code->kernel_names[kernel], chip.sharedBytes, record.shared_bytes));
  if (record.num_params > kMaxParams)
    return wrong(format("at most %u parameters, found %u", kMaxParams, record.num_params));
  for (uint32_t i = 0; i < record.num_params; ++i) {
    const moe_param_t &param = record.params[i];
    if (param.kind > MOE_PARAM_TENSOR_MAP)
      return wrong(format("a known kind for parameter %u, found %u", i, param.kind));
    if (param.kind == MOE_PARAM_TENSOR_MAP && param.index >= record.num_tensor_maps)
      return wrong(format("a tensor map below %u for parameter %u, found %u", record.num_tensor_maps, i, param.index));
  }
  for (uint32_t i = 0; i < record.num_tensor_maps; ++i) {
    const moe_tensor_map_t &map = record.tensor_maps[i];
    if (tensorMapType(map.dtype) < 0 || map.rank < 1 || map.rank > MOE_TENSOR_MAP_RANK ||
        rung(map.swizzle, 32, 4) < 0 || rung(map.l2_promotion, 64, 4) < 0)
      return wrong(
          format("tensor map %u to have a known dtype, rank 1 to 5, a swizzle of 0, 32, 64 or 128 and a promotion "
                 "of 0, 64, 128 or 256 bytes, found dtype %u, rank %u, %u and %u",
                 i, map.dtype, map.rank, map.swizzle, map.l2_promotion));
    if (!driver.tensorMapEncodeTiled)
      return Status(MOE_UNSUPPORTED,
                    "libcuda.so.1: expected the function cuTensorMapEncodeTiled, found none; the driver is too old");
  }
  return Status();
}

Status Kernels::load(const Artefact &artefact) {
  code = &artefact.module();
  const moe_device_image_t *best = nullptr;
  std::string offered;
  for (uint32_t i = 0; i < code->num_device_images; ++i) {
    const moe_device_image_t &image = code->device_images[i];
    offered += (i ? ", " : "") + std::string(image.chip) + " " + image.format;
    if (strncmp(image.chip, "sm_", 3) != 0)
      continue;
    char *suffix;
    int version = int(strtol(image.chip + 3, &suffix, 10)), major = version / 10, minor = version % 10;
    bool exact = *suffix != 0, cubin = strcmp(image.format, "cubin") == 0;
    bool same = major == chip.major && minor == chip.minor,
         newer = chip.major > major || (chip.major == major && chip.minor >= minor);
    if (exact ? same : cubin ? newer && chip.major == major : newer)
      if (!best || (cubin && strcmp(best->format, "cubin") != 0))
        best = &image;
  }
  if (!best)
    return Status(MOE_UNSUPPORTED, chip.name + format(": expected code for sm_%d%d, found %s", chip.major, chip.minor,
                                                      offered.empty() ? "none" : offered.c_str()));
  for (uint32_t kernel = 0; kernel < code->num_kernels; ++kernel)
    MOE_RETURN_IF_ERROR(checkRecord(artefact.path(), kernel));
  std::string text(static_cast<const char *>(best->data), best->size); // PTX must end in a zero byte
  char log[4096] = "";
  int options[] = {kJitErrorLog, kJitErrorLogSize};
  void *values[] = {log, reinterpret_cast<void *>(sizeof(log))};
  if (Result error = driver.moduleLoad(&module, text.c_str(), 2, options, values)) {
    module = nullptr;
    for (char *c = log; *c; ++c)
      *c = *c == '\n' ? ' ' : *c;
    return failure(std::string("cannot load the ") + best->chip + " " + best->format +
                       (*log ? std::string(" (") + log + ")" : ""),
                   error);
  }
  functions.resize(code->num_kernels);
  for (uint32_t kernel = 0; kernel < code->num_kernels; ++kernel) {
    const moe_device_kernel_t &record = code->device_kernels[kernel];
    std::string name = code->kernel_names[kernel];
    if (Result error = driver.moduleGetFunction(&functions[kernel], module, name.c_str()))
      return failure("no kernel " + name, error);
    if (record.shared_bytes > kOrdinarySharedBytes)
      if (Result error = driver.functionSetAttribute(functions[kernel], kFunctionSharedBytes, int(record.shared_bytes)))
        return failure(format("kernel %s: %u bytes of shared memory in a block", name.c_str(), record.shared_bytes),
                       error);
    if (record.cluster[0] * record.cluster[1] * record.cluster[2] > kPortableCluster)
      if (Result error = driver.functionSetAttribute(functions[kernel], kFunctionAnyCluster, 1))
        return failure(format("kernel %s: a cluster of %ux%ux%u blocks", name.c_str(), record.cluster[0],
                              record.cluster[1], record.cluster[2]),
                       error);
  }
  return Status();
}

Status Kernels::gridOf(const moe_device_kernel_t &record, int64_t items, uint32_t (&grid)[3]) const {
  if (record.grid_kind == MOE_GRID_FIXED) {
    memcpy(grid, record.grid, sizeof(grid));
    return Status();
  }
  int64_t cluster = record.cluster[0], blocks = items;
  if (record.grid_kind == MOE_GRID_THREADS)
    blocks = (items - 1) / record.block_size + 1;
  if (record.grid_kind == MOE_GRID_PER_SM) {
    int64_t most = int64_t(record.grid[0]) * chip.multiprocessors / cluster * cluster;
    blocks = std::min(std::max(most, cluster), (items - 1) / cluster * cluster + cluster);
  } else {
    blocks = (blocks - 1) / cluster * cluster + cluster;
  }
  if (blocks > INT32_MAX)
    return Status(MOE_UNSUPPORTED, format("expected at most %d blocks, found %lld", INT32_MAX, (long long)blocks));
  grid[0] = uint32_t(blocks), grid[1] = grid[2] = 1;
  return Status();
}

Status Kernels::encode(const moe_tensor_map_t &record, const int64_t *words, uint64_t numWords, TensorMap &map) const {
  auto wrong = [](const std::string &what) { return Status(MOE_UNSUPPORTED, "expected " + what); };
  auto resolve = [&](int64_t number, int64_t &out) {
    bool known = number >= 0 || uint64_t(-(number + 1)) < numWords;
    out = number >= 0 ? number : known ? words[-(number + 1)] : -1;
    return known;
  };
  uint32_t rank = record.rank, element = uint32_t(moe_dtype_size(moe_dtype_t(record.dtype)));
  if (record.address >= numWords)
    return wrong(
        format("an address in one of %llu words, found word %u", (unsigned long long)numWords, record.address));
  uint64_t dims[MOE_TENSOR_MAP_RANK], strides[MOE_TENSOR_MAP_RANK];
  uint32_t box[MOE_TENSOR_MAP_RANK], steps[MOE_TENSOR_MAP_RANK];
  int64_t address = words[record.address];
  bool empty = false;
  if (address % 16)
    return wrong(format("an address at a multiple of 16, found %lld", (long long)address));
  for (uint32_t i = 0; i < rank; ++i) {
    int64_t dim, stride;
    uint32_t to = rank - 1 - i; // the driver counts from the innermost
    if (!resolve(record.dims[i], dim) || dim < 0 || dim > int64_t(1) << 32)
      return wrong(format("0 to 4294967296 elements in dim %u, found %lld", i, (long long)dim));
    if (!resolve(record.strides[i], stride) || stride < 0 || stride > int64_t(1) << 40)
      return wrong(format("a stride of 0 to 2^40 elements in dim %u, found %lld", i, (long long)stride));
    if (to == 0 && stride != 1)
      return wrong(format("stride 1 in dim %u, the last one, found %lld", i, (long long)stride));
    if (to > 0 && (stride * element) % 16)
      return wrong(
          format("a stride of a multiple of 16 bytes in dim %u, found %lld", i, (long long)(stride * element)));
    if (record.box[i] < 1 || record.box[i] > 256)
      return wrong(format("a box of 1 to 256 elements in dim %u, found %u", i, record.box[i]));
    if (to == 0 && (record.box[i] * element) % 16)
      return wrong(format("a box of a multiple of 16 bytes in dim %u, found %u", i, record.box[i] * element));
    if (to == 0 && record.swizzle && record.box[i] * element > record.swizzle)
      return wrong(format("a box of at most %u bytes, the swizzle, in dim %u, found %u", record.swizzle, i,
                          record.box[i] * element));
    empty |= dim == 0;
    dims[to] = uint64_t(dim), strides[to] = uint64_t(stride) * element, box[to] = record.box[i], steps[to] = 1;
  }
  if (empty) { // The driver encodes no such map, and the kernel copies nothing through it.
    map = TensorMap();
    return Status();
  }
  if (Result error = driver.tensorMapEncodeTiled(&map, tensorMapType(record.dtype), rank,
                                                 reinterpret_cast<void *>(address), dims, strides + 1, box, steps, 0,
                                                 rung(record.swizzle, 32, 4), rung(record.l2_promotion, 64, 4), 0))
    return Status(MOE_DEVICE_ERROR, driver.describe(error));
  return Status();
}

Status Kernels::launch(uint32_t kernel, int64_t items, const void *arguments, uint64_t argumentBytes,
                       void *stream) const {
  const moe_device_kernel_t &record = code->device_kernels[kernel];
  // Words of the argument block lie at multiples of 8 on the host program's stack.
  auto *words = static_cast<const int64_t *>(arguments);
  uint64_t numWords = argumentBytes / 8;
  std::vector<TensorMap> maps(record.num_tensor_maps);
  for (uint32_t i = 0; i < record.num_tensor_maps; ++i)
    if (Status status = encode(record.tensor_maps[i], words, numWords, maps[i]); !status.ok())
      return Status(status.code(), format("tensor map %u: ", i) + status.message());
  void *params[kMaxParams + 1];
  uint32_t count = record.num_params ? record.num_params : uint32_t(numWords + 1);
  if (count > kMaxParams + 1)
    return Status(MOE_UNSUPPORTED, format("expected at most %u parameters, found %u", kMaxParams, count));
  for (uint32_t i = 0; i < count; ++i) {
    moe_param_t param = record.num_params ? record.params[i]
                        : i < numWords    ? moe_param_t{MOE_PARAM_WORD, i}
                                          : moe_param_t{MOE_PARAM_ITEMS, 0};
    if (param.kind == MOE_PARAM_WORD && param.index >= numWords)
      return Status(MOE_BAD_ARTEFACT, format("parameter %u: expected one of %llu words, found word %u", i,
                                             (unsigned long long)numWords, param.index));
    params[i] = param.kind == MOE_PARAM_WORD    ? const_cast<int64_t *>(words + param.index)
                : param.kind == MOE_PARAM_ITEMS ? &items
                                                : static_cast<void *>(&maps[param.index]);
  }
  LaunchAttribute attributes[2] = {};
  LaunchConfig config = {{0, 0, 0}, {record.block_size, 1, 1}, record.shared_bytes, stream, attributes, 0};
  MOE_RETURN_IF_ERROR(gridOf(record, items, config.grid));
  if (record.cluster[0] * record.cluster[1] * record.cluster[2] > 1) {
    LaunchAttribute &attribute = attributes[config.numAttributes++];
    attribute.id = kAttributeCluster;
    memcpy(attribute.numbers, record.cluster, sizeof(record.cluster));
  }
  if (record.flags & MOE_LAUNCH_PDL) {
    LaunchAttribute &attribute = attributes[config.numAttributes++];
    attribute.id = kAttributeProgrammaticStream;
    attribute.numbers[0] = 1;
  }
  if (Result error = driver.launchKernel(&config, functions[kernel], params, nullptr))
    return Status(MOE_DEVICE_ERROR, driver.describe(error));
  return Status();
}
} // namespace moe::cuda
