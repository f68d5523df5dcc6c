// One case for every numbered constraint of MoeOps.td; `@op_cN` is constraint N of `moe.op`.
// RUN: moe-opt %s -split-input-file -verify-diagnostics

// Weights and recipes

// expected-error @below {{expects a #moe.piece or a #moe.recipe, but found 1 : i32}}
moe.weight @weight_c1 : tensor<4xf32> = 1 : i32

// -----

// expected-error @below {{expects its recipe to make 'tensor<4xf32>', but it makes 'tensor<4xbf16>'}}
moe.weight @weight_c2 : tensor<4xf32> = #moe.piece<"w.bin", 0, 8, tensor<4xbf16>>

// -----

// expected-error @below {{attribute 'type' failed to satisfy constraint}}
moe.weight @weight_c3 : tensor<?xf32> = #moe.piece<"w.bin", 0, 16, tensor<4xf32>>

// -----

// expected-error @below {{expects the piece of 'w.bin' to have 16 bytes for 'tensor<4xf32>' at an offset >= 0, found 8 bytes at 0}}
moe.weight @piece_size : tensor<4xf32> = #moe.piece<"w.bin", 0, 8, tensor<4xf32>>

// -----

// expected-error @below {{expects the recipe step 'slice' to have a slice within its input}}
moe.weight @recipe_slice : tensor<2xf32> = #moe.recipe<slice, {offsets = array<i64: 0>, sizes = array<i64: 2>, strides = array<i64: 9223372036854775807>}, [#moe.piece<"w.bin", 0, 16, tensor<4xf32>>], tensor<2xf32>>

// -----

// expected-error @below {{expects the recipe step 'transpose' to have a permutation of its one input}}
moe.weight @recipe_transpose : tensor<3x2xf32> = #moe.recipe<transpose, {permutation = array<i64: 0, 1>}, [#moe.piece<"w.bin", 0, 24, tensor<2x3xf32>>], tensor<3x2xf32>>

// -----

// expected-error @below {{expects the recipe step 'concat' to have inputs that add up along the axis}}
moe.weight @recipe_concat : tensor<5xf32> = #moe.recipe<concat, {axis = 0 : i64}, [#moe.piece<"w.bin", 0, 16, tensor<4xf32>>], tensor<5xf32>>

// -----

func.func @get_weight_c1() {
  // expected-error @below {{expects '@missing' to be a moe.weight}}
  %w = moe.get_weight @missing : tensor<4xf32>
  return
}

// -----

moe.weight @w : tensor<4xf32> = #moe.piece<"w.bin", 0, 16, tensor<4xf32>>
func.func @get_weight_c2() {
  // expected-error @below {{expects the type of '@w', 'tensor<4xf32>', but found 'tensor<5xf32>'}}
  %w = moe.get_weight @w : tensor<5xf32>
  return
}

// -----

// Every compute op (C0): tensors in, results out; or buffers in, buffers written.

func.func @compute_c0_neither(%x: tensor<2x4xf32>) {
  // expected-error @below {{expects either results (on tensors) or outs (on buffers), but has 0 results and 0 outs}}
  moe.swiglu %x, %x : (tensor<2x4xf32>, tensor<2x4xf32>) -> ()
  return
}

// -----

func.func @compute_c0_mixed(%x: tensor<2x4xf32>, %y: memref<2x4xf32>) {
  // expected-error @below {{expects all operands to be memrefs, but one is 'tensor<2x4xf32>'}}
  moe.swiglu %x, %x outs(%y) : (tensor<2x4xf32>, tensor<2x4xf32>, memref<2x4xf32>) -> ()
  return
}

// -----

func.func @compute_c0_number(%x: tensor<2x4xf32>) {
  // expected-error @below {{expects 1 results, but has 2}}
  %a, %b = moe.swiglu %x, %x : (tensor<2x4xf32>, tensor<2x4xf32>) -> (tensor<2x4xf32>, tensor<2x4xf32>)
  return
}

// -----

// Routing

func.func @route_c1(%logits: tensor<?xf32>) {
  // expected-error @below {{expects logits to have rank 2, but it is 'tensor<?xf32>'}}
  %w, %i = moe.route %logits {k = 2 : i64} : (tensor<?xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  return
}

// -----

func.func @route_c1_experts(%logits: tensor<3x?xf32>) {
  // expected-error @below {{expects logits to be floats with a static number of experts, but they are 'tensor<3x?xf32>'}}
  %w, %i = moe.route %logits {k = 2 : i64} : (tensor<3x?xf32>) -> (tensor<3x2xf32>, tensor<3x2xi64>)
  return
}

// -----

func.func @route_c2(%logits: tensor<?x8xf32>) {
  // expected-error @below {{expects 1 <= k <= 8 experts, but k is 9}}
  %w, %i = moe.route %logits {k = 9 : i64} : (tensor<?x8xf32>) -> (tensor<?x9xf32>, tensor<?x9xi64>)
  return
}

// -----

func.func @route_c3(%logits: tensor<?x8xf32>, %bias: tensor<7xf32>) {
  // expected-error @below {{expects selection_bias to have shape [8], but it is 'tensor<7xf32>'}}
  %w, %i = moe.route %logits bias(%bias) {k = 2 : i64} : (tensor<?x8xf32>, tensor<7xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  return
}

// -----

func.func @route_c3_type(%logits: tensor<?x8xf32>, %bias: tensor<8xi64>) {
  // expected-error @below {{expects selection_bias to hold floats, but it is 'tensor<8xi64>'}}
  %w, %i = moe.route %logits bias(%bias) {k = 2 : i64} : (tensor<?x8xf32>, tensor<8xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  return
}

// -----

func.func @route_c4(%logits: tensor<?x8xf32>) {
  // expected-error @below {{expects num_groups to divide 8 experts and the kept groups to hold k experts, but num_groups is 3, top_groups 1 and k 2}}
  %w, %i = moe.route %logits {k = 2 : i64, num_groups = 3 : i64} : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  return
}

// -----

func.func @route_c5(%logits: tensor<?x8xf32>) {
  // expected-error @below {{expects top2_sum to have two experts in a group, but there is 1}}
  %w, %i = moe.route %logits {k = 2 : i64, num_groups = 8 : i64, top_groups = 2 : i64, group_score = #moe.group_score<top2_sum>} : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  return
}

// -----

func.func @route_c6_shape(%logits: tensor<?x8xf32>) {
  // expected-error @below {{expects result 0 to have shape [?, 2], but it is 'tensor<?x3xf32>'}}
  %w, %i = moe.route %logits {k = 2 : i64} : (tensor<?x8xf32>) -> (tensor<?x3xf32>, tensor<?x2xi64>)
  return
}

// -----

func.func @route_c6_type(%logits: tensor<?x8xf32>) {
  // expected-error @below {{expects result 1 to hold i64, but it is 'tensor<?x2xi32>'}}
  %w, %i = moe.route %logits {k = 2 : i64} : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  return
}

// -----

func.func @route_c7(%logits: tensor<?x8xf32>) {
  // expected-error @below {{expects sparsemixer to have k = 2, no groups, no bias, identity weights and no normalization, but k is 3 and num_groups 1}}
  %w, %i = moe.route %logits {k = 3 : i64, score = #moe.score<sparsemixer>} : (tensor<?x8xf32>) -> (tensor<?x3xf32>, tensor<?x3xi64>)
  return
}

// -----

func.func @route_c8(%logits: tensor<?x8xf32>) {
  // expected-error @below {{expects norm_p >= 1, but it is 5.000000e-01}}
  %w, %i = moe.route %logits {k = 2 : i64, normalize = #moe.normalize<p_norm>, norm_p = 0.5 : f32} : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  return
}

// -----

// Experts and their parts

func.func @experts_c1_rank(%x: tensor<1x?x4xf32>, %weights: tensor<?x2xf32>, %indices: tensor<?x2xi64>, %p: tensor<3x4xf32>) {
  // expected-error @below {{expects x to have rank 2, but it is 'tensor<1x?x4xf32>'}}
  %y = moe.experts %x, %weights, %indices params(%p) : (tensor<1x?x4xf32>, tensor<?x2xf32>, tensor<?x2xi64>, tensor<3x4xf32>) -> tensor<?x4xf32> {
  ^bb0(%rows: tensor<?x4xf32>, %b: tensor<4xf32>):
    moe.yield %rows : tensor<?x4xf32>
  }
  return
}

// -----

func.func @experts_c1(%x: tensor<?x4xf32>, %weights: tensor<?x2xf32>, %indices: tensor<?x3xi64>, %p: tensor<3x4xf32>) {
  // expected-error @below {{expects float x [T, H], float weights [T, k] and integer indices [T, k], but they are 'tensor<?x4xf32>', 'tensor<?x2xf32>' and 'tensor<?x3xi64>'}}
  %y = moe.experts %x, %weights, %indices params(%p) : (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x3xi64>, tensor<3x4xf32>) -> tensor<?x4xf32> {
  ^bb0(%rows: tensor<?x4xf32>, %b: tensor<4xf32>):
    moe.yield %rows : tensor<?x4xf32>
  }
  return
}

// -----

func.func @experts_c2(%x: tensor<?x4xf32>, %weights: tensor<?x2xf32>, %indices: tensor<?x2xi64>, %p: tensor<3x4xf32>, %q: tensor<5x4xf32>) {
  // expected-error @below {{expects every param to have the same static number of experts first, but one is 'tensor<5x4xf32>'}}
  %y = moe.experts %x, %weights, %indices params(%p, %q) : (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xi64>, tensor<3x4xf32>, tensor<5x4xf32>) -> tensor<?x4xf32> {
  ^bb0(%rows: tensor<?x4xf32>, %b: tensor<4xf32>, %c: tensor<4xf32>):
    moe.yield %rows : tensor<?x4xf32>
  }
  return
}

// -----

func.func @experts_c2_none(%x: tensor<?x4xf32>, %weights: tensor<?x2xf32>, %indices: tensor<?x2xi64>) {
  // expected-error @below {{expects at least one param with at least one expert}}
  %y = moe.experts %x, %weights, %indices params() : (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xi64>) -> tensor<?x4xf32> {
  ^bb0(%rows: tensor<?x4xf32>):
    moe.yield %rows : tensor<?x4xf32>
  }
  return
}

// -----

func.func @experts_c3_number(%x: tensor<?x4xf32>, %weights: tensor<?x2xf32>, %indices: tensor<?x2xi64>, %p: tensor<3x4xf32>) {
  // expected-error @below {{expects its region to have 2 arguments, but it has 1}}
  %y = moe.experts %x, %weights, %indices params(%p) : (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xi64>, tensor<3x4xf32>) -> tensor<?x4xf32> {
  ^bb0(%rows: tensor<?x4xf32>):
    moe.yield %rows : tensor<?x4xf32>
  }
  return
}

// -----

func.func @experts_c3_rows(%x: tensor<7x4xf32>, %weights: tensor<7x2xf32>, %indices: tensor<7x2xi64>, %p: tensor<3x4xf32>) {
  // expected-error @below {{expects the region's first argument to be rows of x, tensor<?xH>, but it is 'tensor<7x4xf32>'}}
  %y = moe.experts %x, %weights, %indices params(%p) : (tensor<7x4xf32>, tensor<7x2xf32>, tensor<7x2xi64>, tensor<3x4xf32>) -> tensor<7x4xf32> {
  ^bb0(%rows: tensor<7x4xf32>, %b: tensor<4xf32>):
    moe.yield %rows : tensor<7x4xf32>
  }
  return
}

// -----

func.func @experts_c3_param(%x: tensor<?x4xf32>, %weights: tensor<?x2xf32>, %indices: tensor<?x2xi64>, %p: tensor<3x4xf32>) {
  // expected-error @below {{expects the region's argument for 'tensor<3x4xf32>' to be one expert's slice of it, but it is 'tensor<3x4xf32>'}}
  %y = moe.experts %x, %weights, %indices params(%p) : (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xi64>, tensor<3x4xf32>) -> tensor<?x4xf32> {
  ^bb0(%rows: tensor<?x4xf32>, %b: tensor<3x4xf32>):
    moe.yield %rows : tensor<?x4xf32>
  }
  return
}

// -----

func.func @experts_c4_yield(%x: tensor<?x4xf32>, %weights: tensor<?x2xf32>, %indices: tensor<?x2xi64>, %p: tensor<3x4xf32>) {
  // expected-error @below {{expects its region to yield a rank-2 tensor of x's element type, but it yields 'tensor<4xf32>'}}
  %y = moe.experts %x, %weights, %indices params(%p) : (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xi64>, tensor<3x4xf32>) -> tensor<?x4xf32> {
  ^bb0(%rows: tensor<?x4xf32>, %b: tensor<4xf32>):
    moe.yield %b : tensor<4xf32>
  }
  return
}

// -----

func.func @experts_c4_result(%x: tensor<?x4xf32>, %weights: tensor<?x2xf32>, %indices: tensor<?x2xi64>, %p: tensor<3x4xf32>) {
  // expected-error @below {{expects result 0 to have shape [?, 4], but it is 'tensor<?x5xf32>'}}
  %y = moe.experts %x, %weights, %indices params(%p) : (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xi64>, tensor<3x4xf32>) -> tensor<?x5xf32> {
  ^bb0(%rows: tensor<?x4xf32>, %b: tensor<4xf32>):
    moe.yield %rows : tensor<?x4xf32>
  }
  return
}

// -----

func.func @experts_c4_terminator(%x: tensor<?x4xf32>, %weights: tensor<?x2xf32>, %indices: tensor<?x2xi64>, %p: tensor<3x4xf32>) {
  // expected-error @below {{expects its region to yield one value, but it yields 0}}
  %y = moe.experts %x, %weights, %indices params(%p) : (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xi64>, tensor<3x4xf32>) -> tensor<?x4xf32> {
  ^bb0(%rows: tensor<?x4xf32>, %b: tensor<4xf32>):
    "llvm.unreachable"() : () -> ()
  }
  return
}

// -----

func.func @experts_c5(%x: tensor<?x4xf32>, %weights: tensor<?x2xf32>, %indices: tensor<?x2xi64>, %p: tensor<3x4xf32>, %outside: tensor<4xf32>) {
  %y = moe.experts %x, %weights, %indices params(%p) : (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xi64>, tensor<3x4xf32>) -> tensor<?x4xf32> {
  ^bb0(%rows: tensor<?x4xf32>, %b: tensor<4xf32>):
    // expected-error @below {{uses a value from outside the region of 'moe.experts'; only what is made of constants and weights may be}}
    %r = moe.rms_norm %rows weight(%outside) {epsilon = 0.0 : f32} : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    moe.yield %r : tensor<?x4xf32>
  }
  return
}

// -----

func.func @dispatch_c1(%indices: tensor<?xi64>) {
  // expected-error @below {{expects indices to have rank 2, but it is 'tensor<?xi64>'}}
  %a, %b, %c = moe.dispatch %indices {num_experts = 8 : i64} : (tensor<?xi64>) -> (tensor<9xi32>, tensor<?xi32>, tensor<?xi32>)
  return
}

// -----

func.func @dispatch_c1_type(%indices: tensor<?x2xf32>) {
  // expected-error @below {{expects indices to hold integers, but they are 'tensor<?x2xf32>'}}
  %a, %b, %c = moe.dispatch %indices {num_experts = 8 : i64} : (tensor<?x2xf32>) -> (tensor<9xi32>, tensor<?xi32>, tensor<?xi32>)
  return
}

// -----

func.func @dispatch_c2(%indices: tensor<?x2xi64>) {
  // expected-error @below {{expects num_experts >= 1, but it is 0}}
  %a, %b, %c = moe.dispatch %indices {num_experts = 0 : i64} : (tensor<?x2xi64>) -> (tensor<1xi32>, tensor<?xi32>, tensor<?xi32>)
  return
}

// -----

func.func @dispatch_c3(%indices: tensor<5x2xi64>) {
  // expected-error @below {{expects result 1 to have shape [10], but it is 'tensor<5xi32>'}}
  %a, %b, %c = moe.dispatch %indices {num_experts = 8 : i64} : (tensor<5x2xi64>) -> (tensor<9xi32>, tensor<5xi32>, tensor<10xi32>)
  return
}

// -----

func.func @grouped_matmul_c1(%x: tensor<1x?x8xf32>, %w: tensor<1x6x8xf32>) {
  // expected-error @below {{expects x to have rank 2, but it is 'tensor<1x?x8xf32>'}}
  %y = moe.grouped_matmul %x weights(%w) : (tensor<1x?x8xf32>, tensor<1x6x8xf32>) -> tensor<?x6xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return
}

// -----

func.func @grouped_matmul_c2(%x: tensor<?x8xf32>, %w: tensor<1x6x8xf32>, %v: tensor<1x7x8xf32>) {
  // expected-error @below {{expects weights of one type, but there are 2}}
  %y = moe.grouped_matmul %x weights(%w, %v) : (tensor<?x8xf32>, tensor<1x6x8xf32>, tensor<1x7x8xf32>) -> tensor<?x6xf32> {
  ^bb0(%a: f32, %b: f32):
    moe.yield %a : f32
  }
  return
}

// -----

func.func @grouped_matmul_c3(%x: tensor<?x8xf32>, %w: tensor<1x6x9xf32>) {
  // expected-error @below {{expects x and weights to agree in K, but they are 'tensor<?x8xf32>' and 'tensor<1x6x9xf32>'}}
  %y = moe.grouped_matmul %x weights(%w) : (tensor<?x8xf32>, tensor<1x6x9xf32>) -> tensor<?x6xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return
}

// -----

func.func @grouped_matmul_c4_absent(%x: tensor<?x8xf32>, %w: tensor<4x6x8xf32>) {
  // expected-error @below {{expects offsets unless there is one group, but weights are 'tensor<4x6x8xf32>'}}
  %y = moe.grouped_matmul %x weights(%w) : (tensor<?x8xf32>, tensor<4x6x8xf32>) -> tensor<?x6xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return
}

// -----

func.func @grouped_matmul_c4(%x: tensor<?x8xf32>, %w: tensor<4x6x8xf32>, %offsets: tensor<4xi32>) {
  // expected-error @below {{expects offsets to have shape [5], but it is 'tensor<4xi32>'}}
  %y = moe.grouped_matmul %x weights(%w) offsets(%offsets) : (tensor<?x8xf32>, tensor<4x6x8xf32>, tensor<4xi32>) -> tensor<?x6xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return
}

// -----

func.func @grouped_matmul_c4_type(%x: tensor<?x8xf32>, %w: tensor<4x6x8xf32>, %offsets: tensor<5xi64>) {
  // expected-error @below {{expects offsets to hold i32, but it is 'tensor<5xi64>'}}
  %y = moe.grouped_matmul %x weights(%w) offsets(%offsets) : (tensor<?x8xf32>, tensor<4x6x8xf32>, tensor<5xi64>) -> tensor<?x6xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return
}

// -----

func.func @grouped_matmul_c5_number(%x: tensor<?x8xf32>, %w: tensor<1x6x8xf32>) {
  // expected-error @below {{expects its region to have 1 arguments, but it has 2}}
  %y = moe.grouped_matmul %x weights(%w) : (tensor<?x8xf32>, tensor<1x6x8xf32>) -> tensor<?x6xf32> {
  ^bb0(%acc: f32, %b: f32):
    moe.yield %acc : f32
  }
  return
}

// -----

func.func @grouped_matmul_c5_argument(%x: tensor<?x8xf32>, %w: tensor<1x6x8xbf16>) {
  // expected-error @below {{expects f32 per weight and an element per extra, but argument 0 is 'bf16'}}
  %y = moe.grouped_matmul %x weights(%w) : (tensor<?x8xf32>, tensor<1x6x8xbf16>) -> tensor<?x6xbf16> {
  ^bb0(%acc: bf16):
    moe.yield %acc : bf16
  }
  return
}

// -----

func.func @grouped_matmul_c5_yield(%x: tensor<?x8xf32>, %w: tensor<1x6x8xf32>) {
  // expected-error @below {{expects its region to yield one 'bf16'}}
  %y = moe.grouped_matmul %x weights(%w) : (tensor<?x8xf32>, tensor<1x6x8xf32>) -> tensor<?x6xbf16> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return
}

// -----

func.func @grouped_matmul_c6_number(%x: tensor<?x8xf32>, %w: tensor<1x6x8xf32>, %b: tensor<6xf32>) {
  // expected-error @below {{expects a kind for each of 1 extras, but has 0}}
  %y = moe.grouped_matmul %x weights(%w) extras(%b) : (tensor<?x8xf32>, tensor<1x6x8xf32>, tensor<6xf32>) -> tensor<?x6xf32> {
  ^bb0(%acc: f32, %e: f32):
    moe.yield %acc : f32
  }
  return
}

// -----

func.func @grouped_matmul_c6(%x: tensor<?x8xf32>, %w: tensor<1x6x8xf32>, %b: tensor<6xf32>) {
  // expected-error @below {{expects an extra to have shape [?, 6], but it is 'tensor<6xf32>'}}
  %y = moe.grouped_matmul %x weights(%w) extras(%b) {extra_kinds = array<i64: 0>} : (tensor<?x8xf32>, tensor<1x6x8xf32>, tensor<6xf32>) -> tensor<?x6xf32> {
  ^bb0(%acc: f32, %e: f32):
    moe.yield %acc : f32
  }
  return
}

// -----

func.func @grouped_matmul_c7(%x: tensor<?x8xf32>, %w: tensor<1x6x8xf32>) {
  // expected-error @below {{expects result 0 to have shape [?, 6], but it is 'tensor<?x7xf32>'}}
  %y = moe.grouped_matmul %x weights(%w) : (tensor<?x8xf32>, tensor<1x6x8xf32>) -> tensor<?x7xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return
}

// -----

func.func @grouped_matmul_c8(%x: tensor<?x8xf32>, %w: tensor<1x2x8x16xf32>) {
  // expected-error @below {{expects weights [G, N, K], or [G, N/panel, K, panel] with packed = panel and columns = N, but they are 'tensor<1x2x8x16xf32>' with packed = 16 and columns = 0}}
  %y = moe.grouped_matmul %x weights(%w) {packed = 16 : i64} : (tensor<?x8xf32>, tensor<1x2x8x16xf32>) -> tensor<?x20xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return
}

// -----

func.func @grouped_matmul_c8_columns(%x: tensor<?x8xf32>, %w: tensor<1x2x8x16xf32>) {
  // expected-error @below {{expects packed weights for 40 columns, but they are 'tensor<1x2x8x16xf32>'}}
  %y = moe.grouped_matmul %x weights(%w) {packed = 16 : i64, columns = 40 : i64} : (tensor<?x8xf32>, tensor<1x2x8x16xf32>) -> tensor<?x40xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return
}

// -----

func.func @combine_c1(%y: tensor<10x8xf32>, %position: tensor<10x1xi32>) {
  // expected-error @below {{expects position to have rank 1, but it is 'tensor<10x1xi32>'}}
  %r = moe.combine %y at %position {k = 2 : i64} : (tensor<10x8xf32>, tensor<10x1xi32>) -> tensor<5x8xf32>
  return
}

// -----

func.func @combine_c1_k(%y: tensor<10x8xf32>, %position: tensor<10xi32>) {
  // expected-error @below {{expects position to hold k entries a token, but k is 3 and position 'tensor<10xi32>'}}
  %r = moe.combine %y at %position {k = 3 : i64} : (tensor<10x8xf32>, tensor<10xi32>) -> tensor<3x8xf32>
  return
}

// -----

func.func @combine_c2(%y: tensor<10x8xf32>, %position: tensor<10xi32>, %residual: tensor<5x4xf32>) {
  // expected-error @below {{expects residual to have shape [5, 8], but it is 'tensor<5x4xf32>'}}
  %r = moe.combine %y at %position residual(%residual) {k = 2 : i64} : (tensor<10x8xf32>, tensor<10xi32>, tensor<5x4xf32>) -> tensor<5x8xf32>
  return
}

// -----

func.func @combine_c3(%y: tensor<10x8xf32>, %position: tensor<10xi32>) {
  // expected-error @below {{expects result 0 to have shape [5, 8], but it is 'tensor<10x8xf32>'}}
  %r = moe.combine %y at %position {k = 2 : i64} : (tensor<10x8xf32>, tensor<10xi32>) -> tensor<10x8xf32>
  return
}

// -----

// Attention, norms, positions, activations

func.func @attention_c1(%q: tensor<2x4x3x16xf32>, %k: tensor<2x2x5x8xf32>, %v: tensor<2x2x5x8xf32>) {
  // expected-error @below {{expects query [B, Hq, S, D], key [B, Hkv, L, D] and value [B, Hkv, L, Dv], but they are 'tensor<2x4x3x16xf32>', 'tensor<2x2x5x8xf32>' and 'tensor<2x2x5x8xf32>'}}
  %a = moe.attention %q, %k, %v {scale = 1.0 : f32} : (tensor<2x4x3x16xf32>, tensor<2x2x5x8xf32>, tensor<2x2x5x8xf32>) -> tensor<2x4x3x8xf32>
  return
}

// -----

func.func @attention_c1_type(%q: tensor<2x4x3x16xf32>, %k: tensor<2x2x5x16xi32>, %v: tensor<2x2x5x8xf32>) {
  // expected-error @below {{expects key to hold floats, but it is 'tensor<2x2x5x16xi32>'}}
  %a = moe.attention %q, %k, %v {scale = 1.0 : f32} : (tensor<2x4x3x16xf32>, tensor<2x2x5x16xi32>, tensor<2x2x5x8xf32>) -> tensor<2x4x3x8xf32>
  return
}

// -----

func.func @attention_c2(%q: tensor<2x4x3x16xf32>, %k: tensor<2x3x5x16xf32>, %v: tensor<2x3x5x8xf32>) {
  // expected-error @below {{expects the key heads to divide the query heads, but they are 3 and 4}}
  %a = moe.attention %q, %k, %v {scale = 1.0 : f32} : (tensor<2x4x3x16xf32>, tensor<2x3x5x16xf32>, tensor<2x3x5x8xf32>) -> tensor<2x4x3x8xf32>
  return
}

// -----

func.func @attention_c3(%q: tensor<2x4x3x16xf32>, %k: tensor<2x2x5x16xf32>, %v: tensor<2x2x5x8xf32>, %m: tensor<2x1x3x3xf32>) {
  // expected-error @below {{expects mask to broadcast to [2, 4, 3, 5], but it is 'tensor<2x1x3x3xf32>'}}
  %a = moe.attention %q, %k, %v mask(%m) {scale = 1.0 : f32} : (tensor<2x4x3x16xf32>, tensor<2x2x5x16xf32>, tensor<2x2x5x8xf32>, tensor<2x1x3x3xf32>) -> tensor<2x4x3x8xf32>
  return
}

// -----

func.func @attention_c3_type(%q: tensor<2x4x3x16xf32>, %k: tensor<2x2x5x16xf32>, %v: tensor<2x2x5x8xf32>, %m: tensor<2x1x3x5xi1>) {
  // expected-error @below {{expects mask to hold floats that are added, but it is 'tensor<2x1x3x5xi1>'}}
  %a = moe.attention %q, %k, %v mask(%m) {scale = 1.0 : f32} : (tensor<2x4x3x16xf32>, tensor<2x2x5x16xf32>, tensor<2x2x5x8xf32>, tensor<2x1x3x5xi1>) -> tensor<2x4x3x8xf32>
  return
}

// -----

func.func @attention_c4(%q: tensor<2x4x3x16xf32>, %k: tensor<2x2x5x16xf32>, %v: tensor<2x2x5x8xf32>, %s: tensor<2xf32>) {
  // expected-error @below {{expects sinks to have shape [4], but it is 'tensor<2xf32>'}}
  %a = moe.attention %q, %k, %v sinks(%s) {scale = 1.0 : f32} : (tensor<2x4x3x16xf32>, tensor<2x2x5x16xf32>, tensor<2x2x5x8xf32>, tensor<2xf32>) -> tensor<2x4x3x8xf32>
  return
}

// -----

func.func @attention_c5(%q: tensor<2x4x3x16xf32>, %k: tensor<2x2x5x16xf32>, %v: tensor<2x2x5x8xf32>) {
  // expected-error @below {{expects result 0 to have shape [2, 4, 3, 8], but it is 'tensor<2x4x3x16xf32>'}}
  %a = moe.attention %q, %k, %v {scale = 1.0 : f32} : (tensor<2x4x3x16xf32>, tensor<2x2x5x16xf32>, tensor<2x2x5x8xf32>) -> tensor<2x4x3x16xf32>
  return
}

// -----

func.func @attention_c6(%q: tensor<2x4x3x16xf32>, %k: tensor<2x2x5x16xf32>, %v: tensor<2x2x5x8xf32>) {
  // expected-error @below {{expects window >= 0 (with causal) and softcap >= 0, but they are 128 and 0}}
  %a = moe.attention %q, %k, %v {scale = 1.0 : f32, window = 128 : i64} : (tensor<2x4x3x16xf32>, tensor<2x2x5x16xf32>, tensor<2x2x5x8xf32>) -> tensor<2x4x3x8xf32>
  return
}

// -----

func.func @rms_norm_c1(%x: tensor<f32>) {
  // expected-error @below {{expects x to hold floats in at least one dimension, but it is 'tensor<f32>'}}
  %y = moe.rms_norm %x {epsilon = 0.0 : f32} : (tensor<f32>) -> tensor<f32>
  return
}

// -----

func.func @rms_norm_c2(%x: tensor<?x8xf32>, %w: tensor<1x8xf32>) {
  // expected-error @below {{expects weight to have shape [8], but it is 'tensor<1x8xf32>'}}
  %y = moe.rms_norm %x weight(%w) {epsilon = 0.0 : f32} : (tensor<?x8xf32>, tensor<1x8xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @rms_norm_c3(%x: tensor<?x8xf32>) {
  // expected-error @below {{expects result 0 to have shape [?, 8], but it is 'tensor<?x9xf32>'}}
  %y = moe.rms_norm %x {epsilon = 0.0 : f32} : (tensor<?x8xf32>) -> tensor<?x9xf32>
  return
}

// -----

func.func @rms_norm_c4(%x: tensor<?x8xf32>) {
  // expected-error @below {{expects epsilon >= 0, but it is -1}}
  %y = moe.rms_norm %x {epsilon = -1.0 : f32} : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @rope_c1_rank(%x: tensor<?x4x16xf32>, %c: tensor<1x?x8xf32>) {
  // expected-error @below {{expects x to have rank 4, but it is 'tensor<?x4x16xf32>'}}
  %y = moe.rope %x, %c, %c : (tensor<?x4x16xf32>, tensor<1x?x8xf32>, tensor<1x?x8xf32>) -> tensor<?x4x16xf32>
  return
}

// -----

func.func @rope_c1(%x: tensor<2x4x3x16xf32>, %c: tensor<1x5x8xf32>) {
  // expected-error @below {{expects cos and sin of one type [B or 1, S, R/2] for x [B, H, S, D], but they are 'tensor<1x5x8xf32>', 'tensor<1x5x8xf32>' and 'tensor<2x4x3x16xf32>'}}
  %y = moe.rope %x, %c, %c : (tensor<2x4x3x16xf32>, tensor<1x5x8xf32>, tensor<1x5x8xf32>) -> tensor<2x4x3x16xf32>
  return
}

// -----

func.func @rope_c2(%x: tensor<2x4x3x16xf32>, %c: tensor<1x3x9xf32>) {
  // expected-error @below {{expects at most D = 16 rotated elements, but there are 18}}
  %y = moe.rope %x, %c, %c : (tensor<2x4x3x16xf32>, tensor<1x3x9xf32>, tensor<1x3x9xf32>) -> tensor<2x4x3x16xf32>
  return
}

// -----

func.func @rope_c3(%x: tensor<2x4x3x16xf32>, %c: tensor<1x3x8xf32>) {
  // expected-error @below {{expects result 0 to hold the element type of its input, but it is 'tensor<2x4x3x16xf16>'}}
  %y = moe.rope %x, %c, %c : (tensor<2x4x3x16xf32>, tensor<1x3x8xf32>, tensor<1x3x8xf32>) -> tensor<2x4x3x16xf16>
  return
}

// -----

func.func @swiglu_c1(%g: tensor<?x8xf32>, %u: tensor<?x9xf32>) {
  // expected-error @below {{expects up to have shape [?, 8], but it is 'tensor<?x9xf32>'}}
  %y = moe.swiglu %g, %u : (tensor<?x8xf32>, tensor<?x9xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @swiglu_c2(%g: tensor<?x8xf32>) {
  // expected-error @below {{expects limit > 0, but it is -1}}
  %y = moe.swiglu %g, %g {limit = -1.0 : f32} : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return
}

// -----

// Primitives

func.func @top_k_c1(%x: tensor<f32>) {
  // expected-error @below {{expects x to have at least one dimension, but it is 'tensor<f32>'}}
  %v, %i = moe.top_k %x {k = 1 : i64} : (tensor<f32>) -> (tensor<f32>, tensor<i64>)
  return
}

// -----

func.func @top_k_c2(%x: tensor<?x8xf32>) {
  // expected-error @below {{expects 0 <= k <= N, but k is 9 and x 'tensor<?x8xf32>'}}
  %v, %i = moe.top_k %x {k = 9 : i64} : (tensor<?x8xf32>) -> (tensor<?x9xf32>, tensor<?x9xi64>)
  return
}

// -----

func.func @top_k_c3(%x: tensor<?x8xf32>) {
  // expected-error @below {{expects result 1 to hold i64, but it is 'tensor<?x2xi32>'}}
  %v, %i = moe.top_k %x {k = 2 : i64} : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  return
}

// -----

func.func @sort_c1(%x: tensor<f32>) {
  // expected-error @below {{expects x to have at least one dimension, but it is 'tensor<f32>'}}
  %v, %i = moe.sort %x : (tensor<f32>) -> (tensor<f32>, tensor<i64>)
  return
}

// -----

func.func @sort_c2(%x: tensor<8xf32>) {
  // expected-error @below {{expects result 0 to have shape [8], but it is 'tensor<7xf32>'}}
  %v, %i = moe.sort %x : (tensor<8xf32>) -> (tensor<7xf32>, tensor<8xi64>)
  return
}

// -----

func.func @scan_c1(%x: tensor<?x8xf32>) {
  // expected-error @below {{expects 0 <= axis < 2, but axis is 2}}
  %y = moe.scan %x {axis = 2 : i64} : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @scan_c2(%x: tensor<?x8xf32>) {
  // expected-error @below {{expects a combiner that combines, but it is assign}}
  %y = moe.scan %x {axis = 0 : i64, combiner = #moe.combiner<assign>} : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @scan_c3(%x: tensor<?x8xf32>) {
  // expected-error @below {{expects result 0 to hold the element type of its input, but it is 'tensor<?x8xf64>'}}
  %y = moe.scan %x {axis = 0 : i64} : (tensor<?x8xf32>) -> tensor<?x8xf64>
  return
}

// -----

func.func @scatter_c1(%d: tensor<4x8xf32>, %i: tensor<3x?xi64>, %u: tensor<3x8xf32>) {
  // expected-error @below {{expects i64 indices whose static last dim is at most the rank of data, but they are 'tensor<3x?xi64>' for 'tensor<4x8xf32>'}}
  %y = moe.scatter %d, %i, %u : (tensor<4x8xf32>, tensor<3x?xi64>, tensor<3x8xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @scatter_c2(%d: tensor<4x8xf32>, %i: tensor<3x1xi64>, %u: tensor<3x7xf32>) {
  // expected-error @below {{expects updates to have shape [3, 8], but it is 'tensor<3x7xf32>'}}
  %y = moe.scatter %d, %i, %u : (tensor<4x8xf32>, tensor<3x1xi64>, tensor<3x7xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @scatter_c3(%d: tensor<4x8xf32>, %i: tensor<3x1xi64>, %u: tensor<3x8xf32>) {
  // expected-error @below {{expects result 0 to have shape [4, 8], but it is 'tensor<5x8xf32>'}}
  %y = moe.scatter %d, %i, %u : (tensor<4x8xf32>, tensor<3x1xi64>, tensor<3x8xf32>) -> tensor<5x8xf32>
  return
}

// -----

func.func @nonzero_c1(%x: tensor<3x4xi1>) {
  // expected-error @below {{expects result 0 to have shape [2, 12], but it is 'tensor<1x12xi64>'}}
  %i, %n = moe.nonzero %x : (tensor<3x4xi1>) -> (tensor<1x12xi64>, tensor<i64>)
  return
}
