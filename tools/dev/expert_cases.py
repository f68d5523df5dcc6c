"""The layers and cases of gpu-layers, and the texts that layer-text does not write."""

KINDS = ["float8", "route", "stored", "network", "drawn", "invariance", "memory"]
DEEPSEEK = ["--sigmoid", "--groups", "8", "--top-groups", "4"]
# Name: layer-text's arguments, {tokens: (asked, aim) in us on one H200}.
TABLE = {
    "deepseek-v3": ((256, 8, 7168, 2048, *DEEPSEEK), {1: (92, 84), 16: (1012, 985), 128: (2480, 2400), 512: (2590, 2500), 2048: (2850, 2650), 8192: (6400, 5200)}),
    "qwen3-30b": ((128, 8, 2048, 768), {1: (23, 17), 128: (155, 148), 1024: (195, 180), 8192: (740, 640)}),
    "mixtral": ((8, 2, 4096, 14336), {1: (92, 84), 128: (336, 325), 1024: (750, 690), 8192: (5100, 4400)}),
}
# Cases are (tokens, skew): spread: any experts; one: all tokens to the same k; empty: most experts without rows.
DRAWN = {
    "deepseek-v3": ((256, 8, 7168, 2048, *DEEPSEEK), [(1, "spread"), (16, "spread"), (17, "empty"), (700, "one"), (4096, "spread")]),
    "qwen3-30b": ((128, 8, 2048, 768), [(1, "spread"), (15, "empty"), (100, "one"), (1024, "spread"), (65536, "spread")]),
    "mixtral": ((8, 2, 4096, 14336), [(1, "spread"), (64, "spread"), (130, "one"), (2048, "spread")]),
    "odd": ((60, 6, 2880, 1408), [(1, "spread"), (21, "spread"), (22, "one"), (999, "empty"), (8192, "spread")]),
    "odd-f32": ((36, 5, 1000, 840, "--sigmoid", "--groups", "6", "--top-groups", "2", "--element", "f32"), [(1, "spread"), (130, "one"), (777, "spread")]),
}
STORED_TOKENS = [(0, "spread"), (1, "spread"), (2, "spread"), (17, "one"), (64, "spread"), (129, "empty"), (300, "one"), (513, "spread")]
STORED = {
    "tiny": (3, 1, 72, 64), "single": (1, 1, 128, 128), "small": (5, 2, 200, 72), "grouped": (15, 6, 264, 200, "--sigmoid", "--groups", "5", "--top-groups", "2"),
    "wide": (40, 32, 128, 64), "block": (4, 2, 640, 384),
    "biased": (3, 2, 136, 1600, "--biases")
}
NETWORK_TOKENS = [0, 1, 37, 300]  # of a dense gated network, two rows each
ROUTE_TOKENS = [1, 2, 4, 5, 16, 17, 21, 22, 24, 25, 33, 300, 5000]
ROUTE = {
    "deepseek-v3": dict(experts=256, hidden=384, k=8, score="sigmoid", bias=True, groups=8, top_groups=4, group_score="top2_sum", group_fill="zero",
                        normalize="sum_plus_eps", scale=2.5),
    "qwen3": dict(experts=128, hidden=256, k=8, score="softmax", normalize="sum_plus_eps"),
    "odd": dict(experts=60, hidden=200, k=6, score="softmax", bias=True, normalize="none", scale=1.5),
    "late-softmax": dict(experts=8, hidden=128, k=2, score="none", weight_fn="softmax", normalize="none"),
    "grouped": dict(experts=96, hidden=128, k=6, score="softmax", groups=6, top_groups=3, group_score="max", group_fill="neg_inf", normalize="p_norm"),
    "most": dict(experts=768, hidden=64, k=32, score="sigmoid", normalize="sum_plus_eps"),
}
# (artefact, tokens): the first of them alone, in items of every size and of whole and cut tiles, must give the same bits.
INVARIANCE = {"small.gpu": ("stored", 300), "block.gpu": ("stored", 300), "grouped.gpu": ("stored", 513), "deepseek-v3": ("drawn", 700), "mixtral": ("drawn", 300)}
INVARIANCE_TOKENS = [1, 3, 16, 17, 40, 150]
MEMORY = [("route", "odd", 1), ("route", "odd", 21), ("route", "odd", 300), ("route", "most", 33), ("stored", "grouped", 1), ("stored", "grouped", 513), ("stored", "tiny", 129)]


def layer_of(arguments):
    """layer-text's arguments as the reference reads them."""
    experts, k, hidden, intermediate, *options = arguments
    value = lambda name, default: options[options.index(name) + 1] if name in options else default
    router = dict(k=k, score="sigmoid" if "--sigmoid" in options else "softmax", normalize="sum_plus_eps", groups=int(value("--groups", 1)),
                  top_groups=int(value("--top-groups", 1)), group_score="top2_sum", group_fill="zero", scale=2.5 if "--sigmoid" in options else 1)
    return dict(experts=experts, hidden=hidden, intermediate=intermediate, element=value("--element", "bf16"), router=router)


def bias_of(router):
    return [round((e * 37 % 11 - 5) * 0.02, 2) for e in range(router["experts"])] if router.get("bias") else None


def route_text(r):
    """moe.route_rows and moe.quantize_rows alone, all results returned."""
    e, h, k = r["experts"], r["hidden"], r["k"]
    blocks, padding, few = -(-h // 128), -(-7 * e // 8) * 8 + 128, min(24, 128 // k)
    attributes = f"k = {k} : i64, few = {few} : i64, padding = {padding} : i64, score = #moe.score<{r['score']}>, normalize = #moe.normalize<{r['normalize']}>, scale = {float(r.get('scale', 1))} : f32"
    if r.get("groups", 1) > 1:
        attributes += (f", num_groups = {r['groups']} : i64, top_groups = {r['top_groups']} : i64, group_score = #moe.group_score<{r['group_score']}>"
                       f", group_fill = #moe.group_fill<{r['group_fill']}>")
    if "weight_fn" in r:
        attributes += f", weight_fn = #moe.weight_fn<{r['weight_fn']}>"
    if r["normalize"] == "p_norm":
        attributes += ", norm_p = 2.0 : f32"
    bias = f"    %bias = arith.constant dense<{bias_of(r)}> : tensor<{e}xf32>\n" if r.get("bias") else ""
    codes, scales = f"tensor<{blocks}x?x128xf8E4M3FN>", f"tensor<{blocks}x?xf32>"
    types = [f"tensor<?x{k}xf32>", "tensor<?xi32>", "tensor<?xi32>", "tensor<?xi32>", codes, scales]
    dims = [f'"m", {k}', '"p"', '"w"', '"c"', f'{blocks}, "r", 128', f'{blocks}, "r"']
    dtypes = ["float32", "int32", "int32", "int32", "float8e4m3fn", "float32"]
    names = ["weights", "position", "items", "counters", "codes", "scales"]
    results = ", ".join(f'{t} {{moe.dims = [{d}], moe.dtype = "{n}", moe.name = "{a}"}}' for t, d, n, a in zip(types, dims, dtypes, names))
    return (f'module attributes {{moe.phase = "fuse", moe.target = "cuda"}} {{\n'
            f'  func.func @main(%x: tensor<?x{h}xf32> {{moe.dims = ["m", {h}], moe.dtype = "float32", moe.name = "x"}},\n'
            f'      %logits: tensor<?x{e}xf32> {{moe.dims = ["m", {e}], moe.dtype = "float32", moe.name = "logits"}})\n      -> ({results}) attributes {{moe.entry}} {{\n'
            f"    %sync = arith.constant dense<[0, 1297040707]> : tensor<2xi32>\n{bias}"
            f"    %r:7 = moe.route_rows %logits {'bias(%bias) ' if bias else ''}sync(%sync) rows(%x) {{{attributes}}} : (tensor<?x{e}xf32>"
            f"{f', tensor<{e}xf32>' if bias else ''}, tensor<2xi32>, tensor<?x{h}xf32>) -> ({', '.join(types[:4])}, tensor<{256 * e}xi32>, {codes}, {scales})\n"
            f"    %q:2 = moe.quantize_rows %x at %r#1 into(%r#5, %r#6) {{k = {k} : i64, padding = {padding} : i64, few = {few} : i64}} : "
            f"(tensor<?x{h}xf32>, tensor<?xi32>, {codes}, {scales}) -> ({codes}, {scales})\n"
            f"    return %r#0, %r#1, %r#2, %r#3, %q#0, %q#1 : {', '.join(types)}\n  }}\n}}\n")
