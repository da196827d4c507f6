"""Knows what a compressed model answers, in the engine's integers, and how fast."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hwsim.errors import SpecError
from models.compressed import CompressedModel
from models.generate import Sampling, chat, generate
from models.integer import IntegerReference

__all__ = ["Reply", "prompt_tokens", "reply"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer.

    Attributes:
        prompt, text: what was asked and answered.
        sampling: how tokens were chosen.
        prompt_tokens, prefill_s: tokens of the prompt, template included, and the seconds they took together.
        steps, step_s: tokens fed one by one, and the seconds they took.
    """

    prompt: str
    text: str
    sampling: Sampling
    prompt_tokens: int
    prefill_s: float
    steps: int
    step_s: float

    @property
    def token_per_s(self) -> float:
        """Tokens fed one by one, per second; 0 without any."""
        return self.steps / self.step_s if self.steps else 0.0

    def document(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return {
            "prompt": self.prompt,
            "text": self.text,
            "prompt_tokens": self.prompt_tokens,
            "prefill_s": self.prefill_s,
            "steps": self.steps,
            "step_s": self.step_s,
            "token_per_s": self.token_per_s,
            "temperature": self.sampling.temperature,
            "seed": self.sampling.seed,
        }


class _Timed:
    """A text in progress on the integer reference, with a clock."""

    def __init__(self, reference: IntegerReference) -> None:
        self._reference = reference
        self._state = reference.open()
        self.prompt_tokens, self.prefill_s, self.steps, self.step_s = 0, 0.0, 0, 0.0

    def prefill(self, tokens: Sequence[int]) -> np.ndarray:
        began = time.perf_counter()
        logits = self._reference.prefill(self._state, tokens)
        self.prompt_tokens, self.prefill_s = len(tokens), time.perf_counter() - began
        return logits

    def step(self, token: int) -> np.ndarray:
        began = time.perf_counter()
        logits = self._reference.step(self._state, token)
        self.steps, self.step_s = self.steps + 1, self.step_s + time.perf_counter() - began
        return logits


def reply(
    compressed: CompressedModel,
    prompt: str,
    *,
    max_tokens: int,
    sampling: Sampling,
    is_raw: bool = False,
    say: Callable[[str], None] | None = None,
) -> Reply:
    """Return what the model answers; `say` gets each piece of text as it comes.

    is_raw: continue the prompt itself instead of answering it under the chat template.

    Raises:
        SpecError: there is no tokenizer or template, the prompt is empty, or an option is out of range.
    """
    if compressed.tokenizer is None:
        raise SpecError("Model must carry a tokenizer to read a prompt, but has none")
    if max_tokens < 1:
        raise SpecError(f"Number of tokens must be at least 1, not {max_tokens}")
    timed = _Timed(IntegerReference(compressed.model))
    continued = generate if is_raw else chat
    pieces: list[str] = []
    for piece in continued(timed, compressed.tokenizer, prompt, max_tokens=max_tokens, sampling=sampling):
        pieces.append(piece)
        if say is not None:
            say(piece)
    return Reply(
        prompt=prompt,
        text="".join(pieces),
        sampling=sampling,
        prompt_tokens=timed.prompt_tokens,
        prefill_s=timed.prefill_s,
        steps=timed.steps,
        step_s=timed.step_s,
    )


def prompt_tokens(compressed: CompressedModel, prompt: str, *, is_raw: bool = False) -> list[int]:
    """Return the tokens of a prompt under the chat template, or of the prompt itself; raise SpecError for none."""
    tokenizer = compressed.tokenizer
    if tokenizer is None:
        raise SpecError("Model must carry a tokenizer to read a prompt, but has none")
    is_plain = is_raw or tokenizer.chat_template is None
    tokens = tokenizer.encode(prompt if is_plain else tokenizer.render_chat([{"role": "user", "content": prompt}]))
    if not tokens:
        raise SpecError(f"Prompt must be at least one token long, not {prompt!r}")
    return tokens
