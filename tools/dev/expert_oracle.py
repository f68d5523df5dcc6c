"""What an expert layer's plan on the GPU must give, in numpy: router, counting sort, work list, rows in FP8 blocks, both products.

Used by gpu-layers. Follows docs/generated/dialect-moe.md at `moe.route_rows`, `moe.quantize_rows` and `moe.expert_products`, not the kernels.
"""
import numpy as np


def up(n, by):
    return -(-n // by)


# ---- numbers -----------------------------------------------------------------------------------------------------------------


def to_e4m3(v):
    """f8E4M3FN of f32 values, as f32: nearest even, saturating at 448."""
    v = np.asarray(v, np.float32)
    step = np.exp2(np.maximum(np.floor(np.log2(np.maximum(np.abs(v), 2.0**-20))), -6) - 3).astype(np.float32)
    return np.clip(np.rint(v / step) * step, -448, 448).astype(np.float32)


def e4m3_code(v):
    """The bytes of values that are f8E4M3FN."""
    table = np.sort(E4M3[:127])
    code = np.searchsorted(table, np.abs(v)).astype(np.uint8)
    return code | (np.signbit(v).astype(np.uint8) << 7)


def to_bf16(v):
    """bf16 of f32 values, as f32: nearest even."""
    bits = np.ascontiguousarray(v, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)).view(np.float32)


def decode_e4m3():
    code = np.arange(256)
    exponent, fraction = code >> 3 & 15, code & 7
    value = np.where(exponent, (8 + fraction) * 2.0 ** (exponent - 10), fraction * 2.0**-9)
    value[code & 127 == 127] = np.nan
    return np.where(code >> 7, -value, value).astype(np.float32)


E4M3 = decode_e4m3()


def draw(random, first, count):
    """Elements of a weight that the manifest says is random, as f32: runtime/include/moe/random_values.h. Codes of f8E4M3FN are decoded."""
    with np.errstate(over="ignore"):
        z = np.uint64(int(random["seed"], 16)) + (np.arange(first + 1, first + count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    if random["distribution"] == "uniform":
        low, high = np.float32(random["low"]), np.float32(random["high"])
        return low + (high - low) * ((z >> np.uint64(40)).astype(np.float32) * np.float32(2**-24))
    total = sum((z >> np.uint64(s) & np.uint64(0xFFFF)).astype(np.int32) for s in (0, 16, 32, 48)) - 131070
    value = np.float32(random["mean"]) + np.float32(random["deviation"]) * (total.astype(np.float32) * np.float32(2.64290065e-5))
    return to_e4m3(value) if random["dtype"] == "float8e4m3fn" else value


# ---- router ------------------------------------------------------------------------------------------------------------------


def choose(logits, router):
    """Experts [T, k] and their weights f32 [T, k] of logits [T, E]; router: see gpu-layers."""
    x, k = logits.astype(np.float32), router["k"]
    if router["score"] == "sigmoid":
        s = (1 / (1 + np.exp(-x.astype(np.float64)))).astype(np.float32)
    elif router["score"] == "softmax":
        e = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
        s = (e / e.sum(1, keepdims=True)).astype(np.float32)
    else:
        s = x
    c = s + np.asarray(router["bias"], np.float32) if router.get("bias") is not None else s.copy()
    groups = router.get("groups", 1)
    if groups > 1:
        inside = np.sort(c.reshape(len(c), groups, -1), -1)
        score = inside[..., -1] + inside[..., -2] if router["group_score"] == "top2_sum" else inside[..., -1]
        kept = np.zeros(score.shape, bool)
        np.put_along_axis(kept, np.argsort(-score, axis=1, kind="stable")[:, :router["top_groups"]], True, 1)
        c = np.where(np.repeat(kept, x.shape[1] // groups, 1), c, np.float32(0 if router["group_fill"] == "zero" else -np.inf))
    experts = np.argsort(-c, axis=1, kind="stable")[:, :k]
    w = np.take_along_axis(s, experts, 1).astype(np.float64)
    if router.get("weight_fn") == "softmax":
        w = np.exp(w - w.max(1, keepdims=True))
        w /= w.sum(1, keepdims=True)
    if router["normalize"] == "sum_plus_eps":
        w = w / w.sum(1, keepdims=True)
    if router["normalize"] == "p_norm":
        w = w / np.sqrt((w * w).sum(1, keepdims=True))
    return experts, (w * router.get("scale", 1)).astype(np.float32)


def places(experts, num_experts):
    """The row of each assignment [T * k], and the work list [items, 4]."""
    flat = experts.reshape(-1)
    count = np.bincount(flat, minlength=num_experts)
    start = np.concatenate([[0], np.cumsum(up(count, 8) * 8)[:-1]])
    order = np.argsort(flat, kind="stable")
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    position = np.empty(len(flat), np.int64)
    position[order] = start[flat[order]] + np.arange(len(flat)) - first[flat[order]]
    items = []
    for e in np.nonzero(count)[0]:
        entries = up(count[e], 128)
        for i in range(entries):
            valid, offset = min(128, count[e] - 128 * i), i % 16
            size = sum(valid > limit for limit in (8, 16, 32, 64))
            items.append((e, start[e] + 128 * i, valid, size | min(16, entries - (i - offset)) << 4 | offset << 12))
    return position, np.array(items, np.int64).reshape(-1, 4)


# ---- rows and products -------------------------------------------------------------------------------------------------------


def quantize_blocks(x):
    """Codes (as f32) and scales of blocks of 128 columns: [T, KB, 128] and [T, KB]; the last block is filled with zeros."""
    blocks = up(x.shape[1], 128)
    padded = np.zeros((len(x), blocks * 128), np.float32)
    padded[:, :x.shape[1]] = x
    padded = padded.reshape(len(x), blocks, 128)
    scale = np.maximum(np.abs(padded).max(-1), np.float32(1e-4)) / np.float32(448)
    return to_e4m3(padded / scale[..., None]), scale


def pieces(rows):
    """The 16-byte pieces of rows [..., R, 128] in order: piece q of row r stands at q xor (r mod 8)."""
    at = np.arange(8) ^ (np.arange(rows.shape[-2])[:, None] & 7)
    parts = rows.reshape(*rows.shape[:-1], 8, 16)
    return np.take_along_axis(parts, np.broadcast_to(at[..., None], parts.shape), -2).reshape(rows.shape)


def expert_weights(manifest_weights, layer, expert):
    """Gate, up [IB * 128, KB * 128] and down [NB * 256, IB * 128] of one expert whose weights are random, dequantized to f32."""
    hidden, inner = layer["hidden"], layer["intermediate"]
    kb, ib, nb = up(hidden, 128), up(inner, 128), up(hidden, 256)
    # Those of gate and up come before those of down, in codes as in scales.
    (gate_codes, down_codes), (gate_scales, down_scales) = ([w for w in manifest_weights if w["dtype"] == d] for d in ("float8e4m3fn", "float32"))

    def tiles(weight, scales, outer, depth):
        size, line = outer * depth * 256 * 128, up(2 * depth, 4) * 4
        codes = np.concatenate([draw(weight, expert * size + o * size // outer, size // outer) for o in range(outer)])
        factors = draw(scales, expert * outer * line, outer * line).reshape(outer, line)[:, :2 * depth].reshape(outer, 2, depth)
        return pieces(codes.reshape(outer, depth, 256, 128)), factors

    w1, s1 = tiles(gate_codes, gate_scales, ib, kb)
    gate_up = np.empty((2, ib, 128, kb * 128), np.float32)
    for g in range(2):
        # Column 64 w + 16 v + 2 r + s is row 128 w + 64 s + 16 v + 8 g + r of the tile.
        part = w1.reshape(ib, kb, 2, 2, 4, 2, 8, 128)[:, :, :, :, :, g]  # ib kb w s v r 128
        part = part.transpose(0, 2, 4, 5, 3, 1, 6).reshape(ib, 128, kb, 128)
        gate_up[g] = (part * s1[:, g, None, :, None]).reshape(ib, 128, kb * 128)
    w2, s2 = tiles(down_codes, down_scales, nb, ib)
    down = w2.reshape(nb, ib, 2, 128, 128).transpose(0, 2, 3, 1, 4) * s2[:, :, None, :, None]
    return gate_up[0].reshape(ib * 128, -1), gate_up[1].reshape(ib * 128, -1), down.reshape(nb * 256, ib * 128)


def rounded(v, element):
    return to_bf16(v) if element == "bf16" else np.asarray(v, np.float32)


def swiglu(gate, up_, element):
    """silu(gate) * up, each operation in the model's element type."""
    gate, up_ = rounded(gate, element), rounded(up_, element)
    with np.errstate(over="ignore"):
        denominator = rounded(rounded(np.exp(-gate), element) + np.float32(1), element)
    return rounded(rounded(gate / denominator, element) * up_, element)


def expert_rows(weights, layer, rows):
    """One expert's rows of y in bf16 (as f32) [P, H] for rows of x [P, H]."""
    gate, up_, down = weights
    codes, scale = quantize_blocks(rows)
    x = (codes * scale[..., None]).reshape(len(rows), -1)
    codes, scale = quantize_blocks(swiglu(x @ gate.T, x @ up_.T, layer["element"]))
    h = (codes * scale[..., None]).reshape(len(rows), -1)
    return to_bf16(h @ down.T)[:, :layer["hidden"]]


def exact_rows(weights, layer, rows):
    """As expert_rows, in f32 and with nothing quantized but the weights."""
    gate, up_, down = weights
    x = np.zeros((len(rows), gate.shape[1]), np.float32)
    x[:, :layer["hidden"]] = rows
    return (swiglu(x @ gate.T, x @ up_.T, "f32") @ down.T)[:, :layer["hidden"]]


def both_rows(manifest_weights, layer, expert, rows):
    """expert_rows and exact_rows of an expert whose weights are random."""
    weights = expert_weights(manifest_weights, layer, expert)
    return expert_rows(weights, layer, rows), exact_rows(weights, layer, rows)


def combined(parts, weights, element):
    """The weighted sum over slots of parts [T, k, H], in slot order."""
    total = np.zeros((len(parts), parts.shape[2]), np.float32)
    for j in range(parts.shape[1]):
        total += weights[:, j, None].astype(np.float32) * parts[:, j]
    return rounded(total, element)
