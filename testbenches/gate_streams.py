"""Random stimuli for a unit's ports: phases of rest, of patience and of haste, so that states are reached and left again."""

import random
from collections.abc import Mapping, Sequence

from testbenches.gates import Port

__all__ = ["random_stimuli"]

_RESETS = ("rst", "clear")
"""Ports that are high for a cycle every now and then."""
_RESET_RATE = 1 / 200
_SHARES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""How often a port of one bit is high in a phase."""
_PHASE_CYCLES = (4, 60)
_KINDS = ("random", "held", "sparse", "dense", "small", "negative", "corner")
_KIND_WEIGHTS = (6, 2, 1, 1, 5, 3, 2)


def random_stimuli(ports: Sequence[Port], cycles: int, seed: int, fields: Mapping[str, Sequence[int]] = {}) -> list[int]:
    """Return a stimulus for each cycle, the first port in its lowest bits; the first two cycles are a reset.

    `fields` has the widths of the fields of a port that are drawn apart, from its lowest bit on; they fill the port.
    """
    rng = random.Random(seed)
    stimuli = [0] * cycles
    place = 0
    for port in ports:
        for width in fields.get(port.name, (port.width,)):
            drawn = _resets(rng, port, cycles) if port.name in _RESETS else _values(rng, width, cycles)
            for cycle, value in enumerate(drawn):
                stimuli[cycle] |= value << place
            place += width
    assert place == sum(port.width for port in ports)
    return stimuli


def _resets(rng: random.Random, port: Port, cycles: int) -> list[int]:
    return [1 if cycle < 2 and port.name == "rst" else int(rng.random() < _RESET_RATE) for cycle in range(cycles)]


def _values(rng: random.Random, width: int, cycles: int) -> list[int]:
    values: list[int] = []
    while len(values) < cycles:
        length = rng.randint(*_PHASE_CYCLES)
        if width == 1:
            share = rng.choice(_SHARES)
            values += [int(rng.random() < share) for _ in range(length)]
            continue
        (kind,) = rng.choices(_KINDS, _KIND_WEIGHTS)
        held = rng.getrandbits(width)
        values += [_value(rng, kind, width, held) for _ in range(length)]
    return values[:cycles]


def _value(rng: random.Random, kind: str, width: int, held: int) -> int:
    drawn = rng.getrandbits(width)
    match kind:
        case "held":
            return held
        case "sparse":
            return drawn & rng.getrandbits(width) & rng.getrandbits(width)
        case "dense":
            return drawn | rng.getrandbits(width) | rng.getrandbits(width)
        case "small":
            return drawn >> rng.randrange(width)
        case "negative":
            return ~(drawn >> rng.randrange(width)) & (1 << width) - 1
        case "corner":
            most = (1 << width) - 1
            return rng.choice((0, most, most >> 1, 1 << (width - 1), 1, drawn))
    return drawn
