"""Gives out the memories on chip, one region after the other; a refusal says by how much one does not fit."""

from __future__ import annotations

from hwsim.arch.config import EngineConfig
from hwsim.errors import ScheduleError

__all__ = ["OnChip"]


class OnChip:
    """Regions of the activation, result, residual, parameter and value-parameter memories and of the scale file."""

    def __init__(self, engine: EngineConfig):
        buffer = engine.buffer
        self._limits = {
            "activation": (buffer.activation_segments, "segments"),
            "result": (buffer.result_words, "words"),
            "residual": (buffer.residual_words, "words"),
            "parameter": (buffer.parameter_words, "words"),
            "side": (buffer.side_words, "words"),
            "scale": (buffer.scales, "entries"),
        }
        self._engine = engine.name
        self._used = dict.fromkeys(self._limits, 0)

    def take(self, memory: str, size: int, user: str) -> int:
        """Return the start of a new region; raise ScheduleError naming the user, such as `Node head`, where it does not fit."""
        start = self._used[memory]
        limit, unit = self._limits[memory]
        self._used[memory] = start + size
        if start + size > limit:
            raise ScheduleError(
                f"{user} must fit the {memory} memory of {self._engine}:"
                f" it needs {size} {unit}, {limit - start} of {limit} are left"
            )
        return start

    def left(self, memory: str) -> int:
        """Return how much of a memory is left."""
        return self._limits[memory][0] - self._used[memory]
