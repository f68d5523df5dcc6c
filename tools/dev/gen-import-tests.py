#!/usr/bin/env python3
"""Writes the small models that test/Import reads: test/Import/Inputs/*.onnx and Inputs/bad/*.onnx. Needs the `onnx` package.

    gen-import-tests.py [-o test/Import/Inputs]

Each model shows one behaviour of the importer; its test says which. Outputs are committed, and are the same on every run.
"""
import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

node, value, opset = helper.make_node, helper.make_tensor_value_info, helper.make_opsetid
F, I = TensorProto.FLOAT, TensorProto.INT64


def tensor(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def external(name, shape, **entries):
    t = TensorProto(name=name, data_type=F, dims=shape, data_location=TensorProto.EXTERNAL)
    for key, text in entries.items():
        t.external_data.add(key=key, value=str(text))
    return t


def model(nodes, inputs, outputs, initializers=(), version=21, functions=(), opsets=(), value_info=()):
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializers, value_info=value_info)
    return helper.make_model(graph, opset_imports=[opset("", version), *opsets], functions=functions, ir_version=10, producer_name="")


def good():
    x = value("x", F, ["n", 4])
    yield "basic", model(  # nodes out of order, an unused initializer, a wrong value_info, a weight that stays in the file
        [node("Add", ["rows", "bias"], ["y"], name="add"), node("Gather", ["table", "ids"], ["rows"], name="embed")],
        [value("ids", I, ["batch", "seq"])], [value("y", F, ["batch", "seq", 4])],
        [tensor("table", np.arange(400, dtype=np.float32).reshape(100, 4)), tensor("bias", np.float32([1, 2, 3, 4])), tensor("unused", np.float32([9]))],
        value_info=[value("rows", F, [7])])
    yield "optional", model(
        [node("Constant", [], ["most"], value_float=6.0), node("Clip", ["x", "", "most"], ["y"], name="clip"),
         node("Attention", ["q", "q", "q"], ["a", "", "", "scores"], name="attend")],
        [x, value("q", F, [1, 2, 3, 8])], [value("y", F, ["n", 4]), value("scores", F, [1, 2, 3, 3])], version=23)
    yield "opset9", model(
        [node("Squeeze", ["x"], ["a"], axes=[0]), node("Slice", ["a"], ["b"], starts=[1], ends=[9], axes=[1]), node("Clip", ["b"], ["c"], min=-1.0, max=1.0),
         node("Softmax", ["c"], ["d"], axis=1), node("ReduceSum", ["d"], ["e"], axes=[2], keepdims=0), node("Dropout", ["e"], ["f"], ratio=0.25),
         node("TopK", ["f"], ["v", "i"], k=2)],
        [value("x", F, [1, "n", 5, 6])], [value("v", F, ["n", 2])], version=9)
    # What an exporter writes for squeeze(1) where it does not know the extent; the branch reads a value of the main graph that a
    # later node of the file defines, and tensors of its own.
    squeeze = helper.make_graph([node("Squeeze", ["late", "axis"], ["narrow"])], "then", [], [value("narrow", F, None)], [tensor("axis", np.int64([1]))])
    keep = helper.make_graph([node("Identity", ["late"], ["wide"])], "else", [], [value("wide", F, None)])
    inner = helper.make_graph([node("If", ["no"], ["deep"], then_branch=squeeze, else_branch=keep)], "inner", [], [value("deep", F, None)])
    yield "branch", model(
        [node("Shape", ["x"], ["shape"]), node("Gather", ["shape", "one"], ["extent"]), node("Equal", ["extent", "one"], ["is_one"], name="compare"),
         node("If", ["is_one"], ["y"], name="squeeze", then_branch=squeeze, else_branch=keep),
         node("If", ["is_one"], ["z"], name="nested", then_branch=inner, else_branch=squeeze), node("Neg", ["x"], ["late"], name="late")],
        [value("x", F, ["n", 1, 4])], [value("y", F, ["n", 4]), value("z", F, ["n", 1, 4])], [tensor("one", np.int64(1)), tensor("no", np.bool_(False))])
    # Names of a branch are its own: the main graph uses them for what it makes of the branch's results.
    name = lambda op: helper.make_graph([node(op, ["x"], ["y"]), node("Add", ["y", "t"], ["u"])], op, [], [value("y", F, None), value("u", F, None)], [tensor("t", np.float32([1, 2, 3, 4]))])
    yield "branch-names", model(
        [node("If", ["yes"], ["y", "v"], name="choice", then_branch=name("Neg"), else_branch=name("Exp")), node("Relu", ["y"], ["t"]), node("Sub", ["t", "v"], ["u"])],
        [x], [value("u", F, ["n", 4])], [tensor("yes", np.bool_(True))])
    fused = dict(domain="com.microsoft", alpha=0.5, transB=1)
    yield "fused", model(
        [node("FusedGemm", ["x", "w", "b"], ["a"], name="plain", activation="Sigmoid", **fused),
         node("FusedGemm", ["a", "w"], ["y"], name="slope", activation="LeakyRelu", activation_alpha=0.25, activation_beta=7.0, **fused)],
        [x, value("w", F, [4, 4]), value("b", F, [4])], [value("y", F, ["n", 4])], opsets=[opset("com.microsoft", 1)])
    body = [node("Mul", ["x", "x"], ["s"]), node("Softmax", ["s"], ["y"])]
    reference = AttributeProto(name="axis", ref_attr_name="dim", type=AttributeProto.INT)
    body[1].attribute.append(reference)
    function = helper.make_function("local", "SquareSoftmax", ["x"], ["y"], body, [opset("", 21)], ["dim"])
    yield "function", model([node("SquareSoftmax", ["x"], ["y"], name="call", domain="local", dim=0)], [x], [value("y", F, ["n", 4])],
                            functions=[function], opsets=[opset("local", 1)])
    typed = [helper.make_tensor("f", F, [2], [1.5, -2.0]), helper.make_tensor("i", I, [2], [-1, 3]), helper.make_tensor("h", TensorProto.FLOAT16, [2], [1.0, 0.5]),
             helper.make_tensor("b", TensorProto.BOOL, [2], [True, False]), helper.make_tensor("u", TensorProto.UINT8, [2], [255, 1])]
    yield "typed", model([node("Identity", [t.name], [t.name + "_out"]) for t in typed], [],
                         [value(t.name + "_out", t.data_type, [2]) for t in typed], typed)
    yield "external", model([node("MatMul", ["x", "w"], ["y"], name="product")], [x], [value("y", F, ["n", 100])],
                            [external("w", [4, 100], location="data/external.bin", offset=16, length=1600)])
    yield "names", model([node("Concat", ["past", "new"], ["y"], axis=0), node("NonZero", ["y"], ["z"])],
                         [value("past", F, ["p"]), value("new", F, ["s"]), value("free", F, [None])], [value("y", F, ["p + s"]), value("z", I, [1, "found"])])


def bad():
    x, y = value("x", F, ["n", 4]), value("y", F, ["n", 4])
    relu = node("Relu", ["x"], ["y"], name="relu")
    use = lambda w: model([node("Add", ["x", "w"], ["y"], name="use")], [x], [y], [w])
    whole = model([relu], [x], [y]).SerializeToString()
    yield "truncated", whole[:-20]
    yield "text", b"this is no model\n"
    yield "empty", b""
    side = lambda name, count=1: helper.make_graph([node("Relu", ["x"], [f"{name}{i}"]) for i in range(count)], name, [], [value(f"{name}{i}", F, None) for i in range(count)])
    choice = lambda **sides: [node("If", ["c"], ["y"], name="choice", **sides)]
    yes = tensor("c", np.bool_(True))
    yield "branch-open", model(choice(then_branch=side("a"), else_branch=side("b")), [x, value("c", TensorProto.BOOL, [])], [y])
    yield "branch-outputs", model(choice(then_branch=side("a", 2), else_branch=side("b")), [x], [y], [yes])
    yield "branch-missing", model(choice(else_branch=side("b")), [x], [y], [yes])
    deep = side("a")
    for i in range(20):
        deep = helper.make_graph([node("If", ["c"], [f"d{i}"], then_branch=deep, else_branch=side("b"))], "deep", [], [value(f"d{i}", F, None)])
    yield "branch-deep", model(choice(then_branch=deep, else_branch=side("b")), [x], [y], [yes])
    yield "fused", model([node("FusedGemm", ["x", "w"], ["y"], name="product", domain="com.microsoft", activation="Sine")],
                         [x, value("w", F, [4, 4])], [y], opsets=[opset("com.microsoft", 1)])
    yield "operators", model([node("Mystery", ["x"], ["a"], name="first"), node("Mystery", ["a"], ["b"]), node("Loop", ["b"], ["c"]), node("Odd", ["c"], ["y"], domain="org.example")], [x], [y])
    yield "cycle", model([node("Add", ["x", "b"], ["a"], name="one"), node("Relu", ["a"], ["b"], name="two"), node("Relu", ["b"], ["y"])], [x], [y])
    yield "undefined", model([node("Add", ["x", "ghost"], ["y"], name="use")], [x], [y])
    yield "twice", model([node("Relu", ["x"], ["y"], name="one"), node("Neg", ["x"], ["y"], name="two")], [x], [y])
    yield "no-output", model([relu], [x], [value("z", F, ["n", 4])])
    yield "rank", model([node("Gemm", ["x", "v"], ["y"], name="product")], [x, value("v", F, [4])], [y])
    yield "shapes", model([node("Add", ["x", "v"], ["y"], name="sum")], [x, value("v", F, [3])], [y])
    yield "scale", model([node("LayerNormalization", ["x", "v"], ["y"], name="norm", axis=-1)], [x, value("v", F, [3, 1, 4])], [y])
    yield "pads", model([node("Pad", ["x", "p", "", "a"], ["y"], name="pad")], [x, value("p", I, [2]), value("a", I, [1, 1])], [y])
    yield "pads-number", model([node("Pad", ["x", "p"], ["y"], name="pad")], [x, value("p", I, [3])], [y])
    yield "starts", model([node("Slice", ["x", "s", "s"], ["y"], name="slice")], [x, value("s", I, ["k"])], [y])
    yield "element", model([node("Add", ["x", "v"], ["y"], name="sum")], [x, value("v", I, [4])], [y])
    yield "attribute", model([node("Relu", ["x"], ["y"], name="relu", slope=2.0)], [x], [y])
    yield "attribute-kind", model([node("Softmax", ["x"], ["y"], name="soft", axis=1.0)], [x], [y])
    yield "required", model([node("Cast", ["x"], ["y"], name="cast")], [x], [y])
    yield "missing-input", model([node("Add", ["x"], ["y"], name="sum")], [x], [y])
    yield "string", model([node("Identity", ["s"], ["y"])], [value("s", TensorProto.STRING, [1])], [y])
    yield "no-rank", model([relu], [helper.make_tensor_value_info("x", F, None)], [y])
    yield "negative", use(TensorProto(name="w", data_type=F, dims=[-4]))
    yield "huge", use(TensorProto(name="w", data_type=F, dims=[2**40, 2**40]))
    yield "bytes", use(TensorProto(name="w", data_type=F, dims=[4], raw_data=b"123"))
    yield "declared", model([relu], [x], [value("y", I, ["n", 4])])
    yield "opset", model([relu], [x], [y], version=99)
    yield "nul", model([node("Relu", ["x"], ["y"], name="a\0b")], [x], [y])
    yield "utf8", model([node("Relu", ["x"], ["y"], name="QQQQ")], [x], [y]).SerializeToString().replace(b"QQQQ", b"a\xff\xfeb")
    recursive = helper.make_function("local", "Again", ["x"], ["y"], [node("Again", ["x"], ["y"], name="self", domain="local")], [opset("", 21), opset("local", 1)])
    yield "recursion", model([node("Again", ["x"], ["y"], name="call", domain="local")], [x], [y], functions=[recursive], opsets=[opset("local", 1)])
    yield "external-absolute", use(external("w", [4], location="/etc/hostname"))
    yield "external-parent", use(external("w", [4], location="data/../../secret"))
    yield "external-missing", use(external("w", [4], location="nothing.bin"))
    yield "external-folder", use(external("w", [4], location="data"))
    yield "external-link", use(external("w", [4], location="link.bin"))
    yield "external-link-folder", use(external("w", [4], location="linked/short.bin"))
    yield "external-short", use(external("w", [100, 4], location="data/short.bin", offset=0))
    yield "external-offset", use(external("w", [4], location="data/short.bin", offset=2**62))
    yield "external-length", use(external("w", [4], location="data/short.bin", length=12))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-o", type=Path, default=Path(__file__).resolve().parents[2] / "test/Import/Inputs")
    out = parser.parse_args().o
    for folder, models in ((out, good()), (out / "bad", bad())):
        (folder / "data").mkdir(parents=True, exist_ok=True)
        for name, content in models:
            (folder / f"{name}.onnx").write_bytes(content if isinstance(content, bytes) else content.SerializeToString(deterministic=True))
    (out / "data/external.bin").write_bytes(bytes(16) + np.arange(400, dtype="<f4").tobytes())
    (out / "bad/data/short.bin").write_bytes(np.arange(4, dtype="<f4").tobytes())


if __name__ == "__main__":
    main()
