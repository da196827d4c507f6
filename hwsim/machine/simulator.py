"""The door of the simulator: runs a program's meaning, its time, or both, on memory images."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.machine.meaning import Memories, ResultLog, run_meaning
from hwsim.machine.rules import check
from hwsim.machine.time import Timeline, run_time
from hwsim.machine.trace import Trace, run_control
from hwsim.memory.models import IDEAL, MemoryModel

__all__ = ["Simulation", "simulate", "simulate_time"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Simulation:
    """What a run did: its dynamic instructions, the memories after it, what units wrote, and when everything happened.

    `log` is empty unless it was asked for.
    """

    trace: Trace
    memories: Memories
    log: ResultLog
    timeline: Timeline


def simulate(
    words: Sequence[int],
    config: EngineConfig,
    ports: np.ndarray,
    side: np.ndarray,
    *,
    position: int = 0,
    slot: int = 0,
    memory: MemoryModel = IDEAL,
    has_log: bool = False,
) -> Simulation:
    """Run a program on `ports` (uint8 [ports, bytes]) and `side` (uint8 [bytes]), which are written in place.

    `position` and `slot` are the start values of their registers. Instructions take effect in program order, whatever
    the units would do to each other in a program that lacks a dependency.

    Raises:
        IsaError, ProgramError: the program is wrong.
        MachineError: the engine would stop with an error or stand still.
    """
    trace = run_control(words, position=position, slot=slot)
    check(trace, config, ports.shape[-1], len(side))
    timeline = run_time(trace, config, memory)
    memories, log = run_meaning(trace, config, ports, side, has_log=has_log)
    return Simulation(trace=trace, memories=memories, log=log, timeline=timeline)


def simulate_time(
    words: Sequence[int], config: EngineConfig, *, position: int = 0, slot: int = 0, memory: MemoryModel = IDEAL
) -> Timeline:
    """Return when a program's instructions run; needs no memory images. Raises as `simulate`."""
    return run_time(run_control(words, position=position, slot=slot), config, memory)
