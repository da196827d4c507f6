"""Which numbers with a source stand behind each metric of a study, and which of them are assumed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hwsim.arch.board import Board
from hwsim.arch.config import EngineConfig
from hwsim.machine.energy import constants_of, energy_board
from hwsim.memory.models import MemoryModel
from hwsim.sourced import Sourced, facts_of
from lamforge.explore.metrics import METRICS, Ground
from lamforge.explore.study import BOARD

__all__ = ["Sources", "sources"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sources:
    """What stands behind a metric or a constraint.

    Attributes:
        name: of the metric, or `board` for the constraint that the engine fits the board.
        numbers: that decide it beside the study, the program and the engine, by name, such as `hbm2.t_rcd_ns` or `u280.card_w`.
    """

    name: str
    numbers: Mapping[str, Sourced[Any]]

    @property
    def assumed(self) -> Mapping[str, Sourced[Any]]:
        """Those of the numbers that nobody published."""
        return {name: number for name, number in self.numbers.items() if number.is_assumed}

    @property
    def assumed_share(self) -> float:
        """Share of the numbers that is assumed, 0 to 1; 0 where there are none."""
        return len(self.assumed) / len(self.numbers) if self.numbers else 0.0


def sources(
    designs: Iterable[tuple[EngineConfig, MemoryModel]],
    metrics: Iterable[str],
    boards: Sequence[Board] = (),
    is_bounded: bool = False,
) -> tuple[Sources, ...]:
    """Return what stands behind metrics of designs, and behind the constraint that they fit their boards.

    designs: engines with their memories, all of which count.
    metrics: names of METRICS, in the order of the result.
    boards: of the designs. is_bounded: whether they must fit them.
    """
    memories: dict[str, Sourced[Any]] = {}
    energies: dict[str, Sourced[Any]] = {}
    for engine, memory in designs:
        board = energy_board(engine)
        memories |= {f"{memory.kind.name.lower()}.{name}": number for name, number in memory.facts.items()}
        energies |= {f"{board.name}.{name}": number for name, number in facts_of(constants_of(board)).items()}
    prices = {f"{board.name}.price": board.price for board in boards if board.price is not None}
    room = {f"{board.name}.{name}": getattr(board, name) for board in boards for name in ("slrs", "fill")}
    known = {Ground.MEMORY: memories, Ground.ENERGY: energies, Ground.BOARD: prices, Ground.SLRS: room}
    found = [
        Sources(name=name, numbers={key: number for ground in METRICS[name].grounds for key, number in known[ground].items()})
        for name in metrics
    ]
    if not is_bounded:
        return tuple(found)
    channels = {f"{board.name}.hbm": board.hbm for board in boards}
    return (*found, Sources(name=BOARD, numbers=channels | room))
