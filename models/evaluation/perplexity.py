"""Perplexity of a model on a text, over windows that do not overlap."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from models.evaluation.reading import Predictor, negative_log_likelihoods
from models.evaluation.shared import each
from models.evaluation.windows import windows

__all__ = ["Perplexity", "Progress", "exponential", "perplexity", "ratio_error"]

# Called after each window with (windows done, windows in all, perplexity so far).
Progress = Callable[[int, int, float], None]


@dataclass(frozen=True, kw_only=True)
class Perplexity:
    """How well a text was predicted.

    sums: negative log-likelihood of each window, nats.
    counts: predicted tokens of each window; its first token is given, not predicted.
    """

    sums: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def nll(self) -> float:
        """Mean negative log-likelihood of a predicted token, nats."""
        return sum(self.sums) / sum(self.counts)

    @property
    def perplexity(self) -> float:
        """The exponential of `nll`."""
        return exponential(self.nll)

    @property
    def standard_error(self) -> float:
        """Standard error of `nll`, windows being independent draws; NaN for one window."""
        return ratio_error(self.sums, self.counts)

    @property
    def tokens(self) -> int:
        """Predicted tokens."""
        return sum(self.counts)

    @property
    def windows(self) -> int:
        """Windows evaluated."""
        return len(self.counts)


def perplexity(
    model: Predictor, tokens: Sequence[int], *, length: int = 1024, max_windows: int | None = None, progress: Progress | None = None
) -> Perplexity:
    """Return how well `model` predicts `tokens`, each window from an empty context.

    length, max_windows: see `windows`.
    progress: is called after each window.
    """
    chosen = windows(tokens, length=length, max_windows=max_windows)
    counts = tuple(len(window) - 1 for window in chosen)

    def told(sums: list[float]) -> None:
        if progress is not None:
            progress(len(sums), len(chosen), exponential(sum(sums) / sum(counts[: len(sums)])))

    sums = each(lambda window: float(negative_log_likelihoods(model, window).sum()), chosen, told)
    return Perplexity(sums=tuple(sums), counts=counts)


def ratio_error(sums: Sequence[float], counts: Sequence[int]) -> float:
    """Return the standard error of sum(sums) / sum(counts), the pairs being independent draws; NaN for one pair."""
    if len(sums) < 2:
        return math.nan
    ratio = sum(sums) / sum(counts)
    squares = sum((total - ratio * count) ** 2 for total, count in zip(sums, counts, strict=True))
    return math.sqrt(squares * len(sums) / (len(sums) - 1)) / sum(counts)


def exponential(nll: float) -> float:
    """Return exp(nll); infinity where it overflows or where `nll` is NaN."""
    return math.exp(nll) if nll < 700 else math.inf
