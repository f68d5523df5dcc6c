// FakeDriver.h - what tests see of FakeDriver.c, a libcuda.so.1 that computes on the host and counts calls.
#ifndef MOE_CTS_FAKEDRIVER_H
#define MOE_CTS_FAKEDRIVER_H

#include <stddef.h>
#include <stdint.h>

typedef struct fake_tensor_map_t {
  int dtype, swizzle, l2_promotion, fill, interleave;
  uint32_t rank;
  void *address;
  uint64_t dims[5], strides[5];
  uint32_t box[5], steps[5];
} fake_tensor_map_t;

typedef struct fake_launch_t {
  char name[32];
  uint32_t grid[3], block[3], shared_bytes, cluster[3], pdl;
} fake_launch_t;

typedef struct fake_driver_t {
  size_t memory_limit, memory_used;
  int l2_bytes;
  int launches;        // executed, replays included
  int captured;        // put into a graph
  int graphs, replays; // instantiated, launched
  int synchronizations;
  int copies_in, copies_out, memsets;
  int loads_of_ptx, loads_of_cubin;
  int shared_attribute, any_cluster_attribute; // last value of the functions' attributes
  fake_launch_t last;                          // executed or captured
  fake_tensor_map_t map;                       // last encoded
} fake_driver_t;

#define FAKE_DRIVER_SYMBOL "fake_driver"

#endif // MOE_CTS_FAKEDRIVER_H
