"""The ways in which PyTorch computes attention, each alone and by name."""

from __future__ import annotations

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

__all__ = ["WAYS", "attend"]

WAYS = {
    "any": [
        SDPBackend.FLASH_ATTENTION,
        SDPBackend.EFFICIENT_ATTENTION,
        SDPBackend.CUDNN_ATTENTION,
        SDPBackend.MATH,
    ],
    "flash": [SDPBackend.FLASH_ATTENTION],
    "cudnn": [SDPBackend.CUDNN_ATTENTION],
}
"""`any` is the way that PyTorch itself takes; the others refuse what they cannot do."""


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, way: str, is_causal: bool) -> torch.Tensor:
    """Return attention, [batch, heads, tokens, head_dim]; query heads share key heads where there are fewer of them.

    Raises:
        RuntimeError: the way cannot do it.
    """
    is_shared = query.shape[1] != key.shape[1]
    with sdpa_kernel(WAYS[way]):
        return functional.scaled_dot_product_attention(query, key, value, is_causal=is_causal, enable_gqa=is_shared)
