"""Who is asked and what: a system with a format and a window, and the workload that it gets."""

from __future__ import annotations

import dataclasses
import math
import numbers

import numpy as np
import yaml

from hwsim.arch.workload import Workload
from hwsim.errors import SpecError, shown
from hwsim.nearest import nearest
from hwsim.offload.answer import Answer
from hwsim.offload.systems import System, system
from hwsim.plain import Settings
from lamforge.flow.offload.formats import FORMATS
from models.zoo import network

__all__ = ["DENSE", "Contender", "contender", "question", "setting_texts"]

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
        """The system, its format and its window as people write them."""
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

    def numbers(self, answer: Answer) -> int:
        """Return how many numbers with a source stand behind one of its answers."""
        return sum(len(part.device.facts) for part in answer.parts) + len(self.system.constants)

    def assumed_share(self, answer: Answer) -> float:
        """Return the part of these numbers that is assumed."""
        numbers = self.numbers(answer)
        return len(answer.assumptions) / numbers if numbers else 0.0


def contender(text: str, settings: Settings | None = None) -> Contender:
    """Return the contender in a text such as `gpu-a100`, `gpu-a100:w4a8kv4` or `fpga-u280:w2a8kv4:2048`.

    settings: values of the system to change, by path.

    Raises:
        SpecError: system, format, window or a setting is not one.
    """
    name, _, rest = text.partition(":")
    format_name, _, window = rest.partition(":")
    format_name = format_name or "fp16"
    if format_name not in FORMATS:
        raise SpecError(f"Format must be {nearest(format_name, FORMATS)}, not {shown(format_name)}")
    return Contender(name=text, system=system(name, settings), format=format_name, window=_window(window))


def setting_texts(settings: Settings) -> list[str]:
    """Return settings as people write them: `csds=2`, `is_direct=true`."""
    texts = {path: yaml.safe_dump(value, default_flow_style=True, width=math.inf) for path, value in settings.items()}
    return [f"{path}={text.splitlines()[0]}" for path, text in texts.items()]


def question(model: str, *, prompt: int, generate: int, batch: int = 1) -> Workload:
    """Return a question about a network by name or `config.json`; raise CheckpointError or SpecError."""
    for name, value in (("Prompt", prompt), ("Number of tokens to generate", generate), ("Batch", batch)):
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not 1 <= value <= _MOST:
            raise SpecError(f"{name} must be a whole number from 1 to {_MOST}, not {shown(value)}")
    return Workload(network=network(model), prompt=float(prompt), generated=float(generate), batch=float(batch))


def _window(text: str) -> float:
    if text in ("", DENSE):
        return math.inf
    if not text.isdecimal() or int(text) < 1:
        raise SpecError(f"Window must be a number of tokens or {DENSE}, not {shown(text)}")
    return float(text)
