// RUN: moe-opt %s -moe-tile-kernels="isas=x86-64-v3" | FileCheck %s
// A check becomes an assertion. One that all elements of a row share stands before the row's loop.

// CHECK:       module @cpu_x86_64_v3
// CHECK-LABEL:   func.func @rows
// CHECK:           scf.for %[[ROW:.*]] =
// CHECK:             %[[ID:.*]] = memref.load %{{.*}}[%[[ROW]]] : memref<?xindex>
// CHECK:             %[[OK:.*]] = arith.cmpi ult, %[[ID]]
// CHECK:             cf.assert %[[OK]], "node 'g': expects something"
// CHECK:             scf.for %[[J:.*]] =
// CHECK-NOT:           cf.assert
// CHECK:               memref.load %{{.*}}[%[[ID]], %[[J]]]
func.func private @rows(%ids: memref<?xindex>, %x: memref<8x64xf32>, %y: memref<?x64xf32>) attributes {moe.kernel} {
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%ids : memref<?xindex>) outs(%y : memref<?x64xf32>) {
  ^bb0(%id: index, %o: f32):
    %c8 = arith.constant 8 : index
    %ok = arith.cmpi ult, %id, %c8 : index
    %at = moe.checked %id if %ok, "node 'g': expects something" : index
    %j = linalg.index 1 : index
    %v = memref.load %x[%at, %j] : memref<8x64xf32>
    linalg.yield %v : f32
  }
  return
}

// One that differs from element to element stays where it is.
// CHECK-LABEL:   func.func @elements
// CHECK:           scf.for %[[I:.*]] =
// CHECK:             %[[D:.*]] = memref.load %{{.*}}[%[[I]]] : memref<?xi64>
// CHECK:             cf.assert
// CHECK:             arith.divsi %{{.*}}, %[[D]]
func.func private @elements(%a: memref<?xi64>, %y: memref<?xi64>) attributes {moe.kernel} {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%a : memref<?xi64>) outs(%y : memref<?xi64>) {
  ^bb0(%d: i64, %o: i64):
    %zero = arith.constant 0 : i64
    %hundred = arith.constant 100 : i64
    %ok = arith.cmpi ne, %d, %zero : i64
    %safe = moe.checked %d if %ok, "node 'd': expects divisors that are not 0" : i64
    %q = arith.divsi %hundred, %safe : i64
    linalg.yield %q : i64
  }
  return
}

// A scatter and a dispatch check what they are given.
// CHECK-LABEL:   func.func @scatter
// CHECK:           cf.assert %{{.*}}, "expects indices in [-n, n) of a dim of n elements, but one is outside"
func.func private @scatter(%x: memref<4xf32>, %i: memref<2x1xi64>, %u: memref<2xf32>, %y: memref<4xf32>) attributes {moe.kernel} {
  moe.scatter %x, %i, %u outs(%y) : (memref<4xf32>, memref<2x1xi64>, memref<2xf32>, memref<4xf32>) -> ()
  return
}
// CHECK-LABEL:   func.func @dispatch
// CHECK:           cf.assert %{{.*}}, "expects expert numbers in [0, 4), but one is outside"
func.func private @dispatch(%ids: memref<?x2xi64>, %offsets: memref<5xi32>, %order: memref<?xi32>, %position: memref<?xi32>) attributes {moe.kernel} {
  moe.dispatch %ids outs(%offsets, %order, %position) {num_experts = 4 : i64} : (memref<?x2xi64>, memref<5xi32>, memref<?xi32>, memref<?xi32>) -> ()
  return
}
