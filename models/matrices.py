"""Names of the matrices and gains of a model as the engine has them, and which float layers are stacked in which."""

from collections.abc import Iterator

from models.config import ModelConfig

__all__ = [
    "ATTENTION",
    "ATTENTION_NORM",
    "EMBEDDING",
    "FEED_FORWARD",
    "FFN_NORM",
    "FINAL_NORM",
    "HEAD",
    "HEAD_NORMS",
    "KEY_NORM",
    "LINEARS",
    "NORMS",
    "PARTS",
    "QUERY_NORM",
    "layer_norms",
    "layer_of",
    "layer_part",
    "matrix_shapes",
    "norm_names",
    "norm_widths",
    "part_shapes",
]

PARTS = ("qkv", "o", "gateup", "down")
"""Matrices of a layer in the order of the forward pass; qkv stacks query, key and value heads, gateup gate, then up."""
HEAD = "head"
EMBEDDING = "embedding"
ATTENTION = "attention"
FEED_FORWARD = "feed_forward"
"""What a text goes through besides: the embedding, and the two halves of each layer."""
ATTENTION_NORM = "attention_norm"
QUERY_NORM = "query_norm"
KEY_NORM = "key_norm"
FFN_NORM = "ffn_norm"
FINAL_NORM = "final_norm"

LINEARS = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "o": ("self_attn.o_proj",),
    "gateup": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
"""A checkpoint's names of what is stacked in a layer's matrix."""
NORMS = {ATTENTION_NORM: "input_layernorm", FFN_NORM: "post_attention_layernorm"}
"""A checkpoint's names of a layer's gains."""
HEAD_NORMS = {QUERY_NORM: "self_attn.q_norm", KEY_NORM: "self_attn.k_norm"}
"""A checkpoint's names of the gains of each query head and each key head of a layer, where heads are normalized."""


def layer_part(layer: int | None, part: str) -> str:
    """Return the name of a layer's matrix, gain or bias, such as `layers.3.qkv`; what is in no layer, such as HEAD, has its own."""
    return part if layer is None else f"layers.{layer}.{part}"


def layer_of(name: str) -> int:
    """Return the layer in a name that `layer_part` made, or in one that begins as such."""
    return int(name.split(".")[1])


def part_shapes(config: ModelConfig) -> dict[str, tuple[int, int]]:
    """Return (rows, inputs) of a layer's matrices by part."""
    attention = config.heads * config.head_dim
    return {
        "qkv": ((config.heads + 2 * config.kv_heads) * config.head_dim, config.hidden),
        "o": (config.hidden, attention),
        "gateup": (2 * config.ffn, config.hidden),
        "down": (config.hidden, config.ffn),
    }


def matrix_shapes(config: ModelConfig) -> dict[str, tuple[int, int]]:
    """Return (rows, inputs) of every matrix by name, in the order of the forward pass."""
    shapes = part_shapes(config)
    named = {layer_part(layer, part): shapes[part] for layer in range(config.layers) for part in PARTS}
    return named | {HEAD: (config.vocab, config.hidden)}


def layer_norms(config: ModelConfig) -> dict[str, str]:
    """Return a checkpoint's names of all gains of a layer, those of heads included where these are normalized."""
    return NORMS | HEAD_NORMS if config.has_head_norms else NORMS


def norm_widths(config: ModelConfig) -> dict[str, int]:
    """Return the inputs of every normalization by name, in the order of the forward pass."""
    parts = {ATTENTION_NORM: config.hidden}
    if config.has_head_norms:
        parts |= dict.fromkeys(HEAD_NORMS, config.head_dim)
    parts[FFN_NORM] = config.hidden
    widths = {layer_part(layer, part): width for layer in range(config.layers) for part, width in parts.items()}
    return widths | {FINAL_NORM: config.hidden}


def norm_names(config: ModelConfig) -> Iterator[str]:
    """Yield the names of the normalizations in the order of the forward pass."""
    yield from norm_widths(config)
