// Rotary position embeddings become moe.rope where its formula is theirs.
// RUN: moe-opt %s -moe-raise-rope | FileCheck %s

// CHECK-LABEL: func @halves
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<2x4x3x8xf32>, %[[C:[a-z0-9]+]]: tensor<1x3x4xf32>, %[[S:[a-z0-9]+]]: tensor<1x3x4xf32>
func.func @halves(%x: tensor<2x4x3x8xf32>, %c: tensor<1x3x4xf32>, %s: tensor<1x3x4xf32>) -> tensor<2x4x3x8xf32> {
  // CHECK-NEXT: %[[Y:.*]] = moe.rope %[[X]], %[[C]], %[[S]] :
  // CHECK-NEXT: return %[[Y]]
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %c4 = onnx.Unsqueeze(%c, %one) : (tensor<1x3x4xf32>, tensor<1xi64>) -> tensor<1x1x3x4xf32>
  %s4 = onnx.Unsqueeze(%s, %one) : (tensor<1x3x4xf32>, tensor<1xi64>) -> tensor<1x1x3x4xf32>
  %a, %b = onnx.Split(%x) {axis = 3 : i64, num_outputs = 2 : i64} : (tensor<2x4x3x8xf32>) -> (tensor<2x4x3x4xf32>, tensor<2x4x3x4xf32>)
  %ac = onnx.Mul(%a, %c4) : (tensor<2x4x3x4xf32>, tensor<1x1x3x4xf32>) -> tensor<2x4x3x4xf32>
  %bs = onnx.Mul(%b, %s4) : (tensor<2x4x3x4xf32>, tensor<1x1x3x4xf32>) -> tensor<2x4x3x4xf32>
  %bc = onnx.Mul(%c4, %b) : (tensor<1x1x3x4xf32>, tensor<2x4x3x4xf32>) -> tensor<2x4x3x4xf32>
  %as = onnx.Mul(%a, %s4) : (tensor<2x4x3x4xf32>, tensor<1x1x3x4xf32>) -> tensor<2x4x3x4xf32>
  %p = onnx.Sub(%ac, %bs) : (tensor<2x4x3x4xf32>, tensor<2x4x3x4xf32>) -> tensor<2x4x3x4xf32>
  %q = onnx.Add(%as, %bc) : (tensor<2x4x3x4xf32>, tensor<2x4x3x4xf32>) -> tensor<2x4x3x4xf32>
  %y = onnx.Concat(%p, %q) {axis = -1 : i64} : (tensor<2x4x3x4xf32>, tensor<2x4x3x4xf32>) -> tensor<2x4x3x8xf32>
  return %y : tensor<2x4x3x8xf32>
}

// Even and odd features that leave as halves: reordered first, then turned.
// CHECK-LABEL: func @even_odd_to_halves
func.func @even_odd_to_halves(%x: tensor<2x4x3x8xf32>, %c: tensor<3x4xf32>, %s: tensor<3x4xf32>) -> tensor<2x4x3x8xf32> {
  // CHECK: %[[E:.*]] = onnx.Slice
  // CHECK: %[[O:.*]] = onnx.Slice
  // CHECK: %[[H:.*]] = onnx.Concat(%[[E]], %[[O]]) {axis = 3 : i64}
  // CHECK: moe.rope %[[H]], %{{.*}}, %{{.*}} :
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %two = onnx.Constant dense<2> : tensor<1xi64>
  %three = onnx.Constant dense<3> : tensor<1xi64>
  %end = onnx.Constant dense<9223372036854775807> : tensor<1xi64>
  %a = onnx.Slice(%x, %zero, %end, %three, %two) : (tensor<2x4x3x8xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<2x4x3x4xf32>
  %b = onnx.Slice(%x, %one, %end, %three, %two) : (tensor<2x4x3x8xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<2x4x3x4xf32>
  %ac = onnx.Mul(%a, %c) : (tensor<2x4x3x4xf32>, tensor<3x4xf32>) -> tensor<2x4x3x4xf32>
  %bs = onnx.Mul(%b, %s) : (tensor<2x4x3x4xf32>, tensor<3x4xf32>) -> tensor<2x4x3x4xf32>
  %bc = onnx.Mul(%b, %c) : (tensor<2x4x3x4xf32>, tensor<3x4xf32>) -> tensor<2x4x3x4xf32>
  %as = onnx.Mul(%a, %s) : (tensor<2x4x3x4xf32>, tensor<3x4xf32>) -> tensor<2x4x3x4xf32>
  %p = onnx.Sub(%ac, %bs) : (tensor<2x4x3x4xf32>, tensor<2x4x3x4xf32>) -> tensor<2x4x3x4xf32>
  %q = onnx.Add(%bc, %as) : (tensor<2x4x3x4xf32>, tensor<2x4x3x4xf32>) -> tensor<2x4x3x4xf32>
  %y = onnx.Concat(%p, %q) {axis = -1 : i64} : (tensor<2x4x3x4xf32>, tensor<2x4x3x4xf32>) -> tensor<2x4x3x8xf32>
  return %y : tensor<2x4x3x8xf32>
}

// The same pairs put back in their places: interleaved.
// CHECK-LABEL: func @interleaved
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<2x4x3x8xf32>
func.func @interleaved(%x: tensor<2x4x3x8xf32>, %c: tensor<3x4xf32>, %s: tensor<3x4xf32>) -> tensor<2x4x3x8xf32> {
  // CHECK: moe.rope %[[X]], %{{.*}}, %{{.*}} {interleaved}
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %two = onnx.Constant dense<2> : tensor<1xi64>
  %three = onnx.Constant dense<3> : tensor<1xi64>
  %minus = onnx.Constant dense<-1> : tensor<1xi64>
  %shape = onnx.Constant dense<[2, 4, 3, 8]> : tensor<4xi64>
  %end = onnx.Constant dense<9223372036854775807> : tensor<1xi64>
  %a = onnx.Slice(%x, %zero, %end, %three, %two) : (tensor<2x4x3x8xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<2x4x3x4xf32>
  %b = onnx.Slice(%x, %one, %end, %three, %two) : (tensor<2x4x3x8xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<2x4x3x4xf32>
  %ac = onnx.Mul(%a, %c) : (tensor<2x4x3x4xf32>, tensor<3x4xf32>) -> tensor<2x4x3x4xf32>
  %bs = onnx.Mul(%b, %s) : (tensor<2x4x3x4xf32>, tensor<3x4xf32>) -> tensor<2x4x3x4xf32>
  %bc = onnx.Mul(%b, %c) : (tensor<2x4x3x4xf32>, tensor<3x4xf32>) -> tensor<2x4x3x4xf32>
  %as = onnx.Mul(%a, %s) : (tensor<2x4x3x4xf32>, tensor<3x4xf32>) -> tensor<2x4x3x4xf32>
  %p = onnx.Sub(%ac, %bs) : (tensor<2x4x3x4xf32>, tensor<2x4x3x4xf32>) -> tensor<2x4x3x4xf32>
  %q = onnx.Add(%bc, %as) : (tensor<2x4x3x4xf32>, tensor<2x4x3x4xf32>) -> tensor<2x4x3x4xf32>
  %pu = onnx.Unsqueeze(%p, %minus) : (tensor<2x4x3x4xf32>, tensor<1xi64>) -> tensor<2x4x3x4x1xf32>
  %qu = onnx.Unsqueeze(%q, %minus) : (tensor<2x4x3x4xf32>, tensor<1xi64>) -> tensor<2x4x3x4x1xf32>
  %z = onnx.Concat(%pu, %qu) {axis = -1 : i64} : (tensor<2x4x3x4x1xf32>, tensor<2x4x3x4x1xf32>) -> tensor<2x4x3x4x2xf32>
  %y = onnx.Reshape(%z, %shape) : (tensor<2x4x3x4x2xf32>, tensor<4xi64>) -> tensor<2x4x3x8xf32>
  return %y : tensor<2x4x3x8xf32>
}

// rotate_half with whole tables: their halves must be equal, and one half is enough then.
// CHECK-LABEL: func @rotate_half
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<2x4x3x8xf32>, %[[F:[a-z0-9]+]]: tensor<1x3x4xf32>
func.func @rotate_half(%x: tensor<2x4x3x8xf32>, %f: tensor<1x3x4xf32>) -> tensor<2x4x3x8xf32> {
  // CHECK-DAG: %[[C:.*]] = onnx.Cos(%[[F]]) : (tensor<1x3x4xf32>) -> tensor<1x3x4xf32>
  // CHECK-DAG: %[[S:.*]] = onnx.Sin(%[[F]]) : (tensor<1x3x4xf32>) -> tensor<1x3x4xf32>
  // CHECK: moe.rope %[[X]], %[[C]], %[[S]] :
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %four = onnx.Constant dense<4> : tensor<1xi64>
  %three = onnx.Constant dense<3> : tensor<1xi64>
  %end = onnx.Constant dense<9223372036854775807> : tensor<1xi64>
  %ff = onnx.Concat(%f, %f) {axis = -1 : i64} : (tensor<1x3x4xf32>, tensor<1x3x4xf32>) -> tensor<1x3x8xf32>
  %cos = onnx.Cos(%ff) : (tensor<1x3x8xf32>) -> tensor<1x3x8xf32>
  %sin = onnx.Sin(%ff) : (tensor<1x3x8xf32>) -> tensor<1x3x8xf32>
  %c = onnx.Unsqueeze(%cos, %one) : (tensor<1x3x8xf32>, tensor<1xi64>) -> tensor<1x1x3x8xf32>
  %s = onnx.Unsqueeze(%sin, %one) : (tensor<1x3x8xf32>, tensor<1xi64>) -> tensor<1x1x3x8xf32>
  %a = onnx.Slice(%x, %zero, %four, %three, %one) : (tensor<2x4x3x8xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<2x4x3x4xf32>
  %b = onnx.Slice(%x, %four, %end, %three, %one) : (tensor<2x4x3x8xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<2x4x3x4xf32>
  %n = onnx.Neg(%b) : (tensor<2x4x3x4xf32>) -> tensor<2x4x3x4xf32>
  %r = onnx.Concat(%n, %a) {axis = -1 : i64} : (tensor<2x4x3x4xf32>, tensor<2x4x3x4xf32>) -> tensor<2x4x3x8xf32>
  %xc = onnx.Mul(%x, %c) : (tensor<2x4x3x8xf32>, tensor<1x1x3x8xf32>) -> tensor<2x4x3x8xf32>
  %rs = onnx.Mul(%r, %s) : (tensor<2x4x3x8xf32>, tensor<1x1x3x8xf32>) -> tensor<2x4x3x8xf32>
  %y = onnx.Add(%xc, %rs) : (tensor<2x4x3x8xf32>, tensor<2x4x3x8xf32>) -> tensor<2x4x3x8xf32>
  return %y : tensor<2x4x3x8xf32>
}

// Tables whose halves may differ keep the plain form.
// CHECK-LABEL: func @unknown_tables
func.func @unknown_tables(%x: tensor<2x4x3x8xf32>, %c: tensor<1x1x3x8xf32>, %s: tensor<1x1x3x8xf32>) -> tensor<2x4x3x8xf32> {
  // CHECK-NOT: moe.rope
  %a, %b = onnx.Split(%x) {axis = 3 : i64, num_outputs = 2 : i64} : (tensor<2x4x3x8xf32>) -> (tensor<2x4x3x4xf32>, tensor<2x4x3x4xf32>)
  %n = onnx.Neg(%b) : (tensor<2x4x3x4xf32>) -> tensor<2x4x3x4xf32>
  %r = onnx.Concat(%n, %a) {axis = -1 : i64} : (tensor<2x4x3x4xf32>, tensor<2x4x3x4xf32>) -> tensor<2x4x3x8xf32>
  %xc = onnx.Mul(%x, %c) : (tensor<2x4x3x8xf32>, tensor<1x1x3x8xf32>) -> tensor<2x4x3x8xf32>
  %rs = onnx.Mul(%r, %s) : (tensor<2x4x3x8xf32>, tensor<1x1x3x8xf32>) -> tensor<2x4x3x8xf32>
  %y = onnx.Add(%xc, %rs) : (tensor<2x4x3x8xf32>, tensor<2x4x3x8xf32>) -> tensor<2x4x3x8xf32>
  return %y : tensor<2x4x3x8xf32>
}

// CHECK-LABEL: func @node
func.func @node(%x: tensor<2x4x3x8xf32>, %c: tensor<32x2xf32>, %s: tensor<32x2xf32>, %pos: tensor<2x3xi64>) -> tensor<2x4x3x8xf32> {
  // CHECK: %[[C:.*]] = onnx.Gather(%{{.*}}, %{{.*}}) : (tensor<32x2xf32>, tensor<2x3xi64>) -> tensor<2x3x2xf32>
  // CHECK: moe.rope %{{.*}}, %[[C]], %{{.*}} {interleaved} : (tensor<2x4x3x8xf32>, tensor<2x3x2xf32>, tensor<2x3x2xf32>)
  %y = onnx.RotaryEmbedding(%x, %c, %s, %pos) {interleaved = 1 : i64, rotary_embedding_dim = 4 : i64} : (tensor<2x4x3x8xf32>, tensor<32x2xf32>, tensor<32x2xf32>, tensor<2x3xi64>) -> tensor<2x4x3x8xf32>
  return %y : tensor<2x4x3x8xf32>
}
