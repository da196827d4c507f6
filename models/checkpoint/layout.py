"""The tensors that a Llama-family checkpoint must hold, by their Hugging Face names."""

from models.config import ModelConfig
from models.matrices import HEAD_NORMS, LINEARS

__all__ = ["EMBEDDING", "FINAL_NORM", "HEAD", "block", "tensor_shapes"]

EMBEDDING = "model.embed_tokens"
FINAL_NORM = "model.norm"
HEAD = "lm_head"


def block(layer: int, part: str) -> str:
    """Return the full name of a part of a block, without `.weight` or `.bias`."""
    return f"model.layers.{layer}.{part}"


def tensor_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor, linear weights as (outputs, inputs), in the order of the forward pass."""
    queries, entries = config.heads * config.head_dim, config.kv_heads * config.head_dim
    hidden, ffn = config.hidden, config.ffn
    linears = {
        "self_attn.q_proj": (queries, hidden),
        "self_attn.k_proj": (entries, hidden),
        "self_attn.v_proj": (entries, hidden),
        "self_attn.o_proj": (hidden, queries),
        "mlp.gate_proj": (ffn, hidden),
        "mlp.up_proj": (ffn, hidden),
        "mlp.down_proj": (hidden, ffn),
    }
    shapes: dict[str, tuple[int, ...]] = {f"{EMBEDDING}.weight": (config.vocab, hidden)}
    for layer in range(config.layers):
        shapes[f"{block(layer, 'input_layernorm')}.weight"] = (hidden,)
        shapes[f"{block(layer, 'post_attention_layernorm')}.weight"] = (hidden,)
        for part, shape in linears.items():
            shapes[f"{block(layer, part)}.weight"] = shape
            if config.qkv_bias and part in LINEARS["qkv"]:
                shapes[f"{block(layer, part)}.bias"] = shape[:1]
        for part in HEAD_NORMS.values() if config.has_head_norms else ():
            shapes[f"{block(layer, part)}.weight"] = (config.head_dim,)
    shapes[f"{FINAL_NORM}.weight"] = (hidden,)
    if not config.tied_head:
        shapes[f"{HEAD}.weight"] = (config.vocab, hidden)
    return shapes
