"""Perplexity of a model on a text, over windows that do not overlap, and the difference of two models with its interval."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hwsim.errors import SpecError, shown
from models.evaluation import windows
from models.evaluation.reading import Predictor, negative_log_likelihoods
from models.integer.threads import each

__all__ = ["Difference", "Perplexity", "Progress", "difference", "exponential", "perplexity", "ratio_error", "width", "within"]

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

    SpecError when the windows are not the same.
    """
    if first.counts != second.counts:
        raise SpecError(f"Windows must be the same for both models, not {first.windows} and {second.windows}")
    apart = [one - other for one, other in zip(first.sums, second.sums, strict=True)]
    nll = sum(apart) / sum(first.counts)
    half = width(confidence, len(apart) - 1) * ratio_error(apart, first.counts) if len(apart) > 1 else None
    return Difference(nll=nll, half_width=half, confidence=confidence, windows=len(apart))


def within(t: float, degrees: int) -> float:
    """Return the probability that a t variable lies between -t and t, for t >= 0.

    Ref: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """
    angle = math.atan(t / math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    term = cosine if degrees % 2 else 1.0
    total = 0.0
    for index in range(degrees % 2, degrees - 1, 2):
        total += term
        term *= cosine * cosine * (index + 1) / (index + 2)
    return 2 / math.pi * (angle + sine * total) if degrees % 2 else sine * total


def width(confidence: float, degrees: int) -> float:
    """Return the t for which a t variable lies between -t and t with probability `confidence`."""
    if not 0 < confidence < 1:
        raise SpecError(f"Confidence must lie between 0 and 1, not {shown(confidence)}")
    if degrees < 1:
        raise SpecError(f"Degrees of freedom must be at least 1, not {shown(degrees)}")
    low, high = 0.0, 1.0
    while within(high, degrees) < confidence:
        high *= 2
    # Bisection until the ends are neighbouring floats.
    while low < (middle := (low + high) / 2) < high:
        if within(middle, degrees) < confidence:
            low = middle
        else:
            high = middle
    return high
