// What the toolkit's assembler says: into the manifest, and against a kernel marked hot. $CUDA_HOME's comes first.
// RUN: rm -rf %t && mkdir %t && sed -e 's/moe.cold/moe.hot/' %s > %t/hot.mlir

// RUN: env CUDA_HOME=%S/Inputs/cuda moe-compile %t/hot.mlir --target=cuda -o %t/m.moe
// RUN: FileCheck %s --check-prefix=MANIFEST --input-file=%t/m.moe/manifest.json
// RUN: llvm-strings %t/m.moe/code.so | FileCheck %s --check-prefix=IMAGES
// MANIFEST:      "name": "k0_generic",
// MANIFEST:      "hot": true,
// MANIFEST-NEXT: "registers": 168,
// MANIFEST-NEXT: "static_shared_bytes": 1024,
// MANIFEST-NEXT: "stack_bytes": 0,
// MANIFEST-NEXT: "spill_store_bytes": 0,
// MANIFEST-NEXT: "spill_load_bytes": 0
// IMAGES-DAG: a cubin
// IMAGES-DAG: .visible .entry k0_generic(

// A hot kernel that spills does not compile, and nothing is left behind.
// RUN: env CUDA_HOME=%S/Inputs/cuda "FAKE_STACK=120 bytes stack frame, 116 bytes spill stores, 344 bytes spill loads" \
// RUN:   not moe-compile %t/hot.mlir --target=cuda -o %t/n.moe 2> %t/spills.txt
// RUN: FileCheck %s --check-prefix=SPILLS --input-file=%t/spills.txt
// RUN: not ls %t/n.moe
// SPILLS: error: {{.*}}hot.mlir:{{.*}}: expects the hot kernel 'k0_generic' (linalg.generic) to keep its values in registers, but ptxas spills 116 bytes of stores and 344 of loads, at 168 registers

// Nor one whose products ptxas serialized.
// RUN: env CUDA_HOME=%S/Inputs/cuda "FAKE_NOTE=ptxas info    : (C7510) Potential Performance Loss: wgmma.mma_async instructions are serialized due to something in function 'k0_generic'" \
// RUN:   not moe-compile %t/hot.mlir --target=cuda -o %t/n.moe 2> %t/note.txt
// RUN: FileCheck %s --check-prefix=NOTE --input-file=%t/note.txt
// NOTE: error: {{.*}}expects the hot kernel 'k0_generic' (linalg.generic) to have no serialized products, but ptxas says C7510: Potential Performance Loss: wgmma.mma_async instructions are serialized due to something in function 'k0_generic'

// Elsewhere the note is a warning, and spills stand in the manifest.
// RUN: env CUDA_HOME=%S/Inputs/cuda "FAKE_STACK=120 bytes stack frame, 116 bytes spill stores, 344 bytes spill loads" \
// RUN:   "FAKE_NOTE=ptxas info    : (C7510) Potential Performance Loss in function 'k0_generic'" moe-compile %s --target=cuda -o %t/cold.moe 2> %t/cold.txt
// RUN: FileCheck %s --check-prefix=WARNING --input-file=%t/cold.txt
// RUN: FileCheck %s --check-prefix=COLD --input-file=%t/cold.moe/manifest.json
// WARNING: warning: {{.*}}kernel 'k0_generic' (linalg.generic): ptxas says C7510: Potential Performance Loss in function 'k0_generic'
// COLD: "spill_store_bytes": 116

// PTX that ptxas does not take is an error.
// RUN: env CUDA_HOME=%S/Inputs/cuda FAKE_STATUS=1 "FAKE_NOTE=ptxas fatal   : Unresolved extern function 'f'" not moe-compile %s --target=cuda -o %t/n.moe 2> %t/fatal.txt
// RUN: FileCheck %s --check-prefix=FATAL --input-file=%t/fatal.txt
// FATAL: code generation for sm_90a failed:
// FATAL: ptxas fatal   : Unresolved extern function 'f'

// Without an assembler the PTX goes alone; that nobody looked for spills is said.
// RUN: env -u CUDA_HOME -u CUDA_ROOT PATH=%moe_bin moe-compile %t/hot.mlir --target=cuda -o %t/p.moe 2> %t/none.txt
// RUN: FileCheck %s --check-prefix=NONE --input-file=%t/none.txt
// RUN: FileCheck %s --check-prefix=PTX --input-file=%t/p.moe/manifest.json
// NONE: warning: {{.*}}kernel 'k0_generic' (linalg.generic) is hot, but nobody looked for spills: ptxas is not in $CUDA_HOME, $CUDA_ROOT or on the PATH
// PTX: "hot": true
// PTX-NOT: "registers"

module attributes {moe.phase = "schedule", moe.target = "cuda"} {
  func.func @main(%x: memref<?xf32> {moe.dims = ["n"], moe.name = "x"}) -> (memref<?xf32> {moe.name = "y"}) attributes {moe.entry} {
    %c0 = arith.constant 0 : index
    %n = memref.dim %x, %c0 : memref<?xf32>
    %y = memref.alloc(%n) {moe.output = 0 : i64} : memref<?xf32>
    moe.launch @k0_generic(%x, %y) : (memref<?xf32>, memref<?xf32>)
    return %y : memref<?xf32>
  }
  func.func private @k0_generic(%x: memref<?xf32>, %y: memref<?xf32>) attributes {moe.kernel, moe.cold, moe.op = "linalg.generic"} {
    linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]} ins(%x : memref<?xf32>) outs(%y : memref<?xf32>) {
    ^bb0(%a: f32, %o: f32):
      %t = arith.negf %a : f32
      linalg.yield %t : f32
    }
    return
  }
}
