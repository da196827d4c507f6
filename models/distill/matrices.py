"""Knows the matrices of a layer as the engine has them: which float layers stand below each other in which of them."""

from __future__ import annotations

from models.config import ModelConfig

__all__ = ["ATTENTION_NORM", "FFN_NORM", "FINAL_NORM", "PARTS", "layer_name", "shapes"]

PARTS = ("qkv", "o", "gateup", "down")
"""In the order of the forward pass, named as models.integer names them."""
ATTENTION_NORM = "attention_norm"
FFN_NORM = "ffn_norm"
FINAL_NORM = "final_norm"


def layer_name(layer: int, part: str) -> str:
    """Return the name of a layer's matrix or gains, such as `layers.3.qkv`."""
    return f"layers.{layer}.{part}"


def shapes(config: ModelConfig) -> dict[str, tuple[int, int]]:
    """Return (rows, inputs) of a layer's matrices by part."""
    attention = config.heads * config.head_dim
    return {
        "qkv": ((config.heads + 2 * config.kv_heads) * config.head_dim, config.hidden),
        "o": (config.hidden, attention),
        "gateup": (2 * config.ffn, config.hidden),
        "down": (config.hidden, config.ffn),
    }
