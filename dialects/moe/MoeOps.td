#ifndef MOE_OPS_TD
#define MOE_OPS_TD

include "dialects/moe/MoeAttrs.td"
include "dialects/moe/MoeBase.td"
include "dialects/moe/MoeInterfaces.td"
include "dialects/moe/MoeTypes.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Moe_Op<string mnemonic, list<Trait> traits = []> : Op<Moe_Dialect, mnemonic, traits>;

// A tensor while values flow, a memref once buffers are planned.
def Moe_Array : AnyTypeOf<[AnyRankedTensor, AnyMemRef], "ranked tensor or memref">;
// The operand of a product: it may also carry scales.
def Moe_Factor : AnyTypeOf<[AnyRankedTensor, AnyMemRef, Moe_Scaled], "ranked tensor, memref or scaled value">;

// One unit of computation. On tensors: results, no `outs`. On buffers: `outs`, no results (verified for every op: C0).
class Moe_ComputeOp<string mnemonic, list<Trait> traits = []> : Moe_Op<mnemonic, traits # [
    DeclareOpInterfaceMethods<MoeComputeOpInterface>,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
    DeclareOpInterfaceMethods<ConditionallySpeculatable>,
    DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>]> {
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

def Moe_WeightOp : Moe_Op<"weight", [Symbol]> {
  let summary = "A named weight: a recipe over pieces of files, never its values";
  let description = [{
    Declares a tensor that lives in files. It is evaluated only while the artefact is written.
    (C1) `recipe` is a `#moe.piece` or `#moe.recipe`.   (C2) `type(recipe) == type`.   (C3) `type` is static.
    `source` keeps the name the model's author gave the tensor.
    Example: `moe.weight @w : tensor<4xf32> = #moe.recipe<cast, {}, [#moe.piece<"w.bin", 0, 8, tensor<4xbf16>>], tensor<4xf32>>`
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, OptionalAttr<StrAttr>:$sym_visibility,
                       TypeAttrOf<AnyStaticShapeTensor>:$type, AnyAttr:$recipe, OptionalAttr<StrAttr>:$source);
  let assemblyFormat = "$sym_name `:` $type `=` $recipe attr-dict";
  let hasVerifier = 1;
}

def Moe_GetWeightOp : Moe_Op<"get_weight", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "The value of a named weight";
  let description = [{
    (C1) `name` refers to a `moe.weight`.   (C2) its type is the type of the result.
  }];
  let arguments = (ins FlatSymbolRefAttr:$name);
  let results = (outs Moe_Array:$result);
  let assemblyFormat = "$name attr-dict `:` type($result)";
}

def Moe_YieldOp : Moe_Op<"yield", [Pure, Terminator, ReturnLike, ParentOneOf<["ExpertsOp", "GroupedMatmulOp", "ExpertProductsOp", "RowProductOp"]>]> {
  let summary = "Ends the region of a `moe` op with its values";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
  let builders = [OpBuilder<(ins), [{ /* no values */ }]>];
}

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

def Moe_RouteOp : Moe_ComputeOp<"route", [AttrSizedOperandSegments]> {
  let summary = "Choose k experts and their weights for each token";
  let description = [{
    One op for every token-choice router. In f32, per token t:

        s      = score(logits[t, :])                      none | softmax over E | sigmoid | sparsemixer
        c      = s + selection_bias                       used for selection only
        if num_groups > 1:
          gs[g]  = max(c in g) | sum of the two largest c in g
          keep   = top(gs, top_groups)
          c[e]   = 0 | -inf for experts outside `keep`    group_fill
        idx    = top_k(c, k)                              value descending, then index ascending; NaN as -inf
        w      = s[idx]                                   never c
        w      = weight_fn(w)                             identity | softmax over the k | sigmoid
        w      = normalize(w)                             none | w / (sum + eps) | w / max(sum, eps) | w / ||w||_p
        weights[t, :] = w * scale,  indices[t, :] = idx

    `score = sparsemixer` (k = 2): for pick i in {1, 2}, with m the largest remaining logit, experts with
    (m - l) / max(|l|, m) > 2 * sparsemixer_eps are dropped and the weight is the softmax over those kept, at the pick.
    logits [T, E] float; selection_bias [E] float; weights [T, k] float, indices [T, k] i64.
    (C1) `logits` has rank 2 and static E.   (C2) 1 <= k <= E.   (C3) `selection_bias` has shape [E].
    (C4) `num_groups` divides E; 1 <= top_groups <= num_groups; the kept groups hold at least k experts.
    (C5) `group_score = top2_sum` needs two experts in a group.   (C6) weights [T, k] float, indices [T, k] i64.
    (C7) `sparsemixer` needs k = 2, no groups, no bias, `weight_fn = identity`, `normalize = none`.   (C8) `norm_p` >= 1.
    Source: docs/Spec.md, routers.   Example: test/Dialect/moe/ops.mlir
  }];
  let arguments = (ins Moe_Array:$logits, Optional<Moe_Array>:$selection_bias, Variadic<AnyMemRef>:$outs,
      I64Attr:$k,
      DefaultValuedAttr<Moe_ScoreFn, "::mlir::moe::ScoreFn::Softmax">:$score,
      DefaultValuedAttr<I64Attr, "1">:$num_groups, DefaultValuedAttr<I64Attr, "1">:$top_groups,
      DefaultValuedAttr<Moe_GroupScore, "::mlir::moe::GroupScore::Max">:$group_score,
      DefaultValuedAttr<Moe_GroupFill, "::mlir::moe::GroupFill::NegInf">:$group_fill,
      DefaultValuedAttr<Moe_WeightFn, "::mlir::moe::WeightFn::Identity">:$weight_fn,
      DefaultValuedAttr<Moe_Normalize, "::mlir::moe::Normalize::None">:$normalize,
      DefaultValuedAttr<F32Attr, "0.0f">:$norm_eps, DefaultValuedAttr<F32Attr, "1.0f">:$norm_p,
      DefaultValuedAttr<F32Attr, "1.0f">:$scale, DefaultValuedAttr<F32Attr, "0.01f">:$sparsemixer_eps);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    $logits (`bias` `(` $selection_bias^ `)`)? (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
  let hasCanonicalizer = 1;
}

//===----------------------------------------------------------------------===//
// Experts and their parts
//===----------------------------------------------------------------------===//

def Moe_ExpertsOp : Moe_ComputeOp<"experts", [AttrSizedOperandSegments, SingleBlock]> {
  let summary = "The routed experts of a layer: any per-token function of weights";
  let description = [{
    weight_on = output:  y[t] = sum_j weights[t, j] * body_{indices[t, j]}(x[t])       summed in f32, in slot order j
    weight_on = input:   y[t] = sum_j body_{indices[t, j]}(weights[t, j] * x[t])

    The region holds the function of one expert on a block of its rows: its first argument is `tensor<?xH>` (rows of x),
    the others are the expert's slices of `params` (leading dim E dropped); it yields `tensor<?xH'>`. Row r of the
    result may depend on row r of the first argument alone. The region sees nothing from outside but constants,
    weights and what pure ops make of them alone.
    x [T, H]; weights [T, k] float; indices [T, k] integer in [0, E); params [E, ...]; result [T, H'].
    (C1) x, weights, indices have rank 2 and agree in T; weights and indices agree in k.
    (C2) every param has the same static leading dim E.   (C3) the region's arguments are as above.
    (C4) the region yields one rank-2 tensor of x's element type; result [T, H'].   (C5) the region is isolated but for those.
    Example: test/Dialect/moe/ops.mlir
  }];
  let arguments = (ins Moe_Array:$x, Moe_Array:$weights, Moe_Array:$indices, Variadic<Moe_Array>:$params,
      Variadic<AnyMemRef>:$outs,
      DefaultValuedAttr<Moe_WeightOn, "::mlir::moe::WeightOn::Output">:$weight_on);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $x `,` $weights `,` $indices `params` `(` $params `)` (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results) $body
  }];
  let hasRegionVerifier = 1;
  let hasCanonicalizer = 1;
}

def Moe_DispatchOp : Moe_ComputeOp<"dispatch"> {
  let summary = "Sort assignments by expert: the permutation that makes each expert's rows contiguous";
  let description = [{
        offsets[e] = #{a : expert(a) < e}                 prefix sums in rows, [E + 1]
        order      = stable counting sort of a by expert  order[p] = a; within an expert a ascends
        position[a] = p such that order[p] = a
    indices [T, k] integer in [0, E); offsets [E + 1] i32; order [P] i32; position [P] i32; P = T * k.
    (C1) indices has rank 2.   (C2) num_experts >= 1.   (C3) results have the shapes above.
    Source: docs/Spec.md, sorted permutation.
  }];
  let arguments = (ins Moe_Array:$indices, Variadic<AnyMemRef>:$outs, I64Attr:$num_experts);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = "$indices (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)";
}

def Moe_GroupedMatmulOp : Moe_ComputeOp<"grouped_matmul", [AttrSizedOperandSegments, SingleBlock,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Products of rows with the weights of their group, and an epilogue on each element";
  let description = [{
    For every row p of group g(p) (offsets[g] <= p < offsets[g + 1]; without `offsets` one group holds all rows), source
    row r(p) = rows[p] / rows_divisor (without `rows`: p), and every column n:

        acc_i = sum_k x[r(p), k] * weights_i[g(p), n, k]                          in f32, k ascending in one chain per k-block
        out[p, n] = epilogue(acc_0, acc_1, ..., extra_0[p or group, n], ...)

    `packed = 0`: weights_i [G, N, K].  `packed = panel`: weights_i [G, ceil(N/panel), K, panel] (see `#moe.recipe` pack);
    then `columns` gives N.
    The region gets one f32 per weight, then one scalar per extra, and yields the element. Each extra is [P, N] (an
    element each), [G, N] with `offsets` present and rank-2 leading dim equal to the groups (a bias per group), or [N].
    `extra_kinds` says which: 0 = [P, N], 1 = [G, N], 2 = [N], 3 = [P] (one value a row), 4 = [T', N] read at row r(p).
    x [R, K]; offsets [G + 1] i32; rows [P] i32; out [P, N] with P = rows ? size(rows) : R.
    (C1) x has rank 2.   (C2) all weights have one type.   (C3) K agrees.   (C4) offsets has G + 1 elements and is
    present unless G = 1.   (C5) the region's arguments are as above and it yields one value of out's element type.
    (C6) extras match `extra_kinds`.   (C7) out is [P, N].   (C8) packed weights have rank 4 and say `columns`.
    Dense, grouped and gathered products are this one op.

    **Scaled operands.** Weights may be `!moe.scaled` (f8 codes qw with scales sw), and x then too (qx, sx; else qx = x, sx = 1).
    With bk the block along K, the sum runs over intervals I of `promotion` consecutive k, in ascending order:

        acc_i = sum_I (sum_{k in I} qx[r, k] * qw_i[g, n, k]) * (sx[r / bm, k / bk] * sw_i[g / bg, n / bn, k / bk])

    The outer sum is in f32; the inner one may have the precision of a matrix unit. A target whose accumulators are f32 may
    as well sum scaled values in one chain.
    After `moe-split-scaled` the same product has codes as x and weights, `x_scales` [ceil(R / bm), ceil(K / bk)] with
    `x_block = [bm, bk]`, and `weight_scales_i` [ceil(G / bg), ceil(N / bn), ceil(K / bk)] with `weight_block = [bg, bn, bk]`;
    0 in a block is the whole extent. Scales are never packed.
    (C9) scaled x is `row` with a block of rank 2, scaled weights are `row` with a block of rank 3.   (C10) scaled x needs scaled
    weights; both agree in the block along K, in the type of codes and in the type of scales.   (C11) promotion >= 1, and it
    divides the block along K unless that is 0.   (C12) split: scales go with codes of f8E4M3FN or f8E5M2, there is one for each
    weight, and their shapes are those above.   (C13) codes and scales come from the same `moe.quantize_blocks`, or from weights
    of which the one was quantized with the other.
  }];
  let arguments = (ins Moe_Factor:$x, Variadic<Moe_Factor>:$weights, Optional<Moe_Array>:$offsets, Optional<Moe_Array>:$rows,
      Variadic<Moe_Array>:$extras, Optional<Moe_Array>:$x_scales, Variadic<Moe_Array>:$weight_scales, Variadic<AnyMemRef>:$outs,
      DefaultValuedAttr<I64Attr, "1">:$rows_divisor, DefaultValuedAttr<I64Attr, "0">:$packed,
      DefaultValuedAttr<I64Attr, "0">:$columns, DefaultValuedAttr<DenseI64ArrayAttr, "{}">:$extra_kinds,
      DefaultValuedAttr<I64Attr, "128">:$promotion, DefaultValuedAttr<DenseI64ArrayAttr, "{}">:$x_block,
      DefaultValuedAttr<DenseI64ArrayAttr, "{}">:$weight_block);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region SizedRegion<1>:$epilogue);
  let assemblyFormat = [{
    $x (`scales` `(` $x_scales^ `)`)? `weights` `(` $weights `)` (`weight_scales` `(` $weight_scales^ `)`)?
    (`offsets` `(` $offsets^ `)`)? (`rows` `(` $rows^ `)`)? (`extras` `(` $extras^ `)`)? (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results) $epilogue
  }];
  let hasRegionVerifier = 1;
  let hasCanonicalizer = 1;
}

def Moe_CombineOp : Moe_ComputeOp<"combine", [AttrSizedOperandSegments]> {
  let summary = "Weighted sum of each token's expert outputs, in slot order";
  let description = [{
        out[t, h] = (residual[t, h]) + sum_{j = 0..k-1} weights[t, j] * y[position[t*k + j], h]       in f32, j ascending
    y [P, H]; position [P] i32; weights [T, k]; residual [T, H]; out [T, H].
    (C1) ranks are 2, 1, 2.   (C2) residual has out's shape.   (C3) out is [T, H].
    Without `weights` values multiply by one (their routing weight went into the expert's input).
  }];
  let arguments = (ins Moe_Array:$y, Moe_Array:$position, Optional<Moe_Array>:$weights, Optional<Moe_Array>:$residual,
      Variadic<AnyMemRef>:$outs, I64Attr:$k);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    $y `at` $position (`weights` `(` $weights^ `)`)? (`residual` `(` $residual^ `)`)? (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
  let hasCanonicalizer = 1;
}

//===----------------------------------------------------------------------===//
// FP8
//===----------------------------------------------------------------------===//

def Moe_QuantizeOp : Moe_Op<"quantize", [Pure]> {
  let summary = "Quantize to 8-bit floats with one scale per block";
  let description = [{
        amax[b]  = max over block b of |input|                     NaN if the block has one
        scale[b] = max(amax[b], 1e-4) / largest                    in f32; largest = 448 (f8E4M3FN), 57344 (f8E5M2)
                   f8E8M0FNU: 2^ceil(log2(scale[b]))
        code[i]  = round_nearest_even(input[i] / scale[i / block])    saturating
    input f16, bf16 or f32; the result's type says block, scale type and layout. Scales are dimensionless.
    (C1) input is f16, bf16 or f32 (an 8-bit input would be quantized twice).   (C2) shape(result) == shape(input).
    (C3) input is not a `moe.dequantize`: that is quantizing twice; `moe.requantize` says where the values come from.
    Source: DeepSeek-V3, arXiv:2412.19437, section 3.3.2.   Example: test/Dialect/moe/scaled.mlir
  }];
  let arguments = (ins AnyRankedTensor:$input);
  let results = (outs Moe_Scaled:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Moe_DequantizeOp : Moe_Op<"dequantize", [Pure]> {
  let summary = "The values of a scaled value";
  let description = [{
        out[i] = code[i] * scale[i / block]          in f32, rounded once to the result's type
    (C1) the result holds f16, bf16 or f32.   (C2) shape(result) == shape(input).
  }];
  let arguments = (ins Moe_Scaled:$input);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Moe_RequantizeOp : Moe_Op<"requantize", [Pure]> {
  let summary = "The same values under another block, scale type or layout";
  let description = [{
    Row and column copies of a tensor are quantized from high precision, never from each other. So the copy names the
    values that `input` was quantized from:

        result = quantize(source)               transposed: of source with its last two dims swapped

    Without `source` there is one path: from powers of two to powers of two, where the new scale moves exponents and rounds
    nothing but what falls below the smallest code: result = quantize(dequantize(input)).
    (C1) with `source`: it is f16, bf16 or f32 and has input's shape, and input is the `moe.quantize` of it.
    (C2) without `source`: both scale types are f8E8M0FNU and both have the same type of codes.
    (C3) shape(result) == shape(input), with the last two dims swapped if `transposed`.
    Source: DeepSeek-V3, arXiv:2412.19437, section 3.3.2 (1 x 128 to 128 x 1).   Example: test/Dialect/moe/scaled.mlir
  }];
  let arguments = (ins Moe_Scaled:$input, Optional<AnyRankedTensor>:$source, UnitAttr:$transposed);
  let results = (outs Moe_Scaled:$result);
  let assemblyFormat = "$input (`from` $source^ `:` type($source) `,`):(`:`)? type($input) `->` type($result) attr-dict";
  let hasVerifier = 1;
}

def Moe_QuantizeBlocksOp : Moe_ComputeOp<"quantize_blocks"> {
  let summary = "Codes and scales of a tensor: moe.quantize after the split";
  let description = [{
    The formula of `moe.quantize`; the two parts are results of their own. `block` has an entry for each dim, 0 is the whole extent.
    input [d...] f16, bf16 or f32; codes [d...] f8E4M3FN or f8E5M2; scales [ceil(d / block)...] f32 or f8E8M0FNU.
    (C1) input is f16, bf16 or f32.   (C2) `block` has an entry >= 0 for each dim.   (C3) codes and scales have the shapes and types
    above.
    Example: `%q:2 = moe.quantize_blocks %x {block = array<i64: 1, 128>} : (tensor<?x256xf32>) -> (tensor<?x256xf8E4M3FN>, tensor<?x2xf32>)`
  }];
  let arguments = (ins Moe_Array:$input, Variadic<AnyMemRef>:$outs, DenseI64ArrayAttr:$block);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = "$input (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)";
}

def Moe_DequantizeBlocksOp : Moe_ComputeOp<"dequantize_blocks"> {
  let summary = "The values of codes and scales: moe.dequantize after the split";
  let description = [{
        out[i] = codes[i] * scales[i / block]        in f32, rounded once to the result's type
    (C1) codes are f8E4M3FN or f8E5M2.   (C2) `block` has an entry >= 0 for each dim, and scales are f32 or f8E8M0FNU of shape
    ceil(d / block).   (C3) the result holds f16, bf16 or f32 in the shape of codes.
  }];
  let arguments = (ins Moe_Array:$codes, Moe_Array:$scales, Variadic<AnyMemRef>:$outs, DenseI64ArrayAttr:$block);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = "$codes `scales` `(` $scales `)` (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)";
}

//===----------------------------------------------------------------------===//
// Attention, norms, positions, activations
//===----------------------------------------------------------------------===//

def Moe_AttentionOp : Moe_ComputeOp<"attention", [AttrSizedOperandSegments]> {
  let summary = "Scaled dot-product attention with grouped heads, masks, sinks and windows";
  let description = [{
    With h' = h / (Hq / Hkv) and, for query i, absolute position p = i + (L - S):

        z[j] = scale * dot(query[b, h, i], key[b, h', j]);  z[j] = softcap * tanh(z[j] / softcap) if softcap > 0
        z[j] += mask[b|0, h|0, i, j]
        z[j] = -inf where causal and j > p, or window > 0 and j <= p - window
        pr[j] = exp(z[j] - m) / (sum_i exp(z[i] - m) + exp(sink[h] - m)),  m = max(z, sink[h]);  a row that is all -inf gives 0
        out[b, h, i] = sum_j pr[j] * value[b, h', j]
    query [B, Hq, S, D]; key [B, Hkv, L, D]; value [B, Hkv, L, Dv]; mask [B|1, Hq|1, S|1, L] float; sinks [Hq]; out [B, Hq, S, Dv].
    (C1) query, key, value are floats of rank 4 and agree in B, D, L.   (C2) Hkv divides Hq.   (C3) mask has rank 4 and broadcasts.
    (C4) sinks has shape [Hq].   (C5) out is [B, Hq, S, Dv].   (C6) window needs causal; window, softcap >= 0.
  }];
  let arguments = (ins Moe_Array:$query, Moe_Array:$key, Moe_Array:$value, Optional<Moe_Array>:$mask,
      Optional<Moe_Array>:$sinks, Variadic<AnyMemRef>:$outs,
      F32Attr:$scale, UnitAttr:$causal, DefaultValuedAttr<I64Attr, "0">:$window,
      DefaultValuedAttr<F32Attr, "0.0f">:$softcap);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    $query `,` $key `,` $value (`mask` `(` $mask^ `)`)? (`sinks` `(` $sinks^ `)`)? (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
  let hasCanonicalizer = 1;
}

def Moe_RmsNormOp : Moe_ComputeOp<"rms_norm", [AttrSizedOperandSegments]> {
  let summary = "Root-mean-square normalization of the last dimension";
  let description = [{
        out[.., h] = x[.., h] / sqrt(mean_h(x[.., h]^2) + epsilon) * weight[h]
    x [..., H]; weight [H] (absent: ones); out as x. Statistics in f32.
    (C1) rank(x) >= 1.   (C2) weight has shape [H].   (C3) shape(out) == shape(x).   (C4) epsilon >= 0.
  }];
  let arguments = (ins Moe_Array:$x, Optional<Moe_Array>:$weight, Variadic<AnyMemRef>:$outs, F32Attr:$epsilon);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    $x (`weight` `(` $weight^ `)`)? (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
  let hasCanonicalizer = 1;
}

def Moe_RopeOp : Moe_ComputeOp<"rope"> {
  let summary = "Rotary position embedding from tables of cosines and sines";
  let description = [{
    With R = 2 * size of the last dim of cos, pairs (a, b) = (x[i], x[i + R/2]) or, if interleaved, (x[2i], x[2i+1]), for i < R/2:

        a' = a * cos[b, s, i] - b * sin[b, s, i],   b' = b * cos[b, s, i] + a * sin[b, s, i];   elements from R on are copied
    x [B, H, S, D]; cos, sin [B|1, S, R/2]; out as x.
    (C1) x has rank 4, cos and sin rank 3 with equal types.   (C2) R <= D.   (C3) shape(out) == shape(x).
  }];
  let arguments = (ins Moe_Array:$x, Moe_Array:$cos, Moe_Array:$sin, Variadic<AnyMemRef>:$outs, UnitAttr:$interleaved);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = "$x `,` $cos `,` $sin (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)";
}

def Moe_SwigluOp : Moe_ComputeOp<"swiglu"> {
  let summary = "Gated activation of two tensors";
  let description = [{
        g = min(gate, limit),  u = clamp(up, -limit, limit)        limit = inf: no clamp
        out = g * sigmoid(alpha * g) * (u + beta)
    Llama: alpha 1, beta 0, limit inf. gpt-oss: alpha 1.702, beta 1, limit 7.
    (C1) gate, up and out have one shape.   (C2) limit > 0.
    Source: docs/Spec.md, expert functions.
  }];
  let arguments = (ins Moe_Array:$gate, Moe_Array:$up, Variadic<AnyMemRef>:$outs,
      DefaultValuedAttr<F32Attr, "1.0f">:$alpha, DefaultValuedAttr<F32Attr, "0.0f">:$beta,
      DefaultValuedAttr<F32Attr, "std::numeric_limits<float>::infinity()">:$limit);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = "$gate `,` $up (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)";
}

//===----------------------------------------------------------------------===//
// Primitives that linalg lacks
//===----------------------------------------------------------------------===//

def Moe_TopKOp : Moe_ComputeOp<"top_k"> {
  let summary = "The k largest (smallest) elements of the last dimension, in order";
  let description = [{
    Total order: value descending (ascending if not `largest`), then index ascending; NaN as -inf (+inf).
    x [..., N]; values [..., k] of x's element type; indices [..., k] i64.
    (C1) rank(x) >= 1.   (C2) 0 <= k, and k <= N where N is static.   (C3) results have the shapes above.
  }];
  let arguments = (ins Moe_Array:$x, Variadic<AnyMemRef>:$outs, I64Attr:$k, DefaultValuedAttr<BoolAttr, "true">:$largest);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = "$x (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)";
}

def Moe_SortOp : Moe_ComputeOp<"sort"> {
  let summary = "Stable sort of the last dimension";
  let description = [{
    The order of `moe.top_k` with k = N.  x [..., N]; values as x; indices [..., N] i64.
    (C1) rank(x) >= 1.   (C2) results have the shapes above.
  }];
  let arguments = (ins Moe_Array:$x, Variadic<AnyMemRef>:$outs, DefaultValuedAttr<BoolAttr, "true">:$descending);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = "$x (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)";
}

def Moe_ScanOp : Moe_ComputeOp<"scan"> {
  let summary = "Running combination along one dimension";
  let description = [{
        out[.., i, ..] = combine(x[.., 0, ..], ..., x[.., i, ..])        exclusive: up to i - 1, starting from the neutral element
    `reverse` runs from the end. (C1) 0 <= axis < rank(x).   (C2) combiner is not `assign`.   (C3) type(out) == type(x).
  }];
  let arguments = (ins Moe_Array:$x, Variadic<AnyMemRef>:$outs, I64Attr:$axis,
      DefaultValuedAttr<Moe_Combiner, "::mlir::moe::Combiner::Add">:$combiner, UnitAttr:$exclusive, UnitAttr:$reverse);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = "$x (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)";
}

def Moe_ScatterOp : Moe_ComputeOp<"scatter"> {
  let summary = "Write (or combine) slices into a copy of a tensor at given indices";
  let description = [{
        out = data;  for n in row-major order of the leading dims of indices:
          out[indices[n, 0], ..., indices[n, R-1], :] = combine(out[...], updates[n, :])
    Negative indices count from the end; an index outside of [-D, D) ends the run (device kernels skip its tuple). data [D0, ...]; indices [n..., R] i64;
    updates [n..., D_R, ...]; out as data. Applied in order: with duplicates the last write wins, sums are deterministic.
    (C1) R is static and R <= rank(data).   (C2) shape(updates) == leading dims of indices ++ shape(data)[R:].   (C3) type(out) == type(data).
  }];
  let arguments = (ins Moe_Array:$data, Moe_Array:$indices, Moe_Array:$updates, Variadic<AnyMemRef>:$outs,
      DefaultValuedAttr<Moe_Combiner, "::mlir::moe::Combiner::Assign">:$combiner);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = "$data `,` $indices `,` $updates (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)";
}

def Moe_NonZeroOp : Moe_ComputeOp<"nonzero"> {
  let summary = "Indices of the elements that are not zero, in row-major order, and their number";
  let description = [{
    x [...]; indices [rank(x), size(x)] i64, of which the first count[] columns are set and the rest are 0; count [] i64.
    The size of what is used depends on data, so the caller slices: indices[:, 0..count).
    (C1) results have the shapes above.
  }];
  let arguments = (ins Moe_Array:$x, Variadic<AnyMemRef>:$outs);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = "$x (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)";
}

include "dialects/moe/MoePlanOps.td"
include "dialects/moe/MoeGradientOps.td"

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

def Moe_CheckedOp : Moe_Op<"checked", [NoMemoryEffect, AllTypesMatch<["value", "result"]>]> {
  let summary = "A scalar that must satisfy a condition when it is computed";
  let description = [{
    result = value; where `ok` is false the run ends with `message`, which names the author's node. What nobody reads is not
    checked, and no op may be moved to where it would be computed more often. In kernels `tile` makes an assertion of it, which
    `lower` makes the kernel's return code; device kernels cannot return one and go on with `value`, which must be safe.
    Example: test/Tile/checked.mlir
  }];
  let arguments = (ins AnyType:$value, I1:$ok, StrAttr:$message);
  let results = (outs AnyType:$result);
  let assemblyFormat = "$value `if` $ok `,` $message attr-dict `:` type($value)";
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

def Moe_LaunchOp : Moe_Op<"launch", [AttrSizedOperandSegments, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Run a kernel over its work items";
  let description = [{
    The host program's only way to compute on buffers. `kernel` names a function marked `moe.kernel`; a memref operand is
    passed as a pointer to its first element with its dynamic sizes and strides, so the kernel's type for it has offset 0.
    `items` is the number of work items; it is absent until `tile` has chosen it.
    (C1) `kernel` refers to a function with the attribute `moe.kernel`.   (C2) operands match its arguments but for the
    offset of their layout.
    Example: test/Schedule/outline-kernels.mlir
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<AnyType>:$args, Optional<Index>:$items);
  let assemblyFormat = "$kernel `(` $args `)` (`items` `(` $items^ `)`)? attr-dict `:` `(` type($args) `)`";
}

#endif // MOE_OPS_TD
