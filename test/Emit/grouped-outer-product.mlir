// The weight gradient of a grouped product, from tensors to the artefact: both operands of the tensor cores have their rows leading, and ptxas (where
// there is one) neither spills nor serializes products: emit fails where it does.
// RUN: rm -rf %t.moe && moe-compile %s --target=cuda -o %t.moe
// RUN: llvm-strings %t.moe/code.so > %t.txt
// RUN: env -u CUDA_HOME -u CUDA_ROOT PATH=%moe_bin moe-compile %s --target=cuda -o %t.ptx.moe
// RUN: llvm-strings %t.ptx.moe/code.so | FileCheck %s --check-prefix=PTX
// RUN: FileCheck %s --check-prefix=MANIFEST --input-file=%t.moe/manifest.json

// The last two numbers of a product say that both operands are transposed.
// PTX:      .param .align 64 .b8 k0_grouped_outer_product_param_0[128]
// PTX:      .param .align 64 .b8 k0_grouped_outer_product_param_1[128]
// PTX-NOT:  .local
// PTX-DAG:  cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes
// PTX-DAG:  wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {{.*}}, 1, 1;
// PTX-DAG:  st.global.v2.f32

// MANIFEST: "grid": "per_sm"
// MANIFEST: "tensor_maps": 2

module attributes {moe.phase = "fuse", moe.target = "cuda"} {
  func.func @main(%dy: tensor<?x200xbf16> {moe.dims = ["p", 200], moe.dtype = "bfloat16", moe.name = "dy"}, %x: tensor<?x264xbf16> {moe.dims = ["p", 264], moe.dtype = "bfloat16", moe.name = "x"}, %offsets: tensor<6xi32> {moe.dims = [6], moe.dtype = "int32", moe.name = "offsets"})
      -> (tensor<5x200x264xf32> {moe.dims = [5, 200, 264], moe.dtype = "float32", moe.name = "dw"}) attributes {moe.entry} {
    %dw = moe.grouped_outer_product %dy, %x offsets(%offsets) : (tensor<?x200xbf16>, tensor<?x264xbf16>, tensor<6xi32>) -> tensor<5x200x264xf32>
    return %dw : tensor<5x200x264xf32>
  }
}
