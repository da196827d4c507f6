"""Runs a float reference token by token, with one cache per layer."""

from collections.abc import Iterator, Sequence

import torch

from hwsim.arch.workload import Ledger
from models.attention import Pattern
from models.reference.llama import Llama

__all__ = ["Decoder", "greedy"]


class Decoder:
    """A text in progress: its caches, and the logits after each token fed to it.

    model: the reference.
    pattern: attention of every layer; None takes the model's.
    """

    def __init__(self, model: Llama, pattern: Pattern | None = None) -> None:
        self._model = model
        self._caches = model.open(pattern)

    @property
    def length(self) -> int:
        """Number of tokens fed so far."""
        return self._caches[0].length

    @torch.no_grad()
    def prefill(self, tokens: Sequence[int]) -> torch.Tensor:
        """Feed `tokens` together and return the logits after the last one, [vocab]."""
        return self._model.head(self._model.hidden_states(tokens, self._caches)[-1:])[0]

    def step(self, token: int) -> torch.Tensor:
        """Feed one token and return the logits after it, [vocab]."""
        return self.prefill([token])

    def ledger(self) -> Ledger:
        """Return what the attention of all layers moved and computed so far."""
        return sum((cache.ledger() for cache in self._caches), Ledger())


def greedy(
    model: Llama, prompt: Sequence[int], *, max_tokens: int, eos: Sequence[int] = (), pattern: Pattern | None = None
) -> Iterator[int]:
    """Yield the most likely token after `prompt`, again and again.

    max_tokens: tokens yielded at most.
    eos: tokens that end the text; they are not yielded.
    pattern: attention of every layer; None takes the model's.
    """
    decoder = Decoder(model, pattern)
    logits = decoder.prefill(prompt)
    for _ in range(max_tokens):
        token = int(logits.argmax())
        if token in eos:
            return
        yield token
        logits = decoder.step(token)
