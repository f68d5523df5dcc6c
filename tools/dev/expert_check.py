"""gpu-layers check: expert layers on a card against numpy and the CPU."""
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import numpy as np

import expert_cases
import expert_oracle

MAX_DISTANCE, MAX_ERROR_RATIO = 1e-2, 1.5


def infer(folder, artefact, inputs, under=()):
    """Outputs of one run (of a program that runs it); what numpy has no name for comes as bytes. RuntimeError if it fails."""
    with tempfile.TemporaryDirectory() as scratch:
        for name, value in inputs.items():
            np.save(f"{scratch}/{name}.npy", value)
        result = subprocess.run([*under, folder / "moe-run", "infer", folder / artefact, "--inputs", scratch, "--outputs", f"{scratch}/out"],
                                capture_output=True, text=True)
        if result.returncode:
            raise RuntimeError(f"{artefact}: exit code {result.returncode}: {(result.stdout if under else result.stderr).strip()[-2000:]}")
        return {file.stem: np.load(file) for file in pathlib.Path(scratch, "out").glob("*.npy")}


def twice(folder, artefact, inputs):
    """Outputs, and whether a second run gave the same bits."""
    first, second = infer(folder, artefact, inputs), infer(folder, artefact, inputs)
    return first, {name: first[name].tobytes() == second[name].tobytes() for name in first}


def distance(found, expected):
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    norm = np.sqrt((expected**2).sum())
    return float(np.sqrt(((found - expected)**2).sum()) / norm) if norm else float(np.abs(found).max(initial=0))


def verdict(found, reference, exact):
    """Whether a layer's rows are right, and the numbers that say so."""
    away, error, allowed = distance(found, reference), distance(found, exact), distance(reference, exact)
    right = bool(np.isfinite(found).all()) and away <= MAX_DISTANCE and error <= MAX_ERROR_RATIO * allowed
    return right, f"distance {away:.1e}, error {error:.2e} ({error / allowed if allowed else 1:.3f} of the reference's)"


def draw_logits(rng, tokens, layer, skew):
    """Logits, and numbers of tokens whose experts are of the layer's pool: a few, so that their weights are few."""
    experts, k, groups = layer["experts"], layer["router"]["k"], layer["router"]["groups"]
    size = experts // groups
    always = np.random.default_rng(experts)
    pool = (groups - 1) * size + always.permutation(size)[:k + 2] if size >= k else always.permutation(experts)[:k + 2]
    logits = rng.standard_normal((tokens, experts)).astype(np.float32)
    if not tokens:
        return logits, np.empty(0, np.int64)
    probes = np.unique(np.concatenate([[0, tokens - 1], rng.integers(0, tokens, 14)]))
    fixed = pool[:k]
    for t in range(tokens) if skew != "spread" else probes:
        chosen = fixed if skew == "one" else rng.permutation(pool)[:k]
        logits[t] -= 6
        logits[t, chosen] += 8
    return logits, probes


def draw_rows(rng, tokens, hidden, element):
    """Rows of x: f32 values that are of the element type, and the array that is written."""
    some = rng.standard_normal((min(tokens, 509), hidden)).astype(np.float32) * np.exp(rng.standard_normal((min(tokens, 509), 1))).astype(np.float32)
    rows = expert_oracle.rounded(some, element)[np.arange(tokens) % len(some)]
    return rows, (rows.view(np.uint32) >> 16).astype(np.uint16).view("V2") if element == "bf16" else rows


def values(array):
    return (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32) if array.dtype.kind == "V" else array


def check_route(folder, name, tokens, seed):
    router, rng = expert_cases.ROUTE[name], np.random.default_rng(seed)
    experts, hidden, k = router["experts"], router["hidden"], router["k"]
    # Logits on a grid: equal ones are many, and those that differ do so by more than an approximation of exp.
    logits = (rng.integers(-256, 256, (tokens, experts)) / 64).astype(np.float32)
    x = draw_rows(rng, tokens, hidden, "f32")[0]
    out, same = twice(folder, f"{name}.route.moe", {"x": x, "logits": logits})
    chosen, weights = expert_oracle.choose(logits, {**router, "bias": expert_cases.bias_of(router)})
    position, items = expert_oracle.places(chosen, experts)
    codes, scales = expert_oracle.quantize_blocks(x)
    token = np.arange(tokens * k) // k
    used = 16 + len(items)
    rows = expert_oracle.pieces(out["codes"].view(np.uint8).reshape(len(out["scales"]), -1, 8, 128)).reshape(len(out["scales"]), -1, 128)[:, position]
    wrong = {
        "positions": int((out["position"] != position).sum()),
        "items": int(out["items"][0] != len(items)) or int((out["items"][4:4 + items.size] != items.reshape(-1)).sum()),
        "most rows of an item": int(out["items"][1] < items[:, 2].max()),
        "weights": int((np.abs(out["weights"] - weights) > 1e-5 * np.abs(weights).max()).sum()),
        "counters": int((out["counters"][:used] != 0).sum()),
        "scales": int((out["scales"][:, position].T != scales[token]).sum()),
        "codes": int((rows != expert_oracle.e4m3_code(codes)[token].transpose(1, 0, 2)).sum()),
        "other bits in the second run": int(not same["weights"]) + int(not same["position"]),
    }
    return not any(wrong.values()), ", ".join(f"{n} {c}" for n, c in wrong.items() if c) or "all equal"


def check_stored(folder, name, tokens, skew, seed):
    layer, rng = expert_cases.layer_of([*expert_cases.STORED[name], "--element", "f32"]), np.random.default_rng(seed)
    logits = draw_logits(rng, tokens, layer, skew)[0]
    inputs = {"x": draw_rows(rng, tokens, layer["hidden"], "f32")[0], "logits": logits}
    out, same = twice(folder, f"{name}.gpu.moe", inputs)
    reference, exact = (infer(folder, f"{name}.{kind}.moe", inputs)["y"] for kind in ("f8", "f32"))
    right, text = verdict(out["y"], reference, exact)
    return right and same["y"], text + ("" if same["y"] else ", other bits in the second run")


def check_network(folder, tokens, seed):
    """A dense gated network with a residual, which runs as experts of one group."""
    rng = np.random.default_rng(seed)
    inputs = {name: draw_rows(rng, 2 * tokens, 264, "bf16")[1].reshape(2, tokens, 264) for name in ("x", "r")}
    out, same = twice(folder, "network.gpu.moe", inputs)
    reference, exact = (values(infer(folder, f"network.{kind}.moe", inputs)["y"]) for kind in ("f8", "f32"))
    right, text = verdict(values(out["y"]), reference, exact)
    return right and same["y"], text + ("" if same["y"] else ", other bits in the second run")


def check_drawn(folder, name, runs, processes, report):
    """All cases of one layer: an expert's weights are drawn once."""
    layer = expert_cases.layer_of(expert_cases.DRAWN[name][0])
    manifest = json.loads((folder / f"{name}.moe/manifest.json").read_text())
    weights = [w["random"] for w in manifest["weights"] if "random" in w]
    cases, jobs = [], {}
    for (tokens, skew), found in runs:
        probes, x, logits, y, same = found
        chosen, mix = expert_oracle.choose(logits[probes], layer["router"])
        case = (tokens, skew, y[probes], chosen, mix, np.empty((2, *chosen.shape, layer["hidden"]), np.float32), same)
        cases.append(case)
        for at in np.ndindex(chosen.shape):
            jobs.setdefault(chosen[at], []).append((case, at, x[probes[at[0]]]))
    results = {e: processes.submit(expert_oracle.both_rows, weights, layer, int(e), np.stack([row for _, _, row in wanted]))
               for e, wanted in jobs.items()}
    for e, result in results.items():
        for kind, rows in enumerate(result.result()):
            for (case, at, _), row in zip(jobs[e], rows):
                case[5][(kind, *at)] = row
    for tokens, skew, found, chosen, mix, parts, same in cases:
        reference, exact = expert_oracle.combined(parts[0], mix, layer["element"]), expert_oracle.combined(parts[1], mix, "f32")
        right, text = verdict(found, reference, exact)
        report("drawn", name, tokens, skew, right and same, f"{len(found)} tokens of {len(jobs)} experts: {text}" + ("" if same else ", other bits in the second run"))


def run_drawn(folder, name, tokens, skew, seed):
    layer, rng = expert_cases.layer_of(expert_cases.DRAWN[name][0]), np.random.default_rng(seed)
    logits, probes = draw_logits(rng, tokens, layer, skew)
    rows, written = draw_rows(rng, tokens, layer["hidden"], layer["element"])
    out, same = twice(folder, f"{name}.moe", {"x": written, "logits": logits})
    return probes, rows, logits, values(out["y"]), same["y"]


def check_float8(folder):
    """All codes of both formats and all edges between them, and small products of codes, to the bit."""
    result = subprocess.run([folder / "moe-run", "check", folder / "float8.moe", folder / "float8.case", "--rtol", "0", "--atol", "0"], capture_output=True, text=True)
    return result.returncode == 0, (result.stdout + result.stderr).strip().replace("\n", "; ") if result.returncode else "all equal"


def check_invariance(folder, artefact, kind, tokens, seed):
    """Rows of a long input and of its beginnings: a row's bits do not depend on how many there are."""
    arguments = expert_cases.DRAWN[artefact][0] if kind == "drawn" else [*expert_cases.STORED[artefact.split(".")[0]], "--element", "f32"]
    layer, rng = expert_cases.layer_of(arguments), np.random.default_rng(seed)
    logits, x = draw_logits(rng, tokens, layer, "spread")[0], draw_rows(rng, tokens, layer["hidden"], layer["element"])[1]
    whole = infer(folder, f"{artefact}.moe", {"x": x, "logits": logits})["y"]
    counts = expert_cases.INVARIANCE_TOKENS if kind == "stored" else expert_cases.INVARIANCE_TOKENS[2:5]
    wrong = []
    for count in counts:
        part = infer(folder, f"{artefact}.moe", {"x": x[:count], "logits": logits[:count]})["y"]
        rows = int((part.view(np.uint8).reshape(count, -1) != whole[:count].view(np.uint8).reshape(count, -1)).any(1).sum())
        wrong += [f"{rows} of {count} rows differ"] if rows else []
    return not wrong, ", ".join(wrong) or "equal bits"


def check_memory(folder, kind, name, tokens, seed):
    """compute-sanitizer's memcheck of a run."""
    rng = np.random.default_rng(seed)
    layer = expert_cases.ROUTE[name] if kind == "route" else expert_cases.layer_of([*expert_cases.STORED[name], "--element", "f32"])
    inputs = {"x": draw_rows(rng, tokens, layer["hidden"], "f32")[0], "logits": rng.standard_normal((tokens, layer["experts"])).astype(np.float32)}
    infer(folder, f"{name}.{'route' if kind == 'route' else 'gpu'}.moe", inputs, ("compute-sanitizer", "--error-exitcode", "9"))
    return True, "no errors"


def check(folder, seed, only):
    failed = []

    def report(kind, name, tokens, skew, right, text):
        failed.extend([] if right else [name])
        print(f"{'passed' if right else 'FAILED'} {kind} {name}, {tokens} tokens{f', {skew}' if skew else ''}: {text}", flush=True)

    # Processes first: they are forked while there are no threads.
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as processes, concurrent.futures.ThreadPoolExecutor(4) as threads:
        list(processes.map(abs, range(4 * os.cpu_count())))
        later = []
        if "route" in only:
            later += [(("route", n, t, ""), threads.submit(check_route, folder, n, t, seed + t)) for n in expert_cases.ROUTE for t in expert_cases.ROUTE_TOKENS]
        if "stored" in only:
            later += [(("stored", n, t, s), threads.submit(check_stored, folder, n, t, s, seed + t)) for n in expert_cases.STORED for t, s in expert_cases.STORED_TOKENS]
        if "network" in only:
            later += [(("network", "gated", t, ""), threads.submit(check_network, folder, t, seed + t)) for t in expert_cases.NETWORK_TOKENS]
        if "float8" in only:
            later.append((("float8", "conversions", 0, ""), threads.submit(check_float8, folder)))
        if "invariance" in only:
            later += [(("invariance", n, t, ""), threads.submit(check_invariance, folder, n, k, t, seed)) for n, (k, t) in expert_cases.INVARIANCE.items()]
        if "memory" in only and not shutil.which("compute-sanitizer"):
            print("left out memory: no compute-sanitizer on the path", flush=True)
        elif "memory" in only:
            later += [((f"memory of {k}", n, t, ""), threads.submit(check_memory, folder, k, n, t, seed)) for k, n, t in expert_cases.MEMORY]
        drawn = {}
        if "drawn" in only:
            drawn = {n: [((t, s), threads.submit(run_drawn, folder, n, t, s, seed + t)) for t, s in cases] for n, (_, cases) in expert_cases.DRAWN.items()}
        for what, future in later:
            try:
                report(*what, *future.result())
            except RuntimeError as error:  # of moe-run
                report(*what, False, str(error))
        for name, runs in drawn.items():
            found = []
            for what, future in runs:
                try:
                    found.append((what, future.result()))
                except RuntimeError as error:
                    report("drawn", name, *what, False, str(error))
            check_drawn(folder, name, found, processes, report)
    print(f"{len(failed)} failed")
    return 1 if failed else 0
