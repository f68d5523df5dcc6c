// What a kernel may not say of its launch.
// RUN: moe-opt %s -split-input-file -verify-diagnostics -pass-pipeline="builtin.module(moe-lower-kernels)"

module attributes {moe.device} {
  // expected-error @+1 {{expects 'moe.launch_config' to have a grid of "threads", "blocks", "per_sm" or "fixed", found {grid = "many"}}}
  func.func @k() attributes {moe.kernel, moe.launch_config = {grid = "many"}} { return }
}

// -----

module attributes {moe.device} {
  // expected-error @+1 {{expects 'moe.launch_config' to have 1 to 1024 threads, found {threads = 2048 : i64}}}
  func.func @k() attributes {moe.kernel, moe.launch_config = {threads = 2048 : i64}} { return }
}

// -----

module attributes {moe.device} {
  // expected-error @+1 {{expects 'moe.launch_config' to have at most 232448 bytes of shared memory, found {shared = 232449 : i64}}}
  func.func @k() attributes {moe.kernel, moe.launch_config = {shared = 232449 : i64}} { return }
}

// -----

module attributes {moe.device} {
  // expected-error @+1 {{expects 'moe.launch_config' to have whole clusters in a fixed grid, found}}
  func.func @k() attributes {moe.kernel, moe.launch_config = {grid = "fixed", size = array<i64: 131>, cluster = array<i64: 2>}} { return }
}

// -----

module attributes {moe.device} {
  // expected-error @+1 {{expects 'moe.launch_config' to have clusters in x, since the grid has one dim, found}}
  func.func @k() attributes {moe.kernel, moe.launch_config = {cluster = array<i64: 1, 2>}} { return }
}

// -----

module attributes {moe.device} {
  // expected-error @+1 {{expects 'moe.launch_config' to have no 'thread', found {thread = 1 : i64}}}
  func.func @k() attributes {moe.kernel, moe.launch_config = {thread = 1 : i64}} { return }
}

// -----

module attributes {moe.device} {
  // expected-error @+1 {{expects 'moe.tensor_map' of argument 0 to have a box of 1 to 256 elements in each dim, found}}
  func.func @k(%x: memref<?x64xf32> {moe.tensor_map = {box = array<i64: 64>}}) attributes {moe.kernel, moe.launch_config = {}} { return }
}

// -----

module attributes {moe.device} {
  // expected-error @+1 {{expects 'moe.tensor_map' of argument 0 to have a box of a multiple of 16 bytes in the last dim, at most the swizzle, found}}
  func.func @k(%x: memref<?x64xf32> {moe.tensor_map = {box = array<i64: 8, 64>, swizzle = 128 : i64}}) attributes {moe.kernel, moe.launch_config = {}} { return }
}

// -----

module attributes {moe.device} {
  // expected-error @+1 {{expects 'moe.tensor_map' of argument 0 to have strides of multiples of 16 bytes, found}}
  func.func @k(%x: memref<?x61xf32> {moe.tensor_map = {box = array<i64: 8, 32>}}) attributes {moe.kernel, moe.launch_config = {}} { return }
}

// -----

module attributes {moe.device} {
  // expected-error @+1 {{expects 'moe.tensor_map' of argument 0 to have strides that the type tells or that are passed}}
  func.func @k(%x: memref<?x?x64xf32> {moe.tensor_map = {box = array<i64: 1, 8, 32>}}) attributes {moe.kernel, moe.launch_config = {}} { return }
}

// -----

module attributes {moe.device} {
  // expected-error @+1 {{expects argument 0, the number of items, to be an index, found 'f32'}}
  func.func @k(%x: f32 {moe.items}) attributes {moe.kernel, moe.launch_config = {}} { return }
}

// -----

module attributes {moe.device} {
  func.func @k(%x: memref<?x64xf32> {moe.tensor_map = {box = array<i64: 8, 32>}}) attributes {moe.kernel, moe.launch_config = {}} {
    %c0 = arith.constant 0 : index
    // expected-error @+1 {{expects a tensor map to be taken as a pointer by builtin.unrealized_conversion_cast}}
    %v = memref.load %x[%c0, %c0] : memref<?x64xf32>
    return
  }
}
