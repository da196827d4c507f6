"""Continues a text with a compressed model: chat template, choice of tokens, and text as it comes."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np

from hwsim.arch.numerics import FRACTION_BITS
from hwsim.errors import SpecError, shown
from models.chat_renderer import MOST_LETTERS
from models.tokenizer import Tokenizer

__all__ = ["Sampling", "generate", "prompt_tokens", "tokens_after"]


class Continuation(Protocol):
    """A text in progress on whatever runs the model."""

    def prefill(self, tokens: Sequence[int]) -> np.ndarray:
        """Feed tokens and return the fixed logits after the last one, int32 [vocab]."""

    def step(self, token: int) -> np.ndarray:
        """Feed one token and return the fixed logits after it, int32 [vocab]."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next token is chosen from fixed logits.

    temperature: 0 takes the likeliest, the first of equals; above, tokens are drawn.
    top_k: draw among so many likeliest tokens; 0 among all.
    seed: seed of the draws.
    """

    temperature: float = 0.0
    top_k: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 100:
            raise SpecError(f"Sampling temperature must be 0 to 100, not {shown(self.temperature)}")
        for name in ("top_k", "seed"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise SpecError(f"Sampling {name} must be a non-negative integer, not {shown(value)}")


def tokens_after(
    continuation: Continuation, prompt: Sequence[int], *, max_tokens: int, eos: Sequence[int] = (), sampling: Sampling | None = None
) -> Iterator[int]:
    """Yield the tokens that follow `prompt`, as each is chosen.

    max_tokens: tokens yielded at most.
    eos: tokens that end the text; they are not yielded.
    sampling: None takes the likeliest.
    """
    choice = Sampling() if sampling is None else sampling
    draws = np.random.Generator(np.random.PCG64(choice.seed))
    logits = continuation.prefill(prompt)
    for count in range(max_tokens):
        token = _chosen(logits, choice, draws)
        if token in eos:
            return
        yield token
        if count + 1 < max_tokens:
            logits = continuation.step(token)


def prompt_tokens(tokenizer: Tokenizer, text: str, *, is_raw: bool = False) -> list[int]:
    """Return the tokens of a question under the model's chat template, ready for the answer, or of a text to continue.

    is_raw: whether `text` is continued as it is; the tokens that the tokenizer puts before a text then come first.

    NoChatTemplateError for a question where the tokenizer carries no chat template. SpecError when there is no token.
    """
    if len(text) > MOST_LETTERS:
        raise SpecError(f"Prompt must be at most {MOST_LETTERS:,} letters long, not {len(text):,}")
    if is_raw:
        tokens = tokenizer.encode_whole(text)
    else:
        tokens = tokenizer.encode(tokenizer.render_chat([{"role": "user", "content": text}]))
    if not tokens:
        raise SpecError(f"Prompt must be at least one token long, not {shown(text)}")
    return tokens


def generate(
    model: Continuation,
    tokenizer: Tokenizer,
    prompt: Sequence[int],
    *,
    max_tokens: int,
    sampling: Sampling | None = None,
    told: Callable[[int], object] | None = None,
) -> Iterator[str]:
    """Yield the text that follows the tokens `prompt`, piece by piece, each of whole characters.

    told: is called with each token.
    """
    stream = tokenizer.stream()
    for token in tokens_after(model, prompt, max_tokens=max_tokens, eos=tokenizer.eos_ids, sampling=sampling):
        if told is not None:
            told(token)
        if piece := stream.push(token):
            yield piece
    if piece := stream.finish():
        yield piece


def _chosen(logits: np.ndarray, sampling: Sampling, draws: np.random.Generator) -> int:
    if sampling.temperature == 0:
        return int(logits.argmax())
    fixed = logits.astype(np.float64)
    order = np.argsort(-fixed, kind="stable")[: sampling.top_k or None]
    exponents = (fixed[order] - fixed[order[0]]) / (2.0**FRACTION_BITS * sampling.temperature)
    shares = np.exp(exponents).cumsum()
    return int(order[min(int(np.searchsorted(shares, draws.random() * shares[-1], side="right")), len(order) - 1)])
