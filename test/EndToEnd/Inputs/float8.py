"""Writes program.mlir, codes.bin and a case with the exact answers: float8.py DIR PROGRAM
Or drops one instruction set from a text of the tile phase: float8.py --drop-variant MODULE IN OUT
Values come from the formats' definition, roundings from comparing exact fractions: nothing is shared with the compiler."""
import math
import shutil
import struct
import sys
from fractions import Fraction
from pathlib import Path


class Format:
    def __init__(self, mantissa, bias, infinity):
        self.mantissa, self.bias, self.infinity = mantissa, bias, infinity
        self.values = [self.value(code) for code in range(256)]
        finite = [(code, v) for code, v in enumerate(self.values[:128]) if isinstance(v, Fraction)]
        self.finite = sorted(finite, key=lambda pair: pair[1])
        self.largest = self.finite[-1]

    def value(self, code):
        """A Fraction, or nan or inf."""
        sign, exponent, fraction = -1 if code & 128 else 1, code >> self.mantissa & (127 >> self.mantissa), code & ((1 << self.mantissa) - 1)
        top = 127 >> self.mantissa
        if self.infinity and exponent == top:
            return math.nan if fraction else sign * math.inf
        if not self.infinity and code & 127 == 127:
            return math.nan
        if exponent:
            return sign * Fraction(2) ** (exponent - self.bias) * (1 + Fraction(fraction, 1 << self.mantissa))
        return sign * Fraction(2) ** (1 - self.bias) * Fraction(fraction, 1 << self.mantissa)

    def encode(self, x, saturate):
        sign = 128 if math.copysign(1, x) < 0 else 0
        if math.isnan(x):
            return 127 | sign
        code, value = self.largest
        beyond = code if saturate else code + 1
        if math.isinf(x):
            return beyond | sign
        x = abs(Fraction(x))
        step = value - self.finite[-2][1]
        if x > value:
            # The next code, were there one, is a step away; ties go to the even of the two codes.
            return (code if x < value + step / 2 or (x == value + step / 2 and code % 2 == 0) else beyond) | sign
        best = min(self.finite, key=lambda pair: (abs(pair[1] - x), pair[0] % 2))
        return best[0] | sign


def bits(x):
    if isinstance(x, float) and math.isnan(x):
        return 0x7FC00000
    return struct.unpack("<i", struct.pack("<f", float(x)))[0]


def signed(code):
    return code - 256 if code > 127 else code


def proto(dtype, shape, raw):
    """A TensorProto."""
    def varint(n):
        out = b""
        while n > 127:
            out, n = out + bytes([n & 127 | 128]), n >> 7
        return out + bytes([n])
    return b"".join(b"\x08" + varint(d) for d in shape) + b"\x10" + varint(dtype) + b"\x4a" + varint(len(raw)) + raw


FLOAT, INT8, INT32, INT64 = 1, 3, 6, 7


def main(folder, program):
    folder = Path(folder)
    shutil.copy(program, folder / "program.mlir")
    e4m3, e5m2 = Format(3, 7, False), Format(2, 15, True)
    f32 = lambda x: struct.unpack("<f", struct.pack("<f", x))[0]
    near = lambda x, step: struct.unpack("<f", struct.pack("<i", struct.unpack("<i", struct.pack("<f", x))[0] + step))[0]
    x = [0.1, 1 / 3, 1.0, -1.5, 17.0, 2.0 ** -6, 2.0 ** -9, 0.0011, 2.0 ** -10, 448.0, 464.0, 465.0, 500.0, 57344.0, 61439.0, 61440.0, 65536.0,
         2.0 ** -17, 2.0 ** -16, 1e-30, 1e-40, 3e38, 0.0, math.inf, math.nan]
    for form in (e4m3, e5m2):
        values = [v for _, v in form.finite]
        for a, b in zip(values, values[1:]):
            middle = float((a + b) / 2)
            x += [float(b), middle, near(middle, 1), near(middle, -1)]
    x = [f32(v) for v in x]
    x += [-v for v in x]
    codes = bytes(range(256))
    clean = lambda form: bytes(0 if isinstance(form.values[c], float) else c for c in codes)
    (folder / "codes.bin").write_bytes(codes + clean(e4m3) + codes + clean(e5m2) + struct.pack("<f", 1))
    case = folder / "case"
    case.mkdir()
    eye = [1.0 if r == k else 0.0 for r in range(16) for k in range(16)]
    inputs = [proto(INT8, [256], codes), proto(FLOAT, [len(x)], struct.pack(f"<{len(x)}f", *x)), proto(FLOAT, [16, 16], struct.pack("<256f", *eye))]

    def product(form):
        """Row k of the identity picks code [k][n]; a NaN or both infinities in a column make all of it NaN."""
        out = []
        for k in range(16):
            for panel in (codes, clean(form)):
                for n in range(16):
                    column = [form.values[panel[16 * i + n]] for i in range(16)]
                    out.append(bits(math.nan if any(isinstance(v, float) for v in column) else column[k]))
        return out

    def saturated(v):
        """With 448 in the block: the scale is max(|v|, 448) / 448 in f32."""
        if math.isnan(v) or math.isinf(v):
            return 127
        scale = f32(f32(max(abs(v), 448.0)) / 448.0)
        return e4m3.encode(f32(v / scale), True)

    pack = lambda kind, values: struct.pack(f"<{len(values)}{kind}", *values)
    n = len(x)
    outputs = [proto(INT32, [256], pack("i", [bits(v) if not (v == 0 and c > 127) else bits(-0.0) for c, v in enumerate(e4m3.values)])),
               proto(INT32, [256], pack("i", [bits(v) if not (v == 0 and c > 127) else bits(-0.0) for c, v in enumerate(e5m2.values)])),
               proto(INT8, [n], pack("b", [signed(e4m3.encode(v, False)) for v in x])),
               proto(INT8, [n], pack("b", [signed(e5m2.encode(v, False)) for v in x])),
               proto(INT8, [n], pack("b", [signed(saturated(v)) for v in x])),
               proto(INT32, [16, 32], pack("i", product(e4m3))), proto(INT32, [16, 32], pack("i", product(e5m2)))]
    for kind, files in (("input", inputs), ("output", outputs)):
        for i, data in enumerate(files):
            (case / f"{kind}_{i}.pb").write_bytes(data)
    golden = {0.1: 0x1D, 1 / 3: 0x2B, 1: 0x38, -1.5: 0xBC, 17: 0x58, 2 ** -6: 0x08, 2 ** -9: 0x01, 0.0011: 0x01, 2 ** -10: 0, 448: 0x7E, 464: 0x7E, 500: 0x7E}
    for value, code in golden.items():
        assert e4m3.encode(value, True) == code, (value, code)


def drop(module, source, target):
    lines, keep, depth = Path(source).read_text().splitlines(), [], None
    for line in lines:
        if depth is None and f"module @{module} " in line:
            depth = len(line) - len(line.lstrip())
            continue
        if depth is not None:
            if line[:depth + 1] == " " * depth + "}":
                depth = None
            continue
        keep.append(line)
    Path(target).write_text("\n".join(keep) + "\n")


if __name__ == "__main__":
    drop(*sys.argv[2:]) if sys.argv[1] == "--drop-variant" else main(*sys.argv[1:])
