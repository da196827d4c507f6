"""What an engine takes of a board: its parts, their sum against the board's budget, and how they spread over the SLRs."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from hwsim.arch.board import RESOURCES, Board, load_board
from hwsim.arch.config import EngineConfig
from hwsim.plain import Settings
from lamforge.flow.engines import chosen_engine
from lamforge.flow.resources import copies_of, fields_of_engine, origin, resource_model, slr_shares
from lamforge.flow.verb import SILENT, Listener, verb
from rtl.regions import region_tiles, regions
from rtl.synthesis import (
    LEVELS_LIMIT,
    LOADS_LIMIT,
    RANKING_DEVICE,
    Boundary,
    Estimate,
    Part,
    SlrShare,
    Timing,
    crossings,
    estimate,
    rank,
    timing,
)

__all__ = [
    "LEVELS_LIMIT",
    "LOADS_LIMIT",
    "Crossing",
    "Ranking",
    "SynthRequest",
    "Synthesis",
    "Timing",
    "crossings_of",
    "run",
    "spread_over_slrs",
    "synth",
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SynthRequest:
    """An engine to estimate against a board.

    Attributes:
        engine: name of a shipped engine, path of a YAML file, or an engine.
        settings: values of the engine to change, by path: `{"tile.tokens": 2}`.
        board: name of a shipped board, path of a YAML file, or a board.
        is_quick: whether the model of `lamforge.flow.resources` tells it in a second, in place of minutes of Yosys.
        is_ranked: whether one slice is also placed and routed on an ECP5, which ranks engines by clock and takes minutes.
        is_timed: whether the depth and the fan-out of its circuit are estimated too, which takes minutes of Yosys.
        cache: folder that keeps what Yosys counted, so that a second estimate does not need it.
    """

    engine: str | EngineConfig = "small"
    settings: Settings = dataclasses.field(default_factory=dict)
    board: str | Board = "u280"
    is_quick: bool = False
    is_ranked: bool = False
    is_timed: bool = False
    cache: Path = Path("build/synthesis")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Crossing:
    """The wires of an engine over the boundary between two SLRs.

    Attributes:
        lower, upper: names of the SLRs.
        wires: bits that cross, all of them counted from the netlist.
        lines: super long lines that there are for them; None where the board does not say.
        limit: how many of these may be used; None where the board does not say.
        by_driver: the wires by what drives them, a path in the engine.
    """

    lower: str
    upper: str
    wires: int
    lines: int | None
    limit: int | None
    by_driver: Mapping[str, int]

    @property
    def share(self) -> float | None:
        """The part of the lines that the wires take; None where there is no number of lines."""
        return None if self.lines is None else self.wires / self.lines


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ranking:
    """What one slice reaches, its clock and its cells by kind, routed on a device that says nothing of the board's clock."""

    device: str
    mhz: float
    cells: Mapping[str, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Synthesis:
    """An estimate of an engine on a board; resources go by the names of `hwsim.arch.board.RESOURCES`.

    Attributes:
        engine, board: what was estimated against what.
        tool: name and version of the synthesis tool, or the model of its runs.
        parts: what each part of the engine takes.
        slrs: what each SLR of the board would hold.
        crossings: what each boundary between SLRs would carry, from the bottom up; None where nothing was synthesized.
        ranking: what a routed slice reaches; None where that was not asked for.
        timing: its longest paths and most loaded nets against its clock; None where that was not asked for.
        synthesis_s: seconds that the estimate took.
        is_quick: whether it is of the model, and nothing was synthesized.
    """

    engine: EngineConfig
    board: Board
    tool: str
    parts: tuple[Part, ...]
    slrs: tuple[SlrShare, ...]
    ranking: Ranking | None
    synthesis_s: float
    is_quick: bool = False
    crossings: tuple[Crossing, ...] | None = None
    timing: Timing | None = None

    @property
    def total(self) -> dict[str, float]:
        """What all parts take together."""
        return {name: sum(part.resources[name] for part in self.parts) for name in RESOURCES}

    @property
    def device(self) -> dict[str, int]:
        """What the board's device has."""
        return {name: self.board.device.value.count(name) for name in RESOURCES}

    @property
    def budget(self) -> dict[str, int]:
        """What may be used of it."""
        return {name: self.board.limit(name) for name in RESOURCES}

    @property
    def full(self) -> dict[str, float]:
        """How full the fullest SLR gets of each resource: the part of what may be used there."""
        slrs = list(zip(self.slrs, self.board.slrs.value, strict=True))

        def part(used: float, limit: float) -> float:
            return used / limit if limit else math.inf if used else 0.0

        return {name: max(part(share.used[name], self.board.slr_limit(slr, name)) for share, slr in slrs) for name in RESOURCES}

    @property
    def over(self) -> list[str]:
        """Resources of which the engine takes more than the budget."""
        return [name for name, total in self.total.items() if total > self.board.limit(name)]


def run(request: SynthRequest, listener: Listener = SILENT) -> Synthesis:
    """Estimate the look-up tables, flip-flops, memories and DSPs of an engine against a board and its SLRs.

    Yosys synthesizes each module once and keeps its counts; a quick estimate is of a model that is fitted to kept runs of it.
    Where timing is asked for, modules are mapped once more with the names of their registers, and kept likewise.

    Raises:
        ConfigError: the engine cannot be built.
        SpecError: there is no such board.
        MachineError: a tool refuses.
    """
    engine = chosen_engine(request.engine, request.settings)
    board = load_board(request.board) if isinstance(request.board, str) else request.board
    began = time.perf_counter()
    found = _quick(engine) if request.is_quick else estimate(engine, request.cache, listener.part("synthesize"))
    timed = timing(engine, request.cache, listener.part("map for timing")) if request.is_timed else None
    ranking = _ranking(engine, request.cache) if request.is_ranked else None
    return Synthesis(
        engine=engine,
        board=board,
        tool=found.tool,
        parts=tuple(found.parts),
        slrs=spread_over_slrs(found, engine, board),
        crossings=None if request.is_quick else _crossings(engine, board, request.cache),
        ranking=ranking,
        timing=timed,
        synthesis_s=time.perf_counter() - began,
        is_quick=request.is_quick,
    )


synth = verb("synth", SynthRequest, run)


def _quick(engine: EngineConfig) -> Estimate:
    """Return what the model says of an engine."""
    fields, made = fields_of_engine(engine), origin()
    parts = []
    for part in resource_model().every:
        unit, _, name = part.name.partition("/")
        if count := int(copies_of(part.copies, fields)):
            resources = {resource: float(value) for resource, value in part.of(fields).items()}
            parts.append(Part(unit=unit, name=name, count=count, resources=resources))
    return Estimate(engine=engine.name, parts=tuple(parts), tool=f"a model of runs of {made.tool} made on {made.date}")


def _crossings(engine: EngineConfig, board: Board, cache: Path) -> tuple[Crossing, ...]:
    return crossings_of(crossings(engine, slrs=len(board.slrs.value), memory_slr=board.memory_slr, cache=cache), board)


def crossings_of(boundaries: Iterable[Boundary], board: Board) -> tuple[Crossing, ...]:
    """Return counted wires with the names of a board's SLRs and the lines that there are for them."""
    names, lines = [slr.name for slr in board.slrs.value], board.slr_lines
    return tuple(
        Crossing(
            lower=names[found.lower],
            upper=names[found.lower + 1],
            wires=found.wires,
            lines=None if lines is None else lines.value,
            limit=board.line_limit,
            by_driver=found.by_driver,
        )
        for found in boundaries
    )


def _ranking(engine: EngineConfig, cache: Path) -> Ranking:
    cells = dict(rank(engine, cache))
    return Ranking(device=RANKING_DEVICE, mhz=cells.pop("mhz"), cells=cells)


def spread_over_slrs(found: Estimate, engine: EngineConfig, board: Board) -> tuple[SlrShare, ...]:
    """Return what the SLRs would hold by the floorplan of the engine's package; logic that crosses between them is not counted."""
    ports = engine.tile.ports
    shares = slr_shares([(part.unit, part.name) for part in found.parts], ports, board)
    dealt = regions(ports, slrs=len(shares), memory_slr=board.memory_slr)
    tiles = {dealt.slrs[region]: len(own) for region, own in region_tiles(ports).items()}
    return tuple(
        SlrShare(
            name=slr.name,
            tiles=tiles.get(index, 0),
            used={
                name: float(sum(share * part.resources[name] for share, part in zip(row, found.parts, strict=True)))
                for name in RESOURCES
            },
            free={name: slr.count(name) for name in RESOURCES},
        )
        for index, (slr, row) in enumerate(zip(board.slrs.value, shares.tolist(), strict=True))
    )
