// RUN: moe-opt %s -split-input-file -verify-diagnostics

// One function for each constraint of moe.grouped_outer_product.

func.func @grouped_outer_product_c1_rank(%dy: tensor<4x3x2xf32>, %x: tensor<4x2xf32>, %o: tensor<3xi32>) {
  // expected-error @below {{expects dy to have rank 2, but it is 'tensor<4x3x2xf32>'}}
  %0 = moe.grouped_outer_product %dy, %x offsets(%o) : (tensor<4x3x2xf32>, tensor<4x2xf32>, tensor<3xi32>) -> tensor<2x3x2xf32>
  return
}

// -----

func.func @grouped_outer_product_c1_integers(%dy: tensor<4x3xi32>, %x: tensor<4x2xi32>, %o: tensor<3xi32>) {
  // expected-error @below {{expects dy to hold floats, but it is 'tensor<4x3xi32>'}}
  %0 = moe.grouped_outer_product %dy, %x offsets(%o) : (tensor<4x3xi32>, tensor<4x2xi32>, tensor<3xi32>) -> tensor<2x3x2xf32>
  return
}

// -----

func.func @grouped_outer_product_c1_types(%dy: tensor<4x3xbf16>, %x: tensor<4x2xf16>, %o: tensor<3xi32>) {
  // expected-error @below {{expects dy and x to hold floats of one type, but they are 'tensor<4x3xbf16>' and 'tensor<4x2xf16>'}}
  %0 = moe.grouped_outer_product %dy, %x offsets(%o) : (tensor<4x3xbf16>, tensor<4x2xf16>, tensor<3xi32>) -> tensor<2x3x2xf32>
  return
}

// -----

func.func @grouped_outer_product_c1_rows(%dy: tensor<4x3xf32>, %x: tensor<5x2xf32>, %o: tensor<3xi32>) {
  // expected-error @below {{expects dy and x to agree in their rows, but they are 'tensor<4x3xf32>' and 'tensor<5x2xf32>'}}
  %0 = moe.grouped_outer_product %dy, %x offsets(%o) : (tensor<4x3xf32>, tensor<5x2xf32>, tensor<3xi32>) -> tensor<2x3x2xf32>
  return
}

// -----

func.func @grouped_outer_product_c2_type(%dy: tensor<4x3xf32>, %x: tensor<4x2xf32>, %o: tensor<3xi64>) {
  // expected-error @below {{expects offsets to hold i32, but it is 'tensor<3xi64>'}}
  %0 = moe.grouped_outer_product %dy, %x offsets(%o) : (tensor<4x3xf32>, tensor<4x2xf32>, tensor<3xi64>) -> tensor<2x3x2xf32>
  return
}

// -----

func.func @grouped_outer_product_c2_count(%dy: tensor<4x3xf32>, %x: tensor<4x2xf32>, %o: tensor<1xi32>) {
  // expected-error @below {{expects offsets with two elements at least, but they are 'tensor<1xi32>'}}
  %0 = moe.grouped_outer_product %dy, %x offsets(%o) : (tensor<4x3xf32>, tensor<4x2xf32>, tensor<1xi32>) -> tensor<0x3x2xf32>
  return
}

// -----

func.func @grouped_outer_product_c3_shape(%dy: tensor<4x3xf32>, %x: tensor<4x2xf32>, %o: tensor<3xi32>) {
  // expected-error @below {{expects result 0 to have shape [2, 3, 2], but it is 'tensor<2x2x3xf32>'}}
  %0 = moe.grouped_outer_product %dy, %x offsets(%o) : (tensor<4x3xf32>, tensor<4x2xf32>, tensor<3xi32>) -> tensor<2x2x3xf32>
  return
}

// -----

func.func @grouped_outer_product_c3_integers(%dy: tensor<4x3xf32>, %x: tensor<4x2xf32>, %o: tensor<3xi32>) {
  // expected-error @below {{expects result 0 to hold floats, but it is 'tensor<2x3x2xi32>'}}
  %0 = moe.grouped_outer_product %dy, %x offsets(%o) : (tensor<4x3xf32>, tensor<4x2xf32>, tensor<3xi32>) -> tensor<2x3x2xi32>
  return
}
