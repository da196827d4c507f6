"""Knows how well a model predicts a text: perplexity over windows that do not overlap."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from hwsim.errors import SpecError

__all__ = ["Perplexity", "Predictor", "Progress", "perplexity", "perplexity_of_text", "windows"]

# Rows whose log-softmax is formed at once: a window of logits over a large vocabulary is not copied.
_ROWS = 128

# Called after each window with (windows done, windows in all, perplexity so far).
Progress = Callable[[int, int, float], None]


class Predictor(Protocol):
    """Anything that predicts tokens."""

    def logits(self, tokens: Sequence[int]) -> torch.Tensor:
        """Return the logits after each of `tokens`, [tokens, vocab]."""


class Encoder(Protocol):
    """Anything that turns text into tokens."""

    def encode(self, text: str) -> list[int]:
        """Return the tokens of `text`."""


@dataclass(frozen=True, kw_only=True)
class Perplexity:
    """How well a text was predicted.

    perplexity: exp(nll).
    nll: mean negative log-likelihood of a predicted token, nats.
    standard_error: of nll, windows being independent draws; NaN for one window.
    tokens: predicted tokens; the first of a window is given, not predicted.
    windows: windows evaluated.
    """

    perplexity: float
    nll: float
    standard_error: float
    tokens: int
    windows: int


def windows(tokens: Sequence[int], *, length: int = 1024, max_windows: int | None = None) -> list[Sequence[int]]:
    """Return the windows of `length` tokens that `tokens` falls into; the last may be shorter.

    max_windows: keep so many full windows, evenly spaced from first to last; None keeps all.

    SpecError when there are not two tokens, or no full window to choose from.
    """
    if length < 2:
        raise SpecError(f"Window must be at least 2 tokens, not {length}")
    if max_windows is not None and max_windows < 1:
        raise SpecError(f"Number of windows must be positive, not {max_windows}")
    cut = [tokens[start : start + length] for start in range(0, len(tokens), length)]
    if max_windows is None:
        kept = [window for window in cut if len(window) >= 2]
        if not kept:
            raise SpecError(f"Text must be at least 2 tokens long, not {len(tokens)}")
        return kept
    full = [window for window in cut if len(window) == length]
    if not full:
        raise SpecError(f"Text must be at least one window of {length} tokens long, not {len(tokens)} tokens")
    count = min(max_windows, len(full))
    if count == 1:
        return [full[0]]
    return [full[index * (len(full) - 1) // (count - 1)] for index in range(count)]


def perplexity(
    model: Predictor,
    tokens: Sequence[int],
    *,
    length: int = 1024,
    max_windows: int | None = None,
    progress: Progress | None = None,
) -> Perplexity:
    """Return how well `model` predicts `tokens`, each window from an empty context.

    length, max_windows: see `windows`.
    progress: told after each window.
    """
    chosen = windows(tokens, length=length, max_windows=max_windows)
    sums: list[float] = []
    counts: list[int] = []
    for window in chosen:
        sums.append(_negative_log_likelihood(model.logits(window), window))
        counts.append(len(window) - 1)
        if progress is not None:
            progress(len(sums), len(chosen), _exp(sum(sums) / sum(counts)))
    nll = sum(sums) / sum(counts)
    return Perplexity(
        perplexity=_exp(nll),
        nll=nll,
        standard_error=_standard_error(sums, counts, nll),
        tokens=sum(counts),
        windows=len(chosen),
    )


def perplexity_of_text(
    model: Predictor,
    encoder: Encoder,
    text: str,
    *,
    length: int = 1024,
    max_windows: int | None = None,
    progress: Progress | None = None,
) -> Perplexity:
    """Return how well `model` predicts `text` in the tokens of `encoder`; see `perplexity`."""
    return perplexity(model, encoder.encode(text), length=length, max_windows=max_windows, progress=progress)


def _negative_log_likelihood(logits: torch.Tensor, window: Sequence[int]) -> float:
    targets = torch.tensor(window[1:])
    total = 0.0
    for start in range(0, len(targets), _ROWS):
        wanted = targets[start : start + _ROWS]
        rows = logits[start : start + len(wanted)].float()
        picked = rows.gather(1, wanted[:, None])[:, 0]
        total += float((torch.logsumexp(rows, dim=1) - picked).double().sum())
    return total


def _standard_error(sums: Sequence[float], counts: Sequence[int], nll: float) -> float:
    """Return the standard error of a ratio of sums over windows."""
    if len(sums) < 2:
        return math.nan
    squares = sum((total - nll * count) ** 2 for total, count in zip(sums, counts, strict=True))
    return math.sqrt(squares * len(sums) / (len(sums) - 1)) / sum(counts)


def _exp(nll: float) -> float:
    """Return exp(nll); infinity where it overflows or where `nll` is NaN."""
    return math.exp(nll) if nll < 700 else math.inf
