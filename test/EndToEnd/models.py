#!/usr/bin/env python3
"""Models end to end: every graph under --models is compiled, recognised, and gives its stored outputs on every path.

    models.py --bin build/bin --models build/test-models [--paths reference,raised,cpu,fp8] [--only PART] [--jobs 2]

paths: reference  the interpreter on the imported graph, without recognisers (moe-opt --moe-interpret)
       raised     the interpreter on the graph after the fuse phase
       cpu        the artefact (moe-compile, moe-run check)
       fp8        graphs with recognised layers: the artefact with --fp8=blocks against the interpreter on the same text after fuse;
                  trained models: bytes of the weights and distance to f32 on eight windows of text
One expected answer per case; tolerances are the tools' defaults. What must be recognised stands in recognised.json beside this
file, and nothing of a router, expert bank or attention may be left generic. The last line is "N passed, N failed".
"""
import argparse
import concurrent.futures
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def run(*argv, limit=600):
    try:
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, errors="replace", timeout=limit)
        return done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired:
        return 124, "", f"no end after {limit} s"


def cases_of(graph):
    """test_data_set_K beside the graph, or in the folder of the graph's name (main_opset23 shares main's)."""
    for folder in (graph.with_suffix(""), graph.parent / graph.stem.split("_opset")[0], graph.parent):
        found = sorted(folder.glob("test_data_set_*")) if folder.is_dir() else []
        if found:
            return found
    return []


def first_line(code, out, err):
    lines = [line for line in (err + "\n" + out).splitlines() if line.strip()]
    return f"exit {code}: {lines[0][:200] if lines else 'no output'}"


# KL(f32 || FP8) of windows 40 to 47 of the evaluation text, as first measured; the simulated recipes' means over all windows are
# 0.0091, 0.0085, 0.0050 and 0.146, 0.0180, 0.0068. Only which near ties of routers flip may move them.
KNOWN_KL = {"dsv3-mini": {("plain", "f8"): 0.00824, ("blocks", "f8"): 0.00871, ("blocks", "f32"): 0.00565},
            "dsv3-mini-outliers": {("plain", "f8"): 0.1404, ("blocks", "f8"): 0.01857, ("blocks", "f32"): 0.00713}}
FP8_BYTES = 0.2875  # largest share of f32's


class Graph:
    def __init__(self, path, options):
        self.path, self.options = path, options
        self.name = f"{path.parent.name}/{path.stem}"
        self.failures, self.passed = [], 0

    def expect(self, what, holds, why):
        if holds:
            self.passed += 1
        else:
            self.failures.append(f"{self.name}: {what}: {why}")

    def tool(self, name):
        return self.options.bin / name

    def check_interpreted(self, what, source):
        for case in cases_of(self.path):
            result = run(self.tool("moe-opt"), source, f"--moe-interpret=case={case}", "-o", os.devnull)
            self.expect(f"{what} {case.name}", result[0] == 0, first_line(*result))

    def check_recognised(self, report):
        expected = self.options.recognised.get(self.name)
        if expected is None:
            return
        found = report.get("recognised", {})
        short = {k: f"{found.get(k, 0)} of {n}" for k, n in expected.items() if found.get(k, 0) < n}
        self.expect("recognised", not short, short)
        self.expect("nothing left generic", not report.get("generic"), report.get("generic"))

    def check_fp8(self, work):
        """The compiled products of scaled values are those of the text."""
        fused, artefact, case = work / "fp8.mlir", work / "fp8.moe", work / "case"
        flags = ["--target=cpu", "--fp8=blocks"]
        for target in (["-o", fused, "--compile-to=fuse"], ["-o", artefact]):
            result = run(self.tool("moe-compile"), self.path, *flags, *target)
            self.expect("compile with --fp8=blocks", result[0] == 0, first_line(*result))
            if result[0]:
                return
        case.mkdir()
        for file in cases_of(self.path)[0].glob("input_*.pb"):
            shutil.copy(file, case)
        result = run(self.tool("moe-run"), "infer", artefact, "--inputs", case, "--outputs", case)
        self.expect("infer with --fp8=blocks", result[0] == 0, first_line(*result))
        result = run(self.tool("moe-opt"), fused, f"--moe-interpret=case={case}", "-o", os.devnull)
        self.expect("fp8", result[0] == 0, first_line(*result))

    def check_quality(self, work, known):
        """FP8 is as far from f32 as the recipe is, and as small."""
        tokens = work / "held.u16"
        tokens.write_bytes((self.path.parent / "eval_tokens.u16").read_bytes()[40 * 512: 48 * 512])
        whole = work / "off.moe"
        result = run(self.tool("moe-compile"), self.path, "-o", whole)
        self.expect("compile", result[0] == 0, first_line(*result))
        for (recipe, activations), wanted in known.items():
            artefact, what = work / f"{recipe}-{activations}.moe", f"{recipe}, activations {activations}"
            result = run(self.tool("moe-compile"), self.path, "-o", artefact, f"--fp8={recipe}", f"--activations={activations}", "--json")
            self.expect(f"compile {what}", result[0] == 0, first_line(*result))
            if result[0]:
                continue
            report = json.loads(result[1])
            share = report["weight_bytes"] / (4 * report["parameters"])
            self.expect(f"bytes of {what}", share <= FP8_BYTES, f"{share:.4f} of f32's, expected at most {FP8_BYTES}")
            result = run(self.tool("moe-run"), "eval", artefact, "--tokens", tokens, "--window", 256, "--against", whole, "--json")
            kl = json.loads(result[1])["against"]["kl_mean"] if result[0] == 0 else None
            self.expect(f"distance of {what}", kl is not None and abs(kl / wanted - 1) < 0.2, f"KL {kl}, expected {wanted} within 20 %; {first_line(*result)}")

    def check(self):
        work = Path(tempfile.mkdtemp(prefix="moe-models-"))
        try:
            if "reference" in self.options.paths:
                self.check_interpreted("reference", self.path)
            if "raised" in self.options.paths:
                fused = work / "fused.mlir"
                result = run(self.tool("moe-compile"), self.path, "-o", fused, "--target=cpu", "--compile-to=fuse")
                self.expect("compile to fuse", result[0] == 0, first_line(*result))
                if result[0] == 0:
                    self.check_interpreted("raised", fused)
            if "cpu" in self.options.paths:
                artefact = work / "model.moe"
                result = run(self.tool("moe-compile"), self.path, "-o", artefact, "--target=cpu", "--json")
                self.expect("compile", result[0] == 0, first_line(*result))
                if result[0] == 0:
                    self.check_recognised(json.loads(result[1]))
                    result = run(self.tool("moe-run"), "check", artefact, *cases_of(self.path))
                    self.expect("cpu", result[0] == 0, first_line(*result))
            if "fp8" in self.options.paths and self.name in self.options.recognised and self.path.parent.parent.name in ("hf", "families"):
                self.check_fp8(work)
            if "fp8" in self.options.paths and self.path.name == "main.onnx" and self.path.parent.name in KNOWN_KL:
                self.check_quality(work, KNOWN_KL[self.path.parent.name])
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return self


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--paths", default="reference,raised,cpu,fp8", type=lambda text: text.split(","))
    parser.add_argument("--only", default="", help="graphs whose path holds this text")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    options.bin = options.bin.resolve()
    options.recognised = json.loads((HERE / "recognised.json").read_text())
    paths = sorted(p for p in options.models.resolve().rglob("*.onnx") if cases_of(p) and options.only in str(p))
    missing = [name for name in options.recognised if options.only in name and not any(str(p.with_suffix("")).endswith(name) for p in paths)]
    if missing:
        print(f"not unpacked (tools/dev/unpack-models {options.models}): {len(missing)} graphs, first {missing[0]}", file=sys.stderr)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        graphs = list(pool.map(lambda path: Graph(path, options).check(), paths))
    for graph in graphs:
        for failure in graph.failures:
            print(failure)
    print(f"{sum(g.passed for g in graphs)} passed, {sum(len(g.failures) for g in graphs)} failed")
    return 1 if not graphs or any(g.failures for g in graphs) else 0


if __name__ == "__main__":
    sys.exit(main())
