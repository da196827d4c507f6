"""The engine's rounding of activations, keys, values and coefficients as float code with straight-through gradients.

The engine's scales have 16-bit mantissas (hwsim.arch.numerics); here they are exact, so that codes agree except where a
value lies within some 2**-14 of the border between two.
"""

import torch

__all__ = ["act_codes", "coefficient_codes", "fake_act", "fake_kv", "half_up", "kv_codes", "straight", "table_codes"]

_ACT_LIMIT = 127
_KV_LIMIT = 15
_TABLE_GROUP = 32


def half_up(x: torch.Tensor) -> torch.Tensor:
    """Return x rounded to whole numbers, halves up."""
    return torch.floor(x + 0.5)


def straight(x: torch.Tensor, rounded: torch.Tensor) -> torch.Tensor:
    """Return `rounded`, exactly, with the gradient of x."""
    return rounded.detach() + (x - x.detach())


def _safe(scale: torch.Tensor) -> torch.Tensor:
    return torch.where(scale > 0, scale, 1.0)


def act_codes(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return 8-bit codes of vectors, [..., elements], as floats with the gradient of x / scale, and scales [..., 1]."""
    scale = _safe(x.detach().abs().amax(-1, keepdim=True) / _ACT_LIMIT)
    units = x / scale
    return straight(units, half_up(units).clamp(-_ACT_LIMIT, _ACT_LIMIT)), scale


def fake_act(x: torch.Tensor) -> torch.Tensor:
    """Return the values that the 8-bit codes of vectors stand for."""
    codes, scale = act_codes(x)
    return codes * scale


def kv_codes(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return 4-bit codes less their zero point of key or value heads, [..., elements], and scales [..., 1]."""
    low, high = x.amin(-1, keepdim=True).clamp(max=0), x.amax(-1, keepdim=True).clamp(min=0)
    scale = _safe((high - low) / _KV_LIMIT)
    zero = half_up(-low / scale).clamp(0, _KV_LIMIT)
    return (half_up(x / scale) + zero).clamp(0, _KV_LIMIT) - zero, scale


def fake_kv(x: torch.Tensor) -> torch.Tensor:
    """Return the values that the 4-bit codes of key or value heads stand for."""
    centered, scale = kv_codes(x.detach())
    return straight(x, centered * scale)


def coefficient_codes(exponentials: torch.Tensor, value_scale: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return 7-bit softmax coefficients that carry the values' scales, [..., tokens], and their scales [..., 1].

    exponentials: 2**-(distance to the largest score), 1 at most.
    value_scale: scales of the tokens' values, broadcast to the exponentials.
    """
    weights = exponentials * value_scale
    scale = _safe(weights.amax(-1, keepdim=True) / _ACT_LIMIT)
    return half_up(weights / scale).clamp(0, _ACT_LIMIT), scale


def table_codes(table: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return 8-bit codes of a table, float [rows, inputs], in groups of 32 where these divide; Q8_0 keeps its codes.

    The codes are whole floats, [rows, groups, elements], the scales float16, [rows, groups].
    """
    inputs = table.shape[1]
    groups = table.unflatten(1, (-1, _TABLE_GROUP if inputs % _TABLE_GROUP == 0 else inputs))
    scales = (groups.abs().amax(-1) / _ACT_LIMIT).to(torch.float16)
    return torch.round(groups / _safe(scales.float())[..., None]).clamp_(-_ACT_LIMIT, _ACT_LIMIT), scales
