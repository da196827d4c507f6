"""Knows the verdict on decode steps of a model: the engine's Verilog beside the simulator and the integer reference."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from hwsim.arch.config import EngineConfig
from hwsim.memory.models import MemoryModel, memory_model
from lamforge.flow.engines import chosen_engine
from lamforge.flow.generate import prompt_tokens
from lamforge.flow.sources import open_compressed
from models.compressed import CompressedModel
from testbenches.cosim import CosimResult, cosim
from testbenches.host.backend import HostedVerilog

__all__ = ["MEMORIES", "Text", "Verdict", "cosim_command", "cosimulate"]

MEMORIES = ("ideal", "stalling:1")
"""Memory models of a co-simulation when none are named."""
Progress = Callable[[str], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Text:
    """A text whose last token's decode step is run after the tokens before it."""

    name: str
    tokens: tuple[int, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a co-simulation found.

    Attributes:
        model: what reports call the model.
        texts: what was run.
        window: tokens of the ring; sinks come before it.
        sinks: tokens kept for good.
        result: what was compared.
    """

    model: str
    texts: tuple[Text, ...]
    sinks: int
    window: int
    result: CosimResult

    @property
    def is_equal(self) -> bool:
        """Whether every bit and every cycle agree."""
        return self.result.mismatches == 0 and self.result.cycle_difference == 0 and self.result.first is None

    def document(self) -> dict[str, Any]:
        """Return the result as plain values."""
        texts = [
            {
                "name": text.name,
                "tokens": len(text.tokens),
                "position": len(text.tokens) - 1,
                "ring_wraps": max(0, len(text.tokens) - 1 - self.sinks) // self.window,
            }
            for text in self.texts
        ]
        return self.result.to_dict() | {"model": self.model, "is_equal": self.is_equal, "texts": texts}


def cosimulate(
    compressed: CompressedModel,
    engine: EngineConfig,
    *,
    texts: Sequence[Text],
    memories: Sequence[MemoryModel],
    progress: Progress,
    is_hosted: bool = False,
) -> Verdict:
    """Return the verdict on the last token of every text under every memory model.

    is_hosted: the Verilog is driven by the host runtime, as a board is.

    Raises:
        ScheduleError: the engine cannot hold the model.
        MachineError: the Verilog does not build or run.
    """
    model = compressed.model
    tokens = [text.tokens for text in texts]
    verilated = HostedVerilog(engine) if is_hosted else None
    result = cosim(model, engine, texts=tokens, memories=memories, verilated=verilated, progress=progress)
    return Verdict(model=model.config.name, texts=tuple(texts), sinks=model.sinks, window=model.window, result=result)


def cosim_command(
    source: str,
    *,
    engine: str,
    settings: Sequence[str],
    memories: Sequence[str],
    prompt: str,
    is_raw: bool,
    is_hosted: bool,
    progress: Progress,
) -> Verdict:
    """Return the verdict on the last token of a prompt, everything given as on the command line."""
    kinds = [memory_model(name) for name in memories or MEMORIES]
    chosen = chosen_engine(engine, settings)
    compressed = open_compressed(source)
    text = Text(name="prompt", tokens=tuple(prompt_tokens(compressed, prompt, is_raw=is_raw)))
    return cosimulate(compressed, chosen, texts=[text], memories=kinds, progress=progress, is_hosted=is_hosted)
