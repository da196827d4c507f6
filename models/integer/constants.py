"""The constants that the engine is given for a model: gains, epsilon, rotations, the score factor and biases."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from hwsim.arch.numerics import FRACTION_BITS, NORM_SHIFT, ROPE_BITS, SQUARE_SHIFT, scale_from_float
from hwsim.errors import CheckpointError
from models.config import ModelConfig
from models.reference.rope import inverse_frequencies, magnitude

__all__ = ["Gain", "epsilon", "gain", "inverse_hidden", "rope_table"]

_GAIN_LIMIT = (1 << 15) - 1
_SHIFT_LIMIT = 31
_EPSILON_LIMIT = (1 << 31) - 1


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Gain:
    """The gains of one normalization: input k is multiplied by values[k] / 2**shift.

    values: int16 [hidden].
    shift: fraction bits, 0 .. 31.
    """

    values: np.ndarray
    shift: int


def gain(weight: np.ndarray, name: str) -> Gain:
    """Return the gains nearest to `weight` with the most fraction bits at which all fit 16 bits.

    CheckpointError when a gain of the normalization `name` is above 32767.
    """
    exact = np.asarray(weight, dtype=np.float64)
    largest = float(np.abs(exact).max(initial=0.0))
    for shift in range(_SHIFT_LIMIT, -1, -1):
        if math.floor(largest * 2.0**shift + 0.5) <= _GAIN_LIMIT:
            return Gain(values=np.floor(exact * 2.0**shift + 0.5).astype(np.int16), shift=shift)
    raise CheckpointError(f"Gains of {name} must be at most {_GAIN_LIMIT}, not {largest:g}")


def epsilon(config: ModelConfig) -> int:
    """Return the integer that NORM adds to its sum of squares: norm_eps * hidden, in units of the shifted squares."""
    return min(round(config.norm_eps * config.hidden * 2.0 ** (2 * FRACTION_BITS - SQUARE_SHIFT)), _EPSILON_LIMIT)


def inverse_hidden(config: ModelConfig, gain: Gain) -> tuple[int, int]:
    """Return 1 / hidden as the scale (mantissa, exponent) that NORM takes with these gains.

    The instruction shifts by NORM_SHIFT, not by the gains' own fraction bits; the difference, squared, joins this
    scale, because NORM multiplies by its reciprocal square root.
    """
    mantissa, exponent = scale_from_float(1.0 / config.hidden)
    return mantissa, exponent + 2 * (gain.shift - NORM_SHIFT)


def rope_table(config: ModelConfig, positions: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return the rotations at `positions`, int16 [positions, head_dim, 2]: cosine, then signed sine, of each element.

    Element d of a rotated head is (v[d] * cosine + v[partner] * sine) >> 14 rounded, the partner being head_dim / 2
    away; the sine of the first half carries the minus sign. Frequency stretching is included.
    """
    frequencies = inverse_frequencies(config).numpy()
    angles = np.asarray(positions, dtype=np.float64)[:, None] * frequencies[None, :]
    unit = magnitude(config.rope_scaling) * (1 << ROPE_BITS)
    if unit >= 1 << 15:
        raise CheckpointError(f"RoPE attention factor must be below 2, not {unit / (1 << ROPE_BITS):g}")
    cosine = np.floor(np.cos(angles) * unit + 0.5).astype(np.int16)
    sine = np.floor(np.sin(angles) * unit + 0.5).astype(np.int16)
    first, second = np.stack([cosine, -sine], axis=-1), np.stack([cosine, sine], axis=-1)
    return np.concatenate([first, second], axis=1)
