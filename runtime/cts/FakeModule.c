// FakeModule.c - a code.so written by hand, for tests of the runtime.
//
// Entry "main":   input_ids [batch, seq] int64 -> logits [batch, seq, 8] f32: row `id` of the weight [8, 8], copied
// through a
//                 temporary of the same size; attention_mask [batch, seq] int64 multiplies.
// Entry "select": x [n] f32 -> positive [null] f32: the elements above 0, in order; element 13 makes kernel 2 fail with
// code 7;
//                 a negative zero-th element asks for more memory than there is.
#include "moe/module_abi.h"

typedef struct {
  const int64_t *ids, *mask;
  const float *table;
  float *out;
} lookup_args_t;
typedef struct {
  const float *from;
  float *to;
} copy_args_t;
typedef struct {
  const float *x;
} inspect_args_t;

static int32_t lookup(const void *block, int64_t begin, int64_t end) {
  const lookup_args_t *args = block;
  for (int64_t item = begin; item < end; ++item)
    for (int64_t k = 0; k < 8; ++k)
      args->out[item * 8 + k] = args->table[args->ids[item] * 8 + k] * (float)args->mask[item];
  return 0;
}
static int32_t copy(const void *block, int64_t begin, int64_t end) {
  const copy_args_t *args = block;
  for (int64_t item = begin; item < end; ++item)
    args->to[item] = args->from[item];
  return 0;
}
static int32_t inspect(const void *block, int64_t begin, int64_t end) {
  const inspect_args_t *args = block;
  for (int64_t item = begin; item < end; ++item)
    if (args->x[item] == 13.0f)
      return 7;
  return 0;
}

static int32_t plan_main(const int64_t *extents, int64_t *out, int64_t *bytes) {
  out[0] = extents[0], out[1] = extents[1], out[2] = 8;
  bytes[0] = extents[0] * extents[1] * 32;
  bytes[1] = 100; // never used
  return 0;
}
static int32_t run_main(const moe_host_t *host, void *context, const int64_t *extents, void *const *buffers) {
  // buffers: input_ids, attention_mask, logits, table, temporary 0, temporary 1
  int64_t rows = extents[0] * extents[1];
  lookup_args_t first = {buffers[0], buffers[1], buffers[3], buffers[4]};
  copy_args_t second = {buffers[4], buffers[2]};
  int32_t error = host->launch(context, 0, rows, &first, sizeof(first));
  return error ? error : host->launch(context, 1, rows * 8, &second, sizeof(second));
}

static int32_t plan_select(const int64_t *extents, int64_t *out, int64_t *bytes) {
  (void)bytes;
  out[0] = -1;
  return extents[0] > 1000 ? 8 : 0;
}
static int32_t run_select(const moe_host_t *host, void *context, const int64_t *extents, void *const *buffers) {
  const float *x = buffers[0];
  inspect_args_t args = {x};
  int32_t error = host->launch(context, 2, extents[0], &args, sizeof(args));
  if (error)
    return error;
  if (extents[0] > 0 && x[0] == -1.0f && !host->allocate(context, (uint64_t)1 << 60))
    return 9;
  float *kept = host->allocate(context, (uint64_t)extents[0] * 4);
  if (!kept)
    return 9;
  int64_t count = 0;
  for (int64_t i = 0; i < extents[0]; ++i)
    if (x[i] > 0)
      kept[count++] = x[i];
  float *out = host->output(context, 0, &count);
  if (!out)
    return 9;
  for (int64_t i = 0; i < count; ++i)
    out[i] = kept[i];
  return 0;
}

static const moe_entry_t entries[] = {
    {"main", 2, 1, 1, 2, 4, 3, plan_main, run_main},
    {"select", 1, 1, 0, 0, 1, 1, plan_select, run_select},
};
static const moe_cpu_kernel_t kernels[] = {lookup, copy, inspect};
static const char *const names[] = {"k0_lookup", "k1_copy", "k2_inspect"};
static const moe_cpu_variant_t variants[] = {{"x86-64-v9", kernels}, {"x86-64-v2", kernels}};

__attribute__((visibility("default")))
const moe_module_t moe_module = {MOE_MODULE_ABI_VERSION, 2, 3, 2, 0, entries, names, 0, variants, 0};
