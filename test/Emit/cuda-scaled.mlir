// Conversions of 8-bit floats lower for devices too.
// RUN: rm -rf %t.moe && moe-compile %s --target=cuda -o %t.moe
// RUN: llvm-strings %t.moe/code.so | FileCheck %s --check-prefix=PTX
// RUN: FileCheck %s --check-prefix=MANIFEST --input-file=%t.moe/manifest.json

// PTX-DAG: .visible .entry k{{.*}}quantize_blocks(
// PTX-DAG: .visible .entry k{{.*}}dequantize_blocks(
// PTX-DAG: cvt.f32.f16
// PTX-DAG: div.rn.f32
// MANIFEST: "fp8": "off"
func.func @main(%x: tensor<?x256xf32> {moe.name = "x", moe.dims = ["n", 256]}) -> (tensor<?x256xf32> {moe.name = "y"}) attributes {moe.entry} {
  %q = moe.quantize %x : tensor<?x256xf32> -> !moe.scaled<?x256xf8E4M3FN, block = [1, 128], scale = f32>
  %y = moe.dequantize %q : !moe.scaled<?x256xf8E4M3FN, block = [1, 128], scale = f32> -> tensor<?x256xf32>
  return %y : tensor<?x256xf32>
}
