// module_abi.h - the contract between a compiled module (code.so) and the runtime that loads it.
//
// code.so imports nothing and exports one symbol, MOE_MODULE_SYMBOL, a `const moe_module_t`. It is trusted code: the
// runtime maps and runs it. Everything code.so needs from outside reaches it through `moe_host_t`, a versioned table
// of functions. Sizes are bytes unless a name says otherwise; all integers are little-endian; the ABI is x86-64 System V.
//
// An entry point runs in two steps:
//   1. plan(extents, sizes): from the extents of the inputs, the extents of the outputs and the bytes of each
//      temporary. Pure arithmetic; the runtime packs the temporaries into one arena from `sizes` and the lifetimes in
//      the manifest, and keeps the result while the extents stay the same.
//   2. run(host, context, extents, buffers): the host program. It computes launch sizes and calls host->launch for
//      every kernel, in order. On the CPU a launch returns when the work is done; on a device it is queued.
#ifndef MOE_MODULE_ABI_H
#define MOE_MODULE_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MOE_MODULE_ABI_VERSION 2
#define MOE_MODULE_SYMBOL "moe_module" // stays; abi_version is its first member in every version

typedef struct moe_host_t moe_host_t;

// One kernel on the CPU: computes work items [begin, end) of the launch.
// |args| is the argument block the host program passed to launch: pointers and int64 extents, 8 bytes each.
// Returns 0, or a code > 0 that the manifest's "errors" list explains.
typedef int32_t (*moe_cpu_kernel_t)(const void *args, int64_t begin, int64_t end);

// The functions a module may call. The runtime owns the table; it outlives every call of run.
struct moe_host_t {
  uint64_t struct_size; // sizeof(moe_host_t) of the runtime; members past it do not exist
  // Runs kernel number |kernel| (index into moe_module_t.kernels) over |items| work items. |args| holds |args_size| bytes,
  // copied before the call returns. Returns 0, or the first non-zero code a kernel returned; the host program returns it.
  int32_t (*launch)(void *context, uint32_t kernel, int64_t items, const void *args, uint64_t args_size);
  // Memory for a buffer whose size depends on data; freed by the runtime after the entry returns. 64-byte aligned.
  // NULL when there is none left.
  void *(*allocate)(void *context, uint64_t size);
  // Tells the extents of output |index| when they depend on data, and returns its memory. |extents| holds the rank's int64.
  void *(*output)(void *context, uint32_t index, const int64_t *extents);
  // Copies |size| bytes of a buffer into the host program's memory, after everything launched before. Buffers of a device
  // target are device memory: the host program reads them through this alone. Returns 0, or an error code < 0 that the
  // host program returns.
  int32_t (*read)(void *context, const void *source, uint64_t size, void *destination);
};

// One entry point. Counts are fixed at compile time; order is the manifest's.
typedef struct moe_entry_t {
  const char *name;
  uint32_t num_inputs, num_outputs, num_weights, num_temporaries;
  uint32_t num_input_extents;  // dims of all inputs, concatenated in order
  uint32_t num_output_extents; // dims of all outputs, concatenated in order
  // |extents| [num_input_extents]; |output_extents| [num_output_extents], -1 where data decide;
  // |temporary_bytes| [num_temporaries]. Returns 0, or an error code > 0 (inputs whose extents do not fit together).
  int32_t (*plan)(const int64_t *extents, int64_t *output_extents, int64_t *temporary_bytes);
  // |buffers|: inputs, outputs, weights, temporaries, in this order; 64-byte aligned but for inputs and outputs, which
  // have their element's alignment. Outputs with a -1 extent are NULL here and come from host->output.
  int32_t (*run)(const moe_host_t *host, void *context, const int64_t *extents, void *const *buffers);
} moe_entry_t;

// A set of CPU kernels compiled for one instruction set; the runtime takes the first whose needs the processor meets.
typedef struct moe_cpu_variant_t {
  const char *isa;                 // "x86-64-v4", "x86-64-v3"
  const moe_cpu_kernel_t *kernels; // [num_kernels]
} moe_cpu_variant_t;

// How many blocks a launch of a device kernel has. With clusters, the number of blocks is made whole clusters: more for
// MOE_GRID_THREADS and MOE_GRID_BLOCKS, fewer for MOE_GRID_PER_SM.
enum {
  MOE_GRID_THREADS = 0, // an item is a thread: as many blocks of block_size threads as the items need
  MOE_GRID_BLOCKS = 1,  // an item is a block
  MOE_GRID_PER_SM = 2,  // grid[0] blocks for each multiprocessor, but not more than there are items
  MOE_GRID_FIXED = 3    // grid[0] x grid[1] x grid[2] blocks; nothing is launched where there are no items
};

// Where a parameter of a device kernel comes from.
enum {
  MOE_PARAM_WORD = 0,      // word number |index| of the argument block, as many of its bytes as the parameter has
  MOE_PARAM_ITEMS = 1,     // the number of items, an int64
  MOE_PARAM_TENSOR_MAP = 2 // tensor_maps[|index|], 128 bytes by value, aligned to 64
};
typedef struct moe_param_t {
  uint32_t kind, index;
} moe_param_t;

// A tensor map (CUtensorMap, tiled) that the runtime encodes for a launch. Dims are in memory order, outermost first.
// A number below 0 is a word of the argument block: -1 is word 0, -2 is word 1, ...
// The address and every stride but the last, in bytes, are multiples of 16; the last stride is 1; a box has 1 to 256
// elements in each dim, in the last one a multiple of 16 bytes and, with swizzle, at most that many bytes. Through the
// map of a tensor without elements a kernel copies nothing.
#define MOE_TENSOR_MAP_RANK 5
typedef struct moe_tensor_map_t {
  uint32_t dtype;                       // moe_dtype_t of runtime.h; 8-bit types are bytes
  uint32_t rank;                        // 1 to 5
  uint32_t address;                     // word of the argument block
  uint32_t swizzle;                     // bytes: 0, 32, 64, 128
  uint32_t l2_promotion;                // bytes: 0, 64, 128, 256
  uint32_t box[MOE_TENSOR_MAP_RANK];    // elements
  int64_t dims[MOE_TENSOR_MAP_RANK];    // elements, or words
  int64_t strides[MOE_TENSOR_MAP_RANK]; // elements, or words
} moe_tensor_map_t;

enum {
  MOE_LAUNCH_PDL = 1 // may start before the launch in front of it has ended (programmatic dependent launch)
};

// How a device kernel is launched.
typedef struct moe_device_kernel_t {
  uint32_t grid_kind; // MOE_GRID_...
  uint32_t grid[3];
  uint32_t block_size;   // threads in x, 1 to 1024
  uint32_t shared_bytes; // dynamic shared memory of a block
  uint32_t cluster[3];   // blocks in a cluster; 1 1 1: no clusters
  uint32_t flags;        // MOE_LAUNCH_...
  uint32_t num_params;   // 0: all words of the argument block in order, 8 bytes each, and behind them the items
  uint32_t num_tensor_maps;
  const moe_param_t *params;
  const moe_tensor_map_t *tensor_maps;
} moe_device_kernel_t;

// A device image: PTX or cubin for one architecture. Kernel i is the function named kernel_names[i]. Where an item is a
// thread, thread t of the grid computes item t if t < items, else nothing.
typedef struct moe_device_image_t {
  const char *chip;   // "sm_90a"
  const char *format; // "cubin", "ptx"
  const void *data;
  uint64_t size;
} moe_device_image_t;

typedef struct moe_module_t {
  uint32_t abi_version; // MOE_MODULE_ABI_VERSION
  uint32_t num_entries, num_kernels, num_cpu_variants, num_device_images;
  const moe_entry_t *entries;
  const char *const *kernel_names;           // [num_kernels]
  const moe_device_kernel_t *device_kernels; // [num_kernels]; NULL on the CPU
  const moe_cpu_variant_t *cpu_variants;
  const moe_device_image_t *device_images;
} moe_module_t;

#ifdef __cplusplus
}
#endif
#endif // MOE_MODULE_ABI_H
