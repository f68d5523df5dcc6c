#!/usr/bin/env python3
"""Models end to end: every graph under --models is compiled, recognised, and gives its stored outputs on every path.

    models.py --bin build/bin --models build/test-models [--paths reference,raised,cpu] [--only PART] [--jobs 2]

paths: reference  the interpreter on the imported graph, without recognisers (moe-opt --moe-interpret)
       raised     the interpreter on the graph after the fuse phase
       cpu        the artefact (moe-compile, moe-run check)
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
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return self


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--paths", default="reference,raised,cpu", type=lambda text: text.split(","))
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
