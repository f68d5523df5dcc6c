// RUN: moe-opt %s -moe-random-weights | FileCheck %s
// The whole way: weights without their files compile, and the artefact has none.
// RUN: rm -rf %t.moe && moe-compile %s --random-weights -o %t.moe && not ls %t.moe/weights-0.safetensors
// RUN: FileCheck %s --check-prefix=MANIFEST --input-file=%t.moe/manifest.json
// RUN: moe-run bench %t.moe --shape x=3x64 | FileCheck %s --check-prefix=BENCH

// CHECK: module attributes {moe.random_weights}

// Steps stay; sqrt(2 / (64 + 96)) is the deviation; another weight has another seed.
// CHECK: moe.weight @w : tensor<64x96xf32> = #moe.recipe<cast, {}, [#moe.random<normal, 0.000000e+00 : f32, 0.111803{{[0-9]+}} : f32, {{-?[0-9]+}}, tensor<64x96xbf16>>], tensor<64x96xf32>>
// MANIFEST: "name": "w
// MANIFEST: "dtype": "bfloat16",
// MANIFEST: "deviation": 0.111803
moe.weight @w : tensor<64x96xf32> = #moe.recipe<cast, {}, [#moe.piece<"nowhere.bin", 0, 12288, tensor<64x96xbf16>>], tensor<64x96xf32>>

// A norm's weight is near one, a vector small.
// CHECK: moe.weight @gain : tensor<64xf32> = #moe.random<uniform, 7.500000e-01 : f32, 1.250000e+00 : f32, {{-?[0-9]+}}, tensor<64xf32>>
moe.weight @gain : tensor<64xf32> = #moe.piece<"nowhere.bin", 12288, 256, tensor<64xf32>>
// CHECK: moe.weight @bias : tensor<96xf32> = #moe.random<normal, 0.000000e+00 : f32, 2.000000e-02 : f32, {{-?[0-9]+}}, tensor<96xf32>>
moe.weight @bias : tensor<96xf32> = #moe.piece<"nowhere.bin", 12544, 384, tensor<96xf32>>

// Dequantized codes are random floats; integers stay what they are.
// CHECK: moe.weight @q : tensor<8x32xf32> = #moe.random<normal, 0.000000e+00 : f32, 0.2236{{[0-9]+}} : f32, {{-?[0-9]+}}, tensor<8x32xf32>>
moe.weight @q : tensor<8x32xf32> = #moe.recipe<dequantize, {bits = 4 : i64, block = 0 : i64}, [#moe.piece<"nowhere.bin", 0, 128, tensor<8x16xui8>>, #moe.piece<"nowhere.bin", 128, 32, tensor<8xf32>>], tensor<8x32xf32>>
// CHECK: moe.weight @ids : tensor<4xi64> = #moe.piece<"nowhere.bin", 0, 32, tensor<4xi64>>
moe.weight @ids : tensor<4xi64> = #moe.piece<"nowhere.bin", 0, 32, tensor<4xi64>>

// BENCH: main x=3x64: median
func.func @main(%x: tensor<?x64xf32> {moe.name = "x", moe.dims = ["n", 64]}) -> (tensor<?x96xf32> {moe.name = "y"}) attributes {moe.entry} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %n = tensor.dim %x, %c0 : tensor<?x64xf32>
  %g = moe.get_weight @gain : tensor<64xf32>
  %w = moe.get_weight @w : tensor<64x96xf32>
  %b = moe.get_weight @bias : tensor<96xf32>
  %r = moe.rms_norm %x weight(%g) {epsilon = 1.0e-6 : f32} : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %e = tensor.empty(%n) : tensor<?x96xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<?x96xf32>) -> tensor<?x96xf32>
  %p = linalg.matmul ins(%r, %w : tensor<?x64xf32>, tensor<64x96xf32>) outs(%z : tensor<?x96xf32>) -> tensor<?x96xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>],
                       iterator_types = ["parallel", "parallel"]} ins(%p, %b : tensor<?x96xf32>, tensor<96xf32>) outs(%e : tensor<?x96xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %s = arith.addf %u, %v : f32
    linalg.yield %s : f32
  } -> tensor<?x96xf32>
  return %y : tensor<?x96xf32>
}
