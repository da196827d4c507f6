"""Rotary position embedding: the frequencies with their stretching, and the rotation in half-split order."""

import math

import torch

from models.config import ModelConfig, RopeScaling

__all__ = ["Rotary", "inverse_frequencies", "magnitude"]

# Rows of the cosine and sine tables kept; farther positions are computed when asked for.
_TABLE_LIMIT = 1 << 16


def inverse_frequencies(config: ModelConfig) -> torch.Tensor:
    """Return the turn in radians per position of each pair of features, [head_dim / 2], float64."""
    exponents = torch.arange(0, config.head_dim, 2, dtype=torch.float64) / config.head_dim
    plain = config.rope_base**-exponents
    scaling = config.rope_scaling
    if scaling.kind == "linear":
        return plain / scaling.factor
    if scaling.kind == "llama3":
        return _llama3(plain, scaling)
    if scaling.kind == "yarn":
        return _yarn(plain, config, scaling)
    return plain


def magnitude(scaling: RopeScaling) -> float:
    """Return the multiplier of cosine and sine."""
    if scaling.kind != "yarn":
        return 1.0
    if scaling.attention_factor is not None:
        return scaling.attention_factor
    return 1.0 if scaling.factor <= 1 else 0.1 * math.log(scaling.factor) + 1.0


def _llama3(plain: torch.Tensor, scaling: RopeScaling) -> torch.Tensor:
    """Stretch the slow frequencies, keep the fast ones and blend between: Ref: Llama 3.1 model card, RoPE scaling."""
    turns = scaling.original_positions * plain / (2 * math.pi)
    low, high = scaling.low_frequency_factor, scaling.high_frequency_factor
    kept = ((turns - low) / (high - low)).clamp(0, 1)
    return kept * plain + (1 - kept) * plain / scaling.factor


def _yarn(plain: torch.Tensor, config: ModelConfig, scaling: RopeScaling) -> torch.Tensor:
    """Blend by dimension index between two turn counts: Ref: YaRN, arXiv 2309.00071, section 3.2."""
    first, last = scaling.band(config.head_dim, config.rope_base)
    width = (last - first) or 0.001
    stretched = ((torch.arange(len(plain), dtype=torch.float64) - first) / width).clamp(0, 1)
    return (1 - stretched) * plain + stretched * plain / scaling.factor


class Rotary:
    """Rotation of queries and keys by position; angles are formed in float64 and applied in float32."""

    def __init__(self, config: ModelConfig) -> None:
        self._frequencies = inverse_frequencies(config)
        self._magnitude = magnitude(config.rope_scaling)
        self._cosine, self._sine = self._compute(torch.arange(0))

    def tables(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return cosine and sine, [positions, head_dim / 2] each, float32."""
        needed = int(positions.max()) + 1 if len(positions) else 0
        if needed > _TABLE_LIMIT:
            return self._compute(positions)
        if needed > len(self._cosine):
            self._cosine, self._sine = self._compute(torch.arange(max(needed, 2 * len(self._cosine))))
        return self._cosine[positions], self._sine[positions]

    def __call__(self, values: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Return `values`, [heads, tokens, head_dim], with feature i and i + head_dim / 2 turned as a pair.

        positions: [tokens].
        """
        cosine, sine = self.tables(positions)
        first, second = values.chunk(2, dim=-1)
        return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)

    def _compute(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        angles = positions.to(torch.float64)[:, None] * self._frequencies[None, :]
        return (angles.cos() * self._magnitude).float(), (angles.sin() * self._magnitude).float()
