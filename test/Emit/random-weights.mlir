// Random weights take no room in the artefact; what the runtime draws at load is what the compiler evaluates, bit for bit.
// RUN: rm -rf %t && mkdir -p %t/none && sed -e 's/#moe.random<\(.*\), \(tensor<[^>]*>\)>$/#moe.recipe<reshape, {}, [#moe.random<\1, \2>], \2>/' %s > %t/evaluated.mlir
// RUN: moe-compile %s -o %t/drawn.moe && moe-compile %t/evaluated.mlir -o %t/evaluated.moe
// RUN: FileCheck %s --check-prefix=DRAWN --input-file=%t/drawn.moe/manifest.json
// RUN: FileCheck %s --check-prefix=EVALUATED --input-file=%t/evaluated.moe/manifest.json
// RUN: moe-run infer %t/drawn.moe --inputs %t/none --outputs %t/a && moe-run infer %t/evaluated.moe --inputs %t/none --outputs %t/b
// RUN: cmp %t/a/output_0.npy %t/b/output_0.npy && cmp %t/a/output_1.npy %t/b/output_1.npy && cmp %t/a/output_2.npy %t/b/output_2.npy
// RUN: cmp %t/a/output_3.npy %t/b/output_3.npy && cmp %t/a/output_4.npy %t/b/output_4.npy

// The same for the GPU: no 11 GB are written for a layer that has them.
// RUN: moe-compile %s --target=cuda -o %t/gpu.moe && FileCheck %s --check-prefix=DRAWN --input-file=%t/gpu.moe/manifest.json

// DRAWN:      "weight_files": [],
// DRAWN:      "name": "a",
// DRAWN-NEXT: "size": 4000,
// DRAWN-NEXT: "random": {
// DRAWN-NEXT:   "dtype": "float32",
// DRAWN-NEXT:   "distribution": "normal",
// DRAWN-NEXT:   "mean": 0,
// DRAWN-NEXT:   "deviation": 0.5,
// DRAWN-NEXT:   "seed": "0000000000000007"
// DRAWN:        "dtype": "float8e4m3fn",
// DRAWN:        "distribution": "uniform",
// DRAWN-NEXT:   "low": -300,
// DRAWN-NEXT:   "high": 300,
// DRAWN-NEXT:   "seed": "ffffffffffffffff"
// EVALUATED:  "file": "weights-0.safetensors"
// EVALUATED-NOT: "random"

moe.weight @a : tensor<10x100xf32> = #moe.random<normal, 0.0 : f32, 0.5 : f32, 7, tensor<10x100xf32>>
moe.weight @b : tensor<10x100xbf16> = #moe.random<normal, 1.0 : f32, 2.0 : f32, 8, tensor<10x100xbf16>>
moe.weight @c : tensor<10x100xf16> = #moe.random<uniform, 0.0 : f32, 1.0e-5 : f32, 9, tensor<10x100xf16>>
moe.weight @d : tensor<10x100xf8E4M3FN> = #moe.random<uniform, -300.0 : f32, 300.0 : f32, -1, tensor<10x100xf8E4M3FN>>
moe.weight @e : tensor<10x100xf8E5M2> = #moe.random<normal, 0.0 : f32, 1.0e-4 : f32, 10, tensor<10x100xf8E5M2>>

#id = affine_map<(i, j) -> (i, j)>
func.func @main() -> (tensor<10x100xf32>, tensor<10x100xf32>, tensor<10x100xf32>, tensor<10x100xf32>, tensor<10x100xf32>) attributes {moe.entry} {
  %e = tensor.empty() : tensor<10x100xf32>
  %wa = moe.get_weight @a : tensor<10x100xf32>
  %wb = moe.get_weight @b : tensor<10x100xbf16>
  %wc = moe.get_weight @c : tensor<10x100xf16>
  %wd = moe.get_weight @d : tensor<10x100xf8E4M3FN>
  %we = moe.get_weight @e : tensor<10x100xf8E5M2>
  %a = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%wa : tensor<10x100xf32>) outs(%e : tensor<10x100xf32>) {
  ^bb0(%x: f32, %o: f32):
    linalg.yield %x : f32
  } -> tensor<10x100xf32>
  %b = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%wb : tensor<10x100xbf16>) outs(%e : tensor<10x100xf32>) {
  ^bb0(%x: bf16, %o: f32):
    %y = arith.extf %x : bf16 to f32
    linalg.yield %y : f32
  } -> tensor<10x100xf32>
  %c = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%wc : tensor<10x100xf16>) outs(%e : tensor<10x100xf32>) {
  ^bb0(%x: f16, %o: f32):
    %y = arith.extf %x : f16 to f32
    linalg.yield %y : f32
  } -> tensor<10x100xf32>
  %d = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%wd : tensor<10x100xf8E4M3FN>) outs(%e : tensor<10x100xf32>) {
  ^bb0(%x: f8E4M3FN, %o: f32):
    %y = arith.extf %x : f8E4M3FN to f32
    linalg.yield %y : f32
  } -> tensor<10x100xf32>
  %f = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%we : tensor<10x100xf8E5M2>) outs(%e : tensor<10x100xf32>) {
  ^bb0(%x: f8E5M2, %o: f32):
    %y = arith.extf %x : f8E5M2 to f32
    linalg.yield %y : f32
  } -> tensor<10x100xf32>
  return %a, %b, %c, %d, %f : tensor<10x100xf32>, tensor<10x100xf32>, tensor<10x100xf32>, tensor<10x100xf32>, tensor<10x100xf32>
}
