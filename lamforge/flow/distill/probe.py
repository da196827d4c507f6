"""A trial of a training machine, in seconds, before a distillation begins."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from hwsim.plain import Settings
from lamforge.flow.distill.prepare import WORK
from lamforge.flow.verb import SILENT, Listener, verb

if TYPE_CHECKING:
    from models.distill.probe import Trial

__all__ = ["ProbeRequest", "probe", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProbeRequest:
    """A machine to try.

    Attributes:
        work: folder in which a state may be written.
        settings: settings of the distillation that differ from their defaults, by name.
        device: `cuda` or `cpu`.
        layers: layers of the random teacher, which has the width of SmolLM2-135M.
        is_eager: whether nothing is compiled.
        kernel: of attention, `flex` or `masked`; None takes `flex` where code is compiled.
    """

    work: Path = WORK
    settings: Settings = dataclasses.field(default_factory=dict)
    device: str = "cuda"
    layers: int = 4
    is_eager: bool = False
    kernel: str | None = None


def run(request: ProbeRequest, listener: Listener = SILENT) -> Trial:
    """Sample, train and compare on a random teacher: does all that is compiled run there, and does it agree?

    Raises:
        SpecError: a setting is wrong, or there is no such device.
    """
    from models.distill.machine import machine_of
    from models.distill.probe import probe as try_machine
    from models.distill.settings import Settings
    from models.zoo import shape

    config = dataclasses.replace(shape("smollm2-135m"), layers=request.layers)
    settings = Settings.from_document(request.settings)
    machine = machine_of(request.device, is_eager=request.is_eager, kernel=request.kernel)
    return try_machine(config, settings, machine, request.work, listener.say)


probe = verb("distill.probe", ProbeRequest, run)
