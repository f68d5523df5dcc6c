#!/usr/bin/env python3
"""Large models: what compiling them costs. Graphs are synthetic and written here.

    scale.py --bin build/bin [--layers 61 --experts 256] [--gigabytes 2]

experts   LAYERS layers of EXPERTS unrolled experts (20 nodes each, as exporters write them, small weights): import and raise take less
          than 60 s, every expert bank is recognised
memory    one such layer of 64 experts over a file of external data of 2 GB (a sparse file): compiling takes at most 100 MB more at its
          peak, mapped pages included, than with weights of a few kB
The last line is "N passed, N failed".
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "Inputs"))
from onnx_graph import FLOAT, INT64, Graph  # noqa: E402


class LayersGraph(Graph):
    def layer(self, x, name, experts, top, width, inner, file):
        """One layer of unrolled experts: NonZero of the chosen ones, gathered rows, products, a scatter that adds."""
        ints = lambda *values: self.constant(values, [len(values)])
        probabilities = self.op("Softmax", self.op("Gemm", x, self.weight(name + ".router", [experts, width], file), transB=1), axis=-1)
        weights, chosen = self.op("TopK", probabilities, ints(top), results=2, axis=-1)
        hot = self.op("Equal", self.op("Unsqueeze", chosen, ints(-1)), self.constant(range(experts), [experts]))
        hot = self.op("Transpose", self.op("Cast", hot, to=INT64), perm=[2, 1, 0])
        weights = self.op("Unsqueeze", weights, ints(2))
        out = self.op("Mul", x, self.constant([0.0], [], FLOAT))
        for e in range(experts):
            places = self.op("Transpose", self.op("NonZero", self.op("Gather", hot, self.constant([e], []), axis=0)), perm=[1, 0])
            column = lambda i: self.op("Squeeze", self.op("Slice", places, ints(i), ints(i + 1), ints(1)), ints(1))
            slot, token = column(0), self.op("Unsqueeze", column(1), ints(-1))
            rows = self.op("GatherND", x, token)
            gate = self.op("MatMul", rows, self.weight(f"{name}.{e}.gate", [width, inner], file))
            up = self.op("MatMul", rows, self.weight(f"{name}.{e}.up", [width, inner], file))
            hidden = self.op("Mul", self.op("Mul", gate, self.op("Sigmoid", gate)), up)
            y = self.op("MatMul", hidden, self.weight(f"{name}.{e}.down", [inner, width], file))
            share = self.op("GatherND", weights, self.op("Concat", token, self.op("Unsqueeze", slot, ints(-1)), axis=-1))
            out = self.op("ScatterND", out, token, self.op("Mul", y, share), reduction="add")
        return self.op("Add", x, out)


def run(argv, limit):
    """Exit code, standard output, the last line of errors, seconds, peak resident bytes."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen([str(a) for a in argv], stdout=out, stderr=err)
        while True:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                break
            if time.perf_counter() - start > limit:
                child.kill()
            time.sleep(0.01)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        return child.returncode, out.read().decode(), err.read().decode("utf-8", "replace")[-300:], time.perf_counter() - start, usage.ru_maxrss * 1024


def check_experts(args, folder):
    graph, x = LayersGraph(), "x"
    for layer in range(args.layers):
        x = graph.layer(x, f"layers.{layer}", args.experts, min(8, args.experts), 8, 4, None)
    (folder / "experts.onnx").write_bytes(graph.model({"x": ["n", 8]}, {x: ["n", 8]}))
    code, _, err, seconds, peak = run([args.bin / "moe-compile", folder / "experts.onnx", "--compile-to=raise", "-o", folder / "experts.mlir"], 300)
    banks = (folder / "experts.mlir").read_text().count("moe.experts ") if code == 0 else 0
    print(f"experts: {args.layers} x {args.experts} unrolled, {graph.count} nodes: {seconds:.1f} s, {peak / 1e6:.0f} MB, {banks} banks recognised {err if code else ''}")
    return code == 0 and banks == args.layers and seconds < 60


def check_memory(args, folder):
    peaks = []
    for name, width, inner in (("tiny", 16, 16), ("large", 2048, int(args.gigabytes * 1e9 / (4 * 64 * 3 * 2048)) // 64 * 64)):
        graph = LayersGraph()
        y = graph.layer("x", "layer", 64, 8, width, inner, f"{name}.bin")
        (folder / f"{name}.onnx").write_bytes(graph.model({"x": ["n", width]}, {y: ["n", width]}))
        with open(folder / f"{name}.bin", "wb") as file:
            file.truncate(graph.offset)
        code, out, err, seconds, peak = run([args.bin / "moe-compile", folder / f"{name}.onnx", "-o", folder / "model.moe", "--json"], 300)
        size = json.loads(out)["weight_bytes"] if code == 0 else 0
        print(f"memory: {size / 1e6:.1f} MB of weights: {seconds:.1f} s, {peak / 1e6:.0f} MB {err if code else ''}")
        if code:
            return False
        peaks.append(peak)
        subprocess.run(["rm", "-rf", folder / "model.moe"], check=True)
    return peaks[1] - peaks[0] <= 100e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, default=Path("build/bin"))
    parser.add_argument("--layers", type=int, default=61)
    parser.add_argument("--experts", type=int, default=256)
    parser.add_argument("--gigabytes", type=float, default=2)
    parser.add_argument("--only", choices=("experts", "memory"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        good = [check(args, Path(name)) for check in (check_experts, check_memory) if not args.only or check.__name__.endswith(args.only)]
    print(f"{sum(good)} passed, {len(good) - sum(good)} failed")
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
