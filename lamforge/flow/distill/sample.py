"""The second stage of a distillation: the teacher writes text to train on."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from hwsim.errors import SpecError
from hwsim.plain import Settings
from lamforge.flow.distill.prepare import PREPARED, WORK
from lamforge.flow.verb import SILENT, Listener, verb

__all__ = ["SAMPLED", "SampleRequest", "SampledText", "run", "sample"]

SAMPLED = "sampled"
"""Below the folder of the stages: text that `sample` let the teacher write."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampleRequest:
    """Text to be written by a prepared teacher.

    Attributes:
        work: folder in which the stages find each other's files.
        settings: settings of the distillation that differ from their defaults, by name.
        device: `cuda` or `cpu`.
        minutes: time after which to stop; another call goes on.
        shard: number of this process from 0, and how many there are, which share the batches.
    """

    work: Path = WORK
    settings: Settings = dataclasses.field(default_factory=dict)
    device: str = "cuda"
    minutes: float = 9.0
    shard: tuple[int, int] = (0, 1)

    def __post_init__(self) -> None:
        own, count = self.shard
        if not 0 <= own < count:
            raise SpecError(f"Shard must be a number from 0 and the count that it stays below, such as 0 2, not {own} {count}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampledText:
    """Number of tokens that are there now, and the device that wrote."""

    tokens: int
    device: str


def run(request: SampleRequest, listener: Listener = SILENT) -> SampledText:
    """Let the teacher write until there is enough text, or time is up.

    Raises:
        SpecError: nothing is prepared, a setting is wrong, or there is no such device.
    """
    from models.distill.machine import machine_of
    from models.distill.prepared import read_prepared
    from models.distill.sampling import sample as write_samples
    from models.distill.settings import Settings
    from models.distill.teacher import Teacher

    deadline = time.monotonic() + 60 * request.minutes
    settings = Settings.from_document(request.settings)
    machine = machine_of(request.device, is_eager=True)
    prepared = read_prepared(request.work / PREPARED)
    teacher = Teacher(prepared, machine.device, machine.dtype)
    place = request.work / SAMPLED
    tokens = write_samples(prepared, settings, place, teacher, listener.say, deadline=deadline, shard=request.shard)
    return SampledText(tokens=tokens, device=machine.name)


sample = verb("distill.sample", SampleRequest, run)
