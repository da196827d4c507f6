"""The tensors that a Llama-family checkpoint must hold, by their Hugging Face names."""

from models.config import ModelConfig

__all__ = ["BLOCK_LINEARS", "EMBEDDING", "FINAL_NORM", "HEAD", "block", "tensor_shapes"]

EMBEDDING = "model.embed_tokens"
FINAL_NORM = "model.norm"
HEAD = "lm_head"

# Linear layers of one block in the order of the forward pass.
BLOCK_LINEARS = (
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
)


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
        for part in BLOCK_LINEARS:
            shapes[f"{block(layer, part)}.weight"] = linears[part]
            if config.qkv_bias and part in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"):
                shapes[f"{block(layer, part)}.bias"] = (linears[part][0],)
    shapes[f"{FINAL_NORM}.weight"] = (hidden,)
    if not config.tied_head:
        shapes[f"{HEAD}.weight"] = (config.vocab, hidden)
    return shapes
