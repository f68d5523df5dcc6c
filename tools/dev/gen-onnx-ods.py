#!/usr/bin/env python3
"""Writes dialects/onnx/OnnxOps.td.inc from the operator schemas of the `onnx` and `onnxruntime` Python packages.

    gen-onnx-ods.py [-o dialects/onnx/OnnxOps.td.inc]

An op is listed in OPS (standard domain) or MS_OPS (com.microsoft) with one line of ours; operands, results, attributes and
defaults come from the newest schema. Run it after adding a line, and commit the output. Constant is written by hand in Onnx.td.
"""
import argparse, sys
from pathlib import Path

import onnx
from onnx import defs

# Attributes that hold a TensorProto.DataType number become a TypeAttr.
DTYPE_ATTRIBUTES = {"to", "dtype", "stash_type", "softmax_precision", "output_datatype", "output_dtype", "precision"}

OPS = {
    "Abs": "absolute value", "Acos": "arc cosine", "Acosh": "inverse hyperbolic cosine", "Add": "sum of two, with broadcasting",
    "And": "logical and", "ArgMax": "index of the largest along an axis", "ArgMin": "index of the smallest along an axis",
    "Asin": "arc sine", "Asinh": "inverse hyperbolic sine", "Atan": "arc tangent", "Atanh": "inverse hyperbolic tangent",
    "Attention": "scaled dot-product attention with grouped heads, mask and cache",
    "AveragePool": "mean over windows", "BatchNormalization": "normalization by channel with stored statistics",
    "BitCast": "the same bits as another type", "BitShift": "shift of unsigned integers",
    "BitwiseAnd": "bitwise and", "BitwiseNot": "bitwise not", "BitwiseOr": "bitwise or", "BitwiseXor": "bitwise exclusive or",
    "Cast": "conversion to another element type", "CastLike": "conversion to another tensor's element type",
    "Ceil": "rounding up", "Celu": "continuously differentiable ELU", "Clip": "limit to [min, max]",
    "Compress": "slices along an axis where a condition holds", "Concat": "concatenation along an axis",
    "ConstantOfShape": "a tensor of given shape filled with one value", "Conv": "convolution",
    "ConvInteger": "convolution of quantized integers", "ConvTranspose": "transposed convolution",
    "Cos": "cosine", "Cosh": "hyperbolic cosine", "CumProd": "running product along an axis", "CumSum": "running sum along an axis",
    "DepthToSpace": "channels rearranged into space", "DequantizeLinear": "(x - zero point) * scale",
    "Div": "quotient, with broadcasting; integers truncate", "Dropout": "the identity when not training",
    "DynamicQuantizeLinear": "8-bit quantization with scale and zero point taken from the data",
    "Einsum": "product and sum by index letters", "Elu": "exponential linear unit", "Equal": "elementwise ==", "Erf": "error function",
    "Exp": "natural exponential", "Expand": "broadcast to a shape", "EyeLike": "identity matrix of another tensor's shape",
    "Flatten": "a matrix split at an axis", "Floor": "rounding down", "Gather": "slices along an axis by index",
    "GatherElements": "elements along an axis by index", "GatherND": "slices by index tuples", "Gelu": "Gaussian error linear unit",
    "Gemm": "alpha * op(A) op(B) + beta * C", "GlobalAveragePool": "mean over all of space",
    "GlobalMaxPool": "maximum over all of space", "Greater": "elementwise >", "GreaterOrEqual": "elementwise >=",
    "GroupNormalization": "normalization over groups of channels", "HardSigmoid": "piecewise linear sigmoid",
    "HardSwish": "x * hard sigmoid of x", "Hardmax": "one at the first maximum along an axis", "Identity": "its input",
    "InstanceNormalization": "normalization by instance and channel", "IsInf": "is infinite", "IsNaN": "is not a number",
    "LRN": "local response normalization", "LayerNormalization": "normalization to mean 0 and variance 1 over trailing axes",
    "LeakyRelu": "ReLU with a slope for negatives", "Less": "elementwise <", "LessOrEqual": "elementwise <=",
    "Log": "natural logarithm", "LogSoftmax": "logarithm of softmax along an axis", "LpNormalization": "division by the p-norm",
    "LpPool": "p-norm over windows", "MatMul": "matrix product, batched with broadcasting",
    "MatMulInteger": "matrix product of quantized integers", "Max": "elementwise maximum of all inputs",
    "MaxPool": "maximum over windows", "Mean": "elementwise mean of all inputs",
    "MeanVarianceNormalization": "normalization over given axes", "Min": "elementwise minimum of all inputs",
    "Mish": "x * tanh(softplus(x))", "Mod": "remainder with the divisor's sign, or C's fmod", "Mul": "product, with broadcasting",
    "Neg": "negation", "NegativeLogLikelihoodLoss": "loss of log-probabilities at target classes",
    "NonZero": "coordinates of elements that are not zero", "Not": "logical not", "OneHot": "one-hot vectors of indices",
    "Or": "logical or", "PRelu": "ReLU with a learned slope for negatives", "Pad": "padding or cropping at the edges",
    "Pow": "power, in the base's type", "QLinearMatMul": "matrix product of quantized tensors, requantized",
    "QuantizeLinear": "round(x / scale) + zero point, saturated", "RMSNormalization": "division by the root of the mean square over trailing axes",
    "Range": "start, start + delta, ... below limit", "Reciprocal": "1 / x",
    "ReduceL1": "sum of absolute values over axes", "ReduceL2": "root of the sum of squares over axes",
    "ReduceLogSum": "logarithm of the sum over axes", "ReduceLogSumExp": "logarithm of the sum of exponentials over axes",
    "ReduceMax": "maximum over axes", "ReduceMean": "mean over axes", "ReduceMin": "minimum over axes",
    "ReduceProd": "product over axes", "ReduceSum": "sum over axes", "ReduceSumSquare": "sum of squares over axes",
    "Relu": "max(x, 0)", "Reshape": "the same elements in another shape", "Resize": "resampling to another size",
    "ReverseSequence": "the first elements of each sequence reversed", "RotaryEmbedding": "rotary position embedding",
    "Round": "rounding to nearest, ties to even", "ScatterElements": "a copy with elements along an axis replaced by index",
    "ScatterND": "a copy with slices replaced by index tuples", "Selu": "scaled exponential linear unit",
    "Shape": "the extents of a tensor, or some of them", "Shrink": "soft or hard shrinkage", "Sigmoid": "1 / (1 + exp(-x))",
    "Sign": "-1, 0 or 1", "Sin": "sine", "Sinh": "hyperbolic sine", "Size": "number of elements",
    "Slice": "a part from start to end by step along axes", "Softmax": "exponentials divided by their sum along an axis",
    "SoftmaxCrossEntropyLoss": "cross entropy of softmax against target classes", "Softplus": "log(1 + exp(x))",
    "Softsign": "x / (1 + |x|)", "SpaceToDepth": "space rearranged into channels", "Split": "parts along an axis",
    "Sqrt": "square root", "Squeeze": "without axes of extent 1", "Sub": "difference, with broadcasting",
    "Sum": "elementwise sum of all inputs", "SwiGLU": "a gated linear unit with the swish function",
    "Swish": "x * sigmoid(alpha * x)", "Tan": "tangent", "Tanh": "hyperbolic tangent",
    "TensorScatter": "a cache updated at given positions", "ThresholdedRelu": "x above a threshold, else 0",
    "Tile": "repetition along each axis", "TopK": "the k largest or smallest along an axis, with indices",
    "Transpose": "permutation of axes", "Trilu": "upper or lower triangle of matrices", "Unique": "distinct elements",
    "Unsqueeze": "with further axes of extent 1", "Where": "choice by a condition", "Xor": "logical exclusive or",
}

MS_OPS = {
    "BiasGelu": "Gelu(A + B)", "FastGelu": "tanh approximation of Gelu(X + bias)", "FusedMatMul": "alpha * op(A) op(B)",
    "Gelu": "Gaussian error linear unit", "GroupQueryAttention": "causal attention with grouped heads, rotation and cache",
    "MatMulNBits": "product with a weight quantized in blocks along K", "MoE": "router choice and experts in one node",
    "MultiHeadAttention": "attention of projected inputs", "QMoE": "MoE with quantized expert weights",
    "QuickGelu": "x * sigmoid(alpha * x)", "RotaryEmbedding": "rotary position embedding",
    "SimplifiedLayerNormalization": "RMS normalization", "SkipLayerNormalization": "LayerNormalization(input + skip + bias)",
    "SkipSimplifiedLayerNormalization": "RMS normalization of (input + skip + bias)",
}


def default_of(attribute):
    """The schema's default as an AttributeProto, or None."""
    value = getattr(attribute, "default_value", None)
    if value is None:
        raw = attribute._default_value
        if not raw:
            return None
        value = onnx.AttributeProto()
        value.ParseFromString(raw)
    return value if value.name else None


def attribute_type(op, name, attribute):
    """ODS type of an attribute, wrapped with its default or as optional."""
    kind, default = str(attribute.type).split(".")[-1], default_of(attribute)
    if name in DTYPE_ATTRIBUTES:
        return "TypeAttr" if attribute.required else "OptionalAttr<TypeAttr>"
    base = {"INT": "Onnx_Int", "FLOAT": "Onnx_Float", "STRING": "StrAttr", "INTS": "DenseI64ArrayAttr",
            "FLOATS": "DenseF32ArrayAttr", "STRINGS": "StrArrayAttr", "TENSOR": "ElementsAttr"}[kind]
    if attribute.required:
        return base
    if default is not None and kind == "INT":
        return f'DefaultValuedAttr<{base}, "{default.i}">'
    if default is not None and kind == "FLOAT":
        text = repr(float(f"{default.f:.8g}"))
        return f'DefaultValuedAttr<{base}, "{text}f">'
    if default is not None and kind == "STRING":
        return f'DefaultValuedStrAttr<StrAttr, "{default.s.decode()}">'
    return f"OptionalAttr<{base}>"


def value_type(option):
    return {"Single": "AnyRankedTensor", "Optional": "Optional<AnyRankedTensor>", "Variadic": "Variadic<AnyRankedTensor>"}[
        str(option).split(".")[-1]]


def emit(cls, mnemonic, schema, words, versions):
    inputs, outputs = list(schema.inputs), list(schema.outputs)
    # A variadic parameter stands last; an optional one makes the segments ambiguous, so they are stored.
    loose_in = [i for i in inputs if "Single" not in str(i.option)]
    loose_out = [o for o in outputs if "Single" not in str(o.option)]
    traits = ["Pure"]
    if len(loose_in) > 1:
        traits.append("AttrSizedOperandSegments")
    if len(loose_out) > 1:
        traits.append("AttrSizedResultSegments")
    parameters = [f"{value_type(i.option)}:${i.name}" for i in inputs]
    taken = {i.name for i in inputs}
    for name in sorted(schema.attributes):
        parameters.append(f"{attribute_type(cls, name, schema.attributes[name])}:${name + '_attr' if name in taken else name}")
    results = [f"{value_type(o.option)}:${'out_' + o.name if o.name in taken or o.name in schema.attributes else o.name}" for o in outputs]
    kinds = lambda parameters: "".join(str(p.option).split(".")[-1][0].lower() for p in parameters)
    return "\n".join([
        f'def Onnx_{cls}Op : Onnx_Op<"{mnemonic}", [{", ".join(traits)}], "{kinds(inputs)}", "{kinds(outputs)}"> {{',
        f'  let summary = "{words} (since {", ".join(map(str, versions))})";',
        f'  let arguments = (ins {", ".join(parameters)});',
        f'  let results = (outs {", ".join(results)});',
        "}", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-o", type=Path, default=Path(__file__).resolve().parents[2] / "dialects/onnx/OnnxOps.td.inc")
    out = parser.parse_args().o
    versions = {}
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "":
            versions.setdefault(schema.name, []).append(schema.since_version)
    text = ["// Written by tools/dev/gen-onnx-ods.py: do not edit.", ""]
    for name in sorted(OPS):
        text.append(emit(name, name, defs.get_schema(name), OPS[name], sorted(versions[name])))
    from onnxruntime.capi import onnxruntime_pybind11_state as ort
    contrib = {s.name: s for s in ort.get_all_operator_schema()
               if s.domain == "com.microsoft" or (s.domain == "" and s.name == "SimplifiedLayerNormalization")}
    for name in sorted(MS_OPS):
        text.append(emit("Ms" + name, "ms." + name, contrib[name], MS_OPS[name], [contrib[name].since_version]))
    out.write_text("\n".join(text))
    print(f"{out}: {len(OPS)} + {len(MS_OPS)} ops", file=sys.stderr)


if __name__ == "__main__":
    main()
