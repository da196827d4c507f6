"""Negative log-likelihood of a model over one long text, by position."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hwsim.errors import SpecError
from models.evaluation.reading import Predictor, negative_log_likelihoods

__all__ = ["BUCKETS", "Bucket", "check_length", "stream"]

BUCKETS = 16
"""Parts of equal length that the positions of a text are divided into."""


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """Some positions of a long text.

    start, stop: positions start .. stop - 1 of the predicted tokens.
    nll: their mean negative log-likelihood, nats.
    """

    start: int
    stop: int
    nll: float


def check_length(tokens: Sequence[int], length: int, buckets: int = BUCKETS) -> None:
    """Raise SpecError when a text has no `length` tokens, or these are too few for the buckets."""
    if length <= buckets:
        raise SpecError(f"Stream must be at least {buckets + 1} tokens long, not {length}")
    if len(tokens) < length:
        raise SpecError(f"Text must be at least the {length} tokens of the stream long, not {len(tokens)} tokens")


def stream(
    model: Predictor, tokens: Sequence[int], *, length: int, buckets: int = BUCKETS, told: Callable[[float], None] | None = None
) -> list[Bucket]:
    """Return how well a model predicts the first `length` tokens, read as one text.

    told: is called with the fraction read.

    SpecError when the text is shorter, or has fewer predicted tokens than buckets.
    """
    check_length(tokens, length, buckets)

    def done(read: int) -> None:
        if told is not None:
            told(read / length)

    nll = negative_log_likelihoods(model, tokens[:length], done)
    borders = [1 + (length - 1) * index // buckets for index in range(buckets + 1)]
    return [
        Bucket(start=start, stop=stop, nll=float(nll[start - 1 : stop - 1].mean()))
        for start, stop in zip(borders, borders[1:], strict=False)
    ]
