// runtime.h - the C API of the runtime: load an artefact, look at its entries, run them.
//
// Conventions, for every function unless its comment says otherwise:
// - Handles are opaque and counted: create or load returns one with count 1, retain adds one, release (NULL allowed)
//   takes one away and frees at zero. retain and release may be called from any thread.
// - Results come back through parameters named out_...; they are written only on success.
// - Argument structs begin with struct_size = sizeof(the struct); members past it count as zero, so that older callers
//   keep working when members are added at the end.
// - Text is UTF-8, owned by the handle it came from, and valid as long as that handle.
// - Sizes are bytes, extents are elements, times are nanoseconds.
// - Artefacts are immutable: any number of threads may use one. A session is thread-compatible: one call at a time.
//
// Running one entry:
//   moe_artefact_t* artefact; moe_session_t* session;
//   moe_artefact_load("model.moe", NULL, &artefact);
//   moe_session_options_t options = {sizeof(options)};
//   moe_session_create(artefact, &options, &session);
//   int64_t extents[2] = {1, 3}, ids[3] = {5, 17, 2};
//   moe_tensor_t input = {MOE_DTYPE_INT64, 2, extents, ids, sizeof(ids)}, output = {0};
//   moe_run_args_t args = {sizeof(args), 0, 1, &input, 1, &output};
//   moe_status_t status = moe_session_run(session, &args);   // output.data holds the first output's elements
#ifndef MOE_RUNTIME_H
#define MOE_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(MOE_RUNTIME_SHARED)
#define MOE_API __attribute__((visibility("default")))
#else
#define MOE_API
#endif

// --- Status
// -----------------------------------------------------------------------------------------------------------

typedef enum moe_status_code_t {
  MOE_OK = 0,
  MOE_INVALID_ARGUMENT = 1, // the call itself is wrong: a NULL handle, an unknown entry, a wrong dtype or shape
  MOE_NOT_FOUND = 2,        // a file, an entry or a device that is not there
  MOE_BAD_ARTEFACT = 3,     // a part of the artefact is damaged, or not what the manifest says
  MOE_UNSUPPORTED = 4,      // valid, but not on this machine or in this version
  MOE_OUT_OF_MEMORY = 5,
  MOE_OUT_OF_RANGE = 6, // values of inputs outside their range, or a caller's buffer that is too small
  MOE_RUN_FAILED = 7,   // a kernel reported an error
  MOE_DEVICE_ERROR = 8, // the device's driver reported an error
} moe_status_code_t;

// The outcome of a call. |message| is empty for MOE_OK; else one sentence that names the place, what was expected and
// what was found. It belongs to the calling thread and stays valid until that thread's next failing call.
typedef struct moe_status_t {
  moe_status_code_t code;
  const char *message;
} moe_status_t;

// "0.1.0": the runtime's version. The module ABI's version is in module_abi.h.
MOE_API const char *moe_version(void);

// --- Element types
// ----------------------------------------------------------------------------------------------------

typedef enum moe_dtype_t {
  MOE_DTYPE_NONE = 0,
  MOE_DTYPE_FLOAT32 = 1,
  MOE_DTYPE_FLOAT16 = 2,
  MOE_DTYPE_BFLOAT16 = 3,
  MOE_DTYPE_FLOAT64 = 4,
  MOE_DTYPE_INT8 = 5,
  MOE_DTYPE_INT16 = 6,
  MOE_DTYPE_INT32 = 7,
  MOE_DTYPE_INT64 = 8,
  MOE_DTYPE_UINT8 = 9,
  MOE_DTYPE_UINT16 = 10,
  MOE_DTYPE_UINT32 = 11,
  MOE_DTYPE_UINT64 = 12,
  MOE_DTYPE_BOOL = 13, // one byte, 0 or 1
  MOE_DTYPE_FLOAT8E4M3FN = 14,
  MOE_DTYPE_FLOAT8E5M2 = 15,
} moe_dtype_t;

// The manifest's name of |dtype| ("float32"), or "none".
MOE_API const char *moe_dtype_name(moe_dtype_t dtype);

// Bytes of one element; 0 for MOE_DTYPE_NONE and unknown values.
MOE_API size_t moe_dtype_size(moe_dtype_t dtype);

// --- Memory
// -----------------------------------------------------------------------------------------------------------

// Where a session takes its host memory from: arenas and outputs. Called from the thread that uses
// the session.
typedef struct moe_allocator_t {
  size_t struct_size;
  void *self; // handed to both functions
  // |size| bytes at a multiple of |alignment| (a power of two), or NULL. The bytes need no initial value.
  void *(*allocate)(void *self, size_t size, size_t alignment);
  // Takes back what allocate gave; |size| is that call's.
  void (*release)(void *self, void *memory, size_t size);
} moe_allocator_t;

// --- Artefact
// ---------------------------------------------------------------------------------------------------------

typedef struct moe_artefact_t moe_artefact_t;

// Options of moe_artefact_load; NULL or zeros mean the defaults.
typedef struct moe_artefact_options_t {
  size_t struct_size;
} moe_artefact_options_t;

// Loads the artefact in folder |path|: reads the manifest, checks the sizes of all parts, code.so's checksum and the
// weight files' header checksums, maps the weights, loads code.so. Weight contents are not read (moe_artefact_verify
// does). code.so is trusted code: load only artefacts you would also run as programs. MOE_NOT_FOUND: no such folder or
// part. MOE_BAD_ARTEFACT: a part is damaged; the message says file, field, expected, found. MOE_UNSUPPORTED: a newer
// format, or another ABI.
MOE_API moe_status_t moe_artefact_load(const char *path, const moe_artefact_options_t *options,
                                       moe_artefact_t **out_artefact);
MOE_API void moe_artefact_retain(moe_artefact_t *artefact);
MOE_API void moe_artefact_release(moe_artefact_t *artefact);

// Reads all weight files and compares every chunk's checksum, and the tensor lists with the manifest. MOE_BAD_ARTEFACT
// names the first difference. Time is that of reading the files.
MOE_API moe_status_t moe_artefact_verify(const moe_artefact_t *artefact);

typedef struct moe_artefact_info_t {
  size_t struct_size;
  const char *compiler;    // "moec 0.1.0"
  const char *target;      // "cpu", "cuda"
  const char *chip;        // "sm_90a"; "" on the CPU
  const char *fp8;         // recipe: "off", "plain", "blocks", ...
  const char *precision;   // recipe: "f32", "bf16"
  const char *activations; // recipe: "f32", "bf16", "f8"
  uint32_t num_entries, num_states, num_variants;
  uint64_t weight_bytes; // of all weight files
} moe_artefact_info_t;

// Fills |out_info| up to its struct_size, which the caller sets.
MOE_API moe_status_t moe_artefact_get_info(const moe_artefact_t *artefact, moe_artefact_info_t *out_info);

// A set of kernels for one instruction set or chip. |usable| is 1 if this machine can run it; the first usable one is
// taken.
typedef struct moe_variant_info_t {
  size_t struct_size;
  const char *isa;
  int32_t usable;
} moe_variant_info_t;
MOE_API moe_status_t moe_artefact_get_variant(const moe_artefact_t *artefact, uint32_t variant,
                                              moe_variant_info_t *out_info);

// An entry point. |entry| counts from 0; entry 0 is "main".
typedef struct moe_entry_info_t {
  size_t struct_size;
  const char *name;
  uint32_t num_inputs, num_outputs, num_steps;
  uint64_t weight_bytes; // of the weights this entry reads
} moe_entry_info_t;
MOE_API moe_status_t moe_artefact_get_entry(const moe_artefact_t *artefact, uint32_t entry, moe_entry_info_t *out_info);
MOE_API moe_status_t moe_artefact_find_entry(const moe_artefact_t *artefact, const char *name, uint32_t *out_entry);

// One extent: a number, or a name (the same name is the same extent in all inputs of an entry), or neither: only data
// decide.
typedef struct moe_dim_t {
  const char *name; // NULL for a number and where data decide
  int64_t extent;   // -1 where |name| is given or data decide
} moe_dim_t;

typedef struct moe_value_info_t {
  size_t struct_size;
  const char *name;
  moe_dtype_t dtype;
  uint32_t rank;
  const moe_dim_t *dims; // [rank]
  const char *role;      // "token_ids", "attention_mask", "position_ids", "logits"; "" for none
  int64_t max_value;     // largest value allowed in an integer input, or -1: not limited
} moe_value_info_t;
MOE_API moe_status_t moe_artefact_get_input(const moe_artefact_t *artefact, uint32_t entry, uint32_t input,
                                            moe_value_info_t *out_info);
MOE_API moe_status_t moe_artefact_get_output(const moe_artefact_t *artefact, uint32_t entry, uint32_t output,
                                             moe_value_info_t *out_info);

// A value that a session keeps between runs (caches, optimiser state).
MOE_API moe_status_t moe_artefact_get_state(const moe_artefact_t *artefact, uint32_t state, moe_value_info_t *out_info);

// Floating-point operations and bytes of one run of |entry| with these input extents (all inputs' dims, concatenated in
// order). -1 where the manifest does not say.
MOE_API moe_status_t moe_artefact_get_cost(const moe_artefact_t *artefact, uint32_t entry, const int64_t *extents,
                                           size_t num_extents, double *out_flops, double *out_bytes);

// --- Session
// ----------------------------------------------------------------------------------------------------------

typedef struct moe_session_t moe_session_t;

typedef struct moe_session_options_t {
  size_t struct_size;
  uint32_t num_threads; // CPU threads, the caller's included; 0: one for each processor this process may use
  int32_t device;       // number of the device for a device target
  const moe_allocator_t *allocator; // copied; NULL: the runtime's own (huge pages where the system has them)
} moe_session_options_t;

// Creates a session: threads, memory and device for running |artefact|'s entries. Retains the artefact.
// MOE_UNSUPPORTED: no kernel variant fits this processor, or the driver is missing. MOE_NOT_FOUND: no such device.
MOE_API moe_status_t moe_session_create(moe_artefact_t *artefact, const moe_session_options_t *options,
                                        moe_session_t **out_session);
MOE_API void moe_session_retain(moe_session_t *session);
MOE_API void moe_session_release(moe_session_t *session);

// Threads that the session computes with.
MOE_API uint32_t moe_session_num_threads(const moe_session_t *session);

// A dense row-major tensor in host memory.
typedef struct moe_tensor_t {
  moe_dtype_t dtype;
  uint32_t rank;
  const int64_t *extents; // [rank]
  void *data;             // aligned to the element's size; may be NULL if an extent is 0
  size_t size;            // bytes at |data|
} moe_tensor_t;

// The extents of the outputs for inputs with these extents, without running. |extents| holds all inputs' dims,
// concatenated in order; |out_extents| receives all outputs' dims likewise, -1 where data decide. |out_arena_bytes|
// (may be NULL): temporary memory. MOE_INVALID_ARGUMENT: extents that do not fit the entry or each other; the message
// names the input. MOE_OUT_OF_MEMORY: temporaries and outputs would need more memory than the machine has.
MOE_API moe_status_t moe_session_plan(moe_session_t *session, uint32_t entry, const int64_t *extents,
                                      size_t num_extents, int64_t *out_extents, size_t num_out_extents,
                                      uint64_t *out_arena_bytes);

typedef struct moe_run_args_t {
  size_t struct_size;
  uint32_t entry;
  // Inputs, in the entry's order; only read. The caller keeps them until the call returns.
  size_t num_inputs;
  const moe_tensor_t *inputs;
  // Outputs, in the entry's order. On entry |data| is NULL (the session's memory is used: valid until its next run or
  // its release), or memory of the caller with |size| bytes. On success dtype, rank, extents (the session's, valid as
  // above), data and size are set.
  size_t num_outputs;
  moe_tensor_t *outputs;
} moe_run_args_t;

// Runs an entry and waits for it. Before it runs, inputs are checked: count, dtype, rank, extents, extents of one name,
// and integer values against max_value.
// MOE_INVALID_ARGUMENT, MOE_OUT_OF_RANGE: wrong inputs, or an output buffer that is too small. MOE_OUT_OF_MEMORY: says
// how much for what. MOE_RUN_FAILED, MOE_DEVICE_ERROR: names the step by its operation and the author's nodes.
MOE_API moe_status_t moe_session_run(moe_session_t *session, const moe_run_args_t *args);

// One finished launch of a kernel, for profilers.
typedef struct moe_step_event_t {
  size_t struct_size;
  uint32_t entry, step;      // step counts the launches of one run from 0
  const char *kernel;        // "k0_rms_norm"
  const char *op;            // "moe.rms_norm"
  const char *source;        // the author's node names
  int64_t items;             // independent pieces of work
  uint64_t begin_ns, end_ns; // a monotonic clock
} moe_step_event_t;

// Calls |callback| for each launch of later runs, in the thread that calls run; NULL ends it. On the CPU after each launch,
// at some tens of ns; on a device at the end of the run with the device's own times, and such a run is not a replayed graph.
MOE_API moe_status_t moe_session_set_profiler(moe_session_t *session,
                                              void (*callback)(void *self, const moe_step_event_t *event), void *self);

typedef struct moe_time_args_t {
  size_t struct_size;
  uint32_t entry;
  // Sets of inputs that take turns, all of the same extents: [num_sets][inputs of the entry], set by set; only read.
  size_t num_sets;
  const moe_tensor_t *inputs;
  // 1: weights are not in the device's cache when a run begins. Weights of 4 caches are so by themselves; of smaller ones
  // each set reads a copy of its own; where that does not help, the cache is overwritten in front of each run.
  int32_t cold;
  double warm_seconds, seconds; // of running before and while times are taken
  size_t min_times, max_times;  // 0: 8, and no limit
} moe_time_args_t;

typedef struct moe_time_result_t {
  size_t struct_size;
  size_t runs;                      // that were timed
  double us_min, us_median, us_max; // microseconds of a run
  const char *cold_by;              // "size", "copies", "flush"; "" where weights may be in the cache
  const char *not_captured;         // why the runs were not replays of a graph; "" where they were. The artefact's
  double read_roof, copy_roof;      // bytes a second that the device reads, and that it reads and writes, measured now
} moe_time_result_t;

// Times an entry on a device, by events and without copying inputs and outputs. The launches of all sets are one graph that
// is replayed; a time is that of a replay divided by the sets. An entry whose host program reads device memory is run
// instead, waiting included. Inputs are checked as by run. MOE_UNSUPPORTED on the CPU, where the caller's clock serves.
MOE_API moe_status_t moe_session_time(moe_session_t *session, const moe_time_args_t *args,
                                      moe_time_result_t *out_result);

#ifdef __cplusplus
}
#endif
#endif // MOE_RUNTIME_H
