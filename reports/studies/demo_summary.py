"""What the demo finds, as results of the verbs that it uses."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from lamforge.flow.accuracy import Accuracy
from lamforge.flow.compress import Compression
from lamforge.flow.cosim import Verdict
from lamforge.flow.generate import Reply
from lamforge.flow.programs import Programs
from lamforge.flow.provenance import Provenance
from lamforge.flow.rtl import Verilog
from lamforge.flow.simulate import Timing
from models.checkpoint import Checkpoint

__all__ = ["DemoSummary", "RecipeResult", "StepTime"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepTime:
    """A step of the demo and its seconds."""

    title: str
    seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecipeResult:
    """The model by one recipe.

    Attributes:
        compression, compress_s: the compressed model, and the seconds it took.
        accuracy: how well it predicts the shipped text.
        programs, compile_s: its programs, and the seconds they took.
        reply: its answer.
    """

    compression: Compression
    compress_s: float
    accuracy: Accuracy
    programs: Programs
    compile_s: float
    reply: Reply


@dataclasses.dataclass(frozen=True, kw_only=True)
class DemoSummary:
    """What the demo found.

    Attributes:
        folder: where everything was left.
        steps: what was done so far, and the seconds of each step.
        checkpoint: the model that was compressed.
        first: the model by one recipe.
        decode, prefill: its simulated runs.
        workload: a simulated decode step of a well-known network, for scale.
        second: the model by another recipe and its decode step; None where only one was asked for.
        verilog: what Verilog was written, by name of the engine.
        verdict: what the co-simulation of the first found.
        provenance: what the results depend on besides the request.
    """

    folder: Path
    steps: tuple[StepTime, ...]
    checkpoint: Checkpoint
    first: RecipeResult
    decode: Timing
    prefill: Timing
    workload: Timing
    second: tuple[RecipeResult, Timing] | None
    verilog: Mapping[str, Verilog]
    verdict: Verdict
    provenance: Provenance

    @property
    def page(self) -> Path:
        """The HTML file with the report."""
        return self.folder / "report.html"

    @property
    def is_equal(self) -> bool:
        """Whether the Verilog computed the same bits in the same cycles."""
        return self.verdict.is_equal
