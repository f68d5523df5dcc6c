"""Writes a TensorProto: tensor_proto.py FILE TYPE DIMS VALUES [--name NAME] [--typed]

TYPE is f32, i64, f16, bool or bf16; DIMS and VALUES are separated by commas ("-": none). --typed uses the typed field, not raw_data.
"""
import struct
import sys

TYPES = {"f32": (1, "<f", 4), "i64": (7, "<q", 7), "f16": (10, "<e", 5), "bool": (9, "<B", 5), "bf16": (16, None, 5)}


def varint(value):
    value &= (1 << 64) - 1
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, wire, payload):
    return varint(number << 3 | wire) + payload


def text(number, data):
    return field(number, 2, varint(len(data)) + data)


def encode(kind, value):
    if kind == "bf16":
        return struct.pack("<f", float(value))[2:]
    return struct.pack(TYPES[kind][1], float(value) if kind in ("f32", "f16") else int(value))


def main(argv):
    path, kind, dims, values = argv[:4]
    split = lambda s: [] if s == "-" else s.split(",")
    code, _, typed_field = TYPES[kind]
    out = text(1, b"".join(varint(int(d)) for d in split(dims))) + field(2, 0, varint(code))
    data = [encode(kind, v) for v in split(values)]
    if "--typed" in argv:
        if kind == "f32":
            packed = b"".join(data)
        elif kind == "i64":
            packed = b"".join(varint(int(v)) for v in split(values))
        else:
            packed = b"".join(varint(int.from_bytes(d, "little")) for d in data)
        out += text(typed_field, packed)
    else:
        out += text(9, b"".join(data))
    if "--name" in argv:
        out += text(8, argv[argv.index("--name") + 1].encode())
    with open(path, "wb") as file:
        file.write(out)


main(sys.argv[1:])
