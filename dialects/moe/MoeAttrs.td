#ifndef MOE_ATTRS_TD
#define MOE_ATTRS_TD

include "dialects/moe/MoeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"

//===----------------------------------------------------------------------===//
// Router enumerations (the columns of the router table; see docs/Spec.md)
//===----------------------------------------------------------------------===//

def Moe_ScoreFnEnum : I32Enum<"ScoreFn", "score function over all experts", [
    I32EnumCase<"None", 0, "none">, I32EnumCase<"Softmax", 1, "softmax">,
    I32EnumCase<"Sigmoid", 2, "sigmoid">, I32EnumCase<"SparseMixer", 3, "sparsemixer">]> {
  let cppNamespace = "::mlir::moe";
}
def Moe_ScoreFn : EnumAttr<Moe_Dialect, Moe_ScoreFnEnum, "score"> { let assemblyFormat = "`<` $value `>`"; }
def Moe_GroupScoreEnum : I32Enum<"GroupScore", "score of an expert group", [
    I32EnumCase<"Max", 0, "max">, I32EnumCase<"Top2Sum", 1, "top2_sum">]> {
  let cppNamespace = "::mlir::moe";
}
def Moe_GroupScore : EnumAttr<Moe_Dialect, Moe_GroupScoreEnum, "group_score"> { let assemblyFormat = "`<` $value `>`"; }
def Moe_GroupFillEnum : I32Enum<"GroupFill", "choice score of experts outside the kept groups", [
    I32EnumCase<"Zero", 0, "zero">, I32EnumCase<"NegInf", 1, "neg_inf">]> {
  let cppNamespace = "::mlir::moe";
}
def Moe_GroupFill : EnumAttr<Moe_Dialect, Moe_GroupFillEnum, "group_fill"> { let assemblyFormat = "`<` $value `>`"; }
def Moe_WeightFnEnum : I32Enum<"WeightFn", "what is applied to the k chosen scores", [
    I32EnumCase<"Identity", 0, "identity">, I32EnumCase<"Softmax", 1, "softmax">,
    I32EnumCase<"Sigmoid", 2, "sigmoid">]> {
  let cppNamespace = "::mlir::moe";
}
def Moe_WeightFn : EnumAttr<Moe_Dialect, Moe_WeightFnEnum, "weight_fn"> { let assemblyFormat = "`<` $value `>`"; }
def Moe_NormalizeEnum : I32Enum<"Normalize", "how the k weights are normalized", [
    I32EnumCase<"None", 0, "none">,
    I32EnumCase<"SumPlusEps", 1, "sum_plus_eps">,    // w / (sum(w) + eps)
    I32EnumCase<"SumMaxEps", 2, "sum_max_eps">,      // w / max(sum(w), eps)
    I32EnumCase<"PNorm", 3, "p_norm">]> {
  let cppNamespace = "::mlir::moe";
}
def Moe_Normalize : EnumAttr<Moe_Dialect, Moe_NormalizeEnum, "normalize"> { let assemblyFormat = "`<` $value `>`"; }
def Moe_WeightOnEnum : I32Enum<"WeightOn", "where the routing weight multiplies", [
    I32EnumCase<"Output", 0, "output">, I32EnumCase<"Input", 1, "input">]> {
  let cppNamespace = "::mlir::moe";
}
def Moe_WeightOn : EnumAttr<Moe_Dialect, Moe_WeightOnEnum, "weight_on"> { let assemblyFormat = "`<` $value `>`"; }
def Moe_CombinerEnum : I32Enum<"Combiner", "how two values combine", [
    I32EnumCase<"Assign", 0, "assign">, I32EnumCase<"Add", 1, "add">, I32EnumCase<"Mul", 2, "mul">,
    I32EnumCase<"Max", 3, "max">, I32EnumCase<"Min", 4, "min">]> {
  let cppNamespace = "::mlir::moe";
}
def Moe_Combiner : EnumAttr<Moe_Dialect, Moe_CombinerEnum, "combiner"> { let assemblyFormat = "`<` $value `>`"; }
def Moe_RecipeStepEnum : I32Enum<"RecipeStep", "one step of a weight recipe", [
    I32EnumCase<"Cast", 0, "cast">, I32EnumCase<"Transpose", 1, "transpose">,
    I32EnumCase<"Reshape", 2, "reshape">, I32EnumCase<"Slice", 3, "slice">,
    I32EnumCase<"Concat", 4, "concat">, I32EnumCase<"Dequantize", 5, "dequantize">,
    I32EnumCase<"Pack", 6, "pack">, I32EnumCase<"Scales", 7, "scales">, I32EnumCase<"Quantize", 8, "quantize">,
    I32EnumCase<"TileRows", 9, "tile_rows">, I32EnumCase<"TileScales", 10, "tile_scales">,
    I32EnumCase<"TileVectors", 11, "tile_vectors">]> {
  let cppNamespace = "::mlir::moe";
}

//===----------------------------------------------------------------------===//
// Weight recipes
//===----------------------------------------------------------------------===//

class Moe_Attr<string name, string attrMnemonic> : AttrDef<Moe_Dialect, name> { let mnemonic = attrMnemonic; }

def Moe_PieceAttr : Moe_Attr<"Piece", "piece"> {
  let summary = "a range of bytes of a file that holds a row-major little-endian tensor";
  let description = [{
    `file` is relative to the module attribute `moe.weights_dir`; it never leaves that folder. `offset` and `size` are
    bytes; `size` is exactly what `type` needs (sub-byte elements are packed, low bits first).
    Example: `#moe.piece<"model.safetensors", 4096, 131072, tensor<256x256xbf16>>`
  }];
  let parameters = (ins StringRefParameter<>:$file, "int64_t":$offset, "int64_t":$size, "::mlir::RankedTensorType":$type);
  let assemblyFormat = "`<` $file `,` $offset `,` $size `,` $type `>`";
  let genVerifyDecl = 1;
}

def Moe_RecipeAttr : Moe_Attr<"Recipe", "recipe"> {
  let summary = "a tensor computed from pieces of files: one step on inputs that are pieces or recipes";
  let description = [{
    Evaluated only while the artefact is written (and, inverted, when trained weights are exported). An input can also be an
    elements attribute: a tensor that was small enough to stay inline.
    | step | params | meaning |
    |---|---|---|
    | cast | – | element type of the result: to float rounds to nearest even (8-bit formats saturate), float to integer truncates and clamps, to i1 tests for non-zero |
    | transpose | permutation = array<i64> | result dim i is input dim permutation[i] |
    | reshape | – | same elements in row-major order |
    | slice | offsets, sizes, strides = array<i64> | as tensor.extract_slice |
    | concat | axis = i64 | inputs along an existing axis (stack = reshape, then concat) |
    | dequantize | bits, block = i64 (along the last axis, 0: per row), zero_point = i64, default 2^(bits-1) | inputs (codes, scales[, zero points]): (code - zero_point) * scale in f32; codes and zero points packed low bits first along their last dim, or unpacked |
    | pack | panel = i64 | [..., N, K] -> [..., ceil(N/panel), K, panel], columns past N are zero |
    | scales | block = array<i64>, codes = type | [d...] -> ceil(d / block), 0 for a whole extent: the scale of each block for codes of that type, from values in f32 (see `!moe.scaled`) |
    | quantize | block = array<i64> | inputs (values, scales): cast(value / scale) to the 8-bit float type of the result, to nearest even, saturating. The scales are a `scales` step on the same values with the same block |
    | tile_rows | | elements [E, N, K] of 8 or 16 bits, of one matrix or of two of one shape -> [E, ceil(N * inputs / 256), ceil(K / D), 256, D], D elements in 128 bytes, the layout of `moe.expert_products` (w2; w1 of gate and up); past the end zero |
    | tile_scales | | the scales [E, NB, KB] of the same -> [E, ceil(NB * inputs / 2), L]: those of a tile's two halves, KB each; L = 2 KB rounded up to a multiple of 4 |
    | tile_vectors | bits = i64, 8 or 16 | vectors [E, N] of f32, one or two, that belong to the rows of such matrices with elements of `bits` -> [E, ceil(N * inputs / 256), 256], in the same order |
    Example: `#moe.recipe<cast, {}, [#moe.piece<"w.bin", 0, 8, tensor<4xbf16>>], tensor<4xf32>>`
  }];
  let parameters = (ins EnumParameter<Moe_RecipeStepEnum>:$step, "::mlir::DictionaryAttr":$params,
                        "::mlir::ArrayAttr":$inputs, "::mlir::RankedTensorType":$type);
  let assemblyFormat = "`<` $step `,` $params `,` $inputs `,` $type `>`";
  let genVerifyDecl = 1;
}

def Moe_DistributionEnum : I32Enum<"Distribution", "of random values", [
    I32EnumCase<"Uniform", 0, "uniform">, I32EnumCase<"Normal", 1, "normal">]> {
  let cppNamespace = "::mlir::moe";
}

def Moe_RandomAttr : Moe_Attr<"Random", "random"> {
  let summary = "a tensor of random values that no file holds";
  let description = [{
    `uniform`: from `first` to `second`; `normal`: mean `first`, deviation `second`. Elements are f32, f16, bf16, f8E4M3FN or f8E5M2 and
    depend on `seed` and their place alone (runtime/include/moe/random_values.h). A weight that is random as a whole takes no room in the
    artefact: the runtime draws it when it loads. It can also be an input of a `#moe.recipe`, which is then evaluated.
    Example: `#moe.random<normal, 0.0 : f32, 0.02 : f32, 7, tensor<256x256xbf16>>`
  }];
  let parameters = (ins EnumParameter<Moe_DistributionEnum>:$distribution, "::mlir::FloatAttr":$first, "::mlir::FloatAttr":$second,
                        "int64_t":$seed, "::mlir::RankedTensorType":$type);
  let assemblyFormat = "`<` $distribution `,` $first `,` $second `,` $seed `,` $type `>`";
  let genVerifyDecl = 1;
}

#endif // MOE_ATTRS_TD
