#!/usr/bin/env python3
"""ONNX's own backend node tests on the CPU: each is compiled, run and compared at the tolerance it states.

    node-tests.py --bin build/bin [--only WORD] [--jobs 2]

The tests are made by the `onnx` package (1.23; onnx.backend.test); those that must pass stand in Inputs/node-tests.txt. Without the
package nothing is run and a line says so. The last line is "N passed, N failed".
"""
import argparse
import concurrent.futures
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent


def collect(wanted):
    """The wanted tests by name; ONNX's generators seed their random numbers."""
    try:
        import numpy
        from onnx.backend.test.loader import load_model_tests
    except ImportError as error:
        print(f"node tests are left out: they are made by the onnx package, but {error}")
        print("0 passed, 0 failed")
        sys.exit(0)
    with warnings.catch_warnings(), numpy.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return {case.name: case for case in load_model_tests(kind="node") if case.name in wanted}


def write(case, folder):
    """model.onnx and test_data_set_K beside it, as moe-run check reads them. Returns the data sets."""
    import numpy
    from onnx import TensorProto, numpy_helper
    (folder / "model.onnx").write_bytes(case.model.SerializeToString())
    sets = []
    for k, (inputs, outputs) in enumerate(case.data_sets):
        sets.append(folder / f"test_data_set_{k}")
        sets[-1].mkdir()
        for kind, values, infos in (("input", inputs, case.model.graph.input), ("output", outputs, case.model.graph.output)):
            for i, (value, info) in enumerate(zip(values, infos)):
                tensor = value if isinstance(value, TensorProto) else numpy_helper.from_array(numpy.asarray(value))
                tensor.name = info.name
                (sets[-1] / f"{kind}_{i}.pb").write_bytes(tensor.SerializeToString())
    return sets


def relative_tolerance(case):
    """The case's; ONNX's runner compares bfloat16 to two units in the last place at least."""
    from onnx import TensorProto
    rtol = 1e-3 if case.rtol is None else case.rtol
    kinds = {value.type.tensor_type.elem_type for value in case.model.graph.output}
    floats = kinds & {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16}
    return max(rtol, 2**-6) if floats == {TensorProto.BFLOAT16} else rtol


def check(binaries, case):
    """None, or what went wrong."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sets = write(case, folder)
        artefact = folder / "model.moe"
        tolerances = [f"--rtol={relative_tolerance(case)}", f"--atol={1e-7 if case.atol is None else case.atol}"]
        for argv in ([binaries / "moe-compile", folder / "model.onnx", "-o", artefact], [binaries / "moe-run", "check", artefact, *sets, *tolerances]):
            try:
                done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, errors="replace", timeout=120)
            except subprocess.TimeoutExpired:
                return f"{argv[0].name}: no end after 120 s"
            if done.returncode:
                lines = [line for line in (done.stderr + "\n" + done.stdout).splitlines() if line.strip()]
                return f"{argv[0].name}: exit {done.returncode}: {' / '.join(lines)[:300]}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, default=Path("build/bin"))
    parser.add_argument("--only", default="", metavar="WORD", help="tests whose name holds this")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    wanted = [name for name in (HERE / "Inputs/node-tests.txt").read_text().split() if args.only in name]
    cases = collect(set(wanted))
    failures = {name: "the onnx package has no test of this name" for name in wanted if name not in cases}
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for name, problem in zip(cases, pool.map(lambda case: check(args.bin.resolve(), case), cases.values())):
            if problem:
                failures[name] = problem
    for name, problem in sorted(failures.items()):
        print(f"{name}: {problem}")
    print(f"{len(wanted) - len(failures)} passed, {len(failures)} failed")
    sys.exit(1 if failures or not wanted else 0)


if __name__ == "__main__":
    main()
