"""Λ attention over a whole window in three ways: block-sparse, with a mask, and exactly as the engine rounds it."""

import dataclasses
import math
from typing import Any

import torch
from torch.nn import functional

from hwsim.arch.numerics import EXP2_ONE_BITS, ROPE_BITS
from hwsim.errors import SpecError, shown
from models.config import ModelConfig
from models.distill.rounding import coefficient_codes, fake_act, fake_kv, half_up, kv_codes
from models.distill.settings import Settings
from models.reference.rope import inverse_frequencies, magnitude

__all__ = ["KINDS", "AttentionPlan", "attend", "plan_of", "rotate"]

KINDS = ("flex", "masked", "exact")
"""How scores are formed: compiled block-sparse, with an explicit mask, or with the engine's coefficients and no gradient."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class AttentionPlan:
    """What the attention of every layer needs to know of a window of some length.

    kind: one of KINDS.
    group: query heads to a key/value head.
    own, towards_sinks: cosine and sine, [2, tokens, head_dim / 2], at each token's position and at the one from
        which it sees the sinks.
    is_sink: bool [tokens, 1].
    mask: bool [tokens, tokens], whether a query, by row, reads a key.
    blocks: the block mask of `flex`, None otherwise.
    dtype: type of the products.
    """

    kind: str
    group: int
    own: torch.Tensor
    towards_sinks: torch.Tensor
    is_sink: torch.Tensor
    mask: torch.Tensor
    blocks: Any
    dtype: torch.dtype


def _rotations(config: ModelConfig, positions: torch.Tensor) -> torch.Tensor:
    """Return cosine and sine as the engine holds them, float32 [2, positions, head_dim / 2]."""
    angles = positions.double()[:, None] * inverse_frequencies(config)[None, :]
    unit = magnitude(config.rope_scaling) * (1 << ROPE_BITS)
    return (half_up(torch.stack([angles.cos(), angles.sin()]) * unit) / (1 << ROPE_BITS)).float()


def plan_of(
    config: ModelConfig, settings: Settings, length: int, *, kind: str, device: torch.device, dtype: torch.dtype
) -> AttentionPlan:
    """Return the plan of the settings' Λ attention over windows of `length` tokens from an empty cache."""
    sinks, window = settings.sinks, settings.window
    if kind not in KINDS:
        raise SpecError(f"Attention kind must be one of {', '.join(KINDS)}, not {shown(kind)}")
    positions = torch.arange(length)
    query, key = positions[:, None].to(device), positions[None, :].to(device)
    blocks = None
    if kind == "flex":
        from torch.nn.attention.flex_attention import create_block_mask

        def is_read(batch: Any, head: Any, query: Any, key: Any) -> Any:
            return (key <= query) & ((key < sinks) | (query - key < window))

        blocks = create_block_mask(is_read, None, None, length, length, device=str(device))
    return AttentionPlan(
        kind=kind,
        group=config.group,
        own=_rotations(config, positions).to(device),
        towards_sinks=_rotations(config, positions.clamp(max=sinks + window - 1)).to(device),
        is_sink=(positions < sinks)[:, None].to(device),
        mask=(key <= query) & ((key < sinks) | (query - key < window)),
        blocks=blocks,
        dtype=dtype,
    )


def rotate(heads: torch.Tensor, rotation: torch.Tensor) -> torch.Tensor:
    """Return heads, [..., tokens, head_dim], turned by [2, tokens, head_dim / 2]."""
    first, second = heads.chunk(2, dim=-1)
    cosine, sine = rotation
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)


def attend(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, plan: AttentionPlan) -> torch.Tensor:
    """Return what rounded queries read of rounded keys and values.

    queries: before rotation, float32 [batch, heads, tokens, head_dim].
    keys, values: float32 [batch, kv_heads, tokens, head_dim].
    """
    own, towards_sinks = fake_act(rotate(queries, plan.own)), fake_act(rotate(queries, plan.towards_sinks))
    read_keys = fake_kv(rotate(keys, plan.own))
    if plan.kind == "exact":
        return _exact(own, towards_sinks, read_keys, values, plan)
    # Sinks are seen from another position than the window: one product serves both when each key leaves out
    # the half of a doubled query that is not meant for it.
    doubled = torch.cat([own, towards_sinks], dim=-1).to(plan.dtype)
    sinks_only = read_keys * plan.is_sink
    placed = torch.cat([read_keys - sinks_only, sinks_only], dim=-1).to(plan.dtype)
    read = fake_kv(values).to(plan.dtype)
    scale = 1 / math.sqrt(queries.shape[-1])
    if plan.kind == "flex":
        from torch.nn.attention.flex_attention import flex_attention

        mixed = flex_attention(doubled, placed, read, block_mask=plan.blocks, scale=scale, enable_gqa=plan.group > 1)
        assert isinstance(mixed, torch.Tensor)
        return mixed.float()
    placed, read = (part.repeat_interleave(plan.group, dim=1) for part in (placed, read))
    return functional.scaled_dot_product_attention(doubled, placed, read, attn_mask=plan.mask, scale=scale).float()


def _exact(
    own: torch.Tensor, towards_sinks: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, plan: AttentionPlan
) -> torch.Tensor:
    """Return what the engine's 7-bit coefficients give, which carry the scales of the values."""
    keys = keys.repeat_interleave(plan.group, dim=1).transpose(-1, -2)
    factor = math.log2(math.e) / math.sqrt(own.shape[-1])
    scores = torch.where(plan.is_sink[:, 0], towards_sinks @ keys, own @ keys) * factor
    scores = scores.masked_fill(~plan.mask, -torch.inf)
    one = 1 << EXP2_ONE_BITS
    exponentials = half_up(torch.exp2(scores - scores.amax(-1, keepdim=True)) * one) / one
    centered, scale = kv_codes(values)
    centered, scale = (part.repeat_interleave(plan.group, dim=1) for part in (centered, scale))
    codes, step = coefficient_codes(exponentials, scale.transpose(-1, -2))
    return (codes @ centered) * (step / exponentials.sum(-1, keepdim=True))
