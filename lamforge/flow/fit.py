"""How an engine lies on a board without waiting for synthesis: resources, wires between SLRs, most power, and the picture."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from hwsim.arch.board import Board
from hwsim.arch.config import EngineConfig
from lamforge.flow import synth
from lamforge.flow.verb import SILENT, Listener
from rtl.package import Estimates, Target, floorplan_picture
from rtl.synthesis import Boundary, crossings

if TYPE_CHECKING:
    from hwsim.machine.energy import Energy

__all__ = ["Fit", "fit", "own_fit"]

_PORTS = 2
"""Accesses of an on-chip memory in a cycle: a read and a write."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fit:
    """An engine on a board.

    Attributes:
        synthesis: resources by the quick model, with crossings counted from the netlist of the Verilog, and timing where asked for.
        wires: what these crossings were counted as.
        most: energy of a second in which everything is at work in every cycle; None where the board has no such constants.
    """

    synthesis: synth.Synthesis
    wires: tuple[Boundary, ...]
    most: Energy | None

    @property
    def engine(self) -> EngineConfig:
        """The engine."""
        return self.synthesis.engine

    @property
    def board(self) -> Board:
        """The board."""
        return self.synthesis.board

    @property
    def estimates(self) -> Estimates:
        """The same as a kernel package says it."""
        return Estimates(
            tool=self.synthesis.tool,
            parts=self.synthesis.parts,
            slrs=self.synthesis.slrs,
            fill=dataclasses.asdict(self.board.fill.value),
            wires=self.wires,
            most_w=None if self.most is None else self.most.watts,
            assumed_share=0.0 if self.most is None else self.most.assumed_share,
            timing=self.synthesis.timing,
        )

    @property
    def picture(self) -> str:
        """The floorplan as SVG for a page of HTML."""
        return floorplan_picture(self.engine, Target.of(self.board), self.estimates)


def fit(engine: EngineConfig, board: Board, listener: Listener = SILENT, *, timing_cache: Path | None = None) -> Fit:
    """Return how an engine lies on a board; what takes time, seconds where it has several SLRs, is its netlist.

    timing_cache: folder in which what the estimate of paths and loads needs is kept, which takes minutes the first time; without
        a folder there is no such estimate.

    Raises:
        ConfigError: the board's memory lies between its SLRs.
        MachineError: Yosys, which counts the wires, is missing or refuses.
    """
    request = synth.SynthRequest(engine=engine, board=board, is_quick=True)
    if timing_cache is not None:
        request = dataclasses.replace(request, is_timed=True, cache=timing_cache)
    found = synth.run(request, listener)
    listener.say(f"Counting the wires of {engine.name} between the SLRs of {board.name}")
    wires = crossings(engine, slrs=len(board.slrs.value), memory_slr=board.memory_slr)
    synthesis = dataclasses.replace(found, crossings=synth.crossings_of(wires, board))
    return Fit(synthesis=synthesis, wires=wires, most=_most(synthesis))


def own_fit(engine: EngineConfig, listener: Listener = SILENT) -> Fit:
    """Return how an engine lies on the board that it is made for, or on the U280 where it is made for none; see `fit`."""
    from hwsim.machine.energy import energy_board

    return fit(engine, energy_board(engine), listener)


def _most(found: synth.Synthesis) -> Energy | None:
    """Return the energy of a second in which everything that was counted is at work in every cycle."""
    if found.board.energy is None:
        return None
    # Loads Numba, which takes longer than to refuse an engine.
    from hwsim.machine.energy import Activity, estimate

    hbm, clock, total = found.board.hbm.value, found.engine.clock_hz, found.total
    rate = min(hbm.pseudo_channels * hbm.channel_bytes_per_s, found.engine.peak_bytes_per_s)
    activity = Activity(
        seconds=1.0,
        memory_bits=8 * rate,
        ram_accesses=_PORTS * (total["bram36"] + total["uram"]) * clock,
        multiplier_operations=total["dsp"] * clock,
        logic_cycles=total["lut"] * clock,
        register_cycles=total["ff"] * clock,
    )
    return estimate(activity, found.board.energy)
