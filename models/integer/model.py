"""A compressed model: integer matrices, gains, biases, and an embedding for the host to look up."""

import dataclasses
import functools
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from hwsim.arch.formats import MatrixSource, PackedMatrix, QuantizedMatrix, packed_of
from hwsim.arch.formats.sharing import in_parts
from hwsim.arch.isa import CacheFormat
from hwsim.arch.numerics import to_fixed
from hwsim.errors import CheckpointError, SpecError
from models.attention import Dense, LambdaShape, Pattern
from models.config import ModelConfig
from models.integer.constants import Gain
from models.matrices import layer_part, matrix_shapes, norm_names, norm_widths

__all__ = ["Embedding", "IntegerModel"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Embedding:
    """The embedding table, which the host looks up: 8-bit codes in groups with a 16-bit float scale each.

    codes: int8 [vocab, hidden].
    scales: float16 [vocab, groups]; the groups of a row are equally long.
    """

    codes: np.ndarray
    scales: np.ndarray

    def rows(self, tokens: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the fixed values that enter the residual memory, int32 [tokens, hidden].

        SpecError when a token is outside the vocabulary.
        """
        index = np.asarray(tokens, dtype=np.int64)
        vocab, hidden = self.codes.shape
        wrong = index[(index < 0) | (index >= vocab)]
        if len(wrong):
            raise SpecError(f"Token must be between 0 and {vocab - 1}, not {int(wrong[0])}")
        scales = np.repeat(self.scales[index].astype(np.float64), hidden // self.scales.shape[1], axis=1)
        return to_fixed(self.codes[index] * scales).astype(np.int32)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class IntegerModel:
    """A model in the engine's integers; two with equal fingerprints compute the same bits.

    config: the geometry.
    pattern: dense or Λ-shaped attention.
    cache: format of keys and values.
    matrices: by the names of `matrix_shapes`; in memory, or read when they are asked for.
    gains: by the names of `norm_widths`.
    biases: int32 fixed values added to the results of `layers.<n>.qkv`; empty when config.qkv_bias is false.
    embedding: what the host looks tokens up in.
    """

    config: ModelConfig
    pattern: Pattern
    matrices: Mapping[str, QuantizedMatrix | MatrixSource]
    gains: Mapping[str, Gain]
    biases: Mapping[str, np.ndarray]
    embedding: Embedding
    cache: CacheFormat = CacheFormat.KV4

    def __post_init__(self) -> None:
        if not isinstance(self.pattern, Dense | LambdaShape):
            raise SpecError(f"Attention of an integer model must be dense or lambda, not {self.pattern}")
        config = self.config
        expected = matrix_shapes(config)
        _check_names("matrices", self.matrices, expected)
        for name, shape in expected.items():
            if self.matrices[name].shape != shape:
                raise CheckpointError(f"Matrix {name} must have shape {shape}, not {self.matrices[name].shape}")
        norms = norm_widths(config)
        _check_names("gains", self.gains, norms)
        for name, width in norms.items():
            if self.gains[name].values.shape != (width,):
                raise CheckpointError(f"Gains of {name} must have {width} values, not {self.gains[name].values.shape}")
        biased = [layer_part(layer, "qkv") for layer in range(config.layers)] if config.qkv_bias else []
        _check_names("biases", self.biases, biased)
        for name in biased:
            if self.biases[name].shape != expected[name][:1]:
                raise CheckpointError(f"Bias of {name} must have {expected[name][0]} values, not {self.biases[name].shape}")
        if self.embedding.codes.shape != (config.vocab, config.hidden):
            raise CheckpointError(f"Embedding must have shape {(config.vocab, config.hidden)}, not {self.embedding.codes.shape}")

    @property
    def sinks(self) -> int:
        """Tokens kept for good, from position 0; none under dense attention."""
        return self.pattern.sinks if isinstance(self.pattern, LambdaShape) else 0

    @property
    def window(self) -> int:
        """Tokens of the ring, the current one included; dense attention is a ring as long as the longest text."""
        return self.pattern.window if isinstance(self.pattern, LambdaShape) else self.config.max_positions

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 over everything that decides a bit of the logits, hexadecimal."""
        running = hashlib.sha256()

        def add(name: str, array: np.ndarray) -> None:
            running.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            running.update(np.ascontiguousarray(array).tobytes())

        config = dataclasses.replace(self.config, name="model")
        running.update(f"{config.to_json()}{self.pattern}\n".encode())
        if self.cache is not CacheFormat.KV4:
            # KV4 was once the only cache format: models with it keep the fingerprints they had then.
            running.update(f"{self.cache.name}\n".encode())
        names = list(matrix_shapes(self.config))

        def part(chosen: slice) -> list[str]:
            # One matrix at a time on each thread, so that no more of a large model need be in memory.
            return [_matrix_digest(packed_of(self.matrices[name])) for name in names[chosen]]

        digests = [digest for some in in_parts(part, len(names), 1) for digest in some]
        for name, digest in zip(names, digests, strict=True):
            running.update(f"{name} {digest}\n".encode())
        for name in norm_names(self.config):
            add(f"{name} {self.gains[name].shift}", self.gains[name].values)
        for name in sorted(self.biases):
            add(name, self.biases[name])
        add("embedding", self.embedding.codes)
        add("embedding scales", self.embedding.scales)
        return running.hexdigest()


def _matrix_digest(matrix: PackedMatrix) -> str:
    running = hashlib.sha256(f"{matrix.format.name} {matrix.shape}\n".encode())
    for array in (matrix.words, matrix.mantissa, matrix.exponent):
        running.update(np.ascontiguousarray(array).data)
    return running.hexdigest()


def _check_names(what: str, held: Mapping[str, object], expected: Sequence[str] | Mapping[str, object]) -> None:
    for name in expected:
        if name not in held:
            raise CheckpointError(f"Integer model must have {what} of {name}, which are missing")
    for name in held:
        if name not in expected:
            raise CheckpointError(f"Integer model must have {what} only where its network has them, not of {name}")
