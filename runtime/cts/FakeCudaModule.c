// FakeCudaModule.c - a code.so for a device, written by hand.
//
// Entry "main":   as FakeModule.c's.
// Entry "prefix": x [n] f32 -> head [null] f32: the first x[0] elements, a count that the host program reads from the
// device.
//                 x[0] = -1 launches a kernel that reads address 0; x[0] = -2 asks for more memory than there is.
// Entry "tiles":  x [n, k] f32 -> items [64] i64: a kernel in clusters of two blocks, at most one a multiprocessor, with a
//                 tensor map of x, dynamic shared memory and programmatic launch. Each block writes the number of items, n.
#include "moe/module_abi.h"

static const char ptx[] =
    ".version 7.0\n.target sm_75\n.address_size 64\n"
    // out[item * 8 + k] = table[ids[item] * 8 + k] * mask[item]
    ".visible .entry k0_lookup(.param .u64 ids, .param .u64 mask, .param .u64 table, .param .u64 out, .param .u64 "
    "items) {\n"
    " .reg .pred %p; .reg .b32 %r<4>; .reg .b64 %d<12>; .reg .f32 %f<4>;\n"
    " mov.u32 %r0, %ctaid.x; mov.u32 %r1, %ntid.x; mov.u32 %r2, %tid.x; mad.lo.u32 %r3, %r0, %r1, %r2; cvt.u64.u32 "
    "%d0, %r3;\n"
    " ld.param.u64 %d1, [items]; setp.ge.u64 %p, %d0, %d1; @%p ret;\n"
    " ld.param.u64 %d2, [ids]; ld.param.u64 %d3, [mask]; ld.param.u64 %d4, [table]; ld.param.u64 %d5, [out];\n"
    " shl.b64 %d6, %d0, 3; add.u64 %d2, %d2, %d6; add.u64 %d3, %d3, %d6; ld.global.u64 %d7, [%d2]; ld.global.s64 %d8, "
    "[%d3]; cvt.rn.f32.s64 %f0, %d8;\n"
    " shl.b64 %d7, %d7, 5; add.u64 %d4, %d4, %d7; shl.b64 %d6, %d0, 5; add.u64 %d5, %d5, %d6; mov.u64 %d9, 0;\n"
    "L: ld.global.f32 %f1, [%d4]; mul.f32 %f1, %f1, %f0; st.global.f32 [%d5], %f1; add.u64 %d4, %d4, 4; add.u64 %d5, "
    "%d5, 4; add.u64 %d9, %d9, 1;\n"
    " setp.lt.u64 %p, %d9, 8; @%p bra L;\n ret; }\n"
    ".visible .entry k1_copy(.param .u64 from, .param .u64 to, .param .u64 items) {\n"
    " .reg .pred %p; .reg .b32 %r<4>; .reg .b64 %d<5>; .reg .f32 %f;\n"
    " mov.u32 %r0, %ctaid.x; mov.u32 %r1, %ntid.x; mov.u32 %r2, %tid.x; mad.lo.u32 %r3, %r0, %r1, %r2; cvt.u64.u32 "
    "%d0, %r3;\n"
    " ld.param.u64 %d1, [items]; setp.ge.u64 %p, %d0, %d1; @%p ret;\n"
    " ld.param.u64 %d2, [from]; ld.param.u64 %d3, [to]; shl.b64 %d4, %d0, 2; add.u64 %d2, %d2, %d4; add.u64 %d3, %d3, "
    "%d4;\n"
    " ld.global.f32 %f, [%d2]; st.global.f32 [%d3], %f; ret; }\n"
    ".visible .entry k2_tiles(.param .align 64 .b8 map[128], .param .u64 out, .param .u64 items) {\n"
    " .reg .b32 %r0; .reg .b64 %d<4>;\n"
    " mov.u32 %r0, %ctaid.x; cvt.u64.u32 %d0, %r0; shl.b64 %d0, %d0, 3;\n"
    " ld.param.u64 %d1, [out]; ld.param.u64 %d2, [items]; add.u64 %d1, %d1, %d0; st.global.u64 [%d1], %d2; ret; }\n";

static int32_t plan_main(const int64_t *extents, int64_t *out, int64_t *bytes) {
  out[0] = extents[0], out[1] = extents[1], out[2] = 8;
  bytes[0] = extents[0] * extents[1] * 32;
  return 0;
}
static int32_t run_main(const moe_host_t *host, void *context, const int64_t *extents, void *const *buffers) {
  int64_t rows = extents[0] * extents[1];
  void *lookup[] = {buffers[0], buffers[1], buffers[3], buffers[4]}, *copy[] = {buffers[4], buffers[2]};
  int32_t error = host->launch(context, 0, rows, lookup, sizeof(lookup));
  return error ? error : host->launch(context, 1, rows * 8, copy, sizeof(copy));
}
static int32_t plan_prefix(const int64_t *extents, int64_t *out, int64_t *bytes) {
  (void)extents, (void)bytes;
  out[0] = -1;
  return 0;
}
static int32_t run_prefix(const moe_host_t *host, void *context, const int64_t *extents, void *const *buffers) {
  (void)extents;
  float first;
  int32_t error = host->read(context, buffers[0], sizeof(first), &first);
  if (error)
    return error;
  if (first == -2.0f && !host->allocate(context, (uint64_t)1 << 50))
    return 9;
  int64_t count = first < 0 ? 1 : (int64_t)first;
  void *out = host->output(context, 0, &count);
  if (!out)
    return 9;
  void *copy[] = {first == -1.0f ? 0 : buffers[0], out};
  return host->launch(context, 1, count, copy, sizeof(copy));
}

static int32_t plan_tiles(const int64_t *extents, int64_t *out, int64_t *bytes) {
  (void)extents, (void)bytes;
  out[0] = 64;
  return 0;
}
static int32_t run_tiles(const moe_host_t *host, void *context, const int64_t *extents, void *const *buffers) {
  int64_t words[] = {(int64_t)buffers[0], extents[0], extents[1], (int64_t)buffers[1]};
  return host->launch(context, 2, extents[0], words, sizeof(words));
}

static const moe_entry_t entries[] = {
    {"main", 2, 1, 1, 1, 4, 3, plan_main, run_main},
    {"prefix", 1, 1, 0, 0, 1, 1, plan_prefix, run_prefix},
    {"tiles", 1, 1, 0, 0, 2, 1, plan_tiles, run_tiles},
};
static const char *const names[] = {"k0_lookup", "k1_copy", "k2_tiles"};
static const moe_param_t tile_params[] = {{MOE_PARAM_TENSOR_MAP, 0}, {MOE_PARAM_WORD, 3}, {MOE_PARAM_ITEMS, 0}};
// x, [n, k] in words 0 to 2, as f32 (moe_dtype_t 1), boxes of 8 x 32 elements.
static const moe_tensor_map_t tile_maps[] = {{1, 2, 0, 128, 256, {8, 32}, {-2, -3}, {-3, 1}}};
static const moe_device_kernel_t device_kernels[] = {
    {MOE_GRID_THREADS, {0, 0, 0}, 128, 0, {1, 1, 1}, 0, 0, 0, 0, 0},
    {MOE_GRID_THREADS, {0, 0, 0}, 64, 0, {1, 1, 1}, 0, 0, 0, 0, 0},
    {MOE_GRID_PER_SM, {1, 0, 0}, 32, 100000, {2, 1, 1}, MOE_LAUNCH_PDL, 3, 1, tile_params, tile_maps},
};
static const moe_device_image_t images[] = {{"sm_999", "cubin", ptx, sizeof(ptx)},
                                            {"sm_75", "ptx", ptx, sizeof(ptx) - 1}};

__attribute__((visibility("default")))
const moe_module_t moe_module = {MOE_MODULE_ABI_VERSION, 3, 3, 0, 2, entries, names, device_kernels, 0, images};
