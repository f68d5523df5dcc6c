// RUN: moe-opt %s -moe-narrow-tables | FileCheck %s

// A table that is looked up stays bf16; what is read otherwise, or was f32 in the file, is left alone.
// CHECK: moe.weight @table_0 : tensor<8x4xbf16> = #moe.piece<"w.bin", 0, 64, tensor<8x4xbf16>>
moe.weight @table : tensor<8x4xf32> = #moe.recipe<cast, {}, [#moe.piece<"w.bin", 0, 64, tensor<8x4xbf16>>], tensor<8x4xf32>>
moe.weight @used : tensor<8x4xf32> = #moe.recipe<cast, {}, [#moe.piece<"w.bin", 64, 64, tensor<8x4xbf16>>], tensor<8x4xf32>>
moe.weight @wide : tensor<8x4xf32> = #moe.piece<"w.bin", 0, 128, tensor<8x4xf32>>

// CHECK-LABEL: func.func @main
func.func @main(%ids: tensor<?xi64>, %init: tensor<?x4xf32>) -> (tensor<?x4xf32>, tensor<8x4xf32>) {
  // CHECK-DAG: %[[T:.*]] = moe.get_weight @table_0 : tensor<8x4xbf16>
  // CHECK-DAG: %[[U:.*]] = moe.get_weight @used : tensor<8x4xf32>
  // CHECK-DAG: %[[W:.*]] = moe.get_weight @wide : tensor<8x4xf32>
  %t = moe.get_weight @table : tensor<8x4xf32>
  %u = moe.get_weight @used : tensor<8x4xf32>
  %w = moe.get_weight @wide : tensor<8x4xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%ids : tensor<?xi64>) outs(%init : tensor<?x4xf32>) {
  ^bb0(%id: i64, %o: f32):
    %i = arith.index_cast %id : i64 to index
    %j = linalg.index 1 : index
    // CHECK: %[[N:.*]] = tensor.extract %[[T]]
    // CHECK: arith.extf %[[N]] : bf16 to f32
    %a = tensor.extract %t[%i, %j] : tensor<8x4xf32>
    // CHECK: tensor.extract %[[U]]
    %b = tensor.extract %u[%i, %j] : tensor<8x4xf32>
    // CHECK: tensor.extract %[[W]]
    %c = tensor.extract %w[%i, %j] : tensor<8x4xf32>
    %s = arith.addf %a, %b : f32
    %r = arith.addf %s, %c : f32
    linalg.yield %r : f32
  } -> tensor<?x4xf32>
  return %y, %u : tensor<?x4xf32>, tensor<8x4xf32>
}
