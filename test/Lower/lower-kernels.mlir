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
// CHECK:         func.func @k(%{{.*}}: !llvm.ptr {llvm.noalias}, %{{.*}}: i64, %{{.*}}: i64, %[[ITEMS:.*]]: i64) attributes {moe.kernel, moe.launch_record = {
// CHECK:           nvvm.read.ptx.sreg.tid.x
// CHECK:           llvm.intr.smin(%[[ITEMS]], %{{.*}})
module @gpu attributes {moe.device} {
  func.func @k(%x: memref<?x8xf32>, %s: f32, %begin: index, %end: index) attributes {moe.kernel} {
    return
  }
}

// An assertion is the kernel's return code; on a device it goes.
// CHECK:       module @checked
// CHECK:         llvm.func @k(%{{.*}}: !llvm.ptr, %{{.*}}: i64, %{{.*}}: i64) -> i32
// CHECK:           %[[CODE:.*]] = {{.*}}call @k.body({{.*}}) : (i1, i64, i64) -> i32
// CHECK:           llvm.return %[[CODE]]
// CHECK:         func.func private @k.body(%[[OK:.*]]: i1, %{{.*}}: i64, %{{.*}}: i64) -> i32
// CHECK:           %[[PLACE:.*]] = llvm.alloca
// CHECK:           %[[SEVEN:.*]] = llvm.mlir.constant(7 : i32)
// CHECK:           %[[BEFORE:.*]] = llvm.load %[[PLACE]]
// CHECK:           %[[NOW:.*]] = arith.select %[[OK]], %[[BEFORE]], %[[SEVEN]]
// CHECK:           llvm.store %[[NOW]], %[[PLACE]]
module @checked {
  func.func @k(%ok: i1, %begin: index, %end: index) attributes {moe.kernel} {
    cf.assert %ok, "expects more" {moe.code = 7 : i32}
    return
  }
}
// CHECK:       module @checked_gpu
// CHECK-NOT:     cf.assert
module @checked_gpu attributes {moe.device} {
  func.func @k(%ok: i1, %begin: index, %end: index) attributes {moe.kernel} {
    cf.assert %ok, "expects more" {moe.code = 7 : i32}
    return
  }
}
