"""Who is asked and what: a system with a format and a window, and the workload that it gets."""

from __future__ import annotations

import dataclasses
import math
import numbers
import re

import numpy as np
import yaml

from hwsim.arch.workload import Workload
from hwsim.errors import SpecError, shown
from hwsim.offload.answer import Answer
from hwsim.offload.systems import System, system
from hwsim.plain import Settings
from lamforge.flow.offload.work_format import work_format
from models.zoo import network

__all__ = ["DENSE", "PROMPT", "Contender", "SystemRequest", "contender", "question", "setting_texts"]

_PARTS = re.compile(r"(.*\.ya?ml(?=:|$)|[^:]*)(?::([^:]*))?(?::(.*))?", re.DOTALL)
"""System, format and window; a path may have a colon in it."""
PROMPT = 4096
"""Tokens of a sequence before the first generated one, where nothing is said."""
DENSE = "dense"
"""In place of a window: attention to everything."""
_MOST = 1 << 24
"""Tokens and sequences that a question may name: more is a slip of the pen."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SystemRequest:
    """A system and what it is asked to run.

    Attributes:
        system: name of a shipped system or path of a YAML file, with a format and a window where they are not FP16 and
            dense: `gpu-a100`, `gpu-a100:w4`, `fpga-u280:w2a8kv4:2048`; a search takes those that split tensors, such as
            `flexgen-t4`.
        model: name of a network or path of its `config.json`.
        prompt: tokens of a sequence before the first generated one.
        generate: tokens generated for each sequence.
        settings: values of the system to change, by path: `{"csds": 2}`, `{"has_overlap": True}`; a number with a unit is a
            text, such as `2 GB/s`.
    """

    system: str = dataclasses.field(kw_only=False)
    model: str = "llama-2-7b"
    prompt: int = PROMPT
    generate: int = 256
    settings: Settings = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contender:
    """A system with what it is given.

    Attributes:
        name: as it was asked for.
        system: the system.
        format: name of one, as `work_format` takes it.
        window: tokens that stay cached, sinks included; infinite where attention is dense.
        settings: values of the system that were changed.
    """

    name: str
    system: System
    format: str
    window: float
    settings: Settings = dataclasses.field(default_factory=dict)

    @property
    def title(self) -> str:
        """The system, its format, its window and what was changed of it, as people write them."""
        extra = [] if self.format == "fp16" else [self.format.upper()]
        if math.isfinite(self.window):
            extra.append(f"Λ {self.window:g}")
        changed = f"with {', '.join(setting_texts(self.settings))}" if self.settings else ""
        return ", ".join(filter(None, [self.system.full_title, *extra, changed]))

    def work(self, asked: Workload) -> Workload:
        """Return what is asked in the contender's format and window."""
        bits = work_format(self.format)
        return dataclasses.replace(
            asked, weight_bits=bits.weight, activation_bytes=bits.activation / 8, cache_bits=bits.cache, window=self.window
        )

    def answer(self, asked: Workload) -> Answer:
        """Return what the system does; raise SpecError for more sequences than it is made for."""
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

    settings: values of the system to change, by path. SpecError is raised where any of it is not one.
    """
    parts = _PARTS.fullmatch(text)
    assert parts is not None
    name, format_name, window = parts.groups("")
    format_name = format_name or "fp16"
    work_format(format_name)
    return Contender(
        name=text, system=system(name, settings), format=format_name, window=_window(window), settings=dict(settings or {})
    )


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
