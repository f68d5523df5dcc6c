// Layers are steered by the names of nodes and weights.
// RUN: moe-opt %s -moe-quantize-products=keep=*mlp.down* | FileCheck %s
// RUN: moe-opt %s -moe-quantize-products=keep=layers.0.* | FileCheck %s
// RUN: not moe-opt %s -moe-quantize-products=keep=layers.7.* -o /dev/null 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not moe-opt %s "-moe-quantize-products=keep=[a" -o /dev/null 2>&1 | FileCheck %s --check-prefix=GLOB
// RUN: not moe-opt %s -moe-quantize-products=recipe=fine -o /dev/null 2>&1 | FileCheck %s --check-prefix=RECIPE
// RUN: not moe-opt %s -moe-quantize-products=activations=f4 -o /dev/null 2>&1 | FileCheck %s --check-prefix=ACTIVATIONS
// RUN: not moe-compile %s -o %t.moe --fp8=compensated 2>&1 | FileCheck %s --check-prefix=COMPENSATED
// RUN: not moe-compile %s -o %t.moe --fp8=lossless 2>&1 | FileCheck %s --check-prefix=LOSSLESS
// RUN: not moe-compile %s -o %t.moe --fp8-keep=x 2>&1 | FileCheck %s --check-prefix=OFF
// RUN: not moe-compile %s -o %t.moe --activations=f8 2>&1 | FileCheck %s --check-prefix=ALONE
// RUN: moe-opt %s -moe-quantize-products="recipe=plain activations=f8" -o /dev/null 2>&1 | FileCheck %s --check-prefix=VARIES
// RUN: moe-opt %s -moe-quantize-products="recipe=plain" -o /dev/null 2>&1 | FileCheck %s --check-prefix=INVARIANT --allow-empty
// RUN: not moe-compile %s -o %t.moe --fp8=blocks --fp8-keep=nothing 2>&1 | FileCheck %s --check-prefix=COMPILE
// RUN: not ls %t.moe

// CHECK: moe.grouped_matmul %{{.*}} weights(%{{.*}}) : (tensor<?x64xf32>, tensor<1x64x64xf32>)
// CHECK: moe.grouped_matmul %{{.*}} weights(%{{.*}}) : (tensor<?x64xf32>, !moe.scaled<1x64x64xf8E4M3FN
// NONE: error: expects 'layers.7.*' to name a node or weight of a product, but none matches
// GLOB: error: expects a glob to keep, but '[a' is none:
// RECIPE: error: expects the recipe 'plain' or 'blocks', but it is 'fine'
// ACTIVATIONS: error: expects activations 'f32', 'bf16' or 'f8', but they are 'f4'
// COMPENSATED: moe-compile: error: --fp8=compensated is not supported yet; --fp8=off, --fp8=plain and --fp8=blocks are
// LOSSLESS: moe-compile: error: --fp8=lossless is not supported yet
// OFF: moe-compile: error: expects --fp8-keep with --fp8=plain or --fp8=blocks, but --fp8 is off
// ALONE: moe-compile: error: expects --activations=f8 with --fp8=plain or --fp8=blocks, but --fp8 is off
// VARIES: warning: one scale for all activations of a call: a row's result depends on the other rows of its call
// INVARIANT-NOT: warning
// COMPILE: moe-compile: error: {{.*}}expects 'nothing' to name a node or weight of a product, but none matches
moe.weight @a : tensor<1x64x64xf32> = #moe.piece<"w.bin", 0, 16384, tensor<1x64x64xf32>> {source = "layers.0.mlp.down.weight"}
moe.weight @b : tensor<1x64x64xf32> = #moe.piece<"w.bin", 0, 16384, tensor<1x64x64xf32>> {source = "layers.1.mlp.up.weight"}
func.func @main(%x: tensor<?x64xf32> {moe.name = "x", moe.dims = ["n", 64]}) -> (tensor<?x64xf32> {moe.name = "y"}) attributes {moe.entry} {
  %a = moe.get_weight @a : tensor<1x64x64xf32>
  %b = moe.get_weight @b : tensor<1x64x64xf32>
  %y = moe.grouped_matmul %x weights(%a) : (tensor<?x64xf32>, tensor<1x64x64xf32>) -> tensor<?x64xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  %z = moe.grouped_matmul %y weights(%b) : (tensor<?x64xf32>, tensor<1x64x64xf32>) -> tensor<?x64xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return %z : tensor<?x64xf32>
}
