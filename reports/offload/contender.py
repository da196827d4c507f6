"""Knows what is asked: a system, a format and a window as one text, and of each the answer."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from hwsim.arch.workload import Workload
from hwsim.errors import SpecError
from hwsim.nearest import nearest
from hwsim.offload.answer import Answer
from hwsim.offload.systems import System, system
from hwsim.plain import set_values
from models.networks import network
from reports.offload.formats import FORMATS

__all__ = ["DENSE", "Contender", "contender", "question"]

DENSE = "dense"
"""In place of a window: attention to everything."""
_MOST = 1 << 24
"""Tokens and sequences that a question may name: more is a slip of the pen."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contender:
    """A system with what it is given.

    Attributes:
        name: as it was asked for.
        system: the system.
        format: name in FORMATS.
        window: tokens that stay cached, sinks included; infinite where attention is dense.
    """

    name: str
    system: System
    format: str
    window: float

    @property
    def title(self) -> str:
        """As people write it."""
        extra = [] if self.format == "fp16" else [self.format.upper()]
        if math.isfinite(self.window):
            extra.append(f"Λ {self.window:g}")
        return ", ".join([self.system.title, *extra])

    def work(self, asked: Workload) -> Workload:
        """Return what is asked in the contender's format and window."""
        bits = FORMATS[self.format]
        return dataclasses.replace(asked, weight_bits=bits.weight, cache_bits=bits.cache, window=self.window)

    def answer(self, asked: Workload) -> Answer:
        """Return what the system does.

        Raises:
            SpecError: more sequences than the system is made for.
        """
        most = self.system.most_sequences
        if np.max(asked.batch) > most:
            raise SpecError(f"Batch of {self.name} must be at most {most:g}, not {np.max(asked.batch):g}")
        return self.system.answer(self.work(asked))


def contender(text: str, settings: Sequence[str] = ()) -> Contender:
    """Return the contender in a text such as `gpu-a100`, `gpu-a100:w4a8kv4` or `fpga-u280:w2a8kv4:2048`.

    Raises:
        SpecError: system, format or window is none.
    """
    name, _, rest = text.partition(":")
    format_name, _, window = rest.partition(":")
    format_name = format_name or "fp16"
    if format_name not in FORMATS:
        raise SpecError(f"Format must be {nearest(format_name, FORMATS)}, not {format_name!r}")
    return Contender(name=text, system=system(name, set_values(settings, "csds=2")), format=format_name, window=_window(window))


def question(model: str, *, prompt: int, generated: int, batch: int) -> Workload:
    """Return a question about a network by name or `config.json`; raise CheckpointError or SpecError."""
    for name, value in (("Prompt", prompt), ("Generated tokens", generated), ("Batch", batch)):
        if not 1 <= value <= _MOST:
            raise SpecError(f"{name} must be from 1 to {_MOST}, not {value}")
    return Workload(network=network(model), prompt=float(prompt), generated=float(generated), batch=float(batch))


def _window(text: str) -> float:
    if text in ("", DENSE):
        return math.inf
    if not text.isdecimal() or int(text) < 1:
        raise SpecError(f"Window must be tokens, or {DENSE}, not {text!r}")
    return float(text)
