// RUN: moe-compile %s --target=cuda --compile-to=lower -o - | FileCheck %s --check-prefix=LOWER
// RUN: rm -rf %t.moe && moe-compile %s --target=cuda --chip=sm_90a -o %t.moe
// RUN: llvm-strings %t.moe/code.so | FileCheck %s --check-prefix=PTX
// RUN: FileCheck %s --check-prefix=MANIFEST --input-file=%t.moe/manifest.json

// LOWER:    module @gpu attributes {moe.device}
// LOWER:    llvm.func @k0_generic({{.*}}) attributes {{{.*}}moe.kernel

// The PTX is in code.so, one entry per kernel: the words of the argument block, then the number of items.
// PTX:      .target sm_90a
// PTX:      .visible .entry k0_generic(
// PTX:      .param .u64 {{.*}}k0_generic_param_0
// PTX-DAG:  mov.u32 {{.*}}, %ctaid.x;
// PTX-DAG:  mov.u32 {{.*}}, %tid.x;

// MANIFEST: "target": "cuda"
// MANIFEST: "chip": "sm_90a"

func.func @main(%x: tensor<?x4xf32> {moe.name = "x", moe.dims = ["n", 4]}) -> (tensor<?x4xf32> {moe.name = "y"}) attributes {moe.entry} {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x4xf32>
  %e = tensor.empty(%n) : tensor<?x4xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>],
                       iterator_types = ["parallel", "parallel"]} ins(%x : tensor<?x4xf32>) outs(%e : tensor<?x4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = math.exp %a : f32
    linalg.yield %t : f32
  } -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
