"""The depth and the fan-out of an engine's circuit: its longest paths, its most loaded nets, and what breaks the bars."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from hwsim.arch.config import EngineConfig
from hwsim.whole_files import write_text
from rtl.synthesis.delays import Delays, load_delays
from rtl.synthesis.estimate import circuit_of, engine_key
from rtl.synthesis.loads import LoadedNet, loaded_nets
from rtl.synthesis.mapped import Mapped, mapped_of
from rtl.synthesis.paths import Cost, ModulePath, paths_of
from rtl.verilog import TOP

__all__ = ["LEVELS_LIMIT", "LOADS_LIMIT", "Timing", "TimingPath", "UnitTiming", "timing", "timing_of"]

LEVELS_LIMIT = 6
"""Look-up tables that a path may go through."""
LOADS_LIMIT = 512
"""Loads that a net may have; more need registers in a tree."""
_PATHS_A_UNIT = 8
"""Longest paths that are told of each unit, beside all that break a bar."""
_NETS = 24
"""Most loaded nets that are told, beside all that break the bar."""
_RESET = re.compile(r"(?:^|/)(?:reset|rst)(?:_\w+)?(?:\[\d+\])?$")
"""Names of nets that reset registers."""
_BIT = re.compile(r"\[\d+\](?=$|:)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimingPath:
    """The longest path between two registers, by levels or by delay.

    Attributes:
        unit: part of the engine that holds both ends, or `engine` between parts; `ports` from and to the outside.
        module: name of the module that holds both ends.
        start, end: register or memory as a path in the engine, with a bit in brackets and a pin that is no data after a colon.
        levels: look-up tables in it.
        carries: cells of four bits of carry chains in it.
        cells_ns: delay of its cells in nanoseconds, with that of the first register and the setup of the last.
        delay_ns: the estimate, wires and all.
        slack_ns: what is left of the clock's period; negative where it does not suffice.
    """

    unit: str
    module: str
    start: str
    end: str
    levels: int
    carries: int
    cells_ns: float
    delay_ns: float
    slack_ns: float

    @property
    def is_broken(self) -> bool:
        """Whether it goes through too many look-up tables or takes longer than a period."""
        return self.levels > LEVELS_LIMIT or self.slack_ns < 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class UnitTiming:
    """What is longest in a unit: levels of a path, and the estimated delay of one, maybe another, with its slack."""

    levels: int
    delay_ns: float
    slack_ns: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timing:
    """A static estimate of a circuit at a clock.

    Attributes:
        clock_hz: the clock.
        part: family and speed grade of the delays.
        units: what is longest by unit.
        paths: those that break a bar and the longest of each unit, least slack first.
        nets: those that break the bar and the most loaded, most loads first; a clock is none, a reset may have any number.
        reset_data_loads: pins that a reset drives and that do more than reset registers.
    """

    clock_hz: float
    part: str
    units: Mapping[str, UnitTiming]
    paths: tuple[TimingPath, ...]
    nets: tuple[LoadedNet, ...]
    reset_data_loads: int

    @property
    def levels(self) -> int:
        """Look-up tables of the deepest path."""
        return max((unit.levels for unit in self.units.values()), default=0)

    @property
    def loads(self) -> int:
        """Loads of the most loaded net that is no reset."""
        return max((net.loads for net in self.nets if not is_reset(net)), default=0)

    @property
    def broken_paths(self) -> tuple[TimingPath, ...]:
        """Paths that break a bar."""
        return tuple(path for path in self.paths if path.is_broken)

    @property
    def broken_nets(self) -> tuple[LoadedNet, ...]:
        """Nets that break the bar."""
        return tuple(net for net in self.nets if net.loads > LOADS_LIMIT and not is_reset(net))


def is_reset(net: LoadedNet) -> bool:
    """Return whether a net resets registers, by its name: `reset` or `rst`, or one of these with an ending such as `reset_slr0`."""
    return _RESET.search(net.driver) is not None


def timing(
    config: EngineConfig, cache: Path = Path("build/synthesis"), progress: Callable[[float], None] = lambda fraction: None
) -> Timing:
    """Return the estimate for an engine at its clock; docs/synthesis.md says what it knows and what it does not.

    Mapped modules, and whole results, are kept in `cache` under digests of what they are made of.

    Raises:
        MachineError: Yosys is missing or refuses, or the circuit has a loop without a register.
    """
    delays = load_delays()
    made_of = "\0".join([engine_key(config), repr(delays), str(config.clock_hz)])
    path = cache / f"timing-{hashlib.sha256(made_of.encode()).hexdigest()[:32]}.json"
    if path.exists():
        return _read(path.read_text())
    progress(0.0)
    found = timing_of(mapped_of(circuit_of(config), cache, progress), TOP, delays, config.clock_hz)
    write_text(path, json.dumps(dataclasses.asdict(found), indent=1))
    return found


def timing_of(mapped: Mapping[str, Mapped], top: str, delays: Delays, clock_hz: float) -> Timing:
    """Return the estimate for mapped modules at a clock in Hz."""
    places = _places(mapped, top)
    longest: dict[tuple[str, str, str, bool], TimingPath] = {}
    units: dict[str, UnitTiming] = {}
    for unit, path in _all_paths(mapped, top, delays, places, clock_hz):
        for is_deep in (False, True):
            key = (path.module, _BIT.sub("", path.start), _BIT.sub("", path.end), is_deep)
            old = longest.get(key)
            if old is None or _length(path, is_deep) > _length(old, is_deep):
                longest[key] = path
        seen = units.get(unit, UnitTiming(levels=0, delay_ns=0.0, slack_ns=1e9 / clock_hz))
        units[unit] = UnitTiming(
            levels=max(seen.levels, path.levels),
            delay_ns=max(seen.delay_ns, path.delay_ns),
            slack_ns=min(seen.slack_ns, path.slack_ns),
        )
    nets = sorted((net for net in loaded_nets(mapped, top) if not net.is_clock), key=lambda net: (-net.loads, net.driver))
    resets = [net for net in nets if is_reset(net)]
    return Timing(
        clock_hz=clock_hz,
        part=delays.part,
        units=dict(sorted(units.items())),
        paths=_told(set(longest.values())),
        nets=tuple(net for number, net in enumerate(nets) if number < _NETS or net.loads > LOADS_LIMIT),
        reset_data_loads=sum(net.loads - net.resets for net in resets),
    )


def _length(path: TimingPath, is_deep: bool) -> tuple[float, float]:
    return (path.levels, path.delay_ns) if is_deep else (path.delay_ns, path.levels)


def _told(paths: Iterable[TimingPath]) -> tuple[TimingPath, ...]:
    """Return the paths that are told, least slack first."""
    told: dict[TimingPath, None] = {}
    for is_deep in (True, False):
        counts: dict[str, int] = {}
        for path in sorted(paths, key=lambda path: (_length(path, is_deep), path.start, path.end), reverse=True):
            counts[path.unit] = counts.get(path.unit, 0) + 1
            if path.is_broken or counts[path.unit] <= _PATHS_A_UNIT:
                told[path] = None
    return tuple(sorted(told, key=lambda path: (path.slack_ns, -path.levels, path.start, path.end)))


def _places(mapped: Mapping[str, Mapped], top: str) -> Mapping[str, str]:
    """Return the path of the first copy of each module below a module."""
    found = {top: ""}
    for name in (waiting := [top]):
        for child in mapped[name].children:
            if child.kind not in found:
                found[child.kind] = f"{found[name]}{child.name}/"
                waiting.append(child.kind)
    return found


def _all_paths(
    mapped: Mapping[str, Mapped], top: str, delays: Delays, places: Mapping[str, str], clock_hz: float
) -> Iterator[tuple[str, TimingPath]]:
    modules = paths_of(mapped, top, delays)
    for name, module in modules.items():
        unit = places[name].split("/")[0] or TOP
        for path in module.inside():
            yield unit, _path(path, unit, name, places[name], delays, clock_hz)
    for path in (*modules[top].from_inputs(), *modules[top].to_outputs()):
        yield "ports", _path(path, "ports", top, "", delays, clock_hz)


def _path(path: ModulePath, unit: str, module: str, place: str, delays: Delays, clock_hz: float) -> TimingPath:
    delay_ps = _delay_ps(path.cost, delays)
    return TimingPath(
        unit=unit,
        module=module.lstrip("\\"),
        start=place + path.start,
        end=place + path.end,
        levels=path.cost.levels,
        carries=path.cost.carries,
        cells_ns=path.cost.delay_ps / 1000,
        delay_ns=round(delay_ps / 1000, 3),
        slack_ns=round(1e9 / clock_hz - delay_ps / 1000, 3),
    )


def _delay_ps(cost: Cost, delays: Delays) -> float:
    """Return the delay of a path with its wires: each takes what one does on average, and all of them no less than their share."""
    return max(cost.delay_ps + cost.nets * delays.net.value, cost.delay_ps / (1 - delays.wire_share.value))


def _read(text: str) -> Timing:
    document = json.loads(text)
    return Timing(
        **{
            **document,
            "units": {name: UnitTiming(**unit) for name, unit in document["units"].items()},
            "paths": tuple(TimingPath(**path) for path in document["paths"]),
            "nets": tuple(LoadedNet(**net) for net in document["nets"]),
        }
    )
