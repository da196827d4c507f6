"""The difference between two models on the same windows, with its confidence interval."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.errors import SpecError
from models.evaluation.perplexity import Perplexity, exponential, ratio_error
from models.evaluation.student import width

__all__ = ["Difference", "difference"]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How much worse one model predicts than another.

    nll: difference of the mean negative log-likelihoods of a token, nats; positive when the first is worse.
    half_width: half of its confidence interval; None for one window, which tells nothing about others.
    confidence: probability that the interval covers the difference over all texts like this one.
    windows: pairs that were compared.
    """

    nll: float
    half_width: float | None
    confidence: float
    windows: int

    @property
    def ratio(self) -> float:
        """Perplexity of the first over that of the second."""
        return exponential(self.nll)

    @property
    def nll_interval(self) -> tuple[float, float] | None:
        """Ends of the confidence interval of `nll`."""
        return None if self.half_width is None else (self.nll - self.half_width, self.nll + self.half_width)

    @property
    def ratio_interval(self) -> tuple[float, float] | None:
        """Ends of the confidence interval of `ratio`."""
        ends = self.nll_interval
        return None if ends is None else (exponential(ends[0]), exponential(ends[1]))


def difference(first: Perplexity, second: Perplexity, *, confidence: float = 0.95) -> Difference:
    """Return how `first` differs from `second` on the same windows.

    Windows are the units and differences are taken within each: how hard a window is cancels. The interval is Student's t
    for the mean of these differences, the shorter last window weighing less.

    Raises:
        SpecError: the windows are not the same.
    """
    if first.counts != second.counts:
        raise SpecError(f"Windows must be the same for both models, not {first.windows} and {second.windows}")
    apart = [one - other for one, other in zip(first.sums, second.sums, strict=True)]
    nll = sum(apart) / sum(first.counts)
    half = width(confidence, len(apart) - 1) * ratio_error(apart, first.counts) if len(apart) > 1 else None
    return Difference(nll=nll, half_width=half, confidence=confidence, windows=len(apart))
