#ifndef MOE_GRADIENT_OPS_TD
#define MOE_GRADIENT_OPS_TD

// What gradients need beside the forward ops. Included by MoeOps.td.

def Moe_GroupedOuterProductOp : Moe_ComputeOp<"grouped_outer_product"> {
  let summary = "Sum of the outer products of each group's rows: the weight gradient of a grouped product";
  let description = [{
    For every group g, row n and column c:

        out[g, n, c] = sum_{p = offsets[g] .. offsets[g + 1] - 1} dy[p, n] * x[p, c]      in f32, p ascending in one chain; rounded once to out's type

    A product of groups whose contraction has an extent of its own each (k-grouped, variable-K). A group without rows gives zeros; rows in
    front of offsets[0] and from offsets[G] on are in no sum, whatever they hold.
    With y = moe.grouped_matmul x weights(w) and dy = dL/dy this is dL/dw. Matrix units may add the products of several rows at once; the result
    depends on the group's rows alone, and two runs give the same bits.
    dy [P, N], x [P, K]; offsets [G + 1] i32; out [G, N, K].
    (C1) dy and x have rank 2, hold floats of one type and agree in P.   (C2) offsets is i32 of rank 1, with two elements at least.   (C3) out holds
    floats, [G, N, K].   (C4) which only the producer of offsets can see to: 0 <= offsets[0] <= ... <= offsets[G] <= P.
    Example: test/Dialect/moe/gradient-ops.mlir
  }];
  let arguments = (ins Moe_Array:$dy, Moe_Array:$x, Moe_Array:$offsets, Variadic<AnyMemRef>:$outs);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = "$dy `,` $x `offsets` `(` $offsets `)` (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)";
}

#endif // MOE_GRADIENT_OPS_TD
