// A device kernel that says how it is launched: its record in the manifest and its parameters in PTX.
// RUN: moe-compile %s --target=cuda --compile-to=lower -o - | FileCheck %s --check-prefix=LOWER
// RUN: rm -rf %t.moe && env -u CUDA_HOME -u CUDA_ROOT PATH=%moe_bin moe-compile %s --target=cuda -o %t.moe
// RUN: llvm-strings %t.moe/code.so | FileCheck %s --check-prefix=PTX
// RUN: FileCheck %s --check-prefix=MANIFEST --input-file=%t.moe/manifest.json

// Words of the argument block: 0 and 1 are x and its rows, 2 and 3 again, for the map, 4 is y.
// LOWER: llvm.func @k0_tiles(%arg0: !llvm.ptr {llvm.noalias}
// LOWER-SAME: llvm.align = 64 : i64, llvm.byval = !llvm.array<128 x i8>
// LOWER-SAME: moe.launch_record = {cluster = array<i64: 2, 1, 1>, grid = 2 : i64, hot,
// LOWER-SAME: maps = [{box = array<i64: 64, 32>, dims = array<i64: -4, 64>, numbers = array<i64: 1, 2, 128, 256>, strides = array<i64: 64, 1>}],
// LOWER-SAME: params = array<i64: 0, 0, 0, 1, 2, 0, 0, 4, 1, 0>, pdl, shared = 100000 : i64, size = array<i64: 1, 1, 1>, threads = 384 : i64}

// PTX:      .visible .entry k0_tiles(
// PTX:      .param .align 64 .b8 k0_tiles_param_2[128]
// PTX-DAG:  .reqntid 384
// PTX-DAG:  .explicitcluster
// PTX-DAG:  .reqnctapercluster 2, 1, 1

// MANIFEST: "not_capturable": "the host program reads a value that the device computes"
// MANIFEST: "name": "k0_tiles"
// MANIFEST: "grid": "per_sm"
// MANIFEST: "threads": 384
// MANIFEST: "shared_bytes": 100000
// MANIFEST: "cluster": [
// MANIFEST: "pdl": true
// MANIFEST: "tensor_maps": 1
// MANIFEST: "hot": true

module attributes {moe.phase = "tile", moe.target = "cuda"} {
  func.func @main(%x: memref<?x64xf32> {moe.dims = ["n", 64], moe.name = "x"}) -> (memref<4xf32> {moe.name = "y"}) attributes {moe.entry} {
    %c0 = arith.constant 0 : index
    %n = memref.dim %x, %c0 : memref<?x64xf32>
    %y = memref.alloc() {moe.output = 0 : i64} : memref<4xf32>
    moe.launch @k0_tiles(%x, %x, %y) items(%n) : (memref<?x64xf32>, memref<?x64xf32>, memref<4xf32>)
    %v = memref.load %y[%c0] : memref<4xf32>
    %zero = arith.constant 0.0 : f32
    %same = arith.cmpf oeq, %v, %zero : f32
    cf.assert %same, "y starts with another number"
    return %y : memref<4xf32>
  }
  func.func private @k0_tiles(memref<?x64xf32>, memref<?x64xf32>, memref<4xf32>) attributes {moe.kernel, moe.op = "moe.tiles"}
  module @gpu attributes {moe.device} {
    func.func @k0_tiles(%x: memref<?x64xf32>,
                        %map: memref<?x64xf32> {moe.tensor_map = {box = array<i64: 64, 32>, swizzle = 128 : i64, l2_promotion = 256 : i64}},
                        %y: memref<4xf32>, %items: index {moe.items})
        attributes {moe.kernel, moe.hot, moe.launch_config = {grid = "per_sm", size = array<i64: 1>, threads = 384 : i64, shared = 100000 : i64,
                                                              cluster = array<i64: 2>, pdl}} {
      %c0 = arith.constant 0 : index
      %p = builtin.unrealized_conversion_cast %map : memref<?x64xf32> to !llvm.ptr
      %first = llvm.load %p : !llvm.ptr -> f32
      %i = arith.index_cast %items : index to i32
      %f = arith.sitofp %i : i32 to f32
      %s = arith.addf %first, %f : f32
      memref.store %s, %y[%c0] : memref<4xf32>
      return
    }
  }
}
