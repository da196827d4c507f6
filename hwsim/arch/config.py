"""The engine configuration: nested by unit, frozen, checked on construction, loaded from hwsim/specs/engines."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any

from hwsim.arch.counts import Count, bit_length, larger, smaller
from hwsim.arch.isa import Format
from hwsim.errors import ConfigError, shown
from hwsim.reader import NAME, Limits, OneOf, SpecFiles, fields_of, read

__all__ = [
    "LANES_PER_SLICE",
    "MOST_PROGRAM_WORDS",
    "MOST_TOKEN_ROWS",
    "SLICE_BITS",
    "BufferConfig",
    "ControlConfig",
    "EngineConfig",
    "FetchConfig",
    "TileConfig",
    "VectorConfig",
    "drain_words",
    "engine_names",
    "lane_bits",
    "load_engine",
    "mixed_lanes",
    "mixed_words",
    "temporary_words",
]

SLICE_BITS = 128
"""Bits of the stream word one slice takes per beat."""
LANES_PER_SLICE = 32
"""Nibble lanes of a slice."""
MOST_TOKEN_ROWS = 7
"""Activation rows of an engine, at most: a field of the matrix instructions counts them in 3 bits."""
MOST_PROGRAM_WORDS = 4096
"""Instructions of a program, at most."""
_PORT_BITS = (128, 256, 512)
_MOST_SLICES = 128
"""What the tree that adds up the slices can reduce within hwsim.arch.timing.MATRIX_LATENCY: it has a level for each doubling."""
_LONGEST_ROW = 2048
_MOST_SEGMENTS = 8
_SEGMENT_CODES = 64
_LARGEST_PRODUCT = 128 * 15
"""Of a coefficient of 8 bits, signed, and a nibble."""
_SUM_BITS = 32
_FILES = SpecFiles("Engine", "engines", ConfigError)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TileConfig:
    """The multiplier array: one tile per memory port, `port_bits / 128` slices in a tile."""

    ports: Annotated[int, Limits(1, 64, is_power=True)]
    """Memory ports."""
    port_bits: Annotated[int, OneOf(_PORT_BITS)]
    """Width of a port in bits."""
    tokens: Annotated[int, Limits(1, MOST_TOKEN_ROWS)]
    """Activation rows T each lane multiplies at once with 2-bit weights."""
    nibble_tokens: Annotated[int, Limits(1, MOST_TOKEN_ROWS)]
    """The most of them that it multiplies with 4-bit codes: weights of 4 and 8 bits, keys and values."""

    def __post_init__(self) -> None:
        if self.slices > _MOST_SLICES:
            most = _MOST_SLICES // self.slices_per_port
            raise ConfigError(f"Engine tile.ports must be at most {most} with ports of {self.port_bits} bits, not {self.ports}")
        if self.nibble_tokens < self.tokens and self.nibble_tokens % 2:
            raise ConfigError(f"Engine tile.nibble_tokens must be even where it is below tile.tokens, not {self.nibble_tokens}")

    @property
    def nibble_rows(self) -> int:
        """Activation rows that 4-bit codes are multiplied with; the others have multipliers for 2-bit weights alone."""
        return min(self.tokens, self.nibble_tokens)

    def rows_of(self, format: Format) -> int:
        """Return the activation rows that can be multiplied with a stream of this format at once."""
        return self.tokens if format.has_two_bit_codes else self.nibble_rows

    @property
    def slices_per_port(self) -> int:
        """Slices in one tile."""
        return self.port_bits // SLICE_BITS

    @property
    def slices(self) -> int:
        """Slices of the engine: rows multiplied at once in dot mode."""
        return self.ports * self.slices_per_port

    @property
    def port_bytes(self) -> int:
        """Bytes of one beat of one port."""
        return self.port_bits // 8

    @property
    def beat_bytes(self) -> int:
        """Bytes of one beat of all ports."""
        return self.ports * self.port_bytes


@dataclasses.dataclass(frozen=True, kw_only=True)
class FetchConfig:
    """The stream readers."""

    burst_beats: Annotated[int, Limits(2, 64, is_power=True)]
    """Beats of a full AXI read burst; at most 64 of 64 bytes, so that bursts stay inside an aligned block of 4 KiB."""
    fifo_beats: Annotated[int, Limits(8, 4096, is_power=True)]
    """Beats each port's FIFO holds."""

    def __post_init__(self) -> None:
        if self.fifo_beats < 2 * self.burst_beats:
            raise ConfigError(f"Engine fetch.fifo_beats must be at least two bursts of {self.burst_beats}, not {self.fifo_beats}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class VectorConfig:
    """The vector unit and the drain."""

    lanes: Annotated[int, Limits(4, 32, is_power=True)]
    """Fixed values handled per cycle; also the width of a result, residual and parameter word."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BufferConfig:
    """On-chip memories, in the words of each."""

    activation_segments: Annotated[int, Limits(4, 2048, is_power=True)]
    """Segments of 64 activations of every token row."""
    result_words: Annotated[int, Limits(16, 16384, is_power=True)]
    """Words of the result memory and of the vector unit's temporary memory."""
    residual_words: Annotated[int, Limits(16, 16384, is_power=True)]
    """Words of the residual memory."""
    parameter_words: Annotated[int, Limits(16, 4096, is_power=True)]
    """Words of the parameter memory."""
    side_words: Annotated[int, Limits(4, 4096, is_power=True)]
    """Words of the value-parameter memory."""
    scales: Annotated[int, Limits(8, 64, is_power=True)]
    """Entries of the scale file."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ControlConfig:
    """The sequencer."""

    queue_depth: Annotated[int, Limits(2, 64, is_power=True)]
    """Instructions each unit's queue holds."""
    program_words: Annotated[int, Limits(64, MOST_PROGRAM_WORDS, is_power=True)]
    """Instructions the program memory holds."""
    watchdog_cycles: Annotated[int, Limits(256, 1 << 24)]
    """Cycles without dispatch, retirement or a drained word after which the engine stops with an error."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """Everything that varies between engines; `path=value` overrides name fields by path (`tile.tokens`)."""

    name: Annotated[str, NAME]
    """Name of a shipped engine, or the user's; it goes into file names and scripts."""
    clock_hz: Annotated[float, Limits(1e6, 2e9)]
    """Clock frequency."""
    channel_bytes: Annotated[int, Limits(1 << 16, 1 << 34, is_power=True)]
    """Memory behind each port, in bytes."""
    tile: TileConfig
    fetch: FetchConfig
    vector: VectorConfig
    buffer: BufferConfig
    control: ControlConfig

    @property
    def peak_bytes_per_s(self) -> float:
        """Bytes per second when every port moves a beat each cycle."""
        return self.tile.beat_bytes * self.clock_hz

    @property
    def temporary_words(self) -> int:
        """Words of the vector unit's temporary memory, and of the longest row: what a length field can name."""
        return temporary_words(self.buffer.result_words)

    @property
    def drain_words(self) -> int:
        """Words one row block of one activation row drains to: slices / lanes, at least 1."""
        return drain_words(self.tile.slices, self.vector.lanes)

    @property
    def mixed_lanes(self) -> int:
        """Lanes of every slice whose sums an AXPY drains in one word; those of the eight slices of a token fit it."""
        return mixed_lanes(self.vector.lanes)

    @property
    def lane_bits(self) -> int:
        """Bits of a signed accumulator of a lane: of no more beats than the activation memory has coefficients."""
        return lane_bits(self.tile.slices, self.vector.lanes, self.buffer.activation_segments)

    @property
    def mixed_words(self) -> int:
        """Words one row of an AXPY drains to."""
        return mixed_words(self.vector.lanes)

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as nested plain values, the form of the YAML files."""
        return dataclasses.asdict(self)

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of every field but the name."""
        fields = {key: value for key, value in self.to_dict().items() if key != "name"}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

    @classmethod
    def from_dict(cls, data: object) -> EngineConfig:
        """Return the configuration in nested plain values; raise ConfigError with one sentence of all mistakes."""
        return read(cls, data, "Engine", ConfigError)

    def with_values(self, settings: Mapping[str, object]) -> EngineConfig:
        """Return a copy with fields replaced by path, such as `{"tile.tokens": 2}`."""
        data = self.to_dict()
        names = [field.path for field in fields_of(EngineConfig)]
        paths = [name for name in names if name and not any(other.startswith(f"{name}.") for other in names)]
        for path, value in settings.items():
            if path not in paths:
                near = difflib.get_close_matches(path[:100], paths, 1, 0.0)[0]
                raise ConfigError(f"Engine setting must be a field such as {shown(near)}, not {shown(path)}")
            unit, _, leaf = path.rpartition(".")
            (data[unit] if unit else data)[leaf] = value
        return EngineConfig.from_dict(data)


def temporary_words(result_words: Count) -> Count:
    """Return the words of the temporary memory beside a result memory, or beside each of several."""
    return smaller(result_words, _LONGEST_ROW)


def drain_words(slices: Count, lanes: Count) -> Count:
    """Return the words that one row block of one activation row drains to, of one engine or of each of several."""
    return larger(slices // lanes, 1)


def mixed_words(lanes: Count) -> Count:
    """Return the words that one row of an AXPY drains to, of one engine or of each of several."""
    return LANES_PER_SLICE // mixed_lanes(lanes)


def mixed_lanes(lanes: Count) -> Count:
    """Return the lanes of every slice whose sums an AXPY drains in one word, of one engine or of each of several."""
    return larger(lanes // _MOST_SEGMENTS, 1)


def lane_bits(slices: Count, lanes: Count, activation_segments: Count) -> Count:
    """Return the bits of a signed accumulator of a lane, of one engine or of each of several."""
    tokens = smaller(smaller(slices, lanes), _MOST_SEGMENTS)
    beats = _SEGMENT_CODES * activation_segments * tokens // slices
    return smaller(1 + bit_length(beats * _LARGEST_PRODUCT), _SUM_BITS)


def engine_names() -> list[str]:
    """Return the names of the shipped engines."""
    return _FILES.names()


def load_engine(name: str) -> EngineConfig:
    """Return a shipped engine by name, or the engine in a YAML file by path; raise ConfigError."""
    return EngineConfig.from_dict(_FILES.read(name))
