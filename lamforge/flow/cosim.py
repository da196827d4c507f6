"""The engine's Verilog beside the simulator and the integer reference on decode steps of a model: every bit, every cycle."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from hwsim.arch.config import EngineConfig
from hwsim.errors import SpecError
from hwsim.memory.models import MemoryModel, memory_model
from hwsim.plain import Settings
from lamforge.flow.engines import chosen_engine
from lamforge.flow.generate import prompt_tokens
from lamforge.flow.sources import ModelSource, open_compressed
from lamforge.flow.verb import SILENT, Listener, verb
from models.compressed import CompressedModel
from testbenches import cosim as bench
from testbenches.gate_engine import GatedVerilog
from testbenches.host.backend import HostedVerilog
from testbenches.tools import check_buildable

__all__ = ["MEMORIES", "QUESTION", "CosimRequest", "DecodeCase", "Verdict", "cosim", "cosimulate", "run"]

MEMORIES = ("ideal", "stalling:1")
"""Memory models of a co-simulation when none are named."""
Backed = GatedVerilog | HostedVerilog | None
"""What runs the Verilog, where it is not Verilator alone."""
QUESTION = "What is the capital of France?"
"""Text before the decode step when none is given."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CosimRequest:
    """A decode step to run on an engine's Verilog.

    Attributes:
        model: folder of a compressed model, or one that is open.
        engine: name of a shipped engine, path of a YAML file, or an engine.
        settings: values of the engine to change, by path: `{"tile.tokens": 2}`.
        memories: memory models (`ideal`, `stalling`, `hbm2`, the last two also with `:SEED`); the step runs under each.
        question: text before the decode step; its last token is the one that is run.
        is_raw: whether the text is taken as it is, without the chat template.
        is_hosted: whether the Verilog is driven by the host runtime, which drives boards too.
        has_netlists: whether the netlist of each part, after technology mapping, runs beside it and is compared with it.
    """

    model: ModelSource = dataclasses.field(kw_only=False)
    engine: str | EngineConfig = "small"
    settings: Settings = dataclasses.field(default_factory=dict)
    memories: Sequence[str] = MEMORIES
    question: str = QUESTION
    is_raw: bool = False
    is_hosted: bool = False
    has_netlists: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecodeCase:
    """A text whose last token's decode step is run after the tokens before it."""

    name: str
    tokens: tuple[int, ...]

    @property
    def position(self) -> int:
        """Position of the last token."""
        return len(self.tokens) - 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a co-simulation of the texts `cases` found; the model keeps `sinks` tokens for good, and a ring of `window` others."""

    model: str
    cases: tuple[DecodeCase, ...]
    sinks: int
    window: int
    result: bench.CosimResult

    @property
    def is_equal(self) -> bool:
        """Whether every bit and every cycle agree."""
        return self.result.mismatches == 0 and self.result.cycle_difference == 0 and self.result.first is None

    def ring_wraps(self, position: int) -> int:
        """Return how often the ring was written over before a position."""
        return max(0, position - self.sinks) // self.window


def run(request: CosimRequest, listener: Listener = SILENT) -> Verdict:
    """Run one whole decode step of a model on the engine's Verilog, in Verilator, and compare it.

    Every result word is compared with the simulator's, the logits and the cache with the PyTorch integer reference, every
    instruction's dispatch, issue and retirement cycle with the simulator's; with netlists, every output of each part in each
    cycle with its netlist's.

    Raises:
        SpecError: the Verilog is to be driven by the host runtime and to have netlists.
        ConfigError: the engine cannot be built.
        CheckpointError: there is no compressed model.
        ScheduleError: the engine cannot hold the model.
        MachineError: a tool is missing that it is built with, the Verilog does not build or run, or a netlist differs.
    """
    if request.is_hosted and request.has_netlists:
        raise SpecError("The Verilog with netlists must run without the host runtime, not with it")
    memories = [memory_model(name) for name in request.memories or MEMORIES]
    check_buildable(Path("build"))
    engine = chosen_engine(request.engine, request.settings)
    compressed = open_compressed(request.model)
    tokens = prompt_tokens(compressed, request.question, is_raw=request.is_raw)
    case = DecodeCase(name="prompt", tokens=tuple(tokens))
    if request.has_netlists:
        listener.say("synthesizing the parts of the engine")
        verilated: Backed = GatedVerilog(engine)
    else:
        verilated = HostedVerilog(engine) if request.is_hosted else None
    return cosimulate(compressed, engine, cases=[case], memories=memories, listener=listener, verilated=verilated)


cosim = verb("cosim", CosimRequest, run)


def cosimulate(
    compressed: CompressedModel,
    engine: EngineConfig,
    *,
    cases: Sequence[DecodeCase],
    memories: Sequence[MemoryModel],
    listener: Listener = SILENT,
    verilated: Backed = None,
) -> Verdict:
    """Return the verdict on the last token of every text under every memory model; raises what `run` does."""
    model = compressed.model
    result = bench.cosim(
        model, engine, texts=[case.tokens for case in cases], memories=memories, verilated=verilated, progress=listener.say
    )
    return Verdict(model=model.config.name, cases=tuple(cases), sinks=model.sinks, window=model.window, result=result)
