"""The passkey test: five different digits are hidden in prose and asked for at its end."""

import itertools
import random
import re
from collections.abc import Sequence

from hwsim.errors import SpecError, shown
from models.evaluation.retrieval import Task, asked
from models.tokenizer import Tokenizer

__all__ = ["DEPTHS", "passkey_tasks", "sentences"]

DEPTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Depths that are tried when no others are asked for."""

_INTRODUCTION = "A pass key is hidden in the following text. Find it and remember it."
_NEEDLE = " The pass key is {key}. Remember it. The pass key is {key}."
_QUESTION = "\n\nWhat is the pass key?"
_REPLY = "The pass key is"
_DIGITS = 5


def sentences(text: str) -> list[str]:
    """Return the sentences of a prose, without line breaks."""
    return re.split(r"(?<=[.!?])\s+(?=[A-Z])", " ".join(text.split()))


def passkey_tasks(
    tokenizer: Tokenizer, filler: str, *, lengths: Sequence[int], depths: Sequence[float] = DEPTHS, trials: int = 2, seed: int = 0
) -> list[Task]:
    """Return one task for each length, depth and trial; the same arguments give the same tasks.

    filler: prose to hide the key in; each task begins at another sentence of it.
    lengths: tokens of the whole prompt, reached up to the length of a sentence.

    SpecError when a length is too short for any filler, or the filler is too short.
    """
    if trials < 1:
        raise SpecError(f"Number of trials must be positive, not {trials}")
    for depth in depths:
        if not 0 <= depth <= 1:
            raise SpecError(f"Depth must be 0 to 1, not {shown(depth)}")
    prose = [f" {sentence}" for sentence in sentences(filler)]
    sizes = [len(tokenizer.encode(sentence)) for sentence in prose]
    tasks = []
    for length in lengths:
        for depth in depths:
            for trial in range(trials):
                # A text seeds by its digits, so that a task does not depend on which others are asked for.
                draws = random.Random(f"{seed} {length} {depth} {trial}")
                tasks.append(_task(tokenizer, prose, sizes, length, depth, draws))
    return tasks


def _task(
    tokenizer: Tokenizer, prose: Sequence[str], sizes: Sequence[int], length: int, depth: float, draws: random.Random
) -> Task:
    key = "".join(draws.sample("0123456789", _DIGITS))
    needle = _NEEDLE.format(key=key)
    bare, _ = asked(tokenizer, f"{_INTRODUCTION}{needle}{_QUESTION}", needle, _REPLY)
    room = length - len(bare)
    if room < min(sizes):
        raise SpecError(f"Length of a passkey task must be at least {len(bare) + min(sizes)} tokens for this model, not {length}")
    if room > sum(sizes):
        raise SpecError(f"Filler must be at least {room} tokens long, not {sum(sizes)}")
    chosen: list[int] = []
    start = draws.randrange(len(prose))
    for step in range(len(prose)):
        index = (start + step) % len(prose)
        # A sentence that is too long for what is left is passed over.
        if sizes[index] <= room:
            chosen.append(index)
            room -= sizes[index]
    before = list(itertools.accumulate((sizes[index] for index in chosen), initial=0))
    place = min(range(len(before)), key=lambda cut: abs(before[cut] - depth * before[-1]))
    first, second = ("".join(prose[index] for index in part) for part in (chosen[:place], chosen[place:]))
    prompt, span = asked(tokenizer, f"{_INTRODUCTION}{first}{needle}{second}{_QUESTION}", needle, _REPLY)
    return Task(kind="passkey", length=length, depth=depth, prompt=prompt, answer=tuple(tokenizer.encode(f" {key}")), needle=span)
