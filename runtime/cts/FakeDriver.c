// FakeDriver.c - libcuda.so.1 for machines without a GPU: device memory is host memory, a stream runs at once, a graph is a
// list of launches. It knows the kernels of FakeCudaModule.c and of the runtime by name. Reading address 0 is a sticky
// error that shows when the stream is waited for, as on a device.
#include "FakeDriver.h"
#include "moe/random_values.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define API __attribute__((visibility("default")))
typedef int CUresult;
typedef uint64_t CUdeviceptr;
enum { INVALID = 1, OUT_OF_MEMORY = 2, ILLEGAL_ADDRESS = 700, CAPTURE_INVALID = 900 };

API fake_driver_t fake_driver = {.memory_limit = (size_t)1 << 28, .l2_bytes = 1024};

static CUresult sticky = 0;

// --- kernels
typedef struct {
  char name[32];
} function_t;
typedef struct {
  function_t *function;
  fake_launch_t shape;
  uint64_t params[8];
  unsigned char map[128];
} node_t;
typedef struct {
  node_t *nodes;
  size_t count;
} graph_t;
static graph_t *capturing = 0;

static CUresult execute(const node_t *node) {
  const uint64_t *p = node->params;
  if (sticky)
    return 0;
  ++fake_driver.launches;
  fake_driver.last = node->shape;
  uint64_t threads = (uint64_t)node->shape.grid[0] * node->shape.block[0];
  if (!strcmp(node->function->name, "k0_lookup")) {
    const int64_t *ids = (void *)p[0], *mask = (void *)p[1];
    const float *table = (void *)p[2];
    float *out = (void *)p[3];
    if (threads < p[4])
      return INVALID;
    for (uint64_t i = 0; i < p[4]; ++i)
      for (int k = 0; k < 8; ++k)
        out[i * 8 + k] = table[ids[i] * 8 + k] * (float)mask[i];
  } else if (!strcmp(node->function->name, "k1_copy")) {
    if (!p[0] || !p[1]) {
      sticky = ILLEGAL_ADDRESS;
      return 0;
    }
    memcpy((void *)p[1], (void *)p[0], p[2] * 4);
  } else if (!strcmp(node->function->name, "k2_tiles")) {
    for (uint32_t i = 0; i < node->shape.grid[0]; ++i)
      ((int64_t *)p[1])[i] = (int64_t)p[2];
  } else if (!strcmp(node->function->name, "moe_fill")) {
    moe_random_t random = {p[2], (uint32_t)p[3], 0, 0};
    memcpy(&random.first, &p[4], 4), memcpy(&random.second, &p[5], 4);
    uint32_t dtype = (uint32_t)p[6], size = moe_random_element_size(dtype);
    for (uint64_t i = 0; i < p[1] * 16 / size; ++i) {
      uint32_t value = moe_random_element(&random, dtype, i);
      memcpy((char *)p[0] + i * size, &value, size);
    }
  }
  return 0;
}

// --- devices
API CUresult cuInit(unsigned flags) { return flags ? INVALID : 0; }
API CUresult cuDeviceGetCount(int *count) { return *count = 1, 0; }
API CUresult cuDeviceGet(int *device, int ordinal) { return *device = ordinal, 0; }
API CUresult cuDeviceGetName(char *name, int size, int device) {
  (void)device;
  strncpy(name, "Fake GPU", (size_t)size);
  return 0;
}
API CUresult cuDeviceGetAttribute(int *value, int attribute, int device) {
  (void)device;
  *value = attribute == 75   ? 9
           : attribute == 76 ? 0
           : attribute == 16 ? 5
           : attribute == 97 ? 232448
                             : fake_driver.l2_bytes;
  return 0;
}
API CUresult cuDevicePrimaryCtxRetain(void **context, int device) {
  (void)device;
  return *context = &fake_driver, 0;
}
API CUresult cuDevicePrimaryCtxRelease_v2(int device) { return (void)device, 0; }
API CUresult cuCtxSetCurrent(void *context) { return context == &fake_driver ? 0 : INVALID; }

// --- memory: the size stands in front
API CUresult cuMemAlloc_v2(CUdeviceptr *memory, size_t size) {
  if (capturing)
    return CAPTURE_INVALID;
  if (size > fake_driver.memory_limit - fake_driver.memory_used)
    return OUT_OF_MEMORY;
  char *block = aligned_alloc(256, (size + 511) / 256 * 256);
  memset(block + 256, 0xcd, size);
  *(size_t *)block = size;
  fake_driver.memory_used += size;
  return *memory = (CUdeviceptr)(block + 256), 0;
}
API CUresult cuMemFree_v2(CUdeviceptr memory) {
  char *block = (char *)memory - 256;
  fake_driver.memory_used -= *(size_t *)block;
  free(block);
  return 0;
}
API CUresult cuMemGetInfo_v2(size_t *available, size_t *total) {
  *available = fake_driver.memory_limit - fake_driver.memory_used, *total = fake_driver.memory_limit;
  return 0;
}
API CUresult cuMemHostAlloc(void **memory, size_t size, unsigned flags) {
  return (void)flags, *memory = calloc(1, size), 0;
}
API CUresult cuMemFreeHost(void *memory) { return free(memory), 0; }
API CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *device, void *memory, unsigned flags) {
  return (void)flags, *device = (CUdeviceptr)memory, 0;
}
API CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t size, void *stream) {
  (void)stream, ++fake_driver.copies_in;
  return capturing ? CAPTURE_INVALID : (memcpy((void *)to, from, size), sticky);
}
API CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t size, void *stream) {
  (void)stream, ++fake_driver.copies_out;
  return capturing ? CAPTURE_INVALID : (memcpy(to, (void *)from, size), sticky);
}
API CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t size, void *stream) {
  (void)stream;
  return memcpy((void *)to, (void *)from, size), sticky;
}
API CUresult cuMemsetD8Async(CUdeviceptr memory, unsigned char value, size_t size, void *stream) {
  (void)stream, ++fake_driver.memsets;
  return memset((void *)memory, value, size), sticky;
}

// --- streams, graphs, events
API CUresult cuStreamCreate(void **stream, unsigned flags) { return (void)flags, *stream = malloc(1), 0; }
API CUresult cuStreamDestroy_v2(void *stream) { return free(stream), 0; }
API CUresult cuStreamSynchronize(void *stream) {
  (void)stream, ++fake_driver.synchronizations;
  return capturing ? CAPTURE_INVALID : sticky;
}
API CUresult cuStreamWriteValue32_v2(void *stream, CUdeviceptr memory, uint32_t value, unsigned flags) {
  (void)stream, (void)flags;
  if (!sticky)
    *(uint32_t *)memory = value;
  return 0;
}
API CUresult cuStreamBeginCapture_v2(void *stream, int mode) {
  (void)stream, (void)mode;
  return capturing ? INVALID : (capturing = calloc(1, sizeof(graph_t)), 0);
}
API CUresult cuStreamEndCapture(void *stream, void **graph) {
  (void)stream;
  return *graph = capturing, capturing = 0, 0;
}
static CUresult freeGraph(graph_t *graph) { return free(graph->nodes), free(graph), 0; }
API CUresult cuGraphInstantiateWithFlags(void **executable, void *graph, unsigned long long flags) {
  (void)flags, ++fake_driver.graphs;
  graph_t *from = graph, *to = calloc(1, sizeof(graph_t));
  to->count = from->count, to->nodes = malloc((from->count + 1) * sizeof(node_t));
  if (from->count)
    memcpy(to->nodes, from->nodes, from->count * sizeof(node_t));
  return *executable = to, 0;
}
API CUresult cuGraphDestroy(void *graph) { return freeGraph(graph); }
API CUresult cuGraphExecDestroy(void *graph) { return freeGraph(graph); }
API CUresult cuGraphLaunch(void *executable, void *stream) {
  (void)stream, ++fake_driver.replays;
  graph_t *graph = executable;
  CUresult error = 0;
  for (size_t i = 0; i < graph->count && !error; ++i)
    error = execute(&graph->nodes[i]);
  return error;
}
API CUresult cuEventCreate(void **event, unsigned flags) { return (void)flags, *event = calloc(1, sizeof(double)), 0; }
API CUresult cuEventDestroy_v2(void *event) { return free(event), 0; }
API CUresult cuEventSynchronize(void *event) { return (void)event, sticky; }
API CUresult cuEventRecord(void *event, void *stream) {
  (void)stream;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return *(double *)event = (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6, 0;
}
API CUresult cuEventElapsedTime(float *milliseconds, void *begin, void *end) {
  return *milliseconds = (float)(*(double *)end - *(double *)begin), sticky;
}

// --- modules and launches
API CUresult cuModuleLoadDataEx(void **module, const void *image, unsigned count, int *options, void **values) {
  (void)count, (void)options, (void)values;
  ++*(strstr(image, ".version") ? &fake_driver.loads_of_ptx : &fake_driver.loads_of_cubin);
  return *module = malloc(1), 0;
}
API CUresult cuModuleUnload(void *module) { return free(module), 0; }
API CUresult cuModuleGetFunction(void **function, void *module, const char *name) {
  (void)module;
  static function_t known[16];
  for (int i = 0; i < 16; ++i) {
    if (!*known[i].name)
      strncpy(known[i].name, name, sizeof(known[i].name) - 1);
    if (!strcmp(known[i].name, name))
      return *function = &known[i], 0;
  }
  return INVALID;
}
API CUresult cuFuncSetAttribute(void *function, int attribute, int value) {
  (void)function;
  *(attribute == 8 ? &fake_driver.shared_attribute : &fake_driver.any_cluster_attribute) = value;
  return 0;
}
typedef struct {
  uint32_t id, padding, value[16];
} attribute_t;
typedef struct {
  uint32_t grid[3], block[3], shared_bytes;
  void *stream;
  attribute_t *attributes;
  uint32_t num_attributes;
} config_t;
API CUresult cuLaunchKernelEx(const config_t *config, void *function, void **params, void **extra) {
  if (extra || !config->grid[0] || !config->block[0])
    return INVALID;
  node_t node = {.function = function};
  // Bytes of the parameters of each kernel.
  static const struct {
    const char *name;
    unsigned char sizes[8];
  } signatures[] = {{"k0_lookup", {8, 8, 8, 8, 8}},
                    {"k1_copy", {8, 8, 8}},
                    {"k2_tiles", {128, 8, 8}},
                    {"moe_fill", {8, 8, 8, 4, 4, 4, 4}},
                    {"moe_read", {8, 8, 8}}};
  for (size_t k = 0; k < sizeof(signatures) / sizeof(*signatures); ++k)
    if (!strcmp(signatures[k].name, node.function->name))
      for (int i = 0; i < 8 && signatures[k].sizes[i]; ++i)
        memcpy(signatures[k].sizes[i] == 128 ? (void *)node.map : &node.params[i], params[i], signatures[k].sizes[i]);
  fake_launch_t *shape = &node.shape;
  strncpy(shape->name, node.function->name, sizeof(shape->name) - 1);
  memcpy(shape->grid, config->grid, 12), memcpy(shape->block, config->block, 12);
  shape->shared_bytes = config->shared_bytes;
  shape->cluster[0] = shape->cluster[1] = shape->cluster[2] = 1;
  for (uint32_t i = 0; i < config->num_attributes; ++i) {
    if (config->attributes[i].id == 4)
      memcpy(shape->cluster, config->attributes[i].value, 12);
    if (config->attributes[i].id == 6)
      shape->pdl = config->attributes[i].value[0];
  }
  if (!capturing)
    return execute(&node);
  ++fake_driver.captured;
  fake_driver.last = *shape;
  capturing->nodes = realloc(capturing->nodes, (capturing->count + 1) * sizeof(node_t));
  capturing->nodes[capturing->count++] = node;
  return 0;
}
API CUresult cuTensorMapEncodeTiled(void *map, int dtype, uint32_t rank, void *address, const uint64_t *dims,
                                    const uint64_t *strides, const uint32_t *box, const uint32_t *steps, int interleave,
                                    int swizzle, int l2_promotion, int fill) {
  fake_tensor_map_t *seen = &fake_driver.map;
  *seen = (fake_tensor_map_t){.dtype = dtype,
                              .rank = rank,
                              .address = address,
                              .swizzle = swizzle,
                              .l2_promotion = l2_promotion,
                              .fill = fill,
                              .interleave = interleave};
  memcpy(seen->dims, dims, rank * 8), memcpy(seen->strides, strides, (rank - 1) * 8);
  memcpy(seen->box, box, rank * 4), memcpy(seen->steps, steps, rank * 4);
  memset(map, 0x5a, 128);
  return (uintptr_t)map % 64 ? INVALID : 0;
}
API CUresult cuGetErrorName(CUresult error, const char **name) {
  *name = error == OUT_OF_MEMORY     ? "CUDA_ERROR_OUT_OF_MEMORY"
          : error == ILLEGAL_ADDRESS ? "CUDA_ERROR_ILLEGAL_ADDRESS"
                                     : "CUDA_ERROR_INVALID_VALUE";
  return 0;
}
API CUresult cuGetErrorString(CUresult error, const char **text) {
  *text = error == OUT_OF_MEMORY ? "out of memory" : error == ILLEGAL_ADDRESS ? "an illegal memory access" : "invalid";
  return 0;
}
