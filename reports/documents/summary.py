"""What a page shows of summary.json, the file that the demo leaves; other keys of the file are not read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pydantic

from hwsim.errors import SpecError, shown
from lamforge.flow.provenance import Provenance

__all__ = ["CosimSummary", "ProgramsSummary", "RecipeSummary", "RunSummary", "Summary", "load_summary", "read_summary"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompressionSummary:
    """A recipe by name, and its steps: `method`, `at` and the options of the method."""

    name: str
    steps: tuple[Mapping[str, object], ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSummary:
    """How weights were trained in their format."""

    digest: str
    steps: int
    tokens: int
    trained_s: float
    processes: int
    device: str
    settings: Mapping[str, object]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelSummary:
    """A compressed model."""

    name: str
    architecture: str
    geometry: Mapping[str, int]
    recipe: CompressionSummary
    formats: Mapping[str, int]
    attention: str
    cache: str
    bytes: int
    fingerprint: str
    source: str
    source_digest: str
    calibration_digest: str | None
    training: TrainingSummary | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class AccuracySummary:
    """Perplexities on the same windows."""

    attention: str
    perplexity: float
    float_perplexity: float | None
    dense_perplexity: float | None
    ratio: float | None
    tokens: int
    window: int
    windows: int
    text: str
    text_digest: str
    note: str | None

    @property
    def bars(self) -> dict[str, float]:
        """Perplexities that there are, by the name of the model and its attention."""
        found = {
            f"integers, {self.attention}": self.perplexity,
            f"float, {self.attention}": self.float_perplexity,
            "float, dense": self.dense_perplexity,
        }
        return {name: value for name, value in found.items() if value is not None}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReplySummary:
    """An answer."""

    prompt: str
    text: str
    prompt_tokens: int
    prefill_s: float
    token_per_s: float
    temperature: float
    seed: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProgramSummary:
    """One program."""

    bytes: int
    instructions: int
    rows: int
    kinds: Mapping[str, int]
    digest: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageSummary:
    """A memory image."""

    ports: int
    port_bytes: int
    side_bytes: int
    digest: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProgramsSummary:
    """What a compilation made."""

    model: str
    engine: str
    engine_digest: str
    max_position: int
    decode: ProgramSummary
    prefill: ProgramSummary
    image: ImageSummary | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSummary:
    """A simulated run."""

    model: str
    engine: str
    program: str
    memory: str
    position: int
    cycles: int
    clock_hz: float
    token_per_s: float
    bytes: int
    bytes_per_cycle: float
    fraction_of_peak: float
    unit_causes: Mapping[str, Mapping[str, int]]
    units: Mapping[str, float]
    wall_s: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class VerilogSummary:
    """Written Verilog."""

    folder: str
    files: tuple[str, ...]
    lines: int
    lint: str | None
    engine_digest: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class CaseSummary:
    """A co-simulated decode step under one memory model."""

    memory: str
    position: int
    compared: int
    mismatches: int
    instructions_compared: int
    cycle_difference: int
    cycles: int
    first: str | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextSummary:
    """A text whose last token was co-simulated."""

    name: str
    position: int
    ring_wraps: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class CosimSummary:
    """What a co-simulation found."""

    engine: str
    is_equal: bool
    first: str | None
    compared: int
    mismatches: int
    instructions_compared: int
    cycle_difference: int
    cycles: int
    verilator_cycles_per_s: float
    simulator_s: float
    build_s: float
    cases: tuple[CaseSummary, ...]
    texts: tuple[TextSummary, ...]

    @property
    def simulator_cycles_per_s(self) -> float:
        """Speed of the simulator's time model."""
        return self.cycles / self.simulator_s

    def text(self, case: CaseSummary) -> TextSummary:
        """Return the text of a case."""
        return next(text for text in self.texts if text.position == case.position)


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepTime:
    """A step of the demo and its seconds."""

    title: str
    seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecipeSummary:
    """A model by one recipe, as far as its simulated decode step."""

    model: ModelSummary
    accuracy: AccuracySummary
    generation: ReplySummary
    decode: RunSummary


@dataclasses.dataclass(frozen=True, kw_only=True)
class Summary:
    """What a folder of results holds; what it does not hold is None or empty."""

    provenance: Provenance
    steps: tuple[StepTime, ...] = ()
    checkpoint: Mapping[str, object] | None = None
    model: ModelSummary | None = None
    accuracy: AccuracySummary | None = None
    program: ProgramsSummary | None = None
    generation: ReplySummary | None = None
    simulation: Mapping[str, RunSummary] = dataclasses.field(default_factory=dict)
    verilog: Mapping[str, VerilogSummary] = dataclasses.field(default_factory=dict)
    cosim: CosimSummary | None = None
    second: RecipeSummary | None = None

    @property
    def name(self) -> str:
        """Name of the model."""
        named = self.program and self.program.model
        return named or (self.model.name if self.model else "no model")

    @property
    def engine(self) -> str:
        """Name of the engine."""
        return self.program.engine if self.program else "no engine yet"

    @property
    def decode(self) -> RunSummary | None:
        """The decode step."""
        return self.simulation.get("decode")

    @property
    def recipes(self) -> list[RecipeSummary]:
        """The model by both recipes; empty unless there are two."""
        if not (self.second and self.model and self.accuracy and self.generation and self.decode):
            return []
        first = RecipeSummary(model=self.model, accuracy=self.accuracy, generation=self.generation, decode=self.decode)
        return [first, self.second]


def load_summary(path: Path) -> Summary:
    """Return the summary in a file; raise SpecError for one that is damaged or that another version wrote."""
    try:
        return read_summary(path.read_bytes())
    except OSError as error:
        raise SpecError(f"Summary must be a file that can be read, not {shown(str(path))} ({error.strerror})") from None
    except pydantic.ValidationError as error:
        mistake = error.errors(include_url=False)[0]
        where = ".".join(map(str, mistake["loc"])) or "the whole"
        found = f"not what is in {shown(str(path))} ({where}: {mistake['msg']})"
        raise SpecError(f"Summary must be as this version's demo writes it, {found}") from None


def read_summary(text: str | bytes) -> Summary:
    """Return the summary in a JSON text; raise pydantic.ValidationError for what is no summary."""
    return pydantic.TypeAdapter(Summary).validate_json(text, strict=True)
