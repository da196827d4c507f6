"""What a training says of itself: settings, device, steps, losses, and how well its student predicts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from models.distill.settings import Settings

__all__ = ["Prediction", "Report", "Scores"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prediction:
    """How well a model predicts a text.

    Attributes:
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

    Attributes:
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
