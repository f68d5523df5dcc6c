// RUN: moe-opt %s | FileCheck %s --check-prefix=OTHER
// CHECK: return
