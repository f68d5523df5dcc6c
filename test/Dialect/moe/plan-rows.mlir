// RUN: moe-opt %s | moe-opt | FileCheck %s
// RUN: moe-opt %s --mlir-print-op-generic | moe-opt | FileCheck %s

// The ops that bring tokens to their experts' rows survive printing and parsing, with and without the rows of few tokens.

// CHECK-LABEL: func.func @route_rows(
// CHECK:         moe.route_rows %{{.*}} bias(%{{.*}}) sync(%{{.*}}) {k = 2 : i64, score = #moe.score<sigmoid>} :
func.func @route_rows(%l: tensor<?x8xf32>, %b: tensor<8xf32>, %s: tensor<2xi32>) -> tensor<?xi32> {
  %r:5 = moe.route_rows %l bias(%b) sync(%s) {k = 2 : i64, score = #moe.score<sigmoid>} : (tensor<?x8xf32>, tensor<8xf32>, tensor<2xi32>) -> (tensor<?x2xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2048xi32>)
  return %r#1 : tensor<?xi32>
}

// CHECK-LABEL: func.func @few(
// CHECK:         %[[R:.*]]:7 = moe.route_rows %{{.*}} sync(%{{.*}}) rows(%{{.*}}) {few = 24 : i64, k = 2 : i64, padding = 184 : i64} :
// CHECK:         moe.quantize_rows %{{.*}} at %[[R]]#1 into(%[[R]]#5, %[[R]]#6) {few = 24 : i64, k = 2 : i64, padding = 184 : i64} :
func.func @few(%x: tensor<?x200xbf16>, %l: tensor<?x8xf32>, %s: tensor<2xi32>) -> tensor<2x?xf32> {
  %r:7 = moe.route_rows %l sync(%s) rows(%x) {few = 24 : i64, k = 2 : i64, padding = 184 : i64} : (tensor<?x8xf32>, tensor<2xi32>, tensor<?x200xbf16>) -> (tensor<?x2xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2048xi32>, tensor<2x?x128xf8E4M3FN>, tensor<2x?xf32>)
  %q:2 = moe.quantize_rows %x at %r#1 into(%r#5, %r#6) {few = 24 : i64, k = 2 : i64, padding = 184 : i64} : (tensor<?x200xbf16>, tensor<?xi32>, tensor<2x?x128xf8E4M3FN>, tensor<2x?xf32>) -> (tensor<2x?x128xf8E4M3FN>, tensor<2x?xf32>)
  return %q#1 : tensor<2x?xf32>
}

// CHECK-LABEL: func.func @buffers(
// CHECK:         moe.quantize_rows %{{.*}} at %{{.*}} outs(%{{.*}}, %{{.*}}) {k = 2 : i64, padding = 8 : i64} :
func.func @buffers(%x: memref<4x64xf32>, %p: memref<8xi32>, %c: memref<1x16x128xf8E4M3FN>, %s: memref<1x16xf32>) {
  moe.quantize_rows %x at %p outs(%c, %s) {k = 2 : i64, padding = 8 : i64} : (memref<4x64xf32>, memref<8xi32>, memref<1x16x128xf8E4M3FN>, memref<1x16xf32>) -> ()
  return
}
