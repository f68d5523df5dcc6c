// RUN: moe-opt %s -moe-prepare-buffers -split-input-file | FileCheck %s

// CHECK-LABEL: func.func @reshape
// CHECK:         %[[FLAT:.*]] = tensor.collapse_shape
// CHECK:         tensor.expand_shape %[[FLAT]] {{\[}}[0, 1, 2]] output_shape [%{{.*}}, %{{.*}}, 4] : tensor<?xf32> into tensor<?x?x4xf32>
func.func @reshape(%x: tensor<?x8xf32>, %a: index, %b: index) -> tensor<?x?x4xf32> {
  %c4 = arith.constant 4 : index
  %shape = tensor.from_elements %a, %b, %c4 : tensor<3xindex>
  %y = tensor.reshape %x(%shape) : (tensor<?x8xf32>, tensor<3xindex>) -> tensor<?x?x4xf32>
  return %y : tensor<?x?x4xf32>
}

// -----

// A scalar needs no buffer.
// CHECK-LABEL: func.func @scalar
// CHECK-SAME:    (%{{.*}}: tensor<4xf32>, %[[S:.*]]: f32)
// CHECK-NOT:     tensor.from_elements
// CHECK:         arith.mulf %{{.*}}, %[[S]]
func.func @scalar(%x: tensor<4xf32>, %s: f32) -> tensor<4xf32> {
  %t = tensor.from_elements %s : tensor<1xf32>
  %e = tensor.empty() : tensor<4xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (0)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%x, %t : tensor<4xf32>, tensor<1xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %p = arith.mulf %a, %b : f32
    linalg.yield %p : f32
  } -> tensor<4xf32>
  return %y : tensor<4xf32>
}
