"""bombs.py FOLDER [NAME...]: models that are small and ask for much. Each must end within --seconds and --megabytes: refused with one error that
leaves nothing behind (exit 2), or compiled; then running it ends in one error of moe-run's within the same bounds.

Prints NAME: the error, or "compiled" and how the run ended. What the models ask stands beside them.
"""
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "EndToEnd/Inputs"))
from onnx_graph import FLOAT, INT64, Graph, field  # noqa: E402

SECONDS, MEGABYTES = 30, 2000
LARGE = 2**62


def ints(graph, *values):
    return graph.constant(values, [len(values)])


def bombs():
    """Yields name, model."""
    def one(kind, *args, inputs=None, shape=("n",), **attributes):
        graph = Graph()
        y = graph.op(kind, *[a(graph) if callable(a) else a for a in args], **attributes)
        return graph.model(inputs or {"x": ["n", 4]}, {y: list(shape)})
    const = lambda *values: lambda graph: ints(graph, *values)
    floats = lambda *values: lambda graph: graph.constant(values, [len(values)], FLOAT)
    scalar = lambda value: lambda graph: graph.constant([value], [])
    real = lambda value: lambda graph: graph.constant([value], [], FLOAT)
    yield "input", one("Relu", "x", inputs={"x": [LARGE, LARGE]})
    yield "constant-of-shape", one("ConstantOfShape", const(10**6, 10**6, 10**5))
    yield "constant-of-shape-overflow", one("ConstantOfShape", const(LARGE, LARGE))
    yield "constant-of-shape-negative", one("ConstantOfShape", const(-5))
    yield "expand", one("Expand", floats(7), const(10**6, 10**6))
    yield "expand-overflow", one("Expand", "x", const(LARGE, LARGE, 1, 1))
    yield "tile", one("Tile", floats(1, 2, 3), const(10**11))
    yield "tile-overflow", one("Tile", floats(1, 2, 3), const(LARGE))
    yield "tile-rows", one("Tile", "x", const(10**9, 10**9))
    yield "range", one("Range", real(0.0), real(1e12), real(1.0))
    yield "range-overflow", one("Range", real(-3e38), real(3e38), real(1e-3))
    yield "range-float", one("Range", real(0.0), real(1.0), real(1e-30))
    yield "range-zero", one("Range", scalar(0), scalar(10), scalar(0))
    yield "pad", one("Pad", "x", const(10**12, 10**12, 10**12, 10**12))
    yield "pad-overflow", one("Pad", "x", const(LARGE, LARGE, LARGE, LARGE))
    yield "one-hot", one("OneHot", const(1, 2), scalar(LARGE), const(0, 1))
    yield "axis", one("Unsqueeze", "x", const(LARGE))
    yield "repeated-axes", one("Unsqueeze", "x", const(*([0] * 60)))
    yield "split", one("Split", "x", axis=1, num_outputs=LARGE)
    yield "slice", one("Slice", "x", const(-LARGE), const(LARGE), const(0), const(-LARGE))
    yield "reshape", one("Reshape", "x", const(LARGE, LARGE, -1))
    yield "window", one("AveragePool", "x", inputs={"x": [1, 1, 8]}, kernel_shape=[LARGE], strides=[LARGE], pads=[LARGE, LARGE])
    yield "conv", one("Conv", "x", "w", inputs={"x": [1, 1, 8], "w": [1, 1, 3]}, dilations=[LARGE], strides=[1], pads=[LARGE, LARGE])
    yield "rank", one("Reshape", "x", const(*([1] * 120)))
    yield "ranks", one("Expand", "x", const(*([2] * 100)))

    graph, y = Graph(), "x"
    for _ in range(70):  # extents double
        y = graph.op("Concat", y, y, axis=1)
    yield "doubling", graph.model({"x": ["n", 4]}, {y: ["n", "m"]})
    graph, y = Graph(), "x"
    for _ in range(70):  # so do expressions of extents
        y = graph.op("Concat", y, y, axis=0)
    yield "doubling-names", graph.model({"x": ["n", 4]}, {y: ["m", 4]})
    graph = Graph()
    y = graph.op("Shape", "x")
    for _ in range(70):  # squares of shapes
        y = graph.op("Mul", y, y)
    yield "squares", graph.model({"x": ["n", "m"]}, {graph.op("ConstantOfShape", y): ["a", "b"]})
    graph, y = Graph(), "x"
    for _ in range(40):  # expressions that do not fold: each is read twice
        size = graph.op("Shape", y)
        rows = graph.op("Add", graph.op("Mod", size, ints(graph, 7)), graph.op("Div", size, ints(graph, 3)))
        y = graph.op("Expand", graph.op("Slice", y, ints(graph, 0), ints(graph, 1), ints(graph, 0)), graph.op("Max", rows, ints(graph, 1)))
    yield "expressions", graph.model({"x": ["n"]}, {y: ["m"]})

    # Functions that call the next one twice: 2^40 nodes.
    def twice(name, inner, domain):
        call = lambda a, b: field(7, field(1, a) + field(2, b) + field(4, inner) + field(7, domain))
        return field(1, name) + field(4, "a") + field(5, "c") + call("a", "b") + call("b", "c") + field(9, field(1, "") + field(2, 23)) + field(9, field(1, "local") + field(2, 1)) + field(10, "local")
    graph = Graph()
    graph.parts.append(field(1, field(1, "x") + field(2, "y") + field(4, "F0") + field(7, "local")))
    yield "functions", graph.model({"x": ["n", 4]}, {"y": ["n", 4]}, [twice(f"F{i}", f"F{i + 1}" if i < 39 else "Relu", "local" if i < 39 else "") for i in range(40)])
    # A graph in an attribute of a node of a graph in an attribute, 3000 deep.
    inner = b""
    for _ in range(3000):
        inner = field(1, field(1, "x") + field(2, "y") + field(4, "If") + field(5, field(1, "then_branch") + field(6, inner) + field(20, 5)))
    graph = Graph()
    graph.parts.append(inner)
    yield "subgraphs", graph.model({"x": ["n", 4]}, {"y": ["n", 4]})

    graph, y = Graph(), "x"
    for _ in range(30_000):
        y = graph.op("Relu", y)
    yield "nodes", graph.model({"x": ["n", 4]}, {y: ["n", 4]})
    graph = Graph()  # a cycle of 100000 nodes, the last one first
    for i in range(100_000):
        graph.parts.append(field(1, field(1, f"a{(i + 1) % 100_000}") + field(2, f"a{i}") + field(3, f"node{i}") + field(4, "Relu")))
    yield "cycle", graph.model({"x": ["n", 4]}, {"a0": ["n", 4]})
    graph = Graph()  # all tensors are the same bytes of one file
    y = "x"
    for i in range(100):
        graph.offset = 0
        y = graph.op("Add", y, graph.weight(f"w{i}", [1000, 4], "alias.bin"))
    yield "alias", graph.model({"x": [1000, 4]}, {y: [1000, 4]})
    graph, ids = Graph(), "x"  # ids that each step reads twice: 2^16 ways down
    ids = graph.op("ArgMax", ids, axis=1, keepdims=1)
    for _ in range(16):
        ids = graph.op("Max", ids, ids)
    chosen = graph.op("Cast", graph.op("Equal", ids, graph.constant([7], [])), to=FLOAT)
    yield "ids", graph.model({"x": ["n", 60_000]}, {chosen: ["n", 1]})


def bounded(argv, folder):
    """Exit code, standard error, seconds, peak MB."""
    def limits():
        resource.setrlimit(resource.RLIMIT_CPU, (2 * SECONDS, 2 * SECONDS))
    start = time.perf_counter()
    with open(folder / "err", "w+") as err:
        child = subprocess.Popen([str(a) for a in argv], stdout=subprocess.DEVNULL, stderr=err, preexec_fn=limits)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        err.seek(0)
        return child.returncode, err.read(), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, time.perf_counter() - start


def main():
    folder, only, bad = Path(sys.argv[1]), sys.argv[2:], 0
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "alias.bin").write_bytes(bytes(16000))
    for name, model in bombs():
        if only and name not in only:
            continue
        path, artefact = folder / f"{name}.onnx", folder / f"{name}.moe"
        path.write_bytes(model)
        shutil.rmtree(artefact, ignore_errors=True)
        code, err, seconds, peak, _ = bounded(["moe-compile", path, "-o", artefact], folder)
        errors = [line for line in err.splitlines() if "error: " in line]
        problems = []
        if code == 0:
            what = "compiled"
        elif code != 2 or len(errors) != 1 or artefact.exists():
            problems.append(f"exit {code}, {len(errors)} errors, {'an artefact' if artefact.exists() else 'nothing'} left: {err[-300:]}")
            what = errors[0] if errors else "no error"
        else:
            what = errors[0]
        if seconds > SECONDS or peak > MEGABYTES:
            problems.append(f"{seconds:.1f} s, {peak:.0f} MB")
        what = what.replace(str(folder) + "/", "").replace("moe-compile: ", "")
        print(f"{name}: {what[:300]}" + (f"   ({seconds:.1f} s, {peak:.0f} MB)" if os.environ.get("SHOW") else ""), flush=True)
        if code == 0:
            code, err, seconds, peak, _ = bounded(["moe-run", "bench", artefact, "--seconds", "0.01", "--threads", "1"], folder)
            print(f"{name}: run: {'done' if code == 0 else err.strip()[:300]}", flush=True)
            if code not in (0, 2) or seconds > SECONDS or peak > MEGABYTES:
                problems.append(f"run: exit {code}, {seconds:.1f} s, {peak:.0f} MB")
        path.unlink()
        shutil.rmtree(artefact, ignore_errors=True)
        for problem in problems:
            bad += 1
            print(f"{name}: WRONG: {problem}", flush=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
