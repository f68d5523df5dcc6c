// RUN: moe-opt %s --split-input-file --moe-lower-tile --verify-diagnostics

// What a kernel may not ask for.

// expected-error @below {{expects at most 232448 bytes of shared memory, but its tiles need 262144}}
func.func @too_much() attributes {tile.threads = 128 : i32} {
  %a = tile.alloc : !tile.shared<4x256x128xf8E4M3FN, swizzle>
  %b = tile.alloc : !tile.shared<4x256x128xf8E4M3FN, swizzle>
  return
}

// -----

// expected-error @below {{expects a tile.start behind its barriers}}
func.func @not_started() attributes {tile.threads = 128 : i32} {
  %b = tile.barriers 1 : !tile.barriers<1>
  return
}

// -----

// expected-error @below {{expects a kernel's arguments to be buffers and scalars, but found '!tile.shared<64xf32>'}}
func.func @tile_argument(%a: !tile.shared<64xf32>) attributes {tile.threads = 128 : i32} {
  return
}

// -----

// expected-error @below {{expects a kernel's arguments to be buffers and scalars, but found 'tensor<64xf32, #tile.fragment<rows>>'}}
func.func @fragment_argument(%a: tensor<64xf32, #tile.fragment<rows>>) attributes {tile.threads = 128 : i32} {
  return
}

// -----

// expected-error @below {{expects no other symbol to be called 'tile_shared'}}
func.func private @tile_shared()
func.func @name_taken() attributes {tile.threads = 128 : i32} {
  %a = tile.alloc : !tile.shared<64xf32>
  return
}

// -----

// What has no scalar form.
func.func @no_form(%v: f32) attributes {tile.threads = 128 : i32} {
  %f = tile.splat %v : f32 -> tensor<64xf32, #tile.fragment<rows>>
  // expected-error @below {{failed to legalize operation 'tensor.cast'}}
  %t = tensor.cast %f : tensor<64xf32, #tile.fragment<rows>> to tensor<?xf32, #tile.fragment<rows>>
  %c0 = arith.constant 0 : index
  %n = tensor.dim %t, %c0 : tensor<?xf32, #tile.fragment<rows>>
  return
}

// -----

func.func @branch(%v: f32) attributes {tile.threads = 128 : i32} {
  %f = tile.splat %v : f32 -> tensor<64xf32, #tile.fragment<rows>>
  // expected-error @below {{failed to legalize operation 'cf.br'}}
  cf.br ^next(%f : tensor<64xf32, #tile.fragment<rows>>)
^next(%g: tensor<64xf32, #tile.fragment<rows>>):
  return
}
