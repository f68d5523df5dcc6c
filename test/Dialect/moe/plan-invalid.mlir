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
  // expected-error @below {{expects codes of f8E4M3FN, but found 'memref<2x?x128xf8E5M2>'}}
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
