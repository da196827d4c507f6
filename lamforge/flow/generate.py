"""A compressed model answers a prompt, in the engine's integers."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

import numpy as np

from hwsim.errors import SpecError, shown
from lamforge.flow.sources import ModelSource, open_compressed
from lamforge.flow.verb import SILENT, Listener, verb
from models.compressed import CompressedModel
from models.generate import Sampling, chat
from models.generate import generate as continued
from models.integer import IntegerReference
from models.tokenizer import Tokenizer

__all__ = ["GenerateRequest", "Reply", "generate", "prompt_tokens", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerateRequest:
    """A prompt to answer.

    Attributes:
        model: folder of a compressed model, or one that is open.
        prompt: text to answer, or to continue.
        max_tokens: most tokens to write, at least 1.
        temperature: 0 takes the likeliest token; above, tokens are drawn.
        seed: of the draws.
        is_raw: whether the prompt is continued as it is, instead of answered under the chat template.
    """

    model: ModelSource = dataclasses.field(kw_only=False)
    prompt: str = dataclasses.field(kw_only=False)
    max_tokens: int = 64
    temperature: float = 0.0
    seed: int = 0
    is_raw: bool = False


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


def run(request: GenerateRequest, listener: Listener = SILENT) -> Reply:
    """Answer a prompt with exactly the integers that the engine computes; the listener gets each piece of text as it comes.

    Raises:
        CheckpointError: there is no compressed model.
        SpecError: there is no tokenizer or template, the prompt is empty, or a number is out of range.
    """
    sampling = Sampling(temperature=request.temperature, seed=request.seed)
    compressed = open_compressed(request.model)
    tokenizer = _tokenizer(compressed)
    if request.max_tokens < 1:
        raise SpecError(f"Number of tokens must be at least 1, not {request.max_tokens}")
    timed = _Timed(IntegerReference(compressed.model))
    write = continued if request.is_raw else chat
    pieces: list[str] = []
    for piece in write(timed, tokenizer, request.prompt, max_tokens=request.max_tokens, sampling=sampling):
        pieces.append(piece)
        listener.stream(piece)
    return Reply(
        prompt=request.prompt,
        text="".join(pieces),
        sampling=sampling,
        prompt_tokens=timed.prompt_tokens,
        prefill_s=timed.prefill_s,
        steps=timed.steps,
        step_s=timed.step_s,
    )


generate = verb("generate", GenerateRequest, run)


def prompt_tokens(compressed: CompressedModel, prompt: str, *, is_raw: bool = False) -> list[int]:
    """Return the tokens of a prompt under the chat template, or of the prompt itself; raise SpecError for none."""
    tokenizer = _tokenizer(compressed)
    is_plain = is_raw or tokenizer.chat_template is None
    tokens = tokenizer.encode(prompt if is_plain else tokenizer.render_chat([{"role": "user", "content": prompt}]))
    if not tokens:
        raise SpecError(f"Prompt must be at least one token long, not {shown(prompt)}")
    return tokens


def _tokenizer(compressed: CompressedModel) -> Tokenizer:
    if compressed.tokenizer is None:
        raise SpecError("Model must carry a tokenizer to read a prompt, but has none")
    return compressed.tokenizer


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
