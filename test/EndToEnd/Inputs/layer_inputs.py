"""Writes input_0.pb, x [rows, HIDDEN] in bf16, and input_1.pb, logits [rows, EXPERTS] in f32: layer_inputs.py DIR ROWS HIDDEN EXPERTS SEED

For layers of tools/dev/layer-text."""
import random
import struct
import sys
from pathlib import Path

from float8 import proto


def main(folder, rows, hidden, experts, seed):
    rows, hidden, experts = int(rows), int(hidden), int(experts)
    random.seed(int(seed))

    def floats(count):
        return struct.pack(f"<{count}f", *(random.gauss(0, 1) for _ in range(count)))

    wide = floats(rows * hidden)
    Path(folder, "input_0.pb").write_bytes(proto(16, (rows, hidden), b"".join(wide[i + 2:i + 4] for i in range(0, len(wide), 4))))
    Path(folder, "input_1.pb").write_bytes(proto(1, (rows, experts), floats(rows * experts)))


main(*sys.argv[1:])
