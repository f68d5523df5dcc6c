// RUN: rm -rf %t.moe %t.dir && moe-compile %s -o %t.moe
// RUN: FileCheck %s --check-prefix=MANIFEST --input-file=%t.moe/manifest.json
// RUN: llvm-nm -D %t.moe/code.so | FileCheck %s --check-prefix=SYMBOLS
// RUN: moe-compile %s -o %t.moe
// RUN: mkdir %t.dir && not moe-compile %s -o %t.dir 2>&1 | FileCheck %s --check-prefix=REFUSES
// RUN: not moe-compile %S/Inputs/missing-weight.mlir -o %t.none.moe 2>&1 | FileCheck %s --check-prefix=MISSING
// RUN: not ls %t.none.moe

// MANIFEST:      "format": "moe-artefact"
// MANIFEST:      "target": "cpu"
// MANIFEST:      "file": "weights-0.safetensors"
// MANIFEST:      "name": "main"
// MANIFEST:      "isa": "x86-64-v4"
// MANIFEST:      "isa": "x86-64-v3"
// MANIFEST:      "manifest_xxh3":

// code.so imports nothing and exports one symbol.
// SYMBOLS-NOT:   U
// SYMBOLS:       moe_module{{$}}
// SYMBOLS-NOT:   {{.}}

// REFUSES: moe-compile: error: expects '{{.*}}.dir' not to exist or to be an artefact, but it is something else

// On failure nothing is left behind.
// MISSING: moe-compile: error: {{.*}}missing-weight.mlir:{{.*}} cannot open weight file 'nowhere.bin'

func.func @main(%x: tensor<?x4xf32> {moe.name = "x", moe.dims = ["n", 4]}) -> (tensor<?x4xf32> {moe.name = "y"}) attributes {moe.entry} {
  %bias = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x4xf32>
  %e = tensor.empty(%n) : tensor<?x4xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>],
                       iterator_types = ["parallel", "parallel"]} ins(%x, %bias : tensor<?x4xf32>, tensor<4xf32>) outs(%e : tensor<?x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.addf %a, %b : f32
    %t = math.tanh %s : f32
    linalg.yield %t : f32
  } -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
