"""A compressed model answers a prompt, in the engine's integers."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

import numpy as np

from hwsim.errors import SpecError
from lamforge.flow.sources import ModelSource, open_compressed
from lamforge.flow.verb import SILENT, Listener, verb
from models.compressed import CompressedModel
from models.generate import Sampling
from models.generate import generate as continued
from models.generate import prompt_tokens as written
from models.integer import IntegerReference
from models.tokenizer import check_tokens

__all__ = ["END_TOKEN", "MAX_TOKENS", "POSITIONS", "GenerateRequest", "Reply", "generate", "prompt_tokens", "run"]

END_TOKEN, MAX_TOKENS, POSITIONS = "end token", "max tokens", "positions"
"""What ends an answer: the model itself, the request, or the positions that the model has."""


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
        ended_by: what ended the answer: END_TOKEN, MAX_TOKENS or POSITIONS.
        sampling: how tokens were chosen.
        prompt_tokens, prefill_s: tokens of the prompt, template included, and the seconds they took together.
        steps, step_s: tokens fed one by one, and the seconds they took.
    """

    prompt: str
    text: str
    ended_by: str
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
        SpecError: there is no tokenizer or template, the prompt is empty or leaves no position for an answer, or a number is out
            of range.
    """
    sampling = Sampling(temperature=request.temperature, seed=request.seed)
    compressed = open_compressed(request.model)
    if request.max_tokens < 1:
        raise SpecError(f"Number of tokens must be at least 1, not {request.max_tokens}")
    tokenizer, positions = compressed.present_tokenizer, compressed.model.config.max_positions
    prompt = _fitting(compressed, written(tokenizer, request.prompt, is_raw=request.is_raw), positions - 1)
    reference = IntegerReference(compressed.model)
    timed = _Timed(reference)
    most = min(request.max_tokens, positions - len(prompt))
    pieces: list[str] = []
    tokens: list[int] = []
    for piece in continued(timed, tokenizer, prompt, max_tokens=most, sampling=sampling, told=tokens.append):
        pieces.append(piece)
        listener.stream(piece)
    if reference.saturation.sentence is not None:
        listener.say(reference.saturation.sentence)
    ended_by = END_TOKEN if len(tokens) < most else MAX_TOKENS if most == request.max_tokens else POSITIONS
    if ended_by == POSITIONS:
        listener.say(f"The answer ends with the model's {positions:,} positions, after {most:,} of {request.max_tokens:,} tokens")
    return Reply(
        prompt=request.prompt,
        text="".join(pieces),
        ended_by=ended_by,
        sampling=sampling,
        prompt_tokens=timed.prompt_tokens,
        prefill_s=timed.prefill_s,
        steps=timed.steps,
        step_s=timed.step_s,
    )


generate = verb("generate", GenerateRequest, run)


def prompt_tokens(compressed: CompressedModel, prompt: str, *, is_raw: bool = False) -> list[int]:
    """Return the tokens of a prompt under the chat template, or of the prompt itself where there is none.

    SpecError when there is no token, or more than the model has positions.
    """
    tokenizer = compressed.present_tokenizer
    tokens = written(tokenizer, prompt, is_raw=is_raw or tokenizer.chat_template is None)
    return _fitting(compressed, tokens, compressed.model.config.max_positions)


def _fitting(compressed: CompressedModel, tokens: list[int], most: int) -> list[int]:
    """Return the tokens of a prompt; SpecError where there are more than `most`, or tokens that the model does not have."""
    config = compressed.model.config
    if len(tokens) > most:
        room = "" if most == config.max_positions else " and one for the answer"
        raise SpecError(
            f"Prompt must fit into the model's {config.max_positions} positions{room}, not be {len(tokens)} tokens long"
        )
    check_tokens(tokens, config.vocab)
    return tokens


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
