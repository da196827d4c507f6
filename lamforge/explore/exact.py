"""Exact points: a design compiled and its decode step simulated to the cycle."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping

from compiler.pipeline import Request, compile_request
from hwsim.memory.models import MemoryModel
from lamforge.flow.programs import Programs
from lamforge.flow.simulate import simulate_run

__all__ = ["ExactPoint", "exact"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExactPoint:
    """A decode step with a full window, simulated.

    Attributes:
        cycles, tokens: of the step.
        token_per_s: tokens of all sequences per second.
        stream_bytes, side_bytes: bytes through the stream ports and the side port.
        fraction_of_peak: bytes through the stream ports, of what they carry with a beat in every cycle.
        causes: cycles of the matrix unit by cause, which sum to the cycles.
        token_per_joule: tokens for each joule of the card, estimated.
        wall_s: seconds that the point took.
    """

    cycles: int
    tokens: int
    token_per_s: float
    stream_bytes: int
    side_bytes: int
    fraction_of_peak: float
    causes: Mapping[str, int]
    token_per_joule: float
    wall_s: float


def exact(request: Request, memory: MemoryModel) -> ExactPoint:
    """Return what a decode step of a design costs.

    Raises:
        ScheduleError: something does not fit the engine.
        ConfigError: the memory cannot have the engine's clock.
        MachineError: the engine would stop or stand still.
    """
    began = time.perf_counter()
    timing = simulate_run(Programs.of(compile_request(request), request.config.name), memory=memory)
    timeline = timing.timeline
    token_per_joule = timing.energy.token_per_joule
    return ExactPoint(
        cycles=timing.cycles,
        tokens=timing.tokens,
        token_per_s=timing.token_per_s,
        stream_bytes=timeline.stream_bytes,
        side_bytes=timeline.side_read_bytes + timeline.side_write_bytes,
        fraction_of_peak=timing.fraction_of_peak,
        causes=dict(timing.causes["matrix"]),
        token_per_joule=token_per_joule,
        wall_s=time.perf_counter() - began,
    )
