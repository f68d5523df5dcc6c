// RUN: moe-opt %s -pass-pipeline="builtin.module(builtin.module(moe-lower-kernels))" | FileCheck %s

// Pointers that never overlap say so; sizes and the range of items follow.
// CHECK:       module @cpu
// CHECK:         llvm.func @k(%[[ARGS:.*]]: !llvm.ptr, %{{.*}}: i64, %{{.*}}: i64) -> i32
// CHECK:           call @k.body
// CHECK:         func.func private @k.body(%{{.*}}: !llvm.ptr {llvm.noalias}, %{{.*}}: i64, %{{.*}}: !llvm.ptr, %{{.*}}: f32, %{{.*}}: i64, %{{.*}}: i64)
module @cpu {
  func.func @k(%x: memref<?x8xf32>, %y: memref<4xf32> {moe.may_alias}, %s: f32, %begin: index, %end: index) attributes {moe.kernel} {
    return
  }
}

// On a device the words are the parameters, and each thread is an item.
// CHECK:       module @gpu
// CHECK:         func.func @k(%{{.*}}: !llvm.ptr {llvm.noalias}, %{{.*}}: i64, %{{.*}}: i64, %[[ITEMS:.*]]: i64) attributes {moe.kernel}
// CHECK:           nvvm.read.ptx.sreg.tid.x
// CHECK:           llvm.intr.smin(%[[ITEMS]], %{{.*}})
module @gpu attributes {moe.device} {
  func.func @k(%x: memref<?x8xf32>, %s: f32, %begin: index, %end: index) attributes {moe.kernel} {
    return
  }
}
