"""Rows of every hand-shaped CPU kernel whose sizes cross its blocks: routes, causal attention, products.

    cpu_rows.py program > rows.mlir        the program: each output's row t depends on rows up to t alone
    cpu_rows.py bits ARTEFACT FOLDER   runs 1, 5, ... 300 rows, which begin alike, each in FOLDER/ROWS; exit code 1 unless a row's bits are the same in all
"""
import pathlib
import random
import struct
import subprocess
import sys

HEADS, DEPTH, WIDTH, K, N = 2, 24, 16, 72, 40
EXPERTS = (48, 33)
INF, NAN = float("inf"), float("nan")
# Ties far apart, no number, nothing to choose from, scores that are subnormal.
SPECIAL = [[3.0] * 48, [NAN] * 48, [-INF] * 48, [0.0] + [-95.0] * 20 + [-90.0] * 27, [0.0, -88.5, -87.5] + [-100.0] * 45, [NAN, INF] + [1.0, 2.0] * 23]


def program():
    def argument(name, dims, kind="f32"):
        shape = "x".join("?" if isinstance(d, str) else str(d) for d in dims)
        listed = ", ".join(f'"{d}"' if isinstance(d, str) else str(d) for d in dims)
        return f'%{name}: tensor<{shape}x{kind}> {{moe.name = "{name}", moe.dims = [{listed}]}}'

    arguments = [argument(f"logits{e}", ("t", e)) for e in EXPERTS]
    arguments += [argument(n, (1, HEADS, "t", d)) for n, d in (("q", DEPTH), ("key", DEPTH), ("v", WIDTH))] + [argument("x", ("t", K))]
    e0, e1 = EXPERTS
    attention = f"tensor<1x{HEADS}x?x{DEPTH}xf32>, tensor<1x{HEADS}x?x{DEPTH}xf32>, tensor<1x{HEADS}x?x{WIDTH}xf32>"
    bias = ", ".join(f"{(7 * e % 5 - 2) * 0.125}" for e in range(e1))
    routes = [(e0, 4, "", "{k = 4 : i64, normalize = #moe.normalize<sum_plus_eps>}"), (e1, 3, "bias(%bias) ", "{k = 3 : i64, score = #moe.score<sigmoid>, num_groups = 3 : i64, top_groups = 2 : i64, "
              "group_score = #moe.group_score<top2_sum>, group_fill = #moe.group_fill<zero>, scale = 2.5 : f32}"), (e1, e1, "", f"{{k = {e1} : i64}}")]
    body, outs = "", []
    for i, (e, k, more, attributes) in enumerate(routes):
        types = f"tensor<?x{e}xf32>" + (f", tensor<{e}xbf16>" if more else "")
        body += f"  %w{i}, %i{i} = moe.route %logits{e} {more}{attributes} : ({types}) -> (tensor<?x{k}xf32>, tensor<?x{k}xi64>)\n"
        outs += [(f"w{i}", f"tensor<?x{k}xf32>"), (f"i{i}", f"tensor<?x{k}xi64>")]
    for name, more in (("plain", "causal"), ("window", "causal, window = 37 : i64, softcap = 3.0 : f32")):
        body += f"  %{name} = moe.attention %q, %key, %v {{scale = 0.5 : f32, {more}}} : ({attention}) -> tensor<1x{HEADS}x?x{WIDTH}xf32>\n"
        outs.append((name, f"tensor<1x{HEADS}x?x{WIDTH}xf32>"))
    body += f"""  %w = moe.get_weight @w : tensor<1x{N}x{K}xf32>
  %y = moe.grouped_matmul %x weights(%w) : (tensor<?x{K}xf32>, tensor<1x{N}x{K}xf32>) -> tensor<?x{N}xf32> {{
  ^bb0(%a: f32):
    moe.yield %a : f32
  }}
"""
    outs.append(("y", f"tensor<?x{N}xf32>"))
    results = ", ".join(f'{t} {{moe.name = "{n}"}}' for n, t in outs)
    print(f'moe.weight @w : tensor<1x{N}x{K}xf32> = #moe.random<normal, 0.0 : f32, 0.1 : f32, 1, tensor<1x{N}x{K}xf32>>\n'
          f"func.func @main({', '.join(arguments)}) -> ({results}) attributes {{moe.entry}} {{\n  %bias = arith.constant dense<[{bias}]> : tensor<{e1}xbf16>\n{body}"
          f"  return {', '.join('%' + n for n, _ in outs)} : {', '.join(t for _, t in outs)}\n}}")


def varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def write(path, name, dims, values):
    text = lambda number, data: varint(number << 3 | 2) + varint(len(data)) + data
    path.write_bytes(text(1, b"".join(map(varint, dims))) + varint(16) + varint(1) + text(9, struct.pack(f"<{len(values)}f", *values)) + text(8, name.encode()))


def inputs(folder, tokens):
    def rows(seed, width, spread):
        rng = random.Random(seed)
        return [[rng.gauss(0, spread) for _ in range(width)] for _ in range(tokens)]

    flat = lambda rows: [v for row in rows for v in row]
    for i, e in enumerate(EXPERTS):
        logits = rows(i, e, 20 if i else 2)
        logits[:len(SPECIAL)] = [row[:e] for row in SPECIAL[:tokens]]
        write(folder / f"input_{i}.pb", f"logits{e}", (tokens, e), flat(logits))
    for i, (name, width) in enumerate((("q", DEPTH), ("key", DEPTH), ("v", WIDTH)), 2):
        write(folder / f"input_{i}.pb", name, (1, HEADS, tokens, width), [v for h in range(HEADS) for v in flat(rows(10 * i + h, width, 1))])
    write(folder / "input_5.pb", "x", (tokens, K), flat(rows(99, K, 1)))


def read(path):
    """Dims and raw bytes of a TensorProto."""
    data, at, dims, raw = path.read_bytes(), 0, [], b""

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value, shift = value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    while at < len(data):
        key = number()
        if key & 7 == 0:
            value = number()
            dims += [value] if key >> 3 == 1 else []
            continue
        size = number()
        begin, at = at, at + size
        if key >> 3 == 1:
            at, end = begin, at
            while at < end:
                dims.append(number())
        elif key >> 3 == 9:
            raw = data[begin:at]
    return dims, raw


def bits(artefact, folder):
    counts = (1, 5, 7, 29, 113, 300)
    for tokens in counts:
        at = folder / str(tokens)
        at.mkdir(parents=True, exist_ok=True)
        inputs(at, tokens)
        subprocess.run(["moe-run", "infer", artefact, "--inputs", at, "--outputs", at], check=True)
    for path in sorted((folder / "300").glob("output_*.pb")):
        long = read(path)[1]
        for tokens in counts[:-1]:
            dims, short = read(folder / str(tokens) / path.name)
            outer = dims[1] if len(dims) == 4 else 1
            part, whole = len(short) // outer, len(long) // outer
            if not short or any(short[i * part:(i + 1) * part] != long[i * whole:i * whole + part] for i in range(outer)):
                sys.exit(f"cpu_rows: {path.name}: rows of {tokens} have other bits than the first of 300")


if sys.argv[1] == "program":
    program()
else:
    bits(sys.argv[2], pathlib.Path(sys.argv[3]))
