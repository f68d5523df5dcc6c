// RUN: moe-opt %s -split-input-file -verify-diagnostics

// One function for each constraint of moe.route_rows and moe.quantize_rows.

func.func @route_rows_c1(%l: tensor<?x769xf32>, %s: tensor<2xi32>, %x: tensor<?x64xf32>) {
  // expected-error @below {{expects 1 to 768 experts, but logits are}}
  %r:5 = moe.route_rows %l sync(%s) {k = 2 : i64} : (tensor<?x769xf32>, tensor<2xi32>) -> (tensor<?x2xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<196864xi32>)
  return
}

// -----

func.func @route_rows_c2_k(%l: tensor<?x8xf32>, %s: tensor<2xi32>, %x: tensor<?x64xf32>) {
  // expected-error @below {{expects 1 <= k <= 32 of 8 experts, but k is 9}}
  %r:5 = moe.route_rows %l sync(%s) {k = 9 : i64} : (tensor<?x8xf32>, tensor<2xi32>) -> (tensor<?x9xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2048xi32>)
  return
}

// -----

func.func @route_rows_c2_groups(%l: tensor<?x8xf32>, %s: tensor<2xi32>, %x: tensor<?x64xf32>) {
  // expected-error @below {{expects 1 to 32 equal groups that keep at least k experts, but there are 3 of which 1 are kept}}
  %r:5 = moe.route_rows %l sync(%s) {k = 2 : i64, num_groups = 3 : i64} : (tensor<?x8xf32>, tensor<2xi32>) -> (tensor<?x2xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2048xi32>)
  return
}

// -----

func.func @route_rows_c2_score(%l: tensor<?x8xf32>, %s: tensor<2xi32>, %x: tensor<?x64xf32>) {
  // expected-error @below {{expects no sparsemixer}}
  %r:5 = moe.route_rows %l sync(%s) {k = 2 : i64, score = #moe.score<sparsemixer>} : (tensor<?x8xf32>, tensor<2xi32>) -> (tensor<?x2xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2048xi32>)
  return
}

// -----

func.func @route_rows_c2_sync(%l: tensor<?x8xf32>, %s: tensor<3xi32>, %x: tensor<?x64xf32>) {
  // expected-error @below {{expects sync to have shape [2], but it is 'tensor<3xi32>'}}
  %r:5 = moe.route_rows %l sync(%s) {k = 2 : i64} : (tensor<?x8xf32>, tensor<3xi32>) -> (tensor<?x2xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2048xi32>)
  return
}

// -----

func.func @route_rows_c3(%l: tensor<?x8xf32>, %s: tensor<2xi32>, %x: tensor<?x64xf32>) {
  // expected-error @below {{expects result 4 to have shape [2048], but it is}}
  %r:5 = moe.route_rows %l sync(%s) {k = 2 : i64} : (tensor<?x8xf32>, tensor<2xi32>) -> (tensor<?x2xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<64xi32>)
  return
}

// -----

func.func @route_rows_c4_none(%l: tensor<?x8xf32>, %s: tensor<2xi32>, %x: tensor<?x64xf32>) {
  // expected-error @below {{expects few and padding to be 0 without x, but they are 4 and 0}}
  %r:5 = moe.route_rows %l sync(%s) {k = 2 : i64, few = 4 : i64} : (tensor<?x8xf32>, tensor<2xi32>) -> (tensor<?x2xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2048xi32>)
  return
}

// -----

func.func @route_rows_c4_few(%l: tensor<?x8xf32>, %s: tensor<2xi32>, %x: tensor<?x64xf32>) {
  // expected-error @below {{expects few to be 1 to 24 tokens of at most 128 assignments, but it is 24 and k is 8}}
  %r:7 = moe.route_rows %l sync(%s) rows(%x) {k = 8 : i64, few = 24 : i64} : (tensor<?x8xf32>, tensor<2xi32>, tensor<?x64xf32>) -> (tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2048xi32>, tensor<1x?x128xf8E4M3FN>, tensor<1x?xf32>)
  return
}

// -----

func.func @route_rows_c4_x(%l: tensor<?x8xf32>, %s: tensor<2xi32>, %x: tensor<?x66xf32>) {
  // expected-error @below {{expects rows of a static multiple of 4 elements, but x is}}
  %r:7 = moe.route_rows %l sync(%s) rows(%x) {k = 2 : i64, few = 4 : i64} : (tensor<?x8xf32>, tensor<2xi32>, tensor<?x66xf32>) -> (tensor<?x2xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2048xi32>, tensor<1x?x128xf8E4M3FN>, tensor<1x?xf32>)
  return
}

// -----

func.func @route_rows_c4_padding(%l: tensor<?x8xf32>, %s: tensor<2xi32>, %x: tensor<?x64xf32>) {
  // expected-error @below {{expects padding to be a multiple of 8, but it is 4}}
  %r:7 = moe.route_rows %l sync(%s) rows(%x) {k = 2 : i64, few = 4 : i64, padding = 4 : i64} : (tensor<?x8xf32>, tensor<2xi32>, tensor<?x64xf32>) -> (tensor<?x2xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2048xi32>, tensor<1x?x128xf8E4M3FN>, tensor<1x?xf32>)
  return
}

// -----

func.func @route_rows_c4_codes(%l: tensor<?x8xf32>, %s: tensor<2xi32>, %x: tensor<?x64xf32>) {
  // expected-error @below {{expects result 5 to have shape [1, ?, 128], but it is}}
  %r:7 = moe.route_rows %l sync(%s) rows(%x) {k = 2 : i64, few = 4 : i64} : (tensor<?x8xf32>, tensor<2xi32>, tensor<?x64xf32>) -> (tensor<?x2xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2048xi32>, tensor<2x?x128xf8E4M3FN>, tensor<2x?xf32>)
  return
}

// -----

func.func @quantize_rows_c1(%x: tensor<?x?xf32>, %p: tensor<?xi32>) {
  // expected-error @below {{expects rows of a static number of elements, but x is 'tensor<?x?xf32>'}}
  %r:2 = moe.quantize_rows %x at %p {k = 2 : i64, padding = 8 : i64} : (tensor<?x?xf32>, tensor<?xi32>) -> (tensor<1x?x128xf8E4M3FN>, tensor<1x?xf32>)
  return
}

// -----

func.func @quantize_rows_c2(%x: tensor<?x64xf32>, %p: tensor<?xi32>, %c: tensor<1x?x128xf8E4M3FN>, %s: tensor<1x?xf32>) {
  // expected-error @below {{expects 1 <= k <= 32, but k is 33}}
  %r:2 = moe.quantize_rows %x at %p {k = 33 : i64, padding = 8 : i64} : (tensor<?x64xf32>, tensor<?xi32>) -> (tensor<1x?x128xf8E4M3FN>, tensor<1x?xf32>)
  return
}

// -----

func.func @quantize_rows_c3(%x: tensor<?x64xf32>, %p: tensor<?xi32>, %c: tensor<1x?x128xf8E4M3FN>, %s: tensor<1x?xf32>) {
  // expected-error @below {{expects padding to be a multiple of 8, but it is 4}}
  %r:2 = moe.quantize_rows %x at %p {k = 2 : i64, padding = 4 : i64} : (tensor<?x64xf32>, tensor<?xi32>) -> (tensor<1x?x128xf8E4M3FN>, tensor<1x?xf32>)
  return
}

// -----

func.func @quantize_rows_c4_few(%x: tensor<?x64xf32>, %p: tensor<?xi32>, %c: tensor<1x?x128xf8E4M3FN>, %s: tensor<1x?xf32>) {
  // expected-error @below {{expects few above 0 with values to write into and no others, but it is 4}}
  %r:2 = moe.quantize_rows %x at %p {k = 2 : i64, padding = 8 : i64, few = 4 : i64} : (tensor<?x64xf32>, tensor<?xi32>) -> (tensor<1x?x128xf8E4M3FN>, tensor<1x?xf32>)
  return
}

// -----

func.func @quantize_rows_c4_into(%x: tensor<?x64xf32>, %p: tensor<?xi32>, %c: tensor<1x?x128xf8E4M3FN>, %s: tensor<2x?xf32>) {
  // expected-error @below {{expects to write into values of the results' types, but they are}}
  %r:2 = moe.quantize_rows %x at %p into(%c, %s) {k = 2 : i64, padding = 8 : i64, few = 4 : i64} : (tensor<?x64xf32>, tensor<?xi32>, tensor<1x?x128xf8E4M3FN>, tensor<2x?xf32>) -> (tensor<1x?x128xf8E4M3FN>, tensor<1x?xf32>)
  return
}
