#ifndef MOE_RAISE_PASSES_TD
#define MOE_RAISE_PASSES_TD
include "mlir/Pass/PassBase.td"

def NormalizeOnnx : Pass<"moe-normalize-onnx", "::mlir::func::FuncOp"> {
  let summary = "One form for what exporters write in several: no idle layout ops, writes of slices as Concat";
  let description = [{
    Removes Expand, Reshape, Slice, Cast and Transpose ops that ShapeFacts prove to change nothing, merges chains of layout ops,
    writes x * x for Pow(x, 2), turns a ScatterND over a Range (a slice that is written) into Concat, and one of all elements under
    a mask of rows into one of rows. Result types get the extents the facts know. Values stay the same; the recognisers stand on
    this form.
  }];
  let dependentDialects = ["::mlir::onnx::OnnxDialect"];
  let statistics = [Statistic<"numRefined", "refined", "Result types that got known extents">];
}

def RaiseNorms : Pass<"moe-raise-norms", "::mlir::func::FuncOp"> {
  let summary = "RMS normalizations, fused or dissolved, become moe.rms_norm";
  let description = [{
        x * rsqrt(mean(x * x, last axis) + epsilon) * weight   ->   moe.rms_norm x weight(weight)
    Factors in any order, with casts around and with or without a weight; RMSNormalization and SimplifiedLayerNormalization nodes over
    the last axis. A LayerNormalization, which subtracts the mean, is left alone.
  }];
  let dependentDialects = ["::mlir::moe::MoeDialect", "::mlir::onnx::OnnxDialect"];
  let statistics = [Statistic<"numNorms", "norms", "Normalizations recognised">];
}

def RaiseSwiglu : Pass<"moe-raise-swiglu", "::mlir::func::FuncOp"> {
  let summary = "Gated activations outside experts become moe.swiglu";
  let description = [{
        (g * sigmoid(alpha * g)) * (u + beta), g and u clamped or not   ->   moe.swiglu g, u
    Runs after the experts recogniser, which wants its activations as they came.
  }];
  let dependentDialects = ["::mlir::moe::MoeDialect", "::mlir::onnx::OnnxDialect"];
  let statistics = [Statistic<"numActivations", "activations", "Gated activations recognised">];
}

def RaiseRope : Pass<"moe-raise-rope", "::mlir::func::FuncOp"> {
  let summary = "Rotary position embeddings become moe.rope where its formula is theirs";
  let description = [{
    Rotated halves, interleaved pairs, partial rotation, RotaryEmbedding nodes. A form that also permutes elements is neither of the
    op's two orders and is left as tensor code.
  }];
  let dependentDialects = ["::mlir::moe::MoeDialect", "::mlir::onnx::OnnxDialect"];
  let statistics = [Statistic<"numRotations", "rotations", "Rotations recognised">];
}

def RaiseAttention : Pass<"moe-raise-attention", "::mlir::ModuleOp"> {
  let summary = "Softmax between two products, and fused attention nodes, become moe.attention";
  let description = [{
    Masks that are exactly causal (and windowed) become attributes; others stay operands. What looks like attention and
    is not expressible stays, with an entry in the module attribute `moe.generic`.
  }];
  let dependentDialects = ["::mlir::moe::MoeDialect", "::mlir::onnx::OnnxDialect"];
  let statistics = [Statistic<"numAttentions", "attentions", "Attentions recognised">];
}

def FoldWeights : Pass<"moe-fold-weights", "::mlir::ModuleOp"> {
  let summary = "Casts, transposes, reshapes, slices and concatenations of weights become recipes";
  let description = [{
    The result is another `moe.weight`; equal recipes are one weight, and weights that nothing reads are dropped. Ops that
    would write a weight many times (Expand, Tile) stay. Values do not change. Integers of less than a byte that
    something else reads become bytes.
  }];
  let dependentDialects = ["::mlir::moe::MoeDialect"];
  let statistics = [Statistic<"numFolded", "folded", "ops that became recipes">,
                    Statistic<"numErased", "erased", "weights that nothing reads">];
}

def ConvertOnnx : Pass<"moe-convert-onnx", "::mlir::ModuleOp"> {
  let summary = "Lower every remaining onnx op to linalg, tensor, arith, math and the moe primitives";
  let description = [{
    The one place that knows what ONNX operators mean. Integers become signless. Variants without a lowering are reported at
    their node, all of them, and the pass fails.
  }];
  let dependentDialects = ["::mlir::moe::MoeDialect", "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect",
                           "::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::scf::SCFDialect",
                           "::mlir::cf::ControlFlowDialect"];
  let statistics = [Statistic<"numLowered", "lowered", "onnx ops lowered">];
}

def CheckRaised : Pass<"moe-check-raised", "::mlir::ModuleOp"> {
  let summary = "Check that only dialects of the raised form are left";
  let description = [{
    Fails on any op outside moe, linalg, tensor, arith, math, scf, affine and func, at its location.
  }];
}

def RaiseRouters : Pass<"moe-raise-routers", "::mlir::ModuleOp"> {
  let summary = "The score algebra around a TopK or ArgMax over experts becomes moe.route";
  let description = [{
    Where the weights are a formula of the picked scores that moe.route does not have, it gives the ids and the picked scores, and
    the formula stays. A TopK that feeds experts but is no router known here is left and reported in the module attribute
    `moe.generic`.
  }];
  let statistics = [Statistic<"numRouters", "routers", "Routers raised">];
  let dependentDialects = ["::mlir::moe::MoeDialect", "::mlir::onnx::OnnxDialect"];
}

def RaiseExperts : Pass<"moe-raise-experts", "::mlir::ModuleOp"> {
  let summary = "Experts gathered by id, or computed densely, or one chain each, become moe.experts";
  let description = [{
    Starts at the sum of weighted expert outputs and walks to the rows of x; each op between becomes an op of the region on one
    expert's rows and slices of the weights. Unrolled chains (one an expert, a slot, or both) must be equal but for their weights,
    which a recipe stacks; they may be summed, or joined (side by side, or each pair that of its expert) and summed afterwards.
    Experts of several kinds in one sum, or some that have no term, become a bank for each kind; those that give back their rows
    become x times the sum of their weights. Routing weights are the route's, or any number a slot that the layer makes. Ids may be
    others than a route's (of a router that stays generic, of a table, changed ones), where they are provably numbers of experts.
    Where no such sum follows rows sorted by expert, what is computed run by run becomes a bank of one slot on these rows.
    What looks like a bank but cannot be read is left and reported in the module attribute `moe.generic`.
  }];
  let statistics = [Statistic<"numExperts", "experts", "Expert banks raised">];
  let dependentDialects = ["::mlir::moe::MoeDialect", "::mlir::onnx::OnnxDialect"];
}

def RaiseMoeNodes : Pass<"moe-raise-moe-nodes", "::mlir::ModuleOp"> {
  let summary = "com.microsoft MoE and QMoE nodes become moe.route and moe.experts";
  let description = [{
    Weights in 2, 4 or 8 bits become dequantize recipes. A combination of attributes that these ops cannot say is left and
    reported in the module attribute `moe.generic`.
  }];
  let dependentDialects = ["::mlir::moe::MoeDialect", "::mlir::onnx::OnnxDialect"];
}

def RandomWeights : Pass<"moe-random-weights", "::mlir::ModuleOp"> {
  let summary = "Random values in place of the floats that weights read from files (--random-weights)";
  let description = [{
    Steps of recipes stay, so that later phases see the same formats and layouts; integers keep their files. Weights of norms are
    near 1, matrices have deviation sqrt(2 / (rows + columns)), vectors 0.02. The module's `moe.random_weights` tells emit that the
    artefact may hold seeds in place of values.
  }];
}

#endif // MOE_RAISE_PASSES_TD
