// RUN: moe-opt %s -moe-tile-kernels="isas=x86-64-v4,x86-64-v3" | FileCheck %s
// RUN: moe-opt %s -moe-tile-kernels="gpu=true" | FileCheck %s --check-prefix=GPU
// RUN: not moe-opt %S/Inputs/unknown.mlir -moe-tile-kernels="isas=x86-64-v4" 2>&1 | FileCheck %s --check-prefix=REFUSES

// A launch learns its number of items; the kernel stays as a declaration, its code is in one module per variant.
// CHECK-LABEL: func.func @main
// CHECK:         %[[ITEMS:.*]] = arith.ceildivsi
// CHECK:         moe.launch @k0_generic(%{{.*}}, %{{.*}}) items(%[[ITEMS]])
func.func @main(%x: memref<?xf32>, %y: memref<?xf32>) attributes {moe.entry} {
  moe.launch @k0_generic(%x, %y) : (memref<?xf32>, memref<?xf32>)
  return
}

// CHECK:       func.func private @k0_generic(memref<?xf32>, memref<?xf32>) attributes {moe.kernel, moe.op = "linalg.generic"}
func.func private @k0_generic(%x: memref<?xf32>, %y: memref<?xf32>) attributes {moe.kernel, moe.op = "linalg.generic"} {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%x : memref<?xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%a: f32, %out: f32):
    %e = math.exp %a : f32
    linalg.yield %e : f32
  }
  return
}

// CHECK:       module @cpu_x86_64_v4 attributes {moe.isa = "x86-64-v4"}
// CHECK:         func.func @k0_generic(%[[X:.*]]: memref<?xf32>, %[[Y:.*]]: memref<?xf32>, %[[BEGIN:.*]]: index, %[[END:.*]]: index)
// CHECK-NOT:       linalg.yield
// CHECK:           scf.for %[[I:.*]] =
// CHECK:             %[[A:.*]] = memref.load %[[X]][%[[I]]]
// CHECK:             %[[E:.*]] = math.exp %[[A]]
// CHECK:             memref.store %[[E]], %[[Y]][%[[I]]]
// CHECK:       module @cpu_x86_64_v3 attributes {moe.isa = "x86-64-v3"}
// CHECK:         func.func @k0_generic

// On a device an item is one element.
// GPU:         %[[N:.*]] = memref.dim
// GPU:         moe.launch @k0_generic(%{{.*}}, %{{.*}}) items(%{{.*}})
// GPU:       module @gpu attributes {moe.device}
// GPU:         func.func @k0_generic

// REFUSES: 'memref.dealloc' op has no kernel form
