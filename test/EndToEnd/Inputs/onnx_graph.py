"""A small writer of ONNX models, for tests that must not depend on the onnx package: nodes, small initializers, external data."""
import struct

FLOAT, INT64 = 1, 7


def varint(value):
    out = bytearray()
    value &= (1 << 64) - 1
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


class Graph:
    """Nodes and initializers; values are names."""

    def __init__(self):
        self.parts, self.count, self.constants, self.offset = [], 0, {}, 0

    def constant(self, values, shape, kind=INT64):
        key = (tuple(values), tuple(shape), kind)
        if key not in self.constants:
            name = self.constants[key] = f"c{len(self.constants)}"
            raw = struct.pack(f"<{len(values)}{'q' if kind == INT64 else 'f'}", *values)
            self.parts.append(field(5, b"".join(field(1, d) for d in shape) + field(2, kind) + field(8, name) + field(9, raw)))
        return self.constants[key]

    def weight(self, name, shape, file):
        """`file`: external data; otherwise small values in the graph."""
        count = 1
        for extent in shape:
            count *= extent
        head = b"".join(field(1, d) for d in shape) + field(2, FLOAT) + field(8, name)
        if file:
            entries = (("location", file), ("offset", str(self.offset)), ("length", str(4 * count)))
            self.offset += 4 * count
            data = b"".join(field(13, field(1, key) + field(2, text)) for key, text in entries) + field(14, 1)
        else:
            self.offset += count  # other values in each
            data = field(9, struct.pack(f"<{count}f", *(((self.offset + i) * 7919 % 2003 - 1001) / 4000 for i in range(count))))
        self.parts.append(field(5, head + data))
        return name

    def op(self, kind, *inputs, results=1, **attributes):
        self.count += 1
        outputs = [f"v{self.count}_{i}" for i in range(results)]
        node = b"".join(field(1, name) for name in inputs) + b"".join(field(2, name) for name in outputs) + field(3, f"{kind}_{self.count}") + field(4, kind)
        for name, value in attributes.items():
            if isinstance(value, str):
                attribute = field(4, value) + field(20, 3)
            elif isinstance(value, float):
                attribute = varint(2 << 3 | 5) + struct.pack("<f", value) + field(20, 1)
            elif isinstance(value, list):
                attribute = b"".join(field(8, v) for v in value) + field(20, 7)
            else:
                attribute = field(3, value) + field(20, 2)
            node += field(5, field(1, name) + attribute)
        self.parts.append(field(1, node))
        return outputs[0] if results == 1 else outputs

    def model(self, inputs, outputs, functions=()):
        """The model's bytes. `inputs` and `outputs`: {name: extents (integers or names)}, all float32."""
        def value(name, shape):
            dims = b"".join(field(1, field(2 if isinstance(extent, str) else 1, extent)) for extent in shape)
            return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, dims)))
        graph = b"".join(self.parts) + field(2, "graph") + b"".join(field(11, value(*v)) for v in inputs.items()) + b"".join(field(12, value(*v)) for v in outputs.items())
        opsets = field(8, field(1, "") + field(2, 23)) + (field(8, field(1, "local") + field(2, 1)) if functions else b"")
        return field(1, 9) + field(7, graph) + opsets + b"".join(field(25, function) for function in functions)
