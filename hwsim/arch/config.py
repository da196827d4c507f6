"""The engine configuration: nested by unit, frozen, checked on construction, loaded from hwsim/specs/engines."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import typing
from typing import Any

from hwsim.arch.isa import Format
from hwsim.arch.spec_files import SpecFiles, field_names
from hwsim.errors import ConfigError

__all__ = [
    "LANES_PER_SLICE",
    "SLICE_BITS",
    "BufferConfig",
    "ControlConfig",
    "EngineConfig",
    "FetchConfig",
    "TileConfig",
    "VectorConfig",
    "engine_names",
    "load_engine",
]

SLICE_BITS = 128
"""Bits of the stream word one slice takes per beat."""
LANES_PER_SLICE = 32
"""Nibble lanes of a slice."""
_LONGEST_ROW = 2048
_MOST_SEGMENTS = 8
_FILES = SpecFiles("Engine", "engines", ConfigError)


def _whole(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ConfigError(f"{name} must be an integer from {low} to {high}, not {value!r}")


def _power(name: str, value: object, low: int, high: int) -> None:
    _whole(name, value, low, high)
    if typing.cast(int, value) & (typing.cast(int, value) - 1):
        raise ConfigError(f"{name} must be a power of two, not {value!r}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TileConfig:
    """The multiplier array: one tile per memory port, `port_bits / 128` slices in a tile."""

    ports: int
    """Memory ports, a power of two."""
    port_bits: int
    """Width of a port in bits: 128, 256 or 512."""
    tokens: int
    """Activation rows T each lane multiplies at once with 2-bit weights."""
    nibble_tokens: int
    """The most of them that it multiplies with 4-bit codes: weights of 4 and 8 bits, keys and values."""

    def __post_init__(self) -> None:
        _power("Engine tile.ports", self.ports, 1, 64)
        if self.port_bits not in (128, 256, 512):
            raise ConfigError(f"Engine tile.port_bits must be 128, 256 or 512, not {self.port_bits!r}")
        _whole("Engine tile.tokens", self.tokens, 1, 7)
        _whole("Engine tile.nibble_tokens", self.nibble_tokens, 1, 7)
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

    burst_beats: int
    """Beats of a full AXI read burst; at most 64 of 64 bytes, so that bursts stay inside an aligned block of 4 KiB."""
    fifo_beats: int
    """Beats each port's FIFO holds."""

    def __post_init__(self) -> None:
        _power("Engine fetch.burst_beats", self.burst_beats, 2, 64)
        _power("Engine fetch.fifo_beats", self.fifo_beats, 8, 4096)
        if self.fifo_beats < 2 * self.burst_beats:
            raise ConfigError(f"Engine fetch.fifo_beats must be at least two bursts of {self.burst_beats}, not {self.fifo_beats}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class VectorConfig:
    """The vector unit and the drain."""

    lanes: int
    """Fixed values handled per cycle; also the width of a result, residual and parameter word."""

    def __post_init__(self) -> None:
        _power("Engine vector.lanes", self.lanes, 4, 32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BufferConfig:
    """On-chip memories, in the words of each."""

    activation_segments: int
    """Segments of 64 activations of every token row."""
    result_words: int
    """Words of the result memory and of the vector unit's temporary memory."""
    residual_words: int
    """Words of the residual memory."""
    parameter_words: int
    """Words of the parameter memory."""
    side_words: int
    """Words of the value-parameter memory."""
    scales: int
    """Entries of the scale file."""

    def __post_init__(self) -> None:
        _power("Engine buffer.activation_segments", self.activation_segments, 4, 2048)
        _power("Engine buffer.result_words", self.result_words, 16, 16384)
        _power("Engine buffer.residual_words", self.residual_words, 16, 16384)
        _power("Engine buffer.parameter_words", self.parameter_words, 16, 4096)
        _power("Engine buffer.side_words", self.side_words, 4, 4096)
        _power("Engine buffer.scales", self.scales, 8, 64)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ControlConfig:
    """The sequencer."""

    queue_depth: int
    """Instructions each unit's queue holds."""
    program_words: int
    """Instructions the program memory holds."""
    watchdog_cycles: int
    """Cycles without dispatch, retirement or a drained word after which the engine stops with an error."""

    def __post_init__(self) -> None:
        _power("Engine control.queue_depth", self.queue_depth, 2, 64)
        _power("Engine control.program_words", self.program_words, 64, 4096)
        _whole("Engine control.watchdog_cycles", self.watchdog_cycles, 256, 1 << 24)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """Everything that varies between engines; `path=value` overrides name fields by path (`tile.tokens`)."""

    name: str
    """Preset or user's name."""
    clock_hz: float
    """Clock frequency."""
    channel_bytes: int
    """Memory behind each port, in bytes."""
    tile: TileConfig
    fetch: FetchConfig
    vector: VectorConfig
    buffer: BufferConfig
    control: ControlConfig

    def __post_init__(self) -> None:
        if not isinstance(self.clock_hz, int | float) or not 1e6 <= self.clock_hz <= 2e9:
            raise ConfigError(f"Engine clock_hz must be 1e6 to 2e9, not {self.clock_hz!r}")
        _power("Engine channel_bytes", self.channel_bytes, 1 << 16, 1 << 34)

    @property
    def peak_bytes_per_s(self) -> float:
        """Bytes per second when every port moves a beat each cycle."""
        return self.tile.beat_bytes * self.clock_hz

    @property
    def temporary_words(self) -> int:
        """Words of the vector unit's temporary memory, and of the longest row: what a length field can name."""
        return min(_LONGEST_ROW, self.buffer.result_words)

    @property
    def drain_words(self) -> int:
        """Words one row block of one activation row drains to: slices / lanes, at least 1."""
        return max(1, self.tile.slices // self.vector.lanes)

    @property
    def mixed_lanes(self) -> int:
        """Lanes of every slice whose sums an AXPY drains in one word; those of the eight slices of a token fit it."""
        return max(1, self.vector.lanes // _MOST_SEGMENTS)

    @property
    def mixed_words(self) -> int:
        """Words one row of an AXPY drains to."""
        return LANES_PER_SLICE // self.mixed_lanes

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
        """Return the configuration in nested plain values; raise ConfigError with one sentence."""
        return typing.cast(EngineConfig, _build(cls, data, "Engine"))

    def with_values(self, settings: dict[str, Any]) -> EngineConfig:
        """Return a copy with fields replaced by path, such as `{"tile.tokens": 2}`."""
        data = self.to_dict()
        for path, value in settings.items():
            *parents, leaf = path.split(".")
            node: Any = data
            for name in parents:
                node = node.get(name) if isinstance(node, dict) else None
            if not isinstance(node, dict) or leaf not in node or isinstance(node[leaf], dict):
                near = difflib.get_close_matches(path, _paths(data), 1, 0.0)[0]
                raise ConfigError(f"Engine setting must be a field such as {near!r}, not {path!r}")
            node[leaf] = value
        return EngineConfig.from_dict(data)


def _paths(data: dict[str, Any], prefix: str = "") -> list[str]:
    return [
        path
        for name, value in data.items()
        for path in (_paths(value, f"{prefix}{name}.") if isinstance(value, dict) else [prefix + name])
    ]


def _build(cls: type[Any], data: object, where: str) -> Any:
    fields = typing.cast(dict[str, object], data)
    names, hints = field_names(cls, data, where, ConfigError), typing.get_type_hints(cls)
    values = {
        name: _build(hints[name], fields[name], f"{where} {name}") if dataclasses.is_dataclass(hints[name]) else fields[name]
        for name in names
    }
    return cls(**values)


def engine_names() -> list[str]:
    """Return the names of the shipped engines."""
    return _FILES.names()


def load_engine(name: str) -> EngineConfig:
    """Return a shipped engine by name, or the engine in a YAML file by path; raise ConfigError."""
    return EngineConfig.from_dict(_FILES.read(name))
