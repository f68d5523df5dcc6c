// RUN: moe-opt %s -moe-lower-host | FileCheck %s

func.func private @k0_copy(memref<?x8xf32>, memref<?x8xf32>) attributes {moe.kernel, moe.op = "linalg.generic"}
moe.weight @w : tensor<4x8xf32> = #moe.piece<"w.bin", 0, 128, tensor<4x8xf32>>

// What the manifest tells: names of extents, sizes and lifetimes, steps.
// CHECK:       moe.manifest = {entries = [{inputs = [{dtype = "float32", name = "x", shape = ["n", 8]}], name = "main"
// CHECK-SAME:    outputs = [{dtype = "float32", name = "y", shape = ["n", 8]}]
// CHECK-SAME:    steps = [{kernel = 0 : i64, op = "linalg.generic", source = "a"}, {kernel = 0 : i64, op = "linalg.generic", source = "b"}]
// CHECK-SAME:    temporaries = [{first = 0 : i64, last = 1 : i64, size = "n * 32"}]
// CHECK-SAME:    errors = ["out of memory"], kernels = ["k0_copy"]

// CHECK:       module @host
// plan: the bytes of the temporary, the extents of the output.
// CHECK-LABEL:   func.func @main_plan(%{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr) -> i32
// CHECK-NOT:       @moe_launch
// run: the argument block holds pointers and extents.
// CHECK-LABEL:   func.func @main_run(%{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr) -> i32
// CHECK-COUNT-2:   llvm.call @moe_launch
func.func @main(%x: memref<?x8xf32> {moe.name = "x", moe.dims = ["n", 8]}) -> (memref<?x8xf32> {moe.name = "y"}) attributes {moe.entry} {
  %c0 = arith.constant 0 : index
  %n = memref.dim %x, %c0 : memref<?x8xf32>
  %t = memref.alloc(%n) {moe.temporary = array<i64: 0, 0, 1>} : memref<?x8xf32>
  moe.launch @k0_copy(%x, %t) items(%n) : (memref<?x8xf32>, memref<?x8xf32>) loc("a")
  %y = memref.alloc(%n) {moe.output = 0 : i64} : memref<?x8xf32>
  moe.launch @k0_copy(%t, %y) items(%n) : (memref<?x8xf32>, memref<?x8xf32>) loc("b")
  return %y : memref<?x8xf32>
}
