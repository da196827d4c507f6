"""The figures of a point that a study may bound, maximize or minimize, and which fidelity gives each."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping

__all__ = ["METRICS", "Ground", "Metric"]


class Ground(enum.Enum):
    """Numbers of data files that decide a metric beside the study, the program and the engine."""

    MEMORY = "parameters of the memory model"
    ENERGY = "energy constants of the board"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
    """A figure of a point.

    Attributes:
        name: by which a study calls it.
        told: what it is.
        grounds: what decides it beside the study, the program and the engine.
        is_exact_only: whether only the exact simulation gives it.
        is_whole: whether it is a whole number.
    """

    name: str
    told: str
    grounds: tuple[Ground, ...]
    is_exact_only: bool = False
    is_whole: bool = False


_TIMED = (Ground.MEMORY,)

METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(name="token_per_s", told="tokens of all sequences per second at the engine's clock", grounds=_TIMED),
        Metric(name="cycles", told="cycles of a decode step with a full window", grounds=_TIMED, is_whole=True),
        Metric(name="bytes_per_token", told="bytes through every port, in both directions, for each token", grounds=()),
        Metric(
            name="fraction_of_peak",
            told="bytes through the stream ports, of what they carry with a beat in every cycle",
            grounds=_TIMED,
        ),
        Metric(
            name="token_per_joule",
            told="tokens for each joule of the card, estimated",
            grounds=(*_TIMED, Ground.ENERGY),
            is_exact_only=True,
        ),
    )
}
"""Metrics by name; a constraint or objective may also be a path of a design whose values are numbers."""
