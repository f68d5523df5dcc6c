// RUN: moe-opt %s | FileCheck %s
// CHECK %0 = moe.route
// CHECK: return
