"""Reads a text with a model piece by piece, and returns how likely the model found each token."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from hwsim.errors import CheckpointError
from models.attention import LambdaShape, LayerAttention, Pattern
from models.integer import IntegerReference, State
from models.reference.llama import Llama

__all__ = ["Floats", "Integers", "Predictor", "Reading", "likelihoods", "negative_log_likelihoods"]

# Tokens that are fed at once; this bounds the memory of their logits.
_CHUNK = 1024
# Rows whose log-softmax is formed at once.
_ROWS = 128


class Reading(Protocol):
    """A text in progress on a model."""

    def feed(self, tokens: Sequence[int], last: int | None = None) -> torch.Tensor:
        """Feed tokens and return the logits after the last `last` of them, [last, vocab]; None takes all."""


class Predictor(Protocol):
    """A model on which texts can be opened and read."""

    def open(self) -> Reading:
        """Return an empty text."""


@dataclass(frozen=True, eq=False)
class Floats:
    """The float reference as a predictor, under an attention pattern of one's own choice."""

    model: Llama
    pattern: Pattern

    def open(self) -> Reading:
        """Return an empty text."""
        return _FloatReading(self.model, self.model.open(self.pattern))


@dataclass(frozen=True, eq=False)
class _FloatReading:
    model: Llama
    caches: list[LayerAttention]

    @torch.no_grad()
    def feed(self, tokens: Sequence[int], last: int | None = None) -> torch.Tensor:
        hidden = self.model.hidden_states(tokens, self.caches)
        return self.model.head(hidden if last is None else hidden[len(hidden) - last :])


@dataclass(frozen=True, eq=False)
class Integers:
    """The engine's integers as a predictor, under the model's own attention or another one."""

    model: IntegerReference
    pattern: LambdaShape | None = None

    def open(self) -> Reading:
        """Return an empty text."""
        return _IntegerReading(self.model, self.model.open(self.pattern))


@dataclass(frozen=True, eq=False)
class _IntegerReading:
    model: IntegerReference
    state: State

    def feed(self, tokens: Sequence[int], last: int | None = None) -> torch.Tensor:
        return self.model.continued(self.state, tokens, last)


def negative_log_likelihoods(model: Predictor, tokens: Sequence[int], told: Callable[[int], None] | None = None) -> torch.Tensor:
    """Return the negative log-likelihood of each token after the first, nats, float64 [tokens - 1].

    told: is called with the number of tokens read so far.

    CheckpointError when a likelihood is not finite.
    """
    reading = model.open()
    found = []
    for start in range(0, len(tokens) - 1, _CHUNK):
        stop = min(start + _CHUNK, len(tokens) - 1)
        found.append(likelihoods(reading.feed(tokens[start:stop]), tokens[start + 1 : stop + 1]).neg_())
        if told is not None:
            told(stop + 1)
    whole = torch.cat(found)
    wrong = torch.nonzero(~torch.isfinite(whole))
    if len(wrong):
        first = int(wrong[0])
        raise CheckpointError(f"Likelihoods of a model must be finite, not {float(whole[first])} at token {first + 1}")
    return whole


def likelihoods(logits: torch.Tensor, tokens: Sequence[int]) -> torch.Tensor:
    """Return the log-likelihood, nats, float64 [tokens], of each token under its row of logits, [tokens, vocab]."""
    wanted = torch.tensor(tokens)
    parts = []
    # A few rows at a time: logits over a large vocabulary are not copied whole.
    for start in range(0, len(wanted), _ROWS):
        rows = logits[start : start + _ROWS].float()
        picked = rows.gather(1, wanted[start : start + _ROWS, None])[:, 0]
        parts.append((picked - torch.logsumexp(rows, dim=1)).double())
    return torch.cat(parts)
