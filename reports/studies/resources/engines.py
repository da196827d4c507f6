"""The engines whose circuits are looked at: which differ in one field, which are drawn, which have every memory and every slice."""

import dataclasses
import itertools
import typing
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from hwsim.arch.config import EngineConfig, load_engine
from hwsim.errors import ConfigError
from hwsim.reader import Limits, OneOf
from lamforge.flow.resources import FIELDS, TERMS, fields_of_engine

__all__ = ["BASE", "VALUES", "built", "differing_in_one_field", "drawn", "memory_shapes", "row_pairs", "settings_of", "slices"]

BASE = "small"
"""The engine that has what is not among FIELDS, such as the clock."""
_FEW = 8
"""Values of a field that are all looked at."""
_TOKENS, _NIBBLE_TOKENS = "tile.tokens", "tile.nibble_tokens"
_SLICE_TERMS = ("nibble_rows", "lane_bits", "mixed_lanes")
"""What decides a slice whose rows all multiply nibbles."""
_MOST_TRIES = 10_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Values:
    """The values that a field may have: all of `values`, or where there are none whole numbers from `least` to `most`."""

    values: tuple[int, ...]
    least: int
    most: int

    def near(self, value: int) -> Sequence[int]:
        """Return the values that are tried beside one."""
        if self.values and len(self.values) <= _FEW - 1:
            return [each for each in self.values if each != value]
        others = (value // 2, value * 2, value * 4)
        return [each for each in others if self.least <= each <= self.most and each != value]

    def drawn(self, rng: np.random.Generator) -> int:
        """Return one of them; they are as likely from one to twice it as from there to four times it."""
        if self.values:
            return int(rng.choice(self.values))
        return round(float(np.exp(rng.uniform(np.log(self.least), np.log(self.most)))))


def _values(path: str) -> Values:
    unit, _, leaf = path.partition(".")
    kind = typing.get_type_hints(EngineConfig)[unit]
    (mark,) = typing.get_type_hints(kind, include_extras=True)[leaf].__metadata__
    if isinstance(mark, OneOf):
        found = tuple(int(each) for each in mark.names)
        return Values(values=found, least=min(found), most=max(found))
    assert isinstance(mark, Limits) and mark.least is not None and mark.most is not None
    least, most = int(mark.least), int(mark.most)
    if mark.is_power:
        found = tuple(1 << bits for bits in range(least.bit_length() - 1, most.bit_length()))
    else:
        found = tuple(range(least, most + 1)) if most - least < _FEW else ()
    return Values(values=found, least=least, most=most)


VALUES: Mapping[str, Values] = {path: _values(path) for path in FIELDS}
"""What each field may be, as EngineConfig declares it."""


def settings_of(engine: EngineConfig) -> dict[str, int]:
    """Return the values of FIELDS of an engine."""
    return {path: int(value) for path, value in fields_of_engine(engine).items()}


def built(settings: Mapping[str, int]) -> EngineConfig | None:
    """Return the engine with these values, or None where there can be none."""
    try:
        return load_engine(BASE).with_values(dict(settings))
    except ConfigError:
        return None


def differing_in_one_field(engine: EngineConfig) -> Iterator[EngineConfig]:
    """Yield an engine, and those near it that differ from it in one field."""
    own = settings_of(engine)
    yield engine
    for path in FIELDS:
        for value in VALUES[path].near(own[path]):
            if (found := built(own | {path: value})) is not None:
                yield found


def row_pairs() -> list[tuple[int, int]]:
    """Return every pair of token rows and nibble rows that an engine can have."""
    pairs = itertools.product(VALUES[_TOKENS].values, VALUES[_NIBBLE_TOKENS].values)
    usual = settings_of(load_engine(BASE))
    return [(rows, nibbles) for rows, nibbles in pairs if nibbles <= rows and built(usual | _rows(rows, nibbles))]


def drawn(count: int, seed: int) -> list[EngineConfig]:
    """Return engines that are drawn: each pair of token rows and nibble rows in turn, everything else by chance.

    Engine number n is the same whatever the count.
    """
    pairs, found = row_pairs(), []
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        for _ in range(_MOST_TRIES):
            chosen = {path: VALUES[path].drawn(rng) for path in FIELDS} | _rows(*pairs[number % len(pairs)])
            if (engine := built(chosen)) is not None:
                found.append(engine)
                break
    return found


def memory_shapes() -> list[EngineConfig]:
    """Return small engines which together have every depth of every memory with every width that a field gives it.

    Depths of all memories change together, so that there are as many engines as the most depths times the widths.
    """
    widths = ("vector.lanes", "tile.port_bits")
    usual = settings_of(load_engine("tiny"))
    depths = [path for path in FIELDS if path not in widths and not path.startswith("tile.") and len(VALUES[path].values) > 1]
    found = []
    for places in itertools.product(*(VALUES[path].values for path in widths)):
        # Each width with each depth; pairs of widths need not meet every depth.
        if not _is_wanted(places, widths):
            continue
        for number in range(max(len(VALUES[path].values) for path in depths)):
            chosen = {path: VALUES[path].values[min(number, len(VALUES[path].values) - 1)] for path in depths}
            # A burst fits twice into every FIFO.
            chosen["fetch.burst_beats"] = VALUES["fetch.burst_beats"].least
            engine = built(usual | dict(zip(widths, places, strict=True)) | chosen)
            if engine is not None:
                found.append(engine)
    return found


def _is_wanted(places: tuple[int, ...], widths: tuple[str, ...]) -> bool:
    """Return whether a combination is one of as many as the most widths of one kind, in which every width occurs."""
    numbers = [VALUES[path].values.index(place) for path, place in zip(widths, places, strict=True)]
    most = max(len(VALUES[path].values) for path in widths)
    return any(
        all(number == turn % len(VALUES[path].values) for number, path in zip(numbers, widths, strict=True)) for turn in range(most)
    )


def slices() -> list[EngineConfig]:
    """Return an engine for each slice there can be whose rows all multiply nibbles, or all but the last of the most rows.

    What more rows take that multiply 2-bit weights alone, the model adds to these.
    """
    found: dict[tuple[int, ...], EngineConfig] = {}
    most = VALUES[_TOKENS].most
    usual = settings_of(load_engine(BASE))
    deciding = dict.fromkeys(path for term in _SLICE_TERMS for path in TERMS[term].fields if path not in (_TOKENS, _NIBBLE_TOKENS))
    rows = [(each, each) for each in VALUES[_TOKENS].values] + [(most, most - 1)]
    for values in itertools.product(*(VALUES[path].values for path in deciding)):
        settings = usual | dict(zip(deciding, values, strict=True))
        fields = {path: np.array(value) for path, value in settings.items()}
        key = tuple(int(TERMS[term].value(fields)) for term in _SLICE_TERMS if term != "nibble_rows")
        for pair in rows:
            if (*key, *pair) not in found and (engine := built(settings | _rows(*pair))) is not None:
                found[*key, *pair] = engine
    return [found[key] for key in sorted(found)]


def _rows(tokens: int, nibble_tokens: int) -> dict[str, int]:
    return {_TOKENS: tokens, _NIBBLE_TOKENS: nibble_tokens}
