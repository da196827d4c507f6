"""The constants that the engine is given for a model: gains, epsilon, rotations, and the matrix that heads come back through."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from hwsim.arch.formats import QuantizedMatrix
from hwsim.arch.isa import Format
from hwsim.arch.numerics import FRACTION_BITS, NORM_SHIFT, ROPE_BITS, SQUARE_SHIFT, scale_from_float
from hwsim.errors import CheckpointError
from models.config import ModelConfig
from models.reference.rope import inverse_frequencies, magnitude

__all__ = ["HEAD_SCALE", "HEAD_UNIT", "Gain", "epsilon", "gain", "head_identity", "inverse_hidden", "rope_table"]

HEAD_UNIT = 1 << 10
"""What the matrix that normalized heads come back through has on its diagonal, in integers."""
HEAD_SCALE = (1 << 15, -25)
"""Scale of its rows, 1 / HEAD_UNIT: with it, elements of heads reach as far as all fixed values do, and not 127 alone."""

_GAIN_LIMIT = (1 << 15) - 1
_SHIFT_LIMIT = 31
_EPSILON_LIMIT = (1 << 31) - 1


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Gain:
    """The gains of one normalization: input k is multiplied by values[k] / 2**shift.

    values: int16 [inputs], as many as the normalization has.
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
    if not math.isfinite(largest):
        raise CheckpointError(f"Gains of {name} must be finite numbers, not {largest:g}")
    for shift in range(_SHIFT_LIMIT, -1, -1):
        if math.floor(largest * 2.0**shift + 0.5) <= _GAIN_LIMIT:
            return Gain(values=np.floor(exact * 2.0**shift + 0.5).astype(np.int16), shift=shift)
    raise CheckpointError(f"Gains of {name} must be at most {_GAIN_LIMIT}, not {largest:g}")


def epsilon(config: ModelConfig, inputs: int | None = None) -> int:
    """Return the integer that NORM adds to its sum of squares: norm_eps * inputs, in units of the shifted squares.

    inputs: what is normalized together; None for a residual row, config.hidden.
    """
    count = config.hidden if inputs is None else inputs
    return min(round(config.norm_eps * count * 2.0 ** (2 * FRACTION_BITS - SQUARE_SHIFT)), _EPSILON_LIMIT)


def inverse_hidden(config: ModelConfig, gain: Gain, inputs: int | None = None) -> tuple[int, int]:
    """Return 1 / inputs as the scale (mantissa, exponent) that NORM takes with these gains.

    The instruction shifts by NORM_SHIFT, not by the gains' own fraction bits; the difference, squared, joins this
    scale, because NORM multiplies by its reciprocal square root.

    inputs: as for `epsilon`.
    """
    mantissa, exponent = scale_from_float(1.0 / (config.hidden if inputs is None else inputs))
    return mantissa, exponent + 2 * (gain.shift - NORM_SHIFT)


def head_identity(head_dim: int) -> QuantizedMatrix:
    """Return the matrix [head_dim, head_dim] that makes fixed values of the codes of a normalized head, as they are.

    Its integers are HEAD_UNIT on the diagonal, under row scales of HEAD_SCALE.
    """
    group, code = Format.W4.sizes.group, 8
    return QuantizedMatrix(
        format=Format.W4,
        codes=code * np.eye(head_dim, dtype=np.uint8),
        kept=None,
        scale=np.full((head_dim, head_dim // group), HEAD_UNIT // code, np.uint8),
        offset=np.zeros((head_dim, head_dim // group), np.int8),
        mantissa=np.full(head_dim, HEAD_SCALE[0]),
        exponent=np.full(head_dim, HEAD_SCALE[1]),
    )


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
