// RUN: moe-opt %s -split-input-file -verify-diagnostics

// One function for each constraint of the descriptions in MoePlanOps.td.

func.func @expert_products_c1_hidden(%x: memref<2x?x128xf8E4M3FN>, %sx: memref<2x?xf32>, %w1: memref<5x1x2x256x128xf8E4M3FN>, %s1: memref<5x1x4xf32>, %w2: memref<5x1x1x256x128xf8E4M3FN>, %s2: memref<5x1x4xf32>, %items: memref<?xi32>, %counters: memref<?xi32>, %y: memref<?x200xbf16>, %h: memref<1x?x128xf8E4M3FN>, %sh: memref<1x?xf32>) {
  // expected-error @below {{expects hidden to be a multiple of 8 and intermediate at least 1, but they are 204 and 72}}
  moe.expert_products %x, %sx w1(%w1, %s1) w2(%w2, %s2) items(%items, %counters) outs(%y, %h, %sh) {hidden = 204 : i64, intermediate = 72 : i64} :
      (memref<2x?x128xf8E4M3FN>, memref<2x?xf32>, memref<5x1x2x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<5x1x1x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<?xi32>, memref<?xi32>, memref<?x200xbf16>, memref<1x?x128xf8E4M3FN>, memref<1x?xf32>) -> () {
  ^bb0(%g: f32, %u: f32):
    %a = arith.mulf %g, %u : f32
    moe.yield %a : f32
  }
  return
}

// -----

func.func @expert_products_c1_intermediate(%x: memref<2x?x128xf8E4M3FN>, %sx: memref<2x?xf32>, %w1: memref<5x1x2x256x128xf8E4M3FN>, %s1: memref<5x1x4xf32>, %w2: memref<5x1x1x256x128xf8E4M3FN>, %s2: memref<5x1x4xf32>, %items: memref<?xi32>, %counters: memref<?xi32>, %y: memref<?x200xbf16>, %h: memref<1x?x128xf8E4M3FN>, %sh: memref<1x?xf32>) {
  // expected-error @below {{expects hidden to be a multiple of 8 and intermediate at least 1, but they are 200 and 0}}
  moe.expert_products %x, %sx w1(%w1, %s1) w2(%w2, %s2) items(%items, %counters) outs(%y, %h, %sh) {hidden = 200 : i64, intermediate = 0 : i64} :
      (memref<2x?x128xf8E4M3FN>, memref<2x?xf32>, memref<5x1x2x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<5x1x1x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<?xi32>, memref<?xi32>, memref<?x200xbf16>, memref<1x?x128xf8E4M3FN>, memref<1x?xf32>) -> () {
  ^bb0(%g: f32, %u: f32):
    %a = arith.mulf %g, %u : f32
    moe.yield %a : f32
  }
  return
}

// -----

func.func @expert_products_c1_codes(%x: memref<2x?x128xf8E5M2>, %sx: memref<2x?xf32>, %w1: memref<5x1x2x256x128xf8E4M3FN>, %s1: memref<5x1x4xf32>, %w2: memref<5x1x1x256x128xf8E4M3FN>, %s2: memref<5x1x4xf32>, %items: memref<?xi32>, %counters: memref<?xi32>, %y: memref<?x200xbf16>, %h: memref<1x?x128xf8E4M3FN>, %sh: memref<1x?xf32>) {
  // expected-error @below {{expects factors of f8E4M3FN, bf16 or f16, but found 'memref<2x?x128xf8E5M2>'}}
  moe.expert_products %x, %sx w1(%w1, %s1) w2(%w2, %s2) items(%items, %counters) outs(%y, %h, %sh) {hidden = 200 : i64, intermediate = 72 : i64} :
      (memref<2x?x128xf8E5M2>, memref<2x?xf32>, memref<5x1x2x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<5x1x1x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<?xi32>, memref<?xi32>, memref<?x200xbf16>, memref<1x?x128xf8E4M3FN>, memref<1x?xf32>) -> () {
  ^bb0(%g: f32, %u: f32):
    %a = arith.mulf %g, %u : f32
    moe.yield %a : f32
  }
  return
}

// -----

func.func @expert_products_c1_scales(%x: memref<2x?x128xf8E4M3FN>, %sx: memref<2x?xf16>, %w1: memref<5x1x2x256x128xf8E4M3FN>, %s1: memref<5x1x4xf32>, %w2: memref<5x1x1x256x128xf8E4M3FN>, %s2: memref<5x1x4xf32>, %items: memref<?xi32>, %counters: memref<?xi32>, %y: memref<?x200xbf16>, %h: memref<1x?x128xf8E4M3FN>, %sh: memref<1x?xf32>) {
  // expected-error @below {{expects scales of f32, but found 'memref<2x?xf16>'}}
  moe.expert_products %x, %sx w1(%w1, %s1) w2(%w2, %s2) items(%items, %counters) outs(%y, %h, %sh) {hidden = 200 : i64, intermediate = 72 : i64} :
      (memref<2x?x128xf8E4M3FN>, memref<2x?xf16>, memref<5x1x2x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<5x1x1x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<?xi32>, memref<?xi32>, memref<?x200xbf16>, memref<1x?x128xf8E4M3FN>, memref<1x?xf32>) -> () {
  ^bb0(%g: f32, %u: f32):
    %a = arith.mulf %g, %u : f32
    moe.yield %a : f32
  }
  return
}

// -----

func.func @expert_products_c1_x(%x: memref<3x?x128xf8E4M3FN>, %sx: memref<2x?xf32>, %w1: memref<5x1x2x256x128xf8E4M3FN>, %s1: memref<5x1x4xf32>, %w2: memref<5x1x1x256x128xf8E4M3FN>, %s2: memref<5x1x4xf32>, %items: memref<?xi32>, %counters: memref<?xi32>, %y: memref<?x200xbf16>, %h: memref<1x?x128xf8E4M3FN>, %sh: memref<1x?xf32>) {
  // expected-error @below {{expects x to have shape [2, ?, 128], but it is 'memref<3x?x128xf8E4M3FN>'}}
  moe.expert_products %x, %sx w1(%w1, %s1) w2(%w2, %s2) items(%items, %counters) outs(%y, %h, %sh) {hidden = 200 : i64, intermediate = 72 : i64} :
      (memref<3x?x128xf8E4M3FN>, memref<2x?xf32>, memref<5x1x2x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<5x1x1x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<?xi32>, memref<?xi32>, memref<?x200xbf16>, memref<1x?x128xf8E4M3FN>, memref<1x?xf32>) -> () {
  ^bb0(%g: f32, %u: f32):
    %a = arith.mulf %g, %u : f32
    moe.yield %a : f32
  }
  return
}

// -----

func.func @expert_products_c1_x_scales(%x: memref<2x?x128xf8E4M3FN>, %sx: memref<3x?xf32>, %w1: memref<5x1x2x256x128xf8E4M3FN>, %s1: memref<5x1x4xf32>, %w2: memref<5x1x1x256x128xf8E4M3FN>, %s2: memref<5x1x4xf32>, %items: memref<?xi32>, %counters: memref<?xi32>, %y: memref<?x200xbf16>, %h: memref<1x?x128xf8E4M3FN>, %sh: memref<1x?xf32>) {
  // expected-error @below {{expects x_scales to have shape [2, ?], but it is 'memref<3x?xf32>'}}
  moe.expert_products %x, %sx w1(%w1, %s1) w2(%w2, %s2) items(%items, %counters) outs(%y, %h, %sh) {hidden = 200 : i64, intermediate = 72 : i64} :
      (memref<2x?x128xf8E4M3FN>, memref<3x?xf32>, memref<5x1x2x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<5x1x1x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<?xi32>, memref<?xi32>, memref<?x200xbf16>, memref<1x?x128xf8E4M3FN>, memref<1x?xf32>) -> () {
  ^bb0(%g: f32, %u: f32):
    %a = arith.mulf %g, %u : f32
    moe.yield %a : f32
  }
  return
}

// -----

func.func @expert_products_c1_w1(%x: memref<2x?x128xf8E4M3FN>, %sx: memref<2x?xf32>, %w1: memref<5x1x2x128x128xf8E4M3FN>, %s1: memref<5x1x4xf32>, %w2: memref<5x1x1x256x128xf8E4M3FN>, %s2: memref<5x1x4xf32>, %items: memref<?xi32>, %counters: memref<?xi32>, %y: memref<?x200xbf16>, %h: memref<1x?x128xf8E4M3FN>, %sh: memref<1x?xf32>) {
  // expected-error @below {{expects w1 to have shape [5, 1, 2, 256, 128], but it is 'memref<5x1x2x128x128xf8E4M3FN>'}}
  moe.expert_products %x, %sx w1(%w1, %s1) w2(%w2, %s2) items(%items, %counters) outs(%y, %h, %sh) {hidden = 200 : i64, intermediate = 72 : i64} :
      (memref<2x?x128xf8E4M3FN>, memref<2x?xf32>, memref<5x1x2x128x128xf8E4M3FN>, memref<5x1x4xf32>, memref<5x1x1x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<?xi32>, memref<?xi32>, memref<?x200xbf16>, memref<1x?x128xf8E4M3FN>, memref<1x?xf32>) -> () {
  ^bb0(%g: f32, %u: f32):
    %a = arith.mulf %g, %u : f32
    moe.yield %a : f32
  }
  return
}

// -----

func.func @expert_products_c1_w1_scales(%x: memref<2x?x128xf8E4M3FN>, %sx: memref<2x?xf32>, %w1: memref<5x1x2x256x128xf8E4M3FN>, %s1: memref<5x1x2xf32>, %w2: memref<5x1x1x256x128xf8E4M3FN>, %s2: memref<5x1x4xf32>, %items: memref<?xi32>, %counters: memref<?xi32>, %y: memref<?x200xbf16>, %h: memref<1x?x128xf8E4M3FN>, %sh: memref<1x?xf32>) {
  // expected-error @below {{expects w1_scales to have shape [5, 1, 4], but it is 'memref<5x1x2xf32>'}}
  moe.expert_products %x, %sx w1(%w1, %s1) w2(%w2, %s2) items(%items, %counters) outs(%y, %h, %sh) {hidden = 200 : i64, intermediate = 72 : i64} :
      (memref<2x?x128xf8E4M3FN>, memref<2x?xf32>, memref<5x1x2x256x128xf8E4M3FN>, memref<5x1x2xf32>, memref<5x1x1x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<?xi32>, memref<?xi32>, memref<?x200xbf16>, memref<1x?x128xf8E4M3FN>, memref<1x?xf32>) -> () {
  ^bb0(%g: f32, %u: f32):
    %a = arith.mulf %g, %u : f32
    moe.yield %a : f32
  }
  return
}

// -----

func.func @expert_products_c1_w2(%x: memref<2x?x128xf8E4M3FN>, %sx: memref<2x?xf32>, %w1: memref<5x1x2x256x128xf8E4M3FN>, %s1: memref<5x1x4xf32>, %w2: memref<4x1x1x256x128xf8E4M3FN>, %s2: memref<5x1x4xf32>, %items: memref<?xi32>, %counters: memref<?xi32>, %y: memref<?x200xbf16>, %h: memref<1x?x128xf8E4M3FN>, %sh: memref<1x?xf32>) {
  // expected-error @below {{expects w2 to have shape [5, 1, 1, 256, 128], but it is 'memref<4x1x1x256x128xf8E4M3FN>'}}
  moe.expert_products %x, %sx w1(%w1, %s1) w2(%w2, %s2) items(%items, %counters) outs(%y, %h, %sh) {hidden = 200 : i64, intermediate = 72 : i64} :
      (memref<2x?x128xf8E4M3FN>, memref<2x?xf32>, memref<5x1x2x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<4x1x1x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<?xi32>, memref<?xi32>, memref<?x200xbf16>, memref<1x?x128xf8E4M3FN>, memref<1x?xf32>) -> () {
  ^bb0(%g: f32, %u: f32):
    %a = arith.mulf %g, %u : f32
    moe.yield %a : f32
  }
  return
}

// -----

func.func @expert_products_c1_w2_scales(%x: memref<2x?x128xf8E4M3FN>, %sx: memref<2x?xf32>, %w1: memref<5x1x2x256x128xf8E4M3FN>, %s1: memref<5x1x4xf32>, %w2: memref<5x1x1x256x128xf8E4M3FN>, %s2: memref<5x1x2xf32>, %items: memref<?xi32>, %counters: memref<?xi32>, %y: memref<?x200xbf16>, %h: memref<1x?x128xf8E4M3FN>, %sh: memref<1x?xf32>) {
  // expected-error @below {{expects w2_scales to have shape [5, 1, 4], but it is 'memref<5x1x2xf32>'}}
  moe.expert_products %x, %sx w1(%w1, %s1) w2(%w2, %s2) items(%items, %counters) outs(%y, %h, %sh) {hidden = 200 : i64, intermediate = 72 : i64} :
      (memref<2x?x128xf8E4M3FN>, memref<2x?xf32>, memref<5x1x2x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<5x1x1x256x128xf8E4M3FN>, memref<5x1x2xf32>, memref<?xi32>, memref<?xi32>, memref<?x200xbf16>, memref<1x?x128xf8E4M3FN>, memref<1x?xf32>) -> () {
  ^bb0(%g: f32, %u: f32):
    %a = arith.mulf %g, %u : f32
    moe.yield %a : f32
  }
  return
}

// -----

func.func @expert_products_c1_items(%x: memref<2x?x128xf8E4M3FN>, %sx: memref<2x?xf32>, %w1: memref<5x1x2x256x128xf8E4M3FN>, %s1: memref<5x1x4xf32>, %w2: memref<5x1x1x256x128xf8E4M3FN>, %s2: memref<5x1x4xf32>, %items: memref<?xi64>, %counters: memref<?xi32>, %y: memref<?x200xbf16>, %h: memref<1x?x128xf8E4M3FN>, %sh: memref<1x?xf32>) {
  // expected-error @below {{expects items to hold i32, but it is 'memref<?xi64>'}}
  moe.expert_products %x, %sx w1(%w1, %s1) w2(%w2, %s2) items(%items, %counters) outs(%y, %h, %sh) {hidden = 200 : i64, intermediate = 72 : i64} :
      (memref<2x?x128xf8E4M3FN>, memref<2x?xf32>, memref<5x1x2x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<5x1x1x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<?xi64>, memref<?xi32>, memref<?x200xbf16>, memref<1x?x128xf8E4M3FN>, memref<1x?xf32>) -> () {
  ^bb0(%g: f32, %u: f32):
    %a = arith.mulf %g, %u : f32
    moe.yield %a : f32
  }
  return
}

// -----

func.func @expert_products_c1_counters(%x: memref<2x?x128xf8E4M3FN>, %sx: memref<2x?xf32>, %w1: memref<5x1x2x256x128xf8E4M3FN>, %s1: memref<5x1x4xf32>, %w2: memref<5x1x1x256x128xf8E4M3FN>, %s2: memref<5x1x4xf32>, %items: memref<?xi32>, %counters: memref<?x1xi32>, %y: memref<?x200xbf16>, %h: memref<1x?x128xf8E4M3FN>, %sh: memref<1x?xf32>) {
  // expected-error @below {{expects counters to have rank 1, but it is 'memref<?x1xi32>'}}
  moe.expert_products %x, %sx w1(%w1, %s1) w2(%w2, %s2) items(%items, %counters) outs(%y, %h, %sh) {hidden = 200 : i64, intermediate = 72 : i64} :
      (memref<2x?x128xf8E4M3FN>, memref<2x?xf32>, memref<5x1x2x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<5x1x1x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<?xi32>, memref<?x1xi32>, memref<?x200xbf16>, memref<1x?x128xf8E4M3FN>, memref<1x?xf32>) -> () {
  ^bb0(%g: f32, %u: f32):
    %a = arith.mulf %g, %u : f32
    moe.yield %a : f32
  }
  return
}

// -----

func.func @expert_products_c1_y(%x: memref<2x?x128xf8E4M3FN>, %sx: memref<2x?xf32>, %w1: memref<5x1x2x256x128xf8E4M3FN>, %s1: memref<5x1x4xf32>, %w2: memref<5x1x1x256x128xf8E4M3FN>, %s2: memref<5x1x4xf32>, %items: memref<?xi32>, %counters: memref<?xi32>, %y: memref<?x256xbf16>, %h: memref<1x?x128xf8E4M3FN>, %sh: memref<1x?xf32>) {
  // expected-error @below {{expects result 0 to have shape [?, 200], but it is 'memref<?x256xbf16>'}}
  moe.expert_products %x, %sx w1(%w1, %s1) w2(%w2, %s2) items(%items, %counters) outs(%y, %h, %sh) {hidden = 200 : i64, intermediate = 72 : i64} :
      (memref<2x?x128xf8E4M3FN>, memref<2x?xf32>, memref<5x1x2x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<5x1x1x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<?xi32>, memref<?xi32>, memref<?x256xbf16>, memref<1x?x128xf8E4M3FN>, memref<1x?xf32>) -> () {
  ^bb0(%g: f32, %u: f32):
    %a = arith.mulf %g, %u : f32
    moe.yield %a : f32
  }
  return
}

// -----

func.func @expert_products_c1_h(%x: memref<2x?x128xf8E4M3FN>, %sx: memref<2x?xf32>, %w1: memref<5x1x2x256x128xf8E4M3FN>, %s1: memref<5x1x4xf32>, %w2: memref<5x1x1x256x128xf8E4M3FN>, %s2: memref<5x1x4xf32>, %items: memref<?xi32>, %counters: memref<?xi32>, %y: memref<?x200xbf16>, %h: memref<2x?x128xf8E4M3FN>, %sh: memref<1x?xf32>) {
  // expected-error @below {{expects result 1 to have shape [1, ?, 128], but it is 'memref<2x?x128xf8E4M3FN>'}}
  moe.expert_products %x, %sx w1(%w1, %s1) w2(%w2, %s2) items(%items, %counters) outs(%y, %h, %sh) {hidden = 200 : i64, intermediate = 72 : i64} :
      (memref<2x?x128xf8E4M3FN>, memref<2x?xf32>, memref<5x1x2x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<5x1x1x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<?xi32>, memref<?xi32>, memref<?x200xbf16>, memref<2x?x128xf8E4M3FN>, memref<1x?xf32>) -> () {
  ^bb0(%g: f32, %u: f32):
    %a = arith.mulf %g, %u : f32
    moe.yield %a : f32
  }
  return
}

// -----

func.func @expert_products_c3_arguments(%x: memref<2x?x128xf8E4M3FN>, %sx: memref<2x?xf32>, %w1: memref<5x1x2x256x128xf8E4M3FN>, %s1: memref<5x1x4xf32>, %w2: memref<5x1x1x256x128xf8E4M3FN>, %s2: memref<5x1x4xf32>, %items: memref<?xi32>, %counters: memref<?xi32>, %y: memref<?x200xbf16>, %h: memref<1x?x128xf8E4M3FN>, %sh: memref<1x?xf32>) {
  // expected-error @below {{expects a region of two f32 that yields one}}
  moe.expert_products %x, %sx w1(%w1, %s1) w2(%w2, %s2) items(%items, %counters) outs(%y, %h, %sh) {hidden = 200 : i64, intermediate = 72 : i64} :
      (memref<2x?x128xf8E4M3FN>, memref<2x?xf32>, memref<5x1x2x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<5x1x1x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<?xi32>, memref<?xi32>, memref<?x200xbf16>, memref<1x?x128xf8E4M3FN>, memref<1x?xf32>) -> () {
  ^bb0(%g: f32):
    moe.yield %g : f32
  }
  return
}

// -----

func.func @expert_products_c3_result(%x: memref<2x?x128xf8E4M3FN>, %sx: memref<2x?xf32>, %w1: memref<5x1x2x256x128xf8E4M3FN>, %s1: memref<5x1x4xf32>, %w2: memref<5x1x1x256x128xf8E4M3FN>, %s2: memref<5x1x4xf32>, %items: memref<?xi32>, %counters: memref<?xi32>, %y: memref<?x200xbf16>, %h: memref<1x?x128xf8E4M3FN>, %sh: memref<1x?xf32>) {
  // expected-error @below {{expects a region of two f32 that yields one}}
  moe.expert_products %x, %sx w1(%w1, %s1) w2(%w2, %s2) items(%items, %counters) outs(%y, %h, %sh) {hidden = 200 : i64, intermediate = 72 : i64} :
      (memref<2x?x128xf8E4M3FN>, memref<2x?xf32>, memref<5x1x2x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<5x1x1x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<?xi32>, memref<?xi32>, memref<?x200xbf16>, memref<1x?x128xf8E4M3FN>, memref<1x?xf32>) -> () {
  ^bb0(%g: f32, %u: f32):
    moe.yield %g, %u : f32, f32
  }
  return
}

// -----

func.func @expert_products_c3_none(%x: memref<2x?x128xf8E4M3FN>, %sx: memref<2x?xf32>, %w1: memref<5x1x2x256x128xf8E4M3FN>, %s1: memref<5x1x4xf32>, %w2: memref<5x1x1x256x128xf8E4M3FN>, %s2: memref<5x1x4xf32>, %items: memref<?xi32>, %counters: memref<?xi32>, %y: memref<?x200xbf16>, %h: memref<1x?x128xf8E4M3FN>, %sh: memref<1x?xf32>) {
  // expected-error @below {{expects a region of two f32 that yields one}}
  moe.expert_products %x, %sx w1(%w1, %s1) w2(%w2, %s2) items(%items, %counters) outs(%y, %h, %sh) {hidden = 200 : i64, intermediate = 72 : i64} :
      (memref<2x?x128xf8E4M3FN>, memref<2x?xf32>, memref<5x1x2x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<5x1x1x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<?xi32>, memref<?xi32>, memref<?x200xbf16>, memref<1x?x128xf8E4M3FN>, memref<1x?xf32>) -> () {
  ^bb0(%g: f32, %u: f32):
    llvm.unreachable
  }
  return
}

// -----

func.func @expert_products_c1_formats(%x: memref<4x?x64xbf16>, %w1: memref<5x1x4x256x64xbf16>, %w2: memref<5x1x2x256x64xf16>, %items: memref<?xi32>, %counters: memref<?xi32>, %y: memref<?x200xbf16>, %h: memref<2x?x64xbf16>) {
  // expected-error @below {{expects factors of 'bf16', but found 'memref<5x1x2x256x64xf16>'}}
  moe.expert_products %x w1(%w1) w2(%w2) items(%items, %counters) outs(%y, %h) {hidden = 200 : i64, intermediate = 72 : i64} :
      (memref<4x?x64xbf16>, memref<5x1x4x256x64xbf16>, memref<5x1x2x256x64xf16>, memref<?xi32>, memref<?xi32>, memref<?x200xbf16>, memref<2x?x64xbf16>) -> () {
  ^bb0(%g: f32, %u: f32):
    %a = arith.mulf %g, %u : f32
    moe.yield %a : f32
  }
  return
}

// -----

func.func @expert_products_c1_needless_scales(%x: memref<4x?x64xbf16>, %s: memref<4x?xf32>, %w1: memref<5x1x4x256x64xbf16>, %w2: memref<5x1x2x256x64xbf16>, %items: memref<?xi32>, %counters: memref<?xi32>, %y: memref<?x200xbf16>, %h: memref<2x?x64xbf16>) {
  // expected-error @below {{expects no scales of factors of 16 bits}}
  moe.expert_products %x, %s w1(%w1) w2(%w2) items(%items, %counters) outs(%y, %h) {hidden = 200 : i64, intermediate = 72 : i64} :
      (memref<4x?x64xbf16>, memref<4x?xf32>, memref<5x1x4x256x64xbf16>, memref<5x1x2x256x64xbf16>, memref<?xi32>, memref<?xi32>, memref<?x200xbf16>, memref<2x?x64xbf16>) -> () {
  ^bb0(%g: f32, %u: f32):
    %a = arith.mulf %g, %u : f32
    moe.yield %a : f32
  }
  return
}

// -----

func.func @expert_products_c1_missing_scales(%x: memref<2x?x128xf8E4M3FN>, %w1: memref<5x1x2x256x128xf8E4M3FN>, %w2: memref<5x1x1x256x128xf8E4M3FN>, %items: memref<?xi32>, %counters: memref<?xi32>, %y: memref<?x200xbf16>, %h: memref<1x?x128xf8E4M3FN>) {
  // expected-error @below {{expects scales of all factors of f8E4M3FN}}
  moe.expert_products %x w1(%w1) w2(%w2) items(%items, %counters) outs(%y, %h) {hidden = 200 : i64, intermediate = 72 : i64} :
      (memref<2x?x128xf8E4M3FN>, memref<5x1x2x256x128xf8E4M3FN>, memref<5x1x1x256x128xf8E4M3FN>, memref<?xi32>, memref<?xi32>, memref<?x200xbf16>, memref<1x?x128xf8E4M3FN>) -> () {
  ^bb0(%g: f32, %u: f32):
    %a = arith.mulf %g, %u : f32
    moe.yield %a : f32
  }
  return
}

// -----

func.func @expert_products_c1_h_bf16(%x: memref<4x?x64xbf16>, %w1: memref<5x1x4x256x64xbf16>, %w2: memref<5x1x2x256x64xbf16>, %items: memref<?xi32>, %counters: memref<?xi32>, %y: memref<?x200xbf16>, %h: memref<1x?x64xbf16>) {
  // expected-error @below {{expects result 1 to have shape [2, ?, 64], but it is 'memref<1x?x64xbf16>'}}
  moe.expert_products %x w1(%w1) w2(%w2) items(%items, %counters) outs(%y, %h) {hidden = 200 : i64, intermediate = 72 : i64} :
      (memref<4x?x64xbf16>, memref<5x1x4x256x64xbf16>, memref<5x1x2x256x64xbf16>, memref<?xi32>, memref<?xi32>, memref<?x200xbf16>, memref<1x?x64xbf16>) -> () {
  ^bb0(%g: f32, %u: f32):
    %a = arith.mulf %g, %u : f32
    moe.yield %a : f32
  }
  return
}

// -----

func.func @expert_products_c1_y_bf16(%x: memref<4x?x64xbf16>, %w1: memref<5x1x4x256x64xbf16>, %w2: memref<5x1x2x256x64xbf16>, %items: memref<?xi32>, %counters: memref<?xi32>, %y: memref<?x200xf32>, %h: memref<2x?x64xbf16>) {
  // expected-error @below {{expects result 0 to hold the element type of its input, but it is 'memref<?x200xf32>'}}
  moe.expert_products %x w1(%w1) w2(%w2) items(%items, %counters) outs(%y, %h) {hidden = 200 : i64, intermediate = 72 : i64} :
      (memref<4x?x64xbf16>, memref<5x1x4x256x64xbf16>, memref<5x1x2x256x64xbf16>, memref<?xi32>, memref<?xi32>, memref<?x200xf32>, memref<2x?x64xbf16>) -> () {
  ^bb0(%g: f32, %u: f32):
    %a = arith.mulf %g, %u : f32
    moe.yield %a : f32
  }
  return
}

// -----

func.func @copy_rows_c1(%x: tensor<?x200xf32>, %p: tensor<?xi32>) {
  // expected-error @below {{expects x to hold bf16 or f16, but it is 'tensor<?x200xf32>'}}
  %c = moe.copy_rows %x at %p {k = 1 : i64, padding = 128 : i64} : (tensor<?x200xf32>, tensor<?xi32>) -> tensor<4x?x64xf32>
  return
}

// -----

func.func @copy_rows_c2(%x: tensor<?x200xbf16>, %p: tensor<?xi32>) {
  // expected-error @below {{expects 1 <= k <= 32, but k is 33}}
  %c = moe.copy_rows %x at %p {k = 33 : i64, padding = 128 : i64} : (tensor<?x200xbf16>, tensor<?xi32>) -> tensor<4x?x64xbf16>
  return
}

// -----

func.func @copy_rows_c3(%x: tensor<?x200xbf16>, %p: tensor<?xi32>) {
  // expected-error @below {{expects padding to be a multiple of 8, but it is 4}}
  %c = moe.copy_rows %x at %p {k = 1 : i64, padding = 4 : i64} : (tensor<?x200xbf16>, tensor<?xi32>) -> tensor<4x?x64xbf16>
  return
}

// -----

func.func @list_rows_c1(%x: tensor<?x200xbf16>) {
  // expected-error @below {{expects k >= 1, and 1 without rows, but it is 2}}
  %l:4 = moe.list_rows %x {k = 2 : i64} : (tensor<?x200xbf16>) -> (tensor<?xi32>, tensor<1xi32>, tensor<?xi32>, tensor<?xi32>)
  return
}

// -----

func.func @list_rows_c1_rows(%x: tensor<3x200xbf16>, %r: tensor<5xi32>) {
  // expected-error @below {{expects rows to have shape [6], but it is 'tensor<5xi32>'}}
  %l:4 = moe.list_rows %x rows(%r) {k = 2 : i64} : (tensor<3x200xbf16>, tensor<5xi32>) -> (tensor<6xi32>, tensor<1xi32>, tensor<12xi32>, tensor<18xi32>)
  return
}

// -----

func.func @list_rows_c2(%x: tensor<?x200xbf16>, %o: tensor<1026xi32>) {
  // expected-error @below {{expects 1 to 1024 groups, but offsets are 'tensor<1026xi32>'}}
  %l:4 = moe.list_rows %x offsets(%o) : (tensor<?x200xbf16>, tensor<1026xi32>) -> (tensor<?xi32>, tensor<1025xi32>, tensor<?xi32>, tensor<?xi32>)
  return
}

// -----

func.func @list_rows_c4(%x: tensor<300x200xbf16>) {
  // expected-error @below {{expects result 2 to have shape [20], but it is 'tensor<16xi32>'}}
  %l:4 = moe.list_rows %x : (tensor<300x200xbf16>) -> (tensor<300xi32>, tensor<1xi32>, tensor<16xi32>, tensor<20xi32>)
  return
}

// -----

func.func @row_product_c1_columns(%x: tensor<4x?x64xbf16>, %w: tensor<5x1x4x256x64xbf16>, %items: tensor<?xi32>, %counters: tensor<?xi32>, %position: tensor<?xi32>, %shift: tensor<5xi32>) {
  // expected-error @below {{expects at least one column, but columns is 0}}
  %y = moe.row_product %x weights(%w) items(%items, %counters) at(%position, %shift) {columns = 0 : i64} :
      (tensor<4x?x64xbf16>, tensor<5x1x4x256x64xbf16>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<5xi32>) -> tensor<?x201xf32> {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

func.func @row_product_c1_weights(%x: tensor<4x?x64xbf16>, %w: tensor<5x2x4x256x64xbf16>, %items: tensor<?xi32>, %counters: tensor<?xi32>, %position: tensor<?xi32>, %shift: tensor<5xi32>) {
  // expected-error @below {{expects weights to have shape [5, 1, 4, 256, 64], but it is 'tensor<5x2x4x256x64xbf16>'}}
  %y = moe.row_product %x weights(%w) items(%items, %counters) at(%position, %shift) {columns = 201 : i64} :
      (tensor<4x?x64xbf16>, tensor<5x2x4x256x64xbf16>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<5xi32>) -> tensor<?x201xf32> {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

func.func @row_product_c1_depth(%x: tensor<3x?x64xbf16>, %w: tensor<5x1x4x256x64xbf16>, %items: tensor<?xi32>, %counters: tensor<?xi32>, %position: tensor<?xi32>, %shift: tensor<5xi32>) {
  // expected-error @below {{expects weights to have shape [5, 1, 3, 256, 64], but it is 'tensor<5x1x4x256x64xbf16>'}}
  %y = moe.row_product %x weights(%w) items(%items, %counters) at(%position, %shift) {columns = 201 : i64} :
      (tensor<3x?x64xbf16>, tensor<5x1x4x256x64xbf16>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<5xi32>) -> tensor<?x201xf32> {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

func.func @row_product_c1_shift(%x: tensor<4x?x64xbf16>, %w: tensor<5x1x4x256x64xbf16>, %items: tensor<?xi32>, %counters: tensor<?xi32>, %position: tensor<?xi32>, %shift: tensor<4xi32>) {
  // expected-error @below {{expects shift to have shape [5], but it is 'tensor<4xi32>'}}
  %y = moe.row_product %x weights(%w) items(%items, %counters) at(%position, %shift) {columns = 201 : i64} :
      (tensor<4x?x64xbf16>, tensor<5x1x4x256x64xbf16>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<4xi32>) -> tensor<?x201xf32> {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

func.func @row_product_c1_result(%x: tensor<4x?x64xbf16>, %w: tensor<5x1x4x256x64xbf16>, %items: tensor<?xi32>, %counters: tensor<?xi32>, %position: tensor<?xi32>, %shift: tensor<5xi32>) {
  // expected-error @below {{expects result 0 to have shape [?, 201], but it is 'tensor<?x200xf32>'}}
  %y = moe.row_product %x weights(%w) items(%items, %counters) at(%position, %shift) {columns = 201 : i64} :
      (tensor<4x?x64xbf16>, tensor<5x1x4x256x64xbf16>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<5xi32>) -> tensor<?x200xf32> {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

func.func @row_product_c1_element(%x: tensor<4x?x64xbf16>, %w: tensor<5x1x4x256x64xbf16>, %items: tensor<?xi32>, %counters: tensor<?xi32>, %position: tensor<?xi32>, %shift: tensor<5xi32>) {
  // expected-error @below {{expects a result of f32, bf16 or f16, but it is 'f64'}}
  %y = moe.row_product %x weights(%w) items(%items, %counters) at(%position, %shift) {columns = 201 : i64} :
      (tensor<4x?x64xbf16>, tensor<5x1x4x256x64xbf16>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<5xi32>) -> tensor<?x201xf64> {
  ^bb0(%a: f32):
    %b = arith.extf %a : f32 to f64
    moe.yield %b : f64
  }
  return
}

// -----

func.func @row_product_c3(%x: tensor<4x?x64xbf16>, %w: tensor<5x1x4x256x64xbf16>, %items: tensor<?xi32>, %counters: tensor<?xi32>, %position: tensor<?xi32>, %shift: tensor<5xi32>) {
  // expected-error @below {{expects a region of f32 and an element of each extra that yields one 'f32'}}
  %y = moe.row_product %x weights(%w) items(%items, %counters) at(%position, %shift) {columns = 201 : i64} :
      (tensor<4x?x64xbf16>, tensor<5x1x4x256x64xbf16>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<5xi32>) -> tensor<?x201xf32> {
  ^bb0(%a: f32, %b: f32):
    moe.yield %b : f32
  }
  return
}

// -----

func.func @row_product_c4_count(%x: tensor<4x?x64xbf16>, %w: tensor<5x1x4x256x64xbf16>, %items: tensor<?xi32>, %counters: tensor<?xi32>, %position: tensor<?xi32>, %shift: tensor<5xi32>, %e: tensor<201xf32>) {
  // expected-error @below {{expects a kind for each of 1 extras, but has 0}}
  %y = moe.row_product %x weights(%w) items(%items, %counters) at(%position, %shift) extras(%e) {columns = 201 : i64} :
      (tensor<4x?x64xbf16>, tensor<5x1x4x256x64xbf16>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<5xi32>, tensor<201xf32>) -> tensor<?x201xf32> {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

func.func @row_product_c4_kind(%x: tensor<4x?x64xbf16>, %w: tensor<5x1x4x256x64xbf16>, %items: tensor<?xi32>, %counters: tensor<?xi32>, %position: tensor<?xi32>, %shift: tensor<5xi32>, %e: tensor<201xf32>) {
  // expected-error @below {{expects kinds 0 to 3, but one is 4}}
  %y = moe.row_product %x weights(%w) items(%items, %counters) at(%position, %shift) extras(%e) {columns = 201 : i64, extra_kinds = array<i64: 4>} :
      (tensor<4x?x64xbf16>, tensor<5x1x4x256x64xbf16>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<5xi32>, tensor<201xf32>) -> tensor<?x201xf32> {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

func.func @row_product_c4_shape(%x: tensor<4x?x64xbf16>, %w: tensor<5x1x4x256x64xbf16>, %items: tensor<?xi32>, %counters: tensor<?xi32>, %position: tensor<?xi32>, %shift: tensor<5xi32>, %e: tensor<200xf32>) {
  // expected-error @below {{expects an extra to have shape [201], but it is 'tensor<200xf32>'}}
  %y = moe.row_product %x weights(%w) items(%items, %counters) at(%position, %shift) extras(%e) {columns = 201 : i64, extra_kinds = array<i64: 2>} :
      (tensor<4x?x64xbf16>, tensor<5x1x4x256x64xbf16>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<5xi32>, tensor<200xf32>) -> tensor<?x201xf32> {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

func.func @expert_products_c4_one_bias(%x: memref<2x?x128xf8E4M3FN>, %sx: memref<2x?xf32>, %w1: memref<5x1x2x256x128xf8E4M3FN>, %s1: memref<5x1x4xf32>, %w2: memref<5x1x1x256x128xf8E4M3FN>, %s2: memref<5x1x4xf32>, %b: memref<5x1x256xf32>, %items: memref<?xi32>, %counters: memref<?xi32>, %y: memref<?x200xbf16>, %h: memref<1x?x128xf8E4M3FN>, %sh: memref<1x?xf32>) {
  // expected-error @below {{expects both biases and a bias_element of f32, bf16 or f16, or none of them}}
  moe.expert_products %x, %sx w1(%w1, %s1) w2(%w2, %s2) w1_bias(%b) items(%items, %counters) outs(%y, %h, %sh) {bias_element = f32, hidden = 200 : i64, intermediate = 72 : i64} :
      (memref<2x?x128xf8E4M3FN>, memref<2x?xf32>, memref<5x1x2x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<5x1x1x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<5x1x256xf32>, memref<?xi32>, memref<?xi32>, memref<?x200xbf16>, memref<1x?x128xf8E4M3FN>, memref<1x?xf32>) -> () {
  ^bb0(%g: f32, %u: f32):
    %a = arith.mulf %g, %u : f32
    moe.yield %a : f32
  }
  return
}

// -----

func.func @expert_products_c4_shape(%x: memref<2x?x128xf8E4M3FN>, %sx: memref<2x?xf32>, %w1: memref<5x1x2x256x128xf8E4M3FN>, %s1: memref<5x1x4xf32>, %w2: memref<5x1x1x256x128xf8E4M3FN>, %s2: memref<5x1x4xf32>, %b: memref<5x1x256xf32>, %c: memref<5x2x256xf32>, %items: memref<?xi32>, %counters: memref<?xi32>, %y: memref<?x200xbf16>, %h: memref<1x?x128xf8E4M3FN>, %sh: memref<1x?xf32>) {
  // expected-error @below {{expects w2_bias to have shape [5, 1, 256], but it is 'memref<5x2x256xf32>'}}
  moe.expert_products %x, %sx w1(%w1, %s1) w2(%w2, %s2) w1_bias(%b) w2_bias(%c) items(%items, %counters) outs(%y, %h, %sh) {bias_element = bf16, hidden = 200 : i64, intermediate = 72 : i64} :
      (memref<2x?x128xf8E4M3FN>, memref<2x?xf32>, memref<5x1x2x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<5x1x1x256x128xf8E4M3FN>, memref<5x1x4xf32>, memref<5x1x256xf32>, memref<5x2x256xf32>, memref<?xi32>, memref<?xi32>, memref<?x200xbf16>, memref<1x?x128xf8E4M3FN>, memref<1x?xf32>) -> () {
  ^bb0(%g: f32, %u: f32):
    %a = arith.mulf %g, %u : f32
    moe.yield %a : f32
  }
  return
}
