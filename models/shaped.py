"""Compressed models of a given shape with random weights; each matrix is made when it is asked for."""

import dataclasses
import hashlib
import importlib.metadata
import math
import zlib

import numpy as np

from hwsim.arch.complete import require_rows
from hwsim.arch.formats import WEIGHT_FORMATS, PackedMatrix, QuantizedMatrix, pack
from hwsim.arch.formats.base import OFFSET_STEP, PATTERNS
from hwsim.arch.isa import Format
from models.attention import Pattern
from models.compress import Recipe
from models.compressed import CompressedModel, Provenance
from models.config import ModelConfig
from models.integer import Embedding, IntegerModel
from models.integer.constants import gain
from models.matrices import HEAD, layer_part, matrix_shapes, norm_widths

__all__ = ["random_matrix", "shaped_model"]

_STEPS = {Format.W2: 1.0, Format.W2S: 1.0, Format.W4: 3.0, Format.W8: 36.0}
"""Standard deviation of a weight in steps of its grid: the ends of a grid of 4 or 8 bits lie near three of it."""
_MEAN_SCALE = {Format.W2: 128, Format.W2S: 128, Format.W4: 64, Format.W8: 64}
"""Mean of the integer group scales, small enough that rows of 11008 inputs stay within the accumulator."""
_SPREAD = 24
"""How far a group's scale strays from the mean, in integer steps."""
_ZERO = {Format.W2: 1, Format.W2S: 1, Format.W4: 0, Format.W8: 0}
_RANGE = {Format.W2: (-1, 2), Format.W2S: (-1, 2), Format.W4: (-8, 7), Format.W8: (-127, 127)}
"""Least and largest code, from the one that weighs nothing."""
for _rows in (_STEPS, _MEAN_SCALE, _ZERO, _RANGE):
    require_rows(_rows, WEIGHT_FORMATS, what="codes of random weights", module=__name__)
_EMBEDDING_GROUP = 32
_DRAWS = 1 << 16


def shaped_model(config: ModelConfig, *, format: Format, head: Format, pattern: Pattern, seed: int) -> CompressedModel:
    """Return a model of a geometry whose weights are random, equal for equal seeds; its matrices are made when asked for.

    Codes are distributed as those of normally distributed weights, with the variance that keeps activations in range;
    patterns, zeros and group scales vary as trained ones do. It has no tokenizer.
    """
    random = np.random.default_rng(seed)
    shapes = matrix_shapes(config)
    groups = config.hidden // _EMBEDDING_GROUP if config.hidden % _EMBEDDING_GROUP == 0 else 1
    codes = _table(36.0, -127, 127).astype(np.int8)[random.integers(0, _DRAWS, (config.vocab, config.hidden), np.uint16)]
    scales = (0.02 / 36 * (0.75 + 0.5 * random.random((config.vocab, groups)))).astype(np.float16)
    model = IntegerModel(
        config=config,
        pattern=pattern,
        matrices={name: _Random(name, head if name == HEAD else format, shapes[name], seed) for name in shapes},
        gains={name: gain(0.5 + random.random(width), name) for name, width in norm_widths(config).items()},
        biases={
            layer_part(layer, "qkv"): random.integers(-1000, 1000, shapes[layer_part(layer, "qkv")][0]).astype(np.int32)
            for layer in range(config.layers if config.qkv_bias else 0)
        },
        embedding=Embedding(codes=codes, scales=scales),
    )
    source = f"random {config.name} seed {seed}"
    return CompressedModel(
        model=model,
        recipe=Recipe.uniform(name="shaped", method="rtn", format=format, head=head, pattern=pattern),
        provenance=Provenance(
            source=source,
            source_digest=hashlib.sha256(source.encode()).hexdigest(),
            calibration_digest=None,
            versions={"numpy": importlib.metadata.version("numpy")},
        ),
        tokenizer=None,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Random:
    """A random matrix, made anew each time it is asked for."""

    name: str
    format: Format
    shape: tuple[int, int]
    seed: int

    def packed(self) -> PackedMatrix:
        """Return the matrix as words."""
        return pack(random_matrix(self.format, self.shape, np.random.default_rng([self.seed, zlib.crc32(self.name.encode())])))


def random_matrix(format: Format, shape: tuple[int, int], random: np.random.Generator) -> QuantizedMatrix:
    """Return a matrix of random codes, scales and, where the format has them, patterns."""
    (rows, inputs), group = shape, WEIGHT_FORMATS[format].group
    steps, scale, zero = _STEPS[format], _MEAN_SCALE[format], _ZERO[format]
    stored = _table(steps, *_RANGE[format]) + (8 if format is Format.W4 else zero)
    codes = (stored & 0xFF).astype(np.uint8)[random.integers(0, _DRAWS, shape, np.uint16)]
    kept = None
    if format is Format.W2S:
        masks = np.zeros((len(PATTERNS), 4), np.bool_)
        for number, pair in enumerate(PATTERNS):
            masks[number, list(pair)] = True
        kept = masks[random.integers(0, len(PATTERNS), (rows, inputs // 4), np.uint8)].reshape(shape)
        np.multiply(codes, kept, out=codes)
    scales = random.integers(scale - _SPREAD, scale + _SPREAD, (rows, inputs // group)).astype(np.uint8)
    offset = np.full(scales.shape, zero, np.int8)
    if format is Format.W4:
        # The group's middle, code 8, weighs nothing.
        offset = (-8 * scales.astype(np.int64) // OFFSET_STEP).astype(np.int8)
    # The deviation 1 / sqrt(inputs) keeps activations in range; a mantissa is 2**15 at the least.
    exponent = math.floor(math.log2(1.0 / (math.sqrt(inputs) * steps * scale))) - 15
    mantissa, exponents = random.integers(1 << 15, 1 << 16, rows), np.full(rows, exponent)
    return QuantizedMatrix(
        format=format, codes=codes, kept=kept, scale=scales, offset=offset, mantissa=mantissa, exponent=exponents
    )


def _table(steps: float, low: int, high: int) -> np.ndarray:
    """Return rounded normal values of a standard deviation, int64 [_DRAWS], one for each equally likely draw."""
    random = np.random.default_rng(0)
    return np.clip(np.rint(random.normal(0.0, steps, _DRAWS)), low, high).astype(np.int64)
