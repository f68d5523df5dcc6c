"""Writes program.mlir, weights.bin and inputs input_N.pb: scaled_products.py DIR ROWS SEED [EMPTY]

One program with products of scaled values in odd sizes: rows and weights quantized, weights alone, one piece of K and several, dense and
grouped with a gather and two weights, powers of two, E5M2, a block longer than the matrix. EMPTY: all tokens choose expert 0."""
import importlib.util
import random
import struct
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
spec = importlib.util.spec_from_file_location("float8", HERE / "float8.py")
float8 = importlib.util.module_from_spec(spec)
spec.loader.exec_module(float8)

# name, K, N, groups, weights, element, scale, block of x (None: not quantized), block of weights, promotion
PRODUCTS = [
    ("blocks", 257, 130, 1, 1, "f8E4M3FN", "f32", (1, 128), (1, 128, 128), 128),
    ("weights_only", 1300, 33, 1, 1, "f8E4M3FN", "f32", None, (1, 128, 128), 128),
    ("deep", 2304, 17, 1, 1, "f8E4M3FN", "f32", (1, 128), (1, 128, 128), 64),
    ("plain", 200, 48, 1, 1, "f8E4M3FN", "f32", (0, 0), (1, 0, 0), 128),
    ("two", 96, 80, 1, 1, "f8E4M3FN", "f8E8M0FNU", (1, 32), (1, 16, 32), 32),
    ("e5m2", 64, 40, 1, 1, "f8E5M2", "f32", (1, 64), (1, 32, 64), 32),
    ("per_row", 96, 24, 1, 1, "f8E4M3FN", "f32", (1, 0), (1, 1, 0), 128),
    ("tall", 130, 20, 1, 1, "f8E4M3FN", "f32", (4, 128), (1, 128, 128), 128),
    ("long_block", 2304, 17, 1, 1, "f8E4M3FN", "f32", (1, 2048), (1, 0, 2048), 128),
    ("longer_block", 1100, 17, 1, 1, "f8E4M3FN", "f32", (1, 4096), (1, 16, 4096), 128),
    ("experts", 100, 48, 5, 2, "f8E4M3FN", "f32", (1, 128), (1, 128, 128), 128),
    ("experts_plain", 100, 48, 5, 1, "f8E4M3FN", "f32", None, (1, 0, 0), 128),
]
EPILOGUE = {1: "moe.yield %a : f32", 2: "%n = arith.mulf %a, %b : f32\n      moe.yield %n : f32"}


def main(folder, rows, seed, empty=""):
    folder, rows = Path(folder), int(rows)
    rng = random.Random(int(seed))
    weights, text, body, arguments, results = b"", [], [], [], []

    def floats(count, spread):
        # Magnitudes over several powers of two, so that blocks differ and some codes are subnormal.
        return [rng.gauss(0, 1) * 2.0 ** rng.uniform(-spread, spread) for _ in range(count)]

    for i, (name, k, n, groups, count, code, scale, x_block, w_block, promotion) in enumerate(PRODUCTS):
        values = floats(rows * k, 3)
        float32 = struct.pack(f"<{len(values)}f", *values)
        (folder / f"input_{i}.pb").write_bytes(float8.proto(float8.FLOAT, [rows, k], float32))
        arguments.append(f'%x{i}: tensor<?x{k}xf32> {{moe.name = "x{i}", moe.dims = ["rows", {k}]}}')
        x, x_type = f"%x{i}", f"tensor<?x{k}xf32>"
        if x_block:
            scaled = f"!moe.scaled<?x{k}x{code}, block = [{x_block[0]}, {x_block[1]}], scale = {scale}>"
            body.append(f"%q{i} = moe.quantize {x} : {x_type} -> {scaled}")
            x, x_type = f"%q{i}", scaled
        tensor, names = f"tensor<{groups}x{n}x{k}xf32>", []
        w_type = f"!moe.scaled<{groups}x{n}x{k}x{code}, block = [{', '.join(map(str, w_block))}], scale = {scale}>"
        for j in range(count):
            data = [v / 32 for v in floats(groups * n * k, 4)]
            text.append(f'moe.weight @{name}{j} : {tensor} = #moe.piece<"weights.bin", {len(weights)}, {4 * len(data)}, {tensor}>')
            weights += struct.pack(f"<{len(data)}f", *data)
            body.append(f"%w{i}_{j} = moe.get_weight @{name}{j} : {tensor}")
            body.append(f"%s{i}_{j} = moe.quantize %w{i}_{j} : {tensor} -> {w_type}")
            names.append(f"%s{i}_{j}")
        grouped = "offsets(%d#0) rows(%d#1) " if groups > 1 else ""
        attributes = f"{{promotion = {promotion} : i64" + (", rows_divisor = 2 : i64}" if groups > 1 else "}")
        types = [x_type] + [w_type] * count + (["tensor<6xi32>", "tensor<?xi32>"] if groups > 1 else [])
        body.append(f"""%y{i} = moe.grouped_matmul {x} weights({', '.join(names)}) {grouped}{attributes} : ({', '.join(types)}) -> tensor<?x{n}xf32> {{
    ^bb0({', '.join(f'%{v}: f32' for v in 'ab'[:count])}):
      {EPILOGUE[count]}
    }}""")
        results.append((f"%y{i}", f"tensor<?x{n}xf32>", f'{{moe.name = "{name}"}}'))
    ids = [0, 0] * rows if empty else [v for _ in range(rows) for v in rng.sample([0, 1, 3, 4], 2)]  # nobody chooses expert 2
    (folder / f"input_{len(PRODUCTS)}.pb").write_bytes(float8.proto(float8.INT64, [rows, 2], struct.pack(f"<{2 * rows}q", *ids)))
    arguments.append('%ids: tensor<?x2xi64> {moe.name = "ids", moe.dims = ["rows", 2]}')
    body.insert(0, "%d:3 = moe.dispatch %ids {num_experts = 5 : i64} : (tensor<?x2xi64>) -> (tensor<6xi32>, tensor<?xi32>, tensor<?xi32>)")
    (folder / "weights.bin").write_bytes(weights)
    lines = "\n    ".join(body)
    (folder / "program.mlir").write_text(f"""module attributes {{moe.weights_dir = "."}} {{
  {chr(10).join(text)}
  func.func @main({', '.join(arguments)}) -> ({', '.join(f'{t} {a}' for _, t, a in results)}) attributes {{moe.entry}} {{
    {lines}
    return {', '.join(v for v, _, _ in results)} : {', '.join(t for _, t, _ in results)}
  }}
}}
""")


main(*sys.argv[1:])
