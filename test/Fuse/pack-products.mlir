// RUN: moe-opt %s -moe-pack-products=narrow=false | FileCheck %s
// RUN: moe-opt %s -moe-pack-products | FileCheck %s --check-prefix=NARROW
// RUN: moe-opt %s -moe-pack-products="panel=0" | FileCheck %s --check-prefix=PLAIN

moe.weight @kn : tensor<32x20xf32> = #moe.recipe<cast, {}, [#moe.piece<"w.bin", 0, 1280, tensor<32x20xbf16>>], tensor<32x20xf32>>
moe.weight @bank : tensor<4x8x32xf32> = #moe.piece<"w.bin", 1280, 4096, tensor<4x8x32xf32>>
// CHECK: moe.weight @{{.*}} : tensor<1x2x32x16xf32> = #moe.recipe<pack, {panel = 16 : i64}, [#moe.recipe<reshape, {}, [#moe.recipe<transpose
// NARROW: moe.weight @{{.*}} : tensor<1x2x32x16xbf16> = #moe.recipe<pack

// The rows' dimensions collapse; the last panel is padded, `columns` keeps what is real.
// CHECK-LABEL: func @dense
// CHECK: %[[X:.*]] = tensor.collapse_shape %arg0 {{\[\[}}0, 1], [2]]
// CHECK: %[[Y:.*]] = moe.grouped_matmul %[[X]] weights(%{{.*}}) {columns = 20 : i64, packed = 16 : i64} : (tensor<?x32xf32>, tensor<1x2x32x16xf32>) -> tensor<?x20xf32>
// CHECK: tensor.expand_shape %[[Y]] {{\[\[}}0, 1], [2]] output_shape [%{{.*}}, %{{.*}}, 20]
// PLAIN-LABEL: func @dense
// PLAIN: moe.grouped_matmul %{{.*}} weights(%{{.*}}) : (tensor<?x32xf32>, tensor<1x20x32xbf16>) -> tensor<?x20xf32>
func.func @dense(%x: tensor<?x?x32xf32>) -> tensor<?x?x20xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %w = moe.get_weight @kn : tensor<32x20xf32>
  %b = tensor.dim %x, %c0 : tensor<?x?x32xf32>
  %s = tensor.dim %x, %c1 : tensor<?x?x32xf32>
  %e = tensor.empty(%b, %s) : tensor<?x?x20xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x?x20xf32>) -> tensor<?x?x20xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(b, s, n, k) -> (b, s, k)>, affine_map<(b, s, n, k) -> (k, n)>, affine_map<(b, s, n, k) -> (b, s, n)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
    ins(%x, %w : tensor<?x?x32xf32>, tensor<32x20xf32>) outs(%f : tensor<?x?x20xf32>) {
  ^bb0(%p: f32, %q: f32, %c: f32):
    %m = arith.mulf %p, %q : f32
    %a = arith.addf %c, %m : f32
    linalg.yield %a : f32
  } -> tensor<?x?x20xf32>
  return %y : tensor<?x?x20xf32>
}

// CHECK-LABEL: func @grouped
// CHECK: moe.grouped_matmul %arg0 weights(%{{.*}}) offsets(%arg1) {columns = 8 : i64, packed = 16 : i64} : (tensor<?x32xf32>, tensor<4x1x32x16xf32>, tensor<5xi32>)
func.func @grouped(%x: tensor<?x32xf32>, %o: tensor<5xi32>) -> tensor<?x8xf32> {
  %w = moe.get_weight @bank : tensor<4x8x32xf32>
  %y = moe.grouped_matmul %x weights(%w) offsets(%o) : (tensor<?x32xf32>, tensor<4x8x32xf32>, tensor<5xi32>) -> tensor<?x8xf32> {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return %y : tensor<?x8xf32>
}

// Two products of values, a product in f64 and one whose columns come first stay as they are.
// CHECK-LABEL: func @left_alone
// CHECK-NOT: moe.grouped_matmul
// CHECK: return
func.func @left_alone(%x: tensor<?x32xf32>, %v: tensor<32x20xf32>, %e: tensor<?x20xf32>, %t: tensor<20x?xf32>) -> (tensor<?x20xf32>, tensor<20x?xf32>) {
  %zero = arith.constant 0.0 : f32
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x20xf32>) -> tensor<?x20xf32>
  %g = linalg.fill ins(%zero : f32) outs(%t : tensor<20x?xf32>) -> tensor<20x?xf32>
  %y = linalg.matmul ins(%x, %v : tensor<?x32xf32>, tensor<32x20xf32>) outs(%f : tensor<?x20xf32>) -> tensor<?x20xf32>
  %w = moe.get_weight @kn : tensor<32x20xf32>
  %z = linalg.generic {indexing_maps = [affine_map<(n, m, k) -> (m, k)>, affine_map<(n, m, k) -> (k, n)>, affine_map<(n, m, k) -> (n, m)>], iterator_types = ["parallel", "parallel", "reduction"]}
    ins(%x, %w : tensor<?x32xf32>, tensor<32x20xf32>) outs(%g : tensor<20x?xf32>) {
  ^bb0(%p: f32, %q: f32, %c: f32):
    %m = arith.mulf %p, %q : f32
    %a = arith.addf %c, %m : f32
    linalg.yield %a : f32
  } -> tensor<20x?xf32>
  return %y, %z : tensor<?x20xf32>, tensor<20x?xf32>
}
