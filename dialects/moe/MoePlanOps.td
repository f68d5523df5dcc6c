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
        with x, if T <= few: codes and scales as moe.quantize_rows gives them for x and position; else they are unspecified
    logits [T, E] float; selection_bias [E] float; sync [2] i32: a barrier between blocks, memory that is zero at first and that nothing else changes;
    weights [T, k] f32; position [P] i32; items [4 + 4 N] i32, counters [16 + N] i32 with N = E + P; histogram [256 E] i32: scratch.
    x [T, H] float; codes [KB, R, 128] f8E4M3FN and scales [KB, R] f32, R with `padding`: see moe.quantize_rows. Rows in all: at most P + 7 E.
    (C1) logits, bias and router attributes as for `moe.route`.   (C2) E <= 768, k <= 32, num_groups <= 32, not sparsemixer.   (C3) results as above.
    (C4) with x: 1 <= few <= 24 tokens, few * k <= 128, H a static multiple of 4, padding a multiple of 8; without it few and padding are 0.
  }];
  let arguments = (ins Moe_Array:$logits, Optional<Moe_Array>:$selection_bias, Moe_Array:$sync, Optional<Moe_Array>:$x, Variadic<AnyMemRef>:$outs,
      I64Attr:$k,
      DefaultValuedAttr<I64Attr, "0">:$few, DefaultValuedAttr<I64Attr, "0">:$padding,
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

def Moe_QuantizeRowsOp : Moe_ComputeOp<"quantize_rows", [AttrSizedOperandSegments]> {
  let summary = "Quantize each token once, in blocks of 128, and write it to the rows of its assignments";
  let description = [{
        s[t, kb] = max(|x[t, k in kb]|, 1e-4) / 448
        codes[kb, position[t * k + j], i] = e4m3(x[t, 128 kb + i] / s[t, kb]),  scales[kb, position[t * k + j]] = s[t, kb]     for j < k
    x [T, H] float; position [T * k] i32; codes [KB, R, 128] f8E4M3FN in the layout of moe.expert_products, scales [KB, R] f32; KB = ceil(H / 128),
    R = T * k rounded up to a multiple of 8, + padding. Columns past H are zero; rows of no assignment are unspecified.
    `into`: the results are written in place of these values, which moe.route_rows has computed already where T <= few: nothing runs then.
    (C1) x has rank 2 and static H, a multiple of 4.   (C2) 1 <= k <= 32.   (C3) padding is a multiple of 8.   (C4) codes and scales of `into` have the results' types, and few > 0 only with them.
  }];
  let arguments = (ins Moe_Array:$x, Moe_Array:$position, Optional<Moe_Array>:$codes, Optional<Moe_Array>:$scales, Variadic<AnyMemRef>:$outs, I64Attr:$k,
      I64Attr:$padding, DefaultValuedAttr<I64Attr, "0">:$few);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = "$x `at` $position (`into` `(` $codes^ `,` $scales `)`)? (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)";
}

def Moe_ExpertProductsOp : Moe_ComputeOp<"expert_products", [SingleBlock]> {
  let summary = "Both products of the routed experts, with the activation between them, over a work list";
  let description = [{
    For every row p of item j = (e, row0, valid, ...) of the work list, row0 <= p < row0 + valid, with blocks of 128:

        g[p, i], u[p, i] = sum_kb (sum_{k in kb} x[p, k] * w1[e, gate | up, i, k]) * sx[kb, p] * s1[e, gate | up, i/128, kb]
        a[p, i]          = region(g, u)
        sh[ib, p]        = max(|a[p, i in ib]|, 1e-4) / 448,   h[p, i] = e4m3(a / sh)
        y[p, n]          = sum_ib (sum_{i in ib} h[p, i] * w2[e, n, i]) * sh[ib, p] * s2[e, n/128, ib]      bf16

    Partial sums are promoted to f32 every 128. Rows of no item are unspecified.
    R rows (a multiple of 8), KB = ceil(H/128), IB = ceil(I/128), NB = ceil(H/256); all buffers of codes are f8E4M3FN:
    x [KB, R, 128] and h [IB, R, 128]: 16-byte piece q of row p lies at q xor (p mod 8), columns past the end are zero;
    x_scales [KB, R], h_scales [IB, R] f32;
    w1 [E, IB, KB, 256, 128]: a tile of 256 rows holds 128 columns of I for gate and up, row 128 w + 64 s + 16 v + 8 g + r is gate (g = 0) or up (1) of
    column 64 w + 16 v + 2 r + s, pieces as in x;   w1_scales [E, IB, L1] f32: gate's KB scales, then up's; L1 = 2 KB rounded up to a multiple of 4;
    w2 [E, NB, IB, 256, 128]: rows of H as they are, pieces as in x;   w2_scales [E, NB, L2] f32: IB scales of the first 128 rows, then of the others;
    items [N] i32: items[0] items, none of more than items[1] rows, then from word 4 on four words an item: expert, row0, valid, size | group << 4 | offset << 12 (8 << size rows are read;
    item j is number `offset` of `group` items of one expert that stand together);
    counters [N'] i32, zero before and changed by the kernel: N' >= 16 + items.   y [R, H] bf16.
    (C1) shapes and types as above; H is a multiple of 8.   (C2) of each item, which only its producer can see to: row0 is a multiple of 8,
    size is 0 to 4, and row0 + (8 << size) <= R.   (C3) the region takes two f32 and yields one.
    Source: docs/Spec.md, expert layer on the GPU.
  }];
  let arguments = (ins Moe_Array:$x, Moe_Array:$x_scales, Moe_Array:$w1, Moe_Array:$w1_scales, Moe_Array:$w2, Moe_Array:$w2_scales,
      Moe_Array:$items, Moe_Array:$counters, Variadic<AnyMemRef>:$outs,
      I64Attr:$hidden, I64Attr:$intermediate);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region SizedRegion<1>:$epilogue);
  let assemblyFormat = [{
    $x `,` $x_scales `w1` `(` $w1 `,` $w1_scales `)` `w2` `(` $w2 `,` $w2_scales `)` `items` `(` $items `,` $counters `)` (`outs` `(` $outs^ `)`)? attr-dict `:`
    functional-type(operands, results) $epilogue
  }];
  let hasRegionVerifier = 1;
}

#endif // MOE_PLAN_OPS_TD
