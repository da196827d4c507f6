"""What the parts of an engine grow with: numbers of slices, rows and bits, of one engine or of each of many."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from hwsim.arch.config import EngineConfig, drain_words, lane_bits, mixed_lanes
from hwsim.reader import fields_of
from rtl.regions import FAR, NEAR, SHARED, region_tiles

__all__ = ["COPIES", "FIELDS", "TERMS", "Fields", "Term", "copies_of", "fields_of_engine"]

Fields = Mapping[str, np.ndarray]
"""Values of FIELDS as arrays that broadcast, one entry an engine."""

FIELDS = tuple(field.path for field in fields_of(EngineConfig) if field.path.count(".") == 1)
"""Fields of an engine that its circuit may depend on, by path: those of its units."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Term:
    """A number that parts grow with.

    Attributes:
        fields: what it is computed of, of FIELDS.
        value: computes it.
    """

    fields: tuple[str, ...]
    value: Callable[[Fields], np.ndarray]


_PORTS, _PORT_BITS, _TOKENS, _NIBBLE_TOKENS = "tile.ports", "tile.port_bits", "tile.tokens", "tile.nibble_tokens"
_LANES, _SEGMENTS = "vector.lanes", "buffer.activation_segments"


def _slices_per_port(fields: Fields) -> np.ndarray:
    return fields[_PORT_BITS] // 128


def _slices(fields: Fields) -> np.ndarray:
    return fields[_PORTS] * _slices_per_port(fields)


def _nibble_rows(fields: Fields) -> np.ndarray:
    return np.minimum(fields[_TOKENS], fields[_NIBBLE_TOKENS])


def _gathered(fields: Fields) -> np.ndarray:
    return np.minimum(np.minimum(_slices(fields), fields[_LANES]), 8)


_MOST_PORTS = 128
_TILES = {
    region: np.array([0] + [len(region_tiles(ports).get(region, ())) for ports in range(1, _MOST_PORTS + 1)])
    for region in (NEAR, SHARED, FAR)
}
"""Tiles of each region, by the number of ports."""


def _region(name: str) -> Term:
    return Term(fields=(_PORTS,), value=lambda fields: _TILES[name][fields[_PORTS]])


def _log(path: str) -> Term:
    return Term(fields=(path,), value=lambda fields: np.log2(fields[path]))


_WORDS = tuple(path for path in FIELDS if path.startswith(("buffer.", "fetch.", "control.")) and path != "control.watchdog_cycles")

TERMS: Mapping[str, Term] = {
    "ports": Term(fields=(_PORTS,), value=lambda fields: fields[_PORTS]),
    "near_tiles": _region(NEAR),
    "shared_tiles": _region(SHARED),
    "far_tiles": _region(FAR),
    "has_regions": Term(fields=(_PORTS,), value=lambda fields: np.minimum(_TILES[FAR][fields[_PORTS]], 1)),
    "slices_per_port": Term(fields=(_PORT_BITS,), value=_slices_per_port),
    "slices": Term(fields=(_PORTS, _PORT_BITS), value=_slices),
    "lanes": Term(fields=(_LANES,), value=lambda fields: fields[_LANES]),
    "tokens": Term(fields=(_TOKENS,), value=lambda fields: fields[_TOKENS]),
    "nibble_rows": Term(fields=(_TOKENS, _NIBBLE_TOKENS), value=_nibble_rows),
    "small_rows": Term(fields=(_TOKENS, _NIBBLE_TOKENS), value=lambda fields: fields[_TOKENS] - _nibble_rows(fields)),
    "row_pairs": Term(fields=(_TOKENS, _NIBBLE_TOKENS), value=lambda fields: (_nibble_rows(fields) + 1) // 2),
    "mixed_lanes": Term(fields=(_LANES,), value=lambda fields: mixed_lanes(fields[_LANES])),
    "drain_words": Term(fields=(_PORTS, _PORT_BITS, _LANES), value=lambda fields: drain_words(_slices(fields), fields[_LANES])),
    "summed_slices": Term(fields=(_PORTS, _PORT_BITS, _LANES), value=lambda fields: _slices(fields) - _gathered(fields)),
    "lane_bits": Term(
        fields=(_PORTS, _PORT_BITS, _LANES, _SEGMENTS),
        value=lambda fields: lane_bits(_slices(fields), fields[_LANES], fields[_SEGMENTS]),
    ),
    "activation_pieces": Term(fields=(_TOKENS, _LANES), value=lambda fields: fields[_TOKENS] * 64 // fields[_LANES]),
    "log ports": Term(fields=(_PORTS,), value=lambda fields: np.log2(fields[_PORTS])),
    "log lanes": Term(fields=(_LANES,), value=lambda fields: np.log2(fields[_LANES])),
    "log slices": Term(fields=(_PORTS, _PORT_BITS), value=lambda fields: np.log2(_slices(fields))),
    "log drain_words": Term(
        fields=(_PORTS, _PORT_BITS, _LANES), value=lambda fields: np.log2(drain_words(_slices(fields), fields[_LANES]))
    ),
} | {f"log {path}": _log(path) for path in _WORDS}
"""By name. Bits of addresses and counters are logarithms to the base of 2."""

COPIES = ("one", "has_regions", "ports", "slices", "lanes", "activation_pieces")
"""What numbers of copies of a part there are: `one`, or those of TERMS; 0 where an engine has none."""


def copies_of(name: str, fields: Fields) -> np.ndarray:
    """Return how many copies of COPIES engines have."""
    return np.array(1) if name == COPIES[0] else TERMS[name].value(fields)


def fields_of_engine(engine: EngineConfig) -> Fields:
    """Return the fields of one engine, as arrays of shape []."""
    found = {}
    for path in FIELDS:
        unit, _, leaf = path.rpartition(".")
        found[path] = np.array(getattr(getattr(engine, unit), leaf))
    return found
