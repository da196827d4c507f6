"""The result of a training: what it says of itself, and codes, patterns, scales and gains, about 2 bits a weight."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hwsim.errors import SpecError
from models import matrices
from models.distill import arrays
from models.distill.settings import Settings
from models.distill.student import Student
from models.distill.weight import GROUP, Stored
from models.matrices import layer_of, layer_part

__all__ = ["PART_BYTES", "STEM", "Prediction", "Report", "Result", "Scores", "merge", "read_result", "write_result"]

STEM = "result"
"""First part of the file names of a result."""
PART_BYTES = 15_000_000
"""Largest size of a part, in bytes."""
_PATTERNS = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
_BITS = np.array([1 << a | 1 << b for a, b in _PATTERNS])
_POSITIONS = np.array(_PATTERNS)
_OWN = ("settings", "source_digest", "report")
"""Entries of a result besides its layers and the last norm."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prediction:
    """How well a model predicts a text.

    perplexity, nll: perplexity, and mean negative log-likelihood of a token in nats.
    tokens, windows: how many were predicted, in how many windows.
    """

    perplexity: float
    nll: float
    tokens: int
    windows: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scores:
    """Predictions of one text by the dense teacher, by the teacher with Λ attention, and by the student."""

    teacher: Prediction
    teacher_lambda: Prediction
    student: Prediction
    ratio: float
    """Perplexity of the student over that of the dense teacher."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """A training so far.

    settings: of the training.
    model, source_digest: name of the teacher, and SHA-256 of its files.
    device, processes, torch: what it ran on, in how many processes, under which version of PyTorch.
    is_compiled, attention: whether code was compiled, and the kernel of attention.
    steps, tokens, trained_s: steps done, tokens in them, and seconds spent in them.
    start: summary of the result that the student began as; None where it began as the teacher.
    texts: tokens of every text.
    log: losses along the way.
    perplexities: scores by evaluation text; None where steps are left.
    """

    settings: Settings
    model: str
    source_digest: str
    device: str
    processes: int
    torch: str
    is_compiled: bool
    attention: str
    steps: int
    tokens: int
    trained_s: float
    start: Mapping[str, object] | None
    texts: Mapping[str, int]
    log: Sequence[Mapping[str, float]]
    perplexities: Mapping[str, Scores] | None = None

    def to_document(self) -> dict[str, object]:
        """Return plain values, as `report.json` and the parts of a result have them."""
        document = dataclasses.asdict(self)
        if self.perplexities is None:
            del document["perplexities"]
        return document


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """The outcome of a training.

    settings: settings of the training.
    source_digest: SHA-256 of the teacher's files.
    matrices, gains: by the names of models.matrices.
    report: plain values of the training's report.
    steps: steps that were done.
    began: digest of the result that the student began as; None where it began as the teacher.
    perplexities: scores by evaluation text; empty where none was measured.
    digest: SHA-256 of the result.
    """

    settings: Settings
    source_digest: str
    matrices: Mapping[str, Stored]
    gains: Mapping[str, np.ndarray]
    report: Mapping[str, object]
    steps: int
    began: str | None
    perplexities: Mapping[str, Scores]
    digest: str

    def summary(self) -> dict[str, object]:
        """Return what the training says of itself, but not of every step, with the digest of what it made."""
        return {name: value for name, value in self.report.items() if name != "log"} | {"digest": self.digest}


def write_result(
    folder: Path, student: Student, source_digest: str, report: Mapping[str, object], *, part_bytes: int
) -> list[Path]:
    """Write the student as it is now and return the paths of the parts."""
    held: dict[str, np.ndarray] = {
        "settings": arrays.from_text(json.dumps(student.settings.to_document())),
        "source_digest": arrays.from_text(source_digest),
        "report": arrays.from_text(json.dumps(report)),
    }
    for name, weight in student.weights():
        stored = weight.stored()
        held[f"{name}.packed"] = _packed(stored)
        held[f"{name}.scale"], held[f"{name}.zero"], held[f"{name}.row"] = stored.scale, stored.zero, stored.row
    for index, block in enumerate(student.layers()):
        held[f"{layer_part(index, matrices.ATTENTION_NORM)}.gain"] = block.attention_norm.detach().cpu().numpy()
        held[f"{layer_part(index, matrices.FFN_NORM)}.gain"] = block.ffn_norm.detach().cpu().numpy()
    held[f"{matrices.FINAL_NORM}.gain"] = student.final_norm.detach().cpu().numpy()
    return arrays.split(folder, STEM, held, limit=part_bytes)


def read_result(folder: Path) -> Result:
    """Return what `write_result` wrote; SpecError when a part is missing."""
    content = arrays.content(folder, STEM)
    held = arrays.read(content, STEM)
    settings = Settings.from_document(json.loads(arrays.to_text(held["settings"])))
    report = json.loads(arrays.to_text(held["report"]))
    found: dict[str, Stored] = {}
    for key in held:
        name = key.removesuffix(".packed")
        if name == key:
            continue
        inputs = held[f"{name}.scale"].shape[1] * GROUP
        codes, kept = _unpacked(held[key], inputs, is_sparse=settings.is_sparse)
        scale, zero, row = (held[f"{name}.{part}"] for part in ("scale", "zero", "row"))
        found[name] = Stored(codes=codes, kept=kept, scale=scale, zero=zero, row=row)
    return Result(
        settings=settings,
        source_digest=arrays.to_text(held["source_digest"]),
        matrices=found,
        gains={key.removesuffix(".gain"): held[key] for key in held if key.endswith(".gain")},
        report=report,
        steps=report.get("steps", 0),
        began=(report.get("start") or {}).get("digest"),
        perplexities={
            text: Scores(**{name: Prediction(**each[name]) for name in each if name != "ratio"}, ratio=each["ratio"])
            for text, each in report.get("perplexities", {}).items()
        },
        digest=hashlib.sha256(content).hexdigest(),
    )


def _packed(stored: Stored) -> np.ndarray:
    """Return one byte for four inputs: four dense codes, or pattern * 16 + second kept code * 4 + first."""
    codes = stored.codes.reshape(len(stored.codes), -1, 4)
    if stored.kept is None:
        return codes[..., 0] | codes[..., 1] << 2 | codes[..., 2] << 4 | codes[..., 3] << 6
    bits = (stored.kept.reshape(codes.shape) * np.array([1, 2, 4, 8])).sum(-1)
    pattern = np.full(16, -1)
    pattern[_BITS] = np.arange(len(_BITS))
    chosen = pattern[bits]
    if int(chosen.min(initial=0)) < 0:
        raise AssertionError("a mask must keep two of every four weights")
    first, second = np.moveaxis(np.take_along_axis(codes, _POSITIONS[chosen], axis=-1), -1, 0)
    return (chosen * 16 + second * 4 + first).astype(np.uint8)


def _unpacked(packed: np.ndarray, inputs: int, *, is_sparse: bool) -> tuple[np.ndarray, np.ndarray | None]:
    rows = len(packed)
    if not is_sparse:
        return np.stack([packed >> shift & 3 for shift in (0, 2, 4, 6)], axis=-1).reshape(rows, inputs), None
    positions = _POSITIONS[packed >> 4]
    codes, kept = np.zeros((*packed.shape, 4), np.uint8), np.zeros((*packed.shape, 4), np.bool_)
    np.put_along_axis(codes, positions, np.stack([packed & 3, packed >> 2 & 3], axis=-1), axis=-1)
    np.put_along_axis(kept, positions, True, axis=-1)
    return codes.reshape(rows, inputs), kept.reshape(rows, inputs)


def merge(first: Path, second: Path, folder: Path, *, from_layer: int) -> list[Path]:
    """Write the result that has the layers of `first` below `from_layer` and those of `second` from there on; return its parts.

    What a training learns last may help one measure and hurt another; layers of a training, and of one that went on from it,
    are near enough to each other to be mixed without further training.

    What comes after the layers is the second's, and so are its settings; its report says what was merged, and has no
    perplexity, since none was measured.

    SpecError when the second did not begin from the first, or `from_layer` leaves one of them without layers.
    """
    results = [read_result(each) for each in (first, second)]
    began = results[1].began
    if began != results[0].digest:
        raise SpecError(f"Second result must have begun from the first, {results[0].digest[:16]}, not from {str(began)[:16]}")
    layers = 1 + max(layer_of(name) for name in results[0].matrices)
    if not 0 < from_layer < layers:
        raise SpecError(f"Layer to merge from must be from 1 to {layers - 1}, not {from_layer}")
    one, other = (arrays.read(arrays.content(each, STEM), STEM) for each in (first, second))
    held: dict[str, np.ndarray] = {}
    for name, array in other.items():
        is_first = name not in _OWN and not name.startswith(matrices.FINAL_NORM) and layer_of(name) < from_layer
        held[name] = one[name] if is_first else array
    parts = {"from_layer": from_layer, "first": results[0].summary(), "second": results[1].summary()}
    report = {name: value for name, value in results[1].report.items() if name not in ("log", "perplexities", "start")}
    held["report"] = arrays.from_text(json.dumps(report | {"merged": parts}))
    return arrays.split(folder, STEM, held, limit=PART_BYTES)
