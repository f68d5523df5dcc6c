#ifndef MOE_PLAN_OPS_TD
#define MOE_PLAN_OPS_TD

// The fused plan of an expert layer on the GPU: a few kernels with a device-side work list between them. Made by `moe-plan-experts`.
// Included by MoeOps.td.

def Moe_RouteRowsOp : Moe_ComputeOp<"route_rows", [AttrSizedOperandSegments]> {
  let summary = "Route, sort the assignments by expert, and list the work: one launch";
  let description = [{
    Experts and weights of each token as `moe.route` says (attributes as there). Then, with c[e] assignments of expert e, P = T * k:

        start[e] = sum_{e' < e} ceil(c[e'] / 8) * 8         each expert's rows begin at a multiple of 8
        position[t * k + j] = start[e] + number of assignments of e in front of (t, j), t first
        items: for each expert with rows, ceil(c[e] / 128) entries (expert, row0, valid, size | group << 4 | offset << 12), see moe.expert_products
        counters = 0
        `owner`: as for moe.list_rows
        with x, if T <= few: codes and scales as moe.quantize_rows gives them for x and position; else they are unspecified
    logits [T, E] float; selection_bias [E] float; sync [2] i32: a barrier between blocks, memory that is zero at first and that nothing else changes;
    weights [T, k] f32; position [P] i32; items [4 + 4 N] i32, counters [16 + N] i32 with N = E + P; histogram [256 E] i32: scratch.
    x [T, H] float; codes [KB, R, 128] f8E4M3FN and scales [KB, R] f32, R with `padding`: see moe.quantize_rows. Rows in all: at most P + 7 E.
    (C1) logits, bias and router attributes as for `moe.route`.   (C2) E <= 768, k <= 32, num_groups <= 32, not sparsemixer.   (C3) results as above.
    (C4) with x: 1 <= few <= 24 tokens, few * k <= 128, H a static multiple of 4, padding a multiple of 8; without it few and padding are 0.
  }];
  let arguments = (ins Moe_Array:$logits, Optional<Moe_Array>:$selection_bias, Moe_Array:$sync, Optional<Moe_Array>:$x, Variadic<AnyMemRef>:$outs,
      I64Attr:$k,
      DefaultValuedAttr<I64Attr, "0">:$few, DefaultValuedAttr<I64Attr, "0">:$padding, DefaultValuedAttr<I64Attr, "0">:$owner,
      DefaultValuedAttr<Moe_ScoreFn, "::mlir::moe::ScoreFn::Softmax">:$score,
      DefaultValuedAttr<I64Attr, "1">:$num_groups, DefaultValuedAttr<I64Attr, "1">:$top_groups,
      DefaultValuedAttr<Moe_GroupScore, "::mlir::moe::GroupScore::Max">:$group_score,
      DefaultValuedAttr<Moe_GroupFill, "::mlir::moe::GroupFill::NegInf">:$group_fill,
      DefaultValuedAttr<Moe_WeightFn, "::mlir::moe::WeightFn::Identity">:$weight_fn,
      DefaultValuedAttr<Moe_Normalize, "::mlir::moe::Normalize::None">:$normalize,
      DefaultValuedAttr<F32Attr, "0.0f">:$norm_eps, DefaultValuedAttr<F32Attr, "1.0f">:$norm_p,
      DefaultValuedAttr<F32Attr, "1.0f">:$scale);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    $logits (`bias` `(` $selection_bias^ `)`)? `sync` `(` $sync `)` (`rows` `(` $x^ `)`)? (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
}

def Moe_ListRowsOp : Moe_ComputeOp<"list_rows", [AttrSizedOperandSegments]> {
  let summary = "List the work of a product over groups of rows, and give each row its place";
  let description = [{
    Groups g of rows p with offsets[g] <= p < offsets[g + 1] (without `offsets`: one group of all P rows). With c[g] rows in group g and P = T * k:

        start[g] = sum_{g' < g} ceil(c[g'] / 8) * 8         each group's rows begin at a multiple of 8
        shift[g] = start[g] - offsets[g]
        position[r] = p + shift[g],  r = rows ? rows[p] : p                            the place of row p, found by where it comes from
        items: for each group with rows, ceil(c[g] / 128) entries (group, row0, valid, size | group << 4 | offset << 12), see moe.expert_products
        counters = 0
    `owner`: lists of different owners are not one op, though they are equal: moe.expert_products leaves its list's counters changed.
    x [T, K]: only T is read; offsets [G + 1] i32; rows [P] i32; position [P] i32, shift [G] i32, items [4 + 4 N] i32, counters [16 + N] i32 with
    N = G + ceil(P / 128).
    (C1) x has rank 2, k >= 1; without `rows`, k = 1.   (C2) 1 <= G <= 1024.   (C3) of the data, which only their producer can see to: offsets
    ascend from 0 to P, and rows are a permutation of 0 to P - 1, as `moe.dispatch` makes them.   (C4) results as above.
  }];
  let arguments = (ins Moe_Array:$x, Optional<Moe_Array>:$offsets, Optional<Moe_Array>:$rows, Variadic<AnyMemRef>:$outs,
      DefaultValuedAttr<I64Attr, "1">:$k, DefaultValuedAttr<I64Attr, "0">:$owner);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    $x (`offsets` `(` $offsets^ `)`)? (`rows` `(` $rows^ `)`)? (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
}

def Moe_QuantizeRowsOp : Moe_ComputeOp<"quantize_rows", [AttrSizedOperandSegments]> {
  let summary = "Quantize each token once, in blocks of 128, and write it to the rows of its assignments";
  let description = [{
        s[t, kb] = max(|x[t, k in kb]|, 1e-4) / 448
        codes[kb, position[t * k + j], i] = e4m3(x[t, 128 kb + i] / s[t, kb]),  scales[kb, position[t * k + j]] = s[t, kb]     for j < k
    x [T, H] float; position [T * k] i32; codes [KB, R, 128] f8E4M3FN in the layout of moe.expert_products, scales [KB, R] f32; KB = ceil(H / 128),
    R = T * k rounded up to a multiple of 8, + padding. Columns past H are zero; rows of no assignment are unspecified.
    `into`: the results are written in place of these values, which moe.route_rows has computed already where T <= few: nothing runs then.
    (C1) x has rank 2 and static H.   (C2) 1 <= k <= 32.   (C3) padding is a multiple of 8.   (C4) codes and scales of `into` have the results' types, and few > 0 only with them.
  }];
  let arguments = (ins Moe_Array:$x, Moe_Array:$position, Optional<Moe_Array>:$codes, Optional<Moe_Array>:$scales, Variadic<AnyMemRef>:$outs, I64Attr:$k,
      I64Attr:$padding, DefaultValuedAttr<I64Attr, "0">:$few);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = "$x `at` $position (`into` `(` $codes^ `,` $scales `)`)? (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)";
}

def Moe_CopyRowsOp : Moe_ComputeOp<"copy_rows"> {
  let summary = "Write each token to the rows of its assignments, as it is";
  let description = [{
        out[kb, position[t * k + j], i] = x[t, 64 kb + i]     for j < k
    What `moe.quantize_rows` is for FP8: x [T, H] of a 16-bit float; position [T * k] i32; out [KB, R, 64] of x's elements in the layout of
    moe.expert_products, KB = ceil(H / 64), R = T * k rounded up to a multiple of 8, + padding. Columns past H are zero; rows of no assignment
    are unspecified.   (C1) x has rank 2, static H and elements of bf16 or f16.   (C2) 1 <= k <= 32.   (C3) padding is a multiple of 8.
  }];
  let arguments = (ins Moe_Array:$x, Moe_Array:$position, Variadic<AnyMemRef>:$outs, I64Attr:$k, I64Attr:$padding);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = "$x `at` $position (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)";
}

def Moe_ExpertProductsOp : Moe_ComputeOp<"expert_products", [AttrSizedOperandSegments, SingleBlock]> {
  let summary = "Both products of the routed experts, with the activation between them, over a work list";
  let description = [{
    For every row p of item j = (e, row0, valid, ...) of the work list, row0 <= p < row0 + valid, in FP8 with blocks of D = 128 elements:

        g[p, i], u[p, i] = sum_kb (sum_{k in kb} x[p, k] * w1[e, gate | up, i, k]) * sx[kb, p] * s1[e, gate | up, i/128, kb]   (+ w1_bias)
        a[p, i]          = region(g, u)
        sh[ib, p]        = max(|a[p, i in ib]|, 1e-4) / 448,   h[p, i] = e4m3(a / sh)
        y[p, n]          = sum_ib (sum_{i in ib} h[p, i] * w2[e, n, i]) * sh[ib, p] * s2[e, n/128, ib]   (+ w2_bias)   bf16

    Partial sums are promoted to f32 every 128. In bf16 or f16, with D = 64, there are no scales: sums are in f32, h and y are rounded to the format.
    Rows of no item are unspecified.
    R rows (a multiple of 8), KB = ceil(H/D), IB = ceil(I/D), JB = ceil(I/128), NB = ceil(H/256); x, h and weights are f8E4M3FN, bf16 or f16:
    x [KB, R, D] and h [IB, R, D]: 16-byte piece q of row p lies at q xor (p mod 8), columns past the end are zero;
    x_scales [KB, R], h_scales [IB, R] f32;
    w1 [E, JB, KB, 256, D]: a tile of 256 rows holds 128 columns of I for gate and up, pieces as in x. In FP8 row 128 w + 64 s + 16 v + 8 g + r is gate
    (g = 0) or up (1) of column 64 w + 16 v + 2 r + s; in 16 bits row 16 v + 8 g + r is that of column 8 v + r;
    w1_scales [E, JB, L1] f32: gate's KB scales, then up's; L1 = 2 KB rounded up to a multiple of 4;
    w2 [E, NB, IB, 256, D]: rows of H as they are, pieces as in x;   w2_scales [E, NB, L2] f32: IB scales of the first 128 rows, then of the others;
    w1_bias [E, JB, 256], w2_bias [E, NB, 256] f32: of the rows of the tiles, in their order. A sum is rounded to bias_element (f32, bf16 or f16), the
    bias too, and they are added in it;
    items [N] i32: items[0] items, none of more than items[1] rows, then from word 4 on four words an item: expert, row0, valid,
    size | group << 4 | offset << 12 (8 << size rows are read;
    item j is number `offset` of `group` items of one expert that stand together);
    counters [N'] i32, zero before and changed by the kernel: N' >= 16 + items.   Results y [R, H] (bf16 in FP8), h, and in FP8 h_scales.
    (C1) shapes and types as above; H is a multiple of 8; all three scales in FP8, else none.   (C2) of each item, which only its producer can see to: row0
    is a multiple of 8, size is 0 to 4, and row0 + (8 << size) <= R.   (C3) the region takes two f32 and yields one.   (C4) both biases and
    bias_element, or none of them.
    Source: docs/Spec.md, expert layer on the GPU.
  }];
  let arguments = (ins Moe_Array:$x, Optional<Moe_Array>:$x_scales, Moe_Array:$w1, Optional<Moe_Array>:$w1_scales, Moe_Array:$w2,
      Optional<Moe_Array>:$w2_scales, Optional<Moe_Array>:$w1_bias, Optional<Moe_Array>:$w2_bias, Moe_Array:$items, Moe_Array:$counters,
      Variadic<AnyMemRef>:$outs, I64Attr:$hidden, I64Attr:$intermediate, OptionalAttr<TypeAttr>:$bias_element);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region SizedRegion<1>:$epilogue);
  let assemblyFormat = [{
    $x (`,` $x_scales^)? `w1` `(` $w1 (`,` $w1_scales^)? `)` `w2` `(` $w2 (`,` $w2_scales^)? `)`
    (`w1_bias` `(` $w1_bias^ `)`)? (`w2_bias` `(` $w2_bias^ `)`)? `items` `(` $items `,` $counters `)`
    (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results) $epilogue
  }];
  let hasRegionVerifier = 1;
}

def Moe_RowProductOp : Moe_ComputeOp<"row_product", [AttrSizedOperandSegments, SingleBlock]> {
  let summary = "One product of rows with the weights of their group, and an epilogue on each element, over a work list";
  let description = [{
    For every row p of group g and column n, with the row at place q = p + shift[g] of x (see `moe.list_rows`):

        acc       = sum_kb (sum_{k in kb} x[q, k] * weights[g, n, k]) * x_scales[kb, q] * weight_scales[g, n/128, kb]
        out[p, n] = region(acc, extra_0, ...)

    In FP8 partial sums are promoted to f32 every 128; in bf16 or f16 there are no scales and sums are in f32. Results stand in the caller's
    order without gaps, whatever the places of the rows.
    x [KB, R, D], x_scales [KB, R], weights [G, NB, KB, 256, D], weight_scales [G, NB, L], items and D as x and w2 of `moe.expert_products` have them;
    NB = ceil(N/256); counters [N'] i32, of which only the first is used: zero before and after; position [P] i32: only P is read;
    shift [G] i32; extras of `extra_kinds` as in `moe.grouped_matmul`: 0 = [P, N], 1 = [G, N], 2 = [N], 3 = [P]; out [P, N] of f32, bf16 or f16.
    (C1) shapes and types as above; both scales in FP8, else none.   (C2) as for `moe.expert_products`.   (C3) the region takes f32 and one scalar
    an extra and yields out's element.   (C4) extras match `extra_kinds`.
  }];
  let arguments = (ins Moe_Array:$x, Optional<Moe_Array>:$x_scales, Moe_Array:$weights, Optional<Moe_Array>:$weight_scales,
      Moe_Array:$items, Moe_Array:$counters, Moe_Array:$position, Moe_Array:$shift, Variadic<Moe_Array>:$extras, Variadic<AnyMemRef>:$outs,
      I64Attr:$columns, DefaultValuedAttr<DenseI64ArrayAttr, "{}">:$extra_kinds);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region SizedRegion<1>:$epilogue);
  let assemblyFormat = [{
    $x (`,` $x_scales^)? `weights` `(` $weights (`,` $weight_scales^)? `)` `items` `(` $items `,` $counters `)` `at` `(` $position `,` $shift `)`
    (`extras` `(` $extras^ `)`)? (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results) $epilogue
  }];
  let hasRegionVerifier = 1;
}

#endif // MOE_PLAN_OPS_TD
