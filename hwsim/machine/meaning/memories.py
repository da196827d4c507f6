"""The memories of the engine as integer arrays, and the log of what the units wrote."""

import dataclasses

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.errors import ProgramError

__all__ = ["PACK_ENTRIES", "Memories", "ResultLog", "Streams"]

PACK_ENTRIES = 8
_PACK_BYTES = 128
_SEGMENT = 64


class Streams:
    """The beats fetched and not yet consumed, in order.

    A fetch notes where its beats lie; they are copied only when the port memories are about to be written.
    """

    def __init__(self, config: EngineConfig, ports: np.ndarray):
        self._tile, self._ports = config.tile, ports
        self._extents: list[np.ndarray] = []

    @property
    def beats(self) -> int:
        """Beats fetched and not consumed."""
        return sum(extent.shape[1] for extent in self._extents) // self._tile.port_bytes

    def fetch(self, offset: int, beats: int) -> None:
        """Queue `beats` beats from `offset` on."""
        size = self._tile.port_bytes
        if beats:
            self._extents.append(self._ports[:, offset * size : (offset + beats) * size])

    def keep(self) -> None:
        """Copy the queued beats, so that writes to the ports do not change them."""
        self._extents = [extent.copy() for extent in self._extents]

    def take(self, beats: int, name: str) -> np.ndarray:
        """Consume beats: uint8 [slices, beats, 16]; raise ProgramError when fewer were fetched."""
        if beats > self.beats:
            raise ProgramError(f"{name} must consume at most the {self.beats} beats fetched and left, not {beats}")
        parts, missing = [], beats * self._tile.port_bytes
        while missing:
            first = self._extents[0]
            if first.shape[1] > missing:
                self._extents[0] = first[:, missing:]
                first = first[:, :missing]
            else:
                self._extents.pop(0)
            parts.append(first)
            missing -= first.shape[1]
        joined = parts[0] if len(parts) == 1 else np.concatenate([np.zeros((self._tile.ports, 0), np.uint8), *parts], 1)
        words = joined.reshape(self._tile.ports, beats, self._tile.slices_per_port, 16)
        return words.transpose(0, 2, 1, 3).reshape(self._tile.slices, beats, 16)


class Memories:
    """Every memory of an engine; on-chip ones start at zero.

    Attributes:
        activation: int8 [tokens, segments * 64].
        result, residual, parameter: int64 [words * lanes], signed 32-bit values, lane after lane.
        side_parameter: int64 [words * lanes], unsigned 32-bit parameter words.
        scale: int64 [entries, 3], mantissa, exponent, zero sum.
        pack: uint8 [entries, 128], words of a head; pack_parameter: int64 [entries].
        ports, side: the memory images, written in place.
    """

    def __init__(self, config: EngineConfig, ports: np.ndarray, side: np.ndarray):
        buffer, lanes = config.buffer, config.vector.lanes
        self.activation = np.zeros((config.tile.tokens, buffer.activation_segments * _SEGMENT), np.int8)
        self.result = np.zeros(buffer.result_words * lanes, np.int64)
        self.residual = np.zeros(buffer.residual_words * lanes, np.int64)
        self.parameter = np.zeros(buffer.parameter_words * lanes, np.int64)
        self.side_parameter = np.zeros(buffer.side_words * lanes, np.int64)
        self.scale = np.zeros((buffer.scales, 3), np.int64)
        self.pack = np.zeros((PACK_ENTRIES, _PACK_BYTES), np.uint8)
        self.pack_parameter = np.zeros(PACK_ENTRIES, np.int64)
        self.ports, self.side = ports, side
        self.streams = Streams(config, ports)

    def leave(self, rng: np.random.Generator) -> None:
        """Fill the on-chip memories with what an earlier run, ended anywhere, may have left."""
        for words in (self.result, self.residual, self.parameter):
            words[:] = rng.integers(-(1 << 31), 1 << 31, words.shape)
        self.activation[:] = rng.integers(-127, 128, self.activation.shape)
        self.side_parameter[:] = rng.integers(0, 1 << 32, self.side_parameter.shape)
        self.scale[:] = rng.integers([0, -512, 0], [1 << 16, 512, 1 << 31], self.scale.shape)
        self.pack[:] = rng.integers(0, 256, self.pack.shape)
        self.pack_parameter[:] = rng.integers(0, 1 << 32, self.pack_parameter.shape)

    def write_scale(self, entry: int, mantissa: int, exponent: int, zero_sum: int = 0) -> None:
        """Write a scale entry; the exponent keeps 10 bits."""
        self.scale[entry] = mantissa, ((exponent + 512) & 1023) - 512, zero_sum


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ResultLog:
    """What instructions wrote, by index of the trace.

    Attributes:
        matrix: uint32 [words, lanes], the drained words of a MATRIX instruction in drain order, as written to their
            destination (residual or bias added); lanes that are not written are zero.
        vector: int8 [words, lanes], the codes of a VECTOR instruction in order; of KVQUANT its codes, modulo 256.
    """

    matrix: dict[int, np.ndarray]
    vector: dict[int, np.ndarray]
