// RUN: moe-opt %s -moe-bufferize -split-input-file | FileCheck %s
// RUN: not moe-opt %S/Inputs/experts.mlir -moe-bufferize 2>&1 | FileCheck %s --check-prefix=REFUSES

// A moe op gets buffers of the sizes it infers and writes into them.
// CHECK-LABEL: func.func @route
// CHECK-SAME:    (%[[LOGITS:.*]]: memref<?x8xf32>) -> (memref<?x2xf32>, memref<?x2xi64>)
// CHECK-DAG:     %[[WEIGHTS:.*]] = memref.alloc(%{{.*}}) {{.*}}: memref<?x2xf32>
// CHECK-DAG:     %[[IDS:.*]] = memref.alloc(%{{.*}}) {{.*}}: memref<?x2xi64>
// CHECK:         moe.route %[[LOGITS]] outs(%[[WEIGHTS]], %[[IDS]]) {{.*}} : (memref<?x8xf32>, memref<?x2xf32>, memref<?x2xi64>) -> ()
// CHECK:         return %[[WEIGHTS]], %[[IDS]]
func.func @route(%logits: tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>) {
  %w, %i = moe.route %logits {k = 2 : i64} : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  return %w, %i : tensor<?x2xf32>, tensor<?x2xi64>
}

// -----

// A weight is read where it lies.
moe.weight @w : tensor<8xf32> = #moe.piece<"w.bin", 0, 32, tensor<8xf32>>
// CHECK-LABEL: func.func @weight
// CHECK:         %[[W:.*]] = moe.get_weight @w : memref<8xf32>
// CHECK:         moe.rms_norm %{{.*}} weight(%[[W]]) outs(
func.func @weight(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %w = moe.get_weight @w : tensor<8xf32>
  %y = moe.rms_norm %x weight(%w) {epsilon = 1.0e-5 : f32} : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// -----

// Scatter writes in place of data that nobody reads again; an argument is never written, so it is copied first.
// CHECK-LABEL: func.func @scatter
// CHECK-SAME:    (%[[ARG:.*]]: memref<8x4xf32>,
// CHECK:         %[[COPY:.*]] = memref.alloc()
// CHECK:         memref.copy %[[ARG]], %[[COPY]]
// CHECK:         moe.scatter %[[COPY]], %{{.*}}, %{{.*}} outs(%[[COPY]])
// CHECK-NOT:     memref.copy
// CHECK:         moe.scatter %[[COPY]], %{{.*}}, %{{.*}} outs(%[[COPY]])
func.func @scatter(%data: tensor<8x4xf32>, %at: tensor<2x1xi64>, %new: tensor<2x4xf32>) -> tensor<8x4xf32> {
  %a = moe.scatter %data, %at, %new : (tensor<8x4xf32>, tensor<2x1xi64>, tensor<2x4xf32>) -> tensor<8x4xf32>
  %b = moe.scatter %a, %at, %new : (tensor<8x4xf32>, tensor<2x1xi64>, tensor<2x4xf32>) -> tensor<8x4xf32>
  return %b : tensor<8x4xf32>
}

// -----

// A slice whose extent only the run knows may have gaps: a result has none, so it is copied.
// CHECK-LABEL: func.func @slice
// CHECK:         %[[PART:.*]] = memref.subview
// CHECK-NOT:     memref.cast
// CHECK:         %[[N:.*]] = memref.dim %[[PART]], %c1
// CHECK:         %[[COPY:.*]] = memref.alloc(%[[N]]) {alignment = 64 : i64} : memref<3x?xf32>
// CHECK:         memref.copy %[[PART]], %[[COPY]]
// CHECK:         return %[[COPY]] : memref<3x?xf32>
func.func @slice(%x: tensor<3x4xf32>, %n: index) -> tensor<3x?xf32> {
  %y = tensor.extract_slice %x[0, 0] [3, %n] [1, 1] : tensor<3x4xf32> to tensor<3x?xf32>
  return %y : tensor<3x?xf32>
}

// -----

// Kernels of rows read whole buffers: a slice is copied. Owners mean nothing for buffers, so equal kernels stay equal.
// CHECK-LABEL: func.func @rows_of_a_slice
// CHECK:         moe.list_rows %{{.*}} outs({{.*}}) : (
// CHECK:         %[[PART:.*]] = memref.subview
// CHECK:         %[[COPY:.*]] = memref.alloc({{.*}}) {alignment = 64 : i64} : memref<?x64xbf16>
// CHECK:         memref.copy %[[PART]], %[[COPY]]
// CHECK:         moe.copy_rows %[[COPY]] at
func.func @rows_of_a_slice(%x: tensor<?x192xbf16>, %n: index) -> tensor<1x?x64xbf16> {
  %l:4 = moe.list_rows %x {owner = 3 : i64} : (tensor<?x192xbf16>) -> (tensor<?xi32>, tensor<1xi32>, tensor<?xi32>, tensor<?xi32>)
  %s = tensor.extract_slice %x[0, 64] [%n, 64] [1, 1] : tensor<?x192xbf16> to tensor<?x64xbf16>
  %c = moe.copy_rows %s at %l#0 {k = 1 : i64, padding = 136 : i64} : (tensor<?x64xbf16>, tensor<?xi32>) -> tensor<1x?x64xbf16>
  return %c : tensor<1x?x64xbf16>
}

// REFUSES: 'moe.experts' op expects to be split into dispatch, products and combine before buffers are made
